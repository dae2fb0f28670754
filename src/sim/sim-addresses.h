// SPDX-License-Identifier: LGPL-2.1-or-later
/* The promise of the data plane's numbers: no address, subnet, port, VXLAN id or node number is given out twice, and every address lies in a subnet
 * that is there. Checked with each committed change. */
#pragma once
#include "store/store.h"

typedef struct _SimAddresses SimAddresses;

SimAddresses *sim_addresses_new (void);
void sim_addresses_free (SimAddresses *self);
/* @store has applied it. What is wrong; NULL: nothing. Caller frees. */
char *sim_addresses_committed (SimAddresses *self, SwarmStore *store, const SwarmEvent *event);
/* How often something was given out so far. */
guint64 sim_addresses_n_given (SimAddresses *self);
