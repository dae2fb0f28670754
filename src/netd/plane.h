// SPDX-License-Identifier: LGPL-2.1-or-later
/* The data plane of this host: makes the kernel match the tables. Everything that it makes carries our name (links sw…, nftables tables "swarm",
 * routes and rules of protocol 83); nothing else is touched. */
#pragma once
#include "netd/tables.h"

typedef struct _SwarmNetdPlane SwarmNetdPlane;

/* Something that the kernel could not do. */
typedef struct {
  guint16 type;
  char *object;
  char *text;
} SwarmNetdProblem;

/* @tables is the wanted state, changed by the caller before each apply. */
SwarmNetdPlane *swarm_netd_plane_new (SwarmNetdTables *tables, GError **error);
/* Leaves the kernel as it is. */
void swarm_netd_plane_free (SwarmNetdPlane *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdPlane, swarm_netd_plane_free)

/* A task namespace that an earlier netd held. Takes @netns. Before the first resync. */
void swarm_netd_plane_adopt (SwarmNetdPlane *self, const char *sandbox, int netns);
/* The sockets (UDP, TCP) of its name responder, taken. After the namespace. */
void swarm_netd_plane_adopt_names (SwarmNetdPlane *self, const char *sandbox, const int sockets[2]);
/* What an earlier netd held for encrypted networks by this name, taken. */
void swarm_netd_plane_adopt_crypt (SwarmNetdPlane *self, const char *name, int fd);
/* This host's public keys: SwarmNetdWireguard. Caller frees. */
GArray *swarm_netd_plane_keys (SwarmNetdPlane *self);
/* @func is called from the loop when something of the links has changed by itself and is to be looked at. */
void swarm_netd_plane_on_change (SwarmNetdPlane *self, void (*func) (guint what, gpointer data), gpointer data);
/* Carries out @changes (SwarmNetdChange*), which the tables have already. */
void swarm_netd_plane_apply (SwarmNetdPlane *self, GPtrArray *changes);

typedef enum {
  SWARM_NETD_RESYNC_LINKS = 1 << 0, /* links, addresses, routes, neighbours */
  SWARM_NETD_RESYNC_MESH = 1 << 1,  /* the host's nftables */
  SWARM_NETD_RESYNC_BOXES = 1 << 2, /* the tasks' nftables */
  SWARM_NETD_RESYNC_ALL = 7
} SwarmNetdResync;
/* Compares @what and mends it; what is ours and not wanted goes. */
void swarm_netd_plane_resync (SwarmNetdPlane *self, guint what);
/* Not when it was turned off for the whole host. */
gboolean swarm_netd_host_has_ipv6 (void);
/* TRUE: on a published port the host itself listens now, or does not any more. */
gboolean swarm_netd_plane_look (SwarmNetdPlane *self);

/* The same of the links of one sandbox. */
void swarm_netd_plane_mend (SwarmNetdPlane *self, const char *sandbox);

/* Sandboxes that systemd's descriptor store has no room for. */
guint swarm_netd_plane_unkept (SwarmNetdPlane *self);

/* For a client that knows nothing: all sandboxes that are whole count as made by the last apply. */
void swarm_netd_plane_note_all (SwarmNetdPlane *self);
/* What the last apply or resync could not do (SwarmNetdProblem*). */
GPtrArray *swarm_netd_plane_problems (SwarmNetdPlane *self);
/* The sandboxes that it made whole (SwarmNetdReady). */
GArray *swarm_netd_plane_ready (SwarmNetdPlane *self);
