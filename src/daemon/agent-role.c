// SPDX-License-Identifier: LGPL-2.1-or-later
/* This node is promoted or demoted: a new certificate, then the manager's part comes up or goes. */
#include "base/error.h"
#include "base/log.h"
#include "ca/cert.h"
#include "daemon/agent-private.h"

#define CALL_TIMEOUT_US (10 * G_USEC_PER_SEC)
#define RETRY_S 2

static gboolean change_role (gpointer data);

/* The role is looked at again after a while, whatever went wrong. */
static void
retry (SwarmAgent *self, const char *what, const GError *error)
{
  swarm_warning ("%s: %s; trying again", what, error->message);
  if (self->role_source == 0)
    self->role_source = g_timeout_add_seconds (RETRY_S, change_role, self);
}

static void
ended (SwarmAgent *self)
{
  self->changing_role = FALSE;
  swarm_agent_update_status (self);
}

static void
written (const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (error != NULL)
    swarm_error_log ("Node state cannot be written: %s", error->message);
  ended (self);
}

static void
write_state (SwarmAgent *self)
{
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, written, self);
}

/* ---- up ---- */

static void
joined_consensus (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) local = NULL;
  if (self->membership == NULL)
    return ended (self);
  if (error != NULL) {
    retry (self, "This node cannot become a manager yet", error);
    return;
  }
  swarm_agent_take_members (self, reply);
  self->membership->manager = TRUE;
  if (self->membership->log_key == NULL)
    self->membership->log_key = swarm_membership_new_key (self->random);
  if (!swarm_agent_start_manager (self, FALSE, &local)) {
    self->membership->manager = FALSE;
    retry (self, "The manager cannot start", local);
    return;
  }
  swarm_notice ("This node is a manager now");
  write_state (self);
}

/* ---- down ---- */

static void
log_gone (const GError *error, gpointer data)
{
  write_state (data);
}

static void
step_down (SwarmAgent *self)
{
  swarm_agent_stop_manager (self);
  self->membership->manager = FALSE;
  self->membership->raft_id = 0;
  swarm_notice ("This node is a worker now");
  if (self->worker != NULL) {
    g_autoptr (GPtrArray) managers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
    for (guint i = 0; i < self->membership->managers->len; i++)
      if (g_strcmp0 (self->membership->managers->pdata[i], self->membership->advertise) != 0)
        g_ptr_array_add (managers, swarm_manager_address_new (&SWARM_ID_NIL, self->membership->managers->pdata[i]));
    swarm_worker_set_managers (self->worker, managers);
  }
  swarm_agent_wipe_disk (self->log_disk, log_gone, self);
}

/* ---- certificate ---- */

static void
renewed (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) local = NULL;
  const char *cert, *root;
  SwarmCertInfo info;
  if (self->membership == NULL)
    return ended (self);
  if (error != NULL) {
    retry (self, "No new certificate", error);
    return;
  }
  g_variant_get (reply, "(&s&s)", &cert, &root);
  if (!swarm_cert_verify (cert, self->membership->root_cert, swarm_clock_now (self->clock), &local)
      || !swarm_cert_matches_key (cert, self->membership->key, &local) || !swarm_cert_parse (cert, &info, &local)) {
    retry (self, "The new certificate is not usable", local);
    return;
  }
  g_free (self->membership->cert);
  self->membership->cert = g_strdup (cert);
  if (!swarm_agent_use_credentials (self, &local)) {
    retry (self, "The new certificate cannot be used", local);
    return;
  }
  gboolean manager = info.peer.role == SWARM_PEER_MANAGER;
  if (manager && self->stack == NULL)
    swarm_oneshot_call_any (self->rpc, self->membership->managers, "org.swarmagent1.Consensus", "Join",
                            g_variant_new ("(s@ay)", self->membership->advertise, g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0)),
                            CALL_TIMEOUT_US, joined_consensus, self);
  else if (!manager && self->stack != NULL)
    step_down (self);
  else
    write_state (self);
}

static gboolean
change_role (gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) error = NULL;
  self->role_source = 0;
  g_autofree char *csr = self->membership != NULL ? swarm_cert_create_csr (self->membership->key, &error) : NULL;
  if (csr == NULL) {
    ended (self);
    return G_SOURCE_REMOVE;
  }
  /* Not over our own stack: a demoted manager must ask those that remain. */
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  for (guint i = 0; i < self->membership->managers->len; i++)
    if (g_strcmp0 (self->membership->managers->pdata[i], self->membership->advertise) != 0)
      g_ptr_array_add (others, self->membership->managers->pdata[i]);
  swarm_oneshot_call_any (self->rpc, others, "org.swarmagent1.CA", "Renew", g_variant_new ("(s)", csr), CALL_TIMEOUT_US, renewed, self);
  return G_SOURCE_REMOVE;
}

static void
begin (SwarmAgent *self)
{
  if (self->changing_role || self->membership == NULL)
    return;
  self->changing_role = TRUE;
  change_role (self);
}

void
swarm_agent_node_changed (SwarmAgent *self, const SwarmNode *node)
{
  /* Up at once; down only when the consensus has let this node go: then the leader takes away its manager status. */
  if (node->spec->role == SWARM_ROLE_MANAGER && self->stack == NULL)
    begin (self);
  else if (node->spec->role == SWARM_ROLE_WORKER && node->manager_status == NULL && self->stack != NULL)
    begin (self);
}

static gboolean
demoted_idle (gpointer data)
{
  SwarmAgent *self = data;
  self->role_source = 0;
  begin (self);
  return G_SOURCE_REMOVE;
}

void
swarm_agent_demoted (SwarmAgent *self)
{
  /* From idle: the log calls this and must not be freed inside. */
  if (self->role_source == 0)
    self->role_source = g_idle_add (demoted_idle, self);
}
