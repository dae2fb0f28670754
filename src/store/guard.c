// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/guard.h"

#ifdef SWARM_OBJECT_GUARD
guint
swarm_guard_sum (gconstpointer object)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (object);

  return g_bytes_hash (bytes);
}

void
swarm_guard_check (gconstpointer object, guint sum)
{
  if (object == NULL || swarm_guard_sum (object) == sum)
    return;
  g_error ("%s %s was changed after it was handed to the store", swarm_kind_to_string (swarm_object_kind (object)),
           swarm_id_string (&SWARM_OBJECT (object)->id).str);
}
#endif
