// SPDX-License-Identifier: LGPL-2.1-or-later
/* The news of one network, or of the routing mesh: what is in it, in the order in which it last changed. One list for all who see the network,
 * however many: what changes goes to its end, and whoever reads keeps his place in it (SwarmReader).
 *
 * What left the network stays in the list as gone, so that readers hear of it: until all have taken it, or too much is gone; then readers that
 * are behind have lost something, and begin anew. So a list is never longer than twice what is in the network, or 10,000 more. */
#pragma once
#include "model/objects.h"

typedef struct _SwarmNews SwarmNews;

typedef struct {
  SwarmKind kind;
  SwarmId id;
  SwarmId node;   /* a task's */
  guint64 place;  /* in the list, from 1 */
  guint64 since;  /* its first place */
  gboolean gone;
  GList link; /* in the queue of those that are gone */
} SwarmNewsItem;

typedef struct {
  SwarmNews *news;
  gpointer owner;
  guint64 at;    /* it has looked at all up to this place */
  guint64 sent;  /* as far as that had gone when its last message was sent */
  guint64 told;  /* the highest place that it ever got to: it may know of what was there before */
  guint64 taken; /* and has confirmed; with swarm_reader_took() */
  guint64 lost;  /* what the news had lost when that was looked at last */
  gboolean leaving; /* the network is not seen any more: it reads all once more, to hear that it is gone */
  GList link; /* in the news */
} SwarmReader;

/* All readers have taken what was waited for of @task, by swarm_news_awaits(). */
typedef void (*SwarmNewsTaken) (const SwarmId *task, gpointer data);

SwarmNews *swarm_news_new (const SwarmId *network, SwarmNewsTaken taken, gpointer data);
SwarmNews *swarm_news_ref (SwarmNews *self);
/* Readers and their owner have one reference each. */
void swarm_news_unref (SwarmNews *self);
const SwarmId *swarm_news_network (const SwarmNews *self);

/* It is in the network, and new. @node: a task's, or NULL. */
void swarm_news_put (SwarmNews *self, SwarmKind kind, const SwarmId *id, const SwarmId *node);
/* It left. */
void swarm_news_take_out (SwarmNews *self, SwarmKind kind, const SwarmId *id);
/* NULL: it is not in the network. */
const SwarmNewsItem *swarm_news_get (SwarmNews *self, SwarmKind kind, const SwarmId *id);
/* How many of @kind are in the network. */
guint swarm_news_count (const SwarmNews *self, SwarmKind kind);

/* The next one after @place; NULL: there is none. */
const SwarmNewsItem *swarm_news_next (SwarmNews *self, guint64 place);
/* The last place. */
guint64 swarm_news_end (const SwarmNews *self);
GQueue *swarm_news_readers (SwarmNews *self); /* of SwarmReader */

/* Reads from the beginning on; what was decided before is not waited for on its account. */
SwarmReader *swarm_reader_new (SwarmNews *news, gpointer owner);
void swarm_reader_free (SwarmReader *self);
/* All up to @place was confirmed. */
void swarm_reader_took (SwarmReader *self, guint64 place);
gboolean swarm_reader_is_behind (const SwarmReader *self);
/* Something went that it was told of and will not hear of; says so once. */
gboolean swarm_reader_has_lost (SwarmReader *self);

/* Has a reader not yet taken the last change of @task? Then `taken` is called once it has, unless the news has lost so much meanwhile. */
gboolean swarm_news_awaits (SwarmNews *self, const SwarmId *task);
