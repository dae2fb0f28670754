// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/runtime-host.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/host-private.h"
#include "plugin/task-view.h"
#include <string.h>

#define EXEC_EXTRA_US (10 * G_USEC_PER_SEC) /* beyond the command's own limit, which the plugin keeps */
#define MAX_ARGUMENTS 4096

SWARM_PLUGIN_HAS_LIFE (SwarmRuntimeOps);

struct _SwarmRuntimeHost {
  SwarmHostHead head;
  const SwarmRuntimeOps *ops;
  SwarmRuntimeExitFunc exit_func;
  gpointer exit_data;
};

/* Whom an operation's answer goes to. */
typedef struct {
  SwarmRuntimeFunc func;
  SwarmRuntimeListFunc list_func;
  gpointer data;
} Asker;

static void
on_cancel (gpointer owner, SwarmPluginCall *call)
{
  SwarmRuntimeHost *self = owner;
  gint64 started = g_get_monotonic_time ();

  self->ops->cancel (self->head.instance, call);
  swarm_host_timed (self->head.host, "cancel", started);
}

static void
on_task_exit (gpointer owner, const SwarmPluginExit *event)
{
  SwarmRuntimeHost *self = owner;
  g_autofree char *reason = NULL;
  SwarmId id;

  if (event->task_id == NULL || !swarm_id_parse (event->task_id, &id)) {
    swarm_warning ("%s reports the exit of something that is no task", swarm_host_plugin_name (self->head.host));
    return;
  }
  reason = event->reason != NULL ? g_utf8_make_valid (event->reason, (gssize) strnlen (event->reason, 1024)) : NULL;
  if (self->exit_func != NULL)
    self->exit_func (&id, event->exit_code, event->exited_at, reason, self->exit_data);
}

SwarmRuntimeHost *
swarm_runtime_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error)
{
  SwarmRuntimeHost *self = g_new0 (SwarmRuntimeHost, 1);

  self->ops = swarm_plugin_descriptor_of (plugin)->ops;
  if (swarm_host_open (&self->head, plugin, config, self->ops->cancel != NULL ? on_cancel : NULL, on_task_exit, NULL, error))
    return self;
  swarm_runtime_host_free (self);
  return NULL;
}

void
swarm_runtime_host_free (SwarmRuntimeHost *self)
{
  if (self == NULL)
    return;
  swarm_host_close (&self->head);
  g_free (self);
}

const char *
swarm_runtime_host_name (SwarmRuntimeHost *self)
{
  return swarm_host_plugin_name (self->head.host);
}

void
swarm_runtime_host_set_exit_func (SwarmRuntimeHost *self, SwarmRuntimeExitFunc func, gpointer data)
{
  self->exit_func = func;
  self->exit_data = data;
}

static gint64
to_ns (gint64 us)
{
  return CLAMP (us, 0, G_MAXINT64 / 1000) * 1000;
}

/* A plugin's words are not believed: what is no health command of the model's form is none. */
static SwarmHealthcheck *
health_of (const SwarmPluginHealth *view)
{
  g_autoptr (SwarmHealthcheck) health = swarm_healthcheck_new ();
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; view->test != NULL && view->test[i] != NULL && i < MAX_ARGUMENTS; i++) {
    if (health->test == NULL)
      health->test = swarm_strings_new ();
    g_ptr_array_add (health->test, g_utf8_make_valid (view->test[i], -1));
  }
  health->interval = to_ns (view->interval);
  health->timeout = to_ns (view->timeout);
  health->start_period = to_ns (view->start_period);
  health->start_interval = to_ns (view->start_interval);
  health->retries = MAX (view->retries, 0);
  if (swarm_message_validate (health, &error))
    return g_steal_pointer (&health);
  swarm_warning ("An image's health command is left alone: %s", error->message);
  return NULL;
}

static void
on_done (const SwarmPluginResult *view, const GError *error, gpointer data)
{
  g_autofree Asker *asker = data;
  g_autoptr (SwarmHealthcheck) health = NULL;
  g_autofree char *output = NULL;
  SwarmRuntimeResult result = { NULL };

  if (view != NULL) {
    output = view->output != NULL ? g_utf8_make_valid (view->output, (gssize) view->output_length) : g_strdup ("");
    health = view->health != NULL ? health_of (view->health) : NULL;
    result.container_id = view->container_id;
    result.pid = view->pid;
    result.image = view->image;
    result.name = view->name;
    result.started = view->started;
    result.exit_code = view->exit_code;
    result.output = output;
    result.health = health;
  }
  asker->func (view != NULL ? &result : NULL, error, asker->data);
}

static void
task_free (gpointer data)
{
  SwarmRuntimeTask *task = data;

  g_free (task->container_id);
  g_free (task);
}

static void
on_list_done (const SwarmPluginResult *view, const GError *error, gpointer data)
{
  g_autofree Asker *asker = data;
  g_autoptr (GPtrArray) tasks = NULL;

  if (view == NULL) {
    asker->list_func (NULL, error, asker->data);
    return;
  }
  tasks = g_ptr_array_new_with_free_func (task_free);
  for (gsize i = 0; i < view->n_tasks; i++) {
    const SwarmPluginTaskInfo *info = &view->tasks[i];
    SwarmRuntimeTask *task = g_new0 (SwarmRuntimeTask, 1);

    g_ptr_array_add (tasks, task);
    if (info->task_id == NULL || !swarm_id_parse (info->task_id, &task->task)) {
      swarm_warning ("A runtime plugin lists a task \"%s\", which is no id; left alone", info->task_id != NULL ? info->task_id : "");
      g_ptr_array_set_size (tasks, (gint) tasks->len - 1);
      continue;
    }
    task->running = info->running;
    task->exit_code = info->exit_code;
    task->started_at = info->started_at;
    task->exited_at = info->exited_at;
    task->pid = info->pid;
    task->container_id = g_strdup (info->container_id);
  }
  asker->list_func (tasks, NULL, asker->data);
}

static Asker *
asker_new (SwarmRuntimeFunc func, gpointer data)
{
  Asker *asker = g_new0 (Asker, 1);

  asker->func = func;
  asker->data = data;
  return asker;
}

/* Operations on a whole task. */
static guint64
call_with_task (SwarmRuntimeHost *self, const char *op,
                void (*func) (SwarmPluginInstance *, const SwarmPluginTask *, SwarmPluginCall *), SwarmTaskView *view,
                gint64 timeout_us, Asker *asker)
{
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call = swarm_host_call (self->head.host, op, view->task.id, timeout_us, on_done, asker, &number);

  func (self->head.instance, &view->task, call);
  swarm_host_timed (self->head.host, op, started);
  return number;
}

guint64
swarm_runtime_host_prepare (SwarmRuntimeHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                            const char *network_mode, const char *resolver, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  g_autoptr (SwarmTaskView) view = swarm_task_view_new (task, node, hostname, network_mode, resolver, TRUE);

  return call_with_task (self, "prepare", self->ops->prepare, view, timeout_us, asker_new (func, data));
}

guint64
swarm_runtime_host_start (SwarmRuntimeHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                          const char *network_mode, const char *resolver, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  g_autoptr (SwarmTaskView) view = swarm_task_view_new (task, node, hostname, network_mode, resolver, FALSE);

  return call_with_task (self, "start", self->ops->start, view, timeout_us, asker_new (func, data));
}

/* Operations on a task of which only the id is needed. */
static guint64
call_with_id (SwarmRuntimeHost *self, const char *op, void (*func) (SwarmPluginInstance *, const char *, SwarmPluginCall *),
              const SwarmId *task, gint64 timeout_us, Asker *asker)
{
  SwarmIdString id = swarm_id_string (task);
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call = swarm_host_call (self->head.host, op, id.str, timeout_us, on_done, asker, &number);

  func (self->head.instance, id.str, call);
  swarm_host_timed (self->head.host, op, started);
  return number;
}

guint64
swarm_runtime_host_stop (SwarmRuntimeHost *self, const SwarmId *task, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  return call_with_id (self, "stop", self->ops->stop, task, timeout_us, asker_new (func, data));
}

guint64
swarm_runtime_host_remove (SwarmRuntimeHost *self, const SwarmId *task, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  return call_with_id (self, "remove", self->ops->remove, task, timeout_us, asker_new (func, data));
}

guint64
swarm_runtime_host_list (SwarmRuntimeHost *self, gint64 timeout_us, SwarmRuntimeListFunc func, gpointer data)
{
  Asker *asker = asker_new (NULL, data);
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call;

  asker->list_func = func;
  call = swarm_host_call (self->head.host, "list", NULL, timeout_us, on_list_done, asker, &number);
  self->ops->list (self->head.instance, call);
  swarm_host_timed (self->head.host, "list", started);
  return number;
}

guint64
swarm_runtime_host_resolve_image (SwarmRuntimeHost *self, const char *image, const char *auth, gint64 timeout_us,
                                  SwarmRuntimeFunc func, gpointer data)
{
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call =
    swarm_host_call (self->head.host, "resolve_image", image, timeout_us, on_done, asker_new (func, data), &number);

  self->ops->resolve_image (self->head.instance, image, auth, call);
  swarm_host_timed (self->head.host, "resolve_image", started);
  return number;
}

gboolean
swarm_runtime_host_can_exec (SwarmRuntimeHost *self)
{
  return self->ops->exec != NULL;
}

guint64
swarm_runtime_host_exec (SwarmRuntimeHost *self, const SwarmId *task, const char *const *argv, gint64 timeout_us, gsize max_output,
                         SwarmRuntimeFunc func, gpointer data)
{
  SwarmIdString id = swarm_id_string (task);
  const SwarmPluginCommand command = { id.str, argv, timeout_us, max_output };
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call =
    swarm_host_call (self->head.host, "exec", id.str, timeout_us + EXEC_EXTRA_US, on_done, asker_new (func, data), &number);

  if (self->ops->exec != NULL)
    self->ops->exec (self->head.instance, &command, call);
  else
    self->head.host->abi.finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_INVALID, .error = "this runtime runs no commands in containers" });
  swarm_host_timed (self->head.host, "exec", started);
  return number;
}

guint64
swarm_runtime_host_inspect_image (SwarmRuntimeHost *self, const char *image, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call =
    swarm_host_call (self->head.host, "inspect_image", image, timeout_us, on_done, asker_new (func, data), &number);

  if (self->ops->inspect_image != NULL)
    self->ops->inspect_image (self->head.instance, image, call);
  else
    self->head.host->abi.finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
  swarm_host_timed (self->head.host, "inspect_image", started);
  return number;
}

/* A plugin's words are not believed. */
static void
on_found (const SwarmPluginResult *view, const GError *error, gpointer data)
{
  g_autoptr (GError) broken = NULL;

  if (view != NULL && !(swarm_container_id_is_valid (view->container_id) && swarm_container_name_is_valid (view->name)))
    broken = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "the runtime found something that is no container");
  on_done (broken == NULL ? view : NULL, broken != NULL ? broken : error, data);
}

guint64
swarm_runtime_host_find (SwarmRuntimeHost *self, const char *container, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data)
{
  guint64 number;
  gint64 started = g_get_monotonic_time ();
  SwarmPluginCall *call = swarm_host_call (self->head.host, "find", container, timeout_us, on_found, asker_new (func, data), &number);

  if (self->ops->find != NULL)
    self->ops->find (self->head.instance, container, call);
  else
    self->head.host->abi.finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_INVALID, .error = "this runtime cannot attach containers to networks" });
  swarm_host_timed (self->head.host, "find", started);
  return number;
}

void
swarm_runtime_host_cancel (SwarmRuntimeHost *self, guint64 call)
{
  swarm_host_give_up (self->head.host, call);
}
