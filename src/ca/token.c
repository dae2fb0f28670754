// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/token.h"
#include "base/error.h"
#include <string.h>

#define DIGEST_DIGITS 50
#define SECRET_DIGITS 25

void
swarm_token_generate (SwarmRandom *random, const guint8 root_digest[32], SwarmToken *ret)
{
  memcpy (ret->root_digest, root_digest, sizeof ret->root_digest);
  random->fill (random, ret->secret, sizeof ret->secret);
}

char *
swarm_token_format (const SwarmToken *token)
{
  g_autofree char *digest = swarm_base36_encode (token->root_digest, sizeof token->root_digest, DIGEST_DIGITS);
  g_autofree char *secret = swarm_base36_encode (token->secret, sizeof token->secret, SECRET_DIGITS);
  char *text = g_strconcat (SWARM_TOKEN_PREFIX, digest, "-", secret, NULL);

  explicit_bzero (secret, SECRET_DIGITS);
  return text;
}

gboolean
swarm_token_parse (const char *text, SwarmToken *ret, GError **error)
{
  SwarmToken token;
  const char *digest, *secret;

  if (text != NULL && strlen (text) == SWARM_TOKEN_LEN && g_str_has_prefix (text, SWARM_TOKEN_PREFIX)) {
    digest = text + strlen (SWARM_TOKEN_PREFIX);
    secret = digest + DIGEST_DIGITS + 1;
    if (digest[DIGEST_DIGITS] == '-'
        && swarm_base36_decode (digest, DIGEST_DIGITS, token.root_digest, sizeof token.root_digest)
        && swarm_base36_decode (secret, SECRET_DIGITS, token.secret, sizeof token.secret)) {
      *ret = token;
      return TRUE;
    }
  }
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid join token");
  return FALSE;
}

gboolean
swarm_token_equal (const SwarmToken *a, const SwarmToken *b)
{
  guint difference = 0;

  for (gsize i = 0; i < sizeof a->root_digest; i++)
    difference |= a->root_digest[i] ^ b->root_digest[i];
  for (gsize i = 0; i < sizeof a->secret; i++)
    difference |= a->secret[i] ^ b->secret[i];
  return difference == 0;
}
