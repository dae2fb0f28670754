// SPDX-License-Identifier: LGPL-2.1-or-later
/* What replicated and global services have in common: a slot that stands for one replica is kept filled, restarted, moved and updated.
 * Which slots there are to be is replicated.c's and global.c's. */
#pragma once
#include "manager/orchestrator/leaving.h"

/* One look at a service: what a pass has at hand. */
typedef struct {
  const SwarmLeader *leader;
  SwarmService *service;
  SwarmTx *tx;
  gint64 now;    /* swarm_store_now() */
  gint64 *wake;  /* lowered to when the service wants to be looked at again */
  gboolean full; /* @tx has no room: the rest waits for the next transaction */
  gboolean may_move; /* it is the slot's turn to be moved, if a rebalance asked for it */
} SwarmLook;

typedef struct {
  SwarmSlot slot;
  SwarmId node; /* global services: the node whose slot it is; else nil */
  gboolean held; /* global services: the node is paused, nothing is begun there */
  SwarmTask *live; /* the task that is meant to run; NULL: there is none */
  gboolean running; /* live and observed running */
  gboolean dirty;   /* live (or what ended last) is not what the service declares */
  gboolean dropped; /* this very pass tells a task of the slot to stop */
  SwarmTask *step;  /* what the update to the service's version put here; NULL: nothing */
  guint on_node;    /* replicated.c: how many better slots of the service share its node */
} SwarmReplica;

/* What a look at one slot comes to. */
typedef enum {
  SWARM_LOOK_DONE,
  SWARM_LOOK_FULL,  /* the transaction is: again after it */
  SWARM_LOOK_WHOLE, /* the slot alone does not tell what is to be done: look at the whole service */
} SwarmLookResult;

/* Room for the two changes that replace a task? Else the look is full. */
gboolean swarm_look_has_room (SwarmLook *look);
void swarm_look_wake_at (SwarmLook *look, gint64 when);

/* Fills in what the slot's tasks tell. Of several tasks that are meant to run, what the service declares comes before what it declared
 * once, then what runs (and may stay where it is)
 * before what does not, then the newer. */
void swarm_replica_init (SwarmReplica *self, const SwarmLook *look, const SwarmSlot *slot, const SwarmId *node);
/* What was here ended by itself, and the policy wants no other: the slot stays as it is until the service's spec changes. */
gboolean swarm_replica_has_ended (const SwarmReplica *self);
/* A new task beside whatever is in the slot. */
void swarm_replica_fill (SwarmLook *look, const SwarmReplica *self);
/* Stops what is in the slot, so that an update's task takes its place; with @start_first a task that runs goes on until the new one runs. */
void swarm_replica_replace (SwarmLook *look, const SwarmReplica *self, gboolean start_first);
/* Whether, and how, a task of the slot leaves its node. @wake as swarm_task_leaves() has it. */
SwarmLeave swarm_look_leaves (const SwarmLook *look, const SwarmSlot *slot, const SwarmTask *task, gint64 *wake);
/* All tasks of the slot are to go, SHUTDOWN or REMOVE. */
void swarm_look_drop_slot (SwarmLook *look, const SwarmSlot *slot, SwarmTaskState desired);

typedef struct _SwarmUpdate SwarmUpdate;
/* Nothing is to be done for it but an update, if it is dirty. May be wrong about what asks for something, never about what asks for nothing. */
gboolean swarm_replica_is_calm (const SwarmLook *look, const SwarmReplica *self);
/* Restarts and moves: does what is to be done. TRUE: it may also be updated, if it is dirty. */
gboolean swarm_replica_tend (SwarmLook *look, SwarmReplica *self, const SwarmUpdate *update);
/* The same, and its update, for a single slot: what a look at all of them would do about this one. */
SwarmLookResult swarm_replica_tend_alone (SwarmLook *look, SwarmReplica *self);
/* No update goes through its slots now. */
gboolean swarm_service_is_at_rest (const SwarmService *service);
