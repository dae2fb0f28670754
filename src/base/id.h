// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ids of cluster, node, service, task …: 16 random bytes in memory, on the wire and on disk;
 * 25 characters of base 36 for people. */
#pragma once
#include <glib.h>

typedef struct {
  guint8 bytes[16];
} SwarmId;

#define SWARM_ID_STRING_LEN 25
typedef struct {
  char str[SWARM_ID_STRING_LEN + 1];
} SwarmIdString;

extern const SwarmId SWARM_ID_NIL;

/* The 25-character form, zero padded, by value: `swarm_id_string (id).str` lives until the end of the full expression's block. */
SwarmIdString swarm_id_string (const SwarmId *id);
/* Newly allocated 25-character form. */
char *swarm_id_dup_string (const SwarmId *id);
/* Parses exactly 25 base-36 characters; FALSE (and @ret untouched) for anything else, also for a value over 2^128-1. */
gboolean swarm_id_parse (const char *text, SwarmId *ret);
gboolean swarm_id_is_nil (const SwarmId *id);
/* For GHashTable keys that point to a SwarmId (usually inside the value). */
guint swarm_id_hash (gconstpointer id);
gboolean swarm_id_equal (gconstpointer a, gconstpointer b);
int swarm_id_compare (gconstpointer a, gconstpointer b);

/* Lower-case hexadecimal, two digits a byte. Caller frees. */
char *swarm_hex_encode (const guint8 *data, gsize len);
/* Big-endian base 36 of any byte string, zero padded to @width characters (join tokens, digests). Caller frees. */
char *swarm_base36_encode (const guint8 *data, gsize len, guint width);
/* The inverse into exactly @len bytes; FALSE on a foreign character or a value that does not fit. */
gboolean swarm_base36_decode (const char *text, gssize text_len, guint8 *data, gsize len);
