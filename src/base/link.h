// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface four of six: transport. A link is one authenticated connection to another node's agent over which both
 * ends call methods (GVariant in, GVariant out), send one-way messages and open streams.
 * Implementations: rpc/ (TLS), in-process pair (a manager's own worker), simulator. */
#pragma once
#include "base/id.h"

typedef struct _SwarmLink SwarmLink;
typedef struct _SwarmCall SwarmCall;     /* an incoming call that waits for its answer */
typedef struct _SwarmStream SwarmStream; /* one direction of bulk bytes, flow controlled */

typedef enum {
  SWARM_PEER_NONE, /* no certificate: a joining node, may call the CA only */
  SWARM_PEER_WORKER,
  SWARM_PEER_MANAGER,
  SWARM_PEER_LAPSED, /* a certificate that was good once: expired, or of a root before the present one; may renew it, and nothing else */
} SwarmPeerRole;

/* Who is at the other end, from its certificate. */
typedef struct {
  SwarmPeerRole role;
  SwarmId node;
  SwarmId cluster;
  char serial[41];    /* certificate serial, lower-case hex */
  gint64 issued;      /* µs since 1970: when the certificate begins to be valid; 0: not known */
  gint64 expires;     /* and when it ends */
  gboolean expired;   /* a manager's, on a connection for the consensus: its time is over. For consensus messages only, and not for long */
  char address[64];   /* numeric host:port as seen on the socket */
} SwarmPeer;

typedef enum {
  SWARM_LINK_CONTROL,   /* calls, assignments, streams */
  SWARM_LINK_CONSENSUS, /* consensus messages and heartbeats: never behind bulk */
} SwarmLinkKind;

/* @reply is borrowed and NULL when @error is set. */
typedef void (*SwarmReplyFunc) (GVariant *reply, const GError *error, gpointer data);
/* @chunk is borrowed; NULL with @error NULL: the end; NULL with @error: broken. Called no more after either. */
typedef void (*SwarmStreamFunc) (GBytes *chunk, const GError *error, gpointer data);
/* The writer may write again. */
typedef void (*SwarmStreamReadyFunc) (SwarmStream *stream, gpointer data);

typedef struct {
  /* The link is authenticated and Hello was exchanged; swarm_link_peer() answers from now on. */
  void (*up) (SwarmLink *link, gpointer data);
  /* The link is gone (also when it never came up); no event follows; calls under way have failed before this. */
  void (*down) (SwarmLink *link, const GError *error, gpointer data);
  /* The other end calls; answer exactly once with swarm_call_return/_fail, now or later. */
  void (*call) (SwarmLink *link, SwarmCall *call, gpointer data);
} SwarmLinkEvents;

/* The object of calls between agents that name none: the wire-only interfaces (Dispatcher, CA, Consensus, Relay). */
#define SWARM_LINK_PATH "/org/swarmagent1/wire"

/* What an implementation gives. @args and errors are borrowed, @args is never NULL. The functions are called whatever the state of
 * the link: on one that is down `call` and `open` report UNAVAILABLE from the loop, `close` does nothing. `is_up` is the implementation's. */
typedef struct {
  void (*call) (SwarmLink *, const char *path, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
                SwarmReplyFunc, gpointer);
  gboolean (*send) (SwarmLink *, const char *iface, const char *member, GVariant *args);
  SwarmStream *(*open) (SwarmLink *, const char *path, const char *iface, const char *member, GVariant *args,
                        SwarmStreamFunc, gpointer);
  void (*close) (SwarmLink *, const GError *reason);
  void (*free) (SwarmLink *);
} SwarmLinkOps;

struct _SwarmLink {
  const SwarmLinkOps *ops;
  gint ref_count;
  gboolean is_up;
  SwarmLinkKind kind;
  SwarmPeer peer;
  const SwarmLinkEvents *events;
  gpointer events_data;
  guint64 peer_index; /* highest log index that the other end has told in a frame; 0: none */
  gpointer owner; /* for whoever accepted or dialled it, e.g. the session that it carries */
};

/* Another reference, which keeps @link but not its connection. */
SwarmLink *swarm_link_ref (SwarmLink *link);
void swarm_link_unref (SwarmLink *link); /* closes it when last and still up */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmLink, swarm_link_unref)

/* Ends *@link without a word to its receiver of events, lets go of it and sets it to NULL; fine with NULL in it. */
void swarm_link_drop (SwarmLink **link);

/* Replaces the receiver of events; NULL events: incoming calls are refused, the rest is dropped. */
void swarm_link_set_events (SwarmLink *link, const SwarmLinkEvents *events, gpointer data);
/* Calls @member; sinks @args (may be NULL for none). @func is called exactly once, never from within this function. */
void swarm_link_call (SwarmLink *link, const char *iface, const char *member, GVariant *args, gint64 timeout_us,
                      SwarmReplyFunc func, gpointer data);
/* Same on an object other than SWARM_LINK_PATH: for interfaces that are bound to objects ("/org/swarmagent1/node/<id>"). */
void swarm_link_call_at (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args,
                         gint64 timeout_us, SwarmReplyFunc func, gpointer data);
/* One-way; FALSE when the link is down or its bounded queue is full (the message is dropped). Sinks @args. */
gboolean swarm_link_send (SwarmLink *link, const char *iface, const char *member, GVariant *args);
/* Calls a method that answers with a stream; data flows to @func until end, error or swarm_stream_close(). Sinks @args. */
SwarmStream *swarm_link_open (SwarmLink *link, const char *iface, const char *member, GVariant *args, SwarmStreamFunc func,
                              gpointer data);
SwarmStream *swarm_link_open_at (SwarmLink *link, const char *path, const char *iface, const char *member, GVariant *args,
                                 SwarmStreamFunc func, gpointer data);
/* Ends the link; `down` follows from the loop with @reason (borrowed, may be NULL). */
void swarm_link_close (SwarmLink *link, const GError *reason);

/* @value and @error are borrowed, one of them is NULL; both functions free the call and its reference on the link when they answer. */
typedef struct {
  void (*reply) (SwarmCall *, GVariant *value, const GError *error);
  SwarmStream *(*stream) (SwarmCall *, SwarmStreamReadyFunc, gpointer); /* NULL: the caller did not ask for one */
} SwarmCallOps;

/* The common head of an incoming call; the implementation's own part follows it. */
struct _SwarmCall {
  const SwarmCallOps *ops;
  SwarmLink *link; /* a reference held until the answer */
  const char *path; /* SWARM_LINK_PATH unless the caller named an object */
  const char *iface;
  const char *member;
  GVariant *args;     /* a tuple, never NULL */
  gint64 deadline_us; /* boottime after which nobody waits for the answer; 0: none */
  gboolean one_way;
};

/* Answers with a tuple (sunk; NULL: empty) and frees the call. */
void swarm_call_return (SwarmCall *call, GVariant *value);
/* Answers with an error (borrowed) and frees the call. */
void swarm_call_fail (SwarmCall *call, const GError *error);
/* Answers with a stream and frees the call; @ready is called whenever more may be written, first from the loop. NULL and
 * the call still to be answered when the caller did not open one. */
SwarmStream *swarm_call_stream (SwarmCall *call, SwarmStreamReadyFunc ready, gpointer data);

typedef struct {
  gboolean (*write) (SwarmStream *, GBytes *);
  void (*end) (SwarmStream *, const GError *);
  void (*close) (SwarmStream *);
  void (*hold) (SwarmStream *, gboolean); /* reader's side only */
} SwarmStreamOps;

struct _SwarmStream {
  const SwarmStreamOps *ops;
  gboolean broken; /* writer's side: the reader left or the link is down; `ready` is called once when it happens: end the stream then */
};

/* Queues a chunk (any size; cut to 64 KiB frames); TRUE while more is welcome, FALSE: wait for `ready` (the chunk was taken).
 * Writing to a stream whose reader left is a no-op that returns FALSE. */
gboolean swarm_stream_write (SwarmStream *stream, GBytes *chunk);
/* Writer: the end (or the error that broke it); frees the stream. */
void swarm_stream_end (SwarmStream *stream, const GError *error);
/* Reader: stop; its function is called no more; frees the stream. Needed after the end, too; fine from within the function. */
void swarm_stream_close (SwarmStream *stream);

/* Reader: @hold TRUE asks the other end to pause, FALSE to go on. What is on its way (at most a window, some 512 KiB) still arrives:
 * so that one who passes a stream on to somebody slower need not keep more than that. */
void swarm_stream_hold (SwarmStream *stream, gboolean hold);

/* Dials and listens. */
typedef struct _SwarmTransport SwarmTransport;
struct _SwarmTransport {
  /* A new link, not yet up; `up` or `down` follows from the loop. @address is HOST:PORT. Caller owns the reference. */
  SwarmLink *(*dial) (SwarmTransport *self, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events, gpointer data);
};

/* Two links that face each other in one process, both up, each with the peer identity given: @a's peer is @b_identity.
 * Delivery is by @clock timers of delay 0, so never re-entrant. */
typedef struct _SwarmClock SwarmClock;
void swarm_link_pair (SwarmClock *clock, const SwarmPeer *a_identity, const SwarmPeer *b_identity, SwarmLink **ret_a, SwarmLink **ret_b);

/* A pair with a network between its ends: what one end does for the other is an event that the network lets through, delays or drops. */
typedef struct _SwarmPairEvent SwarmPairEvent;
typedef struct {
  /* Takes over @event, which is for @to; not to be run or dropped from within. */
  void (*post) (SwarmPairEvent *event, SwarmLink *to, gpointer data);
  /* @end is being freed. */
  void (*freed) (SwarmLink *end, gpointer data);
} SwarmPairHooks;
void swarm_pair_event_run (SwarmPairEvent *event);
void swarm_pair_event_drop (SwarmPairEvent *event);
/* Neither end is up yet. */
void swarm_link_pair_hooked (SwarmClock *clock, const SwarmPeer *a_identity, const SwarmPeer *b_identity, const SwarmPairHooks *hooks,
                             gpointer data, SwarmLink **ret_a, SwarmLink **ret_b);
/* This end is up, or down; it hears so in the next turn. */
void swarm_link_pair_up (SwarmLink *end);
void swarm_link_pair_down (SwarmLink *end, const GError *reason);
