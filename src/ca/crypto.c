// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/crypto.h"
#include "ca/cert.h"
#include "ca/pem.h"
#include "base/error.h"
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#define KEY_LEN 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define ROOT_VALIDITY_US (G_GINT64_CONSTANT (630720000) * G_USEC_PER_SEC) /* 20 years, as swarm */
#define SERIAL_LEN 16

static void
random_bytes (guint8 *data, gsize len)
{
  /* Without randomness nothing that follows is secure, and nobody could handle it: stop. */
  if (RAND_bytes (data, len) != 1)
    g_error ("OpenSSL gives no random bytes");
}

/* Sealed form: nonce 12, ciphertext, tag 16. A data key must be replaced before 2^32 records (random nonces). */
static GBytes *
crypto_seal (SwarmCrypto *self, GBytes *key, GBytes *plain, GBytes *aad)
{
  g_autoptr (EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new ();
  gsize len = g_bytes_get_size (plain), aad_len = aad != NULL ? g_bytes_get_size (aad) : 0;
  guint8 *out = g_malloc (NONCE_LEN + len + TAG_LEN);
  int n;
  gboolean ok;

  g_assert (g_bytes_get_size (key) == KEY_LEN && len < G_MAXINT && aad_len < G_MAXINT);
  random_bytes (out, NONCE_LEN);
  ok = EVP_EncryptInit_ex2 (ctx, EVP_aes_256_gcm (), g_bytes_get_data (key, NULL), out, NULL)
       && (aad_len == 0 || EVP_EncryptUpdate (ctx, NULL, &n, g_bytes_get_data (aad, NULL), aad_len))
       && (len == 0 || EVP_EncryptUpdate (ctx, out + NONCE_LEN, &n, g_bytes_get_data (plain, NULL), len))
       && EVP_EncryptFinal_ex (ctx, out + NONCE_LEN + len, &n)
       && EVP_CIPHER_CTX_ctrl (ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out + NONCE_LEN + len);
  if (!ok)
    g_error ("OpenSSL cannot encrypt with AES-256-GCM");
  return g_bytes_new_take (out, NONCE_LEN + len + TAG_LEN);
}

static GBytes *
crypto_unseal (SwarmCrypto *self, GBytes *key, GBytes *sealed, GBytes *aad, GError **error)
{
  g_autoptr (EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new ();
  gsize size, len, aad_len = aad != NULL ? g_bytes_get_size (aad) : 0;
  const guint8 *data = g_bytes_get_data (sealed, &size);
  g_autofree guint8 *out = NULL;
  guint8 tag[TAG_LEN];
  int n;

  if (size >= NONCE_LEN + TAG_LEN && size < G_MAXINT && g_bytes_get_size (key) == KEY_LEN) {
    len = size - NONCE_LEN - TAG_LEN;
    out = g_malloc (len + 1);
    memcpy (tag, data + NONCE_LEN + len, TAG_LEN);
    if (EVP_DecryptInit_ex2 (ctx, EVP_aes_256_gcm (), g_bytes_get_data (key, NULL), data, NULL)
        && (aad_len == 0 || EVP_DecryptUpdate (ctx, NULL, &n, g_bytes_get_data (aad, NULL), aad_len))
        && (len == 0 || EVP_DecryptUpdate (ctx, out, &n, data + NONCE_LEN, len))
        && EVP_CIPHER_CTX_ctrl (ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag)
        && EVP_DecryptFinal_ex (ctx, out + len, &n) == 1)
      return g_bytes_new_take (g_steal_pointer (&out), len);
    explicit_bzero (out, len);
    ERR_clear_error ();
  }
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "sealed data is damaged or was sealed with another key");
  return NULL;
}

static void
crypto_sha256 (SwarmCrypto *self, const guint8 *data, gsize len, guint8 digest[32])
{
  if (!EVP_Digest (data != NULL ? data : (const guint8 *) "", len, digest, NULL, EVP_sha256 (), NULL))
    g_error ("OpenSSL cannot compute SHA-256");
}

/* A positive random serial number; @hex may be NULL. */
static gboolean
set_serial (X509 *cert, char hex[41])
{
  guint8 serial[SERIAL_LEN];
  g_autoptr (BIGNUM) number = NULL;

  random_bytes (serial, sizeof serial);
  serial[0] = (serial[0] & 0x7f) | 0x40; /* of one length, so that its text form is unique */
  number = BN_bin2bn (serial, sizeof serial, NULL);
  for (gsize i = 0; hex != NULL && i < sizeof serial; i++)
    g_snprintf (hex + 2 * i, 3, "%02x", serial[i]);
  return number != NULL && BN_to_ASN1_INTEGER (number, X509_get_serialNumber (cert)) != NULL;
}

static gboolean
add_extension (X509 *cert, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX ctx;
  X509_EXTENSION *extension;
  gboolean ok;

  X509V3_set_ctx (&ctx, issuer, cert, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid (NULL, &ctx, nid, value);
  ok = extension != NULL && X509_add_ext (cert, extension, -1);
  X509_EXTENSION_free (extension);
  return ok;
}

static gboolean
add_name (X509 *cert, const char *field, const char *value)
{
  return X509_NAME_add_entry_by_txt (X509_get_subject_name (cert), field, MBSTRING_ASC, (const guint8 *) value, -1, -1,
                                     0);
}

static gboolean
set_validity (X509 *cert, gint64 not_before_us, gint64 not_after_us)
{
  return ASN1_TIME_set (X509_getm_notBefore (cert), not_before_us / G_USEC_PER_SEC) != NULL
         && ASN1_TIME_set (X509_getm_notAfter (cert), not_after_us / G_USEC_PER_SEC) != NULL;
}

static gboolean
crypto_create_root (SwarmCrypto *self, gint64 now_us, char **ret_cert_pem, GBytes **ret_key_pem, GError **error)
{
  g_autoptr (EVP_PKEY) key = EVP_EC_gen ("P-256");
  g_autoptr (X509) cert = X509_new ();
  /* Back-dated as issued certificates are: the first joiner's clock may be slow. */
  gint64 not_before = now_us - G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC;

  if (key == NULL || !X509_set_version (cert, X509_VERSION_3) || !set_serial (cert, NULL)
      || !add_name (cert, "CN", "swarm-ca") || !X509_set_issuer_name (cert, X509_get_subject_name (cert))
      || !set_validity (cert, not_before, now_us + ROOT_VALIDITY_US) || !X509_set_pubkey (cert, key)
      || !add_extension (cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign")
      || !add_extension (cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:1")
      || !add_extension (cert, cert, NID_subject_key_identifier, "hash") || !X509_sign (cert, key, EVP_sha256 ())) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "cannot create the root certificate");
    return FALSE;
  }
  *ret_cert_pem = swarm_pem_write_cert (cert);
  *ret_key_pem = swarm_pem_write_key (key);
  return TRUE;
}

static X509 *
build_cert (X509 *root, EVP_PKEY *public_key, const SwarmPeer *subject, gint64 not_before_us, gint64 not_after_us,
            char serial[41])
{
  g_autoptr (X509) cert = X509_new ();

  if (!X509_set_version (cert, X509_VERSION_3) || !set_serial (cert, serial)
      || !add_name (cert, "O", swarm_id_string (&subject->cluster).str)
      || !add_name (cert, "OU", swarm_cert_role_to_string (subject->role))
      || !add_name (cert, "CN", swarm_id_string (&subject->node).str)
      || !X509_set_issuer_name (cert, X509_get_subject_name (root)) || !set_validity (cert, not_before_us, not_after_us)
      || !X509_set_pubkey (cert, public_key) || !add_extension (cert, root, NID_key_usage, "critical,digitalSignature")
      || !add_extension (cert, root, NID_basic_constraints, "critical,CA:FALSE")
      || !add_extension (cert, root, NID_ext_key_usage, "serverAuth,clientAuth")
      || !add_extension (cert, root, NID_subject_key_identifier, "hash")
      || !add_extension (cert, root, NID_authority_key_identifier, "keyid"))
    return NULL;
  return g_steal_pointer (&cert);
}

/* The public key of a request whose own signature proves that the sender has the private one. */
static EVP_PKEY *
csr_key (const char *csr_pem, GError **error)
{
  g_autoptr (X509_REQ) csr = swarm_pem_read_csr (csr_pem, error);
  EVP_PKEY *key;

  if (csr == NULL)
    return NULL;
  key = X509_REQ_get0_pubkey (csr);
  if (key == NULL || !swarm_pem_is_p256 (key)) {
    ERR_clear_error ();
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                         "certificate request: its key is not an ECDSA P-256 key");
    return NULL;
  }
  if (X509_REQ_verify (csr, key) != 1) {
    ERR_clear_error ();
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                         "certificate request: its signature is wrong");
    return NULL;
  }
  EVP_PKEY_up_ref (key);
  return key;
}

static char *
crypto_issue (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, const char *csr_pem,
              const SwarmPeer *subject, gint64 not_before_us, gint64 not_after_us, char ret_serial[41], GError **error)
{
  g_autoptr (X509) root = swarm_pem_read_cert (root_cert_pem, "root certificate", error);
  g_autoptr (EVP_PKEY) root_key = root != NULL ? swarm_pem_read_key (root_key_pem, "root key", error) : NULL;
  g_autoptr (EVP_PKEY) key = root_key != NULL ? csr_key (csr_pem, error) : NULL;
  g_autoptr (X509) cert = NULL;
  char serial[41] = "";

  if (key == NULL)
    return NULL;
  g_return_val_if_fail (swarm_cert_role_to_string (subject->role) != NULL, NULL);
  if (X509_check_private_key (root, root_key) != 1) {
    ERR_clear_error ();
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED,
                         "root certificate and root key do not belong together");
    return NULL;
  }
  cert = build_cert (root, key, subject, not_before_us, not_after_us, serial);
  if (cert == NULL || !X509_sign (cert, root_key, EVP_sha256 ())) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "cannot issue a certificate");
    return NULL;
  }
  memcpy (ret_serial, serial, sizeof serial);
  return swarm_pem_write_cert (cert);
}

static gboolean
crypto_root_digest (SwarmCrypto *self, const char *root_cert_pem, guint8 digest[32], GError **error)
{
  g_autoptr (X509) root = swarm_pem_read_cert (root_cert_pem, "root certificate", error);

  if (root == NULL)
    return FALSE;
  /* Whoever checks a digest trusts the whole text afterwards: nothing may ride along behind the certificate that was
   * checked. */
  if (strstr (strstr (root_cert_pem, "-----BEGIN ") + 1, "-----BEGIN ") != NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                         "root certificate: more than one certificate");
    return FALSE;
  }
  if (!X509_digest (root, EVP_sha256 (), digest, NULL)) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "root certificate");
    return FALSE;
  }
  return TRUE;
}

/* ---- roots that follow each other ---- */

static GBytes *
der_of (int (*encode) (gconstpointer, guint8 **), gconstpointer object)
{
  guint8 *der = NULL;
  int len = encode (object, &der);
  GBytes *bytes = len > 0 ? g_bytes_new (der, len) : NULL;

  OPENSSL_free (der);
  return bytes;
}

static int
encode_name (gconstpointer name, guint8 **der)
{
  return i2d_X509_NAME (name, der);
}

static int
encode_key (gconstpointer key, guint8 **der)
{
  return i2d_PUBKEY (key, der);
}

/* NULL: it can be a root. */
static const char *
root_problem (X509 *root, EVP_PKEY *key, gint64 now_us)
{
  time_t now = now_us / G_USEC_PER_SEC;

  if (X509_check_ca (root) != 1)
    return "it is not the certificate of a CA";
  if (X509_self_signed (root, 1) != 1)
    return "it is not self-signed";
  if (X509_cmp_time (X509_get0_notBefore (root), &now) >= 0)
    return "it is not valid yet";
  if (X509_cmp_time (X509_get0_notAfter (root), &now) <= 0)
    return "it has expired";
  if (key != NULL && X509_check_private_key (root, key) != 1)
    return "the key does not belong to it";
  return NULL;
}

static gboolean
crypto_inspect_root (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, gint64 now_us, SwarmRootInfo *ret,
                     GError **error)
{
  g_auto (SwarmRootInfo) info = { 0 };
  g_autoptr (EVP_PKEY) key = NULL;
  g_autoptr (X509) root = NULL;
  const char *problem;

  if (!crypto_root_digest (self, root_cert_pem, info.digest, error))
    return FALSE;
  root = swarm_pem_read_cert (root_cert_pem, "root certificate", error);
  if (root_key_pem != NULL && (key = swarm_pem_read_key (root_key_pem, "root key", error)) == NULL)
    return FALSE;
  problem = root_problem (root, key, now_us);
  ERR_clear_error ();
  if (problem != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "root certificate: %s", problem);
    return FALSE;
  }
  info.subject = der_of (encode_name, X509_get_subject_name (root));
  info.public_key = der_of (encode_key, X509_get0_pubkey (root));
  if (info.subject == NULL || info.public_key == NULL) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "root certificate");
    return FALSE;
  }
  *ret = info;
  info = (SwarmRootInfo){ 0 };
  return TRUE;
}

static X509 *
build_cross (X509 *root, X509 *next)
{
  g_autoptr (X509) cert = X509_new ();

  if (!X509_set_version (cert, X509_VERSION_3) || !set_serial (cert, NULL)
      || !X509_set_subject_name (cert, X509_get_subject_name (next))
      || !X509_set_issuer_name (cert, X509_get_subject_name (root))
      || !X509_set1_notBefore (cert, X509_get0_notBefore (next)) || !X509_set1_notAfter (cert, X509_get0_notAfter (root))
      || !X509_set_pubkey (cert, X509_get0_pubkey (next))
      || !add_extension (cert, root, NID_key_usage, "critical,keyCertSign,cRLSign")
      || !add_extension (cert, root, NID_basic_constraints, "critical,CA:TRUE")
      || !add_extension (cert, root, NID_subject_key_identifier, "hash")
      || (X509_get0_subject_key_id (root) != NULL && !add_extension (cert, root, NID_authority_key_identifier, "keyid")))
    return NULL;
  return g_steal_pointer (&cert);
}

static char *
crypto_cross_sign (SwarmCrypto *self, const char *root_cert_pem, GBytes *root_key_pem, const char *next_root_pem, GError **error)
{
  g_autoptr (X509) root = swarm_pem_read_cert (root_cert_pem, "root certificate", error);
  g_autoptr (EVP_PKEY) key = root != NULL ? swarm_pem_read_key (root_key_pem, "root key", error) : NULL;
  g_autoptr (X509) next = key != NULL ? swarm_pem_read_cert (next_root_pem, "next root certificate", error) : NULL;
  g_autoptr (X509) cross = next != NULL ? build_cross (root, next) : NULL;

  if (next == NULL)
    return NULL;
  if (cross == NULL || X509_check_private_key (root, key) != 1 || !X509_sign (cross, key, EVP_sha256 ())) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "cannot sign the next root certificate");
    return NULL;
  }
  return swarm_pem_write_cert (cross);
}

static gboolean
crypto_request_key (SwarmCrypto *self, const char *csr_pem, char ret[65], GError **error)
{
  g_autoptr (EVP_PKEY) key = csr_key (csr_pem, error);

  if (key == NULL)
    return FALSE;
  if (swarm_pem_key_digest (key, ret))
    return TRUE;
  swarm_pem_error (error, SWARM_ERROR_FAILED, "certificate request");
  return FALSE;
}

SwarmCrypto *
swarm_crypto_openssl (void)
{
  static SwarmCrypto crypto = {
    .seal = crypto_seal,
    .unseal = crypto_unseal,
    .sha256 = crypto_sha256,
    .create_root = crypto_create_root,
    .issue = crypto_issue,
    .root_digest = crypto_root_digest,
    .inspect_root = crypto_inspect_root,
    .cross_sign = crypto_cross_sign,
    .request_key = crypto_request_key,
  };

  return &crypto;
}
