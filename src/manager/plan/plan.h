// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a change would do, without doing it: the leader's own loops run over a copy (by reference) of the live store, in virtual time,
 * on nodes where every task starts and stops at once. Nothing is written, and the main loop is never held for long. */
#pragma once
#include "manager/leader.h"
#include "plugin/scheduler-set.h"

typedef enum { SWARM_PLAN_SERVICE, SWARM_PLAN_AVAILABILITY, SWARM_PLAN_DRAIN } SwarmPlanKind;

/* Borrowed during the call. */
typedef struct {
  SwarmPlanKind kind;
  const SwarmServiceSpec *spec; /* SERVICE: created, or put in place of the service of that name */
  const SwarmId *node;          /* AVAILABILITY, DRAIN */
  const char *availability;     /* AVAILABILITY */
  SwarmDrainOrder order;        /* DRAIN, as swarm_control_drain_node() */
  gint64 deadline_us;
} SwarmPlanRequest;

typedef enum { SWARM_PLAN_START, SWARM_PLAN_STOP, SWARM_PLAN_PENDING } SwarmPlanAction;
SWARM_ENUM_DECLARE (SwarmPlanAction, swarm_plan_action)

/* One thing that would happen, in the order in which it would. */
typedef struct {
  SwarmPlanAction action;
  gint64 after_us; /* since the change, when every task starts and stops at once: delays and monitoring of updates */
  SwarmId service;
  SwarmId task; /* STOP; nil else: new tasks have no id yet */
  SwarmId node; /* nil: PENDING */
  char *name;   /* "web.3", "agent.<node>" */
  char *reason;
} SwarmPlanStep;

/* More steps than this are not told. */
#define SWARM_PLAN_MAX_STEPS 10000

/* @steps: SwarmPlanStep *, borrowed; NULL on error (the change would be refused, the plan takes too long). Called exactly once,
 * never from within. */
typedef void (*SwarmPlanDone) (GPtrArray *steps, gboolean truncated, const GError *error, gpointer data);

typedef struct _SwarmPlan SwarmPlan;

/* @leader: its store is copied, its clock is where the work is done bit by bit; runner and members are not used. The plan frees itself
 * after @done. */
SwarmPlan *swarm_plan_new (const SwarmLeader *leader, SwarmSchedulerSet *schedulers, const SwarmPlanRequest *request, SwarmPlanDone done,
                           gpointer data);
/* Ends it with CANCELLED, from within. */
void swarm_plan_cancel (SwarmPlan *self);
