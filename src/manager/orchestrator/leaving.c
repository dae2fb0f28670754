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

SwarmLeave
swarm_task_leaves (SwarmStore *store, const SwarmService *service, const SwarmTask *task, gint64 now, gint64 *wake)
{
  if (swarm_id_is_nil (&task->node_id))
    return SWARM_LEAVE_NO;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  if (node == NULL || node->status->state == SWARM_NODE_DOWN)
    return SWARM_LEAVE_NOW;
  gboolean runs = task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  if (node->spec->availability == SWARM_AVAILABILITY_DRAIN)
    return runs ? leave_drained (service, node->spec, now, wake) : SWARM_LEAVE_NOW;
  if (swarm_id_is_nil (&task->move_to))
    return SWARM_LEAVE_NO;
  return runs && service_starts_first (service) ? SWARM_LEAVE_AFTER_REPLACEMENT : SWARM_LEAVE_NOW;
}
