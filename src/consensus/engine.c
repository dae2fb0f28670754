// SPDX-License-Identifier: LGPL-2.1-or-later
/* libraft in the middle: events go in, updates come out and are carried out in this order: term and vote, entries, snapshot, messages. */
#include "consensus/consensus-private.h"

/* Entries a follower may be behind in flight. */
#define MAX_INFLIGHT 512
/* libraft asks anew for a snapshot to be sent; a stream under way is not disturbed by it (install.c). */
#define INSTALL_TIMEOUT_MS 1000

static raft_time
now_ms (SwarmConsensus *self)
{
  return (raft_time) (boottime (self) / 1000);
}

/* ---- the disk ---- */

typedef struct {
  SwarmConsensus *self;
  JobFunc func;
  gpointer data;
  GDestroyNotify destroy;
} Job;

static void
job_done (const GError *error, gpointer data)
{
  Job *job = data;
  SwarmConsensus *self = job->self;

  if (self->state != STATE_FREED && self->state != STATE_ENDED) {
    if (error != NULL)
      engine_fail_format (self, "the consensus log cannot be written: %s", error->message);
    else if (job->func != NULL)
      job->func (self, job->data);
  }
  if (job->destroy != NULL)
    job->destroy (job->data);
  g_free (job);
  consensus_unref (self);
}

void
engine_submit (SwarmConsensus *self, GArray *ops, JobFunc func, gpointer data, GDestroyNotify destroy)
{
  Job *job = g_new0 (Job, 1);

  job->self = consensus_ref (self);
  job->func = func;
  job->data = data;
  job->destroy = destroy;
  self->config.disk->submit (self->config.disk, ops, job_done, job);
}

void
engine_fail (SwarmConsensus *self, GError *error)
{
  if (self->state == STATE_FREED || self->state == STATE_ENDED) {
    g_error_free (error);
    return;
  }
  self->state = STATE_ENDED;
  self->failure = error;
  swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
  consensus_turn_soon (self);
}

void
engine_fail_format (SwarmConsensus *self, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  engine_fail (self, g_error_new_valist (SWARM_ERROR, SWARM_ERROR_FAILED, format, args));
  va_end (args);
}

/* ---- term and vote ---- */

typedef struct {
  guint64 save;
  JobFunc then;
} MetaSave;

static void
meta_saved (SwarmConsensus *self, gpointer data)
{
  MetaSave *save = data;

  self->meta_synced = save->save;
  traffic_flush (self);
  if (save->then != NULL)
    save->then (self, NULL);
}

void
engine_save_meta (SwarmConsensus *self, JobFunc func)
{
  GArray *ops = swarm_disk_ops_new ();
  MetaSave *save = g_new0 (MetaSave, 1);

  save->save = ++self->meta_saves;
  save->then = func;
  raft_meta_save (&self->seal, &self->meta, ops);
  engine_submit (self, ops, meta_saved, save, g_free);
}

static void
update_meta (SwarmConsensus *self)
{
  if (self->meta.term == raft_current_term (&self->raft) && self->meta.vote == raft_voted_for (&self->raft)
      && self->meta.key_number == self->seal.key_number)
    return;
  self->meta.term = raft_current_term (&self->raft);
  self->meta.vote = raft_voted_for (&self->raft);
  engine_save_meta (self, NULL);
}

/* ---- entries ---- */

static void
entries_synced (SwarmConsensus *self, gpointer data)
{
  PendingWrite *write = data;
  guint64 last = write->index + write->n - 1;
  gboolean counts = write->n > 0;
  struct raft_event event = { .type = RAFT_PERSISTED_ENTRIES };

  raft_log_synced (self->log, write->mark);
  g_queue_remove (&self->writes, write);
  g_free (write);
  if (!counts || !is_running (self) || self->raft.snapshot.installing || last <= self->raft.last_stored)
    return;
  event.persisted_entries.index = last;
  engine_step (self, &event);
}

/* Entries from @index on are being replaced: writes under way of the old ones must not count for the new. */
static void
cap_writes (SwarmConsensus *self, guint64 index)
{
  for (GList *l = self->writes.head; l != NULL; l = l->next) {
    PendingWrite *write = l->data;
    if (write->index + write->n > index)
      write->n = index > write->index ? (guint) (index - write->index) : 0;
  }
}

static void
write_entries (SwarmConsensus *self, guint64 index, const LogEntry *entries, guint n)
{
  GArray *ops = swarm_disk_ops_new ();
  PendingWrite *write = g_new0 (PendingWrite, 1);

  if (index <= raft_log_last (self->log))
    cap_writes (self, index);
  write->index = index;
  write->n = n;
  write->mark = raft_log_append (self->log, index, entries, n, ops);
  g_queue_push_tail (&self->writes, write);
  engine_submit (self, ops, entries_synced, write, NULL);
}

static void
persist_entries (SwarmConsensus *self, const struct raft_update *update)
{
  struct raft_entry *batch = update->entries.batch;

  if (update->entries.index != raft_log_last (self->log) + 1 && raft_log_get (self->log, update->entries.index) == NULL) {
    engine_fail_format (self, "internal error: entry %llu does not follow the log, which ends at %" G_GUINT64_FORMAT,
                        update->entries.index, raft_log_last (self->log));
    return;
  }
  if (batch == &self->raft.barrier) {
    /* libraft's own, at the beginning of a term. */
    LogEntry entry = { batch->term, batch->type, g_bytes_new_with_free_func (batch->buf.base, batch->buf.len, raft_free, batch->batch) };
    self->barrier_term = batch->term;
    write_entries (self, update->entries.index, &entry, 1);
    g_bytes_unref (entry.data);
    return;
  }
  self->step_took_entries = TRUE;
  write_entries (self, update->entries.index, self->step_entries + (batch - self->step_raft_entries), update->entries.n);
}

/* ---- stepping ---- */

static void raft_timer_due (gpointer data);

static void
arm_raft_timer (SwarmConsensus *self)
{
  gint64 due;

  /* A leader without followers has nothing that depends on time. */
  if (raft_state (&self->raft) == RAFT_LEADER && self->raft.configuration.n == 1) {
    swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
    return;
  }
  due = (gint64) raft_timeout (&self->raft) * 1000;
  if (self->raft_timer != NULL && due == self->raft_due)
    return;
  swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
  self->raft_due = due;
  self->raft_timer = swarm_clock_timer (self->config.clock, MAX (due - boottime (self), 0), SWARM_PRIORITY_URGENT, raft_timer_due, self);
}

/* ---- committed configurations ---- */

static void
tell_removed (SwarmConsensus *self, const struct raft_configuration *old, const struct raft_configuration *now)
{
  for (guint i = 0; i < old->n && raft_leads (self); i++) {
    SwarmId node;
    const char *address;

    if (conf_find (now, old->servers[i].id) == NULL && old->servers[i].id != self->raft.id
        && member_parse (old->servers[i].address, &node, &address))
      traffic_send_removed (self, old->servers[i].id, &node);
  }
}

/* libraft counts on hearing of a committed configuration before it meets the next one. A follower that learns of several at once would keep an
 * older one for rolling back and for snapshots: here it gets the right one. */
static void
commit_configuration (SwarmConsensus *self, guint64 index, const LogEntry *entry)
{
  g_autoptr (GBytes) before = self->raft.configuration_committed.n > 0 ? conf_encode (&self->raft.configuration_committed) : NULL;
  g_autoptr (GBytes) conf = g_bytes_ref (entry->data);
  struct raft_event event = { .type = RAFT_CONFIGURATION };
  struct raft_configuration old, now;

  if (self->raft.configuration_uncommitted_index == index) {
    event.configuration.index = index;
    conf_decode (conf, &event.configuration.conf);
    engine_step (self, &event);
  } else {
    raft_configuration_close (&self->raft.configuration_committed);
    conf_decode (conf, &self->raft.configuration_committed);
    self->raft.configuration_committed_index = index;
  }
  if (before == NULL || !raft_leads (self))
    return;
  conf_decode (before, &old);
  conf_decode (conf, &now);
  tell_removed (self, &old, &now);
  raft_configuration_close (&old);
  raft_configuration_close (&now);
}

/* libraft goes back to the last committed configuration when it drops an uncommitted one. There may be another one in the log behind it. */
static void
restore_configuration (SwarmConsensus *self)
{
  for (guint64 i = raft_log_last (self->log); i > self->raft.configuration_committed_index && i >= self->log->first; i--) {
    const LogEntry *entry = raft_log_get (self->log, i);

    if (entry->type != RAFT_CHANGE)
      continue;
    raft_configuration_close (&self->raft.configuration);
    conf_decode (entry->data, &self->raft.configuration);
    self->raft.configuration_uncommitted_index = i;
    return;
  }
  raft_configuration_close (&self->raft.configuration);
  {
    g_autoptr (GBytes) conf = conf_encode (&self->raft.configuration_committed);
    conf_decode (conf, &self->raft.configuration);
  }
}

static void
settle_configuration (SwarmConsensus *self, guint64 uncommitted_before)
{
  if (self->raft.snapshot.installing)
    return;
  while (is_running (self) && self->conf_scanned < raft_commit_index (&self->raft)) {
    guint64 index = ++self->conf_scanned;
    const LogEntry *entry = raft_log_get (self->log, index);

    if (entry != NULL && entry->type == RAFT_CHANGE && index > self->raft.configuration_committed_index)
      commit_configuration (self, index, entry);
  }
  if (is_running (self) && raft_state (&self->raft) == RAFT_FOLLOWER && uncommitted_before != 0
      && self->raft.configuration_uncommitted_index == 0 && self->raft.configuration_committed_index != uncommitted_before)
    restore_configuration (self);
}

gboolean
engine_step (SwarmConsensus *self, struct raft_event *event)
{
  guint64 uncommitted = self->raft.configuration_uncommitted_index;
  struct raft_update update = { 0 };
  guint64 term = raft_current_term (&self->raft);
  unsigned short state = self->raft.state;
  int rv;

  if (!is_running (self))
    return FALSE;
  event->time = now_ms (self);
  rv = raft_step (&self->raft, event, &update);
  if (rv != 0) {
    if (event->type != RAFT_SUBMIT && event->type != RAFT_TRANSFER)
      engine_fail_format (self, "internal error: the consensus engine failed: %s", raft_strerror (rv));
    return FALSE;
  }
  consensus_ref (self);
  if (state == RAFT_LEADER && self->raft.state != RAFT_LEADER)
    self->current_at = MAX (self->current_at, traffic_confirmed_at (self));
  update_meta (self);
  if (update.flags & (RAFT_UPDATE_ENTRIES))
    persist_entries (self, &update);
  if (update.flags & (RAFT_UPDATE_SNAPSHOT))
    install_persist (self, &update);
  if (self->raft.state != state && self->raft.state == RAFT_LEADER) {
    self->stats.elections++;
    traffic_begin_term (self);
  }
  if (update.flags & (RAFT_UPDATE_MESSAGES))
    traffic_send_raft (self, update.messages.batch, update.messages.n);
  if (event->type != RAFT_CONFIGURATION)
    settle_configuration (self, uncommitted);
  if (!is_running (self)) {
    consensus_unref (self);
    return FALSE;
  }
  if (self->raft.state != state || raft_current_term (&self->raft) != term || (update.flags & (RAFT_UPDATE_COMMIT_INDEX)) || self->change != NULL
      || self->raft.configuration_uncommitted_index != self->told_conf_uncommitted)
    consensus_turn_soon (self);
  arm_raft_timer (self);
  consensus_unref (self);
  return TRUE;
}

/* The only voter becomes leader without an election, and libraft does not begin a new term for it. Followers may hold entries of this term that
 * a crash took from us, so we begin one. */
static void
begin_term_alone (SwarmConsensus *self)
{
  if (raft_state (&self->raft) != RAFT_FOLLOWER || !conf_sole_voter (&self->raft.configuration, self->raft.id))
    return;
  self->raft.current_term++;
  self->raft.voted_for = self->raft.id;
}

static void
raft_timer_due (gpointer data)
{
  SwarmConsensus *self = data;
  struct raft_event event = { .type = RAFT_TIMEOUT };

  self->raft_timer = NULL;
  traffic_probe (self);
  /* The leave to disrupt a leader (a transfer) is good for one election only: leases depend on it. */
  if (raft_state (&self->raft) == RAFT_CANDIDATE)
    self->raft.candidate_state.disrupt_leader = false;
  if (raft_timeout (&self->raft) <= now_ms (self) && !self->raft.snapshot.installing && self->raft.last_stored >= raft_log_last (self->log))
    begin_term_alone (self);
  engine_step (self, &event);
}

/* libraft wants entries whose memory it may free: one token stands for all of a call. */
static struct raft_entry *
raft_entries (const LogEntry *entries, guint n)
{
  struct raft_entry *list = g_new0 (struct raft_entry, n);
  void *token = raft_malloc (1);

  for (guint i = 0; i < n; i++) {
    list[i].term = entries[i].term;
    list[i].type = entries[i].type;
    list[i].buf.base = (void *) g_bytes_get_data (entries[i].data, &list[i].buf.len);
    list[i].batch = token;
  }
  return list;
}

gboolean
engine_append (SwarmConsensus *self, const LogEntry *entries, guint n)
{
  g_autofree struct raft_entry *list = raft_entries (entries, n);
  struct raft_event event = { .type = RAFT_SUBMIT };
  gboolean ok;

  event.submit.entries = list;
  event.submit.n = n;
  self->step_entries = entries;
  self->step_raft_entries = list;
  ok = engine_step (self, &event);
  raft_free (list[0].batch);
  return ok;
}

/* ---- start and end ---- */

/* The configuration in force: the last in the log, or the snapshot's. */
static gboolean
loaded_sole_voter (SwarmConsensus *self)
{
  g_autoptr (GBytes) conf = self->snapshot.conf != NULL ? g_bytes_ref (self->snapshot.conf) : NULL;
  struct raft_configuration decoded;
  gboolean alone;

  for (guint64 i = raft_log_last (self->log); i >= self->log->first; i--) {
    const LogEntry *entry = raft_log_get (self->log, i);
    if (entry->type == RAFT_CHANGE) {
      g_clear_pointer (&conf, g_bytes_unref);
      conf = g_bytes_ref (entry->data);
      break;
    }
  }
  if (conf == NULL)
    return FALSE;
  conf_decode (conf, &decoded);
  alone = conf_sole_voter (&decoded, self->meta.raft_id);
  raft_configuration_close (&decoded);
  return alone;
}

static void
open_raft (SwarmConsensus *self)
{
  g_autofree char *address = member_address (&self->config.node, "-");
  guint32 seed;

  if (raft_init (&self->raft, NULL, NULL, self->meta.raft_id, address) != 0)
    g_error ("out of memory");
  self->raft.tracer = NULL;
  self->raft_open = TRUE;
  self->config.random->fill (self->config.random, (guint8 *) &seed, sizeof seed);
  raft_seed (&self->raft, seed);
  raft_set_pre_vote (&self->raft, true);
  raft_set_election_timeout (&self->raft, self->config.election_timeout_ms);
  raft_set_heartbeat_timeout (&self->raft, self->config.heartbeat_ms);
  raft_set_max_inflight_entries (&self->raft, MAX_INFLIGHT);
  raft_set_install_snapshot_timeout (&self->raft, INSTALL_TIMEOUT_MS);
}

void
engine_start (SwarmConsensus *self)
{
  guint n = self->log->entries->len;
  g_autofree struct raft_entry *list = n > 0 ? raft_entries ((const LogEntry *) self->log->entries->data, n) : NULL;
  struct raft_snapshot_metadata metadata = { 0 };
  struct raft_event event = { .type = RAFT_START };

  open_raft (self);
  event.start.term = self->meta.term;
  event.start.voted_for = self->meta.vote;
  if (loaded_sole_voter (self)) { /* see begin_term_alone() */
    event.start.term++;
    event.start.voted_for = self->meta.raft_id;
  }
  event.start.start_index = self->log->first;
  event.start.entries = list;
  event.start.n_entries = n;
  if (self->snapshot.index > 0) {
    metadata.index = self->snapshot.index;
    metadata.term = self->snapshot.term;
    metadata.configuration_index = self->snapshot.conf_index;
    conf_decode (self->snapshot.conf, &metadata.configuration);
    event.start.metadata = &metadata;
  }
  self->state = STATE_RUNNING;
  self->started_at = boottime (self);
  engine_step (self, &event);
  if (n > 0)
    raft_free (list[0].batch);
  consensus_turn_soon (self);
}

void
engine_clear (SwarmConsensus *self)
{
  swarm_clock_clear_timer (self->config.clock, &self->raft_timer);
  if (self->raft_open)
    raft_close (&self->raft, NULL);
  self->raft_open = FALSE;
}
