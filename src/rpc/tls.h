// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: TLS 1.3 with certificates on both sides. */
#pragma once
#include "rpc/rpc.h"
#include <openssl/ssl.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SSL, SSL_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SSL_CTX, SSL_CTX_free)

/* What one set of credentials becomes. Immutable and counted: connections under way keep the one that they began with.
 */
typedef struct {
  gint ref_count;
  SSL_CTX *server; /* NULL: no certificate, nothing can be accepted */
  SSL_CTX *client;
  GPtrArray *former_roots; /* X509; in `server`, for peers that lapsed; NULL: none */
  gboolean verify; /* FALSE: only for fetching a root that is then checked in another way */
  SwarmPeer self;  /* role NONE: no certificate */
  SwarmRpcIdentify identify;
} SwarmTls;

/* @credentials NULL: neither certificate nor verification. */
SwarmTls *swarm_tls_new (const SwarmRpcCredentials *credentials, SwarmRpcIdentify identify, GError **error);
SwarmTls *swarm_tls_ref (SwarmTls *self);
void swarm_tls_unref (SwarmTls *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmTls, swarm_tls_unref)

/* A session on @fd (not owned by it) that verifies as of @now_us. @takes_expired: who comes with a certificate that has expired is LAPSED. */
SSL *swarm_tls_session (SwarmTls *self, int fd, gboolean is_server, gboolean takes_expired, gint64 now_us);
/* After the handshake: who the other end is. `expired` is set for a manager that is LAPSED only because its time is over. Role NONE when it showed no certificate or nothing was verified. Checks
 * the cluster, and that a server is a manager. */
gboolean swarm_tls_peer (SwarmTls *self, SSL *ssl, SwarmPeer *ret, GError **error);
/* A node that renewed its certificate keeps its connections: on each it shows the new one, with a signature over what only the two ends of
 * this connection know (an exporter, RFC 8446 7.5; the idea is that of RFC 9261). u16 length, signature, certificates as PEM. NULL: @self has
 * no certificate. */
GBytes *swarm_tls_prove (SwarmTls *self, SSL *ssl);
/* Whether @self, our present credentials, believe such a proof of the other end of @ssl, and who it is by that: the same node as @before. */
gboolean swarm_tls_take_proof (SwarmTls *self, SSL *ssl, GBytes *proof, gint64 now_us, const SwarmPeer *before, SwarmPeer *ret, GError **error);
/* Both show the same certificate. */
gboolean swarm_tls_same_certificate (const SwarmTls *a, const SwarmTls *b);
/* The reason why @ssl's last operation, which returned @result, failed; in words for the journal. Empties OpenSSL's
 * queue. */
void swarm_tls_error (SSL *ssl, int result, int saved_errno, GError **error);
/* For servers that are none of ours (https.c): TLS 1.2 or 1.3, whose certificates come from @roots_pem. @cert_pem: our own, NULL: none. */
SSL_CTX *swarm_tls_https_context (const char *roots_pem, const char *cert_pem, GBytes *key_pem, GError **error);
