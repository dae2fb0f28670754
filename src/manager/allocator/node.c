// SPDX-License-Identifier: LGPL-2.1-or-later
/* Nodes: a number, a subnet for the way out of their tasks, an address in the network of the routing mesh. */
#include "manager/allocator/private.h"

gboolean
swarm_allocator_node_is_whole (SwarmAllocator *self, const SwarmNode *node)
{
  const SwarmNodeNetwork *has = node->network;
  return has != NULL && has->number != 0 && has->gateway != NULL && swarm_id_equal (&has->ingress, &self->ingress);
}

static void
take_number (SwarmAllocator *self, SwarmNodeNetwork *network, const char **problem)
{
  guint32 number;
  if (network->number == 0 && swarm_ledger_take_number (self->ledger, SWARM_LEDGER_NODE, 1, SWARM_NODE_NUMBER_LAST, &number))
    network->number = number;
  if (network->number == 0)
    *problem = "no node number is left for the data plane";
}

static void
take_gateway (SwarmAllocator *self, SwarmNodeNetwork *network, const char **problem)
{
  SwarmSubnet subnet;
  if (network->gateway != NULL)
    return;
  if (!swarm_ledger_take_subnet (self->ledger, &subnet)) {
    *problem = "node is missing network attachments, ip addresses may be exhausted: no subnet is left in the cluster's address pool";
    return;
  }
  SwarmAddress own = swarm_address_from_number (swarm_address_number (&subnet.address) + 1);
  network->gateway = swarm_address_in_subnet (&own, &subnet);
}

static void
take_ingress (SwarmAllocator *self, SwarmNodeNetwork *network, const char **problem)
{
  if (swarm_id_equal (&network->ingress, &self->ingress))
    return;
  g_clear_pointer (&network->ingress_address, g_free);
  network->ingress = SWARM_ID_NIL;
  if (swarm_id_is_nil (&self->ingress) || swarm_ledger_take_address (self->ledger, &self->ingress, &network->ingress_address, NULL))
    network->ingress = self->ingress;
  else
    *problem = "node is missing network attachments, ip addresses may be exhausted: no address is left in the ingress network";
}

void
swarm_allocator_do_node (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, id);
  const char *problem = NULL;
  if (node == NULL || self->n_networked == 0 || swarm_allocator_node_is_whole (self, node))
    return;
  g_autoptr (SwarmNodeNetwork) network = node->network != NULL ? swarm_node_network_copy (node->network) : swarm_node_network_new ();
  take_ingress (self, network, &problem);
  take_gateway (self, network, &problem);
  take_number (self, network, &problem);
  swarm_string_set (&network->text, problem);
  /* Only for what it lacks: what has room would wake it again and again. */
  if (network->gateway == NULL || network->number == 0)
    swarm_waiters_add (&self->waiters, &SWARM_ID_NIL, SWARM_KIND_NODE, id);
  if (!swarm_id_equal (&network->ingress, &self->ingress))
    swarm_waiters_add (&self->waiters, &self->ingress, SWARM_KIND_NODE, id);
  if (node->network != NULL && swarm_message_equal (node->network, network))
    return;
  g_autoptr (SwarmNode) copy = swarm_node_copy (node);
  swarm_message_set_pointer (&copy->network, network);
  swarm_tx_update (tx, copy);
}
