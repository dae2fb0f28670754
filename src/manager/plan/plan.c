// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/plan/world.h"
#include "base/error.h"

/* Real time of one turn, and of all of them together. */
#define TURN_US (5 * G_TIME_SPAN_MILLISECOND)
#define WORK_US (10 * G_TIME_SPAN_SECOND)

typedef enum { SETTLE, RUN } Phase;

struct _SwarmPlan {
  SwarmClock *clock;
  SwarmTimer *turn;
  SwarmPlanWorld *world;
  Phase phase;
  gint64 worked;
  SwarmPlanKind kind;
  SwarmServiceSpec *spec;
  SwarmId node;
  char *availability;
  SwarmDrainOrder order;
  gint64 deadline_us;
  gboolean changed;
  gboolean ending;
  GError *refused;
  SwarmPlanDone done;
  gpointer data;
};

static void
plan_end (SwarmPlan *self, const GError *error)
{
  gboolean truncated = FALSE;
  GPtrArray *steps = error == NULL ? swarm_plan_world_steps (self->world, &truncated) : NULL;

  self->ending = TRUE;
  swarm_clock_clear_timer (self->clock, &self->turn);
  self->done (steps, truncated, error, self->data);
  swarm_plan_world_free (self->world);
  swarm_service_spec_unref (self->spec);
  g_clear_error (&self->refused);
  g_free (self->availability);
  g_free (self);
}

/* The change was made in the copy, or refused there. */
static void
changed (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  SwarmPlan *self = data;

  if (self->ending)
    return;
  self->changed = TRUE;
  if (error != NULL)
    self->refused = g_error_copy (error);
}

static void
make_change (SwarmPlan *self)
{
  SwarmControl *control = swarm_plan_world_control (self->world);
  SwarmService *service = NULL;

  swarm_plan_world_record (self->world);
  if (self->kind == SWARM_PLAN_AVAILABILITY) {
    swarm_control_set_availability (control, &self->node, self->availability, NULL, changed, self);
    return;
  }
  if (self->kind == SWARM_PLAN_DRAIN) {
    swarm_control_drain_node (control, &self->node, self->order, self->deadline_us, NULL, changed, self);
    return;
  }
  if (self->spec->name != NULL)
    service = swarm_store_get_by_name (swarm_plan_world_store (self->world), SWARM_KIND_SERVICE, self->spec->name);
  if (service != NULL)
    swarm_control_update_service (control, &service->object.id, service->object.version, self->spec, NULL, changed, self);
  else
    swarm_control_create_service (control, self->spec, NULL, changed, self);
}

static void plan_turn (gpointer data);

static void
plan_go_on (SwarmPlan *self)
{
  self->turn = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_IDLE, plan_turn, self);
}

static void
plan_turn (gpointer data)
{
  SwarmPlan *self = data;
  g_autoptr (GError) error = NULL;
  gboolean idle;

  self->turn = NULL;
  idle = swarm_plan_world_work (self->world, TURN_US);
  self->worked += TURN_US;
  if (self->refused != NULL) {
    plan_end (self, self->refused);
    return;
  }
  if (self->worked > WORK_US) {
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "the plan is too large to be made: it takes more than 10 s");
    plan_end (self, error);
    return;
  }
  if (idle && self->phase == SETTLE) {
    self->phase = RUN;
    make_change (self);
  } else if (idle && self->changed) {
    plan_end (self, NULL);
    return;
  }
  plan_go_on (self);
}

SwarmPlan *
swarm_plan_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers, const SwarmPlanRequest *request, SwarmPlanDone done,
                gpointer data)
{
  SwarmPlan *self = g_new0 (SwarmPlan, 1);

  self->clock = leader->clock;
  self->world = swarm_plan_world_new (leader, schedulers, swarm_store_snapshot (leader->store));
  self->kind = request->kind;
  self->spec = request->spec != NULL ? swarm_message_ref (request->spec) : NULL;
  self->node = request->node != NULL ? *request->node : SWARM_ID_NIL;
  self->availability = g_strdup (request->availability);
  self->order = request->order;
  self->deadline_us = request->deadline_us;
  self->done = done;
  self->data = data;
  plan_go_on (self);
  return self;
}

void
swarm_plan_cancel (SwarmPlan *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the plan is given up");

  plan_end (self, error);
}
