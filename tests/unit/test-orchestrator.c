// SPDX-License-Identifier: LGPL-2.1-or-later
/* Replicated services, restart policy, history: the brain in virtual time with tame nodes. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/orchestrator/global.h"
#include "manager/orchestrator/replicated.h"

static void
test_create (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[3] = { brain_node (brain, "n1"), brain_node (brain, "n2"), brain_node (brain, "n3") };
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 6);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  g_assert_cmpuint (count_running (brain, &web), ==, 6);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (tame_n_tasks (nodes[i], SWARM_TASK_RUNNING), ==, 2);
  for (guint slot = 1; slot <= 6; slot++)
    g_assert_nonnull (newest_task (brain, &web, slot));
  const SwarmTask *task = newest_task (brain, &web, 1);
  g_assert_cmpstr (task->spec->container->image, ==, "docker.io/library/nginx:latest");
  g_assert_cmpstr (task->service_name, ==, "web");
}

static void
test_scale (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  g_assert_true (brain_scale (brain, &web, 500, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 500);
  g_assert_true (brain_scale (brain, &web, 3, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  /* Slots that were scaled away leave nothing behind. */
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  g_assert_true (brain_scale (brain, &web, 0, NULL));
  brain_run (brain, 1 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* Another number while the first is still being made: what was begun is not finished first. */
static void
test_scale_changes_its_mind (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4000);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 5 * MS);
  g_assert_true (brain_scale (brain, &web, 20, NULL));
  guint made = swarm_store_count (brain->store, SWARM_KIND_TASK);
  brain_run (brain, 40 * MS);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), <, made + 2 * SWARM_TX_MAX_CHANGES);
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 20);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 20);
  /* And down: what is wanted again stays. */
  g_assert_true (brain_scale (brain, &web, 3000, NULL));
  brain_run (brain, 5 * SECOND);
  SwarmId kept = newest_task (brain, &web, 1)->object.id;
  g_assert_true (brain_scale (brain, &web, 1, NULL));
  brain_run (brain, 3 * MS);
  g_assert_true (brain_scale (brain, &web, 3000, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3000);
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &kept));
}

/* A transaction that fails is done again, none of it is forgotten. */
static void
test_quorum_comes_and_goes (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3000);
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 4; i++) {
    brain_run (brain, 6 * MS);
    sim_log_break (brain->log, TRUE);
    brain_run (brain, 300 * MS);
    sim_log_break (brain->log, FALSE);
  }
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3000);
  /* What only a timer asked for, too. */
  g_autoptr (SwarmServiceSpec) slow = brain_spec ("slow", 1);
  slow->task->restart_policy->delay = G_GINT64_CONSTANT (5000000000);
  SwarmId late = brain_create (brain, slow);
  brain_run (brain, 20 * SECOND);
  tame_report (node, &newest_task (brain, &late, 1)->object.id, SWARM_TASK_FAILED, "x");
  brain_run (brain, 4900 * MS);
  g_assert_cmpint (newest_task (brain, &late, 1)->desired_state, ==, SWARM_TASK_READY);
  sim_log_break (brain->log, TRUE);
  brain_run (brain, 300 * MS);
  sim_log_break (brain->log, FALSE);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &late), ==, 1);
}

/* Slots with a history go whole, in however many transactions. */
static void
test_many_slots_with_history (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 450);
  SwarmId web = brain_create (brain, spec);
  spec->update = swarm_update_config_new ();
  spec->update->parallelism = 0;
  for (guint i = 1; i <= 2; i++) {
    brain_run (brain, 5 * SECOND);
    spec->task->force_update = i;
    g_assert_true (brain_update (brain, &web, spec, NULL));
  }
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3 * 450);
  g_assert_true (brain_scale (brain, &web, 0, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* The slots that go are those on the nodes with most tasks; those without a node go first. */
static void
test_scale_down_choice (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *crowded = brain_node (brain, "crowded");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 4);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  Tame *fresh = brain_node (brain, "fresh");
  g_assert_true (brain_scale (brain, &web, 6, NULL));
  brain_run (brain, 200 * MS);
  g_assert_cmpuint (tame_n_tasks (crowded, SWARM_TASK_RUNNING), ==, 4);
  g_assert_cmpuint (tame_n_tasks (fresh, SWARM_TASK_RUNNING), ==, 2);
  g_assert_true (brain_scale (brain, &web, 4, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (crowded, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (tame_n_tasks (fresh, SWARM_TASK_RUNNING), ==, 2);
  /* Of the crowded node's slots the highest numbers went. */
  g_assert_nonnull (newest_task (brain, &web, 1));
  g_assert_nonnull (newest_task (brain, &web, 2));
  g_assert_null (newest_task (brain, &web, 4));
  /* Freed numbers are used again, the smallest first. */
  g_assert_true (brain_scale (brain, &web, 5, NULL));
  brain_run (brain, SECOND);
  g_assert_nonnull (newest_task (brain, &web, 3));
}

static void
test_remove (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  node->stubborn = TRUE;
  g_assert_true (brain_remove (brain, &web, NULL));
  brain_run (brain, SECOND);
  /* What still runs is not forgotten. */
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_SERVICE), ==, 0);
  /* The name is free at once. */
  SwarmId again = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &again), ==, 3);
  g_autoptr (GPtrArray) old = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpuint (old->len, ==, 3);
  for (guint i = 0; i < old->len; i++)
    tame_report (node, &SWARM_OBJECT (g_ptr_array_index (old, i))->id, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
}

static void
test_restart_delay (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->delay = G_GINT64_CONSTANT (5000000000);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  SwarmId first = newest_task (brain, &web, 1)->object.id;
  tame_report (node, &first, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, 100 * MS);
  /* The replacement is there at once, made ready, and runs after the delay. */
  const SwarmTask *second = newest_task (brain, &web, 1);
  g_assert_false (swarm_id_equal (&second->object.id, &first));
  g_assert_cmpint (second->desired_state, ==, SWARM_TASK_READY);
  g_assert_cmpint (second->status->state, ==, SWARM_TASK_READY);
  brain_run (brain, 4800 * MS);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_READY);
  brain_run (brain, 200 * MS);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_RUNNING);
  const SwarmTask *old = swarm_store_get (brain->store, SWARM_KIND_TASK, &first);
  g_assert_cmpint (old->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (old->status->err, ==, "task: non-zero exit (1)");
}

/* A replacement that fails while its own delay runs waits for it: one try per delay, never a tight loop. */
static void
test_fast_failures (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->delay = G_GINT64_CONSTANT (5000000000);
  node->rejects = TRUE;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 11 * SECOND);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpuint (tasks->len, ==, 4); /* at 0, 0, 5 and 10 s */
  const SwarmTask *last = g_ptr_array_index (tasks, 3);
  g_assert_cmpint (last->status->state, ==, SWARM_TASK_REJECTED);
  g_assert_cmpstr (last->status->err, ==, "No such image: nginx:latest");
  node->rejects = FALSE;
  brain_run (brain, 70 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

/* Without a delay, an image that does not exist is tried again ever more slowly; others are not held up. */
static void
test_rejection_backoff (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) bad = brain_spec ("bad", 1), good = brain_spec ("good", 5);
  node->rejects = TRUE;
  SwarmId id = brain_create (brain, bad);
  brain_run (brain, 100 * MS);
  node->rejects = FALSE;
  SwarmId fine = brain_create (brain, good);
  brain_run (brain, 100 * MS);
  g_assert_cmpuint (count_running (brain, &fine), ==, 5);
  node->rejects = TRUE;
  guint before = sim_log_n_entries (brain->log);
  brain_run (brain, 600 * SECOND);
  g_assert_cmpuint (sim_log_n_entries (brain->log) - before, <, 150);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &id);
  g_assert_cmpuint (tasks->len, <=, 6);
}

static void
test_conditions (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) once = brain_spec ("once", 1), careful = brain_spec ("careful", 1);
  once->task->restart_policy->condition = SWARM_RESTART_NONE;
  careful->task->restart_policy->condition = SWARM_RESTART_ON_FAILURE;
  SwarmId a = brain_create (brain, once), b = brain_create (brain, careful);
  brain_run (brain, 3 * SECOND);
  SwarmId task_a = newest_task (brain, &a, 1)->object.id;
  tame_report (node, &task_a, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  tame_report (node, &newest_task (brain, &b, 1)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (count_running (brain, &a), ==, 0);
  g_assert_cmpuint (count_running (brain, &b), ==, 1);
  SwarmId task_b = newest_task (brain, &b, 1)->object.id;
  tame_report (node, &task_b, SWARM_TASK_COMPLETE, NULL);
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (count_running (brain, &b), ==, 0);
  /* They stay as they are, also over an unrelated change … */
  g_assert_true (brain_scale (brain, &a, 1, NULL));
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (count_running (brain, &a), ==, 0);
  g_assert_true (swarm_id_equal (&newest_task (brain, &b, 1)->object.id, &task_b));
  /* … until the spec changes. */
  g_autoptr (SwarmServiceSpec) changed = brain_spec ("once", 1);
  changed->task->restart_policy->condition = SWARM_RESTART_NONE;
  swarm_string_set (&changed->task->container->image, "httpd");
  g_assert_true (brain_update (brain, &a, changed, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &a), ==, 1);
}

static void
fail_newest (Brain *brain, Tame *node, const SwarmId *service)
{
  brain_run (brain, 12 * SECOND); /* a good run: no back-off */
  const SwarmTask *task = newest_task (brain, service, 1);
  if (task->status->state == SWARM_TASK_RUNNING)
    tame_report (node, &task->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, SECOND);
}

static void
test_max_attempts (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->max_attempts = 7;
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 20; i++)
    fail_newest (brain, node, &web);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpuint (tasks->len, ==, 8); /* one more than the attempts, and all are kept */
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
  /* A new leader counts the same. */
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
  /* A new spec starts the count anew. */
  spec->task->force_update = 1;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  fail_newest (brain, node, &web);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

static void
test_history (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 12; i++)
    fail_newest (brain, node, &web);
  g_autoptr (GPtrArray) failing = swarm_store_tasks_of_slot (brain->store, &web, 1);
  g_assert_cmpuint (failing->len, ==, 5);
  g_autoptr (GPtrArray) sound = swarm_store_tasks_of_slot (brain->store, &web, 2);
  g_assert_cmpuint (sound->len, ==, 1);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
}

/* A changed spec replaces tasks one by one, the old stopped before the new runs. */
static void
test_update (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 4, &web);
  g_autoptr (SwarmServiceSpec) next = brain_spec ("web", 4);
  swarm_string_set (&next->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &web, next, NULL));
  guint least = 4;
  for (guint i = 0; i < 400; i++) {
    brain_run (brain, MS);
    least = MIN (least, count_running (brain, &web));
  }
  g_assert_cmpuint (least, >=, 3);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  for (guint slot = 1; slot <= 4; slot++) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (brain->store, &web, slot);
    g_assert_cmpuint (tasks->len, ==, 2);
    g_assert_cmpstr (newest_task (brain, &web, slot)->spec->container->image, ==, "docker.io/library/nginx:2");
  }
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpstr (service->previous_spec->task->container->image, ==, "docker.io/library/nginx:latest");
  /* Labels and replicas alone replace nothing. */
  g_autoptr (SwarmServiceSpec) labelled = swarm_service_spec_copy (service->spec);
  labelled->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (labelled->labels, g_strdup ("a"), g_strdup ("b"));
  SwarmId kept = newest_task (brain, &web, 1)->object.id;
  g_assert_true (brain_update (brain, &web, labelled, NULL));
  brain_run (brain, SECOND);
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &kept));
}

/* A broken new version stops at the first slot; a fixed one then goes through. */
static void
test_update_broken (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 4, &web);
  Tame *node = brain_tame (brain, 0);
  g_autoptr (SwarmServiceSpec) broken = brain_spec ("web", 4);
  swarm_string_set (&broken->task->container->image, "nginx:broken");
  node->rejects = TRUE;
  g_assert_true (brain_update (brain, &web, broken, NULL));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  node->rejects = FALSE;
  g_autoptr (SwarmServiceSpec) fixed = brain_spec ("web", 4);
  swarm_string_set (&fixed->task->container->image, "nginx:fixed");
  g_assert_true (brain_update (brain, &web, fixed, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  for (guint slot = 1; slot <= 4; slot++)
    g_assert_cmpstr (newest_task (brain, &web, slot)->spec->container->image, ==, "docker.io/library/nginx:fixed");
}

static gboolean
is_replaced (Brain *brain, const SwarmId *service, guint64 slot)
{
  return g_str_equal (newest_task (brain, service, slot)->spec->container->image, "docker.io/library/nginx:2");
}

/* What does not run is replaced first, as it is when its turn comes: a slot that has come to run since the update began waits for the others. */
static void
test_update_order (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  node->lazy = TRUE;
  spec->update = swarm_update_config_new ();
  spec->update->parallelism = 1;
  SwarmId web = brain_create (brain, spec), old[4];
  brain_run (brain, SECOND);
  for (guint64 slot = 1; slot <= 3; slot++)
    old[slot] = newest_task (brain, &web, slot)->object.id;
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, SECOND);
  g_assert_true (is_replaced (brain, &web, 1));
  g_assert_false (is_replaced (brain, &web, 2) || is_replaced (brain, &web, 3));
  tame_report (node, &old[2], SWARM_TASK_RUNNING, NULL);
  brain_run (brain, SECOND);
  tame_report (node, &old[1], SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  tame_report (node, &newest_task (brain, &web, 1)->object.id, SWARM_TASK_RUNNING, NULL);
  brain_run (brain, SECOND);
  g_assert_true (is_replaced (brain, &web, 3));
  g_assert_false (is_replaced (brain, &web, 2));
}

/* While a stop lasts, the slot's next task does not run. */
static void
test_slot_is_exclusive (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  node->stubborn = TRUE;
  spec->task->force_update = 1;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, 90 * SECOND);
  g_assert_cmpint (newest_task (brain, &web, 1)->desired_state, ==, SWARM_TASK_READY);
  tame_report (node, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, 100 * MS);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_RUNNING);
}

/* A slot that is filled again waits for what it held before. */
static void
test_slot_again (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 2, &web);
  Tame *node = brain_tame (brain, 0);
  SwarmId old = newest_task (brain, &web, 2)->object.id;
  node->stubborn = TRUE;
  g_assert_true (brain_scale (brain, &web, 1, NULL));
  brain_run (brain, SECOND);
  g_assert_true (brain_scale (brain, &web, 2, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpint (newest_task (brain, &web, 2)->desired_state, ==, SWARM_TASK_READY);
  tame_report (node, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
}

static void
drain (Brain *brain, Tame *node, SwarmDrainOrder order, gint64 deadline)
{
  swarm_control_drain_node (swarm_manager_control (brain->manager), &node->id, order, deadline, NULL, NULL, NULL);
  brain_run (brain, 100 * MS);
}

/* A drain that starts replacements first stops a task when another runs in its place, or at the deadline. */
static void
test_drain_start_first (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 2, &web);
  Tame *n1 = brain_tame (brain, 0);
  Tame *n2 = brain_node (brain, "n2");
  n2->lazy = TRUE;
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 60 * SECOND);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (tame_n_tasks (n2, SWARM_TASK_RUNNING), ==, 2);
  tame_report (n2, &newest_task (brain, &web, 1)->object.id, SWARM_TASK_RUNNING, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 1);
  brain_run (brain, 52 * SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 1);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 0);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

/* A drain that waits for replacements can be told not to. */
static void
test_drain_order_changes (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  brain_create (brain, spec);
  brain_run (brain, SECOND);
  Tame *n2 = brain_node (brain, "n2");
  n2->lazy = TRUE;
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 0);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 2);
  drain (brain, n1, SWARM_DRAIN_STOP_FIRST, 0);
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 0);
}

/* A service is removed, and the leader is gone before it did anything about it: the next one removes its tasks. */
static void
test_removed_before_new_leader (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 3, &web);
  Tame *node = brain_tame (brain, 0);
  g_assert_true (brain_remove (brain, &web, NULL));
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpint (((SwarmTask *) g_ptr_array_index (tasks, 0))->desired_state, ==, SWARM_TASK_RUNNING);
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* The replacement fails: the policy paces its restarts, the old task goes on. Where the policy wants none, it is simply stopped. */
static void
test_drain_replacement_fails (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1), once = brain_spec ("once", 1);
  once->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId web = brain_create (brain, spec), single = brain_create (brain, once);
  brain_run (brain, SECOND);
  Tame *n2 = brain_node (brain, "n2");
  n2->bad_image = "nginx";
  guint before = sim_log_n_entries (brain->log);
  drain (brain, n1, SWARM_DRAIN_START_FIRST, 0);
  for (guint i = 0; i < 60; i++) {
    brain_run (brain, SECOND);
    g_assert_cmpuint (count_running (brain, &web), ==, 1);
  }
  g_assert_cmpuint (count_running (brain, &single), ==, 0);
  g_assert_cmpuint (sim_log_n_entries (brain->log) - before, <, 150);
  n2->bad_image = NULL;
  brain_run (brain, 120 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  g_assert_cmpuint (tame_n_tasks (n1, SWARM_TASK_RUNNING), ==, 0);
}

/* ---- looks at slots, and at whole services ---- */

static void
story_task_ends (Brain *brain, SimRandom *dice, GArray *services)
{
  const SwarmId *service = &g_array_index (services, SwarmId, sim_random_range (dice, 0, services->len - 1));
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  if (tasks->len == 0)
    return;
  const SwarmTask *task = g_ptr_array_index (tasks, sim_random_range (dice, 0, tasks->len - 1));
  Tame *node = node_of_task (brain, task);
  if (node != NULL && task->status->state == SWARM_TASK_RUNNING)
    tame_report (node, &task->object.id, sim_random_chance (dice, 70) ? SWARM_TASK_FAILED : SWARM_TASK_COMPLETE, "x");
}

static void
story_node_changes (Brain *brain, SimRandom *dice)
{
  static const char *const words[] = { "active", "active", "pause", "drain" };
  Tame *node = g_ptr_array_index (brain->nodes, sim_random_range (dice, 0, brain->nodes->len - 1));
  gint64 what = sim_random_range (dice, 0, 6);
  if (what < 4) {
    g_assert_true (brain_availability (brain, node, words[what], NULL));
  } else if (what == 4) {
    node->bad_image = node->bad_image == NULL ? "nginx" : NULL;
  } else if (node->near != NULL) {
    tame_disconnect (node);
  } else {
    tame_connect (node);
  }
}

static void
story_service_changes (Brain *brain, SimRandom *dice, GArray *services)
{
  const SwarmId *id = &g_array_index (services, SwarmId, sim_random_range (dice, 0, services->len - 1));
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, id);
  if (service->spec->mode->replicated != NULL && sim_random_chance (dice, 60)) {
    g_assert_true (brain_scale (brain, id, (guint64) sim_random_range (dice, 0, 12), NULL));
    return;
  }
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (service->spec);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (spec->task);
  task->force_update++;
  swarm_message_set_pointer (&spec->task, task);
  g_assert_true (brain_update (brain, id, spec, NULL));
}

/* A slot that is counted again and again waits once, and what it counted before is taken back. */
static void
test_roll (void)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  service->spec = brain_spec ("web", 3);
  SwarmRoll *roll = swarm_roll_new (service);
  SwarmUpdateShare waits = { .waiting = 1, .due = 1000 }, works = { .step = 1, .open = 1, .busy = 1, .due = G_MAXINT64 };
  gboolean running;
  for (guint i = 0; i < 10; i++) {
    swarm_roll_set (roll, 7, &waits);
    swarm_roll_set (roll, 3, &waits);
  }
  g_assert_cmpuint (roll->waiting.items->len, ==, 2);
  g_assert_cmpuint (roll->dues.items->len, ==, 2);
  g_assert_cmpuint (roll->update.waiting, ==, 2);
  g_assert_cmpuint (roll->n_present, ==, 2);
  g_assert_cmpuint (swarm_roll_take_waiting (roll, &running)->number, ==, 3);
  g_assert_false (running);
  swarm_roll_set (roll, 3, &works);
  swarm_roll_set (roll, 7, NULL);
  g_assert_cmpuint (roll->update.waiting, ==, 0);
  g_assert_cmpuint (roll->update.busy, ==, 1);
  g_assert_cmpuint (roll->n_present, ==, 1);
  /* What waits again stands in the queue again. */
  g_assert_cmpuint (swarm_roll_take_waiting (roll, &running)->number, ==, 7);
  g_assert_null (swarm_roll_take_waiting (roll, &running));
  swarm_roll_set (roll, 3, &waits);
  g_assert_cmpuint (swarm_roll_take_waiting (roll, &running)->number, ==, 3);
  swarm_roll_free (roll);
}

/* A transaction that failed makes known again what it would have changed, and no more than that: the rest needs no second look. */
static void
test_roll_undo (void)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  service->spec = brain_spec ("web", 3);
  SwarmRoll *roll = swarm_roll_new (service), *gone = swarm_roll_new (NULL);
  SwarmUpdateShare rests = { .due = G_MAXINT64 };
  for (guint64 slot = 1; slot <= 5; slot++)
    swarm_roll_set (roll, slot, &rests);
  roll->counted = TRUE;
  swarm_roll_begin_pass (roll);
  swarm_roll_do (roll, 1);
  swarm_roll_begin_pass (roll); /* that one was written */
  swarm_roll_do (roll, 4);
  swarm_roll_do (roll, 6);
  roll->next = 7;
  g_assert_true (swarm_roll_undo (roll));
  g_assert_true (roll->counted);
  g_assert_cmpuint (roll->stale->len, ==, 2);
  g_assert_true (swarm_roll_find (roll, 4)->stale);
  g_assert_true (swarm_roll_find (roll, 6)->stale);
  g_assert_cmpuint (roll->next, ==, 4);
  g_assert_false (swarm_roll_undo (gone)); /* what it has passed it does not come back to */
  swarm_roll_free (roll);
  swarm_roll_free (gone);
}

/* How many changes a look at all slots of a service would make. */
static guint
changes_left (Brain *brain, const SwarmId *id)
{
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, id);
  SwarmRoll *roll = swarm_roll_new (service);
  SwarmTx *tx = swarm_store_tx (brain->store);
  gint64 wake = G_MAXINT64;
  SwarmLeader leader = { .store = brain->store, .clock = brain->manager_clock, .random = &brain->random.iface };
  if (service->spec->mode->replicated != NULL)
    swarm_replicated_look (&leader, id, roll, tx, NULL, &wake);
  else
    swarm_global_look (&leader, id, roll, tx, NULL, &wake);
  guint n = swarm_tx_n_changes (tx);
  swarm_tx_free (tx);
  swarm_roll_free (roll);
  return n;
}

/* It finds nothing that the looks at those that changed have left (but for what a timer does in this very moment). */
static void
assert_nothing_left (Brain *brain, GArray *services)
{
  for (guint i = 0; i < services->len; i++) {
    const SwarmId *id = &g_array_index (services, SwarmId, i);
    if (changes_left (brain, id) > 0)
      brain_run (brain, 20 * MS);
    g_assert_cmpuint (changes_left (brain, id), ==, 0);
  }
}

/* What is counted with each change is what is there. */
static void
assert_counts (Brain *brain, GArray *services)
{
  for (guint i = 0; i < services->len; i++) {
    const SwarmId *id = &g_array_index (services, SwarmId, i);
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
    const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, id);
    SwarmServiceStatus status;
    guint running = 0, wanted = 0;
    for (guint k = 0; k < tasks->len; k++) {
      const SwarmTask *task = g_ptr_array_index (tasks, k);
      running += task->desired_state == SWARM_TASK_RUNNING && task->status->state == SWARM_TASK_RUNNING;
      wanted += task->desired_state == SWARM_TASK_RUNNING && task->status->state <= SWARM_TASK_RUNNING;
    }
    swarm_control_service_status (swarm_manager_control (brain->manager), service, &status);
    g_assert_cmpuint (status.running, ==, running);
    g_assert_cmpuint (status.desired, ==, service->spec->mode->global != NULL ? wanted : service->spec->mode->replicated->replicas);
  }
}

static void
test_slot_looks (void)
{
  for (guint seed = 1; seed <= 12; seed++) {
    g_autoptr (Brain) brain = brain_new ();
    g_autoptr (GArray) services = g_array_new (FALSE, FALSE, sizeof (SwarmId));
    SimRandom dice;
    sim_random_init (&dice, seed);
    for (guint i = 0; i < 4; i++)
      brain_node (brain, (const char *[]){ "n1", "n2", "n3", "n4" }[i]);
    for (guint i = 0; i < 4; i++) {
      g_autoptr (SwarmServiceSpec) spec = brain_spec ((const char *[]){ "a", "b", "c", "d" }[i], 5);
      spec->task->restart_policy->delay = i % 2 == 0 ? 0 : 2 * SECOND * 1000;
      spec->task->restart_policy->condition = i == 2 ? SWARM_RESTART_ON_FAILURE : SWARM_RESTART_ANY;
      spec->update = swarm_update_config_new ();
      spec->update->order = seed % 2 == 0 ? SWARM_ORDER_START_FIRST : SWARM_ORDER_STOP_FIRST;
      if (i == 3) {
        swarm_message_clear_pointer (&spec->mode);
        spec->mode = swarm_service_mode_new ();
        spec->mode->global = swarm_global_new ();
      }
      SwarmId id = brain_create (brain, spec);
      g_array_append_val (services, id);
    }
    g_autoptr (GBytes) early = NULL;
    for (guint step = 0; step < 60; step++) {
      gint64 what = sim_random_range (&dice, 0, 9);
      if (step == 40)
        early = swarm_store_encode (brain->store);
      if (what < 6)
        story_task_ends (brain, &dice, services);
      else if (what < 8)
        story_node_changes (brain, &dice);
      else
        story_service_changes (brain, &dice, services);
      brain_run (brain, sim_random_range (&dice, 0, 4) * SECOND + 200 * MS);
      assert_nothing_left (brain, services);
      assert_counts (brain, services);
    }
    /* Everything is replaced, as on a manager that was behind: what differs is told object by object. */
    g_autoptr (GBytes) late = swarm_store_encode (brain->store);
    guint64 index = swarm_store_index (brain->store);
    g_assert_true (swarm_store_restore (brain->store, index, early, NULL));
    assert_counts (brain, services);
    g_assert_true (swarm_store_restore (brain->store, index, late, NULL));
    assert_counts (brain, services);
    g_assert_true (swarm_store_restore (brain->store, index, late, NULL));
    assert_counts (brain, services);
  }
}

static void
node_is_lost (Brain *brain, Tame *node)
{
  g_autoptr (SwarmNode) copy = swarm_node_copy (tame_node (node));
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_node_set_state (copy, SWARM_NODE_DOWN, "");
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, NULL, NULL);
}

/* A node goes down in the very moment when a task is put there: the task does not wait for it for ever. */
static void
test_stranded (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  node->lazy = TRUE;
  SwarmId web = brain_create (brain, spec);
  const SwarmTask *task = newest_task (brain, &web, 1);
  for (guint i = 0; i < 100 && (task == NULL || task->status->state < SWARM_TASK_PENDING); i++) {
    /* Written before the scheduler's transaction, and after the scheduler has looked. */
    if (task != NULL && tame_node (node)->status->state == SWARM_NODE_READY) {
      brain_run (brain, 500);
      node_is_lost (brain, node);
    }
    brain_run (brain, 100);
    task = newest_task (brain, &web, 1);
  }
  brain_run (brain, 5 * MS);
  task = newest_task (brain, &web, 1);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

/* How long a service takes from the call to its tasks' assignment, the log's commits (1 ms each here) being the only cost. */
static void
test_latency (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 10);
  gint64 began = sim_clock_time (brain->sim);
  brain_create (brain, spec);
  while (tame_n_tasks (node, SWARM_TASK_RUNNING) < 10)
    g_assert_true (sim_clock_step (brain->sim));
  g_assert_cmpint (sim_clock_time (brain->sim) - began, <=, 6 * MS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/orchestrator/create", test_create);
  g_test_add_func ("/orchestrator/scale", test_scale);
  g_test_add_func ("/orchestrator/scale-changes-its-mind", test_scale_changes_its_mind);
  g_test_add_func ("/orchestrator/quorum-comes-and-goes", test_quorum_comes_and_goes);
  g_test_add_func ("/orchestrator/many-slots-with-history", test_many_slots_with_history);
  g_test_add_func ("/orchestrator/scale-down-choice", test_scale_down_choice);
  g_test_add_func ("/orchestrator/remove", test_remove);
  g_test_add_func ("/orchestrator/restart-delay", test_restart_delay);
  g_test_add_func ("/orchestrator/fast-failures", test_fast_failures);
  g_test_add_func ("/orchestrator/rejection-backoff", test_rejection_backoff);
  g_test_add_func ("/orchestrator/conditions", test_conditions);
  g_test_add_func ("/orchestrator/max-attempts", test_max_attempts);
  g_test_add_func ("/orchestrator/history", test_history);
  g_test_add_func ("/orchestrator/update", test_update);
  g_test_add_func ("/orchestrator/update-broken", test_update_broken);
  g_test_add_func ("/orchestrator/update-order", test_update_order);
  g_test_add_func ("/orchestrator/slot-is-exclusive", test_slot_is_exclusive);
  g_test_add_func ("/orchestrator/slot-again", test_slot_again);
  g_test_add_func ("/orchestrator/drain-start-first", test_drain_start_first);
  g_test_add_func ("/orchestrator/drain-order-changes", test_drain_order_changes);
  g_test_add_func ("/orchestrator/removed-before-new-leader", test_removed_before_new_leader);
  g_test_add_func ("/orchestrator/drain-replacement-fails", test_drain_replacement_fails);
  g_test_add_func ("/orchestrator/slot-looks", test_slot_looks);
  g_test_add_func ("/orchestrator/roll", test_roll);
  g_test_add_func ("/orchestrator/roll-undo", test_roll_undo);
  g_test_add_func ("/orchestrator/stranded", test_stranded);
  g_test_add_func ("/orchestrator/latency", test_latency);
  return g_test_run ();
}
