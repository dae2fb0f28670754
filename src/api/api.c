// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "api/task-news.h"
#include <string.h>

static const SwarmEnumRow local_state_rows[] = {
  { SWARM_LOCAL_INACTIVE, "inactive" }, { SWARM_LOCAL_PENDING, "pending" }, { SWARM_LOCAL_ACTIVE, "active" },
  { SWARM_LOCAL_ERROR, "error" },       { SWARM_LOCAL_LOCKED, "locked" },   { 0, NULL },
};
const SwarmEnum swarm_local_state_enum = { "local state", local_state_rows };

/* ---- the tree ---- */

static gpointer
self_find (const char *tail, gpointer data)
{
  return data;
}

static void
self_each (gpointer data, SwarmBusEachFunc func, gpointer each_data)
{
  func ("", data, each_data);
}

static gpointer
node_find (const char *tail, gpointer data)
{
  return swarm_api_find (data, SWARM_KIND_NODE, tail);
}

static void
node_each (gpointer data, SwarmBusEachFunc func, gpointer each_data)
{
  swarm_api_each (data, SWARM_KIND_NODE, func, each_data);
}

static gpointer
service_find (const char *tail, gpointer data)
{
  SwarmService *service = swarm_api_find (data, SWARM_KIND_SERVICE, tail);
  return service != NULL && !service->pending_delete ? service : NULL;
}

static void
service_each (gpointer data, SwarmBusEachFunc func, gpointer each_data)
{
  swarm_api_each (data, SWARM_KIND_SERVICE, func, each_data);
}

static gpointer
network_find (const char *tail, gpointer data)
{
  return swarm_api_find (data, SWARM_KIND_NETWORK, tail);
}

static void
network_each (gpointer data, SwarmBusEachFunc func, gpointer each_data)
{
  swarm_api_each (data, SWARM_KIND_NETWORK, func, each_data);
}

static gpointer
task_find (const char *tail, gpointer data)
{
  SwarmApi *self = data;
  SwarmId id;
  if (self->store != NULL)
    return swarm_api_find (self, SWARM_KIND_TASK, tail);
  if (!swarm_id_parse (tail, &id))
    return NULL;
  return (gpointer) self->hooks->local_task (self->agent, &id);
}

static GError *
no_manager (gpointer data)
{
  SwarmApi *self = data;
  return self->store == NULL ? swarm_api_not_manager_error (self) : NULL;
}

static const SwarmBusInterface *const manager_interfaces[] = { &swarm_api_manager_interface, NULL };
static const SwarmBusInterface *const cluster_interfaces[] = { &swarm_api_cluster_interface, NULL };
static const SwarmBusInterface *const node_interfaces[] = { &swarm_api_node_interface, NULL };
static const SwarmBusInterface *const service_interfaces[] = { &swarm_api_service_interface, NULL };
static const SwarmBusInterface *const network_interfaces[] = { &swarm_api_network_interface, NULL };
static const SwarmBusInterface *const task_interfaces[] = { &swarm_api_task_interface, NULL };
static const SwarmBusInterface *const wire_interfaces[] = { &swarm_api_dispatcher_interface, &swarm_api_ca_interface,
                                                            &swarm_api_consensus_interface,  &swarm_api_relay_interface,
                                                            &swarm_api_logs_interface,       NULL };

static const SwarmBusKind manager_kind = { SWARM_API_ROOT, manager_interfaces, self_find, self_each };
static const SwarmBusKind cluster_kind = { SWARM_API_ROOT "/cluster", cluster_interfaces, self_find, self_each };
static const SwarmBusKind node_kind = { SWARM_API_ROOT "/node/", node_interfaces, node_find, node_each, no_manager };
static const SwarmBusKind service_kind = { SWARM_API_ROOT "/service/", service_interfaces, service_find, service_each, no_manager };
static const SwarmBusKind network_kind = { SWARM_API_ROOT "/network/", network_interfaces, network_find, network_each, no_manager };
static const SwarmBusKind task_kind = { SWARM_API_ROOT "/task/", task_interfaces, task_find, NULL, no_manager };
static const SwarmBusKind wire_kind = { SWARM_API_ROOT "/wire", wire_interfaces, self_find, self_each };

const SwarmBusKind *const *
swarm_api_bus_kinds (void)
{
  static const SwarmBusKind *const kinds[] = { &manager_kind, &cluster_kind, &node_kind, &service_kind, &task_kind, &network_kind, NULL };
  return kinds;
}

const SwarmBusKind *const *
swarm_api_wire_kinds (void)
{
  static const SwarmBusKind *const kinds[] = { &wire_kind,    &manager_kind, &cluster_kind, &node_kind,
                                               &service_kind, &task_kind,    &network_kind, NULL };
  return kinds;
}

/* ---- life ---- */

SwarmApi *
swarm_api_new (const SwarmApiHooks *hooks, gpointer agent, SwarmClock *clock)
{
  SwarmApi *self = g_new0 (SwarmApi, 1);
  self->hooks = hooks;
  self->agent = agent;
  self->clock = clock;
  return self;
}

void
swarm_api_free (SwarmApi *self)
{
  if (self == NULL)
    return;
  swarm_api_set_manager (self, NULL, NULL);
  g_free (self->error);
  g_free (self->node_addr);
  g_free (self);
}

static void
changed (SwarmApi *self, const char *const *names)
{
  if (self->bus != NULL)
    swarm_bus_emit_changed (self->bus, SWARM_API_ROOT, swarm_api_manager_interface.name, names, TRUE);
}

void
swarm_api_set_state (SwarmApi *self, SwarmLocalState state, const char *error)
{
  static const char *const names[] = { "LocalNodeState", "Error", NULL };
  if (self->state == state && g_strcmp0 (self->error, error) == 0)
    return;
  self->state = state;
  g_free (self->error);
  self->error = g_strdup (error);
  changed (self, names);
}

void
swarm_api_stale_changed (SwarmApi *self)
{
  static const char *const names[] = { "StaleSince", NULL };
  changed (self, names);
}

void
swarm_api_set_identity (SwarmApi *self, const SwarmId *node, const SwarmId *cluster, const char *node_addr)
{
  static const char *const names[] = { "NodeID", "ClusterID", "NodeAddr", NULL };
  self->node_id = *node;
  self->cluster_id = *cluster;
  g_free (self->node_addr);
  self->node_addr = g_strdup (node_addr);
  changed (self, names);
}

/* ---- following the store ---- */

static char *
object_path (SwarmKind kind, const SwarmId *id)
{
  return g_strdup_printf (SWARM_API_ROOT "/%s/%s", swarm_kind_to_string (kind), swarm_id_string (id).str);
}

static void
task_changed (SwarmApi *self, const SwarmTask *task, gboolean gone)
{
  static const char *const names[] = { "RunningTasks", "Replicas", "CompletedTasks", NULL };
  if (self->news == NULL)
    self->news = swarm_task_news_new (self);
  swarm_task_news_add (self->news, task, gone);
  if (swarm_id_equal (&task->service_id, &self->told_service)
      || swarm_store_get (self->store, SWARM_KIND_SERVICE, &task->service_id) == NULL)
    return;
  g_autofree char *service = object_path (SWARM_KIND_SERVICE, &task->service_id);
  swarm_bus_emit_changed (self->bus, service, swarm_api_service_interface.name, names, FALSE);
  self->told_service = task->service_id;
}

static gboolean
task_event_matters (const SwarmEvent *event)
{
  const SwarmTask *now = event->object, *before = event->previous;
  return event->event != SWARM_EVENT_UPDATE || before == NULL || now->status->state != before->status->state
         || now->desired_state != before->desired_state || !swarm_id_equal (&now->node_id, &before->node_id);
}

static void
follow (const SwarmEvent *event, gpointer data)
{
  SwarmApi *self = data;
  if (event->event == SWARM_EVENT_COMMIT)
    self->told_service = SWARM_ID_NIL;
  if (self->bus == NULL || event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET)
    return;
  if (event->kind == SWARM_KIND_TASK) {
    if (task_event_matters (event))
      task_changed (self, event->object, event->event == SWARM_EVENT_REMOVE);
    return;
  }
  if (event->kind != SWARM_KIND_NODE && event->kind != SWARM_KIND_SERVICE && event->kind != SWARM_KIND_NETWORK)
    return;
  g_autofree char *path = object_path (event->kind, &SWARM_OBJECT (event->object)->id);
  const char *iface = event->kind == SWARM_KIND_NODE      ? swarm_api_node_interface.name
                      : event->kind == SWARM_KIND_SERVICE ? swarm_api_service_interface.name
                                                          : swarm_api_network_interface.name;
  if (event->event == SWARM_EVENT_CREATE)
    swarm_bus_emit_added (self->bus, path);
  else if (event->event == SWARM_EVENT_REMOVE)
    swarm_bus_emit_removed (self->bus, path);
  else
    swarm_bus_emit_changed (self->bus, path, iface, NULL, TRUE);
}

/* These properties come from the consensus, not from the node's object. */
static gboolean
announce_manager (gpointer object, gpointer data)
{
  static const char *const names[] = { "Leader", "ManagerStatus", NULL };
  const SwarmNode *node = object;
  SwarmApi *self = data;
  if (node->spec->role != SWARM_ROLE_MANAGER && node->manager_status == NULL)
    return TRUE;
  g_autofree char *path = object_path (SWARM_KIND_NODE, &node->object.id);
  swarm_bus_emit_changed (self->bus, path, swarm_api_node_interface.name, names, FALSE);
  return TRUE;
}

void
swarm_api_members_changed (SwarmApi *self)
{
  if (self->bus != NULL && self->store != NULL)
    swarm_store_foreach (self->store, SWARM_KIND_NODE, announce_manager, self);
}

typedef struct {
  SwarmApi *api;
  SwarmKind kind;
  gboolean added;
} Announce;

static gboolean
announce (gpointer object, gpointer data)
{
  const Announce *a = data;
  g_autofree char *path = object_path (a->kind, &SWARM_OBJECT (object)->id);
  if (a->added)
    swarm_bus_emit_added (a->api->bus, path);
  else
    swarm_bus_emit_removed (a->api->bus, path);
  return TRUE;
}

static void
announce_all (SwarmApi *self, SwarmStore *store, gboolean added)
{
  if (self->bus == NULL)
    return;
  Announce nodes = { self, SWARM_KIND_NODE, added }, services = { self, SWARM_KIND_SERVICE, added };
  Announce networks = { self, SWARM_KIND_NETWORK, added };
  swarm_store_foreach (store, SWARM_KIND_NODE, announce, &nodes);
  swarm_store_foreach (store, SWARM_KIND_SERVICE, announce, &services);
  swarm_store_foreach (store, SWARM_KIND_NETWORK, announce, &networks);
}

void
swarm_api_set_manager (SwarmApi *self, SwarmStore *store, SwarmManager *manager)
{
  static const char *const names[] = { "ControlAvailable", NULL };
  if (self->store != NULL && self->store != store) {
    swarm_store_unwatch (self->store, self->watch);
    g_clear_pointer (&self->news, swarm_task_news_free);
    announce_all (self, self->store, FALSE);
  }
  gboolean fresh = store != NULL && self->store != store;
  self->store = store;
  self->manager = manager;
  if (fresh) {
    self->watch = swarm_store_watch (store, 1 << SWARM_KIND_NODE | 1 << SWARM_KIND_SERVICE | 1 << SWARM_KIND_TASK | 1 << SWARM_KIND_NETWORK,
                                     follow, self);
    announce_all (self, store, TRUE);
  }
  changed (self, names);
}
