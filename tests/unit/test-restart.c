// SPDX-License-Identifier: LGPL-2.1-or-later
/* Restart policy (SWARM_BEHAVIOUR §5) and back-off, in virtual time with tame nodes. Delay, fast failures, conditions, attempts and the
 * history are in test-orchestrator.c. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/orchestrator/restart.h"

#define NS 1000 /* per µs */

static void
fail_running (Brain *brain, const SwarmId *service)
{
  const SwarmTask *task = newest_task (brain, service, 1);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_RUNNING);
  tame_report (node_of_task (brain, task), &task->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, 50 * MS);
}

/* Time until the slot's newest task runs; G_MAXINT64: not within @limit. */
static gint64
time_to_run (Brain *brain, const SwarmId *service, gint64 limit)
{
  gint64 began = sim_clock_time (brain->sim);
  while (newest_task (brain, service, 1)->status->state != SWARM_TASK_RUNNING) {
    if (sim_clock_time (brain->sim) - began > limit)
      return G_MAXINT64;
    brain_run (brain, 50 * MS);
  }
  return sim_clock_time (brain->sim) - began;
}

static void
assert_about (gint64 time, gint64 expected)
{
  g_assert_cmpint (time, >=, expected - 200 * MS);
  g_assert_cmpint (time, <=, expected + 200 * MS);
}

/* From the third failure at once in a row the delay doubles, up to five minutes; a good run ends the row. */
static void
test_backoff (void)
{
  static const gint64 expected[] = { 5, 5, 10, 20, 40, 80, 160, 300, 300 };
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->delay = 5 * SECOND * NS;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    fail_running (brain, &web);
    const SwarmTask *waiting = newest_task (brain, &web, 1);
    g_assert_cmpuint (waiting->failures, ==, i + 1);
    g_assert_cmpint (waiting->desired_state, ==, SWARM_TASK_READY);
    g_assert_cmpint (waiting->not_before, >, swarm_clock_now (brain->clock));
    assert_about (time_to_run (brain, &web, 400 * SECOND), expected[i] * SECOND);
    if (i == 5) { /* what was counted survives the leader and the history's limit */
      brain_restart (brain);
      tame_connect (g_ptr_array_index (brain->nodes, 0));
      brain_run (brain, 100 * MS);
    }
  }
  brain_run (brain, 11 * SECOND);
  fail_running (brain, &web);
  g_assert_cmpuint (newest_task (brain, &web, 1)->failures, ==, 0);
  assert_about (time_to_run (brain, &web, 400 * SECOND), 5 * SECOND);
}

/* Without a delay the first two restarts are immediate, and still there is no tight loop; Backoff bounds it, 0 switches it off. */
static void
test_backoff_limits (void)
{
  static const gint64 expected[] = { 0, 0, 2, 3, 3 };
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->backoff = 3 * SECOND * NS;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    fail_running (brain, &web);
    assert_about (time_to_run (brain, &web, 400 * SECOND), expected[i] * SECOND);
  }
  spec->task->restart_policy->backoff = 0;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, SECOND);
  for (guint i = 0; i < 8; i++) {
    fail_running (brain, &web);
    assert_about (time_to_run (brain, &web, 400 * SECOND), 0);
  }
}

/* A new spec owes nothing to the old one's failures. */
static void
test_spec_change_resets (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  for (guint i = 0; i < 6; i++) {
    fail_running (brain, &web);
    time_to_run (brain, &web, 400 * SECOND);
  }
  fail_running (brain, &web);
  g_assert_cmpint (time_to_run (brain, &web, 10 * SECOND), ==, G_MAXINT64);
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &web, spec, NULL));
  g_assert_cmpint (time_to_run (brain, &web, 10 * SECOND), <, SECOND);
  g_assert_cmpuint (newest_task (brain, &web, 1)->failures, ==, 0);
}

/* Attempts: without a window all restarts of this version count; with one only those inside it, looking back from the failure. */
static void
test_window (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->max_attempts = 2;
  spec->task->restart_policy->window = 60 * SECOND * NS;
  SwarmId web = brain_create (brain, spec);
  for (guint i = 0; i < 10; i++) { /* one failure every 40 s: there is never more than one restart within 60 s */
    brain_run (brain, 40 * SECOND);
    fail_running (brain, &web);
    assert_about (time_to_run (brain, &web, SECOND), 0);
  }
  brain_run (brain, 25 * SECOND); /* two within 60 s are allowed … */
  fail_running (brain, &web);
  assert_about (time_to_run (brain, &web, SECOND), 0);
  brain_run (brain, 15 * SECOND); /* … a third is not */
  fail_running (brain, &web);
  brain_run (brain, 600 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_FAILED);
}

/* A leader whose clock is behind by an hour takes over: restarts that seem to lie ahead do not use up the attempts. */
static void
test_window_and_clocks (void)
{
  SwarmTask *task[4];
  for (guint i = 0; i < 4; i++) {
    task[i] = swarm_task_new ();
    task[i]->spec = swarm_task_spec_new ();
    task[i]->spec->restart_policy = swarm_restart_policy_new ();
    task[i]->spec->restart_policy->max_attempts = 3;
    task[i]->spec->restart_policy->window = 20 * SECOND * NS;
    task[i]->status = swarm_task_status_new ();
    task[i]->status->state = SWARM_TASK_FAILED;
    task[i]->object.created_at = (10000 + 10 * i) * SECOND;
    task[i]->object.updated_at = (10009 + 10 * i) * SECOND;
  }
  SwarmSlot slot = { 1, task, 4 };
  g_assert_true (swarm_restart_wanted (&slot, task[3])); /* two within 20 s */
  task[3]->object.updated_at -= 3600 * SECOND;
  g_assert_true (swarm_restart_wanted (&slot, task[3]));
  task[3]->object.updated_at += 7200 * SECOND;
  g_assert_true (swarm_restart_wanted (&slot, task[3]));
  task[3]->object.updated_at = 10031 * SECOND;
  task[1]->object.created_at = 10012 * SECOND;
  g_assert_false (swarm_restart_wanted (&slot, task[3]));
  for (guint i = 0; i < 4; i++)
    swarm_task_unref (task[i]);
}

/* A node that is lost or drained: the policy's condition still applies, its delay does not. */
static void
test_evicted (void)
{
  g_autoptr (Brain) brain = brain_new ();
  brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1), never = brain_spec ("never", 1);
  spec->task->restart_policy->delay = 600 * SECOND * NS;
  never->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId web = brain_create (brain, spec), once = brain_create (brain, never);
  brain_run (brain, SECOND);
  Tame *of_web = node_of_task (brain, newest_task (brain, &web, 1)), *of_once = node_of_task (brain, newest_task (brain, &once, 1));
  g_assert_true (brain_availability (brain, of_web, "drain", NULL));
  brain_run (brain, SECOND);
  g_assert_true (node_of_task (brain, newest_task (brain, &web, 1)) != of_web);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  if (of_once != of_web)
    g_assert_true (brain_availability (brain, of_once, "drain", NULL));
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (count_running (brain, &once), ==, 0);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &once);
  g_assert_cmpuint (tasks->len, ==, 1);
}

/* The rule itself, on the edges. */
static void
test_failures (void)
{
  g_autoptr (SwarmTask) task = swarm_task_new ();
  task->spec = swarm_task_spec_new ();
  task->spec->restart_policy = swarm_restart_policy_new ();
  task->status = swarm_task_status_new ();
  task->object.created_at = 100 * SECOND;
  task->failures = 3;
  task->status->state = SWARM_TASK_FAILED;
  task->status->timestamp = 5000 * SECOND; /* the node's clock is off: never compared with the managers' stamps */
  task->object.updated_at = 110 * SECOND - 1;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 4);
  task->object.updated_at++;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 0);
  task->not_before = 105 * SECOND; /* the delay is no run */
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 4);
  task->status->timestamp = 110 * SECOND;
  task->status->started_at = 100 * SECOND;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 0);
  task->status->started_at = 109 * SECOND;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 4);
  task->status->started_at = 105 * SECOND;
  task->spec->restart_policy->window = 2 * SECOND * NS;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 0);
  task->status->state = SWARM_TASK_COMPLETE;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 0);
  task->status->state = SWARM_TASK_REJECTED;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 4);
  task->status->state = SWARM_TASK_READY;
  g_assert_cmpuint (swarm_restart_failures (task, 0), ==, 3);
  task->status->state = SWARM_TASK_RUNNING;
  g_assert_cmpuint (swarm_restart_failures (task, task->object.updated_at + SECOND), ==, 3);
  g_assert_cmpuint (swarm_restart_failures (task, task->object.updated_at + 2 * SECOND), ==, 0);
  /* A stamp from a clock that was far ahead does not hold the task back. */
  task->not_before = 10000 * SECOND;
  g_assert_cmpint (swarm_restart_due (task, 200 * SECOND), ==, 200 * SECOND);
  task->not_before = 500 * SECOND;
  g_assert_cmpint (swarm_restart_due (task, 200 * SECOND), ==, 500 * SECOND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/restart/backoff", test_backoff);
  g_test_add_func ("/restart/backoff-limits", test_backoff_limits);
  g_test_add_func ("/restart/spec-change-resets", test_spec_change_resets);
  g_test_add_func ("/restart/window", test_window);
  g_test_add_func ("/restart/window-and-clocks", test_window_and_clocks);
  g_test_add_func ("/restart/evicted", test_evicted);
  g_test_add_func ("/restart/failures", test_failures);
  return g_test_run ();
}
