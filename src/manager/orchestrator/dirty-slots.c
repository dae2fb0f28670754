// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/dirty-slots.h"

guint
swarm_slot_key_hash (gconstpointer key)
{
  const SwarmSlotKey *slot = key;
  return swarm_id_hash (&slot->service) ^ swarm_id_hash (&slot->node) ^ (guint) slot->number * 2654435761u;
}

gboolean
swarm_slot_key_equal (gconstpointer a, gconstpointer b)
{
  const SwarmSlotKey *x = a, *y = b;
  return x->number == y->number && swarm_id_equal (&x->service, &y->service) && swarm_id_equal (&x->node, &y->node);
}

SwarmSlotKey
swarm_slot_key_of (const SwarmTask *task, gboolean by_node)
{
  return (SwarmSlotKey){ task->service_id, by_node ? 0 : task->slot, by_node ? task->node_id : SWARM_ID_NIL };
}

static SwarmDirtyService *
dirty_service_new (const SwarmId *id)
{
  SwarmDirtyService *service = g_new0 (SwarmDirtyService, 1);
  service->service = *id;
  service->slots = g_hash_table_new_full (swarm_slot_key_hash, swarm_slot_key_equal, g_free, NULL);
  return service;
}

static void
dirty_service_free (gpointer data)
{
  SwarmDirtyService *service = data;
  g_hash_table_unref (service->slots);
  g_free (service);
}

void
swarm_dirty_slots_init (SwarmDirtySlots *self)
{
  g_queue_init (&self->waiting);
  self->members = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, dirty_service_free);
  self->taken = g_ptr_array_new_with_free_func (dirty_service_free);
}

void
swarm_dirty_slots_clear (SwarmDirtySlots *self)
{
  g_queue_clear (&self->waiting);
  g_clear_pointer (&self->members, g_hash_table_unref);
  g_clear_pointer (&self->taken, g_ptr_array_unref);
}

static SwarmDirtyService *
find (SwarmDirtySlots *self, const SwarmId *id)
{
  SwarmDirtyService *service = g_hash_table_lookup (self->members, id);
  if (service == NULL) {
    service = dirty_service_new (id);
    g_hash_table_insert (self->members, &service->service, service);
    g_queue_push_tail (&self->waiting, service);
  }
  return service;
}

void
swarm_dirty_slots_mark (SwarmDirtySlots *self, const SwarmId *id)
{
  SwarmDirtyService *service = find (self, id);
  service->whole = TRUE;
  g_hash_table_remove_all (service->slots);
}

void
swarm_dirty_slots_mark_slot (SwarmDirtySlots *self, const SwarmSlotKey *slot)
{
  SwarmDirtyService *service = find (self, &slot->service);
  if (!service->whole && !g_hash_table_contains (service->slots, slot))
    g_hash_table_add (service->slots, g_memdup2 (slot, sizeof *slot));
}

/* As many slots as fit into a transaction, at most; the others wait on. */
static SwarmDirtyService *
split (SwarmDirtyService *whole)
{
  SwarmDirtyService *part = dirty_service_new (&whole->service);
  GHashTableIter iter;
  gpointer slot;
  g_hash_table_iter_init (&iter, whole->slots);
  for (guint i = 0; i < SWARM_TX_MAX_CHANGES && g_hash_table_iter_next (&iter, &slot, NULL); i++) {
    g_hash_table_iter_steal (&iter);
    g_hash_table_add (part->slots, slot);
  }
  return part;
}

const SwarmDirtyService *
swarm_dirty_slots_take (SwarmDirtySlots *self)
{
  SwarmDirtyService *service = g_queue_pop_head (&self->waiting);
  if (service == NULL)
    return NULL;
  if (g_hash_table_size (service->slots) > SWARM_TX_MAX_CHANGES) {
    g_queue_push_tail (&self->waiting, service);
    service = split (service);
  } else {
    g_hash_table_steal (self->members, &service->service);
  }
  g_ptr_array_add (self->taken, service);
  return service;
}

void
swarm_dirty_slots_take_rest (SwarmDirtySlots *self, const SwarmId *id)
{
  SwarmDirtyService *rest = g_hash_table_lookup (self->members, id);
  if (rest == NULL)
    return;
  g_queue_remove (&self->waiting, rest);
  g_hash_table_steal (self->members, id);
  g_ptr_array_add (self->taken, rest);
}

static void
mark_again (SwarmDirtySlots *self, const SwarmDirtyService *service)
{
  GHashTableIter iter;
  gpointer slot;
  if (service->whole)
    swarm_dirty_slots_mark (self, &service->service);
  g_hash_table_iter_init (&iter, service->slots);
  while (g_hash_table_iter_next (&iter, &slot, NULL))
    swarm_dirty_slots_mark_slot (self, slot);
}

void
swarm_dirty_slots_settle (SwarmDirtySlots *self, gboolean ok)
{
  for (guint i = 0; !ok && i < self->taken->len; i++)
    mark_again (self, g_ptr_array_index (self->taken, i));
  g_ptr_array_set_size (self->taken, 0);
}

guint
swarm_dirty_slots_n_waiting (const SwarmDirtySlots *self)
{
  return self->waiting.length;
}
