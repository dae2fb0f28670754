// SPDX-License-Identifier: LGPL-2.1-or-later
/* The preference tree of a group (SWARM_BEHAVIOUR §7): nodes divided by the values of the labels that the service spreads over, the first
 * label outermost. A node without the label has the value "". */
#pragma once
#include "manager/scheduler/filter.h"
#include "plugin/swarm-plugin.h"

typedef struct _SwarmBranches SwarmBranches;

/* NULL: the task has no preference. */
SwarmBranches *swarm_branches_new (const SwarmTask *task);
void swarm_branches_free (SwarmBranches *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmBranches, swarm_branches_free)
/* The innermost branch of the node; made when it is the first in it. */
guint swarm_branches_find (SwarmBranches *self, const SwarmNode *node);
/* Counts the service's tasks (may be NULL) into their branches: to be called once, when all nodes were found. */
void swarm_branches_count (SwarmBranches *self, const SwarmServiceLoad *load);
/* Borrowed. */
const SwarmPluginBranch *swarm_branches_rows (SwarmBranches *self, guint *ret_n);
