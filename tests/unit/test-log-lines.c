// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pages of logs and their cursors; many tasks of a node in parts. */
#include "daemon/log-lines.h"
#include "base/id.h"
#include <string.h>

#define MINE "0000000000000000000000001"

static char *
texts_of (GVariant *page)
{
  GString *texts = g_string_new (NULL);
  g_autoptr (GVariant) lines = g_variant_get_child_value (page, 0);
  for (gsize i = 0; i < g_variant_n_children (lines); i++) {
    g_autoptr (GVariant) line = g_variant_get_child_value (lines, i);
    const char *text = "?";
    g_variant_lookup (line, "Text", "&s", &text);
    g_string_append_printf (texts, "%s%s", i > 0 ? "," : "", text);
  }
  return g_string_free (texts, FALSE);
}

/* Reads on from @cursor; *@cursor becomes the next one. */
static char *
read_page (const char *lines, char **cursor, guint max, guint64 until)
{
  SwarmLogPage page = { .until = until, .max = max, .max_bytes = 1000 };
  const char *next;
  g_assert_true (swarm_log_cursor_parse (*cursor, &page));
  g_autoptr (GVariant) answer = g_variant_ref_sink (swarm_log_page (lines, &page));
  g_variant_get (answer, "(@aa{sv}&s)", NULL, &next);
  g_free (*cursor);
  *cursor = g_strdup (next);
  return texts_of (answer);
}

static void
expect_page (const char *lines, char **cursor, guint max, const char *expected)
{
  g_autofree char *texts = read_page (lines, cursor, max, G_MAXUINT64);
  g_assert_cmpstr (texts, ==, expected);
}

/* However the pages fall, each line comes once, also when many are of one moment. */
static void
test_pages (void)
{
  const char *lines = "7 " MINE " n2 1 web.1 d\n5 " MINE " n1 1 web.1 a\n7 " MINE " n1 1 web.1 b\n7 " MINE " n1 1 web.1 c\n9 " MINE " n1 2 web.1 e f\n";
  for (guint max = 1; max <= 6; max++) {
    g_autofree char *cursor = g_strdup ("");
    g_autoptr (GString) all = g_string_new (NULL);
    for (guint i = 0; i < 6; i++) {
      g_autofree char *texts = read_page (lines, &cursor, max, G_MAXUINT64);
      if (*texts == '\0')
        break;
      g_string_append_printf (all, "%s%s", all->len > 0 ? "," : "", texts);
    }
    g_assert_cmpstr (all->str, ==, "a,b,c,d,e f");
  }
}

/* Lines that came after the first page, of the very moment where it ended. */
static void
test_cursor_goes_on (void)
{
  g_autofree char *cursor = g_strdup ("");
  expect_page ("5 " MINE " n1 1 web.1 a\n", &cursor, 10, "a");
  g_assert_cmpstr (cursor, ==, "5 1");
  expect_page ("5 " MINE " n1 1 web.1 a\n5 " MINE " n1 1 web.1 b\n", &cursor, 10, "b");
  g_assert_cmpstr (cursor, ==, "5 2");
  expect_page ("5 " MINE " n1 1 web.1 a\n5 " MINE " n1 1 web.1 b\n", &cursor, 10, "");
  g_assert_cmpstr (cursor, ==, "");
}

/* A node that was cut short at 6 may have more before 8. */
static void
test_until (void)
{
  g_autofree char *cursor = g_strdup ("");
  g_autofree char *texts = read_page ("8 " MINE " n2 1 web.1 late\n6 " MINE " n1 1 web.1 early\n", &cursor, 10, 6);
  g_assert_cmpstr (texts, ==, "early");
}

static void
test_bytes (void)
{
  g_autofree char *big = g_strnfill (2000, 'x'), *cursor = g_strdup ("");
  g_autofree char *lines = g_strdup_printf ("1 " MINE " n1 1 web.1 %s\n2 " MINE " n1 1 web.1 small\nnonsense\n", big);
  expect_page (lines, &cursor, 10, big); /* however long it is */
  expect_page (lines, &cursor, 10, "small");
}

static void
test_bad_cursors (void)
{
  static const char *const bad[] = { "5", "x y", "-", " " };
  SwarmLogPage page = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (swarm_log_cursor_parse (bad[i], &page));
  g_assert_true (swarm_log_cursor_parse ("5 4000000000", &page));
  g_assert_cmpuint (page.skip, <=, 100000);
}

/* A node's lines with what this manager knows; what speaks of another node's task, or of none, is left out. */
static void
test_append (void)
{
  SwarmId mine, other, node = { { 1 } }, elsewhere = { { 2 } };
  g_autoptr (GHashTable) tasks = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  g_autoptr (GString) out = g_string_new (NULL);
  SwarmLogTask one = { node, 3 }, two = { elsewhere, 4 };
  g_autofree char *foreign = NULL;

  g_assert_true (swarm_id_parse (MINE, &mine));
  other = mine;
  other.bytes[0] = 9;
  g_hash_table_insert (tasks, &mine, &one);
  g_hash_table_insert (tasks, &other, &two);
  foreign = g_strdup_printf ("5 %s 1 forged", swarm_id_string (&other).str);
  g_assert_true (swarm_log_line_append (out, "5 " MINE " 1 hello  world ", tasks, &node, "n1", "web"));
  g_assert_true (swarm_log_line_append (out, "6 " MINE " 2 ", tasks, &node, "n1", "web"));
  g_assert_false (swarm_log_line_append (out, foreign, tasks, &node, "n1", "web"));
  g_assert_false (swarm_log_line_append (out, "5 0000000000000000000000009 1 nobody's", tasks, &node, "n1", "web"));
  g_assert_false (swarm_log_line_append (out, "5 - 1 none", tasks, &node, "n1", "web"));
  g_assert_false (swarm_log_line_append (out, "5 " MINE, tasks, &node, "n1", "web"));
  g_assert_false (swarm_log_line_append (out, "", tasks, &node, "n1", "web"));
  g_assert_cmpstr (out->str, ==, "5 " MINE " n1 1 web.3 hello  world \n6 " MINE " n1 2 web.3 \n");
}

/* None is left out but those that are counted. */
static void
test_parts (void)
{
  for (guint n = 0; n < 30; n++) {
    g_autoptr (GPtrArray) ids = g_ptr_array_new ();
    guint left, sum = 0;
    for (guint i = 0; i < n; i++)
      g_ptr_array_add (ids, GUINT_TO_POINTER (i + 1));
    g_autoptr (GPtrArray) parts = swarm_log_parts (ids, 4, 5, &left);
    for (guint i = 0; i < parts->len; i++) {
      GPtrArray *part = parts->pdata[i];
      g_assert_cmpuint (part->len, >, 1);
      g_assert_cmpuint (part->len, <=, 5);
      g_assert_null (part->pdata[part->len - 1]);
      for (guint k = 0; k + 1 < part->len; k++)
        g_assert_cmpuint (GPOINTER_TO_UINT (part->pdata[k]), ==, ++sum);
    }
    g_assert_cmpuint (sum + left, ==, n);
    g_assert_cmpuint (left, ==, n > 20 ? n - 20 : 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log-lines/pages", test_pages);
  g_test_add_func ("/log-lines/cursor-goes-on", test_cursor_goes_on);
  g_test_add_func ("/log-lines/until", test_until);
  g_test_add_func ("/log-lines/bytes", test_bytes);
  g_test_add_func ("/log-lines/bad-cursors", test_bad_cursors);
  g_test_add_func ("/log-lines/append", test_append);
  g_test_add_func ("/log-lines/parts", test_parts);
  return g_test_run ();
}
