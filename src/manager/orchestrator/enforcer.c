// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/orchestrator/enforcer.h"
#include "base/log.h"
#include "manager/dirty.h"
#include "manager/orchestrator/slot.h"
#include "manager/scan.h"
#include "model/constraint.h"

#define WHY "assigned node no longer meets constraints"

struct _SwarmEnforcer {
  const SwarmLeader *leader;
  guint loop;
  guint watch;
  SwarmScan all_nodes;
  SwarmDirty nodes;
};

/* What a node has left, while its tasks take theirs one by one. */
typedef struct {
  gboolean known; /* it told what it has */
  gint64 nano_cpus;
  gint64 memory;
  GHashTable *counts; /* kind → number of discrete things */
  GHashTable *names;  /* set of "kind=value" */
} Stock;

static char *
name_key (const SwarmNamedResource *named)
{
  return g_strconcat (named->kind, "=", named->value, NULL);
}

static void
stock_init (Stock *stock, const SwarmNode *node)
{
  const SwarmResources *total = node->description != NULL ? node->description->resources : NULL;
  *stock = (Stock){ .known = total != NULL };
  stock->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  stock->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (total == NULL)
    return;
  stock->nano_cpus = total->nano_cpus;
  stock->memory = total->memory_bytes;
  for (guint i = 0; total->generic != NULL && i < total->generic->len; i++) {
    const SwarmGenericResource *one = g_ptr_array_index (total->generic, i);
    if (one->named != NULL)
      g_hash_table_add (stock->names, name_key (one->named));
    else if (one->discrete != NULL)
      g_hash_table_insert (stock->counts, g_strdup (one->discrete->kind), GSIZE_TO_POINTER ((gsize) one->discrete->value));
  }
}

static void
stock_clear (Stock *stock)
{
  g_hash_table_unref (stock->counts);
  g_hash_table_unref (stock->names);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Stock, stock_clear)

static gsize
stock_count (const Stock *stock, const SwarmDiscreteResource *discrete)
{
  return GPOINTER_TO_SIZE (g_hash_table_lookup (stock->counts, discrete->kind));
}

static gboolean
stock_has_generic (const Stock *stock, GPtrArray *generic)
{
  for (guint i = 0; generic != NULL && i < generic->len; i++) {
    const SwarmGenericResource *one = g_ptr_array_index (generic, i);
    g_autofree char *key = one->named != NULL ? name_key (one->named) : NULL;
    if (key != NULL && !g_hash_table_contains (stock->names, key))
      return FALSE;
    if (one->discrete != NULL && (gint64) stock_count (stock, one->discrete) < one->discrete->value)
      return FALSE;
  }
  return TRUE;
}

static void
stock_take_generic (Stock *stock, GPtrArray *generic)
{
  for (guint i = 0; generic != NULL && i < generic->len; i++) {
    const SwarmGenericResource *one = g_ptr_array_index (generic, i);
    g_autofree char *key = one->named != NULL ? name_key (one->named) : NULL;
    if (key != NULL)
      g_hash_table_remove (stock->names, key);
    if (one->discrete != NULL)
      g_hash_table_insert (stock->counts, g_strdup (one->discrete->kind),
                           GSIZE_TO_POINTER (stock_count (stock, one->discrete) - (gsize) one->discrete->value));
  }
}

/* The task takes what it reserves; FALSE: there is not enough of something, and it takes nothing. */
static gboolean
stock_take (Stock *stock, const SwarmTask *task)
{
  const SwarmResources *reserved = task->spec->resources != NULL ? task->spec->resources->reservations : NULL;
  if (!stock->known)
    return TRUE;
  if (reserved != NULL && (reserved->nano_cpus > stock->nano_cpus || reserved->memory_bytes > stock->memory))
    return FALSE;
  if (!stock_has_generic (stock, task->generic))
    return FALSE;
  if (reserved != NULL) {
    stock->nano_cpus -= reserved->nano_cpus;
    stock->memory -= reserved->memory_bytes;
  }
  stock_take_generic (stock, task->generic);
  return TRUE;
}

/* A service's constraints may have changed without replacing the tasks that satisfy them: its present ones count, but for a task that
 * the update has yet to replace. */
static gboolean
constraints_hold (SwarmStore *store, const SwarmTask *task, const SwarmNode *node)
{
  const SwarmService *service = swarm_store_get (store, SWARM_KIND_SERVICE, &task->service_id);
  gboolean own = service == NULL || swarm_task_is_dirty (store, task, service);
  const SwarmPlacement *placement = own ? task->spec->placement : service->spec->task->placement;
  if (placement == NULL || placement->constraints == NULL)
    return TRUE;
  g_autoptr (GPtrArray) constraints = swarm_constraints_parse (placement->constraints, NULL);
  return constraints == NULL || swarm_constraints_match (constraints, node);
}

static void
reject (SwarmEnforcer *self, const SwarmTask *task, SwarmTx *tx)
{
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  copy->lingers = task->status->state >= SWARM_TASK_ASSIGNED;
  if (swarm_task_set_state (copy, SWARM_TASK_REJECTED, SWARM_WRITER_ENFORCER, swarm_store_now (self->leader->store), WHY, WHY, &error))
    swarm_tx_update (tx, copy);
  else
    swarm_error_log ("a task cannot be rejected: %s", error->message);
}

/* The oldest tasks take first: what no longer fits is the newest. FALSE: @tx is full. */
static gboolean
enforce_node (SwarmEnforcer *self, const SwarmNode *node, SwarmTx *tx)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->leader->store, &node->object.id);
  g_auto (Stock) stock = { 0 };
  stock_init (&stock, node);
  g_ptr_array_sort (tasks, swarm_task_compare_age);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    if (!swarm_task_is_active (task) || task->status->state < SWARM_TASK_ASSIGNED)
      continue; /* over or on its way out; or the scheduler has not judged it yet */
    if (constraints_hold (self->leader->store, task, node) && stock_take (&stock, task))
      continue;
    if (!swarm_tx_has_room (tx, 1))
      return FALSE;
    reject (self, task, tx);
  }
  return TRUE;
}

static gboolean mark_node (gpointer object, gpointer data);

static gboolean
enforcer_pass (gpointer loop, SwarmTx *tx)
{
  SwarmEnforcer *self = loop;
  SwarmId id;
  if (swarm_scan_step (&self->all_nodes, self->leader->store, self->leader->runner, mark_node, self))
    return TRUE;
  while (!swarm_runner_time_is_up (self->leader->runner) && swarm_dirty_take (&self->nodes, &id)) {
    const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &id);
    if (node == NULL || node->spec->availability != SWARM_AVAILABILITY_ACTIVE || node->status->state == SWARM_NODE_DOWN)
      continue;
    if (!enforce_node (self, node, tx)) {
      swarm_dirty_mark (&self->nodes, &id);
      return TRUE;
    }
  }
  return swarm_dirty_n_waiting (&self->nodes) > 0;
}

static void
enforcer_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmEnforcer *self = loop;
  swarm_dirty_settle (&self->nodes, error == NULL);
}

static const SwarmLoopOps enforcer_ops = { "enforcer", enforcer_pass, enforcer_settle };

static gboolean
mark_node (gpointer object, gpointer data)
{
  SwarmEnforcer *self = data;
  swarm_dirty_mark (&self->nodes, &SWARM_OBJECT (object)->id);
  swarm_runner_mark (self->leader->runner, self->loop);
  return TRUE;
}

static void
look_at_everything (SwarmEnforcer *self)
{
  swarm_scan_begin (&self->all_nodes, SWARM_KIND_NODE);
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* What constraints and reservations can see of a node. */
static gboolean
looks_alike (const SwarmNode *a, const SwarmNode *b)
{
  return a->role == b->role && (a->status->state == SWARM_NODE_DOWN) == (b->status->state == SWARM_NODE_DOWN)
         && g_strcmp0 (a->status->addr, b->status->addr) == 0 && swarm_message_equal (a->spec, b->spec)
         && swarm_message_equal (a->description, b->description);
}

static void
enforcer_event (const SwarmEvent *event, gpointer data)
{
  SwarmEnforcer *self = data;
  if (event->event == SWARM_EVENT_RESET) {
    look_at_everything (self);
  } else if (event->event == SWARM_EVENT_UPDATE && !looks_alike (event->object, event->previous)) {
    /* Also while the scheduler's transaction is under way: our pass comes after it, and sees what it has placed here. */
    mark_node (event->object, self);
  }
}

SwarmEnforcer *
swarm_enforcer_new (const SwarmLeader *leader)
{
  SwarmEnforcer *self = g_new0 (SwarmEnforcer, 1);
  self->leader = leader;
  swarm_dirty_init (&self->nodes);
  self->loop = swarm_runner_add (leader->runner, &enforcer_ops, self);
  self->watch = swarm_store_watch (leader->store, 1 << SWARM_KIND_NODE, enforcer_event, self);
  look_at_everything (self);
  return self;
}

void
swarm_enforcer_free (SwarmEnforcer *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  swarm_dirty_clear (&self->nodes);
  g_free (self);
}
