// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"

static void
cluster_inspect (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    swarm_invocation_return (invocation,
                             g_variant_new ("(@a{sv})", swarm_api_cluster_variant (self, swarm_store_cluster (self->store))));
}

static void
cluster_get_join_tokens (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (!swarm_api_need_manager (self, invocation))
    return;
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  swarm_invocation_return (invocation,
                           g_variant_new ("(ss)", cluster->root_ca->tokens->worker, cluster->root_ca->tokens->manager));
}

static void
token_rotated (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(s)", reply->text));
}

static void
cluster_rotate_join_token (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *role;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(&s)", &role);
  swarm_control_rotate_token (swarm_manager_control (self->manager), role, swarm_invocation_caller (invocation)->request_id,
                              token_rotated, invocation);
}

static void
cluster_update (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  guint64 version;
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(t@a{sv})", &version, &dict);
  g_autoptr (SwarmClusterSpec) spec = swarm_message_from_variant (&swarm_cluster_spec_type, dict, SWARM_FORM_FROM_USER, &error);
  if (spec == NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_control_update_cluster (swarm_manager_control (self->manager), version, spec,
                                  swarm_invocation_caller (invocation)->request_id, swarm_api_done, invocation);
}

static GVariant *
get_id (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_string (swarm_id_is_nil (&self->cluster_id) ? "" : swarm_id_string (&self->cluster_id).str);
}

static const SwarmBusMethod cluster_methods[] = {
  { "Inspect", NULL, "a{sv}:cluster", cluster_inspect, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "The cluster's spec, stamps and trust root in the shape of the Engine API; no tokens, no keys." },
  { "GetJoinTokens", NULL, "s:worker s:manager", cluster_get_join_tokens, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_MANAGER,
    .doc = "The tokens with which hosts join as worker or manager. Whoever has one can join: treat them as passwords." },
  { "RotateJoinToken", "s:role", "s:token", cluster_rotate_join_token, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    .doc = "Makes a new token for role worker or manager; the old one is refused from now on, members stay." },
  { "Update", "t:version a{sv}:spec", NULL, cluster_update, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_MANAGER,
    SWARM_METHOD_WRITE | SWARM_METHOD_SENSITIVE_ARGS, /* the next root's key may be among them */
    .doc = "Replaces the spec; version is Version.Index as Inspect gave it: a stale one is OutOfSequence. What is left out stays." },
  { "Backup", "h:file h:passphrase", "t:index t:bytes x:stale_since", swarm_api_backup, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL,
    .doc = "Writes this manager's state as of one log index to file, sealed with a key made from the first line of passphrase: "
           "services, secrets, tokens and the root with its key. stale_since (us since 1970; 0: it is current): no leader was there to ask, "
           "and the backup holds what this manager knew then." },
  { "GetUnlockKey", NULL, "s:key", swarm_api_get_unlock_key, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_MANAGER,
    .doc = "The key that unlocks managers after they start, SWMKEY-1-…; empty without autolock. Treat it as a password." },
  { "RotateUnlockKey", NULL, "s:key", swarm_api_rotate_unlock_key, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    .doc = "Makes a new unlock key, which all managers take over; autolock must be on. A manager that is off meanwhile still needs the old one." },
  { NULL },
};

static const SwarmBusProperty cluster_properties[] = {
  { "ID", "s", get_id, FALSE, "The cluster's id; empty when this host is in none." },
  { NULL },
};

const SwarmBusInterface swarm_api_cluster_interface = {
  "org.swarmagent1.Cluster", cluster_methods, cluster_properties, NULL,
  "The cluster that this host is a manager of.",
};
