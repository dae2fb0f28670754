// SPDX-License-Identifier: LGPL-2.1-or-later
/* The filter pipeline (SWARM_BEHAVIOUR §7): which nodes can take a task of a group, how many, and why the others cannot. */
#pragma once
#include "manager/scheduler/node-set.h"

typedef struct {
  const char *type; /* "Network", "Volume", "Log" */
  const char *name;
  gboolean lenient; /* a node that tells of none of this type passes */
} SwarmPluginNeed;

/* What one task of a group of identical ones asks for. */
typedef struct {
  SwarmTask *task; /* a reference: any of the group */
  GPtrArray *constraints; /* NULL: they cannot be met */
  gboolean by_node;       /* constraints look at what no two nodes have in common */
  gint64 nano_cpus;
  gint64 memory;
  const GPtrArray *generic; /* SwarmGenericResource, may be NULL */
  guint64 max_replicas;     /* per node; 0: any */
  GArray *ports;            /* guint keys of host ports */
  GArray *plugins;          /* SwarmPluginNeed */
  GByteArray *verdicts;     /* of each class of nodes, as far as they are known */
  guint generation;         /* of the classes */
} SwarmNeeds;

void swarm_needs_init (SwarmNeeds *self, const SwarmTask *task);
void swarm_needs_clear (SwarmNeeds *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmNeeds, swarm_needs_clear)

/* Filters in their fixed order. */
enum {
  SWARM_FILTER_READY,
  SWARM_FILTER_RESOURCES,
  SWARM_FILTER_PLUGINS,
  SWARM_FILTER_CONSTRAINTS,
  SWARM_FILTER_PLATFORM,
  SWARM_FILTER_HOST_PORTS,
  SWARM_FILTER_MAX_REPLICAS,
  SWARM_FILTER_VOLUMES, /* cluster volumes: none yet */
  SWARM_N_FILTERS,
};

/* How many nodes each filter refused. */
typedef struct {
  guint refused[SWARM_N_FILTERS];
} SwarmFilterCounts;

/* How many tasks of the group fit on the node. 0: none, and the first filter that refused it is counted in @counts. */
guint swarm_filters_capacity (SwarmNeeds *needs, SwarmNodeSet *set, SwarmNodeInfo *info, SwarmFilterCounts *counts);
/* `no suitable node (host-mode port already in use on 2 nodes; 1 node not available for new tasks)`. Caller frees. */
char *swarm_filters_explain (const SwarmFilterCounts *counts);
