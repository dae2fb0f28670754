// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one way between GVariant and libdbus messages. libdbus aborts on bad UTF-8, paths and oversized arrays: everything is checked
 * here and becomes a GError; nothing else appends to or iterates a DBusMessage. */
#pragma once
#include <dbus/dbus.h>
#include <gio/gio.h>

/* What the system bus lets through at most; a longer message would cost the connection. */
#define SWARM_BUS_MESSAGE_MAX (32 * 1024 * 1024 - 64 * 1024)
/* The system bus lets through no more descriptors in one message. */
#define SWARM_BUS_MESSAGE_MAX_FDS 16

/* Messages with checked headers; INVALID_ARGUMENT names the bad part. @destination may be NULL. */
DBusMessage *swarm_bus_message_new_call (const char *destination, const char *path, const char *iface, const char *member,
                                         GError **error);
DBusMessage *swarm_bus_message_new_signal (const char *path, const char *iface, const char *member, GError **error);
/* The reply to call number @serial (not 0) of @destination (may be NULL). Never NULL. */
DBusMessage *swarm_bus_message_new_return (const char *destination, guint32 serial);
/* Same for an error; bytes of @text that are no UTF-8 are replaced, a bad @name becomes org.swarmagent1.Error.Failed. */
DBusMessage *swarm_bus_message_new_error (const char *destination, guint32 serial, const char *name, const char *text);

/* A message without descriptors, in one go. */
typedef struct {
  int type; /* DBUS_MESSAGE_TYPE_METHOD_CALL, …_METHOD_RETURN, …_SIGNAL */
  const char *path, *iface, *member; /* NULL: none */
  guint32 serial, reply_serial;
  const char *destination; /* NULL: none */
} SwarmBusHead;

/* Its bytes, the members of the tuple @args as arguments. The names of @head are the caller's to check. NULL: INVALID_ARGUMENT, LIMIT_EXCEEDED as
 * with swarm_bus_message_append_max(). */
GBytes *swarm_bus_message_write (const SwarmBusHead *head, GVariant *args, gsize max, GError **error);
/* The same as a message to be sent, validated by libdbus; the connection gives it its serial. */
DBusMessage *swarm_bus_message_new (const SwarmBusHead *head, GVariant *args, gsize max, GError **error);

/* Appends the members of the tuple @args to a message without arguments. @fds: descriptors for 'h' values, may be NULL (then 'h' is
 * an error). INVALID_ARGUMENT: what D-Bus cannot carry; LIMIT_EXCEEDED: too long (arrays 64 MiB, messages 128 MiB). The message is
 * unchanged on error. */
gboolean swarm_bus_message_append (DBusMessage *message, GVariant *args, GUnixFDList *fds, GError **error);
/* Same with a lower bound on the length of the arguments. */
gboolean swarm_bus_message_append_max (DBusMessage *message, GVariant *args, GUnixFDList *fds, gsize max, GError **error);
/* One argument that is an array, appended element by element: for long answers that are built over several turns. Takes @message (its
 * arguments are empty), returned by swarm_bus_array_end(). @element: signature of one element. */
typedef struct _SwarmBusArray SwarmBusArray;
SwarmBusArray *swarm_bus_array_new (DBusMessage *message, const char *element, gsize max);
/* @element is sunk. After an error only swarm_bus_array_free() may follow. */
gboolean swarm_bus_array_add (SwarmBusArray *self, GVariant *element, GError **error);
DBusMessage *swarm_bus_array_end (SwarmBusArray *self);
void swarm_bus_array_free (SwarmBusArray *self);

/* The arguments as a tuple (not floating). @ret_fds may be NULL: then messages with descriptors are refused; else it is set to NULL
 * when there are none. */
GVariant *swarm_bus_message_args (DBusMessage *message, GUnixFDList **ret_fds, GError **error);
/* Same for foreign callers: LIMIT_EXCEEDED as soon as the arguments turn out longer than @max bytes or @max / 16 values. */
GVariant *swarm_bus_message_args_max (DBusMessage *message, gsize max, GUnixFDList **ret_fds, GError **error);
/* The GError that an error message stands for: SWARM_ERROR by name. Caller frees. */
GError *swarm_bus_message_error (DBusMessage *message);

/* A method call, reply, error or signal as bytes, for frames: marshalled by libdbus, at most @max bytes. */
GBytes *swarm_bus_message_marshal (DBusMessage *message, gsize max, GError **error);
/* The inverse; validates everything; refuses descriptors. */
DBusMessage *swarm_bus_message_demarshal (const guint8 *data, gsize len, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DBusMessage, dbus_message_unref)
