// SPDX-License-Identifier: LGPL-2.1-or-later
/* One session's picture of the cluster's networks: how far it has read the news of what its node sees, and the one Worker.Networks that may be
 * under way. */
#pragma once
#include "manager/dispatcher/pictures.h"

/* The whole goes out when its turn comes, once all is known and if the node has a part of the data plane (then, as soon as it has).
 * @link and @session are kept. */
SwarmPicture *swarm_picture_new (SwarmPictures *pictures, const SwarmId *node, SwarmLink *link, GBytes *session);
/* NULL is fine. */
void swarm_picture_free (SwarmPicture *self);

/* ---- for pictures.c ---- */
/* There may be something to send. */
void swarm_picture_look (SwarmPicture *self);
/* The node begins or ceases to see @net. */
void swarm_picture_seen (SwarmPicture *self, SwarmNet *net);
/* @task of the node may have changed, and be in nothing that the node sees. */
void swarm_picture_own (SwarmPicture *self, const SwarmId *task);
/* It is this one's turn: its link is taken out. */
void swarm_picture_send (SwarmPicture *self);
