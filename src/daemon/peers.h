// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links from this manager to the other managers: one of kind CONSENSUS to each member for the log's messages, kept up with a back-off;
 * one of kind CONTROL to whom it is needed (relayed calls, log streams), dialled on demand. */
#pragma once
#include "base/clock.h"
#include "base/link.h"
#include "base/random.h"

typedef struct _SwarmPeers SwarmPeers;

typedef struct {
  void (*connected) (const SwarmId *node, gpointer data);
  void (*disconnected) (const SwarmId *node, gpointer data);
} SwarmPeersEvents;

typedef struct {
  SwarmId node;
  char address[128];
} SwarmPeerAddress;

SwarmPeers *swarm_peers_new (SwarmClock *clock, SwarmRandom *random, SwarmTransport *transport, const SwarmPeersEvents *events,
                             gpointer data);
void swarm_peers_free (SwarmPeers *self);
/* Array of SwarmPeerAddress without this node: new ones are dialled, changed ones dialled again, missing ones dropped: calls to them at once, the link
 * for messages of the log ten seconds later, for they have yet to hear that they are none. */
void swarm_peers_set (SwarmPeers *self, GArray *addresses);
/* Sends a message of the log; dropped when there is no link. */
void swarm_peers_send (SwarmPeers *self, const SwarmId *node, GBytes *message);
/* Calls over a CONTROL link, dialling first when needed. NO_QUORUM: there is no such member or no way to it,
 * nothing was sent; UNAVAILABLE: the link broke before the answer came. */
void swarm_peers_call (SwarmPeers *self, const SwarmId *node, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
                       SwarmReplyFunc func, gpointer data);
/* The highest log index that it has told over its CONTROL link: after an answer, what was committed for it. 0: none. */
guint64 swarm_peers_index (SwarmPeers *self, const SwarmId *node);
/* @func with NULL and NULL once the CONTROL link is up (maybe from within), or with NO_QUORUM as above. */
void swarm_peers_reach (SwarmPeers *self, const SwarmId *node, SwarmReplyFunc func, gpointer data);
/* Opens a stream over the CONTROL link when that is up; NULL when not. */
SwarmStream *swarm_peers_open (SwarmPeers *self, const SwarmId *node, const char *iface, const char *member, GVariant *args,
                               SwarmStreamFunc func, gpointer data);
