// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/walk.h"

gboolean
swarm_walk_time_is_up (const SwarmWalk *self)
{
  SwarmRunner *runner = self->look.leader->runner;
  return runner != NULL && swarm_runner_time_is_up (runner);
}

/* Now and then: when @n slots were visited. */
static gboolean
turn_is_over (const SwarmWalk *self, guint n)
{
  return n % (self->roll->by_node ? SWARM_WALK_NODES : SWARM_WALK_PART) == 0 && swarm_walk_time_is_up (self);
}

GPtrArray *
swarm_walk_slot (const SwarmWalk *self, guint64 number, SwarmSlot *ret)
{
  SwarmStore *store = self->look.leader->store;
  const SwarmId *service = &self->look.service->object.id;
  gboolean by_node = self->roll->by_node;
  GPtrArray *tasks = by_node ? swarm_tasks_on_node (store, service, swarm_walk_node (self, number)) : swarm_store_tasks_of_slot (store, service, number);
  *ret = (SwarmSlot){ by_node ? 0 : number, (SwarmTask **) tasks->pdata, tasks->len };
  return tasks;
}

const SwarmId *
swarm_walk_node (const SwarmWalk *self, guint64 number)
{
  return self->roll->by_node ? &swarm_roll_find (self->roll, number)->node : &SWARM_ID_NIL;
}

gboolean
swarm_walk_all (SwarmWalk *self, const SwarmId *service, SwarmWalkFunc visit)
{
  SwarmRoll *roll = self->roll;
  while (!roll->counted) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_from_slot (self->look.leader->store, service, roll->cursor, SWARM_WALK_PART);
    g_autoptr (GArray) slots = swarm_slots_of (tasks);
    for (guint i = 0; i < slots->len; i++) {
      const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
      guint n = swarm_tx_n_changes (self->look.tx);
      if (!visit (self, slot->number, slot))
        return FALSE;
      roll->cursor = slot->number + 1;
      if (swarm_tx_n_changes (self->look.tx) > n)
        swarm_roll_do (roll, slot->number);
    }
    roll->counted = tasks->len < SWARM_WALK_PART;
    if (swarm_walk_time_is_up (self))
      return FALSE;
  }
  return TRUE;
}

static gboolean
visit_slot (SwarmWalk *self, guint64 number, SwarmWalkFunc visit)
{
  SwarmSlot slot;
  g_autoptr (GPtrArray) tasks = swarm_walk_slot (self, number, &slot);
  guint n = swarm_tx_n_changes (self->look.tx);
  if (!visit (self, number, &slot))
    return FALSE;
  if (swarm_tx_n_changes (self->look.tx) > n)
    swarm_roll_do (self->roll, number);
  return TRUE;
}

gboolean
swarm_walk_nodes (SwarmWalk *self, SwarmWalkFunc visit)
{
  SwarmRoll *roll = self->roll;
  SwarmStore *store = self->look.leader->store;
  for (guint n = 1; !roll->counted; n++) {
    SwarmId node;
    if (!swarm_store_next_node_id (store, swarm_id_is_nil (&roll->last) ? NULL : &roll->last, &node)) {
      roll->counted = TRUE;
    } else {
      if (!visit_slot (self, swarm_roll_number_of (roll, &node), visit))
        return FALSE;
      roll->last = node;
    }
    if (turn_is_over (self, n))
      return FALSE;
  }
  return TRUE;
}

gboolean
swarm_walk_changed (SwarmWalk *self, SwarmWalkFunc visit)
{
  SwarmRoll *roll = self->roll;
  swarm_roll_touch_due (roll, self->look.now);
  for (guint n = 1; roll->stale->len > 0; n++) {
    guint64 number = g_array_index (roll->stale, guint64, roll->stale->len - 1);
    if (!visit_slot (self, number, visit))
      return FALSE;
    swarm_roll_find (roll, number)->stale = FALSE;
    g_array_set_size (roll->stale, roll->stale->len - 1);
    if (turn_is_over (self, n))
      return FALSE;
  }
  return TRUE;
}

void
swarm_walk_wake_slot_begin (SwarmWalk *self, gint64 *ret_when)
{
  *ret_when = G_MAXINT64;
  self->look.wake = ret_when;
}

void
swarm_walk_wake_slot_end (SwarmWalk *self, guint64 number, gint64 when, gint64 *wake)
{
  self->look.wake = wake;
  SwarmSlotKey key = { self->look.service->object.id, self->roll->by_node ? 0 : number, *swarm_walk_node (self, number) };
  if (when != G_MAXINT64 && self->waker != NULL)
    self->waker->slot (&key, when, self->waker->data);
}

/* ---- restarts, moves, updates ---- */

static void
tend_slot (SwarmWalk *walk, guint64 number, const SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  guint n = swarm_tx_n_changes (look->tx);
  gint64 when, *wake = look->wake;
  SwarmReplica replica;
  SwarmSlot slot;
  g_autoptr (GPtrArray) tasks = swarm_walk_slot (walk, number, &slot);
  swarm_replica_init (&replica, look, &slot, swarm_walk_node (walk, number));
  swarm_walk_wake_slot_begin (walk, &when);
  swarm_replica_tend (look, &replica, update);
  swarm_walk_wake_slot_end (walk, number, when, wake);
  if (swarm_tx_n_changes (look->tx) == n)
    return;
  swarm_roll_find (walk->roll, number)->pass = walk->roll->pass;
  swarm_roll_do (walk->roll, number);
}

/* FALSE: there are more. */
static gboolean
tend (SwarmWalk *walk, const SwarmUpdate *update)
{
  SwarmRoll *roll = walk->roll;
  for (; roll->tended < roll->untended->len; roll->tended++) {
    guint64 number = g_array_index (roll->untended, guint64, roll->tended);
    if (turn_is_over (walk, roll->tended + 1))
      return FALSE;
    SwarmRollEntry *entry = swarm_roll_find (roll, number);
    if (entry->untended)
      tend_slot (walk, number, update);
    if (walk->look.full)
      return FALSE;
    entry->untended = entry->listed = FALSE;
  }
  g_array_set_size (roll->untended, 0);
  roll->tended = 0;
  return TRUE;
}

/* Moves whose turn it is: no more slots at once than the update parallelism says, in order of slots. FALSE: there are more. */
static gboolean
begin_moves (SwarmWalk *walk, const SwarmUpdate *update)
{
  SwarmRoll *roll = walk->roll;
  const SwarmUpdateConfig *config = walk->look.service->spec->update;
  guint64 most = config != NULL ? config->parallelism : 1;
  guint n = 0;
  for (GTreeNode *at = g_tree_node_first (roll->moves); at != NULL && (most == 0 || roll->n_moving + n < most); at = g_tree_node_next (at)) {
    SwarmRollEntry *entry = g_tree_node_value (at);
    n++;
    if (entry->moved || entry->pass == roll->pass)
      continue;
    if (turn_is_over (walk, n))
      return FALSE;
    walk->look.may_move = TRUE;
    tend_slot (walk, entry->number, update);
    walk->look.may_move = FALSE;
    if (walk->look.full)
      return FALSE;
    entry->moved = TRUE;
  }
  return TRUE;
}

/* Replaces what is in the slot of a dirty replica whose turn it is. Where something else has to be done first, it comes again when the slot changes. */
static void
replace (SwarmWalk *walk, SwarmRollEntry *entry, SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  gint64 wake = G_MAXINT64;
  SwarmReplica replica;
  SwarmSlot slot;
  g_autoptr (GPtrArray) tasks = swarm_walk_slot (walk, entry->number, &slot);
  swarm_replica_init (&replica, look, &slot, swarm_walk_node (walk, entry->number));
  const SwarmTask *live = replica.live;
  if (!replica.dirty || replica.step != NULL) {
    swarm_roll_touch (walk->roll, entry->number);
    return;
  }
  if (live != NULL && (swarm_task_state_is_terminal (live->status->state)
                       || swarm_look_leaves (look, &slot, live, &wake) != SWARM_LEAVE_NO))
    return;
  swarm_replica_replace (look, &replica, update->start_first);
  swarm_roll_do (walk->roll, entry->number);
  entry->pass = walk->roll->pass;
  update->busy++;
}

/* FALSE: there is more to do. */
static gboolean
advance (SwarmWalk *walk, SwarmUpdate *update)
{
  SwarmLook *look = &walk->look;
  gboolean running;
  if (!swarm_update_goes_on (update, look))
    return !look->full;
  for (guint n = 1; update->busy < update->parallelism && swarm_look_has_room (look); n++) {
    if (turn_is_over (walk, n))
      return FALSE;
    SwarmRollEntry *entry = swarm_roll_take_waiting (walk->roll, &running);
    if (entry == NULL)
      break;
    if (entry->share.waiting && entry->running == running && entry->pass != walk->roll->pass)
      replace (walk, entry, update);
  }
  return !look->full && walk->roll->stale->len == 0;
}

gboolean
swarm_walk_tend (SwarmWalk *self)
{
  SwarmUpdate update = self->roll->update;
  if (!swarm_update_judge (&update, &self->look))
    return TRUE;
  if (!tend (self, &update) || !begin_moves (self, &update) || !advance (self, &update))
    return FALSE;
  const SwarmHeapItem *due = swarm_heap_first (&self->roll->dues);
  if (due != NULL)
    swarm_look_wake_at (&self->look, due->rank);
  return TRUE;
}
