// SPDX-License-Identifier: LGPL-2.1-or-later
/* Bad plugins are refused by name; the host wrappers check, bound and forget; the unit properties are typed. */
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/files.h"
#include "plugin/network-host.h"
#include "plugin/runtime-host.h"
#include "plugin/scheduler-host.h"
#include "runtime-sim.h"
#include "sim/sim-clock.h"
#include <glib/gstdio.h>
#include <string.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread;
extern const SwarmPluginDescriptor swarm_plugin_builtin_network_host;

/* ---- loading ---- */

static SwarmPlugin *
load (const char *name, GError **error)
{
  g_autofree char *dir = g_test_build_filename (G_TEST_BUILT, ".", NULL);
  return swarm_plugin_load_named (dir, name, SWARM_PLUGIN_SCHEDULER, error);
}

static void
test_refused (void)
{
  static const struct {
    const char *name;
    const char *text;
  } rows[] = {
    { "bad-magic", "wrong magic" },
    { "bad-descriptor-size", "the size of its descriptor is" },
    { "bad-kind", "it is a network plugin, wanted is a scheduler plugin" },
    { "bad-abi", "its ABI is 10, this agent wants 1" },
    { "bad-ops-size", "the size of its table of operations is" },
    { "bad-host-size", "the size of the host's table it was built for is" },
    { "bad-no-name", "lacks a name" },
    { "bad-no-ops", "no table of operations" },
    { "bad-null-op", "the mandatory operation \"place\" is missing" },
    { "bad-other-name", "it calls itself \"scheduler-somebody-else\"" },
    { "bad-symbol", "the symbol \"swarm_plugin_descriptor\" is missing" },
    { "bad-nowhere", "cannot be opened" },
    { "../bad-good", "is not the name of a plugin" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SwarmPlugin) plugin = load (rows[i].name, &error);

    g_assert_null (plugin);
    g_assert_nonnull (error);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, rows[i].name));
    g_assert_nonnull (strstr (error->message, rows[i].text));
  }
}

static SwarmSchedulerHost *
scheduler_of (const char *name, SwarmClock *clock, GError **error)
{
  SwarmPluginHostConfig config = { .clock = clock };
  g_autoptr (SwarmPlugin) plugin = load (name, error);

  g_assert_nonnull (plugin);
  return swarm_scheduler_host_new (plugin, &config, error);
}

static void
test_init_fails (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  g_autoptr (GError) error = NULL;

  g_assert_null (scheduler_of ("bad-init-fails", sim_clock_iface (clock), &error));
  g_assert_cmpstr (error->message, ==, "plugin bad-init-fails: its init failed: the stars are wrong");
  g_clear_error (&error);
  g_assert_null (scheduler_of ("bad-init-silent", sim_clock_iface (clock), &error));
  g_assert_cmpstr (error->message, ==, "plugin bad-init-silent: its init failed: no reason given");
}

static void
test_nonsense (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  SwarmPluginNode node = { .id = "n", .hostname = "n1", .capacity = 2 };
  SwarmPluginGroup group = { .service_name = "web", .count = 3 };
  gint32 placement[3];
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmSchedulerHost) wild = scheduler_of ("bad-places-nonsense", sim_clock_iface (clock), &error);
  g_autoptr (SwarmSchedulerHost) full = scheduler_of ("bad-overfills", sim_clock_iface (clock), &error);
  g_autoptr (SwarmSchedulerHost) good = scheduler_of ("bad-good", sim_clock_iface (clock), &error);

  g_assert_no_error (error);
  g_assert_false (swarm_scheduler_host_place (wild, &group, &node, 1, placement, &error));
  g_assert_nonnull (strstr (error->message, "node number 8 of 1"));
  g_assert_cmpint (placement[0], ==, -1);
  g_clear_error (&error);
  g_assert_false (swarm_scheduler_host_place (full, &group, &node, 1, placement, &error));
  g_assert_nonnull (strstr (error->message, "more than 2 tasks on node n1"));
  g_assert_cmpint (placement[0], ==, -1);
  g_clear_error (&error);
  group.count = 2;
  g_assert_true (swarm_scheduler_host_place (good, &group, &node, 1, placement, &error));
  g_assert_cmpint (placement[1], ==, 0);
}

/* ---- spread ---- */

static void
test_spread (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  SwarmPluginHostConfig config = { .clock = sim_clock_iface (clock) };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmPlugin) plugin =
    swarm_plugin_from_descriptor (&swarm_plugin_builtin_scheduler_spread, SWARM_PLUGIN_SCHEDULER, &error);
  g_autoptr (SwarmSchedulerHost) host = swarm_scheduler_host_new (plugin, &config, &error);
  SwarmPluginNode nodes[] = {
    { .hostname = "a", .service_tasks = 0, .total_tasks = 9, .capacity = 10 },
    { .hostname = "b", .service_tasks = 2, .total_tasks = 2, .capacity = 10 },
    { .hostname = "c", .service_tasks = 0, .total_tasks = 0, .capacity = 1 },
    { .hostname = "d", .service_tasks = 0, .total_tasks = 0, .capacity = 10, .failures = 5 },
    { .hostname = "e", .service_tasks = 0, .total_tasks = 1, .capacity = 10, .failures = 4 },
  };
  SwarmPluginGroup group = { .service_name = "web", .count = 7 };
  gint32 placement[32];
  guint given[5] = { 0 };

  g_assert_no_error (error);
  g_assert_true (swarm_scheduler_host_place (host, &group, nodes, 5, placement, &error));
  for (guint i = 0; i < 7; i++)
    given[placement[i]]++;
  g_assert_cmpint (placement[0], ==, 2); /* fewest in total */
  g_assert_cmpint (placement[1], ==, 4); /* four failures do not count yet */
  g_assert_cmpint (placement[2], ==, 0);
  g_assert_cmpuint (given[2], ==, 1); /* full */
  g_assert_cmpuint (given[3], ==, 0); /* faulty: last */
  g_assert_cmpuint (given[0], ==, 2);
  g_assert_cmpuint (given[1], ==, 1);
  g_assert_cmpuint (given[4], ==, 3);
  /* More tasks than room: the rest has no place. */
  group.count = 5;
  g_assert_true (swarm_scheduler_host_place (host, &group, nodes + 2, 1, placement, &error));
  g_assert_cmpint (placement[0], ==, 0);
  g_assert_cmpint (placement[1], ==, -1);
  g_assert_cmpint (placement[4], ==, -1);
}

/* Branches are evened on each level; what one has no room for, the others share. */
static void
test_spread_branches (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  SwarmPluginHostConfig config = { .clock = sim_clock_iface (clock) };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmPlugin) plugin =
    swarm_plugin_from_descriptor (&swarm_plugin_builtin_scheduler_spread, SWARM_PLUGIN_SCHEDULER, &error);
  g_autoptr (SwarmSchedulerHost) host = swarm_scheduler_host_new (plugin, &config, &error);
  /* zone a: racks 1 (two nodes) and 2; zone b: one rack, one node. Zone a has three tasks already, on a node that takes none. */
  SwarmPluginBranch branches[] = { { 0, 3, "" }, { 0, 3, "a" }, { 0, 0, "b" }, { 1, 0, "1" }, { 1, 3, "2" }, { 2, 0, "1" } };
  SwarmPluginNode nodes[] = {
    { .hostname = "a1", .branch = 3, .capacity = 100 },
    { .hostname = "a1", .branch = 3, .capacity = 100 },
    { .hostname = "a2", .branch = 4, .capacity = 100 },
    { .hostname = "b1", .branch = 5, .capacity = 7 },
  };
  SwarmPluginGroup group = { .service_name = "web", .count = 9, .branches = branches, .n_branches = 6 };
  gint32 placement[32];
  guint given[4] = { 0 };

  g_assert_no_error (error);
  g_assert_true (swarm_scheduler_host_place (host, &group, nodes, 4, placement, &error));
  for (guint i = 0; i < 9; i++)
    given[placement[i]]++;
  g_assert_cmpuint (given[3], ==, 6); /* 6 and 3 + 3 */
  g_assert_cmpuint (given[0] + given[1], ==, 3);
  g_assert_cmpuint (given[2], ==, 0); /* rack 2 had its three */
  group.count = 20;
  memset (given, 0, sizeof given);
  g_assert_true (swarm_scheduler_host_place (host, &group, nodes, 4, placement, &error));
  for (guint i = 0; i < 20; i++)
    given[placement[i]]++;
  g_assert_cmpuint (given[3], ==, 7); /* full */
  g_assert_cmpuint (given[0], ==, 4);
  g_assert_cmpuint (given[1], ==, 4);
  g_assert_cmpuint (given[2], ==, 5);
}

/* ---- runtime host over runtime-sim ---- */

typedef struct {
  guint done;
  GError *error;
  char *mode;
  guint exits;
  int exit_code;
} Seen;

static void
seen_clear (Seen *seen)
{
  g_clear_error (&seen->error);
  g_clear_pointer (&seen->mode, g_free);
  memset (seen, 0, sizeof *seen);
}

static void
on_done (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  Seen *seen = data;

  seen->done++;
  g_clear_error (&seen->error);
  seen->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
on_listed (GPtrArray *tasks, const GError *error, gpointer data)
{
  Seen *seen = data;

  g_assert_no_error (error);
  seen->done = 1 + tasks->len;
}

static void
on_task_exited (const SwarmId *task, int exit_code, gint64 exited_at, const char *reason, gpointer data)
{
  Seen *seen = data;

  seen->exits++;
  seen->exit_code = exit_code;
}

static void
on_mode (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  Seen *seen = data;

  seen->done++;
  seen->mode = g_strdup (mode);
}

static SwarmTask *
make_task (const char *image, const char *label, const char *value)
{
  SwarmTask *task = swarm_task_new ();

  memset (task->object.id.bytes, 7, 16);
  task->slot = 1;
  task->service_name = g_strdup ("web");
  task->spec = swarm_task_spec_new ();
  task->spec->container = swarm_container_spec_new ();
  task->spec->container->image = g_strdup (image);
  if (label != NULL) {
    task->spec->container->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_insert (task->spec->container->labels, g_strdup (label), g_strdup (value));
  }
  return task;
}

static SwarmRuntimeHost *
sim_runtime (SwarmClock *clock)
{
  SwarmPluginHostConfig config = { .clock = clock };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_runtime_sim, SWARM_PLUGIN_RUNTIME, &error);
  SwarmRuntimeHost *host = swarm_runtime_host_new (plugin, &config, &error);

  g_assert_no_error (error);
  return host;
}

static void
test_runtime (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1000000);
  SwarmRuntimeHost *host = sim_runtime (sim_clock_iface (clock));
  g_autoptr (SwarmTask) task = make_task ("busybox", "sim.exit-after-ms", "100");
  Seen seen = { 0 };

  swarm_runtime_host_set_exit_func (host, on_task_exited, &seen);
  swarm_runtime_host_list (host, G_USEC_PER_SEC, on_listed, &seen);
  g_assert_cmpuint (seen.done, ==, 0); /* never from within */
  sim_clock_run (clock, 1000);
  g_assert_cmpuint (seen.done, ==, 1);
  swarm_runtime_host_prepare (host, task, &SWARM_ID_NIL, "n1", "bridge", NULL, G_USEC_PER_SEC, on_done, &seen);
  sim_clock_run (clock, 100000);
  swarm_runtime_host_start (host, task, &SWARM_ID_NIL, "n1", "bridge", NULL, G_USEC_PER_SEC, on_done, &seen);
  sim_clock_run (clock, 50000);
  g_assert_cmpuint (seen.done, ==, 3);
  g_assert_no_error (seen.error);
  /* The agent goes and comes: the container is found again, and its end is told. */
  swarm_runtime_host_free (host);
  host = sim_runtime (sim_clock_iface (clock));
  swarm_runtime_host_set_exit_func (host, on_task_exited, &seen);
  swarm_runtime_host_list (host, G_USEC_PER_SEC, on_listed, &seen);
  sim_clock_run (clock, 1000);
  g_assert_cmpuint (seen.done, ==, 2);
  sim_clock_run (clock, 200000);
  g_assert_cmpuint (seen.exits, ==, 1);
  g_assert_cmpint (seen.exit_code, ==, 0);
  swarm_runtime_host_remove (host, &task->object.id, G_USEC_PER_SEC, on_done, &seen);
  sim_clock_run (clock, 200000);
  g_assert_cmpuint (seen.done, ==, 3);
  /* What is under way when the host goes is dropped. */
  swarm_runtime_host_remove (host, &task->object.id, G_USEC_PER_SEC, on_done, &seen);
  swarm_runtime_host_free (host);
  sim_clock_run (clock, 200000);
  g_assert_cmpuint (seen.done, ==, 3);
  seen_clear (&seen);
  runtime_sim_reset ();
}

static void
test_deadline (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1000000);
  g_autoptr (SwarmRuntimeHost) host = sim_runtime (sim_clock_iface (clock));
  g_autoptr (SwarmTask) task = make_task ("busybox", "sim.prepare-ms", "60000");
  Seen seen = { 0 };
  guint64 call;

  swarm_runtime_host_prepare (host, task, &SWARM_ID_NIL, "n1", "bridge", NULL, G_USEC_PER_SEC, on_done, &seen);
  sim_clock_run (clock, 1100000);
  g_assert_cmpuint (seen.done, ==, 1);
  g_assert_error (seen.error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  call = swarm_runtime_host_prepare (host, task, &SWARM_ID_NIL, "n1", "bridge", NULL, 60 * G_USEC_PER_SEC, on_done, &seen);
  swarm_runtime_host_cancel (host, call);
  swarm_runtime_host_cancel (host, call);
  g_assert_cmpuint (seen.done, ==, 1);
  sim_clock_run (clock, 1000);
  g_assert_cmpuint (seen.done, ==, 2);
  g_assert_error (seen.error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
  seen_clear (&seen);
}

/* A runtime that answers nothing, or twice. */
static SwarmPluginHost *stubborn_host;
static SwarmPluginCall *stubborn_call;

static SwarmPluginInstance *
stubborn_init (SwarmPluginHost *host, char *error, size_t error_length)
{
  stubborn_host = host;
  return (SwarmPluginInstance *) host;
}

static void
stubborn_fini (SwarmPluginInstance *self)
{
}

static void
stubborn_task (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  stubborn_call = call;
}

static void
stubborn_id (SwarmPluginInstance *self, const char *id, SwarmPluginCall *call)
{
  stubborn_call = call;
}

static void
stubborn_list (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  stubborn_call = call;
}

static void
stubborn_resolve (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call)
{
  stubborn_call = call;
}

static const SwarmRuntimeOps stubborn_ops = {
  stubborn_init, stubborn_fini, stubborn_task, stubborn_task, stubborn_id, stubborn_id, stubborn_list, stubborn_resolve, NULL,
};

static const SwarmPluginDescriptor stubborn = {
  SWARM_PLUGIN_MAGIC, sizeof (SwarmPluginDescriptor), SWARM_PLUGIN_RUNTIME, SWARM_PLUGIN_ABI_RUNTIME, sizeof (SwarmRuntimeOps),
  sizeof (SwarmPluginHost), "runtime-stubborn", "does not answer", "1", &stubborn_ops,
};

static guint refused;

static void
on_unit (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  refused += code != SWARM_PLUGIN_OK;
}

static void
test_stubborn (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1000000);
  SwarmPluginHostConfig config = { .clock = sim_clock_iface (clock) };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (&stubborn, SWARM_PLUGIN_RUNTIME, &error);
  g_autoptr (SwarmRuntimeHost) host = swarm_runtime_host_new (plugin, &config, &error);
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK };
  SwarmPluginExit event = { .task_id = "no id" };
  Seen seen = { 0 };

  swarm_log_set_level (LOG_ERR);
  swarm_runtime_host_stop (host, &SWARM_ID_NIL, G_USEC_PER_SEC, on_done, &seen);
  sim_clock_run (clock, 5 * G_USEC_PER_SEC);
  g_assert_cmpuint (seen.done, ==, 0);
  sim_clock_run (clock, 2 * G_USEC_PER_SEC); /* a deadline of 1 s and 5 s to give up */
  g_assert_cmpuint (seen.done, ==, 1);
  g_assert_error (seen.error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  stubborn_host->finish (stubborn_call, &result); /* too late */
  stubborn_host->finish (stubborn_call, &result); /* and again */
  swarm_runtime_host_stop (host, &SWARM_ID_NIL, G_USEC_PER_SEC, on_done, &seen);
  stubborn_host->finish (stubborn_call, &result);
  stubborn_host->finish (stubborn_call, &result);
  sim_clock_run (clock, 10 * G_USEC_PER_SEC);
  g_assert_cmpuint (seen.done, ==, 2);
  swarm_runtime_host_set_exit_func (host, on_task_exited, &seen);
  stubborn_host->task_exited (stubborn_host, &event);
  g_assert_cmpuint (seen.exits, ==, 0);
  /* Units are not given here. */
  stubborn_host->unit_stop (stubborn_host, "x.service", on_unit, NULL);
  g_assert_cmpuint (refused, ==, 0);
  sim_clock_run (clock, 1000);
  g_assert_cmpuint (refused, ==, 1);
  seen_clear (&seen);
  swarm_log_set_level (LOG_INFO);
}

static const char *
mode_config (const char *plugin, const char *key, gpointer data)
{
  return strcmp (key, "Mode") == 0 ? data : NULL;
}

static void
test_network (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1000000);
  SwarmPluginHostConfig config = { .clock = sim_clock_iface (clock), .config = mode_config, .data = (gpointer) "tunnel" };
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmTask) task = make_task ("busybox", NULL, NULL);
  g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_network_host, SWARM_PLUGIN_NETWORK, &error);
  g_autoptr (SwarmNetworkHost) host = swarm_network_host_new (plugin, &config, &error);
  Seen seen = { 0 };

  g_assert_null (host);
  g_assert_nonnull (strstr (error->message, "Mode=tunnel is not known"));
  g_clear_error (&error);
  config.data = NULL;
  host = swarm_network_host_new (plugin, &config, &error);
  swarm_network_host_attach (host, task, &SWARM_ID_NIL, "n1", G_USEC_PER_SEC, on_mode, &seen);
  sim_clock_run (clock, 1000);
  g_assert_cmpstr (seen.mode, ==, "bridge");
  seen_clear (&seen);
}

/* ---- units ---- */

static void
test_unit_properties (void)
{
  const char *const argv[] = { "/usr/bin/true", "--flag", NULL };
  const SwarmPluginExec exec[] = { { "ExecStart", argv, false }, { "ExecStop", argv, true }, { "ExecStop", argv, false } };
  const char *const properties[] = { "Type=notify", "RemainAfterExit=yes", "CPUQuota=150%", "MemoryMax=infinity", "TimeoutStopSec=20s",
                                     "LogRateLimitIntervalSec=0", "StandardError=truncate:/run/x", "After=a.service b.service", NULL };
  const char *const fields[] = { "SWARM_SERVICE=web", NULL };
  SwarmPluginUnit unit = { "x.service", properties, exec, 3, fields };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value = swarm_plugin_unit_properties (&unit, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  g_variant_ref_sink (value);
  text = g_variant_print (value, TRUE);
  g_assert_cmpstr (
    text, ==,
    "[('Type', <'notify'>), ('RemainAfterExit', <true>), ('CPUQuotaPerSecUSec', <uint64 1500000>), ('MemoryMax', <uint64 "
    "18446744073709551615>), ('TimeoutStopUSec', <uint64 20000000>), ('LogRateLimitIntervalUSec', <uint64 0>), "
    "('StandardErrorFileToTruncate', <'/run/x'>), ('After', <['a.service', 'b.service']>), ('ExecStart', <[('/usr/bin/true', "
    "['/usr/bin/true', '--flag'], false)]>), ('ExecStop', <[('/usr/bin/true', ['/usr/bin/true', '--flag'], true), "
    "('/usr/bin/true', ['/usr/bin/true', '--flag'], false)]>), ('LogExtraFields', <[[byte 0x53, 0x57, 0x41, 0x52, 0x4d, 0x5f, "
    "0x53, 0x45, 0x52, 0x56, 0x49, 0x43, 0x45, 0x3d, 0x77, 0x65, 0x62]]>)]");
}

static void
test_unit_refused (void)
{
  static const char *const bad[] = { "Environment=A=b", "Type", "CPUQuota=fast", "RemainAfterExit=maybe", "MemoryMax=-1",
                                     "TimeoutStopSec=3 fortnights" };
  const char *const relative[] = { "true", NULL };
  const SwarmPluginExec exec = { "ExecStart", relative, false };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    const char *const properties[] = { bad[i], NULL };
    SwarmPluginUnit unit = { "x.service", properties, NULL, 0, NULL };
    g_autofree char *key = g_strndup (bad[i], strcspn (bad[i], "="));
    g_autoptr (GError) error = NULL;

    g_assert_null (swarm_plugin_unit_properties (&unit, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull (strstr (error->message, key));
  }
  {
    SwarmPluginUnit unit = { "x.service", NULL, &exec, 1, NULL };
    g_assert_null (swarm_plugin_unit_properties (&unit, NULL));
  }
}

static void
test_unit_state (void)
{
  g_autoptr (GVariant) failed = g_variant_ref_sink (
    g_variant_new_parsed ("{'ActiveState': <'failed'>, 'SubState': <'failed'>, 'MainPID': <uint32 0>, 'ExecMainCode': <2>, "
                          "'ExecMainStatus': <9>, 'Result': <'signal'>, 'ExecMainExitTimestamp': <uint64 77>}"));
  g_autoptr (GVariant) left = g_variant_ref_sink (
    g_variant_new_parsed ("{'ActiveState': <'active'>, 'SubState': <'exited'>, 'ExecMainCode': <1>, 'ExecMainStatus': <3>}"));
  SwarmPluginUnitState state;

  swarm_plugin_unit_state ("x.service", failed, NULL, &state);
  g_assert_cmpint (state.phase, ==, SWARM_PLUGIN_UNIT_EXITED);
  g_assert_cmpint (state.exit_code, ==, 137);
  g_assert_cmpstr (state.result, ==, "signal");
  g_assert_cmpint (state.exited_at, ==, 77);
  swarm_plugin_unit_state ("x.service", left, failed, &state);
  g_assert_cmpint (state.phase, ==, SWARM_PLUGIN_UNIT_EXITED);
  g_assert_cmpint (state.exit_code, ==, 3);
  swarm_plugin_unit_state ("x.service", NULL, NULL, &state);
  g_assert_cmpint (state.phase, ==, SWARM_PLUGIN_UNIT_ABSENT);
}

/* ---- files ---- */

typedef struct {
  GMainLoop *loop;
  char *content;
  GError *error;
} FileSeen;

static void
on_file (GBytes *content, const GError *error, gpointer data)
{
  FileSeen *seen = data;

  g_clear_pointer (&seen->content, g_free);
  g_clear_error (&seen->error);
  seen->content = content != NULL ? g_strndup (g_bytes_get_data (content, NULL), g_bytes_get_size (content)) : NULL;
  seen->error = error != NULL ? g_error_copy (error) : NULL;
  g_main_loop_quit (seen->loop);
}

static void
test_files (void)
{
  g_autofree char *dir = g_dir_make_tmp ("swarm-files-XXXXXX", NULL);
  g_autofree char *scope = g_build_filename (dir, "t1", NULL);
  g_autofree char *file = g_build_filename (scope, "env", NULL);
  SwarmScopeFiles *files = swarm_scope_files_new (dir);
  FileSeen seen = { .loop = g_main_loop_new (NULL, FALSE) };
  SwarmPluginFile two[] = { { "env", "A=1\n", 4 }, { "args", "x", 1 } };
  SwarmPluginFile evil = { "../up", "x", 1 };
  GStatBuf st;

  swarm_scope_files_write (files, "t1", two, 2, on_file, &seen);
  g_main_loop_run (seen.loop);
  g_assert_no_error (seen.error);
  g_assert_cmpint (g_stat (scope, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0700);
  g_assert_cmpint (g_stat (file, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  swarm_scope_files_read (files, "t1", "env", 100, on_file, &seen);
  g_main_loop_run (seen.loop);
  g_assert_cmpstr (seen.content, ==, "A=1\n");
  swarm_scope_files_read (files, "t1", "none", 100, on_file, &seen);
  g_main_loop_run (seen.loop);
  g_assert_error (seen.error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
  swarm_scope_files_write (files, "t1", &evil, 1, on_file, &seen);
  g_main_loop_run (seen.loop);
  g_assert_error (seen.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  swarm_scope_files_write (files, "..", two, 2, on_file, &seen);
  g_main_loop_run (seen.loop);
  g_assert_error (seen.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  for (guint i = 0; i < 2; i++) { /* the second time there is nothing */
    swarm_scope_files_remove (files, "t1", NULL, on_file, &seen);
    g_main_loop_run (seen.loop);
    g_assert_no_error (seen.error);
    g_assert_cmpint (g_stat (scope, &st), ==, -1);
  }
  swarm_scope_files_free (files);
  g_main_loop_unref (seen.loop);
  g_clear_pointer (&seen.content, g_free);
  g_rmdir (dir);
}

/* The overview names every operation and service of the header, and its ABI numbers. */
static void
test_manual (void)
{
  g_autofree char *header_path = g_test_build_filename (G_TEST_DIST, "..", "..", "src", "plugin", "swarm-plugin.h", NULL);
  g_autofree char *page_path = g_test_build_filename (G_TEST_DIST, "..", "..", "man", "swarm-plugin.7", NULL);
  g_autofree char *header = NULL, *page = NULL, *abi = NULL;
  g_autoptr (GRegex) member = g_regex_new ("\\(\\*([a-z_]+)\\) \\((?:SwarmPluginHost|SwarmPluginInstance|SwarmPluginCall)", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents (header_path, &header, NULL, NULL));
  g_assert_true (g_file_get_contents (page_path, &page, NULL, NULL));
  for (g_regex_match (member, header, 0, &match); g_match_info_matches (match); g_match_info_next (match, NULL), n++) {
    g_autofree char *name = g_match_info_fetch (match, 1);
    g_autofree char *word = g_strdup_printf ("\\b%s\\b", name);
    g_test_message ("%s", name);
    g_assert_true (g_regex_match_simple (word, page, 0, 0));
  }
  g_assert_cmpuint (n, >=, 30);
  abi = g_strdup_printf ("SWARM_PLUGIN_ABI_RUNTIME \" %d\"", SWARM_PLUGIN_ABI_RUNTIME);
  g_assert_nonnull (strstr (page, abi));
  g_free (abi);
  abi = g_strdup_printf ("SWARM_PLUGIN_ABI_SCHEDULER \" %d\"", SWARM_PLUGIN_ABI_SCHEDULER);
  g_assert_nonnull (strstr (page, abi));
  g_free (abi);
  abi = g_strdup_printf ("SWARM_PLUGIN_ABI_NETWORK \" %d\"", SWARM_PLUGIN_ABI_NETWORK);
  g_assert_nonnull (strstr (page, abi));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plugin/refused", test_refused);
  g_test_add_func ("/plugin/init-fails", test_init_fails);
  g_test_add_func ("/plugin/nonsense", test_nonsense);
  g_test_add_func ("/plugin/spread", test_spread);
  g_test_add_func ("/plugin/spread-branches", test_spread_branches);
  g_test_add_func ("/plugin/runtime", test_runtime);
  g_test_add_func ("/plugin/deadline", test_deadline);
  g_test_add_func ("/plugin/stubborn", test_stubborn);
  g_test_add_func ("/plugin/network", test_network);
  g_test_add_func ("/plugin/unit-properties", test_unit_properties);
  g_test_add_func ("/plugin/unit-refused", test_unit_refused);
  g_test_add_func ("/plugin/unit-state", test_unit_state);
  g_test_add_func ("/plugin/files", test_files);
  g_test_add_func ("/plugin/manual", test_manual);
  return g_test_run ();
}
