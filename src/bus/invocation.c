// SPDX-License-Identifier: LGPL-2.1-or-later
/* One call that waits for its answer, whichever door it came through. */
#include "base/error.h"
#include "base/log.h"
#include "bus/private.h"
#include <string.h>

SwarmInvocation *
swarm_invocation_new (SwarmDoor door, const SwarmBusKind *kind, const SwarmBusMethod *method, const char *path, const char *tail,
                      GVariant *args, gpointer data)
{
  SwarmInvocation *self = g_new0 (SwarmInvocation, 1);

  self->door = door;
  self->kind = kind;
  self->method = method;
  self->iface = swarm_bus_method_interface (kind, method);
  self->path = g_strdup (path);
  self->tail = self->path + strlen (path) - strlen (tail);
  self->args = g_variant_ref (args);
  self->data = data;
  self->caller.on_bus = door == SWARM_DOOR_BUS;
  self->caller.uid = SWARM_BUS_UNKNOWN_UID;
  self->caller.action = method->action;
  self->caller.request_id = self->request_id = g_strdup ("");
  return self;
}

static void
forget_pending (SwarmInvocation *self)
{
  guint left;

  if (self->bus == NULL)
    return;
  g_hash_table_remove (self->bus->invocations, self);
  left = GPOINTER_TO_UINT (g_hash_table_lookup (self->bus->pending_by_sender, self->sender));
  if (left <= 1)
    g_hash_table_remove (self->bus->pending_by_sender, self->sender);
  else
    g_hash_table_insert (self->bus->pending_by_sender, g_strdup (self->sender), GUINT_TO_POINTER (left - 1));
}

void
swarm_invocation_drop (SwarmInvocation *self)
{
  forget_pending (self);
  g_free (self->path);
  g_variant_unref (self->args);
  g_clear_object (&self->fds);
  g_free (self->sender);
  g_free (self->request_id);
  g_free (self->details_text);
  g_free (self);
}

const SwarmCaller *
swarm_invocation_caller (SwarmInvocation *self)
{
  return &self->caller;
}

const SwarmBusMethod *
swarm_invocation_method (SwarmInvocation *self)
{
  return self->method;
}

const char *
swarm_invocation_interface (SwarmInvocation *self)
{
  return self->iface->name;
}

const char *
swarm_invocation_path (SwarmInvocation *self)
{
  return self->path;
}

GVariant *
swarm_invocation_args (SwarmInvocation *self)
{
  return self->args;
}

GUnixFDList *
swarm_invocation_fds (SwarmInvocation *self)
{
  return self->fds;
}

gpointer
swarm_invocation_data (SwarmInvocation *self)
{
  return self->data;
}

SwarmLink *
swarm_invocation_link (SwarmInvocation *self)
{
  return self->call != NULL ? self->call->link : NULL;
}

gboolean
swarm_invocation_is_relayed (SwarmInvocation *self)
{
  return self->door == SWARM_DOOR_RELAY;
}

void
swarm_invocation_set_request_id (SwarmInvocation *self, const char *request_id)
{
  g_free (self->request_id);
  self->caller.request_id = self->request_id = g_strdup (request_id);
}

void
swarm_invocation_run (SwarmInvocation *self, gboolean here)
{
  if (here)
    self->filter = NULL;
  swarm_bus_run (self);
}

/* ---- the audit trail ---- */

static gboolean
is_audited (const SwarmBusMethod *method)
{
  if (method->action == SWARM_ACTION_WIRE_ONLY)
    return (method->flags & SWARM_METHOD_WRITE) != 0;
  return method->action != SWARM_ACTION_PUBLIC && method->action != SWARM_ACTION_READ;
}

void
swarm_invocation_audit (SwarmInvocation *self, SwarmAuditResult result, GVariant *value, const GError *error)
{
  SwarmBusAudit audit = self->audit;

  self->audit = NULL;
  if (audit != NULL)
    audit (self, result, value, error, self->audit_data);
}

void
swarm_invocation_set_audit (SwarmInvocation *self, SwarmBusAudit audit, gpointer data)
{
  self->audit = is_audited (self->method) ? audit : NULL;
  self->audit_data = data;
}

GHashTable *
swarm_invocation_details (SwarmInvocation *self, gpointer object)
{
  GHashTable *details = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  if (self->method->details != NULL)
    self->method->details (object, self->args, details);
  return details;
}

static char *
make_details_text (SwarmInvocation *self)
{
  gpointer object = self->kind->find (self->tail, self->data);
  g_autoptr (GHashTable) details = object != NULL ? swarm_invocation_details (self, object) : NULL;
  g_autoptr (GList) keys = details != NULL ? g_list_sort (g_hash_table_get_keys (details), (GCompareFunc) strcmp) : NULL;
  GString *text = g_string_new (NULL);

  for (GList *at = keys; at != NULL; at = at->next)
    g_string_append_printf (text, "%s%s=%s", at == keys ? "" : " ", (char *) at->data, (char *) g_hash_table_lookup (details, at->data));
  return g_string_free (text, FALSE);
}

const char *
swarm_invocation_details_text (SwarmInvocation *self)
{
  if (self->details_text == NULL)
    self->details_text = make_details_text (self);
  return self->details_text;
}

/* ---- answers ---- */

static void
send_error (SwarmInvocation *self, const char *name, const char *text)
{
  swarm_bus_send (self->bus, swarm_bus_message_new_error (self->sender, self->serial, name, text));
}

static void
answer_bus (SwarmInvocation *self, GVariant *value, GUnixFDList *fds, const GError *error)
{
  SwarmBusHead head = { DBUS_MESSAGE_TYPE_METHOD_RETURN, .reply_serial = self->serial, .destination = self->sender };
  g_autoptr (GError) local_error = NULL;
  g_autoptr (DBusMessage) message = NULL;

  if (self->bus == NULL)
    return;
  if (self->no_reply) {
    swarm_bus_changes_flush (self->bus->changes);
    return;
  }
  if (error != NULL) {
    send_error (self, swarm_error_to_name (error), error->message);
    return;
  }
  if (fds == NULL) {
    message = swarm_bus_message_new (&head, value, SWARM_BUS_MESSAGE_MAX, &local_error);
  } else {
    message = swarm_bus_message_new_return (self->sender, self->serial);
    swarm_bus_message_append_max (message, value, fds, SWARM_BUS_MESSAGE_MAX, &local_error);
  }
  if (local_error == NULL) {
    swarm_bus_send (self->bus, g_steal_pointer (&message));
    return;
  }
  g_prefix_error (&local_error, "the answer of %s.%s cannot be sent: ", self->iface->name, self->method->name);
  send_error (self, swarm_error_to_name (local_error), local_error->message);
}

static void
answer (SwarmInvocation *self, GVariant *value, GUnixFDList *fds, const GError *error)
{
  swarm_invocation_audit (self, error != NULL ? SWARM_AUDIT_FAILED : SWARM_AUDIT_DONE, value, error);
  switch (self->door) {
  case SWARM_DOOR_BUS:
    answer_bus (self, value, fds, error);
    break;
  case SWARM_DOOR_WIRE:
    if (error != NULL)
      swarm_call_fail (g_steal_pointer (&self->call), error);
    else
      swarm_call_return (g_steal_pointer (&self->call), value);
    break;
  case SWARM_DOOR_RELAY:
    self->func (error == NULL ? value : NULL, error, self->func_data);
    break;
  }
  swarm_invocation_drop (self);
}

void
swarm_invocation_return_fds (SwarmInvocation *self, GVariant *value, GUnixFDList *fds)
{
  g_autoptr (GVariant) sunk = g_variant_ref_sink (value != NULL ? value : g_variant_new ("()"));
  g_autofree char *declared = swarm_bus_args_signature (self->method->out);

  if (strcmp (g_variant_get_type_string (sunk), declared) != 0) {
    swarm_warning ("Bug: %s.%s answers %s, its row says %s", self->iface->name, self->method->name, g_variant_get_type_string (sunk),
                   declared);
    swarm_invocation_fail_literal (self, SWARM_ERROR_FAILED, "internal error: the answer does not have its declared type");
    return;
  }
  answer (self, sunk, fds, NULL);
}

void
swarm_invocation_return (SwarmInvocation *self, GVariant *value)
{
  swarm_invocation_return_fds (self, value, NULL);
}

void
swarm_invocation_fail (SwarmInvocation *self, const GError *error)
{
  answer (self, NULL, NULL, error);
}

void
swarm_invocation_fail_literal (SwarmInvocation *self, int code, const char *message)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, message);

  answer (self, NULL, NULL, error);
}

void
swarm_invocation_fail_name (SwarmInvocation *self, const char *name, int code, const char *message)
{
  if (self->door != SWARM_DOOR_BUS) {
    swarm_invocation_fail_literal (self, code, message);
    return;
  }
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, message);
  swarm_invocation_audit (self, SWARM_AUDIT_FAILED, NULL, error);
  if (self->bus != NULL && !self->no_reply)
    send_error (self, name, message);
  swarm_invocation_drop (self);
}

SwarmStream *
swarm_invocation_stream (SwarmInvocation *self, SwarmStreamReadyFunc ready, gpointer data)
{
  SwarmStream *stream = self->call != NULL ? swarm_call_stream (self->call, ready, data) : NULL;

  if (stream != NULL)
    swarm_invocation_drop (self);
  return stream;
}
