// SPDX-License-Identifier: LGPL-2.1-or-later
/* A node's session: which of its tasks the node has been told, and the one Assign that may be under way. */
#pragma once
#include "manager/dispatcher/picture.h"

typedef struct _SwarmSession SwarmSession;

#define SWARM_SESSION_ID_LEN 16

/* Keeps @link. Nothing is sent before swarm_session_start(). */
SwarmSession *swarm_session_new (const SwarmLeader *leader, const SwarmId *node, SwarmLink *link);
/* The node knows of the session: the full set goes out in the next turn, and the picture of the networks (of a node that takes one). */
void swarm_session_start (SwarmSession *self, SwarmPictures *pictures);
/* Forgets the session; the link is left as it is. NULL is fine. */
void swarm_session_free (SwarmSession *self);

SwarmLink *swarm_session_link (SwarmSession *self); /* borrowed */
/* Random bytes that name the session. */
GBytes *swarm_session_id (SwarmSession *self); /* borrowed */
/* Something about @task changed that the node may have to be told. */
void swarm_session_mark (SwarmSession *self, const SwarmId *task);
/* One-way: the node's own object. */
void swarm_session_send_node (SwarmSession *self, const SwarmNode *node);
/* One-way: the root that the node is to trust from now on. */
void swarm_session_send_root (SwarmSession *self, const char *pem);
/* One-way: a(ays) and ay. */
void swarm_session_send_managers (SwarmSession *self, GVariant *managers, GVariant *leader);
