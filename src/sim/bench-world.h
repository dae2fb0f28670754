// SPDX-License-Identifier: LGPL-2.1-or-later
/* A leader's brain over the real store, with a log that takes everything at once, and a main loop whose turns are measured: what the benchmarks
 * share. */
#pragma once
#include "manager/manager.h"
#include "sim/bench-scheduler.h"
#include "sim/sim-clock.h"

/* Turns of the main loop by duration: up to 1 ms, 2 ms, 5 ms, 10 ms, 20 ms, 50 ms, more. */
#define SIM_BENCH_BOUNDS 6

typedef struct {
  const SimBenchShape *shape;
  SwarmClock *clock;
  SimRandom random;
  SwarmStore *store;
  SwarmManager *manager;
  SwarmSchedulerSet *schedulers;
  SwarmMembers members;
  guint64 index;
  GQueue proposals;
  SwarmTimer *timer;
  gboolean at_once; /* proposals are applied from within: nothing else runs meanwhile */
  guint64 log_bytes;
  GPtrArray *services; /* SwarmService */
  GArray *nodes;       /* SwarmId */
  guint waiting;       /* tasks without a node */
  guint assigned;      /* that were given one */
  guint watch;
  guint turns[SIM_BENCH_BOUNDS + 1];
  gint64 longest;
  gint64 limit; /* of sim_bench_run_until_idle(), µs; 0: none */
} SimBench;

void sim_bench_open (SimBench *self, const SimBenchShape *shape);
void sim_bench_close (SimBench *self);

/* CPU time of this thread, µs. */
gint64 sim_bench_cpu_time (void);
double sim_bench_resident_mib (void);

/* A transaction with room for one more: @tx, or a new one after it is committed. */
SwarmTx *sim_bench_next_tx (SimBench *self, SwarmTx *tx);
/* What was proposed so far. */
void sim_bench_apply (SimBench *self);
void sim_bench_commit (SimBench *self, SwarmTx *tx);
SwarmNode *sim_bench_make_node (SimBench *self, guint i);
SwarmService *sim_bench_make_service (SimBench *self, guint i, guint64 replicas);
/* A task of @service as the allocator leaves it. */
SwarmTask *sim_bench_make_task (SimBench *self, const SwarmService *service, guint64 slot);
guint sim_bench_replicas_of (const SimBenchShape *shape, guint service);
void sim_bench_fill_nodes (SimBench *self);
void sim_bench_fill_tasks (SimBench *self);

void sim_bench_count_turn (SimBench *self, gint64 took);
/* Lets the loop turn until nothing waits for a node. */
void sim_bench_run_until_placed (SimBench *self);
/* Or until the time is up: nodes that nobody beats for are down after some seconds, which is another story. */
void sim_bench_run_until_idle (SimBench *self);
/* The histogram so far; it begins anew. */
void sim_bench_add_turns (SimBench *self, JsonBuilder *json, const char *name);
void sim_bench_add_number (JsonBuilder *json, const char *name, double value);
void sim_bench_add_shape (const SimBenchShape *shape, JsonBuilder *json);
