// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/bench-world.h"
#include "base/clock-glib.h"
#include "base/error.h"
#include "sim/sim-clock.h"
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread, swarm_plugin_builtin_scheduler_binpack,
  swarm_plugin_builtin_scheduler_random;

static const gint64 bounds[] = { 1000, 2000, 5000, 10000, 20000, 50000 };
G_STATIC_ASSERT (G_N_ELEMENTS (bounds) == SIM_BENCH_BOUNDS);

typedef struct {
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
} Proposal;

gint64
sim_bench_cpu_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return (gint64) time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

double
sim_bench_resident_mib (void)
{
  g_autofree char *text = NULL;
  unsigned long pages = 0;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL) || sscanf (text, "%*u %lu", &pages) != 1)
    return 0;
  return (double) pages * (double) sysconf (_SC_PAGESIZE) / (1 << 20);
}

/* ---- the log ---- */

static void
apply_one (SimBench *self)
{
  Proposal *proposal = g_queue_pop_head (&self->proposals);
  g_autoptr (GError) error = NULL;

  if (!swarm_store_apply (self->store, ++self->index, proposal->entry, &error))
    g_error ("%s", error->message);
  proposal->done (self->index, NULL, proposal->data);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
}

void
sim_bench_apply (SimBench *self)
{
  while (self->proposals.length > 0)
    apply_one (self);
}

static void
apply_later (gpointer data)
{
  SimBench *self = data;

  self->timer = NULL;
  if (self->proposals.length > 0) /* or all were applied meanwhile */
    apply_one (self);
  if (self->proposals.length > 0 && self->timer == NULL)
    self->timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, apply_later, self);
}

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SimBench *self = data;
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

void
sim_bench_commit (SimBench *self, SwarmTx *tx)
{
  swarm_tx_commit (tx, NULL, committed, NULL);
  if (self->at_once)
    sim_bench_apply (self);
}

/* A transaction with room for one more: @tx, or a new one after it is committed. */
SwarmTx *
sim_bench_next_tx (SimBench *self, SwarmTx *tx)
{
  if (tx != NULL && swarm_tx_has_room (tx, 1))
    return tx;
  if (tx != NULL)
    sim_bench_commit (self, tx);
  return swarm_store_tx (self->store);
}

SwarmNode *
sim_bench_make_node (SimBench *self, guint i)
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

SwarmService *
sim_bench_make_service (SimBench *self, guint i, guint64 replicas)
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
SwarmTask *
sim_bench_make_task (SimBench *self, const SwarmService *service, guint64 slot)
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

void
sim_bench_fill_nodes (SimBench *self)
{
  SwarmTx *tx = NULL;

  for (guint i = 0; i < self->shape->nodes; i++) {
    g_autoptr (SwarmNode) node = sim_bench_make_node (self, i);
    tx = sim_bench_next_tx (self, tx);
    swarm_tx_create (tx, node);
    g_array_append_val (self->nodes, node->object.id);
  }
  sim_bench_commit (self, tx);
}

guint
sim_bench_replicas_of (const SimBenchShape *shape, guint service)
{
  return shape->tasks / shape->services + (service < shape->tasks % shape->services);
}

void
sim_bench_fill_tasks (SimBench *self)
{
  SwarmTx *tx = NULL;

  for (guint i = 0; i < self->shape->services; i++) {
    SwarmService *service = sim_bench_make_service (self, i, sim_bench_replicas_of (self->shape, i));
    g_ptr_array_add (self->services, service);
    tx = sim_bench_next_tx (self, tx);
    swarm_tx_create (tx, service);
  }
  /* Tasks and their service in one transaction would be taken for leftovers of another spec: they share it when it is there. */
  sim_bench_commit (self, tx);
  tx = NULL;
  for (guint i = 0; i < self->shape->services; i++)
    for (guint slot = 1; slot <= sim_bench_replicas_of (self->shape, i); slot++) {
      const SwarmService *service = swarm_store_get (self->store, SWARM_KIND_SERVICE, &SWARM_OBJECT (self->services->pdata[i])->id);
      g_autoptr (SwarmTask) task = sim_bench_make_task (self, service, slot);
      tx = sim_bench_next_tx (self, tx);
      swarm_tx_create (tx, task);
    }
  sim_bench_commit (self, tx);
}

static void
count_waiting (const SwarmEvent *event, gpointer data)
{
  SimBench *self = data;
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
add_strategies (SimBench *self)
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

/* Without one the allocator hands nothing on. */
static void
make_cluster (SimBench *self)
{
  g_autoptr (SwarmCluster) cluster = swarm_cluster_new ();
  SwarmTx *tx = swarm_store_tx (self->store);

  cluster->object.id = swarm_random_id (&self->random.iface);
  cluster->feature_level = SWARM_FEATURE_LEVEL;
  cluster->spec = swarm_cluster_spec_new ();
  cluster->root_ca = swarm_root_ca_new ();
  cluster->networks_made = TRUE;
  swarm_tx_create (tx, cluster);
  sim_bench_commit (self, tx);
}

void
sim_bench_open (SimBench *self, const SimBenchShape *shape)
{
  malloc_trim (0); /* what the run before has left is not this one's */
  SwarmManagerConfig config;

  *self = (SimBench){ .shape = shape, .clock = swarm_clock_glib (), .at_once = TRUE };
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
  make_cluster (self);
}

void
sim_bench_close (SimBench *self)
{
  swarm_manager_free (self->manager);
  swarm_clock_clear_timer (self->clock, &self->timer);
  sim_bench_apply (self);
  swarm_store_unwatch (self->store, self->watch);
  swarm_store_free (self->store);
  swarm_scheduler_set_free (self->schedulers);
  g_ptr_array_unref (self->services);
  g_array_unref (self->nodes);
}

/* ---- measuring ---- */

void
sim_bench_count_turn (SimBench *self, gint64 took)
{
  guint i = 0;

  while (i < SIM_BENCH_BOUNDS && took > bounds[i])
    i++;
  self->turns[i]++;
  self->longest = MAX (self->longest, took);
}

/* Lets the loop turn until nothing waits for a node. */
void
sim_bench_run_until_placed (SimBench *self)
{
  while (self->waiting > 0) {
    gint64 began = sim_bench_cpu_time ();

    g_main_context_iteration (NULL, TRUE);
    sim_bench_count_turn (self, sim_bench_cpu_time () - began);
  }
}

/* Or until the time is up: nodes that nobody beats for are down after some seconds, which is another story. */
void
sim_bench_run_until_idle (SimBench *self)
{
  gint64 end = g_get_monotonic_time () + self->limit;
  gboolean more = TRUE;

  while (more && (self->limit == 0 || g_get_monotonic_time () < end)) {
    gint64 began = sim_bench_cpu_time ();

    more = g_main_context_iteration (NULL, FALSE);
    sim_bench_count_turn (self, sim_bench_cpu_time () - began);
  }
}

void
sim_bench_add_turns (SimBench *self, JsonBuilder *json, const char *name)
{
  json_builder_set_member_name (json, name);
  json_builder_begin_object (json);
  for (guint i = 0; i <= SIM_BENCH_BOUNDS; i++) {
    g_autofree char *label = i < SIM_BENCH_BOUNDS ? g_strdup_printf ("<=%gms", (double) bounds[i] / 1000) : g_strdup ("more");
    json_builder_set_member_name (json, label);
    json_builder_add_int_value (json, self->turns[i]);
  }
  json_builder_set_member_name (json, "longest_ms");
  json_builder_add_double_value (json, (double) self->longest / 1000);
  json_builder_end_object (json);
  memset (self->turns, 0, sizeof self->turns);
  self->longest = 0;
}

void
sim_bench_add_number (JsonBuilder *json, const char *name, double value)
{
  json_builder_set_member_name (json, name);
  json_builder_add_double_value (json, value);
}

void
sim_bench_add_shape (const SimBenchShape *shape, JsonBuilder *json)
{
  sim_bench_add_number (json, "nodes", shape->nodes);
  sim_bench_add_number (json, "tasks", shape->tasks);
  sim_bench_add_number (json, "services", shape->services);
  json_builder_set_member_name (json, "constraints");
  json_builder_add_boolean_value (json, shape->constraints);
}
