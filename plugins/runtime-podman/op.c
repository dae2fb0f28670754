// SPDX-License-Identifier: LGPL-2.1-or-later
/* What every operation needs: its answer, its task, the units that it runs, podman's own words when it fails. */
#include "private.h"
#include <string.h>

PodmanOp *
podman_op_new (SwarmPluginInstance *self, SwarmPluginCall *call, const char *id)
{
  PodmanOp *op = g_new0 (PodmanOp, 1);
  op->self = self;
  op->call = call;
  op->id = g_strdup (id);
  return op;
}

void
podman_op_free (gpointer data)
{
  PodmanOp *op = data;
  g_free (op->id);
  g_free (op->image);
  g_free (op->auth);
  g_free (op->error);
  g_free (op);
}

void
podman_op_finish (PodmanOp *op, const SwarmPluginResult *result)
{
  SwarmPluginResult cancelled = { .code = SWARM_PLUGIN_CANCELLED, .error = "cancelled" };
  op->self->host->finish (op->call, op->cancelled && result->code != SWARM_PLUGIN_OK ? &cancelled : result);
  podman_op_free (op);
}

void
podman_op_fail (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  SwarmPluginResult result = { .code = code, .error = error };
  podman_op_finish (op, &result);
}

void
podman_op_ok (PodmanOp *op)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK };
  podman_op_finish (op, &result);
}

PodmanTask *
podman_task_get (SwarmPluginInstance *self, const char *id)
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

void
podman_task_set_container (PodmanTask *task, const char *container_id)
{
  if (task->container_id != NULL)
    g_hash_table_remove (task->owner->containers, task->container_id);
  g_free (task->container_id);
  task->container_id = g_strdup (container_id);
  g_hash_table_insert (task->owner->containers, task->container_id, task);
}

char *
podman_scope_dir (SwarmPluginInstance *self, const char *scope)
{
  char buffer[512];
  return g_strdup (self->host->scope_path (self->host, scope, buffer, sizeof buffer));
}

char *
podman_last_line (const char *text)
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
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? podman_last_line (content) : g_strdup ("");
  podman_op_fail (op, op->code, *reason != '\0' ? reason : op->error);
}

void
podman_op_fail_with_reason (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  op->code = code;
  op->error = g_strdup (error != NULL ? error : "failed");
  op->self->host->file_read (op->self->host, op->id, "error", PODMAN_ERROR_FILE_MAX, got_reason, op);
}

void
podman_run_unit (SwarmPluginInstance *self, const char *name, const char *scope, const char *output, const char *timeout,
                 const char *const *argv, SwarmPluginUnitFunc func, void *data)
{
  g_autofree char *dir = podman_scope_dir (self, scope);
  g_autofree char *out = output != NULL ? g_strdup_printf ("StandardOutput=truncate:%s/%s", dir, output) : g_strdup ("StandardOutput=null");
  g_autofree char *err = g_strdup_printf ("StandardError=truncate:%s/error", dir);
  g_autofree char *limit = g_strdup_printf ("TimeoutStartSec=%s", timeout);
  const char *const properties[] = { "Type=oneshot", "Slice=swarm.slice", "CollectMode=inactive-or-failed", out, err, limit, NULL };
  podman_run_oneshot (self, name, properties, argv, func, data);
}

void
podman_ignore_file (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
}

guint32
podman_container_pid (const char *container_id)
{
  g_autofree char *path = g_strdup_printf ("/run/containers/storage/overlay-containers/%s/userdata/pidfile", container_id);
  g_autofree char *text = NULL;
  guint64 pid = 0;
  if (g_file_get_contents (path, &text, NULL, NULL))
    g_ascii_string_to_unsigned (g_strstrip (text), 10, 1, G_MAXUINT32, &pid, NULL);
  return (guint32) pid;
}

const char *
podman_task_of_unit (const char *name, char id[TASK_ID_LEN + 1])
{
  const char *from = name + strlen (TASK_PREFIX);
  if (!g_str_has_prefix (name, TASK_PREFIX) || strlen (from) != TASK_ID_LEN + strlen (".service"))
    return NULL;
  memcpy (id, from, TASK_ID_LEN);
  id[TASK_ID_LEN] = '\0';
  return id;
}
