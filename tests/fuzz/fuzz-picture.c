// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lists of rows of a picture, from the leader or from a worker's own file: what is taken is the same when it is packed again. */
#include "fuzz.h"
#include "model/picture.h"

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  SwarmBuffer again = { 0 };
  const guint8 *at = data, *end = data + size, *entry;
  gsize length;
  guchar kind;

  while (swarm_picture_unpack (&at, end, &kind, &entry, &length, &error)) {
    const SwarmType *type = kind < _SWARM_KIND_MAX ? swarm_picture_type (kind) : NULL;
    g_autoptr (GBytes) bytes = g_bytes_new (entry, length);
    g_assert (entry >= data && length <= size && entry + length <= end);
    swarm_picture_pack (&again, kind, entry, length);
    if (type != NULL)
      swarm_message_unref (swarm_message_decode (type, bytes, NULL));
  }
  g_assert (error != NULL || at == end);
  if (again.len == 0)
    return 0;
  at = again.data;
  end = again.data + again.len;
  for (const guint8 *first = data; at < end;) { /* lengths may be longer than they need be, what is in the entries may not differ */
    guchar kind_again;
    const guint8 *entry_again;
    gsize length_again;
    g_assert (swarm_picture_unpack (&first, data + size, &kind, &entry, &length, NULL));
    g_assert (swarm_picture_unpack (&at, end, &kind_again, &entry_again, &length_again, NULL));
    g_assert (kind == kind_again && length == length_again && (length == 0 || memcmp (entry, entry_again, length) == 0));
  }
  g_free (again.data);
  return 0;
}
