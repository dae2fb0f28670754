// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/group.h"

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
  g_hash_table_unref (group->tasks);
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

void
swarm_groups_add (SwarmGroups *self, const SwarmTask *task)
{
  SwarmGroup *group = groups_find (self, task);
  if (group == NULL) {
    group = g_new0 (SwarmGroup, 1);
    group->service = task->service_id;
    group->version = task->spec_version;
    group->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
    g_hash_table_add (self->groups, group);
  }
  if (g_hash_table_contains (group->tasks, &task->object.id))
    return;
  g_hash_table_add (group->tasks, g_memdup2 (&task->object.id, sizeof (SwarmId)));
  swarm_groups_mark (self, group);
}

void
swarm_groups_remove (SwarmGroups *self, const SwarmTask *task)
{
  SwarmGroup *group = groups_find (self, task);
  if (group == NULL || !g_hash_table_remove (group->tasks, &task->object.id) || g_hash_table_size (group->tasks) > 0)
    return;
  if (group->dirty)
    g_queue_remove (&self->dirty, group);
  g_hash_table_remove (self->groups, group);
}

void
swarm_groups_mark (SwarmGroups *self, SwarmGroup *group)
{
  if (group->dirty)
    return;
  group->dirty = TRUE;
  g_queue_push_tail (&self->dirty, group);
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

SwarmGroup *
swarm_groups_take (SwarmGroups *self)
{
  SwarmGroup *group = g_queue_pop_head (&self->dirty);
  if (group != NULL)
    group->dirty = FALSE;
  return group;
}
