// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who changes an object after handing it to the store would change it on this manager only, past log and watches. Sanitized builds end the
 * program where the store next meets such an object; others do not look. */
#pragma once
#include "model/object.h"

#ifdef SWARM_OBJECT_GUARD
/* Of what the object holds now. */
guint swarm_guard_sum (gconstpointer object);
/* Ends the program when @object (may be NULL) is not what it was when @sum was taken. */
void swarm_guard_check (gconstpointer object, guint sum);
#else
static inline guint
swarm_guard_sum (gconstpointer object)
{
  return 0;
}

static inline void
swarm_guard_check (gconstpointer object, guint sum)
{
}
#endif

/* In the tables from now on. */
static inline void
swarm_guard_keep (SwarmObject *object)
{
#ifdef SWARM_OBJECT_GUARD
  if (object != NULL)
    object->sum = swarm_guard_sum (object);
#endif
}

/* Out of the tables. */
static inline void
swarm_guard_leave (const SwarmObject *object)
{
#ifdef SWARM_OBJECT_GUARD
  if (object != NULL)
    swarm_guard_check (object, object->sum);
#endif
}
