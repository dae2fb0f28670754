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

/* What the store knows about the CA. All borrowed. */
typedef struct {
  SwarmId cluster;
  const char *root_cert_pem;
  GBytes *root_key_pem;
  const char *worker_token; /* the current join tokens, text form */
  const char *manager_token;
  gint64 validity_us; /* of node certificates; 0: the default */
} SwarmAuthorityState;

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
/* A known node asks for its next certificate over a connection that @peer authenticated. @role and the serials come from
 * its node object: the role that it shall have now, the certificate it was last given, and the one it asked for that
 * with (NULL: none), which it still holds when the answer was lost. Older ones renew nothing: SWARM_ERROR_ACCESS_DENIED. */
gboolean swarm_authority_renew (SwarmAuthority *self, const SwarmAuthorityState *state, const SwarmPeer *peer,
                                SwarmPeerRole role, const char *newest_serial, const char *serial_before,
                                const char *csr_pem, SwarmIssued *ret, GError **error);

/* The joiner's side: whether @root_cert_pem, fetched over an unverified connection, is the root that @token speaks of.
 * "invalid join token", or SWARM_ERROR_ACCESS_DENIED "remote CA does not match fingerprint." */
gboolean swarm_authority_check_root (SwarmCrypto *crypto, const char *token, const char *root_cert_pem, GError **error);
/* When the holder of a certificate shall ask for the next: a random moment between 50 and 80 % of its life, µs since
 * 1970. */
gint64 swarm_authority_renewal_time (SwarmRandom *random, const SwarmCertInfo *info);
