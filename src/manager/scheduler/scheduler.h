// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop that gives pending tasks to nodes: groups identical tasks, filters the nodes, asks the strategy. A task that cannot be placed
 * says why in its status. */
#pragma once
#include "manager/leader.h"
#include "plugin/scheduler-set.h"

typedef struct _SwarmScheduler SwarmScheduler;

/* @schedulers NULL: nothing is placed. */
SwarmScheduler *swarm_scheduler_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers);
void swarm_scheduler_free (SwarmScheduler *self);
