// SPDX-License-Identifier: LGPL-2.1-or-later
/* How fast a leader places tasks: the whole brain over the real store, transactions, watches and plugins, with a log that takes
 * everything at once. Real time, no simulated one. */
#pragma once
#include <json-glib/json-glib.h>

typedef struct {
  guint nodes;
  guint tasks;
  guint services;       /* the tasks are divided among them */
  gboolean constraints; /* a label that a third of the nodes has */
  guint lost_nodes;     /* afterwards so many are lost, and their tasks placed anew */
  guint failures;       /* and so many tasks fail one after the other */
  gboolean preference;  /* spread over the label */
  const char *strategy; /* NULL: the default */
} SimBenchShape;

/* Figures of one run; caller owns it. "seconds": from the commit of nodes and tasks until each task's assignment is committed. */
JsonNode *sim_bench_schedule (const SimBenchShape *shape);
/* A service of @tasks tasks and no node to place them on: until each of them waits and says why. */
JsonNode *sim_bench_pending (guint tasks);
/* What a new leader and a snapshot cost with so many nodes and running tasks. */
JsonNode *sim_bench_takeover (guint nodes, guint tasks, guint services);
/* Creates, updates and looks up @n nodes in a store without a log. */
JsonNode *sim_bench_store (guint n);
/* Turns and costs of the large events, in a cluster of so many nodes, tasks and services, and about one more service of @large tasks that are
 * updated @parallelism at a time: it is created, scaled down and up, updated; a job of as many completions; nodes drained and lost; removal. */
JsonNode *sim_bench_events (guint nodes, guint tasks, guint services, guint large, guint parallelism);
/* A leader whose @nodes all see the routing mesh: all register, then 200 of a service's @tasks tasks with a published port begin to run. */
JsonNode *sim_bench_pictures (guint nodes, guint tasks);
/* A service of so many @tasks waits for a port that another one has, which goes. */
JsonNode *sim_bench_waiting (guint tasks);
