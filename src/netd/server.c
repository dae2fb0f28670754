// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/server.h"
#include "base/error.h"
#include "base/log.h"
#include "netd/probe.h"
#include "netd/state-file.h"
#include "netd/wireguard-device.h"
#include <errno.h>
#include <glib-unix.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 8
#define OUT_MAX (4 * 1024 * 1024) /* a client that does not read its answers is cut */
#define MANY 1000
#define READY_SIZE (sizeof (SwarmNetdRecord) + sizeof (SwarmNetdReady))
#define RETRY (SWARM_NETD_RESYNC_LINKS | SWARM_NETD_RESYNC_MESH) /* a task's nftables that failed are tried at each flush anyway */
#define RETRY_FIRST 2 /* seconds, doubled up to RETRY_MAX */
#define RETRY_MAX 60
#define ACCEPT_AGAIN_MS 1000
#define LOOK_SECONDS 1
#define SAID_MAX 1000
#define AHEAD_MAX ((guint64) G_MAXUINT32) /* no client counts so far between two batches that are accepted */

guint swarm_netd_server_patience = 30;

struct _SwarmNetdServer {
  int fd;
  guint source;
  guint pause_source; /* instead of @source: connections cannot be taken now */
  gboolean said_full; /* and that was said */
  GPtrArray *clients;
  SwarmNetdTables *tables;
  SwarmNetdStateFile *state;
  SwarmNetdPlane *plane;
  guint64 number; /* of the last batch accepted */
  gboolean blind; /* no batch yet, nor one of before: what is wanted is not known */
  guint retry_source;
  guint retry_delay;
  guint look_source; /* at what the host listens on: nobody tells that */
  GHashTable *said; /* problems, as text, that are in the journal already */
};

typedef struct {
  SwarmNetdServer *server;
  int fd;
  guint source;
  guint out_source;
  GByteArray *in;
  GByteArray *out;
  SwarmNetdBatch *batch; /* under way; NULL: none */
  guint64 refused;       /* the batch whose further parts are dropped; 0: none */
  guint patience_source; /* while a batch is under way */
  gboolean last;         /* cut when @out is empty */
} Client;

static void schedule_retry (SwarmNetdServer *self, gboolean looked_at_all);
static gboolean on_look (gpointer data);

static void
client_free (gpointer data)
{
  Client *client = data;
  g_clear_handle_id (&client->source, g_source_remove);
  g_clear_handle_id (&client->out_source, g_source_remove);
  g_clear_handle_id (&client->patience_source, g_source_remove);
  g_clear_pointer (&client->batch, swarm_netd_batch_free);
  g_byte_array_unref (client->in);
  g_byte_array_unref (client->out);
  close (client->fd);
  g_free (client);
}

static void
cut (Client *client)
{
  g_ptr_array_remove_fast (client->server->clients, client);
}

/* ---- out ---- */

/* FALSE: the client is gone. */
static gboolean
flush (Client *client)
{
  while (client->out->len > 0) {
    ssize_t n = send (client->fd, client->out->data, client->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN;
    g_byte_array_remove_range (client->out, 0, n);
  }
  return !client->last;
}

static gboolean
on_writable (gint fd, GIOCondition condition, gpointer data)
{
  Client *client = data;
  if (!flush (client)) {
    client->out_source = 0;
    cut (client);
    return G_SOURCE_REMOVE;
  }
  if (client->out->len > 0)
    return G_SOURCE_CONTINUE;
  client->out_source = 0;
  return G_SOURCE_REMOVE;
}

/* Sent from the loop: nobody is cut while his own batch is under way. */
static void
send_message (Client *client, guint16 kind, guint64 number, guint32 flags, const GByteArray *records)
{
  SwarmNetdHeader header = { SWARM_NETD_MAGIC, SWARM_NETD_VERSION, kind, number, 0, flags, records != NULL ? records->len : 0 };
  if (client->out->len > OUT_MAX)
    return;
  g_byte_array_append (client->out, (const guint8 *) &header, sizeof header);
  if (records != NULL)
    g_byte_array_append (client->out, records->data, records->len);
  if (client->out->len > OUT_MAX) {
    swarm_warning ("A client does not read its answers: cut");
    client->last = TRUE;
    shutdown (client->fd, SHUT_RDWR); /* the loop finds it closed */
  }
  if (client->out_source == 0)
    client->out_source = g_unix_fd_add (client->fd, G_IO_OUT, on_writable, client);
}

static void
append_error (GByteArray *records, guint32 record, guint16 type, const char *object, const char *text)
{
  SwarmNetdError error = { .record = record, .type = type };
  g_strlcpy (error.object, object, sizeof error.object);
  g_strlcpy (error.text, text, sizeof error.text);
  swarm_netd_record_append (records, SWARM_NETD_TYPE_ERROR, SWARM_NETD_PUT, &error, sizeof error);
}

/* Not again at each try. */
static void
say (SwarmNetdServer *self, const SwarmNetdProblem *problem)
{
  g_autofree char *text = g_strdup_printf ("%s: %s", problem->object, problem->text);
  if (g_hash_table_contains (self->said, text))
    return;
  swarm_warning ("%s", text);
  if (g_hash_table_size (self->said) < SAID_MAX)
    g_hash_table_add (self->said, g_steal_pointer (&text));
}

static GByteArray *
outcome (SwarmNetdServer *self)
{
  GByteArray *records = g_byte_array_new ();
  GPtrArray *problems = swarm_netd_plane_problems (self->plane);
  GArray *ready = swarm_netd_plane_ready (self->plane);
  g_autoptr (GArray) keys = swarm_netd_plane_keys (self->plane);
  for (guint i = 0; i < keys->len; i++)
    swarm_netd_record_append (records, SWARM_NETD_TYPE_WIREGUARD, SWARM_NETD_PUT, &g_array_index (keys, SwarmNetdWireguard, i), sizeof (SwarmNetdWireguard));
  for (guint i = 0; i < problems->len && records->len < SWARM_NETD_PART_MAX / 2; i++) {
    SwarmNetdProblem *problem = g_ptr_array_index (problems, i);
    say (self, problem);
    append_error (records, G_MAXUINT32, problem->type, problem->object, problem->text);
  }
  for (guint i = 0; i < ready->len && records->len + READY_SIZE <= SWARM_NETD_PART_MAX; i++)
    swarm_netd_record_append (records, SWARM_NETD_TYPE_READY, SWARM_NETD_PUT, &g_array_index (ready, SwarmNetdReady, i), sizeof (SwarmNetdReady));
  return records;
}

/* ---- batches ---- */

static void
refuse (Client *client, guint64 number, guint32 record, gboolean more, const GError *error)
{
  g_autoptr (GByteArray) records = g_byte_array_new ();
  swarm_warning ("Refused batch %" G_GUINT64_FORMAT ": %s", number, error->message);
  append_error (records, record, 0, "batch", error->message);
  send_message (client, SWARM_NETD_ACK, number, SWARM_NETD_REFUSED, records);
  client->refused = more ? number : 0;
  g_clear_pointer (&client->batch, swarm_netd_batch_free);
}

static gboolean
follows (SwarmNetdServer *self, SwarmNetdBatch *batch, GError **error)
{
  if (swarm_netd_batch_number (batch) <= self->number)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "batch %" G_GUINT64_FORMAT " was there before", self->number);
  else if (swarm_netd_batch_number (batch) - self->number > AHEAD_MAX) /* accepted, it would leave no numbers for others */
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "batch %" G_GUINT64_FORMAT " is too far from the last one, %" G_GUINT64_FORMAT,
                 swarm_netd_batch_number (batch), self->number);
  else if (!swarm_netd_batch_is_full (batch) && swarm_netd_batch_base (batch) != self->number)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE, "batch %" G_GUINT64_FORMAT " is the last one, not %" G_GUINT64_FORMAT ": send a full one",
                 self->number, swarm_netd_batch_base (batch));
  else
    return TRUE;
  return FALSE;
}

static void
take_batch (Client *client)
{
  SwarmNetdServer *self = client->server;
  g_autoptr (SwarmNetdBatch) batch = g_steal_pointer (&client->batch);
  g_autoptr (GError) error = NULL, state_error = NULL;
  gint bad_edit = -1;
  g_autoptr (GPtrArray) changes = NULL;
  if (follows (self, batch, &error))
    changes = swarm_netd_tables_apply (self->tables, swarm_netd_batch_edits (batch), swarm_netd_batch_is_full (batch), &bad_edit, &error);
  if (changes == NULL) {
    refuse (client, swarm_netd_batch_number (batch), bad_edit >= 0 ? (guint32) bad_edit : G_MAXUINT32, FALSE, error);
    return;
  }
  self->number = swarm_netd_batch_number (batch);
  /* Before the kernel: a netd that falls in between makes it so when it starts again. */
  if (!swarm_netd_state_file_add (self->state, batch, self->tables, &state_error))
    swarm_warning ("Cannot keep the accepted batch for a restart: %s", state_error->message);
  swarm_netd_plane_apply (self->plane, changes);
  if (self->blind) {
    self->blind = FALSE;
    swarm_netd_plane_resync (self->plane, SWARM_NETD_RESYNC_ALL);
  }
  if (swarm_netd_batch_is_full (batch))
    swarm_netd_plane_note_all (self->plane);
  if (changes->len > MANY)
    malloc_trim (0); /* a large batch leaves much behind */
  g_autoptr (GByteArray) records = outcome (self);
  send_message (client, SWARM_NETD_ACK, self->number, 0, records);
  schedule_retry (self, FALSE);
}

/* One message of the client, whole. */
static void
take_part (Client *client, const SwarmNetdHeader *header, const guint8 *records)
{
  g_autoptr (GError) error = NULL;
  guint32 bad_record;
  gboolean more = (header->flags & SWARM_NETD_MORE) != 0;
  if (header->number == client->refused) {
    if (!more)
      client->refused = 0; /* the same number may come again, with what is right */
    return;
  }
  if (client->batch == NULL)
    client->batch = swarm_netd_batch_new (header);
  if (!swarm_netd_batch_add (client->batch, header, records, &bad_record, &error))
    refuse (client, header->number, bad_record, more, error);
  else if (swarm_netd_batch_is_whole (client->batch))
    take_batch (client);
}

/* FALSE: what follows cannot be read. */
static gboolean
take_messages (Client *client)
{
  gsize at = 0;
  SwarmNetdHeader header;
  g_autoptr (GError) error = NULL;
  while (client->in->len - at >= sizeof header) {
    memcpy (&header, client->in->data + at, sizeof header);
    if (!swarm_netd_header_check (&header, &error)) {
      refuse (client, header.number, G_MAXUINT32, FALSE, error);
      return FALSE;
    }
    if (client->in->len - at - sizeof header < header.length)
      break;
    take_part (client, &header, client->in->data + at + sizeof header);
    at += sizeof header + header.length;
  }
  g_byte_array_remove_range (client->in, 0, at);
  return TRUE;
}

/* A batch that stops half-way holds its memory and one of the few places for clients. */
static gboolean
on_patience (gpointer data)
{
  Client *client = data;
  int left = 0;
  if (ioctl (client->fd, FIONREAD, &left) == 0 && left > 0)
    return G_SOURCE_CONTINUE; /* it is we who are slow */
  client->patience_source = 0;
  swarm_warning ("A client stopped in the middle of a batch: cut");
  cut (client);
  return G_SOURCE_REMOVE;
}

/* After something of the client came. */
static void
renew_patience (Client *client)
{
  g_clear_handle_id (&client->patience_source, g_source_remove);
  if (client->in->len > 0 || client->batch != NULL || client->refused != 0)
    client->patience_source = g_timeout_add_seconds (swarm_netd_server_patience, on_patience, client);
}

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  Client *client = data;
  gsize had = client->in->len, room = 256 * 1024;
  g_byte_array_set_size (client->in, had + room);
  ssize_t n = client->last ? 0 : recv (fd, client->in->data + had, room, MSG_DONTWAIT);
  g_byte_array_set_size (client->in, had + MAX (n, 0));
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n <= 0) {
    client->source = 0;
    cut (client);
    return G_SOURCE_REMOVE;
  }
  if (take_messages (client)) {
    renew_patience (client);
    return G_SOURCE_CONTINUE;
  }
  g_clear_handle_id (&client->patience_source, g_source_remove);
  client->source = 0;
  client->last = TRUE;
  return G_SOURCE_REMOVE;
}

/* ---- the door ---- */

static gboolean
is_root (int fd)
{
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0;
}

static gboolean on_connect (gint listen_fd, GIOCondition condition, gpointer data);

/* A host with networks has shown that it can. */
static void
say_hello (Client *client)
{
  SwarmNetdServer *self = client->server;
  guint32 flags = (swarm_netd_wireguard_is_possible () ? SWARM_NETD_ENCRYPTS : 0) | (swarm_netd_host_has_ipv6 () ? SWARM_NETD_IPV6 : 0);
  g_autoptr (GByteArray) records = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  if (self->blind && !swarm_netd_probe (&error)) {
    SwarmNetdProblem problem = { .object = "host", .text = error->message };
    say (self, &problem);
    append_error (records, G_MAXUINT32, SWARM_NETD_TYPE_HOST, problem.object, problem.text);
  }
  send_message (client, SWARM_NETD_HELLO, self->number, flags, records);
}

static gboolean
on_pause_over (gpointer data)
{
  SwarmNetdServer *self = data;
  self->pause_source = 0;
  self->source = g_unix_fd_add (self->fd, G_IO_IN, on_connect, self);
  return G_SOURCE_REMOVE;
}

/* Whoever waits at the door makes the descriptor readable for as long as he is not let in: with no descriptors left (say) that is a loop without rest. */
static gboolean
pause_accepting (SwarmNetdServer *self, int code)
{
  if (!self->said_full)
    swarm_warning ("Cannot take a connection: %s", g_strerror (code));
  self->said_full = TRUE;
  self->source = 0;
  self->pause_source = g_timeout_add (ACCEPT_AGAIN_MS, on_pause_over, self);
  return G_SOURCE_REMOVE;
}

static gboolean
on_connect (gint listen_fd, GIOCondition condition, gpointer data)
{
  SwarmNetdServer *self = data;
  int fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? G_SOURCE_CONTINUE : pause_accepting (self, errno);
  self->said_full = FALSE;
  if (!is_root (fd) || self->clients->len >= CLIENTS_MAX) {
    swarm_warning ("Refused a connection: %s", self->clients->len >= CLIENTS_MAX ? "there are too many" : "it is not by root");
    close (fd);
    return G_SOURCE_CONTINUE;
  }
  Client *client = g_new0 (Client, 1);
  *client = (Client){ .server = self, .fd = fd, .in = g_byte_array_new (), .out = g_byte_array_new () };
  client->source = g_unix_fd_add (fd, G_IO_IN, on_readable, client);
  g_ptr_array_add (self->clients, client);
  say_hello (client);
  return G_SOURCE_CONTINUE;
}

SwarmNetdServer *
swarm_netd_server_new (int listen_fd, const char *state_path, GError **error)
{
  g_autoptr (SwarmNetdServer) self = g_new0 (SwarmNetdServer, 1);
  self->fd = listen_fd;
  self->clients = g_ptr_array_new_with_free_func (client_free);
  self->tables = swarm_netd_tables_new ();
  self->state = swarm_netd_state_file_new (state_path);
  self->number = swarm_netd_state_file_load (self->state, self->tables);
  self->blind = self->number == 0;
  self->retry_delay = RETRY_FIRST;
  self->said = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if ((self->plane = swarm_netd_plane_new (self->tables, error)) == NULL)
    return NULL;
  self->source = g_unix_fd_add (listen_fd, G_IO_IN, on_connect, self);
  self->look_source = g_timeout_add_seconds (LOOK_SECONDS, on_look, self);
  return g_steal_pointer (&self);
}

void
swarm_netd_server_free (SwarmNetdServer *self)
{
  g_clear_handle_id (&self->source, g_source_remove);
  g_clear_handle_id (&self->pause_source, g_source_remove);
  g_clear_handle_id (&self->retry_source, g_source_remove);
  g_clear_handle_id (&self->look_source, g_source_remove);
  g_hash_table_unref (self->said);
  g_ptr_array_unref (self->clients);
  g_clear_pointer (&self->plane, swarm_netd_plane_free);
  swarm_netd_state_file_free (self->state);
  swarm_netd_tables_free (self->tables);
  close (self->fd);
  g_free (self);
}

gboolean
swarm_netd_server_is_blind (SwarmNetdServer *self)
{
  return self->blind;
}

gboolean
swarm_netd_server_is_idle (SwarmNetdServer *self)
{
  for (guint16 type = 1; type < SWARM_NETD_N_TYPES; type++)
    if (swarm_netd_tables_count (self->tables, type) > 0)
      return FALSE;
  return self->clients->len == 0;
}

SwarmNetdPlane *
swarm_netd_server_plane (SwarmNetdServer *self)
{
  return self->plane;
}

/* ---- mending ---- */

static gboolean
on_retry (gpointer data)
{
  SwarmNetdServer *self = data;
  self->retry_source = 0;
  self->retry_delay = MIN (self->retry_delay * 2, RETRY_MAX);
  swarm_netd_server_resync (self, RETRY);
  return G_SOURCE_REMOVE;
}

static gboolean
is_gone (gpointer text, gpointer value, gpointer data)
{
  GPtrArray *problems = data;
  for (guint i = 0; i < problems->len; i++) {
    const SwarmNetdProblem *problem = g_ptr_array_index (problems, i);
    gsize n = strlen (problem->object);
    if (strncmp (text, problem->object, n) == 0 && g_str_has_prefix ((const char *) text + n, ": ") && strcmp ((const char *) text + n + 2, problem->text) == 0)
      return FALSE;
  }
  return TRUE; /* it is gone: should it come again it is news */
}

/* Only who looked at everything and found no problem may call the retry off: others looked at their own part. */
static void
schedule_retry (SwarmNetdServer *self, gboolean looked_at_all)
{
  if (looked_at_all)
    g_hash_table_foreach_remove (self->said, is_gone, swarm_netd_plane_problems (self->plane));
  if (swarm_netd_plane_problems (self->plane)->len == 0) {
    if (looked_at_all)
      g_clear_handle_id (&self->retry_source, g_source_remove);
    if (self->retry_source == 0)
      self->retry_delay = RETRY_FIRST;
  } else if (self->retry_source == 0) {
    self->retry_source = g_timeout_add_seconds (self->retry_delay, on_retry, self);
  }
}

void
swarm_netd_server_resync (SwarmNetdServer *self, guint what)
{
  if (self->blind)
    return; /* what is there goes on as it is until a batch says what is wanted */
  swarm_netd_plane_resync (self->plane, what);
  g_autoptr (GByteArray) records = outcome (self);
  for (guint i = 0; i < self->clients->len; i++)
    send_message (g_ptr_array_index (self->clients, i), SWARM_NETD_REPORT, self->number, 0, records);
  schedule_retry (self, (what & RETRY) == RETRY);
}

static gboolean
on_look (gpointer data)
{
  SwarmNetdServer *self = data;
  if (!self->blind && swarm_netd_plane_look (self->plane))
    swarm_netd_server_resync (self, RETRY);
  return G_SOURCE_CONTINUE;
}

void
swarm_netd_server_mend (SwarmNetdServer *self, const char *sandbox)
{
  if (self->blind)
    return;
  swarm_netd_plane_mend (self->plane, sandbox);
  schedule_retry (self, FALSE); /* looks at everything, and reports */
}

char *
swarm_netd_server_status (SwarmNetdServer *self)
{
  guint unkept = swarm_netd_plane_unkept (self->plane);
  g_autofree char *more = unkept > 0 ? g_strdup_printf ("; no room in systemd's descriptor store for all of %u task namespaces", unkept) : g_strdup ("");
  return g_strdup_printf ("%u hosts, %u networks, %u task namespaces, %u services, %u published ports, %u names%s",
                          swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_NODE), swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_NETWORK),
                          swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_SANDBOX),
                          swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_SERVICE),
                          swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_PORT), swarm_netd_tables_count (self->tables, SWARM_NETD_TYPE_NAME), more);
}
