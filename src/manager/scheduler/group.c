// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/group.h"

/* Below this a queue is not worth tidying. */
#define TIDY_MIN 64
/* So many checks of a group against a node are nothing; above it only the groups that a change helps are looked at. */
#define FEW_CHECKS 20000
/* Tasks are all over the memory: it is asked for so many at once. */
#define FETCH_AHEAD 64

static guint
group_hash (gconstpointer key)
{
  const SwarmGroup *group = key;
  return swarm_id_hash (&group->service) ^ (guint) group->version;
}

static gboolean
group_equal (gconstpointer a, gconstpointer b)
{
  const SwarmGroup *x = a, *y = b;
  return x->version == y->version && swarm_id_equal (&x->service, &y->service);
}

static void
group_free (gpointer data)
{
  SwarmGroup *group = data;
  swarm_id_table_clear (&group->tasks);
  g_array_unref (group->queue);
  swarm_needs_clear (&group->needs);
  g_free (group->why);
  g_free (group);
}

void
swarm_groups_init (SwarmGroups *self)
{
  self->groups = g_hash_table_new_full (group_hash, group_equal, NULL, group_free);
  g_queue_init (&self->dirty);
}

void
swarm_groups_clear (SwarmGroups *self)
{
  g_queue_clear (&self->dirty);
  g_clear_pointer (&self->groups, g_hash_table_unref);
}

static SwarmGroup *
groups_find (SwarmGroups *self, const SwarmTask *task)
{
  SwarmGroup key = { .service = task->service_id, .version = task->spec_version };
  return g_hash_table_lookup (self->groups, &key);
}

static void
make_dirty (SwarmGroups *self, SwarmGroup *group)
{
  if (group->dirty)
    return;
  group->dirty = TRUE;
  g_queue_push_tail (&self->dirty, group);
}

void
swarm_groups_add (SwarmGroups *self, SwarmTask *task)
{
  SwarmGroup *group = groups_find (self, task);
  if (group == NULL) {
    group = g_new0 (SwarmGroup, 1);
    group->service = task->service_id;
    group->version = task->spec_version;
    swarm_id_table_init (&group->tasks, G_STRUCT_OFFSET (SwarmObject, id), SWARM_ID_TABLE_SMALL);
    group->queue = g_array_new (FALSE, FALSE, sizeof (SwarmId));
    g_hash_table_add (self->groups, group);
  }
  if (swarm_id_table_set (&group->tasks, task) != NULL)
    return;
  g_array_append_val (group->queue, task->object.id);
  make_dirty (self, group);
}

static void
groups_drop (SwarmGroups *self, SwarmGroup *group)
{
  if (group->dirty)
    g_queue_remove (&self->dirty, group);
  g_hash_table_remove (self->groups, group);
}

void
swarm_groups_remove (SwarmGroups *self, const SwarmTask *task)
{
  SwarmGroup *group = groups_find (self, task);
  if (group == NULL || swarm_id_table_remove (&group->tasks, &task->object.id) == NULL)
    return;
  if (group->tasks.n == 0 && !group->held)
    groups_drop (self, group);
}

void
swarm_groups_mark (SwarmGroups *self, SwarmGroup *group)
{
  group->explained = 0;
  make_dirty (self, group);
}

void
swarm_group_set_explained (SwarmGroup *self, const char *why)
{
  g_free (self->why);
  self->why = g_strdup (why);
  self->explained = self->queue->len;
}

guint
swarm_group_explained (const SwarmGroup *self, const char *why)
{
  return g_strcmp0 (self->why, why) == 0 ? self->explained : 0;
}

void
swarm_groups_mark_all (SwarmGroups *self)
{
  GHashTableIter iter;
  gpointer group;
  g_hash_table_iter_init (&iter, self->groups);
  while (g_hash_table_iter_next (&iter, &group, NULL))
    swarm_groups_mark (self, group);
}

void
swarm_groups_mark_fitting (SwarmGroups *self, SwarmNodeSet *set, SwarmNodeInfo *info)
{
  guint n = g_hash_table_size (self->groups);
  GHashTableIter iter;
  gpointer group;
  if (n == 0)
    return;
  if (n * swarm_node_set_infos (set)->n <= FEW_CHECKS) { /* so that explanations stay fresh */
    swarm_groups_mark_all (self);
    return;
  }
  g_hash_table_iter_init (&iter, self->groups);
  while (g_hash_table_iter_next (&iter, &group, NULL)) {
    SwarmFilterCounts counts = { { 0 } };
    SwarmNeeds *needs = ((SwarmGroup *) group)->dirty ? NULL : swarm_group_needs (group);
    if (needs != NULL && swarm_filters_capacity (needs, set, info, &counts) > 0)
      swarm_groups_mark (self, group);
  }
}

SwarmGroup *
swarm_groups_take (SwarmGroups *self)
{
  SwarmGroup *group = g_queue_pop_head (&self->dirty);
  if (group == NULL)
    return NULL;
  group->dirty = FALSE;
  group->held = TRUE;
  return group;
}

void
swarm_groups_release (SwarmGroups *self, SwarmGroup *group)
{
  group->held = FALSE;
  if (group->tasks.n == 0)
    groups_drop (self, group);
}

/* The task that needs were made from may be gone: another stands for it. */
SwarmNeeds *
swarm_group_needs (SwarmGroup *self)
{
  SwarmIdIter iter;
  swarm_id_iter_init (&iter, &self->tasks, NULL);
  SwarmTask *task = swarm_id_iter_next (&iter);
  if (task == NULL)
    return NULL;
  if (self->needs.task == NULL)
    swarm_needs_init (&self->needs, task);
  return &self->needs;
}

static void
tidy (SwarmGroup *self)
{
  guint kept = 0;
  if (self->queue->len < TIDY_MIN || self->queue->len < 2 * self->tasks.n)
    return;
  for (guint i = 0; i < self->queue->len; i++) {
    SwarmId id = g_array_index (self->queue, SwarmId, i);
    if (swarm_id_table_get (&self->tasks, &id) != NULL)
      g_array_index (self->queue, SwarmId, kept++) = id;
  }
  g_array_set_size (self->queue, kept);
  self->explained = 0;
}

void
swarm_group_fetch_ahead (const SwarmGroup *self, const GArray *ids, guint at)
{
  if (at % FETCH_AHEAD == 0)
    swarm_id_table_prefetch (&self->tasks, &g_array_index (ids, SwarmId, at), sizeof (SwarmId), MIN (FETCH_AHEAD, ids->len - at));
}

guint
swarm_group_left (SwarmGroup *self, guint cursor)
{
  if (cursor == 0)
    tidy (self);
  return MIN (self->queue->len - cursor, self->tasks.n);
}

void
swarm_group_collect (SwarmGroup *self, guint *cursor, guint n, GArray *ids)
{
  for (guint found = 0; *cursor < self->queue->len && found < n; (*cursor)++) {
    swarm_group_fetch_ahead (self, self->queue, *cursor);
    const SwarmId *id = &g_array_index (self->queue, SwarmId, *cursor);
    if (swarm_id_table_get (&self->tasks, id) == NULL)
      continue;
    g_array_append_vals (ids, id, 1);
    found++;
  }
}
