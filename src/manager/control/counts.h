// SPDX-License-Identifier: LGPL-2.1-or-later
/* How many tasks of each service run and are meant to, kept up to date with each change: lists and properties ask for it all the time. */
#pragma once
#include "store/store.h"

typedef struct _SwarmCounts SwarmCounts;

SwarmCounts *swarm_counts_new (SwarmStore *store);
/* Before the store. */
void swarm_counts_free (SwarmCounts *self);
/* Tasks that are meant to run (jobs: to run to completion): those that do, and those that are not over. */
void swarm_counts_get (SwarmCounts *self, const SwarmId *service, guint64 *ret_running, guint64 *ret_wanted);
