// SPDX-License-Identifier: LGPL-2.1-or-later
/* Transient units for plugins: asks PID 1 over the system bus. */
#pragma once
#include "bus/bus.h"
#include "plugin/services.h"

/* Uses @bus (must be connected to the bus of PID 1) until freed; nothing is called back after free. */
SwarmPluginServices *swarm_units_new (SwarmBus *bus);
void swarm_units_free (SwarmPluginServices *services);
/* Without a bus: every request fails with UNAVAILABLE. */
SwarmPluginServices *swarm_units_none (void);
