// SPDX-License-Identifier: LGPL-2.1-or-later
/* A follower may be asked for an object that its caller was told of by another manager, and that is not here yet: before it says that there is no
 * such object it gets as far as the leader is. */
#include "api/private.h"
#include "daemon/agent-private.h"

#define ASK_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define CATCH_UP_US (5 * G_USEC_PER_SEC)
#define TRY_AGAIN_US (200 * G_TIME_SPAN_MILLISECOND)
#define NO_LEADER_US (3 * G_USEC_PER_SEC)
/* So long it is tried to get there: leaders may change meanwhile, and connections break. */
#define GIVE_UP_US (10 * G_USEC_PER_SEC)

typedef struct {
  SwarmAgent *agent;
  SwarmBusMissing *missing;
  gint64 give_up; /* boottime */
} Behind;

static void ask_leader (gpointer data);

static void
look_again (Behind *behind)
{
  swarm_bus_look_again (behind->missing);
  g_free (behind);
}

static void
try_again (Behind *behind)
{
  SwarmAgent *self = behind->agent;
  if (self->stack == NULL || swarm_clock_boottime (self->clock) >= behind->give_up)
    look_again (behind);
  else
    swarm_clock_timer (self->clock, TRY_AGAIN_US, SWARM_PRIORITY_NORMAL, ask_leader, behind);
}

static void
caught_up (guint64 index, const GError *error, gpointer data)
{
  if (error != NULL)
    try_again (data);
  else
    look_again (data);
}

static void
told_index (GVariant *reply, const GError *error, gpointer data)
{
  Behind *behind = data;
  SwarmAgent *self = behind->agent;
  guint64 index;
  if (error != NULL || self->stack == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(vt)"))) {
    try_again (behind);
    return;
  }
  g_variant_get (reply, "(vt)", NULL, &index);
  swarm_consensus_wait (swarm_stack_consensus (self->stack), index, CATCH_UP_US, caught_up, behind);
}

/* A manager that has just been started, or whose leader is being replaced, waits a moment for the next one. */
static void
wait_for_leader (Behind *behind)
{
  SwarmAgent *self = behind->agent;
  gint64 now = swarm_clock_boottime (self->clock);
  SwarmId leader = swarm_consensus_leader (swarm_stack_consensus (self->stack));
  if (self->no_leader_since == 0 && swarm_id_is_nil (&leader))
    self->no_leader_since = now;
  if (self->no_leader_since != 0 && now - self->no_leader_since > NO_LEADER_US)
    look_again (behind);
  else
    try_again (behind);
}

static void
ask_leader (gpointer data)
{
  Behind *behind = data;
  SwarmAgent *self = behind->agent;
  SwarmConsensus *consensus = self->stack != NULL ? swarm_stack_consensus (self->stack) : NULL;
  SwarmId leader = consensus != NULL ? swarm_consensus_leader (consensus) : SWARM_ID_NIL;
  if (consensus == NULL || swarm_consensus_is_leader (consensus)) {
    look_again (behind);
    return;
  }
  if (swarm_id_is_nil (&leader) || swarm_id_equal (&leader, &self->membership->node)) { /* nobody, or this one soon */
    wait_for_leader (behind);
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

gboolean
swarm_agent_behind (SwarmBusMissing *missing, gpointer data)
{
  SwarmAgent *self = ((SwarmApi *) data)->agent;
  if (self->stack == NULL || swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return FALSE;
  Behind *behind = g_new0 (Behind, 1);
  behind->agent = self;
  behind->missing = missing;
  behind->give_up = swarm_clock_boottime (self->clock) + GIVE_UP_US;
  swarm_clock_timer (self->clock, 0, SWARM_PRIORITY_NORMAL, ask_leader, behind);
  return TRUE;
}
