// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: what a link is made of. link.c: its life; call.c: calls and answers; stream.c:
 * streams; rpc.c: all links, the listener. */
#pragma once
#include "base/log-limit.h"
#include "rpc/conn.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"

/* What answers, credits and goodbyes may take beyond the queue's bound. */
#define SWARM_RPC_QUEUE_RESERVE (256 * 1024)
/* Chunks that may be under way in a stream: 512 KiB. */
#define SWARM_RPC_STREAM_WINDOW 8
/* Calls that a peer without certificate may have under way. */
#define SWARM_RPC_JOINING_CALLS 4

/* So many frames a second a node that is no manager may send on a connection for heartbeats; one that sends more is served as any other. */
#define SWARM_RPC_URGENT_FRAMES 100
/* Managers pass on what others ask: they may have this many times as much under way. */
#define SWARM_RPC_MANAGER_FACTOR 4

/* What all accepted links of one node have under way together: unanswered calls and their messages. Counted by the links. */
typedef struct {
  guint ref_count;
  SwarmId node;
  guint calls;
  gsize bytes;
} SwarmRpcQuota;

typedef struct _RpcLink SwarmRpcLink;
typedef struct _RpcReader SwarmRpcReader;
typedef struct _RpcWriter SwarmRpcWriter;

struct _RpcLink {
  SwarmLink base;
  SwarmRpc *rpc; /* NULL: the transport is gone, or the link is down */
  SwarmClock *clock;
  SwarmTls *tls;
  gboolean accepted;
  char *name; /* for error texts: the address as dialled or seen */
  SwarmDial *dial;
  SwarmConn *conn;
  SwarmTimer *setup_timer; /* until `up`; for a peer without certificate until the end */
  SwarmHello hello;
  gboolean have_hello;
  gboolean was_up;
  gboolean failed; /* no event but `down` follows */
  gboolean down;   /* that was delivered, too */
  GHashTable *quotas;   /* the transport's */
  SwarmRpcQuota *quota; /* in it; NULL: dialled, or no member's */
  gint64 urgent_since;  /* boottime; frames of a connection for heartbeats are counted from here */
  guint urgent_frames;
  gint64 proofs_since; /* boottime; certificates that it showed are counted from here */
  guint proofs;
  GError *reason;
  SwarmTimer *soon; /* the next turn's work; holds a reference */
  /* own calls */
  guint32 last_serial;
  GHashTable *pending; /* serial → SwarmRpcPending */
  GQueue refused;      /* SwarmRpcPending that never left; each has its error */
  SwarmTimer *deadline_timer;
  gint64 deadline_at;
  /* the other end's */
  GHashTable *incoming;   /* serial → SwarmRpcCall, not owned: unanswered */
  guint incoming_streams; /* of these: will be answered with a stream */
  GHashTable *writers;    /* serial → SwarmRpcWriter */
  GQueue bulk;            /* SwarmRpcWriter that have bytes and credit, whose turn is first */
};

/* An own call or stream under way. */
typedef struct {
  guint32 serial;
  SwarmReplyFunc func;
  gpointer data;
  gint64 deadline_us;
  SwarmRpcReader *reader; /* set: a stream was asked for */
  GError *error;
} SwarmRpcPending;
void swarm_rpc_pending_free (SwarmRpcPending *pending);

/* A peer without a certificate that is good now: small messages, few calls, a short life. */
static inline gboolean
swarm_rpc_is_guest (const SwarmRpcLink *self)
{
  return self->base.peer.role == SWARM_PEER_NONE || self->base.peer.role == SWARM_PEER_LAPSED;
}

/* ---- link.c ---- */
SwarmRpcLink *swarm_rpc_link_dial (SwarmRpc *rpc, SwarmTls *tls, const char *address, SwarmLinkKind kind,
                                   const SwarmLinkEvents *events, gpointer data);
/* Takes @fd. The caller owns the reference until `down`. */
SwarmRpcLink *swarm_rpc_link_accept (SwarmRpc *rpc, SwarmTls *tls, int fd, const char *address);
/* The link is over: the connection is closed now, `down` with @error (may be NULL) follows from the loop. @tell: the
 * other end gets the reason. */
void swarm_rpc_link_fail (SwarmRpcLink *self, const GError *error, gboolean tell);
void swarm_rpc_link_fail_literal (SwarmRpcLink *self, int code, const char *text);
/* Queues a frame with our log index. FALSE: no room or no connection. */
gboolean swarm_rpc_link_send (SwarmRpcLink *self, SwarmFrameKind kind, guint flags, guint32 serial, guint32 deadline_ms,
                              GBytes *payload, gsize reserve);
/* Same for what must get through: a link that has no room left even for this is cut. */
void swarm_rpc_link_must_send (SwarmRpcLink *self, SwarmFrameKind kind, guint32 serial, GBytes *payload);
/* Does what is due in the next turn of the loop. */
void swarm_rpc_link_soon (SwarmRpcLink *self);
/* Shows the other end our present certificate, when it is another than the one that it knows. */
void swarm_rpc_link_prove (SwarmRpcLink *self);
gsize swarm_rpc_link_message_max (SwarmRpcLink *self);

/* ---- call.c ---- */
void swarm_rpc_call_start (SwarmRpcLink *self, SwarmRpcPending *pending, const char *path, const char *iface,
                           const char *member, GVariant *args, gint64 timeout_us);
gboolean swarm_rpc_call_send (SwarmRpcLink *self, const char *iface, const char *member, GVariant *args);
void swarm_rpc_call_message (SwarmRpcLink *self, const SwarmFrame *frame);
/* Reports the outcome and frees @pending. */
void swarm_rpc_pending_report (SwarmRpcPending *pending, GVariant *reply, const GError *error);
void swarm_rpc_calls_report_refused (SwarmRpcLink *self);
void swarm_rpc_calls_fail_all (SwarmRpcLink *self, const GError *error);
/* CREDIT and CLOSE for a call that is not answered yet; FALSE: there is none with this serial. */
gboolean swarm_rpc_call_credit (SwarmRpcLink *self, guint32 serial, guint32 credit);
gboolean swarm_rpc_call_reader_left (SwarmRpcLink *self, guint32 serial);

/* ---- stream.c ---- */
SwarmStream *swarm_rpc_stream_open (SwarmRpcLink *self, const char *path, const char *iface, const char *member,
                                    GVariant *args, SwarmStreamFunc func, gpointer data);
/* The reader's pending entry is over: reports the end or @error once. */
void swarm_rpc_reader_finish (SwarmRpcReader *reader, const GError *error);
SwarmStream *swarm_rpc_writer_new (SwarmRpcLink *link, guint32 serial, guint32 credit, gboolean broken,
                                   SwarmStreamReadyFunc ready, gpointer data);
/* A CHUNK, CREDIT, END or CLOSE frame. */
void swarm_rpc_stream_frame (SwarmRpcLink *self, const SwarmFrame *frame);
/* Moves chunks into the connection's queue while it is short. */
void swarm_rpc_stream_pump (SwarmRpcLink *self);
/* Calls `ready` of writers that are due. */
void swarm_rpc_stream_report_ready (SwarmRpcLink *self);
/* The link is down: all writers are broken and hear it. */
void swarm_rpc_stream_break_all (SwarmRpcLink *self);

/* ---- rpc.c ---- */
struct _SwarmRpc {
  SwarmTransport transport;  /* first */
  SwarmRpcSettings settings; /* limits filled in */
  char *version;
  SwarmConnPool *pool;
  SwarmTls *tls; /* NULL: no credentials yet */
  SwarmTls *unverified;
  GPtrArray *listeners;  /* Listener */
  GHashTable *links;     /* set of SwarmRpcLink, not owned */
  GHashTable *anonymous; /* set of SwarmRpcLink: accepted, without certificate (yet) */
  GHashTable *quotas;    /* node's id (in it) → SwarmRpcQuota, not owned */
  guint n_accepted;
  guint64 n_refused;
  SwarmLogLimit told; /* of `refused` and `call_refused` */
};

/* A connection that did not come up is told to the settings' `refused`. */
void swarm_rpc_refused (SwarmRpc *self, const char *address, const GError *error);
/* A call of @link's peer was denied: told to the settings' `call_refused`. */
void swarm_rpc_call_refused (SwarmRpcLink *link, const char *member, const GError *error);
/* The peer of an accepted link is known: FALSE when this node has too many. */
gboolean swarm_rpc_identified (SwarmRpc *self, SwarmRpcLink *link, GError **error);
/* @link, which may be freed after its transport, has no part in its node's quota any more. */
void swarm_rpc_quota_leave (SwarmRpcLink *link);
/* The link is over or freed. */
void swarm_rpc_forget (SwarmRpc *self, SwarmRpcLink *link);
/* The settings' check_peer. */
gboolean swarm_rpc_check_peer (SwarmRpcLink *link, GError **error);
