// SPDX-License-Identifier: LGPL-2.1-or-later
/* Does every node know of the cluster's networks what it must, and nothing else? Reckoned from the store alone, object by object. */
#pragma once
#include "sim/sim-cluster.h"

/* NULL: yes; else what is not so. Caller frees. */
char *sim_pictures_check (SimCluster *cluster, SwarmStore *store);
