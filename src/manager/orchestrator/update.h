// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rolling updates and rollbacks (SWARM_BEHAVIOUR §6). Level-triggered and without a memory: what an update has done so far is read from the
 * tasks that it made (Task.ByUpdate of the service's version: the "steps"), when they began to run and when they failed; what it is told
 * to people is Service.UpdateStatus, which is written here alone (but for a manual rollback's first one). So an update goes on
 * after an election as if nothing had been. */
#pragma once
#include "manager/orchestrator/replica.h"

/* Where the update of a service stands. */
struct _SwarmUpdate {
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
  SwarmId culprit;     /* the latest failure */
  gint64 culprit_at;
  gint64 rests_at;     /* store time: the delay of the last step is over */
};

/* What one slot adds to it. */
typedef struct {
  guint8 waiting, step, open, busy, failed; /* 0 or 1 each */
  gint64 due;      /* store time: it is to be counted anew then; G_MAXINT64: when the slot changes */
  gint64 rests_at;
  gint64 failed_at;
  SwarmId culprit;
} SwarmUpdateShare;

/* State and configuration; no slot is counted yet. */
void swarm_update_begin (SwarmUpdate *self, const SwarmService *service);
SwarmUpdateShare swarm_update_share (const SwarmUpdate *self, const SwarmReplica *replica, gint64 now);
/* Counts a slot in (1) or out (-1). Latest moments and failures stay: a step that is over stays so. */
void swarm_update_count (SwarmUpdate *self, const SwarmUpdateShare *share, int by);
/* All of these at once, as if the service had this replica only. */
void swarm_update_init (SwarmUpdate *self, SwarmLook *look, const SwarmReplica *replica);
/* Too many failures pause it, or turn it back. FALSE: the service's spec has changed with that, the look is over. */
gboolean swarm_update_judge (SwarmUpdate *self, SwarmLook *look);
/* Says when the update begins and when it is complete. TRUE: slots are to be replaced, while fewer than the parallelism are busy. */
gboolean swarm_update_goes_on (SwarmUpdate *self, SwarmLook *look);
