// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/walk.h"

gboolean
swarm_walk_time_is_up (const SwarmWalk *self)
{
  SwarmRunner *runner = self->look.leader->runner;
  return runner != NULL && swarm_runner_time_is_up (runner);
}

GPtrArray *
swarm_walk_slot (const SwarmWalk *self, guint64 number, SwarmSlot *ret)
{
  GPtrArray *tasks = swarm_store_tasks_of_slot (self->look.leader->store, &self->look.service->object.id, number);
  *ret = (SwarmSlot){ number, (SwarmTask **) tasks->pdata, tasks->len };
  return tasks;
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
      if (!visit (self, slot))
        return FALSE;
      roll->cursor = slot->number + 1;
    }
    roll->counted = tasks->len < SWARM_WALK_PART;
    if (swarm_walk_time_is_up (self))
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
    SwarmSlot slot;
    g_autoptr (GPtrArray) tasks = swarm_walk_slot (self, number, &slot);
    if (!visit (self, &slot))
      return FALSE;
    swarm_roll_find (roll, number)->stale = FALSE;
    g_array_set_size (roll->stale, roll->stale->len - 1);
    if (n % SWARM_WALK_PART == 0 && swarm_walk_time_is_up (self))
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
  if (when != G_MAXINT64 && self->waker != NULL)
    self->waker->slot (&self->look.service->object.id, number, when, self->waker->data);
}
