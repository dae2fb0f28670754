// SPDX-License-Identifier: LGPL-2.1-or-later
/* Snapshots from the leader to a follower that lags too far: pieces with a small window, outside of libraft, which sees a snapshot
 * only when it is complete. */
#include "consensus/consensus-private.h"

#define WINDOW (4 * RAFT_SNAPSHOT_PIECE)
/* A stream that makes no progress for so long is given up; libraft asks again. */
#define STALL_US (2 * G_USEC_PER_SEC)
#define KEEP_US (10 * G_USEC_PER_SEC)

/* ---- leader ---- */

static void
stream_clear (SnapshotStream *stream)
{
  raft_snapshot_clear (&stream->snapshot);
  *stream = (SnapshotStream){ 0 };
}

static gsize
stream_size (const SnapshotStream *stream)
{
  return g_bytes_get_size (stream->snapshot.data);
}

static void
stream_send (SwarmConsensus *self, Peer *peer)
{
  SnapshotStream *stream = &peer->stream;
  gsize size = stream_size (stream);
  gboolean first = stream->sent == 0 && stream->acknowledged == 0;

  while (is_running (self) && (stream->sent < size || first) && stream->sent - stream->acknowledged < WINDOW) {
    Message message = { .type = MESSAGE_SNAPSHOT, .to = peer->raft_id };
    gsize n = MIN (size - stream->sent, RAFT_SNAPSHOT_PIECE);
    g_autoptr (GBytes) piece = g_bytes_new_from_bytes (stream->snapshot.data, stream->sent, n);

    message.term = raft_current_term (&self->raft);
    message.stream = stream->id;
    message.offset = stream->sent;
    message.size = size;
    message.snapshot = stream->snapshot;
    message.snapshot.data = piece;
    stream->sent += n;
    first = FALSE;
    traffic_send (self, &peer->node, &message);
  }
}

static void
stream_start (SwarmConsensus *self, Peer *peer)
{
  SnapshotStream *stream = &peer->stream;

  stream_clear (stream);
  peer->wants_snapshot = FALSE;
  stream->id = ++self->streams;
  stream->snapshot = self->encoded;
  g_bytes_ref (stream->snapshot.conf);
  g_bytes_ref (stream->snapshot.data);
  stream->progress = boottime (self);
  stream_send (self, peer);
}

/* Encoded state is kept only while somebody needs it. */
static void
streams_idle (gpointer data)
{
  SwarmConsensus *self = data;
  GHashTableIter iter;
  gpointer value;

  self->stream_timer = NULL;
  raft_snapshot_clear (&self->encoded);
  if (self->peers == NULL)
    return;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    stream_clear (&((Peer *) value)->stream);
    ((Peer *) value)->wants_snapshot = FALSE;
  }
}

static void
keep_encoded (SwarmConsensus *self)
{
  swarm_clock_clear_timer (self->config.clock, &self->stream_timer);
  self->stream_timer = swarm_clock_timer (self->config.clock, KEEP_US, SWARM_PRIORITY_NORMAL, streams_idle, self);
}

void
install_request (SwarmConsensus *self, const struct raft_message *message)
{
  SwarmId node;
  const char *address;
  Peer *peer;

  if (!member_parse (message->server_address, &node, &address))
    return;
  peer = traffic_peer (self, message->server_id, &node);
  /* libraft asks with every heartbeat until the follower has it. */
  if (peer->wants_snapshot || (peer->stream.id != 0 && boottime (self) < peer->stream.progress + STALL_US))
    return;
  keep_encoded (self);
  /* What is kept may lie before the first entry of the log by now. */
  if (self->encoded.data != NULL && self->encoded.index >= message->install_snapshot.last_index) {
    stream_start (self, peer);
    return;
  }
  peer->wants_snapshot = TRUE;
  self->want_snapshot = TRUE;
  consensus_turn_soon (self);
}

void
install_encoded (SwarmConsensus *self, const RaftSnapshot *snapshot)
{
  GHashTableIter iter;
  gpointer value;
  gboolean wanted = FALSE;

  if (self->peers == NULL || !raft_leads (self))
    return;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    wanted = wanted || ((Peer *) value)->wants_snapshot;
  if (!wanted)
    return;
  raft_snapshot_clear (&self->encoded);
  self->encoded = *snapshot;
  g_bytes_ref (self->encoded.conf);
  g_bytes_ref (self->encoded.data);
  keep_encoded (self);
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Peer *) value)->wants_snapshot)
      stream_start (self, value);
}

void
install_acknowledged (SwarmConsensus *self, Peer *peer, const Message *message)
{
  SnapshotStream *stream = &peer->stream;

  if (stream->id == 0 || message->stream != stream->id || !raft_leads (self) || message->offset > stream_size (stream))
    return;
  if (message->offset > stream->acknowledged) {
    stream->acknowledged = message->offset;
    stream->progress = boottime (self);
    keep_encoded (self);
  }
  stream->sent = MAX (stream->sent, stream->acknowledged);
  stream_send (self, peer);
}

void
install_peer_gone (SwarmConsensus *self, Peer *peer)
{
  stream_clear (&peer->stream);
  peer->wants_snapshot = FALSE;
}

/* ---- follower ---- */

static void
incoming_clear (Incoming *incoming)
{
  raft_snapshot_clear (&incoming->snapshot);
  g_clear_pointer (&incoming->data, g_byte_array_unref);
}

static void
acknowledge (SwarmConsensus *self, Peer *peer)
{
  Incoming *incoming = &self->incoming;
  Message message = { .type = MESSAGE_SNAPSHOT_ACK, .to = peer->raft_id };

  message.term = incoming->term;
  message.stream = incoming->stream;
  message.offset = incoming->data->len;
  traffic_send (self, &peer->node, &message);
}

/* All is here: libraft decides whether it is wanted. */
static void
incoming_complete (SwarmConsensus *self, Peer *peer)
{
  Incoming *incoming = &self->incoming;
  g_autofree char *address = member_address (&peer->node, "-");
  struct raft_message raft = { .type = RAFT_INSTALL_SNAPSHOT, .server_id = peer->raft_id };
  struct raft_event event = { .type = RAFT_RECEIVE };

  raft_snapshot_clear (&self->installing);
  self->installing = incoming->snapshot;
  incoming->snapshot = (RaftSnapshot){ 0 };
  self->installing.data = g_byte_array_free_to_bytes (g_steal_pointer (&incoming->data));
  raft.server_address = address;
  raft.install_snapshot.version = 0;
  raft.install_snapshot.term = incoming->term;
  raft.install_snapshot.last_index = self->installing.index;
  raft.install_snapshot.last_term = self->installing.term;
  raft.install_snapshot.conf_index = self->installing.conf_index;
  conf_decode (self->installing.conf, &raft.install_snapshot.conf);
  raft.install_snapshot.data.base = raft_malloc (1);
  raft.install_snapshot.data.len = 1;
  event.receive.message = &raft;
  engine_step (self, &event);
  if (!self->raft.snapshot.installing)
    raft_snapshot_clear (&self->installing);
}

void
install_receive (SwarmConsensus *self, Peer *peer, Message *message)
{
  Incoming *incoming = &self->incoming;

  if (message->term < raft_current_term (&self->raft) || self->raft.snapshot.installing)
    return;
  if (message->offset == 0) {
    incoming_clear (incoming);
    incoming->from = peer->raft_id;
    incoming->stream = message->stream;
    incoming->term = message->term;
    incoming->size = message->size;
    incoming->snapshot = message->snapshot;
    incoming->snapshot.conf = g_bytes_ref (message->snapshot.conf);
    incoming->snapshot.data = NULL;
    incoming->data = g_byte_array_new ();
  }
  if (incoming->data == NULL || incoming->from != peer->raft_id || incoming->stream != message->stream || incoming->term != message->term
      || incoming->size != message->size)
    return;
  if (message->offset == incoming->data->len) {
    gsize n;
    const guint8 *data = g_bytes_get_data (message->snapshot.data, &n);
    g_byte_array_append (incoming->data, data, (guint) n);
  }
  acknowledge (self, peer);
  if (is_running (self) && incoming->data->len == incoming->size)
    incoming_complete (self, peer);
}

/* The file is in place: the state becomes what it says. */
static void
installed (SwarmConsensus *self, gpointer unused)
{
  struct raft_event event = { .type = RAFT_PERSISTED_SNAPSHOT };
  GArray *ops = swarm_disk_ops_new ();
  guint64 old = self->snapshot.index;
  GError *error = NULL;

  raft_log_reset (self->log, self->installing.index, ops);
  snapshot_remove_old (self, old, ops);
  engine_submit (self, ops, NULL, NULL, NULL);
  raft_snapshot_clear (&self->snapshot);
  self->snapshot = self->installing;
  self->snapshot.key_number = self->writer.header.key_number;
  self->installing = (RaftSnapshot){ 0 };
  self->bytes_since = 0;
  if (!self->events->restore (self->snapshot.index, self->snapshot.data, self->data, &error)) {
    engine_fail_format (self, "the snapshot from the leader cannot be loaded: %s", error != NULL ? error->message : "unknown error");
    g_clear_error (&error);
  }
  g_clear_pointer (&self->snapshot.data, g_bytes_unref);
  if (!is_running (self))
    return;
  self->stats.snapshots_installed++;
  self->applied = self->snapshot.index;
  self->conf_scanned = self->snapshot.index;
  event.persisted_snapshot.metadata = self->installing_meta;
  event.persisted_snapshot.last = true;
  self->installing_meta.configuration = (struct raft_configuration){ 0 };
  engine_step (self, &event);
}

void
install_persist (SwarmConsensus *self, struct raft_update *update)
{
  raft_free (update->snapshot.chunk.base);
  self->installing_meta = update->snapshot.metadata;
  snapshot_cancel (self);
  /* The entries are gone for libraft, and so for us; writes of them that are under way count no more. */
  raft_log_forget (self->log, self->installing.index);
  for (GList *l = self->writes.head; l != NULL; l = l->next)
    ((PendingWrite *) l->data)->n = 0;
  snapshot_write (self, &self->installing, installed);
}

void
install_clear (SwarmConsensus *self)
{
  swarm_clock_clear_timer (self->config.clock, &self->stream_timer);
  raft_snapshot_clear (&self->encoded);
  raft_snapshot_clear (&self->installing);
  raft_configuration_close (&self->installing_meta.configuration);
  self->installing_meta.configuration = (struct raft_configuration){ 0 };
  incoming_clear (&self->incoming);
}
