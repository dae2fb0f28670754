// SPDX-License-Identifier: LGPL-2.1-or-later
/* Docker's strategy: a node where this version of the service failed again and again loses; then fewer tasks of the service win,
 * then fewer tasks in total. Where the service asks for a spread over labels, the branches of each level are evened by the tasks of the
 * service that they have; one without room drops out and the others share the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <swarm-plugin.h>

#define FAULTY 5 /* so many recent failures weigh more than an even spread (swarmkit: maxFailures) */

SWARM_PLUGIN_HOST_ONLY;

/* A node, or a branch among those of its level. */
typedef struct {
  uint32_t index;
  uint32_t failures; /* 0 below FAULTY; of branches: 0 */
  uint32_t service_tasks;
  uint32_t total_tasks;
} Rank;

/* Binary heap with the best on top: the nodes of an innermost branch, or the branches that an outer one is divided into. */
typedef struct {
  Rank *ranks; /* part of one array for all */
  uint32_t n;
  bool has_branches;
} Heap;

typedef struct {
  const SwarmPluginNode *nodes;
  uint32_t *room; /* of each node */
  Heap *heaps;    /* of each branch */
  Rank *ranks;
} Tree;

/* Ties go to what came first, so that the same input gives the same output. */
static bool
is_better (const Rank *a, const Rank *b)
{
  if (a->failures != b->failures)
    return a->failures < b->failures;
  if (a->service_tasks != b->service_tasks)
    return a->service_tasks < b->service_tasks;
  if (a->total_tasks != b->total_tasks)
    return a->total_tasks < b->total_tasks;
  return a->index < b->index;
}

static void
sift_down (Heap *heap, size_t i)
{
  Rank moving = heap->ranks[i];

  for (;;) {
    size_t child = 2 * i + 1;

    if (child >= heap->n)
      break;
    if (child + 1 < heap->n && is_better (&heap->ranks[child + 1], &heap->ranks[child]))
      child++;
    if (!is_better (&heap->ranks[child], &moving))
      break;
    heap->ranks[i] = heap->ranks[child];
    i = child;
  }
  heap->ranks[i] = moving;
}

static void
remove_top (Heap *heap)
{
  heap->ranks[0] = heap->ranks[--heap->n];
  if (heap->n > 0)
    sift_down (heap, 0);
}

/* The best node below @branch gets a task. -1: there is no room in it. */
static int32_t
take (Tree *tree, uint32_t branch)
{
  Heap *heap = &tree->heaps[branch];

  while (heap->n > 0) {
    uint32_t best = heap->ranks[0].index;
    int32_t node = heap->has_branches ? take (tree, best) : (int32_t) best;

    if (node < 0 || (!heap->has_branches && tree->room[node] == 0)) {
      remove_top (heap);
      continue;
    }
    if (!heap->has_branches)
      tree->room[node]--;
    heap->ranks[0].service_tasks++;
    heap->ranks[0].total_tasks++;
    sift_down (heap, 0);
    return node;
  }
  return -1;
}

/* Gives each heap its part of the array: as many places as it has branches and nodes. */
static void
divide (Tree *tree, const SwarmPluginGroup *group, uint32_t n_branches, size_t n_nodes)
{
  size_t at = 0;

  for (uint32_t i = 1; i < n_branches; i++)
    tree->heaps[group->branches[i].parent].n++;
  for (size_t i = 0; i < n_nodes; i++)
    tree->heaps[tree->nodes[i].branch].n++;
  for (uint32_t i = 0; i < n_branches; i++) {
    tree->heaps[i].ranks = tree->ranks + at;
    at += tree->heaps[i].n;
    tree->heaps[i].n = 0;
  }
}

static void
fill (Tree *tree, const SwarmPluginGroup *group, uint32_t n_branches, size_t n_nodes)
{
  divide (tree, group, n_branches, n_nodes);
  for (uint32_t i = 1; i < n_branches; i++) {
    Heap *heap = &tree->heaps[group->branches[i].parent];

    heap->has_branches = true;
    heap->ranks[heap->n++] = (Rank){ .index = i, .service_tasks = group->branches[i].service_tasks };
  }
  for (size_t i = 0; i < n_nodes; i++) {
    const SwarmPluginNode *node = &tree->nodes[i];
    Heap *heap = &tree->heaps[node->branch];

    heap->ranks[heap->n++] = (Rank){ (uint32_t) i, node->failures >= FAULTY ? node->failures : 0, node->service_tasks, node->total_tasks };
    tree->room[i] = node->capacity;
  }
  for (uint32_t i = 0; i < n_branches; i++)
    for (size_t k = tree->heaps[i].n / 2; k-- > 0;)
      sift_down (&tree->heaps[i], k);
}

static bool
spread_place (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes,
              int32_t *placement)
{
  uint32_t n_branches = group->n_branches > 0 ? group->n_branches : 1;
  Tree tree = { .nodes = nodes };
  bool ok;

  tree.room = calloc (n_nodes + 1, sizeof *tree.room);
  tree.heaps = calloc (n_branches, sizeof *tree.heaps);
  tree.ranks = calloc (n_nodes + n_branches, sizeof *tree.ranks);
  ok = tree.room != NULL && tree.heaps != NULL && tree.ranks != NULL;
  if (ok) {
    fill (&tree, group, n_branches, n_nodes);
    for (uint32_t i = 0; i < group->count; i++)
      placement[i] = take (&tree, 0);
  }
  free (tree.room);
  free (tree.heaps);
  free (tree.ranks);
  return ok;
}

static const SwarmSchedulerOps spread_ops = {
  .init = host_only_init,
  .fini = host_only_fini,
  .place = spread_place,
  .offer = SWARM_PLUGIN_OFFER_IDLEST,
};

SWARM_PLUGIN_DEFINE (SCHEDULER, scheduler_spread, "scheduler-spread", "spreads the tasks of each service evenly over the nodes", "1.0",
                     spread_ops);
