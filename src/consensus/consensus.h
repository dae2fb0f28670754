// SPDX-License-Identifier: LGPL-2.1-or-later
/* The replicated log: Raft (libraft 0.22, driven through its pure raft_step()) over SwarmDisk, SwarmClock and a send function.
 * One object per manager. Everything runs on the loop; nothing here blocks, but swarm_consensus_start() reads its files synchronously.
 *
 * Callbacks never come from within a call into this object, except where it is said. swarm_consensus_free() is allowed at any time, also from
 * within a callback; no callback follows it (calls that still wait fail with CANCELLED from within free). */
#pragma once
#include "base/clock.h"
#include "base/crypto.h"
#include "base/disk.h"
#include "base/error.h"
#include "base/id.h"
#include "base/random.h"

typedef struct _SwarmConsensus SwarmConsensus;

/* Largest entry that can be proposed, and largest message handed to send(). */
#define SWARM_CONSENSUS_MAX_ENTRY (1664 * 1024)
#define SWARM_CONSENSUS_MAX_MESSAGE (1792 * 1024)

typedef struct {
  SwarmId node;
  guint64 raft_id;   /* new for every time the node joins: a node that lost its disk must not vote under its old number */
  char address[64];  /* HOST:PORT that others dial */
  gboolean voter;    /* else standby: gets the log, does not count */
  gboolean leader;   /* as far as this node knows */
  gboolean reachable; /* on the leader: heard from within an election timeout; elsewhere: only self and leader */
  guint64 match_index; /* on the leader: replicated up to here; else 0 */
} SwarmConsensusMember;

/* Gives back what events.encode was asked for; consumes nothing; call exactly once, from the loop, also when consensus is gone by then. */
typedef void (*SwarmConsensusEncodedFunc) (GBytes *snapshot, gpointer encoded_data);

typedef struct {
  /* One committed entry, in order, each exactly once since the state that restore() or an empty start gave. FALSE: it cannot be applied;
   * consensus stops with `fatal`. @ours: the entry was proposed here and its done function is called right after this. */
  gboolean (*apply) (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error);
  /* A cheap, consistent handle of the state after the last applied entry. */
  gpointer (*snapshot) (gpointer data);
  /* Consumes the handle; encodes it anywhere (a thread) and calls @done from the loop; never from within. */
  void (*encode) (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data);
  /* Replaces the whole state; also from within swarm_consensus_start(). FALSE: consensus stops with `fatal`. */
  gboolean (*restore) (guint64 index, GBytes *snapshot, gpointer data, GError **error);
  /* Hands a message to the transport; lost messages are fine, but per peer they arrive in order, and what is left from an
   * older connection must never arrive after something from a newer one. */
  void (*send) (const SwarmId *to, GBytes *message, gpointer data);
  /* Leadership or the known leader changed. @is_leader becomes TRUE only when the state holds everything committed before: loops may start.
   * @leader is NIL when unknown. */
  void (*role_changed) (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data);
  /* The members in force changed (swarm_consensus_members()). */
  void (*members_changed) (gpointer data);
  /* The leader says that this node is a member no more. Nothing else follows but free. */
  void (*removed) (gpointer data);
  /* The disk failed, the log cannot be applied, or an invariant broke: nothing is acknowledged from now on, leadership is given up.
   * @error is for people. Nothing else follows but free. */
  void (*fatal) (const GError *error, gpointer data);
} SwarmConsensusEvents;

typedef struct {
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmDisk *disk;
  SwarmCrypto *crypto;
  GBytes *key; /* 32 bytes, seals records and snapshots; NULL: in clear (tests only) */
  guint32 key_number; /* stands in each file; @old_key opens files of the key before */
  GBytes *old_key;    /* NULL: none */
  guint32 old_key_number;
  /* HOST:PORT: what is on disk is taken for committed, and this node becomes the only member, under a new raft id: the others, and what they
   * send to the one that it was, have no say any more. NULL: as it is on disk. */
  const char *alone;
  SwarmId node;
  SwarmId cluster;
  guint election_timeout_ms;   /* 0: 300; drawn between this and its double */
  guint heartbeat_ms;          /* 0: 60 */
  guint snapshot_entries;      /* 0: 1000; a snapshot is taken after so many entries … */
  guint64 snapshot_bytes;      /* 0: 4 MiB; … or so many bytes of them; less often when the state itself is larger */
  guint trailing_entries;      /* 0: 250; kept behind a snapshot for followers that lag (never more than half of snapshot_bytes) */
  guint64 segment_bytes;       /* 0: 2 MiB */
} SwarmConsensusConfig;

/* @index is the log index (0 on error). Called exactly once, never from within the call that took it.
 * Errors: NO_QUORUM (not leader, or leadership is being transferred; nothing happened), LIMIT_EXCEEDED (too large, too many wait; nothing happened),
 * UNKNOWN (leadership or the disk was lost after the entry left: nobody here can know), CANCELLED (freed; outcome as UNKNOWN). */
typedef void (*SwarmConsensusDoneFunc) (guint64 index, const GError *error, gpointer data);

/* Copies @config (references to key; the interfaces must outlive the object). @events must stay valid. */
SwarmConsensus *swarm_consensus_new (const SwarmConsensusConfig *config, const SwarmConsensusEvents *events, gpointer data);
void swarm_consensus_free (SwarmConsensus *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmConsensus, swarm_consensus_free)

/* ---- start ---- */
typedef enum {
  SWARM_CONSENSUS_EMPTY,   /* no state on disk: bootstrap or join comes next */
  SWARM_CONSENSUS_STARTED, /* loaded and running */
} SwarmConsensusStart;
/* Loads meta, snapshot and log, restores the newest snapshot and starts to run. A torn tail that was never acknowledged is cut; any other damage
 * is an error that names file and offset, and nothing runs. Synchronous. */
gboolean swarm_consensus_start (SwarmConsensus *self, SwarmConsensusStart *ret_state, GError **error);
/* Operations that write a log which begins with @state as of @index, and with config->node at @address as its only member, into an empty directory;
 * then swarm_consensus_start() finds it there. */
GArray *swarm_consensus_make_log (const SwarmConsensusConfig *config, const char *address, guint64 index, GBytes *state);
/* First member of a new cluster (after EMPTY); it leads soon after. */
void swarm_consensus_bootstrap (SwarmConsensus *self, const char *address);
/* Member of an existing one (after EMPTY) under the raft id that swarm_consensus_add() gave on the leader; waits for the leader's messages. */
void swarm_consensus_join (SwarmConsensus *self, guint64 raft_id);

/* ---- the log ---- */
/* Proposes one entry; done comes after it was applied here. Leader only. */
void swarm_consensus_propose (SwarmConsensus *self, GBytes *entry, SwarmConsensusDoneFunc done, gpointer data);
/* Leader only: done (index = applied index) once everything committed before the call is applied and leadership is proven by a majority:
 * what is read then is current. One round for all that wait; free under a lease. */
void swarm_consensus_barrier (SwarmConsensus *self, SwarmConsensusDoneFunc done, gpointer data);
/* TRUE while a majority has confirmed the leadership recently enough that nobody else can lead: what is applied here is current. Check before answering. */
gboolean swarm_consensus_has_lease (SwarmConsensus *self);
/* Boottime µs when this member last knew that what it has is current: as leader, when a majority confirmed that; else when it heard from the
 * leader. 0: not since its start. */
gint64 swarm_consensus_current_at (SwarmConsensus *self);
/* Everything that the leader had committed when it was last heard, a moment ago, is applied here. FALSE: the state is one of the past, and not to be
 * judged by. */
gboolean swarm_consensus_is_current (SwarmConsensus *self);
/* Leader: @node is waited for to have what is committed by now; it is told in this turn, not with the next heartbeat. */
void swarm_consensus_hurry (SwarmConsensus *self, const SwarmId *node);
/* Any member: done once @index is applied here (a client reads its own writes), TIMED_OUT after @timeout_us. */
void swarm_consensus_wait (SwarmConsensus *self, guint64 index, gint64 timeout_us, SwarmConsensusDoneFunc done, gpointer data);

/* ---- messages ---- */
/* What @from's send() gave out. @from is the authenticated peer. Garbage is dropped and counted. */
void swarm_consensus_receive (SwarmConsensus *self, const SwarmId *from, GBytes *message);
/* A connection to @peer came up or went away: transfers that depend on it start over. */
void swarm_consensus_peer_connected (SwarmConsensus *self, const SwarmId *peer);
void swarm_consensus_peer_disconnected (SwarmConsensus *self, const SwarmId *peer);

/* ---- membership: leader only, one change at a time (else FAILED_PRECONDITION), done when committed ---- */
typedef void (*SwarmConsensusAddedFunc) (guint64 raft_id, const GError *error, gpointer data);
/* Adds @node as standby and gives the raft id it must join with. ALREADY_EXISTS with its raft id when it is a member already:
 * if it lost its state, remove it first. */
void swarm_consensus_add (SwarmConsensus *self, const SwarmId *node, const char *address, SwarmConsensusAddedFunc done, gpointer data);
/* Makes a standby a voter as soon as it has caught up; UNAVAILABLE when it does not within 30 s or another change comes first meanwhile.
 * Fine when it is one. */
void swarm_consensus_promote (SwarmConsensus *self, const SwarmId *node, SwarmConsensusDoneFunc done, gpointer data);
/* FAILED_PRECONDITION when the rest would have no quorum of reachable voters, or for the leader itself (transfer first). Fine when it is none. */
void swarm_consensus_remove (SwarmConsensus *self, const SwarmId *node, SwarmConsensusDoneFunc done, gpointer data);
void swarm_consensus_set_address (SwarmConsensus *self, const SwarmId *node, const char *address, SwarmConsensusDoneFunc done, gpointer data);
/* Hands leadership to @to (NIL or NULL: the best voter); done when somebody else leads, UNAVAILABLE when it did not come about. */
void swarm_consensus_transfer (SwarmConsensus *self, const SwarmId *to, SwarmConsensusDoneFunc done, gpointer data);

/* ---- state ---- */
/* TRUE between role_changed (TRUE, …) and the next role_changed. */
gboolean swarm_consensus_is_leader (SwarmConsensus *self);
/* NIL when unknown. */
SwarmId swarm_consensus_leader (SwarmConsensus *self);
/* Others have taken this member out: it has ended, and its log is worth nothing. */
gboolean swarm_consensus_is_removed (SwarmConsensus *self);
guint64 swarm_consensus_term (SwarmConsensus *self);
guint64 swarm_consensus_applied_index (SwarmConsensus *self);
guint64 swarm_consensus_commit_index (SwarmConsensus *self);
guint64 swarm_consensus_raft_id (SwarmConsensus *self);
/* Array of SwarmConsensusMember in joining order; caller frees. Never NULL. */
GArray *swarm_consensus_members (SwarmConsensus *self);
/* From now on a snapshot is taken after @entries (0: the default), and @trailing are kept behind it. Also from within apply and restore. */
void swarm_consensus_set_snapshots (SwarmConsensus *self, guint64 entries, guint64 trailing);
/* Takes a snapshot now, whatever the thresholds say (before a stop, in tests). */
void swarm_consensus_compact (SwarmConsensus *self);

/* From here on everything is sealed with @key; what the present key sealed is written anew as soon as may be. The caller has brought both keys to
 * stable storage. Only when nothing is left of the key before the present one (swarm_consensus_uses_old_key()). Nothing happens when @number is the present one. */
void swarm_consensus_set_key (SwarmConsensus *self, guint32 number, GBytes *key);
gboolean swarm_consensus_uses_old_key (SwarmConsensus *self);
/* The number of the key that new files are sealed with. */
guint32 swarm_consensus_key_number (SwarmConsensus *self);

typedef struct {
  guint64 log_entries, log_bytes;       /* in memory */
  guint64 first_index, last_index, stored_index, snapshot_index;
  guint64 elections, snapshots_taken, snapshots_installed, dropped_messages;
} SwarmConsensusStats;
/* Counts since the start, and what is there now. */
void swarm_consensus_stats (SwarmConsensus *self, SwarmConsensusStats *ret);
