// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/orphans.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/scan.h"

/* A node that is down. */
typedef struct {
  SwarmOrphans *owner;
  SwarmId node;
  SwarmTimer *timer;
  gboolean given_up;
} Down;

struct _SwarmOrphans {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_tasks;
  SwarmDirty nodes; /* whose tasks are given up */
  GHashTable *downs; /* node id → Down */
};

static void
down_free (gpointer data)
{
  Down *down = data;
  swarm_clock_clear_timer (down->owner->leader->clock, &down->timer);
  g_free (down);
}

static void
orphans_mark (SwarmOrphans *self, const SwarmId *node)
{
  swarm_dirty_mark (&self->nodes, node);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
down_for_a_day (gpointer data)
{
  Down *down = data;
  down->timer = NULL;
  down->given_up = TRUE;
  orphans_mark (down->owner, &down->node);
}

/* Follows whether a node is down. The day starts anew with a new leader, as in swarm. */
static void
orphans_look_at (SwarmOrphans *self, const SwarmNode *node)
{
  if (node->status->state != SWARM_NODE_DOWN) {
    g_hash_table_remove (self->downs, &node->object.id);
  } else if (!g_hash_table_contains (self->downs, &node->object.id)) {
    Down *down = g_new0 (Down, 1);
    down->owner = self;
    down->node = node->object.id;
    down->timer = swarm_clock_timer (self->leader->clock, SWARM_ORPHANS_AFTER_US, SWARM_PRIORITY_IDLE, down_for_a_day, down);
    g_hash_table_insert (self->downs, &down->node, down);
  }
}

static gboolean
orphan_task (SwarmOrphans *self, const SwarmTask *task, gboolean node_removed, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  SwarmWriter writer = node_removed ? SWARM_WRITER_NODE_REMOVAL : SWARM_WRITER_DISPATCHER;
  const char *text = node_removed ? "Task belonged to a node that has been deleted" : "Task belonged to a node that has been down for a day";
  if (!swarm_task_set_state (copy, SWARM_TASK_ORPHANED, writer, swarm_store_now (self->leader->store), text, NULL, &error)) {
    swarm_error_log ("a task cannot be orphaned: %s", error->message);
    return FALSE;
  }
  swarm_tx_update (tx, copy);
  return TRUE;
}

/* Rejected already, and nobody will say that it ended. */
static void
forget_task (const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  copy->lingers = FALSE;
  swarm_tx_update (tx, copy);
}

/* FALSE: @tx is full. */
static gboolean
orphan_node (SwarmOrphans *self, const SwarmId *id, SwarmTx *tx)
{
  gboolean removed = swarm_store_get (self->leader->store, SWARM_KIND_NODE, id) == NULL;
  const Down *down = g_hash_table_lookup (self->downs, id);
  if (!removed && (down == NULL || !down->given_up))
    return TRUE; /* it came back */
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->leader->store, id);
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = g_ptr_array_index (tasks, i);
    if (swarm_task_state_is_terminal (task->status->state) && !task->lingers)
      continue;
    if (!swarm_tx_has_room (tx, 1))
      return FALSE;
    if (task->lingers)
      forget_task (task, tx);
    else
      orphan_task (self, task, removed, tx);
  }
  return TRUE;
}

static gboolean look_at_task (gpointer object, gpointer data);

static gboolean
orphans_pass (gpointer loop, SwarmTx *tx)
{
  SwarmOrphans *self = loop;
  SwarmId node;
  if (swarm_scan_step (&self->all_tasks, self->leader->store, self->leader->runner, look_at_task, self))
    return TRUE;
  while (!swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->nodes, &node)) {
    if (!orphan_node (self, &node, tx)) {
      swarm_dirty_mark (&self->nodes, &node);
      return TRUE;
    }
  }
  return swarm_dirty_n_waiting (&self->nodes) > 0;
}

static void
orphans_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmOrphans *self = loop;
  swarm_dirty_settle (&self->nodes, error == NULL);
}

static const SwarmLoopOps orphans_ops = { "orphans", orphans_pass, orphans_settle };

static gboolean
look_at_node (gpointer object, gpointer data)
{
  orphans_look_at (data, object);
  return TRUE;
}

/* A task may have been assigned in the very moment when its node was removed. */
static gboolean
look_at_task (gpointer object, gpointer data)
{
  SwarmOrphans *self = data;
  const SwarmTask *task = object;
  if (!swarm_id_is_nil (&task->node_id) && (task->lingers || !swarm_task_state_is_terminal (task->status->state))
      && swarm_store_get (self->leader->store, SWARM_KIND_NODE, &task->node_id) == NULL)
    orphans_mark (self, &task->node_id);
  return TRUE;
}

static void
look_at_everything (SwarmOrphans *self)
{
  g_hash_table_remove_all (self->downs);
  swarm_store_foreach (self->leader->store, SWARM_KIND_NODE, look_at_node, self);
  swarm_scan_begin (&self->all_tasks, SWARM_KIND_TASK);
  swarm_runner_mark (self->leader->runner, self->loop);
}

static void
orphans_event (const SwarmEvent *event, gpointer data)
{
  SwarmOrphans *self = data;
  if (event->event == SWARM_EVENT_RESET) {
    look_at_everything (self);
  } else if (event->event != SWARM_EVENT_COMMIT && event->event != SWARM_EVENT_REMOVE) {
    if (event->kind == SWARM_KIND_NODE)
      orphans_look_at (self, event->object);
    else if (event->kind == SWARM_KIND_TASK)
      look_at_task (event->object, self);
  } else if (event->event == SWARM_EVENT_REMOVE && event->kind == SWARM_KIND_NODE) {
    g_hash_table_remove (self->downs, &SWARM_OBJECT (event->object)->id);
    orphans_mark (self, &SWARM_OBJECT (event->object)->id);
  }
}

SwarmOrphans *
swarm_orphans_new (const SwarmLeader *leader)
{
  SwarmOrphans *self = g_new0 (SwarmOrphans, 1);
  self->leader = leader;
  swarm_dirty_init (&self->nodes);
  self->downs = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, down_free);
  self->loop = swarm_runner_add (leader->runner, &orphans_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_TASK, orphans_event, self);
  look_at_everything (self);
  return self;
}

void
swarm_orphans_free (SwarmOrphans *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  g_hash_table_unref (self->downs);
  swarm_dirty_clear (&self->nodes);
  g_free (self);
}
