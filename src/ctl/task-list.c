// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/task-list.h"
#include "base/field.h"
#include <stdio.h>
#include <string.h>

#define ERROR_WIDTH 30
#define BACKOFF_SHOWN 2 /* after so many failures the restart delay alone is no explanation any more */

static const char *
name_of (GHashTable *table, const char *id)
{
  const char *name = table != NULL ? g_hash_table_lookup (table, id) : NULL;

  return name != NULL && *name != 0 ? name : id;
}

/* Without the list of services (on a worker) the task's own full name tells: "my-web.1.<id>". */
static char *
service_name (JsonObject *task, const CtlNames *names, gboolean no_resolve)
{
  const char *id = ctl_json_string (task, "ServiceID");
  const char *full = ctl_json_string (task, "Name");
  const char *known = names != NULL && names->services != NULL ? g_hash_table_lookup (names->services, id) : NULL;
  g_auto (GStrv) parts = NULL;

  if (no_resolve)
    return g_strdup (id);
  if (known != NULL)
    return g_strdup (known);
  parts = g_strsplit (full, ".", 2);
  return g_strdup (*full != 0 && parts[0] != NULL ? parts[0] : id);
}

char *
ctl_task_slot_name (JsonObject *task, const CtlNames *names, gboolean no_resolve)
{
  g_autofree char *service = service_name (task, names, no_resolve);
  const char *container = ctl_json_string (task, "NetworkAttachmentSpec.Name"); /* no service's, but a container in a network */
  gint64 slot = ctl_json_int (task, "Slot");
  gboolean job = names != NULL && names->jobs != NULL && g_hash_table_contains (names->jobs, ctl_json_string (task, "ServiceID"));

  if (*container != 0)
    return g_strdup (container);
  if (slot != 0 || job)
    return g_strdup_printf ("%s.%" G_GINT64_FORMAT, service, slot);
  return g_strdup_printf ("%s.%s", service, ctl_json_string (task, "NodeID"));
}

typedef struct {
  JsonObject *task;
  char *name;
  gint64 created;
} Row;

static void
row_free (gpointer data)
{
  Row *row = data;

  g_free (row->name);
  g_free (row);
}

static int
compare_rows (gconstpointer a, gconstpointer b)
{
  const Row *left = *(const Row *const *)a;
  const Row *right = *(const Row *const *)b;
  int order = ctl_natural_compare (left->name, right->name);

  if (order != 0)
    return order;
  return left->created > right->created ? -1 : left->created < right->created;
}

static GPtrArray *
sorted_rows (GPtrArray *tasks, const CtlNames *names, gboolean no_resolve)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func (row_free);

  for (guint i = 0; i < tasks->len; i++) {
    Row *row = g_new0 (Row, 1);

    row->task = g_ptr_array_index (tasks, i);
    row->name = ctl_task_slot_name (row->task, names, no_resolve);
    swarm_time_from_string (ctl_json_string (row->task, "CreatedAt"), &row->created);
    g_ptr_array_add (rows, row);
  }
  g_ptr_array_sort (rows, compare_rows);
  return rows;
}

/* Published host ports while the task is active: from its status as docker has it, else from its endpoint. */
static char *
task_ports (JsonObject *task)
{
  static const char *const paths[] = { "Status.PortStatus.Ports", "EndpointSpec.Ports", "Endpoint.Ports" };

  if (!g_str_equal (ctl_json_string (task, "Status.State"), "running"))
    return g_strdup ("");
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    if (ctl_json_array (task, paths[i]) != NULL)
      return ctl_host_ports (ctl_json_array (task, paths[i]));
  return g_strdup ("");
}

static char *
current_state (JsonObject *task, gint64 now_us)
{
  g_autofree char *state = ctl_capitalize (ctl_json_string_or (task, "Status.State", "new"));
  g_autofree char *age = ctl_age (ctl_json_string (task, "Status.Timestamp"), now_us);

  return g_strdup_printf ("%s %s", state, age);
}

/* Seconds until a task, or what comes after it, is started: it waits because those before it failed at once; 0: it does not wait. */
static gint64
backoff_left (JsonObject *task, gint64 now_us)
{
  gint64 at;

  if (!g_str_equal (ctl_json_string (task, "DesiredState"), "ready") || ctl_json_int (task, "RestartFailures") <= BACKOFF_SHOWN
      || !swarm_time_from_string (ctl_json_string (task, "NotBefore"), &at) || at <= now_us)
    return 0;
  return (at - now_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC;
}

static char *
error_text (JsonObject *task, gboolean no_trunc, gint64 now_us)
{
  const char *text = ctl_json_string (task, "Status.Err");
  g_autofree char *cut = no_trunc ? g_strdup (text) : ctl_ellipsis (text, ERROR_WIDTH);
  gint64 left = backoff_left (task, now_us);

  g_strdelimit (cut, "\n", ' ');
  if (left == 0)
    return *cut != 0 ? g_strdup_printf ("\"%s\"", cut) : g_strdup ("");
  if (*cut != 0)
    return g_strdup_printf ("\"%s\", again in %" G_GINT64_FORMAT "s", cut, left);
  return g_strdup_printf ("\"restarting in %" G_GINT64_FORMAT "s after %" G_GINT64_FORMAT " failures\"", left,
                          ctl_json_int (task, "RestartFailures"));
}

/* In the order of the table's titles. */
enum { ID, NAME, IMAGE, NODE, DESIRED, CURRENT, ERR, PORTS, CELLS };

static void
fill_cells (char *cells[CELLS], const Row *row, gboolean history, const CtlNames *names,
            const CtlTaskListOptions *options)
{
  JsonObject *task = row->task;
  const char *image = ctl_json_string (task, "Spec.ContainerSpec.Image");
  const char *node = ctl_json_string (task, "NodeID");

  cells[ID] = options->no_trunc ? g_strdup (ctl_json_string (task, "ID")) : ctl_short_id (ctl_json_string (task, "ID"));
  cells[NAME] = g_strconcat (history ? " \\_ " : "", row->name, NULL);
  cells[IMAGE] = options->no_trunc ? g_strdup (image) : ctl_image_name (image);
  cells[NODE] = g_strdup (options->no_resolve || names == NULL ? node : name_of (names->nodes, node));
  cells[DESIRED] = ctl_capitalize (ctl_json_string_or (task, "DesiredState", "new"));
  cells[CURRENT] = current_state (task, options->now_us);
  cells[ERR] = error_text (task, options->no_trunc, options->now_us);
  cells[PORTS] = task_ports (task);
}

static const CtlJsonCell json_members[]
    = { { "CurrentState", CURRENT }, { "DesiredState", DESIRED }, { "Error", ERR }, { "ID", ID }, { "Image", IMAGE }, { "Name", NAME }, { "Node", NODE },
        { "Ports", PORTS } };

char *
ctl_task_list_text (GPtrArray *tasks, const CtlNames *names, const CtlTaskListOptions *options)
{
  static const char *const titles[]
      = { "ID", "NAME", "IMAGE", "NODE", "DESIRED STATE", "CURRENT STATE", "ERROR", "PORTS", NULL };
  g_autoptr (GPtrArray) rows = sorted_rows (tasks, names, options->no_resolve);
  GString *out = g_string_new (NULL);
  CtlTable *table = ctl_table_new (titles);
  const char *previous = "";

  for (guint i = 0; i < rows->len; i++) {
    const Row *row = g_ptr_array_index (rows, i);
    gboolean history = !options->json && g_str_equal (row->name, previous);
    char *cells[CELLS];

    fill_cells (cells, row, history, names, options);
    if (options->quiet)
      g_string_append_printf (out, "%s\n", cells[ID]);
    else if (options->json)
      ctl_json_line_of_cells (out, json_members, G_N_ELEMENTS (json_members), (const char *const *)cells);
    else
      ctl_table_add (table, (const char *const *)cells);
    for (guint n = 0; n < CELLS; n++)
      g_free (cells[n]);
    previous = row->name;
  }
  return ctl_list_finish (table, out, options->quiet || options->json);
}

static void
add_name (GHashTable *names, JsonObject *object, const char *name_path, const char *other_path)
{
  const char *name = ctl_json_string (object, name_path);

  if (*name == 0 && other_path != NULL)
    name = ctl_json_string (object, other_path);
  g_hash_table_insert (names, g_strdup (ctl_json_string (object, "ID")), g_strdup (name));
}

/* Fills the tables with what can be had: on a worker nothing. */
static void
fetch_names (CtlContext *context, CtlNames *names)
{
  g_autoptr (JsonNode) nodes = ctl_list (context, "ListNodes", ctl_filters (NULL), NULL);
  g_autoptr (JsonNode) services = ctl_list (context, "ListServices", ctl_filters (NULL), NULL);
  g_autoptr (GPtrArray) node_list = ctl_json_objects (nodes != NULL ? json_node_get_array (nodes) : NULL);
  g_autoptr (GPtrArray) service_list = ctl_json_objects (services != NULL ? json_node_get_array (services) : NULL);

  for (guint i = 0; i < node_list->len; i++)
    add_name (names->nodes, g_ptr_array_index (node_list, i), "Spec.Name", "Description.Hostname");
  for (guint i = 0; i < service_list->len; i++) {
    JsonObject *service = g_ptr_array_index (service_list, i);

    add_name (names->services, service, "Spec.Name", NULL);
    if (ctl_json_object (service, "Spec.Mode.ReplicatedJob") != NULL)
      g_hash_table_add (names->jobs, g_strdup (ctl_json_string (service, "ID")));
  }
}

/* On a worker the nodes cannot be listed, but it knows its own name. */
static void
add_self (CtlContext *context, GHashTable *nodes)
{
  g_autoptr (JsonNode) info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, NULL);
  JsonObject *object = info != NULL && JSON_NODE_HOLDS_OBJECT (info) ? json_node_get_object (info) : NULL;

  if (object != NULL && *ctl_json_string (object, "Name") != 0)
    g_hash_table_insert (nodes, g_strdup (ctl_json_string (object, "NodeID")),
                         g_strdup (ctl_json_string (object, "Name")));
}

void
ctl_task_list_options (CtlContext *context, CtlTaskListOptions *options)
{
  *options = (CtlTaskListOptions){
    .no_trunc = ctl_args_bool (context->args, "no-trunc"),
    .no_resolve = ctl_args_bool (context->args, "no-resolve"),
    .quiet = ctl_args_bool (context->args, "quiet"),
    .json = g_strcmp0 (ctl_args_string (context->args, "format"), "json") == 0,
    .now_us = g_get_real_time (),
  };
}

void
ctl_task_list_print (CtlContext *context, GPtrArray *tasks, const CtlTaskListOptions *options)
{
  g_autoptr (GHashTable) nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) services = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) jobs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *text = NULL;
  CtlNames names = { nodes, services, jobs };

  if (!options->no_resolve && !options->quiet) {
    fetch_names (context, &names);
    if (g_hash_table_size (nodes) == 0)
      add_self (context, nodes);
  }
  text = ctl_task_list_text (tasks, &names, options);
  fputs (text, stdout);
}
