// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages in and out. Nothing leaves before the term and vote of its step, and of all steps before, are on stable storage. */
#include "consensus/consensus-private.h"

/* Messages that wait for term and vote; older ones are dropped, as a network does. */
#define MAX_OUTBOX 4096
#define MAX_PEERS 256
/* A standby that hears of no leader for so long asks whether it is still a member. */
#define PROBE_US (2 * G_USEC_PER_SEC)
/* What was heard of the leader so long ago says nothing of now. */
#define CURRENT_US (2 * G_USEC_PER_SEC)
/* A lease ends this much (of 16) before the election timeout: clocks run at slightly different speeds. */
#define LEASE_SIXTEENTHS 13

typedef struct {
  SwarmId to;
  GBytes *bytes;
  guint64 needs; /* save of term and vote */
} Outgoing;

static void
outgoing_free (Outgoing *outgoing)
{
  g_bytes_unref (outgoing->bytes);
  g_free (outgoing);
}

/* ---- peers ---- */

static void
peer_free (Peer *peer)
{
  raft_snapshot_clear (&peer->stream.snapshot);
  g_free (peer);
}

/* Forgets peers that are members no more. */
static gboolean
peer_is_stale (gpointer key, gpointer value, gpointer data)
{
  SwarmConsensus *self = data;

  return conf_find (&self->raft.configuration, ((Peer *) value)->raft_id) == NULL;
}

Peer *
traffic_peer (SwarmConsensus *self, guint64 raft_id, const SwarmId *node)
{
  Peer *peer;

  if (self->peers == NULL)
    self->peers = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) peer_free);
  peer = g_hash_table_lookup (self->peers, &raft_id);
  if (peer == NULL) {
    if (g_hash_table_size (self->peers) >= MAX_PEERS)
      g_hash_table_foreach_remove (self->peers, peer_is_stale, self);
    peer = g_new0 (Peer, 1);
    peer->raft_id = raft_id;
    g_hash_table_insert (self->peers, &peer->raft_id, peer);
  }
  peer->node = *node;
  return peer;
}

/* ---- out ---- */

void
traffic_flush (SwarmConsensus *self)
{
  Outgoing *outgoing;

  while (is_running (self) && (outgoing = g_queue_peek_head (&self->outbox)) != NULL && outgoing->needs <= self->meta_synced) {
    g_queue_pop_head (&self->outbox);
    self->events->send (&outgoing->to, outgoing->bytes, self->data);
    outgoing_free (outgoing);
  }
}

static void
post (SwarmConsensus *self, const SwarmId *to, GBytes *bytes)
{
  Outgoing *outgoing = g_new0 (Outgoing, 1);

  outgoing->to = *to;
  outgoing->bytes = bytes;
  outgoing->needs = self->meta_saves;
  g_queue_push_tail (&self->outbox, outgoing);
  if (self->outbox.length > MAX_OUTBOX) {
    outgoing_free (g_queue_pop_head (&self->outbox));
    self->stats.dropped_messages++;
  }
  traffic_flush (self);
}

void
traffic_send (SwarmConsensus *self, const SwarmId *node, Message *message)
{
  message->from = self->raft.id;
  post (self, node, message_encode (message, NULL, 0));
}

/* A follower counts as committed only what is on its own disk when it hears of it. */
static void
note_told (SwarmConsensus *self, Peer *peer, guint64 commit)
{
  raft_index match;

  if (raft_match_index (&self->raft, peer->raft_id, &match) == 0)
    peer->told_commit = MAX (peer->told_commit, MIN (commit, match));
}

/* Entries in messages of a bounded size, each beginning anew at a change of members: libraft takes note of such an entry
 * only when it is the first. */
static void
send_append (SwarmConsensus *self, const SwarmId *node, const struct raft_message *raft)
{
  const struct raft_append_entries *args = &raft->append_entries;
  Message message = { MESSAGE_APPEND, self->raft.id, raft->server_id, (guint64) boottime (self), *raft };
  g_autoptr (GPtrArray) entries = g_ptr_array_new ();
  gsize bytes = 0;

  note_told (self, traffic_peer (self, raft->server_id, node), args->leader_commit);
  for (guint i = 0; i < args->n_entries && is_running (self); i++) {
    const LogEntry *entry = raft_log_get (self->log, args->prev_log_index + 1 + i);

    if (entry == NULL) {
      engine_fail_format (self, "internal error: entry %llu is to be sent but is not in the log", args->prev_log_index + 1 + i);
      return;
    }
    if (entries->len > 0 && (entry->type == RAFT_CHANGE || bytes + g_bytes_get_size (entry->data) > MESSAGE_ENTRY_BYTES)) {
      const LogEntry *last = g_ptr_array_index (entries, entries->len - 1);
      post (self, node, message_encode (&message, (const LogEntry *const *) entries->pdata, entries->len));
      message.raft.append_entries.prev_log_index += entries->len;
      message.raft.append_entries.prev_log_term = last->term;
      g_ptr_array_set_size (entries, 0);
      bytes = 0;
    }
    g_ptr_array_add (entries, (gpointer) entry);
    bytes += g_bytes_get_size (entry->data);
  }
  post (self, node, message_encode (&message, (const LogEntry *const *) entries->pdata, entries->len));
}

static void
send_one (SwarmConsensus *self, const struct raft_message *raft)
{
  Message message = { .to = raft->server_id, .raft = *raft };
  SwarmId node;
  const char *address;

  if (!member_parse (raft->server_address, &node, &address))
    return;
  switch (raft->type) {
  case RAFT_APPEND_ENTRIES:
    send_append (self, &node, raft);
    return;
  case RAFT_INSTALL_SNAPSHOT:
    install_request (self, raft);
    return;
  case RAFT_APPEND_ENTRIES_RESULT:
    message.type = MESSAGE_APPEND_RESULT;
    if (self->echo_from == raft->server_id && self->echo_term == raft->append_entries_result.term)
      message.stamp = self->echo;
    break;
  case RAFT_REQUEST_VOTE:
    message.type = MESSAGE_VOTE;
    break;
  case RAFT_REQUEST_VOTE_RESULT:
    message.type = MESSAGE_VOTE_RESULT;
    /* libraft's no to a question before a vote tells the term that was asked for. Who asks must hear of a higher one, or who has the newest log and the
     * lowest term is refused for its term for ever, and the others for their logs (Ongaro's dissertation, 9.6, with 3.3). */
    if (raft->request_vote_result.pre_vote && !raft->request_vote_result.vote_granted)
      message.raft.request_vote_result.term = MAX (raft->request_vote_result.term, raft_current_term (&self->raft));
    break;
  case RAFT_TIMEOUT_NOW:
    message.type = MESSAGE_TIMEOUT_NOW;
    self->tainted_term = raft->timeout_now.term;
    break;
  default:
    return;
  }
  traffic_send (self, &node, &message);
}

void
traffic_send_raft (SwarmConsensus *self, const struct raft_message *messages, guint n)
{
  for (guint i = 0; i < n && is_running (self); i++)
    send_one (self, &messages[i]);
}

/* An empty message behind what the member is known to have: it may be sent at any time. FALSE: not yet. */
static gboolean
tell_commit (SwarmConsensus *self, Peer *peer)
{
  struct raft_message raft = { .type = RAFT_APPEND_ENTRIES, .server_id = peer->raft_id };
  struct raft_append_entries *args = &raft.append_entries;
  raft_index match;
  const LogEntry *entry;

  if (peer->told_commit >= peer->wanted_commit)
    return TRUE;
  if (raft_match_index (&self->raft, peer->raft_id, &match) != 0 || (entry = raft_log_get (self->log, match)) == NULL)
    return TRUE;
  if (match < peer->wanted_commit) /* it will say when it has it */
    return FALSE;
  args->term = raft_current_term (&self->raft);
  args->prev_log_index = match;
  args->prev_log_term = entry->term;
  args->leader_commit = raft_commit_index (&self->raft);
  send_append (self, &peer->node, &raft);
  return TRUE;
}

void
traffic_tell_commit (SwarmConsensus *self)
{
  for (guint i = 0; raft_leads (self) && self->peers != NULL && i < self->raft.configuration.n; i++) {
    Peer *peer = g_hash_table_lookup (self->peers, &(guint64){ self->raft.configuration.servers[i].id });

    if (peer != NULL && peer->wanted_commit > 0 && tell_commit (self, peer))
      peer->wanted_commit = 0;
  }
}

void
swarm_consensus_hurry (SwarmConsensus *self, const SwarmId *node)
{
  GHashTableIter iter;
  gpointer value;

  if (!raft_leads (self) || self->peers == NULL)
    return;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Peer *peer = value;

    if (swarm_id_equal (&peer->node, node) && peer->told_commit < raft_commit_index (&self->raft)) {
      peer->wanted_commit = raft_commit_index (&self->raft);
      consensus_turn_soon (self);
    }
  }
}

void
traffic_send_removed (SwarmConsensus *self, guint64 raft_id, const SwarmId *node)
{
  Message message = { .type = MESSAGE_REMOVED, .to = raft_id };

  message.conf_index = self->raft.configuration_committed_index;
  traffic_send (self, node, &message);
}

void
traffic_probe (SwarmConsensus *self)
{
  const struct raft_server *own = conf_find (&self->raft.configuration, self->raft.id);
  gint64 now = boottime (self);

  /* Voters ask for votes when they hear of nobody, and learn it so. */
  if (raft_state (&self->raft) != RAFT_FOLLOWER || (own != NULL && own->role == RAFT_VOTER) || now < self->heard_leader + PROBE_US)
    return;
  self->heard_leader = now;
  for (guint i = 0; i < self->raft.configuration.n && is_running (self); i++) {
    const struct raft_server *server = &self->raft.configuration.servers[i];
    Message message = { .type = MESSAGE_PROBE, .to = server->id };
    SwarmId node;
    const char *address;

    if (server->id != self->raft.id && member_parse (server->address, &node, &address))
      traffic_send (self, &node, &message);
  }
}

void
traffic_begin_term (SwarmConsensus *self)
{
  GHashTableIter iter;
  gpointer peer;

  if (self->peers == NULL)
    return;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    ((Peer *) peer)->confirmed = ((Peer *) peer)->told_commit = ((Peer *) peer)->wanted_commit = 0;
}

void
traffic_clear (SwarmConsensus *self)
{
  g_queue_clear_full (&self->outbox, (GDestroyNotify) outgoing_free);
  g_clear_pointer (&self->peers, g_hash_table_unref);
}

/* ---- in ---- */

static void
step_receive (SwarmConsensus *self, Message *message, const SwarmId *from)
{
  const struct raft_server *server = conf_find (&self->raft.configuration, message->raft.server_id);
  g_autofree char *address = server != NULL ? g_strdup (server->address) : member_address (from, "-"); /* answers go by the node in it */
  struct raft_event event = { .type = RAFT_RECEIVE };

  message->raft.server_address = address;
  event.receive.message = &message->raft;
  engine_step (self, &event);
}

/* Gives libraft a run of entries, of which only the first may be a change of members. */
static void
receive_run (SwarmConsensus *self, Message *message, const SwarmId *from, guint start, guint n)
{
  const LogEntry *entries = n > 0 ? &g_array_index (message->entries, LogEntry, start) : NULL;
  g_autofree struct raft_entry *list = g_new0 (struct raft_entry, n);
  struct raft_append_entries *args = &message->raft.append_entries;
  void *token = n > 0 ? raft_malloc (1) : NULL;

  for (guint i = 0; i < n; i++) {
    list[i].term = entries[i].term;
    list[i].type = entries[i].type;
    list[i].buf.base = (void *) g_bytes_get_data (entries[i].data, &list[i].buf.len);
    list[i].batch = token;
  }
  args->entries = list;
  args->n_entries = n;
  self->step_entries = entries;
  self->step_raft_entries = list;
  self->step_took_entries = FALSE;
  step_receive (self, message, from);
  /* What was taken in is ours to free, the rest libraft has freed. */
  if (self->step_took_entries)
    raft_free (token);
}

static void
receive_append (SwarmConsensus *self, Message *message, const SwarmId *from)
{
  struct raft_append_entries *args = &message->raft.append_entries;
  guint n = message->entries->len, start = 0;

  if (args->term >= raft_current_term (&self->raft)) {
    self->echo = message->stamp;
    self->echo_from = message->from;
    self->echo_term = args->term;
    self->heard_leader = self->current_at = boottime (self);
    self->leader_commit = args->leader_commit;
  }
  do {
    guint end = MIN (start + 1, n);

    while (end < n && g_array_index (message->entries, LogEntry, end).type != RAFT_CHANGE)
      end++;
    receive_run (self, message, from, start, end - start);
    args->prev_log_index += end - start;
    if (end > start)
      args->prev_log_term = g_array_index (message->entries, LogEntry, end - 1).term;
    start = end;
  } while (start < n && is_running (self));
}

static void
receive_result (SwarmConsensus *self, Peer *peer, Message *message)
{
  guint64 term = message->raft.append_entries_result.term;

  if (raft_leads (self) && term == raft_current_term (&self->raft))
    peer->confirmed = MAX (peer->confirmed, message->stamp);
  step_receive (self, message, &peer->node);
  if (peer->wanted_commit > 0)
    consensus_turn_soon (self);
}

/* A committed configuration without us that is younger than our being added means removal, whoever says so: raft ids are used once. */
static void
receive_removed (SwarmConsensus *self, Message *message)
{
  if (message->conf_index <= raft_id_index (self->raft.id))
    return;
  self->is_removed = TRUE;
  self->state = STATE_ENDED;
  swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
  consensus_turn_soon (self);
}

static void
set_own_role (SwarmConsensus *self, int role)
{
  for (guint i = 0; i < self->raft.configuration.n; i++)
    if (self->raft.configuration.servers[i].id == self->raft.id)
      self->raft.configuration.servers[i].role = role;
}

/* Who heard nothing of his leader for an election timeout has none. A voter begins an election then, a standby of libraft never does: it would refuse its
 * vote for the sake of a leader that is long gone, and be it the same one that asks. */
static void
leave_silent_leader (SwarmConsensus *self)
{
  struct raft *raft = &self->raft;

  if (raft_state (raft) != RAFT_FOLLOWER || boottime (self) < self->current_at + election_us (self))
    return;
  raft->follower_state.current_leader.id = 0;
  raft_free (raft->follower_state.current_leader.address);
  raft->follower_state.current_leader.address = NULL;
}

/* A standby votes, too, if it is asked: it may have been made a voter by an entry that only the candidate has, and then there may be no majority
 * without it (Raft dissertation, 4.1; libraft refuses). Its vote counts only where the candidate's configuration says so. */
static void
receive_vote (SwarmConsensus *self, Peer *peer, Message *message)
{
  const struct raft_server *own = conf_find (&self->raft.configuration, self->raft.id);
  int role = own != NULL ? own->role : RAFT_VOTER;

  /* What this node promised a leader before it started anew, it does not remember: it keeps still as long as that may hold. */
  if (!message->raft.request_vote.disrupt_leader && boottime (self) < self->started_at + election_us (self)) {
    self->stats.dropped_messages++;
    return;
  }
  if (role != RAFT_VOTER)
    leave_silent_leader (self);
  set_own_role (self, RAFT_VOTER);
  step_receive (self, message, &peer->node);
  if (own != NULL)
    set_own_role (self, role);
}

static void
dispatch (SwarmConsensus *self, Peer *peer, Message *message)
{
  switch (message->type) {
  case MESSAGE_APPEND:
    receive_append (self, message, &peer->node);
    break;
  case MESSAGE_APPEND_RESULT:
    receive_result (self, peer, message);
    break;
  case MESSAGE_VOTE:
    receive_vote (self, peer, message);
    break;
  case MESSAGE_VOTE_RESULT:
  case MESSAGE_TIMEOUT_NOW:
    step_receive (self, message, &peer->node);
    break;
  case MESSAGE_SNAPSHOT:
    install_receive (self, peer, message);
    break;
  case MESSAGE_SNAPSHOT_ACK:
    install_acknowledged (self, peer, message);
    break;
  case MESSAGE_REMOVED:
    receive_removed (self, message);
    break;
  case MESSAGE_PROBE:
    break;
  }
}

/* What this member has was all that there is, a moment ago: who its members are above all. */
static gboolean
knows_members (SwarmConsensus *self)
{
  return raft_leads (self) ? swarm_consensus_has_lease (self) : swarm_consensus_is_current (self);
}

/* Does the sender's raft id belong to the node that it came from? FALSE: drop the message. */
static gboolean
check_sender (SwarmConsensus *self, const Message *message, const SwarmId *from)
{
  const struct raft_server *server = conf_find (&self->raft.configuration, message->from);
  SwarmId node;
  const char *address;

  if (server != NULL)
    return member_parse (server->address, &node, &address) && swarm_id_equal (&node, from);
  if (self->raft.configuration_committed.n == 0 || conf_find (&self->raft.configuration_committed, message->from) != NULL)
    return TRUE;
  if (message->type == MESSAGE_VOTE || message->type == MESSAGE_PROBE)
    traffic_send_removed (self, message->from, from);
  /* A leader or candidate that we do not know yet may know more than we; but one that was removed may also claim so. */
  return !knows_members (self);
}

void
swarm_consensus_receive (SwarmConsensus *self, const SwarmId *from, GBytes *bytes)
{
  g_auto (Message) message = { 0 };
  Peer *peer;

  if (!is_running (self))
    return;
  if (!message_decode (bytes, &message) || message.to != self->raft.id || message.from == self->raft.id
      || !check_sender (self, &message, from)) {
    self->stats.dropped_messages++;
    return;
  }
  consensus_ref (self);
  peer = traffic_peer (self, message.from, from);
  peer->heard = boottime (self);
  dispatch (self, peer, &message);
  consensus_unref (self);
}

void
swarm_consensus_peer_connected (SwarmConsensus *self, const SwarmId *peer)
{
  swarm_consensus_peer_disconnected (self, peer);
}

void
swarm_consensus_peer_disconnected (SwarmConsensus *self, const SwarmId *node)
{
  GHashTableIter iter;
  gpointer value;

  for (GList *l = self->outbox.head, *next; l != NULL; l = next) {
    Outgoing *outgoing = l->data;
    next = l->next;
    if (swarm_id_equal (&outgoing->to, node)) {
      outgoing_free (outgoing);
      g_queue_delete_link (&self->outbox, l);
    }
  }
  if (self->peers == NULL)
    return;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (swarm_id_equal (&((Peer *) value)->node, node)) {
      ((Peer *) value)->told_commit = ((Peer *) value)->wanted_commit = 0;
      install_peer_gone (self, value);
    }
}

/* ---- the lease ---- */

static int
compare_down (gconstpointer a, gconstpointer b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x > y ? -1 : x < y;
}

gint64
traffic_confirmed_at (SwarmConsensus *self)
{
  guint64 confirmed[MAX_MEMBERS];
  guint voters = conf_voters (&self->raft.configuration), n = 0;

  if (voters <= 1)
    return boottime (self);
  for (guint i = 0; i < self->raft.configuration.n; i++) {
    const struct raft_server *server = &self->raft.configuration.servers[i];
    Peer *peer = self->peers != NULL ? g_hash_table_lookup (self->peers, &(guint64){ server->id }) : NULL;

    if (server->role == RAFT_VOTER && server->id != self->raft.id && n < MAX_MEMBERS)
      confirmed[n++] = peer != NULL ? peer->confirmed : 0;
  }
  qsort (confirmed, n, sizeof *confirmed, compare_down);
  /* Half of the voters, rounded down, are a majority together with this node. */
  return (gint64) confirmed[voters / 2 - 1];
}

/* Followers that took in a message of ours vote for nobody else for an election timeout after it. The lease counts from when the
 * message was made that a majority has confirmed (Raft dissertation, 6.4.1). */
gboolean
swarm_consensus_has_lease (SwarmConsensus *self)
{
  const struct raft_server *own;
  gint64 confirmed;

  if (!is_ready_leader (self) || self->tainted_term == raft_current_term (&self->raft) || membership_transferring (self))
    return FALSE;
  own = conf_find (&self->raft.configuration, self->raft.id);
  if (own == NULL || own->role != RAFT_VOTER)
    return FALSE;
  confirmed = traffic_confirmed_at (self);
  return confirmed > 0 && boottime (self) < confirmed + election_us (self) * LEASE_SIXTEENTHS / 16;
}

gint64
swarm_consensus_current_at (SwarmConsensus *self)
{
  return raft_leads (self) ? MAX (traffic_confirmed_at (self), self->current_at) : self->current_at;
}

gboolean
swarm_consensus_is_current (SwarmConsensus *self)
{
  if (is_ready_leader (self))
    return TRUE;
  return is_running (self) && raft_state (&self->raft) == RAFT_FOLLOWER && boottime (self) - self->current_at < CURRENT_US
         && self->applied >= self->leader_commit;
}
