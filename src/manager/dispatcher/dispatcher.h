// SPDX-License-Identifier: LGPL-2.1-or-later
/* The leader's side of every node: sessions, heartbeats, assignments, status. api/'s wire tables (org.swarmagent1.Dispatcher) call
 * these; the dispatcher calls org.swarmagent1.Worker on the links it was given. Exists on every manager; sessions on the leader only.
 *
 * Assignments: one Assign at a time per session; sequence 1 with full = true is the whole set, then deltas. A set that is too big
 * for one message is sent in parts: sequence 0, full = true, as often as needed ("collect, more follows"), then sequence 1 with the
 * rest, which completes the set. Only then may a node stop what is not in it. The set holds the node's tasks that are assigned
 * and not yet over; a task that is over leaves it as "removed". */
#pragma once
#include "base/link.h"
#include "manager/members.h"
#include "store/store.h"

typedef struct _SwarmDispatcher SwarmDispatcher;

typedef struct {
  GBytes *session;  /* 16 bytes; empty: this manager does not lead */
  gint64 period_ns; /* of heartbeats */
  GVariant *managers; /* a(ays) */
  GVariant *leader;   /* ay */
} SwarmRegistration;
/* @registration is borrowed; NULL when @error is set. May be called from within the call that asked. */
typedef void (*SwarmRegisteredFunc) (const SwarmRegistration *registration, const GError *error, gpointer data);
/* May be called from within the call that asked, then always with an error. */
typedef void (*SwarmDispatcherDone) (const GError *error, gpointer data);

/* A node (link->peer) opens its session over @link, which the dispatcher keeps until the session ends. @addr: where its agent
 * listens, "" if not. Answers after the node is READY in the store; assignments follow over @link at once. Errors:
 * UNAVAILABLE (more than 3 registrations in 8 s), NOT_FOUND (the node was removed). */
void swarm_dispatcher_register (SwarmDispatcher *self, SwarmLink *link, const SwarmNodeDescription *description, const char *addr,
                                SwarmRegisteredFunc done, gpointer data);
/* @session is the one that @peer has now: NOT_FOUND when it is not. */
gboolean swarm_dispatcher_check_session (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, GError **error);
/* Returns the period until the next beat in ns; -1 with NOT_FOUND: register again. @peer: who sent it. @time_us: what its clock showed,
 * 0: it does not say. */
gint64 swarm_dispatcher_heartbeat (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, gint64 time_us, GError **error);
/* The node describes itself anew. @done after commit. UNAVAILABLE: more than once a second. */
void swarm_dispatcher_describe (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, const SwarmNodeDescription *description,
                                SwarmDispatcherDone done, gpointer data);
/* @refused: a(ays), task id and reason of what was not taken, borrowed; NULL when @error is set. May be called from within, always with an
 * error or when there is nothing to write. */
typedef void (*SwarmStatusDone) (GVariant *refused, const GError *error, gpointer data);
/* @updates: a(ayay) of task id and SwarmTaskStatus. @done after commit. What is wrong with one (a task of another node, a state that no node
 * reports) holds up no other. */
void swarm_dispatcher_update_status (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, GVariant *updates,
                                     SwarmStatusDone done, gpointer data);
/* The agent stops; @host_shutdown: its tasks die with it, so they move at once; else after 60 s. Answers after commit. */
void swarm_dispatcher_goodbye (SwarmDispatcher *self, const SwarmPeer *peer, GBytes *session, gboolean host_shutdown,
                               SwarmDispatcherDone done, gpointer data);
/* The link is gone (also one that never registered): its session, if any, becomes DISCONNECTED. */
void swarm_dispatcher_link_down (SwarmDispatcher *self, SwarmLink *link);
/* The session's link to a node, to call its worker (logs); NULL: no session. Borrowed. */
SwarmLink *swarm_dispatcher_link (SwarmDispatcher *self, const SwarmId *node);
/* Tells every session who the managers are and who leads. */
void swarm_dispatcher_managers_changed (SwarmDispatcher *self);
/* Cuts a node's session (removed, demoted): it has to come back with its new standing. */
void swarm_dispatcher_cut (SwarmDispatcher *self, const SwarmId *node, const GError *reason);
guint swarm_dispatcher_n_sessions (SwarmDispatcher *self);

/* ---- for manager.c ---- */
SwarmDispatcher *swarm_dispatcher_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, const SwarmMembers *members);
void swarm_dispatcher_free (SwarmDispatcher *self);
/* Begins to lead; @leader is a SwarmLeader (manager/leader.h) that lives until swarm_dispatcher_unlead(). */
void swarm_dispatcher_lead (SwarmDispatcher *self, gconstpointer leader);
/* Ends all sessions: their links are closed, the nodes look for the new leader. */
void swarm_dispatcher_unlead (SwarmDispatcher *self);
