// SPDX-License-Identifier: LGPL-2.1-or-later
/* What this host is: for the scheduler's filters and for people. */
#include <config.h>
#include "daemon/agent-private.h"
#include <sys/utsname.h>
#include <unistd.h>

static void
add_plugin (SwarmEngineDescription *engine, const char *type, const char *name)
{
  SwarmEnginePlugin *plugin = swarm_engine_plugin_new ();
  plugin->type = g_strdup (type);
  plugin->name = g_strdup (name);
  g_ptr_array_add (engine->plugins, plugin);
}

#define PROBLEMS_MAX 8 /* told: who wants all of them asks the host's journal */

static GPtrArray *
describe_problems (SwarmNetworkHost *network)
{
  const char *const *problems = swarm_network_host_problems (network);
  const char *reason = swarm_network_host_reason (network);
  GPtrArray *lines = swarm_strings_new ();
  guint n = g_strv_length ((char **) problems);

  if (reason != NULL)
    g_ptr_array_add (lines, g_strdup (reason));
  for (guint i = 0; i < MIN (n, PROBLEMS_MAX); i++)
    g_ptr_array_add (lines, g_strdup (problems[i]));
  if (n > PROBLEMS_MAX)
    g_ptr_array_add (lines, g_strdup_printf ("and %u more", n - PROBLEMS_MAX));
  if (lines->len == 0)
    g_clear_pointer (&lines, g_ptr_array_unref);
  return lines;
}

SwarmNodeDescription *
swarm_describe_node (const char *hostname, GHashTable *labels, GPtrArray *things, SwarmNetworkHost *network)
{
  struct utsname uts;
  SwarmNodeDescription *self = swarm_node_description_new ();
  self->hostname = g_strdup (hostname);

  uname (&uts);
  self->platform = swarm_platform_new ();
  self->platform->os = g_ascii_strdown (uts.sysname, -1);
  self->platform->architecture = g_strdup (uts.machine);

  self->resources = swarm_resources_new ();
  self->resources->nano_cpus = (gint64) sysconf (_SC_NPROCESSORS_ONLN) * 1000000000;
  self->resources->memory_bytes = (gint64) sysconf (_SC_PHYS_PAGES) * sysconf (_SC_PAGESIZE);
  if (things->len > 0)
    self->resources->generic = g_ptr_array_ref (things);

  self->engine = swarm_engine_description_new ();
  self->engine->engine_version = g_strdup (SWARM_VERSION);
  self->engine->plugins = swarm_messages_new ();
  add_plugin (self->engine, "Log", "journald");
  add_plugin (self->engine, "Network", SWARM_DRIVER_HOST);
  add_plugin (self->engine, "Network", SWARM_DRIVER_NONE);
  if (network != NULL && swarm_network_host_supports (network, SWARM_DRIVER_OVERLAY))
    add_plugin (self->engine, "Network", SWARM_DRIVER_OVERLAY);
  if (network != NULL && swarm_network_host_supports (network, SWARM_DRIVER_OVERLAY_ENCRYPTED))
    add_plugin (self->engine, "Network", SWARM_DRIVER_OVERLAY_ENCRYPTED);
  if (network != NULL && swarm_network_host_keys (network) != NULL)
    self->network_keys = g_ptr_array_ref (swarm_network_host_keys (network));
  if (network != NULL)
    self->network_problems = describe_problems (network);
  self->feature_level = SWARM_FEATURE_LEVEL;
  if (g_hash_table_size (labels) > 0)
    self->engine->labels = g_hash_table_ref (labels);
  return self;
}
