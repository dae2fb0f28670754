// SPDX-License-Identifier: LGPL-2.1-or-later
/* For test-worker: a worker on simulated time, disk and network, with runtime-sim, and the managers played here. */
#pragma once
#include "base/error.h"
#include "base/log.h"
#include "runtime-sim.h"
#include "sim/sim-disk.h"
#include "sim/sim-net.h"
#include "worker/record.h"
#include "worker/worker.h"
#include <string.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_network_host;

#define SECOND G_USEC_PER_SEC
#define MANAGERS 2

typedef struct _Bed Bed;

/* A manager as far as a worker sees it. */
typedef struct {
  Bed *bed;
  SimHost *host;
  SwarmId node;
  char address[32];
  gboolean leads;
  gboolean refuses_status;
  gboolean forgets_session; /* answers beats and status with NotFound, once */
  guint registrations;
  char *described; /* the host's name, as the worker described itself last */
  gboolean refuses_beat_links;
  guint beats;
  guint timed_beats;  /* that told the node's clock */
  gint64 beat_delay;  /* until a beat is answered */
  guint reports;
  SwarmId refused_task; /* what is said about it is not taken; nil: none */
  guint goodbyes;
  SwarmLink *control;
  GPtrArray *links;
  guint8 session[16];
  guint64 sequence;
} Manager;

struct _Bed {
  guint max_tasks; /* of agents started from now on */
  SimClock *clock;
  SimRandom random;
  SimNet *net;
  SimDisk *disk;
  SimHost *host;
  SimHost *dead; /* of a manager without power */
  Manager managers[MANAGERS];
  gboolean one_manager; /* only the first is said to be one */
  SwarmId node;
  SwarmPlugin *plugin;
  SwarmPlugin *network_plugin;
  SwarmRuntimeHost *runtime;
  SwarmNetworkHost *network;
  SwarmWorker *worker;
  char boot[32];
  const char *hostname;
  GHashTable *tasks;  /* &id → SwarmTask as the leader has it, with the committed status */
  GString *history;   /* "accepted preparing …" of all reports */
  guint assign_errors;
  GError *last_error;
  guint session_changes;
  guint goodbyes_done;
};

/* Of the agents started from now on. */
static void (*bed_picture_changed) (const SwarmPictureChange *change, gpointer data);
/* Answers what a worker calls beside the usual; FALSE: it does not. */
static gboolean (*bed_dispatcher_call) (Manager *manager, SwarmCall *call);

static const char *
runtime_config (const char *plugin, const char *key, gpointer data)
{
  Bed *bed = data;

  if (strcmp (key, "Host") == 0)
    return "worker";
  return strcmp (key, "Boot") == 0 ? bed->boot : NULL;
}

/* ---- the managers ---- */

static Manager *
leader_of (Bed *bed)
{
  for (guint i = 0; i < MANAGERS; i++) {
    if (bed->managers[i].leads)
      return &bed->managers[i];
  }
  return NULL;
}

static GVariant *
ay (gconstpointer data, gsize length)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, length, 1);
}

static GVariant *
managers_variant (Bed *bed)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(ays)"));
  for (guint i = 0; i < (bed->one_manager ? 1 : MANAGERS); i++)
    g_variant_builder_add (&builder, "(@ays)", ay (bed->managers[i].node.bytes, 16), bed->managers[i].address);
  if (bed->dead != NULL)
    g_variant_builder_add (&builder, "(@ays)", ay ("0123456789abcdef", 16), "10.0.0.8:2377");
  return g_variant_builder_end (&builder);
}

static GVariant *
leader_variant (Bed *bed)
{
  Manager *leader = leader_of (bed);

  return leader != NULL ? ay (leader->node.bytes, 16) : ay ("", 0);
}

static void
on_assigned (GVariant *reply, const GError *error, gpointer data)
{
  Bed *bed = data;

  if (error == NULL)
    return;
  bed->assign_errors++;
  g_clear_error (&bed->last_error);
  bed->last_error = g_error_copy (error);
}

static GVariant *
task_variant (const SwarmTask *task)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (task);

  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

static void
send_assign (Manager *manager, guint64 sequence, gboolean full, GPtrArray *tasks, const SwarmId *removed)
{
  GVariantBuilder set, gone;

  g_variant_builder_init (&set, G_VARIANT_TYPE ("aay"));
  for (guint i = 0; tasks != NULL && i < tasks->len; i++)
    g_variant_builder_add_value (&set, task_variant (g_ptr_array_index (tasks, i)));
  g_variant_builder_init (&gone, G_VARIANT_TYPE ("aay"));
  if (removed != NULL)
    g_variant_builder_add_value (&gone, ay (removed->bytes, 16));
  swarm_link_call (manager->control, "org.swarmagent1.Worker", "Assign",
                   g_variant_new ("(@aytb@aay@aay)", ay (manager->session, 16), sequence, full, g_variant_builder_end (&set),
                                  g_variant_builder_end (&gone)),
                   5 * SECOND, on_assigned, manager->bed);
}

static void
send_full (Manager *manager)
{
  g_autoptr (GPtrArray) set = g_ptr_array_new ();
  GHashTableIter iter;
  SwarmTask *task;

  g_hash_table_iter_init (&iter, manager->bed->tasks);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &task)) {
    if (!swarm_task_state_is_terminal (task->status->state))
      g_ptr_array_add (set, task);
  }
  manager->sequence = 1;
  send_assign (manager, 1, TRUE, set, NULL);
}

static void
take_description (Manager *self, GVariant *args, gsize index)
{
  g_autoptr (GVariant) value = g_variant_get_child_value (args, index);
  g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr (SwarmNodeDescription) description = swarm_message_decode (&swarm_node_description_type, bytes, NULL);
  g_assert_nonnull (description);
  swarm_string_set (&self->described, description->hostname);
}

static void
take_register (Manager *self, SwarmLink *link, SwarmCall *call)
{
  g_assert_cmpstr (g_variant_get_type_string (call->args), ==, "(aysay)");
  self->registrations++;
  take_description (self, call->args, 0);
  if (!self->leads) {
    swarm_call_return (call, g_variant_new ("(@ayx@a(ays)@ay)", ay ("", 0), G_GINT64_CONSTANT (0), managers_variant (self->bed),
                                            leader_variant (self->bed)));
    return;
  }
  g_clear_pointer (&self->control, swarm_link_unref);
  self->control = swarm_link_ref (link);
  memset (self->session, (int) self->registrations, 16);
  swarm_call_return (call, g_variant_new ("(@ayx@a(ays)@ay)", ay (self->session, 16), G_GINT64_CONSTANT (1000000000),
                                          managers_variant (self->bed), leader_variant (self->bed)));
  send_full (self);
}

static void
commit_status (Bed *bed, const SwarmId *id, SwarmTaskStatus *status)
{
  SwarmTask *task = g_hash_table_lookup (bed->tasks, id);
  SwarmTask *copy;

  if (task == NULL)
    return;
  g_assert_cmpint (status->state, >=, task->status->state);
  if (swarm_task_state_is_terminal (task->status->state))
    g_assert_cmpint (status->state, ==, task->status->state);
  if (status->state != task->status->state)
    g_string_append_printf (bed->history, "%s ", swarm_task_state_to_string (status->state));
  copy = swarm_task_copy (task);
  swarm_message_unref (copy->status);
  copy->status = swarm_task_status_ref (status);
  g_hash_table_replace (bed->tasks, &copy->object.id, copy);
}

static void
take_status (Manager *self, SwarmCall *call)
{
  g_autoptr (GVariant) session = NULL;
  g_autoptr (GVariant) updates = NULL;

  if (self->refuses_status) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, "no quorum");
    swarm_call_fail (call, error);
    return;
  }
  GVariantBuilder refused;
  g_variant_builder_init (&refused, G_VARIANT_TYPE ("a(ays)"));
  g_variant_get (call->args, "(@ay@a(ayay))", &session, &updates);
  for (gsize i = 0; i < g_variant_n_children (updates); i++) {
    g_autoptr (GVariant) id = NULL;
    g_autoptr (GVariant) value = NULL;
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (SwarmTaskStatus) status = NULL;
    SwarmId key;

    g_variant_get_child (updates, i, "(@ay@ay)", &id, &value);
    memcpy (key.bytes, g_variant_get_data (id), 16);
    bytes = g_variant_get_data_as_bytes (value);
    status = swarm_message_decode (&swarm_task_status_type, bytes, NULL);
    g_assert_nonnull (status);
    self->reports++;
    if (swarm_id_equal (&key, &self->refused_task))
      g_variant_builder_add (&refused, "(@ays)", id, "it is not believed");
    else
      commit_status (self->bed, &key, status);
  }
  swarm_call_return (call, g_variant_new ("(a(ays))", &refused));
}

static void
answer_beat (gpointer data)
{
  swarm_call_return (data, g_variant_new ("(x)", G_GINT64_CONSTANT (1000000000)));
}

static void
take_beat (Manager *self, SwarmCall *call)
{
  gint64 time;

  self->beats++;
  g_variant_get_child (call->args, 1, "x", &time);
  self->timed_beats += time != 0;
  swarm_clock_timer (sim_clock_iface (self->bed->clock), self->beat_delay, SWARM_PRIORITY_NORMAL, answer_beat, call);
}

static void
manager_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  Manager *self = data;

  g_assert_cmpstr (call->iface, ==, "org.swarmagent1.Dispatcher");
  if (strcmp (call->member, "Register") == 0)
    take_register (self, link, call);
  else if (self->forgets_session || !self->leads) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "no such session");
    self->forgets_session = FALSE;
    swarm_call_fail (call, error);
  } else if (strcmp (call->member, "Heartbeat") == 0) {
    g_assert_cmpint (link->kind, ==, self->refuses_beat_links ? SWARM_LINK_CONTROL : SWARM_LINK_CONSENSUS);
    take_beat (self, call);
  } else if (strcmp (call->member, "UpdateTaskStatus") == 0)
    take_status (self, call);
  else if (strcmp (call->member, "Describe") == 0) {
    take_description (self, call->args, 1);
    swarm_call_return (call, NULL);
  } else if (bed_dispatcher_call == NULL || !bed_dispatcher_call (self, call)) {
    g_assert_cmpstr (call->member, ==, "Goodbye");
    self->goodbyes++;
    swarm_call_return (call, NULL);
  }
}

static void
manager_down (SwarmLink *link, const GError *error, gpointer data)
{
  Manager *self = data;

  if (self->control == link)
    g_clear_pointer (&self->control, swarm_link_unref);
  g_ptr_array_remove (self->links, link);
}

static const SwarmLinkEvents manager_events = { NULL, manager_down, manager_call };

static void
manager_accept (SwarmLink *link, gpointer data)
{
  Manager *self = data;

  if (self->refuses_beat_links && link->kind == SWARM_LINK_CONSENSUS) {
    swarm_link_close (link, NULL);
    swarm_link_unref (link);
    return;
  }
  g_ptr_array_add (self->links, link);
  swarm_link_set_events (link, &manager_events, self);
}

static void
manager_boot (Manager *self)
{
  sim_host_boot (self->host, manager_accept, self);
}

static void
manager_drop (Manager *self)
{
  for (guint i = 0; i < self->links->len; i++)
    swarm_link_set_events (g_ptr_array_index (self->links, i), NULL, NULL);
  g_clear_pointer (&self->control, swarm_link_unref);
  g_ptr_array_set_size (self->links, 0);
}

static void
manager_crash (Manager *self, gboolean power_cut)
{
  sim_host_crash (self->host, power_cut);
  manager_drop (self);
  self->leads = FALSE;
}

/* ---- the bed ---- */

/* One more manager, whose host has no power. */
static G_GNUC_UNUSED void
bed_add_dead_manager (Bed *bed)
{
  SwarmId id, cluster = { { 9 } };

  memcpy (id.bytes, "0123456789abcdef", sizeof id.bytes);
  bed->dead = sim_net_host (bed->net, "10.0.0.8:2377");
  sim_host_set_identity (bed->dead, SWARM_PEER_MANAGER, &id, &cluster);
  sim_host_boot (bed->dead, NULL, NULL);
  sim_host_crash (bed->dead, TRUE);
}

static SwarmNodeDescription *
describe (gpointer data)
{
  SwarmNodeDescription *description = swarm_node_description_new ();

  swarm_string_set (&description->hostname, ((Bed *) data)->hostname);
  return description;
}

static void
session_changed (SwarmSessionState state, const GError *error, gpointer data)
{
  ((Bed *) data)->session_changes++;
}

static void
agent_start (Bed *bed)
{
  SwarmPluginHostConfig plugin_config = { .clock = sim_clock_iface (bed->clock), .config = runtime_config, .data = bed };
  SwarmPluginHostConfig network_config = { .clock = sim_clock_iface (bed->clock) };
  SwarmWorkerConfig config = { .clock = sim_clock_iface (bed->clock), .random = &bed->random.iface };
  g_autoptr (GPtrArray) managers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < MANAGERS; i++)
    g_ptr_array_add (managers, swarm_manager_address_new (&bed->managers[i].node, bed->managers[i].address));
  sim_host_boot (bed->host, NULL, NULL);
  bed->runtime = swarm_runtime_host_new (bed->plugin, &plugin_config, &error);
  g_assert_no_error (error);
  bed->network = swarm_network_host_new (bed->network_plugin, &network_config, &error);
  g_assert_no_error (error);
  config.transport = sim_host_transport (bed->host);
  config.disk = sim_disk_iface (bed->disk);
  config.runtime = bed->runtime;
  config.network = bed->network;
  config.node = bed->node;
  config.hostname = "w1";
  config.boot_id = bed->boot;
  config.max_tasks = bed->max_tasks;
  config.describe = describe;
  config.session_changed = session_changed;
  config.picture_changed = bed_picture_changed;
  config.data = bed;
  bed->worker = swarm_worker_new (&config);
  g_assert_true (swarm_worker_start (bed->worker, managers, &error));
  g_assert_no_error (error);
}

/* Killed: no goodbye; containers and the disk's files stay. */
static void
agent_kill (Bed *bed)
{
  sim_host_crash (bed->host, FALSE);
  g_clear_pointer (&bed->worker, swarm_worker_free);
  g_clear_pointer (&bed->runtime, swarm_runtime_host_free);
  g_clear_pointer (&bed->network, swarm_network_host_free);
  sim_disk_kill (bed->disk);
}

static void
host_reboot (Bed *bed)
{
  agent_kill (bed);
  sim_disk_crash (bed->disk);
  g_snprintf (bed->boot, sizeof bed->boot, "boot-%u", g_random_int ());
  agent_start (bed);
}

static Bed *
bed_new (guint64 seed)
{
  Bed *bed = g_new0 (Bed, 1);
  SwarmId cluster = { { 9 } };

  swarm_log_set_level (LOG_ERR);
  bed->clock = sim_clock_new (G_GINT64_CONSTANT (1700000000) * SECOND);
  sim_random_init (&bed->random, seed);
  bed->net = sim_net_new (bed->clock, &bed->random, 100, 2000);
  bed->disk = sim_disk_new (bed->clock, &bed->random, 500, 5000);
  bed->node = swarm_random_id (&bed->random.iface);
  bed->host = sim_net_host (bed->net, "10.0.0.9:2377");
  sim_host_set_identity (bed->host, SWARM_PEER_WORKER, &bed->node, &cluster);
  g_strlcpy (bed->boot, "boot-1", sizeof bed->boot);
  bed->hostname = "w1";
  for (guint i = 0; i < MANAGERS; i++) {
    Manager *m = &bed->managers[i];
    m->bed = bed;
    m->node = swarm_random_id (&bed->random.iface);
    g_snprintf (m->address, sizeof m->address, "10.0.0.%u:2377", i + 1);
    m->host = sim_net_host (bed->net, m->address);
    m->links = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
    sim_host_set_identity (m->host, SWARM_PEER_MANAGER, &m->node, &cluster);
    manager_boot (m);
  }
  bed->managers[0].leads = TRUE;
  bed->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, swarm_message_unref);
  bed->history = g_string_new (NULL);
  bed->plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_runtime_sim, SWARM_PLUGIN_RUNTIME, NULL);
  bed->network_plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_network_host, SWARM_PLUGIN_NETWORK, NULL);
  agent_start (bed);
  return bed;
}

static void
bed_free (Bed *bed)
{
  if (bed->worker != NULL)
    agent_kill (bed);
  for (guint i = 0; i < MANAGERS; i++) {
    manager_drop (&bed->managers[i]);
    g_ptr_array_unref (bed->managers[i].links);
    g_free (bed->managers[i].described);
  }
  sim_clock_run (bed->clock, 30 * SECOND);
  sim_net_free (bed->net);
  sim_disk_free (bed->disk);
  sim_clock_free (bed->clock);
  swarm_plugin_unref (bed->plugin);
  swarm_plugin_unref (bed->network_plugin);
  g_hash_table_unref (bed->tasks);
  g_string_free (bed->history, TRUE);
  g_clear_error (&bed->last_error);
  g_free (bed);
  runtime_sim_reset ();
  swarm_log_set_level (LOG_INFO);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bed, bed_free)

/* ---- tasks ---- */

/* "label=value" strings, NULL ends. The leader knows it as assigned to the worker; it is told by tell(). */
static SwarmId
add_task (Bed *bed, SwarmTaskState desired, ...)
{
  SwarmTask *task = swarm_task_new ();
  va_list labels;
  const char *label;

  task->object.id = swarm_random_id (&bed->random.iface);
  task->node_id = bed->node;
  task->service_name = g_strdup ("web");
  task->slot = 1;
  task->desired_state = desired;
  task->status = swarm_task_status_new ();
  task->status->state = SWARM_TASK_ASSIGNED;
  task->spec = swarm_task_spec_new ();
  task->spec->container = swarm_container_spec_new ();
  task->spec->container->image = g_strdup ("docker.io/library/nginx:latest");
  task->spec->container->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  va_start (labels, desired);
  while ((label = va_arg (labels, const char *)) != NULL) {
    g_auto (GStrv) parts = g_strsplit (label, "=", 2);
    g_hash_table_insert (task->spec->container->labels, g_strdup (parts[0]), g_strdup (parts[1]));
  }
  va_end (labels);
  g_hash_table_insert (bed->tasks, &task->object.id, task);
  return task->object.id;
}

static void
tell (Bed *bed, const SwarmId *id)
{
  Manager *leader = leader_of (bed);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();

  if (leader == NULL || leader->control == NULL)
    return;
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, id));
  send_assign (leader, ++leader->sequence, FALSE, set, NULL);
}

static void
want (Bed *bed, const SwarmId *id, SwarmTaskState desired)
{
  SwarmTask *copy = swarm_task_copy (g_hash_table_lookup (bed->tasks, id));

  copy->desired_state = desired;
  g_hash_table_replace (bed->tasks, &copy->object.id, copy);
  tell (bed, id);
}

static void
unassign (Bed *bed, const SwarmId *id)
{
  Manager *leader = leader_of (bed);
  SwarmId copy = *id;

  send_assign (leader, ++leader->sequence, FALSE, NULL, &copy);
  g_hash_table_remove (bed->tasks, &copy);
}

static const SwarmTaskStatus *
status_of (Bed *bed, const SwarmId *id)
{
  const SwarmTask *task = g_hash_table_lookup (bed->tasks, id);

  return task->status;
}

typedef struct {
  const char *id;
  guint starts;
  guint running;
  guint others; /* running, but another task */
} Count;

static void
count_one (const RuntimeSimTask *task, gpointer data)
{
  Count *count = data;

  g_assert_cmpuint (task->starts, <=, 1);
  if (strcmp (task->task_id, count->id) == 0) {
    count->starts += task->starts;
    count->running += task->running;
  } else
    count->others += task->running;
}

static Count
count_of (const SwarmId *id)
{
  SwarmIdString string = swarm_id_string (id);
  Count count = { string.str, 0, 0, 0 };

  runtime_sim_foreach (NULL, count_one, &count);
  return count;
}

static guint
files (Bed *bed)
{
  g_auto (GStrv) names = sim_disk_iface (bed->disk)->list (sim_disk_iface (bed->disk), NULL);

  return g_strv_length (names);
}
