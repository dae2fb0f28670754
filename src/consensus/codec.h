// SPDX-License-Identifier: LGPL-2.1-or-later
/* Little-endian bytes in and out, for files and messages of this folder. */
#pragma once
#include <glib.h>
#include <string.h>

static inline void
put_u8 (GByteArray *out, guint8 value)
{
  g_byte_array_append (out, &value, 1);
}

static inline void
put_u16 (GByteArray *out, guint16 value)
{
  value = GUINT16_TO_LE (value);
  g_byte_array_append (out, (guint8 *) &value, sizeof value);
}

static inline void
put_u32 (GByteArray *out, guint32 value)
{
  value = GUINT32_TO_LE (value);
  g_byte_array_append (out, (guint8 *) &value, sizeof value);
}

static inline void
put_u64 (GByteArray *out, guint64 value)
{
  value = GUINT64_TO_LE (value);
  g_byte_array_append (out, (guint8 *) &value, sizeof value);
}

static inline void
put_bytes (GByteArray *out, GBytes *bytes)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (bytes, &len);

  put_u32 (out, (guint32) len);
  g_byte_array_append (out, data, (guint) len);
}

/* Reads never leave the bytes: past the end they give zeros and set @bad. */
typedef struct {
  GBytes *bytes;
  const guint8 *data;
  gsize left;
  gboolean bad;
} Reader;

static inline Reader
reader_for (GBytes *bytes)
{
  Reader reader = { bytes, NULL, 0, FALSE };

  reader.data = g_bytes_get_data (bytes, &reader.left);
  return reader;
}

static inline const guint8 *
get_raw (Reader *in, gsize len)
{
  const guint8 *data = in->data;

  if (in->left < len) {
    in->bad = TRUE;
    in->left = 0;
    return NULL;
  }
  in->data += len;
  in->left -= len;
  return data;
}

static inline guint64
get_number (Reader *in, gsize len)
{
  const guint8 *data = get_raw (in, len);
  guint64 value = 0;

  if (data != NULL)
    memcpy (&value, data, len);
  return GUINT64_FROM_LE (value);
}

static inline guint8
get_u8 (Reader *in)
{
  return (guint8) get_number (in, 1);
}

static inline guint16
get_u16 (Reader *in)
{
  return (guint16) get_number (in, 2);
}

static inline guint32
get_u32 (Reader *in)
{
  return (guint32) get_number (in, 4);
}

static inline guint64
get_u64 (Reader *in)
{
  return get_number (in, 8);
}

/* A part of the bytes (shares their memory); NULL when there are fewer. */
static inline GBytes *
get_part (Reader *in, gsize len)
{
  const guint8 *data = get_raw (in, len);

  if (data == NULL)
    return NULL;
  return g_bytes_new_from_bytes (in->bytes, (gsize) (data - (const guint8 *) g_bytes_get_data (in->bytes, NULL)), len);
}

static inline GBytes *
get_bytes (Reader *in)
{
  return get_part (in, get_u32 (in));
}
