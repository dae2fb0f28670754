// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/consensus-private.h"

#define SNAPSHOT_ENTRIES 1000

static void
set_default (guint *value, guint def)
{
  if (*value == 0)
    *value = def;
}

SwarmConsensus *
swarm_consensus_new (const SwarmConsensusConfig *config, const SwarmConsensusEvents *events, gpointer data)
{
  SwarmConsensus *self = g_new0 (SwarmConsensus, 1);

  self->ref_count = 1;
  self->config = *config;
  set_default (&self->config.election_timeout_ms, 300);
  set_default (&self->config.heartbeat_ms, 60);
  set_default (&self->config.snapshot_entries, SNAPSHOT_ENTRIES);
  set_default (&self->config.trailing_entries, 250);
  if (self->config.snapshot_bytes == 0)
    self->config.snapshot_bytes = 4 * 1024 * 1024;
  if (self->config.segment_bytes == 0)
    self->config.segment_bytes = 2 * 1024 * 1024;
  self->events = events;
  self->data = data;
  self->seal.crypto = config->crypto;
  self->seal.key = config->key != NULL ? g_bytes_ref (config->key) : NULL;
  self->seal.key_number = config->key_number;
  self->seal.old_key = config->old_key != NULL ? g_bytes_ref (config->old_key) : NULL;
  self->seal.old_key_number = config->old_key_number;
  self->seal.random = config->random;
  self->seal.cluster = config->cluster;
  self->log = raft_log_new (&self->seal, self->config.segment_bytes);
  return self;
}

void
swarm_consensus_set_snapshots (SwarmConsensus *self, guint64 entries, guint64 trailing)
{
  self->config.snapshot_entries = (guint) MIN (entries, G_MAXUINT);
  self->config.trailing_entries = (guint) MIN (trailing, G_MAXUINT);
  set_default (&self->config.snapshot_entries, SNAPSHOT_ENTRIES);
}

SwarmConsensus *
consensus_ref (SwarmConsensus *self)
{
  self->ref_count++;
  return self;
}

void
consensus_unref (SwarmConsensus *self)
{
  if (--self->ref_count > 0)
    return;
  engine_clear (self);
  g_queue_clear_full (&self->writes, g_free);
  raft_log_free (self->log);
  raft_snapshot_clear (&self->snapshot);
  g_clear_pointer (&self->seal.key, g_bytes_unref);
  g_clear_pointer (&self->seal.old_key, g_bytes_unref);
  g_clear_error (&self->failure);
  g_free (self);
}

void
swarm_consensus_free (SwarmConsensus *self)
{
  if (self == NULL)
    return;
  self->state = STATE_FREED;
  swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
  snapshot_cancel (self);
  install_clear (self);
  membership_clear (self);
  proposals_clear (self);
  traffic_clear (self);
  swarm_clock_clear_timer (self->config.clock, &self->turn_timer);
  consensus_unref (self);
}

/* ---- turns ---- */

static void
tell_role (SwarmConsensus *self)
{
  gboolean leads = is_ready_leader (self);
  SwarmId leader = swarm_consensus_leader (self);
  guint64 term = swarm_consensus_term (self);

  if (leads == self->told_leader && swarm_id_equal (&leader, &self->told_leader_id) && (term == self->told_term || !leads))
    return;
  /* A new term of our own is told as an end and a beginning. */
  if (leads && self->told_leader) {
    self->told_leader = FALSE;
    self->events->role_changed (FALSE, &SWARM_ID_NIL, self->told_term, self->data);
    if (!is_running (self))
      return;
  }
  self->told_leader = leads;
  self->told_leader_id = leader;
  self->told_term = term;
  self->events->role_changed (leads, &leader, term, self->data);
}

static void
tell_members (SwarmConsensus *self)
{
  if (self->told_conf_index == self->raft.configuration_committed_index
      && self->told_conf_uncommitted == self->raft.configuration_uncommitted_index)
    return;
  self->told_conf_index = self->raft.configuration_committed_index;
  self->told_conf_uncommitted = self->raft.configuration_uncommitted_index;
  self->events->members_changed (self->data);
}

/* The last things that are told. */
static void
tell_end (SwarmConsensus *self)
{
  proposals_lost (self);
  membership_lost (self);
  proposals_submit (self);
  if (self->told_leader) {
    self->told_leader = FALSE;
    self->events->role_changed (FALSE, &SWARM_ID_NIL, self->told_term, self->data);
  }
  proposals_complete (self);
  if (self->state != STATE_ENDED || self->end_told)
    return;
  self->end_told = TRUE;
  if (self->is_removed)
    self->events->removed (self->data);
  else
    self->events->fatal (self->failure, self->data);
}

/* Everything that is put off happens here, and all callbacks but send(). */
static void
turn (gpointer data)
{
  SwarmConsensus *self = consensus_ref (data);

  self->turn_timer = NULL;
  if (is_running (self))
    apply_some (self);
  if (is_running (self))
    proposals_begin_term (self);
  if (is_running (self))
    proposals_lost (self);
  if (is_running (self))
    tell_members (self);
  if (is_running (self))
    tell_role (self);
  if (is_running (self))
    membership_work (self);
  if (is_running (self))
    proposals_submit (self);
  if (is_running (self))
    traffic_tell_commit (self);
  if (is_running (self))
    snapshot_maybe (self);
  if (self->state == STATE_ENDED)
    tell_end (self);
  else if (self->state != STATE_FREED)
    proposals_complete (self);
  consensus_unref (self);
}

void
consensus_turn_soon (SwarmConsensus *self)
{
  if (self->turn_timer == NULL && self->state != STATE_FREED)
    self->turn_timer = swarm_clock_timer (self->config.clock, 0, SWARM_PRIORITY_URGENT, turn, self);
}

/* ---- start ---- */

static void
start_raft (SwarmConsensus *self, gpointer unused)
{
  if (self->state == STATE_STARTING)
    engine_start (self);
}

static void
bootstrap_written (SwarmConsensus *self, gpointer unused)
{
  FileMark *mark = &self->bootstrap_mark;

  raft_log_synced (self->log, *mark);
  self->meta.bootstrap[0] = '\0';
  engine_save_meta (self, start_raft);
}

/* The first entry of every log: the configuration with this node alone. */
static void
write_bootstrap (SwarmConsensus *self, gpointer unused)
{
  struct raft_configuration conf;
  g_autofree char *address = member_address (&self->config.node, self->meta.bootstrap);
  g_autoptr (GBytes) bytes = NULL;
  GArray *ops = swarm_disk_ops_new ();
  LogEntry entry = { 1, RAFT_CHANGE, NULL };

  raft_configuration_init (&conf);
  if (raft_configuration_add (&conf, self->meta.raft_id, address, RAFT_VOTER) != 0)
    g_error ("out of memory");
  entry.data = bytes = conf_encode (&conf);
  raft_configuration_close (&conf);
  self->bootstrap_mark = raft_log_append (self->log, 1, &entry, 1, ops);
  engine_submit (self, ops, bootstrap_written, NULL, NULL);
}

void
swarm_consensus_bootstrap (SwarmConsensus *self, const char *address)
{
  g_return_if_fail (self->state == STATE_NEW && self->meta.raft_id == 0 && strlen (address) < sizeof self->meta.bootstrap);

  self->meta.raft_id = raft_id_new (self->config.random, 1);
  self->meta.node = self->config.node;
  self->meta.term = 1;
  g_strlcpy (self->meta.bootstrap, address, sizeof self->meta.bootstrap);
  self->state = STATE_STARTING;
  engine_save_meta (self, write_bootstrap);
}

void
swarm_consensus_join (SwarmConsensus *self, guint64 raft_id)
{
  g_return_if_fail (self->state == STATE_NEW && self->meta.raft_id == 0 && raft_id != 0);

  self->meta.raft_id = raft_id;
  self->meta.node = self->config.node;
  self->state = STATE_STARTING;
  engine_save_meta (self, start_raft);
}

static gboolean
load (SwarmConsensus *self, GArray *repair, GError **error)
{
  SwarmDisk *disk = self->config.disk;
  g_auto (GStrv) names = disk->list (disk, error);

  if (names == NULL || !raft_meta_load (&self->seal, disk, &self->meta, error)
      || !raft_snapshot_load (&self->seal, disk, names, &self->snapshot, error) || !raft_log_load (self->log, disk, names, repair, error))
    return FALSE;
  if (self->meta.raft_id == 0 && (self->snapshot.index > 0 || self->log->segments->len > 0)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the file " RAFT_META_NAME " is missing beside the log");
    return FALSE;
  }
  if (self->meta.raft_id != 0 && !swarm_id_equal (&self->meta.node, &self->config.node)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "the log belongs to another node (%s)",
                 swarm_id_string (&self->meta.node).str);
    return FALSE;
  }
  if (!raft_log_fit (self->log, self->snapshot.index, self->snapshot.term, repair, error))
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    if (raft_snapshot_index (names[i]) != 0 && raft_snapshot_index (names[i]) != self->snapshot.index)
      swarm_disk_ops_unlink (repair, names[i]);
  /* Leftovers; and with this the directory itself is synced. */
  swarm_disk_ops_unlink (repair, RAFT_META_NEW);
  swarm_disk_ops_unlink (repair, RAFT_SNAPSHOT_NEW);
  return TRUE;
}

/* The configuration with this node as its only member. */
static GBytes *
alone_conf (SwarmConsensus *self, const char *host)
{
  struct raft_configuration conf;
  g_autofree char *address = member_address (&self->config.node, host);
  GBytes *bytes;

  raft_configuration_init (&conf);
  if (raft_configuration_add (&conf, self->meta.raft_id, address, RAFT_VOTER) != 0)
    g_error ("out of memory");
  bytes = conf_encode (&conf);
  raft_configuration_close (&conf);
  return bytes;
}

/* The log's last entry becomes a configuration with this node alone. A crash in the middle leaves a member of nothing, that can be made alone again. */
static void
make_alone (SwarmConsensus *self, GArray *repair)
{
  guint64 index = raft_log_last (self->log) + 1;
  g_autoptr (GBytes) conf = NULL;
  LogEntry entry = { ++self->meta.term, RAFT_CHANGE, NULL };

  self->meta.raft_id = raft_id_new (self->config.random, index);
  self->meta.vote = 0;
  self->meta.bootstrap[0] = '\0';
  entry.data = conf = alone_conf (self, self->config.alone);
  raft_log_append (self->log, index, &entry, 1, repair);
  raft_meta_save (&self->seal, &self->meta, repair);
}

GArray *
swarm_consensus_make_log (const SwarmConsensusConfig *config, const char *address, guint64 index, GBytes *state)
{
  g_autoptr (SwarmConsensus) self = swarm_consensus_new (config, NULL, NULL);
  GArray *ops = swarm_disk_ops_new ();
  RaftSnapshot snapshot = { .index = index, .term = 1, .conf_index = index, .data = state };
  g_autoptr (GBytes) conf = NULL;
  SnapshotWriter writer;

  self->meta = (RaftMeta){ .term = 1, .raft_id = raft_id_new (config->random, index), .node = config->node };
  snapshot.conf = conf = alone_conf (self, address);
  snapshot_writer_init (&writer, &self->seal, &snapshot);
  while (!snapshot_writer_next (&writer, ops))
    ;
  snapshot_writer_clear (&writer);
  raft_meta_save (&self->seal, &self->meta, ops);
  return ops;
}

gboolean
swarm_consensus_start (SwarmConsensus *self, SwarmConsensusStart *ret_state, GError **error)
{
  g_autoptr (GArray) repair = swarm_disk_ops_new ();

  g_return_val_if_fail (self->state == STATE_NEW, FALSE);
  if (!load (self, repair, error))
    return FALSE;
  if (self->meta.raft_id == 0) {
    *ret_state = SWARM_CONSENSUS_EMPTY;
    return TRUE;
  }
  if (self->snapshot.index > 0
      && !self->events->restore (self->snapshot.index, self->snapshot.data, self->data, error))
    return FALSE;
  g_clear_pointer (&self->snapshot.data, g_bytes_unref);
  self->applied = self->conf_scanned = self->snapshot.index;
  self->state = STATE_STARTING;
  if (self->config.alone != NULL)
    make_alone (self, repair);
  if (self->snapshot.index > 0 || self->log->entries->len > 0)
    self->meta.bootstrap[0] = '\0';
  if (self->meta.bootstrap[0] != '\0')
    engine_submit (self, g_steal_pointer (&repair), write_bootstrap, NULL, NULL);
  else
    engine_submit (self, g_steal_pointer (&repair), start_raft, NULL, NULL);
  *ret_state = SWARM_CONSENSUS_STARTED;
  return TRUE;
}

/* ---- state ---- */

gboolean
swarm_consensus_is_leader (SwarmConsensus *self)
{
  return self->told_leader;
}

gboolean
swarm_consensus_is_removed (SwarmConsensus *self)
{
  return self->is_removed;
}

SwarmId
swarm_consensus_leader (SwarmConsensus *self)
{
  raft_id id = 0;
  const char *address = NULL;
  const struct raft_server *server;
  Peer *peer;
  SwarmId node = SWARM_ID_NIL;

  if (!is_running (self))
    return node;
  if (raft_state (&self->raft) == RAFT_LEADER)
    return is_ready_leader (self) ? self->config.node : node;
  if (raft_state (&self->raft) == RAFT_FOLLOWER)
    id = self->raft.follower_state.current_leader.id;
  if (id == 0)
    return node;
  server = conf_find (&self->raft.configuration, id);
  if (server != NULL && member_parse (server->address, &node, &address))
    return node;
  peer = self->peers != NULL ? g_hash_table_lookup (self->peers, &id) : NULL;
  return peer != NULL ? peer->node : node;
}

guint64
swarm_consensus_term (SwarmConsensus *self)
{
  return self->raft_open ? raft_current_term (&self->raft) : self->meta.term;
}

guint64
swarm_consensus_applied_index (SwarmConsensus *self)
{
  return self->applied;
}

guint64
swarm_consensus_commit_index (SwarmConsensus *self)
{
  return self->raft_open ? raft_commit_index (&self->raft) : self->applied;
}

guint64
swarm_consensus_raft_id (SwarmConsensus *self)
{
  return self->meta.raft_id;
}

void
swarm_consensus_stats (SwarmConsensus *self, SwarmConsensusStats *ret)
{
  *ret = self->stats;
  ret->log_entries = self->log->entries->len;
  ret->log_bytes = self->log->bytes;
  ret->first_index = self->log->first;
  ret->last_index = raft_log_last (self->log);
  ret->stored_index = self->raft_open ? self->raft.last_stored : 0;
  ret->snapshot_index = self->snapshot.index;
}
