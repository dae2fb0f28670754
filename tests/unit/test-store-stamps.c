// SPDX-License-Identifier: LGPL-2.1-or-later
/* The store's time: stamps only grow, whatever the leaders' clocks show. */
#include "base/clock-virtual.h"
#include "base/random-system.h"
#include "store/store.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define HOUR (3600 * SECOND)
#define START (G_GINT64_CONSTANT (1700000000) * SECOND)

/* Two managers and a log; each proposal is applied on both at once. */
typedef struct {
  SwarmVirtualClock *time;
  SwarmClock *clock[2];
  SwarmStore *store[2];
  guint64 index;
} World;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  World *self = data;
  g_autoptr (GError) error = NULL;
  self->index++;
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++)
    g_assert_true (swarm_store_apply (self->store[i], self->index, entry, &error));
  done (self->index, NULL, done_data);
}

static void
world_open (World *self, gint64 ahead)
{
  *self = (World){ .time = swarm_virtual_clock_new (START) };
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++) {
    self->clock[i] = swarm_virtual_clock_view (self->time, i == 0 ? ahead : 0);
    self->store[i] = swarm_store_new (self->clock[i], swarm_random_system (), propose, self);
  }
}

static void
world_close (World *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++)
    swarm_store_free (self->store[i]);
  swarm_virtual_clock_free (self->time);
}

/* A new service by manager @i; both stamp it the same. */
static gint64
create (World *self, guint i)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup_printf ("s%" G_GUINT64_FORMAT, self->index);
  SwarmTx *tx = swarm_store_tx (self->store[i]);
  swarm_tx_create (tx, service);
  SwarmId id = service->object.id;
  swarm_tx_commit (tx, NULL, NULL, NULL);
  const SwarmService *first = swarm_store_get (self->store[0], SWARM_KIND_SERVICE, &id);
  const SwarmService *second = swarm_store_get (self->store[1], SWARM_KIND_SERVICE, &id);
  g_assert_cmpint (first->object.created_at, ==, second->object.created_at);
  g_assert_cmpint (first->object.updated_at, ==, first->object.created_at);
  return first->object.created_at;
}

static void
test_only_grow (void)
{
  World world;
  world_open (&world, HOUR);
  gint64 before = create (&world, 0);
  g_assert_cmpint (before, ==, START + HOUR);
  for (guint i = 0; i < 5; i++) { /* no time goes by */
    gint64 stamp = create (&world, i % 2);
    g_assert_cmpint (stamp, >, before);
    g_assert_cmpint (stamp, <, before + 10);
    before = stamp;
  }
  world_close (&world);
}

/* The next leader's clock shows the true time: delays take hardly longer, and the clocks meet. */
static void
test_goes_on (void)
{
  World world;
  world_open (&world, HOUR);
  gint64 first = create (&world, 0);
  swarm_virtual_clock_run (world.time, 100 * SECOND);
  g_assert_cmpint (swarm_store_now (world.store[1]), ==, first + 90 * SECOND);
  g_assert_cmpint (create (&world, 1), ==, first + 90 * SECOND);
  swarm_virtual_clock_run (world.time, 100 * SECOND);
  g_assert_cmpint (swarm_store_now (world.store[1]), ==, first + 180 * SECOND);
  swarm_virtual_clock_run (world.time, 10 * HOUR);
  g_assert_cmpint (swarm_store_now (world.store[1]), ==, START + 10 * HOUR + 200 * SECOND);
  g_assert_cmpint (create (&world, 1), ==, START + 10 * HOUR + 200 * SECOND);
  world_close (&world);
}

/* A clock that is set back under a leader. */
static void
test_set_back (void)
{
  World world;
  world_open (&world, 0);
  gint64 first = create (&world, 0);
  swarm_virtual_clock_run (world.time, 10 * SECOND);
  swarm_virtual_clock_step_wall (world.clock[0], -HOUR);
  g_assert_cmpint (create (&world, 0), ==, first + 9 * SECOND);
  world_close (&world);
}

/* The last stamp is part of a snapshot, so of a manager that joins later and of a plan. */
static void
test_snapshot (void)
{
  World world;
  g_autoptr (GError) error = NULL;
  world_open (&world, HOUR);
  gint64 first = create (&world, 0);
  SwarmSnapshot *snapshot = swarm_store_snapshot (world.store[0]);
  g_autoptr (GBytes) bytes = swarm_snapshot_encode (snapshot);
  SwarmStore *late = swarm_store_new (world.clock[1], swarm_random_system (), propose, &world);
  SwarmStore *copy = swarm_store_new (world.clock[1], swarm_random_system (), propose, &world);
  guint cursor = 0;
  g_assert_true (swarm_store_restore (late, world.index, bytes, &error));
  g_assert_cmpint (swarm_store_now (late), ==, first);
  while (swarm_store_load (copy, snapshot, &cursor, 1))
    ;
  g_assert_cmpint (swarm_store_now (copy), ==, first);
  swarm_snapshot_free (snapshot);
  swarm_store_free (copy);
  swarm_store_free (world.store[1]);
  world.store[1] = late;
  g_assert_cmpint (create (&world, 1), ==, first + 1); /* the same on both: create() looks */
  world_close (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stamps/only-grow", test_only_grow);
  g_test_add_func ("/stamps/goes-on", test_goes_on);
  g_test_add_func ("/stamps/set-back", test_set_back);
  g_test_add_func ("/stamps/snapshot", test_snapshot);
  return g_test_run ();
}
