// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/picture.h"
#include "base/log.h"
#include "manager/dispatcher/rows.h"

#define WORKER_INTERFACE "org.swarmagent1.Worker"
#define TIMEOUT_US (30 * G_TIME_SPAN_SECOND)
#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (30 * G_TIME_SPAN_SECOND)

struct _SwarmPicture {
  SwarmPictures *pictures;
  SwarmId node;
  SwarmLink *link;
  GBytes *session;
  GPtrArray *readers; /* SwarmReader */
  GArray *own;        /* SwarmId of tasks of the node to look at that it sees in no network */
  gboolean begun;     /* it has readers */
  gboolean full_due;
  gboolean full;  /* under way */
  gboolean parts; /* of a whole were sent since the node had one to its end */
  gboolean again; /* after them a whole came to nothing: the node counts them for the next one, which is not the last */
  guint64 sequence;
  guint refusals;    /* in a row */
  SwarmTimer *retry; /* it waits until then */
  GList due;         /* its place among those whose turn comes */
  gboolean is_due;
  struct _Sent *sent; /* under way */
};

/* Outlives the picture when the answer is late. */
typedef struct _Sent {
  SwarmPicture *picture; /* NULL: it is gone */
} Sent;

void
swarm_picture_look (SwarmPicture *self)
{
  if (self->is_due || self->sent != NULL || self->retry != NULL)
    return;
  self->is_due = TRUE;
  swarm_pictures_due (self->pictures, &self->due);
}

/* ---- what it reads ---- */

static SwarmReader *
reader_of (SwarmPicture *self, const SwarmNews *news)
{
  for (guint i = 0; i < self->readers->len; i++) {
    SwarmReader *reader = g_ptr_array_index (self->readers, i);
    if (reader->news == news)
      return reader;
  }
  return NULL;
}

void
swarm_picture_seen (SwarmPicture *self, SwarmNet *net)
{
  gboolean sees = g_hash_table_contains (net->viewers, &self->node);
  SwarmReader *reader = reader_of (self, net->news);
  if (!self->begun || (reader == NULL && !sees))
    return;
  if (reader == NULL) {
    reader = swarm_reader_new (net->news, self);
    g_ptr_array_add (self->readers, reader);
  }
  reader->at = 0;
  reader->leaving = !sees;
  swarm_picture_look (self);
}

void
swarm_picture_own (SwarmPicture *self, const SwarmId *task)
{
  if (self->begun && !swarm_rows_has_id (self->own, task)) /* else the whole has it */
    g_array_append_vals (self->own, task, 1);
}

static gboolean
is_behind (SwarmPicture *self)
{
  gboolean behind = self->own->len > 0;
  for (guint i = 0; i < self->readers->len && !behind; i++)
    behind = swarm_reader_is_behind (g_ptr_array_index (self->readers, i));
  return behind;
}

static gboolean
has_lost (SwarmPicture *self)
{
  gboolean lost = FALSE;
  for (guint i = 0; i < self->readers->len; i++)
    lost |= swarm_reader_has_lost (g_ptr_array_index (self->readers, i));
  return lost;
}

/* Those of its tasks with ports of the mesh, which it sees nothing of. */
static void
add_own (SwarmPicture *self)
{
  g_array_set_size (self->own, 0);
  if (swarm_concern_sees (swarm_pictures_concern (self->pictures), &self->node, &SWARM_ID_NIL))
    return;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (swarm_pictures_leader (self->pictures)->store, &self->node);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (swarm_endpoint_spec_has_ingress (task->endpoint))
      g_array_append_val (self->own, task->object.id);
  }
}

/* Begins the whole: it reads all from the beginning on. A part of an earlier whole counts for the node, too: it still has to hear of
 * what went, and if that is forgotten, only another whole says so. */
static void
begin_full (SwarmPicture *self)
{
  const GPtrArray *nets = swarm_concern_nets (swarm_pictures_concern (self->pictures), &self->node);
  self->begun = TRUE;
  self->full_due = FALSE;
  self->full = TRUE;
  self->sequence = 0;
  for (guint i = 0; i < self->readers->len; i++) {
    SwarmReader *reader = g_ptr_array_index (self->readers, i);
    reader->leaving = TRUE;
    reader->at = 0;
  }
  for (guint i = 0; nets != NULL && i < nets->len; i++) {
    SwarmNet *net = g_ptr_array_index (nets, i);
    SwarmReader *reader = reader_of (self, net->news);
    if (reader == NULL) {
      reader = swarm_reader_new (net->news, self);
      g_ptr_array_add (self->readers, reader);
    }
    reader->leaving = FALSE;
  }
  add_own (self);
}

/* ---- one call in the making ---- */

static gboolean
has_room (guint n, gsize bytes)
{
  return n < SWARM_BATCH_ROWS && bytes < SWARM_BATCH_BYTES;
}

static SwarmBatch *
fill (SwarmPicture *self)
{
  SwarmBatches *batches = swarm_pictures_batches (self->pictures);
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_batch_unref);
  guint n = 0;
  gsize bytes = 0;
  for (guint i = 0; i < self->readers->len && has_room (n, bytes); i++) {
    SwarmReader *reader = g_ptr_array_index (self->readers, i);
    if (!swarm_reader_is_behind (reader))
      continue;
    g_autoptr (SwarmBatch) batch = swarm_batches_get (batches, &self->node, reader);
    if (n > 0 && !has_room (n + batch->n - MIN (batch->n, 1), bytes + batch->bytes))
      break;
    reader->at = batch->to;
    reader->told = MAX (reader->told, reader->at);
    n += batch->n;
    bytes += batch->bytes;
    if (batch->n > 0)
      g_ptr_array_add (parts, g_steal_pointer (&batch));
  }
  while (self->own->len > 0 && has_room (n, bytes)) {
    SwarmBatch *batch = swarm_batches_get_one (batches, &self->node, SWARM_KIND_TASK, &g_array_index (self->own, SwarmId, self->own->len - 1));
    g_array_set_size (self->own, self->own->len - 1);
    n += batch->n;
    bytes += batch->bytes;
    g_ptr_array_add (parts, batch);
  }
  return swarm_batch_join (parts);
}

/* ---- sending ---- */

/* The node has all that was sent. What it was only told to forget is done with. */
static void
took_all (SwarmPicture *self)
{
  for (guint i = self->readers->len; i-- > 0;) {
    SwarmReader *reader = g_ptr_array_index (self->readers, i);
    swarm_reader_took (reader, reader->sent);
    if (reader->leaving && !swarm_reader_is_behind (reader))
      g_ptr_array_remove_index_fast (self->readers, i);
  }
}

static void
retry (gpointer data)
{
  SwarmPicture *self = data;
  self->retry = NULL;
  swarm_picture_look (self);
}

static void
answered (GVariant *reply, const GError *error, gpointer data)
{
  g_autofree Sent *sent = data;
  SwarmPicture *self = sent->picture;
  if (self == NULL)
    return;
  self->sent = NULL;
  if (error != NULL) {
    g_autofree char *node = swarm_id_dup_string (&self->node);
    swarm_notice ("node %s did not take its picture of the networks, it will be sent whole: %s", node, error->message);
    self->full_due = TRUE;
    self->full = FALSE;
    self->again |= self->parts;
    self->retry = swarm_clock_timer (swarm_pictures_leader (self->pictures)->clock, MIN (RETRY_FIRST_US << MIN (self->refusals, 10), RETRY_LAST_US),
                                     SWARM_PRIORITY_NORMAL, retry, self);
    self->refusals++;
    return;
  }
  self->refusals = 0;
  if (self->full && self->sequence == 1) {
    self->full_due |= self->again;
    self->full = self->parts = self->again = FALSE;
  }
  if (!self->full)
    took_all (self);
  if (self->full || self->full_due || is_behind (self))
    swarm_picture_look (self);
}

/* A node without a part of the data plane never had anything to keep. */
static gboolean
has_part (SwarmPicture *self)
{
  const SwarmNode *node = swarm_store_get (swarm_pictures_leader (self->pictures)->store, SWARM_KIND_NODE, &self->node);
  return node != NULL && node->network != NULL && node->description != NULL && node->description->feature_level >= 2;
}

void
swarm_picture_send (SwarmPicture *self)
{
  self->is_due = FALSE;
  if (self->sent != NULL || !swarm_concern_is_known (swarm_pictures_concern (self->pictures)) || !has_part (self))
    return;
  self->full_due |= has_lost (self);
  if (self->full_due && !self->full) /* else after the one that is under way, so that the node tells them apart */
    begin_full (self);
  g_autoptr (SwarmBatch) batch = fill (self);
  for (guint i = 0; i < self->readers->len; i++) {
    SwarmReader *reader = g_ptr_array_index (self->readers, i);
    reader->sent = reader->at;
  }
  if (!self->full && batch->n == 0) {
    took_all (self);
    if (is_behind (self))
      swarm_picture_look (self);
    return;
  }
  if (self->full)
    self->sequence = !is_behind (self);
  else
    self->sequence++;
  self->parts |= self->full && self->sequence == 0;
  self->sent = g_new0 (Sent, 1);
  self->sent->picture = self;
  GVariant *id = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE);
  swarm_link_call (self->link, WORKER_INTERFACE, "Networks",
                   g_variant_new ("(@aytb@ay@ay)", id, self->sequence, self->full, batch->rows, batch->removed), TIMEOUT_US, answered, self->sent);
}

/* ---- life ---- */

SwarmPicture *
swarm_picture_new (SwarmPictures *pictures, const SwarmId *node, SwarmLink *link, GBytes *session)
{
  SwarmPicture *self = g_new0 (SwarmPicture, 1);
  self->pictures = pictures;
  self->node = *node;
  self->link = swarm_link_ref (link);
  self->session = g_bytes_ref (session);
  self->readers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_reader_free);
  self->own = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  self->due.data = self;
  self->full_due = TRUE;
  swarm_pictures_add (pictures, &self->node, self);
  swarm_picture_look (self);
  return self;
}

void
swarm_picture_free (SwarmPicture *self)
{
  if (self == NULL)
    return;
  if (self->sent != NULL)
    self->sent->picture = NULL;
  if (self->is_due)
    swarm_pictures_undue (self->pictures, &self->due);
  swarm_clock_clear_timer (swarm_pictures_leader (self->pictures)->clock, &self->retry);
  swarm_pictures_remove (self->pictures, &self->node, self);
  g_ptr_array_unref (self->readers);
  g_array_unref (self->own);
  swarm_link_unref (self->link);
  g_bytes_unref (self->session);
  g_free (self);
}
