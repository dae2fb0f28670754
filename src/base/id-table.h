// SPDX-License-Identifier: LGPL-2.1-or-later
/* Values by id, in order of id: one open-addressing table that is hash and sorted list at once. Ids are random, so their leading bits say
 * where in a sorted array they stand; neighbours make room for each other (Robin Hood hashing with the key as its own hash: Celis 1986,
 * Amble and Knuth 1974, "Ordered hash tables"). Ids that are not random cost time, never correctness. */
#pragma once
#include "base/id.h"

typedef struct {
  guint64 key; /* leading bytes of the id */
  gpointer value; /* NULL: empty */
} SwarmIdSlot;

/* A part of the table that grows by itself, so that growing a large table is no long pause. */
typedef struct {
  SwarmIdSlot *slots;
  guint n_slots;
  guint n;
  guint bits; /* positions are this many bits of the key */
} SwarmIdShard;

typedef struct {
  guint offset; /* of the SwarmId in a value */
  guint shard_bits;
  guint n;
  SwarmIdShard *shards;
} SwarmIdTable;

typedef struct {
  const SwarmIdTable *table;
  guint shard;
  guint slot;
} SwarmIdIter;

/* @offset: where in a value its SwarmId is. @large: hundreds of thousands may come. */
void swarm_id_table_init (SwarmIdTable *self, guint offset, gboolean large);
/* Frees the table, not the values. */
void swarm_id_table_clear (SwarmIdTable *self);
/* NULL: absent. */
gpointer swarm_id_table_get (const SwarmIdTable *self, const SwarmId *id);
/* Puts @value in and returns what was there under the same id, or NULL. */
gpointer swarm_id_table_set (SwarmIdTable *self, gpointer value);
/* Takes out and returns what was there, or NULL. */
gpointer swarm_id_table_remove (SwarmIdTable *self, const SwarmId *id);

/* From the first id, or from the first that is not below @from. The table must not change meanwhile. */
void swarm_id_iter_init (SwarmIdIter *self, const SwarmIdTable *table, const SwarmId *from);
/* NULL: the end. */
gpointer swarm_id_iter_next (SwarmIdIter *self);
