// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/update.h"
#include "base/log.h"

/* So long after its grace period a task that does not stop holds up its own slot only, no longer the whole update. */
#define STOP_LIMIT_US G_TIME_SPAN_MINUTE

/* ---- what the tasks tell ---- */

static const SwarmUpdateConfig *
config_of (const SwarmServiceSpec *spec, gboolean rollback)
{
  static SwarmUpdateConfig *defaults;
  if (defaults == NULL)
    defaults = swarm_update_config_new ();
  const SwarmUpdateConfig *config = rollback ? spec->rollback : spec->update;
  return config != NULL ? config : defaults;
}

static void
read_config (SwarmUpdate *self, const SwarmServiceSpec *spec)
{
  const SwarmUpdateConfig *config = config_of (spec, self->rollback);
  self->start_first = config->order == SWARM_ORDER_START_FIRST;
  self->parallelism = config->parallelism > 0 ? config->parallelism : G_MAXUINT64;
  self->delay = config->delay / 1000;
  self->monitor = config->monitor / 1000;
  if (self->delay >= self->monitor)
    self->monitor = self->delay + G_TIME_SPAN_SECOND;
  self->action = config->failure_action;
  self->max_ratio = config->max_failure_ratio;
}

/* When the slot of @step was done: it began to run, or ended without. By the leaders' clocks: that of its last change while it runs, and
 * then the node's stamp, as far as theirs bear it out. */
static gint64
step_done_at (const SwarmTask *step)
{
  gboolean runs = step->status->state == SWARM_TASK_RUNNING && step->desired_state == SWARM_TASK_RUNNING;
  gint64 at = !runs && step->status->started_at != 0 ? step->status->started_at : step->object.updated_at;
  return CLAMP (at, step->object.created_at, MAX (step->object.updated_at, step->object.created_at));
}

/* Failure or early termination. A task that was told to stop did not fail. */
static gboolean
step_failed (const SwarmUpdate *self, const SwarmTask *step)
{
  const SwarmTaskStatus *status = step->status;
  if (status->state != SWARM_TASK_COMPLETE && status->state != SWARM_TASK_FAILED && status->state != SWARM_TASK_REJECTED)
    return FALSE;
  return status->started_at == 0 || status->timestamp - status->started_at <= self->monitor;
}

/* When the step, which waits for a task that takes longer to stop than it may, holds up the others no more. 0: now. */
static gint64
overdue_at (const SwarmReplica *replica, gint64 now)
{
  const SwarmTask *step = replica->step;
  if (step->desired_state >= SWARM_TASK_RUNNING)
    return G_MAXINT64;
  gint64 grace = 0;
  for (guint i = 0; i < replica->slot.n; i++)
    grace = MAX (grace, replica->slot.tasks[i]->spec->container->stop_grace_period / 1000);
  gint64 due = step->object.created_at + grace + STOP_LIMIT_US;
  return due > now ? due : 0;
}

static void
share_step (const SwarmUpdate *self, const SwarmReplica *replica, gint64 now, SwarmUpdateShare *share)
{
  const SwarmTask *step = replica->step;
  share->step = 1;
  if (step->status->state < SWARM_TASK_RUNNING && step->desired_state <= SWARM_TASK_RUNNING) {
    gint64 overdue = overdue_at (replica, now);
    share->open = 1;
    share->busy = overdue > 0;
    share->due = overdue > 0 ? overdue : G_MAXINT64;
    return;
  }
  gint64 rests_at = step_done_at (step) + self->delay;
  /* A stamp that lies ahead is of a clock that was set back since: what it tells is over. */
  if (rests_at <= now + self->delay)
    share->rests_at = rests_at;
  if (rests_at > now && rests_at <= now + self->delay) {
    share->busy = 1;
    share->due = rests_at;
  }
  if (!step_failed (self, step))
    return;
  share->failed = 1;
  share->failed_at = step->status->timestamp;
  share->culprit = step->object.id;
}

void
swarm_update_begin (SwarmUpdate *self, const SwarmService *service)
{
  *self = (SwarmUpdate){ .state = service->update_status != NULL ? service->update_status->state : SWARM_UPDATE_NONE };
  self->rollback = self->state == SWARM_UPDATE_ROLLBACK_STARTED || self->state == SWARM_UPDATE_ROLLBACK_PAUSED;
  self->paused = self->state == SWARM_UPDATE_PAUSED || self->state == SWARM_UPDATE_ROLLBACK_PAUSED;
  self->under_way = self->state == SWARM_UPDATE_UPDATING || self->state == SWARM_UPDATE_ROLLBACK_STARTED;
  read_config (self, service->spec);
}

SwarmUpdateShare
swarm_update_share (const SwarmUpdate *self, const SwarmReplica *replica, gint64 now)
{
  SwarmUpdateShare share = { .due = G_MAXINT64 };
  if (replica->step != NULL)
    share_step (self, replica, now, &share);
  else
    share.waiting = replica->dirty && !replica->held;
  return share;
}

static gboolean
is_later_failure (const SwarmUpdate *self, const SwarmUpdateShare *share)
{
  if (swarm_id_is_nil (&self->culprit) || share->failed_at != self->culprit_at)
    return swarm_id_is_nil (&self->culprit) || share->failed_at > self->culprit_at;
  return swarm_id_compare (&share->culprit, &self->culprit) > 0;
}

void
swarm_update_count (SwarmUpdate *self, const SwarmUpdateShare *share, int by)
{
  self->waiting += by * share->waiting;
  self->steps += by * share->step;
  self->open += by * share->open;
  self->busy += by * share->busy;
  self->failures += by * share->failed;
  self->rests_at = MAX (self->rests_at, share->rests_at);
  if (!share->failed || !is_later_failure (self, share))
    return;
  self->culprit = share->culprit;
  self->culprit_at = share->failed_at;
}

void
swarm_update_init (SwarmUpdate *self, SwarmLook *look, const SwarmReplica *replica)
{
  swarm_update_begin (self, look->service);
  SwarmUpdateShare share = swarm_update_share (self, replica, look->now);
  swarm_update_count (self, &share, 1);
  swarm_look_wake_at (look, share.due);
}

/* ---- what people are told ---- */

static void
tell (SwarmLook *look, SwarmService *service, SwarmUpdateState state, const char *text)
{
  SwarmUpdateStatus *status = service->update_status != NULL ? swarm_update_status_copy (service->update_status) : swarm_update_status_new ();
  status->state = state;
  swarm_string_set (&status->text, text);
  if (state == SWARM_UPDATE_UPDATING) {
    status->started_at = look->now;
    status->completed_at = 0;
  } else if (state == SWARM_UPDATE_COMPLETED || state == SWARM_UPDATE_ROLLBACK_COMPLETED) {
    status->completed_at = look->now;
  }
  swarm_message_clear_pointer (&service->update_status);
  service->update_status = status;
  swarm_tx_update (look->tx, service);
  if (!look->leader->rehearses)
    swarm_info ("service %s: %s", service->spec->name, text);
}

static void
update_tell (SwarmLook *look, SwarmUpdateState state, const char *text)
{
  g_autoptr (SwarmService) copy = swarm_service_copy (look->service);
  tell (look, copy, state, text);
}

/* ---- failures ---- */

/* @lost: what it would need to be rolled back; NULL: it was not to be. */
static void
update_pause (SwarmUpdate *self, SwarmLook *look, const char *lost)
{
  /* A rollback never rolls back: that it was to do so is said. */
  gboolean twice = self->rollback && self->action == SWARM_FAILURE_ROLLBACK;
  g_autofree char *text = g_strdup_printf ("%s paused due to failure or early termination of task %s%s%s%s", twice ? "rollback" : "update",
                                           swarm_id_string (&self->culprit).str, lost != NULL ? "; it cannot be rolled back, for its network " : "",
                                           lost != NULL ? lost : "", lost != NULL ? " was removed" : "");
  update_tell (look, self->rollback ? SWARM_UPDATE_ROLLBACK_PAUSED : SWARM_UPDATE_PAUSED, text);
  self->paused = TRUE;
  self->under_way = FALSE;
}

/* A network of @spec that is not there any more: its tasks would wait for ever. NULL: all are. */
static const char *
lost_network (const SwarmLook *look, const SwarmServiceSpec *spec)
{
  const GPtrArray *networks = spec->task->networks;
  for (guint i = 0; networks != NULL && i < networks->len; i++) {
    const char *target = ((const SwarmNetworkAttachmentConfig *) g_ptr_array_index (networks, i))->target;
    SwarmId id;
    if (swarm_id_parse (target, &id) && swarm_store_get (look->leader->store, SWARM_KIND_NETWORK, &id) == NULL)
      return target;
  }
  return NULL;
}

static void
update_roll_back (SwarmUpdate *self, SwarmLook *look)
{
  g_autoptr (SwarmService) copy = swarm_service_copy (look->service);
  g_autofree char *text = g_strdup_printf ("update rolled back due to failure or early termination of task %s",
                                           swarm_id_string (&self->culprit).str);
  swarm_message_set_pointer (&copy->spec, look->service->previous_spec);
  swarm_message_clear_pointer (&copy->previous_spec);
  copy->spec_version++;
  tell (look, copy, SWARM_UPDATE_ROLLBACK_STARTED, text);
}

gboolean
swarm_update_judge (SwarmUpdate *self, SwarmLook *look)
{
  guint slots = self->steps + self->waiting;
  if (!self->under_way || self->action == SWARM_FAILURE_CONTINUE || self->failures == 0
      || (double) self->failures / slots <= self->max_ratio || !swarm_look_has_room (look))
    return TRUE;
  gboolean back = self->action == SWARM_FAILURE_ROLLBACK && !self->rollback && look->service->previous_spec != NULL;
  const char *lost = back ? lost_network (look, look->service->previous_spec) : NULL;
  if (back && lost == NULL) {
    update_roll_back (self, look);
    return FALSE;
  }
  update_pause (self, look, lost);
  return TRUE;
}

/* ---- going on ---- */

static void
update_complete (SwarmUpdate *self, SwarmLook *look)
{
  gint64 due = self->steps > 0 ? self->rests_at + self->monitor : 0;
  if (due > look->now)
    swarm_look_wake_at (look, due);
  else if (self->rollback && swarm_look_has_room (look))
    update_tell (look, SWARM_UPDATE_ROLLBACK_COMPLETED, "rollback completed");
  else if (swarm_look_has_room (look))
    update_tell (look, SWARM_UPDATE_COMPLETED, "update completed");
}

gboolean
swarm_update_goes_on (SwarmUpdate *self, SwarmLook *look)
{
  if (self->paused || !swarm_look_has_room (look))
    return FALSE;
  if (self->waiting == 0 && self->open == 0) {
    if (self->under_way)
      update_complete (self, look);
    return FALSE;
  }
  if (!self->under_way)
    update_tell (look, SWARM_UPDATE_UPDATING, "update in progress");
  return TRUE;
}
