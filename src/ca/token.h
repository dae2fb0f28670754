// SPDX-License-Identifier: LGPL-2.1-or-later
/* Join tokens in swarm's format: SWMTKN-1-<SHA-256 of the root certificate, 50 digits base 36>-<16 random bytes, 25
 * digits>. The first half lets the joiner recognise the cluster, the second half lets the cluster recognise the joiner.
 */
#pragma once
#include "base/random.h"

#define SWARM_TOKEN_PREFIX "SWMTKN-1-"
#define SWARM_TOKEN_LEN (9 + 50 + 1 + 25)

typedef struct {
  guint8 root_digest[32];
  guint8 secret[16];
} SwarmToken;

/* A token with a fresh secret for the root with this digest. */
void swarm_token_generate (SwarmRandom *random, const guint8 root_digest[32], SwarmToken *ret);
/* The text form. Caller frees; it is a secret. */
char *swarm_token_format (const SwarmToken *token);
/* FALSE with SWARM_ERROR_INVALID_ARGUMENT "invalid join token" for anything that is not exactly a token of version 1.
 * The text of the token never appears in the error. */
gboolean swarm_token_parse (const char *text, SwarmToken *ret, GError **error);
/* Equal secrets and digests, in a time that does not depend on where they differ. */
gboolean swarm_token_equal (const SwarmToken *a, const SwarmToken *b);
