// SPDX-License-Identifier: LGPL-2.1-or-later
/* What --pretty shows of one object: docker's lines for what exists here. */
#include "ctl/format.h"
#include "ctl/inspect.h"
#include "ctl/network-verbose.h"
#include <string.h>

static void
line (GString *out, const char *label, const char *text)
{
  if (*text != 0)
    g_string_append_printf (out, "%s%s\n", label, text);
}

static void
labels (GString *out, const char *title, JsonObject *map, const char *bullet)
{
  g_autoptr (GList) keys = map != NULL ? g_list_sort (json_object_get_members (map), (GCompareFunc)strcmp) : NULL;

  if (keys != NULL)
    g_string_append_printf (out, "%s\n", title);
  for (GList *l = keys; l != NULL; l = l->next) {
    const char *value = json_object_get_string_member_with_default (map, l->data, "");
    g_string_append_printf (out, " %s%s%s%s\n", bullet, (const char *)l->data, *value != 0 ? "=" : "", value);
  }
}

/* The strings of a list with @separator between them; "" for none. Caller frees. */
static char *
joined (JsonArray *array, const char *separator)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; array != NULL && i < json_array_get_length (array); i++)
    g_string_append_printf (out, "%s%s", i > 0 ? separator : "", json_array_get_string_element (array, i));
  return g_string_free (out, FALSE);
}

static void
list_line (GString *out, const char *label, JsonObject *object, const char *path, const char *separator)
{
  g_autofree char *text = joined (ctl_json_array (object, path), separator);

  line (out, label, text);
}

static void
cpu_line (GString *out, const char *label, gint64 nano)
{
  if (nano > 0)
    g_string_append_printf (out, "%s%g\n", label, (double)nano / 1e9);
}

static void
memory_line (GString *out, const char *label, gint64 bytes)
{
  g_autofree char *text = ctl_human_bytes (bytes);

  if (bytes > 0)
    line (out, label, text);
}

/* "gpu=UUID1, ssd=3" */
static void
generic_line (GString *out, const char *label, JsonArray *array)
{
  g_autoptr (GPtrArray) list = ctl_json_objects (array);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < list->len; i++) {
    JsonObject *resource = g_ptr_array_index (list, i);
    JsonObject *named = ctl_json_object (resource, "NamedResourceSpec");

    g_string_append (text, i > 0 ? ", " : "");
    if (named != NULL)
      g_string_append_printf (text, "%s=%s", ctl_json_string (named, "Kind"), ctl_json_string (named, "Value"));
    else
      g_string_append_printf (text, "%s=%" G_GINT64_FORMAT, ctl_json_string (resource, "DiscreteResourceSpec.Kind"),
                              ctl_json_int (resource, "DiscreteResourceSpec.Value"));
  }
  line (out, label, text->str);
}

/* A line for each type. */
static void
plugins_part (GString *out, JsonArray *array)
{
  static const char *const types[] = { "Log", "Network", "Runtime", "Scheduler", "Volume" };
  g_autoptr (GPtrArray) plugins = ctl_json_objects (array);

  if (plugins->len > 0)
    g_string_append (out, "Plugins:\n");
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    g_autofree char *text = NULL;
    g_autofree char *label = g_strdup_printf (" %s:\t\t", types[t]);

    for (guint i = 0; i < plugins->len; i++)
      if (g_str_equal (ctl_json_string (g_ptr_array_index (plugins, i), "Type"), types[t]))
        g_ptr_array_add (names, (gpointer)ctl_json_string (g_ptr_array_index (plugins, i), "Name"));
    g_ptr_array_add (names, NULL);
    text = g_strjoinv (", ", (char **)names->pdata);
    line (out, label, text);
  }
}

static void
manager_part (GString *out, JsonObject *node)
{
  g_autofree char *reachability = ctl_capitalize (ctl_json_string (node, "ManagerStatus.Reachability"));

  if (ctl_json_object (node, "ManagerStatus") == NULL)
    return;
  g_string_append (out, "Manager Status:\n");
  line (out, " Address:\t\t", ctl_json_string (node, "ManagerStatus.Addr"));
  line (out, " Raft Status:\t\t", reachability);
  line (out, " Leader:\t\t", ctl_json_bool (node, "ManagerStatus.Leader") ? "Yes" : "No");
}

static void
problems_part (GString *out, JsonArray *problems)
{
  guint n = problems != NULL ? json_array_get_length (problems) : 0;

  if (n > 0)
    g_string_append (out, "Network Problems:\n");
  for (guint i = 0; i < n; i++)
    line (out, " - ", json_array_get_string_element (problems, i));
}

char *
ctl_pretty_node (JsonObject *node)
{
  GString *out = g_string_new (NULL);
  g_autofree char *state = ctl_capitalize (ctl_json_string_or (node, "Status.State", "unknown"));
  g_autofree char *availability = ctl_capitalize (ctl_json_string_or (node, "Spec.Availability", "active"));

  line (out, "ID:\t\t\t", ctl_json_string (node, "ID"));
  line (out, "Name:\t\t\t", ctl_json_string (node, "Spec.Name"));
  labels (out, "Labels:", ctl_json_object (node, "Spec.Labels"), "- ");
  line (out, "Hostname:              \t", ctl_json_string (node, "Description.Hostname"));
  line (out, "Joined at:             \t", ctl_json_string (node, "CreatedAt"));
  g_string_append (out, "Status:\n");
  line (out, " State:\t\t\t", state);
  line (out, " Message:              \t", ctl_json_string (node, "Status.Message"));
  line (out, " Availability:         \t", availability);
  if (!g_str_equal (ctl_json_string_or (node, "Spec.DrainOrder", "update-order"), "update-order"))
    line (out, " Drain Order:          \t", ctl_json_string (node, "Spec.DrainOrder"));
  line (out, " Drain Deadline:       \t", ctl_json_string (node, "Spec.DrainDeadline"));
  line (out, " Address:\t\t", ctl_json_string (node, "Status.Addr"));
  problems_part (out, ctl_json_array (node, "Description.NetworkProblems"));
  manager_part (out, node);
  g_string_append (out, "Platform:\n");
  line (out, " Operating System:\t", ctl_json_string (node, "Description.Platform.OS"));
  line (out, " Architecture:\t\t", ctl_json_string (node, "Description.Platform.Architecture"));
  g_string_append (out, "Resources:\n");
  cpu_line (out, " CPUs:\t\t\t", ctl_json_int (node, "Description.Resources.NanoCPUs"));
  memory_line (out, " Memory:\t\t", ctl_json_int (node, "Description.Resources.MemoryBytes"));
  generic_line (out, " Generic Resources:\t", ctl_json_array (node, "Description.Resources.GenericResources"));
  plugins_part (out, ctl_json_array (node, "Description.Engine.Plugins"));
  line (out, "Engine Version:\t\t", ctl_json_string (node, "Description.Engine.EngineVersion"));
  labels (out, "Engine Labels:", ctl_json_object (node, "Description.Engine.Labels"), "- ");
  return g_string_free (out, FALSE);
}

static gboolean
has_elements (JsonObject *object, const char *path)
{
  JsonArray *array = ctl_json_array (object, path);

  return array != NULL && json_array_get_length (array) > 0;
}

static void
container_part (GString *out, JsonObject *container)
{
  g_string_append (out, "ContainerSpec:\n");
  line (out, " Image:\t\t", ctl_json_string (container, "Image"));
  list_line (out, " Command:\t", container, "Command", " ");
  list_line (out, " Args:\t\t", container, "Args", " ");
  list_line (out, " Env:\t\t", container, "Env", " ");
  line (out, " Dir:\t\t", ctl_json_string (container, "Dir"));
  line (out, " Init:\t\t", ctl_json_bool (container, "Init") ? "true" : "false");
  line (out, " User: ", ctl_json_string (container, "User"));
  if (has_elements (container, "CapabilityAdd") || has_elements (container, "CapabilityDrop"))
    g_string_append (out, "Capabilities:\n");
  list_line (out, " Add: ", container, "CapabilityAdd", ", ");
  list_line (out, " Drop: ", container, "CapabilityDrop", ", ");
  labels (out, "SysCtls:", ctl_json_object (container, "Sysctls"), "");
}

static void
mounts_part (GString *out, JsonArray *array)
{
  g_autoptr (GPtrArray) mounts = ctl_json_objects (array);

  if (mounts->len > 0)
    g_string_append (out, "Mounts:\n");
  for (guint i = 0; i < mounts->len; i++) {
    JsonObject *mount = g_ptr_array_index (mounts, i);

    line (out, " Target:\t", ctl_json_string (mount, "Target"));
    line (out, "  Source:\t", ctl_json_string (mount, "Source"));
    line (out, "  ReadOnly:\t", ctl_json_bool (mount, "ReadOnly") ? "true" : "false");
    line (out, "  Type:\t\t", ctl_json_string_or (mount, "Type", "bind"));
  }
}

static void
resources_part (GString *out, JsonObject *task)
{
  JsonObject *limits = ctl_json_object (task, "Resources.Limits");
  JsonObject *reservations = ctl_json_object (task, "Resources.Reservations");

  if (limits == NULL && reservations == NULL)
    return;
  g_string_append (out, "Resources:\n");
  if (reservations != NULL)
    g_string_append (out, " Reservations:\n");
  cpu_line (out, "  CPU:\t\t", ctl_json_int (reservations, "NanoCPUs"));
  memory_line (out, "  Memory:\t", ctl_json_int (reservations, "MemoryBytes"));
  generic_line (out, "  Generic:\t", ctl_json_array (reservations, "GenericResources"));
  if (limits != NULL)
    g_string_append (out, " Limits:\n");
  cpu_line (out, "  CPU:\t\t", ctl_json_int (limits, "NanoCPUs"));
  memory_line (out, "  Memory:\t", ctl_json_int (limits, "MemoryBytes"));
  if (ctl_json_int (limits, "Pids") > 0)
    g_string_append_printf (out, "  PIDs:\t\t%" G_GINT64_FORMAT "\n", ctl_json_int (limits, "Pids"));
}

static void
ports_part (GString *out, JsonArray *array)
{
  g_autoptr (GPtrArray) ports = ctl_json_objects (array);

  if (ports->len > 0)
    g_string_append (out, "Ports:\n");
  for (guint i = 0; i < ports->len; i++) {
    JsonObject *port = g_ptr_array_index (ports, i);

    g_string_append_printf (out,
                            " PublishedPort = %" G_GINT64_FORMAT "\n  Protocol = %s\n  TargetPort = %" G_GINT64_FORMAT
                            "\n  PublishMode = %s\n",
                            ctl_json_int (port, "PublishedPort"), ctl_json_string_or (port, "Protocol", "tcp"),
                            ctl_json_int (port, "TargetPort"), ctl_json_string_or (port, "PublishMode", "ingress"));
  }
}

static void
networks_part (GString *out, JsonObject *service)
{
  g_autoptr (GPtrArray) networks = ctl_json_objects (ctl_json_array (service, "Spec.TaskTemplate.Networks"));
  g_autoptr (GPtrArray) addresses = ctl_json_objects (ctl_json_array (service, "Endpoint.VirtualIPs"));

  if (networks->len == 0 && ctl_json_object (service, "Endpoint") == NULL)
    return;
  for (guint i = 0; i < networks->len; i++)
    g_string_append_printf (out, "%s%s", i == 0 ? "Networks: " : " ", ctl_json_string (g_ptr_array_index (networks, i), "Target"));
  if (networks->len > 0)
    g_string_append_c (out, '\n');
  line (out, "Endpoint Mode:\t", ctl_json_string_or (service, "Spec.EndpointSpec.Mode", "vip"));
  for (guint i = 0; i < addresses->len; i++)
    line (out, i == 0 ? "Virtual IPs:\t" : "\t\t", ctl_json_string (g_ptr_array_index (addresses, i), "Addr"));
}

static void
mode_part (GString *out, JsonObject *service)
{
  JsonNode *replicas = ctl_json_get (service, "Spec.Mode.Replicated.Replicas");
  JsonObject *job = ctl_json_object (service, "Spec.Mode.ReplicatedJob");

  if (ctl_json_object (service, "Spec.Mode.Global") != NULL)
    line (out, "Service Mode:\t", "Global");
  else if (ctl_json_object (service, "Spec.Mode.GlobalJob") != NULL)
    line (out, "Service Mode:\t", "Global Job");
  else
    line (out, "Service Mode:\t", job != NULL ? "Replicated Job" : "Replicated");
  if (replicas != NULL)
    g_string_append_printf (out, " Replicas:\t%" G_GINT64_FORMAT "\n", json_node_get_int (replicas));
  if (job != NULL && ctl_json_int (job, "MaxConcurrent") > 0)
    g_string_append_printf (out, " Max Concurrent:\t%" G_GINT64_FORMAT "\n", ctl_json_int (job, "MaxConcurrent"));
  if (job != NULL && ctl_json_int (job, "TotalCompletions") > 0)
    g_string_append_printf (out, " Total Completions:\t%" G_GINT64_FORMAT "\n", ctl_json_int (job, "TotalCompletions"));
}

static void
age_line (GString *out, const char *label, const char *timestamp, gint64 now_us)
{
  g_autofree char *age = *timestamp != 0 ? ctl_age (timestamp, now_us) : g_strdup ("");

  line (out, label, age);
}

static void
update_status_part (GString *out, JsonObject *service, gint64 now_us)
{
  JsonObject *status = ctl_json_object (service, "UpdateStatus");

  if (status == NULL || *ctl_json_string (status, "State") == 0)
    return;
  g_string_append (out, "UpdateStatus:\n");
  line (out, " State:\t\t", ctl_json_string (status, "State"));
  age_line (out, " Started:\t", ctl_json_string (status, "StartedAt"), now_us);
  age_line (out, " Completed:\t", ctl_json_string (status, "CompletedAt"), now_us);
  line (out, " Message:\t", ctl_json_string (status, "Message"));
}

static void
preferences_line (GString *out, JsonArray *array)
{
  g_autoptr (GPtrArray) list = ctl_json_objects (array);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < list->len; i++)
    g_string_append_printf (text, "%sspread=%s", i > 0 ? ", " : "",
                            ctl_json_string (g_ptr_array_index (list, i), "Spread.SpreadDescriptor"));
  line (out, " Preferences:   ", text->str);
}

static void
placement_part (GString *out, JsonObject *task)
{
  g_string_append (out, "Placement:\n");
  list_line (out, " Constraints:\t", task, "Placement.Constraints", ", ");
  preferences_line (out, ctl_json_array (task, "Placement.Preferences"));
  if (ctl_json_int (task, "Placement.MaxReplicas") > 0)
    g_string_append_printf (out, " Max Replicas Per Node:   %" G_GINT64_FORMAT "\n",
                            ctl_json_int (task, "Placement.MaxReplicas"));
  line (out, " Strategy:\t", ctl_json_string (task, "Placement.Strategy"));
}

static void
duration_line (GString *out, const char *label, gint64 ns)
{
  g_autofree char *text = ctl_go_duration (ns);

  if (ns != 0)
    line (out, label, text);
}

static void
update_config_part (GString *out, const char *title, JsonObject *config, const char *order_label)
{
  JsonNode *parallelism = config != NULL ? ctl_json_get (config, "Parallelism") : NULL;
  JsonNode *ratio = config != NULL ? ctl_json_get (config, "MaxFailureRatio") : NULL;

  if (config == NULL)
    return;
  g_string_append_printf (out, "%s:\n Parallelism:\t%" G_GINT64_FORMAT "\n", title,
                          parallelism != NULL ? json_node_get_int (parallelism) : 1);
  duration_line (out, " Delay:\t\t", ctl_json_int (config, "Delay"));
  line (out, " On failure:\t", ctl_json_string_or (config, "FailureAction", "pause"));
  duration_line (out, " Monitoring Period: ", ctl_json_int (config, "Monitor"));
  g_string_append_printf (out, " Max failure ratio: %g\n", ratio != NULL ? json_node_get_double (ratio) : 0);
  line (out, order_label, ctl_json_string_or (config, "Order", "stop-first"));
}

static void
health_part (GString *out, JsonObject *health)
{
  static const char *const times[] = { "Interval", "Timeout", "StartPeriod", "StartInterval" };
  JsonArray *test = health != NULL ? ctl_json_array (health, "Test") : NULL;

  if (health == NULL)
    return;
  g_string_append (out, " Healthcheck:\n");
  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    g_autofree char *label = g_strdup_printf ("  %s = ", times[i]);
    duration_line (out, label, ctl_json_int (health, times[i]));
  }
  if (ctl_json_int (health, "Retries") != 0)
    g_string_append_printf (out, "  Retries = %" G_GINT64_FORMAT "\n", ctl_json_int (health, "Retries"));
  if (test != NULL && json_array_get_length (test) > 0)
    g_string_append (out, "  Tests:\n");
  for (guint i = 0; test != NULL && i < json_array_get_length (test); i++)
    g_string_append_printf (out, "   Test = %s\n", json_array_get_string_element (test, i));
}

/* What docker leaves out, for the back-off is ours. */
static void
restart_part (GString *out, JsonObject *policy)
{
  if (policy == NULL)
    return;
  g_string_append (out, "RestartPolicy:\n");
  line (out, " Condition:\t", ctl_json_string_or (policy, "Condition", "any"));
  duration_line (out, " Delay:\t\t", ctl_json_int (policy, "Delay"));
  if (ctl_json_int (policy, "MaxAttempts") > 0)
    g_string_append_printf (out, " Max attempts:\t%" G_GINT64_FORMAT "\n", ctl_json_int (policy, "MaxAttempts"));
  duration_line (out, " Window:\t", ctl_json_int (policy, "Window"));
  duration_line (out, " Back-off to:\t", ctl_json_int (policy, "Backoff"));
}

char *
ctl_pretty_service (JsonObject *service)
{
  GString *out = g_string_new (NULL);
  JsonObject *task = ctl_json_object (service, "Spec.TaskTemplate");
  JsonObject *container = ctl_json_object (task, "ContainerSpec");

  line (out, "ID:\t\t", ctl_json_string (service, "ID"));
  line (out, "Name:\t\t", ctl_json_string (service, "Spec.Name"));
  labels (out, "Labels:", ctl_json_object (service, "Spec.Labels"), "");
  mode_part (out, service);
  update_status_part (out, service, g_get_real_time ());
  placement_part (out, task);
  update_config_part (out, "UpdateConfig", ctl_json_object (service, "Spec.UpdateConfig"), " Update order:      ");
  update_config_part (out, "RollbackConfig", ctl_json_object (service, "Spec.RollbackConfig"), " Rollback order:    ");
  restart_part (out, ctl_json_object (task, "RestartPolicy"));
  duration_line (out, "On disconnect, wait:\t", ctl_json_int (service, "Spec.DisconnectWait"));
  container_part (out, container);
  mounts_part (out, ctl_json_array (container, "Mounts"));
  if (*ctl_json_string (task, "LogDriver.Name") != 0)
    g_string_append_printf (out, "Log Driver:\n Name:\t\t%s\n", ctl_json_string (task, "LogDriver.Name"));
  resources_part (out, task);
  networks_part (out, service);
  ports_part (out, ctl_json_array (service, "Endpoint.Ports") != NULL ? ctl_json_array (service, "Endpoint.Ports")
                                                                      : ctl_json_array (service, "Spec.EndpointSpec.Ports"));
  health_part (out, ctl_json_object (container, "Healthcheck"));
  return g_string_free (out, FALSE);
}

char *
ctl_pretty_network (JsonObject *network)
{
  static const char *const flags[] = { "Internal", "Attachable", "Ingress", "EnableIPv6" };
  GString *out = g_string_new (NULL);
  g_autoptr (GPtrArray) subnets = ctl_json_objects (ctl_json_array (network, "IPAM.Config"));

  line (out, "ID:\t\t", ctl_json_string (network, "Id"));
  line (out, "Name:\t\t", ctl_json_string (network, "Name"));
  labels (out, "Labels:", ctl_json_object (network, "Labels"), "");
  line (out, "Driver:\t\t", ctl_json_string (network, "Driver"));
  line (out, "Scope:\t\t", ctl_json_string (network, "Scope"));
  line (out, "Created at:\t", ctl_json_string (network, "Created"));
  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    if (ctl_json_bool (network, flags[i]))
      g_string_append_printf (out, "%s:\ttrue\n", flags[i]);
  if (ctl_json_int (network, "VNI") > 0)
    g_string_append_printf (out, "VXLAN ID:\t%" G_GINT64_FORMAT "\n", ctl_json_int (network, "VNI"));
  for (guint i = 0; i < subnets->len; i++) {
    JsonObject *subnet = g_ptr_array_index (subnets, i);

    line (out, "Subnet:\t\t", ctl_json_string (subnet, "Subnet"));
    line (out, " IP range:\t", ctl_json_string (subnet, "IPRange"));
    line (out, " Gateway:\t", ctl_json_string (subnet, "Gateway"));
  }
  labels (out, "Options:", ctl_json_object (network, "Options"), "");
  line (out, "Message:\t", ctl_json_string (network, "Message"));
  ctl_network_verbose_text (out, network);
  return g_string_free (out, FALSE);
}

char *
ctl_pretty_task (JsonObject *task)
{
  GString *out = g_string_new (NULL);
  g_autofree char *state = ctl_capitalize (ctl_json_string_or (task, "Status.State", "new"));
  g_autofree char *desired = ctl_capitalize (ctl_json_string_or (task, "DesiredState", "new"));

  line (out, "ID:\t\t", ctl_json_string (task, "ID"));
  line (out, "Name:\t\t", ctl_json_string (task, "Name"));
  line (out, "Service:\t", ctl_json_string (task, "ServiceID"));
  line (out, "Node:\t\t", ctl_json_string (task, "NodeID"));
  line (out, "Created at:\t", ctl_json_string (task, "CreatedAt"));
  line (out, "Desired State:\t", desired);
  g_string_append (out, "Status:\n");
  line (out, " State:\t\t", state);
  line (out, " Since:\t\t", ctl_json_string (task, "Status.Timestamp"));
  line (out, " Message:\t", ctl_json_string (task, "Status.Message"));
  line (out, " Error:\t\t", ctl_json_string (task, "Status.Err"));
  line (out, " Container:\t", ctl_json_string (task, "Status.ContainerStatus.ContainerID"));
  if (ctl_json_get (task, "Status.ContainerStatus.ExitCode") != NULL)
    g_string_append_printf (out, " Exit Code:\t%" G_GINT64_FORMAT "\n",
                            ctl_json_int (task, "Status.ContainerStatus.ExitCode"));
  if (ctl_json_object (task, "Spec.ContainerSpec") != NULL)
    container_part (out, ctl_json_object (task, "Spec.ContainerSpec"));
  return g_string_free (out, FALSE);
}
