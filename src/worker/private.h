// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the files of the worker share.
 *   worker.c   life, calls that come in, assignments
 *   session.c  finding the leader, registering, heartbeats
 *   report.c   status on its way to the leader
 *   task.c     the machine of one task
 *   assigned.c what the leader says of it
 *   health.c   a task's health command
 *   adopt.c    what an agent finds when it starts
 *   record.c   what is kept on disk of a task
 *   picture.c  what is known of the cluster's networks
 *   containers.c  calls that put containers that are no tasks into networks
 *   network.c  what the network plugin is told of the tasks that were adopted
 *   op.c       answers that may come after the worker is gone */
#pragma once
#include "worker/record.h"
#include "worker/worker.h"

typedef struct _SwarmWorkerSession SwarmWorkerSession;
typedef struct _SwarmWorkerReports SwarmWorkerReports;
typedef struct _SwarmWorkerTask SwarmWorkerTask;
typedef struct _SwarmWorkerHealth SwarmWorkerHealth;
typedef struct _SwarmWorkerPicture SwarmWorkerPicture;
typedef struct _SwarmWorkerContainers SwarmWorkerContainers;

/* What a task waits for. */
typedef enum {
  SWARM_STEP_NONE,
  SWARM_STEP_ATTACH,
  SWARM_STEP_PREPARE,
  SWARM_STEP_START,
  SWARM_STEP_STOP,
  SWARM_STEP_REMOVE,
  SWARM_STEP_DETACH,
} SwarmWorkerStep;

struct _SwarmWorkerTask {
  SwarmWorker *worker;
  SwarmId id;
  SwarmTask *task;         /* as the leader gave it; NULL: not yet heard of since this agent started */
  SwarmTaskStatus *status; /* as observed here */
  SwarmWorkerStep step;
  guint64 call; /* of the plugin, while a step is under way */
  gboolean cancelled;
  SwarmTimer *retry; /* the step failed and waits */
  guint attempts;
  SwarmTimer *linger; /* ended by itself: what is left of it is not in the way yet */
  char *network_mode;
  char *resolver; /* of the network plugin, with it */
  guint64 container_started; /* of an attachment: when its container's process began */
  SwarmTask *network;  /* as it was written down: what the network plugin must know of it; NULL: nothing */
  guint64 adopt_call;  /* of the network plugin, which is told of it; 0: none */
  gboolean prepared;   /* by this agent */
  gboolean may_run;    /* a start was tried, or it was found running */
  gboolean up;         /* it was started with success, or found running */
  gint64 up_since;     /* boot time */
  SwarmWorkerHealth *health; /* its health command, from when it is up on; NULL: not yet, or none */
  gboolean health_settled;   /* known to have one, or none */
  SwarmHealthcheck *image_health; /* that its image declares (empty: none); NULL: not known yet */
  gboolean unproven;   /* it has one that has not said yes yet: not running in the cluster's eyes */
  gboolean unhealthy;  /* it goes because of it */
  SwarmTimer *leaving; /* but not before this: others may still send it new connections */
  gboolean is_out;     /* this node was told that it gets none */
  gboolean touched;    /* network or runtime may have something of it */
  gboolean clean;      /* nothing of it is left in the runtime */
  gboolean unassigned; /* the leader wants it gone */
  gboolean kept;       /* its record is on disk: it may be started and spoken of */
  gboolean acked;      /* the leader has committed its present status */
  int waits_in; /* queue of the worker, -1: none */
  gboolean ended; /* an exit came during the start */
  int exit_code;
  gint64 exited_at;
  char *exit_reason;
};

struct _SwarmWorker {
  SwarmWorkerConfig config;
  char *hostname;
  char *boot_id;
  char *listen_address;
  GHashTable *tasks; /* &id → SwarmWorkerTask */
  gboolean adopted;  /* what runs is known */
  gboolean draining; /* everything is to go */
  GPtrArray *managers; /* SwarmManagerAddress, as last told */
  SwarmWorkerSession *session;
  SwarmWorkerReports *reports;
  SwarmWorkerPicture *picture;
  SwarmWorkerContainers *containers;
  GQueue waiting[3]; /* tasks that wait for a place, by class of step */
  guint under_way[3];
  guint64 sequence; /* of the last assignment of this session */
  GHashTable *collected; /* ids of a full assignment that comes in parts */
  SwarmTimer *list_retry;
  guint finding; /* containers of attachments that are looked for again */
  gboolean find_failed; /* of some: later may do */
  SwarmTimer *drain_limit;
  void (*drain_func) (gpointer data);
  gpointer drain_data;
  gboolean disk_failed; /* said once */
  gboolean network_late; /* said once */
  GHashTable *image_asks;   /* number of a question under way → image */
  GHashTable *image_health; /* image by digest → SwarmHealthcheck, that it declares (empty: none) */
};

/* ---- op.c: numbers dressed as pointers that lead to a worker as long as it lives ---- */
typedef struct {
  SwarmWorker *worker;
  SwarmId task;
  guint64 tag; /* the caller's */
} SwarmWorkerOp;

/* @task may be NULL. Pass the result as data of an asynchronous call. */
gpointer swarm_worker_op_new (SwarmWorker *self, const SwarmId *task, guint64 tag);
/* The op's worker and task, once; FALSE: the worker is gone. */
gboolean swarm_worker_op_take (gpointer data, SwarmWorkerOp *ret);
/* Forgets all ops of @self. */
void swarm_worker_op_forget (SwarmWorker *self);

/* ---- worker.c ---- */
SwarmWorkerTask *swarm_worker_task_of (SwarmWorker *self, const SwarmId *id);
/* A task was forgotten: a drain may be over. */
void swarm_worker_task_gone (SwarmWorker *self);
/* What runs is known: tasks may move and the leader may be looked for. */
void swarm_worker_adoption_done (SwarmWorker *self);
/* The manager list or the leader changed, as told by whom we are connected to. */
void swarm_worker_managers_told (SwarmWorker *self, GVariant *managers, GVariant *leader);
/* A new session: assignments begin anew. */
void swarm_worker_session_began (SwarmWorker *self);

/* ---- task.c ---- */
/* A new task from the leader, or from a record (@status; then @task is NULL until the leader names it). */
SwarmWorkerTask *swarm_worker_task_new (SwarmWorker *self, const SwarmId *id, const SwarmTaskStatus *status);
void swarm_worker_task_free (gpointer task);
/* What failed is tried anew at the next step, not later. */
void swarm_worker_task_forget_retry (SwarmWorkerTask *self);
/* Does what is to be done next, if nothing is under way. May free the task. */
void swarm_worker_task_step (SwarmWorkerTask *self);
/* The runtime says that it ended. */
void swarm_worker_task_exited (SwarmWorkerTask *self, int exit_code, gint64 exited_at, const char *reason);
/* The health command has said no too often: it is stopped, when others know, and has failed. */
void swarm_worker_task_unhealthy (SwarmWorkerTask *self);
/* The leader has told all nodes, as it did this one, that it gets no new connections. */
void swarm_worker_task_is_out (SwarmWorkerTask *self);
/* What its container's status says of its health. @output may be NULL. */
void swarm_worker_task_set_health (SwarmWorkerTask *self, const char *status, guint failing_streak, const char *output);
/* The one setter of the observed state: stamps, keeps, reports. */
void swarm_worker_task_set (SwarmWorkerTask *self, SwarmTaskState state, const char *text, const char *err, gint64 at_us);
SwarmTaskState swarm_worker_task_state (const SwarmWorkerTask *self);
/* The leader committed the status that the task has now. */
void swarm_worker_task_acked (SwarmWorkerTask *self);
/* The stored form with the local status. Caller unrefs. */
SwarmTask *swarm_worker_task_view (const SwarmWorkerTask *self);
/* As the leader gave it, or else what was written down of it; NULL: nothing. */
const SwarmTask *swarm_worker_task_known (const SwarmWorkerTask *self);
/* It has no container of its own: it puts one that is no task into its network. */
gboolean swarm_worker_task_is_attachment (const SwarmWorkerTask *self);
/* A place became free. */
void swarm_worker_task_next_waiting (SwarmWorker *self);

/* ---- assigned.c ---- */
/* Takes a newer version from the leader. */
void swarm_worker_task_assign (SwarmWorkerTask *self, SwarmTask *task);

/* ---- health.c ---- */
/* The health command that counts: the spec's, completed from the image's and then docker's defaults. NULL: there is none. Either may be
 * NULL. Caller unrefs. */
SwarmHealthcheck *swarm_health_resolve (const SwarmHealthcheck *spec, const SwarmHealthcheck *image);
/* Finds out early what the task's image declares; nothing when that is of no interest or known. */
void swarm_worker_health_look_ahead (SwarmWorkerTask *task);
/* As far as is known now, it will have a health command. */
gboolean swarm_worker_health_is_expected (const SwarmWorkerTask *task);
/* A task that is up and known: from now on its health command is asked; without one, it runs. Cheap; call it at any step. */
void swarm_worker_health_watch (SwarmWorkerTask *task);
/* No more: it is stopped or over. */
void swarm_worker_health_end (SwarmWorkerTask *task);

/* ---- adopt.c ---- */
gboolean swarm_worker_adopt (SwarmWorker *self, GError **error);
/* Writes or removes the record of a task. */
void swarm_worker_keep (SwarmWorkerTask *task);
void swarm_worker_unkeep (SwarmWorker *self, const SwarmId *id);

/* ---- network.c ---- */
/* What of the task is to be written down for the network plugin; NULL: nothing. Caller unrefs. */
SwarmTask *swarm_worker_network_of (const SwarmWorkerTask *self);
/* Tells the network plugin of all tasks that run. Before it gets its first picture. */
void swarm_worker_network_adopt (SwarmWorker *self);
/* The task is taken off its network. */
void swarm_worker_network_forget (SwarmWorkerTask *self);
/* @func is called when all that the network plugin was told is in force, or after a second anyway; it passes @error on to
 * swarm_worker_network_settled(). FALSE: there is nothing to wait for, and @func is not called. @op: of swarm_worker_op_new(), taken. */
gboolean swarm_worker_network_settle (SwarmWorker *self, SwarmNetworkFunc func, gpointer op);
void swarm_worker_network_settled (SwarmWorker *self, const GError *error);

/* ---- containers.c ---- */
SwarmWorkerContainers *swarm_worker_containers_new (SwarmWorker *worker);
/* Answers who waits. */
void swarm_worker_containers_free (SwarmWorkerContainers *self);
/* The task's state changed, or (NULL) tasks went. */
void swarm_worker_containers_look (SwarmWorkerContainers *self);

/* ---- picture.c ---- */
SwarmWorkerPicture *swarm_worker_picture_new (SwarmWorker *worker);
void swarm_worker_picture_free (SwarmWorkerPicture *self);
/* Reads what is kept; what cannot be read is said and left. */
void swarm_worker_picture_load (SwarmWorkerPicture *self);
/* From now on it is given on: what is kept at once. */
void swarm_worker_picture_start (SwarmWorkerPicture *self);
void swarm_worker_picture_session_began (SwarmWorkerPicture *self);
/* Worker.Networks. All of it, and @call is answered when it is in force; or nothing, and an error. */
gboolean swarm_worker_picture_take (SwarmWorkerPicture *self, SwarmCall *call, GError **error);

/* ---- report.c ---- */
SwarmWorkerReports *swarm_worker_reports_new (SwarmWorker *worker);
void swarm_worker_reports_free (SwarmWorkerReports *self);
/* The task's status is to be told; @soon: at once, else with others. */
void swarm_worker_reports_add (SwarmWorkerReports *self, SwarmWorkerTask *task, gboolean soon);
/* A session began (@link, @session) or ended (NULL). */
void swarm_worker_reports_set_session (SwarmWorkerReports *self, SwarmLink *link, GBytes *session);

/* ---- session.c ---- */
SwarmWorkerSession *swarm_worker_session_new (SwarmWorker *worker);
void swarm_worker_session_free (SwarmWorkerSession *self);
void swarm_worker_session_start (SwarmWorkerSession *self, GPtrArray *managers);
void swarm_worker_session_stop (SwarmWorkerSession *self);
void swarm_worker_session_set_managers (SwarmWorkerSession *self, GPtrArray *managers);
SwarmSessionState swarm_worker_session_state (SwarmWorkerSession *self);
/* TRUE: @session is the one that stands. */
gboolean swarm_worker_session_is (SwarmWorkerSession *self, GVariant *session);
/* Somebody else leads (nil: nobody is known to). */
void swarm_worker_session_leader_is (SwarmWorkerSession *self, const SwarmId *leader);
/* The leader does not know the session any more. */
void swarm_worker_session_is_stale (SwarmWorkerSession *self);
/* Calls the leader's Dispatcher.@member with the session and @args (a tuple, sunk). FALSE: there is no session, @func is not called. */
gboolean swarm_worker_session_call (SwarmWorkerSession *self, const char *member, GVariant *args, gint64 timeout_us, SwarmReplyFunc func, gpointer data);
void swarm_worker_session_describe (SwarmWorkerSession *self);
void swarm_worker_session_goodbye (SwarmWorkerSession *self, gboolean host_shutdown, void (*func) (gpointer data), gpointer data);
