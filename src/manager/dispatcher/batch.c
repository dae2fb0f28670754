// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/batch.h"
#include "manager/dispatcher/rows.h"

#define LOOKS 1000 /* at what is in the news, for one batch: of what is gone most is nothing to tell */
#define SEGMENTS 32
#define VARIANTS 256 /* of a segment */
#define KEPT_BYTES (32 * 1024 * 1024)

typedef struct {
  SwarmKind kind;
  SwarmId id;
  gboolean known; /* the reader may have been told of it before */
  guint64 place;
} Key;

/* What one set of networks sees of a segment. */
typedef struct {
  GPtrArray *nets; /* SwarmNet, in order of address */
  SwarmBatch *batch;
} Variant;

/* A part of the news from a place on, for all who were told of it up to another place. */
typedef struct {
  SwarmNews *news;
  guint64 version;
  guint64 from, told;
  guint64 to;
  GArray *keys;       /* Key */
  GHashTable *nets;   /* set of SwarmNet: whether one sees them makes a difference */
  GHashTable *owners; /* set of node ids: something of it is said to that node in another way than to others */
  GPtrArray *variants;
} Segment;

struct _SwarmBatches {
  SwarmStore *store;
  SwarmConcern *concern;
  GQueue segments; /* the newest first */
  gsize bytes;     /* of the batches in them */
};

/* ---- batches ---- */

void
swarm_batch_unref (SwarmBatch *self)
{
  if (self == NULL || --self->ref_count > 0)
    return;
  g_variant_unref (self->rows);
  g_variant_unref (self->removed);
  g_free (self);
}

typedef struct {
  SwarmBuffer rows, removed;
  guint n;
} Making;

static gsize
making_size (const Making *self)
{
  return self->rows.len + self->removed.len;
}

static GVariant *
take_list (SwarmBuffer *list)
{
  g_autoptr (GBytes) bytes = g_bytes_new_take (list->data, list->len);
  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE));
}

static SwarmBatch *
making_end (Making *self, guint64 to)
{
  SwarmBatch *batch = g_new0 (SwarmBatch, 1);
  batch->ref_count = 1;
  batch->n = self->n;
  batch->bytes = making_size (self);
  batch->rows = take_list (&self->rows);
  batch->removed = take_list (&self->removed);
  batch->to = to;
  return batch;
}

static void
make_row (Making *self, const SwarmViewer *viewer, const Key *key)
{
  gpointer row = swarm_rows_row (viewer, key->kind, &key->id);
  if (row != NULL) {
    g_autoptr (GBytes) data = swarm_message_encode (row);
    swarm_picture_pack (&self->rows, key->kind, g_bytes_get_data (data, NULL), g_bytes_get_size (data));
    self->n++;
    swarm_message_unref (row);
  } else if (key->known) {
    swarm_picture_pack (&self->removed, key->kind, key->id.bytes, sizeof key->id.bytes);
    self->n++;
  }
}

static void
append_list (SwarmBuffer *to, GVariant *list)
{
  gsize size;
  gconstpointer data = g_variant_get_fixed_array (list, &size, 1);
  swarm_buffer_append (to, data, size);
}

SwarmBatch *
swarm_batch_join (const GPtrArray *batches)
{
  Making making = { .n = 0 };
  if (batches->len == 1) {
    SwarmBatch *only = g_ptr_array_index (batches, 0);
    only->ref_count++;
    return only;
  }
  for (guint i = 0; i < batches->len; i++) {
    const SwarmBatch *batch = g_ptr_array_index (batches, i);
    append_list (&making.rows, batch->rows);
    append_list (&making.removed, batch->removed);
    making.n += batch->n;
  }
  return making_end (&making, 0);
}

/* ---- segments ---- */

static void
variant_free (gpointer data)
{
  Variant *variant = data;
  g_ptr_array_unref (variant->nets);
  swarm_batch_unref (variant->batch);
  g_free (variant);
}

static void
segment_free (gpointer data)
{
  Segment *segment = data;
  swarm_news_unref (segment->news);
  g_array_unref (segment->keys);
  g_hash_table_unref (segment->nets);
  g_hash_table_unref (segment->owners);
  g_ptr_array_unref (segment->variants);
  g_free (segment);
}

static void
add_net (SwarmBatches *self, Segment *segment, const SwarmId *network)
{
  SwarmNet *net = swarm_concern_net (self->concern, network);
  if (net != NULL)
    g_hash_table_add (segment->nets, net);
}

static void
add_nets (SwarmBatches *self, Segment *segment, GArray *networks)
{
  for (guint i = 0; i < networks->len; i++)
    add_net (self, segment, &g_array_index (networks, SwarmId, i));
  g_array_unref (networks);
}

/* Of whoever meets a node in this network, its row differs for those who meet it in the mesh, or in an encrypted network too. */
static void
note_node (SwarmBatches *self, Segment *segment, const SwarmNewsItem *item)
{
  gboolean secret = swarm_rows_node_has_keys (swarm_store_get (self->store, SWARM_KIND_NODE, &item->id));
  const GPtrArray *nets = swarm_concern_nets (self->concern, &item->id);
  for (guint i = 0; nets != NULL && i < nets->len; i++) {
    SwarmNet *net = g_ptr_array_index (nets, i);
    if (item->gone || swarm_id_is_nil (&net->id) || (secret && swarm_rows_is_encrypted (self->store, &net->id)))
      g_hash_table_add (segment->nets, net);
  }
  if (secret || !swarm_id_is_nil (swarm_news_network (segment->news)))
    g_hash_table_add (segment->owners, g_memdup2 (&item->id, sizeof item->id));
}

/* Which other networks make a difference to its row, and who hears of it in another way than others. */
static void
note_nets (SwarmBatches *self, Segment *segment, const SwarmNewsItem *item)
{
  gpointer object = swarm_store_get (self->store, item->kind, &item->id);
  if (item->kind == SWARM_KIND_NODE) {
    note_node (self, segment, item);
  } else if (item->kind == SWARM_KIND_NETWORK) {
    add_net (self, segment, &item->id);
  } else if (item->kind == SWARM_KIND_SERVICE) {
    add_nets (self, segment, swarm_rows_service_nets (object));
  } else {
    const SwarmTask *task = object;
    add_nets (self, segment, swarm_rows_task_nets (task));
    if (task != NULL && !swarm_id_is_nil (swarm_news_network (segment->news)))
      g_hash_table_add (segment->owners, g_memdup2 (&task->node_id, sizeof task->node_id));
  }
}

static Segment *
segment_new (SwarmBatches *self, const SwarmReader *reader)
{
  Segment *segment = g_new0 (Segment, 1);
  *segment = (Segment){ swarm_news_ref (reader->news), swarm_concern_version (self->concern), reader->at, reader->told, reader->at, NULL, NULL, NULL, NULL };
  segment->keys = g_array_new (FALSE, FALSE, sizeof (Key));
  segment->nets = g_hash_table_new (NULL, NULL);
  segment->owners = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  segment->variants = g_ptr_array_new_with_free_func (variant_free);
  add_net (self, segment, swarm_news_network (reader->news));
  for (guint looks = 0; looks < LOOKS && segment->keys->len < SWARM_BATCH_ROWS; looks++) {
    const SwarmNewsItem *item = swarm_news_next (reader->news, segment->to);
    if (item == NULL) {
      segment->to = swarm_news_end (reader->news); /* where something was that is forgotten */
      break;
    }
    segment->to = item->place;
    Key key = { item->kind, item->id, item->since <= reader->told, item->place };
    if (item->gone && !key.known)
      continue;
    g_array_append_val (segment->keys, key);
    note_nets (self, segment, item);
  }
  return segment;
}

static void
drop_oldest (SwarmBatches *self)
{
  Segment *segment = g_queue_pop_tail (&self->segments);
  for (guint i = 0; i < segment->variants->len; i++)
    self->bytes -= ((const Variant *) g_ptr_array_index (segment->variants, i))->batch->bytes;
  segment_free (segment);
}

static Segment *
segment_of (SwarmBatches *self, const SwarmReader *reader)
{
  for (GList *l = self->segments.head; l != NULL; l = l->next) {
    Segment *segment = l->data;
    if (segment->version != swarm_concern_version (self->concern)) {
      swarm_batches_clear (self);
      break;
    }
    if (segment->news == reader->news && segment->from == reader->at && segment->told == reader->told)
      return segment;
  }
  Segment *segment = segment_new (self, reader);
  g_queue_push_head (&self->segments, segment);
  if (self->segments.length > SEGMENTS)
    drop_oldest (self);
  return segment;
}

/* ---- what one sees of it ---- */

static int
by_address (gconstpointer a, gconstpointer b)
{
  guintptr x = (guintptr) * (const gpointer *) a, y = (guintptr) * (const gpointer *) b;
  return x < y ? -1 : x > y;
}

/* Those of the segment's networks that @node sees. */
static GPtrArray *
nets_seen (SwarmBatches *self, const Segment *segment, const SwarmId *node)
{
  const GPtrArray *all = swarm_concern_nets (self->concern, node);
  GPtrArray *nets = g_ptr_array_new ();
  for (guint i = 0; all != NULL && i < all->len; i++) {
    if (g_hash_table_contains (segment->nets, g_ptr_array_index (all, i)))
      g_ptr_array_add (nets, g_ptr_array_index (all, i));
  }
  g_ptr_array_sort (nets, by_address);
  return nets;
}

static gboolean
same_nets (const GPtrArray *a, const GPtrArray *b)
{
  gboolean same = a->len == b->len;
  for (guint i = 0; same && i < a->len; i++)
    same = a->pdata[i] == b->pdata[i];
  return same;
}

static SwarmBatch *
make_batch (const Segment *segment, const SwarmViewer *viewer)
{
  Making making = { .n = 0 };
  guint i = 0;
  while (i < segment->keys->len && making_size (&making) < SWARM_BATCH_BYTES)
    make_row (&making, viewer, &g_array_index (segment->keys, Key, i++));
  return making_end (&making, i < segment->keys->len ? g_array_index (segment->keys, Key, i - 1).place : segment->to);
}

static SwarmBatch *
shared_batch (SwarmBatches *self, Segment *segment, GPtrArray *nets)
{
  for (guint i = 0; i < segment->variants->len; i++) {
    const Variant *variant = g_ptr_array_index (segment->variants, i);
    if (same_nets (variant->nets, nets)) {
      variant->batch->ref_count++;
      return variant->batch;
    }
  }
  SwarmViewer viewer = { self->store, SWARM_ID_NIL, nets };
  SwarmBatch *batch = make_batch (segment, &viewer);
  if (segment->variants->len < VARIANTS && self->bytes < KEPT_BYTES) {
    self->bytes += batch->bytes;
    Variant *variant = g_new (Variant, 1);
    *variant = (Variant){ g_ptr_array_ref (nets), batch };
    batch->ref_count++;
    g_ptr_array_add (segment->variants, variant);
  }
  return batch;
}

SwarmBatch *
swarm_batches_get (SwarmBatches *self, const SwarmId *node, const SwarmReader *reader)
{
  Segment *segment = segment_of (self, reader);
  if (reader->leaving || g_hash_table_contains (segment->owners, node)) {
    SwarmViewer viewer = { self->store, *node, swarm_concern_nets (self->concern, node) };
    return make_batch (segment, &viewer);
  }
  g_autoptr (GPtrArray) nets = nets_seen (self, segment, node);
  return shared_batch (self, segment, nets);
}

SwarmBatch *
swarm_batches_get_one (SwarmBatches *self, const SwarmId *node, SwarmKind kind, const SwarmId *id)
{
  SwarmViewer viewer = { self->store, *node, swarm_concern_nets (self->concern, node) };
  Key key = { kind, *id, TRUE, 0 };
  Making making = { .n = 0 };
  make_row (&making, &viewer, &key);
  return making_end (&making, 0);
}

/* ---- life ---- */

SwarmBatches *
swarm_batches_new (SwarmStore *store, SwarmConcern *concern)
{
  SwarmBatches *self = g_new0 (SwarmBatches, 1);
  self->store = store;
  self->concern = concern;
  return self;
}

void
swarm_batches_clear (SwarmBatches *self)
{
  g_queue_clear_full (&self->segments, segment_free);
  self->bytes = 0;
}

void
swarm_batches_free (SwarmBatches *self)
{
  swarm_batches_clear (self);
  g_free (self);
}
