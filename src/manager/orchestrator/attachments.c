// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/attachments.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scan.h"

/* Its node waits for it no longer (10 s for the leader's answer, 20 s for the task), and may never have heard of it. */
#define THERE_LIMIT_US (30 * G_TIME_SPAN_SECOND)

/* One whose node has not said yet that it is there. */
typedef struct {
  SwarmAttachments *owner;
  SwarmId task;
  SwarmTimer *timer;
} Wait;

struct _SwarmAttachments {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_tasks;
  SwarmDirty over;
  SwarmDirty late;
  GHashTable *waits; /* task id in the Wait → Wait */
};

static void
wait_free (gpointer data)
{
  Wait *wait = data;
  swarm_clock_clear_timer (wait->owner->leader->clock, &wait->timer);
  g_free (wait);
}

/* It ended, or is not wanted any more and no node has heard of it. */
static gboolean
is_over (const SwarmTask *task)
{
  return swarm_task_state_is_terminal (task->status->state)
         || (task->desired_state > SWARM_TASK_RUNNING && task->status->state < SWARM_TASK_ASSIGNED);
}

static gboolean
is_awaited (const SwarmTask *task)
{
  return task->status->state < SWARM_TASK_RUNNING && task->desired_state <= SWARM_TASK_RUNNING;
}

static void
mark (SwarmAttachments *self, SwarmDirty *dirty, const SwarmId *task)
{
  swarm_dirty_mark (dirty, task);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
waited_long (gpointer data)
{
  Wait *wait = data;
  wait->timer = NULL;
  mark (wait->owner, &wait->owner->late, &wait->task);
}

/* The time starts anew with a new leader. */
static void
wait_for (SwarmAttachments *self, const SwarmId *task)
{
  if (g_hash_table_contains (self->waits, task))
    return;
  Wait *wait = g_new0 (Wait, 1);
  wait->owner = self;
  wait->task = *task;
  wait->timer = swarm_clock_timer (self->leader->clock, THERE_LIMIT_US, SWARM_PRIORITY_IDLE, waited_long, wait);
  g_hash_table_insert (self->waits, &wait->task, wait);
}

static gboolean
look_at_task (gpointer object, gpointer data)
{
  SwarmAttachments *self = data;
  const SwarmTask *task = object;
  if (task->attachment == NULL)
    return TRUE;
  if (is_awaited (task))
    wait_for (self, &task->object.id);
  else
    g_hash_table_remove (self->waits, &task->object.id);
  if (is_over (task))
    mark (self, &self->over, &task->object.id);
  return TRUE;
}

static void
take_back (SwarmAttachments *self, const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  if (!swarm_task_set_desired (copy, SWARM_TASK_SHUTDOWN, SWARM_WRITER_ORCHESTRATOR, &error)) {
    swarm_error_log ("an attachment cannot be taken back: %s", error->message);
    return;
  }
  swarm_notice ("container %s is not in its network after %d s: it is taken back", task->attachment->name, (int) (THERE_LIMIT_US / G_TIME_SPAN_SECOND));
  swarm_tx_update (tx, copy);
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
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->late, &id)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &id);
    if (task != NULL && task->attachment != NULL && is_awaited (task))
      take_back (self, task, tx);
  }
  return swarm_dirty_n_waiting (&self->over) + swarm_dirty_n_waiting (&self->late) > 0;
}

static void
attachments_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmAttachments *self = loop;
  swarm_dirty_settle (&self->over, error == NULL);
  swarm_dirty_settle (&self->late, error == NULL);
}

static const SwarmLoopOps attachments_ops = { "attachments", attachments_pass, attachments_settle };

static void
look_at_everything (SwarmAttachments *self)
{
  g_hash_table_remove_all (self->waits);
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
  else if (event->event == SWARM_EVENT_REMOVE)
    g_hash_table_remove (((SwarmAttachments *) data)->waits, &SWARM_OBJECT (event->object)->id);
}

SwarmAttachments *
swarm_attachments_new (const SwarmLeader *leader)
{
  SwarmAttachments *self = g_new0 (SwarmAttachments, 1);
  self->leader = leader;
  swarm_dirty_init (&self->over);
  swarm_dirty_init (&self->late);
  self->waits = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, wait_free);
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
  g_hash_table_unref (self->waits);
  swarm_dirty_clear (&self->over);
  swarm_dirty_clear (&self->late);
  g_free (self);
}
