// SPDX-License-Identifier: LGPL-2.1-or-later
/* What callers wait for: proposals and barriers (through the log), and waiting for an index. */
#include "consensus/consensus-private.h"

#define MAX_PROPOSALS 4096
#define MAX_PROPOSED_BYTES (64 * 1024 * 1024)
#define MAX_BATCH 256
#define MAX_WAITERS 4096

struct _Proposal {
  LogEntry entry;
  guint64 index;
  guint64 term;
  SwarmConsensusDoneFunc done; /* NULL: nobody waits */
  gpointer data;
};

typedef struct {
  SwarmConsensusDoneFunc done;
  gpointer data;
  guint64 index;
  GError *error;
} Completion;

typedef struct {
  SwarmConsensus *self;
  guint64 index;
  SwarmConsensusDoneFunc done;
  gpointer data;
  SwarmTimer *timer;
} Waiter;

static void finish_waiters (SwarmConsensus *self);

/* ---- answers ---- */

void
proposals_answer (SwarmConsensus *self, SwarmConsensusDoneFunc done, gpointer data, guint64 index, GError *error)
{
  Completion *completion;

  if (done == NULL) {
    g_clear_error (&error);
    return;
  }
  completion = g_new0 (Completion, 1);
  completion->done = done;
  completion->data = data;
  completion->index = error != NULL ? 0 : index;
  completion->error = error;
  g_queue_push_tail (&self->completions, completion);
  consensus_turn_soon (self);
}

static void
completion_run (Completion *completion)
{
  completion->done (completion->index, completion->error, completion->data);
  g_clear_error (&completion->error);
  g_free (completion);
}

void
proposals_complete (SwarmConsensus *self)
{
  guint n;

  finish_waiters (self);
  n = self->completions.length;
  while (n-- > 0 && self->state != STATE_FREED)
    completion_run (g_queue_pop_head (&self->completions));
}

static void
proposal_finish (SwarmConsensus *self, Proposal *proposal, GError *error)
{
  self->proposed_bytes -= g_bytes_get_size (proposal->entry.data);
  proposals_answer (self, proposal->done, proposal->data, proposal->index, error);
  g_bytes_unref (proposal->entry.data);
  g_free (proposal);
}

static GError *
not_leader (SwarmConsensus *self)
{
  return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM,
                              membership_transferring (self) ? "leadership is being handed over" : "this manager does not lead the cluster");
}

/* ---- proposing ---- */

static void
enqueue (SwarmConsensus *self, guint8 type, GBytes *data, SwarmConsensusDoneFunc done, gpointer done_data)
{
  gsize size = g_bytes_get_size (data);
  Proposal *proposal;

  if (!raft_leads (self) || membership_transferring (self)) {
    proposals_answer (self, done, done_data, 0, not_leader (self));
    return;
  }
  if (size > SWARM_CONSENSUS_MAX_ENTRY || self->queued.length + self->proposed.length >= MAX_PROPOSALS
      || self->proposed_bytes + size > MAX_PROPOSED_BYTES) {
    proposals_answer (self, done, done_data, 0,
                      g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED,
                                           size > SWARM_CONSENSUS_MAX_ENTRY ? "the change is too large" : "too many changes are under way"));
    return;
  }
  proposal = g_new0 (Proposal, 1);
  proposal->entry.type = type;
  proposal->entry.data = g_bytes_ref (data);
  proposal->done = done;
  proposal->data = done_data;
  self->proposed_bytes += size;
  g_queue_push_tail (&self->queued, proposal);
  consensus_turn_soon (self);
}

void
swarm_consensus_propose (SwarmConsensus *self, GBytes *entry, SwarmConsensusDoneFunc done, gpointer data)
{
  enqueue (self, RAFT_COMMAND, entry, done, data);
}

static void
enqueue_barrier (SwarmConsensus *self, SwarmConsensusDoneFunc done, gpointer data)
{
  g_autoptr (GBytes) empty = g_bytes_new_static ("\0\0\0\0\0\0\0", 8);

  enqueue (self, RAFT_BARRIER, empty, done, data);
}

void
swarm_consensus_barrier (SwarmConsensus *self, SwarmConsensusDoneFunc done, gpointer data)
{
  if (swarm_consensus_has_lease (self) && self->applied == raft_commit_index (&self->raft))
    proposals_answer (self, done, data, self->applied, NULL);
  else
    enqueue_barrier (self, done, data);
}

void
proposals_begin_term (SwarmConsensus *self)
{
  guint64 term = raft_current_term (&self->raft);
  g_autoptr (GBytes) empty = NULL;
  LogEntry entry;

  if (!raft_leads (self) || self->barrier_term == term)
    return;
  empty = g_bytes_new_static ("\0\0\0\0\0\0\0", 8);
  entry = (LogEntry){ term, RAFT_BARRIER, empty };
  if (engine_append (self, &entry, 1))
    self->barrier_term = term;
}

/* What was queued since the last turn goes into the log together. */
void
proposals_submit (SwarmConsensus *self)
{
  guint64 term, first;
  guint n = MIN (self->queued.length, MAX_BATCH);
  g_autofree LogEntry *entries = NULL;
  gboolean ok;

  if (n == 0)
    return;
  if (!raft_leads (self)) {
    while (!g_queue_is_empty (&self->queued))
      proposal_finish (self, g_queue_pop_head (&self->queued), not_leader (self));
    return;
  }
  term = raft_current_term (&self->raft);
  first = raft_log_last (self->log) + 1;
  entries = g_new0 (LogEntry, n);
  for (guint i = 0; i < n; i++) {
    Proposal *proposal = g_queue_pop_head (&self->queued);
    proposal->entry.term = proposal->term = term;
    proposal->index = first + i;
    entries[i] = proposal->entry;
    g_queue_push_tail (&self->proposed, proposal);
  }
  ok = engine_append (self, entries, n);
  if (!ok && is_running (self))
    for (; n > 0; n--)
      proposal_finish (self, g_queue_pop_tail (&self->proposed), not_leader (self));
  if (!g_queue_is_empty (&self->queued))
    consensus_turn_soon (self);
}

gboolean
proposals_ours (SwarmConsensus *self, guint64 index, guint64 term)
{
  Proposal *head = g_queue_peek_head (&self->proposed);

  return head != NULL && head->index == index && head->term == term;
}

void
proposals_applied (SwarmConsensus *self, guint64 index, guint64 term)
{
  if (proposals_ours (self, index, term))
    proposal_finish (self, g_queue_pop_head (&self->proposed), NULL);
  finish_waiters (self);
}

void
proposals_lost (SwarmConsensus *self)
{
  guint64 leads = raft_leads (self) ? raft_current_term (&self->raft) : 0;
  Proposal *proposal;

  while ((proposal = g_queue_peek_head (&self->proposed)) != NULL && proposal->term != leads) {
    g_queue_pop_head (&self->proposed);
    proposal_finish (self, proposal,
                     g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNKNOWN,
                                          "leadership was lost before the change was confirmed: it may have been made or not"));
  }
}

/* ---- waiting for an index ---- */

static void
waiter_finish (Waiter *waiter, GError *error)
{
  SwarmConsensus *self = waiter->self;

  swarm_clock_clear_timer (self->config.clock, &waiter->timer);
  g_queue_remove (&self->waiters, waiter);
  proposals_answer (self, waiter->done, waiter->data, self->applied, error);
  g_free (waiter);
}

static void
finish_waiters (SwarmConsensus *self)
{
  for (GList *l = self->waiters.head, *next; l != NULL; l = next) {
    next = l->next;
    if (((Waiter *) l->data)->index <= self->applied)
      waiter_finish (l->data, NULL);
  }
}

static void
waiter_timed_out (gpointer data)
{
  Waiter *waiter = data;

  waiter->timer = NULL;
  waiter_finish (waiter, g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "this manager has not seen change %" G_GUINT64_FORMAT " in time",
                                      waiter->index));
}

void
swarm_consensus_wait (SwarmConsensus *self, guint64 index, gint64 timeout_us, SwarmConsensusDoneFunc done, gpointer data)
{
  Waiter *waiter;

  if (index <= self->applied) {
    proposals_answer (self, done, data, self->applied, NULL);
    return;
  }
  if (self->waiters.length >= MAX_WAITERS) {
    proposals_answer (self, done, data, 0, g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many callers wait"));
    return;
  }
  waiter = g_new0 (Waiter, 1);
  waiter->self = self;
  waiter->index = index;
  waiter->done = done;
  waiter->data = data;
  waiter->timer = swarm_clock_timer (self->config.clock, timeout_us, SWARM_PRIORITY_NORMAL, waiter_timed_out, waiter);
  g_queue_push_tail (&self->waiters, waiter);
}

/* ---- the end ---- */

static GError *
cancelled (void)
{
  return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager stops");
}

void
proposals_clear (SwarmConsensus *self)
{
  while (!g_queue_is_empty (&self->queued))
    proposal_finish (self, g_queue_pop_head (&self->queued), cancelled ());
  while (!g_queue_is_empty (&self->proposed))
    proposal_finish (self, g_queue_pop_head (&self->proposed), cancelled ());
  while (!g_queue_is_empty (&self->waiters))
    waiter_finish (g_queue_peek_head (&self->waiters), cancelled ());
  while (!g_queue_is_empty (&self->completions))
    completion_run (g_queue_pop_head (&self->completions));
}
