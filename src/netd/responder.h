// SPDX-License-Identifier: LGPL-2.1-or-later
/* Answers a task namespace's questions for names, by UDP and TCP. It stands on a high port of 127.0.0.11 in that namespace, and where questions come by
 * IPv6 on one of ::1, to which a rule leads port 53 (vip.c): a task may bind port 53 itself. */
#pragma once
#include "netd/address.h"
#include <glib.h>

typedef struct _SwarmNetdResponder SwarmNetdResponder;

/* How it finds what it answers. */
typedef struct {
  /* The addresses of @name (appended to @addresses), some of @family among them if there are any; FALSE: no such name here. */
  gboolean (*find) (gpointer data, const char *name, int family, GArray *addresses);
  /* The servers to ask for other names, in their order (appended to @servers); none: such names do not exist. The namespace to ask them from; -1: the host's. */
  int (*servers) (gpointer data, GArray *servers);
} SwarmNetdResponderOps;

/* In the namespace of @netns. @udp, @tcp: the sockets of an earlier one there, taken; -1: new ones are made. */
SwarmNetdResponder *swarm_netd_responder_new (int netns, int udp, int tcp, const SwarmNetdResponderOps *ops, gpointer data, GError **error);
void swarm_netd_responder_free (SwarmNetdResponder *self);
guint16 swarm_netd_responder_port (SwarmNetdResponder *self);
/* That of ::1, where it stands from the first call on; 0: @netns, which is its namespace, has no IPv6. */
guint16 swarm_netd_responder_port6 (SwarmNetdResponder *self, int netns);
/* Its two sockets of IPv4, for systemd's descriptor store. */
void swarm_netd_responder_sockets (SwarmNetdResponder *self, int sockets[2]);
