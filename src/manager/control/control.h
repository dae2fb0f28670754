// SPDX-License-Identifier: LGPL-2.1-or-later
/* Validated operations on the store: what api/ calls. Rules across objects live here, field rules in model/. Reads go to the
 * store directly. Writes work on the leader only (the store's proposal fails elsewhere; api/ relays before it comes here).
 *
 * Every operation is asynchronous: @done is called exactly once, never from within, after commit. @request_id may be NULL. A repeat
 * of a request id gives the first result. Operations without a version retry by themselves when the object changed meanwhile. */
#pragma once
#include "base/crypto.h"
#include "manager/members.h"
#include "manager/orchestrator/rebalance.h"
#include "plugin/scheduler-set.h"
#include "store/store.h"

typedef struct _SwarmControl SwarmControl;

typedef struct {
  guint64 index;    /* log index of the change, for read-your-writes */
  SwarmId id;       /* the object that was made or changed */
  const char *text; /* the new join token; else NULL */
} SwarmControlReply;
/* @reply is borrowed, NULL when @error is set. */
typedef void (*SwarmControlFunc) (const SwarmControlReply *reply, const GError *error, gpointer data);

/* @crypto and the hooks of @members may be NULL in tests. */
SwarmControl *swarm_control_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, const SwarmMembers *members);
/* Calls under way are still answered, by what becomes of their transaction. */
void swarm_control_free (SwarmControl *self);
/* The strategies that specs may name; NULL (the default): any. Must outlive the control. */
void swarm_control_set_schedulers (SwarmControl *self, SwarmSchedulerSet *schedulers);

/* What root rotations are made with; NULL (the default): there are none. */
void swarm_control_set_crypto (SwarmControl *self, SwarmCrypto *crypto);

/* ---- cluster (control/cluster.c) ---- */
/* What the founding manager knows of itself and its fresh root. Borrowed during the call. */
typedef struct {
  SwarmId cluster;
  const char *root_cert_pem;
  GBytes *root_key_pem;
  const char *root_digest; /* hex SHA-256 */
  GBytes *root_subject;    /* see SwarmRootInfo; may be NULL */
  GBytes *root_public_key;
  guint8 root_digest_bytes[32];
  SwarmId node;
  const char *cert_serial;
  const char *cert_key; /* SwarmCertInfo.key; may be NULL */
  gint64 cert_not_before;
  gint64 cert_not_after;
  const char *addr; /* HOST:PORT that other managers dial; NULL: none */
  SwarmAvailability availability;
  const SwarmNodeDescription *description; /* may be NULL: it comes with the first registration */
  const SwarmClusterSpec *spec;            /* NULL: defaults */
  const char *const *address_pool;         /* NULL: docker's. swarm_control_check_pool() */
  guint subnet_size;                       /* 0: 24 */
} SwarmInitCluster;
/* The very first transaction: cluster with join tokens, and the founding node. Fails with ALREADY_EXISTS on a second go. */
void swarm_control_init_cluster (SwarmControl *self, const SwarmInitCluster *init, const char *request_id, SwarmControlFunc done,
                                 gpointer data);
/* Replaces the cluster's spec. @version: what the caller read (`update out of sequence` when stale). All of it is followed at once, but
 * for heartbeats: each node hears of a new period with its next beat. */
void swarm_control_update_cluster (SwarmControl *self, guint64 version, const SwarmClusterSpec *spec, const char *request_id,
                                   SwarmControlFunc done, gpointer data);
/* @role: "worker" or "manager" (`unknown role x`). reply->text is the new token. */
void swarm_control_rotate_token (SwarmControl *self, const char *role, const char *request_id, SwarmControlFunc done, gpointer data);
/* This manager at @address has made the cluster anew as its only manager: a new epoch; the others' nodes stay, down and as workers. */
void swarm_control_new_epoch (SwarmControl *self, const SwarmId *node, const char *address, SwarmControlFunc done, gpointer data);
/* A new unlock key (autolock must be on: `cannot rotate because autolock is not turned on`). reply->text is it. */
void swarm_control_rotate_unlock_key (SwarmControl *self, const char *request_id, SwarmControlFunc done, gpointer data);
/* `SWMTKN-1-<digest base 36, 50>-<16 random bytes base 36, 25>`. Caller frees. */
char *swarm_control_make_token (SwarmRandom *random, const guint8 root_digest[32]);
/* Same for a digest in hexadecimal. NULL: it is damaged. */
char *swarm_control_token_under (SwarmRandom *random, const char *hex_digest, GError **error);
/* The external CA of @config that signs under @root_cert (PEM); one that names no root signs under @present_cert. Borrowed; NULL: none. */
const SwarmExternalCA *swarm_control_external_ca (const SwarmCAConfig *config, const char *root_cert, const char *present_cert);

/* ---- networks (control/network.c) ---- */
/* May networks be cut out of these subnets, with masks of @size bits? No @pool: of the usual one. docker's words. */
gboolean swarm_control_check_pool (const char *const *pool, guint size, GError **error);
/* @spec is copied and completed. SWARM_BEHAVIOUR §9 has the rules. */
void swarm_control_create_network (SwarmControl *self, const SwarmNetworkSpec *spec, const char *request_id, SwarmControlFunc done, gpointer data);
/* FAILED_PRECONDITION with swarm's texts when it is predefined, or in use by a service or a task. */
void swarm_control_remove_network (SwarmControl *self, const SwarmId *id, const char *request_id, SwarmControlFunc done, gpointer data);

/* ---- containers in networks (control/attach.c) ---- */
/* Puts @node's own container into @network (a name or id): reply->id is the task that stands for it, which ends when the node says so. ACCESS_DENIED
 * with swarm's text when the network is not attachable, ALREADY_EXISTS when the container is in it, LIMIT_EXCEEDED, UNAVAILABLE: try again. */
void swarm_control_attach (SwarmControl *self, const SwarmId *node, const char *container_id, const char *name, const char *network,
                           const char *request_id, SwarmControlFunc done, gpointer data);
/* Takes it out again; the task vanishes in the background. reply->text: why it has not got there yet, or NULL. NOT_FOUND: @node has no such. */
void swarm_control_detach (SwarmControl *self, const SwarmId *node, const SwarmId *task, const char *request_id, SwarmControlFunc done, gpointer data);

/* ---- services (control/service.c) ---- */
/* Everything control checks about a service spec that is not field-local, also across services (ports, names). @self_id: the
 * service that is being updated, NULL for a new one. */
gboolean swarm_control_validate_service (SwarmControl *self, const SwarmServiceSpec *spec, const SwarmId *self_id, GError **error);
/* @spec is copied and completed with defaults; the image is normalised (resolve the digest before). */
void swarm_control_create_service (SwarmControl *self, const SwarmServiceSpec *spec, const char *request_id, SwarmControlFunc done,
                                   gpointer data);
/* @version: what the caller read (`update out of sequence` when stale). The former spec becomes PreviousSpec; the same
 * spec once more leaves an update under way alone, and wakes a paused one. */
void swarm_control_update_service (SwarmControl *self, const SwarmId *id, guint64 version, const SwarmServiceSpec *spec,
                                   const char *request_id, SwarmControlFunc done, gpointer data);
/* Replicas of a replicated service, completions of a replicated job; the other modes have no number. */
void swarm_control_scale_service (SwarmControl *self, const SwarmId *id, guint64 replicas, const char *request_id,
                                  SwarmControlFunc done, gpointer data);
/* Spec and PreviousSpec change places (twice: the newer one is back); the update's status becomes rollback_started, "manually requested
 * rollback". @version: what the caller read, 0: whatever there is. FAILED_PRECONDITION `service X does not have a previous spec`. */
void swarm_control_rollback_service (SwarmControl *self, const SwarmId *id, guint64 version, const char *request_id,
                                     SwarmControlFunc done, gpointer data);
/* The service vanishes at once, its tasks are stopped and removed in the background. */
void swarm_control_remove_service (SwarmControl *self, const SwarmId *id, const char *request_id, SwarmControlFunc done, gpointer data);
/* Evens out a replicated service over the nodes that can take its tasks, by at most @max_moves moves (0: as many as one transaction
 * holds); only by request, for nothing moves by itself. reply->text: the number of moves. UNAVAILABLE while another one is being planned. */
void swarm_control_rebalance_service (SwarmControl *self, const SwarmId *id, guint max_moves, const char *request_id, SwarmControlFunc done,
                                      gpointer data);
/* The plan alone. @done as swarm_rebalance_plan() calls it: maybe from within. */
void swarm_control_plan_rebalance (SwarmControl *self, const SwarmService *service, guint max_moves, SwarmRebalanceDone done, gpointer data);
/* `r/d (c/t completed)` of service ls. */
typedef struct {
  guint64 running;   /* observed running and meant to */
  guint64 desired;   /* replicas; global: tasks meant to run; jobs: how many may run now (no more than completions are missing) */
  guint64 completed; /* jobs: completions of this iteration; else 0 */
} SwarmServiceStatus;
void swarm_control_service_status (SwarmControl *self, const SwarmService *service, SwarmServiceStatus *ret);

/* ---- nodes (control/node.c) ---- */
/* Availability (NULL: stays) and labels (as below) in one write. */
void swarm_control_update_node (SwarmControl *self, const SwarmId *id, const char *availability, GHashTable *set, GPtrArray *remove,
                                const char *request_id, SwarmControlFunc done, gpointer data);
/* @availability: `invalid availability "x", only active, pause and drain are supported`. */
void swarm_control_set_availability (SwarmControl *self, const SwarmId *id, const char *availability, const char *request_id,
                                     SwarmControlFunc done, gpointer data);
/* Availability drain with more to say: @order, and @deadline_us from now on after which no task waits for its replacement (0: none).
 * Draining a drained node anew changes both; another availability forgets them. */
void swarm_control_drain_node (SwarmControl *self, const SwarmId *id, SwarmDrainOrder order, gint64 deadline_us, const char *request_id,
                               SwarmControlFunc done, gpointer data);
/* @set: char * → char *, @remove: char *; both may be NULL. `key X doesn't exist in node's labels`. */
void swarm_control_update_labels (SwarmControl *self, const SwarmId *id, GHashTable *set, GPtrArray *remove, const char *request_id,
                                  SwarmControlFunc done, gpointer data);
/* Desired role. Setting the role a node has already succeeds. Demotion is refused for the last manager and where it would lose the
 * quorum, with swarm's texts. The change itself follows in the background (manager/roles.c). */
void swarm_control_set_role (SwarmControl *self, const SwarmId *id, SwarmRole role, const char *request_id, SwarmControlFunc done,
                             gpointer data);
/* Removes a node and refuses its certificates from now on. FAILED_PRECONDITION with swarm's texts: not down (without @force), still
 * a member of the consensus (even with it). */
void swarm_control_remove_node (SwarmControl *self, const SwarmId *id, gboolean force, const char *request_id, SwarmControlFunc done,
                                gpointer data);
/* May manager @node leave the swarm without --force? FAILED_PRECONDITION with swarm's text (SWARM_BEHAVIOUR §14) if not. */
gboolean swarm_control_may_leave (SwarmControl *self, const SwarmId *node, GError **error);
/* "leader", "reachable", "unreachable", "unknown" while it does not vote yet, or "" for a node that is no member. */
const char *swarm_control_manager_status (SwarmControl *self, const SwarmId *node);
