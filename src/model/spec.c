// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables of specs. Numbers are stored: never change or reuse one. */
#include "model/spec.h"
#include "model/rules.h"

#define SECOND G_GINT64_CONSTANT (1000000000)
#define DAY (24 * 3600 * SECOND)
#define REPLACES SWARM_FIELD_REPLACES_TASKS

#define ENUM(lower, name, ...) \
  const SwarmEnum lower##_enum = { name, (const SwarmEnumRow[]){ __VA_ARGS__, { 0, NULL } } }
#define TYPE(lower, Struct, ...) const SwarmType lower##_type = { #Struct, sizeof (Struct), lower##_fields, ##__VA_ARGS__ }

ENUM (swarm_mount_type, "mount type", { SWARM_MOUNT_BIND, "bind" }, { SWARM_MOUNT_VOLUME, "volume" }, { SWARM_MOUNT_TMPFS, "tmpfs" });
ENUM (swarm_restart_condition, "restart condition", { SWARM_RESTART_ANY, "any" }, { SWARM_RESTART_ON_FAILURE, "on-failure" },
      { SWARM_RESTART_NONE, "none" });
ENUM (swarm_protocol, "protocol", { SWARM_PROTOCOL_TCP, "tcp" }, { SWARM_PROTOCOL_UDP, "udp" }, { SWARM_PROTOCOL_SCTP, "sctp" });
ENUM (swarm_endpoint_mode, "endpoint mode", { SWARM_ENDPOINT_VIP, "vip" }, { SWARM_ENDPOINT_DNSRR, "dnsrr" });
ENUM (swarm_affinity, "affinity", { SWARM_AFFINITY_NONE, "none" }, { SWARM_AFFINITY_CLIENT, "client" });
ENUM (swarm_publish_mode, "publish mode", { SWARM_PUBLISH_INGRESS, "ingress" }, { SWARM_PUBLISH_HOST, "host" });
ENUM (swarm_availability, "availability", { SWARM_AVAILABILITY_ACTIVE, "active" }, { SWARM_AVAILABILITY_PAUSE, "pause" },
      { SWARM_AVAILABILITY_DRAIN, "drain" });
ENUM (swarm_drain_order, "drain order", { SWARM_DRAIN_UPDATE_ORDER, "update-order" }, { SWARM_DRAIN_STOP_FIRST, "stop-first" },
      { SWARM_DRAIN_START_FIRST, "start-first" });
ENUM (swarm_role, "role", { SWARM_ROLE_WORKER, "worker" }, { SWARM_ROLE_MANAGER, "manager" });

ENUM (swarm_failure_action, "failure action", { SWARM_FAILURE_PAUSE, "pause" }, { SWARM_FAILURE_CONTINUE, "continue" },
      { SWARM_FAILURE_ROLLBACK, "rollback" });
ENUM (swarm_update_order, "update order", { SWARM_ORDER_STOP_FIRST, "stop-first" }, { SWARM_ORDER_START_FIRST, "start-first" });
ENUM (swarm_service_kind, "service mode", { SWARM_SERVICE_REPLICATED, "replicated" }, { SWARM_SERVICE_GLOBAL, "global" },
      { SWARM_SERVICE_REPLICATED_JOB, "replicated-job" }, { SWARM_SERVICE_GLOBAL_JOB, "global-job" });

/* ---- containers ---- */

static const SwarmField swarm_mount_fields[] = {
  SWARM_FIELD (1, "Type", SwarmMount, type, ENUM, .enumeration = &swarm_mount_type_enum, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Kind of mount."),
  SWARM_FIELD (2, "Source", SwarmMount, source, STRING, .doc = "Path on the host (bind), name (volume), nothing (tmpfs)."),
  SWARM_FIELD (3, "Target", SwarmMount, target, STRING, .validate = swarm_rule_absolute_path, .doc = "Path in the container."),
  SWARM_FIELD (4, "ReadOnly", SwarmMount, read_only, BOOL, .doc = "The container cannot write to it."),
  { 0 },
};
TYPE (swarm_mount, SwarmMount, swarm_check_mount);

static const SwarmField swarm_pull_options_fields[] = {
  SWARM_FIELD (1, "RegistryAuth", SwarmPullOptions, registry_auth, STRING, .flags = SWARM_FIELD_SECRET | SWARM_FIELD_READONLY,
               .doc = "Credentials for the registry, as docker's X-Registry-Auth."),
  { 0 },
};
TYPE (swarm_pull_options, SwarmPullOptions);

static const SwarmField swarm_healthcheck_fields[] = {
  SWARM_FIELD (1, "Test", SwarmHealthcheck, test, STRINGS, .validate = swarm_rule_health_test,
               .doc = "Command: [] the image's, [NONE] no check, [CMD, …] arguments, [CMD-SHELL, …] for the container's shell."),
  SWARM_FIELD (2, "Interval", SwarmHealthcheck, interval, DURATION, .validate = swarm_rule_health_time,
               .doc = "Time between checks; 0: the image's, or 30 s."),
  SWARM_FIELD (3, "Timeout", SwarmHealthcheck, timeout, DURATION, .validate = swarm_rule_health_time,
               .doc = "A check that takes longer has failed; 0: the image's, or 30 s."),
  SWARM_FIELD (4, "Retries", SwarmHealthcheck, retries, INT, .validate = swarm_rule_health_retries,
               .doc = "So many failures in a row make a container unhealthy; 0: the image's, or 3."),
  SWARM_FIELD (5, "StartPeriod", SwarmHealthcheck, start_period, DURATION, .validate = swarm_rule_health_time,
               .doc = "Failures so soon after the start do not count."),
  SWARM_FIELD (6, "StartInterval", SwarmHealthcheck, start_interval, DURATION, .validate = swarm_rule_health_time,
               .doc = "Time between checks during the start period; 0: the image's, or 5 s."),
  { 0 },
};
TYPE (swarm_healthcheck, SwarmHealthcheck);

static const SwarmField swarm_dns_config_fields[] = {
  SWARM_FIELD (1, "Nameservers", SwarmDnsConfig, nameservers, STRINGS, .since = 2, .validate = swarm_rule_nameservers,
               .doc = "Addresses of the servers that are asked for names which are not the cluster's, at most 16."),
  SWARM_FIELD (2, "Search", SwarmDnsConfig, search, STRINGS, .since = 2, .validate = swarm_rule_dns_search,
               .doc = "Domains in which short names are looked up; \".\": none."),
  SWARM_FIELD (3, "Options", SwarmDnsConfig, options, STRINGS, .since = 2, .validate = swarm_rule_dns_options,
               .doc = "Options, as in resolv.conf(5)."),
  { 0 },
};
TYPE (swarm_dns_config, SwarmDnsConfig);

/* Each row says by itself that it replaces tasks: pull options do not. */
static const SwarmField swarm_container_spec_fields[] = {
  SWARM_FIELD (1, "Image", SwarmContainerSpec, image, STRING, .flags = REPLACES, .validate = swarm_rule_image,
               .doc = "Image, with tag or digest."),
  SWARM_FIELD (2, "Labels", SwarmContainerSpec, labels, MAP, .flags = REPLACES, .doc = "Labels of the container."),
  SWARM_FIELD (3, "Command", SwarmContainerSpec, command, STRINGS, .flags = REPLACES, .doc = "Replaces the image's entrypoint."),
  SWARM_FIELD (4, "Args", SwarmContainerSpec, args, STRINGS, .flags = REPLACES, .doc = "Arguments, replace the image's command."),
  SWARM_FIELD (5, "Hostname", SwarmContainerSpec, hostname, STRING, .flags = REPLACES, .validate = swarm_rule_no_template,
               .doc = "Host name in the container."),
  SWARM_FIELD (6, "Env", SwarmContainerSpec, env, STRINGS, .flags = REPLACES, .validate = swarm_rule_env,
               .doc = "Environment, NAME=VALUE."),
  SWARM_FIELD (7, "Dir", SwarmContainerSpec, dir, STRING, .flags = REPLACES, .doc = "Working directory."),
  SWARM_FIELD (8, "User", SwarmContainerSpec, user, STRING, .flags = REPLACES, .doc = "User (and group) in the container."),
  SWARM_FIELD (9, "Init", SwarmContainerSpec, init, BOOL, .flags = REPLACES, .doc = "Run an init as process 1."),
  SWARM_FIELD (10, "ReadOnly", SwarmContainerSpec, read_only, BOOL, .flags = REPLACES, .doc = "Root file system read-only."),
  SWARM_FIELD (11, "Mounts", SwarmContainerSpec, mounts, MESSAGES, .type = &swarm_mount_type, .flags = REPLACES,
               .validate = swarm_rule_mounts, .doc = "Mounts."),
  SWARM_FIELD (12, "StopSignal", SwarmContainerSpec, stop_signal, STRING, .flags = REPLACES, .doc = "Signal that stops it."),
  SWARM_FIELD (13, "StopGracePeriod", SwarmContainerSpec, stop_grace_period, DURATION, .fallback = 10 * SECOND,
               .flags = REPLACES | SWARM_FIELD_ALWAYS, .validate = swarm_rule_not_negative,
               .doc = "Time from the stop signal to the kill."),
  SWARM_FIELD (14, "Hosts", SwarmContainerSpec, hosts, STRINGS, .flags = REPLACES, .doc = "Lines for /etc/hosts, \"IP name\"."),
  SWARM_FIELD (15, "CapabilityAdd", SwarmContainerSpec, capability_add, STRINGS, .flags = REPLACES, .doc = "Capabilities to add."),
  SWARM_FIELD (16, "CapabilityDrop", SwarmContainerSpec, capability_drop, STRINGS, .flags = REPLACES,
               .doc = "Capabilities to drop."),
  SWARM_FIELD (17, "Sysctls", SwarmContainerSpec, sysctls, MAP, .flags = REPLACES, .doc = "Kernel parameters of its namespaces."),
  SWARM_FIELD (18, "PullOptions", SwarmContainerSpec, pull_options, MESSAGE, .type = &swarm_pull_options_type,
               .flags = SWARM_FIELD_SECRET | SWARM_FIELD_READONLY, .doc = "How to get the image."),
  SWARM_FIELD (19, "Healthcheck", SwarmContainerSpec, healthcheck, MESSAGE, .type = &swarm_healthcheck_type, .flags = REPLACES,
               .doc = "How to ask the container whether it is well."),
  SWARM_FIELD (20, "DNSConfig", SwarmContainerSpec, dns, MESSAGE, .type = &swarm_dns_config_type, .since = 2, .flags = REPLACES,
               .doc = "How names are looked up in the container."),
  { 0 },
};
TYPE (swarm_container_spec, SwarmContainerSpec);

/* ---- tasks ---- */

static const SwarmField swarm_named_resource_fields[] = {
  SWARM_FIELD (1, "Kind", SwarmNamedResource, kind, STRING, .doc = "Kind of resource, \"gpu\"."),
  SWARM_FIELD (2, "Value", SwarmNamedResource, value, STRING, .doc = "Name of this one."),
  { 0 },
};
TYPE (swarm_named_resource, SwarmNamedResource);

static const SwarmField swarm_discrete_resource_fields[] = {
  SWARM_FIELD (1, "Kind", SwarmDiscreteResource, kind, STRING, .doc = "Kind of resource, \"ssd\"."),
  SWARM_FIELD (2, "Value", SwarmDiscreteResource, value, INT, .doc = "How many."),
  { 0 },
};
TYPE (swarm_discrete_resource, SwarmDiscreteResource);

static const SwarmField swarm_generic_resource_fields[] = {
  SWARM_FIELD (1, "NamedResourceSpec", SwarmGenericResource, named, MESSAGE, .type = &swarm_named_resource_type,
               .doc = "One that has a name; only of a node."),
  SWARM_FIELD (2, "DiscreteResourceSpec", SwarmGenericResource, discrete, MESSAGE, .type = &swarm_discrete_resource_type,
               .doc = "A number of them."),
  { 0 },
};
TYPE (swarm_generic_resource, SwarmGenericResource, swarm_check_generic_resource);

static const SwarmField swarm_resources_fields[] = {
  SWARM_FIELD (1, "NanoCPUs", SwarmResources, nano_cpus, INT, .validate = swarm_rule_cpus, .doc = "CPUs, in billionths."),
  SWARM_FIELD (2, "MemoryBytes", SwarmResources, memory_bytes, INT, .validate = swarm_rule_memory, .doc = "Memory in bytes."),
  SWARM_FIELD (3, "Pids", SwarmResources, pids, INT, .validate = swarm_rule_not_negative, .doc = "Processes; limits only."),
  SWARM_FIELD (4, "GenericResources", SwarmResources, generic, MESSAGES, .type = &swarm_generic_resource_type,
               .doc = "What else a node has or a task needs; reservations only."),
  { 0 },
};
TYPE (swarm_resources, SwarmResources);

static const SwarmField swarm_resource_requirements_fields[] = {
  SWARM_FIELD (1, "Limits", SwarmResourceRequirements, limits, MESSAGE, .type = &swarm_resources_type, .doc = "What a task may use."),
  SWARM_FIELD (2, "Reservations", SwarmResourceRequirements, reservations, MESSAGE, .type = &swarm_resources_type,
               .doc = "What a node must have free for a task."),
  { 0 },
};
TYPE (swarm_resource_requirements, SwarmResourceRequirements, swarm_check_resource_requirements);

static const SwarmField swarm_restart_policy_fields[] = {
  SWARM_FIELD (1, "Condition", SwarmRestartPolicy, condition, ENUM, .enumeration = &swarm_restart_condition_enum,
               .flags = SWARM_FIELD_ALWAYS, .doc = "When a task that ended is replaced."),
  SWARM_FIELD (2, "Delay", SwarmRestartPolicy, delay, DURATION, .fallback = 5 * SECOND, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_restart_delay, .doc = "Time before the replacement starts."),
  SWARM_FIELD (3, "MaxAttempts", SwarmRestartPolicy, max_attempts, UINT, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Replacements per slot; 0: no limit."),
  SWARM_FIELD (4, "Window", SwarmRestartPolicy, window, DURATION, .validate = swarm_rule_restart_window,
               .doc = "Only replacements within it count; 0: all."),
  SWARM_FIELD (5, "Backoff", SwarmRestartPolicy, backoff, DURATION, .fallback = 300 * SECOND, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_not_negative,
               .doc = "The delay of a task that fails at once doubles up to this; 0: it stays as it is."),
  { 0 },
};
TYPE (swarm_restart_policy, SwarmRestartPolicy);

static const SwarmField swarm_platform_fields[] = {
  SWARM_FIELD (1, "Architecture", SwarmPlatform, architecture, STRING, .doc = "Of the processor: \"amd64\", \"arm64\" …; empty: any."),
  SWARM_FIELD (2, "OS", SwarmPlatform, os, STRING, .doc = "Operating system: \"linux\"; empty: any."),
  { 0 },
};
TYPE (swarm_platform, SwarmPlatform);

static const SwarmField swarm_spread_fields[] = {
  SWARM_FIELD (1, "SpreadDescriptor", SwarmSpread, descriptor, STRING, .validate = swarm_rule_spread_descriptor,
               .doc = "Label whose values share the tasks evenly: \"node.labels.zone\", \"engine.labels.rack\"."),
  { 0 },
};
TYPE (swarm_spread, SwarmSpread);

static const SwarmField swarm_placement_preference_fields[] = {
  SWARM_FIELD (1, "Spread", SwarmPlacementPreference, spread, MESSAGE, .type = &swarm_spread_type, .doc = "Spread over a label's values."),
  { 0 },
};
TYPE (swarm_placement_preference, SwarmPlacementPreference);

static const SwarmField swarm_placement_fields[] = {
  SWARM_FIELD (1, "Constraints", SwarmPlacement, constraints, STRINGS, .validate = swarm_rule_constraints,
               .doc = "Conditions that a node must meet, \"key==value\" or \"key!=value\"."),
  SWARM_FIELD (2, "MaxReplicas", SwarmPlacement, max_replicas, UINT, .doc = "Tasks per node; 0: any."),
  SWARM_FIELD (3, "Platforms", SwarmPlacement, platforms, MESSAGES, .type = &swarm_platform_type,
               .doc = "Systems that the image runs on, one of which a node must have; none: any."),
  SWARM_FIELD (4, "Preferences", SwarmPlacement, preferences, MESSAGES, .type = &swarm_placement_preference_type,
               .doc = "What tasks are spread over, outermost first."),
  SWARM_FIELD (5, "Strategy", SwarmPlacement, strategy, STRING, .validate = swarm_rule_strategy,
               .doc = "Scheduler plugin: \"spread\", \"binpack\", \"random\" or another; empty: the cluster's."),
  { 0 },
};
TYPE (swarm_placement, SwarmPlacement);

static const SwarmField swarm_log_driver_fields[] = {
  SWARM_FIELD (1, "Name", SwarmLogDriver, name, STRING, .flags = REPLACES, .validate = swarm_rule_log_driver,
               .doc = "Driver that a node must have, and tell of; agents have \"journald\"."),
  { 0 },
};
TYPE (swarm_log_driver, SwarmLogDriver);

static const SwarmField swarm_network_attachment_config_fields[] = {
  SWARM_FIELD (1, "Target", SwarmNetworkAttachmentConfig, target, STRING, .flags = SWARM_FIELD_ALWAYS, .since = 2,
               .doc = "The network, by id or name."),
  SWARM_FIELD (2, "Aliases", SwarmNetworkAttachmentConfig, aliases, STRINGS, .since = 2, .validate = swarm_rule_aliases,
               .doc = "More names of the service in this network."),
  { 0 },
};
TYPE (swarm_network_attachment_config, SwarmNetworkAttachmentConfig);

static const SwarmField swarm_task_spec_fields[] = {
  SWARM_FIELD (1, "ContainerSpec", SwarmTaskSpec, container, MESSAGE, .type = &swarm_container_spec_type, .doc = "The container."),
  SWARM_FIELD (2, "Resources", SwarmTaskSpec, resources, MESSAGE, .type = &swarm_resource_requirements_type, .flags = REPLACES,
               .doc = "Limits and reservations."),
  SWARM_FIELD (3, "RestartPolicy", SwarmTaskSpec, restart_policy, MESSAGE, .type = &swarm_restart_policy_type, .flags = REPLACES,
               .doc = "What happens when a task ends."),
  SWARM_FIELD (4, "Placement", SwarmTaskSpec, placement, MESSAGE, .type = &swarm_placement_type, .flags = REPLACES,
               .doc = "Where tasks may run."),
  SWARM_FIELD (5, "ForceUpdate", SwarmTaskSpec, force_update, UINT, .flags = REPLACES | SWARM_FIELD_ALWAYS,
               .doc = "A changed number replaces the tasks without another change."),
  SWARM_FIELD (6, "LogDriver", SwarmTaskSpec, log_driver, MESSAGE, .type = &swarm_log_driver_type, .flags = REPLACES,
               .doc = "Where the tasks' output goes."),
  SWARM_FIELD (7, "Networks", SwarmTaskSpec, networks, MESSAGES, .type = &swarm_network_attachment_config_type, .flags = REPLACES, .since = 2,
               .doc = "Networks of the tasks."),
  { 0 },
};
TYPE (swarm_task_spec, SwarmTaskSpec);

/* ---- services ---- */

static const SwarmField swarm_replicated_fields[] = {
  SWARM_FIELD (1, "Replicas", SwarmReplicated, replicas, UINT, .fallback = 1, .flags = SWARM_FIELD_ALWAYS, .validate = swarm_rule_replicas,
               .negative = "Number of replicas must be non-negative", .doc = "Number of tasks."),
  { 0 },
};
TYPE (swarm_replicated, SwarmReplicated);

static const SwarmField swarm_global_fields[] = { { 0 } };
TYPE (swarm_global, SwarmGlobal);

static const SwarmField swarm_replicated_job_fields[] = {
  SWARM_FIELD (1, "MaxConcurrent", SwarmReplicatedJob, max_concurrent, UINT, .validate = swarm_rule_max_concurrent,
               .negative = "Maximum concurrent jobs must not be negative", .doc = "Tasks at once; 0: all."),
  SWARM_FIELD (2, "TotalCompletions", SwarmReplicatedJob, total_completions, UINT, .validate = swarm_rule_completions,
               .negative = "Total completed jobs must not be negative",
               .doc = "Tasks that must end well; 0: as many as run at once."),
  { 0 },
};
TYPE (swarm_replicated_job, SwarmReplicatedJob);

static const SwarmField swarm_global_job_fields[] = { { 0 } };
TYPE (swarm_global_job, SwarmGlobalJob);

static const SwarmField swarm_service_mode_fields[] = {
  SWARM_FIELD (1, "Replicated", SwarmServiceMode, replicated, MESSAGE, .type = &swarm_replicated_type,
               .doc = "A number of equal tasks, wherever they fit."),
  SWARM_FIELD (2, "Global", SwarmServiceMode, global, MESSAGE, .type = &swarm_global_type, .doc = "One task on each node that fits."),
  SWARM_FIELD (3, "ReplicatedJob", SwarmServiceMode, replicated_job, MESSAGE, .type = &swarm_replicated_job_type,
               .doc = "A number of tasks that run to their end once."),
  SWARM_FIELD (4, "GlobalJob", SwarmServiceMode, global_job, MESSAGE, .type = &swarm_global_job_type,
               .doc = "One task on each node that fits, which runs to its end once."),
  { 0 },
};
TYPE (swarm_service_mode, SwarmServiceMode, swarm_check_service_mode);

static const SwarmField swarm_update_config_fields[] = {
  SWARM_FIELD (1, "Parallelism", SwarmUpdateConfig, parallelism, UINT, .fallback = 1, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Slots replaced at once; 0: all."),
  SWARM_FIELD (2, "Delay", SwarmUpdateConfig, delay, DURATION, .validate = swarm_rule_update_delay,
               .doc = "Pause after each slot."),
  SWARM_FIELD (3, "FailureAction", SwarmUpdateConfig, failure_action, ENUM, .enumeration = &swarm_failure_action_enum,
               .flags = SWARM_FIELD_ALWAYS, .doc = "What happens when too many new tasks fail."),
  SWARM_FIELD (4, "Monitor", SwarmUpdateConfig, monitor, DURATION, .fallback = 5 * SECOND, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_update_monitor, .doc = "A new task that fails so soon after its start counts as a failure of the update."),
  SWARM_FIELD (5, "MaxFailureRatio", SwarmUpdateConfig, max_failure_ratio, DOUBLE, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_failure_ratio, .doc = "Share of the slots that may fail, 0 to 1."),
  SWARM_FIELD (6, "Order", SwarmUpdateConfig, order, ENUM, .enumeration = &swarm_update_order_enum, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Whether the old task stops before the new one starts, or after."),
  { 0 },
};
TYPE (swarm_update_config, SwarmUpdateConfig);

static const SwarmField swarm_port_config_fields[] = {
  SWARM_FIELD (1, "Name", SwarmPortConfig, name, STRING, .doc = "A name for people."),
  SWARM_FIELD (2, "Protocol", SwarmPortConfig, protocol, ENUM, .enumeration = &swarm_protocol_enum, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Transport protocol."),
  SWARM_FIELD (3, "TargetPort", SwarmPortConfig, target_port, UINT, .validate = swarm_rule_target_port,
               .doc = "Port in the container."),
  SWARM_FIELD (4, "PublishedPort", SwarmPortConfig, published_port, UINT, .validate = swarm_rule_published_port,
               .doc = "Port that clients use; 0: chosen."),
  SWARM_FIELD (5, "PublishMode", SwarmPortConfig, publish_mode, ENUM, .enumeration = &swarm_publish_mode_enum,
               .flags = SWARM_FIELD_ALWAYS, .doc = "On every node (ingress) or where the task is (host)."),
  { 0 },
};
TYPE (swarm_port_config, SwarmPortConfig);

static const SwarmField swarm_endpoint_spec_fields[] = {
  SWARM_FIELD (1, "Ports", SwarmEndpointSpec, ports, MESSAGES, .type = &swarm_port_config_type, .validate = swarm_rule_ports,
               .doc = "Published ports."),
  SWARM_FIELD (2, "Mode", SwarmEndpointSpec, mode, ENUM, .enumeration = &swarm_endpoint_mode_enum, .since = 2,
               .doc = "One virtual address (vip), or the addresses of the tasks (dnsrr)."),
  SWARM_FIELD (3, "Affinity", SwarmEndpointSpec, affinity, ENUM, .enumeration = &swarm_affinity_enum, .since = 2,
               .doc = "Whether a client, by its address, stays with one task."),
  { 0 },
};
TYPE (swarm_endpoint_spec, SwarmEndpointSpec, swarm_check_endpoint_spec);

static const SwarmField swarm_service_spec_fields[] = {
  SWARM_FIELD (1, "Name", SwarmServiceSpec, name, STRING, .flags = SWARM_FIELD_ALWAYS | SWARM_FIELD_IMMUTABLE,
               .validate = swarm_rule_service_name, .doc = "Name, a DNS label."),
  SWARM_FIELD (2, "Labels", SwarmServiceSpec, labels, MAP, .flags = SWARM_FIELD_ALWAYS, .doc = "Labels of the service."),
  SWARM_FIELD (3, "TaskTemplate", SwarmServiceSpec, task, MESSAGE, .type = &swarm_task_spec_type, .doc = "What each task is."),
  SWARM_FIELD (4, "Mode", SwarmServiceSpec, mode, MESSAGE, .type = &swarm_service_mode_type, .doc = "How many tasks, and where."),
  SWARM_FIELD (5, "EndpointSpec", SwarmServiceSpec, endpoint, MESSAGE, .type = &swarm_endpoint_spec_type, .flags = REPLACES,
               .doc = "How clients reach it."),
  SWARM_FIELD (6, "UpdateConfig", SwarmServiceSpec, update, MESSAGE, .type = &swarm_update_config_type,
               .doc = "How tasks are replaced when the spec changes."),
  SWARM_FIELD (7, "RollbackConfig", SwarmServiceSpec, rollback, MESSAGE, .type = &swarm_update_config_type,
               .doc = "How tasks are replaced when the spec goes back to the one before."),
  SWARM_FIELD (8, "DisconnectWait", SwarmServiceSpec, disconnect_wait, DURATION, .validate = swarm_rule_disconnect_wait,
               .doc = "Tasks on a node that is cut off stay there for so long after it went down; 0: they move at once."),
  { 0 },
};
TYPE (swarm_service_spec, SwarmServiceSpec, swarm_check_service_spec);

gboolean
swarm_endpoint_spec_has_ingress (const SwarmEndpointSpec *endpoint)
{
  for (guint i = 0; endpoint != NULL && endpoint->ports != NULL && i < endpoint->ports->len; i++)
    if (((const SwarmPortConfig *) g_ptr_array_index (endpoint->ports, i))->publish_mode == SWARM_PUBLISH_INGRESS)
      return TRUE;
  return FALSE;
}

gboolean
swarm_service_spec_is_networked (const SwarmServiceSpec *spec)
{
  return (spec->task != NULL && spec->task->networks != NULL && spec->task->networks->len > 0)
         || swarm_endpoint_spec_has_ingress (spec->endpoint);
}

gboolean
swarm_port_is_host (const SwarmPortConfig *port)
{
  return port->publish_mode == SWARM_PUBLISH_HOST && port->published_port != 0;
}

const char *
swarm_service_spec_warning (const SwarmServiceSpec *spec)
{
  gboolean start_first = spec->update != NULL && spec->update->order == SWARM_ORDER_START_FIRST;
  GPtrArray *ports = spec->endpoint != NULL ? spec->endpoint->ports : NULL;

  for (guint i = 0; start_first && ports != NULL && i < ports->len; i++)
    if (swarm_port_is_host (g_ptr_array_index (ports, i)))
      return "with order start-first and host ports, each new task of an update needs a node where the port is free: "
             "where every node runs a task of the service already, the update waits for one";
  return NULL;
}

SwarmServiceKind
swarm_service_spec_kind (const SwarmServiceSpec *spec)
{
  const SwarmServiceMode *mode = spec->mode;

  if (mode == NULL)
    return SWARM_SERVICE_REPLICATED;
  if (mode->global != NULL)
    return SWARM_SERVICE_GLOBAL;
  if (mode->replicated_job != NULL)
    return SWARM_SERVICE_REPLICATED_JOB;
  return mode->global_job != NULL ? SWARM_SERVICE_GLOBAL_JOB : SWARM_SERVICE_REPLICATED;
}

guint64
swarm_service_spec_replicas (const SwarmServiceSpec *spec)
{
  if (swarm_service_spec_kind (spec) != SWARM_SERVICE_REPLICATED)
    return 0;
  return spec->mode != NULL && spec->mode->replicated != NULL ? spec->mode->replicated->replicas : 1;
}

guint64
swarm_job_total (const SwarmReplicatedJob *job)
{
  return job->total_completions > 0 ? job->total_completions : MAX (job->max_concurrent, 1);
}

guint64
swarm_job_concurrent (const SwarmReplicatedJob *job)
{
  return job->max_concurrent > 0 ? job->max_concurrent : swarm_job_total (job);
}

/* ---- nodes and clusters ---- */

static const SwarmField swarm_node_spec_fields[] = {
  SWARM_FIELD (1, "Name", SwarmNodeSpec, name, STRING, .doc = "A name for people."),
  SWARM_FIELD (2, "Labels", SwarmNodeSpec, labels, MAP, .flags = SWARM_FIELD_ALWAYS, .doc = "Labels, for constraints."),
  SWARM_FIELD (3, "Role", SwarmNodeSpec, role, ENUM, .enumeration = &swarm_role_enum, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Wanted role."),
  SWARM_FIELD (4, "Availability", SwarmNodeSpec, availability, ENUM, .enumeration = &swarm_availability_enum,
               .flags = SWARM_FIELD_ALWAYS, .doc = "Takes tasks (active), keeps what it has (pause), gives all away (drain)."),
  SWARM_FIELD (5, "DrainOrder", SwarmNodeSpec, drain_order, ENUM, .enumeration = &swarm_drain_order_enum,
               .doc = "While drained: whether a task is stopped before its replacement starts, or when it runs."),
  SWARM_FIELD (6, "DrainDeadline", SwarmNodeSpec, drain_deadline, TIME,
               .doc = "While drained: from then on no task waits for its replacement."),
  { 0 },
};
TYPE (swarm_node_spec, SwarmNodeSpec);

static const SwarmField swarm_orchestration_config_fields[] = {
  SWARM_FIELD (1, "TaskHistoryRetentionLimit", SwarmOrchestrationConfig, task_history_limit, INT, .fallback = 5,
               .flags = SWARM_FIELD_ALWAYS, .doc = "Old tasks kept per slot; negative: all."),
  SWARM_FIELD (2, "Strategy", SwarmOrchestrationConfig, strategy, STRING, .validate = swarm_rule_strategy,
               .doc = "Scheduler plugin of services that name none; empty: \"spread\"."),
  { 0 },
};
TYPE (swarm_orchestration_config, SwarmOrchestrationConfig);

static const SwarmField swarm_raft_config_fields[] = {
  SWARM_FIELD (1, "SnapshotInterval", SwarmRaftConfig, snapshot_interval, UINT, .fallback = 10000, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Log entries between snapshots, at most; 0: 10000. Two MiB of entries, or as much as the state has, make one due, too."),
  SWARM_FIELD (2, "LogEntriesForSlowFollowers", SwarmRaftConfig, slow_followers, UINT, .fallback = 500, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Log entries kept behind a snapshot, for managers that lag; no more than a MiB of them."),
  { 0 },
};
TYPE (swarm_raft_config, SwarmRaftConfig);

static const SwarmField swarm_dispatcher_config_fields[] = {
  SWARM_FIELD (1, "HeartbeatPeriod", SwarmDispatcherConfig, heartbeat_period, DURATION, .fallback = SECOND,
               .flags = SWARM_FIELD_ALWAYS, .validate = swarm_rule_heartbeat,
               .doc = "Time between a node's heartbeats, at least 100 ms (0: 1 s); it is down after three missed ones."),
  SWARM_FIELD (9, "DownGrace", SwarmDispatcherConfig, down_grace, DURATION, .validate = swarm_rule_down_grace,
               .doc = "Tasks of a node that is down for its silence move only after so long: one that comes and goes moves nothing."),
  { 0 },
};
TYPE (swarm_dispatcher_config, SwarmDispatcherConfig);

static const SwarmField swarm_external_ca_fields[] = {
  SWARM_FIELD (1, "Protocol", SwarmExternalCA, protocol, STRING, .flags = SWARM_FIELD_ALWAYS, .doc = "Only cfssl."),
  SWARM_FIELD (2, "URL", SwarmExternalCA, url, STRING, .flags = SWARM_FIELD_ALWAYS, .doc = "Where it signs: https://…"),
  SWARM_FIELD (3, "Options", SwarmExternalCA, options, MAP, .doc = "For the protocol."),
  SWARM_FIELD (4, "CACert", SwarmExternalCA, ca_cert, STRING, .doc = "Root certificate that it signs under (PEM); empty: the cluster's."),
  { 0 },
};
const SwarmType swarm_external_ca_type = { "SwarmExternalCA", sizeof (SwarmExternalCA), swarm_external_ca_fields, swarm_check_external_ca };

static const SwarmField swarm_ca_config_fields[] = {
  SWARM_FIELD (1, "NodeCertExpiry", SwarmCAConfig, node_cert_expiry, DURATION, .fallback = 90 * DAY, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_cert_expiry, .doc = "Validity of node certificates."),
  SWARM_FIELD (2, "ExternalCAs", SwarmCAConfig, external_cas, MESSAGES, .type = &swarm_external_ca_type,
               .doc = "Authorities that sign in the managers' stead."),
  SWARM_FIELD (3, "SigningCACert", SwarmCAConfig, signing_ca_cert, STRING, .doc = "Root certificate to rotate to (PEM)."),
  SWARM_FIELD (4, "SigningCAKey", SwarmCAConfig, signing_ca_key, STRING, .flags = SWARM_FIELD_SECRET, .doc = "Its key (PEM)."),
  SWARM_FIELD (5, "ForceRotate", SwarmCAConfig, force_rotate, UINT, .flags = SWARM_FIELD_ALWAYS,
               .doc = "A number larger than before begins a root rotation."),
  SWARM_FIELD (6, "ExpiredRenewal", SwarmCAConfig, expired_renewal, DURATION, .fallback = 90 * DAY, .flags = SWARM_FIELD_ALWAYS,
               .validate = swarm_rule_not_negative_duration, .doc = "So long after its end a node's certificate may still be renewed with it."),
  { 0 },
};
TYPE (swarm_ca_config, SwarmCAConfig);

static const SwarmField swarm_encryption_config_fields[] = {
  SWARM_FIELD (1, "AutoLockManagers", SwarmEncryptionConfig, auto_lock_managers, BOOL, .flags = SWARM_FIELD_ALWAYS,
               .doc = "Managers wait for the unlock key when they start."),
  SWARM_FIELD (2, "Seal", SwarmEncryptionConfig, seal, STRING, .validate = swarm_rule_seal,
               .doc = "What seals a manager's keys on its disk: empty (a file beside them) or \"systemd-creds\" (TPM2 or the host's key)."),
  { 0 },
};
TYPE (swarm_encryption_config, SwarmEncryptionConfig);

static const SwarmField swarm_cluster_spec_fields[] = {
  SWARM_FIELD (1, "Name", SwarmClusterSpec, name, STRING, .flags = SWARM_FIELD_ALWAYS, .validate = swarm_rule_cluster_name,
               .doc = "Always \"default\"."),
  SWARM_FIELD (2, "Labels", SwarmClusterSpec, labels, MAP, .flags = SWARM_FIELD_ALWAYS, .doc = "Labels of the cluster."),
  SWARM_FIELD (3, "Orchestration", SwarmClusterSpec, orchestration, MESSAGE, .type = &swarm_orchestration_config_type,
               .doc = "Task history."),
  SWARM_FIELD (4, "Raft", SwarmClusterSpec, raft, MESSAGE, .type = &swarm_raft_config_type, .doc = "The replicated log."),
  SWARM_FIELD (5, "Dispatcher", SwarmClusterSpec, dispatcher, MESSAGE, .type = &swarm_dispatcher_config_type, .doc = "Heartbeats."),
  SWARM_FIELD (6, "CAConfig", SwarmClusterSpec, ca_config, MESSAGE, .type = &swarm_ca_config_type, .doc = "Certificates."),
  SWARM_FIELD (7, "EncryptionConfig", SwarmClusterSpec, encryption, MESSAGE, .type = &swarm_encryption_config_type,
               .doc = "Keys at rest."),
  { 0 },
};
TYPE (swarm_cluster_spec, SwarmClusterSpec);
