// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tasks' part of the network that an agent must know again when it starts: the network plugin, which starts with it, hears of all that runs. */
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"

#define ATTACH_LIMIT_US (60 * G_USEC_PER_SEC)
#define SETTLE_LIMIT_US (1 * G_USEC_PER_SEC) /* as long as the leader holds back the stop of a task */

static gboolean
has_any (const SwarmTask *task)
{
  return task->networks != NULL || task->gateway_address != NULL || (task->endpoint != NULL && task->endpoint->ports != NULL);
}

static SwarmTaskSpec *
spec_with_names (const SwarmContainerSpec *container)
{
  SwarmTaskSpec *spec = swarm_task_spec_new ();
  spec->container = swarm_container_spec_new ();
  spec->container->hostname = g_strdup (container->hostname);
  swarm_message_set_pointer (&spec->container->dns, container->dns);
  return spec;
}

SwarmTask *
swarm_worker_network_of (const SwarmWorkerTask *self)
{
  const SwarmTask *task = self->task;
  if (task == NULL)
    return self->network != NULL ? swarm_task_ref (self->network) : NULL;
  if (!has_any (task))
    return NULL;
  SwarmTask *copy = swarm_task_new ();
  copy->object.id = task->object.id;
  copy->service_id = task->service_id;
  copy->service_name = g_strdup (task->service_name);
  copy->node_id = task->node_id;
  copy->slot = task->slot;
  copy->gateway_address = g_strdup (task->gateway_address);
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    if (copy->networks == NULL)
      copy->networks = swarm_messages_new ();
    g_ptr_array_add (copy->networks, swarm_message_ref (g_ptr_array_index (task->networks, i)));
  }
  swarm_message_set_pointer (&copy->endpoint, task->endpoint);
  swarm_message_set_pointer (&copy->attachment, task->attachment);
  if (task->spec->container != NULL && (task->spec->container->hostname != NULL || task->spec->container->dns != NULL))
    copy->spec = spec_with_names (task->spec->container);
  return copy;
}

static gboolean
may_pass (const GError *error)
{
  return g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT)
         || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_CANCELLED);
}

static void
known_again (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  if (!swarm_worker_op_take (data, &op))
    return;
  SwarmWorkerTask *task = swarm_worker_task_of (op.worker, &op.task);
  if (task != NULL)
    task->adopt_call = 0;
  if (error == NULL || task == NULL || !task->up)
    return;
  if (swarm_worker_task_is_attachment (task) && !may_pass (error)) /* it is for nothing but this */
    swarm_worker_task_exited (task, -1, 0, error->message);
  else
    swarm_warning ("The network of task %s, which runs, is not as it should be: %s", swarm_id_string (&op.task).str, error->message);
}

void
swarm_worker_network_adopt (SwarmWorker *self)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->tasks);
  while (self->config.network != NULL && g_hash_table_iter_next (&iter, NULL, &value)) {
    SwarmWorkerTask *task = value;
    if (!task->up || task->network == NULL)
      continue;
    gpointer op = swarm_worker_op_new (self, &task->id, 0);
    task->adopt_call = swarm_worker_task_is_attachment (task)
                         ? swarm_network_host_attach_container (self->config.network, task->network, (guint32) task->status->container->pid,
                                                                task->container_started, &self->config.node, self->hostname, ATTACH_LIMIT_US, known_again, op)
                         : swarm_network_host_attach (self->config.network, task->network, &self->config.node, self->hostname, ATTACH_LIMIT_US,
                                                      known_again, op);
  }
}

void
swarm_worker_network_forget (SwarmWorkerTask *self)
{
  if (self->adopt_call != 0)
    swarm_network_host_cancel (self->worker->config.network, self->adopt_call);
  self->adopt_call = 0;
}

gboolean
swarm_worker_network_settle (SwarmWorker *self, SwarmNetworkFunc func, gpointer op)
{
  SwarmWorkerOp unused;
  if (self->config.network != NULL && swarm_network_host_settle (self->config.network, SETTLE_LIMIT_US, func, op))
    return TRUE;
  swarm_worker_op_take (op, &unused);
  return FALSE;
}

void
swarm_worker_network_settled (SwarmWorker *self, const GError *error)
{
  if (error != NULL && !self->network_late)
    swarm_notice ("What is wanted of the networks takes longer than it should, and is not waited for: %s", error->message);
  self->network_late = error != NULL;
}
