// SPDX-License-Identifier: LGPL-2.1-or-later
/* A single call to a manager that is not (yet) a peer: dials, calls, closes. @func exactly once, not re-entrantly, also when whoever asked
 * is gone. An answer that is not of type @answer is an error. */
#pragma once
#include "rpc/rpc.h"

/* To one manager whose certificate nothing vouches for yet; see swarm_rpc_dial_unverified(). */
void swarm_oneshot_call_unverified (SwarmRpc *rpc, const char *address, const char *iface, const char *member, GVariant *args,
                                    const char *answer, gint64 timeout_us, SwarmReplyFunc func, gpointer data);
/* Tries each of @addresses (GPtrArray of char *) until one answers with anything but UNAVAILABLE, TIMED_OUT, NOT_MANAGER or NO_QUORUM;
 * without any answer the last of these is told. */
void swarm_oneshot_call_any (SwarmTransport *transport, GPtrArray *addresses, const char *iface, const char *member, GVariant *args,
                             const char *answer, gint64 timeout_us, SwarmReplyFunc func, gpointer data);
