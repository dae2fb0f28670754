// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/frame.h"
#include "base/error.h"
#include <string.h>

/* Bounds of each kind's payload and the flags that it may carry. */
static const struct {
  const char *name;
  guint32 min, max; /* max 0: the reader's message bound */
  guint flags;
} kinds[_SWARM_FRAME_KIND_MAX] = {
  [SWARM_FRAME_HELLO] = { "hello", 33, 1024, 0 },
  [SWARM_FRAME_MESSAGE] = { "message", 1, 0, SWARM_FRAME_REPLY | SWARM_FRAME_ONE_WAY | SWARM_FRAME_STREAM },
  [SWARM_FRAME_CHUNK] = { "chunk", 1, SWARM_FRAME_CHUNK_MAX, 0 },
  [SWARM_FRAME_CREDIT] = { "credit", 4, 4, 0 },
  [SWARM_FRAME_END] = { "end", 0, SWARM_FRAME_CHUNK_MAX, 0 },
  [SWARM_FRAME_CLOSE] = { "close", 0, 0, 0 },
  [SWARM_FRAME_GOODBYE] = { "goodbye", 1, 16 * 1024, 0 },
  [SWARM_FRAME_CERTIFICATE] = { "certificate", 3, SWARM_FRAME_CERTIFICATE_MAX, 0 },
};

struct _SwarmFrameReader {
  gsize message_max;
  guint8 head[SWARM_FRAME_HEADER_SIZE];
  gsize head_len;
  SwarmFrameHeader header;
  GByteArray *payload; /* set once the header is complete */
  GError *broken;
};

static guint32
get_u32 (const guint8 *data)
{
  return (guint32) data[0] << 24 | (guint32) data[1] << 16 | (guint32) data[2] << 8 | data[3];
}

static void
put_u32 (guint8 *data, guint32 value)
{
  for (int i = 0; i < 4; i++)
    data[i] = value >> (24 - 8 * i);
}

const char *
swarm_frame_kind_to_string (guint kind)
{
  return kind < G_N_ELEMENTS (kinds) ? kinds[kind].name : NULL;
}

void
swarm_frame_clear (SwarmFrame *frame)
{
  g_clear_pointer (&frame->payload, g_bytes_unref);
}

void
swarm_frame_append (GByteArray *out, const SwarmFrameHeader *header, const guint8 *payload, gsize len)
{
  guint8 head[SWARM_FRAME_HEADER_SIZE] = { 0 };

  g_return_if_fail (len <= SWARM_FRAME_MESSAGE_MAX);
  put_u32 (head, len);
  head[4] = header->kind;
  head[5] = header->flags;
  put_u32 (head + 8, header->serial);
  put_u32 (head + 12, header->deadline_ms);
  put_u32 (head + 16, header->index >> 32);
  put_u32 (head + 20, header->index & G_MAXUINT32);
  g_byte_array_append (out, head, sizeof head);
  if (len > 0)
    g_byte_array_append (out, payload, len);
}

SwarmFrameReader *
swarm_frame_reader_new (gsize message_max)
{
  SwarmFrameReader *self = g_new0 (SwarmFrameReader, 1);
  self->message_max = message_max;
  return self;
}

void
swarm_frame_reader_free (SwarmFrameReader *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->payload, g_byte_array_unref);
  g_clear_error (&self->broken);
  g_free (self);
}

void
swarm_frame_reader_set_message_max (SwarmFrameReader *self, gsize message_max)
{
  self->message_max = message_max;
}

gboolean
swarm_frame_reader_is_partial (const SwarmFrameReader *self)
{
  return self->head_len > 0;
}

static gboolean
check_header (const SwarmFrameReader *self, const SwarmFrameHeader *header, guint zero, GError **error)
{
  const char *name = swarm_frame_kind_to_string (header->kind);
  gsize max;

  if (name == NULL || zero != 0 || (header->flags & ~kinds[header->kind].flags) != 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                 "the other end does not speak swarm-agent's protocol (frame kind %u, flags 0x%x)",
                 (guint) header->kind, (guint) header->flags);
    return FALSE;
  }
  max = header->kind == SWARM_FRAME_MESSAGE ? self->message_max : kinds[header->kind].max;
  if (header->length > max) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED,
                 "the other end sends a %s of %u bytes; at most %" G_GSIZE_FORMAT " are taken", name, header->length,
                 max);
    return FALSE;
  }
  if (header->length < kinds[header->kind].min) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the other end sends a %s of only %u bytes", name,
                 header->length);
    return FALSE;
  }
  return TRUE;
}

static gboolean
parse_header (SwarmFrameReader *self, GError **error)
{
  const guint8 *head = self->head;

  self->header = (SwarmFrameHeader){
    .length = get_u32 (head),
    .kind = head[4],
    .flags = head[5],
    .serial = get_u32 (head + 8),
    .deadline_ms = get_u32 (head + 12),
    .index = (guint64) get_u32 (head + 16) << 32 | get_u32 (head + 20),
  };
  if (!check_header (self, &self->header, head[6] << 8 | head[7], &self->broken)) {
    if (error != NULL)
      *error = g_error_copy (self->broken);
    return FALSE;
  }
  /* Grows as bytes arrive: a length alone costs the sender nothing, so it must cost us nothing. */
  self->payload = g_byte_array_sized_new (MIN (self->header.length, 4096));
  return TRUE;
}

gboolean
swarm_frame_reader_feed (SwarmFrameReader *self, const guint8 **data, gsize *len, SwarmFrame *ret_frame,
                         gboolean *ret_have, GError **error)
{
  gsize take;

  *ret_have = FALSE;
  if (self->broken != NULL) {
    if (error != NULL)
      *error = g_error_copy (self->broken);
    return FALSE;
  }
  if (self->payload == NULL) {
    take = MIN (*len, sizeof self->head - self->head_len);
    if (take > 0)
      memcpy (self->head + self->head_len, *data, take);
    self->head_len += take;
    *data += take;
    *len -= take;
    if (self->head_len < sizeof self->head)
      return TRUE;
    if (!parse_header (self, error))
      return FALSE;
  }
  take = MIN (*len, self->header.length - self->payload->len);
  if (take > 0)
    g_byte_array_append (self->payload, *data, take);
  *data += take;
  *len -= take;
  if (self->payload->len < self->header.length)
    return TRUE;
  ret_frame->header = self->header;
  ret_frame->payload = g_byte_array_free_to_bytes (g_steal_pointer (&self->payload));
  self->head_len = 0;
  *ret_have = TRUE;
  return TRUE;
}

/* Hello: magic "SWRM", min u16, max u16, feature level u32, link kind u8, zero ×3, cluster 16, length of version u8,
 * version, epoch u64 (0 when it is missing). */
#define HELLO_MAGIC 0x5357524dU
#define HELLO_FIXED 33

void
swarm_hello_append (GByteArray *out, const SwarmHello *hello, guint64 index)
{
  SwarmFrameHeader header = { .kind = SWARM_FRAME_HELLO, .index = index };
  guint8 data[HELLO_FIXED + SWARM_HELLO_VERSION_MAX + 8] = { 0 };
  gsize version_len = strnlen (hello->version, SWARM_HELLO_VERSION_MAX);

  put_u32 (data, HELLO_MAGIC);
  put_u32 (data + 4, (guint32) hello->protocol_min << 16 | hello->protocol_max);
  put_u32 (data + 8, hello->feature_level);
  data[12] = hello->link_kind;
  memcpy (data + 16, hello->cluster.bytes, sizeof hello->cluster.bytes);
  data[32] = version_len;
  memcpy (data + HELLO_FIXED, hello->version, version_len);
  put_u32 (data + HELLO_FIXED + version_len, (guint32) (hello->epoch >> 32));
  put_u32 (data + HELLO_FIXED + version_len + 4, (guint32) hello->epoch);
  swarm_frame_append (out, &header, data, HELLO_FIXED + version_len + 8);
}

gboolean
swarm_hello_parse (GBytes *payload, SwarmHello *ret, GError **error)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (payload, &len);

  if (len < HELLO_FIXED || get_u32 (data) != HELLO_MAGIC) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                         "the other end does not speak swarm-agent's protocol (no Hello)");
    return FALSE;
  }
  if (data[12] > SWARM_LINK_CONSENSUS || data[32] > SWARM_HELLO_VERSION_MAX || HELLO_FIXED + (gsize) data[32] > len) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the other end sends a malformed Hello");
    return FALSE;
  }
  *ret = (SwarmHello){ .protocol_min = get_u32 (data + 4) >> 16,
                       .protocol_max = get_u32 (data + 4) & 0xffff,
                       .feature_level = get_u32 (data + 8),
                       .link_kind = data[12] };
  memcpy (ret->cluster.bytes, data + 16, sizeof ret->cluster.bytes);
  /* The version is for people: only what prints is kept. */
  for (guint i = 0; i < data[32]; i++)
    ret->version[i] = g_ascii_isgraph (data[HELLO_FIXED + i]) ? (char) data[HELLO_FIXED + i] : '?';
  if (len >= HELLO_FIXED + (gsize) data[32] + 8) {
    const guint8 *epoch = data + HELLO_FIXED + data[32];
    ret->epoch = (guint64) get_u32 (epoch) << 32 | get_u32 (epoch + 4);
  }
  return TRUE;
}

gboolean
swarm_hello_check (const SwarmHello *ours, const SwarmHello *theirs, guint *ret_protocol, GError **error)
{
  if (theirs->protocol_min > ours->protocol_max || theirs->protocol_max < ours->protocol_min) {
    g_set_error (
      error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
      "the other end (version %s) speaks protocol %u to %u, this one (version %s) %u to %u: upgrade %s first",
      theirs->version, theirs->protocol_min, theirs->protocol_max, ours->version, ours->protocol_min,
      ours->protocol_max, theirs->protocol_min > ours->protocol_max ? "this one" : "the other");
    return FALSE;
  }
  if (!swarm_id_is_nil (&ours->cluster) && !swarm_id_is_nil (&theirs->cluster)
      && !swarm_id_equal (&ours->cluster, &theirs->cluster)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "the other end belongs to cluster %s, this one to %s",
                 swarm_id_string (&theirs->cluster).str, swarm_id_string (&ours->cluster).str);
    return FALSE;
  }
  *ret_protocol = MIN (ours->protocol_max, theirs->protocol_max);
  return TRUE;
}
