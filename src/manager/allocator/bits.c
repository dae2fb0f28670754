// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/allocator/bits.h"
#include <string.h>

#define PART 4096 /* numbers in a part */
#define WORDS (PART / 64)

void
swarm_bits_init (SwarmBits *self, guint32 n)
{
  *self = (SwarmBits){ .parts = g_new0 (guint64 *, n / PART + 1), .n = n };
}

void
swarm_bits_clear (SwarmBits *self)
{
  for (guint32 i = 0; self->parts != NULL && i <= self->n / PART; i++)
    g_free (self->parts[i]);
  g_clear_pointer (&self->parts, g_free);
}

gboolean
swarm_bits_has (const SwarmBits *self, guint32 number)
{
  const guint64 *part = number < self->n ? self->parts[number / PART] : NULL;
  return part != NULL && (part[number % PART / 64] >> number % 64 & 1) != 0;
}

static const guint64 *
part_of (const SwarmBits *self, guint32 i)
{
  return self->parts != NULL && i <= self->n / PART ? self->parts[i] : NULL;
}

gboolean
swarm_bits_differ (const SwarmBits *a, const SwarmBits *b, guint32 *ret)
{
  for (guint32 i = 0; i <= MAX (a->n, b->n) / PART; i++) {
    const guint64 *left = part_of (a, i), *right = part_of (b, i);
    if (left == right || (left != NULL && right != NULL && memcmp (left, right, PART / 8) == 0))
      continue;
    for (guint32 number = i * PART; number < (i + 1) * PART; number++) {
      if (swarm_bits_has (a, number) != swarm_bits_has (b, number)) {
        *ret = number;
        return TRUE;
      }
    }
  }
  return FALSE;
}

gboolean
swarm_bits_set (SwarmBits *self, guint32 number, gboolean on)
{
  if (number >= self->n || swarm_bits_has (self, number) == on)
    return FALSE;
  guint64 **part = &self->parts[number / PART];
  if (*part == NULL)
    *part = g_new0 (guint64, WORDS);
  (*part)[number % PART / 64] ^= G_GUINT64_CONSTANT (1) << number % 64;
  self->n_set = on ? self->n_set + 1 : self->n_set - 1;
  return TRUE;
}

/* The first free one of @first to @last, word by word. */
static gboolean
find (const SwarmBits *self, guint32 first, guint32 last, guint32 *ret)
{
  for (guint64 at = first; at <= last; at = (at / 64 + 1) * 64) {
    const guint64 *part = self->parts[at / PART];
    guint64 free = ~(part != NULL ? part[at % PART / 64] : 0) >> at % 64;
    if (free == 0)
      continue;
    guint64 found = at + (guint) __builtin_ctzll (free);
    if (found > last)
      return FALSE;
    *ret = (guint32) found;
    return TRUE;
  }
  return FALSE;
}

gboolean
swarm_bits_take (SwarmBits *self, guint32 first, guint32 last, guint32 *ret)
{
  last = MIN (last, self->n - 1);
  guint32 from = self->next >= first && self->next <= last ? self->next : first;
  if (first > last || (!find (self, from, last, ret) && (from == first || !find (self, first, from - 1, ret))))
    return FALSE;
  swarm_bits_set (self, *ret, TRUE);
  self->next = *ret + 1;
  return TRUE;
}
