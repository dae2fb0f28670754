// SPDX-License-Identifier: LGPL-2.1-or-later
/* Life, reading and watching. */
#include "store/store-private.h"
#include "store/task-list.h"
#include <string.h>

SwarmStore *
swarm_store_new (SwarmClock *clock, SwarmRandom *random, SwarmProposeFunc propose, gpointer propose_data)
{
  SwarmStore *self = g_new0 (SwarmStore, 1);

  self->clock = clock;
  self->random = random;
  self->propose = propose;
  self->propose_data = propose_data;
  self->proposer = swarm_random_id (random);
  self->pending = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->tables = swarm_tables_new ();
  swarm_requests_init (&self->requests);
  self->time_at = swarm_clock_boottime (clock);
  self->watches = g_ptr_array_new_with_free_func (g_free);
  self->level_known = SWARM_FEATURE_LEVEL;
  self->level_used = 1;
  for (SwarmKind kind = 0; kind < _SWARM_KIND_MAX; kind++)
    self->kind_level[kind] = swarm_kind_type (kind) != NULL ? (guint8) swarm_type_level (swarm_kind_type (kind)) : 0;
  return self;
}

/* ---- time ---- */

/* What the store's time has come to since the last stamp, whatever the wall clock says: nine tenths as fast, so that delays are hardly
 * longer and the wall clock overtakes it. */
static gint64
time_at_least (SwarmStore *self)
{
  gint64 passed = swarm_clock_boottime (self->clock) - self->time_at;

  return self->time + passed / 10 * 9;
}

void
swarm_store_time_went_on (SwarmStore *self)
{
  self->time = MAX (time_at_least (self), self->requests.now);
  self->time_at = swarm_clock_boottime (self->clock);
}

gint64
swarm_store_now (SwarmStore *self)
{
  return MAX (swarm_clock_now (self->clock), time_at_least (self));
}

gint64
swarm_store_newest_stamp (SwarmStore *self)
{
  return self->requests.now;
}

/* ---- feature levels ---- */

guint
swarm_store_cluster_level (SwarmStore *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (self);

  return cluster != NULL ? (guint) CLAMP (cluster->feature_level, 1, self->level_known) : self->level_known;
}

guint
swarm_store_level_used (SwarmStore *self)
{
  return self->level_used;
}

void
swarm_store_set_level_known (SwarmStore *self, guint level)
{
  self->level_known = level;
}

void
swarm_level_error (const char *what, guint64 level, guint known, GError **error)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
               "%s of feature level %" G_GUINT64_FORMAT "; this version of swarm-agent knows %u: upgrade it", what, level, known);
}

/* ---- reading ---- */

gpointer
swarm_store_get (SwarmStore *self, SwarmKind kind, const SwarmId *id)
{
  return swarm_tables_get (self->tables, kind, id);
}

gpointer
swarm_store_get_by_name (SwarmStore *self, SwarmKind kind, const char *name)
{
  return swarm_tables_get_by_name (self->tables, kind, name);
}

SwarmCluster *
swarm_store_cluster (SwarmStore *self)
{
  SwarmIdIter iter;

  swarm_id_iter_init (&iter, &self->tables->table[SWARM_KIND_CLUSTER].by_id, NULL);
  return swarm_id_iter_next (&iter);
}

void
swarm_store_foreach (SwarmStore *self, SwarmKind kind, SwarmStoreEach func, gpointer data)
{
  SwarmIdIter iter;
  gpointer object;

  swarm_id_iter_init (&iter, &self->tables->table[kind].by_id, NULL);
  while ((object = swarm_id_iter_next (&iter)) != NULL)
    if (!func (object, data))
      return;
}

/* The first value with an id (at @offset in it) above @after. */
static gpointer
next_value (const SwarmIdTable *table, const SwarmId *after, gsize offset)
{
  SwarmIdIter iter;
  gpointer value;

  swarm_id_iter_init (&iter, table, after);
  value = swarm_id_iter_next (&iter);
  return value != NULL && after != NULL && swarm_id_equal (G_STRUCT_MEMBER_P (value, offset), after) ? swarm_id_iter_next (&iter) : value;
}

gpointer
swarm_store_next (SwarmStore *self, SwarmKind kind, const SwarmId *after)
{
  return next_value (&self->tables->table[kind].by_id, after, G_STRUCT_OFFSET (SwarmObject, id));
}

guint
swarm_store_count (SwarmStore *self, SwarmKind kind)
{
  return self->tables->table[kind].by_id.n;
}

GPtrArray *
swarm_store_tasks_of_service (SwarmStore *self, const SwarmId *service)
{
  return swarm_tables_tasks_of_service (self->tables, service, NULL);
}

GPtrArray *
swarm_store_tasks_of_slot (SwarmStore *self, const SwarmId *service, guint64 slot)
{
  return swarm_tables_tasks_of_service (self->tables, service, &slot);
}

GPtrArray *
swarm_store_tasks_from_slot (SwarmStore *self, const SwarmId *service, guint64 first, guint n)
{
  return swarm_tables_tasks_from_slot (self->tables, service, first, n);
}

GPtrArray *
swarm_store_tasks_of_node (SwarmStore *self, const SwarmId *node)
{
  return swarm_tables_tasks_of_node (self->tables, node, NULL);
}

GPtrArray *
swarm_store_unnumbered_tasks_of_node (SwarmStore *self, const SwarmId *node)
{
  guint64 slot = 0;

  return swarm_tables_tasks_of_node (self->tables, node, &slot);
}

gboolean
swarm_store_next_node_id (SwarmStore *self, const SwarmId *after, SwarmId *ret)
{
  const SwarmObject *node = swarm_store_next (self, SWARM_KIND_NODE, after);
  const SwarmTaskList *list = next_value (&self->tables->tasks_of_node, after, G_STRUCT_OFFSET (SwarmTaskList, id));

  if (node == NULL && list == NULL)
    return FALSE;
  *ret = list == NULL || (node != NULL && swarm_id_compare (&node->id, &list->id) < 0) ? node->id : list->id;
  return TRUE;
}

guint64
swarm_store_index (SwarmStore *self)
{
  return self->index;
}

/* ---- docker's rule of finding what a person means ---- */

typedef struct {
  gpointer found;
  guint n;
} Matches;

static void
match (Matches *matches, gpointer object)
{
  matches->found = object;
  matches->n++;
}

/* Those whose 25 characters begin with @prefix: ids sort as their texts do, so they stand side by side. */
static void
match_prefix (SwarmStore *self, SwarmKind kind, const char *prefix, Matches *matches)
{
  gsize len = strlen (prefix);
  char text[SWARM_ID_STRING_LEN + 1];
  SwarmIdIter iter;
  SwarmObject *object;
  SwarmId first;

  if (len == 0 || len > SWARM_ID_STRING_LEN)
    return;
  memset (text, '0', SWARM_ID_STRING_LEN);
  memcpy (text, prefix, len);
  text[SWARM_ID_STRING_LEN] = '\0';
  if (!swarm_id_parse (text, &first))
    return;
  swarm_id_iter_init (&iter, &self->tables->table[kind].by_id, &first);
  while ((object = swarm_id_iter_next (&iter)) != NULL) {
    if (strncmp (swarm_id_string (&object->id).str, prefix, len) != 0)
      return;
    match (matches, object);
  }
}

static void
match_name (SwarmStore *self, SwarmKind kind, const char *name, Matches *matches)
{
  SwarmIdIter iter;
  SwarmObject *object;

  if (kind == SWARM_KIND_TASK || *name == '\0')
    return;
  swarm_id_iter_init (&iter, &self->tables->table[kind].by_id, NULL);
  while ((object = swarm_id_iter_next (&iter)) != NULL)
    if (g_str_equal (swarm_object_name (object), name))
      match (matches, object);
}

gpointer
swarm_store_resolve (SwarmStore *self, SwarmKind kind, const char *reference, GError **error)
{
  const char *word = swarm_kind_to_string (kind);
  Matches matches = { NULL, 0 };
  SwarmId id;

  if (swarm_id_parse (reference, &id))
    matches.found = swarm_store_get (self, kind, &id);
  if (matches.found != NULL)
    return matches.found;
  match_name (self, kind, reference, &matches);
  if (matches.n == 0)
    match_prefix (self, kind, reference, &matches);
  if (matches.n == 1)
    return matches.found;
  if (matches.n > 1)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s %s is ambiguous (%u matches found)", word, reference, matches.n);
  else if (kind == SWARM_KIND_NODE)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "node %s not found", reference);
  else if (kind == SWARM_KIND_NETWORK)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "network %s not found", reference);
  else
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such %s: %s", word, reference);
  return NULL;
}

/* ---- watching ---- */

guint
swarm_store_watch (SwarmStore *self, guint kinds, SwarmWatchFunc func, gpointer data)
{
  SwarmWatch *watch = g_new0 (SwarmWatch, 1);

  watch->id = ++self->last_watch;
  watch->kinds = kinds != 0 ? kinds : ~0u;
  watch->func = func;
  watch->data = data;
  g_ptr_array_add (self->watches, watch);
  return watch->id;
}

/* Takes out the cells of watches that left while events were given out. */
static void
sweep_watches (SwarmStore *self)
{
  for (guint i = self->watches->len; i > 0; i--)
    if (self->watches->pdata[i - 1] == NULL)
      g_ptr_array_remove_index (self->watches, i - 1);
}

void
swarm_store_unwatch (SwarmStore *self, guint id)
{
  for (guint i = 0; i < self->watches->len; i++) {
    SwarmWatch *watch = self->watches->pdata[i];

    if (watch != NULL && watch->id == id) {
      g_free (watch);
      self->watches->pdata[i] = NULL;
    }
  }
  if (self->emitting == 0)
    sweep_watches (self);
}

void
swarm_store_emit (SwarmStore *self, const SwarmEvent *event)
{
  gboolean to_all = event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET;

  self->emitting++;
  for (guint i = 0; i < self->watches->len; i++) {
    SwarmWatch *watch = self->watches->pdata[i];

    if (watch != NULL && (to_all || (watch->kinds & 1u << event->kind) != 0))
      watch->func (event, watch->data);
  }
  if (--self->emitting == 0)
    sweep_watches (self);
}
