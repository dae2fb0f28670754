// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an agent finds when it starts: records on disk, units in the runtime. Then it knows what runs, what ended meanwhile and how, and
 * what died with an earlier boot. What the runtime has and nobody wrote down is stopped. */
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define LIST_LIMIT_US (120 * G_USEC_PER_SEC)
#define LIST_RETRY_US (5 * G_USEC_PER_SEC)
#define FIND_LIMIT_US (60 * G_USEC_PER_SEC)

/* ---- records ---- */

static void
on_kept (const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerTask *task;

  if (!swarm_worker_op_take (data, &op))
    return;
  if (error != NULL && !op.worker->disk_failed) {
    swarm_error_log ("Tasks can no longer be written down (%s): after a restart of the host this node will not know which tasks it had run",
                     error->message);
    op.worker->disk_failed = TRUE;
  }
  task = swarm_worker_task_of (op.worker, &op.task);
  if (task == NULL || task->kept)
    return;
  task->kept = TRUE;
  swarm_worker_reports_add (op.worker->reports, task, FALSE);
  swarm_worker_task_step (task);
}

void
swarm_worker_keep (SwarmWorkerTask *task)
{
  SwarmWorker *worker = task->worker;
  g_autoptr (SwarmWorkerRecord) record = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autofree char *name = NULL;
  g_autofree char *temporary = NULL;
  GArray *ops;

  if (worker->config.disk == NULL) {
    task->kept = TRUE;
    return;
  }
  record = swarm_worker_record_new ();
  record->task = task->id;
  swarm_string_set (&record->boot_id, worker->boot_id);
  record->status = swarm_task_status_ref (task->status);
  record->clean = task->clean;
  record->unproven = task->unproven;
  record->container_started = task->container_started;
  record->network = task->clean ? NULL : swarm_worker_network_of (task);
  bytes = swarm_worker_record_to_bytes (record);
  name = swarm_worker_record_name (&task->id);
  temporary = g_strconcat (name, ".new", NULL);
  ops = swarm_disk_ops_new ();
  swarm_disk_ops_unlink (ops, temporary);
  swarm_disk_ops_write (ops, temporary, 0, bytes);
  swarm_disk_ops_rename (ops, temporary, name);
  worker->config.disk->submit (worker->config.disk, ops, on_kept, swarm_worker_op_new (worker, &task->id, 0));
}

void
swarm_worker_unkeep (SwarmWorker *worker, const SwarmId *id)
{
  g_autofree char *name = NULL;
  GArray *ops;

  if (worker->config.disk == NULL)
    return;
  name = swarm_worker_record_name (id);
  ops = swarm_disk_ops_new ();
  swarm_disk_ops_unlink (ops, name);
  worker->config.disk->submit (worker->config.disk, ops, on_kept, swarm_worker_op_new (worker, id, 0));
}

static void
take_record (SwarmWorker *worker, const SwarmWorkerRecord *record)
{
  SwarmWorkerTask *task = swarm_worker_task_new (worker, &record->task, record->status);

  task->kept = TRUE;
  task->clean = record->clean;
  task->unproven = record->unproven;
  task->network = record->network != NULL ? swarm_task_ref (record->network) : NULL;
  task->touched = !record->clean;
  task->container_started = record->container_started;
  if (swarm_task_state_is_terminal (task->status->state))
    swarm_worker_reports_add (worker->reports, task, FALSE);
  else if (g_strcmp0 (record->boot_id, worker->boot_id) != 0)
    swarm_worker_task_set (task, SWARM_TASK_FAILED, NULL, "task: the host was restarted", 0);
}

/* A damaged record costs its task, which is reported as lost and replaced; it does not cost the others. */
static gboolean
load_record (SwarmWorker *worker, const char *name, GError **error)
{
  g_autoptr (GBytes) bytes = worker->config.disk->read (worker->config.disk, name, error);
  g_autoptr (GError) broken = NULL;
  g_autoptr (SwarmWorkerRecord) record = NULL;
  g_autofree char *expected = NULL;

  if (bytes == NULL) {
    g_prefix_error (error, "cannot read the record %s: ", name);
    return FALSE;
  }
  record = swarm_worker_record_from_bytes (bytes, &broken);
  if (record != NULL) {
    expected = swarm_worker_record_name (&record->task);
    if (strcmp (expected, name) != 0 || record->status == NULL)
      broken = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "it belongs to another task");
  }
  if (broken != NULL)
    swarm_error_log ("The record %s is damaged (%s): its task counts as lost", name, broken->message);
  else
    take_record (worker, record);
  return TRUE;
}

static gboolean
load_records (SwarmWorker *worker, GError **error)
{
  g_auto (GStrv) names = NULL;
  GArray *leftovers = swarm_disk_ops_new ();
  gboolean ok = TRUE;

  names = worker->config.disk->list (worker->config.disk, error);
  for (guint i = 0; ok && names != NULL && names[i] != NULL; i++) {
    if (g_str_has_suffix (names[i], ".task"))
      ok = load_record (worker, names[i], error);
    else if (g_str_has_suffix (names[i], ".task.new"))
      swarm_disk_ops_unlink (leftovers, names[i]);
  }
  if (ok && names != NULL && leftovers->len > 0)
    worker->config.disk->submit (worker->config.disk, leftovers, on_kept, swarm_worker_op_new (worker, NULL, 0));
  else
    g_array_unref (leftovers);
  return ok && names != NULL;
}

/* ---- units ---- */

static gboolean
is_unhealthy (const SwarmWorkerTask *task)
{
  const SwarmContainerStatus *container = task->status->container;

  return container != NULL && container->health != NULL && g_strcmp0 (container->health->status, "unhealthy") == 0;
}

/* It runs, or ran: then its end follows. */
static void
adopt_running (SwarmWorkerTask *task, const SwarmRuntimeTask *found)
{
  g_autoptr (SwarmHealthStatus) health = is_unhealthy (task) ? swarm_health_status_ref (task->status->container->health) : NULL;
  SwarmTaskStatus *status;

  task->may_run = TRUE;
  if (swarm_task_state_is_terminal (task->status->state))
    return; /* was counted as ended: removed with the rest of it */
  status = swarm_task_status_copy (task->status);
  swarm_message_unref (status->container);
  status->container = swarm_container_status_new ();
  swarm_string_set (&status->container->container_id, found->container_id);
  status->container->pid = found->pid;
  status->container->health = g_steal_pointer (&health);
  swarm_message_unref (task->status);
  task->status = status;
  task->prepared = TRUE;
  task->up = TRUE;
  gint64 age = found->started_at > 0 ? MAX (swarm_clock_now (task->worker->config.clock) - found->started_at, 0) : 0;
  task->up_since = swarm_clock_boottime (task->worker->config.clock) - age;
  /* What ran goes on as running; what had still to prove its health is asked further on. */
  if (task->unproven)
    swarm_worker_task_set (task, SWARM_TASK_STARTING, "starting", NULL, 0);
  else
    swarm_worker_task_set (task, SWARM_TASK_RUNNING, "started", NULL, found->started_at);
}

static void
on_stray_removed (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerOp op;

  if (swarm_worker_op_take (data, &op) && error != NULL)
    swarm_warning ("Task %s, which this node does not know, cannot be removed: %s", swarm_id_string (&op.task).str, error->message);
}

static void
adopt_one (SwarmWorker *worker, const SwarmRuntimeTask *found)
{
  SwarmWorkerTask *task = swarm_worker_task_of (worker, &found->task);

  if (task == NULL) {
    swarm_notice ("Task %s is in the runtime, but this node has no record of it: removed", swarm_id_string (&found->task).str);
    swarm_runtime_host_remove (worker->config.runtime, &found->task, LIST_LIMIT_US, on_stray_removed,
                               swarm_worker_op_new (worker, &found->task, 0));
    return;
  }
  task->touched = TRUE;
  task->clean = FALSE;
  if (!found->running && found->exit_code < 0 && found->exited_at == 0)
    return; /* made, not started */
  adopt_running (task, found);
  if (!found->running)
    swarm_worker_task_exited (task, found->exit_code, found->exited_at, NULL);
  else if (is_unhealthy (task) && !swarm_task_state_is_terminal (task->status->state))
    swarm_worker_task_unhealthy (task); /* it was to be stopped, when others knew: they may not */
}

/* ---- containers that are no tasks, in networks ---- */

static gboolean
is_to_be_found (const SwarmWorkerTask *task)
{
  return swarm_worker_task_is_attachment (task) && !task->up && !swarm_task_state_is_terminal (task->status->state);
}

static void find_containers (gpointer data);

static void
adopt_attachment (SwarmWorkerTask *task, const SwarmRuntimeResult *found)
{
  SwarmRuntimeTask running = { .task = task->id, .running = TRUE, .pid = found->pid, .container_id = (char *) found->container_id };

  adopt_running (task, &running);
  task->container_started = found->started;
  task->health_settled = TRUE;
}

static void
on_container_found (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerTask *task;
  gboolean later = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  gboolean gone = error == NULL ? result->pid == 0 : !later;

  if (!swarm_worker_op_take (data, &op))
    return;
  op.worker->find_failed |= later;
  task = swarm_worker_task_of (op.worker, &op.task);
  if (task != NULL && error == NULL && task->container_started != 0 && task->container_started != result->started)
    gone = TRUE; /* that it was put into the network for; it was started again since */
  if (task != NULL && gone)
    swarm_worker_task_exited (task, 0, 0, NULL);
  else if (task != NULL && error == NULL)
    adopt_attachment (task, result);
  else if (task != NULL)
    swarm_warning ("Container %s, which is in a network, cannot be looked for: %s; trying again", task->network->attachment->name, error->message);
  if (--op.worker->finding > 0)
    return;
  if (op.worker->find_failed)
    op.worker->list_retry = swarm_clock_timer (op.worker->config.clock, LIST_RETRY_US, SWARM_PRIORITY_NORMAL, find_containers, op.worker);
  else
    find_containers (op.worker);
}

/* Then what runs is known. */
static void
find_containers (gpointer data)
{
  SwarmWorker *worker = data;
  g_autoptr (GPtrArray) tasks = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer task;

  worker->list_retry = NULL;
  g_hash_table_iter_init (&iter, worker->tasks);
  while (g_hash_table_iter_next (&iter, NULL, &task)) {
    if (is_to_be_found (task))
      g_ptr_array_add (tasks, task);
  }
  worker->finding = tasks->len;
  worker->find_failed = FALSE;
  for (guint i = 0; i < tasks->len; i++) {
    SwarmWorkerTask *one = tasks->pdata[i];
    swarm_runtime_host_find (worker->config.runtime, one->network->attachment->container_id, FIND_LIMIT_US, on_container_found,
                             swarm_worker_op_new (worker, &one->id, 0));
  }
  if (tasks->len == 0)
    swarm_worker_adoption_done (worker);
}

static void list_units (gpointer data);

static void
on_listed (GPtrArray *tasks, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  guint running = 0;

  if (!swarm_worker_op_take (data, &op))
    return;
  if (error != NULL) {
    swarm_error_log ("What runs on this node cannot be listed: %s; trying again", error->message);
    op.worker->list_retry = swarm_clock_timer (op.worker->config.clock, LIST_RETRY_US, SWARM_PRIORITY_NORMAL, list_units, op.worker);
    return;
  }
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmRuntimeTask *found = g_ptr_array_index (tasks, i);
    adopt_one (op.worker, found);
    running += found->running;
  }
  if (tasks->len > 0)
    swarm_info ("Adopted %u tasks that run and %u that ended while the agent was away", running, tasks->len - running);
  find_containers (op.worker);
}

static void
list_units (gpointer data)
{
  SwarmWorker *worker = data;

  worker->list_retry = NULL;
  swarm_runtime_host_list (worker->config.runtime, LIST_LIMIT_US, on_listed, swarm_worker_op_new (worker, NULL, 0));
}

gboolean
swarm_worker_adopt (SwarmWorker *worker, GError **error)
{
  if (worker->config.disk != NULL && !load_records (worker, error))
    return FALSE;
  list_units (worker);
  return TRUE;
}
