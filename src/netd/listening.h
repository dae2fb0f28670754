// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which ports the host itself listens on: the mesh must not take them (sshd's would cut the host off). */
#pragma once
#include <glib.h>

typedef struct _SwarmNetdListening SwarmNetdListening;

/* As it is now, in the present namespace. */
SwarmNetdListening *swarm_netd_listening_read (void);
/* @protocol 6 (tcp) or 17 (udp); others: FALSE. */
gboolean swarm_netd_listening_has (SwarmNetdListening *self, guint8 protocol, guint16 port);
void swarm_netd_listening_free (SwarmNetdListening *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetdListening, swarm_netd_listening_free)
