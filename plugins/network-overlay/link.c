// SPDX-License-Identifier: LGPL-2.1-or-later
/* The socket to swarm-netd: connected again and again while it is not there, one batch under way at a time. */
#include "private.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define AGAIN_US (500 * 1000)
#define DOWN_AFTER_US (5 * G_USEC_PER_SEC) /* a restart of swarm-netd is no news */
#define CANNOT_AGAIN_US (60 * G_USEC_PER_SEC) /* a kernel module may have been installed */
#define IN_MAX (4 * 1024 * 1024)

struct OverlayLink {
  SwarmPluginHost *host;
  char *path;
  const OverlayLinkOps *ops;
  gpointer data;
  int fd; /* -1: none */
  uint64_t watch;
  uint32_t watched; /* for what */
  uint64_t again;
  uint64_t down; /* the timer that says so */
  gboolean up;   /* it said hello */
  gboolean said_down;
  gboolean under_way; /* a batch waits for its answer */
  guint64 number;     /* of the last batch */
  guint64 accepted;
  GByteArray *in;
  GByteArray *out;
  gsize sent; /* of @out */
  char *reason;
};

static void try_connect (void *data);
static void watch (OverlayLink *self);

static void
say_down (void *data)
{
  OverlayLink *self = data;
  self->down = 0;
  self->said_down = TRUE;
  self->ops->state (self->data, FALSE, FALSE, self->reason);
}

static void
drop (OverlayLink *self, const char *reason)
{
  if (self->watch != 0)
    self->host->fd_unwatch (self->host, self->watch);
  self->watch = 0;
  self->watched = 0;
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  self->up = self->under_way = FALSE;
  g_byte_array_set_size (self->in, 0);
  g_byte_array_set_size (self->out, 0);
  self->sent = 0;
  g_free (self->reason);
  self->reason = g_strdup_printf ("swarm-netd does not answer: %s (systemctl status swarm-netd.socket swarm-netd)", reason);
  if (self->again != 0)
    self->host->timer_cancel (self->host, self->again);
  self->again = self->host->timer (self->host, AGAIN_US, try_connect, self);
  if (self->down == 0 && !self->said_down)
    self->down = self->host->timer (self->host, DOWN_AFTER_US, say_down, self);
}

/* ---- in ---- */

static void
take_records (OverlayLink *self, const SwarmNetdHeader *header, const guint8 *records)
{
  g_autofree char *refused = NULL;
  gboolean ack = header->kind == SWARM_NETD_ACK;
  SwarmNetdWireguard keys[2];
  guint n_keys = 0;
  self->ops->begin (self->data, !ack);
  for (gsize at = 0; at + sizeof (SwarmNetdRecord) <= header->length;) {
    SwarmNetdRecord record;
    memcpy (&record, records + at, sizeof record);
    if (record.length < sizeof record || record.length > header->length - at)
      break;
    if (record.type == SWARM_NETD_TYPE_ERROR && record.length >= sizeof record + sizeof (SwarmNetdError)) {
      SwarmNetdError error;
      memcpy (&error, records + at + sizeof record, sizeof error);
      error.object[sizeof error.object - 1] = error.text[sizeof error.text - 1] = '\0';
      if (header->flags & SWARM_NETD_REFUSED) {
        g_free (refused);
        refused = g_strdup (error.text);
      } else {
        self->ops->problem (self->data, error.object, error.text);
      }
    } else if (record.type == SWARM_NETD_TYPE_READY && record.length >= sizeof record + sizeof (SwarmNetdReady)) {
      SwarmNetdReady ready;
      memcpy (&ready, records + at + sizeof record, sizeof ready);
      ready.sandbox.text[sizeof ready.sandbox.text - 1] = '\0';
      self->ops->ready (self->data, ready.sandbox.text, ready.pid, ready.fd);
    } else if (record.type == SWARM_NETD_TYPE_WIREGUARD && record.length >= sizeof record + sizeof *keys && n_keys < G_N_ELEMENTS (keys)) {
      memcpy (&keys[n_keys++], records + at + sizeof record, sizeof *keys);
    }
    at += record.length;
  }
  if (!(header->flags & SWARM_NETD_REFUSED)) /* which says nothing else */
    self->ops->end (self->data, keys, n_keys);
  if (!ack)
    return;
  self->under_way = FALSE;
  if (header->flags & SWARM_NETD_REFUSED)
    self->ops->acked (self->data, refused != NULL ? refused : "no reason given");
  else {
    self->accepted = header->number;
    self->ops->acked (self->data, NULL);
  }
}

static void
ask_anew (void *data)
{
  OverlayLink *self = data;
  self->again = 0;
  drop (self, "it is asked anew");
}

/* What keeps this host from having networks. FALSE: nothing does. */
static gboolean
take_inability (OverlayLink *self, const SwarmNetdHeader *header, const guint8 *records)
{
  SwarmNetdRecord record;
  SwarmNetdError error;
  if (header->length < sizeof record + sizeof error)
    return FALSE;
  memcpy (&record, records, sizeof record);
  memcpy (&error, records + sizeof record, sizeof error);
  if (record.type != SWARM_NETD_TYPE_ERROR)
    return FALSE;
  error.text[sizeof error.text - 1] = '\0';
  self->said_down = TRUE;
  self->again = self->host->timer (self->host, CANNOT_AGAIN_US, ask_anew, self);
  self->ops->state (self->data, FALSE, 0, error.text);
  return TRUE;
}

/* FALSE: what comes cannot be read. */
static gboolean
take_message (OverlayLink *self, const SwarmNetdHeader *header)
{
  if (header->magic != SWARM_NETD_MAGIC || header->version != SWARM_NETD_VERSION)
    return FALSE;
  if (header->kind != SWARM_NETD_HELLO) {
    if (self->up)
      take_records (self, header, self->in->data + sizeof *header);
    return self->up;
  }
  if (self->down != 0)
    self->host->timer_cancel (self->host, self->down);
  self->down = 0;
  if (take_inability (self, header, self->in->data + sizeof *header))
    return TRUE;
  self->up = TRUE;
  self->accepted = header->number;
  self->number = MAX (self->number, header->number);
  self->said_down = FALSE;
  self->ops->state (self->data, TRUE, header->flags, NULL);
  return TRUE;
}

static void
take_messages (OverlayLink *self)
{
  while (self->fd >= 0 && self->in->len >= sizeof (SwarmNetdHeader)) {
    SwarmNetdHeader header;
    memcpy (&header, self->in->data, sizeof header);
    if (header.length > IN_MAX) {
      drop (self, "it does not speak as we do");
      return;
    }
    if (self->in->len - sizeof header < header.length)
      return;
    if (!take_message (self, &header)) {
      drop (self, header.version != SWARM_NETD_VERSION ? "it is of another version" : "it does not speak as we do");
      return;
    }
    g_byte_array_remove_range (self->in, 0, sizeof header + header.length);
  }
}

/* ---- out ---- */

static gboolean
flush (OverlayLink *self)
{
  while (self->sent < self->out->len) {
    ssize_t n = send (self->fd, self->out->data + self->sent, self->out->len - self->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN)
      return TRUE;
    if (n < 0) {
      drop (self, g_strerror (errno));
      return FALSE;
    }
    self->sent += n;
  }
  g_byte_array_set_size (self->out, 0);
  self->sent = 0;
  return TRUE;
}

static void
on_ready (int fd, uint32_t ready, void *data)
{
  OverlayLink *self = data;
  guint8 bytes[16 * 1024];
  if ((ready & SWARM_PLUGIN_WRITABLE) && self->out->len > 0 && !flush (self))
    return;
  for (guint i = 0; i < 16; i++) { /* not for ever: the loop has others */
    ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN)
      break;
    if (n <= 0) {
      drop (self, n == 0 ? "it went away" : g_strerror (errno));
      return;
    }
    g_byte_array_append (self->in, bytes, n);
  }
  take_messages (self);
  if (self->fd >= 0)
    watch (self);
}

static void
watch (OverlayLink *self)
{
  uint32_t wanted = SWARM_PLUGIN_READABLE | (self->out->len > 0 ? SWARM_PLUGIN_WRITABLE : 0);
  if (wanted == self->watched)
    return;
  if (self->watch != 0)
    self->host->fd_unwatch (self->host, self->watch);
  self->watched = wanted;
  self->watch = self->host->fd_watch (self->host, self->fd, wanted, on_ready, self);
}

static void
try_connect (void *data)
{
  OverlayLink *self = data;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  self->again = 0;
  g_strlcpy (address.sun_path, self->path, sizeof address.sun_path);
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0 || connect (self->fd, (struct sockaddr *) &address, sizeof address) < 0) {
    g_autofree char *reason = g_strdup_printf ("%s: %s", self->path, g_strerror (errno));
    drop (self, reason);
    return;
  }
  watch (self);
}

OverlayLink *
overlay_link_new (SwarmPluginHost *host, const char *path, const OverlayLinkOps *ops, gpointer data)
{
  OverlayLink *self = g_new0 (OverlayLink, 1);
  self->host = host;
  self->path = g_strdup (path);
  self->ops = ops;
  self->data = data;
  self->fd = -1;
  self->in = g_byte_array_new ();
  self->out = g_byte_array_new ();
  self->again = host->timer (host, 0, try_connect, self);
  return self;
}

void
overlay_link_free (OverlayLink *self)
{
  drop (self, "it is no longer asked");
  if (self->again != 0)
    self->host->timer_cancel (self->host, self->again);
  if (self->down != 0)
    self->host->timer_cancel (self->host, self->down);
  g_byte_array_unref (self->in);
  g_byte_array_unref (self->out);
  g_free (self->reason);
  g_free (self->path);
  g_free (self);
}

gboolean
overlay_link_is_idle (OverlayLink *self)
{
  return self->up && !self->under_way;
}

/* The part of @records from @at on that fits: whole records. */
static gsize
part_length (const GByteArray *records, gsize at)
{
  gsize end = at;
  while (end < records->len) {
    SwarmNetdRecord record;
    memcpy (&record, records->data + end, sizeof record);
    if (end - at + record.length > SWARM_NETD_PART_MAX)
      break;
    end += record.length;
  }
  return end - at;
}

void
overlay_link_send (OverlayLink *self, GByteArray *records, gboolean full)
{
  gsize at = 0;
  self->number++;
  do {
    gsize length = part_length (records, at);
    gboolean more = at + length < records->len;
    SwarmNetdHeader header = { SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, self->number, full ? 0 : self->accepted,
                               (full ? SWARM_NETD_FULL : 0) | (more ? SWARM_NETD_MORE : 0), length };
    g_byte_array_append (self->out, (const guint8 *) &header, sizeof header);
    g_byte_array_append (self->out, records->data + at, length);
    at += length;
  } while (at < records->len);
  g_byte_array_unref (records);
  self->under_way = TRUE;
  if (flush (self))
    watch (self);
}
