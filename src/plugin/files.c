// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/files.h"
#include "base/error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum { JOB_WRITE, JOB_READ, JOB_REMOVE } JobKind;

typedef struct {
  char *name;
  GBytes *data;
} JobFile;

typedef struct {
  SwarmScopeFiles *owner; /* holds a reference */
  JobKind kind;
  char *dir;
  char *name;
  GArray *files; /* JobFile */
  gsize max;
  GBytes *content;
  GError *error;
  SwarmFileFunc func;
  gpointer data;
} Job;

struct _SwarmScopeFiles {
  gint ref_count; /* of the owner and of jobs under way; the loop's thread only */
  gboolean closed;
  char *dir;
  GThreadPool *pool; /* one thread, so that jobs keep their order */
  GMainContext *context;
};

static void
job_file_clear (gpointer data)
{
  JobFile *file = data;
  g_free (file->name);
  g_bytes_unref (file->data);
}

static gboolean
is_plain_name (const char *name)
{
  if (name == NULL || name[0] == '\0' || name[0] == '.' || strlen (name) > 200)
    return FALSE;
  for (const char *p = name; *p != '\0'; p++) {
    if (!g_ascii_isalnum (*p) && strchr ("-_.", *p) == NULL)
      return FALSE;
  }
  return TRUE;
}

static void
set_errno (GError **error, const char *what, const char *name)
{
  int saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved), "cannot %s %s: %s", what, name, g_strerror (saved));
}

static gboolean
write_all (int fd, GBytes *data)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (data, &length);

  while (length > 0) {
    gssize n = write (fd, bytes, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    bytes += n;
    length -= (gsize) n;
  }
  return TRUE;
}

static gboolean
write_one (int dir, const JobFile *file, GError **error)
{
  g_autofree char *temporary = g_strconcat (".", file->name, ".new", NULL);
  int fd;

  unlinkat (dir, temporary, 0);
  fd = openat (dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    set_errno (error, "create", file->name);
    return FALSE;
  }
  if (!write_all (fd, file->data)) {
    set_errno (error, "write", file->name);
    close (fd);
    unlinkat (dir, temporary, 0);
    return FALSE;
  }
  close (fd);
  if (renameat (dir, temporary, dir, file->name) < 0) {
    set_errno (error, "rename", file->name);
    return FALSE;
  }
  return TRUE;
}

static int
open_dir (const char *path)
{
  return open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void
run_write (Job *job)
{
  int dir;

  if (g_mkdir_with_parents (job->dir, 0700) < 0) {
    set_errno (&job->error, "make", job->dir);
    return;
  }
  dir = open_dir (job->dir);
  if (dir < 0) {
    set_errno (&job->error, "open", job->dir);
    return;
  }
  for (guint i = 0; i < job->files->len; i++) {
    if (!write_one (dir, &g_array_index (job->files, JobFile, i), &job->error))
      break;
  }
  close (dir);
}

static void
run_read (Job *job)
{
  g_autofree char *path = g_build_filename (job->dir, job->name, NULL);
  g_autofree char *buffer = NULL;
  gsize length = 0;
  int fd = open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

  if (fd < 0) {
    set_errno (&job->error, "open", path);
    return;
  }
  buffer = g_malloc (job->max + 1);
  while (length < job->max) {
    gssize n = read (fd, buffer + length, job->max - length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      set_errno (&job->error, "read", path);
    if (n <= 0)
      break;
    length += (gsize) n;
  }
  close (fd);
  buffer[length] = '\0';
  if (job->error == NULL)
    job->content = g_bytes_new_take (g_steal_pointer (&buffer), length);
}

/* A scope holds plain files only; what else is found there is left and makes the removal fail. */
static void
run_remove (Job *job)
{
  int fd = open_dir (job->dir);
  DIR *dir;
  struct dirent *entry;

  if (fd < 0) {
    if (errno != ENOENT)
      set_errno (&job->error, "open", job->dir);
    return;
  }
  if (job->name != NULL) {
    if (unlinkat (fd, job->name, 0) < 0 && errno != ENOENT)
      set_errno (&job->error, "remove", job->name);
    close (fd);
    return;
  }
  dir = fdopendir (fd);
  while (dir != NULL && (entry = readdir (dir)) != NULL) {
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      unlinkat (fd, entry->d_name, 0);
  }
  if (rmdir (job->dir) < 0 && errno != ENOENT)
    set_errno (&job->error, "remove", job->dir);
  if (dir != NULL)
    closedir (dir);
  else
    close (fd);
}

static void
files_unref (SwarmScopeFiles *self)
{
  if (--self->ref_count > 0)
    return;
  g_free (self->dir);
  g_main_context_unref (self->context);
  g_free (self);
}

static void
job_free (gpointer data)
{
  Job *job = data;

  files_unref (job->owner);
  g_free (job->dir);
  g_free (job->name);
  if (job->files != NULL)
    g_array_unref (job->files);
  if (job->content != NULL)
    g_bytes_unref (job->content);
  g_clear_error (&job->error);
  g_free (job);
}

static gboolean
job_answer (gpointer data)
{
  Job *job = data;

  if (!job->owner->closed && job->func != NULL)
    job->func (job->content, job->error, job->data);
  return G_SOURCE_REMOVE;
}

static void
answer_from_loop (Job *job)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, job_answer, job, job_free);
  g_source_attach (source, job->owner->context);
  g_source_unref (source);
}

static void
run_job (gpointer data, gpointer unused)
{
  Job *job = data;

  if (job->kind == JOB_WRITE)
    run_write (job);
  else if (job->kind == JOB_READ)
    run_read (job);
  else
    run_remove (job);
  answer_from_loop (job);
}

SwarmScopeFiles *
swarm_scope_files_new (const char *dir)
{
  SwarmScopeFiles *self = g_new0 (SwarmScopeFiles, 1);

  self->ref_count = 1;
  self->dir = g_strdup (dir);
  self->context = g_main_context_ref_thread_default ();
  self->pool = g_thread_pool_new (run_job, NULL, 1, FALSE, NULL);
  return self;
}

void
swarm_scope_files_free (SwarmScopeFiles *self)
{
  if (self == NULL)
    return;
  self->closed = TRUE;
  g_thread_pool_free (self->pool, FALSE, TRUE);
  files_unref (self);
}

char *
swarm_scope_files_path (SwarmScopeFiles *self, const char *scope, GError **error)
{
  if (!is_plain_name (scope)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not the name of a scope", scope != NULL ? scope : "");
    return NULL;
  }
  return g_build_filename (self->dir, scope, NULL);
}

static Job *
job_new (SwarmScopeFiles *self, JobKind kind, const char *scope, const char *name, SwarmFileFunc func, gpointer data)
{
  Job *job = g_new0 (Job, 1);

  job->owner = self;
  self->ref_count++;
  job->kind = kind;
  job->name = g_strdup (name);
  job->func = func;
  job->data = data;
  job->dir = swarm_scope_files_path (self, scope, &job->error);
  if (job->error == NULL && name != NULL && !is_plain_name (name))
    g_set_error (&job->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not the name of a file", name);
  return job;
}

static void
job_submit (Job *job)
{
  if (job->error != NULL)
    answer_from_loop (job);
  else
    g_thread_pool_push (job->owner->pool, job, NULL);
}

void
swarm_scope_files_write (SwarmScopeFiles *self, const char *scope, const SwarmPluginFile *files, gsize n_files, SwarmFileFunc func,
                         gpointer data)
{
  Job *job = job_new (self, JOB_WRITE, scope, NULL, func, data);

  job->files = g_array_new (FALSE, FALSE, sizeof (JobFile));
  g_array_set_clear_func (job->files, job_file_clear);
  for (gsize i = 0; i < n_files && job->error == NULL; i++) {
    JobFile file = { NULL, NULL };
    if (!is_plain_name (files[i].name) || files[i].length > SWARM_SCOPE_FILE_MAX) {
      g_set_error (&job->error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "file \"%s\": bad name, or over 1 MiB", files[i].name);
      break;
    }
    file.name = g_strdup (files[i].name);
    file.data = g_bytes_new (files[i].data, files[i].length);
    g_array_append_val (job->files, file);
  }
  job_submit (job);
}

void
swarm_scope_files_read (SwarmScopeFiles *self, const char *scope, const char *name, gsize max, SwarmFileFunc func, gpointer data)
{
  Job *job = job_new (self, JOB_READ, scope, name, func, data);

  job->max = MIN (max, SWARM_SCOPE_FILE_MAX);
  job_submit (job);
}

void
swarm_scope_files_remove (SwarmScopeFiles *self, const char *scope, const char *name, SwarmFileFunc func, gpointer data)
{
  job_submit (job_new (self, JOB_REMOVE, scope, name, func, data));
}
