// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds and checks plugins. */
#pragma once
#include "plugin/swarm-plugin.h"
#include <glib.h>

typedef struct _SwarmPlugin SwarmPlugin;

/* Opens @path and checks its descriptor: symbol, magic, sizes, kind, ABI, name, mandatory operations. Nothing of the plugin is called.
 * Errors name the file, what was found and what was wanted. Caller owns the reference. */
SwarmPlugin *swarm_plugin_load (const char *path, SwarmPluginKind kind, GError **error);
/* The plugin @name ("runtime-podman") of @dir. */
SwarmPlugin *swarm_plugin_load_named (const char *dir, const char *name, SwarmPluginKind kind, GError **error);
/* A descriptor that is linked in; the same checks. */
SwarmPlugin *swarm_plugin_from_descriptor (const SwarmPluginDescriptor *descriptor, SwarmPluginKind kind, GError **error);
/* Borrowed. */
const SwarmPluginDescriptor *swarm_plugin_descriptor_of (const SwarmPlugin *self);
SwarmPlugin *swarm_plugin_ref (SwarmPlugin *self);
/* A shared object stays mapped until the process ends: its code may still be on the stack. */
void swarm_plugin_unref (SwarmPlugin *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmPlugin, swarm_plugin_unref)
