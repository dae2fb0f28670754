// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: what is in a MESSAGE frame, as D-Bus message bytes. */
#pragma once
#include <glib.h>

typedef enum {
  SWARM_WIRE_CALL,
  SWARM_WIRE_REPLY,
  SWARM_WIRE_ERROR,
} SwarmWireKind;

typedef struct {
  SwarmWireKind kind;
  char *path; /* of a call, as the next two */
  char *iface;
  char *member;
  GVariant *args; /* of a call or reply; a tuple */
  GError *remote; /* of an error */
} SwarmWireMessage;
void swarm_wire_message_clear (SwarmWireMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmWireMessage, swarm_wire_message_clear)

/* Each NULL with SWARM_ERROR_INVALID_ARGUMENT or _LIMIT_EXCEEDED (over @max bytes) when it cannot be sent. */
GBytes *swarm_wire_encode_call (const char *path, const char *iface, const char *member, GVariant *args, guint32 serial,
                                gsize max, GError **error);
GBytes *swarm_wire_encode_reply (GVariant *args, guint32 serial, gsize max, GError **error);
/* Never NULL: a text that cannot be sent is cut or replaced. */
GBytes *swarm_wire_encode_error (const GError *remote, guint32 serial);

gboolean swarm_wire_decode (GBytes *payload, SwarmWireMessage *ret, GError **error);
