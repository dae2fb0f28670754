// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that the leader answers for a follower: both sides. A read that gets no answer is answered here; of a write nobody knows. */
#include "api/private.h"
#include "base/error.h"
#include "bus/wire.h"
#include "daemon/agent-private.h"

#define RELAY_TIMEOUT_US (20 * G_USEC_PER_SEC)
#define OWN_WRITE_TIMEOUT_US (5 * G_USEC_PER_SEC)

/* D-Bus has no empty tuple: "no arguments" travels as FALSE. Borrowed or floating: for g_variant_new ("v"). */
static GVariant *
pack_tuple (GVariant *tuple)
{
  return tuple == NULL || g_variant_n_children (tuple) == 0 ? g_variant_new_boolean (FALSE) : tuple;
}

static GVariant *
unpack_tuple (GVariant *packed)
{
  gboolean tuple = g_variant_is_of_type (packed, G_VARIANT_TYPE_TUPLE);
  GVariant *value = tuple ? g_variant_ref (packed) : g_variant_ref_sink (g_variant_new ("()"));
  g_variant_unref (packed);
  return value;
}

/* ---- the follower's side ---- */

typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation; /* NULL: answered; what the leader says is dropped */
  SwarmId leader;
  GVariant *reply;
} Relay;

static void
relay_free (Relay *relay)
{
  g_clear_pointer (&relay->reply, g_variant_unref);
  g_free (relay);
}

static void
relay_caught_up (guint64 index, const GError *error, gpointer data)
{
  Relay *relay = data; /* the write is done in any case; being late here is no error */
  swarm_invocation_return (relay->invocation, relay->reply);
  relay_free (relay);
}

/* The leader gave no answer, or not the one that was asked for. */
static void
relay_failed (Relay *relay, const GError *error)
{
  SwarmInvocation *invocation = g_steal_pointer (&relay->invocation);
  gboolean write = (swarm_invocation_method (invocation)->flags & SWARM_METHOD_WRITE) != 0;
  gboolean lost = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE);
  gboolean away = lost || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  if (write && lost)
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_UNKNOWN,
                                   "The connection to the leader broke before its answer came: the change may have been made or not.");
  else if (!write && away && relay->agent->stack != NULL)
    swarm_invocation_run (invocation, TRUE); /* better an old answer than none */
  else
    swarm_invocation_fail (invocation, error);
}

static void
relay_reply (GVariant *reply, const GError *error, gpointer data)
{
  Relay *relay = data;
  guint64 index;
  g_autoptr (GError) local = NULL;
  if (relay->invocation == NULL) {
    relay_free (relay);
    return;
  }
  g_ptr_array_remove_fast (relay->agent->relays, relay);
  if (error == NULL && !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(vt)")))
    error = local = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNKNOWN, "the leader's answer is not one to a relayed call");
  if (error != NULL) {
    relay_failed (relay, error);
    relay_free (relay);
    return;
  }
  g_autoptr (GVariant) inner = NULL;
  g_variant_get (reply, "(vt)", &inner, &index);
  relay->reply = unpack_tuple (g_steal_pointer (&inner));
  if (relay->agent->stack == NULL)
    relay_caught_up (0, NULL, relay);
  else
    swarm_consensus_wait (swarm_stack_consensus (relay->agent->stack), index, OWN_WRITE_TIMEOUT_US, relay_caught_up, relay);
}

static GVariant *
relay_context (SwarmAgent *self, SwarmInvocation *invocation)
{
  const SwarmCaller *caller = swarm_invocation_caller (invocation);
  GVariantDict context;
  g_variant_dict_init (&context, NULL);
  g_variant_dict_insert (&context, "uid", "u", caller->uid);
  g_variant_dict_insert (&context, "action", "u", (guint32) caller->action);
  /* One id over the whole way: should the transport repeat the call, it is done once. */
  SwarmId fresh = swarm_random_id (self->random);
  gboolean given = caller->request_id != NULL && *caller->request_id != '\0';
  g_variant_dict_insert (&context, "request_id", "s", given ? caller->request_id : swarm_id_string (&fresh).str);
  return g_variant_dict_end (&context);
}

void
swarm_agent_relay (SwarmAgent *self, const SwarmId *leader, SwarmInvocation *invocation)
{
  Relay *relay = g_new (Relay, 1);
  *relay = (Relay){ self, invocation, *leader, NULL };
  if (self->relays == NULL)
    self->relays = g_ptr_array_new ();
  g_ptr_array_add (self->relays, relay);
  swarm_peers_call (self->peers, leader, swarm_api_relay_interface.name, "Call",
                    g_variant_new ("(sssv@a{sv})", swarm_invocation_path (invocation), swarm_invocation_interface (invocation),
                                   swarm_invocation_method (invocation)->name, pack_tuple (swarm_invocation_args (invocation)),
                                   relay_context (self, invocation)),
                    RELAY_TIMEOUT_US, relay_reply, relay);
}

/* Whom they were sent to leads no more, and its host may be silent for long: writes end as unknown, reads are asked anew. */
static gboolean
follow_lead (gpointer data)
{
  SwarmAgent *self = data;
  self->relay_source = 0;
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  g_autoptr (GPtrArray) gone = g_ptr_array_new ();
  for (guint i = self->relays->len; i-- > 0;)
    if (!swarm_id_equal (&((Relay *) self->relays->pdata[i])->leader, &leader))
      g_ptr_array_add (gone, g_ptr_array_remove_index (self->relays, i));
  for (guint i = gone->len; i-- > 0;) {
    SwarmInvocation *invocation = g_steal_pointer (&((Relay *) gone->pdata[i])->invocation);
    if ((swarm_invocation_method (invocation)->flags & SWARM_METHOD_WRITE) == 0)
      swarm_invocation_run (invocation, FALSE);
    else
      swarm_invocation_fail_literal (invocation, SWARM_ERROR_UNKNOWN,
                                     "The leader was lost before its answer came: the change may have been made or not.");
  }
  return G_SOURCE_REMOVE;
}

void
swarm_agent_relays_follow_lead (SwarmAgent *self)
{
  /* From idle: the log calls this, and handlers may look at it. */
  if (self->relays != NULL && self->relays->len > 0 && self->relay_source == 0)
    self->relay_source = g_idle_add (follow_lead, self);
}

/* ---- the leader's side ---- */

typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation;
} Relayed;

static void
relayed (GVariant *reply, const GError *error, gpointer data)
{
  g_autofree Relayed *call = data;
  if (error != NULL) {
    swarm_invocation_fail (call->invocation, error);
    return;
  }
  guint64 index = call->agent->stack != NULL ? swarm_store_index (swarm_stack_store (call->agent->stack)) : 0;
  swarm_invocation_return (call->invocation, g_variant_new ("(vt)", pack_tuple (reply), index));
}

void
swarm_agent_relay_hook (gpointer agent, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  const char *path, *iface, *member, *request_id = "";
  guint32 action = 0;
  g_autoptr (GVariant) args = NULL, context = NULL;
  if (self->stack == NULL || !swarm_consensus_is_leader (swarm_stack_consensus (self->stack))) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    return;
  }
  g_variant_get (swarm_invocation_args (invocation), "(&s&s&sv@a{sv})", &path, &iface, &member, &args, &context);
  args = unpack_tuple (args);
  SwarmCaller caller = { .on_bus = TRUE, .uid = G_MAXUINT32, .peer = swarm_invocation_caller (invocation)->peer };
  g_variant_lookup (context, "uid", "u", &caller.uid);
  g_variant_lookup (context, "action", "u", &action);
  g_variant_lookup (context, "request_id", "&s", &request_id);
  caller.action = (SwarmAction) action;
  caller.request_id = (char *) request_id;
  Relayed *call = g_new (Relayed, 1);
  *call = (Relayed){ self, invocation };
  swarm_bus_relay_call (swarm_api_bus_kinds (), self->api, path, iface, member, args, &caller, NULL, relayed, call);
}
