// SPDX-License-Identifier: LGPL-2.1-or-later
/* A clock for the budget of the brain's passes: virtual time stands still inside a turn, so that no pass would ever be cut; by this one each look
 * costs something. */
#pragma once
#include "sim/sim-clock.h"

typedef struct {
  SwarmClock iface;
  SwarmClock *real;
  SimRandom random;
  gint64 most_us; /* what a look costs */
  gint64 spent;
} SimHurry;

/* Each look at it costs up to @most_us, by chance of its own. Only its boottime is there. */
void sim_hurry_init (SimHurry *self, SwarmClock *real, guint64 seed, gint64 most_us);
