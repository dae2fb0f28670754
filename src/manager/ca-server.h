// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lets nodes in: the CA's two decisions (join with a token, renew) written to the store. Leader only: on a follower every call
 * fails with NOT_MANAGER, and api/ relays it. Wire: org.swarmagent1.CA. */
#pragma once
#include "base/crypto.h"
#include "store/store.h"

typedef struct _SwarmCAServer SwarmCAServer;

typedef struct {
  const char *cert_pem;
  const char *root_pem;
  SwarmId node;
  SwarmRole role;
} SwarmCAReply;
/* @reply is borrowed, NULL on error. Called exactly once, never from within. */
typedef void (*SwarmCAFunc) (const SwarmCAReply *reply, const GError *error, gpointer data);

/* Certificate authorities outside of the cluster, as the daemon reaches them. @done exactly once, not from within; the certificate is borrowed. */
typedef void (*SwarmExternalSigned) (const char *cert_pem, const GError *error, gpointer data);
typedef struct {
  /* Has @ca sign @csr_pem for @subject under @root_cert_pem. NULL: there is no way out. */
  void (*sign) (const SwarmExternalCA *ca, const char *root_cert_pem, const char *csr_pem, const SwarmPeer *subject, SwarmExternalSigned done,
                gpointer done_data, gpointer data);
  /* Has @ca, which signs under @root_cert_pem, sign the next root's subject and key: who trusts the one believes what is under the other. */
  void (*cross_sign) (const SwarmExternalCA *ca, const char *root_cert_pem, const char *next_cert_pem, GBytes *next_key_pem, SwarmExternalSigned done,
                      gpointer done_data, gpointer data);
  gpointer data;
} SwarmExternalSigner;

/* All are borrowed and must outlive it. */
SwarmCAServer *swarm_ca_server_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, SwarmCrypto *crypto);
void swarm_ca_server_free (SwarmCAServer *self);
/* Copied. */
void swarm_ca_server_set_signer (SwarmCAServer *self, const SwarmExternalSigner *signer);

/* The root certificate (PEM), borrowed; NULL before init. */
const char *swarm_ca_server_root (SwarmCAServer *self);
/* A node without a certificate joins: the token decides the role. Creates the node and answers after commit.
 * @availability: "" = active. @addr is the peer's address as seen on the socket (HOST:PORT). Errors: ACCESS_DENIED with swarm's
 * `A valid join token is necessary to join this cluster`, INVALID_ARGUMENT (request, availability). */
void swarm_ca_server_issue (SwarmCAServer *self, const char *csr_pem, const char *token, const char *availability,
                            const char *addr, SwarmCAFunc done, gpointer data);
/* A member's new certificate. The role is the node's Spec.Role, but a demoted node stays manager until it is out of the
 * consensus. Identity is the caller's. */
void swarm_ca_server_renew (SwarmCAServer *self, const SwarmPeer *peer, const char *csr_pem, SwarmCAFunc done, gpointer data);

/* A node whose join failed after it was let in, and that has never had a session: its object goes. @done's reply is empty. Errors: NOT_FOUND,
 * FAILED_PRECONDITION (it has been here). */
void swarm_ca_server_withdraw (SwarmCAServer *self, const SwarmId *node, SwarmCAFunc done, gpointer data);

/* May @peer, by what the cluster knows of it now, act in the role that its certificate says? Joining peers (no certificate) pass.
 * One that lapsed must still be able to renew at @now_us. ACCESS_DENIED with the reason otherwise. For rpc's standing check, on any
 * manager. */
gboolean swarm_ca_standing (SwarmStore *store, const SwarmPeer *peer, gint64 now_us, GError **error);
/* The root that certificates are to be under next; NULL: none, or there is no way to it yet from the one in force. */
const SwarmRootRotation *swarm_ca_next_root (const SwarmRootCA *root);
/* What a manager checks certificates against, PEM: the roots in force (two while the root changes) and those of the past that may still
 * return. NULL before init. Caller frees both. */
char *swarm_ca_roots (SwarmStore *store, gint64 now_us, char **ret_former);
/* The role in which @peer may act now: a demoted node keeps a manager's certificate for a moment, but counts as a worker. NONE: not
 * at all (removed, or it has no certificate). */
SwarmPeerRole swarm_ca_effective_role (SwarmStore *store, const SwarmPeer *peer);
