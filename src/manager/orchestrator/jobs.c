// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/jobs.h"
#include "manager/orchestrator/restart.h"
#include "model/constraint.h"

/* What became of a slot in this iteration. */
typedef enum {
  RUN_ABSENT,   /* nothing yet */
  RUN_LIVE,     /* a task is on its way, or waits for its restart */
  RUN_DONE,     /* complete */
  RUN_GIVEN_UP, /* failed, and the policy wants no more */
} Run;

gboolean
swarm_service_is_job (const SwarmService *service)
{
  SwarmServiceKind kind = swarm_service_spec_kind (service->spec);
  return kind == SWARM_SERVICE_REPLICATED_JOB || kind == SWARM_SERVICE_GLOBAL_JOB;
}

static guint64
iteration_of (const SwarmService *service)
{
  return service->job_status != NULL ? service->job_status->iteration : 0;
}

static int
compare_runs (gconstpointer a, gconstpointer b, gpointer data)
{
  const SwarmTask *x = *(SwarmTask *const *) a, *y = *(SwarmTask *const *) b;
  if (x->job_iteration != y->job_iteration)
    return x->job_iteration < y->job_iteration ? -1 : 1;
  if (x->object.created_at != y->object.created_at)
    return x->object.created_at < y->object.created_at ? -1 : 1;
  return swarm_id_compare (&x->object.id, &y->object.id);
}

/* A slot's tasks by iteration, then creation: leaders' clocks differ, iterations only grow. */
static void
sort_runs (const SwarmSlot *slot)
{
  g_qsort_with_data (slot->tasks, (gint) slot->n, sizeof *slot->tasks, compare_runs, NULL);
}

/* The slot's tasks of the present iteration: the newest ones. */
static SwarmSlot
present_run (const SwarmSlot *slot, guint64 iteration)
{
  guint first = 0;
  while (first < slot->n && slot->tasks[first]->job_iteration != iteration)
    first++;
  return (SwarmSlot){ slot->number, slot->tasks + first, slot->n - first };
}

static gboolean
run_is_done (const SwarmSlot *run)
{
  for (guint i = 0; i < run->n; i++) {
    if (run->tasks[i]->status->state == SWARM_TASK_COMPLETE)
      return TRUE;
  }
  return FALSE;
}

/* ---- one slot ---- */

/* Puts a task into the slot (@node: on that node), ready only until its delay is over and the slot is free. */
static void
fill_slot (SwarmLook *look, const SwarmSlot *slot, const SwarmId *node, gint64 delay, guint64 failures)
{
  gboolean wait = slot->n > 0 && swarm_slot_may_run (look->leader->store, slot, NULL, look->wake);
  gint64 not_before = delay > 0 ? look->now + delay : 0;
  if (!swarm_look_has_room (look))
    return;
  g_autoptr (SwarmTask) task = swarm_task_make (look->leader, look->service, slot->number, not_before, wait);
  task->failures = failures;
  if (node != NULL)
    task->node_id = *node;
  swarm_tx_create (look->tx, task);
}

/* Ends what an earlier iteration left unfinished, also what was rejected and is still where it was. How many of its tasks may still run. */
static guint
retire_old (SwarmLook *look, const SwarmSlot *slot, guint n_old)
{
  guint running = 0;
  for (guint i = 0; i < n_old; i++) {
    const SwarmTask *task = slot->tasks[i];
    gboolean over = swarm_task_state_is_terminal (task->status->state) && !task->lingers;
    running += swarm_task_may_run (look->leader->store, task, look->wake);
    if (!over && swarm_look_has_room (look))
      swarm_task_want (look->tx, task, SWARM_TASK_REMOVE);
  }
  return running;
}

static SwarmTask *
live_task (const SwarmSlot *run)
{
  for (guint i = run->n; i-- > 0;) {
    if (run->tasks[i]->desired_state <= SWARM_TASK_COMPLETE)
      return run->tasks[i];
  }
  return NULL;
}

/* @all: also what nobody has rejected. */
static void
stop_live (SwarmLook *look, const SwarmSlot *run, gboolean all)
{
  for (guint i = 0; i < run->n; i++) {
    const SwarmTask *task = run->tasks[i];
    gboolean runs = task->lingers || (all && task->status->state <= SWARM_TASK_RUNNING);
    if (task->desired_state <= SWARM_TASK_COMPLETE && runs && swarm_look_has_room (look))
      swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  }
}

/* The live task failed, or lost its node. */
static Run
restart (SwarmLook *look, const SwarmSlot *slot, const SwarmSlot *run, const SwarmTask *task, const SwarmId *node, gboolean evicted)
{
  gint64 due = swarm_restart_due (task, look->now);
  if (!evicted && task->desired_state < SWARM_TASK_RUNNING && due > look->now) {
    *look->wake = MIN (*look->wake, due); /* it failed before its own delay was over: no tight loop */
    return RUN_LIVE;
  }
  if (!swarm_look_has_room (look))
    return RUN_LIVE;
  swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  if (!swarm_restart_wanted (run, task))
    return RUN_GIVEN_UP;
  fill_slot (look, slot, node, swarm_restart_delay (task, evicted, look->now), swarm_restart_failures (task, look->now));
  return RUN_LIVE;
}

static void
promote (SwarmLook *look, const SwarmSlot *slot, const SwarmTask *task)
{
  gint64 due = swarm_restart_due (task, look->now);
  if (due > look->now)
    *look->wake = MIN (*look->wake, due);
  else if (!swarm_slot_may_run (look->leader->store, slot, task, look->wake) && swarm_look_has_room (look))
    swarm_task_want (look->tx, task, SWARM_TASK_COMPLETE);
}

/* Looks after one slot. @node: where its tasks run (global job); else NULL. */
static Run
tend_slot (SwarmLook *look, const SwarmSlot *slot, const SwarmSlot *run, const SwarmId *node)
{
  if (run->n == 0)
    return RUN_ABSENT;
  if (run_is_done (run)) {
    stop_live (look, run, TRUE);
    return RUN_DONE;
  }
  SwarmTask *task = live_task (run);
  if (task == NULL) /* the policy gave it up, or (global) its node was away */
    return swarm_restart_wanted (run, run->tasks[run->n - 1]) ? RUN_ABSENT : RUN_GIVEN_UP;
  gboolean evicted = swarm_task_is_evicted (look->leader->store, task, look->wake);
  if (evicted || swarm_task_state_is_terminal (task->status->state))
    return restart (look, slot, run, task, node, evicted);
  if (task->desired_state < SWARM_TASK_COMPLETE)
    promote (look, slot, task);
  return RUN_LIVE;
}

/* ---- replicated jobs ---- */

/* Looks after the slot and counts it: busy while something of it runs or will, waiting when nothing has been done for it. FALSE: the
 * transaction is full. */
static gboolean
tend_and_count (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  SwarmLook *look = &walk->look;
  gboolean wanted = number < swarm_job_total (look->service->spec->mode->replicated_job);
  SwarmUpdateShare share = { .due = G_MAXINT64 };
  gint64 when, *wake = look->wake;
  sort_runs (slot);
  SwarmSlot run = present_run (slot, iteration_of (look->service));
  swarm_walk_wake_slot_begin (walk, &when);
  share.busy = (guint8) MIN (retire_old (look, slot, slot->n - run.n), G_MAXUINT8);
  for (guint i = 0; !wanted && i < slot->n && swarm_look_has_room (look); i++)
    swarm_task_want (look->tx, slot->tasks[i], SWARM_TASK_REMOVE);
  if (wanted) {
    Run what = tend_slot (look, slot, &run, NULL);
    share.waiting = what == RUN_ABSENT;
    share.busy = what == RUN_LIVE ? 1 : share.busy;
  }
  swarm_walk_wake_slot_end (walk, number, when, wake);
  if (look->full)
    return FALSE;
  swarm_roll_set (walk->roll, number, wanted || slot->n > 0 ? &share : NULL);
  return TRUE;
}

/* The first slot that nothing has been done for: one that waits, or one that was never used. FALSE: there is none. */
static gboolean
next_slot (SwarmRoll *roll, guint64 total, guint64 *ret)
{
  const SwarmHeapItem *first;
  gboolean running;
  while ((first = swarm_heap_first (&roll->waiting)) != NULL) {
    const SwarmRollEntry *entry = swarm_roll_find (roll, first->number);
    if (entry->share.waiting && entry->pass != roll->pass)
      break;
    swarm_roll_take_waiting (roll, &running);
  }
  while (roll->next < total && swarm_roll_find (roll, roll->next) != NULL)
    roll->next++;
  if (first != NULL && first->number < roll->next) {
    SwarmRollEntry *entry = swarm_roll_take_waiting (roll, &running);
    entry->pass = roll->pass;
    *ret = entry->number;
    return TRUE;
  }
  *ret = roll->next;
  return roll->next < total && roll->next++ < total;
}

/* FALSE: there are more. */
static gboolean
begin_slots (SwarmWalk *walk)
{
  const SwarmReplicatedJob *job = walk->look.service->spec->mode->replicated_job;
  guint64 total = swarm_job_total (job), most = swarm_job_concurrent (job), number;
  guint64 missing = most > walk->roll->update.busy ? most - walk->roll->update.busy : 0;
  for (guint n = 1; n <= missing && swarm_look_has_room (&walk->look); n++) {
    SwarmSlot slot;
    if (n % SWARM_WALK_PART == 0 && swarm_walk_time_is_up (walk))
      return FALSE;
    if (!next_slot (walk->roll, total, &number))
      return TRUE;
    g_autoptr (GPtrArray) tasks = swarm_walk_slot (walk, number, &slot);
    fill_slot (&walk->look, &slot, NULL, 0, 0);
    swarm_roll_do (walk->roll, number);
  }
  return !walk->look.full;
}

gboolean
swarm_job_look (const SwarmLeader *leader, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, roll, waker, NULL };
  swarm_roll_begin_pass (roll);
  return !swarm_walk_all (&walk, id, tend_and_count) || !swarm_walk_changed (&walk, tend_and_count) || !begin_slots (&walk);
}

/* ---- global jobs ---- */

static gboolean
node_takes (const SwarmWalk *walk, const SwarmNode *node)
{
  return node->status->state == SWARM_NODE_READY && node->spec->availability == SWARM_AVAILABILITY_ACTIVE
         && (walk->constraints == NULL || swarm_constraints_match (walk->constraints, node));
}

/* The node takes no new task: what runs there is stopped when it may not stay or was rejected, and nothing is restarted. */
static void
leave_node (SwarmLook *look, const SwarmSlot *run, const SwarmNode *node)
{
  gboolean stays = !swarm_node_is_lost (look->leader->store, node, look->service->spec, look->wake) && node->spec->availability != SWARM_AVAILABILITY_DRAIN;
  stop_live (look, run, !stays);
}

static void
look_at_node (SwarmWalk *walk, const SwarmId *id, const SwarmSlot *slot)
{
  SwarmLook *look = &walk->look;
  const SwarmNode *node = swarm_store_get (look->leader->store, SWARM_KIND_NODE, id);
  if (node == NULL) {
    swarm_look_drop_slot (look, slot, SWARM_TASK_REMOVE);
    return;
  }
  sort_runs (slot);
  SwarmSlot run = present_run (slot, iteration_of (look->service));
  retire_old (look, slot, slot->n - run.n);
  if (!node_takes (walk, node))
    leave_node (look, &run, node);
  else if (tend_slot (look, slot, &run, id) == RUN_ABSENT)
    fill_slot (look, slot, id, 0, 0);
}

/* FALSE: the transaction is full. */
static gboolean
tend_node (SwarmWalk *walk, guint64 number, const SwarmSlot *slot)
{
  gint64 when, *wake = walk->look.wake;
  swarm_walk_wake_slot_begin (walk, &when);
  look_at_node (walk, swarm_walk_node (walk, number), slot);
  swarm_walk_wake_slot_end (walk, number, when, wake);
  return !walk->look.full;
}

gboolean
swarm_global_job_look (const SwarmLeader *leader, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, const SwarmSlotWaker *waker, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  g_autoptr (GPtrArray) constraints = swarm_service_constraints (service);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, roll, waker, constraints };
  swarm_roll_begin_pass (roll);
  return !swarm_walk_nodes (&walk, tend_node) || !swarm_walk_changed (&walk, tend_node);
}

SwarmLookResult
swarm_global_job_reconcile_node (const SwarmLeader *leader, const SwarmId *id, const SwarmId *node, SwarmTx *tx, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  g_autoptr (GPtrArray) tasks = swarm_tasks_on_node (leader->store, id, node);
  g_autoptr (GPtrArray) constraints = swarm_service_constraints (service);
  SwarmWalk walk = { { leader, service, tx, swarm_store_now (leader->store), wake, FALSE }, NULL, NULL, constraints };
  SwarmSlot slot = { 0, (SwarmTask **) tasks->pdata, tasks->len };
  look_at_node (&walk, node, &slot);
  return walk.look.full ? SWARM_LOOK_FULL : SWARM_LOOK_DONE;
}
