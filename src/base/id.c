// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/id.h"
#include <string.h>

const SwarmId SWARM_ID_NIL = { { 0 } };

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

/* Divides the big-endian number in @data by 36 in place and gives the remainder. */
static guint
divide_by_36 (guint8 *data, gsize len)
{
  guint remainder = 0;

  for (gsize i = 0; i < len; i++) {
    guint v = remainder << 8 | data[i];
    data[i] = (guint8) (v / 36);
    remainder = v % 36;
  }
  return remainder;
}

/* Writes exactly @width digits; a number that needs more loses its highest ones. */
static void
encode (const guint8 *data, gsize len, char *out, guint width)
{
  g_autofree guint8 *number = g_memdup2 (data, len);

  for (guint i = width; i > 0; i--)
    out[i - 1] = digits[divide_by_36 (number, len)];
}

/* An id as four words, the highest first. Five digits fit into a word: an id is five groups of them. */
#define WORDS 4
#define GROUPS 5
#define GROUP_DIGITS 5
#define GROUP_BASE 60466176u /* 36 to the 5th */

SwarmIdString
swarm_id_string (const SwarmId *id)
{
  SwarmIdString s;
  guint32 words[WORDS];

  memcpy (words, id->bytes, sizeof words);
  for (guint i = 0; i < WORDS; i++)
    words[i] = GUINT32_FROM_BE (words[i]);
  for (guint end = SWARM_ID_STRING_LEN; end > 0; end -= GROUP_DIGITS) {
    guint64 remainder = 0;
    for (guint i = 0; i < WORDS; i++) {
      guint64 v = remainder << 32 | words[i];
      words[i] = (guint32) (v / GROUP_BASE);
      remainder = v % GROUP_BASE;
    }
    guint32 group = (guint32) remainder;
    for (guint i = 1; i <= GROUP_DIGITS; i++, group /= 36)
      s.str[end - i] = digits[group % 36];
  }
  s.str[SWARM_ID_STRING_LEN] = '\0';
  return s;
}

char *
swarm_id_dup_string (const SwarmId *id)
{
  return g_strdup (swarm_id_string (id).str);
}

static int
digit_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 10;
  return -1;
}

gboolean
swarm_id_parse (const char *text, SwarmId *ret)
{
  guint32 words[WORDS] = { 0 };

  if (text == NULL || strlen (text) != SWARM_ID_STRING_LEN)
    return FALSE;
  for (guint group = 0; group < GROUPS; group++) {
    guint64 carry = 0;
    for (guint i = 0; i < GROUP_DIGITS; i++) {
      int digit = digit_value (text[group * GROUP_DIGITS + i]);
      if (digit < 0)
        return FALSE;
      carry = carry * 36 + (guint) digit;
    }
    for (guint i = WORDS; i > 0; i--) {
      guint64 v = (guint64) words[i - 1] * GROUP_BASE + carry;
      words[i - 1] = (guint32) v;
      carry = v >> 32;
    }
    if (carry != 0)
      return FALSE;
  }
  for (guint i = 0; i < WORDS; i++)
    words[i] = GUINT32_TO_BE (words[i]);
  memcpy (ret->bytes, words, sizeof words);
  return TRUE;
}

gboolean
swarm_id_is_nil (const SwarmId *id)
{
  return memcmp (id, &SWARM_ID_NIL, sizeof *id) == 0;
}

guint
swarm_id_hash (gconstpointer id)
{
  guint h;

  /* The bytes are random: any four of them are a good hash. */
  memcpy (&h, id, sizeof h);
  return h;
}

gboolean
swarm_id_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (SwarmId)) == 0;
}

int
swarm_id_compare (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (SwarmId));
}

char *
swarm_base36_encode (const guint8 *data, gsize len, guint width)
{
  char *out = g_malloc (width + 1);

  encode (data, len, out, width);
  out[width] = '\0';
  return out;
}

gboolean
swarm_base36_decode (const char *text, gssize text_len, guint8 *data, gsize len)
{
  gsize n = text_len < 0 ? strlen (text) : (gsize) text_len;
  g_autofree guint8 *number = g_malloc0 (len);

  for (gsize i = 0; i < n; i++) {
    int digit = digit_value (text[i]);
    guint carry = (guint) digit;

    if (digit < 0)
      return FALSE;
    for (gsize j = len; j > 0; j--) {
      guint v = number[j - 1] * 36u + carry;
      number[j - 1] = (guint8) v;
      carry = v >> 8;
    }
    if (carry != 0)
      return FALSE;
  }
  memcpy (data, number, len);
  return TRUE;
}

char *
swarm_hex_encode (const guint8 *data, gsize len)
{
  GString *hex = g_string_sized_new (2 * len);

  for (gsize i = 0; i < len; i++)
    g_string_append_printf (hex, "%02x", data[i]);
  return g_string_free (hex, FALSE);
}
