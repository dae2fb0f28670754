// SPDX-License-Identifier: LGPL-2.1-or-later
/* This host as a place in the routing mesh: the gateway bridge of its tasks, its address in the ingress network, the ways to the other hosts' task
 * subnets, and the one way back for replies: a neighbour that does not exist, whose MAC the bridge table replaces by that of the entry host. */
#include "netd/plane-private.h"
#include "netd/netns.h"
#include <string.h>
#include <sys/socket.h>

#define TABLE 0x5357
#define RULE_PRIORITY 21335

static const guint8 return_mac[6] = SWARM_NETD_RETURN_MAC_BYTES;

/* A host that forwards takes no router's advertisements any more, and would lose its own way out when that of the last one runs out: those of its links
 * that take them (1) go on doing so (2). */
static void
keep_router_advertisements (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/sys/net/ipv6/conf", 0, NULL);
  const char *link;
  while (dir != NULL && (link = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename ("/proc/sys/net/ipv6/conf", link, "accept_ra", NULL), *value = NULL;
    g_autofree char *name = g_build_filename ("ipv6/conf", link, "accept_ra", NULL);
    if (strcmp (link, "all") != 0 && g_file_get_contents (path, &value, NULL, NULL) && strcmp (value, "1\n") == 0)
      swarm_netd_sysctl (name, "2");
  }
}

gboolean
swarm_netd_host_has_ipv6 (void)
{
  g_autofree char *off = NULL;
  return g_file_get_contents ("/proc/sys/net/ipv6/conf/all/disable_ipv6", &off, NULL, NULL) && *off == '0';
}

static void
set_up_forwarding (SwarmNetdPlane *self, const SwarmNetdNode *own)
{
  /* Packets within a bridge are no business of the host's firewall (the switch is there when br_netfilter is loaded). */
  swarm_netd_sysctl ("bridge/bridge-nf-call-iptables", "0");
  swarm_netd_sysctl ("bridge/bridge-nf-call-ip6tables", "0");
  swarm_netd_guard_forward (self, FALSE);
  if (!swarm_netd_address_is_none (&own->gateway6) || !swarm_netd_address_is_none (&own->ingress6)) {
    swarm_netd_sysctl ("ipv6/conf/" SWARM_NETD_GATEWAY "/disable_ipv6", "0"); /* new links may be without it */
    keep_router_advertisements ();
    swarm_netd_guard_forward (self, TRUE);
  }
  swarm_netd_sysctl ("ipv4/conf/" SWARM_NETD_GATEWAY "/route_localnet", "1");
  swarm_netd_sysctl ("ipv4/conf/" SWARM_NETD_GATEWAY "/rp_filter", "2");
}

static gboolean
put_addresses (SwarmNetdPlane *self, guint index, const SwarmNetdAddress *v4, guint prefix4, const SwarmNetdAddress *v6, guint prefix6, GError **error)
{
  return (swarm_netd_address_is_none (v4) || swarm_netd_address_put (self->netlink, index, v4, prefix4, error)) &&
         (swarm_netd_address_is_none (v6) || swarm_netd_address_put (self->netlink, index, v6, prefix6, error));
}

/* The index of the ingress bridge; 0: there is none. */
static guint
ingress_index (SwarmNetdPlane *self)
{
  const SwarmNetdNetwork *ingress = swarm_netd_plane_ingress (self);
  SwarmNetdLink link;
  return ingress != NULL && swarm_netd_link_get (self->netlink, swarm_netd_bridge_name (ingress->vni).str, &link, NULL) ? link.index : 0;
}

static gboolean
put_way_back (SwarmNetdPlane *self, guint index, const char *address, GError **error)
{
  SwarmNetdAddress nowhere;
  swarm_netd_address_parse (address, &nowhere);
  int family = swarm_netd_address_family (&nowhere);
  SwarmNetdRoute route = { .via = &nowhere, .index = index, .table = TABLE };
  return swarm_netd_neighbour_put (self->netlink, index, &nowhere, return_mac, error) && swarm_netd_route_put (self->netlink, &route, error) &&
         swarm_netd_rule_put (self->netlink, family, RULE_PRIORITY, SWARM_NETD_GATEWAY, SWARM_NETD_MARK, SWARM_NETD_MARK_MASK, TABLE, error);
}

void
swarm_netd_host_delete (SwarmNetdPlane *self)
{
  swarm_netd_rule_delete (self->netlink, AF_INET, RULE_PRIORITY, NULL);
  swarm_netd_rule_delete (self->netlink, AF_INET6, RULE_PRIORITY, NULL);
}

static gboolean
put_ingress (SwarmNetdPlane *self, const SwarmNetdNode *own, GError **error)
{
  const SwarmNetdNetwork *ingress = swarm_netd_plane_ingress (self);
  SwarmNetdLink link;
  guint index = ingress_index (self);
  if (index == 0) {
    swarm_netd_host_delete (self);
    return TRUE; /* there is none, or the problem is noted already */
  }
  g_autofree char *localnet = g_strdup_printf ("ipv4/conf/%s/route_localnet", swarm_netd_bridge_name (ingress->vni).str);
  swarm_netd_sysctl (localnet, "1");
  return put_addresses (self, index, &own->ingress4, own->ingress4_prefix, &own->ingress6, own->ingress6_prefix, error) &&
         put_way_back (self, index, "169.254.83.87", error) && put_way_back (self, index, "fe80::5357", error) &&
         swarm_netd_link_get (self->netlink, swarm_netd_vxlan_name (ingress->vni).str, &link, error) &&
         swarm_netd_fdb_put (self->netlink, link.index, return_mac, NULL, error);
}

/* Else the host may be cut off from its own network. What is in place stays, whatever the host got since. */
static gboolean
may_be_here (SwarmNetdPlane *self, const char *what, const SwarmNetdAddress *v4, guint prefix4, const SwarmNetdAddress *v6, guint prefix6, GError **error)
{
  return swarm_netd_overlap_check (self, what, v4, prefix4, error) && swarm_netd_overlap_check (self, what, v6, prefix6, error);
}

gboolean
swarm_netd_host_put (SwarmNetdPlane *self, GError **error)
{
  const SwarmNetdNode *own = swarm_netd_plane_own (self);
  guint index, mtu = swarm_netd_network_mtu (self, NULL, error);
  if (mtu == 0 ||
      !may_be_here (self, "the subnet of this host's tasks", &own->gateway4, own->gateway4_prefix, &own->gateway6, own->gateway6_prefix, error) ||
      !swarm_netd_bridge_put (self->netlink, SWARM_NETD_GATEWAY, mtu, NULL, &index, error))
    return FALSE;
  set_up_forwarding (self, own);
  return put_addresses (self, index, &own->gateway4, own->gateway4_prefix, &own->gateway6, own->gateway6_prefix, error) &&
         may_be_here (self, "the network of published ports", &own->ingress4, own->ingress4_prefix, &own->ingress6, own->ingress6_prefix, error) &&
         put_ingress (self, own, error);
}

/* ---- the other hosts ---- */

typedef gboolean (*RouteFunc) (SwarmNetdNetlink *self, const SwarmNetdRoute *route, GError **error);

static gboolean
each_route (SwarmNetdPlane *self, const SwarmNetdNode *node, guint index, RouteFunc func, GError **error)
{
  SwarmNetdAddress to4 = swarm_netd_subnet (&node->gateway4, node->gateway4_prefix), to6 = swarm_netd_subnet (&node->gateway6, node->gateway6_prefix);
  SwarmNetdRoute v4 = { &to4, node->gateway4_prefix, &node->ingress4, index, 0, AF_INET };
  SwarmNetdRoute v6 = { &to6, node->gateway6_prefix, &node->ingress6, index, 0, AF_INET6 };
  return (swarm_netd_address_is_none (&node->gateway4) || swarm_netd_address_is_none (&node->ingress4) || func (self->netlink, &v4, error)) &&
         (swarm_netd_address_is_none (&node->gateway6) || swarm_netd_address_is_none (&node->ingress6) || func (self->netlink, &v6, error));
}

typedef gboolean (*NeighbourFunc) (SwarmNetdPlane *self, const SwarmNetdEndpoint *endpoint, GError **error);

/* A host is a member of the ingress network as a task is of another. */
static gboolean
as_endpoint (SwarmNetdPlane *self, const SwarmNetdNode *node, NeighbourFunc func, GError **error)
{
  SwarmNetdEndpoint endpoint = { .vni = swarm_netd_plane_ingress (self)->vni, .node = node->node, .address4 = node->ingress4, .address6 = node->ingress6 };
  memcpy (endpoint.mac, node->ingress_mac, sizeof endpoint.mac);
  return func (self, &endpoint, error);
}

static gboolean
is_member (const SwarmNetdNode *node)
{
  return !swarm_netd_address_is_none (&node->ingress4) || !swarm_netd_address_is_none (&node->ingress6);
}

gboolean
swarm_netd_node_put (SwarmNetdPlane *self, const SwarmNetdNode *node, GError **error)
{
  guint index = ingress_index (self);
  if (index == 0 || !is_member (node) || node->node == swarm_netd_plane_own (self)->node)
    return TRUE;
  return may_be_here (self, "the subnet of its tasks", &node->gateway4, node->gateway4_prefix, &node->gateway6, node->gateway6_prefix, error) &&
         as_endpoint (self, node, swarm_netd_endpoint_put, error) && each_route (self, node, index, swarm_netd_route_put, error);
}

gboolean
swarm_netd_node_delete (SwarmNetdPlane *self, const SwarmNetdNode *node, GError **error)
{
  guint index = ingress_index (self);
  if (index == 0 || !is_member (node))
    return TRUE;
  return each_route (self, node, index, swarm_netd_route_delete, error) && as_endpoint (self, node, swarm_netd_endpoint_delete, error);
}
