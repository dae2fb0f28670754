// SPDX-License-Identifier: LGPL-2.1-or-later
/* Manager.ListTasks: filtered and paged. */
#include "api/private.h"
#include "base/error.h"
#include "manager/orchestrator/slot.h"
#include <string.h>

#define PART 64 /* tasks of a service that are looked up at once */

/* Where a page ends, and the next one goes on: behind a task, in order of id, or of slot, creation and id among the tasks of one service. */
typedef struct {
  gboolean is_set;
  guint64 slot;
  gint64 created_at;
  SwarmId id;
} Cursor;

typedef struct {
  SwarmApi *api;
  GVariant *filters;
  Cursor cursor;
  SwarmApiPage page;
} TaskList;

static gboolean
match_id (const char *value, gpointer data)
{
  return g_str_has_prefix (swarm_id_string (&((SwarmTask *) data)->object.id).str, value);
}

/* Name: the task's own ("web.1.<id>"), "web.1", or a prefix. */
static gboolean
match_name (const char *value, gpointer data)
{
  g_autofree char *name = swarm_task_name (data);
  return g_str_has_prefix (name, value);
}

static gboolean
match_service (const char *value, gpointer data)
{
  const SwarmTask *task = data;
  return strcmp (value, swarm_id_string (&task->service_id).str) == 0 || g_strcmp0 (value, task->service_name) == 0;
}

typedef struct {
  SwarmApi *api;
  const SwarmTask *task;
} NodeMatch;

static gboolean
match_node (const char *value, gpointer data)
{
  const NodeMatch *match = data;
  if (swarm_id_is_nil (&match->task->node_id))
    return FALSE;
  if (strcmp (value, "self") == 0)
    return swarm_id_equal (&match->task->node_id, &match->api->node_id);
  if (strcmp (value, swarm_id_string (&match->task->node_id).str) == 0)
    return TRUE;
  if (match->api->store == NULL)
    return FALSE;
  const SwarmObject *node = swarm_store_get (match->api->store, SWARM_KIND_NODE, &match->task->node_id);
  return node != NULL && strcmp (swarm_object_name (node), value) == 0;
}

static gboolean
match_desired (const char *value, gpointer data)
{
  return g_ascii_strcasecmp (value, swarm_task_state_to_string (((SwarmTask *) data)->desired_state)) == 0;
}

static gboolean
match_label (const char *value, gpointer data)
{
  const SwarmTask *task = data;
  const char *equals = strchr (value, '=');
  g_autofree char *key = equals != NULL ? g_strndup (value, equals - value) : g_strdup (value);
  const char *found = task->service_labels != NULL ? g_hash_table_lookup (task->service_labels, key) : NULL;
  return found != NULL && (equals == NULL || strcmp (found, equals + 1) == 0);
}

/* Is what the service asks for now; on a worker nobody knows. */
static gboolean
match_up_to_date (const char *value, gpointer data)
{
  const NodeMatch *match = data;
  SwarmStore *store = match->api->store;
  const SwarmService *service = store != NULL ? swarm_store_get (store, SWARM_KIND_SERVICE, &match->task->service_id) : NULL;
  gboolean current = service == NULL || !swarm_task_is_dirty (store, match->task, service);
  return current == g_str_equal (value, "true");
}

static gboolean
task_matches (TaskList *list, SwarmTask *task)
{
  NodeMatch node = { list->api, task };
  return swarm_api_filter (list->filters, "id", match_id, task) && swarm_api_filter (list->filters, "name", match_name, task)
         && swarm_api_filter (list->filters, "service", match_service, task)
         && swarm_api_filter (list->filters, "node", match_node, &node)
         && swarm_api_filter (list->filters, "desired-state", match_desired, task)
         && swarm_api_filter (list->filters, "up-to-date", match_up_to_date, &node)
         && swarm_api_filter (list->filters, "label", match_label, task);
}

/* FALSE: the page is over, @task is for the next one. */
static gboolean
list_task (TaskList *list, SwarmTask *task)
{
  if (!swarm_api_page_take (&list->page, task_matches (list, task) ? swarm_api_task_variant (list->api, task) : NULL))
    return FALSE;
  list->cursor = (Cursor){ TRUE, task->slot, task->object.created_at, task->object.id };
  return TRUE;
}

/* A filter on one service is the common case: use the index instead of walking all tasks. */
static const SwarmService *
only_service (SwarmApi *self, GVariant *filters)
{
  g_autofree const char **names = NULL;
  g_autoptr (GVariant) value = g_variant_lookup_value (filters, "service", G_VARIANT_TYPE_STRING_ARRAY);
  if (value == NULL || g_variant_n_children (value) != 1)
    return NULL;
  names = g_variant_get_strv (value, NULL);
  return swarm_store_resolve (self->store, SWARM_KIND_SERVICE, names[0], NULL);
}

static int
compare_tasks (gconstpointer a, gconstpointer b)
{
  return swarm_id_compare (&SWARM_OBJECT (*(gpointer *) a)->id, &SWARM_OBJECT (*(gpointer *) b)->id);
}

/* A worker's own, which are few. */
static void
list_local (TaskList *list)
{
  g_autoptr (GPtrArray) tasks = list->api->hooks->local_tasks (list->api->agent);
  Cursor from = list->cursor;
  g_ptr_array_sort (tasks, compare_tasks);
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = tasks->pdata[i];
    gboolean listed = from.is_set && swarm_id_compare (&task->object.id, &from.id) <= 0;
    if (!listed && !list_task (list, task))
      return;
  }
}

static void
list_all (TaskList *list)
{
  SwarmTask *task;
  do
    task = swarm_store_next (list->api->store, SWARM_KIND_TASK, list->cursor.is_set ? &list->cursor.id : NULL);
  while (task != NULL && list_task (list, task));
}

/* @task is not behind the cursor: it was on an earlier page. */
static gboolean
was_listed (const Cursor *from, const SwarmTask *task)
{
  if (!from->is_set || task->slot != from->slot)
    return FALSE;
  if (task->object.created_at != from->created_at)
    return task->object.created_at < from->created_at;
  return swarm_id_compare (&task->object.id, &from->id) <= 0;
}

static void
list_service (TaskList *list, const SwarmId *service)
{
  Cursor from = list->cursor;
  guint64 slot = from.is_set ? from.slot : 0;
  for (gboolean more = TRUE; more;) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_from_slot (list->api->store, service, slot, PART);
    for (guint i = 0; i < tasks->len; i++) {
      SwarmTask *task = tasks->pdata[i];
      slot = task->slot + 1;
      if (!was_listed (&from, task) && !list_task (list, task))
        return;
    }
    more = tasks->len >= PART;
  }
}

static char *
cursor_text (const TaskList *list, const SwarmService *service)
{
  const Cursor *cursor = &list->cursor;
  if (!list->page.more)
    return g_strdup ("");
  if (service == NULL)
    return swarm_id_dup_string (&cursor->id);
  return g_strdup_printf ("%" G_GUINT64_FORMAT ".%" G_GINT64_FORMAT ".%s", cursor->slot, cursor->created_at, swarm_id_string (&cursor->id).str);
}

static gboolean
cursor_parse (const char *text, const SwarmService *service, Cursor *ret)
{
  g_auto (GStrv) parts = g_strsplit (text, ".", 3);
  guint n = g_strv_length (parts);
  *ret = (Cursor){ .is_set = *text != '\0' };
  if (!ret->is_set)
    return TRUE;
  if (service == NULL) /* or it went between two pages */
    return (n == 1 || n == 3) && swarm_id_parse (parts[n - 1], &ret->id);
  return n == 3 && g_ascii_string_to_unsigned (parts[0], 10, 0, G_MAXUINT64, &ret->slot, NULL)
         && g_ascii_string_to_signed (parts[1], 10, 0, G_MAXINT64, &ret->created_at, NULL) && swarm_id_parse (parts[2], &ret->id);
}

void
swarm_api_list_tasks (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "desired-state", "id", "label", "name", "node", "service", "up-to-date", NULL };
  SwarmApi *self = swarm_api_of (invocation);
  const char *cursor;
  guint limit;
  g_autoptr (GVariant) filters = NULL;
  g_autoptr (GError) error = NULL;
  g_variant_get (args, "(@a{sv}&su)", &filters, &cursor, &limit);
  if (self->store == NULL && self->state != SWARM_LOCAL_ACTIVE) {
    swarm_api_need_manager (self, invocation);
    return;
  }
  if (!swarm_api_check_filters (filters, allowed, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  TaskList list = { .api = self, .filters = filters };
  const SwarmService *service = self->store != NULL ? only_service (self, filters) : NULL;
  if (!cursor_parse (cursor, service, &list.cursor)) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "cursor \"%s\" is not one that ListTasks gave", cursor);
    swarm_invocation_fail (invocation, error);
    return;
  }
  swarm_api_page_init (&list.page, limit);
  if (self->store == NULL)
    list_local (&list);
  else if (service != NULL)
    list_service (&list, &service->object.id);
  else
    list_all (&list);
  g_autofree char *next = cursor_text (&list, service);
  swarm_invocation_return (invocation, g_variant_new ("(@aa{sv}s)", swarm_api_list (list.page.items), next));
  swarm_api_page_clear (&list.page);
}
