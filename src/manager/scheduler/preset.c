// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/preset.h"

void
swarm_presets_init (SwarmPresets *self)
{
  swarm_dirty_init (&self->due);
  self->by_node = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, (GDestroyNotify) g_hash_table_unref);
}

void
swarm_presets_clear (SwarmPresets *self)
{
  swarm_dirty_clear (&self->due);
  g_clear_pointer (&self->by_node, g_hash_table_unref);
}

gboolean
swarm_task_is_preset (const SwarmTask *task)
{
  return task->status->state == SWARM_TASK_PENDING && !swarm_id_is_nil (&task->node_id) && task->desired_state <= SWARM_TASK_COMPLETE;
}

void
swarm_presets_add (SwarmPresets *self, const SwarmTask *task)
{
  GHashTable *tasks = g_hash_table_lookup (self->by_node, &task->node_id);
  if (tasks == NULL) {
    tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
    g_hash_table_insert (self->by_node, g_memdup2 (&task->node_id, sizeof (SwarmId)), tasks);
  }
  if (g_hash_table_contains (tasks, &task->object.id))
    return;
  g_hash_table_add (tasks, g_memdup2 (&task->object.id, sizeof (SwarmId)));
  swarm_dirty_mark (&self->due, &task->object.id);
}

void
swarm_presets_remove (SwarmPresets *self, const SwarmTask *task)
{
  GHashTable *tasks = g_hash_table_lookup (self->by_node, &task->node_id);
  if (tasks != NULL && g_hash_table_remove (tasks, &task->object.id) && g_hash_table_size (tasks) == 0)
    g_hash_table_remove (self->by_node, &task->node_id);
}

gboolean
swarm_presets_mark (SwarmPresets *self, const SwarmId *node)
{
  GHashTable *tasks = g_hash_table_lookup (self->by_node, node);
  if (tasks == NULL)
    return FALSE;
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, tasks);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    swarm_dirty_mark (&self->due, id);
  return TRUE;
}
