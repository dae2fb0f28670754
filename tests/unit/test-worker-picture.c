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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker-picture/told", test_told);
  g_test_add_func ("/worker-picture/refused", test_refused);
  g_test_add_func ("/worker-picture/kept", test_kept);
  return g_test_run ();
}
