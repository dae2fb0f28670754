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

/* Slots that tables share until one of them changes something. */
typedef struct {
  gint ref_count; /* atomic */
  SwarmIdSlot slots[];
} SwarmIdBlock;

/* A part of the table that grows by itself, so that growing a large table is no long pause. */
typedef struct {
  SwarmIdBlock *block; /* NULL: empty */
  guint n_slots;
  guint n;
  guint bits; /* positions are this many bits of the key */
} SwarmIdShard;

typedef struct {
  guint offset; /* of the SwarmId in a value */
  guint shard_bits;
  guint n;
  SwarmIdShard *shards;
  gpointer (*ref) (gconstpointer value); /* of tables that own their values; else NULL */
  void (*unref) (gpointer value);
} SwarmIdTable;

typedef struct {
  const SwarmIdTable *table;
  guint shard;
  guint slot;
} SwarmIdIter;

/* Into how many parts (powers of two) a table is divided. A part grows at once, and is copied at once when it was shared: where hundreds of
 * values change together in a table of a million, all of it would be copied in one go if the parts were few. */
enum {
  SWARM_ID_TABLE_SMALL = 0,
  SWARM_ID_TABLE_LARGE = 7, /* tens of thousands may come */
  SWARM_ID_TABLE_HUGE = 12, /* a million */
};

/* @offset: where in a value its SwarmId is. @shard_bits: as above. The table does not own its values. */
void swarm_id_table_init (SwarmIdTable *self, guint offset, guint shard_bits);
/* From now on the table owns a reference to each value: swarm_id_table_set() takes over the caller's, what comes out is the caller's. */
void swarm_id_table_own (SwarmIdTable *self, gpointer (*ref) (gconstpointer value), void (*unref) (gpointer value));
/* Frees the table, and lets go of the values that it owns. */
void swarm_id_table_clear (SwarmIdTable *self);
/* Makes @copy (uninitialised) a table with the same values as @self has now, at once: only what changes later is copied then, part by part.
 * @self must own its values. @copy may be read and cleared on another thread. */
void swarm_id_table_share (const SwarmIdTable *self, SwarmIdTable *copy);
/* NULL: absent. */
gpointer swarm_id_table_get (const SwarmIdTable *self, const SwarmId *id);
/* @n ids, @stride bytes from one to the next, are looked for soon: the memory is asked for all of them before the first is waited for. Some
 * dozens, so that they stay in the cache. */
void swarm_id_table_prefetch (const SwarmIdTable *self, const SwarmId *id, gsize stride, guint n);
/* Puts @value in and returns what was there under the same id, or NULL. */
gpointer swarm_id_table_set (SwarmIdTable *self, gpointer value);
/* Takes out and returns what was there, or NULL. */
gpointer swarm_id_table_remove (SwarmIdTable *self, const SwarmId *id);

/* From the first id, or from the first that is not below @from. The table must not change meanwhile. */
void swarm_id_iter_init (SwarmIdIter *self, const SwarmIdTable *table, const SwarmId *from);
/* NULL: the end. */
gpointer swarm_id_iter_next (SwarmIdIter *self);
