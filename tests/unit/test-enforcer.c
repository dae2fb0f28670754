// SPDX-License-Identifier: LGPL-2.1-or-later
/* Constraint enforcement (SWARM_BEHAVIOUR §5, quirk 16.4): what happens to tasks when their node changes under them. */
#include "base/error.h"
#include "brain-fixture.h"

#define WHY "assigned node no longer meets constraints"

static void
set_label (Brain *brain, Tame *node, const char *key, const char *value)
{
  g_autoptr (GHashTable) labels = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (labels, (gpointer) key, (gpointer) value);
  swarm_control_update_labels (swarm_manager_control (brain->manager), &node->id, labels, NULL, NULL, NULL, NULL);
}

static SwarmServiceSpec *
constrained_spec (const char *name, guint replicas, const char *constraint)
{
  SwarmServiceSpec *spec = brain_spec (name, replicas);
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (spec->task->placement->constraints, g_strdup (constraint));
  return spec;
}

static void
node_written (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

/* The node tells that it has something else now. */
static void
set_resources (Brain *brain, Tame *tame, SwarmResources *resources)
{
  g_autoptr (SwarmNode) node = swarm_node_copy (tame_node (tame));
  g_autoptr (SwarmNodeDescription) description = swarm_node_description_copy (node->description);
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_message_set_pointer (&description->resources, resources);
  swarm_message_set_pointer (&node->description, description);
  swarm_tx_update (tx, node);
  swarm_tx_commit (tx, NULL, node_written, NULL);
  swarm_resources_unref (resources);
  brain_run (brain, SECOND);
}

static SwarmResources *
resources_of (gint64 cpus, gint64 gib)
{
  SwarmResources *resources = swarm_resources_new ();
  resources->nano_cpus = cpus * G_GINT64_CONSTANT (1000000000);
  resources->memory_bytes = gib << 30;
  return resources;
}

/* @n1 is in zone a, and a service that asks for that zone has its one task there. */
static SwarmId
web_in_zone_of (Brain *brain, Tame *n1)
{
  set_label (brain, n1, "zone", "a");
  brain_run (brain, SECOND);
  g_autoptr (SwarmServiceSpec) spec = constrained_spec ("web", 1, "node.labels.zone==a");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  return web;
}

/* A label that a constraint asks for goes: the tasks are rejected in swarm's words, and replaced by the policy where it still holds. */
static void
test_labels (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  set_label (brain, n1, "zone", "a");
  brain_run (brain, SECOND);
  g_autoptr (SwarmServiceSpec) spec = constrained_spec ("web", 2, "node.labels.zone==a"), never = constrained_spec ("once", 1, "node.labels.zone==a");
  g_autoptr (SwarmServiceSpec) other = constrained_spec ("other", 1, "node.hostname==n1");
  never->task->restart_policy->condition = SWARM_RESTART_NONE;
  SwarmId web = brain_create (brain, spec), once = brain_create (brain, never), stays = brain_create (brain, other);
  brain_run (brain, SECOND);
  SwarmId first = newest_task (brain, &web, 1)->object.id, kept = newest_task (brain, &stays, 1)->object.id;
  set_label (brain, n2, "zone", "a");
  brain_run (brain, SECOND);
  g_assert_true (swarm_id_equal (&newest_task (brain, &web, 1)->object.id, &first)); /* a node more changes nothing */
  set_label (brain, n1, "zone", "b");
  brain_run (brain, SECOND);
  const SwarmTask *old = swarm_store_get (brain->store, SWARM_KIND_TASK, &first);
  g_assert_cmpint (old->status->state, ==, SWARM_TASK_REJECTED);
  g_assert_cmpint (old->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (old->status->text, ==, WHY);
  g_assert_cmpstr (old->status->err, ==, WHY);
  g_assert_false (old->lingers);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpuint (tame_n_tasks (n2, SWARM_TASK_RUNNING), ==, 2);
  g_assert_cmpuint (count_running (brain, &once), ==, 0);
  g_assert_true (swarm_id_equal (&newest_task (brain, &stays, 1)->object.id, &kept));
}

/* Role and the node's own words (engine labels, platform …) count as well, and what changed while nobody led is found. */
static void
test_role_and_new_leader (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  brain_node (brain, "n2");
  g_autoptr (SwarmServiceSpec) spec = constrained_spec ("web", 1, "node.role==worker");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  n1 = node_of_task (brain, newest_task (brain, &web, 1));
  swarm_manager_lead (brain->manager, FALSE);
  g_autoptr (SwarmNode) node = swarm_node_copy (tame_node (n1));
  node->role = SWARM_ROLE_MANAGER;
  g_autoptr (SwarmNodeSpec) node_spec = swarm_node_spec_copy (node->spec);
  node_spec->role = SWARM_ROLE_MANAGER;
  swarm_message_set_pointer (&node->spec, node_spec);
  SwarmTx *tx = swarm_store_tx (brain->store);
  swarm_tx_update (tx, node);
  swarm_tx_commit (tx, NULL, node_written, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_RUNNING);
  brain_restart (brain);
  for (guint i = 0; i < brain->nodes->len; i++)
    tame_connect (g_ptr_array_index (brain->nodes, i));
  brain_run (brain, 2 * SECOND);
  g_assert_true (node_of_task (brain, newest_task (brain, &web, 1)) != n1);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
}

static void
break_log (const SwarmEvent *event, gpointer data)
{
  if (event->event == SWARM_EVENT_UPDATE)
    sim_log_break (((Brain *) data)->log, TRUE);
}

/* What could not be written at the first try is found again. */
static void
test_refused_write (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  SwarmId web = web_in_zone_of (brain, n1);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  guint watch = swarm_store_watch (brain->store, 1 << SWARM_KIND_NODE, break_log, brain);
  set_label (brain, n1, "zone", "b");
  brain_run (brain, 200 * MS);
  swarm_store_unwatch (brain->store, watch);
  g_assert_cmpuint (count_running (brain, &web), ==, 1); /* nothing can be written */
  sim_log_break (brain->log, FALSE);
  brain_run (brain, 500 * MS);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
}

/* Assigned is enough: the node may have begun with it, though it has said nothing yet. */
static void
test_assigned_lingers (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1"), *n2 = brain_node (brain, "n2");
  n1->lazy = TRUE;
  SwarmId web = web_in_zone_of (brain, n1);
  SwarmId first = newest_task (brain, &web, 1)->object.id;
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_ASSIGNED);
  set_label (brain, n1, "zone", "b");
  set_label (brain, n2, "zone", "a");
  brain_run (brain, SECOND);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &first);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_REJECTED);
  g_assert_true (task->lingers);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
}

/* The slot's next task waits until the node says that the rejected one has ended: no slot runs twice. */
static void
test_slot_is_exclusive (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  SwarmId web = web_in_zone_of (brain, n1);
  Tame *n2 = brain_node (brain, "n2");
  set_label (brain, n2, "zone", "a");
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  n1->stubborn = TRUE;
  set_label (brain, n1, "zone", "b");
  brain_run (brain, 30 * SECOND);
  const SwarmTask *told = g_hash_table_lookup (n1->tasks, &old);
  g_assert_nonnull (told);
  g_assert_cmpint (told->desired_state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpint (newest_task (brain, &web, 1)->desired_state, ==, SWARM_TASK_READY);
  tame_report (n1, &old, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_RUNNING);
  const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &old);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_REJECTED);
  g_assert_null (g_hash_table_lookup (n1->tasks, &old)); /* nobody needs to know of it there any more */
}

/* A rejected task whose node never says anything any more does not hold its slot: down, then removed. */
static void
test_lingering_ends_with_node (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *n1 = brain_node (brain, "n1");
  SwarmId web = web_in_zone_of (brain, n1);
  Tame *n2 = brain_node (brain, "n2");
  set_label (brain, n2, "zone", "a");
  SwarmId old = newest_task (brain, &web, 1)->object.id;
  n1->stubborn = TRUE;
  set_label (brain, n1, "zone", "b");
  brain_run (brain, SECOND);
  g_assert_true (((SwarmTask *) swarm_store_get (brain->store, SWARM_KIND_TASK, &old))->lingers);
  n1->mute = TRUE;
  tame_disconnect (n1);
  brain_run (brain, 100 * SECOND);
  g_assert_cmpint (newest_task (brain, &web, 1)->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_true (brain_remove_node (brain, n1, FALSE, NULL));
  brain_run (brain, SECOND);
  g_assert_false (((SwarmTask *) swarm_store_get (brain->store, SWARM_KIND_TASK, &old))->lingers);
  g_assert_true (brain_remove (brain, &web, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

/* Fewer resources: the newest tasks go first, and no more of them than need be. */
static void
test_resources (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  SwarmId ids[4];
  for (guint i = 0; i < 4; i++) {
    g_autofree char *name = g_strdup_printf ("s%u", i);
    g_autoptr (SwarmServiceSpec) spec = brain_spec (name, 1);
    spec->task->resources = swarm_resource_requirements_new ();
    spec->task->resources->reservations = resources_of (1, i == 2 ? 0 : 1);
    ids[i] = brain_create (brain, spec);
    brain_run (brain, SECOND);
    g_assert_cmpuint (count_running (brain, &ids[i]), ==, 1);
  }
  set_resources (brain, node, resources_of (3, 8)); /* one CPU less: the newest goes */
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (count_running (brain, &ids[i]), ==, i < 3);
  g_assert_cmpint (newest_task (brain, &ids[3], 1)->status->state, ==, SWARM_TASK_PENDING);
  set_resources (brain, node, resources_of (3, 1)); /* memory for one: s1 goes, s2 reserves none and stays */
  g_assert_cmpuint (count_running (brain, &ids[0]), ==, 1);
  g_assert_cmpuint (count_running (brain, &ids[1]), ==, 0);
  g_assert_cmpuint (count_running (brain, &ids[2]), ==, 1);
  set_resources (brain, node, resources_of (4, 8));
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (count_running (brain, &ids[i]), ==, 1);
}

static SwarmGenericResource *
discrete (const char *kind, gint64 value)
{
  SwarmGenericResource *generic = swarm_generic_resource_new ();
  generic->discrete = swarm_discrete_resource_new ();
  generic->discrete->kind = g_strdup (kind);
  generic->discrete->value = value;
  return generic;
}

static SwarmGenericResource *
named (const char *kind, const char *value)
{
  SwarmGenericResource *generic = swarm_generic_resource_new ();
  generic->named = swarm_named_resource_new ();
  generic->named->kind = g_strdup (kind);
  generic->named->value = g_strdup (value);
  return generic;
}

/* Generic resources: every task is looked at, not only those up to the first that does not fit (quirk 16.4). */
static void
test_generic (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (1, 4, &web);
  Tame *node = brain_tame (brain, 0);
  SwarmTx *tx = swarm_store_tx (brain->store);
  for (guint slot = 1; slot <= 4; slot++) { /* as the scheduler would have given them out */
    g_autoptr (SwarmTask) copy = swarm_task_copy (newest_task (brain, &web, slot));
    copy->generic = swarm_messages_new ();
    g_ptr_array_add (copy->generic, slot == 1 ? named ("gpu", "A") : slot == 2 ? named ("gpu", "B") : discrete ("fpga", 1));
    swarm_tx_update (tx, copy);
  }
  swarm_tx_commit (tx, NULL, node_written, NULL);
  SwarmId before[5];
  brain_run (brain, SECOND);
  for (guint slot = 1; slot <= 4; slot++)
    before[slot] = newest_task (brain, &web, slot)->object.id;
  SwarmResources *less = resources_of (4, 8);
  less->generic = swarm_messages_new ();
  g_ptr_array_add (less->generic, named ("gpu", "B"));
  g_ptr_array_add (less->generic, discrete ("fpga", 1));
  set_resources (brain, node, less);
  guint rejected = 0;
  for (guint slot = 1; slot <= 4; slot++) {
    const SwarmTask *task = swarm_store_get (brain->store, SWARM_KIND_TASK, &before[slot]);
    gboolean out = task->status->state == SWARM_TASK_REJECTED;
    rejected += out;
    g_assert_true (slot > 2 || out == (slot == 1));
  }
  g_assert_cmpuint (rejected, ==, 2); /* GPU A, and one of the two that had an FPGA */
}

/* Paused and drained nodes are none of its business; an active one is looked at when it becomes so. */
static void
test_availability (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Tame *node = brain_node (brain, "n1");
  set_label (brain, node, "zone", "a");
  brain_run (brain, SECOND);
  g_autoptr (SwarmServiceSpec) spec = constrained_spec ("web", 1, "node.labels.zone==a");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_true (brain_availability (brain, node, "pause", NULL));
  set_label (brain, node, "zone", "b");
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 1);
  g_assert_true (brain_availability (brain, node, "active", NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 0);
}

/* The node changes in the very moment in which the scheduler places a task there by what it was. */
static void
test_race (void)
{
  for (gint64 delay = 0; delay < 12 * MS; delay += MS / 2) {
    g_autoptr (Brain) brain = brain_new ();
    Tame *node = brain_node (brain, "n1");
    set_label (brain, node, "zone", "a");
    brain_run (brain, SECOND);
    g_autoptr (SwarmServiceSpec) spec = constrained_spec ("web", 1, "node.labels.zone==a");
    swarm_control_create_service (swarm_manager_control (brain->manager), spec, NULL, NULL, NULL);
    brain_run (brain, delay);
    set_label (brain, node, "zone", "b");
    brain_run (brain, 2 * SECOND);
    SwarmId web = ((SwarmService *) swarm_store_get_by_name (brain->store, SWARM_KIND_SERVICE, "web"))->object.id;
    g_assert_cmpuint (count_running (brain, &web), ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/enforcer/labels", test_labels);
  g_test_add_func ("/enforcer/role-and-new-leader", test_role_and_new_leader);
  g_test_add_func ("/enforcer/slot-is-exclusive", test_slot_is_exclusive);
  g_test_add_func ("/enforcer/lingering-ends-with-node", test_lingering_ends_with_node);
  g_test_add_func ("/enforcer/resources", test_resources);
  g_test_add_func ("/enforcer/generic", test_generic);
  g_test_add_func ("/enforcer/availability", test_availability);
  g_test_add_func ("/enforcer/race", test_race);
  g_test_add_func ("/enforcer/assigned-lingers", test_assigned_lingers);
  g_test_add_func ("/enforcer/refused-write", test_refused_write);
  return g_test_run ();
}
