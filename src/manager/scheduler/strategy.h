// SPDX-License-Identifier: LGPL-2.1-or-later
/* How the scheduler asks a strategy: one batch call per group of identical tasks, in the form of the plugin ABI. */
#pragma once
#include "plugin/swarm-plugin.h"
#include <glib.h>

typedef struct {
  /* swarm_scheduler_host_place() with its host as @data, or anything of that shape. */
  gboolean (*place) (gpointer data, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, guint n_nodes, gint32 *placement,
                     GError **error);
  gpointer data;
} SwarmStrategy;
