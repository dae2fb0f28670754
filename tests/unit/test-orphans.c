// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks of nodes that are away (SWARM_BEHAVIOUR §2, quirk 16.6): moved at once when a node is down, given up after a day, not moved while
 * nothing is known. */
#include "base/error.h"
#include "brain-fixture.h"

#define HOUR (3600 * SECOND)

/* The node that @service's task runs on goes silent: its containers run on. */
static Tame *
lose_node (Brain *brain, const SwarmId *service)
{
  Tame *node = node_of_task (brain, newest_task (brain, service, 1));
  node->stubborn = TRUE;
  node->mute = TRUE;
  tame_disconnect (node);
  return node;
}

static void
find_node (Brain *brain, Tame *node)
{
  node->mute = FALSE;
  node->stubborn = FALSE;
  tame_connect (node);
  brain_run (brain, 2 * SECOND);
}

static SwarmTaskState
state_of (Brain *brain, const SwarmId *task)
{
  return ((SwarmTask *) swarm_store_get (brain->store, SWARM_KIND_TASK, task))->status->state;
}

/* Replaced at once; still shown as running, for nobody can tell; orphaned after 24 hours and not before. */
static void
test_a_day (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  lose_node (brain, &web);
  brain_run (brain, 120 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_RUNNING);
  brain_run (brain, 24 * HOUR - 180 * SECOND);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_RUNNING);
  brain_run (brain, 180 * SECOND);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &old);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_ORPHANED);
  g_assert_cmpint (task->desired_state, ==, SWARM_TASK_SHUTDOWN);
}

/* Back within the day: what was replaced is shut down, the replacement stays where it is. */
static void
test_returns (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  Tame *lost = lose_node (brain, &web);
  brain_run (brain, 23 * HOUR);
  SwarmId replacement = newest_task (brain, &web, 1)->object.id;
  find_node (brain, lost);
  g_assert_cmpint (tame_node (lost)->status->state, ==, SWARM_NODE_READY);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_SHUTDOWN);
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &replacement));
  brain_run (brain, 3 * HOUR); /* its day is over, and was forgotten */
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  g_assert_cmpuint (tame_n_tasks (lost, SWARM_TASK_RUNNING), ==, 0);
}

/* Back after the day: the given-up task is not wanted there any more, and stays orphaned. */
static void
test_returns_late (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  Tame *lost = lose_node (brain, &web);
  brain_run (brain, 25 * HOUR);
  find_node (brain, lost);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_ORPHANED);
  g_assert_null (g_hash_table_lookup (lost->tasks, &old));
  tame_report (lost, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_ORPHANED);
}

/* The day begins anew with a new leader, as in swarm. */
static void
test_new_leader (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  Tame *nodes[2] = { brain_tame (brain, 0), brain_tame (brain, 1) };
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  Tame *lost = lose_node (brain, &web);
  brain_run (brain, 20 * HOUR);
  brain_restart (brain);
  tame_connect (nodes[0] == lost ? nodes[1] : nodes[0]);
  brain_run (brain, 20 * HOUR);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_RUNNING);
  brain_run (brain, 5 * HOUR);
  g_assert_cmpint (state_of (brain, &old), ==, SWARM_TASK_ORPHANED);
}

/* Unknown after a leader change, and disconnected: nothing is moved; only when the time to speak is over. */
static void
test_unknown (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  Tame *nodes[2] = { brain_tame (brain, 0), brain_tame (brain, 1) };
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  Tame *node = node_of_task (brain, newest_task (brain, &web, 1));
  node->stubborn = TRUE;
  tame_disconnect (node);
  brain_run (brain, 500 * MS);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DISCONNECTED);
  g_assert_cmpstr (tame_node (node)->status->text, ==, "node is currently trying to find new manager");
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &old));
  brain_restart (brain);
  tame_connect (nodes[0] == node ? nodes[1] : nodes[0]);
  brain_run (brain, SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_UNKNOWN);
  g_assert_cmpstr (tame_node (node)->status->text, ==, "Node moved to \"unknown\" state due to leadership change in cluster");
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &old));
  brain_run (brain, 60 * SECOND);
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_DOWN);
  g_assert_false (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &old));
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

/* rm: its unfinished tasks are orphaned in swarm's words, and replaced. */
static void
test_removed (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  g_autoptr (GError) error = NULL;
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  Tame *node = node_of_task (brain, newest_task (brain, &web, 1));
  g_assert_false (brain_remove_node (brain, node, FALSE, &error));
  g_autofree char *id = swarm_id_dup_string (&node->id);
  g_autofree char *text = g_strdup_printf ("node %s is not down and can't be removed", id);
  g_assert_cmpstr (error->message, ==, text);
  g_assert_true (brain_remove_node (brain, node, TRUE, NULL));
  brain_run (brain, SECOND);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &old);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_ORPHANED);
  g_assert_cmpstr (task->status->text, ==, "Task belonged to a node that has been deleted");
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/orphans/a-day", test_a_day);
  g_test_add_func ("/orphans/returns", test_returns);
  g_test_add_func ("/orphans/returns-late", test_returns_late);
  g_test_add_func ("/orphans/new-leader", test_new_leader);
  g_test_add_func ("/orphans/unknown", test_unknown);
  g_test_add_func ("/orphans/removed", test_removed);
  return g_test_run ();
}
