// SPDX-License-Identifier: LGPL-2.1-or-later
/* The plugins of this agent: which, with what services, and the brain's way to the scheduler. */
#include "base/error.h"
#include "base/log.h"
#include "daemon/agent-private.h"
#include "daemon/units.h"

static const char *
plugin_config (const char *plugin, const char *key, gpointer data)
{
  SwarmAgent *self = data;
  g_autofree char *name = g_strconcat (plugin, "\n", key, NULL);
  return g_hash_table_lookup (self->config->plugin_values, name);
}

static SwarmPlugin *
load (SwarmAgent *self, const char *prefix, const char *name, SwarmPluginKind kind, GError **error)
{
  g_autofree char *full = g_strconcat (prefix, name, NULL);
  return swarm_plugin_load_named (self->config->plugin_dir, full, kind, error);
}

/* Each returns FALSE with the plugin named. */
static gboolean
load_runtime (SwarmAgent *self, const SwarmPluginHostConfig *config, GError **error)
{
  g_autoptr (SwarmPlugin) plugin = load (self, "runtime-", self->config->runtime_plugin, SWARM_PLUGIN_RUNTIME, error);
  return plugin != NULL && (self->runtime = swarm_runtime_host_new (plugin, config, error)) != NULL;
}

static gboolean
load_scheduler (SwarmAgent *self, const char *name, const SwarmPluginHostConfig *config, GError **error)
{
  g_autoptr (SwarmPlugin) plugin = load (self, "scheduler-", name, SWARM_PLUGIN_SCHEDULER, error);
  return plugin != NULL && (self->scheduler = swarm_scheduler_host_new (plugin, config, error)) != NULL;
}

/* A cluster whose leader has a broken strategy should still place tasks. */
static void
load_any_scheduler (SwarmAgent *self, const SwarmPluginHostConfig *config)
{
  g_autoptr (GError) error = NULL, second = NULL;
  if (load_scheduler (self, self->config->scheduler_plugin, config, &error))
    return;
  if (load_scheduler (self, "spread", config, &second))
    swarm_error_log ("%s; scheduler-spread places tasks instead", error->message);
  else
    swarm_error_log ("%s; %s: this host places no tasks when it leads", error->message, second->message);
}

static gboolean
load_network (SwarmAgent *self, const SwarmPluginHostConfig *config, GError **error)
{
  g_autoptr (SwarmPlugin) plugin = load (self, "network-", self->config->network_plugin, SWARM_PLUGIN_NETWORK, error);
  return plugin != NULL && (self->network = swarm_network_host_new (plugin, config, error)) != NULL;
}

void
swarm_agent_load_plugins (SwarmAgent *self)
{
  g_autofree char *scope_dir = g_build_filename (self->config->runtime_dir, "task", NULL);
  SwarmPluginHostConfig config = {
    .clock = self->clock,
    .services = self->units,
    .scope_dir = scope_dir,
    .config = plugin_config,
    .data = self,
  };
  SwarmPluginHostConfig pure = { .clock = self->clock, .config = plugin_config, .data = self };
  g_autoptr (GError) runtime = NULL, network = NULL;
  g_clear_pointer (&self->plugin_error, g_free);
  if (!load_runtime (self, &config, &runtime))
    self->plugin_error = g_strdup (runtime->message);
  if (!load_network (self, &config, &network) && self->plugin_error == NULL)
    self->plugin_error = g_strdup (network->message);
  load_any_scheduler (self, &pure);
  if (self->plugin_error != NULL)
    swarm_error_log ("%s; this host cannot run tasks until that is mended and the agent restarted", self->plugin_error);
}

void
swarm_agent_unload_plugins (SwarmAgent *self)
{
  g_clear_pointer (&self->runtime, swarm_runtime_host_free);
  g_clear_pointer (&self->network, swarm_network_host_free);
  g_clear_pointer (&self->scheduler, swarm_scheduler_host_free);
}

/* ---- the brain's call ---- */

static gboolean
place (gpointer data, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, guint n_nodes, gint32 *placement, GError **error)
{
  SwarmAgent *self = data;
  return swarm_scheduler_host_place (self->scheduler, group, nodes, n_nodes, placement, error);
}

SwarmStrategy
swarm_agent_strategy (SwarmAgent *self)
{
  if (self->scheduler == NULL)
    return (SwarmStrategy){ NULL, NULL };
  return (SwarmStrategy){ place, self };
}
