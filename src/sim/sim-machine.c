// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-machine.h"
#include "base/error.h"
#include "runtime-sim.h"
#include "sim/sim-wire.h"

#define LEAVE_DRAIN_US (20 * G_TIME_SPAN_SECOND)

static SwarmNodeDescription *
big_description (void)
{
  SwarmNodeDescription *description = swarm_node_description_new ();
  description->feature_level = SWARM_FEATURE_LEVEL;
  description->resources = swarm_resources_new ();
  description->resources->nano_cpus = G_GINT64_CONSTANT (64000000000);
  description->resources->memory_bytes = G_GINT64_CONSTANT (64) << 30;
  return description;
}

SimMachine *
sim_machine_new (SimWorld *world, guint number, const SimMachineConfig *config)
{
  SimMachine *self = g_new0 (SimMachine, 1);
  self->world = world;
  g_strlcpy (self->name, config->name, sizeof self->name);
  self->manager = config->manager && !config->absent;
  self->to_manage = config->manager && config->absent;
  self->availability = config->availability;
  self->absent = config->absent;
  if (config->id != NULL)
    self->wish = *config->id;
  if (config->ip != NULL)
    g_snprintf (self->address, sizeof self->address, "%s:2377", config->ip);
  else
    g_snprintf (self->address, sizeof self->address, "10.99.%u.%u:2377", number / 250, number % 250);
  self->description = config->description != NULL ? swarm_node_description_copy (config->description) : big_description ();
  swarm_string_set (&self->description->hostname, self->name);
  self->clock = sim_clock_view (world->sim, number > 1 ? sim_random_range (&world->random, -3, 3) * G_USEC_PER_SEC : 0);
  self->host = sim_net_host (world->net, self->address);
  self->worker_disk = sim_disk_new (world->sim, &world->random, 100, 2000);
  self->log_disk = sim_disk_new (world->sim, &world->random, 100, 2000);
  self->accepted = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  return self;
}

GPtrArray *
sim_machine_manager_addresses (SimWorld *world)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
  for (guint i = 0; i < world->machines->len; i++) {
    const SimMachine *machine = g_ptr_array_index (world->machines, i);
    if (machine->manager && !machine->absent && !machine->left)
      g_ptr_array_add (list, swarm_manager_address_new (&machine->id, machine->address));
  }
  return list;
}

/* ---- links from others ---- */

static void
accepted_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  SimMachine *self = data;
  if (!g_str_equal (call->iface, "org.swarmagent1.Consensus")) {
    sim_wire_call (self->brain, call);
    return;
  }
  SwarmId from = link->peer.node;
  g_autoptr (GVariant) args = g_variant_ref (call->args);
  swarm_call_return (call, NULL);
  sim_machine_receive (self, &from, args);
}

static void
accepted_down (SwarmLink *link, const GError *error, gpointer data)
{
  SimMachine *self = data;
  if (self->brain != NULL)
    swarm_dispatcher_link_down (swarm_manager_dispatcher (self->brain), link);
  swarm_link_set_events (link, NULL, NULL);
  g_ptr_array_remove (self->accepted, link);
}

static const SwarmLinkEvents accepted_events = { NULL, accepted_down, accepted_call };

static void
accept (SwarmLink *link, gpointer data)
{
  SimMachine *self = data;
  swarm_link_set_events (link, &accepted_events, self);
  g_ptr_array_add (self->accepted, link);
}

/* ---- the worker ---- */

static SwarmNodeDescription *
describe (gpointer data)
{
  SimMachine *self = data;
  if (self->keys == NULL || self->keys->len == 0)
    return swarm_node_description_ref (self->description);
  SwarmNodeDescription *description = swarm_node_description_copy (self->description);
  description->network_keys = g_ptr_array_ref (self->keys);
  return description;
}

static void
session_changed (SwarmSessionState state, const GError *error, gpointer data)
{
  ((SimMachine *) data)->session = state;
}

static void
node_changed (const SwarmNode *node, gpointer data)
{
  sim_machine_node_changed (data, node);
}

static const char *
plugin_config (const char *plugin, const char *key, gpointer data)
{
  SimMachine *self = data;
  if (g_str_equal (key, "Host"))
    return self->name;
  return g_str_equal (key, "Boot") ? self->boot_id : NULL;
}

static void
start_worker (SimMachine *self)
{
  g_autoptr (GError) error = NULL;
  SwarmPluginHostConfig host = { .clock = self->clock, .config = plugin_config, .data = self };
  self->runtime = swarm_runtime_host_new (self->world->runtime, &host, &error);
  if (self->runtime != NULL)
    self->network = swarm_network_host_new (self->world->network, &host, &error);
  if (self->network == NULL)
    g_error ("%s: %s", self->name, error->message);
  SwarmWorkerConfig config = {
    .clock = self->clock,
    .random = &self->world->random.iface,
    .transport = sim_host_transport (self->host),
    .disk = sim_disk_iface (self->worker_disk),
    .runtime = self->runtime,
    .network = self->network,
    .node = self->id,
    .hostname = self->name,
    .boot_id = self->boot_id,
    .listen_address = self->address,
    .describe = describe,
    .node_changed = node_changed,
    .session_changed = session_changed,
    .data = self,
  };
  self->worker = swarm_worker_new (&config);
  g_autoptr (GPtrArray) managers = sim_machine_manager_addresses (self->world);
  if (!swarm_worker_start (self->worker, managers, &error))
    g_error ("%s: the worker does not start: %s", self->name, error->message);
  sim_machine_start_keys (self);
}

/* ---- the agent's life ---- */

void
sim_machine_start (SimMachine *self)
{
  self->start_again = self->stopping;
  if (self->running || self->absent || self->left)
    return;
  if (!self->powered) {
    self->powered = TRUE;
    g_snprintf (self->boot_id, sizeof self->boot_id, "boot-%u", ++self->boots);
  }
  self->running = TRUE;
  sim_host_set_identity (self->host, self->manager ? SWARM_PEER_MANAGER : SWARM_PEER_WORKER, &self->id, &self->world->cluster);
  sim_host_boot (self->host, accept, self);
  if (self->manager)
    sim_machine_start_brain (self);
  if (!swarm_id_is_nil (&self->id))
    start_worker (self);
}

static void
end_process (SimMachine *self, gboolean power_cut)
{
  if (!self->running)
    return;
  self->running = FALSE;
  self->stopping = FALSE;
  self->asking = FALSE;
  self->leaving = self->left;
  self->process++;
  swarm_clock_clear_timer (self->clock, &self->role_timer);
  swarm_clock_clear_timer (self->clock, &self->unheard_timer);
  sim_machine_stop_keys (self);
  self->session = SWARM_SESSION_NONE;
  sim_host_crash (self->host, power_cut);
  g_clear_pointer (&self->worker, swarm_worker_free);
  g_clear_pointer (&self->runtime, swarm_runtime_host_free);
  g_clear_pointer (&self->network, swarm_network_host_free);
  if (self->manager)
    sim_machine_stop_brain (self);
  for (guint i = 0; i < self->accepted->len; i++)
    swarm_link_set_events (g_ptr_array_index (self->accepted, i), NULL, NULL);
  g_ptr_array_set_size (self->accepted, 0);
  if (power_cut) {
    sim_disk_crash (self->worker_disk);
    sim_disk_crash (self->log_disk);
  } else {
    sim_disk_kill (self->worker_disk);
    sim_disk_kill (self->log_disk);
  }
}

void
sim_machine_kill (SimMachine *self)
{
  end_process (self, FALSE);
}

static void
start_if_asked (SimMachine *self)
{
  if (self->start_again)
    sim_machine_start (self);
}

static void
stopped (gpointer data)
{
  end_process (data, FALSE);
  start_if_asked (data);
}

/* In a turn of its own: the worker that said goodbye is on the stack. */
static void
goodbye_said (gpointer data)
{
  SimMachine *self = data;
  swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, stopped, self);
}

void
sim_machine_stop (SimMachine *self)
{
  if (!self->running || self->worker == NULL)
    return;
  self->stopping = TRUE;
  self->start_again = FALSE;
  swarm_worker_goodbye (self->worker, FALSE, goodbye_said, self);
}

static void
power_off (SimMachine *self)
{
  self->powered = FALSE;
  sim_machine_lose_keys (self);
  sim_host_power_off (self->host);
  runtime_sim_power_off (self->name);
}

static void
shut_down (gpointer data)
{
  SimMachine *self = data;
  end_process (self, FALSE);
  power_off (self);
  start_if_asked (self);
}

static void
last_goodbye_said (gpointer data)
{
  SimMachine *self = data;
  swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, shut_down, self);
}

void
sim_machine_shutdown (SimMachine *self)
{
  self->stopping = self->running && self->worker != NULL;
  self->start_again = FALSE;
  if (self->stopping)
    swarm_worker_goodbye (self->worker, TRUE, last_goodbye_said, self);
  else
    power_off (self);
}

static void
left (gpointer data)
{
  SimMachine *self = data;
  self->left = TRUE;
  end_process (self, FALSE);
  power_off (self);
}

/* In a turn of its own, as above. */
static void
leaving_said (gpointer data)
{
  SimMachine *self = data;
  swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, left, self);
}

static void
leaving_drained (gpointer data)
{
  SimMachine *self = data;
  if (self->worker != NULL)
    swarm_worker_goodbye (self->worker, TRUE, leaving_said, self);
}

void
sim_machine_leave (SimMachine *self)
{
  if (self->manager || self->absent)
    return; /* it is to be demoted first */
  if (!self->running || self->worker == NULL)
    return; /* nobody there to ask */
  self->leaving = TRUE;
  swarm_worker_drain (self->worker, LEAVE_DRAIN_US, leaving_drained, self);
}

void
sim_machine_power_cut (SimMachine *self)
{
  end_process (self, TRUE);
  power_off (self);
}

gboolean
sim_machine_leads (SimMachine *self)
{
  return self->brain != NULL && swarm_manager_leads (self->brain);
}

void
sim_machine_free (SimMachine *self)
{
  end_process (self, FALSE);
  sim_machine_lose_keys (self);
  sim_disk_free (self->worker_disk);
  sim_disk_free (self->log_disk);
  g_ptr_array_unref (self->accepted);
  swarm_node_description_unref (self->description);
  g_free (self);
}
