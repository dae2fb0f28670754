// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names in task namespaces: answered by netd, by UDP and TCP; others are asked of the servers outside. */
#include "netd-bed.h"
#include "netd/dns.h"
#include "netd/names.h"
#include "netd/netns.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A query for @name; its length. */
static gsize
query (guint8 *out, const char *name, guint16 type, gboolean edns)
{
  static const guint8 header[12] = { 0x12, 0x34, 0x01, 0, 0, 1 };
  static const guint8 opt[11] = { 0, 0, 41, 0x10, 0 };
  guint8 *at = out + 12;
  memcpy (out, header, 12);
  g_auto (GStrv) labels = g_strsplit (name, ".", -1);
  for (guint i = 0; labels[i] != NULL; i++) {
    *at++ = strlen (labels[i]);
    memcpy (at, labels[i], strlen (labels[i]));
    at += strlen (labels[i]);
  }
  *at++ = 0;
  *at++ = type >> 8, *at++ = type & 255, *at++ = 0, *at++ = 1;
  if (edns) {
    memcpy (at, opt, sizeof opt);
    at += sizeof opt;
    out[11] = 1;
  }
  return at - out;
}

static int
by_text (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* "0 10.0.0.1 10.0.0.2": the code and the addresses of an answer, "TC" when it was cut. */
static char *
describe (const guint8 *answer, gsize length)
{
  SwarmNetdQuestion q;
  g_autofree guint8 *as_query = g_memdup2 (answer, length);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  as_query[2] &= 0x7f;
  g_assert_true (swarm_netd_dns_parse (as_query, length, &q));
  for (gsize at = q.end; at + 12 <= length;) {
    gsize n = answer[at + 10] << 8 | answer[at + 11];
    char text[64];
    g_ptr_array_add (texts, g_strdup (inet_ntop (n == 4 ? AF_INET : AF_INET6, answer + at + 12, text, sizeof text)));
    at += 12 + n;
  }
  g_assert_cmpuint (texts->len, ==, answer[6] << 8 | answer[7]);
  if (texts->len > 0)
    qsort (texts->pdata, texts->len, sizeof (gpointer), by_text);
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "%u%s", answer[3] & 15, answer[2] & 2 ? " TC" : "");
  for (guint i = 0; i < texts->len; i++)
    g_string_append_printf (out, " %s", (char *) texts->pdata[i]);
  return g_string_free (out, FALSE);
}

static void
test_format (void)
{
  guint8 message[512], out[65536];
  SwarmNetdQuestion q;
  SwarmNetdAddress addresses[60];
  gsize n = query (message, "Tasks.My-Web", SWARM_NETD_DNS_A, FALSE);
  g_assert_true (swarm_netd_dns_parse (message, n, &q));
  g_assert_cmpstr (q.name, ==, "tasks.my-web");
  g_assert_cmpuint (q.room, ==, 512);
  for (gsize cut = 0; cut < n; cut++)
    g_assert_false (swarm_netd_dns_parse (message, cut, &q));
  g_assert_true (swarm_netd_dns_parse (message, n, &q));
  for (guint i = 0; i < 60; i++) {
    g_autofree char *text = g_strdup_printf ("10.0.0.%u", i + 1);
    addresses[i] = addr (i % 2 ? "fd00::1" : text);
  }
  gsize length = swarm_netd_dns_answer (message, &q, 0, addresses, 60, 512, out);
  g_assert_cmpuint (length, <=, 512);
  g_autofree char *cut_off = describe (out, length);
  g_assert_true (g_str_has_prefix (cut_off, "0 TC 10.0.0."));
  length = swarm_netd_dns_answer (message, &q, 0, addresses, 60, 65535, out);
  g_assert_cmpuint (out[7], ==, 30);
  g_assert_true (swarm_netd_dns_matches (message, n, out, length));
  out[0] ^= 1;
  g_assert_false (swarm_netd_dns_matches (message, n, out, length));
  n = query (message, "x", SWARM_NETD_DNS_AAAA, TRUE);
  g_assert_true (swarm_netd_dns_parse (message, n, &q));
  g_assert_cmpuint (q.room, ==, SWARM_NETD_DNS_UDP_MAX);
  message[13] = '.'; /* a dot inside a label would be another name */
  g_assert_false (swarm_netd_dns_parse (message, n, &q));
  message[2] |= 0x80; /* an answer is no question: two responders would talk for ever */
  g_assert_false (swarm_netd_dns_parse (message, n, &q));
}

static void
test_index (void)
{
  SwarmNetdNames *names = swarm_netd_names_new ();
  g_autofree SwarmNetdName *name = g_malloc0 (sizeof *name + 8);
  guint n;
  *name = (SwarmNetdName){ .vni = 5, .address = addr ("10.0.0.1") };
  strcpy (name->name, "web");
  swarm_netd_names_add (names, name);
  swarm_netd_names_add (names, name);
  g_assert_nonnull (swarm_netd_names_find (names, 5, "web", &n));
  g_assert_cmpuint (n, ==, 1);
  g_assert_null (swarm_netd_names_find (names, 6, "web", &n));
  name->address = addr ("10.0.0.2");
  swarm_netd_names_add (names, name);
  swarm_netd_names_find (names, 5, "web", &n);
  g_assert_cmpuint (n, ==, 2);
  swarm_netd_names_remove (names, name);
  swarm_netd_names_remove (names, name);
  name->address = addr ("10.0.0.1");
  swarm_netd_names_remove (names, name);
  g_assert_null (swarm_netd_names_find (names, 5, "web", &n));
  swarm_netd_names_free (names);
}

/* ---- in namespaces ---- */

#define WORLD6 "::" /* bound to everything, of IPv6 */

/* A socket in @netns for @client_of (connected) or everything (bound, with NULL or WORLD6) at port 53. */
static int
dns_socket (int netns, int type, const char *client_of)
{
  gboolean v6 = client_of != NULL && strchr (client_of, ':') != NULL, server = client_of == NULL || strcmp (client_of, WORLD6) == 0;
  struct sockaddr_in v4_address = { .sin_family = AF_INET, .sin_port = htons (53), .sin_addr = { server ? 0 : inet_addr (client_of) } };
  struct sockaddr_in6 v6_address = { .sin6_family = AF_INET6, .sin6_port = htons (53) };
  const struct sockaddr *address = v6 ? (struct sockaddr *) &v6_address : (struct sockaddr *) &v4_address;
  socklen_t size = v6 ? sizeof v6_address : sizeof v4_address;
  struct timeval limit = { .tv_sec = bed_patience };
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
  setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof (int));
  swarm_netd_netns_leave ();
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (v6)
    inet_pton (AF_INET6, client_of, &v6_address.sin6_addr);
  int r = server ? bind (fd, address, size) : connect (fd, address, size);
  g_assert_cmpint (r, ==, 0);
  if (server && type == SOCK_STREAM)
    listen (fd, 8);
  return fd;
}

static char *
resolve (int netns, const char *server, const char *name, guint16 type, gboolean tcp)
{
  guint8 message[514], answer[65537];
  gsize n = query (message + 2, name, type, FALSE);
  int fd = dns_socket (netns, tcp ? SOCK_STREAM : SOCK_DGRAM, server);
  message[0] = n >> 8, message[1] = n;
  g_assert_cmpint (tcp ? send (fd, message, n + 2, 0) : send (fd, message + 2, n, 0), >, 0);
  ssize_t length = 0, more;
  do {
    more = recv (fd, answer + length, sizeof answer - length, 0);
    length += MAX (more, 0);
  } while (tcp && more > 0 && (length < 2 || length < 2 + (answer[0] << 8 | answer[1])));
  close (fd);
  if (more <= 0)
    return g_strdup ("nothing");
  return describe (answer + (tcp ? 2 : 0), length - (tcp ? 2 : 0));
}

static void
assert_resolves_by (int netns, const char *server, const char *name, guint16 type, const char *expected)
{
  for (gboolean tcp = FALSE; tcp <= TRUE; tcp++) {
    g_autofree char *answer = resolve (netns, server, name, type, tcp);
    if (strcmp (answer, expected) != 0)
      g_error ("%s type %u by %s at %s: \"%s\", not \"%s\"", name, type, tcp ? "tcp" : "udp", server, answer, expected);
  }
}

#define US "127.0.0.11"

static void
assert_resolves (int netns, const char *name, guint16 type, const char *expected)
{
  assert_resolves_by (netns, US, name, type, expected);
}

/* The world's DNS on the wire: everything is at 192.0.2.1. */
static GPid
serve_world_at (int netns, const char *at)
{
  int udp = dns_socket (netns, SOCK_DGRAM, at), tcp = dns_socket (netns, SOCK_STREAM, at);
  GPid pid = fork ();
  SwarmNetdAddress address = addr ("192.0.2.1");
  while (pid == 0) {
    struct pollfd p[2] = { { udp, POLLIN, 0 }, { tcp, POLLIN, 0 } };
    struct sockaddr_storage client;
    socklen_t size = sizeof client;
    guint8 message[1024], out[1024];
    SwarmNetdQuestion q;
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    poll (p, 2, -1);
    gboolean by_tcp = p[0].revents == 0;
    int fd = by_tcp ? accept (tcp, NULL, NULL) : udp;
    ssize_t n = recvfrom (fd, message, sizeof message, 0, (struct sockaddr *) &client, &size);
    guint skip = by_tcp ? 2 : 0;
    if (n > skip && swarm_netd_dns_parse (message + skip, n - skip, &q)) {
      gsize length = swarm_netd_dns_answer (message + skip, &q, 0, &address, 1, 512, out + skip);
      out[0] = by_tcp ? length >> 8 : out[0], out[1] = by_tcp ? length : out[1];
      sendto (fd, out, length + skip, MSG_NOSIGNAL, by_tcp ? NULL : (struct sockaddr *) &client, by_tcp ? 0 : size);
    }
    if (by_tcp)
      close (fd);
  }
  close (udp);
  close (tcp);
  return pid;
}

static GPid
serve_world (int netns)
{
  return serve_world_at (netns, NULL);
}

static void
put_two_tasks (GByteArray *out)
{
  bed_begin (out, 1);
  put_network (out, 4098, 0);
  put_sandbox (out, "open");
  put_interface (out, "open", 4097, 0, "10.88.16.11", NULL);
  put_interface (out, "open", 0, 1, "10.88.101.11", NULL);
  put_sandbox (out, "closed");
  put_interface (out, "closed", 4098, 0, "10.88.17.11", NULL);
  SwarmNetdResolver resolver = { .sandbox = ident ("open"), .address = addr ("10.88.0.100") };
  row (out, SWARM_NETD_TYPE_RESOLVER, FALSE, &resolver, sizeof resolver);
  edit_name (out, FALSE, 4097, "my-web", "10.88.16.2");
  edit_name (out, FALSE, 4097, "my-web", "fd88:16::2");
  edit_name (out, FALSE, 4097, "tasks.my-web", "10.88.16.21");
  edit_name (out, FALSE, 4097, "tasks.my-web", "10.88.16.22");
  edit_name (out, FALSE, 4098, "db", "10.88.17.2");
  edit_name (out, FALSE, 4098, "cache", "10.88.17.3");
  put_sandbox (out, "both");
  put_interface (out, "both", 4097, 0, "10.88.16.12", NULL);
  put_interface (out, "both", 4098, 1, "10.88.17.12", NULL);
  edit_name (out, FALSE, 4097, "db", "fd88:16::3");
}

static void
test_in_tasks (void)
{
  Bed *bed = bed_new ();
  if (bed == NULL)
    return;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  put_two_tasks (out);
  g_autofree char *errors = bed_send (bed, 1, out, SWARM_NETD_FULL);
  g_assert_cmpstr (errors, ==, "");
  GPid world = serve_world (bed->fabric);
  g_array_append_val (bed->children, world);
  int open = bed_task (bed, 1, "open"), closed = bed_task (bed, 1, "closed");

  assert_resolves (open, "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves (open, "My-WEB", SWARM_NETD_DNS_AAAA, "0 fd88:16::2");
  assert_resolves (open, "tasks.my-web", SWARM_NETD_DNS_A, "0 10.88.16.21 10.88.16.22");
  assert_resolves (open, "tasks.my-web", SWARM_NETD_DNS_AAAA, "0");
  assert_resolves (open, "db", SWARM_NETD_DNS_A, "0"); /* there is one, but not of IPv4 */
  assert_resolves (open, "cache", SWARM_NETD_DNS_A, "0 192.0.2.1"); /* another network's name is the world's matter */
  assert_resolves (bed_task (bed, 1, "both"), "db", SWARM_NETD_DNS_A, "0 10.88.17.2"); /* each family in the first network that has it */
  assert_resolves (bed_task (bed, 1, "both"), "db", SWARM_NETD_DNS_AAAA, "0 fd88:16::3");
  assert_resolves (open, "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  assert_resolves (closed, "db", SWARM_NETD_DNS_A, "0 10.88.17.2");
  assert_resolves (closed, "my-web", SWARM_NETD_DNS_A, "3");
  assert_resolves (closed, "example.org", SWARM_NETD_DNS_A, "3"); /* no way out, not by names either */

  int own = dns_socket (open, SOCK_DGRAM, NULL); /* a task that binds port 53 */
  assert_resolves (open, "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  close (own);
  edit_name (out, TRUE, 4097, "tasks.my-web", "10.88.16.22");
  g_free (bed_send (bed, 1, out, 0));
  assert_resolves (open, "tasks.my-web", SWARM_NETD_DNS_A, "0 10.88.16.21");
  /* A question that comes while netd is away waits for the next one; without the agent. */
  guint8 message[512], answer[512];
  gsize n = query (message, "my-web", SWARM_NETD_DNS_A, FALSE);
  int waiting = dns_socket (open, SOCK_DGRAM, US);
  bed_kill (bed, 1);
  g_assert_cmpint (send (waiting, message, n, 0), ==, n);
  bed_start (bed, 1);
  ssize_t length = recv (waiting, answer, sizeof answer, 0);
  g_assert_cmpint (length, >, 0);
  g_autofree char *late = describe (answer, length);
  g_assert_cmpstr (late, ==, "0 10.88.16.2");
  assert_resolves (open, "tasks.my-web", SWARM_NETD_DNS_A, "0 10.88.16.21");
  bed_free (bed);
}

/* A container of the host's own: its resolv.conf is in a root of its own, as @file puts it there (a shell command in that root). */
static GPid
a_container (const char *root, const char *file)
{
  int ready[2];
  char byte;
  g_autofree char *command = g_strdup_printf ("mkdir -p %1$s/etc && cd %1$s/etc && rm -f resolv.conf && %2$s", root, file);
  g_assert_cmpint (system (command), ==, 0);
  g_assert_cmpint (pipe (ready), ==, 0);
  GPid pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (unshare (CLONE_NEWNET) < 0 || system ("ip link set lo up") != 0 || chroot (root) != 0 || write (ready[1], "", 1) != 1)
      _exit (1);
    pause ();
  }
  close (ready[1]);
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  close (ready[0]);
  return pid;
}

/* It gets a way to the world of its own, which the host does not have; and it is attached to network 4097. */
static int
attach (Bed *bed, GByteArray *out, GPid pid)
{
  SwarmNetdSandbox sandbox = { ident ("container"), SWARM_NETD_SANDBOX_ATTACH, pid, swarm_netd_process_start (pid) };
  g_autofree char *path = g_strdup_printf ("/proc/%d/ns/net", pid);
  g_autofree char *wire = g_strdup_printf ("ip link add wan%d type veth peer name eth0 netns %d && ip addr add 172.30.0.1/24 dev wan%d && ip link set wan%d up", pid, pid, pid, pid);
  int netns = open (path, O_RDONLY | O_CLOEXEC);
  g_free (bed_shell (bed->fabric, wire));
  g_free (bed_shell (netns, "ip addr add 172.30.0.2/24 dev eth0 && ip link set eth0 up"));
  row (out, SWARM_NETD_TYPE_SANDBOX, FALSE, &sandbox, sizeof sandbox);
  put_interface (out, "container", 4097, 101, "10.88.16.31", NULL);
  g_autofree char *errors = bed_send (bed, 1, out, 0);
  g_assert_cmpstr (errors, ==, "");
  return netns;
}

static void
end_container (Bed *bed, GByteArray *out, GPid pid, int netns)
{
  SwarmNetdSandbox sandbox = { .id = ident ("container") };
  SwarmNetdInterface interface = { .sandbox = ident ("container"), .vni = 4097 };
  g_autofree char *unwire = g_strdup_printf ("ip link delete wan%d", pid);
  row (out, SWARM_NETD_TYPE_SANDBOX, TRUE, &sandbox, sizeof sandbox);
  row (out, SWARM_NETD_TYPE_INTERFACE, TRUE, &interface, sizeof interface);
  g_free (bed_send (bed, 1, out, 0));
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 192.0.2.1"); /* and thus nothing of it is left */
  g_free (bed_shell (bed->fabric, unwire));
  close (netns);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* A container that is attached finds the cluster's names at the servers which it asks anyway; and all others there, asked from where it is. */
static void
test_attached (void)
{
  Bed *bed = bed_new ();
  if (bed == NULL)
    return;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autofree char *root = g_dir_make_tmp ("swarm-test-XXXXXX", NULL);
  put_two_tasks (out);
  g_free (bed_send (bed, 1, out, SWARM_NETD_FULL));
  GPid world = serve_world (bed->fabric);
  g_array_append_val (bed->children, world);

  GPid pid = a_container (root, "printf 'search x\\nnameserver fd00::99\\nnameserver 127.0.0.11\\nnameserver 172.30.0.1\\n' > resolv.conf");
  int netns = attach (bed, out, pid);
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves_by (netns, "172.30.0.1", "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  assert_resolves_by (netns, "172.30.0.1", "cache", SWARM_NETD_DNS_A, "0 192.0.2.1");
  assert_resolves (netns, "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves (netns, "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  bed_kill (bed, 1);
  bed_start (bed, 1);
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves_by (netns, "172.30.0.1", "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  end_container (bed, out, pid, netns);

  /* Its file is its own: a link leads into its own root, and what is no file is left alone. */
  pid = a_container (root, "mkdir -p ../run/it ../usr && ln -sfn /etc/../run ../usr/run && ln -s ../../usr/run/it/there resolv.conf && echo 'nameserver 172.30.0.1' > ../run/it/there");
  netns = attach (bed, out, pid);
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  end_container (bed, out, pid, netns);
  pid = a_container (root, "ln -s resolv.conf resolv.conf");
  netns = attach (bed, out, pid);
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 192.0.2.1");
  end_container (bed, out, pid, netns);
  pid = a_container (root, "mkfifo resolv.conf");
  netns = attach (bed, out, pid);
  assert_resolves_by (netns, "172.30.0.1", "my-web", SWARM_NETD_DNS_A, "0 192.0.2.1");
  assert_resolves (netns, "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  end_container (bed, out, pid, netns);
  bed_free (bed);
  g_autofree char *remove = g_strdup_printf ("rm -r %s", root);
  g_assert_cmpint (system (remove), ==, 0);
}

/* Also one whose servers have IPv6 alone. */
static void
test_attached_v6 (void)
{
  Bed *bed = bed_new ();
  if (bed == NULL)
    return;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autofree char *root = g_dir_make_tmp ("swarm-test-XXXXXX", NULL);
  put_two_tasks (out);
  g_free (bed_send (bed, 1, out, SWARM_NETD_FULL));
  GPid world = serve_world (bed->fabric), world6 = serve_world_at (bed->fabric, WORLD6);
  g_array_append_val (bed->children, world);
  g_array_append_val (bed->children, world6);
  GPid pid = a_container (root, "printf 'nameserver fe80::1%%eth0\\nnameserver fd00:9::1\\n' > resolv.conf");
  int netns = attach (bed, out, pid);
  g_autofree char *wire = g_strdup_printf ("ip addr add fd00:9::1/64 dev wan%d nodad", pid);
  g_free (bed_shell (bed->fabric, wire));
  g_free (bed_shell (netns, "ip addr add fd00:9::2/64 dev eth0 nodad"));
  assert_resolves_by (netns, "fd00:9::1", "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves_by (netns, "fd00:9::1", "my-web", SWARM_NETD_DNS_AAAA, "0 fd88:16::2");
  assert_resolves_by (netns, "fd00:9::1", "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  bed_kill (bed, 1);
  bed_start (bed, 1);
  g_free (bed_send (bed, 1, out, 0)); /* it stands at another port then, which is known when all is as wanted again */
  assert_resolves_by (netns, "fd00:9::1", "my-web", SWARM_NETD_DNS_A, "0 10.88.16.2");
  assert_resolves_by (netns, "fd00:9::1", "example.org", SWARM_NETD_DNS_A, "0 192.0.2.1");
  end_container (bed, out, pid, netns);
  bed_free (bed);
  g_autofree char *remove = g_strdup_printf ("rm -r %s", root);
  g_assert_cmpint (system (remove), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/netd/names/format", test_format);
  g_test_add_func ("/netd/names/index", test_index);
  g_test_add_func ("/netd/names/in-tasks", test_in_tasks);
  g_test_add_func ("/netd/names/attached", test_attached);
  g_test_add_func ("/netd/names/attached-v6", test_attached_v6);
  return g_test_run ();
}
