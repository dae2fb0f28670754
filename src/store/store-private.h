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
  guint64 index;
  GPtrArray *watches; /* SwarmWatch; a cell is NULL when it left during a call */
  guint last_watch;
  guint emitting;
};

void swarm_store_emit (SwarmStore *self, const SwarmEvent *event);
/* What a local commit gets when its entry is applied: @result and @error are borrowed. */
void swarm_store_settle (SwarmStore *self, const SwarmEntry *entry, guint64 index, GBytes *result, const GError *error);
