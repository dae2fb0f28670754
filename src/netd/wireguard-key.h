// SPDX-License-Identifier: LGPL-2.1-or-later
/* A node's keys. The private one is made here, and is in memory only: in a memfd that systemd keeps over a restart of netd, and in the WireGuard
 * device. It never reaches a file, a log or another node. */
#pragma once
#include "netd/wireguard.h"

typedef struct {
  guint32 slot;
  gint64 made; /* CLOCK_BOOTTIME, in seconds */
  SwarmNetdKey private_key;
  SwarmNetdKey public_key;
} SwarmNetdKeyPair;

gint64 swarm_netd_key_now (void);
gboolean swarm_netd_key_make (SwarmNetdKeyPair *pair, guint slot, GError **error);
/* X25519 (RFC 7748) of @private_key and the base point. */
gboolean swarm_netd_key_public (const SwarmNetdKey *private_key, SwarmNetdKey *public_key, GError **error);
/* A sealed memfd with the pair; -1: with @error. */
int swarm_netd_key_store (const SwarmNetdKeyPair *pair, GError **error);
/* Reads one; FALSE: it is none. */
gboolean swarm_netd_key_load (int fd, SwarmNetdKeyPair *pair);
