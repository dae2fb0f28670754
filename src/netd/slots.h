// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which backend stands in which slot of a service: the packet path picks a slot by chance, or by the client's address, and looks up one map. */
#pragma once
#include "netd/address.h"
#include <glib.h>

#define SWARM_NETD_SLOTS_MAX 1024

typedef struct {
  SwarmNetdAddress address;
  guint16 port; /* 0: as the client asked */
} SwarmNetdTarget;

typedef struct {
  gboolean affinity;
  guint count;
  SwarmNetdTarget *targets; /* count of them */
} SwarmNetdSlots;

/* All numbers of slots there can be, ascending, 0 at the end: for each there is a rule. */
extern const guint SWARM_NETD_SLOT_COUNTS[];
/* How many slots for @n backends: by chance as many as there are while these are few, then enough for an even balance; with affinity always
 * many, so that a change moves few clients. */
guint swarm_netd_slots_count (guint n, gboolean affinity);
/* Fills the slots for @targets. What stands in @old (may be NULL) stays where it can. With affinity the outcome depends on the targets alone, on
 * every host. @seed: when there are more targets than slots, each host uses others. */
SwarmNetdSlots *swarm_netd_slots_new (const SwarmNetdTarget *targets, guint n, gboolean affinity, guint32 seed, const SwarmNetdSlots *old);
void swarm_netd_slots_free (SwarmNetdSlots *self);
gboolean swarm_netd_target_equal (const SwarmNetdTarget *a, const SwarmNetdTarget *b);
