// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/slot.h"
#include "base/log.h"
#include "model/constraint.h"

gboolean
swarm_service_is_everywhere (const SwarmService *service)
{
  SwarmServiceKind kind = service != NULL ? swarm_service_spec_kind (service->spec) : SWARM_SERVICE_REPLICATED;
  return kind == SWARM_SERVICE_GLOBAL || kind == SWARM_SERVICE_GLOBAL_JOB;
}

GPtrArray *
swarm_service_constraints (const SwarmService *service)
{
  const SwarmPlacement *placement = service->spec->task->placement;
  return swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, NULL);
}

GArray *
swarm_slots_of (GPtrArray *tasks)
{
  GArray *slots = g_array_new (FALSE, TRUE, sizeof (SwarmSlot));
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    SwarmSlot *last = slots->len > 0 ? &g_array_index (slots, SwarmSlot, slots->len - 1) : NULL;
    if (last != NULL && last->number == task->slot) {
      last->n++;
    } else {
      SwarmSlot slot = { task->slot, (SwarmTask **) &g_ptr_array_index (tasks, i), 1 };
      g_array_append_val (slots, slot);
    }
  }
  return slots;
}

GPtrArray *
swarm_tasks_on_node (SwarmStore *store, const SwarmId *service, const SwarmId *node)
{
  GPtrArray *tasks = swarm_store_unnumbered_tasks_of_node (store, node);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    if (swarm_id_equal (&((SwarmTask *) g_ptr_array_index (tasks, i))->service_id, service))
      tasks->pdata[n++] = tasks->pdata[i];
  }
  g_ptr_array_set_size (tasks, (gint) n);
  return tasks;
}

gboolean
swarm_node_is_lost (SwarmStore *store, const SwarmNode *node, const SwarmServiceSpec *spec, gint64 *wake)
{
  if (node == NULL)
    return TRUE;
  if (node->status->state != SWARM_NODE_DOWN)
    return FALSE;
  const SwarmCluster *cluster = swarm_store_cluster (store);
  gint64 grace = cluster != NULL && cluster->spec->dispatcher != NULL ? cluster->spec->dispatcher->down_grace : 0;
  gint64 wait = MAX (grace, spec != NULL ? spec->disconnect_wait : 0) / 1000;
  gint64 until = node->status->silent_since + wait;
  if (node->status->silent_since == 0 || wait <= 0 || node->spec->availability == SWARM_AVAILABILITY_DRAIN || until <= swarm_store_now (store))
    return TRUE;
  if (wake != NULL)
    *wake = MIN (*wake, until);
  return FALSE;
}

static gboolean
node_of_task_is_lost (SwarmStore *store, const SwarmTask *task, const SwarmNode *node, gint64 *wake)
{
  const SwarmService *service = swarm_store_get (store, SWARM_KIND_SERVICE, &task->service_id);
  return swarm_node_is_lost (store, node, service != NULL ? service->spec : NULL, wake);
}

gboolean
swarm_task_is_evicted (SwarmStore *store, const SwarmTask *task, gint64 *wake)
{
  if (swarm_id_is_nil (&task->node_id))
    return FALSE;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  return node_of_task_is_lost (store, task, node, wake) || node->spec->availability == SWARM_AVAILABILITY_DRAIN;
}

gboolean
swarm_task_may_run (SwarmStore *store, const SwarmTask *task, gint64 *wake)
{
  gboolean over = swarm_task_state_is_terminal (task->status->state) && !task->lingers;
  if (swarm_id_is_nil (&task->node_id) || task->status->state < SWARM_TASK_ASSIGNED || over)
    return FALSE;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  return !node_of_task_is_lost (store, task, node, wake);
}

gboolean
swarm_slot_may_run (SwarmStore *store, const SwarmSlot *slot, const SwarmTask *except, gint64 *wake)
{
  for (guint i = 0; i < slot->n; i++) {
    if (slot->tasks[i] != except && swarm_task_may_run (store, slot->tasks[i], wake))
      return TRUE;
  }
  return FALSE;
}

/* Only the placement differs, and the task's node satisfies the new one. */
static gboolean
task_still_fits (SwarmStore *store, const SwarmTask *task, const SwarmService *service)
{
  g_autoptr (SwarmTaskSpec) moved = swarm_task_spec_copy (task->spec);
  swarm_placement_unref (moved->placement);
  moved->placement = service->spec->task->placement != NULL ? swarm_placement_ref (service->spec->task->placement) : NULL;
  if (swarm_message_differs (moved, service->spec->task, SWARM_FIELD_REPLACES_TASKS))
    return FALSE;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  if (node == NULL)
    return FALSE;
  g_autoptr (GPtrArray) constraints
      = swarm_constraints_parse (moved->placement != NULL ? moved->placement->constraints : NULL, NULL);
  return constraints != NULL && swarm_constraints_match (constraints, node);
}

gboolean
swarm_task_is_dirty (SwarmStore *store, const SwarmTask *task, const SwarmService *service)
{
  if (task->spec_version == service->spec_version)
    return FALSE;
  /* A task that is still new has no endpoint yet: the allocator will give it the current one. */
  if (task->status->state > SWARM_TASK_NEW) {
    const SwarmEndpointSpec *want = service->spec->endpoint;
    if (!swarm_message_equal (task->endpoint, want))
      return TRUE;
  }
  if (!swarm_message_differs (task->spec, service->spec->task, SWARM_FIELD_REPLACES_TASKS))
    return FALSE;
  return !task_still_fits (store, task, service);
}

int
swarm_task_compare_age (gconstpointer a, gconstpointer b)
{
  const SwarmTask *x = *(SwarmTask *const *) a, *y = *(SwarmTask *const *) b;
  if (x->object.created_at != y->object.created_at)
    return x->object.created_at < y->object.created_at ? -1 : 1;
  return swarm_id_compare (&x->object.id, &y->object.id);
}

gboolean
swarm_task_is_step (const SwarmTask *task, const SwarmService *service)
{
  return task->by_update && task->spec_version == service->spec_version;
}

SwarmTask *
swarm_task_make (const SwarmLeader *leader, const SwarmService *service, guint64 slot, gint64 not_before, gboolean wait)
{
  SwarmTask *task = swarm_task_new ();
  gint64 now = swarm_store_now (leader->store);
  task->object.id = swarm_random_id (leader->random);
  task->service_id = service->object.id;
  task->slot = slot;
  task->service_name = g_strdup (service->spec->name);
  if (service->spec->labels != NULL)
    task->service_labels = g_hash_table_ref (service->spec->labels);
  task->spec = swarm_task_spec_ref (service->spec->task);
  task->spec_version = service->spec_version;
  task->not_before = not_before;
  task->job_iteration = service->job_status != NULL ? service->job_status->iteration : 0;
  if (task->status == NULL)
    task->status = swarm_task_status_new ();
  SwarmServiceKind kind = swarm_service_spec_kind (service->spec);
  gboolean job = kind == SWARM_SERVICE_REPLICATED_JOB || kind == SWARM_SERVICE_GLOBAL_JOB;
  SwarmTaskState goal = job ? SWARM_TASK_COMPLETE : SWARM_TASK_RUNNING;
  g_autoptr (GError) error = NULL;
  if (!swarm_task_set_state (task, SWARM_TASK_NEW, SWARM_WRITER_ORCHESTRATOR, now, "created", NULL, &error)
      || !swarm_task_set_desired (task, wait || not_before > now ? SWARM_TASK_READY : goal,
                                  SWARM_WRITER_ORCHESTRATOR, &error))
    swarm_error_log ("a new task's state was refused: %s", error->message);
  return task;
}

void
swarm_task_want (SwarmTx *tx, const SwarmTask *task, SwarmTaskState desired)
{
  if (task->desired_state >= desired)
    return;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  if (swarm_task_set_desired (copy, desired, SWARM_WRITER_ORCHESTRATOR, &error))
    swarm_tx_update (tx, copy);
  else
    swarm_error_log ("a task's desired state was refused: %s", error->message);
}
