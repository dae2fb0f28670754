// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-disk.h"
#include "base/error.h"
#include <gio/gio.h>
#include <string.h>

#define SECTOR 512

typedef struct {
  GArray *ops;
  gint64 due;
  gint64 done_at;
  char *failure; /* NULL: it goes well */
  gboolean first_failure;
  SwarmDiskDoneFunc done;
  gpointer data;
} Batch;

struct _SimDisk {
  SwarmDisk iface;
  SimClock *clock;
  SwarmClock *view; /* for completions */
  SimRandom *random;
  gint64 min_us, max_us;
  GHashTable *live;    /* name → GByteArray: what reads see */
  GHashTable *platter; /* what survives a power cut */
  GQueue pending;      /* Batch: submitted, not done */
  GQueue unsynced;     /* Batch: said to be done, but the disk lies */
  GPtrArray *lingering; /* SwarmDiskOp of a killed process: written, not synced by anybody yet */
  SwarmTimer *timer;
  gint64 last_due;
  gint64 lie_us;
  char *failure; /* of the next batches */
  gboolean failed; /* one has failed already */
  guint64 batches;
};

static void
batch_free (Batch *batch)
{
  g_array_unref (batch->ops);
  g_free (batch->failure);
  g_free (batch);
}

/* ---- files ---- */

static GByteArray *
file_get (GHashTable *files, const char *name)
{
  GByteArray *file = g_hash_table_lookup (files, name);

  if (file == NULL) {
    file = g_byte_array_new ();
    g_hash_table_insert (files, g_strdup (name), file);
  }
  return file;
}

static void
file_resize (GByteArray *file, gsize size)
{
  gsize old = file->len;

  g_byte_array_set_size (file, size);
  if (size > old)
    memset (file->data + old, 0, size - old);
}

static void
file_write (GByteArray *file, guint64 offset, const guint8 *data, gsize len)
{
  if (file->len < offset + len)
    file_resize (file, offset + len);
  if (len > 0)
    memcpy (file->data + offset, data, len);
}

static void
apply_op (GHashTable *files, const SwarmDiskOp *op)
{
  char *name;
  GByteArray *file;
  gsize len;
  const guint8 *data;

  switch (op->kind) {
  case SWARM_DISK_WRITE:
    data = g_bytes_get_data (op->data, &len);
    file_write (file_get (files, op->name), op->offset, data, len);
    break;
  case SWARM_DISK_TRUNCATE:
    file_resize (file_get (files, op->name), op->offset);
    break;
  case SWARM_DISK_RENAME:
    if (g_hash_table_steal_extended (files, op->name, (gpointer *) &name, (gpointer *) &file)) {
      g_free (name);
      g_hash_table_replace (files, g_strdup (op->to), file);
    }
    break;
  case SWARM_DISK_UNLINK:
    g_hash_table_remove (files, op->name);
    break;
  }
}

static GHashTable *
files_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_byte_array_unref);
}

static GHashTable *
files_copy (GHashTable *files)
{
  GHashTable *copy = files_new ();
  GHashTableIter iter;
  gpointer name, file;

  g_hash_table_iter_init (&iter, files);
  while (g_hash_table_iter_next (&iter, &name, &file))
    file_write (file_get (copy, name), 0, ((GByteArray *) file)->data, ((GByteArray *) file)->len);
  return copy;
}

/* ---- the disk ---- */

static char **
disk_list (SwarmDisk *iface, GError **error)
{
  SimDisk *self = (SimDisk *) iface;
  g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (self->live), (GCompareFunc) strcmp);
  GPtrArray *list = g_ptr_array_new ();

  for (GList *l = names; l != NULL; l = l->next)
    g_ptr_array_add (list, g_strdup (l->data));
  g_ptr_array_add (list, NULL);
  return (char **) g_ptr_array_free (list, FALSE);
}

static GBytes *
disk_read (SwarmDisk *iface, const char *name, GError **error)
{
  SimDisk *self = (SimDisk *) iface;
  GByteArray *file = g_hash_table_lookup (self->live, name);

  if (file == NULL) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "%s: no such file", name);
    return NULL;
  }
  return g_bytes_new (file->data, file->len);
}

static void arm (SimDisk *self);

static void
op_free (SwarmDiskOp *op)
{
  g_free (op->name);
  g_free (op->to);
  g_clear_pointer (&op->data, g_bytes_unref);
  g_free (op);
}

static SwarmDiskOp *
op_copy (const SwarmDiskOp *op)
{
  SwarmDiskOp *copy = g_new0 (SwarmDiskOp, 1);

  *copy = (SwarmDiskOp){ op->kind, g_strdup (op->name), g_strdup (op->to), op->offset, op->data != NULL ? g_bytes_ref (op->data) : NULL };
  return copy;
}

static gboolean
touches (GArray *ops, const SwarmDiskOp *lingering)
{
  gboolean directory = lingering->kind == SWARM_DISK_RENAME || lingering->kind == SWARM_DISK_UNLINK;

  for (guint i = 0; i < ops->len; i++) {
    const SwarmDiskOp *op = &g_array_index (ops, SwarmDiskOp, i);
    if (strcmp (op->name, lingering->name) == 0
        || (directory && (op->kind == SWARM_DISK_RENAME || op->kind == SWARM_DISK_UNLINK)))
      return TRUE;
  }
  return FALSE;
}

/* What was done to a file before it was renamed or removed is not done to the next one of its name. */
static gboolean
goes_with_a_later_one (SimDisk *self, GArray *ops, guint i)
{
  const SwarmDiskOp *op = g_ptr_array_index (self->lingering, i);

  for (guint j = i + 1; j < self->lingering->len; j++) {
    const SwarmDiskOp *later = g_ptr_array_index (self->lingering, j);
    if ((later->kind == SWARM_DISK_RENAME || later->kind == SWARM_DISK_UNLINK) && strcmp (op->name, later->name) == 0 && touches (ops, later))
      return TRUE;
  }
  return FALSE;
}

/* A batch syncs its files, and with them what a killed process wrote there; renames and removals sync the directory. */
static void
sync_lingering (SimDisk *self, GArray *ops)
{
  for (guint i = 0; i < self->lingering->len;) {
    const SwarmDiskOp *op = g_ptr_array_index (self->lingering, i);

    if (touches (ops, op) || goes_with_a_later_one (self, ops, i)) {
      apply_op (self->platter, op);
      g_ptr_array_remove_index (self->lingering, i);
    } else {
      i++;
    }
  }
}

/* Batches that the disk lied about reach the platter after a while. */
static void
settle (SimDisk *self)
{
  Batch *batch;

  while ((batch = g_queue_peek_head (&self->unsynced)) != NULL
         && batch->done_at + self->lie_us <= sim_clock_time (self->clock)) {
    sync_lingering (self, batch->ops);
    for (guint i = 0; i < batch->ops->len; i++)
      apply_op (self->platter, &g_array_index (batch->ops, SwarmDiskOp, i));
    batch_free (g_queue_pop_head (&self->unsynced));
  }
}

/* How many of its operations are carried out: a batch that fails stops half-way, those after it do nothing at all. */
static guint
reach (const Batch *batch)
{
  if (batch->failure == NULL)
    return batch->ops->len;
  return batch->first_failure ? batch->ops->len / 2 : 0;
}

static void
batch_due (gpointer data)
{
  SimDisk *self = data;
  Batch *batch = g_queue_pop_head (&self->pending);
  g_autoptr (GError) error = NULL;
  guint n = reach (batch);
  SwarmDiskDoneFunc done = batch->done;
  gpointer done_data = batch->data;

  self->timer = NULL;
  if (batch->failure != NULL)
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, batch->failure);
  for (guint i = 0; i < n; i++)
    apply_op (self->live, &g_array_index (batch->ops, SwarmDiskOp, i));
  g_array_set_size (batch->ops, n);
  batch->done_at = sim_clock_time (self->clock);
  g_queue_push_tail (&self->unsynced, batch);
  self->batches++;
  settle (self);
  arm (self);
  if (done != NULL)
    done (error, done_data);
}

static void
arm (SimDisk *self)
{
  Batch *next = g_queue_peek_head (&self->pending);

  if (next != NULL && self->timer == NULL)
    self->timer = swarm_clock_timer (self->view, next->due - sim_clock_time (self->clock), SWARM_PRIORITY_URGENT,
                                     batch_due, self);
}

static void
disk_submit (SwarmDisk *iface, GArray *ops, SwarmDiskDoneFunc done, gpointer data)
{
  SimDisk *self = (SimDisk *) iface;
  Batch *batch = g_new0 (Batch, 1);
  gint64 due = sim_clock_time (self->clock) + sim_random_range (self->random, self->min_us, self->max_us);

  batch->ops = ops;
  /* Behind a batch that fails nothing is written, though the disk were repaired: who submits has not heard of it yet. */
  Batch *last = g_queue_peek_tail (&self->pending);
  gboolean behind = last != NULL && last->failure != NULL;
  batch->failure = g_strdup (behind ? last->failure : self->failure);
  batch->first_failure = batch->failure != NULL && !behind && !self->failed;
  self->failed = self->failure != NULL;
  batch->done = done;
  batch->data = data;
  /* Group commit: a batch that waits behind another is mostly done together with it. */
  if (!g_queue_is_empty (&self->pending) && sim_random_chance (self->random, 60))
    due = self->last_due;
  self->last_due = batch->due = MAX (due, self->last_due);
  g_queue_push_tail (&self->pending, batch);
  arm (self);
}

SimDisk *
sim_disk_new (SimClock *clock, SimRandom *random, gint64 min_us, gint64 max_us)
{
  SimDisk *self = g_new0 (SimDisk, 1);

  self->iface = (SwarmDisk){ disk_list, disk_read, disk_submit };
  self->clock = clock;
  self->view = sim_clock_iface (clock);
  self->random = random;
  self->min_us = min_us;
  self->max_us = max_us;
  self->live = files_new ();
  self->platter = files_new ();
  g_queue_init (&self->pending);
  g_queue_init (&self->unsynced);
  self->lingering = g_ptr_array_new_with_free_func ((GDestroyNotify) op_free);
  return self;
}

/* Batches under way are forgotten; their owners hear it. */
static void
fail_pending (SimDisk *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "the power went");
  GQueue pending = self->pending;
  Batch *batch;

  swarm_clock_clear_timer (self->view, &self->timer);
  g_queue_init (&self->pending);
  while ((batch = g_queue_pop_head (&pending)) != NULL) {
    if (batch->done != NULL)
      batch->done (error, batch->data);
    batch_free (batch);
  }
}

void
sim_disk_free (SimDisk *self)
{
  fail_pending (self);
  g_queue_clear_full (&self->unsynced, (GDestroyNotify) batch_free);
  g_ptr_array_unref (self->lingering);
  g_hash_table_unref (self->live);
  g_hash_table_unref (self->platter);
  g_free (self->failure);
  g_free (self);
}

void
sim_disk_set_delay (SimDisk *self, gint64 min_us, gint64 max_us)
{
  self->min_us = min_us;
  self->max_us = max_us;
}

SwarmDisk *
sim_disk_iface (SimDisk *self)
{
  return &self->iface;
}

void
sim_disk_set_clock (SimDisk *self, SwarmClock *view)
{
  self->view = view;
}

/* ---- faults ---- */

/* A write of which only some sectors arrive: cut short, or with holes of zeros (what was never written reads as zeros). */
static void
tear (SimDisk *self, GHashTable *files, const SwarmDiskOp *op)
{
  GByteArray *file = file_get (files, op->name);
  gsize len, pos = 0;
  const guint8 *data = g_bytes_get_data (op->data, &len);
  gboolean holes = sim_random_chance (self->random, 50);

  while (pos < len) {
    gsize n = MIN (SECTOR - (op->offset + pos) % SECTOR, len - pos);

    if (sim_random_chance (self->random, 50))
      file_write (file, op->offset + pos, data + pos, n);
    else if (!holes)
      return;
    pos += n;
  }
  if (sim_random_chance (self->random, 50) && file->len < op->offset + len)
    file_resize (file, op->offset + len);
}

/* Was the file of write @i renamed at an operation before @horizon? Then it was synced first. */
static gboolean
renamed_later (GPtrArray *ops, guint i, guint horizon)
{
  const SwarmDiskOp *write = g_ptr_array_index (ops, i);

  for (guint j = i + 1; j < horizon; j++) {
    const SwarmDiskOp *op = g_ptr_array_index (ops, j);
    if (op->kind == SWARM_DISK_RENAME && strcmp (op->name, write->name) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
collect (GQueue *batches, GPtrArray *ops)
{
  for (GList *l = batches->head; l != NULL; l = l->next) {
    Batch *batch = l->data;
    for (guint i = 0; i < reach (batch); i++)
      g_ptr_array_add (ops, &g_array_index (batch->ops, SwarmDiskOp, i));
  }
}

/* What a power cut leaves of operations that were not synced. */
static SimDiskLosses
apply_some (SimDisk *self, GPtrArray *ops)
{
  SimDiskLosses losses = { 0, 0 };
  guint horizon = ops->len > 0 ? (guint) sim_random_range (self->random, 0, ops->len) : 0;

  for (guint i = 0; i < ops->len; i++) {
    const SwarmDiskOp *op = g_ptr_array_index (ops, i);
    gboolean exists = g_hash_table_contains (self->platter, op->name);
    guint dice = (guint) sim_random_range (self->random, 0, 99);

    if (op->kind != SWARM_DISK_WRITE) {
      if (i < horizon)
        apply_op (self->platter, op);
    } else if (i < horizon && renamed_later (ops, i, horizon)) {
      apply_op (self->platter, op);
    } else if (i < horizon || exists) {
      losses.torn += dice >= (i < horizon ? 50 : 15) && dice < 75;
      losses.lost += dice >= 75;
      if (dice < (i < horizon ? 50 : 15))
        apply_op (self->platter, op);
      else if (dice < 75)
        tear (self, self->platter, op);
      else if (i < horizon)
        file_get (self->platter, op->name);
    } else {
      losses.lost++;
    }
  }
  return losses;
}

SimDiskLosses
sim_disk_crash (SimDisk *self)
{
  g_autoptr (GPtrArray) ops = g_ptr_array_new ();

  settle (self);
  for (guint i = 0; i < self->lingering->len; i++)
    g_ptr_array_add (ops, g_ptr_array_index (self->lingering, i));
  collect (&self->unsynced, ops);
  collect (&self->pending, ops);
  SimDiskLosses losses = apply_some (self, ops);
  g_ptr_array_set_size (self->lingering, 0);
  g_queue_clear_full (&self->unsynced, (GDestroyNotify) batch_free);
  g_hash_table_unref (self->live);
  self->live = files_copy (self->platter);
  self->last_due = 0;
  sim_disk_repair (self);
  fail_pending (self);
  return losses;
}

void
sim_disk_kill (SimDisk *self)
{
  g_autoptr (GPtrArray) ops = g_ptr_array_new ();
  guint n;

  collect (&self->pending, ops);
  n = ops->len > 0 ? (guint) sim_random_range (self->random, 0, ops->len) : 0;
  for (guint i = 0; i < n; i++) {
    apply_op (self->live, g_ptr_array_index (ops, i));
    g_ptr_array_add (self->lingering, op_copy (g_ptr_array_index (ops, i)));
  }
  self->last_due = 0;
  fail_pending (self);
}

void
sim_disk_wipe (SimDisk *self)
{
  fail_pending (self);
  g_queue_clear_full (&self->unsynced, (GDestroyNotify) batch_free);
  g_ptr_array_set_size (self->lingering, 0);
  g_hash_table_remove_all (self->live);
  g_hash_table_remove_all (self->platter);
  self->last_due = 0;
}

void
sim_disk_fail (SimDisk *self, const char *message)
{
  g_free (self->failure);
  self->failure = g_strdup (message);
}

void
sim_disk_repair (SimDisk *self)
{
  g_clear_pointer (&self->failure, g_free);
  self->failed = FALSE;
}

void
sim_disk_lie (SimDisk *self, gint64 us)
{
  self->lie_us = us;
}

gboolean
sim_disk_flip (SimDisk *self, const char *name, guint64 offset, guint bit)
{
  GByteArray *live = g_hash_table_lookup (self->live, name);
  GByteArray *platter = g_hash_table_lookup (self->platter, name);

  if (live == NULL || offset >= live->len)
    return FALSE;
  live->data[offset] ^= 1u << (bit & 7);
  if (platter != NULL && offset < platter->len)
    platter->data[offset] ^= 1u << (bit & 7);
  return TRUE;
}

void
sim_disk_cut (SimDisk *self, const char *name, guint64 size)
{
  if (g_hash_table_contains (self->live, name))
    file_resize (file_get (self->live, name), size);
  if (g_hash_table_contains (self->platter, name))
    file_resize (file_get (self->platter, name), size);
}

gint64
sim_disk_size (SimDisk *self, const char *name)
{
  GByteArray *file = g_hash_table_lookup (self->live, name);

  return file != NULL ? (gint64) file->len : -1;
}

guint64
sim_disk_used (SimDisk *self)
{
  GHashTableIter iter;
  gpointer file;
  guint64 used = 0;

  g_hash_table_iter_init (&iter, self->live);
  while (g_hash_table_iter_next (&iter, NULL, &file))
    used += ((GByteArray *) file)->len;
  return used;
}

guint64
sim_disk_batches (SimDisk *self)
{
  return self->batches;
}
