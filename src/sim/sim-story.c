// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-clock.h"
#include "sim/sim-fuzz.h"

#define SECOND_NS G_GINT64_CONSTANT (1000000000)
#define SERVICES 12
#define GLOBAL_PERCENT 20
#define JOB_PERCENT 15
#define GLOBAL_JOB_PERCENT 8
#define FAULTS 66  /* at least so many are planned */
#define REST 900.0 /* how long everything may take to come to rest */
#define REST_OF_BIG 3000.0
#define MANY 150 /* replicas of a big service: more than a pass looks at between two looks at the clock */

typedef struct {
  char name[8];
  SwarmServiceKind kind;
  gboolean host_port, labels, big;
  double created, removed; /* 0: never */
} Service;

/* As the story means it; whether and when it comes about, the cluster decides. */
typedef struct {
  const char *name;
  gboolean manager;
  double since; /* has its role */
  double until; /* leaves; 0: stays */
} Node;

typedef struct {
  const SimStoryOptions *options;
  SimRandom dice;
  SimRandom net_dice; /* of networks alone: the rest of a story does not depend on them */
  SimScenario *scenario;
  GPtrArray *managers, *workers; /* char *: as they begin */
  GArray *nodes;                 /* Node */
  guint spare;                   /* so many may leave */
  Service services[SERVICES];
  guint made;
  double calm; /* when nothing fails any more */
} Story;

static gint64
roll (Story *self, gint64 low, gint64 high)
{
  return sim_random_range (&self->dice, low, high);
}

static gboolean
chance (Story *self, guint percent)
{
  return sim_random_chance (&self->dice, percent);
}

/* Seconds between @low and @high, in milliseconds. */
static double
roll_time (Story *self, double low, double high)
{
  return (double) roll (self, (gint64) (low * 1000), (gint64) (high * 1000)) / 1000;
}

static const char *
pick (Story *self, GPtrArray *names)
{
  return g_ptr_array_index (names, roll (self, 0, names->len - 1));
}

static const char *
pick_node (Story *self)
{
  return chance (self, 20) ? pick (self, self->managers) : pick (self, self->workers);
}

static SimAction *
add_event (Story *self, double at, SimDo what)
{
  SimAction *action = sim_action_new ();
  action->at = at;
  action->what = what;
  if (self->scenario->events == NULL)
    self->scenario->events = swarm_messages_new ();
  g_ptr_array_add (self->scenario->events, action);
  return action;
}

static SimAction *
add_call (Story *self, double at, SimDo what)
{
  SimAction *action = add_event (self, at, what);
  action->error = g_strdup ("*");
  return action;
}

/* ---- nodes ---- */

static void
add_node (Story *self, const char *prefix, guint number, gboolean manager, gboolean late)
{
  static const char *const zones[] = { "a", "b", "c" };
  SimNodeSpec *node = sim_node_spec_new ();
  node->name = g_strdup_printf ("%s%u", prefix, number);
  node->role = manager ? SWARM_ROLE_MANAGER : SWARM_ROLE_WORKER;
  node->labels = swarm_map_new ();
  g_hash_table_insert (node->labels, g_strdup ("zone"), g_strdup (zones[roll (self, 0, 2)]));
  node->resources = swarm_resources_new ();
  node->resources->nano_cpus = roll (self, 4, 32) * SECOND_NS;
  node->resources->memory_bytes = roll (self, 8, 64) << 30;
  node->absent = late;
  Node what = { node->name, manager, late ? roll_time (self, 5, self->calm - 30) : 0, 0 };
  if (late)
    add_event (self, what.since, SIM_DO_NODE_JOIN)->node = g_strdup (node->name);
  g_ptr_array_add (self->scenario->nodes, node);
  g_ptr_array_add (manager ? self->managers : self->workers, node->name);
  g_array_append_val (self->nodes, what);
}

/* So many as asked for stay; some more come late or may leave. */
static void
add_nodes (Story *self)
{
  guint managers = chance (self, 30) ? 5 : 3, workers = self->options->nodes - managers;
  guint late_managers = chance (self, 50) ? (guint) roll (self, 1, 2) : 0, late_workers = (guint) roll (self, 0, 2);
  self->spare = (guint) roll (self, 0, 2);
  self->scenario->managers = 0;
  self->scenario->nodes = swarm_messages_new ();
  workers += self->spare;
  for (guint i = 1; i <= managers + late_managers; i++)
    add_node (self, "m", i, TRUE, i > managers);
  for (guint i = 1; i <= workers + late_workers; i++)
    add_node (self, "w", i, FALSE, i > workers);
}

/* ---- services ---- */

static SwarmUpdateConfig *
make_update (Story *self, gboolean rollback)
{
  SwarmUpdateConfig *update = swarm_update_config_new ();
  update->parallelism = (guint64) roll (self, 0, 3);
  update->delay = roll (self, 0, 2) * SECOND_NS;
  update->monitor = roll (self, 1, 5) * SECOND_NS;
  update->order = chance (self, 40) ? SWARM_ORDER_START_FIRST : SWARM_ORDER_STOP_FIRST;
  update->failure_action = (SwarmFailureAction) roll (self, 0, rollback ? 1 : 2);
  update->max_failure_ratio = chance (self, 30) ? 0.3 : 0;
  return update;
}

static gboolean
is_job (const Service *service)
{
  return service->kind == SWARM_SERVICE_REPLICATED_JOB || service->kind == SWARM_SERVICE_GLOBAL_JOB;
}

/* A job must come to its end, however often it fails before: any number of attempts. */
static SwarmRestartPolicy *
make_policy (Story *self, gboolean job)
{
  SwarmRestartPolicy *policy = swarm_restart_policy_new ();
  policy->delay = roll (self, 0, 4) * SECOND_NS / 2;
  policy->backoff = roll (self, 1, 20) * SECOND_NS;
  if (!job && chance (self, 20))
    policy->max_attempts = (guint64) roll (self, 1, 6);
  if (policy->max_attempts > 0 && chance (self, 50))
    policy->window = roll (self, 5, 30) * SECOND_NS;
  if (job || chance (self, 20))
    policy->condition = SWARM_RESTART_ON_FAILURE;
  return policy;
}

static SwarmHealthcheck *
make_healthcheck (Story *self)
{
  SwarmHealthcheck *health = swarm_healthcheck_new ();
  health->test = swarm_strings_new ();
  g_ptr_array_add (health->test, g_strdup ("CMD"));
  g_ptr_array_add (health->test, g_strdup ("true"));
  health->interval = roll (self, 1, 4) * SECOND_NS;
  health->retries = roll (self, 1, 3);
  health->start_period = roll (self, 4, 10) * SECOND_NS; /* longer than any container of a story takes to be well */
  return health;
}

static void
fill_task (Story *self, Service *service, SwarmTaskSpec *task)
{
  task->container = swarm_container_spec_new ();
  task->container->image = g_strdup ("nginx:1");
  if (chance (self, 70))
    task->restart_policy = make_policy (self, is_job (service));
  service->labels = chance (self, 20);
  if (service->labels || chance (self, 30))
    task->placement = swarm_placement_new ();
  if (task->placement != NULL && chance (self, 40)) {
    SwarmPlacementPreference *preference = swarm_placement_preference_new ();
    preference->spread = swarm_spread_new ();
    preference->spread->descriptor = g_strdup ("node.labels.zone");
    task->placement->preferences = swarm_messages_new ();
    g_ptr_array_add (task->placement->preferences, preference);
  } else if (task->placement != NULL && chance (self, 30)) {
    task->placement->strategy = g_strdup (chance (self, 50) ? "binpack" : "random");
  }
  if (!is_job (service) && chance (self, 20))
    task->container->healthcheck = make_healthcheck (self);
  if (service->labels) {
    task->placement->constraints = swarm_strings_new ();
    g_ptr_array_add (task->placement->constraints, g_strdup ("node.labels.zone!=c"));
  }
  /* Where a global one has no room, it is not as declared: none is full by right. */
  if (service->kind != SWARM_SERVICE_GLOBAL && service->kind != SWARM_SERVICE_GLOBAL_JOB && !service->big && chance (self, 30)) {
    task->resources = swarm_resource_requirements_new ();
    task->resources->reservations = swarm_resources_new ();
    task->resources->reservations->nano_cpus = roll (self, 1, 20) * SECOND_NS / 20;
    task->resources->reservations->memory_bytes = roll (self, 1, 16) << 26;
  }
}

static guint64
roll_replicas (Story *self, const Service *service)
{
  return (guint64) roll (self, 0, service->host_port ? 6 : service->big ? MANY : 12);
}

static void
fill_mode (Story *self, const Service *service, SwarmServiceSpec *spec)
{
  spec->mode = swarm_service_mode_new ();
  if (service->kind == SWARM_SERVICE_GLOBAL) {
    spec->mode->global = swarm_global_new ();
  } else if (service->kind == SWARM_SERVICE_GLOBAL_JOB) {
    spec->mode->global_job = swarm_global_job_new ();
  } else if (service->kind == SWARM_SERVICE_REPLICATED_JOB) {
    spec->mode->replicated_job = swarm_replicated_job_new ();
    spec->mode->replicated_job->total_completions = (guint64) roll (self, 1, 12);
    spec->mode->replicated_job->max_concurrent = (guint64) roll (self, 1, 4);
  } else {
    spec->mode->replicated = swarm_replicated_new ();
    spec->mode->replicated->replicas = roll_replicas (self, service);
  }
}

/* ---- networks ---- */

#define NETWORKS 3

/* The last one is small: now and then its services wait for an address, yet not for ever. Big services would: they get more of them. */
static void
add_networks (Story *self)
{
  gboolean big = self->options->hurry;
  self->scenario->networks = swarm_messages_new ();
  for (guint i = 1; i <= NETWORKS; i++) {
    SwarmNetworkSpec *network = swarm_network_spec_new ();
    network->name = g_strdup_printf ("net%u", i);
    network->ipv6 = i == 2;
    if (i == 1 && self->options->seed % 2 == 0) {
      network->options = swarm_map_new ();
      g_hash_table_insert (network->options, g_strdup ("encrypted"), g_strdup (""));
    }
    if (i == NETWORKS || big) {
      SwarmIPAMConfig *config = swarm_ipam_config_new ();
      config->subnet = big ? g_strdup_printf ("10.0.%u.0/21", 64 + 8 * i) : g_strdup ("10.0.64.0/25");
      network->ipam = swarm_ipam_new ();
      network->ipam->config = swarm_messages_new ();
      g_ptr_array_add (network->ipam->config, config);
    }
    g_ptr_array_add (self->scenario->networks, network);
  }
}

static void
fill_networks (Story *self, SwarmServiceSpec *spec)
{
  if (!sim_random_chance (&self->net_dice, 50))
    return;
  spec->task->networks = swarm_messages_new ();
  for (guint i = 1; i <= NETWORKS; i++) {
    if (!sim_random_chance (&self->net_dice, 40))
      continue;
    SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
    config->target = g_strdup_printf ("net%u", i);
    g_ptr_array_add (spec->task->networks, config);
  }
  if (!sim_random_chance (&self->net_dice, 50))
    return;
  SwarmPortConfig *port = swarm_port_config_new ();
  port->publish_mode = SWARM_PUBLISH_INGRESS;
  port->target_port = 81;
  port->published_port = sim_random_chance (&self->net_dice, 50) ? 9000 + self->made : 0;
  if (spec->endpoint == NULL) {
    spec->endpoint = swarm_endpoint_spec_new ();
    spec->endpoint->ports = swarm_messages_new ();
  }
  g_ptr_array_add (spec->endpoint->ports, port);
}

static SwarmServiceSpec *
make_service (Story *self, double at)
{
  Service *service = &self->services[self->made++];
  g_snprintf (service->name, sizeof service->name, "s%u", self->made);
  service->created = at;
  service->kind = chance (self, GLOBAL_PERCENT)       ? SWARM_SERVICE_GLOBAL
                  : chance (self, JOB_PERCENT)        ? SWARM_SERVICE_REPLICATED_JOB
                  : chance (self, GLOBAL_JOB_PERCENT) ? SWARM_SERVICE_GLOBAL_JOB
                                                      : SWARM_SERVICE_REPLICATED;
  service->host_port = !is_job (service) && chance (self, 25);
  service->big = self->options->hurry && service->kind == SWARM_SERVICE_REPLICATED && !service->host_port && chance (self, 30);
  SwarmServiceSpec *spec = swarm_service_spec_new ();
  spec->name = g_strdup (service->name);
  spec->task = swarm_task_spec_new ();
  fill_task (self, service, spec->task);
  fill_mode (self, service, spec);
  if (!is_job (service) && chance (self, 60))
    spec->update = make_update (self, FALSE);
  if (!is_job (service) && chance (self, 40))
    spec->rollback = make_update (self, TRUE);
  if (service->big && spec->update != NULL)
    spec->update->parallelism = (guint64) roll (self, 0, 60);
  if (service->big && spec->rollback != NULL)
    spec->rollback->parallelism = (guint64) roll (self, 10, 60);
  if (service->host_port) {
    SwarmPortConfig *port = swarm_port_config_new ();
    port->publish_mode = SWARM_PUBLISH_HOST;
    port->target_port = 80;
    port->published_port = 8000 + self->made;
    spec->endpoint = swarm_endpoint_spec_new ();
    spec->endpoint->ports = swarm_messages_new ();
    g_ptr_array_add (spec->endpoint->ports, port);
    /* Both want the port: the new one waits for the old one for ever. */
    if (spec->update != NULL)
      spec->update->order = SWARM_ORDER_STOP_FIRST;
    if (spec->rollback != NULL)
      spec->rollback->order = SWARM_ORDER_STOP_FIRST;
  }
  fill_networks (self, spec);
  return spec;
}

static void
add_behaviour (Story *self, const Service *service)
{
  SimBehaviour *behaviour = sim_behaviour_new ();
  behaviour->service = g_strdup (service->name);
  behaviour->prepare_time = roll_time (self, 0.001, 0.6);
  behaviour->start_time = roll_time (self, 0.001, 0.4);
  behaviour->stop_time = roll_time (self, 0.001, 1.5);
  if (chance (self, 20))
    behaviour->healthy_after = roll_time (self, 0.1, 3);
  if (is_job (service))
    behaviour->exit_after = roll_time (self, 0.1, 10);
  g_ptr_array_add (self->scenario->behaviours, behaviour);
  if (!(self->options->faults & SIM_FAULT_TASK) || !chance (self, 35))
    return;
  /* Until everything heals they do worse. */
  SimBehaviour *bad = sim_behaviour_copy (behaviour);
  bad->until = self->calm;
  bad->times = (guint64) roll (self, 1, 40);
  if (chance (self, 25))
    bad->start_error = g_strdup ("cannot start");
  else
    bad->exit_after = roll_time (self, 0.01, 8);
  if (chance (self, 30))
    bad->sick_after = roll_time (self, 0.5, 20);
  bad->exit_code = roll (self, 0, 2);
  g_ptr_array_insert (self->scenario->behaviours, (int) self->scenario->behaviours->len - 1, bad);
}

static void
add_services (Story *self)
{
  self->scenario->services = swarm_messages_new ();
  self->scenario->behaviours = swarm_messages_new ();
  guint first = (guint) roll (self, 4, 7);
  for (guint i = 0; i < SERVICES; i++) {
    double at = i < first ? 0 : roll_time (self, 1, self->calm - 60);
    SwarmServiceSpec *spec = make_service (self, at);
    if (i < first)
      g_ptr_array_add (self->scenario->services, spec);
    else
      add_call (self, at, SIM_DO_SERVICE_CREATE)->spec = spec;
    add_behaviour (self, &self->services[i]);
  }
}

/* ---- what users do ---- */

static Service *
pick_service (Story *self, double at)
{
  Service *service = &self->services[roll (self, 0, self->made - 1)];
  return service->created <= at && (service->removed == 0 || service->removed > at) ? service : NULL;
}

static void
add_service_call (Story *self, double at)
{
  Service *service = pick_service (self, at);
  gint64 what = roll (self, 0, 99);
  if (service == NULL)
    return;
  SimAction *action;
  if (what < 30 && service->kind != SWARM_SERVICE_GLOBAL && service->kind != SWARM_SERVICE_GLOBAL_JOB) {
    action = add_call (self, at, SIM_DO_SERVICE_SCALE);
    action->replicas = roll_replicas (self, service);
  } else if (what < 80) {
    action = add_call (self, at, SIM_DO_SERVICE_UPDATE);
    if ((self->options->faults & SIM_FAULT_TASK) && chance (self, 15))
      action->image = g_strdup ("no-such-image");
    else if (chance (self, 50))
      action->image = g_strdup_printf ("nginx:%d", (int) roll (self, 2, 9));
    else
      action->force = TRUE;
  } else if (what < 88) {
    action = add_call (self, at, SIM_DO_SERVICE_ROLLBACK);
  } else if (what < 95) {
    action = add_call (self, at, SIM_DO_SERVICE_REBALANCE);
    action->moves = (guint64) roll (self, 0, 4);
  } else {
    action = add_call (self, at, SIM_DO_SERVICE_REMOVE);
    service->removed = at;
  }
  action->service = g_strdup (service->name);
}

static void
add_node_call (Story *self, double at)
{
  static const SimDo what[] = { SIM_DO_NODE_DRAIN, SIM_DO_NODE_DRAIN, SIM_DO_NODE_PAUSE, SIM_DO_NODE_ACTIVATE, SIM_DO_NODE_ACTIVATE, SIM_DO_NODE_LABELS };
  const char *node = pick_node (self);
  SimAction *action = add_call (self, at, what[roll (self, 0, G_N_ELEMENTS (what) - 1)]);
  action->node = g_strdup (node);
  if (action->what == SIM_DO_NODE_DRAIN) {
    action->order = (SwarmDrainOrder) roll (self, SWARM_DRAIN_UPDATE_ORDER, SWARM_DRAIN_START_FIRST);
    action->deadline = chance (self, 30) ? roll_time (self, 1, 30) : 0;
  }
  if (action->what == SIM_DO_NODE_LABELS) {
    action->labels = swarm_map_new ();
    g_hash_table_insert (action->labels, g_strdup ("zone"), g_strdup (chance (self, 50) ? "a" : "c"));
  } else {
    add_call (self, self->calm + 1, SIM_DO_NODE_ACTIVATE)->node = g_strdup (node);
  }
}

/* ---- who is a manager, who leaves ---- */

static guint
count_managers (Story *self, double at)
{
  guint n = 0;
  for (guint i = 0; i < self->nodes->len; i++) {
    const Node *node = &g_array_index (self->nodes, Node, i);
    n += node->manager && (node->since == 0 || node->since + 40 < at);
  }
  return n;
}

static void
add_leave (Story *self, Node *node, double at)
{
  if (self->spare == 0 || at > self->calm - 20)
    return;
  self->spare--;
  node->until = at;
  add_event (self, at, SIM_DO_NODE_LEAVE)->node = g_strdup (node->name);
  SimAction *removal = add_call (self, at + roll_time (self, 0.5, 20), SIM_DO_NODE_REMOVE);
  removal->node = g_strdup (node->name);
  removal->force = chance (self, 50);
}

/* Three managers stay; one that is demoted may leave. */
static void
add_role_call (Story *self, double at)
{
  Node *node = &g_array_index (self->nodes, Node, roll (self, 0, self->nodes->len - 1));
  if (node->until > 0 || node->since > at || (node->manager && count_managers (self, at) <= 3))
    return;
  if (!node->manager && chance (self, 30)) {
    add_leave (self, node, at);
    return;
  }
  if (!node->manager && count_managers (self, at) >= 5)
    return;
  add_call (self, at, node->manager ? SIM_DO_NODE_DEMOTE : SIM_DO_NODE_PROMOTE)->node = g_strdup (node->name);
  node->manager = !node->manager;
  node->since = at;
  if (!node->manager && chance (self, 40))
    add_leave (self, node, at + roll_time (self, 5, 60));
}

/* ---- what fails ---- */

static double
mend_time (Story *self, double at, double longest)
{
  return MAX (MIN (chance (self, 50) ? roll_time (self, 0.05, 3) : roll_time (self, 1, longest), self->calm - at), 0.01);
}

static void
add_crash (Story *self, double at)
{
  static const SimDo what[] = { SIM_DO_LEADER_KILL, SIM_DO_LEADER_DOWN, SIM_DO_AGENT_KILL, SIM_DO_AGENT_STOP, SIM_DO_NODE_DOWN };
  SimAction *action = add_event (self, at, what[roll (self, 0, 4)]);
  if (action->what < SIM_DO_LEADER_KILL)
    action->node = g_strdup (pick (self, self->managers));
  action->seconds = mend_time (self, at, 40);
}

static void
add_flap (Story *self, double at)
{
  static const SimDo what[] = { SIM_DO_NODE_DOWN, SIM_DO_NODE_SHUTDOWN, SIM_DO_AGENT_KILL, SIM_DO_AGENT_STOP };
  const char *node = pick (self, self->workers);
  guint times = chance (self, 30) ? 4 : 1;
  SimDo how = what[roll (self, 0, 3)];
  for (guint i = 0; i < times && at < self->calm - 1; i++) {
    SimAction *action = add_event (self, at, how);
    action->node = g_strdup (node);
    action->seconds = mend_time (self, at, times > 1 ? 5 : 90);
    at += action->seconds + roll_time (self, 0.1, 5);
  }
}

static void
add_partition (Story *self, double at)
{
  SimAction *action = add_event (self, at, chance (self, 30) ? SIM_DO_LEADER_CUT : SIM_DO_NODE_CUT);
  if (action->what == SIM_DO_NODE_CUT)
    action->node = g_strdup (pick_node (self));
  if (action->node != NULL && chance (self, 40))
    action->other = g_strdup (chance (self, 70) ? pick (self, self->managers) : pick_node (self));
  if (g_strcmp0 (action->node, action->other) == 0)
    g_clear_pointer (&action->other, g_free);
  action->seconds = mend_time (self, at, 40);
}

/* Connections break, one direction is cut, single messages are lost, come twice or late. */
static void
add_loss (Story *self, double at)
{
  static const SimDo what[] = { SIM_DO_NODE_RESET, SIM_DO_NODE_STALL, SIM_DO_NODE_STALL, SIM_DO_NODE_NOISE, SIM_DO_NODE_NOISE };
  SimAction *action = add_event (self, at, what[roll (self, 0, G_N_ELEMENTS (what) - 1)]);
  action->node = g_strdup (chance (self, 50) ? pick (self, self->managers) : pick_node (self));
  if (action->what == SIM_DO_NODE_NOISE) {
    action->loss = chance (self, 70) ? (guint64) roll (self, 1, 15) : 0;
    action->delay = action->loss == 0 || chance (self, 50) ? roll_time (self, 0.002, 0.6) : 0;
    action->seconds = mend_time (self, at, 20);
    return;
  }
  if (chance (self, 50))
    action->other = g_strdup (chance (self, 70) ? pick (self, self->managers) : pick_node (self));
  if (g_strcmp0 (action->node, action->other) == 0)
    g_clear_pointer (&action->other, g_free);
  if (action->what == SIM_DO_NODE_STALL)
    action->seconds = mend_time (self, at, 20);
}

static void
add_slow_disk (Story *self, double at)
{
  SimAction *action = add_event (self, at, SIM_DO_DISK_DELAY);
  action->node = g_strdup (pick_node (self));
  action->delay = roll_time (self, 0.02, 1.5);
  action->seconds = mend_time (self, at, 40);
}

static void
add_clock_step (Story *self, double at)
{
  SimAction *action = add_event (self, at, SIM_DO_CLOCK_STEP);
  action->node = g_strdup (pick_node (self));
  action->seconds = roll_time (self, 0, 20) - 10;
}

static void
add_task_exit (Story *self, double at)
{
  Service *service = pick_service (self, at);
  if (service == NULL)
    return;
  SimAction *action = add_call (self, at, SIM_DO_TASK_EXIT);
  action->service = g_strdup (service->name);
  action->exit_code = roll (self, 0, 137);
}

static void
add_fault (Story *self, double at)
{
  static const struct {
    SimFaults fault;
    void (*add) (Story *self, double at);
  } sorts[] = {
    { SIM_FAULT_CRASH, add_crash }, { SIM_FAULT_PARTITION, add_partition }, { SIM_FAULT_LOSS, add_loss }, { SIM_FAULT_DISK, add_slow_disk },
    { SIM_FAULT_FLAP, add_flap },   { SIM_FAULT_CLOCK, add_clock_step },    { SIM_FAULT_TASK, add_task_exit },
  };
  const gint64 sort = roll (self, 0, G_N_ELEMENTS (sorts) - 1);
  for (guint i = 0; i < G_N_ELEMENTS (sorts); i++) {
    guint which = (guint) (sort + i) % G_N_ELEMENTS (sorts);
    if (self->options->faults & sorts[which].fault) {
      sorts[which].add (self, at);
      return;
    }
  }
}

/* ---- the end ---- */

/* Everything heals, every service gets a spec that can run, and then all must be as declared. */
static void
add_end (Story *self)
{
  add_event (self, self->calm, SIM_DO_HEAL);
  for (guint i = 0; i < self->scenario->nodes->len; i++)
    add_event (self, self->calm, SIM_DO_NODE_UP)->node = g_strdup (((SimNodeSpec *) g_ptr_array_index (self->scenario->nodes, i))->name);
  for (guint i = 0; i < self->made; i++) {
    SimAction *action = add_call (self, self->calm + 5, SIM_DO_SERVICE_UPDATE);
    action->service = g_strdup (self->services[i].name);
    action->image = g_strdup ("nginx:last");
  }
  SimExpectation *rest = sim_expectation_new ();
  rest->why = g_strdup ("everything has healed");
  rest->at = self->calm + 10;
  rest->within = self->options->hurry ? REST_OF_BIG : REST;
  rest->settled = TRUE;
  self->scenario->expect = swarm_messages_new ();
  g_ptr_array_add (self->scenario->expect, rest);
}

/* Planned ones; some do not come about, as their node is not there. */
static guint
count_faults (const SimScenario *scenario)
{
  guint n = 0;
  for (guint i = 0; i < scenario->events->len; i++)
    n += sim_do_is_fault (((const SimAction *) g_ptr_array_index (scenario->events, i))->what);
  return n;
}

SimScenario *
sim_story_new (const SimStoryOptions *options)
{
  Story self = { .options = options, .scenario = sim_scenario_new (), .managers = g_ptr_array_new (), .workers = g_ptr_array_new (),
                 .nodes = g_array_new (FALSE, FALSE, sizeof (Node)) };
  sim_random_init (&self.dice, options->seed * 977 + 13);
  sim_random_init (&self.net_dice, options->seed * 991 + 7);
  self.scenario->seed = options->seed;
  self.scenario->rule = g_strdup_printf ("fuzz seed %" G_GUINT64_FORMAT, options->seed);
  self.calm = options->seconds;
  if (options->hurry)
    self.scenario->look_time = roll_time (&self, 0.001, chance (&self, 50) ? 0.006 : 0.012);
  add_nodes (&self);
  add_networks (&self);
  add_services (&self);
  for (double at = roll_time (&self, 1, 5); at < self.calm - 1; at += roll_time (&self, 0.2, 4.5)) {
    if (chance (&self, 74))
      add_fault (&self, at);
    else if (chance (&self, 65))
      add_service_call (&self, at);
    else if (chance (&self, 75))
      add_node_call (&self, at);
    else
      add_role_call (&self, at);
  }
  while ((options->faults & SIM_FAULTS_COUNTED) && count_faults (self.scenario) < FAULTS)
    add_fault (&self, roll_time (&self, 1, self.calm - 1));
  add_end (&self);
  g_array_unref (self.nodes);
  g_ptr_array_unref (self.managers);
  g_ptr_array_unref (self.workers);
  return self.scenario;
}
