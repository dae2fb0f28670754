// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock-glib.h"
#include "base/disk.h"
#include "base/enum.h"
#include "base/difference.h"
#include "base/error.h"
#include "base/link.h"
#include "base/log.h"
#include "base/random-system.h"
#include <string.h>

/* ---- errors ---- */

static void
test_error_names (void)
{
  for (int code = 0; code < _SWARM_ERROR_MAX; code++) {
    g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, "why");
    g_autoptr (GError) back = swarm_error_from_name (swarm_error_to_name (error), "why");

    g_assert_error (back, SWARM_ERROR, code);
    g_assert_cmpstr (back->message, ==, "why");
  }
}

static void
test_error_foreign (void)
{
  g_autoptr (GError) io = g_error_new_literal (G_FILE_ERROR, G_FILE_ERROR_NOENT, "gone");
  g_autoptr (GError) denied = swarm_error_from_name ("org.freedesktop.DBus.Error.AccessDenied", "no");
  g_autoptr (GError) strange = swarm_error_from_name ("com.example.Odd", NULL);

  g_assert_cmpstr (swarm_error_to_name (io), ==, "org.swarmagent1.Error.Failed");
  g_assert_error (denied, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_error (strange, SWARM_ERROR, SWARM_ERROR_FAILED);
}

/* ---- ids ---- */

static void
test_id_round_trip (void)
{
  for (int i = 0; i < 1000; i++) {
    SwarmId id = swarm_random_id (swarm_random_system ()), back;
    g_autofree char *text = swarm_id_dup_string (&id);

    g_assert_cmpuint (strlen (text), ==, SWARM_ID_STRING_LEN);
    g_assert_true (swarm_id_parse (text, &back));
    g_assert_true (swarm_id_equal (&id, &back));
  }
}

static void
test_id_limits (void)
{
  SwarmId id = SWARM_ID_NIL, max;

  memset (max.bytes, 0xff, sizeof max.bytes);
  g_assert_true (swarm_id_is_nil (&id));
  g_assert_cmpstr (swarm_id_string (&id).str, ==, "0000000000000000000000000");
  /* 2^128 - 1 in base 36. */
  g_assert_cmpstr (swarm_id_string (&max).str, ==, "f5lxx1zz5pnorynqglhzmsp33");
  g_assert_true (swarm_id_parse ("f5lxx1zz5pnorynqglhzmsp33", &id));
  g_assert_true (swarm_id_equal (&id, &max));
  memset (&id, 7, sizeof id);
  g_assert_false (swarm_id_parse ("f5lxx1zz5pnorynqglhzmsp34", &id));
  g_assert_false (swarm_id_parse ("zzzzzzzzzzzzzzzzzzzzzzzzz", &id));
  g_assert_false (swarm_id_parse ("", &id));
  g_assert_false (swarm_id_parse (NULL, &id));
  g_assert_false (swarm_id_parse ("000000000000000000000000A", &id));
  g_assert_false (swarm_id_parse ("00000000000000000000000000", &id));
  g_assert_cmpint (id.bytes[0], ==, 7);
}

static void
test_base36 (void)
{
  guint8 digest[32], back[32];
  g_autofree char *text = NULL;

  swarm_random_system ()->fill (swarm_random_system (), digest, sizeof digest);
  text = swarm_base36_encode (digest, sizeof digest, 50);
  g_assert_cmpuint (strlen (text), ==, 50);
  g_assert_true (swarm_base36_decode (text, -1, back, sizeof back));
  g_assert_cmpmem (digest, 32, back, 32);
  g_assert_false (swarm_base36_decode ("10", -1, back, 0));
}

/* ---- randomness ---- */

static void
fill_ones_then_zero (SwarmRandom *self, guint8 *data, gsize len)
{
  static int calls;

  /* The first draw of 0 lies under the rejection limit of most bounds and must be thrown away. */
  memset (data, calls++ == 0 ? 0 : 0xff, len);
}

static void
test_random_below (void)
{
  SwarmRandom fixed = { fill_ones_then_zero };
  gboolean seen[7] = { FALSE };

  g_assert_cmpuint (swarm_random_below (&fixed, 7), ==, G_MAXUINT32 % 7);
  for (int i = 0; i < 1000; i++)
    seen[swarm_random_below (swarm_random_system (), 7)] = TRUE;
  for (int i = 0; i < 7; i++)
    g_assert_true (seen[i]);
  g_assert_cmpuint (swarm_random_below (swarm_random_system (), 1), ==, 0);
}

/* ---- enums, disk ops ---- */

static void
test_enum (void)
{
  const SwarmEnum colours = { "colour", (const SwarmEnumRow[]){ { 3, "red" }, { 64, "green" }, { 0, NULL } } };
  int value = -1;

  g_assert_cmpstr (swarm_enum_to_string (&colours, 64), ==, "green");
  g_assert_null (swarm_enum_to_string (&colours, 4));
  g_assert_true (swarm_enum_from_string (&colours, "red", &value));
  g_assert_cmpint (value, ==, 3);
  g_assert_false (swarm_enum_from_string (&colours, "blue", &value));
  g_assert_false (swarm_enum_from_string (&colours, NULL, &value));
}

static void
test_disk_ops (void)
{
  g_autoptr (GArray) ops = swarm_disk_ops_new ();
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);

  swarm_disk_ops_write (ops, "a", 7, data);
  swarm_disk_ops_truncate (ops, "a", 8);
  swarm_disk_ops_rename (ops, "a", "b");
  swarm_disk_ops_unlink (ops, "c");
  g_assert_cmpuint (ops->len, ==, 4);
  g_assert_cmpuint (g_array_index (ops, SwarmDiskOp, 0).offset, ==, 7);
  g_assert_cmpstr (g_array_index (ops, SwarmDiskOp, 2).to, ==, "b");
}

/* ---- clock ---- */

static void
append_char (gpointer data)
{
  g_string_append_c (data, '.');
}

typedef struct {
  GString *order;
  char mark;
} Mark;

static void
append_mark (gpointer data)
{
  Mark *mark = data;

  g_string_append_c (mark->order, mark->mark);
}

static void
run_until (GString *s, gsize len)
{
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  while (s->len < len && g_get_monotonic_time () < end)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (s->len, ==, len);
}

static void
test_clock (void)
{
  SwarmClock *clock = swarm_clock_glib ();
  g_autoptr (GString) order = g_string_new (NULL);
  Mark marks[] = { { order, 'i' }, { order, 'n' }, { order, 'u' }, { order, 'l' } };
  SwarmTimer *cancelled = swarm_clock_timer (clock, 0, SWARM_PRIORITY_URGENT, append_char, order);
  gint64 before = swarm_clock_boottime (clock);

  swarm_clock_timer (clock, 2000000, SWARM_PRIORITY_URGENT, append_mark, &marks[3]); /* long after the others, where much else runs, too */
  swarm_clock_timer (clock, 0, SWARM_PRIORITY_IDLE, append_mark, &marks[0]);
  swarm_clock_timer (clock, 0, SWARM_PRIORITY_NORMAL, append_mark, &marks[1]);
  swarm_clock_timer (clock, 0, SWARM_PRIORITY_URGENT, append_mark, &marks[2]);
  swarm_clock_clear_timer (clock, &cancelled);
  g_assert_null (cancelled);
  swarm_clock_clear_timer (clock, &cancelled);
  run_until (order, 4);
  g_assert_cmpstr (order->str, ==, "unil");
  g_assert_cmpint (swarm_clock_boottime (clock) - before, >=, 2000000);
  g_assert_cmpint (swarm_clock_now (clock), >, G_GINT64_CONSTANT (1600000000) * G_USEC_PER_SEC);
}

typedef struct {
  GArray *fired; /* guint */
  guint number;
} Numbered;

static void
append_number (gpointer data)
{
  Numbered *self = data;

  g_array_append_val (self->fired, self->number);
}

/* Many timers in any order, some of which are cancelled: the others fire in the order of their moments. */
static void
test_clock_many (void)
{
  SwarmClock *clock = swarm_clock_glib ();
  g_autoptr (GArray) fired = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GRand) dice = g_rand_new_with_seed (7);
  enum { N = 500 };
  Numbered numbers[N];
  SwarmTimer *timers[N];
  guint left = 0;
  gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC;

  for (guint i = 0; i < N; i++) {
    guint at = i * 7 % N; /* each once */
    numbers[at] = (Numbered){ fired, at };
    timers[at] = swarm_clock_timer (clock, 10000 + at * 1000, SWARM_PRIORITY_NORMAL, append_number, &numbers[at]);
  }
  for (guint i = 0; i < N; i++) {
    if (g_rand_boolean (dice))
      swarm_clock_clear_timer (clock, &timers[i]);
    left += timers[i] != NULL;
  }
  g_assert_cmpuint (left, >, 100);
  while (fired->len < left && g_get_monotonic_time () < end)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fired->len, ==, left);
  for (guint i = 0; i < left; i++) {
    guint number = g_array_index (fired, guint, i);
    g_assert_nonnull (timers[number]);
    g_assert_true (i == 0 || number > g_array_index (fired, guint, i - 1));
  }
}

/* ---- log ---- */

static void
keep_line (int priority, const SwarmLogField *fields, const char *message, gpointer data)
{
  g_string_append_printf (data, "%d %s %s\n", priority, message, fields != NULL ? fields[0].value : "-");
}

static void
test_log (void)
{
  g_autoptr (GString) lines = g_string_new (NULL);

  swarm_log_set_handler (keep_line, lines);
  swarm_warning ("disk %d", 7);
  swarm_debug ("not written");
  swarm_log (LOG_ERR, NULL, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", "abc" }), "down");
  swarm_log_set_level (LOG_DEBUG);
  swarm_debug ("written");
  swarm_log_set_level (LOG_INFO);
  swarm_log_set_handler (NULL, NULL);
  g_assert_cmpstr (lines->str, ==, "4 disk 7 -\n3 down abc\n7 written -\n");
}

/* ---- a pair of links ---- */

typedef struct {
  SwarmLink *a, *b;
  GString *seen;
  SwarmCall *parked;
  SwarmStream *reader, *writer;
  guint chunks, left;
} Pair;

static void
on_up (SwarmLink *link, gpointer data)
{
  Pair *pair = data;
  g_string_append_c (pair->seen, 'U');
}

static void
on_down (SwarmLink *link, const GError *error, gpointer data)
{
  Pair *pair = data;
  g_assert_nonnull (error);
  g_string_append_c (pair->seen, 'D');
}

static void
on_ready (SwarmStream *stream, gpointer data)
{
  Pair *pair = data;
  g_autofree char *block = g_malloc0 (65536);
  g_autoptr (GBytes) bytes = g_bytes_new (block, 65536);

  pair->writer = stream;
  if (stream->broken) {
    g_string_append_c (pair->seen, 'B');
    g_assert_false (swarm_stream_write (stream, bytes));
    swarm_stream_end (stream, NULL);
    return;
  }
  while (pair->left > 0) {
    pair->left--;
    if (!swarm_stream_write (stream, bytes))
      return;
  }
  swarm_stream_end (stream, NULL);
}

static void
on_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  Pair *pair = data;
  g_autoptr (GError) error = NULL;
  gint32 n = 0;

  if (g_str_equal (call->member, "Park")) {
    pair->parked = call;
  } else if (g_str_equal (call->member, "Stream")) {
    g_assert_nonnull (swarm_call_stream (call, on_ready, pair));
  } else if (g_str_equal (call->member, "Double")) {
    g_variant_get (call->args, "(i)", &n);
    swarm_call_return (call, g_variant_new ("(i)", 2 * n));
  } else {
    g_string_append_c (pair->seen, call->one_way ? 'o' : 'e');
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such thing");
    swarm_call_fail (call, error);
  }
}

static void
on_reply (GVariant *reply, const GError *error, gpointer data)
{
  Pair *pair = data;
  gint32 n;

  if (error != NULL) {
    g_string_append_printf (pair->seen, "[%d]", error->code);
    return;
  }
  g_variant_get (reply, "(i)", &n);
  g_string_append_printf (pair->seen, "(%d)", n);
}

static void
on_chunk (GBytes *chunk, const GError *error, gpointer data)
{
  Pair *pair = data;

  if (chunk != NULL) {
    pair->chunks++;
    return;
  }
  g_string_append_c (pair->seen, error != NULL ? 'X' : 'E');
  swarm_stream_close (pair->reader);
}

static void
settle (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
pair_open (Pair *pair)
{
  static const SwarmLinkEvents events = { on_up, on_down, on_call };
  SwarmPeer a = { .role = SWARM_PEER_WORKER }, b = { .role = SWARM_PEER_MANAGER };

  memset (pair, 0, sizeof *pair);
  pair->seen = g_string_new (NULL);
  swarm_link_pair (swarm_clock_glib (), &a, &b, &pair->a, &pair->b);
  g_assert_cmpint (pair->a->peer.role, ==, SWARM_PEER_MANAGER);
  g_assert_cmpint (pair->b->peer.role, ==, SWARM_PEER_WORKER);
  swarm_link_set_events (pair->a, &events, pair);
  swarm_link_set_events (pair->b, &events, pair);
}

static void
pair_done (Pair *pair)
{
  swarm_link_unref (pair->a);
  swarm_link_unref (pair->b);
  settle ();
  g_string_free (pair->seen, TRUE);
}

static void
test_link_calls (void)
{
  Pair pair;

  pair_open (&pair);
  swarm_link_call (pair.a, "i", "Double", g_variant_new ("(i)", 21), 0, on_reply, &pair);
  swarm_link_call (pair.b, "i", "Nope", NULL, G_USEC_PER_SEC, on_reply, &pair);
  g_assert_true (swarm_link_send (pair.a, "i", "Note", NULL));
  g_assert_cmpuint (pair.seen->len, ==, 0);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUeo(42)[2]");
  pair_done (&pair);
}

static void
test_link_timeout_and_close (void)
{
  Pair pair;

  pair_open (&pair);
  swarm_link_call (pair.a, "i", "Park", NULL, 1000, on_reply, &pair);
  run_until (pair.seen, strlen ("UU[11]"));
  g_assert_cmpstr (pair.seen->str, ==, "UU[11]");
  swarm_call_return (pair.parked, NULL); /* too late: dropped */
  swarm_link_call (pair.a, "i", "Park", NULL, 0, on_reply, &pair);
  settle ();
  swarm_link_close (pair.b, NULL);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UU[11]D[12]D");
  g_assert_false (swarm_link_send (pair.a, "i", "Note", NULL));
  swarm_link_call (pair.a, "i", "Double", NULL, 0, on_reply, &pair);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UU[11]D[12]D[12]");
  swarm_call_return (pair.parked, NULL);
  pair_done (&pair);
}

/* The other host has lost its power: who waits for an answer over it hears of the end that is made here. */
static void
test_link_other_is_gone (void)
{
  Pair pair;

  pair_open (&pair);
  swarm_link_call (pair.a, "i", "Park", NULL, 0, on_reply, &pair);
  settle ();
  swarm_link_pair_down (pair.b, NULL);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUD");
  swarm_link_close (pair.a, NULL);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUD[12]D");
  swarm_call_return (pair.parked, NULL);
  pair_done (&pair);
}

static void
test_link_stream (void)
{
  Pair pair;

  pair_open (&pair);
  pair.left = 100;
  pair.reader = swarm_link_open (pair.a, "i", "Stream", NULL, on_chunk, &pair);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUE");
  g_assert_cmpuint (pair.chunks, ==, 100);
  /* A method that does not stream. */
  pair.reader = swarm_link_open (pair.a, "i", "Nope", NULL, on_chunk, &pair);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUEeX");
  pair_done (&pair);
}

static void
test_link_stream_broken (void)
{
  Pair pair;

  pair_open (&pair);
  pair.left = 10;
  pair.reader = swarm_link_open (pair.a, "i", "Stream", NULL, on_chunk, &pair);
  swarm_stream_close (pair.reader);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUB");
  pair.left = 1000;
  pair.reader = swarm_link_open (pair.a, "i", "Stream", NULL, on_chunk, &pair);
  for (int i = 0; i < 3; i++)
    g_main_context_iteration (NULL, FALSE);
  swarm_link_close (pair.a, NULL);
  settle ();
  g_assert_cmpstr (pair.seen->str, ==, "UUBXDDB");
  pair_done (&pair);
}

static void
test_clock_difference (void)
{
  static const struct {
    gint64 us;
    const char *text;
  } rows[] = {
    { 0, "0.0 s" },
    { 1250000, "1.2 s" },
    { -59400000, "59.4 s" },
    { 59600000, "1 min 0 s" },
    { G_GINT64_CONSTANT (-1799900000), "30 min 0 s" },
    { G_GINT64_CONSTANT (5399000000), "1 h 30 min" },
    { G_GINT64_CONSTANT (-172800000000), "2 days 0 h" },
    { G_GINT64_CONSTANT (100000000000), "27 h 47 min" },
    { G_GINT64_CONSTANT (90) * 86400 * 1000000 - 1, "90 days 0 h" },
    { G_MININT64, "106751991 days 4 h" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text = swarm_clock_difference_text (rows[i].us);
    g_assert_cmpstr (text, ==, rows[i].text);
  }
}

static void
test_difference (void)
{
  g_assert_cmpint (swarm_difference (5, 7), ==, -2);
  g_assert_cmpint (swarm_difference (1000, G_MININT64), ==, G_MAXINT64);
  g_assert_cmpint (swarm_difference (0, G_MININT64), ==, G_MAXINT64);
  g_assert_cmpint (swarm_difference (-1000, G_MAXINT64), ==, -G_MAXINT64);
  g_assert_cmpint (swarm_difference (-1, G_MAXINT64), ==, -G_MAXINT64);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/base/difference", test_difference);
  g_test_add_func ("/base/error/names", test_error_names);
  g_test_add_func ("/base/error/foreign", test_error_foreign);
  g_test_add_func ("/base/id/round-trip", test_id_round_trip);
  g_test_add_func ("/base/id/limits", test_id_limits);
  g_test_add_func ("/base/base36", test_base36);
  g_test_add_func ("/base/random/below", test_random_below);
  g_test_add_func ("/base/enum", test_enum);
  g_test_add_func ("/base/disk-ops", test_disk_ops);
  g_test_add_func ("/base/clock", test_clock);
  g_test_add_func ("/base/clock-many", test_clock_many);
  g_test_add_func ("/base/log", test_log);
  g_test_add_func ("/base/link/calls", test_link_calls);
  g_test_add_func ("/base/link/timeout-and-close", test_link_timeout_and_close);
  g_test_add_func ("/base/link/other-is-gone", test_link_other_is_gone);
  g_test_add_func ("/base/link/stream", test_link_stream);
  g_test_add_func ("/base/link/stream-broken", test_link_stream_broken);
  g_test_add_func ("/base/clock-difference", test_clock_difference);
  return g_test_run ();
}
