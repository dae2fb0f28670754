// SPDX-License-Identifier: LGPL-2.1-or-later
/* Global services: one task on each node that fits (SWARM_BEHAVIOUR §8). Level-triggered, as replicated.h. */
#pragma once
#include "manager/orchestrator/replica.h"

/* One look at a service that exists. TRUE: @tx is full, look again after it. @wake as in replicated.h. */
gboolean swarm_global_reconcile (const SwarmLeader *leader, const SwarmId *service, SwarmTx *tx, gint64 *wake);
/* A look at one node's slot, also when the node changed or is gone. */
SwarmLookResult swarm_global_reconcile_node (const SwarmLeader *leader, const SwarmId *service, const SwarmId *node, SwarmTx *tx, gint64 *wake);
