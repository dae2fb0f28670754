// SPDX-License-Identifier: LGPL-2.1-or-later
/* DESIGN's promises, checked in a simulated cluster after every event:
 * 1 what was acknowledged is there, whoever leads;
 * 2 no task is started twice, no slot runs twice unless start-first, a cut or a long absence of the agent excuses it;
 * 3, 4 a container is stopped only after the store wants its task to end (so nothing new is sent to it), or when it is unhealthy;
 * 5 no address, subnet, port or number is given out twice. */
#pragma once
#include "sim/sim-cluster.h"

typedef struct {
  const char *name;
  guint64 checked; /* how often it could have been broken */
} SimPromise;

SimPromises *sim_promises_new (SimCluster *cluster);
void sim_promises_free (SimPromises *self);
/* Which machines are away, and excused: to be called often. */
void sim_promises_look_at_machines (SimPromises *self);
/* To be told of each committed change. */
void sim_promises_committed (SimPromises *self, const SwarmEvent *event);
/* To be called after every event. */
void sim_promises_check (SimPromises *self);
/* A write was acknowledged with @index. @removed: the object is gone. */
void sim_promises_acknowledge (SimPromises *self, SwarmKind kind, const SwarmId *id, guint64 index, gboolean removed);
/* A removal of the object is asked for: it may go from now on. */
void sim_promises_may_go (SimPromises *self, const SwarmId *id);
/* Array of @ret_n; borrowed. */
const SimPromise *sim_promises_list (SimPromises *self, guint *ret_n);
guint sim_promises_n_elections (SimPromises *self);
