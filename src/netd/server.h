// SPDX-License-Identifier: LGPL-2.1-or-later
/* netd's socket: takes batches, has them applied, answers. Also keeps the tables, their file and the plane together. */
#pragma once
#include "netd/plane.h"

typedef struct _SwarmNetdServer SwarmNetdServer;

/* @listen_fd: a listening Unix stream socket, taken. @state_path: where the accepted batches are kept. */
SwarmNetdServer *swarm_netd_server_new (int listen_fd, const char *state_path, GError **error);
/* Closes the door; the kernel stays as it is. */
void swarm_netd_server_free (SwarmNetdServer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdServer, swarm_netd_server_free)
SwarmNetdPlane *swarm_netd_server_plane (SwarmNetdServer *self);
/* Brings the kernel to the tables again, and tells the clients what became of it. @what: SwarmNetdResync. */
void swarm_netd_server_resync (SwarmNetdServer *self, guint what);
/* The same for one sandbox; clients hear of it when it cannot be mended. */
void swarm_netd_server_mend (SwarmNetdServer *self, const char *sandbox);
/* Nobody is connected, and nothing is wanted. */
gboolean swarm_netd_server_is_idle (SwarmNetdServer *self);
/* There was no batch yet, nor one of before: what is wanted is not known. */
gboolean swarm_netd_server_is_blind (SwarmNetdServer *self);
/* "3 networks, 20 sandboxes, …" for people. Caller frees. */
char *swarm_netd_server_status (SwarmNetdServer *self);

/* Seconds that a client may be silent in the middle of a batch. */
extern guint swarm_netd_server_patience;
