// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links between two agents that mean well: calls, streams, deadlines, ends. */
#include "fixture-tests.h"
#include "rpc-fixture.h"
#include "rpc/io.h"
#include <sys/socket.h>
#include <unistd.h>

static void
assert_variant (GVariant *value, const char *expected)
{
  g_autofree char *text = g_variant_print (value, FALSE);

  g_assert_cmpstr (text, ==, expected);
}

static void
call (SwarmLink *link, const char *member, GVariant *args, gint64 timeout_us, TestReply *reply)
{
  swarm_link_call (link, TEST_IFACE, member, args, timeout_us, test_reply_func, reply);
  g_assert_cmpuint (reply->n, ==, 0);
}

static void
test_calls (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) echo = { 0 }, where = { 0 }, nothing = { 0 }, unknown = { 0 }, back = { 0 }, big = { 0 };
  g_autofree char *text = g_strnfill (2 * 1024 * 1024 - 300, 'y');

  f->manager.index = 77;
  f->worker.index = 5;
  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  g_assert_cmpint (f->link->peer.role, ==, SWARM_PEER_MANAGER);
  g_assert_true (swarm_id_equal (&f->link->peer.node, &f->manager_id.peer.node));
  g_assert_cmpstr (f->link->peer.serial, ==, f->manager_id.peer.serial);
  g_assert_cmpstr (f->link->peer.address, ==, f->manager.address);
  g_assert_cmpuint (swarm_rpc_link_hello (f->link)->feature_level, ==, 3);
  g_assert_cmpstr (swarm_rpc_link_hello (f->link)->version, ==, "0.1.0-test");

  call (f->link, "Echo", g_variant_new ("(si)", "hello", 42), 0, &echo);
  call (f->link, "Echo", NULL, 0, &nothing);
  call (f->link, "Unknown", NULL, 0, &unknown);
  call (f->link, "Echo", g_variant_new ("(s)", text), 0, &big);
  swarm_link_call_at (f->link, "/org/swarmagent1/node/x1", TEST_IFACE, "Where", NULL, 0, test_reply_func, &where);
  wait_until (echo.n && nothing.n && unknown.n && where.n && big.n);
  assert_variant (echo.reply, "('hello', 42)");
  g_assert_cmpstr (g_variant_get_type_string (nothing.reply), ==, "()");
  g_assert_error (unknown.error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  g_assert_cmpstr (unknown.error->message, ==, "no such method: Unknown");
  assert_variant (where.reply, "('/org/swarmagent1/node/x1',)");
  g_assert_no_error (big.error);
  g_assert_cmpuint (f->link->peer_index, ==, 77);

  /* The other way, over the same connection. */
  g_assert_cmpuint (f->manager.links->len, ==, 1);
  SwarmLink *accepted = g_ptr_array_index (f->manager.links, 0);
  g_assert_cmpint (accepted->peer.role, ==, SWARM_PEER_WORKER);
  g_assert_true (swarm_id_equal (&accepted->peer.node, &f->worker_id.peer.node));
  call (accepted, "Where", NULL, 0, &back);
  wait_until (back.n);
  assert_variant (back.reply, "('" SWARM_LINK_PATH "',)");
  g_assert_cmpuint (accepted->peer_index, ==, 5);
}

static void
test_too_large (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) ask = { 0 }, answer = { 0 }, name = { 0 };
  g_autofree char *text = g_strnfill (2 * 1024 * 1024, 'y');

  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Echo", g_variant_new ("(s)", text), 0, &ask);
  call (f->link, "Huge", NULL, 0, &answer);
  call (f->link, "not a name", NULL, 0, &name);
  wait_until (ask.n && answer.n && name.n);
  g_assert_error (ask.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_error (name.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_true (f->link->is_up);
}

static void
test_one_way (Fixture *f, gconstpointer unused)
{
  test_connect (f, SWARM_LINK_CONTROL);
  for (guint i = 0; i < 1000; i++)
    g_assert_true (swarm_link_send (f->link, TEST_IFACE, "OneWay", g_variant_new ("(u)", i)));
  wait_until (f->manager.one_way == 1000);
}

/* A bounded queue refuses; a link that is not read does not grow. */
static void
test_queue_bound (Fixture *f, gconstpointer unused)
{
  g_autofree char *text = g_strnfill (64 * 1024, 'z');
  guint sent = 0;

  test_connect (f, SWARM_LINK_CONTROL);
  while (swarm_link_send (f->link, TEST_IFACE, "OneWay", g_variant_new ("(s)", text)))
    sent++;
  g_assert_cmpuint (sent, >=, 60);
  g_assert_cmpuint (sent, <=, 64);
  g_assert_cmpuint (swarm_rpc_link_queued (f->link), <=, 4 * 1024 * 1024);
  wait_until (f->manager.one_way == sent);
  g_assert_true (swarm_link_send (f->link, TEST_IFACE, "OneWay", NULL));
}

static void
test_timeout (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) kept = { 0 }, later = { 0 }, echo = { 0 };

  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Keep", NULL, 10 * G_USEC_PER_SEC, &later);
  call (f->link, "Keep", NULL, 50 * MS, &kept);
  wait_until (kept.n);
  g_assert_error (kept.error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  wait_until (f->manager.calls->len == 2); /* it may hear of the call after that */
  g_assert_cmpint (((SwarmCall *) f->manager.calls->pdata[1])->deadline_us, !=, 0);
  /* The late answer is dropped, the link lives on. */
  swarm_call_return (g_ptr_array_remove_index (f->manager.calls, 1), NULL);
  call (f->link, "Echo", NULL, 0, &echo);
  wait_until (echo.n);
  g_assert_cmpuint (kept.n, ==, 1);
  swarm_call_return (g_ptr_array_remove_index (f->manager.calls, 0), NULL);
  wait_until (later.n);
  g_assert_no_error (later.error);
}

static void
test_many_calls (Fixture *f, gconstpointer unused)
{
  TestReply replies[300] = { 0 };
  guint refused = 0;

  test_connect (f, SWARM_LINK_CONTROL);
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++)
    call (f->link, "Keep", NULL, 0, &replies[i]);
  wait_until (f->manager.calls->len == 256);
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++) {
    refused += g_error_matches (replies[i].error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
    g_assert_cmpint (replies[i].n, ==, i >= 256);
  }
  g_assert_cmpuint (refused, ==, 44);
  while (f->manager.calls->len > 0)
    swarm_call_return (g_ptr_array_remove_index (f->manager.calls, 0), NULL);
  wait_until (replies[255].n);
  for (guint i = 0; i < G_N_ELEMENTS (replies); i++) {
    g_assert_cmpuint (replies[i].n, ==, 1);
    test_reply_clear (&replies[i]);
  }
}

static void
test_stream (Fixture *f, gconstpointer unused)
{
  TestRead read = { 0 };
  g_auto (TestReply) echo = { 0 };
  SwarmStream *stream;

  test_connect (f, SWARM_LINK_CONTROL);
  stream
    = swarm_link_open (f->link, TEST_IFACE, "Bulk", g_variant_new ("(t)", (guint64) 5000000), test_read_func, &read);
  /* A call is not stuck behind bulk. */
  wait_until (read.chunks > 3);
  call (f->link, "Echo", NULL, 0, &echo);
  wait_until (echo.n);
  g_assert_false (read.over);
  wait_until (read.over);
  g_assert_no_error (read.error);
  g_assert_cmpuint (read.bytes, ==, 5000000);
  g_assert_cmpuint (read.sum, ==, 0);
  g_assert_cmpuint (read.largest, <=, 64 * 1024);
  swarm_stream_close (stream);
  g_assert_null (f->manager.writer);
}

static void
test_stream_errors (Fixture *f, gconstpointer unused)
{
  TestRead broken = { 0 }, none = { 0 }, refused = { 0 };
  SwarmStream *a, *b, *c;
  g_auto (TestReply) not_opened = { 0 };

  test_connect (f, SWARM_LINK_CONTROL);
  a = swarm_link_open (f->link, TEST_IFACE, "Break", NULL, test_read_func, &broken);
  b = swarm_link_open (f->link, TEST_IFACE, "Echo", NULL, test_read_func, &none);
  c = swarm_link_open (f->link, TEST_IFACE, "Unknown", NULL, test_read_func, &refused);
  call (f->link, "Bulk", g_variant_new ("(t)", (guint64) 1), 0, &not_opened);
  wait_until (broken.over && none.over && refused.over && not_opened.n);
  g_assert_error (broken.error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_assert_cmpstr (broken.error->message, ==, "broken on purpose");
  g_assert_cmpuint (broken.bytes, ==, 4);
  g_assert_error (none.error, SWARM_ERROR, SWARM_ERROR_FAILED);
  assert_contains (none.error->message, "does not answer with a stream");
  g_assert_error (refused.error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED);
  g_assert_error (not_opened.error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  swarm_stream_close (a);
  swarm_stream_close (b);
  swarm_stream_close (c);
  g_clear_error (&broken.error);
  g_clear_error (&none.error);
  g_clear_error (&refused.error);
}

static void
test_stream_pressure (Fixture *f, gconstpointer unused)
{
  TestRead read = { 0 };
  SwarmStream *stream;
  gsize at_hold;

  test_connect (f, SWARM_LINK_CONTROL);
  stream
    = swarm_link_open (f->link, TEST_IFACE, "Bulk", g_variant_new ("(t)", G_MAXUINT64 >> 1), test_read_func, &read);
  wait_until (read.bytes > 1000000);
  swarm_stream_hold (stream, TRUE);
  at_hold = read.bytes;
  test_turns (100);
  /* At most a window, then nothing; and the writer was told to stop. */
  g_assert_cmpuint (read.bytes - at_hold, <=, 8 * 64 * 1024);
  g_assert_cmpuint (f->manager.written - read.bytes, <=, 512 * 1024);
  at_hold = read.bytes;
  test_turns (50);
  g_assert_cmpuint (read.bytes, ==, at_hold);
  swarm_stream_hold (stream, FALSE);
  wait_until (read.bytes > at_hold + 1000000);
  g_assert_cmpuint (read.sum, ==, 0);
  /* The reader leaves: the writer hears of it and ends. */
  swarm_stream_close (stream);
  wait_until (f->manager.writer == NULL);
  g_assert_false (read.over);
}

/* The in-process pair keeps the same promise. */
static void
test_pair_hold (Fixture *f, gconstpointer unused)
{
  TestRead read = { 0 };
  SwarmLink *a, *b;
  SwarmStream *stream;
  gsize at_hold;

  swarm_link_pair (swarm_clock_glib (), &f->worker_id.peer, &f->manager_id.peer, &a, &b);
  swarm_link_set_events (b, &test_client_events, f);
  stream = swarm_link_open (a, TEST_IFACE, "Bulk", g_variant_new ("(t)", (guint64) 5000000), test_read_func, &read);
  wait_until (read.bytes > 1000000);
  swarm_stream_hold (stream, TRUE);
  at_hold = read.bytes;
  test_turns (50);
  g_assert_cmpuint (read.bytes, ==, at_hold);
  g_assert_cmpuint (f->worker.written - read.bytes, <=, 512 * 1024);
  swarm_stream_hold (stream, FALSE);
  wait_until (read.over);
  g_assert_no_error (read.error);
  g_assert_cmpuint (read.bytes, ==, 5000000);
  g_assert_cmpuint (read.sum, ==, 0);
  swarm_stream_close (stream);
  swarm_link_unref (a);
  wait_until (f->down);
  swarm_link_unref (b);
}

static void
test_ipv6 (Fixture *f, gconstpointer unused)
{
  g_autofree char *address = NULL;
  g_autoptr (GError) error = NULL, bad = NULL;

  g_assert_false (swarm_rpc_listen (f->manager.rpc, "somewhere:2377", NULL, &bad));
  assert_contains (bad->message, "cannot listen on somewhere:2377");
  if (!swarm_rpc_listen (f->manager.rpc, "[::1]:0", &address, &error)) {
    g_test_skip (error->message);
    return;
  }
  g_assert_true (g_str_has_prefix (address, "[::1]:"));
  g_free (f->manager.address);
  f->manager.address = g_steal_pointer (&address);
  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  g_assert_cmpstr (f->link->peer.address, ==, f->manager.address);
}

static void
test_stream_link_down (Fixture *f, gconstpointer unused)
{
  TestRead read = { 0 };
  SwarmStream *stream;

  test_connect (f, SWARM_LINK_CONTROL);
  stream
    = swarm_link_open (f->link, TEST_IFACE, "Bulk", g_variant_new ("(t)", G_MAXUINT64 >> 1), test_read_func, &read);
  wait_until (read.bytes > 0);
  swarm_link_close (f->link, NULL);
  wait_until (f->down && f->manager.writer == NULL && f->manager.links->len == 0);
  g_assert_true (read.over);
  g_assert_error (read.error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  g_clear_error (&read.error);
  swarm_stream_close (stream);
}

static void
test_many_streams (Fixture *f, gconstpointer unused)
{
  TestRead reads[70] = { 0 };
  SwarmStream *streams[70];
  guint refused = 0;

  test_connect (f, SWARM_LINK_CONTROL);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++)
    streams[i] = swarm_link_open (f->link, TEST_IFACE, "Keep", NULL, test_read_func, &reads[i]);
  wait_until (f->manager.calls->len == 64);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++) {
    refused += g_error_matches (reads[i].error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
    g_clear_error (&reads[i].error);
    swarm_stream_close (streams[i]);
  }
  g_assert_cmpuint (refused, ==, 6);
  /* Answered with a stream after its reader left: broken from the start. */
  test_turns (20);
  f->manager.to_write = 100;
  f->manager.written = 0;
  f->manager.writer = swarm_call_stream (g_ptr_array_remove_index (f->manager.calls, 0), NULL, NULL);
  g_assert_true (f->manager.writer->broken);
  swarm_stream_end (g_steal_pointer (&f->manager.writer), NULL);
  g_assert_true (f->link->is_up);
}

static void
test_close_during_calls (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) a = { 0 }, b = { 0 }, after = { 0 };
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the agent stops");
  TestRead read = { 0 };
  SwarmStream *stream;

  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Keep", NULL, 0, &a);
  call (f->link, "Keep", NULL, 0, &b);
  wait_until (f->manager.calls->len == 2);
  /* From the manager's side: the worker is told why. */
  swarm_link_close (g_ptr_array_index (f->manager.links, 0), reason);
  wait_until (f->down);
  g_assert_error (f->down_error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
  assert_contains (f->down_error->message, "the agent stops");
  g_assert_cmpuint (a.n, ==, 1);
  g_assert_error (b.error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
  /* Answers to a link that is gone go nowhere. */
  swarm_call_return (g_ptr_array_remove_index (f->manager.calls, 0), NULL);
  call (f->link, "Echo", NULL, 0, &after);
  stream = swarm_link_open (f->link, TEST_IFACE, "Bulk", NULL, test_read_func, &read);
  g_assert_false (swarm_link_send (f->link, TEST_IFACE, "OneWay", NULL));
  wait_until (after.n && read.over);
  g_assert_error (after.error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  g_assert_error (read.error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  g_clear_error (&read.error);
  swarm_stream_close (stream);
}

static void
test_drop (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) kept = { 0 };
  SwarmTransport *transport = swarm_rpc_transport (f->worker.rpc);
  SwarmRpcStats stats;

  /* Letting go of the last reference closes; also while it is being dialled. */
  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Keep", NULL, 0, &kept);
  wait_until (f->manager.calls->len == 1);
  g_clear_pointer (&f->link, swarm_link_unref);
  wait_until (kept.n && f->manager.links->len == 0);
  g_assert_error (kept.error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  g_assert_false (f->down);
  swarm_link_unref (transport->dial (transport, f->manager.address, SWARM_LINK_CONTROL, &test_client_events, f));
  for (guint turns = 1; turns < 12; turns++) {
    SwarmLink *link = transport->dial (transport, f->manager.address, SWARM_LINK_CONTROL, NULL, NULL);
    for (guint i = 0; i < turns; i++)
      test_turn ();
    swarm_link_unref (link);
  }
  swarm_rpc_get_stats (f->worker.rpc, &stats);
  test_turns (20);
  swarm_rpc_get_stats (f->worker.rpc, &stats);
  g_assert_cmpuint (stats.dialled, ==, 0);
  swarm_rpc_get_stats (f->manager.rpc, &stats);
  wait_until ((swarm_rpc_get_stats (f->manager.rpc, &stats), stats.accepted == 0));
}

static void
test_dial_errors (Fixture *f, gconstpointer unused)
{
  SwarmTransport *transport = swarm_rpc_transport (f->worker.rpc);
  g_autofree char *port = g_strdup (strrchr (f->manager.address, ':')), *named = g_strconcat ("localhost", port, NULL);
  static const char *const bad[]
    = { "127.0.0.1:1", "not an address", "", "127.0.0.1:99999", "no-such-host.invalid:2377" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    SwarmLink *link;
    f->down = f->up = FALSE;
    link = transport->dial (transport, bad[i], SWARM_LINK_CONTROL, &test_client_events, f);
    g_assert_false (f->down);
    wait_until (f->down);
    g_assert_nonnull (f->down_error);
    assert_contains (f->down_error->message, "cannot connect to ");
    g_clear_error (&f->down_error);
    swarm_link_unref (link);
  }
  f->down = f->up = FALSE;
  f->link = transport->dial (transport, named, SWARM_LINK_CONTROL, &test_client_events, f);
  wait_until (f->up);
}

static void
test_consensus (Fixture *f, gconstpointer unused)
{
  SwarmRpcCredentials credentials;
  TestIdentity second;

  credentials = (SwarmRpcCredentials){ .roots_pem = f->ca.cert };
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  test_connect (f, SWARM_LINK_CONSENSUS);
  g_assert_false (f->up);
  assert_contains (f->down_error->message, "only members may open a consensus connection");
  test_identity_init (&second, &f->ca, SWARM_PEER_WORKER);
  credentials = test_credentials (&second, &f->ca);
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  test_connect (f, SWARM_LINK_CONSENSUS);
  g_assert_true (f->up);
  g_assert_cmpuint (f->manager.links->len, ==, 1);
  g_assert_cmpint (((SwarmLink *) f->manager.links->pdata[0])->kind, ==, SWARM_LINK_CONSENSUS);
  test_identity_clear (&second);
}

static void
test_close_node (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "this node was removed");

  test_connect (f, SWARM_LINK_CONTROL);
  swarm_rpc_close_node (f->manager.rpc, &f->manager_id.peer.node, reason);
  test_turns (20);
  g_assert_true (f->link->is_up);
  swarm_rpc_close_node (f->manager.rpc, &f->worker_id.peer.node, reason);
  wait_until (f->down && f->manager.links->len == 0);
  g_assert_error (f->down_error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  assert_contains (f->down_error->message, "this node was removed");
}

static void
test_standing (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) reply = { 0 };

  test_connect (f, SWARM_LINK_CONTROL);
  f->manager.standing = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "node is no member");
  g_assert_true (f->link->is_up);
  call (f->link, "Echo", NULL, 0, &reply);
  wait_until (f->down && reply.n);
  g_assert_error (reply.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  assert_contains (f->down_error->message, "node is no member");
  /* And it does not come back in. */
  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_false (f->up);
  assert_contains (f->down_error->message, "node is no member");
  g_assert_cmpstr (f->manager.refused->message, ==, "node is no member");
}

/* Who renews its certificate keeps its connections: the other end knows it by the new one from then on. */
static void
test_renewed (Fixture *f, gconstpointer unused)
{
  TestIdentity worker, manager;
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "replaced");
  g_auto (TestReply) reply = { 0 };
  SwarmRpcCredentials credentials;
  const SwarmLink *accepted;

  test_identity_renew (&f->worker_id, &worker, &f->ca, SWARM_PEER_WORKER);
  test_identity_renew (&f->manager_id, &manager, &f->ca, SWARM_PEER_MANAGER);
  test_connect (f, SWARM_LINK_CONTROL);
  wait_until (f->manager.links->len == 1);
  accepted = f->manager.links->pdata[0];
  g_assert_cmpstr (accepted->peer.serial, ==, f->worker_id.peer.serial);
  credentials = test_credentials (&f->worker_id, &f->ca); /* the same again is nothing new */
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  for (guint i = 0; i < 2; i++) {
    credentials = test_credentials (i == 0 ? &worker : &manager, &f->ca);
    g_assert_true (swarm_rpc_set_credentials (i == 0 ? f->worker.rpc : f->manager.rpc, &credentials, NULL));
  }
  wait_until (g_str_equal (accepted->peer.serial, worker.peer.serial) && g_str_equal (f->link->peer.serial, manager.peer.serial));
  g_assert_cmpint (accepted->peer.issued, ==, worker.peer.issued);
  g_assert_nonnull (strchr (accepted->peer.address, ':'));
  call (f->link, "Echo", NULL, 0, &reply);
  wait_until (reply.n);
  g_assert_no_error (reply.error);
  swarm_rpc_close_older (f->manager.rpc, &worker.peer.node, worker.peer.serial, reason);
  test_turns (20);
  g_assert_true (f->link->is_up);
  swarm_rpc_close_older (f->manager.rpc, &worker.peer.node, f->worker_id.peer.serial, reason);
  wait_until (f->down);
  assert_contains (f->down_error->message, "replaced");
  test_identity_clear (&worker);
  test_identity_clear (&manager);
}

/* A call that is denied is told: who, what, why; a peer that goes on is told of now and then. What fails for another reason is not. */
static void
test_call_refused (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) unheard = { 0 }, echo = { 0 }, denied = { 0 }, last = { 0 };
  guint told;

  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Unheard", NULL, 0, &unheard);
  call (f->link, "Echo", NULL, 0, &echo);
  wait_until (unheard.n && echo.n);
  g_assert_cmpuint (f->manager.n_denied, ==, 0);
  call (f->link, "Deny", NULL, 0, &denied);
  wait_until (denied.n);
  g_assert_error (denied.error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_cmpuint (f->manager.n_denied, ==, 1);
  g_assert_cmpstr (f->manager.denied, ==, "Deny: not for you");
  g_assert_true (swarm_id_equal (&f->manager.denied_node, &f->worker_id.peer.node));
  for (guint i = 0; i < 200; i++)
    swarm_link_send (f->link, TEST_IFACE, "Deny", NULL);
  call (f->link, "Echo", NULL, 0, &last);
  wait_until (last.n);
  told = f->manager.n_denied;
  g_assert_cmpuint (told, >, 1); /* one-way calls, too */
  g_assert_cmpuint (told, <, 100);
  g_assert_cmpuint (f->manager.suppressed, ==, 0);
}

static void
test_free_first (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) reply = { 0 };

  test_connect (f, SWARM_LINK_CONTROL);
  call (f->link, "Keep", NULL, 0, &reply);
  wait_until (f->manager.calls->len == 1);
  g_clear_pointer (&f->worker.rpc, swarm_rpc_free);
  wait_until (f->down && reply.n);
  g_clear_pointer (&f->manager.rpc, swarm_rpc_free);
  swarm_call_return (g_ptr_array_remove_index (f->manager.calls, 0), NULL);
}

static void
count_ready (GIOCondition ready, gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
tick (gpointer data)
{
  (*(guint *) data)++;
  return G_SOURCE_CONTINUE;
}

/* The other end hangs up while nothing is wanted of it: what is less urgent goes on. */
static void
test_hung_up (void)
{
  int fds[2];
  guint ready = 0, ticks = 0;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
  SwarmFdWatch *watch = swarm_fd_watch_new (fds[0], G_IO_IN, G_PRIORITY_HIGH, count_ready, &ready);
  swarm_fd_watch_want (watch, 0);
  close (fds[1]);
  guint id = g_timeout_add (1, tick, &ticks);
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (ready, ==, 0);
  g_assert_cmpuint (ticks, >, 0);
  swarm_fd_watch_want (watch, G_IO_IN);
  for (guint i = 0; i < 20 && ready == 0; i++)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (ready, >, 0);
  g_source_remove (id);
  swarm_fd_watch_free (watch);
  close (fds[0]);
}

int
main (int argc, char **argv)
{
  static const FIXTURE_TEST tests[] = {
    { "calls", test_calls },
    { "too-large", test_too_large },
    { "one-way", test_one_way },
    { "queue-bound", test_queue_bound },
    { "timeout", test_timeout },
    { "many-calls", test_many_calls },
    { "stream", test_stream },
    { "stream-errors", test_stream_errors },
    { "stream-pressure", test_stream_pressure },
    { "pair-hold", test_pair_hold },
    { "ipv6", test_ipv6 },
    { "stream-link-down", test_stream_link_down },
    { "many-streams", test_many_streams },
    { "close-during-calls", test_close_during_calls },
    { "drop", test_drop },
    { "dial-errors", test_dial_errors },
    { "consensus", test_consensus },
    { "close-node", test_close_node },
    { "standing", test_standing },
    { "renewed", test_renewed },
    { "call-refused", test_call_refused },
    { "free-first", test_free_first },
  };

  g_test_init (&argc, &argv, NULL);
  ADD_FIXTURE_TESTS ("/rpc", tests, test_setup, test_teardown);
  g_test_add_func ("/rpc/hung-up", test_hung_up);
  return g_test_run ();
}
