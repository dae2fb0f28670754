// SPDX-License-Identifier: LGPL-2.1-or-later
/* The brain of a manager: control, dispatcher and CA server, which exist on every manager, and the loops, which run on the leader
 * only. Pure: it reaches the world through store, clock, random, crypto, links and the hooks below. */
#pragma once
#include "base/crypto.h"
#include "manager/ca-server.h"
#include "manager/control/control.h"
#include "manager/dispatcher/dispatcher.h"
#include "manager/members.h"
#include "manager/plan/plan.h"
#include "plugin/scheduler-set.h"
#include "store/store.h"

typedef struct _SwarmManager SwarmManager;

typedef struct {
  SwarmStore *store;
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmCrypto *crypto; /* may be NULL where no certificates are issued (simulator) */
  SwarmId self;        /* this manager's node */
  SwarmMembers members;
  SwarmExternalSigner signer;
  SwarmSchedulerSet *schedulers; /* the strategies; NULL: nothing is placed */
  SwarmClock *budget; /* what passes measure their time by; NULL: @clock */
} SwarmManagerConfig;

/* @config is copied; what it points to must outlive the manager. */
SwarmManager *swarm_manager_new (const SwarmManagerConfig *config);
/* Sessions end without a word to the nodes; calls under way are answered with CANCELLED. */
void swarm_manager_free (SwarmManager *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmManager, swarm_manager_free)

/* Starts (TRUE) or stops the leader's loops. To be called with TRUE only when every entry of earlier terms has been applied. */
void swarm_manager_lead (SwarmManager *self, gboolean leading);
gboolean swarm_manager_leads (SwarmManager *self);
/* For tests: what the leader believes to be given out (addresses, ports, numbers) against the store; see swarm_allocator_audit(). Caller frees. */
char *swarm_manager_audit (SwarmManager *self);
/* Members or leader changed: nodes get the new list, roles are looked at again. Cheap; call it on any change. */
void swarm_manager_members_changed (SwarmManager *self);

/* What @request would do (plan/plan.h), from this manager's store, also where it does not lead. One at a time: UNAVAILABLE else. The plan
 * under way is given up (CANCELLED) with the manager. @done is never called from within. */
void swarm_manager_plan (SwarmManager *self, const SwarmPlanRequest *request, SwarmPlanDone done, gpointer data);

/* Borrowed parts. */
SwarmControl *swarm_manager_control (SwarmManager *self);
SwarmDispatcher *swarm_manager_dispatcher (SwarmManager *self);
SwarmCAServer *swarm_manager_ca_server (SwarmManager *self);
