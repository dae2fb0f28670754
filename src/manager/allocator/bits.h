// SPDX-License-Identifier: LGPL-2.1-or-later
/* A set of numbers below a bound, to give out of: a bitmap whose parts exist once they are used. */
#pragma once
#include <glib.h>

typedef struct {
  guint64 **parts;
  guint32 n; /* bound */
  guint32 n_set;
  guint32 next; /* where the search for a free one goes on: what was freed just now is not given out at once */
} SwarmBits;

void swarm_bits_init (SwarmBits *self, guint32 n);
void swarm_bits_clear (SwarmBits *self);
/* FALSE: it was so already. Numbers beyond the bound are nobody's. */
gboolean swarm_bits_set (SwarmBits *self, guint32 number, gboolean on);
gboolean swarm_bits_has (const SwarmBits *self, guint32 number);
/* The first number that one has and the other has not. FALSE: they are the same. */
gboolean swarm_bits_differ (const SwarmBits *a, const SwarmBits *b, guint32 *ret);
/* Sets the next free one of @first to @last. FALSE: there is none. */
gboolean swarm_bits_take (SwarmBits *self, guint32 first, guint32 last, guint32 *ret);
