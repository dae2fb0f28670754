// SPDX-License-Identifier: LGPL-2.1-or-later
/* A whole cluster in virtual time: machines, a network between them, faults, and the promises (DESIGN) checked while it runs. */
#pragma once
#include "sim/sim-machine.h"

typedef struct {
  SimWorld world;
} SimCluster;

typedef struct {
  guint64 seed;
  guint managers; /* machines n1 … are managers, the rest workers */
  guint workers;
  gboolean simple_log; /* one manager over an in-memory log; else the real one */
} SimClusterConfig;

/* All machines are up and their nodes ready. Managers take tasks, too. */
SimCluster *sim_cluster_new (const SimClusterConfig *config);
void sim_cluster_free (SimCluster *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimCluster, sim_cluster_free)

/* Lets time pass, checking the invariants on the way: no task id is ever started twice; no slot has two running containers unless
 * the host of one was cut off or its agent was away longer than it may be. A broken promise ends the program. */
void sim_cluster_run (SimCluster *self, gint64 us);
gboolean sim_cluster_run_until (SimCluster *self, gint64 limit_us, gboolean (*done) (SimCluster *self, gpointer data), gpointer data);
SimMachine *sim_cluster_machine (SimCluster *self, guint index);
guint sim_cluster_n_machines (SimCluster *self);
/* The machine that leads, or NULL. */
SimMachine *sim_cluster_leader (SimCluster *self);
/* The leader's store; borrowed; ends the program when nobody leads. */
SwarmStore *sim_cluster_store (SimCluster *self);
/* Cuts a machine off from all others, both ways. */
void sim_cluster_cut (SimCluster *self, SimMachine *machine);
void sim_cluster_heal (SimCluster *self);

/* Running containers of a service (by name) on hosts that are on; @machine NULL: anywhere. */
guint sim_cluster_running (SimCluster *self, const char *service, SimMachine *machine);
/* Kills one running container of the service; FALSE: there is none. */
gboolean sim_cluster_kill_container (SimCluster *self, const char *service, int exit_code);
/* Every service has the tasks it declares, each in one running container on the node that the store says, and nothing else
 * runs anywhere. @why (may be NULL) gets the first thing that is not so; caller frees. */
gboolean sim_cluster_is_settled (SimCluster *self, char **why);
