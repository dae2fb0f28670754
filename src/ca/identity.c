// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.h"
#include "ca/identity.h"
#include "ca/cert.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The key of a save under way: written first, renamed last. Key and certificate cannot change in one step, but a
 * certificate tells which key it belongs to, so whichever of the two keys matches is the right one. */
#define NEXT_KEY_FILE SWARM_IDENTITY_KEY_FILE ".next"

static void
set_errno_error (GError **error, const char *path, const char *what)
{
  int saved = errno;

  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved), "%s: %s: %s", path, what, g_strerror (saved));
}

SwarmIdentity *
swarm_identity_new (const char *cert_pem, GBytes *key_pem, const char *root_pem, GError **error)
{
  g_autoptr (SwarmIdentity) self = g_new0 (SwarmIdentity, 1);

  if (!swarm_cert_parse (cert_pem, &self->info, error) || !swarm_cert_matches_key (cert_pem, key_pem, error)
      || !swarm_cert_verify (cert_pem, root_pem, self->info.not_before, error))
    return NULL;
  self->cert_pem = g_strdup (cert_pem);
  self->key_pem = g_bytes_ref (key_pem);
  self->root_pem = g_strdup (root_pem);
  return g_steal_pointer (&self);
}

void
swarm_identity_free (SwarmIdentity *self)
{
  if (self == NULL)
    return;
  g_free (self->cert_pem);
  g_clear_pointer (&self->key_pem, g_bytes_unref);
  g_free (self->root_pem);
  g_free (self);
}

/* The content of @dir/@name, at most SWARM_PEM_MAX bytes. */
static char *
read_file (const char *dir, const char *name, gsize *ret_len, GError **error)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  char *data;
  struct stat st;

  if (stat (path, &st) == 0 && st.st_size > SWARM_PEM_MAX) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s: too long for what it should be", path);
    return NULL;
  }
  return g_file_get_contents (path, &data, ret_len, error) ? data : NULL;
}

static GBytes *
read_key (const char *dir, const char *name, GError **error)
{
  gsize len;
  char *data = read_file (dir, name, &len, error);
  GBytes *key;

  if (data == NULL)
    return NULL;
  key = swarm_secret_bytes (data, len);
  explicit_bzero (data, len);
  g_free (data);
  return key;
}

static gboolean
sync_dir (const char *dir, GError **error)
{
  int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync (fd) == 0;

  if (!ok)
    set_errno_error (error, dir, "cannot sync");
  if (fd >= 0)
    close (fd);
  return ok;
}

static gboolean
rename_file (const char *dir, const char *from, const char *to, GError **error)
{
  g_autofree char *a = g_build_filename (dir, from, NULL), *b = g_build_filename (dir, to, NULL);

  if (g_rename (a, b) == 0)
    return sync_dir (dir, error);
  set_errno_error (error, b, "cannot rename into place");
  return FALSE;
}

static gboolean
write_all (int fd, const char *data, gsize len)
{
  while (len > 0) {
    ssize_t n = write (fd, data, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return FALSE;
    data += n;
    len -= n;
  }
  return fsync (fd) == 0;
}

/* @name is complete and on the disk, or as before. A file that is a link is replaced, never followed. */
static gboolean
write_file (const char *dir, const char *name, int mode, const char *data, gsize len, GError **error)
{
  g_autofree char *temporary = g_strconcat (name, ".tmp", NULL);
  g_autofree char *path = g_build_filename (dir, temporary, NULL);
  gboolean ok;
  int fd;

  if (g_unlink (path) < 0 && errno != ENOENT) {
    set_errno_error (error, path, "cannot remove");
    return FALSE;
  }
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  ok = fd >= 0 && fchmod (fd, mode) == 0 && write_all (fd, data, len);
  if (!ok)
    set_errno_error (error, path, "cannot write");
  if (fd >= 0)
    close (fd);
  if (ok)
    return rename_file (dir, temporary, name, error);
  g_unlink (path);
  return FALSE;
}

static gboolean
prefix_file (GError **error, const char *dir, const char *name)
{
  g_prefix_error (error, "%s/%s: ", dir, name);
  return FALSE;
}

/* The key that belongs to @cert_pem; a key that waits to be renamed is put in its place. */
static GBytes *
load_key (const char *dir, const char *cert_pem, GError **error)
{
  g_autoptr (GError) key_error = NULL;
  g_autoptr (GBytes) key = read_key (dir, SWARM_IDENTITY_KEY_FILE, &key_error);
  g_autoptr (GBytes) next = NULL;

  if (key != NULL && swarm_cert_matches_key (cert_pem, key, &key_error))
    return g_steal_pointer (&key);
  next = read_key (dir, NEXT_KEY_FILE, NULL);
  if (next != NULL && swarm_cert_matches_key (cert_pem, next, NULL)) {
    if (!rename_file (dir, NEXT_KEY_FILE, SWARM_IDENTITY_KEY_FILE, error))
      return NULL;
    return g_steal_pointer (&next);
  }
  /* A certificate without its key is damage, not an absent identity. */
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s/%s: %s", dir, SWARM_IDENTITY_KEY_FILE, key_error->message);
  return NULL;
}

SwarmIdentity *
swarm_identity_load (const char *dir, GError **error)
{
  g_autofree char *cert = read_file (dir, SWARM_IDENTITY_CERT_FILE, NULL, error), *root = NULL;
  g_autoptr (GBytes) key = NULL;
  g_autoptr (GError) root_error = NULL;
  SwarmIdentity *self;

  if (cert == NULL)
    return NULL;
  root = read_file (dir, SWARM_IDENTITY_ROOT_FILE, NULL, &root_error);
  if (root == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, root_error->message);
    return NULL;
  }
  key = load_key (dir, cert, error);
  if (key == NULL)
    return NULL;
  self = swarm_identity_new (cert, key, root, error);
  if (self == NULL)
    prefix_file (error, dir, SWARM_IDENTITY_CERT_FILE);
  return self;
}

gboolean
swarm_identity_save (const SwarmIdentity *self, const char *dir, GError **error)
{
  gsize len;
  const char *key = g_bytes_get_data (self->key_pem, &len);

  return write_file (dir, SWARM_IDENTITY_ROOT_FILE, 0644, self->root_pem, strlen (self->root_pem), error)
         && write_file (dir, NEXT_KEY_FILE, 0600, key, len, error)
         && write_file (dir, SWARM_IDENTITY_CERT_FILE, 0644, self->cert_pem, strlen (self->cert_pem), error)
         && rename_file (dir, NEXT_KEY_FILE, SWARM_IDENTITY_KEY_FILE, error);
}

static gboolean
remove_file (const char *dir, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  int fd = open (path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;

  if (fd >= 0 && fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && st.st_size <= SWARM_PEM_MAX) {
    g_autofree char *zeros = g_malloc0 (st.st_size + 1);
    write_all (fd, zeros, st.st_size);
  }
  if (fd >= 0)
    close (fd);
  if (g_unlink (path) == 0 || errno == ENOENT)
    return TRUE;
  set_errno_error (error, path, "cannot remove");
  return FALSE;
}

gboolean
swarm_identity_remove (const char *dir, GError **error)
{
  static const char *const names[] = { SWARM_IDENTITY_CERT_FILE, SWARM_IDENTITY_KEY_FILE, NEXT_KEY_FILE,
                                       NEXT_KEY_FILE ".tmp", SWARM_IDENTITY_ROOT_FILE };

  /* The certificate first: without it the rest counts as nothing. */
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (!remove_file (dir, names[i], error))
      return FALSE;
  return sync_dir (dir, error);
}
