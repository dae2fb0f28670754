// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop that keeps services as declared: marks a service when it, one of its tasks or a node of one changes, and
 * looks at the marked ones. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmOrchestrator SwarmOrchestrator;

/* Marks everything there is: what an earlier leader left behind is found by the first passes. */
SwarmOrchestrator *swarm_orchestrator_new (const SwarmLeader *leader);
void swarm_orchestrator_free (SwarmOrchestrator *self);
