// SPDX-License-Identifier: LGPL-2.1-or-later
/* Generic resources (SWARM_BEHAVIOUR §7): a node has numbers of things ("apple=3") or things with names ("gpu=UUID1"); a task always asks for
 * a number, and gets names where there are names. */
#pragma once
#include "manager/scheduler/node-set.h"

/* How many tasks that ask for @reserved (SwarmGenericResource, may be NULL) still fit on the node. */
guint swarm_generic_room (const SwarmNodeInfo *info, const GPtrArray *reserved);
/* What a task that asks for @reserved gets there, for swarm_node_set_add(); NULL: it asks for nothing. Call it only where there is room. */
GPtrArray *swarm_generic_claim (const SwarmNodeInfo *info, const GPtrArray *reserved);
