// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/reaper.h"
#include "manager/scan.h"
#include "manager/orchestrator/dirty-slots.h"
#include "manager/orchestrator/slot.h"

#define BATCH_US (250 * G_TIME_SPAN_MILLISECOND)
#define BATCH_MAX 1000
#define DEFAULT_HISTORY 5

struct _SwarmReaper {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_tasks;
  SwarmDirtySlots slots;
  guint marks; /* since the last pass */
  SwarmTimer *timer; /* gathers: reaping is never urgent */
  GHashTable *removed; /* ids, by the pass under way: a slot of a service that is gone may be named in two ways */
};

static void
reaper_due (gpointer data)
{
  SwarmReaper *self = data;
  self->timer = NULL;
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
reaper_schedule (SwarmReaper *self)
{
  if (++self->marks > BATCH_MAX)
    swarm_runner_mark (self->leader->runner, self->loop);
  else if (self->timer == NULL)
    self->timer = swarm_clock_timer (self->leader->clock, BATCH_US, SWARM_PRIORITY_IDLE, reaper_due, self);
}

/* Nothing of the task can run, now or later: it ended, or was never given to a node. */
static gboolean
task_is_over (const SwarmTask *task)
{
  return !task->lingers && (swarm_task_state_is_terminal (task->status->state) || task->status->state < SWARM_TASK_ASSIGNED);
}

/* Tasks kept per slot, the current one counted; negative: all. The policy's attempts are counted from kept tasks. */
static gint64
history_limit (SwarmStore *store, const SwarmTask *newest)
{
  const SwarmCluster *cluster = swarm_store_cluster (store);
  const SwarmOrchestrationConfig *config = cluster != NULL ? cluster->spec->orchestration : NULL;
  gint64 limit = config != NULL ? config->task_history_limit : DEFAULT_HISTORY;
  if (limit < 0)
    return limit;
  const SwarmRestartPolicy *policy = newest->spec->restart_policy;
  if (policy != NULL && policy->max_attempts > 0 && policy->max_attempts < G_MAXINT32)
    limit = MAX (limit, (gint64) policy->max_attempts + 1);
  return MAX (limit, 1);
}

/* How it went is asked for as long as the update that made it is under way. */
static gboolean
update_counts (const SwarmService *service, const SwarmTask *task)
{
  const SwarmUpdateStatus *status = service != NULL ? service->update_status : NULL;
  return status != NULL && (status->state == SWARM_UPDATE_UPDATING || status->state == SWARM_UPDATE_ROLLBACK_STARTED)
         && swarm_task_is_step (task, service);
}

/* Of a job's slot; leaders' clocks differ, so the newest task need not be of it. */
static guint64
present_iteration (const SwarmSlot *slot)
{
  guint64 iteration = 0;
  for (guint i = 0; i < slot->n; i++)
    iteration = MAX (iteration, slot->tasks[i]->job_iteration);
  return iteration;
}

/* FALSE: @tx is full. */
static gboolean
reap_slot (SwarmReaper *self, const SwarmSlot *slot, const SwarmService *service, SwarmTx *tx)
{
  gboolean everywhere = swarm_service_is_everywhere (service);
  SwarmTask *newest = slot->tasks[slot->n - 1];
  gint64 limit = history_limit (self->leader->store, newest);
  /* The slot of a node that is gone is gone with it. */
  gboolean vanished = everywhere && swarm_store_get (self->leader->store, SWARM_KIND_NODE, &newest->node_id) == NULL;
  guint64 iteration = present_iteration (slot);
  guint surplus = limit >= 0 && slot->n > limit ? slot->n - (guint) limit : 0;
  for (guint i = 0; i < slot->n; i++) {
    SwarmTask *task = slot->tasks[i];
    if (!task_is_over (task))
      continue;
    gboolean removed = task->desired_state == SWARM_TASK_REMOVE;
    gboolean former = task->desired_state > SWARM_TASK_COMPLETE || task->job_iteration != iteration;
    gboolean old = surplus > 0 && task != newest && former && !update_counts (service, task);
    if (!removed && !old && !vanished)
      continue;
    if (!swarm_tx_has_room (tx, 1))
      return FALSE;
    if (g_hash_table_add (self->removed, g_memdup2 (&task->object.id, sizeof task->object.id)))
      swarm_tx_remove (tx, SWARM_KIND_TASK, &task->object.id, task->object.version);
    if (surplus > 0)
      surplus--;
  }
  return TRUE;
}

/* FALSE: @tx is full. */
static gboolean
reap_one_slot (SwarmReaper *self, const SwarmSlotKey *key, SwarmTx *tx)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, &key->service);
  g_autoptr (GPtrArray) tasks = swarm_id_is_nil (&key->node)
                                  ? swarm_store_tasks_of_slot (self->leader->store, &key->service, key->number)
                                  : swarm_tasks_on_node (self->leader->store, &key->service, &key->node);
  SwarmSlot slot = { key->number, (SwarmTask **) tasks->pdata, tasks->len };
  return slot.n == 0 || reap_slot (self, &slot, service, tx);
}

static void
reap (SwarmReaper *self, const SwarmDirtyService *dirty, SwarmTx *tx)
{
  GHashTableIter iter;
  gpointer slot;
  g_hash_table_iter_init (&iter, dirty->slots);
  while (g_hash_table_iter_next (&iter, &slot, NULL)) {
    if (!reap_one_slot (self, slot, tx))
      swarm_dirty_slots_mark_slot (&self->slots, slot);
  }
}

static gboolean mark_if_over (gpointer object, gpointer data);

static gboolean
reaper_pass (gpointer loop, SwarmTx *tx)
{
  SwarmReaper *self = loop;
  const SwarmDirtyService *dirty;
  gboolean looking = self->all_tasks.under_way;
  if (swarm_scan_step (&self->all_tasks, self->leader->store, self->leader->runner, mark_if_over, self))
    return TRUE;
  if (looking)
    return FALSE; /* there is time for what was found */
  self->marks = 0;
  g_hash_table_remove_all (self->removed);
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner)
         && (dirty = swarm_dirty_slots_take (&self->slots)) != NULL)
    reap (self, dirty, tx);
  return swarm_dirty_slots_n_waiting (&self->slots) > 0;
}

static void
reaper_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmReaper *self = loop;
  swarm_dirty_slots_settle (&self->slots, error == NULL);
}

static const SwarmLoopOps reaper_ops = { "reaper", reaper_pass, reaper_settle };

static void
look_at_everything (SwarmReaper *self)
{
  swarm_scan_begin (&self->all_tasks, SWARM_KIND_TASK);
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* @first: it may be its slot's only one, then there is nothing to reap. */
static void
mark_slot (SwarmReaper *self, const SwarmTask *task, gboolean first)
{
  if (task->attachment != NULL)
    return; /* in no slot: attachments.c */
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, &task->service_id);
  /* Of a service that is gone nobody knows whether slot 0 is a job's first, or all that a global service had on thousands of nodes. */
  gboolean by_node = swarm_service_is_everywhere (service) || (service == NULL && task->slot == 0);
  SwarmSlotKey key = swarm_slot_key_of (task, by_node);
  if (first && !by_node) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (self->leader->store, &task->service_id, task->slot);
    if (tasks->len <= 1)
      return;
  }
  swarm_dirty_slots_mark_slot (&self->slots, &key);
  reaper_schedule (self);
}

/* Nothing else is ever removed. */
static gboolean
mark_if_over (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  if (task_is_over (task))
    mark_slot (data, task, task->desired_state != SWARM_TASK_REMOVE);
  return TRUE;
}

static gint64
cluster_limit (const SwarmCluster *cluster)
{
  return cluster->spec->orchestration != NULL ? cluster->spec->orchestration->task_history_limit : DEFAULT_HISTORY;
}

static void
reaper_event (const SwarmEvent *event, gpointer data)
{
  SwarmReaper *self = data;
  if (event->event == SWARM_EVENT_RESET) {
    look_at_everything (self);
  } else if (event->event == SWARM_EVENT_CREATE || event->event == SWARM_EVENT_UPDATE) {
    if (event->kind == SWARM_KIND_TASK) {
      /* A new one may push the oldest out of its slot; one that is over may go itself, a job's also when an earlier iteration has to. */
      const SwarmTask *task = event->object;
      if (event->event == SWARM_EVENT_CREATE || (task->desired_state > SWARM_TASK_RUNNING && task_is_over (task)))
        mark_slot (self, task, event->event == SWARM_EVENT_CREATE);
    } else if (event->event == SWARM_EVENT_UPDATE && cluster_limit (event->object) != cluster_limit (event->previous)) {
      look_at_everything (self);
    }
  }
}

SwarmReaper *
swarm_reaper_new (const SwarmLeader *leader)
{
  SwarmReaper *self = g_new0 (SwarmReaper, 1);
  self->leader = leader;
  self->removed = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  swarm_dirty_slots_init (&self->slots);
  self->loop = swarm_runner_add (leader->runner, &reaper_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_TASK | 1 << SWARM_KIND_CLUSTER, reaper_event, self);
  look_at_everything (self);
  return self;
}

void
swarm_reaper_free (SwarmReaper *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  swarm_dirty_slots_clear (&self->slots);
  g_hash_table_unref (self->removed);
  g_free (self);
}
