// SPDX-License-Identifier: LGPL-2.1-or-later
/* Shared between the files of allocator/ only. */
#pragma once
#include "manager/allocator/allocator.h"
#include "manager/allocator/ledger.h"
#include "manager/allocator/waiters.h"
#include "manager/dirty.h"
#include "manager/scan.h"

/* What there is work for, in the order in which it is done: tasks need their service's, services their networks'. */
enum { WORK_NETWORKS, WORK_SERVICES, WORK_NODES, WORK_TASKS, N_WORK };

struct _SwarmAllocator {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  guint phase;    /* of the first look: which kind of objects is looked at */
  SwarmScan scan;
  SwarmDirty work[N_WORK];
  SwarmLedger *ledger;
  SwarmWaiters waiters; /* for a network, a service, a node; nil: for what is not of one network */
  GHashTable *unready;  /* service id in the Unready → Unready: services that have not all they need yet */
  GHashTable *roomy;    /* set of ids of what has something to give again */
  GHashTable *waking;   /* id → how many of those who wait for it are still to be woken */
  guint n_networked;    /* services and attached containers that need a data plane; while there are none, nodes get nothing */
  gboolean pool_known;
  gboolean may_write; /* all managers know of networks */
  SwarmId ingress; /* the network of the routing mesh; nil: none */
};

typedef struct {
  SwarmId service;
  char *why; /* NULL: its turn has not come yet */
} Unready;

/* Each does what one object needs, as far as it can be done now: adds it to @tx, or lets the object wait. */
void swarm_allocator_do_network (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx);
void swarm_allocator_do_service (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx);
void swarm_allocator_do_node (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx);
void swarm_allocator_do_task (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx);

/* What the object has, as the ledger must know it: in or out. */
void swarm_allocator_book (SwarmLedger *ledger, SwarmKind kind, gconstpointer object, gboolean on);
/* There is work for it. */
void swarm_allocator_mark (SwarmAllocator *self, guint work, const SwarmId *id);
/* @what (nil: what is not of one network) has something to give again. */
void swarm_allocator_roomy (SwarmAllocator *self, const SwarmId *what);
/* Lets those who wait for @what look again. */
void swarm_allocator_wake (SwarmAllocator *self, const SwarmId *what);
/* A network by what a spec calls it (its id); NULL: there is none. */
const SwarmNetwork *swarm_allocator_network (SwarmAllocator *self, const char *target);
gboolean swarm_allocator_node_is_whole (SwarmAllocator *self, const SwarmNode *node);
