// SPDX-License-Identifier: LGPL-2.1-or-later
/* GVariant values in D-Bus' form. Everything that libdbus would abort on is found here. Messages without descriptors are written as bytes at
 * once; libdbus validates what goes over a bus, and the other end what goes between nodes. To append the same to a libdbus message piece by
 * piece took three times as long. */
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

/* Containers inside containers, over the whole message (D-Bus specification, "Valid signatures": 32 arrays + 32 structs; libdbus
 * holds the whole value to the sum). */
#define MAX_DEPTH 64

static gboolean
fail (GError **error, int code, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, code, text);
  return FALSE;
}

gsize
swarm_bus_wire_size (char type)
{
  switch (type) {
  case 'y':
  case 'g':
  case 'v':
    return 1;
  case 'n':
  case 'q':
    return 2;
  case 'x':
  case 't':
  case 'd':
  case '(':
  case '{':
    return 8;
  default:
    return 4;
  }
}

gboolean
swarm_bus_is_plain_fixed (char type)
{
  return type != '\0' && strchr ("ynqiuxtd", type) != NULL;
}

/* ---- values ---- */

/* @data at the next multiple of @alignment. */
static gboolean
put (SwarmBusWriter *self, gsize alignment, gconstpointer data, gsize length)
{
  gsize padding = (alignment - self->offset % alignment) % alignment;

  if (length > self->max || self->offset + padding + length > self->max)
    return fail (self->error, SWARM_ERROR_LIMIT_EXCEEDED, "the message is too long");
  self->offset += padding + length;
  if (self->out != NULL && padding + length > 0) {
    gsize old = self->out->len;

    g_byte_array_set_size (self->out, (guint) (old + padding + length));
    memset (self->out->data + old, 0, padding);
    if (length > 0)
      memcpy (self->out->data + old + padding, data, length);
  }
  return TRUE;
}

static gboolean
put_text (SwarmBusWriter *self, const char *text, gsize length, char type)
{
  guint32 number = (guint32) length;
  guint8 byte = (guint8) length;

  if (length > self->max)
    return fail (self->error, SWARM_ERROR_LIMIT_EXCEEDED, "the message is too long");
  return (type == 'g' ? put (self, 1, &byte, 1) : put (self, 4, &number, 4)) && put (self, 1, text, length + 1);
}

static gboolean
write_string (SwarmBusWriter *self, GVariant *value, char type)
{
  gsize length;
  const char *text = g_variant_get_string (value, &length);

  if (type == 's' && !g_utf8_validate (text, (gssize) length, NULL))
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "a string is not valid UTF-8");
  if (type == 'o' && !dbus_validate_path (text, NULL))
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "an object path is not valid");
  if (type == 'g' && !dbus_signature_validate (text, NULL))
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "a signature is not valid");
  return put_text (self, text, length, type);
}

gboolean
swarm_bus_write_text (SwarmBusWriter *self, char type, const char *text)
{
  return put_text (self, text, strlen (text), type);
}

gboolean
swarm_bus_write_struct (SwarmBusWriter *self)
{
  return put (self, 8, NULL, 0);
}

static gboolean
write_number (SwarmBusWriter *self, GVariant *value, char type)
{
  gsize size = swarm_bus_wire_size (type);
  DBusBasicValue number = { 0 };
  gconstpointer data;

  if (type == 'b') {
    number.bool_val = g_variant_get_boolean (value);
    return put (self, size, &number, size);
  }
  data = g_variant_get_data (value); /* NULL in a value from foreign bytes that is not in normal form: then it is 0 */
  if (data != NULL)
    memcpy (&number, data, MIN (g_variant_get_size (value), sizeof number));
  return put (self, size, &number, size);
}

static gboolean
write_children (SwarmBusWriter *self, GVariant *value, guint depth)
{
  gsize n = g_variant_n_children (value);

  if (n > 0 && depth >= MAX_DEPTH)
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "values are nested too deeply");
  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

    if (!swarm_bus_write_value (self, child, depth + 1))
      return FALSE;
  }
  return TRUE;
}

static gboolean
write_fixed_array (SwarmBusWriter *self, GVariant *value, gsize size)
{
  gsize n = 0;
  gconstpointer data = g_variant_get_fixed_array (value, &n, size);

  if (n > DBUS_MAXIMUM_ARRAY_LENGTH / size)
    return fail (self->error, SWARM_ERROR_LIMIT_EXCEEDED, "an array is longer than 64 MiB");
  return put (self, size, data, n * size);
}

gboolean
swarm_bus_write_array_begin (SwarmBusWriter *self, char element, SwarmBusWriterArray *array)
{
  guint32 length = 0;

  if (!put (self, 4, &length, 4))
    return FALSE;
  array->at = self->out != NULL ? self->out->len - 4 : 0;
  /* The length does not count the padding before the first element. */
  if (!put (self, swarm_bus_wire_size (element), NULL, 0))
    return FALSE;
  array->start = self->offset;
  return TRUE;
}

gboolean
swarm_bus_write_array_end (SwarmBusWriter *self, const SwarmBusWriterArray *array)
{
  guint32 length = (guint32) (self->offset - array->start);

  if (self->offset - array->start > DBUS_MAXIMUM_ARRAY_LENGTH)
    return fail (self->error, SWARM_ERROR_LIMIT_EXCEEDED, "an array is longer than 64 MiB");
  if (self->out != NULL)
    memcpy (self->out->data + array->at, &length, sizeof length);
  return TRUE;
}

static gboolean
write_array (SwarmBusWriter *self, GVariant *value, guint depth)
{
  char element = g_variant_get_type_string (value)[1];
  SwarmBusWriterArray array;

  if (!swarm_bus_write_array_begin (self, element, &array))
    return FALSE;
  if (swarm_bus_is_plain_fixed (element) ? !write_fixed_array (self, value, swarm_bus_wire_size (element))
                                         : !write_children (self, value, depth))
    return FALSE;
  return swarm_bus_write_array_end (self, &array);
}

/* Most variants hold one of these: no need to ask libdbus. */
static gboolean
is_basic (const char *signature)
{
  return signature[0] != '\0' && signature[1] == '\0' && strchr ("ybnqiuxtdsogh", signature[0]) != NULL;
}

static gboolean
write_variant (SwarmBusWriter *self, GVariant *value, guint depth)
{
  g_autoptr (GVariant) child = g_variant_get_variant (value);
  const char *signature = g_variant_get_type_string (child);

  if (!is_basic (signature) && !dbus_signature_validate_single (signature, NULL))
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "a variant holds a type that D-Bus does not have");
  if (depth >= MAX_DEPTH)
    return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "values are nested too deeply");
  return put_text (self, signature, strlen (signature), 'g') && swarm_bus_write_value (self, child, depth + 1);
}

gboolean
swarm_bus_write_value (SwarmBusWriter *self, GVariant *value, guint depth)
{
  char type = g_variant_get_type_string (value)[0];

  switch (type) {
  case 's':
  case 'o':
  case 'g':
    return write_string (self, value, type);
  case 'h':
    if (g_variant_get_handle (value) < 0 || (guint) g_variant_get_handle (value) >= self->n_fds)
      return fail (self->error, SWARM_ERROR_INVALID_ARGUMENT, "a descriptor is named that was not handed over");
    return write_number (self, value, type);
  case 'a':
    return write_array (self, value, depth);
  case 'v':
    return write_variant (self, value, depth);
  case '(':
  case '{':
    return put (self, 8, NULL, 0) && write_children (self, value, depth);
  default:
    return write_number (self, value, type);
  }
}

gboolean
swarm_bus_write_args (SwarmBusWriter *self, GVariant *args, GError **error)
{
  const char *type = g_variant_get_type_string (args);
  g_autofree char *signature = NULL;

  if (type[0] != '(')
    return fail (error, SWARM_ERROR_INVALID_ARGUMENT, "arguments are not a tuple");
  signature = g_strndup (type + 1, strlen (type) - 2);
  if (!dbus_signature_validate (signature, NULL))
    return fail (error, SWARM_ERROR_INVALID_ARGUMENT, "the arguments have a type that D-Bus does not have");
  if (self->n_fds > SWARM_BUS_MESSAGE_MAX_FDS)
    return fail (error, SWARM_ERROR_LIMIT_EXCEEDED, "too many descriptors for one message");
  for (gsize i = 0; i < g_variant_n_children (args); i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (args, i);
    g_autoptr (GError) local_error = NULL;

    self->error = &local_error;
    if (!swarm_bus_write_value (self, child, 0)) {
      g_propagate_prefixed_error (error, g_steal_pointer (&local_error), "argument %" G_GSIZE_FORMAT ": ", i + 1);
      return FALSE;
    }
  }
  return TRUE;
}

/* ---- whole messages ---- */

static void
put_field (SwarmBusWriter *self, guint8 code, char type, const char *text)
{
  guint8 start[] = { code, 1, (guint8) type, 0 };

  if (text == NULL)
    return;
  put (self, 8, start, sizeof start);
  put_text (self, text, strlen (text), type);
}

/* D-Bus specification, "Message Format": the lengths of body and fields, at 4 and 12, are put in when they are known. */
static void
write_head (SwarmBusWriter *self, const SwarmBusHead *head, const char *signature)
{
  guint8 start[] = { G_BYTE_ORDER == G_LITTLE_ENDIAN ? DBUS_LITTLE_ENDIAN : DBUS_BIG_ENDIAN, (guint8) head->type,
                     head->type != DBUS_MESSAGE_TYPE_METHOD_CALL ? DBUS_HEADER_FLAG_NO_REPLY_EXPECTED : 0, DBUS_MAJOR_PROTOCOL_VERSION };
  guint32 numbers[] = { 0, MAX (head->serial, 1), 0 };
  guint8 reply_start[] = { DBUS_HEADER_FIELD_REPLY_SERIAL, 1, DBUS_TYPE_UINT32, 0 };

  put (self, 1, start, sizeof start);
  put (self, 4, numbers, sizeof numbers);
  put_field (self, DBUS_HEADER_FIELD_PATH, 'o', head->path);
  put_field (self, DBUS_HEADER_FIELD_INTERFACE, 's', head->iface);
  put_field (self, DBUS_HEADER_FIELD_MEMBER, 's', head->member);
  if (head->reply_serial != 0) {
    put (self, 8, reply_start, sizeof reply_start);
    put (self, 4, &head->reply_serial, sizeof head->reply_serial);
  }
  put_field (self, DBUS_HEADER_FIELD_DESTINATION, 's', head->destination);
  put_field (self, DBUS_HEADER_FIELD_SIGNATURE, 'g', *signature != '\0' ? signature : NULL);
  numbers[2] = (guint32) self->offset - 16;
  memcpy (self->out->data + 12, &numbers[2], sizeof (guint32));
  put (self, 8, NULL, 0);
}

void
swarm_bus_writer_begin (SwarmBusWriter *self, const SwarmBusHead *head, const char *signature, gsize max)
{
  SwarmBusWriter front = { .max = DBUS_MAXIMUM_MESSAGE_LENGTH, .out = g_byte_array_sized_new (1024) };

  write_head (&front, head, signature);
  *self = (SwarmBusWriter){ .max = MIN (max, DBUS_MAXIMUM_MESSAGE_LENGTH), .out = front.out };
}

GBytes *
swarm_bus_writer_end (SwarmBusWriter *self, gboolean good)
{
  g_autoptr (GByteArray) out = g_steal_pointer (&self->out);
  guint32 length = (guint32) self->offset;

  if (!good)
    return NULL;
  memcpy (out->data + 4, &length, sizeof length);
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

DBusMessage *
swarm_bus_message_of (GBytes *bytes, GError **error)
{
  DBusMessage *message = swarm_bus_message_demarshal (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), error);

  if (message != NULL)
    dbus_message_set_serial (message, 0); /* the connection gives it one */
  return message;
}

GBytes *
swarm_bus_message_write (const SwarmBusHead *head, GVariant *args, gsize max, GError **error)
{
  const char *type = g_variant_get_type_string (args);
  g_autofree char *signature = NULL;
  SwarmBusWriter writer;

  if (type[0] != '(') {
    fail (error, SWARM_ERROR_INVALID_ARGUMENT, "arguments are not a tuple");
    return NULL;
  }
  signature = g_strndup (type + 1, strlen (type) - 2);
  swarm_bus_writer_begin (&writer, head, signature, max);
  return swarm_bus_writer_end (&writer, swarm_bus_write_args (&writer, args, error));
}

DBusMessage *
swarm_bus_message_new (const SwarmBusHead *head, GVariant *args, gsize max, GError **error)
{
  g_autoptr (GBytes) bytes = swarm_bus_message_write (head, args, max, error);

  return bytes != NULL ? swarm_bus_message_of (bytes, error) : NULL;
}
