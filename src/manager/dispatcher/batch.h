// SPDX-License-Identifier: LGPL-2.1-or-later
/* Parts of a network's news as rows, ready to be sent: made once for all readers who stand at the same place and see the same of what is in
 * them. Most nodes see of the routing mesh just the mesh: 10,000 of them are sent one and the same batch.
 *
 * Kept while nothing changes, and no more than a few: memory does not grow with the nodes. */
#pragma once
#include "manager/dispatcher/concern.h"

#define SWARM_BATCH_ROWS 300
#define SWARM_BATCH_BYTES (1024 * 1024)

typedef struct {
  guint ref_count;
  GVariant *rows;    /* ay: a list (model/picture.h) */
  GVariant *removed; /* the same */
  guint n;           /* of both */
  gsize bytes;
  guint64 to; /* the reader's next place */
} SwarmBatch;

void swarm_batch_unref (SwarmBatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmBatch, swarm_batch_unref)

typedef struct _SwarmBatches SwarmBatches;

SwarmBatches *swarm_batches_new (SwarmStore *store, SwarmConcern *concern);
void swarm_batches_free (SwarmBatches *self);
/* Forgets those that are made. */
void swarm_batches_clear (SwarmBatches *self);
/* What @reader, a session of @node, is to be sent next; it may be nothing (n is 0), up to a place. Caller unrefs. */
SwarmBatch *swarm_batches_get (SwarmBatches *self, const SwarmId *node, const SwarmReader *reader);
/* The row of @kind's object @id for @node alone: a batch of one. Caller unrefs. */
SwarmBatch *swarm_batches_get_one (SwarmBatches *self, const SwarmId *node, SwarmKind kind, const SwarmId *id);
/* Several in one. Caller unrefs. */
SwarmBatch *swarm_batch_join (const GPtrArray *batches);
