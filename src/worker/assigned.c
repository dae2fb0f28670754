// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the leader says of a task, against what is known of it here. */
#include "base/error.h"
#include "worker/private.h"

static gboolean
is_over (const SwarmWorkerTask *self)
{
  return swarm_task_state_is_terminal (self->status->state);
}

/* The leader speaks of a task for the first time since this agent started. */
static void
first_assignment (SwarmWorkerTask *self, SwarmTaskState theirs)
{
  SwarmTaskStatus *status;

  if (!is_over (self) && self->unproven && self->up && theirs == SWARM_TASK_RUNNING) { /* it had said yes; that did not get to the disk */
    self->unproven = FALSE;
    swarm_worker_task_set (self, SWARM_TASK_RUNNING, "started", NULL, self->task->status->timestamp);
  }
  if (is_over (self) || self->may_run || theirs < SWARM_TASK_ACCEPTED)
    return;
  if (theirs > SWARM_TASK_RUNNING) { /* over, and they know */
    swarm_message_unref (self->status);
    self->status = swarm_task_status_ref (self->task->status);
    self->kept = self->acked = TRUE;
    if (self->task->lingers) /* they rejected it and wait to hear that it does not run here */
      swarm_worker_reports_add (self->worker->reports, self, TRUE);
    return;
  }
  if (!self->kept) {
    swarm_worker_task_set (self, SWARM_TASK_FAILED, NULL, "task: this node has no record of it; it may have run already", 0);
    return;
  }
  if (theirs >= SWARM_TASK_STARTING) {
    swarm_worker_task_set (self, SWARM_TASK_FAILED, NULL, "task: its unit vanished while the agent was away", 0);
    return;
  }
  /* Accepted, not started: prepared once more. The state does not go back for that. */
  status = swarm_task_status_copy (self->task->status);
  swarm_message_unref (self->status);
  self->status = status;
}

void
swarm_worker_task_assign (SwarmWorkerTask *self, SwarmTask *task)
{
  SwarmTaskState theirs = task->status != NULL ? task->status->state : SWARM_TASK_NEW;
  gboolean first = self->task == NULL;
  gboolean changed = first || self->task->desired_state != task->desired_state;
  SwarmTask *old = self->task;

  self->task = swarm_task_ref (task);
  swarm_message_unref (old);
  self->unassigned = FALSE;
  if (first)
    first_assignment (self, theirs);
  if (theirs < self->status->state && self->status->state >= SWARM_TASK_ACCEPTED)
    swarm_worker_reports_add (self->worker->reports, self, TRUE);
  else if (theirs == self->status->state && is_over (self))
    self->acked = TRUE;
  if (changed)
    swarm_worker_task_forget_retry (self);
  swarm_worker_task_step (self);
}
