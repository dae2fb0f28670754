// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whole clusters in virtual time: what an administrator sees, with the promises checked all the while. */
#include "base/error.h"
#include "sim/sim-cluster.h"
#include "specs.h"

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

static SimCluster *
cluster_of (guint managers, guint workers, gboolean simple_log)
{
  SimClusterConfig config = { .seed = 7, .managers = managers, .workers = workers, .simple_log = simple_log };
  return sim_cluster_new (&config);
}

typedef struct {
  gboolean done;
  SwarmId id;
  GError *error;
} Outcome;

static void
outcome (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Outcome *out = data;
  out->done = TRUE;
  if (reply != NULL)
    out->id = reply->id;
  out->error = error != NULL ? g_error_copy (error) : NULL;
}

static gboolean
is_done (SimCluster *cluster, gpointer data)
{
  return ((Outcome *) data)->done;
}

static SwarmControl *
control_of (SimCluster *cluster)
{
  return swarm_manager_control (sim_cluster_leader (cluster)->brain);
}

static SwarmId
finish (SimCluster *cluster, Outcome *out)
{
  g_assert_true (sim_cluster_run_until (cluster, 10 * SECOND, is_done, out));
  g_assert_no_error (out->error);
  return out->id;
}

static SwarmId
create (SimCluster *cluster, const SwarmServiceSpec *spec)
{
  Outcome out = { 0 };
  swarm_control_create_service (control_of (cluster), spec, NULL, outcome, &out);
  return finish (cluster, &out);
}

static void
scale (SimCluster *cluster, const SwarmId *id, guint replicas)
{
  Outcome out = { 0 };
  swarm_control_scale_service (control_of (cluster), id, replicas, NULL, outcome, &out);
  finish (cluster, &out);
}

static void
availability (SimCluster *cluster, SimMachine *machine, const char *what)
{
  Outcome out = { 0 };
  swarm_control_set_availability (control_of (cluster), &machine->id, what, NULL, outcome, &out);
  finish (cluster, &out);
}

static gboolean
settled (SimCluster *cluster, gpointer data)
{
  return sim_cluster_is_settled (cluster, NULL);
}

static void
settle (SimCluster *cluster, gint64 limit)
{
  g_autofree char *why = NULL;
  if (!sim_cluster_run_until (cluster, limit, settled, NULL)) {
    sim_cluster_is_settled (cluster, &why);
    g_error ("the cluster does not settle: %s", why);
  }
}

static const SwarmNode *
node_of (SimCluster *cluster, SimMachine *machine)
{
  return swarm_store_get (sim_cluster_store (cluster), SWARM_KIND_NODE, &machine->id);
}

/* How long until @service has @n running containers. */
static gint64
time_until_running (SimCluster *cluster, const char *service, guint n)
{
  gint64 began = sim_clock_time (cluster->world.sim);
  while (sim_cluster_running (cluster, service, NULL) != n) {
    g_assert_cmpint (sim_clock_time (cluster->world.sim) - began, <, 120 * SECOND);
    sim_cluster_run (cluster, MS);
  }
  return sim_clock_time (cluster->world.sim) - began;
}

static void
test_ten_nodes (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 10, TRUE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 30);
  SwarmId web = create (cluster, spec);
  settle (cluster, 5 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", NULL), ==, 30);
  for (guint i = 0; i < 11; i++)
    g_assert_cmpuint (sim_cluster_running (cluster, "web", sim_cluster_machine (cluster, i)), >=, 2);
  scale (cluster, &web, 11);
  settle (cluster, 5 * SECOND);
  for (guint i = 0; i < 11; i++)
    g_assert_cmpuint (sim_cluster_running (cluster, "web", sim_cluster_machine (cluster, i)), ==, 1);
}

static void
test_killed_container (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 3, TRUE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 4);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  sim_cluster_run (cluster, 5 * SECOND);
  g_assert_true (sim_cluster_kill_container (cluster, "web", 137));
  g_assert_cmpint (time_until_running (cluster, "web", 4), <, 300 * MS);
  settle (cluster, 5 * SECOND);
}

static void
test_node_loss (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 3, TRUE);
  SimMachine *lost = sim_cluster_machine (cluster, 2);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 8);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  sim_machine_power_cut (lost);
  g_assert_cmpint (time_until_running (cluster, "web", 8), <, 4 * SECOND);
  g_assert_cmpint (node_of (cluster, lost)->status->state, ==, SWARM_NODE_DOWN);
  settle (cluster, 5 * SECOND);
  /* It boots again: ready, and nothing runs twice. */
  sim_machine_start (lost);
  sim_cluster_run (cluster, 10 * SECOND);
  g_assert_cmpint (node_of (cluster, lost)->status->state, ==, SWARM_NODE_READY);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", lost), ==, 0);
  settle (cluster, SECOND);
}

/* A node that was cut off goes on running its tasks; when it returns, those that were replaced are stopped. */
static void
test_returning_node (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 3, TRUE);
  SimMachine *away = sim_cluster_machine (cluster, 3);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 8);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  sim_cluster_cut (cluster, away);
  sim_cluster_run (cluster, 20 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", NULL), ==, 10);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", away), ==, 2);
  sim_cluster_heal (cluster);
  settle (cluster, 20 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", away), ==, 0);
}

static void
test_agent_restart (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, TRUE);
  SimMachine *node = sim_cluster_machine (cluster, 1);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 6);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  guint tasks = swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK);
  /* Stopped and started, also after a while, and killed: nothing is replaced. */
  sim_machine_stop (node);
  sim_cluster_run (cluster, 50 * SECOND);
  g_assert_false (node->running);
  sim_machine_start (node);
  sim_cluster_run (cluster, 10 * SECOND);
  sim_machine_kill (node);
  sim_cluster_run (cluster, SECOND);
  sim_machine_start (node);
  sim_cluster_run (cluster, 10 * SECOND);
  g_assert_cmpuint (swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK), ==, tasks);
  settle (cluster, SECOND);
}

static void
test_manager_restart (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, TRUE);
  SimMachine *manager = sim_cluster_machine (cluster, 0);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 6);
  SwarmId web = create (cluster, spec);
  settle (cluster, 5 * SECOND);
  guint tasks = swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK);
  sim_machine_kill (manager);
  sim_cluster_run (cluster, 2 * SECOND);
  sim_machine_start (manager);
  sim_cluster_run (cluster, 30 * SECOND);
  g_assert_cmpuint (swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK), ==, tasks);
  settle (cluster, SECOND);
  scale (cluster, &web, 9);
  settle (cluster, 5 * SECOND);
}

static void
test_drain (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, TRUE);
  SimMachine *manager = sim_cluster_machine (cluster, 0);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 6);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  availability (cluster, manager, "drain");
  settle (cluster, 5 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", manager), ==, 0);
  availability (cluster, manager, "active");
  sim_cluster_run (cluster, 5 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", manager), ==, 0);
}

static void
test_host_ports (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, TRUE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 3), free_spec = spec_of ("free", "nginx", 3);
  SwarmPortConfig *port = swarm_port_config_new ();
  port->publish_mode = SWARM_PUBLISH_HOST;
  port->target_port = 80;
  port->published_port = 8080;
  spec->endpoint = swarm_endpoint_spec_new ();
  spec->endpoint->ports = g_ptr_array_new_with_free_func (swarm_message_unref);
  g_ptr_array_add (spec->endpoint->ports, port);
  SwarmId web = create (cluster, spec);
  create (cluster, free_spec);
  settle (cluster, 5 * SECOND);
  /* A host is lost: its task waits with its reason, the service without ports is moved. */
  sim_machine_power_cut (sim_cluster_machine (cluster, 2));
  sim_cluster_run (cluster, 10 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", NULL), ==, 2);
  g_assert_cmpuint (sim_cluster_running (cluster, "free", NULL), ==, 3);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (sim_cluster_store (cluster), &web);
  guint waiting = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (task->status->state != SWARM_TASK_PENDING)
      continue;
    waiting++;
    g_assert_cmpstr (task->status->err, ==, "no suitable node (host-mode port already in use on 2 nodes; 1 node not available for new tasks)");
  }
  g_assert_cmpuint (waiting, ==, 1);
  sim_machine_start (sim_cluster_machine (cluster, 2));
  settle (cluster, 10 * SECOND);
}

static void
test_remove (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, TRUE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 6);
  SwarmId web = create (cluster, spec);
  settle (cluster, 5 * SECOND);
  Outcome out = { 0 };
  swarm_control_remove_service (control_of (cluster), &web, NULL, outcome, &out);
  finish (cluster, &out);
  sim_cluster_run (cluster, 5 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", NULL), ==, 0);
  g_assert_cmpuint (swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK), ==, 0);
}

/* ---- the real log ---- */

/* Every manager goes by the cluster's spec at once: how often it takes a snapshot, and how much of the log it keeps behind it. */
static void
test_snapshot_settings (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (3, 1, FALSE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 1);
  g_autoptr (SwarmClusterSpec) change = swarm_cluster_spec_new ();
  SwarmId id = create (cluster, spec);
  Outcome out = { 0 };
  change->raft = swarm_raft_config_new ();
  change->raft->snapshot_interval = 50;
  change->raft->slow_followers = 7;
  swarm_control_update_cluster (control_of (cluster), swarm_store_cluster (sim_cluster_store (cluster))->object.version, change, NULL, outcome,
                                &out);
  finish (cluster, &out);
  for (guint i = 0; i < 60; i++)
    scale (cluster, &id, 1 + i % 2);
  sim_cluster_run (cluster, 5 * SECOND);
  for (guint i = 0; i < 3; i++) {
    SwarmConsensusStats stats;
    swarm_consensus_stats (sim_cluster_machine (cluster, i)->consensus, &stats);
    g_assert_cmpuint (stats.snapshots_taken, >=, 2);
    g_assert_cmpuint (stats.snapshot_index - stats.first_index, <=, 7);
  }
}

static void
test_power_cut_of_the_only_manager (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (1, 2, FALSE);
  SimMachine *manager = sim_cluster_machine (cluster, 0);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 6);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  sim_machine_power_cut (manager);
  sim_cluster_run (cluster, 5 * SECOND);
  sim_machine_start (manager);
  settle (cluster, 60 * SECOND);
  g_assert_cmpuint (sim_cluster_running (cluster, "web", NULL), ==, 6);
}

static void
test_leader_change (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (3, 3, FALSE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 12), more = spec_of ("more", "nginx", 6);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  SimMachine *old = sim_cluster_leader (cluster);
  sim_machine_kill (old);
  sim_cluster_run (cluster, 3 * SECOND);
  SimMachine *leader = sim_cluster_leader (cluster);
  g_assert_nonnull (leader);
  g_assert_true (leader != old);
  create (cluster, more);
  settle (cluster, 30 * SECOND);
  sim_machine_start (old);
  settle (cluster, 30 * SECOND);
  /* A leader that is cut off gives up; the rest goes on. */
  leader = sim_cluster_leader (cluster);
  sim_cluster_cut (cluster, leader);
  sim_cluster_run (cluster, 10 * SECOND);
  g_assert_true (sim_cluster_leader (cluster) != leader);
  sim_cluster_heal (cluster);
  settle (cluster, 60 * SECOND);
}

static gboolean
is_worker (SimCluster *cluster, gpointer data)
{
  SimMachine *machine = data;
  return !machine->manager && sim_cluster_leader (cluster) != NULL && node_of (cluster, machine)->role == SWARM_ROLE_WORKER
         && node_of (cluster, machine)->manager_status == NULL;
}

static void
demote (SimCluster *cluster, SimMachine *machine)
{
  Outcome out = { 0 };
  swarm_control_set_role (control_of (cluster), &machine->id, SWARM_ROLE_WORKER, NULL, outcome, &out);
  finish (cluster, &out);
  g_assert_true (sim_cluster_run_until (cluster, 30 * SECOND, is_worker, machine));
}

/* A demoted manager leaves the consensus; a leader hands over first. Tasks stay where they are. */
static void
test_demotion (void)
{
  g_autoptr (SimCluster) cluster = cluster_of (3, 1, FALSE);
  g_autoptr (SwarmServiceSpec) spec = spec_of ("web", "nginx", 8);
  create (cluster, spec);
  settle (cluster, 5 * SECOND);
  guint tasks = swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK);
  SimMachine *leader = sim_cluster_leader (cluster);
  for (guint i = 0; i < 3; i++)
    g_assert_nonnull (node_of (cluster, sim_cluster_machine (cluster, i))->manager_status);
  demote (cluster, leader);
  g_assert_true (sim_cluster_leader (cluster) != leader);
  SimMachine *other = sim_cluster_machine (cluster, 0);
  if (other == leader || other == sim_cluster_leader (cluster))
    other = sim_cluster_machine (cluster, 1);
  if (other == leader || other == sim_cluster_leader (cluster))
    other = sim_cluster_machine (cluster, 2);
  demote (cluster, other);
  settle (cluster, 30 * SECOND);
  g_assert_cmpuint (swarm_store_count (sim_cluster_store (cluster), SWARM_KIND_TASK), ==, tasks);
  Outcome out = { 0 };
  swarm_control_set_role (control_of (cluster), &sim_cluster_leader (cluster)->id, SWARM_ROLE_WORKER, NULL, outcome, &out);
  g_assert_true (sim_cluster_run_until (cluster, 10 * SECOND, is_done, &out));
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_clear_error (&out.error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/brain/ten-nodes", test_ten_nodes);
  g_test_add_func ("/brain/killed-container", test_killed_container);
  g_test_add_func ("/brain/node-loss", test_node_loss);
  g_test_add_func ("/brain/returning-node", test_returning_node);
  g_test_add_func ("/brain/agent-restart", test_agent_restart);
  g_test_add_func ("/brain/manager-restart", test_manager_restart);
  g_test_add_func ("/brain/drain", test_drain);
  g_test_add_func ("/brain/host-ports", test_host_ports);
  g_test_add_func ("/brain/snapshot-settings", test_snapshot_settings);
  g_test_add_func ("/brain/remove", test_remove);
  g_test_add_func ("/brain/power-cut-of-the-only-manager", test_power_cut_of_the_only_manager);
  g_test_add_func ("/brain/leader-change", test_leader_change);
  g_test_add_func ("/brain/demotion", test_demotion);
  return g_test_run ();
}
