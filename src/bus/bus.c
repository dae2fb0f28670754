// SPDX-License-Identifier: LGPL-2.1-or-later
/* The connection: set up, name, the way out. */
#include "base/error.h"
#include "bus/private.h"
#include <string.h>
#include <time.h>

gint64
swarm_bus_boottime (void)
{
  struct timespec now;

  clock_gettime (CLOCK_BOOTTIME, &now);
  return (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

gboolean
swarm_bus_take_error (DBusError *from, const char *what, GError **error)
{
  g_autoptr (GError) local_error = swarm_error_from_name (from->name, from->message);

  g_propagate_prefixed_error (error, g_steal_pointer (&local_error), "%s: ", what);
  dbus_error_free (from);
  return FALSE;
}

gboolean
swarm_bus_congested (SwarmBus *self)
{
  return dbus_connection_get_outgoing_size (self->connection) > SWARM_BUS_MAX_OUTGOING;
}

void
swarm_bus_send (SwarmBus *self, DBusMessage *message)
{
  if (self->changes != NULL)
    swarm_bus_changes_flush (self->changes);
  if (!dbus_connection_send (self->connection, message, NULL))
    g_error ("out of memory");
  dbus_message_unref (message);
}

static gboolean
tell_lost (gpointer data)
{
  SwarmBus *self = data;

  g_clear_pointer (&self->lost_source, g_source_unref);
  if (self->lost != NULL)
    self->lost (self->lost_data);
  return G_SOURCE_REMOVE;
}

/* From a source of its own: the receiver may free the bus. */
static void
connection_lost (SwarmBus *self)
{
  if (self->lost_source != NULL)
    return;
  swarm_bus_client_lost (self->client);
  self->lost_source = g_idle_source_new ();
  g_source_set_priority (self->lost_source, G_PRIORITY_DEFAULT);
  g_source_set_callback (self->lost_source, tell_lost, self, NULL);
  g_source_attach (self->lost_source, self->context);
}

static DBusHandlerResult
received (DBusConnection *connection, DBusMessage *message, void *data)
{
  SwarmBus *self = data;

  switch (dbus_message_get_type (message)) {
  case DBUS_MESSAGE_TYPE_SIGNAL:
    if (dbus_message_is_signal (message, DBUS_INTERFACE_LOCAL, "Disconnected"))
      connection_lost (self);
    else
      swarm_bus_client_signal (self->client, message);
    return DBUS_HANDLER_RESULT_HANDLED;
  case DBUS_MESSAGE_TYPE_METHOD_CALL:
    if (self->kinds == NULL)
      return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    swarm_bus_server_call (self, message);
    return DBUS_HANDLER_RESULT_HANDLED;
  default:
    return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
  }
}

static DBusConnection *
connect_bus (const char *address, GError **error)
{
  DBusError local = DBUS_ERROR_INIT;
  DBusConnection *connection;

  if (address == NULL) {
    connection = dbus_bus_get_private (DBUS_BUS_SYSTEM, &local);
  } else {
    connection = dbus_connection_open_private (address, &local);
    if (connection != NULL && !dbus_bus_register (connection, &local)) {
      dbus_connection_close (connection);
      g_clear_pointer (&connection, dbus_connection_unref);
    }
  }
  if (connection == NULL)
    swarm_bus_take_error (&local, address == NULL ? "cannot connect to the system bus" : "cannot connect to the bus", error);
  return connection;
}

SwarmBus *
swarm_bus_new (const char *address, GError **error)
{
  DBusConnection *connection = connect_bus (address, error);
  SwarmBus *self;

  if (connection == NULL)
    return NULL;
  dbus_connection_set_exit_on_disconnect (connection, FALSE);
  self = g_new0 (SwarmBus, 1);
  self->connection = connection;
  self->context = g_main_context_ref_thread_default ();
  self->unique_name = g_strdup (dbus_bus_get_unique_name (connection));
  self->last_activity = swarm_bus_boottime ();
  self->invocations = g_hash_table_new (NULL, NULL);
  self->pending_by_sender = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->missing = g_hash_table_new (NULL, NULL);
  g_queue_init (&self->lists);
  self->client = swarm_bus_client_new (self);
  if (!dbus_connection_add_filter (connection, received, self, NULL))
    g_error ("out of memory");
  self->loop = swarm_bus_loop_new (self);
  return self;
}

/* Handlers may still hold them; their answers then go nowhere. */
static void
forget_invocations (SwarmBus *self)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, self->invocations);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    ((SwarmInvocation *) key)->bus = NULL;
  g_hash_table_unref (self->invocations);
  g_hash_table_unref (self->pending_by_sender);
  g_hash_table_unref (self->missing);
}

void
swarm_bus_free (SwarmBus *self)
{
  if (self == NULL)
    return;
  if (self->polkit != NULL)
    swarm_bus_polkit_stop (self->polkit);
  swarm_bus_drop_lists (self);
  swarm_bus_drop_missing (self);
  swarm_bus_client_free (self->client);
  g_clear_pointer (&self->polkit, swarm_bus_polkit_free);
  g_clear_pointer (&self->changes, swarm_bus_changes_free);
  forget_invocations (self);
  if (self->lost_source != NULL)
    g_source_destroy (self->lost_source);
  g_clear_pointer (&self->lost_source, g_source_unref);
  dbus_connection_remove_filter (self->connection, received, self);
  dbus_connection_flush (self->connection);
  swarm_bus_loop_free (self->loop);
  dbus_connection_close (self->connection);
  dbus_connection_unref (self->connection);
  g_main_context_unref (self->context);
  g_free (self->unique_name);
  g_free (self->name);
  g_free (self->root);
  g_free (self);
}

void
swarm_bus_set_lost_func (SwarmBus *self, void (*func) (gpointer data), gpointer data)
{
  self->lost = func;
  self->lost_data = data;
}

gboolean
swarm_bus_export (SwarmBus *self, const char *root, const SwarmBusKind *const *kinds, gpointer data, GError **error)
{
  g_return_val_if_fail (self->kinds == NULL, FALSE);
  if (!swarm_bus_tables_check (kinds, error))
    return FALSE;
  if (!dbus_validate_path (root, NULL)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a valid object path: %s", root);
    return FALSE;
  }
  self->root = g_strdup (root);
  self->data = data;
  self->changes = swarm_bus_changes_new (self);
  self->polkit = swarm_bus_polkit_new (self);
  self->kinds = kinds;
  return TRUE;
}

gboolean
swarm_bus_own_name (SwarmBus *self, const char *name, GError **error)
{
  DBusError local = DBUS_ERROR_INIT;
  int result;

  if (!dbus_validate_bus_name (name, NULL)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a valid bus name: %s", name);
    return FALSE;
  }
  result = dbus_bus_request_name (self->connection, name, DBUS_NAME_FLAG_DO_NOT_QUEUE, &local);
  if (result == -1)
    return swarm_bus_take_error (&local, "cannot own the bus name", error);
  if (result != DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER && result != DBUS_REQUEST_NAME_REPLY_ALREADY_OWNER) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "the bus name %s has an owner already", name);
    return FALSE;
  }
  g_free (self->name);
  self->name = g_strdup (name);
  return TRUE;
}

void
swarm_bus_release_name (SwarmBus *self)
{
  if (self->name == NULL)
    return;
  /* When the answer is there, so is every call that was sent to the name before. */
  dbus_bus_release_name (self->connection, self->name, NULL);
  g_clear_pointer (&self->name, g_free);
  while (!self->dispatching && dbus_connection_get_dispatch_status (self->connection) == DBUS_DISPATCH_DATA_REMAINS) {
    self->dispatching = TRUE;
    dbus_connection_dispatch (self->connection);
    self->dispatching = FALSE;
  }
}

guint
swarm_bus_pending_calls (SwarmBus *self)
{
  return g_hash_table_size (self->invocations);
}

gint64
swarm_bus_last_activity (SwarmBus *self)
{
  return self->last_activity;
}

void
swarm_bus_set_filter (SwarmBus *self, SwarmBusFilter filter, gpointer data)
{
  self->filter = filter;
  self->filter_data = data;
}

void
swarm_bus_set_behind (SwarmBus *self, SwarmBusBehind func, gpointer data)
{
  self->behind = func;
  self->behind_data = data;
}

void
swarm_bus_set_audit (SwarmBus *self, SwarmBusAudit audit, gpointer data)
{
  self->audit = audit;
  self->audit_data = data;
}

const char *
swarm_bus_unique_name (SwarmBus *self)
{
  return self->unique_name;
}
