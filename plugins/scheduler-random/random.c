// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any node that fits, each as likely as another; one where this version of the service failed again and again only when no other has
 * room. Spread preferences are not looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <swarm-plugin.h>

#define FAULTY 5 /* so many recent failures weigh more than chance */

SWARM_PLUGIN_HOST_ONLY;

typedef struct {
  uint32_t index;
  uint32_t room;
} Choice;

/* xorshift64*, seeded once per call by the host: chance needs to be fair here, not secret. */
static uint64_t
next_random (uint64_t *state)
{
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 2685821657736338717u;
}

/* Those nodes that are @faulty, or that are not. */
static size_t
choose_from (Choice *choices, const SwarmPluginNode *nodes, size_t n_nodes, bool faulty)
{
  size_t n = 0;

  for (size_t i = 0; i < n_nodes; i++) {
    if ((nodes[i].failures >= FAULTY) == faulty)
      choices[n++] = (Choice){ (uint32_t) i, nodes[i].capacity };
  }
  return n;
}

static bool
random_place (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes,
              int32_t *placement)
{
  Choice *choices = calloc (n_nodes + 1, sizeof *choices);
  bool faulty = false;
  uint64_t state;
  size_t n;

  if (choices == NULL)
    return false;
  self->host->random (self->host, &state, sizeof state);
  state |= 1; /* zero would stay zero */
  n = choose_from (choices, nodes, n_nodes, false);
  for (uint32_t i = 0; i < group->count; i++) {
    size_t at;

    if (n == 0 && !faulty) {
      faulty = true;
      n = choose_from (choices, nodes, n_nodes, true);
    }
    placement[i] = -1;
    if (n == 0)
      continue;
    at = (size_t) (next_random (&state) >> 11) % n;
    placement[i] = (int32_t) choices[at].index;
    if (--choices[at].room == 0)
      choices[at] = choices[--n];
  }
  free (choices);
  return true;
}

static const SwarmSchedulerOps random_ops = {
  .init = host_only_init,
  .fini = host_only_fini,
  .place = random_place,
  .offer = SWARM_PLUGIN_OFFER_ALL,
};

SWARM_PLUGIN_DEFINE (SCHEDULER, scheduler_random, "scheduler-random", "places tasks on any node that fits", "1.0", random_ops);
