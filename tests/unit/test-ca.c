// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/random-system.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "ca/token.h"
#include "fixture-tests.h"
#include <string.h>

#define HOUR_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

typedef struct {
  SwarmAuthority authority;
  SwarmAuthorityState state;
  char *root, *worker, *manager;
  GBytes *root_key;
  GBytes *node_key;
  char *csr;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->authority = (SwarmAuthority){ swarm_crypto_openssl (), swarm_clock_glib (), swarm_random_system () };
  g_assert_true (swarm_authority_create (&f->authority, &f->root, &f->root_key, &f->worker, &f->manager, &error));
  g_assert_no_error (error);
  f->state = (SwarmAuthorityState){ .cluster = swarm_random_id (swarm_random_system ()),
                                    .root_cert_pem = f->root,
                                    .root_key_pem = f->root_key,
                                    .worker_token = f->worker,
                                    .manager_token = f->manager };
  f->node_key = swarm_cert_create_key (&error);
  g_assert_no_error (error);
  f->csr = swarm_cert_create_csr (f->node_key, &error);
  g_assert_no_error (error);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  g_free (f->root);
  g_free (f->worker);
  g_free (f->manager);
  g_free (f->csr);
  g_bytes_unref (f->root_key);
  g_bytes_unref (f->node_key);
}

static void
test_seal (Fixture *f, gconstpointer unused)
{
  SwarmCrypto *crypto = f->authority.crypto;
  g_autoptr (GBytes) key = g_bytes_new ("0123456789abcdef0123456789abcdef", 32);
  g_autoptr (GBytes) other = g_bytes_new ("0123456789abcdef0123456789abcdeg", 32);
  g_autoptr (GBytes) aad = g_bytes_new ("segment 1", 9);
  gsize lengths[] = { 0, 1, 16, 1000, 2000000 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    g_autofree char *text = g_strnfill (lengths[i], 'x');
    g_autoptr (GBytes) plain = g_bytes_new (text, lengths[i]);
    g_autoptr (GBytes) sealed = crypto->seal (crypto, key, plain, aad);
    g_autoptr (GBytes) opened = crypto->unseal (crypto, key, sealed, aad, NULL);
    g_autoptr (GError) wrong_key = NULL, wrong_aad = NULL, flipped = NULL, cut = NULL;
    g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (sealed, NULL), g_bytes_get_size (sealed));
    g_autoptr (GBytes) bad = NULL, shorter = g_bytes_new (copy, g_bytes_get_size (sealed) - 1);

    g_assert_true (opened != NULL && g_bytes_equal (opened, plain));
    g_assert_null (crypto->unseal (crypto, other, sealed, aad, &wrong_key));
    g_assert_error (wrong_key, SWARM_ERROR, SWARM_ERROR_FAILED);
    g_assert_null (crypto->unseal (crypto, key, sealed, NULL, &wrong_aad));
    copy[g_bytes_get_size (sealed) / 2] ^= 1;
    bad = g_bytes_new (copy, g_bytes_get_size (sealed));
    g_assert_null (crypto->unseal (crypto, key, bad, aad, &flipped));
    g_assert_null (crypto->unseal (crypto, key, shorter, aad, &cut));
    g_assert_error (cut, SWARM_ERROR, SWARM_ERROR_FAILED);
  }
}

static void
test_sha256 (Fixture *f, gconstpointer unused)
{
  static const guint8 expected[]
    = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
  guint8 digest[32];

  f->authority.crypto->sha256 (f->authority.crypto, (const guint8 *) "abc", 3, digest);
  g_assert_cmpmem (digest, 32, expected, 32);
}

static void
test_token (Fixture *f, gconstpointer unused)
{
  static const char *const bad[] = {
    NULL,
    "",
    "SWMTKN-1-",
    "SWMTKN-2-0-",
    "hello",
    /* one character short, upper case, a value over 2^256 - 1, and a foreign separator */
    "SWMTKN-1-0000000000000000000000000000000000000000000000000-0000000000000000000000000",
    "SWMTKN-1-0000000000000000000000000000000000000000000000000A-0000000000000000000000000",
    "SWMTKN-1-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-0000000000000000000000000",
    "SWMTKN-1-00000000000000000000000000000000000000000000000000-zzzzzzzzzzzzzzzzzzzzzzzzz",
    "SWMTKN-1-00000000000000000000000000000000000000000000000000_0000000000000000000000000",
  };
  SwarmToken token, again;
  g_autofree char *text = NULL;

  g_assert_true (swarm_token_parse (f->worker, &token, NULL));
  g_assert_cmpuint (strlen (f->worker), ==, SWARM_TOKEN_LEN);
  text = swarm_token_format (&token);
  g_assert_cmpstr (text, ==, f->worker);
  g_assert_true (swarm_token_parse (f->manager, &again, NULL));
  g_assert_false (swarm_token_equal (&token, &again));
  g_assert_cmpmem (token.root_digest, 32, again.root_digest, 32);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (swarm_token_parse (bad[i], &token, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr (error->message, ==, "invalid join token");
  }
}

static void
test_join (Fixture *f, gconstpointer unused)
{
  g_auto (SwarmIssued) worker = { 0 }, manager = { 0 };
  g_autoptr (GError) error = NULL;
  SwarmCertInfo info;
  gint64 now = swarm_clock_now (f->authority.clock);

  g_assert_true (swarm_authority_join (&f->authority, &f->state, f->worker, f->csr, &worker, &error));
  g_assert_no_error (error);
  g_assert_true (swarm_authority_join (&f->authority, &f->state, f->manager, f->csr, &manager, &error));
  g_assert_cmpint (worker.info.peer.role, ==, SWARM_PEER_WORKER);
  g_assert_cmpint (manager.info.peer.role, ==, SWARM_PEER_MANAGER);
  g_assert_false (swarm_id_equal (&worker.info.peer.node, &manager.info.peer.node));
  g_assert_true (swarm_cert_parse (worker.cert_pem, &info, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (&info, sizeof info, &worker.info, sizeof info);
  g_assert_cmpint (llabs (info.not_before - (now - HOUR_US)), <, 5 * G_USEC_PER_SEC);
  g_assert_cmpint (llabs (info.not_after - (now + 2160 * HOUR_US)), <, 5 * G_USEC_PER_SEC);
  g_assert_true (swarm_cert_matches_key (worker.cert_pem, f->node_key, NULL));
  g_assert_true (swarm_cert_verify (worker.cert_pem, f->root, now, NULL));
}

static void
test_join_refused (Fixture *f, gconstpointer unused)
{
  SwarmToken token;
  g_autofree char *wrong_secret = NULL, *long_csr = g_strnfill (SWARM_PEM_MAX + 1, 'A');
  g_autofree char *cut = g_strndup (f->worker, 40);
  const char *tokens[] = { NULL, "", cut, "x" };
  const char *csrs[]
    = { NULL, "", "-----BEGIN CERTIFICATE REQUEST-----\nxx\n-----END CERTIFICATE REQUEST-----\n", f->root, long_csr };
  g_auto (SwarmIssued) issued = { 0 };

  swarm_token_parse (f->worker, &token, NULL);
  token.secret[15] ^= 1;
  wrong_secret = swarm_token_format (&token);
  for (guint i = 0; i <= G_N_ELEMENTS (tokens); i++) {
    g_autoptr (GError) error = NULL;
    const char *text = i == G_N_ELEMENTS (tokens) ? wrong_secret : tokens[i];
    g_assert_false (swarm_authority_join (&f->authority, &f->state, text, f->csr, &issued, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
    g_assert_cmpstr (error->message, ==, "A valid join token is necessary to join this cluster");
  }
  for (guint i = 0; i < G_N_ELEMENTS (csrs); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (swarm_authority_join (&f->authority, &f->state, f->worker, csrs[i], &issued, &error));
    g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull (strstr (error->message, "certificate request"));
  }
}

static void
test_renew (Fixture *f, gconstpointer unused)
{
  g_auto (SwarmIssued) first = { 0 }, next = { 0 }, none = { 0 };
  g_autoptr (GError) stale = NULL, stranger = NULL;
  SwarmPeer other;
  SwarmAuthorityNode node = { .role = SWARM_PEER_MANAGER };

  g_assert_true (swarm_authority_join (&f->authority, &f->state, f->worker, f->csr, &first, NULL));
  node.newest_serial = first.info.peer.serial;
  g_assert_true (swarm_authority_renew (&f->authority, &f->state, &first.info.peer, &node, f->csr, &next, NULL));
  g_assert_cmpint (next.info.peer.role, ==, SWARM_PEER_MANAGER);
  g_assert_true (swarm_id_equal (&next.info.peer.node, &first.info.peer.node));
  node.newest_serial = next.info.peer.serial;
  g_assert_false (swarm_authority_renew (&f->authority, &f->state, &first.info.peer, &node, f->csr, &none, &stale));
  g_assert_error (stale, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_nonnull (strstr (stale->message, "replaced by a newer one"));
  /* The answer was lost: the node holds what it asked with. */
  node.serial_before = first.info.peer.serial;
  g_assert_true (swarm_authority_renew (&f->authority, &f->state, &first.info.peer, &node, f->csr, &none, NULL));
  swarm_issued_clear (&none);
  other = next.info.peer;
  other.cluster.bytes[0] ^= 1;
  g_assert_false (swarm_authority_renew (&f->authority, &f->state, &other, &node, f->csr, &none, &stranger));
  g_assert_error (stranger, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  for (guint i = 0; i < 100; i++) {
    gint64 life = first.info.not_after - first.info.not_before;
    gint64 at = swarm_authority_renewal_time (f->authority.random, &first.info) - first.info.not_before;
    g_assert_true (at >= life / 1000 * 500 && at <= life / 1000 * 800);
  }
}

static void
test_check_root (Fixture *f, gconstpointer unused)
{
  g_autofree char *root = NULL, *worker = NULL, *manager = NULL, *both = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GError) foreign = NULL, form = NULL, bundle = NULL;
  SwarmCrypto *crypto = f->authority.crypto;

  g_assert_true (swarm_authority_create (&f->authority, &root, &key, &worker, &manager, NULL));
  g_assert_true (swarm_authority_check_root (crypto, f->worker, f->root, NULL));
  g_assert_false (swarm_authority_check_root (crypto, f->worker, root, &foreign));
  g_assert_cmpstr (foreign->message, ==, "remote CA does not match fingerprint.");
  g_assert_false (swarm_authority_check_root (crypto, "SWMTKN-1-x", root, &form));
  g_assert_cmpstr (form->message, ==, "invalid join token");
  /* The right root with a foreign one behind it. */
  both = g_strconcat (f->root, root, NULL);
  g_assert_false (swarm_authority_check_root (crypto, f->worker, both, &bundle));
  g_assert_error (bundle, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static void
test_verify (Fixture *f, gconstpointer unused)
{
  g_autofree char *root = NULL, *worker = NULL, *manager = NULL;
  g_autoptr (GBytes) key = NULL;
  g_auto (SwarmIssued) issued = { 0 };
  g_autoptr (GError) foreign = NULL, expired = NULL, early = NULL;
  gint64 now = swarm_clock_now (f->authority.clock);

  g_assert_true (swarm_authority_create (&f->authority, &root, &key, &worker, &manager, NULL));
  g_assert_true (swarm_authority_join (&f->authority, &f->state, f->worker, f->csr, &issued, NULL));
  g_assert_false (swarm_cert_verify (issued.cert_pem, root, now, &foreign));
  g_assert_error (foreign, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_false (swarm_cert_verify (issued.cert_pem, f->root, now + 2161 * HOUR_US, &expired));
  g_assert_nonnull (strstr (expired->message, "expired"));
  g_assert_false (swarm_cert_verify (issued.cert_pem, f->root, now - 2 * HOUR_US, &early));
  /* A node's certificate is no authority. */
  g_assert_false (swarm_cert_verify (issued.cert_pem, issued.cert_pem, now, NULL));
}

static void
test_parse (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) subject = NULL, form = NULL;
  SwarmCertInfo info;

  g_assert_false (swarm_cert_parse (f->root, &info, &subject));
  g_assert_nonnull (strstr (subject->message, "does not name a node"));
  g_assert_false (swarm_cert_parse ("garbage", &info, &form));
  g_assert_error (form, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_false (swarm_cert_parse_der ((const guint8 *) "garbage", 7, &info, NULL));
}

int
main (int argc, char **argv)
{
  static const FIXTURE_TEST tests[] = {
    { "seal", test_seal },
    { "sha256", test_sha256 },
    { "token", test_token },
    { "join", test_join },
    { "join-refused", test_join_refused },
    { "renew", test_renew },
    { "check-root", test_check_root },
    { "verify", test_verify },
    { "parse", test_parse },
  };

  g_test_init (&argc, &argv, NULL);
  ADD_FIXTURE_TESTS ("/ca", tests, setup, teardown);
  return g_test_run ();
}
