// SPDX-License-Identifier: LGPL-2.1-or-later
/* The interfaces that only other nodes call, on one fixed path. */
#include "api/private.h"
#include "base/error.h"
#include <string.h>

static SwarmDispatcher *
dispatcher_of (SwarmInvocation *invocation)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    return swarm_manager_dispatcher (self->manager);
  return NULL;
}

static const SwarmPeer *
peer_of (SwarmInvocation *invocation)
{
  return &swarm_invocation_caller (invocation)->peer;
}

static GBytes *
bytes_child (GVariant *args, gsize index)
{
  g_autoptr (GVariant) child = g_variant_get_child_value (args, index);
  return g_variant_get_data_as_bytes (child);
}

/* ---- Dispatcher ---- */

static GVariant *
bytes_variant (GBytes *bytes)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

static void
registered (const SwarmRegistration *registration, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(@ayx@a(ays)@ay)", bytes_variant (registration->session),
                                                        registration->period_ns, registration->managers, registration->leader));
}

static void
dispatcher_register (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  g_autoptr (GError) error = NULL;
  const char *addr;
  if (dispatcher == NULL)
    return;
  g_autoptr (GBytes) data = bytes_child (args, 0);
  g_autoptr (SwarmNodeDescription) description = swarm_message_decode (&swarm_node_description_type, data, &error);
  if (description == NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_variant_get_child (args, 1, "&s", &addr);
  swarm_dispatcher_register (dispatcher, swarm_invocation_link (invocation), description, addr, registered, invocation);
}

static void
dispatcher_heartbeat (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  g_autoptr (GError) error = NULL;
  if (dispatcher == NULL)
    return;
  g_autoptr (GBytes) session = bytes_child (args, 0);
  gint64 time_us;
  g_variant_get_child (args, 1, "x", &time_us);
  gint64 period = swarm_dispatcher_heartbeat (dispatcher, peer_of (invocation), session, time_us, &error);
  if (period < 0)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(x)", period));
}

static void
dispatcher_done (const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, NULL);
}

static void
status_stored (GVariant *refused, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(@a(ays))", refused));
}

static void
dispatcher_update_status (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  if (dispatcher == NULL)
    return;
  g_autoptr (GBytes) session = bytes_child (args, 0);
  g_autoptr (GVariant) updates = g_variant_get_child_value (args, 1);
  swarm_dispatcher_update_status (dispatcher, peer_of (invocation), session, updates, status_stored, invocation);
}

static void
dispatcher_goodbye (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  gboolean host_shutdown;
  if (dispatcher == NULL)
    return;
  g_autoptr (GBytes) session = bytes_child (args, 0);
  g_variant_get_child (args, 1, "b", &host_shutdown);
  swarm_dispatcher_goodbye (dispatcher, peer_of (invocation), session, host_shutdown, dispatcher_done, invocation);
}

static void
dispatcher_describe (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  g_autoptr (GError) error = NULL;
  if (dispatcher == NULL)
    return;
  g_autoptr (GBytes) session = bytes_child (args, 0), data = bytes_child (args, 1);
  g_autoptr (SwarmNodeDescription) description = swarm_message_decode (&swarm_node_description_type, data, &error);
  if (description == NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_dispatcher_describe (dispatcher, peer_of (invocation), session, description, dispatcher_done, invocation);
}

/* FALSE: answered. */
static gboolean
may_attach (SwarmInvocation *invocation, GVariant *args)
{
  SwarmDispatcher *dispatcher = dispatcher_of (invocation);
  g_autoptr (GError) error = NULL;
  if (dispatcher == NULL)
    return FALSE;
  g_autoptr (GBytes) session = bytes_child (args, 0);
  if (swarm_dispatcher_check_session (dispatcher, peer_of (invocation), session, &error))
    return TRUE;
  swarm_invocation_fail (invocation, error);
  return FALSE;
}

static void
attached (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, reply->id.bytes,
                                                                                         sizeof reply->id.bytes, 1)));
}

static void
dispatcher_attach (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  const char *container, *name, *network;
  if (!may_attach (invocation, args))
    return;
  g_variant_get (args, "(@ay&s&s&s)", NULL, &container, &name, &network);
  swarm_control_attach (swarm_manager_control (swarm_api_of (invocation)->manager), &peer_of (invocation)->node, container, name, network, NULL, attached,
                        invocation);
}

static void
detached (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(s)", reply->text != NULL ? reply->text : ""));
}

static void
dispatcher_detach (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariant) id = g_variant_get_child_value (args, 1);
  SwarmId task;
  if (!may_attach (invocation, args))
    return;
  if (g_variant_n_children (id) != sizeof task.bytes) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_INVALID_ARGUMENT, "that is no id");
    return;
  }
  memcpy (task.bytes, g_variant_get_data (id), sizeof task.bytes);
  swarm_control_detach (swarm_manager_control (swarm_api_of (invocation)->manager), &peer_of (invocation)->node, &task, NULL, detached, invocation);
}

static const SwarmBusMethod dispatcher_methods[] = {
  { "Register", "ay:description s:addr ay:resume_session", "ay:session x:heartbeat_period_ns a(ays):managers ay:leader", dispatcher_register,
    SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER, .doc = "Opens the calling node's session; an empty session: this manager does not lead." },
  { "Heartbeat", "ay:session x:time", "x:period_ns", dispatcher_heartbeat, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER,
    .doc = "Proves that the node lives; answers when the next one is due. time is what its clock shows (µs since 1970)." },
  { "Describe", "ay:session ay:description", NULL, dispatcher_describe, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER,
    .doc = "What the node says of itself has changed (NodeDescription); answers after it is stored." },
  { "UpdateTaskStatus", "ay:session a(ayay):updates", "a(ays):refused", dispatcher_update_status, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER,
    .doc = "Reports states of the node's own tasks; answers after they are stored, with those that were not taken and why." },
  { "Attach", "ay:session s:container_id s:name s:network", "ay:task", dispatcher_attach, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER,
    SWARM_METHOD_WRITE, .doc = "Puts a container of the calling node that is no task into an attachable network; the task that stands for it comes as others do." },
  { "Detach", "ay:session ay:task", "s:text", dispatcher_detach, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER, SWARM_METHOD_WRITE,
    .doc = "Takes it out again; tells why it had not got there yet, if so." },
  { "Goodbye", "ay:session b:host_shutdown", NULL, dispatcher_goodbye, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER,
    .doc = "The agent stops on purpose." },
  { NULL },
};
const SwarmBusInterface swarm_api_dispatcher_interface = { "org.swarmagent1.Dispatcher", dispatcher_methods, NULL, NULL,
                                                           "A node's session with the leader." };

/* ---- CA ---- */

static void
ca_get_root (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (!swarm_api_need_manager (self, invocation))
    return;
  swarm_invocation_return (invocation, g_variant_new ("(sx)", swarm_ca_server_root (swarm_manager_ca_server (self->manager)),
                                                      swarm_clock_now (self->clock)));
}

static void
issued (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  GVariant *node = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, reply->node.bytes, sizeof reply->node.bytes, 1);
  if (g_str_equal (swarm_invocation_method (invocation)->name, "Issue"))
    swarm_invocation_return (invocation, g_variant_new ("(ss@ay)", reply->cert_pem, reply->root_pem, node));
  else {
    g_variant_unref (g_variant_ref_sink (node));
    swarm_invocation_return (invocation, g_variant_new ("(ss)", reply->cert_pem, reply->root_pem));
  }
}

static void
ca_issue (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *csr, *token, *availability, *addr;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(&s&s&s&s)", &csr, &token, &availability, &addr);
  swarm_ca_server_issue (swarm_manager_ca_server (self->manager), csr, token, availability,
                         *addr != '\0' ? addr : peer_of (invocation)->address, issued, invocation);
}

static void
ca_renew (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *csr;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(&s)", &csr);
  swarm_ca_server_renew (swarm_manager_ca_server (self->manager), peer_of (invocation), csr, issued, invocation);
}

/* A manager that does not lead says for whom it speaks. */
static SwarmId
caller_or (SwarmInvocation *invocation, GVariant *node)
{
  SwarmId id = peer_of (invocation)->node;
  if (peer_of (invocation)->role == SWARM_PEER_MANAGER && g_variant_n_children (node) == sizeof id.bytes)
    memcpy (id.bytes, g_variant_get_data (node), sizeof id.bytes);
  return id;
}

static void
withdrawn (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_invocation_fail (data, error);
  else
    swarm_invocation_return (data, NULL);
}

static void
ca_withdraw (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_autoptr (GVariant) node = g_variant_get_child_value (args, 0);
  SwarmId id = caller_or (invocation, node);
  swarm_ca_server_withdraw (swarm_manager_ca_server (self->manager), &id, withdrawn, invocation);
}

static const SwarmBusMethod ca_methods[] = {
  { "GetRootCA", NULL, "s:pem x:time", ca_get_root, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_JOINING | SWARM_ROLES_MEMBER | SWARM_ROLES_LAPSED,
    .doc = "The root certificate, to be checked against the join token's digest, and what this manager's clock shows (µs since 1970)." },
  { "Issue", "s:csr s:token s:availability s:addr", "s:cert_pem s:root_pem ay:node_id", ca_issue, SWARM_ACTION_WIRE_ONLY,
    SWARM_ROLES_JOINING | SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE | SWARM_METHOD_SENSITIVE_ARGS,
    .doc = "Lets a node in: the token decides its role. A manager that does not lead passes the call on." },
  { "Renew", "s:csr", "s:cert_pem s:root_pem", ca_renew, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER | SWARM_ROLES_LAPSED,
    SWARM_METHOD_WRITE, .doc = "A new certificate for the calling node in the role that it is to have." },
  { "Withdraw", "ay:node", NULL, ca_withdraw, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MEMBER, SWARM_METHOD_WRITE,
    .doc = "The calling node was let in, but its join failed: it is forgotten, unless it has had a session. node as for Consensus.Join." },
  { NULL },
};
const SwarmBusInterface swarm_api_ca_interface = { "org.swarmagent1.CA", ca_methods, NULL, NULL, "Certificates for nodes." };

/* ---- Consensus, Relay, Logs: the daemon's business ---- */

static void
consensus_message (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  self->hooks->consensus_message (self->agent, peer_of (invocation), args);
  swarm_invocation_return (invocation, NULL);
}

static void
consensus_join (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    self->hooks->consensus_join (self->agent, invocation);
}

static void
consensus_moved (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    self->hooks->manager_moved (self->agent, invocation);
}

static const SwarmBusMethod consensus_methods[] = {
  { "Message", "ay:message", NULL, consensus_message, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER, .doc = "One message of the consensus engine." },
  { "Join", "s:addr ay:node u:feature_level", "t:raft_id a(ays):members", consensus_join, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    .doc = "Adds the calling node, which has a manager's certificate, as standby, and as voter once it has caught up. node is empty but "
           "where a manager that does not lead passes the call on." },
  { "Moved", "s:addr ay:node", NULL, consensus_moved, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    .doc = "The calling manager has another address; node as in Join." },
  { NULL },
};
const SwarmBusInterface swarm_api_consensus_interface = { "org.swarmagent1.Consensus", consensus_methods, NULL, NULL, "The replicated log." };

static void
relay_call (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  self->hooks->relay (self->agent, invocation);
}

static const SwarmBusMethod relay_methods[] = {
  { "Call", "s:path s:iface s:member v:args a{sv}:context", "v:reply t:index", relay_call, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER,
    SWARM_METHOD_SENSITIVE_ARGS, .doc = "A call that a follower received and authorised, with its caller's context." },
  { NULL },
};
const SwarmBusInterface swarm_api_relay_interface = { "org.swarmagent1.Relay", relay_methods, NULL, NULL, "Calls on the way to the leader." };

static void
logs_read (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    self->hooks->stream_logs (self->agent, invocation);
}

static const SwarmBusMethod logs_methods[] = {
  { "Read", "s:service_id a{sv}:options", NULL, logs_read, SWARM_ACTION_WIRE_ONLY, SWARM_ROLES_MANAGER,
    .doc = "Streams the logs of a service from all nodes, for a manager that does not lead." },
  { NULL },
};
const SwarmBusInterface swarm_api_logs_interface = { "org.swarmagent1.Logs", logs_methods, NULL, NULL, "Logs on the way to a follower." };
