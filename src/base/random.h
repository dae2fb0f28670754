// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface two of six: randomness. Real: getrandom(2). Simulated: by seed. */
#pragma once
#include "base/id.h"

typedef struct _SwarmRandom SwarmRandom;
struct _SwarmRandom {
  void (*fill) (SwarmRandom *self, guint8 *data, gsize len);
};

/* A new random id. */
static inline SwarmId
swarm_random_id (SwarmRandom *self)
{
  SwarmId id;
  self->fill (self, id.bytes, sizeof id.bytes);
  return id;
}

/* Uniform in [0, bound); bound > 0. */
guint32 swarm_random_below (SwarmRandom *self, guint32 bound);
