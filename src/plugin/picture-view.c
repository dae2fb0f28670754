// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/picture-view.h"
#include "plugin/task-view.h"
#include <string.h>

#define DATA_PORT 4789

static const char *
id_text (SwarmPictureView *self, const SwarmId *id)
{
  char *text = swarm_id_is_nil (id) ? NULL : swarm_id_dup_string (id);
  if (text != NULL)
    g_ptr_array_add (self->keep, text);
  return text;
}

/* Room for @n of @size bytes each. */
static gpointer
room (SwarmPictureView *self, gsize n, gsize size)
{
  gpointer memory = g_malloc0_n (MAX (n, 1), size);
  g_ptr_array_add (self->keep, memory);
  return memory;
}

static const SwarmPluginNetworkKey *
view_keys (SwarmPictureView *self, const GPtrArray *keys, gsize *ret_n)
{
  guint n = keys != NULL ? MIN (keys->len, SWARM_NETWORK_KEYS_MAX) : 0;
  SwarmPluginNetworkKey *view = n > 0 ? room (self, n, sizeof *view) : NULL;
  *ret_n = 0;
  for (guint i = 0; i < n; i++) {
    const SwarmNetworkKey *key = g_ptr_array_index (keys, i);
    if (key->key == NULL || g_bytes_get_size (key->key) != sizeof view[i].key)
      continue;
    SwarmPluginNetworkKey *to = &view[(*ret_n)++];
    *to = (SwarmPluginNetworkKey){ .slot = (guint32) key->slot, .flags = key->newest ? 1 : 0 };
    memcpy (to->key, g_bytes_get_data (key->key, NULL), sizeof to->key);
  }
  return view;
}

static void
view_nodes (SwarmPictureView *self, GPtrArray *rows)
{
  SwarmPluginNetNode *view = room (self, rows->len, sizeof *view);
  for (guint i = 0; i < rows->len; i++) {
    const SwarmPictureNode *row = g_ptr_array_index (rows, i);
    view[i] = (SwarmPluginNetNode){ .id = id_text (self, &row->id),
                                    .number = (guint32) row->number,
                                    .flags = row->down ? SWARM_PLUGIN_NODE_DOWN : 0,
                                    .address = row->addr,
                                    .gateway_address = row->gateway,
                                    .ingress_address = row->ingress_address };
    view[i].keys = view_keys (self, row->keys, &view[i].n_keys);
  }
  self->picture.nodes = view;
  self->picture.n_nodes = rows->len;
}

static void
view_networks (SwarmPictureView *self, GPtrArray *rows)
{
  SwarmPluginNetwork *view = room (self, rows->len, sizeof *view);
  for (guint i = 0; i < rows->len; i++) {
    const SwarmPictureNetwork *row = g_ptr_array_index (rows, i);
    view[i] = (SwarmPluginNetwork){ .id = id_text (self, &row->id),
                                    .name = row->name,
                                    .driver = row->driver,
                                    .vni = (guint32) row->vni,
                                    .flags = (row->ingress ? SWARM_PLUGIN_NETWORK_INGRESS : 0) | (row->internal ? SWARM_PLUGIN_NETWORK_INTERNAL : 0)
                                             | (row->encrypted ? SWARM_PLUGIN_NETWORK_ENCRYPTED : 0),
                                    .mtu = (guint32) row->mtu,
                                    .subnets = swarm_strings_view (self->keep, row->subnets) };
  }
  self->picture.networks = view;
  self->picture.n_networks = rows->len;
}

static const SwarmPluginMeshPort *
view_ports (SwarmPictureView *self, GPtrArray *ports, gsize *ret_n)
{
  guint n = ports != NULL ? ports->len : 0;
  SwarmPluginMeshPort *view = room (self, n, sizeof *view);
  for (guint i = 0; i < n; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (ports, i);
    view[i] = (SwarmPluginMeshPort){ .protocol = port->protocol, .target = (guint16) port->target_port, .published = (guint16) port->published_port };
  }
  *ret_n = n;
  return view;
}

static void
view_services (SwarmPictureView *self, GPtrArray *rows)
{
  SwarmPluginService *view = room (self, rows->len, sizeof *view);
  for (guint i = 0; i < rows->len; i++) {
    const SwarmPictureService *row = g_ptr_array_index (rows, i);
    view[i] = (SwarmPluginService){ .id = id_text (self, &row->id), .name = row->name, .flags = row->affinity ? SWARM_PLUGIN_SERVICE_AFFINITY : 0 };
    view[i].networks = swarm_attachments_view (self->keep, row->networks, &view[i].n_networks);
    view[i].ports = view_ports (self, row->ports, &view[i].n_ports);
  }
  self->picture.services = view;
  self->picture.n_services = rows->len;
}

static void
view_tasks (SwarmPictureView *self, GPtrArray *rows)
{
  SwarmPluginNetTask *view = room (self, rows->len, sizeof *view);
  for (guint i = 0; i < rows->len; i++) {
    const SwarmPictureTask *row = g_ptr_array_index (rows, i);
    view[i] = (SwarmPluginNetTask){ .id = id_text (self, &row->id),
                                    .name = row->name,
                                    .service_id = id_text (self, &row->service),
                                    .node_id = id_text (self, &row->node),
                                    .flags = row->ready ? SWARM_PLUGIN_TASK_READY : 0,
                                    .gateway_address = row->gateway_address };
    view[i].networks = swarm_attachments_view (self->keep, row->networks, &view[i].n_networks);
  }
  self->picture.tasks = view;
  self->picture.n_tasks = rows->len;
}

/* NULL-terminated. */
static const char *const *
view_ids (SwarmPictureView *self, const GArray *ids)
{
  const char **view = room (self, ids->len + 1, sizeof *view);
  for (guint i = 0; i < ids->len; i++)
    view[i] = id_text (self, &g_array_index (ids, SwarmId, i));
  return view;
}

SwarmPictureView *
swarm_picture_view_new (const SwarmPictureChange *change, const SwarmId *node)
{
  SwarmPictureView *self = g_new0 (SwarmPictureView, 1);
  self->keep = g_ptr_array_new_with_free_func (g_free);
  self->picture.flags = change->whole ? SWARM_PLUGIN_PICTURE_WHOLE : 0;
  self->picture.data_port = DATA_PORT;
  self->picture.node_id = id_text (self, node);
  view_nodes (self, change->rows[SWARM_KIND_NODE]);
  view_networks (self, change->rows[SWARM_KIND_NETWORK]);
  view_services (self, change->rows[SWARM_KIND_SERVICE]);
  view_tasks (self, change->rows[SWARM_KIND_TASK]);
  self->picture.removed_nodes = view_ids (self, change->removed[SWARM_KIND_NODE]);
  self->picture.removed_networks = view_ids (self, change->removed[SWARM_KIND_NETWORK]);
  self->picture.removed_services = view_ids (self, change->removed[SWARM_KIND_SERVICE]);
  self->picture.removed_tasks = view_ids (self, change->removed[SWARM_KIND_TASK]);
  return self;
}

void
swarm_picture_view_free (SwarmPictureView *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->keep);
  g_free (self);
}
