// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ids that wait for a look, first come first served, each once. What a pass took comes back when its transaction failed. */
#pragma once
#include "base/id.h"

typedef struct {
  GQueue waiting;      /* of SwarmId *, owned by members */
  GHashTable *members; /* set of SwarmId *, of what waits */
  GArray *taken;       /* SwarmId, of the pass under way */
} SwarmDirty;

void swarm_dirty_init (SwarmDirty *self);
void swarm_dirty_clear (SwarmDirty *self);
void swarm_dirty_mark (SwarmDirty *self, const SwarmId *id);
/* Takes the first; FALSE: none waits. */
gboolean swarm_dirty_take (SwarmDirty *self, SwarmId *ret);
/* The transaction of the pass ended: on failure what was taken waits again. */
void swarm_dirty_settle (SwarmDirty *self, gboolean ok);
guint swarm_dirty_n_waiting (const SwarmDirty *self);
