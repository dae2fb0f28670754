// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/task-news.h"

#define PART 32 /* signals in one turn of the loop */
/* While many tasks change, the loop looks idle whenever it waits for the disk: their news wait until nothing has changed for so long … */
#define QUIET_US (5 * G_TIME_SPAN_MILLISECOND)
/* … but no longer than this. */
#define LATE_US (250 * G_TIME_SPAN_MILLISECOND)

typedef struct {
  SwarmId task;
  SwarmId service;
  SwarmId node;
  SwarmTaskState state;
  SwarmTaskState desired;
  gboolean gone;
} News;

struct _SwarmTaskNews {
  SwarmApi *api;
  GHashTable *by_task; /* id in the News → News */
  GQueue queue;        /* the same, first come first served */
  SwarmTimer *timer;
  gint64 begun_at, added_at; /* boottime: since when the queue is not empty, the newest in it */
};

SwarmTaskNews *
swarm_task_news_new (SwarmApi *api)
{
  SwarmTaskNews *self = g_new0 (SwarmTaskNews, 1);
  self->api = api;
  self->by_task = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
  g_queue_init (&self->queue);
  return self;
}

void
swarm_task_news_free (SwarmTaskNews *self)
{
  if (self == NULL)
    return;
  swarm_clock_clear_timer (self->api->clock, &self->timer);
  g_queue_clear (&self->queue);
  g_hash_table_unref (self->by_task);
  g_free (self);
}

static void
tell (SwarmTaskNews *self, const News *news)
{
  if (self->api->bus == NULL)
    return;
  swarm_bus_emit_signal (self->api->bus, SWARM_API_ROOT, swarm_api_manager_interface.name, "TaskChanged",
                         g_variant_new ("(sssss)", swarm_id_string (&news->task).str, swarm_id_string (&news->service).str,
                                        swarm_id_is_nil (&news->node) ? "" : swarm_id_string (&news->node).str,
                                        news->gone ? "" : swarm_task_state_to_string (news->state),
                                        swarm_task_state_to_string (news->desired)));
}

static gboolean
shall_wait (SwarmTaskNews *self)
{
  gint64 now = swarm_clock_boottime (self->api->clock);
  return self->queue.length > PART && now < self->added_at + QUIET_US && now < self->begun_at + LATE_US;
}

static void
tell_some (gpointer data)
{
  SwarmTaskNews *self = data;
  self->timer = NULL;
  if (shall_wait (self)) {
    self->timer = swarm_clock_timer (self->api->clock, QUIET_US, SWARM_PRIORITY_IDLE, tell_some, self);
    return;
  }
  for (guint i = 0; i < PART && self->queue.length > 0; i++) {
    News *news = g_queue_pop_head (&self->queue);
    tell (self, news);
    g_hash_table_remove (self->by_task, &news->task);
  }
  if (self->queue.length > 0)
    self->timer = swarm_clock_timer (self->api->clock, 0, SWARM_PRIORITY_IDLE, tell_some, self);
}

void
swarm_task_news_add (SwarmTaskNews *self, const SwarmTask *task, gboolean gone)
{
  News *news = g_hash_table_lookup (self->by_task, &task->object.id);
  self->added_at = swarm_clock_boottime (self->api->clock);
  if (self->queue.length == 0)
    self->begun_at = self->added_at;
  if (news == NULL) {
    news = g_new0 (News, 1);
    news->task = task->object.id;
    g_hash_table_insert (self->by_task, &news->task, news);
    g_queue_push_tail (&self->queue, news);
  }
  news->service = task->service_id;
  news->node = task->node_id;
  news->state = task->status->state;
  news->desired = task->desired_state;
  news->gone = gone;
  if (self->timer == NULL)
    self->timer = swarm_clock_timer (self->api->clock, 0, SWARM_PRIORITY_IDLE, tell_some, self);
}
