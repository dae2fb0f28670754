// SPDX-License-Identifier: LGPL-2.1-or-later
/* A task's health command, asked on the worker's own timers. Rules and defaults are docker's (daemon/health.go): the first question comes
 * one interval after the start; until the first yes the task is "starting", and failures within the start period do not count; so many
 * failures in a row as "retries" says make it unhealthy. */
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define NS_PER_US G_GINT64_CONSTANT (1000)
#define DEFAULT_INTERVAL (30 * G_USEC_PER_SEC)
#define DEFAULT_TIMEOUT (30 * G_USEC_PER_SEC)
#define DEFAULT_START_INTERVAL (5 * G_USEC_PER_SEC)
#define DEFAULT_RETRIES 3
#define OUTPUT_MAX 4096
#define INSPECT_LIMIT_US (60 * G_USEC_PER_SEC)
#define IMAGES_MAX 256 /* remembered */

struct _SwarmWorkerHealth {
  SwarmWorkerTask *task;
  SwarmHealthcheck *config; /* complete; NULL while the image is asked about */
  char **argv;
  SwarmTimer *timer;
  guint64 call;   /* of the plugin, while a question is under way */
  guint64 serial; /* of the question: a late answer is of no interest */
  guint failures; /* in a row */
};

static guint64 last_serial;

/* ---- what is to be asked ---- */

static gboolean
has_test (const SwarmHealthcheck *health)
{
  return health != NULL && health->test != NULL && health->test->len > 0;
}

static gboolean
is_none (const SwarmHealthcheck *health)
{
  return has_test (health) && strcmp (health->test->pdata[0], "NONE") == 0;
}

static gint64
first_of (gint64 spec, gint64 image, gint64 fallback)
{
  return spec > 0 ? spec : image > 0 ? image : fallback;
}

SwarmHealthcheck *
swarm_health_resolve (const SwarmHealthcheck *spec, const SwarmHealthcheck *image)
{
  g_autoptr (SwarmHealthcheck) none = swarm_healthcheck_new ();
  const SwarmHealthcheck *own = spec != NULL ? spec : none, *theirs = image != NULL ? image : none;
  const SwarmHealthcheck *asks = has_test (own) ? own : theirs;
  SwarmHealthcheck *health;

  if (!has_test (asks) || is_none (asks))
    return NULL;
  health = swarm_healthcheck_copy (asks);
  health->interval = first_of (own->interval, theirs->interval, DEFAULT_INTERVAL * NS_PER_US);
  health->timeout = first_of (own->timeout, theirs->timeout, DEFAULT_TIMEOUT * NS_PER_US);
  health->retries = first_of (own->retries, theirs->retries, DEFAULT_RETRIES);
  health->start_period = first_of (own->start_period, theirs->start_period, 0);
  health->start_interval = first_of (own->start_interval, theirs->start_interval, DEFAULT_START_INTERVAL * NS_PER_US);
  return health;
}

static char **
command_of (const SwarmHealthcheck *health)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  if (strcmp (health->test->pdata[0], "CMD-SHELL") == 0)
    g_strv_builder_add_many (builder, "/bin/sh", "-c", NULL);
  for (guint i = 1; i < health->test->len; i++)
    g_strv_builder_add (builder, health->test->pdata[i]);
  return g_strv_builder_end (builder);
}

static const SwarmHealthcheck *
spec_of (const SwarmWorkerTask *task)
{
  const SwarmContainerSpec *container = task->task->spec->container;

  return container != NULL ? container->healthcheck : NULL;
}

/* ---- what the image declares ---- */

static const char *
image_of (const SwarmWorkerTask *task)
{
  const SwarmContainerSpec *container = task->task->spec->container;

  return container != NULL && container->image != NULL ? container->image : "";
}

/* Only what has a digest stays the same. */
static void
remember (SwarmWorker *worker, const char *image, const SwarmHealthcheck *health)
{
  if (strstr (image, "@sha256:") == NULL)
    return;
  if (g_hash_table_size (worker->image_health) >= IMAGES_MAX)
    g_hash_table_remove_all (worker->image_health);
  g_hash_table_replace (worker->image_health, g_strdup (image),
                        health != NULL ? swarm_healthcheck_ref (health) : swarm_healthcheck_new ());
}

static gboolean
waits_for_image (const SwarmWorkerTask *task, const char *image)
{
  return task->task != NULL && task->health != NULL && task->health->config == NULL && strcmp (image_of (task), image) == 0;
}

/* What an image declares is known: whoever waits for it goes on. */
static void
image_known (SwarmWorker *worker, const char *image, const SwarmHealthcheck *health)
{
  g_autoptr (GPtrArray) waiting = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer task;

  g_hash_table_iter_init (&iter, worker->tasks);
  while (g_hash_table_iter_next (&iter, NULL, &task)) {
    if (waits_for_image (task, image))
      g_ptr_array_add (waiting, task);
  }
  for (guint i = 0; i < waiting->len; i++) {
    SwarmWorkerTask *one = waiting->pdata[i];
    one->image_health = health != NULL ? swarm_healthcheck_ref (health) : swarm_healthcheck_new ();
    g_clear_pointer (&one->health, g_free);
    swarm_worker_health_watch (one);
  }
}

static void
on_inspected (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  g_autofree char *image = NULL;

  if (!swarm_worker_op_take (data, &op))
    return;
  image = g_strdup (g_hash_table_lookup (op.worker->image_asks, &op.tag));
  g_hash_table_remove (op.worker->image_asks, &op.tag);
  if (error != NULL)
    swarm_warning ("What image %s says of its health cannot be read, so it counts as saying nothing: %s", image, error->message);
  else
    remember (op.worker, image, result->health);
  image_known (op.worker, image, result != NULL ? result->health : NULL);
}

static gboolean
is_image (gpointer key, gpointer value, gpointer image)
{
  return strcmp (value, image) == 0;
}

/* One question for all tasks that want to know it at the same time. */
static void
inspect (SwarmWorker *worker, const char *image)
{
  guint64 *serial;

  if (g_hash_table_find (worker->image_asks, is_image, (gpointer) image) != NULL)
    return;
  serial = g_new (guint64, 1);
  *serial = ++last_serial;
  g_hash_table_insert (worker->image_asks, serial, g_strdup (image));
  swarm_runtime_host_inspect_image (worker->config.runtime, image, INSPECT_LIMIT_US, on_inspected,
                                    swarm_worker_op_new (worker, NULL, *serial));
}

/* What the image declares: an empty one for nothing; NULL: asked, the answer comes. */
static const SwarmHealthcheck *
ask_image (SwarmWorkerTask *task)
{
  SwarmHealthcheck *known = g_hash_table_lookup (task->worker->image_health, image_of (task));

  if (task->image_health == NULL && known != NULL)
    task->image_health = swarm_healthcheck_ref (known);
  if (task->image_health != NULL || task->health != NULL)
    return task->image_health;
  task->health = g_new0 (SwarmWorkerHealth, 1);
  task->health->task = task;
  inspect (task->worker, image_of (task));
  return NULL;
}

void
swarm_worker_health_look_ahead (SwarmWorkerTask *task)
{
  if (task->task != NULL && !is_none (spec_of (task)) && !swarm_task_state_is_terminal (task->status->state))
    ask_image (task);
}

/* ---- questions and answers ---- */

static void ask (gpointer data);

static gint64
age (const SwarmWorkerTask *task)
{
  return swarm_clock_boottime (task->worker->config.clock) - task->up_since;
}

/* It is starting: it has not said yes yet, and still has time to. */
static gboolean
in_start_period (const SwarmWorkerHealth *self)
{
  return self->task->unproven && age (self->task) < self->config->start_period / NS_PER_US;
}

static void
wait (SwarmWorkerHealth *self)
{
  gint64 interval = in_start_period (self) ? self->config->start_interval : self->config->interval;

  self->timer = swarm_clock_timer (self->task->worker->config.clock, MAX (interval / NS_PER_US, 1), SWARM_PRIORITY_NORMAL, ask, self);
}

static void
said_yes (SwarmWorkerHealth *self)
{
  SwarmWorkerTask *task = self->task;

  self->failures = 0;
  if (!task->unproven)
    return;
  task->unproven = FALSE;
  swarm_worker_task_set_health (task, "healthy", 0, NULL);
  swarm_worker_keep (task);
  if (task->status->state < SWARM_TASK_RUNNING)
    swarm_worker_task_set (task, SWARM_TASK_RUNNING, "started", NULL, 0);
}

/* TRUE: that was once too often, and the task is no longer asked. */
static gboolean
said_no (SwarmWorkerHealth *self, gboolean was_starting, const char *output)
{
  SwarmWorkerTask *task = self->task;
  SwarmIdString id = swarm_id_string (&task->id);

  if (was_starting)
    return FALSE;
  self->failures++;
  swarm_log (LOG_INFO, swarm_log_id_health_failed, SWARM_LOG_FIELDS ({ "SWARM_TASK_ID", id.str }), "Task %s: health command failed (%u of %" G_GINT64_FORMAT ")",
             id.str, self->failures, self->config->retries);
  /* What a probe prints may hold what it was given: it is in the task's status, for those who may read that. */
  if (self->failures < self->config->retries)
    return FALSE;
  swarm_worker_task_set_health (task, "unhealthy", self->failures, output);
  swarm_worker_task_unhealthy (task); /* may free us */
  return TRUE;
}

static SwarmWorkerTask *
task_of_answer (gpointer data, SwarmWorkerOp *op)
{
  SwarmWorkerTask *task;

  if (!swarm_worker_op_take (data, op))
    return NULL;
  task = swarm_worker_task_of (op->worker, &op->task);
  return task != NULL && task->health != NULL && task->health->serial == op->tag ? task : NULL;
}

static void
on_answer (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerTask *task = task_of_answer (data, &op);
  SwarmWorkerHealth *self = task != NULL ? task->health : NULL;
  g_autofree char *output = NULL;
  gboolean starting;

  if (self == NULL)
    return;
  self->call = 0;
  starting = in_start_period (self);
  if (error != NULL && g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT))
    output = g_strdup_printf ("Health check exceeded timeout (%gs)", (double) self->config->timeout / 1e9);
  else if (error != NULL)
    output = g_strdup (error->message);
  else
    output = g_strdup (result->output);
  if (error == NULL && result->exit_code == 0)
    said_yes (self);
  else if (error != NULL && !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT)
           && !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_FAILED))
    swarm_debug ("A health command was not run: %s", error->message); /* says nothing about the task */
  else if (said_no (self, starting, output))
    return;
  wait (self);
}

static void
ask (gpointer data)
{
  SwarmWorkerHealth *self = data;
  SwarmWorker *worker = self->task->worker;

  self->timer = NULL;
  self->serial = ++last_serial;
  self->call = swarm_runtime_host_exec (worker->config.runtime, &self->task->id, (const char *const *) self->argv,
                                        self->config->timeout / NS_PER_US, OUTPUT_MAX, on_answer,
                                        swarm_worker_op_new (worker, &self->task->id, self->serial));
}

/* ---- life ---- */

static void
begin (SwarmWorkerTask *task, const SwarmHealthcheck *image)
{
  g_autoptr (SwarmHealthcheck) config = swarm_health_resolve (spec_of (task), image);
  gboolean runs = task->status->state >= SWARM_TASK_RUNNING;

  task->health_settled = TRUE;
  if (config == NULL || !swarm_runtime_host_can_exec (task->worker->config.runtime)) {
    task->unproven = FALSE;
    if (!runs)
      swarm_worker_task_set (task, SWARM_TASK_RUNNING, "started", NULL, 0);
    return;
  }
  task->health = g_new0 (SwarmWorkerHealth, 1);
  task->health->task = task;
  task->health->argv = command_of (config);
  task->health->config = g_steal_pointer (&config);
  swarm_worker_task_set_health (task, runs ? "healthy" : "starting", 0, NULL);
  swarm_worker_reports_add (task->worker->reports, task, FALSE);
  if (!runs && !task->unproven) {
    task->unproven = TRUE;
    swarm_worker_keep (task);
  }
  wait (task->health);
}

gboolean
swarm_worker_health_is_expected (const SwarmWorkerTask *task)
{
  g_autoptr (SwarmHealthcheck) config = swarm_health_resolve (spec_of (task), task->image_health);

  return config != NULL && swarm_runtime_host_can_exec (task->worker->config.runtime);
}

void
swarm_worker_health_watch (SwarmWorkerTask *task)
{
  const SwarmHealthcheck *image = NULL;

  if (task->health_settled || !task->up || task->task == NULL || task->step != SWARM_STEP_NONE
      || swarm_task_state_is_terminal (task->status->state))
    return;
  if (!is_none (spec_of (task))) {
    image = ask_image (task);
    if (image == NULL)
      return;
  }
  begin (task, image);
}

void
swarm_worker_health_end (SwarmWorkerTask *task)
{
  SwarmWorkerHealth *self = g_steal_pointer (&task->health);

  task->health_settled = TRUE;
  if (self == NULL)
    return;
  swarm_clock_clear_timer (task->worker->config.clock, &self->timer);
  if (self->call != 0)
    swarm_runtime_host_cancel (task->worker->config.runtime, self->call);
  swarm_message_unref (self->config);
  g_strfreev (self->argv);
  g_free (self);
}
