// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/slot-text.h"
#include <stdio.h>

/* Who has so many slots is a member of the set "r4_<slots>" (by chance) or "h4_<slots>" (by the client's address). Sets, and not a map to chains: all verdicts of a
 * map are checked anew by the kernel whenever one is put, and a change would cost more the more services there are. */
static void
family_tables (GString *out, int family, const char *key, const char *type, gboolean with_port)
{
  const char *ip = family == 4 ? "ip" : "ip6", *port = with_port ? " . th dport" : "";
  g_autoptr (GString) rules = g_string_new (NULL);
  g_string_append_printf (out, " map be%d { typeof %s . numgen random mod %u : %s daddr%s; }\n", family, key, SWARM_NETD_SLOTS_MAX, ip, port);
  for (guint i = 0; SWARM_NETD_SLOT_COUNTS[i] != 0; i++) {
    guint count = SWARM_NETD_SLOT_COUNTS[i];
    g_string_append_printf (out, " set r%d_%u { type %s; }\n", family, count, type);
    g_string_append_printf (rules, "  %s @r%d_%u dnat %s to %s . numgen random mod %u map @be%d;\n", key, family, count, ip, key, count, family);
    if (count < swarm_netd_slots_count (1, TRUE))
      continue;
    g_string_append_printf (out, " set h%d_%u { type %s; }\n", family, count, type);
    g_string_append_printf (rules, "  %s @h%d_%u dnat %s to %s . jhash %s saddr mod %u seed 0x53574152 map @be%d;\n", key, family, count, ip, key, ip, count, family);
  }
  g_string_append_printf (out, " chain vip%d {\n%s }\n", family, rules->str);
}

void
swarm_netd_slot_text_tables (GString *out, const char *key4, const char *key6, const char *type4, const char *type6, gboolean with_port)
{
  family_tables (out, 4, key4, type4, with_port);
  family_tables (out, 6, key6, type6, with_port);
}

/* One command with many elements; begun by the first. */
static void
element (GString *out, gboolean *begun, const char *verb, int family)
{
  if (*begun)
    g_string_append (out, ", ");
  else
    g_string_append_printf (out, "%s element inet swarm be%d { ", verb, family);
  *begun = TRUE;
}

static void
end (GString *out, gboolean begun)
{
  if (begun)
    g_string_append (out, " }\n");
}

static gboolean
same (const SwarmNetdSlots *a, const SwarmNetdSlots *b, guint k)
{
  return a != NULL && b != NULL && k < a->count && k < b->count && swarm_netd_target_equal (&a->targets[k], &b->targets[k]);
}

static void
change_set (GString *out, int family, const char *key, const SwarmNetdSlots *before, const SwarmNetdSlots *after)
{
  guint had = before != NULL ? before->count : 0, has = after != NULL ? after->count : 0;
  if (had == has && (has == 0 || before->affinity == after->affinity))
    return;
  if (had > 0)
    g_string_append_printf (out, "delete element inet swarm %c%d_%u { %s }\n", before->affinity ? 'h' : 'r', family, had, key);
  if (has > 0)
    g_string_append_printf (out, "add element inet swarm %c%d_%u { %s }\n", after->affinity ? 'h' : 'r', family, has, key);
}

void
swarm_netd_slot_text_change (GString *out, int family, const char *key, const SwarmNetdSlots *before, const SwarmNetdSlots *after)
{
  gboolean begun = FALSE;
  for (guint k = 0; before != NULL && k < before->count; k++) {
    if (same (before, after, k))
      continue;
    element (out, &begun, "delete", family);
    g_string_append_printf (out, "%s . %u", key, k);
  }
  end (out, begun);
  begun = FALSE;
  for (guint k = 0; after != NULL && k < after->count; k++) {
    if (same (before, after, k))
      continue;
    const SwarmNetdTarget *target = &after->targets[k];
    element (out, &begun, "add", family);
    g_string_append_printf (out, "%s . %u : %s", key, k, swarm_netd_address_text (&target->address).str);
    if (target->port != 0)
      g_string_append_printf (out, " . %u", target->port);
  }
  end (out, begun);
  change_set (out, family, key, before, after);
}
