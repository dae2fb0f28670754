// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/runner.h"
#include "base/error.h"
#include "base/log.h"

#define PASS_US (6 * G_TIME_SPAN_MILLISECOND) /* and what it has begun then: a part of a pass, a transaction to encode */
#define RETRY_US (50 * G_TIME_SPAN_MILLISECOND)

typedef struct {
  const SwarmLoopOps *ops;
  gpointer loop;
  gboolean marked;
  gboolean committing; /* its transaction is under way */
} Loop;

typedef struct {
  SwarmRunner *runner; /* a reference */
  guint loop;
} Commit;

struct _SwarmRunner {
  gint ref_count; /* its owner's, and one for each transaction under way */
  gboolean stopped;
  SwarmStore *store;
  SwarmClock *clock;
  SwarmClock *budget; /* what passes' time is measured by */
  GArray *loops;
  guint next;
  SwarmTimer *timer;
  guint in_flight; /* transactions under way: of loops that overlap, or of one that does not */
  gboolean alone;  /* the latter */
  gboolean failing; /* said so already */
  gint64 pass_began;
  gboolean ending; /* this turn */
};

static void
runner_unref (SwarmRunner *self)
{
  if (--self->ref_count > 0)
    return;
  g_array_unref (self->loops);
  g_free (self);
}

SwarmRunner *
swarm_runner_new (SwarmStore *store, SwarmClock *clock)
{
  SwarmRunner *self = g_new0 (SwarmRunner, 1);
  self->ref_count = 1;
  self->store = store;
  self->clock = clock;
  self->budget = clock;
  self->loops = g_array_new (FALSE, FALSE, sizeof (Loop));
  return self;
}

void
swarm_runner_set_budget (SwarmRunner *self, SwarmClock *clock)
{
  self->budget = clock;
}

void
swarm_runner_free (SwarmRunner *self)
{
  if (self == NULL)
    return;
  self->stopped = TRUE;
  swarm_clock_clear_timer (self->clock, &self->timer);
  runner_unref (self);
}

guint
swarm_runner_add (SwarmRunner *self, const SwarmLoopOps *ops, gpointer loop)
{
  Loop row = { ops, loop, FALSE, FALSE };
  g_array_append_val (self->loops, row);
  return self->loops->len - 1;
}

gboolean
swarm_runner_time_is_up (SwarmRunner *self)
{
  return self->ending || swarm_clock_boottime (self->budget) - self->pass_began > PASS_US;
}

void
swarm_runner_end_turn (SwarmRunner *self)
{
  self->ending = TRUE;
}

static void runner_turn (gpointer data);

static void
runner_schedule (SwarmRunner *self, gint64 delay)
{
  if (self->stopped || self->alone || self->timer != NULL)
    return;
  self->timer = swarm_clock_timer (self->clock, delay, SWARM_PRIORITY_NORMAL, runner_turn, self);
}

void
swarm_runner_mark (SwarmRunner *self, guint loop)
{
  g_array_index (self->loops, Loop, loop).marked = TRUE;
  runner_schedule (self, 0);
}

static void
runner_committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_autofree Commit *commit = data;
  SwarmRunner *self = commit->runner;
  self->in_flight--;
  self->alone = FALSE;
  if (!self->stopped) {
    Loop *loop = &g_array_index (self->loops, Loop, commit->loop);
    loop->committing = FALSE;
    if (error != NULL) {
      if (!self->failing && !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE)) {
        swarm_warning ("%s: transaction failed, trying again: %s", loop->ops->name, error->message);
        self->failing = TRUE;
      }
      loop->marked = TRUE;
    } else {
      self->failing = FALSE;
    }
    loop->ops->settle (loop->loop, index, error);
    gboolean retry_soon = error == NULL || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
    runner_schedule (self, retry_soon ? 0 : RETRY_US);
  }
  runner_unref (self);
}

/* The next marked loop after the one that ran last; NULL: nothing to do, or what is under way has to end first. One that wants to be alone holds
 * up the others behind it, so that its turn comes. */
static Loop *
runner_pick (SwarmRunner *self)
{
  for (guint i = 0; i < self->loops->len; i++) {
    guint at = (self->next + i) % self->loops->len;
    Loop *loop = &g_array_index (self->loops, Loop, at);
    if (!loop->marked || loop->committing)
      continue;
    if (self->in_flight > 0 && !loop->ops->overlaps)
      return NULL;
    loop->marked = FALSE;
    self->next = at + 1;
    return loop;
  }
  return NULL;
}

static void
runner_commit (SwarmRunner *self, Loop *loop, SwarmTx *tx)
{
  Commit *commit = g_new0 (Commit, 1);
  *commit = (Commit){ self, (guint) (loop - (Loop *) (gpointer) self->loops->data) };
  loop->committing = TRUE;
  self->in_flight++;
  self->alone = !loop->ops->overlaps;
  self->ref_count++;
  swarm_tx_commit (tx, NULL, runner_committed, commit);
}

static void
runner_turn (gpointer data)
{
  SwarmRunner *self = data;
  self->timer = NULL;
  self->pass_began = swarm_clock_boottime (self->budget);
  self->ending = FALSE;
  for (Loop *loop = NULL; !self->alone && (loop = runner_pick (self)) != NULL;) {
    SwarmTx *tx = swarm_store_tx (self->store);
    if (loop->ops->pass (loop->loop, tx))
      loop->marked = TRUE;
    if (swarm_tx_n_changes (tx) > 0) {
      runner_commit (self, loop, tx);
    } else {
      swarm_tx_free (tx);
      loop->ops->settle (loop->loop, 0, NULL);
    }
    if (swarm_runner_time_is_up (self)) {
      runner_schedule (self, 0);
      return;
    }
  }
}
