// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a host in no cluster (no node.conf) may have in its state directory. Synchronous: before anything is opened. */
#pragma once
#include <glib.h>

/* Removes what a torn init, join or leave left of log and worker. But with the node's key beside them they may be what a cluster acknowledged,
 * and only node.conf was lost: then node, log and worker are kept as they are in @state_dir/lost-N (five at most, the oldest goes) and
 * the journal says so. */
void swarm_leftovers_forget (const char *state_dir);
