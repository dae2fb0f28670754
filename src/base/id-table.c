// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/id-table.h"
#include <string.h>

#define LARGE_SHARD_BITS 7
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

static const SwarmId *
id_of (const SwarmIdTable *self, gconstpointer value)
{
  return (const SwarmId *) ((const guint8 *) value + self->offset);
}

void
swarm_id_table_init (SwarmIdTable *self, guint offset, gboolean large)
{
  *self = (SwarmIdTable){ .offset = offset, .shard_bits = large ? LARGE_SHARD_BITS : 0 };
  self->shards = g_new0 (SwarmIdShard, 1u << self->shard_bits);
}

void
swarm_id_table_clear (SwarmIdTable *self)
{
  for (guint i = 0; self->shards != NULL && i < 1u << self->shard_bits; i++)
    g_free (self->shards[i].slots);
  g_clear_pointer (&self->shards, g_free);
  self->n = 0;
}

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

  for (; at < shard->n_slots && shard->slots[at].value != NULL; at++) {
    if (shard->slots[at].key > key)
      break;
    if (shard->slots[at].key == key && memcmp (id_of (self, shard->slots[at].value)->bytes, id->bytes, sizeof id->bytes) >= 0)
      break;
  }
  return at;
}

static gboolean
is_at (const SwarmIdTable *self, const SwarmIdShard *shard, guint at, guint64 key, const SwarmId *id)
{
  return at < shard->n_slots && shard->slots[at].value != NULL && shard->slots[at].key == key
         && memcmp (id_of (self, shard->slots[at].value)->bytes, id->bytes, sizeof id->bytes) == 0;
}

gpointer
swarm_id_table_get (const SwarmIdTable *self, const SwarmId *id)
{
  guint64 key = key_of (id);
  const SwarmIdShard *shard = &self->shards[shard_of (self, key)];
  guint at = shard->n > 0 ? find (self, shard, key, id) : 0;

  return shard->n > 0 && is_at (self, shard, at, key, id) ? shard->slots[at].value : NULL;
}

static void
add_spill (SwarmIdShard *shard, guint more)
{
  shard->slots = g_renew (SwarmIdSlot, shard->slots, shard->n_slots + more);
  memset (shard->slots + shard->n_slots, 0, more * sizeof *shard->slots);
  shard->n_slots += more;
}

/* Makes room at @at: the neighbours up to the next empty slot move on by one. */
static void
insert_at (SwarmIdShard *shard, guint at, SwarmIdSlot slot)
{
  guint empty = at;

  while (empty < shard->n_slots && shard->slots[empty].value != NULL)
    empty++;
  if (empty == shard->n_slots)
    add_spill (shard, 1 + shard->n_slots / 8);
  memmove (shard->slots + at + 1, shard->slots + at, (empty - at) * sizeof slot);
  shard->slots[at] = slot;
}

/* In order, so each goes behind the one before. */
static void
grow (SwarmIdTable *self, SwarmIdShard *shard)
{
  SwarmIdSlot *old = shard->slots;
  guint n_old = shard->n_slots, next = 0;

  shard->bits = old != NULL ? shard->bits + 1 : FIRST_BITS;
  shard->n_slots = (1u << shard->bits) + SPILL;
  shard->slots = g_new0 (SwarmIdSlot, shard->n_slots);
  for (guint i = 0; i < n_old; i++) {
    if (old[i].value == NULL)
      continue;
    next = MAX (next, home_of (self, shard, old[i].key));
    if (next == shard->n_slots)
      add_spill (shard, 1 + shard->n_slots / 8);
    shard->slots[next++] = old[i];
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

  /* Full at three quarters. */
  if (shard->slots == NULL || shard->n + 1 > (3u << shard->bits) / 4)
    grow (self, shard);
  at = find (self, shard, key, id);
  if (is_at (self, shard, at, key, id)) {
    gpointer old = shard->slots[at].value;
    shard->slots[at].value = value;
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
  old = shard->slots[at].value;
  /* Those that stand behind their home come back by one. */
  while (at + 1 < shard->n_slots && shard->slots[at + 1].value != NULL && home_of (self, shard, shard->slots[at + 1].key) <= at) {
    shard->slots[at] = shard->slots[at + 1];
    at++;
  }
  shard->slots[at].value = NULL;
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
      gpointer value = shard->slots[self->slot++].value;

      if (value != NULL)
        return value;
    }
  }
  return NULL;
}
