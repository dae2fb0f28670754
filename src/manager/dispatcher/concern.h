// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which node must know what of the cluster's networks (model/picture.h), kept up with the store's events while this manager leads: who sees
 * which network, and each network's news (news.h). A change costs the same however many see it. Rows are made from the store whenever they are
 * asked for. */
#pragma once
#include "manager/dispatcher/news.h"
#include "manager/leader.h"
#include "model/picture.h"

typedef struct _SwarmConcern SwarmConcern;

/* A network, or (nil) the routing mesh. It goes when nobody sees it and nothing is in it; its news may be read on. */
typedef struct {
  SwarmId id;
  SwarmNews *news;
  GHashTable *viewers; /* node id → how many reasons it has to see it: tasks there; of the mesh: its address */
} SwarmNet;

typedef struct {
  /* There is something new in @news. Cheap, please. */
  void (*changed) (SwarmNews *news, gpointer data);
  /* @node begins or ceases to see the network. */
  void (*seen) (const SwarmId *node, SwarmNet *net, gpointer data);
  /* @node may have to be told of @task of its own, which it sees no network of; NULL: its part of the data plane may be there now. */
  void (*own) (const SwarmId *node, const SwarmId *task, gpointer data);
  /* The first look at all objects is over. */
  void (*known) (gpointer data);
  /* What swarm_concern_is_told() said may be different now. */
  void (*quiet) (const SwarmId *task, gpointer data);
} SwarmConcernOps;

/* Begins with a first look, in parts. @ops and @data outlive it. */
SwarmConcern *swarm_concern_new (const SwarmLeader *leader, const SwarmConcernOps *ops, gpointer data);
/* NULL is fine. */
void swarm_concern_free (SwarmConcern *self);
/* A change of a network, service, node or task. */
void swarm_concern_event (SwarmConcern *self, const SwarmEvent *event);
/* FALSE: the first look is not over, rows may be missing. */
gboolean swarm_concern_is_known (const SwarmConcern *self);
/* As long as it is the same, no row differs. */
guint64 swarm_concern_version (const SwarmConcern *self);

/* Of SwarmNet: what @node sees; NULL: nothing. */
const GPtrArray *swarm_concern_nets (SwarmConcern *self, const SwarmId *node);
/* NULL: there is nothing in it. */
SwarmNet *swarm_concern_net (SwarmConcern *self, const SwarmId *network);
/* @network nil: the routing mesh. */
gboolean swarm_concern_sees (SwarmConcern *self, const SwarmId *node, const SwarmId *network);
/* Some node may still send @task, which is to stop, new connections. If so `quiet` follows, unless nobody ever confirms. */
gboolean swarm_concern_is_told (SwarmConcern *self, const SwarmTask *task);
