// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a WireGuard device is told and tells, whoever is behind it: the kernel (wireguard-kernel.c) or wireguard-go by its socket
 * (wireguard-user.c). Nothing here touches either. */
#pragma once
#include "netd/address.h"
#include <glib.h>

typedef struct {
  guint8 bytes[32];
} SwarmNetdKey;

#define SWARM_NETD_WIREGUARD_ALLOWED 2

typedef struct {
  SwarmNetdKey key;
  SwarmNetdAddress endpoint; /* none: not known */
  guint16 port;
  guint16 keepalive; /* seconds; 0: none */
  guint16 n_allowed;
  gboolean others; /* read: it has allowed addresses that we never set */
  SwarmNetdAddress allowed[SWARM_NETD_WIREGUARD_ALLOWED]; /* single addresses, IPv4 or IPv6 */
  gint64 handshake; /* read: seconds since 1970 of the last one; 0: none yet */
} SwarmNetdWireguardPeer;

/* A device's whole state, wanted or read. */
typedef struct {
  SwarmNetdKey private_key;
  guint16 port;
  GArray *peers; /* SwarmNetdWireguardPeer, in order of their keys */
} SwarmNetdWireguardConfig;

SwarmNetdWireguardConfig *swarm_netd_wireguard_config_new (void);
SwarmNetdWireguardConfig *swarm_netd_wireguard_config_copy (const SwarmNetdWireguardConfig *self);
/* Also wipes the key. */
void swarm_netd_wireguard_config_free (SwarmNetdWireguardConfig *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdWireguardConfig, swarm_netd_wireguard_config_free)
/* Brings the peers into order; of two with one key the first stays. How many went. */
guint swarm_netd_wireguard_config_sort (SwarmNetdWireguardConfig *self);
/* NULL: none has that key. */
const SwarmNetdWireguardPeer *swarm_netd_wireguard_config_find (const SwarmNetdWireguardConfig *self, const SwarmNetdKey *key);

/* What is set of the two is the same. */
gboolean swarm_netd_wireguard_config_equal (const SwarmNetdWireguardConfig *a, const SwarmNetdWireguardConfig *b);

/* What makes one state the other. */
typedef struct {
  const SwarmNetdWireguardConfig *wanted;
  gboolean key;
  gboolean port;
  GArray *removed; /* SwarmNetdKey */
  GArray *put;     /* SwarmNetdWireguardPeer: whole; those that take an address over from another come first */
} SwarmNetdWireguardChange;

/* NULL: there is no difference. @wanted is borrowed. */
SwarmNetdWireguardChange *swarm_netd_wireguard_diff (const SwarmNetdWireguardConfig *is, const SwarmNetdWireguardConfig *wanted);
void swarm_netd_wireguard_change_free (SwarmNetdWireguardChange *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdWireguardChange, swarm_netd_wireguard_change_free)

/* ---- the text protocol of userspace implementations (www.wireguard.com/xplatform) ---- */

#define SWARM_NETD_WIREGUARD_GET "get=1\n\n"
/* The "set" operation. Holds the private key: wipe it. */
GString *swarm_netd_wireguard_text (const SwarmNetdWireguardChange *change);
/* Reads the whole answer to "get" or "set" (up to the empty line). */
SwarmNetdWireguardConfig *swarm_netd_wireguard_parse (const char *text, gsize length, GError **error);
