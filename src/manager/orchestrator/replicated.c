// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/replicated.h"
#include "manager/orchestrator/leaving.h"

#define CHOICE_PART 1024 /* slots to be ranked between two looks at the clock */

/* ---- what there is ---- */

/* FALSE: the transaction is full. */
static gboolean
count_slot (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  SwarmReplica replica;
  swarm_replica_init (&replica, &walk->look, slot, &SWARM_ID_NIL);
  gboolean present = replica.live != NULL || swarm_replica_has_ended (&replica);
  if (!present)
    swarm_look_drop_slot (&walk->look, slot, SWARM_TASK_REMOVE);
  if (walk->look.full)
    return FALSE;
  swarm_roll_count (walk->roll, &replica, present, !present || swarm_replica_is_calm (&walk->look, &replica), walk->look.now);
  return TRUE;
}

static gboolean
drop_slot (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  swarm_look_drop_slot (&walk->look, slot, SWARM_TASK_REMOVE);
  return !walk->look.full;
}

/* ---- the service is gone ---- */

/* FALSE: the transaction is full. */
static gboolean
drop_left (SwarmWalk *walk)
{
  GArray *left = walk->roll->left;
  for (; left->len > 0 && swarm_look_has_room (&walk->look); g_array_set_size (left, left->len - 1)) {
    const SwarmTask *task = swarm_store_get (walk->look.leader->store, SWARM_KIND_TASK, &g_array_index (left, SwarmId, left->len - 1));
    if (task != NULL)
      swarm_task_want (walk->look.tx, task, SWARM_TASK_REMOVE);
  }
  return left->len == 0;
}

/* A slot may be all of a global service's tasks: they are looked up once, not by each pass that drops some. */
static gboolean
leave_slot (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  if (!drop_left (walk)) /* what is left of the slot before */
    return FALSE;
  for (guint i = 0; i < slot->n; i++)
    g_array_append_vals (walk->roll->left, &slot->tasks[i]->object.id, 1);
  return TRUE;
}

/* ---- how many there are to be ---- */

static void
drop_surplus (SwarmWalk *walk)
{
  GArray *surplus = walk->roll->surplus;
  for (guint n = 1; surplus->len > 0 && swarm_look_has_room (&walk->look); n++) {
    SwarmSlot slot;
    guint64 number = g_array_index (surplus, guint64, surplus->len - 1);
    g_autoptr (GPtrArray) tasks = swarm_walk_slot (walk, number, &slot);
    if (drop_slot (walk, number, &slot)) /* all of its tasks: it may need more than one transaction */
      g_array_set_size (surplus, surplus->len - 1);
    if (n % SWARM_WALK_PART == 0 && swarm_walk_time_is_up (walk))
      return;
  }
}

/* Scale up: the smallest free numbers. In a slot that was dropped tasks may still be running. */
static void
fill_missing (SwarmWalk *walk, guint64 missing)
{
  SwarmRoll *roll = walk->roll;
  for (guint n = 1; missing > 0 && swarm_look_has_room (&walk->look); roll->next++, n++) {
    const SwarmRollEntry *entry = swarm_roll_find (roll, roll->next);
    SwarmReplica replica = { 0 };
    SwarmSlot slot;
    if (n % SWARM_WALK_PART == 0 && swarm_walk_time_is_up (walk))
      return;
    if (entry != NULL && entry->present)
      continue;
    g_autoptr (GPtrArray) tasks = swarm_walk_slot (walk, roll->next, &slot);
    swarm_replica_init (&replica, &walk->look, &slot, &SWARM_ID_NIL);
    swarm_replica_fill (&walk->look, &replica);
    swarm_roll_do (roll, roll->next);
    missing--;
  }
}

/* TRUE: there are as many as there are to be. */
static gboolean
scale (SwarmWalk *walk)
{
  SwarmRoll *roll = walk->roll;
  guint64 want = swarm_service_spec_replicas (walk->look.service->spec);
  if (roll->n_present < want) {
    fill_missing (walk, want - roll->n_present);
    return FALSE;
  }
  roll->next = 1;
  if (roll->n_present == want) {
    g_array_set_size (roll->surplus, 0);
    return TRUE;
  }
  while (roll->surplus->len == 0 && !swarm_roll_choose_surplus (roll, want, CHOICE_PART)) {
    if (swarm_walk_time_is_up (walk))
      return FALSE;
  }
  drop_surplus (walk);
  return FALSE;
}

gboolean
swarm_replicated_look (const SwarmLeader *leader, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, roll, waker, NULL };
  swarm_roll_begin_pass (roll);
  if (roll->gone)
    return !drop_left (&walk) || !swarm_walk_all (&walk, id, leave_slot) || !drop_left (&walk);
  if (!swarm_walk_all (&walk, id, count_slot) || !swarm_walk_changed (&walk, count_slot) || !scale (&walk))
    return TRUE;
  return !swarm_walk_tend (&walk);
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
