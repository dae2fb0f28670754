// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/scheduler.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scan.h"
#include "manager/scheduler/generic.h"
#include "manager/scheduler/placing.h"
#include "manager/scheduler/preset.h"
#include <string.h>

struct _SwarmScheduler {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_nodes; /* the first look at them, and then at the tasks */
  SwarmScan all_tasks;
  SwarmNodeSet *nodes;
  SwarmGroups groups;
  SwarmPlacing *placing;
  SwarmPresets presets;
  SwarmDirty unwanted;  /* tasks that were never placed and shall not be any more */
  GPtrArray *assumed;   /* of SwarmTask: placed in the transaction under way, counted on their nodes already */
  SwarmNeeds confirmed; /* of the last task with a node of its own */
  guint n_arrived;      /* of them came back from the store, in their order: they go on counting */
  gint64 now;           /* the store's time when the pass under way began */
};

static void
assign_task (SwarmScheduler *self, const SwarmTask *task, SwarmNodeInfo *info, const char *text, SwarmTx *tx)
{
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  SwarmTask *copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  copy->node_id = info->id;
  if (reserved != NULL && reserved->generic != NULL) {
    g_clear_pointer (&copy->generic, g_ptr_array_unref);
    copy->generic = swarm_generic_claim (info, reserved->generic);
  }
  if (!swarm_task_set_state (copy, SWARM_TASK_ASSIGNED, SWARM_WRITER_SCHEDULER, self->now, text, NULL, &error)) {
    swarm_error_log ("a task cannot be assigned: %s", error->message);
    swarm_task_unref (copy);
    return;
  }
  swarm_tx_update_of (tx, task, copy);
  swarm_node_set_add (self->nodes, copy);
  g_ptr_array_add (self->assumed, copy);
}

static void
assign_placed (const SwarmTask *task, SwarmNodeInfo *info, SwarmTx *tx, gpointer data)
{
  assign_task (data, task, info, "scheduler assigned task to node", tx);
}

static gboolean
is_in_encrypted (const SwarmTask *task)
{
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    if (((const SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->encrypted)
      return TRUE;
  }
  return FALSE;
}

/* A task that an update starts first may wait for a port of the very task that waits for it: nothing ends that but people. */
static char *
reason_of (SwarmScheduler *self, const SwarmTask *task, const char *why)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, &task->service_id);
  if (task->by_update && strstr (why, "host-mode port") != NULL && service != NULL && swarm_service_spec_warning (service->spec) != NULL)
    return g_strconcat (why, ", and with order start-first a task keeps its port until its replacement runs", NULL);
  if (strstr (why, "missing plugin") != NULL && is_in_encrypted (task))
    return g_strconcat (why, ": an encrypted network needs a node with swarm-netd and WireGuard, the kernel's or wireguard-go", NULL);
  if (strstr (why, "missing plugin") != NULL && swarm_task_needs_overlay (task))
    return g_strconcat (why, ": its networks and published ports need a node on which swarm-netd works; NetworkProblems in \"swarmctl node inspect\" say why it does not", NULL);
  return g_strdup (why);
}

/* Writes why a task stays pending; nothing when it says so already. FALSE: @tx is full. */
static gboolean
explain_task (SwarmScheduler *self, const SwarmTask *task, const char *why, SwarmTx *tx)
{
  g_autofree char *reason = reason_of (self, task, why);
  if (g_strcmp0 (task->status->err, reason) == 0)
    return TRUE;
  if (!swarm_tx_has_room (tx, 1))
    return FALSE;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  if (swarm_task_set_state (copy, SWARM_TASK_PENDING, SWARM_WRITER_SCHEDULER, self->now, task->status->text, reason, &error))
    swarm_tx_update_of (tx, task, copy);
  else
    swarm_error_log ("a pending task cannot say why: %s", error->message);
  return TRUE;
}

static gboolean
explain_waiting (const SwarmTask *task, const char *why, SwarmTx *tx, gpointer data)
{
  return explain_task (data, task, why, tx);
}

static const SwarmPlacingOps placing_ops = { assign_placed, explain_waiting };

static gboolean
task_waits (const SwarmTask *task)
{
  return task->status->state == SWARM_TASK_PENDING && swarm_id_is_nil (&task->node_id)
         && task->desired_state <= SWARM_TASK_COMPLETE;
}

/* What @task asks for; tasks of one service follow each other. */
static SwarmNeeds *
needs_of (SwarmScheduler *self, const SwarmTask *task)
{
  const SwarmTask *last = self->confirmed.task;
  if (last != NULL && task->attachment == NULL && last->attachment == NULL && last->spec_version == task->spec_version && swarm_id_equal (&last->service_id, &task->service_id))
    return &self->confirmed;
  swarm_needs_clear (&self->confirmed);
  swarm_needs_init (&self->confirmed, task);
  return &self->confirmed;
}

/* Its node is known: the filters only say whether it can run there. */
static void
confirm_task (SwarmScheduler *self, const SwarmTask *task, SwarmTx *tx)
{
  SwarmNodeInfo *info = swarm_node_set_get (self->nodes, &task->node_id);
  SwarmFilterCounts counts = { { 0 } };
  if (info == NULL || info->node == NULL)
    return; /* removed: so will be the task, or it is orphaned */
  if (swarm_filters_capacity (needs_of (self, task), self->nodes, info, &counts) > 0) {
    assign_task (self, task, info, "scheduler confirmed task can run on preassigned node", tx);
    return;
  }
  g_autofree char *why = swarm_filters_explain (&counts);
  explain_task (self, task, why, tx);
}

static void
cancel_task (SwarmScheduler *self, const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  if (swarm_task_set_state (copy, SWARM_TASK_SHUTDOWN, SWARM_WRITER_SCHEDULER, self->now, "shutdown", NULL, &error))
    swarm_tx_update_of (tx, task, copy);
  else
    swarm_error_log ("a pending task cannot be given up: %s", error->message);
}

/* Never placed, and not wanted any more: nobody else would end it. What is to be removed needs no end, the reaper takes it. */
static gboolean
task_is_unwanted (const SwarmTask *task)
{
  return task->status->state < SWARM_TASK_ASSIGNED && task->desired_state == SWARM_TASK_SHUTDOWN;
}

static gboolean
node_appears (gpointer object, gpointer data)
{
  swarm_node_set_put (((SwarmScheduler *) data)->nodes, object);
  return TRUE;
}

static gboolean task_appears (gpointer object, gpointer data);

/* FALSE: not everything is known yet. */
static gboolean
knows_all (SwarmScheduler *self)
{
  const SwarmLeader *leader = self->leader;
  return !swarm_scan_step (&self->all_nodes, leader->store, leader->runner, node_appears, self)
         && !swarm_scan_step (&self->all_tasks, leader->store, leader->runner, task_appears, self);
}

static gboolean
scheduler_pass (gpointer loop, SwarmTx *tx)
{
  SwarmScheduler *self = loop;
  SwarmId id;
  if (!knows_all (self))
    return TRUE;
  self->now = swarm_store_now (self->leader->store);
  while (swarm_tx_has_room (tx, 1) && swarm_dirty_take (&self->unwanted, &id)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &id);
    if (task != NULL && task_is_unwanted (task))
      cancel_task (self, task, tx);
  }
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->presets.due, &id)) {
    const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, &id);
    if (task != NULL && swarm_task_is_preset (task))
      confirm_task (self, task, tx);
  }
  gboolean more = swarm_placing_step (self->placing, tx);
  return more || swarm_dirty_n_waiting (&self->unwanted) > 0 || swarm_dirty_n_waiting (&self->presets.due) > 0;
}

static void
scheduler_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmScheduler *self = loop;
  swarm_dirty_settle (&self->unwanted, error == NULL);
  swarm_dirty_settle (&self->presets.due, error == NULL);
  for (guint i = self->n_arrived; i < self->assumed->len; i++)
    swarm_node_set_remove (self->nodes, g_ptr_array_index (self->assumed, i));
  g_ptr_array_set_size (self->assumed, 0);
  self->n_arrived = 0;
  if (error != NULL) {
    swarm_placing_restart (self->placing);
    swarm_groups_mark_all (&self->groups);
  }
  swarm_placing_settled (self->placing);
}

static const SwarmLoopOps scheduler_ops = { "scheduler", scheduler_pass, scheduler_settle, .overlaps = TRUE };

static void
scheduler_mark (SwarmScheduler *self)
{
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* There may be more room on @node. */
static void
capacity_freed (SwarmScheduler *self, const SwarmId *node)
{
  SwarmNodeInfo *info = swarm_node_set_get (self->nodes, node);
  if (info != NULL)
    swarm_groups_mark_fitting (&self->groups, self->nodes, info);
  if (swarm_presets_mark (&self->presets, node) || self->groups.dirty.length > 0)
    scheduler_mark (self);
}

/* The very object that was assigned comes back from the store: it counts already. */
static gboolean
has_arrived (SwarmScheduler *self, const SwarmTask *task)
{
  if (self->n_arrived >= self->assumed->len || g_ptr_array_index (self->assumed, self->n_arrived) != task)
    return FALSE;
  self->n_arrived++;
  return TRUE;
}

static gboolean
task_appears (gpointer object, gpointer data)
{
  SwarmScheduler *self = data;
  SwarmTask *task = object;
  if (!has_arrived (self, task))
    swarm_node_set_add (self->nodes, task);
  if (task_waits (task)) {
    swarm_groups_add (&self->groups, task);
    scheduler_mark (self);
  } else if (swarm_task_is_preset (task)) {
    swarm_presets_add (&self->presets, task);
    scheduler_mark (self);
  } else if (task_is_unwanted (task)) {
    swarm_dirty_mark (&self->unwanted, &task->object.id);
    scheduler_mark (self);
  }
  return TRUE;
}

static void
task_goes (SwarmScheduler *self, const SwarmTask *task)
{
  swarm_node_set_remove (self->nodes, task);
}

static void
task_changes (SwarmScheduler *self, const SwarmTask *before, const SwarmTask *task)
{
  task_goes (self, before);
  if (task_waits (before) && !task_waits (task))
    swarm_groups_remove (&self->groups, before);
  if (swarm_task_is_preset (before) && !swarm_task_is_preset (task))
    swarm_presets_remove (&self->presets, before);
  task_appears ((gpointer) task, self);
  gboolean was_over = swarm_task_state_is_terminal (before->status->state);
  gboolean is_over = swarm_task_state_is_terminal (task->status->state);
  if (was_over || !is_over || swarm_id_is_nil (&task->node_id)) {
    /* One more that is to be stopped counts for less in max replicas. */
    if (before->desired_state <= SWARM_TASK_COMPLETE && task->desired_state > SWARM_TASK_COMPLETE && !swarm_id_is_nil (&task->node_id))
      capacity_freed (self, &task->node_id);
    return;
  }
  if (task->status->state == SWARM_TASK_FAILED || task->status->state == SWARM_TASK_REJECTED)
    swarm_node_set_failed (self->nodes, task);
  capacity_freed (self, &task->node_id);
}

static void
task_event (SwarmScheduler *self, const SwarmEvent *event)
{
  if (!swarm_scan_is_past (&self->all_tasks, &SWARM_OBJECT (event->object)->id))
    return; /* the first look will find it as it is then */
  if (event->event == SWARM_EVENT_CREATE) {
    task_appears (event->object, self);
  } else if (event->event == SWARM_EVENT_UPDATE) {
    task_changes (self, event->previous, event->object);
  } else {
    task_goes (self, event->object);
    if (task_waits (event->object))
      swarm_groups_remove (&self->groups, event->object);
    if (swarm_task_is_preset (event->object))
      swarm_presets_remove (&self->presets, event->object);
    if (!swarm_id_is_nil (&((SwarmTask *) event->object)->node_id))
      capacity_freed (self, &((SwarmTask *) event->object)->node_id);
  }
}

/* The node changed in what a filter looks at (heartbeats and addresses do not count). */
static gboolean
node_matters (const SwarmNode *before, const SwarmNode *node)
{
  return before->status->state != node->status->state || before->role != node->role || !swarm_message_equal (before->spec, node->spec)
         || !swarm_message_equal (before->description, node->description)
         || g_strcmp0 (before->status->addr, node->status->addr) != 0;
}

static void
scheduler_load (SwarmScheduler *self)
{
  swarm_placing_forget (self->placing);
  swarm_node_set_clear (self->nodes);
  swarm_groups_clear (&self->groups);
  swarm_groups_init (&self->groups);
  swarm_presets_clear (&self->presets);
  swarm_presets_init (&self->presets);
  g_ptr_array_set_size (self->assumed, 0);
  self->n_arrived = 0;
  swarm_scan_begin (&self->all_nodes, SWARM_KIND_NODE);
  swarm_scan_begin (&self->all_tasks, SWARM_KIND_TASK);
  scheduler_mark (self);
}

static void
node_event (SwarmScheduler *self, const SwarmEvent *event)
{
  const SwarmId *id = &SWARM_OBJECT (event->object)->id;
  if (event->event == SWARM_EVENT_UPDATE && !node_matters (event->previous, event->object))
    return;
  if (event->event == SWARM_EVENT_REMOVE) {
    swarm_placing_restart (self->placing);
    swarm_node_set_drop (self->nodes, id);
  } else {
    swarm_node_set_put (self->nodes, event->object);
  }
  swarm_groups_mark_all (&self->groups); /* for their explanations too */
  if (swarm_presets_mark (&self->presets, id) || self->groups.dirty.length > 0)
    scheduler_mark (self);
}

static void
scheduler_event (const SwarmEvent *event, gpointer data)
{
  SwarmScheduler *self = data;
  if (event->event == SWARM_EVENT_RESET) {
    scheduler_load (self);
  } else if (event->event != SWARM_EVENT_COMMIT && event->kind == SWARM_KIND_TASK) {
    task_event (self, event);
  } else if (event->event != SWARM_EVENT_COMMIT && event->kind == SWARM_KIND_NODE) {
    node_event (self, event);
  }
}

SwarmScheduler *
swarm_scheduler_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers)
{
  SwarmScheduler *self = g_new0 (SwarmScheduler, 1);
  self->leader = leader;
  self->nodes = swarm_node_set_new (leader->clock);
  swarm_groups_init (&self->groups);
  swarm_presets_init (&self->presets);
  swarm_dirty_init (&self->unwanted);
  self->placing = swarm_placing_new (leader, self->nodes, &self->groups, schedulers, &placing_ops, self);
  self->assumed = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_task_unref);
  self->loop = swarm_runner_add (leader->runner, &scheduler_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_TASK | 1 << SWARM_KIND_NODE, scheduler_event, self);
  scheduler_load (self);
  return self;
}

void
swarm_scheduler_free (SwarmScheduler *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_placing_free (self->placing);
  swarm_groups_clear (&self->groups);
  swarm_needs_clear (&self->confirmed);
  swarm_node_set_free (self->nodes);
  swarm_presets_clear (&self->presets);
  swarm_dirty_clear (&self->unwanted);
  g_ptr_array_unref (self->assumed);
  g_free (self);
}
