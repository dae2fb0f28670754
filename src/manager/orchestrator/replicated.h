// SPDX-License-Identifier: LGPL-2.1-or-later
/* Replicated services: compares what a service declares with the tasks that exist and writes the difference. Level-triggered:
 * the outcome depends on the committed state only, so it may be run at any time, after any fault, by any leader. */
#pragma once
#include "manager/orchestrator/replica.h"

/* One look at a service (which may be gone: then its tasks are removed). TRUE: @tx is full, look again after it.
 * @wake is lowered to the wall-clock moment when the service wants to be looked at again. */
gboolean swarm_replicated_reconcile (const SwarmLeader *leader, const SwarmId *service, SwarmTx *tx, gint64 *wake);
/* A look at one slot of a service that was looked at in whole before and whose spec is the same since. Of a service that is gone too. */
SwarmLookResult swarm_replicated_reconcile_slot (const SwarmLeader *leader, const SwarmId *service, guint64 number, SwarmTx *tx, gint64 *wake);
