// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/dns.h"
#include <string.h>

#define HEADER 12
#define QR 0x8000
#define OPCODE 0x7800
#define AA 0x0400
#define TC 0x0200
#define RD 0x0100
#define RA 0x0080
#define OPT 41
#define CLASS_IN 1

static guint
get16 (const guint8 *at)
{
  return at[0] << 8 | at[1];
}

static guint8 *
put16 (guint8 *at, guint value)
{
  at[0] = value >> 8;
  at[1] = value;
  return at + 2;
}

/* The name at @at, which must be in one piece, as it is in a question. How long it is; 0: not one of ours. */
static gsize
read_name (const guint8 *at, gsize left, char name[256])
{
  gsize used = 0, n = 0;
  while (used < left && at[used] != 0) {
    guint label = at[used++];
    if (label > 63 || label >= left - used || n + label + 1 > 254)
      return 0;
    for (guint i = 0; i < label; i++) {
      char c = at[used++];
      if (c <= ' ' || c > '~' || c == '.')
        return 0;
      name[n++] = g_ascii_tolower (c);
    }
    name[n++] = '.';
  }
  name[n > 0 ? n - 1 : 0] = '\0';
  return used < left ? used + 1 : 0;
}

/* A client that takes more than 512 bytes says so in an OPT record, usually the only one behind the question. */
static guint
read_room (const guint8 *message, gsize length, gsize end)
{
  if (get16 (message + 6) != 0 || get16 (message + 8) != 0 || get16 (message + 10) != 1)
    return 512;
  if (length - end < 11 || message[end] != 0 || get16 (message + end + 1) != OPT)
    return 512;
  return CLAMP (get16 (message + end + 3), 512, SWARM_NETD_DNS_UDP_MAX);
}

gboolean
swarm_netd_dns_parse (const guint8 *message, gsize length, SwarmNetdQuestion *question)
{
  if (length < HEADER || length > G_MAXUINT16)
    return FALSE;
  memset (question, 0, sizeof *question);
  question->id = get16 (message);
  question->flags = get16 (message + 2);
  if ((question->flags & (QR | OPCODE)) != 0 || get16 (message + 4) != 1)
    return FALSE;
  gsize used = read_name (message + HEADER, length - HEADER, question->name);
  if (used == 0 || length - HEADER - used < 4)
    return FALSE;
  const guint8 *after = message + HEADER + used;
  question->type = get16 (after);
  question->class = get16 (after + 2);
  question->end = HEADER + used + 4;
  question->room = read_room (message, length, question->end);
  return TRUE;
}

static guint8 *
put_address (guint8 *at, const SwarmNetdAddress *address)
{
  gsize length;
  const guint8 *bytes = swarm_netd_address_bytes (address, &length);
  at = put16 (at, 0xc000 | HEADER); /* the name of the question */
  at = put16 (at, length == 4 ? SWARM_NETD_DNS_A : SWARM_NETD_DNS_AAAA);
  at = put16 (at, CLASS_IN);
  at = put16 (put16 (at, 0), 0); /* time to live */
  at = put16 (at, length);
  memcpy (at, bytes, length);
  return at + length;
}

gsize
swarm_netd_dns_answer (const guint8 *message, const SwarmNetdQuestion *question, guint code, const SwarmNetdAddress *addresses, guint n, gsize room,
                       guint8 *out)
{
  guint count = 0, flags = QR | AA | RA | (question->flags & RD) | code;
  guint8 *at = out + question->end;
  memcpy (out, message, question->end);
  for (guint i = 0; i < n; i++) {
    gboolean v4 = swarm_netd_address_is_v4 (&addresses[i]);
    if (question->class != CLASS_IN || question->type != (v4 ? SWARM_NETD_DNS_A : SWARM_NETD_DNS_AAAA))
      continue;
    if ((gsize) (at - out) + 28 > room) {
      flags |= TC;
      break;
    }
    at = put_address (at, &addresses[i]);
    count++;
  }
  put16 (out + 2, flags);
  put16 (out + 4, 1);
  put16 (out + 6, count);
  put16 (out + 8, 0);
  put16 (out + 10, 0);
  return at - out;
}

gboolean
swarm_netd_dns_matches (const guint8 *query, gsize query_length, const guint8 *answer, gsize answer_length)
{
  SwarmNetdQuestion question;
  if (!swarm_netd_dns_parse (query, query_length, &question) || answer_length < question.end)
    return FALSE;
  /* Some servers change the case of the name: the id, which is by chance, and the port must do then. */
  return get16 (answer) == question.id && (get16 (answer + 2) & QR) != 0 && get16 (answer + 4) == 1;
}
