// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/orchestrator.h"
#include "manager/dirty.h"
#include "manager/orchestrator/dirty-slots.h"
#include "manager/orchestrator/global.h"
#include "manager/orchestrator/jobs.h"
#include "manager/orchestrator/leaving.h"
#include "manager/orchestrator/replicated.h"
#include "manager/scan.h"

/* A slot, or a whole service, that wants to be looked at again later. */
typedef struct {
  SwarmOrchestrator *owner;
  SwarmSlotKey slot;
  gboolean whole;
  gint64 when; /* store time, as the tasks' not_before */
  SwarmTimer *timer;
} Wake;

struct _SwarmOrchestrator {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_tasks; /* the first look: tasks of services that are gone, moves */
  SwarmDirty nodes;    /* whose tasks are to be marked */
  SwarmDirtySlots services;
  GArray *again; /* ids of services to look at in whole, but not in the pass under way: it has changed some of their slots already */
  GHashTable *rolls;         /* service id → SwarmRoll: of services that are looked at in whole, are being updated, jobs */
  GHashTable *service_wakes; /* service id → Wake */
  GHashTable *slot_wakes;    /* SwarmSlotKey → Wake */
  GHashTable *everywhere; /* ids of services with a task on each node: they follow every node */
};

static void
wake_free (gpointer data)
{
  Wake *wake = data;
  swarm_clock_clear_timer (wake->owner->leader->clock, &wake->timer);
  g_free (wake);
}

static void
orchestrator_mark (SwarmOrchestrator *self, const SwarmId *service)
{
  swarm_dirty_slots_mark (&self->services, service);
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* What is known of the slot is out of date. @number or @node says which it is. */
static void
touch (SwarmOrchestrator *self, const SwarmId *service, guint64 number, const SwarmId *node)
{
  SwarmRoll *roll = g_hash_table_size (self->rolls) > 0 ? g_hash_table_lookup (self->rolls, service) : NULL;
  if (roll != NULL && roll->by_node)
    swarm_roll_touch_node (roll, node);
  else if (roll != NULL)
    swarm_roll_touch (roll, number);
}

static void
touch_task (SwarmOrchestrator *self, const SwarmTask *task)
{
  touch (self, &task->service_id, task->slot, &task->node_id);
}

static void
orchestrator_mark_slot (SwarmOrchestrator *self, const SwarmSlotKey *slot)
{
  swarm_dirty_slots_mark_slot (&self->services, slot);
  touch (self, &slot->service, slot->number, &slot->node);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
wake_fired (gpointer data)
{
  Wake *wake = data;
  SwarmOrchestrator *self = wake->owner;
  SwarmSlotKey slot = wake->slot;
  wake->timer = NULL;
  if (wake->whole) {
    g_hash_table_remove (self->service_wakes, &slot.service);
    orchestrator_mark (self, &slot.service);
  } else {
    g_hash_table_remove (self->slot_wakes, &slot);
    orchestrator_mark_slot (self, &slot);
  }
}

static void
orchestrator_wake_at (SwarmOrchestrator *self, const SwarmSlotKey *slot, gboolean whole, gint64 when)
{
  GHashTable *wakes = whole ? self->service_wakes : self->slot_wakes;
  Wake *wake = g_hash_table_lookup (wakes, slot); /* a key begins with its service's id */
  if (when == G_MAXINT64 || (wake != NULL && wake->when <= when))
    return;
  if (wake == NULL) {
    wake = g_new0 (Wake, 1);
    wake->owner = self;
    wake->slot = *slot;
    wake->whole = whole;
    g_hash_table_insert (wakes, &wake->slot, wake);
  }
  wake->when = when;
  swarm_clock_clear_timer (self->leader->clock, &wake->timer);
  gint64 delay = MAX (when - swarm_store_now (self->leader->store), 0);
  wake->timer = swarm_clock_timer (self->leader->clock, delay, SWARM_PRIORITY_NORMAL, wake_fired, wake);
}

/* ---- looking ---- */

/* NULL: the service is gone, or about to. */
static const SwarmService *
living_service (SwarmOrchestrator *self, const SwarmId *id)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, id);
  return service != NULL && !service->pending_delete ? service : NULL;
}

static void
wake_slot (const SwarmSlotKey *slot, gint64 when, gpointer data)
{
  orchestrator_wake_at (data, slot, FALSE, when);
}

static SwarmServiceKind
kind_of (const SwarmService *service)
{
  return swarm_service_spec_kind (service->spec);
}

/* More of the look that is under way, or a new one. TRUE: there is more. */
static gboolean
look_more (SwarmOrchestrator *self, const SwarmId *id, SwarmRoll *roll, SwarmTx *tx, gint64 *wake)
{
  const SwarmService *service = living_service (self, id);
  const SwarmSlotWaker waker = { wake_slot, self };
  switch (service != NULL ? kind_of (service) : SWARM_SERVICE_REPLICATED) { /* also of what is gone: its tasks are removed */
  case SWARM_SERVICE_GLOBAL:
    return swarm_global_look (self->leader, id, roll, tx, &waker, wake);
  case SWARM_SERVICE_GLOBAL_JOB:
    return swarm_global_job_look (self->leader, id, roll, tx, &waker, wake);
  case SWARM_SERVICE_REPLICATED_JOB:
    return swarm_job_look (self->leader, id, roll, tx, &waker, wake);
  default:
    return swarm_replicated_look (self->leader, id, roll, tx, &waker, wake);
  }
}

/* While an update, a job or moves go on the count is kept: each step costs the same then, however many slots there are. TRUE: there is more. */
static gboolean
look_at_slots (SwarmOrchestrator *self, const SwarmId *id, SwarmTx *tx, gint64 *wake)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, id);
  SwarmRoll *roll = g_hash_table_lookup (self->rolls, id);
  if (roll == NULL || !swarm_roll_is_of (roll, service)) {
    roll = swarm_roll_new (service);
    g_hash_table_replace (self->rolls, g_memdup2 (id, sizeof *id), roll);
  }
  guint n_changes = swarm_tx_n_changes (tx);
  if (look_more (self, id, roll, tx, wake))
    return TRUE;
  /* What this look has begun is not counted yet. */
  gboolean job = living_service (self, id) != NULL && kind_of (service) == SWARM_SERVICE_REPLICATED_JOB;
  gboolean job_goes_on = roll->update.busy > 0 || swarm_tx_n_changes (tx) > n_changes;
  gboolean goes_on = job ? job_goes_on : roll->update.under_way || swarm_roll_has_moves (roll);
  if (!goes_on)
    g_hash_table_remove (self->rolls, id);
  return FALSE;
}

static void
look_at_service (SwarmOrchestrator *self, const SwarmId *id, SwarmTx *tx)
{
  SwarmSlotKey key = { .service = *id };
  gint64 wake = G_MAXINT64;
  gboolean more = look_at_slots (self, id, tx, &wake);
  orchestrator_wake_at (self, &key, TRUE, wake);
  if (more)
    g_array_append_val (self->again, *id);
}

static SwarmLookResult
look_at_one (SwarmOrchestrator *self, const SwarmSlotKey *slot, SwarmTx *tx, gint64 *wake)
{
  const SwarmService *service = living_service (self, &slot->service);
  if (service != NULL && kind_of (service) == SWARM_SERVICE_GLOBAL)
    return swarm_global_reconcile_node (self->leader, &slot->service, &slot->node, tx, wake);
  if (service != NULL && kind_of (service) == SWARM_SERVICE_GLOBAL_JOB)
    return swarm_global_job_reconcile_node (self->leader, &slot->service, &slot->node, tx, wake);
  return swarm_replicated_reconcile_slot (self->leader, &slot->service, slot->number, tx, wake);
}

static void
look_at_slot (SwarmOrchestrator *self, const SwarmSlotKey *slot, SwarmTx *tx)
{
  gint64 wake = G_MAXINT64;
  SwarmLookResult result = look_at_one (self, slot, tx, &wake);
  orchestrator_wake_at (self, slot, FALSE, wake);
  if (result == SWARM_LOOK_WHOLE)
    g_array_append_val (self->again, slot->service);
  else if (result == SWARM_LOOK_FULL)
    orchestrator_mark_slot (self, slot);
}

static gboolean
pass_is_over (SwarmOrchestrator *self, SwarmTx *tx)
{
  return !swarm_tx_has_room (tx, 2) || swarm_runner_time_is_up (self->leader->runner);
}

static void
look_at (SwarmOrchestrator *self, const SwarmDirtyService *dirty, SwarmTx *tx)
{
  const SwarmService *service = living_service (self, &dirty->service);
  gboolean rolled = g_hash_table_contains (self->rolls, &dirty->service);
  if (dirty->whole || rolled || (service != NULL && kind_of (service) == SWARM_SERVICE_REPLICATED_JOB)) {
    /* Parts of it that wait must not have it looked at a second time: the pass does not see what it has done itself. */
    swarm_dirty_slots_take_rest (&self->services, &dirty->service);
    look_at_service (self, &dirty->service, tx);
    return;
  }
  GHashTableIter iter;
  gpointer slot;
  g_hash_table_iter_init (&iter, dirty->slots);
  while (g_hash_table_iter_next (&iter, &slot, NULL)) {
    if (pass_is_over (self, tx))
      orchestrator_mark_slot (self, slot);
    else
      look_at_slot (self, slot, tx);
  }
}

static gboolean mark_service_of_task (gpointer object, gpointer data);
static gboolean mark_tasks_of_nodes (SwarmOrchestrator *self);

static gboolean
orchestrator_pass (gpointer loop, SwarmTx *tx)
{
  SwarmOrchestrator *self = loop;
  const SwarmDirtyService *dirty;
  if (swarm_scan_step (&self->all_tasks, self->leader->store, self->leader->runner, mark_service_of_task, self) || !mark_tasks_of_nodes (self))
    return TRUE;
  while (!pass_is_over (self, tx) && (dirty = swarm_dirty_slots_take (&self->services)) != NULL)
    look_at (self, dirty, tx);
  for (guint i = 0; i < self->again->len; i++)
    swarm_dirty_slots_mark (&self->services, &g_array_index (self->again, SwarmId, i));
  g_array_set_size (self->again, 0);
  return swarm_dirty_slots_n_waiting (&self->services) > 0;
}

static void
orchestrator_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmOrchestrator *self = loop;
  swarm_dirty_slots_settle (&self->services, error == NULL);
  if (error == NULL)
    return;
  GHashTableIter iter;
  gpointer roll;
  g_hash_table_iter_init (&iter, self->rolls);
  while (g_hash_table_iter_next (&iter, NULL, &roll)) {
    if (!swarm_roll_undo (roll))
      g_hash_table_iter_remove (&iter);
  }
}

static const SwarmLoopOps orchestrator_ops = { "orchestrator", orchestrator_pass, orchestrator_settle, .overlaps = TRUE };

static gboolean
mark_service (gpointer object, gpointer data)
{
  SwarmOrchestrator *self = data;
  const SwarmService *service = object;
  if (swarm_service_is_everywhere (service))
    g_hash_table_add (self->everywhere, g_memdup2 (&service->object.id, sizeof service->object.id));
  orchestrator_mark (self, &service->object.id);
  return TRUE;
}

static void
mark_task (SwarmOrchestrator *self, const SwarmTask *task)
{
  if (task->attachment != NULL)
    return; /* no service's: attachments.c */
  SwarmSlotKey key = swarm_slot_key_of (task, g_hash_table_contains (self->everywhere, &task->service_id));
  if (!swarm_id_is_nil (&task->move_to) && task->desired_state <= SWARM_TASK_RUNNING)
    orchestrator_mark (self, &task->service_id); /* whether it is its turn the others tell */
  orchestrator_mark_slot (self, &key);
}

static gboolean
mark_service_of_task (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  if (task->attachment == NULL)
    orchestrator_mark (data, &task->service_id);
  return TRUE;
}

/* FALSE: there are more. */
static gboolean
mark_tasks_of_nodes (SwarmOrchestrator *self)
{
  SwarmId id;
  while (swarm_dirty_take (&self->nodes, &id)) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->leader->store, &id);
    for (guint i = 0; i < tasks->len; i++)
      mark_task (self, g_ptr_array_index (tasks, i));
    if (swarm_runner_time_is_up (self->leader->runner))
      break;
  }
  swarm_dirty_settle (&self->nodes, TRUE); /* the marks stay, whatever becomes of the pass */
  return swarm_dirty_n_waiting (&self->nodes) == 0;
}

/* What replicated services ask of a node: how it is drained is part of it. */
static gboolean
node_keeps_tasks_alike (const SwarmNode *a, const SwarmNode *b)
{
  return (a->status->state == SWARM_NODE_DOWN) == (b->status->state == SWARM_NODE_DOWN)
         && (a->spec->availability == SWARM_AVAILABILITY_DRAIN) == (b->spec->availability == SWARM_AVAILABILITY_DRAIN)
         && a->status->silent_since == b->status->silent_since && a->spec->drain_order == b->spec->drain_order
         && a->spec->drain_deadline == b->spec->drain_deadline;
}

/* What services with a task on each node ask of it: everything that they and their constraints can see. */
static gboolean
node_looks_alike (const SwarmNode *a, const SwarmNode *b)
{
  return a->status->state == b->status->state && a->role == b->role && swarm_message_equal (a->spec, b->spec)
         && swarm_message_equal (a->description, b->description) && g_strcmp0 (a->status->addr, b->status->addr) == 0;
}

/* The node's slot of each of them. */
static void
mark_everywhere (SwarmOrchestrator *self, const SwarmId *node)
{
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, self->everywhere);
  while (g_hash_table_iter_next (&iter, &id, NULL)) {
    SwarmSlotKey key = { *(SwarmId *) id, 0, *node };
    orchestrator_mark_slot (self, &key);
  }
}

static void
mark_node (SwarmOrchestrator *self, const SwarmEvent *event)
{
  const SwarmId *id = &SWARM_OBJECT (event->object)->id;
  gboolean update = event->event == SWARM_EVENT_UPDATE;
  if (!update || !node_looks_alike (event->object, event->previous))
    mark_everywhere (self, id);
  gboolean alike = update && node_keeps_tasks_alike (event->object, event->previous);
  if (event->event == SWARM_EVENT_CREATE || (alike && g_hash_table_size (self->rolls) == 0))
    return;
  if (!alike) { /* hundreds may be lost in one transaction: their tasks are too many for its turn */
    swarm_dirty_mark (&self->nodes, id);
    swarm_runner_mark (self->leader->runner, self->loop);
    return;
  }
  /* Whether a task still fits where it is may have changed. */
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->leader->store, id);
  for (guint i = 0; i < tasks->len; i++)
    touch_task (self, g_ptr_array_index (tasks, i));
}

/* A shorter grace may be over at once. */
static gboolean
grace_differs (const SwarmEvent *event)
{
  const SwarmCluster *now = event->object, *before = event->previous;
  return event->event == SWARM_EVENT_UPDATE && !swarm_message_equal (now->spec->dispatcher, before->spec->dispatcher);
}

/* Its node went while the transaction that put it there was under way: the node's own event did not find it there. */
static gboolean
task_is_stranded (SwarmOrchestrator *self, const SwarmTask *task, const SwarmTask *before)
{
  gboolean put = before == NULL || !swarm_id_equal (&task->node_id, &before->node_id);
  return put && task->desired_state <= SWARM_TASK_COMPLETE && swarm_task_is_evicted (self->leader->store, task, NULL);
}

/* A change of a task that may ask for action: it ended, it runs (the next one may be updated), or what is wanted of it changed. Whoever made
 * it has thought of it already. */
static gboolean
task_matters (SwarmOrchestrator *self, const SwarmEvent *event)
{
  const SwarmTask *now = event->object, *before = event->previous;
  if (event->event != SWARM_EVENT_UPDATE)
    return event->event == SWARM_EVENT_REMOVE || task_is_stranded (self, now, NULL);
  return task_is_stranded (self, now, before) || now->desired_state != before->desired_state || now->lingers != before->lingers
         || !swarm_id_equal (&now->move_to, &before->move_to)
         || (now->status->state != before->status->state && now->status->state >= SWARM_TASK_RUNNING);
}

/* It was told to go with its service: whatever becomes of it now is for the reaper only. */
static gboolean
task_goes (SwarmOrchestrator *self, const SwarmTask *task)
{
  return task->desired_state == SWARM_TASK_REMOVE && living_service (self, &task->service_id) == NULL;
}

static void
mark_everything (SwarmOrchestrator *self)
{
  g_hash_table_remove_all (self->rolls);
  swarm_store_foreach (self->leader->store, SWARM_KIND_SERVICE, mark_service, self);
  swarm_scan_begin (&self->all_tasks, SWARM_KIND_TASK);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
orchestrator_event (const SwarmEvent *event, gpointer data)
{
  SwarmOrchestrator *self = data;
  if (event->event == SWARM_EVENT_RESET) {
    g_hash_table_remove_all (self->everywhere);
    mark_everything (self);
  } else if (event->event != SWARM_EVENT_COMMIT) {
    if (event->kind == SWARM_KIND_SERVICE) {
      mark_service (event->object, self);
      if (event->event == SWARM_EVENT_REMOVE)
        g_hash_table_remove (self->everywhere, &SWARM_OBJECT (event->object)->id);
    } else if (event->kind == SWARM_KIND_TASK) {
      touch_task (self, event->object);
      if (task_matters (self, event) && !task_goes (self, event->object))
        mark_task (self, event->object);
    } else if (event->kind == SWARM_KIND_NODE) {
      mark_node (self, event);
    } else if (event->kind == SWARM_KIND_CLUSTER && grace_differs (event)) {
      mark_everything (self);
    }
  }
}

SwarmOrchestrator *
swarm_orchestrator_new (const SwarmLeader *leader)
{
  SwarmOrchestrator *self = g_new0 (SwarmOrchestrator, 1);
  self->leader = leader;
  swarm_dirty_init (&self->nodes);
  swarm_dirty_slots_init (&self->services);
  self->again = g_array_new (FALSE, FALSE, sizeof (SwarmId));
  self->rolls = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, swarm_roll_free);
  self->service_wakes = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, wake_free);
  self->slot_wakes = g_hash_table_new_full (swarm_slot_key_hash, swarm_slot_key_equal, NULL, wake_free);
  self->everywhere = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->loop = swarm_runner_add (leader->runner, &orchestrator_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_SERVICE | 1 << SWARM_KIND_TASK | 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_CLUSTER,
                                   orchestrator_event, self);
  mark_everything (self);
  return self;
}

void
swarm_orchestrator_free (SwarmOrchestrator *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  g_hash_table_unref (self->rolls);
  g_hash_table_unref (self->service_wakes);
  g_hash_table_unref (self->slot_wakes);
  g_hash_table_unref (self->everywhere);
  swarm_dirty_clear (&self->nodes);
  swarm_dirty_slots_clear (&self->services);
  g_array_unref (self->again);
  g_free (self);
}
