// SPDX-License-Identifier: LGPL-2.1-or-later
/* Objects on the bus, on libdbus-1 and the GLib main context; and calls to others (systemd, polkit). Nothing blocks. */
#pragma once
#include "bus/table.h"

typedef struct _SwarmBus SwarmBus;

/* Connects to @address (NULL: the system bus). Does not own a name yet. Blocks until the bus answers: at start only. */
SwarmBus *swarm_bus_new (const char *address, GError **error);
void swarm_bus_free (SwarmBus *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmBus, swarm_bus_free)

/* Called when the connection is gone (the daemon then decides). */
void swarm_bus_set_lost_func (SwarmBus *self, void (*func) (gpointer data), gpointer data);

/* Serves the kinds (NULL terminated, checked with swarm_bus_tables_check()); ObjectManager is at @root. @data goes to find, each,
 * property functions and invocations. Before swarm_bus_own_name(). */
gboolean swarm_bus_export (SwarmBus *self, const char *root, const SwarmBusKind *const *kinds, gpointer data, GError **error);
gboolean swarm_bus_own_name (SwarmBus *self, const char *name, GError **error);
/* Gives the name up and takes in every call that was sent to it before (see swarm_bus_pending_calls()). Blocks: on the way out only. */
void swarm_bus_release_name (SwarmBus *self);
/* Number of calls received and not yet answered, and time (µs boottime) of the last one: for idle exit. */
guint swarm_bus_pending_calls (SwarmBus *self);
gint64 swarm_bus_last_activity (SwarmBus *self);

/* A hook before a handler runs, after authorisation: TRUE when it took the invocation over (relay to the leader). */
typedef gboolean (*SwarmBusFilter) (SwarmInvocation *invocation, gpointer data);
void swarm_bus_set_filter (SwarmBus *self, SwarmBusFilter filter, gpointer data);
/* The audit trail: told once of each call that may change something or is answered with a secret (neither public nor `.read`; of those
 * between nodes the writes), when it is refused by polkit or answered. @value is the answer, @error why there is none; borrowed. A call whose
 * caller vanished before it was let in leaves no trail, for nothing happened. */
void swarm_bus_set_audit (SwarmBus *self, SwarmBusAudit audit, gpointer data);

/* A call of a known method for an object that is not there, in a process whose objects may be behind those that others have told the caller of.
 * TRUE: taken over; swarm_bus_look_again() is called later, once, and the call is answered by what is there then. At most 256 wait. */
typedef struct _SwarmBusMissing SwarmBusMissing;
typedef gboolean (*SwarmBusBehind) (SwarmBusMissing *missing, gpointer data);
void swarm_bus_set_behind (SwarmBus *self, SwarmBusBehind func, gpointer data);
/* Frees @missing; also after the bus is gone. @behind: why this process may still be behind, the answer if the object is still not there; NULL: it is
 * not, so there is no such object. */
void swarm_bus_look_again (SwarmBusMissing *missing, const GError *behind);

/* Says that properties changed; coalesced to at most ten signals per object and second. @now: caused by a call, does not wait
 * and leaves before any later reply. Values are read when the signal leaves. @names: NULL-terminated property names, NULL: all non-constant. */
void swarm_bus_emit_changed (SwarmBus *self, const char *path, const char *iface, const char *const *names, gboolean now);
/* InterfacesAdded / InterfacesRemoved for an object of a listed kind (no-op for others); before any later reply, parents before
 * children. */
void swarm_bus_emit_added (SwarmBus *self, const char *path);
void swarm_bus_emit_removed (SwarmBus *self, const char *path);
/* A signal of one of the tables; @args sunk, NULL for none. Leaves at once, after the changes that wait. */
void swarm_bus_emit_signal (SwarmBus *self, const char *path, const char *iface, const char *name, GVariant *args);

/* Calls somebody else's method. @func (may be NULL) once, never re-entrantly; @reply is the tuple of out arguments, borrowed.
 * @timeout_ms -1: 25 s. At most 64 calls to one destination are under way, 4,096 more wait (their time-out begins when they leave);
 * beyond that LIMIT_EXCEEDED. Sinks @args (NULL: none). After @cancellable, or from within swarm_bus_free(), @func gets CANCELLED.
 * Errors by name: SWARM_ERROR; systemd's NoSuchUnit is NOT_FOUND, its UnitExists ALREADY_EXISTS. */
typedef void (*SwarmBusReplyFunc) (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data);
void swarm_bus_call (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                     int timeout_ms, GCancellable *cancellable, SwarmBusReplyFunc func, gpointer data);
/* Same with interactive authorisation allowed, blocking the caller's own loop turn by turn: for swarmctl only, never from within a
 * handler or reply function. Caller frees the tuple; @ret_fds may be NULL. */
GVariant *swarm_bus_call_sync (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member,
                               GVariant *args, int timeout_ms, GUnixFDList **ret_fds, GError **error);
/* The same with descriptors (NULL: none) that 'h' arguments name. */
GVariant *swarm_bus_call_sync_fds (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member,
                                   GVariant *args, GUnixFDList *fds, int timeout_ms, GUnixFDList **ret_fds, GError **error);
/* Signals of others. @sender is a well-known or unique name (signals that anybody else sends are not taken for its); NULL for
 * @path or @member: any. Returns an id for swarm_bus_unsubscribe(). */
typedef void (*SwarmBusSignalFunc) (const char *sender, const char *path, const char *member, GVariant *args, gpointer data);
guint swarm_bus_subscribe (SwarmBus *self, const char *sender, const char *path, const char *iface, const char *member,
                           SwarmBusSignalFunc func, gpointer data);
/* Same for signals whose first argument is the string @arg0. */
guint swarm_bus_subscribe_arg0 (SwarmBus *self, const char *sender, const char *path, const char *iface, const char *member,
                                const char *arg0, SwarmBusSignalFunc func, gpointer data);
void swarm_bus_unsubscribe (SwarmBus *self, guint id);
/* The unique name of this connection. */
const char *swarm_bus_unique_name (SwarmBus *self);
