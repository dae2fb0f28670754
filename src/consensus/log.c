// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/log.h"
#include "base/error.h"
#include "consensus/codec.h"
#include "consensus/members.h"

#define MAGIC "SWARMLOG"
#define PREFIX "log-"

static void
entry_clear (gpointer data)
{
  g_bytes_unref (((LogEntry *) data)->data);
}

static void
segment_name (guint32 number, char name[32])
{
  g_snprintf (name, 32, PREFIX "%010u", number);
}

/* 0 for the name of something else. */
static guint32
segment_number (const char *name)
{
  guint64 number;
  char canonical[32];

  if (!g_str_has_prefix (name, PREFIX)
      || !g_ascii_string_to_unsigned (name + strlen (PREFIX), 10, 1, G_MAXUINT32 - 1, &number, NULL))
    return 0;
  segment_name ((guint32) number, canonical);
  return strcmp (name, canonical) == 0 ? (guint32) number : 0;
}

static LogSegment *
segment_at (RaftLog *self, guint i)
{
  return &g_array_index (self->segments, LogSegment, i);
}

RaftLog *
raft_log_new (const SealContext *seal, guint64 segment_bytes)
{
  RaftLog *self = g_new0 (RaftLog, 1);

  self->seal = seal;
  self->segment_bytes = segment_bytes;
  self->entries = g_array_new (FALSE, FALSE, sizeof (LogEntry));
  g_array_set_clear_func (self->entries, entry_clear);
  self->segments = g_array_new (FALSE, TRUE, sizeof (LogSegment));
  self->first = 1;
  self->next_segment = 1;
  return self;
}

void
raft_log_free (RaftLog *self)
{
  g_array_unref (self->entries);
  g_array_unref (self->segments);
  g_free (self);
}

/* ---- entries in memory ---- */

guint64
raft_log_last (const RaftLog *self)
{
  return self->first + self->entries->len - 1;
}

const LogEntry *
raft_log_get (const RaftLog *self, guint64 index)
{
  if (index < self->first || index > raft_log_last (self))
    return NULL;
  return &g_array_index (self->entries, LogEntry, index - self->first);
}

/* Drops the entries from @index on; segments that held them count fewer. */
static void
truncate_from (RaftLog *self, guint64 index)
{
  guint keep = index > self->first ? (guint) (index - self->first) : 0;

  for (guint i = keep; i < self->entries->len; i++)
    self->bytes -= g_bytes_get_size (g_array_index (self->entries, LogEntry, i).data);
  if (keep < self->entries->len)
    g_array_set_size (self->entries, keep);
  for (guint i = 0; i < self->segments->len; i++)
    segment_at (self, i)->last = MIN (segment_at (self, i)->last, index - 1);
}

/* The entry takes its place in memory and in the books of the newest segment. */
static void
take_entry (RaftLog *self, guint64 index, const LogEntry *entry)
{
  LogSegment *segment = segment_at (self, self->segments->len - 1);
  LogEntry copy = { entry->term, entry->type, g_bytes_ref (entry->data) };

  if (index <= raft_log_last (self))
    truncate_from (self, index);
  if (self->entries->len == 0)
    self->first = index;
  g_array_append_val (self->entries, copy);
  self->bytes += g_bytes_get_size (copy.data);
  if (segment->first == 0 || index < segment->first)
    segment->first = index;
  segment->last = index;
}

static GBytes *
entry_encode (guint64 index, const LogEntry *entry)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (entry->data, &len);
  GByteArray *out = g_byte_array_sized_new ((guint) len + 24);

  put_u64 (out, index);
  put_u64 (out, entry->term);
  put_u8 (out, entry->type);
  g_byte_array_append (out, data, (guint) len);
  return g_byte_array_free_to_bytes (out);
}

/* FALSE when it makes no sense. */
static gboolean
entry_decode (GBytes *body, guint64 *index, LogEntry *entry)
{
  Reader in = reader_for (body);

  *index = get_u64 (&in);
  entry->term = get_u64 (&in);
  entry->type = get_u8 (&in);
  if (in.bad || *index == 0 || entry->term == 0)
    return FALSE;
  entry->data = get_part (&in, in.left);
  if (entry->type != RAFT_CHANGE || conf_valid (entry->data))
    return TRUE;
  g_clear_pointer (&entry->data, g_bytes_unref);
  return FALSE;
}

/* ---- loading ---- */

typedef struct {
  RaftLog *log;
  SwarmDisk *disk;
  GArray *found; /* FoundFile, by number */
  gboolean torn;
  guint torn_at; /* which file, and where in it */
  guint64 torn_offset;
} Loader;

typedef struct {
  guint32 number;
  GBytes *content;
} FoundFile;

static void
found_clear (gpointer data)
{
  g_clear_pointer (&((FoundFile *) data)->content, g_bytes_unref);
}

static int
found_compare (gconstpointer a, gconstpointer b)
{
  guint32 x = ((const FoundFile *) a)->number, y = ((const FoundFile *) b)->number;

  return x < y ? -1 : x > y;
}

static gboolean
find_files (Loader *loader, char **names, GError **error)
{
  for (guint i = 0; names[i] != NULL; i++) {
    FoundFile file = { segment_number (names[i]), NULL };

    if (file.number == 0)
      continue;
    file.content = loader->disk->read (loader->disk, names[i], error);
    if (file.content == NULL)
      return FALSE;
    g_array_append_val (loader->found, file);
  }
  g_array_sort (loader->found, found_compare);
  for (guint i = 1; i < loader->found->len; i++) {
    guint32 before = g_array_index (loader->found, FoundFile, i - 1).number;
    char name[32];

    if (g_array_index (loader->found, FoundFile, i).number != before + 1) {
      segment_name (before + 1, name);
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the log's file %s is missing", name);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
damaged (GError **error, const char *name, guint64 offset)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED,
               "the log is damaged: %s at offset %" G_GUINT64_FORMAT " (acknowledged entries would be lost; restore this node from another manager "
               "or from a backup)",
               name, offset);
  return FALSE;
}

static void
set_torn (Loader *loader, guint file, guint64 offset)
{
  loader->torn = TRUE;
  loader->torn_at = file;
  loader->torn_offset = offset;
}

/* Entries of one segment, up to its end or a torn place. */
static gboolean
load_records (Loader *loader, guint file, const char *name, GError **error)
{
  RaftLog *self = loader->log;
  LogSegment *segment = segment_at (self, self->segments->len - 1);
  GBytes *content = g_array_index (loader->found, FoundFile, file).content;
  guint64 offset = FILE_HEADER_SIZE, start;

  while (TRUE) {
    g_autoptr (GBytes) body = NULL;
    LogEntry entry = { 0 };
    ParseResult result;
    guint64 index;
    FileMark mark;

    start = offset;
    result = record_parse (self->seal, &segment->header, name, content, &offset, &mark, &body, error);
    segment->size = start;
    if (result == PARSE_END)
      return TRUE;
    if (result == PARSE_ERROR)
      return FALSE;
    if (result == PARSE_TORN) {
      set_torn (loader, file, start);
      return TRUE;
    }
    if (result == PARSE_BAD || !entry_decode (body, &index, &entry))
      return damaged (error, name, start);
    if (self->entries->len > 0 && index > raft_log_last (self) + 1) {
      g_bytes_unref (entry.data);
      /* Entries in between were lost: the end of the file before did not reach the disk. */
      if (file == 0 || start != FILE_HEADER_SIZE)
        return damaged (error, name, start);
      set_torn (loader, file - 1, segment_at (self, self->segments->len - 2)->size);
      return TRUE;
    }
    take_entry (self, index, &entry);
    g_bytes_unref (entry.data);
    if (file_mark_compare (self->synced, mark) < 0)
      self->synced = mark;
  }
}

static gboolean
load_segment (Loader *loader, guint file, GError **error)
{
  RaftLog *self = loader->log;
  FoundFile *found = &g_array_index (loader->found, FoundFile, file);
  LogSegment segment = { .number = found->number };
  char name[32];
  ParseResult result;

  segment_name (found->number, name);
  result = file_header_parse (self->seal, MAGIC, name, found->content, &segment.header, error);
  if (result == PARSE_ERROR)
    return FALSE;
  if (result == PARSE_TORN) {
    set_torn (loader, file, 0);
    return TRUE;
  }
  if (result != PARSE_OK || segment.header.number != found->number)
    return damaged (error, name, 0);
  g_array_append_val (self->segments, segment);
  if (file_mark_compare (self->synced, segment.header.mark) < 0)
    self->synced = segment.header.mark;
  return load_records (loader, file, name, error);
}

/* Is what stands behind the torn place unsynced, too? Then it may go. */
static gboolean
check_torn (Loader *loader, GError **error)
{
  RaftLog *self = loader->log;
  FileMark place, highest = self->synced;
  char name[32];

  place.segment = g_array_index (loader->found, FoundFile, loader->torn_at).number;
  place.offset = (guint32) loader->torn_offset;
  for (guint i = loader->torn_at; i < loader->found->len; i++) {
    FoundFile *file = &g_array_index (loader->found, FoundFile, i);
    FileHeader header;
    FileMark mark;

    segment_name (file->number, name);
    if (file_header_parse (self->seal, MAGIC, name, file->content, &header, NULL) != PARSE_OK)
      continue;
    mark = records_highest_mark (self->seal, &header, file->content, i == loader->torn_at ? loader->torn_offset : FILE_HEADER_SIZE);
    if (file_mark_compare (mark, header.mark) < 0)
      mark = header.mark;
    if (file_mark_compare (highest, mark) < 0)
      highest = mark;
  }
  segment_name (place.segment, name);
  return file_mark_compare (highest, place) <= 0 || damaged (error, name, loader->torn_offset);
}

static void
repair_torn (Loader *loader, GArray *repair)
{
  char name[32];

  /* Newest first: what a power cut leaves of this is still a log with a torn end. */
  for (guint i = loader->found->len; i > loader->torn_at + 1; i--) {
    segment_name (g_array_index (loader->found, FoundFile, i - 1).number, name);
    swarm_disk_ops_unlink (repair, name);
  }
  segment_name (g_array_index (loader->found, FoundFile, loader->torn_at).number, name);
  if (loader->torn_offset == 0)
    swarm_disk_ops_unlink (repair, name);
  else
    swarm_disk_ops_truncate (repair, name, loader->torn_offset);
}

gboolean
raft_log_load (RaftLog *self, SwarmDisk *disk, char **names, GArray *repair, GError **error)
{
  Loader loader = { self, disk, g_array_new (FALSE, FALSE, sizeof (FoundFile)) };
  g_autoptr (GArray) found = loader.found;

  g_array_set_clear_func (found, found_clear);
  if (!find_files (&loader, names, error))
    return FALSE;
  for (guint i = 0; i < found->len && !loader.torn; i++)
    if (!load_segment (&loader, i, error))
      return FALSE;
  if (loader.torn) {
    if (!check_torn (&loader, error))
      return FALSE;
    if (self->segments->len > 0 && segment_at (self, self->segments->len - 1)->number > g_array_index (found, FoundFile, loader.torn_at).number)
      g_array_set_size (self->segments, self->segments->len - 1);
    repair_torn (&loader, repair);
  }
  if (self->segments->len > 0)
    self->next_segment = segment_at (self, self->segments->len - 1)->number + 1;
  else if (found->len > 0)
    self->next_segment = g_array_index (found, FoundFile, 0).number;
  /* Another process may have written this and died before the sync: whoever acts on it must have it on stable storage first. */
  for (guint i = 0; i < self->segments->len; i++) {
    LogSegment *segment = segment_at (self, i);
    char name[32];

    if (segment->number < self->synced.segment)
      continue;
    segment_name (segment->number, name);
    swarm_disk_ops_truncate (repair, name, segment->size);
  }
  if (self->segments->len > 0) {
    LogSegment *last = segment_at (self, self->segments->len - 1);
    self->synced = (FileMark){ last->number, (guint32) last->size };
  }
  return TRUE;
}

gboolean
raft_log_fit (RaftLog *self, guint64 snapshot_index, guint64 snapshot_term, GArray *repair, GError **error)
{
  const LogEntry *at = raft_log_get (self, snapshot_index);

  if (self->entries->len == 0) {
    raft_log_reset (self, snapshot_index, repair);
    return TRUE;
  }
  if (snapshot_index > 0 && (raft_log_last (self) < snapshot_index || (at != NULL && at->term != snapshot_term))) {
    raft_log_reset (self, snapshot_index, repair);
    return TRUE;
  }
  if (self->first > snapshot_index + 1) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED,
                 "the log begins at entry %" G_GUINT64_FORMAT ", but the newest snapshot ends at %" G_GUINT64_FORMAT ": a file is missing",
                 self->first, snapshot_index);
    return FALSE;
  }
  return TRUE;
}

/* ---- writing ---- */

static void
open_segment (RaftLog *self, GByteArray *out)
{
  LogSegment segment = { .number = self->next_segment++ };

  segment.header.number = segment.number;
  segment.header.mark = self->synced;
  file_header_append (self->seal, MAGIC, &segment.header, out);
  g_array_append_val (self->segments, segment);
}

static void
flush (LogSegment *segment, GByteArray *out, GArray *ops)
{
  char name[32];
  g_autoptr (GBytes) data = g_byte_array_free_to_bytes (out);

  if (g_bytes_get_size (data) == 0)
    return;
  segment_name (segment->number, name);
  swarm_disk_ops_write (ops, name, segment->size, data);
  segment->size += g_bytes_get_size (data);
}

FileMark
raft_log_append (RaftLog *self, guint64 index, const LogEntry *entries, guint n, GArray *ops)
{
  GByteArray *out = g_byte_array_sized_new (512);
  LogSegment *segment = NULL;

  for (guint i = 0; i < n; i++) {
    g_autoptr (GBytes) body = entry_encode (index + i, &entries[i]);

    if (self->segments->len > 0)
      segment = segment_at (self, self->segments->len - 1);
    if (segment == NULL || segment->size + out->len >= self->segment_bytes || segment->header.key_number != self->seal->key_number) {
      if (segment != NULL)
        flush (segment, g_steal_pointer (&out), ops);
      if (out == NULL)
        out = g_byte_array_new ();
      open_segment (self, out);
      segment = segment_at (self, self->segments->len - 1);
    }
    record_append (self->seal, &segment->header, segment->size, self->synced, body, out);
    take_entry (self, index + i, &entries[i]);
  }
  segment = segment_at (self, self->segments->len - 1);
  flush (segment, out, ops);
  return (FileMark){ segment->number, (guint32) segment->size };
}

void
raft_log_synced (RaftLog *self, FileMark mark)
{
  if (file_mark_compare (self->synced, mark) < 0)
    self->synced = mark;
}

void
raft_log_forget (RaftLog *self, guint64 last)
{
  g_array_set_size (self->entries, 0);
  self->bytes = 0;
  self->first = last + 1;
}

void
raft_log_reset (RaftLog *self, guint64 last, GArray *ops)
{
  char name[32];

  raft_log_forget (self, last);
  /* Newest first: what a power cut leaves of this does not reach the snapshot and is dropped at the next start. */
  for (guint i = self->segments->len; i > 0; i--) {
    segment_name (segment_at (self, i - 1)->number, name);
    swarm_disk_ops_unlink (ops, name);
  }
  g_array_set_size (self->segments, 0);
}

gboolean
raft_log_uses_old_key (const RaftLog *self)
{
  for (guint i = 0; i < self->segments->len; i++)
    if (g_array_index (self->segments, LogSegment, i).header.key_number != self->seal->key_number)
      return TRUE;
  return FALSE;
}

void
raft_log_prune (RaftLog *self, guint64 first, GArray *ops)
{
  guint n = 0;
  char name[32];

  if (first > self->first) {
    guint drop = (guint) MIN (first - self->first, self->entries->len);

    for (guint i = 0; i < drop; i++)
      self->bytes -= g_bytes_get_size (g_array_index (self->entries, LogEntry, i).data);
    g_array_remove_range (self->entries, 0, drop);
    self->first = first;
  }
  while (n < self->segments->len && segment_at (self, n)->last < self->first
         && (n + 1 < self->segments->len || segment_at (self, n)->header.key_number != self->seal->key_number)) {
    segment_name (segment_at (self, n)->number, name);
    swarm_disk_ops_unlink (ops, name);
    n++;
  }
  if (n > 0)
    g_array_remove_range (self->segments, 0, n);
}
