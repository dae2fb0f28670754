// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock-glib.h"
#include <time.h>

/* One GSource for all timers of a priority, over a binary heap: thousands of timers (one for each node, say) cost a turn of the main loop
 * nothing. It counts microseconds, GLib's timeouts milliseconds. */
struct _SwarmTimer {
  gint64 when; /* monotonic, µs */
  guint64 number; /* timers of the same moment fire in the order in which they were made */
  guint position;
  SwarmPriority priority;
  SwarmTimerFunc func;
  gpointer data;
};

typedef struct {
  GSource source;
  GPtrArray *timers; /* a heap of SwarmTimer */
} TimerSource;

static TimerSource *sources[SWARM_PRIORITY_IDLE + 1];
static guint64 last_number;

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

/* ---- the heap ---- */

static gboolean
is_before (const SwarmTimer *a, const SwarmTimer *b)
{
  return a->when != b->when ? a->when < b->when : a->number < b->number;
}

static void
put (GPtrArray *timers, guint position, SwarmTimer *timer)
{
  timers->pdata[position] = timer;
  timer->position = position;
}

static void
rise (GPtrArray *timers, SwarmTimer *timer)
{
  guint at = timer->position;

  for (; at > 0 && is_before (timer, timers->pdata[(at - 1) / 2]); at = (at - 1) / 2)
    put (timers, at, timers->pdata[(at - 1) / 2]);
  put (timers, at, timer);
}

static void
sink (GPtrArray *timers, SwarmTimer *timer)
{
  guint at = timer->position;

  for (guint child = 2 * at + 1; child < timers->len; at = child, child = 2 * at + 1) {
    if (child + 1 < timers->len && is_before (timers->pdata[child + 1], timers->pdata[child]))
      child++;
    if (!is_before (timers->pdata[child], timer))
      break;
    put (timers, at, timers->pdata[child]);
  }
  put (timers, at, timer);
}

static void
take_out (GPtrArray *timers, SwarmTimer *timer)
{
  SwarmTimer *last = timers->pdata[timers->len - 1];
  guint position = timer->position;

  g_ptr_array_set_size (timers, (gint) timers->len - 1);
  if (last == timer)
    return;
  put (timers, position, last);
  rise (timers, last);
  sink (timers, last);
}

/* ---- timers ---- */

static gboolean
source_prepare (GSource *source, int *timeout)
{
  const GPtrArray *timers = ((TimerSource *) source)->timers;
  gint64 left;

  *timeout = -1;
  if (timers->len == 0)
    return FALSE;
  left = ((SwarmTimer *) timers->pdata[0])->when - g_source_get_time (source);
  *timeout = (int) CLAMP ((left + 999) / 1000, 0, G_MAXINT);
  return left <= 0;
}

static gboolean
source_check (GSource *source)
{
  const GPtrArray *timers = ((TimerSource *) source)->timers;

  return timers->len > 0 && ((SwarmTimer *) timers->pdata[0])->when <= g_source_get_time (source);
}

/* Those that are due; one that is made meanwhile waits for the next turn. */
static gboolean
source_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  GPtrArray *timers = ((TimerSource *) source)->timers;
  guint64 newest = last_number;
  gint64 now = g_get_monotonic_time ();

  while (timers->len > 0) {
    SwarmTimer *timer = timers->pdata[0];
    SwarmTimerFunc fire = timer->func;
    gpointer fire_data = timer->data;

    if (timer->when > now || timer->number > newest)
      break;
    take_out (timers, timer);
    g_free (timer);
    fire (fire_data);
  }
  return G_SOURCE_CONTINUE;
}

static TimerSource *
source_of (SwarmPriority priority)
{
  static GSourceFuncs funcs = { source_prepare, source_check, source_dispatch, NULL, NULL, NULL };
  GSource *source;

  if (sources[priority] != NULL)
    return sources[priority];
  source = g_source_new (&funcs, sizeof (TimerSource));
  sources[priority] = (TimerSource *) source;
  sources[priority]->timers = g_ptr_array_new ();
  g_source_set_static_name (source, "swarm-timers");
  g_source_set_priority (source, priorities[priority]);
  g_source_set_can_recurse (source, TRUE);
  g_source_attach (source, NULL);
  return sources[priority];
}

static SwarmTimer *
clock_timer (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  GPtrArray *timers = source_of (priority)->timers;
  SwarmTimer *timer = g_new (SwarmTimer, 1);
  gint64 now = g_get_monotonic_time ();

  *timer = (SwarmTimer){ .number = ++last_number, .priority = priority, .func = func, .data = data };
  timer->when = delay_us < G_MAXINT64 - now ? now + MAX (delay_us, 0) : G_MAXINT64;
  timer->position = timers->len;
  g_ptr_array_add (timers, timer);
  rise (timers, timer);
  return timer;
}

static void
clock_cancel (SwarmClock *self, SwarmTimer *timer)
{
  take_out (source_of (timer->priority)->timers, timer);
  g_free (timer);
}

SwarmClock *
swarm_clock_glib (void)
{
  static const SwarmClockOps ops = { clock_now, clock_boottime, clock_timer, clock_cancel };
  static SwarmClock clock = { &ops };

  return &clock;
}
