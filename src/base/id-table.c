// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/id-table.h"
#include <string.h>

#define FIRST_BITS 2
/* Slots behind the last position, where the last neighbours go. */
#define SPILL 6

static guint64
key_of (const SwarmId *id)
{
  guint64 key;

  memcpy (&key, id->bytes, sizeof key);
  return GUINT64_FROM_BE (key);
}

/* The key says most; the rest of the id is for the rare ones that share it. */
static guint64
rest_of (const SwarmId *id)
{
  guint64 rest;

  memcpy (&rest, id->bytes + sizeof rest, sizeof rest);
  return GUINT64_FROM_BE (rest);
}

static const SwarmId *
id_of (const SwarmIdTable *self, gconstpointer value)
{
  return (const SwarmId *) ((const guint8 *) value + self->offset);
}

void
swarm_id_table_init (SwarmIdTable *self, guint offset, guint shard_bits)
{
  *self = (SwarmIdTable){ .offset = offset, .shard_bits = shard_bits };
  self->shards = g_new0 (SwarmIdShard, 1u << self->shard_bits);
}

void
swarm_id_table_own (SwarmIdTable *self, gpointer (*ref) (gconstpointer value), void (*unref) (gpointer value))
{
  self->ref = ref;
  self->unref = unref;
}

/* ---- blocks ---- */

static SwarmIdBlock *
block_new (guint n_slots)
{
  SwarmIdBlock *block = g_malloc0 (sizeof *block + n_slots * sizeof (SwarmIdSlot));

  block->ref_count = 1;
  return block;
}

/* The last one lets go of the values. */
static void
block_unref (const SwarmIdTable *self, SwarmIdShard *shard)
{
  SwarmIdBlock *block = g_steal_pointer (&shard->block);

  if (block == NULL || !g_atomic_int_dec_and_test (&block->ref_count))
    return;
  for (guint i = 0; self->unref != NULL && i < shard->n_slots; i++)
    if (block->slots[i].value != NULL)
      self->unref (block->slots[i].value);
  g_free (block);
}

/* Before a change: a block that others see too is left to them. */
static void
make_own (const SwarmIdTable *self, SwarmIdShard *shard)
{
  SwarmIdShard shared = *shard;

  if (shard->block == NULL || g_atomic_int_get (&shard->block->ref_count) == 1)
    return;
  shard->block = block_new (shard->n_slots);
  memcpy (shard->block->slots, shared.block->slots, shard->n_slots * sizeof (SwarmIdSlot));
  for (guint i = 0; i < shard->n_slots; i++)
    if (shard->block->slots[i].value != NULL)
      self->ref (shard->block->slots[i].value);
  block_unref (self, &shared);
}

void
swarm_id_table_share (const SwarmIdTable *self, SwarmIdTable *copy)
{
  guint n = 1u << self->shard_bits;

  g_assert (self->ref != NULL);
  *copy = *self;
  copy->shards = g_memdup2 (self->shards, n * sizeof *copy->shards);
  for (guint i = 0; i < n; i++)
    if (copy->shards[i].block != NULL)
      g_atomic_int_inc (&copy->shards[i].block->ref_count);
}

void
swarm_id_table_clear (SwarmIdTable *self)
{
  for (guint i = 0; self->shards != NULL && i < 1u << self->shard_bits; i++)
    block_unref (self, &self->shards[i]);
  g_clear_pointer (&self->shards, g_free);
  self->n = 0;
}

/* ---- places ---- */

static guint
shard_of (const SwarmIdTable *self, guint64 key)
{
  return self->shard_bits > 0 ? (guint) (key >> (64 - self->shard_bits)) : 0;
}

/* Where the key would stand if it had no neighbours. */
static guint
home_of (const SwarmIdTable *self, const SwarmIdShard *shard, guint64 key)
{
  return (guint) ((key << self->shard_bits) >> (64 - shard->bits));
}

/* The first slot at or behind the key's home that is empty or not below @id. */
static guint
find (const SwarmIdTable *self, const SwarmIdShard *shard, guint64 key, const SwarmId *id)
{
  guint at = home_of (self, shard, key);

  for (; at < shard->n_slots && shard->block->slots[at].value != NULL; at++) {
    if (shard->block->slots[at].key > key)
      break;
    if (shard->block->slots[at].key == key && rest_of (id_of (self, shard->block->slots[at].value)) >= rest_of (id))
      break;
  }
  return at;
}

static gboolean
is_at (const SwarmIdTable *self, const SwarmIdShard *shard, guint at, guint64 key, const SwarmId *id)
{
  return at < shard->n_slots && shard->block->slots[at].value != NULL && shard->block->slots[at].key == key
         && rest_of (id_of (self, shard->block->slots[at].value)) == rest_of (id);
}

gpointer
swarm_id_table_get (const SwarmIdTable *self, const SwarmId *id)
{
  guint64 key = key_of (id);
  const SwarmIdShard *shard = &self->shards[shard_of (self, key)];
  guint at = shard->n > 0 ? find (self, shard, key, id) : 0;

  return shard->n > 0 && is_at (self, shard, at, key, id) ? shard->block->slots[at].value : NULL;
}

/* The value at or behind the key's home that is likely to be the one. */
static void
prefetch_value (const SwarmIdTable *self, const SwarmId *id)
{
  guint64 key = key_of (id);
  const SwarmIdShard *shard = &self->shards[shard_of (self, key)];

  for (guint at = shard->n > 0 ? home_of (self, shard, key) : 0; at < shard->n_slots && shard->block->slots[at].value != NULL; at++) {
    if (shard->block->slots[at].key >= key) {
      __builtin_prefetch (id_of (self, shard->block->slots[at].value));
      return;
    }
  }
}

void
swarm_id_table_prefetch (const SwarmIdTable *self, const SwarmId *id, gsize stride, guint n)
{
  const guint8 *first = (const guint8 *) id;

  for (guint i = 0; i < n; i++) {
    guint64 key = key_of ((const SwarmId *) (first + i * stride));
    const SwarmIdShard *shard = &self->shards[shard_of (self, key)];

    if (shard->n > 0)
      __builtin_prefetch (&shard->block->slots[home_of (self, shard, key)]);
  }
  for (guint i = 0; i < n; i++)
    prefetch_value (self, (const SwarmId *) (first + i * stride));
}

static void
add_spill (SwarmIdShard *shard, guint more)
{
  shard->block = g_realloc (shard->block, sizeof *shard->block + (shard->n_slots + more) * sizeof (SwarmIdSlot));
  memset (shard->block->slots + shard->n_slots, 0, more * sizeof (SwarmIdSlot));
  shard->n_slots += more;
}

/* Makes room at @at: the neighbours up to the next empty slot move on by one. */
static void
insert_at (SwarmIdShard *shard, guint at, SwarmIdSlot slot)
{
  guint empty = at;

  while (empty < shard->n_slots && shard->block->slots[empty].value != NULL)
    empty++;
  if (empty == shard->n_slots)
    add_spill (shard, 1 + shard->n_slots / 8);
  memmove (shard->block->slots + at + 1, shard->block->slots + at, (empty - at) * sizeof slot);
  shard->block->slots[at] = slot;
}

/* In order, so each goes behind the one before. */
static void
grow (SwarmIdTable *self, SwarmIdShard *shard)
{
  SwarmIdBlock *old = shard->block;
  guint n_old = shard->n_slots, next = 0;

  shard->bits = old != NULL ? shard->bits + 1 : FIRST_BITS;
  shard->n_slots = (1u << shard->bits) + SPILL;
  shard->block = block_new (shard->n_slots);
  for (guint i = 0; i < n_old; i++) {
    if (old->slots[i].value == NULL)
      continue;
    next = MAX (next, home_of (self, shard, old->slots[i].key));
    if (next == shard->n_slots)
      add_spill (shard, 1 + shard->n_slots / 8);
    shard->block->slots[next++] = old->slots[i];
  }
  g_free (old);
}

gpointer
swarm_id_table_set (SwarmIdTable *self, gpointer value)
{
  const SwarmId *id = id_of (self, value);
  guint64 key = key_of (id);
  SwarmIdShard *shard = &self->shards[shard_of (self, key)];
  guint at;

  make_own (self, shard);
  /* Full at three quarters. */
  if (shard->block == NULL || shard->n + 1 > (3u << shard->bits) / 4)
    grow (self, shard);
  at = find (self, shard, key, id);
  if (is_at (self, shard, at, key, id)) {
    gpointer old = shard->block->slots[at].value;
    shard->block->slots[at].value = value;
    return old;
  }
  insert_at (shard, at, (SwarmIdSlot){ key, value });
  shard->n++;
  self->n++;
  return NULL;
}

gpointer
swarm_id_table_remove (SwarmIdTable *self, const SwarmId *id)
{
  guint64 key = key_of (id);
  SwarmIdShard *shard = &self->shards[shard_of (self, key)];
  guint at = shard->n > 0 ? find (self, shard, key, id) : 0;
  gpointer old;

  if (shard->n == 0 || !is_at (self, shard, at, key, id))
    return NULL;
  make_own (self, shard);
  old = shard->block->slots[at].value;
  /* Those that stand behind their home come back by one. */
  while (at + 1 < shard->n_slots && shard->block->slots[at + 1].value != NULL && home_of (self, shard, shard->block->slots[at + 1].key) <= at) {
    shard->block->slots[at] = shard->block->slots[at + 1];
    at++;
  }
  shard->block->slots[at].value = NULL;
  shard->n--;
  self->n--;
  return old;
}

void
swarm_id_iter_init (SwarmIdIter *self, const SwarmIdTable *table, const SwarmId *from)
{
  *self = (SwarmIdIter){ table, 0, 0 };
  if (from != NULL) {
    guint64 key = key_of (from);
    const SwarmIdShard *shard;

    self->shard = shard_of (table, key);
    shard = &table->shards[self->shard];
    self->slot = shard->n > 0 ? find (table, shard, key, from) : 0;
  }
}

gpointer
swarm_id_iter_next (SwarmIdIter *self)
{
  for (; self->shard < 1u << self->table->shard_bits; self->shard++, self->slot = 0) {
    const SwarmIdShard *shard = &self->table->shards[self->shard];

    while (self->slot < shard->n_slots) {
      gpointer value = shard->block->slots[self->slot++].value;

      if (value != NULL)
        return value;
    }
  }
  return NULL;
}
