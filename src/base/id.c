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

SwarmIdString
swarm_id_string (const SwarmId *id)
{
  SwarmIdString s;
  guint8 number[sizeof id->bytes];

  memcpy (number, id->bytes, sizeof number);
  for (guint i = SWARM_ID_STRING_LEN; i > 0; i--)
    s.str[i - 1] = digits[divide_by_36 (number, sizeof number)];
  s.str[SWARM_ID_STRING_LEN] = '\0';
  return s;
}

char *
swarm_id_dup_string (const SwarmId *id)
{
  return g_strdup (swarm_id_string (id).str);
}

gboolean
swarm_id_parse (const char *text, SwarmId *ret)
{
  if (text == NULL || strlen (text) != SWARM_ID_STRING_LEN)
    return FALSE;
  return swarm_base36_decode (text, SWARM_ID_STRING_LEN, ret->bytes, sizeof ret->bytes);
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
