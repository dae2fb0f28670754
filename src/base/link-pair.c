// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two links in one process. Everything that one end does is an event for the other in one queue, emptied by the clock. */
#include "base/clock.h"
#include "base/error.h"
#include "base/link.h"

/* Bytes in flight in one stream before the writer is told to wait. */
#define STREAM_WINDOW (256 * 1024)

typedef struct _PairLink PairLink;

typedef struct _SwarmPairEvent Event;

typedef struct {
  SwarmClock *clock;
  SwarmTimer *timer;
  GQueue events; /* Event */
  guint ref_count;
  const SwarmPairHooks *hooks; /* NULL: what one end does reaches the other in the next turn */
  gpointer hooks_data;
} Pair;

struct _PairLink {
  SwarmLink link;
  Pair *pair;
  PairLink *other; /* NULL when it is gone */
  guint64 last_serial;
  GHashTable *pending; /* set of Pending: calls and streams that this end began */
  GHashTable *served;  /* set of Pending: streams that this end writes */
};

/* A call or stream under way; both ends and the queue hold it. */
typedef struct {
  guint ref_count;
  guint64 serial; /* of the caller's link */
  PairLink *caller; /* NULL: answered or given up */
  PairLink *callee; /* a reference, while a writer is open */
  SwarmTimer *timer;
  SwarmReplyFunc func;
  gpointer data;
  gboolean is_stream;
  SwarmStreamFunc stream_func;
  gboolean reader_open;
  SwarmStreamReadyFunc ready;
  gpointer ready_data;
  gboolean waiting; /* the writer waits for ready */
  gsize in_flight;
  gboolean held;     /* the reader asked for a pause: what arrives waits in the backlog */
  GQueue backlog;    /* GBytes */
  gboolean end_waits; /* behind the backlog */
  GError *end_error;
  SwarmStream reader;
  SwarmStream writer;
} Pending;

typedef struct {
  SwarmCall call;
  Pending *pending; /* NULL: one-way */
  char *path;
  char *iface;
  char *member;
} PairCall;

struct _SwarmPairEvent {
  void (*run) (Event *event);
  PairLink *to; /* a reference */
  Pending *pending; /* a reference */
  SwarmCall *call; /* of an event that was not run */
  GVariant *value;
  GBytes *chunk;
  GError *error;
};

static void drain (gpointer data);

static Pending *
pending_ref (Pending *pending)
{
  pending->ref_count++;
  return pending;
}

static void
pending_unref (Pending *pending)
{
  if (--pending->ref_count > 0)
    return;
  g_queue_clear_full (&pending->backlog, (GDestroyNotify) g_bytes_unref);
  g_clear_error (&pending->end_error);
  g_free (pending);
}

static void
pair_unref (Pair *pair)
{
  if (--pair->ref_count == 0) {
    swarm_clock_clear_timer (pair->clock, &pair->timer);
    g_free (pair);
  }
}

static Event *
event_new (PairLink *to, void (*run) (Event *), Pending *pending)
{
  Event *event = g_new0 (Event, 1);

  event->run = run;
  event->to = (PairLink *) swarm_link_ref (&to->link);
  event->pending = pending != NULL ? pending_ref (pending) : NULL;
  return event;
}

/* What an end tells itself: in the next turn. */
static Event *
post_local (PairLink *to, void (*run) (Event *), Pending *pending)
{
  Event *event = event_new (to, run, pending);
  Pair *pair = to->pair;

  g_queue_push_tail (&pair->events, event);
  if (pair->timer == NULL)
    pair->timer = swarm_clock_timer (pair->clock, 0, SWARM_PRIORITY_NORMAL, drain, pair);
  return event;
}

/* What an end does for the other. */
static Event *
post (PairLink *to, void (*run) (Event *), Pending *pending)
{
  Pair *pair = to->pair;
  Event *event;

  if (pair->hooks == NULL)
    return post_local (to, run, pending);
  event = event_new (to, run, pending);
  pair->hooks->post (event, &to->link, pair->hooks_data);
  return event;
}

static void call_drop (SwarmCall *call);

static void
event_free (Event *event)
{
  g_clear_pointer (&event->call, call_drop);
  g_clear_pointer (&event->pending, pending_unref);
  g_clear_pointer (&event->value, g_variant_unref);
  g_clear_pointer (&event->chunk, g_bytes_unref);
  g_clear_error (&event->error);
  swarm_link_unref (&event->to->link);
  g_free (event);
}

/* Runs what was queued so far; what that queues waits for the next turn. */
static void
drain (gpointer data)
{
  Pair *pair = data;
  guint n = g_queue_get_length (&pair->events);

  pair->timer = NULL;
  pair->ref_count++;
  while (n-- > 0) {
    Event *event = g_queue_pop_head (&pair->events);

    event->run (event);
    event_free (event);
  }
  if (pair->timer == NULL && !g_queue_is_empty (&pair->events))
    pair->timer = swarm_clock_timer (pair->clock, 0, SWARM_PRIORITY_NORMAL, drain, pair);
  pair_unref (pair);
}

/* ---- calls ---- */

/* The caller's end is done with it: nothing is reported after this. FALSE when it was done already. */
static gboolean
pending_finish (Pending *pending)
{
  PairLink *caller = pending->caller;

  if (caller == NULL)
    return FALSE;
  swarm_clock_clear_timer (caller->pair->clock, &pending->timer);
  pending->caller = NULL;
  g_hash_table_remove (caller->pending, pending);
  return TRUE;
}

/* Reports the outcome of a call, or the end of a stream. */
static void
pending_report (Pending *pending, GVariant *value, const GError *error)
{
  pending_ref (pending);
  if (pending_finish (pending)) {
    if (!pending->is_stream)
      pending->func (value, error, pending->data);
    else if (pending->reader_open)
      pending->stream_func (NULL, error, pending->data);
  }
  pending_unref (pending);
}

static gboolean
pending_is_held (Pending *pending)
{
  return pending->reader_open && (pending->held || !g_queue_is_empty (&pending->backlog));
}

static void
run_reply (Event *event)
{
  if (pending_is_held (event->pending)) {
    event->pending->end_waits = TRUE;
    event->pending->end_error = g_steal_pointer (&event->error);
    return;
  }
  pending_report (event->pending, event->value, event->error);
}

static void
call_timed_out (gpointer data)
{
  Pending *pending = data;
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "no answer in time");

  pending->timer = NULL;
  pending_report (pending, NULL, error);
}

static void
call_free (PairCall *call)
{
  g_clear_pointer (&call->pending, pending_unref);
  g_variant_unref (call->call.args);
  g_free (call->path);
  g_free (call->iface);
  g_free (call->member);
  swarm_link_unref (call->call.link);
  g_free (call);
}

static void
call_drop (SwarmCall *call)
{
  call_free ((PairCall *) call);
}

static void
call_reply (SwarmCall *self, GVariant *value, const GError *error)
{
  PairCall *call = (PairCall *) self;
  Pending *pending = call->pending;

  if (pending != NULL && pending->caller != NULL) {
    Event *event = post (pending->caller, run_reply, pending);
    if (error != NULL)
      event->error = g_error_copy (error);
    else if (pending->is_stream)
      event->error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "%s does not answer with a stream", call->member);
    else
      event->value = g_variant_ref (value);
  }
  call_free (call);
}

static void
run_call (Event *event)
{
  SwarmLink *link = &event->to->link;
  SwarmCall *call = g_steal_pointer (&event->call);
  g_autoptr (GError) error = NULL;

  if (link->is_up && link->events != NULL && link->events->call != NULL) {
    link->events->call (link, call, link->events_data);
    return;
  }
  error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the other end takes no calls");
  swarm_call_fail (call, error);
}

static SwarmStream *call_stream (SwarmCall *self, SwarmStreamReadyFunc ready, gpointer data);

/* Hands a call to the other end; @pending NULL: one-way. */
static void
post_call (PairLink *link, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
           Pending *pending)
{
  static const SwarmCallOps ops = { call_reply, call_stream };
  PairCall *call = g_new0 (PairCall, 1);

  call->path = g_strdup (path);
  call->iface = g_strdup (iface);
  call->member = g_strdup (member);
  call->pending = pending != NULL ? pending_ref (pending) : NULL;
  call->call.ops = &ops;
  call->call.link = swarm_link_ref (&link->other->link);
  call->call.path = call->path;
  call->call.iface = call->iface;
  call->call.member = call->member;
  call->call.args = g_variant_ref (args);
  call->call.one_way = pending == NULL;
  if (timeout_us > 0)
    call->call.deadline_us = swarm_clock_boottime (link->pair->clock) + timeout_us;
  post (link->other, run_call, NULL)->call = &call->call;
}

static Pending *
pending_new (PairLink *link)
{
  Pending *pending = g_new0 (Pending, 1);

  pending->ref_count = 1;
  pending->caller = link;
  pending->serial = ++link->last_serial;
  g_hash_table_add (link->pending, pending);
  return pending;
}

static void
start (PairLink *link, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
       Pending *pending)
{
  if (link->link.is_up && link->other != NULL)
    post_call (link, path, iface, member, args, timeout_us, pending);
  else
    post_local (link, run_reply, pending)->error
      = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the connection is down");
}

static void
link_call (SwarmLink *self, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
           SwarmReplyFunc func, gpointer data)
{
  PairLink *link = (PairLink *) self;
  Pending *pending = pending_new (link);

  pending->func = func;
  pending->data = data;
  if (timeout_us > 0)
    pending->timer = swarm_clock_timer (link->pair->clock, timeout_us, SWARM_PRIORITY_NORMAL, call_timed_out, pending);
  start (link, path, iface, member, args, timeout_us, pending);
}

static gboolean
link_send (SwarmLink *self, const char *iface, const char *member, GVariant *args)
{
  PairLink *link = (PairLink *) self;

  if (link->other == NULL)
    return FALSE;
  post_call (link, SWARM_LINK_PATH, iface, member, args, 0, NULL);
  return TRUE;
}

/* ---- streams ---- */

static Pending *
reader_pending (SwarmStream *reader)
{
  return (Pending *) ((guint8 *) reader - G_STRUCT_OFFSET (Pending, reader));
}

static Pending *
writer_pending (SwarmStream *writer)
{
  return (Pending *) ((guint8 *) writer - G_STRUCT_OFFSET (Pending, writer));
}

static void
run_ready (Event *event)
{
  Pending *pending = event->pending;

  if (pending->callee != NULL)
    pending->ready (&pending->writer, pending->ready_data);
}

/* Nobody reads any more: the writer hears it once. */
static void
run_break (Event *event)
{
  Pending *pending = event->pending;

  if (pending->callee == NULL || pending->writer.broken)
    return;
  pending->writer.broken = TRUE;
  pending->ready (&pending->writer, pending->ready_data);
}

static void
deliver_chunk (Pending *pending, GBytes *chunk)
{
  pending->in_flight -= g_bytes_get_size (chunk);
  if (pending->waiting && pending->callee != NULL && pending->in_flight < STREAM_WINDOW) {
    pending->waiting = FALSE;
    post (pending->callee, run_ready, pending);
  }
  if (pending->reader_open && pending->caller != NULL)
    pending->stream_func (chunk, NULL, pending->data);
}

static void
run_chunk (Event *event)
{
  if (pending_is_held (event->pending))
    g_queue_push_tail (&event->pending->backlog, g_bytes_ref (event->chunk));
  else
    deliver_chunk (event->pending, event->chunk);
}

static void
run_backlog (Event *event)
{
  Pending *pending = event->pending;

  while (!pending->held && !g_queue_is_empty (&pending->backlog)) {
    g_autoptr (GBytes) chunk = g_queue_pop_head (&pending->backlog);
    deliver_chunk (pending, chunk);
  }
  if (!pending->held && pending->end_waits) {
    pending->end_waits = FALSE;
    pending_report (pending, NULL, pending->end_error);
  }
}

static void
reader_hold (SwarmStream *self, gboolean hold)
{
  Pending *pending = reader_pending (self);

  pending->held = hold;
  if (!hold && pending->caller != NULL && (pending->end_waits || !g_queue_is_empty (&pending->backlog)))
    post (pending->caller, run_backlog, pending);
}

static gboolean
writer_write (SwarmStream *self, GBytes *chunk)
{
  Pending *pending = writer_pending (self);

  if (pending->caller == NULL)
    return FALSE;
  pending->in_flight += g_bytes_get_size (chunk);
  post (pending->caller, run_chunk, pending)->chunk = g_bytes_ref (chunk);
  pending->waiting = pending->in_flight >= STREAM_WINDOW;
  return !pending->waiting;
}

static void
writer_end (SwarmStream *self, const GError *error)
{
  Pending *pending = writer_pending (self);
  PairLink *callee = pending->callee;

  pending->callee = NULL;
  if (pending->caller != NULL)
    post (pending->caller, run_reply, pending)->error = error != NULL ? g_error_copy (error) : NULL;
  g_hash_table_remove (callee->served, pending);
  swarm_link_unref (&callee->link);
}

static void
reader_close (SwarmStream *self)
{
  Pending *pending = reader_pending (self);

  pending->reader_open = FALSE;
  if (pending->callee != NULL && !pending->writer.broken)
    post (pending->callee, run_break, pending);
  pending_finish (pending);
  pending_unref (pending);
}

static SwarmStream *
call_stream (SwarmCall *self, SwarmStreamReadyFunc ready, gpointer data)
{
  static const SwarmStreamOps ops = { writer_write, writer_end, NULL };
  PairCall *call = (PairCall *) self;
  Pending *pending = call->pending;

  if (pending == NULL || !pending->is_stream)
    return NULL;
  pending->writer.ops = &ops;
  pending->writer.broken = pending->caller == NULL;
  pending->ready = ready;
  pending->ready_data = data;
  pending->callee = (PairLink *) swarm_link_ref (self->link);
  g_hash_table_add (pending->callee->served, pending_ref (pending));
  post_local (pending->callee, run_ready, pending);
  call_free (call);
  return &pending->writer;
}

static SwarmStream *
link_open (SwarmLink *self, const char *path, const char *iface, const char *member, GVariant *args, SwarmStreamFunc func,
           gpointer data)
{
  static const SwarmStreamOps ops = { .close = reader_close, .hold = reader_hold };
  PairLink *link = (PairLink *) self;
  Pending *pending = pending_new (link);

  pending->is_stream = TRUE;
  pending->stream_func = func;
  pending->data = data;
  pending->reader.ops = &ops;
  pending->reader_open = TRUE;
  pending_ref (pending); /* the reader's, until it closes */
  start (link, path, iface, member, args, 0, pending);
  return &pending->reader;
}

/* ---- the links ---- */

static void
run_up (Event *event)
{
  SwarmLink *link = &event->to->link;

  if (link->is_up && link->events != NULL && link->events->up != NULL)
    link->events->up (link, link->events_data);
}

/* The oldest: the order must not depend on where in memory they are. */
static Pending *
first_pending (PairLink *link)
{
  GHashTableIter iter;
  gpointer key;
  Pending *first = NULL;

  g_hash_table_iter_init (&iter, link->pending);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (first == NULL || ((Pending *) key)->serial < first->serial)
      first = key;
  }
  return first;
}

static void
fail_all (PairLink *link, const GError *error)
{
  GHashTableIter iter;
  gpointer pending;

  while ((pending = first_pending (link)) != NULL)
    pending_report (pending, NULL, error);
  g_hash_table_iter_init (&iter, link->served);
  while (g_hash_table_iter_next (&iter, &pending, NULL))
    post_local (link, run_break, pending);
}

static void
run_down (Event *event)
{
  PairLink *link = event->to;

  link->link.is_up = FALSE;
  fail_all (link, event->error);
  if (link->link.events != NULL && link->link.events->down != NULL)
    link->link.events->down (&link->link, event->error, link->link.events_data);
  link->link.events = NULL;
}

static GError *
down_error (const GError *reason)
{
  return reason != NULL ? g_error_copy (reason) : g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the connection was closed");
}

static void
link_close (SwarmLink *self, const GError *reason)
{
  PairLink *link = (PairLink *) self;
  PairLink *other = link->other;

  if (other == NULL && g_hash_table_size (link->pending) == 0)
    return;
  link->other = NULL;
  link->link.is_up = FALSE;
  post_local (link, run_down, NULL)->error = down_error (reason); /* also when the other end went without a word: who waits hears it */
  if (other == NULL)
    return;
  other->other = NULL;
  post (other, run_down, NULL)->error = down_error (NULL);
}

/* A link that goes without having gone down: its host was switched off. Nobody is left to hear of what was asked over it. */
static void
detach_all (PairLink *link)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, link->pending);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    Pending *pending = key;
    swarm_clock_clear_timer (link->pair->clock, &pending->timer);
    pending->caller = NULL;
  }
}

static void
link_free (SwarmLink *self)
{
  PairLink *link = (PairLink *) self;
  Pair *pair = link->pair;

  detach_all (link);
  if (link->other != NULL)
    link->other->other = NULL;
  if (pair->hooks != NULL)
    pair->hooks->freed (self, pair->hooks_data);
  g_hash_table_unref (link->pending);
  g_hash_table_unref (link->served);
  pair_unref (link->pair);
  g_free (link);
}

static PairLink *
pair_link_new (Pair *pair, const SwarmPeer *peer)
{
  static const SwarmLinkOps ops = { link_call, link_send, link_open, link_close, link_free };
  PairLink *link = g_new0 (PairLink, 1);

  link->link.ops = &ops;
  link->link.ref_count = 1;
  link->link.peer = *peer;
  link->pair = pair;
  link->pending = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) pending_unref, NULL);
  link->served = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) pending_unref, NULL);
  return link;
}

static Pair *
pair_new (SwarmClock *clock, const SwarmPeer *a_identity, const SwarmPeer *b_identity, SwarmLink **ret_a, SwarmLink **ret_b)
{
  Pair *pair = g_new0 (Pair, 1);
  PairLink *a = pair_link_new (pair, b_identity);
  PairLink *b = pair_link_new (pair, a_identity);

  pair->clock = clock;
  pair->ref_count = 2;
  g_queue_init (&pair->events);
  a->other = b;
  b->other = a;
  *ret_a = &a->link;
  *ret_b = &b->link;
  return pair;
}

void
swarm_link_pair (SwarmClock *clock, const SwarmPeer *a_identity, const SwarmPeer *b_identity, SwarmLink **ret_a, SwarmLink **ret_b)
{
  pair_new (clock, a_identity, b_identity, ret_a, ret_b);
  (*ret_a)->is_up = (*ret_b)->is_up = TRUE;
  post_local ((PairLink *) *ret_a, run_up, NULL);
  post_local ((PairLink *) *ret_b, run_up, NULL);
}

/* ---- with a network between them ---- */

void
swarm_link_pair_hooked (SwarmClock *clock, const SwarmPeer *a_identity, const SwarmPeer *b_identity, const SwarmPairHooks *hooks,
                        gpointer data, SwarmLink **ret_a, SwarmLink **ret_b)
{
  Pair *pair = pair_new (clock, a_identity, b_identity, ret_a, ret_b);

  pair->hooks = hooks;
  pair->hooks_data = data;
}

void
swarm_link_pair_up (SwarmLink *end)
{
  if (((PairLink *) end)->other == NULL || end->is_up)
    return;
  end->is_up = TRUE;
  post_local ((PairLink *) end, run_up, NULL);
}

void
swarm_link_pair_down (SwarmLink *end, const GError *reason)
{
  PairLink *link = (PairLink *) end;

  if (link->other != NULL)
    link->other->other = NULL;
  link->other = NULL;
  post_local (link, run_down, NULL)->error = down_error (reason);
}

void
swarm_pair_event_run (SwarmPairEvent *event)
{
  event->run (event);
  event_free (event);
}

void
swarm_pair_event_drop (SwarmPairEvent *event)
{
  event_free (event);
}
