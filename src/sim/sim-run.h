// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs one scenario: builds its cluster, lets happen what it says, looks whether what it expects is so. */
#pragma once
#include "sim/scenario.h"
#include "sim/sim-cluster.h"

typedef struct _SimRun SimRun;

typedef struct {
  guint64 seed;
  double until;
  gboolean trace;  /* transitions are kept */
  gboolean lie;    /* the managers' disks forget half a second of what they said was synced: promise 1 must be seen to break */
  gboolean twin;   /* the last two workers have one identity: promise 2 must be seen to break */
  gboolean unasked; /* what users remove counts as if nobody had asked for it: promise 1 must be seen to break */
  gboolean strict; /* calls that fail, though nothing says so, fail the run; else they are what users meet when everything breaks */
} SimRunOptions;

typedef struct {
  guint elections, crashes, faults, calls, acknowledged, refused;
  guint tasks, moved, updates, rollbacks, services;
  guint nodes, managers, least_nodes, least_managers; /* now, and the least there were */
  guint joins, promotions, demotions, rebalances;
  double seconds;
} SimRunFigures;

/* @scenario is kept by reference. An error: the scenario cannot be (two nodes of one name, …). */
SimRun *sim_run_new (const SimScenario *scenario, const SimRunOptions *options, GError **error);
void sim_run_free (SimRun *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SimRun, sim_run_free)
/* Lets all its time pass. FALSE: something was not as it must be (sim_run_failures()). */
gboolean sim_run_go (SimRun *self);
/* Lines for people; borrowed. */
GPtrArray *sim_run_failures (SimRun *self);
const SimRunFigures *sim_run_figures (SimRun *self);
/* What happened and what there is at the end. */
void sim_run_print_text (SimRun *self);
void sim_run_print_json (SimRun *self, const char *name);
