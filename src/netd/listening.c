// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/listening.h"
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

struct _SwarmNetdListening {
  guint8 tcp[65536 / 8];
  guint8 udp[65536 / 8];
};

/* One protocol in one family; the kernel picks the sockets by their state, so that a host's hundred thousand connections cost nothing. */
typedef struct {
  guint8 family;
  guint8 protocol;
  guint8 state; /* TCP_CLOSE: of UDP, not connected */
  const char *file; /* where the kernel cannot be asked */
} Kind;

static const Kind kinds[] = {
  { AF_INET, IPPROTO_TCP, TCP_LISTEN, "/proc/thread-self/net/tcp" },
  { AF_INET6, IPPROTO_TCP, TCP_LISTEN, "/proc/thread-self/net/tcp6" },
  { AF_INET, IPPROTO_UDP, TCP_CLOSE, "/proc/thread-self/net/udp" },
  { AF_INET6, IPPROTO_UDP, TCP_CLOSE, "/proc/thread-self/net/udp6" },
};

static void
note (guint8 *ports, guint port)
{
  ports[port / 8] |= 1 << port % 8;
}

static int
on_socket (const struct nlmsghdr *message, void *data)
{
  if (mnl_nlmsg_get_payload_len (message) >= sizeof (struct inet_diag_msg))
    note (data, g_ntohs (((const struct inet_diag_msg *) mnl_nlmsg_get_payload (message))->id.idiag_sport));
  return MNL_CB_OK;
}

static gboolean
ask (struct mnl_socket *socket, const Kind *kind, guint8 *ports)
{
  guint8 request[256] __attribute__ ((aligned (8)));
  g_autofree guint8 *room = g_malloc (32768);
  struct nlmsghdr *message = mnl_nlmsg_put_header (request);
  message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message->nlmsg_seq = kind - kinds + 1;
  struct inet_diag_req_v2 *head = mnl_nlmsg_put_extra_header (message, sizeof *head);
  head->sdiag_family = kind->family;
  head->sdiag_protocol = kind->protocol;
  head->idiag_states = 1u << kind->state;
  int more = mnl_socket_sendto (socket, message, message->nlmsg_len) > 0 ? MNL_CB_OK : MNL_CB_ERROR;
  while (more > MNL_CB_STOP) {
    ssize_t n = mnl_socket_recvfrom (socket, room, 32768);
    more = n > 0 ? mnl_cb_run (room, n, message->nlmsg_seq, 0, on_socket, ports) : MNL_CB_ERROR;
  }
  return more == MNL_CB_STOP;
}

/* Lines "  0: 0100007F:0277 00000000:0000 0A …": number, own and other address with port, state. */
static void
read_file (const Kind *kind, guint8 *ports)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents (kind->file, &text, NULL, NULL))
    return;
  for (char *line = strchr (text, '\n'); line != NULL; line = strchr (line + 1, '\n')) {
    guint port, state;
    if (sscanf (line + 1, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 && state == kind->state && port < 65536)
      note (ports, port);
  }
}

SwarmNetdListening *
swarm_netd_listening_read (void)
{
  SwarmNetdListening *self = g_new0 (SwarmNetdListening, 1);
  struct mnl_socket *socket = mnl_socket_open2 (NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
  struct timeval limit = { .tv_sec = 5 };
  if (socket != NULL)
    setsockopt (mnl_socket_get_fd (socket), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    guint8 *ports = kinds[i].protocol == IPPROTO_TCP ? self->tcp : self->udp;
    if (socket == NULL || !ask (socket, &kinds[i], ports))
      read_file (&kinds[i], ports); /* a kernel without it */
  }
  if (socket != NULL)
    mnl_socket_close (socket);
  return self;
}

gboolean
swarm_netd_listening_has (SwarmNetdListening *self, guint8 protocol, guint16 port)
{
  const guint8 *ports = protocol == IPPROTO_TCP ? self->tcp : protocol == IPPROTO_UDP ? self->udp : NULL;
  return ports != NULL && (ports[port / 8] & 1 << port % 8) != 0;
}

void
swarm_netd_listening_free (SwarmNetdListening *self)
{
  g_free (self);
}
