// SPDX-License-Identifier: LGPL-2.1-or-later
/* Replicated and global jobs (SWARM_BEHAVIOUR §8): the brain in virtual time with tame nodes. */
#include "base/error.h"
#include "brain-fixture.h"

static SwarmServiceSpec *
job_spec (guint64 concurrent, guint64 total)
{
  SwarmServiceSpec *spec = brain_spec ("job", 1);
  g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
  spec->mode->replicated_job = swarm_replicated_job_new ();
  spec->mode->replicated_job->max_concurrent = concurrent;
  spec->mode->replicated_job->total_completions = total;
  return spec;
}

static SwarmServiceSpec *
global_job_spec (void)
{
  SwarmServiceSpec *spec = brain_spec ("job", 1);
  g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
  spec->mode->global_job = swarm_global_job_new ();
  return spec;
}

static SwarmServiceStatus
status_of (Brain *brain, const SwarmId *id)
{
  SwarmServiceStatus status;
  swarm_control_service_status (swarm_manager_control (brain->manager), swarm_store_get (brain->store, SWARM_KIND_SERVICE, id), &status);
  return status;
}

/* The first running task, in order of slots. */
static SwarmTask *
running_task (Brain *brain, const SwarmId *id)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    if (task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_COMPLETE)
      return task;
  }
  return NULL;
}

static void
end_task (Brain *brain, const SwarmTask *task, SwarmTaskState state)
{
  tame_report (node_of_task (brain, task), &task->object.id, state, state == SWARM_TASK_FAILED ? "task: non-zero exit (1)" : NULL);
  brain_run (brain, 100 * MS);
}

static guint
count_live (Brain *brain, const SwarmId *id)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += task->status->state <= SWARM_TASK_RUNNING;
  }
  return n;
}

/* Slots 0 … total − 1, never more at once than max-concurrent, done at total completions; the wanted count follows what remains. */
static void
test_completions (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = job_spec (4, 20);
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, 100 * MS);
  for (guint done = 0; done < 20; done++) {
    SwarmServiceStatus status = status_of (brain, &id);
    g_assert_cmpuint (count_live (brain, &id), ==, MIN (4, 20 - done));
    g_assert_cmpuint (status.running, ==, MIN (4, 20 - done));
    g_assert_cmpuint (status.desired, ==, MIN (4, 20 - done)); /* quirk 16.5 */
    g_assert_cmpuint (status.completed, ==, done);
    end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  }
  brain_run (brain, 60 * SECOND);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &id);
  g_assert_cmpuint (tasks->len, ==, 20);
  for (guint i = 0; i < 20; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    g_assert_cmpuint (task->slot, ==, i);
    g_assert_cmpint (task->status->state, ==, SWARM_TASK_COMPLETE);
    g_assert_cmpint (task->desired_state, ==, SWARM_TASK_COMPLETE);
  }
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 20);
  g_assert_cmpuint (status_of (brain, &id).desired, ==, 0);
  /* A new leader finds nothing to do. */
  brain_restart (brain);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 20);
}

/* A failed task is restarted in its slot by the policy, after its delay; one that completed never (any behaves as on-failure). */
static void
test_restart (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (1, 2);
  spec->task->restart_policy->delay = 5 * SECOND * 1000;
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  g_assert_null (running_task (brain, &id));
  const SwarmTask *next = newest_task (brain, &id, 0);
  g_assert_cmpint (next->desired_state, ==, SWARM_TASK_READY);
  brain_run (brain, 4800 * MS);
  g_assert_null (running_task (brain, &id));
  brain_run (brain, 300 * MS);
  g_assert_cmpuint (running_task (brain, &id)->slot, ==, 0);
  g_assert_null (newest_task (brain, &id, 1)); /* a slot that waits for its restart takes its place */
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  g_assert_cmpuint (running_task (brain, &id)->slot, ==, 1);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 2);
}

/* Condition none, and attempts used up: the slot is given up, the others go on. */
static void
test_given_up (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (1, 3);
  spec->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (running_task (brain, &id)->slot, ==, 1);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (count_live (brain, &id), ==, 0);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 2);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
}

static void
test_max_attempts (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (1, 1);
  spec->task->restart_policy->max_attempts = 2;
  SwarmId id = brain_create (brain, spec);
  for (guint i = 0; i < 3; i++) {
    brain_run (brain, 10 * SECOND);
    end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  }
  brain_run (brain, 600 * SECOND);
  g_assert_null (running_task (brain, &id));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  /* A new iteration counts anew, also when the task's own spec is the same. */
  spec->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (spec->labels, g_strdup ("run"), g_strdup ("2"));
  g_assert_true (brain_update (brain, &id, spec, NULL));
  brain_run (brain, SECOND);
  for (guint i = 0; i < 2; i++) {
    end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
    brain_run (brain, 10 * SECOND);
  }
  g_assert_nonnull (running_task (brain, &id));
}

/* An update begins a new iteration: unfinished tasks of the old one are removed, and while they stop they count against the most at once. */
static void
test_iteration (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (2, 4);
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &id);
  gint64 first = service->job_status->last_execution;
  g_assert_cmpuint (service->job_status->iteration, ==, 0);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE); /* slot 0 is done, 1 and 2 run */
  node->stubborn = TRUE;
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &id, spec, NULL));
  brain_run (brain, SECOND);
  service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &id);
  g_assert_cmpuint (service->job_status->iteration, ==, 1);
  g_assert_cmpint (service->job_status->last_execution, >, first);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 0);
  g_autoptr (GPtrArray) stopping = swarm_store_tasks_of_service (brain->store, &id);
  g_assert_cmpuint (stopping->len, ==, 3); /* nothing new while two of the old may run */
  for (guint i = 0; i < stopping->len; i++) {
    const SwarmTask *task = g_ptr_array_index (stopping, i);
    g_assert_cmpint (task->desired_state, ==, task->slot == 0 ? SWARM_TASK_COMPLETE : SWARM_TASK_REMOVE);
  }
  node->stubborn = FALSE;
  for (guint i = 1; i < 3; i++)
    tame_report (node, &newest_task (brain, &id, i)->object.id, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (status_of (brain, &id).running, ==, 2);
  for (guint i = 0; i < 4; i++) {
    const SwarmTask *task = running_task (brain, &id);
    g_assert_cmpuint (task->job_iteration, ==, 1);
    g_assert_cmpuint (task->slot, ==, i);
    g_assert_cmpstr (task->spec->container->image, ==, "docker.io/library/nginx:2");
    end_task (brain, task, SWARM_TASK_COMPLETE);
  }
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 4);
  /* Fewer completions: what is left of the slots beyond goes. */
  spec->mode->replicated_job->total_completions = 1;
  g_assert_true (brain_update (brain, &id, spec, NULL));
  brain_run (brain, SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  brain_run (brain, SECOND);
  g_assert_null (newest_task (brain, &id, 1));
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 1);
}

/* The next iteration is begun by a leader whose clock is an hour behind: what the old one completed counts for nothing there either. */
static void
test_iteration_and_clocks (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (2, 2);
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 2);
  sim_clock_step_wall (brain->clock, -3600 * SECOND);
  spec->task->force_update++;
  g_assert_true (brain_update (brain, &id, spec, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 0);
  g_assert_cmpuint (status_of (brain, &id).running, ==, 2);
  end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  brain_run (brain, SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 2);
  g_assert_null (running_task (brain, &id));
}

/* Many iterations do not pile up: a slot keeps no more than the retention limit. */
static void
test_history (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (1, 1);
  SwarmId id = brain_create (brain, spec);
  for (guint i = 0; i < 12; i++) {
    brain_run (brain, SECOND);
    end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
    spec->task->force_update++;
    g_assert_true (brain_update (brain, &id, spec, NULL));
  }
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 5);
}

/* A task whose node is lost or drained is run again elsewhere; if the lost one had completed all the same, its slot is done. */
static void
test_node_lost (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[2] = { brain_node (brain, "n1"), brain_node (brain, "n2") };
  g_autoptr (SwarmServiceSpec) spec = job_spec (2, 2);
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_n_tasks (nodes[1], SWARM_TASK_COMPLETE), ==, 1);
  SwarmTask *lost = swarm_task_ref (running_task (brain, &id));
  nodes[0] = node_of_task (brain, lost);
  nodes[0]->stubborn = TRUE;
  nodes[0]->mute = TRUE;
  tame_disconnect (nodes[0]);
  brain_run (brain, 100 * SECOND);
  g_assert_cmpint (tame_node (nodes[0])->status->state, ==, SWARM_NODE_DOWN);
  g_assert_cmpuint (status_of (brain, &id).running, ==, 2);
  SwarmTask *again = newest_task (brain, &id, lost->slot);
  g_assert_false (swarm_id_equal (&again->object.id, &lost->object.id));
  SwarmId again_id = again->object.id;
  nodes[0]->mute = FALSE;
  tame_connect (nodes[0]);
  brain_run (brain, SECOND);
  tame_report (nodes[0], &lost->object.id, SWARM_TASK_COMPLETE, NULL);
  brain_run (brain, SECOND);
  again = swarm_store_get (brain->store, SWARM_KIND_TASK, &again_id);
  g_assert_cmpint (again->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 1);
  swarm_task_unref (lost);
}

static guint
n_on (Brain *brain, const SwarmId *id, Tame *node, SwarmTaskState state)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += swarm_id_equal (&task->node_id, &node->id) && task->status->state == state;
  }
  return n;
}

/* Once per matching ready and active node, on new ones too; not on paused, drained or other ones. */
static void
test_global (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[3] = { brain_node (brain, "n1"), brain_node (brain, "n2"), brain_node (brain, "n3") };
  g_assert_true (brain_availability (brain, nodes[2], "pause", NULL));
  g_autoptr (SwarmServiceSpec) spec = global_job_spec ();
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (spec->task->placement->constraints, g_strdup ("node.hostname!=n9"));
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_on (brain, &id, nodes[0], SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (n_on (brain, &id, nodes[1], SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 2);
  g_assert_cmpuint (status_of (brain, &id).desired, ==, 2);
  for (guint i = 0; i < 2; i++)
    end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  Tame *fourth = brain_node (brain, "n4");
  g_assert_true (brain_availability (brain, nodes[2], "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_on (brain, &id, fourth, SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (n_on (brain, &id, nodes[2], SWARM_TASK_RUNNING), ==, 1);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 4);
  /* Drained: stopped, and run when the node is active again; it had not completed. */
  g_assert_true (brain_availability (brain, fourth, "drain", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_on (brain, &id, fourth, SWARM_TASK_SHUTDOWN), ==, 1);
  g_assert_cmpuint (n_on (brain, &id, fourth, SWARM_TASK_RUNNING), ==, 0);
  g_assert_true (brain_availability (brain, fourth, "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_on (brain, &id, fourth, SWARM_TASK_RUNNING), ==, 1);
  /* What completed stays so, whatever its node does. */
  g_assert_true (brain_availability (brain, nodes[0], "drain", NULL));
  brain_run (brain, SECOND);
  g_assert_true (brain_availability (brain, nodes[0], "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (n_on (brain, &id, nodes[0], SWARM_TASK_COMPLETE), ==, 1);
  g_assert_cmpuint (n_on (brain, &id, nodes[0], SWARM_TASK_RUNNING), ==, 0);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 2);
}

static void
test_global_failure (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = global_job_spec ();
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (n_on (brain, &id, node, SWARM_TASK_RUNNING), ==, 1);
  /* A paused node keeps what it has, and gets nothing new. */
  g_assert_true (brain_availability (brain, node, "pause", NULL));
  brain_run (brain, SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_FAILED);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (n_on (brain, &id, node, SWARM_TASK_RUNNING), ==, 0);
  g_assert_cmpuint (n_on (brain, &id, node, SWARM_TASK_FAILED), ==, 2);
  g_assert_true (brain_availability (brain, node, "active", NULL));
  brain_run (brain, 60 * SECOND);
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 1);
  /* The history goes with its node. */
  g_assert_true (brain_availability (brain, node, "drain", NULL));
  g_assert_true (brain_remove_node (brain, node, TRUE, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* More slots than a transaction holds become of interest at once, most of them long done: none is filled twice. */
static void
test_many_slots (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (100, 300);
  SwarmId id = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint done = 0; done < 296; done++) {
    tame_report (node, &running_task (brain, &id)->object.id, SWARM_TASK_COMPLETE, NULL);
    brain_run (brain, 20 * MS);
  }
  g_assert_cmpuint (count_live (brain, &id), ==, 4);
  brain_node (brain, "n2");
  g_assert_true (brain_availability (brain, node, "drain", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_live (brain, &id), ==, 4);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 304);
}

/* A full history, and an iteration that by its leader's clock is older than all of it: what it completed is not history. */
static void
test_history_and_clocks (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = job_spec (1, 1);
  SwarmId id = brain_create (brain, spec);
  for (guint i = 0; i < 6; i++) {
    brain_run (brain, SECOND);
    end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
    if (i == 5)
      sim_clock_step_wall (brain->clock, -3600 * SECOND);
    spec->task->force_update++;
    g_assert_true (brain_update (brain, &id, spec, NULL));
  }
  brain_run (brain, 20 * MS); /* it is done before the reaper looks */
  end_task (brain, running_task (brain, &id), SWARM_TASK_COMPLETE);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (status_of (brain, &id).completed, ==, 1);
  g_assert_cmpuint (count_live (brain, &id), ==, 0);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 5);
}

/* A new iteration: what is left of the old one counts among those at once, and no more than that. */
static void
test_room_beside_the_old (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  node->stubborn = TRUE;
  g_autoptr (SwarmServiceSpec) spec = job_spec (4, 6);
  SwarmId job = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 5; i++)
    end_task (brain, running_task (brain, &job), SWARM_TASK_COMPLETE);
  g_assert_cmpuint (status_of (brain, &job).running, ==, 1);
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &job, spec, NULL));
  brain_run (brain, SECOND);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &job);
  guint old = 0, begun = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    old += task->job_iteration == 0 && task->status->state == SWARM_TASK_RUNNING;
    begun += task->job_iteration == 1 && task->status->state == SWARM_TASK_RUNNING;
  }
  g_assert_cmpuint (old, ==, 1);
  g_assert_cmpuint (begun, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/jobs/replicated/completions", test_completions);
  g_test_add_func ("/jobs/replicated/restart", test_restart);
  g_test_add_func ("/jobs/replicated/given-up", test_given_up);
  g_test_add_func ("/jobs/replicated/max-attempts", test_max_attempts);
  g_test_add_func ("/jobs/replicated/iteration", test_iteration);
  g_test_add_func ("/jobs/replicated/iteration-and-clocks", test_iteration_and_clocks);
  g_test_add_func ("/jobs/replicated/history", test_history);
  g_test_add_func ("/jobs/replicated/node-lost", test_node_lost);
  g_test_add_func ("/jobs/replicated/history-and-clocks", test_history_and_clocks);
  g_test_add_func ("/jobs/replicated/many-slots", test_many_slots);
  g_test_add_func ("/jobs/global/nodes", test_global);
  g_test_add_func ("/jobs/global/failure", test_global_failure);
  g_test_add_func ("/jobs/room-beside-the-old", test_room_beside_the_old);
  return g_test_run ();
}
