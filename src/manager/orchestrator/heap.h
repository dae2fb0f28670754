// SPDX-License-Identifier: LGPL-2.1-or-later
/* A binary heap of pairs of numbers, the smallest first. What is no longer true of an item is found out when it comes out. */
#pragma once
#include <glib.h>

typedef struct {
  gint64 rank;
  guint64 number; /* orders equal ranks */
} SwarmHeapItem;

typedef struct {
  GArray *items; /* SwarmHeapItem */
} SwarmHeap;

void swarm_heap_init (SwarmHeap *self);
void swarm_heap_clear (SwarmHeap *self);
void swarm_heap_add (SwarmHeap *self, gint64 rank, guint64 number);
/* NULL: empty. Valid until the heap changes. */
const SwarmHeapItem *swarm_heap_first (const SwarmHeap *self);
/* FALSE: empty. */
gboolean swarm_heap_take (SwarmHeap *self, SwarmHeapItem *ret);
