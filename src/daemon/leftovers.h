// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a host in no cluster (no node.conf) may have in its state directory. Synchronous: before anything is opened. */
#pragma once
#include <glib.h>

/* A manager whose cluster was made anew by another gives up its log, which may be the only one that holds what was acknowledged since: log and node
 * (its keys; all sealed as it was) are kept as they are in @state_dir/log.old-TIME, one at most. @now: µs since 1970. The directory's name; caller frees.
 * Nothing may write to them meanwhile. */
char *swarm_leftovers_keep_log (const char *state_dir, gint64 now, GError **error);
/* This node leaves its cluster: that goes, too. */
void swarm_leftovers_drop_log (const char *state_dir);

/* Removes what a torn init, join or leave left of log and worker. But with the node's key beside them they may be what a cluster acknowledged,
 * and only node.conf was lost: then node, log and worker are kept as they are in @state_dir/lost-N (five at most, the oldest goes) and
 * the journal says so. */
void swarm_leftovers_forget (const char *state_dir);
