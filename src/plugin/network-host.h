// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent's handle on its network plugin (minimal until swarm-netd comes). */
#pragma once
#include "model/objects.h"
#include "plugin/host.h"

typedef struct _SwarmNetworkHost SwarmNetworkHost;

/* @mode ("bridge", "none", "host", "ns:PATH") is what the runtime is told; NULL on error and for detach. Called once, from the loop. */
typedef void (*SwarmNetworkFunc) (const char *mode, const GError *error, gpointer data);

SwarmNetworkHost *swarm_network_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error);
void swarm_network_host_free (SwarmNetworkHost *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetworkHost, swarm_network_host_free)
const char *swarm_network_host_name (SwarmNetworkHost *self);

guint64 swarm_network_host_attach (SwarmNetworkHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                                   gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
guint64 swarm_network_host_detach (SwarmNetworkHost *self, const SwarmId *task, gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
void swarm_network_host_cancel (SwarmNetworkHost *self, guint64 call);
