// SPDX-License-Identifier: LGPL-2.1-or-later
/* Shared by the wrappers of this folder only. */
#pragma once
#include "plugin/files.h"
#include "plugin/host.h"

/* A copy of a plugin's answer. */
typedef struct {
  SwarmPluginResult view; /* points into the copies below */
  GPtrArray *strings;
  SwarmPluginTaskInfo *tasks;
  char *output;
  SwarmPluginHealth health;
  char **health_test;
} SwarmHostAnswer;

/* @view is NULL when @error is set. */
typedef void (*SwarmHostDone) (const SwarmPluginResult *view, const GError *error, gpointer data);
/* Asks the plugin to give up. */
typedef void (*SwarmHostCancel) (gpointer owner, SwarmPluginCall *call);

typedef struct {
  SwarmPluginHost abi; /* what the plugin holds */
  SwarmPlugin *plugin;
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmPluginServices *services;
  SwarmScopeFiles *files;
  const char *(*config) (const char *plugin, const char *key, gpointer data);
  gpointer config_data;
  GHashTable *timers;   /* number → HostTimer */
  GHashTable *requests; /* HostRequest, set */
  GHashTable *calls;    /* number → HostCall */
  guint watch;
  SwarmPluginUnitWatchFunc watch_func;
  void *watch_data;
  SwarmHostCancel cancel; /* NULL: the plugin cannot */
  gpointer owner;         /* the wrapper */
  void (*exited) (gpointer owner, const SwarmPluginExit *exit);
  gboolean closing;
} SwarmHost;

/* What the wrapper passes to init. */
SwarmHost *swarm_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, gpointer owner);
/* Ends timers, watches and requests; calls under way are dropped without an answer. After the plugin's fini. */
void swarm_host_free (SwarmHost *self);
/* Runs the plugin's init with checks; NULL and an error when it fails. */
SwarmPluginInstance *swarm_host_init (SwarmHost *self,
                                      SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length),
                                      GError **error);

/* Opens an operation: pass the result to the plugin, then swarm_host_entered(). @op and @about (may be NULL) are for the log.
 * @data is a block of g_malloc that @done frees; the host does when there is nobody to answer any more. */
SwarmPluginCall *swarm_host_call (SwarmHost *self, const char *op, const char *about, gint64 timeout_us, SwarmHostDone done,
                                  gpointer data, guint64 *ret_number);
/* Gives up on operation @number. */
void swarm_host_give_up (SwarmHost *self, guint64 number);
/* Time the plugin took inside one of its functions, since @started_us (g_get_monotonic_time); says so in the log when it was long. */
void swarm_host_timed (SwarmHost *self, const char *op, gint64 started_us);
const char *swarm_host_plugin_name (SwarmHost *self);
