// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/files.h"
#include "ctl/opts.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES (4 * 1024 * 1024)
#define STEP 65536

/* Up to the end, or a byte more than is taken. */
static gboolean
read_bounded (int fd, GString *text)
{
  while (text->len <= MAX_BYTES) {
    char buffer[STEP];
    ssize_t n = read (fd, buffer, sizeof buffer);

    if (n < 0 && errno == EINTR)
      continue;
    if (n > 0)
      g_string_append_len (text, buffer, n);
    explicit_bzero (buffer, sizeof buffer); /* it may have been a key */
    if (n <= 0)
      return n == 0;
  }
  return TRUE;
}

char *
ctl_file_read (const char *path, GError **error)
{
  gboolean standard = g_str_equal (path, "-");
  int fd = standard ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC), number;
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean ok;

  if (fd < 0) {
    ctl_invalid (error, "open %s: %s", path, g_strerror (errno));
    return NULL;
  }
  ok = read_bounded (fd, text);
  number = errno;
  if (!standard)
    close (fd);
  if (!ok)
    ctl_invalid (error, "read %s: %s", path, g_strerror (number));
  else if (text->len > MAX_BYTES)
    ctl_invalid (error, _ ("%s is larger than %d MiB"), path, MAX_BYTES / 1024 / 1024);
  else if (strlen (text->str) != text->len)
    ctl_invalid (error, _ ("%s is not a text: it holds a byte 0"), path);
  else
    return g_string_free (g_steal_pointer (&text), FALSE);
  return NULL;
}
