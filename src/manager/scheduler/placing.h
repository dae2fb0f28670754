// SPDX-License-Identifier: LGPL-2.1-or-later
/* Places one group after the other, in steps that fit into a turn of the loop: looks for nodes, asks the strategy for the places of some
 * thousand tasks, assigns them transaction by transaction (each node is checked again at that moment), and so on. Tasks for which there is
 * no place are told why. */
#pragma once
#include "manager/scheduler/group.h"
#include "plugin/scheduler-set.h"

typedef struct _SwarmPlacing SwarmPlacing;

/* @assign gives the task to the node and counts it there; @explain writes why a task waits, FALSE when @tx is full. */
typedef struct {
  void (*assign) (const SwarmTask *task, SwarmNodeInfo *info, SwarmTx *tx, gpointer data);
  gboolean (*explain) (const SwarmTask *task, const char *why, SwarmTx *tx, gpointer data);
} SwarmPlacingOps;

SwarmPlacing *swarm_placing_new (const SwarmLeader *leader, SwarmNodeSet *set, SwarmGroups *groups, SwarmSchedulerSet *schedulers,
                                 const SwarmPlacingOps *ops, gpointer data);
void swarm_placing_free (SwarmPlacing *self);
/* Does what fits into this turn and into @tx. TRUE: there is more to do. */
gboolean swarm_placing_step (SwarmPlacing *self, SwarmTx *tx);
/* The transaction that the last step filled was applied. */
void swarm_placing_settled (SwarmPlacing *self);
/* What is under way is begun anew: a node is gone, or the transaction failed. */
void swarm_placing_restart (SwarmPlacing *self);
/* Everything is forgotten, before the groups are. */
void swarm_placing_forget (SwarmPlacing *self);
