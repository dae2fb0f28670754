// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a worker is told of the cluster's networks: taken whole or not at all, kept over restarts, given on as it changes. */
#pragma GCC diagnostic ignored "-Wunused-function" /* the bed has more than is needed here */
#include "worker-bed.h"

typedef struct {
  guint wholes, changes;
  guint n[_SWARM_KIND_MAX];      /* rows in the last one */
  guint n_gone[_SWARM_KIND_MAX]; /* removed in the last one */
} Seen;

static Seen seen;

static void
changed (const SwarmPictureChange *change, gpointer data)
{
  seen.wholes += change->whole;
  seen.changes += !change->whole;
  for (guint i = 0; i < _SWARM_KIND_MAX; i++) {
    seen.n[i] = change->rows[i] != NULL ? change->rows[i]->len : 0;
    seen.n_gone[i] = change->removed[i] != NULL ? change->removed[i]->len : 0;
  }
}

static Bed *
bed_with_hook (guint64 seed)
{
  seen = (Seen){ 0 };
  bed_picture_changed = changed;
  Bed *bed = bed_new (seed);
  sim_clock_run (bed->clock, SECOND);
  return bed;
}

static void
add_network_row (SwarmBuffer *rows, guint number, const char *name)
{
  g_autoptr (SwarmPictureNetwork) row = swarm_picture_network_new ();
  row->id.bytes[0] = (guint8) number;
  row->name = g_strdup (name);
  g_autoptr (GBytes) bytes = swarm_message_encode (row);
  swarm_picture_pack (rows, SWARM_KIND_NETWORK, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

/* @first to @last are sent, @gone (0: none) is taken away. */
static void
send (Bed *bed, guint64 sequence, gboolean full, guint first, guint last, const char *name, guint gone)
{
  Manager *leader = leader_of (bed);
  SwarmBuffer rows = { 0 }, removed = { 0 };
  for (guint i = first; i <= last; i++)
    add_network_row (&rows, i, name);
  if (gone != 0) {
    SwarmId id = { { (guint8) gone } };
    swarm_picture_pack (&removed, SWARM_KIND_NETWORK, id.bytes, sizeof id.bytes);
  }
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Networks",
                   g_variant_new ("(@aytb@ay@ay)", ay (leader->session, 16), sequence, full, ay (rows.data, rows.len), ay (removed.data, removed.len)),
                   5 * SECOND, on_assigned, bed);
  g_free (rows.data);
  g_free (removed.data);
  sim_clock_run (bed->clock, SECOND);
}

static void
count (gpointer row, gpointer data)
{
  ++*(guint *) data;
}

static guint
n_networks (Bed *bed)
{
  guint n = 0;
  swarm_worker_picture_foreach (bed->worker, SWARM_KIND_NETWORK, count, &n);
  return n;
}

static void
test_told (void)
{
  g_autoptr (Bed) bed = bed_with_hook (1);
  send (bed, 0, TRUE, 1, 2, "a", 0);
  g_assert_cmpuint (seen.wholes + seen.changes, ==, 0); /* not in parts, at first */
  send (bed, 1, TRUE, 3, 3, "a", 0);
  g_assert_cmpuint (seen.wholes, ==, 1);
  g_assert_cmpuint (seen.n[SWARM_KIND_NETWORK], ==, 3);
  send (bed, 2, FALSE, 3, 4, "b", 1);
  g_assert_cmpuint (seen.changes, ==, 1);
  g_assert_cmpuint (seen.n[SWARM_KIND_NETWORK], ==, 2);
  g_assert_cmpuint (seen.n_gone[SWARM_KIND_NETWORK], ==, 1);
  send (bed, 3, FALSE, 4, 4, "b", 9); /* as it was; nothing to take away */
  g_assert_cmpuint (seen.changes, ==, 1);
  g_assert_cmpuint (bed->assign_errors, ==, 0);
  SwarmId id = { { 4 } };
  g_autoptr (SwarmPictureNetwork) row = swarm_worker_picture_get (bed->worker, SWARM_KIND_NETWORK, &id);
  g_assert_cmpstr (row->name, ==, "b");
  g_assert_cmpuint (n_networks (bed), ==, 3);
  /* The whole anew: only what differs is given on. */
  send (bed, 0, TRUE, 2, 3, "b", 0);
  g_assert_cmpuint (seen.changes, ==, 2);
  g_assert_cmpuint (seen.n[SWARM_KIND_NETWORK], ==, 1);
  send (bed, 1, TRUE, 5, 5, "b", 0);
  g_assert_cmpuint (seen.changes, ==, 3);
  g_assert_cmpuint (seen.n[SWARM_KIND_NETWORK], ==, 1);
  g_assert_cmpuint (seen.n_gone[SWARM_KIND_NETWORK], ==, 1);
  g_assert_cmpuint (n_networks (bed), ==, 3);
  g_assert_cmpuint (seen.wholes, ==, 1);
}

static void
test_refused (void)
{
  g_autoptr (Bed) bed = bed_with_hook (2);
  Manager *leader = leader_of (bed);
  send (bed, 2, FALSE, 1, 1, "a", 0); /* nothing to change yet */
  g_assert_cmpuint (bed->assign_errors, ==, 1);
  g_assert_error (bed->last_error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
  send (bed, 1, TRUE, 1, 1, "a", 0);
  send (bed, 3, FALSE, 2, 2, "a", 0); /* a gap */
  g_assert_cmpuint (bed->assign_errors, ==, 2);
  send (bed, 2, FALSE, 0, 2, "a", 0); /* one has no id: nothing of it counts */
  g_assert_cmpuint (bed->assign_errors, ==, 3);
  g_assert_error (bed->last_error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (n_networks (bed), ==, 1);
  leader->session[0] ^= 1;
  send (bed, 2, FALSE, 2, 2, "a", 0);
  g_assert_error (bed->last_error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  leader->session[0] ^= 1;
  static const struct {
    const char *rows, *removed, *error;
  } bad[] = {
    { "[byte 200, 1, 1]", "@ay []", "200 is no kind of rows" },
    { "@ay []", "[byte 2, 3, 1, 1, 1]", "an id of 3 bytes" },
    { "@ay []", "[byte 200, 1, 1]", "200 is no kind of rows" },
    { "[byte 2, 3, 1]", "@ay []", "a list of rows is cut short" },
    { "@ay []", "[byte 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]", "a list of rows is cut short" },
    { "@ay []", "[byte 2]", "a list of rows is cut short" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GVariant) rows = g_variant_ref_sink (g_variant_new_parsed (bad[i].rows));
    g_autoptr (GVariant) gone = g_variant_ref_sink (g_variant_new_parsed (bad[i].removed));
    swarm_link_call (leader->control, "org.swarmagent1.Worker", "Networks",
                     g_variant_new ("(@aytb@ay@ay)", ay (leader->session, 16), (guint64) 2, FALSE, rows, gone), 5 * SECOND, on_assigned, bed);
    sim_clock_run (bed->clock, SECOND);
    g_assert_cmpuint (bed->assign_errors, ==, 5 + i);
    g_assert_cmpstr (bed->last_error->message, ==, bad[i].error);
    g_assert_cmpuint (n_networks (bed), ==, 1);
  }
}

static void
test_kept (void)
{
  g_autoptr (Bed) bed = bed_with_hook (3);
  send (bed, 1, TRUE, 1, 3, "a", 0);
  sim_clock_run (bed->clock, 5 * SECOND);
  /* The agent starts, and there is no leader. */
  agent_kill (bed);
  manager_crash (&bed->managers[0], FALSE);
  seen = (Seen){ 0 };
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (seen.wholes, ==, 1);
  g_assert_cmpuint (seen.n[SWARM_KIND_NETWORK], ==, 3);
  g_assert_cmpuint (n_networks (bed), ==, 3);
  /* What is damaged is left: the leader tells it anew. */
  agent_kill (bed);
  GArray *ops = swarm_disk_ops_new ();
  g_autoptr (GBytes) rot = g_bytes_new_static ("rot", 3);
  swarm_disk_ops_write (ops, "networks.picture", 20, rot);
  sim_disk_iface (bed->disk)->submit (sim_disk_iface (bed->disk), ops, NULL, NULL);
  sim_clock_run (bed->clock, SECOND);
  seen = (Seen){ 0 };
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (seen.wholes, ==, 0);
  g_assert_cmpuint (n_networks (bed), ==, 0);
}

/* ---- when it is in force ---- */

struct SwarmPluginInstance {
  SwarmPluginHost *host;
};

static SwarmPluginInstance slow;
static GPtrArray *settling; /* SwarmPluginCall */
static guint pictures;

static SwarmPluginInstance *
slow_init (SwarmPluginHost *host, char *error, size_t error_length)
{
  slow.host = host;
  return &slow;
}

static void
slow_fini (SwarmPluginInstance *self)
{
  g_ptr_array_set_size (settling, 0);
}

static void
slow_none (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static void
slow_detach (SwarmPluginInstance *self, const char *task, SwarmPluginCall *call)
{
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static void
slow_picture (SwarmPluginInstance *self, const SwarmPluginPicture *picture)
{
  pictures++;
}

static void
slow_settle (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  g_ptr_array_add (settling, call);
}

static void
slow_cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  g_assert_true (g_ptr_array_remove (settling, call));
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_CANCELLED, .error = "not yet" });
}

static const SwarmNetworkOps slow_ops = {
  .init = slow_init, .fini = slow_fini, .attach = slow_none, .detach = slow_detach, .picture = slow_picture, .cancel = slow_cancel, .settle = slow_settle,
};
static const SwarmPluginDescriptor slow_plugin = {
  SWARM_PLUGIN_MAGIC, sizeof (SwarmPluginDescriptor), SWARM_PLUGIN_NETWORK, SWARM_PLUGIN_ABI_NETWORK, sizeof (SwarmNetworkOps),
  sizeof (SwarmPluginHost), "network-slow", "takes its time", "1", &slow_ops,
};

static void
slow_done (void)
{
  slow.host->finish (g_ptr_array_steal_index (settling, 0), &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static Bed *
slow_bed (guint64 seed)
{
  Bed *bed = bed_with_hook (seed);
  settling = g_ptr_array_new ();
  pictures = 0;
  agent_kill (bed);
  swarm_plugin_unref (bed->network_plugin);
  bed->network_plugin = swarm_plugin_from_descriptor (&slow_plugin, SWARM_PLUGIN_NETWORK, NULL);
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  return bed;
}

static void
on_answer (GVariant *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ++*(guint *) data;
}

/* Sends a change, or the first whole, and counts the answer. */
static void
call_networks (Bed *bed, guint64 sequence, guint number, guint *answers)
{
  Manager *leader = leader_of (bed);
  SwarmBuffer rows = { 0 };
  add_network_row (&rows, number, "a");
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Networks",
                   g_variant_new ("(@aytb@ay@ay)", ay (leader->session, 16), sequence, sequence <= 1, ay (rows.data, rows.len), ay ("", 0)), 30 * SECOND,
                   on_answer, answers);
  g_free (rows.data);
}

static void
call_and_run (Bed *bed, guint64 sequence, guint number, guint *answers)
{
  call_networks (bed, sequence, number, answers);
  sim_clock_run (bed->clock, SECOND / 10);
}

/* The leader hears that the picture was taken when the plugin has brought it about, or after a second. */
static void
test_settles (void)
{
  Bed *bed = slow_bed (4);
  guint answers = 0;
  call_and_run (bed, 0, 1, &answers); /* nothing was given yet that could be waited for */
  g_assert_cmpuint (answers, ==, 1);
  call_and_run (bed, 1, 2, &answers);
  g_assert_cmpuint (pictures, ==, 1);
  g_assert_cmpuint (settling->len, ==, 1);
  sim_clock_run (bed->clock, SECOND * 8 / 10);
  g_assert_cmpuint (answers, ==, 1);
  slow_done ();
  sim_clock_run (bed->clock, SECOND / 10);
  g_assert_cmpuint (answers, ==, 2);
  call_and_run (bed, 2, 3, &answers);
  g_assert_cmpuint (answers, ==, 2);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (answers, ==, 3);
  g_assert_cmpuint (settling->len, ==, 0);
  for (guint i = 0; i < 20; i++) /* more than are waited for */
    call_networks (bed, 3 + i, 4 + i, &answers);
  sim_clock_run (bed->clock, SECOND / 10);
  g_assert_cmpuint (settling->len, ==, 16);
  g_assert_cmpuint (answers, ==, 7);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpuint (answers, ==, 23);
  bed_free (bed);
  g_ptr_array_unref (settling);
}

static void
on_failure (GVariant *reply, const GError *error, gpointer data)
{
  ++*(guint *) data;
}

/* The agent ends, and the caller's connection with it: nobody waits for ever, nothing is left. */
static void
test_ends_while_settling (void)
{
  Bed *bed = slow_bed (5);
  Manager *leader = leader_of (bed);
  guint answers = 0;
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Networks",
                   g_variant_new ("(@aytb@ay@ay)", ay (leader->session, 16), (guint64) 1, TRUE, ay ("", 0), ay ("", 0)), 30 * SECOND, on_failure, &answers);
  sim_clock_run (bed->clock, SECOND / 10);
  g_assert_cmpuint (settling->len, ==, 1);
  g_assert_cmpuint (answers, ==, 0);
  agent_kill (bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (answers, ==, 1);
  bed_free (bed);
  g_ptr_array_unref (settling);
}

/* A task's addresses are free when it is off its network. */
static void
test_detach_settles (void)
{
  Bed *bed = slow_bed (6);
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
  want (bed, &id, SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, SECOND * 8 / 10);
  unassign (bed, &id);
  SwarmWorkerStatus status;
  for (guint i = 0; settling->len == 0 && i < 30; i++)
    sim_clock_run (bed->clock, SECOND / 10);
  g_assert_cmpuint (settling->len, ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 1);
  slow_done ();
  sim_clock_run (bed->clock, SECOND / 10);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  bed_free (bed);
  g_ptr_array_unref (settling);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker-picture/told", test_told);
  g_test_add_func ("/worker-picture/refused", test_refused);
  g_test_add_func ("/worker-picture/kept", test_kept);
  g_test_add_func ("/worker-picture/settles", test_settles);
  g_test_add_func ("/worker-picture/ends-while-settling", test_ends_while_settling);
  g_test_add_func ("/worker-picture/detach-settles", test_detach_settles);
  return g_test_run ();
}
