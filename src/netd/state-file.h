// SPDX-License-Identifier: LGPL-2.1-or-later
/* The accepted batches in a file under /run, in the form in which they came, so that netd starts again without the agent. It is not synced: a
 * host that falls loses its network anyway. */
#pragma once
#include "netd/batch.h"
#include "netd/tables.h"

typedef struct _SwarmNetdStateFile SwarmNetdStateFile;

SwarmNetdStateFile *swarm_netd_state_file_new (const char *path);
void swarm_netd_state_file_free (SwarmNetdStateFile *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdStateFile, swarm_netd_state_file_free)

/* Puts what the file has into @tables (empty) and yields the number of its last batch; 0: none. What does not read to its end (a netd that fell
 * while it wrote) counts up to there. */
guint64 swarm_netd_state_file_load (SwarmNetdStateFile *self, SwarmNetdTables *tables);
/* Adds @batch, which made @tables what they are. Writes the tables anew when the file has become much longer than these. */
gboolean swarm_netd_state_file_add (SwarmNetdStateFile *self, SwarmNetdBatch *batch, SwarmNetdTables *tables, GError **error);
