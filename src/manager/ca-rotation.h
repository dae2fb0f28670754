// SPDX-License-Identifier: LGPL-2.1-or-later
/* Leads a root rotation to its end (leader only). The next root is signed by the present one as well (SwarmRootRotation.cross_cert), and
 * certificates show that: so a node that trusts only the present root believes what is under the next one, and each node can be renewed
 * in its own time, some at once, none losing its connections. When every node that is not down uses a certificate of the next root, that
 * becomes the root: new join tokens, the nodes are told to trust it alone. Nodes that were down come back by their old key; see
 * swarm_ca_server_renew(). */
#pragma once
#include "manager/ca-server.h"
#include "manager/leader.h"

typedef struct _SwarmCARotation SwarmCARotation;

/* @signer (copied) has the present root's key when it is not here. */
SwarmCARotation *swarm_ca_rotation_new (const SwarmLeader *leader, const SwarmExternalSigner *signer);
void swarm_ca_rotation_free (SwarmCARotation *self);
