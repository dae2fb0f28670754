// SPDX-License-Identifier: LGPL-2.1-or-later
/* The second door: the same tables, called over links between nodes. */
#pragma once
#include "bus/table.h"
#include "bus/bus.h"

/* Dispatches an incoming call (which it takes over: it is always answered) to the row of its path, interface and member. The row's
 * roles must include the role of @peer, who is the link's peer unless given; what @peer's node object allows beyond its certificate
 * (standing) is the business of @filter, which also may take the call over; may be NULL, as @audit. @data goes to find, filter, audit and handlers.
 * Errors: ACCESS_DENIED, NOT_FOUND (object), NOT_SUPPORTED (interface, method), INVALID_ARGUMENT (signature). */
void swarm_bus_wire_call (const SwarmBusKind *const *kinds, gpointer data, const SwarmPeer *peer, SwarmCall *call,
                          SwarmBusFilter filter, SwarmBusAudit audit);

/* Runs a bus call that a manager relays: it was let in there for @caller->action, which must be the row's own. Rows that are local,
 * wire-only or need descriptors are refused. @caller (copied) says who called there: uid, action, request id; its peer is the
 * relaying manager, which the caller of this function has checked. @args borrowed. @func once, maybe before this returns. */
void swarm_bus_relay_call (const SwarmBusKind *const *kinds, gpointer data, const char *path, const char *iface, const char *member,
                           GVariant *args, const SwarmCaller *caller, SwarmBusFilter filter, SwarmBusAudit audit,
                           SwarmReplyFunc func, gpointer func_data);
