// SPDX-License-Identifier: LGPL-2.1-or-later
/* A host that forwards for its tasks is no open router: what may not pass our bridges. Each of these passed before the rules for it were there. */
#include "netd-bed.h"
#include "netd/netns.h"
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  Bed *bed;
  GByteArray *out;
} Fixture;

/* On the hosts 1 and 2 a task each with a way out, serving on port 80; on host 1 another one, in a network of its own. Outside, port 9000 answers. */
static void
set_up (Fixture *f, gconstpointer data)
{
  f->out = g_byte_array_new ();
  if ((f->bed = bed_new ()) == NULL)
    return;
  for (guint host = 1; host <= 2; host++) {
    g_autofree char *task = g_strdup_printf ("task-%u", host), *address = g_strdup_printf ("10.88.16.%u1", host), *web = g_strdup_printf ("web-%u", host);
    g_autofree char *gateway = g_strdup_printf ("10.88.%u.%u1", 100 + host, host), *gateway6 = g_strdup_printf ("fd88:%u::%u1", 100 + host, host);
    bed_begin (f->out, host);
    put_network (f->out, 4098, 0);
    put_sandbox (f->out, task);
    put_interface (f->out, task, 4097, 0, address, NULL);
    put_interface (f->out, task, 0, 1, gateway, gateway6);
    put_sandbox (f->out, "alone");
    put_interface (f->out, "alone", 4098, 0, "10.88.18.12", NULL);
    g_autofree char *errors = bed_send (f->bed, host, f->out, SWARM_NETD_FULL);
    g_assert_cmpstr (errors, ==, "");
    bed_serve (f->bed, bed_task (f->bed, host, task), web, 80);
  }
  bed_serve (f->bed, f->bed->fabric, "outside", 9000);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  bed_patience = 20;
  if (f->bed != NULL)
    bed_free (f->bed);
  g_byte_array_unref (f->out);
}

static void
shell (int netns, const char *command)
{
  g_autofree char *all = g_strconcat (command, " && echo done", NULL), *output = bed_shell (netns, all);
  g_assert_cmpstr (output, ==, "done\n");
}

/* The host's own services are not for the ingress network; by the underlay they are what they were. */
static void
test_host (Fixture *f, gconstpointer data)
{
  static const char *addresses[] = { "10.88.32.1", "fd88:32::1" };
  if (f->bed == NULL)
    return;
  bed_serve (f->bed, f->bed->hosts[1].netns, "host-1", 7000);
  bed_assert_answer (f->bed->hosts[2].netns, "10.88.0.1", 7000, SOCK_STREAM, "host-1 10.88.0.2");
  bed_patience = 2;
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++) {
    bed_assert_answer (f->bed->hosts[2].netns, addresses[i], 7000, SOCK_STREAM, "timeout");
    bed_assert_answer (f->bed->hosts[2].netns, addresses[i], 7000, SOCK_DGRAM, "timeout");
  }
}

/* Who sends packets for tasks to a host as to a router reaches neither its own tasks nor, by it, those of others: what is not published is not reached. */
static void
test_from_outside (Fixture *f, gconstpointer data)
{
  static const char *addresses[] = { "10.88.101.11", "10.88.102.21", "fd88:101::11" };
  if (f->bed == NULL)
    return;
  shell (f->bed->fabric, "ip route add 10.88.101.0/24 via 10.88.0.1 && ip route add 10.88.102.0/24 via 10.88.0.1 && ip route add fd88:101::/64 via fd88::1");
  bed_patience = 2;
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++) {
    bed_assert_answer (f->bed->fabric, addresses[i], 80, SOCK_STREAM, "timeout");
    bed_assert_answer (f->bed->fabric, addresses[i], 80, SOCK_DGRAM, "timeout");
  }
}

/* No host is another one's way out. */
static void
test_to_outside (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  shell (f->bed->fabric, "ip route add 10.88.32.0/20 via 10.88.0.1");
  shell (f->bed->hosts[2].netns, "ip route add 10.88.0.100/32 via 10.88.32.1 dev swb4096");
  bed_patience = 2;
  bed_assert_answer (f->bed->hosts[2].netns, "10.88.0.100", 9000, SOCK_STREAM, "timeout");
  bed_assert_answer (f->bed->hosts[2].netns, "10.88.0.100", 9000, SOCK_DGRAM, "timeout");
}

static int
bound_at (int netns, const char *address, guint16 port)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { inet_addr (address) } };
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  g_assert_cmpint (bind (fd, (struct sockaddr *) &at, sizeof at), ==, 0);
  return fd;
}

/* The first datagram that comes. */
static void
assert_first (int fd, const char *expected)
{
  char text[8] = { 0 };
  struct pollfd p = { fd, POLLIN, 0 };
  g_assert_cmpint (poll (&p, 1, 60000), ==, 1);
  g_assert_cmpint (recv (fd, text, sizeof text - 1, 0), ==, 4);
  g_assert_cmpstr (text, ==, expected);
  close (fd);
}

static void
send_from (int netns, const char *address, const char *text)
{
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (9001), .sin_addr = { inet_addr ("10.88.0.100") } };
  int fd = bound_at (netns, address, 0);
  g_assert_cmpint (sendto (fd, text, 4, 0, (struct sockaddr *) &to, sizeof to), ==, 4);
  close (fd);
}

/* A task that gives itself another address does not get out with it. The second packet goes the same way. */
static void
test_foreign_source (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  int task = bed_task (f->bed, 1, "task-1"), outside = bound_at (f->bed->fabric, "10.88.0.100", 9001);
  shell (f->bed->hosts[1].netns, "ip route add default via 10.88.0.100"); /* any source may be there, for its filter of reverse paths */
  shell (task, "ip addr add 172.31.0.1/32 dev lo");
  send_from (task, "172.31.0.1", "fake");
  send_from (task, "10.88.101.11", "true");
  assert_first (outside, "true");
}

/* A packet of @text to the task "alone", as its network's VXLAN carries it; sent from @netns to @host. */
static void
send_vxlan (int netns, const char *host, const char *text)
{
  struct {
    guint32 flags;
    guint32 vni;
    struct ether_header ether;
    struct iphdr ip;
    struct udphdr udp;
    char text[4];
  } __attribute__ ((packed)) frame = { .flags = htonl (0x08000000), .vni = htonl (4098 << 8) };
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (4789), .sin_addr = { inet_addr (host) } };
  guint16 words[10];
  guint32 sum = 0;
  mac_of (frame.ether.ether_dhost, "10.88.18.12");
  mac_of (frame.ether.ether_shost, "10.88.18.99");
  frame.ether.ether_type = htons (ETHERTYPE_IP);
  frame.ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons (sizeof frame.ip + sizeof frame.udp + sizeof frame.text), .ttl = 64,
                             .protocol = IPPROTO_UDP, .saddr = inet_addr ("10.88.18.99"), .daddr = inet_addr ("10.88.18.12") };
  memcpy (words, &frame.ip, sizeof words);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    sum += words[i];
  sum = (sum & 0xffff) + (sum >> 16);
  frame.ip.check = ~(sum + (sum >> 16));
  frame.udp = (struct udphdr){ .source = htons (7), .dest = htons (7000), .len = htons (sizeof frame.udp + sizeof frame.text) };
  memcpy (frame.text, text, sizeof frame.text);
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  g_assert_cmpint (sendto (fd, &frame, sizeof frame, 0, (struct sockaddr *) &to, sizeof to), ==, sizeof frame);
  close (fd);
}

/* A task is not taken for a host of the cluster: it would write into every network. The last packet comes from where hosts are: those before it would have
 * arrived, too. */
static void
test_vxlan_by_task (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  int task = bed_task (f->bed, 1, "task-1"), inside = bound_at (bed_task (f->bed, 1, "alone"), "10.88.18.12", 7000);
  send_vxlan (task, "10.88.101.1", "gate");
  send_vxlan (task, "10.88.0.1", "host");
  send_vxlan (f->bed->fabric, "10.88.0.1", "wire");
  assert_first (inside, "wire");
}

/* A host that forwarded nothing before forwards for its tasks now, and between its own links no more than before; a netd that is started again knows that. What
 * comes later is forwarded: who makes links for guests or containers wants it. */
static void
test_router (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  int host = f->bed->hosts[1].netns;
  bed_kill (f->bed, 1);
  shell (f->bed->fabric, "ip route add 192.0.2.0/24 via 10.88.0.1");
  shell (host, "nft flush ruleset && echo 0 > /proc/sys/net/ipv4/ip_forward && ip link add eth9 type veth peer name guest9 && ip addr add 192.0.2.1/25 dev eth9 &&"
               "ip link set eth9 up");
  bed_start (f->bed, 1);
  edit_port (f->out, FALSE, 6, 8080, 0);
  g_free (bed_send (f->bed, 1, f->out, 0));
  g_autofree char *forwards = bed_shell (host, "cat /proc/sys/net/ipv4/ip_forward");
  g_assert_cmpstr (forwards, ==, "1\n");
  bed_kill (f->bed, 1);
  bed_start (f->bed, 1);
  edit_port (f->out, TRUE, 6, 8080, 0);
  g_free (bed_send (f->bed, 1, f->out, 0));
  int inside = swarm_netd_netns_new (NULL);
  g_autofree char *move = g_strdup_printf ("ip link set guest9 netns /proc/%d/fd/%d", getpid (), inside);
  shell (host, move);
  shell (inside, "ip addr add 192.0.2.2/25 dev guest9 && ip link set guest9 up && ip route add default via 192.0.2.1");
  bed_patience = 2;
  bed_assert_answer (inside, "10.88.0.100", 9000, SOCK_STREAM, "timeout");
  bed_patience = 20;
  shell (host, "ip link set eth9 down && ip link set eth9 name eth8 && ip link set eth8 up");
  bed_assert_answer (inside, "10.88.0.100", 9000, SOCK_STREAM, "outside 192.0.2.2");
  bed_assert_answer (bed_task (f->bed, 1, "task-1"), "10.88.0.100", 9000, SOCK_STREAM, "outside 10.88.0.1");
  close (inside);
}

static void
assert_forwards (Fixture *f, const char *expected)
{
  g_autofree char *forwards = bed_shell (f->bed->hosts[1].netns, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding");
  g_assert_cmpstr (forwards, ==, expected);
}

static void
begin (Fixture *f)
{
  bed_begin (f->out, 1);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, SWARM_NETD_FULL);
  g_assert_cmpstr (errors, ==, "");
  assert_forwards (f, "1\n1\n");
}

static void
end (Fixture *f)
{
  g_autofree char *errors = bed_send (f->bed, 1, f->out, SWARM_NETD_FULL);
  g_assert_cmpstr (errors, ==, "");
}

/* When nothing is wanted any more the host forwards no more, if that was its tasks' doing and nobody else is there who may count on it. */
static void
test_give_back (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  int host = f->bed->hosts[1].netns;
  assert_forwards (f, "1\n1\n");
  end (f);
  assert_forwards (f, "0\n0\n");
  begin (f);
  bed_kill (f->bed, 1);
  bed_start (f->bed, 1);
  end (f);
  assert_forwards (f, "0\n0\n");
  begin (f);
  shell (host, "ip link add guests type bridge");
  end (f);
  assert_forwards (f, "1\n1\n");
  begin (f); /* it forwarded before: it does after it */
  end (f);
  shell (host, "ip link del guests");
  begin (f);
  end (f);
  assert_forwards (f, "1\n1\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/netd/guard/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("host", test_host);
  ADD ("from-outside", test_from_outside);
  ADD ("to-outside", test_to_outside);
  ADD ("foreign-source", test_foreign_source);
  ADD ("vxlan-by-task", test_vxlan_by_task);
  ADD ("router", test_router);
  ADD ("give-back", test_give_back);
  return g_test_run ();
}
