// SPDX-License-Identifier: LGPL-2.1-or-later
/* Watches of sockets: what one of them does to others in the same turn, more of them than a turn takes, priorities. */
#include "rpc/fd-watch.h"
#include <sys/socket.h>
#include <unistd.h>

#define MANY 150

typedef struct _Pair Pair;
struct _Pair {
  int fds[2];
  SwarmFdWatch *watch;
  guint calls;
  guint n_read;
  GIOCondition ready;
  GPtrArray *victims; /* Pair: their watches are freed */
  Pair *urgent;       /* is written to */
  gboolean again;
};

static void
on_ready (GIOCondition ready, gpointer data)
{
  Pair *self = data;
  char byte;

  self->calls++;
  self->ready |= ready;
  if (ready & G_IO_IN)
    self->n_read += recv (self->fds[0], &byte, 1, MSG_DONTWAIT) == 1;
  for (guint i = 0; self->victims != NULL && i < self->victims->len; i++)
    g_clear_pointer (&((Pair *) self->victims->pdata[i])->watch, swarm_fd_watch_free);
  if (self->urgent != NULL)
    g_assert_cmpint (write (self->urgent->fds[1], "x", 1), ==, 1);
  if (self->again) {
    self->again = FALSE;
    swarm_fd_watch_again (self->watch);
  }
}

static void
pair_init (Pair *self, int priority)
{
  *self = (Pair){ 0 };
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->fds), ==, 0);
  self->watch = swarm_fd_watch_new (self->fds[0], G_IO_IN, priority, on_ready, self);
}

static void
pair_clear (Pair *self)
{
  g_clear_pointer (&self->watch, swarm_fd_watch_free);
  close (self->fds[0]);
  close (self->fds[1]);
  g_clear_pointer (&self->victims, g_ptr_array_unref);
}

static void
say (Pair *self)
{
  g_assert_cmpint (write (self->fds[1], "x", 1), ==, 1);
}

static void
turns (guint n)
{
  for (guint i = 0; i < n; i++)
    g_main_context_iteration (NULL, FALSE);
}

static void
test_wants (void)
{
  Pair pair;

  pair_init (&pair, G_PRIORITY_DEFAULT);
  turns (5);
  g_assert_cmpuint (pair.calls, ==, 0);
  say (&pair);
  say (&pair);
  turns (5); /* it is said again while something is left */
  g_assert_cmpuint (pair.n_read, ==, 2);
  g_assert_cmpuint (pair.calls, ==, 2);
  swarm_fd_watch_want (pair.watch, 0);
  say (&pair);
  turns (5);
  g_assert_cmpuint (pair.calls, ==, 2);
  swarm_fd_watch_want (pair.watch, G_IO_IN);
  turns (2);
  g_assert_cmpuint (pair.n_read, ==, 3);
  g_assert_cmpint (pair.ready, ==, G_IO_IN);
  /* Wanted and taken back at once, as with what can be written without waiting. */
  swarm_fd_watch_want_write (pair.watch);
  swarm_fd_watch_want (pair.watch, G_IO_IN);
  pair.calls = 0;
  turns (5);
  g_assert_cmpuint (pair.calls, ==, 1);
  /* Asked for from within. */
  pair.again = TRUE;
  say (&pair);
  turns (5);
  g_assert_cmpuint (pair.calls, ==, 3);
  close (pair.fds[1]);
  pair.fds[1] = dup (pair.fds[0]);
  pair.ready = 0;
  turns (2);
  g_assert_true (pair.ready & G_IO_HUP);
  pair_clear (&pair);
}

/* One that is called may free any other that is ready in the same turn, and itself. */
static void
test_freed (void)
{
  Pair pairs[10];
  guint calls = 0;

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
    pair_init (&pairs[i], i % 2 == 0 ? G_PRIORITY_DEFAULT : G_PRIORITY_HIGH);
  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    pairs[i].victims = g_ptr_array_new ();
    for (guint j = 0; j < G_N_ELEMENTS (pairs); j++)
      g_ptr_array_add (pairs[i].victims, &pairs[j]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    say (&pairs[i]);
    swarm_fd_watch_again (pairs[i].watch);
  }
  turns (5);
  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    calls += pairs[i].calls;
    pair_clear (&pairs[i]);
  }
  g_assert_cmpuint (calls, ==, 1);
}

static void
test_many (void)
{
  g_autofree Pair *pairs = g_new (Pair, MANY);

  for (guint i = 0; i < MANY; i++)
    pair_init (&pairs[i], G_PRIORITY_DEFAULT);
  for (guint i = 0; i < MANY; i++)
    for (guint j = 0; j < 4; j++)
      say (&pairs[i]);
  turns (2 + 5 * MANY / 64); /* nobody is passed over */
  for (guint i = 0; i < MANY; i++) {
    g_assert_cmpuint (pairs[i].n_read, ==, 4);
    pair_clear (&pairs[i]);
  }
}

/* What is more urgent comes first, also what comes late; a watch may change sides. */
static void
test_priorities (void)
{
  Pair slow, quick;

  pair_init (&slow, G_PRIORITY_DEFAULT);
  pair_init (&quick, G_PRIORITY_HIGH);
  say (&slow);
  say (&slow);
  say (&quick);
  turns (1);
  g_assert_cmpuint (quick.calls, ==, 1);
  g_assert_cmpuint (slow.calls, ==, 0);
  slow.urgent = &quick;
  turns (2);
  g_assert_cmpuint (quick.calls, ==, 2);
  g_assert_cmpuint (slow.calls, ==, 1);
  slow.urgent = NULL;
  turns (2);
  say (&slow);
  say (&quick);
  swarm_fd_watch_set_priority (quick.watch, G_PRIORITY_DEFAULT);
  swarm_fd_watch_set_priority (slow.watch, G_PRIORITY_HIGH);
  quick.calls = slow.calls = 0;
  turns (1);
  g_assert_cmpuint (slow.calls, ==, 1);
  g_assert_cmpuint (quick.calls, ==, 0);
  turns (1);
  g_assert_cmpuint (quick.calls, ==, 1);
  pair_clear (&slow);
  pair_clear (&quick);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fd-watch/wants", test_wants);
  g_test_add_func ("/fd-watch/freed", test_freed);
  g_test_add_func ("/fd-watch/many", test_many);
  g_test_add_func ("/fd-watch/priorities", test_priorities);
  return g_test_run ();
}
