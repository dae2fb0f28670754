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

/* ---- moves that a rebalance asked for ---- */

typedef enum { MOVE_NONE, MOVE_WAITS, MOVE_BEGUN } Move;

/* A slot's move, while it is not over: its newest task is still the one to move, or its replacement does not run yet. */
static Move
move_of (const SwarmSlot *slot)
{
  const SwarmTask *newest = slot->tasks[slot->n - 1], *before = slot->n > 1 ? slot->tasks[slot->n - 2] : NULL;
  if (!swarm_id_is_nil (&newest->move_to) && newest->desired_state <= SWARM_TASK_RUNNING && newest->status->state <= SWARM_TASK_RUNNING)
    return MOVE_WAITS;
  if (before == NULL || swarm_id_is_nil (&before->move_to))
    return MOVE_NONE;
  return newest->status->state < SWARM_TASK_RUNNING || before->desired_state <= SWARM_TASK_RUNNING ? MOVE_BEGUN : MOVE_NONE;
}

/* No more slots at once than the update parallelism says, in order of slots. */
static gboolean
move_may_begin (SwarmStore *store, const SwarmService *service, const SwarmTask *task)
{
  guint64 most = service->spec->update != NULL ? service->spec->update->parallelism : 1, ahead = 0;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (store, &service->object.id);
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  for (guint i = 0; i < slots->len && (most == 0 || ahead < most); i++) {
    const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    Move move = move_of (slot);
    if (slot->number == task->slot && move == MOVE_BEGUN)
      return TRUE;
    ahead += slot->number != task->slot && (move == MOVE_BEGUN || (move == MOVE_WAITS && slot->number < task->slot));
  }
  return most == 0 || ahead < most;
}

gboolean
swarm_service_has_moves (SwarmStore *store, const SwarmId *service)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (store, service);
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  for (guint i = 0; i < slots->len; i++) {
    if (move_of (&g_array_index (slots, SwarmSlot, i)) != MOVE_NONE)
      return TRUE;
  }
  return FALSE;
}

SwarmLeave
swarm_task_leaves (SwarmStore *store, const SwarmService *service, const SwarmTask *task, gint64 now, gint64 *wake)
{
  if (swarm_id_is_nil (&task->node_id))
    return SWARM_LEAVE_NO;
  const SwarmNode *node = swarm_store_get (store, SWARM_KIND_NODE, &task->node_id);
  if (swarm_node_is_lost (store, node, service->spec, wake))
    return SWARM_LEAVE_NOW;
  gboolean runs = task->status->state == SWARM_TASK_RUNNING && task->desired_state == SWARM_TASK_RUNNING;
  if (node->spec->availability == SWARM_AVAILABILITY_DRAIN)
    return runs ? leave_drained (service, node->spec, now, wake) : SWARM_LEAVE_NOW;
  if (swarm_id_is_nil (&task->move_to) || !move_may_begin (store, service, task))
    return SWARM_LEAVE_NO;
  return runs && service_starts_first (service) ? SWARM_LEAVE_AFTER_REPLACEMENT : SWARM_LEAVE_NOW;
}
