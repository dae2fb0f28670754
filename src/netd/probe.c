// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/probe.h"
#include "netd/netlink.h"
#include "netd/netns.h"
#include "netd/nft.h"
#include <unistd.h>

/* A virtual address and a published port in small. */
#define RULES \
  "table inet swarm {\n" \
  " map slots { typeof ip daddr . meta l4proto . th dport . numgen random mod 4 : ip daddr . th dport; }\n" \
  " map zones { typeof ether saddr : ct zone; }\n" \
  " chain nat_out { type nat hook output priority -100; dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 4 map @slots; }\n" \
  " chain raw_pre { type filter hook prerouting priority raw; ct original zone set ether saddr map @zones; }\n" \
  " chain clamp { type filter hook forward priority mangle; tcp flags syn / syn,rst tcp option maxseg size set rt mtu; }\n" \
  "}\n"

static gboolean
try_links (int netns, GError **error)
{
  SwarmNetdAddress local;
  guint bridge, vxlan;
  g_autoptr (SwarmNetdNetlink) netlink = swarm_netd_netlink_new_in (netns, error);
  swarm_netd_address_parse ("127.0.0.1", &local);
  if (netlink == NULL)
    return FALSE;
  if (!swarm_netd_bridge_put (netlink, "bridge", 1400, NULL, &bridge, error)) {
    g_prefix_error (error, "bridges: ");
    return FALSE;
  }
  if (swarm_netd_vxlan_put (netlink, "vxlan", 4096, &local, 4789, 1400, bridge, &vxlan, error))
    return TRUE;
  g_prefix_error (error, "VXLAN: ");
  return FALSE;
}

static gboolean
try_rules (int netns, GError **error)
{
  g_autoptr (SwarmNetdNft) nft = swarm_netd_nft_new (netns, error);
  if (nft != NULL && swarm_netd_nft_run (nft, RULES, error))
    return TRUE;
  g_prefix_error (error, "nftables: ");
  return FALSE;
}

gboolean
swarm_netd_probe (GError **error)
{
  int netns = swarm_netd_netns_new (error);
  gboolean ok = netns >= 0 && try_links (netns, error) && try_rules (netns, error);
  if (netns >= 0)
    close (netns);
  if (!ok)
    g_prefix_error (error, "this host cannot have what networks that span hosts take: ");
  return ok;
}
