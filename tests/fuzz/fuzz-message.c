// SPDX-License-Identifier: LGPL-2.1-or-later
/* D-Bus messages as bytes: what is taken can be passed on and is the same again. */
#include "bus/convert.h"
#include "fuzz.h"

static void
look_into (DBusMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) args = swarm_bus_message_args_max (message, 1 << 20, NULL, &error);
  g_autoptr (DBusMessage) again = swarm_bus_message_new_call (NULL, "/", "a.b", "C", NULL);
  g_autoptr (DBusMessage) back = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GVariant) same = NULL;

  if (dbus_message_get_type (message) == DBUS_MESSAGE_TYPE_ERROR)
    g_error_free (swarm_bus_message_error (message));
  if (args == NULL) {
    g_assert (error != NULL);
    return;
  }
  if (!swarm_bus_message_append (again, args, NULL, &error))
    g_error ("%s", error->message);
  bytes = swarm_bus_message_marshal (again, DBUS_MAXIMUM_MESSAGE_LENGTH, NULL);
  back = swarm_bus_message_demarshal (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &error);
  if (back == NULL)
    g_error ("%s", error->message);
  same = swarm_bus_message_args (back, NULL, NULL);
  /* By bytes: a NaN does not equal itself. */
  g_assert (g_variant_get_size (same) == g_variant_get_size (args)
            && memcmp (g_variant_get_data (same), g_variant_get_data (args), g_variant_get_size (args)) == 0);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = swarm_bus_message_demarshal (data, size, &error);

  if (message != NULL)
    look_into (message);
  else
    g_assert (error != NULL);
  return 0;
}
