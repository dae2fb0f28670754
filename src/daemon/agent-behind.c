// SPDX-License-Identifier: LGPL-2.1-or-later
/* Getting as far as the leader is. For backups; and a follower may be asked for an object that its caller was told of by another manager, and that is
 * not here yet: before it says that there is no such object it catches up. */
#include "api/private.h"
#include "base/error.h"
#include "daemon/agent-private.h"

#define ASK_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define CATCH_UP_US (5 * G_USEC_PER_SEC)
#define TRY_AGAIN_US (200 * G_TIME_SPAN_MILLISECOND)
#define NO_LEADER_US (3 * G_USEC_PER_SEC)
#define MAX_TRIES 20

typedef struct {
  SwarmAgent *agent;
  SwarmAgentCaughtUpFunc func;
  gpointer data;
  guint tries; /* to find a leader */
} Behind;

static void
behind_end (Behind *behind, const GError *error)
{
  behind->func (error, behind->data);
  g_free (behind);
}

static void
caught_up (guint64 index, const GError *error, gpointer data)
{
  behind_end (data, error);
}

static void
told_index (GVariant *reply, const GError *error, gpointer data)
{
  Behind *behind = data;
  SwarmAgent *self = behind->agent;
  g_autoptr (GError) local = NULL;
  guint64 index;
  if (error == NULL && (self->stack == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(vt)"))))
    error = local = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "the leader's answer is not one to a relayed call");
  if (error != NULL) {
    behind_end (behind, error);
    return;
  }
  g_variant_get (reply, "(vt)", NULL, &index);
  swarm_consensus_wait (swarm_stack_consensus (self->stack), index, CATCH_UP_US, caught_up, behind);
}

/* A manager that has just been started, or whose leader is being replaced, waits a moment for the next one. */
static void
ask_leader (gpointer data)
{
  Behind *behind = data;
  SwarmAgent *self = behind->agent;
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  if (self->stack != NULL && swarm_id_equal (&leader, &self->membership->node)) {
    swarm_consensus_barrier (swarm_stack_consensus (self->stack), caught_up, behind);
    return;
  }
  if (swarm_id_is_nil (&leader)) {
    gint64 since = self->no_leader_since; /* 0: there has not been one since the start */
    if (self->stack == NULL || (since != 0 && swarm_clock_boottime (self->clock) - since > NO_LEADER_US) || ++behind->tries > MAX_TRIES) {
      g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
      behind_end (behind, error);
    } else {
      swarm_clock_timer (self->clock, TRY_AGAIN_US, SWARM_PRIORITY_NORMAL, ask_leader, behind);
    }
    return;
  }
  /* Any read will do: its answer says how far the leader is. */
  GVariantDict context;
  g_variant_dict_init (&context, NULL);
  g_variant_dict_insert (&context, "action", "u", (guint32) SWARM_ACTION_READ);
  swarm_peers_call (self->peers, &leader, swarm_api_relay_interface.name, "Call",
                    g_variant_new ("(sssv@a{sv})", SWARM_API_ROOT, swarm_api_manager_interface.name, "Resolve",
                                   g_variant_new ("(ss)", "node", "self"), g_variant_dict_end (&context)),
                    ASK_TIMEOUT_US, told_index, behind);
}

void
swarm_agent_catch_up (SwarmAgent *self, SwarmAgentCaughtUpFunc func, gpointer data)
{
  Behind *behind = g_new0 (Behind, 1);
  *behind = (Behind){ self, func, data, 0 };
  swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, ask_leader, behind);
}

/* Nothing was done yet: whatever kept us from asking the leader, to the caller it is one that cannot be reached, and not that there is no such object. */
static void
look_again (const GError *error, gpointer data)
{
  g_autoptr (GError) away = error != NULL ? g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT) : NULL;
  swarm_bus_look_again (data, away);
}

gboolean
swarm_agent_behind (SwarmBusMissing *missing, gpointer data)
{
  SwarmAgent *self = ((SwarmApi *) data)->agent;
  if (self->stack == NULL || swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return FALSE;
  swarm_agent_catch_up (self, look_again, missing);
  return TRUE;
}
