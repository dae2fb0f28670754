// SPDX-License-Identifier: LGPL-2.1-or-later
/* One session's picture of the cluster's networks: which rows the node was told, and the one Worker.Networks that may be under way. */
#pragma once
#include "base/link.h"
#include "manager/dispatcher/concern.h"

typedef struct _SwarmPicture SwarmPicture;

/* The whole goes out in the next turn, once @concern is known and if the node has a part of the data plane (then, as soon as it has).
 * @link and @session are kept. */
SwarmPicture *swarm_picture_new (const SwarmLeader *leader, SwarmConcern *concern, const SwarmId *node, SwarmLink *link, GBytes *session);
/* NULL is fine. */
void swarm_picture_free (SwarmPicture *self);
/* The row may have changed. */
void swarm_picture_mark (SwarmPicture *self, SwarmKind kind, const SwarmId *id);
/* The concern is known now. */
void swarm_picture_look (SwarmPicture *self);
