// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whole clusters under faults, by seed: containers, agents, hosts and networks fail while services come, change and go. The promises are
 * checked all the time; at the end everything heals, and the cluster must be as it was last acknowledged, with no hand.
 *
 *   test-brain-chaos [--seeds A..B] [--seconds N] [--verbose] [--lie] [--twin]
 *
 * --lie lets the managers' disks forget what they said was synced, --twin gives two machines one identity: then seeds must fail, or this
 * test sees nothing. */
#include "base/error.h"
#include "base/log.h"
#include "sim/sim-cluster.h"
#include "specs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND
#define MAX_SERVICES 8

/* What was acknowledged about a service. */
typedef struct {
  char name[8];
  SwarmId id;
  gboolean known;     /* its existence is: no word about it is open or was lost */
  gboolean exists;
  gboolean crashes;   /* its containers end by themselves */
  gboolean host_port;
  guint64 replicas;   /* last acknowledged */
  gboolean replicas_known;
  guint open; /* calls under way */
} Service;

typedef struct {
  SimCluster *cluster;
  SimRandom dice; /* apart from the cluster's, so that a change there does not change the story */
  Service services[MAX_SERVICES];
  guint made;
  gboolean lie, twin, verbose;
  gint64 start_at[16]; /* when a machine that is off comes back; 0: it is on */
  gint64 heal_at;
  guint calls, acknowledged, unknown, kills, cuts, crashes;
  char *failure;
} Chaos;

typedef struct {
  Chaos *chaos;
  Service *service;
  enum { CREATE, SCALE, UPDATE, REMOVE } what;
  guint64 replicas;
} Call;

static void
tell (Chaos *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
tell (Chaos *self, const char *format, ...)
{
  va_list args;
  if (!self->verbose)
    return;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  printf ("%10.3f %s\n", (double) (sim_clock_time (self->cluster->world.sim) % (100000 * SECOND)) / SECOND, text);
}

static void
fail (Chaos *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
fail (Chaos *self, const char *format, ...)
{
  va_list args;
  if (self->failure != NULL)
    return;
  va_start (args, format);
  self->failure = g_strdup_vprintf (format, args);
  va_end (args);
}

static gint64
roll (Chaos *self, gint64 low, gint64 high)
{
  return sim_random_range (&self->dice, low, high);
}

/* ---- what users do ---- */

static void
acknowledge (Call *call, const SwarmControlReply *reply)
{
  Service *service = call->service;
  if (call->what == CREATE) {
    service->id = reply->id;
    service->exists = TRUE;
    service->replicas = call->replicas;
    service->replicas_known = TRUE;
  } else if (call->what == REMOVE) {
    service->exists = FALSE;
  } else if (call->what == SCALE) {
    service->replicas = call->replicas;
    service->replicas_known = TRUE;
  }
}

static void
answered (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_autofree Call *call = data;
  Chaos *self = call->chaos;
  Service *service = call->service;
  service->open--;
  tell (self, "%s: call %d: %s", service->name, call->what, error != NULL ? error->message : "done");
  if (error == NULL) {
    self->acknowledged++;
    acknowledge (call, reply);
  } else if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNKNOWN) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_CANCELLED)) {
    self->unknown++;
    if (call->what == CREATE || call->what == REMOVE)
      service->known = FALSE;
    service->replicas_known = FALSE;
  }
}

static Call *
call_new (Chaos *self, Service *service, int what, guint64 replicas)
{
  Call *call = g_new0 (Call, 1);
  *call = (Call){ self, service, what, replicas };
  service->open++;
  self->calls++;
  return call;
}

static SwarmServiceSpec *
make_spec (Chaos *self, Service *service, guint64 replicas)
{
  SwarmServiceSpec *spec = spec_of (service->name, "nginx", replicas);
  spec->task->restart_policy->delay = roll (self, 0, 2) * 700 * 1000000;
  /* Containers are killed in the middle of updates: one that paused for it would never come to rest. */
  spec->update = swarm_update_config_new ();
  spec->update->failure_action = SWARM_FAILURE_CONTINUE;
  spec->update->parallelism = (guint64) roll (self, 0, 3);
  spec->update->delay = roll (self, 0, 2) * 500 * 1000000;
  spec->update->monitor = roll (self, 0, 3) * SECOND * 1000;
  spec_behave (spec, "sim.stop-ms", roll (self, 1, 800));
  spec_behave (spec, "sim.prepare-ms", roll (self, 1, 500));
  spec_behave (spec, "sim.start-ms", roll (self, 1, 300));
  if (service->crashes) {
    spec_behave (spec, "sim.exit-after-ms", roll (self, 10, 5000));
    spec_behave (spec, "sim.exit-code", roll (self, 0, 2));
  }
  if (service->host_port) {
    SwarmPortConfig *port = swarm_port_config_new ();
    port->publish_mode = SWARM_PUBLISH_HOST;
    port->target_port = 80;
    port->published_port = 8000 + (guint) (service - self->services);
    spec->endpoint = swarm_endpoint_spec_new ();
    spec->endpoint->ports = g_ptr_array_new_with_free_func (swarm_message_unref);
    g_ptr_array_add (spec->endpoint->ports, port);
  }
  return spec;
}

static guint64
roll_replicas (Chaos *self, const Service *service)
{
  guint most = service->host_port ? sim_cluster_n_machines (self->cluster) : 12;
  return (guint64) roll (self, 0, most);
}

static void
user_creates (Chaos *self, SwarmControl *control)
{
  if (self->made == MAX_SERVICES)
    return;
  Service *service = &self->services[self->made++];
  guint64 replicas;
  g_snprintf (service->name, sizeof service->name, "s%u", self->made);
  service->known = TRUE;
  service->crashes = sim_random_chance (&self->dice, 25);
  service->host_port = sim_random_chance (&self->dice, 25);
  replicas = roll_replicas (self, service);
  g_autoptr (SwarmServiceSpec) spec = make_spec (self, service, replicas);
  swarm_control_create_service (control, spec, NULL, answered, call_new (self, service, CREATE, replicas));
}

static void
user_updates (Chaos *self, SwarmControl *control, Service *service)
{
  const SwarmService *now = swarm_store_get (sim_cluster_store (self->cluster), SWARM_KIND_SERVICE, &service->id);
  if (now == NULL)
    return;
  g_autoptr (SwarmServiceSpec) spec = swarm_service_spec_copy (now->spec);
  g_autoptr (SwarmTaskSpec) task = swarm_task_spec_copy (spec->task);
  task->force_update++;
  swarm_task_spec_unref (spec->task);
  spec->task = g_steal_pointer (&task);
  swarm_control_update_service (control, &service->id, now->object.version, spec, NULL, answered, call_new (self, service, UPDATE, 0));
}

static void
user_acts (Chaos *self)
{
  SimMachine *leader = sim_cluster_leader (self->cluster);
  if (leader == NULL)
    return;
  SwarmControl *control = swarm_manager_control (leader->brain);
  Service *service = self->made > 0 ? &self->services[roll (self, 0, self->made - 1)] : NULL;
  gint64 what = roll (self, 0, 9);
  if (service == NULL || what < 3) {
    user_creates (self, control);
  } else if (service->exists && service->open == 0 && what < 7) {
    guint64 replicas = roll_replicas (self, service);
    swarm_control_scale_service (control, &service->id, replicas, NULL, answered, call_new (self, service, SCALE, replicas));
  } else if (service->exists && service->open == 0 && what < 9) {
    user_updates (self, control, service);
  } else if (service->exists && service->open == 0) {
    swarm_control_remove_service (control, &service->id, NULL, answered, call_new (self, service, REMOVE, 0));
  }
}

static void
admin_acts (Chaos *self)
{
  static const char *const words[] = { "active", "active", "drain", "pause" };
  SimMachine *leader = sim_cluster_leader (self->cluster);
  SimMachine *machine = sim_cluster_machine (self->cluster, (guint) roll (self, 0, sim_cluster_n_machines (self->cluster) - 1));
  const char *word = words[roll (self, 0, G_N_ELEMENTS (words) - 1)];
  if (leader == NULL)
    return;
  tell (self, "%s: %s", machine->name, word);
  swarm_control_set_availability (swarm_manager_control (leader->brain), &machine->id, word, NULL, NULL, NULL);
}

/* ---- what fails ---- */

static void
machine_fails (Chaos *self)
{
  guint index = (guint) roll (self, 0, sim_cluster_n_machines (self->cluster) - 1);
  SimMachine *machine = sim_cluster_machine (self->cluster, index);
  if (self->start_at[index] != 0)
    return;
  gint64 away = sim_random_chance (&self->dice, 50) ? roll (self, 50 * MS, 2 * SECOND) : roll (self, SECOND, 90 * SECOND);
  gint64 how = roll (self, 0, 3);
  tell (self, "%s: %s for %.1f s", machine->name, how == 0 ? "agent killed" : how == 1 ? "agent stopped" : how == 2 ? "power cut" : "shut down",
        (double) away / SECOND);
  self->crashes++;
  if (how == 0)
    sim_machine_kill (machine);
  else if (how == 1)
    sim_machine_stop (machine);
  else if (how == 3)
    sim_machine_shutdown (machine);
  else
    sim_machine_power_cut (machine);
  /* A goodbye takes up to two seconds. */
  self->start_at[index] = sim_clock_time (self->cluster->world.sim) + away + (how == 1 || how == 3 ? 3 * SECOND : 0);
}

static void
network_fails (Chaos *self)
{
  SimMachine *machine = sim_cluster_machine (self->cluster, (guint) roll (self, 0, sim_cluster_n_machines (self->cluster) - 1));
  SimMachine *other = sim_cluster_machine (self->cluster, (guint) roll (self, 0, sim_cluster_n_machines (self->cluster) - 1));
  self->cuts++;
  if (sim_random_chance (&self->dice, 50)) {
    tell (self, "connections between %s and %s are reset", machine->name, other->name);
    sim_net_reset (self->cluster->world.net, machine->host, other->host);
    return;
  }
  tell (self, "%s: cut off", machine->name);
  sim_cluster_cut (self->cluster, machine);
  if (self->heal_at == 0)
    self->heal_at = sim_clock_time (self->cluster->world.sim) + roll (self, 100 * MS, 30 * SECOND);
}

static void
come_back (Chaos *self, gint64 now)
{
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++) {
    if (self->start_at[i] == 0 || self->start_at[i] > now)
      continue;
    tell (self, "%s: starts", sim_cluster_machine (self->cluster, i)->name);
    self->start_at[i] = 0;
    sim_machine_start (sim_cluster_machine (self->cluster, i));
  }
  if (self->heal_at != 0 && self->heal_at <= now) {
    tell (self, "the network heals");
    self->heal_at = 0;
    sim_cluster_heal (self->cluster);
  }
}

static void
something_happens (Chaos *self)
{
  gint64 what = roll (self, 0, 99);
  if (what < 35) {
    user_acts (self);
  } else if (what < 45) {
    admin_acts (self);
  } else if (what < 65 && self->made > 0) {
    const char *name = self->services[roll (self, 0, self->made - 1)].name;
    self->kills += sim_cluster_kill_container (self->cluster, name, (int) roll (self, 0, 137));
  } else if (what < 85) {
    machine_fails (self);
  } else {
    network_fails (self);
  }
}

/* ---- the end ---- */

static gboolean
has_leader (SimCluster *cluster, gpointer data)
{
  return sim_cluster_leader (cluster) != NULL;
}

/* With a word that gets through: several tries, for the leader may change. */
static void
calm_services (Chaos *self)
{
  for (guint i = 0; i < self->made; i++) {
    Service *service = &self->services[i];
    if (!service->crashes || !service->exists)
      continue;
    swarm_control_scale_service (swarm_manager_control (sim_cluster_leader (self->cluster)->brain), &service->id, 0, NULL, NULL, NULL);
    service->replicas_known = FALSE;
  }
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++)
    swarm_control_set_availability (swarm_manager_control (sim_cluster_leader (self->cluster)->brain),
                                    &sim_cluster_machine (self->cluster, i)->id, "active", NULL, NULL, NULL);
}

static void
check_services (Chaos *self)
{
  for (guint i = 0; i < self->made; i++) {
    const Service *service = &self->services[i];
    const SwarmService *found = swarm_store_get_by_name (sim_cluster_store (self->cluster), SWARM_KIND_SERVICE, service->name);
    if (service->known && service->exists != (found != NULL))
      fail (self, "broken promise: %s was acknowledged as %s", service->name, service->exists ? "made and is lost" : "removed and is back");
    if (service->known && service->replicas_known && found != NULL && found->spec->mode->replicated->replicas != service->replicas)
      fail (self, "broken promise: %s was acknowledged with %" G_GUINT64_FORMAT " replicas", service->name, service->replicas);
  }
}

static gboolean
is_settled (SimCluster *cluster, gpointer data)
{
  return sim_cluster_is_settled (cluster, NULL);
}

static void
come_to_rest (Chaos *self)
{
  tell (self, "everything heals");
  for (guint i = 0; i < G_N_ELEMENTS (self->start_at); i++)
    self->start_at[i] = MIN (self->start_at[i], sim_clock_time (self->cluster->world.sim) + 4 * SECOND);
  self->heal_at = 0;
  sim_cluster_heal (self->cluster);
  sim_cluster_run (self->cluster, 4 * SECOND);
  come_back (self, sim_clock_time (self->cluster->world.sim));
  for (guint i = 0; i < 3; i++) {
    sim_cluster_run (self->cluster, 5 * SECOND);
    if (!sim_cluster_run_until (self->cluster, 60 * SECOND, has_leader, NULL)) {
      fail (self, "nobody leads though everything has healed");
      return;
    }
    calm_services (self);
  }
  if (!sim_cluster_run_until (self->cluster, 240 * SECOND, is_settled, NULL)) {
    g_autofree char *why = NULL;
    sim_cluster_is_settled (self->cluster, &why);
    fail (self, "the cluster does not settle: %s", why);
  }
  if (sim_cluster_leader (self->cluster) != NULL)
    check_services (self);
}

/* The last machine becomes a copy of the one before. */
static void
make_twins (SimCluster *cluster)
{
  guint n = sim_cluster_n_machines (cluster);
  SimMachine *twin = sim_cluster_machine (cluster, n - 1);
  sim_machine_kill (twin);
  twin->id = sim_cluster_machine (cluster, n - 2)->id;
  sim_machine_start (twin);
}

static gboolean
run_seed (guint64 seed, guint seconds, const Chaos *options)
{
  Chaos self = *options;
  SimClusterConfig config = { .seed = seed, .managers = seed % 2 == 0 ? 3 : 1, .workers = 2 + (guint) (seed % 5) };
  sim_random_init (&self.dice, seed * 977 + 5);
  self.cluster = sim_cluster_new (&config);
  for (guint i = 0; self.lie && i < config.managers; i++)
    sim_disk_lie (sim_cluster_machine (self.cluster, i)->log_disk, 500 * MS);
  if (self.twin)
    make_twins (self.cluster);
  gint64 end = sim_clock_time (self.cluster->world.sim) + seconds * SECOND;
  while (sim_clock_time (self.cluster->world.sim) < end) {
    sim_cluster_run (self.cluster, roll (&self, 5 * MS, 2 * SECOND));
    come_back (&self, sim_clock_time (self.cluster->world.sim));
    something_happens (&self);
  }
  come_to_rest (&self);
  printf ("seed %" G_GUINT64_FORMAT ": %s; %u calls (%u acknowledged, %u unknown), %u kills, %u crashes, %u cuts\n", seed,
          self.failure != NULL ? self.failure : "ok", self.calls, self.acknowledged, self.unknown, self.kills, self.crashes, self.cuts);
  fflush (stdout);
  gboolean ok = self.failure == NULL;
  g_free (self.failure);
  sim_cluster_free (self.cluster);
  return ok;
}

int
main (int argc, char **argv)
{
  guint64 first = 1, last = 10;
  guint seconds = 120, failed = 0;
  Chaos options = { 0 };
  for (int i = 1; i < argc; i++) {
    char *rest = NULL;
    if (g_str_equal (argv[i], "--seeds") && i + 1 < argc) {
      first = last = g_ascii_strtoull (argv[++i], &rest, 10);
      if (g_str_has_prefix (rest, ".."))
        last = g_ascii_strtoull (rest + 2, NULL, 10);
    } else if (g_str_equal (argv[i], "--seconds") && i + 1 < argc) {
      seconds = (guint) g_ascii_strtoull (argv[++i], NULL, 10);
    } else if (g_str_equal (argv[i], "--verbose")) {
      options.verbose = TRUE;
    } else if (g_str_equal (argv[i], "--lie")) {
      options.lie = TRUE;
    } else if (g_str_equal (argv[i], "--twin")) {
      options.twin = TRUE;
    } else {
      fprintf (stderr, "usage: %s [--seeds A..B] [--seconds N] [--verbose] [--lie] [--twin]\n", argv[0]);
      return 2;
    }
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  swarm_log_set_level (options.verbose ? LOG_INFO : LOG_ERR);
  for (guint64 seed = first; seed <= last; seed++)
    failed += !run_seed (seed, seconds, &options);
  if (failed > 0)
    printf ("%u seeds failed\n", failed);
  return failed > 0;
}
