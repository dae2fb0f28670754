// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/node-set.h"

#define FAILURE_WINDOW_US (5 * G_TIME_SPAN_MINUTE)
#define MAX_FAILURES 64 /* remembered per node */

typedef struct {
  SwarmId service;
  guint64 version;
  gint64 when; /* boottime */
} Failure;

struct _SwarmNodeSet {
  SwarmClock *clock;
  GHashTable *infos; /* node id → SwarmNodeInfo */
};

static void
node_info_free (gpointer data)
{
  SwarmNodeInfo *info = data;
  g_hash_table_unref (info->services);
  g_hash_table_unref (info->ports);
  g_ptr_array_unref (info->failures);
  g_free (info->id_string);
  g_strfreev (info->labels);
  g_free (info);
}

SwarmNodeSet *
swarm_node_set_new (SwarmClock *clock)
{
  SwarmNodeSet *self = g_new0 (SwarmNodeSet, 1);
  self->clock = clock;
  self->infos = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, node_info_free);
  return self;
}

void
swarm_node_set_free (SwarmNodeSet *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->infos);
  g_free (self);
}

void
swarm_node_set_clear (SwarmNodeSet *self)
{
  g_hash_table_remove_all (self->infos);
}

SwarmNodeInfo *
swarm_node_set_get (SwarmNodeSet *self, const SwarmId *node)
{
  SwarmNodeInfo *info = g_hash_table_lookup (self->infos, node);
  if (info != NULL)
    return info;
  info = g_new0 (SwarmNodeInfo, 1);
  info->id = *node;
  info->services = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  info->ports = g_hash_table_new (NULL, NULL);
  info->failures = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_insert (self->infos, &info->id, info);
  return info;
}

gboolean
swarm_port_is_host (const SwarmPortConfig *port)
{
  return port->publish_mode == SWARM_PUBLISH_HOST && port->published_port != 0;
}

/* Adds @by (1 or -1) to a count; a count of 0 leaves the table. */
static void
count_service (SwarmNodeInfo *info, const SwarmId *service, int by)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (info->services, service)) + by;
  if (n == 0)
    g_hash_table_remove (info->services, service);
  else
    g_hash_table_insert (info->services, g_memdup2 (service, sizeof *service), GUINT_TO_POINTER (n));
}

static void
count_port (SwarmNodeInfo *info, guint key, int by)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (info->ports, GUINT_TO_POINTER (key))) + by;
  if (n == 0)
    g_hash_table_remove (info->ports, GUINT_TO_POINTER (key));
  else
    g_hash_table_insert (info->ports, GUINT_TO_POINTER (key), GUINT_TO_POINTER (n));
}

static SwarmNodeInfo *
count_task (SwarmNodeSet *self, const SwarmTask *task, int by)
{
  if (task->status->state < SWARM_TASK_ASSIGNED || swarm_task_state_is_terminal (task->status->state))
    return NULL;
  SwarmNodeInfo *info = swarm_node_set_get (self, &task->node_id);
  info->n_tasks += by;
  if (task->desired_state <= SWARM_TASK_COMPLETE) {
    info->active += by;
    count_service (info, &task->service_id, by);
  }
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  if (reserved != NULL) {
    info->nano_cpus += by * reserved->nano_cpus;
    info->memory += by * reserved->memory_bytes;
  }
  /* A task that is being stopped holds its ports until it is over. */
  for (guint i = 0; task->endpoint != NULL && task->endpoint->ports != NULL && i < task->endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (task->endpoint->ports, i);
    if (swarm_port_is_host (port))
      count_port (info, swarm_host_port_key (port), by);
  }
  return info;
}

void
swarm_node_set_add (SwarmNodeSet *self, const SwarmTask *task)
{
  count_task (self, task, 1);
}

void
swarm_node_set_remove (SwarmNodeSet *self, const SwarmTask *task)
{
  count_task (self, task, -1);
}

void
swarm_node_set_failed (SwarmNodeSet *self, const SwarmTask *task)
{
  SwarmNodeInfo *info = swarm_node_set_get (self, &task->node_id);
  Failure *failure = g_new0 (Failure, 1);
  failure->service = task->service_id;
  failure->version = task->spec_version;
  failure->when = swarm_clock_boottime (self->clock);
  if (info->failures->len >= MAX_FAILURES)
    g_ptr_array_remove_index (info->failures, 0);
  g_ptr_array_add (info->failures, failure);
}

void
swarm_node_set_touch (SwarmNodeSet *self, const SwarmId *node, gboolean gone)
{
  SwarmNodeInfo *info = g_hash_table_lookup (self->infos, node);
  if (info == NULL)
    return;
  g_clear_pointer (&info->labels, g_strfreev);
  if (gone && info->n_tasks == 0)
    g_hash_table_remove (self->infos, node);
}

guint
swarm_node_info_service_tasks (const SwarmNodeInfo *info, const SwarmId *service)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (info->services, service));
}

guint
swarm_node_info_failures (const SwarmNodeInfo *info, const SwarmId *service, guint64 version, gint64 now)
{
  guint n = 0;
  for (guint i = 0; i < info->failures->len; i++) {
    const Failure *failure = g_ptr_array_index (info->failures, i);
    if (now - failure->when < FAILURE_WINDOW_US && failure->version == version && swarm_id_equal (&failure->service, service))
      n++;
  }
  return n;
}

const char *const *
swarm_node_info_labels (SwarmNodeInfo *info, const SwarmNode *node)
{
  if (info->labels == NULL) {
    g_autoptr (GPtrArray) labels = g_ptr_array_new ();
    GHashTableIter iter;
    gpointer key, value;
    if (node->spec->labels != NULL) {
      g_hash_table_iter_init (&iter, node->spec->labels);
      while (g_hash_table_iter_next (&iter, &key, &value))
        g_ptr_array_add (labels, g_strdup_printf ("%s=%s", (char *) key, (char *) value));
    }
    g_ptr_array_add (labels, NULL);
    info->labels = (char **) g_ptr_array_steal (labels, NULL);
  }
  return (const char *const *) info->labels;
}
