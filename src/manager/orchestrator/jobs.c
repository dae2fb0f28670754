// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/jobs.h"
#include "manager/orchestrator/restart.h"
#include "model/constraint.h"

typedef struct {
  const SwarmLeader *leader;
  SwarmService *service;
  guint64 iteration;
  SwarmTx *tx;
  gint64 now;
  gint64 *wake;
  gboolean full;
} Look;

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

static gboolean
look_has_room (Look *look)
{
  if (!look->full && !swarm_tx_has_room (look->tx, 2))
    look->full = TRUE;
  return !look->full;
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

/* Each slot's tasks by iteration, then creation: leaders' clocks differ, iterations only grow. */
static GArray *
job_slots (const SwarmService *service, GPtrArray *tasks)
{
  gboolean global = swarm_service_spec_kind (service->spec) == SWARM_SERVICE_GLOBAL_JOB;
  GArray *slots = global ? swarm_slots_by_node (tasks) : swarm_slots_of (tasks);
  for (guint i = 0; i < slots->len; i++) {
    SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    g_qsort_with_data (slot->tasks, (gint) slot->n, sizeof *slot->tasks, compare_runs, NULL);
  }
  return slots;
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

guint64
swarm_job_completed (SwarmStore *store, const SwarmService *service)
{
  guint64 n = 0;
  if (!swarm_service_is_job (service))
    return 0;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (store, &service->object.id);
  g_autoptr (GArray) slots = job_slots (service, tasks);
  for (guint i = 0; i < slots->len; i++) {
    SwarmSlot run = present_run (&g_array_index (slots, SwarmSlot, i), iteration_of (service));
    n += run_is_done (&run);
  }
  return n;
}

/* ---- one slot ---- */

/* Puts a task into the slot (@node: on that node), ready only until its delay is over and the slot is free. */
static void
fill_slot (Look *look, const SwarmSlot *slot, const SwarmId *node, gint64 delay, guint64 failures)
{
  gboolean wait = slot->n > 0 && swarm_slot_may_run (look->leader->store, slot, NULL, look->wake);
  gint64 not_before = delay > 0 ? look->now + delay : 0;
  if (!look_has_room (look))
    return;
  g_autoptr (SwarmTask) task = swarm_task_make (look->leader, look->service, slot->number, not_before, wait);
  task->failures = failures;
  if (node != NULL)
    task->node_id = *node;
  swarm_tx_create (look->tx, task);
}

/* Ends what an earlier iteration left unfinished. How many of its tasks may still run. */
static guint
retire_old (Look *look, const SwarmSlot *slot, guint n_old)
{
  guint running = 0;
  for (guint i = 0; i < n_old; i++) {
    const SwarmTask *task = slot->tasks[i];
    running += swarm_task_may_run (look->leader->store, task, look->wake);
    if (!swarm_task_state_is_terminal (task->status->state) && look_has_room (look))
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

static void
stop_live (Look *look, const SwarmSlot *run)
{
  for (guint i = 0; i < run->n; i++) {
    const SwarmTask *task = run->tasks[i];
    if (task->desired_state <= SWARM_TASK_COMPLETE && task->status->state <= SWARM_TASK_RUNNING && look_has_room (look))
      swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  }
}

/* The live task failed, or lost its node. */
static Run
restart (Look *look, const SwarmSlot *slot, const SwarmSlot *run, const SwarmTask *task, const SwarmId *node, gboolean evicted)
{
  gint64 due = swarm_restart_due (task, look->now);
  if (!evicted && task->desired_state < SWARM_TASK_RUNNING && due > look->now) {
    *look->wake = MIN (*look->wake, due); /* it failed before its own delay was over: no tight loop */
    return RUN_LIVE;
  }
  if (!look_has_room (look))
    return RUN_LIVE;
  swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  if (!swarm_restart_wanted (run, task))
    return RUN_GIVEN_UP;
  fill_slot (look, slot, node, swarm_restart_delay (task, evicted, look->now), swarm_restart_failures (task, look->now));
  return RUN_LIVE;
}

static void
promote (Look *look, const SwarmSlot *slot, const SwarmTask *task)
{
  gint64 due = swarm_restart_due (task, look->now);
  if (due > look->now)
    *look->wake = MIN (*look->wake, due);
  else if (!swarm_slot_may_run (look->leader->store, slot, task, look->wake) && look_has_room (look))
    swarm_task_want (look->tx, task, SWARM_TASK_COMPLETE);
}

/* Looks after one slot. @node: where its tasks run (global job); else NULL. */
static Run
tend_slot (Look *look, const SwarmSlot *slot, const SwarmSlot *run, const SwarmId *node)
{
  if (run->n == 0)
    return RUN_ABSENT;
  if (run_is_done (run)) {
    stop_live (look, run);
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

/* New tasks for the first @missing slots that nothing has been done for. */
static void
begin_slots (Look *look, GArray *slots, const Run *runs, guint64 total, guint64 missing)
{
  guint at = 0;
  for (guint64 number = 0; number < total && missing > 0 && !look->full; number++) {
    while (at < slots->len && g_array_index (slots, SwarmSlot, at).number < number)
      at++;
    gboolean used = at < slots->len && g_array_index (slots, SwarmSlot, at).number == number;
    if (used && runs[at] != RUN_ABSENT)
      continue;
    SwarmSlot empty = { number, NULL, 0 };
    fill_slot (look, used ? &g_array_index (slots, SwarmSlot, at) : &empty, NULL, 0, 0);
    missing--;
  }
}

static void
reconcile_replicated (Look *look, GArray *slots)
{
  const SwarmReplicatedJob *job = look->service->spec->mode->replicated_job;
  guint64 total = swarm_job_total (job), most = swarm_job_concurrent (job), busy = 0;
  g_autofree Run *runs = g_new0 (Run, slots->len + 1);
  for (guint i = 0; i < slots->len && !look->full; i++) {
    const SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    SwarmSlot run = present_run (slot, look->iteration);
    guint old = retire_old (look, slot, slot->n - run.n);
    if (slot->number >= total) {
      for (guint j = 0; j < slot->n && look_has_room (look); j++)
        swarm_task_want (look->tx, slot->tasks[j], SWARM_TASK_REMOVE);
      busy += old;
      continue;
    }
    runs[i] = tend_slot (look, slot, &run, NULL);
    busy += runs[i] == RUN_LIVE ? 1 : old;
  }
  if (!look->full && busy < most)
    begin_slots (look, slots, runs, total, most - busy);
}

/* ---- global jobs ---- */

typedef struct {
  Look *look;
  GPtrArray *constraints;
  GHashTable *slots; /* node id → SwarmSlot */
} Nodes;

static gboolean
node_takes (const Nodes *nodes, const SwarmNode *node)
{
  return node->status->state == SWARM_NODE_READY && node->spec->availability == SWARM_AVAILABILITY_ACTIVE
         && (nodes->constraints == NULL || swarm_constraints_match (nodes->constraints, node));
}

static gboolean
begin_on_node (gpointer object, gpointer data)
{
  const Nodes *nodes = data;
  const SwarmNode *node = object;
  const SwarmSlot *slot = g_hash_table_lookup (nodes->slots, &node->object.id), empty = { 0, NULL, 0 };
  if (!node_takes (nodes, node))
    return TRUE;
  if (slot != NULL) {
    SwarmSlot run = present_run (slot, nodes->look->iteration);
    if (tend_slot (nodes->look, slot, &run, &node->object.id) != RUN_ABSENT)
      return !nodes->look->full;
  }
  fill_slot (nodes->look, slot != NULL ? slot : &empty, &node->object.id, 0, 0);
  return !nodes->look->full;
}

/* The node takes no new task: what runs there is stopped when it may not stay, and nothing is restarted. */
static void
leave_node (Look *look, const SwarmSlot *slot, const SwarmNode *node)
{
  SwarmSlot run = present_run (slot, look->iteration);
  gboolean stays = !swarm_node_is_lost (look->leader->store, node, look->service->spec, look->wake) && node->spec->availability != SWARM_AVAILABILITY_DRAIN;
  if (!stays)
    stop_live (look, &run);
}

static void
reconcile_global (Look *look, GArray *slots)
{
  const SwarmPlacement *placement = look->service->spec->task->placement;
  g_autoptr (GHashTable) by_node = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  g_autoptr (GPtrArray) constraints = swarm_constraints_parse (placement != NULL ? placement->constraints : NULL, NULL);
  Nodes nodes = { look, constraints, by_node };
  for (guint i = 0; i < slots->len && !look->full; i++) {
    SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    SwarmSlot run = present_run (slot, look->iteration);
    const SwarmNode *node = swarm_store_get (look->leader->store, SWARM_KIND_NODE, &slot->tasks[0]->node_id);
    retire_old (look, slot, slot->n - run.n);
    g_hash_table_insert (by_node, &slot->tasks[0]->node_id, slot);
    if (node == NULL || !node_takes (&nodes, node))
      leave_node (look, slot, node);
  }
  if (!look->full)
    swarm_store_foreach (look->leader->store, SWARM_KIND_NODE, begin_on_node, &nodes);
}

gboolean
swarm_job_reconcile (const SwarmLeader *leader, const SwarmId *id, SwarmTx *tx, gint64 *wake)
{
  SwarmService *service = swarm_store_get (leader->store, SWARM_KIND_SERVICE, id);
  Look look = { leader, service, iteration_of (service), tx, swarm_store_now (leader->store), wake, FALSE };
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (leader->store, id);
  g_autoptr (GArray) slots = job_slots (service, tasks);
  if (swarm_service_spec_kind (service->spec) == SWARM_SERVICE_GLOBAL_JOB)
    reconcile_global (&look, slots);
  else
    reconcile_replicated (&look, slots);
  return look.full;
}
