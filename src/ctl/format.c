// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/format.h"
#include "base/field.h"
#include "model/image.h"
#include <string.h>

#define MIN_COLUMN 10
#define COLUMN_GAP 3

struct _CtlTable {
  guint columns;
  GPtrArray *cells; /* row by row, titles first */
};

CtlTable *
ctl_table_new (const char *const *titles)
{
  CtlTable *table = g_new0 (CtlTable, 1);

  table->columns = g_strv_length ((char **)titles);
  table->cells = g_ptr_array_new_with_free_func (g_free);
  ctl_table_add (table, titles);
  return table;
}

void
ctl_table_add (CtlTable *table, const char *const *cells)
{
  for (guint i = 0; i < table->columns; i++)
    g_ptr_array_add (table->cells, ctl_printable (g_strdup (cells[i] != NULL ? cells[i] : ""), FALSE));
}

char *
ctl_printable (char *text, gboolean lines)
{
  gboolean valid = g_utf8_validate (text, -1, NULL);
  char *to = text;

  for (const char *p = text, *next; *p != 0; p = next) {
    gboolean kept = lines && (*p == '\n' || *p == '\t');

    next = valid ? g_utf8_next_char (p) : p + 1;
    if (!kept && (valid ? g_unichar_iscntrl (g_utf8_get_char (p)) : !g_ascii_isprint (*p))) {
      *to++ = '?';
    } else {
      memmove (to, p, (gsize)(next - p));
      to += next - p;
    }
  }
  *to = 0;
  return text;
}

guint
ctl_text_width (const char *text)
{
  guint width = 0;

  for (const char *p = text; *p != 0; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    width += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
  }
  return width;
}

char *
ctl_table_finish (CtlTable *table)
{
  GString *out = g_string_new (NULL);
  g_autofree guint *widths = g_new0 (guint, table->columns);

  for (guint i = 0; i < table->cells->len; i++) {
    guint *width = &widths[i % table->columns];
    *width = MAX (*width, ctl_text_width (g_ptr_array_index (table->cells, i)));
  }
  for (guint i = 0; i < table->cells->len; i++) {
    guint column = i % table->columns;
    const char *cell = g_ptr_array_index (table->cells, i);

    g_string_append (out, cell);
    if (column == table->columns - 1)
      g_string_append_c (out, '\n');
    else
      for (guint n = ctl_text_width (cell); n < MAX (widths[column] + COLUMN_GAP, MIN_COLUMN); n++)
        g_string_append_c (out, ' ');
  }
  g_ptr_array_unref (table->cells);
  g_free (table);
  return g_string_free (out, FALSE);
}

char *
ctl_list_finish (CtlTable *table, GString *lines, gboolean as_lines)
{
  g_autofree char *text = ctl_table_finish (table);

  if (!as_lines)
    g_string_assign (lines, text);
  return g_string_free (lines, FALSE);
}

void
ctl_json_line (GString *lines, JsonObject *object)
{
  g_autofree char *text = ctl_json_print_object (object);

  g_string_append_printf (lines, "%s\n", text);
}

void
ctl_json_line_of_cells (GString *lines, const CtlJsonCell *members, guint n_members, const char *const *cells)
{
  g_autoptr (JsonObject) object = json_object_new ();

  for (guint i = 0; i < n_members; i++)
    json_object_set_string_member (object, members[i].key, cells[members[i].cell]);
  ctl_json_line (lines, object);
}

/* Compares the numbers that start at *@a and *@b and moves past them: by value, then fewer leading zeros first. */
static int
compare_numbers (const char **a, const char **b)
{
  gsize zeros_a = strspn (*a, "0");
  gsize zeros_b = strspn (*b, "0");
  gsize len_a = strspn (*a + zeros_a, "0123456789");
  gsize len_b = strspn (*b + zeros_b, "0123456789");
  int order = len_a != len_b ? (len_a < len_b ? -1 : 1) : strncmp (*a + zeros_a, *b + zeros_b, len_a);

  if (order == 0 && zeros_a != zeros_b)
    order = zeros_a < zeros_b ? -1 : 1;
  *a += zeros_a + len_a;
  *b += zeros_b + len_b;
  return order;
}

int
ctl_natural_compare (const char *a, const char *b)
{
  while (*a != 0 && *b != 0) {
    gboolean digit_a = g_ascii_isdigit (*a);
    gboolean digit_b = g_ascii_isdigit (*b);

    if (digit_a != digit_b)
      return digit_a ? -1 : 1;
    if (digit_a) {
      int order = compare_numbers (&a, &b);
      if (order != 0)
        return order;
    } else {
      if (*a != *b)
        return (guchar)*a < (guchar)*b ? -1 : 1;
      a++;
      b++;
    }
  }
  return *a == *b ? 0 : *a == 0 ? -1 : 1;
}

char *
ctl_human_duration (gint64 us)
{
  gint64 seconds = us / G_USEC_PER_SEC;
  gint64 minutes = seconds / 60;
  gint64 hours = (seconds + 1800) / 3600; /* rounded */

  if (seconds < 1)
    return g_strdup ("Less than a second");
  if (seconds == 1)
    return g_strdup ("1 second");
  if (seconds < 60)
    return g_strdup_printf ("%" G_GINT64_FORMAT " seconds", seconds);
  if (minutes == 1)
    return g_strdup ("About a minute");
  if (minutes < 60)
    return g_strdup_printf ("%" G_GINT64_FORMAT " minutes", minutes);
  if (hours == 1)
    return g_strdup ("About an hour");
  if (hours < 48)
    return g_strdup_printf ("%" G_GINT64_FORMAT " hours", hours);
  if (hours < 24 * 7 * 2)
    return g_strdup_printf ("%" G_GINT64_FORMAT " days", hours / 24);
  if (hours < 24 * 30 * 2)
    return g_strdup_printf ("%" G_GINT64_FORMAT " weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2)
    return g_strdup_printf ("%" G_GINT64_FORMAT " months", hours / 24 / 30);
  return g_strdup_printf ("%" G_GINT64_FORMAT " years", seconds / 3600 / 24 / 365);
}

char *
ctl_age (const char *timestamp, gint64 now_us)
{
  gint64 then = now_us;
  g_autofree char *duration = NULL;
  g_autofree char *lower = NULL;

  if (!swarm_time_from_string (timestamp, &then))
    then = now_us;
  duration = ctl_human_duration (MAX (now_us - then, 0));
  lower = g_ascii_strdown (duration, -1);
  return g_strconcat (lower, " ago", NULL);
}

char *
ctl_human_bytes (gint64 bytes)
{
  static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
  double size = (double)bytes;
  guint unit = 0;

  for (; size >= 1024 && unit < G_N_ELEMENTS (names) - 1; unit++)
    size /= 1024;
  return g_strdup_printf ("%.4g%s", size, names[unit]);
}

char *
ctl_go_duration (gint64 ns)
{
  guint64 rest = ns < 0 ? -(guint64)ns : (guint64)ns;
  GString *out = g_string_new (ns < 0 ? "-" : "");
  guint64 seconds = rest / 1000000000;

  if (rest == 0)
    g_string_append (out, "0s");
  else if (rest < 1000)
    g_string_append_printf (out, "%" G_GUINT64_FORMAT "ns", rest);
  else if (rest < 1000000)
    g_string_append_printf (out, "%.10gµs", (double)rest / 1e3);
  else if (rest < 1000000000)
    g_string_append_printf (out, "%.10gms", (double)rest / 1e6);
  else {
    if (seconds >= 3600)
      g_string_append_printf (out, "%" G_GUINT64_FORMAT "h", seconds / 3600);
    if (seconds >= 60)
      g_string_append_printf (out, "%" G_GUINT64_FORMAT "m", seconds / 60 % 60);
    g_string_append_printf (out, "%.12gs", (double)(rest % 60000000000) / 1e9);
  }
  return g_string_free (out, FALSE);
}

char *
ctl_capitalize (const char *text)
{
  char *copy = g_ascii_strdown (text, -1);

  copy[0] = g_ascii_toupper (copy[0]);
  return copy;
}

char *
ctl_short_id (const char *id)
{
  return g_strndup (id, 12);
}

char *
ctl_ellipsis (const char *text, guint width)
{
  guint used = 0;

  if (ctl_text_width (text) <= width)
    return g_strdup (text);
  for (const char *p = text; *p != 0; p = g_utf8_next_char (p)) {
    used += g_unichar_iswide (g_utf8_get_char (p)) ? 2 : 1;
    if (used > width - 1)
      return g_strdup_printf ("%.*s…", (int)(p - text), text);
  }
  return g_strdup (text);
}

char *
ctl_image_name (const char *image)
{
  g_autofree char *full = swarm_image_normalise (image, NULL);

  return full != NULL ? swarm_image_familiar (full, TRUE) : g_strdup (image);
}

typedef struct {
  gint64 published_first, published_last, target_first, target_last;
  const char *protocol;
} PortRange;

static void
append_range (GString *out, const PortRange *range)
{
  if (range->published_first == 0)
    return;
  g_string_append (out, out->len > 0 ? ", *:" : "*:");
  g_string_append_printf (out, "%" G_GINT64_FORMAT, range->published_first);
  if (range->published_last > range->published_first)
    g_string_append_printf (out, "-%" G_GINT64_FORMAT, range->published_last);
  g_string_append_printf (out, "->%" G_GINT64_FORMAT, range->target_first);
  if (range->target_last > range->target_first)
    g_string_append_printf (out, "-%" G_GINT64_FORMAT, range->target_last);
  g_string_append_printf (out, "/%s", range->protocol);
}

static int
compare_ports (gconstpointer a, gconstpointer b)
{
  JsonObject *left = *(JsonObject *const *)a;
  JsonObject *right = *(JsonObject *const *)b;
  int order = g_strcmp0 (ctl_json_string_or (left, "Protocol", "tcp"), ctl_json_string_or (right, "Protocol", "tcp"));
  gint64 difference = ctl_json_int (left, "PublishedPort") - ctl_json_int (right, "PublishedPort");

  return order != 0 ? order : difference < 0 ? -1 : difference > 0;
}

static gboolean
continues_range (const PortRange *range, gint64 published, gint64 target, const char *protocol)
{
  gboolean several = range->target_last != range->target_first;

  return g_strcmp0 (range->protocol, protocol) == 0 && published - range->published_last <= 1
         && (target == range->target_last || target - range->target_last == 1)
         && !(several && target <= range->target_last);
}

char *
ctl_ingress_ports (JsonArray *ports)
{
  g_autoptr (GPtrArray) list = ctl_json_objects (ports);
  GString *out = g_string_new (NULL);
  PortRange range = { 0 };

  g_ptr_array_sort (list, compare_ports);
  for (guint i = 0; i < list->len; i++) {
    JsonObject *port = g_ptr_array_index (list, i);
    gint64 published = ctl_json_int (port, "PublishedPort");
    gint64 target = ctl_json_int (port, "TargetPort");
    const char *protocol = ctl_json_string_or (port, "Protocol", "tcp");

    if (!g_str_equal (ctl_json_string_or (port, "PublishMode", "ingress"), "ingress"))
      continue;
    if (continues_range (&range, published, target, protocol)) {
      range.published_last = published;
      range.target_last = target;
    } else {
      append_range (out, &range);
      range = (PortRange){ published, published, target, target, protocol };
    }
  }
  append_range (out, &range);
  return g_string_free (out, FALSE);
}

char *
ctl_host_ports (JsonArray *ports)
{
  g_autoptr (GPtrArray) list = ctl_json_objects (ports);
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < list->len; i++) {
    JsonObject *port = g_ptr_array_index (list, i);

    if (g_str_equal (ctl_json_string_or (port, "PublishMode", "ingress"), "host"))
      g_string_append_printf (out, "%s*:%" G_GINT64_FORMAT "->%" G_GINT64_FORMAT "/%s", out->len > 0 ? "," : "",
                              ctl_json_int (port, "PublishedPort"), ctl_json_int (port, "TargetPort"),
                              ctl_json_string_or (port, "Protocol", "tcp"));
  }
  return g_string_free (out, FALSE);
}

void
ctl_wrap (GString *out, const char *text, guint column, guint indent, guint width)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  guint at = column;
  gboolean start = TRUE;

  for (guint i = 0; words[i] != NULL; i++) {
    guint length = ctl_text_width (words[i]);

    if (!start && at + 1 + length > width) {
      g_string_append_c (out, '\n');
      for (guint n = 0; n < indent; n++)
        g_string_append_c (out, ' ');
      at = indent;
      start = TRUE;
    }
    if (!start) {
      g_string_append_c (out, ' ');
      at++;
    }
    g_string_append (out, words[i]);
    at += length;
    start = FALSE;
  }
}
