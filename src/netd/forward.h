// SPDX-License-Identifier: LGPL-2.1-or-later
/* Asks a DNS server, from the host's namespace, one question with a socket of its own: an answer from elsewhere does not get in. */
#pragma once
#include "netd/address.h"
#include <glib.h>

typedef struct _SwarmNetdForward SwarmNetdForward;

/* @answer NULL: none of the servers answered. Called once, from the loop, unless it is freed before. */
typedef void (*SwarmNetdForwardFunc) (const guint8 *answer, gsize length, gpointer data);

/* Asks @servers one after the other, two seconds each. By TCP with @tcp. */
SwarmNetdForward *swarm_netd_forward_new (const SwarmNetdAddress *servers, guint n, const guint8 *query, gsize length, gboolean tcp,
                                          SwarmNetdForwardFunc func, gpointer data);
void swarm_netd_forward_free (SwarmNetdForward *self);
/* The host's own servers, as /etc/resolv.conf has them now (read again when it changed). */
void swarm_netd_host_servers (GArray *servers);
