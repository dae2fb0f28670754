// SPDX-License-Identifier: LGPL-2.1-or-later
/* Global services: one task on each node that fits (SWARM_BEHAVIOUR §8). Level-triggered, as replicated.h. */
#pragma once
#include "manager/orchestrator/walk.h"

/* A look at a service that exists, or more of it: as swarm_replicated_look(). */
gboolean swarm_global_look (const SwarmLeader *leader, const SwarmId *service, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake);
/* A look at one node's slot, also when the node changed or is gone. */
SwarmLookResult swarm_global_reconcile_node (const SwarmLeader *leader, const SwarmId *service, const SwarmId *node, SwarmTx *tx, gint64 *wake);
