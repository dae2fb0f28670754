// SPDX-License-Identifier: LGPL-2.1-or-later
/* Specs: what users declare. Names, nesting and units are those of the Docker Engine API 1.44. */
#pragma once
#include "base/field.h"

typedef enum { SWARM_MOUNT_BIND, SWARM_MOUNT_VOLUME, SWARM_MOUNT_TMPFS } SwarmMountType;
SWARM_ENUM_DECLARE (SwarmMountType, swarm_mount_type)

typedef struct {
  SwarmMessage message;
  SwarmMountType type;
  char *source;
  char *target;
  gboolean read_only;
} SwarmMount;
SWARM_MESSAGE_DECLARE (SwarmMount, swarm_mount)

typedef struct {
  SwarmMessage message;
  char *registry_auth; /* SECRET: "user:password", base64 of {"username","password"} JSON as docker's X-Registry-Auth */
} SwarmPullOptions;
SWARM_MESSAGE_DECLARE (SwarmPullOptions, swarm_pull_options)

/* How to ask a container whether it is well. 0 and empty: what the image says. */
typedef struct {
  SwarmMessage message;
  GPtrArray *test; /* {} inherit, {"NONE"}, {"CMD", arguments…} or {"CMD-SHELL", command} */
  gint64 interval; /* ns */
  gint64 timeout;  /* ns */
  gint64 retries;
  gint64 start_period;   /* ns */
  gint64 start_interval; /* ns */
} SwarmHealthcheck;
SWARM_MESSAGE_DECLARE (SwarmHealthcheck, swarm_healthcheck)

#define SWARM_MAX_NAMESERVERS 16 /* as many as swarm-netd forwards to */

/* How its names are looked up; what it does not say is the host's. */
typedef struct {
  SwarmMessage message;
  GPtrArray *nameservers; /* addresses */
  GPtrArray *search;      /* domains; ".": none */
  GPtrArray *options;     /* as in resolv.conf(5) */
} SwarmDnsConfig;
SWARM_MESSAGE_DECLARE (SwarmDnsConfig, swarm_dns_config)

typedef struct {
  SwarmMessage message;
  char *image; /* normalised, with digest when resolved */
  GHashTable *labels;
  GPtrArray *command; /* replaces the entrypoint */
  GPtrArray *args;
  char *hostname;
  GPtrArray *env; /* KEY=VALUE */
  char *dir;
  char *user;
  gboolean init;
  gboolean read_only;
  GPtrArray *mounts; /* SwarmMount */
  char *stop_signal;
  gint64 stop_grace_period; /* ns, default 10 s */
  GPtrArray *hosts;         /* "IP host", as the Engine API */
  GPtrArray *capability_add;
  GPtrArray *capability_drop;
  GHashTable *sysctls;
  SwarmPullOptions *pull_options;
  SwarmHealthcheck *healthcheck; /* NULL: the image's */
  SwarmDnsConfig *dns;
} SwarmContainerSpec;
SWARM_MESSAGE_DECLARE (SwarmContainerSpec, swarm_container_spec)

/* One thing that has a name of its own ("gpu" "UUID1"). */
typedef struct {
  SwarmMessage message;
  char *kind;
  char *value;
} SwarmNamedResource;
SWARM_MESSAGE_DECLARE (SwarmNamedResource, swarm_named_resource)

/* A number of things of one kind. */
typedef struct {
  SwarmMessage message;
  char *kind;
  gint64 value;
} SwarmDiscreteResource;
SWARM_MESSAGE_DECLARE (SwarmDiscreteResource, swarm_discrete_resource)

/* Exactly one member is set. A reservation is always discrete: a count. */
typedef struct {
  SwarmMessage message;
  SwarmNamedResource *named;
  SwarmDiscreteResource *discrete;
} SwarmGenericResource;
SWARM_MESSAGE_DECLARE (SwarmGenericResource, swarm_generic_resource)

typedef struct {
  SwarmMessage message;
  gint64 nano_cpus;
  gint64 memory_bytes;
  gint64 pids;        /* limits only */
  GPtrArray *generic; /* SwarmGenericResource; reservations and a node's totals */
} SwarmResources;
SWARM_MESSAGE_DECLARE (SwarmResources, swarm_resources)

typedef struct {
  SwarmMessage message;
  SwarmResources *limits;
  SwarmResources *reservations;
} SwarmResourceRequirements;
SWARM_MESSAGE_DECLARE (SwarmResourceRequirements, swarm_resource_requirements)

typedef enum { SWARM_RESTART_ANY, SWARM_RESTART_ON_FAILURE, SWARM_RESTART_NONE } SwarmRestartCondition;
SWARM_ENUM_DECLARE (SwarmRestartCondition, swarm_restart_condition)

typedef struct {
  SwarmMessage message;
  SwarmRestartCondition condition;
  gint64 delay;  /* ns, default 5 s */
  guint64 max_attempts; /* 0 = unlimited */
  gint64 window; /* ns, 0 = unbounded */
  gint64 backoff; /* ns, default 5 min: the longest delay of a task that fails at once again and again; 0 = delay only */
} SwarmRestartPolicy;
SWARM_MESSAGE_DECLARE (SwarmRestartPolicy, swarm_restart_policy)

typedef struct {
  SwarmMessage message;
  char *architecture;
  char *os;
} SwarmPlatform;
SWARM_MESSAGE_DECLARE (SwarmPlatform, swarm_platform)

typedef struct {
  SwarmMessage message;
  char *descriptor; /* "node.labels.zone", "engine.labels.rack" */
} SwarmSpread;
SWARM_MESSAGE_DECLARE (SwarmSpread, swarm_spread)

typedef struct {
  SwarmMessage message;
  SwarmSpread *spread;
} SwarmPlacementPreference;
SWARM_MESSAGE_DECLARE (SwarmPlacementPreference, swarm_placement_preference)

typedef struct {
  SwarmMessage message;
  GPtrArray *constraints; /* "node.labels.zone==a" */
  guint64 max_replicas;   /* per node, 0 = any */
  GPtrArray *platforms;   /* SwarmPlatform: one of them, empty = any */
  GPtrArray *preferences; /* SwarmPlacementPreference, outermost first */
  char *strategy;         /* name of a scheduler plugin; NULL = the cluster's */
} SwarmPlacement;
SWARM_MESSAGE_DECLARE (SwarmPlacement, swarm_placement)

typedef struct {
  SwarmMessage message;
  char *name; /* NULL: "journald", the only one that agents have */
} SwarmLogDriver;
SWARM_MESSAGE_DECLARE (SwarmLogDriver, swarm_log_driver)

/* One network of a service's tasks. */
typedef struct {
  SwarmMessage message;
  char *target;       /* id of the network; users may give a name */
  GPtrArray *aliases; /* more names of the service in it */
} SwarmNetworkAttachmentConfig;
SWARM_MESSAGE_DECLARE (SwarmNetworkAttachmentConfig, swarm_network_attachment_config)

typedef struct {
  SwarmMessage message;
  SwarmContainerSpec *container;
  SwarmResourceRequirements *resources;
  SwarmRestartPolicy *restart_policy;
  SwarmPlacement *placement;
  guint64 force_update;
  SwarmLogDriver *log_driver; /* may be NULL */
  GPtrArray *networks;        /* SwarmNetworkAttachmentConfig */
} SwarmTaskSpec;
SWARM_MESSAGE_DECLARE (SwarmTaskSpec, swarm_task_spec)

typedef struct {
  SwarmMessage message;
  guint64 replicas; /* default 1 */
} SwarmReplicated;
SWARM_MESSAGE_DECLARE (SwarmReplicated, swarm_replicated)

/* One task on each node that fits: nothing to say. */
typedef struct {
  SwarmMessage message;
} SwarmGlobal;
SWARM_MESSAGE_DECLARE (SwarmGlobal, swarm_global)

typedef struct {
  SwarmMessage message;
  guint64 max_concurrent;    /* 0 = total_completions */
  guint64 total_completions; /* 0 = max_concurrent; both 0 = 1: swarm_job_total(), swarm_job_concurrent() */
} SwarmReplicatedJob;
SWARM_MESSAGE_DECLARE (SwarmReplicatedJob, swarm_replicated_job)

typedef struct {
  SwarmMessage message;
} SwarmGlobalJob;
SWARM_MESSAGE_DECLARE (SwarmGlobalJob, swarm_global_job)

/* At most one member is set; none: replicated. */
typedef struct {
  SwarmMessage message;
  SwarmReplicated *replicated;
  SwarmGlobal *global;
  SwarmReplicatedJob *replicated_job;
  SwarmGlobalJob *global_job;
} SwarmServiceMode;
SWARM_MESSAGE_DECLARE (SwarmServiceMode, swarm_service_mode)

typedef enum { SWARM_FAILURE_PAUSE, SWARM_FAILURE_CONTINUE, SWARM_FAILURE_ROLLBACK } SwarmFailureAction;
SWARM_ENUM_DECLARE (SwarmFailureAction, swarm_failure_action)
typedef enum { SWARM_ORDER_STOP_FIRST, SWARM_ORDER_START_FIRST } SwarmUpdateOrder;
SWARM_ENUM_DECLARE (SwarmUpdateOrder, swarm_update_order)

/* How tasks are replaced when the spec changes. */
typedef struct {
  SwarmMessage message;
  guint64 parallelism; /* default 1; 0 = all at once */
  gint64 delay;        /* ns, after each slot */
  SwarmFailureAction failure_action;
  gint64 monitor; /* ns, default 5 s: a failure so long after the start counts */
  double max_failure_ratio;
  SwarmUpdateOrder order;
} SwarmUpdateConfig;
SWARM_MESSAGE_DECLARE (SwarmUpdateConfig, swarm_update_config)

typedef enum { SWARM_PROTOCOL_TCP, SWARM_PROTOCOL_UDP, SWARM_PROTOCOL_SCTP } SwarmProtocol;
SWARM_ENUM_DECLARE (SwarmProtocol, swarm_protocol)
typedef enum { SWARM_PUBLISH_INGRESS, SWARM_PUBLISH_HOST } SwarmPublishMode;
SWARM_ENUM_DECLARE (SwarmPublishMode, swarm_publish_mode)

typedef struct {
  SwarmMessage message;
  char *name;
  SwarmProtocol protocol;
  guint64 target_port;
  guint64 published_port;
  SwarmPublishMode publish_mode;
} SwarmPortConfig;
SWARM_MESSAGE_DECLARE (SwarmPortConfig, swarm_port_config)

/* Clients find a service by one virtual address, or by its tasks' own addresses in the answers to their questions. */
typedef enum { SWARM_ENDPOINT_VIP, SWARM_ENDPOINT_DNSRR } SwarmEndpointMode;
SWARM_ENUM_DECLARE (SwarmEndpointMode, swarm_endpoint_mode)
/* Whether a client stays with the task that it met first. */
typedef enum { SWARM_AFFINITY_NONE, SWARM_AFFINITY_CLIENT } SwarmAffinity;
SWARM_ENUM_DECLARE (SwarmAffinity, swarm_affinity)

typedef struct {
  SwarmMessage message;
  GPtrArray *ports; /* SwarmPortConfig */
  SwarmEndpointMode mode;
  SwarmAffinity affinity;
} SwarmEndpointSpec;
SWARM_MESSAGE_DECLARE (SwarmEndpointSpec, swarm_endpoint_spec)

typedef struct {
  SwarmMessage message;
  char *name;
  GHashTable *labels;
  SwarmTaskSpec *task;          /* TaskTemplate */
  SwarmServiceMode *mode;       /* Mode */
  SwarmEndpointSpec *endpoint;  /* EndpointSpec */
  SwarmUpdateConfig *update;    /* UpdateConfig; NULL: the defaults */
  SwarmUpdateConfig *rollback;  /* RollbackConfig; NULL: the defaults */
  gint64 disconnect_wait;       /* DisconnectWait, ns: so long its tasks stay on a node that is not heard any more; 0: as the cluster says */
} SwarmServiceSpec;
SWARM_MESSAGE_DECLARE (SwarmServiceSpec, swarm_service_spec)

typedef enum {
  SWARM_SERVICE_REPLICATED,
  SWARM_SERVICE_GLOBAL,
  SWARM_SERVICE_REPLICATED_JOB,
  SWARM_SERVICE_GLOBAL_JOB,
} SwarmServiceKind;
SWARM_ENUM_DECLARE (SwarmServiceKind, swarm_service_kind)

/* What the spec's mode says. */
SwarmServiceKind swarm_service_spec_kind (const SwarmServiceSpec *spec);
/* The port is one of a node's own, so that no two tasks there can have it. */
gboolean swarm_port_is_host (const SwarmPortConfig *port);
/* Some port is published on every node. */
gboolean swarm_endpoint_spec_has_ingress (const SwarmEndpointSpec *endpoint);
/* Has networks or ports of the routing mesh: the allocator must give it something. */
gboolean swarm_service_spec_is_networked (const SwarmServiceSpec *spec);
/* A warning about what is allowed but may surprise; NULL: none. */
const char *swarm_service_spec_warning (const SwarmServiceSpec *spec);
/* Replicas of a replicated service (its default when nothing is said); 0 for the other modes. */
guint64 swarm_service_spec_replicas (const SwarmServiceSpec *spec);
/* Completions of a replicated job, and how many of them at once. */
guint64 swarm_job_total (const SwarmReplicatedJob *job);
guint64 swarm_job_concurrent (const SwarmReplicatedJob *job);

typedef enum { SWARM_AVAILABILITY_ACTIVE, SWARM_AVAILABILITY_PAUSE, SWARM_AVAILABILITY_DRAIN } SwarmAvailability;
SWARM_ENUM_DECLARE (SwarmAvailability, swarm_availability)
typedef enum { SWARM_ROLE_WORKER, SWARM_ROLE_MANAGER } SwarmRole;
SWARM_ENUM_DECLARE (SwarmRole, swarm_role)

/* In which order a drained node's tasks go. */
typedef enum {
  SWARM_DRAIN_UPDATE_ORDER, /* as each service's update order says */
  SWARM_DRAIN_STOP_FIRST,
  SWARM_DRAIN_START_FIRST, /* a task is stopped when its replacement runs */
} SwarmDrainOrder;
SWARM_ENUM_DECLARE (SwarmDrainOrder, swarm_drain_order)

typedef struct {
  SwarmMessage message;
  char *name;
  GHashTable *labels;
  SwarmRole role; /* desired */
  SwarmAvailability availability;
  SwarmDrainOrder drain_order; /* while drained */
  gint64 drain_deadline;       /* while drained: from then on (µs) no task waits for its replacement; 0: none */
} SwarmNodeSpec;
SWARM_MESSAGE_DECLARE (SwarmNodeSpec, swarm_node_spec)

typedef struct {
  SwarmMessage message;
  gint64 task_history_limit; /* Orchestration.TaskHistoryRetentionLimit, default 5; negative = keep all */
  char *strategy;            /* scheduler plugin of services that name none; NULL = "spread" */
} SwarmOrchestrationConfig;
SWARM_MESSAGE_DECLARE (SwarmOrchestrationConfig, swarm_orchestration_config)

typedef struct {
  SwarmMessage message;
  guint64 snapshot_interval; /* entries; 0: the default, 10000 */
  guint64 slow_followers;    /* entries kept behind a snapshot; default 500 */
} SwarmRaftConfig;
SWARM_MESSAGE_DECLARE (SwarmRaftConfig, swarm_raft_config)

typedef struct {
  SwarmMessage message;
  gint64 heartbeat_period; /* ns; 0: the default, 1 s; down after 3 */
  gint64 down_grace;       /* ns, default 0: tasks stay for so long on a node that is down */
} SwarmDispatcherConfig;
SWARM_MESSAGE_DECLARE (SwarmDispatcherConfig, swarm_dispatcher_config)

/* A certificate authority outside of the cluster that signs what the managers ask it for. */
typedef struct {
  SwarmMessage message;
  char *protocol; /* "cfssl" */
  char *url;      /* https://… */
  GHashTable *options;
  char *ca_cert; /* PEM: the root that it signs under; NULL: the cluster's present root */
} SwarmExternalCA;
SWARM_MESSAGE_DECLARE (SwarmExternalCA, swarm_external_ca)

typedef struct {
  SwarmMessage message;
  gint64 node_cert_expiry; /* ns, default 90 days */
  GPtrArray *external_cas; /* SwarmExternalCA */
  char *signing_ca_cert;   /* PEM: the root to rotate to */
  char *signing_ca_key;    /* SECRET, PEM: its key; goes to the rotation and is not kept here */
  guint64 force_rotate;    /* a larger number than the last one begins a rotation */
  gint64 expired_renewal;  /* ns, default 90 days: so long after its end a node that was away may renew its certificate by its old key */
} SwarmCAConfig;
SWARM_MESSAGE_DECLARE (SwarmCAConfig, swarm_ca_config)

/* How managers keep the key that seals their state at rest. At most one of the two is set. */
typedef struct {
  SwarmMessage message;
  gboolean auto_lock_managers; /* not on disk at all: a manager that starts waits for `unlock` */
  char *seal;                  /* "" or NULL: a file beside the state; "systemd-creds": sealed to the host */
} SwarmEncryptionConfig;
SWARM_MESSAGE_DECLARE (SwarmEncryptionConfig, swarm_encryption_config)

typedef struct {
  SwarmMessage message;
  char *name; /* always "default" */
  GHashTable *labels;
  SwarmOrchestrationConfig *orchestration;
  SwarmRaftConfig *raft;
  SwarmDispatcherConfig *dispatcher;
  SwarmCAConfig *ca_config;
  SwarmEncryptionConfig *encryption;
} SwarmClusterSpec;
SWARM_MESSAGE_DECLARE (SwarmClusterSpec, swarm_cluster_spec)
