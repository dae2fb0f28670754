// SPDX-License-Identifier: LGPL-2.1-or-later
/* The networks that every cluster has from its beginning. */
#pragma once
#include "store/store.h"

#define SWARM_PREDEFINED_NETWORKS 3

/* Creates "host", "none" and "ingress"; a later ingress network is the user's affair. */
void swarm_predefined_networks (SwarmTx *tx);
