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

/* ---- one namespace a turn of the loop: looking through the tracked connections of one takes the kernel milliseconds ---- */

typedef struct {
  GArray *evictions;
  GPtrArray *places; /* sandboxes' ids, "" the host */
} Round;

typedef struct {
  GArray *evictions;
  const SwarmNetdBox *box; /* NULL: the host */
} Place;

static void
round_free (gpointer data)
{
  Round *round = data;
  g_array_unref (round->evictions);
  g_ptr_array_unref (round->places);
  g_free (round);
}

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
  for (guint i = 0; i < place->evictions->len; i++)
    if (is_hit (&g_array_index (place->evictions, Eviction, i), connection, place->box))
      return TRUE;
  return FALSE;
}

/* The backend takes connections again: those that it has by now are good. */
static gboolean
is_back (SwarmNetdPlane *self, const Eviction *e)
{
  if (e->vni != 0) {
    SwarmNetdBackend key = { .vni = e->vni, .address = e->asked, .backend = e->backend };
    const SwarmNetdRow *row = swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_BACKEND, &key);
    return row != NULL && !(((const SwarmNetdBackend *) row->data)->flags & SWARM_NETD_BACKEND_DRAINING);
  }
  SwarmNetdPortBackend key = { .port = e->port, .protocol = e->protocol, .backend = e->backend, .target = e->target };
  const SwarmNetdRow *row = swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_PORT_BACKEND, &key);
  return row != NULL && !(((const SwarmNetdPortBackend *) row->data)->flags & SWARM_NETD_BACKEND_DRAINING);
}

static gboolean
on_turn (gpointer data)
{
  SwarmNetdPlane *self = data;
  Round *round = g_queue_peek_head (self->rounds);
  g_autofree char *id = g_ptr_array_steal_index_fast (round->places, round->places->len - 1);
  for (guint i = round->evictions->len; i-- > 0;)
    if (is_back (self, &g_array_index (round->evictions, Eviction, i)))
      g_array_remove_index_fast (round->evictions, i);
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, id);
  Place place = { round->evictions, box };
  if (round->evictions->len > 0 && (box != NULL || *id == '\0'))
    swarm_netd_conntrack_end (box != NULL ? box->netns : -1, is_doomed, &place);
  if (round->places->len == 0)
    round_free (g_queue_pop_head (self->rounds));
  if (!g_queue_is_empty (self->rounds))
    return G_SOURCE_CONTINUE;
  self->evict_source = 0;
  return G_SOURCE_REMOVE;
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
  g_autoptr (GPtrArray) places = g_ptr_array_new_with_free_func (g_free);
  if (concerns (self, NULL))
    g_ptr_array_add (places, g_strdup (""));
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    if (concerns (self, box))
      g_ptr_array_add (places, g_strdup (box->id));
  if (places->len > 0) {
    Round *round = g_new0 (Round, 1);
    round->evictions = g_steal_pointer (&self->evictions);
    round->places = g_steal_pointer (&places);
    self->evictions = swarm_netd_evictions_new ();
    g_queue_push_tail (self->rounds, round);
  }
  g_array_set_size (self->evictions, 0);
  if (!g_queue_is_empty (self->rounds) && self->evict_source == 0)
    self->evict_source = g_timeout_add_full (G_PRIORITY_DEFAULT, 0, on_turn, self, NULL);
}

void
swarm_netd_evict_stop (SwarmNetdPlane *self)
{
  g_clear_handle_id (&self->evict_source, g_source_remove);
  g_queue_free_full (self->rounds, round_free);
  g_array_unref (self->evictions);
}
