// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one way between GVariant and libdbus messages. libdbus aborts on bad UTF-8, paths and oversized arrays: everything is checked
 * here and becomes a GError; nothing else appends to or iterates a DBusMessage. */
#pragma once
#include <dbus/dbus.h>
#include <gio/gio.h>

/* Appends the members of the tuple @args. @fds: descriptors for 'h' values, may be NULL (then 'h' is an error). */
gboolean swarm_bus_message_append (DBusMessage *message, GVariant *args, GUnixFDList *fds, GError **error);
/* The arguments as a tuple (not floating). @ret_fds may be NULL: then messages with descriptors are refused. */
GVariant *swarm_bus_message_args (DBusMessage *message, GUnixFDList **ret_fds, GError **error);

/* A method call, reply, error or signal as bytes, for frames: marshalled by libdbus, at most @max bytes. */
GBytes *swarm_bus_message_marshal (DBusMessage *message, gsize max, GError **error);
/* The inverse; validates everything; refuses descriptors. */
DBusMessage *swarm_bus_message_demarshal (const guint8 *data, gsize len, GError **error);
