// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/wire.h"
#include "base/error.h"
#include "bus/convert.h"

#define ERROR_TEXT_MAX 4096

typedef DBusMessage Message;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Message, dbus_message_unref)

void
swarm_wire_message_clear (SwarmWireMessage *message)
{
  g_clear_pointer (&message->path, g_free);
  g_clear_pointer (&message->iface, g_free);
  g_clear_pointer (&message->member, g_free);
  g_clear_pointer (&message->args, g_variant_unref);
  g_clear_error (&message->remote);
}

/* libdbus aborts on names that it does not like: they are looked at first. */
static gboolean
check_names (const char *path, const char *iface, const char *member, GError **error)
{
  if (path != NULL && iface != NULL && member != NULL && dbus_validate_path (path, NULL)
      && dbus_validate_interface (iface, NULL) && dbus_validate_member (member, NULL))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
               "cannot call %s.%s: bad path, interface or method name", iface != NULL ? iface : "?",
               member != NULL ? member : "?");
  return FALSE;
}

/* @max bounds the message as a whole. */
static GBytes *
encode (const SwarmBusHead *head, GVariant *args, gsize max, GError **error)
{
  g_autoptr (GBytes) bytes = swarm_bus_message_write (head, args, max, error);

  if (bytes == NULL || g_bytes_get_size (bytes) <= max)
    return g_steal_pointer (&bytes);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a message of %" G_GSIZE_FORMAT " bytes is over the limit of %" G_GSIZE_FORMAT,
               g_bytes_get_size (bytes), max);
  return NULL;
}

GBytes *
swarm_wire_encode_call (const char *path, const char *iface, const char *member, GVariant *args, guint32 serial,
                        gsize max, GError **error)
{
  SwarmBusHead head = { DBUS_MESSAGE_TYPE_METHOD_CALL, path, iface, member, .serial = serial };

  return check_names (path, iface, member, error) ? encode (&head, args, max, error) : NULL;
}

GBytes *
swarm_wire_encode_reply (GVariant *args, guint32 serial, gsize max, GError **error)
{
  SwarmBusHead head = { DBUS_MESSAGE_TYPE_METHOD_RETURN, .reply_serial = serial };

  return encode (&head, args, max, error);
}

GBytes *
swarm_wire_encode_error (const GError *remote, guint32 serial)
{
  g_autoptr (Message) message = dbus_message_new (DBUS_MESSAGE_TYPE_ERROR);
  g_autofree char *text = g_utf8_make_valid (remote->message, -1);
  g_autoptr (GVariant) args = NULL;
  GBytes *bytes;

  if (strlen (text) > ERROR_TEXT_MAX)
    *g_utf8_find_prev_char (text, text + ERROR_TEXT_MAX + 1) = '\0';
  args = g_variant_ref_sink (g_variant_new ("(s)", text));
  dbus_message_set_serial (message, 1);
  dbus_message_set_reply_serial (message, MAX (serial, 1));
  dbus_message_set_error_name (message, swarm_error_to_name (remote));
  swarm_bus_message_append (message, args, NULL, NULL);
  bytes = swarm_bus_message_marshal (message, 2 * ERROR_TEXT_MAX, NULL);
  g_assert (bytes != NULL);
  return bytes;
}

/* An error's text is its first argument; anything else leaves it empty. */
static GError *
remote_error (DBusMessage *message)
{
  g_autoptr (GVariant) args = swarm_bus_message_args (message, NULL, NULL);
  g_autoptr (GVariant) text = NULL;

  if (args != NULL && g_variant_n_children (args) > 0)
    text = g_variant_get_child_value (args, 0);
  return swarm_error_from_name (
    dbus_message_get_error_name (message),
    text != NULL && g_variant_is_of_type (text, G_VARIANT_TYPE_STRING) ? g_variant_get_string (text, NULL) : "");
}

static gboolean
decode_message (DBusMessage *message, SwarmWireMessage *ret, GError **error)
{
  switch (dbus_message_get_type (message)) {
  case DBUS_MESSAGE_TYPE_METHOD_CALL:
    ret->kind = SWARM_WIRE_CALL;
    ret->path = g_strdup (dbus_message_get_path (message));
    ret->iface = g_strdup (dbus_message_get_interface (message));
    ret->member = g_strdup (dbus_message_get_member (message));
    if (ret->path == NULL || ret->iface == NULL || ret->member == NULL) {
      g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                           "a call without path, interface or method name");
      return FALSE;
    }
    break;
  case DBUS_MESSAGE_TYPE_METHOD_RETURN:
    ret->kind = SWARM_WIRE_REPLY;
    break;
  case DBUS_MESSAGE_TYPE_ERROR:
    ret->kind = SWARM_WIRE_ERROR;
    ret->remote = remote_error (message);
    return TRUE;
  default:
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "neither a call nor an answer");
    return FALSE;
  }
  ret->args = swarm_bus_message_args (message, NULL, error);
  return ret->args != NULL;
}

gboolean
swarm_wire_decode (GBytes *payload, SwarmWireMessage *ret, GError **error)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (payload, &len);
  g_autoptr (Message) message = swarm_bus_message_demarshal (data, len, error);

  if (message != NULL && decode_message (message, ret, error))
    return TRUE;
  swarm_wire_message_clear (ret);
  g_prefix_error (error, "the other end sends a malformed message: ");
  return FALSE;
}
