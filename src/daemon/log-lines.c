// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/log-lines.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP_MAX 100000

gboolean
swarm_log_cursor_parse (const char *cursor, SwarmLogPage *page)
{
  if (*cursor != '\0' && sscanf (cursor, "%" G_GINT64_MODIFIER "u %u", &page->after, &page->skip) != 2)
    return FALSE;
  page->skip = MIN (page->skip, SKIP_MAX);
  return TRUE;
}

static guint64
time_of (const char *line)
{
  return g_ascii_strtoull (line, NULL, 10);
}

/* Lines of one moment always in the same order: the cursor counts them. */
static int
compare_lines (gconstpointer a, gconstpointer b)
{
  const char *left = *(char *const *) a, *right = *(char *const *) b;
  guint64 x = time_of (left), y = time_of (right);
  return x < y ? -1 : x > y ? 1 : strcmp (left, right);
}

static void
add_row (GVariantBuilder *lines, char **parts)
{
  GVariantDict dict;
  g_autofree char *text = g_utf8_make_valid (parts[5], -1);
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "Time", "t", time_of (parts[0]));
  g_variant_dict_insert (&dict, "TaskID", "s", parts[1]);
  g_variant_dict_insert (&dict, "Node", "s", parts[2]);
  g_variant_dict_insert (&dict, "Stream", "u", (guint) g_ascii_strtoull (parts[3], NULL, 10));
  g_variant_dict_insert (&dict, "Text", "s", text);
  g_variant_builder_add_value (lines, g_variant_dict_end (&dict));
}

GVariant *
swarm_log_page (const char *lines, const SwarmLogPage *page)
{
  GVariantBuilder builder;
  g_auto (GStrv) rows = g_strsplit (lines, "\n", -1);
  guint64 last = page->after;
  guint skip = page->skip, taken = 0, at_last = skip;
  gsize bytes = 0;
  qsort (rows, g_strv_length (rows), sizeof (char *), compare_lines);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; rows[i] != NULL && taken < page->max; i++) {
    g_auto (GStrv) parts = g_strsplit (rows[i], " ", 6);
    if (g_strv_length (parts) < 6)
      continue;
    guint64 time = time_of (parts[0]);
    bytes += strlen (rows[i]);
    if (time > page->until || (taken > 0 && bytes > page->max_bytes))
      break;
    if (time < page->after || (time == page->after && skip > 0)) {
      skip -= time == page->after;
      continue;
    }
    add_row (&builder, parts);
    at_last = time == last ? at_last + 1 : 1;
    last = time;
    taken++;
  }
  g_autofree char *next = taken > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT " %u", last, at_last) : g_strdup ("");
  return g_variant_new ("(@aa{sv}s)", g_variant_builder_end (&builder), next);
}

gboolean
swarm_log_line_append (GString *out, const char *line, GHashTable *tasks, const SwarmId *node, const char *hostname, const char *service)
{
  g_auto (GStrv) parts = g_strsplit (line, " ", 4);
  SwarmId id;
  if (g_strv_length (parts) != 4 || !swarm_id_parse (parts[1], &id))
    return FALSE;
  const SwarmLogTask *task = g_hash_table_lookup (tasks, &id);
  if (task == NULL || !swarm_id_equal (&task->node, node))
    return FALSE;
  g_string_append_printf (out, "%s %s %s %s %s.%u %s\n", parts[0], parts[1], hostname, parts[2], service, task->slot, parts[3]);
  return TRUE;
}

GPtrArray *
swarm_log_parts (GPtrArray *ids, guint size, guint max, guint *ret_left)
{
  GPtrArray *parts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  guint at = 0;
  for (; at < ids->len && parts->len < max; at += MIN (size, ids->len - at)) {
    GPtrArray *part = g_ptr_array_new ();
    for (guint i = at; i < MIN (at + size, ids->len); i++)
      g_ptr_array_add (part, ids->pdata[i]);
    g_ptr_array_add (part, NULL);
    g_ptr_array_add (parts, part);
  }
  *ret_left = ids->len - at;
  return parts;
}
