// SPDX-License-Identifier: LGPL-2.1-or-later
/* Mode, resources, placement. */
#include "ctl/service-fields.h"
#include "ctl/service-policy.h"
#include "ctl/values.h"
#include <string.h>

/* ---- mode ---- */

static gboolean
check_mode_options (CtlArgs *args, SwarmServiceKind kind, GError **error)
{
  gboolean counted = kind == SWARM_SERVICE_REPLICATED || kind == SWARM_SERVICE_REPLICATED_JOB;

  if (!counted && ctl_args_given (args, "replicas"))
    return ctl_invalid (error, "replicas can only be used with replicated or replicated-job mode");
  if (!counted && ctl_args_uint (args, "replicas-max-per-node") > 0)
    return ctl_invalid (error, "replicas-max-per-node can only be used with replicated or replicated-job mode");
  if (kind != SWARM_SERVICE_REPLICATED_JOB && ctl_args_given (args, "max-concurrent"))
    return ctl_invalid (error, "max-concurrent can only be used with replicated-job mode");
  if (kind == SWARM_SERVICE_REPLICATED_JOB && ctl_args_given (args, "replicas") && ctl_args_uint (args, "replicas") == 0)
    return ctl_invalid (error, "a job has at least 1 completion: --replicas 0 says nothing");
  return TRUE;
}

/* As many at once as there are, when nothing is said. */
static SwarmReplicatedJob *
new_job (CtlArgs *args)
{
  SwarmReplicatedJob *job = swarm_replicated_job_new ();

  ctl_fields_set_uint (args, "replicas", &job->total_completions);
  job->max_concurrent = job->total_completions;
  ctl_fields_set_uint (args, "max-concurrent", &job->max_concurrent);
  return job;
}

gboolean
ctl_policy_mode_create (CtlArgs *args, SwarmServiceSpec *spec, GError **error)
{
  const char *text = ctl_args_given (args, "mode") ? ctl_args_string (args, "mode") : "replicated";
  SwarmServiceKind kind;
  SwarmServiceMode *mode;

  if (!swarm_service_kind_from_string (text, &kind))
    return ctl_invalid (error, "unknown mode: %s, only replicated and global supported", text);
  if (!check_mode_options (args, kind, error))
    return FALSE;
  spec->mode = mode = swarm_service_mode_new ();
  switch (kind) {
  case SWARM_SERVICE_REPLICATED:
    mode->replicated = swarm_replicated_new ();
    ctl_fields_set_uint (args, "replicas", &mode->replicated->replicas);
    break;
  case SWARM_SERVICE_GLOBAL:
    mode->global = swarm_global_new ();
    break;
  case SWARM_SERVICE_REPLICATED_JOB:
    mode->replicated_job = new_job (args);
    break;
  case SWARM_SERVICE_GLOBAL_JOB:
    mode->global_job = swarm_global_job_new ();
    break;
  }
  return TRUE;
}

gboolean
ctl_policy_mode_update (CtlArgs *args, SwarmServiceSpec *spec, GError **error)
{
  static const char *const options[] = { "replicas", "max-concurrent", NULL };
  SwarmServiceKind kind = swarm_service_spec_kind (spec);

  if (!check_mode_options (args, kind, error))
    return FALSE;
  if (!ctl_fields_any_given (args, options))
    return TRUE;
  CTL_FIELDS_OWN (spec->mode, swarm_service_mode);
  if (kind == SWARM_SERVICE_REPLICATED) {
    CTL_FIELDS_OWN (spec->mode->replicated, swarm_replicated);
    ctl_fields_set_uint (args, "replicas", &spec->mode->replicated->replicas);
  } else {
    CTL_FIELDS_OWN (spec->mode->replicated_job, swarm_replicated_job);
    ctl_fields_set_uint (args, "replicas", &spec->mode->replicated_job->total_completions);
    ctl_fields_set_uint (args, "max-concurrent", &spec->mode->replicated_job->max_concurrent);
  }
  return TRUE;
}

/* ---- resources ---- */

void
ctl_policy_resources (CtlArgs *args, SwarmTaskSpec *task)
{
  static const char *const limits[] = { "limit-cpu", "limit-memory", "limit-pids", NULL };
  static const char *const reservations[] = { "reserve-cpu", "reserve-memory", NULL };
  SwarmResourceRequirements *resources;

  if (!ctl_fields_any_given (args, limits) && !ctl_fields_any_given (args, reservations))
    return;
  CTL_FIELDS_OWN (task->resources, swarm_resource_requirements);
  resources = task->resources;
  if (ctl_fields_any_given (args, limits)) {
    CTL_FIELDS_OWN (resources->limits, swarm_resources);
    ctl_fields_set_int (args, "limit-cpu", &resources->limits->nano_cpus);
    ctl_fields_set_int (args, "limit-memory", &resources->limits->memory_bytes);
    ctl_fields_set_int (args, "limit-pids", &resources->limits->pids);
  }
  if (ctl_fields_any_given (args, reservations)) {
    CTL_FIELDS_OWN (resources->reservations, swarm_resources);
    ctl_fields_set_int (args, "reserve-cpu", &resources->reservations->nano_cpus);
    ctl_fields_set_int (args, "reserve-memory", &resources->reservations->memory_bytes);
  }
}

gboolean
ctl_check_generic_resource (const char *text, GError **error)
{
  const char *equal = strchr (text, '=');
  gint64 number;

  if (equal == NULL || equal == text || equal[1] == 0)
    return ctl_invalid (error,
                        "invalid generic resource specification: incorrect term %s, missing '=' or malformed expression",
                        text);
  if (!ctl_value_int (equal + 1, &number, NULL))
    return ctl_invalid (error,
                        "invalid generic-resource request `%s`, Named Generic Resources is not supported for service create "
                        "or update",
                        text);
  return TRUE;
}

static SwarmGenericResource *
parse_generic (const char *text)
{
  SwarmGenericResource *resource = swarm_generic_resource_new ();
  const char *equal = strchr (text, '=');

  resource->discrete = swarm_discrete_resource_new ();
  resource->discrete->kind = g_strndup (text, (gsize)(equal - text));
  ctl_value_int (equal + 1, &resource->discrete->value, NULL);
  return resource;
}

/* FALSE: there is none. */
static gboolean
remove_kind (GPtrArray *list, const char *kind)
{
  for (guint i = list != NULL ? list->len : 0; i > 0; i--) {
    const SwarmGenericResource *resource = g_ptr_array_index (list, i - 1);

    if (resource->discrete != NULL && g_strcmp0 (resource->discrete->kind, kind) == 0) {
      g_ptr_array_remove_index (list, i - 1);
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
ctl_policy_generic (GPtrArray *add, GPtrArray *remove, SwarmTaskSpec *task, GError **error)
{
  GPtrArray **list;

  if (add->len == 0 && (remove == NULL || remove->len == 0))
    return TRUE;
  CTL_FIELDS_OWN (task->resources, swarm_resource_requirements);
  CTL_FIELDS_OWN (task->resources->reservations, swarm_resources);
  list = &task->resources->reservations->generic;
  for (guint i = 0; remove != NULL && i < remove->len; i++)
    if (!remove_kind (*list, g_ptr_array_index (remove, i)))
      return ctl_invalid (error, "could not find generic-resource `%s` to remove it",
                          (const char *)g_ptr_array_index (remove, i));
  for (guint i = 0; i < add->len; i++) {
    SwarmGenericResource *resource = parse_generic (g_ptr_array_index (add, i));

    remove_kind (*list, resource->discrete->kind);
    ctl_fields_append_message (list, resource);
  }
  return TRUE;
}

/* ---- placement ---- */

void
ctl_policy_placement (CtlArgs *args, SwarmTaskSpec *task)
{
  static const char *const options[] = { "replicas-max-per-node", "strategy", NULL };

  if (!ctl_fields_any_given (args, options))
    return;
  CTL_FIELDS_OWN (task->placement, swarm_placement);
  ctl_fields_set_uint (args, "replicas-max-per-node", &task->placement->max_replicas);
  ctl_fields_set_string (args, "strategy", &task->placement->strategy);
  if (task->placement->strategy != NULL && *task->placement->strategy == 0)
    g_clear_pointer (&task->placement->strategy, g_free);
}

gboolean
ctl_check_placement_pref (const char *text, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, "=", 2);

  if (parts[0] == NULL || *parts[0] == 0 || parts[1] == NULL)
    return ctl_invalid (error, "placement preference must be of the format \"<strategy>=<arg>\"");
  return g_str_equal (parts[0], "spread")
         || ctl_invalid (error, "unsupported placement preference %s (only spread is supported)", parts[0]);
}

static const char *
descriptor_of (const char *text)
{
  return strchr (text, '=') + 1;
}

static gboolean
is_removed (const SwarmPlacementPreference *preference, GPtrArray *remove)
{
  for (guint i = 0; preference->spread != NULL && i < remove->len; i++)
    if (g_strcmp0 (preference->spread->descriptor, descriptor_of (g_ptr_array_index (remove, i))) == 0)
      return TRUE;
  return FALSE;
}

void
ctl_policy_preferences (GPtrArray *add, GPtrArray *remove, SwarmTaskSpec *task)
{
  GPtrArray **list;

  if (add->len == 0 && (remove == NULL || remove->len == 0))
    return;
  CTL_FIELDS_OWN (task->placement, swarm_placement);
  list = &task->placement->preferences;
  for (guint i = remove != NULL && *list != NULL ? (*list)->len : 0; i > 0; i--)
    if (is_removed (g_ptr_array_index (*list, i - 1), remove))
      g_ptr_array_remove_index (*list, i - 1);
  for (guint i = 0; i < add->len; i++) {
    SwarmPlacementPreference *preference = swarm_placement_preference_new ();

    preference->spread = swarm_spread_new ();
    preference->spread->descriptor = g_strdup (descriptor_of (g_ptr_array_index (add, i)));
    ctl_fields_append_message (list, preference);
  }
}
