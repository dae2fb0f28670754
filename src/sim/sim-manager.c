// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's part of a simulated agent: the stack that the daemon has, too, with the simulated world around it. */
#include "base/error.h"
#include "sim/late-encode.h"
#include "sim/sim-machine.h"

/* ---- messages to other managers ---- */

static SimMachine *
machine_by_id (SimWorld *world, const SwarmId *id)
{
  for (guint i = 0; i < world->machines->len; i++) {
    SimMachine *machine = g_ptr_array_index (world->machines, i);
    if (swarm_id_equal (&machine->id, id))
      return machine;
  }
  return NULL;
}

static void
peer_up (SwarmLink *link, gpointer data)
{
  SimMachine *self = data;
  if (self->consensus != NULL)
    swarm_consensus_peer_connected (self->consensus, &link->peer.node);
}

static void
peer_down (SwarmLink *link, const GError *error, gpointer data)
{
  SimMachine *self = data;
  GHashTableIter iter;
  gpointer other, value;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, &other, &value)) {
    if (value != link)
      continue;
    SwarmId id = *(const SwarmId *) other;
    g_hash_table_iter_remove (&iter);
    if (self->consensus != NULL)
      swarm_consensus_peer_disconnected (self->consensus, &id);
    return;
  }
}

static const SwarmLinkEvents peer_events = { peer_up, peer_down, NULL };

/* How often a message arrives; lost and doubled ones are what consensus must bear. */
static guint
copies (SimMachine *self)
{
  guint loss = sim_host_loss (self->host);
  if (loss == 0)
    return 1;
  if (sim_random_chance (&self->world->random, loss))
    return 0;
  return sim_random_chance (&self->world->random, loss) ? 2 : 1;
}

static void
stack_send (const SwarmId *to, GBytes *message, gpointer data)
{
  SimMachine *self = data;
  SimMachine *other = machine_by_id (self->world, to);
  if (other == NULL)
    return;
  SwarmLink *link = g_hash_table_lookup (self->peers, &other->id);
  if (link == NULL) {
    SwarmTransport *transport = sim_host_transport (self->host);
    link = transport->dial (transport, other->address, SWARM_LINK_CONSENSUS, &peer_events, self);
    g_hash_table_insert (self->peers, &other->id, link);
  }
  for (guint times = link->is_up ? copies (self) : 0; times > 0; times--) {
    GVariant *bytes = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, message, TRUE);
    swarm_link_send (link, "org.swarmagent1.Consensus", "Message", g_variant_new_tuple (&bytes, 1)); /* many: no format is parsed */
  }
}

void
sim_machine_receive (SimMachine *self, const SwarmId *from, GVariant *args)
{
  if (self->consensus == NULL || !g_variant_is_of_type (args, G_VARIANT_TYPE ("(ay)")))
    return;
  g_autoptr (GVariant) child = g_variant_get_child_value (args, 0);
  g_autoptr (GBytes) message = g_variant_get_data_as_bytes (child);
  swarm_consensus_receive (self->consensus, from, message);
}

/* ---- what the stack asks for ---- */

static void
stack_encode (SwarmSnapshot *snapshot, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  SimMachine *self = data;
  late_encode (self->clock, 5000, swarm_snapshot_encode (snapshot), done, done_data);
  swarm_snapshot_free (snapshot);
}

static void
stack_changed (gpointer data)
{
}

static void
stack_removed (gpointer data)
{
  sim_machine_step_down_later (data);
}

static void
stack_fatal (const GError *error, gpointer data)
{
  g_error ("%s: the log cannot go on: %s", ((SimMachine *) data)->name, error->message);
}

static const SwarmStackEvents stack_events = { stack_send, stack_changed, stack_removed, stack_fatal, stack_encode };

static void
propose_to_world (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer world_log)
{
  sim_log_propose (entry, done, done_data, world_log);
}

/* ---- life ---- */

static void
start_log (SimMachine *self)
{
  g_autoptr (GError) error = NULL;
  SwarmConsensusStart state;
  if (self->world->log != NULL) {
    sim_log_attach (self->world->log, self->store);
    swarm_manager_lead (self->brain, TRUE);
    return;
  }
  if (!swarm_stack_start (self->stack, &state, &error))
    g_error ("%s: the log does not start: %s", self->name, error->message);
  if (state == SWARM_CONSENSUS_STARTED)
    return;
  if (self->founder)
    swarm_consensus_bootstrap (self->consensus, self->address);
  else
    swarm_consensus_join (self->consensus, self->raft_id);
}

void
sim_machine_start_brain (SimMachine *self)
{
  SimWorld *world = self->world;
  g_autoptr (GError) error = NULL;
  SwarmPluginHostConfig host = { .clock = self->clock, .random = &world->random.iface };
  self->schedulers = swarm_scheduler_set_new ();
  for (guint i = 0; i < G_N_ELEMENTS (world->schedulers); i++)
    if (!swarm_scheduler_set_add (self->schedulers, world->schedulers[i], &host, &error))
      g_error ("%s: %s", self->name, error->message);
  self->peers = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, (GDestroyNotify) swarm_link_unref);
  SwarmStackConfig config = {
    .clock = self->clock,
    .random = &world->random.iface,
    .crypto = &world->crypto.iface,
    .disk = sim_disk_iface (self->log_disk),
    .node = self->id,
    .cluster = world->cluster,
    .schedulers = self->schedulers,
    .budget = world->hurry.most_us > 0 ? &world->hurry.iface : NULL,
    .propose = world->log != NULL ? propose_to_world : NULL,
    .propose_data = world->log,
    .address = self->address,
  };
  self->stack = swarm_stack_new (&config, &stack_events, self);
  self->store = swarm_stack_store (self->stack);
  self->consensus = swarm_stack_consensus (self->stack);
  self->brain = swarm_stack_manager (self->stack);
  g_ptr_array_add (world->brains, self);
  if (world->store_opened != NULL)
    world->store_opened (self, world->store_opened_data);
  start_log (self);
}

static void
drop_peers (SimMachine *self)
{
  GHashTableIter iter;
  gpointer link;
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &link))
    swarm_link_set_events (link, NULL, NULL);
  g_clear_pointer (&self->peers, g_hash_table_unref);
}

void
sim_machine_stop_brain (SimMachine *self)
{
  swarm_manager_lead (self->brain, FALSE);
  if (self->world->log != NULL)
    sim_log_attach (self->world->log, NULL);
  self->consensus = NULL;
  self->brain = NULL;
  g_ptr_array_remove (self->world->brains, self);
  self->store = NULL;
  g_clear_pointer (&self->stack, swarm_stack_free);
  g_clear_pointer (&self->schedulers, swarm_scheduler_set_free);
  drop_peers (self);
}
