// SPDX-License-Identifier: LGPL-2.1-or-later
/* Changes of members, one at a time, each one entry in the log: a new member begins as standby and becomes a voter when it has caught up.
 * Only a leader that has committed an entry of its own term changes members (Raft dissertation, 4.1, and Ongaro's correction of 2015). */
#include "consensus/consensus-private.h"

#define CATCH_UP_US (30 * G_USEC_PER_SEC)
/* A standby has caught up when it lacks at most so many entries: they are on their way. */
#define CATCH_UP_SLACK 16

typedef enum {
  CHANGE_ADD,
  CHANGE_PROMOTE,
  CHANGE_REMOVE,
  CHANGE_ADDRESS,
  CHANGE_TRANSFER,
} ChangeKind;

struct _Change {
  ChangeKind kind;
  SwarmId node;
  char *address;
  SwarmConsensusDoneFunc done;
  SwarmConsensusAddedFunc added;
  gpointer data;
  gint64 deadline;
  SwarmTimer *timer;
  guint64 target;      /* PROMOTE: what it must have */
  guint64 index, term; /* of the entry, once it is in the log */
  guint64 raft_id;     /* ADD */
  gboolean sent;       /* TRANSFER: libraft is at it */
};

/* What a caller of add() waits for. */
typedef struct {
  SwarmConsensusAddedFunc func;
  gpointer data;
  guint64 raft_id;
} Added;

static void
added_done (guint64 index, const GError *error, gpointer data)
{
  Added *added = data;

  added->func (added->raft_id, error, added->data);
  g_free (added);
}

static void
answer (SwarmConsensus *self, Change *change, guint64 index, GError *error)
{
  if (change->added != NULL) {
    Added *added = g_new0 (Added, 1);
    added->func = change->added;
    added->data = change->data;
    added->raft_id = change->raft_id;
    proposals_answer (self, added_done, added, index, error);
  } else {
    proposals_answer (self, change->done, change->data, index, error);
  }
}

static void
change_free (SwarmConsensus *self, Change *change)
{
  swarm_clock_clear_timer (self->config.clock, &change->timer);
  g_free (change->address);
  g_free (change);
}

/* The end of the change under way; takes @error. */
static void
finish (SwarmConsensus *self, guint64 index, GError *error)
{
  Change *change = g_steal_pointer (&self->change);

  answer (self, change, index, error);
  change_free (self, change);
}

static void
finish_error (SwarmConsensus *self, SwarmError code, const char *text)
{
  finish (self, 0, g_error_new_literal (SWARM_ERROR, code, text));
}

static void
deadline_due (gpointer data)
{
  SwarmConsensus *self = data;

  self->change->timer = NULL;
  consensus_turn_soon (self);
}

static void
begin (SwarmConsensus *self, ChangeKind kind, const SwarmId *node, const char *address, gint64 limit_us, SwarmConsensusDoneFunc done,
       SwarmConsensusAddedFunc added, gpointer data)
{
  Change *change = g_new0 (Change, 1);
  GError *error = NULL;

  change->kind = kind;
  change->node = node != NULL ? *node : SWARM_ID_NIL;
  change->address = g_strdup (address);
  change->done = done;
  change->added = added;
  change->data = data;
  /* A standby that still catches up holds nobody else up; whoever wants it to vote asks again. */
  if (kind != CHANGE_PROMOTE && self->change != NULL && self->change->kind == CHANGE_PROMOTE && self->change->index == 0)
    finish_error (self, SWARM_ERROR_UNAVAILABLE, "another change of managers came first");
  if (!raft_leads (self))
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "this manager does not lead the cluster");
  else if (self->change != NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "another change of managers is under way, try again");
  else if (address != NULL && (*address == '\0' || strlen (address) >= sizeof ((SwarmConsensusMember *) NULL)->address))
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the address \"%s\" is empty or too long", address);
  if (error != NULL) {
    answer (self, change, 0, error);
    change_free (self, change);
    return;
  }
  self->change = change;
  change->deadline = boottime (self) + limit_us;
  change->timer = swarm_clock_timer (self->config.clock, limit_us, SWARM_PRIORITY_NORMAL, deadline_due, self);
  consensus_turn_soon (self);
}

void
swarm_consensus_add (SwarmConsensus *self, const SwarmId *node, const char *address, SwarmConsensusAddedFunc done, gpointer data)
{
  begin (self, CHANGE_ADD, node, address, CATCH_UP_US, NULL, done, data);
}

void
swarm_consensus_promote (SwarmConsensus *self, const SwarmId *node, SwarmConsensusDoneFunc done, gpointer data)
{
  begin (self, CHANGE_PROMOTE, node, NULL, CATCH_UP_US, done, NULL, data);
}

void
swarm_consensus_remove (SwarmConsensus *self, const SwarmId *node, SwarmConsensusDoneFunc done, gpointer data)
{
  begin (self, CHANGE_REMOVE, node, NULL, CATCH_UP_US, done, NULL, data);
}

void
swarm_consensus_set_address (SwarmConsensus *self, const SwarmId *node, const char *address, SwarmConsensusDoneFunc done, gpointer data)
{
  begin (self, CHANGE_ADDRESS, node, address, CATCH_UP_US, done, NULL, data);
}

void
swarm_consensus_transfer (SwarmConsensus *self, const SwarmId *to, SwarmConsensusDoneFunc done, gpointer data)
{
  begin (self, CHANGE_TRANSFER, to, NULL, 4 * election_us (self), done, NULL, data);
}

gboolean
membership_transferring (SwarmConsensus *self)
{
  return self->change != NULL && self->change->kind == CHANGE_TRANSFER;
}

/* ---- carrying out ---- */

/* Puts the changed configuration into the log; takes it. */
static void
append_configuration (SwarmConsensus *self, struct raft_configuration *conf)
{
  Change *change = self->change;
  g_autoptr (GBytes) bytes = conf_encode (conf);
  LogEntry entry = { raft_current_term (&self->raft), RAFT_CHANGE, bytes };

  raft_configuration_close (conf);
  change->index = raft_log_last (self->log) + 1;
  change->term = entry.term;
  if (!engine_append (self, &entry, 1) && is_running (self)) {
    finish_error (self, SWARM_ERROR_FAILED_PRECONDITION, "the managers cannot be changed right now, try again");
  }
}

/* A copy of the configuration in force, without @skip (0: nobody). */
static void
copy_configuration (SwarmConsensus *self, raft_id skip, struct raft_configuration *ret)
{
  const struct raft_configuration *conf = &self->raft.configuration;

  raft_configuration_init (ret);
  for (guint i = 0; i < conf->n; i++)
    if (conf->servers[i].id != skip
        && raft_configuration_add (ret, conf->servers[i].id, conf->servers[i].address, conf->servers[i].role) != 0)
      g_error ("out of memory");
}

static void
work_add (SwarmConsensus *self, const struct raft_server *server)
{
  Change *change = self->change;
  struct raft_configuration conf;
  g_autofree char *address = NULL;

  if (server != NULL) {
    change->raft_id = server->id;
    finish_error (self, SWARM_ERROR_ALREADY_EXISTS, "the node is a manager already");
    return;
  }
  if (self->raft.configuration.n >= MAX_MEMBERS) {
    finish_error (self, SWARM_ERROR_LIMIT_EXCEEDED, "a cluster has 32 managers at most");
    return;
  }
  change->raft_id = raft_id_new (self->config.random, raft_log_last (self->log) + 1);
  address = member_address (&change->node, change->address);
  copy_configuration (self, 0, &conf);
  if (raft_configuration_add (&conf, change->raft_id, address, RAFT_STANDBY) != 0)
    g_error ("out of memory");
  append_configuration (self, &conf);
}

static void
set_role (struct raft_configuration *conf, raft_id id, int role)
{
  for (guint i = 0; i < conf->n; i++)
    if (conf->servers[i].id == id)
      conf->servers[i].role = role;
}

static void
work_promote (SwarmConsensus *self, const struct raft_server *server)
{
  Change *change = self->change;
  struct raft_configuration conf;
  raft_index match = 0;

  if (server == NULL) {
    finish_error (self, SWARM_ERROR_NOT_FOUND, "the node is not among the managers");
    return;
  }
  if (server->role == RAFT_VOTER) {
    finish (self, self->applied, NULL);
    return;
  }
  if (change->target == 0)
    change->target = raft_log_last (self->log);
  if (raft_match_index (&self->raft, server->id, &match) != 0 || match < change->target
      || match + CATCH_UP_SLACK < raft_log_last (self->log)) {
    if (change->timer == NULL)
      finish_error (self, SWARM_ERROR_UNAVAILABLE, "the new manager did not catch up in time");
    return;
  }
  copy_configuration (self, 0, &conf);
  set_role (&conf, server->id, RAFT_VOTER);
  append_configuration (self, &conf);
}

static gboolean
is_reachable (SwarmConsensus *self, guint64 raft_id)
{
  Peer *peer = self->peers != NULL ? g_hash_table_lookup (self->peers, &raft_id) : NULL;

  return raft_id == self->raft.id || (peer != NULL && peer->heard > 0 && boottime (self) - peer->heard < 2 * election_us (self));
}

static void
work_remove (SwarmConsensus *self, const struct raft_server *server)
{
  struct raft_configuration conf;
  guint voters = 0, reachable = 0;

  if (server == NULL) {
    finish (self, self->applied, NULL);
    return;
  }
  if (server->id == self->raft.id) {
    finish_error (self, SWARM_ERROR_FAILED_PRECONDITION, "this manager leads: hand over leadership first");
    return;
  }
  for (guint i = 0; i < self->raft.configuration.n; i++) {
    const struct raft_server *other = &self->raft.configuration.servers[i];
    if (other->role != RAFT_VOTER || other->id == server->id)
      continue;
    voters++;
    reachable += is_reachable (self, other->id);
  }
  if (server->role == RAFT_VOTER && reachable <= voters / 2) {
    finish_error (self, SWARM_ERROR_FAILED_PRECONDITION,
                  "can't remove member from the raft: this would result in a loss of quorum");
    return;
  }
  copy_configuration (self, server->id, &conf);
  append_configuration (self, &conf);
}

static void
work_address (SwarmConsensus *self, const struct raft_server *server)
{
  struct raft_configuration conf, old;
  g_autofree char *address = member_address (&self->change->node, self->change->address);

  if (server == NULL) {
    finish_error (self, SWARM_ERROR_NOT_FOUND, "the node is not among the managers");
    return;
  }
  if (g_str_equal (server->address, address)) {
    finish (self, self->applied, NULL);
    return;
  }
  copy_configuration (self, 0, &old);
  raft_configuration_init (&conf);
  for (guint i = 0; i < old.n; i++)
    if (raft_configuration_add (&conf, old.servers[i].id, old.servers[i].id == server->id ? address : old.servers[i].address,
                                old.servers[i].role)
        != 0)
      g_error ("out of memory");
  raft_configuration_close (&old);
  append_configuration (self, &conf);
}

static void
work_transfer (SwarmConsensus *self)
{
  Change *change = self->change;
  struct raft_event event = { .type = RAFT_TRANSFER };
  const struct raft_server *server = NULL;

  /* What was proposed comes through first: its callers need not hear that its outcome is unknown. */
  if (!change->sent && !g_queue_is_empty (&self->proposed) && boottime (self) < change->deadline - 3 * election_us (self))
    return;
  if (change->sent) {
    if (raft_transferee (&self->raft) == 0)
      finish_error (self, SWARM_ERROR_UNAVAILABLE, "the other manager did not take over leadership");
    return;
  }
  if (!swarm_id_is_nil (&change->node)) {
    server = conf_find_node (&self->raft.configuration, &change->node);
    if (server == NULL || server->role != RAFT_VOTER || server->id == self->raft.id) {
      finish_error (self, SWARM_ERROR_INVALID_ARGUMENT, "leadership can only be handed to another manager that votes");
      return;
    }
    event.transfer.server_id = server->id;
  }
  change->sent = TRUE;
  if (!engine_step (self, &event) && is_running (self))
    finish_error (self, SWARM_ERROR_UNAVAILABLE, "there is no other manager that could lead");
}

void
membership_work (SwarmConsensus *self)
{
  Change *change = self->change;
  const struct raft_server *server;

  if (change == NULL)
    return;
  if (change->index != 0) {
    if (!raft_leads (self) || raft_current_term (&self->raft) != change->term)
      membership_lost (self);
    return;
  }
  if (!raft_leads (self)) {
    SwarmId leader = swarm_consensus_leader (self);

    if (change->sent && !swarm_id_is_nil (&leader))
      finish (self, self->applied, NULL);
    else if (!change->sent || change->timer == NULL)
      membership_lost (self);
    return;
  }
  if (change->timer == NULL && change->kind != CHANGE_PROMOTE && !change->sent) {
    finish_error (self, SWARM_ERROR_UNAVAILABLE, "the managers could not be changed in time");
    return;
  }
  if (!is_ready_leader (self) || self->raft.configuration_uncommitted_index != 0)
    return;
  server = conf_find_node (&self->raft.configuration, &change->node);
  switch (change->kind) {
  case CHANGE_ADD:
    work_add (self, server);
    break;
  case CHANGE_PROMOTE:
    work_promote (self, server);
    break;
  case CHANGE_REMOVE:
    work_remove (self, server);
    break;
  case CHANGE_ADDRESS:
    work_address (self, server);
    break;
  case CHANGE_TRANSFER:
    work_transfer (self);
    break;
  }
}

void
membership_applied (SwarmConsensus *self, guint64 index, guint64 term)
{
  if (self->change != NULL && self->change->index == index && self->change->term == term)
    finish (self, index, NULL);
}

void
membership_lost (SwarmConsensus *self)
{
  if (self->change == NULL || (self->change->sent && self->change->timer != NULL && is_running (self)))
    return;
  if (self->change->kind == CHANGE_TRANSFER)
    finish_error (self, SWARM_ERROR_UNAVAILABLE, "leadership was lost, and no new leader is known");
  else if (self->change->index != 0)
    finish_error (self, SWARM_ERROR_UNKNOWN, "leadership was lost before the change was confirmed: it may have been made or not");
  else
    finish_error (self, SWARM_ERROR_NO_QUORUM, "this manager does not lead the cluster any more");
}

void
membership_clear (SwarmConsensus *self)
{
  if (self->change != NULL)
    finish_error (self, SWARM_ERROR_CANCELLED, "this manager stops");
}

/* ---- the list ---- */

GArray *
swarm_consensus_members (SwarmConsensus *self)
{
  GArray *list = g_array_new (FALSE, TRUE, sizeof (SwarmConsensusMember));
  gboolean leads = raft_leads (self);
  SwarmId leader = swarm_consensus_leader (self);

  if (!self->raft_open)
    return list;
  for (guint i = 0; i < self->raft.configuration.n; i++) {
    const struct raft_server *server = &self->raft.configuration.servers[i];
    SwarmConsensusMember member = { .raft_id = server->id, .voter = server->role == RAFT_VOTER };
    const char *address;
    raft_index match = 0;

    if (!member_parse (server->address, &member.node, &address))
      continue;
    g_strlcpy (member.address, address, sizeof member.address);
    member.leader = !swarm_id_is_nil (&leader) && swarm_id_equal (&leader, &member.node);
    member.reachable = leads ? is_reachable (self, server->id) : member.leader || server->id == self->raft.id;
    if (leads && raft_match_index (&self->raft, server->id, &match) == 0)
      member.match_index = match;
    g_array_append_val (list, member);
  }
  return list;
}
