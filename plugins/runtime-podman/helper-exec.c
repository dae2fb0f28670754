// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs one command in a container with crun, for a limited time and with limited output. The command lives in the container's control
 * group, not in our unit's: it is killed by its process id, which crun writes down. */
#include "helper.h"
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CRUN_STATE "/run/crun" /* of root's crun: <container id>/config.json */
#define LEFTOVER_MS 200 /* for output that is still in the pipe, and for crun to see that the command is dead */

typedef struct {
  GMainLoop *loop;
  GPid crun;
  int output;
  const char *pid_file;
  GByteArray *kept; /* first bytes of the output */
  gsize most;
  gboolean ended, stopped;
  int status;
} Command;

static gboolean
give_up (gpointer data)
{
  Command *self = data;
  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static gboolean
readable (int fd, GIOCondition condition, gpointer data)
{
  Command *self = data;
  guint8 buffer[4096];
  gssize n = read (fd, buffer, sizeof buffer);
  if (n > 0) {
    g_byte_array_append (self->kept, buffer, (guint) MIN ((gsize) n, self->most - self->kept->len));
    return G_SOURCE_CONTINUE;
  }
  self->output = -1;
  if (self->ended)
    g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static void
ended (GPid pid, int status, gpointer data)
{
  Command *self = data;
  self->ended = TRUE;
  self->status = status;
  if (self->output < 0 || self->stopped)
    g_main_loop_quit (self->loop);
  else
    g_timeout_add (LEFTOVER_MS, give_up, self); /* something that it started may keep the pipe open */
}

static gboolean
kill_crun (gpointer data)
{
  Command *self = data;
  kill (self->crun, SIGKILL);
  return G_SOURCE_REMOVE;
}

/* Its time is over, or we are told to end. crun has not collected the process: the number is still its own. */
static gboolean
stop (gpointer data)
{
  Command *self = data;
  g_autofree char *text = NULL;
  if (self->ended || self->stopped)
    return G_SOURCE_CONTINUE;
  self->stopped = TRUE;
  if (g_file_get_contents (self->pid_file, &text, NULL, NULL) && atoi (text) > 1)
    kill (atoi (text), SIGKILL);
  g_timeout_add (LEFTOVER_MS, kill_crun, self);
  return G_SOURCE_CONTINUE;
}

/* What crun is to run: the container's own process (user, directory, environment, capabilities, limits) with other arguments. Without it
 * crun runs the command as root. FALSE: the container is not there. */
static gboolean
write_process (const char *path, const char *container, GPtrArray *arguments)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (JsonArray) args = json_array_new ();
  g_autofree char *config = g_build_filename (CRUN_STATE, container, "config.json", NULL), *text = NULL;
  g_autoptr (GError) error = NULL;
  if (!json_parser_load_from_file (parser, config, &error)) {
    g_printerr ("Error: %s\n", error->message);
    return FALSE;
  }
  JsonNode *root = json_parser_get_root (parser);
  JsonNode *process = JSON_NODE_HOLDS_OBJECT (root) ? json_object_get_member (json_node_get_object (root), "process") : NULL;
  if (process == NULL || !JSON_NODE_HOLDS_OBJECT (process))
    return FALSE;
  for (guint i = 0; i < arguments->len; i++)
    json_array_add_string_element (args, arguments->pdata[i]);
  json_object_set_array_member (json_node_get_object (process), "args", g_steal_pointer (&args));
  json_object_set_boolean_member (json_node_get_object (process), "terminal", FALSE);
  text = json_to_string (process, FALSE);
  return g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

static gboolean
start (Command *self, const char *crun, const char *container, const char *process)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *pid_file = g_strconcat ("--pid-file=", self->pid_file, NULL), *process_file = g_strconcat ("--process=", process, NULL);
  int fds[2];
  if (!g_unix_open_pipe (fds, FD_CLOEXEC, NULL))
    return FALSE;
  g_ptr_array_add (argv, (char *) crun);
  g_ptr_array_add (argv, "exec");
  g_ptr_array_add (argv, pid_file);
  g_ptr_array_add (argv, process_file);
  g_ptr_array_add (argv, (char *) container);
  g_ptr_array_add (argv, NULL);
  gboolean ok = g_spawn_async_with_fds (NULL, (char **) argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &self->crun, -1, fds[1],
                                        fds[1], &error);
  if (!ok)
    g_printerr ("Error: %s\n", error->message);
  close (fds[1]);
  self->output = fds[0];
  return ok;
}

static void
write_out (const void *data, gsize length)
{
  for (gssize n = 0; length > 0; length -= (gsize) n, data = (const guint8 *) data + n) {
    n = write (STDOUT_FILENO, data, length);
    if (n <= 0)
      return;
  }
}

int
helper_exec (char **arguments)
{
  g_autoptr (GPtrArray) words = helper_read_list (arguments[1], arguments[2]);
  g_autofree char *pid_file = g_strdup_printf ("%s/%s.pid", arguments[1], arguments[2]), *head = NULL;
  g_autofree char *process = g_strdup_printf ("%s/%s.json", arguments[1], arguments[2]);
  g_autoptr (GByteArray) kept = g_byte_array_new ();
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Command command = { .loop = loop, .pid_file = pid_file, .kept = kept, .most = strtoul (arguments[5], NULL, 10) };
  if (words == NULL || words->len == 0 || !write_process (process, arguments[3], words)
      || !start (&command, arguments[0], arguments[3], process)) {
    unlink (process);
    return 125;
  }
  g_child_watch_add (command.crun, ended, &command);
  g_unix_fd_add (command.output, G_IO_IN | G_IO_HUP, readable, &command);
  g_unix_signal_add (SIGTERM, stop, &command);
  g_timeout_add ((guint) strtoul (arguments[4], NULL, 10), stop, &command);
  g_main_loop_run (loop);
  unlink (pid_file);
  unlink (process);
  if (command.stopped)
    head = g_strdup ("timeout\n");
  else
    head = g_strdup_printf ("exit %d\n", WIFEXITED (command.status) ? WEXITSTATUS (command.status) : 128 + WTERMSIG (command.status));
  write_out (head, strlen (head));
  write_out (kept->data, kept->len);
  return 0;
}
