// SPDX-License-Identifier: LGPL-2.1-or-later
/* Removes from the store what is over of containers' attachments to networks: they have no service and no slot, and leave no history. Takes back what
 * its node does not say is there. */
#pragma once
#include "manager/leader.h"

typedef struct _SwarmAttachments SwarmAttachments;

SwarmAttachments *swarm_attachments_new (const SwarmLeader *leader);
void swarm_attachments_free (SwarmAttachments *self);
