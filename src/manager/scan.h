// SPDX-License-Identifier: LGPL-2.1-or-later
/* A loop's first look at all objects of a kind, in parts that fit into turns of the main loop: a new leader of a million tasks must not stand
 * still. Until it is over the loop's pass does nothing else; changes meanwhile come as events as ever. */
#pragma once
#include "manager/runner.h"

typedef struct {
  SwarmKind kind;
  gboolean under_way;
  gboolean begun; /* last is set */
  SwarmId last;
} SwarmScan;

/* From the beginning; the loop must be marked. */
void swarm_scan_begin (SwarmScan *self, SwarmKind kind);
/* Shows @func what comes next, until the turn's time is up. TRUE: there is more, let the pass end. */
gboolean swarm_scan_step (SwarmScan *self, SwarmStore *store, SwarmRunner *runner, SwarmStoreEach func, gpointer data);
/* Was an object with this id shown already, or would it have been? */
gboolean swarm_scan_is_past (const SwarmScan *self, const SwarmId *id);
