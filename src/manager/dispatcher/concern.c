// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/concern.h"
#include "manager/dispatcher/rows.h"
#include "manager/scan.h"

struct _SwarmConcern {
  const SwarmLeader *leader;
  const SwarmConcernOps *ops;
  gpointer data;
  GHashTable *nets; /* id → SwarmNet */
  GHashTable *seen; /* node id → GPtrArray of SwarmNet that it sees */
  guint64 version;
  guint loop;
  guint phase;
  SwarmScan scan;
};

/* ---- networks ---- */

static SwarmId *
dup_id (const SwarmId *id)
{
  return g_memdup2 (id, sizeof *id);
}

static void
net_free (gpointer data)
{
  SwarmNet *net = data;
  swarm_news_unref (net->news);
  g_hash_table_unref (net->viewers);
  g_free (net);
}

static void
all_took (const SwarmId *task, gpointer data)
{
  SwarmConcern *self = data;
  self->ops->quiet (task, self->data);
}

SwarmNet *
swarm_concern_net (SwarmConcern *self, const SwarmId *network)
{
  return g_hash_table_lookup (self->nets, network);
}

static void
changed (SwarmConcern *self, SwarmNet *net)
{
  self->version++;
  self->ops->changed (net->news, self->data);
}

static void
put (SwarmConcern *self, SwarmNet *net, SwarmKind kind, const SwarmId *id, const SwarmId *node)
{
  swarm_news_put (net->news, kind, id, node);
  changed (self, net);
}

static void
take_out (SwarmConcern *self, SwarmNet *net, SwarmKind kind, const SwarmId *id)
{
  swarm_news_take_out (net->news, kind, id);
  changed (self, net);
}

static SwarmNet *
net_of (SwarmConcern *self, const SwarmId *id)
{
  SwarmNet *net = swarm_concern_net (self, id);
  if (net != NULL)
    return net;
  net = g_new0 (SwarmNet, 1);
  net->id = *id;
  net->news = swarm_news_new (id, all_took, self);
  net->viewers = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  g_hash_table_insert (self->nets, &net->id, net);
  if (!swarm_id_is_nil (id))
    put (self, net, SWARM_KIND_NETWORK, id, NULL);
  return net;
}

static void
net_drop_if_empty (SwarmConcern *self, SwarmNet *net)
{
  guint n = swarm_news_count (net->news, SWARM_KIND_TASK) + swarm_news_count (net->news, SWARM_KIND_SERVICE) + g_hash_table_size (net->viewers);
  if (n > 0)
    return;
  self->version++;
  g_hash_table_remove (self->nets, &net->id);
}

/* ---- who sees what ---- */

const GPtrArray *
swarm_concern_nets (SwarmConcern *self, const SwarmId *node)
{
  return g_hash_table_lookup (self->seen, node);
}

gboolean
swarm_concern_sees (SwarmConcern *self, const SwarmId *node, const SwarmId *network)
{
  const SwarmNet *net = swarm_concern_net (self, network);
  return net != NULL && g_hash_table_contains (net->viewers, node);
}

static void
see (SwarmConcern *self, SwarmNet *net, const SwarmId *node)
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
  put (self, net, SWARM_KIND_NODE, node, NULL);
  self->ops->seen (node, net, self->data);
}

static void
unsee (SwarmConcern *self, SwarmNet *net, const SwarmId *node)
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
  take_out (self, net, SWARM_KIND_NODE, &who);
  self->ops->seen (&who, net, self->data);
}

/* ---- what is in a network ---- */

/* Every time anew, so that it does not matter whether an event or the first look comes first. @node: where the task is; NULL: it left. */
static void
set_task (SwarmConcern *self, const SwarmId *net_id, const SwarmId *task, const SwarmId *node)
{
  SwarmNet *net = net_of (self, net_id);
  const SwarmNewsItem *item = swarm_news_get (net->news, SWARM_KIND_TASK, task);
  SwarmId before = item != NULL ? item->node : SWARM_ID_NIL;
  gboolean moves = node == NULL || !swarm_id_equal (&before, node);
  if (node != NULL)
    put (self, net, SWARM_KIND_TASK, task, node);
  else if (item != NULL)
    take_out (self, net, SWARM_KIND_TASK, task);
  if (moves && !swarm_id_is_nil (net_id)) {
    if (node != NULL)
      see (self, net, node);
    if (!swarm_id_is_nil (&before))
      unsee (self, net, &before);
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
    if (!swarm_rows_has_id (is, &g_array_index (was, SwarmId, i)))
      set_task (self, &g_array_index (was, SwarmId, i), &task->object.id, NULL);
  }
  for (guint i = 0; i < is->len; i++)
    set_task (self, &g_array_index (is, SwarmId, i), &task->object.id, &after->node_id);
  gboolean of_mesh = swarm_rows_has_id (was, &SWARM_ID_NIL) || swarm_rows_has_id (is, &SWARM_ID_NIL);
  if (of_mesh && !swarm_concern_sees (self, &task->node_id, &SWARM_ID_NIL)) {
    self->version++;
    self->ops->own (&task->node_id, &task->object.id, self->data);
  }
}

static void
service_changed (SwarmConcern *self, const SwarmService *before, const SwarmService *after)
{
  const SwarmService *service = after != NULL ? after : before;
  g_autoptr (GArray) was = swarm_rows_service_nets (before), is = swarm_rows_service_nets (after);
  if ((was->len == 0 && is->len == 0) || (before != NULL && after != NULL && swarm_rows_same_service (before, after)))
    return;
  for (guint i = 0; i < was->len; i++) {
    SwarmNet *net = net_of (self, &g_array_index (was, SwarmId, i));
    if (swarm_rows_has_id (is, &net->id))
      continue;
    take_out (self, net, SWARM_KIND_SERVICE, &service->object.id);
    net_drop_if_empty (self, net);
  }
  for (guint i = 0; i < is->len; i++)
    put (self, net_of (self, &g_array_index (is, SwarmId, i)), SWARM_KIND_SERVICE, &service->object.id, NULL);
}

/* The mesh has a network of its own. */
static void
put_ingress (SwarmConcern *self, SwarmNet *mesh, const SwarmId *ingress)
{
  if (!swarm_id_is_nil (ingress) && swarm_news_get (mesh->news, SWARM_KIND_NETWORK, ingress) == NULL)
    put (self, mesh, SWARM_KIND_NETWORK, ingress, NULL);
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
  if (is) {
    SwarmNet *mesh = net_of (self, &SWARM_ID_NIL);
    put_ingress (self, mesh, &after->network->ingress);
    if (!was)
      see (self, mesh, id);
  } else if (was) {
    SwarmNet *mesh = net_of (self, &SWARM_ID_NIL);
    unsee (self, mesh, id);
    net_drop_if_empty (self, mesh);
  }
  const GPtrArray *nets = swarm_concern_nets (self, id);
  for (guint i = 0; nets != NULL && i < nets->len; i++)
    put (self, g_ptr_array_index (nets, i), SWARM_KIND_NODE, id, NULL);
  self->ops->own (id, NULL, self->data);
}

static void
network_changed (SwarmConcern *self, const SwarmNetwork *before, const SwarmNetwork *after)
{
  const SwarmNetwork *network = after != NULL ? after : before;
  SwarmNet *net = swarm_concern_net (self, &network->object.id), *mesh = swarm_concern_net (self, &SWARM_ID_NIL);
  if (before != NULL && after != NULL && swarm_rows_same_network (before, after))
    return;
  if (net != NULL)
    put (self, net, SWARM_KIND_NETWORK, &network->object.id, NULL);
  if (mesh != NULL && network->spec->ingress && after != NULL)
    put (self, mesh, SWARM_KIND_NETWORK, &network->object.id, NULL);
  else if (mesh != NULL && network->spec->ingress)
    take_out (self, mesh, SWARM_KIND_NETWORK, &network->object.id);
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
    network_changed (self, before, after);
}

guint64
swarm_concern_version (const SwarmConcern *self)
{
  return self->version;
}

gboolean
swarm_concern_is_told (SwarmConcern *self, const SwarmTask *task)
{
  if (!swarm_rows_may_have (task))
    return FALSE;
  g_autoptr (GArray) nets = swarm_rows_task_nets (task);
  for (guint i = 0; i < nets->len; i++) {
    const SwarmNet *net = swarm_concern_net (self, &g_array_index (nets, SwarmId, i));
    if (net != NULL && swarm_news_awaits (net->news, &task->object.id))
      return TRUE;
  }
  return FALSE;
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
  g_free (self);
}
