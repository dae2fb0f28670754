// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/service-spec.h"
#include "ctl/network.h"
#include "ctl/service-fields.h"
#include "ctl/service-policy.h"
#include "ctl/values.h"
#include <string.h>

/* ---- the options that create and update share ---- */

static void
apply_container (CtlArgs *args, SwarmContainerSpec *container)
{
  ctl_fields_set_string (args, "hostname", &container->hostname);
  ctl_fields_set_string (args, "workdir", &container->dir);
  ctl_fields_set_string (args, "user", &container->user);
  ctl_fields_set_string (args, "stop-signal", &container->stop_signal);
  ctl_fields_set_bool (args, "init", &container->init);
  ctl_fields_set_bool (args, "read-only", &container->read_only);
  ctl_fields_set_int (args, "stop-grace-period", &container->stop_grace_period);
  ctl_fields_set_words (args, "entrypoint", &container->command);
}

static void
apply_endpoint (CtlArgs *args, SwarmServiceSpec *spec)
{
  if (!ctl_args_given (args, "endpoint-mode") && !ctl_args_given (args, "session-affinity"))
    return;
  CTL_FIELDS_OWN (spec->endpoint, swarm_endpoint_spec);
  if (ctl_args_given (args, "endpoint-mode"))
    swarm_endpoint_mode_from_string (ctl_args_string (args, "endpoint-mode"), &spec->endpoint->mode);
  if (ctl_args_given (args, "session-affinity"))
    swarm_affinity_from_string (ctl_args_string (args, "session-affinity"), &spec->endpoint->affinity);
}

/* @spec, its task and its container are ours alone. */
static gboolean
apply_common (CtlArgs *args, SwarmServiceSpec *spec, GError **error)
{
  apply_container (args, spec->task->container);
  ctl_policy_resources (args, spec->task);
  ctl_policy_restart (args, spec->task);
  ctl_policy_placement (args, spec->task);
  ctl_policy_on_disconnect (args, spec);
  apply_endpoint (args, spec);
  return ctl_policy_update (args, spec, error) && ctl_policy_health (args, spec->task->container, error);
}

/* ---- create ---- */

static void
add_ports_and_mounts (CtlArgs *args, SwarmServiceSpec *spec)
{
  GPtrArray *ports = ctl_args_list (args, "publish");
  GPtrArray *mounts = ctl_args_list (args, "mount");

  if (ports->len > 0)
    CTL_FIELDS_OWN (spec->endpoint, swarm_endpoint_spec);
  for (guint i = 0; i < ports->len; i++)
    ctl_ports_parse (g_ptr_array_index (ports, i), &spec->endpoint->ports, NULL);
  for (guint i = 0; i < mounts->len; i++)
    ctl_fields_append_message (&spec->task->container->mounts, ctl_mount_parse (g_ptr_array_index (mounts, i), NULL));
}

static void
add_networks (CtlArgs *args, SwarmTaskSpec *task)
{
  GPtrArray *networks = ctl_args_list (args, "network");

  for (guint i = 0; i < networks->len; i++)
    ctl_fields_append_message (&task->networks, ctl_attachment_parse (g_ptr_array_index (networks, i), NULL));
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

/* The lists of --dns, --dns-search and --dns-option; an update's options end in -add and -rm. */
static void
set_names (CtlArgs *args, gboolean update, SwarmContainerSpec *container)
{
  static const char *const options[] = { "dns", "dns-search", "dns-option", NULL };
  static const char *const changes[] = { "dns-add", "dns-rm", "dns-search-add", "dns-search-rm", "dns-option-add", "dns-option-rm", NULL };
  gboolean any = FALSE;

  if (!ctl_fields_any_given (args, update ? changes : options))
    return;
  CTL_FIELDS_OWN (container->dns, swarm_dns_config);
  GPtrArray **lists[] = { &container->dns->nameservers, &container->dns->search, &container->dns->options };
  for (guint i = 0; options[i] != NULL; i++) {
    g_autofree char *add = g_strconcat (options[i], update ? "-add" : NULL, NULL);
    g_autofree char *remove = g_strconcat (options[i], "-rm", NULL);

    if (update)
      ctl_fields_remove_strings (*lists[i], ctl_args_list (args, remove));
    ctl_fields_append_new (lists[i], ctl_args_list (args, add));
    any |= *lists[i] != NULL && (*lists[i])->len > 0;
  }
  if (!any)
    g_clear_pointer (&container->dns, swarm_dns_config_unref);
}

SwarmServiceSpec *
ctl_service_spec_create (CtlArgs *args, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_new ();
  GPtrArray *words = ctl_args_positional (args);
  SwarmContainerSpec *container;

  if (!ctl_policy_mode_create (args, spec, error))
    return NULL;
  CTL_FIELDS_OWN (spec->task, swarm_task_spec);
  CTL_FIELDS_OWN (spec->task->container, swarm_container_spec);
  container = spec->task->container;
  container->image = g_strdup (g_ptr_array_index (words, 0));
  for (guint i = 1; i < words->len; i++)
    ctl_fields_append (&container->args, g_ptr_array_index (words, i));
  ctl_fields_set_string (args, "name", &spec->name);
  ctl_fields_add_pairs (&spec->labels, ctl_args_list (args, "label"));
  ctl_fields_add_pairs (&container->labels, ctl_args_list (args, "container-label"));
  ctl_fields_add_pairs (&container->sysctls, ctl_args_list (args, "sysctl"));
  if (!ctl_fields_make_env (ctl_args_list (args, "env-file"), ctl_args_list (args, "env"), &container->env, error))
    return NULL;
  add_hosts (args, "host", &container->hosts);
  set_names (args, FALSE, container);
  if (ctl_args_given (args, "constraint")) {
    CTL_FIELDS_OWN (spec->task->placement, swarm_placement);
    ctl_fields_append_all (&spec->task->placement->constraints, ctl_args_list (args, "constraint"));
  }
  ctl_policy_preferences (ctl_args_list (args, "placement-pref"), NULL, spec->task);
  if (!ctl_policy_generic (ctl_args_list (args, "generic-resource"), NULL, spec->task, error))
    return NULL;
  add_ports_and_mounts (args, spec);
  add_networks (args, spec->task);
  ctl_fields_capabilities (ctl_args_list (args, "cap-add"), ctl_args_list (args, "cap-drop"), FALSE,
                           &container->capability_add, &container->capability_drop);
  return apply_common (args, spec, error) ? g_steal_pointer (&spec) : NULL;
}

/* ---- update ---- */

static void
update_container (CtlArgs *args, SwarmContainerSpec *container)
{
  ctl_fields_set_string (args, "image", &container->image);
  ctl_fields_set_words (args, "args", &container->args);
  ctl_fields_remove_pairs (container->labels, ctl_args_list (args, "container-label-rm"));
  ctl_fields_add_pairs (&container->labels, ctl_args_list (args, "container-label-add"));
  ctl_fields_remove_pairs (container->sysctls, ctl_args_list (args, "sysctl-rm"));
  ctl_fields_add_pairs (&container->sysctls, ctl_args_list (args, "sysctl-add"));
  ctl_fields_update_env (&container->env, ctl_args_list (args, "env-rm"), ctl_args_list (args, "env-add"));
  ctl_fields_remove_hosts (&container->hosts, ctl_args_list (args, "host-rm"));
  add_hosts (args, "host-add", &container->hosts);
  set_names (args, TRUE, container);
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
  ctl_fields_append_all (&task->placement->constraints, ctl_args_list (args, "constraint-add"));
  ctl_fields_remove_strings (task->placement->constraints, ctl_args_list (args, "constraint-rm"));
  ctl_fields_sort (task->placement->constraints);
}

SwarmServiceSpec *
ctl_service_spec_update (const SwarmServiceSpec *old, CtlArgs *args, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (old);

  if (!ctl_policy_mode_update (args, spec, error))
    return NULL;
  CTL_FIELDS_OWN (spec->task, swarm_task_spec);
  CTL_FIELDS_OWN (spec->task->container, swarm_container_spec);
  ctl_fields_remove_pairs (spec->labels, ctl_args_list (args, "label-rm"));
  ctl_fields_add_pairs (&spec->labels, ctl_args_list (args, "label-add"));
  update_container (args, spec->task->container);
  update_constraints (args, spec->task);
  ctl_policy_preferences (ctl_args_list (args, "placement-pref-add"), ctl_args_list (args, "placement-pref-rm"), spec->task);
  if (!ctl_policy_generic (ctl_args_list (args, "generic-resource-add"), ctl_args_list (args, "generic-resource-rm"),
                           spec->task, error))
    return NULL;
  if (ctl_args_given (args, "publish-add") || ctl_args_given (args, "publish-rm")) {
    CTL_FIELDS_OWN (spec->endpoint, swarm_endpoint_spec);
    ctl_fields_update_ports (&spec->endpoint->ports, ctl_args_list (args, "publish-rm"),
                             ctl_args_list (args, "publish-add"));
  }
  if (ctl_args_bool (args, "force"))
    spec->task->force_update++;
  return apply_common (args, spec, error) ? g_steal_pointer (&spec) : NULL;
}
