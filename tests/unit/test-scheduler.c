// SPDX-License-Identifier: LGPL-2.1-or-later
/* Filters with swarm's words, spread, groups, nodes that come and go. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/scheduler/placing.h"
#include "manager/scheduler/survey.h"

static void
assert_pending (Brain *brain, const SwarmId *service, guint n, const char *why)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  guint found = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (task->status->state != SWARM_TASK_PENDING)
      continue;
    found++;
    g_assert_cmpstr (task->status->text, ==, "pending task scheduling");
    g_assert_cmpstr (task->status->err, ==, why);
  }
  g_assert_cmpuint (found, ==, n);
}

static void
test_spread (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *a = brain_node (brain, "a"), *b = brain_node (brain, "b");
  g_autoptr (SwarmServiceSpec) other = brain_spec ("other", 3), web = brain_spec ("web", 3);
  brain_create (brain, other);
  brain_run (brain, 100 * MS);
  guint a1 = tame_n_tasks (a, SWARM_TASK_RUNNING), b1 = tame_n_tasks (b, SWARM_TASK_RUNNING);
  g_assert_cmpuint (a1 + b1, ==, 3);
  /* The odd one of the second service goes where fewer tasks are. */
  brain_create (brain, web);
  brain_run (brain, 100 * MS);
  g_assert_cmpuint (tame_n_tasks (a, SWARM_TASK_RUNNING), ==, 3);
  g_assert_cmpuint (tame_n_tasks (b, SWARM_TASK_RUNNING), ==, 3);
  /* A new node gets new tasks, old ones stay. */
  Tame *c = brain_node (brain, "c");
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (c, SWARM_TASK_RUNNING), ==, 0);
}

static void
test_no_nodes (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  /* The founder, drained and never seen, is the one node there is. */
  assert_pending (brain, &web, 2, "no suitable node (1 node not available for new tasks)");
  brain_offline_node (brain, "n1");
  brain_run (brain, SECOND);
  assert_pending (brain, &web, 2, "no suitable node (2 nodes not available for new tasks)");
  brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpstr (newest_task (brain, &web, 1)->status->err, ==, NULL);
}

static void
test_host_ports (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[3] = { brain_node (brain, "n1"), brain_node (brain, "n2"), brain_node (brain, "n3") };
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  spec_host_port (spec, 8080);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (tame_n_tasks (nodes[i], SWARM_TASK_RUNNING), ==, 1);
  g_assert_true (brain_scale (brain, &web, 6, NULL));
  brain_run (brain, SECOND);
  assert_pending (brain, &web, 3, "no suitable node (host-mode port already in use on 3 nodes; 1 node not available for new tasks)");
  g_assert_true (brain_scale (brain, &web, 3, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  /* The three that run are the three that were there: pending slots go first. */
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  /* An update in place: the old task gives its port to the new. */
  spec->task->force_update = 1;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  g_assert_cmpuint (newest_task (brain, &web, 3)->spec->force_update, ==, 1);
  /* Another port does not clash. */
  g_autoptr (SwarmServiceSpec) other = brain_spec ("other", 3);
  spec_host_port (other, 8081);
  SwarmId id = brain_create (brain, other);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 3);
}

static SwarmResourceRequirements *
reserve (gint64 nano_cpus, gint64 memory)
{
  SwarmResourceRequirements *requirements = swarm_resource_requirements_new ();
  requirements->reservations = swarm_resources_new ();
  requirements->reservations->nano_cpus = nano_cpus;
  requirements->reservations->memory_bytes = memory;
  return requirements;
}

static void
test_resources (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 5);
  spec->task->resources = reserve (G_GINT64_CONSTANT (2000000000), 0); /* two of four per node */
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  assert_pending (brain, &web, 1, "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)");
  /* A task that ends gives back what it held. */
  const SwarmTask *task = newest_task (brain, &web, 1);
  SwarmId gone = task->object.id;
  tame_report (node_of_task (brain, task), &gone, SWARM_TASK_COMPLETE, NULL);
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  g_autoptr (SwarmServiceSpec) fat = brain_spec ("fat", 1);
  fat->task->resources = reserve (0, G_GINT64_CONSTANT (9) << 30);
  SwarmId id = brain_create (brain, fat);
  brain_run (brain, SECOND);
  assert_pending (brain, &id, 1, "no suitable node (insufficient resources on 2 nodes; 1 node not available for new tasks)");
}

static SwarmPlacement *
placement (const char *constraint, guint64 max_replicas)
{
  SwarmPlacement *self = swarm_placement_new ();
  self->max_replicas = max_replicas;
  if (constraint != NULL) {
    self->constraints = g_ptr_array_new_with_free_func (g_free);
    g_ptr_array_add (self->constraints, g_strdup (constraint));
  }
  return self;
}

static void
test_constraints (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2), wrong = brain_spec ("wrong", 1);
  spec->task->placement = placement ("node.hostname==n1", 0);
  SwarmId web = brain_create (brain, spec);
  wrong->task->placement = placement ("node.labels.zone==a", 0);
  SwarmId waits = brain_create (brain, wrong);
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  assert_pending (brain, &waits, 1,
                  "no suitable node (scheduling constraints not satisfied on 2 nodes; 1 node not available for new tasks)");
  g_autoptr (GHashTable) labels = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (labels, (gpointer) "zone", (gpointer) "a");
  swarm_control_update_labels (swarm_manager_control (brain->manager), &n1->id, labels, NULL, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &waits), ==, 1);
}

static void
test_platform (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1"); /* amd64, as tame nodes are */
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmPlatform *platform = swarm_platform_new ();
  platform->architecture = g_strdup ("aarch64");
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->platforms = g_ptr_array_new_with_free_func (swarm_message_unref);
  g_ptr_array_add (spec->task->placement->platforms, platform);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  assert_pending (brain, &web, 1, "no suitable node (1 node not available for new tasks; unsupported platform on 1 node)");
  SwarmPlatform *other = swarm_platform_new ();
  other->architecture = g_strdup ("x86_64");
  other->os = g_strdup ("linux");
  g_autoptr (SwarmServiceSpec) both = swarm_service_spec_copy (spec);
  swarm_string_set (&both->name, "both");
  g_ptr_array_add (both->task->placement->platforms, other);
  SwarmId id = brain_create (brain, both);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 1);
}

static void
test_max_replicas (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 5);
  spec->task->placement = placement (NULL, 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  assert_pending (brain, &web, 1, "no suitable node (max replicas per node limit exceed; 1 node not available for new tasks)");
}

static void
test_pause (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 2, &web);
  Tame *n1 = brain_tame (brain, 0);
  Tame *n2 = brain_tame (brain, 1);
  g_assert_true (brain_availability (brain, n1, "pause", NULL));
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (tame_n_tasks (n2, SWARM_TASK_RUNNING), ==, 3);
}

/* A node where this version of the service failed five times loses against one where it did not. */
static void
test_faulty_node (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *bad = brain_node (brain, "bad");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 5; i++) {
    brain_run (brain, 12 * SECOND); /* good runs: no back-off holds the last one */
    tame_report (bad, &newest_task (brain, &web, 1)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  }
  brain_run (brain, SECOND);
  Tame *good = brain_node (brain, "good");
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (bad, SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (tame_n_tasks (good, SWARM_TASK_RUNNING), ==, 3);
}

/* A task that never found a place and is not wanted any more ends without ever having been on a node. */
static void
test_unwanted (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  SwarmId first = newest_task (brain, &web, 1)->object.id;
  swarm_string_set (&spec->task->container->image, "httpd");
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, SECOND);
  const SwarmTask *old = swarm_store_get (brain->store, SWARM_KIND_TASK, &first);
  g_assert_cmpint (old->status->state, ==, SWARM_TASK_SHUTDOWN);
  assert_pending (brain, &web, 2, "no suitable node (1 node not available for new tasks)");
  brain_node (brain, "n1");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
}

/* ---- strategies ---- */

static void
set_strategy (SwarmServiceSpec *spec, const char *name)
{
  if (spec->task->placement == NULL)
    spec->task->placement = swarm_placement_new ();
  swarm_string_set (&spec->task->placement->strategy, name);
}

static void
test_strategy_binpack (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *a = brain_node (brain, "a"), *b = brain_node (brain, "b");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  set_strategy (spec, "binpack");
  spec->task->resources = reserve (G_GINT64_CONSTANT (2000000000), 0);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  guint on_a = tame_n_tasks (a, SWARM_TASK_RUNNING), on_b = tame_n_tasks (b, SWARM_TASK_RUNNING);
  g_assert_cmpuint (MAX (on_a, on_b), ==, 2); /* one is full */
  g_assert_cmpuint (MIN (on_a, on_b), ==, 1);
  /* The one with something on it is filled up. */
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (a, SWARM_TASK_RUNNING), ==, 2);
}

static void
test_strategy_random (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[4];
  guint even = 0, all = 0;
  for (guint i = 0; i < 4; i++)
    nodes[i] = brain_node (brain, (const char *[]){ "a", "b", "c", "d" }[i]);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 80);
  set_strategy (spec, "random");
  brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 4; i++) {
    guint n = tame_n_tasks (nodes[i], SWARM_TASK_RUNNING);
    g_assert_cmpuint (n, >, 5);
    even += n == 20;
    all += n;
  }
  g_assert_cmpuint (all, ==, 80);
  g_assert_cmpuint (even, <, 4); /* by the seed, not by turns */
}

static void
test_strategy_unknown (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (GError) error = NULL;
  set_strategy (spec, "fewest");
  g_assert_false (brain_try_create (brain, spec, NULL, NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, "scheduler strategy \"fewest\" is not installed on this manager (binpack, random, spread)");
}

/* The service was made on a manager that had the plugin; this one has not. */
static void
test_strategy_gone (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "a");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  set_strategy (spec, "fewest");
  swarm_control_set_schedulers (swarm_manager_control (brain->manager), NULL);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  assert_pending (brain, &web, 1, "no suitable node (this manager has no scheduler strategy \"fewest\")");
}

/* A service that names none follows the cluster. */
static void
test_strategy_of_cluster (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *a = brain_node (brain, "a"), *b = brain_node (brain, "b");
  g_autoptr (SwarmCluster) cluster = swarm_cluster_copy (swarm_store_cluster (brain->store));
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_copy (cluster->spec);
  g_autoptr (SwarmOrchestrationConfig) orchestration = swarm_orchestration_config_copy (spec->orchestration);
  swarm_string_set (&orchestration->strategy, "binpack");
  swarm_message_set_pointer (&spec->orchestration, orchestration);
  swarm_message_set_pointer (&cluster->spec, spec);
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_tx_update (tx, cluster);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  g_autoptr (SwarmServiceSpec) web = brain_spec ("web", 4);
  brain_create (brain, web);
  brain_run (brain, SECOND);
  g_assert_cmpuint (MAX (tame_n_tasks (a, SWARM_TASK_RUNNING), tame_n_tasks (b, SWARM_TASK_RUNNING)), ==, 4);
}

static SwarmNode *
surveyed_node (const char *hostname, const char *zone)
{
  SwarmNode *node = swarm_node_new ();
  node->object.id = (SwarmId){ { 7 } };
  node->spec = swarm_node_spec_new ();
  node->spec->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (node->spec->labels, g_strdup ("zone"), g_strdup (zone));
  node->description = swarm_node_description_new ();
  node->description->hostname = g_strdup (hostname);
  swarm_node_set_state (node, SWARM_NODE_READY, "");
  return node;
}

/* Between the survey of many nodes and the strategy's turn a node may change: its old texts are gone then. */
static void
test_node_changes_after_survey (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmNodeSet *set = swarm_node_set_new (brain->clock);
  g_autoptr (SwarmTask) task = swarm_task_new ();
  SwarmSurvey survey;
  SwarmNeeds needs;
  task->spec = swarm_task_spec_ref (spec->task);
  SwarmNode *node = surveyed_node ("old", "a");
  swarm_node_set_put (set, node);
  swarm_node_unref (node);
  swarm_needs_init (&needs, task);
  swarm_survey_init (&survey, set);
  swarm_survey_begin (&survey, &needs, 0);
  g_assert_true (swarm_survey_all (&survey, 10));
  node = surveyed_node ("new", "b");
  swarm_node_set_put (set, node);
  swarm_node_unref (node);
  swarm_survey_refresh (&survey);
  const SwarmPluginNode *row = &g_array_index (survey.rows, SwarmPluginNode, 0);
  g_assert_cmpuint (survey.rows->len, ==, 1);
  g_assert_cmpstr (row->hostname, ==, "new");
  g_assert_cmpstr (row->labels[0], ==, "zone=b");
  swarm_survey_clear (&survey);
  swarm_needs_clear (&needs);
  swarm_node_set_free (set);
}

/* A clock by which a turn's time is up after some looks at it. */
typedef struct {
  SwarmClock iface;
  guint looks;
} Hurry;

static gint64
hurry_boottime (SwarmClock *iface)
{
  Hurry *self = (Hurry *) iface;
  if (self->looks == 0)
    return SECOND;
  self->looks--;
  return 0;
}

static const SwarmClockOps hurry_ops = { .boottime = hurry_boottime };

static void
count_assigned (const SwarmTask *task, SwarmNodeInfo *info, SwarmTx *tx, gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
never_explained (const SwarmTask *task, const char *why, SwarmTx *tx, gpointer data)
{
  g_assert_not_reached ();
}

static const SwarmPlacingOps counting_ops = { count_assigned, never_explained };

/* More nodes than are looked at in a turn: the next turn goes on where the last one stopped. */
static void
test_survey_in_parts (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  g_autoptr (SwarmTask) task = swarm_task_new ();
  Hurry hurry = { { &hurry_ops }, 0 };
  SwarmLeader leader = { .store = brain->store, .clock = brain->clock, .random = &brain->random.iface,
                         .runner = swarm_runner_new (brain->store, brain->clock) };
  SwarmNodeSet *set = swarm_node_set_new (brain->clock);
  SwarmGroups groups;
  guint assigned = 0, turns = 0;
  swarm_runner_set_budget (leader.runner, &hurry.iface);
  for (guint i = 0; i < 6000; i++) {
    g_autoptr (SwarmNode) node = surveyed_node ("n", "a");
    node->object.id = (SwarmId){ { 7, (guint8) (i / 256), (guint8) i } };
    swarm_node_set_put (set, node);
  }
  task->object.id = task->service_id = (SwarmId){ { 9 } };
  task->spec = swarm_task_spec_copy (spec->task);
  task->spec->placement = swarm_placement_new ();
  task->spec->placement->strategy = g_strdup ("binpack");
  swarm_groups_init (&groups);
  swarm_groups_add (&groups, task);
  SwarmPlacing *placing = swarm_placing_new (&leader, set, &groups, brain->schedulers, &counting_ops, &assigned);
  for (gboolean more = TRUE; more && turns < 20; turns++) {
    SwarmTx *tx = swarm_store_tx (brain->store);
    hurry.looks = 1;
    more = swarm_placing_step (placing, tx);
    swarm_tx_free (tx);
  }
  g_assert_cmpuint (assigned, ==, 1);
  g_assert_cmpuint (turns, >=, 3);
  g_assert_cmpuint (turns, <, 20);
  swarm_placing_forget (placing);
  swarm_placing_free (placing);
  swarm_groups_clear (&groups);
  swarm_node_set_free (set);
  swarm_runner_free (leader.runner);
}

static void
never_assigned (const SwarmTask *task, SwarmNodeInfo *info, SwarmTx *tx, gpointer data)
{
  g_assert_not_reached ();
}

static gboolean
count_explained (const SwarmTask *task, const char *why, SwarmTx *tx, gpointer data)
{
  (*(guint *) data)++;
  return TRUE;
}

static const SwarmPlacingOps explaining_ops = { never_assigned, count_explained };

static void
assert_explains (SwarmPlacing *placing, SwarmStore *store, guint *explained, guint n)
{
  SwarmTx *tx = swarm_store_tx (store);
  *explained = 0;
  g_assert_false (swarm_placing_step (placing, tx));
  g_assert_cmpuint (*explained, ==, n);
  swarm_tx_free (tx);
  swarm_placing_settled (placing);
}

/* Of very many tasks that come by the hundred and fit nowhere, each is told why once, not again with every hundred. */
static void
test_explained_once (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmLeader leader = { .store = brain->store, .clock = brain->clock, .random = &brain->random.iface,
                         .runner = swarm_runner_new (brain->store, brain->clock) };
  SwarmNodeSet *set = swarm_node_set_new (brain->clock);
  Hurry hurry = { { &hurry_ops }, 1000 };
  SwarmTask *tasks[202];
  SwarmGroups groups;
  guint explained = 0;
  swarm_runner_set_budget (leader.runner, &hurry.iface);
  swarm_groups_init (&groups);
  SwarmPlacing *placing = swarm_placing_new (&leader, set, &groups, brain->schedulers, &explaining_ops, &explained);
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++) {
    tasks[i] = swarm_task_new ();
    tasks[i]->object.id = (SwarmId){ { 8, (guint8) i } };
    tasks[i]->service_id = (SwarmId){ { 9 } };
    tasks[i]->spec = swarm_task_spec_ref (spec->task);
    if (i < 200)
      swarm_groups_add (&groups, tasks[i]);
    if (i % 50 == 49)
      assert_explains (placing, brain->store, &explained, 50);
  }
  /* What failed, or may be wrong now, is looked at again; so is all of it when there is another reason. */
  swarm_groups_mark_all (&groups);
  assert_explains (placing, brain->store, &explained, 200);
  g_autoptr (SwarmNode) node = surveyed_node ("n", "a");
  swarm_node_set_state (node, SWARM_NODE_DOWN, "");
  swarm_node_set_put (set, node);
  swarm_groups_add (&groups, tasks[200]);
  assert_explains (placing, brain->store, &explained, 201);
  /* A queue that was tidied is counted anew. */
  for (guint i = 0; i < 150; i++)
    swarm_groups_remove (&groups, tasks[i]);
  swarm_groups_add (&groups, tasks[201]);
  assert_explains (placing, brain->store, &explained, 52);
  swarm_placing_free (placing);
  swarm_groups_clear (&groups);
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    swarm_task_unref (tasks[i]);
  swarm_node_set_free (set);
  swarm_runner_free (leader.runner);
}

/* There is room for just as many as one call of the strategy places: the last of them are not told that they have to wait. */
static void
test_room_for_a_batch (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4100);
  spec->task->placement = placement (NULL, 4096);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 5 * SECOND);
  brain_node (brain, "n1");
  brain_run (brain, 20 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4096);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_PENDING, SWARM_TASK_RUNNING), ==, 4);
}

/* What a transaction that failed would have said is said by the next one. */
static void
test_explained_after_failure (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1500);
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 6; i++) {
    brain_run (brain, 4 * MS);
    sim_log_break (brain->log, TRUE);
    brain_run (brain, 5 * MS);
    sim_log_break (brain->log, FALSE);
  }
  brain_run (brain, 5 * SECOND);
  assert_pending (brain, &web, 1500, "no suitable node (1 node not available for new tasks)");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scheduler/spread", test_spread);
  g_test_add_func ("/scheduler/node-changes-after-survey", test_node_changes_after_survey);
  g_test_add_func ("/scheduler/survey-in-parts", test_survey_in_parts);
  g_test_add_func ("/scheduler/no-nodes", test_no_nodes);
  g_test_add_func ("/scheduler/explained-once", test_explained_once);
  g_test_add_func ("/scheduler/explained-after-failure", test_explained_after_failure);
  g_test_add_func ("/scheduler/room-for-a-batch", test_room_for_a_batch);
  g_test_add_func ("/scheduler/host-ports", test_host_ports);
  g_test_add_func ("/scheduler/resources", test_resources);
  g_test_add_func ("/scheduler/constraints", test_constraints);
  g_test_add_func ("/scheduler/platform", test_platform);
  g_test_add_func ("/scheduler/max-replicas", test_max_replicas);
  g_test_add_func ("/scheduler/pause", test_pause);
  g_test_add_func ("/scheduler/faulty-node", test_faulty_node);
  g_test_add_func ("/scheduler/unwanted", test_unwanted);
  g_test_add_func ("/scheduler/strategy-binpack", test_strategy_binpack);
  g_test_add_func ("/scheduler/strategy-random", test_strategy_random);
  g_test_add_func ("/scheduler/strategy-unknown", test_strategy_unknown);
  g_test_add_func ("/scheduler/strategy-gone", test_strategy_gone);
  g_test_add_func ("/scheduler/strategy-of-cluster", test_strategy_of_cluster);
  return g_test_run ();
}
