// SPDX-License-Identifier: LGPL-2.1-or-later
/* Virtual time and chance by seed: a run is repeated exactly by its seed. */
#pragma once
#include "base/clock-virtual.h"
#include "base/id.h"
#include "base/random.h"

#define SimClock SwarmVirtualClock
#define sim_clock_new swarm_virtual_clock_new
#define sim_clock_free swarm_virtual_clock_free
#define sim_clock_iface swarm_virtual_clock_iface
#define sim_clock_view swarm_virtual_clock_view
#define sim_clock_step_wall swarm_virtual_clock_step_wall
#define sim_clock_freeze swarm_virtual_clock_freeze
#define sim_clock_is_frozen swarm_virtual_clock_is_frozen
#define sim_clock_time swarm_virtual_clock_time
#define sim_clock_step swarm_virtual_clock_step
#define sim_clock_run swarm_virtual_clock_run
#define sim_clock_run_until swarm_virtual_clock_run_until

/* Randomness by seed (splitmix64). */
typedef struct {
  SwarmRandom iface;
  guint64 state;
  const SwarmId *next_id; /* what the next id that somebody asks for is to be, once; NULL: by chance */
} SimRandom;

void sim_random_init (SimRandom *self, guint64 seed);
guint64 sim_random_next (SimRandom *self);
/* Uniform in [low, high]. */
gint64 sim_random_range (SimRandom *self, gint64 low, gint64 high);
/* TRUE in @percent of 100 cases. */
gboolean sim_random_chance (SimRandom *self, guint percent);
