// SPDX-License-Identifier: LGPL-2.1-or-later
/* The shapes that Inspect and the List calls give: those of the Engine API. */
#include "api/private.h"

static void
insert_status (GVariantDict *dict, SwarmApi *self, const SwarmService *service)
{
  SwarmServiceStatus counts;
  GVariantDict status;
  swarm_control_service_status (swarm_manager_control (self->manager), service, &counts);
  g_variant_dict_init (&status, NULL);
  g_variant_dict_insert (&status, "RunningTasks", "t", counts.running);
  g_variant_dict_insert (&status, "DesiredTasks", "t", counts.desired);
  g_variant_dict_insert (&status, "CompletedTasks", "t", counts.completed);
  g_variant_dict_insert_value (dict, "ServiceStatus", g_variant_dict_end (&status));
}

GVariant *
swarm_api_service_variant (SwarmApi *self, const SwarmService *service)
{
  GVariantDict dict;
  swarm_api_object_dict (&dict, service, self);
  insert_status (&dict, self, service);
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_node_variant (SwarmApi *self, const SwarmNode *node)
{
  GVariantDict dict, manager;
  const char *status = swarm_control_manager_status (swarm_manager_control (self->manager), &node->object.id);
  swarm_api_object_dict (&dict, node, self);
  g_variant_dict_remove (&dict, "ManagerStatus");
  if (*status != '\0') {
    g_variant_dict_init (&manager, NULL);
    g_variant_dict_insert (&manager, "Leader", "b", g_str_equal (status, "leader"));
    g_variant_dict_insert (&manager, "Reachability", "s", g_str_equal (status, "leader") ? "reachable" : status);
    g_variant_dict_insert (&manager, "Addr", "s", node->manager_status != NULL && node->manager_status->addr != NULL ? node->manager_status->addr : "");
    g_variant_dict_insert_value (&dict, "ManagerStatus", g_variant_dict_end (&manager));
  }
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_task_variant (SwarmApi *self, const SwarmTask *task)
{
  g_autofree char *name = swarm_task_name (task);
  GVariantDict dict;
  swarm_api_object_dict (&dict, task, self);
  g_variant_dict_insert (&dict, "Name", "s", name);
  return g_variant_dict_end (&dict);
}

GVariant *
swarm_api_cluster_variant (SwarmApi *self, const SwarmCluster *cluster)
{
  GVariantDict dict, tls;
  swarm_api_object_dict (&dict, cluster, self);
  g_variant_dict_remove (&dict, "RootCA");
  g_variant_dict_remove (&dict, "RemovedNodes");
  g_variant_dict_init (&tls, NULL);
  if (cluster->root_ca != NULL && cluster->root_ca->cert != NULL)
    g_variant_dict_insert (&tls, "TrustRoot", "s", cluster->root_ca->cert);
  g_variant_dict_insert_value (&dict, "TLSInfo", g_variant_dict_end (&tls));
  return g_variant_dict_end (&dict);
}
