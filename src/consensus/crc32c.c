// SPDX-License-Identifier: LGPL-2.1-or-later
#include "consensus/crc32c.h"
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* table[k][b]: the effect of byte b, k bytes before the end of a word: eight bytes are folded at once. */
static guint32 table[8][256];

static void
make_table (void)
{
  for (guint b = 0; b < 256; b++) {
    guint32 crc = b;
    for (guint bit = 0; bit < 8; bit++)
      crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
    table[0][b] = crc;
  }
  for (guint b = 0; b < 256; b++)
    for (guint k = 1; k < 8; k++)
      table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
}

guint32
swarm_crc32c (guint32 crc, const guint8 *data, gsize len)
{
  static gsize ready;

  if (g_once_init_enter (&ready)) {
    make_table ();
    g_once_init_leave (&ready, 1);
  }
  crc = ~crc;
  for (; len >= 8; data += 8, len -= 8) {
    guint64 word;

    memcpy (&word, data, sizeof word);
    word = GUINT64_FROM_LE (word) ^ crc;
    crc = 0;
    for (guint k = 0; k < 8; k++)
      crc ^= table[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; len > 0; data++, len--)
    crc = (crc >> 8) ^ table[0][(crc ^ *data) & 0xff];
  return ~crc;
}
