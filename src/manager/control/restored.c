// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/control/restored.h"
#include "base/error.h"
#include "manager/control/operation.h"

struct _SwarmRestored {
  SwarmStore *store;
  /* The entry under way: this store has no log. */
  GBytes *entry;
  SwarmProposedFunc proposed;
  gpointer proposed_data;
  GError *refused;
  GPtrArray *tasks, *nodes; /* ids of what goes */
};

static void
propose (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data)
{
  SwarmRestored *self = data;
  self->entry = g_bytes_ref (entry);
  self->proposed = done;
  self->proposed_data = done_data;
}

SwarmRestored *
swarm_restored_open (SwarmClock *clock, SwarmRandom *random, GBytes *snapshot, guint64 index, GError **error)
{
  g_autoptr (SwarmRestored) self = g_new0 (SwarmRestored, 1);
  self->store = swarm_store_new (clock, random, propose, self);
  self->tasks = g_ptr_array_new_with_free_func (g_free);
  self->nodes = g_ptr_array_new_with_free_func (g_free);
  if (!swarm_store_restore (self->store, index, snapshot, error)) {
    g_prefix_error (error, "the backup's state cannot be read: ");
    return NULL;
  }
  const SwarmCluster *cluster = swarm_store_cluster (self->store);
  if (cluster != NULL && cluster->root_ca != NULL && cluster->root_ca->cert != NULL && cluster->spec != NULL)
    return g_steal_pointer (&self);
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the backup's state is that of no cluster");
  return NULL;
}

void
swarm_restored_free (SwarmRestored *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->entry, g_bytes_unref);
  swarm_store_free (self->store);
  g_clear_error (&self->refused);
  g_ptr_array_unref (self->tasks);
  g_ptr_array_unref (self->nodes);
  g_free (self);
}

const SwarmCluster *
swarm_restored_cluster (SwarmRestored *self)
{
  return swarm_store_cluster (self->store);
}

static void
committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  SwarmRestored *self = data;
  if (error != NULL && self->refused == NULL)
    self->refused = g_error_copy (error);
}

static gboolean
commit (SwarmRestored *self, SwarmTx *tx, GError **error)
{
  if (swarm_tx_n_changes (tx) == 0) {
    swarm_tx_free (tx);
    return TRUE;
  }
  swarm_tx_commit (tx, NULL, committed, self);
  g_autoptr (GBytes) entry = g_steal_pointer (&self->entry);
  if (entry == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the backup's state cannot be changed");
    return FALSE;
  }
  guint64 index = swarm_store_index (self->store) + 1;
  if (!swarm_store_apply (self->store, index, entry, error)) {
    self->proposed (0, *error, self->proposed_data);
    return FALSE;
  }
  self->proposed (index, NULL, self->proposed_data);
  if (self->refused == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->refused));
  return FALSE;
}

static gboolean
note_node (gpointer object, gpointer data)
{
  g_ptr_array_add (data, g_memdup2 (&SWARM_OBJECT (object)->id, sizeof (SwarmId)));
  return TRUE;
}

static gboolean
note_task (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  return swarm_task_state_is_terminal (task->status->state) ? TRUE : note_node (object, data);
}

static gboolean
remove_all (SwarmRestored *self, SwarmKind kind, GPtrArray *ids, GError **error)
{
  for (guint i = 0; i < ids->len;) {
    SwarmTx *tx = swarm_store_tx (self->store);
    for (guint n = 0; n < SWARM_TX_MAX_CHANGES && i < ids->len; n++, i++)
      swarm_tx_remove (tx, kind, ids->pdata[i], 0);
    if (!commit (self, tx, error))
      return FALSE;
  }
  return TRUE;
}

GBytes *
swarm_restored_finish (SwarmRestored *self, const SwarmInitCluster *founder, guint64 *ret_index, GError **error)
{
  const SwarmCluster *old = swarm_store_cluster (self->store);
  g_autoptr (SwarmCluster) cluster = swarm_cluster_copy (old);
  g_autoptr (SwarmNode) node = swarm_control_make_founder (founder);
  cluster->object.id = founder->cluster;
  cluster->object.version = 0;
  cluster->restored_from = old->object.id;
  cluster->epoch++;
  swarm_store_foreach (self->store, SWARM_KIND_TASK, note_task, self->tasks);
  swarm_store_foreach (self->store, SWARM_KIND_NODE, note_node, self->nodes);
  if (!remove_all (self, SWARM_KIND_TASK, self->tasks, error) || !remove_all (self, SWARM_KIND_NODE, self->nodes, error))
    return NULL;
  SwarmTx *tx = swarm_store_tx (self->store);
  swarm_tx_remove (tx, SWARM_KIND_CLUSTER, &old->object.id, 0);
  swarm_tx_create (tx, cluster);
  swarm_tx_create (tx, node);
  if (!commit (self, tx, error))
    return NULL;
  *ret_index = swarm_store_index (self->store);
  return swarm_store_encode (self->store);
}
