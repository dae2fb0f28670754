// SPDX-License-Identifier: LGPL-2.1-or-later
/* One simulated host and the agent on it: the real worker, and on managers the real brain and log. Containers (runtime-sim) live on the
 * host, not in the agent: they outlive it. */
#pragma once
#include "consensus/consensus.h"
#include "manager/manager.h"
#include "manager/stack.h"
#include "plugin/scheduler-set.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"
#include "sim/sim-hurry.h"
#include "sim/sim-log.h"
#include "sim/sim-net.h"
#include "worker/worker.h"

typedef struct _SimMachine SimMachine;

/* What all machines share. */
typedef struct {
  SimClock *sim;
  SwarmClock *clock;
  SimHurry hurry; /* what looks at the clock cost the brains' passes */
  SimRandom random;
  SimCrypto crypto;
  SimNet *net;
  SimLog *log; /* one manager over an in-memory log; NULL: the real one */
  SwarmPlugin *runtime, *network, *schedulers[3];
  SwarmId cluster;
  GVariant *kept; /* only so that GLib need not make the types of messages anew for each */
  GPtrArray *machines; /* SimMachine */
  GPtrArray *brains;   /* those of them that have a brain now */
  /* A manager's store is there, empty still: to watch it. */
  void (*store_opened) (SimMachine *machine, gpointer data);
  gpointer store_opened_data;
} SimWorld;

/* How a machine is to be. */
typedef struct {
  const char *name; /* host name, borrowed */
  gboolean manager;
  SwarmAvailability availability;
  const SwarmId *id;                 /* NULL: by chance */
  const char *ip;                    /* NULL: by its number */
  SwarmNodeDescription *description; /* NULL: a big one; without host name */
  gboolean absent;                   /* joins later, a worker or a manager: sim_cluster_join() */
} SimMachineConfig;

struct _SimMachine {
  SimWorld *world;
  char name[64];    /* "n1": host name */
  char address[32]; /* HOST:PORT */
  SwarmId id;       /* nil until it joined */
  SwarmId wish;     /* what the id is to be; nil: by chance */
  gboolean manager; /* has a brain */
  gboolean to_manage; /* absent: joins with the managers' token */
  SwarmAvailability availability; /* to join with */
  SwarmNodeDescription *description;
  gboolean absent, joining, leaving, left; /* not yet, or no more, of the cluster */
  SwarmClock *clock; /* its own: the wall clock may be off */
  SimHost *host;
  SimDisk *worker_disk;
  SimDisk *log_disk;
  gboolean powered;
  guint boots;
  char boot_id[16];
  /* The agent's process, while it runs: */
  gboolean running;
  guint process; /* how many there were */
  gboolean stopping, start_again; /* a start that is asked for while it stops comes after */
  SwarmTimer *role_timer, *unheard_timer; /* sim-role.c */
  gboolean asking; /* to become a member of the consensus */
  GPtrArray *accepted; /* SwarmLink */
  SwarmRuntimeHost *runtime;
  SwarmNetworkHost *network;
  SwarmWorker *worker;
  SwarmSessionState session;
  GPtrArray *keys;        /* SwarmNetworkKey: what its data plane says; sim-keys.c */
  guint keys_made, keys_looks;
  SwarmTimer *keys_timer; /* while the agent runs */
  /* A manager's part: */
  guint64 raft_id; /* joined with; 0: the founder, or no member */
  gboolean founder;
  SwarmStack *stack; /* NULL: no manager, or off; the store, log and brain are its */
  SwarmStore *store;
  SwarmConsensus *consensus;
  SwarmSchedulerSet *schedulers;
  SwarmManager *brain;
  GHashTable *peers; /* node id → SwarmLink: consensus */
  /* For the invariants: */
  gboolean cut;      /* off from all others */
  gint64 gone_since; /* 0: the agent runs and reaches the others */
  gboolean excused; /* its containers may run beside their replacements */
  gint64 excused_until;
};

SimMachine *sim_machine_new (SimWorld *world, guint number, const SimMachineConfig *config);
void sim_machine_free (SimMachine *self);

/* Switches the host on if need be and starts the agent. */
void sim_machine_start (SimMachine *self);
/* kill -9 of the agent: its containers run on. */
void sim_machine_kill (SimMachine *self);
/* systemctl stop: a goodbye first; takes effect in the turns that follow. */
void sim_machine_stop (SimMachine *self);
/* A clean shutdown of the host. */
void sim_machine_shutdown (SimMachine *self);
void sim_machine_power_cut (SimMachine *self);
/* swarmctl leave on a worker: its tasks end, then it says goodbye and forgets the cluster; takes effect in the turns that follow. */
void sim_machine_leave (SimMachine *self);
gboolean sim_machine_leads (SimMachine *self);
/* Which managers its worker is to ask; to be set before the first start. */
GPtrArray *sim_machine_manager_addresses (SimWorld *world);

/* ---- sim-keys.c ---- */
void sim_machine_start_keys (SimMachine *self);
void sim_machine_stop_keys (SimMachine *self);
/* The host was off: what it had in memory is gone. */
void sim_machine_lose_keys (SimMachine *self);

/* ---- sim-role.c ---- */
/* The cluster told the node about itself: it becomes a manager, or is one no more. */
void sim_machine_node_changed (SimMachine *self, const SwarmNode *node);
/* The consensus let go of it. */
void sim_machine_step_down_later (SimMachine *self);

/* ---- sim-manager.c: the manager's part ---- */
void sim_machine_start_brain (SimMachine *self);
void sim_machine_stop_brain (SimMachine *self);
/* A consensus message came in. */
void sim_machine_receive (SimMachine *self, const SwarmId *from, GVariant *args);
