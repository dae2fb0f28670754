// SPDX-License-Identifier: LGPL-2.1-or-later
/* Locking and recovery: methods of Manager and Cluster. */
#include "api/private.h"
#include "base/error.h"
#include "ca/unlock-key.h"
#include "manager/control/control.h"
#include <string.h>

void
swarm_api_unlock (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *key;
  g_variant_get (args, "(&s)", &key);
  self->hooks->unlock (self->agent, key, invocation);
}

void
swarm_api_get_unlock_key (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (!swarm_api_need_manager (self, invocation))
    return;
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  g_autofree char *text = cluster->unlock_key != NULL ? swarm_unlock_key_format (cluster->unlock_key) : g_strdup ("");
  swarm_invocation_return (invocation, g_variant_new ("(s)", text));
  explicit_bzero (text, strlen (text));
}

static void
key_rotated (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, g_variant_new ("(s)", reply->text));
}

void
swarm_api_rotate_unlock_key (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    swarm_control_rotate_unlock_key (swarm_manager_control (self->manager), swarm_invocation_caller (invocation)->request_id, key_rotated,
                                     invocation);
}

void
swarm_api_backup (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  if (swarm_api_need_manager (self, invocation))
    self->hooks->backup (self->agent, invocation);
}

void
swarm_api_restore (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 2);
  self->hooks->restore (self->agent, options, invocation);
}
