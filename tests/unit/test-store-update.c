// SPDX-License-Identifier: LGPL-2.1-or-later
/* The log has only what an update changes: it is put together with the very object that this was read from, or with none. */
#include "base/clock-virtual.h"
#include "base/error.h"
#include "base/random-system.h"
#include "store/store.h"

/* Two managers and a log; what the first one proposes is applied on both at once, on the second one from its bytes. */
typedef struct {
  SwarmVirtualClock *clock;
  SwarmStore *store[2];
  guint64 index;
  SwarmId id; /* of a service */
  gsize size; /* of the last entry */
  int code;   /* of the last commit's error; -1: none */
} World;

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  World *self = data;
  self->index++;
  self->size = g_bytes_get_size (entry);
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++)
    g_assert_true (swarm_store_apply (self->store[i], self->index, entry, NULL));
  done (self->index, NULL, done_data);
}

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  ((World *) data)->code = error != NULL ? error->code : -1;
}

static SwarmService *
service_at (World *self, guint store)
{
  return swarm_store_get (self->store[store], SWARM_KIND_SERVICE, &self->id);
}

static void
world_open (World *self)
{
  g_autoptr (SwarmService) service = swarm_service_new ();
  *self = (World){ .clock = swarm_virtual_clock_new (1000000) };
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++)
    self->store[i] = swarm_store_new (swarm_virtual_clock_iface (self->clock), swarm_random_system (), propose, self);
  service->spec = swarm_service_spec_new ();
  service->spec->name = g_strnfill (1000, 'x');
  SwarmTx *tx = swarm_store_tx (self->store[0]);
  swarm_tx_create (tx, service);
  self->id = service->object.id;
  swarm_tx_commit (tx, NULL, committed, self);
}

static void
world_close (World *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++)
    swarm_store_free (self->store[i]);
  swarm_virtual_clock_free (self->clock);
}

/* A copy of @from with another spec version, as a change of @base (NULL: of what the store has). */
static void
update (World *self, const SwarmService *base, const SwarmService *from, guint64 spec_version)
{
  g_autoptr (SwarmService) copy = swarm_service_copy (from);
  SwarmTx *tx = swarm_store_tx (self->store[0]);
  copy->spec_version = spec_version;
  if (base != NULL)
    swarm_tx_update_of (tx, base, copy);
  else
    swarm_tx_update (tx, copy);
  swarm_tx_commit (tx, NULL, committed, self);
}

static void
assert_both_have (World *self, guint64 spec_version)
{
  g_assert_cmpint (self->code, ==, -1);
  for (guint i = 0; i < G_N_ELEMENTS (self->store); i++) {
    g_assert_cmpuint (service_at (self, i)->spec_version, ==, spec_version);
    g_assert_cmpuint (strlen (service_at (self, i)->spec->name), ==, 1000);
  }
}

static void
test_update_of (void)
{
  World world;
  world_open (&world);
  g_autoptr (SwarmService) first = swarm_service_ref (service_at (&world, 0));
  update (&world, first, first, 7);
  assert_both_have (&world, 7);
  g_assert_cmpuint (world.size, <, 500);
  update (&world, NULL, service_at (&world, 0), 8);
  assert_both_have (&world, 8);
  g_assert_cmpuint (world.size, <, 500);
  /* A base that is older than the object: nothing is left out, though the new spec version is the one that it has. */
  update (&world, first, service_at (&world, 0), first->spec_version);
  assert_both_have (&world, first->spec_version);
  g_assert_cmpuint (world.size, >, 1000);
  /* Both are old. */
  update (&world, first, first, 9);
  g_assert_cmpint (world.code, ==, SWARM_ERROR_OUT_OF_SEQUENCE);
  world.code = -1;
  assert_both_have (&world, first->spec_version);
  world_close (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store-update/update-of", test_update_of);
  return g_test_run ();
}
