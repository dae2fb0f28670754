// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-run-private.h"
#include "base/error.h"
#include "runtime-sim.h"

#define SECONDS(s) ((gint64) ((s) * G_USEC_PER_SEC))

double
sim_run_time (SimRun *self)
{
  return (double) (sim_clock_time (self->cluster->world.sim) - self->began) / G_USEC_PER_SEC;
}

void
sim_run_fail (SimRun *self, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (self->failures, g_strdup_printf ("%.3f s: %s", sim_run_time (self), text));
}

/* ---- the machines that a scenario describes ---- */

static SwarmNodeDescription *
describe_node (const SimNodeSpec *spec)
{
  SwarmNodeDescription *description = swarm_node_description_new ();
  description->feature_level = SWARM_FEATURE_LEVEL;
  if (spec->resources != NULL) {
    description->resources = swarm_resources_ref (spec->resources);
  } else {
    description->resources = swarm_resources_new ();
    description->resources->nano_cpus = G_GINT64_CONSTANT (64000000000);
    description->resources->memory_bytes = G_GINT64_CONSTANT (64) << 30;
  }
  if (spec->platform != NULL)
    description->platform = swarm_platform_ref (spec->platform);
  if (spec->engine_labels != NULL || spec->plugins != NULL) {
    description->engine = swarm_engine_description_new ();
    if (spec->engine_labels != NULL)
      description->engine->labels = g_hash_table_ref (spec->engine_labels);
    if (spec->plugins != NULL)
      description->engine->plugins = g_ptr_array_ref (spec->plugins);
  }
  return description;
}

typedef struct {
  GArray *configs; /* SimMachineConfig */
  GPtrArray *names, *descriptions, *ids;
} Machines;

static void
machines_clear (Machines *self)
{
  g_array_unref (self->configs);
  g_ptr_array_unref (self->names);
  g_ptr_array_unref (self->descriptions);
  g_ptr_array_unref (self->ids);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Machines, machines_clear)

static void
machines_add (Machines *self, const SimNodeSpec *spec, char *name, SimMachineConfig config)
{
  config.name = name;
  g_ptr_array_add (self->names, name);
  if (spec != NULL) {
    config.description = describe_node (spec);
    g_ptr_array_add (self->descriptions, config.description);
    config.ip = spec->address;
    config.absent = spec->absent;
    config.manager = spec->role == SWARM_ROLE_MANAGER;
    config.availability = spec->availability;
  }
  if (spec != NULL && spec->id != NULL) {
    SwarmId *id = g_new0 (SwarmId, 1);
    swarm_id_parse (spec->id, id);
    g_ptr_array_add (self->ids, id);
    config.id = id;
  }
  g_array_append_val (self->configs, config);
}

static void
machines_fill (Machines *self, const SimScenario *scenario)
{
  for (guint i = 1; i <= scenario->managers; i++)
    machines_add (self, NULL, g_strdup_printf ("m%u", i),
                  (SimMachineConfig){ .manager = TRUE, .availability = SWARM_AVAILABILITY_DRAIN });
  for (guint i = 1; i <= scenario->workers; i++)
    machines_add (self, NULL, g_strdup_printf ("w%u", i), (SimMachineConfig){ .manager = FALSE });
  for (guint i = 0; scenario->nodes != NULL && i < scenario->nodes->len; i++) {
    const SimNodeSpec *spec = g_ptr_array_index (scenario->nodes, i);
    for (guint n = 1; n <= spec->count; n++)
      machines_add (self, spec, spec->count > 1 ? g_strdup_printf ("%s%u", spec->name, n) : g_strdup (spec->name), (SimMachineConfig){ 0 });
  }
}

static gboolean
refuse (GError **error, const char *where, const char *what, const char *name)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s: %s \"%s\"", where, what, name);
  return FALSE;
}

/* Names, IDs and addresses that are given are each one node's. */
static gboolean
machines_differ (Machines *self, const SimScenario *scenario, GHashTable *names, GError **error)
{
  g_autoptr (GHashTable) ids = g_hash_table_new (g_str_hash, g_str_equal), addresses = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < self->configs->len; i++) {
    const SimMachineConfig *config = &g_array_index (self->configs, SimMachineConfig, i);
    if (!g_hash_table_add (names, (gpointer) config->name))
      return refuse (error, "Nodes", "there are two nodes", config->name);
  }
  for (guint i = 0; scenario->nodes != NULL && i < scenario->nodes->len; i++) {
    const SimNodeSpec *spec = g_ptr_array_index (scenario->nodes, i);
    if (spec->id != NULL && !g_hash_table_add (ids, spec->id))
      return refuse (error, "Nodes", "there are two nodes with the ID", spec->id);
    if (spec->address != NULL && !g_hash_table_add (addresses, spec->address))
      return refuse (error, "Nodes", "there are two nodes with the Address", spec->address);
  }
  return TRUE;
}

static gboolean
expectation_check (const SimExpectation *expect, GHashTable *names, GError **error)
{
  GHashTableIter iter;
  gpointer node;
  if (expect->node != NULL && !g_hash_table_contains (names, expect->node))
    return refuse (error, "Expect", "there is no node", expect->node);
  if (expect->placement == NULL)
    return TRUE;
  g_hash_table_iter_init (&iter, expect->placement);
  while (g_hash_table_iter_next (&iter, &node, NULL)) {
    if (!g_hash_table_contains (names, node))
      return refuse (error, "Expect", "there is no node", node);
  }
  return TRUE;
}

/* Every name that is used means something, and the first machine can found the cluster. */
static gboolean
machines_check (Machines *self, const SimScenario *scenario, GHashTable *names, GError **error)
{
  if (!machines_differ (self, scenario, names, error))
    return FALSE;
  if (self->configs->len == 0 || !g_array_index (self->configs, SimMachineConfig, 0).manager || g_array_index (self->configs, SimMachineConfig, 0).absent)
    return refuse (error, "Managers", "the first node must be a manager, not", self->configs->len > 0 ? g_array_index (self->configs, SimMachineConfig, 0).name : "");
  for (guint i = 0; scenario->events != NULL && i < scenario->events->len; i++) {
    const SimAction *action = g_ptr_array_index (scenario->events, i);
    if (action->node != NULL && !g_hash_table_contains (names, action->node))
      return refuse (error, "Events", "there is no node", action->node);
    if (action->other != NULL && !g_hash_table_contains (names, action->other))
      return refuse (error, "Events", "there is no node", action->other);
  }
  for (guint i = 0; scenario->expect != NULL && i < scenario->expect->len; i++) {
    if (!expectation_check (g_ptr_array_index (scenario->expect, i), names, error))
      return FALSE;
  }
  for (guint i = 0; scenario->behaviours != NULL && i < scenario->behaviours->len; i++) {
    const SimBehaviour *behaviour = g_ptr_array_index (scenario->behaviours, i);
    if (behaviour->node != NULL && !g_hash_table_contains (names, behaviour->node))
      return refuse (error, "Behaviours", "there is no node", behaviour->node);
  }
  return TRUE;
}

/* ---- life ---- */

static void
cluster_changed (gpointer data)
{
  SimRun *self = data;
  sim_trace_leader (self);
  sim_expect_look (self);
}

/* Labels that the nodes have from the beginning. */
static void
label_nodes (SimRun *self, const SimScenario *scenario)
{
  SwarmControl *control = swarm_manager_control (sim_cluster_leader (self->cluster)->brain);
  for (guint i = 0; scenario->nodes != NULL && i < scenario->nodes->len; i++) {
    const SimNodeSpec *spec = g_ptr_array_index (scenario->nodes, i);
    for (guint n = 1; spec->labels != NULL && !spec->absent && n <= spec->count; n++) {
      g_autofree char *name = spec->count > 1 ? g_strdup_printf ("%s%u", spec->name, n) : g_strdup (spec->name);
      swarm_control_update_labels (control, &sim_cluster_find (self->cluster, name)->id, spec->labels, NULL, NULL, NULL, NULL);
    }
  }
  sim_cluster_run (self->cluster, G_TIME_SPAN_SECOND);
}

/* Those of the beginning. */
static void
count_nodes (SimRun *self, GArray *configs)
{
  for (guint i = 0; i < configs->len; i++) {
    const SimMachineConfig *config = &g_array_index (configs, SimMachineConfig, i);
    self->figures.nodes += !config->absent;
    self->figures.managers += config->manager && !config->absent;
  }
  self->figures.least_nodes = self->figures.nodes;
  self->figures.least_managers = self->figures.managers;
}

SimRun *
sim_run_new (const SimScenario *scenario, const SimRunOptions *options, GError **error)
{
  g_auto (Machines) machines = { g_array_new (FALSE, FALSE, sizeof (SimMachineConfig)), g_ptr_array_new_with_free_func (g_free),
                                 g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_node_description_unref),
                                 g_ptr_array_new_with_free_func (g_free) };
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  machines_fill (&machines, scenario);
  if (!machines_check (&machines, scenario, names, error))
    return NULL;
  SimRun *self = g_new0 (SimRun, 1);
  self->scenario = sim_scenario_ref (scenario);
  self->options = *options;
  self->transitions = g_ptr_array_new_with_free_func (sim_transition_free);
  self->failures = g_ptr_array_new_with_free_func (g_free);
  self->watches = g_ptr_array_new_with_free_func (sim_watch_free);
  self->planned = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_hash_table_unref);
  self->due = g_ptr_array_new_with_free_func (g_free);
  self->calls = g_hash_table_new_full (NULL, NULL, sim_call_free, NULL);
  self->faults = g_ptr_array_new_with_free_func (g_free);
  self->slot_nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  SimClusterConfig config = { .seed = options->seed, .simple_log = scenario->simple_log, .machines = machines.configs, .spec = scenario->cluster,
                              .look_us = (gint64) (scenario->look_time * G_USEC_PER_SEC) };
  self->cluster = sim_cluster_new (&config);
  self->cluster->lenient = TRUE;
  label_nodes (self, scenario);
  count_nodes (self, machines.configs);
  self->cluster->on_commit = sim_trace_commit;
  self->cluster->on_commit_data = self;
  self->cluster->on_change = cluster_changed;
  self->cluster->on_change_data = self;
  sim_behaviour_install (self);
  self->began = sim_clock_time (self->cluster->world.sim);
  return self;
}

void
sim_run_free (SimRun *self)
{
  if (self == NULL)
    return;
  self->over = TRUE;
  runtime_sim_set_planner (NULL, NULL);
  sim_cluster_free (self->cluster);
  g_ptr_array_unref (self->transitions);
  g_ptr_array_unref (self->failures);
  g_ptr_array_unref (self->due);
  g_hash_table_unref (self->calls);
  g_ptr_array_unref (self->faults);
  g_ptr_array_unref (self->watches);
  g_hash_table_unref (self->planned);
  g_hash_table_unref (self->slot_nodes);
  sim_scenario_unref ((SimScenario *) self->scenario);
  g_free (self);
}

typedef struct {
  SimRun *run;
  const SimAction *action;
} Due;

static void
action_due (gpointer data)
{
  const Due *due = data;
  sim_action_do (due->run, due->action);
}

static void
schedule (SimRun *self, double end)
{
  for (guint i = 0; self->scenario->events != NULL && i < self->scenario->events->len; i++) {
    const SimAction *action = g_ptr_array_index (self->scenario->events, i);
    if (action->at > end)
      continue;
    Due *due = g_new0 (Due, 1);
    *due = (Due){ self, action };
    g_ptr_array_add (self->due, due);
    swarm_clock_timer (self->cluster->world.clock, SECONDS (action->at), SWARM_PRIORITY_URGENT, action_due, due);
  }
}

static void
note_broken (SimRun *self)
{
  if (self->cluster->broken == NULL)
    return;
  sim_run_fail (self, "broken promise: %s", self->cluster->broken);
  g_clear_pointer (&self->cluster->broken, g_free);
}

/* Nothing is left to happen or to be seen. */
static gboolean
is_over (SimRun *self)
{
  double now = sim_run_time (self);
  if (self->options.until > 0 || self->scenario->until > 0 || self->watches->len == 0 || g_hash_table_size (self->calls) > 0)
    return FALSE;
  for (guint i = 0; i < self->due->len; i++) {
    if (((Due *) g_ptr_array_index (self->due, i))->action->at >= now)
      return FALSE;
  }
  return sim_expect_is_done (self);
}

/* Controls: what the promises must notice. */
static void
spoil (SimRun *self)
{
  SimMachine *one = NULL, *other = NULL;
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++) {
    SimMachine *machine = sim_cluster_machine (self->cluster, i);
    if (machine->manager && self->options.lie)
      sim_disk_lie (machine->log_disk, 500 * G_TIME_SPAN_MILLISECOND);
    if (machine->manager || machine->absent)
      continue;
    one = other;
    other = machine;
  }
  if (!self->options.twin || one == NULL)
    return;
  sim_machine_kill (other);
  other->id = one->id;
  sim_machine_start (other);
}

/* They are there before anything else begins: services name them. */
static void
make_networks (SimRun *self)
{
  for (guint i = 0; self->scenario->networks != NULL && i < self->scenario->networks->len; i++)
    sim_action_create_network (self, g_ptr_array_index (self->scenario->networks, i));
  for (guint i = 0; g_hash_table_size (self->calls) > 0 && i < 1000; i++)
    sim_cluster_run (self->cluster, SECONDS (0.01));
}

gboolean
sim_run_go (SimRun *self)
{
  double end = self->options.until > 0 ? self->options.until : sim_scenario_end (self->scenario);
  make_networks (self);
  schedule (self, end);
  sim_expect_begin (self);
  for (guint i = 0; self->scenario->services != NULL && i < self->scenario->services->len; i++)
    sim_action_create (self, g_ptr_array_index (self->scenario->services, i));
  spoil (self);
  while (sim_run_time (self) < end && self->cluster->broken == NULL && !is_over (self))
    sim_cluster_run (self->cluster, SECONDS (MIN (1.0, end - sim_run_time (self))));
  note_broken (self);
  sim_expect_end (self);
  if (self->options.strict && g_hash_table_size (self->calls) > 0 && self->failures->len == 0)
    sim_run_fail (self, "%u calls are not answered", g_hash_table_size (self->calls));
  g_autofree char *why = NULL;
  if (self->options.strict && self->failures->len == 0 && !sim_cluster_stores_agree (self->cluster, &why))
    sim_run_fail (self, "%s", why);
  note_broken (self);
  self->figures.elections = sim_promises_n_elections (self->cluster->promises);
  self->figures.seconds = sim_run_time (self);
  return self->failures->len == 0;
}

GPtrArray *
sim_run_failures (SimRun *self)
{
  return self->failures;
}

const SimRunFigures *
sim_run_figures (SimRun *self)
{
  return &self->figures;
}
