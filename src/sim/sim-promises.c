// SPDX-License-Identifier: LGPL-2.1-or-later
#include "sim/sim-promises.h"
#include "runtime-sim.h"
#include "sim/sim-addresses.h"

/* How long an agent may be away before its tasks are replaced (with what it takes to notice), and how long it has after its return. */
#define AWAY_US (2 * G_TIME_SPAN_SECOND)
#define GRACE_US (58 * G_TIME_SPAN_SECOND)
#define RETURN_US (15 * G_TIME_SPAN_SECOND)
/* Three heartbeats missed: the last one may have been sent a second, and what messages take, before it went away. */
#define DOWN_US (500 * G_TIME_SPAN_MILLISECOND)
/* How long it may take, leaderless times included, until one of two is told to end, when a drain that let both run has ended. */
#define DRAIN_OVER_US (60 * G_TIME_SPAN_SECOND)

/* A container that runs. */
typedef struct {
  char *task_id;
  char *slot; /* which slot it fills: "service/slot/node" */
  SwarmId task, service;
  SimMachine *machine;
  gint64 waited; /* when it was last seen to wait for its replacement */
} Running;

typedef struct {
  SwarmKind kind;
  SwarmId id;
  guint64 index;
  gboolean removed;
} Acknowledged;

enum { ACKNOWLEDGED, STARTED_ONCE, ONE_PER_SLOT, STOPPED_WHEN_WANTED, HEALTHY_WHEN_RUNNING, GIVEN_ONCE, N_PROMISES };

struct _SimPromises {
  SimCluster *cluster;
  GHashTable *running; /* task id → Running */
  GHashTable *slots;   /* slot → GPtrArray of Running */
  GHashTable *doubled; /* set of slots with more than one */
  GHashTable *ended;   /* set of task ids that the store has wanted to end, or has seen end: some manager has applied it, though it may be gone */
  GHashTable *removed; /* set of node ids */
  GHashTable *drained; /* node id → when a drain that starts the replacement first was over */
  GHashTable *acknowledged; /* SwarmId → Acknowledged */
  GHashTable *going;        /* set of ids whose removal was asked for: kept apart, as nothing of them may have been acknowledged until then */
  SimAddresses *addresses;
  guint64 newest; /* greatest acknowledged index */
  guint64 term;
  guint elections;
  SimPromise promises[N_PROMISES];
};

static void
running_free (gpointer data)
{
  Running *running = data;
  g_free (running->task_id);
  g_free (running->slot);
  g_free (running);
}

/* ---- machines that are away ---- */

/* The leader took its goodbye: one that nobody could hear gives no grace. */
static gboolean
has_grace (SimPromises *self, SimMachine *machine)
{
  SimMachine *leader = sim_cluster_leader (self->cluster);
  const SwarmNode *node = leader != NULL ? swarm_store_get (leader->store, SWARM_KIND_NODE, &machine->id) : NULL;
  return !machine->running && node != NULL && node->status->state == SWARM_NODE_DISCONNECTED
         && g_strcmp0 (node->status->text, "agent stopped") == 0;
}

/* Whoever knows most counts it as down. */
static gboolean
counts_as_down (SimPromises *self, SimMachine *machine)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  const SwarmNode *node = truth != NULL ? swarm_store_get (truth, SWARM_KIND_NODE, &machine->id) : NULL;
  return node != NULL && node->status->state == SWARM_NODE_DOWN;
}

static gboolean
is_removed (SimPromises *self, SimMachine *machine)
{
  return g_hash_table_contains (self->removed, &machine->id);
}

static void
look_at_machine (SimPromises *self, SimMachine *machine)
{
  gint64 now = sim_clock_time (self->cluster->world.sim);
  /* Taken out of the cluster by force: nobody can tell it to stop its tasks. */
  if (is_removed (self, machine)) {
    machine->excused = TRUE;
    return;
  }
  gboolean gone = !machine->running || machine->cut || machine->session != SWARM_SESSION_REGISTERED;
  if (!gone) {
    machine->gone_since = 0;
    if (machine->excused && now > machine->excused_until)
      machine->excused = FALSE;
    return;
  }
  if (machine->gone_since == 0)
    machine->gone_since = now;
  gint64 away = now - machine->gone_since;
  if ((away > AWAY_US && (away > GRACE_US || !has_grace (self, machine))) || (away > DOWN_US && counts_as_down (self, machine)))
    machine->excused = TRUE;
  machine->excused_until = now + RETURN_US;
}

void
sim_promises_look_at_machines (SimPromises *self)
{
  for (guint i = 0; i < sim_cluster_n_machines (self->cluster); i++)
    look_at_machine (self, sim_cluster_machine (self->cluster, i));
}

/* ---- containers ---- */

static const SwarmTask *
task_of (SimPromises *self, const SwarmId *id)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  return truth != NULL ? swarm_store_get (truth, SWARM_KIND_TASK, id) : NULL;
}

/* Tasks of global services have their node for a slot; a job's new iteration begins with new slots. */
static char *
slot_of (SimPromises *self, const SwarmTask *task)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  const SwarmService *service = truth != NULL ? swarm_store_get (truth, SWARM_KIND_SERVICE, &task->service_id) : NULL;
  SwarmServiceKind kind = service != NULL ? swarm_service_spec_kind (service->spec) : SWARM_SERVICE_REPLICATED;
  gboolean global = kind == SWARM_SERVICE_GLOBAL || kind == SWARM_SERVICE_GLOBAL_JOB;
  SwarmIdString id = swarm_id_string (&task->service_id), node = swarm_id_string (&task->node_id);
  return g_strdup_printf ("%s/%" G_GUINT64_FORMAT "/%s/%" G_GUINT64_FORMAT, id.str, task->slot, global ? node.str : "", task->job_iteration);
}

static void
container_ended (SimPromises *self, const RuntimeSimTask *container)
{
  Running *running = g_hash_table_lookup (self->running, container->task_id);
  if (running == NULL)
    return;
  GPtrArray *slot = g_hash_table_lookup (self->slots, running->slot);
  g_ptr_array_remove_fast (slot, running);
  if (slot->len <= 1)
    g_hash_table_remove (self->doubled, running->slot);
  g_hash_table_remove (self->running, container->task_id);
}

static void
container_started (SimPromises *self, const RuntimeSimTask *container)
{
  SwarmId id;
  const SwarmTask *task = swarm_id_parse (container->task_id, &id) ? task_of (self, &id) : NULL;
  SimMachine *machine = sim_cluster_find (self->cluster, container->host);
  self->promises[STARTED_ONCE].checked++;
  if (container->starts > 1)
    sim_cluster_break (self->cluster, "task %s was started %u times", container->name, container->starts);
  container_ended (self, container);
  if (task == NULL || machine == NULL)
    return;
  Running *running = g_new0 (Running, 1);
  *running = (Running){ g_strdup (container->task_id), slot_of (self, task), id, task->service_id, machine };
  GPtrArray *slot = g_hash_table_lookup (self->slots, running->slot);
  if (slot == NULL) {
    slot = g_ptr_array_new ();
    g_hash_table_insert (self->slots, g_strdup (running->slot), slot);
  }
  g_ptr_array_add (slot, running);
  g_hash_table_insert (self->running, running->task_id, running);
  self->promises[ONE_PER_SLOT].checked++;
  if (slot->len > 1)
    g_hash_table_add (self->doubled, g_strdup (running->slot));
}

/* A task counts as running, and would get connections, only after its health command has said yes. */
static void
check_health (SimPromises *self, const SwarmTask *task)
{
  const SwarmHealthcheck *health = task->spec->container->healthcheck;
  SwarmIdString id = swarm_id_string (&task->object.id);
  RuntimeSimTask container;
  if (task->status->state != SWARM_TASK_RUNNING || health == NULL || health->test == NULL || health->test->len < 2
      || !runtime_sim_find (id.str, &container))
    return;
  self->promises[HEALTHY_WHEN_RUNNING].checked++;
  if (!container.was_healthy)
    sim_cluster_break (self->cluster, "%s counts as running, and its health command never said yes", container.name);
}

static gboolean
starts_elsewhere_first (const SwarmNode *node)
{
  return node->spec->availability == SWARM_AVAILABILITY_DRAIN && node->spec->drain_order == SWARM_DRAIN_START_FIRST;
}

void
sim_promises_committed (SimPromises *self, const SwarmEvent *event)
{
  g_autofree char *twice = sim_addresses_committed (self->addresses, sim_cluster_truth (self->cluster), event);
  self->promises[GIVEN_ONCE].checked = sim_addresses_n_given (self->addresses);
  if (twice != NULL)
    sim_cluster_break (self->cluster, "%s", twice);
  if (event->kind == SWARM_KIND_NODE && event->event == SWARM_EVENT_REMOVE) {
    g_hash_table_add (self->removed, g_memdup2 (&SWARM_OBJECT (event->object)->id, sizeof (SwarmId)));
    sim_promises_look_at_machines (self);
  }
  if (event->kind == SWARM_KIND_NODE && event->event == SWARM_EVENT_UPDATE && starts_elsewhere_first (event->previous)
      && !starts_elsewhere_first (event->object)) {
    gint64 now = sim_clock_time (self->cluster->world.sim);
    g_hash_table_replace (self->drained, g_memdup2 (&SWARM_OBJECT (event->object)->id, sizeof (SwarmId)), g_memdup2 (&now, sizeof now));
  }
  if (event->kind == SWARM_KIND_NODE && event->event == SWARM_EVENT_UPDATE && ((SwarmNode *) event->object)->status->state == SWARM_NODE_DOWN)
    sim_promises_look_at_machines (self);
  if (event->kind != SWARM_KIND_TASK || event->object == NULL)
    return;
  const SwarmTask *task = event->object;
  check_health (self, task);
  if (event->event == SWARM_EVENT_REMOVE || task->desired_state > SWARM_TASK_RUNNING || task->status->state > SWARM_TASK_RUNNING)
    g_hash_table_add (self->ended, g_memdup2 (&task->object.id, sizeof task->object.id));
}

/* Nobody but the store may have it stopped: then it gets no new connections, and no agent's end or start alone ends a task. */
static void
container_stops (SimPromises *self, const RuntimeSimTask *container)
{
  SwarmId id;
  const SimMachine *machine = sim_cluster_find (self->cluster, container->host);
  self->promises[STOPPED_WHEN_WANTED].checked++;
  if (!swarm_id_parse (container->task_id, &id) || g_hash_table_contains (self->ended, &id) || (machine != NULL && machine->leaving)
      || container->may_be_unhealthy)
    return;
  const SwarmTask *task = task_of (self, &id);
  sim_cluster_break (self->cluster, "%s on %s is stopped while the store says %s, wanted %s", container->name, container->host,
                     task != NULL ? swarm_task_state_to_string (task->status->state) : "nothing",
                     task != NULL ? swarm_task_state_to_string (task->desired_state) : "nothing");
}

static void
container_changed (const RuntimeSimTask *container, RuntimeSimChange change, gpointer data)
{
  SimPromises *self = data;
  switch (change) {
  case RUNTIME_SIM_STARTED:
    container_started (self, container);
    break;
  case RUNTIME_SIM_STOPPING:
    container_stops (self, container);
    break;
  case RUNTIME_SIM_ENDED:
    container_ended (self, container);
    break;
  }
}

static gboolean
spec_starts_first (const SwarmServiceSpec *spec)
{
  return spec != NULL
         && ((spec->update != NULL && spec->update->order == SWARM_ORDER_START_FIRST)
             || (spec->rollback != NULL && spec->rollback->order == SWARM_ORDER_START_FIRST));
}

static gboolean
may_double (SimPromises *self, const SwarmId *service_id)
{
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  const SwarmService *service = truth != NULL ? swarm_store_get (truth, SWARM_KIND_SERVICE, service_id) : NULL;
  return service == NULL || spec_starts_first (service->spec) || spec_starts_first (service->previous_spec);
}

/* Its node is drained with the replacement first, or it is being moved; or was so until now (the replacement was on its way), and one of the two is
 * going. */
static gboolean
waits_for_replacement (SimPromises *self, SwarmStore *truth, Running *running, const SwarmTask *task)
{
  gint64 now = sim_clock_time (self->cluster->world.sim);
  const SwarmNode *node = swarm_store_get (truth, SWARM_KIND_NODE, &running->machine->id);
  const gint64 *over = g_hash_table_lookup (self->drained, &running->machine->id);
  if (!swarm_id_is_nil (&task->move_to) || (node != NULL && starts_elsewhere_first (node)))
    running->waited = now;
  else if (over != NULL)
    running->waited = MAX (running->waited, *over);
  return running->waited > 0 && (now < running->waited + DRAIN_OVER_US || task->desired_state > SWARM_TASK_RUNNING);
}

static void
check_slot (SimPromises *self, SwarmStore *truth, GPtrArray *slot)
{
  const Running *first = NULL;
  for (guint i = 0; i < slot->len; i++) {
    Running *running = g_ptr_array_index (slot, i);
    const SwarmTask *task = swarm_store_get (truth, SWARM_KIND_TASK, &running->task);
    if (!running->machine->powered || running->machine->excused || task == NULL || waits_for_replacement (self, truth, running, task))
      continue;
    if (first == NULL) {
      first = running;
    } else if (!may_double (self, &running->service)) {
      sim_cluster_break (self->cluster, "slot %s runs twice: %s on %s and %s on %s", running->slot, first->task_id, first->machine->name,
                         running->task_id, running->machine->name);
      return;
    }
  }
}

/* ---- what was acknowledged ---- */

static void
check_acknowledged (SimPromises *self, SwarmStore *store, const Acknowledged *row)
{
  const SwarmObject *object = swarm_store_get (store, row->kind, &row->id);
  self->promises[ACKNOWLEDGED].checked++;
  if (row->removed ? object == NULL : object != NULL ? object->version >= row->index : g_hash_table_contains (self->going, &row->id))
    return;
  sim_cluster_break (self->cluster, "%s %s was acknowledged at %" G_GUINT64_FORMAT " as %s: that is lost", swarm_kind_to_string (row->kind),
                     swarm_id_string (&row->id).str, row->index, row->removed ? "removed" : "written");
}

static void
check_leader (SimPromises *self)
{
  SimMachine *leader = sim_cluster_leader (self->cluster);
  guint64 term = leader == NULL ? 0 : leader->consensus != NULL ? swarm_consensus_term (leader->consensus) : 1;
  GHashTableIter iter;
  gpointer row;
  if (term <= self->term)
    return;
  self->term = term;
  self->elections++;
  if (swarm_store_index (leader->store) < self->newest)
    sim_cluster_break (self->cluster, "%s leads without what was acknowledged: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT, leader->name,
                       swarm_store_index (leader->store), self->newest);
  g_hash_table_iter_init (&iter, self->acknowledged);
  while (g_hash_table_iter_next (&iter, NULL, &row))
    check_acknowledged (self, leader->store, row);
}

void
sim_promises_acknowledge (SimPromises *self, SwarmKind kind, const SwarmId *id, guint64 index, gboolean removed)
{
  Acknowledged *row = g_hash_table_lookup (self->acknowledged, id);
  if (row == NULL) {
    row = g_new0 (Acknowledged, 1);
    row->id = *id;
    row->kind = kind;
    g_hash_table_insert (self->acknowledged, &row->id, row);
  }
  row->removed |= removed;
  self->newest = MAX (self->newest, index);
  SwarmStore *truth = sim_cluster_truth (self->cluster);
  const SwarmObject *object = truth != NULL ? swarm_store_get (truth, kind, id) : NULL;
  /* A call that had nothing to change is answered with an index, too. */
  if (object != NULL)
    row->index = MAX (row->index, MIN (index, object->version));
  if (truth != NULL)
    check_acknowledged (self, truth, row);
}

void
sim_promises_may_go (SimPromises *self, const SwarmId *id)
{
  g_hash_table_add (self->going, g_memdup2 (id, sizeof *id));
}

/* ---- all ---- */

void
sim_promises_check (SimPromises *self)
{
  GHashTableIter iter;
  gpointer key;
  if (self->cluster->changed)
    check_leader (self);
  SwarmStore *truth = g_hash_table_size (self->doubled) > 0 ? sim_cluster_truth (self->cluster) : NULL;
  if (truth == NULL)
    return;
  g_hash_table_iter_init (&iter, self->doubled);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    check_slot (self, truth, g_hash_table_lookup (self->slots, key));
}

const SimPromise *
sim_promises_list (SimPromises *self, guint *ret_n)
{
  *ret_n = N_PROMISES;
  return self->promises;
}

guint
sim_promises_n_elections (SimPromises *self)
{
  return self->elections;
}

SimPromises *
sim_promises_new (SimCluster *cluster)
{
  SimPromises *self = g_new0 (SimPromises, 1);
  self->cluster = cluster;
  self->running = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, running_free);
  self->slots = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  self->doubled = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->ended = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->removed = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->drained = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, g_free);
  self->acknowledged = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, g_free);
  self->going = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->promises[ACKNOWLEDGED].name = "1: what was acknowledged is not lost";
  self->promises[STARTED_ONCE].name = "2: no task is started twice";
  self->promises[ONE_PER_SLOT].name = "2: no slot runs twice";
  self->promises[STOPPED_WHEN_WANTED].name = "3, 4: only what the store wants ended is stopped";
  self->promises[HEALTHY_WHEN_RUNNING].name = "4: only what has been healthy counts as running";
  self->promises[GIVEN_ONCE].name = "5: no address, subnet, port or number is given out twice";
  self->addresses = sim_addresses_new ();
  runtime_sim_set_observer (container_changed, self);
  return self;
}

void
sim_promises_free (SimPromises *self)
{
  runtime_sim_set_observer (NULL, NULL);
  sim_addresses_free (self->addresses);
  g_hash_table_unref (self->slots);
  g_hash_table_unref (self->doubled);
  g_hash_table_unref (self->running);
  g_hash_table_unref (self->acknowledged);
  g_hash_table_unref (self->going);
  g_hash_table_unref (self->ended);
  g_hash_table_unref (self->removed);
  g_hash_table_unref (self->drained);
  g_free (self);
}
