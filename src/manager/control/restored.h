// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of a backup on its way to become a cluster of its own: another id and epoch, so that nobody of the cluster that it was taken from has a say
 * here; its founder as the only node; services, secrets, tokens and root as they were. Tasks that had not ended are left out: they are made anew. */
#pragma once
#include "manager/control/control.h"

typedef struct _SwarmRestored SwarmRestored;

/* @snapshot as swarm_snapshot_encode() gave it at @index. */
SwarmRestored *swarm_restored_open (SwarmClock *clock, SwarmRandom *random, GBytes *snapshot, guint64 index, GError **error);
void swarm_restored_free (SwarmRestored *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmRestored, swarm_restored_free)
/* As it was; borrowed. */
const SwarmCluster *swarm_restored_cluster (SwarmRestored *self);
/* The state to begin with, and the log index that it stands for; of @founder the ids, the certificate, address and description count. Once only. */
GBytes *swarm_restored_finish (SwarmRestored *self, const SwarmInitCluster *founder, guint64 *ret_index, GError **error);
