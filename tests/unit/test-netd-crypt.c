// SPDX-License-Identifier: LGPL-2.1-or-later
/* Encrypted networks between three hosts: nothing in clear, nothing from others, keys that change, netd that falls. The test is the cluster's store: it takes
 * each host's public keys to the others. */
#include "netd-bed.h"
#include "netd/netns.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLAIN 4097
#define SECRET 4098
#define MARKER "this must not be seen on the wire"

typedef struct {
  Bed *bed;
  GByteArray *out;
  GArray *known[BED_HOSTS + 1]; /* per host: its keys that the others have */
} Fixture;

static int
task (Fixture *f, guint host)
{
  g_autofree char *name = g_strdup_printf ("task-%u", host);
  return bed_task (f->bed, host, name);
}

static char *
address (guint net, guint host)
{
  return g_strdup_printf ("10.88.%u.%u1", net, host);
}

/* On each host a task in a plain (10.88.16) and an encrypted network (10.88.17, fd88:17::). */
static void
put_tasks (GByteArray *out, guint host)
{
  g_autofree char *task = g_strdup_printf ("task-%u", host);
  put_network (out, SECRET, SWARM_NETD_NETWORK_ENCRYPTED);
  put_sandbox (out, task);
  for (guint i = 1; i <= BED_HOSTS; i++) {
    g_autofree char *plain = address (16, i), *secret = address (17, i), *secret6 = g_strdup_printf ("fd88:17::%u1", i);
    put_endpoint (out, PLAIN, i, plain, NULL);
    put_endpoint (out, SECRET, i, secret, secret6);
    if (i == host) {
      put_interface (out, task, PLAIN, 0, plain, NULL);
      put_interface (out, task, SECRET, 1, secret, secret6);
    }
  }
}

static void
put_all (GByteArray *out, guint host)
{
  row (out, SWARM_NETD_TYPE_HOST, FALSE, &(SwarmNetdHost){ host, 4789, SWARM_NETD_WIREGUARD_PORT }, sizeof (SwarmNetdHost));
  for (guint i = 1; i <= BED_HOSTS; i++)
    put_node (out, i);
  put_network (out, PLAIN, 0);
  put_tasks (out, host);
}

/* WireGuard comes when it comes; all other errors are. */
static void
send_ok (Fixture *f, guint host, guint32 flags)
{
  g_autofree char *errors = bed_send (f->bed, host, f->out, flags);
  if (*errors != '\0' && strstr (errors, "its packets wait: WireGuard is being set up") == NULL)
    g_error ("host %u: %s", host, errors);
}

static gboolean
same_keys (const GArray *a, const GArray *b)
{
  return a->len == b->len && (a->len == 0 || memcmp (a->data, b->data, a->len * sizeof (SwarmNetdWireguard)) == 0);
}

/* Takes @from's keys to host @to. */
static void
bring_keys (Fixture *f, guint from, guint to)
{
  const GArray *now = f->bed->hosts[from].keys, *before = f->known[from];
  gboolean puts[2] = { FALSE, FALSE };
  guint newest = 0;
  for (guint i = 0; i < now->len; i++) {
    const SwarmNetdWireguard *key = &g_array_index (now, SwarmNetdWireguard, i);
    g_assert_cmpuint (key->node, ==, from);
    puts[key->slot] = TRUE;
    newest += key->flags == SWARM_NETD_WIREGUARD_NEWEST;
    row (f->out, SWARM_NETD_TYPE_WIREGUARD, FALSE, key, sizeof *key);
  }
  g_assert_cmpuint (newest, ==, now->len > 0); /* also while the next one is made, of which nobody is to hear yet */
  for (guint i = 0; i < before->len; i++) {
    const SwarmNetdWireguard *key = &g_array_index (before, SwarmNetdWireguard, i);
    if (!puts[key->slot])
      row (f->out, SWARM_NETD_TYPE_WIREGUARD, TRUE, key, sizeof *key);
  }
  send_ok (f, to, 0);
}

/* What the cluster does all the time. TRUE: @host's keys were new to it. */
static gboolean
carry_keys (Fixture *f, guint host)
{
  g_free (bed_listen (f->bed, host));
  if (same_keys (f->bed->hosts[host].keys, f->known[host]))
    return FALSE;
  for (guint to = 1; to <= BED_HOSTS; to++)
    if (to != host)
      bring_keys (f, host, to);
  g_array_set_size (f->known[host], 0);
  g_array_append_vals (f->known[host], f->bed->hosts[host].keys->data, f->bed->hosts[host].keys->len);
  return TRUE;
}

static void
assert_comes (Fixture *f, int netns, const char *to, int type, const char *expected)
{
  g_autofree char *answer = NULL;
  bed_patience = 1;
  for (guint i = 0; i < 60 && g_strcmp0 (answer, expected) != 0; i++) {
    g_free (answer);
    answer = bed_ask (netns, to, 80, type);
  }
  bed_patience = 20;
  g_assert_cmpstr (answer, ==, expected);
}

static gboolean
possible (void)
{
  g_autofree char *program = g_find_program_in_path ("wireguard-go");
  int tun = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun >= 0)
    close (tun);
  if (geteuid () == 0)
    g_mkdir ("/run/wireguard", 0755);
  return program != NULL && tun >= 0 && g_file_test ("/run/wireguard", G_FILE_TEST_IS_DIR);
}

static void
set_up (Fixture *f, gconstpointer rotation)
{
  f->out = g_byte_array_new ();
  bed_wireguard = "wireguard-go";
  bed_rotation = rotation != NULL ? rotation : "43200";
  for (guint host = 1; host <= BED_HOSTS; host++)
    f->known[host] = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWireguard));
  if (!possible ()) {
    g_test_skip ("needs root, wireguard-go and /dev/net/tun");
    return;
  }
  if ((f->bed = bed_new ()) == NULL)
    return;
  for (guint host = 1; host <= BED_HOSTS; host++) {
    put_all (f->out, host);
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
  for (guint host = 1; host <= BED_HOSTS; host++)
    g_array_unref (f->known[host]);
  g_byte_array_unref (f->out);
}

/* Everybody knows everybody, and it works. */
static void
meet (Fixture *f)
{
  for (guint host = 1; host <= BED_HOSTS; host++)
    g_assert_true (carry_keys (f, host));
  assert_comes (f, task (f, 1), "10.88.17.21", SOCK_STREAM, "web-2 10.88.17.11");
  assert_comes (f, task (f, 3), "10.88.17.21", SOCK_STREAM, "web-2 10.88.17.31");
  assert_comes (f, task (f, 1), "10.88.17.31", SOCK_STREAM, "web-3 10.88.17.11");
}

/* ---- the wire ---- */

static int
sniff (Fixture *f)
{
  g_assert_true (swarm_netd_netns_enter (f->bed->fabric, NULL));
  int fd = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons (ETH_P_ALL)), room = 8 * 1024 * 1024;
  swarm_netd_netns_leave ();
  g_assert_cmpint (fd, >=, 0);
  setsockopt (fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  return fd;
}

/* How many packets with the marker have gone by, and how many to UDP port 4789; both by now. */
static guint
seen (int fd, guint *vxlan)
{
  char packet[4096];
  guint marked = 0;
  ssize_t n;
  *vxlan = 0;
  while ((n = recv (fd, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
    marked += memmem (packet, n, MARKER, strlen (MARKER)) != NULL;
    *vxlan += n > 38 && memcmp (packet + 12, "\x08\x00", 2) == 0 && packet[23] == 17 && memcmp (packet + 36, "\x12\xb5", 2) == 0;
  }
  return marked;
}

static void
echo (int netns, const char *to)
{
  char text[sizeof MARKER], name[64];
  int fd = bed_open (netns, to, 80, SOCK_STREAM);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (recv (fd, name, sizeof name, 0), >, 0);
  g_assert_cmpint (send (fd, MARKER, strlen (MARKER), MSG_NOSIGNAL), ==, strlen (MARKER));
  g_assert_cmpint (recv (fd, text, strlen (MARKER), 0), ==, strlen (MARKER));
  close (fd);
}

/* More than any one packet holds, there and back. */
static void
echo_much (int netns, const char *to)
{
  g_autofree char *much = g_malloc (100 * 1024), *back = g_malloc (100 * 1024);
  memset (much, 'x', 100 * 1024);
  int fd = bed_connect (netns, to, 80);
  for (gsize sent = 0, got = 0; got < 100 * 1024;) {
    ssize_t n = sent < 100 * 1024 ? send (fd, much + sent, MIN (100 * 1024 - sent, 20000), MSG_NOSIGNAL) : 0;
    g_assert_cmpint (n, >=, 0);
    sent += n;
    while (got < sent) {
      n = recv (fd, back + got, sent - got, 0);
      g_assert_cmpint (n, >, 0);
      got += n;
    }
  }
  close (fd);
}

static void
test_overlay (Fixture *f, gconstpointer data)
{
  guint vxlan;
  if (f->bed == NULL)
    return;
  int wire = sniff (f);
  meet (f);
  g_assert_cmpuint (seen (wire, &vxlan), ==, 0);
  g_assert_cmpuint (vxlan, ==, 0);
  echo (task (f, 1), "10.88.17.21");
  echo (task (f, 1), "fd88:17::21");
  echo_much (task (f, 1), "10.88.17.21");
  echo_much (task (f, 2), "fd88:17::31");
  assert_comes (f, task (f, 3), "10.88.17.11", SOCK_DGRAM, "web-1 10.88.17.31");
  g_assert_cmpuint (seen (wire, &vxlan), ==, 0);
  g_assert_cmpuint (vxlan, ==, 0);
  echo (task (f, 1), "10.88.16.21"); /* the other network: we would see it */
  g_assert_cmpuint (seen (wire, &vxlan), >, 0);
  g_assert_cmpuint (vxlan, >, 0);
  close (wire);
}

/* ---- what is let in ---- */

static int
listen_in (Fixture *f, guint host)
{
  struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons (9999) };
  struct timeval limit = { .tv_usec = 200 * 1000 };
  g_assert_true (swarm_netd_netns_enter (task (f, host), NULL));
  int fd = socket (AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  g_assert_cmpint (bind (fd, (struct sockaddr *) &any, sizeof any), ==, 0);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

/* A VXLAN packet with a datagram of @number for port 9999 of host 1's task in the network 10.88.@net; its length. */
static gsize
forge (guint8 *packet, guint32 vni, guint net, guint32 number)
{
  guint8 udp[] = { 0x27, 0x0f, 0x27, 0x0f, 0, 12, 0, 0, number >> 24, number >> 16, number >> 8, number };
  guint8 head[] = { 8, 0, 0, 0, vni >> 16, vni >> 8, vni, 0 };
  guint8 ip[] = { 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 88, net, 99, 10, 88, net, 11 };
  g_autofree char *to = address (net, 1);
  guint32 sum = 0;
  memcpy (packet, head, 8);
  mac_of (packet + 8, to);
  memcpy (packet + 14, "\x02\x42\x66\x66\x66\x66\x08\x00", 8);
  for (guint i = 0; i < sizeof ip; i += 2)
    sum += ip[i] << 8 | ip[i + 1];
  sum = ~((sum & 0xffff) + (sum >> 16));
  ip[10] = sum >> 8;
  ip[11] = sum;
  memcpy (packet + 22, ip, sizeof ip);
  memcpy (packet + 22 + sizeof ip, udp, sizeof udp);
  return 22 + sizeof ip + sizeof udp;
}

/* Sends one from @netns, from @source (NULL: as it comes), to @to. TRUE: the task has got this one. Those of before may come late: WireGuard keeps
 * what is sent before it has met the other side. */
static gboolean
gets_in (int listening, int netns, const char *source, const char *to, guint32 vni, guint net)
{
  static guint32 number;
  guint8 packet[128];
  guint32 got = 0;
  gsize length = forge (packet, vni, net, ++number);
  struct sockaddr_in from = { .sin_family = AF_INET }, there = { .sin_family = AF_INET, .sin_port = htons (4789) };
  int on = 1;
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  setsockopt (fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on);
  if (source != NULL) {
    g_assert_cmpint (inet_pton (AF_INET, source, &from.sin_addr), ==, 1);
    g_assert_cmpint (bind (fd, (struct sockaddr *) &from, sizeof from), ==, 0);
  }
  g_assert_cmpint (inet_pton (AF_INET, to, &there.sin_addr), ==, 1);
  g_assert_cmpint (sendto (fd, packet, length, 0, (struct sockaddr *) &there, sizeof there), ==, (gssize) length);
  close (fd);
  while (recv (listening, &got, sizeof got, 0) == sizeof got)
    if (g_ntohl (got) == number)
      return TRUE;
  return FALSE;
}

/* What is wanted comes soon or never: some tries. */
static gboolean
comes_in (int listening, int netns, const char *source, const char *to, guint32 vni, guint net)
{
  for (guint i = 0; i < 150; i++)
    if (gets_in (listening, netns, source, to, vni, net))
      return TRUE;
  return FALSE;
}

static void
test_clear_text (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  meet (f);
  int listening = listen_in (f, 1);
  g_assert_true (comes_in (listening, f->bed->fabric, NULL, "10.88.0.1", PLAIN, 16)); /* so would the other */
  for (guint i = 0; i < 3; i++) {
    g_assert_false (gets_in (listening, f->bed->fabric, NULL, "10.88.0.1", SECRET, 17));
    g_assert_false (gets_in (listening, f->bed->hosts[2].netns, NULL, "10.88.0.1", SECRET, 17)); /* not from a host either */
  }
  g_free (bed_shell (f->bed->hosts[1].netns, "nft flush ruleset")); /* no firewall does it */
  g_assert_false (gets_in (listening, f->bed->fabric, NULL, "10.88.0.1", SECRET, 17));
  close (listening);
}

static void
test_foreign_vni (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  meet (f);
  int listening = listen_in (f, 1), inside = bed_stored (f->bed, 2, "crypt-netns");
  g_assert_true (comes_in (listening, inside, NULL, "10.83.0.1", SECRET, 17));
  for (guint i = 0; i < 3; i++) {
    g_assert_false (gets_in (listening, inside, NULL, "10.83.0.1", PLAIN, 16));
    g_assert_false (gets_in (listening, inside, NULL, "10.83.0.1", 4099, 17));
  }
  g_assert_true (comes_in (listening, inside, NULL, "10.83.0.1", SECRET, 17));
  close (listening);
}

/* A host cannot send as another one; one whose key is not known cannot send at all. */
static void
test_forged (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  for (guint from = 1; from <= BED_HOSTS; from++)
    for (guint to = 1; to <= BED_HOSTS; to++)
      if (to != from && (from != 3 || to != 1)) { /* host 1 does not hear of host 3's */
        g_free (bed_listen (f->bed, from));
        bring_keys (f, from, to);
      }
  int listening = listen_in (f, 1), inside = bed_stored (f->bed, 2, "crypt-netns"), stranger = bed_stored (f->bed, 3, "crypt-netns");
  g_assert_true (comes_in (listening, inside, "10.84.0.2", "10.83.0.1", SECRET, 17));
  for (guint i = 0; i < 3; i++) {
    g_assert_false (gets_in (listening, inside, "10.84.0.3", "10.83.0.1", SECRET, 17));
    g_assert_false (gets_in (listening, stranger, NULL, "10.83.0.1", SECRET, 17));
  }
  assert_comes (f, task (f, 3), "10.88.17.21", SOCK_STREAM, "web-2 10.88.17.31"); /* its WireGuard works */
  bring_keys (f, 3, 1);
  g_assert_true (comes_in (listening, stranger, NULL, "10.83.0.1", SECRET, 17));
  close (listening);
}

/* ---- without WireGuard ---- */

static void
test_fails_closed (Fixture *f, gconstpointer data)
{
  guint vxlan;
  if (f->bed == NULL)
    return;
  meet (f);
  g_autoptr (GArray) keys = g_array_copy (f->bed->hosts[1].keys);
  bed_kill (f->bed, 1); /* else it mends it */
  g_free (bed_shell (bed_stored (f->bed, 1, "crypt-netns"), "ip link del swg0"));
  int wire = sniff (f);
  bed_patience = 2;
  g_autofree char *cut = bed_ask (task (f, 1), "10.88.17.21", 80, SOCK_STREAM), *back = bed_ask (task (f, 2), "10.88.17.11", 80, SOCK_STREAM);
  g_assert_cmpstr (cut, ==, "timeout");
  g_assert_cmpstr (back, ==, "timeout");
  seen (wire, &vxlan);
  g_assert_cmpuint (vxlan, ==, 0);

  /* A netd that has no WireGuard says so, and leaves all else alone. */
  bed_wireguard = "/nonexistent";
  bed_start (f->bed, 1);
  g_autofree char *errors = NULL;
  for (guint i = 0; i < 600 && (errors == NULL || strstr (errors, "cannot be started") == NULL); i++) {
    g_free (errors);
    g_usleep (50 * 1000);
    errors = bed_listen (f->bed, 1);
  }
  if (!g_str_has_prefix (errors, "network 4098: it is encrypted, its packets wait: the kernel has no WireGuard, and wireguard-go cannot be started: "))
    g_error ("it says \"%s\"", errors);
  g_autofree char *still = bed_ask (task (f, 1), "10.88.17.21", 80, SOCK_STREAM);
  g_assert_cmpstr (still, ==, "timeout");
  seen (wire, &vxlan);
  g_assert_cmpuint (vxlan, ==, 0);
  assert_comes (f, task (f, 1), "10.88.16.21", SOCK_STREAM, "web-2 10.88.16.11");
  close (wire);

  bed_kill (f->bed, 1); /* with one it comes again, with the same key: nobody is told anything */
  bed_wireguard = "wireguard-go";
  bed_start (f->bed, 1);
  assert_comes (f, task (f, 1), "10.88.17.21", SOCK_STREAM, "web-2 10.88.17.11");
  g_free (bed_listen (f->bed, 1));
  g_assert_true (same_keys (keys, f->bed->hosts[1].keys));
}

/* ---- netd falls ---- */

static void
test_restart (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  meet (f);
  int open = bed_connect (task (f, 1), "10.88.17.21", 80);
  for (guint host = 1; host <= BED_HOSTS; host++)
    bed_kill (f->bed, host);
  bed_assert_alive (open);
  assert_comes (f, task (f, 3), "10.88.17.21", SOCK_STREAM, "web-2 10.88.17.31");
  for (guint host = 1; host <= BED_HOSTS; host++)
    bed_start (f->bed, host);
  bed_assert_alive (open);
  assert_comes (f, task (f, 1), "10.88.17.31", SOCK_STREAM, "web-3 10.88.17.11");
  for (guint host = 1; host <= BED_HOSTS; host++) {
    send_ok (f, host, 0);
    g_assert_true (same_keys (f->known[host], f->bed->hosts[host].keys));
  }
  bed_assert_alive (open);

  g_free (bed_shell (bed_stored (f->bed, 1, "crypt-netns"), "ip link del swg0")); /* wireguard-go falls: mended by itself */
  bed_assert_alive (open);
  assert_comes (f, task (f, 1), "10.88.17.31", SOCK_STREAM, "web-3 10.88.17.11");
}

/* ---- keys change ---- */

/* All hosts change their keys every four seconds, at the same time; a connection goes on through it all. */
static void
test_rotation (Fixture *f, gconstpointer data)
{
  guint changes[BED_HOSTS + 1] = { 0 }, twos = 0, ones = 0;
  gint64 slowest = 0;
  if (f->bed == NULL)
    return;
  meet (f);
  int open = bed_connect (task (f, 1), "10.88.17.21", 80), other = bed_connect (task (f, 3), "fd88:17::11", 80);
  for (guint i = 0; i < 3000 && (changes[1] < 4 || changes[2] < 4 || changes[3] < 4); i++) {
    for (guint host = 1; host <= BED_HOSTS; host++) {
      changes[host] += carry_keys (f, host);
      *(f->bed->hosts[host].keys->len == 2 ? &twos : &ones) += 1;
    }
    gint64 begun = g_get_monotonic_time ();
    bed_assert_alive (open);
    bed_assert_alive (other);
    slowest = MAX (slowest, g_get_monotonic_time () - begun);
    g_usleep (20 * 1000);
  }
  g_test_message ("the slowest of the answers came after %.0f ms", slowest / 1e3);
  for (guint host = 1; host <= BED_HOSTS; host++)
    g_assert_cmpuint (changes[host], >=, 4); /* a new one comes, the old one goes: two changes a rotation */
  g_assert_cmpuint (twos, >, 0);
  g_assert_cmpuint (ones, >, 0);
}

/* A host that hears of nothing (no way to the managers) while another one changes its key: packets go on by the old one. */
static void
test_rotation_unheard (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  meet (f);
  int open = bed_connect (task (f, 1), "10.88.17.21", 80);
  bed_kill (f->bed, 1);
  bed_kill (f->bed, 3);
  for (guint i = 0; i < 3000 && f->bed->hosts[2].keys->len < 2; i++) {
    g_free (bed_listen (f->bed, 2));
    g_usleep (20 * 1000);
  }
  g_assert_cmpuint (f->bed->hosts[2].keys->len, ==, 2);
  for (guint i = 0; i < 10; i++) {
    bed_assert_alive (open);
    g_usleep (50 * 1000);
  }
  bed_start (f->bed, 1);
  bed_start (f->bed, 3);
  carry_keys (f, 2);
  bed_assert_alive (open);
}

/* Nothing is left of it when the last encrypted network goes. */
static void
test_nothing_left (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  meet (f);
  g_autofree char *socket = g_build_filename (f->bed->hosts[1].sockets, "swg0.sock", NULL);
  g_assert_true (g_file_test (socket, G_FILE_TEST_EXISTS));
  row (f->out, SWARM_NETD_TYPE_HOST, FALSE, &(SwarmNetdHost){ 1, 4789, 0 }, sizeof (SwarmNetdHost));
  for (guint i = 1; i <= BED_HOSTS; i++)
    put_node (f->out, i);
  put_network (f->out, PLAIN, 0);
  send_ok (f, 1, SWARM_NETD_FULL);
  g_assert_cmpuint (f->bed->hosts[1].keys->len, ==, 0);
  g_assert_cmpint (bed_stored (f->bed, 1, "crypt-netns"), <, 0);
  g_assert_cmpint (bed_stored (f->bed, 1, "crypt-key-0"), <, 0);
  for (guint i = 0; i < 6000 && g_file_test (socket, G_FILE_TEST_EXISTS); i++)
    g_usleep (10 * 1000);
  g_assert_false (g_file_test (socket, G_FILE_TEST_EXISTS));
  g_autofree char *links = bed_shell (f->bed->hosts[1].netns, "ip -o link | grep -c -e swg[01] -e 4098");
  g_assert_cmpstr (links, ==, "0\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, rotation, func) g_test_add ("/netd/crypt/" path, Fixture, rotation, set_up, func, tear_down)
  ADD ("overlay", NULL, test_overlay);
  ADD ("clear-text", NULL, test_clear_text);
  ADD ("foreign-vni", NULL, test_foreign_vni);
  ADD ("forged", NULL, test_forged);
  ADD ("fails-closed", NULL, test_fails_closed);
  ADD ("restart", NULL, test_restart);
  ADD ("rotation", "4", test_rotation);
  ADD ("rotation-unheard", "3", test_rotation_unheard);
  ADD ("nothing-left", NULL, test_nothing_left);
  return g_test_run ();
}
