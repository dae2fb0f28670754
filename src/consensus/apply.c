// SPDX-License-Identifier: LGPL-2.1-or-later
/* Committed entries into the state, and the state into snapshots. */
#include "consensus/consensus-private.h"

/* One turn applies for so long, then lets others run. */
#define SLICE_US 4000
#define MAX_SEGMENTS 64

/* ---- applying ---- */

/* FALSE: ended meanwhile. */
static gboolean
apply_one (SwarmConsensus *self, guint64 index)
{
  const LogEntry *found = raft_log_get (self->log, index);
  LogEntry entry;

  if (found == NULL) {
    engine_fail_format (self, "internal error: committed entry %" G_GUINT64_FORMAT " is not in the log", index);
    return FALSE;
  }
  entry = (LogEntry){ found->term, found->type, g_bytes_ref (found->data) };
  self->applied = index;
  self->bytes_since += g_bytes_get_size (entry.data);
  if (entry.type == RAFT_COMMAND) {
    GError *error = NULL;
    if (!self->events->apply (index, entry.data, proposals_ours (self, index, entry.term), self->data, &error)) {
      engine_fail_format (self, "entry %" G_GUINT64_FORMAT " of the log cannot be applied: %s", index,
                          error != NULL ? error->message : "unknown error");
      g_clear_error (&error);
    }
  }
  g_bytes_unref (entry.data);
  if (!is_running (self))
    return FALSE;
  if (raft_leads (self) && entry.term == raft_current_term (&self->raft))
    self->ready_term = entry.term;
  proposals_applied (self, index, entry.term);
  membership_applied (self, index, entry.term);
  return is_running (self);
}

void
apply_some (SwarmConsensus *self)
{
  gint64 end = boottime (self) + SLICE_US;

  while (is_running (self) && !self->raft.snapshot.installing && self->applied < raft_commit_index (&self->raft)) {
    if (!apply_one (self, self->applied + 1))
      return;
    if (boottime (self) > end) {
      consensus_turn_soon (self);
      return;
    }
  }
}

/* ---- snapshot files ---- */

static void write_next (SwarmConsensus *self, JobFunc done);

typedef struct {
  JobFunc done;
  guint64 index;
} Piece;

static void
piece_written (SwarmConsensus *self, gpointer data)
{
  Piece *piece = data;

  /* Another snapshot may have taken over. */
  if (!self->writing || self->writer.snapshot.index != piece->index)
    return;
  if (!self->writer.ended) {
    write_next (self, piece->done);
    return;
  }
  self->writing = FALSE;
  snapshot_writer_clear (&self->writer);
  piece->done (self, NULL);
}

static void
write_next (SwarmConsensus *self, JobFunc done)
{
  GArray *ops = swarm_disk_ops_new ();
  Piece *piece = g_new0 (Piece, 1);

  piece->done = done;
  piece->index = self->writer.snapshot.index;
  snapshot_writer_next (&self->writer, ops);
  engine_submit (self, ops, piece_written, piece, g_free);
}

void
snapshot_write (SwarmConsensus *self, const RaftSnapshot *snapshot, JobFunc done)
{
  if (self->writing)
    snapshot_writer_clear (&self->writer);
  snapshot_writer_init (&self->writer, &self->seal, snapshot);
  self->writing = TRUE;
  write_next (self, done);
}

void
snapshot_remove_old (SwarmConsensus *self, guint64 old_index, GArray *ops)
{
  char name[40];

  if (old_index == 0)
    return;
  raft_snapshot_name (old_index, name);
  swarm_disk_ops_unlink (ops, name);
}

/* ---- taking one ---- */

struct _SnapshotTask {
  SwarmConsensus *self; /* a reference */
  RaftSnapshot snapshot;
  gboolean cancelled;
  gboolean keep; /* on disk, too: it is newer than what is there */
};

static void
task_free (SnapshotTask *task)
{
  SwarmConsensus *self = task->self;

  if (self->saving == task)
    self->saving = NULL;
  raft_snapshot_clear (&task->snapshot);
  g_free (task);
  consensus_unref (self);
}

/* Entries to keep behind the snapshot: not too many, not too large. */
static guint
trailing_entries (SwarmConsensus *self, guint64 index)
{
  guint64 bytes = 0;
  guint n = 0;

  while (n < self->config.trailing_entries && index - n >= self->log->first) {
    const LogEntry *entry = raft_log_get (self->log, index - n);
    if (entry == NULL || (bytes += g_bytes_get_size (entry->data)) > self->config.snapshot_bytes / 2)
      break;
    n++;
  }
  return n;
}

/* The file is in place: libraft and the log may forget what it covers. */
static void
task_written (SwarmConsensus *self, gpointer unused)
{
  SnapshotTask *task = self->saving;
  struct raft_event event = { .type = RAFT_SNAPSHOT };
  guint64 old = self->snapshot.index;
  GArray *ops;

  if (task == NULL)
    return;
  if (is_running (self) && !self->raft.snapshot.installing && task->snapshot.index > self->snapshot.index) {
    g_clear_pointer (&task->snapshot.data, g_bytes_unref);
    raft_snapshot_clear (&self->snapshot);
    self->snapshot = task->snapshot;
    self->snapshot.conf = g_bytes_ref (task->snapshot.conf);
    event.snapshot.metadata.index = self->snapshot.index;
    event.snapshot.metadata.term = self->snapshot.term;
    event.snapshot.metadata.configuration_index = self->snapshot.conf_index;
    conf_decode (self->snapshot.conf, &event.snapshot.metadata.configuration);
    self->snapshot.key_number = self->writer.header.key_number;
    event.snapshot.trailing = raft_log_uses_old_key (self->log) ? 0 : trailing_entries (self, self->snapshot.index);
    if (engine_step (self, &event)) {
      ops = swarm_disk_ops_new ();
      snapshot_remove_old (self, old, ops);
      raft_log_prune (self->log, self->raft.trail.offset + 1, ops);
      engine_submit (self, ops, NULL, NULL, NULL);
      self->stats.snapshots_taken++;
    }
  }
  task_free (task);
}

static void
task_encoded (GBytes *bytes, gpointer data)
{
  SnapshotTask *task = data;
  SwarmConsensus *self = task->self;

  if (!is_running (self) || task->cancelled || self->raft.snapshot.installing) {
    task_free (task);
    return;
  }
  if (bytes == NULL || g_bytes_get_size (bytes) > RAFT_SNAPSHOT_MAX) {
    engine_fail_format (self, "the state cannot be saved: its snapshot is too large");
    task_free (task);
    return;
  }
  task->snapshot.data = g_bytes_ref (bytes);
  self->snapshot_size = g_bytes_get_size (bytes);
  install_encoded (self, &task->snapshot);
  if (task->keep)
    snapshot_write (self, &task->snapshot, task_written);
  else
    task_free (task);
}

/* Large states are written less often: what is written grows with the log, not with the state. */
static gboolean
is_due (SwarmConsensus *self)
{
  guint64 entries = self->applied - self->snapshot.index;

  if (entries > 0 && (raft_log_uses_old_key (self->log) || (self->snapshot.index > 0 && self->snapshot.key_number != self->seal.key_number)))
    return TRUE;
  return (entries >= self->config.snapshot_entries && self->bytes_since >= self->snapshot_size / 4)
         || entries >= (guint64) self->config.snapshot_entries * 16 || self->bytes_since >= MAX (self->config.snapshot_bytes, self->snapshot_size)
         || self->log->segments->len > MAX_SEGMENTS;
}

/* The configuration as of @index: libraft may know of a later one. NULL: none. */
static GBytes *
configuration_at (SwarmConsensus *self, guint64 index, guint64 *ret_index)
{
  for (guint64 i = index; i >= self->log->first && i > self->snapshot.index; i--) {
    const LogEntry *entry = raft_log_get (self->log, i);

    if (entry != NULL && entry->type == RAFT_CHANGE) {
      *ret_index = i;
      return g_bytes_ref (entry->data);
    }
  }
  *ret_index = self->snapshot.conf_index;
  return self->snapshot.conf != NULL ? g_bytes_ref (self->snapshot.conf) : NULL;
}

void
snapshot_maybe (SwarmConsensus *self)
{
  g_autoptr (GBytes) conf = NULL;
  guint64 conf_index;
  const LogEntry *entry;
  SnapshotTask *task;

  if (!is_running (self) || self->saving != NULL || self->raft.snapshot.installing || self->applied == 0)
    return;
  if (!self->want_snapshot && (!is_due (self) || self->applied == self->snapshot.index))
    return;
  entry = raft_log_get (self->log, self->applied);
  conf = configuration_at (self, self->applied, &conf_index);
  if ((entry == NULL && self->applied != self->snapshot.index) || conf == NULL)
    return;
  task = g_new0 (SnapshotTask, 1);
  task->self = consensus_ref (self);
  task->keep = self->applied > self->snapshot.index;
  task->snapshot.index = self->applied;
  task->snapshot.term = entry != NULL ? entry->term : self->snapshot.term;
  task->snapshot.conf_index = conf_index;
  task->snapshot.conf = g_steal_pointer (&conf);
  self->saving = task;
  self->want_snapshot = FALSE;
  if (task->keep)
    self->bytes_since = 0;
  self->events->encode (self->events->snapshot (self->data), task_encoded, task, self->data);
}

void
snapshot_cancel (SwarmConsensus *self)
{
  SnapshotTask *task = self->saving;
  gboolean written = self->writing && task != NULL && self->writer.snapshot.index == task->snapshot.index;

  if (self->writing)
    snapshot_writer_clear (&self->writer);
  self->writing = FALSE;
  self->saving = NULL;
  if (task == NULL)
    return;
  task->cancelled = TRUE;
  /* While it is being encoded, its callback frees it. */
  if (written)
    task_free (task);
}

void
swarm_consensus_set_key (SwarmConsensus *self, guint32 number, GBytes *key)
{
  if (number == self->seal.key_number)
    return;
  g_clear_pointer (&self->seal.old_key, g_bytes_unref);
  self->seal.old_key = g_steal_pointer (&self->seal.key);
  self->seal.old_key_number = self->seal.key_number;
  self->seal.key = g_bytes_ref (key);
  self->seal.key_number = number;
  if (is_running (self))
    engine_save_meta (self, NULL);
  swarm_consensus_compact (self);
}

gboolean
swarm_consensus_uses_old_key (SwarmConsensus *self)
{
  return raft_log_uses_old_key (self->log) || (self->snapshot.index > 0 && self->snapshot.key_number != self->seal.key_number)
         || (self->meta.raft_id != 0 && self->meta.key_number != self->seal.key_number);
}

guint32
swarm_consensus_key_number (SwarmConsensus *self)
{
  return self->seal.key_number;
}

void
swarm_consensus_compact (SwarmConsensus *self)
{
  self->want_snapshot = TRUE;
  consensus_turn_soon (self);
}
