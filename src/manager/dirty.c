// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dirty.h"

void
swarm_dirty_init (SwarmDirty *self)
{
  g_queue_init (&self->waiting);
  self->members = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->taken = g_array_new (FALSE, FALSE, sizeof (SwarmId));
}

void
swarm_dirty_clear (SwarmDirty *self)
{
  g_queue_clear (&self->waiting);
  g_clear_pointer (&self->members, g_hash_table_unref);
  g_clear_pointer (&self->taken, g_array_unref);
}

void
swarm_dirty_mark (SwarmDirty *self, const SwarmId *id)
{
  if (g_hash_table_contains (self->members, id))
    return;
  SwarmId *own = g_memdup2 (id, sizeof *id);
  g_hash_table_add (self->members, own);
  g_queue_push_tail (&self->waiting, own);
}

gboolean
swarm_dirty_take (SwarmDirty *self, SwarmId *ret)
{
  SwarmId *own = g_queue_pop_head (&self->waiting);
  if (own == NULL)
    return FALSE;
  *ret = *own;
  g_hash_table_remove (self->members, own);
  g_array_append_val (self->taken, *ret);
  return TRUE;
}

void
swarm_dirty_settle (SwarmDirty *self, gboolean ok)
{
  for (guint i = 0; !ok && i < self->taken->len; i++)
    swarm_dirty_mark (self, &g_array_index (self->taken, SwarmId, i));
  g_array_set_size (self->taken, 0);
}

guint
swarm_dirty_n_waiting (const SwarmDirty *self)
{
  return self->waiting.length;
}
