// SPDX-License-Identifier: LGPL-2.1-or-later
/* Certificates and requests of others, PEM and DER. */
#include "base/clock-glib.h"
#include "base/random-system.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "fuzz.h"
#include <string.h>

typedef struct {
  char *root, *worker, *manager;
  GBytes *key;
} Ca;

static const Ca *
get_ca (SwarmAuthority *authority)
{
  static Ca ca;

  if (ca.root == NULL)
    g_assert (swarm_authority_create (authority, &ca.root, &ca.key, &ca.worker, &ca.manager, NULL));
  return &ca;
}

static void
try_join (SwarmAuthority *authority, const char *text)
{
  const Ca *ca = get_ca (authority);
  SwarmAuthorityState state = { .cluster = { { 1 } }, .root_cert_pem = ca->root, .root_key_pem = ca->key, .worker_token = ca->worker, .manager_token = ca->manager };
  g_auto (SwarmIssued) issued = { 0 };
  g_autoptr (GError) error = NULL;
  SwarmCertInfo info;

  if (!swarm_authority_join (authority, &state, ca->worker, text, &issued, &error)) {
    g_assert (error != NULL);
    return;
  }
  /* Whatever the request said: the role is the token's, the cluster is ours. */
  g_assert (swarm_cert_parse (issued.cert_pem, &info, NULL));
  g_assert (info.peer.role == SWARM_PEER_WORKER && memcmp (&info, &issued.info, sizeof info) == 0);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  SwarmAuthority authority = { swarm_crypto_openssl (), swarm_clock_glib (), swarm_random_system () };
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autoptr (GError) error = NULL;
  SwarmCertInfo info;
  guint8 digest[32];

  if (!swarm_cert_parse (text, &info, &error))
    g_assert (error != NULL);
  g_clear_error (&error);
  if (!swarm_cert_parse_der (data, size, &info, &error))
    g_assert (error != NULL);
  swarm_cert_verify (text, text, 0, NULL);
  authority.crypto->root_digest (authority.crypto, text, digest, NULL);
  try_join (&authority, text);
  return 0;
}
