// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/picture.h"
#include "base/log.h"

#define WORKER_INTERFACE "org.swarmagent1.Worker"
#define BATCH_ROWS 300
#define BATCH_BYTES (1024 * 1024)
#define LOOKS 1000 /* at rows in one turn: most may be as they were */
#define TIMEOUT_US (30 * G_TIME_SPAN_SECOND)
#define RETRY_FIRST_US (500 * G_TIME_SPAN_MILLISECOND)
#define RETRY_LAST_US (30 * G_TIME_SPAN_SECOND)

typedef struct {
  SwarmId id;
  SwarmKind kind;
} Key;

/* What was sent of a row. */
typedef struct {
  Key key;
  guint64 sum; /* of the storage form */
  gboolean ready;
} Known;

struct _SwarmPicture {
  const SwarmLeader *leader;
  SwarmConcern *concern;
  SwarmId node;
  SwarmLink *link;
  GBytes *session;
  GHashTable *known;   /* Key → Known */
  GHashTable *believed; /* tasks that the node may believe to be ready, as the concern was told */
  GQueue waiting;      /* of Key, owned by marked */
  GHashTable *marked;  /* set of Key: what is to be looked at */
  gboolean full_due;
  gboolean full;       /* under way */
  guint full_left;     /* how many of those that wait belong to it */
  guint64 sequence;
  GArray *dropped; /* tasks that the call under way takes the readiness from */
  guint refusals;  /* in a row */
  SwarmTimer *timer;
  struct _Sent *sent; /* under way */
};

/* Outlives the picture when the answer is late. */
typedef struct _Sent {
  SwarmPicture *picture; /* NULL: it is gone */
} Sent;

static guint
key_hash (gconstpointer key)
{
  return swarm_id_hash (&((const Key *) key)->id) + (guint) ((const Key *) key)->kind;
}

static gboolean
key_equal (gconstpointer a, gconstpointer b)
{
  return ((const Key *) a)->kind == ((const Key *) b)->kind && swarm_id_equal (&((const Key *) a)->id, &((const Key *) b)->id);
}

/* FNV-1a, 64 bit: whether a row differs from the one that was sent. */
static guint64
sum_of (GBytes *bytes)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  guint64 sum = 14695981039346656037u;
  for (gsize i = 0; i < length; i++)
    sum = (sum ^ data[i]) * 1099511628211u;
  return sum;
}

static void picture_send (gpointer data);

static void
schedule (SwarmPicture *self, gint64 delay)
{
  if (self->timer == NULL && self->sent == NULL)
    self->timer = swarm_clock_timer (self->leader->clock, delay, SWARM_PRIORITY_NORMAL, picture_send, self);
}

void
swarm_picture_look (SwarmPicture *self)
{
  schedule (self, 0);
}

void
swarm_picture_mark (SwarmPicture *self, SwarmKind kind, const SwarmId *id)
{
  Key key = { *id, kind };
  if (!self->full_due && !g_hash_table_contains (self->marked, &key)) {
    Key *copy = g_memdup2 (&key, sizeof key);
    g_hash_table_add (self->marked, copy);
    g_queue_push_tail (&self->waiting, copy);
  }
  schedule (self, 0);
}

/* ---- who is believed to be ready ---- */

static void
believe (SwarmPicture *self, const SwarmId *task)
{
  if (g_hash_table_contains (self->believed, task))
    return;
  g_hash_table_add (self->believed, g_memdup2 (task, sizeof *task));
  swarm_concern_told (self->concern, task, TRUE);
}

static gboolean
is_still_sent (SwarmPicture *self, const SwarmId *task)
{
  Key key = { *task, SWARM_KIND_TASK };
  const Known *known = g_hash_table_lookup (self->known, &key);
  return known != NULL && known->ready;
}

static void
disbelieve (SwarmPicture *self, const SwarmId *task)
{
  if (!is_still_sent (self, task) && g_hash_table_remove (self->believed, task))
    swarm_concern_told (self->concern, task, FALSE);
}

/* After a whole: what was not in it, the node forgot. */
static void
disbelieve_others (SwarmPicture *self)
{
  g_autoptr (GArray) tasks = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  GHashTableIter iter;
  gpointer task;
  g_hash_table_iter_init (&iter, self->believed);
  while (g_hash_table_iter_next (&iter, &task, NULL))
    g_array_append_vals (tasks, task, 1);
  for (guint i = 0; i < tasks->len; i++)
    disbelieve (self, &g_array_index (tasks, SwarmId, i));
}

/* ---- one call in the making ---- */

typedef struct {
  GVariantBuilder rows;
  GVariantBuilder removed;
  guint n;
  gsize bytes;
} Batch;

static void
add_row (SwarmPicture *self, Batch *batch, const Key *key, gpointer row)
{
  g_autoptr (GBytes) data = swarm_message_encode (row);
  guint64 sum = sum_of (data);
  gboolean ready = key->kind == SWARM_KIND_TASK && ((const SwarmPictureTask *) row)->ready;
  Known *known = g_hash_table_lookup (self->known, key);
  if (known != NULL && known->sum == sum)
    return;
  if (known != NULL && known->ready && !ready)
    g_array_append_val (self->dropped, key->id);
  if (known == NULL) {
    known = g_new (Known, 1);
    known->key = *key;
    g_hash_table_insert (self->known, &known->key, known);
  }
  known->sum = sum;
  known->ready = ready;
  if (ready)
    believe (self, &key->id);
  g_variant_builder_add (&batch->rows, "(y@ay)", (guchar) key->kind, g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, data, TRUE));
  batch->n++;
  batch->bytes += g_bytes_get_size (data);
}

static void
add_removed (SwarmPicture *self, Batch *batch, const Key *key)
{
  const Known *known = g_hash_table_lookup (self->known, key);
  if (known == NULL)
    return;
  if (known->ready)
    g_array_append_val (self->dropped, key->id);
  g_variant_builder_add (&batch->removed, "(y@ay)", (guchar) key->kind,
                         g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, key->id.bytes, sizeof key->id.bytes, 1));
  batch->n++;
  batch->bytes += sizeof key->id.bytes;
  g_hash_table_remove (self->known, key);
}

static void
fill (SwarmPicture *self, Batch *batch)
{
  for (guint looks = 0; looks < LOOKS && batch->n < BATCH_ROWS && batch->bytes < BATCH_BYTES && !(self->full && self->full_left == 0); looks++) {
    Key *next = g_queue_pop_head (&self->waiting);
    if (next == NULL)
      break;
    Key key = *next;
    g_hash_table_remove (self->marked, next);
    if (self->full)
      self->full_left--;
    gpointer row = swarm_concern_row (self->concern, &self->node, key.kind, &key.id);
    if (row != NULL)
      add_row (self, batch, &key, row);
    else
      add_removed (self, batch, &key);
    swarm_message_unref (row);
  }
}

/* Begins the whole anew, from what the store has now; what changes meanwhile waits behind it. */
static void
begin_full (SwarmPicture *self)
{
  self->full_due = FALSE;
  self->full = TRUE;
  self->sequence = 0;
  g_queue_clear (&self->waiting);
  g_hash_table_remove_all (self->marked);
  g_hash_table_remove_all (self->known);
  swarm_concern_mark_all (self->concern, &self->node);
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  self->full_left = g_queue_get_length (&self->waiting);
}

/* ---- sending ---- */

static void
answered (GVariant *reply, const GError *error, gpointer data)
{
  g_autofree Sent *sent = data;
  SwarmPicture *self = sent->picture;
  if (self == NULL)
    return;
  self->sent = NULL;
  g_autoptr (GArray) dropped = g_steal_pointer (&self->dropped);
  self->dropped = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  if (error != NULL) {
    g_autofree char *node = swarm_id_dup_string (&self->node);
    swarm_notice ("node %s did not take its picture of the networks, it will be sent whole: %s", node, error->message);
    self->full_due = TRUE;
    schedule (self, MIN (RETRY_FIRST_US << MIN (self->refusals, 10), RETRY_LAST_US));
    self->refusals++;
    return;
  }
  self->refusals = 0;
  if (self->full && self->sequence == 1) {
    self->full = FALSE;
    disbelieve_others (self);
  }
  for (guint i = 0; i < dropped->len && !self->full; i++)
    disbelieve (self, &g_array_index (dropped, SwarmId, i));
  if (self->full || !g_queue_is_empty (&self->waiting))
    schedule (self, 0);
}

/* A node without a part of the data plane never had anything to keep. */
static gboolean
has_part (SwarmPicture *self)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &self->node);
  return node != NULL && node->network != NULL && node->description != NULL && node->description->feature_level >= 2;
}

static void
picture_send (gpointer data)
{
  SwarmPicture *self = data;
  Batch batch = { .n = 0 };
  self->timer = NULL;
  if (!swarm_concern_is_known (self->concern) || !has_part (self))
    return;
  if (self->full_due)
    begin_full (self);
  g_variant_builder_init (&batch.rows, G_VARIANT_TYPE ("a(yay)"));
  g_variant_builder_init (&batch.removed, G_VARIANT_TYPE ("a(yay)"));
  fill (self, &batch);
  g_autoptr (GVariant) rows = g_variant_ref_sink (g_variant_builder_end (&batch.rows));
  g_autoptr (GVariant) removed = g_variant_ref_sink (g_variant_builder_end (&batch.removed));
  if (!self->full && batch.n == 0) {
    if (!g_queue_is_empty (&self->waiting))
      schedule (self, 0);
    return;
  }
  if (self->full)
    self->sequence = self->full_left == 0;
  else
    self->sequence++;
  self->sent = g_new0 (Sent, 1);
  self->sent->picture = self;
  GVariant *id = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE);
  swarm_link_call (self->link, WORKER_INTERFACE, "Networks", g_variant_new ("(@aytb@a(yay)@a(yay))", id, self->sequence, self->full, rows, removed),
                   TIMEOUT_US, answered, self->sent);
}

/* ---- life ---- */

SwarmPicture *
swarm_picture_new (const SwarmLeader *leader, SwarmConcern *concern, const SwarmId *node, SwarmLink *link, GBytes *session)
{
  SwarmPicture *self = g_new0 (SwarmPicture, 1);
  self->leader = leader;
  self->concern = concern;
  self->node = *node;
  self->link = swarm_link_ref (link);
  self->session = g_bytes_ref (session);
  self->known = g_hash_table_new_full (key_hash, key_equal, NULL, g_free);
  self->believed = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->marked = g_hash_table_new_full (key_hash, key_equal, g_free, NULL);
  self->dropped = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  g_queue_init (&self->waiting);
  self->full_due = TRUE;
  schedule (self, 0);
  return self;
}

void
swarm_picture_free (SwarmPicture *self)
{
  if (self == NULL)
    return;
  if (self->sent != NULL)
    self->sent->picture = NULL;
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  g_hash_table_remove_all (self->known);
  disbelieve_others (self);
  g_queue_clear (&self->waiting);
  g_hash_table_unref (self->marked);
  g_hash_table_unref (self->known);
  g_hash_table_unref (self->believed);
  g_array_unref (self->dropped);
  swarm_link_unref (self->link);
  g_bytes_unref (self->session);
  g_free (self);
}
