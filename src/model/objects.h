// SPDX-License-Identifier: LGPL-2.1-or-later
/* The stored objects. "Spec" members are declared by users; the rest is written as DESIGN's table "Who may write what" says. */
#pragma once
#include "model/network.h"
#include "model/object.h"
#include "model/spec.h"

/* What this program can read and write in the store (DESIGN "Versions"). Raise it with the first field, action or object kind of a release, and
 * say so in the rows (.since) or with swarm_tx_need_level(). */
#define SWARM_FEATURE_LEVEL 2
/* From which on containers that are no tasks may be in networks. */
#define SWARM_LEVEL_ATTACH 2

/* ---- cluster ---- */
typedef struct {
  SwarmMessage message;
  char *worker;  /* SECRET: the whole SWMTKN-1-… */
  char *manager; /* SECRET */
} SwarmJoinTokens;
SWARM_MESSAGE_DECLARE (SwarmJoinTokens, swarm_join_tokens)

/* The root that a rotation under way leads to. */
typedef struct {
  SwarmMessage message;
  char *cert;        /* PEM */
  GBytes *key;       /* SECRET: PEM; NULL: an external CA has it */
  char *digest;      /* lower-case hex SHA-256 */
  char *cross_cert;  /* PEM: its key under the root before, so that nodes that know only that one believe it */
  GBytes *issuer_subject;    /* DER, as the Engine API's TLSInfo has it */
  GBytes *issuer_public_key; /* DER */
  gint64 started_at;
} SwarmRootRotation;
SWARM_MESSAGE_DECLARE (SwarmRootRotation, swarm_root_rotation)

/* A root that was in force before: who was away meanwhile shows a certificate of it, and may renew that. */
typedef struct {
  SwarmMessage message;
  char *cert;       /* PEM */
  char *cross_cert; /* PEM: the root after it, under this one */
  gint64 until;     /* then it is forgotten */
} SwarmFormerRoot;
SWARM_MESSAGE_DECLARE (SwarmFormerRoot, swarm_former_root)

typedef struct {
  SwarmMessage message;
  char *cert; /* PEM */
  GBytes *key; /* SECRET: PEM; NULL: an external CA has it */
  char *digest; /* lower-case hex SHA-256 */
  SwarmJoinTokens *tokens;
  GBytes *issuer_subject;    /* DER */
  GBytes *issuer_public_key; /* DER */
  SwarmRootRotation *rotation; /* NULL: none is under way */
  guint64 last_forced;         /* the ForceRotate that was obeyed last */
  GPtrArray *former;           /* SwarmFormerRoot, newest first */
} SwarmRootCA;
SWARM_MESSAGE_DECLARE (SwarmRootCA, swarm_root_ca)

/* A removed node: its certificates are refused until @until. */
typedef struct {
  SwarmMessage message;
  SwarmId node;
  gint64 until;
} SwarmRemovedNode;
SWARM_MESSAGE_DECLARE (SwarmRemovedNode, swarm_removed_node)

typedef struct {
  SwarmObject object;
  SwarmClusterSpec *spec;
  SwarmRootCA *root_ca;
  GPtrArray *removed_nodes; /* SwarmRemovedNode */
  guint64 feature_level;    /* what all managers know: no write may need more; 0: 1 */
  GBytes *unlock_key;         /* SECRET: with autolock the key-encryption key of all managers, 32 bytes; else NULL */
  guint64 unlock_key_version; /* grows with each change of it */
  guint64 epoch;              /* grows when one manager makes the cluster anew: members of an earlier one have no say any more */
  SwarmId restored_from;      /* id of the cluster whose backup this one began with; nil: none */
  GPtrArray *address_pool;    /* subnets of which networks get theirs; NULL: 10.0.0.0/8 */
  guint64 subnet_size;        /* bits of the mask of each */
  gboolean networks_made;     /* the predefined networks and the first ingress network were there once */
} SwarmCluster;
SWARM_MESSAGE_DECLARE (SwarmCluster, swarm_cluster)

/* ---- node ---- */
typedef struct {
  SwarmMessage message;
  char *type; /* "Network", "Volume", "Log" */
  char *name;
} SwarmEnginePlugin;
SWARM_MESSAGE_DECLARE (SwarmEnginePlugin, swarm_engine_plugin)

typedef struct {
  SwarmMessage message;
  char *engine_version; /* our version */
  GHashTable *labels;
  GPtrArray *plugins; /* SwarmEnginePlugin */
} SwarmEngineDescription;
SWARM_MESSAGE_DECLARE (SwarmEngineDescription, swarm_engine_description)

/* What a node believes and shows. */
typedef struct {
  SwarmMessage message;
  char *trust_digest; /* of the root that it trusts, lower-case hex SHA-256 */
  char *cert_serial;  /* of the certificate that it uses */
} SwarmNodeTLS;
SWARM_MESSAGE_DECLARE (SwarmNodeTLS, swarm_node_tls)

/* Does the host's clock follow a time server? */
typedef enum { SWARM_CLOCK_UNKNOWN, SWARM_CLOCK_SYNCHRONIZED, SWARM_CLOCK_FREE } SwarmClockState;
SWARM_ENUM_DECLARE (SwarmClockState, swarm_clock_state)

/* What a node tells about itself. */
typedef struct {
  SwarmMessage message;
  char *hostname;
  SwarmPlatform *platform;
  SwarmResources *resources; /* totals */
  SwarmEngineDescription *engine;
  guint64 feature_level; /* SWARM_FEATURE_LEVEL of its program; 0: 1 */
  SwarmNodeTLS *tls;
  SwarmClockState clock;
  GPtrArray *network_keys; /* SwarmNetworkKey, at most SWARM_NETWORK_KEYS_MAX; NULL: it is in no encrypted network */
  GPtrArray *network_problems; /* what of networks and ports this host cannot have, for people: "port 22/tcp: this host itself listens on that port" */
} SwarmNodeDescription;
SWARM_MESSAGE_DECLARE (SwarmNodeDescription, swarm_node_description)

typedef enum { SWARM_NODE_UNKNOWN, SWARM_NODE_DOWN, SWARM_NODE_READY, SWARM_NODE_DISCONNECTED } SwarmNodeState;
SWARM_ENUM_DECLARE (SwarmNodeState, swarm_node_state)

typedef struct {
  SwarmMessage message;
  SwarmNodeState state;
  char *text; /* "Message": why */
  char *addr; /* IP without port */
  gint64 silent_since; /* it went down because it was not heard any more, then (µs): its tasks may run on; 0: not so */
} SwarmNodeStatus;
SWARM_MESSAGE_DECLARE (SwarmNodeStatus, swarm_node_status)

/* Present while the node is a member of the consensus; written by role changes. */
typedef struct {
  SwarmMessage message;
  char *addr; /* HOST:PORT that others dial */
} SwarmManagerStatus;
SWARM_MESSAGE_DECLARE (SwarmManagerStatus, swarm_manager_status)

/* A node's part of the data plane; written by the allocator once there is a service that needs one. */
typedef struct {
  SwarmMessage message;
  guint64 number;        /* 1 to SWARM_NODE_NUMBER_LAST */
  char *gateway;         /* "10.0.7.1/24": its own address in the subnet of which its tasks get their way out; NULL: none */
  char *ingress_address; /* "10.0.0.2/24": in the network of the routing mesh; NULL: none */
  SwarmId ingress;       /* that network */
  char *text;            /* "Message": what it lacks, and why */
} SwarmNodeNetwork;
SWARM_MESSAGE_DECLARE (SwarmNodeNetwork, swarm_node_network)
#define SWARM_NODE_NUMBER_LAST 4095

typedef struct {
  SwarmObject object;
  SwarmNodeSpec *spec;
  SwarmNodeDescription *description;
  SwarmNodeStatus *status;
  SwarmManagerStatus *manager_status; /* NULL: no member */
  SwarmRole role;                     /* observed: what its newest certificate says */
  char *cert_serial;                  /* newest certificate */
  char *cert_serial_before;           /* the one that it was asked for with: good until the node says that it uses the newest */
  char *cert_key_before;              /* SHA-256 of the key that that one is for, hex */
  gint64 cert_not_before;             /* µs, of the newest */
  gint64 cert_not_after;              /* µs */
  char *cert_key;                     /* SHA-256 of the key that it is for, hex */
  char *cert_issuer;                  /* digest of the root that the newest certificate is under */
  gboolean cert_due;                  /* the leader has told the node to renew it: the root changes */
  gint64 clock_offset;                /* ns that its clock is ahead of the leader's; 0: less than a second */
  SwarmNodeNetwork *network;          /* NULL: nothing yet */
} SwarmNode;
SWARM_MESSAGE_DECLARE (SwarmNode, swarm_node)

/* ---- service ---- */
/* Numbers are stored. */
typedef enum {
  SWARM_UPDATE_NONE,
  SWARM_UPDATE_UPDATING,
  SWARM_UPDATE_PAUSED,
  SWARM_UPDATE_COMPLETED,
  SWARM_UPDATE_ROLLBACK_STARTED,
  SWARM_UPDATE_ROLLBACK_PAUSED,
  SWARM_UPDATE_ROLLBACK_COMPLETED,
} SwarmUpdateState;
SWARM_ENUM_DECLARE (SwarmUpdateState, swarm_update_state)

typedef struct {
  SwarmMessage message;
  SwarmUpdateState state;
  gint64 started_at;
  gint64 completed_at; /* 0: not yet */
  char *text;          /* "Message" */
} SwarmUpdateStatus;
SWARM_MESSAGE_DECLARE (SwarmUpdateStatus, swarm_update_status)

typedef struct {
  SwarmMessage message;
  guint64 iteration; /* begins anew with every change of the spec */
  gint64 last_execution;
} SwarmJobStatus;
SWARM_MESSAGE_DECLARE (SwarmJobStatus, swarm_job_status)

typedef struct {
  SwarmMessage message;
  SwarmId network;
  char *addr; /* "10.0.1.2/24" */
  char *addr6; /* NULL: the network has no IPv6 */
} SwarmVirtualIP;
SWARM_MESSAGE_DECLARE (SwarmVirtualIP, swarm_virtual_ip)

/* What a service got; written by the allocator. */
typedef struct {
  SwarmMessage message;
  SwarmEndpointSpec *spec; /* that it is for */
  GPtrArray *ports;        /* SwarmPortConfig: as published, with a number for each of the routing mesh */
  GPtrArray *virtual_ips;  /* SwarmVirtualIP */
} SwarmEndpoint;
SWARM_MESSAGE_DECLARE (SwarmEndpoint, swarm_endpoint)

typedef struct {
  SwarmObject object;
  SwarmServiceSpec *spec;
  SwarmServiceSpec *previous_spec;
  guint64 spec_version; /* version of the last change that replaces tasks (SpecVersion) */
  gboolean pending_delete; /* removed by the user; vanishes when its tasks are gone */
  SwarmUpdateStatus *update_status; /* NULL: never updated */
  SwarmJobStatus *job_status;       /* jobs only */
  SwarmEndpoint *endpoint;          /* NULL: it needs none, or has nothing yet */
} SwarmService;
SWARM_MESSAGE_DECLARE (SwarmService, swarm_service)

/* ---- task ---- */
/* Numbers are swarmkit's, and stored. State only increases. */
typedef enum {
  SWARM_TASK_NEW = 0,
  SWARM_TASK_PENDING = 64,
  SWARM_TASK_ASSIGNED = 192,
  SWARM_TASK_ACCEPTED = 256,
  SWARM_TASK_PREPARING = 320,
  SWARM_TASK_READY = 384,
  SWARM_TASK_STARTING = 448,
  SWARM_TASK_RUNNING = 512,
  SWARM_TASK_COMPLETE = 576,
  SWARM_TASK_SHUTDOWN = 640,
  SWARM_TASK_FAILED = 704,
  SWARM_TASK_REJECTED = 768,
  SWARM_TASK_REMOVE = 800,
  SWARM_TASK_ORPHANED = 832,
} SwarmTaskState;
SWARM_ENUM_DECLARE (SwarmTaskState, swarm_task_state)

/* What the health command said last; of tasks that have one. */
typedef struct {
  SwarmMessage message;
  char *status; /* "starting", "healthy", "unhealthy" */
  guint64 failing_streak;
  char *output; /* of the last failure, shortened */
} SwarmHealthStatus;
SWARM_MESSAGE_DECLARE (SwarmHealthStatus, swarm_health_status)

typedef struct {
  SwarmMessage message;
  char *container_id;
  guint64 pid;
  gint64 exit_code;
  SwarmHealthStatus *health; /* NULL: no health command */
} SwarmContainerStatus;
SWARM_MESSAGE_DECLARE (SwarmContainerStatus, swarm_container_status)

typedef struct {
  SwarmMessage message;
  gint64 timestamp;
  SwarmTaskState state;
  char *text; /* "Message" */
  char *err;  /* "Err" */
  SwarmContainerStatus *container;
  gboolean has_exit; /* exit_code is meaningful */
  gint64 started_at; /* when it became RUNNING, by the same clock as the timestamp; 0: never */
} SwarmTaskStatus;
SWARM_MESSAGE_DECLARE (SwarmTaskStatus, swarm_task_status)

/* A task in one of its networks; written by the allocator. Its interface has the MAC that swarm_address_mac() says. */
typedef struct {
  SwarmMessage message;
  SwarmId network;
  char *driver;         /* of the network, so that a node need not ask */
  GPtrArray *addresses; /* "10.0.1.7/24", and that of IPv6 where there is one; none: the driver needs none */
  GPtrArray *aliases;
  gboolean encrypted;   /* the network is: only for nodes that have what it takes */
} SwarmNetworkAttachment;
SWARM_MESSAGE_DECLARE (SwarmNetworkAttachment, swarm_network_attachment)

/* A container of a node's own, not of a service, that is in a network. */
typedef struct {
  SwarmMessage message;
  char *container_id; /* 64 hexadecimal digits */
  char *name;         /* of the container, and its name in the network */
} SwarmContainerAttachment;
SWARM_MESSAGE_DECLARE (SwarmContainerAttachment, swarm_container_attachment)
/* Networks that one container can be in so. */
#define SWARM_ATTACHMENTS_MAX 100
/* What a container may be called, as podman has it. */
gboolean swarm_container_name_is_valid (const char *name);
gboolean swarm_container_id_is_valid (const char *id);
/* How many digits of a container's id people use. */
#define SWARM_CONTAINER_SHORT 12

typedef struct {
  SwarmObject object;
  SwarmId service_id;
  guint64 slot; /* of an attachment: its number among those of its container, from 1 */
  SwarmId node_id; /* nil: not assigned */
  char *service_name;
  GHashTable *service_labels;
  SwarmTaskSpec *spec; /* shared with the service's */
  guint64 spec_version; /* of the service when made */
  SwarmEndpointSpec *endpoint;
  SwarmTaskStatus *status;
  SwarmTaskState desired_state;
  gboolean by_update; /* made by the update to its version, in place of a task that was not as declared */
  gint64 not_before; /* restart delay: desired becomes running then (µs) ; 0: none */
  guint64 job_iteration;
  GPtrArray *generic; /* SwarmGenericResource: what was given to it on its node */
  SwarmId move_to;    /* a rebalance asked to replace it on that node; nil: no */
  gboolean lingers;   /* rejected by the enforcer; until its node says that it ended, it may still run there */
  guint64 failures;   /* of its slot in a row, each at once, that it is the restart of: the back-off follows from it */
  GPtrArray *networks;   /* SwarmNetworkAttachment */
  char *gateway_address; /* "10.0.7.3/24": its way out and in on its node, given when it has one; NULL: none */
  SwarmContainerAttachment *attachment; /* no service's: it runs nothing, but keeps a container in its network. NULL: an ordinary task */
} SwarmTask;
SWARM_MESSAGE_DECLARE (SwarmTask, swarm_task)

/* "my-web.1.<id>"; of an attachment: its container's. Caller frees. */
char *swarm_task_name (const SwarmTask *task);
/* Observed ≤ running and desired ≤ complete: it takes its slot, its resources and its host ports. */
gboolean swarm_task_is_active (const SwarmTask *task);
/* It may run, or run on: its addresses are its own. */
gboolean swarm_task_holds_addresses (const SwarmTask *task);
/* It is in an overlay network or takes published ports: its node must have the network plugin for that. */
gboolean swarm_task_needs_overlay (const SwarmTask *task);
/* It has a node, and waits for its way out there: until then the node does not hear of it. */
gboolean swarm_task_lacks_gateway (const SwarmTask *task);
gboolean swarm_task_state_is_terminal (SwarmTaskState state);

/* Who asks for a change of a task's observed or desired state (DESIGN, "Who may write what"). */
typedef enum {
  SWARM_WRITER_ORCHESTRATOR,
  SWARM_WRITER_ALLOCATOR,
  SWARM_WRITER_SCHEDULER,
  SWARM_WRITER_DISPATCHER, /* on behalf of the task's own node */
  SWARM_WRITER_ENFORCER,
  SWARM_WRITER_NODE_REMOVAL,
} SwarmWriter;

/* The one setter of a task's observed state: @task must be a fresh copy. FALSE with SWARM_ERROR_FAILED_PRECONDITION when the state
 * would go back or @writer may not set it. @now_us stamps it; @text and @err are copied (NULL: ""). */
gboolean swarm_task_set_state (SwarmTask *task, SwarmTaskState state, SwarmWriter writer, gint64 now_us, const char *text,
                               const char *err, GError **error);
/* The one setter of the desired state: it only increases. */
gboolean swarm_task_set_desired (SwarmTask *task, SwarmTaskState desired, SwarmWriter writer, GError **error);
/* "its clock is 3.2 s ahead of the leader's, and follows no time server: …" for an offset in ns. Caller frees. */
char *swarm_node_clock_text (const SwarmNode *node, gint64 offset_ns);
/* The one setter of a node's state (a fresh copy). */
void swarm_node_set_state (SwarmNode *node, SwarmNodeState state, const char *text);
