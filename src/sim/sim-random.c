// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-clock.h"
#include <string.h>

guint64
sim_random_next (SimRandom *self)
{
  guint64 z = self->state += 0x9E3779B97F4A7C15ull;

  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static void
random_fill (SwarmRandom *iface, guint8 *data, gsize len)
{
  SimRandom *self = (SimRandom *) iface;
  if (self->next_id != NULL && len == sizeof (SwarmId)) {
    memcpy (data, self->next_id, len);
    self->next_id = NULL;
    return;
  }
  while (len > 0) {
    guint64 value = sim_random_next ((SimRandom *) iface);
    gsize n = MIN (len, sizeof value);

    memcpy (data, &value, n);
    data += n;
    len -= n;
  }
}

void
sim_random_init (SimRandom *self, guint64 seed)
{
  self->iface.fill = random_fill;
  self->state = seed;
  self->next_id = NULL;
}

gint64
sim_random_range (SimRandom *self, gint64 low, gint64 high)
{
  return low + (gint64) (sim_random_next (self) % (guint64) (high - low + 1));
}

gboolean
sim_random_chance (SimRandom *self, guint percent)
{
  return sim_random_next (self) % 100 < percent;
}
