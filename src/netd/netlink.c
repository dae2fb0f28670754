// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/netlink-private.h"
#include "netd/netns.h"
#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static gboolean
failed (int code, const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s", what, g_strerror (code));
  return FALSE;
}

SwarmNetdNetlink *
swarm_netd_netlink_new (GError **error)
{
  g_autoptr (SwarmNetdNetlink) self = g_new0 (SwarmNetdNetlink, 1);
  int one = 1;
  int fd = swarm_netd_fd_away (socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  self->socket = fd >= 0 ? mnl_socket_fdopen (fd) : NULL;
  if (self->socket == NULL && fd >= 0)
    close (fd);
  if (self->socket == NULL || mnl_socket_bind (self->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    failed (errno, "netlink", error);
    return NULL;
  }
  /* The kernel answers within the call; a limit nevertheless, for nothing may hold the loop. */
  struct timeval limit = { .tv_sec = 5 };
  setsockopt (mnl_socket_get_fd (self->socket), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  mnl_socket_setsockopt (self->socket, NETLINK_EXT_ACK, &one, sizeof one);
  mnl_socket_setsockopt (self->socket, NETLINK_CAP_ACK, &one, sizeof one);
  self->port = mnl_socket_get_portid (self->socket);
  return g_steal_pointer (&self);
}

SwarmNetdNetlink *
swarm_netd_netlink_new_in (int netns, GError **error)
{
  if (!swarm_netd_netns_enter (netns, error))
    return NULL;
  SwarmNetdNetlink *self = swarm_netd_netlink_new (error);
  swarm_netd_netns_leave ();
  return self;
}

void
swarm_netd_netlink_free (SwarmNetdNetlink *self)
{
  if (self->socket != NULL)
    mnl_socket_close (self->socket);
  g_free (self);
}

guint
swarm_netd_netlink_port (SwarmNetdNetlink *self)
{
  return self->port;
}

struct nlmsghdr *
swarm_netd_netlink_begin (SwarmNetdNetlink *self, guint16 type, guint16 flags, gsize header, void *extra)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (self->message);
  message->nlmsg_type = type;
  message->nlmsg_flags = NLM_F_REQUEST | flags;
  message->nlmsg_seq = ++self->sequence;
  *(void **) extra = mnl_nlmsg_put_extra_header (message, header);
  return message;
}

/* The kernel's own words for an error, if the answer has any. */
static const char *
words_of (const struct nlmsghdr *answer)
{
  const struct nlmsgerr *e = mnl_nlmsg_get_payload (answer);
  const struct nlattr *attribute;
  if (!(answer->nlmsg_flags & NLM_F_ACK_TLVS))
    return NULL;
  gsize offset = sizeof *e + (answer->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - sizeof e->msg);
  mnl_attr_for_each (attribute, answer, offset)
    if (mnl_attr_get_type (attribute) == NLMSGERR_ATTR_MSG)
      return mnl_attr_get_str (attribute);
  return NULL;
}

/* The next message of the answer to our last request; NULL with errno. */
static struct nlmsghdr *
receive (SwarmNetdNetlink *self, guint8 *room, gsize size, int *length)
{
  ssize_t n;
  do
    n = mnl_socket_recvfrom (self->socket, room, size);
  while (n < 0 && errno == EINTR);
  *length = n;
  return n < 0 || !mnl_nlmsg_ok ((void *) room, n) ? NULL : (void *) room;
}

gboolean
swarm_netd_netlink_send (SwarmNetdNetlink *self, int fine, const char *what, GError **error)
{
  struct nlmsghdr *message = (void *) self->message, *answer;
  guint8 room[8192] __attribute__ ((aligned (8)));
  int left;
  message->nlmsg_flags |= NLM_F_ACK;
  if (mnl_socket_sendto (self->socket, message, message->nlmsg_len) < 0)
    return failed (errno, what, error);
  do {
    if ((answer = receive (self, room, sizeof room, &left)) == NULL)
      return failed (errno, what, error);
  } while (answer->nlmsg_seq != message->nlmsg_seq || answer->nlmsg_type != NLMSG_ERROR);
  int code = -((struct nlmsgerr *) mnl_nlmsg_get_payload (answer))->error;
  if (code == 0 || code == fine)
    return TRUE;
  const char *words = words_of (answer);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s: %s%s%s", what, g_strerror (code), words != NULL ? ": " : "", words != NULL ? words : "");
  return FALSE;
}

gboolean
swarm_netd_netlink_dump (SwarmNetdNetlink *self, mnl_cb_t func, gpointer data, const char *what, GError **error)
{
  struct nlmsghdr *message = (void *) self->message;
  g_autofree guint8 *room = g_malloc (32768);
  if (mnl_socket_sendto (self->socket, message, message->nlmsg_len) < 0)
    return failed (errno, what, error);
  for (;;) {
    int length;
    if (receive (self, room, 32768, &length) == NULL)
      return failed (errno, what, error);
    int more = mnl_cb_run (room, length, message->nlmsg_seq, self->port, func, data);
    if (more <= MNL_CB_STOP)
      return more == MNL_CB_STOP || failed (errno, what, error);
  }
}

void
swarm_netd_netlink_put_address (struct nlmsghdr *message, guint16 type, const SwarmNetdAddress *address)
{
  gsize length;
  const guint8 *bytes = swarm_netd_address_bytes (address, &length);
  mnl_attr_put (message, type, length, bytes);
}

void
swarm_netd_netlink_get_address (const struct nlattr *attribute, SwarmNetdAddress *address)
{
  gsize length = mnl_attr_get_payload_len (attribute);
  memset (address, 0, sizeof *address);
  if (length == 16) {
    memcpy (address->bytes, mnl_attr_get_payload (attribute), 16);
  } else if (length == 4) {
    address->bytes[10] = address->bytes[11] = 0xff;
    memcpy (address->bytes + 12, mnl_attr_get_payload (attribute), 4);
  }
}
