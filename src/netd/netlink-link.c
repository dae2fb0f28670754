// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/netlink-private.h"
#include <errno.h>
#include <gio/gio.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

/* ---- reading ---- */

static void
read_vxlan (const struct nlattr *data, SwarmNetdLink *link)
{
  const struct nlattr *attribute;
  mnl_attr_for_each_nested (attribute, data) {
    switch (mnl_attr_get_type (attribute)) {
    case IFLA_VXLAN_ID:
      link->vni = mnl_attr_get_u32 (attribute);
      break;
    case IFLA_VXLAN_PORT:
      link->port = GUINT16_FROM_BE (mnl_attr_get_u16 (attribute));
      break;
    case IFLA_VXLAN_LOCAL:
    case IFLA_VXLAN_LOCAL6:
      swarm_netd_netlink_get_address (attribute, &link->local);
      break;
    }
  }
}

static void
read_kind (const struct nlattr *info, SwarmNetdLink *link)
{
  const struct nlattr *attribute, *data = NULL;
  mnl_attr_for_each_nested (attribute, info) {
    if (mnl_attr_get_type (attribute) == IFLA_INFO_KIND)
      g_strlcpy (link->kind, mnl_attr_get_str (attribute), sizeof link->kind);
    else if (mnl_attr_get_type (attribute) == IFLA_INFO_DATA)
      data = attribute;
  }
  if (data != NULL && strcmp (link->kind, "vxlan") == 0)
    read_vxlan (data, link);
}

static void
read_link (const struct nlmsghdr *message, SwarmNetdLink *link)
{
  const struct ifinfomsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  *link = (SwarmNetdLink){ .index = head->ifi_index, .up = (head->ifi_flags & IFF_UP) != 0 };
  mnl_attr_for_each (attribute, message, sizeof *head) {
    switch (mnl_attr_get_type (attribute)) {
    case IFLA_IFNAME:
      g_strlcpy (link->name, mnl_attr_get_str (attribute), sizeof link->name);
      break;
    case IFLA_MTU:
      link->mtu = mnl_attr_get_u32 (attribute);
      break;
    case IFLA_MASTER:
      link->master = mnl_attr_get_u32 (attribute);
      break;
    case IFLA_ADDRESS:
      if (mnl_attr_get_payload_len (attribute) == 6)
        memcpy (link->mac, mnl_attr_get_payload (attribute), 6);
      break;
    case IFLA_LINK_NETNSID:
      link->elsewhere = TRUE;
      link->elsewhere_number = mnl_attr_get_u32 (attribute);
      break;
    case IFLA_LINKINFO:
      read_kind (attribute, link);
      break;
    }
  }
}

static int
read_number (const struct nlmsghdr *message, void *data)
{
  const struct nlattr *attribute;
  if (message->nlmsg_type == RTM_NEWNSID)
    mnl_attr_for_each (attribute, message, sizeof (struct rtgenmsg))
      if (mnl_attr_get_type (attribute) == NETNSA_NSID)
        *(gint32 *) data = mnl_attr_get_u32 (attribute);
  return MNL_CB_OK;
}

gboolean
swarm_netd_netns_number (SwarmNetdNetlink *self, guint32 pid, int fd, guint32 *number)
{
  struct rtgenmsg *head;
  gint32 found = NETNSA_NSID_NOT_ASSIGNED;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_GETNSID, NLM_F_ACK, sizeof *head, &head);
  head->rtgen_family = AF_UNSPEC;
  mnl_attr_put_u32 (message, pid != 0 ? NETNSA_PID : NETNSA_FD, pid != 0 ? pid : (guint32) fd);
  if (!swarm_netd_netlink_dump (self, read_number, &found, "number of a network namespace", NULL) || found == NETNSA_NSID_NOT_ASSIGNED)
    return FALSE;
  *number = found;
  return TRUE;
}

typedef struct {
  SwarmNetdLinkFunc func;
  gpointer data;
} Each;

static int
each_link (const struct nlmsghdr *message, void *data)
{
  Each *each = data;
  SwarmNetdLink link;
  if (message->nlmsg_type == RTM_NEWLINK) {
    read_link (message, &link);
    each->func (&link, each->data);
  }
  return MNL_CB_OK;
}

gboolean
swarm_netd_link_each (SwarmNetdNetlink *self, SwarmNetdLinkFunc func, gpointer data, GError **error)
{
  struct ifinfomsg *head;
  Each each = { func, data };
  swarm_netd_netlink_begin (self, RTM_GETLINK, NLM_F_DUMP, sizeof *head, &head);
  return swarm_netd_netlink_dump (self, each_link, &each, "list the links", error);
}

static void
keep_link (const SwarmNetdLink *link, gpointer data)
{
  *(SwarmNetdLink *) data = *link;
}

gboolean
swarm_netd_link_get (SwarmNetdNetlink *self, const char *name, SwarmNetdLink *link, GError **error)
{
  struct ifinfomsg *head;
  Each each = { keep_link, link };
  g_autoptr (GError) local_error = NULL;
  memset (link, 0, sizeof *link);
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_GETLINK, NLM_F_ACK, sizeof *head, &head);
  mnl_attr_put_strz (message, IFLA_IFNAME, name);
  /* Not a dump, but answered by one message and the ACK. */
  if (swarm_netd_netlink_dump (self, each_link, &each, name, &local_error) ||
      g_error_matches (local_error, G_IO_ERROR, g_io_error_from_errno (ENODEV)))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/* ---- changing ---- */

gboolean
swarm_netd_link_delete (SwarmNetdNetlink *self, const char *name, GError **error)
{
  struct ifinfomsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_DELLINK, 0, sizeof *head, &head);
  mnl_attr_put_strz (message, IFLA_IFNAME, name);
  return swarm_netd_netlink_send (self, ENODEV, name, error);
}

gboolean
swarm_netd_link_set (SwarmNetdNetlink *self, guint index, guint mtu, guint master, const guint8 *mac, GError **error)
{
  struct ifinfomsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_NEWLINK, 0, sizeof *head, &head);
  head->ifi_index = index;
  head->ifi_flags = head->ifi_change = IFF_UP;
  if (mtu != 0)
    mnl_attr_put_u32 (message, IFLA_MTU, mtu);
  if (master != 0)
    mnl_attr_put_u32 (message, IFLA_MASTER, master);
  if (mac != NULL)
    mnl_attr_put (message, IFLA_ADDRESS, 6, mac);
  return swarm_netd_netlink_send (self, 0, "set up the link", error);
}

/* Begins the request that makes a link; end the nests @info and @data. */
static struct nlmsghdr *
begin_link (SwarmNetdNetlink *self, const char *name, const char *kind, struct nlattr **info, struct nlattr **data)
{
  struct ifinfomsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *head, &head);
  mnl_attr_put_strz (message, IFLA_IFNAME, name);
  *info = mnl_attr_nest_start (message, IFLA_LINKINFO);
  mnl_attr_put_strz (message, IFLA_INFO_KIND, kind);
  *data = mnl_attr_nest_start (message, IFLA_INFO_DATA);
  return message;
}

static gboolean
end_link (SwarmNetdNetlink *self, struct nlmsghdr *message, struct nlattr *info, struct nlattr *data, const char *name, GError **error)
{
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  return swarm_netd_netlink_send (self, 0, name, error);
}

/* Reads the link @name; one of another kind under our name is in the way and goes. */
static gboolean
get_or_clear (SwarmNetdNetlink *self, const char *name, const char *kind, SwarmNetdLink *link, GError **error)
{
  if (!swarm_netd_link_get (self, name, link, error))
    return FALSE;
  if (link->index == 0 || strcmp (link->kind, kind) == 0)
    return TRUE;
  link->index = 0;
  return swarm_netd_link_delete (self, name, error);
}

gboolean
swarm_netd_bridge_put (SwarmNetdNetlink *self, const char *name, guint mtu, const guint8 *mac, guint *index, GError **error)
{
  SwarmNetdLink link;
  if (!get_or_clear (self, name, "bridge", &link, error))
    return FALSE;
  if (link.index == 0) {
    struct nlattr *info, *data;
    struct nlmsghdr *message = begin_link (self, name, "bridge", &info, &data);
    mnl_attr_put_u8 (message, IFLA_BR_MCAST_SNOOPING, 0);
    if (!end_link (self, message, info, data, name, error) || !swarm_netd_link_get (self, name, &link, error))
      return FALSE;
  }
  *index = link.index;
  /* A new MAC, even the same, throws all neighbours away. */
  return swarm_netd_link_set (self, link.index, mtu, 0, mac != NULL && memcmp (mac, link.mac, 6) != 0 ? mac : NULL, error);
}

static gboolean
vxlan_new (SwarmNetdNetlink *self, const char *name, guint32 vni, const SwarmNetdAddress *local, guint16 port, GError **error)
{
  struct nlattr *info, *data;
  gboolean v4 = swarm_netd_address_is_v4 (local);
  struct nlmsghdr *message = begin_link (self, name, "vxlan", &info, &data);
  mnl_attr_put_u32 (message, IFLA_VXLAN_ID, vni);
  swarm_netd_netlink_put_address (message, v4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, local);
  mnl_attr_put_u16 (message, IFLA_VXLAN_PORT, GUINT16_TO_BE (port));
  mnl_attr_put_u8 (message, IFLA_VXLAN_LEARNING, 0);
  mnl_attr_put_u8 (message, IFLA_VXLAN_PROXY, 1);
  if (!v4)
    mnl_attr_put_u8 (message, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
  return end_link (self, message, info, data, name, error);
}

gboolean
swarm_netd_link_make (SwarmNetdNetlink *self, const char *name, const char *kind, int netns, GError **error)
{
  struct nlattr *info, *data;
  struct nlmsghdr *message = begin_link (self, name, kind, &info, &data);
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  mnl_attr_put_u32 (message, IFLA_NET_NS_FD, netns);
  return swarm_netd_netlink_send (self, 0, name, error);
}

gboolean
swarm_netd_link_move (SwarmNetdNetlink *self, guint index, int netns, GError **error)
{
  struct ifinfomsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_NEWLINK, 0, sizeof *head, &head);
  head->ifi_index = index;
  mnl_attr_put_u32 (message, IFLA_NET_NS_FD, netns);
  return swarm_netd_netlink_send (self, 0, "move the link", error);
}

/* Sets a flag (IFLA_BRPORT_…) of the bridge port that the link is. */
static gboolean
set_port (SwarmNetdNetlink *self, guint index, guint16 flag, guint8 value, GError **error)
{
  struct ifinfomsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_SETLINK, 0, sizeof *head, &head);
  head->ifi_family = AF_BRIDGE;
  head->ifi_index = index;
  struct nlattr *port = mnl_attr_nest_start (message, IFLA_PROTINFO | NLA_F_NESTED);
  mnl_attr_put_u8 (message, flag, value);
  mnl_attr_nest_end (message, port);
  return swarm_netd_netlink_send (self, 0, "set up the bridge port", error);
}

gboolean
swarm_netd_port_isolate (SwarmNetdNetlink *self, guint index, gboolean isolated, GError **error)
{
  return set_port (self, index, IFLA_BRPORT_ISOLATED, isolated, error);
}

gboolean
swarm_netd_vxlan_put (SwarmNetdNetlink *self, const char *name, guint32 vni, const SwarmNetdAddress *local, guint16 port, guint mtu, guint master,
                      guint *index, GError **error)
{
  SwarmNetdLink link;
  if (!get_or_clear (self, name, "vxlan", &link, error))
    return FALSE;
  if (link.index != 0 && (link.vni != vni || link.port != port || !swarm_netd_address_equal (&link.local, local))) {
    if (!swarm_netd_link_delete (self, name, error))
      return FALSE;
    link.index = 0;
  }
  if (link.index == 0 && (!vxlan_new (self, name, vni, local, port, error) || !swarm_netd_link_get (self, name, &link, error)))
    return FALSE;
  *index = link.index;
  return swarm_netd_link_set (self, link.index, mtu, master, NULL, error) && set_port (self, link.index, IFLA_BRPORT_LEARNING, 0, error);
}

static gboolean
vxlan_new_inside (SwarmNetdNetlink *inside, int home, const char *name, guint32 vni, guint16 port, GError **error)
{
  struct nlattr *info, *data;
  struct nlmsghdr *message = begin_link (inside, name, "vxlan", &info, &data);
  mnl_attr_put_u32 (message, IFLA_VXLAN_ID, vni);
  mnl_attr_put_u16 (message, IFLA_VXLAN_PORT, GUINT16_TO_BE (port));
  mnl_attr_put_u8 (message, IFLA_VXLAN_LEARNING, 0);
  mnl_attr_put_u8 (message, IFLA_VXLAN_PROXY, 1);
  mnl_attr_nest_end (message, data);
  mnl_attr_nest_end (message, info);
  mnl_attr_put_u32 (message, IFLA_NET_NS_FD, home);
  return swarm_netd_netlink_send (inside, 0, name, error);
}

gboolean
swarm_netd_vxlan_put_inside (SwarmNetdNetlink *self, SwarmNetdNetlink *inside, int home, const char *name, guint32 vni, guint16 port, guint mtu,
                             guint master, guint *index, GError **error)
{
  SwarmNetdLink link;
  if (!get_or_clear (self, name, "vxlan", &link, error))
    return FALSE;
  if (link.index != 0 && (link.vni != vni || link.port != port || !link.elsewhere || !swarm_netd_address_is_none (&link.local))) {
    if (!swarm_netd_link_delete (self, name, error))
      return FALSE;
    link.index = 0;
  }
  if (link.index == 0 && (!vxlan_new_inside (inside, home, name, vni, port, error) || !swarm_netd_link_get (self, name, &link, error)))
    return FALSE;
  *index = link.index;
  return swarm_netd_link_set (self, link.index, mtu, master, NULL, error) && set_port (self, link.index, IFLA_BRPORT_LEARNING, 0, error);
}

gboolean
swarm_netd_veth_put (SwarmNetdNetlink *self, const char *name, guint master, guint mtu, gboolean isolated, int netns, const char *peer,
                     const guint8 *peer_mac, GError **error)
{
  struct nlattr *info, *data;
  if (!swarm_netd_link_delete (self, name, error))
    return FALSE;
  struct nlmsghdr *message = begin_link (self, name, "veth", &info, &data);
  struct nlattr *inside = mnl_attr_nest_start (message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header (message, sizeof (struct ifinfomsg));
  mnl_attr_put_strz (message, IFLA_IFNAME, peer);
  mnl_attr_put_u32 (message, IFLA_NET_NS_FD, netns);
  mnl_attr_put_u32 (message, IFLA_MTU, mtu);
  mnl_attr_put (message, IFLA_ADDRESS, 6, peer_mac);
  mnl_attr_nest_end (message, inside);
  SwarmNetdLink link;
  return end_link (self, message, info, data, name, error) && swarm_netd_link_get (self, name, &link, error) &&
         swarm_netd_link_set (self, link.index, mtu, master, NULL, error) && swarm_netd_port_isolate (self, link.index, isolated, error);
}
