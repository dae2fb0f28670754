// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/control/counts.h"

typedef struct {
  SwarmId service;
  guint running;
  guint wanted;
} Row;

struct _SwarmCounts {
  SwarmStore *store;
  guint watch;
  GHashTable *rows; /* service id in the Row → Row; none: nothing is wanted */
};

static gboolean
is_wanted (const SwarmTask *task)
{
  gboolean meant = task->desired_state == SWARM_TASK_RUNNING || task->desired_state == SWARM_TASK_COMPLETE;
  return meant && !swarm_task_state_is_terminal (task->status->state);
}

/* Counts @task in (1) or out (-1). */
static void
count (SwarmCounts *self, const SwarmTask *task, int by)
{
  if (!is_wanted (task))
    return;
  Row *row = g_hash_table_lookup (self->rows, &task->service_id);
  if (row == NULL) {
    row = g_new0 (Row, 1);
    row->service = task->service_id;
    g_hash_table_insert (self->rows, &row->service, row);
  }
  row->wanted += by;
  row->running += task->status->state == SWARM_TASK_RUNNING ? by : 0;
  if (row->wanted == 0)
    g_hash_table_remove (self->rows, &task->service_id);
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
  if (event->event == SWARM_EVENT_RESET) {
    g_hash_table_remove_all (self->rows);
    swarm_store_foreach (self->store, SWARM_KIND_TASK, count_in, self);
  } else if (event->event != SWARM_EVENT_COMMIT) {
    if (event->event == SWARM_EVENT_UPDATE)
      count (self, event->previous, -1);
    count (self, event->object, event->event == SWARM_EVENT_REMOVE ? -1 : 1);
  }
}

SwarmCounts *
swarm_counts_new (SwarmStore *store)
{
  SwarmCounts *self = g_new0 (SwarmCounts, 1);
  self->store = store;
  self->rows = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
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
  g_free (self);
}

void
swarm_counts_get (SwarmCounts *self, const SwarmId *service, guint64 *ret_running, guint64 *ret_wanted)
{
  const Row *row = g_hash_table_lookup (self->rows, service);
  *ret_running = row != NULL ? row->running : 0;
  *ret_wanted = row != NULL ? row->wanted : 0;
}
