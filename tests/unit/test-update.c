// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rolling updates and rollbacks (SWARM_BEHAVIOUR §6), rule by rule: the brain in virtual time with tame nodes. */
#include "base/error.h"
#include "brain-fixture.h"

#define NS G_GINT64_CONSTANT (1000)
#define IMAGE "docker.io/library/nginx:"

/* A brain with one node and one service that runs, and the spec of its next version. */
typedef struct {
  Brain *brain;
  Tame *node;
  SwarmId web;
  SwarmServiceSpec *next;
} World;

static World
world_new (guint replicas)
{
  World world = { .brain = brain_new () };
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", replicas);
  world.node = brain_node (world.brain, "n1");
  world.web = brain_create (world.brain, spec);
  brain_run (world.brain, 30 * SECOND);
  g_assert_cmpuint (count_running (world.brain, &world.web), ==, replicas);
  world.next = brain_spec ("web", replicas);
  world.next->update = swarm_update_config_new ();
  world.next->rollback = swarm_update_config_new ();
  swarm_string_set (&world.next->task->container->image, "nginx:2");
  return world;
}

static void
world_clear (World *world)
{
  swarm_service_spec_unref (world->next);
  brain_free (world->brain);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

static void
world_update (World *world)
{
  g_autoptr (GError) error = NULL;
  brain_update (world->brain, &world->web, world->next, &error);
  g_assert_no_error (error);
}

static const SwarmService *
world_service (World *world)
{
  return swarm_store_get (world->brain->store, SWARM_KIND_SERVICE, &world->web);
}

static SwarmUpdateState
world_state (World *world)
{
  const SwarmUpdateStatus *status = world_service (world)->update_status;
  return status != NULL ? status->state : SWARM_UPDATE_NONE;
}

/* Tasks with @image that are meant to run and do. */
static guint
world_running (World *world, const char *image)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (world->brain->store, &world->web);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING
         && g_str_has_suffix (task->spec->container->image, image);
  }
  return n;
}

/* Tasks with @image that were ever made and are kept. */
static guint
world_made (World *world, const char *image)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (world->brain->store, &world->web);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++)
    n += g_str_has_suffix (((SwarmTask *) g_ptr_array_index (tasks, i))->spec->container->image, image);
  return n;
}

static void
assert_told (World *world, SwarmUpdateState state, const char *text)
{
  const SwarmUpdateStatus *status = world_service (world)->update_status;
  g_assert_nonnull (status);
  g_assert_cmpstr (swarm_update_state_to_string (status->state), ==, swarm_update_state_to_string (state));
  g_assert_cmpstr (status->text, ==, text);
}

/* As assert_told, with the id of the failed task at the end. */
static void
assert_told_of (World *world, SwarmUpdateState state, const char *text, const SwarmId *task)
{
  g_autofree char *whole = g_strconcat (text, " due to failure or early termination of task ", swarm_id_string (task).str, NULL);
  assert_told (world, state, whole);
}

static void
fail_slot (World *world, guint64 slot)
{
  tame_report (world->node, &newest_task (world->brain, &world->web, slot)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (world->brain, 20 * MS);
}

/* ---- parallelism, delay, states ---- */

static void
check_parallelism (guint parallelism, guint most)
{
  g_auto (World) world = world_new (6);
  world.next->update->parallelism = parallelism;
  world_update (&world);
  guint least = 6;
  for (guint i = 0; i < 300; i++) {
    brain_run (world.brain, MS);
    least = MIN (least, count_running (world.brain, &world.web));
  }
  g_assert_cmpuint (least, ==, 6 - most);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 6);
}

static void
test_parallelism (void)
{
  check_parallelism (1, 1);
  check_parallelism (2, 2);
  check_parallelism (0, 6);
}

/* A slot whose new task does not start holds its place; the others wait. */
static void
test_parallelism_waits_for_running (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->parallelism = 2;
  world.node->lazy = TRUE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (world.brain->store, &world.web);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (task->desired_state > SWARM_TASK_RUNNING)
      tame_report (world.node, &task->object.id, SWARM_TASK_SHUTDOWN, NULL);
  }
  brain_run (world.brain, 100 * SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
}

/* A slot whose delay runs and one that is at work hold their places both. */
static void
test_delay_beside_work (void)
{
  g_auto (World) world = world_new (5);
  world.next->update->parallelism = 2;
  world.next->update->delay = 10 * SECOND * NS;
  world.next->update->order = SWARM_ORDER_START_FIRST;
  world.node->lazy = TRUE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  tame_report (world.node, &newest_task (world.brain, &world.web, 1)->object.id, SWARM_TASK_RUNNING, NULL);
  brain_run (world.brain, 5 * SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  brain_run (world.brain, 6 * SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 3);
}

/* A third version comes while the second starts beside the first: what runs goes on until its turn. */
static void
test_running_one_stays (void)
{
  g_auto (World) world = world_new (2);
  world.next->update->parallelism = 0;
  world.next->update->order = SWARM_ORDER_START_FIRST;
  world.node->lazy = TRUE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  g_autoptr (SwarmServiceSpec) third = brain_spec ("web", 2);
  swarm_string_set (&third->task->container->image, "nginx:3");
  g_assert_true (brain_update (world.brain, &world.web, third, NULL));
  brain_run (world.brain, 5 * SECOND);
  g_assert_cmpuint (world_made (&world, ":3"), ==, 1);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 1);
}

/* A step that was taken away before it ran is over; the update does not wait for it. */
static void
test_lost_step (void)
{
  g_auto (World) world = world_new (3);
  Tame *other = brain_node (world.brain, "n2");
  world.next->update->delay = SECOND * NS;
  other->lazy = TRUE; /* the first new task comes here: there is room */
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_true (node_of_task (world.brain, newest_task (world.brain, &world.web, 1)) == other);
  g_assert_true (brain_availability (world.brain, other, "drain", NULL));
  brain_run (world.brain, 20 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2); /* its own slot waits until it has stopped */
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 0);
}

/* Tasks that ended and are not to be restarted wait for their turn as all others do, and stay ended while the update is paused. */
static void
test_ended_slots_wait (void)
{
  g_auto (World) world = world_new (3);
  g_autoptr (SwarmServiceSpec) once = brain_spec ("web", 3);
  once->task->restart_policy->condition = SWARM_RESTART_ON_FAILURE;
  g_assert_true (brain_update (world.brain, &world.web, once, NULL));
  brain_run (world.brain, 20 * SECOND);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, SECOND);
  SwarmId third = newest_task (world.brain, &world.web, 3)->object.id;
  tame_report (world.node, &third, SWARM_TASK_COMPLETE, NULL);
  brain_run (world.brain, 8 * SECOND);
  g_assert_true (swarm_id_equal (&newest_task (world.brain, &world.web, 3)->object.id, &third));
  brain_run (world.brain, 2 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  g_assert_cmpstr (newest_task (world.brain, &world.web, 3)->spec->container->image, ==, IMAGE "2");
}

/* An old task that fails during the update is replaced at once by a new one: nothing is lost by that. */
static void
test_failing_old_task (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, SECOND);
  fail_slot (&world, 4);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 2);
}

/* A wall clock that was set back by an hour does not make the update wait for an hour. */
static void
test_clock_set_back (void)
{
  g_auto (World) world = world_new (2);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, 5 * SECOND);
  sim_clock_step_wall (world.brain->manager_clock, -3600 * SECOND);
  brain_run (world.brain, 60 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
}

static void
test_states (void)
{
  g_auto (World) world = world_new (2);
  g_assert_null (world_service (&world)->update_status);
  gint64 began = swarm_clock_now (world.brain->clock);
  world_update (&world);
  brain_run (world.brain, 100 * MS);
  assert_told (&world, SWARM_UPDATE_UPDATING, "update in progress");
  gint64 started = world_service (&world)->update_status->started_at;
  g_assert_cmpint (started, >=, began);
  g_assert_cmpint (started, <, began + 100 * MS);
  g_assert_cmpint (world_service (&world)->update_status->completed_at, ==, 0);
  /* One more monitor period after the last slot. */
  brain_run (world.brain, 4800 * MS);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  brain_run (world.brain, 200 * MS);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
  const SwarmUpdateStatus *status = world_service (&world)->update_status;
  g_assert_cmpint (status->started_at, ==, started);
  g_assert_cmpint (status->completed_at - started, >=, 5 * SECOND);
  g_assert_cmpint (status->completed_at - started, <, 5200 * MS);
  g_assert_cmpstr (world_service (&world)->previous_spec->task->container->image, ==, IMAGE "latest");
}

/* After each slot, also the last; then the monitor, which is a second more than the delay when that is not less. */
static void
test_delay (void)
{
  g_auto (World) world = world_new (3);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, 9900 * MS);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 1);
  brain_run (world.brain, 200 * MS);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  brain_run (world.brain, 9700 * MS);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  brain_run (world.brain, 300 * MS);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 3);
  brain_run (world.brain, 20700 * MS);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  brain_run (world.brain, 400 * MS);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_COMPLETED);
}

/* With several at once the delay is each one's own. */
static void
test_delay_per_worker (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->delay = 10 * SECOND * NS;
  world.next->update->parallelism = 2;
  world_update (&world);
  brain_run (world.brain, 9900 * MS);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  brain_run (world.brain, 200 * MS);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 4);
}

/* Slots that do not run are updated first: there is nothing to lose. */
static void
test_broken_slots_first (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->delay = 10 * SECOND * NS;
  world.node->lazy = TRUE;
  fail_slot (&world, 3);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (count_running (world.brain, &world.web), ==, 3);
  world.node->lazy = FALSE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 1);
  g_assert_cmpuint (count_running (world.brain, &world.web), ==, 4);
  g_assert_cmpstr (newest_task (world.brain, &world.web, 3)->spec->container->image, ==, IMAGE "2");
}

/* ---- order ---- */

/* The new task is only made ready until the old one has stopped. */
static void
test_stop_first (void)
{
  g_auto (World) world = world_new (1);
  SwarmId old = newest_task (world.brain, &world.web, 1)->object.id;
  world.node->stubborn = TRUE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  const SwarmTask *new = newest_task (world.brain, &world.web, 1);
  g_assert_cmpint (new->desired_state, ==, SWARM_TASK_READY);
  g_assert_cmpint (new->status->state, ==, SWARM_TASK_READY);
  g_assert_cmpint (((SwarmTask *) swarm_store_get (world.brain->store, SWARM_KIND_TASK, &old))->desired_state, ==, SWARM_TASK_SHUTDOWN);
  tame_report (world.node, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (world.brain, 100 * MS);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 1);
}

/* An old task that does not stop holds up the others for a minute after its grace period, and its own slot for as long as it takes. */
static void
test_stop_limit (void)
{
  g_auto (World) world = world_new (2);
  SwarmId first = newest_task (world.brain, &world.web, 1)->object.id;
  world.node->stubborn = TRUE;
  world_update (&world);
  brain_run (world.brain, 69 * SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 1);
  brain_run (world.brain, 2 * SECOND);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 0);
  tame_report (world.node, &first, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 1);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
}

static void
test_start_first (void)
{
  g_auto (World) world = world_new (3);
  SwarmId old = newest_task (world.brain, &world.web, 1)->object.id;
  world.next->update->order = SWARM_ORDER_START_FIRST;
  world.node->lazy = TRUE;
  world_update (&world);
  brain_run (world.brain, SECOND);
  /* The new one is to run, and nothing was said to the old one. */
  SwarmId new = newest_task (world.brain, &world.web, 1)->object.id;
  g_assert_false (swarm_id_equal (&old, &new));
  g_assert_cmpint (newest_task (world.brain, &world.web, 1)->desired_state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 3);
  world.node->lazy = FALSE;
  tame_report (world.node, &new, SWARM_TASK_RUNNING, NULL);
  guint least = 3;
  for (guint i = 0; i < 300; i++) {
    brain_run (world.brain, MS);
    least = MIN (least, count_running (world.brain, &world.web));
  }
  g_assert_cmpuint (least, ==, 3);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 3);
  g_assert_cmpint (((SwarmTask *) swarm_store_get (world.brain->store, SWARM_KIND_TASK, &old))->desired_state, ==, SWARM_TASK_SHUTDOWN);
}

/* When the new one never runs the old one stays, whatever the policy does with the new one. */
static void
test_start_first_broken (void)
{
  for (guint condition = SWARM_RESTART_ANY; condition <= SWARM_RESTART_NONE; condition++) {
    g_auto (World) world = world_new (2);
    world.next->update->order = SWARM_ORDER_START_FIRST;
    world.next->update->failure_action = condition == SWARM_RESTART_ON_FAILURE ? SWARM_FAILURE_CONTINUE : SWARM_FAILURE_PAUSE;
    world.next->task->restart_policy->condition = condition;
    world.node->bad_image = ":2";
    world_update (&world);
    for (guint i = 0; i < 300; i++) {
      brain_run (world.brain, 100 * MS);
      g_assert_cmpuint (world_running (&world, ":latest"), ==, 2);
    }
    if (condition == SWARM_RESTART_NONE)
      g_assert_cmpuint (world_made (&world, ":2"), ==, 1);
    /* It runs at last. */
    world.node->bad_image = NULL;
    world.next->task->force_update++;
    world_update (&world);
    brain_run (world.brain, SECOND);
    g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
    g_assert_cmpuint (world_running (&world, ":latest"), ==, 0);
  }
}

/* The order is changed while a slot has two: the old one goes, and only then the new one runs. */
static void
test_order_changes (void)
{
  g_auto (World) world = world_new (1);
  SwarmId old = newest_task (world.brain, &world.web, 1)->object.id;
  world.next->update->order = SWARM_ORDER_START_FIRST;
  world.next->task->restart_policy->delay = 5 * SECOND * NS;
  world.node->bad_image = ":2";
  world_update (&world);
  brain_run (world.brain, 2 * SECOND);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 1);
  g_assert_cmpint (newest_task (world.brain, &world.web, 1)->desired_state, ==, SWARM_TASK_READY);
  world.node->bad_image = NULL;
  world.node->stubborn = TRUE;
  g_autoptr (SwarmServiceSpec) other = swarm_service_spec_copy (world.next);
  g_autoptr (SwarmUpdateConfig) config = swarm_update_config_new ();
  swarm_message_set_pointer (&other->update, config);
  /* In the very pass in which its delay is over, the old one is told to stop. */
  brain_run (world.brain, 2990 * MS);
  g_assert_true (brain_update (world.brain, &world.web, other, NULL));
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpint (newest_task (world.brain, &world.web, 1)->desired_state, ==, SWARM_TASK_READY);
  tame_report (world.node, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 1);
}

/* ---- failures ---- */

static void
test_pause (void)
{
  g_auto (World) world = world_new (4);
  world.node->bad_image = ":2";
  world.next->task->restart_policy->delay = 1000 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, 100 * MS);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (world.brain->store, &world.web, 1);
  g_assert_cmpuint (tasks->len, ==, 3); /* the old one, the failed one, its restart */
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &((SwarmTask *) g_ptr_array_index (tasks, 1))->object.id);
  g_assert_cmpint (world_service (&world)->update_status->completed_at, ==, 0);
  brain_run (world.brain, 60 * SECOND);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 3);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_PAUSED);
  /* The next update clears it, also one that changes nothing. */
  world.node->bad_image = NULL;
  world_update (&world);
  brain_run (world.brain, 6 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 3);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
}

static void
test_continue (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->failure_action = SWARM_FAILURE_CONTINUE;
  world.node->bad_image = ":2";
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 0);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
}

/* So much after its start a failure does not count any more; the policy restarts the task, that is all. */
static void
test_monitor (void)
{
  g_auto (World) world = world_new (3);
  world.next->update->monitor = 5 * SECOND * NS;
  world.next->update->delay = 4 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, 5500 * MS);
  fail_slot (&world, 1);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  brain_run (world.brain, 2 * SECOND);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  /* The second began to run at 4 s: at 8.9 s it counts. */
  brain_run (world.brain, 1380 * MS);
  SwarmId second = newest_task (world.brain, &world.web, 2)->object.id;
  fail_slot (&world, 2);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &second);
}

/* A task of the last slot is watched, too. */
static void
test_monitor_after_last (void)
{
  g_auto (World) world = world_new (1);
  world_update (&world);
  brain_run (world.brain, 4500 * MS);
  SwarmId task = newest_task (world.brain, &world.web, 1)->object.id;
  fail_slot (&world, 1);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &task);
}

/* Ending well is early termination all the same. */
static void
test_early_completion (void)
{
  g_auto (World) world = world_new (2);
  world_update (&world);
  brain_run (world.brain, 500 * MS);
  SwarmId task = newest_task (world.brain, &world.web, 2)->object.id;
  tame_report (world.node, &task, SWARM_TASK_COMPLETE, NULL);
  brain_run (world.brain, 100 * MS);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &task);
}

/* A task that was told to stop did not fail: a drain does not pause an update. */
static void
test_drain_is_no_failure (void)
{
  g_auto (World) world = world_new (2);
  brain_node (world.brain, "n2");
  world_update (&world);
  brain_run (world.brain, 500 * MS);
  g_assert_true (brain_availability (world.brain, world.node, "drain", NULL));
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
}

static void
test_failure_ratio (void)
{
  g_auto (World) world = world_new (10);
  world.next->update->max_failure_ratio = 0.3;
  world.next->update->monitor = 100 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 10);
  for (guint slot = 1; slot <= 3; slot++)
    fail_slot (&world, slot);
  /* Restarts of a slot that failed are not another failure of the update, and its history is not forgotten. */
  for (guint i = 0; i < 8; i++) {
    brain_run (world.brain, SECOND);
    if (newest_task (world.brain, &world.web, 1)->status->state == SWARM_TASK_RUNNING)
      fail_slot (&world, 1);
  }
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  SwarmId fourth = newest_task (world.brain, &world.web, 7)->object.id;
  fail_slot (&world, 7);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &fourth);
}

/* ---- rollback ---- */

static void
test_rollback (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->failure_action = SWARM_FAILURE_ROLLBACK;
  world.node->bad_image = ":2";
  world.node->stubborn = TRUE; /* the failed slot waits, and what is told stays to be read */
  world_update (&world);
  brain_run (world.brain, 10 * MS);
  gint64 started = world_service (&world)->update_status->started_at;
  tame_report (world.node, &((SwarmTask *) newest_task (world.brain, &world.web, 1))->object.id, SWARM_TASK_FAILED, "x");
  SwarmId failed = newest_task (world.brain, &world.web, 1)->object.id;
  world.node->stubborn = FALSE;
  brain_run (world.brain, 50 * MS);
  assert_told_of (&world, SWARM_UPDATE_ROLLBACK_STARTED, "update rolled back", &failed);
  const SwarmService *service = world_service (&world);
  g_assert_cmpstr (service->spec->task->container->image, ==, IMAGE "latest");
  g_assert_null (service->previous_spec);
  g_assert_cmpint (service->update_status->started_at, ==, started);
  g_autoptr (GPtrArray) old = swarm_store_tasks_of_slot (world.brain->store, &world.web, 1);
  tame_report (world.node, &SWARM_OBJECT (g_ptr_array_index (old, 0))->id, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 4);
  assert_told (&world, SWARM_UPDATE_ROLLBACK_COMPLETED, "rollback completed");
  g_assert_cmpint (world_service (&world)->update_status->completed_at, !=, 0);
  /* Slots that were not updated yet were left alone. */
  for (guint slot = 2; slot <= 4; slot++) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_slot (world.brain->store, &world.web, slot);
    g_assert_cmpuint (tasks->len, ==, 1);
  }
}

/* Nobody can go back to a network that was removed meanwhile, which nothing forbids: that is said, and what runs stays. */
static void
test_rollback_without_network (void)
{
  g_auto (World) world = world_new (2);
  BrainOutcome made = { 0 }, gone = { 0 };
  g_autoptr (SwarmNetworkSpec) network = swarm_network_spec_new ();
  network->name = g_strdup ("back");
  swarm_control_create_network (swarm_manager_control (world.brain->manager), network, NULL, brain_outcome, &made);
  brain_run (world.brain, SECOND);
  g_autoptr (SwarmServiceSpec) first = swarm_service_spec_copy (world.next), second = g_steal_pointer (&world.next);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (first->task);
  SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
  config->target = g_strdup ("back");
  task->networks = swarm_messages_new ();
  g_ptr_array_add (task->networks, config);
  swarm_message_set_pointer (&first->task, task);
  world.next = first;
  world_update (&world);
  brain_run (world.brain, 60 * SECOND);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");

  world.next = second;
  second = swarm_service_spec_ref (second);
  second->update->failure_action = SWARM_FAILURE_ROLLBACK;
  second->update->parallelism = 0;
  world_update (&world);
  brain_run (world.brain, 2 * SECOND);
  swarm_control_remove_network (swarm_manager_control (world.brain->manager), &made.id, NULL, brain_outcome, &gone);
  brain_run (world.brain, SECOND);
  g_assert_no_error (gone.error);
  SwarmId failed = newest_task (world.brain, &world.web, 1)->object.id;
  world.node->stubborn = TRUE;
  fail_slot (&world, 1);
  g_autofree char *text = g_strdup_printf ("update paused due to failure or early termination of task %s; it cannot be rolled back, for its network %s was removed",
                                           swarm_id_string (&failed).str, swarm_id_string (&made.id).str);
  assert_told (&world, SWARM_UPDATE_PAUSED, text);
  brain_run (world.brain, 20 * SECOND);
  assert_told (&world, SWARM_UPDATE_PAUSED, text);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
}

/* Twice in a row: back, and to the newer one again. */
static void
test_rollback_manual (void)
{
  g_auto (World) world = world_new (2);
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_true (brain_rollback (world.brain, &world.web, NULL));
  brain_run (world.brain, 100 * MS);
  assert_told (&world, SWARM_UPDATE_ROLLBACK_STARTED, "manually requested rollback");
  brain_run (world.brain, 10 * SECOND);
  assert_told (&world, SWARM_UPDATE_ROLLBACK_COMPLETED, "rollback completed");
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 2);
  g_assert_true (brain_rollback (world.brain, &world.web, NULL));
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  assert_told (&world, SWARM_UPDATE_ROLLBACK_COMPLETED, "rollback completed");
}

/* A manual rollback, whose task fails, under each action; it never rolls back again. */
static void
check_failing_rollback (SwarmFailureAction action, SwarmUpdateState state, const char *text)
{
  g_auto (World) world = world_new (3);
  g_autoptr (SwarmServiceSpec) first = swarm_service_spec_copy (world.next);
  /* The spec to come back to has the rollback's rules: they are those of the spec that is rolled to. */
  g_autoptr (SwarmUpdateConfig) rules = swarm_update_config_new ();
  rules->failure_action = action;
  rules->parallelism = 2;
  swarm_message_set_pointer (&first->rollback, rules);
  g_assert_true (brain_update (world.brain, &world.web, first, NULL));
  brain_run (world.brain, 10 * SECOND);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (world.next->task);
  task->force_update = 9;
  swarm_task_spec_unref (world.next->task);
  world.next->task = g_steal_pointer (&task);
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_COMPLETED);
  world.node->lazy = TRUE;
  guint made = world_made (&world, ":2");
  g_assert_true (brain_rollback (world.brain, &world.web, NULL));
  brain_run (world.brain, 100 * MS);
  assert_told (&world, SWARM_UPDATE_ROLLBACK_STARTED, "manually requested rollback");
  g_assert_cmpuint (world_made (&world, ":2") - made, ==, 2); /* the rollback's parallelism */
  world.node->lazy = FALSE;
  SwarmId failed = newest_task (world.brain, &world.web, 1)->object.id;
  tame_report (world.node, &failed, SWARM_TASK_FAILED, "x");
  brain_run (world.brain, 30 * SECOND);
  if (action == SWARM_FAILURE_CONTINUE)
    assert_told (&world, state, text);
  else
    assert_told_of (&world, state, text, &failed);
  g_assert_cmpuint (world_service (&world)->spec->task->force_update, ==, 0);
}

static void
test_rollback_fails (void)
{
  check_failing_rollback (SWARM_FAILURE_PAUSE, SWARM_UPDATE_ROLLBACK_PAUSED, "update paused");
  check_failing_rollback (SWARM_FAILURE_ROLLBACK, SWARM_UPDATE_ROLLBACK_PAUSED, "rollback paused");
}

/* ---- other changes ---- */

static void
test_concurrent_update (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, 11 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  gint64 started = world_service (&world)->update_status->started_at;
  /* The same once more leaves the running one alone. */
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_cmpint (world_service (&world)->update_status->started_at, ==, started);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  /* Another one takes its place. */
  swarm_string_set (&world.next->task->container->image, "nginx:3");
  world.next->update->delay = 0;
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":3"), ==, 4);
  g_assert_cmpuint (world_made (&world, ":2"), ==, 2);
  g_assert_cmpint (world_service (&world)->update_status->started_at, >, started);
  assert_told (&world, SWARM_UPDATE_COMPLETED, "update completed");
}

/* Existing slots are updated one after the other, missing ones are there at once with the new spec. */
static void
test_scale_and_change (void)
{
  g_auto (World) world = world_new (2);
  world.next->update->delay = 10 * SECOND * NS;
  world.next->mode->replicated->replicas = 5;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 4);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 1);
  /* A failure of an added slot is not one of the update. */
  fail_slot (&world, 4);
  brain_run (world.brain, SECOND);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_UPDATING);
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 5);
}

static void
test_scale_during_update (void)
{
  g_auto (World) world = world_new (4);
  world.next->update->delay = 10 * SECOND * NS;
  world_update (&world);
  brain_run (world.brain, SECOND);
  g_assert_true (brain_scale (world.brain, &world.web, 6, NULL));
  brain_run (world.brain, SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 3);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 3);
  g_assert_true (brain_scale (world.brain, &world.web, 2, NULL));
  brain_run (world.brain, 60 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_COMPLETED);
}

static void
test_force (void)
{
  g_auto (World) world = world_new (2);
  swarm_string_set (&world.next->task->container->image, "nginx");
  world.next->task->force_update = 1;
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  for (guint slot = 1; slot <= 2; slot++)
    g_assert_cmpuint (newest_task (world.brain, &world.web, slot)->spec->force_update, ==, 1);
}

/* Labels, replicas, the update's own rules and the credentials replace nothing. */
static void
test_only_tasks_count (void)
{
  g_auto (World) world = world_new (2);
  SwarmId kept = newest_task (world.brain, &world.web, 1)->object.id;
  swarm_string_set (&world.next->task->container->image, "nginx");
  world.next->labels = swarm_map_new ();
  g_hash_table_insert (world.next->labels, g_strdup ("a"), g_strdup ("b"));
  world.next->update->parallelism = 7;
  world.next->mode->replicated->replicas = 3;
  world.next->task->container->pull_options = swarm_pull_options_new ();
  swarm_string_set (&world.next->task->container->pull_options->registry_auth, "x");
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_true (swarm_id_equal (&newest_task (world.brain, &world.web, 1)->object.id, &kept));
  g_assert_cmpuint (world_made (&world, ":latest"), ==, 3);
  g_assert_null (world_service (&world)->update_status);
}

/* A new placement alone leaves tasks where they still fit. */
static void
test_placement_only (void)
{
  g_auto (World) world = world_new (1);
  brain_node (world.brain, "n2");
  SwarmId kept = newest_task (world.brain, &world.web, 1)->object.id;
  swarm_string_set (&world.next->task->container->image, "nginx");
  world.next->task->placement = swarm_placement_new ();
  world.next->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (world.next->task->placement->constraints, g_strdup ("node.hostname==n1"));
  world_update (&world);
  brain_run (world.brain, 10 * SECOND);
  g_assert_true (swarm_id_equal (&newest_task (world.brain, &world.web, 1)->object.id, &kept));
  g_autoptr (SwarmServiceSpec) moved = swarm_service_spec_copy (world.next);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (moved->task);
  g_autoptr (SwarmPlacement) placement = swarm_placement_new ();
  placement->constraints = swarm_strings_new ();
  g_ptr_array_add (placement->constraints, g_strdup ("node.hostname==n2"));
  swarm_message_set_pointer (&task->placement, placement);
  swarm_message_set_pointer (&moved->task, task);
  g_assert_true (brain_update (world.brain, &world.web, moved, NULL));
  brain_run (world.brain, 10 * SECOND);
  g_assert_cmpstr (node_of_task (world.brain, newest_task (world.brain, &world.web, 1))->hostname, ==, "n2");
}

/* ---- a new leader ---- */

/* The delay, the failures and the monitor go on as if nothing had been. */
static void
test_new_leader (void)
{
  g_auto (World) world = world_new (5);
  world.next->update->delay = 10 * SECOND * NS;
  world.next->update->monitor = 100 * SECOND * NS;
  world.next->update->max_failure_ratio = 0.2;
  world_update (&world);
  brain_run (world.brain, 2 * SECOND);
  fail_slot (&world, 1);
  gint64 started = world_service (&world)->update_status->started_at;
  brain_restart (world.brain);
  tame_connect (world.node);
  brain_run (world.brain, 7 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 1);
  brain_run (world.brain, 3 * SECOND);
  g_assert_cmpuint (world_running (&world, ":2"), ==, 2);
  g_assert_cmpint (world_service (&world)->update_status->started_at, ==, started);
  brain_restart (world.brain);
  tame_connect (world.node);
  brain_run (world.brain, SECOND);
  SwarmId second = newest_task (world.brain, &world.web, 2)->object.id;
  fail_slot (&world, 2);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &second);
  brain_restart (world.brain);
  tame_connect (world.node);
  brain_run (world.brain, 60 * SECOND);
  g_assert_cmpuint (world_running (&world, ":latest"), ==, 3);
  g_assert_cmpint (world_state (&world), ==, SWARM_UPDATE_PAUSED);
}

/* Old tasks may be forgotten at once: what the update did is not. */
static void
test_short_history (void)
{
  g_auto (World) world = world_new (5);
  g_autoptr (SwarmCluster) cluster = swarm_cluster_copy (swarm_store_cluster (world.brain->store));
  g_autoptr (SwarmClusterSpec) spec = swarm_cluster_spec_copy (cluster->spec);
  g_autoptr (SwarmOrchestrationConfig) config = swarm_orchestration_config_new ();
  config->task_history_limit = 0;
  swarm_message_set_pointer (&spec->orchestration, config);
  swarm_message_set_pointer (&cluster->spec, spec);
  SwarmTx *tx = swarm_store_tx (world.brain->store);
  swarm_tx_update (tx, cluster);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  world.next->update->delay = 10 * SECOND * NS;
  world.next->update->monitor = 100 * SECOND * NS;
  world.next->update->max_failure_ratio = 0.3;
  world_update (&world);
  brain_run (world.brain, 2 * SECOND);
  g_assert_cmpuint (world_made (&world, ":latest"), ==, 4);
  fail_slot (&world, 1);
  brain_run (world.brain, 2 * SECOND);
  brain_restart (world.brain);
  tame_connect (world.node);
  brain_run (world.brain, 7 * SECOND);
  SwarmId second = newest_task (world.brain, &world.web, 2)->object.id;
  fail_slot (&world, 2);
  assert_told_of (&world, SWARM_UPDATE_PAUSED, "update paused", &second);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/update/parallelism", test_parallelism);
  g_test_add_func ("/update/parallelism-waits-for-running", test_parallelism_waits_for_running);
  g_test_add_func ("/update/delay-beside-work", test_delay_beside_work);
  g_test_add_func ("/update/running-one-stays", test_running_one_stays);
  g_test_add_func ("/update/lost-step", test_lost_step);
  g_test_add_func ("/update/ended-slots-wait", test_ended_slots_wait);
  g_test_add_func ("/update/failing-old-task", test_failing_old_task);
  g_test_add_func ("/update/clock-set-back", test_clock_set_back);
  g_test_add_func ("/update/order-changes", test_order_changes);
  g_test_add_func ("/update/states", test_states);
  g_test_add_func ("/update/delay", test_delay);
  g_test_add_func ("/update/delay-per-worker", test_delay_per_worker);
  g_test_add_func ("/update/broken-slots-first", test_broken_slots_first);
  g_test_add_func ("/update/stop-first", test_stop_first);
  g_test_add_func ("/update/stop-limit", test_stop_limit);
  g_test_add_func ("/update/start-first", test_start_first);
  g_test_add_func ("/update/start-first-broken", test_start_first_broken);
  g_test_add_func ("/update/pause", test_pause);
  g_test_add_func ("/update/continue", test_continue);
  g_test_add_func ("/update/monitor", test_monitor);
  g_test_add_func ("/update/monitor-after-last", test_monitor_after_last);
  g_test_add_func ("/update/early-completion", test_early_completion);
  g_test_add_func ("/update/drain-is-no-failure", test_drain_is_no_failure);
  g_test_add_func ("/update/failure-ratio", test_failure_ratio);
  g_test_add_func ("/update/rollback", test_rollback);
  g_test_add_func ("/update/rollback-without-network", test_rollback_without_network);
  g_test_add_func ("/update/rollback-manual", test_rollback_manual);
  g_test_add_func ("/update/rollback-fails", test_rollback_fails);
  g_test_add_func ("/update/concurrent", test_concurrent_update);
  g_test_add_func ("/update/scale-and-change", test_scale_and_change);
  g_test_add_func ("/update/scale-during-update", test_scale_during_update);
  g_test_add_func ("/update/force", test_force);
  g_test_add_func ("/update/only-tasks-count", test_only_tasks_count);
  g_test_add_func ("/update/placement-only", test_placement_only);
  g_test_add_func ("/update/new-leader", test_new_leader);
  g_test_add_func ("/update/short-history", test_short_history);
  return g_test_run ();
}
