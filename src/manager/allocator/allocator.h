// SPDX-License-Identifier: LGPL-2.1-or-later
/* Gives new tasks what they need before they can be placed, and makes them pending. For now that is the service's endpoint;
 * addresses and published ports come with networks. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmAllocator SwarmAllocator;

SwarmAllocator *swarm_allocator_new (const SwarmLeader *leader);
void swarm_allocator_free (SwarmAllocator *self);
