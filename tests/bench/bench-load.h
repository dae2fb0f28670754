// SPDX-License-Identifier: LGPL-2.1-or-later
/* Real servers and clients in network namespaces, and the processor time they take: nginx and wrk, iperf3. On this kernel what a packet costs is
 * charged to the process that sends it, all the way to the other's socket. Clients run on the first processor, servers on the second. */
#pragma once
#include <glib.h>

typedef struct {
  double requests; /* a second */
  double cpu_us;   /* of client and server together, a request */
  double p50_us, p99_us;
} LoadRequests;

typedef struct {
  double gbits;     /* a second */
  double cpu_s;     /* of client and server together, for 10^9 bytes */
} LoadStream;

/* Seconds of processor time of a process so far, the kernel's work for it included; others' load on the machine does not count. */
double load_cpu (GPid pid);
void load_pin (GPid pid, guint processor);
/* Anywhere again. */
void load_unpin (GPid pid);
/* Runs @argv in @netns with its output to @log (NULL: nowhere); it ends with us. */
GPid load_start (int netns, const char *const *argv, const char *log);
/* @directory is for its files. It listens on the ports 80 and 81 when it is back. */
GPid load_nginx (int netns, const char *directory);
/* It listens on port 5201 when it is back. */
GPid load_iperf (int netns);
void load_stop (GPid pid);
/* wrk from @netns for @seconds, with so many connections; @anew: a connection for each request. */
LoadRequests load_wrk (int netns, const char *url, guint connections, gboolean anew, guint seconds, GPid server, const char *directory);
LoadStream load_stream (int netns, const char *address, guint seconds, GPid server, const char *directory);
/* Runs a shell command in @netns; it must succeed. */
void load_shell (int netns, const char *format, ...) G_GNUC_PRINTF (2, 3);
