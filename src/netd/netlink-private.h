// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "netd/netlink.h"
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#define SWARM_NETD_MESSAGE_ROOM 2048

struct _SwarmNetdNetlink {
  struct mnl_socket *socket;
  guint port;
  guint32 sequence;
  guint8 message[SWARM_NETD_MESSAGE_ROOM] __attribute__ ((aligned (8))); /* the request under way */
};

/* Begins a request with an ACK, with @header bytes of its own header (zero) at @extra. */
struct nlmsghdr *swarm_netd_netlink_begin (SwarmNetdNetlink *self, guint16 type, guint16 flags, gsize header, void *extra);
/* Sends it and waits for the answer. @fine: an error number that counts as done (0: none). */
gboolean swarm_netd_netlink_send (SwarmNetdNetlink *self, int fine, const char *what, GError **error);
/* Sends a dump request (flags NLM_F_DUMP) and calls @func with each answer. */
gboolean swarm_netd_netlink_dump (SwarmNetdNetlink *self, mnl_cb_t func, gpointer data, const char *what, GError **error);
void swarm_netd_netlink_put_address (struct nlmsghdr *message, guint16 type, const SwarmNetdAddress *address);
void swarm_netd_netlink_get_address (const struct nlattr *attribute, SwarmNetdAddress *address);
