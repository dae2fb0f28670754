// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs the leader's loops. A pass reads the committed state and fills one transaction; the loop's next pass begins when that transaction has
 * been applied. Loops do not work against each other's writes in flight, but for those that hand tasks on to each other (`overlaps`): new
 * tasks are made, allocated and scheduled in one round of the log. What users, or these, write meanwhile is caught by the versions: the
 * transaction fails and the loop looks again.
 *
 * Adaptive by nature: an idle runner starts a pass in the next turn of the main loop; a busy one gathers marks while it waits. */
#pragma once
#include "store/store.h"

typedef struct _SwarmRunner SwarmRunner;

typedef struct {
  const char *name;
  /* Adds what is to be done now to @tx. TRUE: not finished (the transaction is full or the time is up), call again after it. */
  gboolean (*pass) (gpointer loop, SwarmTx *tx);
  /* The outcome of the transaction that the last pass filled (also of an empty one: index 0). */
  void (*settle) (gpointer loop, guint64 index, const GError *error);
  /* May have its transaction under way together with those of other loops that say so. */
  gboolean overlaps;
} SwarmLoopOps;

SwarmRunner *swarm_runner_new (SwarmStore *store, SwarmClock *clock);
/* Time in the main loop is measured by @clock, where the other one is not real (a plan's). */
void swarm_runner_set_budget (SwarmRunner *self, SwarmClock *clock);
/* No loop is called any more, also not for the transaction under way. */
void swarm_runner_free (SwarmRunner *self);
/* Loops take turns in the order in which they were added. Returns the number to mark it with. */
guint swarm_runner_add (SwarmRunner *self, const SwarmLoopOps *ops, gpointer loop);
/* The loop has something to do. Cheap; fine from within store events and passes. */
void swarm_runner_mark (SwarmRunner *self, guint loop);
/* A pass has used up its share of the main loop (10 ms). */
gboolean swarm_runner_time_is_up (SwarmRunner *self);
/* The turn ends after this pass: what comes next takes a turn of its own. */
void swarm_runner_end_turn (SwarmRunner *self);
