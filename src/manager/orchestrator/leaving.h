// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks that have to leave their node: it is down, removed or drained, or a rebalance asked for it. */
#pragma once
#include "manager/orchestrator/slot.h"

typedef enum {
  SWARM_LEAVE_NO,
  SWARM_LEAVE_AFTER_REPLACEMENT, /* it runs on until its replacement runs (start-first) */
  SWARM_LEAVE_NOW,               /* it is stopped (or lost), then replaced; without the policy's delay */
} SwarmLeave;

/* How far the move is that a rebalance asked for. */
typedef enum {
  SWARM_MOVING_NO,    /* there is none, or it is over */
  SWARM_MOVING_WAITS, /* for its turn: no more slots move at once than the update parallelism says */
  SWARM_MOVING_BEGUN, /* the replacement does not run yet, or what it replaces still does */
} SwarmMoving;

/* Of a slot with tasks. */
SwarmMoving swarm_slot_moving (const SwarmSlot *slot);

/* Whether, and how, @task (not over) leaves. A drain's own order comes before the service's update order; only a task that runs has
 * anything to wait for. @moves: its move, if it has one, may begin. @wake (store time) is lowered to the drain's deadline, when that changes the
 * answer. */
SwarmLeave swarm_task_leaves (SwarmStore *store, const SwarmService *service, const SwarmTask *task, gboolean moves, gint64 now, gint64 *wake);
