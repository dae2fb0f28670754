// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rejects tasks whose node, since they were placed there, does not satisfy their constraints any more, or has less to give than they
 * reserve ("assigned node no longer meets constraints"); the restart policy does the rest. Looks at a node when it changed. Nodes that are
 * not active are left alone: drain moves everything anyway, pause keeps everything. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmEnforcer SwarmEnforcer;

SwarmEnforcer *swarm_enforcer_new (const SwarmLeader *leader);
void swarm_enforcer_free (SwarmEnforcer *self);
