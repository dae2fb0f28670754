// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables of stored objects. Numbers are stored: never change or reuse one. */
#include "model/objects.h"

#define ENUM(lower, name, ...) \
  const SwarmEnum lower##_enum = { name, (const SwarmEnumRow[]){ __VA_ARGS__, { 0, NULL } } }
#define TYPE(lower, Struct) const SwarmType lower##_type = { #Struct, sizeof (Struct), lower##_fields, NULL }

/* Rows 1 to 4 of every object; its own begin at 5. */
#define OBJECT_FIELDS(Struct) \
  SWARM_FIELD (1, "ID", Struct, object.id, ID, .flags = SWARM_FIELD_READONLY), \
    SWARM_FIELD (2, "Version.Index", Struct, object.version, UINT, .flags = SWARM_FIELD_READONLY | SWARM_FIELD_ALWAYS), \
    SWARM_FIELD (3, "CreatedAt", Struct, object.created_at, TIME, .flags = SWARM_FIELD_READONLY), \
    SWARM_FIELD (4, "UpdatedAt", Struct, object.updated_at, TIME, .flags = SWARM_FIELD_READONLY)

ENUM (swarm_node_state, "node state", { SWARM_NODE_UNKNOWN, "unknown" }, { SWARM_NODE_DOWN, "down" }, { SWARM_NODE_READY, "ready" },
      { SWARM_NODE_DISCONNECTED, "disconnected" });
ENUM (swarm_clock_state, "clock state", { SWARM_CLOCK_UNKNOWN, "unknown" }, { SWARM_CLOCK_SYNCHRONIZED, "synchronized" },
      { SWARM_CLOCK_FREE, "free-running" });
ENUM (swarm_task_state, "task state", { SWARM_TASK_NEW, "new" }, { SWARM_TASK_PENDING, "pending" },
      { SWARM_TASK_ASSIGNED, "assigned" }, { SWARM_TASK_ACCEPTED, "accepted" }, { SWARM_TASK_PREPARING, "preparing" },
      { SWARM_TASK_READY, "ready" }, { SWARM_TASK_STARTING, "starting" }, { SWARM_TASK_RUNNING, "running" },
      { SWARM_TASK_COMPLETE, "complete" }, { SWARM_TASK_SHUTDOWN, "shutdown" }, { SWARM_TASK_FAILED, "failed" },
      { SWARM_TASK_REJECTED, "rejected" }, { SWARM_TASK_REMOVE, "remove" }, { SWARM_TASK_ORPHANED, "orphaned" });

ENUM (swarm_update_state, "update state", { SWARM_UPDATE_NONE, "" }, { SWARM_UPDATE_UPDATING, "updating" }, { SWARM_UPDATE_PAUSED, "paused" },
      { SWARM_UPDATE_COMPLETED, "completed" }, { SWARM_UPDATE_ROLLBACK_STARTED, "rollback_started" },
      { SWARM_UPDATE_ROLLBACK_PAUSED, "rollback_paused" }, { SWARM_UPDATE_ROLLBACK_COMPLETED, "rollback_completed" });

/* ---- cluster ---- */

static const SwarmField swarm_join_tokens_fields[] = {
  SWARM_FIELD (1, "Worker", SwarmJoinTokens, worker, STRING, .flags = SWARM_FIELD_SECRET),
  SWARM_FIELD (2, "Manager", SwarmJoinTokens, manager, STRING, .flags = SWARM_FIELD_SECRET),
  { 0 },
};
TYPE (swarm_join_tokens, SwarmJoinTokens);

static const SwarmField swarm_root_rotation_fields[] = {
  SWARM_FIELD (1, "Cert", SwarmRootRotation, cert, STRING),
  SWARM_FIELD (2, "Key", SwarmRootRotation, key, BYTES, .flags = SWARM_FIELD_SECRET),
  SWARM_FIELD (3, "Digest", SwarmRootRotation, digest, STRING),
  SWARM_FIELD (4, "CrossCert", SwarmRootRotation, cross_cert, STRING),
  SWARM_FIELD (5, "IssuerSubject", SwarmRootRotation, issuer_subject, BYTES),
  SWARM_FIELD (6, "IssuerPublicKey", SwarmRootRotation, issuer_public_key, BYTES),
  SWARM_FIELD (7, "StartedAt", SwarmRootRotation, started_at, TIME),
  { 0 },
};
TYPE (swarm_root_rotation, SwarmRootRotation);

static const SwarmField swarm_former_root_fields[] = {
  SWARM_FIELD (1, "Cert", SwarmFormerRoot, cert, STRING),
  SWARM_FIELD (2, "CrossCert", SwarmFormerRoot, cross_cert, STRING),
  SWARM_FIELD (3, "Until", SwarmFormerRoot, until, TIME),
  { 0 },
};
TYPE (swarm_former_root, SwarmFormerRoot);

static const SwarmField swarm_root_ca_fields[] = {
  SWARM_FIELD (1, "Cert", SwarmRootCA, cert, STRING),
  SWARM_FIELD (2, "Key", SwarmRootCA, key, BYTES, .flags = SWARM_FIELD_SECRET),
  SWARM_FIELD (3, "Digest", SwarmRootCA, digest, STRING),
  SWARM_FIELD (4, "JoinTokens", SwarmRootCA, tokens, MESSAGE, .type = &swarm_join_tokens_type, .flags = SWARM_FIELD_SECRET),
  SWARM_FIELD (5, "IssuerSubject", SwarmRootCA, issuer_subject, BYTES),
  SWARM_FIELD (6, "IssuerPublicKey", SwarmRootCA, issuer_public_key, BYTES),
  SWARM_FIELD (7, "Rotation", SwarmRootCA, rotation, MESSAGE, .type = &swarm_root_rotation_type),
  SWARM_FIELD (8, "LastForcedRotation", SwarmRootCA, last_forced, UINT),
  SWARM_FIELD (9, "Former", SwarmRootCA, former, MESSAGES, .type = &swarm_former_root_type),
  { 0 },
};
TYPE (swarm_root_ca, SwarmRootCA);

static const SwarmField swarm_removed_node_fields[] = {
  SWARM_FIELD (1, "Node", SwarmRemovedNode, node, ID),
  SWARM_FIELD (2, "Until", SwarmRemovedNode, until, TIME),
  { 0 },
};
TYPE (swarm_removed_node, SwarmRemovedNode);

static const SwarmField swarm_cluster_fields[] = {
  OBJECT_FIELDS (SwarmCluster),
  SWARM_FIELD (5, "Spec", SwarmCluster, spec, MESSAGE, .type = &swarm_cluster_spec_type),
  SWARM_FIELD (6, "RootCA", SwarmCluster, root_ca, MESSAGE, .type = &swarm_root_ca_type),
  SWARM_FIELD (7, "RemovedNodes", SwarmCluster, removed_nodes, MESSAGES, .type = &swarm_removed_node_type),
  SWARM_FIELD (8, "FeatureLevel", SwarmCluster, feature_level, UINT),
  SWARM_FIELD (9, "UnlockKey", SwarmCluster, unlock_key, BYTES, .flags = SWARM_FIELD_SECRET),
  SWARM_FIELD (10, "UnlockKeyVersion", SwarmCluster, unlock_key_version, UINT),
  SWARM_FIELD (11, "Epoch", SwarmCluster, epoch, UINT),
  SWARM_FIELD (12, "RestoredFrom", SwarmCluster, restored_from, ID),
  SWARM_FIELD (13, "DefaultAddrPool", SwarmCluster, address_pool, STRINGS, .since = 2),
  SWARM_FIELD (14, "SubnetSize", SwarmCluster, subnet_size, UINT, .fallback = SWARM_DEFAULT_SUBNET_SIZE, .since = 2),
  SWARM_FIELD (15, "NetworksMade", SwarmCluster, networks_made, BOOL, .since = 2),
  { 0 },
};
TYPE (swarm_cluster, SwarmCluster);

/* ---- node ---- */

static const SwarmField swarm_engine_plugin_fields[] = {
  SWARM_FIELD (1, "Type", SwarmEnginePlugin, type, STRING),
  SWARM_FIELD (2, "Name", SwarmEnginePlugin, name, STRING),
  { 0 },
};
TYPE (swarm_engine_plugin, SwarmEnginePlugin);

static const SwarmField swarm_engine_description_fields[] = {
  SWARM_FIELD (1, "EngineVersion", SwarmEngineDescription, engine_version, STRING),
  SWARM_FIELD (2, "Labels", SwarmEngineDescription, labels, MAP),
  SWARM_FIELD (3, "Plugins", SwarmEngineDescription, plugins, MESSAGES, .type = &swarm_engine_plugin_type),
  { 0 },
};
TYPE (swarm_engine_description, SwarmEngineDescription);

static const SwarmField swarm_node_tls_fields[] = {
  SWARM_FIELD (1, "TrustDigest", SwarmNodeTLS, trust_digest, STRING),
  SWARM_FIELD (2, "CertSerial", SwarmNodeTLS, cert_serial, STRING),
  { 0 },
};
TYPE (swarm_node_tls, SwarmNodeTLS);

static const SwarmField swarm_node_description_fields[] = {
  SWARM_FIELD (1, "Hostname", SwarmNodeDescription, hostname, STRING, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (2, "Platform", SwarmNodeDescription, platform, MESSAGE, .type = &swarm_platform_type),
  SWARM_FIELD (3, "Resources", SwarmNodeDescription, resources, MESSAGE, .type = &swarm_resources_type),
  SWARM_FIELD (4, "Engine", SwarmNodeDescription, engine, MESSAGE, .type = &swarm_engine_description_type),
  SWARM_FIELD (5, "FeatureLevel", SwarmNodeDescription, feature_level, UINT),
  SWARM_FIELD (6, "TLSInfo", SwarmNodeDescription, tls, MESSAGE, .type = &swarm_node_tls_type),
  SWARM_FIELD (7, "Clock", SwarmNodeDescription, clock, ENUM, .enumeration = &swarm_clock_state_enum),
  SWARM_FIELD (8, "NetworkKeys", SwarmNodeDescription, network_keys, MESSAGES, .type = &swarm_network_key_type, .validate = swarm_rule_network_keys, .since = 2),
  SWARM_FIELD (9, "NetworkProblems", SwarmNodeDescription, network_problems, STRINGS, .since = 2),
  { 0 },
};
TYPE (swarm_node_description, SwarmNodeDescription);

static const SwarmField swarm_node_status_fields[] = {
  SWARM_FIELD (1, "State", SwarmNodeStatus, state, ENUM, .enumeration = &swarm_node_state_enum, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (2, "Message", SwarmNodeStatus, text, STRING),
  SWARM_FIELD (3, "Addr", SwarmNodeStatus, addr, STRING, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (4, "SilentSince", SwarmNodeStatus, silent_since, TIME),
  { 0 },
};
TYPE (swarm_node_status, SwarmNodeStatus);

static const SwarmField swarm_manager_status_fields[] = {
  SWARM_FIELD (1, "Addr", SwarmManagerStatus, addr, STRING, .flags = SWARM_FIELD_ALWAYS),
  { 0 },
};
TYPE (swarm_manager_status, SwarmManagerStatus);

static const SwarmField swarm_node_network_fields[] = {
  SWARM_FIELD (1, "Number", SwarmNodeNetwork, number, UINT, .since = 2),
  SWARM_FIELD (2, "Gateway", SwarmNodeNetwork, gateway, STRING, .since = 2),
  SWARM_FIELD (3, "IngressAddress", SwarmNodeNetwork, ingress_address, STRING, .since = 2),
  SWARM_FIELD (4, "Message", SwarmNodeNetwork, text, STRING, .since = 2),
  SWARM_FIELD (5, "IngressID", SwarmNodeNetwork, ingress, ID, .since = 2),
  { 0 },
};
TYPE (swarm_node_network, SwarmNodeNetwork);

static const SwarmField swarm_node_fields[] = {
  OBJECT_FIELDS (SwarmNode),
  SWARM_FIELD (5, "Spec", SwarmNode, spec, MESSAGE, .type = &swarm_node_spec_type),
  SWARM_FIELD (6, "Description", SwarmNode, description, MESSAGE, .type = &swarm_node_description_type),
  SWARM_FIELD (7, "Status", SwarmNode, status, MESSAGE, .type = &swarm_node_status_type),
  SWARM_FIELD (8, "ManagerStatus", SwarmNode, manager_status, MESSAGE, .type = &swarm_manager_status_type),
  SWARM_FIELD (9, "ObservedRole", SwarmNode, role, ENUM, .enumeration = &swarm_role_enum),
  SWARM_FIELD (10, "CertSerial", SwarmNode, cert_serial, STRING),
  SWARM_FIELD (11, "CertNotAfter", SwarmNode, cert_not_after, TIME),
  SWARM_FIELD (12, "CertSerialBefore", SwarmNode, cert_serial_before, STRING),
  SWARM_FIELD (13, "CertKey", SwarmNode, cert_key, STRING),
  SWARM_FIELD (14, "CertIssuer", SwarmNode, cert_issuer, STRING),
  SWARM_FIELD (15, "CertDue", SwarmNode, cert_due, BOOL),
  SWARM_FIELD (16, "ClockOffset", SwarmNode, clock_offset, DURATION),
  SWARM_FIELD (17, "CertKeyBefore", SwarmNode, cert_key_before, STRING),
  SWARM_FIELD (18, "CertNotBefore", SwarmNode, cert_not_before, TIME),
  SWARM_FIELD (19, "Network", SwarmNode, network, MESSAGE, .type = &swarm_node_network_type, .since = 2),
  { 0 },
};
TYPE (swarm_node, SwarmNode);

/* ---- service ---- */

static const SwarmField swarm_update_status_fields[] = {
  SWARM_FIELD (1, "State", SwarmUpdateStatus, state, ENUM, .enumeration = &swarm_update_state_enum),
  SWARM_FIELD (2, "StartedAt", SwarmUpdateStatus, started_at, TIME),
  SWARM_FIELD (3, "CompletedAt", SwarmUpdateStatus, completed_at, TIME),
  SWARM_FIELD (4, "Message", SwarmUpdateStatus, text, STRING),
  { 0 },
};
TYPE (swarm_update_status, SwarmUpdateStatus);

static const SwarmField swarm_job_status_fields[] = {
  SWARM_FIELD (1, "JobIteration.Index", SwarmJobStatus, iteration, UINT, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (2, "LastExecution", SwarmJobStatus, last_execution, TIME),
  { 0 },
};
TYPE (swarm_job_status, SwarmJobStatus);

static const SwarmField swarm_virtual_ip_fields[] = {
  SWARM_FIELD (1, "NetworkID", SwarmVirtualIP, network, ID, .since = 2),
  SWARM_FIELD (2, "Addr", SwarmVirtualIP, addr, STRING, .since = 2),
  SWARM_FIELD (3, "Addr6", SwarmVirtualIP, addr6, STRING, .since = 2),
  { 0 },
};
TYPE (swarm_virtual_ip, SwarmVirtualIP);

static const SwarmField swarm_endpoint_fields[] = {
  SWARM_FIELD (1, "Spec", SwarmEndpoint, spec, MESSAGE, .type = &swarm_endpoint_spec_type, .since = 2),
  SWARM_FIELD (2, "Ports", SwarmEndpoint, ports, MESSAGES, .type = &swarm_port_config_type, .since = 2),
  SWARM_FIELD (3, "VirtualIPs", SwarmEndpoint, virtual_ips, MESSAGES, .type = &swarm_virtual_ip_type, .since = 2),
  { 0 },
};
TYPE (swarm_endpoint, SwarmEndpoint);

static const SwarmField swarm_service_fields[] = {
  OBJECT_FIELDS (SwarmService),
  SWARM_FIELD (5, "Spec", SwarmService, spec, MESSAGE, .type = &swarm_service_spec_type),
  SWARM_FIELD (6, "PreviousSpec", SwarmService, previous_spec, MESSAGE, .type = &swarm_service_spec_type),
  SWARM_FIELD (7, "SpecVersion.Index", SwarmService, spec_version, UINT),
  SWARM_FIELD (8, "PendingDelete", SwarmService, pending_delete, BOOL),
  SWARM_FIELD (9, "UpdateStatus", SwarmService, update_status, MESSAGE, .type = &swarm_update_status_type),
  SWARM_FIELD (10, "JobStatus", SwarmService, job_status, MESSAGE, .type = &swarm_job_status_type),
  SWARM_FIELD (11, "Endpoint", SwarmService, endpoint, MESSAGE, .type = &swarm_endpoint_type, .since = 2),
  { 0 },
};
TYPE (swarm_service, SwarmService);

/* ---- task ---- */

static const SwarmField swarm_health_status_fields[] = {
  SWARM_FIELD (1, "Status", SwarmHealthStatus, status, STRING, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (2, "FailingStreak", SwarmHealthStatus, failing_streak, UINT, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (3, "Output", SwarmHealthStatus, output, STRING),
  { 0 },
};
TYPE (swarm_health_status, SwarmHealthStatus);

static const SwarmField swarm_container_status_fields[] = {
  SWARM_FIELD (1, "ContainerID", SwarmContainerStatus, container_id, STRING, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (2, "PID", SwarmContainerStatus, pid, UINT, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (3, "ExitCode", SwarmContainerStatus, exit_code, INT, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (4, "Health", SwarmContainerStatus, health, MESSAGE, .type = &swarm_health_status_type),
  { 0 },
};
TYPE (swarm_container_status, SwarmContainerStatus);

static const SwarmField swarm_task_status_fields[] = {
  SWARM_FIELD (1, "Timestamp", SwarmTaskStatus, timestamp, TIME),
  SWARM_FIELD (2, "State", SwarmTaskStatus, state, ENUM, .enumeration = &swarm_task_state_enum, .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (3, "Message", SwarmTaskStatus, text, STRING),
  SWARM_FIELD (4, "Err", SwarmTaskStatus, err, STRING),
  SWARM_FIELD (5, "ContainerStatus", SwarmTaskStatus, container, MESSAGE, .type = &swarm_container_status_type),
  SWARM_FIELD (6, "HasExit", SwarmTaskStatus, has_exit, BOOL),
  SWARM_FIELD (7, "StartedAt", SwarmTaskStatus, started_at, TIME),
  { 0 },
};
TYPE (swarm_task_status, SwarmTaskStatus);

static const SwarmField swarm_network_attachment_fields[] = {
  SWARM_FIELD (1, "NetworkID", SwarmNetworkAttachment, network, ID, .since = 2),
  SWARM_FIELD (2, "Driver", SwarmNetworkAttachment, driver, STRING, .since = 2),
  SWARM_FIELD (3, "Addresses", SwarmNetworkAttachment, addresses, STRINGS, .since = 2),
  SWARM_FIELD (4, "Aliases", SwarmNetworkAttachment, aliases, STRINGS, .since = 2),
  SWARM_FIELD (5, "Encrypted", SwarmNetworkAttachment, encrypted, BOOL, .since = 2),
  { 0 },
};
TYPE (swarm_network_attachment, SwarmNetworkAttachment);

static const SwarmField swarm_container_attachment_fields[] = {
  SWARM_FIELD (1, "ContainerID", SwarmContainerAttachment, container_id, STRING, .since = SWARM_LEVEL_ATTACH),
  SWARM_FIELD (2, "Name", SwarmContainerAttachment, name, STRING, .since = SWARM_LEVEL_ATTACH),
  { 0 },
};
TYPE (swarm_container_attachment, SwarmContainerAttachment);

static const SwarmField swarm_task_fields[] = {
  OBJECT_FIELDS (SwarmTask),
  SWARM_FIELD (5, "ServiceID", SwarmTask, service_id, ID),
  SWARM_FIELD (6, "Slot", SwarmTask, slot, UINT),
  SWARM_FIELD (7, "NodeID", SwarmTask, node_id, ID),
  SWARM_FIELD (8, "ServiceName", SwarmTask, service_name, STRING),
  SWARM_FIELD (9, "ServiceLabels", SwarmTask, service_labels, MAP),
  SWARM_FIELD (10, "Spec", SwarmTask, spec, MESSAGE, .type = &swarm_task_spec_type),
  SWARM_FIELD (11, "SpecVersion.Index", SwarmTask, spec_version, UINT),
  SWARM_FIELD (12, "Endpoint", SwarmTask, endpoint, MESSAGE, .type = &swarm_endpoint_spec_type),
  SWARM_FIELD (13, "Status", SwarmTask, status, MESSAGE, .type = &swarm_task_status_type),
  SWARM_FIELD (14, "DesiredState", SwarmTask, desired_state, ENUM, .enumeration = &swarm_task_state_enum,
               .flags = SWARM_FIELD_ALWAYS),
  SWARM_FIELD (15, "NotBefore", SwarmTask, not_before, TIME),
  SWARM_FIELD (16, "JobIteration.Index", SwarmTask, job_iteration, UINT),
  SWARM_FIELD (17, "AssignedGenericResources", SwarmTask, generic, MESSAGES, .type = &swarm_generic_resource_type),
  SWARM_FIELD (18, "MoveTo", SwarmTask, move_to, ID),
  SWARM_FIELD (19, "RestartFailures", SwarmTask, failures, UINT),
  SWARM_FIELD (20, "ByUpdate", SwarmTask, by_update, BOOL),
  SWARM_FIELD (21, "Lingers", SwarmTask, lingers, BOOL),
  SWARM_FIELD (22, "NetworksAttachments", SwarmTask, networks, MESSAGES, .type = &swarm_network_attachment_type, .since = 2),
  SWARM_FIELD (23, "GatewayAddress", SwarmTask, gateway_address, STRING, .since = 2),
  SWARM_FIELD (24, "NetworkAttachmentSpec", SwarmTask, attachment, MESSAGE, .type = &swarm_container_attachment_type,
               .since = SWARM_LEVEL_ATTACH),
  { 0 },
};
TYPE (swarm_task, SwarmTask);
