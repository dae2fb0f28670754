// SPDX-License-Identifier: LGPL-2.1-or-later
/* info: the lines of docker info's Swarm part. */
#include "ctl/client.h"
#include "ctl/format.h"
#include "ctl/info.h"
#include "model/network.h"
#include <stdio.h>

#define DAY_NS (G_GINT64_CONSTANT (24) * 3600 * 1000000000)

static gint64
int_or (JsonObject *object, const char *path, gint64 fallback)
{
  return ctl_json_get (object, path) != NULL ? ctl_json_int (object, path) : fallback;
}

static const char *
yes_no (gboolean value)
{
  return value ? "true" : "false";
}

static void
line_int (GString *out, const char *label, gint64 value)
{
  g_string_append_printf (out, "%s: %" G_GINT64_FORMAT "\n", label, value);
}

static void
line_duration (GString *out, const char *label, gint64 ns)
{
  /* Docker's words know nothing below a second. */
  g_autofree char *text = ns > 0 && ns < G_GINT64_CONSTANT (1000000000) ? ctl_go_duration (ns) : ctl_human_duration (ns / 1000);

  g_string_append_printf (out, "%s: %s\n", label, text);
}

/* What has no field of its own in this version is shown with the value that holds. */
static void
append_cluster (GString *out, JsonObject *info, JsonObject *cluster)
{
  JsonArray *pools = ctl_json_array (cluster, "DefaultAddrPool");

  g_string_append_printf (out, " ClusterID: %s\n", ctl_json_string (cluster, "ID"));
  line_int (out, " Managers", ctl_json_int (info, "Managers"));
  line_int (out, " Nodes", ctl_json_int (info, "Nodes"));
  g_string_append (out, " Default Address Pool:");
  for (guint i = 0; pools != NULL && i < json_array_get_length (pools); i++)
    g_string_append_printf (out, " %s ", json_array_get_string_element (pools, i));
  g_string_append_printf (out, "%s\n", pools == NULL ? " " SWARM_DEFAULT_ADDR_POOL "  " : "");
  line_int (out, " SubnetSize", int_or (cluster, "SubnetSize", 24));
  line_int (out, " Data Path Port", int_or (cluster, "DataPathPort", 4789));
  g_string_append (out, " Orchestration:\n");
  line_int (out, "  Task History Retention Limit", int_or (cluster, "Spec.Orchestration.TaskHistoryRetentionLimit", 5));
  if (*ctl_json_string (cluster, "Spec.Orchestration.Strategy") != 0)
    g_string_append_printf (out, "  Strategy: %s\n", ctl_json_string (cluster, "Spec.Orchestration.Strategy"));
  g_string_append (out, " Raft:\n");
  line_int (out, "  Snapshot Interval", int_or (cluster, "Spec.Raft.SnapshotInterval", 10000));
  line_int (out, "  Number of Old Snapshots to Retain", int_or (cluster, "Spec.Raft.KeepOldSnapshots", 0));
  line_int (out, "  Heartbeat Tick", int_or (cluster, "Spec.Raft.HeartbeatTick", 1));
  line_int (out, "  Election Tick", int_or (cluster, "Spec.Raft.ElectionTick", 10));
  g_string_append (out, " Dispatcher:\n");
  line_duration (out, "  Heartbeat Period", int_or (cluster, "Spec.Dispatcher.HeartbeatPeriod", 1000000000));
  g_string_append (out, " CA Configuration:\n");
  line_duration (out, "  Expiry Duration", int_or (cluster, "Spec.CAConfig.NodeCertExpiry", 90 * DAY_NS));
  line_int (out, "  Force Rotate", int_or (cluster, "Spec.CAConfig.ForceRotate", 0));
  g_string_append_printf (out, " Autolock Managers: %s\n",
                          yes_no (ctl_json_bool (cluster, "Spec.EncryptionConfig.AutoLockManagers")));
  g_string_append_printf (out, " Root Rotation In Progress: %s\n",
                          yes_no (ctl_json_bool (cluster, "RootRotationInProgress")));
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *)a, *(const char *const *)b);
}

static void
append_managers (GString *out, JsonObject *info)
{
  g_autoptr (GPtrArray) list = ctl_json_objects (ctl_json_array (info, "RemoteManagers"));
  g_autoptr (GPtrArray) addresses = g_ptr_array_new ();

  for (guint i = 0; i < list->len; i++)
    g_ptr_array_add (addresses, (gpointer)ctl_json_string (g_ptr_array_index (list, i), "Addr"));
  g_ptr_array_sort (addresses, compare_strings);
  if (addresses->len > 0)
    g_string_append (out, " Manager Addresses:\n");
  for (guint i = 0; i < addresses->len; i++)
    g_string_append_printf (out, "  %s\n", (const char *)g_ptr_array_index (addresses, i));
}

char *
ctl_info_text (JsonObject *info)
{
  GString *out = g_string_new (NULL);
  const char *state = ctl_json_string_or (info, "LocalNodeState", "inactive");
  const char *problem = ctl_json_string (info, "Error");
  JsonObject *cluster = ctl_json_object (info, "Cluster");

  g_string_append_printf (out, "Swarm: %s\n", state);
  if (g_str_equal (state, "inactive") || g_str_equal (state, "locked"))
    return g_string_free (out, FALSE);
  g_string_append_printf (out, " NodeID: %s\n", ctl_json_string (info, "NodeID"));
  if (*problem != 0)
    g_string_append_printf (out, " Error: %s\n", problem);
  g_string_append_printf (out, " Is Manager: %s\n", yes_no (ctl_json_bool (info, "ControlAvailable")));
  if (cluster != NULL && ctl_json_bool (info, "ControlAvailable") && *problem == 0 && !g_str_equal (state, "error"))
    append_cluster (out, info, cluster);
  g_string_append_printf (out, " Node Address: %s\n", ctl_json_string (info, "NodeAddr"));
  append_managers (out, info);
  return g_string_free (out, FALSE);
}

/* A manager that also runs tasks: fine for a trial, not for production. Best effort: no answer, no hint. */
static void
hint_dedicated_manager (CtlContext *context, JsonObject *info)
{
  g_autofree char *path = NULL;
  g_autofree char *id = NULL;
  g_autoptr (JsonNode) node = NULL;
  g_autoptr (JsonNode) tasks = NULL;
  g_autoptr (GPtrArray) filter = g_ptr_array_new ();
  g_autoptr (GPtrArray) running = g_ptr_array_new ();

  if (!ctl_json_bool (info, "ControlAvailable") || ctl_json_int (info, "Nodes") < 2)
    return;
  path = ctl_resolve (context, "node", "self", &id, NULL);
  node = path != NULL ? ctl_inspect (context, "node", path, NULL) : NULL;
  if (node == NULL
      || !g_str_equal (ctl_json_string_or (json_node_get_object (node), "Spec.Availability", "active"), "active"))
    return;
  g_ptr_array_add (filter, (gpointer) "desired-state=running");
  g_ptr_array_add (running, id);
  tasks = ctl_list_tasks (context, ctl_filters_with (filter, "node", running), NULL);
  if (tasks != NULL && json_array_get_length (json_node_get_array (tasks)) > 0)
    g_printerr (_ ("NOTE: this manager also runs tasks. In production keep managers free for managing:\n"
                   "      swarmctl node update --availability drain %s\n"),
                ctl_json_string_or (json_node_get_object (node), "Description.Hostname", "self"));
}

gboolean
ctl_cmd_info (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) node = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, error);
  g_autofree char *text = NULL;
  JsonObject *info;
  JsonArray *warnings;

  if (node == NULL)
    return FALSE;
  if (g_strcmp0 (ctl_args_string (context->args, "format"), "json") == 0) {
    text = ctl_json_print (node, FALSE);
    printf ("%s\n", text);
    return TRUE;
  }
  info = json_node_get_object (node);
  text = ctl_info_text (info);
  fputs (text, stdout);
  fflush (stdout);
  if (ctl_json_int (info, "Managers") == 2)
    g_printerr (_ ("WARNING: Running Swarm in a two-manager configuration. This configuration provides\n"
                   "         no fault tolerance, and poses a high risk to lose control over the cluster.\n"
                   "         Use one, three or five managers.\n"));
  warnings = ctl_json_array (info, "Warnings");
  for (guint i = 0; warnings != NULL && i < json_array_get_length (warnings); i++)
    g_printerr ("%s\n", json_array_get_string_element (warnings, i));
  hint_dedicated_manager (context, info);
  return TRUE;
}
