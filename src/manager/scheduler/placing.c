// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/scheduler/placing.h"
#include "base/log.h"
#include "manager/scheduler/survey.h"

#define BATCH 4096        /* tasks in one call of the strategy, more where each call has to look at very many nodes */
#define SURVEY_PART 2048  /* nodes between two looks at the clock */
#define BIG_SURVEY 16384  /* after one of so many nodes the strategy gets a turn of its own */

typedef enum {
  STEP_SURVEY,
  STEP_PLACE,
  STEP_ASSIGN,
  STEP_EXPLAIN,
} Step;

struct _SwarmPlacing {
  const SwarmLeader *leader;
  SwarmNodeSet *set;
  SwarmGroups *groups;
  SwarmSchedulerSet *schedulers;
  const SwarmPlacingOps *ops;
  gpointer data;
  /* The group under way: */
  SwarmGroup *group; /* held; NULL: none */
  SwarmSchedulerHost *strategy;
  Step step;
  gboolean surveying;  /* the survey has begun */
  gboolean look_at_all;
  SwarmSurvey survey;
  guint cursor;        /* in the group's queue */
  guint wanted;        /* tasks that the survey is for, at most */
  GArray *batch;       /* SwarmId */
  GArray *placement;   /* gint32 of each of the batch */
  guint at;            /* in the batch, or in the queue while explaining */
  guint placed;        /* of this batch */
  gboolean assigned;   /* some of the group in the transaction under way: to the group they still wait */
  guint unplaced;
  char *why;
  GPtrArray *uncommitted; /* SwarmGroup, held: finished, with assignments in the transaction under way */
};

/* ---- life ---- */

SwarmPlacing *
swarm_placing_new (const SwarmLeader *leader, SwarmNodeSet *set, SwarmGroups *groups, SwarmSchedulerSet *schedulers,
                   const SwarmPlacingOps *ops, gpointer data)
{
  SwarmPlacing *self = g_new0 (SwarmPlacing, 1);
  self->leader = leader;
  self->set = set;
  self->groups = groups;
  self->schedulers = schedulers;
  self->ops = ops;
  self->data = data;
  swarm_survey_init (&self->survey, set);
  self->batch = swarm_ids_new ();
  self->placement = g_array_new (FALSE, FALSE, sizeof (gint32));
  self->uncommitted = g_ptr_array_new ();
  return self;
}

void
swarm_placing_free (SwarmPlacing *self)
{
  if (self == NULL)
    return;
  swarm_survey_clear (&self->survey);
  g_array_unref (self->batch);
  g_array_unref (self->placement);
  g_ptr_array_unref (self->uncommitted);
  g_free (self->why);
  g_free (self);
}

void
swarm_placing_forget (SwarmPlacing *self)
{
  self->group = NULL;
  g_ptr_array_set_size (self->uncommitted, 0);
}

void
swarm_placing_settled (SwarmPlacing *self)
{
  for (guint i = 0; i < self->uncommitted->len; i++)
    swarm_groups_release (self->groups, self->uncommitted->pdata[i]);
  g_ptr_array_set_size (self->uncommitted, 0);
  self->assigned = FALSE;
}

void
swarm_placing_restart (SwarmPlacing *self)
{
  SwarmGroup *group = g_steal_pointer (&self->group);
  if (group == NULL)
    return;
  swarm_groups_mark (self->groups, group);
  /* Its assignments may still be under way: it is not to be begun before they are applied. */
  g_ptr_array_add (self->uncommitted, group);
}

/* ---- steps ---- */

/* Whom the service wants to be placed by, else the cluster; NULL or "": the default. */
static const char *
strategy_name (SwarmPlacing *self, const SwarmTask *task)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  const SwarmPlacement *placement = task->spec->placement;
  if (placement != NULL && placement->strategy != NULL)
    return placement->strategy;
  return cluster != NULL && cluster->spec->orchestration != NULL ? cluster->spec->orchestration->strategy : NULL;
}

static void
explain_from_here (SwarmPlacing *self, char *why)
{
  g_free (self->why);
  self->why = why;
  self->at = swarm_group_explained (self->group, why);
  self->step = STEP_EXPLAIN;
}

static void
survey_from_here (SwarmPlacing *self)
{
  self->surveying = FALSE;
  self->step = STEP_SURVEY;
}

static void
begin (SwarmPlacing *self, SwarmGroup *group)
{
  const char *name = strategy_name (self, swarm_group_needs (group)->task);
  self->group = group;
  self->cursor = 0;
  self->look_at_all = FALSE;
  self->assigned = FALSE;
  self->strategy = self->schedulers != NULL ? swarm_scheduler_set_get (self->schedulers, name) : NULL;
  survey_from_here (self);
  if (self->strategy == NULL)
    explain_from_here (self, g_strdup_printf ("no suitable node (this manager has no scheduler strategy \"%s\")",
                                              name != NULL ? name : SWARM_DEFAULT_STRATEGY));
}

/* Of so many tasks a call of the strategy stays short. */
static guint
batch_max (SwarmPlacing *self)
{
  gboolean all = self->look_at_all || swarm_scheduler_host_offer (self->strategy) == SWARM_PLUGIN_OFFER_ALL;
  return all ? MAX (BATCH, swarm_node_set_infos (self->set)->n / 8) : BATCH;
}

/* FALSE: the rest is for another turn. */
static gboolean
step_survey (SwarmPlacing *self)
{
  gboolean idlest = !self->look_at_all && swarm_scheduler_host_offer (self->strategy) == SWARM_PLUGIN_OFFER_IDLEST;
  if (!self->surveying) {
    swarm_survey_begin (&self->survey, swarm_group_needs (self->group), swarm_clock_boottime (self->leader->clock));
    self->surveying = TRUE;
    self->wanted = MIN (batch_max (self), swarm_group_left (self->group, self->cursor));
    if (idlest && swarm_survey_idlest (&self->survey, self->wanted)) {
      self->step = STEP_PLACE;
      return TRUE;
    }
  }
  while (!swarm_survey_all (&self->survey, SURVEY_PART)) {
    if (swarm_runner_time_is_up (self->leader->runner))
      return FALSE;
  }
  self->step = STEP_PLACE;
  if (swarm_survey_effort (&self->survey) < BIG_SURVEY)
    return TRUE;
  swarm_runner_end_turn (self->leader->runner);
  return FALSE;
}

static gboolean
ask_strategy (SwarmPlacing *self)
{
  const SwarmNeeds *needs = self->survey.needs;
  g_autofree char *service = swarm_id_dup_string (&self->group->service);
  g_autoptr (GError) error = NULL;
  SwarmPluginGroup group = { .service_id = service, .service_name = needs->task->service_name, .count = self->batch->len,
                             .nano_cpus = needs->nano_cpus, .memory = needs->memory };
  if (self->survey.branches != NULL)
    group.branches = swarm_branches_rows (self->survey.branches, &group.n_branches);
  g_array_set_size (self->placement, self->batch->len);
  if (swarm_scheduler_host_place (self->strategy, &group, (const SwarmPluginNode *) (gpointer) self->survey.rows->data,
                                  self->survey.rows->len, (gint32 *) (gpointer) self->placement->data, &error))
    return TRUE;
  swarm_warning ("scheduler: %s", error->message);
  return FALSE;
}

/* FALSE: no task is left. */
static gboolean
step_place (SwarmPlacing *self)
{
  if (self->survey.rows->len == 0) {
    explain_from_here (self, swarm_filters_explain (&self->survey.counts));
    return TRUE;
  }
  g_array_set_size (self->batch, 0);
  swarm_group_collect (self->group, &self->cursor, self->wanted, self->batch);
  if (self->batch->len == 0)
    return FALSE;
  swarm_survey_refresh (&self->survey);
  if (!ask_strategy (self)) {
    explain_from_here (self, g_strdup ("no suitable node (the scheduler failed)"));
    return TRUE;
  }
  self->at = self->placed = self->unplaced = 0;
  self->step = STEP_ASSIGN;
  return TRUE;
}

/* The place was good when the strategy chose it; the world may have gone on since. */
static void
assign (SwarmPlacing *self, const SwarmTask *task, gint32 row, SwarmTx *tx)
{
  SwarmNodeInfo *info = row >= 0 ? g_ptr_array_index (self->survey.infos, row) : NULL;
  SwarmFilterCounts counts;
  if (info == NULL || swarm_filters_capacity (self->survey.needs, self->set, info, &counts) == 0) {
    self->unplaced++;
    return;
  }
  self->ops->assign (task, info, tx, self->data);
  self->assigned = TRUE;
  self->placed++;
}

/* FALSE: @tx is full. */
static gboolean
step_assign (SwarmPlacing *self, SwarmTx *tx)
{
  for (; self->at < self->batch->len; self->at++) {
    swarm_group_fetch_ahead (self->group, self->batch, self->at);
    SwarmTask *task = swarm_id_table_get (&self->group->tasks, &g_array_index (self->batch, SwarmId, self->at));
    if (task == NULL)
      continue;
    if (!swarm_tx_has_room (tx, 1))
      return FALSE;
    assign (self, task, g_array_index (self->placement, gint32, self->at), tx);
  }
  return TRUE;
}

/* FALSE: @tx is full, or the time is up. */
static gboolean
step_explain (SwarmPlacing *self, SwarmTx *tx)
{
  const GArray *queue = self->group->queue;
  for (; self->at < queue->len; self->at++) {
    swarm_group_fetch_ahead (self->group, queue, self->at);
    SwarmTask *task = swarm_id_table_get (&self->group->tasks, &g_array_index (queue, SwarmId, self->at));
    if (task != NULL && !self->ops->explain (task, self->why, tx, self->data))
      return FALSE;
    if (self->at % SURVEY_PART == SURVEY_PART - 1 && swarm_runner_time_is_up (self->leader->runner)) {
      self->at++;
      return FALSE;
    }
  }
  swarm_group_set_explained (self->group, self->why);
  return TRUE;
}

/* ---- a group from its beginning to its end ---- */

typedef enum { GOES_ON, PAUSED, FINISHED } Progress;

/* All of the batch is placed, or not: what comes next? */
static Progress
after_batch (SwarmPlacing *self)
{
  if (self->unplaced == 0) { /* the next ones */
    survey_from_here (self);
    return self->cursor < self->group->queue->len ? GOES_ON : FINISHED;
  }
  if (self->placed == 0 && self->survey.complete) {
    /* The strategy placed none of them, though they would fit. */
    explain_from_here (self, g_strdup ("no suitable node"));
    return GOES_ON;
  }
  /* Once more for those that are left, with all nodes in view. What was assigned must be applied before: it still waits until then. */
  self->look_at_all = TRUE;
  self->cursor = 0;
  survey_from_here (self);
  return self->placed > 0 ? PAUSED : GOES_ON;
}

static Progress
advance (SwarmPlacing *self, SwarmTx *tx)
{
  switch (self->step) {
  case STEP_SURVEY:
    return step_survey (self) ? GOES_ON : PAUSED;
  case STEP_PLACE:
    if (!step_place (self))
      return FINISHED;
    return self->step == STEP_EXPLAIN && self->assigned ? PAUSED : GOES_ON;
  case STEP_ASSIGN:
    return step_assign (self, tx) ? after_batch (self) : PAUSED;
  default:
    return step_explain (self, tx) ? FINISHED : PAUSED;
  }
}

static gboolean
is_uncommitted (SwarmPlacing *self, SwarmGroup *group)
{
  return g_ptr_array_find (self->uncommitted, group, NULL);
}

/* The next group; NULL: none, or it has to wait for the transaction under way. */
static SwarmGroup *
next_group (SwarmPlacing *self)
{
  SwarmGroup *group = g_queue_peek_head (&self->groups->dirty);
  if (group == NULL || is_uncommitted (self, group))
    return NULL;
  return swarm_groups_take (self->groups);
}

static void
finish (SwarmPlacing *self)
{
  g_ptr_array_add (self->uncommitted, g_steal_pointer (&self->group));
}

gboolean
swarm_placing_step (SwarmPlacing *self, SwarmTx *tx)
{
  while (swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner)) {
    if (self->group == NULL) {
      SwarmGroup *group = next_group (self);
      if (group == NULL)
        break;
      if (group->tasks.n == 0) {
        swarm_groups_release (self->groups, group);
        continue;
      }
      begin (self, group);
    }
    if (self->group->tasks.n == 0) { /* they went while others were looked at */
      finish (self);
      continue;
    }
    Progress progress = advance (self, tx);
    if (progress == FINISHED)
      finish (self);
    else if (progress == PAUSED)
      return TRUE;
  }
  return self->group != NULL || self->groups->dirty.length > 0;
}
