// SPDX-License-Identifier: LGPL-2.1-or-later
/* The managers' key-encryption key, as the cluster declares it: with autolock one key for all of them, which lives in the replicated store
 * and in no file. */
#include "base/error.h"
#include "base/secret.h"
#include "ca/cert.h"
#include "ca/unlock-key.h"
#include "manager/control/operation.h"
#include <string.h>

static void
new_key (SwarmControl *self, SwarmCluster *cluster)
{
  guint8 raw[SWARM_UNLOCK_KEY_BYTES];
  self->random->fill (self->random, raw, sizeof raw);
  g_clear_pointer (&cluster->unlock_key, g_bytes_unref);
  cluster->unlock_key = swarm_secret_bytes (raw, sizeof raw);
  cluster->unlock_key_version++;
  explicit_bzero (raw, sizeof raw);
}

void
swarm_control_follow_encryption (SwarmControl *self, SwarmCluster *cluster)
{
  gboolean locks = cluster->spec->encryption != NULL && cluster->spec->encryption->auto_lock_managers;
  if (locks && cluster->unlock_key == NULL) {
    new_key (self, cluster);
  } else if (!locks && cluster->unlock_key != NULL) {
    g_clear_pointer (&cluster->unlock_key, g_bytes_unref);
    cluster->unlock_key_version++;
  }
}

static gboolean
fill_rotate_key (SwarmOperation *self, SwarmTx *tx, GError **error)
{
  const SwarmCluster *cluster = swarm_store_cluster (self->control->store);
  if (cluster == NULL || cluster->unlock_key == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "cannot rotate because autolock is not turned on");
    return FALSE;
  }
  g_autoptr (SwarmCluster) copy = swarm_cluster_copy (cluster);
  new_key (self->control, copy);
  g_free (self->text);
  self->text = swarm_unlock_key_format (copy->unlock_key);
  swarm_tx_update (tx, copy);
  return TRUE;
}

void
swarm_control_rotate_unlock_key (SwarmControl *self, const char *request_id, SwarmControlFunc done, gpointer data)
{
  swarm_operation_run (swarm_operation_new (self, fill_rotate_key, NULL, request_id, done, data));
}
