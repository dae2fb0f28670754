// SPDX-License-Identifier: LGPL-2.1-or-later
/* Published ports: the routing mesh, and ports in host mode. The host that a client asks (the entry host) only changes the destination, so the task
 * sees the client's own address. The packet goes to the task's host over the ingress network. There the connection gets a mark for the entry
 * host, by the sender's MAC, and replies with the mark are routed back through it (host.c). The cost of a packet depends neither on the number of hosts nor
 * of services: maps all the way. */
#include "netd/plane-private.h"
#include "base/error.h"
#include "netd/listening.h"
#include "netd/slot-text.h"
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY_SIZE offsetof (SwarmNetdPort, flags)
#define ZONE 0x5000 /* conntrack zones: one per entry host, else the same client port by two of them collides */

typedef struct {
  SwarmNetdPort key; /* first: the hash table's key */
  SwarmNetdSlots *slots4;
  SwarmNetdSlots *slots6;
  gboolean taken; /* the host itself listens there: no slots */
  guint seen; /* by so many looks one after the other it was otherwise */
} Published;

static guint
key_hash (gconstpointer key)
{
  const SwarmNetdPort *port = key;
  return port->port | port->protocol << 16;
}

static gboolean
key_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, KEY_SIZE) == 0;
}

static void
published_free (gpointer data)
{
  Published *published = data;
  g_clear_pointer (&published->slots4, swarm_netd_slots_free);
  g_clear_pointer (&published->slots6, swarm_netd_slots_free);
  g_free (published);
}

GHashTable *
swarm_netd_mesh_table_new (void)
{
  return g_hash_table_new_full (key_hash, key_equal, NULL, published_free);
}

void
swarm_netd_mesh_mark (SwarmNetdPlane *self, const SwarmNetdRow *row)
{
  Published *published = g_new0 (Published, 1);
  memcpy (&published->key, row->data, KEY_SIZE);
  g_hash_table_replace (self->dirty_ports, published, published);
}

/* ---- slots ---- */

typedef struct {
  gboolean v4;
  GArray *targets;
} Collect;

static void
collect (const SwarmNetdRow *row, gpointer data)
{
  Collect *c = data;
  const SwarmNetdPortBackend *backend = (const void *) row->data;
  if (!(backend->flags & SWARM_NETD_BACKEND_DRAINING) && swarm_netd_address_is_v4 (&backend->backend) == c->v4)
    g_array_append_val (c->targets, ((SwarmNetdTarget){ backend->backend, backend->target }));
}

static SwarmNetdSlots *
wanted (SwarmNetdPlane *self, const SwarmNetdPort *port, gboolean v4, const SwarmNetdSlots *old)
{
  g_autoptr (GArray) targets = g_array_new (FALSE, FALSE, sizeof (SwarmNetdTarget));
  Collect c = { v4, targets };
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_PORT_BACKEND, port, KEY_SIZE, collect, &c);
  gboolean affinity = (port->flags & SWARM_NETD_SERVICE_AFFINITY) != 0;
  return swarm_netd_slots_new ((void *) targets->data, targets->len, affinity, swarm_netd_plane_host (self)->node, old);
}

static void
append_change (GString *out, const SwarmNetdPort *port, const Published *before, const Published *after)
{
  g_autofree char *key = g_strdup_printf ("%u . %u", port->protocol, port->port);
  swarm_netd_slot_text_change (out, 4, key, before != NULL ? before->slots4 : NULL, after != NULL ? after->slots4 : NULL);
  swarm_netd_slot_text_change (out, 6, key, before != NULL ? before->slots6 : NULL, after != NULL ? after->slots6 : NULL);
}

/* Asking makes the kernel look for its module. */
static gboolean
kernel_has (guint8 protocol)
{
  int fd = protocol == IPPROTO_SCTP ? socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP) : -1;
  if (fd >= 0)
    close (fd);
  return protocol != IPPROTO_SCTP || fd >= 0;
}

/* What @row asks for; without slots when the port is the host's own, or nobody could serve it here. */
static Published *
published_new (SwarmNetdPlane *self, const SwarmNetdRow *row, const Published *has, SwarmNetdListening *listening)
{
  Published *published = g_new0 (Published, 1);
  published->key = *(const SwarmNetdPort *) row->data;
  published->taken = swarm_netd_listening_has (listening, published->key.protocol, published->key.port);
  const char *obstacle = published->taken                        ? "this host itself listens on that port"
                         : !kernel_has (published->key.protocol) ? "this host's kernel has no sctp"
                                                                 : NULL;
  if (obstacle != NULL) {
    swarm_netd_plane_problem (self, row, g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, obstacle));
    return published;
  }
  published->slots4 = wanted (self, &published->key, TRUE, has != NULL ? has->slots4 : NULL);
  published->slots6 = wanted (self, &published->key, FALSE, has != NULL ? has->slots6 : NULL);
  return published;
}

static void
take_changes (SwarmNetdPlane *self, GString *out)
{
  g_autoptr (SwarmNetdListening) listening = g_hash_table_size (self->dirty_ports) > 0 ? swarm_netd_listening_read () : NULL;
  GHashTableIter iter;
  Published *dirty;
  g_hash_table_iter_init (&iter, self->dirty_ports);
  while (g_hash_table_iter_next (&iter, (gpointer *) &dirty, NULL)) {
    Published *has = g_hash_table_lookup (self->ports, dirty), *published = NULL;
    const SwarmNetdRow *row = swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_PORT, &dirty->key);
    if (row != NULL)
      published = published_new (self, row, has, listening);
    append_change (out, &dirty->key, has, published);
    if (published != NULL)
      g_hash_table_replace (self->ports, published, published);
    else
      g_hash_table_remove (self->ports, dirty);
  }
  g_hash_table_remove_all (self->dirty_ports);
}

/* A socket for one question by UDP may be seen once. */
gboolean
swarm_netd_mesh_look (SwarmNetdPlane *self)
{
  g_autoptr (SwarmNetdListening) listening = g_hash_table_size (self->ports) > 0 ? swarm_netd_listening_read () : NULL;
  GHashTableIter iter;
  Published *published;
  gboolean changed = FALSE;
  g_hash_table_iter_init (&iter, self->ports);
  while (g_hash_table_iter_next (&iter, (gpointer *) &published, NULL)) {
    gboolean taken = swarm_netd_listening_has (listening, published->key.protocol, published->key.port);
    published->seen = taken != published->taken ? published->seen + 1 : 0;
    changed |= published->seen > (published->key.protocol == IPPROTO_UDP);
  }
  return changed;
}

/* ---- the host's table ---- */

/* What depends on the ingress bridge @in and its VXLAN device @vx. */
static void
append_ingress (GString *out, const char *in, const char *gate)
{
  g_string_append_printf (out,
                          " chain ingress_mark { type filter hook prerouting priority mangle;\n"
                          "  iifname \"%s\" ct direction original ct status ! dnat ct mark set ether saddr map @marks;\n"
                          "  iifname \"%s\" ct direction reply ct mark & 0x%x == 0x%x meta mark set ct mark; }\n",
                          in, gate, SWARM_NETD_MARK_MASK, SWARM_NETD_MARK);
}

/* From ::1 nothing leaves a host, for there is no route_localnet of IPv6: refused at once, "localhost" leads on to 127.0.0.1.
 * Nobody but the host itself reaches its loopback addresses: route_localnet (host.c), which lets it ask for published ports there, would let tasks and
 * the underlay in, too (guard.c). */
static void
append_chains (GString *out, const char *in, const char *gate)
{
  g_string_append_printf (
    out,
    " chain nat_pre { type nat hook prerouting priority -100; iifname \"%1$s\" accept;\n"
    "  fib daddr type local meta nfproto ipv4 goto vip4;\n"
    "  fib daddr type local meta nfproto ipv6 goto vip6; }\n"
    " chain nat_out { type nat hook output priority -100; ip6 daddr ::1 accept;\n"
    "  fib daddr type local meta nfproto ipv4 goto vip4;\n"
    "  fib daddr type local meta nfproto ipv6 goto vip6; }\n"
    " chain nat_post { type nat hook postrouting priority 100;\n"
    "  ct status dnat ip saddr 127.0.0.0/8 masquerade;\n"
    "  iifname \"%2$s\" oifname \"%2$s\" ct status dnat masquerade;\n"
    "  iifname \"%2$s\" oifname != { \"%1$s\", \"%2$s\" } ct status ! dnat masquerade; }\n",
    in, gate);
}

static void
append_node (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdNode *node = (const void *) row->data;
  const guint8 *m = node->ingress_mac;
  if (swarm_netd_address_is_none (&node->ingress4) && swarm_netd_address_is_none (&node->ingress6))
    return;
  g_autofree char *mac = g_strdup_printf ("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
  g_string_append_printf (data, "add element inet swarm marks { %s : 0x%x }\nadd element inet swarm zones { %s : %u }\n", mac,
                          SWARM_NETD_MARK | node->node, mac, ZONE + node->node);
  g_string_append_printf (data, "add element bridge swarm macs { 0x%x : %s }\n", SWARM_NETD_MARK | node->node, mac);
}

/* Our own packets between hosts need no connection tracking. The bridge table gives replies that go back by their mark the MAC of their entry host. */
static void
append_table (SwarmNetdPlane *self, GString *out)
{
  const SwarmNetdNetwork *ingress = swarm_netd_plane_ingress (self);
  SwarmNetdLinkName bridge = swarm_netd_bridge_name (ingress != NULL ? ingress->vni : 0);
  guint16 port = swarm_netd_plane_host (self)->vxlan_port;
  g_string_append (out, "add table inet swarm\ndelete table inet swarm\nadd table bridge swarm\ndelete table bridge swarm\ntable inet swarm {\n");
  swarm_netd_slot_text_tables (out, "meta l4proto . th dport", "meta l4proto . th dport", "inet_proto . inet_service", "inet_proto . inet_service", TRUE);
  g_string_append_printf (out,
                          " map marks { type ether_addr : mark; }\n map zones { typeof ether saddr : ct zone; }\n"
                          " chain vxlan_out { type filter hook output priority raw; udp dport %u notrack; }\n",
                          port);
  if (ingress != NULL)
    append_ingress (out, bridge.str, SWARM_NETD_GATEWAY);
  append_chains (out, bridge.str, SWARM_NETD_GATEWAY);
  swarm_netd_guard_append (self, out, bridge.str, SWARM_NETD_GATEWAY);
  g_string_append_printf (out,
                          "}\ntable bridge swarm {\n map macs { type mark : ether_addr; }\n chain out { type filter hook output priority 0;\n"
                          "  ether daddr " SWARM_NETD_RETURN_MAC " ether daddr set meta mark map @macs; }\n}\n");
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_NODE, NULL, 0, append_node, out);
}

static gboolean
load (SwarmNetdPlane *self, GError **error)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GHashTableIter iter;
  Published *published;
  if (swarm_netd_plane_host (self) == NULL) {
    swarm_netd_guard_give_back (self);
    swarm_netd_idle_delete (self->nft);
    return swarm_netd_nft_run (self->nft, "add table inet swarm\ndelete table inet swarm\nadd table bridge swarm\ndelete table bridge swarm\n", error);
  }
  swarm_netd_idle_put (self->nft, TRUE);
  append_table (self, out);
  g_hash_table_iter_init (&iter, self->ports);
  while (g_hash_table_iter_next (&iter, (gpointer *) &published, NULL))
    append_change (out, &published->key, NULL, published);
  return swarm_netd_nft_run (self->nft, out->str, error);
}

void
swarm_netd_mesh_flush (SwarmNetdPlane *self)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GError *error = NULL;
  take_changes (self, out);
  if (!self->mesh_stale && (out->len == 0 || swarm_netd_nft_run (self->nft, out->str, NULL)))
    return;
  self->mesh_stale = !load (self, &error);
  if (error != NULL)
    swarm_netd_plane_problem (self, NULL, error);
}
