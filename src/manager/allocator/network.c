// SPDX-License-Identifier: LGPL-2.1-or-later
/* Networks: VXLAN ids and subnets. */
#include "manager/allocator/private.h"
#include <string.h>

static SwarmIPAMConfig *
config_new (const SwarmSubnet *subnet, const SwarmAddress *gateway, const char *ip_range)
{
  SwarmIPAMConfig *config = swarm_ipam_config_new ();
  config->subnet = swarm_subnet_to_string (subnet);
  config->gateway = swarm_address_to_string (gateway);
  config->ip_range = g_strdup (ip_range);
  return config;
}

static SwarmAddress
first_address (const SwarmSubnet *subnet)
{
  return swarm_address_from_number (swarm_address_number (&subnet->address) + 1);
}

/* A subnet that the user named. */
static gboolean
take_named (SwarmAllocator *self, const SwarmIPAMConfig *named, SwarmIPAM *ipam, SwarmAddress *ipv4)
{
  SwarmSubnet subnet;
  SwarmAddress gateway;
  if (!swarm_subnet_parse (named->subnet, &subnet) || !swarm_ledger_take_this_subnet (self->ledger, &subnet))
    return FALSE;
  if (!swarm_address_parse (named->gateway, &gateway))
    gateway = subnet.address.length == 4 ? first_address (&subnet) : swarm_subnet_embed (&subnet, ipv4);
  if (subnet.address.length == 4 && ipv4->length == 0)
    *ipv4 = gateway;
  g_ptr_array_add (ipam->config, config_new (&subnet, &gateway, named->ip_range));
  return TRUE;
}

static const char *
take_all_named (SwarmAllocator *self, const SwarmIPAM *wanted, guint length, SwarmIPAM *ipam, SwarmAddress *ipv4)
{
  for (guint i = 0; wanted != NULL && wanted->config != NULL && i < wanted->config->len; i++) {
    const SwarmIPAMConfig *named = g_ptr_array_index (wanted->config, i);
    SwarmSubnet subnet;
    if (swarm_subnet_parse (named->subnet, &subnet) && subnet.address.length == length && !take_named (self, named, ipam, ipv4))
      return "invalid pool request: Pool overlaps with other one on this address space";
  }
  return NULL;
}

/* fdCC:CCCC:CCVV:VVVV::/64: of no other cluster (its id) and no other network (its VNI). */
static void
add_own_ipv6 (SwarmAllocator *self, guint32 vni, SwarmIPAM *ipam, const SwarmAddress *ipv4)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  SwarmSubnet subnet = { .address = { .length = 16 }, .prefix = 64 };
  guint8 *bytes = subnet.address.bytes;
  bytes[0] = 0xfd;
  memcpy (bytes + 1, cluster->object.id.bytes, 4);
  bytes[5] = (guint8) (vni >> 16);
  bytes[6] = (guint8) (vni >> 8);
  bytes[7] = (guint8) vni;
  SwarmAddress gateway = swarm_subnet_embed (&subnet, ipv4);
  if (swarm_ledger_take_this_subnet (self->ledger, &subnet))
    g_ptr_array_add (ipam->config, config_new (&subnet, &gateway, NULL));
}

/* NULL: @ipam has all of it; else why not. */
static const char *
take_subnets (SwarmAllocator *self, const SwarmNetworkSpec *spec, guint32 vni, SwarmIPAM *ipam)
{
  SwarmAddress ipv4 = { .length = 0 };
  const char *problem = take_all_named (self, spec->ipam, 4, ipam, &ipv4);
  if (problem != NULL)
    return problem;
  if (ipam->config->len == 0) {
    SwarmSubnet subnet;
    if (!swarm_ledger_take_subnet (self->ledger, &subnet))
      return "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network";
    ipv4 = first_address (&subnet);
    g_ptr_array_add (ipam->config, config_new (&subnet, &ipv4, NULL));
  }
  guint n = ipam->config->len;
  if (spec->ipv6)
    problem = take_all_named (self, spec->ipam, 16, ipam, &ipv4);
  if (spec->ipv6 && problem == NULL && ipam->config->len == n)
    add_own_ipv6 (self, vni, ipam, &ipv4);
  return problem;
}

static void
say (const SwarmNetwork *network, const char *why, SwarmTx *tx)
{
  if (g_strcmp0 (network->text, why) == 0)
    return;
  g_autoptr (SwarmNetwork) copy = swarm_network_copy (network);
  swarm_string_set (&copy->text, why);
  swarm_tx_update (tx, copy);
}

void
swarm_allocator_do_network (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx)
{
  const SwarmNetwork *network = swarm_store_get (self->leader->store, SWARM_KIND_NETWORK, id);
  guint mark = swarm_ledger_mark (self->ledger);
  guint32 vni = 0;
  if (network == NULL || swarm_network_is_allocated (network))
    return;
  g_autoptr (SwarmIPAM) ipam = swarm_ipam_new ();
  ipam->driver = g_strdup ("default");
  ipam->config = swarm_messages_new ();
  const char *problem = "no VXLAN id is left";
  if (swarm_ledger_take_number (self->ledger, SWARM_LEDGER_VNI, SWARM_VNI_FIRST, SWARM_VNI_LAST, &vni))
    problem = take_subnets (self, network->spec, vni, ipam);
  if (problem != NULL) {
    swarm_ledger_back_to (self->ledger, mark);
    swarm_waiters_add (&self->waiters, &SWARM_ID_NIL, SWARM_KIND_NETWORK, id);
    say (network, problem, tx);
    return;
  }
  g_autoptr (SwarmNetwork) copy = swarm_network_copy (network);
  copy->vni = vni;
  swarm_message_set_pointer (&copy->ipam, ipam);
  swarm_string_set (&copy->text, NULL);
  swarm_tx_update (tx, copy);
}
