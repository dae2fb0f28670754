// SPDX-License-Identifier: LGPL-2.1-or-later
/* The machine of one task. The observed state moves up only, gated by the desired state as swarmkit's agent does it (exec.Do): preparing,
 * starting and running may go past the desired state to their next state, all others wait for it. */
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define PREPARE_LIMIT_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC) /* a big image over a thin line */
#define START_LIMIT_US (120 * G_USEC_PER_SEC)
#define STOP_LIMIT_US (60 * G_USEC_PER_SEC) /* on top of the grace period */
#define GRACE_MAX_US (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)
#define NETWORK_LIMIT_US (30 * G_USEC_PER_SEC)
#define FIND_LIMIT_US (30 * G_USEC_PER_SEC)
#define RETRY_FIRST_US (500 * 1000)
#define RETRY_LAST_US (30 * G_USEC_PER_SEC)
#define PREPARE_ATTEMPTS 5
#define TEXT_MAX 1024
#define EXIT_KILLED 137
#define LEAVING_US G_USEC_PER_SEC /* what is unhealthy leaves names and balancing before it is stopped, if that takes no longer; as the leader waits for what is to stop */
#define OUT_US (300 * 1000) /* when it has left them here: others were told in the same moment */
#define LINGER_US G_USEC_PER_SEC /* what ended by itself is removed after its replacement had the machine for itself */

/* How many steps of a class may be under way. Pulls must not hold up starts, nor starts stops. */
enum { CLASS_PREPARE, CLASS_START, CLASS_END };
static const guint class_limits[] = { [CLASS_PREPARE] = 32, [CLASS_START] = 8, [CLASS_END] = 64 };

static void begin_prepare (SwarmWorkerTask *self);

SwarmTaskState
swarm_worker_task_state (const SwarmWorkerTask *self)
{
  return self->status->state;
}

static gboolean
is_over (const SwarmWorkerTask *self)
{
  return swarm_task_state_is_terminal (self->status->state);
}

static gboolean
wants_down (const SwarmWorkerTask *self)
{
  return self->unassigned || self->worker->draining || (self->task != NULL && self->task->desired_state >= SWARM_TASK_SHUTDOWN);
}

const SwarmTask *
swarm_worker_task_known (const SwarmWorkerTask *self)
{
  return self->task != NULL ? self->task : self->network;
}

/* ---- places ---- */

static void
leave_queue (SwarmWorkerTask *self)
{
  if (self->waits_in >= 0)
    g_queue_remove (&self->worker->waiting[self->waits_in], self);
  self->waits_in = -1;
}

/* FALSE: stands in the queue now, and is stepped when its turn comes. */
static gboolean
take_place (SwarmWorkerTask *self, int step_class, SwarmWorkerStep step)
{
  SwarmWorker *worker = self->worker;

  if (worker->under_way[step_class] >= class_limits[step_class]) {
    self->waits_in = step_class;
    g_queue_push_tail (&worker->waiting[step_class], self);
    return FALSE;
  }
  worker->under_way[step_class]++;
  self->step = step;
  self->cancelled = FALSE;
  return TRUE;
}

static int
class_of (SwarmWorkerStep step)
{
  if (step == SWARM_STEP_ATTACH || step == SWARM_STEP_PREPARE)
    return CLASS_PREPARE;
  return step == SWARM_STEP_START ? CLASS_START : CLASS_END;
}

void
swarm_worker_task_next_waiting (SwarmWorker *worker)
{
  for (guint c = 0; c < G_N_ELEMENTS (class_limits); c++) {
    while (worker->under_way[c] < class_limits[c] && !g_queue_is_empty (&worker->waiting[c]))
      swarm_worker_task_step (g_queue_peek_head (&worker->waiting[c]));
  }
}

static void
end_step (SwarmWorkerTask *self)
{
  self->worker->under_way[class_of (self->step)]--;
  self->step = SWARM_STEP_NONE;
  self->call = 0;
}

/* The step is over: on to the next, of this task and of those that wait for a place. */
static void
go_on (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  swarm_worker_task_step (self);
  swarm_worker_task_next_waiting (worker);
}

/* The task of a step that came to its end; NULL: nobody waits for it. */
static SwarmWorkerTask *
task_of_answer (gpointer data, SwarmWorkerStep step)
{
  SwarmWorkerOp op;
  SwarmWorkerTask *self;

  if (!swarm_worker_op_take (data, &op))
    return NULL;
  self = swarm_worker_task_of (op.worker, &op.task);
  return self != NULL && self->step == step ? self : NULL;
}

static gpointer
answer_to (SwarmWorkerTask *self)
{
  return swarm_worker_op_new (self->worker, &self->id, 0);
}

/* ---- life ---- */

SwarmWorkerTask *
swarm_worker_task_new (SwarmWorker *worker, const SwarmId *id, const SwarmTaskStatus *status)
{
  SwarmWorkerTask *self = g_new0 (SwarmWorkerTask, 1);

  self->worker = worker;
  self->id = *id;
  self->waits_in = -1;
  self->status = status != NULL ? swarm_task_status_ref (status) : swarm_task_status_new ();
  if (status == NULL)
    self->status->state = SWARM_TASK_ASSIGNED;
  g_hash_table_replace (worker->tasks, &self->id, self);
  return self;
}

void
swarm_worker_task_free (gpointer data)
{
  SwarmWorkerTask *self = data;

  leave_queue (self);
  swarm_worker_health_end (self);
  swarm_clock_clear_timer (self->worker->config.clock, &self->retry);
  swarm_clock_clear_timer (self->worker->config.clock, &self->linger);
  swarm_clock_clear_timer (self->worker->config.clock, &self->leaving);
  swarm_message_unref (self->task);
  swarm_message_unref (self->status);
  swarm_message_unref (self->image_health);
  g_free (self->network_mode);
  g_free (self->resolver);
  swarm_message_unref (self->network);
  g_free (self->exit_reason);
  g_free (self);
}

SwarmTask *
swarm_worker_task_view (const SwarmWorkerTask *self)
{
  SwarmTask *view = self->task != NULL ? swarm_task_copy (self->task) : swarm_task_new ();

  view->object.id = self->id;
  view->node_id = self->worker->config.node;
  swarm_message_unref (view->status);
  view->status = swarm_task_status_ref (self->status);
  return view;
}

static char *
shortened (const char *text)
{
  return text != NULL ? g_utf8_make_valid (text, (gssize) strnlen (text, TEXT_MAX)) : NULL;
}

void
swarm_worker_task_set (SwarmWorkerTask *self, SwarmTaskState state, const char *text, const char *err, gint64 at_us)
{
  SwarmWorker *worker = self->worker;
  SwarmTaskStatus *status;
  g_autofree char *short_err = shortened (err);

  if (state < self->status->state || is_over (self)) {
    swarm_error_log ("Task %s cannot go from %s to %s; this is a mistake in the agent", swarm_id_string (&self->id).str,
                     swarm_task_state_to_string (self->status->state), swarm_task_state_to_string (state));
    return;
  }
  status = swarm_task_status_copy (self->status);
  status->state = state;
  status->timestamp = at_us != 0 ? at_us : swarm_clock_now (worker->config.clock);
  if (text != NULL)
    swarm_string_set (&status->text, text);
  swarm_string_set (&status->err, short_err);
  swarm_message_unref (self->status);
  self->status = status;
  self->acked = FALSE;
  if (state == SWARM_TASK_ACCEPTED || is_over (self))
    swarm_worker_keep (self);
  if (is_over (self) || state == SWARM_TASK_RUNNING)
    swarm_log (LOG_INFO, swarm_log_id_task_changed, SWARM_LOG_FIELDS ({ "SWARM_TASK_ID", swarm_id_string (&self->id).str }), "Task %s: %s%s%s",
               swarm_id_string (&self->id).str, swarm_task_state_to_string (state), short_err != NULL ? ": " : "",
               short_err != NULL ? short_err : "");
  swarm_worker_reports_add (worker->reports, self, state == SWARM_TASK_RUNNING || is_over (self));
  if (swarm_worker_task_is_attachment (self))
    swarm_worker_containers_look (worker->containers);
  if (worker->config.task_changed != NULL) {
    g_autoptr (SwarmTask) view = swarm_worker_task_view (self);
    worker->config.task_changed (view, worker->config.data);
  }
}

void
swarm_worker_task_acked (SwarmWorkerTask *self)
{
  self->acked = TRUE;
  if (is_over (self))
    swarm_worker_task_step (self);
}

/* ---- trying again ---- */

static void
retry_fires (gpointer data)
{
  SwarmWorkerTask *self = data;

  self->retry = NULL;
  go_on (self);
}

static void
try_again (SwarmWorkerTask *self)
{
  gint64 delay = MIN (RETRY_FIRST_US << MIN (self->attempts, 10), RETRY_LAST_US);

  self->attempts++;
  self->retry = swarm_clock_timer (self->worker->config.clock, delay, SWARM_PRIORITY_NORMAL, retry_fires, self);
}

static void
linger_over (gpointer data)
{
  SwarmWorkerTask *self = data;

  self->linger = NULL;
  go_on (self);
}

void
swarm_worker_task_forget_retry (SwarmWorkerTask *self)
{
  swarm_clock_clear_timer (self->worker->config.clock, &self->retry);
  self->attempts = 0;
}

/* ---- up ---- */

static void
fail (SwarmWorkerTask *self, const char *err)
{
  swarm_worker_task_set (self, self->status->state < SWARM_TASK_STARTING ? SWARM_TASK_REJECTED : SWARM_TASK_FAILED, NULL, err, 0);
}

static void
prepare_failed (SwarmWorkerTask *self, const GError *error)
{
  end_step (self);
  if (wants_down (self)) {
    go_on (self);
    return;
  }
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) && self->attempts + 1 < PREPARE_ATTEMPTS)
    try_again (self);
  else
    fail (self, error->message);
  go_on (self);
}

static void
on_prepared (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_PREPARE);

  if (self == NULL)
    return;
  if (error != NULL) {
    prepare_failed (self, error);
    return;
  }
  end_step (self);
  swarm_worker_task_forget_retry (self);
  self->prepared = TRUE;
  if (self->status->state == SWARM_TASK_PREPARING)
    swarm_worker_task_set (self, SWARM_TASK_READY, "prepared", NULL, 0);
  swarm_worker_health_look_ahead (self);
  go_on (self);
}

static void
call_prepare (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  self->step = SWARM_STEP_PREPARE;
  self->call = swarm_runtime_host_prepare (worker->config.runtime, self->task, &worker->config.node, worker->hostname, self->network_mode,
                                           self->resolver, PREPARE_LIMIT_US, on_prepared, answer_to (self));
}

static void
on_attached (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_ATTACH);

  if (self == NULL)
    return;
  if (error != NULL) {
    prepare_failed (self, error);
    return;
  }
  self->network_mode = g_strdup (mode != NULL ? mode : "");
  self->resolver = g_strdup (resolver);
  if (!wants_down (self)) {
    call_prepare (self);
    return;
  }
  end_step (self);
  go_on (self);
}

/* The network that every node has of its own and that the task is on ("host", "none"); NULL: the plugin's business. */
static const char *
own_network (const SwarmTask *task)
{
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const char *driver = ((const SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->driver;
    if (g_strcmp0 (driver, SWARM_DRIVER_HOST) == 0 || g_strcmp0 (driver, SWARM_DRIVER_NONE) == 0)
      return driver;
  }
  return NULL;
}

static gboolean
wants_health (const SwarmTask *task)
{
  const SwarmContainerSpec *container = task->spec->container;
  const SwarmHealthcheck *health = container != NULL ? container->healthcheck : NULL;

  return health != NULL && health->test != NULL && health->test->len > 0 && strcmp (health->test->pdata[0], "NONE") != 0;
}

/* ---- up, without a container of its own: it puts one that is no task into its network ---- */

gboolean
swarm_worker_task_is_attachment (const SwarmWorkerTask *self)
{
  const SwarmTask *task = swarm_worker_task_known (self);
  return task != NULL && task->attachment != NULL;
}

static void set_container (SwarmWorkerTask *self, const SwarmRuntimeResult *result);

static void
on_found (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_PREPARE);
  g_autoptr (GError) stopped = NULL;

  if (self == NULL)
    return;
  if (error == NULL && result->pid == 0)
    stopped = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "container %s is not running", result->name);
  if (error != NULL || stopped != NULL) {
    prepare_failed (self, error != NULL ? error : stopped);
    return;
  }
  end_step (self);
  swarm_worker_task_forget_retry (self);
  set_container (self, result);
  self->container_started = result->started;
  self->prepared = TRUE;
  if (self->status->state == SWARM_TASK_PREPARING)
    swarm_worker_task_set (self, SWARM_TASK_READY, "prepared", NULL, 0);
  go_on (self);
}

static void
begin_find (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  if (worker->config.network == NULL)
    fail (self, "this node has no network plugin");
  else if (take_place (self, CLASS_PREPARE, SWARM_STEP_PREPARE))
    self->call = swarm_runtime_host_find (worker->config.runtime, self->task->attachment->container_id, FIND_LIMIT_US, on_found, answer_to (self));
}

static void
on_container_attached (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_ATTACH);

  if (self == NULL)
    return;
  end_step (self);
  if (error != NULL) {
    if (!wants_down (self))
      swarm_worker_task_set (self, SWARM_TASK_FAILED, NULL, error->message, 0);
  } else {
    self->up = self->health_settled = TRUE;
    self->up_since = swarm_clock_boottime (self->worker->config.clock);
    swarm_worker_keep (self); /* an agent that comes back must know for which process */
    swarm_worker_task_set (self, SWARM_TASK_RUNNING, "started", NULL, 0);
    if (self->ended)
      swarm_worker_task_exited (self, self->exit_code, self->exited_at, self->exit_reason);
  }
  go_on (self);
}

static void
begin_attach (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  if (!take_place (self, CLASS_PREPARE, SWARM_STEP_ATTACH))
    return;
  self->touched = self->may_run = TRUE;
  self->call = swarm_network_host_attach_container (worker->config.network, self->task, (guint32) self->status->container->pid, self->container_started,
                                                    &worker->config.node, worker->hostname, NETWORK_LIMIT_US, on_container_attached, answer_to (self));
}

static void
begin_prepare (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  if (swarm_worker_task_is_attachment (self)) {
    begin_find (self);
    return;
  }
  if (wants_health (self->task) && !swarm_runtime_host_can_exec (worker->config.runtime)) {
    fail (self, "this node's runtime cannot run health commands");
    return;
  }
  if (!take_place (self, CLASS_PREPARE, SWARM_STEP_ATTACH))
    return;
  self->touched = TRUE;
  if (self->network_mode == NULL)
    self->network_mode = g_strdup (own_network (self->task));
  if (worker->config.network != NULL && self->network_mode == NULL)
    self->call = swarm_network_host_attach (worker->config.network, self->task, &worker->config.node, worker->hostname, NETWORK_LIMIT_US,
                                            on_attached, answer_to (self));
  else
    call_prepare (self);
}

static void
set_container (SwarmWorkerTask *self, const SwarmRuntimeResult *result)
{
  SwarmTaskStatus *status = swarm_task_status_copy (self->status);

  swarm_message_unref (status->container);
  status->container = swarm_container_status_new ();
  swarm_string_set (&status->container->container_id, result->container_id);
  status->container->pid = result->pid;
  swarm_message_unref (self->status);
  self->status = status;
}

/* Puts @container (taken over) in place. */
static void
change_container (SwarmWorkerTask *self, SwarmContainerStatus *container)
{
  SwarmTaskStatus *status = swarm_task_status_copy (self->status);

  swarm_message_unref (status->container);
  status->container = container;
  swarm_message_unref (self->status);
  self->status = status;
}

static SwarmContainerStatus *
copy_container (const SwarmWorkerTask *self)
{
  return self->status->container != NULL ? swarm_container_status_copy (self->status->container) : swarm_container_status_new ();
}

void
swarm_worker_task_set_health (SwarmWorkerTask *self, const char *status, guint failing_streak, const char *output)
{
  SwarmContainerStatus *container = copy_container (self);

  swarm_message_unref (container->health);
  container->health = swarm_health_status_new ();
  swarm_string_set (&container->health->status, status);
  swarm_string_set (&container->health->output, output);
  container->health->failing_streak = failing_streak;
  change_container (self, container);
}

static void
on_started (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_START);

  if (self == NULL)
    return;
  end_step (self);
  if (error == NULL) {
    set_container (self, result);
    self->up = TRUE;
    self->up_since = swarm_clock_boottime (self->worker->config.clock);
    swarm_worker_health_watch (self);
    if (self->ended)
      swarm_worker_task_exited (self, self->exit_code, self->exited_at, self->exit_reason);
  } else if (!wants_down (self))
    swarm_worker_task_set (self, SWARM_TASK_FAILED, NULL, error->message, 0);
  go_on (self);
}

/* An agent that comes back must not take it for running before it has said yes: that is on disk before it starts. */
static gboolean
is_known_unproven (SwarmWorkerTask *self)
{
  if (!self->unproven && swarm_worker_health_is_expected (self)) {
    self->unproven = TRUE;
    self->kept = FALSE;
    swarm_worker_keep (self);
  }
  return self->kept;
}

static void
begin_start (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  if (swarm_worker_task_is_attachment (self)) {
    begin_attach (self);
    return;
  }
  if (!is_known_unproven (self) || !take_place (self, CLASS_START, SWARM_STEP_START))
    return;
  self->may_run = TRUE;
  self->call = swarm_runtime_host_start (worker->config.runtime, self->task, &worker->config.node, worker->hostname, self->network_mode,
                                         self->resolver, START_LIMIT_US, on_started, answer_to (self));
}

/* One move towards running; TRUE when the state changed and there may be more to do. */
static gboolean
step_up (SwarmWorkerTask *self)
{
  SwarmTaskState state = self->status->state;
  SwarmTaskState desired = self->task->desired_state;

  if (state > desired || state == SWARM_TASK_RUNNING || self->up)
    return FALSE;
  if (state == SWARM_TASK_PREPARING || (state == SWARM_TASK_STARTING && !self->prepared)) {
    begin_prepare (self);
    return FALSE;
  }
  if (state == SWARM_TASK_STARTING) {
    begin_start (self);
    return FALSE;
  }
  if (state >= desired)
    return FALSE;
  if (state < SWARM_TASK_ACCEPTED)
    swarm_worker_task_set (self, SWARM_TASK_ACCEPTED, "accepted", NULL, 0);
  else if (state == SWARM_TASK_ACCEPTED)
    swarm_worker_task_set (self, SWARM_TASK_PREPARING, "preparing", NULL, 0);
  else if (state == SWARM_TASK_READY && !self->prepared)
    begin_prepare (self);
  else if (state == SWARM_TASK_READY && self->kept)
    swarm_worker_task_set (self, SWARM_TASK_STARTING, "starting", NULL, 0);
  return self->status->state != state;
}

/* ---- down ---- */

static void
end_failed (SwarmWorkerTask *self, const char *what, const GError *error)
{
  swarm_warning ("Task %s cannot be %s: %s; trying again", swarm_id_string (&self->id).str, what, error->message);
  end_step (self);
  try_again (self);
  go_on (self);
}

/* It ended: by itself, or stopped because its health command said no. */
static void
set_exit (SwarmWorkerTask *self, int exit_code, gint64 exited_at, const char *reason)
{
  SwarmContainerStatus *container = copy_container (self);
  SwarmTaskStatus *status;
  g_autofree char *err = NULL;

  container->exit_code = exit_code;
  change_container (self, container);
  status = swarm_task_status_copy (self->status);
  status->has_exit = exit_code >= 0;
  swarm_message_unref (self->status);
  self->status = status;
  self->may_run = FALSE;
  if (self->unhealthy)
    reason = "dockerexec: unhealthy container";
  if (exit_code == 0 && !self->unhealthy) {
    swarm_worker_task_set (self, SWARM_TASK_COMPLETE, "finished", NULL, exited_at);
    return;
  }
  if (exit_code < 0)
    err = g_strdup_printf ("task: %s", reason != NULL ? reason : "its unit vanished");
  else
    err = g_strdup_printf ("task: non-zero exit (%d)%s%s", exit_code, reason != NULL ? ": " : "", reason != NULL ? reason : "");
  swarm_worker_task_set (self, SWARM_TASK_FAILED, NULL, err, exited_at);
}

static void
on_stopped (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_STOP);

  if (self == NULL)
    return;
  if (error != NULL) {
    end_failed (self, "stopped", error);
    return;
  }
  end_step (self);
  swarm_worker_task_forget_retry (self);
  self->may_run = FALSE;
  if (!is_over (self) && self->unhealthy)
    set_exit (self, result->exit_code >= 0 ? result->exit_code : EXIT_KILLED, 0, NULL);
  else if (!is_over (self))
    swarm_worker_task_set (self, SWARM_TASK_SHUTDOWN, "shutdown", NULL, 0);
  go_on (self);
}

static gint64
grace_us (const SwarmWorkerTask *self)
{
  const SwarmTaskSpec *spec = self->task != NULL ? self->task->spec : NULL;
  gint64 grace = spec != NULL && spec->container != NULL ? spec->container->stop_grace_period / 1000 : 0;

  return CLAMP (grace, 0, GRACE_MAX_US);
}

static void begin_detach (SwarmWorkerTask *self);

static void
step_down (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  if (!self->may_run) {
    swarm_worker_task_set (self, SWARM_TASK_SHUTDOWN, "shutdown", NULL, 0);
    swarm_worker_task_step (self);
    return;
  }
  if (swarm_worker_task_is_attachment (self)) { /* its container runs on, and must not have the address any more when others can get it */
    if (take_place (self, CLASS_END, SWARM_STEP_DETACH))
      begin_detach (self);
    return;
  }
  swarm_worker_health_end (self);
  if (!take_place (self, CLASS_END, SWARM_STEP_STOP))
    return;
  self->call =
    swarm_runtime_host_stop (worker->config.runtime, &self->id, STOP_LIMIT_US + grace_us (self), on_stopped, answer_to (self));
}

/* Its addresses may be given to others. */
static void
detached (SwarmWorkerTask *self)
{
  end_step (self);
  swarm_worker_task_forget_retry (self);
  self->clean = TRUE;
  self->may_run = FALSE;
  if (!is_over (self))
    swarm_worker_task_set (self, SWARM_TASK_SHUTDOWN, "shutdown", NULL, 0);
  else if (!self->unassigned)
    swarm_worker_keep (self);
  go_on (self);
}

static void
on_settled (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_DETACH);

  if (self == NULL)
    return;
  swarm_worker_network_settled (self->worker, error);
  detached (self);
}

static void
on_detached (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_DETACH);

  if (self == NULL)
    return;
  if (error != NULL)
    end_failed (self, "taken off its network", error);
  else if (!swarm_worker_network_settle (self->worker, on_settled, answer_to (self)))
    detached (self);
}

static void
begin_detach (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;

  swarm_worker_network_forget (self);
  if (worker->config.network != NULL)
    self->call = swarm_network_host_detach (worker->config.network, &self->id, NETWORK_LIMIT_US, on_detached, answer_to (self));
  else
    on_detached (NULL, NULL, NULL, answer_to (self));
}

static void
on_removed (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerTask *self = task_of_answer (data, SWARM_STEP_REMOVE);

  if (self == NULL)
    return;
  if (error != NULL) {
    end_failed (self, "removed", error);
    return;
  }
  self->may_run = FALSE;
  self->step = SWARM_STEP_DETACH;
  begin_detach (self);
}

/* It is over: when the leader knows, nothing of it need stay; when the leader wants it gone, it is forgotten. */
static void
step_over (SwarmWorkerTask *self)
{
  SwarmWorker *worker = self->worker;
  gboolean may_go = self->unassigned || worker->draining;

  if (self->linger != NULL && !worker->draining)
    return;
  self->clean = self->clean || !self->touched;
  if (!self->clean && (self->acked || may_go) && swarm_worker_task_is_attachment (self)) {
    if (take_place (self, CLASS_END, SWARM_STEP_DETACH))
      begin_detach (self);
  } else if (!self->clean && (self->acked || may_go)) {
    if (take_place (self, CLASS_END, SWARM_STEP_REMOVE))
      self->call = swarm_runtime_host_remove (worker->config.runtime, &self->id, STOP_LIMIT_US + grace_us (self), on_removed,
                                              answer_to (self));
  } else if (self->clean && may_go) {
    /* An agent that is killed in the middle of leaving must know what it has stopped already. */
    if (!worker->draining)
      swarm_worker_unkeep (worker, &self->id);
    g_hash_table_remove (worker->tasks, &self->id);
    swarm_worker_task_gone (worker);
  }
}

/* ---- the machine ---- */

static void
cancel_step (SwarmWorkerTask *self)
{
  if (self->cancelled)
    return;
  self->cancelled = TRUE;
  if (self->step == SWARM_STEP_PREPARE || self->step == SWARM_STEP_START)
    swarm_runtime_host_cancel (self->worker->config.runtime, self->call);
  else if (self->step == SWARM_STEP_ATTACH)
    swarm_network_host_cancel (self->worker->config.network, self->call);
}

void
swarm_worker_task_step (SwarmWorkerTask *self)
{
  leave_queue (self);
  if (!self->worker->adopted)
    return;
  if (self->step != SWARM_STEP_NONE) {
    if (wants_down (self) && class_of (self->step) != CLASS_END)
      cancel_step (self);
    return;
  }
  if (self->retry != NULL)
    return;
  if (is_over (self))
    step_over (self);
  else if (wants_down (self) || (self->unhealthy && self->leaving == NULL))
    step_down (self);
  else if (self->task != NULL) {
    swarm_worker_health_watch (self);
    while (self->step == SWARM_STEP_NONE && self->retry == NULL && !is_over (self) && step_up (self))
      ;
  }
}

void
swarm_worker_task_exited (SwarmWorkerTask *self, int exit_code, gint64 exited_at, const char *reason)
{
  if (is_over (self) || self->step == SWARM_STEP_STOP || self->step == SWARM_STEP_DETACH)
    return;
  if (self->step == SWARM_STEP_START || (self->step == SWARM_STEP_ATTACH && self->may_run)) { /* an exit before the start was answered */
    g_autofree char *old = self->exit_reason;
    self->ended = TRUE;
    self->exit_code = exit_code;
    self->exited_at = exited_at;
    self->exit_reason = g_strdup (reason);
    return;
  }
  swarm_worker_health_end (self);
  swarm_clock_clear_timer (self->worker->config.clock, &self->leaving);
  if (self->linger == NULL)
    self->linger = swarm_clock_timer (self->worker->config.clock, LINGER_US, SWARM_PRIORITY_IDLE, linger_over, self);
  set_exit (self, exit_code, exited_at, reason);
  swarm_worker_task_step (self);
}

static void
leaving_over (gpointer data)
{
  SwarmWorkerTask *self = data;

  self->leaving = NULL;
  go_on (self);
}

static void
leave_within (SwarmWorkerTask *self, gint64 delay_us)
{
  swarm_clock_clear_timer (self->worker->config.clock, &self->leaving);
  self->leaving = swarm_clock_timer (self->worker->config.clock, delay_us, SWARM_PRIORITY_NORMAL, leaving_over, self);
}

void
swarm_worker_task_unhealthy (SwarmWorkerTask *self)
{
  const SwarmTask *task = swarm_worker_task_known (self);

  swarm_worker_health_end (self);
  self->unhealthy = TRUE;
  swarm_worker_keep (self); /* an agent that is killed before it is stopped must not take it for healthy */
  if (self->status->state == SWARM_TASK_RUNNING && task != NULL && swarm_task_needs_overlay (task)) {
    swarm_worker_reports_add (self->worker->reports, self, TRUE);
    leave_within (self, LEAVING_US);
  }
  go_on (self);
}

void
swarm_worker_task_is_out (SwarmWorkerTask *self)
{
  if (self->leaving == NULL || self->is_out)
    return;
  self->is_out = TRUE;
  leave_within (self, OUT_US);
}
