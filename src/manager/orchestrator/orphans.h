// SPDX-License-Identifier: LGPL-2.1-or-later
/* Gives up tasks whose node will not report any more: removed from the cluster, or down for a day. They become ORPHANED. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmOrphans SwarmOrphans;

#define SWARM_ORPHANS_AFTER_US (24 * G_TIME_SPAN_HOUR)

SwarmOrphans *swarm_orphans_new (const SwarmLeader *leader);
void swarm_orphans_free (SwarmOrphans *self);
