// SPDX-License-Identifier: LGPL-2.1-or-later
/* Evening out a replicated service over the nodes that can take its tasks: only on request, for nothing moves by itself. The plan follows from
 * the store alone; control (swarm_control_rebalance_service) writes it down as the tasks' move_to, and the orchestrator carries it
 * out, as many at once as the service's update parallelism says, start-first or stop-first as its update order says. */
#pragma once
#include "base/clock.h"
#include "store/store.h"

/* Of one transaction; ask again for more. */
#define SWARM_REBALANCE_MAX 200

typedef struct {
  SwarmId task;
  guint64 slot;
  SwarmId from, to; /* nodes */
} SwarmMove;

typedef struct _SwarmRebalance SwarmRebalance;

/* @moves: SwarmMove, in their order, the caller's; NULL: @error. What they tell may have changed since it was looked at. */
typedef void (*SwarmRebalanceDone) (GArray *moves, const GError *error, gpointer data);

/* Each move is from the node with most tasks of the service to the one with fewest that can take one more, as long as
 * those differ by two or more. With placement preferences the branches are evened first, the outermost first, then the nodes inside each. What
 * is on its way already counts as being there. @max 0: as many as one transaction holds. INVALID_ARGUMENT for services that are not replicated.
 *
 * What takes no more than 5 ms is done at once, and @done called from within; a larger plan is made in turns of the main loop, and stands in
 * @slot until it is done. */
void swarm_rebalance_plan (SwarmRebalance **slot, SwarmStore *store, SwarmClock *clock, const SwarmService *service, guint max,
                           SwarmRebalanceDone done, gpointer data);
/* It ends with CANCELLED. */
void swarm_rebalance_cancel (SwarmRebalance *self);
