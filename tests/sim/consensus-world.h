// SPDX-License-Identifier: LGPL-2.1-or-later
/* The world of test-consensus-sim: members over virtual time, their disks, the network between them, and what was seen of it all. */
#pragma once
#include "consensus/consensus.h"
#include "history.h"
#include "partition.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"

#define MAX_NODES 7
#define MS 1000
#define REGISTERS 6
#define CLIENTS 5

typedef struct _World World;

/* What came about in the stories: none may be missing in a longer run. */
typedef enum {
  FIGURE_ACKNOWLEDGED,
  FIGURE_UNKNOWN, /* nobody knows whether it was done */
  FIGURE_REFUSED,
  FIGURE_CALLS, /* of clients whose histories are judged */
  FIGURE_ELECTIONS,
  FIGURE_BARRIERS,
  FIGURE_CHANGES, /* of members */
  FIGURE_TRANSFERS,
  FIGURE_SNAPSHOTS,
  FIGURE_INSTALLS,
  FIGURE_POWER_CUTS,
  FIGURE_KILLS,
  FIGURE_TORN, /* writes, by power cuts */
  FIGURE_LOST,
  FIGURE_DISK_FAILURES,
  FIGURE_SLOW_DISKS,
  FIGURE_SUSPENDS,
  FIGURE_CLOCK_STEPS,
  FIGURE_DROPPED, /* messages */
  FIGURE_PARTITIONS, /* of each kind: partition.h */
  N_FIGURES = FIGURE_PARTITIONS + _PARTITION_MAX,
} Figure;

typedef struct {
  World *world;
  guint number;
  SwarmId id;
  SwarmClock *clock; /* stands still at times */
  SimDisk *disk;
  SwarmConsensus *consensus; /* NULL: off */
  guint incarnation;         /* of the process: messages to an older one are lost */
  guint64 join_as;           /* raft id to join with */
  gboolean enrolled;         /* has a place in the cluster, as far as its own disk says */
  gint64 boot_at;            /* when it comes back, while off */
  gboolean leads, doomed;
  gint64 disk_min, disk_max; /* how long its writes take while it is well */
  gint64 slow_until;
  guint64 term; /* that it leads */
  guint64 applied, hash, count;
  guint64 registers[REGISTERS];
  guint64 last_due[MAX_NODES];
} Node;

typedef struct {
  guint64 hash; /* of the state after this entry */
  gboolean known;
} Applied;

struct _World {
  guint64 seed;
  SimClock *clock;
  SimRandom random;
  SimCrypto crypto;
  GBytes *key;
  Node nodes[MAX_NODES];
  gboolean cut[MAX_NODES][MAX_NODES];
  GArray *applied;       /* Applied, by index: the one true sequence */
  GHashTable *leaders;   /* term → node number + 1 */
  GHashTable *floors;    /* term → highest index that its leader acknowledged */
  guint64 max_acknowledged;
  guint64 next_value;
  History *history;
  gboolean busy[CLIENTS];
  gboolean faults;
  guint few; /* members are removed until so many voters are left */
  gboolean quiet; /* no more proposals */
  guint loss;     /* percent */
  char *violation;
  guint64 n[N_FIGURES];
};

typedef struct {
  Node *node;
  guint incarnation;
  guint64 term; /* in which it was asked */
  guint target;
  guint64 floor; /* what had been acknowledged when it was asked */
} Request;

void violate (World *world, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* With --verbose. */
void note (World *world, const char *format, ...) G_GNUC_PRINTF (2, 3);
Request *request_new (Node *node);
void boot (Node *node);
/* The process is no more. */
void turn_off (Node *node);
/* As a demoted manager does: the log is deleted. */
void wipe (Node *node);
/* Whoever has a lease reads what was acknowledged. */
void check_leases (World *world);
/* Every client that waits for nothing reads from it, if it thinks that it leads. */
void clients_read (Node *node);

/* ---- consensus-faults.c ---- */

const SwarmConsensusMember *find_member (GArray *members, const SwarmId *id);
/* What the call that adds member request->target says; takes the Request. */
void add_done (guint64 raft_id, const GError *error, gpointer request);
void crash (Node *node);
/* A millisecond in which something may go wrong with one that runs, and with the network. */
void faults_of_node (Node *node);
void faults_of_network (World *world);
/* Disks, clocks and the network are well from now on. */
void faults_end (World *world);
