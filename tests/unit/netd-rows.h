// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of the data plane, short to write. */
#pragma once
#include "netd/address.h"
#include "netd/batch.h"
#include <string.h>

static inline SwarmNetdAddress
addr (const char *text)
{
  SwarmNetdAddress address = { { 0 } };
  if (text != NULL)
    g_assert_true (swarm_netd_address_parse (text, &address));
  return address;
}

static inline SwarmNetdId
ident (const char *text)
{
  SwarmNetdId id = { { 0 } };
  g_strlcpy (id.text, text, sizeof id.text);
  return id;
}

/* 02:42 and the address. */
static inline void
mac_of (guint8 mac[6], const char *address4)
{
  SwarmNetdAddress address = addr (address4);
  mac[0] = 0x02;
  mac[1] = 0x42;
  memcpy (mac + 2, address.bytes + 12, 4);
}

static inline void
row (GByteArray *out, SwarmNetdType type, gboolean remove, const void *data, gsize length)
{
  swarm_netd_record_append (out, type, remove ? SWARM_NETD_REMOVE : SWARM_NETD_PUT, data, length);
}

static inline void
put_host (GByteArray *out, guint32 node)
{
  row (out, SWARM_NETD_TYPE_HOST, FALSE, &(SwarmNetdHost){ node, 4789, 0 }, sizeof (SwarmNetdHost));
}

/* Node N: 10.88.0.N, task subnet 10.88.(100+N).1/24, ingress 10.88.32.N/20. */
static inline void
put_node (GByteArray *out, guint32 number)
{
  g_autofree char *underlay = g_strdup_printf ("10.88.0.%u", number), *gateway = g_strdup_printf ("10.88.%u.1", 100 + number);
  g_autofree char *gateway6 = g_strdup_printf ("fd88:%u::1", 100 + number), *ingress = g_strdup_printf ("10.88.32.%u", number);
  g_autofree char *ingress6 = g_strdup_printf ("fd88:32::%u", number);
  SwarmNetdNode node = { .node = number, .gateway4_prefix = 24, .gateway6_prefix = 64, .ingress4_prefix = 20, .ingress6_prefix = 64,
                         .underlay = addr (underlay), .gateway4 = addr (gateway), .gateway6 = addr (gateway6), .ingress4 = addr (ingress),
                         .ingress6 = addr (ingress6) };
  mac_of (node.ingress_mac, ingress);
  row (out, SWARM_NETD_TYPE_NODE, FALSE, &node, sizeof node);
}

static inline void
put_network (GByteArray *out, guint32 vni, guint32 flags)
{
  g_autofree char *id = g_strdup_printf ("net%u", vni);
  row (out, SWARM_NETD_TYPE_NETWORK, FALSE, &(SwarmNetdNetwork){ .vni = vni, .flags = flags, .id = ident (id) }, sizeof (SwarmNetdNetwork));
}

static inline void
put_endpoint (GByteArray *out, guint32 vni, guint32 node, const char *address4, const char *address6)
{
  SwarmNetdEndpoint endpoint = { .vni = vni, .node = node, .address4 = addr (address4), .address6 = addr (address6) };
  mac_of (endpoint.mac, address4);
  row (out, SWARM_NETD_TYPE_ENDPOINT, FALSE, &endpoint, sizeof endpoint);
}

static inline void
put_sandbox (GByteArray *out, const char *id)
{
  row (out, SWARM_NETD_TYPE_SANDBOX, FALSE, &(SwarmNetdSandbox){ .id = ident (id) }, sizeof (SwarmNetdSandbox));
}

static inline void
put_interface (GByteArray *out, const char *sandbox, guint32 vni, guint32 index, const char *address4, const char *address6)
{
  SwarmNetdInterface interface = { .sandbox = ident (sandbox), .vni = vni, .index = index, .prefix4 = 24, .prefix6 = address6 != NULL ? 64 : 0,
                                   .address4 = addr (address4), .address6 = addr (address6) };
  mac_of (interface.mac, address4);
  row (out, SWARM_NETD_TYPE_INTERFACE, FALSE, &interface, sizeof interface);
}

static inline void
edit_service (GByteArray *out, gboolean remove, guint32 vni, const char *address, guint32 flags)
{
  row (out, SWARM_NETD_TYPE_SERVICE, remove, &(SwarmNetdService){ .vni = vni, .address = addr (address), .flags = flags }, sizeof (SwarmNetdService));
}

static inline void
edit_backend (GByteArray *out, gboolean remove, guint32 vni, const char *address, const char *backend, guint32 flags)
{
  SwarmNetdBackend b = { .vni = vni, .address = addr (address), .backend = addr (backend), .flags = flags };
  row (out, SWARM_NETD_TYPE_BACKEND, remove, &b, sizeof b);
}

static inline void
edit_port (GByteArray *out, gboolean remove, guint8 protocol, guint16 port, guint32 flags)
{
  row (out, SWARM_NETD_TYPE_PORT, remove, &(SwarmNetdPort){ .port = port, .protocol = protocol, .flags = flags }, sizeof (SwarmNetdPort));
}

static inline void
edit_port_backend (GByteArray *out, gboolean remove, guint8 protocol, guint16 port, const char *backend, guint16 target, guint32 flags)
{
  SwarmNetdPortBackend b = { .port = port, .protocol = protocol, .backend = addr (backend), .target = target, .flags = flags };
  row (out, SWARM_NETD_TYPE_PORT_BACKEND, remove, &b, sizeof b);
}

static inline void
edit_name (GByteArray *out, gboolean remove, guint32 vni, const char *name, const char *address)
{
  gsize length = sizeof (SwarmNetdName) + strlen (name) + 1;
  g_autofree SwarmNetdName *data = g_malloc0 (length);
  data->vni = vni;
  data->address = addr (address);
  memcpy (data->name, name, strlen (name));
  row (out, SWARM_NETD_TYPE_NAME, remove, data, length);
}

/* A whole batch of @records. */
static inline SwarmNetdHeader
header_for (const GByteArray *records, guint64 number, guint64 base, guint32 flags)
{
  return (SwarmNetdHeader){ SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, number, base, flags, records->len };
}
