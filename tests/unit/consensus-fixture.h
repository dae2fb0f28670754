// SPDX-License-Identifier: LGPL-2.1-or-later
/* Several members of the replicated log over a network that obeys, for tests. */
#pragma once
#include "base/error.h"
#include "consensus/consensus.h"
#include "consensus/message.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"

#define N_MAX 34
#define MS 1000
#define SECOND G_USEC_PER_SEC
#define PACKET_US 500

typedef struct _Group Group;

typedef struct {
  Group *group;
  guint number;
  SwarmId id;
  SimDisk *disk;
  SwarmConsensus *consensus; /* NULL: off */
  guint incarnation;
  guint64 raft_id;
  GString *state; /* all entries applied, "text;" each */
  guint64 applied, restored;
  gboolean leads, removed;
  SwarmId leader;
  guint roles, members_told;
  char *fatal;
} Member;

struct _Group {
  SimClock *clock;
  SimRandom random;
  SimCrypto crypto;
  GBytes *key;
  Member members[N_MAX];
  gboolean cut[N_MAX][N_MAX];
  guint sent[16];      /* messages by type */
  guint lose;          /* the next so many of type @lose_type */
  MessageType lose_type;
  gsize largest;       /* message */
  guint64 votes_need[N_MAX]; /* batches that a member's disk must have done when it asks for votes, or gives one; 0: not looked at */
  guint votes;               /* so many were looked at */
  guint64 stream;      /* of the newest piece of a snapshot */
  GBytes *piece;       /* that message */
  gsize padding;       /* of snapshots, so that they are large */
  guint trailing;
  guint64 snapshot_entries;
};

/* What a caller was told. */
typedef struct {
  guint done;
  guint64 index;
  guint64 raft_id;
  GError *error;
  gint64 at;
  Group *group;
} Answer;

void answer_clear (Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

gint64 now (Group *g);
void run (Group *g, gint64 us);
/* Callbacks for an Answer. */
void note (guint64 index, const GError *error, gpointer data);
void note_added (guint64 raft_id, const GError *error, gpointer data);
gboolean is_done (gpointer data);
/* The answer comes within @us, and is fine, or this error. */
void wait_fine (Group *g, Answer *answer, gint64 us);
void wait_error (Group *g, Answer *answer, gint64 us, SwarmError code, const char *text);
/* A member's process; its disk stays. */
void stop (Group *g, guint n);
void start (Group *g, guint n);
/* Waits until somebody leads. */
Member *leader (Group *g);
void add (Group *g, guint n, Answer *answer);
void add_standby (Group *g, guint n);
void promote (Group *g, guint n);
/* Member 0 begins the cluster, others join it and vote. */
Group *group_new (guint voters);
void group_free (Group *g);
/* Cuts one off from all others, or heals it. */
void cut_off (Group *g, guint n, gboolean is_cut);
/* @answer: NULL, nobody waits. */
void propose (Member *m, const char *text, gsize len, Answer *answer);
void propose_fine (Group *g, const char *text);
void propose_many (Group *g, guint n);
/* What @m says of member @n; zeros: nothing. */
SwarmConsensusMember member_of (Member *m, guint n);
guint n_members (Member *m);
SwarmConsensusStats stats_of (Member *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Group, group_free)
