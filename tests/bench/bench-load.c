// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-load.h"
#include "../unit/netd-bed.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENT 0
#define SERVER 1

double
load_cpu (GPid pid)
{
  clockid_t clock;
  struct timespec t;
  if (clock_getcpuclockid (pid, &clock) != 0 || clock_gettime (clock, &t) < 0)
    g_error ("process %d is gone", pid);
  return t.tv_sec + t.tv_nsec / 1e9;
}

void
load_pin (GPid pid, guint processor)
{
  cpu_set_t set;
  CPU_ZERO (&set);
  CPU_SET (processor % g_get_num_processors (), &set);
  sched_setaffinity (pid, sizeof set, &set);
}

void
load_unpin (GPid pid)
{
  cpu_set_t set;
  CPU_ZERO (&set);
  for (guint i = 0; i < g_get_num_processors (); i++)
    CPU_SET (i, &set);
  sched_setaffinity (pid, sizeof set, &set);
}

GPid
load_start (int netns, const char *const *argv, const char *log)
{
  GPid self = getpid (), pid = fork ();
  if (pid != 0)
    return pid;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  int out = open (log != NULL ? log : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (getppid () != self || setns (netns, CLONE_NEWNET) < 0 || out < 0)
    _exit (126);
  dup2 (out, 1);
  dup2 (out, 2);
  execvp (argv[0], (char **) argv);
  _exit (127);
}

void
load_stop (GPid pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

static void
wait_for_port (int netns, guint16 port, GPid pid)
{
  for (guint i = 0; i < 1000; i++) {
    int fd = bed_open (netns, "127.0.0.1", port, SOCK_STREAM);
    if (fd >= 0) {
      close (fd);
      return;
    }
    if (waitpid (pid, NULL, WNOHANG) == pid)
      break;
    g_usleep (10000);
  }
  g_error ("the server for port %u does not start", port);
}

GPid
load_nginx (int netns, const char *directory)
{
  g_autofree char *config = g_build_filename (directory, "nginx.conf", NULL), *log = g_build_filename (directory, "nginx.log", NULL), *page = g_strnfill (600, 'x');
  g_autofree char *text = g_strdup_printf ("daemon off; master_process off; pid %1$s/nginx.pid; error_log %1$s/nginx.log crit;\n"
                                           "events { worker_connections 8192; }\n"
                                           "http { access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;\n"
                                           " client_body_temp_path %1$s/t1; proxy_temp_path %1$s/t2; fastcgi_temp_path %1$s/t3; uwsgi_temp_path %1$s/t4;\n"
                                           " scgi_temp_path %1$s/t5;\n"
                                           " server { listen 80 backlog=8192; listen 81 backlog=8192; location / { return 200 \"%2$s\"; } } }\n", directory, page);
  g_autoptr (GError) error = NULL;
  if (!g_file_set_contents (config, text, -1, &error))
    g_error ("%s", error->message);
  const char *argv[] = { "/usr/sbin/nginx", "-c", config, "-e", log, NULL };
  GPid pid = load_start (netns, argv, NULL);
  wait_for_port (netns, 80, pid);
  load_pin (pid, SERVER);
  return pid;
}

GPid
load_iperf (int netns)
{
  const char *argv[] = { "iperf3", "-s", NULL };
  GPid pid = load_start (netns, argv, NULL);
  wait_for_port (netns, 5201, pid);
  load_pin (pid, SERVER);
  return pid;
}

/* Waits for a client; its processor time. */
static double
finish (GPid pid, const char *what, const char *log)
{
  struct rusage usage;
  int status;
  while (wait4 (pid, &status, 0, &usage) < 0 && errno == EINTR)
    ;
  if (status != 0) {
    g_autofree char *said = NULL;
    g_file_get_contents (log, &said, NULL, NULL);
    g_error ("%s failed: %s", what, said);
  }
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static const char script[] = "done = function (summary, latency, requests)\n"
                             "  local e = summary.errors\n"
                             "  io.write (string.format ('RESULT %d %d %d %d %d\\n', summary.requests, summary.duration, latency:percentile (50),\n"
                             "    latency:percentile (99), e.connect + e.read + e.write + e.status + e.timeout))\n"
                             "end\n";

LoadRequests
load_wrk (int netns, const char *url, guint connections, gboolean anew, guint seconds, GPid server, const char *directory)
{
  g_autofree char *lua = g_build_filename (directory, "wrk.lua", NULL), *log = g_build_filename (directory, "wrk.log", NULL), *said = NULL;
  g_autofree char *c = g_strdup_printf ("%u", connections), *d = g_strdup_printf ("%us", seconds);
  const char *argv[] = { "wrk", "-t1", "-c", c, "-d", d, "-s", lua, url, anew ? "-H" : NULL, "Connection: close", NULL };
  g_file_set_contents (lua, script, -1, NULL);
  double before = load_cpu (server);
  GPid pid = load_start (netns, argv, log);
  load_pin (pid, CLIENT);
  double cpu = finish (pid, "wrk", log) + load_cpu (server) - before;
  g_file_get_contents (log, &said, NULL, NULL);
  const char *result = said != NULL ? strstr (said, "RESULT ") : NULL;
  double requests, duration, p50, p99, failures;
  if (result == NULL || sscanf (result, "RESULT %lf %lf %lf %lf %lf", &requests, &duration, &p50, &p99, &failures) != 5 || failures > 0 || requests == 0)
    g_error ("wrk %s: %s", url, said);
  return (LoadRequests){ requests / duration * 1e6, cpu / requests * 1e6, p50, p99 };
}

LoadStream
load_stream (int netns, const char *address, guint seconds, GPid server, const char *directory)
{
  g_autofree char *log = g_build_filename (directory, "iperf.log", NULL), *d = g_strdup_printf ("%u", seconds), *said = NULL;
  const char *argv[] = { "iperf3", "-c", address, "-t", d, "-f", "k", NULL };
  double before = load_cpu (server);
  GPid pid = load_start (netns, argv, log);
  load_pin (pid, CLIENT);
  double cpu = finish (pid, "iperf3", log) + load_cpu (server) - before;
  g_file_get_contents (log, &said, NULL, NULL);
  /* "[  5]   0.00-2.00   sec  5.11 GBytes  21945678 Kbits/sec                  receiver" */
  char *line = strstr (said, "receiver");
  while (line != NULL && line > said && line[-1] != '\n')
    line--;
  char *rate = line != NULL ? strstr (line, "Kbits/sec") : NULL;
  while (rate != NULL && rate > line && (rate[-1] == ' ' || g_ascii_isdigit (rate[-1])))
    rate--;
  double gbits = rate != NULL ? g_ascii_strtod (rate, NULL) / 1e6 : 0;
  if (gbits <= 0)
    g_error ("iperf3 -c %s: %s", address, said);
  return (LoadStream){ gbits, cpu / (gbits * seconds / 8) };
}

void
load_shell (int netns, const char *format, ...)
{
  va_list arguments;
  int status;
  va_start (arguments, format);
  g_autofree char *command = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  const char *argv[] = { "/bin/sh", "-ec", command, NULL };
  GPid pid = load_start (netns, argv, NULL);
  if (waitpid (pid, &status, 0) < 0 || status != 0)
    g_error ("failed: %s", command);
}
