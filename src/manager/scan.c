// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scan.h"

#define PART 512 /* objects between two looks at the clock */

void
swarm_scan_begin (SwarmScan *self, SwarmKind kind)
{
  *self = (SwarmScan){ .kind = kind, .under_way = TRUE };
}

gboolean
swarm_scan_step (SwarmScan *self, SwarmStore *store, SwarmRunner *runner, SwarmStoreEach func, gpointer data)
{
  for (guint n = 0; self->under_way; n++) {
    gpointer object = swarm_store_next (store, self->kind, self->begun ? &self->last : NULL);
    if (object == NULL) {
      self->under_way = FALSE;
      break;
    }
    self->last = SWARM_OBJECT (object)->id;
    self->begun = TRUE;
    func (object, data);
    if (n % PART == PART - 1 && swarm_runner_time_is_up (runner))
      return TRUE;
  }
  return FALSE;
}

gboolean
swarm_scan_is_past (const SwarmScan *self, const SwarmId *id)
{
  return !self->under_way || (self->begun && swarm_id_compare (id, &self->last) <= 0);
}
