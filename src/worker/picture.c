// SPDX-License-Identifier: LGPL-2.1-or-later
/* What this node knows of the cluster's networks (model/picture.h): told by the leader, kept on disk for an agent that starts while there is
 * none, given to the network plugin. */
#include "base/error.h"
#include "base/log.h"
#include "plugin/picture-view.h"
#include "worker/private.h"
#include <string.h>

#define FILE_NAME "networks.picture"
#define FILE_NEW FILE_NAME ".new"
#define MAGIC "SWP1"
#define KEEP_AFTER_US (2 * G_USEC_PER_SEC)
#define CALLS_MAX 16 /* that wait for the network plugin: one of a session is under way at a time */

static const SwarmKind kinds[] = { SWARM_KIND_NODE, SWARM_KIND_NETWORK, SWARM_KIND_SERVICE, SWARM_KIND_TASK };

typedef struct {
  SwarmId id;
  GBytes *bytes; /* storage form */
} Row;

struct _SwarmWorkerPicture {
  SwarmWorker *worker;
  GHashTable *rows[_SWARM_KIND_MAX]; /* &id → Row; NULL: a kind without rows */
  guint n_rows;
  guint64 sequence; /* of the last call of this session */
  GHashTable *collected[_SWARM_KIND_MAX]; /* ids of a whole that comes in parts; NULL: none does */
  gboolean given; /* the plugin has the picture; else it waits for a whole one */
  gboolean kept;  /* there was one on the disk */
  SwarmTimer *keep_timer;
  gboolean disk_failed; /* said once */
  GHashTable *calls;    /* number → SwarmCall: answered when what they brought is in force */
  guint64 last_call;
};

static void
row_free (gpointer data)
{
  Row *row = data;
  g_bytes_unref (row->bytes);
  g_free (row);
}

SwarmWorkerPicture *
swarm_worker_picture_new (SwarmWorker *worker)
{
  SwarmWorkerPicture *self = g_new0 (SwarmWorkerPicture, 1);
  self->worker = worker;
  self->calls = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    self->rows[kinds[i]] = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, row_free);
  return self;
}

static void
drop_collected (SwarmWorkerPicture *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_clear_pointer (&self->collected[kinds[i]], g_hash_table_unref);
}

void
swarm_worker_picture_free (SwarmWorkerPicture *self)
{
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this node's worker ends");
  GHashTableIter iter;
  gpointer call;
  g_hash_table_iter_init (&iter, self->calls);
  while (g_hash_table_iter_next (&iter, NULL, &call))
    swarm_call_fail (call, error);
  g_hash_table_unref (self->calls);
  swarm_clock_clear_timer (self->worker->config.clock, &self->keep_timer);
  drop_collected (self);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_hash_table_unref (self->rows[kinds[i]]);
  g_free (self);
}

/* ---- a change ---- */

static void
change_init (SwarmPictureChange *change)
{
  *change = (SwarmPictureChange){ .whole = FALSE };
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    change->rows[kinds[i]] = g_ptr_array_new_with_free_func (swarm_message_unref);
    change->removed[kinds[i]] = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  }
}

static void
change_clear (SwarmPictureChange *change)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_ptr_array_unref (change->rows[kinds[i]]);
    g_array_unref (change->removed[kinds[i]]);
  }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmPictureChange, change_clear)

static gboolean
is_kind (guchar kind, GError **error)
{
  if (kind < _SWARM_KIND_MAX && swarm_picture_type (kind) != NULL)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "%u is no kind of rows", kind);
  return FALSE;
}

/* NULL: not a row of this kind. */
static gpointer
decode_row (guchar kind, GBytes *bytes, GError **error)
{
  if (!is_kind (kind, error))
    return NULL;
  gpointer row = swarm_message_decode (swarm_picture_type (kind), bytes, error);
  if (row == NULL || !swarm_id_is_nil (swarm_picture_id (row)))
    return row;
  swarm_message_unref (row);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a row without an id");
  return NULL;
}

static void
kept (const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  if (!swarm_worker_op_take (data, &op) || error == NULL || op.worker->picture->disk_failed)
    return;
  op.worker->picture->disk_failed = TRUE;
  swarm_error_log ("What this node knows of the networks can no longer be written down: %s", error->message);
}

static void
append_row (SwarmBuffer *out, SwarmKind kind, const Row *row)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (row->bytes, &length);
  swarm_picture_pack (out, kind, data, length);
}

static void
keep (gpointer data)
{
  SwarmWorkerPicture *self = data;
  SwarmBuffer out = { 0 };
  GHashTableIter iter;
  gpointer row;
  self->keep_timer = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_hash_table_iter_init (&iter, self->rows[kinds[i]]);
    while (g_hash_table_iter_next (&iter, NULL, &row))
      append_row (&out, kinds[i], row);
  }
  g_autoptr (GBytes) body = g_bytes_new_take (out.data, out.len);
  g_autoptr (GBytes) file = swarm_worker_seal (MAGIC, body);
  GArray *ops = swarm_disk_ops_new ();
  swarm_disk_ops_unlink (ops, FILE_NEW);
  swarm_disk_ops_write (ops, FILE_NEW, 0, file);
  swarm_disk_ops_rename (ops, FILE_NEW, FILE_NAME);
  self->worker->config.disk->submit (self->worker->config.disk, ops, kept, swarm_worker_op_new (self->worker, NULL, 0));
}

static void
keep_later (SwarmWorkerPicture *self)
{
  if (self->worker->config.disk != NULL && self->keep_timer == NULL)
    self->keep_timer = swarm_clock_timer (self->worker->config.clock, KEEP_AFTER_US, SWARM_PRIORITY_NORMAL, keep, self);
}

/* Takes over @row. */
static void
put (SwarmWorkerPicture *self, SwarmKind kind, gpointer row, GBytes *bytes, SwarmPictureChange *change)
{
  const SwarmId *id = swarm_picture_id (row);
  const Row *old = g_hash_table_lookup (self->rows[kind], id);
  if (self->collected[kind] != NULL)
    g_hash_table_add (self->collected[kind], g_memdup2 (id, sizeof *id));
  if (old != NULL && g_bytes_equal (old->bytes, bytes)) {
    swarm_message_unref (row);
    return;
  }
  Row *entry = g_new (Row, 1);
  *entry = (Row){ *id, g_bytes_ref (bytes) };
  self->n_rows += old == NULL;
  g_hash_table_replace (self->rows[kind], &entry->id, entry);
  g_ptr_array_add (change->rows[kind], row);
}

static void
take_away (SwarmWorkerPicture *self, SwarmKind kind, const SwarmId *id, SwarmPictureChange *change)
{
  SwarmId copy = *id;
  if (!g_hash_table_remove (self->rows[kind], &copy))
    return;
  self->n_rows--;
  g_array_append_val (change->removed[kind], copy);
}

/* What a whole did not name. */
static void
take_away_others (SwarmWorkerPicture *self, SwarmKind kind, SwarmPictureChange *change)
{
  g_autoptr (GArray) others = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->rows[kind]);
  while (g_hash_table_iter_next (&iter, &id, NULL)) {
    if (!g_hash_table_contains (self->collected[kind], id))
      g_array_append_vals (others, id, 1);
  }
  for (guint i = 0; i < others->len; i++)
    take_away (self, kind, &g_array_index (others, SwarmId, i), change);
}

/* ---- to the plugin ---- */

static void
fill_whole (SwarmWorkerPicture *self, SwarmPictureChange *whole)
{
  GHashTableIter iter;
  gpointer value;
  whole->whole = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_hash_table_iter_init (&iter, self->rows[kinds[i]]);
    while (g_hash_table_iter_next (&iter, NULL, &value)) {
      gpointer row = swarm_message_decode (swarm_picture_type (kinds[i]), ((const Row *) value)->bytes, NULL);
      if (row != NULL)
        g_ptr_array_add (whole->rows[kinds[i]], row);
    }
  }
}

/* Tasks of this node that get no new connections any more. */
static void
look_at_own (SwarmWorkerPicture *self, const SwarmPictureChange *change)
{
  for (guint i = 0; i < change->rows[SWARM_KIND_TASK]->len; i++) {
    const SwarmPictureTask *row = g_ptr_array_index (change->rows[SWARM_KIND_TASK], i);
    SwarmWorkerTask *task = row->ready ? NULL : swarm_worker_task_of (self->worker, &row->id);
    if (task != NULL)
      swarm_worker_task_is_out (task);
  }
}

static void
hand_over (SwarmWorkerPicture *self, const SwarmPictureChange *change)
{
  const SwarmWorkerConfig *config = &self->worker->config;
  self->given = TRUE;
  look_at_own (self, change);
  if (config->picture_changed != NULL)
    config->picture_changed (change, config->data);
  if (config->network == NULL)
    return;
  g_autoptr (SwarmPictureView) view = swarm_picture_view_new (change, &config->node);
  swarm_network_host_picture (config->network, &view->picture);
}

static void
give_whole (SwarmWorkerPicture *self)
{
  g_auto (SwarmPictureChange) whole;
  change_init (&whole);
  fill_whole (self, &whole);
  hand_over (self, &whole);
}

/* A plugin without a picture gets none in parts: what the host has would be taken for too much. */
static void
give (SwarmWorkerPicture *self, const SwarmPictureChange *change, gboolean complete)
{
  gboolean empty = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    empty = empty && change->rows[kinds[i]]->len == 0 && change->removed[kinds[i]]->len == 0;
  if (!empty)
    keep_later (self);
  if (!self->given && complete)
    give_whole (self);
  else if (self->given && !empty)
    hand_over (self, change);
}

void
swarm_worker_picture_start (SwarmWorkerPicture *self)
{
  if (self->kept && !self->given)
    give_whole (self);
}

/* ---- from the leader ---- */

void
swarm_worker_picture_session_began (SwarmWorkerPicture *self)
{
  self->sequence = 0;
  drop_collected (self);
}

/* As with assignments: 0 and full is a part of the whole, 1 and full its last one, then there is no gap. */
static gboolean
check_sequence (SwarmWorkerPicture *self, guint64 sequence, gboolean full, GError **error)
{
  if (full && sequence <= 1) {
    if (self->sequence > 0)
      drop_collected (self);
    self->sequence = 0;
    return TRUE;
  }
  if (!full && sequence == self->sequence + 1 && self->sequence > 0)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "picture %" G_GUINT64_FORMAT "%s after %" G_GUINT64_FORMAT "; a full one is needed",
               sequence, full ? " (full)" : "", self->sequence);
  return FALSE;
}

/* What a call brings, decoded before anything is done: all or nothing. */
typedef struct {
  GPtrArray *rows; /* Decoded */
  GArray *removed; /* Removed */
} Told;

typedef struct {
  guchar kind;
  gpointer row;
  GBytes *bytes;
} Decoded;

typedef struct {
  guchar kind;
  SwarmId id;
} Removed;

static void
decoded_free (gpointer data)
{
  Decoded *decoded = data;
  swarm_message_unref (decoded->row);
  g_bytes_unref (decoded->bytes);
  g_free (decoded);
}

static void
told_clear (Told *told)
{
  g_ptr_array_unref (told->rows);
  g_array_unref (told->removed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Told, told_clear)

static gboolean
decode_rows (const guint8 *at, const guint8 *end, GPtrArray *rows, GError **error)
{
  const guint8 *data;
  gsize length;
  guchar kind;
  GError *bad = NULL;
  while (swarm_picture_unpack (&at, end, &kind, &data, &length, &bad)) {
    g_autoptr (GBytes) bytes = g_bytes_new (data, length);
    gpointer row = decode_row (kind, bytes, error);
    if (row == NULL)
      return FALSE;
    Decoded *decoded = g_new (Decoded, 1);
    *decoded = (Decoded){ kind, row, g_steal_pointer (&bytes) };
    g_ptr_array_add (rows, decoded);
  }
  if (bad != NULL)
    g_propagate_error (error, bad);
  return bad == NULL;
}

static gboolean
decode_removed (GVariant *list, GArray *ids, GError **error)
{
  gsize size, length;
  const guint8 *at = g_variant_get_fixed_array (list, &size, 1), *end = at + size, *data;
  Removed removed;
  GError *bad = NULL;
  while (swarm_picture_unpack (&at, end, &removed.kind, &data, &length, &bad)) {
    if (!is_kind (removed.kind, error))
      return FALSE;
    if (length != sizeof removed.id.bytes) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "an id of %" G_GSIZE_FORMAT " bytes", length);
      return FALSE;
    }
    memcpy (removed.id.bytes, data, length);
    g_array_append_val (ids, removed);
  }
  if (bad != NULL)
    g_propagate_error (error, bad);
  return bad == NULL;
}

static gboolean
decode_all (SwarmWorkerPicture *self, GVariant *rows, GVariant *removed, Told *told, GError **error)
{
  gsize size;
  const guint8 *at = g_variant_get_fixed_array (rows, &size, 1);
  if (!decode_rows (at, at + size, told->rows, error) || !decode_removed (removed, told->removed, error))
    return FALSE;
  if (self->n_rows + told->rows->len <= SWARM_PICTURE_ROWS_MAX)
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "a node takes at most %d rows of networks", SWARM_PICTURE_ROWS_MAX);
  return FALSE;
}

static void
apply (SwarmWorkerPicture *self, const Told *told, SwarmPictureChange *change)
{
  for (guint i = 0; i < told->removed->len; i++) {
    const Removed *removed = &g_array_index (told->removed, Removed, i);
    take_away (self, removed->kind, &removed->id, change);
  }
  for (guint i = 0; i < told->rows->len; i++) {
    const Decoded *decoded = g_ptr_array_index (told->rows, i);
    put (self, decoded->kind, swarm_message_ref (decoded->row), decoded->bytes, change);
  }
}

static void
settled (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  if (!swarm_worker_op_take (data, &op))
    return;
  SwarmCall *call = g_hash_table_lookup (op.worker->picture->calls, &op.tag);
  g_hash_table_remove (op.worker->picture->calls, &op.tag);
  swarm_worker_network_settled (op.worker, error);
  swarm_call_return (call, NULL);
}

/* What the leader waits for is that nothing new goes to a task that it is about to stop. */
static void
answer (SwarmWorkerPicture *self, SwarmCall *call)
{
  guint64 number = ++self->last_call;
  gboolean waits = self->given && g_hash_table_size (self->calls) < CALLS_MAX
                   && swarm_worker_network_settle (self->worker, settled, swarm_worker_op_new (self->worker, NULL, number));
  if (waits)
    g_hash_table_insert (self->calls, g_memdup2 (&number, sizeof number), call);
  else
    swarm_call_return (call, NULL);
}

gboolean
swarm_worker_picture_take (SwarmWorkerPicture *self, SwarmCall *call, GError **error)
{
  g_autoptr (GVariant) session = NULL, rows = NULL, removed = NULL;
  g_auto (Told) told = { g_ptr_array_new_with_free_func (decoded_free), g_array_new (FALSE, FALSE, sizeof (Removed)) };
  guint64 sequence;
  gboolean full;
  g_variant_get (call->args, "(@aytb@ay@ay)", &session, &sequence, &full, &rows, &removed);
  if (!swarm_worker_session_is (self->worker->session, session)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such session");
    return FALSE;
  }
  if (!check_sequence (self, sequence, full, error) || !decode_all (self, rows, removed, &told, error))
    return FALSE;
  self->sequence = sequence;
  for (guint i = 0; full && i < G_N_ELEMENTS (kinds); i++) {
    if (self->collected[kinds[i]] == NULL)
      self->collected[kinds[i]] = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  }
  g_auto (SwarmPictureChange) change;
  change_init (&change);
  apply (self, &told, &change);
  for (guint i = 0; full && sequence == 1 && i < G_N_ELEMENTS (kinds); i++)
    take_away_others (self, kinds[i], &change);
  if (sequence == 1)
    drop_collected (self);
  give (self, &change, sequence >= 1);
  answer (self, call);
  return TRUE;
}

/* ---- from the disk ---- */

static gboolean
load_rows (SwarmWorkerPicture *self, GBytes *body, SwarmPictureChange *change, GError **error)
{
  gsize length;
  const guint8 *at = g_bytes_get_data (body, &length);
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func (decoded_free);
  if (!decode_rows (at, at + length, rows, error))
    return FALSE;
  for (guint i = 0; i < rows->len; i++) {
    const Decoded *decoded = g_ptr_array_index (rows, i);
    put (self, decoded->kind, swarm_message_ref (decoded->row), decoded->bytes, change);
  }
  return TRUE;
}

void
swarm_worker_picture_load (SwarmWorkerPicture *self)
{
  SwarmDisk *disk = self->worker->config.disk;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) file = disk != NULL ? disk->read (disk, FILE_NAME, &error) : NULL;
  g_autoptr (GBytes) body = file != NULL ? swarm_worker_unseal (MAGIC, file, &error) : NULL;
  g_auto (SwarmPictureChange) change;
  change_init (&change);
  if (body != NULL && load_rows (self, body, &change, &error)) {
    self->kept = TRUE;
    return;
  }
  /* Whatever it had: the leader sends it anew. */
  if (error != NULL && !g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    swarm_warning ("What this node knew of the networks cannot be read (%s): it waits for the leader", error->message);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    g_hash_table_remove_all (self->rows[kinds[i]]);
  self->n_rows = 0;
}

/* ---- looking at it ---- */

void
swarm_worker_picture_foreach (SwarmWorker *worker, SwarmKind kind, void (*func) (gpointer row, gpointer data), gpointer data)
{
  GHashTableIter iter;
  gpointer value;
  if (worker->picture->rows[kind] == NULL)
    return;
  g_hash_table_iter_init (&iter, worker->picture->rows[kind]);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    gpointer row = swarm_message_decode (swarm_picture_type (kind), ((const Row *) value)->bytes, NULL);
    if (row != NULL)
      func (row, data);
    swarm_message_unref (row);
  }
}

gpointer
swarm_worker_picture_get (SwarmWorker *worker, SwarmKind kind, const SwarmId *id)
{
  const Row *row = worker->picture->rows[kind] != NULL ? g_hash_table_lookup (worker->picture->rows[kind], id) : NULL;
  return row != NULL ? swarm_message_decode (swarm_picture_type (kind), row->bytes, NULL) : NULL;
}
