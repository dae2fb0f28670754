// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a scenario says about tasks, told to the simulated runtime when it prepares them. */
#include "runtime-sim.h"
#include "sim/sim-run-private.h"
#include <string.h>

gboolean
sim_image_is (const char *image, const char *ref)
{
  const char *rest = image;
  if (g_strcmp0 (image, ref) == 0)
    return TRUE;
  if (image == NULL || ref == NULL)
    return FALSE;
  if (g_str_has_prefix (rest, "docker.io/"))
    rest += strlen ("docker.io/");
  if (g_str_has_prefix (rest, "library/"))
    rest += strlen ("library/");
  gsize n = strlen (ref);
  return strncmp (rest, ref, n) == 0 && (rest[n] == '\0' || rest[n] == '@' || (rest[n] == ':' && strchr (ref, ':') == NULL));
}

static gboolean
fits (SimRun *self, const SimBehaviour *behaviour, const SwarmPluginTask *task, const char *host)
{
  double now = sim_run_time (self);
  GHashTable *seen = g_hash_table_lookup (self->planned, behaviour);
  if ((behaviour->service != NULL && g_strcmp0 (behaviour->service, task->service_name) != 0)
      || (behaviour->slot != 0 && behaviour->slot != task->slot) || (behaviour->node != NULL && g_strcmp0 (behaviour->node, host) != 0)
      || (behaviour->image != NULL && !sim_image_is (task->image, behaviour->image)) || now < behaviour->from
      || (behaviour->until > 0 && now >= behaviour->until))
    return FALSE;
  if (seen == NULL) {
    seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_insert (self->planned, (gpointer) behaviour, seen);
  }
  if (behaviour->times > 0 && g_hash_table_size (seen) >= behaviour->times && !g_hash_table_contains (seen, task->id))
    return FALSE;
  g_hash_table_add (seen, g_strdup (task->id));
  return TRUE;
}

static void
set_time (gint64 *us, double seconds)
{
  if (seconds > 0)
    *us = (gint64) (seconds * G_USEC_PER_SEC);
}

static void
fill_plan (RuntimeSimPlan *plan, const SimBehaviour *behaviour)
{
  set_time (&plan->prepare_us, behaviour->prepare_time);
  set_time (&plan->start_us, behaviour->start_time);
  set_time (&plan->stop_us, behaviour->stop_time);
  set_time (&plan->exit_after_us, behaviour->exit_after);
  plan->exit_code = (int) behaviour->exit_code;
  set_time (&plan->healthy_after_us, behaviour->healthy_after);
  set_time (&plan->sick_after_us, behaviour->sick_after);
  if (behaviour->never_healthy)
    plan->healthy_after_us = -1;
  plan->exec_hangs = behaviour->health_hangs;
  plan->no_image = plan->no_image || behaviour->image_missing;
  if (behaviour->prepare_error != NULL)
    plan->prepare_error = g_strdup (behaviour->prepare_error);
  if (behaviour->start_error != NULL)
    plan->start_error = g_strdup (behaviour->start_error);
}

static void
plan_task (const SwarmPluginTask *task, const char *host, RuntimeSimPlan *plan, gpointer data)
{
  SimRun *self = data;
  GPtrArray *behaviours = self->scenario->behaviours;
  for (guint i = 0; behaviours != NULL && i < behaviours->len; i++) {
    const SimBehaviour *behaviour = g_ptr_array_index (behaviours, i);
    if (!fits (self, behaviour, task, host))
      continue;
    fill_plan (plan, behaviour);
    return;
  }
}

void
sim_behaviour_install (SimRun *self)
{
  runtime_sim_set_planner (plan_task, self);
}
