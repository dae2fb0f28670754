// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/netlink-private.h"
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

gboolean
swarm_netd_address_put (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, guint prefix, GError **error)
{
  struct ifaddrmsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *head, &head);
  head->ifa_family = swarm_netd_address_family (address);
  head->ifa_prefixlen = prefix;
  head->ifa_flags = swarm_netd_address_is_v4 (address) ? 0 : IFA_F_NODAD;
  head->ifa_index = index;
  swarm_netd_netlink_put_address (message, IFA_LOCAL, address);
  swarm_netd_netlink_put_address (message, IFA_ADDRESS, address);
  return swarm_netd_netlink_send (self, 0, "set the address", error);
}

static void
begin_route (SwarmNetdNetlink *self, guint16 type, guint16 flags, const SwarmNetdRoute *route)
{
  struct rtmsg *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, type, flags, sizeof *head, &head);
  const SwarmNetdAddress *shows = route->to != NULL ? route->to : route->via;
  head->rtm_family = shows != NULL ? swarm_netd_address_family (shows) : route->family;
  head->rtm_dst_len = route->to != NULL ? route->prefix : 0;
  head->rtm_table = RT_TABLE_UNSPEC;
  head->rtm_protocol = type == RTM_NEWROUTE ? SWARM_NETD_PROTOCOL : 0;
  head->rtm_scope = route->via != NULL || head->rtm_family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  if (type == RTM_DELROUTE)
    head->rtm_scope = RT_SCOPE_NOWHERE;
  head->rtm_type = type == RTM_NEWROUTE ? RTN_UNICAST : 0;
  head->rtm_flags = route->via != NULL && type == RTM_NEWROUTE ? RTNH_F_ONLINK : 0;
  if (route->to != NULL)
    swarm_netd_netlink_put_address (message, RTA_DST, route->to);
  if (route->via != NULL)
    swarm_netd_netlink_put_address (message, RTA_GATEWAY, route->via);
  mnl_attr_put_u32 (message, RTA_OIF, route->index);
  mnl_attr_put_u32 (message, RTA_TABLE, route->table != 0 ? route->table : (guint) RT_TABLE_MAIN);
}

gboolean
swarm_netd_route_put (SwarmNetdNetlink *self, const SwarmNetdRoute *route, GError **error)
{
  begin_route (self, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
  return swarm_netd_netlink_send (self, 0, "set the route", error);
}

gboolean
swarm_netd_route_put_from (SwarmNetdNetlink *self, const SwarmNetdRoute *route, const SwarmNetdAddress *from, GError **error)
{
  begin_route (self, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
  swarm_netd_netlink_put_address ((void *) self->message, RTA_PREFSRC, from);
  return swarm_netd_netlink_send (self, 0, "set the route", error);
}

gboolean
swarm_netd_route_delete (SwarmNetdNetlink *self, const SwarmNetdRoute *route, GError **error)
{
  begin_route (self, RTM_DELROUTE, 0, route);
  return swarm_netd_netlink_send (self, ESRCH, "remove the route", error);
}

typedef struct {
  SwarmNetdWayFunc func;
  gpointer data;
} EachWay;

static int
each_way (const struct nlmsghdr *message, void *data)
{
  EachWay *each = data;
  const struct rtmsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  SwarmNetdWay way = { .prefix = head->rtm_dst_len, .protocol = head->rtm_protocol, .own = head->rtm_type == RTN_LOCAL };
  guint32 table = head->rtm_table;
  if (message->nlmsg_type != RTM_NEWROUTE || (head->rtm_flags & RTM_F_CLONED) != 0)
    return MNL_CB_OK;
  mnl_attr_for_each (attribute, message, sizeof *head) {
    if (mnl_attr_get_type (attribute) == RTA_DST)
      swarm_netd_netlink_get_address (attribute, &way.to);
    else if (mnl_attr_get_type (attribute) == RTA_OIF)
      way.index = mnl_attr_get_u32 (attribute);
    else if (mnl_attr_get_type (attribute) == RTA_TABLE)
      table = mnl_attr_get_u32 (attribute);
  }
  if (way.own ? table == RT_TABLE_LOCAL : head->rtm_type == RTN_UNICAST && table == RT_TABLE_MAIN)
    each->func (&way, each->data);
  return MNL_CB_OK;
}

gboolean
swarm_netd_way_each (SwarmNetdNetlink *self, SwarmNetdWayFunc func, gpointer data, GError **error)
{
  static const int families[] = { AF_INET, AF_INET6 };
  EachWay each = { func, data };
  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    struct rtmsg *head;
    swarm_netd_netlink_begin (self, RTM_GETROUTE, NLM_F_DUMP, sizeof *head, &head);
    head->rtm_family = families[i];
    if (!swarm_netd_netlink_dump (self, each_way, &each, "list the routes", error))
      return FALSE;
  }
  return TRUE;
}

gboolean
swarm_netd_rule_put (SwarmNetdNetlink *self, int family, guint priority, const char *iif, guint32 mark, guint32 mask, guint table, GError **error)
{
  struct fib_rule_hdr *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof *head, &head);
  head->family = family;
  head->action = FR_ACT_TO_TBL;
  mnl_attr_put_u32 (message, FRA_PRIORITY, priority);
  mnl_attr_put_strz (message, FRA_IIFNAME, iif);
  mnl_attr_put_u32 (message, FRA_FWMARK, mark);
  mnl_attr_put_u32 (message, FRA_FWMASK, mask);
  mnl_attr_put_u32 (message, FRA_TABLE, table);
  mnl_attr_put_u8 (message, FRA_PROTOCOL, SWARM_NETD_PROTOCOL);
  return swarm_netd_netlink_send (self, EEXIST, "set the routing rule", error);
}

gboolean
swarm_netd_rule_delete (SwarmNetdNetlink *self, int family, guint priority, GError **error)
{
  struct fib_rule_hdr *head;
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, RTM_DELRULE, 0, sizeof *head, &head);
  head->family = family;
  mnl_attr_put_u32 (message, FRA_PRIORITY, priority);
  mnl_attr_put_u8 (message, FRA_PROTOCOL, SWARM_NETD_PROTOCOL);
  return swarm_netd_netlink_send (self, ENOENT, "remove the routing rule", error);
}

/* ---- neighbours ---- */

static struct nlmsghdr *
begin_neighbour (SwarmNetdNetlink *self, guint16 type, guint16 flags, int family, guint index, struct ndmsg **head)
{
  struct nlmsghdr *message = swarm_netd_netlink_begin (self, type, flags, sizeof **head, head);
  (*head)->ndm_family = family;
  (*head)->ndm_ifindex = index;
  (*head)->ndm_state = NUD_PERMANENT;
  return message;
}

gboolean
swarm_netd_neighbour_put (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, const guint8 mac[6], GError **error)
{
  struct ndmsg *head;
  struct nlmsghdr *message =
    begin_neighbour (self, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, swarm_netd_address_family (address), index, &head);
  swarm_netd_netlink_put_address (message, NDA_DST, address);
  mnl_attr_put (message, NDA_LLADDR, 6, mac);
  return swarm_netd_netlink_send (self, 0, "set the neighbour", error);
}

gboolean
swarm_netd_neighbour_delete (SwarmNetdNetlink *self, guint index, const SwarmNetdAddress *address, GError **error)
{
  struct ndmsg *head;
  struct nlmsghdr *message = begin_neighbour (self, RTM_DELNEIGH, 0, swarm_netd_address_family (address), index, &head);
  swarm_netd_netlink_put_address (message, NDA_DST, address);
  return swarm_netd_netlink_send (self, ENOENT, "remove the neighbour", error);
}

gboolean
swarm_netd_fdb_put (SwarmNetdNetlink *self, guint index, const guint8 mac[6], const SwarmNetdAddress *dst, GError **error)
{
  struct ndmsg *head;
  struct nlmsghdr *message = begin_neighbour (self, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, AF_BRIDGE, index, &head);
  head->ndm_flags = dst != NULL ? NTF_SELF : NTF_MASTER;
  mnl_attr_put (message, NDA_LLADDR, 6, mac);
  if (dst != NULL)
    swarm_netd_netlink_put_address (message, NDA_DST, dst);
  return swarm_netd_netlink_send (self, 0, "set the forwarding entry", error);
}

gboolean
swarm_netd_fdb_delete (SwarmNetdNetlink *self, guint index, const guint8 mac[6], GError **error)
{
  struct ndmsg *head;
  struct nlmsghdr *message = begin_neighbour (self, RTM_DELNEIGH, 0, AF_BRIDGE, index, &head);
  head->ndm_flags = NTF_SELF;
  mnl_attr_put (message, NDA_LLADDR, 6, mac);
  return swarm_netd_netlink_send (self, ENOENT, "remove the forwarding entry", error);
}

typedef struct {
  SwarmNetdNeighbourFunc func;
  gpointer data;
} Each;

static int
each_neighbour (const struct nlmsghdr *message, void *data)
{
  Each *each = data;
  const struct ndmsg *head = mnl_nlmsg_get_payload (message);
  const struct nlattr *attribute;
  SwarmNetdNeighbour neighbour;
  memset (&neighbour, 0, sizeof neighbour); /* with its padding: callers compare the whole */
  neighbour.index = head->ndm_ifindex;
  neighbour.fdb = head->ndm_family == AF_BRIDGE;
  if (message->nlmsg_type != RTM_NEWNEIGH || !(head->ndm_state & NUD_PERMANENT) || (neighbour.fdb && !(head->ndm_flags & NTF_SELF)))
    return MNL_CB_OK;
  mnl_attr_for_each (attribute, message, sizeof *head) {
    if (mnl_attr_get_type (attribute) == NDA_DST)
      swarm_netd_netlink_get_address (attribute, &neighbour.address);
    else if (mnl_attr_get_type (attribute) == NDA_LLADDR && mnl_attr_get_payload_len (attribute) == 6)
      memcpy (neighbour.mac, mnl_attr_get_payload (attribute), 6);
  }
  each->func (&neighbour, each->data);
  return MNL_CB_OK;
}

gboolean
swarm_netd_neighbour_each (SwarmNetdNetlink *self, SwarmNetdNeighbourFunc func, gpointer data, GError **error)
{
  static const int families[] = { AF_BRIDGE, AF_INET, AF_INET6 };
  Each each = { func, data };
  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    struct ndmsg *head;
    swarm_netd_netlink_begin (self, RTM_GETNEIGH, NLM_F_DUMP, sizeof *head, &head);
    head->ndm_family = families[i];
    if (!swarm_netd_netlink_dump (self, each_neighbour, &each, "list the neighbours", error))
      return FALSE;
  }
  return TRUE;
}
