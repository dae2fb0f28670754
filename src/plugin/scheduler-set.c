// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/scheduler-set.h"
#include "base/error.h"
#include "base/log.h"
#include <string.h>

#define PREFIX "scheduler-"

struct _SwarmSchedulerSet {
  GHashTable *hosts; /* name → SwarmSchedulerHost */
  char *fallback;
};

SwarmSchedulerSet *
swarm_scheduler_set_new (void)
{
  SwarmSchedulerSet *self = g_new0 (SwarmSchedulerSet, 1);

  self->hosts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) swarm_scheduler_host_free);
  self->fallback = g_strdup (SWARM_DEFAULT_STRATEGY);
  return self;
}

void
swarm_scheduler_set_free (SwarmSchedulerSet *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->hosts);
  g_free (self->fallback);
  g_free (self);
}

gboolean
swarm_scheduler_set_add (SwarmSchedulerSet *self, SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error)
{
  const char *name = swarm_plugin_descriptor_of (plugin)->name;
  SwarmSchedulerHost *host = swarm_scheduler_host_new (plugin, config, error);

  if (host == NULL)
    return FALSE;
  g_hash_table_replace (self->hosts, g_strdup (g_str_has_prefix (name, PREFIX) ? name + strlen (PREFIX) : name), host);
  return TRUE;
}

void
swarm_scheduler_set_load (SwarmSchedulerSet *self, const char *dir, const SwarmPluginHostConfig *config)
{
  g_autoptr (GDir) files = g_dir_open (dir, 0, NULL);
  const char *file;

  while (files != NULL && (file = g_dir_read_name (files)) != NULL) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SwarmPlugin) plugin = NULL;
    g_autofree char *name = NULL;

    if (!g_str_has_prefix (file, PREFIX) || !g_str_has_suffix (file, ".so"))
      continue;
    name = g_strndup (file, strlen (file) - strlen (".so"));
    plugin = swarm_plugin_load_named (dir, name, SWARM_PLUGIN_SCHEDULER, &error);
    if (plugin == NULL || !swarm_scheduler_set_add (self, plugin, config, &error))
      swarm_error_log ("%s; this host places no tasks with it", error->message);
  }
}

void
swarm_scheduler_set_default (SwarmSchedulerSet *self, const char *name)
{
  g_free (self->fallback);
  self->fallback = g_strdup (name);
}

SwarmSchedulerHost *
swarm_scheduler_set_get (SwarmSchedulerSet *self, const char *name)
{
  SwarmSchedulerHost *host;

  if (name != NULL && *name != '\0')
    return g_hash_table_lookup (self->hosts, name);
  host = g_hash_table_lookup (self->hosts, self->fallback);
  return host != NULL ? host : g_hash_table_lookup (self->hosts, SWARM_DEFAULT_STRATEGY);
}

gboolean
swarm_scheduler_set_check (SwarmSchedulerSet *self, const char *name, GError **error)
{
  g_autoptr (GList) names = NULL;
  g_autoptr (GString) list = g_string_new (NULL);

  if (name == NULL || *name == '\0' || g_hash_table_contains (self->hosts, name))
    return TRUE;
  names = g_list_sort (g_hash_table_get_keys (self->hosts), (GCompareFunc) strcmp);
  for (GList *at = names; at != NULL; at = at->next)
    g_string_append_printf (list, "%s%s", at == names ? "" : ", ", (const char *) at->data);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "scheduler strategy \"%s\" is not installed on this manager (%s)", name,
               list->len > 0 ? list->str : "none is");
  return FALSE;
}
