// SPDX-License-Identifier: LGPL-2.1-or-later
/* All nodes' pictures of the cluster's networks, while this manager leads. What changes is noted once, in the news of its network; then the
 * sessions that see the network are sent it one after the other, for a few milliseconds in each turn of the main loop. What a session keeps is
 * its place in the news of each network that its node sees. */
#pragma once
#include "base/link.h"
#include "manager/dispatcher/batch.h"

typedef struct _SwarmPictures SwarmPictures;
typedef struct _SwarmPicture SwarmPicture;

/* What swarm_pictures_is_told() said of @task may be different now. */
typedef void (*SwarmPicturesQuiet) (const SwarmId *task, gpointer data);

SwarmPictures *swarm_pictures_new (const SwarmLeader *leader, SwarmPicturesQuiet quiet, gpointer data);
/* NULL is fine. After all pictures. */
void swarm_pictures_free (SwarmPictures *self);
/* A change of a network, service, node or task. */
void swarm_pictures_event (SwarmPictures *self, const SwarmEvent *event);
/* Some node may still send @task, which is to stop, new connections. */
gboolean swarm_pictures_is_told (SwarmPictures *self, const SwarmTask *task);

/* ---- for picture.c ---- */
const SwarmLeader *swarm_pictures_leader (SwarmPictures *self);
SwarmConcern *swarm_pictures_concern (SwarmPictures *self);
SwarmBatches *swarm_pictures_batches (SwarmPictures *self);
/* One of a node at a time. */
void swarm_pictures_add (SwarmPictures *self, const SwarmId *node, SwarmPicture *picture);
void swarm_pictures_remove (SwarmPictures *self, const SwarmId *node, SwarmPicture *picture);
/* swarm_picture_send() is called when its turn comes. */
void swarm_pictures_due (SwarmPictures *self, GList *link);
void swarm_pictures_undue (SwarmPictures *self, GList *link);
