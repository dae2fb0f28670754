// SPDX-License-Identifier: LGPL-2.1-or-later
#include "history.h"
#include <string.h>

typedef struct {
  guint key;
  gboolean write, refused;
  guint64 value;
  gint64 begin, end; /* end G_MAXINT64: nobody knows */
} Call;

struct _History {
  guint n_registers;
  GArray *calls;
};

History *
history_new (guint n_registers)
{
  History *self = g_new0 (History, 1);

  self->n_registers = n_registers;
  self->calls = g_array_new (FALSE, FALSE, sizeof (Call));
  return self;
}

void
history_free (History *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->calls);
  g_free (self);
}

static guint
add_call (History *self, guint key, gboolean write, guint64 value, gint64 now)
{
  Call call = { key, write, FALSE, value, now, G_MAXINT64 };

  g_array_append_val (self->calls, call);
  return self->calls->len - 1;
}

guint
history_write (History *self, guint key, guint64 value, gint64 now)
{
  return add_call (self, key, TRUE, value, now);
}

guint
history_read (History *self, guint key, gint64 now)
{
  return add_call (self, key, FALSE, 0, now);
}

void
history_done (History *self, guint call, guint64 value, gint64 now)
{
  Call *it = &g_array_index (self->calls, Call, call);

  it->end = now;
  if (!it->write)
    it->value = value;
}

void
history_refused (History *self, guint call)
{
  g_array_index (self->calls, Call, call).refused = TRUE;
}

guint
history_n_calls (const History *self)
{
  return self->calls->len;
}

/* ---- one register ---- */

/* The beginning or the end of a call, in a list by time. */
typedef struct _Event Event;
struct _Event {
  const Call *call;
  guint number;
  gint64 at;
  Event *end; /* NULL: this is the end */
  Event *before, *after;
};

typedef struct {
  guint n_words;
  guint64 state;
  guint64 done[]; /* bit N: call N */
} Seen;

static guint
seen_hash (gconstpointer key)
{
  const Seen *seen = key;
  guint64 hash = seen->state * 0x9E3779B97F4A7C15ull;

  for (guint i = 0; i < seen->n_words; i++)
    hash = (hash ^ seen->done[i]) * 0xff51afd7ed558ccdull + (hash >> 29);
  return (guint) (hash ^ hash >> 32);
}

static gboolean
seen_equal (gconstpointer a, gconstpointer b)
{
  const Seen *x = a, *y = b;

  return x->state == y->state && memcmp (x->done, y->done, x->n_words * sizeof *x->done) == 0;
}

/* Of calls at the same moment, all begin before any ends: they overlap. */
static int
compare_events (gconstpointer a, gconstpointer b)
{
  const Event *x = *(Event *const *) a, *y = *(Event *const *) b;

  if (x->at != y->at)
    return x->at < y->at ? -1 : 1;
  return (x->end == NULL) - (y->end == NULL);
}

static void
take_out (Event *event)
{
  event->before->after = event->after;
  if (event->after != NULL)
    event->after->before = event->before;
}

static void
put_back (Event *event)
{
  event->before->after = event;
  if (event->after != NULL)
    event->after->before = event;
}

typedef struct {
  Event head; /* of the list of what is not ordered yet */
  GPtrArray *order; /* Event: the beginnings, as ordered so far */
  GArray *states;   /* guint64: the register before each of them */
  GHashTable *cache;
  Seen *now;
} Search;

/* Is it new that exactly these calls lead to this state? */
static gboolean
note_state (Search *self)
{
  return g_hash_table_add (self->cache, g_memdup2 (self->now, sizeof *self->now + self->now->n_words * sizeof (guint64)));
}

static gboolean
try_call (Search *self, Event *event)
{
  guint64 before = self->now->state, bit = (guint64) 1 << event->number % 64, *word = &self->now->done[event->number / 64];

  if (!event->call->write && event->call->value != before)
    return FALSE;
  self->now->state = event->call->write ? event->call->value : before;
  *word |= bit;
  if (note_state (self)) {
    g_ptr_array_add (self->order, event);
    g_array_append_val (self->states, before);
    take_out (event->end);
    take_out (event);
    return TRUE;
  }
  *word &= ~bit;
  self->now->state = before;
  return FALSE;
}

/* The last one was ordered wrongly; NULL: there is none. */
static Event *
go_back (Search *self)
{
  Event *event;

  if (self->order->len == 0)
    return NULL;
  event = g_ptr_array_steal_index (self->order, self->order->len - 1);
  self->now->state = g_array_index (self->states, guint64, self->states->len - 1);
  g_array_set_size (self->states, self->states->len - 1);
  self->now->done[event->number / 64] &= ~((guint64) 1 << event->number % 64);
  put_back (event);
  put_back (event->end);
  return event;
}

/* The end that no order gets past; NULL: all are ordered. */
static Event *
search (Search *self)
{
  Event *event = self->head.after, *stuck = NULL;

  while (self->head.after != NULL) {
    if (event->end != NULL) {
      event = try_call (self, event) ? self->head.after : event->after;
      continue;
    }
    if (stuck == NULL || event->at > stuck->at)
      stuck = event;
    event = go_back (self);
    if (event == NULL)
      return stuck;
    event = event->after;
  }
  return NULL;
}

/* A write that nobody was told of and nobody read may have come last of all, or never. */
static gboolean
matters (const Call *call, GHashTable *read)
{
  if (call->refused || (!call->write && call->end == G_MAXINT64))
    return FALSE;
  return !call->write || call->end != G_MAXINT64 || g_hash_table_contains (read, &call->value);
}

static GPtrArray *
events_of (const History *self, guint key)
{
  GPtrArray *events = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) read = g_hash_table_new (g_int64_hash, g_int64_equal);
  guint n = 0;

  for (guint i = 0; i < self->calls->len; i++) {
    const Call *call = &g_array_index (self->calls, Call, i);
    if (call->key == key && !call->write && !call->refused && call->end != G_MAXINT64)
      g_hash_table_add (read, (gpointer) &call->value);
  }
  for (guint i = 0; i < self->calls->len; i++) {
    const Call *call = &g_array_index (self->calls, Call, i);
    Event *begin, *end;
    if (call->key != key || !matters (call, read))
      continue;
    begin = g_new0 (Event, 1);
    end = g_new0 (Event, 1);
    *end = (Event){ .call = call, .number = n, .at = call->end };
    *begin = (Event){ .call = call, .number = n++, .at = call->begin, .end = end };
    g_ptr_array_add (events, begin);
    g_ptr_array_add (events, end);
  }
  g_ptr_array_sort (events, compare_events);
  return events;
}

static char *
check_register (const History *self, guint key)
{
  g_autoptr (GPtrArray) events = events_of (self, key);
  Search search_state = { .order = g_ptr_array_new (), .states = g_array_new (FALSE, FALSE, sizeof (guint64)) };
  guint n_words = events->len / 2 / 64 + 1;
  const Event *stuck;
  char *why = NULL;

  search_state.cache = g_hash_table_new_full (seen_hash, seen_equal, g_free, NULL);
  search_state.now = g_malloc0 (sizeof (Seen) + n_words * sizeof (guint64));
  search_state.now->n_words = n_words;
  for (guint i = 0; i < events->len; i++) {
    Event *event = events->pdata[i];
    event->before = i > 0 ? events->pdata[i - 1] : &search_state.head;
    event->before->after = event;
  }
  stuck = search (&search_state);
  if (stuck != NULL)
    why = g_strdup_printf ("register %u: no order explains the %s of %" G_GUINT64_FORMAT " between %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT
                           " us, of %u calls", key, stuck->call->write ? "write" : "read", stuck->call->value, stuck->call->begin, stuck->call->end,
                           events->len / 2);
  g_ptr_array_unref (search_state.order);
  g_array_unref (search_state.states);
  g_hash_table_unref (search_state.cache);
  g_free (search_state.now);
  return why;
}

char *
history_check (const History *self)
{
  for (guint key = 0; key < self->n_registers; key++) {
    char *why = check_register (self, key);
    if (why != NULL)
      return why;
  }
  return NULL;
}
