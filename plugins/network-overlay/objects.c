// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the manager told, and who mentions whom: a change of one object renders it and what names it anew, and nothing else. */
#include "private.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS_MAX 16 /* swarm-netd takes no more */
#define SANDBOX_DIGITS 24 /* of a container's id: what fits into a SwarmNetdId, and no task's id is as short */

gboolean
overlay_address_is_none (const SwarmNetdAddress *address)
{
  static const SwarmNetdAddress none;
  return memcmp (address, &none, sizeof none) == 0;
}

gboolean
overlay_address_is_v4 (const SwarmNetdAddress *address)
{
  static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };
  return memcmp (address->bytes, mapped, sizeof mapped) == 0;
}

gboolean
overlay_address_parse (const char *text, SwarmNetdAddress *address, guint *prefix)
{
  memset (address, 0, sizeof *address);
  if (text == NULL)
    return FALSE;
  const char *slash = strchr (text, '/');
  g_autofree char *plain = slash != NULL ? g_strndup (text, slash - text) : g_strdup (text);
  if ((slash != NULL) != (prefix != NULL))
    return FALSE;
  gboolean v4 = strchr (plain, ':') == NULL;
  if (inet_pton (v4 ? AF_INET : AF_INET6, plain, address->bytes + (v4 ? 12 : 0)) != 1)
    return FALSE;
  if (v4)
    address->bytes[10] = address->bytes[11] = 0xff;
  if (prefix == NULL)
    return TRUE;
  guint64 bits;
  return g_ascii_string_to_unsigned (slash + 1, 10, 1, v4 ? 32 : 128, &bits, NULL) && (*prefix = bits, TRUE);
}

/* ---- one object ---- */

static void
attachment_free (gpointer data)
{
  OverlayAttachment *attachment = data;
  g_free (attachment->network);
  g_free (attachment->driver);
  g_strfreev (attachment->aliases);
  g_free (attachment);
}

static OverlayObject *
object_new (OverlayKind kind, const char *id)
{
  OverlayObject *self = g_new0 (OverlayObject, 1);
  self->kind = kind;
  self->id = g_strdup (id);
  self->attachments = g_ptr_array_new_with_free_func (attachment_free);
  self->ports = g_array_new (FALSE, FALSE, sizeof (OverlayPort));
  self->servers = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  return self;
}

static void
object_free (gpointer data)
{
  OverlayObject *self = data;
  g_free (self->id);
  g_free (self->name);
  g_free (self->service);
  g_free (self->node);
  g_free (self->sandbox);
  g_ptr_array_unref (self->attachments);
  g_array_unref (self->ports);
  g_array_unref (self->servers);
  g_clear_pointer (&self->rows, g_ptr_array_unref);
  g_free (self);
}

static char *
lower (const char *text)
{
  return text != NULL ? g_ascii_strdown (text, -1) : NULL;
}

static void
add_attachment (OverlayObject *self, const SwarmPluginAttachment *from)
{
  OverlayAttachment *to = g_new0 (OverlayAttachment, 1);
  to->network = g_strdup (from->network_id);
  to->driver = g_strdup (from->driver);
  to->aliases = g_strdupv ((char **) from->aliases);
  for (guint i = 0; to->aliases != NULL && to->aliases[i] != NULL; i++) {
    char *small = lower (to->aliases[i]);
    g_free (to->aliases[i]);
    to->aliases[i] = small;
  }
  for (guint i = 0; from->addresses != NULL && from->addresses[i] != NULL; i++) {
    SwarmNetdAddress address;
    guint prefix;
    if (!overlay_address_parse (from->addresses[i], &address, &prefix))
      continue;
    if (overlay_address_is_v4 (&address)) {
      to->v4 = address;
      to->prefix4 = prefix;
    } else {
      to->v6 = address;
      to->prefix6 = prefix;
    }
  }
  g_ptr_array_add (self->attachments, to);
}

static void
add_attachments (OverlayObject *self, const SwarmPluginAttachment *from, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (from[i].network_id != NULL)
      add_attachment (self, &from[i]);
}

static void
add_port (OverlayObject *self, guint32 protocol, guint16 target, guint16 published)
{
  static const guint8 protocols[] = { 6, 17, 132 };
  OverlayPort port = { protocols[MIN (protocol, 2)], target, published };
  if (published != 0 && target != 0)
    g_array_append_val (self->ports, port);
}

/* ---- the model ---- */

OverlayModel *
overlay_model_new (void)
{
  OverlayModel *self = g_new0 (OverlayModel, 1);
  for (guint kind = 0; kind < OVERLAY_N_KINDS; kind++)
    self->by_id[kind] = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, object_free);
  self->mentions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_hash_table_unref);
  self->dirty = g_ptr_array_new ();
  self->table = overlay_table_new ();
  self->problems = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return self;
}

void
overlay_model_free (OverlayModel *self)
{
  g_ptr_array_unref (self->dirty);
  g_hash_table_unref (self->mentions);
  overlay_table_free (self->table);
  for (guint kind = 0; kind < OVERLAY_N_KINDS; kind++)
    g_hash_table_unref (self->by_id[kind]);
  g_hash_table_unref (self->problems);
  g_free (self->self);
  g_free (self);
}

OverlayObject *
overlay_model_find (OverlayModel *self, OverlayKind kind, const char *id)
{
  return id != NULL ? g_hash_table_lookup (self->by_id[kind], id) : NULL;
}

GHashTable *
overlay_model_mentions (OverlayModel *self, const char *id)
{
  return g_hash_table_lookup (self->mentions, id);
}

static void
mention (OverlayModel *self, const char *id, OverlayObject *by, gboolean add)
{
  if (id == NULL)
    return;
  GHashTable *set = g_hash_table_lookup (self->mentions, id);
  if (set == NULL && !add)
    return;
  if (set == NULL) {
    set = g_hash_table_new (NULL, NULL);
    g_hash_table_insert (self->mentions, g_strdup (id), set);
  }
  if (add)
    g_hash_table_add (set, by);
  else if (g_hash_table_remove (set, by) && g_hash_table_size (set) == 0)
    g_hash_table_remove (self->mentions, id);
}

static void
mention_all (OverlayModel *self, OverlayObject *by, gboolean add)
{
  mention (self, by->service, by, add);
  mention (self, by->node, by, add);
  for (guint i = 0; i < by->attachments->len; i++)
    mention (self, ((OverlayAttachment *) g_ptr_array_index (by->attachments, i))->network, by, add);
}

static void
mark (OverlayModel *self, OverlayObject *object)
{
  if (object == NULL || object->dirty != 0)
    return;
  g_ptr_array_add (self->dirty, object);
  object->dirty = self->dirty->len;
}

/* @object appeared, changed or is about to go. */
static void
mark_around (OverlayModel *self, OverlayObject *object)
{
  GHashTable *by = overlay_model_mentions (self, object->id);
  GHashTableIter iter;
  OverlayObject *other;
  mark (self, object);
  if (object->kind == OVERLAY_TASK)
    mark (self, overlay_model_find (self, OVERLAY_SERVICE, object->service));
  if (by == NULL)
    return;
  g_hash_table_iter_init (&iter, by);
  while (g_hash_table_iter_next (&iter, (gpointer *) &other, NULL)) {
    mark (self, other);
    if (other->kind == OVERLAY_TASK)
      mark (self, overlay_model_find (self, OVERLAY_SERVICE, other->service));
  }
}

static void
withdraw_rows (OverlayModel *self, OverlayObject *object)
{
  for (guint i = 0; object->rows != NULL && i < object->rows->len; i++)
    overlay_table_withdraw (self->table, g_ptr_array_index (object->rows, i));
  g_clear_pointer (&object->rows, g_ptr_array_unref);
}

static void
mark_everything (OverlayModel *self)
{
  for (guint kind = 0; kind < OVERLAY_N_KINDS; kind++) {
    GHashTableIter iter;
    OverlayObject *object;
    g_hash_table_iter_init (&iter, self->by_id[kind]);
    while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &object))
      mark (self, object);
  }
}

void
overlay_model_set_abilities (OverlayModel *self, guint32 flags)
{
  guint32 abilities = flags & (SWARM_NETD_ENCRYPTS | SWARM_NETD_IPV6);
  if (self->abilities == abilities)
    return;
  self->abilities = abilities;
  mark_everything (self);
}

/* Without this host's own place nothing is there. */
static void
mark_all_that_depends (OverlayModel *self, OverlayObject *object)
{
  if (object->kind == OVERLAY_NODE && g_strcmp0 (object->id, self->self) == 0)
    mark_everything (self);
  else
    mark_around (self, object);
}

static void
take_away (OverlayModel *self, OverlayKind kind, const char *id)
{
  OverlayObject *object = overlay_model_find (self, kind, id);
  if (object == NULL)
    return;
  mark_all_that_depends (self, object);
  mention_all (self, object, FALSE);
  withdraw_rows (self, object);
  if (object->dirty != 0) /* not looked for: many may go at once */
    self->dirty->pdata[object->dirty - 1] = NULL;
  g_hash_table_remove (self->problems, object->id);
  g_hash_table_remove (self->by_id[kind], object->id);
}

static gboolean
attachments_equal (const OverlayObject *a, const OverlayObject *b)
{
  if (a->attachments->len != b->attachments->len)
    return FALSE;
  for (guint i = 0; i < a->attachments->len; i++) {
    const OverlayAttachment *x = g_ptr_array_index (a->attachments, i), *y = g_ptr_array_index (b->attachments, i);
    const char *const *none = (const char *const[]){ NULL };
    if (strcmp (x->network, y->network) != 0 || g_strcmp0 (x->driver, y->driver) != 0 || memcmp (&x->v4, &y->v4, 16) != 0 || memcmp (&x->v6, &y->v6, 16) != 0 ||
        x->prefix4 != y->prefix4 || x->prefix6 != y->prefix6 ||
        !g_strv_equal (x->aliases != NULL ? (const char *const *) x->aliases : none, y->aliases != NULL ? (const char *const *) y->aliases : none))
      return FALSE;
  }
  return TRUE;
}

static gboolean
ports_equal (const OverlayObject *a, const OverlayObject *b)
{
  if (a->ports->len != b->ports->len)
    return FALSE;
  for (guint i = 0; i < a->ports->len; i++) {
    const OverlayPort *x = &g_array_index (a->ports, OverlayPort, i), *y = &g_array_index (b->ports, OverlayPort, i);
    if (x->protocol != y->protocol || x->target != y->target || x->published != y->published)
      return FALSE;
  }
  return TRUE;
}

static gboolean
objects_equal (const OverlayObject *a, const OverlayObject *b)
{
  gsize from = G_STRUCT_OFFSET (OverlayObject, underlay), to = G_STRUCT_OFFSET (OverlayObject, attachments);
  if (g_strcmp0 (a->sandbox, b->sandbox) != 0 || a->pid != b->pid || a->started != b->started || a->interface != b->interface)
    return FALSE;
  return g_strcmp0 (a->name, b->name) == 0 && g_strcmp0 (a->service, b->service) == 0 && g_strcmp0 (a->node, b->node) == 0 && a->number == b->number &&
         a->flags == b->flags && a->vni == b->vni && a->mtu == b->mtu && a->overlay == b->overlay &&
         memcmp ((const char *) a + from, (const char *) b + from, to - from) == 0 && attachments_equal (a, b) && ports_equal (a, b);
}

/* Takes @object. */
static void
put (OverlayModel *self, OverlayObject *object)
{
  OverlayObject *old = overlay_model_find (self, object->kind, object->id);
  if (old != NULL && objects_equal (old, object)) {
    old->implied = FALSE;
    object_free (object);
    return;
  }
  if (old != NULL)
    take_away (self, object->kind, object->id);
  g_hash_table_insert (self->by_id[object->kind], object->id, object);
  mention_all (self, object, TRUE);
  mark_all_that_depends (self, object);
}

/* ---- the picture ---- */

static void
add_keys (OverlayObject *object, const SwarmPluginNetworkKey *keys, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (keys[i].slot >= G_N_ELEMENTS (object->keys))
      continue;
    SwarmNetdWireguard *key = &object->keys[keys[i].slot];
    key->slot = keys[i].slot;
    key->flags = keys[i].flags & 1 ? SWARM_NETD_WIREGUARD_NEWEST : 0;
    memcpy (key->key, keys[i].key, sizeof key->key);
  }
}

static void
put_node (OverlayModel *self, const SwarmPluginNetNode *node)
{
  OverlayObject *object = object_new (OVERLAY_NODE, node->id);
  object->number = node->number;
  object->flags = node->flags;
  overlay_address_parse (node->address, &object->underlay, NULL);
  overlay_address_parse (node->gateway_address, &object->gateway4, &object->gateway4_prefix);
  overlay_address_parse (node->gateway_address6, &object->gateway6, &object->gateway6_prefix);
  overlay_address_parse (node->ingress_address, &object->ingress4, &object->ingress4_prefix);
  overlay_address_parse (node->ingress_address6, &object->ingress6, &object->ingress6_prefix);
  add_keys (object, node->keys, node->n_keys);
  put (self, object);
}

static void
put_network (OverlayModel *self, const SwarmPluginNetwork *network)
{
  OverlayObject *object = object_new (OVERLAY_NETWORK, network->id);
  object->name = g_strdup (network->name);
  object->vni = network->vni;
  object->flags = network->flags;
  object->mtu = network->mtu;
  object->overlay = network->driver == NULL || strcmp (network->driver, "overlay") == 0;
  put (self, object);
}

static void
put_service (OverlayModel *self, const SwarmPluginService *service)
{
  OverlayObject *object = object_new (OVERLAY_SERVICE, service->id);
  object->name = lower (service->name);
  object->flags = service->flags;
  add_attachments (object, service->networks, service->n_networks);
  for (size_t i = 0; i < service->n_ports; i++)
    add_port (object, service->ports[i].protocol, service->ports[i].target, service->ports[i].published);
  put (self, object);
}

static void
put_task (OverlayModel *self, const SwarmPluginNetTask *task)
{
  OverlayObject *object = object_new (OVERLAY_TASK, task->id);
  object->name = lower (task->name);
  object->service = g_strdup (task->service_id);
  object->node = g_strdup (task->node_id);
  object->flags = task->flags;
  add_attachments (object, task->networks, task->n_networks);
  overlay_address_parse (task->gateway_address, &object->gateway4, &object->gateway4_prefix);
  put (self, object);
}

/* A task went from the picture: its place too, when it is known from there only. */
static void
remove_implied (OverlayModel *self, const char *id)
{
  OverlayObject *local = overlay_model_find (self, OVERLAY_LOCAL, id);
  if (local != NULL && local->implied)
    take_away (self, OVERLAY_LOCAL, id);
}

static void
remove_each (OverlayModel *self, OverlayKind kind, const char *const *ids)
{
  for (guint i = 0; ids != NULL && ids[i] != NULL; i++) {
    take_away (self, kind, ids[i]);
    if (kind == OVERLAY_TASK)
      remove_implied (self, ids[i]);
  }
}

/* What a whole picture has not. */
static void
remove_others (OverlayModel *self, OverlayKind kind, GHashTable *there)
{
  g_autoptr (GPtrArray) others = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->by_id[kind]);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    if (!g_hash_table_contains (there, id))
      g_ptr_array_add (others, g_strdup (id));
  for (guint i = 0; i < others->len; i++) {
    take_away (self, kind, g_ptr_array_index (others, i));
    if (kind == OVERLAY_TASK)
      remove_implied (self, g_ptr_array_index (others, i));
  }
}

#define FORGET_OTHERS(kind, list, n) \
  do { \
    g_autoptr (GHashTable) there = g_hash_table_new (g_str_hash, g_str_equal); \
    for (size_t i = 0; i < (n); i++) \
      g_hash_table_add (there, (gpointer) (list)[i].id); \
    remove_others (self, kind, there); \
  } while (0)

OverlayObject *
overlay_model_find_vni (OverlayModel *self, guint32 vni)
{
  GHashTableIter iter;
  OverlayObject *network;
  g_hash_table_iter_init (&iter, self->by_id[OVERLAY_NETWORK]);
  while (vni != 0 && g_hash_table_iter_next (&iter, NULL, (gpointer *) &network))
    if (network->vni == vni)
      return network;
  return NULL;
}

void
overlay_model_picture (OverlayModel *self, const SwarmPluginPicture *picture)
{
  if (g_strcmp0 (self->self, picture->node_id) != 0 || self->data_port != picture->data_port) {
    g_free (self->self);
    self->self = g_strdup (picture->node_id);
    self->data_port = picture->data_port;
    mark_everything (self);
  }
  if (picture->flags & SWARM_PLUGIN_PICTURE_WHOLE) {
    FORGET_OTHERS (OVERLAY_NODE, picture->nodes, picture->n_nodes);
    FORGET_OTHERS (OVERLAY_NETWORK, picture->networks, picture->n_networks);
    FORGET_OTHERS (OVERLAY_SERVICE, picture->services, picture->n_services);
    FORGET_OTHERS (OVERLAY_TASK, picture->tasks, picture->n_tasks);
  }
  remove_each (self, OVERLAY_NODE, picture->removed_nodes);
  remove_each (self, OVERLAY_NETWORK, picture->removed_networks);
  remove_each (self, OVERLAY_SERVICE, picture->removed_services);
  remove_each (self, OVERLAY_TASK, picture->removed_tasks);
  for (size_t i = 0; i < picture->n_nodes; i++)
    put_node (self, &picture->nodes[i]);
  for (size_t i = 0; i < picture->n_networks; i++)
    put_network (self, &picture->networks[i]);
  for (size_t i = 0; i < picture->n_services; i++)
    put_service (self, &picture->services[i]);
  for (size_t i = 0; i < picture->n_tasks; i++)
    put_task (self, &picture->tasks[i]);
}

static void
add_servers (OverlayObject *self, const char *const *servers)
{
  SwarmNetdAddress address;
  for (guint i = 0; servers != NULL && servers[i] != NULL && self->servers->len < SERVERS_MAX; i++)
    if (overlay_address_parse (servers[i], &address, NULL))
      g_array_append_val (self->servers, address);
}

void
overlay_model_put_local (OverlayModel *self, const SwarmPluginTask *task)
{
  OverlayObject *object = object_new (OVERLAY_LOCAL, task->id);
  object->node = g_strdup (task->node_id); /* so that a change of this node is one of its tasks' places */
  object->sandbox = task->container_id != NULL ? g_strndup (task->container_id, SANDBOX_DIGITS) : g_strdup (task->id);
  object->pid = task->attach_pid;
  object->started = task->attach_started;
  object->interface = task->interface;
  add_attachments (object, task->networks, task->n_networks);
  overlay_address_parse (task->gateway_address, &object->gateway4, &object->gateway4_prefix);
  for (size_t i = 0; i < task->n_ports; i++)
    add_port (object, task->ports[i].protocol, task->ports[i].target, task->ports[i].published);
  add_servers (object, task->dns);
  put (self, object);
}

/* An agent that comes back finds tasks that run: what the picture says of them is their place, until they are attached again. */
void
overlay_model_imply_locals (OverlayModel *self, const SwarmPluginPicture *picture)
{
  for (size_t i = 0; i < picture->n_tasks; i++) {
    const SwarmPluginNetTask *from = &picture->tasks[i];
    if (from->service_id == NULL) /* a container that is no task: the agent knows which process it is, nobody else does */
      continue;
    if (g_strcmp0 (from->node_id, self->self) != 0 || overlay_model_find (self, OVERLAY_LOCAL, from->id) != NULL)
      continue;
    SwarmPluginTask task = { .id = from->id, .node_id = from->node_id, .networks = from->networks, .n_networks = from->n_networks,
                             .gateway_address = from->gateway_address };
    overlay_model_put_local (self, &task);
    overlay_model_find (self, OVERLAY_LOCAL, from->id)->implied = TRUE;
  }
}

gboolean
overlay_model_has_former (OverlayModel *self, const SwarmPluginTask *task)
{
  GHashTableIter iter;
  OverlayObject *local;
  g_hash_table_iter_init (&iter, self->by_id[OVERLAY_LOCAL]);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &local))
    if (local->pid != 0 && strcmp (local->id, task->id) != 0 && strncmp (local->sandbox, task->container_id, SANDBOX_DIGITS) == 0
        && (local->pid != task->attach_pid || local->started != task->attach_started))
      return TRUE;
  return FALSE;
}

void
overlay_model_remove_local (OverlayModel *self, const char *id)
{
  take_away (self, OVERLAY_LOCAL, id);
}

void
overlay_model_render (OverlayModel *self)
{
  for (guint i = 0; i < self->dirty->len; i++) {
    OverlayObject *object = g_ptr_array_index (self->dirty, i);
    if (object == NULL)
      continue; /* it went */
    GPtrArray *rows = overlay_render (self, object);
    for (guint k = 0; k < rows->len; k++)
      overlay_table_want (self->table, g_ptr_array_index (rows, k));
    withdraw_rows (self, object);
    object->rows = rows;
    object->dirty = 0;
  }
  g_ptr_array_set_size (self->dirty, 0);
}
