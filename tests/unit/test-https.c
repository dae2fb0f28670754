// SPDX-License-Identifier: LGPL-2.1-or-later
/* The client for external CAs against a server that answers well, badly, or not at all. */
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/random-system.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "rpc/https.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY "{\"ask\": 1}"

/* A server for one connection, on a thread. */
typedef struct {
  char *root, *other_root;
  GBytes *root_key;
  char *cert; /* for localhost, under the root */
  GBytes *key;
  char *node_cert;
  GBytes *node_key;
  const char *answer; /* NULL: none */
  gsize answer_len;
  int fd;
  guint port;
  GThread *thread;
  char *seen;       /* the request */
  gboolean showed;  /* the client has shown a certificate */
  /* the outcome */
  guint n;
  char *body;
  GError *error;
} Fixture;

static gpointer
serve (gpointer data)
{
  Fixture *f = data;
  SSL_CTX *ctx = SSL_CTX_new (TLS_server_method ());
  BIO *cert_bio = BIO_new_mem_buf (f->cert, -1), *key_bio = BIO_new_mem_buf (g_bytes_get_data (f->key, NULL), (int) g_bytes_get_size (f->key));
  X509 *cert = PEM_read_bio_X509 (cert_bio, NULL, NULL, NULL);
  EVP_PKEY *key = PEM_read_bio_PrivateKey (key_bio, NULL, NULL, NULL);
  SSL *ssl;
  int fd = accept (f->fd, NULL, NULL);
  GString *seen = g_string_new (NULL);
  char buffer[4096];
  int n;

  SSL_CTX_use_certificate (ctx, cert);
  SSL_CTX_use_PrivateKey (ctx, key);
  SSL_CTX_set_verify (ctx, SSL_VERIFY_PEER, NULL);
  BIO *root_bio = BIO_new_mem_buf (f->root, -1);
  X509 *root = PEM_read_bio_X509 (root_bio, NULL, NULL, NULL);
  X509_STORE_add_cert (SSL_CTX_get_cert_store (ctx), root);
  ssl = SSL_new (ctx);
  SSL_set_fd (ssl, fd);
  if (SSL_accept (ssl) == 1) {
    f->showed = SSL_get0_peer_certificate (ssl) != NULL;
    while (!g_str_has_suffix (seen->str, BODY) && (n = SSL_read (ssl, buffer, sizeof buffer)) > 0)
      g_string_append_len (seen, buffer, n);
    if (f->answer != NULL) {
      for (gsize at = 0; at < f->answer_len;) { /* in pieces */
        n = SSL_write (ssl, f->answer + at, (int) MIN (f->answer_len - at, 1000));
        if (n <= 0)
          break;
        at += (gsize) n;
      }
      SSL_shutdown (ssl);
    } else
      SSL_read (ssl, buffer, sizeof buffer); /* until the other end has enough */
  }
  SSL_free (ssl);
  close (fd);
  X509_free (root);
  X509_free (cert);
  EVP_PKEY_free (key);
  BIO_free (root_bio);
  BIO_free (cert_bio);
  BIO_free (key_bio);
  SSL_CTX_free (ctx);
  f->seen = g_string_free (seen, FALSE);
  return NULL;
}

/* A certificate for the name "localhost", made with the root's key. */
static char *
make_server_cert (const char *root_pem, GBytes *root_key_pem, GBytes *key_pem)
{
  BIO *root_bio = BIO_new_mem_buf (root_pem, -1), *out = BIO_new (BIO_s_mem ());
  BIO *root_key_bio = BIO_new_mem_buf (g_bytes_get_data (root_key_pem, NULL), (int) g_bytes_get_size (root_key_pem));
  BIO *key_bio = BIO_new_mem_buf (g_bytes_get_data (key_pem, NULL), (int) g_bytes_get_size (key_pem));
  X509 *root = PEM_read_bio_X509 (root_bio, NULL, NULL, NULL), *cert = X509_new ();
  EVP_PKEY *root_key = PEM_read_bio_PrivateKey (root_key_bio, NULL, NULL, NULL), *key = PEM_read_bio_PrivateKey (key_bio, NULL, NULL, NULL);
  X509_EXTENSION *names = X509V3_EXT_conf_nid (NULL, NULL, NID_subject_alt_name, "DNS:localhost");
  char *data, *pem;

  X509_set_version (cert, X509_VERSION_3);
  ASN1_INTEGER_set (X509_get_serialNumber (cert), 5);
  X509_set_issuer_name (cert, X509_get_subject_name (root));
  X509_gmtime_adj (X509_getm_notBefore (cert), -60);
  X509_gmtime_adj (X509_getm_notAfter (cert), 3600);
  X509_set_pubkey (cert, key);
  X509_add_ext (cert, names, -1);
  g_assert_true (X509_sign (cert, root_key, EVP_sha256 ()));
  PEM_write_bio_X509 (out, cert);
  pem = g_strndup (data, (gsize) BIO_get_mem_data (out, &data));
  X509_EXTENSION_free (names);
  X509_free (root);
  X509_free (cert);
  EVP_PKEY_free (root_key);
  EVP_PKEY_free (key);
  BIO_free (root_bio);
  BIO_free (root_key_bio);
  BIO_free (key_bio);
  BIO_free (out);
  return pem;
}

static void
setup (Fixture *f, gconstpointer unused)
{
  SwarmCrypto *crypto = swarm_crypto_openssl ();
  SwarmAuthority authority = { crypto, swarm_clock_glib (), swarm_random_system () };
  g_autoptr (GBytes) other_key = NULL;
  g_autofree char *csr = NULL;
  gint64 now = swarm_clock_now (swarm_clock_glib ());
  struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof addr;
  SwarmIssued issued = { 0 };
  SwarmId node = swarm_random_id (swarm_random_system ());

  g_assert_true (crypto->create_root (crypto, now, &f->root, &f->root_key, NULL));
  g_assert_true (crypto->create_root (crypto, now, &f->other_root, &other_key, NULL));
  f->key = swarm_cert_create_key (NULL);
  f->cert = make_server_cert (f->root, f->root_key, f->key);
  f->node_key = swarm_cert_create_key (NULL);
  csr = swarm_cert_create_csr (f->node_key, NULL);
  SwarmAuthorityState state = { .cluster = node, .root_cert_pem = f->root, .root_key_pem = f->root_key };
  g_assert_true (swarm_authority_issue (&authority, &state, &node, SWARM_PEER_MANAGER, csr, &issued, NULL));
  f->node_cert = issued.cert_pem;
  f->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (f->fd, (struct sockaddr *) &addr, sizeof addr), ==, 0);
  g_assert_cmpint (listen (f->fd, 4), ==, 0);
  getsockname (f->fd, (struct sockaddr *) &addr, &len);
  f->port = ntohs (addr.sin_port);
}

static void
teardown (Fixture *f, gconstpointer unused)
{
  close (f->fd);
  g_free (f->root);
  g_free (f->other_root);
  g_bytes_unref (f->root_key);
  g_free (f->cert);
  g_bytes_unref (f->key);
  g_free (f->node_cert);
  g_bytes_unref (f->node_key);
  g_free (f->seen);
  g_free (f->body);
  g_clear_error (&f->error);
}

static void
answered (GBytes *body, const GError *error, gpointer data)
{
  Fixture *f = data;

  f->n++;
  g_clear_pointer (&f->body, g_free);
  g_clear_error (&f->error);
  if (body != NULL)
    f->body = g_bytes_get_size (body) > 0 ? g_strndup (g_bytes_get_data (body, NULL), g_bytes_get_size (body)) : g_strdup ("");
  f->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
wait_for_answer (Fixture *f)
{
  f->n = 0;
  for (gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC; f->n == 0 && g_get_monotonic_time () < end;)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (f->n, ==, 1);
}

static void
post (Fixture *f, const char *url, const char *roots, const char *cert, gint64 timeout_us)
{
  g_autoptr (GBytes) body = g_bytes_new_static (BODY, strlen (BODY));
  SwarmHttpsRequest request = { .clock = swarm_clock_glib (), .url = url, .roots_pem = roots, .cert_pem = cert, .key_pem = f->node_key,
                                .content_type = "application/json", .body = body, .timeout_us = timeout_us };
  swarm_https_post (&request, answered, f);
  wait_for_answer (f);
}

/* Serves @answer to one request. */
static void
ask (Fixture *f, const char *answer, gssize len)
{
  g_autofree char *url = g_strdup_printf ("https://localhost:%u/api/v1/cfssl/sign?x=1", f->port);

  g_clear_pointer (&f->seen, g_free);
  f->answer = answer;
  f->answer_len = answer == NULL ? 0 : len < 0 ? strlen (answer) : (gsize) len;
  f->thread = g_thread_new ("server", serve, f);
  post (f, url, f->root, f->node_cert, answer == NULL ? 300000 : 10 * G_USEC_PER_SEC);
  g_thread_join (f->thread);
}

static void
assert_body (Fixture *f, const char *answer, const char *body)
{
  ask (f, answer, -1);
  g_assert_no_error (f->error);
  g_assert_cmpstr (f->body, ==, body);
}

static void
assert_refused (Fixture *f, const char *answer, const char *text)
{
  ask (f, answer, -1);
  g_assert_null (f->body);
  if (strstr (f->error->message, text) == NULL)
    g_error ("\"%s\" lacks \"%s\"", f->error->message, text);
}

static void
test_good (Fixture *f, gconstpointer unused)
{
  assert_body (f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", "hello");
  g_assert_true (f->showed);
  g_assert_true (g_str_has_prefix (f->seen, "POST /api/v1/cfssl/sign?x=1 HTTP/1.1\r\nHost: localhost:"));
  g_assert_nonnull (strstr (f->seen, "\r\nContent-Type: application/json\r\n"));
  g_assert_nonnull (strstr (f->seen, "\r\nContent-Length: 10\r\n\r\n" BODY));
  assert_body (f, "HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n", "");
  assert_body (f, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", "hel");
  assert_body (f, "HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end");
  assert_body (f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n, whatever\r\n0\r\n\r\n", "hello, whatever");
  g_autofree char *large = g_strnfill (50000, 'x'), *answer = g_strdup_printf ("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n%s", large);
  assert_body (f, answer, large);
}

static void
test_bad (Fixture *f, gconstpointer unused)
{
  g_autofree char *large = g_strnfill (70000, 'x'), *endless = g_strconcat ("HTTP/1.1 200 OK\r\n\r\n", large, NULL);

  assert_refused (f, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno", "it answers \"HTTP/1.1 500 Internal Server Error\"");
  assert_refused (f, "HTTP/1.1 302 Found\r\nLocation: https://example/\r\n\r\n", "it answers \"HTTP/1.1 302 Found\"");
  assert_refused (f, "SSH-2.0-x\r\n", "not HTTP, or ends too early");
  assert_refused (f, "", "not HTTP, or ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nhello", "ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", "ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nhello\r\n0\r\n\r\n", "ends too early");
  assert_refused (f, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", "ends too early");
  assert_refused (f, endless, "too long");
  assert_refused (f, NULL, "no answer in time");
}

static void
test_not_believed (Fixture *f, gconstpointer unused)
{
  g_autofree char *url = g_strdup_printf ("https://localhost:%u/", f->port), *by_number = g_strdup_printf ("https://127.0.0.1:%u/", f->port);

  f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  f->answer_len = strlen (f->answer);
  f->thread = g_thread_new ("server", serve, f);
  post (f, url, f->other_root, f->node_cert, 10 * G_USEC_PER_SEC);
  g_thread_join (f->thread);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_cmpstr (f->seen, ==, "");
  g_clear_pointer (&f->seen, g_free);
  f->thread = g_thread_new ("server", serve, f);
  post (f, by_number, f->root, f->node_cert, 10 * G_USEC_PER_SEC); /* its certificate is for another name */
  g_thread_join (f->thread);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  g_assert_cmpstr (f->seen, ==, "");
}

static void
test_request (Fixture *f, gconstpointer unused)
{
  static const char *const urls[] = { "http://localhost/", "https://", "localhost", "", "https:///x", "ftp://localhost/",
                                       "https://[fe80::1%25lo]/" }; /* no certificate is for an address with a zone */
  g_autofree char *nobody = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (urls); i++) {
    post (f, urls[i], f->root, NULL, G_USEC_PER_SEC);
    g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull (strstr (f->error->message, "is not an https URL"));
  }
  post (f, "https://localhost/", "garbage", NULL, G_USEC_PER_SEC);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  close (f->fd);
  nobody = g_strdup_printf ("https://localhost:%u/", f->port);
  post (f, nobody, f->root, NULL, 5 * G_USEC_PER_SEC);
  g_assert_error (f->error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  f->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void
test_cancel (Fixture *f, gconstpointer unused)
{
  g_autofree char *url = g_strdup_printf ("https://localhost:%u/", f->port);
  g_autoptr (GBytes) body = g_bytes_new_static (BODY, strlen (BODY));
  SwarmHttpsRequest request = { .clock = swarm_clock_glib (), .url = url, .roots_pem = f->root, .content_type = "x/y", .body = body,
                                .timeout_us = G_USEC_PER_SEC };
  swarm_https_cancel (swarm_https_post (&request, answered, f));
  SwarmHttps *later = swarm_https_post (&request, answered, f);
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (NULL, FALSE);
  swarm_https_cancel (later);
  for (gint64 end = g_get_monotonic_time () + 3 * G_USEC_PER_SEC / 2; g_get_monotonic_time () < end; g_usleep (1000))
    g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (f->n, ==, 0);
}

int
main (int argc, char **argv)
{
  signal (SIGPIPE, SIG_IGN); /* as the agent does */
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/https/good", Fixture, NULL, setup, test_good, teardown);
  g_test_add ("/https/bad", Fixture, NULL, setup, test_bad, teardown);
  g_test_add ("/https/not-believed", Fixture, NULL, setup, test_not_believed, teardown);
  g_test_add ("/https/request", Fixture, NULL, setup, test_request, teardown);
  g_test_add ("/https/cancel", Fixture, NULL, setup, test_cancel, teardown);
  return g_test_run ();
}
