// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log-journal.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct _SwarmJournal {
  int fd;
  struct sockaddr_un address;
  GQueue waiting; /* GBytes */
  gsize waiting_bytes;
  guint lost;
};

SwarmJournal *
swarm_journal_new (const char *path)
{
  int fd = access (path, F_OK) == 0 ? socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
  SwarmJournal *self;

  if (fd < 0)
    return NULL;
  self = g_new0 (SwarmJournal, 1);
  self->fd = fd;
  self->address.sun_family = AF_UNIX;
  g_strlcpy (self->address.sun_path, path, sizeof self->address.sun_path);
  g_queue_init (&self->waiting);
  return self;
}

void
swarm_journal_free (SwarmJournal *self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->waiting, (GDestroyNotify) g_bytes_unref);
  close (self->fd);
  g_free (self);
}

void
swarm_journal_field (GString *entry, const char *name, const char *value)
{
  if (value == NULL)
    return;
  if (strchr (value, '\n') == NULL) {
    g_string_append_printf (entry, "%s=%s\n", name, value);
    return;
  }
  guint64 len = GUINT64_TO_LE (strlen (value));
  g_string_append_printf (entry, "%s\n", name);
  g_string_append_len (entry, (const char *) &len, sizeof len);
  g_string_append_printf (entry, "%s\n", value);
}

/* 0, or an errno. It is addressed each time: a journald that was started anew has another socket under the same name. */
static int
send_now (SwarmJournal *self, const void *data, gsize len)
{
  const struct sockaddr *address = (const struct sockaddr *) &self->address;
  return sendto (self->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, address, sizeof self->address) < 0 ? errno : 0;
}

static gboolean
is_busy (int error)
{
  return error == EAGAIN || error == ENOBUFS || error == EINTR || error == ECONNREFUSED || error == ENOENT;
}

gboolean
swarm_journal_flush (SwarmJournal *self)
{
  while (!g_queue_is_empty (&self->waiting)) {
    gsize len;
    const void *data = g_bytes_get_data (g_queue_peek_head (&self->waiting), &len);
    int error = send_now (self, data, len);
    if (is_busy (error))
      return FALSE;
    self->lost += error != 0;
    self->waiting_bytes -= len;
    g_bytes_unref (g_queue_pop_head (&self->waiting));
  }
  return TRUE;
}

gboolean
swarm_journal_send (SwarmJournal *self, const GString *entry)
{
  int error = swarm_journal_flush (self) ? send_now (self, entry->str, entry->len) : EAGAIN;

  if (error == 0 || !is_busy (error))
    return error == 0;
  if (self->waiting_bytes + entry->len > SWARM_JOURNAL_WAITING_MAX) {
    self->lost++;
  } else {
    g_queue_push_tail (&self->waiting, g_bytes_new (entry->str, entry->len));
    self->waiting_bytes += entry->len;
  }
  return TRUE;
}

guint
swarm_journal_take_lost (SwarmJournal *self)
{
  guint lost = self->lost;

  self->lost = 0;
  return lost;
}
