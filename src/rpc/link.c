// SPDX-License-Identifier: LGPL-2.1-or-later
/* A link's life: dial or accept, TLS, Hello, up, down. */
#include "config.h"
#include "rpc/private.h"
#include "base/error.h"
#include <string.h>

/* Nobody renews its certificate so often. */
#define PROOFS_MAX 8
#define PROOFS_PERIOD_US (60 * G_USEC_PER_SEC)

static void
link_clear_timers (SwarmRpcLink *self)
{
  swarm_clock_clear_timer (self->clock, &self->setup_timer);
  swarm_clock_clear_timer (self->clock, &self->deadline_timer);
}

gsize
swarm_rpc_link_message_max (SwarmRpcLink *self)
{
  return swarm_rpc_is_guest (self) ? SWARM_FRAME_JOINING_MAX : SWARM_FRAME_MESSAGE_MAX;
}

/* ---- the next turn ---- */

static void
link_report_down (SwarmRpcLink *self)
{
  g_autoptr (GError) closed = NULL;
  const SwarmLinkEvents *events;

  self->down = TRUE;
  closed = self->reason != NULL
             ? g_error_copy (self->reason)
             : g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the connection was closed");
  swarm_rpc_calls_fail_all (self, closed);
  swarm_rpc_stream_break_all (self);
  events = self->base.events;
  if (events != NULL && events->down != NULL && (self->was_up || !self->accepted))
    events->down (&self->base, self->reason, self->base.events_data);
  self->base.events = NULL;
  if (self->accepted)
    swarm_link_unref (&self->base);
}

static void
link_soon (gpointer data)
{
  SwarmRpcLink *self = data;

  self->soon = NULL;
  swarm_rpc_calls_report_refused (self);
  swarm_rpc_stream_report_ready (self);
  if (self->failed && !self->down)
    link_report_down (self);
  swarm_link_unref (&self->base);
}

void
swarm_rpc_link_soon (SwarmRpcLink *self)
{
  SwarmPriority priority = self->base.kind == SWARM_LINK_CONSENSUS ? SWARM_PRIORITY_URGENT : SWARM_PRIORITY_NORMAL;

  if (self->soon != NULL)
    return;
  swarm_link_ref (&self->base);
  self->soon = swarm_clock_timer (self->clock, 0, priority, link_soon, self);
}

/* ---- the end ---- */

static void
send_goodbye (SwarmRpcLink *self, const GError *error)
{
  g_autoptr (GBytes) payload = swarm_wire_encode_error (error, 1);
  g_autoptr (GByteArray) frame = g_byte_array_new ();
  SwarmFrameHeader header = { .kind = SWARM_FRAME_GOODBYE };
  gsize len;
  const guint8 *data = g_bytes_get_data (payload, &len);

  swarm_frame_append (frame, &header, data, len);
  swarm_conn_send_raw (self->conn, frame->data, frame->len);
}

void
swarm_rpc_link_fail (SwarmRpcLink *self, const GError *error, gboolean tell)
{
  SwarmRpc *rpc = self->rpc;

  if (self->failed)
    return;
  self->failed = TRUE;
  self->base.is_up = FALSE;
  self->reason = error != NULL ? g_error_copy (error) : NULL;
  link_clear_timers (self);
  g_clear_pointer (&self->dial, swarm_dial_cancel);
  if (self->conn != NULL && tell && error != NULL)
    send_goodbye (self, error);
  g_clear_pointer (&self->conn, swarm_conn_close);
  if (rpc != NULL) {
    swarm_rpc_forget (rpc, self);
    if (self->accepted && !self->was_up && error != NULL)
      swarm_rpc_refused (rpc, self->name, error);
  }
  self->rpc = NULL;
  swarm_rpc_link_soon (self);
}

/* The same with the address before the text, for what went wrong between the two ends. @says: it is the other end's view. */
static void
link_fail_prefixed (SwarmRpcLink *self, const GError *error, gboolean says)
{
  g_autoptr (GError) full = g_error_copy (error);

  /* `refused` has the address already. */
  if (self->was_up || !self->accepted)
    g_prefix_error (&full, says ? "%s says: " : "%s: ", self->name);
  else if (says)
    g_prefix_error (&full, "it says: ");
  swarm_rpc_link_fail (self, full, FALSE);
}

/* What we hold against the other end is told to it as it is; our own callers get the address with it. */
static void
link_accuse (SwarmRpcLink *self, const GError *error)
{
  if (self->conn != NULL)
    send_goodbye (self, error);
  link_fail_prefixed (self, error, FALSE);
}

void
swarm_rpc_link_fail_literal (SwarmRpcLink *self, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, text);

  link_accuse (self, error);
}

static void
link_free (SwarmLink *link)
{
  SwarmRpcLink *self = (SwarmRpcLink *) link;

  if (self->rpc != NULL)
    swarm_rpc_forget (self->rpc, self);
  link_clear_timers (self);
  g_clear_pointer (&self->dial, swarm_dial_cancel);
  g_clear_pointer (&self->conn, swarm_conn_close);
  g_hash_table_unref (self->pending);
  g_hash_table_unref (self->incoming);
  g_hash_table_unref (self->writers);
  g_clear_error (&self->reason);
  swarm_rpc_quota_leave (self);
  swarm_tls_unref (self->tls);
  g_free (self->name);
  g_hash_table_unref (self->quotas);
  g_free (self);
}

/* ---- sending ---- */

gboolean
swarm_rpc_link_send (SwarmRpcLink *self, SwarmFrameKind kind, guint flags, guint32 serial, guint32 deadline_ms,
                     GBytes *payload, gsize reserve)
{
  SwarmFrameHeader header = { .kind = kind, .flags = flags, .serial = serial, .deadline_ms = deadline_ms };
  gsize len = 0;
  const guint8 *data = payload != NULL ? g_bytes_get_data (payload, &len) : NULL;

  if (self->conn == NULL || self->failed)
    return FALSE;
  if (self->rpc->settings.applied_index != NULL)
    header.index = self->rpc->settings.applied_index (self->rpc->settings.data);
  return swarm_conn_send (self->conn, &header, data, len, reserve);
}

void
swarm_rpc_link_must_send (SwarmRpcLink *self, SwarmFrameKind kind, guint32 serial, GBytes *payload)
{
  if (self->failed || swarm_rpc_link_send (self, kind, 0, serial, 0, payload, SWARM_RPC_QUEUE_RESERVE))
    return;
  swarm_rpc_link_fail_literal (self, SWARM_ERROR_LIMIT_EXCEEDED, "the other end does not read what it asked for");
}

static void
send_hello (SwarmRpcLink *self)
{
  const SwarmRpcSettings *settings = &self->rpc->settings;
  g_autoptr (GByteArray) frame = g_byte_array_new ();
  SwarmHello hello = { .protocol_min = SWARM_PROTOCOL_MIN,
                       .protocol_max = SWARM_PROTOCOL_MAX,
                       .feature_level = settings->feature_level,
                       .link_kind = self->base.kind,
                       .cluster = self->tls->self.cluster,
                       .epoch = settings->epoch != NULL ? settings->epoch (settings->data) : 0 };

  g_strlcpy (hello.version, self->rpc->version, sizeof hello.version);
  swarm_hello_append (frame, &hello, settings->applied_index != NULL ? settings->applied_index (settings->data) : 0);
  swarm_conn_send_raw (self->conn, frame->data, frame->len);
}

/* ---- Hello ---- */

static gboolean
check_hello (SwarmRpcLink *self, GError **error)
{
  SwarmHello ours
    = { .protocol_min = SWARM_PROTOCOL_MIN, .protocol_max = SWARM_PROTOCOL_MAX, .cluster = self->tls->self.cluster };
  guint protocol;

  g_strlcpy (ours.version, self->rpc->version, sizeof ours.version);
  if (!swarm_hello_check (&ours, &self->hello, &protocol, error))
    return FALSE;
  if (self->accepted)
    self->base.kind = self->hello.link_kind;
  /* Managers that were all off for too long have to find a leader before any of them can be renewed; whether we know it is check_peer's business. */
  if (self->base.kind == SWARM_LINK_CONSENSUS && self->base.peer.expired && self->rpc->settings.check_peer != NULL)
    self->base.peer.role = SWARM_PEER_MANAGER;
  else
    self->base.peer.expired = FALSE;
  /* Workers send their heartbeats there; which method who may call is the tables' business. */
  if (self->base.kind == SWARM_LINK_CONSENSUS && swarm_rpc_is_guest (self)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED,
                         "only members may open a consensus connection");
    return FALSE;
  }
  return (!self->accepted || swarm_rpc_identified (self->rpc, self, error)) && swarm_rpc_check_peer (self, error);
}

static gboolean
check_epoch (SwarmRpcLink *self, GError **error)
{
  const SwarmRpcSettings *settings = &self->rpc->settings;

  return settings->check_epoch == NULL || self->base.peer.role == SWARM_PEER_NONE
         || settings->check_epoch (&self->base.peer, self->hello.epoch, settings->data, error);
}

void
swarm_rpc_link_prove (SwarmRpcLink *self)
{
  SwarmTls *now = self->rpc != NULL ? self->rpc->tls : NULL;

  if (!self->base.is_up || self->failed || now == NULL || now == self->tls || swarm_rpc_is_guest (self) || now->server == NULL || self->tls->server == NULL)
    return;
  if (!swarm_tls_same_certificate (now, self->tls)) {
    SwarmFrameHeader header = { .kind = SWARM_FRAME_CERTIFICATE };
    g_autoptr (GBytes) proof = swarm_tls_prove (now, swarm_conn_ssl (self->conn));
    g_autoptr (GByteArray) frame = g_byte_array_new ();
    gsize len;
    const guint8 *data = proof != NULL ? g_bytes_get_data (proof, &len) : NULL;
    if (data == NULL)
      return;
    swarm_frame_append (frame, &header, data, len);
    swarm_conn_send_raw (self->conn, frame->data, frame->len);
  }
  swarm_tls_unref (self->tls);
  self->tls = swarm_tls_ref (now);
}

/* The other end has renewed its certificate. One that we hold for a guest has none that lets it in, and the next does not, either. */
static void
link_certificate (SwarmRpcLink *self, const SwarmFrame *frame)
{
  gint64 now = swarm_clock_boottime (self->clock);
  g_autoptr (GError) error = NULL;
  SwarmPeer peer;

  if (self->rpc == NULL || self->rpc->tls == NULL || swarm_rpc_is_guest (self))
    return;
  if (now - self->proofs_since >= PROOFS_PERIOD_US) {
    self->proofs_since = now;
    self->proofs = 0;
  }
  if (++self->proofs > PROOFS_MAX) {
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_LIMIT_EXCEEDED, "the other end shows too many certificates");
    return;
  }
  if (!swarm_tls_take_proof (self->rpc->tls, swarm_conn_ssl (self->conn), frame->payload, swarm_clock_now (self->clock), &self->base.peer, &peer, &error)) {
    link_accuse (self, error);
    return;
  }
  self->base.peer = peer;
  if (!swarm_rpc_check_peer (self, &error))
    link_accuse (self, error);
}

static void
joining_over (gpointer data)
{
  SwarmRpcLink *self = data;

  self->setup_timer = NULL;
  swarm_rpc_link_fail_literal (self, SWARM_ERROR_TIMED_OUT,
                               "a connection without certificate may not stay open any longer");
}

static void
link_hello (SwarmRpcLink *self, const SwarmFrame *frame)
{
  g_autoptr (GError) error = NULL;

  if (!swarm_hello_parse (frame->payload, &self->hello, &error) || !check_hello (self, &error)) {
    link_accuse (self, error);
    return;
  }
  if (!check_epoch (self, &error)) {
    if (self->accepted)
      send_hello (self);
    link_accuse (self, error);
    return;
  }
  if (self->failed) /* whoever checked the peer may have cut it as well */
    return;
  self->have_hello = TRUE;
  if (self->accepted)
    send_hello (self);
  swarm_clock_clear_timer (self->clock, &self->setup_timer);
  if (swarm_rpc_is_guest (self))
    self->setup_timer = swarm_clock_timer (self->clock, self->rpc->settings.limits.joining_timeout_us,
                                           SWARM_PRIORITY_NORMAL, joining_over, self);
  swarm_conn_set_priority (self->conn, swarm_io_priority (self->base.kind));
  swarm_conn_set_message_max (self->conn, swarm_rpc_link_message_max (self));
  self->base.is_up = TRUE;
  self->was_up = TRUE;
  swarm_rpc_link_prove (self);
  if (self->base.events != NULL && self->base.events->up != NULL)
    self->base.events->up (&self->base, self->base.events_data);
}

static void
link_goodbye (SwarmRpcLink *self, const SwarmFrame *frame)
{
  g_auto (SwarmWireMessage) message = { 0 };
  g_autoptr (GError) error = NULL;

  if (swarm_wire_decode (frame->payload, &message, &error) && message.kind == SWARM_WIRE_ERROR)
    error = g_steal_pointer (&message.remote);
  else if (error == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the other end said goodbye without a reason");
  link_fail_prefixed (self, error, TRUE);
}

/* ---- the connection's events ---- */

static void
on_open (SwarmConn *conn, gpointer data)
{
  SwarmRpcLink *self = data;
  g_autoptr (GError) error = NULL;
  SwarmPeer peer;

  swarm_link_ref (&self->base);
  if (!swarm_tls_peer (self->tls, swarm_conn_ssl (conn), &peer, &error)) {
    link_accuse (self, error);
  } else {
    memcpy (peer.address, self->base.peer.address, sizeof peer.address);
    self->base.peer = peer;
    if (!self->accepted)
      send_hello (self);
  }
  swarm_link_unref (&self->base);
}

static void
link_frame (SwarmRpcLink *self, const SwarmFrame *frame)
{
  if (frame->header.kind == SWARM_FRAME_GOODBYE) {
    link_goodbye (self, frame);
  } else if ((frame->header.kind == SWARM_FRAME_HELLO) == self->have_hello) {
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_INVALID_ARGUMENT,
                                 self->have_hello ? "the other end says Hello twice"
                                                  : "the other end does not begin with Hello");
  } else if (frame->header.kind == SWARM_FRAME_HELLO) {
    link_hello (self, frame);
  } else if (frame->header.kind == SWARM_FRAME_CERTIFICATE) {
    link_certificate (self, frame);
  } else if (frame->header.kind == SWARM_FRAME_MESSAGE) {
    swarm_rpc_call_message (self, frame);
  } else {
    swarm_rpc_stream_frame (self, frame);
  }
}

/* Connections for heartbeats go before all others: whoever uses one for more holds up nobody. */
static void
link_count_urgent (SwarmRpcLink *self)
{
  gint64 now;

  if (self->base.kind != SWARM_LINK_CONSENSUS || self->base.peer.role != SWARM_PEER_WORKER || self->urgent_frames > SWARM_RPC_URGENT_FRAMES)
    return;
  now = swarm_clock_boottime (self->clock);
  if (now - self->urgent_since >= G_USEC_PER_SEC) {
    self->urgent_since = now;
    self->urgent_frames = 0;
  }
  if (++self->urgent_frames > SWARM_RPC_URGENT_FRAMES)
    swarm_conn_set_priority (self->conn, swarm_io_priority (SWARM_LINK_CONTROL));
}

static void
on_frame (SwarmConn *conn, const SwarmFrame *frame, gpointer data)
{
  SwarmRpcLink *self = data;

  swarm_link_ref (&self->base);
  self->base.peer_index = MAX (self->base.peer_index, frame->header.index);
  link_count_urgent (self);
  link_frame (self, frame);
  swarm_link_unref (&self->base);
}

static void
on_drained (SwarmConn *conn, gpointer data)
{
  swarm_rpc_stream_pump (data);
}

static void
on_broken (SwarmConn *conn, const GError *error, gpointer data)
{
  link_accuse (data, error);
}

static void
handshake_timed_out (gpointer data)
{
  SwarmRpcLink *self = data;

  self->setup_timer = NULL;
  swarm_rpc_link_fail_literal (self, SWARM_ERROR_TIMED_OUT, "the other end did not complete the handshake in time");
}

static void
link_start (SwarmRpcLink *self, int fd, const char *peer_name)
{
  static const SwarmConnEvents events = { on_open, on_frame, on_drained, on_broken };
  const SwarmRpcLimits *limits = &self->rpc->settings.limits;
  SwarmConnLimits conn_limits = { limits->stall_timeout_us, limits->queue_bytes, self->base.kind == SWARM_LINK_CONSENSUS };

  g_strlcpy (self->base.peer.address, peer_name, sizeof self->base.peer.address);
  self->conn = swarm_conn_new (self->rpc->pool, fd, self->tls, self->accepted, swarm_io_priority (self->base.kind),
                               &conn_limits, &events, self);
  self->setup_timer
    = swarm_clock_timer (self->clock, limits->handshake_timeout_us, SWARM_PRIORITY_NORMAL, handshake_timed_out, self);
}

static void
on_dialled (int fd, const char *peer_name, const GError *error, gpointer data)
{
  SwarmRpcLink *self = data;

  self->dial = NULL;
  if (error != NULL)
    swarm_rpc_link_fail (self, error, FALSE);
  else
    link_start (self, fd, peer_name);
}

/* ---- the face ---- */

static void
link_call (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
           SwarmReplyFunc func, gpointer data)
{
  SwarmRpcPending *pending = g_new0 (SwarmRpcPending, 1);

  pending->func = func;
  pending->data = data;
  swarm_rpc_call_start ((SwarmRpcLink *) link, pending, path, iface, member, args, timeout_us);
}

static gboolean
link_send (SwarmLink *link, const char *iface, const char *member, GVariant *args)
{
  return swarm_rpc_call_send ((SwarmRpcLink *) link, iface, member, args);
}

static SwarmStream *
link_open (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args,
           SwarmStreamFunc func, gpointer data)
{
  return swarm_rpc_stream_open ((SwarmRpcLink *) link, path, iface, member, args, func, data);
}

static void
link_close (SwarmLink *link, const GError *reason)
{
  swarm_rpc_link_fail ((SwarmRpcLink *) link, reason, TRUE);
}

static SwarmRpcLink *
link_new (SwarmRpc *rpc, SwarmTls *tls, const char *name)
{
  static const SwarmLinkOps ops = { link_call, link_send, link_open, link_close, link_free };
  SwarmRpcLink *self = g_new0 (SwarmRpcLink, 1);

  self->base.ops = &ops;
  self->base.ref_count = 1;
  self->rpc = rpc;
  self->clock = rpc->settings.clock;
  self->tls = swarm_tls_ref (tls);
  self->name = g_strdup (name);
  self->pending = g_hash_table_new (NULL, NULL);
  self->incoming = g_hash_table_new (NULL, NULL);
  self->writers = g_hash_table_new (NULL, NULL);
  self->quotas = g_hash_table_ref (rpc->quotas);
  g_hash_table_add (rpc->links, self);
  return self;
}

SwarmRpcLink *
swarm_rpc_link_dial (SwarmRpc *rpc, SwarmTls *tls, const char *address, SwarmLinkKind kind,
                     const SwarmLinkEvents *events, gpointer data)
{
  SwarmRpcLink *self = link_new (rpc, tls, address);

  self->base.kind = kind;
  swarm_link_set_events (&self->base, events, data);
  self->dial = swarm_dial_start (address, self->clock, rpc->settings.limits.connect_timeout_us,
                                 swarm_io_priority (kind), on_dialled, self);
  return self;
}

SwarmRpcLink *
swarm_rpc_link_accept (SwarmRpc *rpc, SwarmTls *tls, int fd, const char *address)
{
  SwarmRpcLink *self = link_new (rpc, tls, address);

  self->accepted = TRUE;
  swarm_link_set_events (&self->base, rpc->settings.accept_events, rpc->settings.data);
  link_start (self, fd, address);
  return self;
}

const SwarmHello *
swarm_rpc_link_hello (SwarmLink *link)
{
  SwarmRpcLink *self = (SwarmRpcLink *) link;

  return self->have_hello ? &self->hello : NULL;
}

gsize
swarm_rpc_link_queued (SwarmLink *link)
{
  SwarmRpcLink *self = (SwarmRpcLink *) link;

  return self->conn != NULL ? swarm_conn_queued (self->conn) : 0;
}
