// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-clock.h"
#include <string.h>

typedef struct {
  SwarmClock iface;
  SimClock *clock;
  gint64 wall_offset;
  gint64 frozen_until;
} View;

struct _SimClock {
  View main;
  GPtrArray *views;
  gint64 now;
  guint64 sequence;
  GSequence *timers; /* SwarmTimer, next first */
};

struct _SwarmTimer {
  View *view;
  GSequenceIter *place;
  gint64 due;
  SwarmPriority priority;
  guint64 sequence;
  SwarmTimerFunc func;
  gpointer data;
};

static int
timer_compare (gconstpointer a, gconstpointer b, gpointer unused)
{
  const SwarmTimer *x = a, *y = b;

  if (x->due != y->due)
    return x->due < y->due ? -1 : 1;
  if (x->priority != y->priority)
    return x->priority < y->priority ? -1 : 1;
  return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static gint64
clock_now (SwarmClock *self)
{
  View *view = (View *) self;

  return view->clock->now + view->wall_offset;
}

static gint64
clock_boottime (SwarmClock *self)
{
  return ((View *) self)->clock->now;
}

static SwarmTimer *
clock_timer (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  SimClock *clock = ((View *) self)->clock;
  SwarmTimer *timer = g_new0 (SwarmTimer, 1);

  timer->view = (View *) self;
  timer->due = clock->now + MAX (delay_us, 0);
  timer->priority = priority;
  timer->sequence = clock->sequence++;
  timer->func = func;
  timer->data = data;
  timer->place = g_sequence_insert_sorted (clock->timers, timer, timer_compare, NULL);
  return timer;
}

static void
clock_cancel (SwarmClock *self, SwarmTimer *timer)
{
  g_sequence_remove (timer->place);
}

static void
view_init (View *view, SimClock *clock, gint64 wall_offset)
{
  static const SwarmClockOps ops = { clock_now, clock_boottime, clock_timer, clock_cancel };

  view->iface.ops = &ops;
  view->clock = clock;
  view->wall_offset = wall_offset;
}

SimClock *
sim_clock_new (gint64 start_us)
{
  SimClock *self = g_new0 (SimClock, 1);

  view_init (&self->main, self, 0);
  self->views = g_ptr_array_new_with_free_func (g_free);
  self->now = start_us;
  self->timers = g_sequence_new (g_free);
  return self;
}

void
sim_clock_free (SimClock *self)
{
  g_sequence_free (self->timers);
  g_ptr_array_unref (self->views);
  g_free (self);
}

SwarmClock *
sim_clock_iface (SimClock *self)
{
  return &self->main.iface;
}

SwarmClock *
sim_clock_view (SimClock *self, gint64 wall_offset_us)
{
  View *view = g_new0 (View, 1);

  view_init (view, self, wall_offset_us);
  g_ptr_array_add (self->views, view);
  return &view->iface;
}

gint64
sim_clock_time (SimClock *self)
{
  return self->now;
}

void
sim_clock_freeze (SwarmClock *view, gint64 until_us)
{
  ((View *) view)->frozen_until = until_us;
}

gboolean
sim_clock_is_frozen (SwarmClock *view)
{
  return ((View *) view)->frozen_until > ((View *) view)->clock->now;
}

static SwarmTimer *
next_timer (SimClock *self)
{
  while (TRUE) {
    GSequenceIter *first = g_sequence_get_begin_iter (self->timers);
    SwarmTimer *timer = g_sequence_iter_is_end (first) ? NULL : g_sequence_get (first);

    if (timer == NULL || timer->due >= timer->view->frozen_until)
      return timer;
    timer->due = timer->view->frozen_until;
    timer->sequence = self->sequence++;
    g_sequence_sort_changed (first, timer_compare, NULL);
  }
}

gboolean
sim_clock_step (SimClock *self)
{
  SwarmTimer *timer = next_timer (self);
  SwarmTimerFunc func;
  gpointer data;

  if (timer == NULL)
    return FALSE;
  func = timer->func;
  data = timer->data;
  self->now = timer->due;
  g_sequence_remove (timer->place);
  func (data);
  return TRUE;
}

void
sim_clock_run (SimClock *self, gint64 us)
{
  sim_clock_run_until (self, us, NULL, NULL);
}

gboolean
sim_clock_run_until (SimClock *self, gint64 limit_us, gboolean (*done) (gpointer data), gpointer data)
{
  gint64 end = self->now + limit_us;
  SwarmTimer *timer;

  if (done != NULL && done (data))
    return TRUE;
  while ((timer = next_timer (self)) != NULL && timer->due <= end) {
    sim_clock_step (self);
    if (done != NULL && done (data))
      return TRUE;
  }
  self->now = end;
  return FALSE;
}

/* ---- randomness ---- */

guint64
sim_random_next (SimRandom *self)
{
  guint64 z = self->state += 0x9E3779B97F4A7C15ull;

  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static void
random_fill (SwarmRandom *iface, guint8 *data, gsize len)
{
  while (len > 0) {
    guint64 value = sim_random_next ((SimRandom *) iface);
    gsize n = MIN (len, sizeof value);

    memcpy (data, &value, n);
    data += n;
    len -= n;
  }
}

void
sim_random_init (SimRandom *self, guint64 seed)
{
  self->iface.fill = random_fill;
  self->state = seed;
}

gint64
sim_random_range (SimRandom *self, gint64 low, gint64 high)
{
  return low + (gint64) (sim_random_next (self) % (guint64) (high - low + 1));
}

gboolean
sim_random_chance (SimRandom *self, guint percent)
{
  return sim_random_next (self) % 100 < percent;
}
