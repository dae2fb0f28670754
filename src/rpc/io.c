// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "rpc/io.h"
#include "base/error.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define DEFAULT_PORT 2377
/* Bytes that the other host's kernel does not acknowledge for this long end the connection. */
#define USER_TIMEOUT_MS 15000

int
swarm_io_priority (SwarmLinkKind kind)
{
  return kind == SWARM_LINK_CONSENSUS ? G_PRIORITY_HIGH : G_PRIORITY_DEFAULT;
}

void
swarm_socket_setup (int fd)
{
  int one = 1, idle = 10, interval = 5, count = 3;
  guint timeout = USER_TIMEOUT_MS;

  /* Best effort: a connection without them works too. */
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt (fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

void
swarm_socket_peer_name (const struct sockaddr *addr, char *ret, gsize size)
{
  g_autoptr (GSocketAddress) address = g_socket_address_new_from_native (
    (gpointer) addr, addr->sa_family == AF_INET6 ? sizeof (struct sockaddr_in6) : sizeof (struct sockaddr_in));
  g_autofree char *host = NULL;
  GInetAddress *inet;

  g_strlcpy (ret, "unknown", size);
  if (address == NULL || !G_IS_INET_SOCKET_ADDRESS (address))
    return;
  inet = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));
  host = g_inet_address_to_string (inet);
  if (g_str_has_prefix (host, "::ffff:") && strchr (host, '.') != NULL)
    memmove (host, host + 7, strlen (host + 7) + 1);
  g_snprintf (ret, size, strchr (host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
              g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)));
}

/* ---- listening ---- */

static int
listen_on (GSocketAddress *address, GError **error)
{
  struct sockaddr_storage native;
  gssize len = g_socket_address_get_native_size (address);
  int one = 1, zero = 0, fd;

  if (!g_socket_address_to_native (address, &native, sizeof native, error))
    return -1;
  fd = socket (native.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (native.ss_family == AF_INET6)
      setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind (fd, (struct sockaddr *) &native, len) == 0 && listen (fd, 128) == 0)
      return fd;
  }
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "%s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return -1;
}

int
swarm_socket_listen (const char *address, GError **error)
{
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (address, DEFAULT_PORT, error);
  g_autoptr (GInetAddress) inet = NULL;
  g_autoptr (GSocketAddress) where = NULL;
  int fd;

  if (parsed == NULL)
    return -1;
  inet = g_inet_address_new_from_string (g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed)));
  if (inet == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "cannot listen on %s: not an IP address with a port",
                 address);
    return -1;
  }
  where = g_inet_socket_address_new (inet, g_network_address_get_port (G_NETWORK_ADDRESS (parsed)));
  fd = listen_on (where, error);
  if (fd < 0)
    g_prefix_error (error, "cannot listen on %s: ", address);
  return fd;
}

/* ---- dialling ---- */

struct _SwarmDial {
  SwarmClock *clock;
  SwarmTimer *timer; /* the deadline */
  SwarmTimer *begin;
  GCancellable *cancellable;
  GSocketConnectable *address;
  GQueue targets; /* GInetAddress */
  char *name;
  int priority;
  int fd;
  SwarmFdWatch *watch;
  char peer_name[64];
  GError *last_error;
  SwarmDialFunc func;
  gpointer data;
};

static void dial_next (SwarmDial *self);

static void
dial_close_fd (SwarmDial *self)
{
  g_clear_pointer (&self->watch, swarm_fd_watch_free);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

void
swarm_dial_cancel (SwarmDial *self)
{
  swarm_clock_clear_timer (self->clock, &self->timer);
  swarm_clock_clear_timer (self->clock, &self->begin);
  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  g_clear_object (&self->address);
  g_queue_clear_full (&self->targets, g_object_unref);
  dial_close_fd (self);
  g_clear_error (&self->last_error);
  g_free (self->name);
  g_free (self);
}

static void
dial_finish (SwarmDial *self, const GError *error)
{
  int fd = -1;
  g_autoptr (GError) full = NULL;

  if (error == NULL) {
    g_clear_pointer (&self->watch, swarm_fd_watch_free);
    fd = self->fd;
    self->fd = -1;
  } else {
    full = g_error_copy (error);
    g_prefix_error (&full, "cannot connect to %s: ", self->name);
  }
  self->func (fd, self->peer_name, full, self->data);
  swarm_dial_cancel (self);
}

static void
dial_fail (SwarmDial *self, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, code, text);

  dial_finish (self, error);
}

static void
dial_timed_out (gpointer data)
{
  SwarmDial *self = data;

  self->timer = NULL;
  dial_fail (self, SWARM_ERROR_TIMED_OUT, "no answer in time");
}

static void
dial_remember_errno (SwarmDial *self, int code)
{
  g_clear_error (&self->last_error);
  self->last_error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, g_strerror (code));
  dial_close_fd (self);
}

static void
dial_connected (GIOCondition ready, gpointer data)
{
  SwarmDial *self = data;
  int code = 0;
  socklen_t len = sizeof code;

  if (getsockopt (self->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
    code = errno;
  if (code == 0) {
    dial_finish (self, NULL);
    return;
  }
  dial_remember_errno (self, code);
  dial_next (self);
}

/* Starts with the next address; TRUE when a connection is under way. */
static gboolean
dial_target (SwarmDial *self, GInetAddress *target)
{
  g_autoptr (GSocketAddress) address
    = g_inet_socket_address_new (target, g_network_address_get_port (G_NETWORK_ADDRESS (self->address)));
  struct sockaddr_storage native;

  if (!g_socket_address_to_native (address, &native, sizeof native, NULL))
    return FALSE;
  self->fd = socket (native.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  swarm_socket_peer_name ((struct sockaddr *) &native, self->peer_name, sizeof self->peer_name);
  if (self->fd < 0
      || (connect (self->fd, (struct sockaddr *) &native, g_socket_address_get_native_size (address)) < 0
          && errno != EINPROGRESS)) {
    dial_remember_errno (self, errno);
    return FALSE;
  }
  self->watch = swarm_fd_watch_new (self->fd, G_IO_OUT, self->priority, dial_connected, self);
  return TRUE;
}

static void
dial_next (SwarmDial *self)
{
  g_autoptr (GError) error = NULL;

  while (!g_queue_is_empty (&self->targets)) {
    g_autoptr (GInetAddress) target = g_queue_pop_head (&self->targets);
    if (dial_target (self, target))
      return;
  }
  error = g_steal_pointer (&self->last_error);
  if (error == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "no usable address");
  dial_finish (self, error);
}

static void
dial_resolved (GObject *resolver, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GList *found = g_resolver_lookup_by_name_finish (G_RESOLVER (resolver), result, &error);
  SwarmDial *self = data;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) /* and self is gone */
    return;
  if (error != NULL) {
    dial_fail (self, SWARM_ERROR_UNAVAILABLE, error->message);
    return;
  }
  for (GList *l = found; l != NULL; l = l->next)
    g_queue_push_tail (&self->targets, g_object_ref (l->data));
  g_resolver_free_addresses (found);
  dial_next (self);
}

/* The first step, from the loop: so that the caller has our pointer before it hears from us. */
static void
dial_begin (gpointer data)
{
  SwarmDial *self = data;
  g_autoptr (GResolver) resolver = NULL;

  self->begin = NULL;
  if (self->address == NULL || *g_network_address_get_hostname (G_NETWORK_ADDRESS (self->address)) == '\0') {
    dial_fail (self, SWARM_ERROR_INVALID_ARGUMENT, "not an address of the form HOST:PORT");
  } else if (!g_queue_is_empty (&self->targets)) {
    dial_next (self);
  } else {
    resolver = g_resolver_get_default ();
    g_resolver_lookup_by_name_async (resolver, g_network_address_get_hostname (G_NETWORK_ADDRESS (self->address)),
                                     self->cancellable, dial_resolved, self);
  }
}

SwarmDial *
swarm_dial_start (const char *address, SwarmClock *clock, gint64 timeout_us, int priority, SwarmDialFunc func,
                  gpointer data)
{
  SwarmDial *self = g_new0 (SwarmDial, 1);
  GInetAddress *numeric = NULL;

  self->clock = clock;
  self->name = g_strdup (address);
  self->priority = priority;
  self->fd = -1;
  self->func = func;
  self->data = data;
  self->cancellable = g_cancellable_new ();
  self->address = g_network_address_parse (address, DEFAULT_PORT, NULL);
  if (self->address != NULL)
    numeric = g_inet_address_new_from_string (g_network_address_get_hostname (G_NETWORK_ADDRESS (self->address)));
  if (numeric != NULL)
    g_queue_push_tail (&self->targets, numeric);
  self->timer = swarm_clock_timer (clock, timeout_us, SWARM_PRIORITY_NORMAL, dial_timed_out, self);
  self->begin = swarm_clock_timer (clock, 0, SWARM_PRIORITY_NORMAL, dial_begin, self);
  return self;
}
