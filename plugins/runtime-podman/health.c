// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands in a task's container, and what an image declares of its health. A command is run by crun in a unit of its own, which shows
 * neither the command nor its output: both are files of the task. */
#include "private.h"
#include <json-glib/json-glib.h>
#include <string.h>

#define EXEC_MARGIN_US (5 * G_USEC_PER_SEC) /* for crun beyond the command's time */
#define HEAD_MAX 32                         /* of the output file: "exit N\n" or "timeout\n" */
#define HEALTH_MAX 65536

/* ---- commands ---- */

typedef struct {
  SwarmPluginInstance *self;
  SwarmPluginCall *call;
  char *task;
  char *unit;
  char *file;      /* "exec-N": the arguments */
  char *output;    /* "exec-N.out" */
  char *container; /* id */
  gint64 timeout;
  size_t max_output;
  gboolean cancelled;
} Exec;

static void
exec_free (Exec *exec)
{
  g_free (exec->task);
  g_free (exec->unit);
  g_free (exec->file);
  g_free (exec->output);
  g_free (exec->container);
  g_free (exec);
}

static void
exec_finish (Exec *exec, const SwarmPluginResult *result)
{
  SwarmPluginHost *host = exec->self->host;
  g_hash_table_remove (exec->self->execs, exec->call);
  host->file_remove (host, exec->task, exec->file, podman_ignore_file, NULL);
  host->file_remove (host, exec->task, exec->output, podman_ignore_file, NULL);
  host->finish (exec->call, result);
  exec_free (exec);
}

static void
exec_fail (Exec *exec, SwarmPluginCode code, const char *error)
{
  SwarmPluginResult result = { .code = exec->cancelled ? SWARM_PLUGIN_CANCELLED : code, .error = exec->cancelled ? "cancelled" : error };
  exec_finish (exec, &result);
}

static void
got_output (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  Exec *exec = data;
  const char *rest = code == SWARM_PLUGIN_OK ? memchr (content, '\n', MIN (length, HEAD_MAX)) : NULL;
  if (rest == NULL) {
    exec_fail (exec, SWARM_PLUGIN_FAILED, "the command told nothing of its end");
    return;
  }
  if (g_str_has_prefix (content, "timeout\n")) {
    exec_fail (exec, SWARM_PLUGIN_TIMED_OUT, "the command took too long");
    return;
  }
  rest++;
  SwarmPluginResult result = {
    .code = SWARM_PLUGIN_OK,
    .exit_code = g_str_has_prefix (content, "exit ") ? (int) g_ascii_strtoll (content + strlen ("exit "), NULL, 10) : -1,
    .output = rest,
    .output_length = MIN (length - (size_t) (rest - content), exec->max_output),
  };
  exec_finish (exec, &result);
}

static void
exec_ran (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  Exec *exec = data;
  SwarmPluginHost *host = exec->self->host;
  if (code != SWARM_PLUGIN_OK)
    exec_fail (exec, code == SWARM_PLUGIN_UNAVAILABLE ? code : SWARM_PLUGIN_FAILED, error);
  else
    host->file_read (host, exec->task, exec->output, exec->max_output + HEAD_MAX, got_output, exec);
}

static void
exec_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  Exec *exec = data;
  SwarmPluginInstance *self = exec->self;
  if (code != SWARM_PLUGIN_OK || exec->cancelled) {
    exec_fail (exec, code, error);
    return;
  }
  g_autofree char *dir = podman_scope_dir (self, exec->task), *timeout = g_strdup_printf ("%" G_GINT64_FORMAT, exec->timeout / 1000);
  g_autofree char *most = g_strdup_printf ("%zu", exec->max_output), *out = g_strdup_printf ("StandardOutput=truncate:%s/%s", dir, exec->output);
  g_autofree char *limit = g_strdup_printf ("TimeoutStartSec=%" G_GINT64_FORMAT "ms", (exec->timeout + EXEC_MARGIN_US) / 1000);
  const char *argv[] = { SWARM_PODMAN_HELPER, "exec", self->crun, dir, exec->file, exec->container, timeout, most, NULL };
  /* Often and short: systemd need not tell the journal of each. */
  const char *const properties[] = { "Type=oneshot", "Slice=swarm.slice", "CollectMode=inactive-or-failed", "LogLevelMax=2",
                                     "StandardError=null", out, limit, NULL };
  podman_run_oneshot (self, exec->unit, properties, argv, exec_ran, exec);
}

void
podman_exec (SwarmPluginInstance *self, const SwarmPluginCommand *command, SwarmPluginCall *call)
{
  PodmanTask *task = g_hash_table_lookup (self->tasks, command->task_id);
  if (task == NULL || task->container_id == NULL || !task->started || task->exited) {
    SwarmPluginResult result = { .code = SWARM_PLUGIN_NOT_FOUND, .error = "the task does not run" };
    self->host->finish (call, &result);
    return;
  }
  Exec *exec = g_new0 (Exec, 1);
  guint number = ++self->next_exec;
  exec->self = self;
  exec->call = call;
  exec->task = g_strdup (command->task_id);
  exec->unit = g_strdup_printf ("swarm-exec-%s-%u.service", command->task_id, number);
  exec->file = g_strdup_printf ("exec-%u", number);
  exec->output = g_strdup_printf ("exec-%u.out", number);
  exec->container = g_strdup (task->container_id);
  exec->timeout = command->timeout;
  exec->max_output = MIN (command->max_output, 1024 * 1024 - HEAD_MAX);
  g_autoptr (GByteArray) arguments = g_byte_array_new ();
  for (guint i = 0; command->argv[i] != NULL; i++)
    g_byte_array_append (arguments, (const guint8 *) command->argv[i], strlen (command->argv[i]) + 1);
  SwarmPluginFile file = { exec->file, arguments->data, arguments->len };
  g_hash_table_insert (self->execs, call, exec);
  self->host->files_write (self->host, exec->task, &file, 1, exec_run, exec);
}

static void
exec_stopped (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
}

gboolean
podman_exec_cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  Exec *exec = g_hash_table_lookup (self->execs, call);
  if (exec == NULL)
    return FALSE;
  if (!exec->cancelled)
    self->host->unit_stop (self->host, exec->unit, exec_stopped, NULL);
  exec->cancelled = TRUE;
  return TRUE;
}

void
podman_exec_forget (gpointer exec)
{
  exec_free (exec);
}

/* ---- images ---- */

static gint64
member_us (JsonObject *object, const char *name)
{
  return json_object_has_member (object, name) ? json_object_get_int_member (object, name) / 1000 : 0;
}

/* podman's "null", or docker's HealthConfig with times in nanoseconds. */
static SwarmPluginHealth *
parse_health (const char *text, GPtrArray *words)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, text, -1, NULL) || json_parser_get_root (parser) == NULL
      || !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    return NULL;
  JsonObject *object = json_node_get_object (json_parser_get_root (parser));
  JsonNode *test = json_object_get_member (object, "Test");
  JsonArray *list = test != NULL && JSON_NODE_HOLDS_ARRAY (test) ? json_node_get_array (test) : NULL;
  for (guint i = 0; list != NULL && i < json_array_get_length (list); i++)
    g_ptr_array_add (words, g_strdup (json_array_get_string_element (list, i)));
  if (words->len == 0)
    return NULL;
  g_ptr_array_add (words, NULL);
  SwarmPluginHealth *health = g_new0 (SwarmPluginHealth, 1);
  health->test = (const char *const *) words->pdata;
  health->interval = member_us (object, "Interval");
  health->timeout = member_us (object, "Timeout");
  health->start_period = member_us (object, "StartPeriod");
  health->start_interval = member_us (object, "StartInterval");
  health->retries = json_object_has_member (object, "Retries") ? (gint32) json_object_get_int_member (object, "Retries") : 0;
  return health;
}

static void
got_health (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  g_autofree SwarmPluginHealth *health = code == SWARM_PLUGIN_OK ? parse_health (content, words) : NULL;
  SwarmPluginResult result = { .code = code, .error = error, .health = health };
  host->file_remove (host, op->id, NULL, podman_ignore_file, NULL);
  podman_op_finish (op, &result);
}

static void
inspected (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code == SWARM_PLUGIN_OK) {
    host->file_read (host, op->id, "health", HEALTH_MAX, got_health, op);
    return;
  }
  host->file_remove (host, op->id, NULL, podman_ignore_file, NULL);
  podman_op_fail (op, code, error);
}

static void
inspect_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf ("swarm-%s.service", op->id);
  const char *argv[] = { op->self->podman, "image", "inspect", "--format={{json .HealthCheck}}", op->image, NULL };
  if (code != SWARM_PLUGIN_OK)
    podman_op_fail (op, code, error);
  else
    podman_run_unit (op->self, name, op->id, "health", "60s", argv, inspected, op);
}

void
podman_inspect_image (SwarmPluginInstance *self, const char *image, SwarmPluginCall *call)
{
  g_autofree char *scope = g_strdup_printf ("inspect-%u", ++self->next_inspect);
  PodmanOp *op = podman_op_new (self, call, scope);
  op->image = g_strdup (image);
  self->host->files_write (self->host, scope, NULL, 0, inspect_run, op);
}
