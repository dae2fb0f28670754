// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the parts of the plane share. Each part has one file: host.c, network.c, sandbox.c, vip.c, mesh.c, guard.c. */
#pragma once
#include "netd/crypt.h"
#include "netd/netlink.h"
#include "netd/names.h"
#include "netd/nft.h"
#include "netd/plane.h"
#include "netd/responder.h"
#include "netd/slots.h"

#define SWARM_NETD_GATEWAY "swgate" /* the bridge that leads tasks out, and published ports in */
#define SWARM_NETD_MARK 0x53570000u /* ct and packet mark of what came in by another host; the low 12 bits are its node number */
#define SWARM_NETD_MARK_MASK 0xfffff000u

/* Of a neighbour that does not exist (host.c, mesh.c). */
#define SWARM_NETD_RETURN_MAC "02:42:53:57:00:00"
#define SWARM_NETD_RETURN_MAC_BYTES { 0x02, 0x42, 0x53, 0x57, 0, 0 }

typedef struct _SwarmNetdEvict SwarmNetdEvict;

/* A sandbox in the kernel. */
typedef struct {
  SwarmNetdPlane *plane;
  char id[32];
  int netns;
  gboolean attached; /* a foreign namespace: we clean up after us */
  SwarmNetdNetlink *netlink;
  SwarmNetdNft *nft;
  SwarmNetdResponder *responder;
  int kept[2]; /* the sockets of an earlier responder, for the one that is made; -1: none */
  GArray *vnis; /* guint32: its networks, by their interfaces' index */
  GArray *servers; /* SwarmNetdAddress: of an attached one, those that its own resolv.conf names; questions to them are led to us */
  gboolean way_out; /* it has an interface on the gateway bridge */
  guint stored[2]; /* descriptors that systemd keeps: of its namespace, of its responder */
  gboolean stale; /* its nftables table is to be loaded anew */
  gboolean touched; /* by the present apply */
  gboolean failed; /* in it */
} SwarmNetdBox;

struct _SwarmNetdPlane {
  SwarmNetdTables *tables;
  SwarmNetdNetlink *netlink;
  SwarmNetdNft *nft;
  SwarmNetdNames *names;
  SwarmNetdCrypt *crypt;
  GHashTable *boxes; /* id → SwarmNetdBox */
  GHashTable *vips; /* by SERVICE key: what the boxes have (vip.c) */
  GHashTable *dirty_vips;
  GHashTable *ports; /* by PORT key: what the host has (mesh.c) */
  GHashTable *dirty_ports;
  guint underlay_index; /* the link that has the underlay address, as seen last */
  guint underlay_mtu;
  SwarmNetdEvict *evict; /* connections that are to end */
  guint store_room; /* how many descriptors systemd keeps */
  guint stored; /* how many it has */
  guint unkept; /* sandboxes for which there was no room */
  GHashTable *holders; /* number of a namespace → pid of one who lives there (sandbox.c); NULL: not looked yet by this apply */
  GHashTable *closed[2]; /* IPv4, IPv6: links between which the host forwards only because of us (guard.c); NULL: not looked yet */
  GArray *ways; /* SwarmNetdWay: the host's own (overlap.c); NULL: not looked yet by this apply */
  gboolean mesh_stale; /* the host's nftables table is to be loaded anew */
  GPtrArray *problems;
  GArray *ready;
  void (*changed) (guint what, gpointer data);
  gpointer changed_data;
  guint changed_source;
};

/* ---- plane.c ---- */
/* NULL: there is no host row. */
const SwarmNetdHost *swarm_netd_plane_host (SwarmNetdPlane *self);
const SwarmNetdNode *swarm_netd_plane_node (SwarmNetdPlane *self, guint32 number);
const SwarmNetdNode *swarm_netd_plane_own (SwarmNetdPlane *self);
/* TRUE: the link of that name (one of ours) belongs to something that is wanted. */
gboolean swarm_netd_plane_wants_link (SwarmNetdPlane *self, const char *name);
/* The wanted interface whose link here has that name; NULL: there is none. */
const SwarmNetdInterface *swarm_netd_plane_interface (SwarmNetdPlane *self, const char *name);
/* The ingress network; NULL: there is none. */
const SwarmNetdNetwork *swarm_netd_plane_ingress (SwarmNetdPlane *self);
/* Notes what went wrong with @row. Takes @error; NULL: nothing did. */
void swarm_netd_plane_problem (SwarmNetdPlane *self, const SwarmNetdRow *row, GError *error);
/* Something of the links has changed by itself: the plane's owner is to look, from the loop. */
void swarm_netd_plane_tell (SwarmNetdPlane *self);
/* A new sandbox in @netns, taken. */
SwarmNetdBox *swarm_netd_plane_add_box (SwarmNetdPlane *self, const char *sandbox, int netns);
/* The names of a network's links. */
typedef struct {
  char str[16];
} SwarmNetdLinkName;
SwarmNetdLinkName swarm_netd_bridge_name (guint32 vni);
SwarmNetdLinkName swarm_netd_vxlan_name (guint32 vni);

/* A name as ours are and the kind that goes with it. */
gboolean swarm_netd_plane_is_ours (const SwarmNetdLink *link);

/* ---- overlap.c ---- */
/* FALSE: the host itself reaches a part of the subnet of @address elsewhere. @what it is, for people. Fine with an address that is none. */
gboolean swarm_netd_overlap_check (SwarmNetdPlane *self, const char *what, const SwarmNetdAddress *address, guint prefix, GError **error);
/* The host's ways are looked up anew by the next apply. */
void swarm_netd_overlap_forget (SwarmNetdPlane *self);
/* @address with the bits behind @prefix zero. */
SwarmNetdAddress swarm_netd_subnet (const SwarmNetdAddress *address, guint prefix);

/* ---- host.c ---- */
/* The gateway bridge and this host's place in the ingress network. */
gboolean swarm_netd_host_put (SwarmNetdPlane *self, GError **error);
/* What does not go with a link. */
void swarm_netd_host_delete (SwarmNetdPlane *self);
gboolean swarm_netd_node_put (SwarmNetdPlane *self, const SwarmNetdNode *node, GError **error);
gboolean swarm_netd_node_delete (SwarmNetdPlane *self, const SwarmNetdNode *node, GError **error);

/* ---- network.c ---- */
/* The largest packet inside a VXLAN over the underlay. 0: this host has not its underlay address. */
guint swarm_netd_network_mtu (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error);
gboolean swarm_netd_network_put (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error);
gboolean swarm_netd_network_delete (SwarmNetdPlane *self, const SwarmNetdNetwork *network, GError **error);
gboolean swarm_netd_endpoint_put (SwarmNetdPlane *self, const SwarmNetdEndpoint *endpoint, GError **error);
gboolean swarm_netd_endpoint_delete (SwarmNetdPlane *self, const SwarmNetdEndpoint *endpoint, GError **error);
/* Takes away what the VXLAN devices know and nobody wants. */
void swarm_netd_network_sweep (SwarmNetdPlane *self);

/* ---- sandbox.c ---- */
void swarm_netd_box_free (gpointer box);
gboolean swarm_netd_sandbox_put (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, GError **error);
/* How many descriptors systemd keeps for us. */
guint swarm_netd_sandbox_store_room (void);
/* Gives systemd what it has not yet and has room for; says so when there is none. */
void swarm_netd_sandbox_keep (SwarmNetdPlane *self);
/* Who lives where is looked up anew by the next apply. */
void swarm_netd_sandbox_forget_holders (SwarmNetdPlane *self);
/* Lets go of what an earlier netd held and nobody wants. */
void swarm_netd_sandbox_sweep (SwarmNetdPlane *self);
gboolean swarm_netd_sandbox_delete (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, GError **error);
gboolean swarm_netd_interface_put (SwarmNetdPlane *self, const SwarmNetdInterface *interface, GError **error);
gboolean swarm_netd_interface_delete (SwarmNetdPlane *self, const SwarmNetdInterface *interface, GError **error);
SwarmNetdLinkName swarm_netd_veth_name (const SwarmNetdInterface *interface);

/* What of the tables a box is asked for at each packet or question: its networks. */
void swarm_netd_box_refresh (SwarmNetdBox *box);
gboolean swarm_netd_box_is_in (const SwarmNetdBox *box, guint32 vni);

/* ---- vip.c ---- */
/* The service of @row (a SERVICE or BACKEND) is to be looked at by the next flush. */
void swarm_netd_vip_mark (SwarmNetdPlane *self, const SwarmNetdRow *row);
/* Brings what is marked to all boxes, and everything to stale boxes. */
void swarm_netd_vip_flush (SwarmNetdPlane *self);
GHashTable *swarm_netd_vip_table_new (void);

/* ---- evict.c ---- */
SwarmNetdEvict *swarm_netd_evict_new (SwarmNetdPlane *plane);
void swarm_netd_evict_free (SwarmNetdEvict *self);
/* Notes the connections that @change ends, if any. */
void swarm_netd_evict_mark (SwarmNetdEvict *self, const SwarmNetdChange *change);
/* Begins to end what is noted, now that the slots have changed; it goes on from the loop. */
void swarm_netd_evict_flush (SwarmNetdEvict *self);
/* Backends and places that it has before it. */
guint swarm_netd_evict_size (SwarmNetdEvict *self);
/* Milliseconds before what failed is tried again. */
extern guint swarm_netd_evict_again;

/* ---- idle.c ---- */
/* TCP connections by way of our tables, in a task's namespace or the @host's, are remembered for days from now on, whatever the kernel is set to. */
void swarm_netd_idle_put (SwarmNetdNft *nft, gboolean host);
void swarm_netd_idle_delete (SwarmNetdNft *nft);

/* ---- mesh.c ---- */
void swarm_netd_mesh_mark (SwarmNetdPlane *self, const SwarmNetdRow *row);
void swarm_netd_mesh_flush (SwarmNetdPlane *self);
/* TRUE: on a published port the host listens now, or does not any more. */
gboolean swarm_netd_mesh_look (SwarmNetdPlane *self);
GHashTable *swarm_netd_mesh_table_new (void);

/* ---- guard.c ---- */
/* Makes the host forward; not between those of its links that did not before. */
void swarm_netd_guard_forward (SwarmNetdPlane *self, gboolean v6);
/* Nothing is wanted any more, before our table goes: it forwards no more if it did so because of us only. */
void swarm_netd_guard_give_back (SwarmNetdPlane *self);
/* What may pass the ingress bridge @in and the gateway bridge @gate: chains of the host's table. */
void swarm_netd_guard_append (SwarmNetdPlane *self, GString *out, const char *in, const char *gate);
