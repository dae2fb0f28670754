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

SwarmScaling *
swarm_scaling_new (void)
{
  SwarmScaling *self = g_new0 (SwarmScaling, 1);
  self->surplus = g_array_new (FALSE, FALSE, sizeof (guint64));
  return self;
}

void
swarm_scaling_free (gpointer scaling)
{
  SwarmScaling *self = scaling;
  g_array_unref (self->surplus);
  g_free (self);
}

/* Scale down: slots without a node go first, then from the nodes with most tasks of the service; among equals those not
 * running, then the highest number. */
static void
choose_surplus (GArray *replicas, guint64 want, SwarmScaling *scaling)
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
    g_array_append_val (scaling->surplus, g_array_index (replicas, SwarmReplica, i).slot.number);
  g_array_set_size (replicas, want);
  g_array_sort (replicas, compare_numbers);
}

static GPtrArray *
slot_of_number (SwarmLook *look, guint64 number, SwarmSlot *ret)
{
  GPtrArray *tasks = swarm_store_tasks_of_slot (look->leader->store, &look->service->object.id, number);
  *ret = (SwarmSlot){ number, (SwarmTask **) tasks->pdata, tasks->len };
  return tasks;
}

static void
drop_surplus (SwarmLook *look, SwarmScaling *scaling)
{
  while (scaling->surplus->len > 0 && swarm_look_has_room (look)) {
    SwarmSlot slot;
    g_autoptr (GPtrArray) tasks = slot_of_number (look, g_array_index (scaling->surplus, guint64, scaling->surplus->len - 1), &slot);
    swarm_look_drop_slot (look, &slot, SWARM_TASK_REMOVE);
    if (!look->full) /* all of its tasks: it may need more than one transaction */
      g_array_set_size (scaling->surplus, scaling->surplus->len - 1);
  }
}

/* Scale up: the smallest free numbers. In a slot that was dropped tasks may still be running. */
static void
fill_missing (SwarmLook *look, SwarmScaling *scaling)
{
  for (; scaling->missing > 0 && swarm_look_has_room (look); scaling->next++) {
    SwarmReplica replica = { 0 };
    SwarmSlot slot;
    g_autoptr (GPtrArray) tasks = slot_of_number (look, scaling->next, &slot);
    swarm_replica_init (&replica, look, &slot, &SWARM_ID_NIL);
    if (replica.live != NULL || swarm_replica_has_ended (&replica))
      continue;
    swarm_replica_fill (look, &replica);
    scaling->missing--;
  }
}

static gboolean
scale_on (SwarmLook *look, SwarmScaling *scaling)
{
  drop_surplus (look, scaling);
  fill_missing (look, scaling);
  return scaling->surplus->len > 0 || scaling->missing > 0;
}

gboolean
swarm_replicated_scale (const SwarmLeader *leader, const SwarmId *id, SwarmScaling *scaling, SwarmTx *tx)
{
  gint64 wake = G_MAXINT64;
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_store_now (leader->store), &wake, FALSE };
  if (look.service == NULL || look.service->object.version != scaling->version)
    return FALSE;
  return scale_on (&look, scaling);
}

gboolean
swarm_replicated_reconcile (const SwarmLeader *leader, const SwarmId *id, SwarmScaling *scaling, SwarmTx *tx, gint64 *wake)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (leader->store, id);
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_store_now (leader->store), wake, FALSE };
  gboolean gone = look.service == NULL || look.service->pending_delete;
  guint64 want = gone ? 0 : swarm_service_spec_replicas (look.service->spec);
  g_autoptr (GArray) replicas = g_array_sized_new (FALSE, FALSE, sizeof (SwarmReplica), slots->len);
  for (guint i = 0; i < slots->len && !look.full; i++) {
    SwarmReplica replica = { 0 };
    SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    if (!gone)
      swarm_replica_init (&replica, &look, slot, &SWARM_ID_NIL);
    if (replica.live != NULL || swarm_replica_has_ended (&replica))
      g_array_append_val (replicas, replica);
    else
      swarm_look_drop_slot (&look, slot, SWARM_TASK_REMOVE);
  }
  g_array_set_size (scaling->surplus, 0);
  scaling->missing = 0;
  if (gone || look.full)
    return look.full;
  scaling->version = look.service->object.version;
  scaling->next = 1;
  scaling->missing = want > replicas->len ? want - replicas->len : 0;
  if (replicas->len > want)
    choose_surplus (replicas, want, scaling);
  if (scale_on (&look, scaling))
    return TRUE;
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
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_store_now (leader->store), wake, FALSE };
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
