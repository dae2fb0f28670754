// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses of both families in one form: IPv6, or IPv4 as ::ffff:a.b.c.d. */
#pragma once
#include "netd/swarm-netd-batch.h"
#include <glib.h>

typedef struct {
  char str[46];
} SwarmNetdAddressText;

gboolean swarm_netd_address_is_none (const SwarmNetdAddress *address);
gboolean swarm_netd_address_is_v4 (const SwarmNetdAddress *address);
gboolean swarm_netd_address_equal (const SwarmNetdAddress *a, const SwarmNetdAddress *b);
/* One that a host or task can have: not none, loopback, multicast, link-local or unspecified. */
gboolean swarm_netd_address_is_usable (const SwarmNetdAddress *address);
/* AF_INET or AF_INET6. */
int swarm_netd_address_family (const SwarmNetdAddress *address);
/* The 4 or 16 bytes as the kernel wants them; their number in @length. */
const guint8 *swarm_netd_address_bytes (const SwarmNetdAddress *address, gsize *length);
/* "10.0.0.1" or "fd00::1", by value. */
SwarmNetdAddressText swarm_netd_address_text (const SwarmNetdAddress *address);
gboolean swarm_netd_address_parse (const char *text, SwarmNetdAddress *ret);
