// SPDX-License-Identifier: LGPL-2.1-or-later
/* What wireguard-go answers: whatever it is, what was read can be said again, and said again it changes nothing. */
#include "fuzz.h"
#include "netd/wireguard.h"

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (SwarmNetdWireguardConfig) none = swarm_netd_wireguard_config_new ();
  g_autoptr (SwarmNetdWireguardConfig) config = swarm_netd_wireguard_parse ((const char *) data, size, NULL);
  if (config == NULL)
    return 0;
  for (guint i = 0; i < config->peers->len; i++) {
    g_array_index (config->peers, SwarmNetdWireguardPeer, i).others = FALSE;
    if (swarm_netd_address_is_none (&g_array_index (config->peers, SwarmNetdWireguardPeer, i).endpoint))
      g_array_index (config->peers, SwarmNetdWireguardPeer, i).port = 0; /* of an endpoint that could not be kept */
  }
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (none, config);
  if (change == NULL)
    return 0;
  GString *text = swarm_netd_wireguard_text (change);
  g_autoptr (SwarmNetdWireguardConfig) again = swarm_netd_wireguard_parse (text->str, text->len, NULL);
  g_assert (again != NULL && swarm_netd_wireguard_config_equal (again, config) && swarm_netd_wireguard_config_equal (config, again));
  g_string_free (text, TRUE);
  return 0;
}
