// SPDX-License-Identifier: LGPL-2.1-or-later
/* Incoming calls of the bus: the standard interfaces, and the way to the handlers of the tables. org.freedesktop.DBus.Peer is
 * answered by libdbus itself. */
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

/* ---- answers of the standard interfaces ---- */

static void
reply_error (SwarmBus *self, DBusMessage *call, const char *name, const char *text)
{
  if (!dbus_message_get_no_reply (call))
    swarm_bus_send (self, swarm_bus_message_new_error (dbus_message_get_sender (call), dbus_message_get_serial (call), name, text));
}

static void reply_errorf (SwarmBus *self, DBusMessage *call, const char *name, const char *format, ...) G_GNUC_PRINTF (4, 5);

static void
reply_errorf (SwarmBus *self, DBusMessage *call, const char *name, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  reply_error (self, call, name, text);
}

static void
reply_value (SwarmBus *self, DBusMessage *call, GVariant *value)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (value);
  g_autoptr (DBusMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  if (dbus_message_get_no_reply (call))
    return;
  message = swarm_bus_message_new_return (dbus_message_get_sender (call), dbus_message_get_serial (call));
  if (swarm_bus_message_append_max (message, sunk, NULL, SWARM_BUS_MESSAGE_MAX, &error))
    swarm_bus_send (self, g_steal_pointer (&message));
  else
    reply_error (self, call, swarm_error_to_name (error), error->message);
}

/* ---- objects ---- */

static gpointer
find_object (SwarmBus *self, const char *path, const SwarmBusKind **ret_kind, const char **ret_tail)
{
  const SwarmBusKind *kind = swarm_bus_find_kind (self->kinds, path, ret_tail);

  if (kind == NULL || !swarm_bus_kind_on_bus (kind))
    return NULL;
  *ret_kind = kind;
  return kind->find (*ret_tail, self->data);
}

/* A method of an object of a kind that there is, only not here. */
static gboolean
refuse_absent (SwarmBus *self, DBusMessage *call)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->kinds, dbus_message_get_path (call), &tail);
  g_autoptr (GError) error = NULL;

  if (kind == NULL || kind->absent == NULL || !swarm_bus_kind_on_bus (kind)
      || swarm_bus_find_method (kind, dbus_message_get_interface (call), dbus_message_get_member (call)) == NULL)
    return FALSE;
  error = kind->absent (self->data);
  if (error == NULL)
    return FALSE;
  reply_error (self, call, swarm_error_to_name (error), error->message);
  return TRUE;
}

/* ---- calls whose object may be on its way here ---- */

#define MAX_MISSING 256

struct _SwarmBusMissing {
  SwarmBus *bus; /* NULL: gone */
  DBusMessage *call;
};

static void serve (SwarmBus *self, DBusMessage *call, gboolean may_wait, const GError *behind);

void
swarm_bus_look_again (SwarmBusMissing *missing, const GError *behind)
{
  if (missing->bus != NULL) {
    g_hash_table_remove (missing->bus->missing, missing);
    serve (missing->bus, missing->call, FALSE, behind);
  }
  dbus_message_unref (missing->call);
  g_free (missing);
}

void
swarm_bus_drop_missing (SwarmBus *self)
{
  GHashTableIter iter;
  gpointer missing;

  g_hash_table_iter_init (&iter, self->missing);
  while (g_hash_table_iter_next (&iter, &missing, NULL))
    ((SwarmBusMissing *) missing)->bus = NULL;
  g_hash_table_remove_all (self->missing);
}

/* Only a call that would be served if its object were there. */
static gboolean
wait_for_object (SwarmBus *self, DBusMessage *call)
{
  const char *tail;
  const SwarmBusKind *kind = swarm_bus_find_kind (self->kinds, dbus_message_get_path (call), &tail);
  SwarmBusMissing *missing;

  if (self->behind == NULL || g_hash_table_size (self->missing) >= MAX_MISSING || kind == NULL || *tail == '\0'
      || !swarm_bus_kind_on_bus (kind)
      || swarm_bus_find_method (kind, dbus_message_get_interface (call), dbus_message_get_member (call)) == NULL)
    return FALSE;
  missing = g_new0 (SwarmBusMissing, 1);
  missing->bus = self;
  missing->call = dbus_message_ref (call);
  g_hash_table_add (self->missing, missing);
  if (self->behind (missing, self->behind_data))
    return TRUE;
  g_hash_table_remove (self->missing, missing);
  dbus_message_unref (call);
  g_free (missing);
  return FALSE;
}

static void
unknown_object (SwarmBus *self, DBusMessage *call)
{
  reply_errorf (self, call, DBUS_ERROR_UNKNOWN_OBJECT, "no such object: %s", dbus_message_get_path (call));
}

/* ---- org.freedesktop.DBus.Properties ---- */

static const SwarmBusProperty *
find_property (const SwarmBusInterface *iface, const char *name)
{
  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++)
    if (strcmp (row->name, name) == 0)
      return row;
  return NULL;
}

/* An empty interface name stands for whichever has the property (D-Bus specification). */
static const SwarmBusProperty *
find_property_of (const SwarmBusKind *kind, const char *iface, const char *name, const SwarmBusInterface **ret_iface)
{
  for (guint i = 0; kind->interfaces[i] != NULL; i++) {
    const SwarmBusProperty *row;

    if (*iface != '\0' && strcmp (iface, kind->interfaces[i]->name) != 0)
      continue;
    row = find_property (kind->interfaces[i], name);
    if (row == NULL)
      continue;
    *ret_iface = kind->interfaces[i];
    return row;
  }
  return NULL;
}

static void
properties_get (SwarmBus *self, DBusMessage *call, GVariant *args)
{
  const SwarmBusKind *kind = NULL;
  const SwarmBusInterface *found = NULL;
  const SwarmBusProperty *row;
  const char *tail, *iface, *name;
  g_autoptr (GVariant) value = NULL;
  gpointer object = find_object (self, dbus_message_get_path (call), &kind, &tail);

  if (object == NULL) {
    unknown_object (self, call);
    return;
  }
  g_variant_get (args, "(&s&s)", &iface, &name);
  row = find_property_of (kind, iface, name, &found);
  if (row != NULL)
    value = swarm_bus_property_value (found, row, object, self->data);
  if (value == NULL)
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_PROPERTY, "no such property: %s%s%s", iface, *iface != '\0' ? "." : "", name);
  else
    reply_value (self, call, g_variant_new ("(v)", value));
}

static void
properties_get_all (SwarmBus *self, DBusMessage *call, GVariant *args)
{
  static const char *const standard[]
    = { DBUS_INTERFACE_INTROSPECTABLE, DBUS_INTERFACE_PROPERTIES, DBUS_INTERFACE_PEER, SWARM_BUS_OBJECT_MANAGER, NULL };
  const SwarmBusKind *kind = NULL;
  const SwarmBusInterface *found;
  const char *tail, *iface;
  gpointer object = find_object (self, dbus_message_get_path (call), &kind, &tail);

  if (object == NULL) {
    unknown_object (self, call);
    return;
  }
  g_variant_get (args, "(&s)", &iface);
  found = *iface == '\0' ? kind->interfaces[0] : swarm_bus_find_interface (kind, iface);
  if (found != NULL && swarm_bus_interface_on_bus (found))
    reply_value (self, call, g_variant_new ("(@a{sv})", swarm_bus_interface_properties (found, object, self->data)));
  else if (g_strv_contains (standard, iface))
    reply_value (self, call, g_variant_new ("(@a{sv})", g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0)));
  else
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_INTERFACE, "no such interface: %s", iface);
}

static void
properties_set (SwarmBus *self, DBusMessage *call, GVariant *args)
{
  const SwarmBusKind *kind = NULL;
  const SwarmBusInterface *found;
  const char *tail, *iface, *name;

  if (find_object (self, dbus_message_get_path (call), &kind, &tail) == NULL) {
    unknown_object (self, call);
    return;
  }
  g_variant_get (args, "(&s&sv)", &iface, &name, NULL);
  if (find_property_of (kind, iface, name, &found) != NULL)
    reply_errorf (self, call, DBUS_ERROR_PROPERTY_READ_ONLY, "property %s is read-only; changes are made by methods", name);
  else
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_PROPERTY, "no such property: %s%s%s", iface, *iface != '\0' ? "." : "", name);
}

/* ---- Introspectable, ObjectManager ---- */

static void
introspect (SwarmBus *self, DBusMessage *call, GVariant *args)
{
  const SwarmBusKind *kind = NULL;
  const char *path = dbus_message_get_path (call), *tail;
  gboolean exists = find_object (self, path, &kind, &tail) != NULL;
  g_autofree char *xml = swarm_bus_introspect (self, exists ? kind : NULL, path);

  if (xml != NULL)
    reply_value (self, call, g_variant_new ("(s)", xml));
  else
    unknown_object (self, call);
}

static void
get_managed_objects (SwarmBus *self, DBusMessage *call, GVariant *args)
{
  g_autoptr (GError) error = NULL;

  if (strcmp (dbus_message_get_path (call), self->root) != 0)
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_METHOD, "the object manager is at %s", self->root);
  else if (!dbus_message_get_no_reply (call)
           && !swarm_bus_managed_objects (self, dbus_message_get_sender (call), dbus_message_get_serial (call), &error))
    reply_error (self, call, swarm_error_to_name (error), error->message);
}

static const struct {
  const char *iface;
  const char *member;
  const char *signature;
  void (*func) (SwarmBus *self, DBusMessage *call, GVariant *args);
} standard_methods[] = {
  { DBUS_INTERFACE_PROPERTIES, "Get", "ss", properties_get },
  { DBUS_INTERFACE_PROPERTIES, "GetAll", "s", properties_get_all },
  { DBUS_INTERFACE_PROPERTIES, "Set", "ssv", properties_set },
  { DBUS_INTERFACE_INTROSPECTABLE, "Introspect", "", introspect },
  { SWARM_BUS_OBJECT_MANAGER, "GetManagedObjects", "", get_managed_objects },
};

static GVariant *
call_args (SwarmBus *self, DBusMessage *call, GUnixFDList **ret_fds)
{
  g_autoptr (GError) error = NULL;
  GVariant *args = swarm_bus_message_args_max (call, SWARM_BUS_CALL_MAX, ret_fds, &error);

  if (args == NULL)
    reply_error (self, call, error->code == SWARM_ERROR_LIMIT_EXCEEDED ? DBUS_ERROR_LIMITS_EXCEEDED : DBUS_ERROR_INVALID_ARGS,
                 error->message);
  return args;
}

static void
wrong_signature (SwarmBus *self, DBusMessage *call, const char *wanted)
{
  reply_errorf (self, call, DBUS_ERROR_INVALID_ARGS, "%s takes arguments (%s), not (%s)", dbus_message_get_member (call), wanted,
                dbus_message_get_signature (call));
}

static gboolean
standard_call (SwarmBus *self, DBusMessage *call)
{
  const char *iface = dbus_message_get_interface (call);

  for (guint i = 0; i < G_N_ELEMENTS (standard_methods); i++) {
    g_autoptr (GVariant) args = NULL;

    if ((iface != NULL && strcmp (iface, standard_methods[i].iface) != 0)
        || strcmp (dbus_message_get_member (call), standard_methods[i].member) != 0)
      continue;
    if (strcmp (dbus_message_get_signature (call), standard_methods[i].signature) != 0) {
      wrong_signature (self, call, standard_methods[i].signature);
      return TRUE;
    }
    args = call_args (self, call, NULL);
    if (args != NULL)
      standard_methods[i].func (self, call, args);
    return TRUE;
  }
  return FALSE;
}

/* ---- methods of the tables ---- */

void
swarm_bus_run (SwarmInvocation *invocation)
{
  gpointer object = invocation->kind->find (invocation->tail, invocation->data);

  if (object == NULL) {
    g_autofree char *text = g_strdup_printf ("no such object: %s", invocation->path);

    swarm_invocation_fail_name (invocation, DBUS_ERROR_UNKNOWN_OBJECT, SWARM_ERROR_NOT_FOUND, text);
    return;
  }
  if (invocation->audit != NULL)
    swarm_invocation_details_text (invocation); /* a removed object cannot be asked for its name afterwards */
  if (invocation->filter != NULL && invocation->filter (invocation, invocation->filter_data))
    return;
  invocation->method->handler (invocation, object, invocation->args);
}

static gboolean
has_room (SwarmBus *self, DBusMessage *call)
{
  guint own = GPOINTER_TO_UINT (g_hash_table_lookup (self->pending_by_sender, dbus_message_get_sender (call)));

  if (own < SWARM_BUS_MAX_PENDING_SENDER && g_hash_table_size (self->invocations) < SWARM_BUS_MAX_PENDING)
    return TRUE;
  reply_error (self, call, DBUS_ERROR_LIMITS_EXCEEDED, "too many calls wait for their answer; try again later");
  return FALSE;
}

static SwarmInvocation *
new_invocation (SwarmBus *self, DBusMessage *call, const SwarmBusKind *kind, const SwarmBusMethod *method, const char *tail,
                GVariant *args, GUnixFDList *fds)
{
  SwarmInvocation *invocation
    = swarm_invocation_new (SWARM_DOOR_BUS, kind, method, dbus_message_get_path (call), tail, args, self->data);
  guint own;

  invocation->bus = self;
  invocation->sender = g_strdup (dbus_message_get_sender (call));
  invocation->serial = dbus_message_get_serial (call);
  invocation->no_reply = dbus_message_get_no_reply (call);
  invocation->interactive = dbus_message_get_allow_interactive_authorization (call);
  invocation->fds = fds != NULL ? g_object_ref (fds) : NULL;
  invocation->filter = self->filter;
  invocation->filter_data = self->filter_data;
  swarm_invocation_set_audit (invocation, self->audit, self->audit_data);
  own = GPOINTER_TO_UINT (g_hash_table_lookup (self->pending_by_sender, invocation->sender));
  g_hash_table_insert (self->pending_by_sender, g_strdup (invocation->sender), GUINT_TO_POINTER (own + 1));
  g_hash_table_add (self->invocations, invocation);
  return invocation;
}

static void
table_call (SwarmBus *self, DBusMessage *call, const SwarmBusKind *kind, const SwarmBusMethod *method, const char *tail)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) args = NULL;
  SwarmInvocation *invocation;

  if (!swarm_bus_args_match (method->in, dbus_message_get_signature (call))) {
    g_autofree char *wanted = swarm_bus_args_signature (method->in);

    wanted[strlen (wanted) - 1] = '\0';
    wrong_signature (self, call, wanted + 1);
    return;
  }
  if (!has_room (self, call) || (args = call_args (self, call, swarm_bus_args_have_fds (method->in) ? &fds : NULL)) == NULL)
    return;
  invocation = new_invocation (self, call, kind, method, tail, args, fds);
  if (method->action == SWARM_ACTION_PUBLIC)
    swarm_bus_run (invocation);
  else
    swarm_bus_polkit_authorise (self->polkit, invocation);
}

static gboolean
is_standard_interface (const char *iface)
{
  for (guint i = 0; i < G_N_ELEMENTS (standard_methods); i++)
    if (strcmp (standard_methods[i].iface, iface) == 0)
      return TRUE;
  return FALSE;
}

/* @may_wait: for an object that is not here yet. @behind: why it could not be found out whether there is one. */
static void
serve (SwarmBus *self, DBusMessage *call, gboolean may_wait, const GError *behind)
{
  const char *iface = dbus_message_get_interface (call), *member = dbus_message_get_member (call), *tail = NULL;
  const SwarmBusKind *kind = NULL;
  const SwarmBusMethod *method = NULL;

  if (find_object (self, dbus_message_get_path (call), &kind, &tail) != NULL)
    method = swarm_bus_find_method (kind, iface, member);
  else
    kind = NULL;
  if (method != NULL && method->action != SWARM_ACTION_WIRE_ONLY)
    table_call (self, call, kind, method, tail);
  else if (standard_call (self, call) || (kind == NULL && may_wait && wait_for_object (self, call)))
    return;
  else if (kind == NULL && refuse_absent (self, call))
    return;
  else if (kind == NULL && behind != NULL)
    reply_error (self, call, swarm_error_to_name (behind), behind->message);
  else if (kind == NULL)
    unknown_object (self, call);
  else if (iface != NULL && !is_standard_interface (iface) && swarm_bus_find_interface (kind, iface) == NULL)
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_INTERFACE, "%s has no interface %s", dbus_message_get_path (call), iface);
  else
    reply_errorf (self, call, DBUS_ERROR_UNKNOWN_METHOD, "no such method: %s%s%s", iface != NULL ? iface : "",
                  iface != NULL ? "." : "", member);
}

void
swarm_bus_server_call (SwarmBus *self, DBusMessage *call)
{
  self->last_activity = swarm_bus_boottime ();
  if (dbus_message_get_sender (call) != NULL)
    serve (self, call, TRUE, NULL);
}
