// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which ports a host listens on itself. In a network namespace of its own; once more without /proc, which has a line for each connection. */
#include "netd/listening.h"
#include <arpa/inet.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean possible;

static int
bound (int family, int type, guint16 port, gboolean any)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { any ? INADDR_ANY : htonl (INADDR_LOOPBACK) } };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  int fd = socket (family, type | SOCK_CLOEXEC, 0);
  if (!any)
    v6.sin6_addr = in6addr_loopback;
  g_assert_cmpint (bind (fd, family == AF_INET ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6, family == AF_INET ? sizeof v4 : sizeof v6), ==, 0);
  return fd;
}

static void
connect_port (int fd, guint16 port)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { htonl (INADDR_LOOPBACK) } };
  g_assert_cmpint (connect (fd, (struct sockaddr *) &to, sizeof to), ==, 0);
}

static void
look (void)
{
  g_autoptr (SwarmNetdListening) listening = swarm_netd_listening_read ();
  g_assert_true (swarm_netd_listening_has (listening, IPPROTO_TCP, 7001));
  g_assert_true (swarm_netd_listening_has (listening, IPPROTO_TCP, 7002));
  g_assert_true (swarm_netd_listening_has (listening, IPPROTO_UDP, 7003));
  g_assert_true (swarm_netd_listening_has (listening, IPPROTO_UDP, 7004));
  g_assert_false (swarm_netd_listening_has (listening, IPPROTO_UDP, 7001));
  g_assert_false (swarm_netd_listening_has (listening, IPPROTO_TCP, 7003));
  g_assert_false (swarm_netd_listening_has (listening, IPPROTO_TCP, 7005)); /* a client */
  g_assert_false (swarm_netd_listening_has (listening, IPPROTO_UDP, 7006)); /* connected */
  g_assert_false (swarm_netd_listening_has (listening, IPPROTO_TCP, 7007)); /* only bound */
  g_assert_false (swarm_netd_listening_has (listening, 132, 7001));
}

static void
test_ports (void)
{
  if (!possible) {
    g_test_skip ("needs root and network namespaces");
    return;
  }
  int fds[] = { bound (AF_INET, SOCK_STREAM, 7001, FALSE), bound (AF_INET6, SOCK_STREAM, 7002, TRUE), bound (AF_INET, SOCK_DGRAM, 7003, TRUE),
                bound (AF_INET6, SOCK_DGRAM, 7004, FALSE), bound (AF_INET, SOCK_STREAM, 7005, TRUE), bound (AF_INET, SOCK_DGRAM, 7006, TRUE),
                bound (AF_INET, SOCK_STREAM, 7007, TRUE) };
  g_assert_cmpint (listen (fds[0], 8), ==, 0);
  g_assert_cmpint (listen (fds[1], 8), ==, 0);
  connect_port (fds[4], 7001);
  connect_port (fds[5], 7003);
  look ();
  g_assert_cmpint (mount ("none", "/proc", "tmpfs", 0, NULL), ==, 0);
  look ();
  g_assert_cmpint (umount ("/proc"), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  possible = geteuid () == 0 && unshare (CLONE_NEWNET | CLONE_NEWNS) == 0 && mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
             system ("ip link set lo up") == 0;
  g_test_add_func ("/netd/listening/ports", test_ports);
  return g_test_run ();
}
