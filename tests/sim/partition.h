// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ways in which a network of @n members is divided. */
#pragma once
#include "sim/sim-clock.h"

typedef enum {
  PARTITION_NONE,
  PARTITION_HALVES,  /* two groups that do not hear each other */
  PARTITION_ONE_WAY, /* one is not heard, or does not hear */
  PARTITION_RING,    /* each hears its two neighbours only */
  PARTITION_BRIDGE,  /* two groups, and one member that hears both */
  PARTITION_PAIRS,   /* some pairs, some of them in one direction */
  _PARTITION_MAX,
} Partition;

/* Draws one; @cut[from * n + to]: what @from sends does not arrive. */
Partition partition_draw (SimRandom *random, gboolean *cut, guint n);
