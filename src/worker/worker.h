// SPDX-License-Identifier: LGPL-2.1-or-later
/* A node's worker: the session with the leader, and a machine for each task that runs here.
 * Pure: reaches the world through clock, random, disk, transport and the plugin hosts only. */
#pragma once
#include "base/clock.h"
#include "base/disk.h"
#include "base/link.h"
#include "base/random.h"
#include "model/picture.h"
#include "plugin/network-host.h"
#include "plugin/runtime-host.h"

typedef struct _SwarmWorker SwarmWorker;

/* Where a manager listens. */
typedef struct {
  SwarmId node;
  char *address; /* HOST:PORT */
} SwarmManagerAddress;
SwarmManagerAddress *swarm_manager_address_new (const SwarmId *node, const char *address);
void swarm_manager_address_free (SwarmManagerAddress *self);

typedef enum {
  SWARM_SESSION_NONE,        /* not started, or ended */
  SWARM_SESSION_CONNECTING,
  SWARM_SESSION_REGISTERED,
} SwarmSessionState;
SWARM_ENUM_DECLARE (SwarmSessionState, swarm_session_state)

/* Counts for Info and STATUS=. */
typedef struct {
  SwarmSessionState session;
  guint tasks;   /* assigned here, not yet removed */
  guint running; /* observed running */
} SwarmWorkerStatus;

/* All pointers must outlive the worker. */
typedef struct {
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmTransport *transport;
  SwarmDisk *disk;       /* what was accepted here and how it ended; NULL: nothing is kept (tests) */
  SwarmRuntimeHost *runtime;
  SwarmNetworkHost *network; /* NULL: network_mode is "" */
  SwarmId node;
  const char *hostname;  /* copied */
  const char *boot_id;   /* copied; of this boot of the host */
  guint max_tasks;       /* 0: 10000; what would be more is refused */
  const char *listen_address; /* copied; HOST:PORT where this agent listens, NULL: nowhere */

  /* A description of this node as it is now; the worker takes the reference. Asked at each registration. */
  SwarmNodeDescription *(*describe) (gpointer data);
  /* The managers and who leads (NULL: unknown) as the leader told; @managers: SwarmManagerAddress *, borrowed: keep it for the next start. May be NULL. */
  void (*managers_changed) (GPtrArray *managers, const SwarmId *leader, gpointer data);
  /* This node's own object changed (desired role, availability). May be NULL. */
  void (*node_changed) (const SwarmNode *node, gpointer data);
  /* The leader says which root certificate (PEM) is to be trusted from now on. May be NULL. */
  void (*root_changed) (const char *pem, gpointer data);
  /* A manager refuses this node, or cannot be believed itself (ACCESS_DENIED), so that there is no session. May be NULL. */
  void (*session_refused) (const char *address, const GError *error, gpointer data);
  /* The session came or went (@error: why, NULL when it came). May be NULL. */
  void (*session_changed) (SwarmSessionState state, const GError *error, gpointer data);
  /* A task's state changed here: for the node's own task list on the bus. May be NULL. */
  void (*task_changed) (const SwarmTask *task, gpointer data);
  /* What is known of the networks, as the network plugin is given it: whole at first (as it was kept, or as the leader tells it), then changes.
   * Borrowed for the call. May be NULL. */
  void (*picture_changed) (const SwarmPictureChange *change, gpointer data);
  /* The leader calls Worker.ReadLogs or another interface on our link: answer the call. NULL: refused. */
  void (*read_logs) (SwarmCall *call, gpointer data);
  void (*other_call) (SwarmCall *call, gpointer data);
  gpointer data;
} SwarmWorkerConfig;

/* Copies @config and its strings; what else it points to must outlive it. Does nothing before swarm_worker_start(). */
SwarmWorker *swarm_worker_new (const SwarmWorkerConfig *config);
/* Drops the session without a goodbye; tasks stay as they are. NULL is fine. */
void swarm_worker_free (SwarmWorker *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmWorker, swarm_worker_free)

/* Reads what is kept, adopts what runs, then looks for the leader among @managers (SwarmManagerAddress *, copied). FALSE: what is kept cannot be
 * read (the error names the file); nothing was touched. */
gboolean swarm_worker_start (SwarmWorker *self, GPtrArray *managers, GError **error);
/* Other managers to try (copied), e.g. when this node itself became one. A session that stands is kept. */
void swarm_worker_set_managers (SwarmWorker *self, GPtrArray *managers);
/* What `describe` says has changed: the leader is told, if there is a session; else it hears it with the next one. */
void swarm_worker_describe (SwarmWorker *self);
/* Ends the session with a goodbye; @func when it was said or could not be (two seconds at most). Tasks stay as they are. */
void swarm_worker_goodbye (SwarmWorker *self, gboolean host_shutdown, void (*func) (gpointer data), gpointer data);
/* Stops and removes every task here (leave); @func when all are gone or @timeout_us is over. The session stays as it is and the leader hears
 * nothing of it: so that nothing of this runs twice, it begins to replace the tasks only with the goodbye that is to follow. What is
 * kept on disk stays, for the caller to wipe. */
void swarm_worker_drain (SwarmWorker *self, gint64 timeout_us, void (*func) (gpointer data), gpointer data);

/* @task (borrowed) with its addresses; NULL when @error is set. */
typedef void (*SwarmWorkerAttachFunc) (const SwarmTask *task, const GError *error, gpointer data);
/* Puts a container of this host that is no task (its name or id) into an attachable network (its name or id), and answers when it is there. Docker's
 * words; what came to nothing leaves nothing. @func once, at the latest when the worker is freed. */
void swarm_worker_attach (SwarmWorker *self, const char *container, const char *network, SwarmWorkerAttachFunc func, gpointer data);
/* Takes it out again; answers when it is out. NOT_FOUND: it is not in there. */
void swarm_worker_detach (SwarmWorker *self, const char *container, const char *network, SwarmWorkerAttachFunc func, gpointer data);

/* An incoming call on a link that the worker dialled, or that the daemon routes here: org.swarmagent1.Worker. */
void swarm_worker_handle_call (SwarmWorker *self, SwarmCall *call);

/* Rows of what this node knows of the networks (model/picture.h); borrowed for the call. */
void swarm_worker_picture_foreach (SwarmWorker *self, SwarmKind kind, void (*func) (gpointer row, gpointer data), gpointer data);
/* One of them; NULL: it is not known here. Caller unrefs. */
gpointer swarm_worker_picture_get (SwarmWorker *self, SwarmKind kind, const SwarmId *id);
/* As of now. */
void swarm_worker_get_status (SwarmWorker *self, SwarmWorkerStatus *ret);
/* The tasks of this node with their newest local status, for the bus of a worker; caller unrefs the array (elements freed with it). */
GPtrArray *swarm_worker_list_tasks (SwarmWorker *self);
/* One of them; caller unrefs. NULL: no such task here. */
SwarmTask *swarm_worker_find_task (SwarmWorker *self, const SwarmId *id);
