// SPDX-License-Identifier: LGPL-2.1-or-later
/* The ledger's mirror of the store: what each object has. */
#include "manager/allocator/private.h"

static void
book_service (SwarmLedger *ledger, const SwarmEndpoint *endpoint, gboolean on)
{
  for (guint i = 0; endpoint != NULL && endpoint->ports != NULL && i < endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (endpoint->ports, i);
    if (port->publish_mode == SWARM_PUBLISH_INGRESS)
      swarm_ledger_book_number (ledger, SWARM_LEDGER_TCP + (SwarmLedgerNumber) port->protocol, port->published_port, on);
  }
  for (guint i = 0; endpoint != NULL && endpoint->virtual_ips != NULL && i < endpoint->virtual_ips->len; i++) {
    const SwarmVirtualIP *address = g_ptr_array_index (endpoint->virtual_ips, i);
    swarm_ledger_book_address (ledger, &address->network, address->addr, on);
  }
}

static void
book_node (SwarmLedger *ledger, const SwarmNode *node, gboolean on)
{
  const SwarmNodeNetwork *has = node->network;
  SwarmSubnet subnet;
  SwarmAddress own;
  if (has == NULL)
    return;
  swarm_ledger_book_number (ledger, SWARM_LEDGER_NODE, has->number, on);
  if (has->ingress_address != NULL)
    swarm_ledger_book_address (ledger, &has->ingress, has->ingress_address, on);
  if (has->gateway == NULL || !swarm_subnet_parse_host (has->gateway, &own, &subnet))
    return;
  if (!on) {
    swarm_ledger_close (ledger, &node->object.id);
    return;
  }
  g_autoptr (SwarmIPAM) ipam = swarm_ipam_new ();
  SwarmIPAMConfig *config = swarm_ipam_config_new ();
  config->subnet = swarm_subnet_to_string (&subnet);
  config->gateway = swarm_address_to_string (&own);
  ipam->config = swarm_messages_new ();
  g_ptr_array_add (ipam->config, config);
  swarm_ledger_open (ledger, &node->object.id, ipam);
}

static void
book_task (SwarmLedger *ledger, const SwarmTask *task, gboolean on)
{
  if ((task->networks == NULL && task->gateway_address == NULL) || !swarm_task_holds_addresses (task))
    return;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    if (attachment->addresses != NULL && attachment->addresses->len > 0)
      swarm_ledger_book_address (ledger, &attachment->network, g_ptr_array_index (attachment->addresses, 0), on);
  }
  if (task->gateway_address != NULL)
    swarm_ledger_book_address (ledger, &task->node_id, task->gateway_address, on);
}

static void
book_network (SwarmLedger *ledger, const SwarmNetwork *network, gboolean on)
{
  swarm_ledger_book_number (ledger, SWARM_LEDGER_VNI, network->vni, on);
  if (network->ipam == NULL)
    return;
  if (on)
    swarm_ledger_open (ledger, &network->object.id, network->ipam);
  else
    swarm_ledger_close (ledger, &network->object.id);
}

void
swarm_allocator_book (SwarmLedger *ledger, SwarmKind kind, gconstpointer object, gboolean on)
{
  if (kind == SWARM_KIND_NETWORK)
    book_network (ledger, object, on);
  else if (kind == SWARM_KIND_SERVICE)
    book_service (ledger, ((const SwarmService *) object)->endpoint, on);
  else if (kind == SWARM_KIND_NODE)
    book_node (ledger, object, on);
  else
    book_task (ledger, object, on);
}
