// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/monitor.h"
#include "netd/plane-private.h"
#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define DELAY_MS 100
#define BOX_DELAY_MAX_MS 60000
#define READS_A_TURN 64

struct _SwarmNetdMonitor {
  SwarmNetdPlane *plane;
  SwarmNetdMonitorFunc func;
  SwarmNetdMonitorBoxFunc box_func;
  gpointer data;
  GHashTable *hurts; /* sandbox → Hurt */
  struct mnl_socket *route;
  struct mnl_socket *nft;
  guint route_source;
  guint nft_source;
  guint delay_source;
  guint what; /* to be told when the delay is over */
  gboolean touched; /* the nftables transaction that is being read touches our tables */
  char comm[16]; /* our own name, as nftables tells whose a transaction was */
};

static gboolean
on_delay (gpointer data)
{
  SwarmNetdMonitor *self = data;
  guint what = self->what;
  self->delay_source = 0;
  self->what = 0;
  self->func (what, self->data);
  return G_SOURCE_REMOVE;
}

static void
tell (SwarmNetdMonitor *self, guint what)
{
  self->what |= what;
  if (self->delay_source == 0)
    self->delay_source = g_timeout_add (DELAY_MS, on_delay, self);
}

/* ---- one sandbox's own links ---- */

typedef struct {
  SwarmNetdMonitor *monitor;
  char *sandbox;
  guint delay; /* milliseconds, the last time */
  guint source; /* 0: nothing is the matter now */
  gint64 told; /* when, the last time */
} Hurt;

static void
hurt_free (gpointer data)
{
  Hurt *hurt = data;
  g_clear_handle_id (&hurt->source, g_source_remove);
  g_free (hurt->sandbox);
  g_free (hurt);
}

static gboolean
on_hurt (gpointer data)
{
  Hurt *hurt = data;
  hurt->source = 0;
  hurt->told = g_get_monotonic_time ();
  hurt->monitor->box_func (hurt->sandbox, hurt->monitor->data);
  return G_SOURCE_REMOVE;
}

static gboolean
is_forgiven (gpointer sandbox, gpointer data, gpointer now)
{
  const Hurt *hurt = data;
  return hurt->source == 0 && *(gint64 *) now - hurt->told > BOX_DELAY_MAX_MS * 1000;
}

static void
tell_box (SwarmNetdMonitor *self, const char *sandbox)
{
  gint64 now = g_get_monotonic_time ();
  g_hash_table_foreach_remove (self->hurts, is_forgiven, &now);
  Hurt *hurt = g_hash_table_lookup (self->hurts, sandbox);
  if (hurt == NULL) {
    hurt = g_new0 (Hurt, 1);
    *hurt = (Hurt){ .monitor = self, .sandbox = g_strdup (sandbox), .delay = DELAY_MS / 2 };
    g_hash_table_insert (self->hurts, hurt->sandbox, hurt);
  }
  if (hurt->source != 0)
    return;
  hurt->delay = MIN (hurt->delay * 2, BOX_DELAY_MAX_MS);
  hurt->source = g_timeout_add (hurt->delay, on_hurt, hurt);
}

/* ---- links, routes, neighbours: an event counts when what it says is still so, and is not wanted ---- */

static gboolean
is_ours (guint index, char name[IF_NAMESIZE])
{
  return if_indextoname (index, name) != NULL && g_str_has_prefix (name, "sw");
}

static void
look_at_link (SwarmNetdMonitor *self, const struct nlmsghdr *message)
{
  const struct ifinfomsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  const char *name = "";
  SwarmNetdLink link;
  if (head->ifi_family == AF_BRIDGE)
    return;
  mnl_attr_for_each (attribute, message, sizeof *head)
    if (mnl_attr_get_type (attribute) == IFLA_IFNAME)
      name = mnl_attr_get_str (attribute);
  if ((guint) head->ifi_index == self->plane->underlay_index && message->nlmsg_type == RTM_NEWLINK) {
    if (swarm_netd_link_get (self->plane->netlink, name, &link, NULL) && link.index != 0 && link.mtu != self->plane->underlay_mtu)
      tell (self, SWARM_NETD_RESYNC_LINKS);
  } else if (g_str_has_prefix (name, "swv")) {
    const SwarmNetdInterface *interface = swarm_netd_plane_interface (self->plane, name);
    if (interface != NULL && swarm_netd_link_get (self->plane->netlink, name, &link, NULL) && (link.index == 0 || !link.up || link.master == 0))
      tell_box (self, interface->sandbox.text);
  } else if (g_str_has_prefix (name, "sw") && swarm_netd_plane_wants_link (self->plane, name)) {
    if (swarm_netd_link_get (self->plane->netlink, name, &link, NULL) && (link.index == 0 || !link.up || (link.master == 0 && name[2] == 'x')))
      tell (self, SWARM_NETD_RESYNC_LINKS);
  }
}

static void
look_at_neighbour (SwarmNetdMonitor *self, const struct nlmsghdr *message)
{
  const struct ndmsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  char name[IF_NAMESIZE];
  if (message->nlmsg_type != RTM_DELNEIGH || !(head->ndm_state & NUD_PERMANENT) || !is_ours (head->ndm_ifindex, name) ||
      g_str_has_prefix (name, "swv"))
    return;
  if (head->ndm_family != AF_BRIDGE) {
    if (message->nlmsg_pid != swarm_netd_netlink_port (self->plane->netlink))
      tell (self, SWARM_NETD_RESYNC_LINKS);
    return;
  }
  SwarmNetdEndpoint key = { .vni = g_ascii_strtoull (name + 3, NULL, 10) };
  mnl_attr_for_each (attribute, message, sizeof *head)
    if (mnl_attr_get_type (attribute) == NDA_LLADDR && mnl_attr_get_payload_len (attribute) == 6)
      memcpy (key.mac, mnl_attr_get_payload (attribute), 6);
  const SwarmNetdNetwork *ingress = swarm_netd_plane_ingress (self->plane);
  if ((ingress != NULL && ingress->vni == key.vni) || swarm_netd_tables_find (self->plane->tables, SWARM_NETD_TYPE_ENDPOINT, &key) != NULL)
    tell (self, SWARM_NETD_RESYNC_LINKS);
}

static int
on_route_message (const struct nlmsghdr *message, void *data)
{
  SwarmNetdMonitor *self = data;
  gboolean by_us = message->nlmsg_pid == swarm_netd_netlink_port (self->plane->netlink);
  char name[IF_NAMESIZE];
  switch (message->nlmsg_type) {
  case RTM_NEWLINK:
  case RTM_DELLINK:
    look_at_link (self, message);
    break;
  case RTM_DELNEIGH:
    look_at_neighbour (self, message);
    break;
  case RTM_DELADDR:
    if (!by_us && is_ours (((struct ifaddrmsg *) mnl_nlmsg_get_payload (message))->ifa_index, name))
      tell (self, SWARM_NETD_RESYNC_LINKS);
    break;
  case RTM_DELROUTE:
    if (!by_us && ((struct rtmsg *) mnl_nlmsg_get_payload (message))->rtm_protocol == SWARM_NETD_PROTOCOL)
      tell (self, SWARM_NETD_RESYNC_LINKS);
    break;
  case RTM_DELRULE:
    if (!by_us && ((struct fib_rule_hdr *) mnl_nlmsg_get_payload (message))->table == RT_TABLE_COMPAT)
      tell (self, SWARM_NETD_RESYNC_LINKS);
    break;
  }
  return MNL_CB_OK;
}

/* ---- nftables: a transaction's messages, then NEWGEN, which says whose it was ---- */

static int
on_nft_message (const struct nlmsghdr *message, void *data)
{
  SwarmNetdMonitor *self = data;
  const struct nlattr *attribute;
  guint type = message->nlmsg_type & 0xff;
  gboolean by_us = FALSE;
  mnl_attr_for_each (attribute, message, sizeof (struct nfgenmsg)) {
    guint16 kind = mnl_attr_get_type (attribute);
    if (type == NFT_MSG_NEWGEN && kind == NFTA_GEN_PROC_NAME)
      by_us = strcmp (mnl_attr_get_str (attribute), self->comm) == 0;
    else if (type != NFT_MSG_NEWGEN && kind == NFTA_TABLE_NAME && mnl_attr_get_payload_len (attribute) == sizeof "swarm") /* the same in all messages */
      self->touched |= memcmp (mnl_attr_get_payload (attribute), "swarm", sizeof "swarm") == 0;
  }
  if (type != NFT_MSG_NEWGEN)
    return MNL_CB_OK;
  if (self->touched && !by_us)
    tell (self, SWARM_NETD_RESYNC_MESH);
  self->touched = FALSE;
  return MNL_CB_OK;
}

/* ---- reading ---- */

static void
read_all (SwarmNetdMonitor *self, struct mnl_socket *socket, mnl_cb_t func, guint all)
{
  g_autofree guint8 *room = g_malloc (65536);
  for (guint i = 0; i < READS_A_TURN; i++) {
    ssize_t n = recv (mnl_socket_get_fd (socket), room, 65536, MSG_DONTWAIT);
    if (n < 0 && errno == ENOBUFS) {
      self->touched = FALSE;
      tell (self, all); /* news were lost */
      continue;
    }
    if (n <= 0)
      return;
    mnl_cb_run (room, n, 0, 0, func, self);
  }
}

static gboolean
on_route (gint fd, GIOCondition condition, gpointer data)
{
  SwarmNetdMonitor *self = data;
  read_all (self, self->route, on_route_message, SWARM_NETD_RESYNC_LINKS);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_nft (gint fd, GIOCondition condition, gpointer data)
{
  SwarmNetdMonitor *self = data;
  read_all (self, self->nft, on_nft_message, SWARM_NETD_RESYNC_MESH);
  return G_SOURCE_CONTINUE;
}

static struct mnl_socket *
open_socket (int bus, const int *groups, guint n, GError **error)
{
  struct mnl_socket *opened = mnl_socket_open2 (bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
  int room = 1024 * 1024;
  gboolean ok = opened != NULL && mnl_socket_bind (opened, 0, MNL_SOCKET_AUTOPID) == 0;
  if (ok)
    setsockopt (mnl_socket_get_fd (opened), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  for (guint i = 0; ok && i < n; i++)
    ok = mnl_socket_setsockopt (opened, NETLINK_ADD_MEMBERSHIP, (void *) &groups[i], sizeof groups[i]) == 0;
  if (ok)
    return opened;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "watch the kernel: %s", g_strerror (errno));
  if (opened != NULL)
    mnl_socket_close (opened);
  return NULL;
}

SwarmNetdMonitor *
swarm_netd_monitor_new (SwarmNetdPlane *plane, SwarmNetdMonitorFunc func, SwarmNetdMonitorBoxFunc box_func, gpointer data, GError **error)
{
  static const int route[] = { RTNLGRP_LINK,       RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                               RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE };
  static const int nft[] = { NFNLGRP_NFTABLES };
  g_autoptr (SwarmNetdMonitor) self = g_new0 (SwarmNetdMonitor, 1);
  self->plane = plane;
  self->func = func;
  self->box_func = box_func;
  self->hurts = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, hurt_free);
  self->data = data;
  prctl (PR_GET_NAME, self->comm);
  if ((self->route = open_socket (NETLINK_ROUTE, route, G_N_ELEMENTS (route), error)) == NULL ||
      (self->nft = open_socket (NETLINK_NETFILTER, nft, G_N_ELEMENTS (nft), error)) == NULL)
    return NULL;
  self->route_source = g_unix_fd_add (mnl_socket_get_fd (self->route), G_IO_IN, on_route, self);
  self->nft_source = g_unix_fd_add (mnl_socket_get_fd (self->nft), G_IO_IN, on_nft, self);
  return g_steal_pointer (&self);
}

void
swarm_netd_monitor_free (SwarmNetdMonitor *self)
{
  g_clear_handle_id (&self->route_source, g_source_remove);
  g_clear_handle_id (&self->nft_source, g_source_remove);
  g_clear_handle_id (&self->delay_source, g_source_remove);
  g_hash_table_unref (self->hurts);
  if (self->route != NULL)
    mnl_socket_close (self->route);
  if (self->nft != NULL)
    mnl_socket_close (self->nft);
  g_free (self);
}
