// SPDX-License-Identifier: LGPL-2.1-or-later
/* libdbus on a GLib main context: one source of default priority watches the connection's descriptors and dispatches what was
 * read, a bounded number of messages per turn, so that neither other sources nor the bus starve. */
#include "bus/private.h"

#define TURN_MESSAGES 32
#define TURN_US 4000

typedef struct {
  DBusWatch *watch;
  gpointer tag; /* NULL: not polled */
} Watch;

typedef struct {
  GSource source;
  SwarmBusLoop *loop;
} LoopSource;

struct _SwarmBusLoop {
  SwarmBus *bus;
  GSource *source;
  GArray *watches; /* Watch */
};

static GIOCondition
conditions_of (DBusWatch *watch)
{
  guint flags = dbus_watch_get_flags (watch);
  GIOCondition conditions = G_IO_ERR | G_IO_HUP;

  if (flags & DBUS_WATCH_READABLE)
    conditions |= G_IO_IN;
  if (flags & DBUS_WATCH_WRITABLE)
    conditions |= G_IO_OUT;
  return conditions;
}

static guint
watch_flags (GIOCondition conditions)
{
  return ((conditions & G_IO_IN) ? DBUS_WATCH_READABLE : 0) | ((conditions & G_IO_OUT) ? DBUS_WATCH_WRITABLE : 0)
         | ((conditions & G_IO_ERR) ? DBUS_WATCH_ERROR : 0) | ((conditions & G_IO_HUP) ? DBUS_WATCH_HANGUP : 0);
}

static Watch *
find_watch (SwarmBusLoop *self, DBusWatch *watch)
{
  for (guint i = 0; i < self->watches->len; i++)
    if (g_array_index (self->watches, Watch, i).watch == watch)
      return &g_array_index (self->watches, Watch, i);
  return NULL;
}

/* Before GLib polls. libdbus enables and disables watches with each message; told at once, GLib would wake up the loop each time, which runs
 * already, and most of it has been taken back by then. */
static void
update_watch (SwarmBusLoop *self, Watch *watch)
{
  gboolean enabled = dbus_watch_get_enabled (watch->watch);

  if (enabled && watch->tag == NULL)
    watch->tag = g_source_add_unix_fd (self->source, dbus_watch_get_unix_fd (watch->watch), conditions_of (watch->watch));
  else if (!enabled && watch->tag != NULL)
    g_source_remove_unix_fd (self->source, g_steal_pointer (&watch->tag));
}

static dbus_bool_t
add_watch (DBusWatch *watch, void *data)
{
  SwarmBusLoop *self = data;
  Watch entry = { watch, NULL };

  g_array_append_val (self->watches, entry);
  return TRUE;
}

/* Its state is asked for when it counts. */
static void
toggle_watch (DBusWatch *watch, void *data)
{
}

static void
remove_watch (DBusWatch *watch, void *data)
{
  SwarmBusLoop *self = data;
  Watch *entry = find_watch (self, watch);

  if (entry == NULL)
    return;
  if (entry->tag != NULL)
    g_source_remove_unix_fd (self->source, entry->tag);
  g_array_remove_index (self->watches, (guint) (entry - &g_array_index (self->watches, Watch, 0)));
}

/* ---- timeouts ---- */

static gboolean
timeout_fired (gpointer data)
{
  dbus_timeout_handle (data);
  return G_SOURCE_CONTINUE;
}

static void
free_source (void *data)
{
  GSource *source = data;

  g_source_destroy (source);
  g_source_unref (source);
}

static dbus_bool_t
add_timeout (DBusTimeout *timeout, void *data)
{
  SwarmBusLoop *self = data;
  GSource *source;

  if (!dbus_timeout_get_enabled (timeout))
    return TRUE;
  source = g_timeout_source_new ((guint) dbus_timeout_get_interval (timeout));
  g_source_set_callback (source, timeout_fired, timeout, NULL);
  g_source_attach (source, self->bus->context);
  dbus_timeout_set_data (timeout, source, free_source);
  return TRUE;
}

static void
remove_timeout (DBusTimeout *timeout, void *data)
{
  dbus_timeout_set_data (timeout, NULL, NULL);
}

static void
toggle_timeout (DBusTimeout *timeout, void *data)
{
  remove_timeout (timeout, data);
  add_timeout (timeout, data);
}

/* ---- the source ---- */

static gboolean
has_work (SwarmBusLoop *self)
{
  return dbus_connection_get_dispatch_status (self->bus->connection) == DBUS_DISPATCH_DATA_REMAINS && !swarm_bus_congested (self->bus);
}

static gboolean
source_prepare (GSource *source, gint *timeout)
{
  SwarmBusLoop *self = ((LoopSource *) source)->loop;

  *timeout = -1;
  for (guint i = 0; i < self->watches->len; i++)
    update_watch (self, &g_array_index (self->watches, Watch, i));
  return has_work (self);
}

static gboolean
source_check (GSource *source)
{
  SwarmBusLoop *self = ((LoopSource *) source)->loop;

  for (guint i = 0; i < self->watches->len; i++) {
    Watch *watch = &g_array_index (self->watches, Watch, i);

    if (watch->tag != NULL && (g_source_query_unix_fd (source, watch->tag) & conditions_of (watch->watch)))
      return TRUE;
  }
  return has_work (self);
}

/* Handling one watch may toggle or remove others, so the ready ones are looked up again. */
static void
handle_watches (SwarmBusLoop *self)
{
  struct {
    DBusWatch *watch;
    guint flags;
  } ready[8];
  guint n = 0;

  for (guint i = 0; i < self->watches->len && n < G_N_ELEMENTS (ready); i++) {
    Watch *watch = &g_array_index (self->watches, Watch, i);
    GIOCondition conditions;

    if (watch->tag == NULL)
      continue;
    conditions = g_source_query_unix_fd (self->source, watch->tag) & conditions_of (watch->watch);
    if (conditions == 0)
      continue;
    ready[n].watch = watch->watch;
    ready[n++].flags = watch_flags (conditions);
  }
  for (guint i = 0; i < n; i++) {
    Watch *watch = find_watch (self, ready[i].watch);

    if (watch != NULL && dbus_watch_get_enabled (watch->watch))
      dbus_watch_handle (ready[i].watch, ready[i].flags);
  }
}

static gboolean
source_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  SwarmBusLoop *self = ((LoopSource *) source)->loop;
  DBusConnection *connection = dbus_connection_ref (self->bus->connection);
  gint64 until = g_get_monotonic_time () + TURN_US;

  handle_watches (self);
  for (guint i = 0; i < TURN_MESSAGES && has_work (self) && g_get_monotonic_time () < until; i++) {
    self->bus->dispatching = TRUE;
    dbus_connection_dispatch (connection);
    if (g_source_is_destroyed (source)) /* a handler freed the bus */
      break;
    self->bus->dispatching = FALSE;
  }
  dbus_connection_unref (connection);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { source_prepare, source_check, source_dispatch, NULL, NULL, NULL };

SwarmBusLoop *
swarm_bus_loop_new (SwarmBus *bus)
{
  SwarmBusLoop *self = g_new0 (SwarmBusLoop, 1);

  self->bus = bus;
  self->watches = g_array_new (FALSE, FALSE, sizeof (Watch));
  self->source = g_source_new (&source_funcs, sizeof (LoopSource));
  ((LoopSource *) self->source)->loop = self;
  g_source_set_static_name (self->source, "dbus");
  g_source_set_can_recurse (self->source, TRUE); /* no loop runs in a loop here; else GLib takes descriptors out and in again around each call */
  g_source_attach (self->source, bus->context);
  if (!dbus_connection_set_watch_functions (bus->connection, add_watch, remove_watch, toggle_watch, self, NULL)
      || !dbus_connection_set_timeout_functions (bus->connection, add_timeout, remove_timeout, toggle_timeout, self, NULL))
    g_error ("out of memory");
  return self;
}

void
swarm_bus_loop_free (SwarmBusLoop *self)
{
  dbus_connection_set_watch_functions (self->bus->connection, NULL, NULL, NULL, NULL, NULL);
  dbus_connection_set_timeout_functions (self->bus->connection, NULL, NULL, NULL, NULL, NULL);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_array_unref (self->watches);
  g_free (self);
}
