// SPDX-License-Identifier: LGPL-2.1-or-later
/* The data plane against a direct connection: three hosts as network namespaces of this machine, each with its real swarm-netd, and beside them two plain
 * hosts that do the same without it. All that is compared is measured in turns; figures are medians. Needs root, wrk, nginx and iperf3; SWARM_NETD is the
 * program. tests/bench/network runs it.
 *   bench-network [--rounds N] [PART…]     parts: requests stream hosts services (all of them) */
#include "../unit/netd-bed.h"
#include "bench-figures.h"
#include "bench-load.h"
#include "netd/conntrack.h"
#include "netd/netns.h"
#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VIP "10.88.16.2"
#define TASK "10.88.16.21"
#define DIRECT "http://" TASK ":81/" /* another port than by VIP: the server has thousands of closed connections, whose ports those by the other way must not meet */
#define CHANGES 100

typedef struct {
  Bed *bed;
  GByteArray *out;
  char *dir;
  int plain[3], container[3]; /* hosts 10.88.0.4 to .6 without swarm-netd, and a container on each */
  GPid nginx_task, nginx_container, nginx_host, nginx_dnat;
  guint rounds;
  guint nodes; /* that the hosts know: up to which number */
  guint services; /* beside the one that is asked */
} World;

/* One way from a client to a server. */
typedef struct {
  const char *name;
  const char *peers[2]; /* what it is compared with */
  int client;
  const char *url;
  GPid server;
} Way;

static void
send_to (World *w, guint host, guint32 flags)
{
  g_autofree char *errors = bed_send (w->bed, host, w->out, flags);
  if (*errors != '\0')
    g_error ("host %u: %s", host, errors);
}

static char *
sub_directory (World *w, const char *name)
{
  char *path = g_build_filename (w->dir, name, NULL);
  g_mkdir (path, 0755);
  return path;
}

static GPid
nginx_in (World *w, int netns, const char *name)
{
  g_autofree char *path = sub_directory (w, name);
  return load_nginx (netns, path);
}

/* ---- the hosts ---- */

/* On each host a task at 10.88.16.H1, 10.88.(100+H).H1 towards the gateway; host 3 has ten. The one on host 2 serves, behind VIP and as port 8080. */
static void
set_up_host (World *w, guint host)
{
  bed_begin (w->out, host);
  for (guint i = 1; i <= BED_HOSTS; i++) {
    g_autofree char *address = g_strdup_printf ("10.88.16.%u1", i);
    put_endpoint (w->out, 4097, i, address, NULL);
  }
  edit_service (w->out, FALSE, 4097, VIP, 0);
  edit_backend (w->out, FALSE, 4097, VIP, TASK, 0);
  edit_port (w->out, FALSE, 6, 8080, 0);
  edit_port_backend (w->out, FALSE, 6, 8080, "10.88.102.21", 80, 0);
  send_to (w, host, SWARM_NETD_FULL);
  for (guint i = 0; i < (host == 3 ? 10 : 1); i++) { /* one at a time: the bed reads what is for systemd after each batch */
    g_autofree char *task = g_strdup_printf ("task-%u-%u", host, i), *address = g_strdup_printf ("10.88.16.%u", host * 10 + 1 + i);
    g_autofree char *gateway = g_strdup_printf ("10.88.%u.%u", 100 + host, host * 10 + 1 + i);
    put_sandbox (w->out, task);
    put_interface (w->out, task, 4097, 0, address, NULL);
    put_interface (w->out, task, 0, 1, gateway, NULL);
    send_to (w, host, 0);
  }
}

static int
client_task (World *w)
{
  return bed_task (w->bed, 1, "task-1-0");
}

static int
server_task (World *w)
{
  return bed_task (w->bed, 2, "task-2-0");
}

/* Hosts by hand, as lean as it goes: 4 and 5 without any rule. From outside the container of 4 is reached at 10.77.0.2 by its own host, and at 10.77.0.3 by
 * host 5 and a VXLAN, there and back; from the container of 5 at 10.78.0.2, in a VXLAN of its own. The one of 6 is reached by the one rule of a published
 * port. */
static void
set_up_plain (World *w)
{
  g_autoptr (GError) error = NULL;
  for (guint i = 0; i < 3; i++) {
    if ((w->plain[i] = swarm_netd_netns_new (&error)) < 0 || (w->container[i] = swarm_netd_netns_new (&error)) < 0)
      g_error ("%s", error->message);
    load_shell (w->bed->fabric, "ip link add pp%1$u mtu 1500 master wire type veth peer name eth0 mtu 1500 netns /proc/%2$d/fd/%3$d; ip link set pp%1$u up", 4 + i,
                getpid (), w->plain[i]);
    load_shell (w->plain[i], "ip link set eth0 up; ip addr add 10.88.0.%1$u/24 dev eth0; echo 1 > /proc/sys/net/ipv4/ip_forward\n"
                "ip link add gate mtu 1450 type bridge; ip link set gate up; ip addr add 10.%2$u.0.1/24 dev gate\n"
                "ip link add c mtu 1450 master gate type veth peer name eth0 mtu 1450 netns /proc/%3$d/fd/%4$d; ip link set c up\n"
                "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done", 4 + i, i == 2 ? 79 : 77 + i * 10, getpid (), w->container[i]);
    load_shell (w->container[i], "ip link set eth0 up; ip addr add 10.%1$u.0.2/24 dev eth0; ip route add default via 10.%1$u.0.1", i == 2 ? 79 : 77 + i * 10);
  }
  for (guint i = 0; i < 2; i++) {
    load_shell (w->plain[i], "ip link add vx mtu 1450 type vxlan id 99 local 10.88.0.%1$u remote 10.88.0.%2$u dstport 4790; ip link set vx up\n"
                "ip addr add 10.76.0.%1$u/24 dev vx; echo 0 > /proc/sys/net/ipv4/conf/vx/rp_filter\n"
                "ip link add inner mtu 1450 type bridge; ip link set inner up\n"
                "ip link add vx2 mtu 1450 master inner type vxlan id 98 local 10.88.0.%1$u remote 10.88.0.%2$u dstport 4790; ip link set vx2 up\n"
                "ip link add c2 mtu 1450 master inner type veth peer name eth1 mtu 1450 netns /proc/%3$d/fd/%4$d; ip link set c2 up", 4 + i, 5 - i, getpid (),
                w->container[i]);
    load_shell (w->container[i], "ip link set eth1 up; ip addr add 10.78.0.%u/24 dev eth1", 2 + i);
  }
  load_shell (w->container[0], "ip addr add 10.77.0.3/24 dev eth0");
  load_shell (w->plain[0], "ip rule add iif gate from 10.77.0.3 lookup 77; ip route add default via 10.76.0.5 table 77");
  load_shell (w->plain[1], "ip route add 10.77.0.0/24 via 10.76.0.4");
  load_shell (w->plain[2], "nft add table ip nat; nft 'add chain ip nat pre { type nat hook prerouting priority -100; }'\n"
              "nft add rule ip nat pre tcp dport 8080 dnat to 10.79.0.2:80");
  load_shell (w->bed->fabric, "ip route add 10.77.0.0/24 via 10.88.0.4; ip route add 10.77.0.3 via 10.88.0.5");
}

static void
set_up (World *w)
{
  w->out = g_byte_array_new ();
  w->dir = g_dir_make_tmp ("bench-network-XXXXXX", NULL);
  w->nodes = BED_HOSTS;
  if ((w->bed = bed_new ()) == NULL) {
    fprintf (stderr, "bench-network: needs root, network namespaces, VXLAN, and SWARM_NETD\n");
    exit (77);
  }
  for (guint host = 1; host <= BED_HOSTS; host++)
    set_up_host (w, host);
  set_up_plain (w);
  w->nginx_task = nginx_in (w, server_task (w), "task");
  w->nginx_container = nginx_in (w, w->container[0], "container");
  w->nginx_dnat = nginx_in (w, w->container[2], "dnat");
  w->nginx_host = nginx_in (w, w->plain[0], "host");
}

static void
tear_down (World *w)
{
  load_stop (w->nginx_task);
  load_stop (w->nginx_container);
  load_stop (w->nginx_host);
  load_stop (w->nginx_dnat);
  bed_free (w->bed);
  const char *argv[] = { "rm", "-rf", w->dir, NULL };
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

/* ---- requests ---- */

static const struct {
  const char *name;
  guint connections;
  gboolean anew;
} modes[] = { { "keepalive", 16, FALSE }, { "new", 16, TRUE }, { "single", 1, FALSE } };

/* Each way in each mode, there and back again with the rounds, so that nobody is always the first. Keys: PREFIX.WAY.MODE.what; ratios by round. */
static void
measure_ways (World *w, const char *prefix, const Way *ways, guint n, guint n_modes, guint round)
{
  for (guint m = 0; m < n_modes; m++) {
    LoadRequests *got = g_newa (LoadRequests, n);
    for (guint i = 0; i < n; i++) {
      guint k = round % 2 == 0 ? i : n - 1 - i;
      got[k] = load_wrk (ways[k].client, ways[k].url, modes[m].connections, modes[m].anew, 1, ways[k].server, w->dir);
      figure_add (got[k].requests, "%s.%s.%s.per_second", prefix, ways[k].name, modes[m].name);
      figure_add (got[k].cpu_us, "%s.%s.%s.cpu_us", prefix, ways[k].name, modes[m].name);
      figure_add (got[k].p50_us, "%s.%s.%s.p50_us", prefix, ways[k].name, modes[m].name);
      figure_add (got[k].p99_us, "%s.%s.%s.p99_us", prefix, ways[k].name, modes[m].name);
    }
    for (guint i = 0; i < n; i++)
      for (guint p = 0; p < n; p++)
        if (g_strcmp0 (ways[i].peers[0], ways[p].name) == 0 || g_strcmp0 (ways[i].peers[1], ways[p].name) == 0)
          figure_add (got[i].cpu_us / got[p].cpu_us, "%s.%s.%s.cpu_to_%s", prefix, ways[i].name, modes[m].name, ways[p].name);
  }
}

static void
say_ways (const char *prefix, const char *title, const Way *ways, guint n, guint n_modes)
{
  for (guint m = 0; m < n_modes; m++)
    for (guint i = 0; i < n; i++) {
      g_autofree char *key = g_strdup_printf ("%s.%s.%s", prefix, ways[i].name, modes[m].name);
      g_autoptr (GString) against = g_string_new (NULL);
      for (guint p = 0; p < 2 && ways[i].peers[p] != NULL; p++)
        g_string_append_printf (against, " (%.3f × %s)", figure_median ("%s.cpu_to_%s", key, ways[i].peers[p]), ways[i].peers[p]);
      figure_say ("%s%s, %s: %.0f requests/s, %.1f µs of CPU a request%s, p50 %.0f µs, p99 %.0f µs", title, ways[i].name, modes[m].name,
                  figure_median ("%s.per_second", key), figure_median ("%s.cpu_us", key), against->str, figure_median ("%s.p50_us", key), figure_median ("%s.p99_us", key));
    }
}

static void
measure_requests (World *w)
{
  int inside = client_task (w), outside = w->bed->fabric;
  const Way ways[] = {
    { "bare", { NULL }, w->container[1], "http://10.78.0.2/", w->nginx_container },
    { "task", { "bare" }, inside, DIRECT, w->nginx_task },
    { "vip", { "task", "bare" }, inside, "http://" VIP "/", w->nginx_task },
    { "host", { NULL }, outside, "http://10.88.0.4/", w->nginx_host },
    { "routed", { "host" }, outside, "http://10.77.0.2/", w->nginx_container },
    { "dnat", { "routed" }, outside, "http://10.88.0.6:8080/", w->nginx_dnat },
    { "mesh", { "dnat", "routed" }, outside, "http://10.88.0.2:8080/", w->nginx_task },
    { "routed-by-other", { NULL }, outside, "http://10.77.0.3/", w->nginx_container },
    { "mesh-by-other", { "routed-by-other" }, outside, "http://10.88.0.1:8080/", w->nginx_task },
  };
  for (guint round = 0; round < w->rounds; round++)
    measure_ways (w, "requests", ways, G_N_ELEMENTS (ways), G_N_ELEMENTS (modes), round);
  say_ways ("requests", "", ways, G_N_ELEMENTS (ways), G_N_ELEMENTS (modes));
}

/* ---- streams ---- */

static void
measure_streams (World *w)
{
  GPid in_task = load_iperf (server_task (w)), in_host = load_iperf (w->bed->hosts[2].netns);
  const struct {
    const char *name;
    int client;
    const char *address;
    GPid server;
  } ways[] = { { "host", w->bed->hosts[1].netns, "10.88.0.2", in_host }, { "vxlan", client_task (w), TASK, in_task }, { "vip", client_task (w), VIP, in_task } };
  for (guint round = 0; round < w->rounds; round++) {
    LoadStream got[G_N_ELEMENTS (ways)];
    for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
      guint k = round % 2 == 0 ? i : G_N_ELEMENTS (ways) - 1 - i;
      got[k] = load_stream (ways[k].client, ways[k].address, 2, ways[k].server, w->dir);
      figure_add (got[k].gbits, "stream.%s.gbits", ways[k].name);
      figure_add (got[k].cpu_s, "stream.%s.cpu_s_per_gb", ways[k].name);
    }
    figure_add (got[1].gbits / got[0].gbits, "stream.vxlan_to_host");
    figure_add (got[2].gbits / got[1].gbits, "stream.vip_to_vxlan");
    figure_add (got[1].cpu_s / got[2].cpu_s, "stream.vip_to_vxlan_by_cpu");
  }
  load_stop (in_task);
  load_stop (in_host);
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    figure_say ("stream, %s: %.2f Gbit/s, %.3f s of CPU for a GB", ways[i].name, figure_median ("stream.%s.gbits", ways[i].name),
                figure_median ("stream.%s.cpu_s_per_gb", ways[i].name));
  figure_say ("stream: VXLAN has %.1f %% of the host's own, VIP %.1f %% of VXLAN (by what a byte costs %.1f %%)", figure_median ("stream.vxlan_to_host") * 100,
              figure_median ("stream.vip_to_vxlan") * 100, figure_median ("stream.vip_to_vxlan_by_cpu") * 100);
}

/* ---- many hosts ---- */

/* Hosts that are only known, from 4 on. */
static void
edit_node (GByteArray *out, guint32 number, gboolean remove)
{
  g_autofree char *underlay = g_strdup_printf ("10.89.%u.%u", number / 250, 1 + number % 250), *gateway = g_strdup_printf ("10.%u.%u.1", 144 + number / 250, number % 250);
  g_autofree char *ingress = g_strdup_printf ("10.88.%u.%u", 36 + number / 250, 1 + number % 250);
  SwarmNetdNode node = { .node = number, .gateway4_prefix = 24, .ingress4_prefix = 20, .underlay = addr (underlay), .gateway4 = addr (gateway), .ingress4 = addr (ingress) };
  mac_of (node.ingress_mac, ingress);
  row (out, SWARM_NETD_TYPE_NODE, remove, &node, sizeof node);
}

static void
set_nodes (World *w, guint nodes)
{
  for (guint host = 1; host <= 2; host++) {
    for (guint i = w->nodes + 1; i <= nodes; i++)
      edit_node (w->out, i, FALSE);
    for (guint i = nodes + 1; i <= w->nodes; i++)
      edit_node (w->out, i, TRUE);
    send_to (w, host, 0);
  }
  w->nodes = nodes;
}

/* Rules of the host's tables, elements of maps aside. */
static guint
count_rules (int netns)
{
  g_autofree char *text = bed_shell (netns, "nft -j -s list ruleset | tr '{' '\\n' | grep -c '\"family\".*\"chain\".*\"expr\"'");
  return atoi (text);
}

static void
measure_hosts (World *w)
{
  static const guint sizes[] = { BED_HOSTS, 100, 1000 };
  int outside = w->bed->fabric;
  const Way ways[] = {
    { "routed-by-other", { NULL }, outside, "http://10.77.0.3/", w->nginx_container },
    { "mesh-by-other", { "routed-by-other" }, outside, "http://10.88.0.1:8080/", w->nginx_task },
  };
  for (guint round = 0; round < w->rounds; round++)
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
      g_autofree char *prefix = g_strdup_printf ("hosts.%u", sizes[i]);
      set_nodes (w, sizes[i]);
      measure_ways (w, prefix, ways, G_N_ELEMENTS (ways), 2, round);
      figure_add (count_rules (w->bed->hosts[2].netns), "hosts.%u.rules", sizes[i]);
    }
  set_nodes (w, BED_HOSTS);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *prefix = g_strdup_printf ("hosts.%u", sizes[i]), *title = g_strdup_printf ("%u entry hosts (%.0f rules): ", sizes[i], figure_median ("hosts.%u.rules", sizes[i]));
    say_ways (prefix, title, ways, G_N_ELEMENTS (ways), 2);
  }
}

/* ---- many services ---- */

static void
address_of (char text[40], guint net, guint i)
{
  snprintf (text, 40, "10.%u.%u.%u", net, i / 250, 1 + i % 250);
}

/* Four tasks each, on the hosts 1 to 3. */
static void
put_service (GByteArray *out, guint i)
{
  char vip[40], backend[40], name[32];
  address_of (vip, 100, i);
  snprintf (name, sizeof name, "service-%u", i);
  edit_service (out, FALSE, 4097, vip, 0);
  edit_name (out, FALSE, 4097, name, vip);
  for (guint k = 0; k < 4; k++) {
    address_of (backend, 110 + k, i);
    edit_backend (out, FALSE, 4097, vip, backend, 0);
    put_endpoint (out, 4097, 1 + (i + k) % BED_HOSTS, backend, NULL);
  }
}

static void
add_services (World *w, guint host, guint services)
{
  for (guint i = w->services; i < services; i++) {
    put_service (w->out, i);
    if (w->out->len > SWARM_NETD_PART_MAX / 2 || i == services - 1)
      send_to (w, host, 0);
  }
}

/* Task K of a service is replaced: another address has its place. */
static void
replace_task (World *w, guint host, guint service, guint net, guint new_net)
{
  char vip[40], old[40], now[40];
  address_of (vip, 100, service);
  address_of (old, net, service);
  address_of (now, new_net, service);
  edit_backend (w->out, TRUE, 4097, vip, old, 0);
  edit_backend (w->out, FALSE, 4097, vip, now, 0);
  SwarmNetdEndpoint gone = { .vni = 4097 };
  mac_of (gone.mac, old);
  row (w->out, SWARM_NETD_TYPE_ENDPOINT, TRUE, &gone, sizeof gone);
  put_endpoint (w->out, 4097, 2, now, NULL);
  send_to (w, host, 0);
}

static void
drain_task (World *w, guint host, guint service, guint32 flags)
{
  char vip[40], backend[40];
  address_of (vip, 100, service);
  address_of (backend, 110, service);
  edit_backend (w->out, FALSE, 4097, vip, backend, flags);
  send_to (w, host, 0);
}

static gboolean
any (const SwarmNetdConnection *connection, gpointer data)
{
  return TRUE;
}

/* Changes of one service each, as netd gets them: the processor time of its whole process until it says that the kernel has it, and how long that takes; and what
 * all of it costs, the connections that are looked for afterwards included. */
static void
measure_changes (World *w, guint host)
{
  guint tasks = host == 3 ? 10 : 1;
  GPid netd = w->bed->hosts[host].netd;
  if (host == 1) /* thousands of connections of the last measurement, that netd would look through */
    swarm_netd_conntrack_end (client_task (w), any, NULL);
  double all = load_cpu (netd);
  for (guint i = 0; i < 3 * CHANGES; i++) {
    guint service = (i / 3 * 7919) % w->services, times = i / 3 / w->services;
    const char *name = i % 3 < 2 ? "drain" : "replace";
    gint64 begun = g_get_monotonic_time ();
    double cpu = load_cpu (netd);
    if (i % 3 < 2)
      drain_task (w, host, service, i % 3 == 0 ? SWARM_NETD_BACKEND_DRAINING : 0);
    else
      replace_task (w, host, service, 113 + times, 114 + times);
    figure_add ((g_get_monotonic_time () - begun) / 1000.0, "services.%u.%s.%u.wall_ms", w->services, name, tasks);
    figure_add ((load_cpu (netd) - cpu) * 1000, "services.%u.%s.%u.cpu_ms", w->services, name, tasks);
  }
  g_usleep (G_USEC_PER_SEC / 2);
  figure_add ((load_cpu (netd) - all) / (3 * CHANGES) * 1000, "services.%u.change.%u.all_cpu_ms", w->services, tasks);
  for (guint i = 0; i < CHANGES && i < w->services; i++) { /* as it was */
    guint service = (i * 7919) % w->services, times = (CHANGES - 1 - i) / w->services;
    replace_task (w, host, service, 114 + times, 113);
  }
}

static double
private_dirty (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/smaps_rollup", pid), *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    g_error ("%s is not there", path);
  return atof (strstr (text, "Private_Dirty:") + strlen ("Private_Dirty:")) / 1024;
}

/* ---- names ---- */

#define WINDOW 32
#define ECHO_PORT 5300

static void
ask (guint16 port, guint questions)
{
  static const guint8 question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\11service-7\0\0\1\0\1";
  struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr = { htonl (0x7f00000b) } };
  guint8 answer[512];
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  if (connect (fd, (struct sockaddr *) &server, sizeof server) < 0)
    _exit (1);
  for (guint i = 0; i < questions / WINDOW; i++) {
    for (guint k = 0; k < WINDOW; k++)
      send (fd, question, sizeof question - 1, 0);
    for (guint k = 0; k < WINDOW; k++)
      if (recv (fd, answer, sizeof answer, 0) < (port == 53 ? 40 : 20) || (port == 53 && answer[7] != 1))
        _exit (1);
  }
  _exit (0);
}

/* A question for what it asked: the least that a server by datagrams can do. */
static void
echo (void)
{
  struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons (ECHO_PORT), .sin_addr = { htonl (0x7f00000b) } }, client;
  guint8 text[512];
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  if (bind (fd, (struct sockaddr *) &own, sizeof own) < 0)
    _exit (1);
  for (;;) {
    socklen_t size = sizeof client;
    ssize_t n = recvfrom (fd, text, sizeof text, 0, (struct sockaddr *) &client, &size);
    sendto (fd, text, n, 0, (struct sockaddr *) &client, size);
  }
}

static GPid
fork_in (int netns)
{
  GPid pid = fork ();
  if (pid != 0)
    return pid;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  setns (netns, CLONE_NEWNET);
  alarm (120); /* a datagram that was lost */
  return 0;
}

/* One client, one server, a processor each. */
static void
measure_server (World *w, const char *name, guint16 port, GPid server, guint questions)
{
  struct rusage usage;
  int status;
  load_pin (server, 1);
  double cpu = load_cpu (server);
  gint64 begun = g_get_monotonic_time ();
  GPid client = fork_in (client_task (w));
  if (client == 0) {
    load_pin (0, 0);
    ask (port, questions);
  }
  wait4 (client, &status, 0, &usage);
  if (status != 0)
    g_error ("%s: a question was not answered", name);
  figure_add (questions / ((g_get_monotonic_time () - begun) / 1e6), "services.%u.%s.per_second", w->services, name);
  figure_add ((load_cpu (server) - cpu) / questions * 1e6, "services.%u.%s.server_cpu_us", w->services, name);
  figure_add ((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6) / questions * 1e6,
              "services.%u.%s.client_cpu_us", w->services, name);
  load_unpin (server);
}

static void
measure_names (World *w)
{
  GPid echoing = fork_in (client_task (w));
  if (echoing == 0)
    echo ();
  g_usleep (100000);
  for (guint round = 0; round < w->rounds; round++) {
    measure_server (w, "names", 53, w->bed->hosts[1].netd, 100000);
    measure_server (w, "echo", ECHO_PORT, echoing, 100000);
  }
  load_stop (echoing);
}

/* ---- services, all of it ---- */

static void
say_services (guint n)
{
  static const guint tasks[] = { 1, 10 };
  for (guint i = 0; i < G_N_ELEMENTS (tasks); i++)
    figure_say ("%u services, %u tasks on the host, one change: a backend drains or comes %.2f ms of CPU, in the kernel after %.2f ms; a task is replaced %.2f ms, after %.2f ms; "
                "%.2f ms of CPU a change in all", n, tasks[i], figure_median ("services.%u.drain.%u.cpu_ms", n, tasks[i]), figure_median ("services.%u.drain.%u.wall_ms", n, tasks[i]),
                figure_median ("services.%u.replace.%u.cpu_ms", n, tasks[i]), figure_median ("services.%u.replace.%u.wall_ms", n, tasks[i]),
                figure_median ("services.%u.change.%u.all_cpu_ms", n, tasks[i]));
  figure_say ("%u services: loaded with %.3f s of CPU; private dirty %.1f MiB with 1 task, %.1f with 10", n, figure_median ("services.%u.load_cpu_s", n),
              figure_median ("services.%u.dirty_mib.1", n), figure_median ("services.%u.dirty_mib.10", n));
  figure_say ("%u services, names: %.0f a second (netd %.2f µs of CPU a question, client %.2f); an echo without rules for its port: %.0f (%.2f and %.2f)", n,
              figure_median ("services.%u.names.per_second", n), figure_median ("services.%u.names.server_cpu_us", n), figure_median ("services.%u.names.client_cpu_us", n),
              figure_median ("services.%u.echo.per_second", n), figure_median ("services.%u.echo.server_cpu_us", n), figure_median ("services.%u.echo.client_cpu_us", n));
}

static void
measure_services (World *w)
{
  static const guint sizes[] = { 10, 100, 1000, 3000, 10000 };
  const Way ways[] = { { "task", { NULL }, client_task (w), DIRECT, w->nginx_task }, { "vip", { "task" }, client_task (w), "http://" VIP "/", w->nginx_task } };
  figure_add (private_dirty (w->bed->hosts[1].netd), "services.0.dirty_mib.1");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    double cpu = load_cpu (w->bed->hosts[1].netd);
    add_services (w, 1, sizes[i]);
    figure_add (load_cpu (w->bed->hosts[1].netd) - cpu, "services.%u.load_cpu_s", sizes[i]);
    add_services (w, 3, sizes[i]);
    w->services = sizes[i];
    measure_changes (w, 1);
    measure_changes (w, 3);
    figure_add (private_dirty (w->bed->hosts[1].netd), "services.%u.dirty_mib.1", sizes[i]);
    figure_add (private_dirty (w->bed->hosts[3].netd), "services.%u.dirty_mib.10", sizes[i]);
    measure_names (w);
    g_autofree char *prefix = g_strdup_printf ("services.%u", sizes[i]), *title = g_strdup_printf ("%u services: ", sizes[i]);
    for (guint round = 0; round < w->rounds; round++)
      measure_ways (w, prefix, ways, G_N_ELEMENTS (ways), 2, round);
    say_services (sizes[i]);
    say_ways (prefix, title, ways, G_N_ELEMENTS (ways), 2);
  }
}

static const struct {
  const char *name;
  void (*measure) (World *w);
} parts[] = { { "requests", measure_requests }, { "stream", measure_streams }, { "hosts", measure_hosts }, { "services", measure_services } };

int
main (int argc, char **argv)
{
  World w = { .rounds = 5 };
  guint at = 1;
  if (argc > 2 && g_str_equal (argv[1], "--rounds")) {
    w.rounds = CLAMP (atoi (argv[2]), 1, 100);
    at = 3;
  }
  set_up (&w);
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    gboolean wanted = at >= (guint) argc;
    for (guint k = at; k < (guint) argc; k++)
      wanted |= g_str_equal (argv[k], parts[i].name);
    if (wanted)
      parts[i].measure (&w);
  }
  tear_down (&w);
  figure_print_json ();
  return 0;
}
