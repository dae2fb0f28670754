// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/token.h"
#include "base/error.h"
#include <string.h>

void
swarm_issued_clear (SwarmIssued *issued)
{
  g_clear_pointer (&issued->cert_pem, g_free);
}

char *
swarm_authority_new_token (SwarmAuthority *self, const char *root_cert_pem, GError **error)
{
  guint8 digest[32];
  SwarmToken token;

  if (!self->crypto->root_digest (self->crypto, root_cert_pem, digest, error))
    return NULL;
  swarm_token_generate (self->random, digest, &token);
  return swarm_token_format (&token);
}

gboolean
swarm_authority_create (SwarmAuthority *self, char **ret_root_cert_pem, GBytes **ret_root_key_pem,
                        char **ret_worker_token, char **ret_manager_token, GError **error)
{
  g_autofree char *cert = NULL, *worker = NULL, *manager = NULL;
  g_autoptr (GBytes) key = NULL;

  if (!self->crypto->create_root (self->crypto, swarm_clock_now (self->clock), &cert, &key, error))
    return FALSE;
  worker = swarm_authority_new_token (self, cert, error);
  manager = worker != NULL ? swarm_authority_new_token (self, cert, error) : NULL;
  if (manager == NULL)
    return FALSE;
  *ret_root_cert_pem = g_steal_pointer (&cert);
  *ret_root_key_pem = g_steal_pointer (&key);
  *ret_worker_token = g_steal_pointer (&worker);
  *ret_manager_token = g_steal_pointer (&manager);
  return TRUE;
}

static void
append_chain (const SwarmAuthorityState *state, SwarmIssued *issued)
{
  g_autofree char *alone = issued->cert_pem;

  issued->cert_pem = g_strconcat (alone, state->chain_pem, NULL);
}

/* NULL: it is what was asked for. */
static const char *
difference (const SwarmCertInfo *asked, const SwarmCertInfo *got)
{
  if (got->peer.role != asked->peer.role || !swarm_id_equal (&got->peer.node, &asked->peer.node)
      || !swarm_id_equal (&got->peer.cluster, &asked->peer.cluster))
    return "it is for somebody else (CN, OU or O)";
  if (!g_str_equal (got->key, asked->key))
    return "it is for another key";
  return NULL;
}

gboolean
swarm_authority_take (SwarmAuthority *self, const SwarmAuthorityState *state, const char *cert_pem, SwarmIssued *issued,
                      GError **error)
{
  SwarmCertInfo got;
  const char *problem;

  if (!swarm_cert_parse (cert_pem, &got, error)
      || !swarm_cert_verify (cert_pem, state->root_cert_pem, swarm_clock_now (self->clock), error)) {
    g_prefix_error_literal (error, "what the external CA signed: ");
    return FALSE;
  }
  problem = difference (&issued->info, &got);
  if (problem != NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "what the external CA signed: %s", problem);
    return FALSE;
  }
  issued->info = got;
  issued->cert_pem = g_str_has_suffix (cert_pem, "\n") ? g_strdup (cert_pem) : g_strconcat (cert_pem, "\n", NULL);
  append_chain (state, issued);
  return TRUE;
}

gboolean
swarm_authority_issue (SwarmAuthority *self, const SwarmAuthorityState *state, const SwarmId *node, SwarmPeerRole role,
                       const char *csr_pem, SwarmIssued *ret, GError **error)
{
  SwarmIssued issued = { .info = { .peer = { .role = role, .node = *node, .cluster = state->cluster } } };
  gint64 now = swarm_clock_now (self->clock);
  gint64 validity = state->validity_us != 0 ? state->validity_us : SWARM_AUTHORITY_DEFAULT_VALIDITY_US;

  /* Whole seconds, as certificates have them. Back-dated, for clocks of a cluster never agree. */
  issued.info.not_before = (now - SWARM_AUTHORITY_BACKDATE_US) / G_USEC_PER_SEC * G_USEC_PER_SEC;
  issued.info.not_after = (now + MAX (validity, SWARM_AUTHORITY_MIN_VALIDITY_US)) / G_USEC_PER_SEC * G_USEC_PER_SEC;
  issued.info.peer.issued = issued.info.not_before;
  issued.info.peer.expires = issued.info.not_after;
  if (!self->crypto->request_key (self->crypto, csr_pem, issued.info.key, error))
    return FALSE;
  if (state->elsewhere) {
    *ret = issued;
    return TRUE;
  }
  issued.cert_pem
    = self->crypto->issue (self->crypto, state->root_cert_pem, state->root_key_pem, csr_pem, &issued.info.peer,
                           issued.info.not_before, issued.info.not_after, issued.info.peer.serial, error);
  if (issued.cert_pem == NULL)
    return FALSE;
  append_chain (state, &issued);
  *ret = issued;
  return TRUE;
}

/* The role that @text grants; both tokens are always compared, so that time tells nothing. */
static SwarmPeerRole
role_of_token (const SwarmAuthorityState *state, const char *text)
{
  SwarmToken given, worker = { 0 }, manager = { 0 };
  gboolean is_worker, is_manager;
  SwarmPeerRole role = SWARM_PEER_NONE;

  if (!swarm_token_parse (text, &given, NULL))
    return SWARM_PEER_NONE;
  is_worker = swarm_token_parse (state->worker_token, &worker, NULL) & swarm_token_equal (&given, &worker);
  is_manager = swarm_token_parse (state->manager_token, &manager, NULL) & swarm_token_equal (&given, &manager);
  if (is_manager)
    role = SWARM_PEER_MANAGER;
  else if (is_worker)
    role = SWARM_PEER_WORKER;
  explicit_bzero (&given, sizeof given);
  explicit_bzero (&worker, sizeof worker);
  explicit_bzero (&manager, sizeof manager);
  return role;
}

gboolean
swarm_authority_join (SwarmAuthority *self, const SwarmAuthorityState *state, const char *token, const char *csr_pem,
                      SwarmIssued *ret, GError **error)
{
  SwarmPeerRole role = role_of_token (state, token);
  SwarmId node;

  if (role == SWARM_PEER_NONE) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED,
                         "A valid join token is necessary to join this cluster");
    return FALSE;
  }
  node = swarm_random_id (self->random);
  return swarm_authority_issue (self, state, &node, role, csr_pem, ret, error);
}

static gboolean
refuse_renewal (const SwarmPeer *peer, const char *reason, GError **error)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, SWARM_RENEWAL_REFUSED " %s: %s",
               swarm_id_string (&peer->node).str, reason);
  return FALSE;
}

static gboolean
is_known (const SwarmPeer *peer, const SwarmAuthorityNode *node)
{
  return g_strcmp0 (peer->serial, node->newest_serial) == 0 || g_strcmp0 (peer->serial, node->serial_before) == 0;
}

gboolean
swarm_authority_may_return (const SwarmPeer *peer, const SwarmAuthorityNode *node, gint64 now_us, GError **error)
{
  if (!is_known (peer, node))
    return refuse_renewal (peer, SWARM_CERT_REPLACED, error);
  if (now_us >= node->not_after && now_us - node->not_after >= node->expired_renewal_us)
    return refuse_renewal (peer, "it expired longer ago than this cluster allows; leave the cluster on that node (swarmctl leave --force), "
                                 "remove the node here and join again", error);
  return TRUE;
}

gboolean
swarm_authority_renew (SwarmAuthority *self, const SwarmAuthorityState *state, const SwarmPeer *peer,
                       const SwarmAuthorityNode *node, const char *csr_pem, SwarmIssued *ret, GError **error)
{
  char key[65];

  if (peer->role == SWARM_PEER_NONE || node->role == SWARM_PEER_NONE)
    return refuse_renewal (peer, "only a node with a certificate may renew one", error);
  if (!swarm_id_equal (&peer->cluster, &state->cluster))
    return refuse_renewal (peer, "the certificate belongs to another cluster", error);
  if (!is_known (peer, node))
    return refuse_renewal (peer, SWARM_CERT_REPLACED, error);
  if (peer->role == SWARM_PEER_LAPSED) {
    if (!swarm_authority_may_return (peer, node, swarm_clock_now (self->clock), error)
        || !self->crypto->request_key (self->crypto, csr_pem, key, error))
      return FALSE;
    /* A root is replaced because somebody else may have its key: what its signature says is not enough. */
    if (g_strcmp0 (key, g_strcmp0 (peer->serial, node->newest_serial) == 0 ? node->key : node->key_before) != 0)
      return refuse_renewal (peer, "the request is not made with the node's own key", error);
  }
  return swarm_authority_issue (self, state, &peer->node, node->role, csr_pem, ret, error);
}

gboolean
swarm_authority_check_root (SwarmCrypto *crypto, const char *token, const char *root_cert_pem, GError **error)
{
  SwarmToken parsed;
  guint8 digest[32];
  gboolean same;

  if (!swarm_token_parse (token, &parsed, error))
    return FALSE;
  if (!crypto->root_digest (crypto, root_cert_pem, digest, error))
    return FALSE;
  same = memcmp (digest, parsed.root_digest, sizeof digest) == 0;
  explicit_bzero (&parsed, sizeof parsed);
  if (!same)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "remote CA does not match fingerprint.");
  return same;
}

gint64
swarm_authority_renewal_time (SwarmRandom *random, const SwarmCertInfo *info)
{
  gint64 life = MAX (info->not_after - info->not_before, 0);

  return info->not_before + life / 1000 * (500 + swarm_random_below (random, 301));
}
