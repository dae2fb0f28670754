// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an external CA's server answers. The first byte: the connection is closed after it (c), or not. */
#include "fuzz.h"
#include "rpc/https.c"

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GByteArray) in = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = NULL;

  if (size == 0)
    return 0;
  g_byte_array_append (in, data + 1, size - 1);
  body = read_answer (in, data[0] == 'c', &error);
  g_assert (body == NULL || (error == NULL && g_bytes_get_size (body) <= in->len));
  return 0;
}
