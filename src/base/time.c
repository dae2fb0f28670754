// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/clock.h"
#include "base/field.h"
#include <string.h>

char *
swarm_time_to_string (gint64 us)
{
  gint64 seconds = us / G_USEC_PER_SEC;
  int fraction = (int) (us % G_USEC_PER_SEC);
  g_autoptr (GDateTime) time = NULL;
  char digits[16] = "";

  if (fraction < 0) {
    fraction += G_USEC_PER_SEC;
    seconds--;
  }
  time = g_date_time_new_from_unix_utc (seconds);
  if (time == NULL)
    return g_strdup ("");
  if (fraction != 0) {
    g_snprintf (digits, sizeof digits, ".%06d", fraction);
    for (gsize len = strlen (digits); len > 1 && digits[len - 1] == '0'; len--)
      digits[len - 1] = '\0';
  }
  return g_strdup_printf ("%04d-%02d-%02dT%02d:%02d:%02d%sZ", g_date_time_get_year (time), g_date_time_get_month (time),
                          g_date_time_get_day_of_month (time), g_date_time_get_hour (time), g_date_time_get_minute (time),
                          g_date_time_get_second (time), digits);
}

/* Reads exactly @n digits and steps over them. */
static gboolean
read_digits (const char **text, guint n, int *ret)
{
  int value = 0;

  for (guint i = 0; i < n; i++, (*text)++) {
    if (!g_ascii_isdigit (**text))
      return FALSE;
    value = value * 10 + (**text - '0');
  }
  *ret = value;
  return TRUE;
}

static gboolean
read_char (const char **text, char c)
{
  if (g_ascii_toupper (**text) != c)
    return FALSE;
  (*text)++;
  return TRUE;
}

/* ".123456789": digits beyond microseconds are dropped. */
static gboolean
read_fraction (const char **text, gint64 *ret_us)
{
  gint64 unit = 100000;

  *ret_us = 0;
  if (**text != '.')
    return TRUE;
  (*text)++;
  if (!g_ascii_isdigit (**text))
    return FALSE;
  for (; g_ascii_isdigit (**text); (*text)++, unit /= 10)
    *ret_us += unit * (**text - '0');
  return TRUE;
}

/* "Z" or "+01:00". */
static gboolean
read_zone (const char **text, gint64 *ret_us)
{
  gint64 sign = **text == '-' ? -1 : 1;
  int hours, minutes;

  *ret_us = 0;
  if (read_char (text, 'Z'))
    return TRUE;
  if (!read_char (text, '+') && !read_char (text, '-'))
    return FALSE;
  if (!read_digits (text, 2, &hours) || !read_char (text, ':') || !read_digits (text, 2, &minutes) || hours > 23 || minutes > 59)
    return FALSE;
  *ret_us = sign * (hours * 3600 + minutes * 60) * G_USEC_PER_SEC;
  return TRUE;
}

gboolean
swarm_time_from_string (const char *text, gint64 *ret_us)
{
  int year, month, day, hour, minute, second;
  gint64 fraction, zone;
  g_autoptr (GDateTime) time = NULL;

  if (!read_digits (&text, 4, &year) || !read_char (&text, '-') || !read_digits (&text, 2, &month) || !read_char (&text, '-')
      || !read_digits (&text, 2, &day) || !read_char (&text, 'T') || !read_digits (&text, 2, &hour) || !read_char (&text, ':')
      || !read_digits (&text, 2, &minute) || !read_char (&text, ':') || !read_digits (&text, 2, &second)
      || !read_fraction (&text, &fraction) || !read_zone (&text, &zone) || *text != '\0')
    return FALSE;
  time = g_date_time_new_utc (year, month, day, hour, minute, second);
  if (time == NULL)
    return FALSE;
  *ret_us = g_date_time_to_unix (time) * G_USEC_PER_SEC + fraction - zone;
  return TRUE;
}

char *
swarm_clock_difference_text (gint64 us)
{
  static const struct {
    gint64 from, large, small;
    const char *large_unit, *small_unit;
  } rows[] = {
    { 2 * 86400, 86400, 3600, "days", "h" },
    { 3600, 3600, 60, "h", "min" },
    { 60, 60, 1, "min", "s" },
  };
  guint64 size = us < 0 ? -(guint64) us : (guint64) us;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    guint64 unit = (guint64) rows[i].small * G_USEC_PER_SEC;
    gint64 seconds = (gint64) ((size + unit / 2) / unit) * rows[i].small; /* to the nearest */
    if (seconds >= rows[i].from)
      return g_strdup_printf ("%" G_GINT64_FORMAT " %s %" G_GINT64_FORMAT " %s", seconds / rows[i].large, rows[i].large_unit,
                              seconds % rows[i].large / rows[i].small, rows[i].small_unit);
  }
  return g_strdup_printf ("%.1f s", size / (double) G_USEC_PER_SEC);
}
