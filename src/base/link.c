// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/link.h"

SwarmLink *
swarm_link_ref (SwarmLink *link)
{
  g_atomic_int_inc (&link->ref_count);
  return link;
}

void
swarm_link_unref (SwarmLink *link)
{
  if (link == NULL)
    return;
  if (g_atomic_int_get (&link->ref_count) == 1 && link->is_up) {
    /* The owner left without a word. Closing may take references of its own, so the count is looked at again below. */
    link->events = NULL;
    link->is_up = FALSE;
    link->ops->close (link, NULL);
  }
  if (g_atomic_int_dec_and_test (&link->ref_count))
    link->ops->free (link);
}

void
swarm_link_set_events (SwarmLink *link, const SwarmLinkEvents *events, gpointer data)
{
  link->events = events;
  link->events_data = data;
}

void
swarm_link_drop (SwarmLink **link)
{
  if (*link == NULL)
    return;
  swarm_link_set_events (*link, NULL, NULL);
  swarm_link_close (*link, NULL);
  g_clear_pointer (link, swarm_link_unref);
}

static GVariant *
sink_args (GVariant *args)
{
  return g_variant_ref_sink (args != NULL ? args : g_variant_new ("()"));
}

void
swarm_link_call (SwarmLink *link, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
                 SwarmReplyFunc func, gpointer data)
{
  swarm_link_call_at (link, SWARM_LINK_PATH, iface, member, args, timeout_us, func, data);
}

void
swarm_link_call_at (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args,
                    gint64 timeout_us, SwarmReplyFunc func, gpointer data)
{
  g_autoptr (GVariant) sunk = sink_args (args);

  link->ops->call (link, path, iface, member, sunk, timeout_us, func, data);
}

gboolean
swarm_link_send (SwarmLink *link, const char *iface, const char *member, GVariant *args)
{
  g_autoptr (GVariant) sunk = sink_args (args);

  return link->is_up && link->ops->send (link, iface, member, sunk);
}

SwarmStream *
swarm_link_open (SwarmLink *link, const char *iface, const char *member, GVariant *args, SwarmStreamFunc func, gpointer data)
{
  return swarm_link_open_at (link, SWARM_LINK_PATH, iface, member, args, func, data);
}

SwarmStream *
swarm_link_open_at (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args,
                    SwarmStreamFunc func, gpointer data)
{
  g_autoptr (GVariant) sunk = sink_args (args);

  return link->ops->open (link, path, iface, member, sunk, func, data);
}

void
swarm_link_close (SwarmLink *link, const GError *reason)
{
  link->ops->close (link, reason);
}

void
swarm_call_return (SwarmCall *call, GVariant *value)
{
  if (value == NULL && call->one_way) {
    call->ops->reply (call, NULL, NULL); /* goes nowhere */
    return;
  }
  g_autoptr (GVariant) sunk = sink_args (value);

  call->ops->reply (call, sunk, NULL);
}

void
swarm_call_fail (SwarmCall *call, const GError *error)
{
  call->ops->reply (call, NULL, error);
}

SwarmStream *
swarm_call_stream (SwarmCall *call, SwarmStreamReadyFunc ready, gpointer data)
{
  return call->ops->stream (call, ready, data);
}

gboolean
swarm_stream_write (SwarmStream *stream, GBytes *chunk)
{
  return !stream->broken && stream->ops->write (stream, chunk);
}

void
swarm_stream_end (SwarmStream *stream, const GError *error)
{
  stream->ops->end (stream, error);
}

void
swarm_stream_close (SwarmStream *stream)
{
  stream->ops->close (stream);
}

void
swarm_stream_hold (SwarmStream *stream, gboolean hold)
{
  stream->ops->hold (stream, hold);
}
