// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/crypt.h"
#include "base/error.h"
#include "base/log.h"
#include "netd/netns.h"
#include "netd/plane-private.h"
#include "netd/wireguard-device.h"
#include "netd/wireguard-key.h"
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LOOK_SECONDS 5
#define LOOK_ROTATING_MS 500
#define KEEPALIVE 3 /* seconds: makes the first handshake of a new key come about */
#define LOOKS_TO_LISTEN 4
#define LOOKS_TO_HEAR 6 /* until the other hosts have heard of a new key */
#define GRACE_SECONDS 60 /* how much longer an old key stays, beyond a whole rotation, for a host that does not come */
#define HOSTS_PREFIX 20

guint swarm_netd_crypt_rotation = 12 * 60 * 60;

typedef struct {
  SwarmNetdCrypt *crypt;
  gboolean used;
  SwarmNetdKeyPair pair;
  SwarmNetdWireguardDevice *device;
  SwarmNetdWireguardConfig *wanted; /* what the device was told last; NULL: it is not known to be so */
  guint mtu; /* and that */
  gboolean works;
  gint64 failed; /* when it did last: not at once again */
} Slot;

struct _SwarmNetdCrypt {
  SwarmNetdPlane *plane;
  int fd; /* the inside; -1: there is none */
  SwarmNetdNetlink *netlink;
  guint32 node; /* the host that it was made for */
  Slot slots[2];
  guint newest;
  guint mtu;
  GHashTable *moved; /* of the hosts those to which packets go by the newer key */
  guint looks; /* since the newest key was made */
  gboolean settled; /* all hosts were there when we looked last: the old key ends */
  char *problem;
  guint look_source;
};

static void on_synced (const SwarmNetdWireguardConfig *is, const GError *error, gpointer data);

/* ---- addresses ---- */

static SwarmNetdAddress
inside_address (guint net, guint32 node)
{
  return (SwarmNetdAddress){ { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = net, [14] = node >> 8, [15] = node & 0xff } };
}

SwarmNetdAddress
swarm_netd_crypt_address (guint32 node)
{
  return inside_address (83, node);
}

static SwarmNetdAddress
source_address (guint32 node, guint slot)
{
  return inside_address (84 + slot, node);
}

/* Outer IP and UDP, WireGuard's head and tag; its padding to 16 bytes must fit too (wireguard-go pads large packets past the device's MTU). */
guint
swarm_netd_crypt_mtu (guint mtu, gboolean underlay_v4)
{
  return ((MAX (mtu, 1400) - (underlay_v4 ? 60 : 80)) & ~15u) - 16;
}

static const char *
device_name (guint slot)
{
  return slot == 0 ? "swg0" : "swg1";
}

/* ---- the inside ---- */

SwarmNetdCrypt *
swarm_netd_crypt_new (SwarmNetdPlane *plane)
{
  SwarmNetdCrypt *self = g_new0 (SwarmNetdCrypt, 1);
  self->plane = plane;
  self->fd = -1;
  self->moved = g_hash_table_new (NULL, NULL);
  self->slots[0].crypt = self->slots[1].crypt = self;
  return self;
}

static void
let_go (SwarmNetdCrypt *self)
{
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer (&self->slots[i].device, swarm_netd_wireguard_device_free);
    g_clear_pointer (&self->slots[i].wanted, swarm_netd_wireguard_config_free);
    explicit_bzero (&self->slots[i].pair, sizeof self->slots[i].pair);
    self->slots[i].used = self->slots[i].works = FALSE;
  }
  g_clear_handle_id (&self->look_source, g_source_remove);
  g_clear_pointer (&self->netlink, swarm_netd_netlink_free);
  g_clear_pointer (&self->problem, g_free);
  g_hash_table_remove_all (self->moved);
  self->settled = FALSE;
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}

void
swarm_netd_crypt_free (SwarmNetdCrypt *self)
{
  let_go (self);
  g_hash_table_unref (self->moved);
  g_free (self);
}

void
swarm_netd_crypt_adopt (SwarmNetdCrypt *self, const char *name, int fd)
{
  SwarmNetdKeyPair pair;
  if (strcmp (name, "crypt-netns") == 0 && self->fd < 0) {
    self->fd = fd;
    return;
  }
  if (g_str_has_prefix (name, "crypt-key-") && swarm_netd_key_load (fd, &pair)) {
    Slot *slot = &self->slots[pair.slot], *other = &self->slots[!pair.slot];
    slot->pair = pair;
    slot->used = TRUE;
    if (!other->used || other->pair.made < pair.made)
      self->newest = pair.slot;
    explicit_bzero (&pair, sizeof pair);
  }
  close (fd);
}

static gboolean
make_inside (SwarmNetdCrypt *self, GError **error)
{
  if (self->fd < 0) {
    if ((self->fd = swarm_netd_netns_new (error)) < 0)
      return FALSE;
    sd_pid_notify_with_fds (0, 0, "FDSTORE=1\nFDNAME=crypt-netns", &self->fd, 1);
  }
  if (!swarm_netd_netns_enter (self->fd, error))
    return FALSE;
  /* A new namespace has the host's settings. */
  swarm_netd_sysctl ("ipv4/ip_forward", "0");
  swarm_netd_sysctl ("ipv4/conf/all/rp_filter", "0");
  swarm_netd_sysctl ("ipv4/conf/default/rp_filter", "0");
  swarm_netd_netns_leave ();
  return (self->netlink = swarm_netd_netlink_new_in (self->fd, error)) != NULL;
}

/* Packets to us, and the sources of ours. */
static gboolean
set_up_inside (SwarmNetdCrypt *self, GError **error)
{
  SwarmNetdAddress own = swarm_netd_crypt_address (self->node);
  SwarmNetdLink lo;
  if (!swarm_netd_link_get (self->netlink, "lo", &lo, error) || !swarm_netd_address_put (self->netlink, lo.index, &own, 32, error))
    return FALSE;
  for (guint i = 0; i < 2; i++) {
    SwarmNetdAddress source = source_address (self->node, i);
    if (!self->slots[i].used)
      swarm_netd_link_delete (self->netlink, device_name (i), NULL); /* of a netd whose key is lost */
    if (!swarm_netd_address_put (self->netlink, lo.index, &source, 32, error))
      return FALSE;
  }
  return TRUE;
}

/* Wherever it is: wireguard-go ends with it. */
static void
delete_device (SwarmNetdCrypt *self, guint i)
{
  SwarmNetdLink link;
  if (self->netlink != NULL)
    swarm_netd_link_delete (self->netlink, device_name (i), NULL);
  if (swarm_netd_link_get (self->plane->netlink, device_name (i), &link, NULL) && (strcmp (link.kind, "tun") == 0 || strcmp (link.kind, "wireguard") == 0))
    swarm_netd_link_delete (self->plane->netlink, device_name (i), NULL); /* not yet inside */
}

static void
throw_away (SwarmNetdCrypt *self)
{
  for (guint i = 0; i < 2; i++) {
    delete_device (self, i);
    sd_notifyf (0, "FDSTOREREMOVE=1\nFDNAME=crypt-key-%u", i);
  }
  sd_notify (0, "FDSTOREREMOVE=1\nFDNAME=crypt-netns");
  let_go (self);
}

SwarmNetdNetlink *
swarm_netd_crypt_inside (SwarmNetdCrypt *self, GError **error)
{
  guint32 node = swarm_netd_plane_own (self->plane)->node;
  if (self->netlink != NULL && self->node != node)
    throw_away (self);
  self->node = node;
  if (self->netlink == NULL && (!make_inside (self, error) || !set_up_inside (self, error))) {
    g_clear_pointer (&self->netlink, swarm_netd_netlink_free);
    return NULL;
  }
  return self->netlink;
}

/* ---- what WireGuard is to be ---- */

typedef struct {
  SwarmNetdCrypt *crypt;
  SwarmNetdWireguardConfig *config;
  guint16 keepalive;
} Collect;

static const SwarmNetdWireguard *
key_of (SwarmNetdCrypt *self, guint32 node, guint32 slot)
{
  SwarmNetdWireguard key = { .node = node, .slot = slot };
  const SwarmNetdRow *row = swarm_netd_tables_find (self->plane->tables, SWARM_NETD_TYPE_WIREGUARD, &key);
  return row != NULL ? (const void *) row->data : NULL;
}

/* The key for which packets to @node are. NULL: it has none. */
static const SwarmNetdWireguard *
preferred_key (SwarmNetdCrypt *self, guint32 node)
{
  const SwarmNetdWireguard *first = key_of (self, node, 0), *second = key_of (self, node, 1);
  return second != NULL && (first == NULL || (second->flags & ~first->flags & SWARM_NETD_WIREGUARD_NEWEST)) ? second : first;
}

static void
collect_peer (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdWireguard *key = (const void *) row->data;
  Collect *collect = data;
  const SwarmNetdNode *node = swarm_netd_plane_node (collect->crypt->plane, key->node);
  if (node == NULL || key->node == collect->crypt->node)
    return;
  SwarmNetdWireguardPeer peer = { .endpoint = node->underlay, .keepalive = collect->keepalive, .n_allowed = 1 };
  peer.port = swarm_netd_plane_host (collect->crypt->plane)->wireguard_port + key->slot;
  memcpy (&peer.key, key->key, sizeof peer.key);
  peer.allowed[0] = source_address (key->node, key->slot);
  if (preferred_key (collect->crypt, key->node) == key)
    peer.allowed[peer.n_allowed++] = swarm_netd_crypt_address (key->node);
  g_array_append_val (collect->config->peers, peer);
}

static gboolean
is_rotating (SwarmNetdCrypt *self)
{
  return self->slots[0].used && self->slots[1].used;
}

static SwarmNetdWireguardConfig *
config_for (SwarmNetdCrypt *self, guint i)
{
  SwarmNetdWireguardConfig *config = swarm_netd_wireguard_config_new ();
  Collect collect = { self, config, is_rotating (self) && i == self->newest && self->looks >= LOOKS_TO_HEAR ? KEEPALIVE : 0 };
  config->private_key = self->slots[i].pair.private_key;
  config->port = swarm_netd_plane_host (self->plane)->wireguard_port + i;
  swarm_netd_tables_each (self->plane->tables, SWARM_NETD_TYPE_WIREGUARD, NULL, 0, collect_peer, &collect);
  guint twice = swarm_netd_wireguard_config_sort (config);
  if (twice > 0)
    swarm_warning ("%u hosts have a WireGuard key that another one has too: no packets go there", twice);
  return config;
}

static void
say_problem (SwarmNetdCrypt *self, const char *text)
{
  if (g_strcmp0 (self->problem, text) == 0)
    return;
  g_free (self->problem);
  self->problem = g_strdup (text);
  swarm_netd_plane_tell (self->plane);
}

/* Tells the device, unless it knows; @look: also asks how it is. */
static void
sync_slot (SwarmNetdCrypt *self, guint i, gboolean look)
{
  Slot *slot = &self->slots[i];
  if (!slot->used)
    return;
  SwarmNetdWireguardConfig *config = config_for (self, i);
  gboolean same = slot->wanted != NULL && slot->mtu == self->mtu && swarm_netd_wireguard_config_equal (slot->wanted, config);
  gboolean too_soon = !slot->works && slot->failed != 0 && g_get_monotonic_time () - slot->failed < G_TIME_SPAN_SECOND;
  if (slot->device == NULL)
    slot->device =
      swarm_netd_wireguard_device_new (device_name (i), self->plane->netlink, self->netlink, self->fd, on_synced, slot);
  if (same && (swarm_netd_wireguard_device_is_busy (slot->device) || (slot->works && !look) || too_soon)) {
    swarm_netd_wireguard_config_free (config);
    return;
  }
  g_clear_pointer (&slot->wanted, swarm_netd_wireguard_config_free);
  slot->wanted = swarm_netd_wireguard_config_copy (config);
  slot->mtu = self->mtu;
  swarm_netd_wireguard_device_sync (slot->device, config, self->mtu);
}

/* ---- ways: to all hosts by one device, to some already by the newer one ---- */

static gboolean
put_route (SwarmNetdCrypt *self, guint i, guint32 node, GError **error)
{
  SwarmNetdAddress to = inside_address (83, node), from = source_address (self->node, i);
  SwarmNetdLink link;
  if (!swarm_netd_link_get (self->netlink, device_name (i), &link, error))
    return FALSE;
  SwarmNetdRoute route = { .to = &to, .prefix = node != 0 ? 32 : HOSTS_PREFIX, .index = link.index };
  return swarm_netd_route_put_from (self->netlink, &route, &from, error);
}

static gboolean
has_handshake (SwarmNetdCrypt *self, const SwarmNetdWireguardConfig *is, guint32 node)
{
  SwarmNetdKey key;
  memcpy (&key, preferred_key (self, node)->key, sizeof key);
  const SwarmNetdWireguardPeer *peer = swarm_netd_wireguard_config_find (is, &key);
  return peer != NULL && peer->handshake != 0;
}

typedef struct {
  SwarmNetdCrypt *crypt;
  const SwarmNetdWireguardConfig *is;
  gboolean all;
} Move;

static void
move_host (const SwarmNetdRow *row, gpointer data)
{
  Move *move = data;
  SwarmNetdCrypt *self = move->crypt;
  guint32 node = ((const SwarmNetdWireguard *) row->data)->node;
  if (node == self->node || g_hash_table_contains (self->moved, GUINT_TO_POINTER (node)))
    return;
  if (has_handshake (self, move->is, node) && put_route (self, self->newest, node, NULL))
    g_hash_table_add (self->moved, GUINT_TO_POINTER (node));
  else
    move->all = FALSE;
}

static void
end_slot (SwarmNetdCrypt *self, guint i)
{
  Slot *slot = &self->slots[i];
  g_clear_pointer (&slot->device, swarm_netd_wireguard_device_free);
  g_clear_pointer (&slot->wanted, swarm_netd_wireguard_config_free);
  delete_device (self, i);
  sd_notifyf (0, "FDSTOREREMOVE=1\nFDNAME=crypt-key-%u", i);
  explicit_bzero (&slot->pair, sizeof slot->pair);
  slot->used = slot->works = FALSE;
}

static void
delete_route (gpointer key, gpointer value, gpointer data)
{
  SwarmNetdCrypt *self = data;
  SwarmNetdAddress to = swarm_netd_crypt_address (GPOINTER_TO_UINT (key));
  SwarmNetdLink link;
  SwarmNetdRoute route = { .to = &to, .prefix = 32 };
  if (swarm_netd_link_get (self->netlink, device_name (self->newest), &link, NULL))
    route.index = link.index;
  swarm_netd_route_delete (self->netlink, &route, NULL);
}

/* The newer key takes over. First the way for all, then the ways for some go, then the old key. */
static void
end_old (SwarmNetdCrypt *self)
{
  g_autoptr (GError) error = NULL;
  if (!put_route (self, self->newest, 0, &error)) {
    swarm_warning ("The old WireGuard key stays: %s", error->message);
    return;
  }
  g_hash_table_foreach (self->moved, delete_route, self);
  g_hash_table_remove_all (self->moved);
  self->settled = FALSE;
  end_slot (self, !self->newest);
  sync_slot (self, self->newest, FALSE); /* no more keepalive */
  swarm_netd_plane_tell (self->plane);
}

static void
on_synced (const SwarmNetdWireguardConfig *is, const GError *error, gpointer data)
{
  Slot *slot = data;
  SwarmNetdCrypt *self = slot->crypt;
  guint i = slot - self->slots;
  g_autoptr (GError) local_error = NULL;
  gboolean newer = is_rotating (self) && i == self->newest, did = slot->works;
  slot->works = is != NULL && (newer || put_route (self, i, 0, &local_error));
  if (!slot->works) {
    const char *words = error != NULL ? error->message : local_error->message;
    slot->failed = g_get_monotonic_time ();
    if (newer)
      swarm_warning ("WireGuard's new key waits: %s", words);
    else
      say_problem (self, words);
    return;
  }
  if (newer) {
    Move move = { self, is, TRUE };
    swarm_netd_tables_each (self->plane->tables, SWARM_NETD_TYPE_WIREGUARD, NULL, 0, move_host, &move);
    gboolean before = self->settled;
    self->settled = move.all;
    if (before && move.all) { /* for two looks: what was under way by the old one has come */
      end_old (self);
      return;
    }
  }
  if (!did)
    swarm_netd_plane_tell (self->plane);
  if (!newer)
    say_problem (self, NULL);
}

/* ---- keys ---- */

static gboolean
make_key (SwarmNetdCrypt *self, guint i, GError **error)
{
  Slot *slot = &self->slots[i];
  if (!swarm_netd_key_make (&slot->pair, i, error))
    return FALSE;
  int fd = swarm_netd_key_store (&slot->pair, error);
  if (fd < 0)
    return FALSE;
  g_autofree char *state = g_strdup_printf ("FDSTORE=1\nFDNAME=crypt-key-%u", i);
  sd_pid_notify_with_fds (0, 0, state, &fd, 1);
  close (fd);
  slot->used = TRUE;
  self->newest = i;
  self->looks = 0;
  return TRUE;
}

static void
rotate (SwarmNetdCrypt *self)
{
  GError *error = NULL;
  if (is_rotating (self))
    end_old (self); /* some hosts did not come for so long */
  if (is_rotating (self))
    return;
  guint old = self->newest;
  g_hash_table_remove_all (self->moved);
  self->settled = FALSE;
  if (!make_key (self, !old, &error)) {
    say_problem (self, error->message);
    g_error_free (error);
    return;
  }
  sync_slot (self, self->newest, FALSE);
}

/* A new key is said only when its device listens: others use it as soon as they hear of it. wireguard-go looks each second whether its link is up. */
static gboolean
is_announced (SwarmNetdCrypt *self)
{
  return !is_rotating (self) || (self->slots[self->newest].works && self->looks >= LOOKS_TO_LISTEN);
}

static gboolean on_look (gpointer data);

static void
schedule_look (SwarmNetdCrypt *self)
{
  g_clear_handle_id (&self->look_source, g_source_remove);
  self->look_source = is_rotating (self) || swarm_netd_crypt_rotation < 60 ? g_timeout_add (LOOK_ROTATING_MS, on_look, self)
                                                                          : g_timeout_add_seconds (LOOK_SECONDS, on_look, self);
}

/* A device that went (wireguard-go fell) is made anew with its key. */
static void
look_after (SwarmNetdCrypt *self, guint i)
{
  Slot *slot = &self->slots[i];
  SwarmNetdLink link;
  if (!slot->works || !swarm_netd_link_get (self->netlink, device_name (i), &link, NULL) || link.index != 0)
    return;
  swarm_warning ("WireGuard's device %s is gone: it is made anew", device_name (i));
  slot->works = FALSE;
  sync_slot (self, i, TRUE);
}

static gboolean
on_look (gpointer data)
{
  SwarmNetdCrypt *self = data;
  self->look_source = 0;
  gboolean said = is_announced (self);
  self->looks++;
  for (guint i = 0; i < 2; i++)
    look_after (self, i);
  if (is_rotating (self))
    sync_slot (self, self->newest, TRUE);
  gint64 age = swarm_netd_key_now () - self->slots[self->newest].pair.made;
  if (age >= swarm_netd_crypt_rotation + (is_rotating (self) ? GRACE_SECONDS : 0) && self->slots[self->newest].works)
    rotate (self);
  if (is_announced (self) && !said)
    swarm_netd_plane_tell (self->plane);
  schedule_look (self);
  return G_SOURCE_REMOVE;
}

GArray *
swarm_netd_crypt_keys (SwarmNetdCrypt *self)
{
  GArray *keys = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWireguard));
  guint newest = is_announced (self) ? self->newest : !self->newest; /* of those that are said */
  for (guint i = 0; i < 2; i++) {
    SwarmNetdWireguard key = { .node = self->node, .slot = i, .flags = i == newest ? SWARM_NETD_WIREGUARD_NEWEST : 0 };
    memcpy (key.key, self->slots[i].pair.public_key.bytes, sizeof key.key);
    if (self->slots[i].used && (i == newest || newest == self->newest))
      g_array_append_val (keys, key);
  }
  return keys;
}

/* ---- the plane's side ---- */

static void
count_encrypted (const SwarmNetdRow *row, gpointer data)
{
  *(guint *) data += (((const SwarmNetdNetwork *) row->data)->flags & SWARM_NETD_NETWORK_ENCRYPTED) != 0;
}

void
swarm_netd_crypt_flush (SwarmNetdCrypt *self)
{
  g_autoptr (GError) error = NULL;
  guint n = 0;
  swarm_netd_tables_each (self->plane->tables, SWARM_NETD_TYPE_NETWORK, NULL, 0, count_encrypted, &n);
  if (n == 0 || swarm_netd_plane_host (self->plane) == NULL) {
    if (self->fd >= 0 || self->slots[0].used || self->slots[1].used)
      throw_away (self);
    return;
  }
  if (swarm_netd_plane_host (self->plane)->wireguard_port == 0)
    return;
  if (swarm_netd_crypt_inside (self, &error) == NULL ||
      (!self->slots[0].used && !self->slots[1].used && !make_key (self, 0, &error))) {
    say_problem (self, error->message);
    return;
  }
  self->mtu = swarm_netd_crypt_mtu (self->plane->underlay_mtu, swarm_netd_address_is_v4 (&swarm_netd_plane_own (self->plane)->underlay));
  for (guint i = 0; i < 2; i++)
    sync_slot (self, i, FALSE);
  if (self->look_source == 0)
    schedule_look (self);
}

gboolean
swarm_netd_crypt_check (SwarmNetdCrypt *self, GError **error)
{
  gboolean works = self->slots[0].works || self->slots[1].works;
  if (works && self->problem == NULL)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "it is encrypted, its packets wait: %s",
               swarm_netd_plane_host (self->plane)->wireguard_port == 0 ? "this host has no WireGuard port"
               : self->problem != NULL                                  ? self->problem
                                                                        : "WireGuard is being set up");
  return FALSE;
}
