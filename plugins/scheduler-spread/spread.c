// SPDX-License-Identifier: LGPL-2.1-or-later
/* Docker's strategy: a node where this version of the service failed again and again loses; then fewer tasks of the service win,
 * then fewer tasks in total. The nodes are ranked once per group and filled level by level. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swarm-plugin.h>

#define FAULTY 5 /* so many recent failures weigh more than an even spread (swarmkit: maxFailures) */

struct SwarmPluginInstance {
  SwarmPluginHost *host;
};

typedef struct {
  uint32_t index;
  uint32_t failures; /* 0 below FAULTY */
  uint32_t service_tasks;
  uint32_t total_tasks;
  uint32_t capacity;
} Rank;

static int
compare_number (uint32_t a, uint32_t b)
{
  return a < b ? -1 : a > b;
}

/* Ties go to the node that came first, so that the same input gives the same output. */
static int
compare (const void *pa, const void *pb)
{
  const Rank *a = pa;
  const Rank *b = pb;
  int by = compare_number (a->failures, b->failures);

  if (by == 0)
    by = compare_number (a->service_tasks, b->service_tasks);
  if (by == 0)
    by = compare_number (a->total_tasks, b->total_tasks);
  return by != 0 ? by : compare_number (a->index, b->index);
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

static size_t
fill (Rank *heap, const SwarmPluginNode *nodes, size_t n_nodes)
{
  size_t n = 0;

  for (size_t i = 0; i < n_nodes; i++) {
    if (nodes[i].capacity == 0)
      continue;
    heap[n++] = (Rank){ .index = (uint32_t) i,
                        .failures = nodes[i].failures >= FAULTY ? nodes[i].failures : 0,
                        .service_tasks = nodes[i].service_tasks,
                        .total_tasks = nodes[i].total_tasks,
                        .capacity = nodes[i].capacity };
  }
  for (size_t i = n / 2; i-- > 0;)
    sift_down (heap, n, i);
  return n;
}

static bool
spread_place (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes,
              int32_t *placement)
{
  Rank *heap = calloc (n_nodes, sizeof *heap);
  size_t n;

  if (heap == NULL)
    return false;
  n = fill (heap, nodes, n_nodes);
  for (uint32_t i = 0; i < group->count; i++) {
    if (n == 0) {
      placement[i] = -1;
      continue;
    }
    placement[i] = (int32_t) heap[0].index;
    heap[0].service_tasks++;
    heap[0].total_tasks++;
    if (--heap[0].capacity == 0)
      heap[0] = heap[--n];
    sift_down (heap, n, 0);
  }
  free (heap);
  return true;
}

static SwarmPluginInstance *
spread_init (SwarmPluginHost *host, char *error, size_t error_length)
{
  SwarmPluginInstance *self = calloc (1, sizeof *self);

  if (self == NULL)
    snprintf (error, error_length, "out of memory");
  else
    self->host = host;
  return self;
}

static void
spread_fini (SwarmPluginInstance *self)
{
  free (self);
}

static const SwarmSchedulerOps spread_ops = {
  .init = spread_init,
  .fini = spread_fini,
  .place = spread_place,
};

SWARM_PLUGIN_DEFINE (SCHEDULER, scheduler_spread, "scheduler-spread", "spreads the tasks of each service evenly over the nodes", "0.1",
                     spread_ops);
