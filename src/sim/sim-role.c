// SPDX-License-Identifier: LGPL-2.1-or-later
/* A machine becomes a manager and is one no more: what the agent does when the node's own object says so (daemon, agent-role.c and agent-hooks.c),
 * without certificates. */
#include "base/error.h"
#include "sim/sim-cluster.h"

#define RETRY_US (2 * G_TIME_SPAN_SECOND)
#define UNHEARD_US (15 * G_TIME_SPAN_SECOND) /* as the agent's */

/* A membership that was asked for. The answer may come when the agent is gone: then it is lost. */
typedef struct {
  SimMachine *machine, *leader;
  guint process;
  gboolean dropped; /* its former membership was ended */
} Join;

static void ask (gpointer data);

static void
ask_later (SimMachine *self, gint64 us)
{
  swarm_clock_clear_timer (self->clock, &self->role_timer);
  self->role_timer = swarm_clock_timer (self->clock, us, SWARM_PRIORITY_NORMAL, ask, self);
}

/* ---- up ---- */

static void
become_manager (SimMachine *self, guint64 raft_id)
{
  self->raft_id = raft_id;
  self->manager = TRUE;
  sim_host_set_identity (self->host, SWARM_PEER_MANAGER, &self->id, &self->world->cluster);
  sim_machine_start_brain (self);
}

static void added (guint64 raft_id, const GError *error, gpointer data);

static void
dropped (guint64 index, const GError *error, gpointer data)
{
  Join *join = data;
  join->dropped = TRUE;
  if (error != NULL || join->leader->consensus == NULL)
    added (0, error, join);
  else
    swarm_consensus_add (join->leader->consensus, &join->machine->id, join->machine->address, added, join);
}

static void
added (guint64 raft_id, const GError *error, gpointer data)
{
  Join *join = data;
  SimMachine *self = join->machine;
  /* It comes without its log: its former membership must not vote again. */
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS) && !join->dropped && join->leader->consensus != NULL) {
    swarm_consensus_remove (join->leader->consensus, &self->id, dropped, join);
    return;
  }
  gboolean holds = self->running && self->process == join->process && self->stack == NULL;
  g_free (join);
  if (!holds)
    return;
  self->asking = FALSE;
  if (error != NULL || raft_id == 0)
    ask_later (self, RETRY_US);
  else
    become_manager (self, raft_id);
}

static void
ask (gpointer data)
{
  SimMachine *self = data;
  SimMachine *leader = sim_cluster_leader (self->world->store_opened_data);
  self->role_timer = NULL;
  if (self->stack != NULL)
    return;
  const SwarmNode *node = leader != NULL && !self->cut ? swarm_store_get (leader->store, SWARM_KIND_NODE, &self->id) : NULL;
  if (node == NULL) {
    ask_later (self, RETRY_US);
    return;
  }
  if (node->spec->role != SWARM_ROLE_MANAGER)
    return;
  Join *join = g_new0 (Join, 1);
  *join = (Join){ self, leader, self->process, FALSE };
  self->asking = TRUE;
  swarm_consensus_add (leader->consensus, &self->id, self->address, added, join);
}

/* ---- down ---- */

static void
step_down (gpointer data)
{
  SimMachine *self = data;
  SimWorld *world = self->world;
  self->role_timer = NULL;
  if (self->stack == NULL)
    return;
  sim_machine_stop_brain (self);
  self->manager = self->founder = FALSE;
  self->raft_id = 0;
  sim_host_set_identity (self->host, SWARM_PEER_WORKER, &self->id, &world->cluster);
  sim_disk_wipe (self->log_disk);
  g_autoptr (GPtrArray) managers = sim_machine_manager_addresses (world);
  if (self->worker != NULL)
    swarm_worker_set_managers (self->worker, managers);
}

/* In a turn of its own: consensus, or the worker, is on the stack. */
void
sim_machine_step_down_later (SimMachine *self)
{
  swarm_clock_clear_timer (self->clock, &self->role_timer);
  self->role_timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, step_down, self);
}

/* It was let go while it could not hear of it, and is to be a manager again: no leader speaks to it, so it begins anew. */
static void
look_at_leader (gpointer data)
{
  SimMachine *self = data;
  SwarmId leader = self->consensus != NULL ? swarm_consensus_leader (self->consensus) : SWARM_ID_NIL;
  self->unheard_timer = NULL;
  if (self->stack == NULL)
    return;
  if (!swarm_id_is_nil (&leader)) {
    self->unheard_timer = swarm_clock_timer (self->clock, UNHEARD_US, SWARM_PRIORITY_NORMAL, look_at_leader, self);
    return;
  }
  step_down (self);
  ask_later (self, 0);
}

static void
watch_standing (SimMachine *self, const SwarmNode *node)
{
  if (self->stack == NULL || node->spec->role != SWARM_ROLE_MANAGER || node->manager_status != NULL)
    swarm_clock_clear_timer (self->clock, &self->unheard_timer);
  else if (self->unheard_timer == NULL)
    self->unheard_timer = swarm_clock_timer (self->clock, UNHEARD_US, SWARM_PRIORITY_NORMAL, look_at_leader, self);
}

void
sim_machine_node_changed (SimMachine *self, const SwarmNode *node)
{
  if (self->world->log != NULL)
    return;
  watch_standing (self, node);
  if (node->spec->role == SWARM_ROLE_MANAGER && self->stack == NULL && !self->asking && self->role_timer == NULL)
    ask_later (self, 0);
  else if (node->spec->role == SWARM_ROLE_WORKER && self->stack != NULL && node->manager_status == NULL)
    sim_machine_step_down_later (self);
}
