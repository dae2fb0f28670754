// SPDX-License-Identifier: LGPL-2.1-or-later
/* Role changes: makes membership of the consensus follow the desired roles, and the nodes' objects follow the membership. A node
 * that is to become a manager joins by itself as soon as it has its certificate; one that is demoted is taken out here. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmRoles SwarmRoles;

SwarmRoles *swarm_roles_new (const SwarmLeader *leader);
void swarm_roles_free (SwarmRoles *self);
/* The membership changed. */
void swarm_roles_look (SwarmRoles *self);
