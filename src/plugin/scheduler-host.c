// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/scheduler-host.h"
#include "base/error.h"
#include "plugin/host-private.h"

SWARM_PLUGIN_HAS_LIFE (SwarmSchedulerOps);

struct _SwarmSchedulerHost {
  SwarmHostHead head;
  const SwarmSchedulerOps *ops;
};

SwarmSchedulerHost *
swarm_scheduler_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error)
{
  SwarmSchedulerHost *self = g_new0 (SwarmSchedulerHost, 1);
  SwarmPluginHostConfig own = *config;

  own.services = NULL;
  own.scope_dir = NULL;
  self->ops = swarm_plugin_descriptor_of (plugin)->ops;
  if (swarm_host_open (&self->head, plugin, &own, NULL, NULL, NULL, error))
    return self;
  swarm_scheduler_host_free (self);
  return NULL;
}

void
swarm_scheduler_host_free (SwarmSchedulerHost *self)
{
  if (self == NULL)
    return;
  swarm_host_close (&self->head);
  g_free (self);
}

const char *
swarm_scheduler_host_name (SwarmSchedulerHost *self)
{
  return swarm_host_plugin_name (self->head.host);
}

SwarmPluginOffer
swarm_scheduler_host_offer (SwarmSchedulerHost *self)
{
  return self->ops->offer == SWARM_PLUGIN_OFFER_IDLEST ? SWARM_PLUGIN_OFFER_IDLEST : SWARM_PLUGIN_OFFER_ALL;
}

static gboolean
check_placement (SwarmSchedulerHost *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, guint n_nodes,
                 const gint32 *placement, GError **error)
{
  g_autofree guint *given = g_new0 (guint, n_nodes + 1);

  for (guint i = 0; i < group->count; i++) {
    if (placement[i] == -1)
      continue;
    if (placement[i] < 0 || (guint) placement[i] >= n_nodes) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "plugin %s: it placed a task on node number %d of %u",
                   swarm_host_plugin_name (self->head.host), placement[i], n_nodes);
      return FALSE;
    }
    if (++given[placement[i]] > nodes[placement[i]].capacity) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "plugin %s: it placed more than %u tasks on node %s",
                   swarm_host_plugin_name (self->head.host), nodes[placement[i]].capacity, nodes[placement[i]].hostname);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
swarm_scheduler_host_place (SwarmSchedulerHost *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, guint n_nodes,
                            gint32 *placement, GError **error)
{
  gint64 started = g_get_monotonic_time ();
  gboolean ok;

  for (guint i = 0; i < group->count; i++)
    placement[i] = -1;
  if (n_nodes == 0 || group->count == 0)
    return TRUE;
  ok = self->ops->place (self->head.instance, group, nodes, n_nodes, placement);
  swarm_host_timed (self->head.host, "place", started);
  if (!ok)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "plugin %s could not place the tasks of service %s",
                 swarm_host_plugin_name (self->head.host), group->service_name != NULL ? group->service_name : "");
  else
    ok = check_placement (self, group, nodes, n_nodes, placement, error);
  for (guint i = 0; !ok && i < group->count; i++)
    placement[i] = -1;
  return ok;
}
