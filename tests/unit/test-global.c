// SPDX-License-Identifier: LGPL-2.1-or-later
/* Global services (SWARM_BEHAVIOUR §8), rule by rule: the brain in virtual time with tame nodes. */
#include "base/error.h"
#include "brain-fixture.h"

#define NS G_GINT64_CONSTANT (1000)

static SwarmServiceSpec *
global_spec (const char *name, const char *constraint)
{
  SwarmServiceSpec *spec = brain_spec (name, 1);
  swarm_message_clear_pointer (&spec->mode);
  spec->mode = swarm_service_mode_new ();
  spec->mode->global = swarm_global_new ();
  if (constraint != NULL) {
    spec->task->placement = swarm_placement_new ();
    spec->task->placement->constraints = swarm_strings_new ();
    g_ptr_array_add (spec->task->placement->constraints, g_strdup (constraint));
  }
  return spec;
}

/* The service's newest task on a node; NULL: none. */
static SwarmTask *
task_on (Brain *brain, const SwarmId *service, Tame *node)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  SwarmTask *newest = NULL;
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    if (swarm_id_equal (&task->node_id, &node->id) && (newest == NULL || newest->object.created_at < task->object.created_at))
      newest = task;
  }
  return newest;
}

static gboolean
runs_on (Brain *brain, const SwarmId *service, Tame *node)
{
  const SwarmTask *task = task_on (brain, service, node);
  return task != NULL && task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
}

static void
set_label (Brain *brain, Tame *node, const char *key, const char *value)
{
  g_autoptr (GHashTable) set = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (set, (gpointer) key, (gpointer) value);
  swarm_control_update_labels (swarm_manager_control (brain->manager), &node->id, set, NULL, NULL, NULL, NULL);
  brain_run (brain, SECOND);
}

static void
assert_status (Brain *brain, const SwarmId *service, guint running, guint desired)
{
  SwarmServiceStatus status;
  swarm_control_service_status (swarm_manager_control (brain->manager),
                                swarm_store_get (brain->store, SWARM_KIND_SERVICE, service), &status);
  g_assert_cmpuint (status.running, ==, running);
  g_assert_cmpuint (status.desired, ==, desired);
  g_assert_cmpuint (status.completed, ==, 0);
}

/* One task on each node, confirmed by the scheduler; nodes that join get theirs. */
static void
test_every_node (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_true (runs_on (brain, &agent, n2));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 2);
  g_assert_cmpuint (task_on (brain, &agent, n1)->slot, ==, 0);
  Tame *n3 = brain_node (brain, "n3");
  brain_run (brain, 100 * MS);
  g_assert_true (runs_on (brain, &agent, n3));
  assert_status (brain, &agent, 3, 3);
}

/* What the node reports comes after; until then the scheduler's words stand. */
static void
test_preassigned (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL), big = global_spec ("big", NULL);
  node->lazy = TRUE;
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  g_assert_cmpint (task_on (brain, &agent, node)->status->state, ==, SWARM_TASK_ASSIGNED);
  g_assert_cmpstr (task_on (brain, &agent, node)->status->text, ==, "scheduler confirmed task can run on preassigned node");
  /* What does not fit waits there, and says why. */
  node->lazy = FALSE;
  big->task->resources = swarm_resource_requirements_new ();
  big->task->resources->reservations = swarm_resources_new ();
  big->task->resources->reservations->memory_bytes = G_GINT64_CONSTANT (5) << 30;
  SwarmId first = brain_create (brain, big);
  brain_run (brain, 100 * MS);
  g_assert_true (runs_on (brain, &first, node));
  swarm_string_set (&big->name, "bigger");
  SwarmId second = brain_create (brain, big);
  brain_run (brain, SECOND);
  const SwarmTask *waiting = task_on (brain, &second, node);
  g_assert_cmpint (waiting->status->state, ==, SWARM_TASK_PENDING);
  g_assert_cmpstr (waiting->status->err, ==, "no suitable node (insufficient resources on 1 node)");
  g_assert_true (brain_remove (brain, &first, NULL));
  brain_run (brain, SECOND);
  g_assert_true (runs_on (brain, &second, node));
}

static void
test_constraints (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", "node.labels.zone==a");
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
  assert_status (brain, &agent, 0, 0);
  set_label (brain, n1, "zone", "a");
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_null (task_on (brain, &agent, n2));
  set_label (brain, n2, "zone", "a");
  set_label (brain, n1, "zone", "b");
  g_assert_false (runs_on (brain, &agent, n1));
  g_assert_cmpint (task_on (brain, &agent, n1)->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_true (runs_on (brain, &agent, n2));
  assert_status (brain, &agent, 1, 1);
  /* The service changes: tasks go and come with it. */
  g_autoptr (SwarmServiceSpec) other = global_spec ("agent", "node.labels.zone!=a");
  g_assert_true (brain_update (brain, &agent, other, NULL));
  brain_run (brain, SECOND);
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_false (runs_on (brain, &agent, n2));
}

static void
test_drain (void)
{
  for (guint condition = SWARM_RESTART_ANY; condition <= SWARM_RESTART_NONE; condition++) {
    g_autoptr (Brain) brain = brain_new ();
    Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
    g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
    spec->task->restart_policy->condition = condition;
    SwarmId agent = brain_create (brain, spec);
    brain_run (brain, SECOND);
    g_assert_true (brain_availability (brain, n1, "drain", NULL));
    brain_run (brain, SECOND);
    g_assert_cmpint (task_on (brain, &agent, n1)->status->state, ==, SWARM_TASK_SHUTDOWN);
    g_assert_true (runs_on (brain, &agent, n2));
    g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 2); /* none moved */
    assert_status (brain, &agent, 1, 1);
    g_assert_true (brain_availability (brain, n1, "active", NULL));
    brain_run (brain, SECOND);
    g_assert_true (runs_on (brain, &agent, n1));
  }
}

/* Drained and active again while the old task still stops: the new one waits for it. */
static void
test_quick_return (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  SwarmId old = task_on (brain, &agent, node)->object.id;
  node->stubborn = TRUE;
  g_assert_true (brain_availability (brain, node, "drain", NULL));
  brain_run (brain, SECOND);
  g_assert_true (brain_availability (brain, node, "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpint (task_on (brain, &agent, node)->desired_state, ==, SWARM_TASK_READY);
  tame_report (node, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_true (runs_on (brain, &agent, node));
}

/* A paused node keeps what it has: nothing new, nothing updated, nothing restarted. */
static void
test_pause (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2"), *n3 = brain_node (brain, "n3");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL), more = global_spec ("more", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 30 * SECOND);
  g_assert_true (brain_availability (brain, n1, "pause", NULL));
  g_assert_true (brain_availability (brain, n2, "pause", NULL));
  SwarmId late = brain_create (brain, more);
  SwarmId kept = task_on (brain, &agent, n1)->object.id, failed = task_on (brain, &agent, n2)->object.id;
  tame_report (n2, &failed, SWARM_TASK_FAILED, "x");
  brain_run (brain, 10 * SECOND);
  g_assert_true (runs_on (brain, &late, n3));
  g_assert_null (task_on (brain, &late, n1));
  g_assert_true (swarm_id_equal (&task_on (brain, &agent, n2)->object.id, &failed));
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &agent, spec, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_true (swarm_id_equal (&task_on (brain, &agent, n1)->object.id, &kept));
  g_assert_true (g_str_has_suffix (task_on (brain, &agent, n3)->spec->container->image, ":2"));
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &agent);
  g_assert_cmpint (service->update_status->state, ==, SWARM_UPDATE_COMPLETED);
  /* Active again: all of that is made good. */
  g_assert_true (brain_availability (brain, n1, "active", NULL));
  g_assert_true (brain_availability (brain, n2, "active", NULL));
  brain_run (brain, 10 * SECOND);
  for (guint i = 0; i < 3; i++) {
    Tame *node = i == 0 ? n1 : i == 1 ? n2 : n3;
    g_assert_true (runs_on (brain, &agent, node));
    g_assert_true (runs_on (brain, &late, node));
    g_assert_true (g_str_has_suffix (task_on (brain, &agent, node)->spec->container->image, ":2"));
  }
}

/* A lost node's task is not replaced elsewhere; when the node returns it is superseded and begins anew. */
static void
test_node_down (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  n1->mute = TRUE;
  brain_run (brain, 10 * SECOND);
  g_assert_cmpint (tame_node (n1)->status->state, ==, SWARM_NODE_DOWN);
  g_assert_cmpint (task_on (brain, &agent, n1)->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 2);
  assert_status (brain, &agent, 1, 1);
  n1->mute = FALSE;
  tame_connect (n1);
  brain_run (brain, 2 * SECOND);
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_true (runs_on (brain, &agent, n2));
}

/* Nothing of a node that was removed is kept, and nothing changes on the others. */
static void
test_node_removed (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[5];
  SwarmId tasks[5];
  for (guint i = 0; i < 5; i++)
    nodes[i] = brain_node (brain, (const char *[]){ "n1", "n2", "n3", "n4", "n5" }[i]);
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 5; i++)
    tasks[i] = task_on (brain, &agent, nodes[i])->object.id;
  for (guint gone = 0; gone < 4; gone++) {
    g_assert_true (brain_remove_node (brain, nodes[gone], TRUE, NULL));
    brain_run (brain, 2 * SECOND);
    g_assert_null (task_on (brain, &agent, nodes[gone]));
    for (guint i = gone + 1; i < 5; i++) {
      g_assert_true (runs_on (brain, &agent, nodes[i]));
      g_assert_true (swarm_id_equal (&task_on (brain, &agent, nodes[i])->object.id, &tasks[i]));
    }
    g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 4 - gone);
  }
}

static void
test_restart (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL), once = global_spec ("once", NULL);
  once->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId agent = brain_create (brain, spec), single = brain_create (brain, once);
  for (guint i = 0; i < 10; i++) {
    brain_run (brain, 20 * SECOND);
    tame_report (node, &task_on (brain, &agent, node)->object.id, SWARM_TASK_FAILED, "x");
  }
  tame_report (node, &task_on (brain, &single, node)->object.id, SWARM_TASK_FAILED, "x");
  brain_run (brain, 20 * SECOND);
  g_assert_true (runs_on (brain, &agent, node));
  g_assert_cmpint (task_on (brain, &single, node)->status->state, ==, SWARM_TASK_FAILED);
  /* History is kept per node. */
  g_autoptr (GPtrArray) kept = swarm_store_tasks_of_service (brain->store, &agent);
  g_assert_cmpuint (kept->len, ==, 5);
}

/* Node by node, by the same rules as the slots of a replicated service. */
static void
test_update (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[4];
  for (guint i = 0; i < 4; i++)
    nodes[i] = brain_node (brain, (const char *[]){ "n1", "n2", "n3", "n4" }[i]);
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 30 * SECOND);
  swarm_string_set (&spec->task->container->image, "nginx:2");
  spec->update = swarm_update_config_new ();
  spec->update->parallelism = 2;
  spec->update->delay = 10 * SECOND * NS;
  g_assert_true (brain_update (brain, &agent, spec, NULL));
  guint least = 4;
  for (guint i = 0; i < 500; i++) {
    brain_run (brain, MS);
    least = MIN (least, count_running (brain, &agent));
  }
  g_assert_cmpuint (least, ==, 2);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 6);
  brain_run (brain, 11 * SECOND);
  for (guint i = 0; i < 4; i++) {
    g_assert_true (runs_on (brain, &agent, nodes[i]));
    g_assert_true (g_str_has_suffix (task_on (brain, &agent, nodes[i])->spec->container->image, ":2"));
  }
  brain_run (brain, 22 * SECOND);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &agent);
  g_assert_cmpstr (service->update_status->text, ==, "update completed");
}

/* The old task holds the host's port until it has stopped: the new one waits on its node and takes over. */
static void
test_update_with_host_port (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  spec_host_port (spec, 8080);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 30 * SECOND);
  spec->task->force_update = 1;
  g_assert_true (brain_update (brain, &agent, spec, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_true (runs_on (brain, &agent, n2));
  g_assert_cmpuint (task_on (brain, &agent, n1)->spec->force_update, ==, 1);
  g_assert_cmpuint (task_on (brain, &agent, n2)->spec->force_update, ==, 1);
}

static void
test_rollback (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, 30 * SECOND);
  n1->bad_image = n2->bad_image = ":broken";
  swarm_string_set (&spec->task->container->image, "nginx:broken");
  spec->update = swarm_update_config_new ();
  spec->update->failure_action = SWARM_FAILURE_ROLLBACK;
  g_assert_true (brain_update (brain, &agent, spec, NULL));
  brain_run (brain, 10 * SECOND);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &agent);
  g_assert_cmpstr (service->update_status->text, ==, "rollback completed");
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_true (runs_on (brain, &agent, n2));
  assert_status (brain, &agent, 2, 2);
}

static void
test_remove (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_true (brain_remove (brain, &agent, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* A new leader has nothing to do. */
static void
test_new_leader (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  SwarmId first = task_on (brain, &agent, n1)->object.id, second = task_on (brain, &agent, n2)->object.id;
  brain_restart (brain);
  brain_run (brain, SECOND); /* their state is unknown: that moves nothing */
  tame_connect (n1);
  tame_connect (n2);
  brain_run (brain, 20 * SECOND);
  g_assert_true (swarm_id_equal (&task_on (brain, &agent, n1)->object.id, &first));
  g_assert_true (swarm_id_equal (&task_on (brain, &agent, n2)->object.id, &second));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 2);
}

/* A node went while nobody led: what it carried goes, too, also what had ended there. */
static void
test_node_gone_meanwhile (gconstpointer data)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  if (swarm_id_compare (&n1->id, &n2->id) < 0) { /* the first of all goes: others come behind it */
    n1 = brain_tame (brain, 1);
    n2 = brain_tame (brain, 0);
  }
  g_autoptr (SwarmServiceSpec) spec = global_spec ("agent", NULL);
  spec->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId agent = brain_create (brain, spec);
  brain_run (brain, SECOND);
  if (GPOINTER_TO_INT (data))
    tame_report (n2, &task_on (brain, &agent, n2)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, SECOND);
  tame_disconnect (n2);
  swarm_manager_lead (brain->manager, FALSE);
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_tx_remove (tx, SWARM_KIND_NODE, &n2->id, 0);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  SwarmId kept = task_on (brain, &agent, n1)->object.id;
  brain_restart (brain);
  tame_connect (n1);
  brain_run (brain, 5 * SECOND);
  g_assert_true (runs_on (brain, &agent, n1));
  g_assert_true (swarm_id_equal (&task_on (brain, &agent, n1)->object.id, &kept));
  g_assert_null (task_on (brain, &agent, n2));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 1);
  assert_status (brain, &agent, 1, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/global/every-node", test_every_node);
  g_test_add_func ("/global/preassigned", test_preassigned);
  g_test_add_func ("/global/constraints", test_constraints);
  g_test_add_func ("/global/drain", test_drain);
  g_test_add_func ("/global/quick-return", test_quick_return);
  g_test_add_func ("/global/pause", test_pause);
  g_test_add_func ("/global/node-down", test_node_down);
  g_test_add_func ("/global/node-removed", test_node_removed);
  g_test_add_func ("/global/restart", test_restart);
  g_test_add_func ("/global/update", test_update);
  g_test_add_func ("/global/update-with-host-port", test_update_with_host_port);
  g_test_add_func ("/global/rollback", test_rollback);
  g_test_add_func ("/global/remove", test_remove);
  g_test_add_func ("/global/new-leader", test_new_leader);
  g_test_add_data_func ("/global/node-gone-meanwhile", GINT_TO_POINTER (FALSE), test_node_gone_meanwhile);
  g_test_add_data_func ("/global/node-gone-meanwhile-ended", GINT_TO_POINTER (TRUE), test_node_gone_meanwhile);
  return g_test_run ();
}
