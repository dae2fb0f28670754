// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/inspect.h"
#include "base/error.h"
#include "ctl/format.h"
#include <stdio.h>
#include <string.h>

static JsonNode *
find (CtlContext *context, const char *kind, const char *reference, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *path = ctl_resolve (context, kind, reference, NULL, &reason);
  JsonNode *node = path != NULL ? ctl_inspect (context, kind, path, &reason) : NULL;

  if (node != NULL)
    return node;
  if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND) && !g_str_equal (kind, "node") && !g_str_equal (kind, "network"))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such %s: %s", kind, reference);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

/* The members in the order in which people look for them: the agent may send them in any. */
static JsonNode *
ordered (JsonNode *node)
{
  static const char *const first[]
      = { "ID",   "Version",      "CreatedAt",   "UpdatedAt", "Name",         "Id",            "Created",      "Scope",
          "Driver", "EnableIPv6", "IPAM",        "Internal",  "Attachable",   "Ingress",       "ServiceID",    "Slot", "NodeID",
          "Spec", "PreviousSpec", "Description", "Status",    "DesiredState", "ManagerStatus", "ServiceStatus" };
  JsonObject *from = json_node_get_object (node);
  JsonObject *to = json_object_new ();
  JsonNode *result = json_node_init_object (json_node_alloc (), to);
  g_autoptr (GList) names = g_list_sort (json_object_get_members (from), (GCompareFunc)strcmp);

  for (guint i = 0; i < G_N_ELEMENTS (first); i++)
    if (json_object_has_member (from, first[i]))
      json_object_set_member (to, first[i], json_object_dup_member (from, first[i]));
  for (GList *l = names; l != NULL; l = l->next)
    if (!json_object_has_member (to, l->data))
      json_object_set_member (to, l->data, json_object_dup_member (from, l->data));
  json_object_unref (to);
  return result;
}

gboolean
ctl_inspect_run (CtlContext *context, const char *kind, CtlPretty pretty, CtlComplete complete, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);
  const char *format = ctl_args_string (context->args, "format");
  gboolean human = ctl_args_bool (context->args, "pretty") || g_strcmp0 (format, "pretty") == 0;
  g_autoptr (JsonNode) found = json_node_new (JSON_NODE_ARRAY);
  g_autofree char *text = NULL;
  GString *errors = NULL;

  json_node_take_array (found, json_array_new ());
  for (guint i = 0; i < references->len; i++) {
    g_autoptr (GError) reason = NULL;
    g_autoptr (JsonNode) node = find (context, kind, g_ptr_array_index (references, i), &reason);

    if (node == NULL || (complete != NULL && !complete (context, json_node_get_object (node), human, &reason)))
      ctl_errors_add (&errors, reason, NULL);
    else
      json_array_add_element (json_node_get_array (found), ordered (node));
  }
  if (human) {
    g_autoptr (GPtrArray) objects = ctl_json_objects (json_node_get_array (found));

    for (guint i = 0; i < objects->len; i++) {
      g_autofree char *part = pretty (g_ptr_array_index (objects, i));
      printf ("%s%s", i > 0 ? "\n" : "", ctl_printable (part, TRUE));
    }
  } else {
    text = ctl_json_print (found, g_strcmp0 (format, "json") != 0);
    printf ("%s\n", text);
  }
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}
