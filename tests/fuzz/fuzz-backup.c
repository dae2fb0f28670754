// SPDX-License-Identifier: LGPL-2.1-or-later
/* Backups as somebody hands them over (the corpus holds whole ones), and, where the first byte is w, good ones with one byte changed, added or cut
 * off (four bytes say where and what, the rest is the state): nothing but what was written comes back. */
#include "ca/crypto.h"
#include "daemon/backup-file.h"
#include "fuzz.h"
#include <string.h>

typedef struct {
  GByteArray *file;
  gsize at;
} World;

static gboolean
write_bytes (gconstpointer data, gsize len, gpointer user, GError **error)
{
  g_byte_array_append (((World *) user)->file, data, len);
  return TRUE;
}

static gssize
read_bytes (gpointer data, gsize len, gpointer user, GError **error)
{
  World *world = user;
  gsize n = MIN (len, world->file->len - world->at);

  if (n > 0)
    memcpy (data, world->file->data + world->at, n);
  world->at += n;
  return (gssize) n;
}

static GBytes *
give_key (const SwarmBackupHeader *header, gpointer user, GError **error)
{
  static const guint8 key[32] = { 1, 2, 3 };
  return g_bytes_new_static (key, sizeof key);
}

static GBytes *
read_back (World *world)
{
  SwarmBackupHeader header;
  g_autoptr (GError) error = NULL;
  GBytes *state = swarm_backup_read (swarm_crypto_openssl (), read_bytes, give_key, world, &header, &error);

  g_assert ((state == NULL) == (error != NULL));
  return state;
}

/* One byte is changed, added at the end, or the file ends there. */
static gboolean
damage (GByteArray *file, const guint8 *how)
{
  gsize where = ((gsize) how[0] << 8 | how[1]) % file->len;

  switch (how[2] % 4) {
  case 0:
    file->data[where] ^= how[3];
    return how[3] != 0;
  case 1:
    g_byte_array_append (file, how + 3, 1);
    return TRUE;
  case 2:
    g_byte_array_set_size (file, where);
    return TRUE;
  default:
    return FALSE;
  }
}

static void
try_written (const guint8 *data, gsize size)
{
  SwarmBackupHeader header = { .index = 7, .log_n = 15, .r = 8, .p = 1, .level = 1 };
  World world = { g_byte_array_new (), 0 };
  g_autoptr (GBytes) state = g_bytes_new (data + 4, size - 4), key = give_key (NULL, NULL, NULL), back = NULL;

  if (!swarm_backup_write (swarm_crypto_openssl (), &header, key, state, write_bytes, &world, NULL))
    g_assert_not_reached ();
  gboolean damaged = damage (world.file, data);
  back = read_back (&world);
  g_assert (damaged ? back == NULL : back != NULL && g_bytes_equal (back, state));
  g_byte_array_unref (world.file);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  World world = { g_byte_array_new (), 0 };
  GBytes *state;

  if (size >= 5 && data[0] == 'w')
    try_written (data + 1, size - 1);
  if (size > 0)
    g_byte_array_append (world.file, data, size);
  state = read_back (&world);
  g_clear_pointer (&state, g_bytes_unref);
  g_byte_array_unref (world.file);
  return 0;
}
