// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/scenario.h"
#include "base/error.h"
#include "model/subnet.h"
#include <string.h>

#define ENUM(lower, name, ...) \
  const SwarmEnum lower##_enum = { name, (const SwarmEnumRow[]){ __VA_ARGS__, { 0, NULL } } }
#define TYPE(lower, Struct, ...) const SwarmType lower##_type = { #Struct, sizeof (Struct), lower##_fields, ##__VA_ARGS__ }
/* How much longer a scenario goes on after the last thing that its file names. */
#define AFTERWARDS 30.0
/* As Count of one entry of Nodes. */
#define MOST_NODES 10000

ENUM (sim_do, "event", { SIM_DO_NODE_DOWN, "node-down" }, { SIM_DO_NODE_SHUTDOWN, "node-shutdown" }, { SIM_DO_NODE_UP, "node-up" },
      { SIM_DO_AGENT_KILL, "agent-kill" }, { SIM_DO_AGENT_STOP, "agent-stop" }, { SIM_DO_AGENT_START, "agent-start" },
      { SIM_DO_NODE_CUT, "node-cut" }, { SIM_DO_NODE_STALL, "node-stall" }, { SIM_DO_NODE_RESET, "node-reset" }, { SIM_DO_NODE_NOISE, "node-noise" }, { SIM_DO_HEAL, "heal" },
      { SIM_DO_DISK_DELAY, "disk-delay" }, { SIM_DO_NODE_ACTIVATE, "node-activate" }, { SIM_DO_NODE_PAUSE, "node-pause" },
      { SIM_DO_NODE_DRAIN, "node-drain" }, { SIM_DO_NODE_LABELS, "node-labels" }, { SIM_DO_NODE_RESOURCES, "node-resources" },
      { SIM_DO_NODE_JOIN, "node-join" }, { SIM_DO_NODE_LEAVE, "node-leave" }, { SIM_DO_NODE_REMOVE, "node-remove" },
      { SIM_DO_NODE_DEMOTE, "node-demote" }, { SIM_DO_NODE_PROMOTE, "node-promote" }, { SIM_DO_CLUSTER_UPDATE, "cluster-update" },
      { SIM_DO_NETWORK_CREATE, "network-create" }, { SIM_DO_NETWORK_REMOVE, "network-remove" }, { SIM_DO_CLOCK_STEP, "clock-step" }, { SIM_DO_LEADER_KILL, "leader-kill" },
      { SIM_DO_LEADER_DOWN, "leader-down" }, { SIM_DO_LEADER_CUT, "leader-cut" }, { SIM_DO_TASK_EXIT, "task-exit" },
      { SIM_DO_SERVICE_CREATE, "service-create" }, { SIM_DO_SERVICE_UPDATE, "service-update" }, { SIM_DO_SERVICE_SCALE, "service-scale" },
      { SIM_DO_SERVICE_ROLLBACK, "service-rollback" }, { SIM_DO_SERVICE_REBALANCE, "service-rebalance" }, { SIM_DO_SERVICE_REMOVE, "service-remove" });

gboolean
sim_do_is_fault (SimDo what)
{
  return (what >= SIM_DO_NODE_DOWN && what <= SIM_DO_DISK_DELAY && what != SIM_DO_NODE_UP && what != SIM_DO_AGENT_START && what != SIM_DO_HEAL)
         || (what >= SIM_DO_LEADER_KILL && what <= SIM_DO_LEADER_CUT);
}

/* ---- rules ---- */

static gboolean
rule_time (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  double value = *(const double *) ((const char *) message + field->offset);
  if (value >= 0 && value <= 1e7)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "seconds from 0 to 10000000 are expected");
  return FALSE;
}

/* "running" or "failed|rejected". */
static gboolean
rule_states (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  g_auto (GStrv) words = g_strsplit (text != NULL ? text : "", "|", -1);
  SwarmTaskState state;
  for (guint i = 0; words[i] != NULL; i++) {
    if (swarm_task_state_from_string (words[i], &state))
      continue;
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is no task state", words[i]);
    return FALSE;
  }
  return TRUE;
}

static gboolean
rule_node_state (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  SwarmNodeState state;
  if (text == NULL || swarm_node_state_from_string (text, &state))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is no node state", text);
  return FALSE;
}

static gboolean
rule_update_state (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  SwarmUpdateState state;
  if (text == NULL || swarm_update_state_from_string (text, &state) || g_str_equal (text, "none"))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is no update state", text);
  return FALSE;
}

static gboolean
rule_availability (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  SwarmAvailability availability;
  if (text == NULL || swarm_availability_from_string (text, &availability))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is no availability", text);
  return FALSE;
}

static gboolean
rule_id (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  SwarmId id;
  if (text == NULL || swarm_id_parse (text, &id))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "an id has 25 characters 0-9 and a-z");
  return FALSE;
}

static gboolean
rule_address (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *text = *(char *const *) ((const char *) message + field->offset);
  SwarmAddress address;
  if (text == NULL || swarm_address_parse (text, &address))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is no IP address", text);
  return FALSE;
}

static gboolean
invalid (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

static gboolean
check_node (const SwarmMessage *message, GError **error)
{
  const SimNodeSpec *self = (const SimNodeSpec *) message;
  if (self->name == NULL)
    return invalid (error, "Name is missing");
  if (self->count == 0 || self->count > MOST_NODES || (self->count > 1 && (self->id != NULL || self->address != NULL)))
    return invalid (error, "Count is 1 to 10000, and 1 where ID or Address are given");
  return TRUE;
}

static gboolean
is_node_event (SimDo what)
{
  return (what >= SIM_DO_NODE_DOWN && what <= SIM_DO_NODE_NOISE)
         || (what >= SIM_DO_DISK_DELAY && what <= SIM_DO_CLOCK_STEP && !(what >= SIM_DO_CLUSTER_UPDATE && what <= SIM_DO_NETWORK_REMOVE));
}

static gboolean
check_action (const SwarmMessage *message, GError **error)
{
  const SimAction *self = (const SimAction *) message;
  if (self->what == SIM_DO_NOTHING)
    return invalid (error, "Do is missing");
  if (is_node_event (self->what) && self->node == NULL)
    return invalid (error, "Node is missing");
  if (self->what == SIM_DO_CLUSTER_UPDATE && self->cluster == NULL)
    return invalid (error, "Cluster is missing");
  if (self->what == SIM_DO_NETWORK_CREATE && self->network_spec == NULL)
    return invalid (error, "NetworkSpec is missing");
  if (self->what == SIM_DO_NETWORK_REMOVE && self->network == NULL)
    return invalid (error, "Network is missing");
  if (self->loss > 100)
    return invalid (error, "Loss is 0 to 100");
  if (self->what == SIM_DO_SERVICE_CREATE ? self->spec == NULL && self->spec_text == NULL : self->what >= SIM_DO_TASK_EXIT && self->service == NULL)
    return invalid (error, self->what == SIM_DO_SERVICE_CREATE ? "Spec is missing" : "Service is missing");
  return TRUE;
}

static gboolean
says (const SimExpectation *self, const SwarmField *field)
{
  const char *member = (const char *) self + field->offset;
  switch (field->kind) {
  case SWARM_FIELD_UINT:
    return *(const guint64 *) member != 0;
  case SWARM_FIELD_INT:
    return *(const gint64 *) member >= 0;
  default:
    return *(const gpointer *) member != NULL;
  }
}

/* What would not be looked at is refused: it could not fail. */
static gboolean
check_expectation (const SwarmMessage *message, GError **error)
{
  const SimExpectation *self = (const SimExpectation *) message;
  static const char *const of_service[]
      = { "Slot",          "State",    "Desired",    "Image",   "Message", "Err",       "ExitCode",         "Count",     "Min",        "Max",    "Placement", "PerNode", "Slots",
          "UpdateState",   "UpdateMessage", "Replicas",   "Containers", "Running", "Wanted", "Completed", "GenericResources", "Published", "VirtualIPs", NULL };
  static const char *const of_node[] = { "NodeState", "NodeMessage", "Availability", NULL };
  for (const SwarmField *field = sim_expectation_type.fields; field->number != 0; field++) {
    gboolean service = g_strv_contains (of_service, field->name) && self->service == NULL;
    if (!service && !(g_strv_contains (of_node, field->name) && (self->service != NULL || self->node == NULL)))
      continue;
    if (!says (self, field))
      continue;
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s is about a %s", field->name, service ? "service, and Service is missing" : "node: Node without Service is expected");
    return FALSE;
  }
  if (self->service == NULL && self->node == NULL && self->leader == NULL && !self->settled)
    return invalid (error, "nothing is expected: Service, Node, Leader or Settled is missing");
  return TRUE;
}

static gboolean
check_scenario (const SwarmMessage *message, GError **error)
{
  const SimScenario *self = (const SimScenario *) message;
  guint64 nodes = MIN (self->managers, MOST_NODES + 1) + MIN (self->workers, MOST_NODES + 1), managers = self->managers;
  for (guint i = 0; self->nodes != NULL && i < self->nodes->len; i++) {
    const SimNodeSpec *spec = g_ptr_array_index (self->nodes, i);
    nodes += spec->count;
    managers += spec->role == SWARM_ROLE_MANAGER ? spec->count : 0;
  }
  for (guint i = 0; self->events != NULL && i < self->events->len; i++)
    managers += ((const SimAction *) g_ptr_array_index (self->events, i))->what == SIM_DO_NODE_PROMOTE;
  if (nodes > MOST_NODES)
    return invalid (error, "Managers, Workers and Nodes: 10000 together at most");
  if (self->simple_log && managers > 1)
    return invalid (error, "SimpleLog goes with one manager only");
  return TRUE;
}

/* ---- tables ---- */

static const SwarmField sim_node_spec_fields[] = {
  SWARM_FIELD (1, "Name", SimNodeSpec, name, STRING, .doc = "Host name; the other parts of the scenario name the node so."),
  SWARM_FIELD (2, "Count", SimNodeSpec, count, UINT, .fallback = 1,
               .doc = "So many such nodes: NAME1, NAME2 … when it is more than 1."),
  SWARM_FIELD (3, "ID", SimNodeSpec, id, STRING, .validate = rule_id, .doc = "Node ID; else one by the seed."),
  SWARM_FIELD (4, "Role", SimNodeSpec, role, ENUM, .enumeration = &swarm_role_enum,
               .doc = "worker or manager. A manager also takes tasks."),
  SWARM_FIELD (5, "Availability", SimNodeSpec, availability, ENUM, .enumeration = &swarm_availability_enum,
               .doc = "active, pause or drain."),
  SWARM_FIELD (6, "Labels", SimNodeSpec, labels, MAP, .doc = "Node labels."),
  SWARM_FIELD (7, "EngineLabels", SimNodeSpec, engine_labels, MAP, .doc = "Labels that the node itself tells."),
  SWARM_FIELD (8, "Platform", SimNodeSpec, platform, MESSAGE, .type = &swarm_platform_type,
               .doc = "Architecture and OS, as node inspect prints them; absent: unknown."),
  SWARM_FIELD (9, "Resources", SimNodeSpec, resources, MESSAGE, .type = &swarm_resources_type,
               .doc = "Totals with generic resources, as node inspect prints them; absent: 64 CPUs, 64 GiB."),
  SWARM_FIELD (10, "Plugins", SimNodeSpec, plugins, MESSAGES, .type = &swarm_engine_plugin_type,
               .doc = "Plugins, as node inspect prints them."),
  SWARM_FIELD (11, "Address", SimNodeSpec, address, STRING, .validate = rule_address, .doc = "IP address; absent: 10.99.x.y by the order."),
  SWARM_FIELD (12, "Absent", SimNodeSpec, absent, BOOL, .doc = "It is not there until the event node-join."),
  { 0 },
};
TYPE (sim_node_spec, SimNodeSpec, check_node);

static const SwarmField sim_behaviour_fields[] = {
  SWARM_FIELD (1, "Service", SimBehaviour, service, STRING, .doc = "Of this service; absent: any."),
  SWARM_FIELD (2, "Slot", SimBehaviour, slot, UINT, .doc = "In this slot; 0: any."),
  SWARM_FIELD (3, "Node", SimBehaviour, node, STRING, .doc = "On this node; absent: any."),
  SWARM_FIELD (4, "Image", SimBehaviour, image, STRING,
               .doc = "Of this image (as the spec has it, also without its tag); absent: any."),
  SWARM_FIELD (5, "Times", SimBehaviour, times, UINT,
               .doc = "Only the first so many tasks that it fits, over the whole cluster; 0: all."),
  SWARM_FIELD (6, "From", SimBehaviour, from, DOUBLE, .validate = rule_time, .doc = "Only tasks that are prepared from then on."),
  SWARM_FIELD (7, "Until", SimBehaviour, until, DOUBLE, .validate = rule_time,
               .doc = "Only tasks that are prepared before; 0: no end."),
  SWARM_FIELD (8, "PrepareTime", SimBehaviour, prepare_time, DOUBLE, .validate = rule_time,
               .doc = "How long preparing takes; 0: 0.02 s."),
  SWARM_FIELD (9, "StartTime", SimBehaviour, start_time, DOUBLE, .validate = rule_time, .doc = "How long the start takes; 0: 0.03 s."),
  SWARM_FIELD (10, "StopTime", SimBehaviour, stop_time, DOUBLE, .validate = rule_time, .doc = "How long stopping takes; 0: 0.02 s."),
  SWARM_FIELD (11, "ExitAfter", SimBehaviour, exit_after, DOUBLE, .validate = rule_time,
               .doc = "It ends by itself so long after its start; 0: never."),
  SWARM_FIELD (12, "ExitCode", SimBehaviour, exit_code, INT, .doc = "With this exit code."),
  SWARM_FIELD (13, "ImageMissing", SimBehaviour, image_missing, BOOL, .doc = "The image cannot be pulled."),
  SWARM_FIELD (14, "PrepareError", SimBehaviour, prepare_error, STRING, .doc = "Preparing fails with this text."),
  SWARM_FIELD (15, "StartError", SimBehaviour, start_error, STRING, .doc = "The start fails with this text."),
  SWARM_FIELD (16, "HealthyAfter", SimBehaviour, healthy_after, DOUBLE, .validate = rule_time,
               .doc = "Health commands succeed only from so long after the start on; 0: at once."),
  SWARM_FIELD (17, "SickAfter", SimBehaviour, sick_after, DOUBLE, .validate = rule_time,
               .doc = "Health commands fail from so long after the start on; 0: never."),
  SWARM_FIELD (18, "NeverHealthy", SimBehaviour, never_healthy, BOOL, .doc = "Health commands always fail."),
  SWARM_FIELD (19, "HealthHangs", SimBehaviour, health_hangs, BOOL, .doc = "Health commands never end."),
  { 0 },
};
TYPE (sim_behaviour, SimBehaviour);

static const SwarmField sim_action_fields[] = {
  SWARM_FIELD (1, "At", SimAction, at, DOUBLE, .validate = rule_time, .flags = SWARM_FIELD_ALWAYS, .doc = "When."),
  SWARM_FIELD (2, "Do", SimAction, what, ENUM, .enumeration = &sim_do_enum, .flags = SWARM_FIELD_ALWAYS, .doc = "What: see EVENTS."),
  SWARM_FIELD (3, "Node", SimAction, node, STRING, .doc = "The node's name."),
  SWARM_FIELD (4, "Other", SimAction, other, STRING,
               .doc = "The other end of a path (node-cut, node-stall, node-reset); absent: to all."),
  SWARM_FIELD (5, "Service", SimAction, service, STRING, .doc = "The service's name."),
  SWARM_FIELD (6, "Slot", SimAction, slot, UINT, .doc = "Of task-exit: the slot; 0: the running task with the least slot."),
  SWARM_FIELD (7, "Spec", SimAction, spec, MESSAGE, .type = &swarm_service_spec_type,
               .doc = "Of service-create and service-update: the Spec as service inspect prints it."),
  SWARM_FIELD (8, "Image", SimAction, image, STRING, .doc = "Of service-update without Spec: the new image."),
  SWARM_FIELD (9, "Env", SimAction, env, STRINGS, .doc = "Of service-update without Spec: the new environment."),
  SWARM_FIELD (10, "Constraints", SimAction, constraints, STRINGS, .doc = "Of service-update without Spec: the new constraints."),
  SWARM_FIELD (11, "Replicas", SimAction, replicas, UINT, .doc = "Of service-scale."),
  SWARM_FIELD (12, "Force", SimAction, force, BOOL, .doc = "Of service-update: ForceUpdate + 1. Of node-remove: though it is not down."),
  SWARM_FIELD (13, "Stale", SimAction, stale, BOOL, .doc = "Of service-update: with a version that is not the newest."),
  SWARM_FIELD (14, "Labels", SimAction, labels, MAP,
               .doc = "Of node-labels: to set. Of service-update without Spec: all labels of the service."),
  SWARM_FIELD (15, "Remove", SimAction, remove, STRINGS, .doc = "Of node-labels: keys to take away."),
  SWARM_FIELD (16, "Resources", SimAction, resources, MESSAGE, .type = &swarm_resources_type,
               .doc = "Of node-resources: the new totals."),
  SWARM_FIELD (17, "EngineLabels", SimAction, engine_labels, MAP, .doc = "Of node-resources: the new engine labels."),
  SWARM_FIELD (18, "ExitCode", SimAction, exit_code, INT, .doc = "Of task-exit."),
  SWARM_FIELD (19, "Seconds", SimAction, seconds, DOUBLE,
               .doc = "Of clock-step: by how much, may be negative. Of faults: mends by itself so much later; 0: does not."),
  SWARM_FIELD (20, "Error", SimAction, error, STRING,
               .doc = "The call must fail with exactly this text; absent: it must succeed. * in it stands for any characters; \"*\": it may also succeed."),
  SWARM_FIELD (21, "Delay", SimAction, delay, DOUBLE, .validate = rule_time,
               .doc = "Of disk-delay: the longest time that a write takes. Of node-noise: how late a message may be."),
  SWARM_FIELD (22, "SpecText", SimAction, spec_text, STRING, .doc = "Spec as a text that is parsed when the event happens. A Spec beside an Error becomes one."),
  SWARM_FIELD (23, "Cluster", SimAction, cluster, MESSAGE, .type = &swarm_cluster_spec_type, .doc = "Of cluster-update: the new Spec of the cluster."),
  SWARM_FIELD (24, "Order", SimAction, order, ENUM, .enumeration = &swarm_drain_order_enum, .doc = "Of node-drain: in which order tasks are replaced: update-order (as the service has it), start-first or stop-first."),
  SWARM_FIELD (25, "Deadline", SimAction, deadline, DOUBLE, .validate = rule_time, .doc = "Of node-drain: after so many seconds no task waits for its replacement; 0: none."),
  SWARM_FIELD (26, "Platform", SimAction, platform, MESSAGE, .type = &swarm_platform_type, .doc = "Of node-resources: the new platform."),
  SWARM_FIELD (27, "Plugins", SimAction, plugins, MESSAGES, .type = &swarm_engine_plugin_type, .doc = "Of node-resources: the new plugins."),
  SWARM_FIELD (28, "MaxMoves", SimAction, moves, UINT, .doc = "Of service-rebalance: so many moves at most; 0: all."),
  SWARM_FIELD (29, "Loss", SimAction, loss, UINT, .doc = "Of node-noise: so many of 100 messages are lost."),
  SWARM_FIELD (30, "Network", SimAction, network, STRING, .doc = "Of network-remove: the network's name."),
  SWARM_FIELD (31, "NetworkSpec", SimAction, network_spec, MESSAGE, .type = &swarm_network_spec_type,
               .doc = "Of network-create: Name, Driver, IPAM and so on as network inspect prints them."),
  { 0 },
};
TYPE (sim_action, SimAction, check_action);

static const SwarmField sim_expectation_fields[] = {
  SWARM_FIELD (1, "Why", SimExpectation, why, STRING, .doc = "For people: printed when it is not so."),
  SWARM_FIELD (2, "At", SimExpectation, at, DOUBLE, .validate = rule_time,
               .doc = "When it must be so; 0 without Within and Until: at the end."),
  SWARM_FIELD (3, "Within", SimExpectation, within, DOUBLE, .validate = rule_time,
               .doc = "It must become so at some moment from At to At + Within."),
  SWARM_FIELD (4, "Until", SimExpectation, until, DOUBLE, .validate = rule_time,
               .doc = "It must be so at every moment from At to Until."),
  SWARM_FIELD (5, "Service", SimExpectation, service, STRING,
               .doc = "About this service and its tasks. The fields down to ExitCode choose among its tasks; Count, Min and Max "
                      "say how many there must be (nothing said: at least one)."),
  SWARM_FIELD (6, "Slot", SimExpectation, slot, UINT, .doc = "Tasks in this slot; 0: all."),
  SWARM_FIELD (7, "Node", SimExpectation, node, STRING, .doc = "Tasks on this node. Without Service: about this node."),
  SWARM_FIELD (8, "State", SimExpectation, state, STRING, .validate = rule_states,
               .doc = "Tasks in this state; several: \"failed|rejected\"."),
  SWARM_FIELD (9, "Desired", SimExpectation, desired, STRING, .validate = rule_states, .doc = "Tasks with this desired state."),
  SWARM_FIELD (10, "Image", SimExpectation, image, STRING, .doc = "Tasks of this image (also without tag)."),
  SWARM_FIELD (11, "Message", SimExpectation, text, STRING, .doc = "Tasks with this status message; * stands for any characters."),
  SWARM_FIELD (12, "Err", SimExpectation, err, STRING, .doc = "Tasks with this error text; * stands for any characters; \"-\": with none."),
  SWARM_FIELD (13, "ExitCode", SimExpectation, exit_code, INT, .fallback = -1,
               .doc = "Tasks that ended with this exit code; -1: any."),
  SWARM_FIELD (14, "Count", SimExpectation, count, INT, .fallback = -1, .doc = "Exactly so many tasks; -1: not said."),
  SWARM_FIELD (15, "Min", SimExpectation, min, INT, .fallback = -1, .doc = "At least so many; -1: not said."),
  SWARM_FIELD (16, "Max", SimExpectation, max, INT, .fallback = -1, .doc = "At most so many; -1: not said."),
  SWARM_FIELD (17, "Placement", SimExpectation, placement, MAP,
               .doc = "How many of the chosen tasks are on each node, {\"w1\": \"2\"}; nodes that are not named have none."),
  SWARM_FIELD (18, "PerNode", SimExpectation, per_node, STRING,
               .doc = "The numbers of chosen tasks per node, largest first, whatever the nodes: \"2,1,1\"."),
  SWARM_FIELD (19, "Slots", SimExpectation, slots, STRING, .doc = "The slots of the chosen tasks in order: \"1,2,5\"."),
  SWARM_FIELD (20, "UpdateState", SimExpectation, update_state, STRING, .validate = rule_update_state,
               .doc = "The service's update status; none: it has none."),
  SWARM_FIELD (21, "UpdateMessage", SimExpectation, update_text, STRING,
               .doc = "Its message; * stands for any characters at its place."),
  SWARM_FIELD (22, "Replicas", SimExpectation, replicas, INT, .fallback = -1, .doc = "What the service declares; -1: not said."),
  SWARM_FIELD (23, "NodeState", SimExpectation, node_state, STRING, .validate = rule_node_state, .doc = "The node's state."),
  SWARM_FIELD (24, "NodeMessage", SimExpectation, node_text, STRING, .doc = "The message of the node's status."),
  SWARM_FIELD (25, "Availability", SimExpectation, availability, STRING, .validate = rule_availability,
               .doc = "The node's availability."),
  SWARM_FIELD (26, "Absent", SimExpectation, absent, BOOL, .doc = "There is no such service or node."),
  SWARM_FIELD (27, "Settled", SimExpectation, settled, BOOL,
               .doc = "Every service has what it declares, each task in one running container on the node that the store says, "
                      "and nothing else runs."),
  SWARM_FIELD (28, "Leader", SimExpectation, leader, STRING, .doc = "This manager leads; \"*\": one does; \"-\": none."),
  SWARM_FIELD (29, "Containers", SimExpectation, containers, INT, .fallback = -1,
               .doc = "So many containers of the service run on hosts that are on (of Slot and Node, when they are given), whatever the store says."),
  SWARM_FIELD (30, "Running", SimExpectation, running, INT, .fallback = -1, .doc = "Running tasks as service ls counts them."),
  SWARM_FIELD (31, "Wanted", SimExpectation, wanted, INT, .fallback = -1, .doc = "Desired tasks as service ls counts them."),
  SWARM_FIELD (32, "Completed", SimExpectation, completed, INT, .fallback = -1, .doc = "Completions of a job as service ls counts them."),
  SWARM_FIELD (33, "GenericResources", SimExpectation, generic, STRING,
               .doc = "Tasks that were given these, in order: \"gpu=A,ssd=2\"."),
  SWARM_FIELD (34, "Published", SimExpectation, published, STRING,
               .doc = "The numbers of the service's ports of the routing mesh, in order: \"8080,30000\"; \"-\": none."),
  SWARM_FIELD (35, "VirtualIPs", SimExpectation, virtual_ips, STRING, .doc = "Its virtual addresses, in order: \"10.0.1.2/24\"; \"-\": none."),
  { 0 },
};
TYPE (sim_expectation, SimExpectation, check_expectation);

static const SwarmField sim_scenario_fields[] = {
  SWARM_FIELD (1, "Rule", SimScenario, rule, STRING, .doc = "The rule that it proves, for people."),
  SWARM_FIELD (2, "Seed", SimScenario, seed, UINT, .fallback = 1, .doc = "Of the randomness; --seed overrides it."),
  SWARM_FIELD (3, "Until", SimScenario, until, DOUBLE, .validate = rule_time,
               .doc = "When it ends; 0: 30 seconds after the last thing that the file names. --until overrides it."),
  SWARM_FIELD (4, "Managers", SimScenario, managers, UINT, .fallback = 1,
               .doc = "So many managers m1, m2 … that take no tasks (drained) before those of Nodes."),
  SWARM_FIELD (5, "Workers", SimScenario, workers, UINT,
               .doc = "So many workers w1, w2 … with nothing special before those of Nodes."),
  SWARM_FIELD (6, "SimpleLog", SimScenario, simple_log, BOOL,
               .doc = "Only with one manager: an in-memory log in place of consensus and disk."),
  SWARM_FIELD (7, "Cluster", SimScenario, cluster, MESSAGE, .type = &swarm_cluster_spec_type,
               .doc = "Cluster options, the Spec as cluster inspect prints it."),
  SWARM_FIELD (8, "Nodes", SimScenario, nodes, MESSAGES, .type = &sim_node_spec_type, .doc = "More nodes: see NODES."),
  SWARM_FIELD (9, "Services", SimScenario, services, MESSAGES, .type = &swarm_service_spec_type,
               .doc = "Services made at time 0 in this order, each a Spec as service inspect prints it."),
  SWARM_FIELD (10, "Behaviours", SimScenario, behaviours, MESSAGES, .type = &sim_behaviour_type,
               .doc = "How tasks behave; the first that fits counts: see BEHAVIOURS."),
  SWARM_FIELD (11, "Events", SimScenario, events, MESSAGES, .type = &sim_action_type, .doc = "What happens: see EVENTS."),
  SWARM_FIELD (12, "Expect", SimScenario, expect, MESSAGES, .type = &sim_expectation_type,
               .doc = "What must be seen: see EXPECTATIONS."),
  SWARM_FIELD (13, "Fails", SimScenario, fails, STRING,
               .doc = "Known not to hold yet, and why: the run passes when an expectation fails and fails when all hold."),
  SWARM_FIELD (14, "LookTime", SimScenario, look_time, DOUBLE, .validate = rule_time,
               .doc = "What a look at the clock costs a manager's pass, at most: each has 8 ms, then it goes on in another turn. 0: nothing, so that passes are "
                      "never cut, as virtual time stands still in a turn."),
  SWARM_FIELD (15, "Networks", SimScenario, networks, MESSAGES, .type = &swarm_network_spec_type,
               .doc = "Networks made before the services, in this order: Name, Driver, IPAM and so on as network inspect prints them."),
  { 0 },
};
TYPE (sim_scenario, SimScenario, check_scenario);

/* ---- files ---- */

/* A spec whose call must be refused may be wrong in itself: it becomes text until then. */
static void
set_refused_specs_aside (JsonNode *root)
{
  JsonNode *list = JSON_NODE_HOLDS_OBJECT (root) ? json_object_get_member (json_node_get_object (root), "Events") : NULL;
  JsonArray *events = list != NULL && JSON_NODE_HOLDS_ARRAY (list) ? json_node_get_array (list) : NULL;
  for (guint i = 0; events != NULL && i < json_array_get_length (events); i++) {
    JsonNode *node = json_array_get_element (events, i);
    JsonObject *event = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
    if (event == NULL || !json_object_has_member (event, "Error") || !json_object_has_member (event, "Spec"))
      continue;
    g_autofree char *text = json_to_string (json_object_get_member (event, "Spec"), FALSE);
    json_object_remove_member (event, "Spec");
    json_object_set_string_member (event, "SpecText", text);
  }
}

SimScenario *
sim_scenario_parse (const char *text, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, text, -1, error))
    return NULL;
  JsonNode *root = json_parser_get_root (parser);
  if (root == NULL) {
    invalid (error, "the file is empty");
    return NULL;
  }
  set_refused_specs_aside (root);
  return swarm_message_from_json (&sim_scenario_type, root, SWARM_FORM_FROM_USER, error);
}

SimScenario *
sim_scenario_load (const char *file, GError **error)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents (file, &text, NULL, error))
    return NULL;
  return sim_scenario_parse (text, error);
}

char *
sim_scenario_to_text (const SimScenario *self)
{
  g_autoptr (JsonNode) node = swarm_message_to_json (self, 0);
  g_autofree char *text = json_to_string (node, TRUE);
  return g_strconcat (text, "\n", NULL);
}

double
sim_scenario_end (const SimScenario *self)
{
  double last = 0;
  if (self->until > 0)
    return self->until;
  for (guint i = 0; self->events != NULL && i < self->events->len; i++) {
    const SimAction *action = g_ptr_array_index (self->events, i);
    last = MAX (last, action->at);
  }
  for (guint i = 0; self->expect != NULL && i < self->expect->len; i++) {
    const SimExpectation *expect = g_ptr_array_index (self->expect, i);
    last = MAX (last, MAX (expect->at + expect->within, expect->until));
  }
  return last + AFTERWARDS;
}
