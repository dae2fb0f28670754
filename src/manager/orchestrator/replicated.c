// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/replicated.h"

static int
compare_for_indexing (gconstpointer a, gconstpointer b)
{
  const SwarmReplica *x = a, *y = b;
  if (x->running != y->running)
    return x->running ? -1 : 1;
  return x->slot.number < y->slot.number ? -1 : x->slot.number > y->slot.number;
}

static int
compare_for_keeping (gconstpointer a, gconstpointer b)
{
  const SwarmReplica *x = a, *y = b;
  if (x->on_node != y->on_node)
    return x->on_node < y->on_node ? -1 : 1;
  return compare_for_indexing (a, b);
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  const SwarmReplica *x = a, *y = b;
  return x->slot.number < y->slot.number ? -1 : x->slot.number > y->slot.number;
}

/* Scale down: slots without a node go first, then from the nodes with most tasks of the service; among equals those not
 * running, then the highest number. */
static void
scale_down (SwarmLook *look, GArray *replicas, guint64 want)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  g_array_sort (replicas, compare_for_indexing);
  for (guint i = 0; i < replicas->len; i++) {
    SwarmReplica *replica = &g_array_index (replicas, SwarmReplica, i);
    replica->on_node = G_MAXUINT;
    if (replica->live == NULL || swarm_id_is_nil (&replica->live->node_id))
      continue;
    guint n = GPOINTER_TO_UINT (g_hash_table_lookup (seen, &replica->live->node_id));
    replica->on_node = n;
    g_hash_table_insert (seen, &replica->live->node_id, GUINT_TO_POINTER (n + 1));
  }
  g_array_sort (replicas, compare_for_keeping);
  for (guint i = want; i < replicas->len; i++)
    swarm_look_drop_slot (look, &g_array_index (replicas, SwarmReplica, i).slot, SWARM_TASK_REMOVE);
  g_array_set_size (replicas, want);
  g_array_sort (replicas, compare_numbers);
}

/* Scale up: the smallest free numbers. @slots: all that exist, also leftovers, whose tasks may still be running. */
static void
scale_up (SwarmLook *look, GArray *replicas, GArray *slots, guint64 want)
{
  guint64 missing = want - replicas->len;
  guint at = 0, old = 0;
  for (guint64 number = 1; missing > 0 && swarm_look_has_room (look); number++) {
    while (at < replicas->len && g_array_index (replicas, SwarmReplica, at).slot.number < number)
      at++;
    if (at < replicas->len && g_array_index (replicas, SwarmReplica, at).slot.number == number)
      continue;
    while (old < slots->len && g_array_index (slots, SwarmSlot, old).number < number)
      old++;
    SwarmReplica fresh = { .slot = { .number = number } };
    if (old < slots->len && g_array_index (slots, SwarmSlot, old).number == number)
      fresh.slot = g_array_index (slots, SwarmSlot, old);
    swarm_replica_fill (look, &fresh);
    missing--;
  }
}

gboolean
swarm_replicated_reconcile (const SwarmLeader *leader, const SwarmId *id, SwarmTx *tx, gint64 *wake)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (leader->store, id);
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_clock_now (leader->clock), wake, FALSE };
  gboolean gone = look.service == NULL || look.service->pending_delete;
  guint64 want = gone ? 0 : swarm_service_spec_replicas (look.service->spec);
  g_autoptr (GArray) replicas = g_array_new (FALSE, FALSE, sizeof (SwarmReplica));
  for (guint i = 0; i < slots->len; i++) {
    SwarmReplica replica = { 0 };
    SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    if (!gone)
      swarm_replica_init (&replica, &look, slot, &SWARM_ID_NIL);
    if (replica.live != NULL || swarm_replica_has_ended (&replica))
      g_array_append_val (replicas, replica);
    else
      swarm_look_drop_slot (&look, slot, SWARM_TASK_REMOVE);
  }
  if (replicas->len > want)
    scale_down (&look, replicas, want);
  else if (replicas->len < want)
    scale_up (&look, replicas, slots, want);
  if (!gone)
    swarm_replicas_tend (&look, replicas);
  return look.full;
}

/* It was one too many. */
static gboolean
slot_was_dropped (const SwarmSlot *slot)
{
  for (guint i = 0; i < slot->n; i++) {
    if (slot->tasks[i]->desired_state < SWARM_TASK_REMOVE)
      return FALSE;
  }
  return TRUE;
}

SwarmLookResult
swarm_replicated_reconcile_slot (const SwarmLeader *leader, const SwarmId *id, guint64 number, SwarmTx *tx, gint64 *wake)
{
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_clock_now (leader->clock), wake, FALSE };
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (leader->store, id, number);
  SwarmSlot slot = { number, (SwarmTask **) tasks->pdata, tasks->len };
  SwarmReplica replica = { 0 };
  if (look.service == NULL || look.service->pending_delete) {
    swarm_look_drop_slot (&look, &slot, SWARM_TASK_REMOVE);
    return look.full ? SWARM_LOOK_FULL : SWARM_LOOK_DONE;
  }
  if (slot_was_dropped (&slot))
    return SWARM_LOOK_DONE;
  swarm_replica_init (&replica, &look, &slot, &SWARM_ID_NIL);
  if (replica.live == NULL && !swarm_replica_has_ended (&replica))
    return SWARM_LOOK_WHOLE; /* one replica less */
  return swarm_replica_tend_alone (&look, &replica);
}
