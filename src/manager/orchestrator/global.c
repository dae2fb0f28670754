// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/global.h"
#include "model/constraint.h"

typedef struct {
  SwarmLook *look;
  GPtrArray *constraints;
  GArray *slots; /* by node */
  guint at;      /* the first that was not looked at */
  GArray *replicas;
} Survey;

/* Lost and drained nodes have no task of a global service: it does not move, it ends there and begins anew. */
static gboolean
node_fits (const Survey *survey, const SwarmNode *node)
{
  const SwarmLook *look = survey->look;
  return !swarm_node_is_lost (look->leader->store, node, look->service->spec, look->wake) && node->spec->availability != SWARM_AVAILABILITY_DRAIN
         && swarm_constraints_match (survey->constraints, node);
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

static void
survey_fitting_node (Survey *survey, const SwarmNode *node, const SwarmSlot *slot)
{
  SwarmReplica replica;
  swarm_replica_init (&replica, survey->look, slot, &node->object.id);
  replica.held = node->spec->availability == SWARM_AVAILABILITY_PAUSE || node->status->state == SWARM_NODE_DOWN;
  if (replica.live != NULL || replica_stays_ended (&replica))
    g_array_append_val (survey->replicas, replica);
  else if (!replica.held)
    swarm_replica_fill (survey->look, &replica);
}

/* Slots of nodes up to (and without) @node that are there no more. NULL: all that are left. */
static void
drop_orphaned_slots (Survey *survey, const SwarmId *node)
{
  for (; survey->at < survey->slots->len; survey->at++) {
    const SwarmSlot *slot = &g_array_index (survey->slots, SwarmSlot, survey->at);
    if (node != NULL && swarm_id_compare (&slot->tasks[0]->node_id, node) >= 0)
      return;
    swarm_look_drop_slot (survey->look, slot, SWARM_TASK_REMOVE);
  }
}

static void
look_at_node (Survey *survey, const SwarmNode *node, const SwarmSlot *slot)
{
  if (node_fits (survey, node))
    survey_fitting_node (survey, node, slot);
  else
    swarm_look_drop_slot (survey->look, slot, SWARM_TASK_SHUTDOWN);
}

static gboolean
survey_node (gpointer object, gpointer data)
{
  Survey *survey = data;
  const SwarmNode *node = object;
  SwarmSlot slot = { 0 };
  drop_orphaned_slots (survey, &node->object.id);
  if (survey->at < survey->slots->len) {
    const SwarmSlot *next = &g_array_index (survey->slots, SwarmSlot, survey->at);
    if (swarm_id_equal (&next->tasks[0]->node_id, &node->object.id)) {
      slot = *next;
      survey->at++;
    }
  }
  look_at_node (survey, node, &slot);
  return TRUE;
}

static GPtrArray *
constraints_of (const SwarmService *service)
{
  const SwarmPlacement *placement = service->spec->task->placement;
  return swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, NULL);
}

gboolean
swarm_global_reconcile (const SwarmLeader *leader, const SwarmId *id, SwarmTx *tx, gint64 *wake)
{
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_store_now (leader->store), wake, FALSE };
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (leader->store, id);
  g_autoptr (GArray) slots = swarm_slots_by_node (tasks);
  g_autoptr (GArray) replicas = g_array_new (FALSE, FALSE, sizeof (SwarmReplica));
  g_autoptr (GPtrArray) constraints = constraints_of (look.service);
  if (constraints == NULL) /* control lets none through that cannot be parsed */
    return FALSE;
  Survey survey = { &look, constraints, slots, 0, replicas };
  swarm_store_foreach (leader->store, SWARM_KIND_NODE, survey_node, &survey);
  drop_orphaned_slots (&survey, NULL);
  swarm_replicas_tend (&look, replicas);
  return look.full;
}

SwarmLookResult
swarm_global_reconcile_node (const SwarmLeader *leader, const SwarmId *id, const SwarmId *node_id, SwarmTx *tx, gint64 *wake)
{
  SwarmLook look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_store_now (leader->store), wake, FALSE };
  const SwarmNode *node = swarm_store_get (leader->store, SWARM_KIND_NODE, node_id);
  g_autoptr (GPtrArray) tasks = swarm_tasks_on_node (leader->store, id, node_id);
  g_autoptr (GPtrArray) constraints = constraints_of (look.service);
  g_autoptr (GArray) replicas = g_array_new (FALSE, FALSE, sizeof (SwarmReplica));
  SwarmSlot slot = { 0, (SwarmTask **) tasks->pdata, tasks->len };
  Survey survey = { &look, constraints, NULL, 0, replicas };
  if (constraints == NULL)
    return SWARM_LOOK_DONE;
  if (node != NULL)
    look_at_node (&survey, node, &slot);
  else
    swarm_look_drop_slot (&look, &slot, SWARM_TASK_REMOVE);
  if (replicas->len > 0)
    return swarm_replica_tend_alone (&look, &g_array_index (replicas, SwarmReplica, 0));
  if (!swarm_service_is_at_rest (look.service))
    return SWARM_LOOK_WHOLE; /* an update may have waited for this one */
  return look.full ? SWARM_LOOK_FULL : SWARM_LOOK_DONE;
}
