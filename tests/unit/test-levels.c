// SPDX-License-Identifier: LGPL-2.1-or-later
/* Feature levels (DESIGN "Versions"): a write that not all managers understand is refused; a manager that meets one all the same stops and says
 * so; what a version does not know of an object, it keeps. */
#include "base/error.h"
#include "brain-fixture.h"

/* ---- what a message needs ---- */

typedef struct {
  SwarmMessage message;
  char *old;
  char *newer; /* level 3 */
} Inner;

static const SwarmField inner_fields[] = {
  SWARM_FIELD (1, "Old", Inner, old, STRING),
  SWARM_FIELD (2, "Newer", Inner, newer, STRING, .since = 3),
  { 0 },
};
static const SwarmType inner_type = { "Inner", sizeof (Inner), inner_fields, NULL };

typedef struct {
  SwarmMessage message;
  guint64 old;
  guint64 newer; /* level 2 */
  Inner *inner;
  GPtrArray *inners;
} Outer;

static const SwarmField outer_fields[] = {
  SWARM_FIELD (1, "Old", Outer, old, UINT),
  SWARM_FIELD (2, "Newer", Outer, newer, UINT, .since = 2, .fallback = 7),
  SWARM_FIELD (3, "Inner", Outer, inner, MESSAGE, .type = &inner_type),
  SWARM_FIELD (4, "Inners", Outer, inners, MESSAGES, .type = &inner_type),
  { 0 },
};
static const SwarmType outer_type = { "Outer", sizeof (Outer), outer_fields, NULL };

static void
test_message (void)
{
  Outer *outer = swarm_message_new (&outer_type), *copy;

  g_assert_cmpuint (swarm_type_level (&outer_type), ==, 3);
  outer->old = 1;
  g_assert_cmpuint (swarm_message_level (outer, NULL), ==, 0);
  outer->newer = 8;
  g_assert_cmpuint (swarm_message_level (outer, NULL), ==, 2);
  outer->inner = swarm_message_new (&inner_type);
  g_assert_cmpuint (swarm_message_level (outer, NULL), ==, 2);
  outer->inner->newer = g_strdup ("x");
  g_assert_cmpuint (swarm_message_level (outer, NULL), ==, 3);

  /* Only what is said anew counts. */
  copy = swarm_message_copy (outer);
  copy->old = 2;
  g_assert_cmpuint (swarm_message_level (copy, outer), ==, 0);
  copy->newer = 7;
  g_assert_cmpuint (swarm_message_level (copy, outer), ==, 2);
  swarm_message_clear_pointer (&copy->inner);
  copy->inner = swarm_message_copy (outer->inner);
  g_assert_cmpuint (swarm_message_level (copy, outer), ==, 2);
  swarm_string_set (&copy->inner->newer, "y");
  g_assert_cmpuint (swarm_message_level (copy, outer), ==, 3);
  swarm_message_unref (copy);

  copy = swarm_message_new (&outer_type);
  copy->inners = swarm_messages_new ();
  g_ptr_array_add (copy->inners, swarm_message_ref (outer->inner));
  g_assert_cmpuint (swarm_message_level (copy, NULL), ==, 3);
  swarm_message_unref (copy);
  swarm_message_unref (outer);
}

/* ---- the store ---- */

typedef struct {
  GBytes *entry; /* the last that was proposed */
  SwarmProposedFunc done;
  gpointer done_data;
  SwarmStore *store;
  guint64 index;
  int code; /* of the last commit; -1: fine */
} Log;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  Log *log = data;

  g_clear_pointer (&log->entry, g_bytes_unref);
  log->entry = g_bytes_ref (entry);
  log->done = done;
  log->done_data = done_data;
}

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  ((Log *) data)->code = error != NULL ? error->code : -1;
}

/* Commits and applies; FALSE when nothing was proposed. */
static gboolean
commit (Log *log, SimClock *sim, SwarmTx *tx)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&log->entry, g_bytes_unref);
  log->code = -2;
  swarm_tx_commit (tx, NULL, committed, log);
  if (log->entry != NULL) {
    g_assert_true (swarm_store_apply (log->store, ++log->index, log->entry, &error));
    g_assert_no_error (error);
    log->done (log->index, NULL, log->done_data);
  }
  swarm_virtual_clock_run (sim, SECOND);
  g_assert_cmpint (log->code, !=, -2);
  return log->entry != NULL;
}

static SwarmTx *
new_service (Log *log, const char *name, guint level)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  SwarmTx *tx = swarm_store_tx (log->store);

  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup (name);
  swarm_tx_create (tx, service);
  swarm_tx_need_level (tx, level);
  return tx;
}

static void
set_cluster_level (Log *log, SimClock *sim, guint level)
{
  SwarmCluster *cluster = swarm_store_cluster (log->store);
  g_autoptr (SwarmCluster) copy = cluster != NULL ? swarm_cluster_copy (cluster) : swarm_cluster_new ();
  SwarmTx *tx = swarm_store_tx (log->store);

  copy->feature_level = level;
  if (cluster != NULL)
    swarm_tx_update (tx, copy);
  else
    swarm_tx_create (tx, copy);
  g_assert_true (commit (log, sim, tx));
  g_assert_cmpint (log->code, ==, -1);
}

static void
test_refused (void)
{
  SimRandom random;
  SimClock *sim = swarm_virtual_clock_new (SECOND);
  SwarmClock *clock = swarm_virtual_clock_iface (sim);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) before = NULL, after = NULL;
  Log log = { 0 };
  SwarmStore *old;

  sim_random_init (&random, 1);
  log.store = swarm_store_new (clock, &random.iface, propose, &log);
  old = swarm_store_new (clock, &random.iface, propose, &log);
  swarm_store_set_level_known (log.store, 3);
  swarm_store_set_level_known (old, 2);
  g_assert_cmpuint (swarm_store_cluster_level (log.store), ==, 3);
  set_cluster_level (&log, sim, 2);
  g_assert_cmpuint (swarm_store_cluster_level (log.store), ==, 2);
  g_assert_true (swarm_store_apply (old, log.index, log.entry, &error));

  /* Not all managers know level 3: nothing is proposed. */
  g_assert_false (commit (&log, sim, new_service (&log, "three", 3)));
  g_assert_cmpint (log.code, ==, SWARM_ERROR_NOT_SUPPORTED);
  g_assert_true (commit (&log, sim, new_service (&log, "two", 2)));
  g_assert_cmpint (log.code, ==, -1);
  g_assert_true (swarm_store_apply (old, log.index, log.entry, &error));
  g_assert_cmpuint (swarm_store_level_used (log.store), ==, 2);
  g_assert_cmpuint (swarm_store_level_used (old), ==, 2);
  before = swarm_store_encode (log.store);

  /* They do: the older program stops at it, says why, and has applied nothing of it. */
  set_cluster_level (&log, sim, 3);
  g_assert_true (swarm_store_apply (old, log.index, log.entry, &error));
  g_assert_true (commit (&log, sim, new_service (&log, "three", 3)));
  g_assert_cmpint (log.code, ==, -1);
  g_assert_false (swarm_store_apply (old, log.index, log.entry, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "an entry of feature level 3; this version of swarm-agent knows 2: upgrade it"));
  g_clear_error (&error);
  g_assert_cmpuint (swarm_store_count (old, SWARM_KIND_SERVICE), ==, 1);
  g_assert_cmpuint (swarm_store_index (old), ==, log.index - 1);

  /* Nor does it take a snapshot of such a state; one of before is fine. */
  after = swarm_store_encode (log.store);
  g_assert_false (swarm_store_restore (old, log.index, after, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_true (swarm_store_restore (old, log.index, before, &error));
  g_assert_cmpuint (swarm_store_level_used (old), ==, 2);
  swarm_store_set_level_known (old, 3);
  g_assert_true (swarm_store_restore (old, log.index, after, &error));
  g_assert_cmpuint (swarm_store_level_used (old), ==, 3);
  g_clear_pointer (&log.entry, g_bytes_unref);
  swarm_store_free (old);
  swarm_store_free (log.store);
  swarm_virtual_clock_free (sim);
}

/* An older manager leads and changes what a newer one made: what it does not know of it stays. */
static void
test_unknown_stays (void)
{
  static const guint8 unknown[] = { 0xc2, 0x3e, 0x05, 'h', 'e', 'l', 'l', 'o' }; /* field 1000 */
  SimRandom random;
  SimClock *sim = swarm_virtual_clock_new (SECOND);
  Log log = { 0 };
  g_autoptr (GError) error = NULL;

  sim_random_init (&random, 1);
  log.store = swarm_store_new (swarm_virtual_clock_iface (sim), &random.iface, propose, &log);
  SwarmStore *other = swarm_store_new (swarm_virtual_clock_iface (sim), &random.iface, propose, &log);
  g_autoptr (SwarmService) service = swarm_service_new ();
  service->object.message.unknown = g_bytes_new_static (unknown, sizeof unknown);
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup ("web");
  service->spec->message.unknown = g_bytes_new_static (unknown, sizeof unknown);
  SwarmTx *tx = swarm_store_tx (log.store);
  swarm_tx_create (tx, service);
  g_assert_true (commit (&log, sim, tx));
  g_assert_true (swarm_store_apply (other, log.index, log.entry, &error));
  for (guint i = 0; i < 2; i++) {
    g_autoptr (SwarmService) copy = swarm_service_copy (swarm_store_get (log.store, SWARM_KIND_SERVICE, &service->object.id));
    g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (copy->spec);
    spec->labels = swarm_map_new ();
    g_hash_table_insert (spec->labels, g_strdup ("round"), g_strdup_printf ("%u", i));
    swarm_message_set_pointer (&copy->spec, spec);
    tx = swarm_store_tx (log.store);
    swarm_tx_update (tx, copy);
    g_assert_true (commit (&log, sim, tx));
    g_assert_true (swarm_store_apply (other, log.index, log.entry, &error));
    if (i == 0) { /* and through a snapshot */
      g_autoptr (GBytes) bytes = swarm_store_encode (other);
      g_assert_true (swarm_store_restore (other, log.index, bytes, &error));
    }
  }
  SwarmService *left = swarm_store_get (log.store, SWARM_KIND_SERVICE, &service->object.id);
  SwarmService *right = swarm_store_get (other, SWARM_KIND_SERVICE, &service->object.id);
  for (guint i = 0; i < 2; i++) {
    SwarmService *it = i == 0 ? left : right;
    g_assert_cmpstr (g_hash_table_lookup (it->spec->labels, "round"), ==, "1");
    g_assert_nonnull (it->object.message.unknown);
    g_assert_nonnull (it->spec->message.unknown);
    g_assert_cmpmem (g_bytes_get_data (it->object.message.unknown, NULL), g_bytes_get_size (it->object.message.unknown), unknown, sizeof unknown);
    g_assert_cmpmem (g_bytes_get_data (it->spec->message.unknown, NULL), g_bytes_get_size (it->spec->message.unknown), unknown, sizeof unknown);
  }
  g_clear_pointer (&log.entry, g_bytes_unref);
  swarm_store_free (other);
  swarm_store_free (log.store);
  swarm_virtual_clock_free (sim);
}

/* ---- the cluster's level is the lowest of its managers ---- */

static void
changed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static Tame *
manager_of_level (Brain *brain, const char *hostname, guint level)
{
  Tame *node = brain_node (brain, hostname);
  brain_run (brain, SECOND);
  g_autoptr (SwarmNode) copy = swarm_node_copy (tame_node (node));
  g_autoptr (SwarmNodeSpec) spec = swarm_node_spec_copy (copy->spec);
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_copy (copy->description);
  SwarmMember member = { .node = node->id, .voter = TRUE, .reachable = TRUE };
  SwarmTx *tx = swarm_store_tx (brain->store);

  spec->role = SWARM_ROLE_MANAGER;
  description->feature_level = level;
  swarm_message_set_pointer (&copy->spec, spec);
  swarm_message_set_pointer (&copy->description, description);
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, changed, NULL);
  brain_run (brain, SECOND);
  g_array_append_val (brain->members, member);
  swarm_manager_members_changed (brain->manager);
  brain_run (brain, SECOND);
  return node;
}

static void
set_level (Brain *brain, Tame *node, guint level)
{
  g_autoptr (SwarmNode) copy = swarm_node_copy (tame_node (node));
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_copy (copy->description);
  SwarmTx *tx = swarm_store_tx (brain->store);

  description->feature_level = level;
  swarm_message_set_pointer (&copy->description, description);
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, changed, NULL);
  brain_run (brain, SECOND);
}

static void
test_lowest (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_array_set_size (brain->members, 0);
  Tame *a = manager_of_level (brain, "a", 3), *b;
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 3);
  /* One that has not said anything, as it has just joined, counts as the oldest that can be a manager: a new cluster's networks are of level 2. */
  b = manager_of_level (brain, "b", 0);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  set_level (brain, b, 2);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  set_level (brain, a, 2);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  set_level (brain, b, 3);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  /* Upgraded one after the other, and back. */
  set_level (brain, a, 3);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 3);
  set_level (brain, b, 2);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  /* Only managers count. */
  Tame *worker = brain_node (brain, "worker");
  brain_run (brain, SECOND);
  set_level (brain, worker, 1);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 2);
  g_array_set_size (brain->members, 1);
  swarm_manager_members_changed (brain->manager);
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_cluster (brain->store)->feature_level, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/levels/message", test_message);
  g_test_add_func ("/levels/refused", test_refused);
  g_test_add_func ("/levels/unknown-stays", test_unknown_stays);
  g_test_add_func ("/levels/lowest-of-the-managers", test_lowest);
  return g_test_run ();
}
