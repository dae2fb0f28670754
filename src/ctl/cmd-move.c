// SPDX-License-Identifier: LGPL-2.1-or-later
/* node drain, service rebalance: tasks move, and one may wait until they have. */
#include "ctl/client.h"
#include "ctl/plan.h"
#include "ctl/screen.h"
#include "ctl/task-list.h"
#include <glib-unix.h>
#include <stdio.h>

#define POLL_MS 500
#define EXPLAINED 10 /* of so many tasks that stay is said why */

static gboolean
is_over (JsonObject *task)
{
  static const char *const ends[] = { "complete", "shutdown", "failed", "rejected", "remove", "orphaned", NULL };

  return g_strv_contains (ends, ctl_json_string_or (task, "Status.State", "new"));
}

/* ---- waiting ---- */

typedef struct {
  const char *filter; /* "node" or "service" */
  const char *id;
  gboolean (*counts) (JsonObject *task);
  const char *reference;
  const char *done;    /* text when none is left */
  const char *command; /* that shows how it goes on */
  gboolean interrupted;
  gboolean wake;
} Wait;

static JsonNode *
tasks_of (CtlContext *context, const char *filter, const char *id, GError **error)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();

  g_ptr_array_add (ids, (gpointer)id);
  return ctl_list_tasks (context, ctl_filters_with (NULL, filter, ids), error);
}

/* Why the task that is to take the place of @task does not run yet. */
static void
explain (CtlContext *context, JsonObject *task, CtlScreen *screen)
{
  g_autoptr (JsonNode) list = tasks_of (context, "service", ctl_json_string (task, "ServiceID"), NULL);
  g_autoptr (GPtrArray) tasks = ctl_json_objects (list != NULL ? json_node_get_array (list) : NULL);
  g_autofree char *name = ctl_task_slot_name (task, NULL, FALSE);

  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *other = g_ptr_array_index (tasks, i);

    if (ctl_json_int (other, "Slot") == ctl_json_int (task, "Slot") && g_str_equal (ctl_json_string (other, "Status.State"), "pending")
        && *ctl_json_string (other, "Status.Err") != 0)
      ctl_screen_show (name, ctl_json_string (other, "Status.Err"), TRUE, screen);
  }
}

/* Tasks that are still to move; -1 with an error. */
static gint64
tasks_left (CtlContext *context, const Wait *wait, CtlScreen *screen, GError **error)
{
  g_autoptr (JsonNode) list = tasks_of (context, wait->filter, wait->id, error);
  g_autoptr (GPtrArray) tasks = NULL;
  gint64 left = 0;

  if (list == NULL)
    return -1;
  tasks = ctl_json_objects (json_node_get_array (list));
  for (guint i = 0; i < tasks->len; i++) {
    JsonObject *task = g_ptr_array_index (tasks, i);

    if (is_over (task) || !wait->counts (task))
      continue;
    if (++left <= EXPLAINED && ctl_json_int (task, "Slot") != 0)
      explain (context, task, screen);
  }
  return left;
}

static gboolean
on_interrupt (gpointer data)
{
  ((Wait *)data)->interrupted = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_time (gpointer data)
{
  ((Wait *)data)->wake = TRUE;
  return G_SOURCE_REMOVE;
}

static void
pause_a_moment (Wait *wait)
{
  guint timer = g_timeout_add (POLL_MS, on_time, wait);

  wait->wake = FALSE;
  while (!wait->wake && !wait->interrupted)
    g_main_context_iteration (NULL, TRUE);
  if (!wait->wake)
    g_source_remove (timer);
}

static gboolean
wait_loop (CtlContext *context, Wait *wait, CtlScreen *screen, GError **error)
{
  while (!wait->interrupted) {
    gint64 left = tasks_left (context, wait, screen, error);
    g_autofree char *text = g_strdup_printf (ngettext ("%u task left", "%u tasks left", (gulong)MAX (left, 0)), (guint)MAX (left, 0));

    if (left < 0)
      return FALSE;
    ctl_screen_show (wait->reference, left > 0 ? text : wait->done, TRUE, screen);
    if (left == 0)
      return TRUE;
    pause_a_moment (wait);
  }
  if (!screen->quiet)
    printf (_ ("Operation continuing in background.\nUse `swarmctl %s %s` to check progress.\n"), wait->command, wait->reference);
  return TRUE;
}

static gboolean
wait_until_none (CtlContext *context, Wait *wait, gboolean quiet, GError **error)
{
  CtlScreen screen;
  guint signal_id = g_unix_signal_add (SIGINT, on_interrupt, wait);
  gboolean ok;

  ctl_screen_init (&screen, quiet);
  fflush (stdout);
  ok = wait_loop (context, wait, &screen, error);
  ctl_screen_clear (&screen);
  g_source_remove (signal_id);
  context->interrupted = wait->interrupted;
  return ok;
}

/* ---- drain ---- */

/* a{sv} of Node.Drain; floating. */
static GVariant *
drain_options (CtlContext *context)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (ctl_args_bool (context->args, "replacement-first"))
    g_variant_dict_insert (&dict, "Order", "s", "start-first");
  if (ctl_args_given (context->args, "deadline"))
    g_variant_dict_insert (&dict, "Deadline", "x", ctl_args_int (context->args, "deadline"));
  return g_variant_dict_end (&dict);
}

static gboolean
plan_drain (CtlContext *context, const char *path, GError **error)
{
  g_autoptr (GVariant) reply
      = ctl_call (context, path, CTL_NODE_IFACE, "PlanDrain", g_variant_new ("(@a{sv})", drain_options (context)), error);

  return reply != NULL && ctl_plan_print (context, reply, error);
}

static gboolean
any_task (JsonObject *task)
{
  return TRUE;
}

gboolean
ctl_cmd_node_drain (CtlContext *context, GError **error)
{
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *id = NULL;
  g_autofree char *path = ctl_resolve (context, "node", reference, &id, error);
  g_autoptr (GVariant) reply = NULL;
  Wait wait = { "node", id, any_task, reference, _ ("drained"), "node ps" };

  if (path == NULL)
    return FALSE;
  if (ctl_args_bool (context->args, "dry-run"))
    return plan_drain (context, path, error);
  reply = ctl_call_write (context, path, CTL_NODE_IFACE, "Drain", g_variant_new ("(@a{sv})", drain_options (context)), FALSE, error);
  if (reply == NULL)
    return FALSE;
  printf ("%s\n", reference);
  return !ctl_args_bool (context->args, "wait") || wait_until_none (context, &wait, FALSE, error);
}

/* ---- rebalance ---- */

static gboolean
is_to_move (JsonObject *task)
{
  return *ctl_json_string (task, "MoveTo") != 0;
}

/* a{sv} of Service.Rebalance and PlanRebalance; floating. */
static GVariant *
rebalance_options (CtlContext *context)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (ctl_args_given (context->args, "max-moves"))
    g_variant_dict_insert (&dict, "MaxMoves", "t", ctl_args_uint (context->args, "max-moves"));
  return g_variant_dict_end (&dict);
}

static gboolean
plan_rebalance (CtlContext *context, const char *path, GError **error)
{
  g_autoptr (GVariant) reply = ctl_call (context, path, CTL_SERVICE_IFACE, "PlanRebalance",
                                         g_variant_new ("(@a{sv})", rebalance_options (context)), error);

  return reply != NULL && ctl_plan_print (context, reply, error);
}

gboolean
ctl_cmd_service_rebalance (CtlContext *context, GError **error)
{
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *id = NULL;
  g_autofree char *path = ctl_resolve (context, "service", reference, &id, error);
  g_autoptr (GVariant) reply = NULL;
  guint moves = 0;
  Wait wait = { "service", id, is_to_move, reference, _ ("rebalanced"), "service ps" };

  if (path == NULL)
    return FALSE;
  if (ctl_args_bool (context->args, "dry-run"))
    return plan_rebalance (context, path, error);
  reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Rebalance", g_variant_new ("(@a{sv})", rebalance_options (context)), FALSE,
                          error);
  if (reply == NULL)
    return FALSE;
  if (g_variant_is_of_type (reply, G_VARIANT_TYPE ("(u)")))
    g_variant_get (reply, "(u)", &moves);
  printf (ngettext ("%s: %u task moves\n", "%s: %u tasks move\n", moves), reference, moves);
  if (moves == 0 || ctl_args_bool (context->args, "detach"))
    return TRUE;
  return wait_until_none (context, &wait, ctl_args_bool (context->args, "quiet"), error);
}
