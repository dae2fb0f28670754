// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls to others and their signals. Calls to one destination are bounded: 64 under way, the rest waits its turn. */
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

#define DEFAULT_TIMEOUT_MS 25000

typedef struct {
  char *name;
  guint in_flight;
  GQueue waiting; /* Call */
} Destination;

typedef struct {
  SwarmBusClient *client;
  Destination *destination; /* NULL: not bounded here */
  DBusMessage *message;     /* until it left */
  gboolean waiting;
  GList in_waiting;
  gboolean counted; /* in the destination's in_flight */
  DBusPendingCall *pending; /* under way */
  int timeout_ms;
  GSource *failing; /* tells the failure from the loop */
  GError *failure;
  GCancellable *cancellable;
  gulong cancelled_id;
  SwarmBusReplyFunc func;
  gpointer data;
} Call;

/* A well-known name whose signals somebody wants: only its owner's count. */
typedef struct {
  SwarmBusClient *client;
  char *name;
  char *owner; /* NULL: none */
  guint users;
  guint watch;
} Name;

typedef struct {
  guint id;
  char *sender, *path, *iface, *member, *arg0, *rule;
  Name *name; /* NULL: sender is compared as it is */
  SwarmBusSignalFunc func;
  gpointer data;
  gboolean gone;
} Subscription;

struct _SwarmBusClient {
  SwarmBus *bus;
  GHashTable *calls;        /* Call */
  GHashTable *destinations; /* name (in it) → Destination */
  guint n_waiting;
  GPtrArray *subscriptions;
  guint next_id;
  guint signalling; /* depth: no subscription is freed meanwhile */
  GHashTable *names; /* name (in it) → Name */
  gboolean closing;
};

/* Errors of systemd that callers tell apart. */
static const struct {
  const char *name;
  int code;
} remote_errors[] = {
  { "org.freedesktop.systemd1.NoSuchUnit", SWARM_ERROR_NOT_FOUND },
  { "org.freedesktop.systemd1.UnitExists", SWARM_ERROR_ALREADY_EXISTS },
};

/* ---- the life of a call ---- */

static void send_now (Call *call);

static void was_cancelled (GCancellable *cancellable, gpointer data);

static void
start_next (SwarmBusClient *self, Destination *destination)
{
  while (!self->closing && destination->in_flight < SWARM_BUS_MAX_IN_FLIGHT && !g_queue_is_empty (&destination->waiting)) {
    Call *call = g_queue_pop_head_link (&destination->waiting)->data;

    call->waiting = FALSE;
    self->n_waiting--;
    if (call->cancellable != NULL && g_cancellable_is_cancelled (call->cancellable)) {
      call->destination = NULL;
      was_cancelled (call->cancellable, call);
    } else {
      send_now (call);
    }
  }
  if (destination->in_flight == 0 && g_queue_is_empty (&destination->waiting))
    g_hash_table_remove (self->destinations, destination->name);
}

/* Not under way any more, and not waiting. */
static void
leave_destination (Call *call)
{
  SwarmBusClient *self = call->client;

  if (call->waiting) {
    g_queue_unlink (&call->destination->waiting, &call->in_waiting);
    call->waiting = FALSE;
    self->n_waiting--;
  }
  if (call->pending != NULL) {
    dbus_pending_call_cancel (call->pending);
    g_clear_pointer (&call->pending, dbus_pending_call_unref);
  }
  if (call->destination == NULL)
    return;
  if (call->counted)
    call->destination->in_flight--;
  start_next (self, g_steal_pointer (&call->destination));
}

static void
free_call (Call *call)
{
  if (call->failing != NULL) {
    g_source_destroy (call->failing);
    g_source_unref (call->failing);
  }
  if (call->cancellable != NULL)
    g_cancellable_disconnect (call->cancellable, call->cancelled_id);
  g_clear_object (&call->cancellable);
  g_clear_pointer (&call->message, dbus_message_unref);
  g_clear_error (&call->failure);
  g_free (call);
}

static void
finish (Call *call, GVariant *reply, GUnixFDList *fds, const GError *error)
{
  g_hash_table_remove (call->client->calls, call);
  leave_destination (call);
  if (call->func != NULL)
    call->func (error == NULL ? reply : NULL, fds, error, call->data);
  free_call (call);
}

static gboolean
tell_failure (gpointer data)
{
  Call *call = data;

  finish (call, NULL, NULL, call->failure);
  return G_SOURCE_REMOVE;
}

/* Takes @error. */
static void
fail_later (Call *call, GError *error)
{
  if (call->failing != NULL) {
    g_error_free (error);
    return;
  }
  call->failure = error;
  if (call->waiting || call->pending != NULL) /* else when it is told: the destination's queue may be at work */
    leave_destination (call);
  call->failing = g_idle_source_new ();
  g_source_set_priority (call->failing, G_PRIORITY_DEFAULT);
  g_source_set_callback (call->failing, tell_failure, call, NULL);
  g_source_attach (call->failing, call->client->bus->context);
}

static void
was_cancelled (GCancellable *cancellable, gpointer data)
{
  fail_later (data, g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the call was cancelled"));
}

/* libdbus forgets the calls under way without a word to us. */
void
swarm_bus_client_lost (SwarmBusClient *self)
{
  GHashTableIter iter;
  gpointer call;

  g_hash_table_iter_init (&iter, self->calls);
  while (g_hash_table_iter_next (&iter, &call, NULL))
    if (((Call *) call)->pending != NULL)
      fail_later (call, g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNKNOWN, "the connection to the bus was lost"));
}

static GError *
remote_error (DBusMessage *reply)
{
  GError *error = swarm_bus_message_error (reply);

  for (guint i = 0; i < G_N_ELEMENTS (remote_errors); i++)
    if (g_strcmp0 (dbus_message_get_error_name (reply), remote_errors[i].name) == 0)
      error->code = remote_errors[i].code;
  return error;
}

static void
replied (DBusPendingCall *pending, void *data)
{
  Call *call = data;
  g_autoptr (DBusMessage) reply = dbus_pending_call_steal_reply (pending);
  g_autoptr (GVariant) args = NULL;
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GError) error = NULL;

  if (dbus_message_get_type (reply) == DBUS_MESSAGE_TYPE_ERROR)
    error = remote_error (reply);
  else
    args = swarm_bus_message_args (reply, &fds, &error);
  finish (call, args, fds, error);
}

static void
send_now (Call *call)
{
  DBusConnection *connection = call->client->bus->connection;

  if (call->destination != NULL) {
    call->destination->in_flight++;
    call->counted = TRUE;
  }
  if (!dbus_connection_send_with_reply (connection, call->message, &call->pending, call->timeout_ms))
    g_error ("out of memory");
  g_clear_pointer (&call->message, dbus_message_unref);
  if (call->pending == NULL) {
    fail_later (call, g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "the connection to the bus is closed"));
    return;
  }
  if (!dbus_pending_call_set_notify (call->pending, replied, call, NULL))
    g_error ("out of memory");
}

static Destination *
get_destination (SwarmBusClient *self, const char *name)
{
  Destination *destination = g_hash_table_lookup (self->destinations, name);

  if (destination != NULL)
    return destination;
  destination = g_new0 (Destination, 1);
  destination->name = g_strdup (name);
  g_queue_init (&destination->waiting);
  g_hash_table_insert (self->destinations, destination->name, destination);
  return destination;
}

static void
free_destination (gpointer data)
{
  Destination *destination = data;

  g_free (destination->name);
  g_free (destination);
}

static void
send_in_turn (Call *call, const char *name)
{
  SwarmBusClient *self = call->client;

  call->destination = get_destination (self, name);
  if (call->destination->in_flight < SWARM_BUS_MAX_IN_FLIGHT) {
    send_now (call);
  } else if (self->n_waiting >= SWARM_BUS_MAX_QUEUED) {
    fail_later (call, g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%u calls wait for %s already", self->n_waiting, name));
  } else {
    call->waiting = TRUE;
    self->n_waiting++;
    g_queue_push_tail_link (&call->destination->waiting, &call->in_waiting);
  }
}

static DBusMessage *
new_message (const char *name, const char *path, const char *iface, const char *member, GVariant *args, GUnixFDList *fds,
             GError **error)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (args != NULL ? args : g_variant_new ("()"));
  g_autoptr (DBusMessage) message = swarm_bus_message_new_call (name, path, iface, member, error);

  if (message == NULL || !swarm_bus_message_append_max (message, sunk, fds, SWARM_BUS_MESSAGE_MAX, error))
    return NULL;
  return g_steal_pointer (&message);
}

static void
call_with_fds (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args, GUnixFDList *fds,
               SwarmBusCallFlags flags, int timeout_ms, GCancellable *cancellable, SwarmBusReplyFunc func, gpointer data)
{
  Call *call = g_new0 (Call, 1);
  GError *error = NULL;

  call->client = self->client;
  call->timeout_ms = timeout_ms < 0 ? DEFAULT_TIMEOUT_MS : timeout_ms;
  call->func = func;
  call->data = data;
  call->in_waiting.data = call;
  call->message = new_message (name, path, iface, member, args, fds, &error);
  g_hash_table_add (self->client->calls, call);
  if (call->message == NULL) {
    g_prefix_error (&error, "cannot call %s: ", member);
    fail_later (call, error);
    return;
  }
  dbus_message_set_allow_interactive_authorization (call->message, (flags & SWARM_BUS_CALL_INTERACTIVE) != 0);
  if (cancellable != NULL) {
    call->cancellable = g_object_ref (cancellable);
    call->cancelled_id = g_cancellable_connect (cancellable, G_CALLBACK (was_cancelled), call, NULL);
  }
  if (call->failing != NULL) /* cancelled already */
    return;
  if (flags & SWARM_BUS_CALL_UNLIMITED)
    send_now (call);
  else
    send_in_turn (call, name);
}

void
swarm_bus_call_full (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                     SwarmBusCallFlags flags, int timeout_ms, GCancellable *cancellable, SwarmBusReplyFunc func, gpointer data)
{
  call_with_fds (self, name, path, iface, member, args, NULL, flags, timeout_ms, cancellable, func, data);
}

void
swarm_bus_call (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                int timeout_ms, GCancellable *cancellable, SwarmBusReplyFunc func, gpointer data)
{
  swarm_bus_call_full (self, name, path, iface, member, args, 0, timeout_ms, cancellable, func, data);
}

void
swarm_bus_send_call (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args)
{
  g_autoptr (DBusMessage) message = new_message (name, path, iface, member, args, NULL, NULL);

  if (message == NULL)
    return;
  dbus_message_set_no_reply (message, TRUE);
  if (!dbus_connection_send (self->connection, message, NULL))
    g_error ("out of memory");
}

/* ---- one call at a time, for programs ---- */

typedef struct {
  gboolean done;
  GVariant *reply;
  GUnixFDList *fds;
  GError *error;
} Sync;

static void
sync_done (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Sync *sync = data;

  sync->done = TRUE;
  sync->reply = reply != NULL ? g_variant_ref (reply) : NULL;
  sync->fds = fds != NULL ? g_object_ref (fds) : NULL;
  sync->error = error != NULL ? g_error_copy (error) : NULL;
}

GVariant *
swarm_bus_call_sync (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                     int timeout_ms, GUnixFDList **ret_fds, GError **error)
{
  return swarm_bus_call_sync_fds (self, name, path, iface, member, args, NULL, timeout_ms, ret_fds, error);
}

GVariant *
swarm_bus_call_sync_fds (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                         GUnixFDList *fds, int timeout_ms, GUnixFDList **ret_fds, GError **error)
{
  Sync sync = { FALSE };

  if (self->dispatching) {
    g_variant_unref (g_variant_ref_sink (args != NULL ? args : g_variant_new ("()")));
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s: a blocking call from within a handler", member);
    return NULL;
  }
  call_with_fds (self, name, path, iface, member, args, fds, SWARM_BUS_CALL_INTERACTIVE, timeout_ms, NULL, sync_done, &sync);
  while (!sync.done)
    g_main_context_iteration (self->context, TRUE);
  if (sync.error != NULL)
    g_propagate_error (error, sync.error);
  else if (ret_fds != NULL)
    *ret_fds = g_steal_pointer (&sync.fds);
  g_clear_object (&sync.fds);
  return sync.reply;
}

/* ---- signals ---- */

static void
free_subscription (gpointer data)
{
  Subscription *self = data;

  g_free (self->sender);
  g_free (self->path);
  g_free (self->iface);
  g_free (self->member);
  g_free (self->arg0);
  g_free (self->rule);
  g_free (self);
}

static void
free_name (gpointer data)
{
  Name *name = data;

  g_free (name->name);
  g_free (name->owner);
  g_free (name);
}

static void
owner_changed (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Name *name = data;
  const char *owner;

  if (!g_variant_is_of_type (args, G_VARIANT_TYPE ("(sss)")))
    return;
  g_variant_get (args, "(&s&s&s)", NULL, NULL, &owner);
  g_free (name->owner);
  name->owner = *owner != '\0' ? g_strdup (owner) : NULL;
}

typedef struct {
  SwarmBusClient *client;
  char *name;
} OwnerQuery;

static void
got_owner (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  OwnerQuery *query = data;
  Name *name = query->client->closing ? NULL : g_hash_table_lookup (query->client->names, query->name);

  if (name != NULL && reply != NULL && g_variant_is_of_type (reply, G_VARIANT_TYPE ("(s)"))) {
    g_free (name->owner);
    g_variant_get (reply, "(s)", &name->owner);
  }
  g_free (query->name);
  g_free (query);
}

/* The bus answers in order: whoever calls the name's owner after this and then gets its signals, gets them with the owner known. */
static Name *
use_name (SwarmBusClient *self, const char *text)
{
  Name *name = g_hash_table_lookup (self->names, text);
  OwnerQuery *query;

  if (name == NULL) {
    name = g_new0 (Name, 1);
    name->client = self;
    name->name = g_strdup (text);
    g_hash_table_insert (self->names, name->name, name);
    name->watch = swarm_bus_subscribe_arg0 (self->bus, SWARM_BUS_DRIVER, SWARM_BUS_DRIVER_PATH, SWARM_BUS_DRIVER, "NameOwnerChanged",
                                            text, owner_changed, name);
    query = g_new0 (OwnerQuery, 1);
    query->client = self;
    query->name = g_strdup (text);
    swarm_bus_call_full (self->bus, SWARM_BUS_DRIVER, SWARM_BUS_DRIVER_PATH, SWARM_BUS_DRIVER, "GetNameOwner",
                         g_variant_new ("(s)", text), SWARM_BUS_CALL_UNLIMITED, -1, NULL, got_owner, query);
  }
  name->users++;
  return name;
}

static void
leave_name (SwarmBusClient *self, Name *name)
{
  if (--name->users > 0)
    return;
  swarm_bus_unsubscribe (self->bus, name->watch);
  g_hash_table_remove (self->names, name->name);
}

static char *
match_rule (const Subscription *self)
{
  GString *rule = g_string_new ("type='signal'");
  const char *const parts[][2] = { { "sender", self->sender }, { "path", self->path }, { "interface", self->iface },
                                   { "member", self->member }, { "arg0", self->arg0 } };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (parts[i][1] != NULL)
      g_string_append_printf (rule, ",%s='%s'", parts[i][0], parts[i][1]);
  return g_string_free (rule, FALSE);
}

guint
swarm_bus_subscribe_arg0 (SwarmBus *bus, const char *sender, const char *path, const char *iface, const char *member,
                          const char *arg0, SwarmBusSignalFunc func, gpointer data)
{
  SwarmBusClient *self = bus->client;
  Subscription *subscription;

  g_return_val_if_fail (dbus_validate_bus_name (sender, NULL) && dbus_validate_interface (iface, NULL), 0);
  g_return_val_if_fail (path == NULL || dbus_validate_path (path, NULL), 0);
  g_return_val_if_fail (member == NULL || dbus_validate_member (member, NULL), 0);
  g_return_val_if_fail (arg0 == NULL || (strchr (arg0, '\'') == NULL && g_utf8_validate (arg0, -1, NULL)), 0);
  subscription = g_new0 (Subscription, 1);
  subscription->id = ++self->next_id;
  subscription->sender = g_strdup (sender);
  subscription->path = g_strdup (path);
  subscription->iface = g_strdup (iface);
  subscription->member = g_strdup (member);
  subscription->arg0 = g_strdup (arg0);
  subscription->rule = match_rule (subscription);
  subscription->func = func;
  subscription->data = data;
  if (*sender != ':' && strcmp (sender, SWARM_BUS_DRIVER) != 0)
    subscription->name = use_name (self, sender);
  dbus_bus_add_match (bus->connection, subscription->rule, NULL);
  g_ptr_array_add (self->subscriptions, subscription);
  return subscription->id;
}

guint
swarm_bus_subscribe (SwarmBus *self, const char *sender, const char *path, const char *iface, const char *member,
                     SwarmBusSignalFunc func, gpointer data)
{
  return swarm_bus_subscribe_arg0 (self, sender, path, iface, member, NULL, func, data);
}

static void
sweep (SwarmBusClient *self)
{
  for (guint i = self->subscriptions->len; self->signalling == 0 && i > 0; i--)
    if (((Subscription *) self->subscriptions->pdata[i - 1])->gone)
      g_ptr_array_remove_index (self->subscriptions, i - 1);
}

void
swarm_bus_unsubscribe (SwarmBus *bus, guint id)
{
  SwarmBusClient *self = bus->client;

  for (guint i = 0; i < self->subscriptions->len; i++) {
    Subscription *subscription = self->subscriptions->pdata[i];

    if (subscription->id != id || subscription->gone)
      continue;
    subscription->gone = TRUE;
    dbus_bus_remove_match (bus->connection, subscription->rule, NULL);
    if (subscription->name != NULL)
      leave_name (self, g_steal_pointer (&subscription->name));
    break;
  }
  sweep (self);
}

static gboolean
wants (const Subscription *self, DBusMessage *message)
{
  const char *sender = self->name != NULL ? self->name->owner : self->sender;

  return !self->gone && g_strcmp0 (dbus_message_get_sender (message), sender) == 0
         && (self->member == NULL || dbus_message_has_member (message, self->member))
         && dbus_message_has_interface (message, self->iface) && (self->path == NULL || dbus_message_has_path (message, self->path));
}

static gboolean
has_arg0 (GVariant *args, const char *arg0)
{
  g_autoptr (GVariant) first = NULL;

  if (g_variant_n_children (args) == 0)
    return FALSE;
  first = g_variant_get_child_value (args, 0);
  return g_variant_is_of_type (first, G_VARIANT_TYPE_STRING) && strcmp (g_variant_get_string (first, NULL), arg0) == 0;
}

void
swarm_bus_client_signal (SwarmBusClient *self, DBusMessage *message)
{
  g_autoptr (GVariant) args = NULL;
  guint n = self->subscriptions->len; /* new ones do not see this signal */

  self->signalling++;
  for (guint i = 0; i < n && !self->closing; i++) {
    Subscription *subscription = self->subscriptions->pdata[i];

    if (!wants (subscription, message))
      continue;
    if (args == NULL && (args = swarm_bus_message_args (message, NULL, NULL)) == NULL)
      break;
    if (subscription->arg0 == NULL || has_arg0 (args, subscription->arg0))
      subscription->func (subscription->sender, dbus_message_get_path (message), dbus_message_get_member (message), args,
                          subscription->data);
  }
  self->signalling--;
  sweep (self);
}

/* ---- the whole ---- */

SwarmBusClient *
swarm_bus_client_new (SwarmBus *bus)
{
  SwarmBusClient *self = g_new0 (SwarmBusClient, 1);

  self->bus = bus;
  self->calls = g_hash_table_new (NULL, NULL);
  self->destinations = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_destination);
  self->names = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_name);
  self->subscriptions = g_ptr_array_new_with_free_func (free_subscription);
  return self;
}

void
swarm_bus_client_free (SwarmBusClient *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the connection to the bus is being closed");
  GHashTableIter iter;
  gpointer call;

  self->closing = TRUE;
  for (;;) {
    g_hash_table_iter_init (&iter, self->calls);
    if (!g_hash_table_iter_next (&iter, &call, NULL))
      break;
    finish (call, NULL, NULL, error);
  }
  g_hash_table_unref (self->calls);
  g_hash_table_unref (self->destinations);
  g_hash_table_unref (self->names);
  g_ptr_array_unref (self->subscriptions);
  g_free (self);
}
