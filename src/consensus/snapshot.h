// SPDX-License-Identifier: LGPL-2.1-or-later
/* Snapshot files "snapshot-<index>": written in pieces to "snapshot.new", then renamed. Records: one with the metadata, the data in pieces, an end. */
#pragma once
#include "base/disk.h"
#include "consensus/sealed-file.h"

typedef struct {
  guint64 index, term;
  guint64 conf_index;
  GBytes *conf; /* libraft's encoding */
  GBytes *data;
  guint32 key_number; /* of the data key that seals its file */
} RaftSnapshot;

#define RAFT_SNAPSHOT_NEW "snapshot.new"
#define RAFT_SNAPSHOT_PIECE (256 * 1024)
#define RAFT_SNAPSHOT_MAX (512 * 1024 * 1024)

void raft_snapshot_clear (RaftSnapshot *self);

/* Index from a file's name, 0: not a snapshot. */
guint64 raft_snapshot_index (const char *name);
void raft_snapshot_name (guint64 index, char name[40]);
/* The newest among @names; @ret zeroed when there is none. It must be sound: the log before it may be gone. */
gboolean raft_snapshot_load (const SealContext *seal, SwarmDisk *disk, char **names, RaftSnapshot *ret, GError **error);

/* Writes one in turns: each call gives the next batch, whose end renames the file. */
typedef struct {
  const SealContext *seal;
  RaftSnapshot snapshot; /* references of its own */
  FileHeader header;
  gsize done;     /* bytes of the data */
  guint64 offset; /* in the file */
  gboolean ended;
} SnapshotWriter;

void snapshot_writer_init (SnapshotWriter *self, const SealContext *seal, const RaftSnapshot *snapshot);
void snapshot_writer_clear (SnapshotWriter *self);
/* Adds the next piece; TRUE when it was the last one. */
gboolean snapshot_writer_next (SnapshotWriter *self, GArray *ops);
