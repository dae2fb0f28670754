// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/allocator/waiters.h"

typedef struct {
  SwarmId what;
  GQueue waiting;  /* SwarmWaiter *, owned by there */
  GHashTable *there; /* id in the SwarmWaiter → SwarmWaiter */
} Queue;

static void
queue_free (gpointer data)
{
  Queue *queue = data;
  g_queue_clear (&queue->waiting);
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
    g_queue_init (&queue->waiting);
    queue->there = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
    g_hash_table_insert (self->queues, &queue->what, queue);
  }
  if (g_hash_table_contains (queue->there, id))
    return;
  SwarmWaiter *waiter = g_new (SwarmWaiter, 1);
  *waiter = (SwarmWaiter){ kind, *id };
  g_hash_table_insert (queue->there, &waiter->id, waiter);
  g_queue_push_tail (&queue->waiting, waiter);
}

gboolean
swarm_waiters_take (SwarmWaiters *self, const SwarmId *what, SwarmWaiter *ret)
{
  Queue *queue = g_hash_table_lookup (self->queues, what);
  const SwarmWaiter *waiter = queue != NULL ? g_queue_pop_head (&queue->waiting) : NULL;
  if (waiter == NULL)
    return FALSE;
  *ret = *waiter;
  g_hash_table_remove (queue->there, &ret->id);
  if (queue->waiting.length == 0)
    g_hash_table_remove (self->queues, what);
  return TRUE;
}
