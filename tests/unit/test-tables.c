// SPDX-License-Identifier: LGPL-2.1-or-later
/* The ordered table by id and the lists of tasks in pieces, against simple models, by seed. */
#include "base/id-table.h"
#include "store/task-list.h"
#include <string.h>

typedef struct {
  guint number;
  SwarmId id;
} Thing;

static int
compare_things (gconstpointer a, gconstpointer b)
{
  return swarm_id_compare (&(*(Thing *const *) a)->id, &(*(Thing *const *) b)->id);
}

static SwarmId
draw_id (gboolean skewed)
{
  SwarmId id = { { 0 } };

  /* Skewed: all begin with the same bytes, so all have one home. */
  for (guint i = skewed ? 15 : 0; i < 16; i++)
    id.bytes[i] = (guint8) g_test_rand_int ();
  if (!skewed && g_test_rand_int_range (0, 4) == 0)
    memset (id.bytes, 0xff, 9);
  return id;
}

static void
check_table (const SwarmIdTable *table, GHashTable *model)
{
  g_autoptr (GList) list = g_hash_table_get_keys (model);
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  SwarmIdIter iter;

  for (GList *at = list; at != NULL; at = at->next)
    g_ptr_array_add (sorted, at->data);
  g_ptr_array_sort (sorted, compare_things);
  g_assert_cmpuint (table->n, ==, sorted->len);
  swarm_id_iter_init (&iter, table, NULL);
  for (guint i = 0; i < sorted->len; i++) {
    g_assert_true (swarm_id_iter_next (&iter) == sorted->pdata[i]);
    g_assert_true (swarm_id_table_get (table, &((Thing *) sorted->pdata[i])->id) == sorted->pdata[i]);
  }
  g_assert_null (swarm_id_iter_next (&iter));
  if (sorted->len > 0) {
    guint middle = sorted->len / 2;
    swarm_id_iter_init (&iter, table, &((Thing *) sorted->pdata[middle])->id);
    g_assert_true (swarm_id_iter_next (&iter) == sorted->pdata[middle]);
  }
}

static void
run_table (guint size, gboolean skewed)
{
  g_autoptr (GHashTable) model = g_hash_table_new (NULL, NULL);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (g_free);
  SwarmIdTable table;

  swarm_id_table_init (&table, G_STRUCT_OFFSET (Thing, id), size);
  for (guint round = 0; round < 4000; round++) {
    SwarmId id = draw_id (skewed);
    /* Those that are there, those that were, and any: it is a hint. */
    swarm_id_table_prefetch (&table, &id, sizeof id, 1);
    for (guint i = 0; i < all->len; i += 100)
      swarm_id_table_prefetch (&table, &((Thing *) all->pdata[i])->id, sizeof (Thing), 1);
    Thing *old = swarm_id_table_get (&table, &id), *thing;

    if (g_test_rand_int_range (0, 3) == 0 && all->len > 0) {
      thing = all->pdata[g_test_rand_int_range (0, (gint) all->len)];
      old = swarm_id_table_get (&table, &thing->id);
      g_assert_true (swarm_id_table_remove (&table, &thing->id) == old);
      if (old != NULL)
        g_hash_table_remove (model, old);
      continue;
    }
    thing = g_new0 (Thing, 1);
    thing->id = id;
    g_ptr_array_add (all, thing);
    g_assert_true (swarm_id_table_set (&table, thing) == old);
    if (old != NULL)
      g_hash_table_remove (model, old);
    g_hash_table_add (model, thing);
    if (round % 500 == 499)
      check_table (&table, model);
  }
  check_table (&table, model);
  swarm_id_table_clear (&table);
}

static void
test_id_table (void)
{
  run_table (SWARM_ID_TABLE_SMALL, FALSE);
  run_table (SWARM_ID_TABLE_LARGE, FALSE);
}

static void
test_id_table_skewed (void)
{
  run_table (SWARM_ID_TABLE_SMALL, TRUE);
  run_table (SWARM_ID_TABLE_LARGE, TRUE);
}

/* ---- shared tables ---- */

/* Tasks as values: what a table owns is counted. */
static void
check_tasks (const SwarmIdTable *table, GPtrArray *model)
{
  SwarmIdIter iter;
  guint n = 0;

  swarm_id_iter_init (&iter, table, NULL);
  for (SwarmTask *task = swarm_id_iter_next (&iter); task != NULL; task = swarm_id_iter_next (&iter), n++)
    g_assert_true (g_ptr_array_find (model, task, NULL));
  g_assert_cmpuint (n, ==, model->len);
  g_assert_cmpuint (n, ==, table->n);
}

static void
change_table (SwarmIdTable *table, GPtrArray *model)
{
  for (guint i = 0; i < 40; i++) {
    guint at = (guint) g_test_rand_int_range (0, (gint) MAX (model->len, 1u));
    SwarmTask *task;

    if (model->len > 0 && g_test_rand_int_range (0, 3) == 0) {
      swarm_message_unref (swarm_id_table_remove (table, &SWARM_OBJECT (model->pdata[at])->id));
      g_ptr_array_remove_index (model, at);
    } else if (model->len > 0 && g_test_rand_int_range (0, 2) == 0) {
      task = swarm_task_copy (model->pdata[at]);
      swarm_message_unref (swarm_id_table_set (table, task));
      swarm_message_unref (model->pdata[at]);
      model->pdata[at] = swarm_message_ref (task);
    } else {
      task = swarm_task_new ();
      task->object.id = draw_id (FALSE);
      swarm_message_unref (swarm_id_table_set (table, task));
      g_ptr_array_add (model, swarm_message_ref (task));
    }
  }
}

static GPtrArray *
copy_model (GPtrArray *model)
{
  GPtrArray *copy = swarm_messages_new ();

  for (guint i = 0; i < model->len; i++)
    g_ptr_array_add (copy, swarm_message_ref (model->pdata[i]));
  return copy;
}

/* Copies made at any moment keep what there was, whoever goes first. */
static void
run_shared (guint size)
{
  SwarmIdTable table, copies[3];
  GPtrArray *models[3] = { NULL };
  g_autoptr (GPtrArray) model = swarm_messages_new ();

  swarm_id_table_init (&table, G_STRUCT_OFFSET (SwarmObject, id), size);
  swarm_id_table_own (&table, swarm_message_ref, swarm_message_unref);
  for (guint round = 0; round < 200; round++) {
    guint which = (guint) g_test_rand_int_range (0, 3);

    change_table (&table, model);
    if (models[which] != NULL) {
      check_tasks (&copies[which], models[which]);
      swarm_id_table_clear (&copies[which]);
      g_clear_pointer (&models[which], g_ptr_array_unref);
    } else {
      swarm_id_table_share (&table, &copies[which]);
      models[which] = copy_model (model);
    }
    check_tasks (&table, model);
  }
  swarm_id_table_clear (&table);
  for (guint i = 0; i < 3; i++) {
    if (models[i] == NULL)
      continue;
    check_tasks (&copies[i], models[i]);
    swarm_id_table_clear (&copies[i]);
    g_ptr_array_unref (models[i]);
  }
}

static void
test_shared (void)
{
  run_shared (SWARM_ID_TABLE_SMALL);
  run_shared (SWARM_ID_TABLE_LARGE);
  run_shared (SWARM_ID_TABLE_HUGE);
}

static guint n_refs;

static gpointer
count_ref (gconstpointer value)
{
  n_refs++;
  return swarm_message_ref (value);
}

static void
draw_random (SwarmId *id)
{
  for (guint i = 0; i < sizeof id->bytes; i++)
    id->bytes[i] = (guint8) g_test_rand_int ();
}

/* A change after a copy was made costs what stands beside it, not all that there is. */
static void
test_shared_change (void)
{
  SwarmIdTable table, copy;

  swarm_id_table_init (&table, G_STRUCT_OFFSET (SwarmObject, id), SWARM_ID_TABLE_HUGE);
  swarm_id_table_own (&table, count_ref, swarm_message_unref);
  for (guint i = 0; i < 100000; i++) {
    SwarmTask *task = swarm_task_new ();
    draw_random (&task->object.id);
    swarm_message_unref (swarm_id_table_set (&table, task));
  }
  swarm_id_table_share (&table, &copy);
  n_refs = 0;
  for (guint i = 0; i < 10; i++) {
    SwarmTask *task = swarm_task_new ();
    draw_random (&task->object.id);
    swarm_message_unref (swarm_id_table_set (&table, task));
  }
  g_assert_cmpuint (n_refs, >, 0);
  g_assert_cmpuint (n_refs, <, 1000);
  swarm_id_table_clear (&copy);
  swarm_id_table_clear (&table);
}

/* ---- task lists ---- */

static int
compare_tasks (gconstpointer a, gconstpointer b)
{
  const SwarmTask *left = *(SwarmTask *const *) a, *right = *(SwarmTask *const *) b;

  if (left->slot != right->slot)
    return left->slot < right->slot ? -1 : 1;
  if (left->object.created_at != right->object.created_at)
    return left->object.created_at < right->object.created_at ? -1 : 1;
  return swarm_id_compare (&left->object.id, &right->object.id);
}

static void
check_list (const SwarmTaskList *list, GPtrArray *model, guint64 slots)
{
  g_autoptr (GPtrArray) found = swarm_task_list_get (list, NULL);
  guint at = 0;

  g_ptr_array_sort (model, compare_tasks);
  g_assert_cmpuint (found->len, ==, model->len);
  for (guint i = 0; i < model->len; i++)
    g_assert_true (found->pdata[i] == model->pdata[i]);
  for (guint64 slot = 0; slot <= slots; slot++) {
    g_autoptr (GPtrArray) of_slot = swarm_task_list_get (list, &slot);
    for (guint i = 0; i < of_slot->len; i++)
      g_assert_true (of_slot->pdata[i] == model->pdata[at++]);
  }
  g_assert_cmpuint (at, ==, model->len);
}

static void
run_list (guint64 slots, gboolean in_order)
{
  SwarmId service = { { 1 } };
  SwarmTaskList *list = swarm_task_list_new (&service);
  g_autoptr (GPtrArray) model = g_ptr_array_new_with_free_func (swarm_message_unref);

  for (guint round = 0; round < 6000; round++) {
    SwarmTask *task;
    guint at = (guint) g_test_rand_int_range (0, (gint) MAX (model->len, 1u));

    switch (model->len == 0 ? 6 : g_test_rand_int_range (0, 6)) {
    case 0:
      swarm_task_list_remove (list, model->pdata[at]);
      g_ptr_array_remove_index (model, at);
      break;
    case 1:
      task = swarm_task_copy (model->pdata[at]);
      swarm_task_list_replace (list, model->pdata[at], task);
      swarm_message_unref (model->pdata[at]);
      model->pdata[at] = task;
      break;
    default:
      task = swarm_task_new ();
      task->object.id = draw_id (FALSE);
      task->object.created_at = in_order ? (gint64) round : g_test_rand_int_range (0, 50);
      task->slot = in_order ? round % (slots + 1) : (guint64) g_test_rand_int_range (0, (gint) slots + 1);
      swarm_task_list_add (list, task);
      g_ptr_array_add (model, task);
    }
    if (round % 997 == 0)
      check_list (list, model, slots);
  }
  check_list (list, model, slots);
  while (model->len > 0) {
    swarm_task_list_remove (list, model->pdata[model->len - 1]);
    g_ptr_array_remove_index (model, model->len - 1);
  }
  check_list (list, model, slots);
  swarm_task_list_free (list);
}

static void
test_task_list (void)
{
  run_list (5000, FALSE);
  run_list (3, FALSE);
  run_list (0, FALSE); /* as a global service has them */
  run_list (6000, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tables/id-table", test_id_table);
  g_test_add_func ("/tables/id-table-skewed", test_id_table_skewed);
  g_test_add_func ("/tables/shared", test_shared);
  g_test_add_func ("/tables/shared-change", test_shared_change);
  g_test_add_func ("/tables/task-list", test_task_list);
  return g_test_run ();
}
