// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks that have to leave their node: it is down, removed or drained, or a rebalance asked for it. */
#pragma once
#include "manager/orchestrator/slot.h"

typedef enum {
  SWARM_LEAVE_NO,
  SWARM_LEAVE_AFTER_REPLACEMENT, /* it runs on until its replacement runs (start-first) */
  SWARM_LEAVE_NOW,               /* it is stopped (or lost), then replaced; without the policy's delay */
} SwarmLeave;

/* Whether, and how, @task (not over) leaves. A drain's own order comes before the service's update order; only a task that runs has
 * anything to wait for. @wake (store time) is lowered to the drain's deadline, when that changes the answer. */
SwarmLeave swarm_task_leaves (SwarmStore *store, const SwarmService *service, const SwarmTask *task, gint64 now, gint64 *wake);

/* Tasks of the service are still to be moved by a rebalance, or on their way: each that arrives lets the next one go. */
gboolean swarm_service_has_moves (SwarmStore *store, const SwarmId *service);
