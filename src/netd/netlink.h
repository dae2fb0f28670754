// SPDX-License-Identifier: LGPL-2.1-or-later
/* Requests to the kernel's routing netlink, on libmnl: one at a time, answered at once (the kernel does them in the sender's time). All "put"
 * functions are fine with what is there already and make it as wanted. */
#pragma once
#include "netd/address.h"
#include <glib.h>

/* A socket in the namespace in which it was made; it stays there. */
typedef struct _SwarmNetdNetlink SwarmNetdNetlink;

SwarmNetdNetlink *swarm_netd_netlink_new (GError **error);
/* One in the namespace of @netns. */
SwarmNetdNetlink *swarm_netd_netlink_new_in (int netns, GError **error);
void swarm_netd_netlink_free (SwarmNetdNetlink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdNetlink, swarm_netd_netlink_free)

/* Its address: in the kernel's news it tells whose doing they are. */
guint swarm_netd_netlink_port (SwarmNetdNetlink *self);

/* Marks routes and rules as ours ("ip route" shows proto 83): others know whom to ask. */
#define SWARM_NETD_PROTOCOL 83

/* ---- links ---- */

typedef struct {
  guint index;  /* 0: there is none */
  guint master;
  guint mtu;
  gboolean up;
  guint8 mac[6];
  char name[16];
  char kind[16]; /* "bridge", "vxlan", "veth", … */
  /* of a vxlan */
  guint32 vni;
  guint16 port;
  SwarmNetdAddress local;
  gboolean elsewhere; /* its packets travel in another namespace, or its other end is there: the one with the number */
  guint32 elsewhere_number;
} SwarmNetdLink;

typedef void (*SwarmNetdLinkFunc) (const SwarmNetdLink *link, gpointer data);

/* FALSE only when the kernel did not answer; a link that is not there has index 0. */
gboolean swarm_netd_link_get (SwarmNetdNetlink *self, const char *name, SwarmNetdLink *link, GError **error);
gboolean swarm_netd_link_each (SwarmNetdNetlink *self, SwarmNetdLinkFunc func, gpointer data, GError **error);
gboolean swarm_netd_link_delete (SwarmNetdNetlink *self, const char *name, GError **error);
/* Up, with this MTU (0: as it is), @master (index; 0: as it is) and MAC (NULL: as it is). */
gboolean swarm_netd_link_set (SwarmNetdNetlink *self, guint index, guint mtu, guint master, const guint8 *mac, GError **error);
gboolean swarm_netd_bridge_put (SwarmNetdNetlink *self, const char *name, guint mtu, const guint8 *mac, guint *index, GError **error);
/* No learning, answers ARP and ND from its own neighbour table; the bridge @master does not learn from it either. */
gboolean swarm_netd_vxlan_put (SwarmNetdNetlink *self, const char *name, guint32 vni, const SwarmNetdAddress *local, guint16 port, guint mtu,
                               guint master, guint *index, GError **error);
/* Whether the link in a bridge reaches other isolated ones there. */
gboolean swarm_netd_port_isolate (SwarmNetdNetlink *self, guint index, gboolean isolated, GError **error);
/* Its packets travel in the namespace of @inside and nowhere else; the link itself is in ours, whose descriptor is @home. */
gboolean swarm_netd_vxlan_put_inside (SwarmNetdNetlink *self, SwarmNetdNetlink *inside, int home, const char *name, guint32 vni, guint16 port, guint mtu,
                                      guint master, guint *index, GError **error);
/* A link of a kind that needs no more to be said, into the namespace @netns. */
gboolean swarm_netd_link_make (SwarmNetdNetlink *self, const char *name, const char *kind, int netns, GError **error);
gboolean swarm_netd_link_move (SwarmNetdNetlink *self, guint index, int netns, GError **error);
/* A pair: @name here in the bridge @master (@isolated: not with other isolated ports), @peer in the namespace @netns. What was there under @name
 * goes. */
gboolean swarm_netd_veth_put (SwarmNetdNetlink *self, const char *name, guint master, guint mtu, gboolean isolated, int netns, const char *peer,
                              const guint8 *peer_mac, GError **error);

/* The number that this namespace has for another one, that of process @pid or of descriptor @fd (@pid 0). FALSE: it has none, or there is no such one. */
gboolean swarm_netd_netns_number (SwarmNetdNetlink *self, guint32 pid, int fd, guint32 *number);

/* ---- addresses, routes, rules, neighbours; a delete is fine with what is not there ---- */

gboolean swarm_netd_address_put (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, guint prefix, GError **error);

typedef struct {
  const SwarmNetdAddress *to; /* NULL: default */
  guint prefix;
  const SwarmNetdAddress *via;
  guint index;
  guint table; /* 0: main */
  int family;  /* when @to and @via do not show it */
} SwarmNetdRoute;
gboolean swarm_netd_route_put (SwarmNetdNetlink *self, const SwarmNetdRoute *route, GError **error);
/* With @from as the source address of what has none. */
gboolean swarm_netd_route_put_from (SwarmNetdNetlink *self, const SwarmNetdRoute *route, const SwarmNetdAddress *from, GError **error);
gboolean swarm_netd_route_delete (SwarmNetdNetlink *self, const SwarmNetdRoute *route, GError **error);

/* One of this namespace's routes to somewhere (main table), or an address of its own. */
typedef struct {
  SwarmNetdAddress to; /* all zero with prefix 0: default */
  guint8 prefix;
  guint8 protocol; /* who made it */
  gboolean own;    /* an address of its own */
  guint index;     /* of its link; 0: several, or none */
} SwarmNetdWay;
typedef void (*SwarmNetdWayFunc) (const SwarmNetdWay *way, gpointer data);
gboolean swarm_netd_way_each (SwarmNetdNetlink *self, SwarmNetdWayFunc func, gpointer data, GError **error);

/* Packets that came in by @iif and whose mark is @mark under @mask look into @table. */
gboolean swarm_netd_rule_put (SwarmNetdNetlink *self, int family, guint priority, const char *iif, guint32 mark, guint32 mask, guint table,
                              GError **error);
gboolean swarm_netd_rule_delete (SwarmNetdNetlink *self, int family, guint priority, GError **error);

/* @address is at @mac behind the link. */
gboolean swarm_netd_neighbour_put (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, const guint8 mac[6], GError **error);
gboolean swarm_netd_neighbour_delete (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, GError **error);
/* VXLAN: @mac is on the host @dst. With NULL @dst in the bridge above: @mac is behind this port. */
gboolean swarm_netd_fdb_put (SwarmNetdNetlink *self, guint index, const guint8 mac[6], const SwarmNetdAddress *dst, GError **error);
gboolean swarm_netd_fdb_delete (SwarmNetdNetlink *self, guint index, const guint8 mac[6], GError **error);

typedef struct {
  guint index;
  gboolean fdb; /* else a neighbour */
  guint8 mac[6];
  SwarmNetdAddress address; /* of the neighbour, or the FDB's host */
} SwarmNetdNeighbour;
typedef void (*SwarmNetdNeighbourFunc) (const SwarmNetdNeighbour *neighbour, gpointer data);
/* All permanent entries of the VXLAN devices' own tables and of neighbours. */
gboolean swarm_netd_neighbour_each (SwarmNetdNetlink *self, SwarmNetdNeighbourFunc func, gpointer data, GError **error);
