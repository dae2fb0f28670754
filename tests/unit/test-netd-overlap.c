// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the host reaches without us it goes on reaching: a subnet of ours that overlaps with it is refused on that host, with the reason. */
#include "netd-bed.h"

typedef struct {
  Bed *bed;
  GByteArray *out;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->out = g_byte_array_new ();
  f->bed = bed_new ();
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->bed != NULL)
    bed_free (f->bed);
  g_byte_array_unref (f->out);
}

static void
shell (Fixture *f, const char *command)
{
  g_autofree char *all = g_strconcat (command, " && echo done", NULL), *output = bed_shell (f->bed->hosts[1].netns, all);
  g_assert_cmpstr (output, ==, "done\n");
}

static void
put_task (Fixture *f, const char *id, const char *address, const char *address6)
{
  put_sandbox (f->out, id);
  put_interface (f->out, id, 4097, 0, address, address6);
}

static void
assert_told (Fixture *f, guint32 flags, const char *expected)
{
  g_autofree char *errors = bed_send (f->bed, 1, f->out, flags);
  g_assert_cmpstr (errors, ==, expected);
}

static gboolean
is_ready (Fixture *f, const char *sandbox)
{
  return g_hash_table_contains (f->bed->hosts[1].ready, sandbox);
}

/* A network of the cluster's, and one of the host's that is the same, a part of it, or around it. It works by itself once the host's is gone; a task that is in
 * it by then stays, whatever comes. */
static void
test_network (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  shell (f, "ip link add lan0 type bridge && ip link set lan0 up && ip addr add 10.88.16.1/24 dev lan0");
  bed_begin (f->out, 1);
  put_task (f, "one", "10.88.16.11", NULL);
  put_task (f, "two", "10.88.17.11", NULL);
  assert_told (f, SWARM_NETD_FULL, "interface one 4097: its subnet 10.88.16.0/24 overlaps with 10.88.16.0/24, which this host reaches elsewhere, by lan0\n");
  g_assert_false (is_ready (f, "one"));
  g_assert_true (is_ready (f, "two"));
  shell (f, "ip link del lan0");
  while (!is_ready (f, "one")) { /* it tries again */
    g_autofree char *errors = bed_listen (f->bed, 1);
    g_usleep (50000);
  }
  shell (f, "ip route add 10.88.0.0/18 via 10.88.0.100 && ip route add 10.88.17.128/25 via 10.88.0.100 && ip addr add 10.88.18.200/32 dev lo");
  put_task (f, "three", "10.88.16.12", NULL);
  assert_told (f, 0, "interface three 4097: its subnet 10.88.16.0/24 overlaps with 10.88.0.0/18, which this host reaches elsewhere, by eth0\n");
  shell (f, "ip route del 10.88.0.0/18");
  put_task (f, "four", "10.88.17.12", NULL);
  put_task (f, "five", "10.88.18.12", NULL);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
  g_assert_nonnull (strstr (errors, "four 4097: its subnet 10.88.17.0/24 overlaps with 10.88.17.128/25, which"));
  g_assert_nonnull (strstr (errors, "five 4097: its subnet 10.88.18.0/24 overlaps with 10.88.18.200/32, this host's own address on lo\n"));
  g_assert_null (strstr (errors, "one 4097"));
  g_assert_null (strstr (errors, "two 4097"));
}

/* Not: default routes and halves of them, what leads nowhere, other tables, what is local to a link, our own. IPv6 as IPv4. */
static void
test_others (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  shell (f, "ip route add default via 10.88.0.100 && ip route add 0.0.0.0/1 via 10.88.0.100 && ip route add blackhole 10.88.16.0/24"
            " && ip route add 10.88.16.0/24 via 10.88.0.100 table 77 && ip route add 169.254.0.0/16 dev eth0 && ip -6 route add default via fd88::100"
            " && ip -6 route add fd88:17::/64 via fd88::100");
  bed_begin (f->out, 1);
  put_task (f, "one", "10.88.16.11", "fd88:16::11");
  put_task (f, "two", "10.88.16.12", "fd88:17::11");
  assert_told (f, SWARM_NETD_FULL, "interface two 4097: its subnet fd88:17::/64 overlaps with fd88:17::/64, which this host reaches elsewhere, by eth0\n");
  put_task (f, "three", "10.88.16.13", "fd88:16::13");
  g_autofree char *errors = bed_send (f->bed, 1, f->out, 0);
  g_assert_null (strstr (errors, "three"));
  bed_kill (f->bed, 1); /* what is ours is ours for the next one, too */
  bed_start (f->bed, 1);
  bed_begin (f->out, 1);
  put_task (f, "one", "10.88.16.11", "fd88:16::11");
  assert_told (f, SWARM_NETD_FULL, "");
}

/* The host is not cut off from its own network by the mesh, nor loses a way by that to another host's tasks. */
static void
test_mesh (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  shell (f, "ip route add 10.88.32.0/20 via 10.88.0.100 && ip route add 10.88.102.0/24 via 10.88.0.100");
  bed_begin (f->out, 1);
  put_task (f, "one", "10.88.16.11", NULL);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, SWARM_NETD_FULL);
  g_assert_nonnull (strstr (errors, "the network of published ports 10.88.32.0/20 overlaps with 10.88.32.0/20, which this host reaches elsewhere, by eth0\n"));
  g_assert_nonnull (strstr (errors, "node 2: the subnet of its tasks 10.88.102.0/24 overlaps with 10.88.102.0/24, which this host reaches elsewhere, by eth0\n"));
  g_assert_null (strstr (errors, "node 3"));
  g_assert_null (strstr (errors, "one"));
  g_autofree char *way = bed_shell (f->bed->hosts[1].netns, "ip route get 10.88.32.9; ip route get 10.88.102.9; ip route get 10.88.103.9");
  g_assert_nonnull (strstr (way, "10.88.32.9 via 10.88.0.100 dev eth0"));
  g_assert_nonnull (strstr (way, "10.88.102.9 via 10.88.0.100 dev eth0"));
  put_interface (f->out, "one", 0, 1, "10.88.101.11", NULL); /* its way out it has all the same */
  g_autofree char *more = bed_send (f->bed, 1, f->out, 0);
  g_assert_null (strstr (more, "one")); /* a report of before may be among what is read */
}

/* What stands in the way of the host's own subnet for tasks is said of those who need it. */
static void
test_gateway (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  shell (f, "ip route add 10.88.101.0/24 via 10.88.0.100");
  bed_begin (f->out, 1);
  put_task (f, "one", "10.88.16.11", NULL);
  put_interface (f->out, "one", 0, 1, "10.88.101.11", NULL);
  g_autofree char *errors = bed_send (f->bed, 1, f->out, SWARM_NETD_FULL);
  static const char *reason = "the subnet of this host's tasks 10.88.101.0/24 overlaps with 10.88.101.0/24, which this host reaches elsewhere, by eth0\n";
  g_autofree char *host = g_strconcat ("host: ", reason, NULL), *task = g_strconcat ("interface one 0: ", reason, NULL);
  g_assert_nonnull (strstr (errors, host));
  g_assert_nonnull (strstr (errors, task));
  g_autofree char *way = bed_shell (f->bed->hosts[1].netns, "ip route get 10.88.101.9");
  g_assert_nonnull (strstr (way, "10.88.101.9 via 10.88.0.100 dev eth0"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/netd-overlap/network", Fixture, NULL, set_up, test_network, tear_down);
  g_test_add ("/netd-overlap/others", Fixture, NULL, set_up, test_others, tear_down);
  g_test_add ("/netd-overlap/mesh", Fixture, NULL, set_up, test_mesh, tear_down);
  g_test_add ("/netd-overlap/gateway", Fixture, NULL, set_up, test_gateway, tear_down);
  return g_test_run ();
}
