// SPDX-License-Identifier: LGPL-2.1-or-later
/* Brings the cluster's parts of this agent up and down. */
#include "base/aside.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "ca/cert.h"
#include <config.h>
#include "daemon/agent-private.h"
#include <string.h>

/* ---- the in-process way to the own manager ---- */

static gboolean
is_own_address (SwarmAgent *self, const char *address)
{
  return self->stack != NULL && self->membership != NULL && g_strcmp0 (address, self->membership->advertise) == 0;
}

static void
own_link_down (SwarmLink *link, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (self->stack != NULL)
    swarm_dispatcher_link_down (swarm_manager_dispatcher (swarm_stack_manager (self->stack)), link);
  g_ptr_array_remove (self->own_links, link);
}

static const SwarmLinkEvents own_events = { NULL, own_link_down, swarm_agent_wire_call };

static SwarmLink *
dial_own (SwarmAgent *self, SwarmLinkKind kind, const SwarmLinkEvents *events, gpointer data)
{
  SwarmLink *near, *far;
  SwarmPeer peer = { .role = SWARM_PEER_MANAGER, .node = self->membership->node, .cluster = self->membership->cluster };
  const SwarmNode *node = swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_NODE, &peer.node);
  if (node != NULL && node->cert_serial != NULL)
    g_strlcpy (peer.serial, node->cert_serial, sizeof peer.serial);
  g_strlcpy (peer.address, self->membership->advertise, sizeof peer.address);
  swarm_link_pair (self->clock, &peer, &peer, &near, &far);
  near->kind = far->kind = kind;
  swarm_link_set_events (near, events, data);
  swarm_link_set_events (far, &own_events, self);
  g_ptr_array_add (self->own_links, far);
  return near;
}

static SwarmLink *
transport_dial (SwarmTransport *transport, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events, gpointer data)
{
  SwarmAgent *self = (SwarmAgent *) ((guint8 *) transport - G_STRUCT_OFFSET (SwarmAgent, transport));
  if (is_own_address (self, address))
    return dial_own (self, kind, events, data);
  SwarmTransport *rpc = swarm_rpc_transport (self->rpc);
  return rpc->dial (rpc, address, kind, events, data);
}

/* ---- rpc ---- */

static void
accepted_down (SwarmLink *link, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (self->stack != NULL)
    swarm_dispatcher_link_down (swarm_manager_dispatcher (swarm_stack_manager (self->stack)), link);
}

static const SwarmLinkEvents accept_events = { NULL, accepted_down, swarm_agent_wire_call };

static gboolean
is_member (SwarmAgent *self, const SwarmId *node)
{
  g_autoptr (GArray) members = swarm_consensus_members (swarm_stack_consensus (self->stack));
  for (guint i = 0; i < members->len; i++)
    if (swarm_id_equal (&g_array_index (members, SwarmConsensusMember, i).node, node))
      return TRUE;
  return FALSE;
}

/* A manager whose certificate has expired. After a start nothing of the log is applied before there is a leader, and it may take this one to have
 * one: until then it is enough that the log has it as a member. */
static gboolean
check_expired (SwarmAgent *self, const SwarmPeer *peer, GError **error)
{
  gint64 now = swarm_clock_now (self->clock);
  if (self->stack != NULL && swarm_consensus_is_current (swarm_stack_consensus (self->stack)))
    return swarm_ca_standing (swarm_stack_store (self->stack), peer, now, error);
  if (self->stack != NULL && is_member (self, &peer->node) && now - peer->expires < self->membership->expired_renewal_us)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "certificate of node %s has expired", swarm_id_string (&peer->node).str);
  return FALSE;
}

static gboolean
check_peer (const SwarmPeer *peer, SwarmLinkKind kind, gboolean accepted, gpointer data, GError **error)
{
  SwarmAgent *self = data;
  if (peer->expired)
    return check_expired (self, peer, error);
  if (self->stack == NULL)
    return TRUE;
  /* A manager that does not know the cluster yet cannot judge; the certificate has to do until its log arrived. */
  SwarmStore *store = swarm_stack_store (self->stack);
  g_autoptr (GError) refused = NULL;
  if ((swarm_store_cluster (store) == NULL && peer->role != SWARM_PEER_LAPSED)
      || swarm_ca_standing (store, peer, swarm_clock_now (self->clock), &refused))
    return TRUE;
  /* Nor can one whose log ends in the past (it was away, or is promoted anew): the managers of today, who bring it up to date, may have been none then. */
  gboolean brings_log = peer->role == SWARM_PEER_MANAGER && (kind == SWARM_LINK_CONSENSUS || !accepted);
  if (brings_log && !swarm_consensus_is_current (swarm_stack_consensus (self->stack)))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&refused));
  return FALSE;
}

static guint64
applied_index (gpointer data)
{
  SwarmAgent *self = data;
  return self->stack != NULL ? swarm_store_index (swarm_stack_store (self->stack)) : 0;
}

void
swarm_agent_ensure_rpc (SwarmAgent *self)
{
  if (self->rpc != NULL)
    return;
  SwarmRpcSettings settings = {
    .clock = self->clock,
    .identify = swarm_cert_parse_der,
    .feature_level = SWARM_FEATURE_LEVEL,
    .version = SWARM_VERSION,
    .accept_events = &accept_events,
    .check_peer = check_peer,
    .epoch = swarm_agent_epoch,
    .check_epoch = swarm_agent_check_epoch,
    .applied_index = applied_index,
    .refused = swarm_agent_audit_connection,
    .call_refused = swarm_agent_audit_call,
    .data = self,
  };
  self->rpc = swarm_rpc_new (&settings);
  self->transport.dial = transport_dial;
}

gboolean
swarm_agent_use_credentials (SwarmAgent *self, GError **error)
{
  swarm_agent_ensure_rpc (self);
  SwarmStore *store = self->stack != NULL ? swarm_stack_store (self->stack) : NULL;
  g_autofree char *former = NULL;
  g_autofree char *roots = store != NULL ? swarm_ca_roots (store, swarm_clock_now (self->clock), &former) : NULL;
  guint8 digest[32];
  /* A manager believes what the cluster's state says; everybody else the root that the leader named last. */
  SwarmRpcCredentials credentials = { .cert_pem = self->membership->cert,
                                      .key_pem = self->membership->key,
                                      .roots_pem = roots != NULL ? roots : self->membership->root_cert,
                                      .former_roots_pem = former };
  if (!swarm_rpc_set_credentials (self->rpc, &credentials, error))
    return FALSE;
  g_clear_pointer (&self->trust_digest, g_free);
  if (self->crypto->root_digest (self->crypto, self->membership->root_cert, digest, NULL))
    self->trust_digest = swarm_hex_encode (digest, sizeof digest);
  swarm_agent_plan_renewal (self);
  return TRUE;
}

/* ---- the manager's part ---- */

static void
add_peer (SwarmAgent *self, GArray *addresses, const SwarmId *node, const char *where)
{
  SwarmPeerAddress address = { .node = *node };
  if (swarm_id_equal (node, &self->membership->node))
    return;
  g_strlcpy (address.address, where, sizeof address.address);
  g_array_append_val (addresses, address);
}

static gboolean
has_peer (GArray *addresses, const SwarmId *node)
{
  for (guint i = 0; i < addresses->len; i++)
    if (swarm_id_equal (&g_array_index (addresses, SwarmPeerAddress, i).node, node))
      return TRUE;
  return FALSE;
}

static void
update_peers (SwarmAgent *self)
{
  g_autoptr (GArray) addresses = g_array_new (FALSE, TRUE, sizeof (SwarmPeerAddress));
  g_autoptr (GArray) members = swarm_consensus_members (swarm_stack_consensus (self->stack));
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, i);
    add_peer (self, addresses, &member->node, member->address);
  }
  /* A manager that has just joined, or was away for long, has a log of other members than now, but must answer those who send it theirs. */
  for (guint i = 0; i < self->membership->members->len; i++) {
    g_auto (GStrv) parts = g_strsplit (self->membership->members->pdata[i], " ", 2);
    SwarmId node;
    if (g_strv_length (parts) == 2 && swarm_id_parse (parts[0], &node) && !has_peer (addresses, &node))
      add_peer (self, addresses, &node, parts[1]);
  }
  swarm_peers_set (self->peers, addresses);
}

GVariant *
swarm_agent_join_args (SwarmAgent *self)
{
  return g_variant_new ("(s@ayu)", self->membership->advertise, g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0),
                        (guint32) SWARM_FEATURE_LEVEL);
}

void
swarm_agent_take_members (SwarmAgent *self, GVariant *reply)
{
  g_autoptr (GVariantIter) iter = NULL;
  GVariant *id;
  const char *address;
  g_variant_get (reply, "(ta(ays))", &self->membership->raft_id, &iter);
  g_ptr_array_set_size (self->membership->members, 0);
  while (g_variant_iter_next (iter, "(@ay&s)", &id, &address)) {
    g_autoptr (GVariant) owned = id;
    if (g_variant_n_children (id) == sizeof (SwarmId))
      g_ptr_array_add (self->membership->members, g_strdup_printf ("%s %s", swarm_id_string (g_variant_get_data (id)).str, address));
  }
}

static void
stack_send (const SwarmId *to, GBytes *message, gpointer data)
{
  SwarmAgent *self = data;
  swarm_peers_send (self->peers, to, message);
}

static void
stack_changed (gpointer data)
{
  SwarmAgent *self = data;
  update_peers (self);
  swarm_agent_job_stack_changed (self);
  swarm_agent_recovery_stack_changed (self);
  swarm_agent_logs_follow_lead (self);
  swarm_agent_relays_follow_lead (self);
  swarm_api_members_changed (self->api);
  swarm_agent_update_status (self);
}

static void
stack_removed (gpointer data)
{
  swarm_agent_demoted (data);
}

static gboolean
teardown_manager (gpointer data)
{
  SwarmAgent *self = data;
  self->teardown_source = 0;
  swarm_agent_stop_manager (self);
  swarm_agent_update_status (self);
  return G_SOURCE_REMOVE;
}

static void
stack_fatal (const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  swarm_log (LOG_CRIT, swarm_log_id_manager_stops, NULL, "The manager stops: %s", error->message);
  swarm_api_set_state (self->api, SWARM_LOCAL_ERROR, error->message);
  /* Tasks go on; the worker goes on with other managers. Not from within the log's callback. */
  if (self->teardown_source == 0)
    self->teardown_source = g_idle_add (teardown_manager, self);
}

/* Keys, certificate or role are not on the disk, and nothing will be until somebody has looked at it: a manager that went on would acknowledge what
 * it may not be able to read after its next start. */
void
swarm_agent_node_disk_failed (SwarmAgent *self, const GError *error)
{
  if (self->gone)
    return;
  swarm_error_log ("Node state cannot be written: %s", error->message);
  if (self->stack == NULL)
    return;
  g_autoptr (GError) fatal = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "the node's state cannot be written: %s", error->message);
  stack_fatal (fatal, self);
}

/* Encoding may take long: it runs on a thread over immutable objects. */
typedef struct {
  SwarmSnapshot *snapshot;
  SwarmConsensusEncodedFunc done;
  gpointer done_data;
} EncodeJob;

static void
encode_free (gpointer data)
{
  EncodeJob *job = data;
  swarm_snapshot_free (job->snapshot);
  g_free (job);
}

static void
encode_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  EncodeJob *job = data;
  GBytes *bytes = swarm_bytes_free_aside (swarm_snapshot_encode (job->snapshot));
  g_clear_pointer (&job->snapshot, swarm_snapshot_free); /* here, for it may be the last to hold very much */
  g_task_return_pointer (task, bytes, (GDestroyNotify) g_bytes_unref);
}

static void
encode_done (GObject *source, GAsyncResult *result, gpointer data)
{
  EncodeJob *job = g_task_get_task_data (G_TASK (result));
  g_autoptr (GBytes) bytes = g_task_propagate_pointer (G_TASK (result), NULL);
  job->done (bytes, job->done_data);
}

static void
stack_encode (SwarmSnapshot *snapshot, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  EncodeJob *job = g_new (EncodeJob, 1);
  *job = (EncodeJob){ snapshot, done, done_data };
  g_autoptr (GTask) task = g_task_new (NULL, NULL, encode_done, NULL);
  g_task_set_task_data (task, job, encode_free);
  g_task_run_in_thread (task, encode_thread);
}

static const SwarmStackEvents stack_events = { stack_send, stack_changed, stack_removed, stack_fatal, stack_encode };

static void
peer_connected (const SwarmId *node, gpointer data)
{
  SwarmAgent *self = data;
  if (self->stack != NULL)
    swarm_consensus_peer_connected (swarm_stack_consensus (self->stack), node);
}

static void
peer_disconnected (const SwarmId *node, gpointer data)
{
  SwarmAgent *self = data;
  if (self->stack != NULL)
    swarm_consensus_peer_disconnected (swarm_stack_consensus (self->stack), node);
}

static const SwarmPeersEvents peers_events = { peer_connected, peer_disconnected };

static gboolean
start_log (SwarmAgent *self, gboolean bootstrap, GError **error)
{
  SwarmConsensusStart state;
  if (!swarm_stack_start (self->stack, &state, error))
    return FALSE;
  if (state == SWARM_CONSENSUS_STARTED)
    return TRUE;
  if (self->alone) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "this manager has no log of the cluster that it could go on with");
    return FALSE;
  }
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  if (bootstrap)
    swarm_consensus_bootstrap (consensus, self->membership->advertise);
  else if (self->membership->raft_id != 0)
    swarm_consensus_join (consensus, self->membership->raft_id);
  else {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED,
                         "the log of this manager is gone; leave the cluster with --force and join again, or restore a backup");
    return FALSE;
  }
  return TRUE;
}

gboolean
swarm_agent_start_manager (SwarmAgent *self, gboolean bootstrap, GError **error)
{
  SwarmStackConfig config = {
    .clock = self->clock,
    .random = self->random,
    .crypto = self->crypto,
    .disk = self->log_disk,
    .log_key = self->membership->keys->data_key,
    .log_key_number = self->membership->keys->data_number,
    .old_log_key = self->membership->keys->old_data_key,
    .old_log_key_number = self->membership->keys->old_data_number,
    .node = self->membership->node,
    .cluster = self->membership->cluster,
    .schedulers = self->schedulers,
    .signer = { swarm_agent_external_sign, swarm_agent_external_cross_sign, self },
    .alone = self->alone ? self->membership->advertise : NULL,
  };
  if (!swarm_rpc_listen (self->rpc, self->membership->listen, NULL, error)) {
    g_prefix_error (error, "cannot listen on %s: ", self->membership->listen);
    return FALSE;
  }
  self->peers = swarm_peers_new (self->clock, self->random, &self->transport, &peers_events, self);
  self->stack = swarm_stack_new (&config, &stack_events, self);
  if (!start_log (self, bootstrap, error)) {
    swarm_agent_stop_manager (self);
    return FALSE;
  }
  swarm_api_set_manager (self->api, swarm_stack_store (self->stack), swarm_stack_manager (self->stack));
  swarm_agent_watch_standing (self);
  swarm_agent_watch_keys (self);
  swarm_agent_tell_address (self);
  update_peers (self);
  return swarm_agent_use_credentials (self, error);
}

void
swarm_agent_stop_manager (SwarmAgent *self)
{
  if (self->stack != NULL) {
    swarm_agent_unwatch_standing (self);
    swarm_agent_unwatch_keys (self);
    swarm_agent_forget_address (self);
    swarm_agent_end_logs (self);
  }
  swarm_api_set_manager (self->api, NULL, NULL);
  g_autoptr (GPtrArray) own = g_steal_pointer (&self->own_links);
  self->own_links = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  for (guint i = 0; i < own->len; i++) {
    swarm_link_set_events (own->pdata[i], NULL, NULL);
    swarm_link_close (own->pdata[i], NULL);
  }
  swarm_rpc_unlisten (self->rpc);
  swarm_agent_end_signings (self);
  self->unheard = FALSE;
  g_clear_pointer (&self->stack, swarm_stack_free);
  g_clear_pointer (&self->peers, swarm_peers_free);
  swarm_agent_relays_end (self);
}

/* ---- the worker's part ---- */

static SwarmNodeDescription *
worker_describe (gpointer data)
{
  SwarmAgent *self = data;
  SwarmNodeDescription *description = swarm_describe_node (self->hostname, self->config->labels, self->config->things, self->network);
  SwarmCertInfo info;
  description->clock = self->clock_state;
  if (self->membership != NULL && swarm_cert_parse (self->membership->cert, &info, NULL)) {
    description->tls = swarm_node_tls_new ();
    description->tls->trust_digest = g_strdup (self->trust_digest);
    description->tls->cert_serial = g_strdup (info.peer.serial);
  }
  return description;
}

static void
worker_root_changed (const char *pem, gpointer data)
{
  swarm_agent_root_changed (data, pem);
}

static void
worker_session_refused (const char *address, const GError *error, gpointer data)
{
  swarm_agent_session_refused (data, address);
}

static void
stored (const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_agent_node_disk_failed (data, error);
}

static gboolean
same_managers (GPtrArray *known, GPtrArray *told)
{
  if (known->len != told->len)
    return FALSE;
  for (guint i = 0; i < told->len; i++)
    if (g_strcmp0 (known->pdata[i], ((SwarmManagerAddress *) told->pdata[i])->address) != 0)
      return FALSE;
  return TRUE;
}

/* Who the members are, as the leader says: a manager's own log may be behind. TRUE: it is not what was told before. */
static gboolean
take_told (SwarmAgent *self, GPtrArray *managers)
{
  g_autoptr (GPtrArray) told = g_ptr_array_new_with_free_func (g_free);
  GPtrArray *known = self->membership->members;
  for (guint i = 0; i < managers->len; i++) {
    const SwarmManagerAddress *manager = managers->pdata[i];
    if (!swarm_id_is_nil (&manager->node))
      g_ptr_array_add (told, g_strdup_printf ("%s %s", swarm_id_string (&manager->node).str, manager->address));
  }
  gboolean same = told->len == known->len;
  for (guint i = 0; same && i < told->len; i++)
    same = g_str_equal (told->pdata[i], known->pdata[i]);
  if (same || told->len == 0)
    return FALSE;
  g_ptr_array_unref (known);
  self->membership->members = g_steal_pointer (&told);
  if (self->stack != NULL)
    update_peers (self);
  return TRUE;
}

static void
worker_managers_changed (GPtrArray *managers, const SwarmId *leader, gpointer data)
{
  SwarmAgent *self = data;
  self->leader = leader != NULL ? *leader : SWARM_ID_NIL;
  if (self->membership == NULL || managers->len == 0)
    return;
  gboolean news = take_told (self, managers);
  if (same_managers (self->membership->managers, managers) && !news)
    return;
  g_ptr_array_set_size (self->membership->managers, 0);
  for (guint i = 0; i < managers->len; i++)
    g_ptr_array_add (self->membership->managers, g_strdup (((SwarmManagerAddress *) managers->pdata[i])->address));
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, stored, self);
}

static void
worker_node_changed (const SwarmNode *node, gpointer data)
{
  swarm_agent_node_changed (data, node);
}

static void
worker_session_changed (SwarmSessionState state, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (state == SWARM_SESSION_REGISTERED)
    swarm_info ("Session with the leader is open");
  else if (error != NULL)
    swarm_notice ("Session with the leader is closed: %s", error->message);
  swarm_agent_job_session (self, state, error);
  swarm_agent_update_status (self);
}

gboolean
swarm_agent_start_worker (SwarmAgent *self, GError **error)
{
  SwarmWorkerConfig config = {
    .clock = self->clock,
    .random = self->random,
    .transport = &self->transport,
    .disk = self->worker_disk,
    .runtime = self->runtime,
    .network = self->network,
    .node = self->membership->node,
    .hostname = self->hostname,
    .boot_id = self->boot_id,
    .listen_address = self->membership->advertise,
    .describe = worker_describe,
    .managers_changed = worker_managers_changed,
    .node_changed = worker_node_changed,
    .session_changed = worker_session_changed,
    .root_changed = worker_root_changed,
    .session_refused = worker_session_refused,
    .read_logs = swarm_agent_worker_logs,
    .data = self,
  };
  g_autoptr (GPtrArray) managers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
  if (self->runtime == NULL || self->network == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this host cannot run tasks: %s", self->plugin_error);
    return FALSE;
  }
  if (self->stack != NULL)
    g_ptr_array_add (managers, swarm_manager_address_new (&self->membership->node, self->membership->advertise));
  for (guint i = 0; i < self->membership->managers->len; i++)
    if (!is_own_address (self, self->membership->managers->pdata[i]))
      g_ptr_array_add (managers, swarm_manager_address_new (&SWARM_ID_NIL, self->membership->managers->pdata[i]));
  self->worker = swarm_worker_new (&config);
  swarm_agent_watch_clock (self);
  if (swarm_worker_start (self->worker, managers, error))
    return TRUE;
  g_clear_pointer (&self->worker, swarm_worker_free);
  return FALSE;
}

/* ---- all of it ---- */

static char *
host_of (const char *address)
{
  const char *colon = strrchr (address, ':');
  return colon != NULL ? g_strndup (address, colon - address) : g_strdup (address);
}

/* The managers may still renew it: by this host's key, and if it was not away too long. */
static void
tell_expired (SwarmAgent *self)
{
  SwarmCertInfo info;
  if (!swarm_cert_parse (self->membership->cert, &info, NULL) || swarm_clock_now (self->clock) < info.not_after)
    return;
  g_autofree char *when = swarm_time_to_string (info.not_after);
  swarm_warning ("By this host's clock its certificate expired on %s: asking the managers for a new one", when);
}

gboolean
swarm_agent_start_cluster (SwarmAgent *self, GError **error)
{
  swarm_agent_look_at_address (self);
  g_autofree char *host = self->membership->advertise != NULL ? host_of (self->membership->advertise) : NULL;
  swarm_api_set_identity (self->api, &self->membership->node, &self->membership->cluster, host);
  if (!swarm_agent_use_credentials (self, error))
    return FALSE;
  tell_expired (self);
  if (self->membership->manager && !swarm_agent_start_manager (self, FALSE, error))
    return FALSE;
  return swarm_agent_start_worker (self, error);
}

void
swarm_agent_stop_cluster (SwarmAgent *self)
{
  g_clear_pointer (&self->worker, swarm_worker_free);
  swarm_agent_forget_role_change (self);
  swarm_agent_unwatch_clock (self);
  if (self->rpc == NULL)
    return;
  swarm_agent_stop_manager (self);
  swarm_rpc_close_all (self->rpc, NULL);
  swarm_rpc_forget_credentials (self->rpc);
}

typedef struct {
  SwarmDisk *disk;
  SwarmDiskDoneFunc done;
  gpointer data;
} Wipe;

/* All earlier batches are done: what is listed now is all there is. */
static void
wipe_now (const GError *error, gpointer data)
{
  g_autofree Wipe *wipe = data;
  g_auto (GStrv) names = wipe->disk->list (wipe->disk, NULL);
  GArray *ops = swarm_disk_ops_new ();
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    swarm_disk_ops_unlink (ops, names[i]);
  wipe->disk->submit (wipe->disk, ops, wipe->done, wipe->data);
}

void
swarm_agent_wipe_disk (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data)
{
  Wipe *wipe = g_new (Wipe, 1);
  *wipe = (Wipe){ disk, done, data };
  disk->submit (disk, swarm_disk_ops_new (), wipe_now, wipe);
}
