// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/manager.h"
#include "manager/allocator/allocator.h"
#include "manager/ca-rotation.h"
#include "base/error.h"
#include "manager/leader.h"
#include "manager/orchestrator/attachments.h"
#include "manager/orchestrator/enforcer.h"
#include "manager/orchestrator/orchestrator.h"
#include "manager/orchestrator/orphans.h"
#include "manager/orchestrator/reaper.h"
#include "manager/roles.h"
#include "manager/scheduler/scheduler.h"

struct _SwarmManager {
  SwarmManagerConfig config;
  SwarmControl *control;
  SwarmDispatcher *dispatcher;
  SwarmCAServer *ca_server;
  /* While leading: */
  gboolean leading;
  SwarmLeader leader;
  SwarmOrphans *orphans;
  SwarmEnforcer *enforcer;
  SwarmOrchestrator *orchestrator;
  SwarmAllocator *allocator;
  SwarmScheduler *scheduler;
  SwarmRoles *roles;
  SwarmCARotation *ca_rotation;
  SwarmReaper *reaper;
  SwarmAttachments *attachments;
  /* The plan under way: */
  SwarmPlan *plan;
  SwarmPlanDone plan_done;
  gpointer plan_data;
};

SwarmManager *
swarm_manager_new (const SwarmManagerConfig *config)
{
  SwarmManager *self = g_new0 (SwarmManager, 1);
  self->config = *config;
  self->control = swarm_control_new (config->store, config->clock, config->random, &self->config.members);
  swarm_control_set_schedulers (self->control, config->schedulers);
  swarm_control_set_crypto (self->control, config->crypto);
  self->dispatcher = swarm_dispatcher_new (config->store, config->clock, config->random, &self->config.members);
  self->ca_server = swarm_ca_server_new (config->store, config->clock, config->random, config->crypto);
  swarm_ca_server_set_signer (self->ca_server, &config->signer);
  return self;
}

static void
manager_begin (SwarmManager *self)
{
  const SwarmManagerConfig *config = &self->config;
  self->leader = (SwarmLeader){
    .store = config->store,
    .clock = config->clock,
    .random = config->random,
    .runner = swarm_runner_new (config->store, config->clock),
    .members = &self->config.members,
    .self = config->self,
  };
  if (config->budget != NULL)
    swarm_runner_set_budget (self->leader.runner, config->budget);
  /* The order of their turns: what nodes told, then what follows from it. */
  swarm_dispatcher_lead (self->dispatcher, &self->leader);
  self->orphans = swarm_orphans_new (&self->leader);
  self->enforcer = swarm_enforcer_new (&self->leader);
  self->orchestrator = swarm_orchestrator_new (&self->leader);
  self->allocator = swarm_allocator_new (&self->leader);
  self->scheduler = swarm_scheduler_new (&self->leader, config->schedulers);
  self->roles = swarm_roles_new (&self->leader);
  self->ca_rotation = swarm_ca_rotation_new (&self->leader, &self->config.signer);
  self->reaper = swarm_reaper_new (&self->leader);
  self->attachments = swarm_attachments_new (&self->leader);
}

static void
manager_end (SwarmManager *self)
{
  /* First of all, so that no loop is called any more. */
  g_clear_pointer (&self->leader.runner, swarm_runner_free);
  g_clear_pointer (&self->attachments, swarm_attachments_free);
  g_clear_pointer (&self->reaper, swarm_reaper_free);
  g_clear_pointer (&self->ca_rotation, swarm_ca_rotation_free);
  g_clear_pointer (&self->roles, swarm_roles_free);
  g_clear_pointer (&self->scheduler, swarm_scheduler_free);
  g_clear_pointer (&self->allocator, swarm_allocator_free);
  g_clear_pointer (&self->orchestrator, swarm_orchestrator_free);
  g_clear_pointer (&self->enforcer, swarm_enforcer_free);
  g_clear_pointer (&self->orphans, swarm_orphans_free);
  swarm_dispatcher_unlead (self->dispatcher);
}

void
swarm_manager_free (SwarmManager *self)
{
  if (self == NULL)
    return;
  if (self->plan != NULL)
    swarm_plan_cancel (self->plan);
  swarm_manager_lead (self, FALSE);
  swarm_ca_server_free (self->ca_server);
  swarm_dispatcher_free (self->dispatcher);
  swarm_control_free (self->control);
  g_free (self);
}

void
swarm_manager_lead (SwarmManager *self, gboolean leading)
{
  if (self->leading == leading)
    return;
  self->leading = leading;
  if (leading)
    manager_begin (self);
  else
    manager_end (self);
}

gboolean
swarm_manager_leads (SwarmManager *self)
{
  return self->leading;
}

char *
swarm_manager_audit (SwarmManager *self)
{
  return self->leading ? swarm_allocator_audit (self->allocator) : NULL;
}

void
swarm_manager_members_changed (SwarmManager *self)
{
  if (!self->leading)
    return;
  swarm_dispatcher_managers_changed (self->dispatcher);
  swarm_roles_look (self->roles);
}

static void
plan_done (GPtrArray *steps, gboolean truncated, const GError *error, gpointer data)
{
  SwarmManager *self = data;
  self->plan = NULL;
  self->plan_done (steps, truncated, error, self->plan_data);
}

typedef struct {
  SwarmPlanDone done;
  gpointer data;
} Busy;

static void
plan_busy (gpointer data)
{
  g_autofree Busy *busy = data;
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "another plan is being made, try again in a moment");
  busy->done (NULL, FALSE, error, busy->data);
}

void
swarm_manager_plan (SwarmManager *self, const SwarmPlanRequest *request, SwarmPlanDone done, gpointer data)
{
  const SwarmManagerConfig *config = &self->config;
  SwarmLeader leader = { .store = config->store, .clock = config->clock, .random = config->random, .self = config->self };
  if (self->plan != NULL) {
    Busy *busy = g_new (Busy, 1);
    *busy = (Busy){ done, data };
    swarm_clock_timer (config->clock, 0, SWARM_PRIORITY_NORMAL, plan_busy, busy);
    return;
  }
  self->plan_done = done;
  self->plan_data = data;
  self->plan = swarm_plan_new (&leader, config->schedulers, request, plan_done, self);
}

SwarmControl *
swarm_manager_control (SwarmManager *self)
{
  return self->control;
}

SwarmDispatcher *
swarm_manager_dispatcher (SwarmManager *self)
{
  return self->dispatcher;
}

SwarmCAServer *
swarm_manager_ca_server (SwarmManager *self)
{
  return self->ca_server;
}
