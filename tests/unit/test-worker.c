// SPDX-License-Identifier: LGPL-2.1-or-later
/* The worker's machines against managers that are played here, on simulated time, disk and network, with runtime-sim. */
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
  guint beats;
  guint goodbyes;
  SwarmLink *control;
  GPtrArray *links;
  guint8 session[16];
  guint64 sequence;
} Manager;

struct _Bed {
  SimClock *clock;
  SimRandom random;
  SimNet *net;
  SimDisk *disk;
  SimHost *host;
  Manager managers[MANAGERS];
  SwarmId node;
  SwarmPlugin *plugin;
  SwarmPlugin *network_plugin;
  SwarmRuntimeHost *runtime;
  SwarmNetworkHost *network;
  SwarmWorker *worker;
  char boot[32];
  GHashTable *tasks;  /* &id → SwarmTask as the leader has it, with the committed status */
  GString *history;   /* "accepted preparing …" of all reports */
  guint assign_errors;
  GError *last_error;
  guint session_changes;
  guint goodbyes_done;
};

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
  for (guint i = 0; i < MANAGERS; i++)
    g_variant_builder_add (&builder, "(@ays)", ay (bed->managers[i].node.bytes, 16), bed->managers[i].address);
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
take_register (Manager *self, SwarmLink *link, SwarmCall *call)
{
  g_assert_cmpstr (g_variant_get_type_string (call->args), ==, "(aysay)");
  self->registrations++;
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
    commit_status (self->bed, &key, status);
  }
  swarm_call_return (call, NULL);
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
    g_assert_cmpint (link->kind, ==, SWARM_LINK_CONSENSUS);
    self->beats++;
    swarm_call_return (call, g_variant_new ("(x)", G_GINT64_CONSTANT (1000000000)));
  } else if (strcmp (call->member, "UpdateTaskStatus") == 0)
    take_status (self, call);
  else {
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

static SwarmNodeDescription *
describe (gpointer data)
{
  SwarmNodeDescription *description = swarm_node_description_new ();

  swarm_string_set (&description->hostname, "w1");
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
  config.describe = describe;
  config.session_changed = session_changed;
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

/* ---- tests ---- */

static void
test_runs (void)
{
  g_autoptr (Bed) bed = bed_new (1);
  SwarmWorkerStatus status;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (leader_of (bed)->registrations, ==, 1);
  id = add_task (bed, SWARM_TASK_RUNNING, "sim.prepare-ms=200", "sim.start-ms=200", NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpstr (bed->history->str, ==, "preparing starting running ");
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "started");
  g_assert_cmpstr (status_of (bed, &id)->container->container_id, ==, swarm_id_string (&id).str);
  g_assert_cmpuint (status_of (bed, &id)->container->pid, >, 0);
  g_assert_cmpuint (files (bed), ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_REGISTERED);
  g_assert_cmpuint (status.running, ==, 1);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpuint (leader_of (bed)->beats, >=, 10);
  want (bed, &id, SWARM_TASK_SHUTDOWN);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "shutdown");
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  unassign (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpuint (files (bed), ==, 0);
}

static void
test_gate (void)
{
  g_autoptr (Bed) bed = bed_new (2);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_READY, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_READY);
  g_assert_cmpstr (status_of (bed, &id)->text, ==, "prepared");
  want (bed, &id, SWARM_TASK_RUNNING);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
}

static void
test_exits (void)
{
  g_autoptr (Bed) bed = bed_new (3);
  SwarmId zero, three, rejected, failed, down;

  sim_clock_run (bed->clock, SECOND);
  zero = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=500", "sim.exit-code=0", NULL);
  three = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=500", "sim.exit-code=3", NULL);
  rejected = add_task (bed, SWARM_TASK_RUNNING, "sim.fail=prepare", NULL);
  failed = add_task (bed, SWARM_TASK_RUNNING, "sim.fail=start", NULL);
  down = add_task (bed, SWARM_TASK_RUNNING, "sim.prepare-ms=60000", NULL);
  tell (bed, &zero);
  tell (bed, &three);
  tell (bed, &rejected);
  tell (bed, &failed);
  tell (bed, &down);
  sim_clock_run (bed->clock, SECOND);
  want (bed, &down, SWARM_TASK_SHUTDOWN); /* while it is being prepared */
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &zero)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpstr (status_of (bed, &zero)->text, ==, "finished");
  g_assert_true (status_of (bed, &zero)->has_exit);
  g_assert_cmpint (status_of (bed, &three)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &three)->text, ==, "started");
  g_assert_cmpstr (status_of (bed, &three)->err, ==, "task: non-zero exit (3)");
  g_assert_cmpint (status_of (bed, &three)->container->exit_code, ==, 3);
  g_assert_cmpint (status_of (bed, &rejected)->state, ==, SWARM_TASK_REJECTED);
  g_assert_cmpstr (status_of (bed, &rejected)->text, ==, "preparing");
  g_assert_cmpstr (status_of (bed, &rejected)->err, ==, "prepare fails as wanted");
  g_assert_cmpint (status_of (bed, &failed)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &failed)->text, ==, "starting");
  g_assert_cmpint (status_of (bed, &down)->state, ==, SWARM_TASK_SHUTDOWN);
  g_assert_cmpuint (count_of (&down).starts, ==, 0);
}

static void
test_agent_restart (void)
{
  g_autoptr (Bed) bed = bed_new (4);
  SwarmId stays, ends, fails;

  sim_clock_run (bed->clock, SECOND);
  stays = add_task (bed, SWARM_TASK_RUNNING, NULL);
  ends = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", NULL);
  fails = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=3000", "sim.exit-code=3", NULL);
  tell (bed, &stays);
  tell (bed, &ends);
  tell (bed, &fails);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &fails)->state, ==, SWARM_TASK_RUNNING);
  agent_kill (bed);
  sim_clock_run (bed->clock, 5 * SECOND);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  agent_start (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpint (status_of (bed, &stays)->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  g_assert_cmpint (status_of (bed, &ends)->state, ==, SWARM_TASK_COMPLETE);
  g_assert_cmpint (status_of (bed, &fails)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &fails)->err, ==, "task: non-zero exit (3)");
  /* When it ended, not when it was noticed. */
  g_assert_cmpint (status_of (bed, &fails)->timestamp, <, sim_clock_time (bed->clock) - 3 * SECOND);
}

static void
test_reboot (void)
{
  g_autoptr (Bed) bed = bed_new (5);
  SwarmId id, untold;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  leader_of (bed)->refuses_status = TRUE; /* so the leader never hears that this one ran */
  untold = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &untold);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (count_of (&untold).running, ==, 1);
  g_assert_cmpint (status_of (bed, &untold)->state, ==, SWARM_TASK_ASSIGNED);
  leader_of (bed)->refuses_status = FALSE;
  host_reboot (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: the host was restarted");
  g_assert_cmpint (status_of (bed, &untold)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpuint (count_of (&id).starts, ==, 1);
  g_assert_cmpuint (count_of (&untold).starts, ==, 1);
}

/* The disk of a node that ran is lost or damaged: its tasks count as lost, nothing starts twice, what nobody knows is stopped. */
static void
test_lost_records (void)
{
  g_autoptr (Bed) bed = bed_new (6);
  g_autofree char *name = NULL;
  SwarmId damaged, fresh;

  sim_clock_run (bed->clock, SECOND);
  damaged = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &damaged);
  sim_clock_run (bed->clock, SECOND);
  agent_kill (bed);
  name = swarm_worker_record_name (&damaged);
  g_assert_true (sim_disk_flip (bed->disk, name, 20, 3));
  swarm_log_set_level (LOG_CRIT);
  agent_start (bed);
  sim_clock_run (bed->clock, 2 * SECOND);
  swarm_log_set_level (LOG_ERR);
  g_assert_cmpuint (count_of (&damaged).running, ==, 0);
  g_assert_cmpint (status_of (bed, &damaged)->state, ==, SWARM_TASK_FAILED);
  fresh = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &fresh);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpint (status_of (bed, &fresh)->state, ==, SWARM_TASK_RUNNING);
}

/* The disk is full: the node goes on. */
static void
test_disk_fails (void)
{
  g_autoptr (Bed) bed = bed_new (7);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  sim_disk_fail (bed->disk, "No space left on device");
  swarm_log_set_level (LOG_CRIT);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_log_set_level (LOG_ERR);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
}

static void
test_full_is_truth (void)
{
  g_autoptr (Bed) bed = bed_new (8);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();
  SwarmWorkerStatus status;
  Manager *leader;
  SwarmId stays, goes, part;

  sim_clock_run (bed->clock, SECOND);
  leader = leader_of (bed);
  stays = add_task (bed, SWARM_TASK_RUNNING, NULL);
  goes = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &stays);
  tell (bed, &goes);
  sim_clock_run (bed->clock, SECOND);
  part = add_task (bed, SWARM_TASK_RUNNING, NULL);
  /* In two parts: nothing is stopped before the last. */
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &part));
  send_assign (leader, 0, TRUE, set, NULL);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (count_of (&goes).running, ==, 1);
  g_ptr_array_set_size (set, 0);
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &stays));
  send_assign (leader, 1, TRUE, set, NULL);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 0);
  g_assert_cmpuint (count_of (&goes).running, ==, 0);
  g_assert_cmpuint (count_of (&stays).running, ==, 1);
  g_assert_cmpuint (count_of (&part).running, ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 2);
}

static void
expect_refused (Bed *bed, SwarmError code)
{
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 1);
  g_assert_error (bed->last_error, SWARM_ERROR, (int) code);
  bed->assign_errors = 0;
}

static void
test_bad_calls (void)
{
  g_autoptr (Bed) bed = bed_new (9);
  g_autoptr (GPtrArray) set = g_ptr_array_new ();
  g_autoptr (SwarmTask) foreign = NULL;
  SwarmWorkerStatus status;
  Manager *leader;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  leader = leader_of (bed);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  g_ptr_array_add (set, g_hash_table_lookup (bed->tasks, &id));
  send_assign (leader, 7, FALSE, set, NULL); /* a gap */
  expect_refused (bed, SWARM_ERROR_OUT_OF_SEQUENCE);
  foreign = swarm_task_copy (g_hash_table_lookup (bed->tasks, &id));
  foreign->node_id = leader->node;
  g_ptr_array_add (set, foreign);
  send_assign (leader, 2, FALSE, set, NULL); /* one of them is another node's: none is taken */
  expect_refused (bed, SWARM_ERROR_INVALID_ARGUMENT);
  leader->session[3] ^= 1;
  send_assign (leader, 2, FALSE, NULL, NULL);
  leader->session[3] ^= 1;
  expect_refused (bed, SWARM_ERROR_NOT_FOUND);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Assign", g_variant_new ("(s)", "?"), SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_INVALID_ARGUMENT);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "Explode", NULL, SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_NOT_SUPPORTED);
  swarm_link_call (leader->control, "org.swarmagent1.Manager", "Init", NULL, SECOND, on_assigned, bed);
  expect_refused (bed, SWARM_ERROR_NOT_SUPPORTED);
  swarm_link_call (leader->control, "org.swarmagent1.Worker", "NodeChanged", g_variant_new ("(@ay)", ay ("\xff\xff", 2)), SECOND,
                   on_assigned, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->assign_errors, ==, 1);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_REGISTERED);
}

static void
test_status_is_retried (void)
{
  g_autoptr (Bed) bed = bed_new (10);
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  leader_of (bed)->refuses_status = TRUE;
  id = add_task (bed, SWARM_TASK_RUNNING, "sim.exit-after-ms=300", "sim.exit-code=137", NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_ASSIGNED);
  agent_kill (bed); /* the exit is told by the next agent */
  agent_start (bed);
  leader_of (bed)->refuses_status = FALSE;
  sim_clock_run (bed->clock, 10 * SECOND);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_FAILED);
  g_assert_cmpstr (status_of (bed, &id)->err, ==, "task: non-zero exit (137)");
}

static void
send_managers (Bed *bed, Manager *to)
{
  swarm_link_send (to->control, "org.swarmagent1.Worker", "Managers",
                   g_variant_new ("(@a(ays)@ay)", managers_variant (bed), leader_variant (bed)));
}

static void
test_leaders (void)
{
  g_autoptr (Bed) bed = bed_new (11);
  Manager *a = &bed->managers[0];
  Manager *b = &bed->managers[1];
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  /* Leadership moves, and is told. */
  a->leads = FALSE;
  b->leads = TRUE;
  b->registrations = 0;
  send_managers (bed, a);
  sim_clock_run (bed->clock, SECOND / 5);
  g_assert_cmpuint (b->registrations, ==, 1);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  /* Leadership moves, and nobody says so: the next beat finds out, and the follower knows who leads. */
  b->leads = FALSE;
  a->leads = TRUE;
  sim_clock_run (bed->clock, 3 * SECOND);
  g_assert_nonnull (a->control);
  /* The leader's power goes. */
  manager_crash (a, TRUE);
  b->leads = TRUE;
  sim_clock_run (bed->clock, 6 * SECOND);
  g_assert_nonnull (b->control);
  /* It forgets the session: registered again on the same link. */
  b->forgets_session = TRUE;
  b->registrations = 0;
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpuint (b->registrations, ==, 1);
  /* A reset of the connection. */
  sim_net_reset (bed->net, bed->host, b->host);
  sim_clock_run (bed->clock, 2 * SECOND);
  g_assert_cmpuint (b->registrations, ==, 2);
  g_assert_cmpint (status_of (bed, &id)->state, ==, SWARM_TASK_RUNNING);
  g_assert_cmpuint (count_of (&id).starts, ==, 1);
}

static void
test_backs_off (void)
{
  g_autoptr (Bed) bed = bed_new (12);

  for (guint i = 0; i < MANAGERS; i++)
    bed->managers[i].leads = FALSE;
  sim_clock_run (bed->clock, SECOND);
  for (guint i = 0; i < MANAGERS; i++)
    bed->managers[i].registrations = 0;
  sim_clock_run (bed->clock, 60 * SECOND);
  g_assert_cmpuint (bed->managers[0].registrations + bed->managers[1].registrations, <=, 20);
  g_assert_cmpuint (bed->managers[0].registrations, >=, 2);
  bed->managers[1].leads = TRUE;
  sim_clock_run (bed->clock, 9 * SECOND);
  g_assert_nonnull (bed->managers[1].control);
}

static void
goodbye_done (gpointer data)
{
  ((Bed *) data)->goodbyes_done++;
}

static void
test_goodbye_and_drain (void)
{
  g_autoptr (Bed) bed = bed_new (13);
  SwarmWorkerStatus status;
  SwarmId id;

  sim_clock_run (bed->clock, SECOND);
  id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  tell (bed, &id);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_goodbye (bed->worker, FALSE, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->goodbyes_done, ==, 1);
  g_assert_cmpuint (leader_of (bed)->goodbyes, ==, 1);
  g_assert_cmpuint (count_of (&id).running, ==, 1);
  sim_clock_run (bed->clock, 20 * SECOND);
  g_assert_cmpuint (leader_of (bed)->registrations, ==, 1);
  agent_kill (bed);
  agent_start (bed);
  sim_clock_run (bed->clock, SECOND);
  swarm_worker_drain (bed->worker, 30 * SECOND, goodbye_done, bed);
  sim_clock_run (bed->clock, SECOND);
  g_assert_cmpuint (bed->goodbyes_done, ==, 2);
  g_assert_cmpuint (count_of (&id).running, ==, 0);
  g_assert_cmpuint (files (bed), ==, 0);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpint (status.session, ==, SWARM_SESSION_NONE);
}

static void
test_many (void)
{
  g_autoptr (Bed) bed = bed_new (14);
  SwarmWorkerStatus status;
  SwarmId id;

  for (guint i = 0; i < 300; i++)
    id = add_task (bed, SWARM_TASK_RUNNING, NULL);
  sim_clock_run (bed->clock, 10 * SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.running, ==, 300);
  g_hash_table_remove_all (bed->tasks);
  send_full (leader_of (bed));
  sim_clock_run (bed->clock, 10 * SECOND);
  swarm_worker_get_status (bed->worker, &status);
  g_assert_cmpuint (status.tasks, ==, 0);
  g_assert_cmpuint (count_of (&id).others, ==, 0);
}

/* One turn of trouble. */
static void
trouble (Bed *bed, SwarmId *ids, guint n)
{
  Manager *leader = leader_of (bed);
  SwarmId *id = &ids[swarm_random_below (&bed->random.iface, n)];

  switch (swarm_random_below (&bed->random.iface, 8)) {
  case 0:
    agent_kill (bed);
    sim_clock_run (bed->clock, sim_random_range (&bed->random, 0, 3 * SECOND));
    agent_start (bed);
    break;
  case 1:
    host_reboot (bed);
    break;
  case 2:
    sim_net_reset (bed->net, bed->host, leader->host);
    break;
  case 3:
    leader->refuses_status = !leader->refuses_status;
    break;
  case 4:
    leader->forgets_session = TRUE;
    break;
  case 5:
    runtime_sim_kill (swarm_id_string (id).str, 9);
    break;
  case 6:
    leader->leads = FALSE;
    leader = leader == &bed->managers[0] ? &bed->managers[1] : &bed->managers[0];
    leader->leads = TRUE;
    break;
  default:
    want (bed, id, SWARM_TASK_SHUTDOWN);
  }
}

/* Whatever happens, nothing starts twice (count_one), states only go up (commit_status), and in the end both sides agree. */
static void
test_troubles (void)
{
  for (guint64 seed = 1; seed <= 60; seed++) {
    g_autoptr (Bed) bed = bed_new (seed * 1000);
    SwarmId ids[12];

    swarm_log_set_level (LOG_CRIT);
    for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
      ids[i] = add_task (bed, SWARM_TASK_RUNNING, i % 3 == 0 ? "sim.exit-after-ms=4000" : "x=y", NULL);
    for (guint i = 0; i < 20; i++) {
      sim_clock_run (bed->clock, sim_random_range (&bed->random, 0, 2 * SECOND));
      trouble (bed, ids, G_N_ELEMENTS (ids));
    }
    leader_of (bed)->refuses_status = FALSE;
    sim_clock_run (bed->clock, 60 * SECOND);
    for (guint i = 0; i < G_N_ELEMENTS (ids); i++) {
      const SwarmTask *task = g_hash_table_lookup (bed->tasks, &ids[i]);
      Count count = count_of (&ids[i]);
      g_assert_cmpuint (count.running, ==, task->status->state == SWARM_TASK_RUNNING);
      g_assert_true (task->status->state >= SWARM_TASK_RUNNING);
      if (task->desired_state == SWARM_TASK_SHUTDOWN)
        g_assert_cmpint (task->status->state, >, SWARM_TASK_RUNNING);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker/runs", test_runs);
  g_test_add_func ("/worker/gate", test_gate);
  g_test_add_func ("/worker/exits", test_exits);
  g_test_add_func ("/worker/agent-restart", test_agent_restart);
  g_test_add_func ("/worker/reboot", test_reboot);
  g_test_add_func ("/worker/lost-records", test_lost_records);
  g_test_add_func ("/worker/disk-fails", test_disk_fails);
  g_test_add_func ("/worker/full-is-truth", test_full_is_truth);
  g_test_add_func ("/worker/bad-calls", test_bad_calls);
  g_test_add_func ("/worker/status-is-retried", test_status_is_retried);
  g_test_add_func ("/worker/leaders", test_leaders);
  g_test_add_func ("/worker/backs-off", test_backs_off);
  g_test_add_func ("/worker/goodbye-and-drain", test_goodbye_and_drain);
  g_test_add_func ("/worker/many", test_many);
  g_test_add_func ("/worker/troubles", test_troubles);
  return g_test_run ();
}
