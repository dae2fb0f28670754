// SPDX-License-Identifier: LGPL-2.1-or-later
/* node drain: availability drain with more to say than `node update --availability drain`. */
#include "ctl/client.h"
#include "ctl/plan.h"
#include "ctl/screen.h"
#include <glib-unix.h>
#include <stdio.h>

#define POLL_MS 500

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
is_over (JsonObject *task)
{
  static const char *const ends[] = { "complete", "shutdown", "failed", "rejected", "remove", "orphaned", NULL };

  return g_strv_contains (ends, ctl_json_string_or (task, "Status.State", "new"));
}

/* Tasks that are still on the node; -1 with an error. */
static gint64
tasks_left (CtlContext *context, const char *node_id, GError **error)
{
  g_autoptr (GPtrArray) ids = g_ptr_array_new ();
  g_autoptr (JsonNode) list = NULL;
  g_autoptr (GPtrArray) tasks = NULL;
  gint64 left = 0;

  g_ptr_array_add (ids, (gpointer)node_id);
  list = ctl_list_tasks (context, ctl_filters_with (NULL, "node", ids), error);
  if (list == NULL)
    return -1;
  tasks = ctl_json_objects (json_node_get_array (list));
  for (guint i = 0; i < tasks->len; i++)
    left += !is_over (g_ptr_array_index (tasks, i));
  return left;
}

typedef struct {
  gboolean interrupted;
  gboolean wake;
} Wait;

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
wait_loop (CtlContext *context, const char *reference, const char *node_id, Wait *wait, CtlScreen *screen, GError **error)
{
  while (!wait->interrupted) {
    gint64 left = tasks_left (context, node_id, error);
    g_autofree char *text = g_strdup_printf (ngettext ("%u task left", "%u tasks left", (gulong)MAX (left, 0)), (guint)MAX (left, 0));

    if (left < 0)
      return FALSE;
    ctl_screen_show (reference, left > 0 ? text : _ ("drained"), TRUE, screen);
    if (left == 0)
      return TRUE;
    pause_a_moment (wait);
  }
  printf (_ ("Operation continuing in background.\nUse `swarmctl node ps %s` to check progress.\n"), reference);
  return TRUE;
}

static gboolean
wait_until_drained (CtlContext *context, const char *reference, const char *node_id, GError **error)
{
  Wait wait = { FALSE, FALSE };
  CtlScreen screen;
  guint signal_id = g_unix_signal_add (SIGINT, on_interrupt, &wait);
  gboolean ok;

  ctl_screen_init (&screen, FALSE);
  ok = wait_loop (context, reference, node_id, &wait, &screen, error);
  ctl_screen_clear (&screen);
  g_source_remove (signal_id);
  context->interrupted = wait.interrupted;
  return ok;
}

gboolean
ctl_cmd_node_drain (CtlContext *context, GError **error)
{
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *id = NULL;
  g_autofree char *path = ctl_resolve (context, "node", reference, &id, error);
  g_autoptr (GVariant) reply = NULL;

  if (path == NULL)
    return FALSE;
  if (ctl_args_bool (context->args, "dry-run"))
    return ctl_plan_availability (context, path, "drain", error);
  reply = ctl_call_write (context, path, CTL_NODE_IFACE, "Drain", g_variant_new ("(@a{sv})", drain_options (context)), FALSE, error);
  if (reply == NULL)
    return FALSE;
  printf ("%s\n", reference);
  fflush (stdout);
  return !ctl_args_bool (context->args, "wait") || wait_until_drained (context, reference, id, error);
}
