// SPDX-License-Identifier: LGPL-2.1-or-later
/* The certificate authority's decisions: who gets a certificate, for which role, for how long. Pure: everything that it
 * knows is handed in, what it decides is handed back; storing it is the caller's part. */
#pragma once
#include "base/clock.h"
#include "base/crypto.h"
#include "base/random.h"

#define SWARM_AUTHORITY_DEFAULT_VALIDITY_US (G_GINT64_CONSTANT (2160) * 3600 * G_USEC_PER_SEC) /* 90 days */
#define SWARM_AUTHORITY_MIN_VALIDITY_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)
#define SWARM_AUTHORITY_BACKDATE_US (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)

/* The beginning of each refusal of swarm_authority_renew(). */
#define SWARM_RENEWAL_REFUSED "cannot renew the certificate of node"
/* Part of each refusal of a certificate because the node has used a newer one since. */
#define SWARM_CERT_REPLACED "the certificate was replaced by a newer one"

/* What the store knows about the CA. All borrowed. */
typedef struct {
  SwarmId cluster;
  const char *root_cert_pem; /* to issue under: while the root changes, the next one */
  GBytes *root_key_pem;
  const char *chain_pem;    /* to follow each certificate: the way from there to the roots before; NULL: none */
  const char *worker_token; /* the current join tokens, text form */
  const char *manager_token;
  gint64 validity_us; /* of node certificates; 0: the default */
  gboolean elsewhere; /* somebody else has the root's key: what is issued has no certificate until swarm_authority_take() */
} SwarmAuthorityState;

/* What the store knows about a node that asks for its next certificate. All borrowed. */
typedef struct {
  SwarmPeerRole role;        /* that it shall have now */
  const char *newest_serial; /* of the certificate that it was last given */
  const char *serial_before; /* of the one that it asked for that with: it still holds it when the answer was lost; NULL: none that counts any more */
  const char *key;           /* SwarmCertInfo.key of the newest; NULL: not known */
  const char *key_before;    /* of the one before */
  gint64 not_after;          /* of the newest, µs since 1970 */
  gint64 expired_renewal_us; /* so long after its end a certificate may still be renewed with it */
} SwarmAuthorityNode;

/* The interfaces that the decisions are made with. */
typedef struct {
  SwarmCrypto *crypto;
  SwarmClock *clock;
  SwarmRandom *random;
} SwarmAuthority;

/* A certificate as it was issued. */
typedef struct {
  SwarmCertInfo info; /* role, node, cluster, serial, validity */
  char *cert_pem;
} SwarmIssued;
void swarm_issued_clear (SwarmIssued *issued);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmIssued, swarm_issued_clear)

/* A new cluster's root and its two tokens, text form. The caller frees all four. */
gboolean swarm_authority_create (SwarmAuthority *self, char **ret_root_cert_pem, GBytes **ret_root_key_pem,
                                 char **ret_worker_token, char **ret_manager_token, GError **error);
/* A fresh token for this root: rotation of one role's token. NULL: the root certificate is malformed. Caller frees. */
char *swarm_authority_new_token (SwarmAuthority *self, const char *root_cert_pem, GError **error);

/* A node asks to join with @token: decides its role by the token, gives it a new random id and a certificate.
 * SWARM_ERROR_ACCESS_DENIED "A valid join token is necessary to join this cluster"; SWARM_ERROR_INVALID_ARGUMENT: bad
 * request. */
gboolean swarm_authority_join (SwarmAuthority *self, const SwarmAuthorityState *state, const char *token,
                               const char *csr_pem, SwarmIssued *ret, GError **error);
/* The manager that makes the cluster signs its own first certificate, as the node that it chose to be. */
gboolean swarm_authority_issue (SwarmAuthority *self, const SwarmAuthorityState *state, const SwarmId *node,
                                SwarmPeerRole role, const char *csr_pem, SwarmIssued *ret, GError **error);
/* A known node asks for its next certificate over a connection that @peer authenticated. Certificates older than the last two renew
 * nothing. A peer that lapsed has to ask with the key that its last certificate is for, and not too late: ACCESS_DENIED says what to do. */
gboolean swarm_authority_renew (SwarmAuthority *self, const SwarmAuthorityState *state, const SwarmPeer *peer,
                                const SwarmAuthorityNode *node, const char *csr_pem, SwarmIssued *ret, GError **error);
/* May a peer that lapsed (SWARM_PEER_LAPSED) still renew at @now_us? For its standing, before it asks. */
gboolean swarm_authority_may_return (const SwarmPeer *peer, const SwarmAuthorityNode *node, gint64 now_us, GError **error);

/* A certificate that was signed elsewhere for @issued: it is taken when it is what was asked for. ACCESS_DENIED or INVALID_ARGUMENT. */
gboolean swarm_authority_take (SwarmAuthority *self, const SwarmAuthorityState *state, const char *cert_pem, SwarmIssued *issued,
                               GError **error);

/* The joiner's side: whether @root_cert_pem, fetched over an unverified connection, is the root that @token speaks of.
 * "invalid join token", or SWARM_ERROR_ACCESS_DENIED "remote CA does not match fingerprint." */
gboolean swarm_authority_check_root (SwarmCrypto *crypto, const char *token, const char *root_cert_pem, GError **error);
/* When the holder of a certificate shall ask for the next: a random moment between 50 and 80 % of its life, µs since
 * 1970. */
gint64 swarm_authority_renewal_time (SwarmRandom *random, const SwarmCertInfo *info);
