// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the agent decides by facts alone, apart from what it then does. */
#pragma once
#include "base/link.h"
#include "model/objects.h"

/* An election takes a second or two: so long a write waits for the next leader, and a read, which can be answered without one, a bit less. */
#define SWARM_HOLD_US (3 * G_USEC_PER_SEC)
#define SWARM_READ_HOLD_US (2 * G_USEC_PER_SEC)
#define SWARM_HOLD_TRIES 12
#define SWARM_HOLD_MAX 256

/* May a call (@write: one that changes something) that finds no leader wait for the next one? @tries: how often it was tried, with this one;
 * @no_leader_since: boottime, 0: there is one; @n_held: those that wait. Where no leader was known for longer than an election takes there is no point
 * in it: then reads are answered at once with what is known. Reads leave room for writes. */
gboolean swarm_may_hold (gboolean write, guint tries, gint64 now, gint64 no_leader_since, guint n_held);

typedef struct {
  const char *serial;   /* of the certificate that this node uses; NULL: none */
  gboolean runs_manager; /* the manager's part is up */
  gboolean in_error;    /* and went down for an error that somebody has to look at */
} SwarmRoleFacts;

/* Does what the cluster says of this node (@node) ask for another certificate, and with it perhaps another role? */
gboolean swarm_role_is_due (const SwarmNode *node, const SwarmRoleFacts *facts);

/* A manager shows that the cluster was made anew (init --force-new-cluster): does this manager believe it, and stand aside? @role: what the other is as
 * this manager's state has it. A demoted node with its old certificate shall end nobody's cluster; but a state of the past does not know who was
 * promoted since (@current: see swarm_consensus_is_current()). */
gboolean swarm_believes_epoch (SwarmPeerRole role, gboolean current);
/* May @peer, which is @role as the leader's state has it, ask for something in the name of @node? A manager passes on what others asked of it. */
gboolean swarm_may_speak_for (SwarmPeerRole role, const SwarmId *peer, const SwarmId *node);
