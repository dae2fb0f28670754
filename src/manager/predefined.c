// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/predefined.h"

static void
make (SwarmTx *tx, const char *name, const char *driver)
{
  g_autoptr (SwarmNetwork) network = swarm_network_new ();
  network->spec = swarm_network_spec_new ();
  network->spec->name = g_strdup (name);
  network->spec->driver = g_strdup (driver);
  network->spec->ingress = g_str_equal (driver, SWARM_DRIVER_OVERLAY);
  if (!network->spec->ingress) {
    network->spec->labels = swarm_map_new ();
    g_hash_table_insert (network->spec->labels, g_strdup (SWARM_PREDEFINED_LABEL), g_strdup ("true"));
  }
  swarm_tx_create (tx, network);
}

void
swarm_predefined_networks (SwarmTx *tx)
{
  make (tx, "host", SWARM_DRIVER_HOST);
  make (tx, "none", SWARM_DRIVER_NONE);
  make (tx, "ingress", SWARM_DRIVER_OVERLAY);
}
