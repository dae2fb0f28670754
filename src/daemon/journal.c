// SPDX-License-Identifier: LGPL-2.1-or-later
/* Worker.ReadLogs: the journal's lines of this node's tasks, by their units: the agent's own lines about a task are not the task's. journalctl
 * children read the journal, never the loop; their output is the Journal Export Format (https://systemd.io/JOURNAL_EXPORT_FORMATS). */
#include "base/error.h"
#include "daemon/agent-private.h"
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MAX_TASKS 256
#define MAX_CHILDREN 64
#define MAX_CHILDREN_ALL 256 /* of all who read logs on this node */
#define MAX_FIELD (1024 * 1024)
#define READ_BYTES (64 * 1024)

typedef struct _Reading Reading;

typedef struct {
  Reading *owner;
  GPid pid;
  int fd;
  guint source;
  GByteArray *input;
  /* the entry that is being read */
  GString *message;
  char task[SWARM_ID_STRING_LEN + 1];
  guint64 time_us;
  gboolean is_error;
} Child;

struct _Reading {
  SwarmStream *stream; /* NULL: ended */
  GPtrArray *children;
  GString *out;
  gboolean full;
  gboolean freeing;
};

/* ---- the end ---- */

static guint n_children;

static void
child_free (gpointer data)
{
  Child *child = data;
  n_children--;
  if (child->source != 0)
    g_source_remove (child->source);
  if (child->pid != 0)
    kill (child->pid, SIGTERM); /* its watch reaps it */
  close (child->fd);
  g_byte_array_unref (child->input);
  g_string_free (child->message, TRUE);
  g_free (child);
}

static gboolean
reading_free (gpointer data)
{
  Reading *self = data;
  g_ptr_array_unref (self->children);
  g_string_free (self->out, TRUE);
  g_free (self);
  return G_SOURCE_REMOVE;
}

static void
reading_end (Reading *self)
{
  if (self->freeing)
    return;
  self->freeing = TRUE;
  if (self->stream != NULL)
    swarm_stream_end (g_steal_pointer (&self->stream), NULL);
  g_idle_add (reading_free, self);
}

/* ---- records ---- */

static void
append_escaped (GString *out, const char *text, gsize len)
{
  for (gsize i = 0; i < len; i++)
    if (text[i] == '\n')
      g_string_append (out, "\\n");
    else if (text[i] == '\\')
      g_string_append (out, "\\\\");
    else
      g_string_append_c (out, text[i]);
}

static void
entry_end (Child *child)
{
  if (child->message->len > 0 || child->task[0] != '\0') {
    GString *out = child->owner->out;
    g_string_append_printf (out, "%" G_GUINT64_FORMAT " %s %d ", child->time_us, child->task[0] != '\0' ? child->task : "-",
                            child->is_error ? 2 : 1);
    gsize len = child->message->len;
    if (len > 0 && child->message->str[len - 1] == '\n')
      len--; /* conmon leaves the line's end in some */
    append_escaped (out, child->message->str, len);
    g_string_append_c (out, '\n');
  }
  g_string_truncate (child->message, 0);
  child->task[0] = '\0';
  child->is_error = FALSE;
}

static void
entry_field (Child *child, const char *name, gsize name_len, const char *value, gsize len)
{
#define IS(text) (name_len == strlen (text) && memcmp (name, text, name_len) == 0)
  if (IS ("MESSAGE"))
    g_string_append_len (g_string_truncate (child->message, 0), value, len);
  else if (IS ("SWARM_TASK_ID") && len == SWARM_ID_STRING_LEN)
    g_strlcpy (child->task, value, sizeof child->task);
  else if (IS ("PRIORITY"))
    child->is_error = len == 1 && value[0] <= '3';
  else if (IS ("__REALTIME_TIMESTAMP")) {
    g_autofree char *text = g_strndup (value, MIN (len, 24));
    child->time_us = g_ascii_strtoull (text, NULL, 10);
  }
#undef IS
}

/* Takes one complete line or binary field from the front; 0: more input is needed; -1: not the format. */
static gssize
take_field (Child *child, const char *data, gsize len)
{
  const char *newline = memchr (data, '\n', len);
  if (newline == NULL)
    return len > MAX_FIELD ? -1 : 0;
  gsize line = newline - data;
  if (line == 0) {
    entry_end (child);
    return 1;
  }
  const char *equals = memchr (data, '=', line);
  if (equals != NULL) {
    entry_field (child, data, equals - data, equals + 1, newline - equals - 1);
    return line + 1;
  }
  guint64 size;
  if (len < line + 1 + sizeof size)
    return 0;
  memcpy (&size, newline + 1, sizeof size);
  size = GUINT64_FROM_LE (size);
  if (size > MAX_FIELD)
    return -1;
  if (len < line + 1 + sizeof size + size + 1)
    return 0;
  entry_field (child, data, line, newline + 1 + sizeof size, size);
  return line + 1 + sizeof size + size + 1;
}

static gboolean
parse (Child *child)
{
  gsize at = 0;
  gssize taken;
  while ((taken = take_field (child, (char *) child->input->data + at, child->input->len - at)) > 0)
    at += taken;
  g_byte_array_remove_range (child->input, 0, at);
  return taken == 0;
}

/* ---- children ---- */

static void
flush (Reading *self)
{
  if (self->out->len == 0 || self->stream == NULL)
    return;
  g_autoptr (GBytes) chunk = g_bytes_new (self->out->str, self->out->len);
  g_string_truncate (self->out, 0);
  self->full = !swarm_stream_write (self->stream, chunk);
}

static void
child_done (Child *child)
{
  Reading *self = child->owner;
  g_ptr_array_remove (self->children, child);
  if (self->children->len == 0)
    reading_end (self);
}

static gboolean child_readable (int fd, GIOCondition condition, gpointer data);

static void
child_watch_input (Child *child, gboolean on)
{
  if (on && child->source == 0)
    child->source = g_unix_fd_add (child->fd, G_IO_IN | G_IO_HUP, child_readable, child);
  else if (!on && child->source != 0) {
    g_source_remove (child->source);
    child->source = 0;
  }
}

static gboolean
child_readable (int fd, GIOCondition condition, gpointer data)
{
  Child *child = data;
  Reading *self = child->owner;
  guint old = child->input->len;
  g_byte_array_set_size (child->input, old + READ_BYTES);
  ssize_t n = read (fd, child->input->data + old, READ_BYTES);
  g_byte_array_set_size (child->input, old + MAX (n, 0));
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  gboolean good = n > 0 && parse (child);
  flush (self);
  if (!good) {
    child->source = 0;
    if (n == 0)
      child->pid = 0; /* it ends by itself; its number may soon be another's */
    child_done (child);
    return G_SOURCE_REMOVE;
  }
  if (self->full) {
    child->source = 0;
    return G_SOURCE_REMOVE;
  }
  return G_SOURCE_CONTINUE;
}

static void
ready (SwarmStream *stream, gpointer data)
{
  Reading *self = data;
  if (self->freeing)
    return;
  if (stream->broken) {
    reading_end (self);
    return;
  }
  self->full = FALSE;
  for (guint i = 0; i < self->children->len; i++)
    child_watch_input (self->children->pdata[i], TRUE);
}

static void
child_exited (GPid pid, int status, gpointer data)
{
  g_spawn_close_pid (pid);
}

static gboolean
spawn (Reading *self, GPtrArray *matches, guint tail, guint64 since, gboolean follow, GError **error)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  GPid pid;
  int fd;
  if (n_children >= MAX_CHILDREN_ALL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "%u logs are read on this node already", n_children);
    return FALSE;
  }
  g_ptr_array_add (argv, g_strdup ("journalctl"));
  g_ptr_array_add (argv, g_strdup ("--quiet"));
  g_ptr_array_add (argv, g_strdup ("--output=export"));
  g_ptr_array_add (argv, g_strdup ("--output-fields=MESSAGE,PRIORITY,SWARM_TASK_ID"));
  if (follow) {
    g_ptr_array_add (argv, g_strdup ("--follow"));
    g_ptr_array_add (argv, g_strdup ("--merge")); /* else --follow means this boot only, by the boot id that the sandbox shows */
  }
  if (tail > 0)
    g_ptr_array_add (argv, g_strdup_printf ("--lines=%u", tail));
  else if (follow)
    g_ptr_array_add (argv, g_strdup ("--no-tail"));
  if (since > 0)
    g_ptr_array_add (argv, g_strdup_printf ("--since=@%" G_GUINT64_FORMAT ".%06u", since / 1000000, (guint) (since % 1000000)));
  for (guint i = 0; i < matches->len; i++)
    g_ptr_array_add (argv, g_strdup_printf ("_SYSTEMD_UNIT=swarm-task-%s.service", (char *) matches->pdata[i]));
  g_ptr_array_add (argv, NULL);
  if (!g_spawn_async_with_pipes (NULL, (char **) argv->pdata, NULL,
                                 G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &pid, NULL, &fd,
                                 NULL, error))
    return FALSE;
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  Child *child = g_new0 (Child, 1);
  n_children++;
  child->owner = self;
  child->pid = pid;
  child->fd = fd;
  child->input = g_byte_array_new ();
  child->message = g_string_new (NULL);
  g_child_watch_add (pid, child_exited, NULL);
  g_ptr_array_add (self->children, child);
  child_watch_input (child, TRUE);
  return TRUE;
}

static gboolean
spawn_all (Reading *self, GPtrArray *tasks, guint tail, guint64 since, gboolean follow, GError **error)
{
  if (tail == 0 || tasks->len == 1)
    return spawn (self, tasks, tail, since, follow, error);
  /* The last lines of each task, not of all together. */
  for (guint i = 0; i < tasks->len; i++) {
    g_autoptr (GPtrArray) one = g_ptr_array_new ();
    g_ptr_array_add (one, tasks->pdata[i]);
    if (!spawn (self, one, tail, since, follow, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
parse_tasks (GVariant *selector, GPtrArray *tasks)
{
  g_autofree const char **ids = NULL;
  SwarmId id;
  if (!g_variant_lookup (selector, "task_ids", "^a&s", &ids))
    return FALSE;
  for (guint i = 0; ids[i] != NULL; i++)
    if (swarm_id_parse (ids[i], &id))
      g_ptr_array_add (tasks, g_strdup (ids[i]));
  return TRUE;
}

void
swarm_agent_worker_logs (SwarmCall *call, gpointer agent)
{
  g_autoptr (GPtrArray) tasks = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GVariant) selector = NULL;
  g_autoptr (GError) error = NULL;
  guint tail = 0;
  guint64 since = 0;
  gboolean follow = FALSE;
  if (g_variant_is_of_type (call->args, G_VARIANT_TYPE ("(a{sv})")))
    selector = g_variant_get_child_value (call->args, 0);
  if (selector == NULL || !parse_tasks (selector, tasks) || tasks->len == 0) {
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "ReadLogs: no tasks are named");
    swarm_call_fail (call, error);
    return;
  }
  g_variant_lookup (selector, "tail", "u", &tail);
  if (tasks->len > (tail > 0 ? MAX_CHILDREN : MAX_TASKS)) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "ReadLogs: %u tasks are too many at once", tasks->len);
    swarm_call_fail (call, error);
    return;
  }
  g_variant_lookup (selector, "since", "t", &since);
  g_variant_lookup (selector, "follow", "b", &follow);
  Reading *self = g_new0 (Reading, 1);
  self->children = g_ptr_array_new_with_free_func (child_free);
  self->out = g_string_new (NULL);
  if (!spawn_all (self, tasks, tail, since, follow, &error)) {
    g_prefix_error (&error, "journalctl: ");
    swarm_call_fail (call, error);
    reading_free (self);
    return;
  }
  self->stream = swarm_call_stream (call, ready, self);
  if (self->stream == NULL) {
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "ReadLogs answers with a stream");
    swarm_call_fail (call, error);
    reading_free (self);
  }
}
