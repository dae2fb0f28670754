// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/plan.h"
#include "ctl/format.h"
#include <stdio.h>

char *
ctl_plan_text (JsonArray *steps, gboolean json)
{
  static const char *const titles[] = { "ACTION", "TASK", "NODE", "REASON", NULL };
  g_autoptr (GPtrArray) list = ctl_json_objects (steps);
  CtlTable *table = ctl_table_new (titles);
  GString *out = g_string_new (NULL);
  g_autofree char *text = NULL;

  for (guint i = 0; i < list->len; i++) {
    JsonObject *step = g_ptr_array_index (list, i);
    const char *node = ctl_json_string_or (step, "Node", ctl_json_string (step, "NodeID"));
    const char *cells[] = { ctl_json_string (step, "Action"), ctl_json_string (step, "Name"), *node != 0 ? node : "-",
                            ctl_json_string (step, "Reason") };

    if (json)
      ctl_json_line (out, step);
    else
      ctl_table_add (table, cells);
  }
  text = ctl_table_finish (table);
  if (!json)
    g_string_append (out, list->len > 0 ? text : _ ("Nothing would be started or stopped.\n"));
  return g_string_free (out, FALSE);
}

gboolean
ctl_plan_print (CtlContext *context, GVariant *reply, GError **error)
{
  gboolean truncated;
  g_autoptr (GVariant) steps = NULL;
  g_autoptr (JsonNode) node = NULL;
  g_autofree char *text = NULL;

  if (!g_variant_is_of_type (reply, G_VARIANT_TYPE ("(aa{sv}b)"))) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent's plan has an unknown form: %s"),
                 g_variant_get_type_string (reply));
    return FALSE;
  }
  g_variant_get (reply, "(@aa{sv}b)", &steps, &truncated);
  node = ctl_variant_to_json (steps);
  text = ctl_plan_text (json_node_get_array (node), FALSE);
  fputs (text, stdout);
  fflush (stdout);
  if (truncated)
    fprintf (stderr, _ ("There is more: only the first %u steps are shown.\n"),
             json_array_get_length (json_node_get_array (node)));
  return TRUE;
}

gboolean
ctl_plan_service (CtlContext *context, const SwarmServiceSpec *spec, GVariant *options, GError **error)
{
  g_autoptr (GVariant) reply
      = ctl_call (context, CTL_PATH, CTL_MANAGER_IFACE, "PlanService",
                  g_variant_new ("(@a{sv}@a{sv})", swarm_message_to_variant (spec, 0), options), error);

  return reply != NULL && ctl_plan_print (context, reply, error);
}
