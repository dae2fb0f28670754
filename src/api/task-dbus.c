// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"

/* On a worker the object is one of the worker's own tasks; see task_find in api.c. */
static void
task_inspect (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", swarm_api_task_variant (self, object)));
}

static GVariant *
get_id (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_id_string (&SWARM_OBJECT (object)->id).str);
}

static GVariant *
get_service_id (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_id_string (&((SwarmTask *) object)->service_id).str);
}

static GVariant *
get_node_id (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  return g_variant_new_string (swarm_id_is_nil (&task->node_id) ? "" : swarm_id_string (&task->node_id).str);
}

static GVariant *
get_state (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_task_state_to_string (((SwarmTask *) object)->status->state));
}

static GVariant *
get_desired_state (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_task_state_to_string (((SwarmTask *) object)->desired_state));
}

static GVariant *
get_slot (gpointer object, gpointer data)
{
  return g_variant_new_uint64 (((SwarmTask *) object)->slot);
}

static const SwarmBusMethod task_methods[] = {
  { "Inspect", NULL, "a{sv}:task", task_inspect, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "The whole task in the shape of the Engine API." },
  { NULL },
};

static const SwarmBusProperty task_properties[] = {
  { "ID", "s", get_id, TRUE, "The task's id, 25 characters." },
  { "ServiceID", "s", get_service_id, TRUE, "The service it belongs to." },
  { "NodeID", "s", get_node_id, FALSE, "The node it is assigned to; empty before." },
  { "State", "s", get_state, FALSE, "The observed state: new, pending, assigned, accepted, preparing, ready, starting, running, complete, "
    "shutdown, failed, rejected, remove or orphaned." },
  { "DesiredState", "s", get_desired_state, FALSE, "The state that the cluster wants: ready, running, shutdown or remove." },
  { "Slot", "t", get_slot, TRUE, "Its slot, from 1." },
  { NULL },
};

const SwarmBusInterface swarm_api_task_interface = {
  "org.swarmagent1.Task", task_methods, task_properties, NULL,
  "One container (or other work) in a slot of a service. Tasks are not in GetManagedObjects: list them with Manager.ListTasks; "
  "Manager.TaskChanged announces changes.",
};
