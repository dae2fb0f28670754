// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pending tasks whose node was chosen when they were made (global services and jobs, a rebalance): the scheduler only confirms that they
 * can run there. Those that cannot wait until something changes on their node. */
#pragma once
#include "manager/dirty.h"
#include "model/objects.h"

typedef struct {
  SwarmDirty due;      /* tasks to look at */
  GHashTable *by_node; /* node id → set of the ids of all tasks that wait for it */
} SwarmPresets;

void swarm_presets_init (SwarmPresets *self);
void swarm_presets_clear (SwarmPresets *self);
/* Pending, with a node, and not to be stopped. */
gboolean swarm_task_is_preset (const SwarmTask *task);
/* A task that waits; it is due. Once more is fine. */
void swarm_presets_add (SwarmPresets *self, const SwarmTask *task);
void swarm_presets_remove (SwarmPresets *self, const SwarmTask *task);
/* Something changed on the node: who waits for it is due. TRUE: somebody does. */
gboolean swarm_presets_mark (SwarmPresets *self, const SwarmId *node);
