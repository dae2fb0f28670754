// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of the cluster's networks, made from the store's objects: never more than concerns the node that they are for. */
#pragma once
#include "manager/dispatcher/concern.h"

/* ---- what of an object matters ---- */
/* FALSE: the task is in no network, and never will be. Cheap. */
gboolean swarm_rows_may_have (const SwarmTask *task);
/* The networks (SwarmId) that the task is in while it has a node and is not over; nil: the routing mesh. NULL: none. Caller unrefs. */
GArray *swarm_rows_task_nets (const SwarmTask *task);
GArray *swarm_rows_service_nets (const SwarmService *service);
/* No row can differ. */
gboolean swarm_rows_same_task (const SwarmTask *a, const SwarmTask *b);
gboolean swarm_rows_same_service (const SwarmService *a, const SwarmService *b);
gboolean swarm_rows_same_node (const SwarmNode *a, const SwarmNode *b);
gboolean swarm_rows_same_network (const SwarmNetwork *a, const SwarmNetwork *b);

/* @ids: of SwarmId, few. */
gboolean swarm_rows_has_id (const GArray *ids, const SwarmId *id);

gboolean swarm_rows_node_has_keys (const SwarmNode *node); /* NULL: no */
gboolean swarm_rows_is_encrypted (SwarmStore *store, const SwarmId *network);

/* ---- rows ---- */
/* Whom a row is for: @node; or (nil) any node that sees these networks, and no other one that the object is in, and that the row has nothing to
 * say to about itself. */
typedef struct {
  SwarmStore *store;
  SwarmId node;
  const GPtrArray *nets; /* SwarmNet; NULL: nothing. */
} SwarmViewer;

/* NULL: it does not concern the viewer. Caller unrefs. */
gpointer swarm_rows_row (const SwarmViewer *viewer, SwarmKind kind, const SwarmId *id);
