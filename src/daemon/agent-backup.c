// SPDX-License-Identifier: LGPL-2.1-or-later
/* backup and restore: files come and go as descriptors, bytes are sealed and opened on a thread. */
#include "base/error.h"
#include "base/log.h"
#include "ca/cert.h"
#include "ca/kdf.h"
#include "ca/token.h"
#include "daemon/address.h"
#include "daemon/agent-private.h"
#include "daemon/backup-file.h"
#include "manager/control/restored.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PASSPHRASE_WAIT_MS 60000
/* A pipe that nobody reads shall not hold up the next backup. */
#define STILL_MS 60000
#define IN_ALL_US (30 * 60 * (gint64) G_USEC_PER_SEC)
#define SCRYPT_LOG_N 15 /* 32 MiB, a tenth of a second */
#define SCRYPT_R 8
#define SCRYPT_P 1

struct _SwarmTransfer {
  SwarmAgent *agent; /* NULL: gone; not for the thread */
  SwarmCrypto *crypto;
  SwarmInvocation *invocation;
  gboolean restoring;
  int file, passphrase;
  SwarmBackupPatience patience;
  gint64 stale_since; /* backup: µs since 1970: no leader confirmed it since; 0: it is current */
  SwarmBackupHeader header;
  SwarmSnapshot *snapshot; /* backup */
  guint64 bytes;           /* written */
  GBytes *state;           /* restore: what was read */
  char *listen, *advertise;
};

static void
transfer_free (gpointer data)
{
  SwarmTransfer *transfer = data;
  if (transfer->file >= 0)
    close (transfer->file);
  if (transfer->passphrase >= 0)
    close (transfer->passphrase);
  g_clear_pointer (&transfer->snapshot, swarm_snapshot_free);
  g_clear_pointer (&transfer->state, g_bytes_unref);
  g_free (transfer->listen);
  g_free (transfer->advertise);
  g_free (transfer);
}

/* ---- on the thread ---- */

static gboolean
fail_errno (GError **error, const char *what)
{
  int code = errno;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "%s: %s", what, g_strerror (code));
  return FALSE;
}

static GBytes *
derive_key (const SwarmBackupHeader *header, gpointer user, GError **error)
{
  SwarmTransfer *transfer = user;
  g_autoptr (GBytes) passphrase = swarm_backup_read_passphrase (transfer->passphrase, PASSPHRASE_WAIT_MS, error);
  return passphrase != NULL
             ? swarm_kdf_scrypt (passphrase, header->salt, sizeof header->salt, header->log_n, header->r, header->p, error)
             : NULL;
}

static gboolean
write_file (gconstpointer data, gsize len, gpointer user, GError **error)
{
  SwarmTransfer *transfer = user;
  transfer->bytes += len;
  return swarm_backup_write_fd (transfer->file, data, len, &transfer->patience, error);
}

static gssize
read_file (gpointer data, gsize len, gpointer user, GError **error)
{
  SwarmTransfer *transfer = user;
  return swarm_backup_read_fd (transfer->file, data, len, &transfer->patience, error);
}

static gboolean
write_backup (SwarmTransfer *transfer, GError **error)
{
  g_autoptr (GBytes) key = derive_key (&transfer->header, transfer, error);
  if (key == NULL)
    return FALSE;
  g_autoptr (GBytes) state = swarm_snapshot_encode (transfer->snapshot);
  g_clear_pointer (&transfer->snapshot, swarm_snapshot_free);
  if (!swarm_backup_write (transfer->crypto, &transfer->header, key, state, write_file, transfer, error))
    return FALSE;
  /* A pipe cannot be synced, and need not be. */
  return fsync (transfer->file) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP || fail_errno (error, "cannot write the backup");
}

static void
transfer_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  SwarmTransfer *transfer = data;
  GError *error = NULL;
  gboolean ok;
  transfer->patience = (SwarmBackupPatience){ STILL_MS, g_get_monotonic_time () + IN_ALL_US };
  if (transfer->restoring) {
    transfer->state = swarm_backup_read (transfer->crypto, read_file, derive_key, transfer, &transfer->header, &error);
    ok = transfer->state != NULL;
  } else {
    ok = write_backup (transfer, &error);
  }
  if (ok)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* The descriptor that argument @index names, as a new one; -1: error. */
static int
take_fd (SwarmInvocation *invocation, guint index, GError **error)
{
  GUnixFDList *fds = swarm_invocation_fds (invocation);
  gint32 handle;
  g_variant_get_child (swarm_invocation_args (invocation), index, "h", &handle);
  if (fds != NULL && handle < g_unix_fd_list_get_length (fds))
    return g_unix_fd_list_get (fds, handle, error);
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "a descriptor is missing");
  return -1;
}

static SwarmTransfer *
transfer_new (SwarmAgent *self, SwarmInvocation *invocation, gboolean restoring, GError **error)
{
  SwarmTransfer *transfer = g_new0 (SwarmTransfer, 1);
  *transfer = (SwarmTransfer){ .agent = self, .crypto = self->crypto, .invocation = invocation, .restoring = restoring, .file = -1, .passphrase = -1 };
  if ((transfer->file = take_fd (invocation, 0, error)) >= 0 && (transfer->passphrase = take_fd (invocation, 1, error)) >= 0)
    return transfer;
  transfer_free (transfer);
  return NULL;
}

static void
transfer_start (SwarmTransfer *transfer, GAsyncReadyCallback done)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, done, NULL);
  transfer->agent->transfer = transfer;
  g_task_set_task_data (task, transfer, transfer_free);
  g_task_run_in_thread (task, transfer_thread);
}

void
swarm_agent_transfer_abandon (SwarmAgent *self)
{
  SwarmTransfer *transfer = g_steal_pointer (&self->transfer);
  if (transfer == NULL)
    return;
  transfer->agent = NULL; /* its thread's answer is dropped */
  if (transfer->invocation != NULL)
    swarm_invocation_fail_literal (transfer->invocation, SWARM_ERROR_CANCELLED, "The agent stops.");
}

gboolean
swarm_agent_is_restoring (SwarmAgent *self)
{
  return self->transfer != NULL && self->transfer->restoring;
}

static gboolean
check_idle (SwarmAgent *self, GError **error)
{
  if (self->transfer == NULL)
    return TRUE;
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "Another backup or restore is under way on this node; wait for it to end.");
  return FALSE;
}

static char *
time_text (gint64 at)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (at / G_USEC_PER_SEC);
  return time != NULL ? g_date_time_format_iso8601 (time) : g_strdup ("an unknown time");
}

/* ---- backup ---- */

static void
backup_written (GObject *source, GAsyncResult *result, gpointer data)
{
  SwarmTransfer *transfer = g_task_get_task_data (G_TASK (result));
  SwarmAgent *self = transfer->agent;
  g_autoptr (GError) error = NULL;
  gboolean ok = g_task_propagate_boolean (G_TASK (result), &error);
  if (self == NULL)
    return;
  self->transfer = NULL;
  if (!ok) {
    swarm_warning ("The backup failed: %s", error->message);
    swarm_invocation_fail (transfer->invocation, error);
    return;
  }
  g_autofree char *as_of = time_text (transfer->header.as_of);
  swarm_notice ("A backup was made: the cluster as of index %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT " bytes%s%s", transfer->header.index,
                transfer->bytes, transfer->stale_since != 0 ? ", without a leader: what this manager knew at " : "",
                transfer->stale_since != 0 ? as_of : "");
  swarm_invocation_return (transfer->invocation, g_variant_new ("(ttx)", transfer->header.index, transfer->bytes, transfer->stale_since));
}

/* It has what the leader has; or, with @stale, there is none that it could ask: then it is better than no backup, and says how old it is. */
static void
backup_begin (const GError *stale, gpointer data)
{
  SwarmTransfer *transfer = data;
  SwarmAgent *self = transfer->agent;
  if (self == NULL || self->stack == NULL) {
    g_autoptr (GError) error = self != NULL ? swarm_api_not_manager_error (self->api) : NULL;
    if (self != NULL) {
      self->transfer = NULL;
      swarm_invocation_fail (transfer->invocation, error);
    }
    transfer_free (transfer);
    return;
  }
  SwarmStore *store = swarm_stack_store (self->stack);
  transfer->stale_since = stale != NULL ? swarm_agent_known_at (self) : 0;
  transfer->header = (SwarmBackupHeader){ .cluster = self->membership->cluster, .index = swarm_store_index (store),
                                          .as_of = stale != NULL ? transfer->stale_since : swarm_clock_now (self->clock),
                                          .log_n = SCRYPT_LOG_N, .r = SCRYPT_R, .p = SCRYPT_P, .level = swarm_store_level_used (store) };
  self->random->fill (self->random, transfer->header.salt, sizeof transfer->header.salt);
  transfer->snapshot = swarm_store_snapshot (store);
  transfer_start (transfer, backup_written);
}

void
swarm_agent_backup (gpointer agent, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  g_autoptr (GError) error = NULL;
  SwarmTransfer *transfer = check_idle (self, &error) ? transfer_new (self, invocation, FALSE, &error) : NULL;
  if (transfer == NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  self->transfer = transfer;
  swarm_agent_catch_up (self, backup_begin, transfer);
}

/* ---- restore ---- */

static void
restore_fail (SwarmTransfer *transfer, const GError *error)
{
  swarm_warning ("The restore failed: %s", error->message);
  swarm_invocation_fail (transfer->invocation, error);
  transfer->agent->transfer = NULL;
}

/* What was begun is taken back; @data is a GTask that keeps the transfer. */
static void
taken_back (gpointer data)
{
  g_autoptr (GTask) task = data;
  SwarmTransfer *transfer = g_task_get_task_data (task);
  g_autoptr (GError) error = g_error_copy (g_object_get_data (G_OBJECT (task), "error"));
  if (transfer->agent != NULL)
    restore_fail (transfer, error);
}

static void
take_back (GTask *task, const GError *error)
{
  SwarmTransfer *transfer = g_task_get_task_data (task);
  g_object_set_data_full (G_OBJECT (task), "error", g_error_copy (error), (GDestroyNotify) g_error_free);
  swarm_agent_forget_cluster (transfer->agent, taken_back, task);
}

/* NULL: the agent stopped meanwhile, @task is gone. */
static SwarmAgent *
restoring_agent (GTask *task)
{
  SwarmTransfer *transfer = g_task_get_task_data (task);
  SwarmAgent *self = transfer->agent;
  if (self == NULL)
    g_object_unref (task);
  return self;
}

static void
membership_written (const GError *error, gpointer data)
{
  GTask *task = data;
  SwarmAgent *self = restoring_agent (task);
  g_autoptr (GError) local = NULL;
  if (self == NULL)
    return;
  SwarmTransfer *transfer = self->transfer;
  if (error != NULL || !swarm_agent_start_worker (self, &local)) {
    take_back (task, error != NULL ? error : local);
    return;
  }
  g_autofree char *as_of = time_text (transfer->header.as_of);
  swarm_notice ("This node is the manager of cluster %s, restored from a backup of cluster %s as of index %" G_GUINT64_FORMAT " and %s",
                swarm_id_string (&self->membership->cluster).str, swarm_id_string (&transfer->header.cluster).str, transfer->header.index, as_of);
  swarm_api_set_state (self->api, SWARM_LOCAL_ACTIVE, NULL);
  swarm_agent_update_status (self);
  swarm_invocation_return (transfer->invocation, g_variant_new ("(s)", swarm_id_string (&self->membership->node).str));
  self->transfer = NULL;
  g_object_unref (task);
}

static void
log_written (const GError *error, gpointer data)
{
  GTask *task = data;
  SwarmAgent *self = restoring_agent (task);
  g_autoptr (GError) local = NULL;
  if (self == NULL)
    return;
  if (error != NULL || !swarm_agent_use_credentials (self, &local) || !swarm_agent_start_manager (self, FALSE, &local))
    take_back (task, error != NULL ? error : local);
  else
    swarm_membership_store (self->membership, self->node_disk, self->crypto, self->random, membership_written, task);
}

/* Ids, key and certificate of the founder; the root is the cluster's of before. */
static gboolean
found_anew (SwarmAgent *self, SwarmRestored *restored, SwarmInitCluster *init, SwarmCertInfo *info, GError **error)
{
  const SwarmCluster *cluster = swarm_restored_cluster (restored);
  SwarmMembership *membership = self->membership;
  SwarmAuthority authority = { self->crypto, self->clock, self->random };
  SwarmAuthorityState state = { .root_cert_pem = cluster->root_ca->cert, .root_key_pem = cluster->root_ca->key };
  g_autofree char *csr = NULL;
  g_auto (SwarmIssued) issued = { 0 };
  if (state.root_key_pem == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                         "the backup does not hold the root's key, which is kept elsewhere: no certificate can be issued here");
    return FALSE;
  }
  membership->node = swarm_random_id (self->random);
  membership->cluster = state.cluster = swarm_random_id (self->random);
  membership->manager = TRUE;
  membership->epoch = cluster->epoch + 1;
  membership->root_cert = g_strdup (cluster->root_ca->cert);
  swarm_membership_make_keys (membership, self->random);
  if ((membership->key = swarm_cert_create_key (error)) == NULL || (csr = swarm_cert_create_csr (membership->key, error)) == NULL
      || !swarm_authority_issue (&authority, &state, &membership->node, SWARM_PEER_MANAGER, csr, &issued, error))
    return FALSE;
  membership->cert = g_steal_pointer (&issued.cert_pem);
  *info = issued.info;
  *init = (SwarmInitCluster){ .cluster = membership->cluster, .node = membership->node, .cert_serial = info->peer.serial, .cert_key = info->key,
                              .root_digest = cluster->root_ca->digest,
                              .cert_not_before = info->not_before, .cert_not_after = info->not_after, .addr = membership->advertise, .availability = SWARM_AVAILABILITY_ACTIVE };
  return TRUE;
}

static gboolean
restore_state (SwarmTransfer *transfer, GArray **ret_ops, GError **error)
{
  SwarmAgent *self = transfer->agent;
  SwarmInitCluster init;
  SwarmCertInfo info;
  guint64 index;
  g_autoptr (SwarmNodeDescription) description = swarm_describe_node (self->hostname, self->config->labels, self->config->things, self->network);
  g_autoptr (SwarmRestored) restored = swarm_restored_open (self->clock, self->random, transfer->state, transfer->header.index, error);
  g_clear_pointer (&transfer->state, g_bytes_unref); /* each of these may be very large */
  if (restored == NULL || !found_anew (self, restored, &init, &info, error))
    return FALSE;
  init.description = description;
  g_autoptr (GBytes) state = swarm_restored_finish (restored, &init, &index, error);
  g_clear_pointer (&restored, swarm_restored_free);
  if (state == NULL)
    return FALSE;
  SwarmConsensusConfig config = { .clock = self->clock, .random = self->random, .disk = self->log_disk, .crypto = self->crypto,
                                  .key = self->membership->keys->data_key, .key_number = self->membership->keys->data_number,
                                  .node = self->membership->node, .cluster = self->membership->cluster };
  *ret_ops = swarm_consensus_make_log (&config, self->membership->advertise, index, state);
  return TRUE;
}

static void
backup_read (GObject *source, GAsyncResult *result, gpointer data)
{
  GTask *task = G_TASK (result);
  SwarmTransfer *transfer = g_task_get_task_data (task);
  SwarmAgent *self = transfer->agent;
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmMembership) membership = swarm_membership_new ();
  GArray *ops = NULL;
  gboolean ok = g_task_propagate_boolean (task, &error);
  if (self == NULL)
    return;
  if (ok && (self->membership != NULL || self->job != NULL))
    error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "this node became part of a swarm meanwhile");
  if (error == NULL)
    membership->listen = swarm_address_listen (transfer->listen != NULL ? transfer->listen : self->config->listen, &error);
  if (membership->listen != NULL)
    membership->advertise = swarm_address_advertise (transfer->advertise != NULL ? transfer->advertise : self->config->advertise, membership->listen,
                                                     NULL, &error);
  if (membership->advertise == NULL) {
    restore_fail (transfer, error);
    return;
  }
  g_ptr_array_add (membership->managers, g_strdup (membership->advertise));
  self->membership = g_steal_pointer (&membership);
  swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
  if (!restore_state (transfer, &ops, &error)) {
    take_back (g_object_ref (task), error);
    return;
  }
  swarm_api_set_identity (self->api, &self->membership->node, &self->membership->cluster, NULL);
  self->log_disk->submit (self->log_disk, ops, log_written, g_object_ref (task));
}

void
swarm_agent_restore (gpointer agent, GVariant *options, SwarmInvocation *invocation)
{
  static const char *const allowed[] = { "AdvertiseAddr:s", "ListenAddr:s", NULL };
  SwarmAgent *self = agent;
  g_autoptr (GError) error = NULL;
  SwarmTransfer *transfer = NULL;
  if (!swarm_agent_may_begin (self, invocation))
    return;
  if (swarm_api_check_options (options, allowed, &error) && check_idle (self, &error))
    transfer = transfer_new (self, invocation, TRUE, &error);
  if (transfer == NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  g_variant_lookup (options, "ListenAddr", "s", &transfer->listen);
  g_variant_lookup (options, "AdvertiseAddr", "s", &transfer->advertise);
  transfer_start (transfer, backup_read);
}
