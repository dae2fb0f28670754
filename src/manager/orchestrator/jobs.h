// SPDX-License-Identifier: LGPL-2.1-or-later
/* Jobs: tasks that run to completion (desired state complete). Each change of the spec begins a new iteration, which owes nothing to the
 * one before and removes its unfinished tasks.
 *
 * A replicated job has slots 0 … total − 1; as many tasks as may run at once fill the first ones that nobody has done yet. A global job
 * runs once on each node that is ready, active and satisfies the constraints, also on those that come later. Level-triggered. */
#pragma once
#include "manager/orchestrator/walk.h"

/* A look at a replicated job, which exists, or more of it: as swarm_replicated_look(). */
gboolean swarm_job_look (const SwarmLeader *leader, const SwarmId *service, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake);
/* The same for a global job. */
gboolean swarm_global_job_look (const SwarmLeader *leader, const SwarmId *service, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker,
                                gint64 *wake);
/* A look at one node's slot of a global job, also when the node changed or is gone. */
SwarmLookResult swarm_global_job_reconcile_node (const SwarmLeader *leader, const SwarmId *service, const SwarmId *node, SwarmTx *tx, gint64 *wake);

gboolean swarm_service_is_job (const SwarmService *service);
