// SPDX-License-Identifier: LGPL-2.1-or-later
/* How the scheduler asks a strategy: one batch call per group of identical tasks. The daemon fills this from a scheduler plugin. */
#pragma once
#include <glib.h>
#include "base/id.h"

/* A node that passed every filter. */
typedef struct {
  SwarmId id;
  guint capacity;       /* how many of the group's tasks fit here (resources, host ports, max replicas), ≥ 1 */
  guint service_tasks;  /* active tasks of the group's service */
  guint total_tasks;    /* all active tasks */
  guint failures;       /* of this service version within five minutes */
  gint64 free_nano_cpus;
  gint64 free_memory;
} SwarmPlaceNode;

typedef struct {
  SwarmId service;
  const char *service_name;
  guint n_tasks;
  gint64 nano_cpus; /* reservations of one task */
  gint64 memory;
} SwarmPlaceGroup;

#define SWARM_PLACE_NOWHERE G_MAXUINT32

typedef struct {
  /* Chooses a node for each task: @choice has n_tasks cells, each an index into @nodes or SWARM_PLACE_NOWHERE (the task stays
   * pending). The caller checks capacities. Must not block. */
  gboolean (*place) (gpointer data, const SwarmPlaceGroup *group, const SwarmPlaceNode *nodes, guint n_nodes, guint32 *choice,
                     GError **error);
  gpointer data;
} SwarmStrategy;

/* The built-in: swarm's spread (SWARM_BEHAVIOUR §7 ranking): nodes with ≥ 5 recent failures last, then fewest tasks of the
 * service, then fewest tasks at all. @data is not used. */
gboolean swarm_strategy_spread (gpointer data, const SwarmPlaceGroup *group, const SwarmPlaceNode *nodes, guint n_nodes,
                                guint32 *choice, GError **error);
