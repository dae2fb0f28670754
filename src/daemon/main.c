// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"
#include "daemon/agent.h"
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  gboolean only_print = FALSE;

  /* One arena: the few threads allocate little, and each arena would cost memory on every host. No core dumps: keys live here. */
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_TRIM_THRESHOLD, 128 * 1024);
  setrlimit (RLIMIT_CORE, &(struct rlimit){ 0, 0 });
  prctl (PR_SET_DUMPABLE, 0); /* those that go to a program instead of a file do not ask for the limit */

  SwarmConfig *config = swarm_config_load (&argc, &argv, &only_print, &error);
  if (config == NULL) {
    g_printerr ("swarm-agent: %s\n", error->message);
    return 2;
  }
  if (only_print) {
    swarm_config_free (config);
    return 0;
  }
  swarm_log_set_level (config->log_level);
  g_autoptr (SwarmAgent) agent = swarm_agent_new (config);
  if (!swarm_agent_start (agent, &error)) {
    swarm_log (LOG_CRIT, NULL, NULL, "Cannot start: %s", error->message);
    return 1;
  }
  return swarm_agent_run (agent);
}
