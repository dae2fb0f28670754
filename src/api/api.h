// SPDX-License-Identifier: LGPL-2.1-or-later
/* The D-Bus objects: Manager, Cluster, Node, Service, Task on the people's door, and the wire-only interfaces between nodes.
 * Handlers check arguments, call manager/control or a hook of the daemon, and shape the answer; rules live below. */
#pragma once
#include "bus/bus.h"
#include "manager/manager.h"
#include "store/store.h"

#define SWARM_API_ROOT "/org/swarmagent1"
#define SWARM_API_BUS_NAME "org.swarmagent1"

/* Where this agent stands, as docker info's Swarm line. */
typedef enum {
  SWARM_LOCAL_INACTIVE,
  SWARM_LOCAL_PENDING,
  SWARM_LOCAL_ACTIVE,
  SWARM_LOCAL_ERROR,
  SWARM_LOCAL_LOCKED,
} SwarmLocalState;
SWARM_ENUM_DECLARE (SwarmLocalState, swarm_local_state)

typedef struct _SwarmApi SwarmApi;

/* @image is the reference to use (with digest when it was found), @warning NULL or docker's text. */
typedef void (*SwarmApiImageFunc) (const char *image, const char *warning, gpointer data);

/* What only the daemon can do. @agent is SwarmApi.agent. Those with an invocation answer it, now or later. */
typedef struct {
  void (*init) (gpointer agent, GVariant *options, SwarmInvocation *invocation);
  void (*join) (gpointer agent, GVariant *options, SwarmInvocation *invocation);
  void (*leave) (gpointer agent, gboolean force, SwarmInvocation *invocation);
  /* @key: the text of an unlock key. */
  void (*unlock) (gpointer agent, const char *key, SwarmInvocation *invocation);
  /* Descriptors of the file and the passphrase are the first two arguments. */
  void (*backup) (gpointer agent, SwarmInvocation *invocation);
  void (*restore) (gpointer agent, GVariant *options, SwarmInvocation *invocation);
  /* Adds this host's part of Info: Name, ServerVersion, UnitEnabled, RemoteManagers. */
  void (*info) (gpointer agent, GVariantDict *info);
  /* Finds the digest of a normalised image. @func exactly once, not re-entrantly. */
  void (*resolve_image) (gpointer agent, const char *image, const char *auth, SwarmApiImageFunc func, gpointer data);
  /* Streams or reads logs of a service: answers the invocation. */
  void (*open_logs) (gpointer agent, SwarmService *service, GVariant *options, SwarmInvocation *invocation);
  void (*read_logs) (gpointer agent, SwarmService *service, const char *cursor, guint max, SwarmInvocation *invocation);
  /* The tasks of this node as its worker knows them (for workers, whose store is elsewhere): array of SwarmTask *, owned by the caller. */
  GPtrArray *(*local_tasks) (gpointer agent);
  /* One of them; borrowed. */
  const SwarmTask *(*local_task) (gpointer agent, const SwarmId *id);
  /* Wire calls that concern membership; answer the invocation. */
  void (*consensus_message) (gpointer agent, const SwarmPeer *peer, GVariant *args);
  void (*consensus_join) (gpointer agent, SwarmInvocation *invocation);
  void (*manager_moved) (gpointer agent, SwarmInvocation *invocation);
  void (*relay) (gpointer agent, SwarmInvocation *invocation);
  /* Wall clock µs of the moment up to which this manager knows the cluster, while it knows no leader; 0: it answers with what is current. */
  gint64 (*stale_since) (gpointer agent);
  void (*stream_logs) (gpointer agent, SwarmInvocation *invocation);
  /* A container of this host that is no task into a network, or out of it. */
  void (*attach_network) (gpointer agent, const char *container, const char *network, gboolean out, SwarmInvocation *invocation);
} SwarmApiHooks;

struct _SwarmApi {
  const SwarmApiHooks *hooks;
  gpointer agent;
  SwarmClock *clock;
  SwarmBus *bus; /* NULL without a bus */

  SwarmLocalState state;
  char *error;           /* why, for state error */
  SwarmId node_id;       /* nil: in no cluster */
  SwarmId cluster_id;
  char *node_addr;       /* IP */
  SwarmStore *store;     /* NULL: this node is no manager */
  SwarmManager *manager; /* the leader's loops; NULL: as above */
  guint watch;
  struct _SwarmTaskNews *news; /* signals on their way */
  SwarmId told_service;        /* whose counts were announced for the entry that is being applied */
};

/* @agent: data of the hooks, which must outlive it; nothing is on a bus or in rpc before it is given there. */
SwarmApi *swarm_api_new (const SwarmApiHooks *hooks, gpointer agent, SwarmClock *clock);
void swarm_api_free (SwarmApi *self);
/* Kinds for the bus and for rpc (wire), NULL terminated. */
const SwarmBusKind *const *swarm_api_bus_kinds (void);
const SwarmBusKind *const *swarm_api_wire_kinds (void);
/* Gives or takes (NULL) the store; announces objects on the bus and follows changes. */
void swarm_api_set_manager (SwarmApi *self, SwarmStore *store, SwarmManager *manager);
/* Who leads, or which managers are members, changed: announces it of the managers' objects. */
void swarm_api_members_changed (SwarmApi *self);
/* Whether answers are current, changed. */
void swarm_api_stale_changed (SwarmApi *self);
/* The one setter of the local state; announces it. @error may be NULL. */
void swarm_api_set_state (SwarmApi *self, SwarmLocalState state, const char *error);
/* Announces changed identity properties of the Manager object. */
void swarm_api_set_identity (SwarmApi *self, const SwarmId *node, const SwarmId *cluster, const char *node_addr);
