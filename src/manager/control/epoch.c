// SPDX-License-Identifier: LGPL-2.1-or-later
/* One manager makes the cluster anew (init --force-new-cluster): the others are managers no more. */
#include "base/error.h"
#include "manager/control/operation.h"

typedef struct {
  SwarmTx *tx;
  const SwarmId *self;
  const char *address;
} Dropping;

static gboolean
drop_manager (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  Dropping *dropping = data;
  gboolean own = swarm_id_equal (&node->object.id, dropping->self);
  if (!own && node->manager_status == NULL && node->role != SWARM_ROLE_MANAGER && node->spec->role != SWARM_ROLE_MANAGER)
    return TRUE;
  g_autoptr (SwarmNode) copy = swarm_node_copy (node);
  SwarmNodeSpec *spec = swarm_node_spec_copy (node->spec);
  spec->role = copy->role = own ? SWARM_ROLE_MANAGER : SWARM_ROLE_WORKER;
  swarm_node_spec_unref (copy->spec);
  copy->spec = spec;
  g_clear_pointer (&copy->manager_status, swarm_manager_status_unref);
  if (own) {
    copy->manager_status = swarm_manager_status_new ();
    copy->manager_status->addr = g_strdup (dropping->address);
  } else {
    swarm_node_set_state (copy, SWARM_NODE_DOWN, "dropped when the cluster was made anew");
  }
  swarm_tx_update (dropping->tx, copy);
  return TRUE;
}

static gboolean
fill_epoch (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->control->store);
  if (cluster == NULL) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "there is no cluster yet");
    return FALSE;
  }
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  Dropping dropping = { tx, &self->id, self->text };
  copy->epoch++;
  swarm_tx_update (tx, copy);
  swarm_store_foreach (self->control->store, SWARM_KIND_NODE, drop_manager, &dropping);
  return TRUE;
}

void
swarm_control_new_epoch (SwarmControl *self, const SwarmId *node, const char *address, SwarmControlFunc done, gpointer data)
{
  SwarmOperation *operation = swarm_operation_new (self, fill_epoch, node, NULL, done, data);
  operation->text = g_strdup (address);
  swarm_operation_run (operation);
}
