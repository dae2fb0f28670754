// SPDX-License-Identifier: LGPL-2.1-or-later
/* Asks a DNS server one question with a socket of its own: an answer from elsewhere does not get in. */
#pragma once
#include "netd/address.h"
#include <glib.h>

typedef struct _SwarmNetdForward SwarmNetdForward;

/* @answer NULL: none of the servers answered. Called once, from the loop, unless it is freed before. */
typedef void (*SwarmNetdForwardFunc) (const guint8 *answer, gsize length, gpointer data);

#define SWARM_NETD_FORWARD_MARK 0x53570000u /* of packets from another namespace than the host's */

/* Asks @servers one after the other, two seconds each. By TCP with @tcp. From the namespace of @netns, which must stay open; -1: from the host's. */
SwarmNetdForward *swarm_netd_forward_new (int netns, const SwarmNetdAddress *servers, guint n, const guint8 *query, gsize length, gboolean tcp,
                                          SwarmNetdForwardFunc func, gpointer data);
void swarm_netd_forward_free (SwarmNetdForward *self);
