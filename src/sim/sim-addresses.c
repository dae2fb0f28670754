// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-addresses.h"

struct _SimAddresses {
  GHashTable *held; /* "address <network> 10.0.1.7/24", "port tcp 80", … → SwarmId of whose it is */
  guint64 n_given;
  SwarmStore *store;
  char *why;
};

SimAddresses *
sim_addresses_new (void)
{
  SimAddresses *self = g_new0 (SimAddresses, 1);
  self->held = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
sim_addresses_free (SimAddresses *self)
{
  g_hash_table_unref (self->held);
  g_free (self->why);
  g_free (self);
}

guint64
sim_addresses_n_given (SimAddresses *self)
{
  return self->n_given;
}

/* Takes @key for the object @owner, or lets it go. Consumes @key. */
static void
hold (SimAddresses *self, const SwarmId *owner, char *key, gboolean on)
{
  const SwarmId *holder = g_hash_table_lookup (self->held, key);
  if (!on) {
    if (holder != NULL && swarm_id_equal (holder, owner))
      g_hash_table_remove (self->held, key);
    g_free (key);
    return;
  }
  if (holder != NULL && self->why == NULL)
    self->why = g_strdup_printf ("%s is given to %s and to %s", key, swarm_id_string (holder).str, swarm_id_string (owner).str);
  self->n_given++;
  g_hash_table_insert (self->held, key, g_memdup2 (owner, sizeof *owner));
}

/* @address of the network (or node) @where must lie in @subnet, one of its own. */
static void
hold_address (SimAddresses *self, const SwarmId *owner, const SwarmId *where, const char *address, const char *subnet, gboolean on)
{
  SwarmSubnet range;
  SwarmAddress parsed;
  hold (self, owner, g_strdup_printf ("address %s %s", swarm_id_string (where).str, address), on);
  if (on && self->why == NULL
      && (subnet == NULL || !swarm_subnet_parse (subnet, &range) || !swarm_subnet_parse_host (address, &parsed, NULL) || !swarm_subnet_contains (&range, &parsed)))
    self->why = g_strdup_printf ("%s has %s, which is in no subnet of %s", swarm_id_string (owner).str, address, swarm_id_string (where).str);
}

static const char *
subnet_of (SimAddresses *self, const SwarmId *id)
{
  const SwarmNetwork *network = swarm_store_get (self->store, SWARM_KIND_NETWORK, id);
  const SwarmIPAM *ipam = network != NULL ? network->ipam : NULL;
  return ipam != NULL && ipam->config != NULL && ipam->config->len > 0 ? ((SwarmIPAMConfig *) g_ptr_array_index (ipam->config, 0))->subnet : NULL;
}

static void
hold_service (SimAddresses *self, const SwarmService *service, gboolean on)
{
  const SwarmEndpoint *endpoint = service->endpoint;
  for (guint i = 0; endpoint != NULL && endpoint->virtual_ips != NULL && i < endpoint->virtual_ips->len; i++) {
    const SwarmVirtualIP *address = g_ptr_array_index (endpoint->virtual_ips, i);
    hold_address (self, &service->object.id, &address->network, address->addr, subnet_of (self, &address->network), on);
  }
  for (guint i = 0; endpoint != NULL && endpoint->ports != NULL && i < endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (endpoint->ports, i);
    if (port->publish_mode == SWARM_PUBLISH_INGRESS)
      hold (self, &service->object.id, g_strdup_printf ("port %s %" G_GUINT64_FORMAT, swarm_protocol_to_string (port->protocol), port->published_port), on);
  }
}

static void
hold_task (SimAddresses *self, const SwarmTask *task, gboolean on)
{
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, &task->node_id);
  if (!swarm_task_holds_addresses (task))
    return;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    if (attachment->addresses != NULL && attachment->addresses->len > 0)
      hold_address (self, &task->object.id, &attachment->network, g_ptr_array_index (attachment->addresses, 0), subnet_of (self, &attachment->network), on);
  }
  /* Its node may be gone: then the task is orphaned in the same transaction, or one of the next. */
  if (task->gateway_address != NULL && (!on || node != NULL))
    hold_address (self, &task->object.id, &task->node_id, task->gateway_address, node != NULL && node->network != NULL ? node->network->gateway : NULL, on);
}

static void
hold_subnets (SimAddresses *self, const SwarmId *owner, const char *subnet, gboolean on)
{
  SwarmSubnet parsed, other;
  GHashTableIter iter;
  gpointer key;
  if (!swarm_subnet_parse (subnet, &parsed))
    return;
  g_hash_table_iter_init (&iter, self->held);
  while (on && g_hash_table_iter_next (&iter, &key, NULL)) {
    if (g_str_has_prefix (key, "subnet ") && swarm_subnet_parse ((char *) key + strlen ("subnet "), &other) && swarm_subnets_overlap (&parsed, &other)
        && self->why == NULL)
      self->why = g_strdup_printf ("%s of %s overlaps %s", subnet, swarm_id_string (owner).str, (char *) key);
  }
  hold (self, owner, g_strdup_printf ("subnet %s", subnet), on);
}

static void
hold_node (SimAddresses *self, const SwarmNode *node, gboolean on)
{
  const SwarmNodeNetwork *has = node->network;
  SwarmSubnet subnet;
  if (has == NULL)
    return;
  if (has->number != 0)
    hold (self, &node->object.id, g_strdup_printf ("node number %" G_GUINT64_FORMAT, has->number), on);
  /* The network of the mesh may be gone for a moment. */
  if (has->ingress_address != NULL && (!on || subnet_of (self, &has->ingress) != NULL))
    hold_address (self, &node->object.id, &has->ingress, has->ingress_address, subnet_of (self, &has->ingress), on);
  if (has->gateway == NULL || !swarm_subnet_parse (has->gateway, &subnet))
    return;
  g_autofree char *text = swarm_subnet_to_string (&subnet);
  hold_subnets (self, &node->object.id, text, on);
  hold (self, &node->object.id, g_strdup_printf ("address %s %s", swarm_id_string (&node->object.id).str, has->gateway), on);
}

static void
hold_network (SimAddresses *self, const SwarmNetwork *network, gboolean on)
{
  if (network->vni != 0)
    hold (self, &network->object.id, g_strdup_printf ("VXLAN id %" G_GUINT64_FORMAT, network->vni), on);
  for (guint i = 0; network->ipam != NULL && network->ipam->config != NULL && i < network->ipam->config->len; i++) {
    const SwarmIPAMConfig *config = g_ptr_array_index (network->ipam->config, i);
    hold_subnets (self, &network->object.id, config->subnet, on);
  }
}

static void
hold_all (SimAddresses *self, SwarmKind kind, gconstpointer object, gboolean on)
{
  if (kind == SWARM_KIND_SERVICE)
    hold_service (self, object, on);
  else if (kind == SWARM_KIND_TASK)
    hold_task (self, object, on);
  else if (kind == SWARM_KIND_NODE)
    hold_node (self, object, on);
  else if (kind == SWARM_KIND_NETWORK)
    hold_network (self, object, on);
}

char *
sim_addresses_committed (SimAddresses *self, SwarmStore *store, const SwarmEvent *event)
{
  self->store = store;
  if (event->event == SWARM_EVENT_REMOVE)
    hold_all (self, event->kind, event->object, FALSE);
  if (event->event == SWARM_EVENT_UPDATE && event->previous != NULL)
    hold_all (self, event->kind, event->previous, FALSE);
  if (event->event == SWARM_EVENT_UPDATE || event->event == SWARM_EVENT_CREATE)
    hold_all (self, event->kind, event->object, TRUE);
  return g_steal_pointer (&self->why);
}
