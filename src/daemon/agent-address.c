// SPDX-License-Identifier: LGPL-2.1-or-later
/* This host came back with another address. Who it is, its certificate says: it takes the new one, and, as a manager, tells the cluster. */
#include "base/error.h"
#include "base/log.h"
#include "daemon/address.h"
#include "daemon/agent-private.h"
#include <string.h>

#define CALL_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (16 * G_TIME_SPAN_SECOND)

static gboolean
is_own (const char *address)
{
  g_autofree char *host = NULL;
  guint port;
  return address != NULL && swarm_address_split (address, SWARM_DEFAULT_PORT, &host, &port, NULL) && swarm_address_is_own (host);
}

/* The address to advertise instead: the one that leads to another manager, at the port of before. NULL: not clear. */
static char *
find_address (SwarmAgent *self, GError **error)
{
  SwarmMembership *membership = self->membership;
  g_autofree char *host = NULL, *own = NULL;
  const char *towards = NULL;
  guint port;
  for (guint i = 0; i < membership->managers->len && towards == NULL; i++)
    if (g_strcmp0 (membership->managers->pdata[i], membership->advertise) != 0)
      towards = membership->managers->pdata[i];
  if (self->config->advertise != NULL || towards == NULL)
    return swarm_address_advertise (self->config->advertise, membership->listen, NULL, error);
  if (swarm_address_split (membership->advertise, SWARM_DEFAULT_PORT, &host, &port, error) && (own = swarm_address_towards (towards)) != NULL)
    return swarm_address_join (own, port);
  if (own == NULL && error != NULL && *error == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "there is no way to the manager at %s", towards);
  return NULL;
}

void
swarm_agent_look_at_address (SwarmAgent *self)
{
  SwarmMembership *membership = self->membership;
  g_autoptr (GError) error = NULL;
  if (is_own (membership->advertise)) {
    membership->own_address = TRUE; /* stored with the next change */
    return;
  }
  /* One that never was an address of this host is that of something in front of it: there nothing can be seen. */
  if (!membership->own_address)
    return;
  g_autofree char *address = find_address (self, &error);
  if (address == NULL) {
    swarm_warning ("This host has its address %s no more, and which one is to be advertised instead is not clear: %s", membership->advertise,
                   error->message);
    return;
  }
  swarm_notice ("This host has its address %s no more: it advertises %s from now on", membership->advertise, address);
  for (guint i = 0; i < membership->managers->len; i++)
    if (g_strcmp0 (membership->managers->pdata[i], membership->advertise) == 0) {
      g_free (membership->managers->pdata[i]);
      membership->managers->pdata[i] = g_strdup (address);
    }
  g_free (membership->advertise);
  membership->advertise = g_steal_pointer (&address);
}

/* ---- telling the cluster ---- */

static void tell (gpointer data);

static const SwarmConsensusMember *
own_member (SwarmAgent *self, GArray *members)
{
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, i);
    if (swarm_id_equal (&member->node, &self->membership->node))
      return member;
  }
  return NULL;
}

static void
again (SwarmAgent *self)
{
  if (self->address_timer == NULL && self->stack != NULL)
    self->address_timer = swarm_clock_timer (self->clock, self->address_delay, SWARM_PRIORITY_NORMAL, tell, self);
  self->address_delay = MIN (2 * self->address_delay, RETRY_LAST_US);
}

static void
told (GVariant *reply, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  if (self->gone || self->stack == NULL)
    return;
  if (error != NULL)
    swarm_debug ("The cluster does not know this manager's new address yet: %s", error->message);
  again (self); /* until the members say so */
}

static void
changed (guint64 index, const GError *error, gpointer data)
{
  told (NULL, error, data);
}

static void
tell (gpointer data)
{
  SwarmAgent *self = data;
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  g_autoptr (GArray) members = swarm_consensus_members (consensus);
  const SwarmConsensusMember *own = own_member (self, members);
  self->address_timer = NULL;
  if (own != NULL && g_strcmp0 (own->address, self->membership->advertise) == 0)
    return;
  if (own != NULL && swarm_consensus_is_leader (consensus)) {
    swarm_consensus_set_address (consensus, &self->membership->node, self->membership->advertise, changed, self);
    return;
  }
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  for (guint i = 0; i < self->membership->managers->len; i++)
    if (g_strcmp0 (self->membership->managers->pdata[i], self->membership->advertise) != 0)
      g_ptr_array_add (others, self->membership->managers->pdata[i]);
  if (own == NULL || others->len == 0)
    again (self);
  else
    swarm_oneshot_call_any (swarm_rpc_transport (self->rpc), others, "org.swarmagent1.Consensus", "Moved",
                            g_variant_new ("(s@ay)", self->membership->advertise, g_variant_new_array (G_VARIANT_TYPE_BYTE, NULL, 0)), "()",
                            CALL_TIMEOUT_US, told, self);
}

void
swarm_agent_tell_address (SwarmAgent *self)
{
  self->address_delay = RETRY_FIRST_US;
  again (self);
}

void
swarm_agent_forget_address (SwarmAgent *self)
{
  swarm_clock_clear_timer (self->clock, &self->address_timer);
}

/* ---- the leader's side ---- */

static void
moved (guint64 index, const GError *error, gpointer data)
{
  SwarmInvocation *invocation = data;
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, NULL);
}

void
swarm_agent_manager_moved (gpointer agent, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  g_autoptr (GVariant) id = NULL;
  const char *address;
  SwarmId node = swarm_invocation_caller (invocation)->peer.node;
  g_variant_get (swarm_invocation_args (invocation), "(&s@ay)", &address, &id);
  if (g_variant_n_children (id) == sizeof node.bytes)
    memcpy (node.bytes, g_variant_get_data (id), sizeof node.bytes);
  swarm_notice ("Manager %s has another address: %s", swarm_id_string (&node).str, address);
  swarm_consensus_set_address (swarm_stack_consensus (self->stack), &node, address, moved, invocation);
}
