// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/restart.h"

#define DEFAULT_DELAY_US (5 * G_TIME_SPAN_SECOND)
#define QUICK_US (1 * G_TIME_SPAN_SECOND)
#define MAX_BACKOFF_US (60 * G_TIME_SPAN_SECOND)

/* Restarts in this slot under @task's spec version that count against the policy's attempts. */
static guint64
slot_restarts (const SwarmSlot *slot, const SwarmTask *task, gint64 since)
{
  guint64 n = 0;
  gboolean first = TRUE;
  for (guint i = 0; i < slot->n; i++) {
    const SwarmTask *other = slot->tasks[i];
    if (other->spec_version != task->spec_version)
      continue;
    if (!first && other->object.created_at >= since)
      n++;
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
  gint64 since = policy->window > 0 ? task->status->timestamp - policy->window / 1000 : G_MININT64;
  return slot_restarts (slot, task, since) < policy->max_attempts;
}

/* Over at once: rejected, or failed within a second of its creation. */
static gboolean
task_ended_quickly (const SwarmTask *task)
{
  if (task->status->state == SWARM_TASK_REJECTED)
    return TRUE;
  return task->status->state == SWARM_TASK_FAILED && task->status->timestamp - MAX (task->object.created_at, task->not_before) < QUICK_US;
}

/* 0.25 s, 1 s, 4 s, 16 s, 60 s after one, two … rejections in a row; a task that ran gets two quick ends for nothing. */
static gint64
slot_backoff (const SwarmSlot *slot, const SwarmTask *task)
{
  guint quick = 0;
  for (guint i = slot->n; i-- > 0;) {
    const SwarmTask *other = slot->tasks[i];
    if (other->spec_version != task->spec_version || !task_ended_quickly (other))
      break;
    quick++;
  }
  guint for_nothing = task->status->state == SWARM_TASK_REJECTED ? 0 : 2;
  if (quick <= for_nothing)
    return 0;
  guint level = MIN (quick - for_nothing - 1, 4);
  return MIN (G_TIME_SPAN_SECOND / 4 << (2 * level), MAX_BACKOFF_US);
}

gint64
swarm_restart_delay (const SwarmSlot *slot, const SwarmTask *task, gboolean evicted)
{
  if (evicted)
    return 0;
  const SwarmRestartPolicy *policy = task->spec->restart_policy;
  gint64 delay = policy != NULL ? policy->delay / 1000 : DEFAULT_DELAY_US;
  return MAX (delay, slot_backoff (slot, task));
}

gint64
swarm_restart_due (const SwarmTask *task, gint64 now)
{
  const SwarmRestartPolicy *policy = task->spec->restart_policy;
  gint64 longest = MAX (policy != NULL ? policy->delay / 1000 : DEFAULT_DELAY_US, MAX_BACKOFF_US);
  return task->not_before > now + longest ? now : task->not_before;
}
