// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/bench-scheduler.h"
#include "base/clock-glib.h"
#include "base/error.h"
#include "manager/manager.h"
#include "sim/sim-clock.h"
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread, swarm_plugin_builtin_scheduler_binpack,
  swarm_plugin_builtin_scheduler_random;

/* Turns of the main loop by duration: up to 1 ms, 2 ms, 5 ms, 10 ms, 20 ms, 50 ms, more. */
static const gint64 bounds[] = { 1000, 2000, 5000, 10000, 20000, 50000 };
#define N_BOUNDS G_N_ELEMENTS (bounds)

typedef struct {
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
} Proposal;

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
  guint turns[N_BOUNDS + 1];
  gint64 longest;
  gint64 limit; /* of run_until_idle(), µs; 0: none */
} Bench;

static gint64
cpu_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return (gint64) time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

static double
resident_mib (void)
{
  g_autofree char *text = NULL;
  unsigned long pages = 0;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL) || sscanf (text, "%*u %lu", &pages) != 1)
    return 0;
  return (double) pages * (double) sysconf (_SC_PAGESIZE) / (1 << 20);
}

/* ---- the log ---- */

static void
apply_one (Bench *self)
{
  Proposal *proposal = g_queue_pop_head (&self->proposals);
  g_autoptr (GError) error = NULL;

  if (!swarm_store_apply (self->store, ++self->index, proposal->entry, &error))
    g_error ("%s", error->message);
  proposal->done (self->index, NULL, proposal->data);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
}

static void
apply (Bench *self)
{
  while (self->proposals.length > 0)
    apply_one (self);
}

static void
apply_later (gpointer data)
{
  Bench *self = data;

  self->timer = NULL;
  apply_one (self);
  if (self->proposals.length > 0)
    self->timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, apply_later, self);
}

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  Bench *self = data;
  Proposal *proposal = g_new0 (Proposal, 1);

  *proposal = (Proposal){ g_bytes_ref (entry), done, done_data };
  self->log_bytes += g_bytes_get_size (entry);
  g_queue_push_tail (&self->proposals, proposal);
  if (!self->at_once && self->timer == NULL)
    self->timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, apply_later, self);
}

/* ---- the world ---- */

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static void
commit (Bench *self, SwarmTx *tx)
{
  swarm_tx_commit (tx, NULL, committed, NULL);
  if (self->at_once)
    apply (self);
}

/* A transaction with room for one more: @tx, or a new one after it is committed. */
static SwarmTx *
next_tx (Bench *self, SwarmTx *tx)
{
  if (tx != NULL && swarm_tx_has_room (tx, 1))
    return tx;
  if (tx != NULL)
    commit (self, tx);
  return swarm_store_tx (self->store);
}

static SwarmNode *
make_node (Bench *self, guint i)
{
  SwarmNode *node = swarm_node_new ();

  node->object.id = swarm_random_id (&self->random.iface);
  node->spec = swarm_node_spec_new ();
  node->spec->labels = swarm_map_new ();
  g_hash_table_insert (node->spec->labels, g_strdup ("zone"), g_strdup_printf ("%c", 'a' + i % 3));
  node->description = swarm_node_description_new ();
  node->description->hostname = g_strdup_printf ("node-%u", i);
  node->description->platform = swarm_platform_new ();
  swarm_string_set (&node->description->platform->os, "linux");
  swarm_string_set (&node->description->platform->architecture, "amd64");
  node->description->resources = swarm_resources_new ();
  node->description->resources->nano_cpus = G_GINT64_CONSTANT (64000000000);
  node->description->resources->memory_bytes = G_GINT64_CONSTANT (256) << 30;
  node->cert_serial = g_strdup_printf ("%08x", i);
  swarm_node_set_state (node, SWARM_NODE_READY, "");
  swarm_string_set (&node->status->addr, "10.0.0.1");
  return node;
}

static SwarmService *
make_service (Bench *self, guint i, guint64 replicas)
{
  SwarmService *service = swarm_service_new ();
  SwarmServiceSpec *spec = swarm_service_spec_new ();

  service->object.id = swarm_random_id (&self->random.iface);
  service->spec = spec;
  service->spec_version = 1;
  spec->name = g_strdup_printf ("service-%u", i);
  spec->task = swarm_task_spec_new ();
  spec->task->container = swarm_container_spec_new ();
  swarm_string_set (&spec->task->container->image, "docker.io/library/nginx:latest");
  spec->task->restart_policy = swarm_restart_policy_new ();
  spec->task->restart_policy->delay = 0;
  spec->mode = swarm_service_mode_new ();
  spec->mode->replicated = swarm_replicated_new ();
  spec->mode->replicated->replicas = replicas;
  spec->task->placement = swarm_placement_new ();
  swarm_string_set (&spec->task->placement->strategy, self->shape->strategy);
  if (self->shape->preference) {
    SwarmPlacementPreference *preference = swarm_placement_preference_new ();
    preference->spread = swarm_spread_new ();
    swarm_string_set (&preference->spread->descriptor, "node.labels.zone");
    spec->task->placement->preferences = swarm_messages_new ();
    g_ptr_array_add (spec->task->placement->preferences, preference);
  }
  if (self->shape->constraints) {
    spec->task->placement->constraints = swarm_strings_new ();
    g_ptr_array_add (spec->task->placement->constraints, g_strdup ("node.labels.zone==a"));
  }
  return service;
}

/* A task as the allocator leaves it. */
static SwarmTask *
make_task (Bench *self, const SwarmService *service, guint64 slot)
{
  SwarmTask *task = swarm_task_new ();

  task->object.id = swarm_random_id (&self->random.iface);
  task->service_id = service->object.id;
  task->service_name = g_strdup (service->spec->name);
  task->slot = slot;
  task->spec = swarm_task_spec_ref (service->spec->task);
  task->spec_version = service->spec_version;
  task->status = swarm_task_status_new ();
  task->status->state = SWARM_TASK_PENDING;
  task->status->timestamp = swarm_clock_now (self->clock);
  swarm_string_set (&task->status->text, "pending task scheduling");
  task->desired_state = SWARM_TASK_RUNNING;
  return task;
}

static void
fill_nodes (Bench *self)
{
  SwarmTx *tx = NULL;

  for (guint i = 0; i < self->shape->nodes; i++) {
    g_autoptr (SwarmNode) node = make_node (self, i);
    tx = next_tx (self, tx);
    swarm_tx_create (tx, node);
    g_array_append_val (self->nodes, node->object.id);
  }
  commit (self, tx);
}

static guint
replicas_of (const SimBenchShape *shape, guint service)
{
  return shape->tasks / shape->services + (service < shape->tasks % shape->services);
}

static void
fill_tasks (Bench *self)
{
  SwarmTx *tx = NULL;

  for (guint i = 0; i < self->shape->services; i++) {
    SwarmService *service = make_service (self, i, replicas_of (self->shape, i));
    g_ptr_array_add (self->services, service);
    tx = next_tx (self, tx);
    swarm_tx_create (tx, service);
  }
  /* Tasks and their service in one transaction would be taken for leftovers of another spec: they share it when it is there. */
  commit (self, tx);
  tx = NULL;
  for (guint i = 0; i < self->shape->services; i++)
    for (guint slot = 1; slot <= replicas_of (self->shape, i); slot++) {
      const SwarmService *service = swarm_store_get (self->store, SWARM_KIND_SERVICE, &SWARM_OBJECT (self->services->pdata[i])->id);
      g_autoptr (SwarmTask) task = make_task (self, service, slot);
      tx = next_tx (self, tx);
      swarm_tx_create (tx, task);
    }
  commit (self, tx);
}

static void
count_waiting (const SwarmEvent *event, gpointer data)
{
  Bench *self = data;
  const SwarmTask *task = event->object, *before = event->previous;

  if (event->event == SWARM_EVENT_CREATE) {
    self->waiting += swarm_id_is_nil (&task->node_id);
  } else if (event->event == SWARM_EVENT_UPDATE && swarm_id_is_nil (&before->node_id)) {
    self->waiting -= !swarm_id_is_nil (&task->node_id) || task->status->state > SWARM_TASK_RUNNING;
    self->assigned += !swarm_id_is_nil (&task->node_id);
  }
}

/* This one manager, and no object for it: the nodes are all workers. */
static GArray *
list_members (gpointer data)
{
  return g_array_new (FALSE, TRUE, sizeof (SwarmMember));
}

static void
add_strategies (Bench *self)
{
  const SwarmPluginDescriptor *const descriptors[] = { &swarm_plugin_builtin_scheduler_spread, &swarm_plugin_builtin_scheduler_binpack,
                                                       &swarm_plugin_builtin_scheduler_random };
  SwarmPluginHostConfig host = { .clock = self->clock, .random = &self->random.iface };

  self->schedulers = swarm_scheduler_set_new ();
  for (guint i = 0; i < G_N_ELEMENTS (descriptors); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SwarmPlugin) plugin = swarm_plugin_from_descriptor (descriptors[i], SWARM_PLUGIN_SCHEDULER, &error);
    if (plugin == NULL || !swarm_scheduler_set_add (self->schedulers, plugin, &host, &error))
      g_error ("%s", error->message);
  }
}

static void
bench_open (Bench *self, const SimBenchShape *shape)
{
  malloc_trim (0); /* what the run before has left is not this one's */
  SwarmManagerConfig config;

  *self = (Bench){ .shape = shape, .clock = swarm_clock_glib (), .at_once = TRUE };
  sim_random_init (&self->random, 1);
  add_strategies (self);
  self->store = swarm_store_new (self->clock, &self->random.iface, propose, self);
  self->services = swarm_messages_new ();
  self->nodes = swarm_ids_new ();
  config = (SwarmManagerConfig){ .store = self->store, .clock = self->clock, .random = &self->random.iface,
                                 .members = { .list = list_members }, .schedulers = self->schedulers };
  config.self = swarm_random_id (&self->random.iface);
  self->manager = swarm_manager_new (&config);
  self->watch = swarm_store_watch (self->store, 1 << SWARM_KIND_TASK, count_waiting, self);
}

static void
bench_close (Bench *self)
{
  swarm_manager_free (self->manager);
  swarm_clock_clear_timer (self->clock, &self->timer);
  apply (self);
  swarm_store_unwatch (self->store, self->watch);
  swarm_store_free (self->store);
  swarm_scheduler_set_free (self->schedulers);
  g_ptr_array_unref (self->services);
  g_array_unref (self->nodes);
}

/* ---- measuring ---- */

static void
count_turn (Bench *self, gint64 took)
{
  guint i = 0;

  while (i < N_BOUNDS && took > bounds[i])
    i++;
  self->turns[i]++;
  self->longest = MAX (self->longest, took);
}

/* Lets the loop turn until nothing waits for a node. */
static void
run_until_placed (Bench *self)
{
  while (self->waiting > 0) {
    gint64 began = cpu_time ();

    g_main_context_iteration (NULL, TRUE);
    count_turn (self, cpu_time () - began);
  }
}

/* Or until the time is up: nodes that nobody beats for are down after some seconds, which is another story. */
static void
run_until_idle (Bench *self)
{
  gint64 end = g_get_monotonic_time () + self->limit;
  gboolean more = TRUE;

  while (more && (self->limit == 0 || g_get_monotonic_time () < end)) {
    gint64 began = cpu_time ();

    more = g_main_context_iteration (NULL, FALSE);
    count_turn (self, cpu_time () - began);
  }
}

static void
add_turns (Bench *self, JsonBuilder *json, const char *name)
{
  json_builder_set_member_name (json, name);
  json_builder_begin_object (json);
  for (guint i = 0; i <= N_BOUNDS; i++) {
    g_autofree char *label = i < N_BOUNDS ? g_strdup_printf ("<=%gms", (double) bounds[i] / 1000) : g_strdup ("more");
    json_builder_set_member_name (json, label);
    json_builder_add_int_value (json, self->turns[i]);
  }
  json_builder_set_member_name (json, "longest_ms");
  json_builder_add_double_value (json, (double) self->longest / 1000);
  json_builder_end_object (json);
  memset (self->turns, 0, sizeof self->turns);
  self->longest = 0;
}

static void
add_number (JsonBuilder *json, const char *name, double value)
{
  json_builder_set_member_name (json, name);
  json_builder_add_double_value (json, value);
}

static void
add_shape (const SimBenchShape *shape, JsonBuilder *json)
{
  add_number (json, "nodes", shape->nodes);
  add_number (json, "tasks", shape->tasks);
  add_number (json, "services", shape->services);
  json_builder_set_member_name (json, "constraints");
  json_builder_add_boolean_value (json, shape->constraints);
}

/* ---- losing nodes, failing tasks ---- */

static void
update_node (Bench *self, const SwarmId *id, SwarmNodeState state, SwarmTx **tx)
{
  g_autoptr (SwarmNode) copy = swarm_node_copy (swarm_store_get (self->store, SWARM_KIND_NODE, id));

  *tx = next_tx (self, *tx);
  swarm_node_set_state (copy, state, "heartbeat failure");
  swarm_tx_update (*tx, copy);
}

static void
lose_nodes (Bench *self, JsonBuilder *json)
{
  gint64 began = cpu_time (), wall = g_get_monotonic_time ();
  SwarmTx *tx = NULL;
  guint lost = MIN (self->shape->lost_nodes, self->nodes->len);
  guint64 bytes = self->log_bytes;

  self->assigned = 0;
  for (guint i = 0; i < lost; i++)
    update_node (self, &g_array_index (self->nodes, SwarmId, i), SWARM_NODE_DOWN, &tx);
  commit (self, tx);
  run_until_idle (self);
  add_number (json, "lost_nodes", lost);
  add_number (json, "lost_tasks_moved", self->assigned);
  add_number (json, "lost_tasks_waiting", self->waiting);
  add_number (json, "lost_cpu_seconds", (double) (cpu_time () - began) / G_USEC_PER_SEC);
  add_number (json, "lost_seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  add_number (json, "lost_log_mib", (double) (self->log_bytes - bytes) / (1 << 20));
  add_turns (self, json, "lost_turns");
}

static void
fail_task (Bench *self, const SwarmTask *task)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  SwarmTx *tx = swarm_store_tx (self->store);

  if (!swarm_task_set_state (copy, SWARM_TASK_FAILED, SWARM_WRITER_DISPATCHER, swarm_clock_now (self->clock), "started", "exit", &error))
    g_error ("%s", error->message);
  swarm_tx_update (tx, copy);
  commit (self, tx);
  run_until_idle (self);
}

/* One task of each service in turn, so that no service is looked at twice in a row. */
static void
fail_tasks (Bench *self, JsonBuilder *json)
{
  gint64 took = 0;

  for (guint i = 0; i < self->shape->failures; i++) {
    guint service = i % self->services->len;
    const SwarmId *id = &SWARM_OBJECT (self->services->pdata[service])->id;
    guint64 slot = 1 + (i / self->services->len) % replicas_of (self->shape, service);
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (self->store, id, slot);
    gint64 began;

    if (tasks->len == 0)
      continue;
    began = cpu_time ();
    fail_task (self, tasks->pdata[tasks->len - 1]);
    took += cpu_time () - began;
  }
  add_number (json, "failure_cpu_us", (double) took / MAX (self->shape->failures, 1));
  add_turns (self, json, "failure_turns");
}

JsonNode *
sim_bench_schedule (const SimBenchShape *shape)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  double before;
  gint64 began, wall;
  guint64 bytes;
  Bench bench;

  json_builder_begin_object (json);
  add_shape (shape, json);
  bench_open (&bench, shape);
  before = resident_mib ();
  swarm_manager_lead (bench.manager, TRUE);
  run_until_idle (&bench); /* its first look, at nothing */
  began = cpu_time ();
  fill_nodes (&bench);
  fill_tasks (&bench);
  add_number (json, "fill_cpu_seconds", (double) (cpu_time () - began) / G_USEC_PER_SEC);
  bench.at_once = FALSE;
  bytes = bench.log_bytes;
  wall = g_get_monotonic_time ();
  began = cpu_time ();
  run_until_placed (&bench);
  add_number (json, "seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  add_number (json, "cpu_seconds", (double) (cpu_time () - began) / G_USEC_PER_SEC);
  add_number (json, "log_mib", (double) (bench.log_bytes - bytes) / (1 << 20));
  add_turns (&bench, json, "turns");
  add_number (json, "resident_mib", resident_mib () - before);
  run_until_idle (&bench);
  add_turns (&bench, json, "idle_turns");
  if (shape->failures > 0)
    fail_tasks (&bench, json);
  if (shape->lost_nodes > 0)
    lose_nodes (&bench, json);
  add_number (json, "resident_end_mib", resident_mib () - before);
  bench_close (&bench);
  json_builder_end_object (json);
  return json_builder_get_root (json);
}

/* ---- waiting tasks, a new leader ---- */

static void
count_explained (const SwarmEvent *event, gpointer data)
{
  Bench *self = data;
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
  Bench bench;

  bench_open (&bench, &shape);
  before = resident_mib ();
  swarm_store_unwatch (bench.store, bench.watch);
  bench.watch = swarm_store_watch (bench.store, 1 << SWARM_KIND_TASK, count_explained, &bench);
  bench.at_once = FALSE;
  swarm_manager_lead (bench.manager, TRUE);
  service = make_service (&bench, 0, tasks);
  wall = g_get_monotonic_time ();
  began = cpu_time ();
  bench.waiting = tasks;
  tx = swarm_store_tx (bench.store);
  swarm_tx_create (tx, service);
  commit (&bench, tx);
  run_until_placed (&bench);
  json_builder_begin_object (json);
  add_number (json, "tasks", tasks);
  add_number (json, "seconds", (double) (g_get_monotonic_time () - wall) / G_USEC_PER_SEC);
  add_number (json, "cpu_seconds", (double) (cpu_time () - began) / G_USEC_PER_SEC);
  add_number (json, "log_mib", (double) bench.log_bytes / (1 << 20));
  add_number (json, "resident_mib", resident_mib () - before);
  add_turns (&bench, json, "turns");
  json_builder_end_object (json);
  bench_close (&bench);
  return json_builder_get_root (json);
}

static double
since (gint64 *began)
{
  gint64 now = cpu_time (), took = now - *began;

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
  Bench bench;

  bench_open (&bench, &shape);
  swarm_manager_lead (bench.manager, TRUE);
  run_until_idle (&bench);
  fill_nodes (&bench);
  fill_tasks (&bench);
  bench.at_once = FALSE;
  run_until_placed (&bench);
  swarm_manager_lead (bench.manager, FALSE);
  run_until_idle (&bench);
  memset (bench.turns, 0, sizeof bench.turns);
  bench.longest = 0;
  bench.limit = 2500 * 1000;
  json_builder_begin_object (json);
  add_shape (&shape, json);
  began = cpu_time ();
  swarm_manager_lead (bench.manager, TRUE);
  add_number (json, "lead_ms", since (&began));
  run_until_idle (&bench);
  add_number (json, "first_look_ms", since (&began));
  add_turns (&bench, json, "first_look_turns");
  swarm_manager_lead (bench.manager, FALSE);
  since (&began);
  snapshot = swarm_store_snapshot (bench.store);
  add_number (json, "snapshot_ms", since (&began));
  g_bytes_unref (swarm_snapshot_encode (snapshot));
  add_number (json, "encode_ms", since (&began)); /* on a thread of its own in the daemon */
  swarm_snapshot_free (snapshot);
  add_number (json, "snapshot_free_ms", since (&began));
  json_builder_end_object (json);
  bench_close (&bench);
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
  Bench bench;

  bench_open (&bench, &shape);
  for (guint i = 0; i < n; i++) {
    SwarmNode *node = make_node (&bench, i);
    g_ptr_array_add (nodes, node);
    g_array_append_val (bench.nodes, node->object.id);
  }
  began = cpu_time ();
  for (guint i = 0; i < n; i++) {
    tx = next_tx (&bench, tx);
    swarm_tx_create (tx, nodes->pdata[i]);
  }
  commit (&bench, tx);
  json_builder_begin_object (json);
  add_number (json, "objects", n);
  add_number (json, "create_us", (double) (cpu_time () - began) / n);
  began = cpu_time ();
  for (guint i = 0; i < n; i++)
    found += swarm_store_get (bench.store, SWARM_KIND_NODE, &g_array_index (bench.nodes, SwarmId, i)) != NULL;
  add_number (json, "get_us", (double) (cpu_time () - began) / n);
  g_assert_cmpuint (found, ==, n);
  began = cpu_time ();
  tx = NULL;
  for (guint i = 0; i < n; i++)
    update_node (&bench, &g_array_index (bench.nodes, SwarmId, i), SWARM_NODE_DOWN, &tx);
  commit (&bench, tx);
  add_number (json, "update_us", (double) (cpu_time () - began) / n);
  json_builder_end_object (json);
  bench_close (&bench);
  return json_builder_get_root (json);
}
