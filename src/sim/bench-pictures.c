// SPDX-License-Identifier: LGPL-2.1-or-later
/* What it costs the leader that every node knows the routing mesh: nodes with sessions, a service with a published port, and links that take
 * everything and answer in the next turn. What a link does with a message is not measured. */
#include "base/error.h"
#include "sim/bench-world.h"
#include <string.h>

#define ANSWERS 64 /* in a turn */
#define QUIET_US (300 * G_TIME_SPAN_MILLISECOND)
#define RUNNING_LATER 200 /* tasks that fit into one transaction */
#define FIRST_ADDRESS 0x0a000002u

typedef struct {
  SimBench bench;
  GPtrArray *links;
  GQueue answers; /* of Answer */
  SwarmTimer *timer;
  guint64 calls, bytes; /* of pictures */
  GArray *starting; /* SwarmId of tasks */
} World;

typedef struct {
  SwarmReplyFunc func;
  gpointer data;
} Answer;

typedef struct {
  SwarmLink link;
  World *world;
} Link;

/* ---- links ---- */

static void
answer_some (gpointer data)
{
  World *self = data;
  g_autoptr (GVariant) reply = g_variant_ref_sink (g_variant_new ("()"));

  self->timer = NULL;
  for (guint i = 0; i < ANSWERS && self->answers.length > 0; i++) {
    g_autofree Answer *answer = g_queue_pop_head (&self->answers);
    answer->func (reply, NULL, answer->data);
  }
  if (self->answers.length > 0 && self->timer == NULL)
    self->timer = swarm_clock_timer (self->bench.clock, 0, SWARM_PRIORITY_NORMAL, answer_some, self);
}

static void
link_call (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout, SwarmReplyFunc func, gpointer data)
{
  World *self = ((Link *) link)->world;
  Answer *answer = g_new (Answer, 1);

  if (strcmp (member, "Networks") == 0) {
    g_autoptr (GVariant) rows = g_variant_get_child_value (args, 3), removed = g_variant_get_child_value (args, 4);
    self->calls++;
    self->bytes += g_variant_n_children (rows) + g_variant_n_children (removed);
  }
  *answer = (Answer){ func, data };
  g_queue_push_tail (&self->answers, answer);
  if (self->timer == NULL)
    self->timer = swarm_clock_timer (self->bench.clock, 0, SWARM_PRIORITY_NORMAL, answer_some, self);
}

static gboolean
link_send (SwarmLink *link, const char *iface, const char *member, GVariant *args)
{
  return TRUE;
}

static void
link_close (SwarmLink *link, const GError *reason)
{
  link->is_up = FALSE;
}

static void
link_free (SwarmLink *link)
{
  g_free (link);
}

static const SwarmLinkOps link_ops = { .call = link_call, .send = link_send, .close = link_close, .free = link_free };

static void
registered (const SwarmRegistration *registration, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static void
register_node (World *self, const SwarmId *id)
{
  const SwarmNode *node = swarm_store_get (self->bench.store, SWARM_KIND_NODE, id);
  Link *link = g_new0 (Link, 1);

  link->world = self;
  link->link = (SwarmLink){ .ops = &link_ops, .ref_count = 1, .is_up = TRUE, .peer = { .role = SWARM_PEER_WORKER, .node = *id } };
  g_ptr_array_add (self->links, link);
  swarm_dispatcher_register (swarm_manager_dispatcher (self->bench.manager), &link->link, node->description, "", registered, NULL);
}

/* ---- the cluster ---- */

static char *
address (guint number)
{
  guint32 bits = FIRST_ADDRESS + number;

  return g_strdup_printf ("%u.%u.%u.%u/16", bits >> 24, bits >> 16 & 255, bits >> 8 & 255, bits & 255);
}

/* Nodes beat once in a while only: they are not what is measured. */
static void
slow_beats (World *self)
{
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (swarm_store_cluster (self->bench.store));
  SwarmTx *tx = swarm_store_tx (self->bench.store);
  SwarmClusterSpec *spec = swarm_cluster_spec_copy (copy->spec);

  spec->dispatcher = swarm_dispatcher_config_new ();
  spec->dispatcher->heartbeat_period = G_GINT64_CONSTANT (3600) * 1000 * 1000 * 1000;
  swarm_message_unref (copy->spec);
  copy->spec = spec;
  swarm_tx_update (tx, copy);
  sim_bench_commit (&self->bench, tx);
}

static SwarmId
make_ingress (World *self)
{
  g_autoptr (SwarmNetwork) network = swarm_network_new ();
  SwarmIPAMConfig *config = swarm_ipam_config_new ();
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  network->object.id = swarm_random_id (&self->bench.random.iface);
  network->spec = swarm_network_spec_new ();
  network->spec->name = g_strdup ("ingress");
  network->spec->driver = g_strdup (SWARM_DRIVER_OVERLAY);
  network->spec->ingress = TRUE;
  network->vni = 4096;
  config->subnet = g_strdup ("10.0.0.0/16");
  network->ipam = swarm_ipam_new ();
  network->ipam->config = swarm_messages_new ();
  g_ptr_array_add (network->ipam->config, config);
  swarm_tx_create (tx, network);
  sim_bench_commit (&self->bench, tx);
  return network->object.id;
}

static void
make_nodes (World *self)
{
  SwarmId ingress = make_ingress (self);
  SwarmTx *tx = NULL;

  for (guint i = 0; i < self->bench.shape->nodes; i++) {
    g_autoptr (SwarmNode) node = sim_bench_make_node (&self->bench, i);
    node->description->feature_level = SWARM_FEATURE_LEVEL;
    node->network = swarm_node_network_new ();
    node->network->number = 1 + i % SWARM_NODE_NUMBER_LAST; /* more nodes than there are numbers, here */
    node->network->gateway = g_strdup_printf ("10.%u.%u.1/24", 1 + i / 256, i % 256);
    node->network->ingress_address = address (i);
    node->network->ingress = ingress;
    tx = sim_bench_next_tx (&self->bench, tx);
    swarm_tx_create (tx, node);
    g_array_append_val (self->bench.nodes, node->object.id);
  }
  sim_bench_commit (&self->bench, tx);
}

static SwarmService *
make_service (World *self, guint number, guint64 replicas)
{
  SwarmService *service = sim_bench_make_service (&self->bench, number, replicas);
  SwarmPortConfig *port = swarm_port_config_new ();

  port->target_port = 80;
  port->published_port = 8080;
  port->publish_mode = SWARM_PUBLISH_INGRESS;
  service->spec->endpoint = swarm_endpoint_spec_new ();
  service->spec->endpoint->ports = swarm_messages_new ();
  g_ptr_array_add (service->spec->endpoint->ports, port);
  service->endpoint = swarm_endpoint_new ();
  service->endpoint->spec = swarm_endpoint_spec_ref (service->spec->endpoint);
  service->endpoint->ports = swarm_messages_new ();
  g_ptr_array_add (service->endpoint->ports, swarm_port_config_ref (port));
  return service;
}

/* Of the tasks, the first few are on their way to run. */
static void
make_tasks (World *self)
{
  guint n = self->bench.shape->tasks;
  g_autoptr (SwarmService) service = make_service (self, 0, n);
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  swarm_tx_create (tx, service);
  sim_bench_commit (&self->bench, tx);
  tx = NULL;
  for (guint slot = 1; slot <= n; slot++) {
    g_autoptr (SwarmTask) task = sim_bench_make_task (&self->bench, service, slot);
    guint at = slot % self->bench.nodes->len;
    task->node_id = g_array_index (self->bench.nodes, SwarmId, at);
    task->endpoint = swarm_endpoint_spec_ref (service->spec->endpoint);
    task->gateway_address = g_strdup_printf ("10.%u.%u.%u/24", 1 + at / 256, at % 256, 3 + slot / self->bench.nodes->len % 250);
    task->status->state = slot <= RUNNING_LATER ? SWARM_TASK_STARTING : SWARM_TASK_RUNNING;
    if (slot <= RUNNING_LATER)
      g_array_append_val (self->starting, task->object.id);
    tx = sim_bench_next_tx (&self->bench, tx);
    swarm_tx_create (tx, task);
  }
  sim_bench_commit (&self->bench, tx);
}

/* In one transaction. */
static void
all_run (World *self)
{
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  for (guint i = 0; i < self->starting->len; i++) {
    const SwarmTask *task = swarm_store_get (self->bench.store, SWARM_KIND_TASK, &g_array_index (self->starting, SwarmId, i));
    g_autoptr (SwarmTask) copy = swarm_task_copy (task);
    g_autoptr (GError) error = NULL;
    if (!swarm_task_set_state (copy, SWARM_TASK_RUNNING, SWARM_WRITER_DISPATCHER, swarm_clock_now (self->bench.clock), "started", NULL, &error))
      g_error ("%s", error->message);
    swarm_tx_update (tx, copy);
  }
  sim_bench_commit (&self->bench, tx);
}

/* ---- measuring ---- */

static void
run_until_quiet (World *self, JsonBuilder *json, const char *name)
{
  gint64 last = g_get_monotonic_time (), first = last, began = sim_bench_cpu_time ();
  guint64 calls = self->calls, bytes = self->bytes;
  double before = sim_bench_resident_mib ();

  while (g_get_monotonic_time () < last + QUIET_US) {
    gint64 turn = sim_bench_cpu_time ();
    if (!g_main_context_iteration (NULL, FALSE)) {
      g_usleep (500);
      continue;
    }
    sim_bench_count_turn (&self->bench, sim_bench_cpu_time () - turn);
    last = g_get_monotonic_time ();
  }
  json_builder_set_member_name (json, name);
  json_builder_begin_object (json);
  sim_bench_add_number (json, "seconds", (double) (last - first) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "cpu_seconds", (double) (sim_bench_cpu_time () - began) / G_USEC_PER_SEC);
  sim_bench_add_number (json, "calls", (double) (self->calls - calls));
  sim_bench_add_number (json, "mbytes", (double) (self->bytes - bytes) / 1e6);
  sim_bench_add_number (json, "resident_mib_before", before);
  sim_bench_add_number (json, "resident_mib", sim_bench_resident_mib ());
  sim_bench_add_turns (&self->bench, json, "turns");
  json_builder_end_object (json);
}

static void
run_all (World *self, JsonBuilder *json)
{
  SimBench *bench = &self->bench;

  run_until_quiet (self, json, "nodes and tasks");
  for (guint i = 0; i < bench->nodes->len; i++) {
    register_node (self, &g_array_index (bench->nodes, SwarmId, i));
    if (i % ANSWERS == 0)
      g_main_context_iteration (NULL, FALSE);
  }
  run_until_quiet (self, json, "all register");
  all_run (self);
  run_until_quiet (self, json, "tasks run, one transaction");
}

static void
remove_service (World *self, const SwarmId *id)
{
  SwarmTx *tx = swarm_store_tx (self->bench.store);

  swarm_tx_remove (tx, SWARM_KIND_SERVICE, id, 0);
  sim_bench_commit (&self->bench, tx);
}

JsonNode *
sim_bench_waiting (guint tasks)
{
  SimBenchShape shape = { .tasks = tasks, .services = 1 };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  World world = { 0 };
  SwarmId holder = SWARM_ID_NIL;

  sim_bench_open (&world.bench, &shape);
  swarm_manager_lead (world.bench.manager, TRUE);
  make_ingress (&world);
  world.bench.at_once = FALSE;
  json_builder_begin_object (json);
  sim_bench_add_shape (&shape, json);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (SwarmService) service = make_service (&world, i, i == 0 ? 1 : tasks);
    SwarmTx *tx = swarm_store_tx (world.bench.store);
    swarm_message_clear_pointer (&service->endpoint);
    swarm_tx_create (tx, service);
    sim_bench_commit (&world.bench, tx);
    holder = i == 0 ? service->object.id : holder;
    run_until_quiet (&world, json, i == 0 ? "one has the port" : "all of another wait for it");
  }
  remove_service (&world, &holder);
  run_until_quiet (&world, json, "they get it");
  json_builder_end_object (json);
  sim_bench_close (&world.bench);
  return json_builder_get_root (json);
}

JsonNode *
sim_bench_pictures (guint nodes, guint tasks)
{
  SimBenchShape shape = { .nodes = nodes, .tasks = tasks, .services = 1 };
  g_autoptr (JsonBuilder) json = json_builder_new ();
  World world = { 0 };

  sim_bench_open (&world.bench, &shape);
  g_queue_init (&world.answers);
  world.links = g_ptr_array_new ();
  world.starting = swarm_ids_new ();
  swarm_manager_lead (world.bench.manager, TRUE);
  slow_beats (&world);
  make_nodes (&world);
  make_tasks (&world);
  world.bench.at_once = FALSE;
  json_builder_begin_object (json);
  sim_bench_add_shape (&shape, json);
  run_all (&world, json);
  json_builder_end_object (json);
  swarm_manager_lead (world.bench.manager, FALSE);
  swarm_clock_clear_timer (world.bench.clock, &world.timer);
  while (world.answers.length > 0) {
    g_autofree Answer *answer = g_queue_pop_head (&world.answers);
    answer->func (NULL, NULL, answer->data);
  }
  for (guint i = 0; i < world.links->len; i++)
    swarm_link_unref (world.links->pdata[i]);
  g_ptr_array_unref (world.links);
  g_array_unref (world.starting);
  sim_bench_close (&world.bench);
  return json_builder_get_root (json);
}
