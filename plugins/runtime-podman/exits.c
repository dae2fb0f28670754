// SPDX-License-Identifier: LGPL-2.1-or-later
/* conmon writes the exit code of container C to /run/libpod/exits/C as soon as it ends, before podman cleans up. The file is small and in memory. */
#include "private.h"
#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EXITS_DIR "/run/libpod/exits"

gboolean
podman_exits_read (const char *container_id, int *ret_code)
{
  g_autofree char *path = g_build_filename (EXITS_DIR, container_id, NULL);
  g_autofree char *text = NULL;
  guint64 code;
  if (!g_file_get_contents (path, &text, NULL, NULL) || !g_ascii_string_to_unsigned (g_strstrip (text), 10, 0, 255, &code, NULL))
    return FALSE;
  *ret_code = (int) code;
  return TRUE;
}

static gboolean
readable (int fd, GIOCondition condition, gpointer data)
{
  SwarmPluginInstance *self = data;
  char buffer[4096] __attribute__ ((aligned (__alignof__ (struct inotify_event))));
  ssize_t n = read (fd, buffer, sizeof buffer);
  for (ssize_t at = 0; n > 0 && at < n;) {
    const struct inotify_event *event = (const struct inotify_event *) (buffer + at);
    int code;
    if (event->len > 0 && event->name[0] != '.' && podman_exits_read (event->name, &code))
      podman_container_exited (self, event->name, code);
    at += sizeof *event + event->len;
  }
  return G_SOURCE_CONTINUE;
}

void
podman_exits_watch (SwarmPluginInstance *self)
{
  if (self->exits_fd >= 0)
    return;
  int fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0)
    return;
  /* The directory appears with the first container of a boot. Without it the units tell, only later. */
  if (inotify_add_watch (fd, EXITS_DIR, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    close (fd);
    return;
  }
  self->exits_fd = fd;
  self->exits_source = g_unix_fd_add_full (G_PRIORITY_DEFAULT, fd, G_IO_IN, readable, self, NULL);
}

void
podman_exits_unwatch (SwarmPluginInstance *self)
{
  if (self->exits_fd < 0)
    return;
  g_source_remove (self->exits_source);
  close (self->exits_fd);
  self->exits_fd = -1;
}
