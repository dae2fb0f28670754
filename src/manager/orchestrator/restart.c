// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/restart.h"

#define DEFAULT_DELAY_US (5 * G_TIME_SPAN_SECOND)
#define DEFAULT_BACKOFF_US (5 * G_TIME_SPAN_MINUTE)
#define GOOD_RUN_US (10 * G_TIME_SPAN_SECOND)
#define FREE_FAILURES 2 /* so many in a row cost the policy's delay only */
#define FIRST_BACKOFF_US (1 * G_TIME_SPAN_SECOND) /* where the policy has no delay to double */

static gint64
policy_delay (const SwarmRestartPolicy *policy)
{
  return policy != NULL ? policy->delay / 1000 : DEFAULT_DELAY_US;
}

static gint64
policy_backoff (const SwarmRestartPolicy *policy)
{
  return policy != NULL ? policy->backoff / 1000 : DEFAULT_BACKOFF_US;
}

/* Restarts in this slot under @task's spec version that count against the policy's attempts: all, or those within @window before its end.
 * By the stamps of the managers only, for a node's clock may be off; one that lies behind the end comes from a leader whose clock was ahead,
 * and counts for nothing. */
static guint64
slot_restarts (const SwarmSlot *slot, const SwarmTask *task, gint64 window)
{
  gint64 end = task->object.updated_at; /* it was written last when it ended, or lost its node */
  guint64 n = 0;
  gboolean first = TRUE;
  for (guint i = 0; i < slot->n; i++) {
    const SwarmTask *other = slot->tasks[i];
    gint64 at = other->object.created_at;
    if (other->spec_version != task->spec_version)
      continue;
    n += !first && (window == 0 || (at >= end - window && at <= end));
    first = FALSE;
  }
  return n;
}

gboolean
swarm_restart_wanted (const SwarmSlot *slot, const SwarmTask *task)
{
  const SwarmRestartPolicy *policy = task->spec->restart_policy;
  if (policy == NULL)
    return TRUE;
  switch (policy->condition) {
  case SWARM_RESTART_NONE:
    return FALSE;
  case SWARM_RESTART_ON_FAILURE:
    if (task->status->state == SWARM_TASK_COMPLETE)
      return FALSE;
    break;
  case SWARM_RESTART_ANY:
    break;
  }
  if (policy->max_attempts == 0)
    return TRUE;
  return slot_restarts (slot, task, policy->window / 1000) < policy->max_attempts;
}

/* A run that long is no failure at once; a shorter window of the policy says less. */
static gint64
good_run (const SwarmRestartPolicy *policy)
{
  return policy != NULL && policy->window > 0 ? MIN (policy->window / 1000, GOOD_RUN_US) : GOOD_RUN_US;
}

/* How long it ran, by its node's clock; one that never did: how long it had to, by the managers'. */
static gint64
run_time (const SwarmTask *task)
{
  if (task->status->started_at > 0)
    return task->status->timestamp - task->status->started_at;
  return task->object.updated_at - MAX (task->object.created_at, task->not_before);
}

guint64
swarm_restart_failures (const SwarmTask *task, gint64 now)
{
  gint64 good = good_run (task->spec->restart_policy);
  switch (task->status->state) {
  case SWARM_TASK_REJECTED:
    return task->failures + 1;
  case SWARM_TASK_FAILED:
    return run_time (task) < good ? task->failures + 1 : 0;
  case SWARM_TASK_RUNNING: /* it lost its node */
    return now - task->object.updated_at < good ? task->failures : 0;
  default:
    return swarm_task_state_is_terminal (task->status->state) ? 0 : task->failures;
  }
}

gint64
swarm_restart_delay (const SwarmTask *task, gboolean evicted, gint64 now)
{
  const SwarmRestartPolicy *policy = task->spec->restart_policy;
  gint64 delay = policy_delay (policy), longest = policy_backoff (policy);
  guint64 failures = swarm_restart_failures (task, now);
  if (evicted)
    return 0;
  if (failures <= FREE_FAILURES || longest <= delay)
    return delay;
  gint64 backoff = MAX (delay, FIRST_BACKOFF_US);
  for (guint64 i = FREE_FAILURES; i < failures && backoff < longest; i++)
    backoff *= 2;
  return MAX (MIN (backoff, longest), delay);
}

gint64
swarm_restart_due (const SwarmTask *task, gint64 now)
{
  const SwarmRestartPolicy *policy = task->spec->restart_policy;
  gint64 longest = MAX (policy_delay (policy), policy_backoff (policy));
  return task->not_before > now + longest ? now : task->not_before;
}
