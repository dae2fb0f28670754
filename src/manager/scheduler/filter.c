// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/filter.h"
#include "base/log.h"
#include "manager/scheduler/generic.h"
#include "model/constraint.h"
#include <string.h>

/* Nodes that tell of no log driver at all are not judged by theirs, as docker has it. */
static void
need_log_driver (SwarmNeeds *self, const SwarmLogDriver *driver)
{
  SwarmPluginNeed need = { "Log", driver != NULL ? driver->name : NULL, TRUE };
  if (need.name != NULL && *need.name != '\0')
    g_array_append_val (self->plugins, need);
}

/* A node that has not what a network takes would run the task without it. */
static void
need_networks (SwarmNeeds *self, const SwarmTask *task)
{
  SwarmPluginNeed overlay = { "Network", SWARM_DRIVER_OVERLAY, FALSE };
  if (swarm_task_needs_overlay (task))
    g_array_append_val (self->plugins, overlay);
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    SwarmPluginNeed need = { "Network", attachment->encrypted ? SWARM_DRIVER_OVERLAY_ENCRYPTED : attachment->driver, FALSE };
    if (need.name != NULL && !g_str_equal (need.name, SWARM_DRIVER_OVERLAY))
      g_array_append_val (self->plugins, need);
  }
}

void
swarm_needs_init (SwarmNeeds *self, const SwarmTask *task)
{
  *self = (SwarmNeeds){ .task = swarm_task_ref (task) };
  const SwarmPlacement *placement = task->spec->placement;
  g_autoptr (GError) error = NULL;
  self->constraints = swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, &error);
  if (self->constraints == NULL) /* control lets none through that cannot be parsed */
    swarm_error_log ("constraints of a stored task: %s", error->message);
  self->by_node = self->constraints != NULL && swarm_constraints_by_node (self->constraints);
  self->verdicts = g_byte_array_new ();
  self->plugins = g_array_new (FALSE, FALSE, sizeof (SwarmPluginNeed));
  need_log_driver (self, task->spec->log_driver);
  need_networks (self, task);
  self->max_replicas = placement != NULL ? placement->max_replicas : 0;
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  if (reserved != NULL) {
    self->nano_cpus = reserved->nano_cpus;
    self->memory = reserved->memory_bytes;
    self->generic = reserved->generic;
  }
  self->ports = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint i = 0; task->endpoint != NULL && task->endpoint->ports != NULL && i < task->endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (task->endpoint->ports, i);
    guint key = swarm_host_port_key (port);
    if (swarm_port_is_host (port))
      g_array_append_val (self->ports, key);
  }
}

void
swarm_needs_clear (SwarmNeeds *self)
{
  swarm_message_clear_pointer (&self->task);
  g_clear_pointer (&self->constraints, g_ptr_array_unref);
  g_clear_pointer (&self->ports, g_array_unref);
  g_clear_pointer (&self->plugins, g_array_unref);
  g_clear_pointer (&self->verdicts, g_byte_array_unref);
}

/* ---- filters that look at what a class of nodes has in common ---- */

static gboolean
is_named (const char *have, const char *wanted)
{
  gsize len = strlen (wanted);
  return have != NULL && strncmp (have, wanted, len) == 0 && (have[len] == '\0' || strcmp (have + len, ":latest") == 0);
}

static gboolean
has_plugin (const SwarmEngineDescription *engine, const SwarmPluginNeed *need)
{
  gboolean some = FALSE;
  for (guint i = 0; engine->plugins != NULL && i < engine->plugins->len; i++) {
    const SwarmEnginePlugin *plugin = g_ptr_array_index (engine->plugins, i);
    if (g_strcmp0 (plugin->type, need->type) != 0)
      continue;
    some = TRUE;
    if (is_named (plugin->name, need->name))
      return TRUE;
  }
  return need->lenient && !some;
}

/* A node that tells nothing about its engine is not judged. */
static gboolean
plugins_pass (const SwarmNeeds *needs, const SwarmNode *node)
{
  const SwarmEngineDescription *engine = node->description != NULL ? node->description->engine : NULL;
  for (guint i = 0; engine != NULL && i < needs->plugins->len; i++) {
    if (!has_plugin (engine, &g_array_index (needs->plugins, SwarmPluginNeed, i)))
      return FALSE;
  }
  return TRUE;
}

static gboolean
constraints_pass (const SwarmNeeds *needs, const SwarmNode *node)
{
  return needs->constraints != NULL && swarm_constraints_match (needs->constraints, node);
}

static const char *
plain_architecture (const char *name)
{
  if (g_strcmp0 (name, "x86_64") == 0)
    return "amd64";
  return g_strcmp0 (name, "aarch64") == 0 ? "arm64" : name;
}

/* Nothing asked for matches anything; a node that does not tell matches nothing that is asked for. */
static gboolean
word_matches (const char *wanted, const char *have)
{
  return wanted == NULL || *wanted == '\0' || g_strcmp0 (wanted, have) == 0;
}

static gboolean
platform_passes (const SwarmNeeds *needs, const SwarmNode *node)
{
  const SwarmPlacement *placement = needs->task->spec->placement;
  const SwarmPlatform *have = node->description != NULL ? node->description->platform : NULL;
  if (placement == NULL || placement->platforms == NULL || placement->platforms->len == 0)
    return TRUE;
  for (guint i = 0; have != NULL && i < placement->platforms->len; i++) {
    const SwarmPlatform *wanted = g_ptr_array_index (placement->platforms, i);
    if (word_matches (plain_architecture (wanted->architecture), plain_architecture (have->architecture))
        && word_matches (wanted->os, have->os))
      return TRUE;
  }
  return FALSE;
}

/* The first of the three that refuses the node; SWARM_N_FILTERS: none. */
static guint
judge (const SwarmNeeds *needs, const SwarmNode *node)
{
  if (!plugins_pass (needs, node))
    return SWARM_FILTER_PLUGINS;
  if (!constraints_pass (needs, node))
    return SWARM_FILTER_CONSTRAINTS;
  return platform_passes (needs, node) ? SWARM_N_FILTERS : SWARM_FILTER_PLATFORM;
}

static gboolean
fits_any_class (const SwarmNeeds *needs)
{
  const SwarmPlacement *placement = needs->task->spec->placement;
  return needs->constraints != NULL && needs->constraints->len == 0 && needs->plugins->len == 0
         && (placement == NULL || placement->platforms == NULL || placement->platforms->len == 0);
}

/* Once per class of nodes, where it can be told from that. */
static guint
judge_class (SwarmNeeds *needs, SwarmNodeSet *set, SwarmNodeInfo *info)
{
  if (fits_any_class (needs))
    return SWARM_N_FILTERS;
  if (needs->by_node)
    return judge (needs, info->node);
  guint generation, class = swarm_node_set_class (set, info, &generation);
  guint before = generation == needs->generation ? needs->verdicts->len : 0;
  needs->generation = generation;
  if (before <= class || before == 0) {
    g_byte_array_set_size (needs->verdicts, MAX (class + 1, before));
    memset (needs->verdicts->data + before, 0, needs->verdicts->len - before);
  }
  guint8 *verdict = &needs->verdicts->data[class];
  if (*verdict == 0)
    *verdict = (guint8) (1 + judge (needs, info->node));
  return *verdict - 1u;
}

/* ---- filters that look at what a node carries: how many tasks each lets onto it ---- */

static guint
fits_into (gint64 total, gint64 used, gint64 each)
{
  if (each <= 0)
    return G_MAXUINT;
  return total > used ? (guint) MIN ((total - used) / each, G_MAXUINT) : 0;
}

static guint
resources_room (const SwarmNeeds *needs, const SwarmNodeInfo *info)
{
  guint by_cpu = fits_into (info->total_nano_cpus, info->nano_cpus, needs->nano_cpus);
  guint by_memory = fits_into (info->total_memory, info->memory, needs->memory);
  guint by_things = needs->generic != NULL ? swarm_generic_room (info, needs->generic) : G_MAXUINT;
  return MIN (MIN (by_cpu, by_memory), by_things);
}

static guint
ports_room (const SwarmNeeds *needs, const SwarmNodeInfo *info)
{
  for (guint i = 0; info->ports != NULL && i < needs->ports->len; i++) {
    if (g_hash_table_contains (info->ports, GUINT_TO_POINTER (g_array_index (needs->ports, guint, i))))
      return 0;
  }
  return needs->ports->len > 0 ? 1 : G_MAXUINT;
}

static guint
replicas_room (const SwarmNeeds *needs, SwarmNodeSet *set, const SwarmNodeInfo *info)
{
  if (needs->max_replicas == 0)
    return G_MAXUINT;
  guint now = swarm_node_info_service_tasks (info, swarm_node_set_load (set, &needs->task->service_id));
  return now < needs->max_replicas ? (guint) MIN (needs->max_replicas - now, G_MAXUINT) : 0;
}

/* ---- all in their order ---- */

static const struct {
  const char *before; /* text around the count of nodes */
  const char *after;
  gboolean uncounted;
} texts[SWARM_N_FILTERS] = {
  [SWARM_FILTER_READY] = { "", " not available for new tasks" },
  [SWARM_FILTER_RESOURCES] = { "insufficient resources on ", "" },
  [SWARM_FILTER_PLUGINS] = { "missing plugin on ", "" },
  [SWARM_FILTER_CONSTRAINTS] = { "scheduling constraints not satisfied on ", "" },
  [SWARM_FILTER_PLATFORM] = { "unsupported platform on ", "" },
  [SWARM_FILTER_HOST_PORTS] = { "host-mode port already in use on ", "" },
  [SWARM_FILTER_MAX_REPLICAS] = { "max replicas per node limit exceed", "", .uncounted = TRUE },
  [SWARM_FILTER_VOLUMES] = { "cannot fulfill requested CSI volume mounts on ", "" },
};

static guint
refuse (SwarmFilterCounts *counts, guint filter)
{
  counts->refused[filter]++;
  return 0;
}

guint
swarm_filters_capacity (SwarmNeeds *needs, SwarmNodeSet *set, SwarmNodeInfo *info, SwarmFilterCounts *counts)
{
  if (!info->ready)
    return refuse (counts, SWARM_FILTER_READY);
  guint by_resources = resources_room (needs, info);
  if (by_resources == 0)
    return refuse (counts, SWARM_FILTER_RESOURCES);
  guint verdict = judge_class (needs, set, info);
  if (verdict != SWARM_N_FILTERS)
    return refuse (counts, verdict);
  guint by_ports = ports_room (needs, info);
  if (by_ports == 0)
    return refuse (counts, SWARM_FILTER_HOST_PORTS);
  guint by_replicas = replicas_room (needs, set, info);
  if (by_replicas == 0)
    return refuse (counts, SWARM_FILTER_MAX_REPLICAS);
  return MIN (MIN (by_resources, by_ports), by_replicas);
}

char *
swarm_filters_explain (const SwarmFilterCounts *counts)
{
  SwarmFilterCounts left = *counts;
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint rounds = 0; rounds < SWARM_N_FILTERS; rounds++) {
    guint most = 0;
    for (guint i = 1; i < SWARM_N_FILTERS; i++) {
      if (left.refused[i] > left.refused[most])
        most = i;
    }
    guint n = left.refused[most];
    if (n == 0)
      break;
    left.refused[most] = 0;
    if (text->len > 0)
      g_string_append (text, "; ");
    g_string_append (text, texts[most].before);
    if (!texts[most].uncounted)
      g_string_append_printf (text, "%u node%s", n, n == 1 ? "" : "s");
    g_string_append (text, texts[most].after);
  }
  return text->len > 0 ? g_strdup_printf ("no suitable node (%s)", text->str) : g_strdup ("no suitable node");
}
