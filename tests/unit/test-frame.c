// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "rpc/frame.h"
#include <string.h>

static GByteArray *
one_frame (SwarmFrameKind kind, const char *payload, gsize len)
{
  GByteArray *out = g_byte_array_new ();
  SwarmFrameHeader header = { .kind = kind, .serial = 7, .deadline_ms = 1500, .index = 0x123456789abcdef0 };

  swarm_frame_append (out, &header, (const guint8 *) payload, len);
  return out;
}

/* Feeds @data in pieces of @step bytes; the number of frames that came out, or -1 with @error. */
static int
feed (SwarmFrameReader *reader, const guint8 *data, gsize len, gsize step, SwarmFrame *last, GError **error)
{
  int n = 0;

  for (gsize at = 0; at < len; at += step) {
    const guint8 *p = data + at;
    gsize left = MIN (step, len - at);
    while (left > 0) {
      g_auto (SwarmFrame) frame = { 0 };
      gboolean have;
      if (!swarm_frame_reader_feed (reader, &p, &left, &frame, &have, error))
        return -1;
      if (have && last != NULL) {
        swarm_frame_clear (last);
        *last = frame;
        frame.payload = NULL;
      }
      n += have;
    }
  }
  return n;
}

static void
test_roundtrip (void)
{
  g_autoptr (GByteArray) bytes = one_frame (SWARM_FRAME_MESSAGE, "hello", 5);
  g_autoptr (GByteArray) empty = one_frame (SWARM_FRAME_CLOSE, NULL, 0);

  g_byte_array_append (bytes, empty->data, empty->len);
  for (gsize step = 1; step <= bytes->len; step++) {
    g_autoptr (SwarmFrameReader) reader = swarm_frame_reader_new (100);
    g_auto (SwarmFrame) frame = { 0 };
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (feed (reader, bytes->data, SWARM_FRAME_HEADER_SIZE + 5, step, &frame, &error), ==, 1);
    g_assert_no_error (error);
    g_assert_cmpint (frame.header.kind, ==, SWARM_FRAME_MESSAGE);
    g_assert_cmpuint (frame.header.serial, ==, 7);
    g_assert_cmpuint (frame.header.deadline_ms, ==, 1500);
    g_assert_cmpuint (frame.header.index, ==, 0x123456789abcdef0);
    g_assert_cmpmem (g_bytes_get_data (frame.payload, NULL), g_bytes_get_size (frame.payload), "hello", 5);
    g_assert_false (swarm_frame_reader_is_partial (reader));
    g_assert_cmpint (feed (reader, bytes->data, bytes->len, step, &frame, &error), ==, 2);
    g_assert_cmpint (frame.header.kind, ==, SWARM_FRAME_CLOSE);
    g_assert_cmpuint (g_bytes_get_size (frame.payload), ==, 0);
  }
}

static void
assert_refused (const guint8 *data, gsize len, int code, const char *text)
{
  g_autoptr (SwarmFrameReader) reader = swarm_frame_reader_new (SWARM_FRAME_MESSAGE_MAX);
  g_autoptr (GError) error = NULL, again = NULL;

  g_assert_cmpint (feed (reader, data, len, len, NULL, &error), ==, -1);
  g_assert_error (error, SWARM_ERROR, code);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" lacks \"%s\"", error->message, text);
  /* Broken stays broken. */
  g_assert_cmpint (feed (reader, (const guint8 *) "x", 1, 1, NULL, &again), ==, -1);
  g_assert_cmpstr (again->message, ==, error->message);
}

static void
test_refused (void)
{
  g_autoptr (GByteArray) frame = one_frame (SWARM_FRAME_MESSAGE, "x", 1);
  g_autoptr (GByteArray) credit = one_frame (SWARM_FRAME_CREDIT, "x", 1);
  g_autoptr (GByteArray) close = one_frame (SWARM_FRAME_CLOSE, "x", 1);
  const char *http = "GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n";
  guint8 copy[SWARM_FRAME_HEADER_SIZE + 1];

  assert_refused ((const guint8 *) http, strlen (http), SWARM_ERROR_INVALID_ARGUMENT,
                  "does not speak swarm-agent's protocol");
  memcpy (copy, frame->data, sizeof copy);
  copy[0] = 0x7f; /* 2 GB */
  assert_refused (copy, sizeof copy, SWARM_ERROR_LIMIT_EXCEEDED,
                  "message of 2130706433 bytes; at most 2097152 are taken");
  memcpy (copy, frame->data, sizeof copy);
  copy[4] = 77;
  assert_refused (copy, sizeof copy, SWARM_ERROR_INVALID_ARGUMENT, "frame kind 77");
  copy[4] = 0;
  assert_refused (copy, sizeof copy, SWARM_ERROR_INVALID_ARGUMENT, "frame kind 0");
  memcpy (copy, frame->data, sizeof copy);
  copy[5] = 0x80;
  assert_refused (copy, sizeof copy, SWARM_ERROR_INVALID_ARGUMENT, "flags 0x80");
  memcpy (copy, frame->data, sizeof copy);
  copy[7] = 1;
  assert_refused (copy, sizeof copy, SWARM_ERROR_INVALID_ARGUMENT, "does not speak");
  assert_refused (credit->data, credit->len, SWARM_ERROR_INVALID_ARGUMENT, "credit of only 1 bytes");
  assert_refused (close->data, close->len, SWARM_ERROR_LIMIT_EXCEEDED, "close of 1 bytes; at most 0");
}

static void
test_partial (void)
{
  g_autoptr (GByteArray) bytes = one_frame (SWARM_FRAME_MESSAGE, "hello", 5);
  g_autoptr (SwarmFrameReader) reader = swarm_frame_reader_new (100);

  g_assert_false (swarm_frame_reader_is_partial (reader));
  g_assert_cmpint (feed (reader, bytes->data, 3, 3, NULL, NULL), ==, 0);
  g_assert_true (swarm_frame_reader_is_partial (reader));
  g_assert_cmpint (feed (reader, bytes->data + 3, bytes->len - 4, 100, NULL, NULL), ==, 0);
  g_assert_true (swarm_frame_reader_is_partial (reader));
  g_assert_cmpint (feed (reader, bytes->data + bytes->len - 1, 1, 1, NULL, NULL), ==, 1);
  g_assert_false (swarm_frame_reader_is_partial (reader));
}

static void
test_bound_changes (void)
{
  g_autofree char *big = g_malloc0 (1000);
  g_autoptr (GByteArray) bytes = one_frame (SWARM_FRAME_MESSAGE, big, 1000);
  g_autoptr (SwarmFrameReader) reader = swarm_frame_reader_new (1000);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (feed (reader, bytes->data, bytes->len, 100, NULL, NULL), ==, 1);
  swarm_frame_reader_set_message_max (reader, 999);
  g_assert_cmpint (feed (reader, bytes->data, bytes->len, 100, NULL, &error), ==, -1);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
}

static gboolean
hello_of (const SwarmHello *hello, guint cut, const char *extra, SwarmHello *ret, GError **error)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GBytes) payload = NULL;

  swarm_hello_append (out, hello, 0);
  g_byte_array_set_size (out, out->len - cut);
  if (extra != NULL)
    g_byte_array_append (out, (const guint8 *) extra, strlen (extra));
  payload = g_bytes_new (out->data + SWARM_FRAME_HEADER_SIZE, out->len - SWARM_FRAME_HEADER_SIZE);
  return swarm_hello_parse (payload, ret, error);
}

static void
test_hello (void)
{
  SwarmHello a = { 1, 3, 9, SWARM_LINK_CONSENSUS, { { 1, 2, 3 } }, "1.2.3", 0x0102030405060708 }, b = { 0 };
  g_autoptr (GError) error = NULL, version = NULL, cluster = NULL;
  guint protocol = 0;

  g_assert_true (hello_of (&a, 0, "something of a later version", &b, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (&a, G_STRUCT_OFFSET (SwarmHello, version), &b, G_STRUCT_OFFSET (SwarmHello, version));
  g_assert_cmpstr (a.version, ==, b.version);
  g_assert_true (a.epoch == b.epoch);
  /* Without its epoch it is one of an earlier version. */
  g_assert_true (hello_of (&a, 8, NULL, &b, NULL));
  g_assert_cmpuint (b.epoch, ==, 0);
  g_assert_false (hello_of (&a, 9, NULL, &b, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);

  b = a;
  b.protocol_max = 2;
  g_assert_true (swarm_hello_check (&a, &b, &protocol, NULL));
  g_assert_cmpuint (protocol, ==, 2);
  b.protocol_min = b.protocol_max = 5;
  g_assert_false (swarm_hello_check (&a, &b, &protocol, &version));
  g_assert_error (version, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (version->message, "upgrade this one first"));
  b = a;
  b.cluster.bytes[0] = 9;
  g_assert_false (swarm_hello_check (&a, &b, &protocol, &cluster));
  g_assert_error (cluster, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  b.cluster = SWARM_ID_NIL;
  g_assert_true (swarm_hello_check (&a, &b, &protocol, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/frame/roundtrip", test_roundtrip);
  g_test_add_func ("/frame/refused", test_refused);
  g_test_add_func ("/frame/partial", test_partial);
  g_test_add_func ("/frame/bound-changes", test_bound_changes);
  g_test_add_func ("/frame/hello", test_hello);
  return g_test_run ();
}
