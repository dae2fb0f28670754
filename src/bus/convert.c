// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bus/convert.h"
#include "base/error.h"
#include "bus/private.h"
#include <gio/gunixfdlist.h>
#include <string.h>

#define MAX_TEXT (16 * 1024)

static gboolean
fail (GError **error, int code, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, code, text);
  return FALSE;
}

/* ---- appending: only what was checked and measured; fails for want of memory or descriptors only ---- */

static gboolean append_value (DBusMessageIter *iter, GVariant *value, GUnixFDList *fds);

static gboolean
append_basic (DBusMessageIter *iter, GVariant *value, char type, GUnixFDList *fds)
{
  DBusBasicValue number = { 0 };
  gconstpointer data;

  if (strchr ("sog", type) != NULL) {
    const char *text = g_variant_get_string (value, NULL);
    return dbus_message_iter_append_basic (iter, type, &text);
  }
  if (type == 'b') {
    dbus_bool_t truth = g_variant_get_boolean (value);
    return dbus_message_iter_append_basic (iter, type, &truth);
  }
  if (type == 'h') {
    int fd = g_unix_fd_list_peek_fds (fds, NULL)[g_variant_get_handle (value)];
    return dbus_message_iter_append_basic (iter, type, &fd);
  }
  data = g_variant_get_data (value); /* NULL in a value from foreign bytes that is not in normal form: then it is 0 */
  if (data != NULL)
    memcpy (&number, data, MIN (g_variant_get_size (value), sizeof number));
  return dbus_message_iter_append_basic (iter, type, &number);
}

static gboolean
append_children (DBusMessageIter *iter, GVariant *value, GUnixFDList *fds)
{
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

    if (!append_value (iter, child, fds))
      return FALSE;
  }
  return TRUE;
}

static gboolean
append_fixed_array (DBusMessageIter *iter, GVariant *value, char element)
{
  gsize n;
  gconstpointer data = g_variant_get_fixed_array (value, &n, swarm_bus_wire_size (element));

  return n == 0 || dbus_message_iter_append_fixed_array (iter, element, &data, (int) n);
}

static gboolean
append_container (DBusMessageIter *iter, GVariant *value, char type, GUnixFDList *fds)
{
  int kind = type == '(' ? DBUS_TYPE_STRUCT : type == '{' ? DBUS_TYPE_DICT_ENTRY : type;
  const char *contained = NULL;
  g_autoptr (GVariant) boxed = NULL;
  DBusMessageIter sub;
  gboolean ok;

  if (type == 'a')
    contained = g_variant_get_type_string (value) + 1;
  if (type == 'v') {
    boxed = g_variant_get_variant (value);
    contained = g_variant_get_type_string (boxed);
  }
  if (!dbus_message_iter_open_container (iter, kind, contained, &sub))
    return FALSE;
  if (boxed != NULL)
    ok = append_value (&sub, boxed, fds);
  else if (type == 'a' && swarm_bus_is_plain_fixed (contained[0]))
    ok = append_fixed_array (&sub, value, contained[0]);
  else
    ok = append_children (&sub, value, fds);
  if (!ok) {
    dbus_message_iter_abandon_container (iter, &sub);
    return FALSE;
  }
  return dbus_message_iter_close_container (iter, &sub);
}

static gboolean
append_value (DBusMessageIter *iter, GVariant *value, GUnixFDList *fds)
{
  char type = g_variant_get_type_string (value)[0];

  if (strchr ("av({", type) != NULL)
    return append_container (iter, value, type, fds);
  return append_basic (iter, value, type, fds);
}

gboolean
swarm_bus_message_append_max (DBusMessage *message, GVariant *args, GUnixFDList *fds, gsize max, GError **error)
{
  SwarmBusWriter measure = { .max = MIN (max, DBUS_MAXIMUM_MESSAGE_LENGTH), .n_fds = fds != NULL ? (guint) g_unix_fd_list_get_length (fds) : 0 };
  DBusMessageIter iter;

  g_return_val_if_fail (dbus_message_get_signature (message)[0] == '\0', FALSE);
  if (!swarm_bus_write_args (&measure, args, error))
    return FALSE;
  dbus_message_iter_init_append (message, &iter);
  if (!append_children (&iter, args, fds))
    return fail (error, SWARM_ERROR_FAILED, "not enough memory or descriptors for a message");
  return TRUE;
}

gboolean
swarm_bus_message_append (DBusMessage *message, GVariant *args, GUnixFDList *fds, GError **error)
{
  return swarm_bus_message_append_max (message, args, fds, DBUS_MAXIMUM_MESSAGE_LENGTH, error);
}

struct _SwarmBusArray {
  DBusMessage *message;
  DBusMessageIter iter, sub;
  SwarmBusWriter measure;
};

SwarmBusArray *
swarm_bus_array_new (DBusMessage *message, const char *element, gsize max)
{
  SwarmBusArray *self = g_new0 (SwarmBusArray, 1);

  self->message = message;
  self->measure.max = MIN (max, DBUS_MAXIMUM_ARRAY_LENGTH);
  self->measure.offset = 8; /* length and padding */
  dbus_message_iter_init_append (message, &self->iter);
  if (!dbus_message_iter_open_container (&self->iter, DBUS_TYPE_ARRAY, element, &self->sub))
    g_error ("out of memory");
  return self;
}

gboolean
swarm_bus_array_add (SwarmBusArray *self, GVariant *element, GError **error)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (element);

  self->measure.error = error;
  if (!swarm_bus_write_value (&self->measure, sunk, 1))
    return FALSE;
  if (!append_value (&self->sub, sunk, NULL))
    g_error ("out of memory");
  return TRUE;
}

DBusMessage *
swarm_bus_array_end (SwarmBusArray *self)
{
  DBusMessage *message = self->message;

  if (!dbus_message_iter_close_container (&self->iter, &self->sub))
    g_error ("out of memory");
  g_free (self);
  return message;
}

void
swarm_bus_array_free (SwarmBusArray *self)
{
  dbus_message_iter_abandon_container (&self->iter, &self->sub);
  dbus_message_unref (self->message);
  g_free (self);
}

/* ---- errors ---- */

GError *
swarm_bus_message_error (DBusMessage *message)
{
  DBusError name = DBUS_ERROR_INIT;
  GError *error;

  if (!dbus_set_error_from_message (&name, message))
    return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "not an error message");
  error = swarm_error_from_name (name.name, name.message != NULL && *name.message != '\0' ? name.message : name.name);
  dbus_error_free (&name);
  return error;
}

/* ---- heads ---- */

static gpointer
not_null (gpointer memory)
{
  if (memory == NULL)
    g_error ("out of memory");
  return memory;
}

static gboolean
check_head (const char *path, const char *iface, const char *member, GError **error)
{
  const char *bad = NULL;

  if (path == NULL || !g_utf8_validate (path, -1, NULL) || !dbus_validate_path (path, NULL))
    bad = "object path";
  else if (iface == NULL || !g_utf8_validate (iface, -1, NULL) || !dbus_validate_interface (iface, NULL))
    bad = "interface name";
  else if (member == NULL || !g_utf8_validate (member, -1, NULL) || !dbus_validate_member (member, NULL))
    bad = "member name";
  if (bad != NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a valid %s", bad);
  return bad == NULL;
}

DBusMessage *
swarm_bus_message_new_call (const char *destination, const char *path, const char *iface, const char *member, GError **error)
{
  if (!check_head (path, iface, member, error))
    return NULL;
  if (destination != NULL && (!g_utf8_validate (destination, -1, NULL) || !dbus_validate_bus_name (destination, NULL))) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a valid bus name");
    return NULL;
  }
  return not_null (dbus_message_new_method_call (destination, path, iface, member));
}

DBusMessage *
swarm_bus_message_new_signal (const char *path, const char *iface, const char *member, GError **error)
{
  if (!check_head (path, iface, member, error))
    return NULL;
  return not_null (dbus_message_new_signal (path, iface, member));
}

static DBusMessage *
new_answer (int type, const char *destination, guint32 serial)
{
  g_autoptr (DBusMessage) message = not_null (dbus_message_new (type));

  dbus_message_set_no_reply (message, TRUE);
  if (!dbus_message_set_reply_serial (message, MAX (serial, 1)) || !dbus_message_set_destination (message, destination))
    g_error ("out of memory");
  return g_steal_pointer (&message);
}

DBusMessage *
swarm_bus_message_new_return (const char *destination, guint32 serial)
{
  return new_answer (DBUS_MESSAGE_TYPE_METHOD_RETURN, destination, serial);
}

DBusMessage *
swarm_bus_message_new_error (const char *destination, guint32 serial, const char *name, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, (gssize) MIN (strlen (text), MAX_TEXT));
  DBusMessage *message = new_answer (DBUS_MESSAGE_TYPE_ERROR, destination, serial);
  gboolean good = g_utf8_validate (name, -1, NULL) && dbus_validate_error_name (name, NULL);

  if (!dbus_message_set_error_name (message, good ? name : "org.swarmagent1.Error.Failed")
      || !dbus_message_append_args (message, DBUS_TYPE_STRING, &valid, DBUS_TYPE_INVALID))
    g_error ("out of memory");
  return message;
}

/* ---- bytes ---- */

GBytes *
swarm_bus_message_marshal (DBusMessage *message, gsize max, GError **error)
{
  char *data = NULL;
  int len = 0;

  if (dbus_message_contains_unix_fds (message)) {
    fail (error, SWARM_ERROR_INVALID_ARGUMENT, "descriptors do not travel between nodes");
    return NULL;
  }
  if (dbus_message_get_serial (message) == 0)
    dbus_message_set_serial (message, 1);
  if (!dbus_message_marshal (message, &data, &len))
    g_error ("out of memory");
  if ((gsize) len > max) {
    dbus_free (data);
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a message of %d bytes is over the limit of %" G_GSIZE_FORMAT, len,
                 max);
    return NULL;
  }
  return g_bytes_new_with_free_func (data, (gsize) len, dbus_free, data);
}

DBusMessage *
swarm_bus_message_demarshal (const guint8 *data, gsize len, GError **error)
{
  DBusError local = DBUS_ERROR_INIT;
  DBusMessage *message;

  if (len > DBUS_MAXIMUM_MESSAGE_LENGTH || len < DBUS_MINIMUM_HEADER_SIZE
      || dbus_message_demarshal_bytes_needed ((const char *) data, (int) len) != (int) len) {
    fail (error, SWARM_ERROR_INVALID_ARGUMENT, "not one whole D-Bus message");
    return NULL;
  }
  message = dbus_message_demarshal ((const char *) data, (int) len, &local);
  if (message == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "not a valid D-Bus message: %s",
                 local.message != NULL ? local.message : "corrupted");
    dbus_error_free (&local);
    return NULL;
  }
  if (dbus_message_contains_unix_fds (message)) {
    dbus_message_unref (message);
    fail (error, SWARM_ERROR_INVALID_ARGUMENT, "descriptors do not travel between nodes");
    return NULL;
  }
  return message;
}
