// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/secret.h"
#include "ctl/client.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define MAX_SECRET 4096

/* While nothing is echoed, whoever ends us waits until the terminal is as it was. */
static const int deadly[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
static volatile sig_atomic_t caught;
static int wake[2] = { -1, -1 }; /* a byte comes with the signal, so that one that comes before we wait is not overslept */

static void
on_deadly (int number)
{
  int before = errno;

  caught = number;
  (void)!write (wake[1], "", 1);
  errno = before;
}

static void
catch_deadly (struct sigaction *ret_before)
{
  struct sigaction action = { .sa_handler = on_deadly };

  caught = 0;
  if (!g_unix_open_pipe (wake, FD_CLOEXEC, NULL))
    wake[0] = wake[1] = -1;
  for (guint i = 0; i < G_N_ELEMENTS (deadly); i++)
    sigaction (deadly[i], &action, &ret_before[i]);
}

static void
release_deadly (const struct sigaction *before)
{
  for (guint i = 0; i < G_N_ELEMENTS (deadly); i++)
    sigaction (deadly[i], &before[i], NULL);
  for (guint i = 0; i < G_N_ELEMENTS (wake); i++) {
    if (wake[i] >= 0)
      close (wake[i]);
    wake[i] = -1;
  }
  if (caught != 0)
    raise (caught);
}

/* As read() of one byte; -1: a signal came. */
static ssize_t
read_byte (int fd, char *ret)
{
  struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = wake[0], .events = POLLIN } };

  while (caught == 0) {
    ssize_t n = poll (fds, wake[0] >= 0 ? 2 : 1, -1);

    if (n > 0 && caught == 0)
      n = read (fd, ret, 1);
    if (n >= 0 || errno != EINTR)
      return caught == 0 ? n : -1;
  }
  return -1;
}

/* Up to the end of the first line. */
static char *
read_line (int fd, GError **error)
{
  char buffer[MAX_SECRET + 1];
  gsize len = 0;
  char *line;

  while (len < MAX_SECRET) {
    ssize_t n = read_byte (fd, buffer + len);

    if (n <= 0 || buffer[len] == '\n')
      break;
    len++;
  }
  buffer[len] = 0;
  line = g_strdup (buffer);
  explicit_bzero (buffer, sizeof buffer);
  g_strchomp (line);
  if (*line != 0 && len < MAX_SECRET && g_utf8_validate (line, -1, NULL))
    return line;
  ctl_secret_free (line);
  g_set_error_literal (error, CTL_ERROR, CTL_ERROR_INVALID, _ ("nothing was given, or what was given is not one line of text"));
  return NULL;
}

static char *
read_terminal (const char *prompt, GError **error)
{
  struct termios before, silent;
  struct sigaction actions[G_N_ELEMENTS (deadly)];
  char *line;

  fputs (prompt, stderr);
  fflush (stderr);
  if (tcgetattr (STDIN_FILENO, &before) < 0)
    return read_line (STDIN_FILENO, error);
  silent = before;
  silent.c_lflag &= ~(tcflag_t)ECHO;
  catch_deadly (actions);
  tcsetattr (STDIN_FILENO, TCSAFLUSH, &silent);
  line = read_line (STDIN_FILENO, error);
  tcsetattr (STDIN_FILENO, TCSAFLUSH, &before);
  fputs ("\n", stderr);
  release_deadly (actions);
  return line;
}

char *
ctl_secret_read (const char *file, const char *prompt, GError **error)
{
  char *line;
  int fd;

  if (file == NULL)
    return isatty (STDIN_FILENO) ? read_terminal (prompt, error) : read_line (STDIN_FILENO, error);
  if (g_str_equal (file, "-"))
    return read_line (STDIN_FILENO, error);
  fd = open (file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    g_set_error (error, CTL_ERROR, CTL_ERROR_INVALID, "open %s: %s", file, g_strerror (errno));
    return NULL;
  }
  line = read_line (fd, error);
  close (fd);
  return line;
}

void
ctl_secret_free (char *secret)
{
  if (secret != NULL)
    explicit_bzero (secret, strlen (secret));
  g_free (secret);
}

void
ctl_print_unlock_command (const char *key)
{
  if (*key == 0)
    return;
  printf (_ ("To unlock a swarm manager after it restarts, run the `swarmctl unlock`\n"
             "command and provide the following key:\n\n    %s\n\n"
             "Please remember to store this key in a password manager, since without it you\n"
             "will not be able to restart the manager.\n"),
          key);
}

char *
ctl_get_unlock_key (CtlContext *context, GError **error)
{
  g_autoptr (GVariant) reply
      = ctl_call_write (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "GetUnlockKey", NULL, FALSE, error);
  char *key = NULL;

  if (reply != NULL)
    g_variant_get (reply, "(s)", &key);
  return key;
}
