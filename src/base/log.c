// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

static SwarmLogFunc handler;
static gpointer handler_data;
static int max_level = LOG_INFO;

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

static void
add_field (GPtrArray *lines, const char *name, const char *value)
{
  if (value != NULL)
    g_ptr_array_add (lines, g_strconcat (name, "=", value, NULL));
}

static gboolean
write_journal (int priority, GPtrArray *lines)
{
  g_autofree struct iovec *iov = g_new0 (struct iovec, lines->len);

  for (guint i = 0; i < lines->len; i++) {
    iov[i].iov_base = lines->pdata[i];
    iov[i].iov_len = strlen (lines->pdata[i]);
  }
  return sd_journal_sendv (iov, (int) lines->len) >= 0;
}

void
swarm_log_full (int priority, const char *file, int line, const char *func, const char *message_id,
                const SwarmLogField *fields, const char *format, ...)
{
  g_autofree char *message = NULL;
  g_autoptr (GPtrArray) lines = NULL;
  va_list args;

  priority &= LOG_PRIMASK;
  if (priority > max_level)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  if (handler != NULL) {
    handler (priority, fields, message, handler_data);
    return;
  }
  if (!stderr_is_journal ()) {
    write_stderr (priority, message);
    return;
  }
  lines = g_ptr_array_new_with_free_func (g_free);
  add_field (lines, "MESSAGE", message);
  add_field (lines, "MESSAGE_ID", message_id);
  add_field (lines, "CODE_FILE", file);
  add_field (lines, "CODE_FUNC", func);
  g_ptr_array_add (lines, g_strdup_printf ("CODE_LINE=%d", line));
  g_ptr_array_add (lines, g_strdup_printf ("PRIORITY=%d", priority));
  for (guint i = 0; fields != NULL && fields[i].name != NULL; i++)
    add_field (lines, fields[i].name, fields[i].value);
  if (!write_journal (priority, lines))
    write_stderr (priority, message);
}
