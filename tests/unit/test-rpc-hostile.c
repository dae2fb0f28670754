// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's door against peers that mean ill, are broken, or are somebody else's. After each attack the cluster is unharmed. */
#include "base/log-limit.h"
#include "rpc-fixture.h"
#include <errno.h>
#include <openssl/pem.h>
#include <sys/socket.h>

#define HOUR_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

/* Short timeouts for the tests that wait for them. */
static const SwarmRpcLimits hurried = { .handshake_timeout_us = 2000 * MS,
                                        .stall_timeout_us = 2000 * MS,
                                        .joining_timeout_us = 2000 * MS,
                                        .anonymous = 20,
                                        .anonymous_per_address = 10 };
static const SwarmRpcLimits few_links = { .links_per_node = 3 };

static const SwarmRpcLimits small_quota = { .calls_per_node = 8, .bytes_per_node = 100000 };

/* The good worker still gets in and is served. */
static void
assert_unharmed (Fixture *f)
{
  g_auto (TestReply) reply = { 0 };

  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  swarm_link_call (f->link, TEST_IFACE, "Echo", NULL, 0, test_reply_func, &reply);
  wait_until (reply.n);
  g_assert_no_error (reply.error);
}

static void
set_worker (Fixture *f, TestIdentity *id, TestCa *ca)
{
  SwarmRpcCredentials credentials = test_credentials (id, ca);
  g_autoptr (GError) error = NULL;

  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, &error));
  g_assert_no_error (error);
}

/* Dials with that identity and expects no `up`. */
static void
assert_not_let_in (Fixture *f, const char *manager_says, const char *worker_says)
{
  guint before = f->manager.n_refused;

  test_connect (f, SWARM_LINK_CONTROL);
  wait_until (f->down);
  g_assert_false (f->up);
  if (worker_says != NULL)
    assert_contains (f->down_error->message, worker_says);
  if (manager_says != NULL) {
    wait_until (f->manager.n_refused > before);
    assert_contains (f->manager.refused->message, manager_says);
  }
  g_assert_cmpuint (f->manager.links->len, ==, 0);
}

static void
test_foreign (Fixture *f, gconstpointer unused)
{
  TestCa other;
  TestIdentity stranger;
  g_autofree char *both = NULL;
  SwarmRpcCredentials credentials;

  test_ca_init (&other);
  other.cluster = f->ca.cluster; /* a forger knows the cluster's id */
  test_identity_init (&stranger, &other, SWARM_PEER_WORKER);
  /* Each side has its own reason: the worker does not believe the manager … */
  set_worker (f, &stranger, &other);
  assert_not_let_in (f, "the other end refuses our certificate", "was not issued by this cluster's CA");
  /* … and one that does believe it is not believed. */
  set_worker (f, &stranger, &f->ca);
  assert_not_let_in (f, "was not issued by this cluster's CA", "refuses our certificate");
  assert_contains (f->manager.refused->message, swarm_id_string (&stranger.peer.node).str);
  set_worker (f, &f->worker_id, &f->ca);
  assert_unharmed (f);
  /* Another cluster's certificate from a root that both know (an external CA). */
  g_clear_pointer (&f->link, swarm_link_unref);
  test_identity_clear (&stranger);
  other.cluster.bytes[0] ^= 1;
  test_identity_init (&stranger, &other, SWARM_PEER_WORKER);
  both = g_strconcat (f->ca.cert, other.cert, NULL);
  credentials = (SwarmRpcCredentials){ f->manager_id.cert, f->manager_id.key, both };
  g_assert_true (swarm_rpc_set_credentials (f->manager.rpc, &credentials, NULL));
  wait_until (f->manager.links->len == 0);
  set_worker (f, &stranger, &f->ca);
  assert_not_let_in (f, "is for cluster ", "is for cluster ");
  set_worker (f, &f->worker_id, &f->ca);
  assert_unharmed (f);
  test_identity_clear (&stranger);
  test_ca_clear (&other);
}

static void
assert_let_in_as (Fixture *f, SwarmPeerRole role)
{
  const SwarmLink *link;

  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  wait_until (f->manager.links->len == 1);
  link = f->manager.links->pdata[0];
  g_assert_cmpint (link->peer.role, ==, role);
  g_assert_true (swarm_id_equal (&link->peer.node, &f->worker_id.peer.node));
  g_assert_cmpstr (link->peer.serial, ==, f->worker_id.peer.serial);
  swarm_link_close (f->link, NULL);
  wait_until (f->down && f->manager.links->len == 0);
  g_clear_pointer (&f->link, swarm_link_unref);
}

/* Let in, but as one who lapsed: what such a peer may call is the tables' business. */
static void
assert_lapsed (Fixture *f)
{
  assert_let_in_as (f, SWARM_PEER_LAPSED);
}

/* Who was away while the root changed, with the certificate of the root before. */
static void
test_former_root (Fixture *f, gconstpointer unused)
{
  TestCa next;
  TestIdentity manager;
  g_autofree char *both = NULL;
  SwarmRpcCredentials credentials;

  test_ca_init (&next);
  next.cluster = f->ca.cluster;
  test_identity_init (&manager, &next, SWARM_PEER_MANAGER);
  both = g_strconcat (f->ca.cert, next.cert, NULL);
  credentials = (SwarmRpcCredentials){ f->worker_id.cert, f->worker_id.key, both };
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  credentials = (SwarmRpcCredentials){ manager.cert, manager.key, next.cert };
  g_assert_true (swarm_rpc_set_credentials (f->manager.rpc, &credentials, NULL));
  assert_not_let_in (f, "was not issued by this cluster's CA", NULL);
  credentials.former_roots_pem = f->ca.cert;
  g_assert_true (swarm_rpc_set_credentials (f->manager.rpc, &credentials, NULL));
  assert_lapsed (f);
  /* Whom we call has to be of the present: the manager's own certificate of a root before is nothing to the worker. */
  credentials = (SwarmRpcCredentials){ f->worker_id.cert, f->worker_id.key, f->ca.cert, next.cert };
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  assert_not_let_in (f, NULL, "was not issued by this cluster's CA");
  test_identity_clear (&manager);
  test_ca_clear (&next);
}

/* An external CA's root is the cluster's for the second time, so that it is one of the past as well: who is under it counts in full, once the manager has
 * heard of it by the log, and before, when he shows the way from the present one. */
static void
test_root_that_returns (Fixture *f, gconstpointer unused)
{
  TestCa between;
  TestIdentity manager;
  SwarmCrypto *crypto = swarm_crypto_openssl ();

  test_ca_init (&between);
  between.cluster = f->ca.cluster;
  test_identity_init (&manager, &between, SWARM_PEER_MANAGER);
  g_autofree char *way = crypto->cross_sign (crypto, between.cert, between.key, f->ca.cert, NULL);
  g_autofree char *shown = g_strconcat (f->worker_id.cert, way, NULL), *both = g_strconcat (f->ca.cert, between.cert, NULL);
  SwarmRpcCredentials bare = { f->worker_id.cert, f->worker_id.key, both }, led = { shown, f->worker_id.key, both };
  SwarmRpcCredentials unheard = { manager.cert, manager.key, between.cert, f->ca.cert }, heard = { manager.cert, manager.key, both, f->ca.cert };

  g_assert_true (swarm_rpc_set_credentials (f->manager.rpc, &unheard, NULL));
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &bare, NULL));
  assert_let_in_as (f, SWARM_PEER_LAPSED);
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &led, NULL));
  assert_let_in_as (f, SWARM_PEER_WORKER);
  g_assert_true (swarm_rpc_set_credentials (f->manager.rpc, &heard, NULL));
  assert_let_in_as (f, SWARM_PEER_WORKER);
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &bare, NULL));
  assert_let_in_as (f, SWARM_PEER_WORKER);
  /* Not when its time is over. */
  f->manager.clock.offset = 2161 * HOUR_US;
  assert_lapsed (f);
  f->manager.clock.offset = 0;
  test_identity_clear (&manager);
  test_ca_clear (&between);
}

static void
test_expired (Fixture *f, gconstpointer unused)
{
  f->manager.clock.offset = 2161 * HOUR_US;
  assert_lapsed (f);
  test_connect (f, SWARM_LINK_CONSENSUS);
  wait_until (f->down);
  g_assert_false (f->up);
  assert_contains (f->down_error->message, "only members");
  f->manager.clock.offset = -2 * HOUR_US;
  assert_not_let_in (f, "is not valid before 2", NULL);
  f->manager.clock.offset = 0;
  f->worker.clock.offset = 2161 * HOUR_US;
  assert_not_let_in (f, NULL, "has expired (on 2");
  f->worker.clock.offset = 0;
  assert_unharmed (f);
}

/* Managers whose time is over find each other for the consensus, in both directions; nobody else does, and for nothing else. */
static void
test_expired_managers (Fixture *f, gconstpointer unused)
{
  TestIdentity other;
  const SwarmLink *link;

  test_identity_init (&other, &f->ca, SWARM_PEER_MANAGER);
  set_worker (f, &other, &f->ca);
  for (guint who = 0; who < 2; who++) {
    f->manager.clock.offset = who == 0 ? 2161 * HOUR_US : 0;
    f->worker.clock.offset = who == 1 ? 2161 * HOUR_US : 0;
    test_connect (f, SWARM_LINK_CONSENSUS);
    g_assert_true (f->up);
    wait_until (f->manager.links->len == 1);
    link = who == 0 ? f->manager.links->pdata[0] : f->link;
    g_assert_cmpint (link->peer.role, ==, SWARM_PEER_MANAGER);
    g_assert_true (link->peer.expired);
    link = who == 1 ? f->manager.links->pdata[0] : f->link;
    g_assert_false (link->peer.expired);
    swarm_link_close (f->link, NULL);
    wait_until (f->down && f->manager.links->len == 0);
  }
  assert_not_let_in (f, NULL, "has expired (on 2"); /* whom we call for anything else */
  f->worker.clock.offset = 0;
  f->manager.clock.offset = 2161 * HOUR_US;
  test_connect (f, SWARM_LINK_CONTROL);
  wait_until (f->manager.links->len == 1);
  link = f->manager.links->pdata[0];
  g_assert_cmpint (link->peer.role, ==, SWARM_PEER_LAPSED);
  g_assert_false (link->peer.expired);
  /* And not when its standing says no. */
  f->manager.standing = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "node is no member");
  test_connect (f, SWARM_LINK_CONSENSUS);
  g_assert_false (f->up);
  assert_contains (f->down_error->message, "node is no member");
  test_identity_clear (&other);
}

static void
send_proof (RawPeer *raw, const guint8 *data, gsize len)
{
  g_autoptr (GByteArray) frame = g_byte_array_new ();
  SwarmFrameHeader header = { .kind = SWARM_FRAME_CERTIFICATE };

  swarm_frame_append (frame, &header, data, len);
  swarm_conn_send_raw (raw->conn, frame->data, frame->len);
}

/* Who shows @proof, or NULL: a good one of @id, after it came in as a worker. */
static void
try_proof (Fixture *f, TestIdentity *id, GBytes *proof, guint times, const char *answer)
{
  RawPeer raw = { 0 };
  SwarmHello hello = { .protocol_min = 1, .protocol_max = 1, .cluster = f->ca.cluster, .version = "1" };
  SwarmRpcCredentials credentials = test_credentials (id, &f->ca);
  g_autoptr (SwarmTls) tls = swarm_tls_new (&credentials, swarm_cert_parse_der, NULL);
  g_autoptr (GBytes) own = NULL;

  raw_peer_connect (&raw, f, &f->worker_id);
  raw_peer_send_hello (&raw, &hello);
  wait_until (raw.have_hello);
  if (proof == NULL)
    proof = own = swarm_tls_prove (tls, swarm_conn_ssl (raw.conn));
  for (guint i = 0; i < times; i++)
    send_proof (&raw, g_bytes_get_data (proof, NULL), g_bytes_get_size (proof));
  if (answer != NULL) {
    wait_until (raw.goodbye != NULL);
    assert_contains (raw.goodbye->message, answer);
  } else {
    wait_until (g_str_equal (((SwarmLink *) f->manager.links->pdata[0])->peer.serial, id->peer.serial));
    g_assert_null (raw.goodbye);
  }
  raw_peer_clear (&raw);
  wait_until (f->manager.links->len == 0);
}

/* The next certificate is believed of the node that has its key, on the connection that it is shown on; of others nothing. */
static void
test_proofs (Fixture *f, gconstpointer unused)
{
  static const char no[] = "certificate is not believed";
  TestCa foreign;
  TestIdentity next, other, forged;
  RawPeer raw = { 0 };
  g_autoptr (GBytes) garbage = g_bytes_new_static ("\0\3abc-----BEGIN CERTIFICATE-----\n", 33), elsewhere = NULL, cut = NULL;

  test_ca_init (&foreign);
  foreign.cluster = f->ca.cluster;
  test_identity_renew (&f->worker_id, &next, &f->ca, SWARM_PEER_WORKER);
  test_identity_init (&other, &f->ca, SWARM_PEER_MANAGER);
  test_identity_renew (&f->worker_id, &forged, &foreign, SWARM_PEER_MANAGER);
  try_proof (f, &next, NULL, 1, NULL);
  try_proof (f, &next, NULL, 9, "too many certificates");
  try_proof (f, &other, NULL, 1, no);
  try_proof (f, &forged, NULL, 1, no);
  try_proof (f, &next, garbage, 1, no);
  /* Seen on another connection. */
  SwarmRpcCredentials credentials = test_credentials (&next, &f->ca);
  g_autoptr (SwarmTls) tls = swarm_tls_new (&credentials, swarm_cert_parse_der, NULL);
  raw_peer_connect (&raw, f, &f->worker_id);
  elsewhere = swarm_tls_prove (tls, swarm_conn_ssl (raw.conn));
  raw_peer_clear (&raw);
  try_proof (f, &next, elsewhere, 1, no);
  cut = g_bytes_new_from_bytes (elsewhere, 0, 60);
  try_proof (f, &next, cut, 1, no);
  assert_unharmed (f);
  test_identity_clear (&next);
  test_identity_clear (&other);
  test_identity_clear (&forged);
  test_ca_clear (&foreign);
}

static void
test_not_a_manager (Fixture *f, gconstpointer unused)
{
  SwarmTransport *transport = swarm_rpc_transport (f->manager.rpc);

  f->link = transport->dial (transport, f->worker.address, SWARM_LINK_CONTROL, &test_client_events, f);
  wait_until (f->down);
  g_assert_false (f->up);
  assert_contains (f->down_error->message, "which is not a manager");
}

/* A joiner: first without verifying, then with the root, never with a certificate. */
static void
test_joining (Fixture *f, gconstpointer unused)
{
  g_auto (TestReply) echo = { 0 }, big = { 0 };
  g_autofree char *text = g_strnfill (40000, 'x');
  TestReply kept[5] = { 0 };
  TestRead read = { 0 };
  SwarmStream *stream;
  SwarmLink *accepted;

  f->link = swarm_rpc_dial_unverified (f->worker.rpc, f->manager.address, &test_client_events, f);
  wait_until (f->up);
  g_assert_cmpint (f->link->peer.role, ==, SWARM_PEER_NONE);
  g_assert_cmpuint (f->manager.links->len, ==, 1);
  g_assert_cmpint (((SwarmLink *) f->manager.links->pdata[0])->peer.role, ==, SWARM_PEER_NONE);
  g_clear_pointer (&f->link, swarm_link_unref);
  wait_until (f->manager.links->len == 0);

  set_worker (f, NULL, &f->ca);
  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  g_assert_cmpint (f->link->peer.role, ==, SWARM_PEER_MANAGER);
  accepted = f->manager.links->pdata[0];
  g_assert_cmpint (accepted->peer.role, ==, SWARM_PEER_NONE);
  swarm_link_call (f->link, TEST_IFACE, "Echo", NULL, 0, test_reply_func, &echo);
  stream = swarm_link_open (f->link, TEST_IFACE, "Keep", NULL, test_read_func, &read);
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    swarm_link_call (f->link, TEST_IFACE, "Keep", NULL, 0, test_reply_func, &kept[i]);
  wait_until (echo.n && kept[4].n && read.over);
  g_assert_no_error (echo.error);
  g_assert_error (kept[4].error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  g_assert_error (read.error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED);
  swarm_stream_close (stream);
  g_clear_error (&read.error);
  /* What it sends is small, or it is cut. */
  swarm_link_call (f->link, TEST_IFACE, "Echo", g_variant_new ("(s)", text), 0, test_reply_func, &big);
  wait_until (f->down);
  assert_contains (f->down_error->message, "at most 32768 are taken");
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    test_reply_clear (&kept[i]);
  set_worker (f, &f->worker_id, &f->ca);
  assert_unharmed (f);
}

static void
test_joining_is_short (Fixture *f, gconstpointer unused)
{
  set_worker (f, NULL, &f->ca);
  test_connect (f, SWARM_LINK_CONTROL);
  g_assert_true (f->up);
  wait_until (f->down);
  assert_contains (f->down_error->message, "may not stay open");
}

static void
assert_closed (int fd)
{
  char byte;
  gboolean closed = FALSE;

  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  for (guint i = 0; i < 5000 && !closed; i++) {
    ssize_t n = recv (fd, &byte, 1, 0);
    closed = n == 0 || (n < 0 && errno != EAGAIN);
    test_turns (1);
  }
  g_assert_true (closed);
}

static void
test_not_tls (Fixture *f, gconstpointer unused)
{
  static const struct {
    const char *data;
    gsize len;
    const char *says;
  } inputs[] = {
    { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "does not speak TLS" },
    { "\x00\x01\x02\x03garbage garbage garbage garbage", 35, "does not speak TLS" },
    { "\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03", 11, NULL },
    { "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", 10, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++) {
    guint before = f->manager.n_refused;
    int fd = test_tcp (f->manager.address);
    g_assert_cmpint (send (fd, inputs[i].data, inputs[i].len, MSG_NOSIGNAL), ==, inputs[i].len);
    wait_until (f->manager.n_refused > before);
    if (inputs[i].says != NULL)
      assert_contains (f->manager.refused->message, inputs[i].says);
    assert_closed (fd);
    close (fd);
  }
  assert_unharmed (f);
}

/* TLS 1.2 is not spoken, whatever the certificate. */
static void
test_old_tls (Fixture *f, gconstpointer unused)
{
  SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
  SSL *ssl = SSL_new (ctx);
  int fd = test_tcp (f->manager.address);

  SSL_set_max_proto_version (ssl, TLS1_2_VERSION);
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  SSL_set_fd (ssl, fd);
  g_assert_cmpint (SSL_connect (ssl), <, 0);
  wait_until (f->manager.n_refused == 1);
  assert_contains (f->manager.refused->message, "TLS 1.3");
  SSL_free (ssl);
  SSL_CTX_free (ctx);
  close (fd);
}

static void
test_silent (Fixture *f, gconstpointer unused)
{
  int fd = test_tcp (f->manager.address);
  g_auto (RawPeer) raw = { 0 };

  wait_until (f->manager.n_refused == 1);
  assert_contains (f->manager.refused->message, "did not complete the handshake in time");
  assert_closed (fd);
  close (fd);
  /* TLS, then no Hello. */
  raw_peer_connect (&raw, f, &f->worker_id);
  wait_until (raw.broken != NULL);
  g_assert_error (raw.goodbye, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  assert_unharmed (f);
}

/* The other way round: a server that accepts and says nothing. */
static void
test_silent_server (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  int fd = swarm_socket_listen ("127.0.0.1:0", &error);
  struct sockaddr_in addr;
  socklen_t len = sizeof addr;
  g_autofree char *address = NULL;
  SwarmTransport *transport = swarm_rpc_transport (f->manager.rpc);

  getsockname (fd, (struct sockaddr *) &addr, &len);
  address = g_strdup_printf ("127.0.0.1:%u", g_ntohs (addr.sin_port));
  f->link = transport->dial (transport, address, SWARM_LINK_CONTROL, &test_client_events, f);
  wait_until (f->down);
  g_assert_error (f->down_error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  assert_contains (f->down_error->message, address);
  close (fd);
}

/* After the handshake: frames that are none. */
static void
test_bad_frames (Fixture *f, gconstpointer unused)
{
  static const struct {
    guint8 data[SWARM_FRAME_HEADER_SIZE + 8];
    gsize len;
    const char *says;
  } inputs[] = {
    { { 0x7f, 0xff, 0xff, 0xff, SWARM_FRAME_MESSAGE, 0 }, 24, "message of 2147483647 bytes" },
    { { 0, 0, 0, 4, 99 }, 28, "frame kind 99" },
    { { 0, 0, 0, 4, SWARM_FRAME_MESSAGE, 0, 0, 0, 0, 0, 0, 1, [24] = 'j', 'u', 'n', 'k' }, 28, "malformed message" },
    { { 0, 0, 0, 4, SWARM_FRAME_CREDIT, 0xff }, 28, "flags 0xff" },
    { { 0, 1, 0, 1, SWARM_FRAME_CHUNK }, 24, "chunk of 65537 bytes" },
    { { 'G', 'E', 'T', ' ', '/' }, 24, "does not speak swarm-agent's protocol" },
  };
  SwarmHello hello = test_hello (f);

  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++) {
    g_auto (RawPeer) raw = { 0 };
    raw_peer_connect (&raw, f, &f->worker_id);
    raw_peer_send_hello (&raw, &hello);
    wait_until (raw.have_hello);
    swarm_conn_send_raw (raw.conn, inputs[i].data, inputs[i].len);
    wait_until (raw.broken != NULL);
    g_assert_nonnull (raw.goodbye);
    assert_contains (raw.goodbye->message, inputs[i].says);
    wait_until (f->manager.links->len == 0);
  }
  assert_unharmed (f);
}

static void
send_frame (RawPeer *raw, SwarmFrameKind kind, guint flags, guint32 serial, GBytes *payload)
{
  SwarmFrameHeader header = { .kind = kind, .flags = flags, .serial = serial };
  gsize len = 0;
  const guint8 *data = payload != NULL ? g_bytes_get_data (payload, &len) : NULL;

  g_assert_true (swarm_conn_send (raw->conn, &header, data, len, 0));
}

static GBytes *
encode (const char *member)
{
  g_autoptr (GVariant) args = g_variant_ref_sink (g_variant_new ("()"));

  return swarm_wire_encode_call (SWARM_LINK_PATH, TEST_IFACE, member, args, 1, 1000, NULL);
}

/* Good frames at the wrong time. */
static void
test_bad_order (Fixture *f, gconstpointer unused)
{
  SwarmHello hello = test_hello (f);
  g_autoptr (GBytes) keep = encode ("Keep");
  g_autoptr (GBytes) four = g_bytes_new_static ("\xff\xff\xff\xff", 4);

  for (guint i = 0; i < 5; i++) {
    g_auto (RawPeer) raw = { 0 };
    raw_peer_connect (&raw, f, &f->worker_id);
    if (i > 0)
      raw_peer_send_hello (&raw, &hello);
    switch (i) {
    case 0: /* a call before Hello */
      send_frame (&raw, SWARM_FRAME_MESSAGE, 0, 1, keep);
      break;
    case 1:
      raw_peer_send_hello (&raw, &hello);
      break;
    case 2: /* one number for two calls */
      send_frame (&raw, SWARM_FRAME_MESSAGE, 0, 1, keep);
      send_frame (&raw, SWARM_FRAME_MESSAGE, 0, 1, keep);
      break;
    case 3: /* a call that claims to be an answer */
      send_frame (&raw, SWARM_FRAME_MESSAGE, SWARM_FRAME_REPLY, 1, keep);
      break;
    case 4: /* answers, chunks, ends and credits for what never was do no harm; number 0 does */
      send_frame (&raw, SWARM_FRAME_CHUNK, 0, 7, four);
      send_frame (&raw, SWARM_FRAME_CREDIT, 0, 7, four);
      send_frame (&raw, SWARM_FRAME_END, 0, 7, NULL);
      send_frame (&raw, SWARM_FRAME_CLOSE, 0, 7, NULL);
      send_frame (&raw, SWARM_FRAME_MESSAGE, 0, 0, keep);
      break;
    }
    wait_until (raw.broken != NULL);
    g_assert_error (raw.goodbye, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  }
  assert_unharmed (f);
}

static void
test_hello_mismatch (Fixture *f, gconstpointer unused)
{
  static const char *const says[] = { "upgrade this one first", "belongs to cluster" };

  for (guint i = 0; i < G_N_ELEMENTS (says); i++) {
    g_auto (RawPeer) raw = { 0 };
    SwarmHello hello = test_hello (f);
    raw_peer_connect (&raw, f, &f->worker_id);
    if (i == 0)
      hello.protocol_min = hello.protocol_max = 9;
    else
      hello.cluster.bytes[3] ^= 1;
    raw_peer_send_hello (&raw, &hello);
    wait_until (raw.broken != NULL);
    g_assert_nonnull (raw.goodbye);
    assert_contains (raw.goodbye->message, says[i]);
  }
  assert_unharmed (f);
}

static void
test_half_a_frame (Fixture *f, gconstpointer unused)
{
  SwarmHello hello = test_hello (f);
  g_auto (RawPeer) raw = { 0 };
  guint8 half[] = { 0, 0, 1, 0, SWARM_FRAME_MESSAGE, 0, 0, 0, 0 };

  raw_peer_connect (&raw, f, &f->worker_id);
  raw_peer_send_hello (&raw, &hello);
  wait_until (raw.have_hello);
  /* Quiet between frames is no stall. */
  test_turns (2500);
  g_assert_null (raw.broken);
  swarm_conn_send_raw (raw.conn, half, sizeof half);
  wait_until (raw.broken != NULL);
  g_assert_error (raw.goodbye, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  assert_contains (raw.goodbye->message, "in the middle of a frame");
  assert_unharmed (f);
}

static void
test_many_connections (Fixture *f, gconstpointer unused)
{
  int fds[60];
  guint most = 0;
  SwarmRpcStats stats;
  gint64 begun = g_get_monotonic_time ();

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = test_tcp (f->manager.address);
  wait_until ((swarm_rpc_get_stats (f->manager.rpc, &stats), most = MAX (most, stats.anonymous), stats.refused >= 50));
  g_assert_cmpuint (most, <=, 10);
  /* The journal is not flooded. */
  g_assert_cmpuint (f->manager.n_refused, <=, 10 * (1 + (g_get_monotonic_time () - begun) / SWARM_LOG_LIMIT_PERIOD_US));
  /* The good ones are let in again when the handshakes of the others have timed out. */
  wait_until ((swarm_rpc_get_stats (f->manager.rpc, &stats), stats.anonymous == 0));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  assert_unharmed (f);
}

/* One node, many links. */
static void
test_many_links (Fixture *f, gconstpointer unused)
{
  SwarmRpcStats stats;
  SwarmTransport *transport = swarm_rpc_transport (f->worker.rpc);
  SwarmLink *links[6];

  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    links[i] = transport->dial (transport, f->manager.address, SWARM_LINK_CONTROL, NULL, NULL);
  wait_until ((swarm_rpc_get_stats (f->worker.rpc, &stats), stats.dialled == 3 && f->manager.links->len == 3));
  test_turns (50);
  g_assert_cmpuint (f->manager.links->len, <=, 3);
  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    swarm_link_unref (links[i]);
}

/* Asks for a lot and reads nothing, from a thread with plain OpenSSL. */
static gpointer
greedy_thread (gpointer data)
{
  Fixture *f = data;
  SSL_CTX *ctx = SSL_CTX_new (TLS_client_method ());
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GBytes) big = encode ("Big");
  SwarmHello hello = test_hello (f);
  BIO *cert = BIO_new_mem_buf (f->worker_id.cert, -1);
  BIO *key = BIO_new_mem_buf (g_bytes_get_data (f->worker_id.key, NULL), g_bytes_get_size (f->worker_id.key));
  X509 *x509 = PEM_read_bio_X509 (cert, NULL, NULL, NULL);
  EVP_PKEY *pkey = PEM_read_bio_PrivateKey (key, NULL, NULL, NULL);
  int fd = test_tcp (f->manager.address), small = 4096;
  SSL *ssl;

  setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  SSL_CTX_use_certificate (ctx, x509);
  SSL_CTX_use_PrivateKey (ctx, pkey);
  ssl = SSL_new (ctx);
  SSL_set_fd (ssl, fd);
  swarm_hello_append (out, &hello, 0);
  for (guint i = 1; i < 250; i++) {
    SwarmFrameHeader header = { .kind = SWARM_FRAME_MESSAGE, .serial = i };
    swarm_frame_append (out, &header, g_bytes_get_data (big, NULL), g_bytes_get_size (big));
  }
  if (SSL_connect (ssl) == 1)
    SSL_write (ssl, out->data, out->len);
  while (f->manager.downs == 0)
    g_usleep (1000);
  SSL_free (ssl);
  close (fd);
  X509_free (x509);
  EVP_PKEY_free (pkey);
  BIO_free (cert);
  BIO_free (key);
  SSL_CTX_free (ctx);
  return NULL;
}

static void
test_does_not_read (Fixture *f, gconstpointer unused)
{
  GThread *thread = g_thread_new ("greedy", greedy_thread, f);
  gsize most = 0;

  wait_until (f->manager.links->len == 1);
  while (f->manager.downs == 0) {
    test_turn ();
    if (f->manager.links->len > 0)
      most = MAX (most, swarm_rpc_link_queued (f->manager.links->pdata[0]));
  }
  g_thread_join (thread);
  g_assert_cmpuint (most, >, 1024 * 1024);
  g_assert_cmpuint (most, <=, 4 * 1024 * 1024 + 256 * 1024);
  assert_unharmed (f);
}

static void
test_credentials_change (Fixture *f, gconstpointer unused)
{
  TestIdentity promoted;
  SwarmRpcCredentials credentials, wrong;
  g_autoptr (GError) key = NULL, cert = NULL, root = NULL;
  g_auto (TestReply) reply = { 0 };

  test_identity_renew (&f->worker_id, &promoted, &f->ca, SWARM_PEER_MANAGER);
  test_connect (f, SWARM_LINK_CONTROL);
  /* What does not fit changes nothing. */
  credentials = test_credentials (&promoted, &f->ca);
  wrong = credentials;
  wrong.key_pem = f->worker_id.key;
  g_assert_false (swarm_rpc_set_credentials (f->worker.rpc, &wrong, &key));
  assert_contains (key->message, "node key");
  wrong = credentials;
  wrong.cert_pem = "x";
  g_assert_false (swarm_rpc_set_credentials (f->worker.rpc, &wrong, &cert));
  assert_contains (cert->message, "node certificate");
  wrong = credentials;
  wrong.roots_pem = "x";
  g_assert_false (swarm_rpc_set_credentials (f->worker.rpc, &wrong, &root));
  assert_contains (root->message, "root certificate");
  /* The open link goes on, and so does the next. */
  g_assert_true (swarm_rpc_set_credentials (f->worker.rpc, &credentials, NULL));
  swarm_link_call (f->link, TEST_IFACE, "Echo", NULL, 0, test_reply_func, &reply);
  wait_until (reply.n);
  g_assert_no_error (reply.error);
  g_assert_cmpint (((SwarmLink *) f->manager.links->pdata[0])->peer.role, ==, SWARM_PEER_MANAGER);
  assert_unharmed (f);
  wait_until (f->manager.links->len == 1);
  g_assert_cmpint (((SwarmLink *) f->manager.links->pdata[0])->peer.role, ==, SWARM_PEER_MANAGER);
  /* Without any, nothing works, and it says so. */
  g_clear_pointer (&f->link, swarm_link_unref);
  swarm_rpc_forget_credentials (f->worker.rpc);
  test_connect (f, SWARM_LINK_CONTROL);
  assert_contains (f->down_error->message, "no root certificate yet");
  test_identity_clear (&promoted);
}

/* ---- good calls, too many of them ---- */

static void
count_reply (GVariant *reply, const GError *error, gpointer data)
{
  guint *counts = data; /* answered, refused */

  counts[g_error_matches (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED) ? 1 : 0]++;
  if (counts[1] == 0)
    g_assert_no_error (error);
}

static SwarmLink *
flood (Fixture *f, SwarmLinkKind kind, const char *member, guint n, GVariant *args, guint *counts)
{
  SwarmTransport *transport = swarm_rpc_transport (f->worker.rpc);
  SwarmLink *link = transport->dial (transport, f->manager.address, kind, NULL, NULL);

  wait_until (link->is_up);
  for (guint i = 0; i < n; i++)
    swarm_link_call (link, TEST_IFACE, member, args, 0, count_reply, counts);
  return link;
}

/* However many wait to be read, a turn of the loop is short: what is urgent is looked at in between. */
static void
test_flood (Fixture *f, gconstpointer unused)
{
  guint counts[2] = { 0 }, before, most = 0;
  SwarmLink *a = flood (f, SWARM_LINK_CONTROL, "Work", 200, NULL, counts), *b = flood (f, SWARM_LINK_CONTROL, "Work", 200, NULL, counts);

  while (counts[0] < 400) {
    before = f->manager.worked;
    g_main_context_iteration (NULL, TRUE);
    most = MAX (most, f->manager.worked - before);
  }
  /* 4 ms of 200 µs each for all, and one more for each. */
  g_assert_cmpuint (most, <=, 4000 / WORK_US + 2);
  swarm_link_unref (a);
  swarm_link_unref (b);
  assert_unharmed (f);
}

/* A worker's connection for heartbeats goes before the others only while it is used for that. */
static void
test_urgent_flood (Fixture *f, gconstpointer unused)
{
  guint counts[2] = { 0 };
  g_auto (TestReply) reply = { 0 };
  SwarmLink *urgent;

  test_connect (f, SWARM_LINK_CONTROL);
  urgent = flood (f, SWARM_LINK_CONSENSUS, "Work", 250, NULL, counts);
  swarm_link_call (f->link, TEST_IFACE, "Echo", NULL, 0, test_reply_func, &reply);
  wait_until (reply.n);
  g_assert_no_error (reply.error);
  g_assert_cmpuint (f->manager.worked, <, 250);
  wait_until (counts[0] == 250);
  swarm_link_unref (urgent);
}

static void
answer_kept (TestAgent *agent)
{
  while (agent->calls->len > 0)
    swarm_call_return (g_ptr_array_remove_index (agent->calls, 0), NULL);
}

/* What a node may have under way does not grow with its connections; another node has its own. */
static void
test_quota (Fixture *f, gconstpointer unused)
{
  guint counts[2] = { 0 };
  g_autofree char *text = g_strnfill (40000, 'x');
  g_autoptr (GVariant) big = g_variant_ref_sink (g_variant_new ("(s)", text));
  SwarmLink *a = flood (f, SWARM_LINK_CONTROL, "Keep", 5, NULL, counts), *b = flood (f, SWARM_LINK_CONTROL, "Keep", 5, NULL, counts);

  wait_until (counts[1] == 2);
  g_assert_cmpuint (f->manager.calls->len, ==, 8);
  answer_kept (&f->manager);
  wait_until (counts[0] == 8);
  for (guint i = 0; i < 2; i++)
    swarm_link_call (i == 0 ? a : b, TEST_IFACE, "Keep", big, 0, count_reply, counts);
  wait_until (f->manager.calls->len == 2);
  swarm_link_call (a, TEST_IFACE, "Keep", big, 0, count_reply, counts);
  wait_until (counts[1] == 3);
  g_assert_cmpuint (f->manager.calls->len, ==, 2);
  /* Calls that nobody has answered when their connection goes are counted until then, and no longer. */
  swarm_link_unref (a);
  swarm_link_unref (b);
  answer_kept (&f->manager);
  wait_until (f->manager.links->len == 0);
  a = flood (f, SWARM_LINK_CONTROL, "Keep", 8, NULL, counts);
  wait_until (f->manager.calls->len == 8);
  swarm_link_unref (a);
  answer_kept (&f->manager);
  assert_unharmed (f);
}

/* Random bytes after a good Hello, many times: always one clear end. */
static void
test_noise (Fixture *f, gconstpointer unused)
{
  SwarmHello hello = test_hello (f);

  for (guint round = 0; round < 60; round++) {
    g_auto (RawPeer) raw = { 0 };
    guint8 noise[2000];
    raw_peer_connect (&raw, f, &f->worker_id);
    raw_peer_send_hello (&raw, &hello);
    for (guint i = 0; i < sizeof noise; i++)
      noise[i] = g_test_rand_int ();
    /* Half of the rounds: a proper header before the noise. */
    if (round % 2 == 0) {
      guint8 header[SWARM_FRAME_HEADER_SIZE] = { 0, 0, 0, round, 1 + round % 7, 0, 0, 0, 0, 0, 0, 1 };
      memcpy (noise, header, sizeof header);
    }
    swarm_conn_send_raw (raw.conn, noise, sizeof noise);
    wait_until (raw.broken != NULL);
  }
  wait_until (f->manager.links->len == 0);
  assert_unharmed (f);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
    const SwarmRpcLimits *limits;
  } tests[] = {
    { "foreign", test_foreign },
    { "expired", test_expired },
    { "expired-managers", test_expired_managers },
    { "proofs", test_proofs },
    { "former-root", test_former_root },
    { "root-that-returns", test_root_that_returns },
    { "not-a-manager", test_not_a_manager },
    { "joining", test_joining },
    { "joining-is-short", test_joining_is_short, &hurried },
    { "not-tls", test_not_tls },
    { "old-tls", test_old_tls },
    { "silent", test_silent, &hurried },
    { "silent-server", test_silent_server, &hurried },
    { "bad-frames", test_bad_frames },
    { "bad-order", test_bad_order },
    { "hello-mismatch", test_hello_mismatch },
    { "half-a-frame", test_half_a_frame, &hurried },
    { "many-connections", test_many_connections, &hurried },
    { "many-links", test_many_links, &few_links },
    { "does-not-read", test_does_not_read },
    { "credentials-change", test_credentials_change },
    { "flood", test_flood },
    { "urgent-flood", test_urgent_flood },
    { "quota", test_quota, &small_quota },
    { "noise", test_noise },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/rpc-hostile/", tests[i].name, NULL);
    g_test_add (path, Fixture, tests[i].limits, test_setup, tests[i].func, test_teardown);
  }
  return g_test_run ();
}
