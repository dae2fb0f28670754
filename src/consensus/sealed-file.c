// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/sealed-file.h"
#include "base/error.h"
#include "consensus/codec.h"
#include "consensus/crc32c.h"

#define VERSION 2
#define RECORD_MAGIC 0x43455253u /* "SREC" */
#define RECORD_FORMAT 1
#define FILLER 0xa55aa55au
#define SECTOR 512

/* Is a sector's share of [start, end) all zeros, or past the end? */
static gboolean
looks_torn (const guint8 *data, guint64 size, guint64 start, guint64 end)
{
  if (end > size)
    return TRUE;
  while (start < end) {
    guint64 next = MIN ((start / SECTOR + 1) * SECTOR, end);
    gboolean zero = TRUE;

    for (guint64 i = start; i < next && zero; i++)
      zero = data[i] == 0;
    if (zero)
      return TRUE;
    start = next;
  }
  return FALSE;
}

static guint32
seeded_crc (guint64 nonce, guint64 offset, const guint8 *data, gsize len)
{
  guint64 seed[2] = { GUINT64_TO_LE (nonce), GUINT64_TO_LE (offset) };

  return swarm_crc32c (swarm_crc32c (0, (guint8 *) seed, sizeof seed), data, len);
}

/* ---- file headers ---- */

void
file_header_append (const SealContext *seal, const char magic[8], FileHeader *header, GByteArray *out)
{
  guint start = out->len;

  seal->random->fill (seal->random, (guint8 *) &header->nonce, sizeof header->nonce);
  g_byte_array_append (out, (const guint8 *) magic, 8);
  put_u32 (out, VERSION);
  put_u32 (out, header->number);
  g_byte_array_append (out, seal->cluster.bytes, sizeof seal->cluster.bytes);
  put_u64 (out, header->nonce);
  put_u64 (out, ~header->nonce);
  put_u32 (out, header->mark.segment);
  put_u32 (out, header->mark.offset);
  header->key_number = seal->key_number;
  put_u32 (out, header->key_number);
  put_u32 (out, FILLER);
  put_u32 (out, swarm_crc32c (0, out->data + start, out->len - start));
  put_u32 (out, FILLER);
}

ParseResult
file_header_parse (const SealContext *seal, const char magic[8], const char *name, GBytes *file, FileHeader *ret, GError **error)
{
  Reader in = reader_for (file);
  const guint8 *data = in.data;
  gsize size = in.left;
  const guint8 *found = get_raw (&in, 8), *cluster;
  guint32 version = get_u32 (&in), crc;

  ret->number = get_u32 (&in);
  cluster = get_raw (&in, sizeof (SwarmId));
  ret->nonce = get_u64 (&in);
  get_u64 (&in);
  ret->mark.segment = get_u32 (&in);
  ret->mark.offset = get_u32 (&in);
  ret->key_number = get_u32 (&in);
  get_u32 (&in);
  crc = get_u32 (&in);
  if (get_u32 (&in) != FILLER || in.bad || swarm_crc32c (0, data, FILE_HEADER_SIZE - 8) != crc || memcmp (found, magic, 8) != 0)
    return looks_torn (data, size, 0, FILE_HEADER_SIZE) ? PARSE_TORN : PARSE_BAD;
  if (version != VERSION) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "%s has format version %u; this program knows %u", name, version, VERSION);
    return PARSE_ERROR;
  }
  if (memcmp (cluster, seal->cluster.bytes, sizeof (SwarmId)) != 0) {
    SwarmId other;
    memcpy (other.bytes, cluster, sizeof other.bytes);
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "%s belongs to another cluster (%s)", name,
                 swarm_id_string (&other).str);
    return PARSE_ERROR;
  }
  return PARSE_OK;
}

/* ---- records ---- */

/* The data key with that number; NULL: this node has not got it. */
static GBytes *
key_of (const SealContext *seal, const FileHeader *header)
{
  if (header->key_number == seal->key_number)
    return seal->key;
  return header->key_number == seal->old_key_number ? seal->old_key : NULL;
}

static GBytes *
record_aad (const SealContext *seal, guint64 nonce, guint64 offset)
{
  GByteArray *aad = g_byte_array_new ();

  g_byte_array_append (aad, seal->cluster.bytes, sizeof seal->cluster.bytes);
  put_u64 (aad, nonce);
  put_u64 (aad, offset);
  put_u32 (aad, RECORD_FORMAT);
  return g_byte_array_free_to_bytes (aad);
}

void
record_append (const SealContext *seal, const FileHeader *file, guint64 base, FileMark mark, GBytes *body, GByteArray *out)
{
  guint start = out->len;
  guint64 offset = base + start;
  g_autoptr (GBytes) aad = record_aad (seal, file->nonce, offset);
  g_autoptr (GBytes) sealed
    = seal->key != NULL ? seal->crypto->seal (seal->crypto, key_of (seal, file), body, aad) : g_bytes_ref (body);
  gsize len;
  const guint8 *data = g_bytes_get_data (sealed, &len);

  put_u32 (out, RECORD_MAGIC);
  put_u32 (out, RECORD_FORMAT);
  put_u32 (out, (guint32) len);
  put_u32 (out, mark.segment);
  put_u32 (out, mark.offset);
  put_u32 (out, seeded_crc (file->nonce, offset, data, len));
  put_u32 (out, seeded_crc (file->nonce, offset, out->data + start, out->len - start));
  put_u32 (out, FILLER);
  g_byte_array_append (out, data, (guint) len);
  while ((base + out->len) % 8 != 0)
    put_u8 (out, FILLER & 0xff);
}

typedef struct {
  guint32 length;
  FileMark mark;
  guint32 body_crc;
} RecordHeader;

/* FALSE when there is no sound header at @offset. */
static gboolean
parse_record_header (const FileHeader *header, GBytes *file, guint64 offset, RecordHeader *ret, guint32 *ret_format)
{
  Reader in = reader_for (file);
  const guint8 *data;
  guint32 magic;

  get_raw (&in, offset);
  data = in.data;
  magic = get_u32 (&in);
  *ret_format = get_u32 (&in);
  ret->length = get_u32 (&in);
  ret->mark.segment = get_u32 (&in);
  ret->mark.offset = get_u32 (&in);
  ret->body_crc = get_u32 (&in);
  if (in.bad || magic != RECORD_MAGIC)
    return FALSE;
  return get_u32 (&in) == seeded_crc (header->nonce, offset, data, 24) && get_u32 (&in) == FILLER && !in.bad;
}

static guint64
record_end (guint64 offset, const RecordHeader *record)
{
  return (offset + RECORD_HEADER_SIZE + record->length + 7) / 8 * 8;
}

static gboolean
body_sound (const FileHeader *header, const guint8 *data, guint64 offset, const RecordHeader *record, guint64 end)
{
  guint64 start = offset + RECORD_HEADER_SIZE;

  for (guint64 i = start + record->length; i < end; i++)
    if (data[i] != (FILLER & 0xff))
      return FALSE;
  return seeded_crc (header->nonce, offset, data + start, record->length) == record->body_crc;
}

ParseResult
record_parse (const SealContext *seal, const FileHeader *header, const char *name, GBytes *file, guint64 *offset,
              FileMark *ret_mark, GBytes **ret_body, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (file, &size);
  g_autoptr (GBytes) aad = NULL;
  g_autoptr (GBytes) sealed = NULL;
  RecordHeader record;
  guint32 format;
  guint64 end;

  if (*offset >= size)
    return PARSE_END;
  if (!parse_record_header (header, file, *offset, &record, &format))
    return looks_torn (data, size, *offset, *offset + RECORD_HEADER_SIZE) ? PARSE_TORN : PARSE_BAD;
  end = record_end (*offset, &record);
  if (end > size || !body_sound (header, data, *offset, &record, end))
    return looks_torn (data, size, *offset, end) ? PARSE_TORN : PARSE_BAD;
  if (format != RECORD_FORMAT) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "%s has a record of format %u at %" G_GUINT64_FORMAT "; this program knows %u",
                 name, format, *offset, RECORD_FORMAT);
    return PARSE_ERROR;
  }
  if (ret_body != NULL) {
    g_autoptr (GError) why = NULL;
    GBytes *key = key_of (seal, header);

    if (seal->key != NULL && key == NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s is sealed with data key %u, which this node has not got", name, header->key_number);
      return PARSE_ERROR;
    }
    aad = record_aad (seal, header->nonce, *offset);
    sealed = g_bytes_new_from_bytes (file, *offset + RECORD_HEADER_SIZE, record.length);
    *ret_body = seal->key != NULL ? seal->crypto->unseal (seal->crypto, key, sealed, aad, &why) : g_bytes_ref (sealed);
    if (*ret_body == NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the record at %" G_GUINT64_FORMAT " of %s cannot be unsealed: %s", *offset, name,
                   why->message);
      return PARSE_ERROR;
    }
  }
  *ret_mark = record.mark;
  *offset = end;
  return PARSE_OK;
}

FileMark
records_highest_mark (const SealContext *seal, const FileHeader *header, GBytes *file, guint64 offset)
{
  FileMark highest = { 0, 0 };
  gsize size = g_bytes_get_size (file);
  RecordHeader record;
  guint32 format;

  for (offset = (offset + 7) / 8 * 8; offset + RECORD_HEADER_SIZE <= size; offset += 8)
    if (parse_record_header (header, file, offset, &record, &format) && file_mark_compare (highest, record.mark) < 0)
      highest = record.mark;
  return highest;
}
