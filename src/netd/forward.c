// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/forward.h"
#include "netd/dns.h"
#include "netd/netns.h"
#include "netd/servers.h"
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 2 /* seconds */

struct _SwarmNetdForward {
  SwarmNetdAddress servers[SWARM_NETD_SERVERS_MAX];
  guint n;
  guint at; /* the server that is being asked */
  gboolean tcp;
  int netns; /* -1: the host's */
  int fd;
  guint source;
  guint timeout;
  GByteArray *query; /* with its length before it when by TCP */
  gsize sent;
  GByteArray *answer; /* as far as it came, by TCP */
  SwarmNetdForwardFunc func;
  gpointer data;
};

static void ask_next (SwarmNetdForward *self);

static void
hang_up (SwarmNetdForward *self)
{
  g_clear_handle_id (&self->source, g_source_remove);
  g_clear_handle_id (&self->timeout, g_source_remove);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  self->sent = 0;
  g_byte_array_set_size (self->answer, 0);
}

void
swarm_netd_forward_free (SwarmNetdForward *self)
{
  hang_up (self);
  g_byte_array_unref (self->query);
  g_byte_array_unref (self->answer);
  g_free (self);
}

static void
try_another (SwarmNetdForward *self)
{
  hang_up (self);
  self->at++;
  ask_next (self);
}

static gboolean
on_timeout (gpointer data)
{
  SwarmNetdForward *self = data;
  self->timeout = 0;
  try_another (self);
  return G_SOURCE_REMOVE;
}

static gboolean
on_datagram (gint fd, GIOCondition condition, gpointer data)
{
  SwarmNetdForward *self = data;
  guint8 answer[65536]; /* a client may take any length */
  ssize_t n = recv (fd, answer, sizeof answer, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;
  if (n < 0) {
    self->source = 0;
    try_another (self);
    return G_SOURCE_REMOVE;
  }
  if (!swarm_netd_dns_matches (self->query->data, self->query->len, answer, n))
    return G_SOURCE_CONTINUE;
  self->func (answer, n, self->data); /* frees us */
  return G_SOURCE_REMOVE;
}

/* TRUE: the answer is whole, and one to our question. */
static gboolean
read_stream (SwarmNetdForward *self, gboolean *broken)
{
  guint8 room[4096];
  ssize_t n = recv (self->fd, room, sizeof room, MSG_DONTWAIT);
  *broken = n == 0 || (n < 0 && errno != EAGAIN);
  if (n > 0)
    g_byte_array_append (self->answer, room, n);
  if (self->answer->len < 2 || self->answer->len < 2u + (self->answer->data[0] << 8 | self->answer->data[1]))
    return FALSE;
  *broken |= !swarm_netd_dns_matches (self->query->data + 2, self->query->len - 2, self->answer->data + 2, self->answer->len - 2);
  return !*broken;
}

static gboolean
on_stream (gint fd, GIOCondition condition, gpointer data)
{
  SwarmNetdForward *self = data;
  gboolean broken = FALSE;
  if (self->sent < self->query->len) {
    ssize_t n = send (fd, self->query->data + self->sent, self->query->len - self->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    broken = n < 0 && errno != EAGAIN;
    self->sent += MAX (n, 0);
    if (!broken && self->sent < self->query->len)
      return G_SOURCE_CONTINUE;
    if (!broken) {
      self->source = g_unix_fd_add (fd, G_IO_IN, on_stream, self);
      return G_SOURCE_REMOVE;
    }
  } else if (read_stream (self, &broken)) {
    gsize length = self->answer->data[0] << 8 | self->answer->data[1];
    self->func (self->answer->data + 2, length, self->data); /* frees us */
    return G_SOURCE_REMOVE;
  }
  if (!broken)
    return G_SOURCE_CONTINUE;
  self->source = 0;
  try_another (self);
  return G_SOURCE_REMOVE;
}

/* In a namespace that is not ours the mark says that it is not one of the questions which are led to us (vip.c). */
static int
open_socket (SwarmNetdForward *self, int family)
{
  guint32 mark = SWARM_NETD_FORWARD_MARK;
  if (self->netns >= 0 && !swarm_netd_netns_enter (self->netns, NULL))
    return -1;
  int fd = socket (family, (self->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->netns < 0)
    return fd;
  swarm_netd_netns_leave ();
  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0)
    return fd;
  close (fd); /* it would come back to us */
  return -1;
}

static gboolean
dial (SwarmNetdForward *self)
{
  const SwarmNetdAddress *server = &self->servers[self->at];
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons (53) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons (53) };
  gboolean is_v4 = swarm_netd_address_is_v4 (server);
  memcpy (&v4.sin_addr, server->bytes + 12, 4);
  memcpy (&v6.sin6_addr, server->bytes, 16);
  self->fd = open_socket (self, is_v4 ? AF_INET : AF_INET6);
  if (self->fd < 0)
    return FALSE;
  int r = connect (self->fd, is_v4 ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6, is_v4 ? sizeof v4 : sizeof v6);
  if (r < 0 && errno != EINPROGRESS)
    return FALSE;
  return self->tcp || send (self->fd, self->query->data, self->query->len, MSG_DONTWAIT) == (ssize_t) self->query->len;
}

static gboolean
give_up (gpointer data)
{
  SwarmNetdForward *self = data;
  self->source = 0;
  self->func (NULL, 0, self->data); /* frees us */
  return G_SOURCE_REMOVE;
}

static void
ask_next (SwarmNetdForward *self)
{
  while (self->at < self->n && !dial (self)) {
    hang_up (self);
    self->at++;
  }
  if (self->at >= self->n) {
    self->source = g_idle_add (give_up, self);
    return;
  }
  self->source = self->tcp ? g_unix_fd_add (self->fd, G_IO_OUT, on_stream, self) : g_unix_fd_add (self->fd, G_IO_IN, on_datagram, self);
  self->timeout = g_timeout_add_seconds (PATIENCE, on_timeout, self);
}

SwarmNetdForward *
swarm_netd_forward_new (int netns, const SwarmNetdAddress *servers, guint n, const guint8 *query, gsize length, gboolean tcp,
                        SwarmNetdForwardFunc func, gpointer data)
{
  SwarmNetdForward *self = g_new0 (SwarmNetdForward, 1);
  guint8 before[2] = { length >> 8, length };
  self->n = MIN (n, SWARM_NETD_SERVERS_MAX);
  memcpy (self->servers, servers, self->n * sizeof *servers);
  self->tcp = tcp;
  self->netns = netns;
  self->fd = -1;
  self->query = g_byte_array_new ();
  self->answer = g_byte_array_new ();
  if (tcp)
    g_byte_array_append (self->query, before, 2);
  g_byte_array_append (self->query, query, length);
  self->func = func;
  self->data = data;
  ask_next (self);
  return self;
}
