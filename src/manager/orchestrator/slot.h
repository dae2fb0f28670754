// SPDX-License-Identifier: LGPL-2.1-or-later
/* A slot of a service: all its tasks, oldest first. Views into an array that swarm_store_tasks_of_service() gave. */
#pragma once
#include "manager/leader.h"

typedef struct {
  guint64 number;
  SwarmTask **tasks; /* borrowed */
  guint n;
} SwarmSlot;

/* It has one slot on each node: a global service or a global job. NULL: no. */
gboolean swarm_service_is_everywhere (const SwarmService *service);
/* What its placement asks of a node, parsed; empty: nothing. NULL: it cannot be parsed. Caller frees the array. */
GPtrArray *swarm_service_constraints (const SwarmService *service);

/* Cuts tasks, sorted by slot and creation, into slots. Caller frees the array. */
GArray *swarm_slots_of (GPtrArray *tasks);
/* The tasks of such a slot, which has number 0, oldest first (borrowed); caller frees the array. */
GPtrArray *swarm_tasks_on_node (SwarmStore *store, const SwarmId *service, const SwarmId *node);

/* Nobody waits (any longer) for the node's tasks: it is removed (NULL), or down. A node that is down for its silence may only be cut off, and its
 * tasks may run on: they are left there for the cluster's grace, or for the service's own wait when that is longer (@spec; NULL: the grace),
 * unless it is drained. @wake (may be NULL) is lowered to the end of the wait. */
gboolean swarm_node_is_lost (SwarmStore *store, const SwarmNode *node, const SwarmServiceSpec *spec, gint64 *wake);
/* The task's node was removed, is lost or drained: the task cannot stay there. FALSE while it has no node. @wake as above. */
gboolean swarm_task_is_evicted (SwarmStore *store, const SwarmTask *task, gint64 *wake);
/* A process of the task may exist now, as far as anyone can know: assigned, not over, its node not lost. @wake as above. */
gboolean swarm_task_may_run (SwarmStore *store, const SwarmTask *task, gint64 *wake);
/* Any task of the slot but @except may run. */
gboolean swarm_slot_may_run (SwarmStore *store, const SwarmSlot *slot, const SwarmTask *except, gint64 *wake);

/* The task is not what the service declares now: it has to be replaced. A new placement alone leaves a task where it still fits. */
gboolean swarm_task_is_dirty (SwarmStore *store, const SwarmTask *task, const SwarmService *service);

/* For arrays of SwarmTask *: oldest first, the same on every manager. */
int swarm_task_compare_age (gconstpointer a, gconstpointer b);

/* The update to @service's version put it into its slot. */
gboolean swarm_task_is_step (const SwarmTask *task, const SwarmService *service);

/* A new task of @service, state new. @not_before: 0 or when its restart delay ends; with @wait it is only made ready until then
 * and until the slot is free. Caller owns it. */
SwarmTask *swarm_task_make (const SwarmLeader *leader, const SwarmService *service, guint64 slot, gint64 not_before, gboolean wait);
/* Adds the change of a task's desired state to @tx; nothing when it is there already. */
void swarm_task_want (SwarmTx *tx, const SwarmTask *task, SwarmTaskState desired);
