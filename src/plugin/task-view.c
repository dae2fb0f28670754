// SPDX-License-Identifier: LGPL-2.1-or-later
#include "plugin/task-view.h"

#define FIRST_INTERFACE 100 /* those below are podman's */

static const char *
keep_string (SwarmTaskView *self, char *text)
{
  g_ptr_array_add (self->keep, text);
  return text;
}

const char *const *
swarm_strings_view (GPtrArray *keep, GPtrArray *list)
{
  const char **view;

  if (list == NULL || list->len == 0)
    return NULL;
  view = g_new0 (const char *, list->len + 1);
  for (guint i = 0; i < list->len; i++)
    view[i] = g_ptr_array_index (list, i);
  g_ptr_array_add (keep, view);
  return view;
}

static const char *const *
view_strings (SwarmTaskView *self, GPtrArray *list)
{
  return swarm_strings_view (self->keep, list);
}

const SwarmPluginAttachment *
swarm_attachments_view (GPtrArray *keep, GPtrArray *networks, gsize *ret_n)
{
  guint n = networks != NULL ? networks->len : 0;
  SwarmPluginAttachment *view = g_new0 (SwarmPluginAttachment, n);

  *ret_n = n;
  g_ptr_array_add (keep, view);
  for (guint i = 0; i < n; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (networks, i);
    char *id = swarm_id_dup_string (&attachment->network);

    g_ptr_array_add (keep, id);
    view[i] = (SwarmPluginAttachment){ .network_id = id,
                                       .driver = attachment->driver,
                                       .addresses = swarm_strings_view (keep, attachment->addresses),
                                       .aliases = swarm_strings_view (keep, attachment->aliases) };
  }
  return view;
}

static void
add_pair (SwarmTaskView *self, GPtrArray *list, const char *key, const char *value)
{
  g_ptr_array_add (list, (gpointer) keep_string (self, g_strdup_printf ("%s=%s", key, value)));
}

/* "key=value" of each pair, sorted; appended to @list. */
static void
add_map (SwarmTaskView *self, GPtrArray *list, GHashTable *map)
{
  g_autoptr (GList) keys = map != NULL ? g_list_sort (g_hash_table_get_keys (map), (GCompareFunc) g_strcmp0) : NULL;

  for (GList *l = keys; l != NULL; l = l->next)
    add_pair (self, list, l->data, g_hash_table_lookup (map, l->data));
}

static const char *const *
view_map (SwarmTaskView *self, GHashTable *map)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new ();

  add_map (self, list, map);
  return view_strings (self, list);
}

/* The labels by which docker marks a task's container, after the user's own. */
static const char *const *
view_labels (SwarmTaskView *self, const SwarmContainerSpec *container)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new ();

  add_map (self, list, container != NULL ? container->labels : NULL);
  add_pair (self, list, "com.docker.swarm.task", "");
  add_pair (self, list, "com.docker.swarm.task.id", self->task.id);
  add_pair (self, list, "com.docker.swarm.task.name", self->task.name);
  add_pair (self, list, "com.docker.swarm.node.id", self->task.node_id);
  add_pair (self, list, "com.docker.swarm.service.id", self->task.service_id);
  add_pair (self, list, "com.docker.swarm.service.name", self->task.service_name);
  return view_strings (self, list);
}

static void
view_mounts (SwarmTaskView *self, GPtrArray *mounts)
{
  SwarmPluginMount *view;

  if (mounts == NULL || mounts->len == 0)
    return;
  view = g_new0 (SwarmPluginMount, mounts->len);
  g_ptr_array_add (self->keep, view);
  for (guint i = 0; i < mounts->len; i++) {
    const SwarmMount *mount = g_ptr_array_index (mounts, i);
    view[i] = (SwarmPluginMount){ .type = mount->type, .read_only = mount->read_only, .source = mount->source, .target = mount->target };
  }
  self->task.mounts = view;
  self->task.n_mounts = mounts->len;
}

/* Only those of mode host: the others are the network's business. */
static void
view_ports (SwarmTaskView *self, const SwarmEndpointSpec *endpoint)
{
  SwarmPluginPort *view;
  gsize n = 0;

  if (endpoint == NULL || endpoint->ports == NULL)
    return;
  view = g_new0 (SwarmPluginPort, endpoint->ports->len);
  g_ptr_array_add (self->keep, view);
  for (guint i = 0; i < endpoint->ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (endpoint->ports, i);
    if (port->publish_mode == SWARM_PUBLISH_HOST)
      view[n++] = (SwarmPluginPort){ .protocol = port->protocol,
                                     .target = (guint16) port->target_port,
                                     .published = (guint16) port->published_port };
  }
  self->task.ports = view;
  self->task.n_ports = n;
}

/* "DOCKER_RESOURCE_GPU=UUID1,UUID2" for each kind of things that the task got, as docker tells it. */
static void
add_things (SwarmTaskView *self, GPtrArray *list, GPtrArray *things)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; things != NULL && i < things->len; i++) {
    const SwarmGenericResource *first = g_ptr_array_index (things, i);
    const char *kind = first->named != NULL ? first->named->kind : first->discrete != NULL ? first->discrete->kind : NULL;
    g_autoptr (GString) values = g_string_new (NULL);
    g_autofree char *upper = NULL, *key = NULL;

    if (kind == NULL || !g_hash_table_add (seen, (gpointer) kind))
      continue;
    for (guint k = i; k < things->len; k++) {
      const SwarmGenericResource *thing = g_ptr_array_index (things, k);
      const char *comma = values->len > 0 ? "," : "";
      if (thing->named != NULL && g_strcmp0 (thing->named->kind, kind) == 0)
        g_string_append_printf (values, "%s%s", comma, thing->named->value != NULL ? thing->named->value : "");
      else if (thing->discrete != NULL && g_strcmp0 (thing->discrete->kind, kind) == 0)
        g_string_append_printf (values, "%s%" G_GINT64_FORMAT, comma, thing->discrete->value);
    }
    upper = g_ascii_strup (kind, -1);
    key = g_strconcat ("DOCKER_RESOURCE_", upper, NULL);
    add_pair (self, list, key, values->str);
  }
}

static const char *const *
view_env (SwarmTaskView *self, GPtrArray *env, GPtrArray *things)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new ();

  for (guint i = 0; env != NULL && i < env->len; i++)
    g_ptr_array_add (list, env->pdata[i]);
  add_things (self, list, things);
  return view_strings (self, list);
}

static void
view_container (SwarmTaskView *self, const SwarmContainerSpec *container, GPtrArray *things, gboolean with_auth)
{
  SwarmPluginTask *task = &self->task;

  task->image = container->image;
  task->command = view_strings (self, container->command);
  task->args = view_strings (self, container->args);
  task->env = view_env (self, container->env, things);
  task->hostname = container->hostname;
  task->dir = container->dir;
  task->user = container->user;
  task->init = container->init;
  task->read_only = container->read_only;
  task->stop_signal = container->stop_signal;
  task->stop_grace = container->stop_grace_period / 1000;
  task->hosts = view_strings (self, container->hosts);
  task->capability_add = view_strings (self, container->capability_add);
  task->capability_drop = view_strings (self, container->capability_drop);
  task->sysctls = view_map (self, container->sysctls);
  view_mounts (self, container->mounts);
  if (container->dns != NULL) {
    task->dns = view_strings (self, container->dns->nameservers);
    task->dns_search = view_strings (self, container->dns->search);
    task->dns_options = view_strings (self, container->dns->options);
  }
  if (with_auth && container->pull_options != NULL)
    task->registry_auth = container->pull_options->registry_auth;
}

SwarmTaskView *
swarm_task_view_new (const SwarmTask *task, const SwarmId *node, const char *hostname, const char *network_mode, const char *resolver,
                     gboolean with_auth)
{
  SwarmTaskView *self = g_new0 (SwarmTaskView, 1);
  const SwarmResources *limits = NULL;

  self->keep = g_ptr_array_new_with_free_func (g_free);
  self->task.id = keep_string (self, swarm_id_dup_string (&task->object.id));
  self->task.name = keep_string (self, swarm_task_name (task));
  self->task.service_id = keep_string (self, swarm_id_dup_string (&task->service_id));
  self->task.service_name = task->service_name != NULL ? task->service_name : "";
  self->task.node_id = keep_string (self, swarm_id_dup_string (node));
  self->task.node_hostname = hostname;
  self->task.slot = task->slot;
  self->task.network_mode = network_mode;
  self->task.resolver = resolver;
  if (task->spec != NULL && task->spec->container != NULL)
    view_container (self, task->spec->container, task->generic, with_auth);
  self->task.labels = view_labels (self, task->spec != NULL ? task->spec->container : NULL);
  if (task->spec != NULL && task->spec->resources != NULL)
    limits = task->spec->resources->limits;
  if (limits != NULL) {
    self->task.limit_nano_cpus = limits->nano_cpus;
    self->task.limit_memory = limits->memory_bytes;
    self->task.limit_pids = limits->pids;
  }
  view_ports (self, task->endpoint);
  self->task.networks = swarm_attachments_view (self->keep, task->networks, &self->task.n_networks);
  self->task.gateway_address = task->gateway_address;
  if (task->attachment != NULL) {
    self->task.container_id = task->attachment->container_id;
    self->task.interface = FIRST_INTERFACE + (guint32) task->slot;
  }
  return self;
}

void
swarm_task_view_free (SwarmTaskView *self)
{
  if (self == NULL)
    return;
  g_ptr_array_unref (self->keep);
  g_free (self);
}
