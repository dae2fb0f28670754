// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/state-file.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct _SwarmNetdStateFile {
  char *path;
  int fd; /* -1: not open */
  gsize size;
  gsize size_when_new; /* of the last full writing */
};

SwarmNetdStateFile *
swarm_netd_state_file_new (const char *path)
{
  SwarmNetdStateFile *self = g_new0 (SwarmNetdStateFile, 1);
  self->path = g_strdup (path);
  self->fd = -1;
  return self;
}

void
swarm_netd_state_file_free (SwarmNetdStateFile *self)
{
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->path);
  g_free (self);
}

/* One batch of the file, which may have several parts, at *@at. FALSE: there is no whole one. */
static gboolean
load_batch (const guint8 *bytes, gsize length, gsize *at, SwarmNetdTables *tables, guint64 *number)
{
  g_autoptr (SwarmNetdBatch) batch = NULL;
  gsize next = *at;
  while (batch == NULL || !swarm_netd_batch_is_whole (batch)) {
    SwarmNetdHeader header;
    guint32 bad_record;
    if (length - next < sizeof header)
      return FALSE;
    memcpy (&header, bytes + next, sizeof header);
    next += sizeof header;
    if (!swarm_netd_header_check (&header, NULL) || header.length > length - next)
      return FALSE;
    if (batch == NULL)
      batch = swarm_netd_batch_new (&header);
    if (!swarm_netd_batch_add (batch, &header, bytes + next, &bad_record, NULL))
      return FALSE;
    next += header.length;
  }
  gint bad_edit;
  g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (tables, swarm_netd_batch_edits (batch), swarm_netd_batch_is_full (batch), &bad_edit, NULL);
  if (changes == NULL)
    return FALSE;
  *number = swarm_netd_batch_number (batch);
  *at = next;
  return TRUE;
}

guint64
swarm_netd_state_file_load (SwarmNetdStateFile *self, SwarmNetdTables *tables)
{
  g_autofree char *bytes = NULL;
  gsize length, at = 0;
  guint64 number = 0;
  if (!g_file_get_contents (self->path, &bytes, &length, NULL))
    return 0;
  while (load_batch ((const guint8 *) bytes, length, &at, tables, &number))
    ;
  return number; /* the next batch writes the file anew */
}

static gboolean
failed (const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "the state file: %s: %s", what, g_strerror (errno));
  return FALSE;
}

static void
finish_part (GByteArray *out, gsize start, guint64 number, guint64 base, guint32 flags)
{
  SwarmNetdHeader header = { SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, number, base, flags, out->len - start - sizeof header };
  memcpy (out->data + start, &header, sizeof header);
}

/* @edits as one batch in as many parts as it takes. */
static GByteArray *
encode (GArray *edits, guint64 number, guint64 base, gboolean full)
{
  GByteArray *out = g_byte_array_new ();
  SwarmNetdHeader room = { 0 };
  guint32 flags = full ? SWARM_NETD_FULL : 0;
  gsize start = 0;
  g_byte_array_append (out, (const guint8 *) &room, sizeof room);
  for (guint i = 0; i < edits->len; i++) {
    const SwarmNetdEdit *edit = &g_array_index (edits, SwarmNetdEdit, i);
    if (out->len - start > SWARM_NETD_PART_MAX / 2) {
      finish_part (out, start, number, base, flags | SWARM_NETD_MORE);
      start = out->len;
      g_byte_array_append (out, (const guint8 *) &room, sizeof room);
    }
    swarm_netd_record_append (out, edit->row->type, edit->remove ? SWARM_NETD_REMOVE : SWARM_NETD_PUT, edit->row->data, edit->row->length);
  }
  finish_part (out, start, number, base, flags);
  return out;
}

static gboolean
write_all (int fd, const GByteArray *bytes)
{
  for (gsize done = 0; done < bytes->len;) {
    ssize_t n = write (fd, bytes->data + done, bytes->len - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return FALSE;
    done += n;
  }
  return TRUE;
}

/* The next batch begins a new file. */
static void
give_up (SwarmNetdStateFile *self)
{
  close (self->fd);
  self->fd = -1;
}

static gboolean
write_anew (SwarmNetdStateFile *self, guint64 number, SwarmNetdTables *tables, GError **error)
{
  g_autoptr (GPtrArray) all = swarm_netd_tables_all (tables);
  g_autoptr (GArray) edits = g_array_new (FALSE, FALSE, sizeof (SwarmNetdEdit));
  for (guint i = 0; i < all->len; i++)
    g_array_append_val (edits, ((SwarmNetdEdit){ ((SwarmNetdChange *) g_ptr_array_index (all, i))->after, FALSE }));
  g_autoptr (GByteArray) bytes = encode (edits, number, 0, TRUE);
  g_autofree char *temporary = g_strconcat (self->path, ".new", NULL);

  if (self->fd >= 0)
    close (self->fd);
  self->fd = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (self->fd < 0)
    return failed ("open", error);
  gboolean written = write_all (self->fd, bytes);
  if (written && rename (temporary, self->path) == 0) {
    self->size = self->size_when_new = bytes->len;
    return TRUE;
  }
  failed (written ? "rename" : "write", error);
  give_up (self); /* what comes next must not go into a file that nobody will read */
  unlink (temporary);
  return FALSE;
}

gboolean
swarm_netd_state_file_add (SwarmNetdStateFile *self, SwarmNetdBatch *batch, SwarmNetdTables *tables, GError **error)
{
  guint64 number = swarm_netd_batch_number (batch);
  if (self->fd < 0 || swarm_netd_batch_is_full (batch) || self->size > 2 * self->size_when_new + 64 * 1024)
    return write_anew (self, number, tables, error);
  g_autoptr (GByteArray) bytes = encode (swarm_netd_batch_edits (batch), number, swarm_netd_batch_base (batch), FALSE);
  if (!write_all (self->fd, bytes)) {
    failed ("write", error);
    give_up (self); /* half of it may be there */
    return FALSE;
  }
  self->size += bytes->len;
  return TRUE;
}
