// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/secret.h"
#include <string.h>

typedef struct {
  gsize len;
  guint8 data[];
} Secret;

static void
secret_free (gpointer data)
{
  Secret *secret = data;

  explicit_bzero (secret->data, secret->len);
  g_free (secret);
}

GBytes *
swarm_secret_bytes (const void *data, gsize len)
{
  Secret *secret = g_malloc (sizeof *secret + len);

  secret->len = len;
  if (len > 0)
    memcpy (secret->data, data, len);
  return g_bytes_new_with_free_func (secret->data, len, secret_free, secret);
}
