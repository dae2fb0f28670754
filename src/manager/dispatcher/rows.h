// SPDX-License-Identifier: LGPL-2.1-or-later
/* One node's rows of the cluster's networks, made from the store's objects: never more than concerns it. */
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

/* ---- rows, for @viewer; NULL: it does not concern it. Caller unrefs. ---- */
gpointer swarm_rows_node (SwarmConcern *concern, const SwarmNode *viewer, const SwarmNode *node);
gpointer swarm_rows_network (SwarmConcern *concern, const SwarmNode *viewer, const SwarmNetwork *network);
gpointer swarm_rows_service (SwarmConcern *concern, const SwarmNode *viewer, const SwarmService *service);
gpointer swarm_rows_task (SwarmConcern *concern, const SwarmNode *viewer, const SwarmTask *task);

/* ---- of concern.c ---- */
/* @network nil: the routing mesh. */
gboolean swarm_concern_sees (SwarmConcern *self, const SwarmId *node, const SwarmId *network);
/* They see a network, or the mesh, both. */
gboolean swarm_concern_meets (SwarmConcern *self, const SwarmId *node, const SwarmId *other);
/* They see an encrypted network both. */
gboolean swarm_concern_meets_encrypted (SwarmConcern *self, const SwarmId *node, const SwarmId *other);
