// SPDX-License-Identifier: LGPL-2.1-or-later
/* The log: entries in memory, and on disk in segment files "log-<number>" that are only ever appended to. An entry with an index that is there
 * already replaces it and all that follow. All changes are operations for the caller's batch. */
#pragma once
#include "base/disk.h"
#include "consensus/sealed-file.h"

typedef struct {
  guint64 term;
  guint8 type; /* enum raft_entry_type */
  GBytes *data;
} LogEntry;

typedef struct {
  guint32 number;
  guint64 first, last; /* entries that still count; last < first: none */
  guint64 size;
  FileHeader header;
} LogSegment;

typedef struct {
  const SealContext *seal;
  guint64 segment_bytes;
  GArray *entries; /* LogEntry */
  guint64 first;   /* index of the first of them, or of the next one when there is none */
  guint64 bytes;   /* of their data */
  GArray *segments; /* LogSegment, oldest first */
  guint32 next_segment;
  FileMark synced; /* everything before it is on stable storage */
} RaftLog;

RaftLog *raft_log_new (const SealContext *seal, guint64 segment_bytes);
void raft_log_free (RaftLog *self);

/* Reads all segments among @names. A tail that was never acknowledged is dropped; anything else that is wrong is an error. @repair gets what makes the
 * disk agree and brings to stable storage what was found: it must be done before anything else is written or sent. */
gboolean raft_log_load (RaftLog *self, SwarmDisk *disk, char **names, GArray *repair, GError **error);
/* What to do with the loaded log in the light of the newest snapshot (0: none): it is dropped when it does not lead up to it.
 * FALSE when entries are missing. */
gboolean raft_log_fit (RaftLog *self, guint64 snapshot_index, guint64 snapshot_term, GArray *repair, GError **error);

guint64 raft_log_last (const RaftLog *self);
/* NULL when it is not there. Valid until the next change. */
const LogEntry *raft_log_get (const RaftLog *self, guint64 index);
/* Puts @n entries (their data is referenced) at @index; returns the place that is safe once the batch with @ops is done. */
FileMark raft_log_append (RaftLog *self, guint64 index, const LogEntry *entries, guint n, GArray *ops);
void raft_log_synced (RaftLog *self, FileMark mark);
/* Forgets the entries in memory (they are about to be replaced by a snapshot up to @last). */
void raft_log_forget (RaftLog *self, guint64 last);
/* Removes all segments; the log goes on behind @last. */
void raft_log_reset (RaftLog *self, guint64 last, GArray *ops);
/* Is there a segment that is sealed with another data key than the present one? */
gboolean raft_log_uses_old_key (const RaftLog *self);
/* Removes entries before @first, and segments that hold none any more but the newest: that is written to, unless its data key is an old one. */
void raft_log_prune (RaftLog *self, guint64 first, GArray *ops);
