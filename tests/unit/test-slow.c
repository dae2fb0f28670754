// SPDX-License-Identifier: LGPL-2.1-or-later
/* A machine so slow that every look at the clock costs a millisecond: each pass of the brain is cut short again and again, and goes on where it
 * was. What comes out is the same. */
#include "base/error.h"
#include "brain-fixture.h"

#define N_NODES 40

static const SwarmClockOps *real;
static SwarmClockOps slow;
static gint64 slow_time;
static guint looks;
static gint64 look_cost;

static gint64
slow_boottime (SwarmClock *clock)
{
  looks++;
  /* Not so slow that heartbeats were missed. */
  gint64 now = real->boottime (clock);
  slow_time = CLAMP (slow_time + look_cost, now, now + SECOND);
  return slow_time;
}

static void
make_slow (Brain *brain)
{
  real = brain->manager_clock->ops;
  slow = *real;
  slow.boottime = slow_boottime;
  slow_time = 0;
  look_cost = 1 * MS;
  brain->manager_clock->ops = &slow;
}

static Brain *
slow_brain (void)
{
  Brain *brain = brain_new ();
  make_slow (brain);
  for (guint i = 1; i <= N_NODES; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (brain, name);
  }
  brain_run (brain, SECOND);
  return brain;
}

static void
set_label (Brain *brain, Tame *node, const char *value)
{
  g_autoptr (GHashTable) labels = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (labels, (gpointer) "zone", (gpointer) value);
  swarm_control_update_labels (swarm_manager_control (brain->manager), &node->id, labels, NULL, NULL, NULL, NULL);
  brain_run (brain, 10 * MS);
}

static guint
tasks_on (Brain *brain, const SwarmId *service, Tame *node)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, service);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += swarm_id_equal (&task->node_id, &node->id) && task->desired_state == SWARM_TASK_RUNNING && task->status->state == SWARM_TASK_RUNNING;
  }
  return n;
}

/* As even as it can be. */
static void
assert_spread (Brain *brain, const SwarmId *service, guint nodes, guint replicas)
{
  for (guint i = 0; i < nodes; i++) {
    g_assert_cmpuint (tasks_on (brain, service, brain_tame (brain, i)), >=, replicas / nodes);
    g_assert_cmpuint (tasks_on (brain, service, brain_tame (brain, i)), <=, (replicas + nodes - 1) / nodes);
  }
}

static void
make_global (SwarmServiceSpec *spec)
{
  swarm_message_clear_pointer (&spec->mode);
  spec->mode = swarm_service_mode_new ();
  spec->mode->global = swarm_global_new ();
}

static void
constrain (SwarmServiceSpec *spec, const char *constraint)
{
  spec->task->placement = swarm_placement_new ();
  spec->task->placement->constraints = swarm_strings_new ();
  g_ptr_array_add (spec->task->placement->constraints, g_strdup (constraint));
}

static void
test_services (void)
{
  g_autoptr (Brain) brain = slow_brain ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 300), everywhere = brain_spec ("agent", 1);
  make_global (everywhere);
  SwarmId web = brain_create (brain, spec), agent = brain_create (brain, everywhere);
  guint before = looks;
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (looks, >, before);
  g_assert_cmpuint (count_running (brain, &web), ==, 300);
  assert_spread (brain, &web, N_NODES, 300);
  g_assert_cmpuint (count_running (brain, &agent), ==, N_NODES);
  g_assert_true (brain_scale (brain, &web, 100, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 100);
  assert_spread (brain, &web, N_NODES, 100);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 100 + N_NODES);
  /* All anew at once. */
  swarm_string_set (&spec->task->container->image, "nginx:2");
  spec->mode->replicated->replicas = 100;
  spec->update = swarm_update_config_new ();
  spec->update->parallelism = 0;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 100);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpint (service->update_status->state, ==, SWARM_UPDATE_COMPLETED);
  g_assert_true (brain_remove (brain, &web, NULL));
  g_assert_true (brain_remove (brain, &agent, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (swarm_store_count (brain->store, SWARM_KIND_TASK), ==, 0);
}

static void
test_nodes (void)
{
  g_autoptr (Brain) brain = slow_brain ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 120), there = brain_spec ("there", 60);
  constrain (there, "node.labels.zone==a");
  for (guint i = 0; i < 10; i++)
    set_label (brain, brain_tame (brain, i), "a");
  SwarmId zone = brain_create (brain, there);
  brain_run (brain, SECOND);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 120);
  g_assert_cmpuint (count_running (brain, &zone), ==, 60);
  assert_spread (brain, &zone, 10, 60);
  for (guint i = 0; i < 5; i++)
    set_label (brain, brain_tame (brain, i), "b");
  brain_run (brain, 10 * SECOND);
  for (guint i = 0; i < 5; i++)
    g_assert_cmpuint (tasks_on (brain, &zone, brain_tame (brain, i)), ==, 0);
  g_assert_cmpuint (count_running (brain, &zone), ==, 60);
  for (guint i = 20; i < N_NODES; i++)
    g_assert_true (brain_availability (brain, brain_tame (brain, i), "drain", NULL));
  brain_run (brain, 10 * SECOND);
  for (guint i = 20; i < N_NODES; i++)
    g_assert_cmpuint (tasks_on (brain, &web, brain_tame (brain, i)), ==, 0);
  g_assert_cmpuint (count_running (brain, &web), ==, 120);
  /* Nodes go while they carry tasks: these are orphans, and others take their place. */
  for (guint i = 10; i < 15; i++)
    g_assert_true (brain_remove_node (brain, brain_tame (brain, i), TRUE, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 120);
  for (guint i = 10; i < 15; i++) {
    g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (brain->store, &brain_tame (brain, i)->id);
    for (guint j = 0; j < tasks->len; j++)
      g_assert_true (swarm_task_state_is_terminal (((SwarmTask *) tasks->pdata[j])->status->state));
  }
}

/* A new leader looks at everything, piece by piece: what nobody saw happen is seen. */
static void
test_new_leader (void)
{
  g_autoptr (Brain) brain = slow_brain ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 200), everywhere = brain_spec ("agent", 1);
  make_global (everywhere);
  SwarmId web = brain_create (brain, spec), agent = brain_create (brain, everywhere);
  brain_run (brain, 10 * SECOND);
  brain_restart (brain);
  for (guint i = 3; i < N_NODES; i++)
    tame_connect (brain_tame (brain, i));
  brain_run (brain, 20 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 200);
  for (guint i = 3; i < N_NODES; i++)
    g_assert_cmpuint (tasks_on (brain, &agent, brain_tame (brain, i)), ==, 1);
}

/* More nodes than one look at the clock covers. */
#define N_MANY 2500
#define N_TASKS 6000

static SwarmId many;

static void
made (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  g_assert_no_error (error);
}

static gboolean
count_of_node (gpointer object, gpointer data)
{
  Brain *brain = data;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_node (brain->store, &SWARM_OBJECT (object)->id);
  if (((SwarmNode *) object)->status->state != SWARM_NODE_READY)
    return TRUE; /* the manager's own */
  g_assert_cmpuint (tasks->len, >=, N_TASKS / N_MANY);
  g_assert_cmpuint (tasks->len, <=, N_TASKS / N_MANY + 1);
  return TRUE;
}

static gboolean
all_assigned (gpointer data)
{
  Brain *brain = data;
  if (swarm_store_count (brain->store, SWARM_KIND_TASK) < N_TASKS)
    return FALSE;
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, &many);
  for (guint i = 0; i < tasks->len; i++)
    if (swarm_id_is_nil (&((SwarmTask *) tasks->pdata[i])->node_id))
      return FALSE;
  return TRUE;
}

static void
test_many (void)
{
  g_autoptr (Brain) brain = brain_new ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", N_TASKS);
  SwarmTx *tx = NULL;
  for (guint i = 0; i < N_MANY; i++) {
    g_autoptr (SwarmNode) node = swarm_node_new ();
    node->spec = swarm_node_spec_new ();
    swarm_node_set_state (node, SWARM_NODE_READY, "");
    tx = tx != NULL ? tx : swarm_store_tx (brain->store);
    swarm_tx_create (tx, node);
    if (i % 100 == 99)
      swarm_tx_commit (g_steal_pointer (&tx), NULL, made, NULL);
  }
  brain_run (brain, SECOND);
  make_slow (brain);
  many = brain_create (brain, spec);
  g_assert_true (sim_clock_run_until (brain->sim, 20 * SECOND, all_assigned, brain));
  swarm_store_foreach (brain->store, SWARM_KIND_NODE, count_of_node, brain);
}

/* ---- a log that refuses every now and then ---- */

typedef struct {
  Brain *brain;
  SwarmTimer *timer;
  gboolean broken;
} Flapping;

static void
flap (gpointer data)
{
  Flapping *self = data;
  self->broken = !self->broken;
  sim_log_break (self->brain->log, self->broken);
  self->timer = swarm_clock_timer (self->brain->clock, self->broken ? 4 * MS : 3 * MS, SWARM_PRIORITY_URGENT, flap, self);
}

static void
flap_begin (Flapping *self, Brain *brain)
{
  *self = (Flapping){ brain };
  flap (self);
}

static void
flap_end (Flapping *self)
{
  swarm_clock_clear_timer (self->brain->clock, &self->timer);
  sim_log_break (self->brain->log, FALSE);
}

/* What could not be written is tried again, by every loop: nothing is forgotten. */
static void
test_refused_writes (void)
{
  g_autoptr (Brain) brain = brain_new ();
  Flapping flapping;
  for (guint i = 0; i < 12; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (brain, name);
    set_label (brain, brain_tame (brain, i), i < 6 ? "a" : "b");
  }
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 60), everywhere = brain_spec ("agent", 1), there = brain_spec ("there", 12);
  make_global (everywhere);
  constrain (there, "node.labels.zone==a");
  SwarmId web = brain_create (brain, spec), agent = brain_create (brain, everywhere), zone = brain_create (brain, there);
  flap_begin (&flapping, brain);
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 60);
  g_assert_cmpuint (count_running (brain, &agent), ==, 12);
  g_assert_cmpuint (count_running (brain, &zone), ==, 12);
  flap_end (&flapping);
  g_assert_true (brain_availability (brain, brain_tame (brain, 7), "drain", NULL));
  g_assert_true (brain_remove_node (brain, brain_tame (brain, 8), TRUE, NULL));
  set_label (brain, brain_tame (brain, 0), "b");
  tame_disconnect (brain_tame (brain, 9));
  swarm_string_set (&spec->task->container->image, "nginx:2");
  spec->mode->replicated->replicas = 30;
  g_assert_true (brain_update (brain, &web, spec, NULL));
  flap_begin (&flapping, brain);
  brain_run (brain, 300 * SECOND);
  flap_end (&flapping);
  brain_run (brain, 5 * SECOND);
  const SwarmService *service = swarm_store_get (brain->store, SWARM_KIND_SERVICE, &web);
  g_assert_cmpint (service->update_status->state, ==, SWARM_UPDATE_COMPLETED);
  g_assert_cmpuint (count_running (brain, &web), ==, 30);
  g_assert_cmpuint (count_running (brain, &zone), ==, 12);
  g_assert_cmpuint (tasks_on (brain, &zone, brain_tame (brain, 0)), ==, 0);
  for (guint i = 7; i < 10; i++) {
    g_assert_cmpuint (tasks_on (brain, &web, brain_tame (brain, i)), ==, 0);
    g_assert_cmpuint (tasks_on (brain, &agent, brain_tame (brain, i)), ==, 0);
  }
  g_assert_cmpuint (count_running (brain, &agent), ==, 9);
  g_assert_true (brain_remove (brain, &zone, NULL));
  flap_begin (&flapping, brain);
  brain_run (brain, 20 * SECOND);
  flap_end (&flapping);
  g_assert_null (swarm_store_get (brain->store, SWARM_KIND_SERVICE, &zone));
  g_autoptr (GPtrArray) left = swarm_store_tasks_of_service (brain->store, &zone);
  g_assert_cmpuint (left->len, ==, 0);
}

/* ---- what happens between two parts of a look at all nodes ---- */

typedef enum { DRAIN, PAUSE, LEAVE, JOIN, LABEL, CHANGE, REMOVE, REFUSE, N_HAZARDS } Hazard;

typedef struct {
  Brain *brain;
  SwarmServiceSpec *spec;
  SwarmId service;
  gboolean job;
  guint looked_at;      /* nodes that have what the look puts there, at least, before something happens */
  Tame *past, *to_come; /* a node that has it, and one that has not */
} Cut;

/* What the look that is under way puts on nodes: a task of the newest spec. */
static gboolean
is_new_on (const Cut *self, const SwarmTask *task, Tame *node)
{
  const SwarmService *service = swarm_store_get (self->brain->store, SWARM_KIND_SERVICE, &self->service);
  return service != NULL && task->spec_version == service->spec_version && swarm_id_equal (&task->node_id, &node->id)
         && task->desired_state <= SWARM_TASK_COMPLETE;
}

static guint
new_on (const Cut *self, Tame *node)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (self->brain->store, &self->service);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++)
    n += is_new_on (self, tasks->pdata[i], node);
  return n;
}

static gboolean
look_is_cut (gpointer data)
{
  Cut *self = data;
  guint n = 0;
  self->past = self->to_come = NULL;
  for (guint i = 0; i < N_NODES; i++) {
    Tame *node = brain_tame (self->brain, i);
    gboolean past = new_on (self, node) > 0;
    n += past;
    if (past)
      self->past = node;
    else
      self->to_come = node;
  }
  return n >= self->looked_at;
}

static void
happen (Cut *self, Hazard hazard)
{
  Brain *brain = self->brain;
  Tame *const both[] = { self->past, self->to_come };
  for (guint i = 0; i < 2; i++) {
    if (hazard == DRAIN || hazard == PAUSE)
      g_assert_true (brain_availability (brain, both[i], hazard == DRAIN ? "drain" : "pause", NULL));
    else if (hazard == LEAVE)
      g_assert_true (brain_remove_node (brain, both[i], TRUE, NULL));
    else if (hazard == JOIN)
      brain_node (brain, i == 0 ? "late" : "later");
    else if (hazard == LABEL)
      set_label (brain, both[i], "closed");
  }
  if (hazard == CHANGE) {
    swarm_string_set (&self->spec->task->container->image, "nginx:3");
    g_assert_true (brain_update (brain, &self->service, self->spec, NULL));
  } else if (hazard == REMOVE) {
    g_assert_true (brain_remove (brain, &self->service, NULL));
  } else if (hazard == REFUSE) {
    sim_log_break (brain->log, TRUE);
    brain_run (brain, 20 * MS);
    sim_log_break (brain->log, FALSE);
  }
}

/* Each node that may has one task of the newest spec, the others none that is to run. */
static void
assert_everywhere (const Cut *self, Hazard hazard)
{
  for (guint i = 0; i < self->brain->nodes->len; i++) {
    Tame *node = brain_tame (self->brain, i);
    gboolean hit = node == self->past || node == self->to_come;
    guint running = tasks_on (self->brain, &self->service, node), new = new_on (self, node);
    if (hazard == REMOVE || (hit && !self->job && (hazard == DRAIN || hazard == LEAVE || hazard == LABEL))) {
      g_assert_cmpuint (running, ==, 0);
      g_assert_cmpuint (new, ==, 0);
    } else if (hit && hazard == PAUSE) { /* what was begun there stays as it was */
      g_assert_cmpuint (running, <=, 1);
      g_assert_cmpuint (new, <=, 1);
    } else if (!hit || hazard == CHANGE || hazard == REFUSE) {
      g_assert_cmpuint (running, ==, !self->job);
      g_assert_cmpuint (new, ==, 1);
    }
  }
}

static void
cut_begin (Cut *self, gboolean job, guint looked_at)
{
  *self = (Cut){ .brain = slow_brain (), .spec = brain_spec ("agent", 1), .job = job, .looked_at = looked_at };
  make_global (self->spec);
  constrain (self->spec, "node.labels.zone!=closed");
  if (job) {
    swarm_message_clear_pointer (&self->spec->mode->global);
    self->spec->mode->global_job = swarm_global_job_new ();
  } else {
    self->spec->update = swarm_update_config_new ();
    self->spec->update->parallelism = 0;
    self->spec->update->monitor = 1000 * 1000 * 1000;
  }
  look_cost = 5 * MS;
}

/* The first look at it, or its update or next iteration, is cut, something happens, and it goes on. */
static void
cut_at (gboolean job, guint looked_at, Hazard hazard, gboolean update)
{
  Cut cut;
  cut_begin (&cut, job, looked_at);
  cut.service = brain_create (cut.brain, cut.spec);
  if (update) {
    brain_run (cut.brain, 20 * SECOND);
    swarm_string_set (&cut.spec->task->container->image, "nginx:2");
    g_assert_true (brain_update (cut.brain, &cut.service, cut.spec, NULL));
  }
  g_assert_true (sim_clock_run_until (cut.brain->sim, 5 * SECOND, look_is_cut, &cut));
  g_assert_nonnull (cut.to_come); /* or it was not cut */
  happen (&cut, hazard);
  brain_run (cut.brain, 60 * SECOND);
  assert_everywhere (&cut, hazard);
  const SwarmService *service = swarm_store_get (cut.brain->store, SWARM_KIND_SERVICE, &cut.service);
  if (!job && hazard != REMOVE && hazard != PAUSE && (update || hazard == CHANGE))
    g_assert_cmpint (service->update_status->state, ==, SWARM_UPDATE_COMPLETED);
  if (hazard == REMOVE)
    g_assert_cmpuint (swarm_store_count (cut.brain->store, SWARM_KIND_TASK), ==, 0);
  swarm_message_unref (cut.spec);
  brain_free (cut.brain);
}

/* ---- a rebalance that is planned in many turns ---- */

typedef struct {
  Brain *brain;
  const SwarmId *service;
  gboolean begun;
  guint answers, moves;
  SwarmError error; /* 0: none */
} Rebalance;

static void
rebalanced (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Rebalance *self = data;
  self->answers++;
  self->error = error != NULL ? (SwarmError) error->code : 0;
  self->moves = reply != NULL ? (guint) g_ascii_strtoull (reply->text, NULL, 10) : 0;
}

static void
rebalance_begin (gpointer data)
{
  Rebalance *self = data;
  self->begun = TRUE;
  swarm_control_rebalance_service (swarm_manager_control (self->brain->manager), self->service, 0, NULL, rebalanced, self);
}

static void
rebalance (Brain *brain, const SwarmId *service, Rebalance *ret)
{
  *ret = (Rebalance){ brain, service };
  rebalance_begin (ret);
}

/* Just before what is written now is applied. */
static void
rebalance_meanwhile (Brain *brain, const SwarmId *service, Rebalance *ret)
{
  *ret = (Rebalance){ brain, service };
  swarm_clock_timer (brain->clock, MS, SWARM_PRIORITY_URGENT, rebalance_begin, ret);
}

static void
assert_under_way (const Rebalance *self)
{
  g_assert_true (self->begun);
  g_assert_cmpuint (self->answers, ==, 0);
}

/* All tasks run on the first half of the nodes. */
static Brain *
uneven_brain (SwarmId *ret)
{
  Brain *brain = slow_brain ();
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 200);
  for (guint i = N_NODES / 2; i < N_NODES; i++)
    g_assert_true (brain_availability (brain, brain_tame (brain, i), "drain", NULL));
  *ret = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  for (guint i = N_NODES / 2; i < N_NODES; i++)
    g_assert_true (brain_availability (brain, brain_tame (brain, i), "active", NULL));
  brain_run (brain, SECOND);
  look_cost = 3 * MS;
  return brain;
}

static void
test_rebalance (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = uneven_brain (&web);
  Rebalance first, second;
  rebalance (brain, &web, &first);
  rebalance (brain, &web, &second);
  brain_run (brain, 0);
  g_assert_cmpuint (first.answers, ==, 0); /* it is being planned */
  g_assert_cmpuint (second.answers, ==, 1);
  g_assert_cmpint (second.error, ==, SWARM_ERROR_UNAVAILABLE);
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (first.answers, ==, 1);
  g_assert_cmpuint (first.moves, ==, 100);
  brain_run (brain, 300 * SECOND);
  assert_spread (brain, &web, N_NODES, 200);
}

/* What has changed meanwhile stays as it is, and the rest moves. */
static void
test_rebalance_overtaken (gconstpointer data)
{
  enum { DRAINED, GONE, TARGET_GONE } what = GPOINTER_TO_UINT (data);
  SwarmId web;
  g_autoptr (Brain) brain = uneven_brain (&web);
  Rebalance call;
  Tame *first = brain_tame (brain, 0);
  rebalance_meanwhile (brain, &web, &call);
  if (what == DRAINED)
    g_assert_true (brain_availability (brain, first, "drain", NULL));
  else
    g_assert_true (brain_remove_node (brain, what == GONE ? first : brain_tame (brain, N_NODES - 1), TRUE, NULL));
  assert_under_way (&call);
  brain_run (brain, 360 * SECOND);
  g_assert_cmpuint (call.answers, ==, 1);
  g_assert_cmpint (call.error, ==, 0);
  g_assert_cmpuint (call.moves, >, 80);
  g_assert_cmpuint (count_running (brain, &web), ==, 200);
  g_assert_true (what == TARGET_GONE || tasks_on (brain, &web, first) == 0);
  guint reached = 0;
  for (guint i = N_NODES / 2; i < N_NODES; i++)
    reached += tasks_on (brain, &web, brain_tame (brain, i)) > 0;
  g_assert_cmpuint (reached, >=, N_NODES / 2 - 1); /* but the one that is gone, or was to get what the other one had */
}

/* Its manager is gone meanwhile; its service is. */
static void
test_rebalance_given_up (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = uneven_brain (&web);
  Rebalance call;
  rebalance (brain, &web, &call);
  assert_under_way (&call);
  brain_restart (brain);
  brain_run (brain, SECOND);
  g_assert_cmpuint (call.answers, ==, 1);
  g_assert_cmpint (call.error, ==, SWARM_ERROR_CANCELLED);
  rebalance_meanwhile (brain, &web, &call);
  g_assert_true (brain_remove (brain, &web, NULL));
  assert_under_way (&call);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (call.answers, ==, 1);
  g_assert_cmpint (call.error, ==, SWARM_ERROR_NOT_FOUND);
}

static void
test_cut (gconstpointer data)
{
  Hazard hazard = GPOINTER_TO_UINT (data) / 4;
  gboolean job = GPOINTER_TO_UINT (data) & 2, update = GPOINTER_TO_UINT (data) & 1;
  for (guint looked_at = 1; looked_at < N_NODES / 2; looked_at += 12)
    cut_at (job, looked_at, hazard, update);
}

static void
add_cuts (void)
{
  static const char *const names[N_HAZARDS] = { "drain", "pause", "leave", "join", "label", "change", "remove", "refuse" };
  for (guint i = 0; i < 4 * N_HAZARDS; i++) {
    g_autofree char *path = g_strdup_printf ("/slow/cut/%s/%s/%s", i & 2 ? "job" : "global", i & 1 ? "again" : "first", names[i / 4]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_cut);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/slow/services", test_services);
  g_test_add_func ("/slow/nodes", test_nodes);
  g_test_add_func ("/slow/new-leader", test_new_leader);
  g_test_add_func ("/slow/many", test_many);
  g_test_add_func ("/slow/refused-writes", test_refused_writes);
  g_test_add_func ("/slow/rebalance/turns", test_rebalance);
  g_test_add_data_func ("/slow/rebalance/overtaken/drained", GUINT_TO_POINTER (0), test_rebalance_overtaken);
  g_test_add_data_func ("/slow/rebalance/overtaken/gone", GUINT_TO_POINTER (1), test_rebalance_overtaken);
  g_test_add_data_func ("/slow/rebalance/overtaken/target-gone", GUINT_TO_POINTER (2), test_rebalance_overtaken);
  g_test_add_func ("/slow/rebalance/given-up", test_rebalance_given_up);
  add_cuts ();
  return g_test_run ();
}
