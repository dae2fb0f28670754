// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/row.h"
#include "base/error.h"
#include "netd/address.h"
#include <stddef.h>
#include <string.h>

typedef struct {
  const char *name;
  gsize size;
  gsize key; /* first bytes that are the key */
  gboolean tail; /* text follows the struct, and all of it is key */
  gboolean (*check) (const SwarmNetdRow *row, GError **error);
  gboolean (*check_key) (const SwarmNetdRow *row, GError **error);
  void (*describe) (const SwarmNetdRow *row, GString *text);
} RowType;

static gboolean
bad (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

static gboolean
zero (const void *data, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (((const guint8 *) data)[i] != 0)
      return FALSE;
  return TRUE;
}

#define RESERVED(member) (zero (&(member), sizeof (member)) || bad (error, #member " is not zero"))

static gboolean
check_id (const SwarmNetdId *id, GError **error)
{
  gsize n = strnlen (id->text, sizeof id->text);
  if (n == 0 || n == sizeof id->text)
    return bad (error, "an id has 1 to %u characters", (guint) sizeof id->text - 1);
  for (gsize i = 0; i < n; i++)
    if (!g_ascii_isalnum (id->text[i]) && strchr ("_.-", id->text[i]) == NULL)
      return bad (error, "an id has a character other than [A-Za-z0-9_.-]");
  return zero (id->text + n, sizeof id->text - n) || bad (error, "an id is not filled up with zeros");
}

static gboolean
check_node_number (guint32 node, GError **error)
{
  return (node >= 1 && node <= 4095) || bad (error, "node number %u is not 1 … 4095", node);
}

static gboolean
check_vni (guint32 vni, GError **error)
{
  return (vni >= 1 && vni <= 0xffffff) || bad (error, "VNI %u is not 1 … 16777215", vni);
}

static gboolean
check_flags (guint32 flags, guint32 known, GError **error)
{
  return (flags & ~known) == 0 || bad (error, "flags 0x%x are not known to this version", flags & ~known);
}

static gboolean
check_usable (const SwarmNetdAddress *address, const char *what, GError **error)
{
  return swarm_netd_address_is_usable (address) ||
         bad (error, "%s %s is not one that a host or task can have", what, swarm_netd_address_text (address).str);
}

static gboolean
check_mac (const guint8 mac[6], GError **error)
{
  return (!zero (mac, 6) && (mac[0] & 1) == 0) || bad (error, "the MAC address is not of one interface");
}

/* An address of a family with its prefix length, or none with 0. */
static gboolean
check_prefixed (const SwarmNetdAddress *address, guint prefix, int bits, const char *what, GError **error)
{
  if (swarm_netd_address_is_none (address))
    return prefix == 0 || bad (error, "%s has a prefix length and no address", what);
  if (swarm_netd_address_is_v4 (address) != (bits == 32))
    return bad (error, "%s %s is of the wrong family", what, swarm_netd_address_text (address).str);
  if (prefix < 1 || prefix > (guint) bits)
    return bad (error, "%s has prefix length %u", what, prefix);
  return check_usable (address, what, error);
}

static gboolean
check_protocol (guint protocol, guint port, GError **error)
{
  if (protocol != 6 && protocol != 17 && protocol != 132)
    return bad (error, "protocol %u is not tcp, udp or sctp", protocol);
  return port != 0 || bad (error, "port 0");
}

/* ---- one by one ---- */

static gboolean
check_wireguard_port (const SwarmNetdHost *host, GError **error)
{
  guint port = host->wireguard_port;
  if (port == G_MAXUINT16 || (port != 0 && (port == host->vxlan_port || port + 1 == host->vxlan_port)))
    return bad (error, "WireGuard port %u and the next one must be free", port);
  return TRUE;
}

static gboolean
host_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdHost *host = (const void *) row->data;
  return check_node_number (host->node, error) && (host->vxlan_port != 0 || bad (error, "VXLAN port 0")) &&
         check_wireguard_port (host, error);
}

static gboolean
node_key (const SwarmNetdRow *row, GError **error)
{
  return check_node_number (((const SwarmNetdNode *) row->data)->node, error);
}

static gboolean
node_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdNode *node = (const void *) row->data;
  gboolean ingress = !swarm_netd_address_is_none (&node->ingress4) || !swarm_netd_address_is_none (&node->ingress6);
  if (ingress ? !check_mac (node->ingress_mac, error) : !RESERVED (node->ingress_mac))
    return FALSE;
  return check_usable (&node->underlay, "the underlay address", error) && RESERVED (node->reserved) &&
         check_prefixed (&node->gateway4, node->gateway4_prefix, 32, "gateway4", error) &&
         check_prefixed (&node->gateway6, node->gateway6_prefix, 128, "gateway6", error) &&
         check_prefixed (&node->ingress4, node->ingress4_prefix, 32, "ingress4", error) &&
         check_prefixed (&node->ingress6, node->ingress6_prefix, 128, "ingress6", error);
}

static void
node_describe (const SwarmNetdRow *row, GString *text)
{
  g_string_append_printf (text, " %u", ((const SwarmNetdNode *) row->data)->node);
}

static gboolean
network_key (const SwarmNetdRow *row, GError **error)
{
  return check_vni (((const SwarmNetdNetwork *) row->data)->vni, error);
}

static gboolean
network_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdNetwork *network = (const void *) row->data;
  if ((network->flags & SWARM_NETD_NETWORK_ENCRYPTED) && (network->flags & SWARM_NETD_NETWORK_INGRESS))
    return bad (error, "an encrypted ingress network is not there yet");
  if (network->mtu != 0 && (network->mtu < 1280 || network->mtu > 65535))
    return bad (error, "MTU %u is not 1280 … 65535", network->mtu);
  return check_flags (network->flags, SWARM_NETD_NETWORK_INGRESS | SWARM_NETD_NETWORK_ENCRYPTED, error) && RESERVED (network->reserved) && check_id (&network->id, error);
}

static void
network_describe (const SwarmNetdRow *row, GString *text)
{
  g_string_append_printf (text, " %u", ((const SwarmNetdNetwork *) row->data)->vni);
}

static gboolean
endpoint_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdEndpoint *endpoint = (const void *) row->data;
  return check_vni (endpoint->vni, error) && check_mac (endpoint->mac, error) && RESERVED (endpoint->reserved);
}

static gboolean
check_pair (const SwarmNetdAddress *v4, const SwarmNetdAddress *v6, GError **error)
{
  if (swarm_netd_address_is_none (v4) && swarm_netd_address_is_none (v6))
    return bad (error, "there is no address");
  if (!swarm_netd_address_is_none (v4) && !swarm_netd_address_is_v4 (v4))
    return bad (error, "address4 is of IPv6");
  if (!swarm_netd_address_is_none (v6) && swarm_netd_address_is_v4 (v6))
    return bad (error, "address6 is of IPv4");
  return (swarm_netd_address_is_none (v4) || check_usable (v4, "address4", error)) &&
         (swarm_netd_address_is_none (v6) || check_usable (v6, "address6", error));
}

static gboolean
endpoint_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdEndpoint *endpoint = (const void *) row->data;
  return check_node_number (endpoint->node, error) && check_pair (&endpoint->address4, &endpoint->address6, error);
}

static void
endpoint_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdEndpoint *e = (const void *) row->data;
  g_string_append_printf (text, " %u %02x:%02x:%02x:%02x:%02x:%02x", e->vni, e->mac[0], e->mac[1], e->mac[2], e->mac[3], e->mac[4], e->mac[5]);
}

static gboolean
sandbox_key (const SwarmNetdRow *row, GError **error)
{
  return check_id (&((const SwarmNetdSandbox *) row->data)->id, error);
}

static gboolean
sandbox_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdSandbox *sandbox = (const void *) row->data;
  gboolean attach = (sandbox->flags & SWARM_NETD_SANDBOX_ATTACH) != 0;
  if (attach != (sandbox->pid != 0) || attach != (sandbox->started != 0) || sandbox->pid > G_MAXINT32)
    return bad (error, "a pid and its start belong to a sandbox that is attached, and only to one");
  return check_flags (sandbox->flags, SWARM_NETD_SANDBOX_ATTACH, error);
}

static void
sandbox_describe (const SwarmNetdRow *row, GString *text)
{
  g_string_append_printf (text, " %s", ((const SwarmNetdSandbox *) row->data)->id.text);
}

static gboolean
interface_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdInterface *interface = (const void *) row->data;
  return check_id (&interface->sandbox, error) && (interface->vni == 0 || check_vni (interface->vni, error)) && RESERVED (interface->reserved);
}

static gboolean
interface_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdInterface *interface = (const void *) row->data;
  if (interface->index > 255)
    return bad (error, "index %u is not 0 … 255", interface->index);
  return check_mac (interface->mac, error) && check_pair (&interface->address4, &interface->address6, error) && RESERVED (interface->reserved2) &&
         check_prefixed (&interface->address4, interface->prefix4, 32, "address4", error) &&
         check_prefixed (&interface->address6, interface->prefix6, 128, "address6", error);
}

static void
interface_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdInterface *interface = (const void *) row->data;
  g_string_append_printf (text, " %s %u", interface->sandbox.text, interface->vni);
}

static gboolean
service_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdService *service = (const void *) row->data;
  return check_vni (service->vni, error) && RESERVED (service->reserved) && check_usable (&service->address, "the address", error);
}

static gboolean
service_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdService *service = (const void *) row->data;
  return check_flags (service->flags, SWARM_NETD_SERVICE_AFFINITY, error) && RESERVED (service->reserved2);
}

static void
service_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdService *service = (const void *) row->data;
  g_string_append_printf (text, " %u %s", service->vni, swarm_netd_address_text (&service->address).str);
}

static gboolean
backend_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdBackend *backend = (const void *) row->data;
  if (swarm_netd_address_is_v4 (&backend->backend) != swarm_netd_address_is_v4 (&backend->address))
    return bad (error, "service and backend are of different families");
  return service_key (row, error) && check_usable (&backend->backend, "the backend", error);
}

static gboolean
backend_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdBackend *backend = (const void *) row->data;
  return check_flags (backend->flags, SWARM_NETD_BACKEND_DRAINING, error) && RESERVED (backend->reserved2);
}

static void
backend_describe (const SwarmNetdRow *row, GString *text)
{
  service_describe (row, text);
  g_string_append_printf (text, " %s", swarm_netd_address_text (&((const SwarmNetdBackend *) row->data)->backend).str);
}

static gboolean
port_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdPort *port = (const void *) row->data;
  return check_protocol (port->protocol, port->port, error) && RESERVED (port->reserved);
}

static gboolean
port_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdPort *port = (const void *) row->data;
  return check_flags (port->flags, SWARM_NETD_SERVICE_AFFINITY, error) && RESERVED (port->reserved2);
}

static void
port_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdPort *port = (const void *) row->data;
  g_string_append_printf (text, " %u/%s", port->port, port->protocol == 6 ? "tcp" : port->protocol == 17 ? "udp" : "sctp");
}

static gboolean
port_backend_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdPortBackend *backend = (const void *) row->data;
  return port_key (row, error) && check_usable (&backend->backend, "the backend", error) && (backend->target != 0 || bad (error, "target port 0")) &&
         RESERVED (backend->reserved2);
}

static gboolean
port_backend_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdPortBackend *backend = (const void *) row->data;
  return check_flags (backend->flags, SWARM_NETD_BACKEND_DRAINING, error) && RESERVED (backend->reserved3);
}

static void
port_backend_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdPortBackend *backend = (const void *) row->data;
  port_describe (row, text);
  g_string_append_printf (text, " %s %u", swarm_netd_address_text (&backend->backend).str, backend->target);
}

static gboolean
name_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdName *name = (const void *) row->data;
  gsize room = row->length - sizeof *name, n = strnlen (name->name, room);
  if (n == 0 || n > 253 || room - n > 8)
    return bad (error, "a name has 1 to 253 characters and 1 to 8 zeros behind it");
  if (!zero (name->name + n, room - n) || room == n)
    return bad (error, "a name does not end with zeros");
  for (gsize i = 0; i < n; i++)
    if (!g_ascii_islower (name->name[i]) && !g_ascii_isdigit (name->name[i]) && strchr ("_.-", name->name[i]) == NULL)
      return bad (error, "a name has a character other than [a-z0-9_.-]");
  if (name->name[0] == '.' || name->name[n - 1] == '.' || strstr (name->name, "..") != NULL)
    return bad (error, "a name has an empty part");
  return check_vni (name->vni, error) && RESERVED (name->reserved) && check_usable (&name->address, "the address", error);
}

static void
name_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdName *name = (const void *) row->data;
  g_string_append_printf (text, " %u %s %s", name->vni, name->name, swarm_netd_address_text (&name->address).str);
}

static gboolean
resolver_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdResolver *resolver = (const void *) row->data;
  return check_id (&resolver->sandbox, error) && (resolver->index < 16 || bad (error, "index %u is not 0 … 15", resolver->index)) &&
         RESERVED (resolver->reserved);
}

static gboolean
resolver_check (const SwarmNetdRow *row, GError **error)
{
  return check_usable (&((const SwarmNetdResolver *) row->data)->address, "the address", error);
}

static void
resolver_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdResolver *resolver = (const void *) row->data;
  g_string_append_printf (text, " %s %u", resolver->sandbox.text, resolver->index);
}

static gboolean
wireguard_key (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdWireguard *wireguard = (const void *) row->data;
  return check_node_number (wireguard->node, error) && (wireguard->slot <= 1 || bad (error, "slot %u is not 0 or 1", wireguard->slot));
}

static gboolean
wireguard_check (const SwarmNetdRow *row, GError **error)
{
  const SwarmNetdWireguard *wireguard = (const void *) row->data;
  if (zero (wireguard->key, sizeof wireguard->key))
    return bad (error, "the key is zero");
  return check_flags (wireguard->flags, SWARM_NETD_WIREGUARD_NEWEST, error) && RESERVED (wireguard->reserved);
}

static void
wireguard_describe (const SwarmNetdRow *row, GString *text)
{
  const SwarmNetdWireguard *wireguard = (const void *) row->data;
  g_string_append_printf (text, " %u %u", wireguard->node, wireguard->slot);
}

#define KEY(type, next) offsetof (type, next)
static const RowType types[SWARM_NETD_N_TYPES] = {
  [SWARM_NETD_TYPE_HOST] = { "host", sizeof (SwarmNetdHost), 0, FALSE, host_check, NULL, NULL },
  [SWARM_NETD_TYPE_NODE] = { "node", sizeof (SwarmNetdNode), KEY (SwarmNetdNode, gateway4_prefix), FALSE, node_check, node_key, node_describe },
  [SWARM_NETD_TYPE_NETWORK] = { "network", sizeof (SwarmNetdNetwork), KEY (SwarmNetdNetwork, flags), FALSE, network_check, network_key, network_describe },
  [SWARM_NETD_TYPE_ENDPOINT] = { "endpoint", sizeof (SwarmNetdEndpoint), KEY (SwarmNetdEndpoint, node), FALSE, endpoint_check, endpoint_key, endpoint_describe },
  [SWARM_NETD_TYPE_SANDBOX] = { "sandbox", sizeof (SwarmNetdSandbox), KEY (SwarmNetdSandbox, flags), FALSE, sandbox_check, sandbox_key, sandbox_describe },
  [SWARM_NETD_TYPE_INTERFACE] = { "interface", sizeof (SwarmNetdInterface), KEY (SwarmNetdInterface, index), FALSE, interface_check, interface_key, interface_describe },
  [SWARM_NETD_TYPE_SERVICE] = { "service", sizeof (SwarmNetdService), KEY (SwarmNetdService, flags), FALSE, service_check, service_key, service_describe },
  [SWARM_NETD_TYPE_BACKEND] = { "backend", sizeof (SwarmNetdBackend), KEY (SwarmNetdBackend, flags), FALSE, backend_check, backend_key, backend_describe },
  [SWARM_NETD_TYPE_PORT] = { "port", sizeof (SwarmNetdPort), KEY (SwarmNetdPort, flags), FALSE, port_check, port_key, port_describe },
  [SWARM_NETD_TYPE_PORT_BACKEND] = { "port backend", sizeof (SwarmNetdPortBackend), KEY (SwarmNetdPortBackend, flags), FALSE, port_backend_check, port_backend_key, port_backend_describe },
  [SWARM_NETD_TYPE_NAME] = { "name", sizeof (SwarmNetdName), sizeof (SwarmNetdName), TRUE, NULL, name_key, name_describe },
  [SWARM_NETD_TYPE_RESOLVER] = { "resolver", sizeof (SwarmNetdResolver), KEY (SwarmNetdResolver, address), FALSE, resolver_check, resolver_key, resolver_describe },
  [SWARM_NETD_TYPE_WIREGUARD] = { "WireGuard key", sizeof (SwarmNetdWireguard), KEY (SwarmNetdWireguard, key), FALSE, wireguard_check, wireguard_key, wireguard_describe },
};

SwarmNetdRow *
swarm_netd_row_parse (guint16 type, const guint8 *data, gsize length, gboolean remove, GError **error)
{
  if (type >= SWARM_NETD_N_TYPES || types[type].name == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "rows of type %u are not known to this version", type);
    return NULL;
  }
  const RowType *t = &types[type];
  gsize most = t->tail ? t->size + 264 : t->size;
  if (length < t->size + (t->tail ? 8 : 0) || length > most) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a %s row has %" G_GSIZE_FORMAT " bytes", t->name, length);
    return NULL;
  }
  g_autoptr (SwarmNetdRow) row = g_malloc (sizeof *row + length);
  *row = (SwarmNetdRow){ .refs = 1, .type = type, .length = length };
  memcpy (row->data, data, length);
  if ((t->check_key != NULL && !t->check_key (row, error)) || (!remove && t->check != NULL && !t->check (row, error))) {
    g_prefix_error (error, "%s row: ", t->name);
    return NULL;
  }
  return g_steal_pointer (&row);
}

SwarmNetdRow *
swarm_netd_row_ref (SwarmNetdRow *row)
{
  row->refs++;
  return row;
}

void
swarm_netd_row_unref (SwarmNetdRow *row)
{
  if (--row->refs == 0)
    g_free (row);
}

int
swarm_netd_row_compare (const SwarmNetdRow *a, const SwarmNetdRow *b)
{
  const RowType *t = &types[a->type];
  gsize na = t->tail ? a->length : t->key, nb = t->tail ? b->length : t->key;
  int order = memcmp (a->data, b->data, MIN (na, nb));
  return order != 0 ? order : (na > nb) - (na < nb);
}

gboolean
swarm_netd_row_equal (const SwarmNetdRow *a, const SwarmNetdRow *b)
{
  return a->type == b->type && a->length == b->length && memcmp (a->data, b->data, a->length) == 0;
}

gsize
swarm_netd_row_key_size (guint16 type)
{
  return types[type].key;
}

char *
swarm_netd_row_describe (const SwarmNetdRow *row)
{
  GString *text = g_string_new (types[row->type].name);
  if (types[row->type].describe != NULL)
    types[row->type].describe (row, text);
  return g_string_free (text, FALSE);
}

const char *
swarm_netd_type_to_string (guint16 type)
{
  return type < SWARM_NETD_N_TYPES && types[type].name != NULL ? types[type].name : "unknown";
}
