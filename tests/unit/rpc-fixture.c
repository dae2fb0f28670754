// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rpc-fixture.h"

void
test_turn (void)
{
  if (!g_main_context_iteration (NULL, FALSE))
    g_usleep (200);
}

void
test_turns (guint ms)
{
  gint64 until = g_get_monotonic_time () + ms * MS;

  for (guint turns = 0; g_get_monotonic_time () < until || turns < ms; turns++)
    test_turn ();
}

/* ---- clock ---- */

static gint64
clock_now (SwarmClock *self)
{
  return g_get_real_time () + ((TestClock *) self)->offset;
}

static gint64
clock_boottime (SwarmClock *self)
{
  return swarm_clock_boottime (swarm_clock_glib ());
}

static SwarmTimer *
clock_timer (SwarmClock *self, gint64 delay_us, SwarmPriority priority, SwarmTimerFunc func, gpointer data)
{
  return swarm_clock_timer (swarm_clock_glib (), delay_us, priority, func, data);
}

static void
clock_cancel (SwarmClock *self, SwarmTimer *timer)
{
  swarm_clock_clear_timer (swarm_clock_glib (), &timer);
}

static const SwarmClockOps clock_ops = { clock_now, clock_boottime, clock_timer, clock_cancel };

/* ---- certificates ---- */

static SwarmAuthority
authority (void)
{
  return (SwarmAuthority){ swarm_crypto_openssl (), swarm_clock_glib (), swarm_random_system () };
}

void
test_ca_init (TestCa *ca)
{
  SwarmAuthority self = authority ();

  ca->cluster = swarm_random_id (swarm_random_system ());
  g_assert_true (swarm_authority_create (&self, &ca->cert, &ca->key, &ca->worker_token, &ca->manager_token, NULL));
}

void
test_ca_clear (TestCa *ca)
{
  g_free (ca->cert);
  g_free (ca->worker_token);
  g_free (ca->manager_token);
  g_bytes_unref (ca->key);
}

static void
identity_init (TestIdentity *id, TestCa *ca, SwarmPeerRole role, const SwarmId *node)
{
  SwarmAuthority self = authority ();
  SwarmAuthorityState state = { .cluster = ca->cluster, .root_cert_pem = ca->cert, .root_key_pem = ca->key };
  g_autofree char *csr = NULL;
  SwarmIssued issued;

  id->key = swarm_cert_create_key (NULL);
  csr = swarm_cert_create_csr (id->key, NULL);
  g_assert_true (swarm_authority_issue (&self, &state, node, role, csr, &issued, NULL));
  id->cert = issued.cert_pem;
  id->peer = issued.info.peer;
}

void
test_identity_init (TestIdentity *id, TestCa *ca, SwarmPeerRole role)
{
  SwarmId node = swarm_random_id (swarm_random_system ());

  identity_init (id, ca, role, &node);
}

void
test_identity_renew (TestIdentity *id, TestIdentity *ret, TestCa *ca, SwarmPeerRole role)
{
  identity_init (ret, ca, role, &id->peer.node);
}

void
test_identity_clear (TestIdentity *id)
{
  g_free (id->cert);
  g_bytes_unref (id->key);
}

SwarmRpcCredentials
test_credentials (TestIdentity *id, TestCa *ca)
{
  return (SwarmRpcCredentials){ id != NULL ? id->cert : NULL, id != NULL ? id->key : NULL, ca->cert };
}

/* ---- an agent ---- */

static void
accepted_up (SwarmLink *link, gpointer data)
{
  TestAgent *agent = data;

  g_ptr_array_add (agent->links, swarm_link_ref (link));
}

static void
accepted_down (SwarmLink *link, const GError *error, gpointer data)
{
  TestAgent *agent = data;

  agent->downs++;
  g_ptr_array_remove (agent->links, link);
}

static void
write_more (SwarmStream *stream, gpointer data)
{
  TestAgent *agent = data;
  guint8 piece[40000];

  agent->ready++;
  if (stream->broken) {
    swarm_stream_end (stream, NULL);
    agent->writer = NULL;
    return;
  }
  while (agent->written < agent->to_write) {
    gsize len = MIN (agent->to_write - agent->written, sizeof piece);
    g_autoptr (GBytes) chunk = NULL;
    for (gsize i = 0; i < len; i++)
      piece[i] = (guint8) (agent->written + i);
    chunk = g_bytes_new (piece, len);
    agent->written += len;
    if (!swarm_stream_write (stream, chunk))
      return;
  }
  swarm_stream_end (stream, NULL);
  agent->writer = NULL;
}

static void
serve_stream (TestAgent *agent, SwarmCall *call)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "broken on purpose");
  guint64 n;

  if (g_str_equal (call->member, "Break")) {
    g_autoptr (GBytes) chunk = g_bytes_new_static ("some", 4);
    SwarmStream *stream = swarm_call_stream (call, write_more, agent);
    swarm_stream_write (stream, chunk);
    swarm_stream_end (stream, error);
    return;
  }
  g_variant_get (call->args, "(t)", &n);
  agent->to_write = n;
  agent->written = 0;
  agent->writer = swarm_call_stream (call, write_more, agent);
  if (agent->writer == NULL)
    swarm_call_fail (call, error);
}

static void
serve_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  TestAgent *agent = data;
  g_autoptr (GError) error = NULL;

  if (g_str_equal (call->member, "Echo")) {
    swarm_call_return (call, call->args);
  } else if (g_str_equal (call->member, "Where")) {
    swarm_call_return (call, g_variant_new ("(s)", call->path));
  } else if (g_str_equal (call->member, "Big")) {
    g_autofree char *text = g_strnfill (1024 * 1024, 'x');
    swarm_call_return (call, g_variant_new ("(s)", text));
  } else if (g_str_equal (call->member, "Huge")) {
    g_autofree char *text = g_strnfill (3 * 1024 * 1024, 'x');
    swarm_call_return (call, g_variant_new ("(s)", text));
  } else if (g_str_equal (call->member, "Work")) {
    for (gint64 since = g_get_monotonic_time (); g_get_monotonic_time () - since < WORK_US;)
      ;
    agent->worked++;
    swarm_call_return (call, NULL);
  } else if (g_str_equal (call->member, "OneWay")) {
    agent->one_way += call->one_way;
    swarm_call_return (call, NULL);
  } else if (g_str_equal (call->member, "Keep")) {
    g_ptr_array_add (agent->calls, call);
  } else if (g_str_equal (call->member, "Bulk") || g_str_equal (call->member, "Break")) {
    serve_stream (agent, call);
  } else if (g_str_equal (call->member, "Deny")) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "not for you");
    swarm_call_fail (call, error);
  } else {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "no such method: %s", call->member);
    swarm_call_fail (call, error);
  }
}

static gboolean
check_peer (const SwarmPeer *peer, SwarmLinkKind kind, gboolean accepted, gpointer data, GError **error)
{
  TestAgent *agent = data;

  if (agent->standing == NULL)
    return TRUE;
  *error = g_error_copy (agent->standing);
  return FALSE;
}

static void
refused (const char *address, const GError *error, guint suppressed, gpointer data)
{
  TestAgent *agent = data;

  g_clear_error (&agent->refused);
  agent->refused = g_error_copy (error);
  agent->n_refused++;
  g_test_message ("refused %s: %s", address, error->message);
}

static void
call_refused (const SwarmPeer *peer, const char *member, const GError *error, guint suppressed, gpointer data)
{
  TestAgent *agent = data;

  g_free (agent->denied);
  agent->denied = g_strdup_printf ("%s: %s", member, error->message);
  agent->denied_node = peer->node;
  agent->n_denied++;
  agent->suppressed += suppressed;
}

static guint64
applied_index (gpointer data)
{
  return ((TestAgent *) data)->index;
}

void
test_agent_init (TestAgent *agent, TestIdentity *id, TestCa *ca, const SwarmRpcLimits *limits)
{
  static const SwarmLinkEvents events = { accepted_up, accepted_down, serve_call };
  SwarmRpcSettings settings = { .clock = &agent->clock.base,
                                .identify = swarm_cert_parse_der,
                                .feature_level = 3,
                                .version = "0.1.0-test",
                                .accept_events = &events,
                                .check_peer = check_peer,
                                .applied_index = applied_index,
                                .refused = refused,
                                .call_refused = call_refused,
                                .data = agent };
  SwarmRpcCredentials credentials = test_credentials (id, ca);
  g_autoptr (GError) error = NULL;

  agent->clock.base.ops = &clock_ops;
  if (limits != NULL)
    settings.limits = *limits;
  agent->rpc = swarm_rpc_new (&settings);
  agent->links = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  agent->calls = g_ptr_array_new ();
  g_assert_true (swarm_rpc_set_credentials (agent->rpc, &credentials, &error));
  g_assert_no_error (error);
  g_assert_true (swarm_rpc_listen (agent->rpc, "127.0.0.1:0", &agent->address, &error));
  g_assert_no_error (error);
}

void
test_agent_clear (TestAgent *agent)
{
  g_clear_pointer (&agent->rpc, swarm_rpc_free);
  test_turns (5);
  while (agent->calls->len > 0)
    swarm_call_return (g_ptr_array_remove_index (agent->calls, 0), NULL);
  if (agent->writer != NULL)
    swarm_stream_end (agent->writer, NULL);
  test_turns (5);
  g_ptr_array_unref (agent->links);
  g_ptr_array_unref (agent->calls);
  g_clear_error (&agent->refused);
  g_free (agent->denied);
  g_clear_error (&agent->standing);
  g_free (agent->address);
}

/* ---- both ---- */

static void
client_up (SwarmLink *link, gpointer data)
{
  ((Fixture *) data)->up = TRUE;
}

static void
client_down (SwarmLink *link, const GError *error, gpointer data)
{
  Fixture *f = data;

  g_assert_false (f->down);
  f->down = TRUE;
  f->down_error = error != NULL ? g_error_copy (error) : NULL;
  if (error != NULL)
    g_test_message ("down: %s", error->message);
}

static void
client_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  serve_call (link, call, &((Fixture *) data)->worker);
}

const SwarmLinkEvents test_client_events = { client_up, client_down, client_call };

void
test_setup (Fixture *f, gconstpointer limits)
{
  test_ca_init (&f->ca);
  test_identity_init (&f->manager_id, &f->ca, SWARM_PEER_MANAGER);
  test_identity_init (&f->worker_id, &f->ca, SWARM_PEER_WORKER);
  test_agent_init (&f->manager, &f->manager_id, &f->ca, limits);
  test_agent_init (&f->worker, &f->worker_id, &f->ca, NULL);
}

void
test_teardown (Fixture *f, gconstpointer unused)
{
  g_clear_pointer (&f->link, swarm_link_unref);
  test_agent_clear (&f->worker);
  test_agent_clear (&f->manager);
  test_identity_clear (&f->manager_id);
  test_identity_clear (&f->worker_id);
  test_ca_clear (&f->ca);
  g_clear_error (&f->down_error);
  test_turns (5);
}

void
test_connect (Fixture *f, SwarmLinkKind kind)
{
  SwarmTransport *transport = swarm_rpc_transport (f->worker.rpc);

  g_clear_pointer (&f->link, swarm_link_unref);
  g_clear_error (&f->down_error);
  f->up = f->down = FALSE;
  f->link = transport->dial (transport, f->manager.address, kind, &test_client_events, f);
  wait_until (f->up || f->down);
}

void
test_reply_func (GVariant *reply, const GError *error, gpointer data)
{
  TestReply *self = data;

  g_assert_true ((reply == NULL) != (error == NULL));
  self->n++;
  self->reply = reply != NULL ? g_variant_ref (reply) : NULL;
  self->error = error != NULL ? g_error_copy (error) : NULL;
}

void
test_reply_clear (TestReply *reply)
{
  g_clear_pointer (&reply->reply, g_variant_unref);
  g_clear_error (&reply->error);
  reply->n = 0;
}

void
test_read_func (GBytes *chunk, const GError *error, gpointer data)
{
  TestRead *self = data;

  g_assert_false (self->over);
  if (chunk == NULL) {
    self->over = TRUE;
    self->error = error != NULL ? g_error_copy (error) : NULL;
    return;
  }
  for (gsize i = 0; i < g_bytes_get_size (chunk); i++)
    self->sum += ((const guint8 *) g_bytes_get_data (chunk, NULL))[i] ^ (guint8) (self->bytes + i);
  self->bytes += g_bytes_get_size (chunk);
  self->largest = MAX (self->largest, g_bytes_get_size (chunk));
  self->chunks++;
}

/* ---- a peer that is none ---- */

static void
raw_open (SwarmConn *conn, gpointer data)
{
  ((RawPeer *) data)->open = TRUE;
}

static void
raw_frame (SwarmConn *conn, const SwarmFrame *frame, gpointer data)
{
  RawPeer *raw = data;
  g_auto (SwarmWireMessage) message = { 0 };

  if (frame->header.kind == SWARM_FRAME_HELLO)
    raw->have_hello = TRUE;
  if (frame->header.kind != SWARM_FRAME_GOODBYE)
    return;
  g_assert_true (swarm_wire_decode (frame->payload, &message, NULL));
  raw->goodbye = g_steal_pointer (&message.remote);
}

static void
raw_drained (SwarmConn *conn, gpointer data)
{
}

static void
raw_broken (SwarmConn *conn, const GError *error, gpointer data)
{
  RawPeer *raw = data;

  raw->broken = g_error_copy (error);
  raw->conn = NULL;
  swarm_conn_close (conn);
}

int
test_tcp (const char *address)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (address, 0, NULL);
  struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { g_htonl (INADDR_LOOPBACK) } };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  addr.sin_port = g_htons (g_network_address_get_port (G_NETWORK_ADDRESS (parsed)));
  g_assert_cmpint (connect (fd, (struct sockaddr *) &addr, sizeof addr), ==, 0);
  return fd;
}

void
raw_peer_connect (RawPeer *raw, Fixture *f, TestIdentity *id)
{
  static const SwarmConnEvents events = { raw_open, raw_frame, raw_drained, raw_broken };
  static const SwarmConnLimits limits = { 30 * G_USEC_PER_SEC, 64 * 1024 * 1024 };
  SwarmRpcCredentials credentials = test_credentials (id, &f->ca);
  SwarmTls *tls = swarm_tls_new (&credentials, swarm_cert_parse_der, NULL);
  int fd = test_tcp (f->manager.address);

  g_assert_nonnull (tls);
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  raw->pool = swarm_conn_pool_new (swarm_clock_glib ());
  raw->conn = swarm_conn_new (raw->pool, fd, tls, FALSE, G_PRIORITY_DEFAULT, &limits, &events, raw);
  swarm_tls_unref (tls);
  wait_until (raw->open || raw->broken != NULL);
}

void
raw_peer_send_hello (RawPeer *raw, const SwarmHello *hello)
{
  g_autoptr (GByteArray) frame = g_byte_array_new ();

  swarm_hello_append (frame, hello, 0);
  swarm_conn_send_raw (raw->conn, frame->data, frame->len);
}

void
raw_peer_clear (RawPeer *raw)
{
  g_clear_pointer (&raw->conn, swarm_conn_close);
  g_clear_pointer (&raw->pool, swarm_conn_pool_unref);
  g_clear_error (&raw->goodbye);
  g_clear_error (&raw->broken);
}

SwarmHello
test_hello (Fixture *f)
{
  return (SwarmHello){ .protocol_min = 1, .protocol_max = 1, .cluster = f->ca.cluster, .version = "raw" };
}
