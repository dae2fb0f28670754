// SPDX-License-Identifier: LGPL-2.1-or-later
/* What nodes say, and what the store has of it: since when one is silent, the details of a task's state, and reports that meet others. */
#include "base/error.h"
#include "brain-fixture.h"

/* ---- nodes ---- */

static void
test_silent_since (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *host = brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_cmpint (tame_node (node)->status->silent_since, ==, 0);
  node->mute = TRUE;
  brain_run (brain, 10 * SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  gint64 since = tame_node (node)->status->silent_since;
  g_assert_cmpint (since, >, swarm_clock_now (brain->clock) - 10 * SECOND);
  g_assert_cmpint (since, <, swarm_clock_now (brain->clock) - 5 * SECOND);
  brain_restart (brain);
  tame_connect (host);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  g_assert_cmpint (tame_node (node)->status->silent_since, ==, since);
  node->mute = FALSE;
  tame_connect (node);
  brain_run (brain, SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_READY);
  g_assert_cmpint (tame_node (node)->status->silent_since, ==, 0);
  /* A host that was shut down is not silent: it said so. */
  tame_goodbye (host, TRUE);
  brain_run (brain, SECOND);
  g_assert_cmpint (tame_node (host)->status->state, ==, SWARM_NODE_DOWN);
  g_assert_cmpint (tame_node (host)->status->silent_since, ==, 0);
}

/* A host that goes down and tries too often before it is gone has still said that it goes. */
static void
test_shutdown_stays (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  for (guint i = 0; i < 2; i++) {
    tame_connect (node);
    brain_run (brain, 20 * MS);
  }
  tame_goodbye (node, TRUE);
  brain_run (brain, 20 * MS);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  g_autofree char *text = g_strdup (tame_node (node)->status->text);
  tame_connect (node);
  brain_run (brain, 20 * MS);
  g_assert_nonnull (node->register_error);
  brain_run (brain, 20 * SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  g_assert_cmpstr (tame_node (node)->status->text, ==, text);
  g_assert_cmpint (tame_node (node)->status->silent_since, ==, 0);
}

/* ---- tasks ---- */

typedef struct {
  guint done;
  GError *error;
} Answer;

static void
answered (GVariant *refused, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer->done++;
  g_clear_error (&answer->error);
  answer->error = error != NULL ? g_error_copy (error) : NULL;
  g_assert_true (refused == NULL || g_variant_n_children (refused) == 0);
}

static void
say (Brain *brain, Tame *node, const SwarmId *task, const SwarmTaskStatus *status, Answer *answer)
{
  GVariantBuilder updates;
  g_autoptr (GBytes) data = swarm_message_encode (status);
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  g_variant_builder_add (&updates, "(@ay@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, task->bytes, sizeof task->bytes, 1),
                         g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE));
  g_autoptr (GVariant) list = g_variant_ref_sink (g_variant_builder_end (&updates));
  swarm_dispatcher_update_status (swarm_manager_dispatcher (brain->manager), &node->far->peer, node->session, list, answered, answer);
}

static SwarmTaskStatus *
status_of (SwarmTaskState state, const char *text, gint64 timestamp)
{
  SwarmTaskStatus *status = swarm_task_status_new ();
  status->state = state;
  status->text = g_strdup (text);
  status->timestamp = timestamp;
  return status;
}

static Brain *
lazy_brain (SwarmId *ret_web, SwarmId *ret_task)
{
  Brain *brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  node->lazy = TRUE;
  *ret_web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  *ret_task = newest_task (brain, ret_web, 1)->object.id;
  return brain;
}

/* What a later report does not say stays: which container it is, when it began. */
static void
test_details (void)
{
  SwarmId web, id;
  g_autoptr (Brain) brain = lazy_brain (&web, &id);
  Tame *node = brain_tame (brain, 0);
  gint64 now = swarm_clock_now (brain->clock);
  Answer answer = { 0 };
  g_autoptr (SwarmTaskStatus) starting = status_of (SWARM_TASK_STARTING, "starting", now - 5), running = status_of (SWARM_TASK_RUNNING, "started", now - 3);
  g_autoptr (SwarmTaskStatus) over = status_of (SWARM_TASK_FAILED, "failed", now - 1);
  starting->container = swarm_container_status_new ();
  starting->container->pid = 4711;
  say (brain, node, &id, starting, &answer);
  brain_run (brain, 20 * MS);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &id);
  g_assert_cmpint (task->status->timestamp, ==, now - 5);
  g_assert_cmpstr (task->status->text, ==, "starting");
  g_assert_cmpint (task->status->container->pid, ==, 4711);
  say (brain, node, &id, running, &answer);
  brain_run (brain, 20 * MS);
  task = swarm_store_get (brain->store, SWARM_KIND_TASK, &id);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpint (task->status->started_at, ==, now - 3);
  g_assert_cmpint (task->status->container->pid, ==, 4711);
  g_assert_false (task->status->has_exit);
  over->has_exit = TRUE;
  over->container = swarm_container_status_new ();
  over->container->exit_code = 3;
  say (brain, node, &id, over, &answer);
  brain_run (brain, 20 * MS);
  task = swarm_store_get (brain->store, SWARM_KIND_TASK, &id);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpint (task->status->started_at, ==, now - 3);
  g_assert_true (task->status->has_exit);
  g_assert_cmpint (task->status->container->exit_code, ==, 3);
  g_assert_cmpuint (answer.done, ==, 3);
}

/* While nothing can be written the newest word counts, whatever came first, and everybody who spoke gets an answer. */
static void
test_reports_meet (void)
{
  SwarmId web, id;
  g_autoptr (Brain) brain = lazy_brain (&web, &id);
  Tame *node = brain_tame (brain, 0);
  gint64 now = swarm_clock_now (brain->clock);
  Answer first = { 0 }, second = { 0 }, third = { 0 };
  g_autoptr (SwarmTaskStatus) running = status_of (SWARM_TASK_RUNNING, "started", now), over = status_of (SWARM_TASK_FAILED, "failed", now);
  g_autoptr (SwarmTaskStatus) starting = status_of (SWARM_TASK_STARTING, "starting", now);
  sim_log_break (brain->log, TRUE);
  say (brain, node, &id, running, &first);
  brain_run (brain, 500); /* on its way when the next one comes */
  say (brain, node, &id, over, &second);
  brain_run (brain, 200 * MS);
  say (brain, node, &id, starting, &third);
  brain_run (brain, 200 * MS);
  g_assert_cmpuint (first.done + second.done + third.done, ==, 0);
  g_assert_cmpint (((SwarmTask *) swarm_store_get (brain->store, SWARM_KIND_TASK, &id))->status->state, ==, SWARM_TASK_ASSIGNED);
  sim_log_break (brain->log, FALSE);
  brain_run (brain, SECOND);
  g_assert_cmpuint (first.done, ==, 1);
  g_assert_cmpuint (second.done, ==, 1);
  g_assert_cmpuint (third.done, ==, 1);
  g_assert_no_error (first.error);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &id);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (task->status->text, ==, "failed");
}

/* Whoever waits when the manager leads no more hears of it. */
static void
test_leader_ends (void)
{
  SwarmId web, id;
  g_autoptr (Brain) brain = lazy_brain (&web, &id);
  Answer answer = { 0 };
  g_autoptr (SwarmTaskStatus) running = status_of (SWARM_TASK_RUNNING, "started", 0);
  sim_log_break (brain->log, TRUE);
  say (brain, brain_tame (brain, 0), &id, running, &answer);
  brain_run (brain, 100 * MS);
  swarm_manager_lead (brain->manager, FALSE);
  brain_run (brain, 100 * MS);
  g_assert_cmpuint (answer.done, ==, 1);
  g_assert_nonnull (answer.error);
  g_clear_error (&answer.error);
  sim_log_break (brain->log, FALSE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dispatcher-reports/silent-since", test_silent_since);
  g_test_add_func ("/dispatcher-reports/shutdown-stays", test_shutdown_stays);
  g_test_add_func ("/dispatcher-reports/details", test_details);
  g_test_add_func ("/dispatcher-reports/reports-meet", test_reports_meet);
  g_test_add_func ("/dispatcher-reports/leader-ends", test_leader_ends);
  return g_test_run ();
}
