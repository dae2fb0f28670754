// SPDX-License-Identifier: LGPL-2.1-or-later
/* Arguments of a D-Bus message as a GVariant. The bytes of the message are written anew in GVariant's serialised form
 * (https://docs.gtk.org/glib/gvariant-specification-1.0.html), in one pass and in one piece of memory: a tree of values made one by one
 * took a fifth of the leader's time for a service create. libdbus has validated every message that it hands out; only amounts and descriptors
 * are checked. */
#include "base/error.h"
#include "bus/private.h"
#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  const guint8 *body; /* begins at a multiple of 8 */
  gsize at;           /* in the body */
  gboolean swap;      /* the sender has the other byte order */
  GByteArray *out;
  GArray *ends; /* gsize: where the members of the containers under way end, of those that need to be told */
  gsize bytes_left;
  gsize values_left;
  gboolean takes_fds;
  guint32 n_fds;
  GError **error;
} Reader;

/* How GVariant lays out a type. */
typedef struct {
  gsize alignment;
  gsize size; /* 0: not always the same */
} Layout;

static gboolean read_value (Reader *self, const char *type);

static gboolean
fail (GError **error, int code, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, code, text);
  return FALSE;
}

/* ---- types ---- */

static gsize
align (gsize offset, gsize alignment)
{
  return (offset + alignment - 1) & ~(alignment - 1);
}

/* Behind one complete type. */
static const char *
type_end (const char *type)
{
  guint depth = 0;

  for (;; type++) {
    if (*type == 'a')
      continue;
    depth += *type == '(' || *type == '{';
    depth -= *type == ')' || *type == '}';
    if (depth == 0)
      return type + 1;
  }
}

static Layout
layout_of (const char *type)
{
  Layout whole = { 1, 0 };
  gboolean fixed = TRUE;

  switch (*type) {
  case 'b':
    return (Layout){ 1, 1 };
  case 's':
  case 'o':
  case 'g':
    return (Layout){ 1, 0 };
  case 'v':
    return (Layout){ 8, 0 };
  case 'a':
    return (Layout){ layout_of (type + 1).alignment, 0 };
  case '(':
  case '{':
    break;
  default:
    return (Layout){ swarm_bus_wire_size (*type), swarm_bus_wire_size (*type) };
  }
  for (type++; *type != ')' && *type != '}'; type = type_end (type)) {
    Layout member = layout_of (type);

    whole.alignment = MAX (whole.alignment, member.alignment);
    whole.size = align (whole.size, member.alignment) + member.size;
    fixed = fixed && member.size > 0;
  }
  whole.size = fixed ? align (whole.size, whole.alignment) : 0;
  return whole;
}

/* ---- bytes ---- */

static gboolean
take (Reader *self, gsize bytes, gsize values)
{
  if (bytes > self->bytes_left || values > self->values_left)
    return fail (self->error, SWARM_ERROR_LIMIT_EXCEEDED, "the arguments are too long");
  self->bytes_left -= bytes;
  self->values_left -= values;
  return TRUE;
}

static guint8 *
grow (Reader *self, gsize n)
{
  gsize old = self->out->len;

  g_byte_array_set_size (self->out, (guint) (old + n));
  return self->out->data + old;
}

static void
pad (Reader *self, gsize alignment)
{
  gsize n = align (self->out->len, alignment) - self->out->len;

  if (n > 0)
    memset (grow (self, n), 0, n);
}

static void
put (Reader *self, gconstpointer data, gsize n)
{
  if (n > 0)
    memcpy (grow (self, n), data, n);
}

static guint32
next_uint32 (Reader *self)
{
  guint32 number;

  self->at = align (self->at, 4);
  memcpy (&number, self->body + self->at, sizeof number);
  self->at += sizeof number;
  return self->swap ? GUINT32_SWAP_LE_BE (number) : number;
}

/* Where the members of the container end that began at @start: those from @first on, in the smallest numbers that do. */
static void
put_ends (Reader *self, gsize start, guint first, gboolean backwards)
{
  gsize length = self->out->len - start, n = self->ends->len - first;
  gsize size = length + n <= G_MAXUINT8 ? 1 : length + 2 * n <= G_MAXUINT16 ? 2 : length + 4 * n <= G_MAXUINT32 ? 4 : 8;

  for (gsize i = 0; i < n; i++) {
    guint64 end = GUINT64_TO_LE (g_array_index (self->ends, gsize, first + (backwards ? n - 1 - i : i)) - start);

    put (self, &end, size);
  }
  g_array_set_size (self->ends, first);
}

static void
note_end (Reader *self)
{
  gsize end = self->out->len;

  g_array_append_val (self->ends, end);
}

/* ---- values ---- */

static void
read_number (Reader *self, char type)
{
  gsize size = swarm_bus_wire_size (type);
  guint8 *out = grow (self, size);

  self->at = align (self->at, size);
  for (gsize i = 0; i < size; i++)
    out[i] = self->body[self->at + (self->swap ? size - 1 - i : i)];
  self->at += size;
}

static gboolean
read_string (Reader *self, char type)
{
  gsize length = type == 'g' ? self->body[self->at++] : next_uint32 (self);

  if (!take (self, length + 1, 0))
    return FALSE;
  put (self, self->body + self->at, length + 1);
  self->at += length + 1;
  return TRUE;
}

/* The descriptors are put into their list in the same order. */
static gboolean
read_handle (Reader *self)
{
  guint32 index = self->n_fds++;

  if (!self->takes_fds)
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "descriptors are not accepted here");
  self->at = align (self->at, 4) + 4;
  put (self, &index, sizeof index);
  return TRUE;
}

static gboolean
read_array (Reader *self, const char *element)
{
  gsize length = next_uint32 (self), start = self->out->len, end;
  guint first = self->ends->len;
  gboolean same_size = layout_of (element).size > 0;

  self->at = align (self->at, swarm_bus_wire_size (*element));
  end = self->at + length;
  if (!self->swap && strchr ("ynqiuxtd", *element) != NULL) { /* both keep them alike */
    if (!take (self, length, 0))
      return FALSE;
    put (self, self->body + self->at, length);
    self->at = end;
    return TRUE;
  }
  while (self->at < end) {
    if (!read_value (self, element))
      return FALSE;
    if (!same_size)
      note_end (self);
  }
  put_ends (self, start, first, FALSE);
  return TRUE;
}

static gboolean
read_variant (Reader *self)
{
  gsize length = self->body[self->at];
  const char *signature = (const char *) self->body + self->at + 1;

  self->at += length + 2;
  if (!read_value (self, signature))
    return FALSE;
  put (self, "", 1);
  put (self, signature, length);
  return TRUE;
}

/* The members of a struct, a dict entry or the arguments themselves. */
static gboolean
read_members (Reader *self, const char *type)
{
  Layout layout = layout_of (type);
  gsize start = self->out->len;
  guint first = self->ends->len;

  for (type++; *type != ')' && *type != '}';) {
    const char *next = type_end (type);

    if (!read_value (self, type))
      return FALSE;
    if (*next != ')' && *next != '}' && layout_of (type).size == 0) /* the last one ends with the container */
      note_end (self);
    type = next;
  }
  if (layout.size > 0)
    pad (self, layout.alignment);
  put_ends (self, start, first, TRUE);
  return TRUE;
}

static gboolean
read_value (Reader *self, const char *type)
{
  guint8 truth;

  if (!take (self, swarm_bus_wire_size (*type), 1))
    return FALSE;
  pad (self, layout_of (type).alignment);
  switch (*type) {
  case 'b':
    truth = next_uint32 (self) != 0;
    put (self, &truth, 1);
    return TRUE;
  case 's':
  case 'o':
  case 'g':
    return read_string (self, *type);
  case 'h':
    return read_handle (self);
  case 'a':
    return read_array (self, type + 1);
  case 'v':
    return read_variant (self);
  case '(':
  case '{':
    self->at = align (self->at, 8);
    return read_members (self, type);
  default:
    read_number (self, *type);
    return TRUE;
  }
}

/* ---- messages ---- */

/* All descriptors from where @iter is, in the order of their values. */
static gboolean
collect_fds (DBusMessageIter *iter, GUnixFDList *fds, GError **error)
{
  DBusMessageIter sub;
  int type, fd, index;

  for (; (type = dbus_message_iter_get_arg_type (iter)) != DBUS_TYPE_INVALID; dbus_message_iter_next (iter)) {
    if (type == DBUS_TYPE_UNIX_FD) {
      dbus_message_iter_get_basic (iter, &fd);
      if (fd < 0)
        return fail (error, SWARM_ERROR_FAILED, "a descriptor could not be received");
      index = g_unix_fd_list_append (fds, fd, error);
      close (fd);
      if (index < 0)
        return FALSE;
    } else if (dbus_type_is_container (type)) {
      dbus_message_iter_recurse (iter, &sub);
      if (!collect_fds (&sub, fds, error))
        return FALSE;
    }
  }
  return TRUE;
}

static guint32
head_uint32 (Reader *self, const char *message, gsize offset)
{
  guint32 number;

  memcpy (&number, message + offset, sizeof number);
  return self->swap ? GUINT32_SWAP_LE_BE (number) : number;
}

/* Byte order, and where the body begins (D-Bus specification, "Message Format": the header fields' length is at 12). */
static void
find_body (Reader *self, const char *message)
{
  self->swap = message[0] != (G_BYTE_ORDER == G_LITTLE_ENDIAN ? DBUS_LITTLE_ENDIAN : DBUS_BIG_ENDIAN);
  self->body = (const guint8 *) message + align (16 + (gsize) head_uint32 (self, message, 12), 8);
}

static GVariant *
read_args (Reader *self, DBusMessage *message)
{
  const char *signature = dbus_message_get_signature (message);
  g_autofree char *type = g_strconcat ("(", signature, ")", NULL);
  g_autoptr (GBytes) bytes = NULL;
  char *data = NULL;
  int length = 0;
  gboolean ok;

  if (!dbus_message_marshal (message, &data, &length))
    g_error ("out of memory");
  find_body (self, data);
  self->out = g_byte_array_sized_new ((guint) length + 64);
  self->ends = g_array_new (FALSE, FALSE, sizeof (gsize));
  ok = read_members (self, type);
  if (ok && *signature == '\0')
    put (self, "", 1); /* what an empty tuple looks like */
  dbus_free (data);
  g_array_unref (self->ends);
  bytes = g_byte_array_free_to_bytes (self->out);
  return ok ? g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, TRUE)) : NULL;
}

GVariant *
swarm_bus_message_args_max (DBusMessage *message, gsize max, GUnixFDList **ret_fds, GError **error)
{
  Reader self = { .bytes_left = max, .values_left = max / 16, .takes_fds = ret_fds != NULL, .error = error };
  g_autoptr (GUnixFDList) fds = ret_fds != NULL ? g_unix_fd_list_new () : NULL;
  g_autoptr (GVariant) args = read_args (&self, message);
  DBusMessageIter iter;

  if (args == NULL)
    return NULL;
  if (self.n_fds > 0) {
    dbus_message_iter_init (message, &iter);
    if (!collect_fds (&iter, fds, error))
      return NULL;
  }
  if (ret_fds != NULL)
    *ret_fds = self.n_fds > 0 ? g_steal_pointer (&fds) : NULL;
  return g_steal_pointer (&args);
}

GVariant *
swarm_bus_message_args (DBusMessage *message, GUnixFDList **ret_fds, GError **error)
{
  return swarm_bus_message_args_max (message, (gsize) DBUS_MAXIMUM_MESSAGE_LENGTH * 16, ret_fds, error);
}
