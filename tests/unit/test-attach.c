// SPDX-License-Identifier: LGPL-2.1-or-later
/* Containers of nodes' own in attachable networks, on the leader: who may, what they get, and how they end. */
#include "base/error.h"
#include "brain-fixture.h"

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222222222222222222222222222"

static SwarmId
network (Brain *brain, const char *name, gboolean attachable, const char *subnet)
{
  BrainOutcome out = { 0 };
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  spec->name = g_strdup (name);
  spec->attachable = attachable;
  if (subnet != NULL) {
    SwarmIPAMConfig *config = swarm_ipam_config_new ();
    config->subnet = g_strdup (subnet);
    spec->ipam = swarm_ipam_new ();
    spec->ipam->config = swarm_messages_new ();
    g_ptr_array_add (spec->ipam->config, config);
  }
  swarm_control_create_network (swarm_manager_control (brain->manager), spec, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_no_error (out.error);
  return out.id;
}

static GError *
attach (Brain *brain, Tame *node, const char *container, const char *name, const char *network_name, SwarmId *ret)
{
  BrainOutcome out = { 0 };
  swarm_control_attach (swarm_manager_control (brain->manager), &node->id, container, name, network_name, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_true (out.done);
  if (ret != NULL)
    *ret = out.id;
  return out.error;
}

static GError *
detach (Brain *brain, Tame *node, const SwarmId *task, char **ret_text)
{
  BrainOutcome out = { 0 };
  swarm_control_detach (swarm_manager_control (brain->manager), &node->id, task, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_true (out.done);
  if (ret_text != NULL)
    *ret_text = out.text;
  else
    g_free (out.text);
  return out.error;
}

static const SwarmTask *
task_of (Brain *brain, const SwarmId *id)
{
  return swarm_store_get (brain->store, SWARM_KIND_TASK, id);
}

static GError *
drop (Brain *brain, const SwarmId *id)
{
  BrainOutcome out = { 0 };
  swarm_control_remove_network (swarm_manager_control (brain->manager), id, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  return out.error;
}

#define ASSERT_TEXT(error, code_, text) \
  do { \
    g_assert_error (error, SWARM_ERROR, code_); \
    g_assert_cmpstr ((error)->message, ==, text); \
    g_clear_error (&(error)); \
  } while (0)

/* Without any service: nodes get what they need for it. */
static void
test_life (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId net = network (brain, "back", TRUE, NULL), id;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;

  g_assert_null (tame_node (node)->network);
  g_assert_no_error (attach (brain, node, ONE, "Probe", "back", &id));
  const SwarmTask *task = task_of (brain, &id);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_true (swarm_id_equal (&task->node_id, &node->id));
  g_assert_true (swarm_id_is_nil (&task->service_id));
  g_assert_cmpuint (task->slot, ==, 1);
  g_assert_null (task->gateway_address);
  g_assert_cmpuint (task->networks->len, ==, 1);
  const SwarmNetworkAttachment *attachment = task->networks->pdata[0];
  g_assert_true (swarm_id_equal (&attachment->network, &net));
  g_assert_cmpuint (attachment->addresses->len, ==, 1);
  g_assert_cmpstr (attachment->aliases->pdata[0], ==, "111111111111");
  name = swarm_task_name (task);
  g_assert_cmpstr (name, ==, "Probe");
  g_assert_nonnull (tame_node (node)->network);
  g_assert_cmpuint (tame_node (node)->network->number, !=, 0);

  error = drop (brain, &net);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_autofree char *expected = g_strdup_printf ("network %s is in use by task %s", swarm_id_string (&net).str, swarm_id_string (&id).str);
  g_assert_cmpstr (error->message, ==, expected);

  brain_run (brain, 30 * SECOND); /* nothing takes it for a stray */
  g_assert_nonnull (task_of (brain, &id));
  g_assert_cmpint (task_of (brain, &id)->desired_state, ==, SWARM_TASK_RUNNING);
  g_assert_no_error (detach (brain, node, &id, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &id));
  g_assert_no_error (drop (brain, &net));
  g_assert_null (tame_node (brain_node (brain, "n2"))->network); /* nobody needs it any more */
}

static void
test_texts (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *other = brain_node (brain, "n2");
  GError *error;
  SwarmId id;

  network (brain, "back", TRUE, NULL);
  network (brain, "closed", FALSE, NULL);
  error = attach (brain, node, ONE, "probe", "closed", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_ACCESS_DENIED, "network closed not manually attachable");
  error = attach (brain, node, ONE, "probe", "ingress", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_ACCESS_DENIED, "network ingress not manually attachable");
  error = attach (brain, node, ONE, "probe", "host", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_ACCESS_DENIED, "network host not manually attachable");
  error = attach (brain, node, ONE, "probe", "nowhere", NULL);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_clear_error (&error);
  error = attach (brain, node, "11", "probe", "back", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_INVALID_ARGUMENT, "\"probe\" (11) is no container");
  error = attach (brain, node, ONE, "pro/be", "back", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_INVALID_ARGUMENT, "\"pro/be\" (" ONE ") is no container");
  g_assert_no_error (attach (brain, node, ONE, "probe", "back", &id));
  error = attach (brain, node, ONE, "probe", "back", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_ALREADY_EXISTS, "endpoint with name probe already exists in network back");
  error = detach (brain, other, &id, NULL); /* not his */
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (brain_availability (brain, other, "drain", &error));
  error = attach (brain, other, TWO, "probe", "back", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_FAILED_PRECONDITION, "this node takes nothing new: its availability is drain");
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 1);
}

/* A container's numbers are its own, lowest first; two of its calls at once do not get the same. */
static void
test_slots (void)
{
  static const char *const names[] = { "a", "b", "c" };
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId ids[3], other;
  BrainOutcome outs[2] = { { 0 } };

  for (guint i = 0; i < 3; i++) {
    network (brain, names[i], TRUE, NULL);
    g_assert_no_error (attach (brain, node, ONE, "one", names[i], &ids[i]));
    g_assert_cmpuint (task_of (brain, &ids[i])->slot, ==, i + 1);
  }
  g_assert_no_error (attach (brain, node, TWO, "two", "b", &other));
  g_assert_cmpuint (task_of (brain, &other)->slot, ==, 1);
  g_assert_no_error (detach (brain, node, &ids[1], NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_no_error (detach (brain, node, &other, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_no_error (attach (brain, node, ONE, "one", "b", &ids[1]));
  g_assert_cmpuint (task_of (brain, &ids[1])->slot, ==, 2);

  for (guint i = 0; i < 2; i++)
    swarm_control_attach (swarm_manager_control (brain->manager), &node->id, TWO, "two", names[i], NULL, brain_outcome, &outs[i]);
  brain_run (brain, SECOND);
  g_assert_no_error (outs[0].error);
  g_assert_error (outs[1].error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  g_clear_error (&outs[1].error);
}

/* What a node may write into the store has an end, also when it asks for all at once. */
static void
test_most_of_a_node (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *other = brain_node (brain, "n2");
  g_autofree BrainOutcome *outs = g_new0 (BrainOutcome, 1001);
  BrainOutcome elsewhere = { 0 };
  GError *error;
  SwarmId id;

  network (brain, "back", TRUE, "10.99.0.0/16");
  for (guint i = 0; i < 1001; i++) {
    g_autofree char *container = g_strdup_printf ("%064x", i);
    swarm_control_attach (swarm_manager_control (brain->manager), &node->id, container, "c", "back", NULL, brain_outcome, &outs[i]);
  }
  swarm_control_attach (swarm_manager_control (brain->manager), &other->id, TWO, "c", "back", NULL, brain_outcome, &elsewhere);
  brain_run (brain, 10 * SECOND);
  for (guint i = 0; i < 1000; i++)
    g_assert_no_error (outs[i].error);
  g_assert_no_error (elsewhere.error);
  ASSERT_TEXT (outs[1000].error, SWARM_ERROR_LIMIT_EXCEEDED, "this node's containers are in networks 1000 times, which is the most");
  error = attach (brain, node, ONE, "c", "back", NULL);
  ASSERT_TEXT (error, SWARM_ERROR_LIMIT_EXCEEDED, "this node's containers are in networks 1000 times, which is the most");
  g_assert_no_error (attach (brain, other, ONE, "c", "back", &id));
  g_assert_no_error (detach (brain, node, &outs[7].id, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_no_error (attach (brain, node, TWO, "c", "back", &id));
}

/* It ends by itself, with its node, and with what gave it no address; its address is free then. */
static void
test_ends (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1"), *lost = brain_node (brain, "n2");
  SwarmId net = network (brain, "small", TRUE, "10.99.0.0/29"), ids[6];
  const char *containers[] = { ONE, TWO, "3333333333333333333333333333333333333333333333333333333333333333",
                               "4444444444444444444444444444444444444444444444444444444444444444",
                               "5555555555555555555555555555555555555555555555555555555555555555",
                               "6666666666666666666666666666666666666666666666666666666666666666" };
  g_autofree char *text = NULL;
  GError *error = NULL;

  for (guint i = 0; i < 6; i++)
    g_assert_no_error (attach (brain, i == 0 ? lost : node, containers[i], "c", "small", &ids[i]));
  g_assert_cmpint (task_of (brain, &ids[5])->status->state, ==, SWARM_TASK_NEW); /* .1 is the gateway's, .2 to .6 are given out */
  g_assert_true (g_str_has_prefix (task_of (brain, &ids[5])->status->err, "no available IPv4 addresses on this network's address pools: small"));

  tame_report (node, &ids[4], SWARM_TASK_COMPLETE, NULL); /* the container ended */
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &ids[4]));
  g_assert_cmpint (task_of (brain, &ids[5])->status->state, ==, SWARM_TASK_RUNNING);

  g_assert_no_error (attach (brain, node, containers[4], "c", "small", &ids[4]));
  g_assert_no_error (detach (brain, node, &ids[4], &text)); /* never got there */
  g_assert_true (g_str_has_prefix (text, "no available IPv4 addresses"));
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &ids[4]));

  tame_disconnect (lost);
  brain_run (brain, 60 * SECOND);
  g_assert_nonnull (task_of (brain, &ids[0])); /* it may come back */
  g_assert_true (brain_remove_node (brain, lost, TRUE, &error));
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &ids[0]));
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 4);
  error = drop (brain, &net);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_clear_error (&error);
}

/* A manager that begins to lead finds them as they are. */
static void
test_new_leader (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId ids[2];

  network (brain, "back", TRUE, NULL);
  for (guint i = 0; i < 2; i++)
    g_assert_no_error (attach (brain, node, i == 0 ? ONE : TWO, "c", "back", &ids[i]));
  node->stubborn = TRUE;
  g_assert_no_error (detach (brain, node, &ids[1], NULL));
  g_assert_cmpint (task_of (brain, &ids[1])->desired_state, ==, SWARM_TASK_SHUTDOWN);
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpint (task_of (brain, &ids[0])->desired_state, ==, SWARM_TASK_RUNNING);
  g_assert_nonnull (task_of (brain, &ids[1]));
  g_assert_nonnull (tame_node (brain_node (brain, "n2"))->network); /* it counts them, too */
  tame_report (node, &ids[1], SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &ids[1]));
}

/* What a node does not confirm is taken back: it may never have heard of it. The time starts anew with a new leader. */
static void
test_never_there (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId there, lost;

  network (brain, "back", TRUE, NULL);
  g_assert_no_error (attach (brain, node, ONE, "there", "back", &there));
  node->lazy = TRUE;
  g_assert_no_error (attach (brain, node, TWO, "lost", "back", &lost));
  brain_run (brain, 20 * SECOND);
  brain_restart (brain);
  tame_connect (node);
  brain_run (brain, 25 * SECOND);
  g_assert_cmpint (task_of (brain, &lost)->desired_state, ==, SWARM_TASK_RUNNING);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpint (task_of (brain, &lost)->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpint (task_of (brain, &there)->desired_state, ==, SWARM_TASK_RUNNING);
  tame_report (node, &lost, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, 2 * SECOND);
  g_assert_null (task_of (brain, &lost));
  g_assert_nonnull (task_of (brain, &there));
  /* One that gets no address goes by itself. */
  SwarmId ids[6];
  network (brain, "full", TRUE, "10.98.0.0/29");
  node->lazy = FALSE;
  for (guint i = 0; i < 6; i++) {
    g_autofree char *container = g_strdup_printf ("%064x", i);
    g_assert_no_error (attach (brain, node, container, "c", "full", &ids[i]));
  }
  g_assert_cmpint (task_of (brain, &ids[5])->status->state, ==, SWARM_TASK_NEW);
  brain_run (brain, 40 * SECOND);
  g_assert_null (task_of (brain, &ids[5]));
  g_assert_nonnull (task_of (brain, &ids[4]));
}

/* A network that is being removed takes none; a task that is no attachment is not ended so. */
static void
test_not_so (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 1, &web);
  Tame *node = brain_tame (brain, 0);
  SwarmId net = network (brain, "back", TRUE, NULL);
  BrainOutcome gone = { 0 }, out = { 0 };
  SwarmId task = newest_task (brain, &web, 1)->object.id;

  g_autoptr (GError) error = detach (brain, node, &task, NULL);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_assert_cmpint (task_of (brain, &task)->desired_state, ==, SWARM_TASK_RUNNING);
  swarm_control_remove_network (swarm_manager_control (brain->manager), &net, NULL, brain_outcome, &gone);
  swarm_control_attach (swarm_manager_control (brain->manager), &node->id, ONE, "c", "back", NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_no_error (gone.error);
  ASSERT_TEXT (out.error, SWARM_ERROR_NOT_FOUND, "network back not found");
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 1);
}

/* What ended just before the leader did is removed by the next one. */
static void
test_ended_before (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId id;

  network (brain, "back", TRUE, NULL);
  g_assert_no_error (attach (brain, node, ONE, "c", "back", &id));
  tame_report (node, &id, SWARM_TASK_COMPLETE, NULL);
  while (task_of (brain, &id)->status->state != SWARM_TASK_COMPLETE)
    sim_clock_step (brain->sim);
  brain_restart (brain);
  g_assert_cmpint (task_of (brain, &id)->status->state, ==, SWARM_TASK_COMPLETE);
  brain_run (brain, 5 * SECOND);
  g_assert_null (task_of (brain, &id));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/attach/life", test_life);
  g_test_add_func ("/attach/texts", test_texts);
  g_test_add_func ("/attach/slots", test_slots);
  g_test_add_func ("/attach/most-of-a-node", test_most_of_a_node);
  g_test_add_func ("/attach/ends", test_ends);
  g_test_add_func ("/attach/never-there", test_never_there);
  g_test_add_func ("/attach/not-so", test_not_so);
  g_test_add_func ("/attach/ended-before", test_ended_before);
  g_test_add_func ("/attach/new-leader", test_new_leader);
  return g_test_run ();
}
