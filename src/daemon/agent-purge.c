// SPDX-License-Identifier: LGPL-2.1-or-later
/* Takes away every task of this node without a worker: the state that would tell of them cannot be used, or is gone. */
#include "base/error.h"
#include "base/log.h"
#include "daemon/agent-private.h"

#define AT_ONCE 32

struct _SwarmPurge {
  SwarmAgent *agent;
  GArray *tasks; /* SwarmId: to be removed */
  guint under_way;
  guint removed;
  guint failed;
  gint64 limit_us; /* for each */
  void (*done) (gpointer data);
  gpointer data;
};

void
swarm_agent_forget_purge (SwarmAgent *self)
{
  SwarmPurge *purge = g_steal_pointer (&self->purge);
  if (purge == NULL)
    return;
  g_clear_pointer (&purge->tasks, g_array_unref);
  g_free (purge);
}

static void
purge_finish (SwarmPurge *purge)
{
  void (*done) (gpointer data) = purge->done;
  gpointer data = purge->data;
  if (purge->failed > 0)
    swarm_warning ("%u tasks of this node could not be removed; `systemctl stop 'swarm-task-*'` and `podman rm` take them away", purge->failed);
  if (purge->removed > 0)
    swarm_notice ("%u tasks of this node were removed", purge->removed);
  swarm_agent_forget_purge (purge->agent);
  done (data);
}

static void purge_next (SwarmPurge *purge);

static void
task_removed (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  SwarmPurge *purge = data;
  purge->under_way--;
  *(error != NULL ? &purge->failed : &purge->removed) += 1;
  if (error != NULL)
    swarm_warning ("A task of this node cannot be removed: %s", error->message);
  purge_next (purge);
}

static void
purge_next (SwarmPurge *purge)
{
  while (purge->under_way < AT_ONCE && purge->tasks->len > 0) {
    SwarmId id = g_array_index (purge->tasks, SwarmId, purge->tasks->len - 1);
    g_array_set_size (purge->tasks, purge->tasks->len - 1);
    purge->under_way++;
    swarm_runtime_host_remove (purge->agent->runtime, &id, purge->limit_us, task_removed, purge);
  }
  if (purge->under_way == 0)
    purge_finish (purge);
}

static void
tasks_listed (GPtrArray *tasks, const GError *error, gpointer data)
{
  SwarmPurge *purge = data;
  if (error != NULL)
    swarm_warning ("What runs on this node cannot be listed: %s", error->message);
  for (guint i = 0; tasks != NULL && i < tasks->len; i++)
    g_array_append_val (purge->tasks, ((SwarmRuntimeTask *) tasks->pdata[i])->task);
  purge_next (purge);
}

void
swarm_agent_purge_tasks (SwarmAgent *self, gint64 limit_us, void (*done) (gpointer data), gpointer data)
{
  if (self->runtime == NULL) {
    done (data);
    return;
  }
  SwarmPurge *purge = g_new0 (SwarmPurge, 1);
  *purge = (SwarmPurge){ .agent = self, .tasks = g_array_new (FALSE, FALSE, sizeof (SwarmId)), .limit_us = limit_us, .done = done, .data = data };
  self->purge = purge;
  swarm_runtime_host_list (self->runtime, limit_us, tasks_listed, purge);
}
