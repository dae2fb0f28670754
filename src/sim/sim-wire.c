// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-wire.h"
#include "base/error.h"

#define DISPATCHER "org.swarmagent1.Dispatcher"

static GBytes *
bytes_child (GVariant *args, gsize index)
{
  g_autoptr (GVariant) child = g_variant_get_child_value (args, index);
  return g_variant_get_data_as_bytes (child);
}

static void
fail (SwarmCall *call, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, text);
  swarm_call_fail (call, error);
}

static void
registered (const SwarmRegistration *registration, const GError *error, gpointer data)
{
  SwarmCall *call = data;
  if (error != NULL) {
    swarm_call_fail (call, error);
    return;
  }
  GVariant *session = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, registration->session, TRUE);
  swarm_call_return (call, g_variant_new ("(@ayx@a(ays)@ay)", session, registration->period_ns, registration->managers,
                                          registration->leader));
}

static void
call_register (SwarmDispatcher *dispatcher, SwarmCall *call)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) data = bytes_child (call->args, 0);
  g_autoptr (SwarmNodeDescription) description = swarm_message_decode (&swarm_node_description_type, data, &error);
  const char *addr;
  if (description == NULL) {
    swarm_call_fail (call, error);
    return;
  }
  g_variant_get_child (call->args, 1, "&s", &addr);
  swarm_dispatcher_register (dispatcher, call->link, description, addr, registered, call);
}

static void
call_heartbeat (SwarmDispatcher *dispatcher, SwarmCall *call)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) session = bytes_child (call->args, 0);
  gint64 time_us;
  g_variant_get_child (call->args, 1, "x", &time_us);
  gint64 period = swarm_dispatcher_heartbeat (dispatcher, &call->link->peer, session, time_us, &error);
  if (period < 0)
    swarm_call_fail (call, error);
  else
    swarm_call_return (call, g_variant_new ("(x)", period));
}

static void
done (const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_call_fail (data, error);
  else
    swarm_call_return (data, NULL);
}

static void
status_stored (GVariant *refused, const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_call_fail (data, error);
  else
    swarm_call_return (data, g_variant_new ("(@a(ays))", refused));
}

static void
call_describe (SwarmDispatcher *dispatcher, SwarmCall *call)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) session = bytes_child (call->args, 0), data = bytes_child (call->args, 1);
  g_autoptr (SwarmNodeDescription) description = swarm_message_decode (&swarm_node_description_type, data, &error);
  if (description == NULL)
    swarm_call_fail (call, error);
  else
    swarm_dispatcher_describe (dispatcher, &call->link->peer, session, description, done, call);
}

static void
call_update_status (SwarmDispatcher *dispatcher, SwarmCall *call)
{
  g_autoptr (GBytes) session = bytes_child (call->args, 0);
  g_autoptr (GVariant) updates = g_variant_get_child_value (call->args, 1);
  swarm_dispatcher_update_status (dispatcher, &call->link->peer, session, updates, status_stored, call);
}

static void
call_goodbye (SwarmDispatcher *dispatcher, SwarmCall *call)
{
  g_autoptr (GBytes) session = bytes_child (call->args, 0);
  gboolean host_shutdown;
  g_variant_get_child (call->args, 1, "b", &host_shutdown);
  swarm_dispatcher_goodbye (dispatcher, &call->link->peer, session, host_shutdown, done, call);
}

static const struct {
  const char *member;
  const char *signature;
  void (*func) (SwarmDispatcher *dispatcher, SwarmCall *call);
} methods[] = {
  { "Register", "(aysay)", call_register },
  { "Heartbeat", "(ayx)", call_heartbeat },
  { "Describe", "(ayay)", call_describe },
  { "UpdateTaskStatus", "(aya(ayay))", call_update_status },
  { "Goodbye", "(ayb)", call_goodbye },
};

void
sim_wire_call (SwarmManager *manager, SwarmCall *call)
{
  if (manager == NULL) {
    fail (call, SWARM_ERROR_NOT_MANAGER, "this node is not a manager");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    if (!g_str_equal (call->iface, DISPATCHER) || !g_str_equal (call->member, methods[i].member))
      continue;
    if (g_variant_is_of_type (call->args, G_VARIANT_TYPE (methods[i].signature)))
      methods[i].func (swarm_manager_dispatcher (manager), call);
    else
      fail (call, SWARM_ERROR_INVALID_ARGUMENT, "wrong arguments");
    return;
  }
  fail (call, SWARM_ERROR_NOT_FOUND, "no such method");
}
