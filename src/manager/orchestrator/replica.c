// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/replica.h"
#include "manager/orchestrator/restart.h"
#include "manager/orchestrator/update.h"

gboolean
swarm_look_has_room (SwarmLook *look)
{
  if (!look->full && !swarm_tx_has_room (look->tx, 2))
    look->full = TRUE;
  return !look->full;
}

void
swarm_look_wake_at (SwarmLook *look, gint64 when)
{
  *look->wake = MIN (*look->wake, when);
}

void
swarm_look_drop_slot (SwarmLook *look, const SwarmSlot *slot, SwarmTaskState desired)
{
  /* The newest first: cut short by a full transaction, the slot is recognised as a leftover. */
  for (guint i = slot->n; i-- > 0 && swarm_look_has_room (look);)
    swarm_task_want (look->tx, slot->tasks[i], desired);
}

/* ---- what a slot's tasks tell ---- */

SwarmLeave
swarm_look_leaves (const SwarmLook *look, const SwarmSlot *slot, const SwarmTask *task, gint64 *wake)
{
  gboolean moves = look->may_move || (!swarm_id_is_nil (&task->move_to) && swarm_slot_moving (slot) == SWARM_MOVING_BEGUN);
  return swarm_task_leaves (look->leader->store, look->service, task, moves, look->now, wake);
}

static gboolean
is_better_live (const SwarmLook *look, const SwarmSlot *slot, const SwarmTask *task, const SwarmTask *other)
{
  gboolean dirty = swarm_task_is_dirty (look->leader->store, task, look->service);
  if (dirty != swarm_task_is_dirty (look->leader->store, other, look->service))
    return !dirty;
  if (task->status->state != SWARM_TASK_RUNNING || other->status->state == SWARM_TASK_RUNNING)
    return FALSE;
  /* Beside one that runs and may stay, what does not run yet is the replacement of a drain that has ended. */
  return dirty || swarm_look_leaves (look, slot, task, look->wake) == SWARM_LEAVE_NO;
}

void
swarm_replica_init (SwarmReplica *self, const SwarmLook *look, const SwarmSlot *slot, const SwarmId *node)
{
  *self = (SwarmReplica){ .slot = *slot, .node = *node };
  for (guint i = slot->n; i-- > 0;) {
    SwarmTask *task = slot->tasks[i];
    if (task->desired_state <= SWARM_TASK_RUNNING && (self->live == NULL || is_better_live (look, slot, task, self->live)))
      self->live = task;
    if (swarm_task_is_step (task, look->service))
      self->step = task;
  }
  const SwarmTask *last = self->live != NULL ? self->live : slot->n > 0 ? slot->tasks[slot->n - 1] : NULL;
  self->running = self->live != NULL && self->live->status->state == SWARM_TASK_RUNNING;
  self->dirty = last != NULL && swarm_task_is_dirty (look->leader->store, last, look->service);
}

gboolean
swarm_replica_has_ended (const SwarmReplica *self)
{
  const SwarmTask *newest = self->slot.n > 0 ? self->slot.tasks[self->slot.n - 1] : NULL;
  return self->live == NULL && newest != NULL && newest->desired_state < SWARM_TASK_REMOVE
         && !swarm_restart_wanted (&self->slot, newest);
}

/* ---- changing what is in a slot ---- */

/* A task of the slot is on its way out and may still run. */
static gboolean
slot_is_stopping (SwarmLook *look, const SwarmSlot *slot)
{
  for (guint i = 0; i < slot->n; i++) {
    if (slot->tasks[i]->desired_state > SWARM_TASK_RUNNING && swarm_task_may_run (look->leader->store, slot->tasks[i], look->wake))
      return TRUE;
  }
  return FALSE;
}

/* Where a rebalance wants the task's replacement; nil: anywhere, also when that node takes no tasks any more. */
static SwarmId
move_target (SwarmStore *store, const SwarmTask *task)
{
  const SwarmNode *node = swarm_id_is_nil (&task->move_to) ? NULL : swarm_store_get (store, SWARM_KIND_NODE, &task->move_to);
  gboolean takes = node != NULL && node->status->state == SWARM_NODE_READY && node->spec->availability == SWARM_AVAILABILITY_ACTIVE;
  return takes ? task->move_to : SWARM_ID_NIL;
}

typedef struct {
  gint64 delay;     /* µs until it may run */
  guint64 failures; /* what the restart back-off follows from */
  gboolean wait; /* for what is stopped in this very transaction */
  gboolean by_update;
  SwarmId node; /* nil: the slot's, or what the scheduler chooses */
} Fill;

static void
replica_fill (SwarmLook *look, const SwarmReplica *self, const Fill *fill)
{
  gboolean wait = fill->wait || self->dropped || slot_is_stopping (look, &self->slot);
  gint64 not_before = fill->delay > 0 ? look->now + fill->delay : 0;
  g_autoptr (SwarmTask) task = swarm_task_make (look->leader, look->service, self->slot.number, not_before, wait);
  task->node_id = swarm_id_is_nil (&fill->node) ? self->node : fill->node;
  task->by_update = fill->by_update;
  task->failures = fill->failures;
  swarm_tx_create (look->tx, task);
}

void
swarm_replica_fill (SwarmLook *look, const SwarmReplica *self)
{
  Fill fill = { 0 };
  if (swarm_look_has_room (look))
    replica_fill (look, self, &fill);
}

/* Stops the live task (if there is one) and puts another in its place. */
static void
replica_exchange (SwarmLook *look, const SwarmReplica *self, Fill fill)
{
  if (!swarm_look_has_room (look))
    return;
  if (self->live != NULL) {
    fill.wait = swarm_task_may_run (look->leader->store, self->live, look->wake);
    swarm_task_want (look->tx, self->live, SWARM_TASK_SHUTDOWN);
    fill.node = move_target (look->leader->store, self->live);
  }
  replica_fill (look, self, &fill);
}

void
swarm_replica_replace (SwarmLook *look, const SwarmReplica *self, gboolean start_first)
{
  Fill fill = { .by_update = TRUE };
  if (!start_first || !self->running)
    replica_exchange (look, self, fill);
  else if (swarm_look_has_room (look))
    replica_fill (look, self, &fill);
}

/* ---- tending ---- */

/* The live task ended by itself or lost its node. */
static void
replica_restart (SwarmLook *look, SwarmReplica *self, gboolean evicted)
{
  SwarmTask *task = self->live;
  /* It died while its own restart delay ran: that delay is waited for, or a failing task would be restarted in a tight loop. */
  gint64 due = swarm_restart_due (task, look->now);
  if (!evicted && task->desired_state < SWARM_TASK_RUNNING && due > look->now)
    swarm_look_wake_at (look, due);
  else if (swarm_restart_wanted (&self->slot, task))
    replica_exchange (look, self, (Fill){ .delay = swarm_restart_delay (task, evicted, look->now),
                                          .failures = swarm_restart_failures (task, look->now) });
  else if (swarm_look_has_room (look))
    swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
}

/* The live task runs on until a replacement runs elsewhere. There is none yet, or the policy let it end: then this one ends, too. */
static void
replica_move (SwarmLook *look, const SwarmReplica *self)
{
  Fill beside = { .node = move_target (look->leader->store, self->live) };
  if (!swarm_look_has_room (look))
    return;
  if (swarm_restart_wanted (&self->slot, self->slot.tasks[self->slot.n - 1]))
    replica_fill (look, self, &beside);
  else
    swarm_task_want (look->tx, self->live, SWARM_TASK_SHUTDOWN);
}

/* A task that was only made ready becomes running when its delay is over and nothing of its slot is still being stopped. */
static void
replica_promote (SwarmLook *look, const SwarmReplica *self)
{
  gint64 due = swarm_restart_due (self->live, look->now);
  if (due > look->now)
    swarm_look_wake_at (look, due);
  else if (!slot_is_stopping (look, &self->slot) && swarm_look_has_room (look))
    swarm_task_want (look->tx, self->live, SWARM_TASK_RUNNING);
}

/* May @task run beside the live one, which does not run yet? */
static gboolean
may_stay (SwarmLook *look, const SwarmSlot *slot, const SwarmTask *task, gboolean start_first)
{
  if (task->status->state != SWARM_TASK_RUNNING)
    return FALSE;
  SwarmLeave leave = swarm_look_leaves (look, slot, task, look->wake);
  return leave == SWARM_LEAVE_AFTER_REPLACEMENT || (leave == SWARM_LEAVE_NO && start_first);
}

/* Stops what is meant to run beside the live task, but for one that may run until the live one does. TRUE: something was stopped. */
static gboolean
replica_drop_surplus (SwarmLook *look, const SwarmReplica *self, gboolean start_first)
{
  gboolean dropped = FALSE;
  for (guint i = 0; i < self->slot.n; i++) {
    SwarmTask *task = self->slot.tasks[i];
    if (task == self->live || task->desired_state > SWARM_TASK_RUNNING || (!self->running && may_stay (look, &self->slot, task, start_first)))
      continue;
    dropped = TRUE;
    if (swarm_look_has_room (look))
      swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  }
  return dropped;
}

gboolean
swarm_replica_is_calm (const SwarmLook *look, const SwarmReplica *self)
{
  const SwarmTask *live = self->live;
  gint64 wake = G_MAXINT64;
  if (live == NULL)
    return TRUE;
  if (live->desired_state < SWARM_TASK_RUNNING || swarm_task_state_is_terminal (live->status->state) || !swarm_id_is_nil (&live->move_to))
    return FALSE;
  for (guint i = 0; i < self->slot.n; i++) {
    if (self->slot.tasks[i] != live && self->slot.tasks[i]->desired_state <= SWARM_TASK_RUNNING)
      return FALSE;
  }
  /* One that may have to leave later has to be woken then. */
  return swarm_look_leaves (look, &self->slot, live, &wake) == SWARM_LEAVE_NO && wake == G_MAXINT64;
}

gboolean
swarm_replica_tend (SwarmLook *look, SwarmReplica *self, const SwarmUpdate *update)
{
  if (self->live == NULL)
    return TRUE;
  self->dropped = replica_drop_surplus (look, self, update->start_first);
  SwarmLeave leave = swarm_look_leaves (look, &self->slot, self->live, look->wake);
  gboolean over = swarm_task_state_is_terminal (self->live->status->state);
  if (over || leave == SWARM_LEAVE_NOW) {
    /* The new spec owes nothing to the old one's failures; and where nothing runs there is nothing to go easy on. */
    if (self->dirty && swarm_restart_wanted (&self->slot, self->live))
      replica_exchange (look, self, (Fill){ .by_update = !update->paused && self->step == NULL });
    else
      replica_restart (look, self, leave == SWARM_LEAVE_NOW);
    return FALSE;
  }
  if (leave == SWARM_LEAVE_AFTER_REPLACEMENT) {
    replica_move (look, self);
    return FALSE;
  }
  if (self->live->desired_state < SWARM_TASK_RUNNING && !self->dropped)
    replica_promote (look, self);
  return TRUE;
}

gboolean
swarm_service_is_at_rest (const SwarmService *service)
{
  SwarmUpdateState state = service->update_status != NULL ? service->update_status->state : SWARM_UPDATE_NONE;
  return state != SWARM_UPDATE_UPDATING && state != SWARM_UPDATE_ROLLBACK_STARTED;
}

/* What the slot tells concerns the update, and with it the other slots: it has a turn to wait for, or its step is done, or holds the others
 * up no more. While a step is at work the others wait as they did. */
static gboolean
update_goes_on (const SwarmUpdate *update)
{
  gboolean at_work = update->under_way && update->open > 0 && update->busy > 0;
  return !update->paused && (update->waiting > 0 || update->open > 0 || (update->under_way && update->steps > 0)) && !at_work;
}

SwarmLookResult
swarm_replica_tend_alone (SwarmLook *look, SwarmReplica *self)
{
  SwarmUpdate update;
  gint64 *wake = look->wake, never = G_MAXINT64;
  /* When the slot is to be counted anew matters to an update that is under way. */
  if (swarm_service_is_at_rest (look->service))
    look->wake = &never;
  swarm_update_init (&update, look, self);
  look->wake = wake;
  if (update_goes_on (&update))
    return SWARM_LOOK_WHOLE;
  if (!self->held)
    swarm_replica_tend (look, self, &update);
  return look->full ? SWARM_LOOK_FULL : SWARM_LOOK_DONE;
}
