// SPDX-License-Identifier: LGPL-2.1-or-later
/* Nodes that take pictures of the cluster's networks from a leading manager, and services in networks. */
#pragma once
#pragma GCC diagnostic ignored "-Wunused-function" /* not every test needs all of it */
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

static void
removed (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
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
