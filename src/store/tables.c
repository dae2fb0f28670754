// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/guard.h"
#include "store/tables.h"
#include "store/task-list.h"

static const gboolean has_unique_names[_SWARM_KIND_MAX] = {
  [SWARM_KIND_CLUSTER] = TRUE, /* all have the same name: there is one */
  [SWARM_KIND_SERVICE] = TRUE,
  [SWARM_KIND_NETWORK] = TRUE,
  [SWARM_KIND_SECRET] = TRUE,
  [SWARM_KIND_CONFIG] = TRUE,
  [SWARM_KIND_VOLUME] = TRUE,
};

SwarmTables *
swarm_tables_new (void)
{
  SwarmTables *self = g_new0 (SwarmTables, 1);

  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    SwarmTable *table = &self->table[kind];
    guint size = kind == SWARM_KIND_TASK ? SWARM_ID_TABLE_HUGE : kind == SWARM_KIND_NODE ? SWARM_ID_TABLE_LARGE : SWARM_ID_TABLE_SMALL;

    swarm_id_table_init (&table->by_id, G_STRUCT_OFFSET (SwarmObject, id), size);
    swarm_id_table_own (&table->by_id, swarm_message_ref, swarm_message_unref);
    if (has_unique_names[kind])
      table->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  }
  swarm_id_table_init (&self->tasks_of_service, G_STRUCT_OFFSET (SwarmTaskList, id), SWARM_ID_TABLE_SMALL);
  swarm_id_table_init (&self->tasks_of_node, G_STRUCT_OFFSET (SwarmTaskList, id), SWARM_ID_TABLE_LARGE);
  return self;
}

static void
free_lists (SwarmIdTable *table)
{
  SwarmIdIter iter;
  gpointer value;

  swarm_id_iter_init (&iter, table, NULL);
  while ((value = swarm_id_iter_next (&iter)) != NULL)
    swarm_task_list_free (value);
  swarm_id_table_clear (table);
}

void
swarm_tables_free (SwarmTables *self)
{
  free_lists (&self->tasks_of_service);
  free_lists (&self->tasks_of_node);
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    g_clear_pointer (&self->table[kind].by_name, g_hash_table_unref);
    swarm_id_table_clear (&self->table[kind].by_id);
  }
  g_free (self);
}

gpointer
swarm_tables_get (SwarmTables *self, SwarmKind kind, const SwarmId *id)
{
  return swarm_id_table_get (&self->table[kind].by_id, id);
}

gpointer
swarm_tables_get_by_name (SwarmTables *self, SwarmKind kind, const char *name)
{
  GHashTable *by_name = self->table[kind].by_name;

  return by_name != NULL ? g_hash_table_lookup (by_name, name) : NULL;
}

/* ---- indexes of tasks ---- */

static void
index_add (SwarmIdTable *index, const SwarmId *key, SwarmTask *task)
{
  SwarmTaskList *list;

  if (swarm_id_is_nil (key))
    return;
  list = swarm_id_table_get (index, key);
  if (list == NULL) {
    list = swarm_task_list_new (key);
    swarm_id_table_set (index, list);
  }
  swarm_task_list_add (list, task);
}

static void
index_remove (SwarmIdTable *index, const SwarmId *key, const SwarmTask *task)
{
  SwarmTaskList *list = swarm_id_is_nil (key) ? NULL : swarm_id_table_get (index, key);

  if (list == NULL)
    return;
  swarm_task_list_remove (list, task);
  if (list->n > 0)
    return;
  swarm_id_table_remove (index, key);
  swarm_task_list_free (list);
}

static gboolean
same_place (const SwarmTask *a, const SwarmTask *b)
{
  return a->slot == b->slot && a->object.created_at == b->object.created_at;
}

static void
index_task (SwarmIdTable *index, gsize key_offset, SwarmTask *previous, SwarmTask *task)
{
  const SwarmId *old_key = previous != NULL ? G_STRUCT_MEMBER_P (previous, key_offset) : NULL;
  const SwarmId *new_key = task != NULL ? G_STRUCT_MEMBER_P (task, key_offset) : NULL;

  if (old_key != NULL && new_key != NULL && swarm_id_equal (old_key, new_key) && same_place (previous, task)) {
    if (!swarm_id_is_nil (new_key))
      swarm_task_list_replace (swarm_id_table_get (index, new_key), previous, task);
    return;
  }
  if (old_key != NULL)
    index_remove (index, old_key, previous);
  if (new_key != NULL)
    index_add (index, new_key, task);
}

void
swarm_tables_set (SwarmTables *self, SwarmKind kind, const SwarmId *id, gpointer object)
{
  SwarmTable *table = &self->table[kind];
  gpointer previous = object != NULL ? swarm_id_table_set (&table->by_id, swarm_message_ref (object))
                                     : swarm_id_table_remove (&table->by_id, id);

  if (previous == NULL && object == NULL)
    return;
  swarm_guard_leave (previous);
  swarm_guard_keep (object);
  if (kind == SWARM_KIND_TASK) {
    index_task (&self->tasks_of_service, G_STRUCT_OFFSET (SwarmTask, service_id), previous, object);
    index_task (&self->tasks_of_node, G_STRUCT_OFFSET (SwarmTask, node_id), previous, object);
  }
  if (table->by_name != NULL && previous != NULL)
    g_hash_table_remove (table->by_name, swarm_object_name (previous));
  if (table->by_name != NULL && object != NULL)
    g_hash_table_insert (table->by_name, (gpointer) swarm_object_name (object), object);
  /* Last, for it may free @previous and the @id in it. */
  swarm_message_unref (previous);
}

/* ---- sharing ---- */

static void
share (gpointer *member, gpointer other)
{
  if (*member != other && swarm_message_equal (*member, other))
    swarm_message_set (member, other);
}

static void
share_with_service (SwarmTables *self, SwarmTask *task)
{
  const SwarmService *service = swarm_tables_get (self, SWARM_KIND_SERVICE, &task->service_id);

  if (service == NULL || service->spec == NULL)
    return;
  share ((gpointer *) &task->spec, service->spec->task);
  share ((gpointer *) &task->endpoint, service->spec->endpoint);
}

void
swarm_tables_share (SwarmTables *self, SwarmObject *object, const SwarmObject *previous)
{
  if (previous == NULL && object->message.type == &swarm_task_type)
    share_with_service (self, (SwarmTask *) object);
  if (previous == NULL)
    return;
  for (const SwarmField *field = object->message.type->fields; field->number != 0; field++)
    if (field->kind == SWARM_FIELD_MESSAGE)
      share (G_STRUCT_MEMBER_P (object, field->offset), G_STRUCT_MEMBER (gpointer, previous, field->offset));
}

/* ---- index look-ups ---- */

GPtrArray *
swarm_tables_tasks_of_service (SwarmTables *self, const SwarmId *service, const guint64 *slot)
{
  const SwarmTaskList *list = swarm_id_table_get (&self->tasks_of_service, service);

  return list != NULL ? swarm_task_list_get (list, slot) : g_ptr_array_new ();
}

GPtrArray *
swarm_tables_tasks_from_slot (SwarmTables *self, const SwarmId *service, guint64 first, guint n)
{
  const SwarmTaskList *list = swarm_id_table_get (&self->tasks_of_service, service);

  return list != NULL ? swarm_task_list_get_from (list, first, n) : g_ptr_array_new ();
}

GPtrArray *
swarm_tables_tasks_of_node (SwarmTables *self, const SwarmId *node, const guint64 *slot)
{
  const SwarmTaskList *list = swarm_id_table_get (&self->tasks_of_node, node);

  return list != NULL ? swarm_task_list_get (list, slot) : g_ptr_array_new ();
}
