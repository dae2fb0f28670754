// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-figures.h"
#include <stdarg.h>
#include <stdio.h>

typedef struct {
  char *name;
  GArray *values; /* double */
} Series;

static GPtrArray *all;

static GArray *
values_of (const char *name)
{
  if (all == NULL)
    all = g_ptr_array_new ();
  for (guint i = 0; i < all->len; i++)
    if (g_str_equal (((Series *) all->pdata[i])->name, name))
      return ((Series *) all->pdata[i])->values;
  Series *series = g_new0 (Series, 1);
  *series = (Series){ g_strdup (name), g_array_new (FALSE, FALSE, sizeof (double)) };
  g_ptr_array_add (all, series);
  return series->values;
}

static int
by_value (gconstpointer a, gconstpointer b)
{
  double da = *(const double *) a, db = *(const double *) b;
  return (da > db) - (da < db);
}

static double
median (GArray *values)
{
  if (values->len == 0)
    return 0;
  g_array_sort (values, by_value);
  double low = g_array_index (values, double, (values->len - 1) / 2), high = g_array_index (values, double, values->len / 2);
  return (low + high) / 2;
}

void
figure_add (double value, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *name = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_array_append_val (values_of (name), value);
}

double
figure_median (const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *name = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  return median (values_of (name));
}

void
figure_say (const char *format, ...)
{
  va_list arguments;
  printf ("figure: ");
  va_start (arguments, format);
  vprintf (format, arguments);
  va_end (arguments);
  printf ("\n");
  fflush (stdout);
}

void
figure_print_json (void)
{
  gboolean begun = FALSE;
  printf ("{");
  for (guint i = 0; all != NULL && i < all->len; i++) {
    Series *series = all->pdata[i];
    if (series->values->len > 0)
      printf ("%s\"%s\": %.4g", begun ? ", " : "", series->name, median (series->values));
    begun |= series->values->len > 0;
  }
  printf ("}\n");
}
