// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slots as nftables commands, for services in task namespaces and for published ports on the host alike. A table has, per family (4, 6), the map
 * be<family> (key . slot : target), a set per number of slots (of the keys that have so many), and the chain vip<family> with a constant rule for each of
 * these: only elements ever change. Only the first packet of a connection passes there. */
#pragma once
#include "netd/slots.h"

/* The maps, sets and chains. @key4, @key6: what of a packet is looked up ("ip daddr"); @type4, @type6: its type ("ipv4_addr"); @with_port: targets have one. */
void swarm_netd_slot_text_tables (GString *out, const char *key4, const char *key6, const char *type4, const char *type6, gboolean with_port);
/* The commands that lead from @before to @after (either may be NULL) for @key ("10.0.0.1"). */
void swarm_netd_slot_text_change (GString *out, int family, const char *key, const SwarmNetdSlots *before, const SwarmNetdSlots *after);
