// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/news.h"

#define GONE_MAX 10000
#define FORGET_AT_ONCE 2000 /* much may go with the slowest reader: the rest is forgotten at the next changes */

/* How many readers have taken all up to a place; or who waits for it. */
typedef struct {
  guint64 place;
  guint n;
  SwarmId task;
} Mark;

struct _SwarmNews {
  guint ref_count;
  SwarmId network;
  SwarmNewsTaken taken;
  gpointer data;
  GHashTable *items; /* SwarmNewsItem, by kind and id */
  GTree *order;      /* the same by place */
  guint64 end;
  guint count[_SWARM_KIND_MAX];
  GQueue gone; /* of SwarmNewsItem, in order */
  guint64 lost; /* the place of the last one that was forgotten before all had taken it */
  GQueue readers;
  GTree *marks;   /* Mark by place: where readers are */
  GTree *awaited; /* Mark by place: what is waited for */
};

static guint
item_hash (gconstpointer item)
{
  return swarm_id_hash (&((const SwarmNewsItem *) item)->id) + (guint) ((const SwarmNewsItem *) item)->kind;
}

static gboolean
item_equal (gconstpointer a, gconstpointer b)
{
  return ((const SwarmNewsItem *) a)->kind == ((const SwarmNewsItem *) b)->kind && swarm_id_equal (&((const SwarmNewsItem *) a)->id, &((const SwarmNewsItem *) b)->id);
}

static int
compare_items (gconstpointer a, gconstpointer b, gpointer data)
{
  guint64 x = ((const SwarmNewsItem *) a)->place, y = ((const SwarmNewsItem *) b)->place;
  return x < y ? -1 : x > y;
}

static int
compare_marks (gconstpointer a, gconstpointer b, gpointer data)
{
  guint64 x = ((const Mark *) a)->place, y = ((const Mark *) b)->place;
  return x < y ? -1 : x > y;
}

SwarmNews *
swarm_news_new (const SwarmId *network, SwarmNewsTaken taken, gpointer data)
{
  SwarmNews *self = g_new0 (SwarmNews, 1);
  self->ref_count = 1;
  self->network = *network;
  self->taken = taken;
  self->data = data;
  self->items = g_hash_table_new_full (item_hash, item_equal, g_free, NULL);
  self->order = g_tree_new_full (compare_items, NULL, NULL, NULL);
  self->marks = g_tree_new_full (compare_marks, NULL, g_free, NULL);
  self->awaited = g_tree_new_full (compare_marks, NULL, g_free, NULL);
  return self;
}

SwarmNews *
swarm_news_ref (SwarmNews *self)
{
  self->ref_count++;
  return self;
}

void
swarm_news_unref (SwarmNews *self)
{
  if (--self->ref_count > 0)
    return;
  g_tree_unref (self->order);
  g_tree_unref (self->marks);
  g_tree_unref (self->awaited);
  g_hash_table_unref (self->items);
  g_free (self);
}

const SwarmId *
swarm_news_network (const SwarmNews *self)
{
  return &self->network;
}

/* ---- the list ---- */

/* The place that all readers have taken. */
static guint64
least (SwarmNews *self)
{
  GTreeNode *first = g_tree_node_first (self->marks);
  return first != NULL ? ((const Mark *) g_tree_node_key (first))->place : G_MAXUINT64;
}

/* Who never confirms is not waited for without end. */
static void
forget_awaited (SwarmNews *self, guint64 place)
{
  for (GTreeNode *first; (first = g_tree_node_first (self->awaited)) != NULL && ((const Mark *) g_tree_node_key (first))->place <= place;)
    g_tree_remove (self->awaited, g_tree_node_key (first));
}

static void
forget_gone (SwarmNews *self)
{
  guint64 taken = least (self);
  for (guint n = 0; n < FORGET_AT_ONCE && self->gone.length > 0; n++) {
    SwarmNewsItem *item = self->gone.head->data;
    guint n_there = g_hash_table_size (self->items) - self->gone.length;
    if (item->place > taken && self->gone.length <= MAX (GONE_MAX, n_there))
      return;
    if (item->place > taken) {
      self->lost = item->place;
      forget_awaited (self, self->lost);
    }
    g_queue_unlink (&self->gone, &item->link);
    g_tree_remove (self->order, item);
    g_hash_table_remove (self->items, item);
  }
}

static SwarmNewsItem *
find (SwarmNews *self, SwarmKind kind, const SwarmId *id)
{
  SwarmNewsItem key = { .kind = kind, .id = *id };
  return g_hash_table_lookup (self->items, &key);
}

static void
to_the_end (SwarmNews *self, SwarmNewsItem *item)
{
  if (item->place != 0)
    g_tree_remove (self->order, item);
  item->place = ++self->end;
  g_tree_insert (self->order, item, item);
}

void
swarm_news_put (SwarmNews *self, SwarmKind kind, const SwarmId *id, const SwarmId *node)
{
  SwarmNewsItem *item = find (self, kind, id);
  if (item == NULL) {
    item = g_new0 (SwarmNewsItem, 1);
    item->kind = kind;
    item->id = *id;
    item->since = self->end + 1;
    item->link.data = item;
    g_hash_table_add (self->items, item);
    self->count[kind]++;
  } else if (item->gone) {
    g_queue_unlink (&self->gone, &item->link);
    item->gone = FALSE;
    self->count[kind]++;
  }
  item->node = node != NULL ? *node : SWARM_ID_NIL;
  to_the_end (self, item);
}

void
swarm_news_take_out (SwarmNews *self, SwarmKind kind, const SwarmId *id)
{
  SwarmNewsItem *item = find (self, kind, id);
  if (item == NULL || item->gone)
    return;
  item->gone = TRUE;
  self->count[kind]--;
  to_the_end (self, item);
  g_queue_push_tail_link (&self->gone, &item->link);
  forget_gone (self);
}

const SwarmNewsItem *
swarm_news_get (SwarmNews *self, SwarmKind kind, const SwarmId *id)
{
  const SwarmNewsItem *item = find (self, kind, id);
  return item != NULL && !item->gone ? item : NULL;
}

guint
swarm_news_count (const SwarmNews *self, SwarmKind kind)
{
  return self->count[kind];
}

const SwarmNewsItem *
swarm_news_next (SwarmNews *self, guint64 place)
{
  SwarmNewsItem key = { .place = place };
  GTreeNode *node = g_tree_upper_bound (self->order, &key);
  return node != NULL ? g_tree_node_key (node) : NULL;
}

guint64
swarm_news_end (const SwarmNews *self)
{
  return self->end;
}

GQueue *
swarm_news_readers (SwarmNews *self)
{
  return &self->readers;
}

/* ---- who has taken what ---- */

static void
mark_place (SwarmNews *self, guint64 place)
{
  Mark key = { .place = place };
  Mark *mark = g_tree_lookup (self->marks, &key);
  if (mark == NULL) {
    mark = g_memdup2 (&key, sizeof key);
    g_tree_insert (self->marks, mark, mark);
  }
  mark->n++;
}

static void
unmark_place (SwarmNews *self, guint64 place)
{
  Mark key = { .place = place };
  Mark *mark = g_tree_lookup (self->marks, &key);
  if (--mark->n == 0)
    g_tree_remove (self->marks, mark);
}

/* The slowest reader may have got on. */
static void
tell_taken (SwarmNews *self)
{
  guint64 taken = least (self);
  g_autoptr (GArray) tasks = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  for (GTreeNode *first; (first = g_tree_node_first (self->awaited)) != NULL;) {
    Mark *mark = g_tree_node_key (first);
    if (mark->place > taken)
      break;
    g_array_append_val (tasks, mark->task);
    g_tree_remove (self->awaited, mark);
  }
  forget_gone (self);
  for (guint i = 0; i < tasks->len; i++)
    self->taken (&g_array_index (tasks, SwarmId, i), self->data);
}

gboolean
swarm_news_awaits (SwarmNews *self, const SwarmId *task)
{
  const SwarmNewsItem *item = find (self, SWARM_KIND_TASK, task);
  if (item == NULL || item->place <= least (self))
    return FALSE;
  Mark key = { .place = item->place, .task = *task };
  if (g_tree_lookup (self->awaited, &key) == NULL) {
    Mark *mark = g_memdup2 (&key, sizeof key);
    g_tree_insert (self->awaited, mark, mark);
  }
  return TRUE;
}

SwarmReader *
swarm_reader_new (SwarmNews *news, gpointer owner)
{
  SwarmReader *self = g_new0 (SwarmReader, 1);
  self->news = swarm_news_ref (news);
  self->owner = owner;
  self->link.data = self;
  self->taken = news->end;
  self->lost = news->lost;
  mark_place (news, self->taken);
  g_queue_push_tail_link (&news->readers, &self->link);
  return self;
}

void
swarm_reader_free (SwarmReader *self)
{
  SwarmNews *news = self->news;
  g_queue_unlink (&news->readers, &self->link);
  unmark_place (news, self->taken);
  g_free (self);
  tell_taken (news);
  swarm_news_unref (news);
}

void
swarm_reader_took (SwarmReader *self, guint64 place)
{
  if (place <= self->taken)
    return;
  gboolean first = self->taken == least (self->news);
  mark_place (self->news, place);
  unmark_place (self->news, self->taken);
  self->taken = place;
  if (first)
    tell_taken (self->news);
}

gboolean
swarm_reader_is_behind (const SwarmReader *self)
{
  return self->at < self->news->end;
}

gboolean
swarm_reader_has_lost (SwarmReader *self)
{
  gboolean lost = self->news->lost > self->lost && self->news->lost > self->told && self->told > 0;
  self->lost = self->news->lost;
  return lost;
}
