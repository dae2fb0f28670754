// SPDX-License-Identifier: LGPL-2.1-or-later
/* The plugins of this agent: which, and with what services. */
#include "base/error.h"
#include "base/log.h"
#include "base/random-system.h"
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

/* A cluster whose leader has a broken strategy should still place tasks. */
static void
load_schedulers (SwarmAgent *self, const SwarmPluginHostConfig *config)
{
  const char *wanted = self->config->scheduler_plugin;
  g_autoptr (GError) error = NULL;
  self->schedulers = swarm_scheduler_set_new ();
  swarm_scheduler_set_load (self->schedulers, self->config->plugin_dir, config);
  swarm_scheduler_set_default (self->schedulers, wanted);
  if (!swarm_scheduler_set_check (self->schedulers, wanted, &error))
    swarm_error_log ("%s; %s", error->message,
                     swarm_scheduler_set_get (self->schedulers, NULL) != NULL ? "scheduler-spread places tasks instead"
                                                                              : "this host places no tasks when it leads");
}

/* What this host can do of networks changed: the scheduler goes by it. */
static void
network_changed (SwarmNetworkHost *network, gpointer data)
{
  SwarmAgent *self = data;
  if (self->worker != NULL)
    swarm_worker_describe (self->worker);
}

static gboolean
open_network (SwarmAgent *self, const char *name, const SwarmPluginHostConfig *config, GError **error)
{
  g_autoptr (SwarmPlugin) plugin = load (self, "network-", name, SWARM_PLUGIN_NETWORK, error);
  return plugin != NULL && (self->network = swarm_network_host_new (plugin, config, error)) != NULL;
}

/* Where nobody chose and the default cannot be had (it may be a package of its own) the host does what it can, and says what it cannot. */
static gboolean
load_network (SwarmAgent *self, const SwarmPluginHostConfig *config, GError **error)
{
  g_autoptr (GError) why = NULL;
  if (!open_network (self, swarm_config_network (self->config), config, &why)) {
    if (self->config->network_plugin != NULL || !open_network (self, "host", config, NULL))
      return g_propagate_error (error, g_steal_pointer (&why)), FALSE;
    g_autofree char *reason = g_strdup_printf ("no networks that span hosts, and no published ports but those of mode host, on this host: %s", why->message);
    swarm_warning ("%s", reason);
    swarm_network_host_set_reason (self->network, reason);
  }
  swarm_network_host_on_state (self->network, network_changed, self);
  return TRUE;
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
    .descriptors = TRUE,
  };
  SwarmPluginHostConfig pure = { .clock = self->clock, .random = swarm_random_system (), .config = plugin_config, .data = self };
  g_autoptr (GError) runtime = NULL, network = NULL;
  g_clear_pointer (&self->plugin_error, g_free);
  if (!load_runtime (self, &config, &runtime))
    self->plugin_error = g_strdup (runtime->message);
  if (!load_network (self, &config, &network) && self->plugin_error == NULL)
    self->plugin_error = g_strdup (network->message);
  load_schedulers (self, &pure);
  if (self->plugin_error != NULL)
    swarm_error_log ("%s; this host cannot run tasks until that is mended and the agent restarted", self->plugin_error);
}

void
swarm_agent_unload_plugins (SwarmAgent *self)
{
  g_clear_pointer (&self->runtime, swarm_runtime_host_free);
  g_clear_pointer (&self->network, swarm_network_host_free);
  g_clear_pointer (&self->schedulers, swarm_scheduler_set_free);
}
