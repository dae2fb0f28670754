// SPDX-License-Identifier: LGPL-2.1-or-later
/* The host's side of one plugin instance: services, files, timers, operations under way. The kinds' wrappers build on it. */
#pragma once
#include "base/clock.h"
#include "base/random.h"
#include "plugin/loader.h"
#include "plugin/services.h"

/* What a wrapper needs to bring a plugin to life. Pointers must outlive the wrapper, the strings are copied. */
typedef struct {
  SwarmClock *clock;
  SwarmRandom *random;           /* NULL: the system's */
  SwarmPluginServices *services; /* NULL: plugins of this process may not use units (simulator, scheduler) */
  const char *scope_dir;         /* "/run/swarm-agent/task"; NULL: no files */
  /* A value of the plugin's section of agent.conf, borrowed until the wrapper is freed; NULL func: no values. */
  const char *(*config) (const char *plugin, const char *key, gpointer data);
  gpointer data;
  gboolean descriptors; /* plugins may watch descriptors, on the thread's default main context; FALSE: there is no such loop (simulator) */
} SwarmPluginHostConfig;
