// SPDX-License-Identifier: LGPL-2.1-or-later
/* What nodes are told of the cluster's networks: what concerns them, no more, whole and then by changes; and who is told first when a task goes. */
#include "base/error.h"
#include "brain-fixture.h"
#include "model/picture.h"
#include <string.h>

/* ---- a node that takes pictures ---- */

typedef struct {
  GHashTable *rows[_SWARM_KIND_MAX]; /* id → row */
  GHashTable *stash[_SWARM_KIND_MAX];
  guint64 sequence;
  guint calls, parts, wholes;
  gsize largest; /* of them, in bytes */
  gboolean slow; /* answers only when the test says so */
  gboolean refuses;
  GPtrArray *waiting; /* SwarmCall */
} Picture;

static const SwarmKind kinds[] = { SWARM_KIND_NODE, SWARM_KIND_NETWORK, SWARM_KIND_SERVICE, SWARM_KIND_TASK };

static GHashTable *
rows_new (void)
{
  return g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, swarm_message_unref);
}

static void
take_rows (GHashTable *const *into, GVariant *rows)
{
  gsize size, length;
  const guint8 *at = g_variant_get_fixed_array (rows, &size, 1), *end = at + size, *data;
  guchar kind;
  while (swarm_picture_unpack (&at, end, &kind, &data, &length, NULL)) {
    g_autoptr (GBytes) bytes = g_bytes_new (data, length);
    gpointer row = swarm_message_decode (swarm_picture_type (kind), bytes, NULL);
    g_assert_nonnull (row);
    g_hash_table_replace (into[kind], g_memdup2 (swarm_picture_id (row), sizeof (SwarmId)), row);
  }
  g_assert_true (at == end);
}

static void
drop_rows (GHashTable *const *from, GVariant *removed)
{
  gsize size, length;
  const guint8 *at = g_variant_get_fixed_array (removed, &size, 1), *end = at + size, *data;
  guchar kind;
  while (swarm_picture_unpack (&at, end, &kind, &data, &length, NULL)) {
    g_assert_cmpuint (length, ==, sizeof (SwarmId));
    g_hash_table_remove (from[kind], data); /* what went from two networks is told of twice */
  }
  g_assert_true (at == end);
}

static void
picture_take (Tame *tame, SwarmCall *call)
{
  Picture *self = tame->picture;
  g_autoptr (GVariant) session = NULL, rows = NULL, removed = NULL;
  guint64 sequence;
  gboolean full;
  self->calls++;
  if (self->refuses) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "no");
    swarm_call_fail (call, error);
    return;
  }
  g_assert_true (g_variant_is_of_type (call->args, G_VARIANT_TYPE (SWARM_PICTURE_SIGNATURE)));
  g_variant_get (call->args, "(@aytb@ay@ay)", &session, &sequence, &full, &rows, &removed);
  g_assert_true (full ? sequence <= 1 : sequence == self->sequence + 1);
  self->sequence = sequence;
  for (guint i = 0; full && self->stash[SWARM_KIND_NODE] == NULL && i < G_N_ELEMENTS (kinds); i++) {
    g_hash_table_unref (self->rows[kinds[i]]);
    self->rows[kinds[i]] = rows_new ();
  }
  for (guint i = 0; full && i < G_N_ELEMENTS (kinds); i++)
    self->stash[kinds[i]] = sequence == 0 ? self->rows[kinds[i]] : NULL;
  self->parts += full && sequence == 0;
  self->wholes += full && sequence == 1;
  self->largest = MAX (self->largest, g_variant_get_size (call->args));
  drop_rows (self->rows, removed);
  take_rows (self->rows, rows);
  if (self->slow)
    g_ptr_array_add (self->waiting, call);
  else
    swarm_call_return (call, NULL);
}

static void
picture_answer (Picture *self)
{
  for (guint i = 0; i < self->waiting->len; i++)
    swarm_call_return (g_ptr_array_index (self->waiting, i), NULL);
  g_ptr_array_set_size (self->waiting, 0);
}

static void
tame_reconnect (Brain *brain, Tame *tame)
{
  tame_disconnect (tame);
  tame_connect (tame);
  brain_run (brain, SECOND);
}

static Picture *
picture_of (Brain *brain, Tame *tame)
{
  Picture *self = g_new0 (Picture, 1);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    self->rows[kinds[i]] = rows_new ();
  self->waiting = g_ptr_array_new ();
  tame->picture = self;
  tame->networks = picture_take;
  tame->level = 2;
  tame_reconnect (brain, tame);
  return self;
}

static void
picture_free (Picture *self)
{
  picture_answer (self);
  g_ptr_array_unref (self->waiting);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_hash_table_unref (self->rows[kinds[i]]);
  g_free (self);
}

static guint
n_rows (const Picture *self, SwarmKind kind)
{
  return g_hash_table_size (self->rows[kind]);
}

static gpointer
row_of (const Picture *self, SwarmKind kind, const SwarmId *id)
{
  return g_hash_table_lookup (self->rows[kind], id);
}

/* ---- the cluster ---- */

#define NODES 3

typedef struct {
  Brain *brain;
  Picture *pictures[NODES];
} World;

static World *
world_new (void)
{
  World *self = g_new0 (World, 1);
  self->brain = brain_new ();
  for (guint i = 0; i < NODES; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i + 1);
    self->pictures[i] = picture_of (self->brain, brain_node (self->brain, name));
  }
  return self;
}

static void
world_free (World *self)
{
  for (guint i = 0; i < NODES; i++) {
    brain_tame (self->brain, i)->networks = NULL;
    picture_free (self->pictures[i]);
  }
  brain_free (self->brain);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static void
made (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  *(SwarmId *) data = reply->id;
}

static SwarmId
create_network (World *world, SwarmNetworkSpec *spec)
{
  SwarmId id = SWARM_ID_NIL;
  swarm_control_create_network (swarm_manager_control (world->brain->manager), spec, NULL, made, &id);
  brain_run (world->brain, SECOND);
  return id;
}

static SwarmId
make_network_with (World *world, const char *name, const char *option)
{
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  spec->name = g_strdup (name);
  if (option != NULL) {
    spec->options = swarm_map_new ();
    g_hash_table_insert (spec->options, g_strdup (option), g_strdup (""));
  }
  return create_network (world, spec);
}

static SwarmId
make_large_network (World *world, const char *name)
{
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  SwarmIPAMConfig *config = swarm_ipam_config_new ();
  spec->name = g_strdup (name);
  config->subnet = g_strdup ("10.77.0.0/20");
  spec->ipam = swarm_ipam_new ();
  spec->ipam->config = swarm_messages_new ();
  g_ptr_array_add (spec->ipam->config, config);
  return create_network (world, spec);
}

static SwarmId
make_network (World *world, const char *name)
{
  return make_network_with (world, name, NULL);
}

static void
attach (SwarmServiceSpec *spec, const char *network, const char *alias)
{
  SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
  config->target = g_strdup (network);
  if (alias != NULL) {
    config->aliases = swarm_strings_new ();
    g_ptr_array_add (config->aliases, g_strdup (alias));
  }
  if (spec->task->networks == NULL)
    spec->task->networks = swarm_messages_new ();
  g_ptr_array_add (spec->task->networks, config);
}

static void
place_on (SwarmServiceSpec *spec, const char *host)
{
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (spec->task->placement->constraints, g_strdup_printf ("node.hostname==%s", host));
}

static void
publish (SwarmServiceSpec *spec, guint port)
{
  spec_host_port (spec, port);
  ((SwarmPortConfig *) g_ptr_array_index (spec->endpoint->ports, spec->endpoint->ports->len - 1))->publish_mode = SWARM_PUBLISH_INGRESS;
}

static SwarmId
create (World *world, SwarmServiceSpec *spec)
{
  SwarmId id = brain_create (world->brain, spec);
  swarm_service_spec_unref (spec);
  brain_run (world->brain, SECOND);
  return id;
}

static SwarmId
create_in (World *world, const char *name, const char *network, const char *host, guint replicas)
{
  SwarmServiceSpec *spec = brain_spec (name, replicas);
  attach (spec, network, NULL);
  if (host != NULL)
    place_on (spec, host);
  return create (world, spec);
}

static const char *
address_in (const GPtrArray *networks, const SwarmId *network)
{
  for (guint i = 0; networks != NULL && i < networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (networks, i);
    if (swarm_id_equal (&attachment->network, network))
      return attachment->addresses != NULL ? g_ptr_array_index (attachment->addresses, 0) : "";
  }
  return NULL;
}

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

static void
removed (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
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

static void
add_key (Tame *tame, guint64 slot, guint8 byte)
{
  guint8 bytes[SWARM_NETWORK_KEY_SIZE] = { byte };
  SwarmNetworkKey *key = swarm_network_key_new ();
  key->slot = slot;
  key->newest = TRUE;
  key->key = g_bytes_new (bytes, sizeof bytes);
  if (tame->keys == NULL)
    tame->keys = swarm_messages_new ();
  g_ptr_array_add (tame->keys, key);
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

/* ---- keys of encrypted networks ---- */

/* "1 2": the first bytes of the keys that @one knows of @other. */
static char *
keys_known (World *world, guint one, guint other)
{
  const SwarmPictureNode *row = row_of (world->pictures[one], SWARM_KIND_NODE, &brain_tame (world->brain, other)->id);
  GString *text = g_string_new (row == NULL ? "no row" : "");
  for (guint i = 0; row != NULL && row->keys != NULL && i < row->keys->len; i++) {
    const SwarmNetworkKey *key = g_ptr_array_index (row->keys, i);
    g_string_append_printf (text, "%s%u", i > 0 ? " " : "", *(const guint8 *) g_bytes_get_data (key->key, NULL));
  }
  return g_string_free (text, FALSE);
}

static void
assert_keys (World *world, guint one, guint other, const char *wanted)
{
  g_autofree char *known = keys_known (world, one, other);
  g_assert_cmpstr (known, ==, wanted);
}

/* Each knows those of whom it is in an encrypted network with, and of nobody else; a new one within a moment. */
static void
test_keys (void)
{
  g_autoptr (World) world = world_new ();
  make_network_with (world, "safe", "encrypted");
  make_network (world, "plain");
  SwarmServiceSpec *both = brain_spec ("both", 1);
  attach (both, "safe", NULL);
  attach (both, "plain", NULL);
  place_on (both, "n1");
  create (world, both);
  create_in (world, "a", "safe", "n2", 1);
  create_in (world, "b", "plain", "n3", 1);
  for (guint i = 0; i < NODES; i++) {
    add_key (brain_tame (world->brain, i), 0, (guint8) (i + 1));
    g_assert_no_error (tame_describe (brain_tame (world->brain, i)));
  }
  assert_keys (world, 0, 1, "2");
  assert_keys (world, 1, 0, "1");
  assert_keys (world, 0, 2, "");
  assert_keys (world, 2, 0, "");
  assert_keys (world, 0, 0, "");
  g_assert_cmpuint (tame_node (brain_tame (world->brain, 2))->description->network_keys->len, ==, 1);
  brain_run (world->brain, SECOND);
  add_key (brain_tame (world->brain, 1), 1, 7);
  g_assert_no_error (tame_describe (brain_tame (world->brain, 1)));
  assert_keys (world, 0, 1, "2 7");
  brain_run (world->brain, SECOND);
  g_ptr_array_remove_index (brain_tame (world->brain, 1)->keys, 0);
  g_assert_no_error (tame_describe (brain_tame (world->brain, 1)));
  assert_keys (world, 0, 1, "7");
  /* n3 comes into it, too; n1 leaves it. */
  SwarmId c = create_in (world, "c", "safe", "n3", 1);
  assert_keys (world, 2, 0, "1");
  assert_keys (world, 2, 1, "7");
  assert_keys (world, 0, 2, "3");
  g_assert_true (brain_remove (world->brain, &c, NULL));
  brain_run (world->brain, 2 * SECOND);
  assert_keys (world, 2, 0, "");
  assert_keys (world, 0, 2, "");
}

/* A mesh that comes later changes nothing of it. */
static void
test_keys_before_mesh (void)
{
  g_autoptr (World) world = world_new ();
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  const SwarmNetwork *ingress = swarm_store_get_by_name (world->brain->store, SWARM_KIND_NETWORK, "ingress");
  swarm_control_remove_network (swarm_manager_control (world->brain->manager), &ingress->object.id, NULL, removed, NULL);
  brain_run (world->brain, SECOND);
  make_network_with (world, "safe", "encrypted");
  create_in (world, "a", "safe", "n1", 1);
  create_in (world, "b", "safe", "n2", 1);
  spec->name = g_strdup ("mesh");
  spec->ingress = TRUE;
  create_network (world, spec);
  for (guint i = 0; i < NODES; i++) {
    add_key (brain_tame (world->brain, i), 0, (guint8) (i + 1));
    g_assert_no_error (tame_describe (brain_tame (world->brain, i)));
  }
  brain_run (world->brain, SECOND);
  g_assert_nonnull (((const SwarmPictureNode *) row_of (world->pictures[0], SWARM_KIND_NODE, &brain_tame (world->brain, 2)->id))->ingress_address);
  assert_keys (world, 0, 1, "2");
  assert_keys (world, 1, 0, "1");
  assert_keys (world, 0, 0, "");
  assert_keys (world, 0, 2, "");
  assert_keys (world, 2, 0, "");
}

static void
assert_refused (Tame *tame, const char *words)
{
  const GError *error = tame_describe (tame);
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_bad_keys (void)
{
  g_autoptr (World) world = world_new ();
  Tame *one = brain_tame (world->brain, 0);
  add_key (one, 0, 1);
  add_key (one, 0, 2);
  assert_refused (one, "one key in each slot");
  g_ptr_array_set_size (one->keys, 0);
  add_key (one, 2, 1);
  assert_refused (one, "slot 2 is not 0 or 1");
  g_ptr_array_set_size (one->keys, 0);
  add_key (one, 0, 0);
  assert_refused (one, "not all of them zero");
  g_ptr_array_set_size (one->keys, 0);
  add_key (one, 0, 1);
  SwarmNetworkKey *key = g_ptr_array_index (one->keys, 0);
  g_bytes_unref (key->key);
  key->key = g_bytes_new_static ("0123456789012345678901234567890", 31);
  assert_refused (one, "a public key has 32 bytes");
  g_assert_null (tame_node (one)->description->network_keys);
}

/* A node that cannot encrypt runs no such task. */
static void
test_encrypted_placement (void)
{
  static const char *const plain[] = { "overlay", NULL }, *const able[] = { "overlay", "overlay-encrypted", NULL };
  g_autoptr (World) world = world_new ();
  Brain *brain = world->brain;
  for (guint i = 0; i < NODES; i++) {
    brain_tame (brain, i)->network_drivers = plain;
    g_assert_no_error (tame_describe (brain_tame (brain, i)));
  }
  make_network_with (world, "safe", "encrypted");
  make_network (world, "plain");
  SwarmId open = create_in (world, "open", "plain", "n1", 1), secret = create_in (world, "secret", "safe", "n2", 2);
  g_assert_cmpint (newest_task (brain, &open, 1)->status->state, ==, SWARM_TASK_RUNNING);
  const SwarmTask *task = newest_task (brain, &secret, 1);
  g_assert_cmpint (task->status->state, ==, SWARM_TASK_PENDING);
  g_assert_nonnull (strstr (task->status->err, "missing plugin on 3 nodes"));
  g_assert_true (g_str_has_suffix (task->status->err, "an encrypted network needs a node with swarm-netd and WireGuard, the kernel's or wireguard-go"));
  brain_tame (brain, 1)->network_drivers = able;
  g_assert_no_error (tame_describe (brain_tame (brain, 1)));
  brain_run (brain, 2 * SECOND);
  g_assert_cmpint (newest_task (brain, &secret, 1)->status->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpint (newest_task (brain, &secret, 2)->status->state, ==, SWARM_TASK_RUNNING);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/picture/nothing", test_nothing);
  g_test_add_func ("/picture/own-networks-only", test_own_networks_only);
  g_test_add_func ("/picture/container", test_container);
  g_test_add_func ("/picture/mesh", test_mesh);
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
  g_test_add_func ("/picture/old-agent", test_old_agent);
  g_test_add_func ("/picture/keys", test_keys);
  g_test_add_func ("/picture/keys-before-mesh", test_keys_before_mesh);
  g_test_add_func ("/picture/bad-keys", test_bad_keys);
  g_test_add_func ("/picture/encrypted-placement", test_encrypted_placement);
  g_test_add_func ("/picture/stops-last", test_stops_last);
  g_test_add_func ("/picture/stops-in-the-end", test_stops_in_the_end);
  return g_test_run ();
}
