// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rpc/fd-watch.h"
#include "base/log.h"
#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>

#define EVENTS_PER_TURN 64
#define PRIORITIES 4

G_STATIC_ASSERT ((int) EPOLLIN == (int) G_IO_IN && (int) EPOLLOUT == (int) G_IO_OUT && (int) EPOLLERR == (int) G_IO_ERR);
G_STATIC_ASSERT ((int) EPOLLHUP == (int) G_IO_HUP);

/* All watches of a priority. */
typedef struct {
  GSource source;
  gpointer tag;
  int epoll;
  GQueue changed; /* want something else than the kernel knows */
  GQueue due;     /* are called in the next turn … */
  GQueue now;     /* … and in this one */
} Group;

/* What is asked for is told the kernel before it is waited for: most of it has been taken back by then. */
struct _SwarmFdWatch {
  Group *group;
  int fd;
  GIOCondition told; /* what the kernel looks for; 0: it does not know the descriptor */
  GIOCondition wanted;
  GIOCondition ready;
  gboolean try_out; /* there is something to write: most often it can be written at once */
  GList changed;    /* link in the group's queue; data NULL: not queued */
  GList due;        /* the same, in … */
  GQueue *queue;    /* … this one */
  SwarmFdFunc func;
  gpointer data;
};

static Group *groups[PRIORITIES];

/* ---- queues ---- */

static void
mark_changed (SwarmFdWatch *self)
{
  if (self->changed.data != NULL || self->wanted == self->told)
    return;
  self->changed.data = self;
  g_queue_push_tail_link (&self->group->changed, &self->changed);
}

static void
unmark_changed (SwarmFdWatch *self)
{
  if (self->changed.data == NULL)
    return;
  g_queue_unlink (&self->group->changed, &self->changed);
  self->changed.data = NULL;
}

static void
leave_queue (SwarmFdWatch *self)
{
  if (self->queue == NULL)
    return;
  g_queue_unlink (self->queue, &self->due);
  self->queue = NULL;
}

static void
enter_queue (SwarmFdWatch *self, GQueue *queue)
{
  if (self->queue == queue)
    return;
  leave_queue (self);
  self->due.data = self;
  g_queue_push_tail_link (queue, &self->due);
  self->queue = queue;
}

/* ---- the group ---- */

static void
tell_kernel (SwarmFdWatch *self)
{
  struct epoll_event event = { .events = self->wanted, .data = { .ptr = self } };
  int what = EPOLL_CTL_MOD;

  if (self->wanted == self->told)
    return;
  /* A hang-up is told even when nothing is asked for, in every turn, and holds up all that is less urgent: so the descriptor is left out. */
  if (self->wanted == 0)
    what = EPOLL_CTL_DEL;
  else if (self->told == 0)
    what = EPOLL_CTL_ADD;
  if (epoll_ctl (self->group->epoll, what, self->fd, &event) < 0)
    swarm_warning ("Cannot watch a connection: %s", g_strerror (errno));
  self->told = self->wanted;
}

static gboolean
group_prepare (GSource *source, int *timeout)
{
  Group *self = (Group *) source;
  GList *link;

  *timeout = -1;
  while ((link = self->changed.head) != NULL) {
    SwarmFdWatch *watch = link->data;
    unmark_changed (watch);
    tell_kernel (watch);
  }
  return !g_queue_is_empty (&self->due);
}

static gboolean
group_check (GSource *source)
{
  Group *self = (Group *) source;

  return !g_queue_is_empty (&self->due) || g_source_query_unix_fd (source, self->tag) != 0;
}

/* From here on it may change or free any watch, of this group or of another. */
static void
watch_call (SwarmFdWatch *self)
{
  GIOCondition ready = self->ready | (self->try_out ? G_IO_OUT : 0);

  self->ready = 0;
  self->try_out = FALSE;
  self->func (self->wanted != 0 ? ready & (self->wanted | G_IO_ERR | G_IO_HUP) : 0, self->data);
}

static gboolean
group_dispatch (GSource *source, GSourceFunc unused, gpointer unused_data)
{
  Group *self = (Group *) source;
  struct epoll_event events[EVENTS_PER_TURN];
  GList *link;
  int n = epoll_wait (self->epoll, events, EVENTS_PER_TURN, 0);

  while ((link = self->due.head) != NULL)
    enter_queue (link->data, &self->now);
  for (int i = 0; i < n; i++) {
    SwarmFdWatch *watch = events[i].data.ptr;
    watch->ready = events[i].events;
    enter_queue (watch, &self->now);
  }
  while ((link = self->now.head) != NULL) {
    SwarmFdWatch *watch = link->data;
    leave_queue (watch);
    watch_call (watch);
  }
  return G_SOURCE_CONTINUE;
}

static Group *
group_new (int priority)
{
  static GSourceFuncs funcs = { group_prepare, group_check, group_dispatch, NULL, NULL, NULL };
  GSource *source = g_source_new (&funcs, sizeof (Group));
  Group *self = (Group *) source;

  self->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll < 0)
    g_error ("Cannot wait for connections: %s", g_strerror (errno)); /* with the first of them: before anything is served */
  g_queue_init (&self->changed);
  g_queue_init (&self->due);
  g_queue_init (&self->now);
  self->tag = g_source_add_unix_fd (source, self->epoll, G_IO_IN);
  g_source_set_static_name (source, "swarm-rpc");
  g_source_set_can_recurse (source, TRUE); /* no loop runs in a loop here; else GLib takes the descriptor out and in again around each call */
  g_source_set_priority (source, priority);
  g_source_attach (source, NULL);
  return self;
}

/* They stay for as long as the process lives. */
static Group *
group_of (int priority)
{
  for (guint i = 0; i < PRIORITIES; i++) {
    if (groups[i] == NULL)
      groups[i] = group_new (priority);
    if (g_source_get_priority (&groups[i]->source) == priority)
      return groups[i];
  }
  g_assert_not_reached ();
}

/* ---- watches ---- */

SwarmFdWatch *
swarm_fd_watch_new (int fd, GIOCondition wanted, int priority, SwarmFdFunc func, gpointer data)
{
  SwarmFdWatch *self = g_new0 (SwarmFdWatch, 1);

  self->group = group_of (priority);
  self->fd = fd;
  self->wanted = wanted;
  self->func = func;
  self->data = data;
  mark_changed (self);
  return self;
}

/* The kernel forgets it, and nothing that it said of it is left. */
static void
withdraw (SwarmFdWatch *self)
{
  unmark_changed (self);
  leave_queue (self);
  if (self->told != 0)
    epoll_ctl (self->group->epoll, EPOLL_CTL_DEL, self->fd, NULL);
  self->told = 0;
}

void
swarm_fd_watch_free (SwarmFdWatch *self)
{
  if (self == NULL)
    return;
  withdraw (self);
  g_free (self);
}

void
swarm_fd_watch_want (SwarmFdWatch *self, GIOCondition wanted)
{
  self->wanted = wanted;
  mark_changed (self);
}

void
swarm_fd_watch_want_write (SwarmFdWatch *self)
{
  if (!(self->wanted & G_IO_OUT)) {
    self->try_out = TRUE;
    enter_queue (self, &self->group->due);
  }
  swarm_fd_watch_want (self, G_IO_IN | G_IO_OUT);
}

void
swarm_fd_watch_again (SwarmFdWatch *self)
{
  enter_queue (self, &self->group->due);
}

void
swarm_fd_watch_set_priority (SwarmFdWatch *self, int priority)
{
  Group *group = group_of (priority);
  gboolean queued = self->queue != NULL;

  if (group == self->group)
    return;
  withdraw (self);
  self->group = group;
  mark_changed (self);
  if (queued)
    enter_queue (self, &group->due);
}

gint64
swarm_fd_watch_turn (SwarmFdWatch *self)
{
  return g_source_get_time (&self->group->source);
}
