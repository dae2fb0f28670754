// SPDX-License-Identifier: LGPL-2.1-or-later
/* Has the cluster come to rest, as it was declared? */
#include "runtime-sim.h"
#include "sim/sim-cluster.h"

typedef struct {
  SimCluster *cluster;
  SwarmStore *store;
  guint running; /* containers that are where they shall be */
  char *why;
} Settled;

static void
check_settled_container (const RuntimeSimTask *container, gpointer data)
{
  Settled *settled = data;
  SimMachine *machine = sim_cluster_find (settled->cluster, container->host);
  SwarmId id;
  if (!container->running || !machine->powered || settled->why != NULL || !swarm_id_parse (container->task_id, &id))
    return;
  const SwarmTask *task = swarm_store_get (settled->store, SWARM_KIND_TASK, &id);
  if (task == NULL || task->desired_state != SWARM_TASK_RUNNING || task->status->state != SWARM_TASK_RUNNING
      || !swarm_id_equal (&task->node_id, &machine->id))
    settled->why = g_strdup_printf ("%s runs on %s; the store says %s, wanted %s", container->name, container->host,
                                    task != NULL ? swarm_task_state_to_string (task->status->state) : "nothing",
                                    task != NULL ? swarm_task_state_to_string (task->desired_state) : "nothing");
  settled->running++;
}

static gboolean
check_settled_service (gpointer object, gpointer data)
{
  Settled *settled = data;
  const SwarmService *service = object;
  guint want = (guint) service->spec->mode->replicated->replicas;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (settled->store, &service->object.id);
  guint run = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    run += task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
           && task->spec_version == service->spec_version;
  }
  if (run != want && settled->why == NULL)
    settled->why = g_strdup_printf ("%s: %u tasks of %u run", service->spec->name, run, want);
  settled->running -= run; /* may wrap, comes back to 0 in the end */
  return settled->why == NULL;
}

gboolean
sim_cluster_is_settled (SimCluster *self, char **why)
{
  SimMachine *leader = sim_cluster_leader (self);
  Settled settled = { self, leader != NULL ? leader->store : NULL, 0, NULL };
  if (leader == NULL)
    settled.why = g_strdup ("nobody leads");
  if (settled.why == NULL)
    runtime_sim_foreach (NULL, check_settled_container, &settled);
  if (settled.why == NULL)
    swarm_store_foreach (settled.store, SWARM_KIND_SERVICE, check_settled_service, &settled);
  if (settled.why == NULL && settled.running != 0)
    settled.why = g_strdup ("containers and tasks do not match");
  gboolean ok = settled.why == NULL;
  if (why != NULL)
    *why = settled.why;
  else
    g_free (settled.why);
  return ok;
}
