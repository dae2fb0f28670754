// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/pictures.h"
#include "manager/dispatcher/picture.h"

#define TURN_US (4 * G_TIME_SPAN_MILLISECOND)

struct _SwarmPictures {
  const SwarmLeader *leader;
  SwarmPicturesQuiet quiet;
  gpointer data;
  SwarmConcern *concern;
  SwarmBatches *batches;
  GHashTable *of_nodes; /* node id in the picture → SwarmPicture */
  GPtrArray *changed;   /* of SwarmNews, in the order of their changes: their readers are not due yet */
  GHashTable *unread;   /* the same as a set */
  GQueue due;           /* of SwarmPicture, their links */
  SwarmTimer *timer;
};

/* ---- whose turn it is ---- */

/* Of one after the other of the changed news: there may be many, each with a reader on every node. */
static void
readers_are_due (SwarmPictures *self, gint64 end)
{
  guint n = 0;
  for (; n < self->changed->len && swarm_clock_boottime (self->leader->clock) < end; n++) {
    SwarmNews *news = g_ptr_array_index (self->changed, n);
    g_hash_table_remove (self->unread, news);
    for (GList *l = swarm_news_readers (news)->head; l != NULL; l = l->next)
      swarm_picture_look (((SwarmReader *) l->data)->owner);
  }
  if (n > 0)
    g_ptr_array_remove_range (self->changed, 0, n);
}

static void
take_turn (gpointer data)
{
  SwarmPictures *self = data;
  SwarmClock *clock = self->leader->clock;
  gint64 end = swarm_clock_boottime (clock) + TURN_US;
  self->timer = swarm_clock_timer (clock, 0, SWARM_PRIORITY_NORMAL, take_turn, self); /* what comes due meanwhile needs none */
  readers_are_due (self, end);
  for (GList *link; swarm_clock_boottime (clock) < end && (link = g_queue_pop_head_link (&self->due)) != NULL;)
    swarm_picture_send (link->data);
  if (self->due.length > 0 || self->changed->len > 0)
    return;
  swarm_clock_clear_timer (clock, &self->timer);
  swarm_batches_clear (self->batches);
}

static void
schedule (SwarmPictures *self)
{
  if (self->timer == NULL)
    self->timer = swarm_clock_timer (self->leader->clock, 0, SWARM_PRIORITY_NORMAL, take_turn, self);
}

void
swarm_pictures_due (SwarmPictures *self, GList *link)
{
  g_queue_push_tail_link (&self->due, link);
  schedule (self);
}

void
swarm_pictures_undue (SwarmPictures *self, GList *link)
{
  g_queue_unlink (&self->due, link);
}

/* ---- what the concern says ---- */

static void
news_changed (SwarmNews *news, gpointer data)
{
  SwarmPictures *self = data;
  if (swarm_news_readers (news)->length == 0 || !g_hash_table_add (self->unread, news))
    return;
  g_ptr_array_add (self->changed, swarm_news_ref (news));
  schedule (self);
}

static SwarmPicture *
picture_of (SwarmPictures *self, const SwarmId *node)
{
  return g_hash_table_lookup (self->of_nodes, node);
}

static void
net_seen (const SwarmId *node, SwarmNet *net, gpointer data)
{
  SwarmPicture *picture = picture_of (data, node);
  if (picture != NULL)
    swarm_picture_seen (picture, net);
}

static void
own_changed (const SwarmId *node, const SwarmId *task, gpointer data)
{
  SwarmPicture *picture = picture_of (data, node);
  if (picture != NULL && task != NULL)
    swarm_picture_own (picture, task);
  if (picture != NULL)
    swarm_picture_look (picture);
}

static void
all_known (gpointer data)
{
  SwarmPictures *self = data;
  GHashTableIter iter;
  gpointer picture;
  g_hash_table_iter_init (&iter, self->of_nodes);
  while (g_hash_table_iter_next (&iter, NULL, &picture))
    swarm_picture_look (picture);
}

static void
task_is_quiet (const SwarmId *task, gpointer data)
{
  SwarmPictures *self = data;
  self->quiet (task, self->data);
}

static const SwarmConcernOps concern_ops = { news_changed, net_seen, own_changed, all_known, task_is_quiet };

void
swarm_pictures_event (SwarmPictures *self, const SwarmEvent *event)
{
  swarm_concern_event (self->concern, event);
}

gboolean
swarm_pictures_is_told (SwarmPictures *self, const SwarmTask *task)
{
  return swarm_concern_is_told (self->concern, task);
}

/* ---- life ---- */

const SwarmLeader *
swarm_pictures_leader (SwarmPictures *self)
{
  return self->leader;
}

SwarmConcern *
swarm_pictures_concern (SwarmPictures *self)
{
  return self->concern;
}

SwarmBatches *
swarm_pictures_batches (SwarmPictures *self)
{
  return self->batches;
}

void
swarm_pictures_add (SwarmPictures *self, const SwarmId *node, SwarmPicture *picture)
{
  g_hash_table_replace (self->of_nodes, (gpointer) node, picture);
}

void
swarm_pictures_remove (SwarmPictures *self, const SwarmId *node, SwarmPicture *picture)
{
  if (picture_of (self, node) == picture)
    g_hash_table_remove (self->of_nodes, node);
}

SwarmPictures *
swarm_pictures_new (const SwarmLeader *leader, SwarmPicturesQuiet quiet, gpointer data)
{
  SwarmPictures *self = g_new0 (SwarmPictures, 1);
  self->leader = leader;
  self->quiet = quiet;
  self->data = data;
  self->of_nodes = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  self->changed = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_news_unref);
  self->unread = g_hash_table_new (NULL, NULL);
  self->concern = swarm_concern_new (leader, &concern_ops, self);
  self->batches = swarm_batches_new (leader->store, self->concern);
  return self;
}

void
swarm_pictures_free (SwarmPictures *self)
{
  if (self == NULL)
    return;
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  swarm_batches_free (self->batches);
  g_hash_table_unref (self->unread);
  g_ptr_array_unref (self->changed);
  g_hash_table_unref (self->of_nodes);
  swarm_concern_free (self->concern);
  g_free (self);
}
