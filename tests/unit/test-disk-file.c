// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "daemon/disk-file.h"
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

typedef struct {
  char *path;
  SwarmDisk *disk;
  int done, failed;
  GString *order;
  char *message;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->path = g_dir_make_tmp ("swarm-disk-XXXXXX", NULL);
  f->order = g_string_new (NULL);
  f->disk = swarm_disk_file_new (f->path, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_auto (GStrv) names = NULL;

  if (f->disk != NULL)
    swarm_disk_file_free (f->disk);
  f->disk = swarm_disk_file_new (f->path, NULL);
  names = f->disk->list (f->disk, NULL);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (f->path, names[i], NULL);
    g_unlink (path);
  }
  swarm_disk_file_free (f->disk);
  g_rmdir (f->path);
  g_string_free (f->order, TRUE);
  g_free (f->message);
  g_free (f->path);
}

static void
done (const GError *error, gpointer data)
{
  Fixture *f = data;

  f->done++;
  if (error != NULL && f->failed++ == 0)
    f->message = g_strdup (error->message);
}

static void
wait_done (Fixture *f, int n)
{
  while (f->done < n)
    g_main_context_iteration (NULL, TRUE);
}

static void
add_write (GArray *ops, const char *name, guint64 offset, const char *text)
{
  g_autoptr (GBytes) data = g_bytes_new (text, strlen (text));

  swarm_disk_ops_write (ops, name, offset, data);
}

static void
write_text (Fixture *f, const char *name, guint64 offset, const char *text)
{
  GArray *ops = swarm_disk_ops_new ();

  add_write (ops, name, offset, text);
  f->disk->submit (f->disk, ops, done, f);
}

static void
assert_content (Fixture *f, const char *name, const char *expect)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) data = f->disk->read (f->disk, name, &error);

  if (expect == NULL) {
    g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    return;
  }
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (data, NULL), g_bytes_get_size (data), expect, strlen (expect));
}

static void
test_operations (Fixture *f, gconstpointer data)
{
  GArray *ops = swarm_disk_ops_new ();
  g_auto (GStrv) names = NULL;
  g_autofree char *path = g_build_filename (f->path, "b", NULL);
  struct stat st;

  write_text (f, "a", 0, "hello world");
  add_write (ops, "new", 0, "second");
  swarm_disk_ops_rename (ops, "new", "b");
  swarm_disk_ops_truncate (ops, "a", 5);
  swarm_disk_ops_unlink (ops, "absent");
  f->disk->submit (f->disk, ops, done, f);
  write_text (f, "b", 6, "!");
  g_assert_cmpint (f->done, ==, 0);
  wait_done (f, 3);
  g_assert_cmpint (f->failed, ==, 0);
  assert_content (f, "a", "hello");
  assert_content (f, "b", "second!");
  assert_content (f, "new", NULL);
  names = f->disk->list (f->disk, NULL);
  g_assert_cmpuint (g_strv_length (names), ==, 2);
  g_assert_cmpint (stat (path, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0600);
}

static void
test_many (Fixture *f, gconstpointer data)
{
  char name[] = "f0";

  for (guint i = 0; i < 500; i++) {
    name[1] = '0' + i % 8; /* more files than are kept open */
    write_text (f, name, i / 8, "x");
  }
  wait_done (f, 500);
  g_assert_cmpint (f->failed, ==, 0);
  assert_content (f, "f7", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void
test_free_drains (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 20; i++)
    write_text (f, "a", i, "y");
  swarm_disk_file_free (g_steal_pointer (&f->disk));
  g_assert_cmpint (f->done, ==, 20);
  f->disk = swarm_disk_file_new (f->path, NULL);
  assert_content (f, "a", "yyyyyyyyyyyyyyyyyyyy");
}

static void
test_failure (Fixture *f, gconstpointer data)
{
  struct rlimit limit, old;

  /* A file that grows over the limit fails as it does on a full disk; the signal is ignored in main(). */
  getrlimit (RLIMIT_FSIZE, &old);
  limit = (struct rlimit){ 4096, old.rlim_max };
  write_text (f, "a", 0, "kept");
  wait_done (f, 1);
  setrlimit (RLIMIT_FSIZE, &limit);
  write_text (f, "a", 8192, "too far");
  write_text (f, "a", 4, "never");
  wait_done (f, 3);
  setrlimit (RLIMIT_FSIZE, &old);
  g_assert_cmpint (f->failed, ==, 2);
  g_assert_nonnull (strstr (f->message, "/a: File too large"));
  assert_content (f, "a", "kept");
}

static void
test_busy (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (swarm_disk_file_new (f->path, &error));
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
}

#define TEST(path, func) g_test_add (path, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGXFSZ, SIG_IGN);
  TEST ("/disk-file/operations", test_operations);
  TEST ("/disk-file/many", test_many);
  TEST ("/disk-file/free-drains", test_free_drains);
  TEST ("/disk-file/failure", test_failure);
  TEST ("/disk-file/busy", test_busy);
  return g_test_run ();
}
