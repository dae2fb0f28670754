// SPDX-License-Identifier: LGPL-2.1-or-later
/* Virtual time: a queue of timers. Nothing happens but what sim_clock_step() runs; a run is repeated exactly by its seed. */
#pragma once
#include "base/clock.h"
#include "base/random.h"

typedef struct _SimClock SimClock;

/* Wall clock and boottime both begin at @start_us (> 0). */
SimClock *sim_clock_new (gint64 start_us);
/* Timers that are left are forgotten, their functions not called. */
void sim_clock_free (SimClock *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimClock, sim_clock_free)
SwarmClock *sim_clock_iface (SimClock *self);
/* Same time, but a wall clock that is off by @wall_offset_us: for one host. Freed with @self. */
SwarmClock *sim_clock_view (SimClock *self, gint64 wall_offset_us);
/* That host stands still (its process is stopped, its machine suspended): timers of @view that are due before @until_us run only then. */
void sim_clock_freeze (SwarmClock *view, gint64 until_us);
gboolean sim_clock_is_frozen (SwarmClock *view);

gint64 sim_clock_time (SimClock *self);
/* Runs the next timer, jumping to its time; FALSE when there is none. */
gboolean sim_clock_step (SimClock *self);
/* Runs all timers due within the next @us and stands there afterwards. */
void sim_clock_run (SimClock *self, gint64 us);
/* Runs until @done answers TRUE, @limit_us at most; whether it did. */
gboolean sim_clock_run_until (SimClock *self, gint64 limit_us, gboolean (*done) (gpointer data), gpointer data);

/* Randomness by seed (splitmix64). */
typedef struct {
  SwarmRandom iface;
  guint64 state;
} SimRandom;

void sim_random_init (SimRandom *self, guint64 seed);
guint64 sim_random_next (SimRandom *self);
/* Uniform in [low, high]. */
gint64 sim_random_range (SimRandom *self, gint64 low, gint64 high);
/* TRUE in @percent of 100 cases. */
gboolean sim_random_chance (SimRandom *self, guint percent);
