// SPDX-License-Identifier: LGPL-2.1-or-later
/* Moving tasks on request: `service rebalance`, and a drain that starts the replacement first. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/orchestrator/rebalance.h"

static void
planned (GArray *moves, const GError *error, gpointer data)
{
  if (error == NULL)
    *(GArray **) data = g_array_ref (moves);
  else
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

/* Made at once: virtual time stands still. NULL: refused. */
static GArray *
plan_of (Brain *brain, const SwarmId *id, guint max)
{
  GArray *moves = NULL;
  SwarmRebalance *rebalance = NULL;
  swarm_rebalance_plan (&rebalance, brain->store, brain->clock, swarm_store_get (brain->store, SWARM_KIND_SERVICE, id), max, planned, &moves);
  g_assert_null (rebalance);
  return moves;
}

static guint
n_moves (Brain *brain, const SwarmId *id)
{
  g_autoptr (GArray) plan = plan_of (brain, id, 0);
  return plan->len;
}

static guint
rebalance (Brain *brain, const SwarmId *id, guint max)
{
  BrainOutcome out = { 0 };
  swarm_control_rebalance_service (swarm_manager_control (brain->manager), id, max, NULL, brain_outcome, &out);
  brain_run (brain, 5 * MS);
  g_assert_no_error (out.error);
  g_autofree char *text = out.text;
  return (guint) g_ascii_strtoull (text, NULL, 10);
}

static guint
running_on (Brain *brain, const SwarmId *id, Tame *node)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += swarm_id_equal (&task->node_id, &node->id) && task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  }
  return n;
}

static void
set_order (SwarmServiceSpec *spec, SwarmUpdateOrder order, guint parallelism)
{
  spec->update = swarm_update_config_new ();
  spec->update->order = order;
  spec->update->parallelism = parallelism;
}

/* The newest tasks of the most crowded node go to the emptiest, as long as they differ by two; a limit is kept; nothing moves by itself. */
static void
test_plan (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 7, &web);
  Tame *n1 = brain_tame (brain, 0);
  g_assert_cmpuint (n_moves (brain, &web), ==, 0); /* nowhere to go */
  Tame *n2 = brain_node (brain, "n2"), *n3 = brain_node (brain, "n3");
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 7);
  g_autoptr (GArray) plan = plan_of (brain, &web, 0), some = plan_of (brain, &web, 2);
  g_assert_cmpuint (plan->len, ==, 4); /* 3, 2, 2 */
  g_assert_cmpuint (some->len, ==, 2);
  guint to_n2 = 0;
  for (guint i = 0; i < plan->len; i++) {
    const SwarmMove *move = &g_array_index (plan, SwarmMove, i);
    const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &move->task);
    g_assert_cmpuint (task->slot, ==, move->slot);
    g_assert_true (swarm_id_equal (&move->from, &n1->id));
    to_n2 += swarm_id_equal (&move->to, &n2->id);
  }
  g_assert_cmpuint (to_n2, ==, 2);
  /* A paused node gives, but takes nothing; a drained one neither. */
  g_assert_true (brain_availability (brain, n2, "pause", NULL));
  g_assert_cmpuint (n_moves (brain, &web), ==, 3);
  g_assert_true (brain_availability (brain, n3, "drain", NULL));
  g_assert_cmpuint (n_moves (brain, &web), ==, 0);
}

/* What has run for the shortest time moves, whatever its slot. */
static void
test_newest_moves (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 4, &web);
  Tame *n1 = brain_tame (brain, 0);
  for (guint64 slot = 2; slot >= 1; slot--) {
    tame_report (n1, &newest_task (brain, &web, slot)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
    brain_run (brain, SECOND);
  }
  brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 4);
  g_autoptr (GArray) plan = plan_of (brain, &web, 0);
  g_assert_cmpuint (plan->len, ==, 2);
  g_assert_cmpuint (g_array_index (plan, SwarmMove, 0).slot, ==, 1);
  g_assert_cmpuint (g_array_index (plan, SwarmMove, 1).slot, ==, 2);
}

/* Nowhere to go from any of them: it is said once, and that is the end of it. */
static void
test_no_room (gconstpointer data)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 4, &web);
  Tame *first = brain_tame (brain, 0), *second = brain_tame (brain, 1);
  gboolean swap = (swarm_id_compare (&first->id, &second->id) < 0) == GPOINTER_TO_INT (data);
  g_assert_true (brain_availability (brain, swap ? second : first, "pause", NULL));
  g_assert_true (brain_scale (brain, &web, 6, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (running_on (brain, &web, swap ? first : second), ==, 4);
  g_assert_cmpuint (n_moves (brain, &web), ==, 0);
}

/* The most crowded node has nothing that runs: nothing is moved. */
static void
test_nothing_runs (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *lazy = brain_node (brain, "n1");
  lazy->lazy = TRUE;
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
  g_assert_cmpuint (tame_n_tasks (lazy, SWARM_TASK_RUNNING), ==, 4);
  g_assert_cmpuint (n_moves (brain, &web), ==, 0);
}

static void
test_refused (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("all", 1);
  BrainOutcome out = { 0 };
  g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
  spec->mode->global = swarm_global_new ();
  SwarmId all = brain_create (brain, spec), none = SWARM_ID_NIL;
  g_assert_null (plan_of (brain, &all, 0));
  swarm_control_rebalance_service (swarm_manager_control (brain->manager), &all, 0, NULL, brain_outcome, &out);
  brain_run (brain, 5 * MS);
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (out.error->message, ==, "rebalance can only be used with replicated mode");
  g_clear_error (&out.error);
  out = (BrainOutcome){ 0 };
  swarm_control_rebalance_service (swarm_manager_control (brain->manager), &none, 0, NULL, brain_outcome, &out);
  brain_run (brain, 5 * MS);
  g_assert_error (out.error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_clear_error (&out.error);
}

static void
set_zone (Brain *brain, Tame *node, const char *zone)
{
  g_autoptr (GHashTable) labels = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (labels, (gpointer) "zone", (gpointer) zone);
  swarm_control_update_labels (swarm_manager_control (brain->manager), &node->id, labels, NULL, NULL, NULL, NULL);
  brain_run (brain, 10 * MS);
}

/* Branches of the preferences are evened first, then the nodes inside each; what is even there is left so, however crowded its nodes are. */
static void
test_branches (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *a1 = brain_node (brain, "a1"), *b[3];
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 8);
  SwarmSpread *over = swarm_spread_new ();
  over->descriptor = g_strdup ("node.labels.zone");
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->preferences = swarm_messages_new ();
  g_ptr_array_add (spec->task->placement->preferences, swarm_placement_preference_new ());
  ((SwarmPlacementPreference *) spec->task->placement->preferences->pdata[0])->spread = over;
  set_zone (brain, a1, "a");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 3; i++) {
    b[i] = brain_node (brain, i == 0 ? "b1" : i == 1 ? "b2" : "b3");
    set_zone (brain, b[i], "b");
  }
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 4); /* 4 stay on a1, 4 go to zone b */
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, a1), ==, 4);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (running_on (brain, &web, b[i]), >=, 1);
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 0);
  Tame *a2 = brain_node (brain, "a2");
  set_zone (brain, a2, "a");
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 2); /* inside zone a */
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, a1), ==, 2);
  g_assert_cmpuint (running_on (brain, &web, a2), ==, 2);
}

/* Constraints, reservations and host ports keep tasks where they fit. */
static void
test_filters (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) bound = brain_spec ("bound", 4), big = brain_spec ("big", 3), port = brain_spec ("port", 1);
  bound->task->placement = swarm_placement_new ();
  bound->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (bound->task->placement->constraints, g_strdup ("node.hostname==n1"));
  big->task->resources = swarm_resource_requirements_new ();
  big->task->resources->reservations = swarm_resources_new ();
  big->task->resources->reservations->memory_bytes = G_GINT64_CONSTANT (2) << 30;
  spec_host_port (port, 80);
  SwarmId ids[] = { brain_create (brain, bound), brain_create (brain, big), brain_create (brain, port) };
  brain_run (brain, SECOND);
  brain_node (brain, "n2");
  g_assert_cmpuint (n_moves (brain, &ids[0]), ==, 0);
  g_assert_cmpuint (n_moves (brain, &ids[1]), ==, 1);
  g_assert_cmpuint (n_moves (brain, &ids[2]), ==, 0);
  /* What is taken there counts. */
  g_autoptr (SwarmServiceSpec) hog = brain_spec ("hog", 1);
  hog->task->placement = swarm_placement_new ();
  hog->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (hog->task->placement->constraints, g_strdup ("node.hostname==n2"));
  hog->task->resources = swarm_resource_requirements_new ();
  hog->task->resources->reservations = swarm_resources_new ();
  hog->task->resources->reservations->memory_bytes = G_GINT64_CONSTANT (7) << 30;
  brain_create (brain, hog);
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_moves (brain, &ids[1]), ==, 0);
}

/* Lets time pass; the fewest tasks that ran meanwhile. */
static guint
least_running (Brain *brain, const SwarmId *id, gint64 us)
{
  guint least = G_MAXUINT;
  for (gint64 t = 0; t < us; t += MS) {
    brain_run (brain, MS);
    least = MIN (least, count_running (brain, id));
  }
  return least;
}

/* Stop-first: no more slots are down at once than the update parallelism says, and no restart delay is waited for. */
static void
test_stop_first (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 8);
  spec->task->restart_policy->delay = G_GINT64_CONSTANT (600000000000);
  set_order (spec, SWARM_ORDER_STOP_FIRST, 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  Tame *n2 = brain_node (brain, "n2");
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 4);
  g_assert_cmpuint (n_moves (brain, &web), ==, 0); /* what is under way counts */
  g_assert_cmpuint (least_running (brain, &web, 500 * MS), ==, 6);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 4);
  g_assert_cmpuint (running_on (brain, &web, n2), ==, 4);
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 0);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpuint (tasks->len, ==, 12);
}

/* Start-first: a task goes when its replacement runs. */
static void
test_start_first (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 6);
  set_order (spec, SWARM_ORDER_START_FIRST, 1);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  Tame *n2 = brain_node (brain, "n2");
  g_assert_cmpuint (rebalance (brain, &web, 2), ==, 2);
  g_assert_cmpuint (least_running (brain, &web, 500 * MS), >=, 6);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 4);
  g_assert_cmpuint (running_on (brain, &web, n2), ==, 2);
  /* One after the other also over a new leader. */
  n2->lazy = TRUE;
  g_assert_cmpuint (rebalance (brain, &web, 0), ==, 1);
  brain_run (brain, SECOND);
  brain_restart (brain);
  tame_connect (n1);
  n2->lazy = FALSE;
  tame_connect (n2);
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 3);
  g_assert_cmpuint (running_on (brain, &web, n2), ==, 3);
}

/* The node to move to dies on the way: the slot runs all the same. */
static void
test_target_dies (void)
{
  for (guint order = 0; order < 2; order++) {
    g_autoptr (Brain) brain = brain_new ();
    brain_node (brain, "n1");
    g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
    set_order (spec, order == 0 ? SWARM_ORDER_STOP_FIRST : SWARM_ORDER_START_FIRST, 1);
    SwarmId web = brain_create (brain, spec);
    brain_run (brain, SECOND);
    Tame *n2 = brain_node (brain, "n2");
    n2->lazy = TRUE;
    g_assert_cmpuint (rebalance (brain, &web, 0), ==, 2);
    brain_run (brain, SECOND);
    n2->mute = TRUE;
    tame_disconnect (n2);
    brain_run (brain, 120 * SECOND);
    g_assert_cmpuint (count_running (brain, &web), ==, 4);
  }
}

/* ---- drain ---- */

static void
drain (Brain *brain, Tame *node, SwarmDrainOrder order, gint64 deadline)
{
  BrainOutcome out = { 0 };
  swarm_control_drain_node (swarm_manager_control (brain->manager), &node->id, order, deadline, NULL, brain_outcome, &out);
  brain_run (brain, 5 * MS);
  g_assert_no_error (out.error);
  g_free (out.text);
}

/* Replacement first where the service's update order says so, or the drain does; else stopped at once. */
static void
test_drain_order (void)
{
  static const struct {
    SwarmUpdateOrder update;
    SwarmDrainOrder drain;
    guint least;
  } rows[] = { { SWARM_ORDER_STOP_FIRST, SWARM_DRAIN_UPDATE_ORDER, 0 },
               { SWARM_ORDER_START_FIRST, SWARM_DRAIN_UPDATE_ORDER, 4 },
               { SWARM_ORDER_STOP_FIRST, SWARM_DRAIN_START_FIRST, 4 },
               { SWARM_ORDER_START_FIRST, SWARM_DRAIN_STOP_FIRST, 0 } };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (Brain) brain = brain_new ();
    Tame *n1 = brain_node (brain, "n1");
    g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
    set_order (spec, rows[i].update, 1);
    SwarmId web = brain_create (brain, spec);
    brain_run (brain, SECOND);
    brain_node (brain, "n2");
    swarm_control_drain_node (swarm_manager_control (brain->manager), &n1->id, rows[i].drain, 0, NULL, NULL, NULL);
    guint least = least_running (brain, &web, SECOND);
    g_assert_cmpuint (least, ==, rows[i].least);
    g_assert_cmpuint (count_running (brain, &web), ==, 4);
    g_assert_cmpuint (running_on (brain, &web, n1), ==, 0);
  }
}

/* From the deadline on nothing waits for its replacement; without one it does. Another availability forgets both. */
static void
test_drain_deadline (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 2, &web);
  Tame *n1 = brain_tame (brain, 0);
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 60 * SECOND);
  brain_run (brain, 55 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 2); /* no other node takes them */
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_PENDING, SWARM_TASK_RUNNING), ==, 2);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 0);
  g_assert_true (brain_availability (brain, n1, "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 2);
  g_assert_cmpint (tame_node (n1)->spec->drain_order, ==, SWARM_DRAIN_UPDATE_ORDER);
  g_assert_cmpint (tame_node (n1)->spec->drain_deadline, ==, 0);
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 0);
  brain_run (brain, 3600 * SECOND);
  g_assert_cmpuint (running_on (brain, &web, n1), ==, 2);
}

/* A job's task and a global service's are not replaced elsewhere first. */
static void
test_drain_job (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("job", 1);
  g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
  spec->mode->replicated_job = swarm_replicated_job_new ();
  SwarmId job = brain_create (brain, spec);
  brain_run (brain, SECOND);
  Tame *n2 = brain_node (brain, "n2");
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 0);
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_COMPLETE), ==, 0);
  g_assert_cmpint (newest_task (brain, &job, 0)->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_true (node_of_task (brain, newest_task (brain, &job, 0)) == n2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rebalance/plan", test_plan);
  g_test_add_func ("/rebalance/nothing-runs", test_nothing_runs);
  g_test_add_func ("/rebalance/newest-moves", test_newest_moves);
  g_test_add_data_func ("/rebalance/no-room", GINT_TO_POINTER (FALSE), test_no_room);
  g_test_add_data_func ("/rebalance/no-room-either", GINT_TO_POINTER (TRUE), test_no_room);
  g_test_add_func ("/rebalance/refused", test_refused);
  g_test_add_func ("/rebalance/filters", test_filters);
  g_test_add_func ("/rebalance/branches", test_branches);
  g_test_add_func ("/rebalance/stop-first", test_stop_first);
  g_test_add_func ("/rebalance/start-first", test_start_first);
  g_test_add_func ("/rebalance/target-dies", test_target_dies);
  g_test_add_func ("/drain/order", test_drain_order);
  g_test_add_func ("/drain/deadline", test_drain_deadline);
  g_test_add_func ("/drain/job", test_drain_job);
  return g_test_run ();
}
