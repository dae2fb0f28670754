// SPDX-License-Identifier: LGPL-2.1-or-later
/* How a simulated cluster comes to be: init, joins, the end. */
#include "base/error.h"
#include "runtime-sim.h"
#include "sim/sim-cluster.h"
#include "sim/sim-promises.h"

#define LIMIT_US (60 * G_TIME_SPAN_SECOND)

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread, swarm_plugin_builtin_scheduler_binpack,
  swarm_plugin_builtin_scheduler_random, swarm_plugin_builtin_network_host;

static gboolean
somebody_leads (SimCluster *self, gpointer data)
{
  return sim_cluster_leader (self) != NULL;
}

static gboolean
is_set (SimCluster *self, gpointer data)
{
  return *(gboolean *) data;
}

static void
wait_for (SimCluster *self, gboolean (*done) (SimCluster *self, gpointer data), gpointer data, const char *what)
{
  if (!sim_cluster_run_until (self, LIMIT_US, done, data))
    g_error ("no end in sight: %s", what);
}

static void
founded (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  if (error != NULL)
    g_error ("init: %s", error->message);
  *(gboolean *) data = TRUE;
}

static void
found_cluster (SimCluster *self, SimMachine *machine, const SwarmClusterSpec *spec)
{
  SimWorld *world = &self->world;
  g_autofree char *cert = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GString) hex = g_string_new (NULL);
  gboolean done = FALSE;
  machine->founder = TRUE;
  machine->id = swarm_id_is_nil (&machine->wish) ? swarm_random_id (&world->random.iface) : machine->wish;
  sim_machine_start (machine);
  wait_for (self, somebody_leads, NULL, "the founder leads");
  SwarmInitCluster init = { .cluster = world->cluster, .node = machine->id, .cert_serial = "0", .addr = machine->address,
                            .availability = machine->availability, .spec = spec };
  world->crypto.iface.create_root (&world->crypto.iface, swarm_clock_now (world->clock), &cert, &key, NULL);
  world->crypto.iface.root_digest (&world->crypto.iface, cert, init.root_digest_bytes, NULL);
  for (guint i = 0; i < 32; i++)
    g_string_append_printf (hex, "%02x", init.root_digest_bytes[i]);
  init.root_cert_pem = cert;
  init.root_key_pem = key;
  init.root_digest = hex->str;
  swarm_control_init_cluster (swarm_manager_control (machine->brain), &init, NULL, founded, &done);
  wait_for (self, is_set, &done, "init");
}

typedef struct {
  SimMachine *machine;
  gboolean done;
} Join;

static void
issued (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  Join *join = data;
  if (error != NULL)
    g_error ("%s cannot join: %s", join->machine->name, error->message);
  join->machine->id = reply->node;
  join->done = TRUE;
}

static void
added (guint64 raft_id, const GError *error, gpointer data)
{
  Join *join = data;
  if (error != NULL)
    g_error ("%s is not added: %s", join->machine->name, error->message);
  join->machine->raft_id = raft_id;
  join->done = TRUE;
}

/* The leader's role changes make it a voter. */
static gboolean
votes (SimCluster *self, gpointer data)
{
  SimMachine *leader = sim_cluster_leader (self);
  const SwarmNode *node = leader != NULL ? swarm_store_get (leader->store, SWARM_KIND_NODE, &((SimMachine *) data)->id) : NULL;
  return node != NULL && node->manager_status != NULL;
}

/* Asks for a certificate; the leader's store has the node when @done is called. */
static void
ask_to_join (SimCluster *self, SimMachine *leader, SimMachine *machine, SwarmCAFunc done, gpointer data)
{
  const SwarmJoinTokens *tokens = swarm_store_cluster (leader->store)->root_ca->tokens;
  g_autofree char *csr = sim_crypto_csr (&self->world.crypto);
  if (!swarm_id_is_nil (&machine->wish))
    self->world.random.next_id = &machine->wish;
  swarm_ca_server_issue (swarm_manager_ca_server (leader->brain), csr, machine->manager || machine->to_manage ? tokens->manager : tokens->worker,
                         swarm_availability_to_string (machine->availability), machine->address, done, data);
  self->world.random.next_id = NULL;
}

static void
join_cluster (SimCluster *self, SimMachine *machine)
{
  SimMachine *leader = sim_cluster_leader (self);
  Join join = { machine, FALSE };
  ask_to_join (self, leader, machine, issued, &join);
  wait_for (self, is_set, &join.done, "a certificate");
  if (!machine->manager) {
    sim_machine_start (machine);
    return;
  }
  join.done = FALSE;
  swarm_consensus_add (leader->consensus, &machine->id, machine->address, added, &join);
  wait_for (self, is_set, &join.done, "a member is added");
  sim_machine_start (machine);
  wait_for (self, votes, machine, "a member votes");
}

static void late_join (gpointer data);

static void
late_issued (const SwarmCAReply *reply, const GError *error, gpointer data)
{
  SimMachine *machine = data;
  if (error != NULL) {
    swarm_clock_timer (machine->world->clock, G_TIME_SPAN_SECOND, SWARM_PRIORITY_NORMAL, late_join, machine);
    return;
  }
  machine->id = reply->node;
  machine->absent = FALSE;
  sim_machine_start (machine);
}

static void
late_join (gpointer data)
{
  SimMachine *machine = data;
  SimCluster *self = machine->world->store_opened_data;
  SimMachine *leader = sim_cluster_leader (self);
  if (leader != NULL)
    ask_to_join (self, leader, machine, late_issued, machine);
  else
    swarm_clock_timer (self->world.clock, G_TIME_SPAN_SECOND, SWARM_PRIORITY_NORMAL, late_join, machine);
}

void
sim_cluster_join (SimCluster *self, SimMachine *machine)
{
  if (!machine->absent || machine->joining)
    return;
  machine->joining = TRUE;
  late_join (machine);
}

static gboolean
all_ready (SimCluster *self, gpointer data)
{
  for (guint i = 0; i < self->world.machines->len; i++) {
    SimMachine *machine = sim_cluster_machine (self, i);
    const SwarmNode *node = swarm_store_get (sim_cluster_store (self), SWARM_KIND_NODE, &machine->id);
    if (machine->absent)
      continue;
    if (node == NULL || node->status->state != SWARM_NODE_READY)
      return FALSE;
  }
  return TRUE;
}

static SwarmPlugin *
builtin (const SwarmPluginDescriptor *descriptor, SwarmPluginKind kind)
{
  g_autoptr (GError) error = NULL;
  SwarmPlugin *plugin = swarm_plugin_from_descriptor (descriptor, kind, &error);
  if (plugin == NULL)
    g_error ("%s", error->message);
  return plugin;
}

static void
add_machine (SimCluster *self, const SimMachineConfig *config)
{
  SimMachine *machine = sim_machine_new (&self->world, self->world.machines->len + 1, config);
  g_ptr_array_add (self->world.machines, machine);
  g_hash_table_insert (self->by_name, machine->name, machine);
}

static void
add_machines (SimCluster *self, const SimClusterConfig *config)
{
  for (guint i = 0; config->machines != NULL && i < config->machines->len; i++)
    add_machine (self, &g_array_index (config->machines, SimMachineConfig, i));
  for (guint i = 0; config->machines == NULL && i < config->managers + config->workers; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i + 1);
    add_machine (self, &(SimMachineConfig){ .name = name, .manager = i < config->managers });
  }
}

static void
make_world (SimCluster *self, const SimClusterConfig *config)
{
  SimWorld *world = &self->world;
  world->sim = sim_clock_new (G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC);
  world->clock = sim_clock_iface (world->sim);
  sim_random_init (&world->random, config->seed);
  sim_hurry_init (&world->hurry, world->clock, config->seed, config->look_us);
  sim_crypto_init (&world->crypto, &world->random);
  world->net = sim_net_new (world->sim, &world->random, 100, 1500);
  world->cluster = swarm_random_id (&world->random.iface);
  world->machines = g_ptr_array_new ();
  world->brains = g_ptr_array_new ();
  world->kept = g_variant_ref_sink (g_variant_new ("((ay)())", NULL));
  world->runtime = builtin (&swarm_plugin_builtin_runtime_sim, SWARM_PLUGIN_RUNTIME);
  world->network = builtin (&swarm_plugin_builtin_network_host, SWARM_PLUGIN_NETWORK);
  world->schedulers[0] = builtin (&swarm_plugin_builtin_scheduler_spread, SWARM_PLUGIN_SCHEDULER);
  world->schedulers[1] = builtin (&swarm_plugin_builtin_scheduler_binpack, SWARM_PLUGIN_SCHEDULER);
  world->schedulers[2] = builtin (&swarm_plugin_builtin_scheduler_random, SWARM_PLUGIN_SCHEDULER);
  world->store_opened = sim_cluster_store_opened;
  world->store_opened_data = self;
  if (config->simple_log)
    world->log = sim_log_new (world->sim, 1000);
}

SimCluster *
sim_cluster_new (const SimClusterConfig *config)
{
  SimCluster *self = g_new0 (SimCluster, 1);
  runtime_sim_reset ();
  self->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  make_world (self, config);
  self->promises = sim_promises_new (self);
  add_machines (self, config);
  found_cluster (self, sim_cluster_machine (self, 0), config->spec);
  for (guint i = 1; i < self->world.machines->len; i++) {
    if (!sim_cluster_machine (self, i)->absent)
      join_cluster (self, sim_cluster_machine (self, i));
  }
  wait_for (self, all_ready, NULL, "all nodes are ready");
  return self;
}

void
sim_cluster_free (SimCluster *self)
{
  SimWorld *world = &self->world;
  self->on_commit = NULL;
  self->on_change = NULL;
  self->lenient = TRUE;
  for (guint i = 0; i < world->machines->len; i++)
    sim_machine_kill (sim_cluster_machine (self, i));
  sim_clock_run (world->sim, 10 * G_TIME_SPAN_SECOND);
  sim_promises_free (self->promises);
  for (guint i = 0; i < world->machines->len; i++)
    sim_machine_free (sim_cluster_machine (self, i));
  g_hash_table_unref (self->by_name);
  g_ptr_array_unref (world->machines);
  g_ptr_array_unref (world->brains);
  g_variant_unref (world->kept);
  sim_net_free (world->net);
  sim_log_free (world->log);
  swarm_plugin_unref (world->runtime);
  swarm_plugin_unref (world->network);
  for (guint i = 0; i < G_N_ELEMENTS (world->schedulers); i++)
    swarm_plugin_unref (world->schedulers[i]);
  runtime_sim_reset ();
  sim_clock_free (world->sim);
  g_free (self->broken);
  g_free (self);
}
