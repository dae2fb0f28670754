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
/* A started task ended by itself. */
typedef void (*SwarmHostExited) (gpointer owner, const SwarmPluginExit *exit);
/* What a network plugin can do changed. */
typedef void (*SwarmHostState) (gpointer owner, const SwarmPluginNetworkState *state);

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
  GHashTable *watches;  /* number → HostWatch: descriptors */
  GHashTable *requests; /* HostRequest, set */
  GHashTable *calls;    /* number → HostCall */
  guint watch;
  SwarmPluginUnitWatchFunc watch_func;
  void *watch_data;
  SwarmHostCancel cancel; /* NULL: the plugin cannot */
  gpointer owner;         /* the wrapper */
  SwarmHostExited exited; /* NULL: not a runtime */
  SwarmHostState state;   /* NULL: not a network */
  gboolean closing;
} SwarmHost;

/* Opens an operation: pass the result to the plugin, then swarm_host_entered(). @op and @about (may be NULL) are for the log.
 * @data is a block of g_malloc that @done frees; the host does when there is nobody to answer any more. */
SwarmPluginCall *swarm_host_call (SwarmHost *self, const char *op, const char *about, gint64 timeout_us, SwarmHostDone done,
                                  gpointer data, guint64 *ret_number);
/* Gives up on operation @number. */
void swarm_host_give_up (SwarmHost *self, guint64 number);
/* Time the plugin took inside one of its functions, since @started_us (g_get_monotonic_time); says so in the log when it was long. */
void swarm_host_timed (SwarmHost *self, const char *op, gint64 started_us);
const char *swarm_host_plugin_name (SwarmHost *self);

/* ---- the head of each wrapper ---- */

/* The ops of every kind begin with these two. */
typedef struct {
  SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length);
  void (*fini) (SwarmPluginInstance *self);
} SwarmPluginLife;
#define SWARM_PLUGIN_HAS_LIFE(Ops) \
  G_STATIC_ASSERT (G_STRUCT_OFFSET (Ops, init) == G_STRUCT_OFFSET (SwarmPluginLife, init) \
                   && G_STRUCT_OFFSET (Ops, fini) == G_STRUCT_OFFSET (SwarmPluginLife, fini))

/* The first member of a wrapper, which is thus the host's owner. */
typedef struct {
  SwarmHost *host;
  const SwarmPluginLife *life;
  SwarmPluginInstance *instance; /* NULL: init failed */
} SwarmHostHead;

/* Loads @plugin into the zeroed @self. @cancel, @exited and @state as in SwarmHost, or NULL. FALSE: it failed, and @self is still to be closed. */
gboolean swarm_host_open (SwarmHostHead *self, SwarmPlugin *plugin, const SwarmPluginHostConfig *config, SwarmHostCancel cancel,
                          SwarmHostExited exited, SwarmHostState state, GError **error);
/* Lets the plugin go; calls under way are dropped without an answer. */
void swarm_host_close (SwarmHostHead *self);
