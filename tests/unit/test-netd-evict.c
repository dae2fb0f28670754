// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ending connections, turn by turn of the loop: what comes faster than it is done, and what the kernel does not do. In a network namespace of its own. */
#include "netd-rows.h"
#include "netd/netns.h"
#include "netd/plane-private.h"
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

typedef struct {
  SwarmNetdTables *tables;
  SwarmNetdPlane *plane;
  SwarmNetdBox *box;
} Fixture;

static gboolean possible;

/* A sandbox in the network 4097, whose namespace is none. */
static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint32 vni = 4097;
  if (!possible) {
    g_test_skip ("needs root and network namespaces");
    return;
  }
  swarm_netd_evict_again = 1;
  f->tables = swarm_netd_tables_new ();
  f->plane = swarm_netd_plane_new (f->tables, &error);
  g_assert_no_error (error);
  swarm_netd_plane_adopt (f->plane, "task-1", open ("/dev/null", O_RDONLY | O_CLOEXEC));
  f->box = g_hash_table_lookup (f->plane->boxes, "task-1");
  g_array_append_val (f->box->vnis, vni);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->plane == NULL)
    return;
  swarm_netd_plane_free (f->plane);
  swarm_netd_tables_free (f->tables);
}

static void
evict (Fixture *f, const char *address)
{
  SwarmNetdBackend backend = { .vni = 4097, .address = addr ("10.88.16.2"), .backend = addr (address) };
  g_autoptr (SwarmNetdRow) row = swarm_netd_row_parse (SWARM_NETD_TYPE_BACKEND, (void *) &backend, sizeof backend, FALSE, NULL);
  swarm_netd_evict_mark (f->plane->evict, &(SwarmNetdChange){ .before = row });
  swarm_netd_evict_flush (f->plane->evict);
}

/* One turn that does something. */
static void
turn (void)
{
  while (!g_main_context_iteration (NULL, TRUE))
    ;
}

static void
turn_until_done (Fixture *f)
{
  while (swarm_netd_evict_size (f->plane->evict) > 0)
    turn ();
}

/* Two backends that come and go are two, however often they do. */
static void
test_many (Fixture *f, gconstpointer data)
{
  if (f->plane == NULL)
    return;
  for (guint i = 0; i < 1000; i++) {
    evict (f, "10.88.16.11");
    evict (f, "10.88.16.12");
    if (i == 500)
      turn (); /* one round is under way */
  }
  g_assert_cmpuint (swarm_netd_evict_size (f->plane->evict), <=, 2 * (1 + 2));
  turn_until_done (f);
}

/* What the kernel does not do is tried again; not for ever. */
static void
test_failure (Fixture *f, gconstpointer data)
{
  if (f->plane == NULL)
    return;
  evict (f, "10.88.16.11");
  turn ();
  g_assert_cmpuint (swarm_netd_evict_size (f->plane->evict), ==, 2);
  turn ();
  g_assert_cmpuint (swarm_netd_evict_size (f->plane->evict), ==, 2);
  close (f->box->netns);
  f->box->netns = swarm_netd_netns_new (NULL);
  turn ();
  g_assert_cmpuint (swarm_netd_evict_size (f->plane->evict), ==, 0);
  close (f->box->netns);
  f->box->netns = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  evict (f, "10.88.16.11");
  turn_until_done (f);
  g_assert_false (g_main_context_pending (NULL));
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  possible = geteuid () == 0 && unshare (CLONE_NEWNET) == 0 && swarm_netd_netns_init (&error);
#define ADD(path, func) g_test_add ("/netd/evict/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("many", test_many);
  ADD ("failure", test_failure);
  return g_test_run ();
}
