// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once
#include "base/error.h"
#include "store/entry.h"
#include "store/requests.h"
#include "store/store.h"
#include "store/tables.h"

typedef struct {
  guint id;
  guint kinds;
  SwarmWatchFunc func;
  gpointer data;
} SwarmWatch;

/* A commit that waits for its outcome. Lives until its proposal (or its timer) has called back. */
typedef struct {
  SwarmStore *store; /* NULL: the store is gone and done was called */
  guint64 sequence;
  SwarmTimer *timer; /* of a commit that needs no entry */
  SwarmTx *tx;       /* what was proposed; NULL once it is applied */
  SwarmTxDone done;
  gpointer data;
  gboolean applied; /* the three below are set */
  guint64 index;
  GVariant *result;
  GError *error;
} SwarmPending;

struct _SwarmStore {
  SwarmClock *clock;
  SwarmRandom *random;
  SwarmProposeFunc propose;
  gpointer propose_data;
  SwarmId proposer; /* new for every store */
  guint64 sequence;
  GHashTable *pending; /* sequence in the SwarmPending → SwarmPending, borrowed */
  SwarmTables *tables;
  SwarmRequests requests;
  gint64 time;    /* the store's time at @time_at, no earlier than any stamp */
  gint64 time_at; /* boot time */
  guint64 index;
  guint level_known; /* see swarm_store_set_level_known() */
  guint level_used;
  guint8 kind_level[_SWARM_KIND_MAX]; /* swarm_type_level(): mostly 0, and then nothing is looked at */
  GPtrArray *watches; /* SwarmWatch; a cell is NULL when it left during a call */
  guint last_watch;
  guint emitting;
};

/* The last stamp is another: the store's time is no earlier. */
void swarm_store_time_went_on (SwarmStore *self);
void swarm_store_emit (SwarmStore *self, const SwarmEvent *event);
/* The local commit that made @entry and still waits for it; NULL: it is another store's. */
SwarmPending *swarm_store_find_pending (SwarmStore *self, GBytes *entry);
/* What a local commit gets when its entry is applied: @result and @error are borrowed. */
void swarm_pending_settle (SwarmPending *pending, guint64 index, GBytes *result, const GError *error);

/* "the log has an entry of feature level 3, this version of swarm-agent knows 2: upgrade it" */
void swarm_level_error (const char *what, guint64 level, guint known, GError **error);

/* A transaction on its way. */
struct _SwarmTx {
  SwarmStore *store;
  GArray *changes;       /* SwarmChange */
  SwarmBuffer forms;     /* the objects' storage forms; some are replaced by later ones */
  guint16 heads[128];    /* hash of ids: 1 + position of the newest change, then along next */
  gsize bytes;
  gsize largest;
  guint level; /* that its changes need */
  GVariant *result;
  /* Since it was committed: */
  char *request_id;
  GBytes *encoded_result;
  gint64 stamp;
};
