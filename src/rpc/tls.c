// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/tls.h"
#include "base/error.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define CERT_LIST_MAX (16 * 1024)
#define VERIFY_DEPTH 8 /* the roots that followed each other, each signed by the one before */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_STORE_CTX, X509_STORE_CTX_free)

/* What a session remembers about the certificate that it was shown. */
typedef struct {
  int code;           /* why it was refused: X509_V_ERR_… */
  SwarmCertInfo info; /* role NONE: could not be told */
  SwarmRpcIdentify identify;
  gint64 now_us;
  gboolean accepts_expired;
  gboolean expired; /* and was taken all the same: the other end may renew it */
} Refusal;

static int refusal_index = -1;

static void
refusal_free (void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
  g_free (data);
}

static gboolean
identify_cert (SwarmRpcIdentify identify, X509 *cert, SwarmCertInfo *ret, GError **error)
{
  guint8 *der = NULL;
  int len = i2d_X509 (cert, &der);
  gboolean ok;

  if (len < 0) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "certificate: malformed");
    return FALSE;
  }
  ok = identify (der, len, ret, error);
  OPENSSL_free (der);
  return ok;
}

static int
verify_cb (int ok, X509_STORE_CTX *ctx)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data (ctx, SSL_get_ex_data_X509_STORE_CTX_idx ());
  Refusal *refusal = SSL_get_ex_data (ssl, refusal_index);
  X509 *cert = X509_STORE_CTX_get0_cert (ctx);

  if (!ok && refusal->accepts_expired && X509_STORE_CTX_get_error_depth (ctx) == 0
      && X509_STORE_CTX_get_error (ctx) == X509_V_ERR_CERT_HAS_EXPIRED) {
    refusal->expired = TRUE;
    X509_STORE_CTX_set_error (ctx, X509_V_OK);
    return 1;
  }
  if (!ok && refusal->code == 0) {
    refusal->code = X509_STORE_CTX_get_error (ctx);
    if (cert == NULL || !identify_cert (refusal->identify, cert, &refusal->info, NULL))
      refusal->info.peer.role = SWARM_PEER_NONE;
  }
  return ok;
}

static int
no_passphrase (char *buf, int size, int rwflag, void *data)
{
  return -1;
}

static void
set_openssl_error (GError **error, const char *what)
{
  unsigned long code = ERR_peek_error ();
  const char *reason = code != 0 ? ERR_reason_error_string (code) : NULL;

  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: %s", what, reason != NULL ? reason : "malformed");
  ERR_clear_error ();
}

/* All certificates of a PEM text. */
static GPtrArray *
read_certs (const char *pem)
{
  GPtrArray *certs = g_ptr_array_new_with_free_func ((GDestroyNotify) X509_free);
  g_autoptr (BIO) bio = pem != NULL ? BIO_new_mem_buf (pem, -1) : NULL;
  X509 *cert;

  while (bio != NULL && (cert = PEM_read_bio_X509 (bio, NULL, no_passphrase, NULL)) != NULL)
    g_ptr_array_add (certs, cert);
  ERR_clear_error (); /* the end of the text is an error to OpenSSL */
  return certs;
}

static void
trust (SSL_CTX *ctx, GPtrArray *roots)
{
  for (guint i = 0; i < roots->len; i++)
    X509_STORE_add_cert (SSL_CTX_get_cert_store (ctx), roots->pdata[i]);
  ERR_clear_error ();
}

static gboolean
add_roots (SSL_CTX *ctx, const char *roots_pem, GError **error)
{
  g_autoptr (GPtrArray) roots = read_certs (roots_pem);

  trust (ctx, roots);
  if (roots->len == 0)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "root certificate: missing or malformed");
  return roots->len > 0;
}

/* The own certificate, those that follow it, and the key. */
static gboolean
add_own (SSL_CTX *ctx, const SwarmRpcCredentials *credentials, X509 **ret_cert, GError **error)
{
  g_autoptr (BIO) certs = BIO_new_mem_buf (credentials->cert_pem, -1);
  gsize len = 0;
  const void *data = credentials->key_pem != NULL ? g_bytes_get_data (credentials->key_pem, &len) : NULL;
  g_autoptr (BIO) key_bio = BIO_new_mem_buf (data != NULL ? data : "", len);
  g_autoptr (X509) cert = PEM_read_bio_X509 (certs, NULL, no_passphrase, NULL);
  g_autoptr (EVP_PKEY) key = NULL;
  X509 *next;

  if (cert == NULL || SSL_CTX_use_certificate (ctx, cert) != 1) {
    set_openssl_error (error, "node certificate");
    return FALSE;
  }
  while ((next = PEM_read_bio_X509 (certs, NULL, no_passphrase, NULL)) != NULL)
    SSL_CTX_add0_chain_cert (ctx, next);
  ERR_clear_error ();
  key = PEM_read_bio_PrivateKey (key_bio, NULL, no_passphrase, NULL);
  if (key == NULL || SSL_CTX_use_PrivateKey (ctx, key) != 1 || SSL_CTX_check_private_key (ctx) != 1) {
    set_openssl_error (error, "node key");
    return FALSE;
  }
  *ret_cert = g_steal_pointer (&cert);
  return TRUE;
}

static SSL_CTX *
context_new (gboolean is_server, gboolean verify)
{
  SSL_CTX *ctx = SSL_CTX_new (is_server ? TLS_server_method () : TLS_client_method ());

  SSL_CTX_set_min_proto_version (ctx, TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version (ctx, TLS1_3_VERSION);
  /* No resumption: every connection shows its certificate. */
  SSL_CTX_set_session_cache_mode (ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets (ctx, 0);
  SSL_CTX_set_options (ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode (ctx,
                    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead (ctx, 1);
  SSL_CTX_set_max_cert_list (ctx, CERT_LIST_MAX);
  SSL_CTX_set_verify_depth (ctx, VERIFY_DEPTH);
  SSL_CTX_set_default_passwd_cb (ctx, no_passphrase);
  /* A server asks for a certificate, but lets joiners in without: what they may call is decided above. */
  SSL_CTX_set_verify (ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, verify ? verify_cb : NULL);
  return ctx;
}

static SSL_CTX *
context_from (const SwarmRpcCredentials *credentials, gboolean is_server, X509 **ret_cert, GError **error)
{
  g_autoptr (SSL_CTX) ctx = context_new (is_server, TRUE);

  if (!add_roots (ctx, credentials->roots_pem, error)
      || (credentials->cert_pem != NULL && !add_own (ctx, credentials, ret_cert, error)))
    return NULL;
  return g_steal_pointer (&ctx);
}

SwarmTls *
swarm_tls_new (const SwarmRpcCredentials *credentials, SwarmRpcIdentify identify, GError **error)
{
  g_autoptr (SwarmTls) self = g_new0 (SwarmTls, 1);
  g_autoptr (X509) cert = NULL, again = NULL;
  SwarmCertInfo info;

  if (refusal_index < 0)
    refusal_index = SSL_get_ex_new_index (0, NULL, NULL, NULL, refusal_free);
  ERR_clear_error ();
  self->ref_count = 1;
  self->identify = identify;
  self->verify = credentials != NULL;
  if (credentials == NULL) {
    self->client = context_new (FALSE, FALSE);
    return g_steal_pointer (&self);
  }
  self->client = context_from (credentials, FALSE, &cert, error);
  if (self->client == NULL)
    return NULL;
  if (credentials->cert_pem == NULL)
    return g_steal_pointer (&self);
  self->server = context_from (credentials, TRUE, &again, error);
  if (self->server == NULL || !identify_cert (identify, cert, &info, error))
    return NULL;
  /* Only for those who call us: whom we call has to be what the present root says. */
  self->former_roots = read_certs (credentials->former_roots_pem);
  trust (self->server, self->former_roots);
  self->self = info.peer;
  return g_steal_pointer (&self);
}

SwarmTls *
swarm_tls_ref (SwarmTls *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
swarm_tls_unref (SwarmTls *self)
{
  if (self == NULL || !g_atomic_int_dec_and_test (&self->ref_count))
    return;
  SSL_CTX_free (self->server);
  SSL_CTX_free (self->client);
  g_clear_pointer (&self->former_roots, g_ptr_array_unref);
  g_free (self);
}

SSL *
swarm_tls_session (SwarmTls *self, int fd, gboolean is_server, gboolean takes_expired, gint64 now_us)
{
  SSL *ssl = SSL_new (is_server ? self->server : self->client);
  Refusal *refusal = g_new0 (Refusal, 1);

  refusal->identify = self->identify;
  refusal->now_us = now_us;
  refusal->accepts_expired = takes_expired;
  SSL_set_ex_data (ssl, refusal_index, refusal);
  X509_VERIFY_PARAM_set_time (SSL_get0_param (ssl), now_us / G_USEC_PER_SEC);
  SSL_set_fd (ssl, fd);
  if (is_server)
    SSL_set_accept_state (ssl);
  else
    SSL_set_connect_state (ssl);
  return ssl;
}

static gboolean
is_among (GPtrArray *certs, X509 *cert)
{
  for (guint i = 0; certs != NULL && i < certs->len; i++)
    if (X509_cmp (cert, certs->pdata[i]) == 0)
      return TRUE;
  return FALSE;
}

/* By the roots in force, none of the past; @chain is what the other end shows besides. */
static gboolean
is_of_present_root (SwarmTls *self, SSL *ssl, X509 *cert, STACK_OF (X509) *chain, gint64 now_us)
{
  g_autoptr (X509_STORE_CTX) ctx = X509_STORE_CTX_new ();
  gboolean good = X509_STORE_CTX_init (ctx, SSL_CTX_get_cert_store (self->client), cert, chain) == 1
                  && X509_STORE_CTX_set_default (ctx, SSL_is_server (ssl) ? "ssl_client" : "ssl_server") == 1;

  if (good) {
    X509_VERIFY_PARAM_set_depth (X509_STORE_CTX_get0_param (ctx), VERIFY_DEPTH);
    X509_VERIFY_PARAM_set_time (X509_STORE_CTX_get0_param (ctx), now_us / G_USEC_PER_SEC);
    good = X509_verify_cert (ctx) == 1;
  }
  ERR_clear_error ();
  return good;
}

/* The verified chain ends in a root of the past, and no other way leads to one in force: a root may come back, of which those hear by what leads to it
 * from the present one who have not heard of it by the log. */
static gboolean
is_of_former_root (SwarmTls *self, SSL *ssl)
{
  STACK_OF (X509) *chain = SSL_get0_verified_chain (ssl);
  X509 *root = chain != NULL && sk_X509_num (chain) > 0 ? sk_X509_value (chain, sk_X509_num (chain) - 1) : NULL;
  const Refusal *refusal = SSL_get_ex_data (ssl, refusal_index);

  return root != NULL && is_among (self->former_roots, root)
         && !is_of_present_root (self, ssl, SSL_get0_peer_certificate (ssl), SSL_get_peer_cert_chain (ssl), refusal->now_us);
}

gboolean
swarm_tls_peer (SwarmTls *self, SSL *ssl, SwarmPeer *ret, GError **error)
{
  X509 *cert = SSL_get0_peer_certificate (ssl);
  SwarmCertInfo info = { 0 };

  *ret = (SwarmPeer){ 0 };
  if (!self->verify || cert == NULL)
    return TRUE;
  if (!identify_cert (self->identify, cert, &info, error))
    return FALSE;
  if (self->self.role != SWARM_PEER_NONE && !swarm_id_equal (&self->self.cluster, &info.peer.cluster)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "certificate of node %s is for cluster %s, not %s",
                 swarm_id_string (&info.peer.node).str, swarm_id_string (&info.peer.cluster).str,
                 swarm_id_string (&self->self.cluster).str);
    return FALSE;
  }
  if (!SSL_is_server (ssl) && info.peer.role != SWARM_PEER_MANAGER) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "node %s answers there, which is not a manager",
                 swarm_id_string (&info.peer.node).str);
    return FALSE;
  }
  *ret = info.peer;
  gboolean expired = ((const Refusal *) SSL_get_ex_data (ssl, refusal_index))->expired, former = SSL_is_server (ssl) && is_of_former_root (self, ssl);
  if (expired || former)
    ret->role = SWARM_PEER_LAPSED;
  ret->expired = expired && !former && info.peer.role == SWARM_PEER_MANAGER;
  return TRUE;
}

/* ---- a new certificate on an open connection ---- */

#define EXPORTER_LABEL "EXPORTER-swarm-agent-certificate"
#define EXPORT_BYTES 32

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD_CTX, EVP_MD_CTX_free)

/* What is signed: this connection, and which end of it signs. */
static gboolean
export_secret (SSL *ssl, gboolean by_server, guint8 ret[EXPORT_BYTES])
{
  const guint8 side = by_server ? 's' : 'c';

  return SSL_export_keying_material (ssl, ret, EXPORT_BYTES, EXPORTER_LABEL, strlen (EXPORTER_LABEL), &side, 1, 1) == 1;
}

static void
write_certs (BIO *bio, SSL_CTX *ctx)
{
  STACK_OF (X509) *chain = NULL;

  PEM_write_bio_X509 (bio, SSL_CTX_get0_certificate (ctx));
  SSL_CTX_get0_chain_certs (ctx, &chain);
  for (int i = 0; chain != NULL && i < sk_X509_num (chain); i++)
    PEM_write_bio_X509 (bio, sk_X509_value (chain, i));
}

GBytes *
swarm_tls_prove (SwarmTls *self, SSL *ssl)
{
  g_autoptr (EVP_MD_CTX) md = EVP_MD_CTX_new ();
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  EVP_PKEY *key = self->server != NULL ? SSL_CTX_get0_privatekey (self->server) : NULL;
  guint8 secret[EXPORT_BYTES], signature[512];
  gsize len = sizeof signature;
  char *certs;
  long certs_len;

  ERR_clear_error ();
  if (key == NULL || !export_secret (ssl, SSL_is_server (ssl), secret) || EVP_DigestSignInit (md, NULL, EVP_sha256 (), NULL, key) != 1
      || EVP_DigestSign (md, signature, &len, secret, sizeof secret) != 1) {
    ERR_clear_error ();
    return NULL;
  }
  write_certs (bio, self->server);
  certs_len = BIO_get_mem_data (bio, &certs);
  if (2 + len + certs_len > SWARM_FRAME_CERTIFICATE_MAX)
    return NULL;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint8 head[2] = { len >> 8, len & 0xff };
  g_byte_array_append (out, head, 2);
  g_byte_array_append (out, signature, len);
  g_byte_array_append (out, (const guint8 *) certs, certs_len);
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

/* The certificates of a proof, first the node's own, when the signature is by its key. NULL: malformed or not signed by it. */
static GPtrArray *
read_proof (SSL *ssl, GBytes *proof)
{
  g_autoptr (EVP_MD_CTX) md = EVP_MD_CTX_new ();
  guint8 secret[EXPORT_BYTES];
  gsize size;
  const guint8 *data = g_bytes_get_data (proof, &size);
  gsize len = size >= 2 ? (gsize) data[0] << 8 | data[1] : 0;

  if (len == 0 || 2 + len >= size)
    return NULL;
  g_autofree char *pem = g_strndup ((const char *) data + 2 + len, size - 2 - len);
  g_autoptr (GPtrArray) certs = read_certs (pem);
  EVP_PKEY *key = certs->len > 0 ? X509_get0_pubkey (certs->pdata[0]) : NULL;
  gboolean good = key != NULL && export_secret (ssl, !SSL_is_server (ssl), secret) && EVP_DigestVerifyInit (md, NULL, EVP_sha256 (), NULL, key) == 1
                  && EVP_DigestVerify (md, data + 2, len, secret, sizeof secret) == 1;
  ERR_clear_error ();
  return good ? g_steal_pointer (&certs) : NULL;
}

/* As a handshake would. */
static gboolean
verify_proof (SwarmTls *self, SSL *ssl, GPtrArray *certs, gint64 now_us)
{
  STACK_OF (X509) *chain = sk_X509_new_null ();

  for (guint i = 1; i < certs->len; i++)
    sk_X509_push (chain, certs->pdata[i]);
  gboolean good = is_of_present_root (self, ssl, certs->pdata[0], chain, now_us);
  sk_X509_free (chain);
  return good;
}

gboolean
swarm_tls_take_proof (SwarmTls *self, SSL *ssl, GBytes *proof, gint64 now_us, const SwarmPeer *before, SwarmPeer *ret, GError **error)
{
  g_autoptr (GPtrArray) certs = read_proof (ssl, proof);
  SwarmCertInfo info = { 0 };

  if (certs == NULL || !verify_proof (self, ssl, certs, now_us) || !identify_cert (self->identify, certs->pdata[0], &info, NULL)
      || !swarm_id_equal (&info.peer.node, &before->node) || !swarm_id_equal (&info.peer.cluster, &before->cluster)
      || (!SSL_is_server (ssl) && info.peer.role != SWARM_PEER_MANAGER)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "the other end's next certificate is not believed");
    return FALSE;
  }
  *ret = info.peer;
  memcpy (ret->address, before->address, sizeof ret->address);
  return TRUE;
}

gboolean
swarm_tls_same_certificate (const SwarmTls *a, const SwarmTls *b)
{
  return a->server != NULL && b->server != NULL && X509_cmp (SSL_CTX_get0_certificate (a->server), SSL_CTX_get0_certificate (b->server)) == 0;
}

/* ---- errors in words ---- */

static void
set_refusal_error (const Refusal *refusal, GError **error)
{
  const SwarmCertInfo *info = &refusal->info;
  gboolean known = info->peer.role != SWARM_PEER_NONE;
  g_autofree char *who = known ? g_strdup_printf ("certificate of node %s", swarm_id_string (&info->peer.node).str)
                               : g_strdup ("certificate of the other end");
  gint64 stamp = refusal->code == X509_V_ERR_CERT_HAS_EXPIRED ? info->not_after : info->not_before;
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (stamp / G_USEC_PER_SEC);
  g_autofree char *when = known && time != NULL ? g_date_time_format_iso8601 (time) : g_strdup ("an unknown date");

  switch (refusal->code) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s has expired (on %s)", who, when);
    break;
  case X509_V_ERR_CERT_NOT_YET_VALID:
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED,
                 "%s is not valid before %s: is the clock of this host right?", who, when);
    break;
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
  case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s was not issued by this cluster's CA", who);
    break;
  default:
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s: %s", who,
                 X509_verify_cert_error_string (refusal->code));
  }
}

static const struct {
  int reason;
  int code;
  const char *text;
} reasons[] = {
  { SSL_R_TLSV1_ALERT_UNKNOWN_CA, SWARM_ERROR_ACCESS_DENIED,
    "the other end refuses our certificate: it was not issued by its cluster's CA" },
  { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, SWARM_ERROR_ACCESS_DENIED,
    "the other end refuses our certificate: it has expired" },
  { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SWARM_ERROR_ACCESS_DENIED, "the other end refuses our certificate" },
  { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SWARM_ERROR_ACCESS_DENIED, "the other end refuses our certificate" },
  { SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SWARM_ERROR_ACCESS_DENIED, "the other end refuses our certificate" },
  { SSL_R_TLSV1_ALERT_DECRYPT_ERROR, SWARM_ERROR_ACCESS_DENIED, "the other end refuses our certificate" },
  { SSL_R_WRONG_VERSION_NUMBER, SWARM_ERROR_INVALID_ARGUMENT, "the other end does not speak TLS" },
  { SSL_R_HTTP_REQUEST, SWARM_ERROR_INVALID_ARGUMENT, "the other end does not speak TLS (it sends HTTP)" },
  { SSL_R_UNSUPPORTED_PROTOCOL, SWARM_ERROR_INVALID_ARGUMENT, "the other end does not speak TLS 1.3" },
  { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SWARM_ERROR_INVALID_ARGUMENT, "the other end does not speak TLS 1.3" },
};

void
swarm_tls_error (SSL *ssl, int result, int saved_errno, GError **error)
{
  const Refusal *refusal = SSL_get_ex_data (ssl, refusal_index);
  int kind = SSL_get_error (ssl, result);
  unsigned long code = ERR_peek_error ();
  int reason = ERR_GET_REASON (code);

  if (refusal->code != 0) {
    set_refusal_error (refusal, error);
  } else if (kind == SSL_ERROR_ZERO_RETURN || (kind == SSL_ERROR_SYSCALL && code == 0 && saved_errno == 0)) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the other end closed the connection");
  } else if (kind == SSL_ERROR_SYSCALL && code == 0) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, g_strerror (saved_errno));
  } else {
    const char *text = code != 0 ? ERR_reason_error_string (code) : NULL;
    int our_code = SWARM_ERROR_FAILED;
    for (guint i = 0; i < G_N_ELEMENTS (reasons); i++)
      if (reasons[i].reason == reason) {
        text = reasons[i].text;
        our_code = reasons[i].code;
      }
    g_set_error (error, SWARM_ERROR, our_code, "%s%s", our_code == SWARM_ERROR_FAILED ? "TLS: " : "",
                 text != NULL ? text : "unknown error");
  }
  ERR_clear_error ();
}

SSL_CTX *
swarm_tls_https_context (const char *roots_pem, const char *cert_pem, GBytes *key_pem, GError **error)
{
  g_autoptr (SSL_CTX) ctx = SSL_CTX_new (TLS_client_method ());
  const SwarmRpcCredentials credentials = { .cert_pem = cert_pem, .key_pem = key_pem };
  g_autoptr (X509) cert = NULL;

  SSL_CTX_set_min_proto_version (ctx, TLS1_2_VERSION);
  SSL_CTX_set_options (ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_max_cert_list (ctx, CERT_LIST_MAX);
  SSL_CTX_set_default_passwd_cb (ctx, no_passphrase);
  SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER, NULL);
  if (!add_roots (ctx, roots_pem, error) || (cert_pem != NULL && !add_own (ctx, &credentials, &cert, error)))
    return NULL;
  return g_steal_pointer (&ctx);
}
