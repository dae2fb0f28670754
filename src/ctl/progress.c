// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/progress.h"
#include "base/error.h"
#include "ctl/screen.h"
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#define MONITOR_US (5 * G_USEC_PER_SEC)
#define POLL_MS 1000
#define RESTART_SECONDS 10
#define WAKE_MS 50 /* changes come in bursts */
#define MAX_WAKE_MS 15000
#define REST 4 /* a look that took long is followed by so many times as long without one: watching must not slow the work */

/* ---- waiting ---- */

typedef struct {
  CtlContext *context;
  const char *path;
  const char *reference;
  char *id;
  CtlScreen screen;
  CtlProgress *progress;
  CtlProgressJudge judge;
  CtlProgressEnd end;
  gboolean job;
  gint64 converged_at; /* 0: not converged */
  gint64 monitor_us;
  gboolean interrupted;
  gboolean changed; /* a signal came, its timer runs */
  guint wake_ms;    /* between two looks: the longer one takes, the less often */
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
    g_timeout_add (wait->wake_ms, on_time, wait);
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

/* Tasks of an older specification do not count. */
static GVariant *
wanted_tasks (const char *service_id)
{
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  g_autoptr (GPtrArray) service = g_ptr_array_new ();

  g_ptr_array_add (none, (gpointer) "up-to-date=true");
  g_ptr_array_add (service, (gpointer)service_id);
  return ctl_filters_with (none, "service", service);
}

static void
notice (Wait *wait, JsonObject *service)
{
  gint64 monitor = ctl_json_int (service, "Spec.UpdateConfig.Monitor");

  if (wait->id == NULL)
    wait->id = g_strdup (ctl_json_string (service, "ID"));
  if (monitor > 0)
    wait->monitor_us = monitor / 1000;
  wait->job = ctl_progress_is_job (service);
}

static gboolean
look (Wait *wait, GError **error)
{
  g_autoptr (JsonNode) service = ctl_inspect (wait->context, "service", wait->path, error);
  JsonObject *object = service != NULL ? json_node_get_object (service) : NULL;
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GHashTable) nodes = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  gint64 began = g_get_monotonic_time ();
  gboolean converged;

  if (service == NULL)
    return FALSE;
  notice (wait, object);
  list = ctl_list_tasks (wait->context, wanted_tasks (wait->id), error);
  nodes = list != NULL ? active_nodes (wait->context, error) : NULL;
  if (nodes == NULL)
    return FALSE;
  tasks = ctl_json_objects (json_node_get_array (list));
  converged = ctl_progress_update (wait->progress, object, tasks, nodes);
  wait->end = ctl_progress_judge (&wait->judge, object, converged, error);
  if (wait->judge.rollback != NULL && *wait->judge.rollback != 0)
    ctl_screen_show ("rollback", wait->judge.rollback, TRUE, &wait->screen);
  wait->wake_ms = (guint)CLAMP ((g_get_monotonic_time () - began) / 1000 * REST, WAKE_MS, MAX_WAKE_MS);
  return wait->end != CTL_PROGRESS_FAILED;
}

/* An agent that is being restarted is waited for. */
static gboolean
look_patiently (Wait *wait, GError **error)
{
  for (guint attempt = 0;; attempt++) {
    g_autoptr (GError) reason = NULL;

    if (look (wait, &reason))
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

/* TRUE: it has stayed converged for long enough, or has ended. */
static gboolean
verified (Wait *wait)
{
  gint64 now = g_get_monotonic_time ();
  g_autofree char *text = NULL;
  gint64 left;

  if (wait->end == CTL_PROGRESS_ENDED)
    return TRUE;
  if (wait->end == CTL_PROGRESS_CONVERGED && wait->job) {
    if (!wait->screen.quiet)
      printf ("job complete\n");
    return TRUE;
  }
  if (wait->end != CTL_PROGRESS_CONVERGED) {
    if (wait->converged_at != 0)
      ctl_screen_show ("verify", "Detected task failure", TRUE, &wait->screen);
    wait->converged_at = 0;
    return FALSE;
  }
  if (wait->converged_at == 0)
    wait->converged_at = now;
  left = wait->monitor_us - (now - wait->converged_at);
  if (left <= 0) {
    text = g_strdup_printf ("Service %s converged", wait->reference);
    ctl_screen_show ("verify", text, TRUE, &wait->screen);
    return TRUE;
  }
  text = g_strdup_printf ("Waiting %" G_GINT64_FORMAT " seconds to verify that tasks are stable...",
                          (left + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
  ctl_screen_show ("verify", text, left == wait->monitor_us, &wait->screen);
  return FALSE;
}

static gboolean
wait_loop (Wait *wait, GError **error)
{
  while (!wait->interrupted) {
    guint timer;

    wait->changed = wait->wake = FALSE;
    if (!look_patiently (wait, error))
      return FALSE;
    if (verified (wait))
      return TRUE;
    timer = g_timeout_add (MAX (wait->end == CTL_PROGRESS_CONVERGED ? POLL_MS / 5 : POLL_MS, wait->wake_ms), on_time, wait);
    while (!wait->wake && !wait->interrupted)
      g_main_context_iteration (NULL, TRUE);
    if (g_main_context_find_source_by_id (NULL, timer) != NULL)
      g_source_remove (timer);
  }
  if (wait->end != CTL_PROGRESS_CONVERGED && !wait->screen.quiet)
    printf (_ ("Operation continuing in background.\nUse `swarmctl service ps %s` to check progress.\n"),
            wait->reference);
  return TRUE;
}

gboolean
ctl_progress_wait (CtlContext *context, const char *path, const char *reference, CtlProgressFlags flags,
                   GError **error)
{
  Wait wait = { .context = context, .path = path, .reference = reference, .monitor_us = MONITOR_US, .wake_ms = WAKE_MS };
  guint signal_id, subscription = 0;
  gboolean ok;

  wait.judge.wanted = (flags & CTL_PROGRESS_ROLLBACK) != 0;
  ctl_screen_init (&wait.screen, (flags & CTL_PROGRESS_QUIET) != 0);
  wait.progress = ctl_progress_new (wait.screen.terminal ? ctl_terminal_width () : 0, ctl_screen_show, &wait.screen);
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
  ctl_screen_clear (&wait.screen);
  g_free (wait.id);
  g_free (wait.judge.rollback);
  return ok;
}
