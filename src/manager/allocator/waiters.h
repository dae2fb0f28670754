// SPDX-License-Identifier: LGPL-2.1-or-later
/* Objects that wait for something, by what they wait for, first come first served. */
#pragma once
#include "model/object.h"

typedef struct {
  GHashTable *queues; /* id of what is waited for → queue of it; none is empty */
} SwarmWaiters;

typedef struct {
  SwarmKind kind;
  SwarmId id;
} SwarmWaiter;

void swarm_waiters_init (SwarmWaiters *self);
void swarm_waiters_clear (SwarmWaiters *self);
/* Whoever waits for @what already keeps its place. */
void swarm_waiters_add (SwarmWaiters *self, const SwarmId *what, SwarmKind kind, const SwarmId *id);
/* Takes the first one who waits for @what. FALSE: nobody does. */
gboolean swarm_waiters_take (SwarmWaiters *self, const SwarmId *what, SwarmWaiter *ret);
/* How many do. */
guint swarm_waiters_count (const SwarmWaiters *self, const SwarmId *what);
/* It waits for nothing any more. */
void swarm_waiters_forget (SwarmWaiters *self, const SwarmId *id);
