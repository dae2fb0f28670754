// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/pem.h"
#include "ca/cert.h"
#include "base/error.h"
#include "base/secret.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

void
swarm_pem_error (GError **error, int code, const char *what)
{
  unsigned long reason = ERR_peek_error ();
  const char *text = reason != 0 ? ERR_reason_error_string (reason) : NULL;

  ERR_clear_error ();
  g_set_error (error, SWARM_ERROR, code, "%s: %s", what, text != NULL ? text : "malformed");
}

/* A PEM text that asks for a pass phrase must not read one from the terminal. */
static int
no_passphrase (char *buf, int size, int rwflag, void *data)
{
  return -1;
}

static BIO *
open_pem (const char *pem, gsize len, const char *what, GError **error)
{
  if (pem == NULL || len == 0 || len > SWARM_PEM_MAX) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: %s", what,
                 len > SWARM_PEM_MAX ? "too long" : "missing");
    return NULL;
  }
  ERR_clear_error ();
  return BIO_new_mem_buf (pem, len);
}

X509 *
swarm_pem_read_cert (const char *pem, const char *what, GError **error)
{
  g_autoptr (BIO) bio = open_pem (pem, pem != NULL ? strlen (pem) : 0, what, error);
  X509 *cert;

  if (bio == NULL)
    return NULL;
  cert = PEM_read_bio_X509 (bio, NULL, no_passphrase, NULL);
  if (cert == NULL)
    swarm_pem_error (error, SWARM_ERROR_INVALID_ARGUMENT, what);
  return cert;
}

X509_REQ *
swarm_pem_read_csr (const char *pem, GError **error)
{
  g_autoptr (BIO) bio = open_pem (pem, pem != NULL ? strlen (pem) : 0, "certificate request", error);
  X509_REQ *csr;

  if (bio == NULL)
    return NULL;
  csr = PEM_read_bio_X509_REQ (bio, NULL, no_passphrase, NULL);
  if (csr == NULL)
    swarm_pem_error (error, SWARM_ERROR_INVALID_ARGUMENT, "certificate request");
  return csr;
}

EVP_PKEY *
swarm_pem_read_key (GBytes *pem, const char *what, GError **error)
{
  gsize len = 0;
  const char *data = pem != NULL ? g_bytes_get_data (pem, &len) : NULL;
  g_autoptr (BIO) bio = open_pem (data, len, what, error);
  EVP_PKEY *key;

  if (bio == NULL)
    return NULL;
  key = PEM_read_bio_PrivateKey (bio, NULL, no_passphrase, NULL);
  if (key == NULL)
    swarm_pem_error (error, SWARM_ERROR_INVALID_ARGUMENT, what);
  return key;
}

char *
swarm_pem_write_cert (X509 *cert)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  char *data;
  long len;

  PEM_write_bio_X509 (bio, cert);
  len = BIO_get_mem_data (bio, &data);
  return g_strndup (data, len);
}

char *
swarm_pem_sign_csr (X509_REQ *csr, EVP_PKEY *key, const char *what, GError **error)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  char *data;
  long len;

  if (!X509_REQ_set_version (csr, X509_REQ_VERSION_1) || !X509_REQ_set_pubkey (csr, key) || !X509_REQ_sign (csr, key, EVP_sha256 ())
      || !PEM_write_bio_X509_REQ (bio, csr)) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, what);
    return NULL;
  }
  len = BIO_get_mem_data (bio, &data);
  return g_strndup (data, len);
}

GBytes *
swarm_pem_write_key (EVP_PKEY *key)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_secmem ());
  char *data;
  long len;

  PEM_write_bio_PKCS8PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL);
  len = BIO_get_mem_data (bio, &data);
  return swarm_secret_bytes (data, len);
}

gboolean
swarm_pem_is_p256 (EVP_PKEY *key)
{
  char group[64] = "";
  gsize len;

  return EVP_PKEY_is_a (key, "EC")
         && EVP_PKEY_get_utf8_string_param (key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &len)
         && (g_str_equal (group, "prime256v1") || g_str_equal (group, "P-256"));
}

gboolean
swarm_pem_key_digest (EVP_PKEY *key, char ret[65])
{
  guint8 *der = NULL, digest[32];
  int len = i2d_PUBKEY (key, &der);
  gboolean ok = len > 0 && EVP_Digest (der, len, digest, NULL, EVP_sha256 (), NULL);

  OPENSSL_free (der);
  for (guint i = 0; ok && i < sizeof digest; i++)
    g_snprintf (ret + 2 * i, 3, "%02x", digest[i]);
  return ok;
}
