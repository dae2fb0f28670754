// SPDX-License-Identifier: LGPL-2.1-or-later
/* The common form of the log's files: a header of 72 bytes (magic, version, cluster id, nonce, number of the data key, checksum), then records.
 * A record is a header of 32 bytes (length, format, checksums, mark), the sealed body and padding to 8 bytes.
 *
 * Checksums are CRC-32C seeded with the file's nonce and the record's offset, and the body is sealed with both as associated data: a record
 * is valid at its own place only. The mark says up to where everything was known to be on stable storage when the record was made:
 * damage before a mark cannot be a torn write. No aligned word of a sound record is zero, so a sector of zeros tells one that never was written. */
#pragma once
#include "base/crypto.h"
#include "base/random.h"

#define FILE_HEADER_SIZE 72
#define RECORD_HEADER_SIZE 32

typedef struct {
  SwarmCrypto *crypto;
  GBytes *key; /* NULL: not sealed (tests) */
  SwarmRandom *random;
  SwarmId cluster;
  guint32 key_number;     /* of @key: it is written into each file, so that the data key can be changed while files of the one before are left */
  GBytes *old_key;        /* the one before; NULL: none */
  guint32 old_key_number;
} SealContext;

/* A place in the log. */
typedef struct {
  guint32 segment;
  guint32 offset;
} FileMark;

typedef struct {
  guint32 number;
  guint64 nonce;
  FileMark mark;
  guint32 key_number; /* of the data key that seals its records */
} FileHeader;

typedef enum {
  PARSE_OK,
  PARSE_END,  /* nothing more */
  PARSE_TORN, /* damaged as a write is that was cut off */
  PARSE_BAD,  /* damaged otherwise */
  PARSE_ERROR, /* sound, but not ours to read: another cluster, version or key; the error says which */
} ParseResult;

static inline int
file_mark_compare (FileMark a, FileMark b)
{
  if (a.segment != b.segment)
    return a.segment < b.segment ? -1 : 1;
  return a.offset < b.offset ? -1 : a.offset > b.offset;
}

/* Draws a nonce into @header and appends the header's bytes. */
void file_header_append (const SealContext *seal, const char magic[8], FileHeader *header, GByteArray *out);
ParseResult file_header_parse (const SealContext *seal, const char magic[8], const char *name, GBytes *file, FileHeader *ret, GError **error);

/* Appends a record to @out, whose first byte stands at @base in the file. */
void record_append (const SealContext *seal, const FileHeader *file, guint64 base, FileMark mark, GBytes *body, GByteArray *out);
/* Parses the record at *@offset and moves there behind it. @ret_body may be NULL: the body is not looked at. */
ParseResult record_parse (const SealContext *seal, const FileHeader *header, const char *name, GBytes *file, guint64 *offset,
                          FileMark *ret_mark, GBytes **ret_body, GError **error);
/* The highest mark of any record at or behind @offset, as far as they can be made out in a damaged file. */
FileMark records_highest_mark (const SealContext *seal, const FileHeader *header, GBytes *file, guint64 offset);
