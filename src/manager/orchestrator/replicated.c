// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/replicated.h"
#include "manager/orchestrator/leaving.h"

#define PART 64          /* slots between two looks at the clock */
#define CHOICE_PART 1024 /* slots to be ranked */

typedef struct {
  SwarmLook look;
  SwarmRoll *roll;
  const SwarmSlotWaker *waker;
  gint64 *wake; /* the whole service's */
} Walk;

static gboolean
time_is_up (const Walk *walk)
{
  SwarmRunner *runner = walk->look.leader->runner;
  return runner != NULL && swarm_runner_time_is_up (runner);
}

static GPtrArray *
slot_of_number (SwarmLook *look, guint64 number, SwarmSlot *ret)
{
  GPtrArray *tasks = swarm_store_tasks_of_slot (look->leader->store, &look->service->object.id, number);
  *ret = (SwarmSlot){ number, (SwarmTask **) tasks->pdata, tasks->len };
  return tasks;
}

/* ---- what there is ---- */

/* FALSE: the transaction is full. */
static gboolean
count_slot (Walk *walk, const SwarmSlot *slot)
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
drop_slot (Walk *walk, const SwarmSlot *slot)
{
  swarm_look_drop_slot (&walk->look, slot, SWARM_TASK_REMOVE);
  return !walk->look.full;
}

/* All slots that are there, in parts. FALSE: not all yet. */
static gboolean
walk_slots (Walk *walk, const SwarmId *service, gboolean (*visit) (Walk *walk, const SwarmSlot *slot))
{
  SwarmRoll *roll = walk->roll;
  while (!roll->counted) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_from_slot (walk->look.leader->store, service, roll->cursor, PART);
    g_autoptr (GArray) slots = swarm_slots_of (tasks);
    for (guint i = 0; i < slots->len; i++) {
      const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
      if (!visit (walk, slot))
        return FALSE;
      roll->cursor = slot->number + 1;
    }
    roll->counted = tasks->len < PART;
    if (time_is_up (walk))
      return FALSE;
  }
  return TRUE;
}

/* FALSE: there are more. */
static gboolean
count_changed (Walk *walk)
{
  SwarmRoll *roll = walk->roll;
  swarm_roll_touch_due (roll, walk->look.now);
  for (guint n = 1; roll->stale->len > 0; n++) {
    guint64 number = g_array_index (roll->stale, guint64, roll->stale->len - 1);
    SwarmSlot slot;
    g_autoptr (GPtrArray) tasks = slot_of_number (&walk->look, number, &slot);
    if (!count_slot (walk, &slot))
      return FALSE;
    swarm_roll_find (roll, number)->stale = FALSE;
    g_array_set_size (roll->stale, roll->stale->len - 1);
    if (n % PART == 0 && time_is_up (walk))
      return FALSE;
  }
  return TRUE;
}

/* ---- how many there are to be ---- */

static void
drop_surplus (Walk *walk)
{
  GArray *surplus = walk->roll->surplus;
  while (surplus->len > 0 && swarm_look_has_room (&walk->look) && !time_is_up (walk)) {
    SwarmSlot slot;
    g_autoptr (GPtrArray) tasks = slot_of_number (&walk->look, g_array_index (surplus, guint64, surplus->len - 1), &slot);
    if (drop_slot (walk, &slot)) /* all of its tasks: it may need more than one transaction */
      g_array_set_size (surplus, surplus->len - 1);
  }
}

/* Scale up: the smallest free numbers. In a slot that was dropped tasks may still be running. */
static void
fill_missing (Walk *walk, guint64 missing)
{
  SwarmRoll *roll = walk->roll;
  for (guint n = 1; missing > 0 && swarm_look_has_room (&walk->look); roll->next++, n++) {
    const SwarmRollEntry *entry = swarm_roll_find (roll, roll->next);
    SwarmReplica replica = { 0 };
    SwarmSlot slot;
    if (n % PART == 0 && time_is_up (walk))
      return;
    if (entry != NULL && entry->present)
      continue;
    g_autoptr (GPtrArray) tasks = slot_of_number (&walk->look, roll->next, &slot);
    swarm_replica_init (&replica, &walk->look, &slot, &SWARM_ID_NIL);
    swarm_replica_fill (&walk->look, &replica);
    missing--;
  }
}

/* TRUE: there are as many as there are to be. */
static gboolean
scale (Walk *walk)
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
    if (time_is_up (walk))
      return FALSE;
  }
  drop_surplus (walk);
  return FALSE;
}

/* ---- restarts, moves, updates ---- */

static void
tend_slot (Walk *walk, guint64 number, const SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  guint n = swarm_tx_n_changes (look->tx);
  gint64 wake = G_MAXINT64;
  SwarmReplica replica;
  SwarmSlot slot;
  g_autoptr (GPtrArray) tasks = slot_of_number (look, number, &slot);
  swarm_replica_init (&replica, look, &slot, &SWARM_ID_NIL);
  look->wake = &wake;
  swarm_replica_tend (look, &replica, update);
  look->wake = walk->wake;
  if (wake != G_MAXINT64 && walk->waker != NULL)
    walk->waker->slot (&look->service->object.id, number, wake, walk->waker->data);
  if (swarm_tx_n_changes (look->tx) > n)
    swarm_roll_find (walk->roll, number)->pass = walk->roll->pass;
}

/* FALSE: there are more. */
static gboolean
tend (Walk *walk, const SwarmUpdate *update)
{
  SwarmRoll *roll = walk->roll;
  for (; roll->tended < roll->untended->len; roll->tended++) {
    guint64 number = g_array_index (roll->untended, guint64, roll->tended);
    if (roll->tended % PART == PART - 1 && time_is_up (walk))
      return FALSE;
    tend_slot (walk, number, update);
    if (walk->look.full)
      return FALSE;
    swarm_roll_find (roll, number)->untended = FALSE;
  }
  g_array_set_size (roll->untended, 0);
  roll->tended = 0;
  return TRUE;
}

/* Replaces what is in the slot of a dirty replica whose turn it is. Where something else has to be done first, it comes again when the slot changes. */
static void
replace (Walk *walk, SwarmRollEntry *entry, SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  gint64 wake = G_MAXINT64;
  SwarmReplica replica;
  SwarmSlot slot;
  g_autoptr (GPtrArray) tasks = slot_of_number (look, entry->number, &slot);
  swarm_replica_init (&replica, look, &slot, &SWARM_ID_NIL);
  const SwarmTask *live = replica.live;
  if (!replica.dirty || replica.step != NULL) {
    swarm_roll_touch (walk->roll, entry->number);
    return;
  }
  if (live != NULL && (swarm_task_state_is_terminal (live->status->state)
                       || swarm_task_leaves (look->leader->store, look->service, live, look->now, &wake) != SWARM_LEAVE_NO))
    return;
  swarm_replica_replace (look, &replica, update->start_first);
  entry->pass = walk->roll->pass;
  update->busy++;
}

/* FALSE: there is more to do. */
static gboolean
advance (Walk *walk, SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  SwarmHeapItem item;
  if (!swarm_update_goes_on (update, look))
    return !look->full;
  while (update->busy < update->parallelism && swarm_look_has_room (look)) {
    if (time_is_up (walk))
      return FALSE;
    if (!swarm_heap_take (&walk->roll->waiting, &item))
      break;
    SwarmRollEntry *entry = swarm_roll_find (walk->roll, item.number);
    if (entry->share.waiting && entry->running == item.rank && entry->pass != walk->roll->pass)
      replace (walk, entry, update);
  }
  return !look->full && walk->roll->stale->len == 0;
}

gboolean
swarm_replicated_look (const SwarmLeader *leader, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  Walk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, roll, waker, wake };
  if (service == NULL || service->pending_delete)
    return !walk_slots (&walk, id, drop_slot);
  roll->pass++;
  if (!walk_slots (&walk, id, count_slot) || !count_changed (&walk) || !scale (&walk))
    return TRUE;
  SwarmUpdate update = roll->update;
  if (!swarm_update_judge (&update, &walk.look))
    return FALSE;
  if (!tend (&walk, &update) || !advance (&walk, &update))
    return TRUE;
  const SwarmHeapItem *due = swarm_heap_first (&roll->dues);
  if (due != NULL)
    swarm_look_wake_at (&walk.look, due->rank);
  return FALSE;
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
