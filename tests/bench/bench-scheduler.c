// SPDX-License-Identifier: LGPL-2.1-or-later
/* The speed of placement, as JSON. Without arguments the shapes that are compared with swarmkit's own benchmark; with arguments one shape:
 *   bench-scheduler NODES TASKS SERVICES [constraints] [preference] [strategy=NAME] [lost=N] [failures=N]
 *   bench-scheduler store N | pending TASKS | takeover NODES TASKS SERVICES | events NODES TASKS SERVICES LARGE PARALLELISM
 *   bench-scheduler pictures NODES TASKS | waiting TASKS */
#include "sim/bench-scheduler.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print (const char *name, JsonNode *node)
{
  g_autoptr (JsonNode) owned = node;
  g_autofree char *text = json_to_string (owned, TRUE);

  printf ("\"%s\": %s", name, text);
  fflush (stdout);
}

static void
run_all (void)
{
  static const struct {
    const char *name;
    SimBenchShape shape;
  } shapes[] = {
    { "1k x 1k", { 1000, 1000, 1 } },
    { "1k x 10k", { 1000, 10000, 1 } },
    { "1k x 100k", { 1000, 100000, 1 } },
    { "1k x 100k, 1000 services", { 1000, 100000, 1000 } },
    { "100k x 1k", { 100000, 1000, 1 } },
    { "100k x 100k", { 100000, 100000, 1 } },
    { "100k x 100k, 1000 services", { 100000, 100000, 1000 } },
    { "5k x 100k, constraints", { 5000, 100000, 1, .constraints = TRUE } },
    { "5k x 100k, constraints, 1000 services", { 5000, 100000, 1000, .constraints = TRUE } },
    { "10 x 1k, failures", { 10, 1000, 10, .failures = 100 } },
    { "1k x 100k, failures", { 1000, 100000, 1000, .failures = 100 } },
    { "10k x 1m, loss of 1k nodes", { 10000, 1000000, 1000, .lost_nodes = 1000, .failures = 100 } },
  };

  printf ("{\n");
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    print (shapes[i].name, sim_bench_schedule (&shapes[i].shape));
    printf (",\n");
  }
  print ("pending", sim_bench_pending (10000));
  printf (",\n");
  print ("takeover", sim_bench_takeover (10000, 1000000, 1000));
  printf (",\n");
  print ("events", sim_bench_events (10000, 1000000, 1000, 100000, 1000));
  printf (",\n");
  print ("pictures", sim_bench_pictures (10000, 10000));
  printf (",\n");
  print ("waiting", sim_bench_waiting (100000));
  printf (",\n");
  print ("store", sim_bench_store (100000));
  printf ("\n}\n");
}

static guint
number (int argc, char **argv, int at, guint otherwise)
{
  return argc > at ? (guint) MAX (atoi (argv[at]), 1) : otherwise;
}

int
main (int argc, char **argv)
{
  SimBenchShape shape = { 0 };

  if (argc == 1) {
    run_all ();
    return 0;
  }
  printf ("{\n");
  if (strcmp (argv[1], "store") == 0) {
    print ("store", sim_bench_store (number (argc, argv, 2, 100000)));
  } else if (strcmp (argv[1], "pending") == 0) {
    print ("pending", sim_bench_pending (number (argc, argv, 2, 10000)));
  } else if (strcmp (argv[1], "takeover") == 0) {
    print ("takeover", sim_bench_takeover (number (argc, argv, 2, 1000), number (argc, argv, 3, 100000), number (argc, argv, 4, 1000)));
  } else if (strcmp (argv[1], "events") == 0) {
    print ("events", sim_bench_events (number (argc, argv, 2, 1000), number (argc, argv, 3, 100000), number (argc, argv, 4, 100),
                                       number (argc, argv, 5, 10000), number (argc, argv, 6, 100)));
  } else if (strcmp (argv[1], "pictures") == 0) {
    print ("pictures", sim_bench_pictures (number (argc, argv, 2, 10000), number (argc, argv, 3, 1000)));
  } else if (strcmp (argv[1], "waiting") == 0) {
    print ("waiting", sim_bench_waiting (number (argc, argv, 2, 100000)));
  } else {
    shape.nodes = (guint) atoi (argv[1]);
    shape.tasks = argc > 2 ? (guint) atoi (argv[2]) : 0;
    shape.services = argc > 3 ? MAX ((guint) atoi (argv[3]), 1) : 1;
    for (int i = 4; i < argc; i++) {
      shape.constraints |= strcmp (argv[i], "constraints") == 0;
      shape.preference |= strcmp (argv[i], "preference") == 0;
      if (g_str_has_prefix (argv[i], "strategy="))
        shape.strategy = argv[i] + strlen ("strategy=");
      if (g_str_has_prefix (argv[i], "lost="))
        shape.lost_nodes = (guint) atoi (argv[i] + 5);
      if (g_str_has_prefix (argv[i], "failures="))
        shape.failures = (guint) atoi (argv[i] + 9);
    }
    print ("shape", sim_bench_schedule (&shape));
  }
  printf ("\n}\n");
  return 0;
}
