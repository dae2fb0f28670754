// SPDX-License-Identifier: LGPL-2.1-or-later
/* Gives networks their VXLAN ids and subnets, services their virtual addresses and published ports, nodes their numbers and subnets, and tasks their
 * addresses; a new task that has what it needs becomes pending. Nothing is remembered that the store does not say: a new leader's allocator reads
 * there what is given out. What is not to be had is said in the object (a task's Status.Err, a network's and a node's Message), and given when
 * something becomes free. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmAllocator SwarmAllocator;

SwarmAllocator *swarm_allocator_new (const SwarmLeader *leader);
void swarm_allocator_free (SwarmAllocator *self);
/* For tests: what it believes to be given out, against what the store says. NULL: the same, or it is in the middle of something. Caller frees. */
char *swarm_allocator_audit (SwarmAllocator *self);
