// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links over mutually authenticated TLS 1.3 on TCP: the real SwarmTransport, and the listener for the other direction.
 * Everything runs on the default main context; nothing blocks. What a peer can make us hold is bounded. */
#pragma once
#include "base/clock.h"
#include "base/crypto.h"
#include "base/link.h"
#include "rpc/frame.h"

typedef struct _SwarmRpc SwarmRpc;

/* Reads a certificate: swarm_cert_parse_der() of ca/. */
typedef gboolean (*SwarmRpcIdentify) (const guint8 *der, gsize len, SwarmCertInfo *ret, GError **error);

/* Who we are and whom we believe. */
typedef struct {
  const char *cert_pem;  /* own certificate, then intermediates if there are any; NULL: none (a joining node) */
  GBytes *key_pem;       /* its key, PKCS#8; NULL with cert_pem */
  const char *roots_pem; /* one or more root certificates */
  const char *former_roots_pem; /* roots of the past: whoever shows a certificate of theirs may renew it (SWARM_PEER_LAPSED); NULL: none */
} SwarmRpcCredentials;

/* Bounds; 0 means the default in parentheses. */
typedef struct {
  gint64 connect_timeout_us;   /* resolving and connecting (5 s) */
  gint64 handshake_timeout_us; /* TLS and Hello (5 s) */
  gint64 stall_timeout_us;     /* a frame that does not become complete, a peer that does not read (30 s) */
  gint64 joining_timeout_us;   /* whole life of a link to a peer without certificate (60 s) */
  guint links;                 /* accepted links in all (10000) */
  guint anonymous;             /* accepted links that have shown no certificate (yet) (256) */
  guint anonymous_per_address; /* the same from one source address (32) */
  guint links_per_node;        /* accepted links of one node (16) */
  guint calls;                 /* calls under way in each direction of a link (256); a peer without certificate: 4 */
  guint calls_per_node;        /* unanswered calls on all accepted links of one node (512); managers: four times as many */
  gsize bytes_per_node;        /* of their messages (8 MiB); managers: four times as many */
  guint streams;               /* streams under way in each direction of a link (64) */
  gsize queue_bytes;           /* frames that wait to be sent on a link (4 MiB) */
} SwarmRpcLimits;

typedef struct {
  SwarmClock *clock; /* timers, and the time that certificates are checked against */
  SwarmRpcIdentify identify;
  guint32 feature_level; /* told in Hello */
  const char *version;   /* told in Hello */
  /* Links that others opened: `up` is the first event, `down` comes only after it. */
  const SwarmLinkEvents *accept_events;
  /* The standing of a peer by what is known now: at Hello and at each of its calls. NULL: everybody with a good
   * certificate. FALSE with an error cuts the link. Peers without certificate are asked about, too (role NONE). */
  gboolean (*check_peer) (const SwarmPeer *peer, SwarmLinkKind kind, gboolean accepted, gpointer data, GError **error);
  /* The cluster's epoch, told in Hello; NULL: 0. And what of another end's with a certificate is to be thought: FALSE with an error cuts the
   * link, but only after an end that dialled was told ours. NULL: all are fine. */
  guint64 (*epoch) (gpointer data);
  gboolean (*check_epoch) (const SwarmPeer *peer, guint64 epoch, gpointer data, GError **error);
  /* The log index to stamp on frames; NULL: 0. */
  guint64 (*applied_index) (gpointer data);
  /* A connection to us was refused or broke before it was up. At most ten calls in ten seconds for each address; @suppressed more
   * were not told since the last call. For the journal. */
  void (*refused) (const char *address, const GError *error, guint suppressed, gpointer data);
  /* A call was answered with ACCESS_DENIED: the caller may not do that. As many for each node. */
  void (*call_refused) (const SwarmPeer *peer, const char *member, const GError *error, guint suppressed, gpointer data);
  gpointer data; /* for all of the above */
  SwarmRpcLimits limits;
} SwarmRpcSettings;

/* Copies @settings (not what it points to). SIGPIPE is ignored from here on, as GIO does. */
SwarmRpc *swarm_rpc_new (const SwarmRpcSettings *settings);
/* Closes everything; links that are still held go down in the next turn of the loop. */
void swarm_rpc_free (SwarmRpc *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmRpc, swarm_rpc_free)

/* For all connections from now on; on those that are open a new certificate of ours is shown to the other end. */
gboolean swarm_rpc_set_credentials (SwarmRpc *self, const SwarmRpcCredentials *credentials, GError **error);
/* Back to the state before the first swarm_rpc_set_credentials(): nothing can be accepted or dialled. */
void swarm_rpc_forget_credentials (SwarmRpc *self);

/* Listens on a numeric "HOST:PORT" ("0.0.0.0:2377", "[::]:2377"), in addition to what there is. @ret_address (may be
 * NULL; caller frees) tells the real port when 0 was asked for. */
gboolean swarm_rpc_listen (SwarmRpc *self, const char *address, char **ret_address, GError **error);
void swarm_rpc_unlisten (SwarmRpc *self);

/* The dialling side for code that knows nothing of TLS. The other end must be a manager of our cluster. Borrowed. */
SwarmTransport *swarm_rpc_transport (SwarmRpc *self);
/* Dials without showing or checking any certificate. ONLY to ask the CA for its root certificate, which must then be
 * checked against a join token's digest (swarm_authority_check_root()) before it is used; nothing secret may be sent
 * here. The link's peer has role NONE. */
SwarmLink *swarm_rpc_dial_unverified (SwarmRpc *self, const char *address, const SwarmLinkEvents *events,
                                      gpointer data);

/* Cuts all links with @node (demoted, removed); each goes down with @reason, which the other end is told. */
void swarm_rpc_close_node (SwarmRpc *self, const SwarmId *node, const GError *reason);
/* Cuts those links with @node on which it has shown another certificate than that with @serial. */
void swarm_rpc_close_older (SwarmRpc *self, const SwarmId *node, const char *serial, const GError *reason);
/* Cuts all links, accepted and dialled (leaving the cluster, stopping). */
void swarm_rpc_close_all (SwarmRpc *self, const GError *reason);

typedef struct {
  guint accepted;  /* links accepted and not yet down */
  guint anonymous; /* of these: without certificate (yet) */
  guint dialled;
  guint64 refused; /* since the start */
} SwarmRpcStats;
/* As of now. */
void swarm_rpc_get_stats (SwarmRpc *self, SwarmRpcStats *ret);

/* The other end's Hello; NULL before `up`. @link must be one of ours. */
const SwarmHello *swarm_rpc_link_hello (SwarmLink *link);
/* Bytes that wait to be sent on @link: a reason to slow down. */
gsize swarm_rpc_link_queued (SwarmLink *link);
