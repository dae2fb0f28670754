// SPDX-License-Identifier: LGPL-2.1-or-later
/* Random stories of whole clusters, and the way from a long story that fails to a short one. */
#pragma once
#include "sim/scenario.h"

typedef enum {
  SIM_FAULT_CRASH = 1 << 0,     /* managers' agents and hosts */
  SIM_FAULT_PARTITION = 1 << 1, /* cuts */
  SIM_FAULT_LOSS = 1 << 2,      /* resets and stalls in one direction */
  SIM_FAULT_DISK = 1 << 3,      /* slow disks */
  SIM_FAULT_FLAP = 1 << 4,      /* workers' agents and hosts come and go */
  SIM_FAULT_CLOCK = 1 << 5,     /* wall clocks are stepped */
  SIM_FAULT_TASK = 1 << 6,      /* tasks end, images are missing */
  SIM_FAULT_ALL = (1 << 7) - 1,
  SIM_FAULTS_COUNTED = SIM_FAULT_CRASH | SIM_FAULT_PARTITION | SIM_FAULT_LOSS | SIM_FAULT_DISK | SIM_FAULT_FLAP, /* sim_do_is_fault() */
} SimFaults;

typedef struct {
  guint64 seed;
  guint nodes;   /* 20 at least for a counted seed */
  guint seconds; /* 300 at least for a counted seed */
  SimFaults faults;
  gboolean hurry; /* passes are cut, and some services are so big that it shows */
} SimStoryOptions;

/* A story: the same for the same options. It ends with everything healed and the expectation that the cluster comes to rest. */
SimScenario *sim_story_new (const SimStoryOptions *options);

/* Whether @scenario fails as the first one did: @why gets its first failure (caller frees), NULL: it holds. */
typedef char *(*SimFailsFunc) (const SimScenario *scenario, gpointer data);
/* The shortest scenario with the same sort of failure that can be found with @tries runs. */
SimScenario *sim_shrink (const SimScenario *scenario, const char *why, guint tries, SimFailsFunc fails, gpointer data);
