// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each node carries now: kept up to date task by task, so that a placement costs no walk over all tasks. Nodes that take tasks stand in
 * lists by the number of their tasks, so that the idlest are found without looking at the others. */
#pragma once
#include "base/id-table.h"
#include "manager/leader.h"

typedef struct {
  SwarmId id;
  SwarmNode *node;      /* a reference; NULL: it is not (any more) in the store, but tasks name it */
  gboolean ready;       /* to take tasks */
  guint n_tasks;        /* that are counted in one way or another */
  guint active;         /* tasks meant to run (desired ≤ complete) and not over */
  guint position;       /* in the list of those with as many active tasks; while ready */
  guint class;          /* nodes of one class look the same to constraints, platform and plugin filters; 0: not known yet */
  gint64 nano_cpus;     /* reserved by tasks that are not over */
  gint64 memory;
  gint64 total_nano_cpus; /* what it has */
  gint64 total_memory;
  GHashTable *ports;    /* host port key → tasks; NULL: none */
  GPtrArray *claims;    /* SwarmGenericResource that tasks on it hold; NULL: none */
  GArray *failures;     /* recent ones, oldest first; NULL: none */
  /* The node as strategies see it. */
  const char *hostname;
  char *id_string;
  char **labels; /* "key=value" */
} SwarmNodeInfo;

/* The active tasks of one service. */
typedef struct {
  SwarmId id;
  GHashTable *nodes; /* SwarmNodeInfo → number */
} SwarmServiceLoad;

typedef struct _SwarmNodeSet SwarmNodeSet;

SwarmNodeSet *swarm_node_set_new (SwarmClock *clock);
void swarm_node_set_free (SwarmNodeSet *self);
void swarm_node_set_clear (SwarmNodeSet *self);
/* A node came or changed; it is gone. An info of a node without tasks is freed when it goes. */
void swarm_node_set_put (SwarmNodeSet *self, SwarmNode *node);
void swarm_node_set_drop (SwarmNodeSet *self, const SwarmId *node);
/* Counts a task in or out; nothing while it is not assigned or over. The same object must go out that came in. */
void swarm_node_set_add (SwarmNodeSet *self, const SwarmTask *task);
void swarm_node_set_remove (SwarmNodeSet *self, const SwarmTask *task);
/* A task failed or was rejected on its node. */
void swarm_node_set_failed (SwarmNodeSet *self, const SwarmTask *task);

/* NULL: neither such a node nor a task of it. */
SwarmNodeInfo *swarm_node_set_get (SwarmNodeSet *self, const SwarmId *node);
/* All, in order of id; some may have no node. */
const SwarmIdTable *swarm_node_set_infos (SwarmNodeSet *self);
/* Lists (GPtrArray of SwarmNodeInfo) of the ready nodes by active tasks: element N has those with N. */
GPtrArray *swarm_node_set_levels (SwarmNodeSet *self);
/* The first level that is not empty, or the number of levels. */
guint swarm_node_set_lowest (SwarmNodeSet *self);
/* NULL: the service has no active task. */
const SwarmServiceLoad *swarm_node_set_load (SwarmNodeSet *self, const SwarmId *service);
/* The node's class; @ret_generation changes when all classes are numbered anew. */
guint swarm_node_set_class (SwarmNodeSet *self, SwarmNodeInfo *info, guint *ret_generation);

/* @load may be NULL. */
guint swarm_node_info_service_tasks (const SwarmNodeInfo *info, const SwarmServiceLoad *load);
/* Failures of this version of the service within five minutes. */
guint swarm_node_info_failures (const SwarmNodeInfo *info, const SwarmId *service, guint64 version, gint64 now);

/* Key of a port that is published on the host itself. */
static inline guint
swarm_host_port_key (const SwarmPortConfig *port)
{
  return (guint) port->protocol << 16 | (guint) port->published_port;
}
