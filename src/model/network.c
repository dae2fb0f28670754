// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables and rules of networks. Numbers are stored: never change or reuse one. */
#include "model/network.h"
#include "base/error.h"
#include "model/rules.h"
#include <string.h>

#define LEVEL 2
#define MIN_MTU 68
#define MIN_MTU_IPV6 1280
#define TYPE(lower, Struct, ...) const SwarmType lower##_type = { #Struct, sizeof (Struct), lower##_fields, ##__VA_ARGS__ }

/* ---- rules (SWARM_BEHAVIOUR §9) ---- */

/* The address of the subnet itself, or (IPv4) the one by which all are meant. */
static gboolean
is_edge (const SwarmSubnet *subnet, const SwarmAddress *address)
{
  if (memcmp (subnet->address.bytes, address->bytes, address->length) == 0)
    return TRUE;
  return address->length == 4 && swarm_address_number (address) - swarm_address_number (&subnet->address) == swarm_subnet_size (subnet) - 1;
}

static gboolean
check_range (const char *text, const SwarmSubnet *subnet, const char *subnet_text, GError **error)
{
  SwarmSubnet range;

  if (!swarm_subnet_parse (text, &range))
    swarm_field_error_verbatim (error, "ipam configuration: invalid range %s", text);
  else if (range.prefix < subnet->prefix || !swarm_subnet_contains (subnet, &range.address))
    swarm_field_error_verbatim (error, "ipam configuration: subnet %s does not contain range %s", subnet_text, text);
  else if (range.address.length == 16)
    swarm_field_error_verbatim (error, "ipam configuration: invalid range %s: IPv6 addresses follow those of IPv4 and have no range of their own", text);
  else
    return TRUE;
  return FALSE;
}

static gboolean
check_gateway (const char *text, const SwarmSubnet *subnet, const char *subnet_text, GError **error)
{
  SwarmAddress gateway;

  if (!swarm_address_parse (text, &gateway))
    swarm_field_error_verbatim (error, "ipam configuration: invalid gateway %s", text);
  else if (!swarm_subnet_contains (subnet, &gateway))
    swarm_field_error_verbatim (error, "ipam configuration: subnet %s does not contain gateway %s", subnet_text, text);
  else if (is_edge (subnet, &gateway))
    swarm_field_error_verbatim (error, "ipam configuration: invalid gateway %s: no host can have the first or the last address of subnet %s", text,
                                subnet_text);
  else
    return TRUE;
  return FALSE;
}

static gboolean
check_ipam_config (const SwarmMessage *message, GError **error)
{
  const SwarmIPAMConfig *self = (const SwarmIPAMConfig *) message;
  SwarmSubnet subnet;

  if (!swarm_subnet_parse (self->subnet, &subnet))
    swarm_field_error_verbatim (error, "ipam configuration: invalid subnet %s", self->subnet != NULL ? self->subnet : "");
  else if (subnet.address.length == 4 && (subnet.prefix < 8 || subnet.prefix > 29))
    swarm_field_error_verbatim (error, "ipam configuration: invalid subnet %s: its mask has 8 to 29 bits", self->subnet);
  else if (subnet.address.length == 16 && subnet.prefix > 96)
    swarm_field_error_verbatim (error, "ipam configuration: invalid subnet %s: a mask of IPv6 has at most 96 bits", self->subnet);
  else if (swarm_subnet_is_reserved (&subnet))
    swarm_field_error_verbatim (error, "ipam configuration: invalid subnet %s: no host can have its addresses", self->subnet);
  else
    return (self->ip_range == NULL || check_range (self->ip_range, &subnet, self->subnet, error))
           && (self->gateway == NULL || check_gateway (self->gateway, &subnet, self->subnet, error));
  return FALSE;
}

static gboolean
check_ipam (const SwarmMessage *message, GError **error)
{
  const SwarmIPAM *self = (const SwarmIPAM *) message;

  if (self->driver != NULL && *self->driver != '\0' && !g_str_equal (self->driver, "default")) {
    swarm_field_error_verbatim (error, "ipam configuration: unknown driver %s, only default is supported", self->driver);
    return FALSE;
  }
  for (guint i = 0; self->config != NULL && i < self->config->len; i++)
    for (guint k = 0; k < i; k++) {
      const SwarmIPAMConfig *a = g_ptr_array_index (self->config, i), *b = g_ptr_array_index (self->config, k);
      SwarmSubnet one, other;

      if (swarm_subnet_parse (a->subnet, &one) && swarm_subnet_parse (b->subnet, &other) && swarm_subnets_overlap (&one, &other)) {
        swarm_field_error_verbatim (error, "ipam configuration: subnet %s overlaps subnet %s", a->subnet, b->subnet);
        return FALSE;
      }
    }
  return TRUE;
}

static gboolean
is_true (const char *text)
{
  return g_ascii_strcasecmp (text, "true") == 0 || g_str_equal (text, "1");
}

static gboolean
is_false (const char *text)
{
  return g_ascii_strcasecmp (text, "false") == 0 || g_str_equal (text, "0");
}

static const char *
mtu_option (const SwarmNetworkSpec *self)
{
  const char *mtu = self->options != NULL ? g_hash_table_lookup (self->options, "mtu") : NULL;

  return mtu != NULL || self->options == NULL ? mtu : g_hash_table_lookup (self->options, "com.docker.network.driver.mtu");
}

static gboolean
check_options (const SwarmNetworkSpec *self, GError **error)
{
  static const char *const known[] = { "encrypted", "mtu", "com.docker.network.driver.mtu", NULL };
  GHashTableIter iter;
  gpointer key;
  const char *mtu = mtu_option (self), *encrypted = self->options != NULL ? g_hash_table_lookup (self->options, "encrypted") : NULL;
  guint64 value;

  if (self->options != NULL) {
    g_hash_table_iter_init (&iter, self->options);
    while (g_hash_table_iter_next (&iter, &key, NULL))
      if (!g_strv_contains (known, key)) {
        swarm_field_error_verbatim (error, "unknown option %s: networks have encrypted and mtu", (const char *) key);
        return FALSE;
      }
  }
  if (encrypted != NULL && *encrypted != '\0' && !is_true (encrypted) && !is_false (encrypted)) {
    swarm_field_error_verbatim (error, "invalid encrypted %s: it is \"true\" or \"false\"", encrypted);
    return FALSE;
  }
  if (mtu == NULL || g_ascii_string_to_unsigned (mtu, 10, self->ipv6 ? MIN_MTU_IPV6 : MIN_MTU, 65535, &value, NULL))
    return TRUE;
  swarm_field_error_verbatim (error, "invalid mtu %s: it is a number from %d to 65535", mtu, self->ipv6 ? MIN_MTU_IPV6 : MIN_MTU);
  return FALSE;
}

static gboolean
has_family (const SwarmNetworkSpec *self, guint length)
{
  GPtrArray *config = self->ipam != NULL ? self->ipam->config : NULL;

  for (guint i = 0; config != NULL && i < config->len; i++) {
    SwarmSubnet subnet;

    if (swarm_subnet_parse (((SwarmIPAMConfig *) config->pdata[i])->subnet, &subnet) && subnet.address.length == length)
      return TRUE;
  }
  return FALSE;
}

static gboolean
check_key (const SwarmMessage *message, GError **error)
{
  static const guint8 zero[SWARM_NETWORK_KEY_SIZE];
  const SwarmNetworkKey *self = (const SwarmNetworkKey *) message;

  if (self->slot >= SWARM_NETWORK_KEYS_MAX)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "slot %" G_GUINT64_FORMAT " is not 0 or 1", self->slot);
  else if (self->key == NULL || g_bytes_get_size (self->key) != SWARM_NETWORK_KEY_SIZE || memcmp (g_bytes_get_data (self->key, NULL), zero, sizeof zero) == 0)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a public key has %d bytes, not all of them zero", SWARM_NETWORK_KEY_SIZE);
  else
    return TRUE;
  return FALSE;
}

gboolean
swarm_network_keys_check (const GPtrArray *keys, GError **error)
{
  guint slots = 0;

  for (guint i = 0; keys != NULL && i < keys->len; i++) {
    const SwarmNetworkKey *key = keys->pdata[i];
    if (!check_key (&key->message, error))
      return FALSE;
    if (slots & 1u << key->slot) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a node has one key in each slot, and %d at most", SWARM_NETWORK_KEYS_MAX);
      return FALSE;
    }
    slots |= 1u << key->slot;
  }
  return TRUE;
}

gboolean
swarm_rule_network_keys (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return swarm_network_keys_check (*(GPtrArray *const *) ((const char *) message + field->offset), error);
}

static gboolean
check_network_spec (const SwarmMessage *message, GError **error)
{
  const SwarmNetworkSpec *self = (const SwarmNetworkSpec *) message;

  if (self->ingress && self->attachable)
    swarm_field_error_verbatim (error, "ingress network cannot be attachable");
  else if (self->ingress && self->internal)
    swarm_field_error_verbatim (error, "ingress network cannot be internal");
  else if (self->ingress && swarm_network_spec_is_encrypted (self))
    swarm_field_error_verbatim (error, "ingress network cannot be encrypted");
  else if (!self->ipv6 && has_family (self, 16))
    swarm_field_error_verbatim (error, "ipam configuration: an IPv6 subnet needs a network with IPv6 (--ipv6)");
  else
    return check_options (self, error);
  return FALSE;
}

/* ---- tables ---- */

static const SwarmField swarm_ipam_config_fields[] = {
  SWARM_FIELD (1, "Subnet", SwarmIPAMConfig, subnet, STRING, .doc = "Addresses of the network, \"10.1.0.0/24\"; IPv6 with at most 96 bits."),
  SWARM_FIELD (2, "IPRange", SwarmIPAMConfig, ip_range, STRING, .doc = "Part of the subnet (IPv4) of which services and tasks get their addresses."),
  SWARM_FIELD (3, "Gateway", SwarmIPAMConfig, gateway, STRING, .doc = "An address that is given to nobody; empty: the first one."),
  { 0 },
};
TYPE (swarm_ipam_config, SwarmIPAMConfig, check_ipam_config);

static const SwarmField swarm_ipam_fields[] = {
  SWARM_FIELD (1, "Driver", SwarmIPAM, driver, STRING, .doc = "Only default."),
  SWARM_FIELD (2, "Config", SwarmIPAM, config, MESSAGES, .type = &swarm_ipam_config_type, .doc = "Subnets; none: one of the cluster's pool."),
  { 0 },
};
TYPE (swarm_ipam, SwarmIPAM, check_ipam);

static const SwarmField swarm_network_spec_fields[] = {
  SWARM_FIELD (1, "Name", SwarmNetworkSpec, name, STRING, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL, .validate = swarm_rule_service_name,
               .doc = "Name, a DNS label."),
  SWARM_FIELD (2, "Labels", SwarmNetworkSpec, labels, MAP, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL, .doc = "Labels of the network."),
  SWARM_FIELD (3, "Driver", SwarmNetworkSpec, driver, STRING, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL, .doc = "Only overlay."),
  SWARM_FIELD (4, "IPAM", SwarmNetworkSpec, ipam, MESSAGE, .type = &swarm_ipam_type, .since = LEVEL, .doc = "Its addresses."),
  SWARM_FIELD (5, "Internal", SwarmNetworkSpec, internal, BOOL, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL,
               .doc = "No way out of it, and none in."),
  SWARM_FIELD (6, "Attachable", SwarmNetworkSpec, attachable, BOOL, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL,
               .doc = "Containers that are no task may join."),
  SWARM_FIELD (7, "Ingress", SwarmNetworkSpec, ingress, BOOL, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL,
               .doc = "The network of the routing mesh."),
  SWARM_FIELD (8, "EnableIPv6", SwarmNetworkSpec, ipv6, BOOL, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL, .doc = "IPv6 beside IPv4."),
  SWARM_FIELD (9, "Options", SwarmNetworkSpec, options, MAP, .since = LEVEL, .doc = "\"encrypted\" and \"mtu\"."),
  { 0 },
};
TYPE (swarm_network_spec, SwarmNetworkSpec, check_network_spec);

static const SwarmField swarm_network_fields[] = {
  SWARM_FIELD (1, "ID", SwarmNetwork, object.id, ID, .flags = SWARM_FIELD_READONLY, .since = LEVEL),
  SWARM_FIELD (2, "Version.Index", SwarmNetwork, object.version, UINT, .flags = SWARM_FIELD_READONLY | SWARM_FIELD_ALWAYS, .since = LEVEL),
  SWARM_FIELD (3, "CreatedAt", SwarmNetwork, object.created_at, TIME, .flags = SWARM_FIELD_READONLY, .since = LEVEL),
  SWARM_FIELD (4, "UpdatedAt", SwarmNetwork, object.updated_at, TIME, .flags = SWARM_FIELD_READONLY, .since = LEVEL),
  SWARM_FIELD (5, "Spec", SwarmNetwork, spec, MESSAGE, .type = &swarm_network_spec_type, .since = LEVEL),
  SWARM_FIELD (6, "VNI", SwarmNetwork, vni, UINT, .since = LEVEL),
  SWARM_FIELD (7, "IPAM", SwarmNetwork, ipam, MESSAGE, .type = &swarm_ipam_type, .since = LEVEL),
  SWARM_FIELD (8, "Message", SwarmNetwork, text, STRING, .since = LEVEL),
  { 0 },
};
TYPE (swarm_network, SwarmNetwork);

static const SwarmField swarm_network_key_fields[] = {
  SWARM_FIELD (1, "Slot", SwarmNetworkKey, slot, UINT, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL),
  SWARM_FIELD (2, "Newest", SwarmNetworkKey, newest, BOOL, .flags = SWARM_FIELD_ALWAYS, .since = LEVEL),
  SWARM_FIELD (3, "PublicKey", SwarmNetworkKey, key, BYTES, .since = LEVEL),
  { 0 },
};
TYPE (swarm_network_key, SwarmNetworkKey, check_key);

/* ---- what they mean ---- */

gboolean
swarm_network_is_overlay (const SwarmNetwork *self)
{
  return self->spec != NULL && g_strcmp0 (self->spec->driver, SWARM_DRIVER_OVERLAY) == 0;
}

gboolean
swarm_network_is_predefined (const SwarmNetwork *self)
{
  return self->spec != NULL && self->spec->labels != NULL && g_hash_table_contains (self->spec->labels, SWARM_PREDEFINED_LABEL);
}

gboolean
swarm_network_is_allocated (const SwarmNetwork *self)
{
  return !swarm_network_is_overlay (self) || (self->vni != 0 && self->ipam != NULL);
}

guint
swarm_network_spec_mtu (const SwarmNetworkSpec *self)
{
  const char *mtu = mtu_option (self);

  return mtu != NULL ? (guint) g_ascii_strtoull (mtu, NULL, 10) : 0;
}

gboolean
swarm_network_spec_is_encrypted (const SwarmNetworkSpec *self)
{
  const char *encrypted = self->options != NULL ? g_hash_table_lookup (self->options, "encrypted") : NULL;

  return encrypted != NULL && !is_false (encrypted); /* alone, without a value: yes */
}
