// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's keys file, as a disk may give it back: also with a checksum that is right. What is taken must come out the same when it is written. */
#include "ca/crypto.h"
#include "daemon/keys.h"
#include "fuzz.h"
#include <string.h>

static void
parse (const guint8 *data, gsize size)
{
  g_autoptr (GBytes) file = g_bytes_new (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmKeys) keys = swarm_keys_parse (swarm_crypto_openssl (), file, &error);
  static const guint8 zeros[32];
  g_autoptr (GBytes) kek = g_bytes_new_static (zeros, sizeof zeros);

  g_assert ((keys == NULL) == (error != NULL));
  if (keys != NULL && !swarm_keys_is_open (keys))
    g_assert (!swarm_keys_open (keys, swarm_crypto_openssl (), kek, NULL) || swarm_keys_is_open (keys));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree guint8 *copy = g_malloc (size + 32);

  parse (data, size);
  if (size > 0)
    memcpy (copy, data, size);
  swarm_crypto_openssl ()->sha256 (swarm_crypto_openssl (), copy, size, copy + size);
  parse (copy, size + 32);
  return 0;
}
