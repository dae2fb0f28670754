// SPDX-License-Identifier: LGPL-2.1-or-later
/* A scenario: a cluster, what happens to it and what must be seen, as JSON. The tables in scenario.c are the parser, the writer and the
 * manual page. Times are seconds after the moment when all nodes of the beginning are ready. */
#pragma once
#include "model/objects.h"

typedef struct {
  SwarmMessage message;
  char *name;
  guint64 count;
  char *id;
  SwarmRole role;
  SwarmAvailability availability;
  GHashTable *labels;
  GHashTable *engine_labels;
  SwarmPlatform *platform;
  SwarmResources *resources; /* NULL: plenty */
  GPtrArray *plugins; /* SwarmEnginePlugin */
  char *address;
  gboolean absent;
} SimNodeSpec;
SWARM_MESSAGE_DECLARE (SimNodeSpec, sim_node_spec)

typedef struct {
  SwarmMessage message;
  char *service;
  guint64 slot;
  char *node;
  char *image;
  guint64 times;
  double from, until;
  double prepare_time, start_time, stop_time;
  double exit_after;
  gint64 exit_code;
  gboolean image_missing;
  char *prepare_error, *start_error;
  double healthy_after, sick_after;
  gboolean never_healthy, health_hangs;
} SimBehaviour;
SWARM_MESSAGE_DECLARE (SimBehaviour, sim_behaviour)

typedef enum {
  SIM_DO_NOTHING,
  SIM_DO_NODE_DOWN,
  SIM_DO_NODE_SHUTDOWN,
  SIM_DO_NODE_UP,
  SIM_DO_AGENT_KILL,
  SIM_DO_AGENT_STOP,
  SIM_DO_AGENT_START,
  SIM_DO_NODE_CUT,
  SIM_DO_NODE_STALL,
  SIM_DO_NODE_RESET,
  SIM_DO_NODE_NOISE,
  SIM_DO_HEAL,
  SIM_DO_DISK_DELAY,
  SIM_DO_NODE_ACTIVATE,
  SIM_DO_NODE_PAUSE,
  SIM_DO_NODE_DRAIN,
  SIM_DO_NODE_LABELS,
  SIM_DO_NODE_RESOURCES,
  SIM_DO_NODE_JOIN,
  SIM_DO_NODE_LEAVE,
  SIM_DO_NODE_REMOVE,
  SIM_DO_NODE_DEMOTE,
  SIM_DO_NODE_PROMOTE,
  SIM_DO_CLUSTER_UPDATE,
  SIM_DO_NETWORK_CREATE,
  SIM_DO_NETWORK_REMOVE,
  SIM_DO_CLOCK_STEP,
  SIM_DO_LEADER_KILL,
  SIM_DO_LEADER_DOWN,
  SIM_DO_LEADER_CUT,
  SIM_DO_TASK_EXIT,
  SIM_DO_SERVICE_CREATE,
  SIM_DO_SERVICE_UPDATE,
  SIM_DO_SERVICE_SCALE,
  SIM_DO_SERVICE_ROLLBACK,
  SIM_DO_SERVICE_REBALANCE,
  SIM_DO_SERVICE_REMOVE,
} SimDo;
SWARM_ENUM_DECLARE (SimDo, sim_do)
/* Something fails: it counts as a fault, and may mend by itself. */
gboolean sim_do_is_fault (SimDo what);

typedef struct {
  SwarmMessage message;
  double at;
  SimDo what;
  char *node, *other;
  char *service;
  guint64 slot;
  SwarmServiceSpec *spec;
  char *image;
  GPtrArray *env, *constraints;
  guint64 replicas;
  gboolean force, stale;
  GHashTable *labels;
  GPtrArray *remove;
  SwarmResources *resources;
  GHashTable *engine_labels;
  gint64 exit_code;
  double seconds, delay;
  char *error;
  char *spec_text; /* a spec that is to be refused: JSON, parsed when the event happens */
  SwarmClusterSpec *cluster;
  SwarmDrainOrder order;
  double deadline;
  SwarmPlatform *platform;
  GPtrArray *plugins; /* SwarmEnginePlugin */
  guint64 moves;
  guint64 loss; /* percent */
  char *network;
  SwarmNetworkSpec *network_spec;
} SimAction;
SWARM_MESSAGE_DECLARE (SimAction, sim_action)

typedef struct {
  SwarmMessage message;
  char *why;
  double at, within, until;
  char *service;
  guint64 slot;
  char *node;
  char *state, *desired;
  char *image, *text, *err;
  gint64 exit_code;
  gint64 count, min, max; /* -1: not said */
  GHashTable *placement;
  char *per_node, *slots;
  char *update_state, *update_text;
  gint64 replicas;
  char *node_state, *node_text, *availability;
  gboolean absent, settled;
  char *leader;
  gint64 containers, running, wanted, completed; /* -1: not said */
  char *generic;
  char *published, *virtual_ips;
} SimExpectation;
SWARM_MESSAGE_DECLARE (SimExpectation, sim_expectation)

typedef struct {
  SwarmMessage message;
  char *rule;
  guint64 seed;
  double until;
  guint64 managers, workers;
  gboolean simple_log;
  SwarmClusterSpec *cluster;
  GPtrArray *nodes;      /* SimNodeSpec */
  GPtrArray *networks;   /* SwarmNetworkSpec */
  GPtrArray *services;   /* SwarmServiceSpec */
  GPtrArray *behaviours; /* SimBehaviour */
  GPtrArray *events;     /* SimAction */
  GPtrArray *expect;     /* SimExpectation */
  char *fails;
  double look_time;
} SimScenario;
SWARM_MESSAGE_DECLARE (SimScenario, sim_scenario)

/* An unknown key or a value that cannot be is an error that names its path. */
SimScenario *sim_scenario_load (const char *file, GError **error);
SimScenario *sim_scenario_parse (const char *text, GError **error);
/* As JSON, to be read again by the above; caller frees. */
char *sim_scenario_to_text (const SimScenario *self);
/* When it ends, in seconds. */
double sim_scenario_end (const SimScenario *self);
