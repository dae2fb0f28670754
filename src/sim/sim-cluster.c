// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-cluster.h"
#include "base/error.h"
#include "runtime-sim.h"
#include "sim/sim-promises.h"

#define STEP_US (10 * G_TIME_SPAN_MILLISECOND)
#define PRESENCE_US (10 * G_TIME_SPAN_MILLISECOND)

SimMachine *
sim_cluster_machine (SimCluster *self, guint index)
{
  return g_ptr_array_index (self->world.machines, index);
}

guint
sim_cluster_n_machines (SimCluster *self)
{
  return self->world.machines->len;
}

SimMachine *
sim_cluster_leader (SimCluster *self)
{
  SimMachine *leader = NULL;
  guint64 term = 0;
  for (guint i = 0; i < self->world.brains->len; i++) {
    SimMachine *machine = g_ptr_array_index (self->world.brains, i);
    if (!sim_machine_leads (machine))
      continue;
    /* One that was cut off may believe in itself a little longer. */
    guint64 its = machine->consensus != NULL ? swarm_consensus_term (machine->consensus) : 1;
    if (leader == NULL || its > term) {
      leader = machine;
      term = its;
    }
  }
  return leader;
}

SwarmStore *
sim_cluster_store (SimCluster *self)
{
  SimMachine *leader = sim_cluster_leader (self);
  if (leader == NULL)
    g_error ("nobody leads");
  return leader->store;
}

SwarmStore *
sim_cluster_truth (SimCluster *self)
{
  SwarmStore *truth = NULL;
  SimMachine **machines = (SimMachine **) self->world.brains->pdata;
  for (guint i = 0; i < self->world.brains->len; i++) {
    SwarmStore *store = machines[i]->store;
    if (store != NULL && (truth == NULL || swarm_store_index (store) > swarm_store_index (truth)))
      truth = store;
  }
  return truth;
}

SimMachine *
sim_cluster_find (SimCluster *self, const char *name)
{
  return g_hash_table_lookup (self->by_name, name);
}

/* ---- the truth: what is committed, told once, when the first manager applies it ---- */

static void
store_event (const SwarmEvent *event, gpointer data)
{
  SimMachine *machine = data;
  SimCluster *self = machine->world->store_opened_data;
  guint64 index = swarm_store_index (machine->store);
  if (index <= self->committed)
    return;
  self->changed = TRUE;
  if (event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET) {
    self->committed = index;
    return;
  }
  sim_promises_committed (self->promises, event);
  if (self->on_commit != NULL)
    self->on_commit (event, self->on_commit_data);
}

void
sim_cluster_store_opened (SimMachine *machine, gpointer data)
{
  swarm_store_watch (machine->store, 0, store_event, machine);
}

/* ---- time ---- */

static gboolean
after_step (gpointer data)
{
  SimCluster *self = data;
  gint64 now = sim_clock_time (self->world.sim);
  if (now >= self->presence_due) {
    self->presence_due = now + PRESENCE_US;
    sim_promises_look_at_machines (self->promises);
  }
  sim_promises_check (self->promises);
  if (self->changed) {
    self->changed = FALSE;
    if (self->on_change != NULL)
      self->on_change (self->on_change_data);
  }
  return self->broken != NULL;
}

void
sim_cluster_run (SimCluster *self, gint64 us)
{
  sim_clock_run_until (self->world.sim, us, after_step, self);
}

void
sim_cluster_break (SimCluster *self, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  if (!self->lenient)
    g_error ("broken promise: %s", text);
  if (self->broken == NULL)
    self->broken = g_steal_pointer (&text);
}

gboolean
sim_cluster_run_until (SimCluster *self, gint64 limit_us, gboolean (*done) (SimCluster *self, gpointer data), gpointer data)
{
  gint64 end = sim_clock_time (self->world.sim) + limit_us;
  while (!done (self, data)) {
    if (sim_clock_time (self->world.sim) >= end || self->broken != NULL)
      return FALSE;
    sim_cluster_run (self, STEP_US);
  }
  return TRUE;
}

/* ---- faults ---- */

void
sim_cluster_cut (SimCluster *self, SimMachine *machine)
{
  machine->cut = TRUE;
  for (guint i = 0; i < self->world.machines->len; i++) {
    SimMachine *other = sim_cluster_machine (self, i);
    if (other != machine)
      sim_net_cut (self->world.net, machine->host, other->host, TRUE);
  }
}

void
sim_cluster_heal (SimCluster *self)
{
  sim_net_heal_all (self->world.net);
  for (guint i = 0; i < self->world.machines->len; i++)
    sim_cluster_machine (self, i)->cut = FALSE;
}

/* ---- looking ---- */

typedef struct {
  SimCluster *cluster;
  const char *service;
  SimMachine *machine;
  guint n;
  char *victim;
} Count;

static void
count_container (const RuntimeSimTask *container, gpointer data)
{
  Count *count = data;
  SimMachine *machine = sim_cluster_find (count->cluster, container->host);
  if (!container->running || !machine->powered || (count->machine != NULL && count->machine != machine)
      || g_strcmp0 (container->service, count->service) != 0)
    return;
  count->n++;
  /* The least, so that the choice does not depend on a hash table. */
  if (machine->running && (count->victim == NULL || g_strcmp0 (container->task_id, count->victim) < 0)) {
    g_free (count->victim);
    count->victim = g_strdup (container->task_id);
  }
}

guint
sim_cluster_running (SimCluster *self, const char *service, SimMachine *machine)
{
  Count count = { self, service, machine, 0, NULL };
  runtime_sim_foreach (NULL, count_container, &count);
  g_free (count.victim);
  return count.n;
}

gboolean
sim_cluster_kill_container (SimCluster *self, const char *service, int exit_code)
{
  Count count = { self, service, NULL, 0, NULL };
  runtime_sim_foreach (NULL, count_container, &count);
  gboolean killed = count.victim != NULL && runtime_sim_kill (count.victim, exit_code);
  g_free (count.victim);
  return killed;
}
