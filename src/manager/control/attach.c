// SPDX-License-Identifier: LGPL-2.1-or-later
/* Containers of a node's own in attachable networks: tasks without a service (swarmkit: manager/resourceapi). */
#include "base/error.h"
#include "manager/control/networks.h"
#include "manager/control/operation.h"
#include <string.h>

/* Of one node: what it asks for is written into the cluster's store. */
#define NODE_MAX 1000

/* ---- attach ---- */

static gboolean
is_there (const SwarmTask *task)
{
  return task->attachment != NULL && swarm_task_holds_addresses (task);
}

static gboolean
is_in (const SwarmTask *task, const SwarmNetwork *network)
{
  const SwarmNetworkAttachmentConfig *config = g_ptr_array_index (task->spec->networks, 0);
  return strcmp (config->target, swarm_id_string (&network->object.id).str) == 0;
}

/* How many more @node will have. */
static guint
n_coming (SwarmControl *self, const SwarmId *node)
{
  guint n = 0;
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->flying);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const SwarmOperation *operation = key;
    n += operation->container != NULL && swarm_id_equal (&operation->node, node);
  }
  return n;
}

/* The lowest number that no attachment of the container has: its interface there is called by it, as long as it lives. 0: refused. */
static guint64
take_slot (SwarmControl *self, const SwarmId *node, const SwarmContainerAttachment *container, const SwarmNetwork *network, GError **error)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (self->store, node);
  gboolean taken[SWARM_ATTACHMENTS_MAX + 1] = { TRUE };
  guint n = n_coming (self, node);
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += is_there (task);
    if (!is_there (task) || g_strcmp0 (task->attachment->container_id, container->container_id) != 0)
      continue;
    if (is_in (task, network)) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS, "endpoint with name %s already exists in network %s", container->name,
                   network->spec->name);
      return 0;
    }
    taken[MIN (task->slot, SWARM_ATTACHMENTS_MAX)] = TRUE;
  }
  if (n >= NODE_MAX) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "this node's containers are in networks %d times, which is the most", NODE_MAX);
    return 0;
  }
  for (guint slot = 1; slot <= SWARM_ATTACHMENTS_MAX; slot++)
    if (!taken[slot])
      return slot;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "container %s is in %d networks, which is the most", container->name,
               SWARM_ATTACHMENTS_MAX);
  return 0;
}

static gboolean
is_coming (SwarmControl *self, const char *container_id)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, self->flying);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (g_strcmp0 (((const SwarmOperation *) key)->container, container_id) == 0)
      return TRUE;
  }
  return FALSE;
}

/* NULL: refused. */
static const SwarmNetwork *
find_network (SwarmControl *self, const char *reference, GError **error)
{
  const SwarmNetwork *network = swarm_store_resolve (self->store, SWARM_KIND_NETWORK, reference, error);
  if (network == NULL)
    return NULL;
  if (swarm_control_network_leaves (self, network))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "network %s not found", reference);
  else if (!network->spec->attachable || !swarm_network_is_overlay (network))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "network %s not manually attachable", reference);
  else
    return network;
  return NULL;
}

static gboolean
check_node (SwarmControl *self, const SwarmId *id, GError **error)
{
  const SwarmNode *node = swarm_store_get (self->store, SWARM_KIND_NODE, id);
  if (node == NULL)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "node %s not found", swarm_id_string (id).str);
  else if (node->spec->availability != SWARM_AVAILABILITY_ACTIVE)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this node takes nothing new: its availability is %s",
                 swarm_availability_to_string (node->spec->availability));
  else
    return TRUE;
  return FALSE;
}

static SwarmTaskSpec *
make_spec (const SwarmContainerAttachment *container, const SwarmNetwork *network)
{
  SwarmTaskSpec *spec = swarm_task_spec_new ();
  SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
  config->target = swarm_id_dup_string (&network->object.id);
  config->aliases = swarm_strings_new ();
  g_ptr_array_add (config->aliases, g_strndup (container->container_id, SWARM_CONTAINER_SHORT));
  spec->networks = swarm_messages_new ();
  g_ptr_array_add (spec->networks, config);
  return spec;
}

static gboolean
add_task (SwarmOperation *self, const SwarmNetwork *network, guint64 slot, SwarmTx *tx, GError **error)
{
  g_autoptr (SwarmTask) task = swarm_task_new ();
  task->object.id = self->id;
  task->node_id = self->node;
  task->slot = slot;
  task->attachment = swarm_message_ref (self->objects[0]);
  task->spec = make_spec (task->attachment, network);
  task->status = task->status != NULL ? task->status : swarm_task_status_new ();
  if (!swarm_task_set_state (task, SWARM_TASK_NEW, SWARM_WRITER_ORCHESTRATOR, swarm_store_now (self->control->store), "created", NULL, error)
      || !swarm_task_set_desired (task, SWARM_TASK_RUNNING, SWARM_WRITER_ORCHESTRATOR, error))
    return FALSE;
  /* Who removes the network meanwhile must know. */
  self->named = swarm_service_spec_new ();
  self->named->task = swarm_task_spec_ref (task->spec);
  swarm_tx_create (tx, task);
  swarm_tx_need_level (tx, SWARM_LEVEL_ATTACH);
  return TRUE;
}

static gboolean
fill_attach (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmContainerAttachment *container = (SwarmContainerAttachment *) self->objects[0];
  if (!swarm_container_id_is_valid (container->container_id) || !swarm_container_name_is_valid (container->name)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" (%s) is no container", container->name, container->container_id);
    return FALSE;
  }
  const SwarmNetwork *network = check_node (self->control, &self->node, error) ? find_network (self->control, self->reference, error) : NULL;
  if (network == NULL)
    return FALSE;
  if (is_coming (self->control, container->container_id)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "container %s is just being attached; try again", container->name);
    return FALSE;
  }
  guint64 slot = take_slot (self->control, &self->node, container, network, error);
  if (slot == 0 || !add_task (self, network, slot, tx, error))
    return FALSE;
  self->container = container->container_id;
  return TRUE;
}

void
swarm_control_attach (SwarmControl *self, const SwarmId *node, const char *container_id, const char *name, const char *network,
                      const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmId id = swarm_random_id (self->random);
  SwarmOperation *operation = swarm_operation_new (self, fill_attach, &id, request_id, done, data);
  SwarmContainerAttachment *container = swarm_container_attachment_new ();
  container->container_id = g_strdup (container_id);
  container->name = g_strdup (name);
  operation->objects[0] = (SwarmMessage *) container;
  operation->node = *node;
  operation->reference = g_strdup (network);
  swarm_operation_run (operation);
}

/* ---- detach ---- */

static gboolean
fill_detach (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmTask *task = swarm_store_get (self->control->store, SWARM_KIND_TASK, &self->id);
  if (task == NULL || task->attachment == NULL || !swarm_id_equal (&task->node_id, &self->node)) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "attachment %s not found", swarm_id_string (&self->id).str);
    return FALSE;
  }
  swarm_string_set (&self->text, task->status->err);
  if (task->desired_state >= SWARM_TASK_SHUTDOWN)
    return TRUE;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  if (!swarm_task_set_desired (copy, SWARM_TASK_SHUTDOWN, SWARM_WRITER_ORCHESTRATOR, error))
    return FALSE;
  swarm_tx_update (tx, copy);
  return TRUE;
}

void
swarm_control_detach (SwarmControl *self, const SwarmId *node, const SwarmId *task, const char *request_id, SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_detach, task, request_id, done, data);
  operation->node = *node;
  swarm_operation_run (operation);
}
