// SPDX-License-Identifier: LGPL-2.1-or-later
/* See README.md for the units and files. Answers of the host come later, never from within; each operation is a PodmanOp. */
#include "private.h"
#include <stdio.h>
#include <string.h>

#define BUSY_PORT_TRIES 60
#define BUSY_PORT_WAIT_US (50 * 1000)

static void
task_free (gpointer data)
{
  PodmanTask *task = data;
  if (task->container_id != NULL)
    g_hash_table_remove (task->owner->containers, task->container_id);
  g_clear_pointer (&task->ports, g_array_unref);
  g_free (task->container_id);
  g_free (task->id);
  g_free (task);
}

/* ---- exits ---- */

static void
report_exit (PodmanTask *task, int code, gint64 when, const char *reason)
{
  SwarmPluginExit exit = { .task_id = task->id, .exit_code = code, .exited_at = when, .reason = reason };
  if (task->exited || task->stopping)
    return;
  task->exited = TRUE;
  task->owner->host->task_exited (task->owner->host, &exit);
}

void
podman_container_exited (SwarmPluginInstance *self, const char *container_id, int code)
{
  PodmanTask *task = g_hash_table_lookup (self->containers, container_id);
  if (task == NULL)
    return;
  if (task->started) {
    report_exit (task, code, self->host->now (self->host), NULL);
  } else {
    task->early_code = code;
    task->early_time = self->host->now (self->host);
  }
}

void
podman_unit_changed (const SwarmPluginUnitState *state, void *data)
{
  SwarmPluginInstance *self = data;
  char id[TASK_ID_LEN + 1];
  if (podman_task_of_unit (state->name, id) == NULL)
    return;
  PodmanTask *task = g_hash_table_lookup (self->tasks, id);
  if (task == NULL)
    return;
  gboolean ended = state->phase == SWARM_PLUGIN_UNIT_EXITED || state->phase == SWARM_PLUGIN_UNIT_ABSENT;
  task->unit_up = !ended;
  if (!ended || !task->started)
    return;
  if (state->phase == SWARM_PLUGIN_UNIT_EXITED)
    report_exit (task, state->exit_code, state->exited_at != 0 ? state->exited_at : self->host->now (self->host),
                 g_strcmp0 (state->result, "oom-kill") == 0 ? "out of memory" : NULL);
  else
    report_exit (task, 137, self->host->now (self->host), "its unit was stopped by somebody else");
}

/* ---- start ---- */

static void
started (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginInstance *self = op->self;
  PodmanTask *task = podman_task_get (self, op->id);
  gboolean ran = state != NULL && state->phase == SWARM_PLUGIN_UNIT_EXITED && state->exit_code >= 0;
  if (code != SWARM_PLUGIN_OK) {
    podman_op_fail_with_reason (op, code, error);
    return;
  }
  podman_exits_watch (self);
  SwarmPluginResult result = {
    .code = SWARM_PLUGIN_OK,
    .container_id = task->container_id,
    .pid = task->container_id != NULL ? podman_container_pid (task->container_id) : 0,
  };
  task->started = TRUE;
  task->unit_up = !ran;
  int early = task->early_code;
  gint64 when = task->early_time;
  if (early < 0 && task->container_id != NULL && podman_exits_read (task->container_id, &early))
    when = self->host->now (self->host);
  podman_op_finish (op, &result);
  if (early >= 0)
    report_exit (task, early, when, NULL);
  else if (ran)
    report_exit (task, state->exit_code, state->exited_at, NULL);
}

/* Another task's clean-up still holds one of our ports. */
static gboolean
ports_are_busy (SwarmPluginInstance *self, PodmanTask *task)
{
  GHashTableIter iter;
  PodmanTask *other;
  g_hash_table_iter_init (&iter, self->tasks);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &other)) {
    if (other == task || !other->unit_up || !(other->exited || other->stopping) || other->ports == NULL)
      continue;
    for (guint i = 0; i < other->ports->len; i++)
      for (guint j = 0; j < task->ports->len; j++)
        if (g_array_index (other->ports, guint32, i) == g_array_index (task->ports, guint32, j))
          return TRUE;
  }
  return FALSE;
}

typedef struct {
  PodmanOp *op;
  GPtrArray *properties;
  GPtrArray *log_fields;
  char *grace;
} StartRequest;

static void
start_request_free (StartRequest *request)
{
  g_ptr_array_unref (request->properties);
  g_ptr_array_unref (request->log_fields);
  g_free (request->grace);
  g_free (request);
}

static void
start_unit (void *data)
{
  StartRequest *request = data;
  PodmanOp *op = request->op;
  SwarmPluginInstance *self = op->self;
  PodmanTask *task = podman_task_get (self, op->id);
  if (task->ports != NULL && ports_are_busy (self, task) && op->tries++ < BUSY_PORT_TRIES
      && self->host->timer (self->host, BUSY_PORT_WAIT_US, start_unit, request) != 0)
    return;
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", op->id), *container = g_strdup_printf ("swarm-%s", op->id);
  const char *start_argv[] = { SWARM_PODMAN_HELPER, "start", self->podman, container, NULL };
  const char *stop_argv[] = { SWARM_PODMAN_HELPER, "stop", self->podman, container, request->grace, NULL };
  const SwarmPluginExec exec[] = { { "ExecStart", start_argv, false }, { "ExecStop", stop_argv, true } };
  const SwarmPluginUnit unit = {
    .name = name,
    .properties = (const char *const *) request->properties->pdata,
    .exec = exec,
    .n_exec = G_N_ELEMENTS (exec),
    .log_fields = (const char *const *) request->log_fields->pdata,
  };
  self->host->unit_start (self->host, &unit, started, op);
  start_request_free (request);
}

static GPtrArray *
unit_properties (SwarmPluginInstance *self, const SwarmPluginTask *task)
{
  static const char *const fixed[] = { "Type=notify", "NotifyAccess=all", "RemainAfterExit=yes", "Delegate=yes", "Slice=swarm.slice",
                                       "KillMode=mixed", "OOMPolicy=continue", "LogRateLimitIntervalSec=0", "StandardOutput=null", "TimeoutStartSec=60s" };
  GPtrArray *out = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *dir = podman_scope_dir (self, task->id);
  for (guint i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (out, g_strdup (fixed[i]));
  g_ptr_array_add (out, g_strdup_printf ("Description=Swarm task %s", task->name));
  g_ptr_array_add (out, g_strdup_printf ("StandardError=truncate:%s/error", dir));
  g_ptr_array_add (out, g_strdup_printf ("TimeoutStopSec=%" G_GINT64_FORMAT "s", (gint64) (task->stop_grace / G_USEC_PER_SEC + 20)));
  /* The container's own group has the exact limit (podman create); the unit leaves room for conmon and podman's short calls. */
  if (task->limit_memory > 0)
    g_ptr_array_add (out, g_strdup_printf ("MemoryMax=%" G_GINT64_FORMAT, (gint64) task->limit_memory + 64 * 1024 * 1024));
  if (task->limit_pids > 0)
    g_ptr_array_add (out, g_strdup_printf ("TasksMax=%" G_GINT64_FORMAT, (gint64) task->limit_pids + 64));
  if (task->limit_nano_cpus > 0)
    g_ptr_array_add (out, g_strdup_printf ("CPUQuota=%" G_GINT64_FORMAT "%%", MAX ((gint64) task->limit_nano_cpus / 10000000, 1)));
  g_ptr_array_add (out, NULL);
  return out;
}

static void
start (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  StartRequest *request = g_new0 (StartRequest, 1);
  request->op = podman_op_new (self, call, task->id);
  request->properties = unit_properties (self, task);
  request->grace = g_strdup_printf ("%" G_GINT64_FORMAT, (gint64) (task->stop_grace / G_USEC_PER_SEC));
  request->log_fields = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_SERVICE=%s", task->service_name));
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_SERVICE_ID=%s", task->service_id));
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_TASK_ID=%s", task->id));
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_SLOT=%" G_GUINT64_FORMAT, (guint64) task->slot));
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_NODE=%s", task->node_hostname));
  g_ptr_array_add (request->log_fields, g_strdup_printf ("SWARM_NODE_ID=%s", task->node_id));
  g_ptr_array_add (request->log_fields, NULL);
  podman_exits_watch (self);
  start_unit (request);
}

/* ---- life ---- */

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
  SwarmPluginInstance *self = g_new0 (SwarmPluginInstance, 1);
  const char *podman = host->config (host, "Podman"), *skopeo = host->config (host, "Skopeo"), *pull = host->config (host, "PullTimeoutSec");
  const char *crun = host->config (host, "Crun");
  self->host = host;
  self->podman = g_strdup (podman != NULL ? podman : "/usr/bin/podman");
  self->skopeo = g_strdup (skopeo != NULL ? skopeo : "/usr/bin/skopeo");
  self->crun = g_strdup (crun != NULL ? crun : "/usr/bin/crun");
  self->execs = g_hash_table_new_full (NULL, NULL, NULL, NULL);
  self->pull_timeout = g_strdup_printf ("%ss", pull != NULL ? pull : "600");
  self->tasks = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, task_free);
  self->containers = g_hash_table_new (g_str_hash, g_str_equal);
  self->prepares = g_hash_table_new_full (NULL, NULL, NULL, podman_op_free);
  self->images = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->pulls = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, podman_pull_free);
  g_queue_init (&self->to_remove);
  self->exits_fd = -1;
  return self;
}

static void
forget_exec (gpointer call, gpointer exec, gpointer data)
{
  podman_exec_forget (exec);
}

static void
fini (SwarmPluginInstance *self)
{
  podman_exits_unwatch (self);
  g_hash_table_unref (self->tasks);
  g_hash_table_unref (self->containers);
  g_clear_pointer (&self->oneshots, g_hash_table_unref);
  g_hash_table_unref (self->pulls);
  g_hash_table_unref (self->prepares);
  g_hash_table_unref (self->images);
  g_hash_table_foreach (self->execs, forget_exec, NULL);
  g_hash_table_unref (self->execs);
  g_queue_clear_full (&self->to_remove, podman_op_free);
  for (guint i = 0; self->removing != NULL && i < self->removing->len; i++)
    podman_op_free (self->removing->pdata[i]);
  g_clear_pointer (&self->removing, g_ptr_array_unref);
  g_free (self->podman);
  g_free (self->skopeo);
  g_free (self->crun);
  g_free (self->pull_timeout);
  g_free (self);
}

static const SwarmRuntimeOps podman_ops = {
  .init = init,
  .fini = fini,
  .prepare = podman_prepare,
  .start = start,
  .stop = podman_stop,
  .remove = podman_remove,
  .list = podman_list,
  .resolve_image = podman_resolve_image,
  .cancel = podman_cancel,
  .exec = podman_exec,
  .inspect_image = podman_inspect_image,
  .find = podman_find,
};

SWARM_PLUGIN_DEFINE (RUNTIME, runtime_podman, "runtime-podman", "runs tasks with podman under systemd", "0.1", podman_ops);
