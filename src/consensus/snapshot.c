// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/snapshot.h"
#include "base/error.h"
#include "consensus/codec.h"
#include "consensus/members.h"

#define MAGIC "SWARMSNP"
#define PREFIX "snapshot-"

enum { KIND_META = 1, KIND_DATA = 2, KIND_END = 3 };

void
raft_snapshot_clear (RaftSnapshot *self)
{
  g_clear_pointer (&self->conf, g_bytes_unref);
  g_clear_pointer (&self->data, g_bytes_unref);
  self->index = self->term = self->conf_index = 0;
}

void
raft_snapshot_name (guint64 index, char name[40])
{
  g_snprintf (name, 40, PREFIX "%016" G_GINT64_MODIFIER "x", index);
}

guint64
raft_snapshot_index (const char *name)
{
  guint64 index;
  char canonical[40];

  if (!g_str_has_prefix (name, PREFIX)
      || !g_ascii_string_to_unsigned (name + strlen (PREFIX), 16, 1, G_MAXUINT64, &index, NULL))
    return 0;
  raft_snapshot_name (index, canonical);
  return strcmp (name, canonical) == 0 ? index : 0;
}

/* ---- loading ---- */

static gboolean
take_meta (GBytes *body, RaftSnapshot *ret, guint64 *size)
{
  Reader in = reader_for (body);

  if (get_u8 (&in) != KIND_META)
    return FALSE;
  ret->index = get_u64 (&in);
  ret->term = get_u64 (&in);
  ret->conf_index = get_u64 (&in);
  *size = get_u64 (&in);
  ret->conf = get_bytes (&in);
  return !in.bad && *size <= RAFT_SNAPSHOT_MAX && conf_valid (ret->conf);
}

/* The records of a sound file; *@offset is where it is not. */
static ParseResult
parse_file (const SealContext *seal, const char *name, GBytes *file, RaftSnapshot *ret, guint64 *offset, GError **error)
{
  g_autoptr (GByteArray) data = g_byte_array_new ();
  FileHeader header;
  FileMark mark;
  ParseResult result = file_header_parse (seal, MAGIC, name, file, &header, error);
  guint64 size = 0;

  *offset = 0;
  if (result != PARSE_OK)
    return result;
  ret->key_number = header.key_number;
  *offset = FILE_HEADER_SIZE;
  while (TRUE) {
    g_autoptr (GBytes) body = NULL;
    guint64 start = *offset;
    Reader in;

    result = record_parse (seal, &header, name, file, offset, &mark, &body, error);
    if (result != PARSE_OK)
      return result == PARSE_END ? PARSE_BAD : result;
    in = reader_for (body);
    if (ret->conf == NULL) {
      if (!take_meta (body, ret, &size)) {
        *offset = start;
        return PARSE_BAD;
      }
      continue;
    }
    switch (get_u8 (&in)) {
    case KIND_DATA:
      g_byte_array_append (data, in.data, (guint) in.left);
      break;
    case KIND_END:
      if (data->len != size || *offset != g_bytes_get_size (file))
        return PARSE_BAD;
      ret->data = g_byte_array_free_to_bytes (g_steal_pointer (&data));
      return PARSE_OK;
    default:
      *offset = start;
      return PARSE_BAD;
    }
  }
}

gboolean
raft_snapshot_load (const SealContext *seal, SwarmDisk *disk, char **names, RaftSnapshot *ret, GError **error)
{
  guint64 newest = 0, offset;
  g_autoptr (GBytes) file = NULL;
  char name[40];
  ParseResult result;

  *ret = (RaftSnapshot){ 0 };
  for (guint i = 0; names[i] != NULL; i++)
    newest = MAX (newest, raft_snapshot_index (names[i]));
  if (newest == 0)
    return TRUE;
  raft_snapshot_name (newest, name);
  file = disk->read (disk, name, error);
  if (file == NULL)
    return FALSE;
  result = parse_file (seal, name, file, ret, &offset, error);
  if (result == PARSE_OK && ret->index == newest)
    return TRUE;
  raft_snapshot_clear (ret);
  if (result != PARSE_ERROR)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED,
                 "the snapshot is damaged: %s at offset %" G_GUINT64_FORMAT " (restore this node from another manager or from a backup)", name,
                 offset);
  return FALSE;
}

/* ---- writing ---- */

void
snapshot_writer_init (SnapshotWriter *self, const SealContext *seal, const RaftSnapshot *snapshot)
{
  *self = (SnapshotWriter){ .seal = seal, .snapshot = *snapshot, .header = { 1 } };
  g_bytes_ref (self->snapshot.conf);
  g_bytes_ref (self->snapshot.data);
}

void
snapshot_writer_clear (SnapshotWriter *self)
{
  raft_snapshot_clear (&self->snapshot);
}

static void
add_record (SnapshotWriter *self, GByteArray *body, GByteArray *out)
{
  g_autoptr (GBytes) plain = g_byte_array_free_to_bytes (body);

  record_append (self->seal, &self->header, self->offset, self->header.mark, plain, out);
}

static void
add_meta (SnapshotWriter *self, GByteArray *out)
{
  GByteArray *body = g_byte_array_new ();

  file_header_append (self->seal, MAGIC, &self->header, out);
  put_u8 (body, KIND_META);
  put_u64 (body, self->snapshot.index);
  put_u64 (body, self->snapshot.term);
  put_u64 (body, self->snapshot.conf_index);
  put_u64 (body, g_bytes_get_size (self->snapshot.data));
  put_bytes (body, self->snapshot.conf);
  add_record (self, body, out);
}

gboolean
snapshot_writer_next (SnapshotWriter *self, GArray *ops)
{
  GByteArray *out = g_byte_array_new ();
  gsize size, n;
  const guint8 *data = g_bytes_get_data (self->snapshot.data, &size);
  g_autoptr (GBytes) chunk = NULL;
  char name[40];

  if (self->offset == 0) {
    swarm_disk_ops_truncate (ops, RAFT_SNAPSHOT_NEW, 0);
    add_meta (self, out);
  }
  n = MIN (size - self->done, RAFT_SNAPSHOT_PIECE);
  if (n > 0) {
    GByteArray *body = g_byte_array_sized_new ((guint) n + 1);
    put_u8 (body, KIND_DATA);
    g_byte_array_append (body, data + self->done, (guint) n);
    add_record (self, body, out);
    self->done += n;
  }
  if (self->done == size) {
    GByteArray *body = g_byte_array_new ();
    put_u8 (body, KIND_END);
    add_record (self, body, out);
    self->ended = TRUE;
  }
  chunk = g_byte_array_free_to_bytes (out);
  swarm_disk_ops_write (ops, RAFT_SNAPSHOT_NEW, self->offset, chunk);
  self->offset += g_bytes_get_size (chunk);
  if (self->ended) {
    raft_snapshot_name (self->snapshot.index, name);
    swarm_disk_ops_rename (ops, RAFT_SNAPSHOT_NEW, name);
  }
  return self->ended;
}
