// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a client, a task or somebody else on the host may do to swarm-netd and, through it, to the host: not much. */
#include "netd-bed.h"
#include "netd/netlink.h"
#include "netd/netns.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  Bed *bed;
  BedHost *host; /* the first */
  GByteArray *out;
} Fixture;

static void
send_ok (Fixture *f, guint32 flags)
{
  g_autofree char *errors = bed_send (f->bed, 1, f->out, flags);
  g_assert_cmpstr (errors, ==, "");
}

/* One task with a way out and an interface in network 4097. */
static void
set_up (Fixture *f, gconstpointer data)
{
  f->out = g_byte_array_new ();
  if ((f->bed = bed_new ()) == NULL)
    return;
  f->host = &f->bed->hosts[1];
  bed_begin (f->out, 1);
  put_sandbox (f->out, "task-1");
  put_interface (f->out, "task-1", 4097, 0, "10.88.16.11", NULL);
  put_interface (f->out, "task-1", 0, 1, "10.88.101.11", NULL);
  send_ok (f, SWARM_NETD_FULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->bed != NULL)
    bed_free (f->bed);
  g_byte_array_unref (f->out);
}

static void
assert_shell (Fixture *f, const char *command, const char *expected)
{
  g_autofree char *output = bed_shell (f->host->netns, command);
  g_assert_cmpstr (output, ==, expected);
}

/* After a refusal the same number is answered again, for the client does not know of another one. */
static void
test_refused_twice (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  for (guint i = 0; i < 3; i++) {
    put_interface (f->out, "nobody", 4097, 0, "10.88.16.12", NULL);
    g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
    g_assert_nonnull (strstr (errors, "belongs to one that is not there"));
  }
  edit_port (f->out, FALSE, 6, 8080, 0);
  send_ok (f, 0);
}

/* A client that only speaks is cut; before, its answers were kept for ever. */
static void
test_deaf_client (Fixture *f, gconstpointer data)
{
  SwarmNetdHeader bad = { SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, 1, 0, SWARM_NETD_FULL, 0 }; /* a number of before */
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  guint sent = 0;
  if (f->bed == NULL)
    return;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy (address.sun_path, f->host->socket_path, sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  while (sent < 100000 && send (fd, &bad, sizeof bad, MSG_NOSIGNAL) == sizeof bad)
    sent++;
  g_assert_cmpuint (sent, <, 100000);
  g_assert_true (errno == EPIPE || errno == ECONNRESET);
  close (fd);
  edit_port (f->out, FALSE, 6, 8080, 0);
  send_ok (f, 0);
}

/* A process with a network namespace of its own, in which a link eth0 is somebody else's. */
static GPid
a_container (void)
{
  int ready[2];
  char byte;
  g_assert_cmpint (pipe (ready), ==, 0);
  GPid pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (unshare (CLONE_NEWNET) < 0 || system ("ip link add eth0 type bridge") != 0 || write (ready[1], "", 1) != 1)
      _exit (1);
    pause ();
  }
  close (ready[1]);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  close (ready[0]);
  return pid;
}

/* @late: since when it is to have run, after it began. */
static void
put_attached (Fixture *f, const char *id, GPid pid, guint64 late)
{
  SwarmNetdSandbox sandbox = { ident (id), SWARM_NETD_SANDBOX_ATTACH, pid, swarm_netd_process_start (pid) + late };
  g_assert_cmpuint (sandbox.started, >, late);
  row (f->out, SWARM_NETD_TYPE_SANDBOX, FALSE, &sandbox, sizeof sandbox);
}

/* Another process with the number of the one that was meant. */
static void
test_attach_another (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  GPid pid = a_container ();
  put_attached (f, "container", pid, 1);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
  g_assert_nonnull (strstr (errors, "is another one by now"));
  g_assert_false (g_hash_table_contains (f->host->ready, "container"));
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* Names that end alike. */
static void
test_like_names (Fixture *f, gconstpointer data)
{
  static const char *names[] = { "web-database-1", "old-database-1", "database-1" };
  if (f->bed == NULL)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *address = g_strdup_printf ("10.88.16.2%u", i);
    put_sandbox (f->out, names[i]);
    put_interface (f->out, names[i], 4097, 0, address, NULL);
  }
  send_ok (f, 0);
  assert_shell (f, "ip -o link show master swb4097 type veth | wc -l", "4\n"); /* and task-1's */
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *output = bed_shell (bed_task (f->bed, 1, names[i]), "ip -o link show dev eth0 | grep -c eth0");
    g_assert_cmpstr (output, ==, "1\n");
  }
}

/* The number of a process that ended may be another one's by now: the host's own network is never taken for a container's. And one sandbox's
 * failure is not that of another one whose name is a part of its own. */
static void
test_attach_host (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  put_sandbox (f->out, "me");
  put_attached (f, "some-container", f->host->netd, 0);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
  g_assert_nonnull (strstr (errors, "sandbox some-container: process"));
  g_assert_nonnull (strstr (errors, "is in the host's own network namespace"));
  g_assert_false (g_hash_table_contains (f->host->ready, "some-container"));
  g_assert_true (g_hash_table_contains (f->host->ready, "me"));
}

/* What a container has already is not taken away. */
static void
test_attach_foreign_link (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  GPid pid = a_container ();
  g_autofree char *look = g_strdup_printf ("ip -o -d link show dev eth0 | grep -c bridge"), *path = g_strdup_printf ("/proc/%d/ns/net", pid);
  int netns = open (path, O_RDONLY | O_CLOEXEC);
  put_attached (f, "container", pid, 0);
  put_interface (f->out, "container", 4097, 0, "10.88.16.12", NULL);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
  g_assert_cmpstr (errors, ==, "interface container 4097: the container has another link of that name\n");
  put_interface (f->out, "container", 4097, 1, "10.88.16.12", NULL);
  g_free (bed_send (f->bed, 1, f->out, 0)); /* a report of before may be among what is read */
  g_assert_true (g_hash_table_contains (f->host->ready, "container"));
  g_autofree char *there = bed_shell (netns, look), *ours = bed_shell (netns, "ip -o link show dev eth1 | grep -c eth1");
  g_assert_cmpstr (there, ==, "1\n");
  g_assert_cmpstr (ours, ==, "1\n");
  close (netns);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* A task that takes its own links away again and again gets them back ever later. (Seconds: never sooner, whatever the machine.) */
static void
test_self_harm (Fixture *f, gconstpointer data)
{
  SwarmNetdLink link;
  gint64 took = 0;
  if (f->bed == NULL)
    return;
  g_autoptr (SwarmNetdNetlink) box = swarm_netd_netlink_new_in (bed_task (f->bed, 1, "task-1"), NULL);
  for (guint i = 0; i < 30 && took < G_USEC_PER_SEC; i++) {
    gint64 begun = g_get_monotonic_time ();
    g_assert_true (swarm_netd_link_delete (box, "eth0", NULL));
    do
      g_usleep (10 * 1000);
    while (swarm_netd_link_get (box, "eth0", &link, NULL) && link.index == 0 && g_get_monotonic_time () - begun < 60 * G_USEC_PER_SEC);
    g_assert_cmpuint (link.index, !=, 0);
    took = g_get_monotonic_time () - begun;
  }
  g_assert_cmpint (took, >=, G_USEC_PER_SEC);
}

/* systemd has room for two namespaces with their names: that a third has none is said; it works, and gets its place when there is one. */
static void
test_store_full (Fixture *f, gconstpointer data)
{
  static const char *names[] = { "task-2", "task-3" };
  if (f->bed == NULL)
    return;
  bed_kill (f->bed, 1);
  g_setenv ("FDSTORE", "22", TRUE); /* 16 of them are for others */
  g_setenv ("WATCHDOG_USEC", "200000", TRUE); /* it says its status twice as often */
  bed_start (f->bed, 1);
  g_unsetenv ("FDSTORE");
  g_unsetenv ("WATCHDOG_USEC");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *address = g_strdup_printf ("10.88.16.2%u", i);
    put_sandbox (f->out, names[i]);
    put_interface (f->out, names[i], 4097, 0, address, NULL);
  }
  send_ok (f, 0);
  g_assert_true (g_hash_table_contains (f->host->ready, "task-2"));
  g_assert_true (g_hash_table_contains (f->host->ready, "task-3"));
  bed_wait_status (f->bed, 1, "no room in systemd's descriptor store for all of 2 task namespaces");
  g_assert_cmpuint (f->host->stored->len, <=, 6);
  row (f->out, SWARM_NETD_TYPE_INTERFACE, TRUE, &(SwarmNetdInterface){ .sandbox = ident ("task-2"), .vni = 4097 }, sizeof (SwarmNetdInterface));
  row (f->out, SWARM_NETD_TYPE_SANDBOX, TRUE, &(SwarmNetdSandbox){ .id = ident ("task-2") }, sizeof (SwarmNetdSandbox));
  send_ok (f, 0);
  g_assert_cmpint (bed_stored (f->bed, 1, "netns-task-1"), >=, 0);
  g_assert_cmpint (bed_stored (f->bed, 1, "netns-task-3"), >=, 0);
  g_assert_cmpint (bed_stored (f->bed, 1, "names-task-3"), >=, 0);
  bed_wait_status (f->bed, 1, "2 task namespaces, 0 services, 0 published ports, 0 names");
  g_assert_null (strstr (f->host->status, "no room"));
}

/* ---- the host's loopback addresses ---- */

static int
listen_at (int netns, const char *address, guint16 port)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { inet_addr (address) } };
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  swarm_netd_netns_leave ();
  g_assert_cmpint (bind (fd, (struct sockaddr *) &to, sizeof to), ==, 0);
  return fd;
}

/* The frame of a UDP packet as a task with CAP_NET_RAW may write it. */
static void
send_frame (int packet, const SwarmNetdLink *link, const guint8 mac[6], const char *from, const char *to, guint16 port)
{
  struct {
    struct ether_header ether;
    struct iphdr ip;
    struct udphdr udp;
    char text[4];
  } __attribute__ ((packed)) frame = { .text = "let" };
  struct sockaddr_ll by = { .sll_family = AF_PACKET, .sll_ifindex = link->index };
  guint16 words[10];
  guint32 sum = 0;
  memcpy (frame.ether.ether_dhost, mac, 6);
  memcpy (frame.ether.ether_shost, link->mac, 6);
  frame.ether.ether_type = htons (ETHERTYPE_IP);
  frame.ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons (sizeof frame - sizeof frame.ether), .ttl = 64, .protocol = IPPROTO_UDP,
                             .saddr = inet_addr (from), .daddr = inet_addr (to) };
  memcpy (words, &frame.ip, sizeof words);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    sum += words[i];
  sum = (sum & 0xffff) + (sum >> 16);
  frame.ip.check = ~(sum + (sum >> 16));
  frame.udp = (struct udphdr){ .source = htons (7), .dest = htons (port), .len = htons (sizeof frame.udp + sizeof frame.text) };
  g_assert_cmpint (sendto (packet, &frame, sizeof frame, 0, (struct sockaddr *) &by, sizeof by), ==, sizeof frame);
}

/* route_localnet lets the host ask for published ports at 127.0.0.1; it must not let tasks in there. The last packet goes the same way and arrives:
 * those before it would have, too. */
static void
test_loopback (Fixture *f, gconstpointer data)
{
  SwarmNetdLink gate, inside;
  char text[8];
  if (f->bed == NULL)
    return;
  int task = bed_task (f->bed, 1, "task-1");
  g_autoptr (SwarmNetdNetlink) host = swarm_netd_netlink_new_in (f->host->netns, NULL), box = swarm_netd_netlink_new_in (task, NULL);
  g_assert_true (swarm_netd_link_get (host, "swgate", &gate, NULL));
  g_assert_true (swarm_netd_link_get (box, "eth1", &inside, NULL));
  int secret = listen_at (f->host->netns, "127.0.0.1", 5000), open = listen_at (f->host->netns, "10.88.101.1", 5001);
  g_assert_true (swarm_netd_netns_enter (task, NULL));
  int packet = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  send_frame (packet, &inside, gate.mac, "10.88.101.11", "127.0.0.1", 5000);
  send_frame (packet, &inside, gate.mac, "127.0.0.1", "127.0.0.1", 5000);
  send_frame (packet, &inside, gate.mac, "127.0.0.1", "10.88.101.1", 5001);
  send_frame (packet, &inside, gate.mac, "10.88.101.11", "10.88.101.1", 5001);
  struct pollfd p = { open, POLLIN, 0 };
  struct sockaddr_in from = { 0 };
  socklen_t size = sizeof from;
  g_assert_cmpint (poll (&p, 1, 60000), ==, 1);
  g_assert_cmpint (recvfrom (open, text, sizeof text, 0, (struct sockaddr *) &from, &size), ==, 4);
  g_assert_cmpstr (inet_ntoa (from.sin_addr), ==, "10.88.101.11");
  g_assert_cmpint (recv (secret, text, sizeof text, 0), <, 0);
  g_assert_cmpint (errno, ==, EAGAIN);
  close (packet);
  close (secret);
  close (open);
}

/* ---- what is not ours, and what is not known ---- */

/* Names that only look like ours stay; a port that lost its isolation has it again. */
static void
test_foreign_links (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  bed_kill (f->bed, 1);
  assert_shell (f, "ip link add swbond0 type veth peer name other0; ip link add swb1a type bridge; ip link add swv10 type bridge; ip link add swx7 type bridge;"
                   "ip link add swb78 type bridge; for l in $(ip -o link show master swgate | grep -o 'swv[0-9a-z]*'); do ip link set $l type bridge_slave isolated off; done;"
                   "ip -d link show master swgate | grep -c 'isolated off'", "1\n");
  bed_start (f->bed, 1);
  edit_port (f->out, FALSE, 6, 8080, 0);
  send_ok (f, 0);
  assert_shell (f, "ip -o link | grep -o -e swbond0 -e swb1a -e swv10 -e swx7 -e swb78 | sort -u", "swb1a\nswbond0\nswv10\nswx7\n");
  assert_shell (f, "ip -d link show master swgate | grep -c 'isolated on'", "1\n");
  assert_shell (f, "ip -d link show master swb4097 type veth | grep -c 'isolated off'", "1\n");
}

/* A netd that lost its state does not know what is wanted: nothing goes before a batch says so. */
static void
test_state_lost (Fixture *f, gconstpointer data)
{
  static const char *look = "ip -o link | grep -c -e swb4097 -e swx4097 -e swv; nft list tables | grep -c swarm";
  if (f->bed == NULL)
    return;
  assert_shell (f, look, "4\n3\n");
  bed_kill (f->bed, 1);
  g_assert_cmpint (truncate (f->host->state_path, 10), ==, 0);
  f->host->number = 0;
  bed_start (f->bed, 1);
  assert_shell (f, "ip link del swb4096; ip link show 2>&1 | grep -c swb4096", "0\n"); /* nor when others change what was ours */
  g_usleep (300 * 1000);
  assert_shell (f, look, "4\n3\n");
  bed_begin (f->out, 1); /* without the task */
  send_ok (f, SWARM_NETD_FULL);
  assert_shell (f, look, "2\n3\n");
  bed_kill (f->bed, 1);
  g_assert_cmpint (truncate (f->host->state_path, 10), ==, 0);
  f->host->number = 0;
  bed_start (f->bed, 1);
  send_ok (f, SWARM_NETD_FULL); /* nothing at all */
  assert_shell (f, look, "0\n0\n");
}

/* Each task takes some descriptors, and libnftables bears none of its own above 1024: it ended the process. */
static void
test_many (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  for (guint i = 0; i < 240; i++) {
    g_autofree char *name = g_strdup_printf ("many-%u", i), *address = g_strdup_printf ("10.88.17.%u", i + 1);
    put_sandbox (f->out, name);
    put_interface (f->out, name, 4097, 0, address, NULL);
    if (i % 3 != 2)
      continue;
    send_ok (f, 0);
    bed_stored (f->bed, 1, ""); /* reads what it tells systemd: only so much of that waits */
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/netd/trust/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("refused-twice", test_refused_twice);
  ADD ("many", test_many);
  ADD ("deaf-client", test_deaf_client);
  ADD ("attach-host", test_attach_host);
  ADD ("attach-another", test_attach_another);
  ADD ("like-names", test_like_names);
  ADD ("attach-foreign-link", test_attach_foreign_link);
  ADD ("self-harm", test_self_harm);
  ADD ("store-full", test_store_full);
  ADD ("loopback", test_loopback);
  ADD ("foreign-links", test_foreign_links);
  ADD ("state-lost", test_state_lost);
  return g_test_run ();
}
