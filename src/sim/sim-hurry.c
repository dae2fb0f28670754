// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-hurry.h"

static gint64
hurry_boottime (SwarmClock *iface)
{
  SimHurry *self = (SimHurry *) iface;
  self->spent += sim_random_range (&self->random, 0, self->most_us);
  return swarm_clock_boottime (self->real) + self->spent;
}

static const SwarmClockOps hurry_ops = { .boottime = hurry_boottime };

void
sim_hurry_init (SimHurry *self, SwarmClock *real, guint64 seed, gint64 most_us)
{
  *self = (SimHurry){ .iface = { &hurry_ops }, .real = real, .most_us = most_us };
  sim_random_init (&self->random, seed);
}
