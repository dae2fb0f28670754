// SPDX-License-Identifier: LGPL-2.1-or-later
/* Task network namespaces: made here, held by descriptor, handed to systemd's descriptor store so that a restart finds them. */
#include "netd/plane-private.h"
#include "base/error.h"
#include "base/log.h"
#include "netd/netns.h"
#include "netd/servers.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

void
swarm_netd_box_free (gpointer data)
{
  SwarmNetdBox *box = data;
  g_clear_pointer (&box->responder, swarm_netd_responder_free);
  for (guint i = 0; i < G_N_ELEMENTS (box->kept); i++)
    if (box->kept[i] >= 0)
      close (box->kept[i]);
  g_array_unref (box->vnis);
  g_array_unref (box->servers);
  g_clear_pointer (&box->nft, swarm_netd_nft_free);
  g_clear_pointer (&box->netlink, swarm_netd_netlink_free);
  if (box->netns >= 0)
    close (box->netns);
  g_free (box);
}

/* ---- systemd's descriptor store ---- */

#define STORE_MAX 8192 /* FileDescriptorStoreMax= of swarm-netd.service */
#define STORE_OTHERS 16 /* of them for what is not a sandbox's (crypt.c) */

/* systemd says it by $FDSTORE from 254 on; what is too much it closes without a word. */
guint
swarm_netd_sandbox_store_room (void)
{
  const char *said = g_getenv ("FDSTORE");
  guint64 max = said != NULL ? g_ascii_strtoull (said, NULL, 10) : STORE_MAX;
  return max > STORE_OTHERS ? MIN (max, G_MAXINT) - STORE_OTHERS : 0;
}

static gboolean
store (SwarmNetdBox *box, guint what, const char *name, const int *fds, guint n)
{
  g_autofree char *state = g_strdup_printf ("FDSTORE=1\nFDNAME=%s-%s", name, box->id);
  if (box->stored[what] > 0)
    return TRUE;
  if (box->plane->stored + n > box->plane->store_room)
    return FALSE;
  sd_pid_notify_with_fds (0, 0, state, fds, n);
  box->stored[what] = n;
  box->plane->stored += n;
  return TRUE;
}

static gboolean
store_names (SwarmNetdBox *box)
{
  int sockets[2];
  if (box->responder == NULL)
    return TRUE;
  swarm_netd_responder_sockets (box->responder, sockets);
  return store (box, 1, "names", sockets, 2);
}

static void
unstore (SwarmNetdBox *box)
{
  sd_notifyf (0, "FDSTOREREMOVE=1\nFDNAME=names-%s", box->id);
  sd_notifyf (0, "FDSTOREREMOVE=1\nFDNAME=netns-%s", box->id);
  box->plane->stored -= box->stored[0] + box->stored[1];
  box->stored[0] = box->stored[1] = 0;
}

void
swarm_netd_sandbox_keep (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  guint had = self->unkept;
  self->unkept = 0;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box))
    self->unkept += !store (box, 0, "netns", &box->netns, 1) || !store_names (box);
  if (had == 0 && self->unkept > 0)
    swarm_warning ("systemd keeps %u descriptors for swarm-netd and no more: over a restart of it, task namespaces beyond are found again by their "
                   "processes only, and their names do not answer meanwhile (FileDescriptorStoreMax=)", self->store_room + STORE_OTHERS);
  else if (had > 0 && self->unkept == 0)
    swarm_notice ("systemd keeps the descriptors of all task namespaces again");
}

/* ---- its networks, its names ---- */

static void
note_interface (const SwarmNetdRow *row, gpointer data)
{
  const void *interface = row->data;
  g_array_append_val ((GArray *) data, interface);
}

static int
by_index (gconstpointer a, gconstpointer b)
{
  const SwarmNetdInterface *const *ia = a, *const *ib = b;
  return (int) (*ia)->index - (int) (*ib)->index;
}

void
swarm_netd_box_refresh (SwarmNetdBox *box)
{
  g_autoptr (GArray) interfaces = g_array_new (FALSE, FALSE, sizeof (gpointer));
  swarm_netd_tables_each (box->plane->tables, SWARM_NETD_TYPE_INTERFACE, box->id, sizeof box->id, note_interface, interfaces);
  g_array_sort (interfaces, by_index);
  g_array_set_size (box->vnis, 0);
  box->way_out = FALSE;
  for (guint i = 0; i < interfaces->len; i++) {
    guint32 vni = g_array_index (interfaces, const SwarmNetdInterface *, i)->vni;
    if (vni != 0)
      g_array_append_val (box->vnis, vni);
    else
      box->way_out = TRUE;
  }
}

gboolean
swarm_netd_box_is_in (const SwarmNetdBox *box, guint32 vni)
{
  for (guint i = 0; i < box->vnis->len; i++)
    if (g_array_index (box->vnis, guint32, i) == vni)
      return TRUE;
  return FALSE;
}

/* The first of its networks that has the name in that family. */
static gboolean
find_name (gpointer data, const char *name, int family, GArray *addresses)
{
  SwarmNetdBox *box = data;
  gboolean is_there = FALSE;
  for (guint i = 0; i < box->vnis->len; i++) {
    guint n;
    const SwarmNetdAddress *found = swarm_netd_names_find (box->plane->names, g_array_index (box->vnis, guint32, i), name, &n);
    is_there |= found != NULL;
    for (guint k = 0; found != NULL && k < n; k++)
      if (swarm_netd_address_family (&found[k]) == family)
        g_array_append_val (addresses, found[k]);
    if (addresses->len > 0)
      break;
  }
  return is_there;
}

static void
note_resolver (const SwarmNetdRow *row, gpointer data)
{
  g_array_append_val ((GArray *) data, ((const SwarmNetdResolver *) row->data)->address);
}

static gboolean
is_loopback (const SwarmNetdAddress *address)
{
  static const SwarmNetdAddress v6 = { .bytes[15] = 1 };
  return swarm_netd_address_is_v4 (address) ? address->bytes[12] == 127 : memcmp (address, &v6, sizeof v6) == 0;
}

/* A container goes on asking those whom it asked before, from where it is: servers may know it by its address (podman's own networks have such), or be
 * reached by it alone. One that has none is as the host; what listens on the host's loopback is not there. */
static int
find_servers_of_container (SwarmNetdBox *box, GArray *servers)
{
  g_array_append_vals (servers, box->servers->data, box->servers->len);
  if (servers->len > 0)
    return box->netns;
  swarm_netd_host_servers (servers);
  for (guint i = servers->len; i > 0; i--)
    if (is_loopback (&g_array_index (servers, SwarmNetdAddress, i - 1)))
      g_array_remove_index (servers, i - 1);
  return box->netns;
}

/* Who has no way out has none by questions either. */
static int
find_servers (gpointer data, GArray *servers)
{
  SwarmNetdBox *box = data;
  if (box->attached)
    return find_servers_of_container (box, servers);
  if (!box->way_out)
    return -1;
  swarm_netd_tables_each (box->plane->tables, SWARM_NETD_TYPE_RESOLVER, box->id, sizeof box->id, note_resolver, servers);
  if (servers->len == 0)
    swarm_netd_host_servers (servers);
  return -1;
}

static const SwarmNetdResponderOps responder_ops = { find_name, find_servers };

/* ---- namespaces that we do not hold any more: systemd's descriptor store is empty after a stop. The task may be there yet, with its connections ---- */

typedef struct {
  SwarmNetdPlane *plane;
  SwarmNetdLink link; /* the task's, on this side; index 0: it has none */
} Trace;

static void
find_trace (const SwarmNetdRow *row, gpointer data)
{
  Trace *trace = data;
  SwarmNetdLink link;
  if (trace->link.index == 0 && swarm_netd_link_get (trace->plane->netlink, swarm_netd_veth_name ((const void *) row->data).str, &link, NULL) &&
      strcmp (link.kind, "veth") == 0 && link.elsewhere)
    trace->link = link;
}

/* The namespaces' numbers → a process that lives there (the first that is met). One look for all sandboxes of an apply: there may be thousands of both. */
static GHashTable *
holders (SwarmNetdPlane *self)
{
  const char *name;
  guint32 number;
  if (self->holders != NULL)
    return self->holders;
  self->holders = g_hash_table_new (NULL, NULL);
  g_autoptr (GDir) dir = g_dir_open ("/proc", 0, NULL);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    guint32 pid = g_ascii_strtoull (name, NULL, 10);
    if (pid != 0 && swarm_netd_netns_number (self->netlink, pid, -1, &number) && !g_hash_table_contains (self->holders, GUINT_TO_POINTER (number)))
      g_hash_table_insert (self->holders, GUINT_TO_POINTER (number), GUINT_TO_POINTER (pid));
  }
  return self->holders;
}

void
swarm_netd_sandbox_forget_holders (SwarmNetdPlane *self)
{
  g_clear_pointer (&self->holders, g_hash_table_unref);
}

/* -1: nobody lives there. */
static int
open_holder (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, guint32 wanted)
{
  guint32 pid = GPOINTER_TO_UINT (g_hash_table_lookup (holders (self), GUINT_TO_POINTER (wanted))), number;
  int fd = pid != 0 ? swarm_netd_netns_open_pid (pid, swarm_netd_process_start (pid), NULL) : -1;
  if (fd >= 0 && swarm_netd_netns_number (self->netlink, 0, fd, &number) && number == wanted) {
    swarm_notice ("Sandbox %s is in the namespace that process %u holds", sandbox->id.text, pid);
    return fd;
  }
  if (fd >= 0)
    close (fd);
  return -1;
}

/* The namespace in which the other end of the task's link is; -1: it is lost. */
static int
find_namespace (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox)
{
  Trace trace = { self, { 0 } };
  swarm_netd_tables_each (self->tables, SWARM_NETD_TYPE_INTERFACE, &sandbox->id, sizeof sandbox->id, find_trace, &trace);
  if (trace.link.index == 0)
    return -1;
  int fd = open_holder (self, sandbox, trace.link.elsewhere_number);
  /* The process that was met may have ended, and another one live there. */
  if (fd < 0 && g_hash_table_contains (self->holders, GUINT_TO_POINTER (trace.link.elsewhere_number))) {
    swarm_netd_sandbox_forget_holders (self);
    fd = open_holder (self, sandbox, trace.link.elsewhere_number);
  }
  if (fd < 0)
    swarm_warning ("Sandbox %s: its namespace is lost, and made anew; what runs in the old one has no network any more", sandbox->id.text);
  return fd;
}

static int
open_namespace (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, gboolean attached, GError **error)
{
  if (attached)
    return swarm_netd_netns_open_pid (sandbox->pid, sandbox->started, error);
  int fd = find_namespace (self, sandbox);
  return fd >= 0 ? fd : swarm_netd_netns_new (error);
}

/* The sockets of @box, in its namespace. */
static gboolean
open_box (SwarmNetdBox *box, GError **error)
{
  if (box->netlink == NULL && (box->netlink = swarm_netd_netlink_new_in (box->netns, error)) == NULL)
    return FALSE;
  if (box->nft != NULL && box->responder != NULL)
    return TRUE;
  box->stale = TRUE;
  if (box->nft == NULL && (box->nft = swarm_netd_nft_new (box->netns, error)) == NULL)
    return FALSE;
  int udp = box->kept[0], tcp = box->kept[1];
  box->kept[0] = box->kept[1] = -1;
  if (box->responder == NULL && (box->responder = swarm_netd_responder_new (box->netns, udp, tcp, &responder_ops, box, error)) == NULL)
    return FALSE;
  return TRUE;
}

/* fe80::/10: of which link it is meant we do not know. */
static gboolean
is_of_link (const SwarmNetdAddress *address)
{
  return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

/* Whom the container asks for names, as far as it is not us. */
static void
find_own_servers (SwarmNetdBox *box, const SwarmNetdSandbox *sandbox)
{
  g_autoptr (GArray) servers = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  SwarmNetdAddress us;
  swarm_netd_address_parse ("127.0.0.11", &us);
  swarm_netd_process_servers (sandbox->pid, sandbox->started, servers);
  for (guint i = servers->len; i > 0; i--)
    if (memcmp (&g_array_index (servers, SwarmNetdAddress, i - 1), &us, sizeof us) == 0 || is_of_link (&g_array_index (servers, SwarmNetdAddress, i - 1)))
      g_array_remove_index (servers, i - 1);
  if (servers->len == box->servers->len && (servers->len == 0 || memcmp (servers->data, box->servers->data, servers->len * sizeof us) == 0))
    return;
  g_array_set_size (box->servers, 0);
  g_array_append_vals (box->servers, servers->data, servers->len);
  box->stale = TRUE;
}

gboolean
swarm_netd_sandbox_put (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, GError **error)
{
  gboolean attached = (sandbox->flags & SWARM_NETD_SANDBOX_ATTACH) != 0;
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, sandbox->id.text);
  if (box == NULL) {
    int netns = open_namespace (self, sandbox, attached, error);
    if (netns < 0)
      return FALSE;
    box = swarm_netd_plane_add_box (self, sandbox->id.text, netns);
    store (box, 0, "netns", &box->netns, 1); /* at once: a netd that falls makes no second one */
  }
  box->attached = attached;
  box->touched = TRUE;
  if (attached)
    find_own_servers (box, sandbox);
  return open_box (box, error);
}

gboolean
swarm_netd_sandbox_delete (SwarmNetdPlane *self, const SwarmNetdSandbox *sandbox, GError **error)
{
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, sandbox->id.text);
  if (box == NULL)
    return TRUE;
  if (box->attached && box->nft != NULL) {
    swarm_netd_nft_run (box->nft, "add table inet swarm\ndelete table inet swarm\n", NULL);
    swarm_netd_idle_delete (box->nft);
  }
  unstore (box);
  return g_hash_table_remove (self->boxes, sandbox->id.text);
}

void
swarm_netd_sandbox_sweep (SwarmNetdPlane *self)
{
  GHashTableIter iter;
  SwarmNetdBox *box;
  g_hash_table_iter_init (&iter, self->boxes);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &box)) {
    if (swarm_netd_tables_find (self->tables, SWARM_NETD_TYPE_SANDBOX, box->id) != NULL)
      continue;
    unstore (box);
    g_hash_table_iter_remove (&iter);
  }
}

/* ---- interfaces ---- */

/* "swv", the sandbox's id in short (FNV-1a, 46 bits of it: names that people choose begin and end alike) and the index: the same after a restart. */
SwarmNetdLinkName
swarm_netd_veth_name (const SwarmNetdInterface *interface)
{
  SwarmNetdLinkName name;
  guint64 h = G_GUINT64_CONSTANT (0xcbf29ce484222325);
  char brief[10] = { 0 };
  for (const char *at = interface->sandbox.text; *at != '\0'; at++)
    h = (h ^ (guint8) *at) * G_GUINT64_CONSTANT (0x100000001b3);
  for (guint i = 0; i < 9; i++, h /= 36)
    brief[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[h % 36];
  snprintf (name.str, sizeof name.str, "swv%s%02x", brief, interface->index);
  return name;
}

static gboolean
fail (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, text);
  return FALSE;
}

/* Asked before it is made only: what is in use stays, whatever the host got since. */
static gboolean
may_be_here (SwarmNetdPlane *self, const SwarmNetdInterface *interface, GError **error)
{
  const char *what = interface->vni != 0 ? "its subnet" : "the subnet of this host's tasks";
  return swarm_netd_overlap_check (self, what, &interface->address4, interface->prefix4, error) &&
         swarm_netd_overlap_check (self, what, &interface->address6, interface->prefix6, error);
}

/* The bridge that the interface is in, and its MTU. */
static gboolean
get_bridge (SwarmNetdPlane *self, const SwarmNetdInterface *interface, SwarmNetdLink *bridge, GError **error)
{
  SwarmNetdLinkName name = swarm_netd_bridge_name (interface->vni);
  if (!swarm_netd_link_get (self->netlink, interface->vni == 0 ? SWARM_NETD_GATEWAY : name.str, bridge, error))
    return FALSE;
  return bridge->index != 0 || (may_be_here (self, interface, error) && fail (error, "its network has no link"));
}

/* The pair of links; made only when one end is missing, for that would cut connections. */
static gboolean
put_pair (SwarmNetdPlane *self, SwarmNetdBox *box, const SwarmNetdInterface *interface, const SwarmNetdLink *bridge, const char *inside, GError **error)
{
  SwarmNetdLinkName name = swarm_netd_veth_name (interface);
  SwarmNetdLink here, there;
  if (!swarm_netd_link_get (self->netlink, name.str, &here, error) || !swarm_netd_link_get (box->netlink, inside, &there, error))
    return FALSE;
  if (here.index != 0 && there.index != 0 && strcmp (here.kind, "veth") == 0 && memcmp (there.mac, interface->mac, 6) == 0)
    return swarm_netd_link_set (self->netlink, here.index, bridge->mtu, bridge->index, NULL, error) &&
           swarm_netd_port_isolate (self->netlink, here.index, interface->vni == 0, error);
  if (!may_be_here (self, interface, error))
    return FALSE;
  if (there.index != 0 && box->attached)
    return fail (error, "the container has another link of that name");
  if (there.index != 0 && !swarm_netd_link_delete (box->netlink, inside, error))
    return FALSE;
  return swarm_netd_veth_put (self->netlink, name.str, bridge->index, bridge->mtu, interface->vni == 0, box->netns, inside, interface->mac, error);
}

static gboolean
put_default_routes (SwarmNetdPlane *self, SwarmNetdBox *box, const SwarmNetdInterface *interface, guint index, GError **error)
{
  const SwarmNetdNode *own = swarm_netd_plane_own (self);
  SwarmNetdRoute v4 = { .via = &own->gateway4, .index = index }, v6 = { .via = &own->gateway6, .index = index };
  gboolean has4 = !swarm_netd_address_is_none (&interface->address4), has6 = !swarm_netd_address_is_none (&interface->address6);
  if ((has4 && swarm_netd_address_is_none (&own->gateway4)) || (has6 && swarm_netd_address_is_none (&own->gateway6)))
    return fail (error, "this host has no gateway address of that family");
  return (!has4 || swarm_netd_route_put (box->netlink, &v4, error)) && (!has6 || swarm_netd_route_put (box->netlink, &v6, error));
}

gboolean
swarm_netd_interface_put (SwarmNetdPlane *self, const SwarmNetdInterface *interface, GError **error)
{
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, interface->sandbox.text);
  SwarmNetdLink bridge, link;
  char inside[16];
  snprintf (inside, sizeof inside, "eth%u", interface->index);
  if (box == NULL || box->netlink == NULL)
    return fail (error, "its sandbox is not there");
  box->touched = TRUE;
  if (!get_bridge (self, interface, &bridge, error) || !put_pair (self, box, interface, &bridge, inside, error) ||
      !swarm_netd_link_get (box->netlink, inside, &link, error) || !swarm_netd_link_set (box->netlink, link.index, bridge.mtu, 0, NULL, error))
    return FALSE;
  if (!swarm_netd_address_is_none (&interface->address4) &&
      !swarm_netd_address_put (box->netlink, link.index, &interface->address4, interface->prefix4, error))
    return FALSE;
  if (!swarm_netd_address_is_none (&interface->address6) &&
      !swarm_netd_address_put (box->netlink, link.index, &interface->address6, interface->prefix6, error))
    return FALSE;
  return interface->vni != 0 || put_default_routes (self, box, interface, link.index, error);
}

gboolean
swarm_netd_interface_delete (SwarmNetdPlane *self, const SwarmNetdInterface *interface, GError **error)
{
  SwarmNetdBox *box = g_hash_table_lookup (self->boxes, interface->sandbox.text);
  if (box != NULL)
    box->touched = TRUE;
  return swarm_netd_link_delete (self->netlink, swarm_netd_veth_name (interface).str, error);
}
