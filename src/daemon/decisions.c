// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/decisions.h"

gboolean
swarm_may_hold (gboolean write, guint tries, gint64 now, gint64 no_leader_since, guint n_held)
{
  gint64 patience = write ? SWARM_HOLD_US : SWARM_READ_HOLD_US;
  guint max = write ? SWARM_HOLD_MAX : SWARM_HOLD_MAX / 2;
  return tries <= SWARM_HOLD_TRIES && n_held < max && (no_leader_since == 0 || now - no_leader_since <= patience);
}

gboolean
swarm_role_is_due (const SwarmNode *node, const SwarmRoleFacts *facts)
{
  if (node->cert_due && facts->serial != NULL && g_strcmp0 (facts->serial, node->cert_serial) == 0)
    return TRUE; /* the cluster's root changes */
  /* After its log failed a manager stays down until somebody has looked at it: joining anew each time would not mend it. */
  if (node->spec->role == SWARM_ROLE_MANAGER)
    return !facts->runs_manager && !facts->in_error;
  /* Down only when the consensus has let this node go: then the leader takes away its manager status. */
  return facts->runs_manager && node->manager_status == NULL;
}

gboolean
swarm_believes_epoch (SwarmPeerRole role, gboolean current)
{
  return role == SWARM_PEER_MANAGER || !current;
}

gboolean
swarm_may_speak_for (SwarmPeerRole role, const SwarmId *peer, const SwarmId *node)
{
  return role == SWARM_PEER_MANAGER || swarm_id_equal (peer, node);
}
