// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/leaving.h"

static gboolean
service_starts_first (const SwarmService *service)
{
  const SwarmUpdateConfig *update = service->spec->update;
  return update != NULL && update->order == SWARM_ORDER_START_FIRST;
}

/* How a drained node's running task goes. */
static SwarmLeave
leave_drained (const SwarmService *service, const SwarmNodeSpec *node, gint64 now, gint64 *wake)
{
  gboolean start_first = node->drain_order == SWARM_DRAIN_START_FIRST
                         || (node->drain_order == SWARM_DRAIN_UPDATE_ORDER && service_starts_first (service));
  if (!start_first)
    return SWARM_LEAVE_NOW;
  if (node->drain_deadline == 0)
    return SWARM_LEAVE_AFTER_REPLACEMENT;
  if (node->drain_deadline <= now)
    return SWARM_LEAVE_NOW;
  *wake = MIN (*wake, node->drain_deadline);
  return SWARM_LEAVE_AFTER_REPLACEMENT;
}

/* Until it is over the slot's newest task is still the one to move, or its replacement does not run yet. */
SwarmMoving
swarm_slot_moving (const SwarmSlot *slot)
{
  const SwarmTask *newest = slot->tasks[slot->n - 1], *before = slot->n > 1 ? slot->tasks[slot->n - 2] : NULL;
  if (!swarm_id_is_nil (&newest->move_to) && newest->desired_state <= SWARM_TASK_RUNNING && newest->status->state <= SWARM_TASK_RUNNING)
    return SWARM_MOVING_WAITS;
  if (before == NULL || swarm_id_is_nil (&before->move_to))
    return SWARM_MOVING_NO;
  gboolean begun = newest->status->state < SWARM_TASK_RUNNING || before->desired_state <= SWARM_TASK_RUNNING;
  return begun ? SWARM_MOVING_BEGUN : SWARM_MOVING_NO;
}

SwarmLeave
swarm_task_leaves (SwarmStore *store, const SwarmService *service, const SwarmTask *task, gboolean moves, gint64 now, gint64 *wake)
{
  if (swarm_id_is_nil (&task->node_id))
    return SWARM_LEAVE_NO;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  if (swarm_node_is_lost (store, node, service->spec, wake))
    return SWARM_LEAVE_NOW;
  gboolean runs = task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  if (node->spec->availability == SWARM_AVAILABILITY_DRAIN)
    return runs ? leave_drained (service, node->spec, now, wake) : SWARM_LEAVE_NOW;
  if (swarm_id_is_nil (&task->move_to) || !moves)
    return SWARM_LEAVE_NO;
  return runs && service_starts_first (service) ? SWARM_LEAVE_AFTER_REPLACEMENT : SWARM_LEAVE_NOW;
}
