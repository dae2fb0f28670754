// SPDX-License-Identifier: LGPL-2.1-or-later
/* Fills one node before it takes the next, so that as many nodes as possible stay empty: the node with the least share of its resources free
 * comes first, then the one with more tasks. A node where this version of the service failed again and again comes last. Spread
 * preferences are not looked at: they are the opposite. */
#include <stdio.h>
#include <stdlib.h>
#include <swarm-plugin.h>

#define FAULTY 5 /* so many recent failures weigh more than anything else */

SWARM_PLUGIN_HOST_ONLY;

typedef struct {
  uint32_t index;
  uint32_t failures; /* 0 below FAULTY */
  uint32_t total_tasks;
  double free; /* share of its resources, 0 to 2 */
} Rank;

/* Ties go to the node that came first, so that the same input gives the same output. */
static int
compare (const Rank *a, const Rank *b)
{
  if (a->failures != b->failures)
    return a->failures < b->failures ? -1 : 1;
  if (a->free < b->free || a->free > b->free)
    return a->free < b->free ? -1 : 1;
  if (a->total_tasks != b->total_tasks)
    return a->total_tasks > b->total_tasks ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

/* Binary heap with the best node on top. */
static void
sift_down (Rank *heap, size_t n, size_t i)
{
  for (;;) {
    size_t best = i;
    Rank swap;

    for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
      if (compare (&heap[child], &heap[best]) < 0)
        best = child;
    }
    if (best == i)
      return;
    swap = heap[i];
    heap[i] = heap[best];
    heap[best] = swap;
    i = best;
  }
}

static double
share (int64_t part, int64_t whole)
{
  return whole > 0 ? (double) part / (double) whole : 1;
}

static size_t
fill (Rank *heap, const SwarmPluginNode *nodes, size_t n_nodes)
{
  for (size_t i = 0; i < n_nodes; i++)
    heap[i] = (Rank){ .index = (uint32_t) i,
                      .failures = nodes[i].failures >= FAULTY ? nodes[i].failures : 0,
                      .total_tasks = nodes[i].total_tasks,
                      .free = share (nodes[i].free_nano_cpus, nodes[i].nano_cpus) + share (nodes[i].free_memory, nodes[i].memory) };
  for (size_t i = n_nodes / 2; i-- > 0;)
    sift_down (heap, n_nodes, i);
  return n_nodes;
}

static bool
binpack_place (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes,
               int32_t *placement)
{
  Rank *heap = calloc (n_nodes + 1, sizeof *heap);
  uint32_t given = 0;
  size_t n;

  if (heap == NULL)
    return false;
  n = fill (heap, nodes, n_nodes);
  for (uint32_t i = 0; i < group->count; i++) {
    /* The best node only gets fuller by what it is given: it stays the best while it has room. */
    while (n > 0 && given == nodes[heap[0].index].capacity) {
      heap[0] = heap[--n];
      sift_down (heap, n, 0);
      given = 0;
    }
    placement[i] = n > 0 ? (int32_t) heap[0].index : -1;
    given++;
  }
  free (heap);
  return true;
}

static const SwarmSchedulerOps binpack_ops = {
  .init = host_only_init,
  .fini = host_only_fini,
  .place = binpack_place,
  .offer = SWARM_PLUGIN_OFFER_ALL,
};

SWARM_PLUGIN_DEFINE (SCHEDULER, scheduler_binpack, "scheduler-binpack", "fills a node before it takes the next", "1.0", binpack_ops);
