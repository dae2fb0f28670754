// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks: addresses in their networks, and on their nodes. */
#include "base/error.h"
#include "base/log.h"
#include "manager/allocator/private.h"

/* The state stays; people see why. */
static void
say (SwarmAllocator *self, const SwarmTask *task, const char *why, SwarmTx *tx)
{
  if (why == NULL || g_strcmp0 (task->status->err, why) == 0)
    return;
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  if (swarm_task_set_state (copy, task->status->state, SWARM_WRITER_ALLOCATOR, swarm_store_now (self->leader->store), task->status->text, why, NULL))
    swarm_tx_update (tx, copy);
}

static void
wait_for (SwarmAllocator *self, const SwarmTask *task, const SwarmId *what, const char *why, SwarmTx *tx)
{
  swarm_waiters_add (&self->waiters, what, SWARM_KIND_TASK, &task->object.id);
  say (self, task, why, tx);
}

/* ---- networks ---- */

static gpointer
copy_string (gconstpointer string, gpointer data)
{
  return g_strdup (string);
}

/* FALSE: @why not, and until what. */
static gboolean
attach (SwarmAllocator *self, SwarmTask *copy, const SwarmNetworkAttachmentConfig *config, SwarmId *what, char **why)
{
  const SwarmNetwork *network = swarm_allocator_network (self, config->target);
  char *address = NULL, *address6 = NULL;
  if (network == NULL) {
    *what = copy->service_id;
    *why = g_strdup_printf ("network %s not found", config->target);
    return FALSE;
  }
  *what = network->object.id;
  if (!swarm_network_is_allocated (network)) {
    *why = g_strdup (network->text);
    return FALSE;
  }
  if (swarm_network_is_overlay (network) && !swarm_ledger_take_address (self->ledger, &network->object.id, &address, &address6)) {
    *why = g_strdup_printf ("no available IPv4 addresses on this network's address pools: %s (%s)", network->spec->name,
                            swarm_id_string (&network->object.id).str);
    return FALSE;
  }
  SwarmNetworkAttachment *attachment = swarm_network_attachment_new ();
  attachment->network = network->object.id;
  attachment->driver = g_strdup (network->spec->driver);
  attachment->encrypted = swarm_network_spec_is_encrypted (network->spec);
  attachment->aliases = config->aliases != NULL ? g_ptr_array_copy (config->aliases, copy_string, NULL) : NULL;
  if (attachment->aliases != NULL)
    g_ptr_array_set_free_func (attachment->aliases, g_free);
  if (address != NULL) {
    attachment->addresses = swarm_strings_new ();
    g_ptr_array_add (attachment->addresses, address);
    if (address6 != NULL)
      g_ptr_array_add (attachment->addresses, address6);
  }
  g_ptr_array_add (copy->networks, attachment);
  return TRUE;
}

static gboolean
attach_all (SwarmAllocator *self, SwarmTask *copy, SwarmId *what, char **why)
{
  const GPtrArray *networks = copy->spec->networks;
  if (networks == NULL || networks->len == 0)
    return TRUE;
  g_clear_pointer (&copy->networks, g_ptr_array_unref);
  copy->networks = swarm_messages_new ();
  for (guint i = 0; i < networks->len; i++) {
    if (!attach (self, copy, g_ptr_array_index (networks, i), what, why))
      return FALSE;
  }
  return TRUE;
}

/* Somewhere to run, with a new task's addresses: it may be placed. Global tasks have their node already, and get their way out here. */
static void
do_new (SwarmAllocator *self, const SwarmTask *task, SwarmTx *tx)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, &task->service_id);
  const Unready *unready = g_hash_table_size (self->unready) > 0 ? g_hash_table_lookup (self->unready, &task->service_id) : NULL;
  if (service == NULL && task->attachment == NULL)
    return; /* removed meanwhile: so will be the task */
  if (unready != NULL) {
    wait_for (self, task, &task->service_id, unready->why, tx);
    return;
  }
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  g_autoptr (GError) error = NULL;
  g_autofree char *why = NULL;
  guint mark = swarm_ledger_mark (self->ledger);
  SwarmId what;
  swarm_endpoint_spec_unref (copy->endpoint);
  copy->endpoint = service != NULL && service->spec->endpoint != NULL ? swarm_endpoint_spec_ref (service->spec->endpoint) : NULL;
  if (!attach_all (self, copy, &what, &why)) {
    swarm_ledger_back_to (self->ledger, mark);
    wait_for (self, task, &what, why, tx);
    return;
  }
  if (swarm_task_set_state (copy, SWARM_TASK_PENDING, SWARM_WRITER_ALLOCATOR, swarm_store_now (self->leader->store),
                            "pending task scheduling", NULL, &error))
    swarm_tx_update (tx, copy);
  else
    swarm_error_log ("a task cannot become pending: %s", error->message);
}

/* ---- the way out, once it has a node ---- */

static void
do_gateway (SwarmAllocator *self, const SwarmTask *task, SwarmTx *tx)
{
  const SwarmNode *node = swarm_store_get (self->leader->store, SWARM_KIND_NODE, &task->node_id);
  char *address = NULL;
  if (node == NULL)
    return; /* removed: the task is orphaned */
  if (!swarm_ledger_take_address (self->ledger, &task->node_id, &address, NULL)) {
    const char *why = node->network != NULL && node->network->gateway != NULL
                        ? "node is missing network attachments, ip addresses may be exhausted: all of the node's subnet for tasks are given out"
                      : node->network != NULL ? node->network->text
                                              : NULL;
    swarm_waiters_add (&self->waiters, &task->node_id, SWARM_KIND_TASK, &task->object.id);
    if (task->status->state == SWARM_TASK_ASSIGNED)
      say (self, task, why, tx);
    return;
  }
  g_autoptr (SwarmTask) copy = swarm_task_copy (task);
  copy->gateway_address = address;
  if (task->status->state == SWARM_TASK_ASSIGNED && task->status->err != NULL)
    swarm_task_set_state (copy, SWARM_TASK_ASSIGNED, SWARM_WRITER_ALLOCATOR, swarm_store_now (self->leader->store), task->status->text, NULL, NULL);
  swarm_tx_update (tx, copy);
}

void
swarm_allocator_do_task (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx)
{
  const SwarmTask *task = swarm_store_get (self->leader->store, SWARM_KIND_TASK, id);
  if (task == NULL || task->desired_state > SWARM_TASK_COMPLETE)
    return;
  if (task->status->state == SWARM_TASK_NEW)
    do_new (self, task, tx);
  else if (task->status->state >= SWARM_TASK_ASSIGNED && swarm_task_lacks_gateway (task))
    do_gateway (self, task, tx);
}
