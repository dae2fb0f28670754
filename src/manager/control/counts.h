// SPDX-License-Identifier: LGPL-2.1-or-later
/* How many tasks of each service run, are meant to, or have done their job, kept up to date with each change: lists and properties ask for it all the time. */
#pragma once
#include "store/store.h"

typedef struct _SwarmCounts SwarmCounts;

SwarmCounts *swarm_counts_new (SwarmStore *store);
/* Before the store. */
void swarm_counts_free (SwarmCounts *self);
/* Tasks that are meant to run (jobs: to run to completion): those that do, and those that are not over. */
void swarm_counts_get (SwarmCounts *self, const SwarmId *service, guint64 *ret_running, guint64 *ret_wanted);
/* Tasks that have an address, or will, in this network. */
guint swarm_counts_tasks_in_network (SwarmCounts *self, const SwarmId *network);
/* A job's completions in its present iteration: slots, or nodes, with a task that is complete. 0 for what is no job. */
guint64 swarm_counts_completed (SwarmCounts *self, const SwarmService *service);
