// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/heap.h"

void
swarm_heap_init (SwarmHeap *self)
{
  self->items = g_array_new (FALSE, FALSE, sizeof (SwarmHeapItem));
}

void
swarm_heap_clear (SwarmHeap *self)
{
  g_clear_pointer (&self->items, g_array_unref);
}

static SwarmHeapItem *
item_at (const SwarmHeap *self, guint i)
{
  return &g_array_index (self->items, SwarmHeapItem, i);
}

static gboolean
is_before (const SwarmHeapItem *a, const SwarmHeapItem *b)
{
  return a->rank != b->rank ? a->rank < b->rank : a->number < b->number;
}

static void
exchange (SwarmHeapItem *a, SwarmHeapItem *b)
{
  SwarmHeapItem item = *a;
  *a = *b;
  *b = item;
}

void
swarm_heap_add (SwarmHeap *self, gint64 rank, guint64 number)
{
  SwarmHeapItem item = { rank, number };
  g_array_append_val (self->items, item);
  for (guint i = self->items->len - 1; i > 0 && is_before (item_at (self, i), item_at (self, (i - 1) / 2)); i = (i - 1) / 2)
    exchange (item_at (self, i), item_at (self, (i - 1) / 2));
}

const SwarmHeapItem *
swarm_heap_first (const SwarmHeap *self)
{
  return self->items->len > 0 ? item_at (self, 0) : NULL;
}

static void
sink (SwarmHeap *self)
{
  for (guint i = 0, child = 1; child < self->items->len; i = child, child = 2 * i + 1) {
    if (child + 1 < self->items->len && is_before (item_at (self, child + 1), item_at (self, child)))
      child++;
    if (!is_before (item_at (self, child), item_at (self, i)))
      return;
    exchange (item_at (self, i), item_at (self, child));
  }
}

gboolean
swarm_heap_take (SwarmHeap *self, SwarmHeapItem *ret)
{
  guint n = self->items->len;
  if (n == 0)
    return FALSE;
  *ret = *item_at (self, 0);
  exchange (item_at (self, 0), item_at (self, n - 1));
  g_array_set_size (self->items, n - 1);
  sink (self);
  return TRUE;
}
