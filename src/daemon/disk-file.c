// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/disk-file.h"
#include "base/error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPEN 4
/* One sync covers at most this much, so that what came first is not held up for long. */
#define MAX_GROUP_BYTES (4 * 1024 * 1024)

typedef struct {
  GArray *ops;
  gsize bytes;
  gboolean overflow; /* found the queue full */
  SwarmDiskDoneFunc done;
  gpointer data;
  GError *error;
} Batch;

typedef struct {
  char *name;
  int fd;
  gboolean dirty;
  guint64 used;
} File;

typedef struct {
  SwarmDisk iface;
  char *path;
  int dir_fd;
  GThread *thread;
  GMutex lock;
  GCond wake;
  /* under the lock */
  GQueue waiting; /* Batch */
  gsize waiting_bytes;
  GQueue finished; /* Batch */
  GSource *source; /* will empty @finished */
  gboolean stopping;
  /* the thread's own */
  File files[MAX_OPEN];
  guint64 uses;
  gboolean dir_dirty;
  GError *broken;
} DiskFile;

static void
batch_free (Batch *batch)
{
  g_array_unref (batch->ops);
  g_clear_error (&batch->error);
  g_free (batch);
}

static gboolean
fail (GError **error, DiskFile *self, const char *what, const char *name)
{
  int code = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "%s %s/%s: %s", what, self->path, name, g_strerror (code));
  return FALSE;
}

/* ---- the writer thread ---- */

static gboolean
file_sync (DiskFile *self, File *file, GError **error)
{
  if (file->dirty && fdatasync (file->fd) < 0)
    return fail (error, self, "cannot sync", file->name);
  file->dirty = FALSE;
  return TRUE;
}

static gboolean
file_close (DiskFile *self, File *file, GError **error)
{
  gboolean ok = file_sync (self, file, error);

  close (file->fd);
  g_clear_pointer (&file->name, g_free);
  return ok;
}

static File *
file_find (DiskFile *self, const char *name)
{
  for (guint i = 0; i < MAX_OPEN; i++)
    if (self->files[i].name != NULL && strcmp (self->files[i].name, name) == 0)
      return &self->files[i];
  return NULL;
}

static File *
file_open (DiskFile *self, const char *name, GError **error)
{
  File *file = file_find (self, name);
  int fd;

  if (file == NULL) {
    file = &self->files[0];
    for (guint i = 1; i < MAX_OPEN && file->name != NULL; i++)
      if (self->files[i].name == NULL || self->files[i].used < file->used)
        file = &self->files[i];
    if (file->name != NULL && !file_close (self, file, error))
      return NULL;
    fd = openat (self->dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
      fd = openat (self->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
      self->dir_dirty = TRUE;
    }
    if (fd < 0) {
      fail (error, self, "cannot open", name);
      return NULL;
    }
    *file = (File){ g_strdup (name), fd, FALSE, 0 };
  }
  file->used = ++self->uses;
  return file;
}

static gboolean
write_all (DiskFile *self, File *file, const guint8 *data, gsize len, guint64 offset, GError **error)
{
  file->dirty = TRUE;
  while (len > 0) {
    ssize_t n = pwrite (file->fd, data, len, (off_t) offset);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (error, self, "cannot write", file->name);
    data += n;
    len -= n;
    offset += n;
  }
  return TRUE;
}

static gboolean
run_op (DiskFile *self, const SwarmDiskOp *op, GError **error)
{
  File *file;
  gsize len;
  const guint8 *data;

  switch (op->kind) {
  case SWARM_DISK_WRITE:
    data = g_bytes_get_data (op->data, &len);
    file = file_open (self, op->name, error);
    return file != NULL && write_all (self, file, data, len, op->offset, error);
  case SWARM_DISK_TRUNCATE:
    file = file_open (self, op->name, error);
    if (file == NULL)
      return FALSE;
    file->dirty = TRUE;
    return ftruncate (file->fd, (off_t) op->offset) == 0 || fail (error, self, "cannot truncate", op->name);
  case SWARM_DISK_RENAME:
    file = file_open (self, op->name, error);
    if (file == NULL || !file_close (self, file, error))
      return FALSE;
    file = file_find (self, op->to);
    if (file != NULL && !file_close (self, file, error))
      return FALSE;
    self->dir_dirty = TRUE;
    return renameat (self->dir_fd, op->name, self->dir_fd, op->to) == 0 || fail (error, self, "cannot rename", op->name);
  case SWARM_DISK_UNLINK:
    file = file_find (self, op->name);
    if (file != NULL && !file_close (self, file, error))
      return FALSE;
    self->dir_dirty = TRUE;
    return unlinkat (self->dir_fd, op->name, 0) == 0 || errno == ENOENT || fail (error, self, "cannot remove", op->name);
  }
  return TRUE;
}

static gboolean
sync_all (DiskFile *self, GError **error)
{
  for (guint i = 0; i < MAX_OPEN; i++)
    if (self->files[i].name != NULL && !file_sync (self, &self->files[i], error))
      return FALSE;
  if (self->dir_dirty && fsync (self->dir_fd) < 0)
    return fail (error, self, "cannot sync", "");
  self->dir_dirty = FALSE;
  return TRUE;
}

/* Runs batches and syncs once. After a failure nothing is written any more. */
static void
run_group (DiskFile *self, GQueue *group)
{
  GList *good = group->head;

  for (GList *l = group->head; l != NULL; l = l->next) {
    Batch *batch = l->data;
    if (batch->overflow && self->broken == NULL)
      g_set_error (&self->broken, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "the disk of %s stands still: too much waits for it",
                   self->path);
    for (guint i = 0; i < batch->ops->len && self->broken == NULL; i++)
      run_op (self, &g_array_index (batch->ops, SwarmDiskOp, i), &self->broken);
    if (self->broken == NULL)
      good = l->next;
  }
  /* What came before a failed batch may still be saved. */
  if (good != group->head) {
    g_autoptr (GError) error = NULL;
    if (!sync_all (self, &error)) {
      good = group->head;
      if (self->broken == NULL)
        self->broken = g_steal_pointer (&error);
    }
  }
  for (GList *l = good; l != NULL && self->broken != NULL; l = l->next)
    ((Batch *) l->data)->error = g_error_copy (self->broken);
}

static gboolean
complete (gpointer data)
{
  DiskFile *self = data;
  GQueue finished;
  Batch *batch;

  g_mutex_lock (&self->lock);
  finished = self->finished;
  g_queue_init (&self->finished);
  g_clear_pointer (&self->source, g_source_unref);
  g_mutex_unlock (&self->lock);
  while ((batch = g_queue_pop_head (&finished)) != NULL) {
    if (batch->done != NULL)
      batch->done (batch->error, batch->data);
    batch_free (batch);
  }
  return G_SOURCE_REMOVE;
}

/* Called with the lock held. */
static void
finish_group (DiskFile *self, GQueue *group)
{
  Batch *batch;

  while ((batch = g_queue_pop_head (group)) != NULL)
    g_queue_push_tail (&self->finished, batch);
  if (self->source == NULL) {
    self->source = g_idle_source_new ();
    g_source_set_priority (self->source, G_PRIORITY_HIGH);
    g_source_set_callback (self->source, complete, self, NULL);
    g_source_attach (self->source, NULL);
  }
}

static gpointer
writer_main (gpointer data)
{
  DiskFile *self = data;

  g_mutex_lock (&self->lock);
  while (TRUE) {
    GQueue group = G_QUEUE_INIT;
    gsize bytes = 0;

    while (g_queue_is_empty (&self->waiting) && !self->stopping)
      g_cond_wait (&self->wake, &self->lock);
    if (g_queue_is_empty (&self->waiting))
      break;
    while (!g_queue_is_empty (&self->waiting) && bytes < MAX_GROUP_BYTES) {
      Batch *batch = g_queue_pop_head (&self->waiting);
      bytes += batch->bytes;
      g_queue_push_tail (&group, batch);
    }
    self->waiting_bytes -= bytes;
    g_mutex_unlock (&self->lock);
    run_group (self, &group);
    g_mutex_lock (&self->lock);
    finish_group (self, &group);
  }
  g_mutex_unlock (&self->lock);
  return NULL;
}

/* ---- the loop's side ---- */

static gsize
ops_bytes (GArray *ops)
{
  gsize bytes = 0;

  for (guint i = 0; i < ops->len; i++) {
    GBytes *data = g_array_index (ops, SwarmDiskOp, i).data;
    bytes += 64 + (data != NULL ? g_bytes_get_size (data) : 0);
  }
  return bytes;
}

static void
disk_submit (SwarmDisk *iface, GArray *ops, SwarmDiskDoneFunc done, gpointer data)
{
  DiskFile *self = (DiskFile *) iface;
  Batch *batch = g_new0 (Batch, 1);

  batch->ops = ops;
  batch->bytes = ops_bytes (ops);
  batch->done = done;
  batch->data = data;
  g_mutex_lock (&self->lock);
  batch->overflow = self->waiting_bytes + batch->bytes > SWARM_DISK_FILE_MAX_QUEUE;
  self->waiting_bytes += batch->bytes;
  g_queue_push_tail (&self->waiting, batch);
  g_cond_signal (&self->wake);
  g_mutex_unlock (&self->lock);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static char **
disk_list (SwarmDisk *iface, GError **error)
{
  DiskFile *self = (DiskFile *) iface;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int fd = openat (self->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  if (dir == NULL) {
    fail (error, self, "cannot list", "");
    return NULL;
  }
  while ((entry = readdir (dir)) != NULL) {
    struct stat st;
    if (fstatat (self->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG (st.st_mode))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  }
  closedir (dir);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

static GBytes *
disk_read (SwarmDisk *iface, const char *name, GError **error)
{
  DiskFile *self = (DiskFile *) iface;
  g_autofree char *path = g_build_filename (self->path, name, NULL);
  char *content;
  gsize len;

  if (!g_file_get_contents (path, &content, &len, error))
    return NULL;
  return g_bytes_new_take (content, len);
}

SwarmDisk *
swarm_disk_file_new (const char *directory, GError **error)
{
  DiskFile *self;
  int fd;

  if (g_mkdir_with_parents (directory, 0700) < 0) {
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot make %s: %s", directory, g_strerror (errno));
    return NULL;
  }
  fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot open %s: %s", directory, g_strerror (errno));
    return NULL;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "%s is in use by another process", directory);
    close (fd);
    return NULL;
  }
  self = g_new0 (DiskFile, 1);
  self->iface = (SwarmDisk){ disk_list, disk_read, disk_submit };
  self->path = g_strdup (directory);
  self->dir_fd = fd;
  g_mutex_init (&self->lock);
  g_cond_init (&self->wake);
  g_queue_init (&self->waiting);
  g_queue_init (&self->finished);
  self->thread = g_thread_new ("swarm-disk", writer_main, self);
  return &self->iface;
}

/* What was handed in by the last callbacks: nobody is left to write it. */
static void
refuse_waiting (DiskFile *self)
{
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the disk is closed");
  Batch *batch;

  while ((batch = g_queue_pop_head (&self->waiting)) != NULL) {
    if (batch->done != NULL)
      batch->done (error, batch->data);
    batch_free (batch);
  }
}

void
swarm_disk_file_free (SwarmDisk *disk)
{
  DiskFile *self = (DiskFile *) disk;

  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  g_cond_signal (&self->wake);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);
  if (self->source != NULL)
    g_source_destroy (self->source);
  complete (self);
  refuse_waiting (self);
  for (guint i = 0; i < MAX_OPEN; i++)
    if (self->files[i].name != NULL)
      file_close (self, &self->files[i], NULL);
  close (self->dir_fd);
  g_clear_error (&self->broken);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->wake);
  g_free (self->path);
  g_free (self);
}
