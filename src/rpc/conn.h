// SPDX-License-Identifier: LGPL-2.1-or-later
/* Between the files of rpc/ only: one TLS connection that carries frames. Knows nothing of calls and streams. */
#pragma once
#include "rpc/frame.h"
#include "rpc/io.h"
#include "rpc/tls.h"

/* What all connections of one transport share: whose handshake is next, and sockets that are on their way out. Counted.
 */
typedef struct _SwarmConnPool SwarmConnPool;
SwarmConnPool *swarm_conn_pool_new (SwarmClock *clock);
/* Closes lingering sockets; connections that still run keep the pool alive. */
void swarm_conn_pool_unref (SwarmConnPool *self);

typedef struct _SwarmConn SwarmConn;

/* All from the loop. After swarm_conn_close() none is called. */
typedef struct {
  /* The handshake is done: swarm_conn_ssl() knows the peer. */
  void (*open) (SwarmConn *conn, gpointer data);
  /* @frame is borrowed. */
  void (*frame) (SwarmConn *conn, const SwarmFrame *frame, gpointer data);
  /* Few bytes wait to be sent: a good moment for bulk. */
  void (*drained) (SwarmConn *conn, gpointer data);
  /* The connection broke. @error is what it broke of; the receiver closes the connection. */
  void (*broken) (SwarmConn *conn, const GError *error, gpointer data);
} SwarmConnEvents;

typedef struct {
  gint64 stall_timeout_us;
  gsize queue_bytes;
  gboolean takes_expired; /* a server whose certificate has expired is not refused yet: see SwarmPeer.expired */
} SwarmConnLimits;

/* Takes the connected socket @fd. */
SwarmConn *swarm_conn_new (SwarmConnPool *pool, int fd, SwarmTls *tls, gboolean is_server, int priority,
                           const SwarmConnLimits *limits, const SwarmConnEvents *events, gpointer data);
SSL *swarm_conn_ssl (SwarmConn *self);
void swarm_conn_set_priority (SwarmConn *self, int priority);
void swarm_conn_set_message_max (SwarmConn *self, gsize max);

/* Queues a frame to be sent in the next turn. FALSE (nothing queued) when it does not fit; @reserve bytes over the
 * bound are allowed for what must get through. */
gboolean swarm_conn_send (SwarmConn *self, const SwarmFrameHeader *header, const guint8 *payload, gsize len,
                          gsize reserve);
/* Queues bytes that are a frame already, whatever waits: Hello, and goodbye even when the connection broke by our own
 * judgement. */
void swarm_conn_send_raw (SwarmConn *self, const guint8 *data, gsize len);
gsize swarm_conn_queued (const SwarmConn *self);

/* Sends what is queued as far as the kernel takes it, says goodbye to TLS and lets the socket linger for a moment, so
 * that the other end reads our last words instead of a reset. Frees the connection. NULL is fine. */
void swarm_conn_close (SwarmConn *self);
