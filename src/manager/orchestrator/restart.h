// SPDX-License-Identifier: LGPL-2.1-or-later
/* Restart policy (SWARM_BEHAVIOUR §5), decided from the slot's kept tasks alone: nothing is remembered elsewhere, so a
 * new leader decides the same. */
#pragma once
#include "manager/orchestrator/slot.h"

/* Does the policy want a replacement for @task, which ended or lost its node? */
gboolean swarm_restart_wanted (const SwarmSlot *slot, const SwarmTask *task);
/* How often the slot failed at once, in a row, up to and with @task, which ended or lost its node: what its replacement keeps as
 * task->failures. At once is: rejected, or failed within ten seconds (or the policy's window, if that is shorter); a longer run, a
 * completion and a new spec begin anew. */
guint64 swarm_restart_failures (const SwarmTask *task, gint64 now);
/* How long the replacement waits, µs: the policy's delay; from the third failure at once in a row on it doubles (delay 5 s: 5, 5, 10, 20,
 * 40 s …; no delay: 0, 0, 2, 4 s …) up to the policy's Backoff. A task that lost its node is replaced without delay: the delay spares a
 * failing task, not a failing host. */
gint64 swarm_restart_delay (const SwarmTask *task, gboolean evicted, gint64 now);
/* When @task's delay is over, store time. A stamp that lies further ahead than any delay comes from another clock: it counts as @now. */
gint64 swarm_restart_due (const SwarmTask *task, gint64 now);
