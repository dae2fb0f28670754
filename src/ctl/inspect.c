// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/inspect.h"
#include "base/error.h"
#include "ctl/format.h"
#include <stdio.h>

static JsonNode *
find (CtlContext *context, const char *kind, const char *reference, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *path = ctl_resolve (context, kind, reference, NULL, &reason);
  JsonNode *node = path != NULL ? ctl_inspect (context, kind, path, &reason) : NULL;

  if (node != NULL)
    return node;
  if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND) && !g_str_equal (kind, "node"))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such %s: %s", kind, reference);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

gboolean
ctl_inspect_run (CtlContext *context, const char *kind, char *(*pretty) (JsonObject *object), GError **error)
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
    JsonNode *node = find (context, kind, g_ptr_array_index (references, i), &reason);

    if (node == NULL)
      ctl_errors_add (&errors, reason, NULL);
    else
      json_array_add_element (json_node_get_array (found), node);
  }
  if (human) {
    g_autoptr (GPtrArray) objects = ctl_json_objects (json_node_get_array (found));

    for (guint i = 0; i < objects->len; i++) {
      g_autofree char *part = pretty (g_ptr_array_index (objects, i));
      printf ("%s%s", i > 0 ? "\n" : "", part);
    }
  } else {
    text = ctl_json_print (found, g_strcmp0 (format, "json") != 0);
    printf ("%s\n", text);
  }
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}
