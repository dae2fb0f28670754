// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a change costs in the data plane, in processor time: `bench-netd [BOXES]`, as root; in a network namespace of its own. */
#include "../unit/netd-rows.h"
#include "netd/netlink.h"
#include "netd/netns.h"
#include "netd/plane.h"
#include <arpa/inet.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  SwarmNetdTables *tables;
  SwarmNetdPlane *plane;
  guint64 number;
  int netns; /* of the first task */
} Bench;

/* Processor time of ours, the kernel's work for us included: others' load on the machine does not count. */
static double
used (void)
{
  struct timespec t;
  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* As netd does it with a batch; how long it took. */
static double
apply (Bench *bench, GByteArray *out, gboolean full)
{
  g_autoptr (GError) error = NULL;
  gint bad_edit;
  guint32 bad_record;
  double begun = used ();
  SwarmNetdHeader header = header_for (out, ++bench->number, 0, full ? SWARM_NETD_FULL : 0);
  g_autoptr (SwarmNetdBatch) batch = swarm_netd_batch_new (&header);
  if (!swarm_netd_batch_add (batch, &header, out->data, &bad_record, &error))
    g_error ("%s", error->message);
  g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (bench->tables, swarm_netd_batch_edits (batch), full, &bad_edit, &error);
  if (changes == NULL)
    g_error ("%s", error->message);
  swarm_netd_plane_apply (bench->plane, changes);
  for (guint i = 0; i < swarm_netd_plane_problems (bench->plane)->len; i++)
    g_error ("%s", ((SwarmNetdProblem *) swarm_netd_plane_problems (bench->plane)->pdata[i])->text);
  g_byte_array_set_size (out, 0);
  return used () - begun;
}

static void
address_of (char text[40], guint net, guint i)
{
  snprintf (text, 40, "10.%u.%u.%u", net, i / 250, 1 + i % 250);
}

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
  }
}

static int
by_value (const void *a, const void *b)
{
  double da = *(const double *) a, db = *(const double *) b;
  return (da > db) - (da < db);
}

static double
private_dirty (void)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents ("/proc/self/smaps_rollup", &text, NULL, NULL))
    return 0;
  return atof (strstr (text, "Private_Dirty:") + strlen ("Private_Dirty:")) / 1024;
}

/* ---- names ---- */

#define QUESTIONS 200000
#define WINDOW 32

static void
ask (int netns)
{
  static const guint8 question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\11service-7\0\0\1\0\1";
  struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons (53), .sin_addr = { htonl (0x7f00000b) } };
  guint8 answer[512];
  setns (netns, CLONE_NEWNET);
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  connect (fd, (struct sockaddr *) &server, sizeof server);
  for (guint i = 0; i < QUESTIONS / WINDOW; i++) {
    for (guint k = 0; k < WINDOW; k++)
      send (fd, question, sizeof question - 1, 0);
    for (guint k = 0; k < WINDOW; k++)
      if (recv (fd, answer, sizeof answer, 0) < 40 || answer[7] != 1)
        _exit (1);
  }
  _exit (0);
}

static void
on_asked (GPid pid, gint status, gpointer data)
{
  if (status != 0)
    g_error ("a question was not answered");
  g_main_loop_quit (data);
}

static void
measure_names (Bench *bench)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  GPid child = fork ();
  if (child == 0)
    ask (bench->netns);
  double begun = used ();
  g_child_watch_add (child, on_asked, loop);
  g_main_loop_run (loop);
  printf ("names: %.2f µs of processor time a question: %.0f a second on one core\n", (used () - begun) / QUESTIONS * 1e6, QUESTIONS / (used () - begun));
}

/* ---- services ---- */

static void
measure (guint services, guint boxes)
{
  g_autoptr (GError) error = NULL;
  Bench bench = { .tables = swarm_netd_tables_new () };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  double before = private_dirty (), one[2][50];
  bench.plane = swarm_netd_plane_new (bench.tables, &error);
  put_host (out, 1);
  put_node (out, 1);
  put_network (out, 4097, 0);
  for (guint i = 0; i < boxes; i++) {
    g_autofree char *id = g_strdup_printf ("task-%u", i), *address = g_strdup_printf ("10.99.0.%u", i + 1);
    put_sandbox (out, id);
    put_interface (out, id, 4097, 0, address, NULL);
  }
  apply (&bench, out, TRUE);
  bench.netns = g_array_index (swarm_netd_plane_ready (bench.plane), SwarmNetdReady, 0).fd;
  double load = 0;
  for (guint i = 0; i < services; i++) {
    put_service (out, i);
    if (out->len > SWARM_NETD_PART_MAX / 2 || i == services - 1)
      load += apply (&bench, out, FALSE);
  }
  for (guint i = 0; i < 100; i++) { /* one backend drains, and comes back */
    char vip[40], backend[40];
    address_of (vip, 100, services / 2);
    address_of (backend, 110, services / 2);
    edit_backend (out, FALSE, 4097, vip, backend, i % 2 == 0 ? SWARM_NETD_BACKEND_DRAINING : 0);
    one[i % 2][i / 2] = apply (&bench, out, FALSE) / boxes;
  }
  qsort (one[0], 50, sizeof (double), by_value);
  qsort (one[1], 50, sizeof (double), by_value);
  double begun = used ();
  swarm_netd_plane_resync (bench.plane, SWARM_NETD_RESYNC_BOXES);
  double again = used () - begun;
  malloc_trim (0);
  printf ("%6u services, %u task namespaces: processor time to load %.3f s, all anew %.3f s, a backend more %.3f ms a namespace (least %.3f), one that drains %.3f ms (least %.3f); %.1f MiB more private dirty\n", services,
          boxes, load, again, one[1][25] * 1000, one[1][0] * 1000, one[0][25] * 1000, one[0][0] * 1000, private_dirty () - before);
  if (services > 10)
    measure_names (&bench);
  apply (&bench, out, TRUE);
  swarm_netd_plane_resync (bench.plane, SWARM_NETD_RESYNC_ALL);
  swarm_netd_plane_free (bench.plane);
  swarm_netd_tables_free (bench.tables);
}

int
main (int argc, char **argv)
{
  static const guint sizes[] = { 10, 1000, 10000 };
  g_autoptr (GError) error = NULL;
  guint index;
  SwarmNetdAddress underlay = addr ("10.88.0.1");
  if (unshare (CLONE_NEWNET) < 0 || !swarm_netd_netns_init (&error)) {
    fprintf (stderr, "bench-netd: needs root\n");
    return 1;
  }
  g_autoptr (SwarmNetdNetlink) netlink = swarm_netd_netlink_new (&error);
  if (netlink == NULL || !swarm_netd_bridge_put (netlink, "wire", 1500, NULL, &index, &error) ||
      !swarm_netd_address_put (netlink, index, &underlay, 24, &error))
    g_error ("%s", error->message);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    measure (sizes[i], argc > 1 ? MAX (atoi (argv[1]), 1) : 1);
  return 0;
}
