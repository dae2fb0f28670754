// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/responder.h"
#include "netd/dns.h"
#include "netd/forward.h"
#include "netd/netns.h"
#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32       /* questions a turn of the loop: a task that floods is one of many */
#define FORWARDS_MAX 64 /* under way, for one namespace */
#define STREAMS_MAX 16
#define STREAM_SECONDS 10
#define QUESTION_MAX 1024

/* Where it stands, of one family. */
typedef struct {
  SwarmNetdResponder *responder;
  int family;
  int udp; /* -1: nowhere */
  int tcp;
  guint16 port;
  guint udp_source;
  guint tcp_source;
} Door;

struct _SwarmNetdResponder {
  const SwarmNetdResponderOps *ops;
  gpointer data;
  Door v4, v6;
  GPtrArray *streams;
  GPtrArray *asked; /* Asked: forwarded questions under way */
  GArray *addresses; /* for one answer, kept */
};

typedef struct {
  SwarmNetdResponder *responder;
  int fd;
  guint source;
  guint timeout;
  GByteArray *in;
} Stream;

/* Who asked by a datagram. */
typedef struct {
  int fd; /* to which it came */
  struct sockaddr_storage address;
  socklen_t size;
} Client;

/* Where the answer to a forwarded question goes. */
typedef struct {
  SwarmNetdResponder *responder;
  SwarmNetdForward *forward;
  Client client;             /* of a datagram */
  Stream *stream;            /* else; NULL when it is gone */
  gboolean by_stream;
  gsize length;
  guint8 query[QUESTION_MAX];
} Asked;

static void
stream_free (gpointer data)
{
  Stream *stream = data;
  for (guint i = 0; i < stream->responder->asked->len; i++) {
    Asked *asked = g_ptr_array_index (stream->responder->asked, i);
    if (asked->stream == stream)
      asked->stream = NULL;
  }
  g_clear_handle_id (&stream->source, g_source_remove);
  g_clear_handle_id (&stream->timeout, g_source_remove);
  g_byte_array_unref (stream->in);
  close (stream->fd);
  g_free (stream);
}

static void
asked_free (gpointer data)
{
  Asked *asked = data;
  g_clear_pointer (&asked->forward, swarm_netd_forward_free);
  g_free (asked);
}

/* ---- answers ---- */

static void
send_answer (const Client *client, Stream *stream, const guint8 *answer, gsize length)
{
  if (stream == NULL) {
    sendto (client->fd, answer, length, MSG_DONTWAIT, (const struct sockaddr *) &client->address, client->size);
    return;
  }
  guint8 before[2] = { length >> 8, length };
  struct iovec parts[2] = { { before, 2 }, { (void *) answer, length } };
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
  if (sendmsg (stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) length + 2)
    shutdown (stream->fd, SHUT_RDWR); /* a client that does not read; the loop finds it closed */
}

static void
on_forwarded (const guint8 *answer, gsize length, gpointer data)
{
  Asked *asked = data;
  SwarmNetdQuestion question;
  guint8 out[QUESTION_MAX];
  if (answer == NULL && swarm_netd_dns_parse (asked->query, asked->length, &question)) {
    length = swarm_netd_dns_answer (asked->query, &question, SWARM_NETD_DNS_SERVFAIL, NULL, 0, sizeof out, out);
    answer = out;
  }
  if (answer != NULL && (!asked->by_stream || asked->stream != NULL))
    send_answer (&asked->client, asked->stream, answer, length);
  g_ptr_array_remove_fast (asked->responder->asked, asked);
}

static gboolean
forward (SwarmNetdResponder *self, const guint8 *query, gsize length, const Client *client, Stream *stream)
{
  g_autoptr (GArray) servers = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  int netns = self->ops->servers (self->data, servers);
  if (servers->len == 0 || self->asked->len >= FORWARDS_MAX || length > QUESTION_MAX)
    return FALSE;
  Asked *asked = g_new0 (Asked, 1);
  asked->responder = self;
  asked->stream = stream;
  asked->by_stream = stream != NULL;
  asked->length = length;
  memcpy (asked->query, query, length);
  if (client != NULL)
    asked->client = *client;
  g_ptr_array_add (self->asked, asked);
  asked->forward = swarm_netd_forward_new (netns, (void *) servers->data, servers->len, query, length, stream != NULL, on_forwarded, asked);
  return TRUE;
}

/* Clients take the first: not always the same. */
static void
rotate (GArray *addresses)
{
  SwarmNetdAddress *a = (void *) addresses->data;
  for (guint i = addresses->len; i > 1; i--) {
    guint j = g_random_int_range (0, i);
    SwarmNetdAddress kept = a[i - 1];
    a[i - 1] = a[j];
    a[j] = kept;
  }
}

static void
take_question (SwarmNetdResponder *self, const guint8 *query, gsize length, const Client *client, Stream *stream)
{
  SwarmNetdQuestion question;
  guint8 out[SWARM_NETD_DNS_UDP_MAX * 16];
  guint code = SWARM_NETD_DNS_NOERROR;
  if (!swarm_netd_dns_parse (query, length, &question))
    return;
  g_array_set_size (self->addresses, 0);
  if (!self->ops->find (self->data, question.name, question.type == SWARM_NETD_DNS_AAAA ? AF_INET6 : AF_INET, self->addresses)) {
    if (forward (self, query, length, client, stream))
      return;
    code = self->asked->len >= FORWARDS_MAX ? SWARM_NETD_DNS_SERVFAIL : SWARM_NETD_DNS_NXDOMAIN;
  }
  rotate (self->addresses);
  gsize room = stream != NULL ? sizeof out : question.room;
  gsize n = swarm_netd_dns_answer (query, &question, code, (void *) self->addresses->data, self->addresses->len, room, out);
  send_answer (client, stream, out, n);
}

/* ---- datagrams ---- */

static gboolean
on_datagram (gint fd, GIOCondition condition, gpointer data)
{
  guint8 query[QUESTION_MAX];
  Client client = { .fd = fd };
  for (guint i = 0; i < BATCH; i++) {
    client.size = sizeof client.address;
    ssize_t n = recvfrom (fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *) &client.address, &client.size);
    if (n < 0)
      break;
    take_question (((const Door *) data)->responder, query, n, &client, NULL);
  }
  return G_SOURCE_CONTINUE;
}

/* ---- streams ---- */

static gboolean
on_stream (gint fd, GIOCondition condition, gpointer data)
{
  Stream *stream = data;
  guint8 room[2048];
  ssize_t n = recv (fd, room, sizeof room, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;
  if (n > 0)
    g_byte_array_append (stream->in, room, n);
  while (n > 0 && stream->in->len >= 2) {
    gsize length = stream->in->data[0] << 8 | stream->in->data[1];
    if (length > QUESTION_MAX)
      n = 0;
    if (stream->in->len < 2 + length)
      break;
    take_question (stream->responder, stream->in->data + 2, length, NULL, stream);
    g_byte_array_remove_range (stream->in, 0, 2 + length);
  }
  if (n > 0)
    return G_SOURCE_CONTINUE;
  stream->source = 0;
  g_ptr_array_remove_fast (stream->responder->streams, stream);
  return G_SOURCE_REMOVE;
}

static gboolean
on_stream_timeout (gpointer data)
{
  Stream *stream = data;
  stream->timeout = 0;
  g_ptr_array_remove_fast (stream->responder->streams, stream);
  return G_SOURCE_REMOVE;
}

static gboolean
on_connect (gint listen_fd, GIOCondition condition, gpointer data)
{
  SwarmNetdResponder *self = ((const Door *) data)->responder;
  int fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return G_SOURCE_CONTINUE;
  if (self->streams->len >= STREAMS_MAX) {
    close (fd);
    return G_SOURCE_CONTINUE;
  }
  Stream *stream = g_new0 (Stream, 1);
  *stream = (Stream){ .responder = self, .fd = fd, .in = g_byte_array_new () };
  stream->source = g_unix_fd_add (fd, G_IO_IN, on_stream, stream);
  stream->timeout = g_timeout_add_seconds (STREAM_SECONDS, on_stream_timeout, stream);
  g_ptr_array_add (self->streams, stream);
  return G_SOURCE_CONTINUE;
}

/* ---- making it ---- */

static int
bound (int family, int type, guint16 port)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { htonl (0x7f00000b) } };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons (port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  const struct sockaddr *address = family == AF_INET ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6;
  int fd = socket (family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || (bind (fd, address, family == AF_INET ? sizeof v4 : sizeof v6) == 0 && (type == SOCK_DGRAM || listen (fd, 16) == 0)))
    return swarm_netd_fd_away (fd);
  int code = errno;
  close (fd);
  errno = code;
  return -1;
}

static gboolean
read_port (Door *self)
{
  union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  socklen_t size = sizeof address;
  gboolean ok = getsockname (self->udp, (struct sockaddr *) &address, &size) == 0;
  self->port = ok ? ntohs (self->family == AF_INET ? address.v4.sin_port : address.v6.sin6_port) : 0;
  return ok;
}

/* Both on one port, which the kernel chooses; in the present namespace. */
static gboolean
bind_both (Door *self)
{
  for (guint tries = 0; tries < 16; tries++) {
    if ((self->udp = bound (self->family, SOCK_DGRAM, 0)) < 0 || !read_port (self))
      return FALSE;
    if ((self->tcp = bound (self->family, SOCK_STREAM, self->port)) >= 0)
      return TRUE;
    close (self->udp);
    self->udp = -1;
  }
  return FALSE;
}

static gboolean
make_sockets (Door *self, int netns, GError **error)
{
  if (!swarm_netd_netns_enter (netns, error))
    return FALSE;
  gboolean ok = bind_both (self);
  int code = errno;
  swarm_netd_netns_leave ();
  if (!ok)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "the name responder: %s", g_strerror (code));
  return ok;
}

static void
door_open (Door *self)
{
  self->udp_source = g_unix_fd_add (self->udp, G_IO_IN, on_datagram, self);
  self->tcp_source = g_unix_fd_add (self->tcp, G_IO_IN, on_connect, self);
}

static void
door_close (Door *self)
{
  g_clear_handle_id (&self->udp_source, g_source_remove);
  g_clear_handle_id (&self->tcp_source, g_source_remove);
  if (self->udp >= 0)
    close (self->udp);
  if (self->tcp >= 0)
    close (self->tcp);
  self->udp = self->tcp = -1;
}

SwarmNetdResponder *
swarm_netd_responder_new (int netns, int udp, int tcp, const SwarmNetdResponderOps *ops, gpointer data, GError **error)
{
  SwarmNetdResponder *self = g_new0 (SwarmNetdResponder, 1);
  *self = (SwarmNetdResponder){ .ops = ops, .data = data, .v4 = { self, AF_INET, udp, tcp }, .v6 = { self, AF_INET6, -1, -1 } };
  self->streams = g_ptr_array_new_with_free_func (stream_free);
  self->asked = g_ptr_array_new_with_free_func (asked_free);
  self->addresses = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  gboolean kept = udp >= 0 && tcp >= 0 && read_port (&self->v4);
  if (!kept && !make_sockets (&self->v4, netns, error)) {
    swarm_netd_responder_free (self);
    return NULL;
  }
  door_open (&self->v4);
  return self;
}

void
swarm_netd_responder_free (SwarmNetdResponder *self)
{
  g_ptr_array_unref (self->streams);
  g_ptr_array_unref (self->asked);
  g_array_unref (self->addresses);
  door_close (&self->v4);
  door_close (&self->v6);
  g_free (self);
}

void
swarm_netd_responder_sockets (SwarmNetdResponder *self, int sockets[2])
{
  sockets[0] = self->v4.udp;
  sockets[1] = self->v4.tcp;
}

guint16
swarm_netd_responder_port (SwarmNetdResponder *self)
{
  return self->v4.port;
}

guint16
swarm_netd_responder_port6 (SwarmNetdResponder *self, int netns)
{
  if (self->v6.udp >= 0)
    return self->v6.port;
  if (!make_sockets (&self->v6, netns, NULL)) {
    door_close (&self->v6);
    return 0;
  }
  door_open (&self->v6);
  return self->v6.port;
}
