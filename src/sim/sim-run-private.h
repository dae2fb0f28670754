// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "sim/sim-promises.h"
#include "sim/sim-run.h"

/* One line of what happened. */
typedef struct {
  gint64 at; /* µs after the beginning */
  const char *what; /* "task", "node", "service", "event", "leader" */
  char *name, *node, *state, *desired, *text, *err;
} SimTransition;

struct _SimRun {
  const SimScenario *scenario;
  SimRunOptions options;
  SimCluster *cluster;
  gint64 began;
  GPtrArray *transitions; /* SimTransition */
  GPtrArray *failures;    /* char * */
  GPtrArray *watches;     /* SimWatch: sim-expect.c */
  GHashTable *planned;    /* SimBehaviour → set of task ids that it fitted */
  GHashTable *slot_nodes; /* "service/slot" → SwarmId of the node of its last task */
  GPtrArray *due;         /* events to come */
  GHashTable *calls;      /* set of calls under way: sim-actions.c */
  GPtrArray *faults;      /* all that there were: sim-actions.c */
  gboolean over;
  guint n_actions;
  guint64 term;
  SimRunFigures figures;
};

/* Seconds after the beginning. */
double sim_run_time (SimRun *self);
void sim_run_fail (SimRun *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* @ref with or without registry, tag and digest names the image @image? */
gboolean sim_image_is (const char *image, const char *ref);

/* ---- sim-trace.c ---- */
void sim_trace_commit (const SwarmEvent *event, gpointer data);
void sim_trace_add (SimRun *self, const char *what, const char *name, const char *state, const char *text);
void sim_trace_leader (SimRun *self);
void sim_transition_free (gpointer data);
const char *sim_node_name (SimRun *self, const SwarmId *id);

/* ---- sim-actions.c ---- */
void sim_action_do (SimRun *self, const SimAction *action);
void sim_call_free (gpointer call);
/* A service of the beginning. */
/* The same of a network. */
void sim_action_create_network (SimRun *self, const SwarmNetworkSpec *spec);
void sim_action_create (SimRun *self, const SwarmServiceSpec *spec);

/* ---- sim-behaviour.c ---- */
void sim_behaviour_install (SimRun *self);

/* ---- sim-expect.c ---- */
/* Sets up all expectations of the scenario. */
void sim_expect_begin (SimRun *self);
/* After each change. */
void sim_expect_look (SimRun *self);
/* All are judged. */
gboolean sim_expect_is_done (SimRun *self);
/* Judges what is left. */
void sim_expect_end (SimRun *self);
void sim_watch_free (gpointer data);
