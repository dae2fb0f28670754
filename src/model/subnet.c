// SPDX-License-Identifier: LGPL-2.1-or-later
#include "model/subnet.h"
#include <gio/gio.h>
#include <string.h>

/* Four decimal numbers of at most three digits; @text moves behind them. */
static gboolean
parse_ipv4 (const char **text, SwarmAddress *ret)
{
  const char *at = *text;

  *ret = (SwarmAddress){ .length = 4 };
  for (guint i = 0; i < 4; i++) {
    guint value = 0, digits = 0;

    for (; g_ascii_isdigit (*at) && digits < 3; at++, digits++)
      value = value * 10 + (guint) (*at - '0');
    if (digits == 0 || value > 255 || (i < 3 && *at++ != '.'))
      return FALSE;
    ret->bytes[i] = (guint8) value;
  }
  *text = at;
  return TRUE;
}

static gboolean
parse_ipv6 (const char *text, SwarmAddress *ret)
{
  g_autoptr (GInetAddress) address = strchr (text, '%') == NULL ? g_inet_address_new_from_string (text) : NULL;

  if (address == NULL || g_inet_address_get_family (address) != G_SOCKET_FAMILY_IPV6)
    return FALSE;
  *ret = (SwarmAddress){ .length = 16 };
  memcpy (ret->bytes, g_inet_address_to_bytes (address), 16);
  return TRUE;
}

gboolean
swarm_address_parse (const char *text, SwarmAddress *ret)
{
  const char *at = text;
  SwarmAddress address;

  if (text == NULL)
    return FALSE;
  if (!(parse_ipv4 (&at, &address) && *at == '\0') && !parse_ipv6 (text, &address))
    return FALSE;
  *ret = address;
  return TRUE;
}

static gboolean
parse_prefix (const char *text, guint max, guint *ret)
{
  guint value = 0, digits = 0;

  for (; g_ascii_isdigit (text[digits]) && digits < 3; digits++)
    value = value * 10 + (guint) (text[digits] - '0');
  if (digits == 0 || text[digits] != '\0' || value > max)
    return FALSE;
  *ret = value;
  return TRUE;
}

static void
cut_off (SwarmSubnet *self)
{
  for (guint bit = self->prefix; bit < self->address.length * 8u; bit++)
    self->address.bytes[bit / 8] &= (guint8) ~(0x80 >> bit % 8);
}

gboolean
swarm_subnet_parse_host (const char *text, SwarmAddress *ret_address, SwarmSubnet *ret_subnet)
{
  const char *slash = text != NULL ? strchr (text, '/') : NULL;
  const char *at = text;
  SwarmAddress address;
  SwarmSubnet subnet;

  if (slash == NULL)
    return FALSE;
  if (!(parse_ipv4 (&at, &address) && at == slash)) {
    g_autofree char *before = g_strndup (text, (gsize) (slash - text));

    if (!parse_ipv6 (before, &address))
      return FALSE;
  }
  subnet.address = address;
  if (!parse_prefix (slash + 1, address.length * 8u, &subnet.prefix))
    return FALSE;
  cut_off (&subnet);
  if (ret_address != NULL)
    *ret_address = address;
  if (ret_subnet != NULL)
    *ret_subnet = subnet;
  return TRUE;
}

gboolean
swarm_subnet_parse (const char *text, SwarmSubnet *ret)
{
  return swarm_subnet_parse_host (text, NULL, ret);
}

char *
swarm_address_to_string (const SwarmAddress *self)
{
  g_autoptr (GInetAddress) address = NULL;

  if (self->length == 4)
    return g_strdup_printf ("%u.%u.%u.%u", self->bytes[0], self->bytes[1], self->bytes[2], self->bytes[3]);
  address = g_inet_address_new_from_bytes (self->bytes, G_SOCKET_FAMILY_IPV6);
  return g_inet_address_to_string (address);
}

char *
swarm_subnet_to_string (const SwarmSubnet *self)
{
  return swarm_address_in_subnet (&self->address, self);
}

char *
swarm_address_in_subnet (const SwarmAddress *address, const SwarmSubnet *subnet)
{
  g_autofree char *text = swarm_address_to_string (address);

  return g_strdup_printf ("%s/%u", text, subnet->prefix);
}

gboolean
swarm_subnet_contains (const SwarmSubnet *self, const SwarmAddress *address)
{
  guint whole = self->prefix / 8, rest = self->prefix % 8;
  guint8 mask = (guint8) (0xff00 >> rest);

  return self->address.length == address->length && memcmp (self->address.bytes, address->bytes, whole) == 0
         && (rest == 0 || ((self->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0);
}

gboolean
swarm_subnets_overlap (const SwarmSubnet *a, const SwarmSubnet *b)
{
  return a->prefix <= b->prefix ? swarm_subnet_contains (a, &b->address) : swarm_subnet_contains (b, &a->address);
}

gboolean
swarm_subnet_is_reserved (const SwarmSubnet *self)
{
  static const char *const reserved[] = { "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "::/8", "fe80::/10", "ff00::/8" };

  for (guint i = 0; i < G_N_ELEMENTS (reserved); i++) {
    SwarmSubnet other;

    if (swarm_subnet_parse (reserved[i], &other) && swarm_subnets_overlap (self, &other))
      return TRUE;
  }
  return FALSE;
}

guint32
swarm_address_number (const SwarmAddress *self)
{
  return (guint32) self->bytes[0] << 24 | (guint32) self->bytes[1] << 16 | (guint32) self->bytes[2] << 8 | self->bytes[3];
}

SwarmAddress
swarm_address_from_number (guint32 number)
{
  return (SwarmAddress){ { (guint8) (number >> 24), (guint8) (number >> 16), (guint8) (number >> 8), (guint8) number }, 4 };
}

guint64
swarm_subnet_size (const SwarmSubnet *self)
{
  return G_GUINT64_CONSTANT (1) << (32 - self->prefix);
}

SwarmAddress
swarm_subnet_embed (const SwarmSubnet *self, const SwarmAddress *ipv4)
{
  SwarmAddress address = self->address;

  memcpy (address.bytes + 12, ipv4->bytes, 4);
  return address;
}

char *
swarm_address_mac (const SwarmAddress *ipv4)
{
  return g_strdup_printf ("02:42:%02x:%02x:%02x:%02x", ipv4->bytes[0], ipv4->bytes[1], ipv4->bytes[2], ipv4->bytes[3]);
}
