// SPDX-License-Identifier: LGPL-2.1-or-later
/* node ls, inspect, ps, promote, demote, update, rm. */
#include "base/error.h"
#include "ctl/client.h"
#include "ctl/inspect.h"
#include "ctl/node-list.h"
#include "ctl/task-list.h"
#include <stdio.h>
#include <string.h>

static char *
manager_status (JsonObject *node)
{
  if (ctl_json_object (node, "ManagerStatus") == NULL)
    return g_strdup ("");
  if (ctl_json_bool (node, "ManagerStatus.Leader"))
    return g_strdup ("Leader");
  return ctl_capitalize (ctl_json_string (node, "ManagerStatus.Reachability"));
}

static int
compare_nodes (gconstpointer a, gconstpointer b)
{
  JsonObject *left = *(JsonObject *const *)a;
  JsonObject *right = *(JsonObject *const *)b;
  int order = ctl_natural_compare (ctl_json_string (left, "Description.Hostname"),
                                   ctl_json_string (right, "Description.Hostname"));

  return order != 0 ? order : strcmp (ctl_json_string (left, "ID"), ctl_json_string (right, "ID"));
}

static void
append_node_json (GString *out, JsonObject *node, const char *const *cells, gboolean self)
{
  g_autoptr (JsonObject) object = json_object_new ();

  json_object_set_string_member (object, "Availability", cells[3]);
  json_object_set_string_member (object, "EngineVersion", cells[5]);
  json_object_set_string_member (object, "Hostname", cells[1]);
  json_object_set_string_member (object, "ID", ctl_json_string (node, "ID"));
  json_object_set_string_member (object, "ManagerStatus", cells[4]);
  json_object_set_boolean_member (object, "Self", self);
  json_object_set_string_member (object, "Status", cells[2]);
  json_object_set_string_member (object, "TLSStatus", ctl_json_string_or (node, "TLSStatus", "Ready"));
  ctl_json_line (out, object);
}

char *
ctl_node_list_text (GPtrArray *nodes, const char *self_id, gboolean quiet, gboolean json)
{
  static const char *const titles[]
      = { "ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER STATUS", "ENGINE VERSION", NULL };
  CtlTable *table = ctl_table_new (titles);
  GString *out = g_string_new (NULL);

  g_ptr_array_sort (nodes, compare_nodes);
  for (guint i = 0; i < nodes->len; i++) {
    JsonObject *node = g_ptr_array_index (nodes, i);
    gboolean self = g_strcmp0 (ctl_json_string (node, "ID"), self_id) == 0;
    g_autofree char *id = g_strdup_printf ("%s %s", ctl_json_string (node, "ID"), self ? "*" : " ");
    g_autofree char *state = ctl_capitalize (ctl_json_string_or (node, "Status.State", "unknown"));
    g_autofree char *availability = ctl_capitalize (ctl_json_string_or (node, "Spec.Availability", "active"));
    g_autofree char *manager = manager_status (node);
    const char *cells[] = { id,      ctl_json_string (node, "Description.Hostname"),
                            state,   availability,
                            manager, ctl_json_string (node, "Description.Engine.EngineVersion") };

    if (quiet)
      g_string_append_printf (out, "%s\n", ctl_json_string (node, "ID"));
    else if (json)
      append_node_json (out, node, cells, self);
    else
      ctl_table_add (table, cells);
  }
  return ctl_list_finish (table, out, quiet || json);
}

gboolean
ctl_cmd_node_ls (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) list
      = ctl_list (context, "ListNodes", ctl_filters (ctl_args_list (context->args, "filter")), error);
  g_autoptr (JsonNode) info = NULL;
  g_autoptr (GPtrArray) nodes = NULL;
  g_autofree char *text = NULL;

  if (list == NULL)
    return FALSE;
  info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, error);
  if (info == NULL)
    return FALSE;
  nodes = ctl_json_objects (json_node_get_array (list));
  text = ctl_node_list_text (nodes, ctl_json_string (json_node_get_object (info), "NodeID"),
                             ctl_args_bool (context->args, "quiet"),
                             g_strcmp0 (ctl_args_string (context->args, "format"), "json") == 0);
  fputs (text, stdout);
  return TRUE;
}

gboolean
ctl_cmd_node_inspect (CtlContext *context, GError **error)
{
  return ctl_inspect_run (context, "node", ctl_pretty_node, NULL, error);
}

/* "self" on a worker: the cluster is not to be seen, but the agent knows its own tasks. */
static char *
node_id_of (CtlContext *context, const char *reference, GError **error)
{
  g_autoptr (JsonNode) info = NULL;
  char *id = NULL;
  g_autofree char *path = NULL;

  if (g_str_equal (reference, "self")) {
    info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, error);
    if (info == NULL)
      return NULL;
    if (*ctl_json_string (json_node_get_object (info), "NodeID") != 0)
      return g_strdup (ctl_json_string (json_node_get_object (info), "NodeID"));
  }
  path = ctl_resolve (context, "node", reference, &id, error);
  return path != NULL ? id : NULL;
}

gboolean
ctl_cmd_node_ps (CtlContext *context, GError **error)
{
  g_autoptr (GPtrArray) references = g_ptr_array_new ();
  g_autoptr (GPtrArray) lists = g_ptr_array_new_with_free_func ((GDestroyNotify)json_node_unref);
  g_autoptr (GPtrArray) tasks = g_ptr_array_new ();
  GPtrArray *given = ctl_args_positional (context->args);
  CtlTaskListOptions options;
  GString *errors = NULL;

  g_ptr_array_extend (references, given, NULL, NULL);
  if (references->len == 0)
    g_ptr_array_add (references, (gpointer) "self");
  for (guint i = 0; i < references->len; i++) {
    g_autoptr (GError) reason = NULL;
    g_autofree char *id = node_id_of (context, g_ptr_array_index (references, i), &reason);
    g_autoptr (GPtrArray) ids = g_ptr_array_new ();
    g_autoptr (GPtrArray) objects = NULL;
    JsonNode *list = NULL;

    g_ptr_array_add (ids, id);
    if (id != NULL)
      list = ctl_list_tasks (context, ctl_filters_with (ctl_args_list (context->args, "filter"), "node", ids), &reason);
    if (list == NULL) {
      ctl_errors_add (&errors, reason, NULL);
      continue;
    }
    g_ptr_array_add (lists, list);
    objects = ctl_json_objects (json_node_get_array (list));
    g_ptr_array_extend (tasks, objects, NULL, NULL);
  }
  ctl_task_list_options (context, &options);
  if (errors == NULL || tasks->len > 0)
    ctl_task_list_print (context, tasks, &options);
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}

/* The role that a node has, from its public property, for callers who may not inspect it. */
static char *
public_role (CtlContext *context, const char *path)
{
  g_autoptr (GVariant) reply = ctl_call (context, path, "org.freedesktop.DBus.Properties", "Get",
                                         g_variant_new ("(ss)", CTL_NODE_IFACE, "Role"), NULL);
  g_autoptr (GVariant) value = NULL;

  if (reply == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(v)")))
    return NULL;
  g_variant_get (reply, "(v)", &value);
  return g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string (value, NULL) : NULL;
}

/* The role that a node is to have; NULL with an error. */
static char *
wanted_role (CtlContext *context, const char *path, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autoptr (JsonNode) node = ctl_inspect (context, "node", path, &reason);
  char *role = NULL;

  if (node != NULL)
    return g_strdup (ctl_json_string_or (json_node_get_object (node), "Spec.Role", "worker"));
  if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED))
    role = public_role (context, path);
  if (role == NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  return role;
}

/* Shared by promote, demote and `update --role`: "already" is told, not an error. */
static gboolean
set_role (CtlContext *context, const char *path, const char *role, gboolean *ret_changed, GError **error)
{
  g_autofree char *wanted = wanted_role (context, path, error);
  g_autoptr (GVariant) reply = NULL;
  gboolean promote = g_str_equal (role, "manager");

  *ret_changed = FALSE;
  if (wanted == NULL)
    return FALSE;
  if (g_str_equal (wanted, role))
    return TRUE;
  reply = ctl_call_write (context, path, CTL_NODE_IFACE, promote ? "Promote" : "Demote", NULL, FALSE, error);
  *ret_changed = reply != NULL;
  return reply != NULL;
}

static gboolean
change_roles (CtlContext *context, const char *role, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);

  for (guint i = 0; i < references->len; i++) {
    const char *reference = g_ptr_array_index (references, i);
    g_autofree char *id = NULL;
    g_autofree char *path = ctl_resolve (context, "node", reference, &id, error);
    gboolean changed;

    if (path == NULL || !set_role (context, path, role, &changed, error))
      return FALSE;
    if (!changed)
      printf (_ ("Node %s is already a %s.\n"), id, role);
    else if (g_str_equal (role, "manager"))
      printf (_ ("Node %s promoted to a manager in the swarm.\n"), reference);
    else
      printf (_ ("Manager %s demoted in the swarm.\n"), reference);
    fflush (stdout);
  }
  return TRUE;
}

gboolean
ctl_cmd_node_promote (CtlContext *context, GError **error)
{
  return change_roles (context, "manager", error);
}

gboolean
ctl_cmd_node_demote (CtlContext *context, GError **error)
{
  return change_roles (context, "worker", error);
}

/* a{ss} of "key=value" texts; floating. */
static GVariant *
label_map (GPtrArray *labels)
{
  GVariantBuilder builder;
  g_autoptr (GHashTable) map = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  for (guint i = 0; i < labels->len; i++) {
    g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (labels, i), "=", 2);
    g_hash_table_insert (map, g_strdup (parts[0]), g_strdup (parts[1] != NULL ? parts[1] : ""));
  }
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_variant_builder_add (&builder, "{ss}", key, value);
  return g_variant_builder_end (&builder);
}

/* Are the labels there that are to go? */
static gboolean
check_labels (CtlContext *context, const char *path, GError **error)
{
  GPtrArray *remove = ctl_args_list (context->args, "label-rm");
  g_autoptr (JsonNode) node = NULL;
  JsonObject *labels;

  if (remove->len == 0)
    return TRUE;
  node = ctl_inspect (context, "node", path, error);
  if (node == NULL)
    return FALSE;
  labels = ctl_json_object (json_node_get_object (node), "Spec.Labels");
  for (guint i = 0; i < remove->len; i++) {
    const char *key = g_ptr_array_index (remove, i);
    if (labels == NULL || !json_object_has_member (labels, key)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "key %s doesn't exist in node's labels", key);
      return FALSE;
    }
  }
  return TRUE;
}

/* Availability and labels, in one write. */
static gboolean
update_spec (CtlContext *context, const char *path, GError **error)
{
  const char *text = ctl_args_given (context->args, "availability") ? ctl_args_string (context->args, "availability") : "";
  g_autofree char *availability = g_ascii_strdown (text, -1);
  GPtrArray *add = ctl_args_list (context->args, "label-add");
  GPtrArray *remove = ctl_args_list (context->args, "label-rm");
  g_autoptr (GVariant) reply = NULL;

  if (*availability == 0 && add->len == 0 && remove->len == 0)
    return TRUE;
  reply = ctl_call_write (context, path, CTL_NODE_IFACE, "Update",
                          g_variant_new ("(s@a{ss}@as)", availability, label_map (add),
                                         g_variant_new_strv ((const char *const *)remove->pdata, (gssize)remove->len)),
                          FALSE, error);
  return reply != NULL;
}

gboolean
ctl_cmd_node_update (CtlContext *context, GError **error)
{
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *path = ctl_resolve (context, "node", reference, NULL, error);
  gboolean changed;

  /* A role is a write of its own, with a polkit action of its own. What is most likely to be refused comes first, so that nothing is done. */
  if (path == NULL || !check_labels (context, path, error))
    return FALSE;
  if (ctl_args_given (context->args, "role")
      && !set_role (context, path, ctl_args_string (context->args, "role"), &changed, error))
    return FALSE;
  if (!update_spec (context, path, error))
    return FALSE;
  printf ("%s\n", reference);
  return TRUE;
}

gboolean
ctl_cmd_node_rm (CtlContext *context, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);
  gboolean force = ctl_args_bool (context->args, "force");
  GString *errors = NULL;

  for (guint i = 0; i < references->len; i++) {
    g_autoptr (GError) reason = NULL;
    g_autoptr (GVariant) reply = NULL;
    g_autofree char *path = ctl_resolve (context, "node", g_ptr_array_index (references, i), NULL, &reason);

    if (path != NULL)
      reply = ctl_call_write (context, path, CTL_NODE_IFACE, "Remove", g_variant_new ("(b)", force), FALSE, &reason);
    if (reply == NULL)
      ctl_errors_add (&errors, reason, NULL);
    else
      printf ("%s\n", (const char *)g_ptr_array_index (references, i));
  }
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}
