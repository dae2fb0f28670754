// SPDX-License-Identifier: LGPL-2.1-or-later
/* The checker of client histories (tests/sim/history.h): it takes what can be explained, and nothing else. */
#include "sim/sim-clock.h"
#include "../sim/history.h"

static void
assert_fine (const History *history)
{
  g_autofree char *why = history_check (history);

  g_assert_cmpstr (why, ==, NULL);
}

static void
assert_wrong (const History *history)
{
  g_autofree char *why = history_check (history);

  g_assert_nonnull (why);
}

static void
wrote (History *history, guint64 value, gint64 begin, gint64 end)
{
  history_done (history, history_write (history, 0, value, begin), 0, end);
}

static void
read_value (History *history, guint64 value, gint64 begin, gint64 end)
{
  history_done (history, history_read (history, 0, begin), value, end);
}

static void
test_one_after_the_other (void)
{
  g_autoptr (History) history = history_new (1);

  assert_fine (history);
  read_value (history, 0, 1, 2);
  wrote (history, 7, 3, 4);
  read_value (history, 7, 5, 6);
  wrote (history, 8, 7, 8);
  read_value (history, 8, 9, 10);
  assert_fine (history);
  read_value (history, 7, 11, 12); /* stale */
  assert_wrong (history);
}

static void
test_lost (void)
{
  g_autoptr (History) history = history_new (1);

  wrote (history, 7, 1, 2);
  read_value (history, 0, 3, 4);
  assert_wrong (history);
}

static void
test_at_the_same_time (void)
{
  g_autoptr (History) history = history_new (1);

  wrote (history, 7, 1, 10);
  wrote (history, 8, 2, 9);
  read_value (history, 8, 3, 4);
  read_value (history, 7, 5, 6);
  assert_fine (history);
  read_value (history, 8, 7, 8); /* and back again: 8 was written once */
  assert_wrong (history);
}

/* Two readers one after the other, while a write is under way: the second must not see less. */
static void
test_new_then_old (void)
{
  g_autoptr (History) history = history_new (1);

  wrote (history, 7, 1, 100);
  read_value (history, 7, 10, 20);
  assert_fine (history);
  read_value (history, 0, 30, 40);
  assert_wrong (history);
}

static void
test_unknown (void)
{
  g_autoptr (History) history = history_new (1);
  guint refused;

  history_write (history, 0, 7, 1);
  read_value (history, 0, 2, 3);
  wrote (history, 8, 4, 5);
  read_value (history, 8, 6, 7);
  assert_fine (history);
  read_value (history, 7, 8, 9); /* it was done after all, late */
  assert_fine (history);
  read_value (history, 8, 10, 11);
  assert_wrong (history);

  g_autoptr (History) other = history_new (1);
  refused = history_write (other, 0, 7, 1);
  history_refused (other, refused);
  read_value (other, 0, 2, 3);
  assert_fine (other);
  read_value (other, 7, 4, 5); /* refused, but done */
  assert_wrong (other);
}

static void
test_registers (void)
{
  g_autoptr (History) history = history_new (3);

  wrote (history, 7, 1, 2);
  history_done (history, history_write (history, 2, 9, 3), 0, 4);
  history_done (history, history_read (history, 2, 5), 9, 6);
  history_done (history, history_read (history, 1, 5), 0, 6);
  assert_fine (history);
  history_done (history, history_read (history, 1, 7), 9, 8);
  assert_wrong (history);
}

typedef struct {
  gint64 at; /* the moment when it is done */
  guint call;
  gboolean write;
  guint64 value;
  gint64 begin, end;
} Done;

static int
compare_done (gconstpointer a, gconstpointer b)
{
  gint64 x = ((const Done *) a)->at, y = ((const Done *) b)->at;

  return x < y ? -1 : x > y;
}

/* Calls of a register that really is one. With @spoil one read gives what was overwritten before it began. */
static History *
real_register (SimRandom *random, gboolean spoil)
{
  History *history = history_new (1);
  g_autoptr (GArray) calls = g_array_new (FALSE, FALSE, sizeof (Done));
  gint64 overwritten_at = 0;
  guint64 value = 0, old = G_MAXUINT64;
  gboolean spoiled = FALSE, in_order = FALSE; /* the write that replaced it began when the one before had ended */
  gint64 written_at = 0;

  for (guint client = 0; client < 5; client++) {
    gint64 now = sim_random_range (random, 0, 50);
    for (guint i = 0; i < 40; i++) {
      gint64 at = now + sim_random_range (random, 0, 100), end = at + sim_random_range (random, 0, 100);
      Done done = { at, 0, sim_random_chance (random, 40), (guint64) client * 1000 + i + 1, now, end };
      done.call = done.write ? history_write (history, 0, done.value, now) : history_read (history, 0, now);
      if (done.write && sim_random_chance (random, 10))
        done.end = G_MAXINT64;
      if (done.end == G_MAXINT64 && sim_random_chance (random, 50))
        done.at = G_MAXINT64; /* never */
      g_array_append_val (calls, done);
      now = end + sim_random_range (random, 1, 60);
    }
  }
  g_array_sort (calls, compare_done);
  for (guint i = 0; i < calls->len; i++) {
    const Done *done = &g_array_index (calls, Done, i);
    if (done->at == G_MAXINT64)
      break;
    if (done->write) {
      old = value;
      in_order = done->begin > written_at;
      value = done->value;
      written_at = done->end;
      overwritten_at = done->end; /* from then on nobody may see the old one */
    }
    if (done->end == G_MAXINT64)
      continue;
    /* Long after the write that replaced it had ended. */
    if (spoil && !spoiled && !done->write && old != G_MAXUINT64 && in_order && i > 20 && overwritten_at != G_MAXINT64 && done->at - 100 > overwritten_at) {
      history_done (history, done->call, old, done->end);
      spoiled = TRUE;
    } else
      history_done (history, done->call, value, done->end);
  }
  if (spoil && !spoiled)
    g_clear_pointer (&history, history_free);
  return history;
}

static void
test_random (void)
{
  guint spoiled = 0;

  for (guint64 seed = 1; seed <= 60; seed++) {
    SimRandom random;
    sim_random_init (&random, seed);
    g_autoptr (History) good = real_register (&random, FALSE);
    assert_fine (good);
    sim_random_init (&random, seed);
    g_autoptr (History) bad = real_register (&random, TRUE);
    if (bad != NULL) {
      spoiled++;
      assert_wrong (bad);
    }
  }
  g_assert_cmpuint (spoiled, >, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/history/one-after-the-other", test_one_after_the_other);
  g_test_add_func ("/history/lost", test_lost);
  g_test_add_func ("/history/at-the-same-time", test_at_the_same_time);
  g_test_add_func ("/history/new-then-old", test_new_then_old);
  g_test_add_func ("/history/unknown", test_unknown);
  g_test_add_func ("/history/registers", test_registers);
  g_test_add_func ("/history/random", test_random);
  return g_test_run ();
}
