// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/tables.h"

static const gboolean has_unique_names[_SWARM_KIND_MAX] = {
  [SWARM_KIND_CLUSTER] = TRUE, /* all have the same name: there is one */
  [SWARM_KIND_SERVICE] = TRUE,
  [SWARM_KIND_NETWORK] = TRUE,
  [SWARM_KIND_SECRET] = TRUE,
  [SWARM_KIND_CONFIG] = TRUE,
  [SWARM_KIND_VOLUME] = TRUE,
};

static GHashTable *
index_new (void)
{
  return g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
}

SwarmTables *
swarm_tables_new (void)
{
  SwarmTables *self = g_new0 (SwarmTables, 1);

  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    SwarmTable *table = &self->table[kind];

    table->by_id = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, swarm_message_unref);
    table->sorted = g_ptr_array_new ();
    if (has_unique_names[kind])
      table->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  }
  self->tasks_of_service = index_new ();
  self->tasks_of_node = index_new ();
  return self;
}

void
swarm_tables_free (SwarmTables *self)
{
  g_hash_table_unref (self->tasks_of_service);
  g_hash_table_unref (self->tasks_of_node);
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    g_clear_pointer (&self->table[kind].by_name, g_hash_table_unref);
    g_ptr_array_unref (self->table[kind].sorted);
    g_hash_table_unref (self->table[kind].by_id);
  }
  g_free (self);
}

gpointer
swarm_tables_get (SwarmTables *self, SwarmKind kind, const SwarmId *id)
{
  return g_hash_table_lookup (self->table[kind].by_id, id);
}

gpointer
swarm_tables_get_by_name (SwarmTables *self, SwarmKind kind, const char *name)
{
  GHashTable *by_name = self->table[kind].by_name;

  return by_name != NULL ? g_hash_table_lookup (by_name, name) : NULL;
}

/* ---- sorted arrays ---- */

/* First position in @array that is not below @object in the order of @compare. */
static guint
lower_bound (GPtrArray *array, gconstpointer object, int (*compare) (gconstpointer, gconstpointer))
{
  guint low = 0, high = array->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;

    if (compare (array->pdata[middle], object) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Puts @object in the place of @previous; either may be NULL. */
static void
sorted_set (GPtrArray *array, gpointer previous, gpointer object, int (*compare) (gconstpointer, gconstpointer))
{
  if (previous != NULL && object != NULL && compare (previous, object) == 0) {
    array->pdata[lower_bound (array, previous, compare)] = object;
    return;
  }
  if (previous != NULL)
    g_ptr_array_remove_index (array, lower_bound (array, previous, compare));
  if (object != NULL)
    g_ptr_array_insert (array, (gint) lower_bound (array, object, compare), object);
}

static int
compare_by_id (gconstpointer a, gconstpointer b)
{
  return swarm_id_compare (&((const SwarmObject *) a)->id, &((const SwarmObject *) b)->id);
}

static int
compare_tasks (gconstpointer a, gconstpointer b)
{
  const SwarmTask *left = a, *right = b;

  if (left->slot != right->slot)
    return left->slot < right->slot ? -1 : 1;
  if (left->object.created_at != right->object.created_at)
    return left->object.created_at < right->object.created_at ? -1 : 1;
  return compare_by_id (a, b);
}

guint
swarm_tables_position (SwarmTables *self, SwarmKind kind, const SwarmId *id)
{
  SwarmObject probe = { .id = *id };

  return lower_bound (self->table[kind].sorted, &probe, compare_by_id);
}

/* ---- indexes of tasks ---- */

static void
index_set (GHashTable *index, const SwarmId *key, SwarmTask *previous, SwarmTask *task)
{
  GPtrArray *array = g_hash_table_lookup (index, key);

  if (swarm_id_is_nil (key))
    return;
  if (array == NULL) {
    array = g_ptr_array_new ();
    g_hash_table_insert (index, g_memdup2 (key, sizeof *key), array);
  }
  sorted_set (array, previous, task, compare_tasks);
  if (array->len == 0)
    g_hash_table_remove (index, key);
}

static void
index_task (GHashTable *index, gsize key_offset, SwarmTask *previous, SwarmTask *task)
{
  const SwarmId *old_key = previous != NULL ? G_STRUCT_MEMBER_P (previous, key_offset) : NULL;
  const SwarmId *new_key = task != NULL ? G_STRUCT_MEMBER_P (task, key_offset) : NULL;

  if (old_key != NULL && new_key != NULL && swarm_id_equal (old_key, new_key)) {
    index_set (index, new_key, previous, task);
    return;
  }
  if (old_key != NULL)
    index_set (index, old_key, previous, NULL);
  if (new_key != NULL)
    index_set (index, new_key, NULL, task);
}

void
swarm_tables_set (SwarmTables *self, SwarmKind kind, const SwarmId *id, gpointer object)
{
  SwarmTable *table = &self->table[kind];
  gpointer previous = g_hash_table_lookup (table->by_id, id);

  if (previous == NULL && object == NULL)
    return;
  sorted_set (table->sorted, previous, object, compare_by_id);
  if (kind == SWARM_KIND_TASK) {
    index_task (self->tasks_of_service, G_STRUCT_OFFSET (SwarmTask, service_id), previous, object);
    index_task (self->tasks_of_node, G_STRUCT_OFFSET (SwarmTask, node_id), previous, object);
  }
  if (table->by_name != NULL && previous != NULL)
    g_hash_table_remove (table->by_name, swarm_object_name (previous));
  if (table->by_name != NULL && object != NULL)
    g_hash_table_insert (table->by_name, (gpointer) swarm_object_name (object), object);
  /* Last, for it may free @previous and the id in it. */
  if (object != NULL)
    g_hash_table_replace (table->by_id, &SWARM_OBJECT (object)->id, swarm_message_ref (object));
  else
    g_hash_table_remove (table->by_id, id);
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
  GPtrArray *all = g_hash_table_lookup (self->tasks_of_service, service);
  GPtrArray *tasks = g_ptr_array_new ();
  SwarmTask first = { .slot = slot != NULL ? *slot : 0, .object.created_at = G_MININT64 };

  if (all == NULL)
    return tasks;
  for (guint i = slot != NULL ? lower_bound (all, &first, compare_tasks) : 0; i < all->len; i++) {
    if (slot != NULL && ((SwarmTask *) all->pdata[i])->slot != *slot)
      break;
    g_ptr_array_add (tasks, all->pdata[i]);
  }
  return tasks;
}

GPtrArray *
swarm_tables_tasks_of_node (SwarmTables *self, const SwarmId *node)
{
  GPtrArray *all = g_hash_table_lookup (self->tasks_of_node, node);
  GPtrArray *tasks = g_ptr_array_sized_new (all != NULL ? all->len : 0);

  for (guint i = 0; all != NULL && i < all->len; i++)
    g_ptr_array_add (tasks, all->pdata[i]);
  return tasks;
}
