// SPDX-License-Identifier: LGPL-2.1-or-later
/* Updates under changing leaders, by seed: managers (which run no tasks here) are killed and cut off while a service is updated, to a
 * version that works or to one that does not. All the while no more slots are touched at once than the update allows, no more are down,
 * and no slot runs twice unless start-first; at the end the status tells what happened, and the tasks are as it says.
 *
 *   test-brain-update [--seeds A..B] [--verbose] */
#include "base/log.h"
#include "sim/sim-cluster.h"
#include "specs.h"
#include <stdio.h>
#include <string.h>

#define MS G_TIME_SPAN_MILLISECOND
#define SECOND G_TIME_SPAN_SECOND

typedef struct {
  SimCluster *cluster;
  SimRandom dice; /* apart from the cluster's */
  SwarmId web;
  gboolean global;
  guint size; /* slots */
  gboolean verbose;
  gint64 next_fault, start_at, heal_at;
  SimMachine *away;
  gboolean lost; /* a worker found no leader for so long that it counted as down and its tasks are moved, or that a task to be stopped
                  * held up its own slot only */
  guint faults, losses, least, most_open;
  char *failure;
} Story;

static gint64
roll (Story *self, gint64 low, gint64 high)
{
  return sim_random_range (&self->dice, low, high);
}

static void
fail (Story *self, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
fail (Story *self, const char *format, ...)
{
  va_list args;
  if (self->failure != NULL)
    return;
  va_start (args, format);
  self->failure = g_strdup_vprintf (format, args);
  va_end (args);
}

static gint64
now (Story *self)
{
  return sim_clock_time (self->cluster->world.sim);
}

/* ---- the service ---- */

static SwarmServiceSpec *
make_spec (Story *self, const char *image)
{
  SwarmServiceSpec *spec = spec_of ("web", image, self->size);
  spec->task->restart_policy->delay = 5 * SECOND * 1000;
  if (self->global) {
    g_clear_pointer (&spec->mode->replicated, swarm_replicated_unref);
    spec->mode->global = swarm_global_new ();
  }
  spec_behave (spec, "sim.stop-ms", roll (self, 1, 900));
  spec_behave (spec, "sim.prepare-ms", roll (self, 1, 500));
  spec_behave (spec, "sim.start-ms", roll (self, 1, 500));
  return spec;
}

static SwarmUpdateConfig *
make_config (Story *self)
{
  SwarmUpdateConfig *config = swarm_update_config_new ();
  config->parallelism = (guint64) roll (self, 1, 3);
  config->delay = roll (self, 0, 2) * 700 * 1000000;
  config->monitor = roll (self, 0, 3) * 1000000000;
  config->order = sim_random_chance (&self->dice, 40) ? SWARM_ORDER_START_FIRST : SWARM_ORDER_STOP_FIRST;
  return config;
}

typedef struct {
  gboolean done;
  gboolean ok;
  SwarmId id;
} Outcome;

static void
outcome (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Outcome *out = data;
  out->done = TRUE;
  out->ok = error == NULL;
  if (reply != NULL)
    out->id = reply->id;
}

static gboolean
is_done (SimCluster *cluster, gpointer data)
{
  return ((Outcome *) data)->done;
}

static gboolean
has_leader (SimCluster *cluster, gpointer data)
{
  return sim_cluster_leader (cluster) != NULL;
}

/* The leader's control, when there is one. */
static SwarmControl *
control_of (Story *self)
{
  if (!sim_cluster_run_until (self->cluster, 60 * SECOND, has_leader, NULL))
    g_error ("nobody leads");
  return swarm_manager_control (sim_cluster_leader (self->cluster)->brain);
}

/* The calls of a story are made in calm moments: they are not what is tested. */
static SwarmId
finish (Story *self, Outcome *out)
{
  if (!sim_cluster_run_until (self->cluster, 20 * SECOND, is_done, out) || !out->ok)
    g_error ("a call failed in a calm moment");
  return out->id;
}

/* NULL: managers that were all started just now do not know yet what of their logs is committed. */
static const SwarmService *
service_of (Story *self)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  return truth != NULL ? swarm_store_get (truth, SWARM_KIND_SERVICE, &self->web) : NULL;
}

static void
update (Story *self, const SwarmServiceSpec *spec)
{
  Outcome out = { 0 };
  SwarmControl *control = control_of (self);
  const SwarmService *service = swarm_store_get (sim_cluster_store (self->cluster), SWARM_KIND_SERVICE, &self->web);
  swarm_control_update_service (control, &self->web, service->object.version, spec, NULL, outcome, &out);
  finish (self, &out);
}

/* Managers lead here, and run nothing: what happens to them must not touch a task. */
static void
drain_managers (Story *self)
{
  for (guint i = 0; i < 3; i++) {
    Outcome out = { 0 };
    swarm_control_set_availability (control_of (self), &sim_cluster_machine (self->cluster, i)->id, "drain", NULL, outcome, &out);
    finish (self, &out);
  }
}

/* ---- what must hold all the while ---- */

static gboolean
has_image (const SwarmTask *task, const char *image)
{
  return strstr (task->spec->container->image, image) != NULL;
}

/* Slots in which the version's update is at work, slots with a task that runs; tasks of @image that are meant to run and do. */
static void
count_slots (Story *self, const char *image, guint *open, guint *up, guint *of_image)
{
  const SwarmService *service = service_of (self);
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (sim_cluster_truth (self->cluster), &self->web);
  g_autoptr (GHashTable) running = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  *open = *of_image = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    gboolean runs = task->status->state == SWARM_TASK_RUNNING;
    gboolean step = task->by_update && task->spec_version == service->spec_version && task->status->state < SWARM_TASK_RUNNING
                    && task->desired_state <= SWARM_TASK_RUNNING;
    *open += step;
    self->lost |= step && swarm_clock_now (self->cluster->world.clock) - task->object.created_at > 65 * SECOND;
    *of_image += runs && task->desired_state == SWARM_TASK_RUNNING && has_image (task, image);
    if (runs && task->desired_state == SWARM_TASK_RUNNING)
      g_hash_table_add (running, self->global ? swarm_id_dup_string (&task->node_id)
                                              : g_strdup_printf ("%" G_GUINT64_FORMAT, task->slot));
  }
  *up = g_hash_table_size (running);
}

static gboolean
look_for_lost_worker (gpointer object, gpointer data)
{
  Story *self = data;
  const SwarmNode *node = object;
  if (node->status->state == SWARM_NODE_DOWN && node->spec->availability == SWARM_AVAILABILITY_ACTIVE && !self->lost) {
    self->lost = TRUE;
    self->losses++;
  }
  return TRUE;
}

static void
check (Story *self, const SwarmUpdateConfig *config)
{
  guint open, up, ignored;
  if (service_of (self) == NULL)
    return;
  swarm_store_foreach (sim_cluster_truth (self->cluster), SWARM_KIND_NODE, look_for_lost_worker, self);
  count_slots (self, "", &open, &up, &ignored);
  if (self->lost)
    return;
  self->least = MIN (self->least, up);
  self->most_open = MAX (self->most_open, open);
  if (open > config->parallelism)
    fail (self, "%u slots are updated at once, allowed are %" G_GUINT64_FORMAT, open, config->parallelism);
  guint may_be_down = config->order == SWARM_ORDER_START_FIRST ? 0 : (guint) config->parallelism;
  if (up + may_be_down < self->size)
    fail (self, "only %u of %u slots run", up, self->size);
}

/* ---- faults ---- */

static void
come_back (Story *self)
{
  if (self->start_at != 0 && self->start_at <= now (self)) {
    self->start_at = 0;
    sim_machine_start (self->away);
    self->away = NULL;
  }
  if (self->heal_at != 0 && self->heal_at <= now (self)) {
    self->heal_at = 0;
    sim_cluster_heal (self->cluster);
    self->away = NULL;
  }
}

/* The leader most of the time: one manager at once. */
static void
strike (Story *self)
{
  SimMachine *leader = sim_cluster_leader (self->cluster);
  SimMachine *victim = leader != NULL && roll (self, 0, 3) > 0 ? leader : sim_cluster_machine (self->cluster, (guint) roll (self, 0, 2));
  self->next_fault = now (self) + roll (self, 100 * MS, 2 * SECOND);
  if (self->away != NULL)
    return;
  self->faults++;
  self->away = victim;
  gint64 until = now (self) + roll (self, 50 * MS, 4 * SECOND);
  if (self->verbose)
    printf ("%10.3f %s is struck\n", (double) (now (self) % (1000 * SECOND)) / SECOND, victim->name);
  if (sim_random_chance (&self->dice, 50)) {
    sim_machine_kill (victim);
    self->start_at = until;
  } else {
    sim_cluster_cut (self->cluster, victim);
    self->heal_at = until;
  }
}

static gboolean
is_over (Story *self)
{
  const SwarmService *service = service_of (self);
  const SwarmUpdateStatus *status = service != NULL ? service->update_status : NULL;
  return status != NULL && status->state != SWARM_UPDATE_UPDATING && status->state != SWARM_UPDATE_ROLLBACK_STARTED;
}

static void
live_through (Story *self, const SwarmUpdateConfig *config)
{
  gint64 limit = now (self) + 200 * SECOND;
  self->lost = FALSE;
  self->next_fault = now (self) + roll (self, 10 * MS, 500 * MS);
  while (self->failure == NULL && !is_over (self)) {
    sim_cluster_run (self->cluster, 10 * MS);
    come_back (self);
    check (self, config);
    if (now (self) >= self->next_fault)
      strike (self);
    if (now (self) > limit)
      fail (self, "the update does not end");
  }
  while (self->away != NULL) {
    sim_cluster_run (self->cluster, 100 * MS);
    come_back (self);
  }
}

/* ---- the story ---- */

static void
assert_end (Story *self, const char *status, const char *image, guint n)
{
  guint open, up, running;
  sim_cluster_run (self->cluster, 30 * SECOND);
  control_of (self);
  count_slots (self, image, &open, &up, &running);
  const SwarmService *service = service_of (self);
  if (!g_str_has_prefix (service->update_status->text, status))
    fail (self, "the end: %s; expected: %s", service->update_status->text, status);
  if (running != n)
    fail (self, "%s: %u tasks of %s run, expected %u", status, running, image, n);
}

static void
tell_story (Story *self)
{
  g_autoptr (SwarmServiceSpec) first = make_spec (self, "nginx:1"), good = make_spec (self, "nginx:2");
  g_autoptr (SwarmServiceSpec) bad = make_spec (self, "no-such-image:3"), back = make_spec (self, "nginx:4");
  Outcome out = { 0 };
  drain_managers (self);
  swarm_control_create_service (control_of (self), first, NULL, outcome, &out);
  self->web = finish (self, &out);
  sim_cluster_run (self->cluster, 20 * SECOND);
  good->update = make_config (self);
  update (self, good);
  live_through (self, good->update);
  assert_end (self, "update completed", "nginx:2", self->size);
  if (self->failure != NULL)
    return;
  sim_cluster_run (self->cluster, 5 * SECOND);
  /* One that does not work, and pauses: as many slots as were at work are lost, with start-first none. */
  bad->update = make_config (self);
  update (self, bad);
  live_through (self, bad->update);
  assert_end (self, "update paused", "no-such-image", 0);
  /* One that turns back by itself. */
  sim_cluster_run (self->cluster, 5 * SECOND);
  back->update = make_config (self);
  update (self, back);
  sim_cluster_run (self->cluster, 60 * SECOND);
  assert_end (self, "update completed", "nginx:4", self->size);
  swarm_update_config_unref (bad->update);
  bad->update = make_config (self);
  bad->update->failure_action = SWARM_FAILURE_ROLLBACK;
  back->rollback = swarm_update_config_copy (bad->update);
  update (self, back);
  sim_cluster_run (self->cluster, 5 * SECOND);
  update (self, bad);
  live_through (self, bad->update);
  assert_end (self, "rollback completed", "nginx:4", self->size);
}

static gboolean
run_seed (guint64 seed, gboolean verbose)
{
  Story self = { .verbose = verbose, .least = G_MAXUINT };
  SimClusterConfig config = { .seed = seed, .managers = 3, .workers = 3 + (guint) (seed % 4) };
  sim_random_init (&self.dice, seed * 7919 + 3);
  self.cluster = sim_cluster_new (&config);
  self.global = seed % 3 == 0;
  self.size = self.global ? config.workers : (guint) roll (&self, 3, 10);
  tell_story (&self);
  printf ("seed %" G_GUINT64_FORMAT ": %s; %s, %u slots, %u faults (%u times a worker was lost), at least %u up, at most %u at work\n", seed,
          self.failure != NULL ? self.failure : "ok", self.global ? "global" : "replicated", self.size, self.faults, self.losses, self.least, self.most_open);
  gboolean ok = self.failure == NULL;
  g_free (self.failure);
  sim_cluster_free (self.cluster);
  return ok;
}

int
main (int argc, char **argv)
{
  guint64 first = 1, last = 10;
  guint failed = 0;
  gboolean verbose = FALSE;
  for (int i = 1; i < argc; i++) {
    char *rest = NULL;
    if (g_str_equal (argv[i], "--seeds") && i + 1 < argc) {
      first = last = g_ascii_strtoull (argv[++i], &rest, 10);
      if (g_str_has_prefix (rest, ".."))
        last = g_ascii_strtoull (rest + 2, NULL, 10);
    } else if (g_str_equal (argv[i], "--verbose")) {
      verbose = TRUE;
    } else {
      fprintf (stderr, "usage: %s [--seeds A..B] [--verbose]\n", argv[0]);
      return 2;
    }
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  swarm_log_set_level (verbose ? LOG_INFO : LOG_ERR);
  for (guint64 seed = first; seed <= last; seed++)
    failed += !run_seed (seed, verbose);
  if (failed > 0)
    printf ("%u seeds failed\n", failed);
  return failed > 0;
}
