// SPDX-License-Identifier: LGPL-2.1-or-later
/* Takes task objects out of the store: those to be removed once nothing of them runs, and a slot's history over the limit. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmReaper SwarmReaper;

SwarmReaper *swarm_reaper_new (const SwarmLeader *leader);
void swarm_reaper_free (SwarmReaper *self);
