// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/global.h"
#include "model/constraint.h"

/* Lost and drained nodes have no task of a global service: it does not move, it ends there and begins anew. */
static gboolean
node_fits (const SwarmWalk *walk, const SwarmNode *node)
{
  const SwarmLook *look = &walk->look;
  return !swarm_node_is_lost (look->leader->store, node, look->service->spec, look->wake) && node->spec->availability != SWARM_AVAILABILITY_DRAIN
         && swarm_constraints_match (walk->constraints, node);
}

/* What was here ended by itself and is not to be restarted, unlike what was stopped because the node did not fit for a while. */
static gboolean
replica_stays_ended (const SwarmReplica *replica)
{
  if (!swarm_replica_has_ended (replica))
    return FALSE;
  SwarmTaskState state = replica->slot.tasks[replica->slot.n - 1]->status->state;
  return state == SWARM_TASK_COMPLETE || state == SWARM_TASK_FAILED || state == SWARM_TASK_REJECTED;
}

/* Begins what is to be on the node, and ends what is not. TRUE: there is a replica, which may want more; else @ret has nothing that lives. */
static gboolean
look_at_node (SwarmWalk *walk, const SwarmId *id, const SwarmSlot *slot, SwarmReplica *ret)
{
  SwarmLook *look = &walk->look;
  const SwarmNode *node = swarm_store_get (look->leader->store, SWARM_KIND_NODE, id);
  *ret = (SwarmReplica){ .slot = *slot, .node = *id };
  if (node == NULL || !node_fits (walk, node)) {
    swarm_look_drop_slot (look, slot, node == NULL ? SWARM_TASK_REMOVE : SWARM_TASK_SHUTDOWN);
    return FALSE;
  }
  swarm_replica_init (ret, look, slot, id);
  ret->held = node->spec->availability == SWARM_AVAILABILITY_PAUSE || node->status->state == SWARM_NODE_DOWN;
  if (ret->live != NULL || replica_stays_ended (ret))
    return TRUE;
  if (!ret->held)
    swarm_replica_fill (look, ret);
  return FALSE;
}

/* FALSE: the transaction is full. */
static gboolean
count_node (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  SwarmLook *look = &walk->look;
  gint64 when, *wake = look->wake;
  SwarmReplica replica;
  swarm_walk_wake_slot_begin (walk, &when);
  gboolean present = look_at_node (walk, swarm_walk_node (walk, number), slot, &replica);
  swarm_walk_wake_slot_end (walk, number, when, wake);
  if (look->full)
    return FALSE;
  swarm_roll_count (walk->roll, &replica, present, !present || replica.held || swarm_replica_is_calm (look, &replica), look->now);
  return TRUE;
}

gboolean
swarm_global_look (const SwarmLeader *leader, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  g_autoptr (GPtrArray) constraints = swarm_service_constraints (service);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, roll, waker, constraints };
  if (constraints == NULL) /* control lets none through that cannot be parsed */
    return FALSE;
  swarm_roll_begin_pass (roll);
  return !swarm_walk_nodes (&walk, count_node) || !swarm_walk_changed (&walk, count_node) || !swarm_walk_tend (&walk);
}

SwarmLookResult
swarm_global_reconcile_node (const SwarmLeader *leader, const SwarmId *id, const SwarmId *node, SwarmTx *tx, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  g_autoptr (GPtrArray) tasks = swarm_tasks_on_node (leader->store, id, node);
  g_autoptr (GPtrArray) constraints = swarm_service_constraints (service);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, NULL, NULL, constraints };
  SwarmSlot slot = { 0, (SwarmTask **) tasks->pdata, tasks->len };
  SwarmReplica replica;
  if (constraints == NULL)
    return SWARM_LOOK_DONE;
  if (look_at_node (&walk, node, &slot, &replica))
    return swarm_replica_tend_alone (&walk.look, &replica);
  if (!swarm_service_is_at_rest (service))
    return SWARM_LOOK_WHOLE; /* an update may have waited for this one */
  return walk.look.full ? SWARM_LOOK_FULL : SWARM_LOOK_DONE;
}
