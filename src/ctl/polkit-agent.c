// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/polkit-agent.h"
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGENT "pkttyagent"
#define START_TIMEOUT_MS 10000

static pid_t agent_pid;

/* In the child: becomes the agent. It goes when we go, even when we are killed. */
static void
exec_agent (pid_t parent, int notify_fd)
{
  char process[32], fd[32];
  char *argv[] = { (char *)AGENT, (char *)"--process", process, (char *)"--notify-fd", fd, (char *)"--fallback", NULL };

  g_snprintf (process, sizeof process, "%d", (int)parent);
  g_snprintf (fd, sizeof fd, "%d", notify_fd);
  if (prctl (PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid () != parent)
    _exit (1);
  fcntl (notify_fd, F_SETFD, 0);
  execvp (AGENT, argv);
  _exit (1);
}

void
ctl_polkit_agent_open (void)
{
  int fds[2];
  pid_t parent = getpid ();
  struct pollfd ready;

  if (agent_pid > 0 || geteuid () == 0 || !isatty (STDIN_FILENO))
    return;
  if (pipe2 (fds, O_CLOEXEC) < 0)
    return;
  fflush (NULL);
  agent_pid = fork ();
  if (agent_pid == 0)
    exec_agent (parent, fds[1]);
  close (fds[1]);
  /* it closes its end when it is registered; a missing program closes it at once */
  ready = (struct pollfd){ .fd = fds[0], .events = POLLHUP };
  if (agent_pid > 0)
    poll (&ready, 1, START_TIMEOUT_MS);
  close (fds[0]);
}

void
ctl_polkit_agent_close (void)
{
  if (agent_pid <= 0)
    return;
  kill (agent_pid, SIGTERM);
  kill (agent_pid, SIGCONT);
  waitpid (agent_pid, NULL, 0);
  agent_pid = 0;
}
