// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include <glib.h>
#include <swarm-plugin.h>

#define TASK_PREFIX "swarm-task-"
#define TASK_ID_LEN 25

struct SwarmPluginInstance {
  SwarmPluginHost *host;
  char *podman;
  char *skopeo;
  char *pull_timeout;
  GHashTable *tasks;      /* task id → PodmanTask */
  GHashTable *containers; /* container id → PodmanTask */
  GHashTable *prepares;   /* SwarmPluginCall → PodmanOp, for cancel */
  int exits_fd;           /* inotify on conmon's exit directory; -1: not there yet */
  guint exits_source;
  gboolean watching;      /* the units of tasks */
  guint next_resolve;
};

/* What is known of a task here. */
typedef struct {
  SwarmPluginInstance *owner;
  char *id;
  char *container_id;
  GArray *ports;     /* guint32: protocol << 16 | port on the host */
  gboolean started;  /* start answered with OK */
  gboolean stopping; /* stop or remove was asked for: its end is no news */
  gboolean exited;   /* reported */
  gboolean unit_up;  /* its unit has a main process */
  int early_code;    /* from conmon's file before start was answered; -1: none */
  gint64 early_time;
} PodmanTask;

/* One operation under way. */
typedef struct {
  SwarmPluginInstance *self;
  SwarmPluginCall *call;
  char *id;    /* task id or scope */
  char *image; /* resolve */
  char *error; /* kept while the reason is read from a file */
  gboolean cancelled;
  SwarmPluginCode code;
  guint tries;
} PodmanOp;

/* create.c */
/* The file "create": "pull"/"missing", image, then the arguments of podman create, NUL separated. NULL with @ret_error: the task cannot be had. */
GByteArray *podman_create_arguments (const SwarmPluginTask *task, GString *env_file, GByteArray *environ_file, char **ret_error);
/* podman's auth.json from docker's X-Registry-Auth for the registry of @image; NULL with @ret_error when it is not understood. */
char *podman_auth_file (const char *image, const char *auth, char **ret_error);

/* oneshot.c */
/* Runs @argv as a transient unit to its end; a unit of that name that an earlier agent left is stopped first. */
void podman_run_oneshot (SwarmPluginHost *host, const char *name, const char *const *properties, const char *const *argv,
                         SwarmPluginUnitFunc func, void *data);

/* exits.c */
/* Follows conmon's exit directory; may be called again when it could not be opened before. */
void podman_exits_watch (SwarmPluginInstance *self);
void podman_exits_unwatch (SwarmPluginInstance *self);
/* The code that conmon wrote for @container_id; FALSE: none. */
gboolean podman_exits_read (const char *container_id, int *ret_code);

/* runtime-podman.c */
/* The container of @container_id ended with @code (from conmon's file). */
void podman_container_exited (SwarmPluginInstance *self, const char *container_id, int code);
