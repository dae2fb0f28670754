// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keys of encrypted networks: who is told whose, and who may run what is in such a network. */
#include "picture-bed.h"

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
  g_test_add_func ("/picture-keys/keys", test_keys);
  g_test_add_func ("/picture-keys/keys-before-mesh", test_keys_before_mesh);
  g_test_add_func ("/picture-keys/bad-keys", test_bad_keys);
  g_test_add_func ("/picture-keys/encrypted-placement", test_encrypted_placement);
  return g_test_run ();
}
