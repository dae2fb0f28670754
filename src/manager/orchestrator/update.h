// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rolling updates and rollbacks (SWARM_BEHAVIOUR §6). Level-triggered and without a memory: what an update has done so far is read from the
 * tasks that it made (Task.ByUpdate of the service's version: the "steps"), when they began to run and when they failed; what it is told
 * to people is Service.UpdateStatus, which is written here alone (but for a manual rollback's first one). So an update goes on
 * after an election as if nothing had been. */
#pragma once
#include "manager/orchestrator/replica.h"

/* Where the update of a service stands. */
typedef struct {
  SwarmUpdateState state;
  gboolean rollback;   /* it goes by the rollback's rules */
  gboolean paused;
  gboolean under_way;
  gboolean start_first;
  guint64 parallelism; /* slots at once */
  gint64 delay;        /* µs, after each slot */
  gint64 monitor;      /* µs from its start on that a task's end counts as a failure */
  SwarmFailureAction action;
  double max_ratio;
  guint waiting;       /* dirty slots that were not touched yet */
  guint steps;         /* slots that were */
  guint open;          /* … whose new task has neither run nor failed */
  guint busy;          /* … open ones, and those whose delay is not over */
  guint failures;
  const SwarmTask *culprit; /* the latest failure */
  gint64 rests_at;     /* store time: the delay of the last step is over */
} SwarmUpdate;

void swarm_update_init (SwarmUpdate *self, SwarmLook *look, GArray *replicas);
/* Too many failures pause it, or turn it back. FALSE: the service's spec has changed with that, the look is over. */
gboolean swarm_update_judge (SwarmUpdate *self, SwarmLook *look);
/* Replaces those of @ready (SwarmReplica *, dirty and without a step) whose turn it is, and says when it begins and when it is complete. */
void swarm_update_advance (SwarmUpdate *self, SwarmLook *look, GPtrArray *ready);
