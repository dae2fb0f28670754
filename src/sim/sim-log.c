// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-log.h"
#include "base/error.h"

typedef struct {
  SimLog *log;
  GBytes *entry;
  SwarmProposedFunc done;
  gpointer data;
  gboolean refused;
} Proposal;

struct _SimLog {
  SimClock *clock;
  gint64 delay;
  SwarmStore *store;
  GPtrArray *entries;
  GQueue proposals;
  SwarmTimer *timer;
  gboolean broken;
};

static void
proposal_finish (Proposal *proposal, guint64 index, const GError *error)
{
  proposal->done (index, error, proposal->data);
  g_bytes_unref (proposal->entry);
  g_free (proposal);
}

SimLog *
sim_log_new (SimClock *clock, gint64 delay_us)
{
  SimLog *self = g_new0 (SimLog, 1);
  self->clock = clock;
  self->delay = delay_us;
  self->entries = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  return self;
}

void
sim_log_free (SimLog *self)
{
  if (self == NULL)
    return;
  sim_log_attach (self, NULL);
  g_ptr_array_unref (self->entries);
  g_free (self);
}

static void
apply (SimLog *self, guint64 index, GBytes *entry)
{
  g_autoptr (GError) error = NULL;
  if (!swarm_store_apply (self->store, index, entry, &error))
    g_error ("entry %" G_GUINT64_FORMAT " cannot be applied: %s", index, error->message);
}

void
sim_log_attach (SimLog *self, SwarmStore *store)
{
  g_autoptr (GError) lost = g_error_new (SWARM_ERROR, SWARM_ERROR_UNKNOWN, "the log was closed");
  swarm_clock_clear_timer (sim_clock_iface (self->clock), &self->timer);
  for (Proposal *proposal = g_queue_pop_head (&self->proposals); proposal != NULL; proposal = g_queue_pop_head (&self->proposals))
    proposal_finish (proposal, 0, lost);
  self->store = store;
  for (guint i = 0; store != NULL && i < self->entries->len; i++)
    apply (self, i + 1, g_ptr_array_index (self->entries, i));
}

static void
propose_due (gpointer data)
{
  SimLog *self = data;
  self->timer = NULL;
  Proposal *proposal = g_queue_pop_head (&self->proposals);
  if (self->proposals.length > 0)
    self->timer = swarm_clock_timer (sim_clock_iface (self->clock), self->delay, SWARM_PRIORITY_URGENT, propose_due, self);
  if (proposal->refused) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "there is no quorum");
    proposal_finish (proposal, 0, error);
    return;
  }
  g_ptr_array_add (self->entries, g_bytes_ref (proposal->entry));
  apply (self, self->entries->len, proposal->entry);
  proposal_finish (proposal, self->entries->len, NULL);
}

void
sim_log_propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SimLog *self = data;
  Proposal *proposal = g_new0 (Proposal, 1);
  *proposal = (Proposal){ self, g_bytes_ref (entry), done, done_data, self->broken };
  g_queue_push_tail (&self->proposals, proposal);
  if (self->timer == NULL)
    self->timer = swarm_clock_timer (sim_clock_iface (self->clock), self->delay, SWARM_PRIORITY_URGENT, propose_due, self);
}

void
sim_log_break (SimLog *self, gboolean broken)
{
  self->broken = broken;
}

guint
sim_log_n_entries (SimLog *self)
{
  return self->entries->len;
}
