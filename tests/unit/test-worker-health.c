// SPDX-License-Identifier: LGPL-2.1-or-later
/* Health commands: what is asked, when, and what the answers make of a task (SWARM_BEHAVIOUR §3; defaults and timing are docker's). */
#pragma GCC diagnostic ignored "-Wunused-function" /* the bed has more than is used here */
#include "worker-bed.h"
#include "worker/private.h"

#define NS G_GINT64_CONSTANT (1000) /* per µs */

static SwarmHealthcheck *
health_of (Bed *bed, const SwarmId *id)
{
  SwarmTask *task = g_hash_table_lookup (bed->tasks, id);

  if (task->spec->container->healthcheck == NULL)
    task->spec->container->healthcheck = swarm_healthcheck_new ();
  return task->spec->container->healthcheck;
}

static void
set_test (SwarmHealthcheck *health, ...)
{
  va_list words;
  const char *word;

  g_clear_pointer (&health->test, g_ptr_array_unref);
  health->test = swarm_strings_new ();
  va_start (words, health);
  while ((word = va_arg (words, const char *)) != NULL)
    g_ptr_array_add (health->test, g_strdup (word));
  va_end (words);
}

static SwarmTaskState
state_of (Bed *bed, const SwarmId *id)
{
  return status_of (bed, id)->state;
}

/* Spec before image before docker's defaults; NONE and an empty image mean none. */
static void
test_resolve (void)
{
  g_autoptr (SwarmHealthcheck) spec = swarm_healthcheck_new (), image = swarm_healthcheck_new ();
  g_autoptr (SwarmHealthcheck) none = swarm_health_resolve (NULL, NULL), empty = swarm_health_resolve (spec, image);
  g_assert_null (none);
  g_assert_null (empty);
  set_test (image, "CMD", "image", NULL);
  image->interval = 7;
  image->retries = 9;
  g_autoptr (SwarmHealthcheck) a = swarm_health_resolve (NULL, image);
  g_assert_cmpstr (a->test->pdata[1], ==, "image");
  g_assert_cmpint (a->interval, ==, 7);
  g_assert_cmpint (a->timeout, ==, G_GINT64_CONSTANT (30000000000));
  g_assert_cmpint (a->retries, ==, 9);
  g_assert_cmpint (a->start_period, ==, 0);
  g_assert_cmpint (a->start_interval, ==, G_GINT64_CONSTANT (5000000000));
  spec->interval = 3; /* a spec without a test changes the image's numbers */
  g_autoptr (SwarmHealthcheck) b = swarm_health_resolve (spec, image);
  g_assert_cmpstr (b->test->pdata[1], ==, "image");
  g_assert_cmpint (b->interval, ==, 3);
  g_assert_cmpint (b->retries, ==, 9);
  set_test (spec, "CMD-SHELL", "own", NULL);
  g_autoptr (SwarmHealthcheck) c = swarm_health_resolve (spec, image), d = swarm_health_resolve (spec, NULL);
  g_assert_cmpstr (c->test->pdata[1], ==, "own");
  g_assert_cmpint (c->retries, ==, 9);
  g_assert_cmpint (d->retries, ==, 3);
  set_test (spec, "NONE", NULL);
  g_autoptr (SwarmHealthcheck) off = swarm_health_resolve (spec, image);
  g_assert_null (off);
  set_test (image, "NONE", NULL);
  g_autoptr (SwarmHealthcheck) image_off = swarm_health_resolve (NULL, image);
  g_assert_null (image_off);
}

/* Starting until the first yes, which is asked for one interval after the start; running after it. */
static void
test_gates_running (void)
{
  g_autoptr (Bed) bed = bed_new (1);
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  set_test (health_of (bed, &id), "CMD", "check", "it", NULL);
  sim_clock_run (bed->clock, 29 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_STARTING);
  g_assert_cmpstr (status_of (bed, &id)->container->health->status, ==, "starting");
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_RUNNING);
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "started");
  g_assert_cmpstr (status_of (bed, &id)->container->health->status, ==, "healthy");
  sim_clock_run (bed->clock, 600 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_RUNNING);
  g_assert_true (g_str_has_suffix (bed->history->str, "starting running "));
}

/* So many failures in a row as retries say, at intervals: stopped, and failed with swarm's words. */
static void
test_unhealthy (void)
{
  g_autoptr (Bed) bed = bed_new (2);
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, "sim.sick-after-ms=15000", NULL);
  SwarmHealthcheck *health = health_of (bed, &id);
  set_test (health, "CMD-SHELL", "check it", NULL);
  health->interval = 10 * SECOND * NS;
  sim_clock_run (bed->clock, 12 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_RUNNING);
  sim_clock_run (bed->clock, 27 * SECOND); /* no at 20 and 30 */
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_RUNNING);
  sim_clock_run (bed->clock, 3 * SECOND); /* and at 40 */
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: non-zero exit (143): dockerexec: unhealthy container");
  g_assert_cmpint (status_of (bed, &id)->container->exit_code, ==, 143);
  g_assert_cmpstr (status_of (bed, &id)->container->health->status, ==, "unhealthy");
  g_assert_cmpuint (status_of (bed, &id)->container->health->failing_streak, ==, 3);
  g_assert_cmpstr (status_of (bed, &id)->container->health->output, ==, "/bin/sh -c check it");
  g_assert_cmpuint (count_of (&id).running, ==, 0);
}

/* A row of the task in the picture of the networks. */
static void
send_row (Bed *bed, const SwarmId *id, guint64 sequence, gboolean ready)
{
  Manager *leader = leader_of (bed);
  g_autoptr (SwarmPictureTask) row = swarm_picture_task_new ();
  SwarmBuffer rows = { 0 };
  row->id = *id;
  row->node = bed->node;
  row->ready = ready;
  g_autoptr (GBytes) bytes = swarm_message_encode (row);
  swarm_picture_pack (&rows, SWARM_KIND_TASK, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Networks",
                   g_variant_new ("(@aytb@ay@ay)", ay (leader->session, 16), sequence, sequence == 1, ay (rows.data, rows.len), ay ("", 0)), 5 * SECOND,
                   on_assigned, bed);
  g_free (rows.data);
}

static SwarmId
add_sick_in_network (Bed *bed)
{
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, "sim.sick-after-ms=15000", NULL);
  SwarmTask *task = g_hash_table_lookup (bed->tasks, &id);
  SwarmNetworkAttachment *attachment = swarm_network_attachment_new ();
  swarm_string_set (&attachment->driver, SWARM_DRIVER_OVERLAY);
  task->networks = swarm_messages_new ();
  g_ptr_array_add (task->networks, attachment);
  set_test (health_of (bed, &id), "CMD-SHELL", "check it", NULL);
  health_of (bed, &id)->interval = 10 * SECOND * NS;
  health_of (bed, &id)->retries = 1;
  sim_clock_run (bed->clock, 18 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_RUNNING);
  send_row (bed, &id, 1, TRUE);
  return id;
}

/* Until it is reported; the leader has it in @health. */
static void
run_until_sick (Bed *bed, const SwarmId *id)
{
  guint left = 400;
  while (g_strcmp0 (status_of (bed, id)->container->health->status, "unhealthy") != 0 && --left > 0)
    sim_clock_run (bed->clock, SECOND / 100);
  g_assert_cmpuint (left, >, 0);
  g_assert_cmpint (state_of (bed, id), ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (count_of (id).running, ==, 1);
}

/* Others may send it connections: the leader hears that it is unhealthy, and has a second to tell them. */
static void
test_leaves_first (void)
{
  g_autoptr (Bed) bed = bed_new (9);
  SwarmId id = add_sick_in_network (bed);
  run_until_sick (bed, &id);
  sim_clock_run (bed->clock, SECOND * 8 / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  sim_clock_run (bed->clock, SECOND * 3 / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: non-zero exit (143): dockerexec: unhealthy container");
}

/* Less when this node itself is told; telling it again makes it no longer. */
static void
test_leaves_as_told (void)
{
  g_autoptr (Bed) bed = bed_new (10);
  SwarmId id = add_sick_in_network (bed);
  run_until_sick (bed, &id);
  send_row (bed, &id, 2, FALSE);
  sim_clock_run (bed->clock, SECOND * 2 / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  send_row (bed, &id, 3, TRUE);
  send_row (bed, &id, 4, FALSE);
  sim_clock_run (bed->clock, SECOND * 2 / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
}

/* And not at all when it is to stop anyhow, which the leader says when others know. */
static void
test_leaves_at_once (void)
{
  g_autoptr (Bed) bed = bed_new (11);
  SwarmId id = add_sick_in_network (bed);
  run_until_sick (bed, &id);
  want (bed, &id, SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, SECOND / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
}

static void
test_ends_while_leaving (void)
{
  g_autoptr (Bed) bed = bed_new (12);
  SwarmId id = add_sick_in_network (bed);
  run_until_sick (bed, &id);
  SwarmIdString text = swarm_id_string (&id);
  runtime_sim_kill (text.str, 1);
  sim_clock_run (bed->clock, SECOND / 2);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_FAILED);
  sim_clock_run (bed->clock, 10 * SECOND);
}

/* An agent that is killed in between goes on where it was: others hear it again, then it is stopped, and no more questions are needed. */
static void
test_killed_while_leaving (void)
{
  g_autoptr (Bed) bed = bed_new (13);
  SwarmId id = add_sick_in_network (bed);
  run_until_sick (bed, &id);
  sim_clock_run (bed->clock, SECOND / 10);
  agent_kill (bed);
  status_of (bed, &id)->container->health->status[0] = 'H'; /* as if the leader had never heard it */
  agent_start (bed);
  run_until_sick (bed, &id);
  sim_clock_run (bed->clock, SECOND * 15 / 10);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: non-zero exit (143): dockerexec: unhealthy container");
}

/* One that never says yes fails from "starting"; what fails within the start period does not count, and there it is asked more often. */
static void
test_start_period (void)
{
  g_autoptr (Bed) bed = bed_new (3);
  SwarmId late = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=58000", NULL);
  SwarmId never = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=-1", NULL);
  SwarmId strict = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=58000", NULL);
  SwarmId all[] = { late, never, strict };
  for (guint i = 0; i < 3; i++) {
    SwarmHealthcheck *health = health_of (bed, &all[i]);
    set_test (health, "CMD", "check", NULL);
    health->interval = 10 * SECOND * NS;
    health->start_period = i < 2 ? 60 * SECOND * NS : 0;
  }
  sim_clock_run (bed->clock, 28 * SECOND);
  g_assert_cmpint (state_of (bed, &strict), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (state_of (bed, &strict), ==, SWARM_TASK_FAILED);
  sim_clock_run (bed->clock, 25 * SECOND);
  g_assert_cmpint (state_of (bed, &late), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 5 * SECOND); /* asked every five seconds, not every ten */
  g_assert_cmpint (state_of (bed, &late), ==, SWARM_TASK_RUNNING);
  g_assert_cmpint (state_of (bed, &never), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 12 * SECOND); /* no at 60 and 70 counted */
  g_assert_cmpint (state_of (bed, &never), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (state_of (bed, &never), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &never)->err, ==, "task: non-zero exit (143): dockerexec: unhealthy container");
}

/* A yes in between begins the count anew; a command that does not end in time has failed. */
static void
test_streak_and_timeout (void)
{
  g_autoptr (Bed) bed = bed_new (4);
  SwarmId id = add_task (bed, SWARM_TASK_RUNNING, "sim.exec=hangs", NULL);
  SwarmHealthcheck *health = health_of (bed, &id);
  set_test (health, "CMD", "check", NULL);
  health->interval = 10 * SECOND * NS;
  health->timeout = 2 * SECOND * NS;
  health->retries = 2;
  sim_clock_run (bed->clock, 23 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_cmpint (state_of (bed, &id), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->container->health->output, ==, "Health check exceeded timeout (2s)");
}

/* The image's command counts when the spec has none, and is switched off by NONE. */
static void
test_image (void)
{
  g_autoptr (Bed) bed = bed_new (5);
  SwarmId with = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=-1", NULL);
  SwarmId without = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=-1", NULL);
  SwarmId all[] = { with, without };
  for (guint i = 0; i < 2; i++)
    swarm_string_set (&((SwarmTask *) g_hash_table_lookup (bed->tasks, &all[i]))->spec->container->image, "docker.io/library/with-health:1");
  set_test (health_of (bed, &without), "NONE", NULL);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (state_of (bed, &without), ==, SWARM_TASK_RUNNING);
  g_assert_null (status_of (bed, &without)->container->health);
  g_assert_cmpint (state_of (bed, &with), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 20 * SECOND); /* every ten seconds, two failures: as the image says */
  g_assert_cmpint (state_of (bed, &with), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &with)->container->health->output, ==, "image-check");
  sim_clock_run (bed->clock, 100 * SECOND);
  g_assert_cmpint (state_of (bed, &without), ==, SWARM_TASK_RUNNING);
}

/* An exit while it starts, or a stop, needs no answer of the command. */
static void
test_ends_while_starting (void)
{
  g_autoptr (Bed) bed = bed_new (6);
  SwarmId dies = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=5000", "sim.exit-code=3", NULL);
  SwarmId stopped = add_task (bed, SWARM_TASK_RUNNING, "sim.exec=hangs", NULL);
  set_test (health_of (bed, &dies), "CMD", "check", NULL);
  set_test (health_of (bed, &stopped), "CMD", "check", NULL);
  health_of (bed, &stopped)->interval = SECOND * NS;
  sim_clock_run (bed->clock, 8 * SECOND);
  g_assert_cmpint (state_of (bed, &dies), ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &dies)->err, ==, "task: non-zero exit (3)");
  want (bed, &stopped, SWARM_TASK_SHUTDOWN); /* while a question is under way */
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_cmpint (state_of (bed, &stopped), ==, SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, 100 * SECOND);
}

/* The agent comes back: what ran stays running and is asked on, what was starting still has to say yes. */
static void
test_agent_restart (void)
{
  g_autoptr (Bed) bed = bed_new (7);
  SwarmId well = add_task (bed, SWARM_TASK_RUNNING, "sim.sick-after-ms=70000", NULL);
  SwarmId fresh = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=50000", NULL);
  SwarmId all[] = { well, fresh };
  for (guint i = 0; i < 2; i++) {
    SwarmHealthcheck *health = health_of (bed, &all[i]);
    set_test (health, "CMD", "check", NULL);
    health->interval = 10 * SECOND * NS;
    health->start_period = 60 * SECOND * NS;
  }
  sim_clock_run (bed->clock, 20 * SECOND);
  g_assert_cmpint (state_of (bed, &well), ==, SWARM_TASK_RUNNING);
  agent_kill (bed);
  sim_clock_run (bed->clock, 10 * SECOND);
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  g_autoptr (SwarmTask) a = swarm_worker_find_task (bed->worker, &well), b = swarm_worker_find_task (bed->worker, &fresh);
  g_assert_cmpint (a->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpint (b->status->state, ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 17 * SECOND);
  g_assert_cmpint (state_of (bed, &fresh), ==, SWARM_TASK_STARTING);
  sim_clock_run (bed->clock, 10 * SECOND); /* its start period still holds: it was asked after five seconds */
  g_assert_cmpint (state_of (bed, &fresh), ==, SWARM_TASK_RUNNING);
  sim_clock_run (bed->clock, 60 * SECOND);
  g_assert_cmpint (state_of (bed, &well), ==, SWARM_TASK_FAILED);
  g_assert_cmpint (state_of (bed, &fresh), ==, SWARM_TASK_RUNNING);
}

/* Killed at any moment of a start, with a slow disk: what has not said yes is not running for the agent that comes back. */
static void
test_killed_while_starting (void)
{
  for (gint64 at = 0; at <= 3 * SECOND; at += SECOND / 20) {
    g_autoptr (Bed) bed = bed_new ((guint) (100 + at / (SECOND / 20)));
    sim_clock_run (bed->clock, SECOND);
    sim_disk_set_delay (bed->disk, SECOND / 2, SECOND);
    SwarmId id = add_task (bed, SWARM_TASK_RUNNING, "sim.healthy-after-ms=50000", NULL);
    SwarmHealthcheck *health = health_of (bed, &id);
    set_test (health, "CMD", "check", NULL);
    health->start_period = 60 * SECOND * NS;
    tell (bed, &id);
    sim_clock_run (bed->clock, at);
    agent_kill (bed);
    agent_start (bed);
    sim_clock_run (bed->clock, 5 * SECOND);
    g_autoptr (SwarmTask) task = swarm_worker_find_task (bed->worker, &id);
    g_assert_cmpint (task->status->state, !=, SWARM_TASK_RUNNING);
  }
}

/* A runtime that runs no commands: who asks for one is rejected here, an image's is left alone. */
static void
test_runtime_cannot (void)
{
  SwarmPluginDescriptor descriptor = swarm_plugin_builtin_runtime_sim;
  SwarmRuntimeOps ops = *(const SwarmRuntimeOps *) descriptor.ops;
  g_autoptr (Bed) bed = bed_new (8);
  ops.exec = NULL;
  descriptor.ops = &ops;
  agent_kill (bed);
  swarm_plugin_unref (bed->plugin);
  bed->plugin = swarm_plugin_from_descriptor (&descriptor, SWARM_PLUGIN_RUNTIME, NULL);
  agent_start (bed);
  SwarmId asks = add_task (bed, SWARM_TASK_RUNNING, NULL), image = add_task (bed, SWARM_TASK_RUNNING, NULL);
  set_test (health_of (bed, &asks), "CMD", "check", NULL);
  swarm_string_set (&((SwarmTask *) g_hash_table_lookup (bed->tasks, &image))->spec->container->image, "docker.io/library/with-health:1");
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (state_of (bed, &asks), ==, SWARM_TASK_REJECTED);
  g_assert_cmpstr (status_of (bed, &asks)->err, ==, "this node's runtime cannot run health commands");
  g_assert_cmpint (state_of (bed, &image), ==, SWARM_TASK_RUNNING);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker-health/resolve", test_resolve);
  g_test_add_func ("/worker-health/gates-running", test_gates_running);
  g_test_add_func ("/worker-health/unhealthy", test_unhealthy);
  g_test_add_func ("/worker-health/leaves-first", test_leaves_first);
  g_test_add_func ("/worker-health/leaves-as-told", test_leaves_as_told);
  g_test_add_func ("/worker-health/leaves-at-once", test_leaves_at_once);
  g_test_add_func ("/worker-health/ends-while-leaving", test_ends_while_leaving);
  g_test_add_func ("/worker-health/start-period", test_start_period);
  g_test_add_func ("/worker-health/streak-and-timeout", test_streak_and_timeout);
  g_test_add_func ("/worker-health/image", test_image);
  g_test_add_func ("/worker-health/ends-while-starting", test_ends_while_starting);
  g_test_add_func ("/worker-health/killed-while-leaving", test_killed_while_leaving);
  g_test_add_func ("/worker-health/agent-restart", test_agent_restart);
  g_test_add_func ("/worker-health/killed-while-starting", test_killed_while_starting);
  g_test_add_func ("/worker-health/runtime-cannot", test_runtime_cannot);
  return g_test_run ();
}
