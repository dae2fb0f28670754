// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/progress.h"
#include "base/error.h"
#include "ctl/format.h"
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#define MAX_BARS 20
#define BAR_WIDTH 50
#define BAR_MIN_COLUMNS 110
#define ERROR_WIDTH 75
#define STATE_WIDTH 9 /* "preparing" */
#define MONITOR_US (5 * G_USEC_PER_SEC)
#define POLL_MS 1000
#define RESTART_SECONDS 10
#define WAKE_MS 50 /* changes come in bursts */

/* ---- what there is to see ---- */

struct _CtlProgress {
  guint width;
  CtlProgressLineFunc func;
  gpointer data;
  GHashTable *slots; /* slot number → place in the list */
  gboolean started;
  gboolean done;
};

static const char *const states[] = { "new",      "allocated", "pending",  "assigned", "accepted", "preparing", "ready",
                                      "starting", "running",   "complete", "shutdown", "failed",   "rejected",  NULL };
#define RUNNING 9

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
  return self;
}

void
ctl_progress_free (CtlProgress *self)
{
  g_hash_table_unref (self->slots);
  g_free (self);
}

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

static void
overall (CtlProgress *self, gint64 running, gint64 replicas)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT " out of %" G_GINT64_FORMAT " tasks", running, replicas);

  self->func ("overall progress", text, TRUE, self->data);
}

static char *
state_bar (CtlProgress *self, guint number)
{
  guint filled = MIN (number, RUNNING) * 100 / RUNNING / 2;
  g_autofree char *full = g_strnfill (filled, '=');
  g_autofree char *empty = g_strnfill (BAR_WIDTH - filled, ' ');

  if (self->width <= BAR_MIN_COLUMNS)
    return g_strdup_printf ("%-*s", STATE_WIDTH, states[number - 1]);
  return g_strdup_printf ("%-*s [%s>%s]", STATE_WIDTH, states[number - 1], full, empty);
}

static void
show_task (CtlProgress *self, JsonObject *task, guint place, gint64 replicas)
{
  g_autofree char *key = g_strdup_printf ("%u/%" G_GINT64_FORMAT, place, replicas);
  const char *problem = ctl_json_string (task, "Status.Err");

  if (self->done || replicas > MAX_BARS || place > replicas)
    return;
  if (*problem != 0) {
    g_autofree char *cut = ctl_ellipsis (problem, ERROR_WIDTH);
    self->func (key, g_strdelimit (cut, "\n", ' '), TRUE, self->data);
  } else if (desired_of (task) <= RUNNING && state_of (task) <= RUNNING) {
    g_autofree char *bar = state_bar (self, state_of (task));
    self->func (key, bar, FALSE, self->data);
  }
}

static void
start (CtlProgress *self, gint64 replicas)
{
  self->started = TRUE;
  overall (self, 0, replicas);
  for (gint64 i = 1; i <= replicas && replicas <= MAX_BARS; i++) {
    g_autofree char *key = g_strdup_printf ("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, i, replicas);
    self->func (key, "", FALSE, self->data);
  }
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

gboolean
ctl_progress_update (CtlProgress *self, JsonObject *service, GPtrArray *tasks, GHashTable *active_nodes)
{
  JsonNode *wanted = ctl_json_get (service, "Spec.Mode.Replicated.Replicas");
  gint64 replicas = wanted != NULL ? json_node_get_int (wanted) : 1;
  gint64 running = 0;
  g_autoptr (GHashTable) by_slot = tasks_by_slot (tasks, active_nodes);
  g_autoptr (GList) slots = g_list_sort (g_hash_table_get_keys (by_slot), compare_slots);

  if (!self->started)
    start (self, replicas);
  for (GList *l = slots; l != NULL; l = l->next) {
    JsonObject *task = g_hash_table_lookup (by_slot, l->data);

    if (state_of (task) != RUNNING)
      self->done = FALSE;
    else
      running += desired_of (task) <= RUNNING;
    show_task (self, task, place_of (self, l->data), replicas);
  }
  if (!self->done) {
    overall (self, running, replicas);
    self->done = running == replicas;
  }
  return running == replicas;
}

/* ---- lines ---- */

typedef struct {
  gboolean terminal;
  gboolean quiet;
  GPtrArray *keys; /* in order of appearance */
  GHashTable *texts;
} Screen;

/* On a terminal each key keeps its line; elsewhere only what changes and lasts is printed. */
static void
show_line (const char *key, const char *text, gboolean lasting, gpointer data)
{
  Screen *screen = data;
  guint line;
  const char *before = g_hash_table_lookup (screen->texts, key);

  if (screen->quiet || g_strcmp0 (before, text) == 0)
    return;
  if (!screen->terminal) {
    g_hash_table_insert (screen->texts, g_strdup (key), g_strdup (text));
    if (lasting)
      printf ("%s: %s\n", key, text);
    fflush (stdout);
    return;
  }
  if (!g_ptr_array_find_with_equal_func (screen->keys, key, g_str_equal, &line)) {
    g_ptr_array_add (screen->keys, g_strdup (key));
    printf ("%s: %s \n", key, text);
  } else {
    guint up = screen->keys->len - line;
    printf ("\033[%uA\r\033[2K%s: %s \033[%uB\r", up, key, text, up);
  }
  g_hash_table_insert (screen->texts, g_strdup (key), g_strdup (text));
  fflush (stdout);
}

/* ---- waiting ---- */

typedef struct {
  CtlContext *context;
  const char *path;
  const char *reference;
  char *id;
  Screen screen;
  CtlProgress *progress;
  gint64 converged_at; /* 0: not converged */
  gint64 monitor_us;
  gboolean interrupted;
  gboolean changed; /* a signal came, its timer runs */
  gboolean wake;
} Wait;

static gboolean
on_interrupt (gpointer data)
{
  Wait *wait = data;

  wait->interrupted = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_time (gpointer data)
{
  Wait *wait = data;

  wait->wake = TRUE;
  return G_SOURCE_REMOVE;
}

static void
on_task_changed (const char *sender, const char *path, const char *member, GVariant *args, gpointer data)
{
  Wait *wait = data;
  g_autoptr (GVariant) service = NULL;

  if (g_variant_n_children (args) < 2)
    return;
  service = g_variant_get_child_value (args, 1);
  if (wait->id != NULL && g_variant_is_of_type (service, G_VARIANT_TYPE_STRING)
      && !g_str_equal (g_variant_get_string (service, NULL), wait->id))
    return;
  if (!wait->changed)
    g_timeout_add (WAKE_MS, on_time, wait);
  wait->changed = TRUE;
}

/* Ids of the nodes that are not down. */
static GHashTable *
active_nodes (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) list = ctl_list (context, "ListNodes", ctl_filters (NULL), error);
  g_autoptr (GPtrArray) nodes = NULL;
  GHashTable *active;

  if (list == NULL)
    return NULL;
  nodes = ctl_json_objects (json_node_get_array (list));
  active = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < nodes->len; i++)
    if (!g_str_equal (ctl_json_string (g_ptr_array_index (nodes, i), "Status.State"), "down"))
      g_hash_table_add (active, g_strdup (ctl_json_string (g_ptr_array_index (nodes, i), "ID")));
  return active;
}

/* Tasks of an older specification do not count, when the agent tells which one a task has. */
static GPtrArray *
up_to_date (JsonObject *service, JsonNode *list)
{
  GPtrArray *tasks = ctl_json_objects (json_node_get_array (list));
  gint64 version = ctl_json_int (service, "SpecVersion.Index");

  for (guint i = tasks->len; i > 0; i--) {
    gint64 of_task = ctl_json_int (g_ptr_array_index (tasks, i - 1), "SpecVersion.Index");

    if (version != 0 && of_task != 0 && of_task < version)
      g_ptr_array_remove_index (tasks, i - 1);
  }
  return tasks;
}

static gboolean
look (Wait *wait, gboolean *ret_converged, GError **error)
{
  g_autoptr (JsonNode) service = ctl_inspect (wait->context, "service", wait->path, error);
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GHashTable) nodes = NULL;
  g_autoptr (GPtrArray) filter = g_ptr_array_new ();
  g_autoptr (GPtrArray) tasks = NULL;
  gint64 monitor;

  if (service == NULL)
    return FALSE;
  if (wait->id == NULL)
    wait->id = g_strdup (ctl_json_string (json_node_get_object (service), "ID"));
  monitor = ctl_json_int (json_node_get_object (service), "Spec.UpdateConfig.Monitor");
  if (monitor > 0)
    wait->monitor_us = monitor / 1000;
  g_ptr_array_add (filter, wait->id);
  list = ctl_list_tasks (wait->context, ctl_filters_with (NULL, "service", filter), error);
  nodes = list != NULL ? active_nodes (wait->context, error) : NULL;
  if (nodes == NULL)
    return FALSE;
  tasks = up_to_date (json_node_get_object (service), list);
  *ret_converged = ctl_progress_update (wait->progress, json_node_get_object (service), tasks, nodes);
  return TRUE;
}

/* An agent that is being restarted is waited for. */
static gboolean
look_patiently (Wait *wait, gboolean *ret_converged, GError **error)
{
  for (guint attempt = 0;; attempt++) {
    g_autoptr (GError) reason = NULL;

    if (look (wait, ret_converged, &reason))
      return TRUE;
    if (wait->interrupted || attempt >= RESTART_SECONDS
        || !(g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_UNKNOWN)
             || g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE)
             || g_error_matches (reason, SWARM_ERROR, SWARM_ERROR_NO_QUORUM)))
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
    g_usleep (G_USEC_PER_SEC);
  }
}

/* TRUE: it has stayed converged for long enough. */
static gboolean
verified (Wait *wait, gboolean converged)
{
  gint64 now = g_get_monotonic_time ();
  g_autofree char *text = NULL;
  gint64 left;

  if (!converged) {
    if (wait->converged_at != 0)
      show_line ("verify", "Detected task failure", TRUE, &wait->screen);
    wait->converged_at = 0;
    return FALSE;
  }
  if (wait->converged_at == 0)
    wait->converged_at = now;
  left = wait->monitor_us - (now - wait->converged_at);
  if (left <= 0) {
    text = g_strdup_printf ("Service %s converged", wait->reference);
    show_line ("verify", text, TRUE, &wait->screen);
    return TRUE;
  }
  text = g_strdup_printf ("Waiting %" G_GINT64_FORMAT " seconds to verify that tasks are stable...",
                          (left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
  show_line ("verify", text, left == wait->monitor_us, &wait->screen);
  return FALSE;
}

static gboolean
wait_loop (Wait *wait, GError **error)
{
  gboolean converged = FALSE;

  while (!wait->interrupted) {
    guint timer;

    wait->changed = wait->wake = FALSE;
    if (!look_patiently (wait, &converged, error))
      return FALSE;
    if (verified (wait, converged))
      return TRUE;
    timer = g_timeout_add (converged ? POLL_MS / 5 : POLL_MS, on_time, wait);
    while (!wait->wake && !wait->interrupted)
      g_main_context_iteration (NULL, TRUE);
    if (g_main_context_find_source_by_id (NULL, timer) != NULL)
      g_source_remove (timer);
  }
  if (!converged && !wait->screen.quiet)
    printf (_ ("Operation continuing in background.\nUse `swarmctl service ps %s` to check progress.\n"),
            wait->reference);
  return TRUE;
}

gboolean
ctl_progress_wait (CtlContext *context, const char *path, const char *reference, gboolean quiet, GError **error)
{
  Wait wait = { .context = context, .path = path, .reference = reference, .monitor_us = MONITOR_US };
  gboolean terminal = ctl_on_terminal ();
  guint signal_id, subscription = 0;
  gboolean ok;

  wait.screen = (Screen){ .terminal = terminal,
                          .quiet = quiet,
                          .keys = g_ptr_array_new_with_free_func (g_free),
                          .texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free) };
  wait.progress = ctl_progress_new (terminal ? ctl_terminal_width () : 0, show_line, &wait.screen);
  signal_id = g_unix_signal_add (SIGINT, on_interrupt, &wait);
  if (context->bus != NULL)
    subscription = swarm_bus_subscribe (context->bus, CTL_BUS_NAME, CTL_PATH, CTL_MANAGER_IFACE, "TaskChanged",
                                        on_task_changed, &wait);

  fflush (stdout);
  ok = wait_loop (&wait, error);

  if (subscription != 0 && context->bus != NULL)
    swarm_bus_unsubscribe (context->bus, subscription);
  context->interrupted = wait.interrupted;
  g_source_remove (signal_id);
  while (g_source_remove_by_user_data (&wait))
    ;
  ctl_progress_free (wait.progress);
  g_ptr_array_unref (wait.screen.keys);
  g_hash_table_unref (wait.screen.texts);
  g_free (wait.id);
  return ok;
}
