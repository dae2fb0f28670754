// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent's handle on its network plugin. */
#pragma once
#include "model/objects.h"
#include "plugin/host.h"

typedef struct _SwarmNetworkHost SwarmNetworkHost;

/* @mode ("bridge", "none", "host", "ns:PATH") is what the runtime is told, and @resolver (may be NULL) the task's name server; both are NULL on error
 * and for detach and settle. Called once, from the loop. */
typedef void (*SwarmNetworkFunc) (const char *mode, const char *resolver, const GError *error, gpointer data);
/* The process of a container that was attached ended. */
typedef void (*SwarmNetworkExitFunc) (const SwarmId *task, gint64 exited_at, gpointer data);
/* What the plugin can do changed: ask again. From within any call of the plugin. */
typedef void (*SwarmNetworkStateFunc) (SwarmNetworkHost *self, gpointer data);

SwarmNetworkHost *swarm_network_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error);
void swarm_network_host_free (SwarmNetworkHost *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmNetworkHost, swarm_network_host_free)
const char *swarm_network_host_name (SwarmNetworkHost *self);

guint64 swarm_network_host_attach (SwarmNetworkHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                                   gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
/* Of an attachment (@task->attachment): the container's first process, as the runtime found it. @mode is NULL. */
guint64 swarm_network_host_attach_container (SwarmNetworkHost *self, const SwarmTask *task, guint32 pid, guint64 started, const SwarmId *node,
                                             const char *hostname, gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
guint64 swarm_network_host_detach (SwarmNetworkHost *self, const SwarmId *task, gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
void swarm_network_host_cancel (SwarmNetworkHost *self, guint64 call);

/* One listener; NULL @func ends it. */
void swarm_network_host_set_exit_func (SwarmNetworkHost *self, SwarmNetworkExitFunc func, gpointer data);

/* How the networks are to be from now on, @picture borrowed for the call. FALSE: the plugin has no networks that span hosts. */
gboolean swarm_network_host_picture (SwarmNetworkHost *self, const SwarmPluginPicture *picture);
/* Asks to be told when all pictures and detaches so far are in force. FALSE: the plugin has nothing to say to that, and @func is not called. */
gboolean swarm_network_host_settle (SwarmNetworkHost *self, gint64 timeout_us, SwarmNetworkFunc func, gpointer data);
/* One listener; NULL @func ends it. */
void swarm_network_host_on_state (SwarmNetworkHost *self, SwarmNetworkStateFunc func, gpointer data);
/* Tasks here can be in networks of @driver, as far as the plugin has said so. */
gboolean swarm_network_host_supports (SwarmNetworkHost *self, const char *driver);
/* Why there is not more than this plugin can do, where it does not know that itself. */
void swarm_network_host_set_reason (SwarmNetworkHost *self, const char *reason);
/* Why it is not more, for people; NULL: all is well. */
const char *swarm_network_host_reason (SwarmNetworkHost *self);
/* This host's public keys for encrypted networks: SwarmNetworkKey, what the plugin said and is right; NULL: none. */
GPtrArray *swarm_network_host_keys (SwarmNetworkHost *self);
/* "port 8080/tcp: this host itself listens on that port", each; ends with NULL. */
const char *const *swarm_network_host_problems (SwarmNetworkHost *self);
