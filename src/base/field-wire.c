// SPDX-License-Identifier: LGPL-2.1-or-later
/* The storage form: protobuf wire encoding. What a record says is independent of this version's defaults: a field is left out only
 * when its default is zero and its value is, so a record without the field means "the writer did not know it". */
#include "base/field-private.h"
#include <string.h>

#define MAX_DEPTH 16

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void encode_message (SwarmBuffer *out, gconstpointer message);

/* ---- writing ---- */

static guint
varint_size (guint64 value)
{
  guint n = 1;

  for (; value >= 0x80; value >>= 7)
    n++;
  return n;
}

static void
put_varint (guint8 *at, guint64 value)
{
  for (; value >= 0x80; value >>= 7)
    *at++ = (guint8) (value | 0x80);
  *at = (guint8) value;
}

/* Makes sure that @len more bytes fit. */
static inline void
reserve (SwarmBuffer *out, gsize len)
{
  if (G_LIKELY (out->len + len <= out->size))
    return;
  out->size = MAX (out->len + len, MAX (2 * out->size, 64));
  out->data = g_realloc (out->data, out->size);
}

void
swarm_buffer_append (SwarmBuffer *self, gconstpointer data, gsize len)
{
  reserve (self, len);
  if (len > 0)
    memcpy (self->data + self->len, data, len);
  self->len += len;
}

static inline void
append_varint (SwarmBuffer *out, guint64 value)
{
  reserve (out, 10);
  for (; value >= 0x80; value >>= 7)
    out->data[out->len++] = (guint8) (value | 0x80);
  out->data[out->len++] = (guint8) value;
}

void
swarm_buffer_append_varint (SwarmBuffer *self, guint64 value)
{
  append_varint (self, value);
}

static void
append_tag (SwarmBuffer *out, guint number, guint wire)
{
  append_varint (out, (guint64) number << 3 | wire);
}

static void
append_bytes (SwarmBuffer *out, guint number, gconstpointer data, gsize len)
{
  append_tag (out, number, WIRE_BYTES);
  append_varint (out, len);
  swarm_buffer_append (out, data, len);
}

/* Begins a nested record; give the result to end_nested(). */
static gsize
begin_nested (SwarmBuffer *out, guint number)
{
  append_tag (out, number, WIRE_BYTES);
  append_varint (out, 0);
  return out->len;
}

/* Writes the length where begin_nested() left one byte for it. */
static void
end_nested (SwarmBuffer *out, gsize start)
{
  gsize len = out->len - start;
  guint extra = varint_size (len) - 1;

  if (extra > 0) {
    reserve (out, extra);
    out->len += extra;
    memmove (out->data + start + extra, out->data + start, len);
  }
  put_varint (out->data + start - 1, len);
}

static void
encode_nested (SwarmBuffer *out, guint number, gconstpointer message)
{
  gsize start = begin_nested (out, number);

  encode_message (out, message);
  end_nested (out, start);
}

static void
encode_map (SwarmBuffer *out, guint number, GHashTable *map)
{
  g_autoptr (GPtrArray) keys = swarm_map_sorted_keys (map);

  for (guint i = 0; i < keys->len; i++) {
    const char *key = keys->pdata[i];
    const char *value = g_hash_table_lookup (map, key);
    gsize start = begin_nested (out, number);

    append_bytes (out, 1, key, strlen (key));
    append_bytes (out, 2, value, strlen (value));
    end_nested (out, start);
  }
}

static void
encode_list (SwarmBuffer *out, const SwarmField *field, GPtrArray *list)
{
  for (guint i = 0; list != NULL && i < list->len; i++)
    if (field->kind == SWARM_FIELD_STRINGS)
      append_bytes (out, field->number, list->pdata[i], strlen (list->pdata[i]));
    else
      encode_nested (out, field->number, list->pdata[i]);
}

static void
encode_ids (SwarmBuffer *out, guint number, GArray *ids)
{
  for (guint i = 0; ids != NULL && i < ids->len; i++)
    append_bytes (out, number, &g_array_index (ids, SwarmId, i), sizeof (SwarmId));
}

static void
encode_double (SwarmBuffer *out, guint number, double value)
{
  guint64 bits;

  memcpy (&bits, &value, sizeof bits);
  bits = GUINT64_TO_LE (bits);
  append_tag (out, number, WIRE_FIXED64);
  swarm_buffer_append (out, &bits, sizeof bits);
}

static void
encode_field (SwarmBuffer *out, const SwarmField *field, gconstpointer message)
{
  switch (field->kind) {
  case SWARM_FIELD_DOUBLE:
    encode_double (out, field->number, SWARM_MEMBER (double, message, field));
    break;
  case SWARM_FIELD_STRING: {
    const char *s = SWARM_MEMBER (char *, message, field);
    append_bytes (out, field->number, s, strlen (s));
    break;
  }
  case SWARM_FIELD_BYTES: {
    gsize len;
    gconstpointer data = g_bytes_get_data (SWARM_MEMBER (GBytes *, message, field), &len);
    append_bytes (out, field->number, data, len);
    break;
  }
  case SWARM_FIELD_ID:
    append_bytes (out, field->number, &SWARM_MEMBER (SwarmId, message, field), sizeof (SwarmId));
    break;
  case SWARM_FIELD_MESSAGE:
    encode_nested (out, field->number, SWARM_MEMBER (gpointer, message, field));
    break;
  case SWARM_FIELD_STRINGS:
  case SWARM_FIELD_MESSAGES:
    encode_list (out, field, SWARM_MEMBER (GPtrArray *, message, field));
    break;
  case SWARM_FIELD_IDS:
    encode_ids (out, field->number, SWARM_MEMBER (GArray *, message, field));
    break;
  case SWARM_FIELD_MAP:
    encode_map (out, field->number, SWARM_MEMBER (GHashTable *, message, field));
    break;
  default:
    append_tag (out, field->number, WIRE_VARINT);
    append_varint (out, (guint64) swarm_field_get_number (field, message));
    break;
  }
}

static void
encode_message (SwarmBuffer *out, gconstpointer message)
{
  const SwarmMessage *self = message;

  for (const SwarmField *field = self->type->fields; field->number != 0; field++)
    if (field->fallback != 0 || !swarm_field_is_default (field, message))
      encode_field (out, field, message);
  if (self->unknown != NULL)
    swarm_buffer_append (out, g_bytes_get_data (self->unknown, NULL), g_bytes_get_size (self->unknown));
}

void
swarm_message_encode_to (SwarmBuffer *out, gconstpointer message)
{
  encode_message (out, message);
}

GBytes *
swarm_message_encode (gconstpointer message)
{
  SwarmBuffer out = { 0 };

  encode_message (&out, message);
  return g_bytes_new_take (out.data, out.len);
}

/* Nested messages are immutable: the same pointer is the same value, and another one is worth writing. */
static gboolean
has_changed (const SwarmField *field, gconstpointer base, gconstpointer message)
{
  if (field->kind == SWARM_FIELD_MESSAGE)
    return SWARM_MEMBER (gpointer, base, field) != SWARM_MEMBER (gpointer, message, field);
  return !swarm_field_is_equal (field, base, message);
}

gboolean
swarm_message_encode_changes (SwarmBuffer *out, gconstpointer base, gconstpointer message, guint64 *ret_fields)
{
  const SwarmMessage *old = base, *self = message;
  gsize start = out->len;

  if (old->type != self->type || old->unknown != self->unknown)
    return FALSE;
  *ret_fields = 0;
  for (const SwarmField *field = self->type->fields; field->number != 0; field++) {
    if (!has_changed (field, base, message))
      continue;
    if (field->number >= 64) {
      out->len = start;
      return FALSE;
    }
    *ret_fields |= (guint64) 1 << field->number;
    if (field->fallback != 0 || !swarm_field_is_default (field, message))
      encode_field (out, field, message);
  }
  return TRUE;
}

/* ---- reading ---- */

typedef struct {
  const guint8 *at;
  const guint8 *end;
} Reader;

/* One field as it stands in the record. */
typedef struct {
  guint number;
  guint wire;
  guint64 value; /* VARINT, FIXED32, FIXED64 */
  Reader bytes;  /* BYTES */
} Item;

static gboolean decode_message (gpointer message, Reader reader, guint depth, const SwarmPath *path, GError **error);

static gboolean
read_varint (Reader *reader, guint64 *ret)
{
  guint64 value = 0;

  for (guint shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
    guint8 byte = *reader->at++;

    if (shift == 63 && byte > 1)
      return FALSE;
    value |= (guint64) (byte & 0x7f) << shift;
    if (byte < 0x80) {
      *ret = value;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
read_fixed (Reader *reader, gsize size, guint64 *ret)
{
  guint64 value = 0;

  if ((gsize) (reader->end - reader->at) < size)
    return FALSE;
  memcpy (&value, reader->at, size);
  reader->at += size;
  *ret = GUINT64_FROM_LE (value);
  return TRUE;
}

static gboolean
read_bytes (Reader *reader, Reader *ret)
{
  guint64 len;

  if (!read_varint (reader, &len) || len > (guint64) (reader->end - reader->at))
    return FALSE;
  *ret = (Reader){ reader->at, reader->at + len };
  reader->at += len;
  return TRUE;
}

static gboolean
read_item (Reader *reader, Item *ret)
{
  guint64 tag;

  if (!read_varint (reader, &tag) || tag >> 3 == 0 || tag >> 3 > G_MAXINT)
    return FALSE;
  ret->number = (guint) (tag >> 3);
  ret->wire = (guint) (tag & 7);
  switch (ret->wire) {
  case WIRE_VARINT:
    return read_varint (reader, &ret->value);
  case WIRE_FIXED64:
    return read_fixed (reader, 8, &ret->value);
  case WIRE_FIXED32:
    return read_fixed (reader, 4, &ret->value);
  case WIRE_BYTES:
    return read_bytes (reader, &ret->bytes);
  default:
    return FALSE;
  }
}

static gsize
reader_len (const Reader *reader)
{
  return (gsize) (reader->end - reader->at);
}

static guint
wire_of (const SwarmField *field)
{
  if (swarm_field_is_number (field))
    return WIRE_VARINT;
  return field->kind == SWARM_FIELD_DOUBLE ? WIRE_FIXED64 : WIRE_BYTES;
}

static gboolean
decode_number (const SwarmField *field, gpointer message, guint64 value, const SwarmPath *path, GError **error)
{
  gboolean known = TRUE;

  if (field->kind == SWARM_FIELD_BOOL)
    known = value <= 1;
  else if (field->kind == SWARM_FIELD_ENUM)
    known = value <= G_MAXINT && swarm_enum_to_string (field->enumeration, (int) value) != NULL;
  if (!known)
    return swarm_path_error (path, error, "unknown value %" G_GUINT64_FORMAT, value);
  swarm_field_set_number (field, message, (gint64) value);
  return TRUE;
}

static gboolean
decode_double (const SwarmField *field, gpointer message, guint64 bits, const SwarmPath *path, GError **error)
{
  double value;

  memcpy (&value, &bits, sizeof value);
  return swarm_field_set_double (field, message, value, path, error);
}

/* A string of its own; NULL when it is not UTF-8 or has a NUL in it. */
static char *
dup_text (const Reader *bytes)
{
  if (!g_utf8_validate_len ((const char *) bytes->at, reader_len (bytes), NULL))
    return NULL;
  return g_strndup ((const char *) bytes->at, reader_len (bytes));
}

static gboolean
decode_text (const SwarmField *field, gpointer message, const Reader *bytes, const SwarmPath *path, GError **error)
{
  g_autofree char *text = dup_text (bytes);

  if (text == NULL)
    return swarm_path_error (path, error, "not valid UTF-8");
  if (field->kind == SWARM_FIELD_STRINGS)
    return swarm_field_add_text (field, message, text, path, error);
  return swarm_field_set_text (field, message, text, path, error);
}

static gboolean
decode_id (const SwarmField *field, gpointer message, const Reader *bytes, const SwarmPath *path, GError **error)
{
  SwarmId id;

  if (reader_len (bytes) != sizeof id)
    return swarm_path_error (path, error, "an id of %" G_GSIZE_FORMAT " bytes", reader_len (bytes));
  memcpy (&id, bytes->at, sizeof id);
  if (field->kind == SWARM_FIELD_ID) {
    SWARM_MEMBER (SwarmId, message, field) = id;
    return TRUE;
  }
  if (SWARM_MEMBER (GArray *, message, field) == NULL)
    SWARM_MEMBER (GArray *, message, field) = swarm_ids_new ();
  g_array_append_val (SWARM_MEMBER (GArray *, message, field), id);
  return TRUE;
}

static gboolean
decode_nested (const SwarmField *field, gpointer message, const Reader *bytes, guint depth, const SwarmPath *path, GError **error)
{
  gpointer nested;

  if (depth >= MAX_DEPTH)
    return swarm_path_error (path, error, "nested more than %d deep", MAX_DEPTH);
  nested = swarm_message_new (field->type);
  /* Handed over first, so that an error frees it with the rest. */
  if (field->kind == SWARM_FIELD_MESSAGE)
    SWARM_MEMBER (gpointer, message, field) = nested;
  else
    swarm_field_add_message (field, message, nested);
  return decode_message (nested, *bytes, depth + 1, path, error);
}

static gboolean
decode_pair (const SwarmField *field, gpointer message, Reader bytes, const SwarmPath *path, GError **error)
{
  g_autofree char *key = NULL;
  g_autofree char *value = NULL;
  Item item;

  while (bytes.at < bytes.end) {
    char **text;

    if (!read_item (&bytes, &item) || item.wire != WIRE_BYTES || item.number > 2)
      return swarm_path_error (path, error, "a damaged pair");
    text = item.number == 1 ? &key : &value;
    if (*text != NULL || (*text = dup_text (&item.bytes)) == NULL)
      return swarm_path_error (path, error, "a damaged pair");
  }
  if (key == NULL || value == NULL)
    return swarm_path_error (path, error, "a damaged pair");
  swarm_field_add_pair (field, message, key, value);
  return TRUE;
}

static gboolean
decode_item (const SwarmField *field, gpointer message, const Item *item, guint depth, const SwarmPath *path, GError **error)
{
  if (item->wire != wire_of (field))
    return swarm_path_error (path, error, "wire type %u instead of %u", item->wire, wire_of (field));
  switch (field->kind) {
  case SWARM_FIELD_DOUBLE:
    return decode_double (field, message, item->value, path, error);
  case SWARM_FIELD_STRING:
  case SWARM_FIELD_STRINGS:
    return decode_text (field, message, &item->bytes, path, error);
  case SWARM_FIELD_BYTES:
    SWARM_MEMBER (GBytes *, message, field) = g_bytes_new (item->bytes.at, reader_len (&item->bytes));
    return TRUE;
  case SWARM_FIELD_ID:
  case SWARM_FIELD_IDS:
    return decode_id (field, message, &item->bytes, path, error);
  case SWARM_FIELD_MESSAGE:
  case SWARM_FIELD_MESSAGES:
    return decode_nested (field, message, &item->bytes, depth, path, error);
  case SWARM_FIELD_MAP:
    return decode_pair (field, message, item->bytes, path, error);
  default:
    return decode_number (field, message, item->value, path, error);
  }
}

static gboolean
is_repeated (const SwarmField *field)
{
  return field->kind == SWARM_FIELD_STRINGS || field->kind == SWARM_FIELD_IDS || field->kind == SWARM_FIELD_MESSAGES
         || field->kind == SWARM_FIELD_MAP;
}

/* A record that says a field twice, or a list too often, is damaged. @counts has one number for each row. */
static gboolean
count_field (const SwarmField *field, guint *count, const SwarmPath *path, GError **error)
{
  (*count)++;
  if (!is_repeated (field))
    return *count == 1 || swarm_path_error (path, error, "given twice");
  return *count <= SWARM_FIELD_MAX_ELEMENTS || swarm_path_error_too_many (path, error);
}

static guint
n_fields (const SwarmType *type)
{
  guint n = 0;

  while (type->fields[n].number != 0)
    n++;
  return n;
}

static gboolean
decode_message (gpointer message, Reader reader, guint depth, const SwarmPath *path, GError **error)
{
  SwarmMessage *self = message;
  g_autofree guint *counts = g_new0 (guint, n_fields (self->type) + 1);
  g_autoptr (GByteArray) unknown = NULL;

  while (reader.at < reader.end) {
    const guint8 *start = reader.at;
    const SwarmField *field;
    SwarmPath here = { path, NULL, -1 };
    Item item;

    if (!read_item (&reader, &item))
      return swarm_path_error (path, error, "the record of a %s is damaged or cut off", self->type->name);
    field = swarm_type_find_number (self->type, item.number);
    if (field == NULL) {
      if (unknown == NULL)
        unknown = g_byte_array_new ();
      g_byte_array_append (unknown, start, (guint) (reader.at - start));
      continue;
    }
    here.name = field->name;
    if (!count_field (field, &counts[field - self->type->fields], &here, error)
        || !decode_item (field, message, &item, depth, &here, error))
      return FALSE;
  }
  if (unknown != NULL)
    self->unknown = g_byte_array_free_to_bytes (g_steal_pointer (&unknown));
  return TRUE;
}

gpointer
swarm_message_decode (const SwarmType *type, GBytes *data, GError **error)
{
  gsize len;
  const guint8 *bytes = g_bytes_get_data (data, &len);
  SwarmPath top = { NULL, type->name, -1 };
  gpointer message = swarm_message_new (type);

  if (decode_message (message, (Reader){ bytes, len > 0 ? bytes + len : bytes }, 1, &top, error))
    return message;
  swarm_message_unref (message);
  return NULL;
}
