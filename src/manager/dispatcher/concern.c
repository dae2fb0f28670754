// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/concern.h"
#include "manager/dispatcher/rows.h"
#include "manager/scan.h"

/* A network, or (nil) the routing mesh. */
typedef struct {
  SwarmId id;
  GHashTable *tasks;    /* Member */
  GHashTable *services; /* set of SwarmId */
  GHashTable *viewers;  /* node id → how many reasons it has to see it: tasks there; of the mesh: its address */
} Net;

typedef struct {
  SwarmId task;
  SwarmId node;
} Member;

struct _SwarmConcern {
  const SwarmLeader *leader;
  const SwarmConcernOps *ops;
  gpointer data;
  GHashTable *nets; /* id → Net */
  GHashTable *seen; /* node id → GPtrArray of Net that it sees */
  GHashTable *told; /* task id → how many nodes believe that it takes new connections */
  guint loop;
  guint phase;
  SwarmScan scan;
};

/* ---- who sees what ---- */

static SwarmId *
dup_id (const SwarmId *id)
{
  return g_memdup2 (id, sizeof *id);
}

static void
net_free (gpointer data)
{
  Net *net = data;
  g_hash_table_unref (net->tasks);
  g_hash_table_unref (net->services);
  g_hash_table_unref (net->viewers);
  g_free (net);
}

static Net *
net_of (SwarmConcern *self, const SwarmId *id)
{
  Net *net = g_hash_table_lookup (self->nets, id);
  if (net != NULL)
    return net;
  net = g_new0 (Net, 1);
  net->id = *id;
  net->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
  net->services = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  net->viewers = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  g_hash_table_insert (self->nets, &net->id, net);
  return net;
}

static void
net_drop_if_empty (SwarmConcern *self, Net *net)
{
  if (g_hash_table_size (net->tasks) + g_hash_table_size (net->services) + g_hash_table_size (net->viewers) == 0)
    g_hash_table_remove (self->nets, &net->id);
}

gboolean
swarm_concern_sees (SwarmConcern *self, const SwarmId *node, const SwarmId *network)
{
  const Net *net = g_hash_table_lookup (self->nets, network);
  return net != NULL && g_hash_table_contains (net->viewers, node);
}

gboolean
swarm_concern_meets (SwarmConcern *self, const SwarmId *node, const SwarmId *other)
{
  const GPtrArray *nets = g_hash_table_lookup (self->seen, node);
  for (guint i = 0; nets != NULL && i < nets->len; i++) {
    if (g_hash_table_contains (((const Net *) g_ptr_array_index (nets, i))->viewers, other))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_encrypted (SwarmConcern *self, const Net *net)
{
  const SwarmNetwork *network = swarm_store_get (self->leader->store, SWARM_KIND_NETWORK, &net->id);
  return network != NULL && swarm_network_spec_is_encrypted (network->spec);
}

gboolean
swarm_concern_meets_encrypted (SwarmConcern *self, const SwarmId *node, const SwarmId *other)
{
  const GPtrArray *nets = g_hash_table_lookup (self->seen, node);
  for (guint i = 0; nets != NULL && i < nets->len; i++) {
    const Net *net = g_ptr_array_index (nets, i);
    if (g_hash_table_contains (net->viewers, other) && is_encrypted (self, net))
      return TRUE;
  }
  return FALSE;
}

static void
mark (SwarmConcern *self, const SwarmId *node, SwarmKind kind, const SwarmId *id)
{
  self->ops->mark (node, kind, id, self->data);
}

static void
mark_set (SwarmConcern *self, const SwarmId *node, SwarmKind kind, GHashTable *ids)
{
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, ids);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    mark (self, node, kind, id);
}

/* All that is in @net, for @node; what others refer to first. */
static void
mark_net (SwarmConcern *self, const SwarmId *node, const Net *net)
{
  if (!swarm_id_is_nil (&net->id))
    mark (self, node, SWARM_KIND_NETWORK, &net->id);
  mark_set (self, node, SWARM_KIND_NODE, net->viewers);
  mark_set (self, node, SWARM_KIND_SERVICE, net->services);
  mark_set (self, node, SWARM_KIND_TASK, net->tasks);
}

/* All that see @net are to look at @id. */
static void
mark_viewers (SwarmConcern *self, const SwarmId *net_id, SwarmKind kind, const SwarmId *id)
{
  const Net *net = g_hash_table_lookup (self->nets, net_id);
  GHashTableIter iter;
  gpointer node;
  if (net == NULL)
    return;
  g_hash_table_iter_init (&iter, net->viewers);
  while (g_hash_table_iter_next (&iter, &node, NULL))
    mark (self, node, kind, id);
}

static void
mark_ingress (SwarmConcern *self, const SwarmId *id)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, id);
  if (node != NULL && node->network != NULL && !swarm_id_is_nil (&node->network->ingress))
    mark (self, id, SWARM_KIND_NETWORK, &node->network->ingress);
}

void
swarm_concern_mark_all (SwarmConcern *self, const SwarmId *node)
{
  const GPtrArray *nets = g_hash_table_lookup (self->seen, node);
  mark (self, node, SWARM_KIND_NODE, node);
  mark_ingress (self, node);
  for (guint i = 0; nets != NULL && i < nets->len; i++)
    mark_net (self, node, g_ptr_array_index (nets, i));
}

/* @node begins, or ceases, to see @net. */
static void
view_changed (SwarmConcern *self, Net *net, const SwarmId *node)
{
  GHashTableIter iter;
  gpointer other;
  mark (self, node, SWARM_KIND_NODE, node);
  mark_net (self, node, net);
  g_hash_table_iter_init (&iter, net->viewers);
  while (g_hash_table_iter_next (&iter, &other, NULL))
    mark (self, other, SWARM_KIND_NODE, node);
}

static void
see (SwarmConcern *self, Net *net, const SwarmId *node)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (net->viewers, node));
  g_hash_table_insert (net->viewers, dup_id (node), GUINT_TO_POINTER (n + 1));
  if (n > 0)
    return;
  GPtrArray *nets = g_hash_table_lookup (self->seen, node);
  if (nets == NULL) {
    nets = g_ptr_array_new ();
    g_hash_table_insert (self->seen, dup_id (node), nets);
  }
  g_ptr_array_add (nets, net);
  view_changed (self, net, node);
}

static void
unsee (SwarmConcern *self, Net *net, const SwarmId *node)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (net->viewers, node));
  if (n > 1) {
    g_hash_table_insert (net->viewers, dup_id (node), GUINT_TO_POINTER (n - 1));
    return;
  }
  if (n == 0)
    return;
  SwarmId who = *node; /* may be the key that goes */
  g_hash_table_remove (net->viewers, &who);
  GPtrArray *nets = g_hash_table_lookup (self->seen, &who);
  g_ptr_array_remove_fast (nets, net);
  if (nets->len == 0)
    g_hash_table_remove (self->seen, &who);
  view_changed (self, net, &who);
}

/* ---- what is in a network ---- */

static gboolean
has_id (const GArray *ids, const SwarmId *id)
{
  for (guint i = 0; i < ids->len; i++) {
    if (swarm_id_equal (&g_array_index (ids, SwarmId, i), id))
      return TRUE;
  }
  return FALSE;
}

/* Every time anew, so that it does not matter whether an event or the first look comes first. @node: where the task is; NULL: it left. */
static void
set_task (SwarmConcern *self, const SwarmId *net_id, const SwarmId *task, const SwarmId *node)
{
  Net *net = net_of (self, net_id);
  Member *member = g_hash_table_lookup (net->tasks, task);
  gboolean by_task = !swarm_id_is_nil (net_id);
  if (member != NULL && node != NULL && swarm_id_equal (&member->node, node))
    return;
  if (member != NULL) {
    SwarmId before = member->node;
    g_hash_table_remove (net->tasks, task);
    if (by_task)
      unsee (self, net, &before);
  }
  if (node != NULL) {
    member = g_new (Member, 1);
    *member = (Member){ *task, *node };
    g_hash_table_insert (net->tasks, &member->task, member);
    if (by_task)
      see (self, net, node);
  }
  net_drop_if_empty (self, net);
}

static void
task_changed (SwarmConcern *self, const SwarmTask *before, const SwarmTask *after)
{
  if ((before == NULL || !swarm_rows_may_have (before)) && (after == NULL || !swarm_rows_may_have (after)))
    return;
  if (before != NULL && after != NULL && swarm_rows_same_task (before, after))
    return;
  const SwarmTask *task = after != NULL ? after : before;
  g_autoptr (GArray) was = swarm_rows_task_nets (before), is = swarm_rows_task_nets (after);
  for (guint i = 0; i < was->len; i++) {
    const SwarmId *net = &g_array_index (was, SwarmId, i);
    if (!has_id (is, net))
      set_task (self, net, &task->object.id, NULL);
    mark_viewers (self, net, SWARM_KIND_TASK, &task->object.id);
  }
  for (guint i = 0; i < is->len; i++) {
    const SwarmId *net = &g_array_index (is, SwarmId, i);
    set_task (self, net, &task->object.id, &after->node_id);
    if (!has_id (was, net) || !swarm_id_equal (&before->node_id, &after->node_id))
      mark_viewers (self, net, SWARM_KIND_TASK, &task->object.id);
  }
  mark (self, &task->node_id, SWARM_KIND_TASK, &task->object.id);
}

static void
service_changed (SwarmConcern *self, const SwarmService *before, const SwarmService *after)
{
  const SwarmService *service = after != NULL ? after : before;
  g_autoptr (GArray) was = swarm_rows_service_nets (before), is = swarm_rows_service_nets (after);
  if ((was->len == 0 && is->len == 0) || (before != NULL && after != NULL && swarm_rows_same_service (before, after)))
    return;
  for (guint i = 0; i < was->len; i++) {
    Net *net = net_of (self, &g_array_index (was, SwarmId, i));
    mark_viewers (self, &net->id, SWARM_KIND_SERVICE, &service->object.id);
    if (!has_id (is, &net->id))
      g_hash_table_remove (net->services, &service->object.id);
    net_drop_if_empty (self, net);
  }
  for (guint i = 0; i < is->len; i++) {
    Net *net = net_of (self, &g_array_index (is, SwarmId, i));
    g_hash_table_add (net->services, dup_id (&service->object.id));
    mark_viewers (self, &net->id, SWARM_KIND_SERVICE, &service->object.id);
  }
}

static void
node_changed (SwarmConcern *self, const SwarmNode *before, const SwarmNode *after)
{
  const SwarmNode *node = after != NULL ? after : before;
  const SwarmId *id = &node->object.id;
  gboolean is = after != NULL && after->network != NULL && after->network->ingress_address != NULL;
  if (before != NULL && after != NULL && swarm_rows_same_node (before, after))
    return;
  gboolean was = swarm_concern_sees (self, id, &SWARM_ID_NIL);
  if (is && !was)
    see (self, net_of (self, &SWARM_ID_NIL), id);
  else if (was && !is)
    unsee (self, net_of (self, &SWARM_ID_NIL), id);
  const GPtrArray *nets = g_hash_table_lookup (self->seen, id);
  for (guint i = 0; nets != NULL && i < nets->len; i++)
    mark_viewers (self, &((const Net *) g_ptr_array_index (nets, i))->id, SWARM_KIND_NODE, id);
  if (before != NULL && before->network != NULL && !swarm_id_is_nil (&before->network->ingress))
    mark (self, id, SWARM_KIND_NETWORK, &before->network->ingress);
  mark_ingress (self, id);
  mark (self, id, SWARM_KIND_NODE, id);
}

static void
network_changed (SwarmConcern *self, const SwarmNetwork *network)
{
  mark_viewers (self, &network->object.id, SWARM_KIND_NETWORK, &network->object.id);
  if (network->spec->ingress)
    mark_viewers (self, &SWARM_ID_NIL, SWARM_KIND_NETWORK, &network->object.id);
}

void
swarm_concern_event (SwarmConcern *self, const SwarmEvent *event)
{
  gpointer before = event->event == SWARM_EVENT_UPDATE ? event->previous : event->event == SWARM_EVENT_REMOVE ? event->object : NULL;
  gpointer after = event->event == SWARM_EVENT_REMOVE ? NULL : event->object;
  if (event->kind == SWARM_KIND_TASK)
    task_changed (self, before, after);
  else if (event->kind == SWARM_KIND_SERVICE)
    service_changed (self, before, after);
  else if (event->kind == SWARM_KIND_NODE)
    node_changed (self, before, after);
  else if (event->kind == SWARM_KIND_NETWORK)
    network_changed (self, event->object);
}

/* ---- rows ---- */

gpointer
swarm_concern_row (SwarmConcern *self, const SwarmId *node, SwarmKind kind, const SwarmId *id)
{
  gconstpointer object = swarm_store_get (self->leader->store, kind, id);
  const SwarmNode *viewer = swarm_store_get (self->leader->store, SWARM_KIND_NODE, node);
  if (object == NULL || viewer == NULL)
    return NULL;
  switch (kind) {
  case SWARM_KIND_NODE:
    return swarm_rows_node (self, viewer, object);
  case SWARM_KIND_NETWORK:
    return swarm_rows_network (self, viewer, object);
  case SWARM_KIND_SERVICE:
    return swarm_rows_service (self, viewer, object);
  default:
    return swarm_rows_task (self, viewer, object);
  }
}

/* ---- who believes what ---- */

void
swarm_concern_told (SwarmConcern *self, const SwarmId *task, gboolean ready)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (self->told, task));
  if (ready || n > 1) {
    g_hash_table_insert (self->told, dup_id (task), GUINT_TO_POINTER (ready ? n + 1 : n - 1));
    return;
  }
  if (g_hash_table_remove (self->told, task))
    self->ops->quiet (task, self->data);
}

gboolean
swarm_concern_is_told (SwarmConcern *self, const SwarmId *task)
{
  return g_hash_table_contains (self->told, task);
}

/* ---- life ---- */

static const SwarmKind phases[] = { SWARM_KIND_NODE, SWARM_KIND_SERVICE, SWARM_KIND_TASK };

static gboolean
first_look (gpointer object, gpointer data)
{
  SwarmConcern *self = data;
  SwarmEvent event = { .event = SWARM_EVENT_CREATE, .kind = phases[self->phase], .object = object };
  swarm_concern_event (self, &event);
  return TRUE;
}

static gboolean
concern_pass (gpointer loop, SwarmTx *tx)
{
  SwarmConcern *self = loop;
  while (self->phase < G_N_ELEMENTS (phases)) {
    if (swarm_scan_step (&self->scan, self->leader->store, self->leader->runner, first_look, self))
      return TRUE;
    if (++self->phase < G_N_ELEMENTS (phases))
      swarm_scan_begin (&self->scan, phases[self->phase]);
    else
      self->ops->known (self->data);
  }
  return FALSE;
}

static void
concern_settle (gpointer loop, guint64 index, const GError *error)
{
}

static const SwarmLoopOps concern_ops = { "pictures", concern_pass, concern_settle };

gboolean
swarm_concern_is_known (const SwarmConcern *self)
{
  return self->phase >= G_N_ELEMENTS (phases);
}

SwarmConcern *
swarm_concern_new (const SwarmLeader *leader, const SwarmConcernOps *ops, gpointer data)
{
  SwarmConcern *self = g_new0 (SwarmConcern, 1);
  self->leader = leader;
  self->ops = ops;
  self->data = data;
  self->nets = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, net_free);
  self->seen = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  self->told = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  swarm_scan_begin (&self->scan, phases[0]);
  self->loop = swarm_runner_add (leader->runner, &concern_ops, self);
  swarm_runner_mark (leader->runner, self->loop);
  return self;
}

void
swarm_concern_free (SwarmConcern *self)
{
  if (self == NULL)
    return;
  g_hash_table_unref (self->seen);
  g_hash_table_unref (self->nets);
  g_hash_table_unref (self->told);
  g_free (self);
}
