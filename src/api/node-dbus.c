// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "base/error.h"

static SwarmControl *
control_of (SwarmInvocation *invocation)
{
  return swarm_manager_control (swarm_api_of (invocation)->manager);
}

static const char *
request_id (SwarmInvocation *invocation)
{
  return swarm_invocation_caller (invocation)->request_id;
}

static void
node_inspect (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", swarm_api_node_details_variant (self, object)));
}

static void
node_promote (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  swarm_control_set_role (control_of (invocation), &SWARM_OBJECT (object)->id, SWARM_ROLE_MANAGER, request_id (invocation),
                          swarm_api_done, invocation);
}

static void
node_demote (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  swarm_control_set_role (control_of (invocation), &SWARM_OBJECT (object)->id, SWARM_ROLE_WORKER, request_id (invocation),
                          swarm_api_done, invocation);
}

static void
node_set_availability (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  const char *availability;
  g_variant_get (args, "(&s)", &availability);
  swarm_control_set_availability (control_of (invocation), &SWARM_OBJECT (object)->id, availability, request_id (invocation),
                                  swarm_api_done, invocation);
}

/* The order and deadline that the options say. */
static gboolean
drain_options (GVariant *options, SwarmDrainOrder *order, gint64 *deadline_us, GError **error)
{
  static const char *const allowed[] = { "Deadline:x", "Order:s", NULL };
  const char *order_text = "update-order";
  gint64 deadline = 0;
  if (!swarm_api_check_options (options, allowed, error))
    return FALSE;
  g_variant_lookup (options, "Order", "&s", &order_text);
  g_variant_lookup (options, "Deadline", "x", &deadline);
  *deadline_us = deadline / 1000;
  if (deadline < 0)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the deadline of a drain cannot be negative");
  else if (!swarm_drain_order_from_string (order_text, order))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "invalid drain order \"%s\": update-order, stop-first or start-first",
                 order_text);
  else
    return TRUE;
  return FALSE;
}

static void
node_drain (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  g_autoptr (GError) error = NULL;
  SwarmDrainOrder order;
  gint64 deadline_us;
  if (drain_options (options, &order, &deadline_us, &error))
    swarm_control_drain_node (control_of (invocation), &SWARM_OBJECT (object)->id, order, deadline_us, request_id (invocation),
                              swarm_api_done, invocation);
  else
    swarm_invocation_fail (invocation, error);
}

static void
node_plan_drain (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  g_autoptr (GError) error = NULL;
  SwarmPlanRequest request = { .kind = SWARM_PLAN_DRAIN, .node = &SWARM_OBJECT (object)->id };
  if (drain_options (options, &request.order, &request.deadline_us, &error))
    swarm_api_plan (swarm_api_of (invocation), invocation, &request);
  else
    swarm_invocation_fail (invocation, error);
}

/* What both methods below have: labels to set and to remove, and perhaps an availability. */
static void
update_node (SwarmInvocation *invocation, gpointer object, const char *availability, GVariantIter *labels, GVariantIter *keys)
{
  g_autoptr (GHashTable) set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GPtrArray) remove = g_ptr_array_new_with_free_func (g_free);
  char *key, *value;
  while (g_variant_iter_next (labels, "{ss}", &key, &value))
    g_hash_table_replace (set, key, value);
  while (g_variant_iter_next (keys, "s", &key))
    g_ptr_array_add (remove, key);
  swarm_control_update_node (control_of (invocation), &SWARM_OBJECT (object)->id, availability, set, remove, request_id (invocation),
                             swarm_api_done, invocation);
}

static void
node_update (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariantIter) labels = NULL, keys = NULL;
  const char *availability;
  g_variant_get (args, "(&sa{ss}as)", &availability, &labels, &keys);
  update_node (invocation, object, *availability != '\0' ? availability : NULL, labels, keys);
}

static void
node_update_labels (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  g_autoptr (GVariantIter) labels = NULL, keys = NULL;
  g_variant_get (args, "(a{ss}as)", &labels, &keys);
  update_node (invocation, object, NULL, labels, keys);
}

static void
node_remove (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  gboolean force;
  g_variant_get (args, "(b)", &force);
  swarm_control_remove_node (control_of (invocation), &SWARM_OBJECT (object)->id, force, request_id (invocation), swarm_api_done,
                             invocation);
}

static void
node_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_hash_table_replace (details, g_strdup ("node"), g_strdup (swarm_object_name (object)));
  g_hash_table_replace (details, g_strdup ("node-id"), swarm_id_dup_string (&SWARM_OBJECT (object)->id));
}

static GVariant *
get_id (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_id_string (&SWARM_OBJECT (object)->id).str);
}

static GVariant *
get_hostname (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_object_name (object));
}

static GVariant *
get_role (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_role_to_string (((SwarmNode *) object)->role));
}

static GVariant *
get_availability (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_availability_to_string (((SwarmNode *) object)->spec->availability));
}

static GVariant *
get_state (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_node_state_to_string (((SwarmNode *) object)->status->state));
}

static GVariant *
get_address (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  return g_variant_new_string (node->status->addr != NULL ? node->status->addr : "");
}

static GVariant *
get_clock_offset (gpointer object, gpointer data)
{
  return g_variant_new_int64 (((SwarmNode *) object)->clock_offset);
}

static GVariant *
get_clock_synchronization (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  return g_variant_new_string (swarm_clock_state_to_string (node->description != NULL ? node->description->clock : SWARM_CLOCK_UNKNOWN));
}

static const char *
manager_status (SwarmApi *self, gpointer object)
{
  return swarm_control_manager_status (swarm_manager_control (self->manager), &SWARM_OBJECT (object)->id);
}

static GVariant *
get_manager_status (gpointer object, gpointer data)
{
  return g_variant_new_string (manager_status (data, object));
}

static GVariant *
get_leader (gpointer object, gpointer data)
{
  return g_variant_new_boolean (g_str_equal (manager_status (data, object), "leader"));
}

static const SwarmBusMethod node_methods[] = {
  { "Inspect", NULL, "a{sv}:node", node_inspect, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, .details = node_details,
    .doc = "The whole node in the shape of the Engine API." },
  { "Promote", NULL, NULL, node_promote, SWARM_ACTION_PROMOTE_NODE, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, node_details,
    "Makes the node a manager; the change itself follows in the background." },
  { "Demote", NULL, NULL, node_demote, SWARM_ACTION_DEMOTE_NODE, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, node_details,
    "Makes the node a worker. Refused for the last manager and where the rest would have no quorum." },
  { "SetAvailability", "s:availability", NULL, node_set_availability, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    node_details, "active: takes tasks; pause: keeps its tasks, takes no new ones; drain: its tasks move away." },
  { "Drain", "a{sv}:options", NULL, node_drain, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, node_details,
    "Sets the availability drain. Options: Order s (update-order: as each service is updated; stop-first; start-first: a task stops when "
    "its replacement runs), Deadline x (ns from now on after which no task waits for its replacement; 0: none)." },
  { "PlanAvailability", "s:availability", "aa{sv}:steps b:truncated", swarm_api_plan_availability, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, 0,
    node_details, "What this availability would do now; nothing is written. Steps as Manager.PlanService gives them." },
  { "PlanDrain", "a{sv}:options", "aa{sv}:steps b:truncated", node_plan_drain, SWARM_ACTION_READ, SWARM_ROLES_MANAGER, 0, node_details,
    "What Drain with these options would do now; nothing is written. Steps as Manager.PlanService gives them." },
  { "Update", "s:availability a{ss}:set as:remove", NULL, node_update, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    node_details, "SetAvailability (\"\": stays as it is) and UpdateLabels in one write: all of it or nothing." },
  { "UpdateLabels", "a{ss}:set as:remove", NULL, node_update_labels, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE,
    node_details, "Sets and removes labels of the node." },
  { "Remove", "b:force", NULL, node_remove, SWARM_ACTION_MANAGE_NODES, SWARM_ROLES_MANAGER, SWARM_METHOD_WRITE, node_details,
    "Removes the node from the cluster; its certificates are refused from now on. Without force it must be down." },
  { NULL },
};

static const SwarmBusProperty node_properties[] = {
  { "ID", "s", get_id, TRUE, "The node's id, 25 characters." },
  { "Hostname", "s", get_hostname, FALSE, "The host's name." },
  { "Role", "s", get_role, FALSE, "worker or manager." },
  { "Availability", "s", get_availability, FALSE, "active, pause or drain." },
  { "State", "s", get_state, FALSE, "ready, down, unknown or disconnected." },
  { "Address", "s", get_address, FALSE, "IP address of the node as the manager sees it." },
  { "ClockOffset", "x", get_clock_offset, FALSE, "Nanoseconds that the node's clock is ahead of the leader's; 0: less than a second." },
  { "ClockSynchronization", "s", get_clock_synchronization, FALSE, "synchronized, free-running or unknown: whether its clock follows a time server." },
  { "ManagerStatus", "s", get_manager_status, FALSE, "leader, reachable, unreachable, unknown (does not vote yet), or empty for a worker." },
  { "Leader", "b", get_leader, FALSE, "Whether this manager leads." },
  { NULL },
};

const SwarmBusInterface swarm_api_node_interface = {
  "org.swarmagent1.Node", node_methods, node_properties, NULL, "A host of the cluster.",
};
