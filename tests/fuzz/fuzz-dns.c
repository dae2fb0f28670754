// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a task asks the name responder: whatever it is, the answer stays within its room and reads as one to that question. */
#include "fuzz.h"
#include "netd/dns.h"

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  SwarmNetdQuestion question;
  SwarmNetdAddress addresses[40];
  static guint8 out[65536];
  if (!swarm_netd_dns_parse (data, size, &question))
    return 0;
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    g_assert (swarm_netd_address_parse (i % 2 ? "10.0.0.1" : "fd00::1", &addresses[i]));
  gsize length = swarm_netd_dns_answer (data, &question, 0, addresses, G_N_ELEMENTS (addresses), question.room, out);
  g_assert (length >= question.end && length <= MAX (question.room, question.end));
  g_assert (swarm_netd_dns_matches (data, size, out, length));
  return 0;
}
