// SPDX-License-Identifier: LGPL-2.1-or-later
/* Virtual time: a queue of timers. Nothing happens but what swarm_virtual_clock_step() runs; a run is repeated exactly by its seed. */
#pragma once
#include "base/clock.h"

typedef struct _SwarmVirtualClock SwarmVirtualClock;

/* Wall clock and boottime both begin at @start_us (> 0). */
SwarmVirtualClock *swarm_virtual_clock_new (gint64 start_us);
/* Timers that are left are forgotten, their functions not called. */
void swarm_virtual_clock_free (SwarmVirtualClock *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmVirtualClock, swarm_virtual_clock_free)
SwarmClock *swarm_virtual_clock_iface (SwarmVirtualClock *self);
/* Same time, but a wall clock that is off by @wall_offset_us: for one host. Freed with @self. */
SwarmClock *swarm_virtual_clock_view (SwarmVirtualClock *self, gint64 wall_offset_us);
/* That host's wall clock is stepped. */
void swarm_virtual_clock_step_wall (SwarmClock *view, gint64 us);
/* That host stands still (its process is stopped, its machine suspended): timers of @view that are due before @until_us run only then. */
void swarm_virtual_clock_freeze (SwarmClock *view, gint64 until_us);
gboolean swarm_virtual_clock_is_frozen (SwarmClock *view);

/* Virtual microseconds since it was made, as no host's wall clock tells it. */
gint64 swarm_virtual_clock_time (SwarmVirtualClock *self);
/* Runs the next timer, jumping to its time; FALSE when there is none. */
gboolean swarm_virtual_clock_step (SwarmVirtualClock *self);
/* Runs all timers due within the next @us and stands there afterwards. */
void swarm_virtual_clock_run (SwarmVirtualClock *self, gint64 us);
/* Runs until @done answers TRUE, @limit_us at most; whether it did. */
gboolean swarm_virtual_clock_run_until (SwarmVirtualClock *self, gint64 limit_us, gboolean (*done) (gpointer data), gpointer data);
