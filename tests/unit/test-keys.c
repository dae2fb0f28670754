// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's keys at rest, and the text form of unlock keys. */
#include "base/error.h"
#include "base/random-system.h"
#include "ca/crypto.h"
#include "ca/unlock-key.h"
#include "daemon/state.h"
#include <string.h>

static SwarmKeys *
make_keys (SwarmKeysMode mode)
{
  SwarmRandom *random = swarm_random_system ();
  SwarmKeys *keys = swarm_keys_new ();
  keys->mode = mode;
  keys->cluster = swarm_random_id (random);
  keys->node = swarm_random_id (random);
  keys->version = 7;
  keys->kek = swarm_membership_new_key (random);
  keys->sealed_kek = mode == SWARM_KEYS_SEALED ? g_bytes_new ("credential", 10) : NULL;
  keys->node_key = g_bytes_new ("-----BEGIN PRIVATE KEY-----", 27);
  keys->data_key = swarm_membership_new_key (random);
  keys->data_number = 3;
  return keys;
}

static gboolean
contains (GBytes *file, GBytes *what)
{
  gsize n, m;
  const char *data = g_bytes_get_data (file, &n), *needle = g_bytes_get_data (what, &m);
  return memmem (data, n, needle, m) != NULL;
}

static void
test_file (void)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autoptr (SwarmKeys) keys = make_keys (SWARM_KEYS_FILE);
  g_autoptr (GBytes) file = swarm_keys_format (keys, crypto);
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmKeys) read = swarm_keys_parse (crypto, file, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_keys_is_open (read));
  g_assert_cmpuint (read->version, ==, 7);
  g_assert_true (g_bytes_equal (read->node_key, keys->node_key) && g_bytes_equal (read->data_key, keys->data_key));
  g_assert_cmpuint (read->data_number, ==, 3);
  g_assert_null (read->old_data_key);
  g_assert_true (contains (file, keys->kek));
  g_assert_false (contains (file, keys->node_key) || contains (file, keys->data_key));
}

/* Two data keys: the higher number is in use. */
static void
test_two_data_keys (void)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  membership->keys = make_keys (SWARM_KEYS_FILE);
  g_autoptr (GBytes) first = g_bytes_ref (membership->keys->data_key);
  g_assert_true (swarm_membership_new_data_key (membership, 3, swarm_random_system ()));
  g_autoptr (GBytes) file = swarm_keys_format (membership->keys, crypto);
  g_autoptr (SwarmKeys) read = swarm_keys_parse (crypto, file, NULL);
  g_assert_cmpuint (read->data_number, ==, 4);
  g_assert_cmpuint (read->old_data_number, ==, 3);
  g_assert_true (g_bytes_equal (read->old_data_key, first));
  g_assert_true (g_bytes_equal (read->data_key, membership->keys->data_key));
}

/* A change of keys begins before the one before has reached the log: the key that the log is sealed with stays in the file. */
static void
test_log_key_stays (void)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  membership->keys = make_keys (SWARM_KEYS_FILE);
  g_autoptr (GBytes) of_log = g_bytes_ref (membership->keys->data_key);
  g_assert_true (swarm_membership_new_data_key (membership, 3, swarm_random_system ()));
  g_assert_false (swarm_membership_new_data_key (membership, 3, swarm_random_system ()));
  g_autoptr (GBytes) file = swarm_keys_format (membership->keys, crypto);
  g_autoptr (SwarmKeys) read = swarm_keys_parse (crypto, file, NULL);
  g_assert_cmpuint (read->old_data_number, ==, 3);
  g_assert_true (g_bytes_equal (read->old_data_key, of_log));
  g_assert_true (swarm_membership_new_data_key (membership, 4, swarm_random_system ())); /* now it has */
  g_assert_cmpuint (membership->keys->data_number, ==, 5);
}

static void
test_closed (gconstpointer data)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autoptr (SwarmKeys) keys = make_keys (GPOINTER_TO_INT (data));
  g_autoptr (GBytes) file = swarm_keys_format (keys, crypto);
  g_autoptr (GBytes) other = swarm_membership_new_key (swarm_random_system ());
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmKeys) read = swarm_keys_parse (crypto, file, &error);
  g_assert_no_error (error);
  g_assert_false (swarm_keys_is_open (read));
  g_assert_cmpint (read->mode, ==, keys->mode);
  g_assert_false (contains (file, keys->kek) || contains (file, keys->node_key) || contains (file, keys->data_key));
  g_assert_false (swarm_keys_open (read, crypto, other, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (error->message, ==, "swarm could not be unlocked: invalid key provided");
  g_assert_false (swarm_keys_is_open (read));
  g_clear_error (&error);
  g_assert_true (swarm_keys_open (read, crypto, keys->kek, &error));
  g_assert_true (g_bytes_equal (read->node_key, keys->node_key) && g_bytes_equal (read->data_key, keys->data_key));
  g_autoptr (GBytes) again = swarm_keys_format (read, crypto);
  g_assert_cmpuint (g_bytes_get_size (again), ==, g_bytes_get_size (file));
}

/* Each flipped bit and each cut is noticed as damage, and never crashes. */
static void
test_damage (void)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autoptr (SwarmKeys) keys = make_keys (SWARM_KEYS_LOCKED);
  g_autoptr (GBytes) file = swarm_keys_format (keys, crypto);
  gsize size;
  const guint8 *data = g_bytes_get_data (file, &size);
  for (gsize i = 0; i < size; i++) {
    g_autofree guint8 *copy = g_memdup2 (data, size);
    copy[i] ^= 1 << (i % 8);
    g_autoptr (GBytes) bad = g_bytes_new (copy, size), cut = g_bytes_new (data, i);
    g_autoptr (GError) error = NULL, short_error = NULL;
    g_autoptr (SwarmKeys) flipped = swarm_keys_parse (crypto, bad, &error);
    g_autoptr (SwarmKeys) shortened = swarm_keys_parse (crypto, cut, &short_error);
    g_assert_true (flipped == NULL && shortened == NULL);
    g_assert_nonnull (strstr (error->message, "damaged"));
    g_assert_nonnull (strstr (short_error->message, "damaged"));
  }
}

static void
test_unlock_key (void)
{
  static const char *const bad[] = {
    "", "SWMKEY-1-", "SWMKEY-2-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "SWMKEY-1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "SWMKEY-1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "SWMKEY-1-AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA",
  };
  g_autoptr (GBytes) key = swarm_membership_new_key (swarm_random_system ());
  g_autofree char *text = swarm_unlock_key_format (key);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) parsed = swarm_unlock_key_parse (text, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (text), ==, 52);
  g_assert_true (g_bytes_equal (parsed, key));
  g_assert_null (swarm_unlock_key_parse (NULL, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) why = NULL;
    g_assert_null (swarm_unlock_key_parse (bad[i], &why));
    g_assert_cmpstr (why->message, ==, "swarm could not be unlocked: invalid key provided");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/keys/file", test_file);
  g_test_add_func ("/keys/two-data-keys", test_two_data_keys);
  g_test_add_func ("/keys/log-key-stays", test_log_key_stays);
  g_test_add_data_func ("/keys/locked", GINT_TO_POINTER (SWARM_KEYS_LOCKED), test_closed);
  g_test_add_data_func ("/keys/sealed", GINT_TO_POINTER (SWARM_KEYS_SEALED), test_closed);
  g_test_add_func ("/keys/damage", test_damage);
  g_test_add_func ("/keys/unlock-key", test_unlock_key);
  return g_test_run ();
}
