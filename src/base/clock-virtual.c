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
  GPtrArray *timers; /* SwarmTimer: a heap, the next one at its top */
};

struct _SwarmTimer {
  View *view;
  guint place; /* in the heap */
  gint64 due;
  SwarmPriority priority;
  guint64 sequence;
  SwarmTimerFunc func;
  gpointer data;
};

static gboolean
comes_before (const SwarmTimer *x, const SwarmTimer *y)
{
  if (x->due != y->due)
    return x->due < y->due;
  if (x->priority != y->priority)
    return x->priority < y->priority;
  return x->sequence < y->sequence;
}

/* ---- the heap ---- */

static void
put (SwarmVirtualClock *self, guint place, SwarmTimer *timer)
{
  self->timers->pdata[place] = timer;
  timer->place = place;
}

static void
sift_up (SwarmVirtualClock *self, SwarmTimer *timer)
{
  guint place = timer->place;
  while (place > 0) {
    SwarmTimer *parent = self->timers->pdata[(place - 1) / 2];
    if (!comes_before (timer, parent))
      break;
    put (self, place, parent);
    place = (place - 1) / 2;
  }
  put (self, place, timer);
}

static void
sift_down (SwarmVirtualClock *self, SwarmTimer *timer)
{
  guint place = timer->place, child;
  while ((child = 2 * place + 1) < self->timers->len) {
    if (child + 1 < self->timers->len && comes_before (self->timers->pdata[child + 1], self->timers->pdata[child]))
      child++;
    if (!comes_before (self->timers->pdata[child], timer))
      break;
    put (self, place, self->timers->pdata[child]);
    place = child;
  }
  put (self, place, timer);
}

static void
heap_add (SwarmVirtualClock *self, SwarmTimer *timer)
{
  timer->place = self->timers->len;
  g_ptr_array_add (self->timers, timer);
  sift_up (self, timer);
}

static void
heap_remove (SwarmVirtualClock *self, SwarmTimer *timer)
{
  SwarmTimer *last = g_ptr_array_steal_index_fast (self->timers, self->timers->len - 1);
  if (last != timer) {
    put (self, timer->place, last);
    sift_up (self, last);
    sift_down (self, last);
  }
  g_free (timer);
}

/* ---- the clock ---- */

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
  heap_add (clock, timer);
  return timer;
}

static void
clock_cancel (SwarmClock *self, SwarmTimer *timer)
{
  heap_remove (((View *) self)->clock, timer);
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
  self->timers = g_ptr_array_new_with_free_func (g_free);
  return self;
}

void
swarm_virtual_clock_free (SwarmVirtualClock *self)
{
  g_ptr_array_unref (self->timers);
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
    SwarmTimer *timer = self->timers->len > 0 ? self->timers->pdata[0] : NULL;

    if (timer == NULL || timer->due >= timer->view->frozen_until)
      return timer;
    timer->due = timer->view->frozen_until;
    timer->sequence = self->sequence++;
    sift_down (self, timer);
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
  heap_remove (self, timer);
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
