// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/conn.h"
#include "base/error.h"
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_SIZE 16384
/* Per turn and connection, so that no peer holds the loop: */
#define READS_PER_TURN 4
#define WRITES_PER_TURN 16
/* Handshakes cost about half a millisecond of arithmetic each; so many steps per turn of the loop. */
#define HANDSHAKES_PER_TURN 4
#define QUEUE_LOW (128 * 1024)
/* So long what one connection sent is worked on in a turn of the loop, and what all of them sent; then each has one frame more. Whoever calls
 * without end shall not hold up the others' heartbeats, which are looked at once a turn. */
#define TURN_US 1000
#define TURN_ALL_US 4000

#define LINGER_US (2 * G_USEC_PER_SEC)
#define LINGER_MAX 64
#define LINGER_BYTES (1024 * 1024)

struct _SwarmConnPool {
  guint ref_count;
  SwarmClock *clock;
  GQueue handshakes; /* SwarmConn that can go on */
  SwarmTimer *handshake_timer;
  GQueue lingering; /* Linger */
  gint64 turn;      /* the loop's time of the present turn … */
  gint64 spent_us;  /* … and how long it has worked on frames so far */
};

typedef struct {
  SwarmConnPool *pool;
  int fd;
  gsize bytes;
  SwarmFdWatch *watch;
  SwarmTimer *timer;
} Linger;

struct _SwarmConn {
  guint ref_count; /* the owner's, and one while an event is delivered */
  SwarmConnPool *pool;
  int fd;
  SSL *ssl;
  SwarmTls *tls;
  SwarmFdWatch *watch;
  int priority;
  gboolean is_open;
  gboolean closed;
  gboolean broken;
  gboolean eof;
  GList handshake; /* link in the pool's queue; data NULL: not queued */
  SwarmFrameReader *reader;
  GByteArray *rest;    /* read, but not looked at: its turn was over; NULL: none */
  gint64 turn_began;   /* boottime */
  guint turn_frames;
  GByteArray *out;
  gsize out_at; /* so much of it is sent */
  SwarmConnLimits limits;
  SwarmTimer *stall_timer;
  gint64 frame_since;   /* when the incomplete frame began; 0: none */
  gint64 blocked_since; /* when the first of the waiting bytes was last moved; 0: nothing waits */
  const SwarmConnEvents *events;
  gpointer data;
};

static void conn_ready (GIOCondition ready, gpointer data);
static void conn_handshake (SwarmConn *self);

/* ---- the pool ---- */

SwarmConnPool *
swarm_conn_pool_new (SwarmClock *clock)
{
  SwarmConnPool *self = g_new0 (SwarmConnPool, 1);

  self->ref_count = 1;
  self->clock = clock;
  return self;
}

static void
linger_free (Linger *linger)
{
  g_queue_remove (&linger->pool->lingering, linger);
  swarm_clock_clear_timer (linger->pool->clock, &linger->timer);
  swarm_fd_watch_free (linger->watch);
  close (linger->fd);
  g_free (linger);
}

static void
pool_drop (SwarmConnPool *self)
{
  if (--self->ref_count > 0)
    return;
  swarm_clock_clear_timer (self->clock, &self->handshake_timer);
  g_free (self);
}

void
swarm_conn_pool_unref (SwarmConnPool *self)
{
  while (!g_queue_is_empty (&self->lingering))
    linger_free (g_queue_peek_head (&self->lingering));
  pool_drop (self);
}

static void
linger_ready (GIOCondition ready, gpointer data)
{
  Linger *linger = data;
  guint8 buffer[RECORD_SIZE];
  ssize_t n = recv (linger->fd, buffer, sizeof buffer, 0);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  linger->bytes += MAX (n, 0);
  if (n <= 0 || linger->bytes > LINGER_BYTES)
    linger_free (linger);
}

static void
linger_over (gpointer data)
{
  Linger *linger = data;

  linger->timer = NULL;
  linger_free (linger);
}

/* Takes @fd and reads on until the other end has closed, too: the kernel answers unread bytes with a reset, which would
 * make the other end's kernel throw away our last words. */
static void
pool_linger (SwarmConnPool *self, int fd)
{
  Linger *linger;

  if (shutdown (fd, SHUT_WR) < 0 || g_queue_get_length (&self->lingering) >= LINGER_MAX) {
    close (fd);
    return;
  }
  linger = g_new0 (Linger, 1);
  linger->pool = self;
  linger->fd = fd;
  linger->watch = swarm_fd_watch_new (fd, G_IO_IN, G_PRIORITY_DEFAULT, linger_ready, linger);
  linger->timer = swarm_clock_timer (self->clock, LINGER_US, SWARM_PRIORITY_NORMAL, linger_over, linger);
  g_queue_push_tail (&self->lingering, linger);
}

static void
pool_handshakes (gpointer data)
{
  SwarmConnPool *self = data;

  self->handshake_timer = NULL;
  self->ref_count++;
  for (guint i = 0; i < HANDSHAKES_PER_TURN && self->handshakes.head != NULL; i++) {
    GList *link = g_queue_pop_head_link (&self->handshakes);
    SwarmConn *conn = link->data;
    link->data = NULL;
    conn_handshake (conn);
  }
  if (self->handshakes.head != NULL && self->handshake_timer == NULL)
    self->handshake_timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, pool_handshakes, self);
  pool_drop (self);
}

/* @conn's handshake can take its next step; it waits for its turn. */
static void
pool_queue_handshake (SwarmConnPool *self, SwarmConn *conn)
{
  conn->handshake.data = conn;
  g_queue_push_tail_link (&self->handshakes, &conn->handshake);
  if (self->handshake_timer == NULL)
    self->handshake_timer = swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, pool_handshakes, self);
}

/* ---- the connection ---- */

SwarmConn *
swarm_conn_new (SwarmConnPool *pool, int fd, SwarmTls *tls, gboolean is_server, int priority,
                const SwarmConnLimits *limits, const SwarmConnEvents *events, gpointer data)
{
  SwarmConn *self = g_new0 (SwarmConn, 1);

  self->ref_count = 1;
  self->pool = pool;
  pool->ref_count++;
  self->fd = fd;
  self->tls = swarm_tls_ref (tls);
  self->ssl = swarm_tls_session (tls, fd, is_server, is_server || limits->takes_expired, swarm_clock_now (pool->clock));
  self->priority = priority;
  self->reader = swarm_frame_reader_new (SWARM_FRAME_JOINING_MAX);
  self->out = g_byte_array_new ();
  self->limits = *limits;
  self->events = events;
  self->data = data;
  swarm_socket_setup (fd);
  /* The client speaks first. */
  self->watch = swarm_fd_watch_new (fd, is_server ? G_IO_IN : 0, priority, conn_ready, self);
  if (!is_server)
    pool_queue_handshake (pool, self);
  return self;
}

static void
conn_unref (SwarmConn *self)
{
  if (--self->ref_count > 0)
    return;
  swarm_frame_reader_free (self->reader);
  g_clear_pointer (&self->rest, g_byte_array_unref);
  g_byte_array_unref (self->out);
  swarm_tls_unref (self->tls);
  pool_drop (self->pool);
  g_free (self);
}

SSL *
swarm_conn_ssl (SwarmConn *self)
{
  return self->ssl;
}

void
swarm_conn_set_priority (SwarmConn *self, int priority)
{
  self->priority = priority;
  swarm_fd_watch_set_priority (self->watch, priority);
}

void
swarm_conn_set_message_max (SwarmConn *self, gsize max)
{
  swarm_frame_reader_set_message_max (self->reader, max);
}

gsize
swarm_conn_queued (const SwarmConn *self)
{
  return self->out->len - self->out_at;
}

/* Nothing more is read or written; the owner is told. */
static void
conn_break (SwarmConn *self, const GError *error)
{
  if (self->closed || self->broken)
    return;
  self->broken = TRUE;
  swarm_fd_watch_want (self->watch, 0);
  self->events->broken (self, error, self->data);
}

static void
conn_break_tls (SwarmConn *self, int result)
{
  int saved_errno = errno;
  g_autoptr (GError) error = NULL;

  self->eof = TRUE;
  swarm_tls_error (self->ssl, result, saved_errno, &error);
  conn_break (self, error);
}

/* ---- stalls ---- */

static void
conn_check_stall (gpointer data)
{
  SwarmConn *self = data;
  gint64 now = swarm_clock_boottime (self->pool->clock);
  gint64 limit = self->limits.stall_timeout_us, since;
  g_autoptr (GError) error = NULL;

  self->stall_timer = NULL;
  if (self->frame_since != 0 && now - self->frame_since >= limit) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "the other end stalled in the middle of a frame for %d s",
                         (int) (limit / G_USEC_PER_SEC));
  } else if (self->blocked_since != 0 && now - self->blocked_since >= limit) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "the other end did not read for %d s",
                         (int) (limit / G_USEC_PER_SEC));
  }
  if (error != NULL) {
    conn_break (self, error);
    return;
  }
  since = self->frame_since;
  if (self->blocked_since != 0 && (since == 0 || self->blocked_since < since))
    since = self->blocked_since;
  if (since != 0)
    self->stall_timer
      = swarm_clock_timer (self->pool->clock, since + limit - now, SWARM_PRIORITY_NORMAL, conn_check_stall, self);
}

/* The timer is left to run and looks for itself what has become of the reason: no timer per frame. */
static void
conn_arm_stall (SwarmConn *self)
{
  if (self->stall_timer == NULL && !self->closed)
    self->stall_timer = swarm_clock_timer (self->pool->clock, self->limits.stall_timeout_us, SWARM_PRIORITY_NORMAL,
                                           conn_check_stall, self);
}

/* ---- reading ---- */

/* All sources of one turn see the same time. */
static void
conn_begin_turn (SwarmConn *self)
{
  SwarmConnPool *pool = self->pool;
  gint64 turn = swarm_fd_watch_turn (self->watch);

  if (pool->turn != turn) {
    pool->turn = turn;
    pool->spent_us = 0;
  }
  self->turn_began = swarm_clock_boottime (pool->clock);
  self->turn_frames = 0;
}

static gint64
conn_turn_us (SwarmConn *self)
{
  return swarm_clock_boottime (self->pool->clock) - self->turn_began;
}

static gboolean
conn_turn_is_over (SwarmConn *self)
{
  gint64 us;

  if (self->turn_frames == 0)
    return FALSE;
  us = conn_turn_us (self);
  return us >= TURN_US || self->pool->spent_us + us >= TURN_ALL_US;
}

static void
conn_feed (SwarmConn *self, const guint8 *data, gsize len)
{
  gboolean began = !swarm_frame_reader_is_partial (self->reader);

  while (len > 0 && !self->closed && !self->broken) {
    g_auto (SwarmFrame) frame = { 0 };
    g_autoptr (GError) error = NULL;
    gboolean have;
    if (!swarm_frame_reader_is_partial (self->reader) && conn_turn_is_over (self)) {
      self->rest = g_byte_array_append (g_byte_array_sized_new (len), data, len);
      break;
    }
    if (!swarm_frame_reader_feed (self->reader, &data, &len, &frame, &have, &error)) {
      conn_break (self, error);
      return;
    }
    if (have) {
      began = TRUE;
      self->turn_frames++;
      self->events->frame (self, &frame, self->data);
    }
  }
  if (!swarm_frame_reader_is_partial (self->reader)) {
    self->frame_since = 0;
  } else if (began) {
    self->frame_since = swarm_clock_boottime (self->pool->clock);
    conn_arm_stall (self);
  }
}

/* What the last turn left. */
static void
conn_feed_rest (SwarmConn *self)
{
  g_autoptr (GByteArray) rest = g_steal_pointer (&self->rest);

  if (rest != NULL)
    conn_feed (self, rest->data, rest->len);
}

static void
conn_read (SwarmConn *self)
{
  guint8 buffer[RECORD_SIZE];
  gboolean waits = FALSE; /* for the rest of a record: only the descriptor tells when it is there */

  conn_begin_turn (self);
  conn_feed_rest (self);
  for (guint i = 0; i < READS_PER_TURN && self->rest == NULL && !self->closed && !self->broken; i++) {
    int n, kind;
    ERR_clear_error ();
    errno = 0;
    n = SSL_read (self->ssl, buffer, sizeof buffer);
    if (n <= 0) {
      kind = SSL_get_error (self->ssl, n);
      if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
        conn_break_tls (self, n);
      waits = TRUE;
      break;
    }
    conn_feed (self, buffer, n);
  }
  self->pool->spent_us += conn_turn_us (self);
  /* What OpenSSL has read ahead does not make the descriptor ready. */
  if (!self->closed && !self->broken && (self->rest != NULL || (!waits && SSL_has_pending (self->ssl))))
    swarm_fd_watch_again (self->watch);
}

/* ---- writing ---- */

static void
conn_want (SwarmConn *self)
{
  if (self->closed || self->broken || !self->is_open)
    return;
  if (swarm_conn_queued (self) > 0)
    swarm_fd_watch_want_write (self->watch);
  else
    swarm_fd_watch_want (self->watch, G_IO_IN);
}

static void
conn_sent (SwarmConn *self, gsize n)
{
  self->out_at += n;
  self->blocked_since = swarm_clock_boottime (self->pool->clock);
  if (self->out_at < self->out->len && self->out_at < QUEUE_LOW)
    return;
  g_byte_array_remove_range (self->out, 0, self->out_at);
  self->out_at = 0;
  if (self->out->len == 0) {
    self->blocked_since = 0;
    /* A burst's memory is not kept for quiet times. */
    g_byte_array_unref (self->out);
    self->out = g_byte_array_new ();
  }
}

/* FALSE when the connection broke; @result is then what OpenSSL said. */
static gboolean
conn_flush (SwarmConn *self, guint writes, int *result)
{
  for (guint i = 0; i < writes && swarm_conn_queued (self) > 0; i++) {
    int n, kind;
    ERR_clear_error ();
    errno = 0;
    n = SSL_write (self->ssl, self->out->data + self->out_at, MIN (swarm_conn_queued (self), RECORD_SIZE));
    if (n <= 0) {
      kind = SSL_get_error (self->ssl, n);
      *result = n;
      return kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE;
    }
    conn_sent (self, n);
  }
  return TRUE;
}

static void
conn_write (SwarmConn *self)
{
  int result;

  if (!conn_flush (self, WRITES_PER_TURN, &result)) {
    conn_break_tls (self, result);
    return;
  }
  if (swarm_conn_queued (self) < QUEUE_LOW)
    self->events->drained (self, self->data);
  conn_want (self);
}

/* Something is about to wait to be sent. */
static void
conn_begin_queue (SwarmConn *self)
{
  if (swarm_conn_queued (self) > 0)
    return;
  self->blocked_since = swarm_clock_boottime (self->pool->clock);
  conn_arm_stall (self);
}

void
swarm_conn_send_raw (SwarmConn *self, const guint8 *data, gsize len)
{
  if (self->closed || self->eof)
    return;
  conn_begin_queue (self);
  g_byte_array_append (self->out, data, len);
  conn_want (self);
}

gboolean
swarm_conn_send (SwarmConn *self, const SwarmFrameHeader *header, const guint8 *payload, gsize len, gsize reserve)
{
  if (self->closed || self->broken
      || swarm_conn_queued (self) + SWARM_FRAME_HEADER_SIZE + len > self->limits.queue_bytes + reserve)
    return FALSE;
  conn_begin_queue (self);
  swarm_frame_append (self->out, header, payload, len);
  conn_want (self);
  return TRUE;
}

/* ---- life ---- */

static void
conn_handshake (SwarmConn *self)
{
  int n, kind;

  self->ref_count++;
  ERR_clear_error ();
  errno = 0;
  n = SSL_do_handshake (self->ssl);
  if (n == 1) {
    self->is_open = TRUE;
    self->events->open (self, self->data);
    conn_want (self);
    if (!self->closed && !self->broken && SSL_has_pending (self->ssl))
      swarm_fd_watch_again (self->watch);
  } else {
    kind = SSL_get_error (self->ssl, n);
    if (kind == SSL_ERROR_WANT_READ)
      swarm_fd_watch_want (self->watch, G_IO_IN);
    else if (kind == SSL_ERROR_WANT_WRITE)
      swarm_fd_watch_want (self->watch, G_IO_OUT);
    else
      conn_break_tls (self, n);
  }
  conn_unref (self);
}

static void
conn_ready (GIOCondition ready, gpointer data)
{
  SwarmConn *self = data;

  if (self->broken)
    return;
  if (!self->is_open) {
    swarm_fd_watch_want (self->watch, 0);
    if (self->handshake.data == NULL)
      pool_queue_handshake (self->pool, self);
    return;
  }
  self->ref_count++;
  conn_read (self);
  if (!self->closed && !self->broken && (ready & G_IO_OUT || swarm_conn_queued (self) > 0))
    conn_write (self);
  conn_unref (self);
}

void
swarm_conn_close (SwarmConn *self)
{
  int result;

  if (self == NULL || self->closed)
    return;
  /* A break that is ours (bad frame, stall, refused) has not ended TLS: our goodbye can still be sent. */
  if (self->is_open && !self->eof && conn_flush (self, G_MAXUINT, &result)) {
    ERR_clear_error ();
    SSL_shutdown (self->ssl);
  }
  ERR_clear_error ();
  self->closed = TRUE;
  if (self->handshake.data != NULL)
    g_queue_unlink (&self->pool->handshakes, &self->handshake);
  swarm_clock_clear_timer (self->pool->clock, &self->stall_timer);
  g_clear_pointer (&self->watch, swarm_fd_watch_free);
  g_clear_pointer (&self->ssl, SSL_free);
  pool_linger (self->pool, self->fd);
  conn_unref (self);
}
