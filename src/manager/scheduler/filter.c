// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/filter.h"
#include "base/log.h"
#include "model/constraint.h"

void
swarm_needs_init (SwarmNeeds *self, const SwarmTask *task)
{
  *self = (SwarmNeeds){ .task = task };
  const SwarmPlacement *placement = task->spec->placement;
  g_autoptr (GError) error = NULL;
  self->constraints = swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, &error);
  if (self->constraints == NULL) /* control lets none through that cannot be parsed */
    swarm_error_log ("constraints of a stored task: %s", error->message);
  self->max_replicas = placement != NULL ? placement->max_replicas : 0;
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  if (reserved != NULL) {
    self->nano_cpus = reserved->nano_cpus;
    self->memory = reserved->memory_bytes;
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
  g_clear_pointer (&self->constraints, g_ptr_array_unref);
  g_clear_pointer (&self->ports, g_array_unref);
}

/* Each filter tells how many tasks it lets onto the node: 0 refuses it. */
static guint
filter_ready (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  gboolean ready = node->status->state == SWARM_NODE_READY && node->spec->availability == SWARM_AVAILABILITY_ACTIVE;
  return ready ? G_MAXUINT : 0;
}

static guint
fits_into (gint64 total, gint64 used, gint64 each)
{
  if (each <= 0)
    return G_MAXUINT;
  return total > used ? (guint) MIN ((total - used) / each, G_MAXUINT) : 0;
}

static guint
filter_resources (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  const SwarmResources *total = node->description != NULL ? node->description->resources : NULL;
  guint by_cpu = fits_into (total != NULL ? total->nano_cpus : 0, info->nano_cpus, needs->nano_cpus);
  guint by_memory = fits_into (total != NULL ? total->memory_bytes : 0, info->memory, needs->memory);
  return MIN (by_cpu, by_memory);
}

static guint
filter_constraints (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  return needs->constraints != NULL && swarm_constraints_match (needs->constraints, node) ? G_MAXUINT : 0;
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

static guint
filter_platform (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  const SwarmPlacement *placement = needs->task->spec->placement;
  const SwarmPlatform *have = node->description != NULL ? node->description->platform : NULL;
  if (placement == NULL || placement->platforms == NULL || placement->platforms->len == 0)
    return G_MAXUINT;
  for (guint i = 0; have != NULL && i < placement->platforms->len; i++) {
    const SwarmPlatform *wanted = g_ptr_array_index (placement->platforms, i);
    if (word_matches (plain_architecture (wanted->architecture), plain_architecture (have->architecture))
        && word_matches (wanted->os, have->os))
      return G_MAXUINT;
  }
  return 0;
}

static guint
filter_host_ports (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  for (guint i = 0; i < needs->ports->len; i++) {
    if (g_hash_table_contains (info->ports, GUINT_TO_POINTER (g_array_index (needs->ports, guint, i))))
      return 0;
  }
  return needs->ports->len > 0 ? 1 : G_MAXUINT;
}

static guint
filter_max_replicas (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info)
{
  if (needs->max_replicas == 0)
    return G_MAXUINT;
  guint now = swarm_node_info_service_tasks (info, &needs->task->service_id);
  return now < needs->max_replicas ? (guint) MIN (needs->max_replicas - now, G_MAXUINT) : 0;
}

static const struct {
  guint (*room) (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info);
  const char *before; /* text around the count of nodes */
  const char *after;
  gboolean uncounted;
} filters[SWARM_N_FILTERS] = {
  [SWARM_FILTER_READY] = { filter_ready, "", " not available for new tasks" },
  [SWARM_FILTER_RESOURCES] = { filter_resources, "insufficient resources on ", "" },
  [SWARM_FILTER_CONSTRAINTS] = { filter_constraints, "scheduling constraints not satisfied on ", "" },
  [SWARM_FILTER_PLATFORM] = { filter_platform, "unsupported platform on ", "" },
  [SWARM_FILTER_HOST_PORTS] = { filter_host_ports, "host-mode port already in use on ", "" },
  [SWARM_FILTER_MAX_REPLICAS] = { filter_max_replicas, "max replicas per node limit exceed", "", .uncounted = TRUE },
};

guint
swarm_filters_capacity (const SwarmNeeds *needs, const SwarmNode *node, const SwarmNodeInfo *info, SwarmFilterCounts *counts)
{
  guint capacity = G_MAXUINT;
  for (guint i = 0; i < SWARM_N_FILTERS; i++) {
    capacity = MIN (capacity, filters[i].room (needs, node, info));
    if (capacity == 0) {
      counts->refused[i]++;
      return 0;
    }
  }
  return capacity;
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
    g_string_append (text, filters[most].before);
    if (!filters[most].uncounted)
      g_string_append_printf (text, "%u node%s", n, n == 1 ? "" : "s");
    g_string_append (text, filters[most].after);
  }
  return text->len > 0 ? g_strdup_printf ("no suitable node (%s)", text->str) : g_strdup ("no suitable node");
}
