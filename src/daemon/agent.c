// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/agent.h"
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "base/random-system.h"
#include "ca/crypto.h"
#include "daemon/agent-private.h"
#include "daemon/creds.h"
#include "daemon/leftovers.h"
#include "daemon/disk-file.h"
#include "daemon/notify.h"
#include "daemon/units.h"
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define IDLE_CHECK_S 5

SwarmAgent *
swarm_agent_new (SwarmConfig *config)
{
  SwarmAgent *self = g_new0 (SwarmAgent, 1);
  char hostname[256] = "";
  sd_id128_t boot;
  self->config = config;
  self->loop = g_main_loop_new (NULL, FALSE);
  self->clock = swarm_clock_glib ();
  self->random = swarm_random_system ();
  self->crypto = swarm_crypto_openssl ();
  gethostname (hostname, sizeof hostname - 1);
  self->hostname = g_strdup (hostname);
  if (sd_id128_get_boot (&boot) == 0) {
    char text[SD_ID128_STRING_MAX];
    self->boot_id = g_strdup (sd_id128_to_string (boot, text));
  } else {
    self->boot_id = g_strdup ("");
  }
  self->log_sessions = g_ptr_array_new ();
  self->own_links = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  self->api = swarm_api_new (swarm_agent_hooks (), self, self->clock);
  return self;
}

static void
free_disks (SwarmAgent *self)
{
  SwarmDisk **disks[] = { &self->node_disk, &self->log_disk, &self->worker_disk };
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    g_clear_pointer (disks[i], swarm_disk_file_free);
}

void
swarm_agent_free (SwarmAgent *self)
{
  if (self == NULL)
    return;
  self->gone = TRUE;
  swarm_notify_watchdog_stop ();
  for (guint i = 0; i < G_N_ELEMENTS (self->sources); i++)
    if (self->sources[i] != 0)
      g_source_remove (self->sources[i]);
  if (self->idle_source != 0)
    g_source_remove (self->idle_source);
  if (self->role_source != 0)
    g_source_remove (self->role_source);
  self->role_source = 0;
  if (self->relay_source != 0)
    g_source_remove (self->relay_source);
  if (self->teardown_source != 0)
    g_source_remove (self->teardown_source);
  swarm_agent_stop_cluster (self);
  g_clear_pointer (&self->rpc, swarm_rpc_free);
  g_clear_pointer (&self->relays, g_ptr_array_unref);
  free_disks (self); /* calls those who wait for a write */
  swarm_agent_job_abandon (self);
  swarm_agent_recovery_abandon (self);
  swarm_agent_transfer_abandon (self);
  swarm_agent_forget_epoch (self);
  swarm_agent_unload_plugins (self);
  swarm_agent_forget_purge (self);
  swarm_units_free (self->units);
  self->api->bus = NULL;
  swarm_api_free (self->api);
  g_clear_pointer (&self->bus, swarm_bus_free);
  g_clear_pointer (&self->membership, swarm_membership_free);
  g_ptr_array_unref (self->own_links);
  g_ptr_array_unref (self->log_sessions);
  g_main_loop_unref (self->loop);
  g_free (self->hostname);
  g_free (self->boot_id);
  g_free (self->plugin_error);
  swarm_log_limit_clear (&self->audit_limit);
  g_free (self->renewal_serial);
  g_free (self->trust_digest);
  swarm_config_free (self->config);
  g_free (self);
}

/* ---- standing ---- */

void
swarm_agent_update_status (SwarmAgent *self)
{
  SwarmWorkerStatus worker = { 0 };
  if (self->membership == NULL) {
    swarm_notify_status ("In no cluster");
    return;
  }
  if (self->api->state == SWARM_LOCAL_ERROR) {
    swarm_notify_status ("Not in its place in the cluster: %s", self->api->error != NULL ? self->api->error : "unknown reason");
    return;
  }
  if (self->api->state == SWARM_LOCAL_LOCKED) {
    swarm_notify_status ("Locked: waits for `swarmctl unlock`");
    return;
  }
  if (self->api->state == SWARM_LOCAL_PENDING && self->api->error != NULL) {
    swarm_notify_status ("%s", self->api->error);
    return;
  }
  if (self->worker != NULL)
    swarm_worker_get_status (self->worker, &worker);
  const char *session = worker.session == SWARM_SESSION_REGISTERED ? "session open" : "looking for the leader";
  if (self->stack == NULL) {
    swarm_notify_status ("Worker, %s, %u tasks", session, worker.tasks);
    return;
  }
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  SwarmId leader = swarm_consensus_leader (consensus);
  const char *role = swarm_consensus_is_leader (consensus) ? "leader" : swarm_id_is_nil (&leader) ? "no leader known" : "follower";
  swarm_notify_status ("Manager (%s), %u nodes, %s, %u tasks here", role,
                       swarm_store_count (swarm_stack_store (self->stack), SWARM_KIND_NODE), session, worker.tasks);
}

/* ---- idle exit ---- */

static gboolean
check_idle (gpointer data)
{
  SwarmAgent *self = data;
  gint64 idle = swarm_clock_boottime (self->clock) - swarm_bus_last_activity (self->bus);
  if (self->membership != NULL || self->api->state != SWARM_LOCAL_INACTIVE || self->job != NULL || swarm_bus_pending_calls (self->bus) > 0
      || idle < (gint64) self->config->idle_exit_s * G_USEC_PER_SEC)
    return G_SOURCE_CONTINUE;
  self->idle_source = 0;
  swarm_notice ("In no cluster and idle for %u s: exiting; D-Bus starts the agent again when it is needed", self->config->idle_exit_s);
  swarm_bus_release_name (self->bus);
  swarm_agent_quit (self, 0);
  return G_SOURCE_REMOVE;
}

/* ---- start ---- */

static SwarmDisk *
open_disk (SwarmAgent *self, const char *name, GError **error)
{
  g_autofree char *dir = g_build_filename (self->config->state_dir, name, NULL);
  if (g_mkdir_with_parents (dir, 0700) < 0) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "cannot make %s: %s", dir, g_strerror (errno));
    return NULL;
  }
  return swarm_disk_file_new (dir, error);
}

static void
bus_lost (gpointer data)
{
  SwarmAgent *self = data;
  swarm_error_log ("The connection to the bus is lost; exiting to be started again");
  swarm_agent_quit (self, 1);
}

static gboolean
start_bus (SwarmAgent *self, GError **error)
{
  if (g_strcmp0 (self->config->bus, "none") == 0) {
    self->units = swarm_units_none ();
    return TRUE;
  }
  if (!swarm_bus_tables_check (swarm_api_wire_kinds (), error)
      || (self->bus = swarm_bus_new (self->config->bus, error)) == NULL
      || !swarm_bus_export (self->bus, SWARM_API_ROOT, swarm_api_bus_kinds (), self->api, error))
    return FALSE;
  swarm_bus_set_lost_func (self->bus, bus_lost, self);
  swarm_bus_set_filter (self->bus, swarm_agent_filter, self->api);
  swarm_bus_set_audit (self->bus, swarm_agent_audit, self->api);
  swarm_bus_set_behind (self->bus, swarm_agent_behind, self->api);
  self->api->bus = self->bus;
  self->units = swarm_units_new (self->bus);
  return TRUE;
}

static void
start_membership (SwarmAgent *self)
{
  g_autoptr (GError) error = NULL;
  self->membership = swarm_membership_load (self->node_disk, self->crypto, &error);
  if (self->membership != NULL) {
    swarm_api_set_state (self->api, SWARM_LOCAL_PENDING, NULL);
    if (!swarm_membership_is_open (self->membership))
      swarm_agent_open_keys (self);
    else if (!swarm_agent_start_cluster (self, &error))
      swarm_agent_no_place (self, error);
  } else if (error != NULL) {
    swarm_agent_no_place (self, error);
  }
}

void
swarm_agent_no_place (SwarmAgent *self, const GError *error)
{
  /* The agent stays up to tell: `swarmctl info` shows the reason, `swarmctl leave --force` starts over. */
  swarm_log (LOG_CRIT, swarm_log_id_not_in_place, NULL, "This node cannot take its place in the cluster: %s", error->message);
  swarm_agent_stop_cluster (self);
  swarm_api_set_state (self->api, SWARM_LOCAL_ERROR, error->message);
}

gboolean
swarm_agent_start (SwarmAgent *self, GError **error)
{
  swarm_leftovers_forget (self->config->state_dir);
  swarm_creds_clean (self->config->runtime_dir);
  if ((self->node_disk = open_disk (self, "node", error)) == NULL || (self->log_disk = open_disk (self, "log", error)) == NULL
      || (self->worker_disk = open_disk (self, "worker", error)) == NULL || !start_bus (self, error))
    return FALSE;
  swarm_agent_load_plugins (self);
  start_membership (self);
  if (self->bus != NULL) {
    if (!swarm_bus_own_name (self->bus, SWARM_API_BUS_NAME, error))
      return FALSE;
    if (self->config->idle_exit_s > 0)
      self->idle_source = g_timeout_add_seconds (MIN (IDLE_CHECK_S, self->config->idle_exit_s), check_idle, self);
  }
  swarm_agent_update_status (self);
  swarm_notify_ready ();
  swarm_notify_watchdog_start ();
  if (self->membership == NULL && self->config->init)
    swarm_agent_init_from_command_line (self);
  else if (self->membership == NULL && self->config->join != NULL)
    swarm_agent_join_from_command_line (self);
  return TRUE;
}

/* ---- run and stop ---- */

void
swarm_agent_quit (SwarmAgent *self, int status)
{
  self->status = MAX (self->status, status);
  g_main_loop_quit (self->loop);
}

static void
said_goodbye (gpointer data)
{
  swarm_agent_quit (data, 0);
}

static void
say_goodbye (SwarmAgent *self, gboolean host_shutdown)
{
  if (swarm_agent_is_leaving (self))
    return; /* that is the better goodbye; it is waited for, and bounded */
  if (self->worker != NULL)
    swarm_worker_goodbye (self->worker, host_shutdown, said_goodbye, self);
  else
    swarm_agent_quit (self, 0);
}

static void
got_system_state (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  SwarmAgent *self = data;
  gboolean stopping = FALSE;
  if (reply != NULL) {
    g_autoptr (GVariant) value = NULL;
    g_variant_get (reply, "(v)", &value);
    stopping = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) && strcmp (g_variant_get_string (value, NULL), "stopping") == 0;
  }
  say_goodbye (self, stopping);
}

static gboolean
on_signal (gpointer data)
{
  SwarmAgent *self = data;
  if (self->stopping) {
    swarm_agent_quit (self, 0); /* asked twice: do not wait */
    return G_SOURCE_CONTINUE;
  }
  self->stopping = TRUE;
  swarm_notify_stopping ();
  swarm_info ("Stopping; tasks go on");
  if (self->bus != NULL && self->worker != NULL)
    swarm_bus_call (self->bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties", "Get",
                    g_variant_new ("(ss)", "org.freedesktop.systemd1.Manager", "SystemState"), 1000, NULL, got_system_state, self);
  else
    say_goodbye (self, FALSE);
  return G_SOURCE_CONTINUE;
}

int
swarm_agent_run (SwarmAgent *self)
{
  self->sources[0] = g_unix_signal_add (SIGTERM, on_signal, self);
  self->sources[1] = g_unix_signal_add (SIGINT, on_signal, self);
  g_main_loop_run (self->loop);
  return self->status;
}
