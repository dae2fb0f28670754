// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which node must know what of the cluster's networks (model/picture.h), kept up with the store's events while this manager leads.
 * A row is made from the store whenever it is asked for; what is kept here is only who sees which network, and what is in it. */
#pragma once
#include "manager/leader.h"
#include "model/picture.h"

typedef struct _SwarmConcern SwarmConcern;

typedef struct {
  /* @node is to be told of @kind's object @id again, or no more: its row may have changed. */
  void (*mark) (const SwarmId *node, SwarmKind kind, const SwarmId *id, gpointer data);
  /* The first look at all objects is over. */
  void (*known) (gpointer data);
  /* No node believes any more that @task takes new connections. */
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
/* Marks all that concerns @node. */
void swarm_concern_mark_all (SwarmConcern *self, const SwarmId *node);
/* What @node may know of @kind's object @id; NULL: nothing. Caller unrefs (swarm_message_unref). */
gpointer swarm_concern_row (SwarmConcern *self, const SwarmId *node, SwarmKind kind, const SwarmId *id);

/* A node was told that @task takes new connections, or has taken that it does not. */
void swarm_concern_told (SwarmConcern *self, const SwarmId *task, gboolean ready);
/* Some node may still send @task new connections. */
gboolean swarm_concern_is_told (SwarmConcern *self, const SwarmId *task);
