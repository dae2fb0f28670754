// SPDX-License-Identifier: LGPL-2.1-or-later
/* A leading manager in virtual time over an in-memory log, and tame nodes that do what they are told or what a test says. */
#pragma once
#include "manager/manager.h"
#include "plugin/scheduler-set.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-log.h"

#define MS 1000
#define SECOND ((gint64) 1000 * MS)

typedef struct _Tame Tame;

typedef struct {
  SimClock *sim;
  SwarmClock *clock;
  SwarmClock *manager_clock; /* the manager's own view: it may stand still */
  SimRandom random;
  SimCrypto crypto;
  SwarmExternalSigner signer; /* from the next brain_restart() on */
  SimLog *log;
  SwarmStore *store;
  SwarmManager *manager;
  SwarmSchedulerSet *schedulers;
  SwarmId cluster;
  GPtrArray *nodes; /* Tame */
  GArray *members;  /* SwarmMember: what the membership hook lists */
  SwarmId removed_member;
  SwarmId slow_member; /* never catches up */
  guint promotions;
  guint transfers;
} Brain;

struct _Tame {
  Brain *brain;
  SwarmId id;
  char *hostname;
  SwarmLink *near; /* the node's end; NULL: not connected */
  SwarmLink *far;
  GBytes *session;
  GHashTable *tasks; /* id → SwarmTask as assigned */
  GHashTable *stash; /* parts of a full set */
  guint64 sequence;
  guint assigns, fulls, parts;
  SwarmTimer *beat;
  gboolean mute;     /* sends no heartbeats */
  gboolean tells_clock; /* with its heartbeats */
  gboolean slow_beats;  /* tells it with every other one, for the one that told it was answered late */
  gboolean told_clock;  /* with the last one */
  gint64 clock_offset;  /* µs: how far its clock is ahead */
  gboolean stubborn; /* never stops a task */
  gboolean lazy;     /* takes tasks, but reports nothing by itself */
  gboolean refuses;  /* fails each Assign */
  gboolean rejects;  /* rejects each task: no such image */
  const char *bad_image; /* tasks of images with this in their names fail at their start */
  GError *register_error;
  GVariant *managers;
  guint node_changes;
  SwarmRole told_role;
  gboolean disconnected;
  guint level; /* its feature level, from the next connection on; 0: it does not say */
  GPtrArray *keys; /* SwarmNetworkKey: its own for encrypted networks; NULL: none. As the next: from the next description on */
  const char *const *network_drivers; /* that it can have; NULL: it does not say */
  GError *describe_error;
  void (*networks) (Tame *self, SwarmCall *call); /* takes Worker.Networks, and answers it */
  gpointer picture; /* the test's */
};

Brain *brain_new (void);
void brain_free (Brain *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Brain, brain_free)
void brain_run (Brain *self, gint64 us);
/* The manager's process is started anew over the same log. Links break. */
void brain_restart (Brain *self);

/* A node in the store, connected and ready after a moment unless @offline. */
Tame *brain_node (Brain *self, const char *hostname);
Tame *brain_offline_node (Brain *self, const char *hostname);
void tame_connect (Tame *self);
/* The link breaks (the agent was killed). */
/* It describes itself anew. NULL: it was taken. */
const GError *tame_describe (Tame *self);
void tame_disconnect (Tame *self);
/* It beats again after having been mute. */
void tame_speak (Tame *self);
void tame_goodbye (Tame *self, gboolean host_shutdown);
void tame_report (Tame *self, const SwarmId *task, SwarmTaskState state, const char *err);
guint tame_n_tasks (Tame *self, SwarmTaskState max_desired);
const SwarmNode *tame_node (Tame *self);

/* A spec of one container, `nginx`, restart delay 0. Caller owns it and may change it, the nested messages are its own. */
SwarmServiceSpec *brain_spec (const char *name, guint64 replicas);
/* Adds a port published on the host. */
void spec_host_port (SwarmServiceSpec *spec, guint port);
/* Nodes n1 to n@nodes are ready, and the service "web" of brain_spec() with @replicas has been there for a second. */
Brain *brain_with_web (guint nodes, guint replicas, SwarmId *ret_web);
/* The node that was made as number @i, from 0. */
Tame *brain_tame (Brain *self, guint i);
/* What became of a call of control; brain_outcome() fills it. @text and @error are the caller's to free. */
typedef struct {
  gboolean done;
  SwarmId id;
  char *text;
  GError *error;
} BrainOutcome;
void brain_outcome (const SwarmControlReply *reply, const GError *error, gpointer data);
/* Waits for the outcome. */
SwarmId brain_create (Brain *self, const SwarmServiceSpec *spec);
gboolean brain_try_create (Brain *self, const SwarmServiceSpec *spec, const char *request_id, SwarmId *ret, GError **error);
gboolean brain_update (Brain *self, const SwarmId *id, const SwarmServiceSpec *spec, GError **error);
gboolean brain_scale (Brain *self, const SwarmId *id, guint64 replicas, GError **error);
gboolean brain_rollback (Brain *self, const SwarmId *id, GError **error);
gboolean brain_remove (Brain *self, const SwarmId *id, GError **error);
gboolean brain_availability (Brain *self, Tame *node, const char *availability, GError **error);
gboolean brain_set_role (Brain *self, Tame *node, SwarmRole role, GError **error);
gboolean brain_remove_node (Brain *self, Tame *node, gboolean force, GError **error);

guint count_tasks (Brain *self, const SwarmId *service, SwarmTaskState state, SwarmTaskState max_desired);
/* Running and meant to. */
guint count_running (Brain *self, const SwarmId *service);
/* The newest task of a slot; borrowed. */
SwarmTask *newest_task (Brain *self, const SwarmId *service, guint64 slot);
Tame *node_of_task (Brain *self, const SwarmTask *task);
