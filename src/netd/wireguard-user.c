// SPDX-License-Identifier: LGPL-2.1-or-later
/* wireguard-go's socket: one question and its answer a connection. */
#include "netd/wireguard-device.h"
#include "base/error.h"
#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LIMIT_SECONDS 10
#define ANSWER_MAX (16 * 1024 * 1024)

struct _SwarmNetdWireguardTalk {
  int fd;
  guint source;
  guint limit_source;
  GString *question;
  gsize sent;
  GByteArray *answer;
  SwarmNetdWireguardTalkFunc func;
  gpointer data;
};

void
swarm_netd_wireguard_talk_free (SwarmNetdWireguardTalk *self)
{
  g_clear_handle_id (&self->source, g_source_remove);
  g_clear_handle_id (&self->limit_source, g_source_remove);
  if (self->fd >= 0)
    close (self->fd);
  explicit_bzero (self->question->str, self->question->len);
  g_string_free (self->question, TRUE);
  if (self->answer->len > 0)
    explicit_bzero (self->answer->data, self->answer->len);
  g_byte_array_unref (self->answer);
  g_free (self);
}

/* The function may free us. */
static gboolean
finish (SwarmNetdWireguardTalk *self, int code, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmNetdWireguardConfig) config = NULL;
  if (words == NULL)
    config = swarm_netd_wireguard_parse ((const char *) self->answer->data, self->answer->len, &error);
  else
    g_set_error (&error, SWARM_ERROR, SWARM_ERROR_FAILED, "wireguard-go: %s%s%s", words, code != 0 ? ": " : "", code != 0 ? g_strerror (code) : "");
  self->func (config, error, self->data);
  return G_SOURCE_REMOVE;
}

static gboolean
is_whole (const GByteArray *answer)
{
  return answer->len >= 2 && memcmp (answer->data + answer->len - 2, "\n\n", 2) == 0;
}

static gboolean on_ready (gint fd, GIOCondition condition, gpointer data);

static gboolean
read_answer (SwarmNetdWireguardTalk *self)
{
  guint8 room[16384];
  ssize_t n = recv (self->fd, room, sizeof room, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n > 0)
    g_byte_array_append (self->answer, room, n);
  explicit_bzero (room, sizeof room);
  if (n > 0 && !is_whole (self->answer) && self->answer->len <= ANSWER_MAX)
    return G_SOURCE_CONTINUE;
  self->source = 0;
  return n > 0 && is_whole (self->answer) ? finish (self, 0, NULL) : finish (self, n < 0 ? errno : 0, n > 0 ? "its answer has no end" : "it hung up");
}

static gboolean
on_ready (gint fd, GIOCondition condition, gpointer data)
{
  SwarmNetdWireguardTalk *self = data;
  if (self->sent == self->question->len)
    return read_answer (self);
  ssize_t n = send (fd, self->question->str + self->sent, self->question->len - self->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    self->source = 0;
    return finish (self, errno, "it does not listen");
  }
  self->sent += MAX (n, 0);
  if (self->sent < self->question->len)
    return G_SOURCE_CONTINUE;
  self->source = g_unix_fd_add (fd, G_IO_IN, on_ready, self);
  return G_SOURCE_REMOVE;
}

static gboolean
on_limit (gpointer data)
{
  SwarmNetdWireguardTalk *self = data;
  self->limit_source = 0;
  return finish (self, 0, "it does not answer");
}

static gboolean
on_failed (gpointer data)
{
  SwarmNetdWireguardTalk *self = data;
  self->source = 0;
  return finish (self, 0, "nobody listens at its socket");
}

SwarmNetdWireguardTalk *
swarm_netd_wireguard_talk (const char *name, GString *question, SwarmNetdWireguardTalkFunc func, gpointer data)
{
  SwarmNetdWireguardTalk *self = g_new0 (SwarmNetdWireguardTalk, 1);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  self->question = question;
  self->answer = g_byte_array_new ();
  self->func = func;
  self->data = data;
  snprintf (address.sun_path, sizeof address.sun_path, "/run/wireguard/%s.sock", name);
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  gboolean ok = self->fd >= 0 && connect (self->fd, (struct sockaddr *) &address, sizeof address) == 0;
  self->source = ok ? g_unix_fd_add (self->fd, G_IO_OUT, on_ready, self) : g_idle_add (on_failed, self);
  self->limit_source = g_timeout_add_seconds (LIMIT_SECONDS, on_limit, self);
  return self;
}
