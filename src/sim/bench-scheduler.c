// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/bench-scheduler.h"
#include "base/error.h"
#include "sim/bench-world.h"
#include <string.h>

/* ---- losing nodes, failing tasks ---- */

static void
update_node (SimBench *self, const SwarmId *id, SwarmNodeState state, SwarmTx **tx)
{
  g_autoptr (SwarmNode) copy = swarm_node_copy (swarm_store_get (self->store, SWARM_KIND_NODE, id));

  *tx = sim_bench_next_tx (self, *tx);
  swarm_node_set_state (copy, state, "heartbeat failure");
  swarm_tx_update (*tx, copy);
}

static void
lose_nodes (SimBench *self, JsonBuilder *json)
{
  gint64 began = sim_bench_cpu_time (), wall = g_get_monotonic_time ();
  SwarmTx *tx = NULL;
  guint lost = MIN (self->shape->lost_nodes, self->nodes->len);
  guint64 bytes = self->log_bytes;

  self->assigned = 0;
  for (guint i = 0; i < lost; i++)
    update_node (self, &g_array_index (self->nodes, SwarmId, i), SWARM_NODE_DOWN, &tx);
  sim_bench_commit (self, tx);
  sim_bench_run_until_idle (self);
  sim_bench_add_number (json, "lost_nodes", lost);
  sim_bench_add_number (json, "lost_tasks_moved", self->assigned);
  sim_bench_add_number (json, "lost_tasks_waiting", self->waiting);
  sim_bench_add_number (json, "lost_cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "lost_seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "lost_log_mib", (double) (self->log_bytes - bytes) / (1 << 20));
  sim_bench_add_turns (self, json, "lost_turns");
}

static void
fail_task (SimBench *self, const SwarmTask *task)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  SwarmTx *tx = swarm_store_tx (self->store);

  if (!swarm_task_set_state (copy, SWARM_TASK_FAILED, SWARM_WRITER_DISPATCHER, swarm_clock_now (self->clock), "started", "exit", &error))
    g_error ("%s", error->message);
  swarm_tx_update (tx, copy);
  sim_bench_commit (self, tx);
  sim_bench_run_until_idle (self);
}

/* One task of each service in turn, so that no service is looked at twice in a row. */
static void
fail_tasks (SimBench *self, JsonBuilder *json)
{
  gint64 took = 0;

  for (guint i = 0; i < self->shape->failures; i++) {
    guint service = i % self->services->len;
    const SwarmId *id = &SWARM_OBJECT (self->services->pdata[service])->id;
    guint64 slot = 1 + (i / self->services->len) % sim_bench_replicas_of (self->shape, service);
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (self->store, id, slot);
    gint64 began;

    if (tasks->len == 0)
      continue;
    began = sim_bench_cpu_time ();
    fail_task (self, tasks->pdata[tasks->len - 1]);
    took += sim_bench_cpu_time () - began;
  }
  sim_bench_add_number (json, "failure_cpu_us", (double) took / MAX (self->shape->failures, 1));
  sim_bench_add_turns (self, json, "failure_turns");
}

JsonNode *
sim_bench_schedule (const SimBenchShape *shape)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  double before;
  gint64 began, wall;
  guint64 bytes;
  SimBench bench;

  json_builder_begin_object (json);
  sim_bench_add_shape (shape, json);
  sim_bench_open (&bench, shape);
  before = sim_bench_resident_mib ();
  swarm_manager_lead (bench.manager, TRUE);
  sim_bench_run_until_idle (&bench); /* its first look, at nothing */
  began = sim_bench_cpu_time ();
  sim_bench_fill_nodes (&bench);
  sim_bench_fill_tasks (&bench);
  sim_bench_add_number (json, "fill_cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  bench.at_once = FALSE;
  bytes = bench.log_bytes;
  wall = g_get_monotonic_time ();
  began = sim_bench_cpu_time ();
  sim_bench_run_until_placed (&bench);
  sim_bench_add_number (json, "seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "log_mib", (double) (bench.log_bytes - bytes) / (1 << 20));
  sim_bench_add_turns (&bench, json, "turns");
  sim_bench_add_number (json, "resident_mib", sim_bench_resident_mib () - before);
  sim_bench_run_until_idle (&bench);
  sim_bench_add_turns (&bench, json, "idle_turns");
  if (shape->failures > 0)
    fail_tasks (&bench, json);
  if (shape->lost_nodes > 0)
    lose_nodes (&bench, json);
  sim_bench_add_number (json, "resident_end_mib", sim_bench_resident_mib () - before);
  sim_bench_close (&bench);
  json_builder_end_object (json);
  return json_builder_get_root (json);
}

/* ---- waiting tasks, a new leader ---- */

static void
count_explained (const SwarmEvent *event, gpointer data)
{
  SimBench *self = data;
  const SwarmTask *task = event->object, *before = event->previous;

  if (event->event == SWARM_EVENT_UPDATE && task->status->err != NULL && before->status->err == NULL)
    self->waiting--;
}

JsonNode *
sim_bench_pending (guint tasks)
{
  SimBenchShape shape = { .nodes = 0, .tasks = tasks, .services = 1 };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  g_autoptr (SwarmService) service = NULL;
  double before;
  gint64 wall, began;
  SwarmTx *tx;
  SimBench bench;

  sim_bench_open (&bench, &shape);
  before = sim_bench_resident_mib ();
  swarm_store_unwatch (bench.store, bench.watch);
  bench.watch = swarm_store_watch (bench.store, 1 << SWARM_KIND_TASK, count_explained, &bench);
  bench.at_once = FALSE;
  swarm_manager_lead (bench.manager, TRUE);
  service = sim_bench_make_service (&bench, 0, tasks);
  wall = g_get_monotonic_time ();
  began = sim_bench_cpu_time ();
  bench.waiting = tasks;
  tx = swarm_store_tx (bench.store);
  swarm_tx_create (tx, service);
  sim_bench_commit (&bench, tx);
  sim_bench_run_until_placed (&bench);
  json_builder_begin_object (json);
  sim_bench_add_number (json, "tasks", tasks);
  sim_bench_add_number (json, "seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "log_mib", (double) bench.log_bytes / (1 << 20));
  sim_bench_add_number (json, "resident_mib", sim_bench_resident_mib () - before);
  sim_bench_add_turns (&bench, json, "turns");
  json_builder_end_object (json);
  sim_bench_close (&bench);
  return json_builder_get_root (json);
}

static double
since (gint64 *began)
{
  gint64 now = sim_bench_cpu_time (), took = now - *began;

  *began = now;
  return (double) took / 1000;
}

JsonNode *
sim_bench_takeover (guint nodes, guint tasks, guint services)
{
  SimBenchShape shape = { .nodes = nodes, .tasks = tasks, .services = services };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  SwarmSnapshot *snapshot;
  gint64 began;
  SimBench bench;

  sim_bench_open (&bench, &shape);
  swarm_manager_lead (bench.manager, TRUE);
  sim_bench_run_until_idle (&bench);
  sim_bench_fill_nodes (&bench);
  sim_bench_fill_tasks (&bench);
  bench.at_once = FALSE;
  sim_bench_run_until_placed (&bench);
  swarm_manager_lead (bench.manager, FALSE);
  sim_bench_run_until_idle (&bench);
  memset (bench.turns, 0, sizeof bench.turns);
  bench.longest = 0;
  bench.limit = 2500 * 1000;
  json_builder_begin_object (json);
  sim_bench_add_shape (&shape, json);
  began = sim_bench_cpu_time ();
  swarm_manager_lead (bench.manager, TRUE);
  sim_bench_add_number (json, "lead_ms", since (&began));
  sim_bench_run_until_idle (&bench);
  sim_bench_add_number (json, "first_look_ms", since (&began));
  sim_bench_add_turns (&bench, json, "first_look_turns");
  swarm_manager_lead (bench.manager, FALSE);
  since (&began);
  snapshot = swarm_store_snapshot (bench.store);
  sim_bench_add_number (json, "snapshot_ms", since (&began));
  g_bytes_unref (swarm_snapshot_encode (snapshot));
  sim_bench_add_number (json, "encode_ms", since (&began)); /* on a thread of its own in the daemon */
  swarm_snapshot_free (snapshot);
  sim_bench_add_number (json, "snapshot_free_ms", since (&began));
  json_builder_end_object (json);
  sim_bench_close (&bench);
  return json_builder_get_root (json);
}

/* ---- the store alone ---- */

JsonNode *
sim_bench_store (guint n)
{
  SimBenchShape shape = { .nodes = n };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  g_autoptr (GPtrArray) nodes = swarm_messages_new ();
  SwarmTx *tx = NULL;
  gint64 began;
  guint found = 0;
  SimBench bench;

  sim_bench_open (&bench, &shape);
  for (guint i = 0; i < n; i++) {
    SwarmNode *node = sim_bench_make_node (&bench, i);
    g_ptr_array_add (nodes, node);
    g_array_append_val (bench.nodes, node->object.id);
  }
  began = sim_bench_cpu_time ();
  for (guint i = 0; i < n; i++) {
    tx = sim_bench_next_tx (&bench, tx);
    swarm_tx_create (tx, nodes->pdata[i]);
  }
  sim_bench_commit (&bench, tx);
  json_builder_begin_object (json);
  sim_bench_add_number (json, "objects", n);
  sim_bench_add_number (json, "create_us", (double) (sim_bench_cpu_time () - began) / n);
  began = sim_bench_cpu_time ();
  for (guint i = 0; i < n; i++)
    found += swarm_store_get (bench.store, SWARM_KIND_NODE, &g_array_index (bench.nodes, SwarmId, i)) != NULL;
  sim_bench_add_number (json, "get_us", (double) (sim_bench_cpu_time () - began) / n);
  g_assert_cmpuint (found, ==, n);
  began = sim_bench_cpu_time ();
  tx = NULL;
  for (guint i = 0; i < n; i++)
    update_node (&bench, &g_array_index (bench.nodes, SwarmId, i), SWARM_NODE_DOWN, &tx);
  sim_bench_commit (&bench, tx);
  sim_bench_add_number (json, "update_us", (double) (sim_bench_cpu_time () - began) / n);
  json_builder_end_object (json);
  sim_bench_close (&bench);
  return json_builder_get_root (json);
}
