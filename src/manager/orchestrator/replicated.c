// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/replicated.h"
#include "manager/orchestrator/restart.h"

/* A slot that stands for one replica. */
typedef struct {
  SwarmSlot slot;
  SwarmTask *live;  /* the newest task that is meant to run; NULL: it ended and is not to be restarted */
  gboolean running; /* live and observed running */
  guint on_node;    /* how many better slots of the service share its node; G_MAXUINT: on no node */
} Replica;

typedef struct {
  const SwarmLeader *leader;
  SwarmService *service;
  SwarmTx *tx;
  gint64 now;
  gint64 *wake;
  gboolean full;
  gboolean busy; /* a slot is down for the moment: no other is taken down to be updated */
} Look;

/* Room for the two changes that replace a task? Else the rest waits for the next transaction. */
static gboolean
look_has_room (Look *look)
{
  if (!look->full && !swarm_tx_has_room (look->tx, 2))
    look->full = TRUE;
  return !look->full;
}

static void
look_wake_at (Look *look, gint64 when)
{
  *look->wake = MIN (*look->wake, when);
}

static void
remove_slot (Look *look, const SwarmSlot *slot)
{
  /* The live task first: cut short by a full transaction, the slot is recognised as a leftover. */
  for (guint i = slot->n; i-- > 0 && look_has_room (look);)
    swarm_task_want (look->tx, slot->tasks[i], SWARM_TASK_REMOVE);
}

/* Puts a new task into a slot, beside what is there. */
static void
fill_slot (Look *look, const SwarmSlot *slot, gint64 delay, guint64 failures)
{
  gboolean wait = slot->n > 0 && swarm_slot_may_run (look->leader->store, slot, NULL);
  gint64 not_before = delay > 0 ? look->now + delay : 0;
  g_autoptr (SwarmTask) task = swarm_task_make (look->leader, look->service, slot->number, not_before, wait);
  task->failures = failures;
  swarm_tx_create (look->tx, task);
}

/* Fills @replica from @slot; FALSE: the slot counts for nothing, its tasks are leftovers. */
static gboolean
replica_init (Replica *replica, const SwarmSlot *slot)
{
  *replica = (Replica){ .slot = *slot };
  const SwarmTask *newest = slot->tasks[slot->n - 1];
  for (guint i = slot->n; i-- > 0 && replica->live == NULL;) {
    if (slot->tasks[i]->desired_state <= SWARM_TASK_RUNNING)
      replica->live = slot->tasks[i];
  }
  if (replica->live != NULL) {
    replica->running = replica->live->status->state == SWARM_TASK_RUNNING;
    return TRUE;
  }
  /* The policy let it end: the slot is taken, and stays as it is until the service's spec changes. */
  return newest->desired_state < SWARM_TASK_REMOVE && !swarm_restart_wanted (slot, newest);
}

static int
compare_for_indexing (gconstpointer a, gconstpointer b)
{
  const Replica *x = a, *y = b;
  if (x->running != y->running)
    return x->running ? -1 : 1;
  return x->slot.number < y->slot.number ? -1 : x->slot.number > y->slot.number;
}

static int
compare_for_keeping (gconstpointer a, gconstpointer b)
{
  const Replica *x = a, *y = b;
  if (x->on_node != y->on_node)
    return x->on_node < y->on_node ? -1 : 1;
  return compare_for_indexing (a, b);
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  const Replica *x = a, *y = b;
  return x->slot.number < y->slot.number ? -1 : x->slot.number > y->slot.number;
}

/* Scale down: slots without a node go first, then from the nodes with most tasks of the service; among equals those not
 * running, then the highest number. */
static void
scale_down (Look *look, GArray *replicas, guint64 want)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  g_array_sort (replicas, compare_for_indexing);
  for (guint i = 0; i < replicas->len; i++) {
    Replica *replica = &g_array_index (replicas, Replica, i);
    replica->on_node = G_MAXUINT;
    if (replica->live == NULL || swarm_id_is_nil (&replica->live->node_id))
      continue;
    guint n = GPOINTER_TO_UINT (g_hash_table_lookup (seen, &replica->live->node_id));
    replica->on_node = n;
    g_hash_table_insert (seen, &replica->live->node_id, GUINT_TO_POINTER (n + 1));
  }
  g_array_sort (replicas, compare_for_keeping);
  for (guint i = want; i < replicas->len; i++)
    remove_slot (look, &g_array_index (replicas, Replica, i).slot);
  g_array_set_size (replicas, want);
  g_array_sort (replicas, compare_numbers);
}

/* Scale up: the smallest free numbers. @slots: all that exist, also leftovers, whose tasks may still be running. */
static void
scale_up (Look *look, GArray *replicas, GArray *slots, guint64 want)
{
  guint64 missing = want - replicas->len;
  guint at = 0, old = 0;
  for (guint64 number = 1; missing > 0 && look_has_room (look); number++) {
    while (at < replicas->len && g_array_index (replicas, Replica, at).slot.number < number)
      at++;
    if (at < replicas->len && g_array_index (replicas, Replica, at).slot.number == number)
      continue;
    while (old < slots->len && g_array_index (slots, SwarmSlot, old).number < number)
      old++;
    SwarmSlot empty = { number, NULL, 0 };
    gboolean used = old < slots->len && g_array_index (slots, SwarmSlot, old).number == number;
    fill_slot (look, used ? &g_array_index (slots, SwarmSlot, old) : &empty, 0, 0);
    missing--;
  }
}

/* The live task ended by itself or lost its node. */
static void
restart_replica (Look *look, Replica *replica, gboolean evicted)
{
  SwarmTask *task = replica->live;
  /* It died while its own restart delay ran: that delay is waited for, or a failing task would be restarted in a tight loop. */
  gint64 due = swarm_restart_due (task, look->now);
  if (!evicted && task->desired_state < SWARM_TASK_RUNNING && due > look->now) {
    look_wake_at (look, due);
    return;
  }
  if (!look_has_room (look))
    return;
  swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  if (!swarm_restart_wanted (&replica->slot, task))
    return;
  fill_slot (look, &replica->slot, swarm_restart_delay (task, evicted, look->now), swarm_restart_failures (task, look->now));
}

/* A task that was only made ready becomes running when its delay is over and its slot is free. */
static void
promote_replica (Look *look, Replica *replica)
{
  SwarmTask *task = replica->live;
  gint64 due = swarm_restart_due (task, look->now);
  if (due > look->now)
    look_wake_at (look, due);
  else if (!swarm_slot_may_run (look->leader->store, &replica->slot, task) && look_has_room (look))
    swarm_task_want (look->tx, task, SWARM_TASK_RUNNING);
}

/* More than one task that is meant to run: only the newest stays. */
static void
drop_surplus (Look *look, Replica *replica)
{
  for (guint i = 0; i < replica->slot.n; i++) {
    SwarmTask *task = replica->slot.tasks[i];
    if (task != replica->live && task->desired_state <= SWARM_TASK_RUNNING && look_has_room (look))
      swarm_task_want (look->tx, task, SWARM_TASK_SHUTDOWN);
  }
}

/* Something ran in this slot before its live task. */
static gboolean
replica_had_run (const Replica *replica)
{
  for (guint i = 0; i < replica->slot.n; i++) {
    const SwarmTask *task = replica->slot.tasks[i];
    if (task != replica->live && !swarm_id_is_nil (&task->node_id))
      return TRUE;
  }
  return FALSE;
}

static void
replace_replica (Look *look, Replica *replica)
{
  if (!look_has_room (look))
    return;
  if (replica->live != NULL)
    swarm_task_want (look->tx, replica->live, SWARM_TASK_SHUTDOWN);
  fill_slot (look, &replica->slot, 0, 0);
}

/* A changed spec replaces tasks, stop-first: those that do not run at once, the others one by one, each when the one before runs. */
static void
update_replicas (Look *look, GPtrArray *healthy)
{
  Replica *next = NULL;
  for (guint i = 0; i < healthy->len; i++) {
    Replica *replica = g_ptr_array_index (healthy, i);
    SwarmTask *task = replica->live != NULL ? replica->live : replica->slot.tasks[replica->slot.n - 1];
    gboolean dirty = swarm_task_is_dirty (look->leader->store, task, look->service);
    if (dirty && replica->running) {
      next = next != NULL ? next : replica;
      continue;
    }
    if (dirty)
      replace_replica (look, replica);
    if ((dirty || (replica->live != NULL && !replica->running)) && replica_had_run (replica))
      look->busy = TRUE;
  }
  if (next != NULL && !look->busy)
    replace_replica (look, next);
}

static void
tend_replicas (Look *look, GArray *replicas)
{
  g_autoptr (GPtrArray) healthy = g_ptr_array_new ();
  for (guint i = 0; i < replicas->len; i++) {
    Replica *replica = &g_array_index (replicas, Replica, i);
    if (replica->live == NULL) {
      g_ptr_array_add (healthy, replica);
      continue;
    }
    drop_surplus (look, replica);
    gboolean evicted = swarm_task_is_evicted (look->leader->store, replica->live);
    if (evicted || swarm_task_state_is_terminal (replica->live->status->state)) {
      if (swarm_task_is_dirty (look->leader->store, replica->live, look->service))
        replace_replica (look, replica); /* the new spec owes nothing to the old one's failures */
      else
        restart_replica (look, replica, evicted);
      look->busy = TRUE;
      continue;
    }
    if (replica->live->desired_state < SWARM_TASK_RUNNING
        && !swarm_task_is_dirty (look->leader->store, replica->live, look->service))
      promote_replica (look, replica);
    g_ptr_array_add (healthy, replica);
  }
  update_replicas (look, healthy);
}

static void
remove_all (Look *look, GArray *slots)
{
  for (guint i = 0; i < slots->len; i++)
    remove_slot (look, &g_array_index (slots, SwarmSlot, i));
}

gboolean
swarm_replicated_reconcile (const SwarmLeader *leader, const SwarmId *id, SwarmTx *tx, gint64 *wake)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (leader->store, id);
  g_autoptr (GArray) slots = swarm_slots_of (tasks);
  Look look = { leader, swarm_store_get (leader->store, SWARM_KIND_SERVICE, id), tx, swarm_clock_now (leader->clock), wake, FALSE, FALSE };
  if (look.service == NULL || look.service->pending_delete) {
    remove_all (&look, slots);
    return look.full;
  }
  const SwarmServiceMode *mode = look.service->spec->mode;
  guint64 want = mode != NULL && mode->replicated != NULL ? mode->replicated->replicas : 1;
  g_autoptr (GArray) replicas = g_array_new (FALSE, FALSE, sizeof (Replica));
  for (guint i = 0; i < slots->len; i++) {
    Replica replica;
    SwarmSlot *slot = &g_array_index (slots, SwarmSlot, i);
    if (replica_init (&replica, slot))
      g_array_append_val (replicas, replica);
    else
      remove_slot (&look, slot);
  }
  if (replicas->len > want)
    scale_down (&look, replicas, want);
  else if (replicas->len < want)
    scale_up (&look, replicas, slots, want);
  tend_replicas (&look, replicas);
  return look.full;
}
