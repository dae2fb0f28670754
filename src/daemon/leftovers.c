// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/leftovers.h"
#include "base/error.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX 5
#define OLD_LOG "log.old-"

static const char *const dirs[] = { "log", "worker", "node" };

static gboolean
exists (const char *state_dir, const char *name)
{
  g_autofree char *path = g_build_filename (state_dir, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
empty_dir (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    g_unlink (file);
  }
}

static gboolean
has_files (const char *state_dir, const char *name)
{
  g_autofree char *path = g_build_filename (state_dir, name, NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  return dir != NULL && g_dir_read_name (dir) != NULL;
}

static void
remove_kept (const char *path)
{
  for (guint i = 0; i < G_N_ELEMENTS (dirs); i++) {
    g_autofree char *dir = g_build_filename (path, dirs[i], NULL);
    empty_dir (dir);
    g_rmdir (dir);
  }
  g_rmdir (path);
}

/* lost-1 is the newest. */
static char *
make_room (const char *state_dir)
{
  for (guint n = KEPT_MAX; n > 0; n--) {
    g_autofree char *path = g_strdup_printf ("%s/lost-%u", state_dir, n);
    g_autofree char *older = g_strdup_printf ("%s/lost-%u", state_dir, n + 1);
    if (n == KEPT_MAX)
      remove_kept (path);
    else
      g_rename (path, older);
  }
  return g_strdup_printf ("%s/lost-1", state_dir);
}

static void
sync_dir (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  fsync (fd);
  close (fd);
}

static void
set_aside (const char *state_dir)
{
  g_autofree char *kept = make_room (state_dir);
  gboolean ok = g_mkdir (kept, 0700) == 0;
  for (guint i = 0; ok && i < G_N_ELEMENTS (dirs); i++) {
    g_autofree char *from = g_build_filename (state_dir, dirs[i], NULL), *to = g_build_filename (kept, dirs[i], NULL);
    ok = g_rename (from, to) == 0 || errno == ENOENT;
  }
  sync_dir (kept);
  sync_dir (state_dir);
  if (ok)
    swarm_warning ("There is a node's key and state, but no node.conf: kept in %s. If this host was in a cluster, put its directories back with "
                   "a node.conf from a backup; else remove them.",
                   kept);
  else
    swarm_error_log ("State without a node.conf could not be kept in %s: %s", kept, g_strerror (errno));
}

void
swarm_leftovers_forget (const char *state_dir)
{
  if (exists (state_dir, "node/node.conf"))
    return;
  if ((exists (state_dir, "node/node.key") || exists (state_dir, "node/keys")) && (has_files (state_dir, "log") || has_files (state_dir, "worker"))) {
    set_aside (state_dir);
    return;
  }
  for (guint i = 0; i < 2; i++) {
    g_autofree char *path = g_build_filename (state_dir, dirs[i], NULL);
    empty_dir (path);
  }
}

/* ---- the log of a cluster that was made anew ---- */

/* All but @except, which may be NULL. */
static void
drop_old_logs (const char *state_dir, const char *except)
{
  g_autoptr (GDir) dir = g_dir_open (state_dir, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;) {
    g_autofree char *path = g_build_filename (state_dir, name, NULL);
    if (g_str_has_prefix (name, OLD_LOG) && g_strcmp0 (path, except) != 0)
      remove_kept (path);
  }
}

/* The files of one directory, by a second name each. */
static gboolean
link_files (const char *from, const char *to)
{
  g_autoptr (GDir) dir = g_dir_open (from, 0, NULL);
  gboolean ok = dir != NULL && g_mkdir (to, 0700) == 0;
  for (const char *name; ok && (name = g_dir_read_name (dir)) != NULL;) {
    g_autofree char *old = g_build_filename (from, name, NULL), *new = g_build_filename (to, name, NULL);
    ok = link (old, new) == 0;
  }
  sync_dir (to);
  return ok;
}

char *
swarm_leftovers_keep_log (const char *state_dir, gint64 now, GError **error)
{
  static const char *const kept_dirs[] = { "log", "node" };
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (now / G_USEC_PER_SEC);
  g_autofree char *stamp = time != NULL ? g_date_time_format (time, "%Y%m%dT%H%M%SZ") : g_strdup ("unknown");
  g_autofree char *kept = g_strdup_printf ("%s/" OLD_LOG "%s", state_dir, stamp);
  remove_kept (kept);
  gboolean ok = g_mkdir (kept, 0700) == 0;
  for (guint i = 0; ok && i < G_N_ELEMENTS (kept_dirs); i++) {
    g_autofree char *from = g_build_filename (state_dir, kept_dirs[i], NULL), *to = g_build_filename (kept, kept_dirs[i], NULL);
    ok = link_files (from, to);
  }
  if (!ok) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "cannot make %s: %s", kept, g_strerror (errno));
    remove_kept (kept);
    return NULL;
  }
  sync_dir (kept);
  drop_old_logs (state_dir, kept);
  sync_dir (state_dir);
  return g_steal_pointer (&kept);
}

void
swarm_leftovers_drop_log (const char *state_dir)
{
  drop_old_logs (state_dir, NULL);
}
