// SPDX-License-Identifier: LGPL-2.1-or-later
/* See README.md for the units and files. Answers of the host come later, never from within; each operation is a PodmanOp. */
#include "private.h"
#include <stdio.h>
#include <string.h>

#define ERROR_FILE_MAX 8192
#define BUSY_PORT_TRIES 60
#define BUSY_PORT_WAIT_US (50 * 1000)
#define SWEEP_UNIT "swarm-sweep.service"

/* ---- small helpers ---- */

static PodmanOp *
op_new (SwarmPluginInstance *self, SwarmPluginCall *call, const char *id)
{
  PodmanOp *op = g_new0 (PodmanOp, 1);
  op->self = self;
  op->call = call;
  op->id = g_strdup (id);
  return op;
}

/* Answers and frees. */
static void
op_finish (PodmanOp *op, const SwarmPluginResult *result)
{
  SwarmPluginResult cancelled = { .code = SWARM_PLUGIN_CANCELLED, .error = "cancelled" };
  g_hash_table_remove (op->self->prepares, op->call);
  op->self->host->finish (op->call, op->cancelled && result->code != SWARM_PLUGIN_OK ? &cancelled : result);
  g_free (op->id);
  g_free (op->image);
  g_free (op->error);
  g_free (op);
}

static void
op_fail (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  SwarmPluginResult result = { .code = code, .error = error };
  op_finish (op, &result);
}

static void
op_ok (PodmanOp *op)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK };
  op_finish (op, &result);
}

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

static PodmanTask *
task_get (SwarmPluginInstance *self, const char *id)
{
  PodmanTask *task = g_hash_table_lookup (self->tasks, id);
  if (task != NULL)
    return task;
  task = g_new0 (PodmanTask, 1);
  task->owner = self;
  task->id = g_strdup (id);
  task->early_code = -1;
  g_hash_table_insert (self->tasks, task->id, task);
  return task;
}

static void
task_set_container (PodmanTask *task, const char *container_id)
{
  if (task->container_id != NULL)
    g_hash_table_remove (task->owner->containers, task->container_id);
  g_free (task->container_id);
  task->container_id = g_strdup (container_id);
  g_hash_table_insert (task->owner->containers, task->container_id, task);
}

static char *
scope_dir (SwarmPluginInstance *self, const char *scope)
{
  char buffer[512];
  return g_strdup (self->host->scope_path (self->host, scope, buffer, sizeof buffer));
}

/* The last line of podman's standard error, without its "Error: " and the container's 64 digits that tell people nothing. */
static char *
last_line (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  const char *last = "";
  for (guint i = 0; lines[i] != NULL; i++)
    if (*g_strstrip (lines[i]) != '\0')
      last = lines[i];
  if (g_str_has_prefix (last, "Error: "))
    last += strlen ("Error: ");
  if (g_str_has_prefix (last, "unable to start container \"") && strstr (last, "\": ") != NULL)
    last = strstr (last, "\": ") + strlen ("\": ");
  return g_strdup (last);
}

static void
got_reason (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? last_line (content) : g_strdup ("");
  op_fail (op, op->code, *reason != '\0' ? reason : op->error);
}

/* Fails with podman's own words, which lie in the file "error" of the scope. */
static void
op_fail_with_reason (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  op->code = code;
  op->error = g_strdup (error != NULL ? error : "failed");
  op->self->host->file_read (op->self->host, op->id, "error", ERROR_FILE_MAX, got_reason, op);
}

/* A unit that runs a program to its end, its output in the scope's files. */
static void
run_unit (SwarmPluginInstance *self, const char *name, const char *scope, const char *output, const char *timeout, const char *const *argv,
          SwarmPluginUnitFunc func, void *data)
{
  g_autofree char *dir = scope_dir (self, scope);
  g_autofree char *out = output != NULL ? g_strdup_printf ("StandardOutput=truncate:%s/%s", dir, output) : g_strdup ("StandardOutput=null");
  g_autofree char *err = g_strdup_printf ("StandardError=truncate:%s/error", dir);
  g_autofree char *limit = g_strdup_printf ("TimeoutStartSec=%s", timeout);
  const char *const properties[] = { "Type=oneshot", "Slice=swarm.slice", "CollectMode=inactive-or-failed", out, err, limit, NULL };
  podman_run_oneshot (self->host, name, properties, argv, func, data);
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

static const char *
task_of_unit (const char *name, char id[TASK_ID_LEN + 1])
{
  const char *from = name + strlen (TASK_PREFIX);
  if (!g_str_has_prefix (name, TASK_PREFIX) || strlen (from) != TASK_ID_LEN + strlen (".service"))
    return NULL;
  memcpy (id, from, TASK_ID_LEN);
  id[TASK_ID_LEN] = '\0';
  return id;
}

static void
unit_changed (const SwarmPluginUnitState *state, void *data)
{
  SwarmPluginInstance *self = data;
  char id[TASK_ID_LEN + 1];
  if (task_of_unit (state->name, id) == NULL)
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

/* ---- prepare ---- */

static void
ignore_file (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
}

/* podman create --replace first names what it replaced, then the new container. */
static char *
last_word (const char *text)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \n", -1);
  const char *last = "";
  for (guint i = 0; words[i] != NULL; i++)
    if (*words[i] != '\0')
      last = words[i];
  return g_strdup (last);
}

static void
got_container_id (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *id = code == SWARM_PLUGIN_OK ? last_word (content) : NULL;
  if (id == NULL || strlen (id) != 64) {
    op_fail (op, SWARM_PLUGIN_FAILED, "podman create gave no container id");
    return;
  }
  task_set_container (task_get (op->self, op->id), id);
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .container_id = id };
  op_finish (op, &result);
}

static void
prepared (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  host->file_remove (host, op->id, "auth.json", ignore_file, NULL);
  if (code != SWARM_PLUGIN_OK)
    op_fail_with_reason (op, code, error);
  else
    host->file_read (host, op->id, "container-id", 256, got_container_id, op);
}

static void
files_written (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  if (code != SWARM_PLUGIN_OK || op->cancelled) {
    op_fail (op, code != SWARM_PLUGIN_OK ? code : SWARM_PLUGIN_CANCELLED, error);
    return;
  }
  g_autofree char *name = g_strdup_printf ("swarm-prepare-%s.service", op->id), *dir = scope_dir (op->self, op->id);
  const char *argv[] = { SWARM_PODMAN_HELPER, "prepare", op->self->podman, dir, NULL };
  run_unit (op->self, name, op->id, "container-id", op->self->pull_timeout, argv, prepared, op);
}

static void
prepare (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  PodmanOp *op = op_new (self, call, task->id);
  g_autoptr (GString) env = g_string_new (NULL);
  g_autoptr (GByteArray) variables = g_byte_array_new ();
  g_autofree char *error = NULL, *auth = NULL;
  g_autoptr (GByteArray) arguments = podman_create_arguments (task, env, variables, &error);
  if (arguments != NULL && task->registry_auth != NULL && *task->registry_auth != '\0')
    auth = podman_auth_file (task->image, task->registry_auth, &error);
  if (error != NULL) {
    op_fail (op, SWARM_PLUGIN_INVALID, error);
    return;
  }
  PodmanTask *known = task_get (self, task->id);
  g_clear_pointer (&known->ports, g_array_unref);
  known->ports = g_array_new (FALSE, FALSE, sizeof (guint32));
  for (size_t i = 0; i < task->n_ports; i++) {
    guint32 port = task->ports[i].protocol << 16 | task->ports[i].published;
    if (task->ports[i].published != 0)
      g_array_append_val (known->ports, port);
  }
  SwarmPluginFile files[4] = { { "create", arguments->data, arguments->len } };
  size_t n = 1;
  if (env->len > 0)
    files[n++] = (SwarmPluginFile){ "env", env->str, env->len };
  if (variables->len > 0)
    files[n++] = (SwarmPluginFile){ "environ", variables->data, variables->len };
  if (auth != NULL)
    files[n++] = (SwarmPluginFile){ "auth.json", auth, strlen (auth) };
  g_hash_table_insert (self->prepares, call, op);
  self->host->files_write (self->host, task->id, files, n, files_written, op);
}

static void
stopped_prepare (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
}

static void
cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  PodmanOp *op = g_hash_table_lookup (self->prepares, call);
  if (op == NULL || op->cancelled)
    return;
  g_autofree char *name = g_strdup_printf ("swarm-prepare-%s.service", op->id);
  op->cancelled = TRUE;
  self->host->unit_stop (self->host, name, stopped_prepare, NULL);
}

/* ---- start ---- */

/* conmon's child, the container's first process. */
static guint32
container_pid (const char *container_id)
{
  g_autofree char *path = g_strdup_printf ("/run/containers/storage/overlay-containers/%s/userdata/pidfile", container_id);
  g_autofree char *text = NULL;
  guint64 pid = 0;
  if (g_file_get_contents (path, &text, NULL, NULL))
    g_ascii_string_to_unsigned (g_strstrip (text), 10, 1, G_MAXUINT32, &pid, NULL);
  return (guint32) pid;
}

static void
started (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginInstance *self = op->self;
  PodmanTask *task = task_get (self, op->id);
  gboolean ran = state != NULL && state->phase == SWARM_PLUGIN_UNIT_EXITED && state->exit_code >= 0;
  if (code != SWARM_PLUGIN_OK) {
    op_fail_with_reason (op, code, error);
    return;
  }
  podman_exits_watch (self);
  SwarmPluginResult result = {
    .code = SWARM_PLUGIN_OK,
    .container_id = task->container_id,
    .pid = task->container_id != NULL ? container_pid (task->container_id) : 0,
  };
  task->started = TRUE;
  task->unit_up = !ran;
  int early = task->early_code;
  gint64 when = task->early_time;
  if (early < 0 && task->container_id != NULL && podman_exits_read (task->container_id, &early))
    when = self->host->now (self->host);
  op_finish (op, &result);
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
  PodmanTask *task = task_get (self, op->id);
  if (task->ports != NULL && ports_are_busy (self, task) && op->tries++ < BUSY_PORT_TRIES
      && self->host->timer (self->host, BUSY_PORT_WAIT_US, start_unit, request) != 0)
    return;
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", op->id), *container = g_strdup_printf ("swarm-%s", op->id);
  const char *start_argv[] = { self->podman, "--events-backend=none", "start", container, NULL };
  const char *stop_argv[] = { self->podman, "--events-backend=none", "stop", "--ignore", "--time", request->grace, container, NULL };
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
  g_autofree char *dir = scope_dir (self, task->id);
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
  request->op = op_new (self, call, task->id);
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

/* ---- stop and remove ---- */

static void
stopped (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  PodmanTask *task = g_hash_table_lookup (op->self->tasks, op->id);
  if (task != NULL)
    task->unit_up = FALSE;
  if (code != SWARM_PLUGIN_OK)
    op_fail (op, code, error);
  else
    op_ok (op);
}

static void
stop (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", task_id);
  PodmanTask *task = g_hash_table_lookup (self->tasks, task_id);
  if (task != NULL)
    task->stopping = TRUE;
  self->host->unit_stop (self->host, name, stopped, op_new (self, call, task_id));
}

static void
files_removed (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_hash_table_remove (op->self->tasks, op->id);
  if (code != SWARM_PLUGIN_OK)
    op_fail (op, code, error);
  else
    op_ok (op);
}

static void
container_removed (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  if (code != SWARM_PLUGIN_OK)
    op_fail_with_reason (op, code, error);
  else
    op->self->host->file_remove (op->self->host, op->id, NULL, files_removed, op);
}

static void
remove_container (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf ("swarm-remove-%s.service", op->id), *container = g_strdup_printf ("swarm-%s", op->id);
  const char *argv[] = { op->self->podman, "--events-backend=none", "rm", "--force", "--ignore", "--volumes", "--time=0", container, NULL };
  PodmanTask *task = g_hash_table_lookup (op->self->tasks, op->id);
  if (task != NULL)
    task->unit_up = FALSE;
  run_unit (op->self, name, op->id, NULL, "120s", argv, container_removed, op);
}

/* The directory must be there for the unit's error file. */
static void
remove_stop (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", op->id);
  op->self->host->unit_stop (op->self->host, name, remove_container, op);
}

static void
remove_task (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  PodmanTask *task = g_hash_table_lookup (self->tasks, task_id);
  if (task != NULL)
    task->stopping = TRUE;
  self->host->files_write (self->host, task_id, NULL, 0, remove_stop, op_new (self, call, task_id));
}

/* ---- list ---- */

typedef struct {
  PodmanOp *op;
  GArray *tasks; /* SwarmPluginTaskInfo */
  GPtrArray *ids;
  guint waiting;
} ListRequest;

typedef struct {
  ListRequest *list;
  guint index;
} ListItem;

static void
list_finish (ListRequest *list)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .tasks = (SwarmPluginTaskInfo *) list->tasks->data, .n_tasks = list->tasks->len };
  op_finish (list->op, &result);
  g_array_unref (list->tasks);
  g_ptr_array_unref (list->ids);
  g_free (list);
}

/* A task's unit and its container id are known: what became of it? */
static void
list_container (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  g_autofree ListItem *item = data;
  ListRequest *list = item->list;
  SwarmPluginInstance *self = list->op->self;
  SwarmPluginTaskInfo *info = &g_array_index (list->tasks, SwarmPluginTaskInfo, item->index);
  g_autofree char *id = code == SWARM_PLUGIN_OK ? last_word (content) : NULL;
  PodmanTask *task = task_get (self, info->task_id);
  int exit_code;
  if (id != NULL && strlen (id) == 64) {
    task_set_container (task, id);
    info->container_id = task->container_id;
    if (info->running && podman_exits_read (id, &exit_code)) {
      info->running = false; /* it ended; podman is still cleaning up */
      info->exit_code = exit_code;
      info->exited_at = self->host->now (self->host);
    }
    if (info->running && container_pid (id) != 0)
      info->pid = container_pid (id);
  }
  task->started = TRUE;
  task->exited = !info->running;
  if (--list->waiting == 0)
    list_finish (list);
}

static void
listed (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *states, size_t n_states, void *data)
{
  ListRequest *list = data;
  SwarmPluginInstance *self = list->op->self;
  if (code != SWARM_PLUGIN_OK) {
    op_fail (list->op, code, error);
    g_array_unref (list->tasks);
    g_ptr_array_unref (list->ids);
    g_free (list);
    return;
  }
  for (size_t i = 0; i < n_states; i++) {
    char id[TASK_ID_LEN + 1];
    if (task_of_unit (states[i].name, id) == NULL || states[i].phase == SWARM_PLUGIN_UNIT_ABSENT)
      continue;
    gboolean running = states[i].phase != SWARM_PLUGIN_UNIT_EXITED;
    g_ptr_array_add (list->ids, g_strdup (id));
    SwarmPluginTaskInfo info = {
      .task_id = list->ids->pdata[list->ids->len - 1],
      .running = running,
      .exit_code = running ? -1 : states[i].exit_code,
      .started_at = states[i].started_at,
      .exited_at = states[i].exited_at,
      .pid = states[i].main_pid,
    };
    g_array_append_val (list->tasks, info);
    task_get (self, id)->unit_up = running;
  }
  list->waiting = list->tasks->len + 1;
  for (guint i = 0; i < list->tasks->len; i++) {
    ListItem *item = g_new (ListItem, 1);
    *item = (ListItem){ list, i };
    self->host->file_read (self->host, list->ids->pdata[i], "container-id", 256, list_container, item);
  }
  if (--list->waiting == 0)
    list_finish (list);
}

static void
list_units (PodmanOp *op)
{
  SwarmPluginInstance *self = op->self;
  ListRequest *list = g_new0 (ListRequest, 1);
  list->op = op;
  list->tasks = g_array_new (FALSE, TRUE, sizeof (SwarmPluginTaskInfo));
  list->ids = g_ptr_array_new_with_free_func (g_free);
  podman_exits_watch (self);
  if (!self->watching) /* a list that failed is asked for again */
    self->host->unit_watch (self->host, TASK_PREFIX, unit_changed, self);
  self->watching = TRUE;
  self->host->unit_list (self->host, TASK_PREFIX, listed, list);
}

static void
swept (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code != SWARM_PLUGIN_OK)
    host->log (host, 4, NULL, "containers of an earlier boot could not be removed; the next start of the agent tries again");
  list_units (op);
}

/* The unit stays, exited, for the rest of this boot: it is the mark that the sweep was done. */
static void
sweep (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  static const char *const properties[] = { "Type=oneshot", "RemainAfterExit=yes", "Slice=swarm.slice", "StandardOutput=null",
                                            "Description=Removes containers of swarm tasks of an earlier boot", "TimeoutStartSec=120s", NULL };
  PodmanOp *op = data;
  const char *argv[] = { SWARM_PODMAN_HELPER, "sweep", op->self->podman, NULL };
  const SwarmPluginExec exec = { "ExecStart", argv, false };
  const SwarmPluginUnit unit = { .name = SWEEP_UNIT, .properties = properties, .exec = &exec, .n_exec = 1 };
  op->self->host->unit_start (op->self->host, &unit, swept, op);
}

static void
sweep_known (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  if (code == SWARM_PLUGIN_OK && state != NULL && state->phase == SWARM_PLUGIN_UNIT_EXITED && state->exit_code == 0)
    list_units (op);
  else
    op->self->host->unit_stop (op->self->host, SWEEP_UNIT, sweep, op); /* one that failed is in the way */
}

static void
list (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  self->host->unit_query (self->host, SWEEP_UNIT, sweep_known, op_new (self, call, "list"));
}

/* ---- resolve ---- */

static void
resolve_finish (PodmanOp *op, const char *digest, const char *error)
{
  g_autofree char *image = digest != NULL ? g_strconcat (op->image, "@", digest, NULL) : NULL;
  SwarmPluginResult result = { .code = digest != NULL ? SWARM_PLUGIN_OK : SWARM_PLUGIN_UNAVAILABLE, .error = error, .image = image };
  op->self->host->file_remove (op->self->host, op->id, NULL, ignore_file, NULL);
  op_finish (op, &result);
}

static void
got_digest (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  g_autofree char *digest = code == SWARM_PLUGIN_OK ? g_strstrip (g_strdup (content)) : g_strdup ("");
  gboolean good = g_str_has_prefix (digest, "sha256:") && strlen (digest) == 71;
  resolve_finish (data, good ? digest : NULL, good ? NULL : "the registry gave no digest");
}

static void
got_resolve_error (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? last_line (content) : g_strdup ("skopeo failed");
  resolve_finish (data, NULL, reason);
}

static void
resolved (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code == SWARM_PLUGIN_OK)
    host->file_read (host, op->id, "digest", 256, got_digest, op);
  else
    host->file_read (host, op->id, "error", ERROR_FILE_MAX, got_resolve_error, op);
}

static void
resolve_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", op->id), *dir = scope_dir (op->self, op->id);
  g_autofree char *authfile = g_strdup_printf ("--authfile=%s/auth.json", dir), *target = g_strconcat ("docker://", op->image, NULL);
  const char *argv[] = { op->self->skopeo, "inspect", "--no-tags", "--format={{.Digest}}", target, op->error != NULL ? authfile : NULL, NULL };
  g_clear_pointer (&op->error, g_free);
  if (code != SWARM_PLUGIN_OK)
    op_fail (op, code, error);
  else
    run_unit (op->self, name, op->id, "digest", "15s", argv, resolved, op);
}

static void
resolve_image (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call)
{
  g_autofree char *scope = g_strdup_printf ("resolve-%u", ++self->next_resolve), *error = NULL;
  PodmanOp *op = op_new (self, call, scope);
  op->image = g_strdup (image);
  g_autofree char *auth_text = auth != NULL && *auth != '\0' ? podman_auth_file (image, auth, &error) : NULL;
  if (error != NULL) {
    op_fail (op, SWARM_PLUGIN_INVALID, error);
    return;
  }
  const SwarmPluginFile file = { "auth.json", auth_text, auth_text != NULL ? strlen (auth_text) : 0 };
  op->error = auth_text != NULL ? g_strdup ("") : NULL; /* marks that there are credentials */
  self->host->files_write (self->host, scope, &file, auth_text != NULL ? 1 : 0, resolve_run, op);
}

/* ---- life ---- */

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
  SwarmPluginInstance *self = g_new0 (SwarmPluginInstance, 1);
  const char *podman = host->config (host, "Podman"), *skopeo = host->config (host, "Skopeo"), *pull = host->config (host, "PullTimeoutSec");
  self->host = host;
  self->podman = g_strdup (podman != NULL ? podman : "/usr/bin/podman");
  self->skopeo = g_strdup (skopeo != NULL ? skopeo : "/usr/bin/skopeo");
  self->pull_timeout = g_strdup_printf ("%ss", pull != NULL ? pull : "600");
  self->tasks = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, task_free);
  self->containers = g_hash_table_new (g_str_hash, g_str_equal);
  self->prepares = g_hash_table_new (NULL, NULL);
  self->exits_fd = -1;
  return self;
}

static void
fini (SwarmPluginInstance *self)
{
  podman_exits_unwatch (self);
  g_hash_table_unref (self->tasks);
  g_hash_table_unref (self->containers);
  g_hash_table_unref (self->prepares);
  g_free (self->podman);
  g_free (self->skopeo);
  g_free (self->pull_timeout);
  g_free (self);
}

static const SwarmRuntimeOps podman_ops = {
  .init = init,
  .fini = fini,
  .prepare = prepare,
  .start = start,
  .stop = stop,
  .remove = remove_task,
  .list = list,
  .resolve_image = resolve_image,
  .cancel = cancel,
};

SWARM_PLUGIN_DEFINE (RUNTIME, runtime_podman, "runtime-podman", "runs tasks with podman under systemd", "0.1", podman_ops);
