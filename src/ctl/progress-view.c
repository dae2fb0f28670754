// SPDX-License-Identifier: LGPL-2.1-or-later
/* What there is to see of a service on its way to what it asks for: docker's lines, for each mode. */
#include "ctl/format.h"
#include "ctl/progress.h"
#include <string.h>

#define MAX_BARS 20
#define BAR_WIDTH 50
#define BAR_MIN_COLUMNS 110
#define ERROR_WIDTH 75
#define STATE_WIDTH 9 /* "preparing" */

typedef enum { REPLICATED, GLOBAL, REPLICATED_JOB, GLOBAL_JOB } Mode;

struct _CtlProgress {
  guint width;
  CtlProgressLineFunc func;
  gpointer data;
  GHashTable *slots; /* slot number → place in the list */
  GHashTable *nodes; /* of a global job: those it began with */
  gboolean started;
  gboolean done;
  gboolean rollback;
};

static const char *const states[] = { "new",      "allocated", "pending",  "assigned", "accepted", "preparing", "ready",
                                      "starting", "running",   "complete", "shutdown", "failed",   "rejected",  NULL };
#define RUNNING 9
#define COMPLETE 10

/* 1… in the order of life; 0: not shown. */
static guint
state_number (const char *state)
{
  for (guint i = 0; states[i] != NULL; i++)
    if (g_str_equal (states[i], state))
      return i + 1;
  return 0;
}

static guint
desired_of (JsonObject *task)
{
  return state_number (ctl_json_string_or (task, "DesiredState", "new"));
}

static guint
state_of (JsonObject *task)
{
  return state_number (ctl_json_string_or (task, "Status.State", "new"));
}

CtlProgress *
ctl_progress_new (guint width, CtlProgressLineFunc func, gpointer data)
{
  CtlProgress *self = g_new0 (CtlProgress, 1);

  self->width = width;
  self->func = func;
  self->data = data;
  self->slots = g_hash_table_new (NULL, NULL);
  self->nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return self;
}

void
ctl_progress_free (CtlProgress *self)
{
  g_hash_table_unref (self->slots);
  g_hash_table_unref (self->nodes);
  g_free (self);
}

/* ---- lines ---- */

static void
overall (CtlProgress *self, gint64 running, gint64 all)
{
  g_autofree char *text = g_strdup_printf ("%s%" G_GINT64_FORMAT " out of %" G_GINT64_FORMAT " tasks",
                                           self->rollback ? "rolling back update: " : "", running, all);

  self->func ("overall progress", text, TRUE, self->data);
}

static char *
state_bar (CtlProgress *self, guint number, guint last)
{
  guint filled = MIN (number, last) * 100 / last / 2;
  g_autofree char *full = g_strnfill (filled, '=');
  g_autofree char *empty = g_strnfill (BAR_WIDTH - filled, ' ');

  if (self->width <= BAR_MIN_COLUMNS)
    return g_strdup_printf ("%-*s", STATE_WIDTH, states[number - 1]);
  return g_strdup_printf ("%-*s [%s>%s]", STATE_WIDTH, states[number - 1], full, empty);
}

/* The task's error, or how far it has come on its way to @last. */
static void
show_task (CtlProgress *self, JsonObject *task, const char *key, guint last)
{
  const char *problem = ctl_json_string (task, "Status.Err");

  if (*problem != 0) {
    g_autofree char *cut = ctl_ellipsis (problem, ERROR_WIDTH);
    self->func (key, g_strdelimit (cut, "\n", ' '), TRUE, self->data);
  } else if (desired_of (task) <= last && state_of (task) <= last) {
    g_autofree char *bar = state_bar (self, state_of (task), last);
    self->func (key, bar, FALSE, self->data);
  }
}

static void
show_place (CtlProgress *self, JsonObject *task, gint64 place, gint64 all, guint last)
{
  g_autofree char *key = g_strdup_printf ("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, place, all);

  if (all <= MAX_BARS && place <= all)
    show_task (self, task, key, last);
}

static void
empty_places (CtlProgress *self, gint64 all)
{
  for (gint64 i = 1; i <= all && all <= MAX_BARS; i++) {
    g_autofree char *key = g_strdup_printf ("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, i, all);
    self->func (key, "", FALSE, self->data);
  }
}

/* ---- replicated ---- */

/* One task for each slot: the one that is wanted longest and has come least far, on a living node. */
static GHashTable *
tasks_by_slot (GPtrArray *tasks, GHashTable *active_nodes)
{
  GHashTable *by_slot = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);
    gpointer slot = GSIZE_TO_POINTER ((gsize)ctl_json_int (task, "Slot"));
    JsonObject *other = g_hash_table_lookup (by_slot, slot);
    const char *node = ctl_json_string (task, "NodeID");

    if (desired_of (task) == 0 || state_of (task) == 0)
      continue;
    if (other != NULL
        && (desired_of (other) < desired_of (task)
            || (desired_of (other) == desired_of (task) && state_of (other) <= state_of (task))))
      continue;
    if (*node == 0 || g_hash_table_contains (active_nodes, node))
      g_hash_table_insert (by_slot, slot, task);
  }
  return by_slot;
}

static guint
place_of (CtlProgress *self, gpointer slot)
{
  guint place = GPOINTER_TO_UINT (g_hash_table_lookup (self->slots, slot));

  if (place == 0) {
    place = g_hash_table_size (self->slots) + 1;
    g_hash_table_insert (self->slots, slot, GUINT_TO_POINTER (place));
  }
  return place;
}

static int
compare_slots (gconstpointer a, gconstpointer b)
{
  gsize left = GPOINTER_TO_SIZE (a), right = GPOINTER_TO_SIZE (b);

  return left < right ? -1 : left > right;
}

static gboolean
finish (CtlProgress *self, gint64 running, gint64 all)
{
  if (!self->done) {
    overall (self, running, all);
    self->done = running == all;
  }
  return running == all;
}

static gboolean
update_replicated (CtlProgress *self, JsonObject *service, GPtrArray *tasks, GHashTable *active_nodes)
{
  JsonNode *wanted = ctl_json_get (service, "Spec.Mode.Replicated.Replicas");
  gint64 replicas = wanted != NULL ? json_node_get_int (wanted) : 1;
  gint64 running = 0;
  g_autoptr (GHashTable) by_slot = tasks_by_slot (tasks, active_nodes);
  g_autoptr (GList) slots = g_list_sort (g_hash_table_get_keys (by_slot), compare_slots);

  if (!self->started) {
    overall (self, 0, replicas);
    empty_places (self, replicas);
  }
  self->started = TRUE;
  for (GList *l = slots; l != NULL; l = l->next) {
    JsonObject *task = g_hash_table_lookup (by_slot, l->data);
    guint place = place_of (self, l->data);

    if (state_of (task) != RUNNING)
      self->done = FALSE;
    else
      running += desired_of (task) <= RUNNING;
    if (!self->done)
      show_place (self, task, place, replicas, RUNNING);
  }
  return finish (self, running, replicas);
}

/* ---- global ---- */

/* One task for each node, as above. */
static GHashTable *
tasks_by_node (GPtrArray *tasks)
{
  GHashTable *by_node = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);
    const char *node = ctl_json_string (task, "NodeID");
    JsonObject *other = g_hash_table_lookup (by_node, node);

    if (desired_of (task) == 0 || state_of (task) == 0)
      continue;
    if (other == NULL || desired_of (other) > desired_of (task)
        || (desired_of (other) == desired_of (task) && state_of (other) > state_of (task)))
      g_hash_table_insert (by_node, (gpointer)node, task);
  }
  return by_node;
}

static void
show_node (CtlProgress *self, JsonObject *task, guint all, guint last)
{
  g_autofree char *key = ctl_short_id (ctl_json_string (task, "NodeID"));

  if (all <= MAX_BARS)
    show_task (self, task, key, last);
}

static gboolean
update_global (CtlProgress *self, GPtrArray *tasks, GHashTable *active_nodes)
{
  g_autoptr (GHashTable) by_node = tasks_by_node (tasks);
  g_autoptr (GList) nodes = g_list_sort (g_hash_table_get_keys (by_node), (GCompareFunc)strcmp);
  guint all = g_hash_table_size (by_node);
  gint64 running = 0;

  if (!self->started && all == 0) {
    self->func ("overall progress", "waiting for new tasks", TRUE, self->data);
    return FALSE;
  }
  if (!self->started)
    overall (self, 0, all);
  self->started = TRUE;
  for (GList *l = nodes; l != NULL; l = l->next)
    if (state_of (g_hash_table_lookup (by_node, l->data)) != RUNNING)
      self->done = FALSE;
  for (GList *l = nodes; l != NULL; l = l->next) {
    JsonObject *task = g_hash_table_lookup (by_node, l->data);

    if (!g_hash_table_contains (active_nodes, l->data))
      continue;
    running += state_of (task) == RUNNING && desired_of (task) <= RUNNING;
    if (!self->done)
      show_node (self, task, all, RUNNING);
  }
  return finish (self, running, all);
}

/* ---- jobs ---- */

static gboolean
of_iteration (JsonObject *service, JsonObject *task)
{
  return desired_of (task) != 0 && state_of (task) != 0
         && ctl_json_int (task, "JobIteration.Index") == ctl_json_int (service, "JobStatus.JobIteration.Index");
}

static guint
digits_of (gint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, number);

  return strlen (text);
}

static void
job_progress (CtlProgress *self, gint64 completed, gint64 total)
{
  g_autofree char *text = g_strdup_printf ("%*" G_GINT64_FORMAT " out of %" G_GINT64_FORMAT " complete",
                                           (int)digits_of (total), completed, total);

  self->func ("job progress", text, TRUE, self->data);
}

static void
active_tasks (CtlProgress *self, gint64 active, gint64 wanted, gint64 concurrent)
{
  int digits = (int)digits_of (concurrent);
  g_autofree char *text = g_strdup_printf ("%*" G_GINT64_FORMAT " out of %*" G_GINT64_FORMAT " tasks", digits, active, digits, wanted);

  self->func ("active tasks", text, FALSE, self->data);
}

/* Of the tasks of one slot the one that has come least far. */
static GHashTable *
job_slots (JsonObject *service, GPtrArray *tasks)
{
  GHashTable *by_slot = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);
    gpointer slot = GSIZE_TO_POINTER ((gsize)ctl_json_int (task, "Slot"));
    JsonObject *other = g_hash_table_lookup (by_slot, slot);

    if (of_iteration (service, task) && (other == NULL || state_of (other) > state_of (task)))
      g_hash_table_insert (by_slot, slot, task);
  }
  return by_slot;
}

/* What the mode says, with the agent's defaults. */
static void
job_size (JsonObject *service, gint64 *total, gint64 *concurrent)
{
  gint64 max = ctl_json_int (service, "Spec.Mode.ReplicatedJob.MaxConcurrent");

  *total = ctl_json_int (service, "Spec.Mode.ReplicatedJob.TotalCompletions");
  *total = *total > 0 ? *total : MAX (max, 1);
  *concurrent = max > 0 ? max : *total;
}

static gboolean
update_replicated_job (CtlProgress *self, JsonObject *service, GPtrArray *tasks)
{
  g_autoptr (GHashTable) by_slot = job_slots (service, tasks);
  gint64 total, concurrent, active = 0, completed = 0;

  job_size (service, &total, &concurrent);
  if (!self->started) {
    job_progress (self, 0, total);
    active_tasks (self, 0, MIN (concurrent, total), concurrent);
    empty_places (self, total);
  }
  self->started = TRUE;
  for (gint64 slot = 0; slot < total; slot++) {
    JsonObject *task = g_hash_table_lookup (by_slot, GSIZE_TO_POINTER ((gsize)slot));

    if (task == NULL)
      continue;
    show_place (self, task, slot + 1, total, COMPLETE);
    active += state_of (task) < COMPLETE;
    completed += state_of (task) == COMPLETE;
  }
  job_progress (self, completed, total);
  active_tasks (self, active, MIN (concurrent, total - completed), concurrent);
  return completed == total;
}

/* Nodes that come later get the job too, but are not waited for. */
static gboolean
update_global_job (CtlProgress *self, JsonObject *service, GPtrArray *tasks)
{
  g_autoptr (GHashTable) by_node = g_hash_table_new (g_str_hash, g_str_equal);
  gint64 completed = 0;
  guint total;

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);
    const char *node = ctl_json_string (task, "NodeID");
    JsonObject *other = g_hash_table_lookup (by_node, node);

    if (!of_iteration (service, task))
      continue;
    if (!self->started)
      g_hash_table_add (self->nodes, g_strdup (node));
    if (g_hash_table_contains (self->nodes, node) && (other == NULL || state_of (other) > state_of (task)))
      g_hash_table_insert (by_node, (gpointer)node, task);
  }
  total = g_hash_table_size (self->nodes);
  if (total == 0) {
    self->func ("job progress", "waiting for tasks", TRUE, self->data);
    return FALSE;
  }
  self->started = TRUE;
  g_autoptr (GList) nodes = g_list_sort (g_hash_table_get_keys (by_node), (GCompareFunc)strcmp);
  for (GList *l = nodes; l != NULL; l = l->next) {
    JsonObject *task = g_hash_table_lookup (by_node, l->data);

    show_node (self, task, total, COMPLETE);
    completed += state_of (task) == COMPLETE;
  }
  job_progress (self, completed, total);
  return completed == total;
}

/* ---- all modes ---- */

static Mode
mode_of (JsonObject *service)
{
  if (ctl_json_object (service, "Spec.Mode.Global") != NULL)
    return GLOBAL;
  if (ctl_json_object (service, "Spec.Mode.ReplicatedJob") != NULL)
    return REPLICATED_JOB;
  return ctl_json_object (service, "Spec.Mode.GlobalJob") != NULL ? GLOBAL_JOB : REPLICATED;
}

gboolean
ctl_progress_is_job (JsonObject *service)
{
  return mode_of (service) == REPLICATED_JOB || mode_of (service) == GLOBAL_JOB;
}

gboolean
ctl_progress_update (CtlProgress *self, JsonObject *service, GPtrArray *tasks, GHashTable *active_nodes)
{
  const char *state = ctl_json_string (service, "UpdateStatus.State");

  self->rollback = g_str_equal (state, "rollback_started") || (self->rollback && !g_str_equal (state, "updating"));
  switch (mode_of (service)) {
  case REPLICATED:
    return update_replicated (self, service, tasks, active_nodes);
  case GLOBAL:
    return update_global (self, tasks, active_nodes);
  case REPLICATED_JOB:
    return update_replicated_job (self, service, tasks);
  case GLOBAL_JOB:
    return update_global_job (self, service, tasks);
  }
  return FALSE;
}

/* ---- how an update ends ---- */

static CtlProgressEnd
failed (GError **error, const char *what, const char *text)
{
  g_set_error (error, CTL_ERROR, CTL_ERROR_FAILED, "service %s: %s", what, text);
  return CTL_PROGRESS_FAILED;
}

CtlProgressEnd
ctl_progress_judge (CtlProgressJudge *self, JsonObject *service, gboolean converged, GError **error)
{
  const char *state = ctl_json_string (service, "UpdateStatus.State");
  const char *text = ctl_json_string (service, "UpdateStatus.Message");

  if (g_str_equal (state, "updating")) {
    self->seen = TRUE;
    g_clear_pointer (&self->rollback, g_free);
  } else if (g_str_equal (state, "rollback_started")) {
    self->seen = TRUE;
    g_free (self->rollback);
    self->rollback = g_strdup (text);
    if (!self->wanted) /* whether it comes to an end is to be seen */
      return CTL_PROGRESS_GOES_ON;
  } else if (g_str_equal (state, "paused")) {
    return failed (error, "update paused", text);
  } else if (g_str_equal (state, "rollback_paused")) {
    return failed (error, "rollback paused", text);
  } else if (g_str_equal (state, "rollback_completed") && self->seen && !self->wanted) {
    return failed (error, "rolled back", self->rollback != NULL ? self->rollback : text);
  } else if (self->seen && !converged && g_str_equal (state, "completed")) {
    return CTL_PROGRESS_ENDED;
  }
  return converged ? CTL_PROGRESS_CONVERGED : CTL_PROGRESS_GOES_ON;
}
