// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sessions, heartbeats, assignments, status: a node's ways to come, go and lie. */
#include "base/error.h"
#include "brain-fixture.h"

static SwarmNodeState
state_of (Tame *node)
{
  return tame_node (node)->status->state;
}

static void
test_register (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_assert_cmpstr (tame_node (node)->description->hostname, ==, "n1");
  g_assert_cmpstr (tame_node (node)->status->addr, ==, "10.0.0.7");
  g_assert_cmpuint (node->fulls, ==, 1);
  g_assert_cmpuint (node->node_changes, ==, 1);
  g_assert_cmpuint (swarm_dispatcher_n_sessions (swarm_manager_dispatcher (brain->manager)), ==, 1);
  g_assert_true (swarm_dispatcher_link (swarm_manager_dispatcher (brain->manager), &node->id) == node->far);
  /* It lives on with heartbeats alone. */
  brain_run (brain, 60 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpuint (node->assigns, ==, 1);
}

static void
test_rate_limit (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_offline_node (brain, "n1");
  for (guint i = 0; i < 3; i++) {
    tame_connect (node);
    brain_run (brain, 100 * MS);
    g_assert_no_error (node->register_error);
  }
  tame_connect (node);
  brain_run (brain, 100 * MS);
  g_assert_error (node->register_error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  brain_run (brain, 8 * SECOND);
  tame_connect (node);
  brain_run (brain, 100 * MS);
  g_assert_no_error (node->register_error);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
}

static void
test_heartbeat_failure (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 4, &web);
  Tame *node = brain_tame (brain, 0);
  Tame *other = brain_tame (brain, 1);
  node->mute = TRUE;
  brain_run (brain, 4200 * MS);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_DOWN);
  g_assert_cmpstr (tame_node (node)->status->text, ==, "heartbeat failure");
  g_assert_true (node->disconnected);
  /* Replaced at once elsewhere; the lost ones still show as they were last seen. */
  g_assert_cmpuint (tame_n_tasks (other, SWARM_TASK_RUNNING), ==, 4);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_RUNNING, SWARM_TASK_SHUTDOWN), ==, 6);
  /* It returns: it is told to stop what was replaced, nothing moves back. */
  node->mute = FALSE;
  tame_connect (node);
  brain_run (brain, SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpuint (tame_n_tasks (node, SWARM_TASK_RUNNING), ==, 0);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_SHUTDOWN, SWARM_TASK_SHUTDOWN), ==, 2);
  g_assert_cmpuint (tame_n_tasks (other, SWARM_TASK_RUNNING), ==, 4);
}

/* What a node's clock showed counts when the beat after it tells, by telling it again, that the answer came quickly. */
static void
test_clock (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  brain_run (brain, SECOND);
  node->tells_clock = TRUE;
  brain_run (brain, 10 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  node->clock_offset = -1500 * MS;
  node->slow_beats = TRUE;
  brain_run (brain, 20 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
  node->slow_beats = FALSE;
  brain_run (brain, 5 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, <, -1400 * MS * 1000);
  g_assert_cmpint (tame_node (node)->clock_offset, >, -1600 * MS * 1000);
  /* Nor is it right again before that is known. */
  node->clock_offset = 0;
  node->slow_beats = TRUE;
  brain_run (brain, 20 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, !=, 0);
  node->slow_beats = FALSE;
  brain_run (brain, 5 * SECOND);
  g_assert_cmpint (tame_node (node)->clock_offset, ==, 0);
}

/* A manager that stood still does not take its own absence for the nodes'. */
static void
test_manager_stood_still (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *dead = brain_node (brain, "n2");
  brain_run (brain, SECOND);
  sim_clock_freeze (brain->manager_clock, sim_clock_time (brain->sim) + 10 * SECOND);
  node->mute = dead->mute = TRUE;
  brain_run (brain, 10 * SECOND + 10 * MS);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  tame_speak (node); /* what waited in the socket */
  brain_run (brain, 5 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpint (state_of (dead), ==, SWARM_NODE_DOWN);
}

/* A broken connection comes from a living kernel: nothing moves as long as the node is back in time. */
static void
test_disconnected (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 2, &web);
  Tame *node = brain_tame (brain, 0);
  guint before = swarm_store_count (brain->store, SWARM_KIND_TASK);
  tame_disconnect (node);
  brain_run (brain, SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_DISCONNECTED);
  g_assert_cmpstr (tame_node (node)->status->text, ==, "node is currently trying to find new manager");
  tame_connect (node);
  brain_run (brain, SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, before);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  tame_disconnect (node);
  brain_run (brain, 4 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_DOWN);
}

static void
test_goodbye (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 2, &web);
  Tame *node = brain_tame (brain, 0);
  Tame *other = brain_tame (brain, 1);
  /* The agent stops: its tasks run on, it has a minute to return. */
  tame_goodbye (node, FALSE);
  brain_run (brain, 55 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_DISCONNECTED);
  g_assert_cmpuint (tame_n_tasks (other, SWARM_TASK_RUNNING), ==, 1);
  tame_connect (node);
  brain_run (brain, 20 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  tame_goodbye (node, FALSE);
  brain_run (brain, 61 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_DOWN);
  g_assert_cmpuint (tame_n_tasks (other, SWARM_TASK_RUNNING), ==, 2);
  /* The host shuts down: no grace. */
  tame_connect (node);
  brain_run (brain, SECOND);
  tame_goodbye (other, TRUE);
  brain_run (brain, 100 * MS);
  g_assert_cmpint (state_of (other), ==, SWARM_NODE_DOWN);
  g_assert_cmpuint (tame_n_tasks (node, SWARM_TASK_RUNNING), ==, 2);
}

/* A new leader takes no word of the old one for granted, and loses no running task. */
static void
test_new_leader (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *gone = brain_node (brain, "n2"), *stopped = brain_node (brain, "n3");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 3);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  tame_goodbye (stopped, FALSE);
  brain_restart (brain);
  brain_run (brain, 100 * MS);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_UNKNOWN);
  g_assert_cmpstr (tame_node (node)->status->text, ==, "Node moved to \"unknown\" state due to leadership change in cluster");
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  tame_connect (node);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpint (state_of (node), ==, SWARM_NODE_READY);
  g_assert_cmpint (state_of (gone), ==, SWARM_NODE_UNKNOWN);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 3);
  brain_run (brain, 2 * SECOND);
  g_assert_cmpint (state_of (gone), ==, SWARM_NODE_DOWN);
  g_assert_cmpstr (tame_node (gone)->status->text, ==, "heartbeat failure for node in \"unknown\" state");
  g_assert_cmpint (state_of (stopped), ==, SWARM_NODE_DISCONNECTED);
  g_assert_cmpuint (tame_n_tasks (node, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
}

/* More nodes than a new leader can take in at once: while they come one after the other nobody is given up, but not for ever. */
static void
test_return_of_many (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *nodes[10];
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    nodes[i] = brain_node (brain, name);
  }
  Tame *gone = brain_node (brain, "gone");
  brain_run (brain, SECOND);
  brain_restart (brain);
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++) {
    brain_run (brain, 1500 * MS);
    g_assert_cmpint (state_of (nodes[i]), ==, SWARM_NODE_UNKNOWN);
    tame_connect (nodes[i]);
  }
  brain_run (brain, SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++)
    g_assert_cmpint (state_of (nodes[i]), ==, SWARM_NODE_READY);
  g_assert_cmpint (state_of (gone), ==, SWARM_NODE_UNKNOWN);
  brain_run (brain, 4 * SECOND);
  g_assert_cmpint (state_of (gone), ==, SWARM_NODE_DOWN);
  /* Registering again and again is no return. */
  brain_restart (brain);
  for (guint i = 0; i < 5; i++) {
    tame_connect (nodes[0]);
    brain_run (brain, 1700 * MS);
    tame_disconnect (nodes[0]);
  }
  g_assert_cmpint (state_of (nodes[1]), ==, SWARM_NODE_DOWN);
}

static void
test_not_leading (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmMember leader = { .node = { { 9 } }, .addr = "10.0.0.9:2377", .voter = TRUE, .leader = TRUE };
  g_array_append_val (brain->members, leader);
  swarm_manager_lead (brain->manager, FALSE);
  brain_run (brain, 100 * MS);
  g_assert_true (node->disconnected);
  tame_connect (node);
  brain_run (brain, 100 * MS);
  g_assert_no_error (node->register_error);
  g_assert_cmpuint (g_bytes_get_size (node->session), ==, 0);
}

/* ---- assignments ---- */

static void
test_big_set (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 350);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 350);
  /* A full set of 350 comes in parts and is one set; tasks that go meanwhile go. */
  tame_connect (node);
  g_assert_true (brain_scale (brain, &web, 340, NULL));
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (node->parts, >=, 3);
  g_assert_cmpuint (node->fulls, ==, 2);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 340);
  /* A change that it does not take: the set comes anew, in parts, from the first on. */
  node->refuses = TRUE;
  g_assert_true (brain_scale (brain, &web, 330, NULL));
  brain_run (brain, 100 * MS);
  node->refuses = FALSE;
  brain_run (brain, 3 * SECOND);
  g_assert_cmpuint (node->fulls, ==, 3);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 330);
}

/* The node counts what it took of a set that it refused half-way for the next one, too: what went in between goes in the end. */
static void
test_refused_half_way (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 350);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 3 * SECOND);
  guint parts = node->parts;
  tame_connect (node);
  while (node->parts == parts)
    sim_clock_step (brain->sim);
  node->refuses = TRUE;
  g_assert_true (brain_scale (brain, &web, 0, NULL));
  brain_run (brain, 100 * MS);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (brain->store, &node->id);
  for (guint i = 0; i < tasks->len; i++)
    tame_report (node, &((SwarmTask *) tasks->pdata[i])->object.id, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, 300 * MS);
  node->refuses = FALSE;
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 0);
}

static void
test_refused_assign (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  node->refuses = TRUE;
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 120 * SECOND);
  g_assert_cmpuint (node->assigns, <, 15); /* tried again, but not in a loop */
  g_assert_cmpuint (node->assigns, >, 5);
  node->refuses = FALSE;
  brain_run (brain, 31 * SECOND);
  g_assert_cmpuint (node->fulls, ==, 2);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
}

/* What is over leaves the set; what the node itself reported is not told back. */
static void
test_deltas (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  spec->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (node->assigns, ==, 2);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 1);
  tame_report (node, &newest_task (brain, &web, 1)->object.id, SWARM_TASK_COMPLETE, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpuint (node->assigns, ==, 3);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 0);
  tame_connect (node);
  brain_run (brain, SECOND);
  g_assert_cmpuint (g_hash_table_size (node->tasks), ==, 0);
}

/* ---- status ---- */

typedef struct {
  gboolean done;
  GError *error;
  GVariant *refused;
} Answer;

static void
answered (GVariant *refused, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer->done = TRUE;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
  answer->refused = refused != NULL ? g_variant_ref (refused) : NULL;
}

static void
say (GVariantBuilder *updates, const SwarmId *task, gsize id_len, SwarmTaskState state, gsize text_len, gint64 timestamp)
{
  g_autoptr (SwarmTaskStatus) status = swarm_task_status_new ();
  status->state = state;
  status->err = text_len > 0 ? g_strnfill (text_len, 'x') : NULL;
  status->timestamp = timestamp;
  g_autoptr (GBytes) data = swarm_message_encode (status);
  g_variant_builder_add (updates, "(@ay@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, task->bytes, id_len, 1),
                         g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE));
}

/* NULL: the whole call was refused, with @ret_error. */
static GVariant *
report_all (Brain *brain, Tame *node, GVariantBuilder *updates, GBytes *session, GError **ret_error)
{
  Answer answer = { 0 };
  g_autoptr (GVariant) list = g_variant_ref_sink (g_variant_builder_end (updates));
  swarm_dispatcher_update_status (swarm_manager_dispatcher (brain->manager), &node->far->peer, session, list, answered, &answer);
  brain_run (brain, SECOND);
  g_assert_true (answer.done);
  if (answer.error != NULL)
    g_propagate_error (ret_error, answer.error);
  return answer.refused;
}

/* Why the report was refused; NULL: it was not. */
static char *
report (Brain *brain, Tame *node, const SwarmId *task, gsize id_len, SwarmTaskState state)
{
  GVariantBuilder updates;
  g_autoptr (GError) error = NULL;
  char *why = NULL;
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  say (&updates, task, id_len, state, 0, 0);
  g_autoptr (GVariant) refused = report_all (brain, node, &updates, node->session, &error);
  g_assert_no_error (error);
  if (g_variant_n_children (refused) > 0)
    g_variant_get_child (refused, 0, "(@ays)", NULL, &why);
  return why;
}

static void
test_foreign_status (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 1, &web);
  Tame *owner = brain_tame (brain, 0);
  Tame *liar = brain_tame (brain, 1);
  const SwarmTask *task = newest_task (brain, &web, 1);
  if (node_of_task (brain, task) == liar) {
    liar = owner;
    owner = node_of_task (brain, task);
  }
  SwarmId id = task->object.id;
  g_autofree char *foreign = report (brain, liar, &id, 16, SWARM_TASK_FAILED);
  g_assert_true (g_str_has_suffix (foreign, " does not belong to this node"));
  g_autofree char *half = report (brain, owner, &id, 7, SWARM_TASK_FAILED);
  g_assert_cmpstr (half, ==, "a task id has 7 bytes");
  g_autofree char *odd = report (brain, owner, &id, 16, SWARM_TASK_ORPHANED);
  g_assert_cmpstr (odd, ==, "a node may not report the state 832");
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  /* Going back, or speaking of what is gone, is no error and no change. */
  g_assert_null (report (brain, owner, &id, 16, SWARM_TASK_STARTING));
  SwarmId nobody = { { 1, 2, 3 } };
  g_assert_null (report (brain, owner, &nobody, 16, SWARM_TASK_FAILED));
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  /* With another's session nothing is listened to. */
  GVariantBuilder updates;
  g_autoptr (GError) stolen = NULL;
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  say (&updates, &id, 16, SWARM_TASK_FAILED, 0, 0);
  g_assert_null (report_all (brain, liar, &updates, owner->session, &stolen));
  g_assert_error (stolen, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
}

/* What is over is over: a second word about its end changes nothing. */
static void
test_final_status (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 1, &web);
  Tame *node = brain_tame (brain, 0);
  SwarmId id = newest_task (brain, &web, 1)->object.id;
  tame_report (node, &id, SWARM_TASK_FAILED, "first");
  brain_run (brain, 100 * MS);
  tame_report (node, &id, SWARM_TASK_FAILED, "second");
  brain_run (brain, 100 * MS);
  tame_report (node, &id, SWARM_TASK_REJECTED, "third");
  brain_run (brain, 100 * MS);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &id);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (task->status->err, ==, "first");
}

/* A task of a node is not the node's before it is assigned. */
static void
test_early_status (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 0);
  SwarmId web = brain_create (brain, spec);
  g_autoptr (SwarmTask) task = swarm_task_new ();
  task->service_id = web;
  task->slot = 7;
  task->node_id = node->id;
  task->spec = swarm_task_spec_ref (spec->task);
  task->status = swarm_task_status_new ();
  task->desired_state = SWARM_TASK_RUNNING;
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_tx_create (tx, task);
  SwarmId id = task->object.id;
  swarm_tx_commit (tx, NULL, NULL, NULL);
  while (swarm_store_get (brain->store, SWARM_KIND_TASK, &id) == NULL)
    brain_run (brain, 100);
  GVariantBuilder updates;
  Answer answer = { 0 };
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  say (&updates, &id, 16, SWARM_TASK_FAILED, 0, 0);
  g_autoptr (GVariant) list = g_variant_ref_sink (g_variant_builder_end (&updates));
  swarm_dispatcher_update_status (swarm_manager_dispatcher (brain->manager), &node->far->peer, node->session, list, answered, &answer);
  g_assert_true (answer.done);
  g_assert_cmpuint (g_variant_n_children (answer.refused), ==, 1);
  g_variant_unref (answer.refused);
}

/* One bad report, whatever is wrong with it, holds up no other; one that fits into no transaction would hold up those of all nodes. */
static void
test_bad_among_good_status (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 5, &web);
  Tame *node = brain_tame (brain, 0);
  GVariantBuilder updates;
  g_autoptr (GError) error = NULL, many = NULL;
  SwarmId id[5];
  for (guint i = 0; i < 5; i++)
    id[i] = newest_task (brain, &web, i + 1)->object.id;
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  say (&updates, &id[0], 16, SWARM_TASK_FAILED, 1600 * 1024, 0);
  say (&updates, &id[1], 16, SWARM_TASK_FAILED, 12 * 1024, 0);
  say (&updates, &id[2], 16, SWARM_TASK_ORPHANED, 0, 0);
  say (&updates, &id[3], 16, SWARM_TASK_FAILED, 0, G_MAXINT64);
  g_variant_builder_add (&updates, "(@ay@ay)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, id[3].bytes, 16, 1),
                         g_variant_new_bytestring ("\xff\xff\xff"));
  say (&updates, &id[4], 16, SWARM_TASK_FAILED, 0, 0);
  g_autoptr (GVariant) refused = report_all (brain, node, &updates, node->session, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (refused), ==, 3);
  const SwarmTask *timeless = swarm_store_get (brain->store, SWARM_KIND_TASK, &id[3]);
  g_assert_cmpint (ABS (timeless->status->timestamp - swarm_clock_now (brain->clock)), <, 10 * SECOND);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpint (((SwarmTask *) swarm_store_get (brain->store, SWARM_KIND_TASK, &id[i]))->status->state, ==,
                     i == 1 || i >= 3 ? SWARM_TASK_FAILED : SWARM_TASK_RUNNING);
  g_variant_builder_init (&updates, G_VARIANT_TYPE ("a(ayay)"));
  for (guint i = 0; i < 2001; i++)
    say (&updates, &id[0], 16, SWARM_TASK_RUNNING, 0, 0);
  g_assert_null (report_all (brain, node, &updates, node->session, &many));
  g_assert_error (many, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static void
registration_refused (const SwarmRegistration *registration, const GError *error, gpointer data)
{
  g_assert_null (registration);
  *(GError **) data = g_error_copy (error);
}

static GError *
register_with (Brain *brain, Tame *node, const SwarmNodeDescription *description)
{
  GError *error = NULL;
  swarm_dispatcher_register (swarm_manager_dispatcher (brain->manager), node->far, description, "", registration_refused, &error);
  brain_run (brain, SECOND);
  return error;
}

/* What a node tells of itself is kept for every leader to read: it must be of the model's form, and small. */
static void
test_bad_description (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  g_autoptr (SwarmNodeDescription) nameless = swarm_node_description_new (), huge = swarm_node_description_new ();
  SwarmGenericResource *resource = swarm_generic_resource_new ();
  resource->named = swarm_named_resource_new ();
  nameless->resources = swarm_resources_new ();
  nameless->resources->generic = swarm_messages_new ();
  g_ptr_array_add (nameless->resources->generic, resource);
  g_autoptr (GError) first = register_with (brain, node, nameless);
  g_assert_error (first, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  huge->hostname = g_strnfill (1600 * 1024, 'x');
  g_autoptr (GError) second = register_with (brain, node, huge);
  g_assert_error (second, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (tame_node (node)->description->hostname, ==, "n1");
  g_assert_cmpint (tame_node (node)->status->state, ==, SWARM_NODE_READY);
}

/* Without a quorum nothing is acknowledged; what was said then is not lost afterwards. */
static void
test_no_quorum (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 1, &web);
  Tame *node = brain_tame (brain, 0);
  sim_log_break (brain->log, TRUE);
  tame_report (node, &newest_task (brain, &web, 1)->object.id, SWARM_TASK_FAILED, "task: non-zero exit (1)");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  sim_log_break (brain->log, FALSE);
  brain_run (brain, SECOND);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &web);
  g_assert_cmpuint (tasks->len, ==, 2);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/dispatcher/register", test_register);
  g_test_add_func ("/dispatcher/rate-limit", test_rate_limit);
  g_test_add_func ("/dispatcher/heartbeat-failure", test_heartbeat_failure);
  g_test_add_func ("/dispatcher/clock", test_clock);
  g_test_add_func ("/dispatcher/manager-stood-still", test_manager_stood_still);
  g_test_add_func ("/dispatcher/disconnected", test_disconnected);
  g_test_add_func ("/dispatcher/goodbye", test_goodbye);
  g_test_add_func ("/dispatcher/new-leader", test_new_leader);
  g_test_add_func ("/dispatcher/return-of-many", test_return_of_many);
  g_test_add_func ("/dispatcher/not-leading", test_not_leading);
  g_test_add_func ("/dispatcher/big-set", test_big_set);
  g_test_add_func ("/dispatcher/refused-half-way", test_refused_half_way);
  g_test_add_func ("/dispatcher/refused-assign", test_refused_assign);
  g_test_add_func ("/dispatcher/deltas", test_deltas);
  g_test_add_func ("/dispatcher/final-status", test_final_status);
  g_test_add_func ("/dispatcher/foreign-status", test_foreign_status);
  g_test_add_func ("/dispatcher/early-status", test_early_status);
  g_test_add_func ("/dispatcher/bad-among-good-status", test_bad_among_good_status);
  g_test_add_func ("/dispatcher/bad-description", test_bad_description);
  g_test_add_func ("/dispatcher/no-quorum", test_no_quorum);
  return g_test_run ();
}
