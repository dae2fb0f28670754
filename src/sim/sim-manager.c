// SPDX-License-Identifier: LGPL-2.1-or-later
/* A manager's part of a simulated agent: store, log and brain wired together as the daemon does it. */
#include "base/error.h"
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
    SwarmId id = ((SimMachine *) other)->id;
    g_hash_table_iter_remove (&iter);
    if (self->consensus != NULL)
      swarm_consensus_peer_disconnected (self->consensus, &id);
    return;
  }
}

static const SwarmLinkEvents peer_events = { peer_up, peer_down, NULL };

static void
log_send (const SwarmId *to, GBytes *message, gpointer data)
{
  SimMachine *self = data;
  SimMachine *other = machine_by_id (self->world, to);
  if (other == NULL)
    return;
  SwarmLink *link = g_hash_table_lookup (self->peers, other);
  if (link == NULL) {
    SwarmTransport *transport = sim_host_transport (self->host);
    link = transport->dial (transport, other->address, SWARM_LINK_CONSENSUS, &peer_events, self);
    g_hash_table_insert (self->peers, other, link);
  }
  if (link->is_up)
    swarm_link_send (link, "org.swarmagent1.Consensus", "Message",
                     g_variant_new ("(@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, message, TRUE)));
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

/* ---- the log calls the store ---- */

static gboolean
log_apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  return swarm_store_apply (((SimMachine *) data)->store, index, entry, error);
}

static gpointer
log_snapshot (gpointer data)
{
  return swarm_store_snapshot (((SimMachine *) data)->store);
}

typedef struct {
  GBytes *bytes;
  SwarmConsensusEncodedFunc done;
  gpointer data;
} Encoded;

static void
encoded (gpointer data)
{
  g_autofree Encoded *job = data;
  job->done (job->bytes, job->data);
  g_bytes_unref (job->bytes);
}

static void
log_encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  SimMachine *self = data;
  Encoded *job = g_new0 (Encoded, 1);
  *job = (Encoded){ swarm_snapshot_encode (handle), done, done_data };
  swarm_snapshot_free (handle);
  swarm_clock_timer (self->clock, 5000, SWARM_PRIORITY_NORMAL, encoded, job);
}

static gboolean
log_restore (guint64 index, GBytes *snapshot, gpointer data, GError **error)
{
  return swarm_store_restore (((SimMachine *) data)->store, index, snapshot, error);
}

static void
log_role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  SimMachine *self = data;
  swarm_manager_lead (self->brain, is_leader);
  swarm_manager_members_changed (self->brain);
}

static void
log_members_changed (gpointer data)
{
  swarm_manager_members_changed (((SimMachine *) data)->brain);
}

/* In a turn of its own: consensus is on the stack. */
static void
step_down (gpointer data)
{
  SimMachine *self = data;
  if (self->running && self->manager)
    sim_machine_stop_brain (self);
  self->manager = FALSE;
  sim_host_set_identity (self->host, SWARM_PEER_WORKER, &self->id, &self->world->cluster);
}

static void
log_removed (gpointer data)
{
  swarm_clock_timer (((SimMachine *) data)->clock, 0, SWARM_PRIORITY_NORMAL, step_down, data);
}

static void
log_fatal (const GError *error, gpointer data)
{
  g_error ("%s: the log cannot go on: %s", ((SimMachine *) data)->name, error->message);
}

static const SwarmConsensusEvents log_events = {
  .apply = log_apply,
  .snapshot = log_snapshot,
  .encode = log_encode,
  .restore = log_restore,
  .send = log_send,
  .role_changed = log_role_changed,
  .members_changed = log_members_changed,
  .removed = log_removed,
  .fatal = log_fatal,
};

/* ---- the store and the brain call the log ---- */

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SimMachine *self = data;
  if (self->world->log != NULL)
    sim_log_propose (entry, done, done_data, self->world->log);
  else
    swarm_consensus_propose (self->consensus, entry, done, done_data);
}

static GArray *
members_list (gpointer data)
{
  SimMachine *self = data;
  GArray *list = g_array_new (FALSE, TRUE, sizeof (SwarmMember));
  if (self->consensus == NULL) {
    SwarmMember own = { .node = self->id, .voter = TRUE, .reachable = TRUE, .leader = TRUE };
    g_strlcpy (own.addr, self->address, sizeof own.addr);
    g_array_append_val (list, own);
    return list;
  }
  g_autoptr (GArray) members = swarm_consensus_members (self->consensus);
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *from = &g_array_index (members, SwarmConsensusMember, i);
    SwarmMember member = { .node = from->node, .voter = from->voter, .reachable = from->reachable, .leader = from->leader };
    g_strlcpy (member.addr, from->address, sizeof member.addr);
    g_array_append_val (list, member);
  }
  return list;
}

typedef struct {
  SwarmMembersDone done;
  gpointer data;
} MembersCall;

static void
members_done (guint64 index, const GError *error, gpointer data)
{
  g_autofree MembersCall *call = data;
  call->done (error, call->data);
}

static void
members_promote (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data)
{
  MembersCall *call = g_new0 (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_promote (((SimMachine *) data)->consensus, node, members_done, call);
}

static void
members_remove (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data)
{
  MembersCall *call = g_new0 (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_remove (((SimMachine *) data)->consensus, node, members_done, call);
}

static void
members_transfer (SwarmMembersDone done, gpointer done_data, gpointer data)
{
  MembersCall *call = g_new0 (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_transfer (((SimMachine *) data)->consensus, NULL, members_done, call);
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
  if (!swarm_consensus_start (self->consensus, &state, &error))
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
  self->peers = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) swarm_link_unref);
  self->store = swarm_store_new (self->clock, &world->random.iface, propose, self);
  if (world->store_opened != NULL)
    world->store_opened (self, world->store_opened_data);
  SwarmConsensusConfig log = {
    .clock = self->clock,
    .random = &world->random.iface,
    .disk = sim_disk_iface (self->log_disk),
    .crypto = &world->crypto.iface,
    .node = self->id,
    .cluster = world->cluster,
  };
  if (world->log == NULL)
    self->consensus = swarm_consensus_new (&log, &log_events, self);
  SwarmManagerConfig config = {
    .store = self->store,
    .clock = self->clock,
    .random = &world->random.iface,
    .crypto = &world->crypto.iface,
    .self = self->id,
    .members = { members_list, members_promote, members_remove, members_transfer, self },
    .schedulers = self->schedulers,
  };
  self->brain = swarm_manager_new (&config);
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
  g_clear_pointer (&self->consensus, swarm_consensus_free);
  if (self->world->log != NULL)
    sim_log_attach (self->world->log, NULL);
  g_clear_pointer (&self->brain, swarm_manager_free);
  g_clear_pointer (&self->store, swarm_store_free);
  g_clear_pointer (&self->schedulers, swarm_scheduler_set_free);
  drop_peers (self);
}
