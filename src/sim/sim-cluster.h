// SPDX-License-Identifier: LGPL-2.1-or-later
/* A whole cluster in virtual time: machines, a network between them, faults, and the promises (DESIGN) checked while it runs. */
#pragma once
#include "sim/sim-machine.h"

typedef struct _SimPromises SimPromises;

typedef struct {
  SimWorld world;
  GHashTable *by_name; /* host name → SimMachine */
  SimPromises *promises;
  gboolean lenient; /* a broken promise is only noted */
  char *broken;     /* the first one that was broken */
  guint64 committed; /* log index that some manager has applied */
  gboolean changed;
  gint64 presence_due;
  /* Each committed change, once, when the first manager applies it: look, change nothing. */
  void (*on_commit) (const SwarmEvent *event, gpointer data);
  gpointer on_commit_data;
  /* After a turn in which something was committed. */
  void (*on_change) (gpointer data);
  gpointer on_change_data;
} SimCluster;

typedef struct {
  guint64 seed;
  guint managers; /* machines n1 … are managers, the rest workers */
  guint workers;
  gboolean simple_log; /* one manager over an in-memory log; else the real one */
  GArray *machines;    /* SimMachineConfig, in place of the numbers above; the first is a manager. NULL: none */
  const SwarmClusterSpec *spec; /* NULL: the defaults */
  gint64 look_us; /* what a look at the clock costs a pass of the brain, at most; 0: nothing */
} SimClusterConfig;

/* All machines but the absent are up and their nodes ready. Managers take tasks, too. */
SimCluster *sim_cluster_new (const SimClusterConfig *config);
void sim_cluster_free (SimCluster *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimCluster, sim_cluster_free)
/* An absent machine joins, as soon as somebody leads. */
void sim_cluster_join (SimCluster *self, SimMachine *machine);
/* For sim-form.c: SimWorld.store_opened. */
void sim_cluster_store_opened (SimMachine *machine, gpointer data);

/* Lets time pass, checking the promises after every event (sim-promises.h). A broken one ends the program, or (lenient) the run. */
void sim_cluster_run (SimCluster *self, gint64 us);
gboolean sim_cluster_run_until (SimCluster *self, gint64 limit_us, gboolean (*done) (SimCluster *self, gpointer data), gpointer data);
void sim_cluster_break (SimCluster *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
SimMachine *sim_cluster_machine (SimCluster *self, guint index);
guint sim_cluster_n_machines (SimCluster *self);
/* By host name; NULL: none. */
SimMachine *sim_cluster_find (SimCluster *self, const char *name);
/* The machine that leads, or NULL. */
SimMachine *sim_cluster_leader (SimCluster *self);
/* The leader's store; borrowed; ends the program when nobody leads. */
SwarmStore *sim_cluster_store (SimCluster *self);
/* The store of the running manager that has applied most; NULL: no manager runs. */
SwarmStore *sim_cluster_truth (SimCluster *self);
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
/* Lets a little time pass until all running managers have applied the same, and compares their stores byte by byte: to be asked when no manager is
 * cut off. FALSE: @why gets what is not so; caller frees. */
gboolean sim_cluster_stores_agree (SimCluster *self, char **why);
