// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/node.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"

#define DEFAULT_PERIOD_US (1 * G_TIME_SPAN_SECOND)
#define MISSED_BEATS 3
#define UNKNOWN_BEATS 6
/* To find out that the leader is gone, and who is the next one, takes a node some time whatever its period. */
#define UNKNOWN_MIN_US (3 * G_TIME_SPAN_SECOND)
/* The only manager was away, its host perhaps: a node that asks for it just then finds out after five seconds, and asks again after some more. */
#define UNKNOWN_ALONE_MIN_US (10 * G_TIME_SPAN_SECOND)
/* A worker that asks a manager which is off finds out after a second; of so many managers almost half may be. With three it is the old leader alone,
 * whom nobody asks first. */
#define UNKNOWN_MANAGER_US (1 * G_TIME_SPAN_SECOND)
#define UNKNOWN_MANAGERS 3
/* Where many come back they come one after the other: as long as the last one came so long ago the others are waited for … */
#define RETURN_PAUSE_US (2 * G_TIME_SPAN_SECOND)
#define RETURN_MAX_US (30 * G_TIME_SPAN_SECOND) /* … but no longer than this in all */
#define DESCRIPTION_PAUSE_US (1 * G_TIME_SPAN_SECOND)
#define CLOCK_LIMIT_US (1 * G_TIME_SPAN_SECOND)
#define CLOCK_MEASUREMENTS 2 /* the clock may have been set between two of them, ours or its own */
#define GRACE_US (60 * G_TIME_SPAN_SECOND)
/* swarm: 8 s at a heartbeat period of 5 s. It must stay below the time after which a silent node is down. */
#define REGISTRATION_WINDOW(period) ((period) * 8 / 5)

gint64
swarm_heartbeat_period (SwarmStore *store)
{
  const SwarmCluster *cluster = swarm_store_cluster (store);
  const SwarmDispatcherConfig *config = cluster != NULL ? cluster->spec->dispatcher : NULL;
  gint64 period = config != NULL ? config->heartbeat_period / 1000 : 0;
  return period > 0 ? period : DEFAULT_PERIOD_US;
}

SwarmNodeRecord *
swarm_node_record_new (const SwarmLeader *leader, SwarmNodeWriter *writer, const SwarmId *id, gint64 *returned_at)
{
  SwarmNodeRecord *self = g_new0 (SwarmNodeRecord, 1);
  self->leader = leader;
  self->writer = writer;
  self->id = *id;
  self->returned_at = returned_at;
  return self;
}

static void
record_end_session (SwarmNodeRecord *self)
{
  self->link_up = FALSE;
  g_clear_pointer (&self->session, swarm_session_free);
}

void
swarm_node_record_close (SwarmNodeRecord *self, const GError *reason)
{
  g_autoptr (SwarmLink) link = self->session != NULL && self->link_up ? swarm_link_ref (swarm_session_link (self->session)) : NULL;
  record_end_session (self);
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  self->wait = SWARM_WAIT_NONE;
  if (link != NULL)
    swarm_link_close (link, reason);
}

void
swarm_node_record_free (SwarmNodeRecord *self)
{
  record_end_session (self);
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  g_free (self);
}

static void record_expired (gpointer data);

/* The timer is left alone while it fires before the deadline anyway: a beat costs nothing. */
static void
record_wait (SwarmNodeRecord *self, SwarmWait wait, gint64 us)
{
  gint64 now = swarm_clock_boottime (self->leader->clock);
  gint64 deadline = now + us;
  gboolean later = self->timer != NULL && deadline >= self->deadline;
  self->wait = wait;
  self->deadline = deadline;
  if (later)
    return;
  swarm_clock_clear_timer (self->leader->clock, &self->timer);
  self->timer = swarm_clock_timer (self->leader->clock, us, SWARM_PRIORITY_URGENT, record_expired, self);
}

static void
record_rearm (SwarmNodeRecord *self, gint64 us)
{
  self->timer = swarm_clock_timer (self->leader->clock, us, SWARM_PRIORITY_URGENT, record_expired, self);
}

static void
record_expired (gpointer data)
{
  SwarmNodeRecord *self = data;
  self->timer = NULL;
  gint64 now = swarm_clock_boottime (self->leader->clock);
  gint64 period = swarm_heartbeat_period (self->leader->store);
  if (now < self->deadline) {
    record_rearm (self, self->deadline - now);
    return;
  }
  /* This manager slept (a suspended or starved host): what the nodes sent meanwhile may still be in the sockets. */
  if (now > self->deadline + period / 10) {
    self->deadline = now + period;
    record_rearm (self, period);
    return;
  }
  /* When nobody at all has come, not even this host's own worker, it is not the nodes that are at fault. */
  gboolean coming = now - *self->returned_at < RETURN_PAUSE_US || *self->returned_at < self->inherited_at;
  if (self->wait == SWARM_WAIT_UNKNOWN && coming && now - self->inherited_at < RETURN_MAX_US) {
    self->deadline = now + RETURN_PAUSE_US;
    record_rearm (self, RETURN_PAUSE_US);
    return;
  }
  const char *why = "heartbeat failure";
  if (self->wait == SWARM_WAIT_UNKNOWN)
    why = "heartbeat failure for node in \"unknown\" state";
  else if (self->wait == SWARM_WAIT_GRACE)
    why = "agent did not return";
  g_autofree char *node = swarm_id_dup_string (&self->id);
  swarm_log (LOG_WARNING, swarm_log_id_node_down, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", node }), "node %s is down: %s", node, why);
  g_autoptr (GError) reason = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, why);
  swarm_node_record_close (self, reason);
  swarm_node_writer_set (self->writer, &self->id, SWARM_NODE_DOWN, why, NULL, NULL, NULL);
}

gint64
swarm_node_record_beat (SwarmNodeRecord *self)
{
  gint64 period = swarm_heartbeat_period (self->leader->store);
  /* It goes by the period that it was told last until it hears of a new one, in the answer to this beat. */
  record_wait (self, SWARM_WAIT_HEARTBEAT, MISSED_BEATS * MAX (period, self->told));
  self->told = period;
  guint32 jitter = (guint32) MIN (period / 5, G_MAXINT32);
  return jitter > 0 ? period - jitter / 2 + swarm_random_below (self->leader->random, jitter) : period;
}

gboolean
swarm_node_record_may_describe (SwarmNodeRecord *self)
{
  gint64 now = swarm_clock_boottime (self->leader->clock);
  if (self->described_at != 0 && now - self->described_at < DESCRIPTION_PAUSE_US)
    return FALSE;
  self->described_at = now;
  return TRUE;
}

/* ---- clocks ---- */

/* Is @offset (µs) another story than @known, which is stored? Near the limit nothing goes back and forth. */
static gboolean
clock_differs (gint64 offset, gint64 known)
{
  if (known == 0)
    return ABS (offset) > CLOCK_LIMIT_US;
  return ABS (offset) < CLOCK_LIMIT_US * 4 / 5 || ABS (offset - known) > MAX (CLOCK_LIMIT_US, ABS (known) / 10);
}

static void
tell_clock (SwarmNodeRecord *self, const SwarmNode *node, gint64 offset)
{
  g_autofree char *id = swarm_id_dup_string (&self->id);
  if (offset == 0) {
    swarm_log (LOG_NOTICE, swarm_log_id_clock_agrees, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", id }), "the clock of node %s agrees with this manager's again", id);
    return;
  }
  g_autofree char *text = swarm_node_clock_text (node, offset * 1000);
  swarm_log (LOG_WARNING, swarm_log_id_clock_off, SWARM_LOG_FIELDS ({ "SWARM_NODE_ID", id }), "node %s: %s", id, text);
}

void
swarm_node_record_clock (SwarmNodeRecord *self, gint64 time_us)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &self->id);
  gint64 offset = self->clock_offset;
  gboolean counts = self->clock_told && time_us != 0;
  self->clock_offset = time_us - swarm_clock_now (self->leader->clock);
  self->clock_told = time_us != 0;
  if (node == NULL || !counts || swarm_id_equal (&self->id, &self->leader->self))
    return;
  if (!clock_differs (offset, node->clock_offset / 1000)) {
    self->clock_strange = 0;
    return;
  }
  if (++self->clock_strange < CLOCK_MEASUREMENTS)
    return;
  self->clock_strange = 0;
  if (ABS (offset) <= CLOCK_LIMIT_US)
    offset = 0;
  tell_clock (self, node, offset);
  swarm_node_writer_set_clock (self->writer, &self->id, offset * 1000);
}

gboolean
swarm_node_record_may_register (SwarmNodeRecord *self)
{
  gint64 now = swarm_clock_boottime (self->leader->clock);
  gint64 *oldest = &self->registrations[self->n_registrations % G_N_ELEMENTS (self->registrations)];
  if (self->n_registrations >= G_N_ELEMENTS (self->registrations) && now - *oldest < REGISTRATION_WINDOW (swarm_heartbeat_period (self->leader->store))) {
    /* Too often, but alive: the limit lasts longer than a silent node is waited for, and must not make it one. */
    if (self->wait == SWARM_WAIT_HEARTBEAT)
      swarm_node_record_beat (self);
    return FALSE;
  }
  *oldest = now;
  self->n_registrations++;
  return TRUE;
}

void
swarm_node_record_open (SwarmNodeRecord *self, SwarmLink *link)
{
  SwarmLink *old = self->session != NULL && self->link_up ? swarm_session_link (self->session) : NULL;
  if (old != NULL && old != link) {
    g_autoptr (GError) reason = g_error_new (SWARM_ERROR, SWARM_ERROR_CANCELLED, "the node has opened a new session");
    swarm_node_record_close (self, reason);
  }
  record_end_session (self);
  self->clock_told = FALSE;
  if (self->wait == SWARM_WAIT_UNKNOWN)
    *self->returned_at = swarm_clock_boottime (self->leader->clock);
  self->session = swarm_session_new (self->leader, &self->id, link);
  self->link_up = TRUE;
  swarm_node_record_beat (self);
}

void
swarm_node_record_link_down (SwarmNodeRecord *self)
{
  record_end_session (self);
  swarm_node_writer_set (self->writer, &self->id, SWARM_NODE_DISCONNECTED, SWARM_TEXT_DISCONNECTED, NULL, NULL, NULL);
}

void
swarm_node_record_goodbye (SwarmNodeRecord *self, gboolean host_shutdown, SwarmTicket *ticket)
{
  record_end_session (self);
  if (host_shutdown) {
    swarm_clock_clear_timer (self->leader->clock, &self->timer);
    self->wait = SWARM_WAIT_NONE;
    swarm_node_writer_set (self->writer, &self->id, SWARM_NODE_DOWN, SWARM_TEXT_SHUTDOWN, NULL, NULL, ticket);
  } else {
    record_wait (self, SWARM_WAIT_GRACE, GRACE_US);
    swarm_node_writer_set (self->writer, &self->id, SWARM_NODE_DISCONNECTED, SWARM_TEXT_STOPPED, NULL, NULL, ticket);
  }
}

void
swarm_node_record_inherit (SwarmNodeRecord *self, const SwarmNode *node, guint n_managers)
{
  if (node->status->state == SWARM_NODE_DOWN)
    return;
  if (node->status->state == SWARM_NODE_DISCONNECTED && g_strcmp0 (node->status->text, SWARM_TEXT_STOPPED) == 0) {
    record_wait (self, SWARM_WAIT_GRACE, GRACE_US);
    return;
  }
  gint64 period = swarm_heartbeat_period (self->leader->store);
  self->inherited_at = swarm_clock_boottime (self->leader->clock);
  gint64 more = n_managers > UNKNOWN_MANAGERS ? (n_managers - UNKNOWN_MANAGERS + 1) / 2 * UNKNOWN_MANAGER_US : 0;
  record_wait (self, SWARM_WAIT_UNKNOWN, MAX (UNKNOWN_BEATS * period, n_managers > 1 ? UNKNOWN_MIN_US : UNKNOWN_ALONE_MIN_US) + more);
  if (node->status->state != SWARM_NODE_UNKNOWN)
    swarm_node_writer_set (self->writer, &self->id, SWARM_NODE_UNKNOWN,
                           "Node moved to \"unknown\" state due to leadership change in cluster", NULL, NULL, NULL);
}
