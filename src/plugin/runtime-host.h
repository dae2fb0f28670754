// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent's handle on its runtime plugin: checks, times, bounds and logs each call. */
#pragma once
#include "model/objects.h"
#include "plugin/host.h"

typedef struct _SwarmRuntimeHost SwarmRuntimeHost;

/* Borrowed; strings may be NULL. */
typedef struct {
  const char *container_id;
  guint32 pid;
  const char *image; /* resolve_image */
  int exit_code;     /* exec; stop: -1 when nobody can tell */
  const char *output; /* exec: valid UTF-8, never NULL */
  const char *name;  /* find */
  guint64 started;   /* find: of the process, as the kernel counts */
  SwarmHealthcheck *health; /* inspect_image: NULL when the image declares none; its numbers are kept within the rules of specs */
} SwarmRuntimeResult;

/* @result is NULL when @error is set. Called exactly once, from the loop, never re-entrantly; not after the host was freed. */
typedef void (*SwarmRuntimeFunc) (const SwarmRuntimeResult *result, const GError *error, gpointer data);

typedef struct {
  SwarmId task;
  gboolean running;
  int exit_code; /* -1: it has not started */
  gint64 started_at;
  gint64 exited_at;
  guint32 pid;
  char *container_id;
} SwarmRuntimeTask;

/* @tasks: SwarmRuntimeTask *, borrowed; NULL on error. */
typedef void (*SwarmRuntimeListFunc) (GPtrArray *tasks, const GError *error, gpointer data);
/* A started task ended by itself. @reason may be NULL. */
typedef void (*SwarmRuntimeExitFunc) (const SwarmId *task, int exit_code, gint64 exited_at, const char *reason, gpointer data);

/* Calls the plugin's init; NULL when it fails (the error says why, with the plugin's name). */
SwarmRuntimeHost *swarm_runtime_host_new (SwarmPlugin *plugin, const SwarmPluginHostConfig *config, GError **error);
/* Calls the plugin's fini; nothing is called back any more. NULL is fine. */
void swarm_runtime_host_free (SwarmRuntimeHost *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmRuntimeHost, swarm_runtime_host_free)

/* As the plugin calls itself: "runtime-podman". */
const char *swarm_runtime_host_name (SwarmRuntimeHost *self);
/* Who hears of exits; from swarm_runtime_host_list() on. */
void swarm_runtime_host_set_exit_func (SwarmRuntimeHost *self, SwarmRuntimeExitFunc func, gpointer data);

/* @node and @hostname tell where we are; @network_mode and @resolver (may be NULL) are the network plugin's. @timeout_us bounds the call: then it is cancelled and fails with
 * TIMED_OUT. Each returns a number for swarm_runtime_host_cancel(). */
guint64 swarm_runtime_host_prepare (SwarmRuntimeHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                                    const char *network_mode, const char *resolver, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
/* As prepare, but the plugin is not given the registry's credentials. */
guint64 swarm_runtime_host_start (SwarmRuntimeHost *self, const SwarmTask *task, const SwarmId *node, const char *hostname,
                                  const char *network_mode, const char *resolver, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
guint64 swarm_runtime_host_stop (SwarmRuntimeHost *self, const SwarmId *task, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
guint64 swarm_runtime_host_remove (SwarmRuntimeHost *self, const SwarmId *task, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
guint64 swarm_runtime_host_list (SwarmRuntimeHost *self, gint64 timeout_us, SwarmRuntimeListFunc func, gpointer data);
/* result.image: @image with its digest. @auth is docker's X-Registry-Auth or NULL. */
guint64 swarm_runtime_host_resolve_image (SwarmRuntimeHost *self, const char *image, const char *auth, gint64 timeout_us,
                                          SwarmRuntimeFunc func, gpointer data);
gboolean swarm_runtime_host_can_exec (SwarmRuntimeHost *self);
/* Runs @argv (NULL-terminated) in the task's container. TIMED_OUT: it took longer than @timeout_us and was killed. */
guint64 swarm_runtime_host_exec (SwarmRuntimeHost *self, const SwarmId *task, const char *const *argv, gint64 timeout_us, gsize max_output,
                                 SwarmRuntimeFunc func, gpointer data);
/* result.health: what @image, which has been prepared here, declares. */
guint64 swarm_runtime_host_inspect_image (SwarmRuntimeHost *self, const char *image, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
/* A container that is not a task's, by name or id: result.container_id, .name, .started and .pid, 0 when it does not run. NOT_FOUND; INVALID_ARGUMENT: it cannot
 * be in a network of its own. */
guint64 swarm_runtime_host_find (SwarmRuntimeHost *self, const char *container, gint64 timeout_us, SwarmRuntimeFunc func, gpointer data);
/* Asks the plugin to give up; the function is still called (with CANCELLED or what came of it), at the latest after five seconds. */
void swarm_runtime_host_cancel (SwarmRuntimeHost *self, guint64 call);
