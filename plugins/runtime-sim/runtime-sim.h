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
  gboolean may_be_unhealthy; /* its health commands fail at times */
  gboolean exists;    /* not removed yet */
  gboolean was_healthy; /* its health commands have had a time when they say yes */
} RuntimeSimTask;

/* How a task's container behaves, when labels shall not say it. */
typedef struct {
  gint64 prepare_us, start_us, stop_us;
  gint64 exit_after_us; /* -1: never by itself */
  int exit_code;
  gint64 healthy_after_us; /* commands in it say no until so long after the start; -1: always */
  gint64 sick_after_us;    /* and again from then on; -1: never */
  gboolean exec_hangs;     /* they never end */
  gboolean no_image;
  char *prepare_error, *start_error; /* NULL: succeeds; freed with g_free */
} RuntimeSimPlan;

/* Asked once per task, when it is prepared; @plan holds what the labels say. NULL @func: nobody is asked. */
void runtime_sim_set_planner (void (*func) (const SwarmPluginTask *task, const char *host, RuntimeSimPlan *plan, gpointer data), gpointer data);

typedef enum {
  RUNTIME_SIM_STARTED,
  RUNTIME_SIM_STOPPING, /* the host asked for it */
  RUNTIME_SIM_ENDED,    /* stopped, by itself, or its host went off */
} RuntimeSimChange;

/* Told each change of a container, as it happens. */
void runtime_sim_set_observer (void (*func) (const RuntimeSimTask *task, RuntimeSimChange change, gpointer data), gpointer data);

/* Every container there ever was, also removed ones. @host NULL: of all hosts. */
void runtime_sim_foreach (const char *host, void (*func) (const RuntimeSimTask *task, gpointer data), gpointer data);
/* The containers of a host whose power went run no more, and are told to the observer. */
void runtime_sim_power_off (const char *host);
/* One container; FALSE: there is none. */
gboolean runtime_sim_find (const char *task_id, RuntimeSimTask *ret);
/* A running container ends with @exit_code; FALSE: it does not run. */
gboolean runtime_sim_kill (const char *task_id, int exit_code);
/* Makes a container that is no task, or changes it; @pid 0: it does not run. Of whichever host. */
void runtime_sim_put_plain (const char *id, const char *name, guint32 pid);
void runtime_sim_drop_plain (const char *id);
/* Forgets the whole world, between tests. No instance may live. */
void runtime_sim_reset (void);
