// SPDX-License-Identifier: LGPL-2.1-or-later
/* The manager's keys follow what the cluster declares (autolock, seal), and are opened at the start. See keys.h. */
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "ca/unlock-key.h"
#include "daemon/agent-private.h"
#include "daemon/creds.h"

#define RETRY_S 60

/* ---- following the cluster ---- */

static void follow (SwarmAgent *self);

static SwarmKeysMode
wanted_mode (const SwarmCluster *cluster)
{
  const SwarmEncryptionConfig *config = cluster->spec->encryption;
  if (cluster->unlock_key != NULL)
    return SWARM_KEYS_LOCKED;
  return config != NULL && config->seal != NULL && *config->seal != '\0' ? SWARM_KEYS_SEALED : SWARM_KEYS_FILE;
}

static const SwarmCluster *
present_cluster (SwarmAgent *self)
{
  return self->stack != NULL && self->membership != NULL && self->membership->keys != NULL
             ? swarm_store_cluster (swarm_stack_store (self->stack))
             : NULL;
}

/* One change of the keys under way. The membership may end meanwhile: then its answer means nothing. The manager's part may be started anew
 * (init --force-new-cluster): then another change may have begun, and this one is not gone on with. */
typedef struct {
  SwarmAgent *agent;
  guint membership;
  guint watch;
  SwarmKeysMode mode;
  guint64 version;
  GBytes *kek;
} KeyChange;

static SwarmAgent *
change_end (KeyChange *change)
{
  SwarmAgent *self = change->agent;
  gboolean holds = !self->gone && change->membership == self->memberships && self->membership != NULL;
  if (holds && change->watch == self->keys_watches)
    self->changing_keys = FALSE;
  g_bytes_unref (change->kek);
  g_free (change);
  return holds ? self : NULL;
}

static gboolean
follow_again (gpointer data)
{
  SwarmAgent *self = data;
  self->keys_source = 0;
  follow (self);
  return G_SOURCE_REMOVE;
}

static void
follow_later (SwarmAgent *self, guint seconds)
{
  if (self->keys_source == 0)
    self->keys_source = seconds > 0 ? g_timeout_add_seconds (seconds, follow_again, self) : g_idle_add (follow_again, self);
}

static void
change_written (const GError *error, gpointer data)
{
  KeyChange *change = data;
  SwarmKeysMode mode = change->mode;
  SwarmAgent *self = change_end (change);
  if (self == NULL || self->membership->keys == NULL)
    return;
  if (error != NULL) {
    swarm_agent_node_disk_failed (self, error);
    return;
  }
  static const char *const texts[] = { "are kept in a file of this host", "are locked: after a start this manager waits for `swarmctl unlock`",
                                       "are sealed to this host by systemd-creds" };
  swarm_log (LOG_NOTICE, swarm_log_id_keys_changed, NULL, "This manager's keys %s (version %" G_GUINT64_FORMAT ")", texts[mode], self->membership->keys->version);
  if (self->stack != NULL)
    swarm_consensus_set_key (swarm_stack_consensus (self->stack), self->membership->keys->data_number, self->membership->keys->data_key);
  follow_later (self, 0);
}

static void
change_keys (KeyChange *change, GBytes *sealed_kek)
{
  SwarmAgent *self = change->agent;
  SwarmKeys *keys = self->membership->keys;
  keys->mode = change->mode;
  keys->version = change->version;
  g_bytes_unref (keys->kek);
  keys->kek = g_bytes_ref (change->kek);
  g_clear_pointer (&keys->sealed_kek, g_bytes_unref);
  keys->sealed_kek = sealed_kek != NULL ? g_bytes_ref (sealed_kek) : NULL;
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  if (!swarm_consensus_uses_old_key (consensus))
    swarm_membership_new_data_key (self->membership, swarm_consensus_key_number (consensus), self->random);
  swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, change_written, change);
}

static void
kek_sealed (GBytes *sealed, const GError *error, gpointer data)
{
  KeyChange *change = data;
  SwarmAgent *self = change->agent;
  if (error == NULL && !self->gone && change->membership == self->memberships && change->watch == self->keys_watches
      && present_cluster (self) != NULL) {
    change_keys (change, sealed);
    return;
  }
  self = change_end (change);
  if (self == NULL || error == NULL)
    return;
  swarm_error_log ("This manager's keys cannot be sealed by systemd-creds and stay as they are: %s; trying again in %d s", error->message, RETRY_S);
  follow_later (self, RETRY_S);
}

static void
follow (SwarmAgent *self)
{
  const SwarmCluster *cluster = present_cluster (self);
  if (cluster == NULL || self->changing_keys)
    return;
  const SwarmKeys *keys = self->membership->keys;
  SwarmKeysMode mode = wanted_mode (cluster);
  if (keys->mode == mode && keys->version == cluster->unlock_key_version)
    return;
  KeyChange *change = g_new0 (KeyChange, 1);
  *change = (KeyChange){ self, self->memberships, self->keys_watches, mode, cluster->unlock_key_version, NULL };
  change->kek = mode == SWARM_KEYS_LOCKED ? g_bytes_ref (cluster->unlock_key) : swarm_membership_new_key (self->random);
  self->changing_keys = TRUE;
  if (mode == SWARM_KEYS_SEALED)
    swarm_creds_seal (self->units, self->config->runtime_dir, change->kek, kek_sealed, change);
  else
    change_keys (change, NULL);
}

/* The store is being written to: only noted here. */
static void
cluster_event (const SwarmEvent *event, gpointer data)
{
  if (event->event != SWARM_EVENT_COMMIT)
    follow_later (data, 0);
}

void
swarm_agent_watch_keys (SwarmAgent *self)
{
  self->keys_watches++;
  self->keys_watch = swarm_store_watch (swarm_stack_store (self->stack), 1 << SWARM_KIND_CLUSTER, cluster_event, self);
  follow_later (self, 0);
}

void
swarm_agent_unwatch_keys (SwarmAgent *self)
{
  if (self->keys_watch != 0)
    swarm_store_unwatch (swarm_stack_store (self->stack), self->keys_watch);
  self->keys_watch = 0;
  if (self->keys_source != 0)
    g_source_remove (self->keys_source);
  self->keys_source = 0;
  self->changing_keys = FALSE;
}

/* ---- opening them at the start ---- */

static void
kek_unsealed (GBytes *kek, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  g_autoptr (GError) local = NULL;
  if (self->gone || self->membership == NULL || self->membership->keys == NULL || swarm_membership_is_open (self->membership))
    return;
  if (error != NULL)
    local = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED,
                         "the keys of this manager are sealed to a host by systemd-creds, and this one does not open them: %s "
                         "(let this manager leave with --force and join again, or restore a backup)",
                         error->message);
  else if (swarm_membership_open (self->membership, self->crypto, kek, &local) && swarm_agent_start_cluster (self, &local)) {
    swarm_agent_update_status (self);
    return;
  }
  swarm_agent_no_place (self, local);
}

void
swarm_agent_open_keys (SwarmAgent *self)
{
  swarm_api_set_identity (self->api, &self->membership->node, &self->membership->cluster, NULL);
  if (self->membership->keys->mode == SWARM_KEYS_SEALED) {
    swarm_creds_unseal (self->units, self->config->runtime_dir, self->membership->keys->sealed_kek, kek_unsealed, self);
    return;
  }
  swarm_log (LOG_NOTICE, swarm_log_id_manager_locked, NULL, "This manager's keys are locked (version %" G_GUINT64_FORMAT "): it waits for `swarmctl unlock`",
             self->membership->keys->version);
  swarm_api_set_state (self->api, SWARM_LOCAL_LOCKED, NULL);
}

void
swarm_agent_unlock (gpointer agent, const char *text, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) key = NULL;
  if (self->membership == NULL)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "This node is not part of a swarm");
  else if (self->api->state != SWARM_LOCAL_LOCKED)
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "swarm is not locked");
  else if ((key = swarm_unlock_key_parse (text, &error)) != NULL && swarm_membership_open (self->membership, self->crypto, key, &error)) {
    swarm_log (LOG_NOTICE, swarm_log_id_manager_unlocked, NULL, "This manager is unlocked");
    swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
    if (!swarm_agent_start_cluster (self, &error))
      swarm_agent_no_place (self, error);
  }
  if (error != NULL)
    swarm_invocation_fail (invocation, error);
  else
    swarm_invocation_return (invocation, NULL);
  swarm_agent_update_status (self);
}
