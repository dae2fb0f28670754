// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls over a link, in both directions. */
#include "config.h"
#include "rpc/private.h"
#include "base/error.h"

/* For callers that name no timeout of their own: nobody waits for ever. */
#define DEFAULT_TIMEOUT_US (60 * G_USEC_PER_SEC)
#define TIMEOUT_MAX_US (G_GINT64_CONSTANT (24) * 3600 * G_USEC_PER_SEC)

/* A call of the other end that waits for its answer. */
typedef struct {
  SwarmCall base;
  guint32 serial;
  gsize bytes; /* of its message */
  gboolean wants_stream;
  gboolean reader_left;
  guint32 credit; /* chunks that the caller takes already */
  SwarmWireMessage message;
} SwarmRpcCall;

/* ---- own calls ---- */

void
swarm_rpc_pending_free (SwarmRpcPending *pending)
{
  g_clear_error (&pending->error);
  g_free (pending);
}

void
swarm_rpc_pending_report (SwarmRpcPending *pending, GVariant *reply, const GError *error)
{
  if (pending->reader != NULL)
    swarm_rpc_reader_finish (pending->reader, error);
  else
    pending->func (reply, error, pending->data);
  swarm_rpc_pending_free (pending);
}

void
swarm_rpc_calls_report_refused (SwarmRpcLink *self)
{
  /* What a callback starts anew and is refused waits for the next turn. */
  for (guint n = g_queue_get_length (&self->refused); n > 0 && !g_queue_is_empty (&self->refused); n--) {
    SwarmRpcPending *pending = g_queue_pop_head (&self->refused);
    g_autoptr (GError) error = g_steal_pointer (&pending->error);
    swarm_rpc_pending_report (pending, NULL, error);
  }
  if (!g_queue_is_empty (&self->refused))
    swarm_rpc_link_soon (self);
}

void
swarm_rpc_calls_fail_all (SwarmRpcLink *self, const GError *error)
{
  g_autoptr (GHashTable) pending = g_steal_pointer (&self->pending);
  GHashTableIter iter;
  gpointer value;

  self->pending = g_hash_table_new (NULL, NULL);
  g_hash_table_iter_init (&iter, pending);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    swarm_rpc_pending_report (value, NULL, error);
}

static void call_deadline (gpointer data);

/* One timer per link, for the earliest deadline: it is left to run when that call is answered. */
static void
arm_deadline (SwarmRpcLink *self, gint64 deadline_us)
{
  gint64 delay;

  if (self->deadline_timer != NULL && self->deadline_at <= deadline_us)
    return;
  swarm_clock_clear_timer (self->clock, &self->deadline_timer);
  self->deadline_at = deadline_us;
  delay = MAX (deadline_us - swarm_clock_boottime (self->clock), 0);
  self->deadline_timer = swarm_clock_timer (self->clock, delay, SWARM_PRIORITY_NORMAL, call_deadline, self);
}

static void
call_deadline (gpointer data)
{
  SwarmRpcLink *self = data;
  gint64 now = swarm_clock_boottime (self->clock), next = G_MAXINT64;
  g_autoptr (GPtrArray) expired = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  self->deadline_timer = NULL;
  g_hash_table_iter_init (&iter, self->pending);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    SwarmRpcPending *pending = value;
    if (pending->deadline_us == 0)
      continue;
    if (pending->deadline_us <= now) {
      g_ptr_array_add (expired, pending);
      g_hash_table_iter_remove (&iter);
    } else {
      next = MIN (next, pending->deadline_us);
    }
  }
  if (next != G_MAXINT64)
    arm_deadline (self, next);
  if (expired->len == 0)
    return;
  swarm_link_ref (&self->base);
  for (guint i = 0; i < expired->len; i++) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "%s: no answer in time", self->name);
    swarm_rpc_pending_report (g_ptr_array_index (expired, i), NULL, error);
  }
  swarm_link_unref (&self->base);
}

static guint32
next_serial (SwarmRpcLink *self)
{
  do
    self->last_serial++;
  while (self->last_serial == 0 || g_hash_table_contains (self->pending, GUINT_TO_POINTER (self->last_serial)));
  return self->last_serial;
}

/* NULL with an error when the call cannot be made now. */
static GBytes *
prepare (SwarmRpcLink *self, const char *path, const char *iface, const char *member, GVariant *args, guint32 serial,
         GError **error)
{
  if (!self->base.is_up || self->failed) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "%s: the connection is down", self->name);
    return NULL;
  }
  return swarm_wire_encode_call (path, iface, member, args, serial, swarm_rpc_link_message_max (self), error);
}

static guint
count_streams (SwarmRpcLink *self)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->pending);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    n += ((SwarmRpcPending *) value)->reader != NULL;
  return n;
}

static gboolean
check_room (SwarmRpcLink *self, SwarmRpcPending *pending, GError **error)
{
  const SwarmRpcLimits *limits = &self->rpc->settings.limits;
  guint streams = count_streams (self), calls = g_hash_table_size (self->pending) - streams;

  if (pending->reader != NULL ? streams < limits->streams : calls < limits->calls)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%s: too many %s under way (%u)", self->name,
               pending->reader != NULL ? "streams" : "calls", pending->reader != NULL ? streams : calls);
  return FALSE;
}

static gboolean
start_call (SwarmRpcLink *self, SwarmRpcPending *pending, const char *path, const char *iface, const char *member,
            GVariant *args, gint64 timeout_us, GError **error)
{
  guint flags = pending->reader != NULL ? SWARM_FRAME_STREAM : 0;
  g_autoptr (GBytes) payload = NULL;

  pending->serial = next_serial (self);
  payload = prepare (self, path, iface, member, args, pending->serial, error);
  if (payload == NULL || !check_room (self, pending, error))
    return FALSE;
  if (!swarm_rpc_link_send (self, SWARM_FRAME_MESSAGE, flags, pending->serial, (timeout_us + 999) / 1000, payload, 0)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%s: too much waits to be sent", self->name);
    return FALSE;
  }
  g_hash_table_insert (self->pending, GUINT_TO_POINTER (pending->serial), pending);
  if (timeout_us > 0) {
    pending->deadline_us = swarm_clock_boottime (self->clock) + timeout_us;
    arm_deadline (self, pending->deadline_us);
  }
  return TRUE;
}

void
swarm_rpc_call_start (SwarmRpcLink *self, SwarmRpcPending *pending, const char *path, const char *iface,
                      const char *member, GVariant *args, gint64 timeout_us)
{
  /* A stream may last: only the link's end ends it. */
  if (pending->reader != NULL)
    timeout_us = 0;
  else if (timeout_us <= 0)
    timeout_us = DEFAULT_TIMEOUT_US;
  if (start_call (self, pending, path, iface, member, args, MIN (timeout_us, TIMEOUT_MAX_US), &pending->error))
    return;
  g_queue_push_tail (&self->refused, pending);
  swarm_rpc_link_soon (self);
}

gboolean
swarm_rpc_call_send (SwarmRpcLink *self, const char *iface, const char *member, GVariant *args)
{
  g_autoptr (GBytes) payload = prepare (self, SWARM_LINK_PATH, iface, member, args, 1, NULL);

  return payload != NULL && swarm_rpc_link_send (self, SWARM_FRAME_MESSAGE, SWARM_FRAME_ONE_WAY, 0, 0, payload, 0);
}

static void
receive_answer (SwarmRpcLink *self, const SwarmFrame *frame, SwarmWireMessage *message)
{
  SwarmRpcPending *pending = g_hash_table_lookup (self->pending, GUINT_TO_POINTER (frame->header.serial));
  g_autoptr (GError) error = NULL;

  /* Too late: the caller has given up. */
  if (pending == NULL)
    return;
  g_hash_table_remove (self->pending, GUINT_TO_POINTER (frame->header.serial));
  if (message->kind == SWARM_WIRE_ERROR)
    error = g_steal_pointer (&message->remote);
  else if (pending->reader != NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "the other end does not answer with a stream");
  swarm_rpc_pending_report (pending, error == NULL ? message->args : NULL, error);
}

/* ---- the other end's calls ---- */

/* The call is answered or handed over to a stream; only the caller's own use of it remains. */
static void
call_free (SwarmRpcCall *call)
{
  SwarmRpcLink *link = (SwarmRpcLink *) call->base.link;

  if (!call->base.one_way && g_hash_table_lookup (link->incoming, GUINT_TO_POINTER (call->serial)) == call) {
    g_hash_table_remove (link->incoming, GUINT_TO_POINTER (call->serial));
    link->incoming_streams -= call->wants_stream;
  }
  if (link->quota != NULL) {
    link->quota->calls--;
    link->quota->bytes -= call->bytes;
  }
  swarm_wire_message_clear (&call->message);
  swarm_link_unref (&link->base);
  g_free (call);
}

static void
send_error (SwarmRpcLink *self, guint32 serial, const GError *error)
{
  g_autoptr (GBytes) payload = swarm_wire_encode_error (error, serial);

  if (!self->failed
      && !swarm_rpc_link_send (self, SWARM_FRAME_MESSAGE, SWARM_FRAME_REPLY, serial, 0, payload,
                               SWARM_RPC_QUEUE_RESERVE))
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_LIMIT_EXCEEDED, "the other end calls without reading the answers");
}

static void
send_answer (SwarmRpcLink *self, guint32 serial, GVariant *value)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) payload = swarm_wire_encode_reply (value, serial, swarm_rpc_link_message_max (self), &error);

  if (payload != NULL && swarm_rpc_link_send (self, SWARM_FRAME_MESSAGE, SWARM_FRAME_REPLY, serial, 0, payload, 0))
    return;
  if (error == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many answers wait to be read");
  send_error (self, serial, error);
}

static void
call_reply (SwarmCall *base, GVariant *value, const GError *error)
{
  SwarmRpcCall *call = (SwarmRpcCall *) base;
  SwarmRpcLink *link = (SwarmRpcLink *) base->link;
  g_autoptr (GError) no_stream = NULL;
  gboolean late = base->deadline_us != 0 && swarm_clock_boottime (link->clock) > base->deadline_us;

  if (error == NULL && call->wants_stream) {
    no_stream = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "%s does not answer with a stream", base->member);
    error = no_stream;
  }
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED))
    swarm_rpc_call_refused (link, base->member, error);
  if (!base->one_way && !late && !link->failed && !call->reader_left) {
    if (error != NULL)
      send_error (link, call->serial, error);
    else
      send_answer (link, call->serial, value);
  }
  call_free (call);
}

static SwarmStream *
call_stream (SwarmCall *base, SwarmStreamReadyFunc ready, gpointer data)
{
  SwarmRpcCall *call = (SwarmRpcCall *) base;
  SwarmRpcLink *link = (SwarmRpcLink *) base->link;
  SwarmStream *stream;

  if (!call->wants_stream)
    return NULL;
  stream = swarm_rpc_writer_new (link, call->serial, call->credit, call->reader_left || link->failed, ready, data);
  call_free (call);
  return stream;
}

gboolean
swarm_rpc_call_credit (SwarmRpcLink *self, guint32 serial, guint32 credit)
{
  SwarmRpcCall *call = g_hash_table_lookup (self->incoming, GUINT_TO_POINTER (serial));

  if (call != NULL)
    call->credit = MIN (call->credit + MIN (credit, SWARM_RPC_STREAM_WINDOW), SWARM_RPC_STREAM_WINDOW);
  return call != NULL;
}

gboolean
swarm_rpc_call_reader_left (SwarmRpcLink *self, guint32 serial)
{
  SwarmRpcCall *call = g_hash_table_lookup (self->incoming, GUINT_TO_POINTER (serial));

  if (call != NULL)
    call->reader_left = TRUE;
  return call != NULL;
}

static SwarmRpcCall *
call_new (SwarmRpcLink *self, const SwarmFrame *frame, SwarmWireMessage *message)
{
  static const SwarmCallOps ops = { call_reply, call_stream };
  SwarmRpcCall *call = g_new0 (SwarmRpcCall, 1);

  call->message = *message;
  *message = (SwarmWireMessage){ 0 };
  call->serial = frame->header.serial;
  call->bytes = g_bytes_get_size (frame->payload);
  if (self->quota != NULL) {
    self->quota->calls++;
    self->quota->bytes += call->bytes;
  }
  call->wants_stream = (frame->header.flags & SWARM_FRAME_STREAM) != 0;
  call->base.ops = &ops;
  call->base.link = swarm_link_ref (&self->base);
  call->base.path = call->message.path;
  call->base.iface = call->message.iface;
  call->base.member = call->message.member;
  call->base.args = call->message.args;
  call->base.one_way = (frame->header.flags & SWARM_FRAME_ONE_WAY) != 0;
  if (frame->header.deadline_ms != 0)
    call->base.deadline_us = swarm_clock_boottime (self->clock) + (gint64) frame->header.deadline_ms * 1000;
  if (!call->base.one_way) {
    g_hash_table_insert (self->incoming, GUINT_TO_POINTER (call->serial), call);
    self->incoming_streams += call->wants_stream;
  }
  return call;
}

/* However many connections the node has. */
static gboolean
check_quota (SwarmRpcLink *self, gsize bytes, GError **error)
{
  const SwarmRpcLimits *limits = &self->rpc->settings.limits;
  guint factor = self->base.peer.role == SWARM_PEER_MANAGER ? SWARM_RPC_MANAGER_FACTOR : 1;
  const SwarmRpcQuota *quota = self->quota;

  if (quota == NULL || (quota->calls < factor * limits->calls_per_node && quota->bytes + bytes <= factor * limits->bytes_per_node))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many calls of node %s wait for their answer (%u, %" G_GSIZE_FORMAT " bytes)",
               swarm_id_string (&quota->node).str, quota->calls, quota->bytes);
  return FALSE;
}

/* The other end may not have more under way than was agreed; its own side refuses such calls already. */
static gboolean
check_incoming (SwarmRpcLink *self, const SwarmFrame *frame, GError **error)
{
  const SwarmRpcLimits *limits = &self->rpc->settings.limits;
  gboolean joining = swarm_rpc_is_guest (self);
  guint calls = g_hash_table_size (self->incoming) - self->incoming_streams;
  guint streams = g_hash_table_size (self->writers) + self->incoming_streams;
  gboolean is_stream = (frame->header.flags & SWARM_FRAME_STREAM) != 0;

  if (!check_quota (self, g_bytes_get_size (frame->payload), error))
    return FALSE;
  if (is_stream ? streams < (joining ? 0 : limits->streams)
                : calls < (joining ? SWARM_RPC_JOINING_CALLS : limits->calls))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many %s under way on one connection",
               is_stream ? "streams" : "calls");
  return FALSE;
}

static gboolean
is_known_serial (SwarmRpcLink *self, guint32 serial)
{
  return serial == 0 || g_hash_table_contains (self->incoming, GUINT_TO_POINTER (serial))
         || g_hash_table_contains (self->writers, GUINT_TO_POINTER (serial));
}

static void
receive_call (SwarmRpcLink *self, const SwarmFrame *frame, SwarmWireMessage *message)
{
  gboolean one_way = (frame->header.flags & SWARM_FRAME_ONE_WAY) != 0;
  g_autoptr (GError) error = NULL;
  SwarmRpcCall *call;

  if (!one_way && is_known_serial (self, frame->header.serial)) {
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_INVALID_ARGUMENT, "the other end uses a call number twice");
    return;
  }
  /* Who lost its standing since Hello is cut at its next call. */
  if (!swarm_rpc_check_peer (self, &error)) {
    swarm_rpc_link_fail (self, error, TRUE);
    return;
  }
  if (self->failed)
    return;
  if (!one_way && !check_incoming (self, frame, &error)) {
    send_error (self, frame->header.serial, error);
    return;
  }
  call = call_new (self, frame, message);
  if (self->base.events != NULL && self->base.events->call != NULL) {
    self->base.events->call (&self->base, &call->base, self->base.events_data);
    return;
  }
  error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the other end takes no calls");
  swarm_call_fail (&call->base, error);
}

void
swarm_rpc_call_message (SwarmRpcLink *self, const SwarmFrame *frame)
{
  gboolean is_reply = (frame->header.flags & SWARM_FRAME_REPLY) != 0;
  g_auto (SwarmWireMessage) message = { 0 };
  g_autoptr (GError) error = NULL;

  if (!swarm_wire_decode (frame->payload, &message, &error)) {
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_INVALID_ARGUMENT, error->message);
  } else if (is_reply != (message.kind != SWARM_WIRE_CALL)
             || (is_reply && (frame->header.flags & ~SWARM_FRAME_REPLY) != 0)
             || frame->header.flags == (SWARM_FRAME_ONE_WAY | SWARM_FRAME_STREAM)) {
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_INVALID_ARGUMENT,
                                 "the other end sends a message with flags that do not fit");
  } else if (is_reply) {
    receive_answer (self, frame, &message);
  } else {
    receive_call (self, frame, &message);
  }
}
