// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-crypto.h"
#include "base/error.h"
#include <string.h>

#define NONCE_LEN 8
#define TAG_LEN 16
#define ROOT_HEAD "-----BEGIN SIM ROOT-----\n"
#define CSR_HEAD "-----BEGIN SIM REQUEST-----\n"

static guint64
mix_word (guint64 state, guint64 word)
{
  state = (state ^ word) * 0x9E3779B97F4A7C15ull;
  return state ^ state >> 29;
}

static guint64
last_word (const guint8 *data, gsize len)
{
  guint64 word = 0;
  memcpy (&word, data, len);
  return word;
}

static guint64
mix (guint64 state, const guint8 *data, gsize len)
{
  gsize i = 0;
  guint64 word;
  for (; i + 8 <= len; i += 8) {
    memcpy (&word, data + i, 8);
    state = mix_word (state, word);
  }
  if (i < len)
    state = mix_word (state, last_word (data + i, len - i));
  return (state ^ len) * 0xBF58476D1CE4E5B9ull;
}

static guint64
mix_bytes (guint64 state, GBytes *bytes)
{
  gsize len = 0;
  const guint8 *data = bytes != NULL ? g_bytes_get_data (bytes, &len) : NULL;

  return mix (state, data, len);
}

/* What XOR does is its own inverse. */
static void
apply_stream (guint64 key, const guint8 *in, guint8 *out, gsize len)
{
  SimRandom stream;
  gsize i = 0;
  guint64 word;
  sim_random_init (&stream, key);
  for (; i + 8 <= len; i += 8) {
    memcpy (&word, in + i, 8);
    word ^= sim_random_next (&stream);
    memcpy (out + i, &word, 8);
  }
  if (i < len) {
    word = last_word (in + i, len - i) ^ sim_random_next (&stream);
    memcpy (out + i, &word, len - i);
  }
}

static void
compute_tag (guint64 key, GBytes *aad, const guint8 *nonce, const guint8 *body, gsize len, guint64 tag[2])
{
  guint64 state = mix (mix_bytes (key, aad), nonce, NONCE_LEN);

  tag[0] = mix (state, body, len);
  tag[1] = mix_word (~state, tag[0]);
}

static GBytes *
crypto_seal (SwarmCrypto *iface, GBytes *key, GBytes *plain, GBytes *aad)
{
  SimCrypto *self = (SimCrypto *) iface;
  guint64 nonce = sim_random_next (self->random), secret = mix_bytes (1, key), tag[2];
  gsize len;
  const guint8 *data = g_bytes_get_data (plain, &len);
  guint8 *out = g_malloc (NONCE_LEN + len + TAG_LEN);

  memcpy (out, &nonce, NONCE_LEN);
  apply_stream (secret ^ nonce, data, out + NONCE_LEN, len);
  compute_tag (secret, aad, out, out + NONCE_LEN, len, tag);
  memcpy (out + NONCE_LEN + len, tag, TAG_LEN);
  return g_bytes_new_take (out, NONCE_LEN + len + TAG_LEN);
}

static GBytes *
crypto_unseal (SwarmCrypto *iface, GBytes *key, GBytes *sealed, GBytes *aad, GError **error)
{
  guint64 nonce, secret = mix_bytes (1, key), tag[2];
  gsize len;
  const guint8 *data = g_bytes_get_data (sealed, &len);
  guint8 *out;

  if (len >= NONCE_LEN + TAG_LEN) {
    len -= NONCE_LEN + TAG_LEN;
    compute_tag (secret, aad, data, data + NONCE_LEN, len, tag);
    if (memcmp (tag, data + NONCE_LEN + len, TAG_LEN) == 0) {
      out = g_malloc (MAX (len, 1));
      memcpy (&nonce, data, NONCE_LEN);
      apply_stream (secret ^ nonce, data + NONCE_LEN, out, len);
      return g_bytes_new_take (out, len);
    }
  }
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "wrong key, or the data was changed");
  return NULL;
}

static void
crypto_sha256 (SwarmCrypto *iface, const guint8 *data, gsize len, guint8 digest[32])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize n = 32;

  g_checksum_update (sum, data, len);
  g_checksum_get_digest (sum, digest, &n);
}

static gboolean
crypto_create_root (SwarmCrypto *iface, gint64 now_us, char **ret_cert_pem, GBytes **ret_key_pem, GError **error)
{
  SimCrypto *self = (SimCrypto *) iface;
  guint64 secret = sim_random_next (self->random);

  *ret_cert_pem = g_strdup_printf (ROOT_HEAD "%016" G_GINT64_MODIFIER "x\n", mix (2, (guint8 *) &secret, sizeof secret));
  *ret_key_pem = g_bytes_new (&secret, sizeof secret);
  return TRUE;
}

static char *
crypto_issue (SwarmCrypto *iface, const char *root_cert_pem, GBytes *root_key_pem, const char *csr_pem, const SwarmPeer *subject,
              gint64 not_before_us, gint64 not_after_us, char ret_serial[41], GError **error)
{
  SimCrypto *self = (SimCrypto *) iface;

  if (!g_str_has_prefix (csr_pem, CSR_HEAD)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a certificate request");
    return NULL;
  }
  g_snprintf (ret_serial, 41, "%016" G_GINT64_MODIFIER "x", sim_random_next (self->random));
  return g_strdup_printf ("-----BEGIN SIM CERTIFICATE-----\nCN=%s\nOU=%s\nO=%s\nserial=%s\nfrom=%" G_GINT64_FORMAT "\nto=%" G_GINT64_FORMAT "\n",
                          swarm_id_string (&subject->node).str, subject->role == SWARM_PEER_MANAGER ? "swarm-manager" : "swarm-worker",
                          swarm_id_string (&subject->cluster).str, ret_serial, not_before_us, not_after_us);
}

static gboolean
crypto_root_digest (SwarmCrypto *iface, const char *root_cert_pem, guint8 digest[32], GError **error)
{
  if (!g_str_has_prefix (root_cert_pem, ROOT_HEAD)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a root certificate");
    return FALSE;
  }
  crypto_sha256 (iface, (const guint8 *) root_cert_pem, strlen (root_cert_pem), digest);
  return TRUE;
}

static gboolean
crypto_inspect_root (SwarmCrypto *iface, const char *root_cert_pem, GBytes *root_key_pem, gint64 now_us, SwarmRootInfo *ret, GError **error)
{
  guint64 secret = 0;
  g_autofree char *own = NULL;

  if (root_key_pem != NULL && g_bytes_get_size (root_key_pem) == sizeof secret)
    memcpy (&secret, g_bytes_get_data (root_key_pem, NULL), sizeof secret);
  own = g_strdup_printf (ROOT_HEAD "%016" G_GINT64_MODIFIER "x\n", mix (2, (guint8 *) &secret, sizeof secret));
  if (root_key_pem != NULL && !g_str_equal (own, root_cert_pem)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "root certificate: the key does not belong to it");
    return FALSE;
  }
  if (!crypto_root_digest (iface, root_cert_pem, ret->digest, error))
    return FALSE;
  ret->subject = g_bytes_new_static ("swarm-ca", 8);
  ret->public_key = g_bytes_new (ret->digest, sizeof ret->digest);
  return TRUE;
}

static char *
crypto_cross_sign (SwarmCrypto *iface, const char *root_cert_pem, GBytes *root_key_pem, const char *next_root_pem, GError **error)
{
  return g_strdup_printf ("-----BEGIN SIM CROSS-----\n%s%s", root_cert_pem, next_root_pem);
}

static gboolean
crypto_request_key (SwarmCrypto *iface, const char *csr_pem, char ret[65], GError **error)
{
  if (!g_str_has_prefix (csr_pem, CSR_HEAD)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a certificate request");
    return FALSE;
  }
  g_strlcpy (ret, csr_pem + strlen (CSR_HEAD), 17);
  return TRUE;
}

void
sim_crypto_init (SimCrypto *self, SimRandom *random)
{
  self->iface = (SwarmCrypto){ crypto_seal, crypto_unseal, crypto_sha256, crypto_create_root, crypto_issue, crypto_root_digest,
                                crypto_inspect_root, crypto_cross_sign, crypto_request_key };
  self->random = random;
}

char *
sim_crypto_csr (SimCrypto *self)
{
  return g_strdup_printf (CSR_HEAD "%016" G_GINT64_MODIFIER "x\n", sim_random_next (self->random));
}
