// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of the host's traffic may pass our bridges. The host forwards because of us (host.c): only what belongs to tasks is let through, in our own table
 * and with our own links; other rules of the host's decide beside it, as ever. Accepting here is no more than not dropping. */
#include "netd/plane-private.h"
#include "base/log.h"
#include "netd/netns.h"
#include <string.h>

/* ---- the host's own links. One that did not forward between them before does not do it now, either. The kernel keeps which they are, in our table, so that a
 * netd that is started again, and finds a host that forwards, knows whose doing that is. Bridges are not among them: whoever makes one for guests or
 * containers wants it forwarded, and turns on what we have turned on already. ---- */

static const struct {
  const char *family;
  const char *forwarding;
} families[] = { { "ipv4", "ipv4/ip_forward" }, { "ipv6", "ipv6/conf/all/forwarding" } };

static gboolean
is_off (const char *name)
{
  g_autofree char *path = g_strconcat ("/proc/sys/net/", name, NULL), *value = NULL;
  return g_file_get_contents (path, &value, NULL, NULL) && strcmp (value, "0\n") == 0;
}

/* As the kernel has them from an earlier netd: names in quotes. */
static GHashTable *
closed (SwarmNetdPlane *self, gboolean v6)
{
  if (self->closed[v6] != NULL)
    return self->closed[v6];
  g_autofree char *text = swarm_netd_nft_ask (self->nft, v6 ? "list set inet swarm closed6" : "list set inet swarm closed4");
  g_auto (GStrv) parts = g_strsplit (text != NULL ? text : "", "\"", -1);
  self->closed[v6] = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 1; parts[0] != NULL && parts[i] != NULL && parts[i + 1] != NULL; i += 2)
    g_hash_table_add (self->closed[v6], g_strdup (parts[i]));
  return self->closed[v6];
}

/* @prefix and a number. */
static gboolean
is_numbered (const char *name, const char *prefix)
{
  if (!g_str_has_prefix (name, prefix))
    return FALSE;
  const char *digits = name + strlen (prefix);
  return *digits != '\0' && digits[strspn (digits, "0123456789")] == '\0';
}

/* No link, or one of ours: "swp1" is a switch's. */
static gboolean
is_none_or_own (const char *name)
{
  return strcmp (name, "all") == 0 || strcmp (name, "default") == 0 || strcmp (name, "lo") == 0 || strcmp (name, SWARM_NETD_GATEWAY) == 0 ||
         g_str_has_prefix (name, "swv") || is_numbered (name, "swb") || is_numbered (name, "swx");
}

static gboolean
is_left_alone (const char *name)
{
  g_autofree char *bridge = g_build_filename ("/sys/class/net", name, "bridge", NULL);
  return is_none_or_own (name) || strpbrk (name, "\"*\\") != NULL || g_file_test (bridge, G_FILE_TEST_EXISTS);
}

void
swarm_netd_guard_forward (SwarmNetdPlane *self, gboolean v6)
{
  GHashTable *links = closed (self, v6);
  g_autofree char *path = g_strdup_printf ("/proc/sys/net/%s/conf", families[v6].family);
  const char *link;
  if (!is_off (families[v6].forwarding))
    return;
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  while (dir != NULL && (link = g_dir_read_name (dir)) != NULL) {
    g_autofree char *own = g_strdup_printf ("%s/conf/%s/forwarding", families[v6].family, link);
    if (!is_left_alone (link) && is_off (own))
      g_hash_table_add (links, g_strdup (link));
  }
  swarm_notice ("This host forwards for its tasks now (%s); between its other links it does as little as before", families[v6].family);
  self->mesh_stale = TRUE;
  swarm_netd_sysctl (families[v6].forwarding, "1");
}

/* Another link that may count on it: one that was not there when it was off, or a bridge of guests or containers. */
static gboolean
others_use_it (SwarmNetdPlane *self, gboolean v6)
{
  g_autofree char *path = g_strdup_printf ("/proc/sys/net/%s/conf", families[v6].family);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *link;
  while (dir != NULL && (link = g_dir_read_name (dir)) != NULL) {
    if (!is_none_or_own (link) && !g_hash_table_contains (closed (self, v6), link))
      return TRUE;
  }
  return dir == NULL;
}

void
swarm_netd_guard_give_back (SwarmNetdPlane *self)
{
  for (guint v6 = 0; v6 < G_N_ELEMENTS (families); v6++) {
    gboolean by_us = g_hash_table_size (closed (self, v6)) > 0 && !is_off (families[v6].forwarding);
    if (by_us && others_use_it (self, v6)) {
      swarm_notice ("This host forwards on (%s): it has links now that may count on it", families[v6].family);
    } else if (by_us) {
      swarm_notice ("This host forwards no more (%s), as before it had tasks", families[v6].family);
      swarm_netd_sysctl (families[v6].forwarding, "0");
    }
    g_clear_pointer (&self->closed[v6], g_hash_table_unref);
  }
}

static void
append_closed (SwarmNetdPlane *self, GString *out, gboolean v6)
{
  GHashTableIter iter;
  gpointer link;
  const char *before = " elements = { ";
  g_string_append_printf (out, " set closed%d { type ifname;", v6 ? 6 : 4);
  g_hash_table_iter_init (&iter, closed (self, v6));
  for (; g_hash_table_iter_next (&iter, &link, NULL); before = ", ")
    g_string_append_printf (out, "%s\"%s\"", before, (char *) link);
  g_string_append (out, g_hash_table_size (closed (self, v6)) > 0 ? " }; }\n" : " }\n");
}

/* ---- our bridges ---- */

/* A task's packets have a task's address, and are no VXLAN: netd's own is taken from everywhere, so that a task could write into any network. Our own between
 * hosts need no connection tracking. A connection that comes by another host is told from others by that host (mesh.c). One chain for all: every packet of
 * the host passes here. */
static void
append_sources (SwarmNetdPlane *self, GString *out, const char *in, const char *gate)
{
  const SwarmNetdNode *own = swarm_netd_plane_own (self);
  guint16 port = swarm_netd_plane_host (self)->vxlan_port;
  g_string_append_printf (out,
                          " chain no_loopback { ip saddr 127.0.0.0/8 drop; ip daddr 127.0.0.0/8 drop; }\n"
                          " chain from_hosts { jump no_loopback; udp dport %1$u drop; ct original zone set ether saddr map @zones; }\n"
                          " chain from_tasks { jump no_loopback; udp dport %1$u drop;\n", port);
  if (!swarm_netd_address_is_none (&own->gateway4))
    g_string_append_printf (out, "  ip saddr != %s/%u drop;\n", swarm_netd_address_text (&own->gateway4).str, own->gateway4_prefix);
  if (!swarm_netd_address_is_none (&own->gateway6))
    g_string_append_printf (out, "  ip6 saddr != { ::, fe80::/10, %s/%u } drop;\n", swarm_netd_address_text (&own->gateway6).str, own->gateway6_prefix);
  g_string_append_printf (out,
                          " }\n chain raw_pre { type filter hook prerouting priority raw; iifname vmap { \"%s\" : goto from_hosts, \"%s\" : goto from_tasks };\n"
                          "  udp dport %u notrack; }\n", in, gate, port);
}

void
swarm_netd_guard_append (SwarmNetdPlane *self, GString *out, const char *in, const char *gate)
{
  append_sources (self, out, in, gate);
  append_closed (self, out, FALSE);
  append_closed (self, out, TRUE);
  /* Other hosts have nothing to say to this one by the ingress network: answers to what it asked itself, and what leads to its tasks, which is forwarded. */
  g_string_append_printf (out,
                          " chain input { type filter hook input priority filter;\n"
                          "  iifname \"%1$s\" tcp flags & (fin | syn | rst | ack) == syn drop;\n"
                          "  iifname \"%1$s\" meta l4proto != { tcp, icmp, ipv6-icmp } ct state { new, untracked } drop; }\n",
                          in);
  /* Tasks reach each other by their networks, or by published ports; not by their gateway addresses. From elsewhere they are reached by published ports. What
   * comes by the ingress network is for tasks here, or an answer to a client that asked here. What was let through once goes on: most packets pass two rules. */
  g_string_append_printf (out,
                          " chain forward { type filter hook forward priority mangle;\n"
                          "  tcp flags syn / syn,rst oifname { \"%1$s\", \"%2$s\" } tcp option maxseg size set rt mtu;\n"
                          "  ct state established accept;\n"
                          "  meta nfproto ipv4 iifname @closed4 oifname @closed4 drop; meta nfproto ipv6 iifname @closed6 oifname @closed6 drop;\n"
                          "  iifname \"%1$s\" oifname \"%2$s\" accept;\n"
                          "  iifname \"%1$s\" ct direction reply accept;\n"
                          "  iifname \"%1$s\" drop;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } ct direction reply accept;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } ct status dnat accept;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } drop;\n"
                          "  iifname \"%2$s\" ct state { invalid, untracked } drop; }\n",
                          in, gate);
}
