// SPDX-License-Identifier: LGPL-2.1-or-later
/* The rows of one object. Each names only what is there, so that any set of rendered objects fits together. */
#include "private.h"
#include <string.h>

static gpointer
add (GPtrArray *rows, SwarmNetdType type, gsize length)
{
  OverlayRow *row = g_malloc0 (sizeof *row + length);
  row->type = type;
  row->length = length;
  g_ptr_array_add (rows, row);
  return row->data;
}

static void
set_id (SwarmNetdId *id, const char *text)
{
  g_strlcpy (id->text, text, sizeof id->text);
}

/* 02:42 and the IPv4 address, or the last bytes of the IPv6 one: the same on each host. */
static void
set_mac (guint8 mac[6], const SwarmNetdAddress *v4, const SwarmNetdAddress *v6)
{
  mac[0] = 0x02;
  mac[1] = 0x42;
  memcpy (mac + 2, (overlay_address_is_none (v4) ? v6 : v4)->bytes + 12, 4);
}

static gboolean
is_usable (const OverlayObject *node)
{
  return node != NULL && node->number != 0 && !overlay_address_is_none (&node->underlay);
}

/* This host; NULL: it has no place among the others yet, and nothing can be. */
static const OverlayObject *
own_node (OverlayModel *model)
{
  const OverlayObject *own = overlay_model_find (model, OVERLAY_NODE, model->self);
  return is_usable (own) ? own : NULL;
}

/* Why this host cannot have it; NULL: it can. swarm-netd would refuse all that comes with it. */
static const char *
problem_of (OverlayModel *model, const OverlayObject *network)
{
  if (network->mtu != 0 && network->mtu < 1280)
    return "its MTU is less than 1280";
  if (!(network->flags & SWARM_PLUGIN_NETWORK_ENCRYPTED))
    return NULL;
  if (network->flags & SWARM_PLUGIN_NETWORK_INGRESS)
    return "the network of the routing mesh cannot be encrypted";
  return model->abilities & SWARM_NETD_ENCRYPTS ? NULL : "it is encrypted, and this host has no WireGuard: neither the kernel's nor wireguard-go";
}

/* A network that this host can have; NULL: it cannot, or has not heard of it. */
static const OverlayObject *
network_of (OverlayModel *model, const char *id)
{
  const OverlayObject *network = overlay_model_find (model, OVERLAY_NETWORK, id);
  return network != NULL && network->overlay && network->vni != 0 && problem_of (model, network) == NULL ? network : NULL;
}

/* ---- IPv6 of the hosts ---- */

enum {
  PLACE_INGRESS = 0,
  PLACE_GATEWAY = 1
};

/* The managers give IPv4 addresses to gateways and in the ingress network. From each follows one of IPv6, on all hosts the same, in a prefix that is local to
 * the cluster (RFC 4193): fd53:5741:524d:PLACE::a.b.c.d. None: it has none of IPv4, or this host has no IPv6. */
static SwarmNetdAddress
six_of (OverlayModel *model, guint8 place, const SwarmNetdAddress *v4)
{
  SwarmNetdAddress six = { { 0xfd, 0x53, 0x57, 0x41, 0x52, 0x4d, 0, place } };
  if (!(model->abilities & SWARM_NETD_IPV6) || overlay_address_is_none (v4))
    return (SwarmNetdAddress){ { 0 } };
  memcpy (six.bytes + 12, v4->bytes + 12, 4);
  return six;
}

static void
set_six (OverlayModel *model, guint8 place, const SwarmNetdAddress *v4, guint prefix4, SwarmNetdAddress *six, guint8 *prefix6)
{
  if (overlay_address_is_none (six))
    *six = six_of (model, place, v4);
  if (*prefix6 == 0 && !overlay_address_is_none (six))
    *prefix6 = 96 + prefix4;
}

/* ---- nodes and networks ---- */

/* Another host's. Without them nothing can be sent to it in encrypted networks. */
static void
render_keys (const OverlayObject *node, GPtrArray *rows)
{
  static const guint8 none[sizeof node->keys[0].key];
  for (guint i = 0; i < G_N_ELEMENTS (node->keys); i++) {
    if (memcmp (node->keys[i].key, none, sizeof none) == 0)
      continue;
    SwarmNetdWireguard *row = add (rows, SWARM_NETD_TYPE_WIREGUARD, sizeof *row);
    *row = node->keys[i];
    row->node = node->number;
  }
}

/* On all hosts the same. The next one is needed, too. */
static guint16
wireguard_port (guint16 vxlan_port)
{
  gboolean free = vxlan_port != SWARM_NETD_WIREGUARD_PORT && vxlan_port != SWARM_NETD_WIREGUARD_PORT + 1;
  return free ? SWARM_NETD_WIREGUARD_PORT : 0;
}

static void
render_node (OverlayModel *model, const OverlayObject *node, GPtrArray *rows)
{
  if (!is_usable (node))
    return;
  SwarmNetdNode *row = add (rows, SWARM_NETD_TYPE_NODE, sizeof *row);
  row->node = node->number;
  row->underlay = node->underlay;
  row->gateway4 = node->gateway4;
  row->gateway6 = node->gateway6;
  row->gateway4_prefix = node->gateway4_prefix;
  row->gateway6_prefix = node->gateway6_prefix;
  row->ingress4 = node->ingress4;
  row->ingress6 = node->ingress6;
  row->ingress4_prefix = node->ingress4_prefix;
  row->ingress6_prefix = node->ingress6_prefix;
  set_six (model, PLACE_GATEWAY, &node->gateway4, node->gateway4_prefix, &row->gateway6, &row->gateway6_prefix);
  set_six (model, PLACE_INGRESS, &node->ingress4, node->ingress4_prefix, &row->ingress6, &row->ingress6_prefix);
  if (row->ingress4_prefix != 0 || row->ingress6_prefix != 0)
    set_mac (row->ingress_mac, &row->ingress4, &row->ingress6);
  if (node == own_node (model)) {
    SwarmNetdHost *host = add (rows, SWARM_NETD_TYPE_HOST, sizeof *host);
    host->node = node->number;
    host->vxlan_port = model->data_port != 0 ? model->data_port : 4789;
    host->wireguard_port = wireguard_port (host->vxlan_port);
  } else {
    render_keys (node, rows);
  }
}

static void
render_network (OverlayModel *model, const OverlayObject *network, GPtrArray *rows)
{
  const char *problem = network->overlay ? problem_of (model, network) : NULL;
  if (problem != NULL)
    g_hash_table_replace (model->problems, g_strdup (network->id), g_strdup (problem));
  if (network_of (model, network->id) == NULL)
    return;
  SwarmNetdNetwork *row = add (rows, SWARM_NETD_TYPE_NETWORK, sizeof *row);
  row->vni = network->vni;
  row->flags = (network->flags & SWARM_PLUGIN_NETWORK_INGRESS ? SWARM_NETD_NETWORK_INGRESS : 0) |
               (network->flags & SWARM_PLUGIN_NETWORK_ENCRYPTED ? SWARM_NETD_NETWORK_ENCRYPTED : 0);
  row->mtu = network->mtu;
  set_id (&row->id, network->id);
}

/* ---- names ---- */

static gboolean
is_name (const char *name)
{
  gsize n = name != NULL ? strlen (name) : 0;
  if (n == 0 || n > 253 || name[0] == '.' || name[n - 1] == '.' || strstr (name, "..") != NULL)
    return FALSE;
  return strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static void
add_name (GPtrArray *rows, guint32 vni, const char *name, const SwarmNetdAddress *address)
{
  if (!is_name (name) || overlay_address_is_none (address))
    return;
  gsize length = sizeof (SwarmNetdName) + strlen (name) + 1;
  SwarmNetdName *row = add (rows, SWARM_NETD_TYPE_NAME, (length + 7) / 8 * 8);
  row->vni = vni;
  row->address = *address;
  memcpy (row->name, name, strlen (name));
}

static void
add_names (GPtrArray *rows, guint32 vni, const char *name, const OverlayAttachment *at)
{
  add_name (rows, vni, name, &at->v4);
  add_name (rows, vni, name, &at->v6);
}

/* ---- tasks ---- */

static gboolean
is_ready (OverlayModel *model, const OverlayObject *task)
{
  const OverlayObject *node = overlay_model_find (model, OVERLAY_NODE, task->node);
  return (task->flags & SWARM_PLUGIN_TASK_READY) != 0 && (node == NULL || !(node->flags & SWARM_PLUGIN_NODE_DOWN));
}

static void
render_task (OverlayModel *model, const OverlayObject *task, GPtrArray *rows)
{
  const OverlayObject *node = overlay_model_find (model, OVERLAY_NODE, task->node), *own = own_node (model);
  for (guint i = 0; own != NULL && i < task->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (task->attachments, i);
    const OverlayObject *network = network_of (model, at->network);
    if (network == NULL || (overlay_address_is_none (&at->v4) && overlay_address_is_none (&at->v6)))
      continue;
    if (is_usable (node) && node != own) {
      SwarmNetdEndpoint *row = add (rows, SWARM_NETD_TYPE_ENDPOINT, sizeof *row);
      row->vni = network->vni;
      row->node = node->number;
      row->address4 = at->v4;
      row->address6 = at->v6;
      set_mac (row->mac, &at->v4, &at->v6);
    }
    if (!is_ready (model, task))
      continue;
    add_names (rows, network->vni, task->name, at);
    for (guint k = 0; task->service == NULL && at->aliases != NULL && at->aliases[k] != NULL; k++) /* else they are its service's */
      add_names (rows, network->vni, at->aliases[k], at);
  }
}

/* ---- services ---- */

static const OverlayAttachment *
attachment_in (const OverlayObject *object, const char *network)
{
  for (guint i = 0; i < object->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (object->attachments, i);
    if (strcmp (at->network, network) == 0)
      return at;
  }
  return NULL;
}

static void
add_backend (GPtrArray *rows, guint32 vni, const SwarmNetdAddress *address, const SwarmNetdAddress *backend, gboolean ready)
{
  if (overlay_address_is_none (address) || overlay_address_is_none (backend))
    return;
  SwarmNetdBackend *row = add (rows, SWARM_NETD_TYPE_BACKEND, sizeof *row);
  row->vni = vni;
  row->address = *address;
  row->backend = *backend;
  row->flags = ready ? 0 : SWARM_NETD_BACKEND_DRAINING;
}

static void
add_virtual (GPtrArray *rows, guint32 vni, const SwarmNetdAddress *address, guint32 flags)
{
  if (overlay_address_is_none (address))
    return;
  SwarmNetdService *row = add (rows, SWARM_NETD_TYPE_SERVICE, sizeof *row);
  row->vni = vni;
  row->address = *address;
  row->flags = flags;
}

static void
add_all_names (GPtrArray *rows, guint32 vni, const OverlayObject *service, const OverlayAttachment *service_at, const OverlayAttachment *at)
{
  add_names (rows, vni, service->name, at);
  for (guint i = 0; service_at->aliases != NULL && service_at->aliases[i] != NULL; i++)
    if (g_strcmp0 (service_at->aliases[i], service->name) != 0)
      add_names (rows, vni, service_at->aliases[i], at);
}

/* The service in one of its networks. */
static void
render_place (OverlayModel *model, const OverlayObject *service, const OverlayAttachment *at, guint32 vni, GHashTable *tasks, GPtrArray *rows)
{
  g_autofree char *tasks_name = service->name != NULL ? g_strconcat ("tasks.", service->name, NULL) : NULL;
  gboolean is_virtual = !overlay_address_is_none (&at->v4) || !overlay_address_is_none (&at->v6);
  guint32 flags = service->flags & SWARM_PLUGIN_SERVICE_AFFINITY ? SWARM_NETD_SERVICE_AFFINITY : 0;
  GHashTableIter iter;
  OverlayObject *task;
  add_virtual (rows, vni, &at->v4, flags);
  add_virtual (rows, vni, &at->v6, flags);
  if (is_virtual)
    add_all_names (rows, vni, service, at, at);
  if (tasks == NULL)
    return;
  g_hash_table_iter_init (&iter, tasks);
  while (g_hash_table_iter_next (&iter, (gpointer *) &task, NULL)) {
    const OverlayAttachment *there = task->kind == OVERLAY_TASK ? attachment_in (task, at->network) : NULL;
    if (there == NULL)
      continue;
    gboolean ready = is_ready (model, task);
    add_backend (rows, vni, &at->v4, &there->v4, ready);
    add_backend (rows, vni, &at->v6, &there->v6, ready);
    if (!ready)
      continue;
    add_names (rows, vni, tasks_name, there);
    if (!is_virtual)
      add_all_names (rows, vni, service, at, there);
  }
}

static void
add_published (GPtrArray *rows, const OverlayPort *port, guint32 flags)
{
  SwarmNetdPort *row = add (rows, SWARM_NETD_TYPE_PORT, sizeof *row);
  row->port = port->published;
  row->protocol = port->protocol;
  row->flags = flags;
}

static void
add_published_at (GPtrArray *rows, const OverlayPort *port, const SwarmNetdAddress *backend, gboolean ready)
{
  if (overlay_address_is_none (backend))
    return;
  SwarmNetdPortBackend *row = add (rows, SWARM_NETD_TYPE_PORT_BACKEND, sizeof *row);
  row->port = port->published;
  row->protocol = port->protocol;
  row->backend = *backend;
  row->target = port->target;
  row->flags = ready ? 0 : SWARM_NETD_BACKEND_DRAINING;
}

static void
add_published_backend (OverlayModel *model, GPtrArray *rows, const OverlayPort *port, const SwarmNetdAddress *gateway4, gboolean ready)
{
  SwarmNetdAddress gateway6 = six_of (model, PLACE_GATEWAY, gateway4);
  add_published_at (rows, port, gateway4, ready);
  add_published_at (rows, port, &gateway6, ready);
}

static void
render_service (OverlayModel *model, const OverlayObject *service, GPtrArray *rows)
{
  GHashTable *tasks = overlay_model_mentions (model, service->id);
  if (own_node (model) == NULL)
    return;
  for (guint i = 0; i < service->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (service->attachments, i);
    const OverlayObject *network = network_of (model, at->network);
    if (network != NULL)
      render_place (model, service, at, network->vni, tasks, rows);
  }
  for (guint i = 0; i < service->ports->len; i++) {
    const OverlayPort *port = &g_array_index (service->ports, OverlayPort, i);
    GHashTableIter iter;
    OverlayObject *task;
    add_published (rows, port, service->flags & SWARM_PLUGIN_SERVICE_AFFINITY ? SWARM_NETD_SERVICE_AFFINITY : 0);
    if (tasks == NULL)
      continue;
    g_hash_table_iter_init (&iter, tasks);
    while (g_hash_table_iter_next (&iter, (gpointer *) &task, NULL))
      if (task->kind == OVERLAY_TASK)
        add_published_backend (model, rows, port, &task->gateway4, is_ready (model, task));
  }
}

/* ---- a task's place on this host ---- */

/* Not when all that it has is internal. */
static gboolean
has_way_out (OverlayModel *model, const OverlayObject *local)
{
  gboolean internal = local->attachments->len > 0;
  for (guint i = 0; i < local->attachments->len; i++) {
    const OverlayObject *network = overlay_model_find (model, OVERLAY_NETWORK, ((OverlayAttachment *) g_ptr_array_index (local->attachments, i))->network);
    internal = internal && network != NULL && (network->flags & SWARM_PLUGIN_NETWORK_INTERNAL);
  }
  return !internal && !overlay_address_is_none (&local->gateway4);
}

static void
add_interface (GPtrArray *rows, const char *sandbox, guint32 vni, guint index, const OverlayAttachment *at)
{
  SwarmNetdInterface *row = add (rows, SWARM_NETD_TYPE_INTERFACE, sizeof *row);
  set_id (&row->sandbox, sandbox);
  row->vni = vni;
  row->index = index;
  row->prefix4 = at->prefix4;
  row->prefix6 = at->prefix6;
  row->address4 = at->v4;
  row->address6 = at->v6;
  set_mac (row->mac, &at->v4, &at->v6);
}

static void
add_resolvers (GPtrArray *rows, const OverlayObject *local)
{
  for (guint i = 0; i < local->servers->len; i++) {
    SwarmNetdResolver *row = add (rows, SWARM_NETD_TYPE_RESOLVER, sizeof *row);
    set_id (&row->sandbox, local->sandbox);
    row->index = i;
    row->address = g_array_index (local->servers, SwarmNetdAddress, i);
  }
}

char *
overlay_obstacle (OverlayModel *model, const OverlayObject *local)
{
  if (model->self == NULL)
    return g_strdup ("no manager has told of the networks yet");
  if (own_node (model) == NULL)
    return g_strdup ("this host has no place in the cluster's network yet");
  for (guint i = 0; i < local->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (local->attachments, i);
    const char *problem = g_hash_table_lookup (model->problems, at->network);
    const OverlayObject *network = overlay_model_find (model, OVERLAY_NETWORK, at->network);
    if (problem != NULL)
      return g_strdup_printf ("network %s: %s", network != NULL && network->name != NULL ? network->name : at->network, problem);
    if (network_of (model, at->network) == NULL)
      return g_strdup_printf ("network %s is not known here yet", at->network);
    if (overlay_address_is_none (&at->v4) && overlay_address_is_none (&at->v6))
      return g_strdup_printf ("it has no address in network %s", network->name != NULL ? network->name : at->network);
  }
  return NULL;
}

static void
render_local (OverlayModel *model, const OverlayObject *local, GPtrArray *rows)
{
  g_autofree char *obstacle = overlay_obstacle (model, local);
  guint index = local->interface;
  if (obstacle != NULL)
    return;
  SwarmNetdSandbox *sandbox = add (rows, SWARM_NETD_TYPE_SANDBOX, sizeof *sandbox);
  set_id (&sandbox->id, local->sandbox);
  sandbox->flags = local->pid != 0 ? SWARM_NETD_SANDBOX_ATTACH : 0;
  sandbox->pid = local->pid;
  sandbox->started = local->started;
  for (guint i = 0; i < local->attachments->len; i++) {
    const OverlayAttachment *at = g_ptr_array_index (local->attachments, i);
    add_interface (rows, local->sandbox, network_of (model, at->network)->vni, index++, at);
  }
  add_resolvers (rows, local);
  if (!has_way_out (model, local))
    return;
  OverlayAttachment out = { .v4 = local->gateway4, .prefix4 = local->gateway4_prefix, .v6 = six_of (model, PLACE_GATEWAY, &local->gateway4) };
  out.prefix6 = overlay_address_is_none (&out.v6) ? 0 : 96 + out.prefix4;
  add_interface (rows, local->sandbox, 0, index, &out);
  for (guint i = 0; i < local->ports->len; i++) { /* of mode host */
    const OverlayPort *port = &g_array_index (local->ports, OverlayPort, i);
    add_published (rows, port, 0);
    add_published_backend (model, rows, port, &local->gateway4, TRUE);
  }
}

GPtrArray *
overlay_render (OverlayModel *model, OverlayObject *object)
{
  GPtrArray *rows = g_ptr_array_new_with_free_func (g_free);
  g_hash_table_remove (model->problems, object->id);
  if (own_node (model) == NULL)
    return rows; /* swarm-netd takes nothing without its host */
  switch (object->kind) {
  case OVERLAY_NODE:
    render_node (model, object, rows);
    break;
  case OVERLAY_NETWORK:
    render_network (model, object, rows);
    break;
  case OVERLAY_SERVICE:
    render_service (model, object, rows);
    break;
  case OVERLAY_TASK:
    render_task (model, object, rows);
    break;
  case OVERLAY_LOCAL:
    render_local (model, object, rows);
    break;
  case OVERLAY_N_KINDS:
    break;
  }
  return rows;
}
