// SPDX-License-Identifier: LGPL-2.1-or-later
/* Streams over a link: chunks of at most 64 KiB from the one who was called to the caller, as many as the caller gave
 * credit for. Bulk enters the connection's queue only while that is short, so that calls do not wait behind it. */
#include "config.h"
#include "rpc/private.h"
#include "base/error.h"
#include <string.h>

/* The queue is filled with bulk up to here. */
#define BULK_QUEUE (128 * 1024)
/* A writer is welcome to write while less than this waits for credit. */
#define WRITER_LOW SWARM_FRAME_CHUNK_MAX

struct _RpcReader {
  SwarmStream base;
  guint ref_count;    /* the caller's, and one of the pending entry */
  SwarmRpcLink *link; /* NULL: over */
  guint32 serial;
  guint consumed; /* chunks taken since the last credit was given */
  guint due;      /* chunks that the other end may still send */
  gboolean held;
  gboolean closed;
  SwarmStreamFunc func;
  gpointer data;
};

struct _RpcWriter {
  SwarmStream base;
  SwarmRpcLink *link; /* a reference */
  guint32 serial;
  guint32 credit;
  GQueue waiting; /* GBytes, the first partly sent */
  gsize waiting_bytes;
  gsize sent_of_first;
  gboolean in_bulk;     /* in the link's queue of those that can send */
  gboolean wants_ready; /* its owner waits */
  gboolean ready_due;
  gboolean ended;
  GError *end_error;
  SwarmStreamReadyFunc ready;
  gpointer data;
};

/* ---- reader ---- */

static void
reader_unref (SwarmRpcReader *reader)
{
  if (--reader->ref_count == 0)
    g_free (reader);
}

static void
give_credit (SwarmRpcReader *reader, guint32 n)
{
  guint32 big_endian = GUINT32_TO_BE (n);
  g_autoptr (GBytes) payload = g_bytes_new (&big_endian, sizeof big_endian);

  reader->consumed = 0;
  reader->due += n;
  swarm_rpc_link_must_send (reader->link, SWARM_FRAME_CREDIT, reader->serial, payload);
}

static void
reader_close (SwarmStream *stream)
{
  SwarmRpcReader *reader = (SwarmRpcReader *) stream;
  SwarmRpcLink *link = reader->link;
  SwarmRpcPending *pending;

  reader->closed = TRUE;
  if (link != NULL) {
    reader->link = NULL;
    pending = g_hash_table_lookup (link->pending, GUINT_TO_POINTER (reader->serial));
    if (pending != NULL && pending->reader == reader) {
      g_hash_table_remove (link->pending, GUINT_TO_POINTER (reader->serial));
      swarm_rpc_link_must_send (link, SWARM_FRAME_CLOSE, reader->serial, NULL);
      swarm_rpc_pending_free (pending);
      reader_unref (reader);
    }
  }
  reader_unref (reader);
}

static void
reader_hold (SwarmStream *stream, gboolean hold)
{
  SwarmRpcReader *reader = (SwarmRpcReader *) stream;

  reader->held = hold;
  if (!hold && reader->link != NULL && reader->consumed > 0)
    give_credit (reader, reader->consumed);
}

void
swarm_rpc_reader_finish (SwarmRpcReader *reader, const GError *error)
{
  reader->link = NULL;
  if (!reader->closed)
    reader->func (NULL, error, reader->data);
  reader_unref (reader);
}

static void
reader_chunk (SwarmRpcReader *reader, GBytes *chunk)
{
  if (reader->due == 0) {
    swarm_rpc_link_fail_literal (reader->link, SWARM_ERROR_LIMIT_EXCEEDED,
                                 "the other end sends more of a stream than it was asked for");
    return;
  }
  reader->due--;
  reader->ref_count++;
  reader->consumed++;
  reader->func (chunk, NULL, reader->data);
  if (reader->link != NULL && !reader->held && reader->consumed >= SWARM_RPC_STREAM_WINDOW / 2)
    give_credit (reader, reader->consumed);
  reader_unref (reader);
}

SwarmStream *
swarm_rpc_stream_open (SwarmRpcLink *self, const char *path, const char *iface, const char *member, GVariant *args,
                       SwarmStreamFunc func, gpointer data)
{
  static const SwarmStreamOps ops = { .close = reader_close, .hold = reader_hold };
  SwarmRpcReader *reader = g_new0 (SwarmRpcReader, 1);
  SwarmRpcPending *pending = g_new0 (SwarmRpcPending, 1);

  reader->base.ops = &ops;
  reader->ref_count = 2;
  reader->func = func;
  reader->data = data;
  pending->reader = reader;
  swarm_rpc_call_start (self, pending, path, iface, member, args, 0);
  if (pending->error == NULL) {
    reader->link = self;
    reader->serial = pending->serial;
    give_credit (reader, SWARM_RPC_STREAM_WINDOW);
  }
  return &reader->base;
}

/* ---- writer ---- */

static void
writer_free (SwarmRpcWriter *writer)
{
  SwarmRpcLink *link = writer->link;

  g_hash_table_remove (link->writers, GUINT_TO_POINTER (writer->serial));
  if (writer->in_bulk)
    g_queue_remove (&link->bulk, writer);
  g_queue_clear_full (&writer->waiting, (GDestroyNotify) g_bytes_unref);
  g_clear_error (&writer->end_error);
  g_free (writer);
  swarm_link_unref (&link->base);
}

static void
writer_drop_waiting (SwarmRpcWriter *writer)
{
  g_queue_clear_full (&writer->waiting, (GDestroyNotify) g_bytes_unref);
  writer->waiting_bytes = writer->sent_of_first = 0;
}

static void
writer_due (SwarmRpcWriter *writer)
{
  writer->ready_due = TRUE;
  swarm_rpc_link_soon (writer->link);
}

/* Nobody reads any more. The owner hears it once; an ended writer has no owner. */
static void
writer_break (SwarmRpcWriter *writer)
{
  if (writer->ended) {
    writer_free (writer);
    return;
  }
  writer_drop_waiting (writer);
  if (!writer->base.broken)
    writer_due (writer);
  writer->base.broken = TRUE;
}

/* Everything is sent: the last frame of the stream. */
static void
writer_finish (SwarmRpcWriter *writer)
{
  g_autoptr (GBytes) payload
    = writer->end_error != NULL ? swarm_wire_encode_error (writer->end_error, writer->serial) : NULL;

  swarm_rpc_link_must_send (writer->link, SWARM_FRAME_END, writer->serial, payload);
  writer_free (writer);
}

static void
writer_queue_bulk (SwarmRpcWriter *writer)
{
  if (writer->in_bulk || writer->credit == 0 || g_queue_is_empty (&writer->waiting))
    return;
  writer->in_bulk = TRUE;
  g_queue_push_tail (&writer->link->bulk, writer);
}

/* Up to one chunk of what waits: small pieces together, for each chunk costs a credit. Nothing is taken yet. */
static GBytes *
writer_gather (SwarmRpcWriter *writer)
{
  GBytes *first = g_queue_peek_head (&writer->waiting);
  gsize size = g_bytes_get_size (first), rest = size - writer->sent_of_first, at = writer->sent_of_first;
  GByteArray *chunk;

  if (rest >= SWARM_FRAME_CHUNK_MAX || rest == writer->waiting_bytes)
    return g_bytes_new_from_bytes (first, at, MIN (rest, SWARM_FRAME_CHUNK_MAX));
  chunk = g_byte_array_sized_new (MIN (writer->waiting_bytes, SWARM_FRAME_CHUNK_MAX));
  for (GList *l = writer->waiting.head; l != NULL && chunk->len < SWARM_FRAME_CHUNK_MAX; l = l->next) {
    const guint8 *data = g_bytes_get_data (l->data, &size);
    g_byte_array_append (chunk, data + at, MIN (size - at, SWARM_FRAME_CHUNK_MAX - chunk->len));
    at = 0;
  }
  return g_byte_array_free_to_bytes (chunk);
}

/* The first @len of the waiting bytes are sent. */
static void
writer_take (SwarmRpcWriter *writer, gsize len)
{
  writer->waiting_bytes -= len;
  while (len > 0) {
    gsize rest = g_bytes_get_size (g_queue_peek_head (&writer->waiting)) - writer->sent_of_first;
    if (len < rest) {
      writer->sent_of_first += len;
      return;
    }
    len -= rest;
    writer->sent_of_first = 0;
    g_bytes_unref (g_queue_pop_head (&writer->waiting));
  }
}

/* Sends up to one chunk. FALSE: the connection has no room. */
static gboolean
writer_send_chunk (SwarmRpcWriter *writer)
{
  g_autoptr (GBytes) chunk = writer_gather (writer);

  if (!swarm_rpc_link_send (writer->link, SWARM_FRAME_CHUNK, 0, writer->serial, 0, chunk, 0))
    return FALSE;
  writer->credit--;
  writer_take (writer, g_bytes_get_size (chunk));
  if (writer->wants_ready && writer->waiting_bytes < WRITER_LOW)
    writer_due (writer);
  return TRUE;
}

void
swarm_rpc_stream_pump (SwarmRpcLink *self)
{
  while (!self->failed && !g_queue_is_empty (&self->bulk) && swarm_conn_queued (self->conn) < BULK_QUEUE) {
    SwarmRpcWriter *writer = g_queue_pop_head (&self->bulk);
    writer->in_bulk = FALSE;
    if (!writer_send_chunk (writer)) {
      writer->in_bulk = TRUE;
      g_queue_push_head (&self->bulk, writer);
      return;
    }
    /* Each in turn. */
    writer_queue_bulk (writer);
    if (writer->ended && g_queue_is_empty (&writer->waiting))
      writer_finish (writer);
  }
}

static gboolean
writer_write (SwarmStream *stream, GBytes *chunk)
{
  SwarmRpcWriter *writer = (SwarmRpcWriter *) stream;

  if (g_bytes_get_size (chunk) > 0) {
    g_queue_push_tail (&writer->waiting, g_bytes_ref (chunk));
    writer->waiting_bytes += g_bytes_get_size (chunk);
    writer_queue_bulk (writer);
    swarm_rpc_stream_pump (writer->link);
  }
  writer->wants_ready = writer->waiting_bytes >= WRITER_LOW;
  return !writer->wants_ready;
}

static void
writer_end (SwarmStream *stream, const GError *error)
{
  SwarmRpcWriter *writer = (SwarmRpcWriter *) stream;

  writer->ended = TRUE;
  writer->wants_ready = writer->ready_due = FALSE;
  if (writer->base.broken || writer->link->failed) {
    writer_free (writer);
    return;
  }
  writer->end_error = error != NULL ? g_error_copy (error) : NULL;
  if (g_queue_is_empty (&writer->waiting))
    writer_finish (writer);
}

SwarmStream *
swarm_rpc_writer_new (SwarmRpcLink *link, guint32 serial, guint32 credit, gboolean broken, SwarmStreamReadyFunc ready,
                      gpointer data)
{
  static const SwarmStreamOps ops = { .write = writer_write, .end = writer_end };
  SwarmRpcWriter *writer = g_new0 (SwarmRpcWriter, 1);

  writer->base.ops = &ops;
  writer->base.broken = broken;
  writer->link = (SwarmRpcLink *) swarm_link_ref (&link->base);
  writer->serial = serial;
  writer->credit = credit;
  writer->ready = ready;
  writer->data = data;
  g_hash_table_insert (link->writers, GUINT_TO_POINTER (serial), writer);
  writer_due (writer);
  return &writer->base;
}

/* The writers as they are now; callbacks may end any of them. */
static GList *
writer_serials (SwarmRpcLink *self)
{
  return g_hash_table_get_keys (self->writers);
}

void
swarm_rpc_stream_report_ready (SwarmRpcLink *self)
{
  g_autoptr (GList) serials = writer_serials (self);

  for (GList *l = serials; l != NULL; l = l->next) {
    SwarmRpcWriter *writer = g_hash_table_lookup (self->writers, l->data);
    if (writer == NULL || !writer->ready_due)
      continue;
    writer->ready_due = writer->wants_ready = FALSE;
    writer->ready (&writer->base, writer->data);
  }
}

void
swarm_rpc_stream_break_all (SwarmRpcLink *self)
{
  g_autoptr (GList) serials = writer_serials (self);

  for (GList *l = serials; l != NULL; l = l->next) {
    SwarmRpcWriter *writer = g_hash_table_lookup (self->writers, l->data);
    if (writer != NULL)
      writer_break (writer);
  }
  swarm_rpc_stream_report_ready (self);
}

/* ---- frames ---- */

static void
receive_credit (SwarmRpcLink *self, const SwarmFrame *frame)
{
  SwarmRpcWriter *writer = g_hash_table_lookup (self->writers, GUINT_TO_POINTER (frame->header.serial));
  guint32 n;

  memcpy (&n, g_bytes_get_data (frame->payload, NULL), sizeof n);
  n = GUINT32_FROM_BE (n);
  if (writer == NULL) {
    swarm_rpc_call_credit (self, frame->header.serial, n);
    return;
  }
  /* More than the window is never due: whatever the other end says, no more than that is under way. */
  writer->credit = MIN (writer->credit + MIN (n, SWARM_RPC_STREAM_WINDOW), SWARM_RPC_STREAM_WINDOW);
  writer_queue_bulk (writer);
  swarm_rpc_stream_pump (self);
}

static void
receive_close (SwarmRpcLink *self, const SwarmFrame *frame)
{
  SwarmRpcWriter *writer = g_hash_table_lookup (self->writers, GUINT_TO_POINTER (frame->header.serial));

  if (writer != NULL)
    writer_break (writer);
  else
    swarm_rpc_call_reader_left (self, frame->header.serial);
}

static void
receive_end (SwarmRpcLink *self, const SwarmFrame *frame, SwarmRpcPending *pending)
{
  g_auto (SwarmWireMessage) message = { 0 };
  g_autoptr (GError) error = NULL;

  g_hash_table_remove (self->pending, GUINT_TO_POINTER (frame->header.serial));
  if (g_bytes_get_size (frame->payload) > 0) {
    if (swarm_wire_decode (frame->payload, &message, &error) && message.kind == SWARM_WIRE_ERROR)
      error = g_steal_pointer (&message.remote);
    else if (error == NULL)
      error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "the other end broke the stream without a reason");
  }
  swarm_rpc_pending_report (pending, NULL, error);
}

void
swarm_rpc_stream_frame (SwarmRpcLink *self, const SwarmFrame *frame)
{
  SwarmRpcPending *pending;

  if (frame->header.kind == SWARM_FRAME_CREDIT) {
    receive_credit (self, frame);
    return;
  }
  if (frame->header.kind == SWARM_FRAME_CLOSE) {
    receive_close (self, frame);
    return;
  }
  pending = g_hash_table_lookup (self->pending, GUINT_TO_POINTER (frame->header.serial));
  /* What was under way when we closed is no error. */
  if (pending == NULL)
    return;
  if (pending->reader == NULL)
    swarm_rpc_link_fail_literal (self, SWARM_ERROR_INVALID_ARGUMENT,
                                 "the other end answers a call with a stream that nobody opened");
  else if (frame->header.kind == SWARM_FRAME_END)
    receive_end (self, frame, pending);
  else
    reader_chunk (pending->reader, frame->payload);
}
