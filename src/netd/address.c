// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const guint8 v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

gboolean
swarm_netd_address_is_none (const SwarmNetdAddress *address)
{
  static const SwarmNetdAddress none;
  return swarm_netd_address_equal (address, &none);
}

gboolean
swarm_netd_address_is_v4 (const SwarmNetdAddress *address)
{
  return memcmp (address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

gboolean
swarm_netd_address_equal (const SwarmNetdAddress *a, const SwarmNetdAddress *b)
{
  return memcmp (a, b, sizeof *a) == 0;
}

gboolean
swarm_netd_address_is_usable (const SwarmNetdAddress *address)
{
  const guint8 *b = address->bytes;
  if (swarm_netd_address_is_v4 (address))
    return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 169 && b[13] == 254);
  static const guint8 low[12]; /* ::, ::1 and the like */
  return memcmp (b, low, sizeof low) != 0 && b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

int
swarm_netd_address_family (const SwarmNetdAddress *address)
{
  return swarm_netd_address_is_v4 (address) ? AF_INET : AF_INET6;
}

const guint8 *
swarm_netd_address_bytes (const SwarmNetdAddress *address, gsize *length)
{
  gboolean v4 = swarm_netd_address_is_v4 (address);
  *length = v4 ? 4 : 16;
  return address->bytes + (v4 ? 12 : 0);
}

SwarmNetdAddressText
swarm_netd_address_text (const SwarmNetdAddress *address)
{
  SwarmNetdAddressText text = { "none" };
  gsize length;
  if (!swarm_netd_address_is_none (address))
    inet_ntop (swarm_netd_address_family (address), swarm_netd_address_bytes (address, &length), text.str, sizeof text.str);
  return text;
}

gboolean
swarm_netd_address_parse (const char *text, SwarmNetdAddress *ret)
{
  SwarmNetdAddress address = { { 0 } };
  if (inet_pton (AF_INET, text, address.bytes + 12) == 1)
    memcpy (address.bytes, v4_prefix, sizeof v4_prefix);
  else if (inet_pton (AF_INET6, text, address.bytes) != 1)
    return FALSE;
  *ret = address;
  return TRUE;
}
