// SPDX-License-Identifier: LGPL-2.1-or-later
/* Join tokens, as users paste them. What is taken must have one text form only. */
#include "ca/token.h"
#include "fuzz.h"
#include <string.h>

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size), *again = NULL;
  g_autoptr (GError) error = NULL;
  SwarmToken token;

  if (!swarm_token_parse (text, &token, &error)) {
    g_assert (strcmp (error->message, "invalid join token") == 0);
    return 0;
  }
  again = swarm_token_format (&token);
  g_assert (strcmp (text, again) == 0);
  return 0;
}
