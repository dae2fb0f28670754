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
  char *crun;
  char *pull_timeout;
  GHashTable *tasks;      /* task id → PodmanTask */
  GHashTable *containers; /* container id → PodmanTask */
  GHashTable *prepares;   /* SwarmPluginCall → PodmanOp, for cancel */
  GHashTable *images;     /* references with a digest of which the image is known to be here */
  GHashTable *pulls;      /* key → PodmanPull, under way */
  GHashTable *oneshots;   /* of oneshot.c: under way; NULL: none yet */
  GQueue to_remove;       /* PodmanOp: their units are stopped, their containers wait for podman rm */
  GPtrArray *removing;    /* PodmanOp, of the podman rm under way; NULL: none */
  int exits_fd;           /* inotify on conmon's exit directory; -1: not there yet */
  guint exits_source;
  gboolean watching;      /* the units of tasks */
  guint next_resolve;
  guint next_inspect;
  GHashTable *execs; /* SwarmPluginCall → command under way (health.c) */
  guint next_exec;
};

/* What is known of a task here. */
typedef struct {
  SwarmPluginInstance *owner;
  char *id;
  char *container_id;
  GArray *ports;     /* guint32: protocol << 16 | port on the host */
  gboolean left_over; /* an earlier agent prepared it, and may have been about to */
  gboolean started;  /* start answered with OK */
  gboolean stopping; /* stop or remove was asked for: its end is no news */
  gboolean exited;   /* reported */
  gboolean unit_up;  /* its unit has a main process */
  int early_code;    /* from conmon's file before start was answered; -1: none */
  gint64 early_time;
} PodmanTask;

typedef struct PodmanPull PodmanPull;

/* One operation under way. */
typedef struct {
  SwarmPluginInstance *self;
  SwarmPluginCall *call;
  char *id;    /* task id or scope */
  char *image; /* resolve, prepare */
  char *auth;  /* prepare: podman's auth.json or NULL */
  PodmanPull *pull; /* prepare waits for it */
  gboolean alone; /* remove: in no batch with others */
  char *error; /* kept while the reason is read from a file */
  gboolean cancelled;
  SwarmPluginCode code;
  guint tries;
} PodmanOp;

#define PODMAN_ERROR_FILE_MAX 8192

/* op.c */
PodmanOp *podman_op_new (SwarmPluginInstance *self, SwarmPluginCall *call, const char *id);
/* For one that nobody waits for any more. */
void podman_op_free (gpointer op);
/* These answer the call and free the operation. */
void podman_op_finish (PodmanOp *op, const SwarmPluginResult *result);
void podman_op_ok (PodmanOp *op);
void podman_op_fail (PodmanOp *op, SwarmPluginCode code, const char *error);
/* Fails with podman's own words, which lie in the file "error" of the scope; @error: without such. */
void podman_op_fail_with_reason (PodmanOp *op, SwarmPluginCode code, const char *error);
/* The task as known here, made when it is not. */
PodmanTask *podman_task_get (SwarmPluginInstance *self, const char *id);
void podman_task_set_container (PodmanTask *task, const char *container_id);
/* The id in the name of a task's unit; NULL: it is none. */
const char *podman_task_of_unit (const char *name, char id[TASK_ID_LEN + 1]);
char *podman_scope_dir (SwarmPluginInstance *self, const char *scope);
/* A unit that runs a program to its end, its standard error in the scope's file "error", its output in @output (NULL: nowhere). */
void podman_run_unit (SwarmPluginInstance *self, const char *name, const char *scope, const char *output, const char *timeout,
                      const char *const *argv, SwarmPluginUnitFunc func, void *data);
void podman_ignore_file (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data);
/* The last line of podman's standard error, without its "Error: " and the container's 64 digits that tell people nothing. */
char *podman_last_line (const char *text);
/* Of the container's first process, conmon's child; 0: it has none. */
guint32 podman_container_pid (const char *container_id);

/* image.c */
typedef void (*PodmanImageFunc) (PodmanOp *op, SwarmPluginCode code, const char *error);
/* The reference has a digest: it names one content for ever. */
gboolean podman_image_is_fixed (const char *image);
/* @func (maybe at once) when @image is here or cannot be had; @auth: podman's auth.json or NULL. */
void podman_image_need (PodmanOp *op, const char *image, const char *auth, PodmanImageFunc func);
/* @op waits no more; the last one that goes stops the pull. */
void podman_image_leave (PodmanOp *op);
/* It may be here no more: somebody may have removed it. */
void podman_image_forget (SwarmPluginInstance *self, const char *image);
void podman_pull_free (gpointer pull);

/* The operations of SwarmRuntimeOps: prepare.c, remove.c, list.c, image.c */
void podman_prepare (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call);
void podman_cancel (SwarmPluginInstance *self, SwarmPluginCall *call);
void podman_stop (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call);
void podman_remove (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call);
void podman_list (SwarmPluginInstance *self, SwarmPluginCall *call);
void podman_resolve_image (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call);

/* health.c */
void podman_exec (SwarmPluginInstance *self, const SwarmPluginCommand *command, SwarmPluginCall *call);
/* FALSE: @call is no command. */
gboolean podman_exec_cancel (SwarmPluginInstance *self, SwarmPluginCall *call);
void podman_exec_forget (gpointer exec);
void podman_inspect_image (SwarmPluginInstance *self, const char *image, SwarmPluginCall *call);

/* find.c */
void podman_find (SwarmPluginInstance *self, const char *container, SwarmPluginCall *call);

/* create.c */
/* The container's ports are podman's to open. */
gboolean podman_publishes (const SwarmPluginTask *task);
/* The file "create": the arguments of podman create, NUL separated. NULL with @ret_error: the task cannot be had. */
GByteArray *podman_create_arguments (const SwarmPluginTask *task, GString *env_file, GByteArray *environ_file, char **ret_error);
/* podman's auth.json from docker's X-Registry-Auth for the registry of @image; NULL with @ret_error when it is not understood. */
char *podman_auth_file (const char *image, const char *auth, char **ret_error);

/* oneshot.c */
/* Runs @argv as a transient unit to its end; a unit of that name that an earlier agent left is stopped first. */
void podman_run_oneshot (SwarmPluginInstance *self, const char *name, const char *const *properties, const char *const *argv,
                         SwarmPluginUnitFunc func, void *data);

/* exits.c */
/* Follows conmon's exit directory; may be called again when it could not be opened before. */
void podman_exits_watch (SwarmPluginInstance *self);
void podman_exits_unwatch (SwarmPluginInstance *self);
/* The code that conmon wrote for @container_id; FALSE: none. */
gboolean podman_exits_read (const char *container_id, int *ret_code);

/* runtime-podman.c */
void podman_unit_changed (const SwarmPluginUnitState *state, void *self);
/* The container of @container_id ended with @code (from conmon's file). */
void podman_container_exited (SwarmPluginInstance *self, const char *container_id, int code);
