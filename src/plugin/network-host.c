// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/network-host.h"
#include "base/error.h"
#include "plugin/host-private.h"
#include "plugin/task-view.h"

SWARM_PLUGIN_HAS_LIFE (SwarmNetworkOps);

struct _SwarmNetworkHost {
  SwarmHostHead head;
  const SwarmNetworkOps *ops;
};

typedef struct {
  SwarmNetworkFunc func;
  gpointer data;
} Asker;

SwarmNetworkHost *
swarm_network_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error)
{
  SwarmNetworkHost *self = g_new0 (SwarmNetworkHost, 1);

  self->ops = swarm_plugin_descriptor_of (plugin)->ops;
  if (swarm_host_open (&self->head, plugin, config, NULL, NULL, error))
    return self;
  swarm_network_host_free (self);
  return NULL;
}

void
swarm_network_host_free (SwarmNetworkHost *self)
{
  if (self == NULL)
    return;
  swarm_host_close (&self->head);
  g_free (self);
}

const char *
swarm_network_host_name (SwarmNetworkHost *self)
{
  return swarm_host_plugin_name (self->head.host);
}

static void
on_done (const SwarmPluginResult *view, const GError *error, gpointer data)
{
  g_autofree Asker *asker = data;

  asker->func (view != NULL ? view->network_mode : NULL, error, asker->data);
}

static Asker *
asker_new (SwarmNetworkFunc func, gpointer data)
{
  Asker *asker = g_new0 (Asker, 1);

  asker->func = func;
  asker->data = data;
  return asker;
}

guint64
swarm_network_host_attach (SwarmNetworkHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                           gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  g_autoptr (SwarmTaskView) view = swarm_task_view_new (task, node, hostname, NULL, FALSE);
  gint64 started = g_get_monotonic_time ();
  guint64 number;
  SwarmPluginCall *call = swarm_host_call (self->head.host, "attach", view->task.id, timeout_us, on_done, asker_new (func, data), &number);

  self->ops->attach (self->head.instance, &view->task, call);
  swarm_host_timed (self->head.host, "attach", started);
  return number;
}

guint64
swarm_network_host_detach (SwarmNetworkHost *self, const SwarmId *task, gint64 timeout_us, SwarmNetworkFunc func, gpointer data)
{
  SwarmIdString id = swarm_id_string (task);
  gint64 started = g_get_monotonic_time ();
  guint64 number;
  SwarmPluginCall *call = swarm_host_call (self->head.host, "detach", id.str, timeout_us, on_done, asker_new (func, data), &number);

  self->ops->detach (self->head.instance, id.str, call);
  swarm_host_timed (self->head.host, "detach", started);
  return number;
}

void
swarm_network_host_cancel (SwarmNetworkHost *self, guint64 call)
{
  swarm_host_give_up (self->head.host, call);
}
