// SPDX-License-Identifier: LGPL-2.1-or-later
/* A look at all slots of a service, in parts that fit into turns of the main loop, and then at those that changed. */
#pragma once
#include "manager/orchestrator/roll.h"

/* Where a slot wants to be looked at again at a moment of store time. */
typedef struct {
  void (*slot) (const SwarmId *service, guint64 number, gint64 when, gpointer data);
  gpointer data;
} SwarmSlotWaker;

typedef struct {
  SwarmLook look;
  SwarmRoll *roll;
  const SwarmSlotWaker *waker; /* may be NULL */
} SwarmWalk;

#define SWARM_WALK_PART 64 /* slots between two looks at the clock */

gboolean swarm_walk_time_is_up (const SwarmWalk *self);
/* The slot's tasks, which @ret refers to; caller frees the array. */
GPtrArray *swarm_walk_slot (const SwarmWalk *self, guint64 number, SwarmSlot *ret);
/* FALSE: the transaction is full, the slot comes again. */
typedef gboolean (*SwarmWalkFunc) (SwarmWalk *walk, const SwarmSlot *slot);
/* All slots of the service that are there and not known yet. FALSE: there are more. */
gboolean swarm_walk_all (SwarmWalk *self, const SwarmId *service, SwarmWalkFunc visit);
/* Those that were touched since; an empty slot too. FALSE: there are more. */
gboolean swarm_walk_changed (SwarmWalk *self, SwarmWalkFunc visit);
/* What is done about a slot from here on wakes that slot only, … */
void swarm_walk_wake_slot_begin (SwarmWalk *self, gint64 *ret_when);
/* … to here. @wake: the look's own. */
void swarm_walk_wake_slot_end (SwarmWalk *self, guint64 number, gint64 when, gint64 *wake);
