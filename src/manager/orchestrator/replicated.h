// SPDX-License-Identifier: LGPL-2.1-or-later
/* Replicated services: compares what a service declares with the tasks that exist and writes the difference. Level-triggered:
 * the outcome depends on the committed state only, so it may be run at any time, after any fault, by any leader. */
#pragma once
#include "manager/orchestrator/replica.h"

/* The rest of a change of scale that takes more than one transaction, so that each goes on where the one before stopped. Only what a
 * whole look decided: without it, or when the service has changed since, another whole look decides anew. */
typedef struct {
  guint64 version; /* of the service's object */
  guint64 missing; /* slots to fill */
  guint64 next;    /* … with this number or a later one */
  GArray *surplus; /* guint64: numbers of slots to remove, the last one first */
} SwarmScaling;

SwarmScaling *swarm_scaling_new (void);
void swarm_scaling_free (gpointer scaling);

/* One look at a service (which may be gone: then its tasks are removed). TRUE: @tx is full, look again after it, or go on with @scaling
 * when there is something in it. @wake is lowered to the wall-clock moment when the service wants to be looked at again. */
gboolean swarm_replicated_reconcile (const SwarmLeader *leader, const SwarmId *service, SwarmScaling *scaling, SwarmTx *tx, gint64 *wake);
/* Does more of it. FALSE: it is done, or is of no use any more: a whole look comes next. */
gboolean swarm_replicated_scale (const SwarmLeader *leader, const SwarmId *service, SwarmScaling *scaling, SwarmTx *tx);
/* A look at one slot of a service that was looked at in whole before and whose spec is the same since. Of a service that is gone too. */
SwarmLookResult swarm_replicated_reconcile_slot (const SwarmLeader *leader, const SwarmId *service, guint64 number, SwarmTx *tx, gint64 *wake);
