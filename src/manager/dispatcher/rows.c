// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/rows.h"

/* ---- what of an object matters ---- */

static gboolean
is_overlay (const SwarmNetworkAttachment *attachment)
{
  return attachment->addresses != NULL && attachment->addresses->len > 0;
}

/* It has a node, and may be there. */
static gboolean
is_somewhere (const SwarmTask *task)
{
  return !swarm_id_is_nil (&task->node_id) && task->status->state >= SWARM_TASK_ASSIGNED && swarm_task_holds_addresses (task);
}

static gboolean
is_of_mesh (const SwarmTask *task)
{
  return swarm_endpoint_spec_has_ingress (task->endpoint);
}

gboolean
swarm_rows_may_have (const SwarmTask *task)
{
  return task->networks != NULL || is_of_mesh (task);
}

gboolean
swarm_rows_has_id (const GArray *ids, const SwarmId *id)
{
  for (guint i = 0; i < ids->len; i++) {
    if (swarm_id_equal (&g_array_index (ids, SwarmId, i), id))
      return TRUE;
  }
  return FALSE;
}

static void
add_once (GArray *ids, const SwarmId *id)
{
  if (!swarm_rows_has_id (ids, id))
    g_array_append_vals (ids, id, 1);
}

GArray *
swarm_rows_task_nets (const SwarmTask *task)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  if (task == NULL || !is_somewhere (task))
    return ids;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    if (is_overlay (attachment))
      add_once (ids, &attachment->network);
  }
  if (is_of_mesh (task))
    add_once (ids, &SWARM_ID_NIL);
  return ids;
}

static gboolean
has_mesh_port (const SwarmService *service)
{
  const GPtrArray *ports = service->endpoint != NULL ? service->endpoint->ports : NULL;
  for (guint i = 0; ports != NULL && i < ports->len; i++) {
    if (((const SwarmPortConfig *) g_ptr_array_index (ports, i))->publish_mode == SWARM_PUBLISH_INGRESS)
      return TRUE;
  }
  return FALSE;
}

/* Those it has addresses in, and those that it asks for: without virtual addresses it has names there all the same. */
GArray *
swarm_rows_service_nets (const SwarmService *service)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  if (service == NULL)
    return ids;
  const GPtrArray *addresses = service->endpoint != NULL ? service->endpoint->virtual_ips : NULL;
  const GPtrArray *asked = service->spec->task != NULL ? service->spec->task->networks : NULL;
  SwarmId id;
  for (guint i = 0; addresses != NULL && i < addresses->len; i++)
    add_once (ids, &((const SwarmVirtualIP *) g_ptr_array_index (addresses, i))->network);
  for (guint i = 0; asked != NULL && i < asked->len; i++) {
    if (swarm_id_parse (((const SwarmNetworkAttachmentConfig *) g_ptr_array_index (asked, i))->target, &id))
      add_once (ids, &id);
  }
  if (has_mesh_port (service))
    add_once (ids, &SWARM_ID_NIL);
  return ids;
}

gboolean
swarm_rows_same_task (const SwarmTask *a, const SwarmTask *b)
{
  return swarm_task_is_ready (a) == swarm_task_is_ready (b) && is_somewhere (a) == is_somewhere (b) && swarm_id_equal (&a->node_id, &b->node_id)
         && g_strcmp0 (a->gateway_address, b->gateway_address) == 0;
}

static gboolean
is_down (const SwarmNode *node)
{
  return node->status->state == SWARM_NODE_DOWN;
}

static const GPtrArray *
keys_of (const SwarmNode *node)
{
  const GPtrArray *keys = node->description != NULL ? node->description->network_keys : NULL;
  return keys != NULL && keys->len > 0 ? keys : NULL;
}

static gboolean
same_keys (const GPtrArray *a, const GPtrArray *b)
{
  if (a == b)
    return TRUE;
  if (a == NULL || b == NULL || a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++) {
    if (!swarm_message_equal (a->pdata[i], b->pdata[i]))
      return FALSE;
  }
  return TRUE;
}

gboolean
swarm_rows_same_node (const SwarmNode *a, const SwarmNode *b)
{
  return is_down (a) == is_down (b) && g_strcmp0 (a->status->addr, b->status->addr) == 0
         && (a->network == b->network || swarm_message_equal (a->network, b->network)) && same_keys (keys_of (a), keys_of (b));
}

/* ---- who sees what ---- */

/* @network nil: the routing mesh. */
static gboolean
sees (const SwarmViewer *viewer, const SwarmId *network)
{
  for (guint i = 0; viewer->nets != NULL && i < viewer->nets->len; i++) {
    if (swarm_id_equal (&((const SwarmNet *) g_ptr_array_index (viewer->nets, i))->id, network))
      return TRUE;
  }
  return FALSE;
}

gboolean
swarm_rows_is_encrypted (SwarmStore *store, const SwarmId *network)
{
  const SwarmNetwork *object = swarm_store_get (store, SWARM_KIND_NETWORK, network);
  return object != NULL && swarm_network_spec_is_encrypted (object->spec);
}

gboolean
swarm_rows_node_has_keys (const SwarmNode *node)
{
  return node != NULL && keys_of (node) != NULL;
}

typedef struct {
  gboolean meets;  /* they see a network, or the mesh, both */
  gboolean mesh;   /* the mesh */
  gboolean secret; /* an encrypted network */
} Meeting;

static Meeting
meet (const SwarmViewer *viewer, const SwarmId *other)
{
  Meeting meeting = { FALSE, FALSE, FALSE };
  for (guint i = 0; viewer->nets != NULL && i < viewer->nets->len; i++) {
    const SwarmNet *net = g_ptr_array_index (viewer->nets, i);
    if (!g_hash_table_contains (net->viewers, other))
      continue;
    meeting.meets = TRUE;
    meeting.mesh |= swarm_id_is_nil (&net->id);
    meeting.secret |= swarm_rows_is_encrypted (viewer->store, &net->id);
  }
  return meeting;
}

/* ---- rows ---- */

static GPtrArray *
copy_keys (const GPtrArray *keys)
{
  GPtrArray *copy = swarm_messages_new ();
  for (guint i = 0; i < keys->len; i++)
    g_ptr_array_add (copy, swarm_network_key_ref (keys->pdata[i]));
  return copy;
}

static gpointer
row_of_node (const SwarmViewer *viewer, const SwarmNode *node)
{
  gboolean own = swarm_id_equal (&viewer->node, &node->object.id);
  Meeting meeting = meet (viewer, &node->object.id);
  if (node->network == NULL || node->network->number == 0 || !meeting.meets)
    return NULL;
  SwarmPictureNode *row = swarm_picture_node_new ();
  row->id = node->object.id;
  row->number = node->network->number;
  row->addr = g_strdup (node->status->addr);
  row->down = is_down (node);
  if (own || meeting.mesh) {
    row->gateway = g_strdup (node->network->gateway);
    row->ingress_address = g_strdup (node->network->ingress_address);
  }
  if (!own && meeting.secret && keys_of (node) != NULL)
    row->keys = copy_keys (keys_of (node));
  return row;
}

static SwarmPictureNetwork *
make_network (const SwarmNetwork *network)
{
  SwarmPictureNetwork *row = swarm_picture_network_new ();
  row->id = network->object.id;
  row->name = g_strdup (network->spec->name);
  row->driver = g_strdup (network->spec->driver);
  row->vni = network->vni;
  row->mtu = swarm_network_spec_mtu (network->spec);
  row->ingress = network->spec->ingress;
  row->internal = network->spec->internal;
  row->encrypted = swarm_network_spec_is_encrypted (network->spec);
  row->subnets = swarm_strings_new ();
  for (guint i = 0; network->ipam != NULL && network->ipam->config != NULL && i < network->ipam->config->len; i++)
    g_ptr_array_add (row->subnets, g_strdup (((const SwarmIPAMConfig *) g_ptr_array_index (network->ipam->config, i))->subnet));
  return row;
}

static gpointer
row_of_network (const SwarmViewer *viewer, const SwarmNetwork *network)
{
  gboolean seen = sees (viewer, &network->object.id) || (network->spec->ingress && sees (viewer, &SWARM_ID_NIL));
  return seen && swarm_network_is_overlay (network) && swarm_network_is_allocated (network) ? make_network (network) : NULL;
}

gboolean
swarm_rows_same_network (const SwarmNetwork *a, const SwarmNetwork *b)
{
  g_autoptr (SwarmPictureNetwork) x = make_network (a), y = make_network (b);
  return swarm_network_is_allocated (a) == swarm_network_is_allocated (b) && swarm_message_equal (x, y);
}

static const SwarmVirtualIP *
address_in (const SwarmService *service, const SwarmId *network)
{
  const GPtrArray *list = service->endpoint != NULL ? service->endpoint->virtual_ips : NULL;
  for (guint i = 0; list != NULL && i < list->len; i++) {
    const SwarmVirtualIP *address = g_ptr_array_index (list, i);
    if (swarm_id_equal (&address->network, network))
      return address;
  }
  return NULL;
}

static GPtrArray *
copy_strings (const GPtrArray *strings)
{
  GPtrArray *copy = strings != NULL && strings->len > 0 ? swarm_strings_new () : NULL;
  for (guint i = 0; copy != NULL && i < strings->len; i++)
    g_ptr_array_add (copy, g_strdup (g_ptr_array_index (strings, i)));
  return copy;
}

static GPtrArray *
aliases_in (const SwarmService *service, const SwarmId *network)
{
  const GPtrArray *asked = service->spec->task != NULL ? service->spec->task->networks : NULL;
  SwarmIdString id = swarm_id_string (network);
  for (guint i = 0; asked != NULL && i < asked->len; i++) {
    const SwarmNetworkAttachmentConfig *config = g_ptr_array_index (asked, i);
    if (g_strcmp0 (config->target, id.str) == 0)
      return copy_strings (config->aliases);
  }
  return NULL;
}

static void
add_attachment (SwarmPictureService *row, const SwarmService *service, const SwarmId *network)
{
  const SwarmVirtualIP *address = address_in (service, network);
  SwarmNetworkAttachment *attachment = swarm_network_attachment_new ();
  attachment->network = *network;
  attachment->driver = g_strdup (SWARM_DRIVER_OVERLAY);
  attachment->aliases = aliases_in (service, network);
  if (address != NULL) {
    attachment->addresses = swarm_strings_new ();
    g_ptr_array_add (attachment->addresses, g_strdup (address->addr));
    if (address->addr6 != NULL)
      g_ptr_array_add (attachment->addresses, g_strdup (address->addr6));
  }
  if (row->networks == NULL)
    row->networks = swarm_messages_new ();
  g_ptr_array_add (row->networks, attachment);
}

static void
add_ports (SwarmPictureService *row, const SwarmService *service)
{
  row->ports = swarm_messages_new ();
  for (guint i = 0; i < service->endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (service->endpoint->ports, i);
    if (port->publish_mode == SWARM_PUBLISH_INGRESS)
      g_ptr_array_add (row->ports, swarm_port_config_ref (port));
  }
}

/* @viewer NULL: one who sees all. */
static gpointer
row_of_service (const SwarmViewer *viewer, const SwarmService *service)
{
  g_autoptr (GArray) nets = swarm_rows_service_nets (service);
  g_autoptr (SwarmPictureService) row = swarm_picture_service_new ();
  for (guint i = 0; i < nets->len; i++) {
    const SwarmId *net = &g_array_index (nets, SwarmId, i);
    if (viewer != NULL && !sees (viewer, net))
      continue;
    if (swarm_id_is_nil (net))
      add_ports (row, service);
    else
      add_attachment (row, service, net);
  }
  if (row->networks == NULL && row->ports == NULL)
    return NULL;
  row->id = service->object.id;
  row->affinity = service->endpoint != NULL && service->endpoint->spec != NULL && service->endpoint->spec->affinity == SWARM_AFFINITY_CLIENT;
  if (row->networks != NULL) /* a name is known in its networks only */
    row->name = g_strdup (service->spec->name);
  return g_steal_pointer (&row);
}

gboolean
swarm_rows_same_service (const SwarmService *a, const SwarmService *b)
{
  g_autoptr (SwarmPictureService) x = row_of_service (NULL, a), y = row_of_service (NULL, b);
  return x == y || (x != NULL && y != NULL && swarm_message_equal (x, y));
}

static gpointer
row_of_task (const SwarmViewer *viewer, const SwarmTask *task)
{
  gboolean own = swarm_id_equal (&viewer->node, &task->node_id);
  gboolean mesh = is_of_mesh (task) && sees (viewer, &SWARM_ID_NIL);
  if (!is_somewhere (task) || !swarm_rows_may_have (task))
    return NULL;
  g_autoptr (SwarmPictureTask) row = swarm_picture_task_new ();
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    if (!is_overlay (attachment) || !sees (viewer, &attachment->network))
      continue;
    if (row->networks == NULL)
      row->networks = swarm_messages_new ();
    g_ptr_array_add (row->networks, swarm_network_attachment_ref (attachment));
  }
  if (task->gateway_address != NULL && (mesh || (own && swarm_task_needs_overlay (task))))
    row->gateway_address = g_strdup (task->gateway_address);
  if (row->networks == NULL && row->gateway_address == NULL)
    return NULL;
  row->id = task->object.id;
  row->service = task->service_id;
  row->node = task->node_id;
  row->ready = swarm_task_is_ready (task);
  if (row->networks != NULL)
    row->name = swarm_task_name (task);
  return g_steal_pointer (&row);
}

gpointer
swarm_rows_row (const SwarmViewer *viewer, SwarmKind kind, const SwarmId *id)
{
  gconstpointer object = swarm_store_get (viewer->store, kind, id);
  if (object == NULL)
    return NULL;
  switch (kind) {
  case SWARM_KIND_NODE:
    return row_of_node (viewer, object);
  case SWARM_KIND_NETWORK:
    return row_of_network (viewer, object);
  case SWARM_KIND_SERVICE:
    return row_of_service (viewer, object);
  default:
    return row_of_task (viewer, object);
  }
}
