// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ends what goes on to a backend: all of it when its row goes, datagrams already when it drains (they would stick to it for as long as they flow). */
#include "netd/plane-private.h"
#include "netd/conntrack.h"
#include <netinet/in.h>

typedef struct {
  guint32 vni; /* 0: a published port */
  SwarmNetdAddress asked; /* the service's */
  SwarmNetdAddress backend;
  guint8 protocol; /* of the published port */
  guint16 port;
  guint16 target;
  gboolean only_datagrams;
} Eviction;

GArray *
swarm_netd_evictions_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (Eviction));
}

void
swarm_netd_evict_mark (SwarmNetdPlane *self, const SwarmNetdChange *change)
{
  guint16 type = change->before != NULL ? change->before->type : 0;
  Eviction eviction = { .only_datagrams = change->after != NULL };
  guint32 flags = 0;
  if (type == SWARM_NETD_TYPE_BACKEND) {
    const SwarmNetdBackend *before = (const void *) change->before->data, *after = change->after != NULL ? (const void *) change->after->data : NULL;
    eviction.vni = before->vni;
    eviction.asked = before->address;
    eviction.backend = before->backend;
    flags = after != NULL ? after->flags : SWARM_NETD_BACKEND_DRAINING;
  } else if (type == SWARM_NETD_TYPE_PORT_BACKEND) {
    const SwarmNetdPortBackend *before = (const void *) change->before->data, *after = change->after != NULL ? (const void *) change->after->data : NULL;
    eviction.backend = before->backend;
    eviction.protocol = before->protocol;
    eviction.port = before->port;
    eviction.target = before->target;
    flags = after != NULL ? after->flags : SWARM_NETD_BACKEND_DRAINING;
  }
  if (flags & SWARM_NETD_BACKEND_DRAINING)
    g_array_append_val (self->evictions, eviction);
}

typedef struct {
  SwarmNetdPlane *plane;
  const SwarmNetdBox *box; /* NULL: the host */
} Place;

static gboolean
is_hit (const Eviction *eviction, const SwarmNetdConnection *c, const SwarmNetdBox *box)
{
  if ((eviction->only_datagrams && c->protocol == IPPROTO_TCP) || !swarm_netd_address_equal (&c->backend, &eviction->backend))
    return FALSE;
  if (eviction->vni != 0)
    return box != NULL && swarm_netd_box_is_in (box, eviction->vni) && swarm_netd_address_equal (&c->asked, &eviction->asked);
  return box == NULL && c->protocol == eviction->protocol && c->backend_port == eviction->target && c->asked_port == eviction->port;
}

static gboolean
is_doomed (const SwarmNetdConnection *connection, gpointer data)
{
  const Place *place = data;
  for (guint i = 0; i < place->plane->evictions->len; i++)
    if (is_hit (&g_array_index (place->plane->evictions, Eviction, i), connection, place->box))
      return TRUE;
  return FALSE;
}

static gboolean
concerns (SwarmNetdPlane *self, const SwarmNetdBox *box)
{
  for (guint i = 0; i < self->evictions->len; i++) {
    guint32 vni = g_array_index (self->evictions, Eviction, i).vni;
    if (box == NULL ? vni == 0 : vni != 0 && swarm_netd_box_is_in (box, vni))
      return TRUE;
  }
  return FALSE;
}

void
swarm_netd_evict_flush (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  Place place = { self, NULL };
  if (concerns (self, NULL))
    swarm_netd_conntrack_end (-1, is_doomed, &place);
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box)) {
    place.box = box;
    if (concerns (self, box))
      swarm_netd_conntrack_end (box->netns, is_doomed, &place);
  }
  g_array_set_size (self->evictions, 0);
}
