// SPDX-License-Identifier: LGPL-2.1-or-later
/* GVariants of any type and any bytes, as a caller's 'v' may hold: the converter says no, or makes a message that reads back the same.
 * Input: the type string, a newline, the serialised value. */
#include "bus/convert.h"
#include "fuzz.h"
#include <string.h>

static void
pass_through (GVariant *args)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DBusMessage) message = swarm_bus_message_new_call (NULL, "/", "a.b", "C", NULL);
  SwarmBusHead head = { DBUS_MESSAGE_TYPE_METHOD_CALL, "/", "a.b", "C" };
  g_autoptr (DBusMessage) written = swarm_bus_message_new (&head, args, 1 << 20, NULL);
  g_autoptr (DBusMessage) back = NULL;
  g_autoptr (GBytes) bytes = NULL, written_bytes = NULL;
  g_autoptr (GVariant) same = NULL;

  if (!swarm_bus_message_append_max (message, args, NULL, 1 << 20, &error)) {
    g_assert (written == NULL && error != NULL && dbus_message_get_signature (message)[0] == '\0'); /* nothing is half done */
    return;
  }
  bytes = swarm_bus_message_marshal (message, DBUS_MAXIMUM_MESSAGE_LENGTH, NULL);
  back = swarm_bus_message_demarshal (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &error);
  if (back == NULL)
    g_error ("%s", error->message);
  g_assert (written != NULL);
  written_bytes = swarm_bus_message_marshal (written, DBUS_MAXIMUM_MESSAGE_LENGTH, NULL);
  g_assert (g_bytes_equal (bytes, written_bytes));
  same = swarm_bus_message_args (back, NULL, NULL);
  g_assert (g_variant_is_of_type (same, g_variant_get_type (args)));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  const guint8 *newline = memchr (data, '\n', MIN (size, 256));
  g_autofree char *type = newline != NULL ? g_strndup ((const char *) data, newline - data) : NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GVariant) raw = NULL, args = NULL;

  if (type == NULL || !g_variant_type_string_is_valid (type) || type[0] != '(' || !g_variant_type_is_definite ((GVariantType *) type))
    return 0;
  /* A copy at the start of its own block: alignment as the converter gets it. */
  bytes = g_bytes_new (newline + 1, size - (newline + 1 - data));
  raw = g_variant_ref_sink (g_variant_new_from_bytes ((GVariantType *) type, bytes, FALSE));
  pass_through (raw);
  args = g_variant_get_normal_form (raw);
  pass_through (args);
  return 0;
}
