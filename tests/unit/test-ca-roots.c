// SPDX-License-Identifier: LGPL-2.1-or-later
/* Roots that follow each other, certificates signed elsewhere, nodes that come back. */
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/random-system.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "ca/token.h"
#include "fixture-tests.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define HOUR_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)
#define DAY_US (24 * HOUR_US)

typedef struct {
  SwarmAuthority authority;
  SwarmCrypto *crypto;
  SwarmId cluster;
  gint64 now;
  char *root[3]; /* one after the other */
  GBytes *root_key[3];
  GBytes *node_key;
  char *csr;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  f->crypto = swarm_crypto_openssl ();
  f->authority = (SwarmAuthority){ f->crypto, swarm_clock_glib (), swarm_random_system () };
  f->cluster = swarm_random_id (swarm_random_system ());
  f->now = swarm_clock_now (f->authority.clock);
  for (guint i = 0; i < 3; i++)
    g_assert_true (f->crypto->create_root (f->crypto, f->now, &f->root[i], &f->root_key[i], NULL));
  f->node_key = swarm_cert_create_key (NULL);
  f->csr = swarm_cert_create_csr (f->node_key, NULL);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 3; i++) {
    g_free (f->root[i]);
    g_bytes_unref (f->root_key[i]);
  }
  g_bytes_unref (f->node_key);
  g_free (f->csr);
}

static SwarmAuthorityState
state_of (Fixture *f, guint root, const char *chain)
{
  return (SwarmAuthorityState){ .cluster = f->cluster, .root_cert_pem = f->root[root], .root_key_pem = f->root_key[root], .chain_pem = chain };
}

static char *
cross (Fixture *f, guint root, guint next)
{
  g_autoptr (GError) error = NULL;
  char *pem = f->crypto->cross_sign (f->crypto, f->root[root], f->root_key[root], f->root[next], &error);
  g_assert_no_error (error);
  return pem;
}

static void
issue (Fixture *f, guint root, const char *chain, SwarmIssued *ret)
{
  SwarmAuthorityState state = state_of (f, root, chain);
  SwarmId node = swarm_random_id (swarm_random_system ());
  g_autoptr (GError) error = NULL;
  swarm_authority_issue (&f->authority, &state, &node, SWARM_PEER_WORKER, f->csr, ret, &error);
  g_assert_no_error (error);
}

static void
assert_no_root (Fixture *f, const char *cert, GBytes *key, gint64 now, const char *why)
{
  g_auto (SwarmRootInfo) info = { 0 };
  g_autoptr (GError) error = NULL;
  g_assert_false (f->crypto->inspect_root (f->crypto, cert, key, now, &info, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  if (strstr (error->message, why) == NULL)
    g_error ("\"%s\" lacks \"%s\"", error->message, why);
  g_assert_null (info.subject);
  g_assert_null (info.public_key);
}

static void
test_inspect (Fixture *f, gconstpointer unused)
{
  g_auto (SwarmRootInfo) info = { 0 }, other = { 0 }, elsewhere = { 0 };
  g_auto (SwarmIssued) leaf = { 0 };
  g_autofree char *between = cross (f, 0, 1), *both = g_strconcat (f->root[0], f->root[1], NULL);
  guint8 digest[32];
  g_assert_true (f->crypto->inspect_root (f->crypto, f->root[0], f->root_key[0], f->now, &info, NULL));
  g_assert_true (f->crypto->root_digest (f->crypto, f->root[0], digest, NULL));
  g_assert_cmpmem (info.digest, 32, digest, 32);
  g_assert_true (f->crypto->inspect_root (f->crypto, f->root[1], f->root_key[1], f->now, &other, NULL));
  g_assert_true (g_bytes_equal (info.subject, other.subject));
  g_assert_false (g_bytes_equal (info.public_key, other.public_key));
  g_assert_true (f->crypto->inspect_root (f->crypto, f->root[1], NULL, f->now, &elsewhere, NULL));
  g_assert_true (g_bytes_equal (elsewhere.public_key, other.public_key));
  issue (f, 0, NULL, &leaf);
  assert_no_root (f, f->root[0], f->root_key[1], f->now, "the key does not belong to it");
  assert_no_root (f, f->root[0], f->root_key[0], f->now - 2 * HOUR_US, "not valid yet");
  assert_no_root (f, f->root[0], f->root_key[0], f->now + 21 * 365 * DAY_US, "has expired");
  assert_no_root (f, leaf.cert_pem, f->node_key, f->now, "not the certificate of a CA");
  assert_no_root (f, between, f->root_key[1], f->now, "not self-signed");
  assert_no_root (f, both, f->root_key[0], f->now, "more than one certificate");
  assert_no_root (f, "garbage", f->root_key[0], f->now, "root certificate");
  g_autoptr (GBytes) garbage = g_bytes_new_static ("garbage", 7);
  assert_no_root (f, f->root[0], garbage, f->now, "root key");
}

/* Who trusts only the first root believes what is under the third, when he is shown the way. */
static void
test_cross (Fixture *f, gconstpointer unused)
{
  g_autofree char *first = cross (f, 0, 1), *second = cross (f, 1, 2), *way = g_strconcat (second, first, NULL);
  g_auto (SwarmIssued) bare = { 0 }, one = { 0 }, two = { 0 };
  SwarmCertInfo info;
  issue (f, 1, NULL, &bare);
  issue (f, 1, first, &one);
  issue (f, 2, way, &two);
  g_assert_false (swarm_cert_verify (bare.cert_pem, f->root[0], f->now, NULL));
  g_assert_true (swarm_cert_verify (one.cert_pem, f->root[0], f->now, NULL));
  g_assert_true (swarm_cert_verify (one.cert_pem, f->root[1], f->now, NULL));
  g_assert_false (swarm_cert_verify (one.cert_pem, f->root[2], f->now, NULL));
  g_assert_true (swarm_cert_verify (two.cert_pem, f->root[0], f->now, NULL));
  g_assert_true (swarm_cert_verify (two.cert_pem, f->root[1], f->now, NULL));
  g_assert_true (swarm_cert_verify (two.cert_pem, f->root[2], f->now, NULL));
  g_assert_false (swarm_cert_verify (two.cert_pem, f->root[0], f->now + 91 * DAY_US, NULL));
  /* What rides along is not believed by itself. */
  g_autofree char *forged = g_strconcat (bare.cert_pem, f->root[1], NULL);
  g_assert_false (swarm_cert_verify (forged, f->root[0], f->now, NULL));
  /* It is still the first of the text that says who its owner is. */
  g_assert_true (swarm_cert_parse (two.cert_pem, &info, NULL));
  g_assert_true (swarm_id_equal (&info.peer.node, &two.info.peer.node));
  g_assert_true (swarm_cert_matches_key (two.cert_pem, f->node_key, NULL));
}

static void
test_cross_refused (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) key = NULL, cert = NULL, root = NULL, none = NULL;
  g_assert_null (f->crypto->cross_sign (f->crypto, f->root[0], f->root_key[1], f->root[2], &key));
  g_assert_error (key, SWARM_ERROR, SWARM_ERROR_FAILED);
  g_assert_null (f->crypto->cross_sign (f->crypto, f->root[0], f->root_key[0], "garbage", &cert));
  g_assert_error (cert, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_null (f->crypto->cross_sign (f->crypto, "garbage", f->root_key[0], f->root[1], &root));
  g_assert_error (root, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_null (f->crypto->cross_sign (f->crypto, f->root[0], NULL, f->root[1], &none));
  g_assert_error (none, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static void
test_keys (Fixture *f, gconstpointer unused)
{
  g_auto (SwarmIssued) issued = { 0 };
  g_autoptr (GBytes) other_key = swarm_cert_create_key (NULL);
  g_autofree char *other = swarm_cert_create_csr (other_key, NULL);
  g_autoptr (GError) error = NULL;
  SwarmCertInfo info;
  char key[65] = "", again[65] = "";
  issue (f, 0, NULL, &issued);
  g_assert_true (f->crypto->request_key (f->crypto, f->csr, key, NULL));
  g_assert_cmpuint (strlen (key), ==, 64);
  g_assert_cmpstr (key, ==, issued.info.key);
  g_assert_true (swarm_cert_parse (issued.cert_pem, &info, NULL));
  g_assert_cmpstr (info.key, ==, key);
  g_assert_true (f->crypto->request_key (f->crypto, other, again, NULL));
  g_assert_cmpstr (again, !=, key);
  g_assert_false (f->crypto->request_key (f->crypto, "garbage", again, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
}

static X509 *
read_cert (const char *pem)
{
  BIO *bio = BIO_new_mem_buf (pem, -1);
  X509 *cert = PEM_read_bio_X509 (bio, NULL, NULL, NULL);
  BIO_free (bio);
  g_assert_nonnull (cert);
  return cert;
}

static void
assert_names (X509 *cert, const char *subject, const char *issuer)
{
  char text[300];
  g_assert_true (g_str_has_prefix (X509_NAME_oneline (X509_get_subject_name (cert), text, sizeof text), subject));
  g_assert_cmpstr (X509_NAME_oneline (X509_get_issuer_name (cert), text, sizeof text), ==, issuer);
  g_assert_cmpint (X509_get_version (cert), ==, X509_VERSION_3);
}

/* What each kind of certificate may be used for. */
static void
test_extensions (Fixture *f, gconstpointer unused)
{
  g_autofree char *between_pem = cross (f, 0, 1);
  g_auto (SwarmIssued) issued = { 0 };
  issue (f, 0, NULL, &issued);
  X509 *root = read_cert (f->root[0]), *next = read_cert (f->root[1]), *between = read_cert (between_pem), *leaf = read_cert (issued.cert_pem);
  assert_names (root, "/CN=swarm-ca", "/CN=swarm-ca");
  g_assert_cmpint (X509_check_ca (root), ==, 1);
  g_assert_cmpint (X509_get_pathlen (root), ==, 1);
  g_assert_cmpuint (X509_get_key_usage (root), ==, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
  g_assert_nonnull (X509_get0_subject_key_id (root));
  assert_names (between, "/CN=swarm-ca", "/CN=swarm-ca");
  g_assert_cmpint (X509_check_ca (between), ==, 1);
  g_assert_cmpuint (X509_get_key_usage (between), ==, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
  g_assert_cmpint (ASN1_OCTET_STRING_cmp (X509_get0_authority_key_id (between), X509_get0_subject_key_id (root)), ==, 0);
  g_assert_cmpint (ASN1_OCTET_STRING_cmp (X509_get0_subject_key_id (between), X509_get0_subject_key_id (next)), ==, 0);
  g_assert_cmpint (ASN1_TIME_compare (X509_get0_notBefore (between), X509_get0_notBefore (next)), ==, 0);
  g_assert_cmpint (ASN1_TIME_compare (X509_get0_notAfter (between), X509_get0_notAfter (root)), ==, 0);
  assert_names (leaf, "/O=", "/CN=swarm-ca");
  g_assert_cmpint (X509_check_ca (leaf), ==, 0);
  g_assert_true (X509_get_extension_flags (leaf) & EXFLAG_BCONS);
  g_assert_cmpuint (X509_get_key_usage (leaf), ==, KU_DIGITAL_SIGNATURE);
  g_assert_cmpuint (X509_get_extended_key_usage (leaf), ==, XKU_SSL_SERVER | XKU_SSL_CLIENT);
  g_assert_nonnull (X509_get0_subject_key_id (leaf));
  g_assert_cmpint (ASN1_OCTET_STRING_cmp (X509_get0_authority_key_id (leaf), X509_get0_subject_key_id (root)), ==, 0);
  g_assert_cmpuint (strlen (issued.info.peer.serial), ==, 32);
  X509_free (root);
  X509_free (next);
  X509_free (between);
  X509_free (leaf);
}

/* ---- signed elsewhere ---- */

static gboolean
take (Fixture *f, const SwarmIssued *asked, const char *cert, const char *chain, SwarmIssued *ret, GError **error)
{
  SwarmAuthorityState state = state_of (f, 0, chain);
  *ret = *asked;
  return swarm_authority_take (&f->authority, &state, cert, ret, error);
}

static char *
sign (Fixture *f, guint root, const char *csr, const SwarmPeer *subject, gint64 from, gint64 to)
{
  char serial[41];
  return f->crypto->issue (f->crypto, f->root[root], f->root_key[root], csr, subject, from, to, serial, NULL);
}

static void
assert_not_taken (Fixture *f, const SwarmIssued *asked, char *cert, const char *why)
{
  g_autofree char *owned = cert;
  g_autoptr (GError) error = NULL;
  SwarmIssued got = { 0 };
  g_assert_false (take (f, asked, owned, NULL, &got, &error));
  g_assert_null (got.cert_pem);
  g_assert_true (g_str_has_prefix (error->message, "what the external CA signed: "));
  if (strstr (error->message, why) == NULL)
    g_error ("\"%s\" lacks \"%s\"", error->message, why);
}

static void
test_elsewhere (Fixture *f, gconstpointer unused)
{
  SwarmAuthorityState state = state_of (f, 0, NULL);
  SwarmId node = swarm_random_id (swarm_random_system ());
  g_auto (SwarmIssued) asked = { 0 }, got = { 0 }, with_chain = { 0 };
  g_autoptr (GBytes) other_key = swarm_cert_create_key (NULL);
  g_autofree char *other = swarm_cert_create_csr (other_key, NULL);
  g_autoptr (GError) error = NULL;
  gint64 from = f->now - HOUR_US, to = f->now + DAY_US;
  state.elsewhere = TRUE;
  state.root_key_pem = NULL;
  g_assert_true (swarm_authority_issue (&f->authority, &state, &node, SWARM_PEER_WORKER, f->csr, &asked, NULL));
  g_assert_null (asked.cert_pem);
  g_assert_cmpuint (strlen (asked.info.key), ==, 64);
  g_assert_false (swarm_authority_issue (&f->authority, &state, &node, SWARM_PEER_WORKER, "garbage", &got, NULL));

  SwarmPeer subject = asked.info.peer;
  g_autofree char *good = sign (f, 0, f->csr, &subject, from, to);
  g_assert_true (take (f, &asked, good, NULL, &got, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (got.cert_pem, ==, good);
  g_assert_cmpint (got.info.not_after, ==, to / G_USEC_PER_SEC * G_USEC_PER_SEC);
  g_assert_cmpuint (strlen (got.info.peer.serial), >, 0);
  g_autofree char *trimmed = g_strchomp (g_strdup (good)), *whole = g_strconcat (good, "chain", NULL);
  g_assert_true (take (f, &asked, trimmed, "chain", &with_chain, NULL));
  g_assert_cmpstr (with_chain.cert_pem, ==, whole);

  assert_not_taken (f, &asked, g_strdup ("garbage"), "certificate");
  assert_not_taken (f, &asked, sign (f, 1, f->csr, &subject, from, to), "issuer");
  assert_not_taken (f, &asked, sign (f, 0, f->csr, &subject, from, f->now - HOUR_US / 2), "expired");
  assert_not_taken (f, &asked, sign (f, 0, other, &subject, from, to), "for another key");
  subject.role = SWARM_PEER_MANAGER;
  assert_not_taken (f, &asked, sign (f, 0, f->csr, &subject, from, to), "for somebody else");
  subject = asked.info.peer;
  subject.node.bytes[3] ^= 1;
  assert_not_taken (f, &asked, sign (f, 0, f->csr, &subject, from, to), "for somebody else");
  subject = asked.info.peer;
  subject.cluster.bytes[3] ^= 1;
  assert_not_taken (f, &asked, sign (f, 0, f->csr, &subject, from, to), "for somebody else");
}

/* ---- coming back ---- */

static void
test_return (Fixture *f, gconstpointer unused)
{
  SwarmAuthorityState state = state_of (f, 0, NULL);
  g_auto (SwarmIssued) issued = { 0 }, next = { 0 };
  g_autoptr (GBytes) other_key = swarm_cert_create_key (NULL);
  g_autofree char *other = swarm_cert_create_csr (other_key, NULL);
  g_autoptr (GError) late = NULL, stale = NULL, key = NULL, unknown = NULL, nobody = NULL, form = NULL;
  issue (f, 0, NULL, &issued);
  SwarmPeer peer = issued.info.peer;
  peer.role = SWARM_PEER_LAPSED;
  SwarmAuthorityNode node = { .role = SWARM_PEER_WORKER, .newest_serial = issued.info.peer.serial, .key = issued.info.key,
                              .not_after = f->now - DAY_US, .expired_renewal_us = 2 * DAY_US };
  g_assert_true (swarm_authority_may_return (&peer, &node, f->now, NULL));
  g_assert_true (swarm_authority_may_return (&peer, &node, f->now + DAY_US - 1, NULL));
  g_assert_false (swarm_authority_may_return (&peer, &node, f->now + DAY_US, &late));
  g_assert_error (late, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_true (g_str_has_prefix (late->message, SWARM_RENEWAL_REFUSED));
  g_assert_nonnull (strstr (late->message, "join again"));
  g_assert_true (swarm_authority_renew (&f->authority, &state, &peer, &node, f->csr, &next, NULL));
  g_assert_true (swarm_id_equal (&next.info.peer.node, &peer.node));
  g_assert_cmpint (next.info.peer.role, ==, SWARM_PEER_WORKER);
  /* Before its end no grace is needed: the root is another one. */
  node.expired_renewal_us = 0;
  g_assert_false (swarm_authority_may_return (&peer, &node, f->now, NULL));
  node.not_after = f->now + DAY_US;
  g_assert_true (swarm_authority_may_return (&peer, &node, f->now, NULL));
  g_assert_false (swarm_authority_may_return (&peer, &node, f->now + DAY_US, NULL));
  g_assert_false (swarm_authority_renew (&f->authority, &state, &peer, &node, other, &next, &key));
  g_assert_nonnull (strstr (key->message, "not made with the node's own key"));
  g_assert_false (swarm_authority_renew (&f->authority, &state, &peer, &node, "garbage", &next, &form));
  g_assert_error (form, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  node.key = NULL;
  g_assert_false (swarm_authority_renew (&f->authority, &state, &peer, &node, f->csr, &next, &unknown));
  g_assert_error (unknown, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  node.key = issued.info.key;
  node.newest_serial = "40";
  g_assert_false (swarm_authority_may_return (&peer, &node, f->now, &stale));
  g_assert_nonnull (strstr (stale->message, "replaced by a newer one"));
  node.serial_before = issued.info.peer.serial;
  g_assert_true (swarm_authority_may_return (&peer, &node, f->now, NULL));
  node.role = SWARM_PEER_NONE;
  g_assert_false (swarm_authority_renew (&f->authority, &state, &peer, &node, f->csr, &next, &nobody));
  g_assert_nonnull (strstr (nobody->message, "only a node with a certificate"));
}

/* From its beginning an hour ago: a random moment in the middle of its life, and all of that range. */
static void
test_renewal_time (Fixture *f, gconstpointer unused)
{
  SwarmCertInfo info = { .not_before = 1000 * DAY_US, .not_after = 1100 * DAY_US };
  gint64 first = G_MAXINT64, last = 0;
  for (guint i = 0; i < 20000; i++) {
    gint64 at = swarm_authority_renewal_time (f->authority.random, &info);
    first = MIN (first, at);
    last = MAX (last, at);
  }
  g_assert_cmpint (first, ==, 1050 * DAY_US);
  g_assert_cmpint (last, ==, 1080 * DAY_US);
  info.not_after = info.not_before - DAY_US;
  g_assert_cmpint (swarm_authority_renewal_time (f->authority.random, &info), ==, info.not_before);
}

static void
test_validity (Fixture *f, gconstpointer unused)
{
  SwarmAuthorityState state = state_of (f, 0, NULL);
  SwarmId node = swarm_random_id (swarm_random_system ());
  static const struct {
    gint64 asked, given;
  } rows[] = { { 0, 90 * DAY_US }, { HOUR_US / 2, HOUR_US }, { HOUR_US, HOUR_US }, { 5 * DAY_US, 5 * DAY_US } };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (SwarmIssued) issued = { 0 };
    gint64 before = swarm_clock_now (f->authority.clock);
    state.validity_us = rows[i].asked;
    g_assert_true (swarm_authority_issue (&f->authority, &state, &node, SWARM_PEER_MANAGER, f->csr, &issued, NULL));
    g_assert_cmpint (llabs (issued.info.not_after - before - rows[i].given), <, 5 * G_USEC_PER_SEC);
    g_assert_cmpint (llabs (before - issued.info.not_before - HOUR_US), <, 5 * G_USEC_PER_SEC);
    g_assert_cmpint (issued.info.not_before % G_USEC_PER_SEC, ==, 0);
    g_assert_cmpint (issued.info.not_after % G_USEC_PER_SEC, ==, 0);
  }
}

/* Both halves of a token count. */
static void
test_token_halves (Fixture *f, gconstpointer unused)
{
  guint8 digest[32] = { 1, 2, 3 };
  SwarmToken token, other;
  swarm_token_generate (f->authority.random, digest, &token);
  other = token;
  g_assert_true (swarm_token_equal (&token, &other));
  other.root_digest[31] ^= 1;
  g_assert_false (swarm_token_equal (&token, &other));
  other = token;
  other.secret[0] ^= 1;
  g_assert_false (swarm_token_equal (&token, &other));
}

int
main (int argc, char **argv)
{
  static const FIXTURE_TEST tests[] = {
    { "inspect", test_inspect },     { "cross", test_cross },   { "cross-refused", test_cross_refused },
    { "token-halves", test_token_halves },
    { "extensions", test_extensions },
    { "keys", test_keys },           { "elsewhere", test_elsewhere }, { "return", test_return },
    { "renewal-time", test_renewal_time }, { "validity", test_validity },
  };

  g_test_init (&argc, &argv, NULL);
  ADD_FIXTURE_TESTS ("/ca-roots", tests, setup, teardown);
  return g_test_run ();
}
