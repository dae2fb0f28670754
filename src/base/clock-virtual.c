// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock-virtual.h"

typedef struct {
  SwarmClock iface;
  SwarmVirtualClock *clock;
  gint64 wall_offset;
  gint64 frozen_until;
} View;

struct _SwarmVirtualClock {
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
  SwarmVirtualClock *clock = ((View *) self)->clock;
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
view_init (View *view, SwarmVirtualClock *clock, gint64 wall_offset)
{
  static const SwarmClockOps ops = { clock_now, clock_boottime, clock_timer, clock_cancel };

  view->iface.ops = &ops;
  view->clock = clock;
  view->wall_offset = wall_offset;
}

SwarmVirtualClock *
swarm_virtual_clock_new (gint64 start_us)
{
  SwarmVirtualClock *self = g_new0 (SwarmVirtualClock, 1);

  view_init (&self->main, self, 0);
  self->views = g_ptr_array_new_with_free_func (g_free);
  self->now = start_us;
  self->timers = g_sequence_new (g_free);
  return self;
}

void
swarm_virtual_clock_free (SwarmVirtualClock *self)
{
  g_sequence_free (self->timers);
  g_ptr_array_unref (self->views);
  g_free (self);
}

SwarmClock *
swarm_virtual_clock_iface (SwarmVirtualClock *self)
{
  return &self->main.iface;
}

SwarmClock *
swarm_virtual_clock_view (SwarmVirtualClock *self, gint64 wall_offset_us)
{
  View *view = g_new0 (View, 1);

  view_init (view, self, wall_offset_us);
  g_ptr_array_add (self->views, view);
  return &view->iface;
}

void
swarm_virtual_clock_step_wall (SwarmClock *view, gint64 us)
{
  ((View *) view)->wall_offset += us;
}

gint64
swarm_virtual_clock_time (SwarmVirtualClock *self)
{
  return self->now;
}

void
swarm_virtual_clock_freeze (SwarmClock *view, gint64 until_us)
{
  ((View *) view)->frozen_until = until_us;
}

gboolean
swarm_virtual_clock_is_frozen (SwarmClock *view)
{
  return ((View *) view)->frozen_until > ((View *) view)->clock->now;
}

static SwarmTimer *
next_timer (SwarmVirtualClock *self)
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
swarm_virtual_clock_step (SwarmVirtualClock *self)
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
swarm_virtual_clock_run (SwarmVirtualClock *self, gint64 us)
{
  swarm_virtual_clock_run_until (self, us, NULL, NULL);
}

gboolean
swarm_virtual_clock_run_until (SwarmVirtualClock *self, gint64 limit_us, gboolean (*done) (gpointer data), gpointer data)
{
  gint64 end = self->now + limit_us;
  SwarmTimer *timer;

  if (done != NULL && done (data))
    return TRUE;
  while ((timer = next_timer (self)) != NULL && timer->due <= end) {
    swarm_virtual_clock_step (self);
    if (done != NULL && done (data))
      return TRUE;
  }
  self->now = end;
  return FALSE;
}
