// SPDX-License-Identifier: LGPL-2.1-or-later
/* service ls, ps, inspect, scale, rm; task inspect. */
#include "base/error.h"
#include "ctl/client.h"
#include "ctl/inspect.h"
#include "ctl/progress.h"
#include "ctl/service-list.h"
#include "ctl/task-list.h"
#include <stdio.h>
#include <string.h>

/* ---- ls ---- */

static int
compare_services (gconstpointer a, gconstpointer b)
{
  JsonObject *left = *(JsonObject *const *)a;
  JsonObject *right = *(JsonObject *const *)b;

  return ctl_natural_compare (ctl_json_string (left, "Spec.Name"), ctl_json_string (right, "Spec.Name"));
}

static const char *
service_mode (JsonObject *service)
{
  static const char *const rows[][2] = { { "Spec.Mode.Global", "global" },
                                         { "Spec.Mode.ReplicatedJob", "replicated job" },
                                         { "Spec.Mode.GlobalJob", "global job" } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (ctl_json_object (service, rows[i][0]) != NULL)
      return rows[i][1];
  return "replicated";
}

/* Completions that a job asks for: of a global one, what is done and what is still to do. */
static gint64
job_total (JsonObject *service, gint64 desired, gint64 completed)
{
  gint64 total = ctl_json_int (service, "Spec.Mode.ReplicatedJob.TotalCompletions");
  gint64 concurrent = ctl_json_int (service, "Spec.Mode.ReplicatedJob.MaxConcurrent");

  if (ctl_json_object (service, "Spec.Mode.GlobalJob") != NULL)
    return desired + completed;
  return total > 0 ? total : MAX (concurrent, 1);
}

static char *
service_replicas (JsonObject *service)
{
  gint64 running = ctl_json_int (service, "ServiceStatus.RunningTasks");
  gint64 desired = ctl_json_int (service, "ServiceStatus.DesiredTasks");
  gint64 completed = ctl_json_int (service, "ServiceStatus.CompletedTasks");
  gint64 max = ctl_json_int (service, "Spec.TaskTemplate.Placement.MaxReplicas");
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, running, desired);

  if (g_str_has_suffix (service_mode (service), "job"))
    return g_strdup_printf ("%s (%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT " completed)", text, completed,
                            job_total (service, desired, completed));
  if (max > 0 && g_str_equal (service_mode (service), "replicated"))
    return g_strdup_printf ("%s (max %" G_GINT64_FORMAT " per node)", text, max);
  return g_steal_pointer (&text);
}

static JsonArray *
service_ports (JsonObject *service)
{
  JsonArray *ports = ctl_json_array (service, "Endpoint.Ports");

  return ports != NULL ? ports : ctl_json_array (service, "Spec.EndpointSpec.Ports");
}

char *
ctl_service_list_text (GPtrArray *services, gboolean quiet, gboolean json)
{
  static const char *const titles[] = { "ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS", NULL };
  static const CtlJsonCell members[] = { { "ID", 0 }, { "Image", 4 }, { "Mode", 2 }, { "Name", 1 }, { "Ports", 5 }, { "Replicas", 3 } };
  CtlTable *table = ctl_table_new (titles);
  GString *out = g_string_new (NULL);

  g_ptr_array_sort (services, compare_services);
  for (guint i = 0; i < services->len; i++) {
    JsonObject *service = g_ptr_array_index (services, i);
    g_autofree char *id = ctl_short_id (ctl_json_string (service, "ID"));
    g_autofree char *replicas = service_replicas (service);
    g_autofree char *image = ctl_image_name (ctl_json_string (service, "Spec.TaskTemplate.ContainerSpec.Image"));
    g_autofree char *ports = ctl_ingress_ports (service_ports (service));
    const char *cells[]
        = { id, ctl_json_string (service, "Spec.Name"), service_mode (service), replicas, image, ports };

    if (quiet)
      g_string_append_printf (out, "%s\n", id);
    else if (json)
      ctl_json_line_of_cells (out, members, G_N_ELEMENTS (members), cells);
    else
      ctl_table_add (table, cells);
  }
  return ctl_list_finish (table, out, quiet || json);
}

gboolean
ctl_cmd_service_ls (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) list
      = ctl_list (context, "ListServices", ctl_filters (ctl_args_list (context->args, "filter")), error);
  g_autoptr (GPtrArray) services = NULL;
  g_autofree char *text = NULL;

  if (list == NULL)
    return FALSE;
  services = ctl_json_objects (json_node_get_array (list));
  text = ctl_service_list_text (services, ctl_args_bool (context->args, "quiet"),
                                g_strcmp0 (ctl_args_string (context->args, "format"), "json") == 0);
  fputs (text, stdout);
  return TRUE;
}

/* ---- inspect ---- */

/* People know networks by their names. */
static gboolean
name_networks (CtlContext *context, JsonObject *service, gboolean human, GError **error)
{
  g_autoptr (GPtrArray) networks = ctl_json_objects (ctl_json_array (service, "Spec.TaskTemplate.Networks"));

  for (guint i = 0; human && i < networks->len; i++) {
    g_autofree char *path = ctl_resolve (context, "network", ctl_json_string (networks->pdata[i], "Target"), NULL, NULL);
    g_autoptr (JsonNode) network = path != NULL ? ctl_inspect (context, "network", path, NULL) : NULL;
    if (network != NULL) /* else it was removed */
      json_object_set_string_member (networks->pdata[i], "Target", ctl_json_string (json_node_get_object (network), "Name"));
  }
  return TRUE;
}

gboolean
ctl_cmd_service_inspect (CtlContext *context, GError **error)
{
  return ctl_inspect_run (context, "service", ctl_pretty_service, name_networks, error);
}

gboolean
ctl_cmd_task_inspect (CtlContext *context, GError **error)
{
  return ctl_inspect_run (context, "task", ctl_pretty_task, NULL, error);
}

/* ---- ps ---- */

/* Ids of the services that were named; what is not found goes to @errors, anything else is fatal. */
static gboolean
resolve_services (CtlContext *context, GPtrArray *ids, GString **errors, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);

  for (guint i = 0; i < references->len; i++) {
    const char *reference = g_ptr_array_index (references, i);
    g_autoptr (GError) reason = NULL;
    char *id = NULL;
    g_autofree char *path = ctl_resolve (context, "service", reference, &id, &reason);

    if (path != NULL) {
      g_ptr_array_add (ids, id);
    } else if (g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NOT_FOUND)) {
      g_autoptr (GError) missing = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such service: %s", reference);
      ctl_errors_add (errors, missing, NULL);
    } else {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
ctl_cmd_service_ps (CtlContext *context, GError **error)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  CtlTaskListOptions options;
  GString *errors = NULL;

  if (!resolve_services (context, ids, &errors, error)) {
    if (errors != NULL)
      g_string_free (errors, TRUE);
    return FALSE;
  }
  if (ids->len == 0)
    return ctl_errors_finish (errors, error);
  list = ctl_list_tasks (context, ctl_filters_with (ctl_args_list (context->args, "filter"), "service", ids), error);
  if (list == NULL) {
    if (errors != NULL)
      g_string_free (errors, TRUE);
    return FALSE;
  }
  tasks = ctl_json_objects (json_node_get_array (list));
  ctl_task_list_options (context, &options);
  options.no_trunc = options.no_trunc || options.quiet;
  ctl_task_list_print (context, tasks, &options);
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}

/* ---- scale ---- */

static gboolean
check_scale_args (GPtrArray *args, GError **error)
{
  for (guint i = 0; i < args->len; i++) {
    const char *arg = g_ptr_array_index (args, i);
    const char *equal = strchr (arg, '=');

    if (equal != NULL && equal != arg && equal[1] != 0)
      continue;
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID,
                 _ ("invalid scale specifier '%s'.\nSee 'swarmctl service scale --help'.\n\n"
                    "Usage:  swarmctl service scale SERVICE=REPLICAS [SERVICE=REPLICAS...]\n\n%s"),
                 arg, _ ("Scale one or multiple replicated services"));
    return FALSE;
  }
  return TRUE;
}

static char *
scale_one (CtlContext *context, const char *service, const char *count, GError **error)
{
  guint64 replicas;
  g_autofree char *path = NULL;
  g_autoptr (GVariant) reply = NULL;

  if (!g_ascii_string_to_unsigned (count, 10, 0, G_MAXUINT64, &replicas, NULL)) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID,
                 _ ("invalid replicas value %s: it must be a whole number, 0 or more"), count);
    return NULL;
  }
  path = ctl_resolve (context, "service", service, NULL, error);
  if (path == NULL)
    return NULL;
  reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Scale", g_variant_new ("(t)", replicas), FALSE, error);
  if (reply == NULL)
    return NULL;
  printf (_ ("%s scaled to %s\n"), service, count);
  fflush (stdout);
  return g_steal_pointer (&path);
}

gboolean
ctl_cmd_service_scale (CtlContext *context, GError **error)
{
  GPtrArray *args = ctl_args_positional (context->args);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  GString *errors = NULL;

  if (!check_scale_args (args, error))
    return FALSE;
  for (guint i = 0; i < args->len; i++) {
    g_auto (GStrv) parts = g_strsplit (g_ptr_array_index (args, i), "=", 2);
    g_autoptr (GError) reason = NULL;
    char *path = scale_one (context, parts[0], parts[1], &reason);

    if (path == NULL) {
      ctl_errors_add (&errors, reason, parts[0]);
      continue;
    }
    g_ptr_array_add (paths, path);
    g_ptr_array_add (names, g_strdup (parts[0]));
  }
  for (guint i = 0; i < paths->len && !ctl_args_bool (context->args, "detach") && !context->interrupted; i++) {
    g_autoptr (GError) reason = NULL;

    if (!ctl_progress_wait (context, g_ptr_array_index (paths, i), g_ptr_array_index (names, i), 0, &reason))
      ctl_errors_add (&errors, reason, g_ptr_array_index (names, i));
  }
  return ctl_errors_finish (errors, error);
}

/* ---- rm ---- */

gboolean
ctl_cmd_service_rm (CtlContext *context, GError **error)
{
  GPtrArray *references = ctl_args_positional (context->args);
  GString *errors = NULL;

  for (guint i = 0; i < references->len; i++) {
    const char *reference = g_ptr_array_index (references, i);
    g_autoptr (GError) reason = NULL;
    g_autoptr (GVariant) reply = NULL;
    g_autofree char *path = ctl_resolve (context, "service", reference, NULL, &reason);

    if (path != NULL)
      reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Remove", NULL, FALSE, &reason);
    if (reply == NULL)
      ctl_errors_add (&errors, reason, NULL);
    else
      printf ("%s\n", reference);
  }
  fflush (stdout);
  return ctl_errors_finish (errors, error);
}
