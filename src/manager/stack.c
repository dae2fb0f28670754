// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/stack.h"
#include "base/log-ids.h"
#include "base/log.h"

struct _SwarmStack {
  SwarmStackConfig config;
  const SwarmStackEvents *events;
  gpointer data;
  SwarmStore *store;
  SwarmConsensus *consensus;
  SwarmManager *manager;
  gboolean running;
  guint watch;
};

/* So much of the log, beside the state, is worth a snapshot before its time. */
#define SNAPSHOT_BYTES (2 * 1024 * 1024)
#define DEFAULT_SNAPSHOT_INTERVAL 10000

/* ---- the log calls the store ---- */

static gboolean
log_apply (guint64 index, GBytes *entry, gboolean ours, gpointer data, GError **error)
{
  SwarmStack *self = data;
  return swarm_store_apply (self->store, index, entry, error);
}

static gpointer
log_snapshot (gpointer data)
{
  SwarmStack *self = data;
  return swarm_store_snapshot (self->store);
}

static void
log_encode (gpointer handle, SwarmConsensusEncodedFunc done, gpointer done_data, gpointer data)
{
  SwarmStack *self = data;
  self->events->encode (handle, done, done_data, self->data);
}

static gboolean
log_restore (guint64 index, GBytes *snapshot, gpointer data, GError **error)
{
  SwarmStack *self = data;
  return swarm_store_restore (self->store, index, snapshot, error);
}

static void
log_send (const SwarmId *to, GBytes *message, gpointer data)
{
  SwarmStack *self = data;
  self->events->send (to, message, self->data);
}

static void
log_role_changed (gboolean is_leader, const SwarmId *leader, guint64 term, gpointer data)
{
  SwarmStack *self = data;
  if (is_leader != swarm_manager_leads (self->manager)) {
    g_autofree char *number = g_strdup_printf ("%" G_GUINT64_FORMAT, term);
    swarm_log (LOG_INFO, is_leader ? swarm_log_id_leads : swarm_log_id_leads_no_more, SWARM_LOG_FIELDS ({ "SWARM_TERM", number }), "%s in term %s",
               is_leader ? "This manager leads" : "This manager does not lead any more", number);
    swarm_manager_lead (self->manager, is_leader);
  }
  swarm_manager_members_changed (self->manager);
  self->events->changed (self->data);
}

static void
log_members_changed (gpointer data)
{
  SwarmStack *self = data;
  swarm_manager_members_changed (self->manager);
  self->events->changed (self->data);
}

static void
log_removed (gpointer data)
{
  SwarmStack *self = data;
  self->events->removed (self->data);
}

static void
log_fatal (const GError *error, gpointer data)
{
  SwarmStack *self = data;
  swarm_manager_lead (self->manager, FALSE);
  self->events->fatal (error, self->data);
}

static const SwarmConsensusEvents log_events = {
  log_apply,        log_snapshot,        log_encode,  log_restore, log_send,
  log_role_changed, log_members_changed, log_removed, log_fatal,
};

/* ---- the store and the brain call the log ---- */

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SwarmStack *self = data;
  if (self->config.propose != NULL)
    self->config.propose (entry, done, done_data, self->config.propose_data);
  else
    swarm_consensus_propose (self->consensus, entry, done, done_data);
}

static GArray *
members_list (gpointer data)
{
  SwarmStack *self = data;
  GArray *list = g_array_new (FALSE, TRUE, sizeof (SwarmMember));
  if (self->config.propose != NULL) {
    SwarmMember own = { .node = self->config.node, .voter = TRUE, .reachable = TRUE, .leader = TRUE };
    g_strlcpy (own.addr, self->config.address, sizeof own.addr);
    g_array_append_val (list, own);
    return list;
  }
  if (!self->running)
    return list;
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
  SwarmStack *self = data;
  MembersCall *call = g_new (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_promote (self->consensus, node, members_done, call);
}

static void
members_remove (const SwarmId *node, SwarmMembersDone done, gpointer done_data, gpointer data)
{
  SwarmStack *self = data;
  MembersCall *call = g_new (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_remove (self->consensus, node, members_done, call);
}

static void
members_transfer (SwarmMembersDone done, gpointer done_data, gpointer data)
{
  SwarmStack *self = data;
  MembersCall *call = g_new (MembersCall, 1);
  *call = (MembersCall){ done, done_data };
  swarm_consensus_transfer (self->consensus, NULL, members_done, call);
}

/* ---- what the cluster's spec says about the log ---- */

static void
read_spec (SwarmStack *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  const SwarmRaftConfig *raft = cluster != NULL ? cluster->spec->raft : NULL;
  if (raft != NULL)
    swarm_consensus_set_snapshots (self->consensus, raft->snapshot_interval > 0 ? raft->snapshot_interval : DEFAULT_SNAPSHOT_INTERVAL,
                                   raft->slow_followers);
}

static void
cluster_event (const SwarmEvent *event, gpointer data)
{
  if (event->event != SWARM_EVENT_COMMIT)
    read_spec (data);
}

/* ---- life ---- */

SwarmStack *
swarm_stack_new (const SwarmStackConfig *config, const SwarmStackEvents *events, gpointer data)
{
  SwarmStack *self = g_new0 (SwarmStack, 1);
  self->config = *config;
  self->events = events;
  self->data = data;
  self->store = swarm_store_new (config->clock, config->random, propose, self);
  SwarmConsensusConfig log_config = {
    .clock = config->clock,
    .random = config->random,
    .disk = config->disk,
    .crypto = config->crypto,
    .key = config->log_key,
    .key_number = config->log_key_number,
    .old_key = config->old_log_key,
    .old_key_number = config->old_log_key_number,
    .alone = config->alone,
    .node = config->node,
    .cluster = config->cluster,
    .snapshot_bytes = SNAPSHOT_BYTES,
  };
  if (config->propose == NULL) {
    self->consensus = swarm_consensus_new (&log_config, &log_events, self);
    self->watch = swarm_store_watch (self->store, 1 << SWARM_KIND_CLUSTER, cluster_event, self);
  }
  SwarmManagerConfig manager_config = {
    .store = self->store,
    .clock = config->clock,
    .random = config->random,
    .crypto = config->crypto,
    .self = config->node,
    .members = { members_list, members_promote, members_remove, members_transfer, self },
    .schedulers = config->schedulers,
    .budget = config->budget,
    .signer = config->signer,
  };
  self->manager = swarm_manager_new (&manager_config);
  return self;
}

void
swarm_stack_free (SwarmStack *self)
{
  if (self == NULL)
    return;
  self->running = FALSE;
  swarm_manager_lead (self->manager, FALSE);
  if (self->consensus != NULL)
    swarm_consensus_free (self->consensus);
  swarm_manager_free (self->manager);
  swarm_store_free (self->store);
  g_free (self);
}

gboolean
swarm_stack_start (SwarmStack *self, SwarmConsensusStart *ret_state, GError **error)
{
  self->running = TRUE;
  return swarm_consensus_start (self->consensus, ret_state, error);
}

SwarmStore *
swarm_stack_store (SwarmStack *self)
{
  return self->store;
}

SwarmManager *
swarm_stack_manager (SwarmStack *self)
{
  return self->manager;
}

SwarmConsensus *
swarm_stack_consensus (SwarmStack *self)
{
  return self->consensus;
}
