// SPDX-License-Identifier: LGPL-2.1-or-later
/* The copy of the cluster in which a plan is made: store, virtual time, the leader's loops, nodes that obey at once. */
#pragma once
#include "base/clock-virtual.h"
#include "manager/control/control.h"
#include "manager/plan/plan.h"

typedef struct _SwarmPlanWorld SwarmPlanWorld;

/* @snapshot is taken over. */
SwarmPlanWorld *swarm_plan_world_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers, SwarmSnapshot *snapshot);
void swarm_plan_world_free (SwarmPlanWorld *self);
/* Goes on for about @budget_us of real time: loads, then settles. TRUE: nothing is left to do. */
gboolean swarm_plan_world_work (SwarmPlanWorld *self, gint64 budget_us);
/* From now on steps are recorded; those of @service are told even where nothing changes (what stays pending). */
void swarm_plan_world_record (SwarmPlanWorld *self);
SwarmControl *swarm_plan_world_control (SwarmPlanWorld *self);
SwarmStore *swarm_plan_world_store (SwarmPlanWorld *self);
/* Adds the tasks that wait for a node, and gives all steps: SwarmPlanStep, owned by the world. */
GPtrArray *swarm_plan_world_steps (SwarmPlanWorld *self, gboolean *ret_truncated);
