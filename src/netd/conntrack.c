// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/conntrack.h"
#include "netd/netns.h"
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define TUPLE_MAX 160

/* A connection to be ended, as the kernel calls it. */
typedef struct {
  SwarmNetdConnection connection;
  guint8 family;
  guint16 length;
  guint8 tuple[TUPLE_MAX] __attribute__ ((aligned (4))); /* CTA_TUPLE_ORIG as it came, the zone within */
} Doomed;

typedef struct {
  SwarmNetdConnectionFunc func;
  gpointer data;
  GArray *doomed;
} Search;

/* ---- finding ---- */

static void
read_address (const struct nlattr *attribute, SwarmNetdAddress *address)
{
  gboolean v4 = mnl_attr_get_payload_len (attribute) == 4;
  memset (address, 0, sizeof *address);
  if (v4)
    address->bytes[10] = address->bytes[11] = 0xff;
  memcpy (address->bytes + (v4 ? 12 : 0), mnl_attr_get_payload (attribute), v4 ? 4 : MIN (16, mnl_attr_get_payload_len (attribute)));
}

static void
read_tuple (const struct nlattr *tuple, SwarmNetdAddress *from, SwarmNetdAddress *to, guint16 *from_port, guint16 *to_port, guint8 *protocol)
{
  const struct nlattr *part, *attribute;
  mnl_attr_for_each_nested (part, tuple) {
    gboolean ip = mnl_attr_get_type (part) == CTA_TUPLE_IP;
    if (!ip && mnl_attr_get_type (part) != CTA_TUPLE_PROTO)
      continue;
    mnl_attr_for_each_nested (attribute, part) {
      guint type = mnl_attr_get_type (attribute);
      if (ip && (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC))
        read_address (attribute, from);
      else if (ip && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST))
        read_address (attribute, to);
      else if (!ip && type == CTA_PROTO_NUM)
        *protocol = mnl_attr_get_u8 (attribute);
      else if (!ip && type == CTA_PROTO_SRC_PORT)
        *from_port = ntohs (mnl_attr_get_u16 (attribute));
      else if (!ip && type == CTA_PROTO_DST_PORT)
        *to_port = ntohs (mnl_attr_get_u16 (attribute));
    }
  }
}

static int
look_at (const struct nlmsghdr *message, void *data)
{
  Search *search = data;
  const struct nfgenmsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute, *original = NULL, *reply = NULL;
  SwarmNetdAddress reply_to;
  guint16 reply_to_port;
  Doomed one = { .family = head->nfgen_family };
  SwarmNetdConnection *c = &one.connection;
  mnl_attr_for_each (attribute, message, sizeof *head) {
    if (mnl_attr_get_type (attribute) == CTA_TUPLE_ORIG)
      original = attribute;
    else if (mnl_attr_get_type (attribute) == CTA_TUPLE_REPLY)
      reply = attribute;
  }
  if (original == NULL || reply == NULL || mnl_attr_get_payload_len (original) > TUPLE_MAX)
    return MNL_CB_OK;
  read_tuple (original, &c->client, &c->asked, &c->client_port, &c->asked_port, &c->protocol);
  read_tuple (reply, &c->backend, &reply_to, &c->backend_port, &reply_to_port, &c->protocol);
  if (!search->func (c, search->data))
    return MNL_CB_OK;
  one.length = mnl_attr_get_payload_len (original);
  memcpy (one.tuple, mnl_attr_get_payload (original), one.length);
  g_array_append_val (search->doomed, one);
  return MNL_CB_OK;
}

static int
read_count (const struct nlmsghdr *message, void *data)
{
  const struct nlattr *attribute;
  mnl_attr_for_each (attribute, message, sizeof (struct nfgenmsg))
    if (mnl_attr_get_type (attribute) == CTA_STATS_GLOBAL_ENTRIES)
      *(guint32 *) data = ntohl (mnl_attr_get_u32 (attribute));
  return MNL_CB_STOP;
}

/* All namespaces share one table in the kernel: to look through it costs milliseconds, also for one that has nothing there. */
static gboolean
has_none (struct mnl_socket *socket)
{
  guint8 room[1024] __attribute__ ((aligned (8)));
  guint32 count = G_MAXUINT32;
  struct nlmsghdr *message = mnl_nlmsg_put_header (room);
  message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
  message->nlmsg_flags = NLM_F_REQUEST;
  mnl_nlmsg_put_extra_header (message, sizeof (struct nfgenmsg));
  ssize_t n = mnl_socket_sendto (socket, message, message->nlmsg_len) > 0 ? mnl_socket_recvfrom (socket, room, sizeof room) : -1;
  if (n > 0)
    mnl_cb_run (room, n, 0, 0, read_count, &count);
  return count == 0;
}

static gboolean
search_all (struct mnl_socket *socket, Search *search)
{
  if (has_none (socket))
    return TRUE;
  guint8 request[64] __attribute__ ((aligned (8)));
  g_autofree guint8 *room = g_malloc (65536);
  struct nlmsghdr *message = mnl_nlmsg_put_header (request);
  message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  mnl_nlmsg_put_extra_header (message, sizeof (struct nfgenmsg)); /* AF_UNSPEC: both families */
  int more = mnl_socket_sendto (socket, message, message->nlmsg_len) > 0 ? MNL_CB_OK : MNL_CB_ERROR;
  while (more > MNL_CB_STOP) {
    ssize_t n = mnl_socket_recvfrom (socket, room, 65536);
    more = n > 0 ? mnl_cb_run (room, n, 0, 0, look_at, search) : MNL_CB_ERROR;
  }
  return more == MNL_CB_STOP;
}

/* ---- ending ---- */

/* FALSE: the kernel would not. One that has ended by itself is fine. */
static gboolean
forget (struct mnl_socket *socket, const Doomed *doomed)
{
  guint8 room[1024] __attribute__ ((aligned (8)));
  guint8 request[512] __attribute__ ((aligned (8)));
  struct nlmsghdr *message = mnl_nlmsg_put_header (request);
  message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  struct nfgenmsg *head = mnl_nlmsg_put_extra_header (message, sizeof *head);
  head->nfgen_family = doomed->family;
  mnl_attr_put (message, CTA_TUPLE_ORIG | NLA_F_NESTED, doomed->length, doomed->tuple);
  if (mnl_socket_sendto (socket, message, message->nlmsg_len) < 0)
    return FALSE;
  ssize_t n = mnl_socket_recvfrom (socket, room, sizeof room);
  return n > 0 && (mnl_cb_run (room, n, 0, 0, NULL, NULL) >= MNL_CB_STOP || errno == ENOENT);
}

/* The client's socket, when it is in this namespace: one that only reads would never find out. */
static void
destroy (struct mnl_socket *socket, const SwarmNetdConnection *c)
{
  guint8 request[256] __attribute__ ((aligned (8)));
  gsize length;
  struct nlmsghdr *message = mnl_nlmsg_put_header (request);
  message->nlmsg_type = SOCK_DESTROY;
  message->nlmsg_flags = NLM_F_REQUEST;
  struct inet_diag_req_v2 *head = mnl_nlmsg_put_extra_header (message, sizeof *head);
  head->sdiag_family = swarm_netd_address_family (&c->client);
  head->sdiag_protocol = IPPROTO_TCP;
  head->idiag_states = ~0u;
  head->id.idiag_sport = htons (c->client_port);
  head->id.idiag_dport = htons (c->asked_port);
  head->id.idiag_cookie[0] = head->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  const guint8 *from = swarm_netd_address_bytes (&c->client, &length);
  memcpy (head->id.idiag_src, from, length);
  const guint8 *to = swarm_netd_address_bytes (&c->asked, &length);
  memcpy (head->id.idiag_dst, to, length);
  mnl_socket_sendto (socket, message, message->nlmsg_len);
}

static struct mnl_socket *
open_socket (int bus)
{
  struct mnl_socket *opened = mnl_socket_open2 (bus, SOCK_CLOEXEC);
  struct timeval limit = { .tv_sec = 5 };
  if (opened == NULL)
    return NULL;
  setsockopt (mnl_socket_get_fd (opened), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (mnl_socket_bind (opened, 0, MNL_SOCKET_AUTOPID) == 0)
    return opened;
  mnl_socket_close (opened);
  return NULL;
}

int
swarm_netd_conntrack_end (int netns, SwarmNetdConnectionFunc func, gpointer data)
{
  g_autoptr (GArray) doomed = g_array_new (FALSE, FALSE, sizeof (Doomed));
  Search search = { func, data, doomed };
  if (netns >= 0 && !swarm_netd_netns_enter (netns, NULL))
    return -1;
  struct mnl_socket *tracked = open_socket (NETLINK_NETFILTER), *sockets = open_socket (NETLINK_SOCK_DIAG);
  if (netns >= 0)
    swarm_netd_netns_leave ();
  gboolean ok = tracked != NULL && sockets != NULL && search_all (tracked, &search);
  gboolean all = ok;
  for (guint i = 0; ok && i < doomed->len; i++) {
    const Doomed *one = &g_array_index (doomed, Doomed, i);
    all &= forget (tracked, one);
    if (one->connection.protocol == IPPROTO_TCP)
      destroy (sockets, &one->connection);
  }
  if (tracked != NULL)
    mnl_socket_close (tracked);
  if (sockets != NULL)
    mnl_socket_close (sockets);
  return all ? (int) doomed->len : -1;
}
