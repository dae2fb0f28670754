// SPDX-License-Identifier: LGPL-2.1-or-later
/* A look at all slots of a service, in parts that fit into turns of the main loop, and then at those that changed. */
#pragma once
#include "manager/orchestrator/dirty-slots.h"
#include "manager/orchestrator/roll.h"

/* Where a slot wants to be looked at again at a moment of store time. */
typedef struct {
  void (*slot) (const SwarmSlotKey *slot, gint64 when, gpointer data);
  gpointer data;
} SwarmSlotWaker;

typedef struct {
  SwarmLook look;
  SwarmRoll *roll;
  const SwarmSlotWaker *waker; /* may be NULL */
  GPtrArray *constraints; /* the service's, where it has a slot on each node */
} SwarmWalk;

/* Slots between two looks at the clock; nodes' slots. */
#define SWARM_WALK_PART 64
#define SWARM_WALK_NODES 8

gboolean swarm_walk_time_is_up (const SwarmWalk *self);
/* The slot's tasks, which @ret refers to; caller frees the array. @number: the roll's. */
GPtrArray *swarm_walk_slot (const SwarmWalk *self, guint64 number, SwarmSlot *ret);
/* FALSE: the transaction is full, the slot comes again. */
typedef gboolean (*SwarmWalkFunc) (SwarmWalk *walk, guint64 number, const SwarmSlot *slot);
/* All slots of the service that are there and not known yet. FALSE: there are more. */
gboolean swarm_walk_all (SwarmWalk *self, const SwarmId *service, SwarmWalkFunc visit);
/* The same where there is one on each node: also those that are empty, or of nodes that are gone. */
gboolean swarm_walk_nodes (SwarmWalk *self, SwarmWalkFunc visit);
/* The node of a slot that it visits. */
const SwarmId *swarm_walk_node (const SwarmWalk *self, guint64 number);
/* Those that were touched since; an empty slot too. FALSE: there are more. */
gboolean swarm_walk_changed (SwarmWalk *self, SwarmWalkFunc visit);
/* What is done about a slot from here on wakes that slot only, … */
void swarm_walk_wake_slot_begin (SwarmWalk *self, gint64 *ret_when);
/* … to here. @wake: the look's own. */
void swarm_walk_wake_slot_end (SwarmWalk *self, guint64 number, gint64 when, gint64 *wake);
/* All replicas are counted: their restarts and moves, and the next steps of the service's update. FALSE: there is more to do. */
gboolean swarm_walk_tend (SwarmWalk *self);
