// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a leader of many tasks does about the large events of a cluster's life, with workers that do at once what they are told. */
#include "base/error.h"
#include "sim/bench-world.h"
#include <string.h>

#define QUIET_US (600 * G_TIME_SPAN_MILLISECOND) /* longer than any batch is gathered */

typedef struct {
  SimBench bench;
  guint watch;
  GQueue reports; /* SwarmId of tasks whose node has something to say */
  SwarmTimer *timer;
  guint64 changes; /* of tasks, in the store */
  SwarmId moving;  /* the service to rebalance */
} World;

/* ---- workers ---- */

static void report_more (gpointer data);

static void
workers_wake (World *self)
{
  if (self->timer == NULL && self->reports.length > 0)
    self->timer = swarm_clock_timer (self->bench.clock, 0, SWARM_PRIORITY_NORMAL, report_more, self);
}

static SwarmTaskState
state_to_report (World *self, const SwarmTask *task)
{
  const SwarmNode *node = swarm_id_is_nil (&task->node_id) ? NULL : swarm_store_get (self->bench.store, SWARM_KIND_NODE, &task->node_id);
  gboolean mute = node == NULL || node->status->state != SWARM_NODE_READY;

  if (mute || task->status->state < SWARM_TASK_ASSIGNED || swarm_task_state_is_terminal (task->status->state))
    return task->status->state;
  return task->desired_state; /* a job's tasks complete, others run, or wait, or are stopped */
}

static gboolean
has_report (World *self, const SwarmTask *task)
{
  return MIN (state_to_report (self, task), SWARM_TASK_SHUTDOWN) > task->status->state;
}

static void
report (World *self, const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  SwarmTaskState state = MIN (state_to_report (self, task), SWARM_TASK_SHUTDOWN);
  g_autoptr (GError) error = NULL;

  if (!swarm_task_set_state (copy, state, SWARM_WRITER_DISPATCHER, swarm_clock_now (self->bench.clock), "as told", NULL, &error))
    g_error ("%s", error->message);
  swarm_tx_update (tx, copy);
}

static void
report_more (gpointer data)
{
  World *self = data;
  SwarmTx *tx;

  self->timer = NULL;
  self->bench.at_once = TRUE; /* a leader's own loop writes reports: they never get into the way of another loop's transaction */
  sim_bench_apply (&self->bench);
  tx = swarm_store_tx (self->bench.store);
  while (swarm_tx_has_room (tx, 1) && self->reports.length > 0) {
    g_autofree SwarmId *id = g_queue_pop_head (&self->reports);
    const SwarmTask *task = swarm_store_get (self->bench.store, SWARM_KIND_TASK, id);
    if (task != NULL && has_report (self, task))
      report (self, task, tx);
  }
  sim_bench_commit (&self->bench, tx);
  self->bench.at_once = FALSE;
  workers_wake (self);
}

static void
task_changed (const SwarmEvent *event, gpointer data)
{
  World *self = data;

  if (event->kind != SWARM_KIND_TASK || event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET)
    return;
  self->changes++;
  if (event->event == SWARM_EVENT_REMOVE || !has_report (self, event->object))
    return;
  g_queue_push_tail (&self->reports, g_memdup2 (&SWARM_OBJECT (event->object)->id, sizeof (SwarmId)));
  workers_wake (self);
}

/* ---- measuring ---- */

/* Until nothing has happened for a while. */
static void
run_until_quiet (World *self, JsonBuilder *json, const char *name)
{
  gint64 last = g_get_monotonic_time (), began = sim_bench_cpu_time (), busy = 0;
  gint64 limit = last + self->bench.limit;
  guint64 changes = self->changes;

  while (g_get_monotonic_time () < last + QUIET_US && (self->bench.limit == 0 || last < limit)) {
    gint64 turn = sim_bench_cpu_time ();

    if (!g_main_context_iteration (NULL, FALSE)) {
      g_usleep (1000);
      continue;
    }
    sim_bench_count_turn (&self->bench, sim_bench_cpu_time () - turn);
    busy += sim_bench_cpu_time () - turn;
    last = g_get_monotonic_time ();
  }
  changes = self->changes - changes;
  json_builder_set_member_name (json, name);
  json_builder_begin_object (json);
  sim_bench_add_number (json, "cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "changes", (double) changes);
  sim_bench_add_number (json, "us_a_change", changes > 0 ? (double) busy / (double) changes : 0);
  sim_bench_add_turns (&self->bench, json, "turns");
  json_builder_end_object (json);
}

static void
write_object (World *self, gpointer object, gboolean create)
{
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  if (create)
    swarm_tx_create (tx, object);
  else
    swarm_tx_update (tx, object);
  sim_bench_commit (&self->bench, tx);
}

static SwarmService *
copy_service (World *self, const SwarmId *id)
{
  SwarmService *copy = swarm_service_copy (swarm_store_get (self->bench.store, SWARM_KIND_SERVICE, id));
  SwarmServiceSpec *spec = swarm_service_spec_copy (copy->spec);

  swarm_message_unref (copy->spec);
  copy->spec = spec;
  return copy;
}

/* ---- events ---- */

static void
scale (World *self, const SwarmId *id, guint64 replicas)
{
  g_autoptr (SwarmService) copy = copy_service (self, id);
  SwarmServiceMode *mode = swarm_service_mode_copy (copy->spec->mode);

  swarm_message_unref (copy->spec->mode);
  copy->spec->mode = mode;
  mode->replicated = swarm_replicated_copy (mode->replicated);
  mode->replicated->replicas = replicas;
  write_object (self, copy, FALSE);
}

static void
update (World *self, const SwarmId *id, guint64 parallelism)
{
  g_autoptr (SwarmService) copy = copy_service (self, id);
  SwarmTaskSpec *task = swarm_task_spec_copy (copy->spec->task);

  task->force_update++;
  swarm_message_unref (copy->spec->task);
  copy->spec->task = task;
  swarm_message_unref (copy->spec->update);
  copy->spec->update = swarm_update_config_new ();
  copy->spec->update->parallelism = parallelism;
  copy->spec->update->monitor = 1000 * 1000;
  copy->spec->update->delay = 0;
  swarm_message_clear_pointer (&copy->update_status);
  copy->spec_version++;
  write_object (self, copy, FALSE);
}

static SwarmId
create_service (World *self, guint number, guint64 replicas)
{
  g_autoptr (SwarmService) service = sim_bench_make_service (&self->bench, number, replicas);

  write_object (self, service, TRUE);
  return service->object.id;
}

static SwarmId
create_job (World *self, guint number, guint64 total, guint64 concurrent)
{
  g_autoptr (SwarmService) service = sim_bench_make_service (&self->bench, number, 0);

  swarm_message_clear_pointer (&service->spec->mode->replicated);
  service->spec->mode->replicated_job = swarm_replicated_job_new ();
  service->spec->mode->replicated_job->total_completions = total;
  service->spec->mode->replicated_job->max_concurrent = concurrent;
  write_object (self, service, TRUE);
  return service->object.id;
}

static SwarmId
create_global (World *self, guint number, gboolean job)
{
  g_autoptr (SwarmService) service = sim_bench_make_service (&self->bench, number, 0);

  swarm_message_clear_pointer (&service->spec->mode->replicated);
  if (job)
    service->spec->mode->global_job = swarm_global_job_new ();
  else
    service->spec->mode->global = swarm_global_new ();
  write_object (self, service, TRUE);
  return service->object.id;
}

static void
remove_service (World *self, const SwarmId *id)
{
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  swarm_tx_remove (tx, SWARM_KIND_SERVICE, id, 0);
  sim_bench_commit (&self->bench, tx);
}

typedef enum { LOSE, DRAIN, ACTIVATE } Change;

static void
change_nodes (World *self, guint first, guint n, Change change)
{
  SwarmTx *tx = NULL;

  for (guint i = first; i < MIN (first + n, self->bench.nodes->len); i++) {
    g_autoptr (SwarmNode) copy
      = swarm_node_copy (swarm_store_get (self->bench.store, SWARM_KIND_NODE, &g_array_index (self->bench.nodes, SwarmId, i)));
    if (change == LOSE) {
      swarm_node_set_state (copy, SWARM_NODE_DOWN, "heartbeat failure");
    } else {
      SwarmNodeSpec *spec = swarm_node_spec_copy (copy->spec);
      spec->availability = change == DRAIN ? SWARM_AVAILABILITY_DRAIN : SWARM_AVAILABILITY_ACTIVE;
      swarm_message_unref (copy->spec);
      copy->spec = spec;
    }
    tx = sim_bench_next_tx (&self->bench, tx);
    swarm_tx_update (tx, copy);
  }
  if (tx != NULL)
    sim_bench_commit (&self->bench, tx);
}

static void
answered (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

/* In a turn of the loop, as a call from a user comes. */
static void
rebalance (gpointer data)
{
  World *self = data;

  swarm_control_rebalance_service (swarm_manager_control (self->bench.manager), &self->moving, 0, NULL, answered, NULL);
}

/* The tasks that are there when it begins run, spread over the nodes. */
static void
fill (World *self)
{
  const SimBenchShape *shape = self->bench.shape;
  SwarmTx *tx = NULL;
  guint at = 0;

  sim_bench_fill_nodes (&self->bench);
  for (guint i = 0; i < shape->services; i++) {
    g_autoptr (SwarmService) service = sim_bench_make_service (&self->bench, i, sim_bench_replicas_of (shape, i));
    g_ptr_array_add (self->bench.services, swarm_service_ref (service));
    tx = sim_bench_next_tx (&self->bench, tx);
    swarm_tx_create (tx, service);
  }
  if (tx != NULL)
    sim_bench_commit (&self->bench, tx);
  tx = NULL;
  for (guint i = 0; i < shape->services; i++)
    for (guint slot = 1; slot <= sim_bench_replicas_of (shape, i); slot++) {
      g_autoptr (SwarmTask) task = sim_bench_make_task (&self->bench, self->bench.services->pdata[i], slot);
      task->node_id = g_array_index (self->bench.nodes, SwarmId, at++ % self->bench.nodes->len);
      task->status->state = SWARM_TASK_RUNNING;
      task->status->started_at = task->status->timestamp;
      tx = sim_bench_next_tx (&self->bench, tx);
      swarm_tx_create (tx, task);
    }
  if (tx != NULL)
    sim_bench_commit (&self->bench, tx);
}

static void
run_all (World *self, JsonBuilder *json, guint large, guint parallelism)
{
  SimBench *bench = &self->bench;
  guint n = bench->nodes->len;
  SwarmId service, job, global;

  run_until_quiet (self, json, "first look");
  service = create_service (self, 1000000, large);
  run_until_quiet (self, json, "create");
  scale (self, &service, large / 100);
  run_until_quiet (self, json, "scale down");
  scale (self, &service, large);
  run_until_quiet (self, json, "scale up");
  update (self, &service, parallelism);
  run_until_quiet (self, json, "update");
  job = create_job (self, 1000001, large, parallelism);
  run_until_quiet (self, json, "job");
  remove_service (self, &job);
  run_until_quiet (self, json, "remove job");
  job = create_global (self, 1000003, TRUE);
  run_until_quiet (self, json, "global job");
  remove_service (self, &job);
  run_until_quiet (self, json, "remove global job");
  global = create_global (self, 1000002, FALSE);
  run_until_quiet (self, json, "global");
  update (self, &global, parallelism);
  run_until_quiet (self, json, "global update");
  change_nodes (self, 0, n / 100, DRAIN);
  run_until_quiet (self, json, "drain");
  change_nodes (self, n / 100, n / 10, LOSE);
  run_until_quiet (self, json, "loss");
  change_nodes (self, 0, n / 100, ACTIVATE);
  run_until_quiet (self, json, "activate");
  self->moving = service;
  swarm_clock_timer (bench->clock, 0, SWARM_PRIORITY_NORMAL, rebalance, self);
  run_until_quiet (self, json, "rebalance");
  remove_service (self, &global);
  run_until_quiet (self, json, "remove global");
  remove_service (self, &service);
  run_until_quiet (self, json, "remove");
}

JsonNode *
sim_bench_events (guint nodes, guint tasks, guint services, guint large, guint parallelism)
{
  SimBenchShape shape = { .nodes = nodes, .tasks = tasks, .services = services };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  World world = { 0 };

  sim_bench_open (&world.bench, &shape);
  g_queue_init (&world.reports);
  swarm_manager_lead (world.bench.manager, TRUE);
  sim_bench_run_until_idle (&world.bench);
  fill (&world);
  memset (world.bench.turns, 0, sizeof world.bench.turns);
  world.bench.longest = 0;
  world.bench.at_once = FALSE;
  world.watch = swarm_store_watch (world.bench.store, 1 << SWARM_KIND_TASK, task_changed, &world);
  json_builder_begin_object (json);
  sim_bench_add_shape (&shape, json);
  sim_bench_add_number (json, "large", large);
  sim_bench_add_number (json, "parallelism", parallelism);
  run_all (&world, json, large, parallelism);
  json_builder_end_object (json);
  swarm_store_unwatch (world.bench.store, world.watch);
  swarm_clock_clear_timer (world.bench.clock, &world.timer);
  g_queue_clear_full (&world.reports, g_free);
  sim_bench_close (&world.bench);
  return json_builder_get_root (json);
}
