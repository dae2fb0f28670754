// SPDX-License-Identifier: LGPL-2.1-or-later
/* Replicated services: compares what a service declares with the tasks that exist and writes the difference. Level-triggered:
 * the outcome depends on the committed state only, so it may be run at any time, after any fault, by any leader. */
#pragma once
#include "manager/orchestrator/walk.h"

/* A look at a service (which may be gone: then its tasks are removed), or more of it: at all slots that @roll does not know yet, and at those that
 * were touched since. TRUE: @tx is full, or the time of the turn is up; go on after it. @wake is lowered to when the service wants to be looked at
 * again; @waker may be NULL. When the transaction fails @roll is to be told, swarm_roll_undo(): it believes what was to be. */
gboolean swarm_replicated_look (const SwarmLeader *leader, const SwarmId *service, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker,
                                gint64 *wake);
/* A look at one slot of a service that was looked at in whole before and whose spec is the same since. Of a service that is gone too. */
SwarmLookResult swarm_replicated_reconcile_slot (const SwarmLeader *leader, const SwarmId *service, guint64 number, SwarmTx *tx, gint64 *wake);
