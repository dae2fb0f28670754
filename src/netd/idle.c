// SPDX-License-Identifier: LGPL-2.1-or-later
/* Connections on which nothing is said for long. What is led to a backend goes on as long as the kernel remembers where to: days, by its default; minutes on a host whose owner has
 * set net.netfilter.nf_conntrack_tcp_timeout_established so. Ours get the kernel's default on every host, by a policy that is given to a connection with its first packet. It is in a
 * table of its own, for when a policy goes, as with a table that is loaded anew, the connections that have it lose it. */
#include "netd/plane-private.h"
#include "base/log.h"

#define TABLE "inet swarm-idle"
#define ESTABLISHED 432000 /* seconds */

/* The host's are those that leave by our bridges; a task's are those that are led elsewhere than was asked. */
void
swarm_netd_idle_put (SwarmNetdNft *nft, gboolean host)
{
  static gboolean said;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup_printf ("add table " TABLE "\n"
                                           "add ct timeout " TABLE " idle { protocol tcp; policy = { established : %u }; }\n"
                                           "add chain " TABLE " post { type nat hook postrouting priority 99; }\n"
                                           "flush chain " TABLE " post\n"
                                           "add rule " TABLE " post %s meta l4proto tcp ct timeout set \"idle\"\n",
                                           ESTABLISHED, host ? "oifname \"sw*\"" : "ct status dnat");
  if (!swarm_netd_nft_run (nft, text, &error) && !said) {
    said = TRUE;
    swarm_warning ("Idle connections live as long as this host's kernel is set to remember them: %s", error->message);
  }
}

void
swarm_netd_idle_delete (SwarmNetdNft *nft)
{
  swarm_netd_nft_run (nft, "add table " TABLE "\ndelete table " TABLE "\n", NULL);
}
