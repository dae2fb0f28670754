// SPDX-License-Identifier: LGPL-2.1-or-later
/* The list that all who see a network read: in order, each thing once, what left until all have taken it, and who has not taken what yet. */
#include "manager/dispatcher/news.h"

#define MANY 10000 /* of what is gone, as the list keeps it for those that are slow */

typedef struct {
  SwarmNews *news;
  guint n_quiet;
  SwarmId quiet; /* the last one */
} World;

static SwarmId
some_id (guint n)
{
  return (SwarmId){ { (guint8) n, (guint8) (n >> 8), (guint8) (n >> 16), 1 } };
}

static void
taken (const SwarmId *task, gpointer data)
{
  World *self = data;
  self->n_quiet++;
  self->quiet = *task;
}

static void
open_world (World *self)
{
  *self = (World){ .news = swarm_news_new (&SWARM_ID_NIL, taken, self) };
}

static void
put (World *self, guint n)
{
  SwarmId id = some_id (n);
  swarm_news_put (self->news, SWARM_KIND_TASK, &id, NULL);
}

static void
take_out (World *self, guint n)
{
  SwarmId id = some_id (n);
  swarm_news_take_out (self->news, SWARM_KIND_TASK, &id);
}

static gboolean
awaits (World *self, guint n)
{
  SwarmId id = some_id (n);
  return swarm_news_awaits (self->news, &id);
}

/* "1 2 -3": what comes after @place; what is gone with a minus. */
static char *
list_after (World *self, guint64 place)
{
  GString *text = g_string_new (NULL);
  for (const SwarmNewsItem *item = swarm_news_next (self->news, place); item != NULL; item = swarm_news_next (self->news, item->place))
    g_string_append_printf (text, "%s%s%u", text->len > 0 ? " " : "", item->gone ? "-" : "", item->id.bytes[0]);
  return g_string_free (text, FALSE);
}

static void
assert_list (World *self, guint64 place, const char *wanted)
{
  g_autofree char *list = list_after (self, place);
  g_assert_cmpstr (list, ==, wanted);
}

static void
test_order (void)
{
  World world;
  SwarmId one = some_id (1), node = some_id (77);
  open_world (&world);
  assert_list (&world, 0, "");
  SwarmReader *slow = swarm_reader_new (world.news, NULL);
  for (guint i = 1; i <= 4; i++)
    put (&world, i);
  assert_list (&world, 0, "1 2 3 4");
  assert_list (&world, 2, "3 4");
  put (&world, 2);
  take_out (&world, 3);
  take_out (&world, 3);
  take_out (&world, 9);
  assert_list (&world, 0, "1 4 2 -3");
  assert_list (&world, 4, "2 -3");
  g_assert_cmpuint (swarm_news_count (world.news, SWARM_KIND_TASK), ==, 3);
  put (&world, 3);
  assert_list (&world, 0, "1 4 2 3");
  g_assert_cmpuint (swarm_news_count (world.news, SWARM_KIND_TASK), ==, 4);
  take_out (&world, 1);
  swarm_reader_took (slow, swarm_news_end (world.news)); /* what came back is not forgotten with what went */
  assert_list (&world, 0, "4 2 3");
  put (&world, 1);
  assert_list (&world, 0, "4 2 3 1");
  swarm_news_put (world.news, SWARM_KIND_NODE, &one, NULL); /* another kind, the same id */
  swarm_news_put (world.news, SWARM_KIND_TASK, &one, &node);
  assert_list (&world, 0, "4 2 3 1 1");
  g_assert_true (swarm_id_equal (&swarm_news_get (world.news, SWARM_KIND_TASK, &one)->node, &node));
  g_assert_cmpuint (swarm_news_get (world.news, SWARM_KIND_TASK, &one)->since, ==, 9);
  take_out (&world, 1);
  g_assert_null (swarm_news_get (world.news, SWARM_KIND_TASK, &one));
  g_assert_nonnull (swarm_news_get (world.news, SWARM_KIND_NODE, &one));
  swarm_reader_free (slow);
  swarm_news_unref (world.news);
}

static void
test_gone (void)
{
  World world;
  open_world (&world);
  put (&world, 1);
  take_out (&world, 1); /* nobody reads it */
  assert_list (&world, 0, "");
  put (&world, 1);
  put (&world, 2);
  SwarmReader *a = swarm_reader_new (world.news, NULL), *b = swarm_reader_new (world.news, NULL);
  take_out (&world, 1);
  swarm_reader_took (a, swarm_news_end (world.news));
  assert_list (&world, 0, "2 -1");
  swarm_reader_took (b, swarm_news_end (world.news));
  assert_list (&world, 0, "2");
  /* Who goes holds up nobody. */
  take_out (&world, 2);
  swarm_reader_took (a, swarm_news_end (world.news));
  assert_list (&world, 0, "-2");
  swarm_reader_free (b);
  assert_list (&world, 0, "");
  swarm_reader_free (a);
  swarm_news_unref (world.news);
}

/* It does not grow without limit for one who is slow: he has to begin anew, and hears so once. */
static void
test_lost (void)
{
  World world;
  open_world (&world);
  put (&world, 1);
  SwarmReader *slow = swarm_reader_new (world.news, NULL), *quick = swarm_reader_new (world.news, NULL);
  slow->told = quick->told = 1;
  for (guint i = 0; i < 3 * MANY; i++) {
    put (&world, 10 + i);
    take_out (&world, 10 + i);
    quick->told = swarm_news_end (world.news);
    swarm_reader_took (quick, quick->told);
    if (i == MANY - 1)
      g_assert_false (swarm_reader_has_lost (slow));
  }
  guint n = 0;
  for (const SwarmNewsItem *item = swarm_news_next (world.news, 0); item != NULL; item = swarm_news_next (world.news, item->place))
    n++;
  g_assert_cmpuint (n, ==, 1 + MANY);
  g_assert_false (swarm_reader_has_lost (quick));
  g_assert_true (swarm_reader_has_lost (slow));
  g_assert_false (swarm_reader_has_lost (slow));
  SwarmReader *new = swarm_reader_new (world.news, NULL);
  g_assert_false (swarm_reader_has_lost (new));
  swarm_reader_free (new);
  swarm_reader_free (slow);
  swarm_reader_free (quick);
  swarm_news_unref (world.news);
}

/* Of a large network so much may be gone as is there. */
static void
test_lost_of_many (void)
{
  World world;
  open_world (&world);
  for (guint i = 0; i < 3 * MANY; i++)
    put (&world, i);
  SwarmReader *slow = swarm_reader_new (world.news, NULL);
  slow->told = swarm_news_end (world.news);
  for (guint i = 0; i < 3 * MANY / 2; i++)
    take_out (&world, i);
  g_assert_false (swarm_reader_has_lost (slow));
  take_out (&world, 3 * MANY / 2);
  g_assert_true (swarm_reader_has_lost (slow));
  swarm_reader_free (slow);
  swarm_news_unref (world.news);
}

/* What went before one came, and who was told of nothing: nothing is lost. */
static void
test_not_lost (void)
{
  World world;
  open_world (&world);
  for (guint i = 1; i <= 3; i++)
    put (&world, i);
  SwarmReader *slow = swarm_reader_new (world.news, NULL);
  take_out (&world, 2);
  put (&world, 3);
  SwarmReader *late = swarm_reader_new (world.news, NULL);
  late->at = late->told = 1;
  swarm_reader_took (slow, swarm_news_end (world.news));
  assert_list (&world, 0, "1 3");
  g_assert_false (swarm_reader_has_lost (late));
  SwarmReader *new = swarm_reader_new (world.news, NULL);
  for (guint i = 10; i <= 20 + MANY; i++) {
    put (&world, i);
    take_out (&world, i);
  }
  g_assert_true (swarm_reader_has_lost (late));
  g_assert_false (swarm_reader_has_lost (new)); /* it has been told of nothing yet */
  /* One who is told of some now hears of what is lost from now on. */
  new->at = new->told = swarm_news_end (world.news);
  g_assert_false (swarm_reader_has_lost (new));
  /* Nor has one who came later. */
  SwarmReader *newest = swarm_reader_new (world.news, NULL);
  newest->at = newest->told = 1;
  g_assert_false (swarm_reader_has_lost (newest));
  swarm_reader_free (newest);
  swarm_reader_free (new);
  swarm_reader_free (late);
  swarm_reader_free (slow);
  swarm_news_unref (world.news);
}

static void
test_awaited (void)
{
  World world;
  SwarmId one = some_id (1), two = some_id (2);
  open_world (&world);
  put (&world, 1);
  put (&world, 2);
  g_assert_false (awaits (&world, 1)); /* by nobody */
  SwarmReader *a = swarm_reader_new (world.news, NULL), *b = swarm_reader_new (world.news, NULL);
  g_assert_false (awaits (&world, 1)); /* of before they came */
  put (&world, 1);
  put (&world, 2);
  g_assert_true (awaits (&world, 1) && awaits (&world, 1) && awaits (&world, 2));
  g_assert_false (awaits (&world, 9));
  swarm_reader_took (a, 4);
  g_assert_cmpuint (world.n_quiet, ==, 0);
  swarm_reader_took (b, 3);
  g_assert_cmpuint (world.n_quiet, ==, 1);
  g_assert_true (swarm_id_equal (&world.quiet, &one));
  g_assert_false (awaits (&world, 1));
  swarm_reader_took (b, 2); /* an older place than that means nothing */
  g_assert_false (awaits (&world, 1));
  g_assert_true (awaits (&world, 2));
  swarm_reader_free (b);
  g_assert_cmpuint (world.n_quiet, ==, 2);
  g_assert_true (swarm_id_equal (&world.quiet, &two));
  swarm_reader_free (a);
  swarm_news_unref (world.news);
}

/* Nor for one who never takes anything: what is waited for on his account is forgotten with what is gone. */
static void
test_awaited_for_ever (void)
{
  World world;
  open_world (&world);
  SwarmReader *deaf = swarm_reader_new (world.news, NULL);
  for (guint i = 0; i < 3 * MANY; i++) {
    put (&world, i);
    g_assert_true (awaits (&world, i));
    take_out (&world, i);
  }
  g_assert_true (awaits (&world, 3 * MANY - 1));
  swarm_reader_free (deaf);
  g_assert_cmpuint (world.n_quiet, >, 0);
  g_assert_cmpuint (world.n_quiet, <=, MANY + 2);
  g_assert_cmpuint (swarm_news_count (world.news, SWARM_KIND_TASK), ==, 0);
  swarm_news_unref (world.news);
}

/* All has been taken: what is gone is forgotten in parts, not in one long turn, and to the end. */
static void
test_forgotten_in_parts (void)
{
  World world;
  open_world (&world);
  SwarmReader *reader = swarm_reader_new (world.news, NULL);
  guint left = 0;
  for (guint i = 0; i < 2 * MANY; i++)
    put (&world, i);
  for (guint i = 0; i < MANY; i++)
    take_out (&world, i);
  swarm_reader_took (reader, swarm_news_end (world.news));
  for (const SwarmNewsItem *item = NULL; (item = swarm_news_next (world.news, item != NULL ? item->place : 0)) != NULL;)
    left += item->gone;
  g_assert_cmpuint (left, >=, MANY / 2);
  g_assert_cmpuint (left, <, MANY);
  for (guint i = 0; i < 10; i++) {
    take_out (&world, MANY + i);
    swarm_reader_took (reader, swarm_news_end (world.news));
  }
  left = 0;
  for (const SwarmNewsItem *item = NULL; (item = swarm_news_next (world.news, item != NULL ? item->place : 0)) != NULL;)
    left += item->gone;
  g_assert_cmpuint (left, ==, 0);
  swarm_reader_free (reader);
  swarm_news_unref (world.news);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/news/order", test_order);
  g_test_add_func ("/news/gone", test_gone);
  g_test_add_func ("/news/lost", test_lost);
  g_test_add_func ("/news/lost-of-many", test_lost_of_many);
  g_test_add_func ("/news/not-lost", test_not_lost);
  g_test_add_func ("/news/forgotten-in-parts", test_forgotten_in_parts);
  g_test_add_func ("/news/awaited", test_awaited);
  g_test_add_func ("/news/awaited-for-ever", test_awaited_for_ever);
  return g_test_run ();
}
