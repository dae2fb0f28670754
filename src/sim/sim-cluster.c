// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-cluster.h"
#include "base/error.h"
#include "runtime-sim.h"

#define STEP_US (10 * G_TIME_SPAN_MILLISECOND)
#define LIMIT_US (60 * G_TIME_SPAN_SECOND)
/* How long an agent may be away before its tasks are replaced (with what it takes to notice), and how long it has after its return. */
#define AWAY_US (2 * G_TIME_SPAN_SECOND)
#define GRACE_US (58 * G_TIME_SPAN_SECOND)
#define RETURN_US (15 * G_TIME_SPAN_SECOND)

extern const SwarmPluginDescriptor swarm_plugin_builtin_scheduler_spread, swarm_plugin_builtin_scheduler_binpack,
  swarm_plugin_builtin_scheduler_random, swarm_plugin_builtin_network_host;

SimMachine *
sim_cluster_machine (SimCluster *self, guint index)
{
  return g_ptr_array_index (self->world.machines, index);
}

guint
sim_cluster_n_machines (SimCluster *self)
{
  return self->world.machines->len;
}

SimMachine *
sim_cluster_leader (SimCluster *self)
{
  SimMachine *leader = NULL;
  guint64 term = 0;
  for (guint i = 0; i < self->world.machines->len; i++) {
    SimMachine *machine = sim_cluster_machine (self, i);
    if (!sim_machine_leads (machine))
      continue;
    /* One that was cut off may believe in itself a little longer. */
    guint64 its = machine->consensus != NULL ? swarm_consensus_term (machine->consensus) : 1;
    if (leader == NULL || its > term) {
      leader = machine;
      term = its;
    }
  }
  return leader;
}

SwarmStore *
sim_cluster_store (SimCluster *self)
{
  SimMachine *leader = sim_cluster_leader (self);
  if (leader == NULL)
    g_error ("nobody leads");
  return leader->store;
}

/* ---- invariants ---- */

/* The leader took its goodbye: one that nobody could hear gives no grace. */
static gboolean
has_grace (SimCluster *self, SimMachine *machine)
{
  SimMachine *leader = sim_cluster_leader (self);
  const SwarmNode *node = leader != NULL ? swarm_store_get (leader->store, SWARM_KIND_NODE, &machine->id) : NULL;
  return !machine->running && node != NULL && node->status->state == SWARM_NODE_DISCONNECTED
         && g_strcmp0 (node->status->text, "agent stopped") == 0;
}

static void
check_presence (SimCluster *self, SimMachine *machine)
{
  gint64 now = sim_clock_time (self->world.sim);
  gboolean gone = !machine->running || machine->cut || machine->session != SWARM_SESSION_REGISTERED;
  if (!gone) {
    machine->gone_since = 0;
    if (machine->excused && now > machine->excused_until)
      machine->excused = FALSE;
    return;
  }
  if (machine->gone_since == 0)
    machine->gone_since = now;
  if (now - machine->gone_since > (has_grace (self, machine) ? GRACE_US : AWAY_US))
    machine->excused = TRUE;
  machine->excused_until = now + RETURN_US;
}

static SimMachine *
machine_by_name (SimCluster *self, const char *name)
{
  for (guint i = 0; i < self->world.machines->len; i++) {
    SimMachine *machine = sim_cluster_machine (self, i);
    if (g_str_equal (machine->name, name))
      return machine;
  }
  return NULL;
}

typedef struct {
  SimCluster *cluster;
  SwarmStore *store;
  GHashTable *slots; /* "service id/slot" → task id */
} SlotCheck;

static void
check_container (const RuntimeSimTask *container, gpointer data)
{
  SlotCheck *check = data;
  SwarmId id;
  SimMachine *machine = machine_by_name (check->cluster, container->host);
  if (container->starts > 1)
    g_error ("broken promise: task %s was started %u times", container->name, container->starts);
  if (!container->running || !machine->powered || machine->excused || check->store == NULL || !swarm_id_parse (container->task_id, &id))
    return;
  const SwarmTask *task = swarm_store_get (check->store, SWARM_KIND_TASK, &id);
  if (task == NULL)
    return;
  char *key = g_strdup_printf ("%s/%" G_GUINT64_FORMAT, swarm_id_string (&task->service_id).str, task->slot);
  const char *other = g_hash_table_lookup (check->slots, key);
  if (other != NULL)
    g_error ("broken promise: slot %" G_GUINT64_FORMAT " of %s runs twice: %s and %s on %s", task->slot, container->service, other,
             container->task_id, container->host);
  g_hash_table_insert (check->slots, key, (gpointer) container->task_id);
}

static void
check_invariants (SimCluster *self)
{
  SimMachine *leader = sim_cluster_leader (self);
  g_autoptr (GHashTable) slots = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  SlotCheck check = { self, leader != NULL ? leader->store : NULL, slots };
  for (guint i = 0; i < self->world.machines->len; i++)
    check_presence (self, sim_cluster_machine (self, i));
  runtime_sim_foreach (NULL, check_container, &check);
}

/* ---- time ---- */

void
sim_cluster_run (SimCluster *self, gint64 us)
{
  while (us > 0) {
    gint64 step = MIN (us, STEP_US);
    sim_clock_run (self->world.sim, step);
    check_invariants (self);
    us -= step;
  }
}

gboolean
sim_cluster_run_until (SimCluster *self, gint64 limit_us, gboolean (*done) (SimCluster *self, gpointer data), gpointer data)
{
  gint64 end = sim_clock_time (self->world.sim) + limit_us;
  while (!done (self, data)) {
    if (sim_clock_time (self->world.sim) >= end)
      return FALSE;
    sim_cluster_run (self, STEP_US);
  }
  return TRUE;
}

/* ---- building it ---- */

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
found_cluster (SimCluster *self, SimMachine *machine)
{
  SimWorld *world = &self->world;
  g_autofree char *cert = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GString) hex = g_string_new (NULL);
  gboolean done = FALSE;
  machine->founder = TRUE;
  machine->id = swarm_random_id (&world->random.iface);
  sim_machine_start (machine);
  wait_for (self, somebody_leads, NULL, "the founder leads");
  SwarmInitCluster init = { .cluster = world->cluster, .node = machine->id, .cert_serial = "0", .addr = machine->address };
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

static void
join_cluster (SimCluster *self, SimMachine *machine)
{
  SimMachine *leader = sim_cluster_leader (self);
  const SwarmJoinTokens *tokens = swarm_store_cluster (leader->store)->root_ca->tokens;
  g_autofree char *csr = sim_crypto_csr (&self->world.crypto);
  Join join = { machine, FALSE };
  swarm_ca_server_issue (swarm_manager_ca_server (leader->brain), csr, machine->manager ? tokens->manager : tokens->worker, "",
                         machine->address, issued, &join);
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

static gboolean
all_ready (SimCluster *self, gpointer data)
{
  for (guint i = 0; i < self->world.machines->len; i++) {
    const SwarmNode *node = swarm_store_get (sim_cluster_store (self), SWARM_KIND_NODE, &sim_cluster_machine (self, i)->id);
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

SimCluster *
sim_cluster_new (const SimClusterConfig *config)
{
  SimCluster *self = g_new0 (SimCluster, 1);
  SimWorld *world = &self->world;
  runtime_sim_reset ();
  world->sim = sim_clock_new (G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC);
  world->clock = sim_clock_iface (world->sim);
  sim_random_init (&world->random, config->seed);
  sim_crypto_init (&world->crypto, &world->random);
  world->net = sim_net_new (world->sim, &world->random, 100, 1500);
  world->cluster = swarm_random_id (&world->random.iface);
  world->machines = g_ptr_array_new ();
  world->runtime = builtin (&swarm_plugin_builtin_runtime_sim, SWARM_PLUGIN_RUNTIME);
  world->network = builtin (&swarm_plugin_builtin_network_host, SWARM_PLUGIN_NETWORK);
  world->schedulers[0] = builtin (&swarm_plugin_builtin_scheduler_spread, SWARM_PLUGIN_SCHEDULER);
  world->schedulers[1] = builtin (&swarm_plugin_builtin_scheduler_binpack, SWARM_PLUGIN_SCHEDULER);
  world->schedulers[2] = builtin (&swarm_plugin_builtin_scheduler_random, SWARM_PLUGIN_SCHEDULER);
  if (config->simple_log)
    world->log = sim_log_new (world->sim, 1000);
  for (guint i = 0; i < config->managers + config->workers; i++) {
    SimMachine *machine = sim_machine_new (world, i + 1);
    machine->manager = i < config->managers;
    g_ptr_array_add (world->machines, machine);
  }
  found_cluster (self, sim_cluster_machine (self, 0));
  for (guint i = 1; i < world->machines->len; i++)
    join_cluster (self, sim_cluster_machine (self, i));
  wait_for (self, all_ready, NULL, "all nodes are ready");
  return self;
}

void
sim_cluster_free (SimCluster *self)
{
  SimWorld *world = &self->world;
  for (guint i = 0; i < world->machines->len; i++)
    sim_machine_kill (sim_cluster_machine (self, i));
  sim_clock_run (world->sim, 10 * G_TIME_SPAN_SECOND);
  for (guint i = 0; i < world->machines->len; i++)
    sim_machine_free (sim_cluster_machine (self, i));
  g_ptr_array_unref (world->machines);
  sim_net_free (world->net);
  sim_log_free (world->log);
  swarm_plugin_unref (world->runtime);
  swarm_plugin_unref (world->network);
  for (guint i = 0; i < G_N_ELEMENTS (world->schedulers); i++)
    swarm_plugin_unref (world->schedulers[i]);
  runtime_sim_reset ();
  sim_clock_free (world->sim);
  g_free (self);
}

/* ---- faults ---- */

void
sim_cluster_cut (SimCluster *self, SimMachine *machine)
{
  machine->cut = TRUE;
  for (guint i = 0; i < self->world.machines->len; i++) {
    SimMachine *other = sim_cluster_machine (self, i);
    if (other != machine)
      sim_net_cut (self->world.net, machine->host, other->host, TRUE);
  }
}

void
sim_cluster_heal (SimCluster *self)
{
  sim_net_heal_all (self->world.net);
  for (guint i = 0; i < self->world.machines->len; i++)
    sim_cluster_machine (self, i)->cut = FALSE;
}

/* ---- looking ---- */

typedef struct {
  SimCluster *cluster;
  const char *service;
  SimMachine *machine;
  guint n;
  char *victim;
} Count;

static void
count_container (const RuntimeSimTask *container, gpointer data)
{
  Count *count = data;
  SimMachine *machine = machine_by_name (count->cluster, container->host);
  if (!container->running || !machine->powered || (count->machine != NULL && count->machine != machine)
      || g_strcmp0 (container->service, count->service) != 0)
    return;
  count->n++;
  /* The least, so that the choice does not depend on a hash table. */
  if (machine->running && (count->victim == NULL || g_strcmp0 (container->task_id, count->victim) < 0)) {
    g_free (count->victim);
    count->victim = g_strdup (container->task_id);
  }
}

guint
sim_cluster_running (SimCluster *self, const char *service, SimMachine *machine)
{
  Count count = { self, service, machine, 0, NULL };
  runtime_sim_foreach (NULL, count_container, &count);
  g_free (count.victim);
  return count.n;
}

gboolean
sim_cluster_kill_container (SimCluster *self, const char *service, int exit_code)
{
  Count count = { self, service, NULL, 0, NULL };
  runtime_sim_foreach (NULL, count_container, &count);
  gboolean killed = count.victim != NULL && runtime_sim_kill (count.victim, exit_code);
  g_free (count.victim);
  return killed;
}

typedef struct {
  SimCluster *cluster;
  SwarmStore *store;
  guint running; /* containers that are where they shall be */
  char *why;
} Settled;

static void
check_settled_container (const RuntimeSimTask *container, gpointer data)
{
  Settled *settled = data;
  SimMachine *machine = machine_by_name (settled->cluster, container->host);
  SwarmId id;
  if (!container->running || !machine->powered || settled->why != NULL || !swarm_id_parse (container->task_id, &id))
    return;
  const SwarmTask *task = swarm_store_get (settled->store, SWARM_KIND_TASK, &id);
  if (task == NULL || task->desired_state != SWARM_TASK_RUNNING || task->status->state != SWARM_TASK_RUNNING
      || !swarm_id_equal (&task->node_id, &machine->id))
    settled->why = g_strdup_printf ("%s runs on %s; the store says %s, wanted %s", container->name, container->host,
                                    task != NULL ? swarm_task_state_to_string (task->status->state) : "nothing",
                                    task != NULL ? swarm_task_state_to_string (task->desired_state) : "nothing");
  settled->running++;
}

static gboolean
check_settled_service (gpointer object, gpointer data)
{
  Settled *settled = data;
  const SwarmService *service = object;
  guint want = (guint) service->spec->mode->replicated->replicas;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (settled->store, &service->object.id);
  guint run = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    run += task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
           && task->spec_version == service->spec_version;
  }
  if (run != want && settled->why == NULL)
    settled->why = g_strdup_printf ("%s: %u tasks of %u run", service->spec->name, run, want);
  settled->running -= run; /* may wrap, comes back to 0 in the end */
  return settled->why == NULL;
}

gboolean
sim_cluster_is_settled (SimCluster *self, char **why)
{
  SimMachine *leader = sim_cluster_leader (self);
  Settled settled = { self, leader != NULL ? leader->store : NULL, 0, NULL };
  if (leader == NULL)
    settled.why = g_strdup ("nobody leads");
  if (settled.why == NULL)
    runtime_sim_foreach (NULL, check_settled_container, &settled);
  if (settled.why == NULL)
    swarm_store_foreach (settled.store, SWARM_KIND_SERVICE, check_settled_service, &settled);
  if (settled.why == NULL && settled.running != 0)
    settled.why = g_strdup ("containers and tasks do not match");
  gboolean ok = settled.why == NULL;
  if (why != NULL)
    *why = settled.why;
  else
    g_free (settled.why);
  return ok;
}
