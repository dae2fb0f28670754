// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/random.h"

guint32
swarm_random_below (SwarmRandom *self, guint32 bound)
{
  /* Values under this limit would make the low results likelier: draw again. */
  guint32 limit = (guint32) (-bound) % bound;
  guint32 value;

  do
    self->fill (self, (guint8 *) &value, sizeof value);
  while (value < limit);
  return value % bound;
}
