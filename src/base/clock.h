// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface one of six through which the pure code reaches the world: time and "later".
 * The daemon's runs on the GLib main context, the simulator's on virtual time. All times are in microseconds. */
#pragma once
#include <glib.h>

typedef struct _SwarmClock SwarmClock;
typedef struct _SwarmTimer SwarmTimer;
typedef void (*SwarmTimerFunc) (gpointer data);

/* What may wait for what: consensus and heartbeats never wait for a pass of the brain. */
typedef enum {
  SWARM_PRIORITY_URGENT,
  SWARM_PRIORITY_NORMAL,
  SWARM_PRIORITY_IDLE,
} SwarmPriority;

typedef struct {
  gint64 (*now) (SwarmClock *self);
  gint64 (*boottime) (SwarmClock *self);
  SwarmTimer *(*timer) (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data);
  void (*cancel) (SwarmClock *self, SwarmTimer *timer);
} SwarmClockOps;

struct _SwarmClock {
  const SwarmClockOps *ops;
};

/* Wall clock, µs since 1970. For stamps that people read and for certificates, never for intervals. */
static inline gint64
swarm_clock_now (SwarmClock *self)
{
  return self->ops->now (self);
}

/* Monotonic time that goes on during suspend (CLOCK_BOOTTIME), µs. */
static inline gint64
swarm_clock_boottime (SwarmClock *self)
{
  return self->ops->boottime (self);
}

/* Calls @func once after @delay_us (0: in the next turn of the loop). The timer is gone when @func is entered:
 * the owner's first act there is to forget its pointer. */
static inline SwarmTimer *
swarm_clock_timer (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  return self->ops->timer (self, delay_us, priority, func, data);
}

/* Cancels a timer that has not fired and sets the pointer to NULL; NULL is fine. */
static inline void
swarm_clock_clear_timer (SwarmClock *self, SwarmTimer **timer)
{
  if (*timer != NULL)
    self->ops->cancel (self, *timer);
  *timer = NULL;
}

/* The size of a difference (µs, either sign) for people: "1.5 s", "1 h 3 min", "90 days 2 h". Caller frees. */
char *swarm_clock_difference_text (gint64 us);
