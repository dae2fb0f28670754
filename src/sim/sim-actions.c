// SPDX-License-Identifier: LGPL-2.1-or-later
/* The events of a scenario: faults of machines and networks, and what users ask of control. */
#include "base/error.h"
#include "runtime-sim.h"
#include "sim/sim-run-private.h"

#define RETRY_US (200 * G_TIME_SPAN_MILLISECOND)
#define TRIES 1500
#define DISK_US 2000 /* the longest write of an unhurt disk */

/* ---- calls of users ---- */

/* Asked again with the same request id while nobody can know what became of it, as swarmctl does. */
typedef struct {
  SimRun *run;
  const SimAction *action; /* NULL: a service of the beginning */
  SwarmServiceSpec *spec;
  SimDo what;
  char request[24];
  SwarmNetworkSpec *network; /* of network-create */
  SwarmId id;
  guint tries;
} Call;

static void call_try (gpointer data);

void
sim_call_free (gpointer data)
{
  Call *call = data;
  swarm_message_unref (call->spec);
  swarm_message_unref (call->network);
  g_free (call);
}

static void
call_done (Call *call)
{
  g_hash_table_remove (call->run->calls, call);
}

static void
call_retry (Call *call)
{
  swarm_clock_timer (call->run->cluster->world.clock, RETRY_US, SWARM_PRIORITY_NORMAL, call_try, call);
}

static gboolean
is_passing (const Call *call, const GError *error)
{
  if (error->domain != SWARM_ERROR)
    return FALSE;
  switch ((SwarmError) error->code) {
  case SWARM_ERROR_NO_QUORUM:
  case SWARM_ERROR_NOT_MANAGER:
  case SWARM_ERROR_UNAVAILABLE:
  case SWARM_ERROR_UNKNOWN:
  case SWARM_ERROR_CANCELLED:
  case SWARM_ERROR_TIMED_OUT:
    return TRUE;
  case SWARM_ERROR_OUT_OF_SEQUENCE:
    return call->action == NULL || !call->action->stale;
  default:
    return FALSE;
  }
}

static const char *
call_name (const Call *call)
{
  if (call->what == SIM_DO_CLUSTER_UPDATE)
    return "the cluster";
  if (call->what == SIM_DO_NETWORK_CREATE)
    return call->network->name != NULL ? call->network->name : "a network";
  if (call->what == SIM_DO_NETWORK_REMOVE)
    return call->action->network;
  if (call->action == NULL || call->action->service == NULL)
    return call->spec != NULL && call->spec->name != NULL ? call->spec->name : call->action != NULL ? call->action->node : "";
  return call->action->service;
}

/* The answer is there: is it what the scenario says? */
static void
call_judge (Call *call, const GError *error)
{
  const char *want = call->action != NULL ? call->action->error : NULL;
  const char *got = error != NULL ? error->message : NULL;
  sim_trace_add (call->run, "event", call_name (call), swarm_enum_to_string (&sim_do_enum, call->what), got != NULL ? got : "done");
  if (error != NULL)
    call->run->figures.refused++;
  else
    call->run->figures.acknowledged++;
  call->run->figures.rebalances += error == NULL && call->what == SIM_DO_SERVICE_REBALANCE;
  if (g_strcmp0 (want, got) == 0 || g_strcmp0 (want, "*") == 0 || (want != NULL && got != NULL && g_pattern_match_simple (want, got)) || (want == NULL && !call->run->options.strict))
    return;
  sim_run_fail (call->run, "%s of %s: %s%s%s%s%s", swarm_enum_to_string (&sim_do_enum, call->what), call_name (call),
                got != NULL ? "refused with \"" : "succeeded", got != NULL ? got : "", got != NULL ? "\"" : "",
                want != NULL ? ", expected: " : "", want != NULL ? want : "");
}

static void
call_answered (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Call *call = data;
  if (call->run->over)
    return;
  if (error != NULL && is_passing (call, error) && call->tries < TRIES) {
    call_retry (call);
    return;
  }
  if (error == NULL) {
    gboolean node = call->action != NULL && call->what >= SIM_DO_NODE_ACTIVATE && call->what <= SIM_DO_NODE_PROMOTE;
    gboolean network = call->what == SIM_DO_NETWORK_CREATE || call->what == SIM_DO_NETWORK_REMOVE;
    gboolean removed = (call->what == SIM_DO_SERVICE_REMOVE || call->what == SIM_DO_NODE_REMOVE || call->what == SIM_DO_NETWORK_REMOVE) && !call->run->options.unasked;
    SwarmKind kind = call->what == SIM_DO_CLUSTER_UPDATE ? SWARM_KIND_CLUSTER : node ? SWARM_KIND_NODE : network ? SWARM_KIND_NETWORK : SWARM_KIND_SERVICE;
    SwarmId id = call->what == SIM_DO_SERVICE_CREATE || call->what == SIM_DO_NETWORK_CREATE ? reply->id : call->id;
    sim_promises_acknowledge (call->run->cluster->promises, kind, &id, reply->index, removed);
  }
  call_judge (call, error);
  call_done (call);
}

static void
call_fail (Call *call, SwarmError code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, text);
  call_judge (call, error);
  call_done (call);
}

/* What a service-update without a Spec makes of the service's spec. */
static SwarmServiceSpec *
changed_spec (const SimAction *action, const SwarmServiceSpec *old)
{
  SwarmServiceSpec *spec = swarm_service_spec_copy (old);
  SwarmTaskSpec *task = swarm_task_spec_copy (old->task);
  SwarmContainerSpec *container = swarm_container_spec_copy (task->container);
  if (action->image != NULL)
    swarm_string_set (&container->image, action->image);
  if (action->env != NULL) {
    g_clear_pointer (&container->env, g_ptr_array_unref);
    container->env = g_ptr_array_ref (action->env);
  }
  if (action->constraints != NULL) {
    SwarmPlacement *placement = task->placement != NULL ? swarm_placement_copy (task->placement) : swarm_placement_new ();
    g_clear_pointer (&placement->constraints, g_ptr_array_unref);
    placement->constraints = g_ptr_array_ref (action->constraints);
    swarm_message_set_pointer ((gpointer *) &task->placement, placement);
    swarm_placement_unref (placement);
  }
  if (action->labels != NULL) {
    g_clear_pointer (&spec->labels, g_hash_table_unref);
    spec->labels = g_hash_table_ref (action->labels);
  }
  task->force_update += action->force;
  swarm_message_set_pointer ((gpointer *) &task->container, container);
  swarm_container_spec_unref (container);
  swarm_message_set_pointer ((gpointer *) &spec->task, task);
  swarm_task_spec_unref (task);
  return spec;
}

static void
removal_is_asked_for (Call *call)
{
  if (!call->run->options.unasked)
    sim_promises_may_go (call->run->cluster->promises, &call->id);
}

static void
call_service (Call *call, SwarmControl *control, const SwarmService *service)
{
  const SimAction *action = call->action;
  call->id = service->object.id;
  if (call->what == SIM_DO_SERVICE_UPDATE) {
    g_autoptr (SwarmServiceSpec) spec
        = call->spec != NULL ? swarm_service_spec_ref (call->spec) : changed_spec (action, service->spec);
    swarm_control_update_service (control, &call->id, service->object.version - action->stale, spec, call->request, call_answered, call);
  } else if (call->what == SIM_DO_SERVICE_SCALE) {
    swarm_control_scale_service (control, &call->id, action->replicas, call->request, call_answered, call);
  } else if (call->what == SIM_DO_SERVICE_REMOVE) {
    removal_is_asked_for (call);
    swarm_control_remove_service (control, &call->id, call->request, call_answered, call);
  } else if (call->what == SIM_DO_SERVICE_REBALANCE) {
    swarm_control_rebalance_service (control, &call->id, (guint) MIN (action->moves, G_MAXUINT), call->request, call_answered, call);
  } else {
    swarm_control_rollback_service (control, &call->id, 0, call->request, call_answered, call);
  }
}

static void
call_node (Call *call, SwarmControl *control)
{
  const SimAction *action = call->action;
  call->id = sim_cluster_find (call->run->cluster, action->node)->id;
  if (call->what == SIM_DO_NODE_LABELS) {
    swarm_control_update_labels (control, &call->id, action->labels, action->remove, call->request, call_answered, call);
  } else if (call->what == SIM_DO_NODE_REMOVE) {
    removal_is_asked_for (call);
    swarm_control_remove_node (control, &call->id, action->force, call->request, call_answered, call);
  } else if (call->what == SIM_DO_NODE_DEMOTE || call->what == SIM_DO_NODE_PROMOTE) {
    SwarmRole role = call->what == SIM_DO_NODE_PROMOTE ? SWARM_ROLE_MANAGER : SWARM_ROLE_WORKER;
    swarm_control_set_role (control, &call->id, role, call->request, call_answered, call);
  } else if (call->what == SIM_DO_NODE_DRAIN && (action->order != 0 || action->deadline > 0)) {
    swarm_control_drain_node (control, &call->id, action->order, (gint64) (action->deadline * G_USEC_PER_SEC), call->request, call_answered, call);
  } else {
    const char *word = call->what == SIM_DO_NODE_ACTIVATE ? "active" : call->what == SIM_DO_NODE_PAUSE ? "pause" : "drain";
    swarm_control_set_availability (control, &call->id, word, call->request, call_answered, call);
  }
}

static void
call_network (Call *call, SwarmControl *control, SwarmStore *store)
{
  if (call->what == SIM_DO_NETWORK_CREATE) {
    swarm_control_create_network (control, call->network, call->request, call_answered, call);
    return;
  }
  const SwarmNetwork *network = swarm_store_get_by_name (store, SWARM_KIND_NETWORK, call->action->network);
  g_autofree char *text = g_strdup_printf ("network %s not found", call->action->network);
  if (network == NULL && (call->tries == 1 || swarm_id_is_nil (&call->id))) {
    call_fail (call, SWARM_ERROR_NOT_FOUND, text);
    return;
  }
  if (network != NULL) /* else it may be gone because of the first time */
    call->id = network->object.id;
  if (!call->run->options.unasked)
    sim_promises_may_go (call->run->cluster->promises, &call->id);
  swarm_control_remove_network (control, &call->id, call->request, call_answered, call);
}

static void
call_try (gpointer data)
{
  Call *call = data;
  if (call->run->over)
    return;
  SimMachine *leader = sim_cluster_leader (call->run->cluster);
  call->tries++;
  if (leader == NULL) {
    if (call->tries < TRIES)
      call_retry (call);
    else
      call_fail (call, SWARM_ERROR_NO_QUORUM, "nobody leads");
    return;
  }
  SwarmControl *control = swarm_manager_control (leader->brain);
  if (call->what == SIM_DO_CLUSTER_UPDATE) {
    const SwarmCluster *cluster = swarm_store_cluster (leader->store);
    call->id = cluster->object.id;
    swarm_control_update_cluster (control, cluster->object.version, call->action->cluster, call->request, call_answered, call);
  } else if (call->what == SIM_DO_NETWORK_CREATE || call->what == SIM_DO_NETWORK_REMOVE) {
    call_network (call, control, leader->store);
  } else if (call->what == SIM_DO_SERVICE_CREATE) {
    swarm_control_create_service (control, call->spec, call->request, call_answered, call);
  } else if (call->what >= SIM_DO_SERVICE_UPDATE) {
    const SwarmService *service = swarm_store_get_by_name (leader->store, SWARM_KIND_SERVICE, call->action->service);
    g_autofree char *text = g_strdup_printf ("no such service: %s", call->action->service);
    /* Asked a second time, it may be gone because of the first. */
    if (service == NULL && call->tries > 1 && call->what == SIM_DO_SERVICE_REMOVE && !swarm_id_is_nil (&call->id))
      swarm_control_remove_service (control, &call->id, call->request, call_answered, call);
    else if (service == NULL)
      call_fail (call, SWARM_ERROR_NOT_FOUND, text);
    else
      call_service (call, control, service);
  } else {
    call_node (call, control);
  }
}

static SwarmServiceSpec *
parse_spec (const char *text, GError **error)
{
  g_autoptr (JsonNode) node = json_from_string (text, error);
  return node != NULL ? swarm_message_from_json (&swarm_service_spec_type, node, SWARM_FORM_FROM_USER, error) : NULL;
}

static void
call_begin (SimRun *run, SimDo what, const SimAction *action, const SwarmServiceSpec *spec, const SwarmNetworkSpec *network)
{
  Call *call = g_new0 (Call, 1);
  call->run = run;
  call->what = what;
  call->action = action;
  g_autoptr (GError) error = NULL;
  call->spec = spec != NULL ? swarm_service_spec_ref (spec) : NULL;
  call->network = network != NULL ? swarm_network_spec_ref (network) : NULL;
  if (call->spec == NULL && action != NULL && action->spec_text != NULL)
    call->spec = parse_spec (action->spec_text, &error);
  g_snprintf (call->request, sizeof call->request, "sim-%u", ++run->n_actions);
  g_hash_table_add (run->calls, call);
  run->figures.calls++;
  if (error != NULL)
    call_fail (call, SWARM_ERROR_INVALID_ARGUMENT, error->message);
  else
    call_try (call);
}

void
sim_action_create (SimRun *self, const SwarmServiceSpec *spec)
{
  call_begin (self, SIM_DO_SERVICE_CREATE, NULL, spec, NULL);
}

void
sim_action_create_network (SimRun *self, const SwarmNetworkSpec *spec)
{
  call_begin (self, SIM_DO_NETWORK_CREATE, NULL, NULL, spec);
}

/* ---- faults ---- */

/* A fault that lasts. */
typedef struct {
  SimRun *run;
  SimMachine *machine, *other; /* other NULL: all */
  SimDo what;
  gboolean over;
} Fault;

static gboolean
is_cut (const Fault *fault)
{
  return !fault->over && (fault->what == SIM_DO_NODE_CUT || fault->what == SIM_DO_NODE_STALL);
}

/* Does @fault cut the path from @from to @to? */
static gboolean
cuts (const Fault *fault, const SimMachine *from, const SimMachine *to)
{
  if (!is_cut (fault))
    return FALSE;
  if (fault->machine == from && (fault->other == NULL || fault->other == to))
    return TRUE;
  return fault->what == SIM_DO_NODE_CUT && fault->machine == to && (fault->other == NULL || fault->other == from);
}

/* Puts the path between two machines as all faults that last say. */
static void
set_path (SimRun *self, SimMachine *a, SimMachine *b)
{
  gboolean there = FALSE, back = FALSE;
  for (guint i = 0; i < self->faults->len; i++) {
    const Fault *fault = g_ptr_array_index (self->faults, i);
    there = there || cuts (fault, a, b);
    back = back || cuts (fault, b, a);
  }
  if (!there || !back)
    sim_net_heal (self->cluster->world.net, a->host, b->host);
  if (there)
    sim_net_cut (self->cluster->world.net, a->host, b->host, FALSE);
  if (back)
    sim_net_cut (self->cluster->world.net, b->host, a->host, FALSE);
}

static void
set_paths (SimRun *self, const Fault *changed)
{
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++) {
    SimMachine *peer = sim_cluster_machine (self->cluster, i);
    peer->cut = FALSE;
    if (peer != changed->machine && (changed->other == NULL || peer == changed->other))
      set_path (self, changed->machine, peer);
  }
  for (guint i = 0; i < self->faults->len; i++) {
    Fault *fault = g_ptr_array_index (self->faults, i);
    if (is_cut (fault))
      fault->machine->cut = TRUE;
    if (is_cut (fault) && fault->other != NULL)
      fault->other->cut = TRUE;
  }
}

static void
mend (gpointer data)
{
  Fault *job = data;
  if (job->run->over || job->over)
    return;
  job->over = TRUE;
  switch (job->what) {
  case SIM_DO_NODE_CUT:
  case SIM_DO_NODE_STALL:
    set_paths (job->run, job);
    break;
  case SIM_DO_NODE_NOISE:
    sim_host_set_noise (job->machine->host, 0, 0);
    break;
  case SIM_DO_DISK_DELAY:
    sim_disk_set_delay (job->machine->log_disk, 100, DISK_US);
    sim_disk_set_delay (job->machine->worker_disk, 100, DISK_US);
    break;
  default:
    sim_machine_start (job->machine);
  }
  sim_trace_add (job->run, "event", job->machine->name, "mended", NULL);
}

/* All cuts and slow disks end; machines that are off stay off. */
static void
heal (SimRun *self)
{
  for (guint i = 0; i < self->faults->len; i++) {
    Fault *fault = g_ptr_array_index (self->faults, i);
    if (is_cut (fault) || fault->what == SIM_DO_DISK_DELAY || fault->what == SIM_DO_NODE_NOISE)
      mend (fault);
  }
}

static void
reset_links (SimRun *self, SimMachine *machine, SimMachine *other)
{
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++) {
    SimMachine *peer = sim_cluster_machine (self->cluster, i);
    if (peer != machine && (other == NULL || peer == other))
      sim_net_reset (self->cluster->world.net, machine->host, peer->host);
  }
}

static void
slow_disks (SimMachine *machine, double seconds)
{
  sim_disk_set_delay (machine->log_disk, 100, MAX ((gint64) (seconds * G_USEC_PER_SEC), 100));
  sim_disk_set_delay (machine->worker_disk, 100, MAX ((gint64) (seconds * G_USEC_PER_SEC), 100));
}

/* TRUE: it lasts. */
static gboolean
do_fault (SimRun *self, const SimAction *action, const Fault *fault)
{
  SimMachine *machine = fault->machine;
  switch (fault->what) {
  case SIM_DO_NODE_DOWN:
    sim_machine_power_cut (machine);
    self->figures.crashes++;
    return TRUE;
  case SIM_DO_NODE_SHUTDOWN:
    sim_machine_shutdown (machine);
    return TRUE;
  case SIM_DO_AGENT_KILL:
    sim_machine_kill (machine);
    self->figures.crashes++;
    return TRUE;
  case SIM_DO_AGENT_STOP:
    sim_machine_stop (machine);
    return TRUE;
  case SIM_DO_NODE_CUT:
  case SIM_DO_NODE_STALL:
    set_paths (self, fault);
    return TRUE;
  case SIM_DO_DISK_DELAY:
    slow_disks (machine, action->delay);
    return TRUE;
  case SIM_DO_NODE_NOISE:
    sim_host_set_noise (machine->host, (guint) action->loss, (gint64) (action->delay * G_USEC_PER_SEC));
    return TRUE;
  case SIM_DO_NODE_RESET:
    reset_links (self, machine, fault->other);
    return FALSE;
  default:
    return FALSE;
  }
}

static SimDo
fault_of_leader (SimDo what)
{
  switch (what) {
  case SIM_DO_LEADER_KILL:
    return SIM_DO_AGENT_KILL;
  case SIM_DO_LEADER_DOWN:
    return SIM_DO_NODE_DOWN;
  default:
    return SIM_DO_NODE_CUT;
  }
}

static void
fault (SimRun *self, const SimAction *action)
{
  gboolean leads = action->what >= SIM_DO_LEADER_KILL && action->what <= SIM_DO_LEADER_CUT;
  SimMachine *machine = leads ? sim_cluster_leader (self->cluster) : sim_cluster_find (self->cluster, action->node);
  SimMachine *other = action->other != NULL ? sim_cluster_find (self->cluster, action->other) : NULL;
  SimDo what = leads ? fault_of_leader (action->what) : action->what;
  if (machine == NULL || machine->absent || machine->left)
    return;
  self->figures.faults++;
  sim_trace_add (self, "event", machine->name, swarm_enum_to_string (&sim_do_enum, what), NULL);
  Fault *job = g_new0 (Fault, 1);
  *job = (Fault){ self, machine, other, what, FALSE };
  g_ptr_array_add (self->faults, job);
  if (!do_fault (self, action, job))
    job->over = TRUE;
  else if (action->seconds > 0)
    swarm_clock_timer (self->cluster->world.clock, (gint64) (action->seconds * G_USEC_PER_SEC), SWARM_PRIORITY_NORMAL, mend, job);
}

/* ---- the rest ---- */

/* The node tells something else about itself: as its agent does after a restart. */
static void
describe_anew (SimRun *self, const SimAction *action)
{
  SimMachine *machine = sim_cluster_find (self->cluster, action->node);
  SwarmNodeDescription *description = swarm_node_description_copy (machine->description);
  if (action->resources != NULL)
    swarm_message_set_pointer ((gpointer *) &description->resources, action->resources);
  if (action->platform != NULL)
    swarm_message_set_pointer ((gpointer *) &description->platform, action->platform);
  if (action->engine_labels != NULL || action->plugins != NULL) {
    SwarmEngineDescription *engine
        = description->engine != NULL ? swarm_engine_description_copy (description->engine) : swarm_engine_description_new ();
    if (action->engine_labels != NULL) {
      g_clear_pointer (&engine->labels, g_hash_table_unref);
      engine->labels = g_hash_table_ref (action->engine_labels);
    }
    if (action->plugins != NULL) {
      g_clear_pointer (&engine->plugins, g_ptr_array_unref);
      engine->plugins = g_ptr_array_ref (action->plugins);
    }
    swarm_message_set_pointer ((gpointer *) &description->engine, engine);
    swarm_engine_description_unref (engine);
  }
  swarm_node_description_unref (machine->description);
  machine->description = description;
  if (machine->running) {
    sim_machine_kill (machine);
    sim_machine_start (machine);
  }
}

static void
end_task (SimRun *self, const SimAction *action)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  const SwarmService *service = truth != NULL ? swarm_store_get_by_name (truth, SWARM_KIND_SERVICE, action->service) : NULL;
  g_autoptr (GPtrArray) tasks = service != NULL ? swarm_store_tasks_of_service (truth, &service->object.id) : g_ptr_array_new ();
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    SwarmIdString id = swarm_id_string (&task->object.id);
    if ((action->slot == 0 || task->slot == action->slot)
        && (action->node == NULL || g_str_equal (sim_node_name (self, &task->node_id), action->node))
        && runtime_sim_kill (id.str, (int) action->exit_code))
      return;
  }
  if (action->error == NULL && self->options.strict)
    sim_run_fail (self, "task-exit: no such task of %s runs", action->service);
}

void
sim_action_do (SimRun *self, const SimAction *action)
{
  SimMachine *machine = action->node != NULL ? sim_cluster_find (self->cluster, action->node) : NULL;
  if (action->what >= SIM_DO_SERVICE_CREATE || (action->what >= SIM_DO_NODE_ACTIVATE && action->what <= SIM_DO_NODE_LABELS)
      || (action->what >= SIM_DO_NODE_REMOVE && action->what <= SIM_DO_NETWORK_REMOVE)) {
    call_begin (self, action->what, action, action->spec, action->network_spec);
    return;
  }
  if (sim_do_is_fault (action->what)) {
    fault (self, action);
    return;
  }
  sim_trace_add (self, "event", action->node != NULL ? action->node : action->service, swarm_enum_to_string (&sim_do_enum, action->what), NULL);
  switch (action->what) {
  case SIM_DO_NODE_UP:
  case SIM_DO_AGENT_START:
    sim_machine_start (machine);
    break;
  case SIM_DO_HEAL:
    heal (self);
    break;
  case SIM_DO_NODE_RESOURCES:
    describe_anew (self, action);
    break;
  case SIM_DO_NODE_JOIN:
    sim_cluster_join (self->cluster, machine);
    break;
  case SIM_DO_NODE_LEAVE:
    sim_machine_leave (machine);
    break;
  case SIM_DO_CLOCK_STEP:
    sim_clock_step_wall (machine->clock, (gint64) (action->seconds * G_USEC_PER_SEC));
    break;
  case SIM_DO_TASK_EXIT:
    end_task (self, action);
    break;
  default:
    break;
  }
}
