// SPDX-License-Identifier: LGPL-2.1-or-later
#include "partition.h"
#include <string.h>

/* Members are numbered anew at random: who is whose neighbour differs each time. */
static void
shuffle (SimRandom *random, guint *order, guint n)
{
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = n - 1; i > 0; i--) {
    guint other = (guint) sim_random_range (random, 0, i), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
}

static gboolean
is_cut (Partition kind, guint a, guint b, guint n, guint where, gboolean mute)
{
  switch (kind) {
  case PARTITION_HALVES:
    return (a < where) != (b < where);
  case PARTITION_ONE_WAY:
    return mute ? a == 0 : b == 0;
  case PARTITION_RING:
    return (a + 1) % n != b && (b + 1) % n != a;
  case PARTITION_BRIDGE:
    return a != where && b != where && (a < where) != (b < where);
  default:
    return FALSE;
  }
}

static void
draw_pairs (SimRandom *random, gboolean *cut, guint n)
{
  for (guint a = 0; a < n; a++)
    for (guint b = 0; b < n; b++)
      if (a != b && sim_random_chance (random, 25)) {
        cut[a * n + b] = TRUE;
        if (sim_random_chance (random, 70))
          cut[b * n + a] = TRUE;
      }
}

Partition
partition_draw (SimRandom *random, gboolean *cut, guint n)
{
  Partition kind = sim_random_chance (random, 40) ? PARTITION_NONE : (Partition) sim_random_range (random, 1, _PARTITION_MAX - 1);
  guint where = (guint) sim_random_range (random, 1, n - 1);
  gboolean mute = sim_random_chance (random, 50);
  g_autofree guint *order = g_new (guint, n);

  memset (cut, 0, n * n * sizeof *cut);
  shuffle (random, order, n);
  if (kind == PARTITION_PAIRS)
    draw_pairs (random, cut, n);
  for (guint a = 0; a < n; a++)
    for (guint b = 0; b < n; b++)
      if (a != b && is_cut (kind, a, b, n, where, mute))
        cut[order[a] * n + order[b]] = TRUE;
  return kind;
}
