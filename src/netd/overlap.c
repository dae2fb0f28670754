// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the host reaches without us. A subnet of ours that has addresses of it would take them away from the host, or from the tasks: it is refused here.
 * Ways by our own links do not count, nor default routes (halves of one, as VPNs make them, are like it), nor what is local to a link or leads nowhere. */
#include "netd/plane-private.h"
#include "base/error.h"
#include <net/if.h>
#include <string.h>

SwarmNetdAddress
swarm_netd_subnet (const SwarmNetdAddress *address, guint prefix)
{
  SwarmNetdAddress out = *address;
  guint bits = prefix + (swarm_netd_address_is_v4 (address) ? 96 : 0);
  for (guint i = 0; i < 16; i++)
    out.bytes[i] &= i * 8 + 8 <= bits ? 0xff : i * 8 >= bits ? 0 : (guint8) (0xff << (8 - bits % 8));
  return out;
}

static gboolean
overlaps (const SwarmNetdWay *way, const SwarmNetdAddress *address, guint prefix)
{
  guint shorter = MIN (prefix, way->prefix);
  SwarmNetdAddress a = swarm_netd_subnet (address, shorter), b = swarm_netd_subnet (&way->to, shorter);
  return swarm_netd_address_is_v4 (address) == swarm_netd_address_is_v4 (&way->to) && swarm_netd_address_equal (&a, &b);
}

/* ---- the host's ways ---- */

typedef struct {
  GHashTable *ours; /* indexes of links */
  GArray *ways;
} Reading;

static void
note_link (const SwarmNetdLink *link, gpointer data)
{
  if (swarm_netd_plane_is_ours (link))
    g_hash_table_add (((Reading *) data)->ours, GUINT_TO_POINTER (link->index));
}

static void
note_way (const SwarmNetdWay *way, gpointer data)
{
  Reading *reading = data;
  if (way->protocol != SWARM_NETD_PROTOCOL && way->prefix > 1 && swarm_netd_address_is_usable (&way->to)
      && !g_hash_table_contains (reading->ours, GUINT_TO_POINTER (way->index)))
    g_array_append_val (reading->ways, *way);
}

/* Read once for all that one apply makes. NULL: the kernel does not say. */
static GArray *
ways (SwarmNetdPlane *self, GError **error)
{
  if (self->ways != NULL)
    return self->ways;
  g_autoptr (GHashTable) ours = g_hash_table_new (NULL, NULL);
  g_autoptr (GArray) list = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWay));
  Reading reading = { ours, list };
  if (!swarm_netd_link_each (self->netlink, note_link, &reading, error) || !swarm_netd_way_each (self->netlink, note_way, &reading, error))
    return NULL;
  self->ways = g_steal_pointer (&list);
  return self->ways;
}

void
swarm_netd_overlap_forget (SwarmNetdPlane *self)
{
  g_clear_pointer (&self->ways, g_array_unref);
}

/* ---- */

/* Of several the one that is no single address of the host's, which says more. */
static const SwarmNetdWay *
find (GArray *ways, const SwarmNetdAddress *address, guint prefix)
{
  const SwarmNetdWay *found = NULL;
  for (guint i = 0; i < ways->len; i++) {
    const SwarmNetdWay *way = &g_array_index (ways, SwarmNetdWay, i);
    if (overlaps (way, address, prefix) && (found == NULL || found->own))
      found = way;
  }
  return found;
}

gboolean
swarm_netd_overlap_check (SwarmNetdPlane *self, const char *what, const SwarmNetdAddress *address, guint prefix, GError **error)
{
  char name[IF_NAMESIZE] = "";
  if (swarm_netd_address_is_none (address))
    return TRUE;
  GArray *list = ways (self, error);
  if (list == NULL)
    return FALSE;
  const SwarmNetdWay *way = find (list, address, prefix);
  if (way == NULL)
    return TRUE;
  SwarmNetdAddress subnet = swarm_netd_subnet (address, prefix);
  if_indextoname (way->index, name);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "%s %s/%u overlaps with %s/%u, %s%s%s", what, swarm_netd_address_text (&subnet).str,
               prefix, swarm_netd_address_text (&way->to).str, way->prefix, way->own ? "this host's own address" : "which this host reaches elsewhere",
               *name != '\0' ? way->own ? " on " : ", by " : "", name);
  return FALSE;
}
