// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bus/wire.h"
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

static const SwarmBusMethod *
look_up (const SwarmBusKind *const *kinds, const char *path, const char *iface, const char *member, const SwarmBusKind **ret_kind,
         const char **ret_tail, GError **error)
{
  const SwarmBusKind *kind = swarm_bus_find_kind (kinds, path, ret_tail);
  const SwarmBusMethod *method = kind != NULL ? swarm_bus_find_method (kind, iface, member) : NULL;

  if (kind == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such object: %s", path);
  else if (method == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "no such method: %s.%s", iface, member);
  *ret_kind = kind;
  return method;
}

static gboolean
check_args (const SwarmBusMethod *method, GVariant *args, GError **error)
{
  g_autofree char *declared = swarm_bus_args_signature (method->in);

  if (strcmp (declared, g_variant_get_type_string (args)) == 0)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%s takes arguments %s, not %s", method->name, declared,
               g_variant_get_type_string (args));
  return FALSE;
}

static gboolean
check_roles (const SwarmBusMethod *method, const SwarmPeer *peer, GError **error)
{
  static const SwarmRoles needed[]
    = { [SWARM_PEER_NONE] = SWARM_ROLES_JOINING, [SWARM_PEER_WORKER] = SWARM_ROLES_WORKER, [SWARM_PEER_MANAGER] = SWARM_ROLES_MANAGER,
        [SWARM_PEER_LAPSED] = SWARM_ROLES_LAPSED };
  static const char *const words[]
    = { [SWARM_PEER_NONE] = "a node without a certificate", [SWARM_PEER_WORKER] = "a worker", [SWARM_PEER_MANAGER] = "a manager",
        [SWARM_PEER_LAPSED] = "a node whose certificate must be renewed first" };

  if ((guint) peer->role < G_N_ELEMENTS (needed) && (method->roles & needed[peer->role]))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s may not call %s",
               (guint) peer->role < G_N_ELEMENTS (words) ? words[peer->role] : "nobody", method->name);
  return FALSE;
}

void
swarm_bus_wire_call (const SwarmBusKind *const *kinds, gpointer data, const SwarmPeer *peer, SwarmCall *call, SwarmBusFilter filter,
                     SwarmBusAudit audit)
{
  const SwarmBusKind *kind;
  const char *tail = "", *path = call->path != NULL ? call->path : SWARM_LINK_PATH;
  g_autoptr (GError) error = NULL;
  const SwarmBusMethod *method = look_up (kinds, path, call->iface, call->member, &kind, &tail, &error);
  SwarmInvocation *invocation;

  if (peer == NULL)
    peer = &call->link->peer;
  if (method == NULL || !check_roles (method, peer, &error) || !check_args (method, call->args, &error)) {
    swarm_call_fail (call, error);
    return;
  }
  invocation = swarm_invocation_new (SWARM_DOOR_WIRE, kind, method, path, tail, call->args, data);
  invocation->caller.peer = *peer;
  invocation->call = call;
  invocation->filter = filter;
  invocation->filter_data = data;
  swarm_invocation_set_audit (invocation, audit, data);
  swarm_bus_run (invocation);
}

static gboolean
check_relay (const SwarmBusMethod *method, const SwarmCaller *caller, GError **error)
{
  if (method->action == SWARM_ACTION_WIRE_ONLY || (method->flags & SWARM_METHOD_LOCAL)
      || swarm_bus_args_have_fds (method->in) || swarm_bus_args_have_fds (method->out)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "%s cannot be relayed", method->name);
    return FALSE;
  }
  if (caller->action != method->action) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s was relayed with another authorisation than it needs", method->name);
    return FALSE;
  }
  return TRUE;
}

void
swarm_bus_relay_call (const SwarmBusKind *const *kinds, gpointer data, const char *path, const char *iface, const char *member,
                      GVariant *args, const SwarmCaller *caller, SwarmBusFilter filter, SwarmBusAudit audit, SwarmReplyFunc func,
                      gpointer func_data)
{
  const SwarmBusKind *kind;
  const char *tail = "";
  g_autoptr (GError) error = NULL;
  const SwarmBusMethod *method = look_up (kinds, path, iface, member, &kind, &tail, &error);
  SwarmInvocation *invocation;

  if (method == NULL || !check_relay (method, caller, &error) || !check_args (method, args, &error)) {
    func (NULL, error, func_data);
    return;
  }
  invocation = swarm_invocation_new (SWARM_DOOR_RELAY, kind, method, path, tail, args, data);
  invocation->caller = *caller;
  invocation->caller.request_id = invocation->request_id;
  swarm_invocation_set_request_id (invocation, caller->request_id != NULL ? caller->request_id : "");
  invocation->filter = filter;
  invocation->filter_data = data;
  swarm_invocation_set_audit (invocation, audit, data);
  invocation->func = func;
  invocation->func_data = func_data;
  swarm_bus_run (invocation);
}
