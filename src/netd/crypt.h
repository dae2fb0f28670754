// SPDX-License-Identifier: LGPL-2.1-or-later
/* Encrypted networks.
 *
 * Their VXLAN devices stand in this host's bridges as those of other networks, but their packets travel in a namespace of its own, the inside, in
 * which there is nothing but WireGuard. So they can neither leave nor come in clear text, whatever happens to the firewall, to routes or to WireGuard: without
 * it there is no way. What WireGuard lets in comes from the host that it says it comes from.
 *
 * Inside, host N is 10.83.N (packets go there: WireGuard takes the key by it), and packets of its key in slot S come from 10.(84+S).N, N in two bytes.
 * So two of its keys can be good at once, and each sender changes to the new one by itself when it knows it.
 *
 * A key serves for 12 hours. The next one is made in the other slot, a device of its own beside the old one; it is said upward, and used towards each host from its first
 * handshake with that host on. When all hosts are there the old one ends; at the latest a
 * little after the new one has served its time, for hosts that never came. */
#pragma once
#include "netd/plane.h"
#include "netd/netlink.h"

typedef struct _SwarmNetdCrypt SwarmNetdCrypt;

SwarmNetdCrypt *swarm_netd_crypt_new (SwarmNetdPlane *plane);
/* Leaves the kernel as it is. */
void swarm_netd_crypt_free (SwarmNetdCrypt *self);
/* What an earlier netd held by the name @name ("crypt-…"): taken. */
void swarm_netd_crypt_adopt (SwarmNetdCrypt *self, const char *name, int fd);

/* The socket of the inside, which is made when it is not there. NULL: @error. */
SwarmNetdNetlink *swarm_netd_crypt_inside (SwarmNetdCrypt *self, GError **error);
/* FALSE: WireGuard does not work (yet), @error says why. */
gboolean swarm_netd_crypt_check (SwarmNetdCrypt *self, GError **error);
/* Makes WireGuard be as the tables say, and not be when there is no encrypted network. Goes on from the loop. */
void swarm_netd_crypt_flush (SwarmNetdCrypt *self);

/* Where VXLAN packets to a host go, inside. */
SwarmNetdAddress swarm_netd_crypt_address (guint32 node);
/* What WireGuard leaves of the underlay's @mtu. */
guint swarm_netd_crypt_mtu (guint mtu, gboolean underlay_v4);
/* This host's public keys: SwarmNetdWireguard. */
GArray *swarm_netd_crypt_keys (SwarmNetdCrypt *self);

/* Seconds that a key serves. */
extern guint swarm_netd_crypt_rotation;
