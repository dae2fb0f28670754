// SPDX-License-Identifier: LGPL-2.1-or-later
/* A scheduler plugin that is built many times, with one fault (FAULT_…) each. */
#include <stdio.h>
#include <swarm-plugin.h>

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
#if defined(FAULT_init_fails)
  snprintf (error, error_length, "the stars are wrong");
  return NULL;
#elif defined(FAULT_init_silent)
  return NULL;
#else
  return (SwarmPluginInstance *) host;
#endif
}

static void
fini (SwarmPluginInstance *self)
{
}

__attribute__ ((unused)) static bool
place (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes, int32_t *placement)
{
  for (uint32_t i = 0; i < group->count; i++) {
#if defined(FAULT_places_nonsense)
    placement[i] = (int32_t) n_nodes + 7;
#else
    placement[i] = 0;
#endif
  }
  return true;
}

static const SwarmSchedulerOps ops = {
  .init = init,
  .fini = fini,
#if !defined(FAULT_null_op)
  .place = place,
#endif
};

#if defined(FAULT_other_name)
#define NAME "scheduler-somebody-else"
#elif defined(FAULT_no_name)
#define NAME NULL
#else
#define NAME "bad-" FAULT
#endif

#if defined(FAULT_symbol)
SWARM_PLUGIN_DEFINE (SCHEDULER, symbol, NAME, "a plugin with a fault", "1", ops);
#else
#if defined(FAULT_no_ops)
#define OPS (sizeof ops == 0 ? &ops : NULL)
#else
#define OPS &ops
#endif

enum {
  MAGIC_FAULT =
#if defined(FAULT_magic)
    1,
#else
    0,
#endif
  DESCRIPTOR_FAULT =
#if defined(FAULT_descriptor_size)
    8,
#else
    0,
#endif
  KIND =
#if defined(FAULT_kind)
    SWARM_PLUGIN_NETWORK,
#else
    SWARM_PLUGIN_SCHEDULER,
#endif
  ABI_FAULT =
#if defined(FAULT_abi)
    9,
#else
    0,
#endif
  OPS_FAULT =
#if defined(FAULT_ops_size)
    8,
#else
    0,
#endif
  HOST_FAULT =
#if defined(FAULT_host_size)
    8,
#else
    0,
#endif
};

extern const SwarmPluginDescriptor swarm_plugin_descriptor;
SWARM_PLUGIN_EXPORT const SwarmPluginDescriptor swarm_plugin_descriptor = {
  .magic = SWARM_PLUGIN_MAGIC - MAGIC_FAULT,
  .descriptor_size = sizeof (SwarmPluginDescriptor) - DESCRIPTOR_FAULT,
  .kind = KIND,
  .abi = SWARM_PLUGIN_ABI_SCHEDULER + ABI_FAULT,
  .ops_size = sizeof (SwarmSchedulerOps) - OPS_FAULT,
  .host_size = sizeof (SwarmPluginHost) - HOST_FAULT,
  .name = NAME,
  .description = "a plugin with a fault",
  .version = "1",
  .ops = OPS,
};
#endif
