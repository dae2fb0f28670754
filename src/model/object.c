// SPDX-License-Identifier: LGPL-2.1-or-later
#include "model/object.h"
#include "model/objects.h"

const SwarmEnum swarm_kind_enum = { "kind",
                                    (const SwarmEnumRow[]){ { SWARM_KIND_CLUSTER, "cluster" },
                                                            { SWARM_KIND_NODE, "node" },
                                                            { SWARM_KIND_SERVICE, "service" },
                                                            { SWARM_KIND_TASK, "task" },
                                                            { SWARM_KIND_NETWORK, "network" },
                                                            { SWARM_KIND_SECRET, "secret" },
                                                            { SWARM_KIND_CONFIG, "config" },
                                                            { SWARM_KIND_VOLUME, "volume" },
                                                            { 0, NULL } } };

static const SwarmType *const kind_types[_SWARM_KIND_MAX] = {
  [SWARM_KIND_CLUSTER] = &swarm_cluster_type,
  [SWARM_KIND_NODE] = &swarm_node_type,
  [SWARM_KIND_SERVICE] = &swarm_service_type,
  [SWARM_KIND_TASK] = &swarm_task_type,
  [SWARM_KIND_NETWORK] = &swarm_network_type,
};

const SwarmType *
swarm_kind_type (SwarmKind kind)
{
  return (guint) kind < _SWARM_KIND_MAX ? kind_types[kind] : NULL;
}

SwarmKind
swarm_object_kind (const SwarmObject *object)
{
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++)
    if (kind_types[kind] == object->message.type)
      return kind;
  g_return_val_if_reached (_SWARM_KIND_MAX);
}

const char *
swarm_object_name (const SwarmObject *object)
{
  const char *name = NULL;

  switch (swarm_object_kind (object)) {
  case SWARM_KIND_CLUSTER:
    if (((const SwarmCluster *) object)->spec != NULL)
      name = ((const SwarmCluster *) object)->spec->name;
    break;
  case SWARM_KIND_NODE:
    if (((const SwarmNode *) object)->description != NULL)
      name = ((const SwarmNode *) object)->description->hostname;
    break;
  case SWARM_KIND_SERVICE:
    if (((const SwarmService *) object)->spec != NULL)
      name = ((const SwarmService *) object)->spec->name;
    break;
  case SWARM_KIND_NETWORK:
    if (((const SwarmNetwork *) object)->spec != NULL)
      name = ((const SwarmNetwork *) object)->spec->name;
    break;
  default:
    break;
  }
  return name != NULL ? name : "";
}
