// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/cert.h"
#include "ca/pem.h"
#include "base/error.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static const char *const role_names[] = {
  [SWARM_PEER_WORKER] = "swarm-worker",
  [SWARM_PEER_MANAGER] = "swarm-manager",
};

const char *
swarm_cert_role_to_string (SwarmPeerRole role)
{
  return role < G_N_ELEMENTS (role_names) ? role_names[role] : NULL;
}

GBytes *
swarm_cert_create_key (GError **error)
{
  g_autoptr (EVP_PKEY) key = EVP_EC_gen ("P-256");

  if (key == NULL) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "cannot create a key");
    return NULL;
  }
  return swarm_pem_write_key (key);
}

char *
swarm_cert_create_csr (GBytes *key_pem, GError **error)
{
  g_autoptr (EVP_PKEY) key = swarm_pem_read_key (key_pem, "node key", error);
  g_autoptr (X509_REQ) csr = X509_REQ_new ();

  return key != NULL ? swarm_pem_sign_csr (csr, key, "cannot create a certificate request", error) : NULL;
}

/* The only value of @nid in the subject, as text without NUL bytes; NULL when there is none or more than one. */
static char *
subject_entry (X509 *cert, int nid)
{
  X509_NAME *name = X509_get_subject_name (cert);
  int at = X509_NAME_get_index_by_NID (name, nid, -1);
  ASN1_STRING *value;
  const char *data;
  int len;

  if (at < 0 || X509_NAME_get_index_by_NID (name, nid, at) >= 0)
    return NULL;
  value = X509_NAME_ENTRY_get_data (X509_NAME_get_entry (name, at));
  data = (const char *) ASN1_STRING_get0_data (value);
  len = ASN1_STRING_length (value);
  if (len <= 0 || len > 64 || memchr (data, '\0', len) != NULL)
    return NULL;
  return g_strndup (data, len);
}

static gboolean
time_to_us (const ASN1_TIME *time, gint64 *ret)
{
  struct tm tm;

  if (time == NULL || !ASN1_TIME_to_tm (time, &tm))
    return FALSE;
  *ret = (gint64) timegm (&tm) * G_USEC_PER_SEC;
  return TRUE;
}

static gboolean
serial_to_hex (X509 *cert, char ret[41])
{
  const ASN1_INTEGER *serial = X509_get0_serialNumber (cert);
  const guint8 *data = ASN1_STRING_get0_data (serial);
  int len = ASN1_STRING_length (serial);

  if (len <= 0 || len > 20 || ASN1_STRING_type (serial) != V_ASN1_INTEGER)
    return FALSE;
  for (int i = 0; i < len; i++)
    g_snprintf (ret + 2 * i, 3, "%02x", data[i]);
  return TRUE;
}

static gboolean
cert_info (X509 *cert, SwarmCertInfo *ret, GError **error)
{
  g_autofree char *node = subject_entry (cert, NID_commonName);
  g_autofree char *role = subject_entry (cert, NID_organizationalUnitName);
  g_autofree char *cluster = subject_entry (cert, NID_organizationName);
  SwarmCertInfo info = { 0 };

  for (guint i = SWARM_PEER_WORKER; i < G_N_ELEMENTS (role_names); i++)
    if (g_strcmp0 (role, role_names[i]) == 0)
      info.peer.role = i;
  if (info.peer.role == SWARM_PEER_NONE || !swarm_id_parse (node, &info.peer.node)
      || !swarm_id_parse (cluster, &info.peer.cluster)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                         "certificate: its subject does not name a node, a role and a cluster");
    return FALSE;
  }
  if (!serial_to_hex (cert, info.peer.serial) || !time_to_us (X509_get0_notBefore (cert), &info.not_before)
      || !time_to_us (X509_get0_notAfter (cert), &info.not_after) || X509_get0_pubkey (cert) == NULL
      || !swarm_pem_key_digest (X509_get0_pubkey (cert), info.key)) {
    ERR_clear_error ();
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "certificate: malformed serial, validity or key");
    return FALSE;
  }
  info.peer.issued = info.not_before;
  info.peer.expires = info.not_after;
  *ret = info;
  return TRUE;
}

gboolean
swarm_cert_parse (const char *pem, SwarmCertInfo *ret, GError **error)
{
  g_autoptr (X509) cert = swarm_pem_read_cert (pem, "certificate", error);

  return cert != NULL && cert_info (cert, ret, error);
}

gboolean
swarm_cert_parse_der (const guint8 *der, gsize len, SwarmCertInfo *ret, GError **error)
{
  const guint8 *at = der;
  g_autoptr (X509) cert = NULL;

  ERR_clear_error ();
  cert = len <= SWARM_PEM_MAX ? d2i_X509 (NULL, &at, (long) len) : NULL;
  if (cert == NULL) {
    swarm_pem_error (error, SWARM_ERROR_INVALID_ARGUMENT, "certificate");
    return FALSE;
  }
  return cert_info (cert, ret, error);
}

static X509_STORE *
store_of_roots (const char *roots_pem, GError **error)
{
  g_autoptr (BIO) bio = NULL;
  g_autoptr (X509_STORE) store = X509_STORE_new ();
  guint n = 0;
  X509 *root;

  if (roots_pem != NULL && strlen (roots_pem) <= SWARM_PEM_MAX)
    bio = BIO_new_mem_buf (roots_pem, -1);
  while (bio != NULL && (root = PEM_read_bio_X509 (bio, NULL, NULL, NULL)) != NULL) {
    X509_STORE_add_cert (store, root);
    X509_free (root);
    n++;
  }
  ERR_clear_error ();
  if (n == 0) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "root certificate: missing or malformed");
    return NULL;
  }
  return g_steal_pointer (&store);
}

/* What follows the first certificate of the text: no more trusted than it is. */
static GPtrArray *
rest_of_chain (const char *pem)
{
  GPtrArray *rest = g_ptr_array_new_with_free_func ((GDestroyNotify) X509_free);
  g_autoptr (BIO) bio = BIO_new_mem_buf (pem, -1);
  X509 *cert = PEM_read_bio_X509 (bio, NULL, NULL, NULL);

  X509_free (cert);
  while (cert != NULL && (cert = PEM_read_bio_X509 (bio, NULL, NULL, NULL)) != NULL)
    g_ptr_array_add (rest, cert);
  ERR_clear_error ();
  return rest;
}

static gboolean
verify_chain (X509 *cert, GPtrArray *rest, X509_STORE *store, gint64 now_us, GError **error)
{
  g_autoptr (X509_STORE_CTX) ctx = X509_STORE_CTX_new ();
  STACK_OF (X509) *untrusted = sk_X509_new_null ();
  gboolean ok;

  for (guint i = 0; i < rest->len; i++)
    sk_X509_push (untrusted, rest->pdata[i]);
  X509_STORE_CTX_init (ctx, store, cert, untrusted);
  X509_VERIFY_PARAM_set_time (X509_STORE_CTX_get0_param (ctx), now_us / G_USEC_PER_SEC);
  ok = X509_verify_cert (ctx) == 1;
  if (!ok)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "certificate: %s",
                 X509_verify_cert_error_string (X509_STORE_CTX_get_error (ctx)));
  sk_X509_free (untrusted);
  ERR_clear_error ();
  return ok;
}

gboolean
swarm_cert_verify (const char *cert_pem, const char *roots_pem, gint64 now_us, GError **error)
{
  g_autoptr (X509) cert = swarm_pem_read_cert (cert_pem, "certificate", error);
  g_autoptr (X509_STORE) store = cert != NULL ? store_of_roots (roots_pem, error) : NULL;
  g_autoptr (GPtrArray) rest = store != NULL ? rest_of_chain (cert_pem) : NULL;

  return rest != NULL && verify_chain (cert, rest, store, now_us, error);
}

gboolean
swarm_cert_matches_key (const char *cert_pem, GBytes *key_pem, GError **error)
{
  g_autoptr (X509) cert = swarm_pem_read_cert (cert_pem, "certificate", error);
  g_autoptr (EVP_PKEY) key = cert != NULL ? swarm_pem_read_key (key_pem, "node key", error) : NULL;

  if (key == NULL)
    return FALSE;
  if (X509_check_private_key (cert, key) == 1)
    return TRUE;
  ERR_clear_error ();
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "certificate and key do not belong together");
  return FALSE;
}

char *
swarm_cert_create_root_csr (const char *root_pem, GBytes *key_pem, GError **error)
{
  g_autoptr (X509) root = swarm_pem_read_cert (root_pem, "root certificate", error);
  g_autoptr (EVP_PKEY) key = root != NULL ? swarm_pem_read_key (key_pem, "root key", error) : NULL;
  g_autoptr (X509_REQ) csr = X509_REQ_new ();

  if (key == NULL)
    return NULL;
  if (X509_REQ_set_subject_name (csr, X509_get_subject_name (root)) != 1) {
    swarm_pem_error (error, SWARM_ERROR_FAILED, "root certificate request");
    return NULL;
  }
  return swarm_pem_sign_csr (csr, key, "root certificate request", error);
}

gboolean
swarm_cert_check_cross (const char *cross_pem, const char *root_pem, const char *next_pem, gint64 now_us, GError **error)
{
  g_autoptr (X509) cross = swarm_pem_read_cert (cross_pem, "cross-signed certificate", error);
  g_autoptr (X509) next = cross != NULL ? swarm_pem_read_cert (next_pem, "root certificate", error) : NULL;
  const char *problem = NULL;

  if (next == NULL)
    return FALSE;
  if (X509_NAME_cmp (X509_get_subject_name (cross), X509_get_subject_name (next)) != 0)
    problem = "its subject is not that of the next root";
  else if (X509_get0_pubkey (cross) == NULL || EVP_PKEY_eq (X509_get0_pubkey (cross), X509_get0_pubkey (next)) != 1)
    problem = "its key is not that of the next root";
  else if (X509_check_ca (cross) != 1)
    problem = "it is not of a CA (its profile \"CA\" has to allow that)";
  ERR_clear_error ();
  if (problem == NULL)
    return swarm_cert_verify (cross_pem, root_pem, now_us, error);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "cross-signed certificate: %s", problem);
  return FALSE;
}
