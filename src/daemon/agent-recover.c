// SPDX-License-Identifier: LGPL-2.1-or-later
/* A cluster made anew by one of its managers (init --force-new-cluster), and the epoch by which those of before are told from those of after. */
#include "base/error.h"
#include "base/log.h"
#include "daemon/agent-private.h"
#include "daemon/address.h"
#include "daemon/decisions.h"
#include "manager/ca-server.h"

#define ANSWER_S 20

struct _SwarmRecovery {
  SwarmAgent *agent;
  SwarmInvocation *invocation; /* NULL: answered */
  guint membership;
  guint timeout;
  gboolean leads;
};

static void
recovery_free (SwarmRecovery *recovery)
{
  recovery->agent->recovery = NULL;
  if (recovery->timeout != 0)
    g_source_remove (recovery->timeout);
  g_free (recovery);
}

static void
recovery_fail (SwarmRecovery *recovery, const GError *error)
{
  swarm_warning ("The cluster was not made anew: %s", error->message);
  if (recovery->invocation != NULL)
    swarm_invocation_fail (recovery->invocation, error);
  recovery_free (recovery);
}

void
swarm_agent_recovery_abandon (SwarmAgent *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "The agent stops.");
  if (self->recovery != NULL)
    recovery_fail (self->recovery, error);
}

static gboolean
recovery_timeout (gpointer data)
{
  SwarmRecovery *recovery = data;
  recovery->timeout = 0;
  if (recovery->invocation != NULL)
    swarm_invocation_fail_literal (recovery->invocation, SWARM_ERROR_TIMED_OUT,
                                   "Timeout was reached before the cluster was made anew. The attempt will continue in the background. "
                                   "Use the \"swarmctl info\" command to see the current swarm status of your node.");
  recovery->invocation = NULL;
  return G_SOURCE_REMOVE;
}

static void
state_written (const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (error != NULL)
    swarm_agent_node_disk_failed (self, error);
}

static void
store_state (SwarmAgent *self)
{
  /* Who joins has not got everything yet; it is written at the end. */
  if (self->job == NULL && self->membership->cert != NULL && swarm_membership_is_open (self->membership))
    swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, state_written, self);
}

/* ---- epochs ---- */

guint64
swarm_agent_epoch (gpointer agent)
{
  SwarmAgent *self = agent;
  guint64 epoch = self->membership != NULL ? MAX (self->membership->epoch, self->later_epoch) : 0;
  const SwarmCluster *cluster = self->stack != NULL ? swarm_store_cluster (swarm_stack_store (self->stack)) : NULL;
  return cluster != NULL ? MAX (epoch, cluster->epoch) : epoch;
}

/* This manager belongs to the cluster of before: it goes on as a worker of the one of after, whose managers decide what it may be. */
static gboolean
stand_aside (gpointer data)
{
  SwarmAgent *self = data;
  self->epoch_source = 0;
  if (self->stack == NULL)
    return G_SOURCE_REMOVE;
  swarm_log (LOG_CRIT, NULL, NULL,
             "Another manager has made this cluster anew (init --force-new-cluster): this one stops to be a manager, and goes on as a worker");
  swarm_agent_stop_manager (self);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
  swarm_agent_demoted (self);
  swarm_agent_update_status (self);
  return G_SOURCE_REMOVE;
}

gboolean
swarm_agent_check_epoch (const SwarmPeer *peer, guint64 epoch, gpointer agent, GError **error)
{
  SwarmAgent *self = agent;
  guint64 ours = swarm_agent_epoch (self);
  if (peer->role != SWARM_PEER_MANAGER || epoch == ours || self->membership == NULL)
    return TRUE;
  if (epoch < ours) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                 "manager %s belongs to this cluster as it was before another manager made it anew (init --force-new-cluster)",
                 swarm_id_string (&peer->node).str);
    return FALSE;
  }
  /* Workers, and those that join, come along; what a manager has on its disk belongs to the epoch that stands there. */
  if (!self->membership->manager) {
    self->membership->epoch = epoch;
    store_state (self);
    return TRUE;
  }
  if (self->stack == NULL) {
    self->later_epoch = epoch;
    return TRUE;
  }
  SwarmPeerRole role = swarm_ca_effective_role (swarm_stack_store (self->stack), peer);
  if (!swarm_believes_epoch (role, swarm_consensus_is_current (swarm_stack_consensus (self->stack))))
    return TRUE; /* it is nobody's manager here: its word counts as a worker's */
  self->later_epoch = epoch;
  if (self->epoch_source == 0)
    self->epoch_source = g_idle_add (stand_aside, self);
  return TRUE;
}

void
swarm_agent_forget_epoch (SwarmAgent *self)
{
  self->later_epoch = 0;
  if (self->epoch_source != 0)
    g_source_remove (self->epoch_source);
  self->epoch_source = 0;
}

/* ---- init --force-new-cluster ---- */

static void
epoch_made (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (self->gone || self->recovery == NULL)
    return;
  if (error != NULL) {
    recovery_fail (self->recovery, error);
    return;
  }
  const SwarmCluster *cluster = swarm_store_cluster (swarm_stack_store (self->stack));
  self->membership->epoch = cluster->epoch;
  g_ptr_array_set_size (self->membership->managers, 0);
  g_ptr_array_add (self->membership->managers, g_strdup (self->membership->advertise));
  g_ptr_array_set_size (self->membership->members, 0);
  store_state (self);
  swarm_notice ("This manager made the cluster anew as its only manager (epoch %" G_GUINT64_FORMAT ")", cluster->epoch);
  swarm_api_set_state (self->api, SWARM_LOCAL_ACTIVE, NULL);
  if (self->recovery->invocation != NULL)
    swarm_invocation_return (self->recovery->invocation, g_variant_new ("(s)", swarm_id_string (&self->membership->node).str));
  recovery_free (self->recovery);
  swarm_agent_update_status (self);
}

void
swarm_agent_recovery_stack_changed (SwarmAgent *self)
{
  SwarmRecovery *recovery = self->recovery;
  if (recovery == NULL || recovery->leads || self->stack == NULL || !swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return;
  recovery->leads = TRUE;
  swarm_control_new_epoch (swarm_manager_control (swarm_stack_manager (self->stack)), &self->membership->node, self->membership->advertise,
                           epoch_made, self);
}

/* What was being written to the log is on the disk, or lost. */
static void
log_quiet (const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) local = NULL;
  if (self->gone || self->recovery == NULL)
    return;
  if (error != NULL)
    local = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "the disk failed, restart the agent first: %s", error->message);
  self->alone = TRUE;
  if (local == NULL && swarm_agent_start_cluster (self, &local)) {
    self->alone = FALSE;
    return;
  }
  self->alone = FALSE;
  swarm_agent_no_place (self, local);
  recovery_fail (self->recovery, local);
}

static gboolean
new_addresses (SwarmMembership *membership, const char *listen, const char *advertise, GError **error)
{
  g_autofree char *own_listen = listen != NULL && *listen != '\0' ? swarm_address_listen (listen, error) : g_strdup (membership->listen);
  g_autofree char *own = NULL;
  if (own_listen == NULL)
    return FALSE;
  own = advertise != NULL && *advertise != '\0' ? swarm_address_advertise (advertise, own_listen, NULL, error) : g_strdup (membership->advertise);
  if (own == NULL)
    return FALSE;
  g_free (membership->listen);
  membership->listen = g_steal_pointer (&own_listen);
  g_free (membership->advertise);
  membership->advertise = g_steal_pointer (&own);
  return TRUE;
}

void
swarm_agent_force_new_cluster (SwarmAgent *self, const char *listen, const char *advertise, SwarmInvocation *invocation)
{
  g_autoptr (GError) error = NULL;
  if (self->job != NULL || self->recovery != NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                                 "Another init, join or leave is under way on this node; wait for it to end.");
  else if (self->membership == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                                 "This node is not part of a swarm: there is nothing to make anew. Use \"swarmctl init\" without --force-new-cluster.");
  else if (!swarm_membership_is_open (self->membership) || !self->membership->manager)
    error = swarm_api_not_manager_error (self->api);
  if (error != NULL || !new_addresses (self->membership, listen, advertise, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  self->recovery = g_new0 (SwarmRecovery, 1);
  *self->recovery = (SwarmRecovery){ .agent = self, .invocation = invocation };
  self->recovery->timeout = g_timeout_add_seconds (ANSWER_S, recovery_timeout, self->recovery);
  swarm_notice ("This manager makes the cluster anew, without the others");
  swarm_agent_stop_cluster (self);
  swarm_agent_forget_epoch (self);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
  self->log_disk->submit (self->log_disk, swarm_disk_ops_new (), log_quiet, self);
}
