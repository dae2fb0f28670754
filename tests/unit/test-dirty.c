// SPDX-License-Identifier: LGPL-2.1-or-later
/* What waits for a look: in order, once, as little as is needed, and again when what was found could not be written. */
#include "manager/dirty.h"
#include "manager/orchestrator/dirty-slots.h"

static SwarmId
some_id (guint8 n)
{
  return (SwarmId){ { n, 1 } };
}

static void
test_ids (void)
{
  SwarmDirty dirty;
  SwarmId a = some_id (1), b = some_id (2), id;

  swarm_dirty_init (&dirty);
  g_assert_false (swarm_dirty_take (&dirty, &id));
  swarm_dirty_mark (&dirty, &a);
  swarm_dirty_mark (&dirty, &b);
  swarm_dirty_mark (&dirty, &a);
  g_assert_cmpuint (swarm_dirty_n_waiting (&dirty), ==, 2);
  g_assert_true (swarm_dirty_take (&dirty, &id) && swarm_id_equal (&id, &a));
  swarm_dirty_mark (&dirty, &a); /* anew, behind the other */
  g_assert_true (swarm_dirty_take (&dirty, &id) && swarm_id_equal (&id, &b));
  swarm_dirty_settle (&dirty, FALSE);
  g_assert_cmpuint (swarm_dirty_n_waiting (&dirty), ==, 2);
  g_assert_true (swarm_dirty_take (&dirty, &id) && swarm_id_equal (&id, &a));
  g_assert_true (swarm_dirty_take (&dirty, &id) && swarm_id_equal (&id, &b));
  swarm_dirty_settle (&dirty, TRUE);
  g_assert_false (swarm_dirty_take (&dirty, &id));
  swarm_dirty_settle (&dirty, FALSE); /* nothing was taken since */
  g_assert_false (swarm_dirty_take (&dirty, &id));
  swarm_dirty_clear (&dirty);
}

static void
mark_slot (SwarmDirtySlots *slots, const SwarmId *service, guint64 number)
{
  SwarmSlotKey key = { *service, number, SWARM_ID_NIL };
  swarm_dirty_slots_mark_slot (slots, &key);
}

static guint
n_slots (const SwarmDirtyService *service)
{
  return g_hash_table_size (service->slots);
}

static void
test_slots (void)
{
  SwarmDirtySlots slots;
  SwarmId a = some_id (1), b = some_id (2);
  const SwarmDirtyService *taken;

  swarm_dirty_slots_init (&slots);
  g_assert_null (swarm_dirty_slots_take (&slots));
  mark_slot (&slots, &a, 1);
  mark_slot (&slots, &a, 2);
  mark_slot (&slots, &a, 2);
  swarm_dirty_slots_mark (&slots, &b);
  mark_slot (&slots, &b, 7); /* the whole of it waits already */
  g_assert_cmpuint (swarm_dirty_slots_n_waiting (&slots), ==, 2);
  taken = swarm_dirty_slots_take (&slots);
  g_assert_true (swarm_id_equal (&taken->service, &a) && !taken->whole);
  g_assert_cmpuint (n_slots (taken), ==, 2);
  taken = swarm_dirty_slots_take (&slots);
  g_assert_true (swarm_id_equal (&taken->service, &b) && taken->whole);
  g_assert_cmpuint (n_slots (taken), ==, 0);
  g_assert_null (swarm_dirty_slots_take (&slots));
  swarm_dirty_slots_settle (&slots, FALSE);
  g_assert_cmpuint (swarm_dirty_slots_n_waiting (&slots), ==, 2);
  taken = swarm_dirty_slots_take (&slots);
  g_assert_true (swarm_id_equal (&taken->service, &a) && !taken->whole);
  g_assert_cmpuint (n_slots (taken), ==, 2);
  taken = swarm_dirty_slots_take (&slots);
  g_assert_true (swarm_id_equal (&taken->service, &b) && taken->whole);
  swarm_dirty_slots_settle (&slots, TRUE);
  g_assert_null (swarm_dirty_slots_take (&slots));
  mark_slot (&slots, &a, 1);
  swarm_dirty_slots_mark (&slots, &a); /* the whole is more than a part */
  taken = swarm_dirty_slots_take (&slots);
  g_assert_true (taken->whole);
  swarm_dirty_slots_settle (&slots, TRUE);
  swarm_dirty_slots_clear (&slots);
}

/* A transaction's worth at a time; none is left out. */
static void
test_many_slots (void)
{
  SwarmDirtySlots slots;
  SwarmId a = some_id (1), b = some_id (2);
  const SwarmDirtyService *taken;
  guint seen = 0, parts = 0;

  swarm_dirty_slots_init (&slots);
  for (guint64 i = 0; i < 2 * SWARM_TX_MAX_CHANGES + 50; i++)
    mark_slot (&slots, &a, i);
  mark_slot (&slots, &b, 1);
  taken = swarm_dirty_slots_take (&slots);
  g_assert_cmpuint (n_slots (taken), ==, SWARM_TX_MAX_CHANGES);
  swarm_dirty_slots_settle (&slots, FALSE); /* not written: all of them once more */
  while ((taken = swarm_dirty_slots_take (&slots)) != NULL) {
    g_assert_cmpuint (n_slots (taken), <=, SWARM_TX_MAX_CHANGES);
    seen += swarm_id_equal (&taken->service, &a) ? n_slots (taken) : 0;
    parts++;
    swarm_dirty_slots_settle (&slots, TRUE);
  }
  g_assert_cmpuint (seen, ==, 2 * SWARM_TX_MAX_CHANGES + 50);
  g_assert_cmpuint (parts, ==, 4);
  /* Looked at in whole, the rest need not wait any more. */
  for (guint64 i = 0; i < SWARM_TX_MAX_CHANGES + 1; i++)
    mark_slot (&slots, &a, i);
  g_assert_nonnull (swarm_dirty_slots_take (&slots));
  swarm_dirty_slots_take_rest (&slots, &a);
  swarm_dirty_slots_take_rest (&slots, &b); /* nothing of it waits */
  g_assert_cmpuint (swarm_dirty_slots_n_waiting (&slots), ==, 0);
  swarm_dirty_slots_settle (&slots, FALSE);
  g_assert_cmpuint (swarm_dirty_slots_n_waiting (&slots), ==, 1);
  swarm_dirty_slots_clear (&slots);
}

static void
test_keys (void)
{
  SwarmSlotKey key = { some_id (1), 5, some_id (9) }, same = key, other = key;

  g_assert_true (swarm_slot_key_equal (&key, &same));
  g_assert_cmpuint (swarm_slot_key_hash (&key), ==, swarm_slot_key_hash (&same));
  other.number = 6;
  g_assert_false (swarm_slot_key_equal (&key, &other));
  other = key;
  other.service = some_id (2);
  g_assert_false (swarm_slot_key_equal (&key, &other));
  other = key;
  other.node = some_id (2);
  g_assert_false (swarm_slot_key_equal (&key, &other));
  g_autoptr (SwarmTask) task = swarm_task_new ();
  task->service_id = some_id (1);
  task->slot = 5;
  task->node_id = some_id (9);
  SwarmSlotKey by_slot = swarm_slot_key_of (task, FALSE), by_node = swarm_slot_key_of (task, TRUE);
  g_assert_true (by_slot.number == 5 && swarm_id_is_nil (&by_slot.node));
  g_assert_true (by_node.number == 0 && swarm_id_equal (&by_node.node, &task->node_id));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dirty/ids", test_ids);
  g_test_add_func ("/dirty/slots", test_slots);
  g_test_add_func ("/dirty/many-slots", test_many_slots);
  g_test_add_func ("/dirty/keys", test_keys);
  return g_test_run ();
}
