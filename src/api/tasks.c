// SPDX-License-Identifier: LGPL-2.1-or-later
/* Manager.ListTasks: filtered and paged. */
#include "api/private.h"
#include "base/error.h"
#include "manager/orchestrator/slot.h"
#include <string.h>

#define DEFAULT_PAGE 500
#define MAX_PAGE 2000

typedef struct {
  SwarmApi *api;
  GVariant *filters;
  SwarmId after; /* the last page's last id */
  gboolean has_cursor;
  guint limit;
  GPtrArray *out;
  SwarmId last;
  gboolean more;
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

static gboolean
list_task (gpointer object, gpointer data)
{
  TaskList *list = data;
  SwarmTask *task = object;
  if (list->has_cursor && swarm_id_compare (&task->object.id, &list->after) <= 0)
    return TRUE;
  if (!task_matches (list, task))
    return TRUE;
  if (list->out->len == list->limit) {
    list->more = TRUE;
    return FALSE;
  }
  g_ptr_array_add (list->out, swarm_api_task_variant (list->api, task));
  list->last = task->object.id;
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

static void
walk (TaskList *list, GPtrArray *tasks)
{
  g_ptr_array_sort (tasks, compare_tasks);
  for (guint i = 0; i < tasks->len && list_task (tasks->pdata[i], list); i++)
    ;
}

static void
collect (TaskList *list)
{
  SwarmApi *self = list->api;
  if (self->store == NULL) {
    g_autoptr (GPtrArray) own = self->hooks->local_tasks (self->agent);
    walk (list, own);
    return;
  }
  const SwarmService *service = only_service (self, list->filters);
  if (service == NULL) {
    swarm_store_foreach (self->store, SWARM_KIND_TASK, list_task, list);
    return;
  }
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (self->store, &service->object.id);
  walk (list, tasks);
}

void
swarm_api_list_tasks (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "desired-state", "id", "label", "name", "node", "service", "up-to-date", NULL };
  SwarmApi *self = swarm_api_of (invocation);
  const char *cursor;
  guint limit;
  g_autoptr (GVariant) filters = NULL;
  g_autoptr (GPtrArray) out = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  g_variant_get (args, "(@a{sv}&su)", &filters, &cursor, &limit);
  if (self->store == NULL && self->state != SWARM_LOCAL_ACTIVE) {
    swarm_api_need_manager (self, invocation);
    return;
  }
  TaskList list = { .api = self, .filters = filters, .out = out, .limit = limit == 0 ? DEFAULT_PAGE : MIN (limit, MAX_PAGE) };
  if (*cursor != '\0' && !swarm_id_parse (cursor, &list.after))
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "cursor \"%s\" is not one that ListTasks gave", cursor);
  if (error != NULL || !swarm_api_check_filters (filters, allowed, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  list.has_cursor = *cursor != '\0';
  collect (&list);
  swarm_invocation_return (invocation, g_variant_new ("(@aa{sv}s)", swarm_api_list (out), list.more ? swarm_id_string (&list.last).str : ""));
}
