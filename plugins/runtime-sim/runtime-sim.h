// SPDX-License-Identifier: LGPL-2.1-or-later
/* What tests may ask of the pretended containers when runtime-sim is linked into their program (-DSWARM_PLUGIN_BUILTIN). */
#pragma once
#include <glib.h>
#include <swarm-plugin.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_runtime_sim;

typedef struct {
  const char *host;
  const char *task_id;
  const char *name;
  const char *service;
  gboolean running;
  guint starts; /* how often it was started, over all boots and hosts: more than 1 is a broken promise */
  int exit_code; /* -1 while it runs or before it ran */
} RuntimeSimTask;

/* Every container there ever was, also removed ones. @host NULL: of all hosts. */
void runtime_sim_foreach (const char *host, void (*func) (const RuntimeSimTask *task, gpointer data), gpointer data);
/* A running container ends with @exit_code; FALSE: it does not run. */
gboolean runtime_sim_kill (const char *task_id, int exit_code);
/* Forgets the whole world, between tests. No instance may live. */
void runtime_sim_reset (void);
