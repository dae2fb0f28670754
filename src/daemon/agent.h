// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent of one host: owns everything and wires it. Its files: agent.c (start, stop, idle exit), agent-cluster.c (init, join, leave),
 * agent-hooks.c (what api/ asks for), stack.c (a manager's store, log and loops), peers.c (links between nodes), relay.c. */
#pragma once
#include "api/api.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/disk.h"
#include "base/random.h"
#include "daemon/config.h"
#include "daemon/state.h"

typedef struct _SwarmAgent SwarmAgent;

/* Everything is set up but the bus and the cluster parts; takes @config. */
SwarmAgent *swarm_agent_new (SwarmConfig *config);
void swarm_agent_free (SwarmAgent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmAgent, swarm_agent_free)
/* Loads plugins and state, connects to the bus, owns the name; READY is said when it returns TRUE. */
gboolean swarm_agent_start (SwarmAgent *self, GError **error);
/* Runs until stop; the exit status. */
int swarm_agent_run (SwarmAgent *self);
/* Ends the loop (signal, idle, lost bus). */
void swarm_agent_quit (SwarmAgent *self, int status);
