// SPDX-License-Identifier: LGPL-2.1-or-later
#include "api/private.h"
#include "base/error.h"
#include <config.h>
#include "manager/control/control.h"
#include <string.h>

/* ---- this host ---- */

static void
manager_init (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  self->hooks->init (self->agent, options, invocation);
}

static void
manager_join (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) options = g_variant_get_child_value (args, 0);
  self->hooks->join (self->agent, options, invocation);
}

static void
manager_leave (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  gboolean force;
  g_variant_get (args, "(b)", &force);
  self->hooks->leave (self->agent, force, invocation);
}

static void
attach_network (SwarmInvocation *invocation, GVariant *args, gboolean out)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *container, *network;
  g_variant_get (args, "(&s&s)", &container, &network);
  self->hooks->attach_network (self->agent, container, network, out, invocation);
}

static void
manager_attach_network (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  attach_network (invocation, args, FALSE);
}

static void
manager_detach_network (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  attach_network (invocation, args, TRUE);
}

static gboolean
count_manager (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  *(guint64 *) data += node->role == SWARM_ROLE_MANAGER;
  return TRUE;
}

static void
manager_info (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  GVariantDict info;
  g_variant_dict_init (&info, NULL);
  g_variant_dict_insert (&info, "NodeID", "s", swarm_id_is_nil (&self->node_id) ? "" : swarm_id_string (&self->node_id).str);
  g_variant_dict_insert (&info, "NodeAddr", "s", self->node_addr != NULL ? self->node_addr : "");
  g_variant_dict_insert (&info, "LocalNodeState", "s", swarm_local_state_to_string (self->state));
  g_variant_dict_insert (&info, "ControlAvailable", "b", self->store != NULL);
  g_variant_dict_insert (&info, "Error", "s", self->error != NULL ? self->error : "");
  self->hooks->info (self->agent, &info);
  const SwarmCluster *cluster = self->store != NULL ? swarm_store_cluster (self->store) : NULL;
  if (cluster != NULL) {
    guint64 managers = 0;
    swarm_store_foreach (self->store, SWARM_KIND_NODE, count_manager, &managers);
    g_variant_dict_insert (&info, "Nodes", "t", (guint64) swarm_store_count (self->store, SWARM_KIND_NODE));
    g_variant_dict_insert (&info, "Managers", "t", managers);
    g_variant_dict_insert (&info, "StaleSince", "x", self->hooks->stale_since (self->agent));
    g_variant_dict_insert_value (&info, "Cluster", swarm_api_cluster_variant (self, cluster));
  }
  swarm_invocation_return (invocation, g_variant_new ("(@a{sv})", g_variant_dict_end (&info)));
}

/* ---- lists ---- */

typedef struct {
  SwarmApi *api;
  GVariant *filters;
} ListContext;

static gboolean
match_id_prefix (const char *value, gpointer data)
{
  return g_str_has_prefix (swarm_id_string (data).str, value);
}

/* "key" or "key=value" against a map of labels. */
static gboolean
match_label (const char *value, GHashTable *labels)
{
  if (labels == NULL)
    return FALSE;
  const char *equals = strchr (value, '=');
  g_autofree char *key = equals != NULL ? g_strndup (value, equals - value) : g_strdup (value);
  const char *found = g_hash_table_lookup (labels, key);
  return found != NULL && (equals == NULL || strcmp (found, equals + 1) == 0);
}

static gboolean
match_node_name (const char *value, gpointer data)
{
  const SwarmNode *node = data;
  return strstr (swarm_object_name (&node->object), value) != NULL;
}

static gboolean
match_node_role (const char *value, gpointer data)
{
  return strcmp (value, swarm_role_to_string (((SwarmNode *) data)->role)) == 0;
}

static gboolean
match_node_label (const char *value, gpointer data)
{
  const SwarmNode *node = data;
  return match_label (value, node->spec->labels);
}

static gboolean
match_engine_label (const char *value, gpointer data)
{
  const SwarmNode *node = data;
  return node->description != NULL && node->description->engine != NULL && match_label (value, node->description->engine->labels);
}

static gboolean
match_membership (const char *value, gpointer data)
{
  return strcmp (value, "accepted") == 0;
}

static GVariant *
list_node (gpointer object, gpointer data)
{
  ListContext *context = data;
  SwarmNode *node = object;
  gboolean matches = swarm_api_filter (context->filters, "id", match_id_prefix, &node->object.id)
      && swarm_api_filter (context->filters, "name", match_node_name, node)
      && swarm_api_filter (context->filters, "role", match_node_role, node)
      && swarm_api_filter (context->filters, "node.label", match_node_label, node)
      && swarm_api_filter (context->filters, "label", match_engine_label, node)
      && swarm_api_filter (context->filters, "membership", match_membership, node);
  return matches ? swarm_api_node_variant (context->api, node) : NULL;
}

static gboolean
match_service_name (const char *value, gpointer data)
{
  const SwarmService *service = data;
  return g_str_has_prefix (service->spec->name, value);
}

static gboolean
match_service_label (const char *value, gpointer data)
{
  return match_label (value, ((SwarmService *) data)->spec->labels);
}

static gboolean
match_service_mode (const char *value, gpointer data)
{
  const SwarmService *service = data;
  return strcmp (value, swarm_service_kind_to_string (swarm_service_spec_kind (service->spec))) == 0;
}

static GVariant *
list_service (gpointer object, gpointer data)
{
  ListContext *context = data;
  SwarmService *service = object;
  gboolean matches = !service->pending_delete && swarm_api_filter (context->filters, "id", match_id_prefix, &service->object.id)
      && swarm_api_filter (context->filters, "name", match_service_name, service)
      && swarm_api_filter (context->filters, "label", match_service_label, service)
      && swarm_api_filter (context->filters, "mode", match_service_mode, service);
  return matches ? swarm_api_service_variant (context->api, service) : NULL;
}

static gboolean
match_network_name (const char *value, gpointer data)
{
  return strstr (((SwarmNetwork *) data)->spec->name, value) != NULL;
}

static gboolean
match_network_driver (const char *value, gpointer data)
{
  return strcmp (((SwarmNetwork *) data)->spec->driver, value) == 0;
}

static gboolean
match_network_scope (const char *value, gpointer data)
{
  return strcmp (swarm_network_is_overlay (data) ? "swarm" : "local", value) == 0;
}

static gboolean
match_network_type (const char *value, gpointer data)
{
  return strcmp (swarm_network_is_predefined (data) ? "builtin" : "custom", value) == 0;
}

static gboolean
match_network_label (const char *value, gpointer data)
{
  return match_label (value, ((SwarmNetwork *) data)->spec->labels);
}

static GVariant *
list_network (gpointer object, gpointer data)
{
  ListContext *context = data;
  SwarmNetwork *network = object;
  gboolean matches = swarm_api_filter (context->filters, "id", match_id_prefix, &network->object.id)
      && swarm_api_filter (context->filters, "name", match_network_name, network)
      && swarm_api_filter (context->filters, "driver", match_network_driver, network)
      && swarm_api_filter (context->filters, "scope", match_network_scope, network)
      && swarm_api_filter (context->filters, "type", match_network_type, network)
      && swarm_api_filter (context->filters, "label", match_network_label, network);
  return matches ? swarm_api_network_variant (context->api, network) : NULL;
}

/* One page, in order of id. The cursor is the last id of the page before. @item: as it is told, or NULL when the filters leave it out. */
static void
list_page (SwarmInvocation *invocation, GVariant *args, SwarmKind kind, GVariant *(*item) (gpointer object, gpointer data),
           const char *const *allowed)
{
  SwarmApi *self = swarm_api_of (invocation);
  g_autoptr (GVariant) filters = NULL;
  g_autoptr (GError) error = NULL;
  const char *cursor;
  guint limit;
  SwarmId at = { 0 };
  SwarmObject *object;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(@a{sv}&su)", &filters, &cursor, &limit);
  if (*cursor != '\0' && !swarm_id_parse (cursor, &at))
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "cursor \"%s\" is not one that the page before gave", cursor);
  if (error != NULL || !swarm_api_check_filters (filters, allowed, &error)) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_auto (SwarmApiPage) page;
  swarm_api_page_init (&page, limit);
  ListContext context = { self, filters };
  while ((object = swarm_store_next (self->store, kind, swarm_id_is_nil (&at) ? NULL : &at)) != NULL
         && swarm_api_page_take (&page, item (object, &context)))
    at = object->id;
  g_autofree char *next = page.more ? swarm_id_dup_string (&at) : g_strdup ("");
  swarm_invocation_return (invocation, g_variant_new ("(@aa{sv}s)", swarm_api_list (page.items), next));
}

static void
manager_list_nodes (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "id", "label", "membership", "name", "node.label", "role", NULL };
  list_page (invocation, args, SWARM_KIND_NODE, list_node, allowed);
}

static void
manager_list_services (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "id", "label", "mode", "name", NULL };
  list_page (invocation, args, SWARM_KIND_SERVICE, list_service, allowed);
}

static void
manager_list_networks (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  static const char *const allowed[] = { "driver", "id", "label", "name", "scope", "type", NULL };
  list_page (invocation, args, SWARM_KIND_NETWORK, list_network, allowed);
}

/* ---- names ---- */

static const char *
kind_path (SwarmKind kind)
{
  return swarm_kind_to_string (kind);
}

static void
manager_resolve (SwarmInvocation *invocation, gpointer object, GVariant *args)
{
  SwarmApi *self = swarm_api_of (invocation);
  const char *kind_text, *reference;
  SwarmKind kind;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  if (!swarm_api_need_manager (self, invocation))
    return;
  g_variant_get (args, "(&s&s)", &kind_text, &reference);
  if (!swarm_kind_from_string (kind_text, &kind) || kind < SWARM_KIND_NODE || kind > SWARM_KIND_NETWORK) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown kind \"%s\": node, service, task or network", kind_text);
    swarm_invocation_fail (invocation, error);
    return;
  }
  SwarmIdString id;
  if (kind == SWARM_KIND_NODE && strcmp (reference, "self") == 0) {
    id = swarm_id_string (&self->node_id);
  } else {
    const SwarmObject *found = swarm_store_resolve (self->store, kind, reference, &error);
    if (found == NULL) {
      swarm_invocation_fail (invocation, error);
      return;
    }
    id = swarm_id_string (&found->id);
  }
  path = g_strdup_printf (SWARM_API_ROOT "/%s/%s", kind_path (kind), id.str);
  swarm_invocation_return (invocation, g_variant_new ("(so)", id.str, path));
}

/* ---- properties ---- */

static GVariant *
get_version (gpointer object, gpointer data)
{
  return g_variant_new_string (SWARM_VERSION);
}

static GVariant *
get_node_id (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_string (swarm_id_is_nil (&self->node_id) ? "" : swarm_id_string (&self->node_id).str);
}

static GVariant *
get_cluster_id (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_string (swarm_id_is_nil (&self->cluster_id) ? "" : swarm_id_string (&self->cluster_id).str);
}

static GVariant *
get_node_addr (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_string (self->node_addr != NULL ? self->node_addr : "");
}

static GVariant *
get_local_state (gpointer object, gpointer data)
{
  return g_variant_new_string (swarm_local_state_to_string (((SwarmApi *) data)->state));
}

static GVariant *
get_control_available (gpointer object, gpointer data)
{
  return g_variant_new_boolean (((SwarmApi *) data)->store != NULL);
}

static GVariant *
get_error (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_string (self->error != NULL ? self->error : "");
}

static GVariant *
get_stale_since (gpointer object, gpointer data)
{
  SwarmApi *self = data;
  return g_variant_new_int64 (self->store != NULL ? self->hooks->stale_since (self->agent) : 0);
}

static const SwarmBusProperty manager_properties[] = {
  { "Version", "s", get_version, TRUE, "Version of the agent." },
  { "NodeID", "s", get_node_id, FALSE, "This host's node id; empty when it is in no cluster." },
  { "ClusterID", "s", get_cluster_id, FALSE, "The cluster's id; empty when this host is in none." },
  { "NodeAddr", "s", get_node_addr, FALSE, "The address that this node advertises." },
  { "LocalNodeState", "s", get_local_state, FALSE, "inactive, pending, active, error or locked." },
  { "ControlAvailable", "b", get_control_available, FALSE, "Whether this node is a manager." },
  { "Error", "s", get_error, FALSE, "Why the state is error, or what a pending node waits for; else empty." },
  { "StaleSince", "x", get_stale_since, FALSE,
    "While this manager knows of no leader, its answers are what it knew then (us since 1970); 0: they are current." },
  { NULL },
};

static const SwarmBusSignal manager_signals[] = {
  { "TaskChanged", "s:task_id s:service_id s:node_id s:state s:desired_state",
    "A task was made or changed its node, state or desired state; with state empty: it was deleted. Of changes that follow each other closely "
    "only the last one is told." },
  { NULL },
};

static void
new_service_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_autoptr (GVariant) spec = g_variant_get_child_value (args, 0);
  const char *name;
  if (g_variant_lookup (spec, "Name", "&s", &name))
    g_hash_table_replace (details, g_strdup ("service"), g_strdup (name));
}

static void
new_network_details (gpointer object, GVariant *args, GHashTable *details)
{
  g_autoptr (GVariant) spec = g_variant_get_child_value (args, 0);
  const char *name;
  if (g_variant_lookup (spec, "Name", "&s", &name))
    g_hash_table_replace (details, g_strdup ("network"), g_strdup (name));
}

static void
attach_details (gpointer object, GVariant *args, GHashTable *details)
{
  const char *container, *network;
  g_variant_get (args, "(&s&s)", &container, &network);
  g_hash_table_replace (details, g_strdup ("container"), g_strdup (container));
  g_hash_table_replace (details, g_strdup ("network"), g_strdup (network));
}

static const SwarmBusMethod manager_methods[] = {
  { "Init", "a{sv}:options", "s:node_id", manager_init, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL,
    .doc = "Starts a new cluster with this host as its first manager. Options: AdvertiseAddr s, ListenAddr s, Availability s "
           "(active, pause, drain), AutoLockManagers b, Seal s (\"systemd-creds\"), Spec a{sv} (as Cluster.Update takes it), DefaultAddrPool as "
           "(subnets of which networks get theirs), SubnetSize u (bits of the mask of each, 24). On a manager, "
           "ForceNewCluster b: the cluster goes on with what this manager has, and with it alone; the other managers are dropped." },
  { "Join", "a{sv}:options", "s:node_id s:role", manager_join, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY,
    SWARM_METHOD_LOCAL | SWARM_METHOD_SENSITIVE_ARGS,
    .doc = "Joins a cluster. Options: RemoteAddrs as (HOST:PORT of managers), JoinToken s (decides the role), AdvertiseAddr s, "
           "ListenAddr s, Availability s." },
  { "Leave", "b:force", NULL, manager_leave, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL,
    .doc = "Leaves the cluster: this host's tasks are stopped and its state is removed. A manager needs force." },
  { "Unlock", "s:key", NULL, swarm_api_unlock, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL | SWARM_METHOD_SENSITIVE_ARGS,
    .doc = "Opens the keys of a locked manager (LocalNodeState locked) with the cluster's unlock key; it then takes its place." },
  { "Restore", "h:file h:passphrase a{sv}:options", "s:node_id", swarm_api_restore, SWARM_ACTION_MANAGE_CLUSTER, SWARM_ROLES_BUS_ONLY,
    SWARM_METHOD_LOCAL,
    .doc = "Starts a cluster from a backup, with this host as its only manager: services, secrets, tokens and root are those of the backup, the "
           "cluster's id is another, and no node of the cluster of before is part of it. Options: AdvertiseAddr s, ListenAddr s." },
  { "Info", NULL, "a{sv}:info", manager_info, SWARM_ACTION_READ, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL,
    .doc = "This host's standing and, on a manager, the cluster's: the Swarm part of docker info under the Engine API's names." },
  { "CreateService", "a{sv}:spec a{sv}:options", "s:id as:warnings", swarm_api_create_service, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER,
    SWARM_METHOD_WRITE | SWARM_METHOD_SENSITIVE_ARGS, new_service_details,
    .doc = "Creates a service from a ServiceSpec with the Engine API's names (nanoseconds, NanoCPUs; any integer type that fits). "
           "Options: RequestId s (a repeated request is done once), RegistryAuth s, NoResolveImage b." },
  { "PlanService", "a{sv}:spec a{sv}:options", "aa{sv}:steps b:truncated", swarm_api_plan_service, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    SWARM_METHOD_SENSITIVE_ARGS,
    .doc = "What creating this service, or putting this spec in place of that of the service of its name, would do now; nothing is written. "
           "Options as CreateService. Steps in their order: Action s (start, stop, pending), Name s, Node s, NodeID s, ServiceID s, "
           "TaskID s (stop), Reason s, After x (ns since the change, were every task to start and stop at once). 10,000 steps at most." },
  { "ListNodes", "a{sv}:filters s:cursor u:limit", "aa{sv}:nodes s:next", manager_list_nodes, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "Nodes as Node.Inspect gives them, by pages as ListTasks. Filters (each a list of strings): id, label, membership, name, node.label, role." },
  { "ListServices", "a{sv}:filters s:cursor u:limit", "aa{sv}:services s:next", manager_list_services, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "Services as Service.Inspect gives them, by pages as ListTasks. Filters: id, label, mode, name." },
  { "ListTasks", "a{sv}:filters s:cursor u:limit", "aa{sv}:tasks s:next", swarm_api_list_tasks, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "Tasks by pages: cursor is empty at first, then what next gave; next is empty after the last page; limit 0 means 500, 2000 at most. "
           "A page may be shorter than that, or empty, and not be the last. "
           "Filters: desired-state, id, label, name, node, service, up-to-date (true: as the service is now). On a worker: the tasks of "
           "this node." },
  { "CreateNetwork", "a{sv}:spec a{sv}:options", "s:id", swarm_api_create_network, SWARM_ACTION_MANAGE_SERVICES, SWARM_ROLES_MANAGER,
    SWARM_METHOD_WRITE, new_network_details,
    .doc = "Creates a network: Name s, Driver s (overlay), Internal b, Attachable b, Ingress b, EnableIPv6 b, IPAM a{sv} (Config: Subnet, IPRange, "
           "Gateway), Options a{ss} (encrypted, mtu), Labels a{ss}. Options: RequestId s (a repeated request is done once)." },
  { "ListNetworks", "a{sv}:filters s:cursor u:limit", "aa{sv}:networks s:next", manager_list_networks, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "Networks as Network.Inspect gives them, by pages as ListTasks. Filters: driver, id, label, name, scope, type (builtin, custom)." },
  { "AttachNetwork", "s:container s:network", "s:task_id as:addresses", manager_attach_network, SWARM_ACTION_ATTACH_NETWORK, SWARM_ROLES_BUS_ONLY,
    SWARM_METHOD_LOCAL, attach_details,
    "Puts a running container of this host that is no task (its name or id) into an attachable network, and answers when it is there; on managers and "
    "workers alike. It is in it under its name until it ends, is taken out, or the node leaves. The task stands for it in lists of tasks." },
  { "DetachNetwork", "s:container s:network", NULL, manager_detach_network, SWARM_ACTION_ATTACH_NETWORK, SWARM_ROLES_BUS_ONLY, SWARM_METHOD_LOCAL,
    attach_details, "Takes a container of this host out of a network that AttachNetwork put it into." },
  { "Resolve", "s:kind s:reference", "s:id o:path", manager_resolve, SWARM_ACTION_READ, SWARM_ROLES_MANAGER,
    .doc = "Finds a node, service, task or network by id, by name, or by the beginning of its id; node self is this host." },
  { NULL },
};

const SwarmBusInterface swarm_api_manager_interface = {
  "org.swarmagent1.Manager", manager_methods, manager_properties, manager_signals,
  "The agent of this host and the entry to its cluster.",
};
