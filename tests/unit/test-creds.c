// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a run of systemd-creds that was cut off leaves in memory is wiped at the next start. (Sealing itself: tests/lab, 50-locks.) */
#include "daemon/creds.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static char *
make_file (const char *dir, const char *name, const char *text)
{
  char *path = g_build_filename (dir, name, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
test_clean (void)
{
  g_autofree char *dir = g_dir_make_tmp ("test-creds-XXXXXX", NULL);
  g_autofree char *in = make_file (dir, "kek-7.in", "the plain key"), *out = make_file (dir, "kek-7.out", "the sealed key");
  g_autofree char *other = make_file (dir, "socket", "of somebody else"), *content = NULL;
  char left[64];
  int fd = open (in, O_RDONLY | O_CLOEXEC);
  swarm_creds_clean (dir);
  g_assert_false (g_file_test (in, G_FILE_TEST_EXISTS) || g_file_test (out, G_FILE_TEST_EXISTS));
  ssize_t n = read (fd, left, sizeof left); /* as somebody would who finds the memory */
  g_assert_cmpint (n, ==, strlen ("the plain key"));
  for (ssize_t i = 0; i < n; i++)
    g_assert_cmpint (left[i], ==, 0);
  close (fd);
  g_assert_true (g_file_get_contents (other, &content, NULL, NULL));
  g_assert_cmpstr (content, ==, "of somebody else");
  g_unlink (other);
  swarm_creds_clean (dir);
  g_rmdir (dir);
  swarm_creds_clean (dir); /* there may be none */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/creds/clean", test_clean);
  return g_test_run ();
}
