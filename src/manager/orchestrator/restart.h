// SPDX-License-Identifier: LGPL-2.1-or-later
/* Restart policy (SWARM_BEHAVIOUR §5), decided from the slot's kept tasks alone: nothing is remembered, so a new leader decides the same. */
#pragma once
#include "manager/orchestrator/slot.h"

/* Does the policy want a replacement for @task, which ended or lost its node? */
gboolean swarm_restart_wanted (const SwarmSlot *slot, const SwarmTask *task);
/* How long the replacement waits, µs: the policy's delay, longer when the slot's tasks are rejected or die at once again and
 * again. A task that lost its node is replaced without delay: the delay spares a failing task, not a failing host. */
gint64 swarm_restart_delay (const SwarmSlot *slot, const SwarmTask *task, gboolean evicted);
/* When @task's delay is over, wall clock µs. A stamp that lies further ahead than any delay comes from another clock: it counts as @now. */
gint64 swarm_restart_due (const SwarmTask *task, gint64 now);
