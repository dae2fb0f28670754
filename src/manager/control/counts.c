// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/control/counts.h"

typedef struct {
  SwarmId service;
  guint running;
  guint wanted;
  gboolean by_node;   /* a job's slots are its nodes */
  GHashTable *done;   /* of a job: iteration → table of its slots with a task that is complete → how many */
} Row;

struct _SwarmCounts {
  SwarmStore *store;
  guint watch;
  GHashTable *rows; /* service id in the Row → Row; none: nothing is wanted */
  GHashTable *networks; /* network id in the Network → Network; none: no task is in it */
};

typedef struct {
  SwarmId network;
  guint tasks;
} Network;

static gboolean
is_wanted (const SwarmTask *task)
{
  gboolean meant = task->desired_state == SWARM_TASK_RUNNING || task->desired_state == SWARM_TASK_COMPLETE;
  return meant && !swarm_task_state_is_terminal (task->status->state);
}

static void
row_free (gpointer data)
{
  Row *row = data;
  g_clear_pointer (&row->done, g_hash_table_unref);
  g_free (row);
}

static Row *
row_of (SwarmCounts *self, const SwarmId *service)
{
  Row *row = g_hash_table_lookup (self->rows, service);
  if (row == NULL) {
    row = g_new0 (Row, 1);
    row->service = *service;
    g_hash_table_insert (self->rows, &row->service, row);
  }
  return row;
}

static void
row_drop_empty (SwarmCounts *self, const Row *row)
{
  if (row->wanted == 0 && row->done == NULL)
    g_hash_table_remove (self->rows, &row->service);
}

/* The slots of one iteration; made when there are none. */
static GHashTable *
slots_of (Row *row, guint64 iteration)
{
  gpointer key = GSIZE_TO_POINTER ((gsize) iteration);
  if (row->done == NULL)
    row->done = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) g_hash_table_unref);
  GHashTable *slots = g_hash_table_lookup (row->done, key);
  if (slots != NULL)
    return slots;
  slots = row->by_node ? g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL) : g_hash_table_new (NULL, NULL);
  g_hash_table_insert (row->done, key, slots);
  return slots;
}

/* A slot with two complete tasks (one came back from a lost node) is complete once. */
static void
count_done (Row *row, const SwarmTask *task, int by)
{
  GHashTable *slots = slots_of (row, task->job_iteration);
  gconstpointer key = row->by_node ? (gconstpointer) &task->node_id : GSIZE_TO_POINTER ((gsize) task->slot);
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (slots, key)) + (guint) by;
  if (n == 0)
    g_hash_table_remove (slots, key);
  else
    g_hash_table_insert (slots, row->by_node ? g_memdup2 (key, sizeof (SwarmId)) : (gpointer) key, GUINT_TO_POINTER (n));
  if (g_hash_table_size (slots) == 0)
    g_hash_table_remove (row->done, GSIZE_TO_POINTER ((gsize) task->job_iteration));
  if (g_hash_table_size (row->done) == 0)
    g_clear_pointer (&row->done, g_hash_table_unref);
}

/* @task is complete: that counts when it is a job's. A service that is gone has nobody who asks. */
static void
count_complete (SwarmCounts *self, const SwarmTask *task, int by)
{
  const SwarmService *service = swarm_store_get (self->store, SWARM_KIND_SERVICE, &task->service_id);
  Row *row = g_hash_table_lookup (self->rows, &task->service_id);
  gboolean counted = row != NULL && row->done != NULL;
  SwarmServiceKind kind = service != NULL ? swarm_service_spec_kind (service->spec) : SWARM_SERVICE_REPLICATED;
  if (!counted && (by < 0 || (kind != SWARM_SERVICE_REPLICATED_JOB && kind != SWARM_SERVICE_GLOBAL_JOB)))
    return;
  row = row_of (self, &task->service_id);
  if (!counted)
    row->by_node = kind == SWARM_SERVICE_GLOBAL_JOB;
  count_done (row, task, by);
  row_drop_empty (self, row);
}

static void
count_networks (SwarmCounts *self, const SwarmTask *task, int by)
{
  for (guint i = 0; i < task->networks->len && swarm_task_holds_addresses (task); i++) {
    const SwarmId *id = &((const SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->network;
    Network *network = g_hash_table_lookup (self->networks, id);
    if (network == NULL) {
      network = g_new0 (Network, 1);
      network->network = *id;
      g_hash_table_insert (self->networks, &network->network, network);
    }
    network->tasks += (guint) by;
    if (network->tasks == 0)
      g_hash_table_remove (self->networks, id);
  }
}

guint
swarm_counts_tasks_in_network (SwarmCounts *self, const SwarmId *id)
{
  const Network *network = g_hash_table_lookup (self->networks, id);
  return network != NULL ? network->tasks : 0;
}

/* Counts @task in (1) or out (-1). */
static void
count (SwarmCounts *self, const SwarmTask *task, int by)
{
  if (task->status->state == SWARM_TASK_COMPLETE)
    count_complete (self, task, by);
  if (task->networks != NULL)
    count_networks (self, task, by);
  if (!is_wanted (task))
    return;
  Row *row = row_of (self, &task->service_id);
  row->wanted += by;
  row->running += task->status->state == SWARM_TASK_RUNNING ? by : 0;
  row_drop_empty (self, row);
}

static gboolean
count_in (gpointer object, gpointer data)
{
  count (data, object, 1);
  return TRUE;
}

static void
counts_event (const SwarmEvent *event, gpointer data)
{
  SwarmCounts *self = data;
  if (event->event == SWARM_EVENT_RESET || event->event == SWARM_EVENT_COMMIT)
    return; /* what a snapshot brings differently comes object by object */
  if (event->event == SWARM_EVENT_UPDATE)
    count (self, event->previous, -1);
  count (self, event->object, event->event == SWARM_EVENT_REMOVE ? -1 : 1);
}

SwarmCounts *
swarm_counts_new (SwarmStore *store)
{
  SwarmCounts *self = g_new0 (SwarmCounts, 1);
  self->store = store;
  self->rows = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, row_free);
  self->networks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
  self->watch = swarm_store_watch (store, 1 << SWARM_KIND_TASK, counts_event, self);
  swarm_store_foreach (store, SWARM_KIND_TASK, count_in, self);
  return self;
}

void
swarm_counts_free (SwarmCounts *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->store, self->watch);
  g_hash_table_unref (self->rows);
  g_hash_table_unref (self->networks);
  g_free (self);
}

void
swarm_counts_get (SwarmCounts *self, const SwarmId *service, guint64 *ret_running, guint64 *ret_wanted)
{
  const Row *row = g_hash_table_lookup (self->rows, service);
  *ret_running = row != NULL ? row->running : 0;
  *ret_wanted = row != NULL ? row->wanted : 0;
}

guint64
swarm_counts_completed (SwarmCounts *self, const SwarmService *service)
{
  const Row *row = g_hash_table_lookup (self->rows, &service->object.id);
  guint64 iteration = service->job_status != NULL ? service->job_status->iteration : 0;
  GHashTable *slots = row != NULL && row->done != NULL ? g_hash_table_lookup (row->done, GSIZE_TO_POINTER ((gsize) iteration)) : NULL;
  return slots != NULL ? g_hash_table_size (slots) : 0;
}
