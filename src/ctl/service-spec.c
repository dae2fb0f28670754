// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/service-spec.h"
#include "ctl/service-fields.h"
#include "ctl/values.h"
#include <string.h>

const CtlOption ctl_service_options[] = {
  { "cap-add", 0, CTL_LIST, N_ ("Add Linux capabilities") },
  { "cap-drop", 0, CTL_LIST, N_ ("Drop Linux capabilities") },
  { "entrypoint", 0, CTL_STRING, N_ ("Overwrite the default ENTRYPOINT of the image"), .word = "command",
    .check = ctl_check_command_line },
  { "hostname", 0, CTL_STRING, N_ ("Container hostname") },
  { "init", 0, CTL_BOOL, N_ ("Use an init inside each service container to forward signals and reap processes") },
  { "limit-cpu", 0, CTL_DECIMAL, N_ ("Limit CPUs") },
  { "limit-memory", 0, CTL_BYTES, N_ ("Limit Memory") },
  { "limit-pids", 0, CTL_INT, N_ ("Limit maximum number of processes (default 0 = unlimited)") },
  { "no-resolve-image", 0, CTL_BOOL, N_ ("Do not query the registry to resolve image digest and supported platforms") },
  { "quiet", 'q', CTL_BOOL, N_ ("Suppress progress output") },
  { "read-only", 0, CTL_BOOL, N_ ("Mount the container's root filesystem as read only") },
  { "replicas", 0, CTL_UINT, N_ ("Number of tasks") },
  { "replicas-max-per-node", 0, CTL_UINT, N_ ("Maximum number of tasks per node (default 0 = unlimited)") },
  { "reserve-cpu", 0, CTL_DECIMAL, N_ ("Reserve CPUs") },
  { "reserve-memory", 0, CTL_BYTES, N_ ("Reserve Memory") },
  { "restart-condition", 0, CTL_STRING, N_ ("Restart when condition is met (\"none\", \"on-failure\", \"any\")"),
    .fallback = "\"any\"", .choices = "none on-failure any", .check = ctl_check_restart_condition },
  { "restart-delay", 0, CTL_DURATION, N_ ("Delay between restart attempts (ns|us|ms|s|m|h)"), .fallback = "5s" },
  { "restart-max-attempts", 0, CTL_UINT, N_ ("Maximum number of restarts before giving up") },
  { "restart-window", 0, CTL_DURATION, N_ ("Window used to evaluate the restart policy (ns|us|ms|s|m|h)") },
  { "stop-grace-period", 0, CTL_DURATION, N_ ("Time to wait before force killing a container (ns|us|ms|s|m|h)"),
    .fallback = "10s" },
  { "stop-signal", 0, CTL_STRING, N_ ("Signal to stop the container") },
  { "user", 'u', CTL_STRING, N_ ("Username or UID (format: <name|uid>[:<group|gid>])") },
  { "with-registry-auth", 0, CTL_BOOL, N_ ("Send registry authentication details to swarm agents") },
  { "workdir", 'w', CTL_STRING, N_ ("Working directory inside the container") },
  { NULL },
};

const CtlOption ctl_service_create_options[] = {
  { "constraint", 0, CTL_LIST, N_ ("Placement constraints") },
  { "container-label", 0, CTL_LIST, N_ ("Container labels"), .check = ctl_check_label },
  { "env", 'e', CTL_LIST, N_ ("Set environment variables"), .check = ctl_check_env, .flags = CTL_OPTION_HIDE },
  { "env-file", 0, CTL_LIST, N_ ("Read in a file of environment variables") },
  { "host", 0, CTL_LIST, N_ ("Set one or more custom host-to-IP mappings (host:ip)"), .check = ctl_check_host_mapping },
  { "label", 'l', CTL_LIST, N_ ("Service labels"), .check = ctl_check_label },
  { "mode", 0, CTL_STRING, N_ ("Service mode (\"replicated\")"), .fallback = "\"replicated\"",
    .choices = "replicated" },
  { "mount", 0, CTL_LIST, N_ ("Attach a filesystem mount to the service"), .word = "mount", .check = ctl_check_mount },
  { "name", 0, CTL_STRING, N_ ("Service name") },
  { "publish", 'p', CTL_LIST, N_ ("Publish a port as a node port"), .word = "port", .check = ctl_check_port },
  { "sysctl", 0, CTL_LIST, N_ ("Sysctl options"), .check = ctl_check_sysctl },
  { NULL },
};

const CtlOption ctl_service_update_options[] = {
  { "args", 0, CTL_STRING, N_ ("Service command args"), .word = "command", .check = ctl_check_command_line },
  { "constraint-add", 0, CTL_LIST, N_ ("Add or update a placement constraint") },
  { "constraint-rm", 0, CTL_LIST, N_ ("Remove a constraint") },
  { "container-label-add", 0, CTL_LIST, N_ ("Add or update a container label"), .check = ctl_check_label },
  { "container-label-rm", 0, CTL_LIST, N_ ("Remove a container label by its key") },
  { "env-add", 0, CTL_LIST, N_ ("Add or update an environment variable"), .check = ctl_check_env,
    .flags = CTL_OPTION_HIDE },
  { "env-rm", 0, CTL_LIST, N_ ("Remove an environment variable") },
  { "force", 0, CTL_BOOL, N_ ("Force update even if no changes require it") },
  { "host-add", 0, CTL_LIST, N_ ("Add a custom host-to-IP mapping (\"host:ip\")"), .check = ctl_check_host_mapping },
  { "host-rm", 0, CTL_LIST, N_ ("Remove a custom host-to-IP mapping (\"host:ip\")") },
  { "image", 0, CTL_STRING, N_ ("Service image tag") },
  { "label-add", 0, CTL_LIST, N_ ("Add or update a service label"), .check = ctl_check_label },
  { "label-rm", 0, CTL_LIST, N_ ("Remove a label by its key") },
  { "mount-add", 0, CTL_LIST, N_ ("Add or update a mount on a service"), .word = "mount", .check = ctl_check_mount },
  { "mount-rm", 0, CTL_LIST, N_ ("Remove a mount by its target path") },
  { "publish-add", 0, CTL_LIST, N_ ("Add or update a published port"), .word = "port", .check = ctl_check_port },
  { "publish-rm", 0, CTL_LIST, N_ ("Remove a published port by its target port"), .word = "port",
    .check = ctl_check_port_rm },
  { "sysctl-add", 0, CTL_LIST, N_ ("Add or update a Sysctl option"), .check = ctl_check_sysctl },
  { "sysctl-rm", 0, CTL_LIST, N_ ("Remove a Sysctl option") },
  { NULL },
};

#define BOTH_UNSUPPORTED                                                                                               \
  "credential-spec", "endpoint-mode", "health-cmd", "health-interval", "health-retries", "health-start-interval",      \
      "health-start-period", "health-timeout", "isolation", "log-driver", "log-opt", "max-concurrent", "memory-swap",  \
      "memory-swappiness", "no-healthcheck", "oom-score-adj", "rollback-delay", "rollback-failure-action",             \
      "rollback-max-failure-ratio", "rollback-monitor", "rollback-order", "rollback-parallelism", "tty",               \
      "update-delay", "update-failure-action", "update-max-failure-ratio", "update-monitor", "update-order",           \
      "update-parallelism"

const char *const ctl_service_create_unsupported[] = {
  BOTH_UNSUPPORTED, "config",         "dns",    "dns-option", "dns-search", "generic-resource", "group",
  "network",        "placement-pref", "secret", "ulimit",     NULL,
};

const char *const ctl_service_update_unsupported[] = {
  BOTH_UNSUPPORTED,
  "config-add",
  "config-rm",
  "dns-add",
  "dns-rm",
  "dns-option-add",
  "dns-option-rm",
  "dns-search-add",
  "dns-search-rm",
  "generic-resource-add",
  "generic-resource-rm",
  "group-add",
  "group-rm",
  "network-add",
  "network-rm",
  "placement-pref-add",
  "placement-pref-rm",
  "rollback",
  "secret-add",
  "secret-rm",
  "ulimit-add",
  "ulimit-rm",
  NULL,
};

/* ---- the options that create and update share ---- */

static void
set_string (CtlArgs *args, const char *option, char **field)
{
  if (!ctl_args_given (args, option))
    return;
  g_free (*field);
  *field = g_strdup (ctl_args_string (args, option));
}

static void
set_int (CtlArgs *args, const char *option, gint64 *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_int (args, option);
}

static void
set_bool (CtlArgs *args, const char *option, gboolean *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_bool (args, option);
}

static void
set_uint (CtlArgs *args, const char *option, guint64 *field)
{
  if (ctl_args_given (args, option))
    *field = ctl_args_uint (args, option);
}

void
ctl_fields_set_words (CtlArgs *args, const char *option, GPtrArray **field)
{
  g_auto (GStrv) words = NULL;

  if (!ctl_args_given (args, option))
    return;
  g_clear_pointer (field, g_ptr_array_unref);
  if (g_shell_parse_argv (ctl_args_string (args, option), NULL, &words, NULL))
    for (guint i = 0; words[i] != NULL; i++)
      ctl_fields_append (field, words[i]);
}

static gboolean
any_given (CtlArgs *args, const char *const *options)
{
  for (; *options != NULL; options++)
    if (ctl_args_given (args, *options))
      return TRUE;
  return FALSE;
}

static void
apply_resources (CtlArgs *args, SwarmTaskSpec *task)
{
  static const char *const limits[] = { "limit-cpu", "limit-memory", "limit-pids", NULL };
  static const char *const reservations[] = { "reserve-cpu", "reserve-memory", NULL };
  SwarmResourceRequirements *resources;

  if (!any_given (args, limits) && !any_given (args, reservations))
    return;
  CTL_FIELDS_OWN (task->resources, swarm_resource_requirements);
  resources = task->resources;
  if (any_given (args, limits)) {
    CTL_FIELDS_OWN (resources->limits, swarm_resources);
    set_int (args, "limit-cpu", &resources->limits->nano_cpus);
    set_int (args, "limit-memory", &resources->limits->memory_bytes);
    set_int (args, "limit-pids", &resources->limits->pids);
  }
  if (any_given (args, reservations)) {
    CTL_FIELDS_OWN (resources->reservations, swarm_resources);
    set_int (args, "reserve-cpu", &resources->reservations->nano_cpus);
    set_int (args, "reserve-memory", &resources->reservations->memory_bytes);
  }
}

static void
apply_restart (CtlArgs *args, SwarmTaskSpec *task)
{
  static const char *const options[]
      = { "restart-condition", "restart-delay", "restart-max-attempts", "restart-window", NULL };
  SwarmRestartPolicy *policy;

  if (!any_given (args, options))
    return;
  CTL_FIELDS_OWN (task->restart_policy, swarm_restart_policy);
  policy = task->restart_policy;
  if (ctl_args_given (args, "restart-condition"))
    swarm_restart_condition_from_string (ctl_args_string (args, "restart-condition"), &policy->condition);
  set_int (args, "restart-delay", &policy->delay);
  set_uint (args, "restart-max-attempts", &policy->max_attempts);
  set_int (args, "restart-window", &policy->window);
}

static void
apply_container (CtlArgs *args, SwarmContainerSpec *container)
{
  set_string (args, "hostname", &container->hostname);
  set_string (args, "workdir", &container->dir);
  set_string (args, "user", &container->user);
  set_string (args, "stop-signal", &container->stop_signal);
  set_bool (args, "init", &container->init);
  set_bool (args, "read-only", &container->read_only);
  set_int (args, "stop-grace-period", &container->stop_grace_period);
  ctl_fields_set_words (args, "entrypoint", &container->command);
}

/* @spec, its task and its container are ours alone. */
static void
apply_common (CtlArgs *args, SwarmServiceSpec *spec)
{
  apply_container (args, spec->task->container);
  apply_resources (args, spec->task);
  apply_restart (args, spec->task);
  if (ctl_args_given (args, "replicas")) {
    CTL_FIELDS_OWN (spec->mode, swarm_service_mode);
    CTL_FIELDS_OWN (spec->mode->replicated, swarm_replicated);
    spec->mode->replicated->replicas = ctl_args_uint (args, "replicas");
  }
  if (ctl_args_given (args, "replicas-max-per-node")) {
    CTL_FIELDS_OWN (spec->task->placement, swarm_placement);
    spec->task->placement->max_replicas = ctl_args_uint (args, "replicas-max-per-node");
  }
}

/* ---- create ---- */

static gboolean
check_mode (CtlArgs *args, GError **error)
{
  static const char *const later[] = { "global", "replicated-job", "global-job", NULL };
  const char *mode = ctl_args_given (args, "mode") ? ctl_args_string (args, "mode") : "replicated";

  if (g_str_equal (mode, "replicated"))
    return TRUE;
  if (g_str_has_prefix (mode, "global") && ctl_args_given (args, "replicas"))
    return ctl_invalid (error, "replicas can only be used with replicated or replicated-job mode");
  if (g_strv_contains (later, mode))
    return ctl_invalid (error, _ ("service mode \"%s\" is not supported yet"), mode);
  return ctl_invalid (error, "unknown mode: %s, only replicated and global supported", mode);
}

static void
add_strings (CtlArgs *args, const char *option, GPtrArray **field)
{
  GPtrArray *values = ctl_args_list (args, option);

  for (guint i = 0; i < values->len; i++)
    ctl_fields_append (field, g_ptr_array_index (values, i));
}

static void
add_ports_and_mounts (CtlArgs *args, SwarmServiceSpec *spec)
{
  GPtrArray *ports = ctl_args_list (args, "publish");
  GPtrArray *mounts = ctl_args_list (args, "mount");

  if (ports->len > 0)
    CTL_FIELDS_OWN (spec->endpoint, swarm_endpoint_spec);
  for (guint i = 0; i < ports->len; i++)
    ctl_fields_append_message (&spec->endpoint->ports, ctl_port_parse (g_ptr_array_index (ports, i), NULL));
  for (guint i = 0; i < mounts->len; i++)
    ctl_fields_append_message (&spec->task->container->mounts, ctl_mount_parse (g_ptr_array_index (mounts, i), NULL));
}

static void
add_hosts (CtlArgs *args, const char *option, GPtrArray **field)
{
  GPtrArray *hosts = ctl_args_list (args, option);

  for (guint i = 0; i < hosts->len; i++) {
    g_autofree char *entry = ctl_value_host_entry (g_ptr_array_index (hosts, i));
    ctl_fields_append (field, entry);
  }
}

SwarmServiceSpec *
ctl_service_spec_create (CtlArgs *args, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_new ();
  GPtrArray *words = ctl_args_positional (args);
  SwarmContainerSpec *container;

  if (!check_mode (args, error))
    return NULL;
  CTL_FIELDS_OWN (spec->task, swarm_task_spec);
  CTL_FIELDS_OWN (spec->task->container, swarm_container_spec);
  CTL_FIELDS_OWN (spec->mode, swarm_service_mode);
  CTL_FIELDS_OWN (spec->mode->replicated, swarm_replicated);
  container = spec->task->container;
  container->image = g_strdup (g_ptr_array_index (words, 0));
  for (guint i = 1; i < words->len; i++)
    ctl_fields_append (&container->args, g_ptr_array_index (words, i));
  set_string (args, "name", &spec->name);
  ctl_fields_add_pairs (&spec->labels, ctl_args_list (args, "label"));
  ctl_fields_add_pairs (&container->labels, ctl_args_list (args, "container-label"));
  ctl_fields_add_pairs (&container->sysctls, ctl_args_list (args, "sysctl"));
  if (!ctl_fields_make_env (ctl_args_list (args, "env-file"), ctl_args_list (args, "env"), &container->env, error))
    return NULL;
  add_hosts (args, "host", &container->hosts);
  if (ctl_args_given (args, "constraint")) {
    CTL_FIELDS_OWN (spec->task->placement, swarm_placement);
    add_strings (args, "constraint", &spec->task->placement->constraints);
  }
  add_ports_and_mounts (args, spec);
  ctl_fields_capabilities (ctl_args_list (args, "cap-add"), ctl_args_list (args, "cap-drop"), FALSE,
                           &container->capability_add, &container->capability_drop);
  apply_common (args, spec);
  return g_steal_pointer (&spec);
}

/* ---- update ---- */

static void
update_container (CtlArgs *args, SwarmContainerSpec *container)
{
  set_string (args, "image", &container->image);
  ctl_fields_set_words (args, "args", &container->args);
  ctl_fields_remove_pairs (container->labels, ctl_args_list (args, "container-label-rm"));
  ctl_fields_add_pairs (&container->labels, ctl_args_list (args, "container-label-add"));
  ctl_fields_remove_pairs (container->sysctls, ctl_args_list (args, "sysctl-rm"));
  ctl_fields_add_pairs (&container->sysctls, ctl_args_list (args, "sysctl-add"));
  ctl_fields_update_env (&container->env, ctl_args_list (args, "env-rm"), ctl_args_list (args, "env-add"));
  ctl_fields_remove_hosts (&container->hosts, ctl_args_list (args, "host-rm"));
  add_hosts (args, "host-add", &container->hosts);
  ctl_fields_update_mounts (&container->mounts, ctl_args_list (args, "mount-rm"), ctl_args_list (args, "mount-add"));
  if (ctl_args_given (args, "cap-add") || ctl_args_given (args, "cap-drop"))
    ctl_fields_capabilities (ctl_args_list (args, "cap-add"), ctl_args_list (args, "cap-drop"), TRUE,
                             &container->capability_add, &container->capability_drop);
}

static void
update_constraints (CtlArgs *args, SwarmTaskSpec *task)
{
  if (!ctl_args_given (args, "constraint-add") && !ctl_args_given (args, "constraint-rm"))
    return;
  CTL_FIELDS_OWN (task->placement, swarm_placement);
  add_strings (args, "constraint-add", &task->placement->constraints);
  ctl_fields_remove_strings (task->placement->constraints, ctl_args_list (args, "constraint-rm"));
  ctl_fields_sort (task->placement->constraints);
}

SwarmServiceSpec *
ctl_service_spec_update (const SwarmServiceSpec *old, CtlArgs *args, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (old);

  if (ctl_args_given (args, "replicas") && spec->mode != NULL && spec->mode->replicated == NULL) {
    ctl_invalid (error, "replicas can only be used with replicated mode");
    return NULL;
  }
  CTL_FIELDS_OWN (spec->task, swarm_task_spec);
  CTL_FIELDS_OWN (spec->task->container, swarm_container_spec);
  ctl_fields_remove_pairs (spec->labels, ctl_args_list (args, "label-rm"));
  ctl_fields_add_pairs (&spec->labels, ctl_args_list (args, "label-add"));
  update_container (args, spec->task->container);
  update_constraints (args, spec->task);
  if (ctl_args_given (args, "publish-add") || ctl_args_given (args, "publish-rm")) {
    CTL_FIELDS_OWN (spec->endpoint, swarm_endpoint_spec);
    ctl_fields_update_ports (&spec->endpoint->ports, ctl_args_list (args, "publish-rm"),
                             ctl_args_list (args, "publish-add"));
  }
  if (ctl_args_bool (args, "force"))
    spec->task->force_update++;
  apply_common (args, spec);
  return g_steal_pointer (&spec);
}
