// SPDX-License-Identifier: LGPL-2.1-or-later
/* The worker's machines against managers that are played in worker-bed.h. */
#include "worker-bed.h"

static void
test_runs (void)
{
  g_autoptr (Bed) bed = bed_new (1);
  SwarmWorkerStatus status;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (leader_of (bed)->registrations, ==, 1);
  id = add_task (bed, SWARM_TASK_RUNNING, "sim.prepare-ms=200", "sim.start-ms=200", NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpstr (bed->history->str, ==, "preparing starting running ");
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "started");
  g_assert_cmpstr (status_of (bed, &id)->container->container_id, ==, swarm_id_string (&id).str);
  g_assert_cmpuint (status_of (bed, &id)->container->pid, >, 0);
  g_assert_cmpuint (files (bed), ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_REGISTERED);
  g_assert_cmpuint (status.running, ==, 1);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpuint (leader_of (bed)->beats, >=, 10);
  want (bed, &id, SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "shutdown");
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  unassign (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpuint (files (bed), ==, 0);
}

static void
test_gate (void)
{
  g_autoptr (Bed) bed = bed_new (2);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_READY, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_READY);
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "prepared");
  want (bed, &id, SWARM_TASK_RUNNING);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
}

static void
test_exits (void)
{
  g_autoptr (Bed) bed = bed_new (3);
  SwarmId zero, three, rejected, failed, down;

  sim_clock_run (bed->clock, SECOND);
  zero = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=500", "sim.exit-code=0", NULL);
  three = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=500", "sim.exit-code=3", NULL);
  rejected = add_task (bed, SWARM_TASK_RUNNING, "sim.fail=prepare", NULL);
  failed = add_task (bed, SWARM_TASK_RUNNING, "sim.fail=start", NULL);
  down = add_task (bed, SWARM_TASK_RUNNING, "sim.prepare-ms=60000", NULL);
  tell (bed, &zero);
  tell (bed, &three);
  tell (bed, &rejected);
  tell (bed, &failed);
  tell (bed, &down);
  sim_clock_run (bed->clock, SECOND);
  want (bed, &down, SWARM_TASK_SHUTDOWN); /* while it is being prepared */
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &zero)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpstr (status_of (bed, &zero)->text, ==, "finished");
  g_assert_true (status_of (bed, &zero)->has_exit);
  g_assert_cmpint (status_of (bed, &three)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &three)->text, ==, "started");
  g_assert_cmpstr (status_of (bed, &three)->err, ==, "task: non-zero exit (3)");
  g_assert_cmpint (status_of (bed, &three)->container->exit_code, ==, 3);
  g_assert_cmpint (status_of (bed, &rejected)->state, ==, SWARM_TASK_REJECTED);
  g_assert_cmpstr (status_of (bed, &rejected)->text, ==, "preparing");
  g_assert_cmpstr (status_of (bed, &rejected)->err, ==, "prepare fails as wanted");
  g_assert_cmpint (status_of (bed, &failed)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &failed)->text, ==, "starting");
  g_assert_cmpint (status_of (bed, &down)->state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpuint (count_of (&down).starts, ==, 0);
}

static void
test_agent_restart (void)
{
  g_autoptr (Bed) bed = bed_new (4);
  SwarmId stays, ends, fails;

  sim_clock_run (bed->clock, SECOND);
  stays = add_task (bed, SWARM_TASK_RUNNING, NULL);
  ends = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", NULL);
  fails = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", "sim.exit-code=3", NULL);
  tell (bed, &stays);
  tell (bed, &ends);
  tell (bed, &fails);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &fails)->state, ==, SWARM_TASK_RUNNING);
  agent_kill (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  agent_start (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpint (status_of (bed, &stays)->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  g_assert_cmpint (status_of (bed, &ends)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpint (status_of (bed, &fails)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &fails)->err, ==, "task: non-zero exit (3)");
  g_assert_cmpstr (status_of (bed, &fails)->text, ==, "started");
  /* When it ended, not when it was noticed. */
  g_assert_cmpint (status_of (bed, &fails)->timestamp, <, sim_clock_time (bed->clock) - 3 * SECOND);
}

static void
test_reboot (void)
{
  g_autoptr (Bed) bed = bed_new (5);
  SwarmId id, untold;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  leader_of (bed)->refuses_status = TRUE; /* so the leader never hears that this one ran */
  untold = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &untold);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (count_of (&untold).running, ==, 1);
  g_assert_cmpint (status_of (bed, &untold)->state, ==, SWARM_TASK_ASSIGNED);
  leader_of (bed)->refuses_status = FALSE;
  host_reboot (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: the host was restarted");
  g_assert_cmpint (status_of (bed, &untold)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpuint (count_of (&id).starts, ==, 1);
  g_assert_cmpuint (count_of (&untold).starts, ==, 1);
}

/* The disk of a node that ran is lost or damaged: its tasks count as lost, nothing starts twice, what nobody knows is stopped. */
static void
test_lost_records (void)
{
  g_autoptr (Bed) bed = bed_new (6);
  g_autofree char *name = NULL;
  SwarmId damaged, fresh;

  sim_clock_run (bed->clock, SECOND);
  damaged = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &damaged);
  sim_clock_run (bed->clock, SECOND);
  agent_kill (bed);
  name = swarm_worker_record_name (&damaged);
  g_assert_true (sim_disk_flip (bed->disk, name, 20, 3));
  swarm_log_set_level (LOG_CRIT);
  agent_start (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  swarm_log_set_level (LOG_ERR);
  g_assert_cmpuint (count_of (&damaged).running, ==, 0);
  g_assert_cmpint (status_of (bed, &damaged)->state, ==, SWARM_TASK_FAILED);
  fresh = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &fresh);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &fresh)->state, ==, SWARM_TASK_RUNNING);
}

/* The disk is full: the node goes on. */
static void
test_disk_fails (void)
{
  g_autoptr (Bed) bed = bed_new (7);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  sim_disk_fail (bed->disk, "No space left on device");
  swarm_log_set_level (LOG_CRIT);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_log_set_level (LOG_ERR);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
}

static void
test_full_is_truth (void)
{
  g_autoptr (Bed) bed = bed_new (8);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();
  SwarmWorkerStatus status;
  Manager *leader;
  SwarmId stays, goes, part;

  sim_clock_run (bed->clock, SECOND);
  leader = leader_of (bed);
  stays = add_task (bed, SWARM_TASK_RUNNING, NULL);
  goes = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &stays);
  tell (bed, &goes);
  sim_clock_run (bed->clock, SECOND);
  part = add_task (bed, SWARM_TASK_RUNNING, NULL);
  /* In two parts: nothing is stopped before the last. */
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &part));
  send_assign (leader, 0, TRUE, set, NULL);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (count_of (&goes).running, ==, 1);
  g_ptr_array_set_size (set, 0);
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &stays));
  send_assign (leader, 1, TRUE, set, NULL);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 0);
  g_assert_cmpuint (count_of (&goes).running, ==, 0);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  g_assert_cmpuint (count_of (&part).running, ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 2);
}

static void
expect_refused (Bed *bed, SwarmError code)
{
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 1);
  g_assert_error (bed->last_error, SWARM_ERROR, (int) code);
  bed->assign_errors = 0;
}

static void
test_bad_calls (void)
{
  g_autoptr (Bed) bed = bed_new (9);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();
  g_autoptr (SwarmTask) foreign = NULL;
  SwarmWorkerStatus status;
  Manager *leader;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  leader = leader_of (bed);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &id));
  send_assign (leader, 7, FALSE, set, NULL); /* a gap */
  expect_refused (bed, SWARM_ERROR_OUT_OF_SEQUENCE);
  foreign = swarm_task_copy (g_hash_table_lookup (bed->tasks, &id));
  foreign->node_id = leader->node;
  g_ptr_array_add (set, foreign);
  send_assign (leader, 2, FALSE, set, NULL); /* one of them is another node's: none is taken */
  expect_refused (bed, SWARM_ERROR_INVALID_ARGUMENT);
  leader->session[3] ^= 1;
  send_assign (leader, 2, FALSE, NULL, NULL);
  leader->session[3] ^= 1;
  expect_refused (bed, SWARM_ERROR_NOT_FOUND);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Assign", g_variant_new ("(s)", "?"), SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_INVALID_ARGUMENT);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Explode", NULL, SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_NOT_SUPPORTED);
  swarm_link_call (leader->control, "org.swarmagent1.Manager", "Init", NULL, SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_NOT_SUPPORTED);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "NodeChanged", g_variant_new ("(@ay)", ay ("\xff\xff", 2)), SECOND,
                   on_assigned, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_REGISTERED);
}

static void
test_status_is_retried (void)
{
  g_autoptr (Bed) bed = bed_new (10);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  leader_of (bed)->refuses_status = TRUE;
  id = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=300", "sim.exit-code=137", NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_ASSIGNED);
  agent_kill (bed); /* the exit is told by the next agent */
  agent_start (bed);
  leader_of (bed)->refuses_status = FALSE;
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: non-zero exit (137)");
}

/* What the leader does not take of one task holds up no other, and is not repeated without end; the next session hears it anew. */
static void
test_status_is_refused (void)
{
  g_autoptr (Bed) bed = bed_new (10);
  SwarmId bad, good;
  guint reports;

  sim_clock_run (bed->clock, SECOND);
  bad = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", NULL);
  good = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", NULL);
  leader_of (bed)->refused_task = bad;
  tell (bed, &bad);
  tell (bed, &good);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &good)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpint (status_of (bed, &bad)->state, ==, SWARM_TASK_ASSIGNED);
  reports = leader_of (bed)->reports;
  g_assert_cmpuint (reports, <, 12);
  sim_clock_run (bed->clock, 60 * SECOND);
  g_assert_cmpuint (leader_of (bed)->reports, ==, reports);
  leader_of (bed)->refused_task = SWARM_ID_NIL;
  leader_of (bed)->forgets_session = TRUE;
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &bad)->state, ==, SWARM_TASK_COMPLETE);
}

/* What the node has already counts once, however often it is told of. */
static void
test_most_tasks (void)
{
  g_autoptr (Bed) bed = bed_new (10);
  SwarmId id[4];

  agent_kill (bed);
  bed->max_tasks = 3;
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  for (guint i = 0; i < 3; i++) {
    id[i] = add_task (bed, SWARM_TASK_RUNNING, NULL);
    tell (bed, &id[i]);
  }
  sim_clock_run (bed->clock, SECOND);
  want (bed, &id[0], SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id[0])->state, ==, SWARM_TASK_SHUTDOWN);
  id[3] = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id[3]);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id[3])->state, ==, SWARM_TASK_ASSIGNED);
}

static void
send_managers (Bed *bed, Manager *to)
{
  swarm_link_send (to->control, "org.swarmagent1.Worker", "Managers",
                   g_variant_new ("(@a(ays)@ay)", managers_variant (bed), leader_variant (bed)));
}

static void
test_leaders (void)
{
  g_autoptr (Bed) bed = bed_new (11);
  Manager *a = &bed->managers[0];
  Manager *b = &bed->managers[1];
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  /* Leadership moves, and is told. */
  a->leads = FALSE;
  b->leads = TRUE;
  b->registrations = 0;
  send_managers (bed, a);
  sim_clock_run (bed->clock, SECOND / 5);
  g_assert_cmpuint (b->registrations, ==, 1);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  /* Leadership moves, and nobody says so: the next beat finds out, and the follower knows who leads. */
  b->leads = FALSE;
  a->leads = TRUE;
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_nonnull (a->control);
  /* The leader's power goes. */
  manager_crash (a, TRUE);
  b->leads = TRUE;
  sim_clock_run (bed->clock, 6 * SECOND);
  g_assert_nonnull (b->control);
  /* It forgets the session: registered again on the same link. */
  b->forgets_session = TRUE;
  b->registrations = 0;
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpuint (b->registrations, ==, 1);
  /* A reset of the connection. */
  sim_net_reset (bed->net, bed->host, b->host);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpuint (b->registrations, ==, 2);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (count_of (&id).starts, ==, 1);
}

/* What changes is told at once, and not lost either while a registration is under way that says what was before. */
static void
test_describes (void)
{
  g_autoptr (Bed) bed = bed_new (21);
  Manager *a = &bed->managers[0];
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpstr (a->described, ==, "w1");
  bed->hostname = "w2";
  swarm_worker_describe (bed->worker);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpstr (a->described, ==, "w2");
  swarm_string_set (&a->described, "not told again");
  swarm_worker_describe (bed->worker); /* nothing changed: it stays free to tell what does */
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpstr (a->described, ==, "not told again");
  for (guint at = 0; at < 3; at++) { /* before it dials, when the registration has arrived, and when it is answered */
    const char *name = (const char *[]){ "w3", "w4", "w5" }[at];
    guint before = a->registrations;
    sim_net_reset (bed->net, bed->host, a->host);
    for (guint i = 0; at > 0 && a->registrations == before; i++) {
      g_assert_cmpuint (i, <, 100000);
      sim_clock_run (bed->clock, 50);
    }
    if (at == 2)
      sim_clock_run (bed->clock, 2500);
    bed->hostname = name;
    swarm_worker_describe (bed->worker);
    sim_clock_run (bed->clock, 3 * SECOND);
    g_assert_cmpuint (a->registrations, >, before);
    g_assert_cmpstr (a->described, ==, name);
  }
}

static void
test_backs_off (void)
{
  g_autoptr (Bed) bed = bed_new (12);

  for (guint i = 0; i < MANAGERS; i++)
    bed->managers[i].leads = FALSE;
  sim_clock_run (bed->clock, SECOND);
  for (guint i = 0; i < MANAGERS; i++)
    bed->managers[i].registrations = 0;
  sim_clock_run (bed->clock, 60 * SECOND);
  g_assert_cmpuint (bed->managers[0].registrations + bed->managers[1].registrations, <=, 20);
  g_assert_cmpuint (bed->managers[0].registrations, >=, 2);
  bed->managers[1].leads = TRUE;
  sim_clock_run (bed->clock, 9 * SECOND);
  g_assert_nonnull (bed->managers[1].control);
}

/* After a long time without a leader, with the hosts of two of three managers off, the third leads: it is found soon. */
static void
test_one_of_many_managers (void)
{
  gint64 worst = 0;

  for (guint seed = 0; seed < 20; seed++) {
    g_autoptr (Bed) bed = bed_new (100 + seed);
    Manager *last = &bed->managers[1];
    gint64 began;

    sim_clock_run (bed->clock, SECOND);
    bed_add_dead_manager (bed);
    send_managers (bed, leader_of (bed));
    sim_clock_run (bed->clock, SECOND);
    manager_crash (&bed->managers[0], TRUE);
    sim_clock_run (bed->clock, (60 + seed) * SECOND);
    last->leads = TRUE;
    began = sim_clock_time (bed->clock);
    while (last->control == NULL && sim_clock_time (bed->clock) < began + 60 * SECOND)
      sim_clock_run (bed->clock, SECOND / 10);
    worst = MAX (worst, sim_clock_time (bed->clock) - began);
  }
  g_test_message ("found after %.1f s at most", (double) worst / SECOND);
  g_assert_cmpint (worst, <, 12 * SECOND);
}

static gboolean
has_session (Bed *bed)
{
  SwarmWorkerStatus status;

  swarm_worker_get_status (bed->worker, &status);
  return status.session == SWARM_SESSION_REGISTERED;
}

/* Its cable was out: nobody was there who had to be spared, so it is back soon after, however long that was. */
static void
test_back_after_a_cut (void)
{
  gint64 worst = 0;

  for (guint seed = 0; seed < 20; seed++) {
    g_autoptr (Bed) bed = bed_new (200 + seed);
    gint64 began;

    bed->one_manager = TRUE;
    sim_clock_run (bed->clock, SECOND);
    send_managers (bed, leader_of (bed));
    sim_clock_run (bed->clock, SECOND);
    sim_net_cut (bed->net, bed->host, bed->managers[0].host, TRUE);
    sim_clock_run (bed->clock, (60 + seed) * SECOND);
    g_assert_false (has_session (bed));
    sim_net_heal (bed->net, bed->host, bed->managers[0].host);
    began = sim_clock_time (bed->clock);
    while (!has_session (bed) && sim_clock_time (bed->clock) < began + 60 * SECOND)
      sim_clock_run (bed->clock, SECOND / 10);
    worst = MAX (worst, sim_clock_time (bed->clock) - began);
  }
  g_test_message ("back after %.1f s at most", (double) worst / SECOND);
  g_assert_cmpint (worst, <, 2 * SECOND);
}

/* Where many come back at once the second link may take long, and be refused again and again: the node lives all the same. */
static void
test_no_beat_link (void)
{
  g_autoptr (Bed) bed = bed_new (18);
  Manager *leader = leader_of (bed);

  leader->refuses_beat_links = TRUE;
  sim_clock_run (bed->clock, 20 * SECOND);
  g_assert_cmpuint (leader->beats, >=, 17);
  g_assert_cmpuint (leader->registrations, ==, 1);
}

/* What its clock shows is told only while answers come quickly: the leader takes the way there for nothing. */
static void
test_clock_is_told (void)
{
  g_autoptr (Bed) bed = bed_new (18);
  Manager *leader = leader_of (bed);

  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpuint (leader->beats, >=, 9);
  g_assert_cmpuint (leader->timed_beats, ==, leader->beats);
  leader->beat_delay = 900 * 1000;
  sim_clock_run (bed->clock, 3 * SECOND);
  leader->beats = leader->timed_beats = 0;
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpuint (leader->beats, >=, 5);
  g_assert_cmpuint (leader->timed_beats, ==, 0);
  leader->beat_delay = 0;
  sim_clock_run (bed->clock, 3 * SECOND);
  leader->beats = leader->timed_beats = 0;
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpuint (leader->beats, >=, 9);
  g_assert_cmpuint (leader->timed_beats, ==, leader->beats);
}

static void
goodbye_done (gpointer data)
{
  ((Bed *) data)->goodbyes_done++;
}

static void
test_goodbye_and_drain (void)
{
  g_autoptr (Bed) bed = bed_new (13);
  SwarmWorkerStatus status;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_goodbye (bed->worker, FALSE, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->goodbyes_done, ==, 1);
  g_assert_cmpuint (leader_of (bed)->goodbyes, ==, 1);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  sim_clock_run (bed->clock, 20 * SECOND);
  g_assert_cmpuint (leader_of (bed)->registrations, ==, 1);
  agent_kill (bed);
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_drain (bed->worker, 30 * SECOND, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->goodbyes_done, ==, 2);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING); /* the leader hears nothing of it before the goodbye */
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_REGISTERED);
  swarm_worker_goodbye (bed->worker, TRUE, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->goodbyes_done, ==, 3);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_NONE);
}

/* Killed in the middle of a leave: what was stopped is not started again. */
static void
test_killed_while_leaving (void)
{
  g_autoptr (Bed) bed = bed_new (17);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_drain (bed->worker, 30 * SECOND, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  agent_kill (bed);
  agent_start (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  g_assert_cmpint (status_of (bed, &id)->state, >, SWARM_TASK_RUNNING);
}

static void
test_many (void)
{
  g_autoptr (Bed) bed = bed_new (14);
  SwarmWorkerStatus status;
  SwarmId id;

  for (guint i = 0; i < 300; i++)
    id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  sim_clock_run (bed->clock, 10 * SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.running, ==, 300);
  g_hash_table_remove_all (bed->tasks);
  send_full (leader_of (bed));
  sim_clock_run (bed->clock, 10 * SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpuint (count_of (&id).others, ==, 0);
}

/* One turn of trouble. */
static void
trouble (Bed *bed, SwarmId *ids, guint n)
{
  Manager *leader = leader_of (bed);
  SwarmId *id = &ids[swarm_random_below (&bed->random.iface, n)];

  switch (swarm_random_below (&bed->random.iface, 8)) {
  case 0:
    agent_kill (bed);
    sim_clock_run (bed->clock, sim_random_range (&bed->random, 0, 3 * SECOND));
    agent_start (bed);
    break;
  case 1:
    host_reboot (bed);
    break;
  case 2:
    sim_net_reset (bed->net, bed->host, leader->host);
    break;
  case 3:
    leader->refuses_status = !leader->refuses_status;
    break;
  case 4:
    leader->forgets_session = TRUE;
    break;
  case 5:
    runtime_sim_kill (swarm_id_string (id).str, 9);
    break;
  case 6:
    leader->leads = FALSE;
    leader = leader == &bed->managers[0] ? &bed->managers[1] : &bed->managers[0];
    leader->leads = TRUE;
    break;
  default:
    want (bed, id, SWARM_TASK_SHUTDOWN);
  }
}

/* Whatever happens, nothing starts twice (count_one), states only go up (commit_status), and in the end both sides agree. */
static void
test_troubles (void)
{
  for (guint64 seed = 1; seed <= 60; seed++) {
    g_autoptr (Bed) bed = bed_new (seed * 1000);
    SwarmId ids[12];

    swarm_log_set_level (LOG_CRIT);
    for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
      ids[i] = add_task (bed, SWARM_TASK_RUNNING, i % 3 == 0 ? "sim.exit-after-ms=4000" : "x=y", NULL);
    for (guint i = 0; i < 20; i++) {
      sim_clock_run (bed->clock, sim_random_range (&bed->random, 0, 2 * SECOND));
      trouble (bed, ids, G_N_ELEMENTS (ids));
    }
    leader_of (bed)->refuses_status = FALSE;
    sim_clock_run (bed->clock, 60 * SECOND);
    for (guint i = 0; i < G_N_ELEMENTS (ids); i++) {
      const SwarmTask *task = g_hash_table_lookup (bed->tasks, &ids[i]);
      Count count = count_of (&ids[i]);
      g_assert_cmpuint (count.running, ==, task->status->state == SWARM_TASK_RUNNING);
      g_assert_true (task->status->state >= SWARM_TASK_RUNNING);
      if (task->desired_state == SWARM_TASK_SHUTDOWN)
        g_assert_cmpint (task->status->state, >, SWARM_TASK_RUNNING);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker/runs", test_runs);
  g_test_add_func ("/worker/gate", test_gate);
  g_test_add_func ("/worker/exits", test_exits);
  g_test_add_func ("/worker/agent-restart", test_agent_restart);
  g_test_add_func ("/worker/reboot", test_reboot);
  g_test_add_func ("/worker/lost-records", test_lost_records);
  g_test_add_func ("/worker/disk-fails", test_disk_fails);
  g_test_add_func ("/worker/full-is-truth", test_full_is_truth);
  g_test_add_func ("/worker/bad-calls", test_bad_calls);
  g_test_add_func ("/worker/status-is-retried", test_status_is_retried);
  g_test_add_func ("/worker/status-is-refused", test_status_is_refused);
  g_test_add_func ("/worker/most-tasks", test_most_tasks);
  g_test_add_func ("/worker/leaders", test_leaders);
  g_test_add_func ("/worker/describes", test_describes);
  g_test_add_func ("/worker/backs-off", test_backs_off);
  g_test_add_func ("/worker/clock-is-told", test_clock_is_told);
  g_test_add_func ("/worker/no-beat-link", test_no_beat_link);
  g_test_add_func ("/worker/one-of-many-managers", test_one_of_many_managers);
  g_test_add_func ("/worker/back-after-a-cut", test_back_after_a_cut);
  g_test_add_func ("/worker/goodbye-and-drain", test_goodbye_and_drain);
  g_test_add_func ("/worker/killed-while-leaving", test_killed_while_leaving);
  g_test_add_func ("/worker/many", test_many);
  g_test_add_func ("/worker/troubles", test_troubles);
  return g_test_run ();
}
