// SPDX-License-Identifier: LGPL-2.1-or-later
/* What nodes are told of the cluster's networks: what concerns them, no more, whole and then by changes; and who is told first when a task goes. */
#include "picture-bed.h"

/* ---- what concerns a node ---- */

static void
test_nothing (void)
{
  g_autoptr (World) world = world_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("plain", 3);
  make_network (world, "back");
  brain_create (world->brain, spec);
  brain_run (world->brain, SECOND);
  for (guint i = 0; i < NODES; i++)
    g_assert_cmpuint (world->pictures[i]->calls, ==, 0);
}

static void
test_own_networks_only (void)
{
  g_autoptr (World) world = world_new ();
  SwarmId back = make_network (world, "back"), front = make_network (world, "front");
  SwarmServiceSpec *both = brain_spec ("both", 1);
  attach (both, "back", "storage");
  attach (both, "front", NULL);
  place_on (both, "n2");
  SwarmId a = create_in (world, "a", "back", "n1", 1), c = create_in (world, "c", "front", "n3", 1), b = create (world, both);
  Picture *one = world->pictures[0], *two = world->pictures[1], *three = world->pictures[2];
  /* n1 is in back alone: with the other half of b, and nothing of c. */
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NETWORK), ==, 1 + 1); /* and ingress, which every node is in then */
  g_assert_nonnull (row_of (one, SWARM_KIND_NETWORK, &back));
  g_assert_null (row_of (one, SWARM_KIND_NETWORK, &front));
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 2);
  g_assert_null (row_of (one, SWARM_KIND_SERVICE, &c));
  const SwarmPictureService *half = row_of (one, SWARM_KIND_SERVICE, &b);
  g_assert_cmpuint (half->networks->len, ==, 1);
  g_assert_cmpstr (half->name, ==, "both");
  g_assert_cmpstr (address_in (half->networks, &back), !=, NULL);
  g_assert_cmpstr (g_ptr_array_index (((SwarmNetworkAttachment *) g_ptr_array_index (half->networks, 0))->aliases, 0), ==, "storage");
  const SwarmPictureTask *task = row_of (one, SWARM_KIND_TASK, &newest_task (world->brain, &b, 1)->object.id);
  g_assert_true (task->ready);
  g_assert_cmpuint (task->networks->len, ==, 1);
  g_assert_null (task->gateway_address);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 2);
  const SwarmPictureNode *other = row_of (one, SWARM_KIND_NODE, &brain_tame (world->brain, 1)->id);
  g_assert_cmpuint (other->number, ==, tame_node (brain_tame (world->brain, 1))->network->number);
  g_assert_cmpstr (other->addr, ==, "10.0.0.7");
  g_assert_cmpuint (n_rows (two, SWARM_KIND_NETWORK), ==, 2 + 1);
  g_assert_cmpuint (n_rows (two, SWARM_KIND_TASK), ==, 3);
  task = row_of (two, SWARM_KIND_TASK, &newest_task (world->brain, &b, 1)->object.id);
  g_assert_cmpstr (task->gateway_address, ==, newest_task (world->brain, &b, 1)->gateway_address);
  g_assert_cmpuint (n_rows (three, SWARM_KIND_NETWORK), ==, 1 + 1);
  g_assert_nonnull (row_of (three, SWARM_KIND_NETWORK, &front));
  g_assert_null (row_of (three, SWARM_KIND_SERVICE, &a));
  /* What goes, goes. */
  g_assert_true (brain_remove (world->brain, &b, NULL));
  brain_run (world->brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 1);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 1);
  g_assert_cmpuint (n_rows (two, SWARM_KIND_SERVICE), ==, 0);
  g_assert_cmpuint (n_rows (two, SWARM_KIND_TASK), ==, 0);
  g_assert_null (row_of (two, SWARM_KIND_NETWORK, &back));
  g_assert_null (row_of (two, SWARM_KIND_NETWORK, &front));
}

/* As if it had been made so. */
static void
change_network (World *world, const SwarmId *id, gboolean attachable, gboolean internal)
{
  g_autoptr (SwarmNetwork) copy = swarm_network_copy (swarm_store_get (world->brain->store, SWARM_KIND_NETWORK, id));
  SwarmNetworkSpec *spec = swarm_network_spec_copy (copy->spec);
  swarm_network_spec_unref (copy->spec);
  copy->spec = spec;
  spec->attachable = attachable;
  spec->internal = internal;
  g_autoptr (SwarmTx) tx = swarm_store_tx (world->brain->store);
  swarm_tx_update (tx, copy);
  swarm_tx_commit (g_steal_pointer (&tx), NULL, NULL, NULL);
  brain_run (world->brain, SECOND);
}

/* A network that changes, its own or that of the mesh, is told anew. */
static void
test_network_changes (void)
{
  g_autoptr (World) world = world_new ();
  SwarmId back = make_network (world, "back"), ingress;
  create_in (world, "a", "back", "n1", 1);
  ingress = ((const SwarmNetwork *) swarm_store_get_by_name (world->brain->store, SWARM_KIND_NETWORK, "ingress"))->object.id;
  const SwarmId *networks[] = { &back, &ingress };
  for (guint i = 0; i < G_N_ELEMENTS (networks); i++) {
    g_assert_false (((const SwarmPictureNetwork *) row_of (world->pictures[0], SWARM_KIND_NETWORK, networks[i]))->internal);
    change_network (world, networks[i], FALSE, TRUE);
    g_assert_true (((const SwarmPictureNetwork *) row_of (world->pictures[0], SWARM_KIND_NETWORK, networks[i]))->internal);
  }
  g_assert_null (row_of (world->pictures[1], SWARM_KIND_NETWORK, &back));
}

/* A container that is no task: others in its network are told, by its name; it is its node's reason to see the network. */
static void
test_container (void)
{
  g_autoptr (World) world = world_new ();
  BrainOutcome out = { 0 };
  SwarmId back = make_network (world, "back"), id = SWARM_ID_NIL;
  change_network (world, &back, TRUE, FALSE);
  SwarmId a = create_in (world, "a", "back", "n1", 1);
  Picture *one = world->pictures[0], *two = world->pictures[1], *three = world->pictures[2];
  g_assert_null (row_of (two, SWARM_KIND_NETWORK, &back));
  swarm_control_attach (swarm_manager_control (world->brain->manager), &brain_tame (world->brain, 1)->id,
                        "1111111111111111111111111111111111111111111111111111111111111111", "Probe", "back", NULL, made, &id);
  brain_run (world->brain, 2 * SECOND);
  const SwarmPictureTask *row = row_of (one, SWARM_KIND_TASK, &id);
  g_assert_cmpstr (row->name, ==, "Probe");
  g_assert_true (swarm_id_is_nil (&row->service));
  g_assert_true (row->ready);
  g_assert_true (swarm_id_equal (&row->node, &brain_tame (world->brain, 1)->id));
  g_assert_nonnull (address_in (row->networks, &back));
  g_assert_nonnull (row_of (two, SWARM_KIND_NETWORK, &back));
  g_assert_nonnull (row_of (two, SWARM_KIND_SERVICE, &a));
  g_assert_null (((const SwarmPictureTask *) row_of (two, SWARM_KIND_TASK, &id))->gateway_address);
  g_assert_null (row_of (three, SWARM_KIND_TASK, &id));
  swarm_control_detach (swarm_manager_control (world->brain->manager), &brain_tame (world->brain, 1)->id, &id, NULL, brain_outcome, &out);
  brain_run (world->brain, 3 * SECOND);
  g_assert_no_error (out.error);
  g_free (out.text);
  g_assert_null (row_of (one, SWARM_KIND_TASK, &id));
  g_assert_null (row_of (two, SWARM_KIND_NETWORK, &back));
}

static void
test_mesh (void)
{
  g_autoptr (World) world = world_new ();
  SwarmServiceSpec *spec = brain_spec ("web", 1);
  publish (spec, 80);
  place_on (spec, "n1");
  SwarmId web = create (world, spec);
  const SwarmTask *task = newest_task (world->brain, &web, 1);
  for (guint i = 0; i < NODES; i++) {
    const SwarmPictureService *service = row_of (world->pictures[i], SWARM_KIND_SERVICE, &web);
    const SwarmPictureTask *row = row_of (world->pictures[i], SWARM_KIND_TASK, &task->object.id);
    const SwarmPictureNode *node = row_of (world->pictures[i], SWARM_KIND_NODE, &brain_tame (world->brain, 0)->id);
    g_assert_cmpuint (service->ports->len, ==, 1);
    g_assert_null (service->name); /* it has no network in which anybody could ask for it */
    g_assert_true (row->ready);
    g_assert_null (row->networks);
    g_assert_cmpstr (row->gateway_address, ==, task->gateway_address);
    g_assert_cmpstr (node->ingress_address, ==, tame_node (brain_tame (world->brain, 0))->network->ingress_address);
    g_assert_cmpstr (node->gateway, ==, tame_node (brain_tame (world->brain, 0))->network->gateway);
    g_assert_cmpuint (n_rows (world->pictures[i], SWARM_KIND_NODE), ==, NODES + 1); /* the manager too */
    g_assert_cmpuint (n_rows (world->pictures[i], SWARM_KIND_NETWORK), ==, 1); /* ingress */
  }
}

/* A node without an address in the mesh is told of those of its tasks that have ports there, to give them their way out, and of nothing else. */
static void
test_out_of_mesh (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  const SwarmNetwork *ingress = swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, "ingress");
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  SwarmIPAMConfig *config = swarm_ipam_config_new ();
  guint out = NODES;
  swarm_control_remove_network (swarm_manager_control (brain->manager), &ingress->object.id, NULL, removed, NULL);
  brain_run (brain, SECOND);
  spec->name = g_strdup ("mesh");
  spec->ingress = TRUE;
  config->subnet = g_strdup ("10.99.0.0/24");
  config->ip_range = g_strdup ("10.99.0.4/31"); /* not for all */
  spec->ipam = swarm_ipam_new ();
  spec->ipam->config = swarm_messages_new ();
  g_ptr_array_add (spec->ipam->config, config);
  create_network (world, spec);
  SwarmServiceSpec *web = brain_spec ("web", 3);
  publish (web, 80);
  web->task->placement = swarm_placement_new ();
  web->task->placement->max_replicas = 1;
  web->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (web->task->placement->constraints, g_strdup ("node.role==worker"));
  SwarmId id = create (world, web);
  brain_run (brain, 2 * SECOND);
  for (guint i = 0; i < NODES && out == NODES; i++)
    out = tame_node (brain_tame (brain, i))->network->ingress_address == NULL ? i : NODES;
  Picture *picture = world->pictures[out];
  const SwarmTask *task = NULL;
  for (guint slot = 1; slot <= NODES; slot++) {
    if (node_of_task (brain, newest_task (brain, &id, slot)) == brain_tame (brain, out))
      task = newest_task (brain, &id, slot);
  }
  g_assert_nonnull (task->gateway_address);
  SwarmId own = task->object.id;
  g_autofree char *gateway = g_strdup (task->gateway_address);
  for (guint i = 0; i < 2; i++) { /* by itself, and in a whole */
    const SwarmPictureTask *row = row_of (picture, SWARM_KIND_TASK, &own);
    g_assert_nonnull (row);
    g_assert_cmpstr (row->gateway_address, ==, gateway);
    g_assert_cmpuint (n_rows (picture, SWARM_KIND_TASK), ==, 1);
    g_assert_cmpuint (n_rows (picture, SWARM_KIND_SERVICE) + n_rows (picture, SWARM_KIND_NETWORK) + n_rows (picture, SWARM_KIND_NODE), ==, 0);
    if (i == 0)
      tame_reconnect (brain, brain_tame (brain, out));
  }
  g_assert_true (brain_remove (brain, &id, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (picture, SWARM_KIND_TASK), ==, 0);
}

static void
test_node_down (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  create_in (world, "a", "back", "n1", 1);
  create_in (world, "b", "back", "n2", 1);
  Tame *two = brain_tame (world->brain, 1);
  const SwarmPictureNode *row = row_of (world->pictures[0], SWARM_KIND_NODE, &two->id);
  g_assert_false (row->down);
  tame_goodbye (two, TRUE);
  brain_run (world->brain, 100 * MS);
  row = row_of (world->pictures[0], SWARM_KIND_NODE, &two->id);
  g_assert_true (row == NULL || row->down);
}

/* Without a mesh nodes know each other by what they share: as long as that is anything. */
static void
test_two_networks (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  const SwarmNetwork *ingress = swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, "ingress");
  swarm_control_remove_network (swarm_manager_control (brain->manager), &ingress->object.id, NULL, removed, NULL);
  brain_run (brain, SECOND);
  make_network (world, "back");
  make_network (world, "front");
  SwarmId b1 = create_in (world, "b1", "back", "n1", 1), b2 = create_in (world, "b2", "back", "n2", 1);
  create_in (world, "b3", "back", "n3", 1);
  SwarmId f1 = create_in (world, "f1", "front", "n1", 1);
  create_in (world, "f2", "front", "n2", 1);
  Picture *one = world->pictures[0], *two = world->pictures[1], *three = world->pictures[2];
  const SwarmId *n1 = &brain_tame (brain, 0)->id, *n2 = &brain_tame (brain, 1)->id;
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, NODES);
  g_assert_null (((const SwarmPictureNode *) row_of (one, SWARM_KIND_NODE, n2))->ingress_address);
  g_assert_nonnull (((const SwarmPictureNode *) row_of (one, SWARM_KIND_NODE, n1))->gateway); /* its own */
  g_assert_null (((const SwarmPictureNode *) row_of (one, SWARM_KIND_NODE, n2))->gateway);
  g_assert_true (brain_remove (brain, &b1, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_nonnull (row_of (one, SWARM_KIND_NODE, n2));
  g_assert_nonnull (row_of (two, SWARM_KIND_NODE, n1));
  g_assert_null (row_of (three, SWARM_KIND_NODE, n1));
  g_assert_null (row_of (one, SWARM_KIND_SERVICE, &b2));
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 2);
  g_assert_true (brain_remove (brain, &f1, NULL));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE) + n_rows (one, SWARM_KIND_TASK) + n_rows (one, SWARM_KIND_NETWORK), ==, 0);
  g_assert_null (row_of (two, SWARM_KIND_NODE, n1));
}

/* Without the mesh nodes know each other by what they share alone; what a node is told of itself is more, also where its row changes alone. */
static void
test_mesh_ends (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  Picture *one = world->pictures[0], *three = world->pictures[2];
  const SwarmId *n1 = &brain_tame (brain, 0)->id;
  make_network (world, "back");
  create_in (world, "a", "back", "n1", 1);
  create_in (world, "b", "back", "n2", 1);
  SwarmId ingress = ((const SwarmNetwork *) swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, "ingress"))->object.id;
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, NODES + 1);
  g_assert_cmpuint (n_rows (three, SWARM_KIND_NODE), ==, NODES + 1);
  swarm_control_remove_network (swarm_manager_control (brain->manager), &ingress, NULL, removed, NULL);
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, 2);
  g_assert_null (row_of (one, SWARM_KIND_NETWORK, &ingress));
  g_assert_cmpuint (n_rows (three, SWARM_KIND_NODE) + n_rows (three, SWARM_KIND_NETWORK), ==, 0);
  add_key (brain_tame (brain, 0), 0, 1);
  g_assert_no_error (tame_describe (brain_tame (brain, 0)));
  brain_run (brain, 2 * SECOND);
  g_ptr_array_set_size (brain_tame (brain, 0)->keys, 0);
  g_assert_no_error (tame_describe (brain_tame (brain, 0)));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpstr (((const SwarmPictureNode *) row_of (one, SWARM_KIND_NODE, n1))->gateway, ==, tame_node (brain_tame (brain, 0))->network->gateway);
  g_assert_null (((const SwarmPictureNode *) row_of (world->pictures[1], SWARM_KIND_NODE, n1))->gateway);
  /* And begins again. */
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  spec->name = g_strdup ("mesh");
  spec->ingress = TRUE;
  create_network (world, spec);
  brain_run (brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, NODES + 1);
  g_assert_cmpuint (n_rows (three, SWARM_KIND_NODE), ==, NODES + 1);
  g_assert_cmpuint (n_rows (three, SWARM_KIND_NETWORK), ==, 1);
}

static guint
n_networks (const GPtrArray *networks)
{
  return networks != NULL ? networks->len : 0;
}

/* What two see of a third's is the same only if they see the same of the networks that it is in. */
static void
test_halves (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  make_network (world, "front");
  SwarmServiceSpec *both = brain_spec ("both", 2);
  attach (both, "back", NULL);
  attach (both, "front", NULL);
  both->task->placement = swarm_placement_new ();
  both->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (both->task->placement->constraints, g_strdup ("node.hostname!=n3"));
  brain_tame (world->brain, 1)->lazy = TRUE;
  SwarmId id = create (world, both);
  create_in (world, "a", "back", "n3", 1);
  for (guint slot = 1; slot <= 2; slot++) { /* one changes alone */
    const SwarmTask *task = newest_task (world->brain, &id, slot);
    if (node_of_task (world->brain, task) == brain_tame (world->brain, 1))
      tame_report (brain_tame (world->brain, 1), &task->object.id, SWARM_TASK_RUNNING, NULL);
  }
  brain_run (world->brain, SECOND);
  for (guint i = 0; i < NODES; i++) {
    const SwarmPictureService *service = row_of (world->pictures[i], SWARM_KIND_SERVICE, &id);
    g_assert_cmpuint (n_networks (service->networks), ==, i < 2 ? 2 : 1);
    for (guint slot = 1; slot <= 2; slot++) {
      const SwarmTask *task = newest_task (world->brain, &id, slot);
      const SwarmPictureTask *row = row_of (world->pictures[i], SWARM_KIND_TASK, &task->object.id);
      gboolean own = swarm_id_equal (&task->node_id, &brain_tame (world->brain, i)->id);
      g_assert_true (row->ready);
      g_assert_cmpuint (n_networks (row->networks), ==, i < 2 ? 2 : 1);
      g_assert_cmpstr (row->gateway_address, ==, own ? task->gateway_address : NULL);
    }
  }
  /* Also where the service changes alone. */
  const SwarmService *service = swarm_store_get (world->brain->store, SWARM_KIND_SERVICE, &id);
  g_autoptr (SwarmServiceSpec) changed = swarm_service_spec_copy (service->spec);
  SwarmEndpointSpec *endpoint = changed->endpoint != NULL ? swarm_endpoint_spec_copy (changed->endpoint) : swarm_endpoint_spec_new ();
  swarm_endpoint_spec_unref (changed->endpoint);
  changed->endpoint = endpoint;
  endpoint->affinity = SWARM_AFFINITY_CLIENT;
  g_assert_true (brain_update (world->brain, &id, changed, NULL));
  brain_run (world->brain, SECOND);
  for (guint i = 0; i < NODES; i++) {
    const SwarmPictureService *row = row_of (world->pictures[i], SWARM_KIND_SERVICE, &id);
    g_assert_true (row->affinity);
    g_assert_cmpuint (n_networks (row->networks), ==, i < 2 ? 2 : 1);
  }
}

/* ---- how it is told ---- */

/* A node that ceases to see a large network forgets it in parts, and nothing else; what happens meanwhile it hears all the same. */
static void
test_leaves_large (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  Picture *one = world->pictures[0], *two = world->pictures[1];
  make_large_network (world, "large");
  SwarmId small = make_network (world, "small");
  SwarmId many = create_in (world, "many", "large", "n2", 240), more = create_in (world, "more", "large", "n3", 240);
  SwarmId own = create_in (world, "own", "large", "n1", 1), stays = create_in (world, "stays", "small", "n1", 2);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 240 + 240 + 1 + 2);
  guint wholes = one->wholes;
  g_assert_true (brain_remove (brain, &own, NULL));
  g_assert_true (brain_scale (brain, &stays, 3, NULL));
  g_assert_true (brain_scale (brain, &many, 200, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 3);
  g_assert_cmpuint (n_rows (two, SWARM_KIND_TASK), ==, 200 + 240);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 1);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NETWORK), ==, 1 + 1);
  g_assert_nonnull (row_of (one, SWARM_KIND_NETWORK, &small));
  g_assert_cmpuint (one->wholes, ==, wholes);
  /* From then on what goes on there is nothing to it. */
  guint calls = one->calls;
  g_assert_true (brain_scale (brain, &many, 190, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (one->calls, ==, calls);
  g_assert_true (brain_scale (brain, &many, 200, NULL));
  brain_run (brain, 5 * SECOND);
  /* And comes back. */
  own = create_in (world, "again", "large", "n1", 1);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 200 + 240 + 1 + 3);
  g_assert_nonnull (row_of (one, SWARM_KIND_SERVICE, &more));
}

/* Whom a node meets elsewhere too, without a mesh, stays known to it in each of those parts. */
static void
test_leaves_large_alone (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  Picture *one = world->pictures[0];
  const SwarmNetwork *ingress = swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, "ingress");
  swarm_control_remove_network (swarm_manager_control (brain->manager), &ingress->object.id, NULL, removed, NULL);
  brain_run (brain, SECOND);
  make_large_network (world, "large");
  make_network (world, "small");
  create_in (world, "many", "large", "n2", 240);
  create_in (world, "more", "large", "n3", 240);
  SwarmId own = create_in (world, "own", "large", "n1", 1);
  create_in (world, "stays", "small", "n1", 1);
  create_in (world, "other", "small", "n2", 1);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, 3);
  g_assert_true (brain_remove (brain, &own, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 2);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_NODE), ==, 2);
  g_assert_null (row_of (one, SWARM_KIND_NODE, &brain_tame (brain, 2)->id));
}

/* Two read a list from its beginning in one turn: one to hear what is gone, the other for the first time. */
static void
test_leaves_and_comes (void)
{
  g_autoptr (World) world = world_new ();
  Picture *one = world->pictures[0], *three = world->pictures[2];
  SwarmId back = make_network (world, "back"), a = create_in (world, "a", "back", "n1", 1);
  create_in (world, "b", "back", "n2", 1);
  one->slow = three->slow = TRUE;
  SwarmServiceSpec *spec = brain_spec ("web", 1);
  publish (spec, 80);
  create (world, spec);
  g_assert_cmpuint (one->waiting->len, ==, 1);
  g_assert_cmpuint (three->waiting->len, ==, 1);
  g_assert_true (brain_remove (world->brain, &a, NULL));
  SwarmId c = create_in (world, "c", "back", "n3", 1);
  brain_run (world->brain, 2 * SECOND);
  one->slow = three->slow = FALSE;
  picture_answer (three);
  picture_answer (one);
  brain_run (world->brain, SECOND);
  g_assert_null (row_of (one, SWARM_KIND_NETWORK, &back));
  g_assert_null (row_of (one, SWARM_KIND_SERVICE, &a));
  g_assert_null (row_of (one, SWARM_KIND_SERVICE, &c));
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 1);
  g_assert_nonnull (row_of (three, SWARM_KIND_NETWORK, &back));
  g_assert_nonnull (row_of (three, SWARM_KIND_SERVICE, &c));
}

static void
test_parts (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  SwarmId id = create_in (world, "many", "back", NULL, 240);
  SwarmId more = make_network (world, "more"), second = create_in (world, "others", "more", NULL, 240);
  Picture *one = world->pictures[0];
  brain_run (world->brain, 5 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 480);
  g_assert_cmpuint (one->wholes, ==, 1); /* a small one, at the beginning */
  tame_reconnect (world->brain, brain_tame (world->brain, 0));
  g_assert_cmpuint (one->wholes, ==, 2);
  g_assert_cmpuint (one->parts, >, 0);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 480);
  /* A new leader tells it anew. */
  brain_restart (world->brain);
  for (guint i = 0; i < NODES; i++)
    tame_connect (brain_tame (world->brain, i));
  brain_run (world->brain, 5 * SECOND);
  g_assert_cmpuint (one->wholes, ==, 3);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 480);
  g_assert_nonnull (row_of (one, SWARM_KIND_SERVICE, &id));
  g_assert_nonnull (row_of (one, SWARM_KIND_SERVICE, &second));
  g_assert_nonnull (row_of (one, SWARM_KIND_NETWORK, &more));
}

/* What was the last to come, and is the next to go. */
static void
test_came_last_goes_first (void)
{
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  Tame *three = brain_tame (brain, 2);
  Picture *one = world->pictures[0];
  BrainOutcome out = { 0 };
  SwarmId id = SWARM_ID_NIL;
  const SwarmNetwork *ingress = swarm_store_get_by_name (brain->store, SWARM_KIND_NETWORK, "ingress");
  swarm_control_remove_network (swarm_manager_control (brain->manager), &ingress->object.id, NULL, removed, NULL);
  brain_run (brain, SECOND);
  SwarmId back = make_network (world, "back");
  change_network (world, &back, TRUE, FALSE);
  create_in (world, "a", "back", "n1", 1);
  three->lazy = TRUE;
  swarm_control_attach (swarm_manager_control (brain->manager), &three->id, "1111111111111111111111111111111111111111111111111111111111111111", "c", "back",
                        NULL, made, &id);
  brain_run (brain, SECOND);
  g_assert_nonnull (row_of (one, SWARM_KIND_TASK, &id));
  g_assert_nonnull (row_of (one, SWARM_KIND_NODE, &three->id));
  swarm_control_detach (swarm_manager_control (brain->manager), &three->id, &id, NULL, brain_outcome, &out);
  brain_run (brain, SECOND);
  g_assert_no_error (out.error);
  g_free (out.text);
  tame_report (three, &id, SWARM_TASK_SHUTDOWN, NULL);
  brain_run (brain, SECOND);
  g_assert_null (row_of (one, SWARM_KIND_TASK, &id));
  g_assert_null (row_of (one, SWARM_KIND_NODE, &three->id));
}

/* No call is as large as it likes. */
static void
test_large_rows (void)
{
  g_autoptr (World) world = world_new ();
  Picture *one = world->pictures[0];
  SwarmId back = make_large_network (world, "back");
  create_in (world, "a", "back", "n1", 1);
  for (guint i = 0; i < 250; i++) {
    g_autofree char *name = g_strdup_printf ("s%u", i);
    SwarmServiceSpec *spec = brain_spec (name, 0);
    attach (spec, "back", NULL);
    SwarmNetworkAttachmentConfig *config = g_ptr_array_index (spec->task->networks, 0);
    config->aliases = swarm_strings_new ();
    for (guint n = 0; n < 90; n++)
      g_ptr_array_add (config->aliases, g_strdup_printf ("%060u", n));
    brain_create (world->brain, spec);
    swarm_service_spec_unref (spec);
  }
  brain_run (world->brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 251);
  guint wholes = one->wholes;
  tame_reconnect (world->brain, brain_tame (world->brain, 0));
  g_assert_cmpuint (one->wholes, ==, wholes + 1);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_SERVICE), ==, 251);
  g_assert_cmpuint (one->largest, >, 1000 * 1000);
  g_assert_cmpuint (one->largest, <, 1024 * 1024 + 8000);
  g_assert_nonnull (row_of (one, SWARM_KIND_NETWORK, &back));
}

/* A whole ends also where the last that happened is over and forgotten. */
static void
test_whole_after_removal (void)
{
  g_autoptr (World) world = world_new ();
  Picture *one = world->pictures[0];
  make_network (world, "back");
  SwarmId a = create_in (world, "a", "back", "n1", 1), b = create_in (world, "b", "back", "n1", 1);
  g_assert_true (brain_remove (world->brain, &b, NULL));
  brain_run (world->brain, 5 * SECOND);
  guint wholes = one->wholes;
  tame_reconnect (world->brain, brain_tame (world->brain, 0));
  g_assert_cmpuint (one->wholes, ==, wholes + 1);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 1);
  g_assert_nonnull (row_of (one, SWARM_KIND_SERVICE, &a));
  guint calls = one->calls;
  brain_run (world->brain, 5 * SECOND);
  g_assert_cmpuint (one->calls, ==, calls);
}

/* What changes nothing for a node is not told. */
static void
test_quiet (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  make_network (world, "front");
  create_in (world, "a", "back", "n1", 1);
  SwarmId b = create_in (world, "b", "front", "n2", 1);
  guint calls = world->pictures[0]->calls;
  g_autoptr (SwarmServiceSpec) plain = brain_spec ("plain", 5);
  brain_create (world->brain, plain);
  g_assert_true (brain_scale (world->brain, &b, 4, NULL));
  brain_run (world->brain, 5 * SECOND);
  g_assert_cmpuint (world->pictures[0]->calls, ==, calls);
  /* Nor what a node says of itself that has nothing to do with networks. */
  static const char *const drivers[] = { "overlay", NULL };
  brain_tame (world->brain, 1)->network_drivers = drivers;
  g_assert_no_error (tame_describe (brain_tame (world->brain, 1)));
  brain_run (world->brain, 5 * SECOND);
  g_assert_cmpuint (world->pictures[0]->calls, ==, calls);
}

static void
test_refused (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  SwarmId id = create_in (world, "a", "back", "n1", 1);
  Picture *one = world->pictures[0];
  one->refuses = TRUE;
  g_assert_true (brain_scale (world->brain, &id, 3, NULL));
  brain_run (world->brain, 2 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 1);
  one->refuses = FALSE;
  brain_run (world->brain, 10 * SECOND);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 3);
  g_assert_cmpuint (one->wholes, ==, 2);
  /* It is tried less and less often; once it takes it, all is as in the beginning. */
  for (guint i = 0; i < 2; i++) {
    guint calls = one->calls, wholes = one->wholes;
    one->refuses = TRUE;
    g_assert_true (brain_scale (world->brain, &id, 4 + i, NULL));
    brain_run (world->brain, 20 * SECOND);
    g_assert_cmpuint (one->calls, >=, calls + 5); /* after 0, 0.5, 1.5, 3.5, 7.5, 15.5 s */
    g_assert_cmpuint (one->calls, <=, calls + 6);
    one->refuses = FALSE;
    brain_run (world->brain, 20 * SECOND);
    g_assert_cmpuint (one->wholes, ==, wholes + 1);
    g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 4 + i);
  }
}

/* The node counts what it took of a whole that it refused half-way for the next one, too; what went meanwhile may be told by neither. */
static void
test_refused_half_way (void)
{
  g_autoptr (World) world = world_new ();
  Tame *node = brain_tame (world->brain, 0);
  Picture *one = world->pictures[0];
  make_network (world, "back");
  make_network (world, "more");
  create_in (world, "many", "back", NULL, 240);
  create_in (world, "others", "more", NULL, 240);
  brain_run (world->brain, 5 * SECOND);
  guint wholes = one->wholes;
  tame_disconnect (node);
  tame_connect (node);
  one->slow = TRUE;
  while (one->waiting->len == 0)
    brain_run (world->brain, MS);
  g_assert_cmpuint (one->parts, ==, 1);
  one->slow = FALSE;
  one->refuses = TRUE;
  picture_answer (one);
  brain_run (world->brain, 100 * MS);
  one->refuses = FALSE;
  brain_run (world->brain, 10 * SECOND);
  g_assert_cmpuint (one->wholes, ==, wholes + 2);
  g_assert_cmpuint (n_rows (one, SWARM_KIND_TASK), ==, 480);
  guint calls = one->calls;
  brain_run (world->brain, 10 * SECOND);
  g_assert_cmpuint (one->calls, ==, calls);
}

/* An agent of before there were networks. */
static void
test_old_agent (void)
{
  g_autoptr (World) world = world_new ();
  Tame *one = brain_tame (world->brain, 0);
  one->level = 1;
  tame_reconnect (world->brain, one);
  make_network (world, "back");
  create_in (world, "a", "back", "n1", 1);
  g_assert_cmpuint (world->pictures[0]->calls, ==, 0);
}

/* ---- who goes leaves names and balancing first ---- */

static gboolean
is_told_to_stop (Tame *tame, const SwarmId *task)
{
  const SwarmTask *told = g_hash_table_lookup (tame->tasks, task);
  return told == NULL || told->desired_state > SWARM_TASK_RUNNING;
}

static void
test_stops_last (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  SwarmId a = create_in (world, "a", "back", "n1", 1);
  create_in (world, "b", "back", "n2", 1);
  SwarmId task = newest_task (world->brain, &a, 1)->object.id;
  Tame *one = brain_tame (world->brain, 0);
  Picture *two = world->pictures[1];
  two->slow = TRUE;
  g_assert_true (brain_scale (world->brain, &a, 0, NULL));
  brain_run (world->brain, 500 * MS);
  g_assert_cmpuint (two->waiting->len, ==, 1);
  g_assert_false (((SwarmPictureTask *) row_of (two, SWARM_KIND_TASK, &task))->ready);
  g_assert_false (is_told_to_stop (one, &task));
  picture_answer (two);
  brain_run (world->brain, 50 * MS);
  g_assert_true (is_told_to_stop (one, &task));
}

/* One that does not answer holds it up for a second. */
static void
test_stops_in_the_end (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  SwarmId a = create_in (world, "a", "back", "n1", 2);
  create_in (world, "b", "back", "n2", 1);
  SwarmId task = newest_task (world->brain, &a, 2)->object.id;
  Tame *one = brain_tame (world->brain, 0);
  world->pictures[1]->slow = TRUE;
  g_assert_true (brain_scale (world->brain, &a, 1, NULL));
  brain_run (world->brain, 300 * MS);
  SwarmId other = newest_task (world->brain, &a, 1)->object.id;
  g_assert_false (is_told_to_stop (one, &task));
  g_assert_false (is_told_to_stop (one, &other));
  brain_run (world->brain, 1500 * MS);
  g_assert_cmpint (is_told_to_stop (one, &task) + is_told_to_stop (one, &other), ==, 1);
  /* It is gone: nobody waits for it, and it holds up nothing. */
  tame_disconnect (brain_tame (world->brain, 1));
  picture_answer (world->pictures[1]);
  g_assert_true (brain_remove (world->brain, &a, NULL));
  brain_run (world->brain, 100 * MS);
  g_assert_true (is_told_to_stop (one, &task) && is_told_to_stop (one, &other));
}

/* In a new session, too: by the list of all that is assigned it would hear it at once. Others may have been told by nobody yet. */
static void
test_stops_last_after_return (void)
{
  g_autoptr (World) world = world_new ();
  make_network (world, "back");
  SwarmId a = create_in (world, "a", "back", "n1", 1);
  create_in (world, "b", "back", "n2", 1);
  SwarmId task = newest_task (world->brain, &a, 1)->object.id;
  Tame *one = brain_tame (world->brain, 0);
  guint fulls = one->fulls;
  tame_disconnect (one);
  g_assert_true (brain_scale (world->brain, &a, 0, NULL));
  tame_connect (one);
  brain_run (world->brain, 500 * MS);
  g_assert_cmpuint (one->fulls, ==, fulls + 1);
  g_assert_false (is_told_to_stop (one, &task));
  brain_run (world->brain, SECOND);
  g_assert_true (is_told_to_stop (one, &task));
  g_assert_cmpuint (one->fulls, ==, fulls + 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/picture/nothing", test_nothing);
  g_test_add_func ("/picture/own-networks-only", test_own_networks_only);
  g_test_add_func ("/picture/container", test_container);
  g_test_add_func ("/picture/mesh", test_mesh);
  g_test_add_func ("/picture/out-of-mesh", test_out_of_mesh);
  g_test_add_func ("/picture/node-down", test_node_down);
  g_test_add_func ("/picture/two-networks", test_two_networks);
  g_test_add_func ("/picture/network-changes", test_network_changes);
  g_test_add_func ("/picture/mesh-ends", test_mesh_ends);
  g_test_add_func ("/picture/halves", test_halves);
  g_test_add_func ("/picture/leaves-large", test_leaves_large);
  g_test_add_func ("/picture/leaves-large-alone", test_leaves_large_alone);
  g_test_add_func ("/picture/leaves-and-comes", test_leaves_and_comes);
  g_test_add_func ("/picture/parts", test_parts);
  g_test_add_func ("/picture/came-last-goes-first", test_came_last_goes_first);
  g_test_add_func ("/picture/large-rows", test_large_rows);
  g_test_add_func ("/picture/whole-after-removal", test_whole_after_removal);
  g_test_add_func ("/picture/quiet", test_quiet);
  g_test_add_func ("/picture/refused", test_refused);
  g_test_add_func ("/picture/refused-half-way", test_refused_half_way);
  g_test_add_func ("/picture/stops-last-after-return", test_stops_last_after_return);
  g_test_add_func ("/picture/old-agent", test_old_agent);
  g_test_add_func ("/picture/stops-last", test_stops_last);
  g_test_add_func ("/picture/stops-in-the-end", test_stops_in_the_end);
  return g_test_run ();
}
