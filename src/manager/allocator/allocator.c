// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/allocator/allocator.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scan.h"

struct _SwarmAllocator {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan scan;
  SwarmDirty tasks; /* that are new */
};

static void
allocate_task (SwarmAllocator *self, const SwarmTask *task, SwarmTx *tx)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, &task->service_id);
  if (service == NULL)
    return; /* removed meanwhile: so will be the task */
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  swarm_endpoint_spec_unref (copy->endpoint);
  copy->endpoint = service->spec->endpoint != NULL ? swarm_endpoint_spec_ref (service->spec->endpoint) : NULL;
  if (swarm_task_set_state (copy, SWARM_TASK_PENDING, SWARM_WRITER_ALLOCATOR, swarm_store_now (self->leader->store),
                            "pending task scheduling", NULL, &error))
    swarm_tx_update (tx, copy);
  else
    swarm_error_log ("a task cannot become pending: %s", error->message);
}

static gboolean
look_at_task (gpointer object, gpointer data)
{
  SwarmAllocator *self = data;
  const SwarmTask *task = object;
  if (task->status->state == SWARM_TASK_NEW) {
    swarm_dirty_mark (&self->tasks, &task->object.id);
    swarm_runner_mark (self->leader->runner, self->loop);
  }
  return TRUE;
}

static gboolean
allocator_pass (gpointer loop, SwarmTx *tx)
{
  SwarmAllocator *self = loop;
  SwarmId id;
  if (swarm_scan_step (&self->scan, self->leader->store, self->leader->runner, look_at_task, self))
    return TRUE;
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->tasks, &id)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &id);
    if (task != NULL && task->status->state == SWARM_TASK_NEW && task->desired_state <= SWARM_TASK_COMPLETE)
      allocate_task (self, task, tx);
  }
  return swarm_dirty_n_waiting (&self->tasks) > 0;
}

static void
allocator_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmAllocator *self = loop;
  swarm_dirty_settle (&self->tasks, error == NULL);
}

static const SwarmLoopOps allocator_ops = { "allocator", allocator_pass, allocator_settle, .overlaps = TRUE };

static void
look_at_all (SwarmAllocator *self)
{
  swarm_scan_begin (&self->scan, SWARM_KIND_TASK);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
allocator_event (const SwarmEvent *event, gpointer data)
{
  SwarmAllocator *self = data;
  if (event->event == SWARM_EVENT_RESET)
    look_at_all (self);
  else if (event->event == SWARM_EVENT_CREATE && event->kind == SWARM_KIND_TASK)
    look_at_task (event->object, self);
}

SwarmAllocator *
swarm_allocator_new (const SwarmLeader *leader)
{
  SwarmAllocator *self = g_new0 (SwarmAllocator, 1);
  self->leader = leader;
  swarm_dirty_init (&self->tasks);
  self->loop = swarm_runner_add (leader->runner, &allocator_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_TASK, allocator_event, self);
  look_at_all (self);
  return self;
}

void
swarm_allocator_free (SwarmAllocator *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_dirty_clear (&self->tasks);
  g_free (self);
}
