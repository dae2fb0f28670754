// SPDX-License-Identifier: LGPL-2.1-or-later
/* A node that was removed or demoted loses its open connections with this manager: what it may still do it must ask for anew, and streams that
 * it opened as a manager end. One that uses a new certificate loses those on which it has not shown it: they are not its own. (Each call is checked besides; see check_peer in agent-parts.c.) And a root that changes is taken over. */
#include "base/error.h"
#include "base/log.h"
#include "ca/authority.h"
#include "daemon/agent-private.h"

/* What a node showed of itself before. */
static void
cut_older (SwarmAgent *self)
{
  g_autoptr (GArray) nodes = g_steal_pointer (&self->to_cut_older);
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, SWARM_CERT_REPLACED);
  for (guint i = 0; nodes != NULL && i < nodes->len; i++) {
    const SwarmNode *node = swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_NODE, &g_array_index (nodes, SwarmId, i));
    if (node != NULL && node->cert_serial != NULL)
      swarm_rpc_close_older (self->rpc, &node->object.id, node->cert_serial, reason);
  }
}

static gboolean
cut_now (gpointer data)
{
  SwarmAgent *self = data;
  cut_older (self);
  g_autoptr (GArray) nodes = g_steal_pointer (&self->to_cut);
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "the node was removed or demoted");
  self->cut_source = 0;
  for (guint i = 0; nodes != NULL && i < nodes->len; i++) {
    const SwarmId *node = &g_array_index (nodes, SwarmId, i);
    swarm_debug ("Node %s was removed or demoted: its connections are cut", swarm_id_string (node).str);
    swarm_rpc_close_node (self->rpc, node, reason);
  }
  return G_SOURCE_REMOVE;
}

/* As the CA sees it: a demoted node is a manager until it is out of the consensus. */
static gboolean
is_manager (const SwarmNode *node)
{
  return node->spec->role == SWARM_ROLE_MANAGER || node->manager_status != NULL;
}

static void
state_written (const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (error != NULL && !self->gone)
    swarm_agent_node_disk_failed (self, error);
}

/* How long certificates that expired may be renewed has to be known before there is a leader: on it depends whether there is to be one. */
static void
keep_expired_renewal (SwarmAgent *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (swarm_stack_store (self->stack));
  const SwarmCAConfig *config = cluster != NULL ? cluster->spec->ca_config : NULL;
  if (config == NULL || self->membership->expired_renewal_us == config->expired_renewal / 1000)
    return;
  self->membership->expired_renewal_us = config->expired_renewal / 1000;
  if (self->job == NULL && swarm_membership_is_open (self->membership)) /* who joins writes all of it at the end */
    swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, state_written, self);
}

static gboolean
use_new_roots (gpointer data)
{
  SwarmAgent *self = data;
  keep_expired_renewal (self);
  g_autoptr (GError) error = NULL;
  self->roots_source = 0;
  if (!swarm_agent_use_credentials (self, &error))
    swarm_error_log ("The cluster's root certificates cannot be used: %s", error->message);
  return G_SOURCE_REMOVE;
}

static gint64
expired_renewal (const SwarmCluster *cluster)
{
  return cluster->spec->ca_config != NULL ? cluster->spec->ca_config->expired_renewal : 0;
}

/* What certificates are checked against follows the cluster's state. */
static gboolean
changes_roots (const SwarmEvent *event)
{
  if (event->event == SWARM_EVENT_RESET)
    return TRUE;
  if (event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_REMOVE || event->kind != SWARM_KIND_CLUSTER)
    return FALSE;
  const SwarmCluster *before = event->previous, *cluster = event->object;
  return before == NULL || !swarm_message_equal (before->root_ca, cluster->root_ca) || expired_renewal (before) != expired_renewal (cluster);
}

/* It says that it uses the newest certificate that it was given. */
static gboolean
uses_newest (const SwarmNode *node)
{
  const SwarmNodeTLS *tls = node->description != NULL ? node->description->tls : NULL;
  return tls != NULL && tls->cert_serial != NULL && g_strcmp0 (tls->cert_serial, node->cert_serial) == 0;
}

static void
note (SwarmAgent *self, GArray **list, const SwarmId *node)
{
  if (*list == NULL)
    *list = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  g_array_append_val (*list, *node);
  if (self->cut_source == 0)
    self->cut_source = g_idle_add (cut_now, self);
}

/* The store is being written to: only noted here. */
static void
store_event (const SwarmEvent *event, gpointer data)
{
  SwarmAgent *self = data;
  if (changes_roots (event) && self->roots_source == 0)
    self->roots_source = g_idle_add (use_new_roots, self);
  gboolean removed = event->event == SWARM_EVENT_REMOVE;
  if ((!removed && event->event != SWARM_EVENT_UPDATE) || event->kind != SWARM_KIND_NODE)
    return;
  /* What is caught up with is the past: who was demoted then may be a manager by now. Each call is checked besides. */
  if (!swarm_consensus_is_current (swarm_stack_consensus (self->stack)))
    return;
  const SwarmId *node = &SWARM_OBJECT (event->object)->id;
  if (swarm_id_equal (node, &self->membership->node))
    return;
  if (removed || (is_manager (event->previous) && !is_manager (event->object)))
    note (self, &self->to_cut, node);
  else if (!uses_newest (event->previous) && uses_newest (event->object))
    note (self, &self->to_cut_older, node);
}

void
swarm_agent_watch_standing (SwarmAgent *self)
{
  self->standing_watch = swarm_store_watch (swarm_stack_store (self->stack), 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_CLUSTER, store_event, self);
}

void
swarm_agent_unwatch_standing (SwarmAgent *self)
{
  if (self->standing_watch != 0)
    swarm_store_unwatch (swarm_stack_store (self->stack), self->standing_watch);
  self->standing_watch = 0;
  if (self->roots_source != 0)
    g_source_remove (self->roots_source);
  self->roots_source = 0;
  if (self->cut_source != 0)
    g_source_remove (self->cut_source);
  self->cut_source = 0;
  g_clear_pointer (&self->to_cut, g_array_unref);
  g_clear_pointer (&self->to_cut_older, g_array_unref);
}
