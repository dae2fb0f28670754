// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/ca-server.h"
#include "base/error.h"
#include "ca/authority.h"
#include "manager/control/control.h"
#include <string.h>

#define MAX_TRIES 20
/* So long after a node was given a certificate, or none, it gets no other: each costs a signature (of somebody elsewhere, maybe), a write on
 * all managers and a line in the journal. Nodes try again after two seconds. */
#define RENEWAL_PAUSE_US (5 * G_TIME_SPAN_SECOND)
#define FAILED_PAUSE_US (1500 * G_TIME_SPAN_MILLISECOND)

struct _SwarmCAServer {
  gint ref_count; /* its owner's, and one for each call under way */
  gboolean closed;
  SwarmStore *store;
  SwarmAuthority authority;
  SwarmExternalSigner signer;
  GHashTable *renewals; /* node → Renewal: those of now and of a moment ago */
};

typedef struct {
  SwarmId node;
  gint64 ended_at; /* boottime; 0: it is under way */
  gboolean failed;
} Renewal;

/* A certificate that waits for its commit. */
typedef struct {
  SwarmCAServer *server;
  SwarmIssued issued;
  SwarmRole role;
  guint tries;
  gboolean joins;
  SwarmAvailability availability;
  char *addr;
  gboolean renews;     /* noted among the renewals */
  SwarmPeer asker;     /* of a renewal */
  char *csr;
  char *root;          /* under which it is */
  char *chain;         /* what follows it */
  char *issuer;        /* digest of the root that it is under */
  SwarmCAFunc done;
  gpointer data;
  GError *error; /* to be answered from the loop */
} Issue;

SwarmCAServer *
swarm_ca_server_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, SwarmCrypto *crypto)
{
  SwarmCAServer *self = g_new0 (SwarmCAServer, 1);
  self->ref_count = 1;
  self->store = store;
  self->authority = (SwarmAuthority){ crypto, clock, random };
  self->renewals = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
  return self;
}

void
swarm_ca_server_set_signer (SwarmCAServer *self, const SwarmExternalSigner *signer)
{
  self->signer = *signer;
}

static void
ca_server_unref (SwarmCAServer *self)
{
  if (--self->ref_count > 0)
    return;
  g_hash_table_unref (self->renewals);
  g_free (self);
}

void
swarm_ca_server_free (SwarmCAServer *self)
{
  if (self == NULL)
    return;
  self->closed = TRUE;
  ca_server_unref (self);
}

const char *
swarm_ca_server_root (SwarmCAServer *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  return cluster != NULL && cluster->root_ca != NULL ? cluster->root_ca->cert : NULL;
}

const SwarmRootRotation *
swarm_ca_next_root (const SwarmRootCA *root)
{
  return root->rotation != NULL && root->rotation->cross_cert != NULL ? root->rotation : NULL;
}

/* What the authority has to know, borrowed from the store but for chain_pem, which the caller frees. While the root changes, certificates
 * are under the next one, and show the way to it. */
static gboolean
authority_state (SwarmCAServer *self, SwarmAuthorityState *state, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  if (cluster == NULL || cluster->root_ca == NULL || cluster->root_ca->tokens == NULL || self->authority.crypto == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "this manager has no certificate authority yet");
    return FALSE;
  }
  const SwarmRootCA *root = cluster->root_ca;
  const SwarmRootRotation *next = swarm_ca_next_root (root);
  const SwarmCAConfig *config = cluster->spec->ca_config;
  *state = (SwarmAuthorityState){ .cluster = cluster->object.id,
                                  .root_cert_pem = next != NULL ? next->cert : root->cert,
                                  .root_key_pem = next != NULL ? next->key : root->key,
                                  .worker_token = root->tokens->worker,
                                  .manager_token = root->tokens->manager,
                                  .validity_us = config != NULL ? config->node_cert_expiry / 1000 : 0 };
  return TRUE;
}

/* The root in force and the one before, each signed by the one before it. NULL: there is none before. */
static char *
chain_of (const SwarmRootCA *root)
{
  const SwarmRootRotation *next = swarm_ca_next_root (root);
  GString *chain = g_string_new (next != NULL ? next->cross_cert : NULL);
  for (guint i = 0; root->former != NULL && i < root->former->len; i++) {
    const SwarmFormerRoot *former = root->former->pdata[i];
    if (former->cross_cert != NULL)
      g_string_append (chain, former->cross_cert);
  }
  return g_string_free (chain, chain->len == 0);
}

static Issue *
issue_new (SwarmCAServer *self, SwarmCAFunc done, gpointer data)
{
  Issue *issue = g_new0 (Issue, 1);
  issue->server = self;
  self->ref_count++;
  issue->done = done;
  issue->data = data;
  return issue;
}

static void
renewal_ended (Issue *issue, const GError *error)
{
  Renewal *renewal = issue->renews ? g_hash_table_lookup (issue->server->renewals, &issue->asker.node) : NULL;
  if (renewal == NULL)
    return;
  renewal->ended_at = swarm_clock_boottime (issue->server->authority.clock);
  renewal->failed = error != NULL;
}

static void
issue_answer (Issue *issue, const GError *error)
{
  g_autoptr (GError) closed = NULL;
  if (error == NULL && issue->server->closed)
    error = closed = g_error_new (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager is stopping");
  renewal_ended (issue, error);
  if (error == NULL) {
    SwarmCAReply reply = { issue->issued.cert_pem, swarm_ca_server_root (issue->server), issue->issued.info.peer.node, issue->role };
    issue->done (&reply, NULL, issue->data);
  } else {
    issue->done (NULL, error, issue->data);
  }
  swarm_issued_clear (&issue->issued);
  g_clear_error (&issue->error);
  ca_server_unref (issue->server);
  g_free (issue->addr);
  g_free (issue->issuer);
  g_free (issue->chain);
  g_free (issue->root);
  g_free (issue->csr);
  g_free (issue);
}

static void
issue_refused (gpointer data)
{
  Issue *issue = data;
  issue_answer (issue, issue->error);
}

static void
issue_refuse_later (Issue *issue, GError *error)
{
  issue->error = error;
  swarm_clock_timer (issue->server->authority.clock, 0, SWARM_PRIORITY_NORMAL, issue_refused, issue);
}

static void issue_commit (Issue *issue);

static void
issue_committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  Issue *issue = data;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE) && !issue->server->closed && ++issue->tries < MAX_TRIES)
    issue_commit (issue);
  else
    issue_answer (issue, error);
}

static gboolean
same_serial (const char *known, const char *shown)
{
  return known != NULL && g_ascii_strcasecmp (known, shown) == 0;
}

/* It says that it uses the newest certificate that it was given, which it does once that is on its disk: what it had before is worth nothing
 * any more. */
static gboolean
uses_newest (const SwarmNode *node)
{
  const SwarmNodeTLS *tls = node->description != NULL ? node->description->tls : NULL;
  return tls != NULL && tls->cert_serial != NULL && same_serial (node->cert_serial, tls->cert_serial);
}

/* What the node may hold besides the newest. */
static gboolean
is_before (const SwarmNode *node, const char *serial)
{
  return !uses_newest (node) && same_serial (node->cert_serial_before, serial);
}

static void
note_certificate (SwarmNode *node, const Issue *issue)
{
  const SwarmCertInfo *info = &issue->issued.info;
  if (issue->joins) {
    swarm_string_set (&node->cert_key_before, NULL);
    swarm_string_set (&node->cert_serial_before, NULL);
  } else if (!is_before (node, issue->asker.serial)) {
    swarm_string_set (&node->cert_key_before, node->cert_key);
    swarm_string_set (&node->cert_serial_before, issue->asker.serial);
  }
  swarm_string_set (&node->cert_serial, info->peer.serial);
  swarm_string_set (&node->cert_key, info->key);
  swarm_string_set (&node->cert_issuer, issue->issuer);
  node->cert_not_before = info->not_before;
  node->cert_not_after = info->not_after;
  node->cert_due = FALSE;
}

static SwarmNode *
make_node (const Issue *issue)
{
  SwarmNode *node = swarm_node_new ();
  node->object.id = issue->issued.info.peer.node;
  node->spec = swarm_node_spec_new ();
  node->spec->role = issue->role;
  node->spec->availability = issue->availability;
  swarm_node_set_state (node, SWARM_NODE_UNKNOWN, "");
  const char *colon = issue->addr != NULL ? strrchr (issue->addr, ':') : NULL;
  if (colon != NULL)
    node->status->addr = g_strndup (issue->addr, (gsize) (colon - issue->addr));
  return node;
}

static void
issue_commit (Issue *issue)
{
  SwarmCAServer *self = issue->server;
  SwarmTx *tx = swarm_store_tx (self->store);
  const SwarmNode *old = swarm_store_get (self->store, SWARM_KIND_NODE, &issue->issued.info.peer.node);
  g_autoptr (SwarmNode) node = issue->joins ? make_node (issue) : old != NULL ? swarm_node_copy (old) : NULL;
  if (node == NULL) {
    swarm_tx_free (tx);
    issue_refuse_later (issue, g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "this node is not part of the cluster any more"));
    return;
  }
  node->role = issue->role;
  note_certificate (node, issue);
  if (issue->joins)
    swarm_tx_create (tx, node);
  else
    swarm_tx_update (tx, node);
  swarm_tx_commit (tx, NULL, issue_committed, issue);
}

static gboolean
parse_availability (const char *text, SwarmAvailability *ret, GError **error)
{
  *ret = SWARM_AVAILABILITY_ACTIVE;
  if (text == NULL || *text == '\0' || swarm_availability_from_string (text, ret))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
               "invalid availability \"%s\", only active, pause and drain are supported", text);
  return FALSE;
}

/* Who signs under the root in force when its key is not here; NULL: it is here. FALSE: it is nowhere. */
static gboolean
find_external (SwarmCAServer *self, const SwarmExternalCA **ret, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  const SwarmRootCA *root = cluster->root_ca;
  const SwarmRootRotation *next = swarm_ca_next_root (root);
  const char *cert = next != NULL ? next->cert : root->cert;
  *ret = NULL;
  if ((next != NULL ? next->key : root->key) != NULL)
    return TRUE;
  *ret = self->signer.sign != NULL && cluster->spec->ca_config != NULL ? swarm_control_external_ca (cluster->spec->ca_config, cert, root->cert) : NULL;
  if (*ret != NULL)
    return TRUE;
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                       "nobody can sign certificates: the root's key is not here, and the cluster's configuration names no external CA for it");
  return FALSE;
}

/* Notes under which root the certificate will be, and what with. */
static gboolean
issue_under (Issue *issue, const char *csr_pem, SwarmAuthorityState *state, GError **error)
{
  const SwarmExternalCA *external;
  if (!authority_state (issue->server, state, error) || !find_external (issue->server, &external, error))
    return FALSE;
  const SwarmRootCA *root = swarm_store_cluster (issue->server->store)->root_ca;
  const SwarmRootRotation *next = swarm_ca_next_root (root);
  issue->issuer = g_strdup (next != NULL ? next->digest : root->digest);
  issue->chain = chain_of (root);
  issue->root = g_strdup (state->root_cert_pem);
  issue->csr = g_strdup (csr_pem);
  state->chain_pem = issue->chain;
  state->elsewhere = external != NULL;
  return TRUE;
}

static void
issue_signed (const char *cert_pem, const GError *error, gpointer data)
{
  Issue *issue = data;
  SwarmAuthorityState state = { .root_cert_pem = issue->root, .chain_pem = issue->chain };
  g_autoptr (GError) local = NULL;
  if (error == NULL && !issue->server->closed && swarm_authority_take (&issue->server->authority, &state, cert_pem, &issue->issued, &local))
    issue_commit (issue);
  else
    issue_answer (issue, error != NULL ? error : local);
}

/* It is decided who gets a certificate; what is left is to have it, and to write that down. */
static void
issue_go_on (Issue *issue)
{
  SwarmCAServer *self = issue->server;
  const SwarmExternalCA *external = NULL;
  GError *error = NULL;
  if (issue->issued.cert_pem != NULL)
    issue_commit (issue);
  else if (find_external (self, &external, &error))
    self->signer.sign (external, issue->root, issue->csr, &issue->issued.info.peer, issue_signed, issue, self->signer.data);
  else
    issue_refuse_later (issue, error);
}

void
swarm_ca_server_issue (SwarmCAServer *self, const char *csr_pem, const char *token, const char *availability, const char *addr,
                       SwarmCAFunc done, gpointer data)
{
  Issue *issue = issue_new (self, done, data);
  SwarmAuthorityState state;
  GError *error = NULL;
  issue->joins = TRUE;
  issue->addr = g_strdup (addr);
  if (!parse_availability (availability, &issue->availability, &error) || !issue_under (issue, csr_pem, &state, &error)
      || !swarm_authority_join (&self->authority, &state, token, csr_pem, &issue->issued, &error)) {
    issue_refuse_later (issue, error);
    return;
  }
  issue->role = issue->issued.info.peer.role == SWARM_PEER_MANAGER ? SWARM_ROLE_MANAGER : SWARM_ROLE_WORKER;
  issue_go_on (issue);
}

/* A demoted node stays manager until it is out of the consensus: it has to be able to speak there. */
static gboolean
node_is_manager (const SwarmNode *node)
{
  return node->spec->role == SWARM_ROLE_MANAGER || node->manager_status != NULL;
}

/* What the authority has to know of a node, borrowed. */
static SwarmAuthorityNode
authority_node (SwarmStore *store, const SwarmNode *node)
{
  const SwarmCluster *cluster = swarm_store_cluster (store);
  const SwarmCAConfig *config = cluster != NULL ? cluster->spec->ca_config : NULL;
  return (SwarmAuthorityNode){ .role = node_is_manager (node) ? SWARM_PEER_MANAGER : SWARM_PEER_WORKER,
                               .newest_serial = node->cert_serial,
                               .serial_before = uses_newest (node) ? NULL : node->cert_serial_before,
                               .key = node->cert_key,
                               .key_before = node->cert_key_before,
                               .not_after = node->cert_not_after,
                               .expired_renewal_us = config != NULL ? config->expired_renewal / 1000 : 0 };
}

static gboolean
is_over (gpointer key, gpointer value, gpointer now)
{
  const Renewal *renewal = value;
  return renewal->ended_at != 0 && *(const gint64 *) now - renewal->ended_at >= (renewal->failed ? FAILED_PAUSE_US : RENEWAL_PAUSE_US);
}

/* One at a time for each node, and none right after another but for a reason: it has another role now, or the root changes. */
static gboolean
renewal_begin (Issue *issue, const SwarmNode *node, GError **error)
{
  SwarmCAServer *self = issue->server;
  gint64 now = swarm_clock_boottime (self->authority.clock);
  g_hash_table_foreach_remove (self->renewals, is_over, &now);
  Renewal *renewal = g_hash_table_lookup (self->renewals, &node->object.id);
  gboolean has_reason = node->role != issue->role || g_strcmp0 (node->cert_issuer, issue->issuer) != 0;
  if (renewal != NULL && (renewal->ended_at == 0 || renewal->failed || !has_reason)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED,
                 renewal->ended_at == 0 ? "the certificate of node %s is being renewed already"
                                        : "node %s has asked for its next certificate a moment ago; it may ask again in a few seconds",
                 swarm_id_string (&node->object.id).str);
    return FALSE;
  }
  if (renewal == NULL) {
    renewal = g_new0 (Renewal, 1);
    renewal->node = node->object.id;
    g_hash_table_insert (self->renewals, &renewal->node, renewal);
  }
  *renewal = (Renewal){ .node = node->object.id };
  issue->renews = TRUE;
  return TRUE;
}

void
swarm_ca_server_renew (SwarmCAServer *self, const SwarmPeer *peer, const char *csr_pem, SwarmCAFunc done, gpointer data)
{
  Issue *issue = issue_new (self, done, data);
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, &peer->node);
  SwarmAuthorityState state;
  GError *error = NULL;
  if (node == NULL) {
    issue_refuse_later (issue, g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "this node is not part of the cluster any more"));
    return;
  }
  SwarmAuthorityNode known = authority_node (self->store, node);
  issue->role = known.role == SWARM_PEER_MANAGER ? SWARM_ROLE_MANAGER : SWARM_ROLE_WORKER;
  issue->asker = *peer;
  if (!issue_under (issue, csr_pem, &state, &error) || !renewal_begin (issue, node, &error)
      || !swarm_authority_renew (&self->authority, &state, peer, &known, csr_pem, &issue->issued, &error)) {
    issue_refuse_later (issue, error);
    return;
  }
  issue_go_on (issue);
}

static void
withdrawn (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  issue_answer (data, error);
}

void
swarm_ca_server_withdraw (SwarmCAServer *self, const SwarmId *id, SwarmCAFunc done, gpointer data)
{
  Issue *issue = issue_new (self, done, data);
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, id);
  if (node == NULL) {
    issue_refuse_later (issue, g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "this node is not part of the cluster"));
    return;
  }
  if (node->description != NULL) {
    issue_refuse_later (issue, g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this node has been here: it leaves, or is removed"));
    return;
  }
  SwarmTx *tx = swarm_store_tx (self->store);
  swarm_tx_remove (tx, SWARM_KIND_NODE, id, node->object.version);
  swarm_tx_commit (tx, NULL, withdrawn, issue);
}

SwarmPeerRole
swarm_ca_effective_role (SwarmStore *store, const SwarmPeer *peer)
{
  const SwarmNode *node = peer->role != SWARM_PEER_NONE ? swarm_store_get (store, SWARM_KIND_NODE, &peer->node) : NULL;
  if (node == NULL)
    return SWARM_PEER_NONE;
  if (peer->role == SWARM_PEER_LAPSED)
    return SWARM_PEER_LAPSED;
  return peer->role == SWARM_PEER_MANAGER && node_is_manager (node) ? SWARM_PEER_MANAGER : SWARM_PEER_WORKER;
}

/* A newer certificate than this manager has heard of may be shown to it before the log brings word. */
static gboolean
is_replaced (const SwarmNode *node, const SwarmPeer *peer)
{
  return node->cert_serial != NULL && !same_serial (node->cert_serial, peer->serial) && !is_before (node, peer->serial)
         && peer->issued <= node->cert_not_before;
}

static gboolean
refuse_standing (const char *text, GError **error)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, text);
  return FALSE;
}

/* Of a manager that is known and not removed, and that might as well have it renewed: it holds the consensus together until that can be done. */
static gboolean
expired_standing (SwarmStore *store, const SwarmNode *node, const SwarmPeer *peer, gint64 now_us, GError **error)
{
  SwarmAuthorityNode known = authority_node (store, node);
  if (!node_is_manager (node))
    return refuse_standing ("the node is not a manager any more", error);
  if (is_replaced (node, peer))
    return refuse_standing (SWARM_CERT_REPLACED, error);
  if (now_us - peer->expires >= known.expired_renewal_us)
    return refuse_standing ("the certificate expired longer ago than this cluster allows", error);
  return TRUE;
}

gboolean
swarm_ca_standing (SwarmStore *store, const SwarmPeer *peer, gint64 now_us, GError **error)
{
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &peer->node);
  if (peer->role == SWARM_PEER_NONE)
    return TRUE;
  if (node == NULL)
    return refuse_standing ("the node is not part of this cluster", error);
  if (peer->expired)
    return expired_standing (store, node, peer, now_us, error);
  if (peer->role == SWARM_PEER_LAPSED) {
    SwarmAuthorityNode known = authority_node (store, node);
    return swarm_authority_may_return (peer, &known, now_us, error);
  }
  /* A demoted node holds a manager's certificate until it has renewed it, for which it needs this link; it counts as a worker there. */
  if (peer->role == SWARM_PEER_MANAGER && !node_is_manager (node) && !same_serial (node->cert_serial, peer->serial)
      && !same_serial (node->cert_serial_before, peer->serial))
    return refuse_standing ("the node is not a manager any more", error);
  return !is_replaced (node, peer) || refuse_standing (SWARM_CERT_REPLACED, error);
}

char *
swarm_ca_roots (SwarmStore *store, gint64 now_us, char **ret_former)
{
  const SwarmCluster *cluster = swarm_store_cluster (store);
  const SwarmRootCA *root = cluster != NULL ? cluster->root_ca : NULL;
  GString *former = g_string_new (NULL);
  *ret_former = NULL;
  if (root == NULL || root->cert == NULL) {
    g_string_free (former, TRUE);
    return NULL;
  }
  for (guint i = 0; root->former != NULL && i < root->former->len; i++) {
    const SwarmFormerRoot *one = root->former->pdata[i];
    if (now_us < one->until)
      g_string_append (former, one->cert);
  }
  *ret_former = g_string_free (former, FALSE);
  const SwarmRootRotation *next = swarm_ca_next_root (root);
  return g_strconcat (root->cert, next != NULL ? next->cert : NULL, NULL);
}
