// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an agent finds when it starts: what an earlier boot left is swept away, then the units tell which tasks there are. */
#include "private.h"
#include <string.h>

#define SWEEP_UNIT "swarm-sweep.service"

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
  podman_op_finish (list->op, &result);
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
  g_autofree char *id = code == SWARM_PLUGIN_OK ? g_strstrip (g_strdup (content)) : NULL;
  PodmanTask *task = podman_task_get (self, info->task_id);
  int exit_code;
  if (id != NULL && strlen (id) == 64) {
    podman_task_set_container (task, id);
    info->container_id = task->container_id;
    if (info->running && podman_exits_read (id, &exit_code)) {
      info->running = false; /* it ended; podman is still cleaning up */
      info->exit_code = exit_code;
      info->exited_at = self->host->now (self->host);
    }
    if (info->running && podman_container_pid (id) != 0)
      info->pid = podman_container_pid (id);
  }
  task->started = TRUE;
  task->exited = !info->running;
  if (--list->waiting == 0)
    list_finish (list);
}

/* Tasks that an agent of this boot prepared, or had begun to, and never started: they have a directory and no unit. */
static void
list_prepared (ListRequest *list)
{
  SwarmPluginInstance *self = list->op->self;
  g_autofree char *own = podman_scope_dir (self, list->op->id), *path = g_path_get_dirname (own);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_autoptr (GHashTable) units = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < list->ids->len; i++)
    g_hash_table_add (units, list->ids->pdata[i]);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;) {
    if (strlen (name) != TASK_ID_LEN || strspn (name, "0123456789abcdefghijklmnopqrstuvwxyz") != TASK_ID_LEN)
      continue;
    if (g_hash_table_contains (units, name))
      continue;
    g_ptr_array_add (list->ids, g_strdup (name));
    SwarmPluginTaskInfo info = { .task_id = list->ids->pdata[list->ids->len - 1], .exit_code = -1 };
    g_array_append_val (list->tasks, info);
    podman_task_get (self, name)->left_over = TRUE;
  }
}

static void
listed (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *states, size_t n_states, void *data)
{
  ListRequest *list = data;
  SwarmPluginInstance *self = list->op->self;
  if (code != SWARM_PLUGIN_OK) {
    podman_op_fail (list->op, code, error);
    g_array_unref (list->tasks);
    g_ptr_array_unref (list->ids);
    g_free (list);
    return;
  }
  for (size_t i = 0; i < n_states; i++) {
    char id[TASK_ID_LEN + 1];
    if (podman_task_of_unit (states[i].name, id) == NULL || states[i].phase == SWARM_PLUGIN_UNIT_ABSENT)
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
    podman_task_get (self, id)->unit_up = running;
  }
  guint n_units = list->tasks->len;
  list_prepared (list);
  list->waiting = n_units + 1;
  for (guint i = 0; i < n_units; i++) {
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
    self->host->unit_watch (self->host, TASK_PREFIX, podman_unit_changed, self);
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

void
podman_list (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  self->host->unit_query (self->host, SWEEP_UNIT, sweep_known, podman_op_new (self, call, "list"));
}
