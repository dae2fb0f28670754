// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is logged, how often, and that nobody waits for the journal. */
#include "base/log-ids.h"
#include "base/log-journal.h"
#include "base/log-limit.h"
#include "base/log.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- bounds ---- */

static void
test_limit (void)
{
  SwarmLogLimit limit = { 0 };
  guint more = 0;

  for (guint i = 0; i < SWARM_LOG_LIMIT_LINES; i++)
    g_assert_true (swarm_log_limit_take (&limit, "a", 1000 + i, &more));
  g_assert_cmpuint (more, ==, 0);
  for (guint i = 0; i < 100; i++)
    g_assert_false (swarm_log_limit_take (&limit, "a", 2000 + i, &more));
  g_assert_true (swarm_log_limit_take (&limit, "b", 3000, &more)); /* who is loud hides nobody else */
  g_assert_cmpuint (more, ==, 0);
  g_assert_true (swarm_log_limit_take (&limit, "a", 1000 + SWARM_LOG_LIMIT_PERIOD_US, &more));
  g_assert_cmpuint (more, ==, 100);
  g_assert_true (swarm_log_limit_take (&limit, "a", 1001 + SWARM_LOG_LIMIT_PERIOD_US, &more));
  g_assert_cmpuint (more, ==, 0);
  swarm_log_limit_clear (&limit);
}

/* Many names at once share what one has; later there is room again. */
static void
test_limit_of_many (void)
{
  SwarmLogLimit limit = { 0 };
  guint more, told = 0;

  for (guint i = 0; i < 10000; i++) {
    g_autofree char *key = g_strdup_printf ("10.0.%u.%u", i / 256, i % 256);
    told += swarm_log_limit_take (&limit, key, 1000, &more);
  }
  g_assert_cmpuint (told, ==, SWARM_LOG_LIMIT_KEYS + SWARM_LOG_LIMIT_LINES);
  g_assert_cmpuint (g_hash_table_size (limit.keys), <=, SWARM_LOG_LIMIT_KEYS + 1);
  g_assert_true (swarm_log_limit_take (&limit, "new", 1000 + SWARM_LOG_LIMIT_PERIOD_US, &more));
  g_assert_cmpuint (more, ==, 0);
  swarm_log_limit_clear (&limit);
}

/* ---- the journal ---- */

typedef struct {
  char *dir, *path;
  int fd;
  SwarmJournal *journal;
} Fixture;

static void
listen_at (Fixture *self)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_strlcpy (address.sun_path, self->path, sizeof address.sun_path);
  self->fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_cmpint (bind (self->fd, (struct sockaddr *) &address, sizeof address), ==, 0);
}

static void
setup (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->dir = g_dir_make_tmp ("swarm-log-XXXXXX", &error);
  g_assert_no_error (error);
  self->path = g_build_filename (self->dir, "socket", NULL);
  g_assert_null (swarm_journal_new (self->path));
  listen_at (self);
  self->journal = swarm_journal_new (self->path);
  g_assert_nonnull (self->journal);
}

static void
teardown (Fixture *self, gconstpointer data)
{
  swarm_journal_free (self->journal);
  close (self->fd);
  g_unlink (self->path);
  g_rmdir (self->dir);
  g_free (self->path);
  g_free (self->dir);
}

/* The next entry; NULL: none is there. */
static GString *
next_entry (Fixture *self)
{
  char buffer[65536];
  ssize_t n = recv (self->fd, buffer, sizeof buffer, 0);

  return n < 0 ? NULL : g_string_new_len (buffer, n);
}

static void
send_number (Fixture *self, guint number, gboolean expected)
{
  g_autoptr (GString) entry = g_string_new (NULL);
  g_autofree char *text = g_strdup_printf ("%u", number);

  swarm_journal_field (entry, "MESSAGE", text);
  g_assert_cmpint (swarm_journal_send (self->journal, entry), ==, expected);
}

static void
test_fields (Fixture *self, gconstpointer data)
{
  static const char expected[] = "MESSAGE=hello\nTEXT\n\x0b\0\0\0\0\0\0\0a\nMESSAGE=b\n";
  g_autoptr (GString) entry = g_string_new (NULL), seen = NULL;

  swarm_journal_field (entry, "MESSAGE", "hello");
  swarm_journal_field (entry, "NOTHING", NULL);
  swarm_journal_field (entry, "TEXT", "a\nMESSAGE=b"); /* forges no field */
  g_assert_true (swarm_journal_send (self->journal, entry));
  seen = next_entry (self);
  g_assert_cmpmem (seen->str, seen->len, expected, sizeof expected - 1);
}

/* A journal that does not read: nobody waits, what comes is kept in order, then counted. */
static void
test_stuck (Fixture *self, gconstpointer data)
{
  guint n = 200000, seen = 0, lost;

  for (guint i = 0; i < n; i++)
    send_number (self, i, TRUE);
  lost = swarm_journal_take_lost (self->journal);
  g_assert_cmpuint (lost, >, 0);
  g_assert_cmpuint (lost, <, n);
  do {
    g_autoptr (GString) entry = NULL;
    while ((entry = next_entry (self)) != NULL) {
      g_autofree char *expected = g_strdup_printf ("MESSAGE=%u\n", seen++);
      g_assert_cmpstr (entry->str, ==, expected);
      g_string_free (g_steal_pointer (&entry), TRUE);
    }
  } while (!swarm_journal_flush (self->journal) || seen < n - lost);
  g_assert_cmpuint (seen, ==, n - lost);
  g_assert_cmpuint (swarm_journal_take_lost (self->journal), ==, 0);
  send_number (self, 7, TRUE);
  g_autoptr (GString) entry = next_entry (self);
  g_assert_cmpstr (entry->str, ==, "MESSAGE=7\n");
}

/* A journal that is started anew gets what was said meanwhile. */
static void
test_restart (Fixture *self, gconstpointer data)
{
  close (self->fd);
  g_unlink (self->path);
  send_number (self, 1, TRUE);
  send_number (self, 2, TRUE);
  listen_at (self);
  send_number (self, 3, TRUE);
  for (guint i = 1; i <= 3; i++) {
    g_autofree char *expected = g_strdup_printf ("MESSAGE=%u\n", i);
    g_autoptr (GString) entry = next_entry (self);
    g_assert_cmpstr (entry->str, ==, expected);
  }
}

/* ---- ids ---- */

static void
keep_fields (int priority, const SwarmLogField *fields, const char *message, gpointer data)
{
  GString *out = data;

  for (guint i = 0; fields != NULL && fields[i].name != NULL; i++)
    g_string_append_printf (out, "%s=%s\n", fields[i].name, fields[i].value != NULL ? fields[i].value : "-");
  g_string_append_printf (out, "%" G_GSIZE_FORMAT "\n", strlen (message));
}

static void
test_ids (void)
{
  static const char *const ids[] = {
#define ID(name, id, subject, text) id,
    SWARM_LOG_IDS (ID)
#undef ID
  };
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *expected = g_strdup_printf ("SWARM_NODE_ID=n\nMESSAGE_ID=%s\n4\n", swarm_log_id_node_down);

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++) {
    g_assert_cmpuint (strlen (ids[i]), ==, 32);
    g_assert_cmpuint (strspn (ids[i], "0123456789abcdef"), ==, 32);
    g_assert_true (g_hash_table_add (seen, (gpointer) ids[i]));
  }
  swarm_log_set_handler (keep_fields, out);
  swarm_log (LOG_WARNING, swarm_log_id_node_down, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", "n" }), "down");
  swarm_log_set_handler (NULL, NULL);
  g_assert_cmpstr (out->str, ==, expected);
}

/* What a peer says may be long; a character is not cut in two. */
static void
test_long_texts (void)
{
  g_autoptr (GString) out = g_string_new (NULL), text = g_string_new ("x");

  while (text->len < 100000)
    g_string_append (text, "\xc3\xa4");
  swarm_log_set_handler (keep_fields, out);
  swarm_warning ("%s", text->str);
  swarm_log_set_handler (NULL, NULL);
  g_assert_cmpstr (out->str, ==, "4095\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/log/limit", test_limit);
  g_test_add_func ("/log/limit-of-many", test_limit_of_many);
  g_test_add ("/log/fields", Fixture, NULL, setup, test_fields, teardown);
  g_test_add ("/log/stuck", Fixture, NULL, setup, test_stuck, teardown);
  g_test_add ("/log/restart", Fixture, NULL, setup, test_restart, teardown);
  g_test_add_func ("/log/ids", test_ids);
  g_test_add_func ("/log/long-texts", test_long_texts);
  return g_test_run ();
}
