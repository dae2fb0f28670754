// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ends what goes on to a backend: all of it when its row goes, datagrams already when it drains (they would stick to it for as long as they flow). */
#include "netd/plane-private.h"
#include "base/log.h"
#include "netd/conntrack.h"
#include <netinet/in.h>
#include <string.h>

#define TRIES 5

guint swarm_netd_evict_again = 1000;

typedef struct {
  guint32 vni; /* 0: a published port */
  SwarmNetdAddress asked; /* the service's */
  SwarmNetdAddress backend;
  guint8 protocol; /* of the published port */
  guint16 port;
  guint16 target;
  gboolean only_datagrams;
} Eviction;

/* Connections to be ended in some places, each of them in each place that knows it. */
typedef struct {
  GHashTable *backends; /* address → GArray of Eviction */
  GHashTable *places; /* sandboxes' ids, "" the host → how often it failed there */
} Round;

struct _SwarmNetdEvict {
  SwarmNetdPlane *plane;
  GArray *marked; /* by the present apply */
  Round *current; /* under way; NULL: none is */
  Round *waiting; /* all that came meanwhile */
  gboolean failed; /* somewhere in the current one */
  guint source;
};

typedef struct {
  GHashTable *backends;
  const SwarmNetdBox *box; /* NULL: the host */
} Place;

static guint
address_hash (gconstpointer key)
{
  guint h = 5381;
  for (guint i = 0; i < sizeof (SwarmNetdAddress); i++)
    h = h * 33 + ((const guint8 *) key)[i];
  return h;
}

static gboolean
address_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (SwarmNetdAddress)) == 0;
}

static Round *
round_new (void)
{
  Round *round = g_new0 (Round, 1);
  round->backends = g_hash_table_new_full (address_hash, address_equal, g_free, (GDestroyNotify) g_array_unref);
  round->places = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return round;
}

static void
round_free (Round *round)
{
  g_hash_table_unref (round->backends);
  g_hash_table_unref (round->places);
  g_free (round);
}

SwarmNetdEvict *
swarm_netd_evict_new (SwarmNetdPlane *plane)
{
  SwarmNetdEvict *self = g_new0 (SwarmNetdEvict, 1);
  self->plane = plane;
  self->marked = g_array_new (FALSE, FALSE, sizeof (Eviction));
  self->waiting = round_new ();
  return self;
}

void
swarm_netd_evict_free (SwarmNetdEvict *self)
{
  g_clear_handle_id (&self->source, g_source_remove);
  g_clear_pointer (&self->current, round_free);
  round_free (self->waiting);
  g_array_unref (self->marked);
  g_free (self);
}

void
swarm_netd_evict_mark (SwarmNetdEvict *self, const SwarmNetdChange *change)
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
    g_array_append_val (self->marked, eviction);
}

/* What is there already counts once: a backend that comes and goes does not make the work grow. */
static void
round_add (Round *round, const Eviction *eviction)
{
  GArray *list = g_hash_table_lookup (round->backends, &eviction->backend);
  if (list == NULL) {
    list = g_array_new (FALSE, FALSE, sizeof (Eviction));
    g_hash_table_insert (round->backends, g_memdup2 (&eviction->backend, sizeof eviction->backend), list);
  }
  for (guint i = 0; i < list->len; i++) {
    Eviction *e = &g_array_index (list, Eviction, i);
    if (e->vni != eviction->vni || !swarm_netd_address_equal (&e->asked, &eviction->asked) || e->protocol != eviction->protocol ||
        e->port != eviction->port || e->target != eviction->target)
      continue;
    e->only_datagrams &= eviction->only_datagrams;
    return;
  }
  g_array_append_val (list, *eviction);
}

static void
round_add_all (Round *round, Round *other)
{
  GHashTableIter iter;
  GArray *list;
  g_hash_table_iter_init (&iter, other->backends);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &list))
    for (guint i = 0; i < list->len; i++)
      round_add (round, &g_array_index (list, Eviction, i));
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
  GArray *list = g_hash_table_lookup (place->backends, &connection->backend);
  for (guint i = 0; list != NULL && i < list->len; i++)
    if (is_hit (&g_array_index (list, Eviction, i), connection, place->box))
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

static void
drop_what_is_back (SwarmNetdEvict *self, Round *round)
{
  GHashTableIter iter;
  GArray *list;
  g_hash_table_iter_init (&iter, round->backends);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &list)) {
    for (guint i = list->len; i-- > 0;)
      if (is_back (self->plane, &g_array_index (list, Eviction, i)))
        g_array_remove_index_fast (list, i);
    if (list->len == 0)
      g_hash_table_iter_remove (&iter);
  }
}

/* What the kernel could not do now it is asked for again, a few times. */
static void
note_failure (SwarmNetdEvict *self, const char *id, guint tries)
{
  if (tries >= TRIES) {
    swarm_warning ("Connections to backends that are gone may go on %s%s: the kernel does not end them", *id != '\0' ? "in sandbox " : "on this host", id);
    return;
  }
  self->failed = TRUE;
  round_add_all (self->waiting, self->current);
  g_hash_table_replace (self->waiting->places, g_strdup (id), GUINT_TO_POINTER (tries));
}

/* ---- one namespace a turn of the loop: looking through the tracked connections of one takes the kernel milliseconds ---- */

static gboolean on_turn (gpointer data);

static void
schedule (SwarmNetdEvict *self)
{
  if (self->source == 0 && (self->current != NULL || g_hash_table_size (self->waiting->places) > 0))
    self->source = g_timeout_add_full (G_PRIORITY_DEFAULT, self->current == NULL && self->failed ? swarm_netd_evict_again : 0, on_turn, self, NULL);
}

static gboolean
on_turn (gpointer data)
{
  SwarmNetdEvict *self = data;
  GHashTableIter iter;
  gpointer key, tries;
  self->source = 0;
  if (self->current == NULL) {
    self->current = self->waiting;
    self->waiting = round_new ();
    self->failed = FALSE;
  }
  g_hash_table_iter_init (&iter, self->current->places);
  if (g_hash_table_iter_next (&iter, &key, &tries)) {
    g_autofree char *id = g_strdup (key);
    SwarmNetdBox *box = g_hash_table_lookup (self->plane->boxes, id);
    Place place = { self->current->backends, box };
    g_hash_table_iter_remove (&iter);
    drop_what_is_back (self, self->current);
    if (g_hash_table_size (place.backends) > 0 && (box != NULL || *id == '\0') &&
        swarm_netd_conntrack_end (box != NULL ? box->netns : -1, is_doomed, &place) < 0)
      note_failure (self, id, GPOINTER_TO_UINT (tries) + 1);
  }
  if (g_hash_table_size (self->current->places) == 0)
    g_clear_pointer (&self->current, round_free);
  schedule (self);
  return G_SOURCE_REMOVE;
}

static gboolean
concerns (SwarmNetdEvict *self, const SwarmNetdBox *box)
{
  for (guint i = 0; i < self->marked->len; i++) {
    guint32 vni = g_array_index (self->marked, Eviction, i).vni;
    if (box == NULL ? vni == 0 : vni != 0 && swarm_netd_box_is_in (box, vni))
      return TRUE;
  }
  return FALSE;
}

void
swarm_netd_evict_flush (SwarmNetdEvict *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  gboolean any = concerns (self, NULL);
  if (any)
    g_hash_table_replace (self->waiting->places, g_strdup (""), NULL);
  g_hash_table_iter_init (&iter, self->plane->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    if (concerns (self, box)) {
      g_hash_table_replace (self->waiting->places, g_strdup (box->id), NULL);
      any = TRUE;
    }
  for (guint i = 0; any && i < self->marked->len; i++)
    round_add (self->waiting, &g_array_index (self->marked, Eviction, i));
  g_array_set_size (self->marked, 0);
  schedule (self);
}

static guint
round_size (Round *round)
{
  GHashTableIter iter;
  GArray *list;
  guint size = g_hash_table_size (round->places);
  g_hash_table_iter_init (&iter, round->backends);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &list))
    size += list->len;
  return size;
}

guint
swarm_netd_evict_size (SwarmNetdEvict *self)
{
  return round_size (self->waiting) + (self->current != NULL ? round_size (self->current) : 0);
}
