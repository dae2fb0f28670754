// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/control/operation.h"

SwarmControl *
swarm_control_new (SwarmStore *store, SwarmClock *clock, SwarmRandom *random, const SwarmMembers *members)
{
  SwarmControl *self = g_new0 (SwarmControl, 1);
  self->ref_count = 1;
  self->store = store;
  self->clock = clock;
  self->random = random;
  self->members = members;
  self->counts = swarm_counts_new (store);
  self->flying = g_hash_table_new (NULL, NULL);
  return self;
}

void
swarm_control_set_schedulers (SwarmControl *self, SwarmSchedulerSet *schedulers)
{
  self->schedulers = schedulers;
}

void
swarm_control_set_crypto (SwarmControl *self, SwarmCrypto *crypto)
{
  self->crypto = crypto;
}

void
swarm_control_unref (SwarmControl *self)
{
  if (--self->ref_count > 0)
    return;
  g_hash_table_unref (self->flying);
  g_free (self);
}

void
swarm_control_free (SwarmControl *self)
{
  if (self == NULL)
    return;
  self->closed = TRUE;
  if (self->rebalance != NULL)
    swarm_rebalance_cancel (self->rebalance);
  g_clear_pointer (&self->counts, swarm_counts_free);
  swarm_control_unref (self);
}
