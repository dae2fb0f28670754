// SPDX-License-Identifier: LGPL-2.1-or-later
/* The object behind consensus.h and what its files call of each other:
 *   consensus.c   life and state                    engine.c    raft_step() and what comes out of it, disk, timers
 *   traffic.c     messages in and out, the lease    apply.c     committed entries, taking snapshots
 *   install.c     snapshots from leader to follower proposals.c proposals, barriers, waiting
 *   membership.c  changes of members, transfer */
#pragma once
#include "consensus/consensus.h"
#include "consensus/log.h"
#include "consensus/members.h"
#include "consensus/message.h"
#include "consensus/meta.h"
#include "consensus/snapshot.h"

typedef enum {
  STATE_NEW,      /* not started, or started EMPTY */
  STATE_STARTING, /* what raft starts from is being brought to stable storage */
  STATE_RUNNING,
  STATE_ENDED, /* failed or removed: nothing is acknowledged any more */
  STATE_FREED,
} State;

/* A snapshot on its way to a follower. */
typedef struct {
  guint64 id; /* 0: none */
  RaftSnapshot snapshot;
  gsize sent, acknowledged;
  gint64 progress; /* boottime */
} SnapshotStream;

typedef struct {
  guint64 raft_id;
  SwarmId node;
  gint64 heard;      /* boottime of the last message, 0: none */
  guint64 confirmed; /* our stamp that its last result confirmed, in the current term */
  guint64 told_commit;   /* it knows that what was committed so far is, by messages on this connection */
  guint64 wanted_commit; /* somebody waits for this there */
  gboolean wants_snapshot;
  SnapshotStream stream;
} Peer;

/* A snapshot on its way from the leader. */
typedef struct {
  guint64 from, stream, term, size;
  RaftSnapshot snapshot;
  GByteArray *data; /* NULL: none */
} Incoming;

/* A write of entries that is not on stable storage yet. */
typedef struct {
  guint64 index;
  guint n; /* how many of them still count: later ones were replaced meanwhile */
  FileMark mark;
} PendingWrite;

typedef struct _Proposal Proposal;
typedef struct _Change Change;
typedef struct _SnapshotTask SnapshotTask;

struct _SwarmConsensus {
  gint ref_count; /* one for the owner, one per batch or encoding under way */
  State state;
  SwarmConsensusConfig config;
  const SwarmConsensusEvents *events;
  gpointer data;
  SealContext seal;

  struct raft raft;
  gboolean raft_open;
  RaftMeta meta;
  FileMark bootstrap_mark;
  guint64 meta_saves, meta_synced; /* messages made after save n leave when n is synced */
  RaftLog *log;
  GQueue writes; /* PendingWrite */
  guint64 applied;
  guint64 conf_scanned; /* committed configurations up to here were told libraft */
  const LogEntry *step_entries; /* what the running step was given, as libraft does not copy it */
  struct raft_entry *step_raft_entries;
  gboolean step_took_entries;

  GQueue outbox; /* Outgoing */
  GHashTable *peers; /* &raft_id → Peer */
  guint64 echo;      /* stamp of the leader's newest message, to be sent back */
  guint64 echo_from, echo_term;
  gint64 started_at;
  gint64 heard_leader; /* boottime */
  guint64 leader_commit; /* as it told when it was heard */
  gint64 current_at;   /* boottime: see swarm_consensus_current_at(), but while it leads */

  SwarmTimer *raft_timer;
  gint64 raft_due;
  SwarmTimer *turn_timer;

  /* leadership */
  guint64 ready_term;    /* an entry of this term was applied while leading it */
  guint64 barrier_term;  /* an entry of our own was put into the log of this term */
  guint64 tainted_term;  /* leadership may be handed over in this term at any time: no lease */
  gboolean told_leader;
  SwarmId told_leader_id;
  guint64 told_term;
  guint64 told_conf_index, told_conf_uncommitted;
  gboolean is_removed;
  GError *failure;
  gboolean end_told;

  /* proposals */
  GQueue queued;      /* Proposal, to be submitted */
  GQueue proposed;    /* Proposal, in the log, by index */
  gsize proposed_bytes;
  GQueue completions; /* Completion */
  GQueue waiters;     /* Waiter */

  Change *change;

  /* snapshots */
  RaftSnapshot snapshot; /* the newest on disk, without data */
  guint64 bytes_since;   /* of applied entries since then */
  guint64 snapshot_size; /* of the last one taken */
  SnapshotTask *saving;
  gboolean want_snapshot;
  SnapshotWriter writer; /* the file under way, local or received */
  gboolean writing;
  RaftSnapshot encoded;  /* with data, for streams */
  guint64 streams;
  SwarmTimer *stream_timer;
  Incoming incoming;
  RaftSnapshot installing; /* received, being written */
  struct raft_snapshot_metadata installing_meta;
  SwarmConsensusStats stats;
};

static inline gboolean
is_running (SwarmConsensus *self)
{
  return self->state == STATE_RUNNING;
}

static inline gint64
boottime (SwarmConsensus *self)
{
  return swarm_clock_boottime (self->config.clock);
}

/* Boottime when a message was made that a majority of voters has confirmed; 0: none in this term. */
gint64 traffic_confirmed_at (SwarmConsensus *self);

static inline gint64
election_us (SwarmConsensus *self)
{
  return (gint64) self->config.election_timeout_ms * 1000;
}

static inline gboolean
raft_leads (SwarmConsensus *self)
{
  return is_running (self) && raft_state (&self->raft) == RAFT_LEADER;
}

/* Leads, and the state holds everything that was committed before. */
static inline gboolean
is_ready_leader (SwarmConsensus *self)
{
  return raft_leads (self) && self->ready_term == raft_current_term (&self->raft);
}

/* ---- consensus.c ---- */
SwarmConsensus *consensus_ref (SwarmConsensus *self);
void consensus_unref (SwarmConsensus *self);
/* Has the turn run soon: that is where callbacks are made and deferred work is done. */
void consensus_turn_soon (SwarmConsensus *self);

/* ---- engine.c ---- */
typedef void (*JobFunc) (SwarmConsensus *self, gpointer data);
/* Submits a batch; @func is called when it is on stable storage, unless this ended before; @data is freed with @destroy either way.
 * A failure ends this object. Takes @ops. */
void engine_submit (SwarmConsensus *self, GArray *ops, JobFunc func, gpointer data, GDestroyNotify destroy);
/* Gives @event to libraft and carries out what it answers. FALSE: refused (only SUBMIT and TRANSFER), or ended. */
gboolean engine_step (SwarmConsensus *self, struct raft_event *event);
/* Puts entries into the leader's log; FALSE: refused. */
gboolean engine_append (SwarmConsensus *self, const LogEntry *entries, guint n);
/* Starts libraft on what was loaded. */
void engine_start (SwarmConsensus *self);
void engine_save_meta (SwarmConsensus *self, JobFunc func);
void engine_clear (SwarmConsensus *self);
/* Takes @error: this object acknowledges nothing any more. */
void engine_fail (SwarmConsensus *self, GError *error);
void engine_fail_format (SwarmConsensus *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* ---- traffic.c ---- */
void traffic_send_raft (SwarmConsensus *self, const struct raft_message *messages, guint n);
void traffic_send (SwarmConsensus *self, const SwarmId *node, Message *message);
void traffic_flush (SwarmConsensus *self);
/* Tells members for whom somebody waits what is committed. */
void traffic_tell_commit (SwarmConsensus *self);
/* Asks the others whether this node is still a member, when it hears of no leader for long. */
void traffic_probe (SwarmConsensus *self);
/* This node leads a new term: what was confirmed before does not count. */
void traffic_begin_term (SwarmConsensus *self);
void traffic_clear (SwarmConsensus *self);
Peer *traffic_peer (SwarmConsensus *self, guint64 raft_id, const SwarmId *node);
/* Tells members that are no more. */
void traffic_send_removed (SwarmConsensus *self, guint64 raft_id, const SwarmId *node);

/* ---- apply.c ---- */
void apply_some (SwarmConsensus *self);
/* Takes a snapshot when it is time or wanted. */
void snapshot_maybe (SwarmConsensus *self);
/* Writes @snapshot piece by piece; @done is called when it is in place. */
void snapshot_write (SwarmConsensus *self, const RaftSnapshot *snapshot, JobFunc done);
/* Removes all snapshot files but the newest. */
void snapshot_remove_old (SwarmConsensus *self, guint64 old_index, GArray *ops);
void snapshot_cancel (SwarmConsensus *self);

/* ---- install.c ---- */
void install_request (SwarmConsensus *self, const struct raft_message *message);
void install_encoded (SwarmConsensus *self, const RaftSnapshot *snapshot);
void install_receive (SwarmConsensus *self, Peer *peer, Message *message);
void install_acknowledged (SwarmConsensus *self, Peer *peer, const Message *message);
/* libraft wants the received snapshot on disk. */
void install_persist (SwarmConsensus *self, struct raft_update *update);
void install_peer_gone (SwarmConsensus *self, Peer *peer);
void install_clear (SwarmConsensus *self);

/* ---- proposals.c ---- */
/* Is the entry at @index one that was proposed here? */
gboolean proposals_ours (SwarmConsensus *self, guint64 index, guint64 term);
void proposals_applied (SwarmConsensus *self, guint64 index, guint64 term);
void proposals_submit (SwarmConsensus *self);
/* Gives up what was proposed in a term that this node leads no more. */
void proposals_lost (SwarmConsensus *self);
void proposals_complete (SwarmConsensus *self);
void proposals_clear (SwarmConsensus *self);
/* Calls @done from the next turn. @error is taken. */
void proposals_answer (SwarmConsensus *self, SwarmConsensusDoneFunc done, gpointer data, guint64 index, GError *error);
/* A barrier entry of our own begins the term. */
void proposals_begin_term (SwarmConsensus *self);

/* ---- membership.c ---- */
void membership_work (SwarmConsensus *self);
void membership_applied (SwarmConsensus *self, guint64 index, guint64 term);
void membership_lost (SwarmConsensus *self);
void membership_clear (SwarmConsensus *self);
gboolean membership_transferring (SwarmConsensus *self);
