// SPDX-License-Identifier: LGPL-2.1-or-later
#include "store/requests.h"

static void
request_clear (gpointer data)
{
  SwarmRequest *request = data;

  g_free (request->id);
  g_clear_pointer (&request->result, g_bytes_unref);
}

void
swarm_request_unref (gpointer request)
{
  g_atomic_rc_box_release_full (request, request_clear);
}

void
swarm_requests_init (SwarmRequests *self)
{
  self->by_id = g_hash_table_new (g_str_hash, g_str_equal);
  g_queue_init (&self->order);
  self->now = 0;
}

void
swarm_requests_clear (SwarmRequests *self)
{
  g_hash_table_unref (self->by_id);
  g_queue_clear_full (&self->order, swarm_request_unref);
}

const SwarmRequest *
swarm_requests_find (SwarmRequests *self, const char *id)
{
  return g_hash_table_lookup (self->by_id, id);
}

static void
forget_oldest (SwarmRequests *self)
{
  SwarmRequest *request = g_queue_pop_head (&self->order);

  g_hash_table_remove (self->by_id, request->id);
  swarm_request_unref (request);
}

gint64
swarm_requests_advance (SwarmRequests *self, gint64 stamp)
{
  const SwarmRequest *oldest;

  self->now = MAX (self->now + 1, stamp);
  while ((oldest = g_queue_peek_head (&self->order)) != NULL && self->now - oldest->at > SWARM_REQUESTS_KEEP_US)
    forget_oldest (self);
  return self->now;
}

void
swarm_requests_add (SwarmRequests *self, const char *id, guint64 index, gint64 at, GBytes *result)
{
  SwarmRequest *request = g_atomic_rc_box_new0 (SwarmRequest);

  request->id = g_strdup (id);
  request->index = index;
  request->at = at;
  request->result = result != NULL ? g_bytes_ref (result) : NULL;
  g_queue_push_tail (&self->order, request);
  g_hash_table_insert (self->by_id, request->id, request);
  if (g_queue_get_length (&self->order) > SWARM_REQUESTS_MAX)
    forget_oldest (self);
}
