// SPDX-License-Identifier: LGPL-2.1-or-later
/* What each node carries now: kept up to date task by task, so that a placement costs no walk over all tasks. */
#pragma once
#include "manager/leader.h"

typedef struct {
  SwarmId id;
  guint n_tasks;        /* that are counted in one way or another */
  guint active;         /* tasks meant to run (desired ≤ complete) and not over */
  gint64 nano_cpus;     /* reserved by tasks that are not over */
  gint64 memory;
  GHashTable *services; /* service id → active tasks */
  GHashTable *ports;    /* host port key → tasks */
  GPtrArray *failures;  /* recent ones, oldest first */
  /* The node as strategies see it, made when first asked for. */
  char *id_string;
  char **labels;
} SwarmNodeInfo;

typedef struct _SwarmNodeSet SwarmNodeSet;

SwarmNodeSet *swarm_node_set_new (SwarmClock *clock);
void swarm_node_set_free (SwarmNodeSet *self);
void swarm_node_set_clear (SwarmNodeSet *self);
/* Counts a task in or out; nothing while it is not assigned or over. The same object must go out that came in. */
void swarm_node_set_add (SwarmNodeSet *self, const SwarmTask *task);
void swarm_node_set_remove (SwarmNodeSet *self, const SwarmTask *task);
/* A task failed or was rejected on its node. */
void swarm_node_set_failed (SwarmNodeSet *self, const SwarmTask *task);
/* The node changed or is gone: what was made from its object is made anew. */
void swarm_node_set_touch (SwarmNodeSet *self, const SwarmId *node, gboolean gone);
/* Never NULL: a node without tasks gets an empty one. */
SwarmNodeInfo *swarm_node_set_get (SwarmNodeSet *self, const SwarmId *node);

guint swarm_node_info_service_tasks (const SwarmNodeInfo *info, const SwarmId *service);
/* Failures of this version of the service within five minutes. */
guint swarm_node_info_failures (const SwarmNodeInfo *info, const SwarmId *service, guint64 version, gint64 now);
/* "key=value" of the node's own labels; borrowed. */
const char *const *swarm_node_info_labels (SwarmNodeInfo *info, const SwarmNode *node);

/* Key of a port that is published on the host itself. */
static inline guint
swarm_host_port_key (const SwarmPortConfig *port)
{
  return (guint) port->protocol << 16 | (guint) port->published_port;
}
/* Does the port occupy its node's port? */
gboolean swarm_port_is_host (const SwarmPortConfig *port);
