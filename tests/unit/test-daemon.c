// SPDX-License-Identifier: LGPL-2.1-or-later
/* Configuration, addresses and the membership's files. */
#include "base/error.h"
#include "base/log.h"
#include "base/random-system.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "daemon/address.h"
#include "daemon/config.h"
#include "model/objects.h"
#include "daemon/disk-file.h"
#include "daemon/leftovers.h"
#include "daemon/state.h"
#include <glib/gstdio.h>
#include <string.h>

static GString *logged;

static void
collect (int priority, const SwarmLogField *fields, const char *message, gpointer data)
{
  g_string_append_printf (logged, "%s\n", message);
}

static char *
temp_dir (void)
{
  return g_dir_make_tmp ("swarm-daemon-XXXXXX", NULL);
}

static void
test_config_bad_lines (void)
{
  g_autofree char *dir = temp_dir (), *path = g_build_filename (dir, "agent.conf", NULL);
  g_autoptr (SwarmConfig) config = swarm_config_new_defaults ();
  g_autoptr (GError) error = NULL;
  const char *text = "# comment\n[Agent]\nListenAddress = 10.0.0.1:2400\nNoSuchKey=1\nIdleExitSec=soon\nnonsense\n"
                     "[Labels]\nzone=a\n[runtime-podman]\nRegistryTimeout=3\n[Oops]\nx=1\n";
  logged = g_string_new (NULL);
  swarm_log_set_handler (collect, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_true (swarm_config_read_file (config, path, &error));
  g_assert_cmpstr (config->listen, ==, "10.0.0.1:2400");
  g_assert_cmpstr (g_hash_table_lookup (config->labels, "zone"), ==, "a");
  g_assert_cmpstr (g_hash_table_lookup (config->plugin_values, "runtime-podman\nRegistryTimeout"), ==, "3");
  g_assert_cmpuint (config->idle_exit_s, ==, 60);
  g_assert_cmpuint (config->n_bad_lines, ==, 5);
  g_assert_nonnull (strstr (logged->str, "agent.conf:4: unknown key NoSuchKey="));
  g_assert_nonnull (strstr (logged->str, "agent.conf:5: \"soon\""));
  g_assert_nonnull (strstr (logged->str, "agent.conf:6: neither a section nor key=value"));
  g_assert_nonnull (strstr (logged->str, "agent.conf:11: unknown section [Oops]"));
  swarm_log_set_handler (NULL, NULL);
  g_string_free (logged, TRUE);
  g_unlink (path);
  g_rmdir (dir);
}

static char *
text_of (const char *path)
{
  g_autofree char *full = g_test_build_filename (G_TEST_DIST, "..", "..", path, NULL);
  char *text = NULL;
  g_assert_true (g_file_get_contents (full, &text, NULL, NULL));
  return text;
}

/* Whatever @pattern finds in @text, filled into @format, stands in @other; so many at least. */
static void
all_stand_in (const char *text, const char *pattern, const char *other, const char *format, guint at_least)
{
  g_autoptr (GRegex) regex = g_regex_new (pattern, G_REGEX_MULTILINE, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  guint n = 0;
  for (g_regex_match (regex, text, 0, &match); g_match_info_matches (match); g_match_info_next (match, NULL), n++) {
    g_autofree char *name = g_match_info_fetch (match, 1);
    g_auto (GStrv) halves = g_strsplit (format, "@", 2);
    g_autofree char *wanted = g_strconcat (halves[0], name, halves[1], NULL);
    g_test_message ("%s", wanted);
    g_assert_nonnull (strstr (other, wanted));
  }
  g_assert_cmpuint (n, >=, at_least);
}

/* The manuals name each key and each option that the parser knows, and no other. */
static void
test_manuals (void)
{
  g_autofree char *parser = text_of ("src/daemon/config.c"), *plugin = text_of ("plugins/runtime-podman/runtime-podman.c");
  g_autofree char *conf = text_of ("man/agent.conf.5"), *agent = text_of ("man/swarm-agent.8");
  g_auto (GStrv) sections = g_strsplit (conf, "SECTIONS OF PLUGINS", 2);
  g_auto (GStrv) parts = g_strsplit (agent, ".SH OPTIONS", 2);
  g_auto (GStrv) options = g_strsplit (parts[1], ".SH", 2);
  all_stand_in (parser, "^  \\{ \"(?:Agent|Plugins)\", \"([A-Za-z]+)\"", sections[0], ".TP\n.B @=\n", 7);
  all_stand_in (sections[0], "^\\.B ([A-Za-z]+)=$", parser, ", \"@\", G_STRUCT_OFFSET", 7);
  all_stand_in (plugin, "config \\(host, \"([A-Za-z]+)\"\\)", sections[1], "@=", 4);
  all_stand_in (sections[1], "\\b([A-Z][a-zA-Z]+)=[\n\", ]", plugin, "config (host, \"@\")", 4);
  all_stand_in (parser, "^    \\{ \"([a-z-]+)\", 0, 0, G_OPTION", options[0], "--@", 8);
  all_stand_in (options[0], "--([a-z-]+)", parser, "{ \"@\", 0, 0, G_OPTION", 8);
}

/* Networks that span hosts are there unless somebody chose otherwise, or nothing really runs. */
static void
test_config_network (void)
{
  static const char *const texts[][2] = { { "", "overlay" }, { "[Plugins]\nRuntime=podman\n", "overlay" }, { "[Plugins]\nRuntime=sim\n", "host" },
                                          { "[Plugins]\nNetwork=host\n", "host" }, { "[Plugins]\nRuntime=sim\nNetwork=overlay\n", "overlay" } };
  g_autofree char *dir = temp_dir (), *path = g_build_filename (dir, "agent.conf", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (SwarmConfig) config = swarm_config_new_defaults ();
    g_assert_true (g_file_set_contents (path, texts[i][0], -1, NULL));
    g_assert_true (swarm_config_read_file (config, path, NULL));
    g_assert_cmpstr (swarm_config_network (config), ==, texts[i][1]);
  }
  g_unlink (path);
  g_rmdir (dir);
}

static void
test_config_things (void)
{
  g_autofree char *dir = temp_dir (), *path = g_build_filename (dir, "agent.conf", NULL);
  g_autoptr (SwarmConfig) config = swarm_config_new_defaults ();
  const char *text = "[GenericResources]\napple=1\ngpu=UUID1, UUID2\napple=3\npear=\nfig=a,,b\n";
  logged = g_string_new (NULL);
  swarm_log_set_handler (collect, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_true (swarm_config_read_file (config, path, NULL));
  g_assert_cmpuint (config->things->len, ==, 3);
  const SwarmGenericResource *first = g_ptr_array_index (config->things, 0), *second = g_ptr_array_index (config->things, 1);
  g_assert_cmpstr (first->named->kind, ==, "gpu");
  g_assert_cmpstr (first->named->value, ==, "UUID1");
  g_assert_cmpstr (second->named->value, ==, "UUID2");
  const SwarmGenericResource *third = g_ptr_array_index (config->things, 2);
  g_assert_cmpstr (third->discrete->kind, ==, "apple");
  g_assert_cmpint (third->discrete->value, ==, 3);
  g_assert_cmpuint (config->n_bad_lines, ==, 2);
  g_assert_nonnull (strstr (logged->str, "agent.conf:5: generic resources are KIND=NUMBER or KIND=NAME"));
  g_assert_nonnull (strstr (logged->str, "agent.conf:6: fig: a name between the commas is empty"));
  swarm_log_set_handler (NULL, NULL);
  g_string_free (logged, TRUE);
  g_unlink (path);
  g_rmdir (dir);
}

static void
check_split (const char *text, const char *host, guint port)
{
  g_autofree char *got = NULL;
  guint number = 0;
  gboolean ok = swarm_address_split (text, 2377, &got, &number, NULL);
  g_assert_cmpint (ok, ==, host != NULL);
  if (host == NULL)
    return;
  g_assert_cmpstr (got, ==, host);
  g_assert_cmpuint (number, ==, port);
}

static void
test_address (void)
{
  check_split ("10.0.0.1", "10.0.0.1", 2377);
  check_split ("10.0.0.1:99", "10.0.0.1", 99);
  check_split ("[fd00::1]:99", "fd00::1", 99);
  check_split ("fd00::1", "fd00::1", 2377);
  check_split ("host.example:1", "host.example", 1);
  check_split ("", NULL, 0);
  check_split (":1", NULL, 0);
  check_split ("a:0", NULL, 0);
  check_split ("a:65536", NULL, 0);
  check_split ("a:x", NULL, 0);
  check_split ("[::1", NULL, 0);
  check_split ("[::1]x", NULL, 0);
  g_autofree char *advertise = swarm_address_advertise (NULL, "0.0.0.0:2400", "127.0.0.1:2377", NULL);
  g_assert_cmpstr (advertise, ==, "127.0.0.1:2400");
  g_autofree char *lo = swarm_address_advertise ("lo", "0.0.0.0:2377", NULL, NULL);
  g_assert_cmpstr (lo, ==, "127.0.0.1:2377");
  g_autoptr (GError) error = NULL;
  g_assert_null (swarm_address_advertise ("nosuchif0", "0.0.0.0:2377", NULL, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static void
batch_done (const GError *error, gpointer data)
{
  g_assert_no_error (error);
  *(gboolean *) data = TRUE;
}

static void
wait_for (gboolean *flag)
{
  while (!*flag)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_membership (void)
{
  g_autofree char *dir = temp_dir ();
  SwarmDisk *disk = swarm_disk_file_new (dir, NULL);
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  SwarmRandom *random = swarm_random_system ();
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmMembership) none = swarm_membership_load (disk, crypto, &error);
  g_assert_null (none);
  g_assert_no_error (error);

  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  membership->node = swarm_random_id (random);
  membership->cluster = swarm_random_id (random);
  membership->manager = TRUE;
  membership->raft_id = 7;
  g_assert_cmpint (membership->expired_renewal_us, ==, 90 * 86400 * (gint64) G_USEC_PER_SEC);
  membership->expired_renewal_us = 0;
  membership->listen = g_strdup ("0.0.0.0:2377");
  membership->advertise = g_strdup ("10.0.0.1:2377");
  membership->root_cert = g_strdup ("root");
  membership->cert = g_strdup ("cert");
  membership->key = g_bytes_new ("key", 3);
  swarm_membership_make_keys (membership, random);
  g_ptr_array_add (membership->managers, g_strdup ("10.0.0.2:2377"));
  gboolean done = FALSE;
  swarm_membership_store (membership, disk, crypto, random, batch_done, &done);
  wait_for (&done);
  done = FALSE; /* twice: the sealing key stays the same */
  swarm_membership_store (membership, disk, crypto, random, batch_done, &done);
  wait_for (&done);

  g_autoptr (SwarmMembership) loaded = swarm_membership_load (disk, crypto, &error);
  g_assert_no_error (error);
  g_assert_true (swarm_id_equal (&loaded->node, &membership->node));
  g_assert_true (swarm_membership_is_open (loaded));
  g_assert_true (g_bytes_equal (loaded->keys->data_key, membership->keys->data_key));
  g_assert_true (g_bytes_equal (loaded->keys->kek, membership->keys->kek));
  g_assert_true (g_bytes_equal (loaded->key, membership->key));
  g_assert_cmpuint (loaded->raft_id, ==, 7);
  g_assert_cmpint (loaded->expired_renewal_us, ==, 0);
  g_assert_cmpstr (loaded->managers->pdata[0], ==, "10.0.0.2:2377");
  g_autofree char *sealed_path = g_build_filename (dir, "keys", NULL);
  g_autofree char *sealed = NULL;
  gsize len;
  g_assert_true (g_file_get_contents (sealed_path, &sealed, &len, NULL));
  g_assert_cmpuint (len, >, 32);
  sealed[len / 2] ^= 1;
  g_assert_true (g_file_set_contents (sealed_path, sealed, len, NULL));
  g_autoptr (SwarmMembership) damaged = swarm_membership_load (disk, crypto, &error);
  g_assert_null (damaged);
  g_assert_nonnull (strstr (error->message, "keys"));
  g_clear_error (&error);
  g_autofree char *conf_path = g_build_filename (dir, "node.conf", NULL);
  g_assert_true (g_file_set_contents (conf_path, "", 0, NULL));
  g_autoptr (SwarmMembership) empty = swarm_membership_load (disk, crypto, &error);
  g_assert_null (empty);
  g_assert_nonnull (strstr (error->message, "node.conf"));

  done = FALSE;
  swarm_membership_erase (disk, batch_done, &done);
  wait_for (&done);
  g_clear_error (&error);
  g_autoptr (SwarmMembership) gone = swarm_membership_load (disk, crypto, &error);
  g_assert_null (gone);
  g_assert_no_error (error);
  swarm_disk_file_free (disk);
}

/* ---- leftovers ---- */

static void
put (const char *dir, const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL), *parent = g_path_get_dirname (path);
  g_assert_cmpint (g_mkdir_with_parents (parent, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, name, -1, NULL));
}

static gboolean
is_there (const char *dir, const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    remove_tree (child);
  }
  g_remove (path);
}

/* A torn init: the log is there, the node's key is not. */
static void
test_leftovers_removed (void)
{
  g_autofree char *dir = temp_dir ();
  put (dir, "log/segment");
  put (dir, "worker/a.task");
  put (dir, "node/root.crt");
  swarm_leftovers_forget (dir);
  g_assert_false (is_there (dir, "log/segment") || is_there (dir, "worker/a.task") || is_there (dir, "lost-1"));
  remove_tree (dir);
}

static void
test_leftovers_of_a_member (void)
{
  g_autofree char *dir = temp_dir ();
  put (dir, "log/segment");
  put (dir, "node/node.key");
  put (dir, "node/node.conf");
  swarm_leftovers_forget (dir);
  g_assert_true (is_there (dir, "log/segment") && !is_there (dir, "lost-1"));
  remove_tree (dir);
}

/* Only node.conf is missing: what the cluster acknowledged may be here. */
static void
test_leftovers_kept (void)
{
  g_autofree char *dir = temp_dir ();
  logged = g_string_new (NULL);
  swarm_log_set_handler (collect, NULL);
  for (guint i = 0; i < 7; i++) {
    g_autofree char *name = g_strdup_printf ("log/segment%u", i);
    put (dir, name);
    put (dir, "node/node.key");
    swarm_leftovers_forget (dir);
  }
  g_assert_true (is_there (dir, "lost-1/log/segment6") && is_there (dir, "lost-1/node/node.key"));
  g_assert_true (is_there (dir, "lost-5/log/segment2"));
  g_assert_false (is_there (dir, "lost-6") || is_there (dir, "log") || is_there (dir, "node"));
  g_assert_nonnull (strstr (logged->str, "lost-1"));
  swarm_log_set_handler (NULL, NULL);
  g_string_free (logged, TRUE);
  remove_tree (dir);
}

/* A manager whose cluster was made anew: log and keys stay readable beside, the newest only, until the node leaves. */
static void
test_leftovers_old_log (void)
{
  g_autofree char *dir = temp_dir ();
  g_autoptr (GError) error = NULL;
  put (dir, "log/segment");
  put (dir, "node/keys");
  put (dir, "worker/a.task");
  g_autofree char *first = swarm_leftovers_keep_log (dir, 1000 * G_USEC_PER_SEC, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_suffix (first, "/log.old-19700101T001640Z"));
  g_assert_true (is_there (first, "log/segment") && is_there (first, "node/keys") && !is_there (first, "worker"));
  g_autofree char *segment = g_build_filename (dir, "log/segment", NULL);
  g_assert_cmpint (g_remove (segment), ==, 0); /* as the wiping does */
  g_assert_true (is_there (first, "log/segment"));
  put (dir, "log/later");
  g_autofree char *second = swarm_leftovers_keep_log (dir, 2000 * G_USEC_PER_SEC, &error);
  g_assert_true (is_there (second, "log/later") && !is_there (dir, "log.old-19700101T001640Z"));
  g_assert_true (is_there (dir, "log/later"));
  swarm_leftovers_drop_log (dir);
  g_assert_true (is_there (dir, "log/later") && !is_there (second, ""));
  remove_tree (dir);
  g_assert_null (swarm_leftovers_keep_log (dir, 1, &error));
  g_assert_nonnull (error);
}

/* A change of key and certificate that a crash tore: whichever is on the disk, the pair fits. */
static void
test_torn_key (gconstpointer manager)
{
  g_autofree char *dir = g_dir_make_tmp ("swarm-torn-XXXXXX", NULL);
  SwarmRandom *random = swarm_random_system ();
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  g_autofree char *root = NULL;
  char *certs[2];
  g_autoptr (GBytes) root_key = NULL;
  static const char *const names[] = { "node.key", "keys" };
  const char *key_name = names[manager != NULL];
  gboolean done = FALSE;
  char *files[3];
  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  SwarmPeer peer = { .role = SWARM_PEER_WORKER, .node = swarm_random_id (random), .cluster = swarm_random_id (random) };
  SwarmDisk *disk = swarm_disk_file_new (dir, NULL);
  membership->node = peer.node;
  membership->cluster = peer.cluster;
  membership->manager = manager != NULL;
  g_assert_true (crypto->create_root (crypto, g_get_real_time (), &root, &root_key, NULL));
  membership->root_cert = g_strdup (root);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GBytes) key = swarm_cert_create_key (NULL);
    g_autofree char *csr = swarm_cert_create_csr (key, NULL);
    char serial[41];
    certs[i] = crypto->issue (crypto, root, root_key, csr, &peer, g_get_real_time () - G_USEC_PER_SEC, g_get_real_time () + G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC, serial, NULL);
    g_free (membership->cert);
    membership->cert = g_strdup (certs[i]);
    g_clear_pointer (&membership->key, g_bytes_unref);
    membership->key = g_bytes_ref (key);
    membership->new_key = i == 1;
    done = FALSE;
    swarm_membership_store (membership, disk, crypto, random, batch_done, &done);
    wait_for (&done);
    g_autofree char *path = g_build_filename (dir, key_name, NULL);
    g_assert_true (g_file_get_contents (path, &files[i], NULL, NULL));
  }
  g_autofree char *cert_path = g_build_filename (dir, "node.crt", NULL), *next_path = g_build_filename (dir, "next.crt", NULL);
  g_autofree char *key_path = g_build_filename (dir, key_name, NULL);
  gsize len;
  g_assert_false (g_file_test (next_path, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_get_contents (key_path, &files[2], &len, NULL));
  g_assert_true (g_file_set_contents (cert_path, certs[0], -1, NULL));
  g_assert_true (g_file_set_contents (next_path, certs[1], -1, NULL));
  g_autoptr (SwarmMembership) after = swarm_membership_load (disk, crypto, NULL); /* the key is the new one's */
  g_assert_cmpstr (after->cert, ==, certs[1]);
  g_assert_true (swarm_cert_matches_key (after->cert, after->key, NULL));
  if (manager == NULL) {
    g_assert_true (g_file_set_contents (key_path, files[0], -1, NULL));
    g_autoptr (SwarmMembership) before = swarm_membership_load (disk, crypto, NULL);
    g_assert_cmpstr (before->cert, ==, certs[0]);
  }
  for (guint i = 0; i < 3; i++)
    g_free (files[i]);
  g_free (certs[0]);
  g_free (certs[1]);
  done = FALSE;
  swarm_membership_erase (disk, batch_done, &done);
  wait_for (&done);
  swarm_disk_file_free (disk);
  g_assert_false (g_file_test (next_path, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/daemon/config/bad-lines", test_config_bad_lines);
  g_test_add_func ("/daemon/config/things", test_config_things);
  g_test_add_func ("/daemon/config/network", test_config_network);
  g_test_add_func ("/daemon/config/manuals", test_manuals);
  g_test_add_func ("/daemon/address", test_address);
  g_test_add_func ("/daemon/membership", test_membership);
  g_test_add_data_func ("/daemon/torn-key/worker", NULL, test_torn_key);
  g_test_add_data_func ("/daemon/torn-key/manager", "manager", test_torn_key);
  g_test_add_func ("/daemon/leftovers/removed", test_leftovers_removed);
  g_test_add_func ("/daemon/leftovers/of-a-member", test_leftovers_of_a_member);
  g_test_add_func ("/daemon/leftovers/kept", test_leftovers_kept);
  g_test_add_func ("/daemon/leftovers/old-log", test_leftovers_old_log);
  return g_test_run ();
}
