// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop: what changed, and who waits. */
#include "base/error.h"
#include "base/log.h"
#include "manager/allocator/private.h"
#include "manager/predefined.h"

#define WAKE 32 /* of those who wait, at once: more when there is something left for them */
#define WAKE_PART 256 /* of those that can all go on */

static const SwarmKind phases[] = { SWARM_KIND_NETWORK, SWARM_KIND_SERVICE, SWARM_KIND_NODE, SWARM_KIND_TASK };
static const guint work_of_kind[_SWARM_KIND_MAX] = {
  [SWARM_KIND_NETWORK] = WORK_NETWORKS,
  [SWARM_KIND_SERVICE] = WORK_SERVICES,
  [SWARM_KIND_NODE] = WORK_NODES,
  [SWARM_KIND_TASK] = WORK_TASKS,
};

static void
unready_free (gpointer data)
{
  Unready *row = data;
  g_free (row->why);
  g_free (row);
}

/* ---- who has work, who waits ---- */

void
swarm_allocator_mark (SwarmAllocator *self, guint work, const SwarmId *id)
{
  swarm_dirty_mark (&self->work[work], id);
  swarm_runner_mark (self->leader->runner, self->loop);
}

void
swarm_allocator_roomy (SwarmAllocator *self, const SwarmId *what)
{
  if (g_hash_table_contains (self->waiters.queues, what) && !g_hash_table_contains (self->roomy, what)) {
    g_hash_table_add (self->roomy, g_memdup2 (what, sizeof *what));
    swarm_runner_mark (self->leader->runner, self->loop);
  }
}

/* FALSE: nobody waits any more. */
static gboolean
wake_some (SwarmAllocator *self, const SwarmId *what, guint n)
{
  SwarmWaiter waiter;
  for (guint i = 0; i < n; i++) {
    if (!swarm_waiters_take (&self->waiters, what, &waiter))
      return FALSE;
    swarm_allocator_mark (self, work_of_kind[waiter.kind], &waiter.id);
  }
  return TRUE;
}

/* In parts: there may be 100,000. Only those who wait now: one who has to wait again does so behind them. */
void
swarm_allocator_wake (SwarmAllocator *self, const SwarmId *what)
{
  guint n = swarm_waiters_count (&self->waiters, what);
  if (n == 0)
    return;
  g_hash_table_replace (self->waking, g_memdup2 (what, sizeof *what), GUINT_TO_POINTER (n));
  swarm_runner_mark (self->leader->runner, self->loop);
}

const SwarmNetwork *
swarm_allocator_network (SwarmAllocator *self, const char *target)
{
  SwarmId id;
  return target != NULL && swarm_id_parse (target, &id) ? swarm_store_get (self->leader->store, SWARM_KIND_NETWORK, &id) : NULL;
}

/* ---- looking at objects ---- */

static void
look_at_network (SwarmAllocator *self, const SwarmNetwork *network)
{
  if (network->spec->ingress && swarm_network_is_overlay (network))
    self->ingress = network->object.id;
  if (!swarm_network_is_allocated (network))
    swarm_allocator_mark (self, WORK_NETWORKS, &network->object.id);
}

static void
look_at_service (SwarmAllocator *self, const SwarmService *service)
{
  if (!swarm_service_spec_is_networked (service->spec) && service->endpoint == NULL)
    return;
  if (!g_hash_table_contains (self->unready, &service->object.id)) {
    Unready *row = g_new0 (Unready, 1);
    row->service = service->object.id;
    g_hash_table_insert (self->unready, &row->service, row);
  }
  swarm_allocator_mark (self, WORK_SERVICES, &service->object.id);
}

static void
look_at_node (SwarmAllocator *self, const SwarmNode *node)
{
  if (self->n_networked > 0 && !swarm_allocator_node_is_whole (self, node))
    swarm_allocator_mark (self, WORK_NODES, &node->object.id);
}

static void
look_at_task (SwarmAllocator *self, const SwarmTask *task)
{
  if (task->status->state == SWARM_TASK_NEW || (task->status->state >= SWARM_TASK_ASSIGNED && swarm_task_lacks_gateway (task)))
    swarm_allocator_mark (self, WORK_TASKS, &task->object.id);
}

static void
look (SwarmAllocator *self, SwarmKind kind, gconstpointer object)
{
  if (kind == SWARM_KIND_NETWORK)
    look_at_network (self, object);
  else if (kind == SWARM_KIND_SERVICE)
    look_at_service (self, object);
  else if (kind == SWARM_KIND_NODE)
    look_at_node (self, object);
  else
    look_at_task (self, object);
}

static gboolean
mark_node (gpointer object, gpointer data)
{
  look_at_node (data, object);
  return TRUE;
}

static void
add_networked (SwarmAllocator *self, int by)
{
  self->n_networked += (guint) by;
  if (by > 0 && self->n_networked == 1) /* the first one: nodes need something from now on */
    swarm_store_foreach (self->leader->store, SWARM_KIND_NODE, mark_node, self);
}

/* A container in a network needs the data plane as a service does. */
static gboolean
is_attachment (const SwarmTask *task)
{
  return task != NULL && task->attachment != NULL && swarm_task_holds_addresses (task);
}

static gboolean
first_look (gpointer object, gpointer data)
{
  SwarmAllocator *self = data;
  SwarmKind kind = phases[self->phase];
  swarm_allocator_book (self->ledger, kind, object, TRUE);
  look (self, kind, object);
  if (kind == SWARM_KIND_SERVICE)
    self->n_networked += swarm_service_spec_is_networked (((const SwarmService *) object)->spec);
  else if (kind == SWARM_KIND_TASK && is_attachment (object))
    add_networked (self, 1);
  return TRUE;
}

/* ---- changes ---- */

/* The first look has been at @object's kind and at @object: its changes count from now on. */
static gboolean
is_counted (SwarmAllocator *self, guint phase, const SwarmObject *object)
{
  return self->phase > phase || (self->phase == phase && swarm_scan_is_past (&self->scan, &object->id));
}

static void
count_networked (SwarmAllocator *self, const SwarmService *service, int by)
{
  if (service != NULL && swarm_service_spec_is_networked (service->spec))
    add_networked (self, by);
}

static void
service_changed (SwarmAllocator *self, const SwarmEvent *event)
{
  const SwarmService *service = event->object;
  const SwarmService *before = event->event == SWARM_EVENT_REMOVE ? service : event->previous;
  if (is_counted (self, 1, &service->object)) {
    if (event->event != SWARM_EVENT_REMOVE)
      count_networked (self, service, 1);
    count_networked (self, before, -1);
  }
  if (before != NULL && before->endpoint != NULL) {
    for (guint i = 0; before->endpoint->virtual_ips != NULL && i < before->endpoint->virtual_ips->len; i++)
      swarm_allocator_roomy (self, &((const SwarmVirtualIP *) g_ptr_array_index (before->endpoint->virtual_ips, i))->network);
    swarm_allocator_roomy (self, &SWARM_ID_NIL);
  }
}

static void
network_changed (SwarmAllocator *self, const SwarmEvent *event)
{
  const SwarmNetwork *network = event->object;
  gboolean is_ingress = network->spec->ingress && swarm_network_is_overlay (network);
  if (event->event == SWARM_EVENT_REMOVE) {
    swarm_allocator_roomy (self, &SWARM_ID_NIL);
    if (swarm_id_equal (&self->ingress, &network->object.id))
      self->ingress = SWARM_ID_NIL;
  } else {
    swarm_allocator_wake (self, &network->object.id);
    if (is_ingress)
      self->ingress = network->object.id;
  }
  if (!is_ingress)
    return;
  swarm_allocator_roomy (self, &SWARM_ID_NIL);
  swarm_store_foreach (self->leader->store, SWARM_KIND_NODE, mark_node, self);
}

static void
task_changed (SwarmAllocator *self, const SwarmEvent *event)
{
  const SwarmTask *task = event->object;
  const SwarmTask *before = event->event == SWARM_EVENT_REMOVE ? task : event->previous;
  gboolean holds = event->event != SWARM_EVENT_REMOVE && swarm_task_holds_addresses (task);
  if (task->attachment != NULL && is_counted (self, 3, &task->object))
    add_networked (self, (int) (holds && is_attachment (task)) - (int) is_attachment (before));
  if (holds || before == NULL || (before->networks == NULL && before->gateway_address == NULL))
    return;
  for (guint i = 0; before->networks != NULL && i < before->networks->len; i++)
    swarm_allocator_roomy (self, &((const SwarmNetworkAttachment *) g_ptr_array_index (before->networks, i))->network);
  if (before->gateway_address != NULL)
    swarm_allocator_roomy (self, &before->node_id);
}

static void
node_changed (SwarmAllocator *self, const SwarmEvent *event)
{
  const SwarmNode *node = event->object;
  if (event->event != SWARM_EVENT_REMOVE) {
    swarm_allocator_roomy (self, &node->object.id);
  } else if (node->network != NULL) {
    swarm_allocator_roomy (self, &SWARM_ID_NIL);
    swarm_allocator_roomy (self, &self->ingress);
  }
}

/* Managers of before there were networks could not read what is written of them. */
static gboolean
may_write (SwarmAllocator *self)
{
  return swarm_store_cluster_level (self->leader->store) >= 2;
}

static void
look_at_all (SwarmAllocator *self)
{
  self->may_write = may_write (self);
  self->phase = 0;
  self->n_networked = 0;
  self->pool_known = FALSE;
  self->ingress = SWARM_ID_NIL;
  g_hash_table_remove_all (self->unready);
  g_hash_table_remove_all (self->waiters.queues);
  g_hash_table_remove_all (self->roomy);
  g_hash_table_remove_all (self->waking);
  swarm_scan_begin (&self->scan, phases[0]);
  swarm_runner_mark (self->leader->runner, self->loop);
}

/* Most tasks have nothing that the ledger knows of, and most of their changes are none to us. */
static gboolean
is_nothing_to_us (const SwarmEvent *event)
{
  const SwarmTask *task = event->object, *before = event->previous;
  return event->kind == SWARM_KIND_TASK && event->event != SWARM_EVENT_CREATE && task->attachment == NULL && task->networks == NULL && task->gateway_address == NULL
         && (before == NULL || (before->networks == NULL && before->gateway_address == NULL))
         && (task->endpoint == NULL || event->event == SWARM_EVENT_REMOVE || !swarm_task_lacks_gateway (task));
}

static void
book_change (SwarmAllocator *self, const SwarmEvent *event)
{
  const SwarmNode *before = event->previous;
  if (event->event == SWARM_EVENT_REMOVE)
    swarm_allocator_book (self->ledger, event->kind, event->object, FALSE);
  else if (event->kind == SWARM_KIND_NODE && before != NULL && before->network != NULL && before->network->ingress_address != NULL)
    swarm_ledger_book_address (self->ledger, &before->network->ingress, before->network->ingress_address, FALSE);
  else if ((event->kind == SWARM_KIND_SERVICE || event->kind == SWARM_KIND_TASK) && before != NULL)
    swarm_allocator_book (self->ledger, event->kind, event->previous, FALSE);
  if (event->event != SWARM_EVENT_REMOVE) /* subnets that are there stay as they are */
    swarm_allocator_book (self->ledger, event->kind, event->object, TRUE);
}

static void
allocator_event (const SwarmEvent *event, gpointer data)
{
  SwarmAllocator *self = data;
  if (event->event == SWARM_EVENT_COMMIT)
    return;
  if (event->event == SWARM_EVENT_REMOVE && g_hash_table_size (self->waiters.queues) > 0)
    swarm_waiters_forget (&self->waiters, &SWARM_OBJECT (event->object)->id);
  if (event->event != SWARM_EVENT_RESET && is_nothing_to_us (event))
    return;
  if (event->event == SWARM_EVENT_RESET) {
    look_at_all (self);
    return;
  }
  if (event->kind == SWARM_KIND_CLUSTER) {
    if (may_write (self) != self->may_write)
      look_at_all (self);
    swarm_runner_mark (self->leader->runner, self->loop);
    return;
  }
  book_change (self, event);
  if (event->kind == SWARM_KIND_NETWORK)
    network_changed (self, event);
  else if (event->kind == SWARM_KIND_SERVICE)
    service_changed (self, event);
  else if (event->kind == SWARM_KIND_TASK)
    task_changed (self, event);
  else if (event->kind == SWARM_KIND_NODE)
    node_changed (self, event);
  if (event->event != SWARM_EVENT_REMOVE)
    look (self, event->kind, event->object);
  else if (event->kind == SWARM_KIND_SERVICE && g_hash_table_remove (self->unready, &SWARM_OBJECT (event->object)->id))
    swarm_allocator_wake (self, &SWARM_OBJECT (event->object)->id);
}

/* ---- the pass ---- */

/* A cluster of before there were networks gets those that every cluster has, as soon as all its managers know of them. */
static void
make_predefined (SwarmAllocator *self, SwarmTx *tx)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  if (cluster == NULL || cluster->networks_made || !self->may_write || !swarm_tx_has_room (tx, 1 + SWARM_PREDEFINED_NETWORKS))
    return;
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  copy->networks_made = TRUE;
  swarm_tx_update (tx, copy);
  swarm_predefined_networks (tx);
}

/* The pool is known with the cluster, before which there is nothing else. */
static void
learn_pool (SwarmAllocator *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  if (self->pool_known || cluster == NULL)
    return;
  swarm_ledger_reset (self->ledger, cluster->address_pool, (guint) cluster->subnet_size);
  self->pool_known = TRUE;
}

/* TRUE: there is more of the first look. */
static gboolean
step (SwarmAllocator *self)
{
  while (self->phase < G_N_ELEMENTS (phases)) {
    if (swarm_scan_step (&self->scan, self->leader->store, self->leader->runner, first_look, self))
      return TRUE;
    if (++self->phase < G_N_ELEMENTS (phases))
      swarm_scan_begin (&self->scan, phases[self->phase]);
  }
  return FALSE;
}

static gboolean
may_go_on (SwarmAllocator *self, SwarmTx *tx)
{
  return swarm_tx_has_room (tx, 1) && !swarm_runner_time_is_up (self->leader->runner);
}

static void
do_work (SwarmAllocator *self, SwarmTx *tx)
{
  static void (*const jobs[N_WORK]) (SwarmAllocator *, const SwarmId *, SwarmTx *)
    = { swarm_allocator_do_network, swarm_allocator_do_service, swarm_allocator_do_node, swarm_allocator_do_task };
  SwarmId id;
  for (guint work = 0; work < N_WORK; work++) {
    while (may_go_on (self, tx) && swarm_dirty_take (&self->work[work], &id)) {
      if (self->may_write || work == WORK_TASKS)
        jobs[work](self, &id, tx);
    }
  }
}

static guint
n_waiting (SwarmAllocator *self)
{
  guint n = 0;
  for (guint work = 0; work < N_WORK; work++)
    n += swarm_dirty_n_waiting (&self->work[work]);
  return n;
}

/* Wakes some of those who wait for what has something to give. */
static void
wake_roomy (SwarmAllocator *self)
{
  GHashTableIter iter;
  gpointer what;
  g_hash_table_iter_init (&iter, self->roomy);
  while (g_hash_table_iter_next (&iter, &what, NULL)) {
    if (swarm_id_is_nil (what))
      swarm_allocator_wake (self, what);
    if (swarm_id_is_nil (what) || !swarm_ledger_has_room (self->ledger, what) || !wake_some (self, what, WAKE))
      g_hash_table_iter_remove (&iter);
  }
}

/* The next part of those that can go on, once there is little other work. */
static void
wake_part (SwarmAllocator *self)
{
  GHashTableIter iter;
  gpointer what, left;
  g_hash_table_iter_init (&iter, self->waking);
  while (n_waiting (self) < WAKE_PART && g_hash_table_iter_next (&iter, &what, &left)) {
    guint n = MIN (GPOINTER_TO_UINT (left), WAKE_PART);
    if (wake_some (self, what, n) && GPOINTER_TO_UINT (left) > n)
      g_hash_table_iter_replace (&iter, GUINT_TO_POINTER (GPOINTER_TO_UINT (left) - n));
    else
      g_hash_table_iter_remove (&iter);
  }
}

static gboolean
allocator_pass (gpointer loop, SwarmTx *tx)
{
  SwarmAllocator *self = loop;
  learn_pool (self);
  if (step (self))
    return TRUE;
  if (!self->pool_known)
    return FALSE;
  make_predefined (self, tx);
  wake_part (self);
  do_work (self, tx);
  if (n_waiting (self) == 0)
    wake_roomy (self);
  return n_waiting (self) > 0 || g_hash_table_size (self->waking) > 0;
}

static void
allocator_settle (gpointer loop, guint64 index, const GError *error)
{
  SwarmAllocator *self = loop;
  for (guint work = 0; work < N_WORK; work++)
    swarm_dirty_settle (&self->work[work], error == NULL);
  /* Where nobody can know whether it happened, what it took stays taken: it may still come. */
  swarm_ledger_settle (self->ledger, error != NULL && !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNKNOWN));
}

static const SwarmLoopOps allocator_ops = { "allocator", allocator_pass, allocator_settle, .overlaps = TRUE };

/* ---- life ---- */

SwarmAllocator *
swarm_allocator_new (const SwarmLeader *leader)
{
  SwarmAllocator *self = g_new0 (SwarmAllocator, 1);
  self->leader = leader;
  for (guint work = 0; work < N_WORK; work++)
    swarm_dirty_init (&self->work[work]);
  self->ledger = swarm_ledger_new ();
  swarm_waiters_init (&self->waiters);
  self->unready = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, unready_free);
  self->roomy = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->waking = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->loop = swarm_runner_add (leader->runner, &allocator_ops, self);
  self->watch = swarm_store_watch (leader->store,
                                   1 << SWARM_KIND_CLUSTER | 1 << SWARM_KIND_NETWORK | 1 << SWARM_KIND_SERVICE | 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_TASK,
                                   allocator_event, self);
  look_at_all (self);
  return self;
}

void
swarm_allocator_free (SwarmAllocator *self)
{
  if (self == NULL)
    return;
  swarm_store_unwatch (self->leader->store, self->watch);
  for (guint work = 0; work < N_WORK; work++)
    swarm_dirty_clear (&self->work[work]);
  g_hash_table_unref (self->unready);
  g_hash_table_unref (self->roomy);
  g_hash_table_unref (self->waking);
  swarm_waiters_clear (&self->waiters);
  swarm_ledger_free (self->ledger);
  g_free (self);
}

/* ---- is the mirror right? ---- */

typedef struct {
  SwarmLedger *ledger;
  SwarmKind kind;
} Audit;

static gboolean
audit_object (gpointer object, gpointer data)
{
  const Audit *audit = data;
  swarm_allocator_book (audit->ledger, audit->kind, object, TRUE);
  return TRUE;
}

char *
swarm_allocator_audit (SwarmAllocator *self)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->leader->store);
  if (!self->pool_known || self->phase < G_N_ELEMENTS (phases) || swarm_ledger_mark (self->ledger) > 0)
    return NULL;
  SwarmLedger *fresh = swarm_ledger_new ();
  swarm_ledger_reset (fresh, cluster->address_pool, (guint) cluster->subnet_size);
  Audit audit = { fresh, SWARM_KIND_NETWORK };
  for (guint i = 0; i < G_N_ELEMENTS (phases); i++) {
    audit.kind = phases[i];
    swarm_store_foreach (self->leader->store, audit.kind, audit_object, &audit);
  }
  char *difference = swarm_ledger_difference (self->ledger, fresh);
  swarm_ledger_free (fresh);
  return difference;
}
