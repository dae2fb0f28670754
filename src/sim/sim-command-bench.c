// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim bench: how fast store and scheduler are on this machine, as JSON. */
#include "sim/bench-scheduler.h"
#include "sim/sim-commands.h"
#include <stdio.h>
#include <unistd.h>

static const struct {
  const char *name;
  SimBenchShape shape;
  gboolean quick; /* also with --quick */
} shapes[] = {
  { "1k nodes, 1k tasks", { 1000, 1000, 1, FALSE, 0, 0 }, TRUE },
  { "1k nodes, 10k tasks", { 1000, 10000, 1, FALSE, 0, 0 }, TRUE },
  { "1k nodes, 100k tasks", { 1000, 100000, 1, FALSE, 0, 0 }, FALSE },
  { "1k nodes, 100k tasks of 1000 services", { 1000, 100000, 1000, FALSE, 0, 0 }, FALSE },
  { "100k nodes, 1k tasks", { 100000, 1000, 1, FALSE, 0, 0 }, FALSE },
  { "100k nodes, 100k tasks", { 100000, 100000, 1, FALSE, 0, 0 }, FALSE },
  { "100k nodes, 100k tasks of 1000 services", { 100000, 100000, 1000, FALSE, 0, 0 }, FALSE },
  { "5k nodes, 100k tasks, constraints", { 5000, 100000, 1, TRUE, 0, 0 }, FALSE },
  { "5k nodes, 100k tasks of 1000 services, constraints", { 5000, 100000, 1000, TRUE, 0, 0 }, FALSE },
  { "10 nodes, 100 tasks, a node lost, 20 failures", { 10, 100, 10, FALSE, 1, 20 }, TRUE },
  { "1k nodes, 10k tasks, 10 nodes lost, 20 failures", { 1000, 10000, 100, FALSE, 10, 20 }, TRUE },
};

/* Largest share of memory so far, in bytes. */
static gint64
resident (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;
  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*u %" G_GUINT64_FORMAT, &pages);
  return (gint64) pages * sysconf (_SC_PAGESIZE);
}

int
sim_command_bench (int argc, char **argv)
{
  gboolean quick = argc == 1 && g_str_equal (argv[0], "--quick");
  if (argc > 0 && !quick)
    return sim_usage ("bench: cannot understand \"%s\"", argv[0]);
  g_autoptr (JsonBuilder) out = json_builder_new ();
  json_builder_begin_object (out);
  json_builder_set_member_name (out, "Store");
  json_builder_add_value (out, sim_bench_store (quick ? 1000 : 10000));
  json_builder_set_member_name (out, "Scheduler");
  json_builder_begin_array (out);
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    if (quick && !shapes[i].quick)
      continue;
    json_builder_begin_object (out);
    json_builder_set_member_name (out, "Name");
    json_builder_add_string_value (out, shapes[i].name);
    json_builder_set_member_name (out, "Figures");
    json_builder_add_value (out, sim_bench_schedule (&shapes[i].shape));
    json_builder_set_member_name (out, "ResidentBytes");
    json_builder_add_int_value (out, resident ());
    json_builder_end_object (out);
  }
  json_builder_end_array (out);
  json_builder_end_object (out);
  g_autoptr (JsonNode) root = json_builder_get_root (out);
  g_autofree char *text = json_to_string (root, TRUE);
  printf ("%s\n", text);
  return SIM_EXIT_OK;
}
