// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stopping tasks, and taking away what is left of them: one call of podman at a time, for all that came up while the last one ran. */
#include "private.h"

#define BATCH_MAX 32
#define REMOVE_SCOPE "remove"
#define REMOVE_UNIT "swarm-remove.service"

static void remove_next (SwarmPluginInstance *self);

static void
stopped (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  PodmanTask *task = g_hash_table_lookup (op->self->tasks, op->id);
  if (task != NULL)
    task->unit_up = FALSE;
  SwarmPluginResult result = { .code = code, .error = error, .exit_code = -1 };
  if (task != NULL && task->container_id != NULL)
    podman_exits_read (task->container_id, &result.exit_code);
  podman_op_finish (op, &result);
}

void
podman_stop (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", task_id);
  PodmanTask *task = g_hash_table_lookup (self->tasks, task_id);
  if (task != NULL)
    task->stopping = TRUE;
  self->host->unit_stop (self->host, name, stopped, podman_op_new (self, call, task_id));
}

/* ---- containers ---- */

static void
files_removed (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  PodmanOp *op = data;
  g_hash_table_remove (op->self->tasks, op->id);
  if (code != SWARM_PLUGIN_OK)
    podman_op_fail (op, code, error);
  else
    podman_op_ok (op);
}

/* Takes @batch. */
static void
batch_done (SwarmPluginInstance *self, GPtrArray *batch, SwarmPluginCode code, const char *error)
{
  for (guint i = 0; i < batch->len; i++) {
    PodmanOp *op = batch->pdata[i];
    if (code == SWARM_PLUGIN_OK)
      self->host->file_remove (self->host, op->id, NULL, files_removed, op);
    else
      podman_op_fail (op, code, error);
  }
  g_ptr_array_unref (batch);
  self->removing = NULL;
  remove_next (self);
}

/* One that cannot be removed must not hold up the others: each gets a call of its own. */
static void
batch_alone (SwarmPluginInstance *self, GPtrArray *batch)
{
  for (guint i = batch->len; i-- > 0;) {
    PodmanOp *op = batch->pdata[i];
    op->alone = TRUE;
    g_queue_push_head (&self->to_remove, op);
  }
  g_ptr_array_unref (batch);
  self->removing = NULL;
  remove_next (self);
}

static void
got_reason (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  SwarmPluginInstance *self = data;
  g_autofree char *reason = code == SWARM_PLUGIN_OK ? podman_last_line (content) : g_strdup ("");
  batch_done (self, self->removing, SWARM_PLUGIN_FAILED, *reason != '\0' ? reason : "podman rm failed");
}

static void
batch_ran (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  SwarmPluginInstance *self = data;
  if (code == SWARM_PLUGIN_OK)
    batch_done (self, self->removing, code, NULL);
  else if (self->removing->len > 1)
    batch_alone (self, self->removing);
  else
    self->host->file_read (self->host, REMOVE_SCOPE, "error", PODMAN_ERROR_FILE_MAX, got_reason, self);
}

static void
batch_run (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data)
{
  static const char *const command[] = { "--events-backend=none", "rm", "--force", "--ignore", "--volumes", "--time=0" };
  SwarmPluginInstance *self = data;
  if (code != SWARM_PLUGIN_OK) {
    batch_done (self, self->removing, code, error);
    return;
  }
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (argv, g_strdup (self->podman));
  for (guint i = 0; i < G_N_ELEMENTS (command); i++)
    g_ptr_array_add (argv, g_strdup (command[i]));
  for (guint i = 0; i < self->removing->len; i++)
    g_ptr_array_add (argv, g_strdup_printf ("swarm-%s", ((PodmanOp *) self->removing->pdata[i])->id));
  g_ptr_array_add (argv, NULL);
  podman_run_unit (self, REMOVE_UNIT, REMOVE_SCOPE, NULL, "120s", (const char *const *) argv->pdata, batch_ran, self);
}

static void
remove_next (SwarmPluginInstance *self)
{
  if (self->removing != NULL || g_queue_is_empty (&self->to_remove))
    return;
  self->removing = g_ptr_array_new ();
  while (!g_queue_is_empty (&self->to_remove) && self->removing->len < BATCH_MAX) {
    PodmanOp *op = g_queue_peek_head (&self->to_remove);
    if (op->alone && self->removing->len > 0)
      break;
    g_ptr_array_add (self->removing, g_queue_pop_head (&self->to_remove));
    if (op->alone)
      break;
  }
  /* The directory must be there for the unit's error file. */
  self->host->files_write (self->host, REMOVE_SCOPE, NULL, 0, batch_run, self);
}

static void
remove_container (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  PodmanTask *task = g_hash_table_lookup (op->self->tasks, op->id);
  if (task != NULL)
    task->unit_up = FALSE;
  g_queue_push_tail (&op->self->to_remove, op);
  remove_next (op->self);
}

static void
remove_unit (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data)
{
  PodmanOp *op = data;
  g_autofree char *name = g_strdup_printf (TASK_PREFIX "%s.service", op->id);
  op->self->host->unit_stop (op->self->host, name, remove_container, op);
}

void
podman_remove (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  PodmanOp *op = podman_op_new (self, call, task_id);
  PodmanTask *task = g_hash_table_lookup (self->tasks, task_id);
  if (task != NULL)
    task->stopping = TRUE;
  if (task == NULL || !task->left_over) {
    remove_unit (SWARM_PLUGIN_OK, NULL, NULL, op);
    return;
  }
  /* Its container may be about to be made. */
  g_autofree char *prepare = g_strdup_printf ("swarm-prepare-%s.service", task_id);
  self->host->unit_stop (self->host, prepare, remove_unit, op);
}
