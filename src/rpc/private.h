// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: what a link is made of. link.c: its life; call.c: calls and answers; stream.c: streams;
 * rpc.c: all links, the listener. */
#pragma once
#include "rpc/conn.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"

/* What answers, credits and goodbyes may take beyond the queue's bound. */
#define RPC_QUEUE_RESERVE (256 * 1024)
/* Chunks that may be under way in a stream: 512 KiB. */
#define RPC_STREAM_WINDOW 8
/* Calls that a peer without certificate may have under way. */
#define RPC_JOINING_CALLS 4

typedef struct _RpcLink RpcLink;
typedef struct _RpcReader RpcReader;
typedef struct _RpcWriter RpcWriter;

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
  GError *reason;
  SwarmTimer *soon; /* the next turn's work; holds a reference */
  /* own calls */
  guint32 last_serial;
  GHashTable *pending; /* serial → RpcPending */
  GQueue refused;      /* RpcPending that never left; each has its error */
  SwarmTimer *deadline_timer;
  gint64 deadline_at;
  /* the other end's */
  GHashTable *incoming; /* serial → RpcCall, not owned: unanswered */
  guint incoming_streams; /* of these: will be answered with a stream */
  GHashTable *writers; /* serial → RpcWriter */
  GQueue bulk;         /* RpcWriter that have bytes and credit, whose turn is first */
};

/* An own call or stream under way. */
typedef struct {
  guint32 serial;
  SwarmReplyFunc func;
  gpointer data;
  gint64 deadline_us;
  RpcReader *reader; /* set: a stream was asked for */
  GError *error;
} RpcPending;
void rpc_pending_free (RpcPending *pending);

/* ---- link.c ---- */
RpcLink *rpc_link_dial (SwarmRpc *rpc, SwarmTls *tls, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events,
                        gpointer data);
/* Takes @fd. The caller owns the reference until `down`. */
RpcLink *rpc_link_accept (SwarmRpc *rpc, SwarmTls *tls, int fd, const char *address);
/* The link is over: the connection is closed now, `down` with @error (may be NULL) follows from the loop. @tell: the other end gets
 * the reason. */
void rpc_link_fail (RpcLink *self, const GError *error, gboolean tell);
void rpc_link_fail_literal (RpcLink *self, int code, const char *text);
/* Queues a frame with our log index. FALSE: no room or no connection. */
gboolean rpc_link_send (RpcLink *self, SwarmFrameKind kind, guint flags, guint32 serial, guint32 deadline_ms, GBytes *payload,
                        gsize reserve);
/* Same for what must get through: a link that has no room left even for this is cut. */
void rpc_link_must_send (RpcLink *self, SwarmFrameKind kind, guint32 serial, GBytes *payload);
/* Does what is due in the next turn of the loop. */
void rpc_link_soon (RpcLink *self);
gsize rpc_link_message_max (RpcLink *self);

/* ---- call.c ---- */
void rpc_call_start (RpcLink *self, RpcPending *pending, const char *path, const char *iface, const char *member, GVariant *args,
                     gint64 timeout_us);
gboolean rpc_call_send (RpcLink *self, const char *iface, const char *member, GVariant *args);
void rpc_call_message (RpcLink *self, const SwarmFrame *frame);
/* Reports the outcome and frees @pending. */
void rpc_pending_report (RpcPending *pending, GVariant *reply, const GError *error);
void rpc_calls_report_refused (RpcLink *self);
void rpc_calls_fail_all (RpcLink *self, const GError *error);
/* CREDIT and CLOSE for a call that is not answered yet; FALSE: there is none with this serial. */
gboolean rpc_call_credit (RpcLink *self, guint32 serial, guint32 credit);
gboolean rpc_call_reader_left (RpcLink *self, guint32 serial);

/* ---- stream.c ---- */
SwarmStream *rpc_stream_open (RpcLink *self, const char *path, const char *iface, const char *member, GVariant *args,
                              SwarmStreamFunc func, gpointer data);
/* The reader's pending entry is over: reports the end or @error once. */
void rpc_reader_finish (RpcReader *reader, const GError *error);
SwarmStream *rpc_writer_new (RpcLink *link, guint32 serial, guint32 credit, gboolean broken, SwarmStreamReadyFunc ready,
                             gpointer data);
/* A CHUNK, CREDIT, END or CLOSE frame. */
void rpc_stream_frame (RpcLink *self, const SwarmFrame *frame);
/* Moves chunks into the connection's queue while it is short. */
void rpc_stream_pump (RpcLink *self);
/* Calls `ready` of writers that are due. */
void rpc_stream_report_ready (RpcLink *self);
/* The link is down: all writers are broken and hear it. */
void rpc_stream_break_all (RpcLink *self);

/* ---- rpc.c ---- */
struct _SwarmRpc {
  SwarmTransport transport; /* first */
  SwarmRpcSettings settings; /* limits filled in */
  char *version;
  SwarmConnPool *pool;
  SwarmTls *tls; /* NULL: no credentials yet */
  SwarmTls *unverified;
  GPtrArray *listeners; /* Listener */
  GHashTable *links;     /* set of RpcLink, not owned */
  GHashTable *anonymous; /* set of RpcLink: accepted, without certificate (yet) */
  guint n_accepted;
  guint64 n_refused;
  gint64 told_since; /* of the rate limit for `refused` */
  guint told;
  guint suppressed;
};

/* A connection that did not come up is told to the settings' `refused`. */
void rpc_refused (SwarmRpc *self, const char *address, const GError *error);
/* The peer of an accepted link is known: FALSE when this node has too many. */
gboolean rpc_identified (SwarmRpc *self, RpcLink *link, GError **error);
/* The link is over or freed. */
void rpc_forget (SwarmRpc *self, RpcLink *link);
/* The settings' check_peer. */
gboolean rpc_check_peer (RpcLink *link, GError **error);
