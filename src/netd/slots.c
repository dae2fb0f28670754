// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/slots.h"
#include <stdlib.h>
#include <string.h>

const guint SWARM_NETD_SLOT_COUNTS[] = { 1, 2, 3, 4, 5, 6, 7, 8, 128, 256, 512, 1024, 0 };
#define EXACT 8        /* up to here as many slots as backends */
#define PER_BACKEND 12 /* beyond: so many, for a balance within some percent */
#define AFFINITY 256

guint
swarm_netd_slots_count (guint n, gboolean affinity)
{
  if (n == 0)
    return 0;
  guint least = affinity ? MAX (AFFINITY, n * PER_BACKEND) : n <= EXACT ? n : n * PER_BACKEND;
  for (guint i = 0; SWARM_NETD_SLOT_COUNTS[i] != 0; i++)
    if (SWARM_NETD_SLOT_COUNTS[i] >= least)
      return SWARM_NETD_SLOT_COUNTS[i];
  return SWARM_NETD_SLOTS_MAX;
}

gboolean
swarm_netd_target_equal (const SwarmNetdTarget *a, const SwarmNetdTarget *b)
{
  return a->port == b->port && swarm_netd_address_equal (&a->address, &b->address);
}

/* FNV-1a with a final mix (that of splitmix64). */
static guint64
hash (guint32 seed, const SwarmNetdTarget *target)
{
  guint64 h = 0xcbf29ce484222325 ^ seed;
  for (guint i = 0; i < sizeof target->address; i++)
    h = (h ^ target->address.bytes[i]) * 0x100000001b3;
  h = (h ^ target->port) * 0x100000001b3;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
  h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
  return h ^ (h >> 31);
}

/* Highest random weight (Thaler and Ravishankar): a target that goes moves only its own clients. */
static void
fill_by_weight (SwarmNetdSlots *self, const SwarmNetdTarget *targets, guint n)
{
  for (guint k = 0; k < self->count; k++) {
    guint best = 0;
    for (guint i = 1; i < n; i++)
      if (hash (k + 1, &targets[i]) > hash (k + 1, &targets[best]))
        best = i;
    self->targets[k] = targets[best];
  }
}

typedef struct {
  SwarmNetdTarget target;
  guint64 order;
  guint uses;
} Use;

static int
by_order (const void *a, const void *b)
{
  const Use *ua = a, *ub = b;
  return (ua->order > ub->order) - (ua->order < ub->order);
}

static Use *
find (Use *uses, guint n, const SwarmNetdTarget *target)
{
  for (guint i = 0; i < n; i++)
    if (swarm_netd_target_equal (&uses[i].target, target))
      return &uses[i];
  return NULL;
}

/* As evenly as it goes: each target has count/n slots, some of them one more. */
static void
fill_evenly (SwarmNetdSlots *self, const SwarmNetdTarget *targets, guint n, guint32 seed, const SwarmNetdSlots *old)
{
  g_autofree Use *uses = g_new0 (Use, n);
  g_autofree gboolean *kept = g_new0 (gboolean, self->count);
  for (guint i = 0; i < n; i++)
    uses[i] = (Use){ targets[i], hash (seed, &targets[i]), 0 };
  qsort (uses, n, sizeof *uses, by_order);
  n = MIN (n, self->count);
  guint most = (self->count + n - 1) / n, extra = self->count - (most - 1) * n; /* so many may have the most */
  for (guint k = 0; old != NULL && k < self->count && k < old->count; k++) {
    Use *use = find (uses, n, &old->targets[k]);
    if (use == NULL || use->uses >= most || (use->uses == most - 1 && extra == 0))
      continue;
    extra -= ++use->uses == most;
    self->targets[k] = use->target;
    kept[k] = TRUE;
  }
  for (guint k = 0, i = 0; k < self->count; k++) {
    if (kept[k])
      continue;
    while (uses[i].uses >= most || (uses[i].uses == most - 1 && extra == 0))
      i++;
    extra -= ++uses[i].uses == most;
    self->targets[k] = uses[i].target;
  }
}

SwarmNetdSlots *
swarm_netd_slots_new (const SwarmNetdTarget *targets, guint n, gboolean affinity, guint32 seed, const SwarmNetdSlots *old)
{
  SwarmNetdSlots *self = g_new0 (SwarmNetdSlots, 1);
  self->affinity = affinity;
  self->count = swarm_netd_slots_count (n, affinity);
  self->targets = g_new0 (SwarmNetdTarget, self->count);
  if (affinity)
    fill_by_weight (self, targets, n);
  else if (n > 0)
    fill_evenly (self, targets, n, seed, old);
  return self;
}

void
swarm_netd_slots_free (SwarmNetdSlots *self)
{
  g_free (self->targets);
  g_free (self);
}
