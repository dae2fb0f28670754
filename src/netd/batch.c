// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/batch.h"
#include "base/error.h"
#include "netd/tables.h"
#include <string.h>

struct _SwarmNetdBatch {
  guint64 number;
  guint64 base;
  gboolean full;
  gboolean whole;
  gsize bytes;
  GArray *edits;
};

static gboolean
bad (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

gboolean
swarm_netd_header_check (const SwarmNetdHeader *header, GError **error)
{
  if (header->magic != SWARM_NETD_MAGIC)
    return bad (error, "this is no batch");
  if (header->version != SWARM_NETD_VERSION) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "batches of version %u, this is version %u", header->version, SWARM_NETD_VERSION);
    return FALSE;
  }
  if (header->kind != SWARM_NETD_BATCH)
    return bad (error, "only batches are taken here");
  if (header->flags & ~(SWARM_NETD_FULL | SWARM_NETD_MORE))
    return bad (error, "the batch has flags that are not known to this version");
  if (header->length > SWARM_NETD_PART_MAX)
    return bad (error, "a part of a batch has at most 1 MiB");
  if (header->number == 0)
    return bad (error, "a batch has a number");
  return !(header->flags & SWARM_NETD_FULL) || header->base == 0 || bad (error, "a full batch has no base");
}

static void
edit_clear (gpointer data)
{
  swarm_netd_row_unref (((SwarmNetdEdit *) data)->row);
}

SwarmNetdBatch *
swarm_netd_batch_new (const SwarmNetdHeader *header)
{
  SwarmNetdBatch *self = g_new0 (SwarmNetdBatch, 1);
  self->number = header->number;
  self->base = header->base;
  self->full = (header->flags & SWARM_NETD_FULL) != 0;
  self->edits = g_array_new (FALSE, FALSE, sizeof (SwarmNetdEdit));
  g_array_set_clear_func (self->edits, edit_clear);
  return self;
}

void
swarm_netd_batch_free (SwarmNetdBatch *self)
{
  g_array_unref (self->edits);
  g_free (self);
}

/* Reads the record at @at; how long it is, or 0. */
static gsize
add_record (SwarmNetdBatch *self, const guint8 *at, gsize left, GError **error)
{
  SwarmNetdRecord record;
  if (left < sizeof record)
    return bad (error, "a record ends within its header");
  memcpy (&record, at, sizeof record);
  if (record.length < sizeof record || record.length > left || record.length % 8 != 0)
    return bad (error, "a record's length is wrong");
  if (record.op != SWARM_NETD_PUT && (record.op != SWARM_NETD_REMOVE || self->full))
    return bad (error, "a record neither puts nor removes; a full batch only puts");
  gboolean removes = record.op == SWARM_NETD_REMOVE;
  SwarmNetdRow *row = swarm_netd_row_parse (record.type, at + sizeof record, record.length - sizeof record, removes, error);
  if (row == NULL)
    return 0;
  g_array_append_val (self->edits, ((SwarmNetdEdit){ row, removes }));
  return record.length;
}

gboolean
swarm_netd_batch_add (SwarmNetdBatch *self, const SwarmNetdHeader *header, const guint8 *records, guint32 *bad_record, GError **error)
{
  *bad_record = G_MAXUINT32;
  if (self->whole || header->number != self->number || header->base != self->base || ((header->flags & SWARM_NETD_FULL) != 0) != self->full)
    return bad (error, "the part belongs to another batch");
  self->bytes += header->length;
  if (self->bytes > SWARM_NETD_BATCH_MAX)
    return bad (error, "a batch has at most 64 MiB");
  for (gsize at = 0; at < header->length;) {
    gsize length = add_record (self, records + at, header->length - at, error);
    if (length == 0) {
      *bad_record = self->edits->len;
      return FALSE;
    }
    at += length;
  }
  self->whole = (header->flags & SWARM_NETD_MORE) == 0;
  return TRUE;
}

gboolean
swarm_netd_batch_is_whole (SwarmNetdBatch *self)
{
  return self->whole;
}

guint64
swarm_netd_batch_number (SwarmNetdBatch *self)
{
  return self->number;
}

guint64
swarm_netd_batch_base (SwarmNetdBatch *self)
{
  return self->base;
}

gboolean
swarm_netd_batch_is_full (SwarmNetdBatch *self)
{
  return self->full;
}

GArray *
swarm_netd_batch_edits (SwarmNetdBatch *self)
{
  return self->edits;
}

void
swarm_netd_record_append (GByteArray *bytes, guint16 type, guint16 op, const void *data, gsize length)
{
  static const guint8 zeros[8];
  gsize padded = (length + 7) & ~(gsize) 7;
  SwarmNetdRecord record = { type, op, sizeof record + padded };
  g_byte_array_append (bytes, (const guint8 *) &record, sizeof record);
  g_byte_array_append (bytes, data, length);
  g_byte_array_append (bytes, zeros, padded - length);
}
