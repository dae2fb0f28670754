// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/scheduler.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scheduler/filter.h"
#include "manager/scheduler/group.h"
#include "manager/scheduler/preset.h"

struct _SwarmScheduler {
  const SwarmLeader *leader;
  SwarmSchedulerSet *schedulers;
  guint loop;
  guint watch;
  SwarmNodeSet *nodes;
  SwarmGroups groups;
  SwarmPresets presets;
  SwarmDirty unwanted;  /* tasks that were never placed and shall not be any more */
  GPtrArray *assumed;   /* of SwarmTask: placed in the transaction under way, counted on their nodes already */
};

/* The nodes that can take tasks of one group now. */
typedef struct {
  SwarmScheduler *scheduler;
  const SwarmNeeds *needs;
  GArray *nodes;  /* SwarmPluginNode */
  GPtrArray *ids; /* SwarmNode *, same order; borrowed */
  SwarmFilterCounts counts;
} Survey;

static gboolean
survey_node (gpointer object, gpointer data)
{
  Survey *survey = data;
  const SwarmNode *node = object;
  SwarmNodeInfo *info = swarm_node_set_get (survey->scheduler->nodes, &node->object.id);
  guint capacity = swarm_filters_capacity (survey->needs, node, info, &survey->counts);
  if (capacity == 0)
    return TRUE;
  const SwarmTask *task = survey->needs->task;
  const SwarmResources *total = node->description != NULL ? node->description->resources : NULL;
  if (info->id_string == NULL)
    info->id_string = swarm_id_dup_string (&info->id);
  SwarmPluginNode row = {
    .id = info->id_string,
    .hostname = node->description != NULL && node->description->hostname != NULL ? node->description->hostname : "",
    .labels = swarm_node_info_labels (info, node),
    .service_tasks = swarm_node_info_service_tasks (info, &task->service_id),
    .total_tasks = info->active,
    .failures = swarm_node_info_failures (info, &task->service_id, task->spec_version,
                                          swarm_clock_boottime (survey->scheduler->leader->clock)),
    .capacity = capacity,
    .nano_cpus = total != NULL ? total->nano_cpus : 0,
    .memory = total != NULL ? total->memory_bytes : 0,
    .free_nano_cpus = total != NULL ? total->nano_cpus - info->nano_cpus : 0,
    .free_memory = total != NULL ? total->memory_bytes - info->memory : 0,
  };
  g_array_append_val (survey->nodes, row);
  g_ptr_array_add (survey->ids, (gpointer) node);
  return TRUE;
}

static void
survey_init (Survey *survey, SwarmScheduler *scheduler, const SwarmNeeds *needs)
{
  *survey = (Survey){ scheduler, needs, g_array_new (FALSE, FALSE, sizeof (SwarmPluginNode)), g_ptr_array_new (), { { 0 } } };
  swarm_store_foreach (scheduler->leader->store, SWARM_KIND_NODE, survey_node, survey);
}

static void
survey_clear (Survey *survey)
{
  g_array_unref (survey->nodes);
  g_ptr_array_unref (survey->ids);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Survey, survey_clear)

static void
assign_task (SwarmScheduler *self, const SwarmTask *task, const SwarmNode *node, const char *text, SwarmTx *tx)
{
  SwarmTask *copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  copy->node_id = node->object.id;
  if (!swarm_task_set_state (copy, SWARM_TASK_ASSIGNED, SWARM_WRITER_SCHEDULER, swarm_clock_now (self->leader->clock),
                             text, NULL, &error)) {
    swarm_error_log ("a task cannot be assigned: %s", error->message);
    swarm_task_unref (copy);
    return;
  }
  swarm_tx_update (tx, copy);
  swarm_node_set_add (self->nodes, copy);
  g_ptr_array_add (self->assumed, copy);
}

/* Writes why a task stays pending; nothing when it says so already. FALSE: @tx is full. */
static gboolean
explain_task (SwarmScheduler *self, const SwarmTask *task, const char *why, SwarmTx *tx)
{
  if (g_strcmp0 (task->status->err, why) == 0)
    return TRUE;
  if (!swarm_tx_has_room (tx, 1))
    return FALSE;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  if (swarm_task_set_state (copy, SWARM_TASK_PENDING, SWARM_WRITER_SCHEDULER, swarm_clock_now (self->leader->clock),
                            task->status->text, why, &error))
    swarm_tx_update (tx, copy);
  else
    swarm_error_log ("a pending task cannot say why: %s", error->message);
  return TRUE;
}

/* FALSE: @tx is full. */
static gboolean
explain_tasks (SwarmScheduler *self, GPtrArray *tasks, const char *why, SwarmTx *tx)
{
  for (guint i = 0; i < tasks->len; i++) {
    if (!explain_task (self, g_ptr_array_index (tasks, i), why, tx))
      return FALSE;
  }
  return TRUE;
}

static gboolean
task_waits (const SwarmTask *task)
{
  return task->status->state == SWARM_TASK_PENDING && swarm_id_is_nil (&task->node_id)
         && task->desired_state <= SWARM_TASK_COMPLETE;
}

static int
compare_slots (gconstpointer a, gconstpointer b)
{
  const SwarmTask *x = *(SwarmTask *const *) a, *y = *(SwarmTask *const *) b;
  if (x->slot != y->slot)
    return x->slot < y->slot ? -1 : 1;
  return swarm_id_compare (&x->object.id, &y->object.id);
}

static GPtrArray *
group_tasks (SwarmScheduler *self, const SwarmGroup *group)
{
  GPtrArray *tasks = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, group->tasks);
  while (g_hash_table_iter_next (&iter, &id, NULL)) {
    SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, id);
    if (task != NULL && task_waits (task))
      g_ptr_array_add (tasks, task);
  }
  g_ptr_array_sort (tasks, compare_slots);
  return tasks;
}

/* Whom the service wants to be placed by, else the cluster; NULL or "": the default. */
static const char *
strategy_name (SwarmScheduler *self, const SwarmTask *task)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  const SwarmPlacement *placement = task->spec->placement;
  if (placement != NULL && placement->strategy != NULL)
    return placement->strategy;
  return cluster != NULL && cluster->spec->orchestration != NULL ? cluster->spec->orchestration->strategy : NULL;
}

/* One call of the strategy for the first @n tasks. Assigns what it places, and takes it out of @tasks. FALSE: it failed. */
static gboolean
place_tasks (SwarmScheduler *self, SwarmSchedulerHost *strategy, const SwarmNeeds *needs, const Survey *survey, GPtrArray *tasks, guint n,
             SwarmTx *tx)
{
  g_autofree char *service = swarm_id_dup_string (&needs->task->service_id);
  g_autofree gint32 *placement = g_new (gint32, n);
  g_autoptr (GError) error = NULL;
  SwarmPluginGroup group = { .service_id = service, .service_name = needs->task->service_name, .count = n,
                             .nano_cpus = needs->nano_cpus, .memory = needs->memory };
  const SwarmPluginNode *nodes = (const SwarmPluginNode *) survey->nodes->data;
  if (!swarm_scheduler_host_place (strategy, &group, nodes, survey->nodes->len, placement, &error)) {
    swarm_warning ("scheduler: %s", error->message);
    return FALSE;
  }
  g_autoptr (GPtrArray) left = g_ptr_array_new ();
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    if (i < n && placement[i] >= 0 && (guint) placement[i] < survey->ids->len)
      assign_task (self, task, g_ptr_array_index (survey->ids, placement[i]), "scheduler assigned task to node", tx);
    else
      g_ptr_array_add (left, task);
  }
  g_ptr_array_set_size (tasks, 0);
  g_ptr_array_extend_and_steal (tasks, g_steal_pointer (&left));
  return TRUE;
}

/* TRUE: @tx is full, more is to be done for this group. */
static gboolean
schedule_group (SwarmScheduler *self, SwarmGroup *group, SwarmTx *tx)
{
  g_autoptr (GPtrArray) tasks = group_tasks (self, group);
  if (tasks->len == 0)
    return FALSE;
  const char *name = strategy_name (self, g_ptr_array_index (tasks, 0));
  SwarmSchedulerHost *strategy = self->schedulers != NULL ? swarm_scheduler_set_get (self->schedulers, name) : NULL;
  if (strategy == NULL) {
    g_autofree char *why = g_strdup_printf ("no suitable node (this manager has no scheduler strategy \"%s\")",
                                            name != NULL ? name : SWARM_DEFAULT_STRATEGY);
    return !explain_tasks (self, tasks, why, tx);
  }
  g_auto (SwarmNeeds) needs = { 0 };
  swarm_needs_init (&needs, g_ptr_array_index (tasks, 0));
  for (;;) {
    g_auto (Survey) survey = { 0 };
    survey_init (&survey, self, &needs);
    if (survey.nodes->len == 0) {
      g_autofree char *why = swarm_filters_explain (&survey.counts);
      return !explain_tasks (self, tasks, why, tx);
    }
    const guint before = tasks->len;
    guint n = before;
    while (n > 0 && !swarm_tx_has_room (tx, n))
      n /= 2;
    if (n == 0)
      return TRUE;
    if (!place_tasks (self, strategy, &needs, &survey, tasks, n, tx))
      return !explain_tasks (self, tasks, "no suitable node (the scheduler failed)", tx);
    if (tasks->len == 0)
      return FALSE;
    if (tasks->len == before) /* the strategy places none of them, though they would fit */
      return !explain_tasks (self, tasks, "no suitable node", tx);
  }
}

/* Its node is known: the filters only say whether it can run there. */
static void
confirm_task (SwarmScheduler *self, const SwarmTask *task, SwarmTx *tx)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &task->node_id);
  SwarmFilterCounts counts = { { 0 } };
  g_auto (SwarmNeeds) needs = { 0 };
  if (node == NULL)
    return; /* removed: so will be the task, or it is orphaned */
  swarm_needs_init (&needs, task);
  if (swarm_filters_capacity (&needs, node, swarm_node_set_get (self->nodes, &task->node_id), &counts) > 0) {
    assign_task (self, task, node, "scheduler confirmed task can run on preassigned node", tx);
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
  if (swarm_task_set_state (copy, SWARM_TASK_SHUTDOWN, SWARM_WRITER_SCHEDULER, swarm_clock_now (self->leader->clock), "shutdown",
                            NULL, &error))
    swarm_tx_update (tx, copy);
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
scheduler_pass (gpointer loop, SwarmTx *tx)
{
  SwarmScheduler *self = loop;
  SwarmId id;
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
  SwarmGroup *group;
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner)
         && (group = swarm_groups_take (&self->groups)) != NULL) {
    if (schedule_group (self, group, tx)) {
      swarm_groups_mark (&self->groups, group);
      return TRUE;
    }
  }
  return self->groups.dirty.length > 0 || swarm_dirty_n_waiting (&self->unwanted) > 0 || swarm_dirty_n_waiting (&self->presets.due) > 0;
}

static void
scheduler_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmScheduler *self = loop;
  swarm_dirty_settle (&self->unwanted, error == NULL);
  swarm_dirty_settle (&self->presets.due, error == NULL);
  for (guint i = 0; i < self->assumed->len; i++)
    swarm_node_set_remove (self->nodes, g_ptr_array_index (self->assumed, i));
  g_ptr_array_set_size (self->assumed, 0);
  if (error != NULL)
    swarm_groups_mark_all (&self->groups);
}

static const SwarmLoopOps scheduler_ops = { "scheduler", scheduler_pass, scheduler_settle };

static void
scheduler_mark (SwarmScheduler *self)
{
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* Something on @node changed for the better, perhaps. */
static void
capacity_freed (SwarmScheduler *self, const SwarmId *node)
{
  swarm_groups_mark_all (&self->groups);
  if (swarm_presets_mark (&self->presets, node) || self->groups.dirty.length > 0)
    scheduler_mark (self);
}

static gboolean
task_appears (gpointer object, gpointer data)
{
  SwarmScheduler *self = data;
  const SwarmTask *task = object;
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
  swarm_node_set_clear (self->nodes);
  swarm_groups_clear (&self->groups);
  swarm_groups_init (&self->groups);
  swarm_presets_clear (&self->presets);
  swarm_presets_init (&self->presets);
  g_ptr_array_set_size (self->assumed, 0);
  swarm_store_foreach (self->leader->store, SWARM_KIND_TASK, task_appears, self);
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
    swarm_node_set_touch (self->nodes, &SWARM_OBJECT (event->object)->id, event->event == SWARM_EVENT_REMOVE);
    if (event->event != SWARM_EVENT_UPDATE || node_matters (event->previous, event->object))
      capacity_freed (self, &SWARM_OBJECT (event->object)->id);
  }
}

SwarmScheduler *
swarm_scheduler_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers)
{
  SwarmScheduler *self = g_new0 (SwarmScheduler, 1);
  self->leader = leader;
  self->schedulers = schedulers;
  self->nodes = swarm_node_set_new (leader->clock);
  swarm_groups_init (&self->groups);
  swarm_presets_init (&self->presets);
  swarm_dirty_init (&self->unwanted);
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
  swarm_node_set_free (self->nodes);
  swarm_groups_clear (&self->groups);
  swarm_presets_clear (&self->presets);
  swarm_dirty_clear (&self->unwanted);
  g_ptr_array_unref (self->assumed);
  g_free (self);
}
