// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"
#include "base/log-ids.h"
#include "base/log-journal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 4096
#define FLUSH_MS 200

static SwarmLogFunc handler;
static gpointer handler_data;
static int max_level = LOG_INFO;
static GMutex journal_lock;
static SwarmJournal *journal; /* NULL: none yet */
static guint flush_source;

void
swarm_log_set_handler (SwarmLogFunc func, gpointer data)
{
  handler = func;
  handler_data = data;
}

void
swarm_log_set_level (int priority)
{
  max_level = priority;
}

/* systemd.exec(5): $JOURNAL_STREAM is device:inode of the journal's socket; children may have put something else on stderr. */
static gboolean
stderr_is_journal (void)
{
  static int known = -1;
  const char *stream = g_getenv ("JOURNAL_STREAM");
  guint64 device, inode;
  struct stat st;

  if (known < 0)
    known = stream != NULL && sscanf (stream, "%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, &device, &inode) == 2
            && fstat (STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
  return known;
}

static void
write_stderr (int priority, const char *message)
{
  static const char *const words[] = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" };

  if (stderr_is_journal ())
    fprintf (stderr, "<%d>%s\n", priority, message);
  else
    fprintf (stderr, "%s: %s\n", words[priority], message);
}

/* ---- the journal ---- */

static void flush_later (void);

static void
append_head (GString *entry, int priority, const char *message, const char *message_id)
{
  char digits[] = { (char) ('0' + priority), '\0' };

  swarm_journal_field (entry, "MESSAGE", message);
  swarm_journal_field (entry, "MESSAGE_ID", message_id);
  swarm_journal_field (entry, "PRIORITY", digits);
  swarm_journal_field (entry, "SYSLOG_IDENTIFIER", program_invocation_short_name);
}

static void
tell_lost (void)
{
  guint lost = swarm_journal_take_lost (journal);
  g_autoptr (GString) entry = g_string_new (NULL);
  g_autofree char *message = g_strdup_printf ("The journal did not read: %u lines of the agent are missing", lost);

  if (lost == 0)
    return;
  append_head (entry, LOG_WARNING, message, swarm_log_id_lines_lost);
  swarm_journal_send (journal, entry);
}

static gboolean
flush_due (gpointer data)
{
  g_mutex_lock (&journal_lock);
  flush_source = 0;
  if (swarm_journal_flush (journal))
    tell_lost ();
  else
    flush_later ();
  g_mutex_unlock (&journal_lock);
  return G_SOURCE_REMOVE;
}

static void
flush_later (void)
{
  if (flush_source == 0)
    flush_source = g_timeout_add (FLUSH_MS, flush_due, NULL);
}

/* Texts of other nodes may be long. Not in the middle of a character: the journal would take it for a blob. */
static gsize
cut_length (const char *text)
{
  gsize len = strlen (text);

  if (len <= TEXT_MAX)
    return len;
  for (len = TEXT_MAX; len > 0 && ((guint8) text[len] & 0xc0) == 0x80;)
    len--;
  return len;
}

static void
append_cut (GString *entry, const char *name, const char *value)
{
  g_autofree char *cut = value != NULL ? g_strndup (value, cut_length (value)) : NULL;

  swarm_journal_field (entry, name, cut);
}

static gboolean
write_journal (const GString *entry)
{
  gboolean ok;

  g_mutex_lock (&journal_lock);
  if (journal == NULL)
    journal = swarm_journal_new (SWARM_JOURNAL_SOCKET);
  ok = journal != NULL && swarm_journal_send (journal, entry);
  if (journal != NULL && !swarm_journal_flush (journal))
    flush_later ();
  g_mutex_unlock (&journal_lock);
  return ok;
}

/* ---- */

/* With the MESSAGE_ID as the last field. */
static void
call_handler (int priority, const SwarmLogField *fields, const char *message_id, const char *message)
{
  g_autoptr (GArray) all = g_array_new (TRUE, TRUE, sizeof (SwarmLogField));
  SwarmLogField id = { "MESSAGE_ID", message_id };

  for (guint i = 0; fields != NULL && fields[i].name != NULL; i++)
    g_array_append_val (all, fields[i]);
  if (message_id != NULL)
    g_array_append_val (all, id);
  handler (priority, all->len > 0 ? (const SwarmLogField *) all->data : NULL, message, handler_data);
}

void
swarm_log_full (int priority, const char *file, int line, const char *func, const char *message_id,
                const SwarmLogField *fields, const char *format, ...)
{
  g_autofree char *message = NULL;
  g_autoptr (GString) entry = NULL;
  va_list args;

  priority &= LOG_PRIMASK;
  if (priority > max_level)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  message[cut_length (message)] = '\0';
  if (handler != NULL) {
    call_handler (priority, fields, message_id, message);
    return;
  }
  if (!stderr_is_journal ()) {
    write_stderr (priority, message);
    return;
  }
  entry = g_string_new (NULL);
  append_head (entry, priority, message, message_id);
  g_string_append_printf (entry, "CODE_FILE=%s\nCODE_LINE=%d\nCODE_FUNC=%s\n", file, line, func);
  for (guint i = 0; fields != NULL && fields[i].name != NULL; i++)
    append_cut (entry, fields[i].name, fields[i].value);
  if (!write_journal (entry))
    write_stderr (priority, message);
}
