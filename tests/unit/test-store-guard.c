// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the store shares must be left alone: sanitized builds, which the tests run in, notice who does not. */
#include "base/clock-virtual.h"
#include "base/random-system.h"
#include "store/store.h"

typedef struct {
  SwarmVirtualClock *clock;
  SwarmStore *store;
} World;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  World *self = data;
  g_autoptr (GError) error = NULL;

  g_assert_true (swarm_store_apply (self->store, swarm_store_index (self->store) + 1, entry, &error));
  done (swarm_store_index (self->store), NULL, done_data);
}

static SwarmService *
world_open (World *self)
{
  SwarmService *service = swarm_service_new ();

  self->clock = swarm_virtual_clock_new (1000000);
  self->store = swarm_store_new (swarm_virtual_clock_iface (self->clock), swarm_random_system (), propose, self);
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strdup ("web");
  return service;
}

/* Between the transaction and its commit. */
static void
change_what_was_handed_over (void)
{
  World world;
  g_autoptr (SwarmService) service = world_open (&world);
  SwarmTx *tx = swarm_store_tx (world.store);

  swarm_tx_create (tx, service);
  service->spec_version = 7;
  swarm_tx_commit (tx, NULL, NULL, NULL);
}

static void
change_what_is_stored (void)
{
  World world;
  g_autoptr (SwarmService) service = world_open (&world);
  SwarmTx *tx = swarm_store_tx (world.store);

  swarm_tx_create (tx, service);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  ((SwarmService *) swarm_store_get (world.store, SWARM_KIND_SERVICE, &service->object.id))->spec_version = 7;
  tx = swarm_store_tx (world.store);
  swarm_tx_remove (tx, SWARM_KIND_SERVICE, &service->object.id, 0);
  swarm_tx_commit (tx, NULL, NULL, NULL);
}

static void
test_noticed (void)
{
#ifdef SWARM_OBJECT_GUARD
  static const char *const ways[] = { "/guard/noticed/subprocess/handed-over", "/guard/noticed/subprocess/stored" };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
    g_test_trap_subprocess (ways[i], 0, 0);
    g_test_trap_assert_failed ();
    g_test_trap_assert_stderr ("*service * was changed after it was handed to the store*");
  }
#else
  g_test_skip ("only sanitized builds look");
#endif
}

/* What is done as it should be is not noticed. */
static void
test_fine (void)
{
  World world;
  g_autoptr (SwarmService) service = world_open (&world);
  SwarmTx *tx = swarm_store_tx (world.store);

  swarm_tx_create (tx, service);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  g_autoptr (SwarmService) copy = swarm_service_copy (swarm_store_get (world.store, SWARM_KIND_SERVICE, &service->object.id));
  tx = swarm_store_tx (world.store);
  copy->spec_version = 2;
  swarm_tx_update (tx, copy);
  copy->spec_version = 3;
  swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, NULL, NULL);
  g_assert_cmpuint (((SwarmService *) swarm_store_get (world.store, SWARM_KIND_SERVICE, &service->object.id))->spec_version, ==, 3);
  swarm_store_free (world.store);
  swarm_virtual_clock_free (world.clock);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guard/fine", test_fine);
  g_test_add_func ("/guard/noticed", test_noticed);
  g_test_add_func ("/guard/noticed/subprocess/handed-over", change_what_was_handed_over);
  g_test_add_func ("/guard/noticed/subprocess/stored", change_what_is_stored);
  return g_test_run ();
}
