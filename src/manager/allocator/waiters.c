// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/allocator/waiters.h"

typedef struct {
  SwarmWaiter waiter;
  GList link; /* in its queue */
} Waiting;

typedef struct {
  SwarmId what;
  GQueue waiting;    /* of Waiting, owned by there */
  GHashTable *there; /* id in the Waiting → Waiting */
} Queue;

static void
queue_free (gpointer data)
{
  Queue *queue = data;
  g_hash_table_unref (queue->there);
  g_free (queue);
}

void
swarm_waiters_init (SwarmWaiters *self)
{
  self->queues = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, queue_free);
}

void
swarm_waiters_clear (SwarmWaiters *self)
{
  g_clear_pointer (&self->queues, g_hash_table_unref);
}

void
swarm_waiters_add (SwarmWaiters *self, const SwarmId *what, SwarmKind kind, const SwarmId *id)
{
  Queue *queue = g_hash_table_lookup (self->queues, what);
  if (queue == NULL) {
    queue = g_new0 (Queue, 1);
    queue->what = *what;
    queue->there = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
    g_hash_table_insert (self->queues, &queue->what, queue);
  }
  if (g_hash_table_contains (queue->there, id))
    return;
  Waiting *waiting = g_new0 (Waiting, 1);
  waiting->waiter = (SwarmWaiter){ kind, *id };
  waiting->link.data = waiting;
  g_hash_table_insert (queue->there, &waiting->waiter.id, waiting);
  g_queue_push_tail_link (&queue->waiting, &waiting->link);
}

static void
take_out (Queue *queue, Waiting *waiting)
{
  g_queue_unlink (&queue->waiting, &waiting->link);
  g_hash_table_remove (queue->there, &waiting->waiter.id);
}

gboolean
swarm_waiters_take (SwarmWaiters *self, const SwarmId *what, SwarmWaiter *ret)
{
  Queue *queue = g_hash_table_lookup (self->queues, what);
  if (queue == NULL)
    return FALSE;
  Waiting *first = queue->waiting.head->data;
  *ret = first->waiter;
  take_out (queue, first);
  if (queue->waiting.length == 0)
    g_hash_table_remove (self->queues, what);
  return TRUE;
}

guint
swarm_waiters_count (const SwarmWaiters *self, const SwarmId *what)
{
  const Queue *queue = g_hash_table_lookup (self->queues, what);
  return queue != NULL ? queue->waiting.length : 0;
}

void
swarm_waiters_forget (SwarmWaiters *self, const SwarmId *id)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->queues);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Queue *queue = value;
    Waiting *waiting = g_hash_table_lookup (queue->there, id);
    if (waiting != NULL)
      take_out (queue, waiting);
    if (queue->waiting.length == 0)
      g_hash_table_iter_remove (&iter);
  }
}
