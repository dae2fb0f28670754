// SPDX-License-Identifier: LGPL-2.1-or-later
/* DNS messages (RFC 1035), as much as the name responder needs: one question in, its answer out. */
#pragma once
#include "netd/address.h"
#include <glib.h>

#define SWARM_NETD_DNS_UDP_MAX 1232 /* what we answer at most to a client that says it takes that much (RFC 6891) */

enum { SWARM_NETD_DNS_A = 1, SWARM_NETD_DNS_AAAA = 28 };
enum { SWARM_NETD_DNS_NOERROR = 0, SWARM_NETD_DNS_SERVFAIL = 2, SWARM_NETD_DNS_NXDOMAIN = 3, SWARM_NETD_DNS_NOTIMP = 4, SWARM_NETD_DNS_REFUSED = 5 };

typedef struct {
  guint16 id;
  guint16 flags;
  guint16 type;
  guint16 class;
  guint16 room;   /* how long an answer by UDP may be */
  guint16 end;    /* of the question in the message */
  char name[256]; /* lower case, without the dot at its end; "" is the root */
} SwarmNetdQuestion;

/* Reads a query. FALSE: it is none (nothing is to be answered). A name that is no text of ours ([!-~] without a dot in a label) is not taken. */
gboolean swarm_netd_dns_parse (const guint8 *message, gsize length, SwarmNetdQuestion *question);
/* Writes the answer to the question of @message into @out (65535 bytes of room); its length. Addresses of the other family are left out. What does not fit
 * into @room is left out and said (TC). Time to live 0: names change faster than caches. */
gsize swarm_netd_dns_answer (const guint8 *message, const SwarmNetdQuestion *question, guint code, const SwarmNetdAddress *addresses, guint n, gsize room,
                             guint8 *out);
/* @answer is one to the question of @query. */
gboolean swarm_netd_dns_matches (const guint8 *query, gsize query_length, const guint8 *answer, gsize answer_length);
