// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/peers.h"
#include "base/error.h"
#include "base/log.h"

#define BACKOFF_MIN_US (50 * 1000)
#define BACKOFF_MAX_US (1000 * 1000)
#define MAX_WAITING 256
/* For so long one that is no member any more can still be told so: longer than it takes it to call for an election. */
#define LEAVING_US (10 * G_USEC_PER_SEC)

/* A call that waits for the CONTROL link to come up; without member it waits for just that. */
typedef struct {
  char *iface;
  char *member;
  GVariant *args;
  gint64 timeout_us;
  SwarmReplyFunc func;
  gpointer data;
} WaitingCall;

typedef struct {
  SwarmPeers *owner;
  SwarmPeerAddress address;
  SwarmLink *log;     /* CONSENSUS */
  SwarmLink *control; /* CONTROL, or NULL */
  GQueue waiting;     /* WaitingCall */
  SwarmTimer *redial;
  SwarmTimer *leaving; /* NULL: a member */
  gint64 backoff_us;
} Peer;

struct _SwarmPeers {
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmTransport *transport;
  const SwarmPeersEvents *events;
  gpointer data;
  GHashTable *peers; /* SwarmId → Peer */
};

static void dial_log (Peer *peer);

static void
waiting_free (WaitingCall *call)
{
  g_clear_pointer (&call->args, g_variant_unref);
  g_free (call->iface);
  g_free (call->member);
  g_free (call);
}

static void
fail_all_waiting (Peer *peer, const GError *error)
{
  WaitingCall *call;
  while ((call = g_queue_pop_head (&peer->waiting)) != NULL) {
    call->func (NULL, error, call->data);
    waiting_free (call);
  }
}

/* ---- log links ---- */

static void
redial (gpointer data)
{
  Peer *peer = data;
  peer->redial = NULL;
  dial_log (peer);
}

static void
log_up (SwarmLink *link, gpointer data)
{
  Peer *peer = data;
  SwarmId node = peer->address.node; /* the receiver may do away with the peer */
  if (!swarm_id_equal (&link->peer.node, &peer->address.node)) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "%s answered as another node", peer->address.address);
    swarm_warning ("Manager %s", error->message);
    swarm_link_close (link, error);
    return;
  }
  peer->backoff_us = BACKOFF_MIN_US;
  peer->owner->events->connected (&node, peer->owner->data);
}

static void
log_down (SwarmLink *link, const GError *error, gpointer data)
{
  Peer *peer = data;
  SwarmPeers *self = peer->owner;
  SwarmId node = peer->address.node;
  g_clear_pointer (&peer->log, swarm_link_unref);
  gint64 jitter = swarm_random_below (self->random, (guint32) peer->backoff_us);
  peer->redial = swarm_clock_timer (self->clock, peer->backoff_us + jitter, SWARM_PRIORITY_NORMAL, redial, peer);
  peer->backoff_us = MIN (peer->backoff_us * 2, BACKOFF_MAX_US);
  self->events->disconnected (&node, self->data);
}

static const SwarmLinkEvents log_events = { log_up, log_down, NULL };

static void
dial_log (Peer *peer)
{
  SwarmTransport *transport = peer->owner->transport;
  peer->log = transport->dial (transport, peer->address.address, SWARM_LINK_CONSENSUS, &log_events, peer);
}

/* ---- control links ---- */

static void
control_up (SwarmLink *link, gpointer data)
{
  Peer *peer = data;
  WaitingCall *call;
  while ((call = g_queue_pop_head (&peer->waiting)) != NULL) {
    if (call->member != NULL)
      swarm_link_call (link, call->iface, call->member, call->args, call->timeout_us, call->func, call->data);
    else
      call->func (NULL, NULL, call->data);
    waiting_free (call);
  }
}

static void
control_down (SwarmLink *link, const GError *error, gpointer data)
{
  Peer *peer = data;
  /* What waits was never sent: whoever asked knows that nothing happened. */
  g_autoptr (GError) local = g_error_new (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "manager %s: %s", peer->address.address,
                                          error != NULL ? error->message : "connection closed");
  g_clear_pointer (&peer->control, swarm_link_unref);
  fail_all_waiting (peer, local);
}

static const SwarmLinkEvents control_events = { control_up, control_down, NULL };

static void
ensure_control (Peer *peer)
{
  SwarmTransport *transport = peer->owner->transport;
  if (peer->control == NULL)
    peer->control = transport->dial (transport, peer->address.address, SWARM_LINK_CONTROL, &control_events, peer);
}

/* ---- the set ---- */

static void
drop_control (Peer *peer)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "that manager is no member any more");
  swarm_link_drop (&peer->control);
  fail_all_waiting (peer, error);
}

static void
peer_free (gpointer data)
{
  Peer *peer = data;
  swarm_clock_clear_timer (peer->owner->clock, &peer->redial);
  swarm_clock_clear_timer (peer->owner->clock, &peer->leaving);
  swarm_link_drop (&peer->log);
  drop_control (peer);
  g_free (peer);
}

static void
peer_left (gpointer data)
{
  Peer *peer = data;
  peer->leaving = NULL;
  g_hash_table_remove (peer->owner->peers, &peer->address.node);
}

static void
peer_leaves (Peer *peer)
{
  if (peer->leaving != NULL)
    return;
  peer->leaving = swarm_clock_timer (peer->owner->clock, LEAVING_US, SWARM_PRIORITY_NORMAL, peer_left, peer);
  drop_control (peer);
}

SwarmPeers *
swarm_peers_new (SwarmClock *clock, SwarmRandom *random, SwarmTransport *transport, const SwarmPeersEvents *events, gpointer data)
{
  SwarmPeers *self = g_new0 (SwarmPeers, 1);
  self->clock = clock;
  self->random = random;
  self->transport = transport;
  self->events = events;
  self->data = data;
  self->peers = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, peer_free);
  return self;
}

void
swarm_peers_free (SwarmPeers *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->peers);
  g_free (self);
}

static const SwarmPeerAddress *
find_address (GArray *addresses, const SwarmId *node)
{
  for (guint i = 0; i < addresses->len; i++)
    if (swarm_id_equal (&g_array_index (addresses, SwarmPeerAddress, i).node, node))
      return &g_array_index (addresses, SwarmPeerAddress, i);
  return NULL;
}

void
swarm_peers_set (SwarmPeers *self, GArray *addresses)
{
  GHashTableIter iter;
  Peer *peer;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &peer)) {
    const SwarmPeerAddress *address = find_address (addresses, &peer->address.node);
    if (address == NULL)
      peer_leaves (peer);
    else if (!g_str_equal (address->address, peer->address.address))
      g_hash_table_iter_remove (&iter);
    else
      swarm_clock_clear_timer (self->clock, &peer->leaving);
  }
  for (guint i = 0; i < addresses->len; i++) {
    const SwarmPeerAddress *address = &g_array_index (addresses, SwarmPeerAddress, i);
    if (g_hash_table_contains (self->peers, &address->node))
      continue;
    peer = g_new0 (Peer, 1);
    peer->owner = self;
    peer->address = *address;
    peer->backoff_us = BACKOFF_MIN_US;
    g_queue_init (&peer->waiting);
    g_hash_table_insert (self->peers, &peer->address.node, peer);
    dial_log (peer);
  }
}

guint64
swarm_peers_index (SwarmPeers *self, const SwarmId *node)
{
  const Peer *peer = g_hash_table_lookup (self->peers, node);
  return peer != NULL && peer->control != NULL ? peer->control->peer_index : 0;
}

/* The peer with room for one more call, its control link dialled; NULL: @func was told why not. */
static Peer *
peer_for_call (SwarmPeers *self, const SwarmId *node, SwarmReplyFunc func, gpointer data)
{
  Peer *peer = g_hash_table_lookup (self->peers, node);
  if (peer == NULL || peer->leaving != NULL || peer->waiting.length >= MAX_WAITING) {
    g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "no way to that manager");
    func (NULL, error, data);
    return NULL;
  }
  ensure_control (peer);
  return peer;
}

void
swarm_peers_send (SwarmPeers *self, const SwarmId *node, GBytes *message)
{
  Peer *peer = g_hash_table_lookup (self->peers, node);
  if (peer != NULL && peer->log != NULL && peer->log->is_up)
    swarm_link_send (peer->log, "org.swarmagent1.Consensus", "Message",
                     g_variant_new ("(@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, message, TRUE)));
}

void
swarm_peers_call (SwarmPeers *self, const SwarmId *node, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
                  SwarmReplyFunc func, gpointer data)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (args);
  Peer *peer = peer_for_call (self, node, func, data);
  if (peer == NULL)
    return;
  if (peer->control->is_up) {
    swarm_link_call (peer->control, iface, member, owned, timeout_us, func, data);
    return;
  }
  WaitingCall *call = g_new0 (WaitingCall, 1);
  *call = (WaitingCall){ g_strdup (iface), g_strdup (member), g_steal_pointer (&owned), timeout_us, func, data };
  g_queue_push_tail (&peer->waiting, call);
}

void
swarm_peers_reach (SwarmPeers *self, const SwarmId *node, SwarmReplyFunc func, gpointer data)
{
  Peer *peer = peer_for_call (self, node, func, data);
  if (peer == NULL)
    return;
  if (peer->control->is_up) {
    func (NULL, NULL, data);
    return;
  }
  WaitingCall *call = g_new0 (WaitingCall, 1);
  *call = (WaitingCall){ .func = func, .data = data };
  g_queue_push_tail (&peer->waiting, call);
}

SwarmStream *
swarm_peers_open (SwarmPeers *self, const SwarmId *node, const char *iface, const char *member, GVariant *args, SwarmStreamFunc func,
                  gpointer data)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (args);
  Peer *peer = g_hash_table_lookup (self->peers, node);
  if (peer == NULL || peer->leaving != NULL)
    return NULL;
  ensure_control (peer);
  return peer->control->is_up ? swarm_link_open (peer->control, iface, member, owned, func, data) : NULL;
}
