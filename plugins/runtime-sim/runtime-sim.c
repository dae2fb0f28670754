// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pretends to run containers, for simulation and for many agents on one machine. Containers live outside the instance, as real ones do:
 * an agent that starts again finds them. agent.conf, or the simulator: Host=NAME tells hosts apart in one process, Boot=ID: another id
 * means the host was off, and its containers are gone.
 *
 * Labels of the container (times in milliseconds):
 *   sim.prepare-ms=20 sim.start-ms=30 sim.stop-ms=20   how long it takes
 *   sim.exit-after-ms=N sim.exit-code=N                ends by itself
 *   sim.fail=prepare|start                             cannot be prepared or started
 *   sim.healthy-after-ms=0 sim.sick-after-ms=N         commands in it say no before and after (-1: never yes)
 *   sim.exec=hangs                                     they never end
 * An image whose name contains "no-such-image" cannot be pulled; one that contains "with-health" declares a health command, every 10 s,
 * two failures. A command takes 5 ms; what it writes are its own arguments. */
#include "runtime-sim.h"
#include <string.h>

typedef enum { SIM_PREPARED, SIM_RUNNING, SIM_EXITED, SIM_REMOVED } SimState;

typedef struct {
  char *host;
  char *task_id;
  char *name;
  char *service;
  SimState state;
  guint starts;
  gint64 started_at;
  gint64 started_mono; /* wall clocks jump; what it does by its age does not */
  gint64 exits_at; /* 0: never; EXITED: when it did */
  int exit_code;
  RuntimeSimPlan plan;
  guint32 pid;
  SwarmPluginInstance *instance; /* that watches it; NULL: none */
  guint64 timer;
} SimContainer;

/* A container that is no task. */
typedef struct {
  char *name;
  guint32 pid;
} SimPlain;

struct SwarmPluginInstance {
  SwarmPluginHost *host;
  char *name;
  gboolean reports;
  GPtrArray *waits; /* SimWait: operations that take their time */
};

/* An operation that ends when its timer does. */
typedef struct {
  SwarmPluginInstance *self;
  SwarmPluginCall *call;
  SimContainer *container;
  guint64 timer;
  void (*done) (SwarmPluginInstance *self, SimContainer *container);
  const char *error;
  char *output; /* owned */
} SimWait;

static GHashTable *world; /* task id → SimContainer */
static GHashTable *boots; /* host → boot id */
static GHashTable *plains; /* id → SimPlain */
static guint32 last_pid = 1000;
static void (*planner) (const SwarmPluginTask *task, const char *host, RuntimeSimPlan *plan, gpointer data);
static gpointer planner_data;
static void (*observer) (const RuntimeSimTask *task, RuntimeSimChange change, gpointer data);
static gpointer observer_data;

static void
container_free (gpointer data)
{
  SimContainer *c = data;

  g_free (c->host);
  g_free (c->task_id);
  g_free (c->name);
  g_free (c->service);
  g_free (c->plan.prepare_error);
  g_free (c->plan.start_error);
  g_free (c);
}

static RuntimeSimTask
describe (const SimContainer *c)
{
  RuntimeSimTask task = { c->host, c->task_id, c->name, c->service, c->state == SIM_RUNNING, c->starts, -1 };

  task.exists = c->state != SIM_REMOVED;
  task.was_healthy = c->plan.healthy_after_us >= 0 && !c->plan.exec_hangs
                     && (c->instance == NULL || c->instance->host->monotonic (c->instance->host) - c->started_mono >= c->plan.healthy_after_us);
  task.may_be_unhealthy = c->plan.healthy_after_us != 0 || c->plan.sick_after_us >= 0 || c->plan.exec_hangs;
  if (c->state == SIM_EXITED)
    task.exit_code = c->exit_code;
  return task;
}

static void
tell (const SimContainer *c, RuntimeSimChange change)
{
  RuntimeSimTask task = describe (c);

  if (observer != NULL)
    observer (&task, change, observer_data);
}

static void
finish (SwarmPluginInstance *self, SwarmPluginCall *call, SimContainer *container, SwarmPluginCode code, const char *error)
{
  SwarmPluginResult result = { .code = code, .error = error, .exit_code = -1 };

  if (container != NULL && container->state == SIM_EXITED)
    result.exit_code = container->exit_code;
  if (container != NULL) {
    result.container_id = container->task_id;
    result.pid = container->pid;
  }
  self->host->finish (call, &result);
}

static void
wait_free (gpointer data)
{
  g_free (((SimWait *) data)->output);
  g_free (data);
}

/* Tests ask for what once was; an agent that runs for long must not keep it. */
static void
forget_removed (SwarmPluginInstance *self, const SimContainer *container)
{
#ifndef SWARM_PLUGIN_BUILTIN
  for (guint i = 0; i < self->waits->len; i++)
    if (((SimWait *) self->waits->pdata[i])->container == container)
      return;
  if (container->state == SIM_REMOVED)
    g_hash_table_remove (world, container->task_id);
#endif
}

static void
wait_over (void *data)
{
  SimWait *wait = data;
  SwarmPluginInstance *self = wait->self;
  SimContainer *container = wait->container;

  if (wait->error == NULL && wait->done != NULL)
    wait->done (self, wait->container);
  finish (self, wait->call, wait->container, wait->error == NULL ? SWARM_PLUGIN_OK : SWARM_PLUGIN_FAILED, wait->error);
  g_ptr_array_remove_fast (self->waits, wait);
  if (container != NULL)
    forget_removed (self, container);
}

static void
wait_for (SwarmPluginInstance *self, SwarmPluginCall *call, SimContainer *container, gint64 delay_us,
          void (*done) (SwarmPluginInstance *, SimContainer *), const char *error)
{
  SimWait *wait = g_new0 (SimWait, 1);

  wait->self = self;
  wait->call = call;
  wait->container = container;
  wait->done = done;
  wait->error = error;
  wait->timer = self->host->timer (self->host, delay_us, wait_over, wait);
  g_ptr_array_add (self->waits, wait);
}

/* Value of label @key, or @fallback. */
static gint64
label_number (const SwarmPluginTask *task, const char *key, gint64 fallback)
{
  gsize n = strlen (key);

  for (guint i = 0; task->labels != NULL && task->labels[i] != NULL; i++) {
    if (strncmp (task->labels[i], key, n) == 0 && task->labels[i][n] == '=')
      return g_ascii_strtoll (task->labels[i] + n + 1, NULL, 10);
  }
  return fallback;
}

static gboolean
fails (const SwarmPluginTask *task, const char *label)
{
  return task->labels != NULL && g_strv_contains (task->labels, label);
}

static void
report_exit (SwarmPluginInstance *self, SimContainer *container)
{
  SwarmPluginExit event = { .task_id = container->task_id, .exit_code = container->exit_code, .exited_at = container->exits_at };

  if (self->reports)
    self->host->task_exited (self->host, &event);
}

static void
exits_now (void *data)
{
  SimContainer *container = data;
  SwarmPluginInstance *self = container->instance;

  container->timer = 0;
  container->state = SIM_EXITED;
  tell (container, RUNTIME_SIM_ENDED);
  report_exit (self, container);
}

/* Has @self tell when the container ends. */
static void
watch (SwarmPluginInstance *self, SimContainer *container)
{
  container->instance = self;
  if (container->state == SIM_RUNNING && container->exits_at != 0)
    container->timer =
      self->host->timer (self->host, MAX (container->exits_at - self->host->now (self->host), 0), exits_now, container);
}

static void
unwatch (SimContainer *container)
{
  if (container->timer != 0)
    container->instance->host->timer_cancel (container->instance->host, container->timer);
  container->timer = 0;
  container->instance = NULL;
}

/* ---- operations ---- */

static void
make_plan (SwarmPluginInstance *self, SimContainer *container, const SwarmPluginTask *task)
{
  RuntimeSimPlan *plan = &container->plan;

  g_free (plan->prepare_error);
  g_free (plan->start_error);
  *plan = (RuntimeSimPlan){
    .prepare_us = label_number (task, "sim.prepare-ms", 20) * 1000,
    .start_us = label_number (task, "sim.start-ms", 30) * 1000,
    .stop_us = label_number (task, "sim.stop-ms", 20) * 1000,
    .exit_after_us = label_number (task, "sim.exit-after-ms", 0) * 1000,
    .exit_code = (int) label_number (task, "sim.exit-code", 0),
    .healthy_after_us = label_number (task, "sim.healthy-after-ms", 0) * 1000,
    .sick_after_us = label_number (task, "sim.sick-after-ms", -1) * 1000,
    .exec_hangs = fails (task, "sim.exec=hangs"),
    .no_image = task->image != NULL && strstr (task->image, "no-such-image") != NULL,
  };
  if (plan->exit_after_us == 0)
    plan->exit_after_us = -1;
  if (fails (task, "sim.fail=prepare"))
    plan->prepare_error = g_strdup ("prepare fails as wanted");
  if (fails (task, "sim.fail=start"))
    plan->start_error = g_strdup ("start fails as wanted");
  if (planner != NULL)
    planner (task, self->name, plan, planner_data);
}

static void
prepare (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  SimContainer *container = g_hash_table_lookup (world, task->id);

  if (container == NULL) {
    container = g_new0 (SimContainer, 1);
    container->task_id = g_strdup (task->id);
    container->name = g_strdup (task->name);
    container->service = g_strdup (task->service_name);
    g_hash_table_insert (world, container->task_id, container);
  }
  g_free (container->host);
  container->host = g_strdup (self->name);
  container->state = SIM_PREPARED;
  container->exit_code = -1;
  make_plan (self, container, task);
  wait_for (self, call, container, container->plan.prepare_us, NULL,
            container->plan.no_image ? "No such image" : container->plan.prepare_error);
}

static void
started (SwarmPluginInstance *self, SimContainer *container)
{
  container->state = SIM_RUNNING;
  container->starts++;
  container->pid = ++last_pid;
  container->started_at = self->host->now (self->host);
  container->started_mono = self->host->monotonic (self->host);
  container->exit_code = container->plan.exit_code;
  container->exits_at = container->plan.exit_after_us >= 0 ? container->started_at + container->plan.exit_after_us : 0;
  tell (container, RUNTIME_SIM_STARTED);
  watch (self, container);
}

static void
start (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  SimContainer *container = g_hash_table_lookup (world, task->id);

  if (container == NULL || container->state != SIM_PREPARED) {
    finish (self, call, NULL, SWARM_PLUGIN_FAILED, "no such container");
    return;
  }
  wait_for (self, call, container, container->plan.start_us, started, container->plan.start_error);
}

static void
stopped (SwarmPluginInstance *self, SimContainer *container)
{
  unwatch (container);
  if (container->state != SIM_RUNNING)
    return;
  container->state = SIM_EXITED;
  container->exit_code = 143;
  container->exits_at = self->host->now (self->host);
  tell (container, RUNTIME_SIM_ENDED);
}

static void
stop (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  SimContainer *container = g_hash_table_lookup (world, task_id);

  if (container == NULL || container->state != SIM_RUNNING)
    finish (self, call, NULL, SWARM_PLUGIN_OK, NULL);
  else {
    unwatch (container); /* whatever ends it from now on: it was stopped */
    tell (container, RUNTIME_SIM_STOPPING);
    wait_for (self, call, container, container->plan.stop_us, stopped, NULL);
  }
}

static void
removed (SwarmPluginInstance *self, SimContainer *container)
{
  gboolean ran = container->state == SIM_RUNNING;

  unwatch (container);
  container->state = SIM_REMOVED;
  if (ran)
    tell (container, RUNTIME_SIM_ENDED);
}

static void
remove_task (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  SimContainer *container = g_hash_table_lookup (world, task_id);

  if (container == NULL)
    finish (self, call, NULL, SWARM_PLUGIN_OK, NULL);
  else
    wait_for (self, call, container, 5000, removed, NULL);
}

static void
list (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  g_autoptr (GArray) infos = g_array_new (FALSE, TRUE, sizeof (SwarmPluginTaskInfo));
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK };
  gint64 now = self->host->now (self->host);
  GHashTableIter iter;
  SimContainer *c;

  self->reports = TRUE;
  g_hash_table_iter_init (&iter, world);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &c)) {
    SwarmPluginTaskInfo info = { 0 };

    if (g_strcmp0 (c->host, self->name) != 0 || c->state == SIM_REMOVED)
      continue;
    if (c->state == SIM_RUNNING && c->exits_at != 0 && c->exits_at <= now) {
      c->state = SIM_EXITED;
      tell (c, RUNTIME_SIM_ENDED);
    }
    watch (self, c);
    info.task_id = c->task_id;
    info.running = c->state == SIM_RUNNING;
    info.exit_code = c->state == SIM_EXITED ? c->exit_code : -1;
    info.started_at = c->started_at;
    info.exited_at = c->state == SIM_EXITED ? c->exits_at : 0;
    info.pid = c->pid;
    info.container_id = c->task_id;
    g_array_append_val (infos, info);
  }
  result.tasks = (SwarmPluginTaskInfo *) infos->data;
  result.n_tasks = infos->len;
  self->host->finish (call, &result);
}

static void
resolve_image (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, image, -1);
  g_autofree char *full = g_strdup_printf ("%s@sha256:%s", image, sum);
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .image = full };

  if (strstr (image, "no-such-image") != NULL)
    result = (SwarmPluginResult){ .code = SWARM_PLUGIN_NOT_FOUND, .error = "No such image" };
  self->host->finish (call, &result);
}

static void
exec_over (void *data)
{
  SimWait *exec = data;
  SwarmPluginInstance *self = exec->self;
  const SimContainer *c = exec->container;
  gint64 age = self->host->monotonic (self->host) - c->started_mono;
  gboolean healthy = c->plan.healthy_after_us >= 0 && age >= c->plan.healthy_after_us
                     && (c->plan.sick_after_us < 0 || age < c->plan.sick_after_us);
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .exit_code = healthy ? 0 : 1, .output = exec->output,
                               .output_length = strlen (exec->output) };

  if (c->state != SIM_RUNNING)
    result.exit_code = 137;
  if (c->plan.exec_hangs)
    result = (SwarmPluginResult){ .code = SWARM_PLUGIN_TIMED_OUT, .error = "the command took too long" };
  self->host->finish (exec->call, &result);
  g_ptr_array_remove_fast (self->waits, exec);
}

static void
exec_command (SwarmPluginInstance *self, const SwarmPluginCommand *command, SwarmPluginCall *call)
{
  SimContainer *container = g_hash_table_lookup (world, command->task_id);
  SimWait *exec;

  if (container == NULL || container->state != SIM_RUNNING) {
    finish (self, call, NULL, SWARM_PLUGIN_NOT_FOUND, "the task does not run");
    return;
  }
  exec = g_new0 (SimWait, 1);
  exec->output = g_strjoinv (" ", (char **) command->argv);
  if (strlen (exec->output) > command->max_output)
    exec->output[command->max_output] = '\0';
  exec->self = self;
  exec->call = call;
  exec->container = container;
  exec->timer = self->host->timer (self->host, container->plan.exec_hangs ? command->timeout : 5000, exec_over, exec);
  g_ptr_array_add (self->waits, exec);
}

static void
inspect_image (SwarmPluginInstance *self, const char *image, SwarmPluginCall *call)
{
  static const char *const test[] = { "CMD", "image-check", NULL };
  const SwarmPluginHealth health = { .test = test, .interval = 10 * G_USEC_PER_SEC, .retries = 2 };
  SwarmPluginResult result = { .code = SWARM_PLUGIN_OK, .health = strstr (image, "with-health") != NULL ? &health : NULL };

  self->host->finish (call, &result);
}

static void
cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  for (guint i = 0; i < self->waits->len; i++) {
    SimWait *wait = g_ptr_array_index (self->waits, i);
    if (wait->call != call)
      continue;
    self->host->timer_cancel (self->host, wait->timer);
    finish (self, call, NULL, SWARM_PLUGIN_CANCELLED, "cancelled");
    g_ptr_array_remove_index_fast (self->waits, i);
    return;
  }
}

/* ---- life ---- */

static void
forget_earlier_boot (const char *host, const char *boot)
{
  GHashTableIter iter;
  SimContainer *c;

  if (g_strcmp0 (g_hash_table_lookup (boots, host), boot) == 0)
    return;
  g_hash_table_insert (boots, g_strdup (host), g_strdup (boot));
  g_hash_table_iter_init (&iter, world);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &c)) {
    if (g_strcmp0 (c->host, host) == 0)
      c->state = SIM_REMOVED;
  }
}

static SwarmPluginInstance *
init (SwarmPluginHost *host, char *error, size_t error_length)
{
  SwarmPluginInstance *self = g_new0 (SwarmPluginInstance, 1);
  const char *name = host->config (host, "Host");
  const char *boot = host->config (host, "Boot");

  if (world == NULL)
    world = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, container_free);
  if (boots == NULL)
    boots = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->host = host;
  self->name = g_strdup (name != NULL ? name : "");
  self->waits = g_ptr_array_new_with_free_func (wait_free);
  forget_earlier_boot (self->name, boot != NULL ? boot : "");
  return self;
}

static void
fini (SwarmPluginInstance *self)
{
  GHashTableIter iter;
  SimContainer *c;

  g_hash_table_iter_init (&iter, world);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &c)) {
    if (c->instance == self)
      unwatch (c);
  }
  g_ptr_array_unref (self->waits);
  g_free (self->name);
  g_free (self);
}

/* ---- for tests ---- */

void
runtime_sim_foreach (const char *host, void (*func) (const RuntimeSimTask *task, gpointer data), gpointer data)
{
  GHashTableIter iter;
  SimContainer *c;

  if (world == NULL)
    return;
  g_hash_table_iter_init (&iter, world);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &c)) {
    RuntimeSimTask task = describe (c);

    if (host == NULL || g_strcmp0 (host, c->host) == 0)
      func (&task, data);
  }
}

gboolean
runtime_sim_kill (const char *task_id, int exit_code)
{
  SimContainer *c = world != NULL ? g_hash_table_lookup (world, task_id) : NULL;
  SwarmPluginInstance *self;

  if (c == NULL || c->state != SIM_RUNNING)
    return FALSE;
  self = c->instance;
  unwatch (c);
  c->exit_code = exit_code;
  c->exits_at = self != NULL ? self->host->now (self->host) : c->started_at;
  c->state = SIM_EXITED;
  c->instance = self;
  tell (c, RUNTIME_SIM_ENDED);
  if (self != NULL)
    report_exit (self, c);
  return TRUE;
}

gboolean
runtime_sim_find (const char *task_id, RuntimeSimTask *ret)
{
  SimContainer *c = world != NULL ? g_hash_table_lookup (world, task_id) : NULL;

  if (c != NULL)
    *ret = describe (c);
  return c != NULL;
}

void
runtime_sim_power_off (const char *host)
{
  GHashTableIter iter;
  SimContainer *c;

  if (world == NULL)
    return;
  g_hash_table_iter_init (&iter, world);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &c)) {
    if (c->state != SIM_RUNNING || g_strcmp0 (c->host, host) != 0)
      continue;
    if (c->instance != NULL)
      unwatch (c);
    c->state = SIM_REMOVED;
    tell (c, RUNTIME_SIM_ENDED);
  }
}

void
runtime_sim_set_planner (void (*func) (const SwarmPluginTask *task, const char *host, RuntimeSimPlan *plan, gpointer data), gpointer data)
{
  planner = func;
  planner_data = data;
}

void
runtime_sim_set_observer (void (*func) (const RuntimeSimTask *task, RuntimeSimChange change, gpointer data), gpointer data)
{
  observer = func;
  observer_data = data;
}

void
runtime_sim_reset (void)
{
  g_clear_pointer (&world, g_hash_table_unref);
  g_clear_pointer (&boots, g_hash_table_unref);
  g_clear_pointer (&plains, g_hash_table_unref);
}

/* ---- containers that are no tasks ---- */

static void
plain_free (gpointer data)
{
  SimPlain *plain = data;

  g_free (plain->name);
  g_free (plain);
}

void
runtime_sim_put_plain (const char *id, const char *name, guint32 pid)
{
  SimPlain *plain = g_new0 (SimPlain, 1);

  if (plains == NULL)
    plains = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, plain_free);
  plain->name = g_strdup (name);
  plain->pid = pid;
  g_hash_table_replace (plains, g_strdup (id), plain);
}

void
runtime_sim_drop_plain (const char *id)
{
  if (plains != NULL)
    g_hash_table_remove (plains, id);
}

static void
find (SwarmPluginInstance *self, const char *container, SwarmPluginCall *call)
{
  SwarmPluginResult result = { .code = SWARM_PLUGIN_NOT_FOUND, .error = "No such container" };
  GHashTableIter iter;
  gpointer id, value;

  if (plains != NULL)
    g_hash_table_iter_init (&iter, plains);
  while (plains != NULL && g_hash_table_iter_next (&iter, &id, &value)) {
    const SimPlain *plain = value;
    if (strcmp (plain->name, container) == 0 || g_str_has_prefix (id, container))
      result = (SwarmPluginResult){ .code = SWARM_PLUGIN_OK, .container_id = id, .name = plain->name, .pid = plain->pid,
                                      .started = plain->pid * 10 };
  }
  self->host->finish (call, &result);
}

static const SwarmRuntimeOps runtime_sim_ops = {
  .init = init,
  .fini = fini,
  .prepare = prepare,
  .start = start,
  .stop = stop,
  .remove = remove_task,
  .list = list,
  .resolve_image = resolve_image,
  .cancel = cancel,
  .exec = exec_command,
  .inspect_image = inspect_image,
  .find = find,
};

SWARM_PLUGIN_DEFINE (RUNTIME, runtime_sim, "runtime-sim", "pretends to run tasks, for tests", "0.1", runtime_sim_ops);
