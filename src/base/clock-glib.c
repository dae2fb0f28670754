// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock-glib.h"
#include <time.h>

/* A GSource of our own, for microseconds: GLib's timeouts count in milliseconds. */
struct _SwarmTimer {
  GSource source;
  SwarmTimerFunc func;
  gpointer data;
};

static const int priorities[] = {
  [SWARM_PRIORITY_URGENT] = G_PRIORITY_HIGH,
  [SWARM_PRIORITY_NORMAL] = G_PRIORITY_DEFAULT,
  [SWARM_PRIORITY_IDLE] = G_PRIORITY_DEFAULT_IDLE,
};

static gint64
clock_now (SwarmClock *self)
{
  return g_get_real_time ();
}

static gint64
clock_boottime (SwarmClock *self)
{
  struct timespec ts;

  clock_gettime (CLOCK_BOOTTIME, &ts);
  return (gint64) ts.tv_sec * G_USEC_PER_SEC + ts.tv_nsec / 1000;
}

static gboolean
timer_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  SwarmTimer *timer = (SwarmTimer *) source;

  timer->func (timer->data);
  return G_SOURCE_REMOVE;
}

static SwarmTimer *
clock_timer (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  static GSourceFuncs funcs = { .dispatch = timer_dispatch };
  GSource *source = g_source_new (&funcs, sizeof (SwarmTimer));
  SwarmTimer *timer = (SwarmTimer *) source;

  timer->func = func;
  timer->data = data;
  g_source_set_static_name (source, "swarm-timer");
  g_source_set_priority (source, priorities[priority]);
  g_source_set_ready_time (source, delay_us <= 0 ? 0 : g_get_monotonic_time () + delay_us);
  g_source_attach (source, NULL);
  /* The context holds the only reference: the timer is gone once it fired or was cancelled. */
  g_source_unref (source);
  return timer;
}

static void
clock_cancel (SwarmClock *self, SwarmTimer *timer)
{
  g_source_destroy (&timer->source);
}

SwarmClock *
swarm_clock_glib (void)
{
  static const SwarmClockOps ops = { clock_now, clock_boottime, clock_timer, clock_cancel };
  static SwarmClock clock = { &ops };

  return &clock;
}
