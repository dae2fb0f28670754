// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/plan/world.h"
#include "base/error.h"
#include "manager/allocator/allocator.h"
#include "manager/dirty.h"
#include "manager/orchestrator/orchestrator.h"
#include "manager/scheduler/scheduler.h"

/* Objects that are taken over in one go between two looks at the real clock. */
#define LOAD_STEP 256
/* Longer than any update takes in its own virtual time. */
#define HORIZON_US (400 * (gint64) G_TIME_SPAN_DAY)
#define NODE_DELAY_US (1 * G_TIME_SPAN_MILLISECOND)

const SwarmEnum swarm_plan_action_enum = { "plan action",
                                           (const SwarmEnumRow[]){ { SWARM_PLAN_START, "start" },
                                                                   { SWARM_PLAN_STOP, "stop" },
                                                                   { SWARM_PLAN_PENDING, "pending" },
                                                                   { 0, NULL } } };

typedef struct {
  SwarmPlanWorld *world;
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
} Proposal;

struct _SwarmPlanWorld {
  SwarmClock *real;
  SwarmVirtualClock *virtual;
  SwarmSnapshot *snapshot; /* NULL: all of it is loaded */
  guint cursor;
  SwarmStore *store;
  SwarmControl *control;
  SwarmSchedulerSet *schedulers;
  SwarmLeader leader;
  SwarmOrchestrator *orchestrator;
  SwarmAllocator *allocator;
  SwarmScheduler *scheduler;
  guint watch;
  SwarmTimer *obey;
  SwarmDirty tasks; /* whose nodes have to act */
  gboolean obeying; /* their reports are under way */
  gboolean recording;
  gint64 changed_at; /* virtual time of the change */
  gboolean marking; /* the tasks that are there at the beginning are gone through, … */
  SwarmId marked;   /* … up to this one */
  GHashTable *pending; /* ids of tasks that have no node yet */
  GHashTable *waiting; /* the same, before the change */
  GPtrArray *steps;
  gboolean truncated;
};

static void
step_free (gpointer data)
{
  SwarmPlanStep *step = data;
  g_free (step->name);
  g_free (step->reason);
  g_free (step);
}

/* ---- the log: each entry is applied in the next turn ---- */

static void
applied (gpointer data)
{
  Proposal *proposal = data;
  g_autoptr (GError) error = NULL;
  SwarmStore *store = proposal->world->store;
  guint64 index = 0;
  if (store == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the plan is given up");
  else if (swarm_store_apply (store, swarm_store_index (store) + 1, proposal->entry, &error))
    index = swarm_store_index (store);
  proposal->done (index, error, proposal->data);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
}

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SwarmPlanWorld *self = data;
  Proposal *proposal = g_new (Proposal, 1);
  *proposal = (Proposal){ self, g_bytes_ref (entry), done, done_data };
  swarm_clock_timer (self->leader.clock, 0, SWARM_PRIORITY_URGENT, applied, proposal);
}

/* ---- nodes that obey ---- */

static gboolean
node_is_up (SwarmPlanWorld *self, const SwarmId *id)
{
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, id);
  return node != NULL && node->status->state != SWARM_NODE_DOWN;
}

/* What @task's node would report now; the state it has: nothing. */
static SwarmTaskState
next_state (SwarmPlanWorld *self, const SwarmTask *task)
{
  SwarmTaskState now = task->status->state;
  if (now < SWARM_TASK_ASSIGNED || swarm_task_state_is_terminal (now) || !node_is_up (self, &task->node_id))
    return now;
  if (task->desired_state >= SWARM_TASK_SHUTDOWN)
    return SWARM_TASK_SHUTDOWN;
  return MAX (now, task->desired_state);
}

static void obey_soon (SwarmPlanWorld *self);

static void
obeyed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  SwarmPlanWorld *self = data;
  self->obeying = FALSE;
  if (self->store == NULL)
    return;
  swarm_dirty_settle (&self->tasks, error == NULL);
  obey_soon (self);
}

static void
obey (gpointer data)
{
  SwarmPlanWorld *self = data;
  g_autoptr (SwarmTx) tx = swarm_store_tx (self->store);
  SwarmId id;
  self->obey = NULL;
  while (swarm_tx_has_room (tx, 1) && swarm_dirty_take (&self->tasks, &id)) {
    const SwarmTask *task = swarm_store_get (self->store, SWARM_KIND_TASK, &id);
    if (task == NULL || next_state (self, task) == task->status->state)
      continue;
    g_autoptr (SwarmTask) copy = swarm_task_copy (task);
    if (swarm_task_set_state (copy, next_state (self, task), SWARM_WRITER_DISPATCHER, swarm_store_now (self->store), "", NULL, NULL))
      swarm_tx_update (tx, copy);
  }
  self->obeying = TRUE;
  swarm_tx_commit (g_steal_pointer (&tx), NULL, obeyed, self);
}

static void
obey_soon (SwarmPlanWorld *self)
{
  if (self->obey == NULL && !self->obeying && swarm_dirty_n_waiting (&self->tasks) > 0)
    self->obey = swarm_clock_timer (self->leader.clock, NODE_DELAY_US, SWARM_PRIORITY_NORMAL, obey, self);
}

/* ---- what happens ---- */

/* As lists of tasks have it: jobs count from 0. */
static char *
task_name (SwarmPlanWorld *self, const SwarmTask *task)
{
  const char *service = task->service_name != NULL ? task->service_name : "";
  const SwarmService *owner = swarm_store_get (self->store, SWARM_KIND_SERVICE, &task->service_id);
  if (task->slot > 0 || (owner != NULL && owner->spec->mode->replicated_job != NULL))
    return g_strdup_printf ("%s.%" G_GUINT64_FORMAT, service, task->slot);
  return g_strdup_printf ("%s.%s", service, swarm_id_string (&task->node_id).str);
}

static void
add_step (SwarmPlanWorld *self, SwarmPlanAction action, const SwarmTask *task, const char *reason)
{
  if (self->steps->len >= SWARM_PLAN_MAX_STEPS) {
    self->truncated = TRUE;
    return;
  }
  SwarmPlanStep *step = g_new0 (SwarmPlanStep, 1);
  step->action = action;
  step->after_us = swarm_virtual_clock_time (self->virtual) - self->changed_at;
  step->service = task->service_id;
  if (action == SWARM_PLAN_STOP)
    step->task = task->object.id;
  if (action != SWARM_PLAN_PENDING)
    step->node = task->node_id;
  step->name = task_name (self, task);
  step->reason = g_strdup (reason);
  g_ptr_array_add (self->steps, step);
}

static const char *
stop_reason (SwarmPlanWorld *self, const SwarmTask *task)
{
  const SwarmService *service = swarm_store_get (self->store, SWARM_KIND_SERVICE, &task->service_id);
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, &task->node_id);
  if (service == NULL)
    return "the service is removed";
  if (node != NULL && node->spec->availability == SWARM_AVAILABILITY_DRAIN)
    return "its node is drained";
  if (task->spec_version != service->spec_version)
    return "its service changed";
  return task->desired_state == SWARM_TASK_REMOVE ? "its service needs fewer tasks" : "another task takes its place";
}

static gboolean
has_predecessor (SwarmPlanWorld *self, const SwarmTask *task)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (self->store, &task->service_id, task->slot);
  for (guint i = 0; task->slot > 0 && i < tasks->len; i++) {
    const SwarmTask *other = g_ptr_array_index (tasks, i);
    if (!swarm_id_equal (&other->object.id, &task->object.id) && !swarm_id_is_nil (&other->node_id))
      return TRUE;
  }
  return FALSE;
}

static void
record (SwarmPlanWorld *self, const SwarmTask *task, const SwarmTask *before)
{
  gboolean was_placed = before != NULL && before->status->state >= SWARM_TASK_ASSIGNED;
  gboolean is_placed = task->status->state >= SWARM_TASK_ASSIGNED && !swarm_id_is_nil (&task->node_id);
  if (is_placed && !was_placed && task->desired_state < SWARM_TASK_SHUTDOWN)
    add_step (self, SWARM_PLAN_START, task, has_predecessor (self, task) ? "takes the place of a task" : "new");
  if (was_placed && before->desired_state < SWARM_TASK_SHUTDOWN && task->desired_state >= SWARM_TASK_SHUTDOWN
      && !swarm_task_state_is_terminal (task->status->state))
    add_step (self, SWARM_PLAN_STOP, task, stop_reason (self, task));
}

/* What is to be known of each task as it is now. */
static void
mark_task (SwarmPlanWorld *self, const SwarmTask *task)
{
  if (task->status->state < SWARM_TASK_ASSIGNED)
    g_hash_table_add (self->pending, g_memdup2 (&task->object.id, sizeof (SwarmId)));
  else
    g_hash_table_remove (self->pending, &task->object.id);
  if (next_state (self, task) != task->status->state)
    swarm_dirty_mark (&self->tasks, &task->object.id);
}

static void
task_event (const SwarmEvent *event, gpointer data)
{
  SwarmPlanWorld *self = data;
  if (event->event == SWARM_EVENT_COMMIT) {
    obey_soon (self);
    return;
  }
  if (event->event == SWARM_EVENT_REMOVE)
    g_hash_table_remove (self->pending, &SWARM_OBJECT (event->object)->id);
  if (event->event != SWARM_EVENT_CREATE && event->event != SWARM_EVENT_UPDATE)
    return;
  if (self->recording)
    record (self, event->object, event->previous);
  mark_task (self, event->object);
}

/* ---- life ---- */

SwarmPlanWorld *
swarm_plan_world_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers, SwarmSnapshot *snapshot)
{
  SwarmPlanWorld *self = g_new0 (SwarmPlanWorld, 1);
  self->real = leader->clock;
  self->virtual = swarm_virtual_clock_new (swarm_store_now (leader->store));
  self->snapshot = snapshot;
  self->schedulers = schedulers;
  self->leader = *leader;
  self->leader.clock = swarm_virtual_clock_iface (self->virtual);
  self->leader.members = NULL;
  self->leader.rehearses = TRUE;
  self->store = swarm_store_new (self->leader.clock, leader->random, propose, self);
  self->leader.store = self->store;
  self->leader.runner = NULL;
  self->control = swarm_control_new (self->store, self->leader.clock, leader->random, NULL);
  self->pending = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->waiting = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->steps = g_ptr_array_new_with_free_func (step_free);
  swarm_dirty_init (&self->tasks);
  return self;
}

void
swarm_plan_world_free (SwarmPlanWorld *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->leader.runner, swarm_runner_free);
  g_clear_pointer (&self->scheduler, swarm_scheduler_free);
  g_clear_pointer (&self->allocator, swarm_allocator_free);
  g_clear_pointer (&self->orchestrator, swarm_orchestrator_free);
  g_clear_pointer (&self->control, swarm_control_free);
  g_clear_pointer (&self->store, swarm_store_free);
  g_clear_pointer (&self->snapshot, swarm_snapshot_free);
  swarm_clock_clear_timer (self->leader.clock, &self->obey);
  while (swarm_virtual_clock_step (self->virtual)) /* proposals and answers under way come to their end */
    ;
  swarm_virtual_clock_free (self->virtual);
  swarm_dirty_clear (&self->tasks);
  g_hash_table_unref (self->pending);
  g_hash_table_unref (self->waiting);
  g_ptr_array_unref (self->steps);
  g_free (self);
}

static void
start_loops (SwarmPlanWorld *self)
{
  g_clear_pointer (&self->snapshot, swarm_snapshot_free);
  self->leader.runner = swarm_runner_new (self->store, self->leader.clock);
  swarm_runner_set_budget (self->leader.runner, self->real);
  self->orchestrator = swarm_orchestrator_new (&self->leader);
  self->allocator = swarm_allocator_new (&self->leader);
  self->scheduler = swarm_scheduler_new (&self->leader, self->schedulers);
  self->watch = swarm_store_watch (self->store, 1 << SWARM_KIND_TASK, task_event, self);
  self->marking = TRUE;
}

/* More of the tasks that are there. */
static void
mark_tasks (SwarmPlanWorld *self)
{
  for (guint i = 0; i < LOAD_STEP; i++) {
    SwarmTask *task = swarm_store_next (self->store, SWARM_KIND_TASK, swarm_id_is_nil (&self->marked) ? NULL : &self->marked);
    if (task == NULL) {
      self->marking = FALSE;
      obey_soon (self);
      return;
    }
    self->marked = task->object.id;
    mark_task (self, task);
  }
}

gboolean
swarm_plan_world_work (SwarmPlanWorld *self, gint64 budget_us)
{
  gint64 end = swarm_clock_boottime (self->real) + budget_us;
  gint64 horizon = self->changed_at + HORIZON_US;
  do {
    if (self->snapshot != NULL) {
      if (!swarm_store_load (self->store, self->snapshot, &self->cursor, LOAD_STEP))
        start_loops (self);
    } else if (self->marking) {
      mark_tasks (self);
    } else if (!swarm_virtual_clock_step (self->virtual)
               || (self->recording && swarm_virtual_clock_time (self->virtual) > horizon)) {
      return TRUE;
    }
  } while (swarm_clock_boottime (self->real) < end);
  return FALSE;
}

void
swarm_plan_world_record (SwarmPlanWorld *self)
{
  self->recording = TRUE;
  self->changed_at = swarm_virtual_clock_time (self->virtual);
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->pending);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_hash_table_add (self->waiting, g_memdup2 (id, sizeof (SwarmId)));
}

SwarmControl *
swarm_plan_world_control (SwarmPlanWorld *self)
{
  return self->control;
}

SwarmStore *
swarm_plan_world_store (SwarmPlanWorld *self)
{
  return self->store;
}

static int
compare_waiting (gconstpointer a, gconstpointer b)
{
  const SwarmTask *one = *(const SwarmTask *const *) a, *other = *(const SwarmTask *const *) b;
  int names = g_strcmp0 (one->service_name, other->service_name);
  if (names != 0)
    return names;
  return one->slot != other->slot ? (one->slot < other->slot ? -1 : 1) : swarm_id_compare (&one->object.id, &other->object.id);
}

GPtrArray *
swarm_plan_world_steps (SwarmPlanWorld *self, gboolean *ret_truncated)
{
  g_autoptr (GPtrArray) waiting = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->pending);
  while (g_hash_table_iter_next (&iter, &id, NULL)) {
    SwarmTask *task = swarm_store_get (self->store, SWARM_KIND_TASK, id);
    if (task != NULL && task->desired_state < SWARM_TASK_SHUTDOWN && !g_hash_table_contains (self->waiting, id))
      g_ptr_array_add (waiting, task);
  }
  g_ptr_array_sort (waiting, compare_waiting);
  for (guint i = 0; i < waiting->len; i++) {
    const SwarmTask *task = waiting->pdata[i];
    add_step (self, SWARM_PLAN_PENDING, task, task->status->err != NULL ? task->status->err : task->status->text);
  }
  *ret_truncated = self->truncated;
  return self->steps;
}
