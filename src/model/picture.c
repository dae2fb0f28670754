// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables of pictures. Numbers are on the wire and in workers' files: never change or reuse one. */
#include "model/picture.h"
#include "base/error.h"

#define LEVEL 2
#define ROW(num, json_name, Struct, member, KIND, ...) SWARM_FIELD (num, json_name, Struct, member, KIND, .since = LEVEL, __VA_ARGS__)
#define TYPE(lower, Struct) const SwarmType lower##_type = { #Struct, sizeof (Struct), lower##_fields, NULL }

static const SwarmField swarm_picture_node_fields[] = {
  ROW (1, "ID", SwarmPictureNode, id, ID, .doc = "The node."),
  ROW (2, "Number", SwarmPictureNode, number, UINT, .doc = "Its number in the data plane."),
  ROW (3, "Addr", SwarmPictureNode, addr, STRING, .doc = "Where its packets go to and come from."),
  ROW (4, "Gateway", SwarmPictureNode, gateway, STRING, .doc = "Its own address in the subnet of its tasks."),
  ROW (5, "IngressAddress", SwarmPictureNode, ingress_address, STRING, .doc = "Its address in the ingress network."),
  ROW (6, "Down", SwarmPictureNode, down, BOOL, .doc = "No new connections to its tasks."),
  ROW (7, "Keys", SwarmPictureNode, keys, MESSAGES, .type = &swarm_network_key_type, .validate = swarm_rule_network_keys,
       .doc = "Its public keys for encrypted networks."),
  { 0 },
};
TYPE (swarm_picture_node, SwarmPictureNode);

static const SwarmField swarm_picture_network_fields[] = {
  ROW (1, "ID", SwarmPictureNetwork, id, ID, .doc = "The network."),
  ROW (2, "Name", SwarmPictureNetwork, name, STRING, .doc = "Its name."),
  ROW (3, "Driver", SwarmPictureNetwork, driver, STRING, .doc = "overlay."),
  ROW (4, "VNI", SwarmPictureNetwork, vni, UINT, .doc = "Its VXLAN id."),
  ROW (5, "MTU", SwarmPictureNetwork, mtu, UINT, .doc = "Of its interfaces; 0: what fits."),
  ROW (6, "Subnets", SwarmPictureNetwork, subnets, STRINGS, .doc = "What its addresses are of."),
  ROW (7, "Ingress", SwarmPictureNetwork, ingress, BOOL, .doc = "It is that of the routing mesh."),
  ROW (8, "Internal", SwarmPictureNetwork, internal, BOOL, .doc = "No way out."),
  ROW (9, "Encrypted", SwarmPictureNetwork, encrypted, BOOL, .doc = "Between hosts it is encrypted, or not at all."),
  { 0 },
};
TYPE (swarm_picture_network, SwarmPictureNetwork);

static const SwarmField swarm_picture_service_fields[] = {
  ROW (1, "ID", SwarmPictureService, id, ID, .doc = "The service."),
  ROW (2, "Name", SwarmPictureService, name, STRING, .doc = "Its name."),
  ROW (3, "Affinity", SwarmPictureService, affinity, BOOL, .doc = "A client stays with the task that it met first."),
  ROW (4, "Networks", SwarmPictureService, networks, MESSAGES, .type = &swarm_network_attachment_type, .doc = "Its virtual addresses."),
  ROW (5, "Ports", SwarmPictureService, ports, MESSAGES, .type = &swarm_port_config_type, .doc = "Those of the routing mesh."),
  { 0 },
};
TYPE (swarm_picture_service, SwarmPictureService);

static const SwarmField swarm_picture_task_fields[] = {
  ROW (1, "ID", SwarmPictureTask, id, ID, .doc = "The task."),
  ROW (2, "Name", SwarmPictureTask, name, STRING, .doc = "Its name."),
  ROW (3, "Service", SwarmPictureTask, service, ID, .doc = "Its service."),
  ROW (4, "Node", SwarmPictureTask, node, ID, .doc = "Where it is."),
  ROW (5, "Ready", SwarmPictureTask, ready, BOOL, .doc = "It takes new connections."),
  ROW (6, "Networks", SwarmPictureTask, networks, MESSAGES, .type = &swarm_network_attachment_type, .doc = "Its addresses."),
  ROW (7, "GatewayAddress", SwarmPictureTask, gateway_address, STRING, .doc = "In the subnet of its node."),
  { 0 },
};
TYPE (swarm_picture_task, SwarmPictureTask);

G_STATIC_ASSERT (G_STRUCT_OFFSET (SwarmPictureNode, id) == sizeof (SwarmMessage));
G_STATIC_ASSERT (G_STRUCT_OFFSET (SwarmPictureNetwork, id) == sizeof (SwarmMessage));
G_STATIC_ASSERT (G_STRUCT_OFFSET (SwarmPictureService, id) == sizeof (SwarmMessage));
G_STATIC_ASSERT (G_STRUCT_OFFSET (SwarmPictureTask, id) == sizeof (SwarmMessage));

const SwarmType *
swarm_picture_type (SwarmKind kind)
{
  switch (kind) {
  case SWARM_KIND_NODE:
    return &swarm_picture_node_type;
  case SWARM_KIND_NETWORK:
    return &swarm_picture_network_type;
  case SWARM_KIND_SERVICE:
    return &swarm_picture_service_type;
  case SWARM_KIND_TASK:
    return &swarm_picture_task_type;
  default:
    return NULL;
  }
}

const SwarmId *
swarm_picture_id (gconstpointer row)
{
  return &((const SwarmPictureNode *) row)->id;
}

gboolean
swarm_task_is_ready (const SwarmTask *task)
{
  const SwarmContainerStatus *container = task->status->container;
  return task->status->state == SWARM_TASK_RUNNING && task->desired_state <= SWARM_TASK_RUNNING
         && (container == NULL || container->health == NULL || g_strcmp0 (container->health->status, "unhealthy") != 0);
}

/* ---- lists in one piece ---- */

void
swarm_picture_pack (SwarmBuffer *list, SwarmKind kind, gconstpointer data, gsize length)
{
  guint8 byte = (guint8) kind;
  swarm_buffer_append (list, &byte, 1);
  swarm_buffer_append_varint (list, length);
  swarm_buffer_append (list, data, length);
}

static gboolean
read_varint (const guint8 **at, const guint8 *end, guint64 *ret)
{
  *ret = 0;
  for (guint shift = 0; shift < 64 && *at < end; shift += 7) {
    guint8 byte = *(*at)++;
    *ret |= (guint64) (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
swarm_picture_unpack (const guint8 **at, const guint8 *end, guchar *kind, const guint8 **data, gsize *length, GError **error)
{
  guint64 size;
  if (*at >= end)
    return FALSE;
  *kind = *(*at)++;
  if (!read_varint (at, end, &size) || size > (guint64) (end - *at)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a list of rows is cut short");
    return FALSE;
  }
  *data = *at;
  *length = (gsize) size;
  *at += size;
  return TRUE;
}
