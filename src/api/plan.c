// SPDX-License-Identifier: LGPL-2.1-or-later
/* Dry runs: PlanService and PlanAvailability answer with the steps of a plan (manager/plan), PlanRebalance with moves. */
#include "api/private.h"

typedef struct {
  SwarmApi *api;
  SwarmInvocation *invocation;
} PlanCall;

static const char *
name_of (SwarmStore *store, SwarmKind kind, const SwarmId *id)
{
  const SwarmObject *object = store != NULL ? swarm_store_get (store, kind, id) : NULL;
  return object != NULL ? swarm_object_name (object) : "";
}

static GVariant *
step_variant (SwarmApi *self, const SwarmPlanStep *step)
{
  static const struct { const char *key; gsize offset; } ids[] = {
    { "ServiceID", G_STRUCT_OFFSET (SwarmPlanStep, service) },
    { "TaskID", G_STRUCT_OFFSET (SwarmPlanStep, task) },
    { "NodeID", G_STRUCT_OFFSET (SwarmPlanStep, node) },
  };
  GVariantDict dict;
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "Action", "s", swarm_plan_action_to_string (step->action));
  g_variant_dict_insert (&dict, "After", "x", step->after_us * 1000);
  g_variant_dict_insert (&dict, "Name", "s", step->name);
  g_variant_dict_insert (&dict, "Reason", "s", step->reason);
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++) {
    const SwarmId *id = (const SwarmId *) ((const guint8 *) step + ids[i].offset);
    g_variant_dict_insert (&dict, ids[i].key, "s", swarm_id_is_nil (id) ? "" : swarm_id_string (id).str);
  }
  g_variant_dict_insert (&dict, "Node", "s", name_of (self->store, SWARM_KIND_NODE, &step->node));
  return g_variant_dict_end (&dict);
}

static void
planned (GPtrArray *steps, gboolean truncated, const GError *error, gpointer data)
{
  g_autofree PlanCall *call = data;
  g_autoptr (GPtrArray) variants = g_ptr_array_new ();
  if (error != NULL) {
    swarm_invocation_fail (call->invocation, error);
    return;
  }
  for (guint i = 0; i < steps->len; i++)
    g_ptr_array_add (variants, step_variant (call->api, steps->pdata[i]));
  swarm_invocation_return (call->invocation, g_variant_new ("(@aa{sv}b)", swarm_api_list (variants), truncated));
}

void
swarm_api_plan (SwarmApi *self, SwarmInvocation *invocation, const SwarmPlanRequest *request)
{
  PlanCall *call = g_new (PlanCall, 1);
  *call = (PlanCall){ self, invocation };
  swarm_manager_plan (self->manager, request, planned, call);
}

void
swarm_api_plan_availability (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmPlanRequest request = { .kind = SWARM_PLAN_AVAILABILITY, .node = &SWARM_OBJECT (object)->id };
  g_variant_get (args, "(&s)", &request.availability);
  swarm_api_plan (swarm_api_of (invocation), invocation, &request);
}

/* ---- rebalance ---- */

static GVariant *
move_variant (SwarmApi *self, const SwarmService *service, const SwarmMove *move, SwarmPlanAction action)
{
  gboolean start = action == SWARM_PLAN_START;
  const SwarmId *node = start ? &move->to : &move->from;
  g_autofree char *name = g_strdup_printf ("%s.%" G_GUINT64_FORMAT, service->spec->name, move->slot);
  g_autofree char *reason = g_strdup_printf ("moves %s %s", start ? "from" : "to",
                                             name_of (self->store, SWARM_KIND_NODE, start ? &move->from : &move->to));
  SwarmPlanStep step = { .action = action, .service = service->object.id, .node = *node, .name = name, .reason = reason };
  if (!start)
    step.task = move->task;
  return step_variant (self, &step);
}

typedef struct {
  PlanCall call;
  SwarmId service;
} RebalanceCall;

static void
rebalance_planned (GArray *moves, const GError *error, gpointer data)
{
  g_autofree RebalanceCall *rebalance = data;
  const PlanCall *call = &rebalance->call;
  g_autoptr (GPtrArray) variants = g_ptr_array_new ();
  if (error != NULL) {
    swarm_invocation_fail (call->invocation, error);
    return;
  }
  const SwarmService *service = swarm_store_get (call->api->store, SWARM_KIND_SERVICE, &rebalance->service);
  gboolean start_first = service != NULL && service->spec->update != NULL && service->spec->update->order == SWARM_ORDER_START_FIRST;
  for (guint i = 0; service != NULL && i < moves->len; i++) {
    const SwarmMove *move = &g_array_index (moves, SwarmMove, i);
    g_ptr_array_add (variants, move_variant (call->api, service, move, start_first ? SWARM_PLAN_START : SWARM_PLAN_STOP));
    g_ptr_array_add (variants, move_variant (call->api, service, move, start_first ? SWARM_PLAN_STOP : SWARM_PLAN_START));
  }
  swarm_invocation_return (call->invocation, g_variant_new ("(@aa{sv}b)", swarm_api_list (variants), FALSE));
}

void
swarm_api_plan_rebalance (SwarmApi *self, SwarmInvocation *invocation, const SwarmService *service, guint max_moves)
{
  RebalanceCall *rebalance = g_new (RebalanceCall, 1);
  *rebalance = (RebalanceCall){ { self, invocation }, service->object.id };
  swarm_control_plan_rebalance (swarm_manager_control (self->manager), service, max_moves, rebalance_planned, rebalance);
}
