// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel's WireGuard, by generic netlink (linux/wireguard.h). */
#include "netd/netns.h"
#include "netd/wireguard-device.h"
#include <errno.h>
#include <gio/gio.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

#define ROOM 65536
#define PEERS_AT_ONCE 64

typedef struct {
  struct mnl_socket *socket;
  guint16 family;
  guint32 sequence;
  guint8 *message;
  guint8 *answer;
} Door;

static gboolean
failed (int code, const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "WireGuard: %s: %s", what, g_strerror (code));
  return FALSE;
}

static void
door_clear (Door *door)
{
  if (door->socket != NULL)
    mnl_socket_close (door->socket);
  if (door->message != NULL)
    explicit_bzero (door->message, ROOM);
  if (door->answer != NULL)
    explicit_bzero (door->answer, ROOM);
  g_free (door->message);
  g_free (door->answer);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Door, door_clear)

static struct nlmsghdr *
begin (Door *door, guint16 family, guint8 command, guint8 version, guint16 flags)
{
  struct nlmsghdr *message = mnl_nlmsg_put_header (door->message);
  message->nlmsg_type = family;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  message->nlmsg_seq = ++door->sequence;
  struct genlmsghdr *head = mnl_nlmsg_put_extra_header (message, sizeof *head);
  head->cmd = command;
  head->version = version;
  return message;
}

static gboolean
ask (Door *door, struct nlmsghdr *message, mnl_cb_t func, gpointer data, const char *what, GError **error)
{
  guint port = mnl_socket_get_portid (door->socket);
  int more = MNL_CB_OK;
  if (mnl_socket_sendto (door->socket, message, message->nlmsg_len) < 0)
    return failed (errno, what, error);
  while (more > MNL_CB_STOP) {
    ssize_t n = mnl_socket_recvfrom (door->socket, door->answer, ROOM);
    if (n < 0 && errno == EINTR)
      continue;
    more = n < 0 ? MNL_CB_ERROR : mnl_cb_run (door->answer, n, message->nlmsg_seq, port, func, data);
  }
  return more == MNL_CB_STOP || failed (errno, what, error);
}

static int
on_family (const struct nlmsghdr *message, void *data)
{
  const struct nlattr *attribute;
  mnl_attr_for_each (attribute, message, sizeof (struct genlmsghdr))
    if (mnl_attr_get_type (attribute) == CTRL_ATTR_FAMILY_ID && mnl_attr_validate (attribute, MNL_TYPE_U16) >= 0)
      *(guint16 *) data = mnl_attr_get_u16 (attribute);
  return MNL_CB_OK;
}

/* @inside -1: our own namespace. */
static gboolean
open_door (Door *door, int inside, GError **error)
{
  struct timeval limit = { .tv_sec = 5 }; /* the kernel answers within the call; nothing may hold the loop nevertheless */
  if (inside >= 0 && !swarm_netd_netns_enter (inside, error))
    return FALSE;
  door->socket = mnl_socket_open2 (NETLINK_GENERIC, SOCK_CLOEXEC);
  if (inside >= 0)
    swarm_netd_netns_leave ();
  door->message = g_malloc0 (ROOM);
  door->answer = g_malloc0 (ROOM);
  if (door->socket == NULL || mnl_socket_bind (door->socket, 0, MNL_SOCKET_AUTOPID) < 0)
    return failed (errno, "netlink", error);
  setsockopt (mnl_socket_get_fd (door->socket), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct nlmsghdr *message = begin (door, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
  mnl_attr_put_strz (message, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  return ask (door, message, on_family, &door->family, "the kernel's interface", error);
}

gboolean
swarm_netd_wireguard_kernel_is_there (void)
{
  g_auto (Door) door = { 0 };
  return open_door (&door, -1, NULL);
}

/* ---- reading ---- */

static void
read_address (const struct nlattr *attribute, SwarmNetdAddress *address)
{
  gsize length = mnl_attr_get_payload_len (attribute);
  memset (address, 0, sizeof *address);
  if (length == 4)
    address->bytes[10] = address->bytes[11] = 0xff;
  if (length == 4 || length == 16)
    memcpy (address->bytes + 16 - length, mnl_attr_get_payload (attribute), length);
}

static void
read_endpoint (const struct nlattr *attribute, SwarmNetdWireguardPeer *peer)
{
  gsize length = mnl_attr_get_payload_len (attribute);
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  if (length == sizeof v4) {
    memcpy (&v4, mnl_attr_get_payload (attribute), sizeof v4);
    peer->endpoint.bytes[10] = peer->endpoint.bytes[11] = 0xff;
    memcpy (peer->endpoint.bytes + 12, &v4.sin_addr, 4);
    peer->port = g_ntohs (v4.sin_port);
  } else if (length == sizeof v6) {
    memcpy (&v6, mnl_attr_get_payload (attribute), sizeof v6);
    memcpy (peer->endpoint.bytes, &v6.sin6_addr, 16);
    peer->port = g_ntohs (v6.sin6_port);
  }
}

static void
read_allowed (const struct nlattr *one, SwarmNetdWireguardPeer *peer)
{
  SwarmNetdAddress address = { { 0 } };
  const struct nlattr *attribute;
  guint bits = 0;
  mnl_attr_for_each_nested (attribute, one) {
    if (mnl_attr_get_type (attribute) == WGALLOWEDIP_A_IPADDR)
      read_address (attribute, &address);
    else if (mnl_attr_get_type (attribute) == WGALLOWEDIP_A_CIDR_MASK && mnl_attr_validate (attribute, MNL_TYPE_U8) >= 0)
      bits = mnl_attr_get_u8 (attribute);
  }
  if (peer->n_allowed == SWARM_NETD_WIREGUARD_ALLOWED || bits != (swarm_netd_address_is_v4 (&address) ? 32 : 128))
    peer->others = TRUE;
  else
    peer->allowed[peer->n_allowed++] = address;
}

static void
read_peer (const struct nlattr *one, SwarmNetdWireguardConfig *config)
{
  SwarmNetdWireguardPeer peer = { 0 };
  const struct nlattr *attribute, *allowed;
  mnl_attr_for_each_nested (attribute, one) {
    gsize length = mnl_attr_get_payload_len (attribute);
    switch (mnl_attr_get_type (attribute)) {
    case WGPEER_A_PUBLIC_KEY:
      if (length == sizeof peer.key)
        memcpy (&peer.key, mnl_attr_get_payload (attribute), length);
      break;
    case WGPEER_A_ENDPOINT:
      read_endpoint (attribute, &peer);
      break;
    case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
      if (length == sizeof (guint16))
        peer.keepalive = mnl_attr_get_u16 (attribute);
      break;
    case WGPEER_A_LAST_HANDSHAKE_TIME: /* struct __kernel_timespec */
      if (length == 2 * sizeof (gint64))
        memcpy (&peer.handshake, mnl_attr_get_payload (attribute), sizeof (gint64));
      break;
    case WGPEER_A_ALLOWEDIPS:
      mnl_attr_for_each_nested (allowed, attribute)
        read_allowed (allowed, &peer);
      break;
    }
  }
  SwarmNetdWireguardPeer *last = config->peers->len > 0 ? &g_array_index (config->peers, SwarmNetdWireguardPeer, config->peers->len - 1) : NULL;
  if (last != NULL && memcmp (&last->key, &peer.key, sizeof peer.key) == 0)
    last->others = TRUE; /* it has so many addresses that the kernel goes on in a second message: not our doing */
  else
    g_array_append_val (config->peers, peer);
}

void
swarm_netd_wireguard_kernel_read (const struct nlmsghdr *message, SwarmNetdWireguardConfig *config)
{
  const struct nlattr *attribute, *peer;
  mnl_attr_for_each (attribute, message, sizeof (struct genlmsghdr)) {
    guint16 type = mnl_attr_get_type (attribute);
    gsize length = mnl_attr_get_payload_len (attribute);
    if (type == WGDEVICE_A_PRIVATE_KEY && length == sizeof config->private_key)
      memcpy (&config->private_key, mnl_attr_get_payload (attribute), length);
    else if (type == WGDEVICE_A_LISTEN_PORT && length == sizeof (guint16))
      config->port = mnl_attr_get_u16 (attribute);
    else if (type == WGDEVICE_A_PEERS)
      mnl_attr_for_each_nested (peer, attribute)
        read_peer (peer, config);
  }
}

static int
on_device (const struct nlmsghdr *message, void *data)
{
  swarm_netd_wireguard_kernel_read (message, data);
  return MNL_CB_OK;
}

SwarmNetdWireguardConfig *
swarm_netd_wireguard_kernel_get (int inside, const char *name, GError **error)
{
  g_auto (Door) door = { 0 };
  g_autoptr (SwarmNetdWireguardConfig) config = swarm_netd_wireguard_config_new ();
  if (!open_door (&door, inside, error))
    return NULL;
  struct nlmsghdr *message = begin (&door, door.family, WG_CMD_GET_DEVICE, WG_GENL_VERSION, NLM_F_DUMP);
  mnl_attr_put_strz (message, WGDEVICE_A_IFNAME, name);
  if (!ask (&door, message, on_device, config, name, error))
    return NULL;
  swarm_netd_wireguard_config_sort (config);
  return g_steal_pointer (&config);
}

/* ---- changing ---- */

static void
put_endpoint (struct nlmsghdr *message, const SwarmNetdWireguardPeer *peer)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = g_htons (peer->port) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = g_htons (peer->port) };
  memcpy (&v4.sin_addr, peer->endpoint.bytes + 12, 4);
  memcpy (&v6.sin6_addr, peer->endpoint.bytes, 16);
  if (swarm_netd_address_is_none (&peer->endpoint))
    return;
  if (swarm_netd_address_is_v4 (&peer->endpoint))
    mnl_attr_put (message, WGPEER_A_ENDPOINT, sizeof v4, &v4);
  else
    mnl_attr_put (message, WGPEER_A_ENDPOINT, sizeof v6, &v6);
}

static void
put_allowed (struct nlmsghdr *message, const SwarmNetdAddress *address)
{
  gsize length;
  const guint8 *bytes = swarm_netd_address_bytes (address, &length);
  struct nlattr *nest = mnl_attr_nest_start (message, 0);
  mnl_attr_put_u16 (message, WGALLOWEDIP_A_FAMILY, swarm_netd_address_family (address));
  mnl_attr_put (message, WGALLOWEDIP_A_IPADDR, length, bytes);
  mnl_attr_put_u8 (message, WGALLOWEDIP_A_CIDR_MASK, length * 8);
  mnl_attr_nest_end (message, nest);
}

static void
put_removed (struct nlmsghdr *message, const SwarmNetdKey *key)
{
  struct nlattr *nest = mnl_attr_nest_start (message, 0);
  mnl_attr_put (message, WGPEER_A_PUBLIC_KEY, sizeof *key, key);
  mnl_attr_put_u32 (message, WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
  mnl_attr_nest_end (message, nest);
}

static void
put_peer (struct nlmsghdr *message, const SwarmNetdWireguardPeer *peer)
{
  struct nlattr *nest = mnl_attr_nest_start (message, 0);
  mnl_attr_put (message, WGPEER_A_PUBLIC_KEY, sizeof peer->key, &peer->key);
  mnl_attr_put_u32 (message, WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
  put_endpoint (message, peer);
  mnl_attr_put_u16 (message, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer->keepalive);
  struct nlattr *list = mnl_attr_nest_start (message, WGPEER_A_ALLOWEDIPS);
  for (guint i = 0; i < peer->n_allowed; i++)
    put_allowed (message, &peer->allowed[i]);
  mnl_attr_nest_end (message, list);
  mnl_attr_nest_end (message, nest);
}

guint
swarm_netd_wireguard_kernel_write (struct nlmsghdr *message, const char *name, const SwarmNetdWireguardChange *change, guint at)
{
  guint last = MIN (at + PEERS_AT_ONCE, change->removed->len + change->put->len);
  mnl_attr_put_strz (message, WGDEVICE_A_IFNAME, name);
  if (at == 0 && change->key)
    mnl_attr_put (message, WGDEVICE_A_PRIVATE_KEY, sizeof change->wanted->private_key, &change->wanted->private_key);
  if (at == 0 && change->port)
    mnl_attr_put_u16 (message, WGDEVICE_A_LISTEN_PORT, change->wanted->port);
  struct nlattr *list = mnl_attr_nest_start (message, WGDEVICE_A_PEERS);
  for (guint i = at; i < last; i++)
    if (i < change->removed->len)
      put_removed (message, &g_array_index (change->removed, SwarmNetdKey, i));
    else
      put_peer (message, &g_array_index (change->put, SwarmNetdWireguardPeer, i - change->removed->len));
  mnl_attr_nest_end (message, list);
  return last;
}

gboolean
swarm_netd_wireguard_kernel_set (int inside, const char *name, const SwarmNetdWireguardChange *change, GError **error)
{
  g_auto (Door) door = { 0 };
  guint at = 0, all = change->removed->len + change->put->len;
  if (!open_door (&door, inside, error))
    return FALSE;
  do {
    struct nlmsghdr *message = begin (&door, door.family, WG_CMD_SET_DEVICE, WG_GENL_VERSION, 0);
    at = swarm_netd_wireguard_kernel_write (message, name, change, at);
    if (!ask (&door, message, NULL, NULL, name, error))
      return FALSE;
  } while (at < all);
  return TRUE;
}
