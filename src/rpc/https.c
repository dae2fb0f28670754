// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/https.h"
#include "base/error.h"
#include "rpc/io.h"
#include "rpc/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#define HTTPS_PORT 443
#define BUFFER_SIZE 16384

struct _SwarmHttps {
  SwarmClock *clock;
  SwarmHttpsFunc func;
  gpointer data;
  char *host; /* without brackets */
  SwarmDial *dial;
  SwarmTimer *timer;
  SwarmTimer *begin;
  GError *error; /* known before anything was done */
  char *target;  /* HOST:PORT */
  SSL_CTX *ctx;
  SSL *ssl;
  int fd;
  SwarmFdWatch *watch;
  gboolean connected;
  GByteArray *out;
  gsize sent;
  GByteArray *in;
};

static void
https_free (SwarmHttps *self)
{
  if (self->dial != NULL)
    swarm_dial_cancel (self->dial);
  swarm_clock_clear_timer (self->clock, &self->timer);
  swarm_clock_clear_timer (self->clock, &self->begin);
  swarm_fd_watch_free (self->watch);
  SSL_free (self->ssl);
  SSL_CTX_free (self->ctx);
  if (self->fd >= 0)
    close (self->fd);
  g_byte_array_unref (self->out);
  g_byte_array_unref (self->in);
  g_clear_error (&self->error);
  g_free (self->host);
  g_free (self->target);
  g_free (self);
}

static void
https_end (SwarmHttps *self, GBytes *body, const GError *error)
{
  self->func (body, error, self->data);
  https_free (self);
}

static void
https_fail (SwarmHttps *self, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, code, "%s: %s", self->target != NULL ? self->target : "https", text);

  https_end (self, NULL, error);
}

void
swarm_https_cancel (SwarmHttps *self)
{
  https_free (self);
}

/* ---- the answer ---- */

/* The value of a header of @head, which ends with its empty line; NULL: none. Caller frees. */
static char *
header_value (const char *head, const char *name)
{
  g_auto (GStrv) lines = g_strsplit (head, "\r\n", -1);
  gsize len = strlen (name);

  for (guint i = 1; lines[0] != NULL && lines[i] != NULL; i++)
    if (g_ascii_strncasecmp (lines[i], name, len) == 0 && lines[i][len] == ':')
      return g_strstrip (g_strdup (lines[i] + len + 1));
  return NULL;
}

/* Chunks to a whole; NULL: malformed, or not all is there. */
static GBytes *
join_chunks (const char *data, gsize len)
{
  g_autoptr (GByteArray) whole = g_byte_array_new ();

  for (gsize at = 0; at < len;) {
    const char *line = memchr (data + at, '\n', len - at);
    g_autofree char *head = line != NULL && line - data - at < 32 ? g_strndup (data + at, line - data - at) : NULL;
    char *end = NULL;
    guint64 size = head != NULL && g_ascii_isxdigit (*head) ? g_ascii_strtoull (head, &end, 16) : G_MAXUINT64;

    if (size > SWARM_HTTPS_ANSWER_MAX)
      return NULL;
    at = (gsize) (line - data) + 1;
    if (size == 0)
      return g_byte_array_free_to_bytes (g_steal_pointer (&whole));
    if (len - at < size + 2)
      return NULL;
    g_byte_array_append (whole, (const guint8 *) data + at, (guint) size);
    at += size + 2;
  }
  return NULL;
}

/* @closed: no more will come. NULL without error: wait. */
static GBytes *
read_answer (GByteArray *in, gboolean closed, GError **error)
{
  const char *data = (const char *) in->data;
  const char *end = in->len > 0 ? g_strstr_len (data, in->len, "\r\n\r\n") : NULL;
  g_autofree char *head = end != NULL ? g_strndup (data, end - data) : NULL;
  g_autofree char *length = head != NULL ? header_value (head, "Content-Length") : NULL;
  g_autofree char *coding = head != NULL ? header_value (head, "Transfer-Encoding") : NULL;
  gsize begin = head != NULL ? (gsize) (end - data) + 4 : 0;
  guint64 want = G_MAXUINT64;
  GBytes *body = NULL;

  if (head != NULL && !g_str_has_prefix (head, "HTTP/1.1 2") && !g_str_has_prefix (head, "HTTP/1.0 2")) {
    g_autofree char *line = g_strndup (head, MIN (strcspn (head, "\r\n"), 200));
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "it answers \"%s\"", line);
    return NULL;
  }
  if (length != NULL && !g_ascii_string_to_unsigned (length, 10, 0, SWARM_HTTPS_ANSWER_MAX, &want, NULL))
    want = G_MAXUINT64;
  if (head != NULL && coding != NULL && g_ascii_strcasecmp (coding, "chunked") == 0)
    body = join_chunks (data + begin, in->len - begin);
  else if (head != NULL && want != G_MAXUINT64 && in->len - begin >= want)
    body = g_bytes_new (data + begin, (gsize) want);
  else if (head != NULL && length == NULL && coding == NULL && closed)
    body = g_bytes_new (data + begin, in->len - begin);
  if (body == NULL && closed)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "its answer is not HTTP, or ends too early");
  return body;
}

/* FALSE: it is over, and gone. */
static gboolean
https_look (SwarmHttps *self, gboolean closed)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = read_answer (self->in, closed, &error);

  if (body == NULL && error == NULL && self->in->len > SWARM_HTTPS_ANSWER_MAX)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "its answer is too long");
  if (body == NULL && error == NULL)
    return TRUE;
  if (error != NULL)
    g_prefix_error (&error, "%s: ", self->target);
  https_end (self, body, error);
  return FALSE;
}

/* ---- the connection ---- */

/* What OpenSSL waits for; FALSE: it has failed, and the request is gone. */
static gboolean
https_wait (SwarmHttps *self, int result)
{
  int kind = SSL_get_error (self->ssl, result);
  long verified = SSL_get_verify_result (self->ssl);

  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
    swarm_fd_watch_want (self->watch, kind == SSL_ERROR_WANT_READ ? G_IO_IN : G_IO_OUT);
    return TRUE;
  }
  if (verified != X509_V_OK)
    https_fail (self, SWARM_ERROR_ACCESS_DENIED, X509_verify_cert_error_string (verified));
  else if (ERR_peek_error () != 0)
    https_fail (self, SWARM_ERROR_UNAVAILABLE, ERR_reason_error_string (ERR_peek_error ()));
  else
    https_fail (self, SWARM_ERROR_UNAVAILABLE, errno != 0 ? g_strerror (errno) : "the connection was closed");
  ERR_clear_error ();
  return FALSE;
}

/* TRUE: all is sent. */
static gboolean
https_send (SwarmHttps *self)
{
  int n;

  while (self->sent < self->out->len) {
    n = SSL_write (self->ssl, self->out->data + self->sent, (int) (self->out->len - self->sent));
    if (n <= 0) {
      https_wait (self, n);
      return FALSE;
    }
    self->sent += (gsize) n;
  }
  return TRUE;
}

static void
https_receive (SwarmHttps *self)
{
  guint8 buffer[BUFFER_SIZE];

  for (;;) {
    int n = SSL_read (self->ssl, buffer, sizeof buffer);
    if (n <= 0) {
      if (SSL_get_error (self->ssl, n) == SSL_ERROR_ZERO_RETURN)
        https_look (self, TRUE);
      else
        https_wait (self, n);
      return;
    }
    g_byte_array_append (self->in, buffer, (guint) n);
    if (!https_look (self, FALSE))
      return;
  }
}

static void
https_ready (GIOCondition ready, gpointer data)
{
  SwarmHttps *self = data;
  int n;

  ERR_clear_error ();
  errno = 0;
  if (!self->connected) {
    n = SSL_connect (self->ssl);
    if (n <= 0) {
      https_wait (self, n);
      return;
    }
    self->connected = TRUE;
  }
  if (https_send (self))
    https_receive (self);
}

static void
dialled (int fd, const char *peer_name, const GError *error, gpointer data)
{
  SwarmHttps *self = data;
  gboolean named;

  self->dial = NULL;
  if (error != NULL) {
    https_end (self, NULL, error);
    return;
  }
  self->fd = fd;
  self->ssl = SSL_new (self->ctx);
  SSL_set_fd (self->ssl, fd);
  X509_VERIFY_PARAM_set_time (SSL_get0_param (self->ssl), swarm_clock_now (self->clock) / G_USEC_PER_SEC);
  if (g_hostname_is_ip_address (self->host))
    named = X509_VERIFY_PARAM_set1_ip_asc (SSL_get0_param (self->ssl), self->host) == 1;
  else
    named = SSL_set1_host (self->ssl, self->host) == 1 && SSL_set_tlsext_host_name (self->ssl, self->host) == 1;
  if (!named) {
    ERR_clear_error ();
    https_fail (self, SWARM_ERROR_INVALID_ARGUMENT, "no certificate can be checked for this name");
    return;
  }
  self->watch = swarm_fd_watch_new (fd, G_IO_OUT, G_PRIORITY_DEFAULT, https_ready, self);
}

static void
timed_out (gpointer data)
{
  SwarmHttps *self = data;

  self->timer = NULL;
  https_fail (self, SWARM_ERROR_TIMED_OUT, "no answer in time");
}

static void
https_begin (gpointer data)
{
  SwarmHttps *self = data;

  self->begin = NULL;
  if (self->error != NULL)
    https_end (self, NULL, self->error);
  else
    self->dial = swarm_dial_start (self->target, self->clock, G_MAXINT32 * G_GINT64_CONSTANT (1000), G_PRIORITY_DEFAULT, dialled, self);
}

/* ---- the request ---- */

static gboolean
write_request (SwarmHttps *self, const SwarmHttpsRequest *request, GError **error)
{
  g_autoptr (GUri) uri = g_uri_parse (request->url, G_URI_FLAGS_ENCODED, error);
  g_autofree char *head = NULL;
  gsize len;
  const void *body = g_bytes_get_data (request->body, &len);
  int port;

  if (uri == NULL || g_strcmp0 (g_uri_get_scheme (uri), "https") != 0 || g_uri_get_host (uri) == NULL || *g_uri_get_host (uri) == '\0'
      || strchr (g_uri_get_host (uri), '%') != NULL) { /* a zone: OpenSSL could not compare that, and would take any certificate */
    g_clear_error (error);
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not an https URL", request->url);
    return FALSE;
  }
  port = g_uri_get_port (uri) > 0 ? g_uri_get_port (uri) : HTTPS_PORT;
  self->host = g_strdup (g_uri_get_host (uri));
  self->target = g_strdup_printf (strchr (self->host, ':') != NULL ? "[%s]:%d" : "%s:%d", self->host, port);
  head = g_strdup_printf ("POST %s%s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: swarm-agent\r\nAccept: application/json\r\n"
                          "Connection: close\r\nContent-Type: %s\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
                          *g_uri_get_path (uri) != '\0' ? g_uri_get_path (uri) : "/", g_uri_get_query (uri) != NULL ? "?" : "",
                          g_uri_get_query (uri) != NULL ? g_uri_get_query (uri) : "", self->target, request->content_type, len);
  g_byte_array_append (self->out, (const guint8 *) head, (guint) strlen (head));
  g_byte_array_append (self->out, body, (guint) len);
  return TRUE;
}

SwarmHttps *
swarm_https_post (const SwarmHttpsRequest *request, SwarmHttpsFunc func, gpointer data)
{
  SwarmHttps *self = g_new0 (SwarmHttps, 1);

  self->clock = request->clock;
  self->func = func;
  self->data = data;
  self->fd = -1;
  self->out = g_byte_array_new ();
  self->in = g_byte_array_new ();
  if (write_request (self, request, &self->error))
    self->ctx = swarm_tls_https_context (request->roots_pem, request->cert_pem, request->key_pem, &self->error);
  self->timer = swarm_clock_timer (self->clock, request->timeout_us, SWARM_PRIORITY_NORMAL, timed_out, self);
  self->begin = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, https_begin, self);
  return self;
}
