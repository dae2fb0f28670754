// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one setter of each state: who may write what (DESIGN), and that task states only increase. */
#include "base/error.h"
#include "model/objects.h"
#include "base/clock.h"
#include <string.h>

static SwarmTaskState
observed_state (const SwarmTask *task)
{
  return task->status != NULL ? task->status->state : SWARM_TASK_NEW;
}

gboolean
swarm_task_state_is_terminal (SwarmTaskState state)
{
  return state > SWARM_TASK_RUNNING;
}

gboolean
swarm_task_is_active (const SwarmTask *task)
{
  return observed_state (task) <= SWARM_TASK_RUNNING && task->desired_state <= SWARM_TASK_COMPLETE;
}

gboolean
swarm_task_holds_addresses (const SwarmTask *task)
{
  return !swarm_task_state_is_terminal (observed_state (task)) || task->lingers;
}

gboolean
swarm_task_needs_overlay (const SwarmTask *task)
{
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++)
    if (g_strcmp0 (((const SwarmNetworkAttachment *) g_ptr_array_index (task->networks, i))->driver, SWARM_DRIVER_OVERLAY) == 0)
      return TRUE;
  return swarm_endpoint_spec_has_ingress (task->endpoint);
}

gboolean
swarm_task_lacks_gateway (const SwarmTask *task)
{
  return task->gateway_address == NULL && task->attachment == NULL && !swarm_id_is_nil (&task->node_id) && swarm_task_holds_addresses (task)
         && swarm_task_needs_overlay (task);
}

char *
swarm_task_name (const SwarmTask *task)
{
  const char *service = task->service_name != NULL ? task->service_name : "";
  SwarmIdString id = swarm_id_string (&task->object.id);

  if (task->attachment != NULL)
    return g_strdup (task->attachment->name != NULL ? task->attachment->name : "");
  if (task->slot == 0)
    return g_strdup_printf ("%s.%s.%s", service, swarm_id_string (&task->node_id).str, id.str);
  return g_strdup_printf ("%s.%" G_GUINT64_FORMAT ".%s", service, task->slot, id.str);
}

gboolean
swarm_container_id_is_valid (const char *id)
{
  return id != NULL && strlen (id) == 64 && strspn (id, "0123456789abcdef") == 64;
}

gboolean
swarm_container_name_is_valid (const char *name)
{
  return name != NULL && g_ascii_isalnum (name[0]) && strlen (name) <= 253
         && strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == strlen (name);
}

static gboolean
may_observe (SwarmWriter writer, SwarmTaskState from, SwarmTaskState to)
{
  switch (writer) {
  case SWARM_WRITER_ORCHESTRATOR:
    return to == SWARM_TASK_NEW;
  case SWARM_WRITER_ALLOCATOR: /* or it says why the task stays new, or does not go on to its node */
    return to == SWARM_TASK_PENDING || (from == SWARM_TASK_NEW && to == SWARM_TASK_NEW)
           || (from == SWARM_TASK_ASSIGNED && to == SWARM_TASK_ASSIGNED);
  case SWARM_WRITER_SCHEDULER: /* or it says why the task stays pending, or ends one that was never placed and is wanted no more */
    return to == SWARM_TASK_ASSIGNED || (from == SWARM_TASK_PENDING && to == SWARM_TASK_PENDING)
           || (from < SWARM_TASK_ASSIGNED && to == SWARM_TASK_SHUTDOWN);
  case SWARM_WRITER_DISPATCHER:
    return to >= SWARM_TASK_ACCEPTED && to != SWARM_TASK_REMOVE;
  case SWARM_WRITER_ENFORCER:
    return to == SWARM_TASK_REJECTED;
  case SWARM_WRITER_NODE_REMOVAL:
    return to == SWARM_TASK_ORPHANED;
  default:
    return FALSE;
  }
}

static gboolean
refuse (GError **error, const SwarmTask *task, const char *what, SwarmTaskState from, SwarmTaskState to, const char *why)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "task %s: %s state %s to %s: %s",
               swarm_id_string (&task->object.id).str, what, swarm_task_state_to_string (from), swarm_task_state_to_string (to), why);
  return FALSE;
}

gboolean
swarm_task_set_state (SwarmTask *task, SwarmTaskState state, SwarmWriter writer, gint64 now_us, const char *text, const char *err,
                      GError **error)
{
  SwarmTaskState from = observed_state (task);
  SwarmTaskStatus *status;

  if (state < from || (swarm_task_state_is_terminal (from) && state != from))
    return refuse (error, task, "observed", from, state, "it never goes back");
  if (!may_observe (writer, from, state))
    return refuse (error, task, "observed", from, state, "not by this writer");
  status = task->status != NULL ? swarm_task_status_copy (task->status) : swarm_task_status_new ();
  status->state = state;
  status->timestamp = now_us;
  if (state == SWARM_TASK_RUNNING && status->started_at == 0)
    status->started_at = now_us;
  swarm_string_set (&status->text, text);
  swarm_string_set (&status->err, err);
  swarm_message_unref (task->status);
  task->status = status;
  return TRUE;
}

gboolean
swarm_task_set_desired (SwarmTask *task, SwarmTaskState desired, SwarmWriter writer, GError **error)
{
  SwarmTaskState from = task->desired_state;

  if (writer != SWARM_WRITER_ORCHESTRATOR)
    return refuse (error, task, "desired", from, desired, "not by this writer");
  if (desired < from)
    return refuse (error, task, "desired", from, desired, "it never goes back");
  if (desired != SWARM_TASK_READY && desired != SWARM_TASK_RUNNING && desired != SWARM_TASK_COMPLETE
      && desired != SWARM_TASK_SHUTDOWN && desired != SWARM_TASK_REMOVE)
    return refuse (error, task, "desired", from, desired, "nobody can want that");
  task->desired_state = desired;
  return TRUE;
}

void
swarm_node_set_state (SwarmNode *node, SwarmNodeState state, const char *text)
{
  SwarmNodeStatus *status = node->status != NULL ? swarm_node_status_copy (node->status) : swarm_node_status_new ();

  status->state = state;
  swarm_string_set (&status->text, text);
  swarm_message_unref (node->status);
  node->status = status;
}

char *
swarm_node_clock_text (const SwarmNode *node, gint64 offset_ns)
{
  SwarmClockState clock = node->description != NULL ? node->description->clock : SWARM_CLOCK_UNKNOWN;
  g_autofree char *size = swarm_clock_difference_text (offset_ns / 1000);
  const char *follows = clock == SWARM_CLOCK_SYNCHRONIZED ? "although it follows a time server: look at that one"
                        : clock == SWARM_CLOCK_FREE       ? "and follows no time server: timedatectl set-ntp true"
                                                          : "whether it follows a time server is not known";
  return g_strdup_printf ("its clock is %s %s the leader's, %s", size, offset_ns < 0 ? "behind" : "ahead of", follows);
}
