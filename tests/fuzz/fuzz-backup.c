// SPDX-License-Identifier: LGPL-2.1-or-later
/* Backup files, under a key that opens what was sealed with it: the corpus holds whole ones. */
#include "ca/crypto.h"
#include "daemon/backup-file.h"
#include "fuzz.h"
#include <string.h>

typedef struct {
  const guint8 *data;
  gsize left;
} Input;

static gssize
read_input (gpointer data, gsize len, gpointer user, GError **error)
{
  Input *input = user;
  gsize n = MIN (len, input->left);

  memcpy (data, input->data, n);
  input->data += n;
  input->left -= n;
  return (gssize) n;
}

static GBytes *
give_key (const SwarmBackupHeader *header, gpointer user, GError **error)
{
  static const guint8 key[32] = { 1, 2, 3 };
  return g_bytes_new_static (key, sizeof key);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  Input input = { data, size };
  SwarmBackupHeader header;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) state = swarm_backup_read (swarm_crypto_openssl (), read_input, give_key, &input, &header, &error);

  g_assert ((state == NULL) == (error != NULL));
  g_assert (state == NULL || input.left == 0);
  return 0;
}
