// SPDX-License-Identifier: LGPL-2.1-or-later
/* A network on this host: a bridge, and a VXLAN device in it that knows where each task of the other hosts is. Nothing is learned or flooded. */
#include "netd/plane-private.h"
#include "base/error.h"
#include "netd/netns.h"
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

/* The name of the link that has @address; NULL: none. Caller frees. */
static char *
link_with (const SwarmNetdAddress *address)
{
  struct ifaddrs *all = NULL;
  char *name = NULL;
  gsize length;
  const guint8 *bytes = swarm_netd_address_bytes (address, &length);
  if (getifaddrs (&all) < 0)
    return NULL;
  for (struct ifaddrs *one = all; one != NULL && name == NULL; one = one->ifa_next) {
    if (one->ifa_addr == NULL || one->ifa_addr->sa_family != swarm_netd_address_family (address))
      continue;
    const void *here = length == 4 ? (void *) &((struct sockaddr_in *) one->ifa_addr)->sin_addr : &((struct sockaddr_in6 *) one->ifa_addr)->sin6_addr;
    if (memcmp (here, bytes, length) == 0)
      name = g_strdup (one->ifa_name);
  }
  freeifaddrs (all);
  return name;
}

static gboolean
is_encrypted (const SwarmNetdNetwork *network)
{
  return network != NULL && (network->flags & SWARM_NETD_NETWORK_ENCRYPTED) != 0;
}

guint
swarm_netd_network_mtu (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error)
{
  const SwarmNetdAddress *underlay = &swarm_netd_plane_own (self)->underlay;
  g_autofree char *name = link_with (underlay);
  SwarmNetdLink link;
  if (name == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this host has not the address %s", swarm_netd_address_text (underlay).str);
    return 0;
  }
  if (!swarm_netd_link_get (self->netlink, name, &link, error))
    return 0;
  self->underlay_index = link.index;
  self->underlay_mtu = link.mtu;
  if (network != NULL && network->mtu != 0)
    return network->mtu;
  if (is_encrypted (network))
    return swarm_netd_crypt_mtu (link.mtu, swarm_netd_address_is_v4 (underlay)) - 50;
  return MAX (link.mtu, 1380) - (swarm_netd_address_is_v4 (underlay) ? 50 : 70);
}

/* The bridge is the tasks' only: the host has no address on it, but in the ingress network. */
static void
set_up_bridge (const char *name, gboolean ingress)
{
  g_autofree char *no_v6 = g_strdup_printf ("ipv6/conf/%s/disable_ipv6", name), *filter = g_strdup_printf ("ipv4/conf/%s/rp_filter", name);
  swarm_netd_sysctl (no_v6, ingress ? "0" : "1");
  if (ingress)
    swarm_netd_sysctl (filter, "2"); /* clients of other hosts come in here */
}

/* The VXLAN device of an encrypted network; it is made whether WireGuard works or not, and without it leads nowhere. */
static gboolean
put_encrypted (SwarmNetdPlane *self, const SwarmNetdNetwork *network, guint mtu, guint bridge, GError **error)
{
  SwarmNetdNetlink *inside = swarm_netd_crypt_inside (self->crypt, error);
  guint index;
  return inside != NULL &&
         swarm_netd_vxlan_put_inside (self->netlink, inside, swarm_netd_netns_home (), swarm_netd_vxlan_name (network->vni).str, network->vni,
                                      swarm_netd_plane_host (self)->vxlan_port, mtu, bridge, &index, error) &&
         swarm_netd_crypt_check (self->crypt, error);
}

gboolean
swarm_netd_network_put (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error)
{
  const SwarmNetdNode *own = swarm_netd_plane_own (self);
  gboolean ingress = (network->flags & SWARM_NETD_NETWORK_INGRESS) != 0;
  SwarmNetdLinkName bridge = swarm_netd_bridge_name (network->vni), vxlan = swarm_netd_vxlan_name (network->vni);
  guint index, mtu = swarm_netd_network_mtu (self, network, error);
  if (mtu == 0)
    return FALSE;
  if (!swarm_netd_bridge_put (self->netlink, bridge.str, mtu, ingress ? own->ingress_mac : NULL, &index, error))
    return FALSE;
  set_up_bridge (bridge.str, ingress);
  if (is_encrypted (network))
    return put_encrypted (self, network, mtu, index, error);
  return swarm_netd_vxlan_put (self->netlink, vxlan.str, network->vni, &own->underlay, swarm_netd_plane_host (self)->vxlan_port, mtu, index, &index,
                               error);
}

gboolean
swarm_netd_network_delete (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error)
{
  gboolean ok = swarm_netd_link_delete (self->netlink, swarm_netd_vxlan_name (network->vni).str, error);
  return swarm_netd_link_delete (self->netlink, swarm_netd_bridge_name (network->vni).str, ok ? error : NULL) && ok;
}

/* The index of the network's VXLAN device; 0: it is not there. */
static guint
vxlan_index (SwarmNetdPlane *self, guint32 vni)
{
  SwarmNetdLink link;
  return swarm_netd_link_get (self->netlink, swarm_netd_vxlan_name (vni).str, &link, NULL) ? link.index : 0;
}

/* Where VXLAN packets of that network to @node go. */
static SwarmNetdAddress
way_to (SwarmNetdPlane *self, guint32 vni, const SwarmNetdNode *node)
{
  const SwarmNetdRow *row = swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_NETWORK, &vni);
  return row != NULL && is_encrypted ((const void *) row->data) ? swarm_netd_crypt_address (node->node) : node->underlay;
}

gboolean
swarm_netd_endpoint_put (SwarmNetdPlane *self, const SwarmNetdEndpoint *endpoint, GError **error)
{
  const SwarmNetdNode *node = swarm_netd_plane_node (self, endpoint->node);
  if (node == swarm_netd_plane_own (self))
    return TRUE; /* its veth is in the bridge */
  guint index = vxlan_index (self, endpoint->vni);
  if (index == 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "its network has no link");
    return FALSE;
  }
  SwarmNetdAddress way = way_to (self, endpoint->vni, node);
  return swarm_netd_fdb_put (self->netlink, index, endpoint->mac, &way, error) &&
         (swarm_netd_address_is_none (&endpoint->address4) ||
          swarm_netd_neighbour_put (self->netlink, index, &endpoint->address4, endpoint->mac, error)) &&
         (swarm_netd_address_is_none (&endpoint->address6) ||
          swarm_netd_neighbour_put (self->netlink, index, &endpoint->address6, endpoint->mac, error));
}

gboolean
swarm_netd_endpoint_delete (SwarmNetdPlane *self, const SwarmNetdEndpoint *endpoint, GError **error)
{
  guint index = vxlan_index (self, endpoint->vni);
  if (index == 0)
    return TRUE; /* went with its network */
  return swarm_netd_fdb_delete (self->netlink, index, endpoint->mac, error) &&
         (swarm_netd_address_is_none (&endpoint->address4) || swarm_netd_neighbour_delete (self->netlink, index, &endpoint->address4, error)) &&
         (swarm_netd_address_is_none (&endpoint->address6) || swarm_netd_neighbour_delete (self->netlink, index, &endpoint->address6, error));
}

/* ---- entries that nobody wants ---- */

typedef struct {
  SwarmNetdPlane *plane;
  GHashTable *wanted; /* GBytes of SwarmNetdNeighbour */
  GHashTable *vxlans; /* indexes of ours */
  GArray *others;
} Sweep;

static void
want (Sweep *sweep, guint index, gboolean fdb, const guint8 mac[6], const SwarmNetdAddress *address)
{
  SwarmNetdNeighbour one;
  memset (&one, 0, sizeof one); /* the padding is compared too */
  one.index = index;
  one.fdb = fdb;
  memcpy (one.mac, mac, 6);
  one.address = *address;
  if (!swarm_netd_address_is_none (address))
    g_hash_table_add (sweep->wanted, g_bytes_new (&one, sizeof one));
}

static void
want_endpoint (Sweep *sweep, const SwarmNetdEndpoint *endpoint)
{
  const SwarmNetdNode *node = swarm_netd_plane_node (sweep->plane, endpoint->node);
  guint index = vxlan_index (sweep->plane, endpoint->vni);
  if (node == NULL || node == swarm_netd_plane_own (sweep->plane))
    return;
  SwarmNetdAddress way = way_to (sweep->plane, endpoint->vni, node);
  want (sweep, index, TRUE, endpoint->mac, &way);
  want (sweep, index, FALSE, endpoint->mac, &endpoint->address4);
  want (sweep, index, FALSE, endpoint->mac, &endpoint->address6);
}

static void
want_row (const SwarmNetdRow *row, gpointer data)
{
  want_endpoint (data, (const void *) row->data);
}

static void
want_node (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdNode *node = (const void *) row->data;
  const SwarmNetdNetwork *ingress = swarm_netd_plane_ingress (((Sweep *) data)->plane);
  if (ingress == NULL)
    return;
  SwarmNetdEndpoint endpoint = { .vni = ingress->vni, .node = node->node, .address4 = node->ingress4, .address6 = node->ingress6 };
  memcpy (endpoint.mac, node->ingress_mac, 6);
  want_endpoint (data, &endpoint);
}

static void
note_vxlan (const SwarmNetdRow *row, gpointer data)
{
  Sweep *sweep = data;
  g_hash_table_add (sweep->vxlans, GUINT_TO_POINTER (vxlan_index (sweep->plane, ((const SwarmNetdNetwork *) row->data)->vni)));
}

static void
note_other (const SwarmNetdNeighbour *neighbour, gpointer data)
{
  Sweep *sweep = data;
  g_autoptr (GBytes) bytes = g_bytes_new_static (neighbour, sizeof *neighbour);
  if (g_hash_table_contains (sweep->vxlans, GUINT_TO_POINTER (neighbour->index)) && !swarm_netd_address_is_none (&neighbour->address) &&
      !g_hash_table_contains (sweep->wanted, bytes))
    g_array_append_val (sweep->others, *neighbour);
}

void
swarm_netd_network_sweep (SwarmNetdPlane *self)
{
  g_autoptr (GHashTable) wanted = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  g_autoptr (GHashTable) vxlans = g_hash_table_new (NULL, NULL);
  g_autoptr (GArray) others = g_array_new (FALSE, FALSE, sizeof (SwarmNetdNeighbour));
  Sweep sweep = { self, wanted, vxlans, others };
  GError *error = NULL;
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_NETWORK, NULL, 0, note_vxlan, &sweep);
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_ENDPOINT, NULL, 0, want_row, &sweep);
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_NODE, NULL, 0, want_node, &sweep);
  if (!swarm_netd_neighbour_each (self->netlink, note_other, &sweep, &error)) {
    swarm_netd_plane_problem (self, NULL, error);
    return;
  }
  for (guint i = 0; i < others->len; i++) {
    const SwarmNetdNeighbour *other = &g_array_index (others, SwarmNetdNeighbour, i);
    if (other->fdb)
      swarm_netd_fdb_delete (self->netlink, other->index, other->mac, NULL);
    else
      swarm_netd_neighbour_delete (self->netlink, other->index, &other->address, NULL);
  }
}
