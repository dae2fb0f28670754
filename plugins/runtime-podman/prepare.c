// SPDX-License-Identifier: LGPL-2.1-or-later
/* Everything before the start: the files that tell podman what to run, the image, the container. Not `podman run` in the task's unit, though
 * that is one call instead of two: podman writes a line of its own into the journal when it makes a container, which would be the task's. */
#include "private.h"
#include <string.h>

static void
prepare_finish (PodmanOp *op, SwarmPluginCode code, const char *error, const char *container_id)
{
  SwarmPluginResult result = { .code = code, .error = error, .container_id = container_id };
  g_hash_table_steal (op->self->prepares, op->call);
  podman_op_finish (op, &result);
}

static void
got_container_id (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  PodmanTask *task = podman_task_get (op->self, op->id);
  g_autofree char *id = code == SWARM_PLUGIN_OK ? g_strstrip (g_strdup (content)) : NULL;
  if (id == NULL || strlen (id) != 64) {
    prepare_finish (op, SWARM_PLUGIN_FAILED, "podman create gave no container id", NULL);
    return;
  }
  podman_task_set_container (task, id);
  prepare_finish (op, SWARM_PLUGIN_OK, NULL, id);
}

static void
created (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  SwarmPluginHost *host = op->self->host;
  if (code == SWARM_PLUGIN_OK) {
    host->file_read (host, op->id, "container-id", 256, got_container_id, op);
    return;
  }
  g_hash_table_steal (op->self->prepares, op->call);
  podman_image_forget (op->self, op->image);
  podman_op_fail_with_reason (op, code, error);
}

static void
image_is_here (PodmanOp *op, SwarmPluginCode code, const char *error)
{
  if (code != SWARM_PLUGIN_OK || op->cancelled) {
    prepare_finish (op, op->cancelled ? SWARM_PLUGIN_CANCELLED : code, error, NULL);
    return;
  }
  g_autofree char *name = g_strdup_printf ("swarm-prepare-%s.service", op->id), *dir = podman_scope_dir (op->self, op->id);
  const char *argv[] = { SWARM_PODMAN_HELPER, "create", op->self->podman, dir, NULL };
  podman_run_unit (op->self, name, op->id, NULL, "120s", argv, created, op);
}

static void
files_written (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  if (code != SWARM_PLUGIN_OK || op->cancelled)
    prepare_finish (op, code != SWARM_PLUGIN_OK ? code : SWARM_PLUGIN_CANCELLED, error, NULL);
  else
    podman_image_need (op, op->image, op->auth, image_is_here);
}

static void
note_ports (PodmanTask *known, const SwarmPluginTask *task)
{
  g_clear_pointer (&known->ports, g_array_unref);
  known->ports = g_array_new (FALSE, FALSE, sizeof (guint32));
  for (size_t i = 0; i < task->n_ports && podman_publishes (task); i++) {
    guint32 port = task->ports[i].protocol << 16 | task->ports[i].published;
    if (task->ports[i].published != 0)
      g_array_append_val (known->ports, port);
  }
}

void
podman_prepare (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  PodmanOp *op = podman_op_new (self, call, task->id);
  PodmanTask *known = podman_task_get (self, task->id);
  g_autoptr (GString) env = g_string_new (NULL);
  g_autoptr (GByteArray) variables = g_byte_array_new ();
  g_autofree char *error = NULL;
  g_autoptr (GByteArray) arguments = podman_create_arguments (task, env, variables, &error);
  if (arguments != NULL && task->registry_auth != NULL && *task->registry_auth != '\0')
    op->auth = podman_auth_file (task->image, task->registry_auth, &error);
  if (error != NULL) {
    podman_op_fail (op, SWARM_PLUGIN_INVALID, error);
    return;
  }
  op->image = g_strdup (task->image);
  note_ports (known, task);
  SwarmPluginFile files[3] = { { "create", arguments->data, arguments->len } };
  size_t n = 1;
  if (env->len > 0)
    files[n++] = (SwarmPluginFile){ "env", env->str, env->len };
  if (variables->len > 0)
    files[n++] = (SwarmPluginFile){ "environ", variables->data, variables->len };
  g_hash_table_insert (self->prepares, call, op);
  self->host->files_write (self->host, task->id, files, n, files_written, op);
}

static void
stopped_prepare (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
}

void
podman_cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  PodmanOp *op = g_hash_table_lookup (self->prepares, call);
  if (podman_exec_cancel (self, call) || op == NULL || op->cancelled)
    return;
  op->cancelled = TRUE;
  if (op->pull != NULL) {
    podman_image_leave (op);
    prepare_finish (op, SWARM_PLUGIN_CANCELLED, NULL, NULL);
    return;
  }
  g_autofree char *name = g_strdup_printf ("swarm-prepare-%s.service", op->id);
  self->host->unit_stop (self->host, name, stopped_prepare, NULL);
}
