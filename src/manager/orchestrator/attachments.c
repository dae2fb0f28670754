// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/attachments.h"
#include "manager/dirty.h"
#include "manager/scan.h"

struct _SwarmAttachments {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_tasks;
  SwarmDirty over;
};

/* It ended, or is not wanted any more and no node has heard of it. */
static gboolean
is_over (const SwarmTask *task)
{
  return swarm_task_state_is_terminal (task->status->state)
         || (task->desired_state > SWARM_TASK_RUNNING && task->status->state < SWARM_TASK_ASSIGNED);
}

static gboolean
look_at_task (gpointer object, gpointer data)
{
  SwarmAttachments *self = data;
  const SwarmTask *task = object;
  if (task->attachment == NULL || !is_over (task))
    return TRUE;
  swarm_dirty_mark (&self->over, &task->object.id);
  swarm_runner_mark (self->leader->runner, self->loop);
  return TRUE;
}

static gboolean
attachments_pass (gpointer loop, SwarmTx *tx)
{
  SwarmAttachments *self = loop;
  SwarmId id;
  if (swarm_scan_step (&self->all_tasks, self->leader->store, self->leader->runner, look_at_task, self))
    return TRUE;
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->over, &id)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &id);
    if (task != NULL && task->attachment != NULL && is_over (task))
      swarm_tx_remove (tx, SWARM_KIND_TASK, &id, task->object.version);
  }
  return swarm_dirty_n_waiting (&self->over) > 0;
}

static void
attachments_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmAttachments *self = loop;
  swarm_dirty_settle (&self->over, error == NULL);
}

static const SwarmLoopOps attachments_ops = { "attachments", attachments_pass, attachments_settle };

static void
look_at_everything (SwarmAttachments *self)
{
  swarm_scan_begin (&self->all_tasks, SWARM_KIND_TASK);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
attachments_event (const SwarmEvent *event, gpointer data)
{
  if (event->event == SWARM_EVENT_RESET)
    look_at_everything (data);
  else if (event->event == SWARM_EVENT_CREATE || event->event == SWARM_EVENT_UPDATE)
    look_at_task (event->object, data);
}

SwarmAttachments *
swarm_attachments_new (const SwarmLeader *leader)
{
  SwarmAttachments *self = g_new0 (SwarmAttachments, 1);
  self->leader = leader;
  swarm_dirty_init (&self->over);
  self->loop = swarm_runner_add (leader->runner, &attachments_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_TASK, attachments_event, self);
  look_at_everything (self);
  return self;
}

void
swarm_attachments_free (SwarmAttachments *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_dirty_clear (&self->over);
  g_free (self);
}
