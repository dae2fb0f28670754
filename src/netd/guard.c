// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of the host's traffic may pass our bridges. The host forwards because of us (host.c): only what belongs to tasks is let through, in our own table
 * and with our own links; other rules of the host's decide beside it, as ever. Accepting here is no more than not dropping. */
#include "netd/plane-private.h"

/* A task's packets have a task's address, and are no VXLAN: netd's own is taken from everywhere, so that a task could write into any network. */
static void
append_sources (SwarmNetdPlane *self, GString *out, const char *in, const char *gate)
{
  const SwarmNetdNode *own = swarm_netd_plane_own (self);
  g_string_append_printf (out, " chain no_loopback { ip saddr 127.0.0.0/8 drop; ip daddr 127.0.0.0/8 drop; }\n"
                               " chain tasks_raw { type filter hook prerouting priority raw; iifname { \"%1$s\", \"%2$s\" } jump no_loopback;\n"
                               "  iifname { \"%1$s\", \"%2$s\" } udp dport %3$u drop;\n",
                          in, gate, swarm_netd_plane_host (self)->vxlan_port);
  if (!swarm_netd_address_is_none (&own->gateway4))
    g_string_append_printf (out, "  iifname \"%s\" ip saddr != %s/%u drop;\n", gate, swarm_netd_address_text (&own->gateway4).str, own->gateway4_prefix);
  if (!swarm_netd_address_is_none (&own->gateway6))
    g_string_append_printf (out, "  iifname \"%s\" ip6 saddr != { ::, fe80::/10, %s/%u } drop;\n", gate, swarm_netd_address_text (&own->gateway6).str,
                            own->gateway6_prefix);
  g_string_append (out, " }\n");
}

void
swarm_netd_guard_append (SwarmNetdPlane *self, GString *out, const char *in, const char *gate)
{
  append_sources (self, out, in, gate);
  /* Other hosts have nothing to say to this one by the ingress network: answers to what it asked itself, and what leads to its tasks, which is forwarded. */
  g_string_append_printf (out,
                          " chain input { type filter hook input priority filter;\n"
                          "  iifname \"%1$s\" tcp flags & (fin | syn | rst | ack) == syn drop;\n"
                          "  iifname \"%1$s\" meta l4proto != { tcp, icmp, ipv6-icmp } ct state { new, untracked } drop; }\n",
                          in);
  /* Tasks reach each other by their networks, or by published ports; not by their gateway addresses. From elsewhere they are reached by published ports. What
   * comes by the ingress network is for tasks here, or an answer to a client that asked here. */
  g_string_append_printf (out,
                          " chain forward { type filter hook forward priority mangle;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } tcp flags syn / syn,rst tcp option maxseg size set rt mtu;\n"
                          "  iifname \"%1$s\" oifname \"%2$s\" accept;\n"
                          "  iifname \"%1$s\" ct direction reply accept;\n"
                          "  iifname \"%1$s\" drop;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } ct direction reply accept;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } ct status dnat accept;\n"
                          "  oifname { \"%1$s\", \"%2$s\" } drop;\n"
                          "  iifname \"%2$s\" ct state { invalid, untracked } drop; }\n",
                          in, gate);
}
