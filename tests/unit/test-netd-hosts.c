// SPDX-License-Identifier: LGPL-2.1-or-later
/* The data plane in the kernel: three hosts as namespaces on this machine, each with its swarm-netd. */
#include "netd-bed.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  Bed *bed;
  GByteArray *out;
} Fixture;

/* On each host H one task "task-H" at 10.88.16.H1, 10.88.(100+H).H1 towards the gateway, serving on port 80. */
static void
put_tasks (GByteArray *out, guint host)
{
  for (guint i = 1; i <= BED_HOSTS; i++) {
    g_autofree char *address = g_strdup_printf ("10.88.16.%u1", i), *address6 = g_strdup_printf ("fd88:16::%u1", i);
    put_endpoint (out, 4097, i, address, address6);
  }
  g_autofree char *task = g_strdup_printf ("task-%u", host), *address = g_strdup_printf ("10.88.16.%u1", host);
  g_autofree char *address6 = g_strdup_printf ("fd88:16::%u1", host), *gateway = g_strdup_printf ("10.88.%u.%u1", 100 + host, host);
  g_autofree char *gateway6 = g_strdup_printf ("fd88:%u::%u1", 100 + host, host);
  put_sandbox (out, task);
  put_interface (out, task, 4097, 0, address, address6);
  put_interface (out, task, 0, 1, gateway, gateway6);
}

static void
send_ok (Fixture *f, guint host, guint32 flags)
{
  g_autofree char *errors = bed_send (f->bed, host, f->out, flags);
  g_assert_cmpstr (errors, ==, "");
}

static int
task (Fixture *f, guint host)
{
  g_autofree char *name = g_strdup_printf ("task-%u", host);
  return bed_task (f->bed, host, name);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->out = g_byte_array_new ();
  if ((f->bed = bed_new ()) == NULL)
    return;
  for (guint host = 1; host <= BED_HOSTS; host++) {
    bed_begin (f->out, host);
    put_tasks (f->out, host);
    send_ok (f, host, SWARM_NETD_FULL);
    g_autofree char *name = g_strdup_printf ("web-%u", host);
    bed_serve (f->bed, task (f, host), name, 80);
  }
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->bed != NULL)
    bed_free (f->bed);
  g_byte_array_unref (f->out);
}

static void
test_overlay (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  bed_assert_answer (task (f, 1), "10.88.16.21", 80, SOCK_STREAM, "web-2 10.88.16.11");
  bed_assert_answer (task (f, 1), "fd88:16::21", 80, SOCK_STREAM, "web-2 fd88:16::11");
  bed_assert_answer (task (f, 3), "10.88.16.11", 80, SOCK_DGRAM, "web-1 10.88.16.31");
  bed_assert_answer (task (f, 1), "10.88.0.100", 9, SOCK_STREAM, "refused"); /* the way out */
  /* who forwards goes on taking what routers advertise */
  g_autofree char *advertisements = bed_shell (f->bed->hosts[1].netns, "cat /proc/sys/net/ipv6/conf/eth0/accept_ra /proc/sys/net/ipv6/conf/all/forwarding");
  g_assert_cmpstr (advertisements, ==, "2\n1\n");
  bed_patience = 2;
  bed_assert_answer (task (f, 1), "10.88.102.21", 80, SOCK_STREAM, "timeout"); /* but not to other tasks by their gateway addresses */
  bed_patience = 20;
}

/* Asks @n times; how many of the answers were by "web-<host>". */
static guint
count (int netns, const char *address, guint16 port, int type, guint n, guint host)
{
  g_autofree char *name = g_strdup_printf ("web-%u ", host);
  guint hits = 0;
  for (guint i = 0; i < n; i++) {
    g_autofree char *answer = bed_ask (netns, address, port, type);
    hits += g_str_has_prefix (answer, name);
  }
  return hits;
}

static void
edit_web (Fixture *f, guint host, gboolean remove, guint of, guint32 flags)
{
  g_autofree char *address = g_strdup_printf ("10.88.16.%u1", of), *address6 = g_strdup_printf ("fd88:16::%u1", of);
  edit_backend (f->out, remove, 4097, "10.88.16.2", address, flags);
  edit_backend (f->out, remove, 4097, "fd88:16::2", address6, flags);
}

/* A service with three tasks, as each host's tasks see it. */
static void
put_web (Fixture *f, guint32 flags)
{
  for (guint host = 1; host <= BED_HOSTS; host++) {
    edit_service (f->out, FALSE, 4097, "10.88.16.2", flags);
    edit_service (f->out, FALSE, 4097, "fd88:16::2", flags);
    for (guint i = 1; i <= 3; i++)
      edit_web (f, host, FALSE, i, 0);
    send_ok (f, host, 0);
  }
}

static void
test_vip (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  put_web (f, 0);
  static const char *addresses[] = { "10.88.16.2", "fd88:16::2" };
  static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
  for (guint a = 0; a < 2; a++)
    for (guint t = 0; t < 2; t++) {
      guint sum = 0;
      for (guint i = 1; i <= 3; i++) {
        guint hits = count (task (f, 1), addresses[a], 80, types[t], 60, i);
        g_assert_cmpuint (hits, >, 2);
        sum += hits;
      }
      g_assert_cmpuint (sum, >, 20); /* each by chance: 60 of 180 */
    }
  bed_assert_answer (task (f, 2), "10.88.16.2", 81, SOCK_STREAM, "refused"); /* a port that no backend has */

  edit_web (f, 1, FALSE, 2, SWARM_NETD_BACKEND_DRAINING);
  send_ok (f, 1, 0);
  g_assert_cmpuint (count (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, 60, 2), ==, 0);
  edit_web (f, 1, TRUE, 2, 0);
  edit_web (f, 1, TRUE, 1, 0);
  send_ok (f, 1, 0);
  g_assert_cmpuint (count (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, 20, 3), ==, 20);
  edit_web (f, 1, TRUE, 3, 0);
  send_ok (f, 1, 0);
  for (guint a = 0; a < 2; a++) { /* at once, never a time-out */
    bed_assert_answer (task (f, 1), addresses[a], 80, SOCK_STREAM, "refused");
    bed_assert_answer (task (f, 1), addresses[a], 80, SOCK_DGRAM, g_strerror (EPERM));
  }
  edit_web (f, 1, FALSE, 1, 0);
  send_ok (f, 1, 0);
  bed_assert_answer (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, "web-1 10.88.16.11"); /* itself */
}

static void
test_affinity (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  put_web (f, SWARM_NETD_SERVICE_AFFINITY);
  for (guint host = 1; host <= BED_HOSTS; host++) {
    g_autofree char *first = bed_ask (task (f, host), "10.88.16.2", 80, SOCK_STREAM);
    for (guint i = 0; i < 20; i++)
      bed_assert_answer (task (f, host), "10.88.16.2", 80, SOCK_STREAM, first);
  }
}

static void
edit_published (Fixture *f, gboolean remove, guint of, guint32 flags)
{
  g_autofree char *address = g_strdup_printf ("10.88.%u.%u1", 100 + of, of), *address6 = g_strdup_printf ("fd88:%u::%u1", 100 + of, of);
  edit_port_backend (f->out, remove, 6, 8080, address, 80, flags);
  edit_port_backend (f->out, remove, 6, 8080, address6, 80, flags);
  edit_port_backend (f->out, remove, 17, 5353, address, 80, flags);
}

/* Tasks on the hosts 1 and 2 only, published on all three. */
static void
put_published (Fixture *f)
{
  for (guint host = 1; host <= BED_HOSTS; host++) {
    edit_port (f->out, FALSE, 6, 8080, 0);
    edit_port (f->out, FALSE, 17, 5353, 0);
    edit_published (f, FALSE, 1, 0);
    edit_published (f, FALSE, 2, 0);
    send_ok (f, host, 0);
  }
}

static void
assert_mesh (int netns, const char *address, guint16 port, int type, const char *client)
{
  guint by[3] = { 0 };
  g_autofree char *web1 = g_strdup_printf ("web-1 %s", client), *web2 = g_strdup_printf ("web-2 %s", client);
  for (guint i = 0; i < 40; i++) {
    g_autofree char *answer = bed_ask (netns, address, port, type);
    if (strcmp (answer, web1) != 0 && strcmp (answer, web2) != 0)
      g_error ("%s port %u answers \"%s\", not \"%s\" or \"%s\"", address, port, answer, web1, web2);
    by[strcmp (answer, web1) == 0 ? 1 : 2]++;
  }
  g_assert_cmpuint (by[1], >, 2);
  g_assert_cmpuint (by[2], >, 2);
}

/* Who answers on a flow of datagrams, at last. */
static void
assert_flow (int fd, const char *expected)
{
  char text[64] = { 0 };
  struct timeval limit = { .tv_sec = 1 };
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  gint64 end = g_get_monotonic_time () + bed_patience * G_USEC_PER_SEC; /* netd moves flows from its loop, after its answer: as soon as the machine lets it */
  while (g_get_monotonic_time () < end && !g_str_has_prefix (text, expected)) {
    g_usleep (1000);
    send (fd, "?", 1, MSG_NOSIGNAL); /* what is on its way while the flow moves may be lost: these are datagrams */
    memset (text, 0, sizeof text);
    (void) !recv (fd, text, sizeof text - 1, 0);
  }
  if (!g_str_has_prefix (text, expected))
    g_error ("\"%s\" answers, not %s", text, expected);
}

/* Draining: what there is goes on, but for datagrams, which go to another at once. Then the row goes, and the rest ends; it does not hang. */
static void
test_drain (Fixture *f, gconstpointer data)
{
  char text[64];
  if (f->bed == NULL)
    return;
  edit_service (f->out, FALSE, 4097, "10.88.16.2", 0);
  edit_service (f->out, FALSE, 4097, "fd88:16::2", 0);
  edit_web (f, 1, FALSE, 2, 0);
  edit_port (f->out, FALSE, 6, 8080, 0);
  edit_port (f->out, FALSE, 17, 5353, 0);
  edit_published (f, FALSE, 2, 0);
  send_ok (f, 1, 0);
  int streams[] = { bed_connect (task (f, 1), "10.88.16.2", 80), bed_connect (task (f, 1), "fd88:16::2", 80),
                    bed_connect (f->bed->fabric, "10.88.0.1", 8080), bed_connect (f->bed->hosts[1].netns, "127.0.0.1", 8080) };
  int inside = bed_open (task (f, 1), "10.88.16.2", 80, SOCK_DGRAM), outside = bed_open (f->bed->fabric, "10.88.0.1", 5353, SOCK_DGRAM);
  assert_flow (inside, "web-2");
  assert_flow (outside, "web-2");

  edit_web (f, 1, FALSE, 1, 0);
  edit_web (f, 1, FALSE, 2, SWARM_NETD_BACKEND_DRAINING);
  edit_published (f, FALSE, 1, 0);
  edit_published (f, FALSE, 2, SWARM_NETD_BACKEND_DRAINING);
  send_ok (f, 1, 0);
  assert_flow (inside, "web-1");
  assert_flow (outside, "web-1");
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++)
    bed_assert_alive (streams[i]);

  edit_web (f, 1, TRUE, 2, 0);
  edit_published (f, TRUE, 2, 0);
  send_ok (f, 1, 0);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++) {
    ssize_t n;
    do /* the third one's socket is not on that host: its next packet finds out */
      n = i == 2 ? send (streams[i], "?", 1, MSG_NOSIGNAL) : 1;
    while (n > 0 && (n = recv (streams[i], text, sizeof text, 0)) > 0);
    g_assert_true (n == 0 || (n < 0 && errno != EAGAIN));
  }
}

/* By every host, also one without a task; the task sees who asked. */
static void
test_mesh (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  put_published (f);
  for (guint host = 1; host <= BED_HOSTS; host++) {
    g_autofree char *address = g_strdup_printf ("10.88.0.%u", host), *address6 = g_strdup_printf ("fd88::%u", host);
    assert_mesh (f->bed->fabric, address, 8080, SOCK_STREAM, "10.88.0.100");
    assert_mesh (f->bed->fabric, address6, 8080, SOCK_STREAM, "fd88::100");
    assert_mesh (f->bed->fabric, address, 5353, SOCK_DGRAM, "10.88.0.100");
  }
  bed_assert_answer (f->bed->fabric, "10.88.0.3", 8081, SOCK_STREAM, "refused");
  g_assert_cmpuint (count (f->bed->hosts[3].netns, "127.0.0.1", 8080, SOCK_STREAM, 30, 1), >, 0); /* from the node itself */
  g_assert_cmpuint (count (f->bed->hosts[3].netns, "10.88.0.3", 8080, SOCK_STREAM, 30, 2), >, 0);
  g_assert_cmpuint (count (f->bed->hosts[1].netns, "127.0.0.1", 8080, SOCK_STREAM, 30, 1), >, 0);
  bed_assert_answer (f->bed->hosts[1].netns, "::1", 8080, SOCK_STREAM, "refused"); /* and not a silence: who asks "localhost" goes on to 127.0.0.1 */
  g_assert_cmpuint (count (task (f, 3), "10.88.0.3", 8080, SOCK_STREAM, 30, 2), >, 0); /* and from a task */
  g_assert_cmpuint (count (task (f, 1), "10.88.0.1", 8080, SOCK_STREAM, 30, 1), >, 0); /* to itself, by chance */

  edit_published (f, FALSE, 1, SWARM_NETD_BACKEND_DRAINING);
  send_ok (f, 3, 0);
  g_assert_cmpuint (count (f->bed->fabric, "10.88.0.3", 8080, SOCK_STREAM, 30, 2), ==, 30);
  edit_published (f, TRUE, 1, 0);
  edit_published (f, TRUE, 2, 0);
  send_ok (f, 3, 0);
  bed_assert_answer (f->bed->fabric, "10.88.0.3", 8080, SOCK_STREAM, "refused");
}

/* netd falls and comes again without the agent: connections go on, new ones are made, and what was changed meanwhile is mended. */
static void
test_restart (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  put_web (f, 0);
  put_published (f);
  int open = bed_connect (task (f, 1), "10.88.16.2", 80), outside = bed_connect (f->bed->fabric, "10.88.0.3", 8080);
  for (guint host = 1; host <= BED_HOSTS; host++)
    bed_kill (f->bed, host);
  bed_assert_answer (task (f, 1), "10.88.16.21", 80, SOCK_STREAM, "web-2 10.88.16.11");
  g_assert_cmpuint (count (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, 30, 2), >, 0);
  g_free (bed_shell (f->bed->hosts[1].netns, "nft flush ruleset; ip link set swx4097 down; ip link del swb4096; ip link add swb77 type bridge;"
                                             "bridge fdb add 02:42:01:02:03:04 dev swx4097 dst 10.88.0.2 self permanent"));
  for (guint host = 1; host <= BED_HOSTS; host++)
    bed_start (f->bed, host);
  bed_assert_answer (task (f, 1), "10.88.16.21", 80, SOCK_STREAM, "web-2 10.88.16.11");
  assert_mesh (f->bed->fabric, "10.88.0.1", 8080, SOCK_STREAM, "10.88.0.100");
  g_autofree char *others = bed_shell (f->bed->hosts[1].netns, "ip -o link | grep -c swb77; bridge fdb | grep -c 02:42:01:02:03:04");
  g_assert_cmpstr (others, ==, "0\n0\n");
  bed_assert_alive (open);
  bed_assert_alive (outside);

  edit_web (f, 1, TRUE, 1, 0); /* and deltas go on from the number that it knows */
  send_ok (f, 1, 0);
  g_assert_cmpuint (count (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, 30, 1), ==, 0);
}

/* Nobody says anything for longer than the kernel remembers connections as its owner has set it: ours go on, also when our tables are loaded anew. */
static void
test_idle (Fixture *f, gconstpointer data)
{
  static const char *shorten = "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established";
  int inside[6], outside[6];
  if (f->bed == NULL)
    return;
  put_web (f, 0);
  put_published (f);
  for (guint host = 1; host <= BED_HOSTS; host++) {
    g_free (bed_shell (f->bed->hosts[host].netns, shorten));
    g_free (bed_shell (task (f, host), shorten));
  }
  for (guint i = 0; i < G_N_ELEMENTS (inside); i++) {
    inside[i] = bed_connect (task (f, 1), "10.88.16.2", 80);
    outside[i] = bed_connect (f->bed->fabric, "10.88.0.3", 8080);
  }
  for (guint host = 1; host <= BED_HOSTS; host++) {
    bed_kill (f->bed, host);
    bed_start (f->bed, host);
  }
  g_usleep (3 * G_USEC_PER_SEC);
  for (guint i = 0; i < G_N_ELEMENTS (inside); i++) {
    bed_assert_alive (inside[i]);
    bed_assert_alive (outside[i]);
  }
}

static GPid
live_in (int netns)
{
  int ready[2];
  char byte;
  g_assert_cmpint (pipe (ready), ==, 0);
  GPid pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (setns (netns, CLONE_NEWNET) < 0 || write (ready[1], "", 1) != 1)
      _exit (1);
    pause ();
  }
  close (ready[1]);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  close (ready[0]);
  return pid;
}

/* A stop, then a start: nothing is left of what netd held. A task that runs keeps its namespace and its connections. */
static void
test_stop (Fixture *f, gconstpointer data)
{
  struct stat before, after;
  if (f->bed == NULL)
    return;
  GPid pid = live_in (task (f, 1));
  int open = bed_connect (task (f, 1), "10.88.16.21", 80);
  g_assert_cmpint (fstat (task (f, 1), &before), ==, 0);
  bed_kill (f->bed, 1);
  bed_forget (f->bed, 1);
  g_hash_table_remove (f->bed->hosts[1].ready, "task-1");
  bed_start (f->bed, 1);
  bed_begin (f->out, 1);
  put_tasks (f->out, 1);
  send_ok (f, 1, SWARM_NETD_FULL);
  g_assert_cmpint (fstat (task (f, 1), &after), ==, 0);
  g_assert_cmpuint (after.st_ino, ==, before.st_ino);
  bed_assert_alive (open);
  put_web (f, 0); /* on all hosts, and it is led to others as before */
  g_assert_cmpuint (count (task (f, 1), "10.88.16.2", 80, SOCK_STREAM, 30, 2), >, 0);
  close (open);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* Host 1 leads everybody where he wants to go. */
static gboolean
is_whole (Fixture *f)
{
  g_autofree char *inside = bed_ask (task (f, 1), "10.88.16.21", 80, SOCK_STREAM);
  guint others = 0;
  for (guint i = 0; i < 8 && g_str_has_prefix (inside, "web-2"); i++) {
    g_autofree char *outside = bed_ask (f->bed->fabric, "10.88.0.1", 8080, SOCK_STREAM);
    others += !g_str_has_prefix (outside, "web-");
  }
  return g_str_has_prefix (inside, "web-2") && others == 0;
}

/* Others do to our things what they like: mended by itself (bench: within a second). */
static void
test_mending (Fixture *f, gconstpointer data)
{
  static const char *harms[] = { "nft flush ruleset", "nft delete table inet swarm", "ip link set swx4097 down", "ip link set swb4097 down",
                                 "ip link del swb4097", "ip link del swx4096", "ip link del swgate", "ip neigh flush dev swx4097 nud permanent",
                                 "ip rule del pref 21335", "ip route del 10.88.102.0/24", "ip addr flush dev swgate" };
  if (f->bed == NULL)
    return;
  put_published (f);
  for (guint i = 0; i < G_N_ELEMENTS (harms); i++) {
    gint64 begun = g_get_monotonic_time ();
    g_free (bed_shell (f->bed->hosts[1].netns, harms[i]));
    guint tries = 0;
    do
      g_usleep (50 * 1000);
    while (!is_whole (f) && ++tries < 600);
    g_test_message ("%s: whole again after %.2f s", harms[i], (g_get_monotonic_time () - begun) / 1e6);
    bed_assert_answer (task (f, 1), "10.88.16.21", 80, SOCK_STREAM, "web-2 10.88.16.11");
    assert_mesh (f->bed->fabric, "10.88.0.1", 8080, SOCK_STREAM, "10.88.0.100");
  }
}

static void
assert_becomes (Fixture *f, int type, const char *expected)
{
  g_autofree char *answer = NULL;
  for (guint i = 0; i < 600 && g_strcmp0 (answer, expected) != 0; i++) {
    g_free (answer);
    answer = bed_ask (f->bed->fabric, "10.88.0.3", 8080, type);
    g_usleep (100 * 1000);
  }
  g_assert_cmpstr (answer, ==, expected);
}

/* A port of the host's own stays the host's, and that is said; when it is free the mesh has it. And the host has it back when it listens later: its sshd may
 * start after us. */
static void
test_own_port (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  bed_serve (f->bed, f->bed->hosts[3].netns, "host-3", 8080);
  edit_port (f->out, FALSE, 6, 8080, 0);
  edit_port (f->out, FALSE, 6, 8081, 0);
  edit_published (f, FALSE, 1, 0);
  edit_port_backend (f->out, FALSE, 6, 8081, "10.88.101.11", 80, 0);
  edit_port (f->out, FALSE, 17, 5353, 0);
  g_autofree char *errors = bed_send (f->bed, 3, f->out, 0);
  g_assert_cmpstr (errors, ==, "port 8080/tcp: this host itself listens on that port\n");
  bed_assert_answer (f->bed->fabric, "10.88.0.3", 8080, SOCK_STREAM, "host-3 10.88.0.100");
  bed_assert_answer (f->bed->fabric, "10.88.0.3", 8081, SOCK_STREAM, "web-1 10.88.0.100");
  bed_stop_serving (f->bed);
  assert_becomes (f, SOCK_STREAM, "web-1 10.88.0.100");
  edit_port (f->out, FALSE, 17, 8080, 0);
  edit_port_backend (f->out, FALSE, 17, 8080, "10.88.101.11", 80, 0);
  g_free (bed_send (f->bed, 3, f->out, 0));
  assert_becomes (f, SOCK_DGRAM, "web-1 10.88.0.100");
  bed_serve (f->bed, f->bed->hosts[3].netns, "host-3", 8080);
  assert_becomes (f, SOCK_STREAM, "host-3 10.88.0.100");
  assert_becomes (f, SOCK_DGRAM, "host-3 10.88.0.100");
  g_autofree char *now = bed_listen (f->bed, 3);
  g_assert_nonnull (strstr (now, "port 8080/tcp: this host itself listens on that port\n"));
  bed_stop_serving (f->bed);
  assert_becomes (f, SOCK_STREAM, "web-1 10.88.0.100");
  assert_becomes (f, SOCK_DGRAM, "web-1 10.88.0.100");
}

/* A kernel without sctp says so of its ports, and of no others. */
static void
test_sctp (Fixture *f, gconstpointer data)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 132);
  if (f->bed == NULL)
    return;
  edit_port (f->out, FALSE, 132, 8080, 0);
  edit_port_backend (f->out, FALSE, 132, 8080, "10.88.101.11", 80, 0);
  edit_published (f, FALSE, 1, 0);
  edit_port (f->out, FALSE, 6, 8080, 0);
  edit_port (f->out, FALSE, 17, 5353, 0);
  g_autofree char *errors = bed_send (f->bed, 3, f->out, 0);
  g_assert_cmpstr (errors, ==, fd < 0 ? "port 8080/sctp: this host's kernel has no sctp\n" : "");
  g_autofree char *list = bed_shell (f->bed->hosts[3].netns, "nft list map inet swarm be4");
  g_assert_true ((strstr (list, "sctp . 8080") != NULL) == (fd >= 0));
  bed_assert_answer (f->bed->fabric, "10.88.0.3", 8080, SOCK_STREAM, "web-1 10.88.0.100");
  if (fd >= 0)
    close (fd);
}

/* What is ours, and what is left of it when nothing is wanted. */
static void
test_nothing_left (Fixture *f, gconstpointer data)
{
  static const char *look = "ip -o link | grep -v -e eth0 -e lo:; ip rule; ip -6 rule; ip route show table all | grep -e 'proto 83' -e sw; nft list ruleset";
  if (f->bed == NULL)
    return;
  g_autofree char *before = NULL, *after = NULL;
  int foreign = f->bed->hosts[2].netns;
  before = bed_shell (f->bed->fabric, "ip rule; ip -6 rule"); /* as in any namespace */
  g_autofree char *made = bed_shell (foreign, "nft 'add table inet other { chain c { type filter hook input priority 0; }; }'; ip link add swim type veth peer name swum");
  put_published (f);
  put_web (f, 0);
  send_ok (f, 2, SWARM_NETD_FULL);
  g_autofree char *rest = bed_shell (foreign, "ip -o link | grep -c -e swb -e swx -e swv -e swgate; ip -o link | grep -c -e swim; nft list tables");
  g_assert_cmpstr (rest, ==, "0\n2\ntable inet other\n");
  after = bed_shell (foreign, "ip rule; ip -6 rule");
  g_assert_cmpstr (after, ==, before);
  g_autofree char *all = bed_shell (foreign, look);
  g_assert_null (strstr (all, "proto 83"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/netd/hosts/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("overlay", test_overlay);
  ADD ("vip", test_vip);
  ADD ("affinity", test_affinity);
  ADD ("drain", test_drain);
  ADD ("mesh", test_mesh);
  ADD ("own-port", test_own_port);
  ADD ("sctp", test_sctp);
  ADD ("restart", test_restart);
  ADD ("idle", test_idle);
  ADD ("stop", test_stop);
  ADD ("mending", test_mending);
  ADD ("nothing-left", test_nothing_left);
  return g_test_run ();
}
