// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that the leader answers for a follower: both sides. A read that gets no answer is answered here; of a write nobody knows. */
#include "api/private.h"
#include "base/error.h"
#include "bus/wire.h"
#include "daemon/agent-private.h"

#define RELAY_TIMEOUT_US (20 * G_USEC_PER_SEC)
#define OWN_WRITE_TIMEOUT_US (5 * G_USEC_PER_SEC)
/* An election takes a second or two: so long a write waits for the next leader. Where none was known for longer, it is refused at once. */
#define HOLD_US (3 * G_USEC_PER_SEC)
#define HOLD_TRIES 5
#define MAX_HELD 256

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
  SwarmId leader; /* nil: none was known */
  GVariant *reply;
  guint tries;
  gint64 held_until; /* boottime */
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

static void held_due (gpointer data);

/* A write that has not happened waits for the next leader. FALSE: there is no point in it. */
static gboolean
relay_hold (Relay *relay)
{
  SwarmAgent *self = relay->agent;
  gint64 now = swarm_clock_boottime (self->clock);
  if (self->stack == NULL || ++relay->tries > HOLD_TRIES || (self->no_leader_since != 0 && now - self->no_leader_since > HOLD_US))
    return FALSE;
  if (swarm_id_is_nil (&relay->leader) && self->no_leader_since == 0)
    self->no_leader_since = now;
  if (self->held == NULL)
    self->held = g_ptr_array_new ();
  if (self->held->len >= MAX_HELD)
    return FALSE;
  relay->held_until = now + HOLD_US;
  g_ptr_array_add (self->held, relay);
  if (self->held_timer == NULL)
    self->held_timer = swarm_clock_timer (self->clock, HOLD_US, SWARM_PRIORITY_NORMAL, held_due, self);
  return TRUE;
}

/* In order; the first is due first. */
static void
held_due (gpointer data)
{
  SwarmAgent *self = data;
  gint64 now = swarm_clock_boottime (self->clock);
  self->held_timer = NULL;
  while (self->held->len > 0 && ((Relay *) self->held->pdata[0])->held_until <= now) {
    Relay *relay = g_ptr_array_steal_index (self->held, 0);
    swarm_invocation_fail_literal (relay->invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    relay_free (relay);
  }
  if (self->held->len > 0)
    self->held_timer = swarm_clock_timer (self->clock, ((Relay *) self->held->pdata[0])->held_until - now, SWARM_PRIORITY_NORMAL, held_due, self);
}

void
swarm_agent_relays_end (SwarmAgent *self)
{
  swarm_clock_clear_timer (self->clock, &self->held_timer);
  for (guint i = 0; self->held != NULL && i < self->held->len; i++) {
    Relay *relay = self->held->pdata[i];
    swarm_invocation_fail_literal (relay->invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    relay_free (relay);
  }
  g_clear_pointer (&self->held, g_ptr_array_unref);
}

/* The leader gave no answer, or not the one that was asked for. TRUE: @relay goes on. */
static gboolean
relay_failed (Relay *relay, const GError *error)
{
  gboolean nothing_happened = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  if (nothing_happened && (swarm_invocation_method (relay->invocation)->flags & SWARM_METHOD_WRITE) != 0 && relay_hold (relay))
    return TRUE;
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
  return FALSE;
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
    if (!relay_failed (relay, error))
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
  /* One id over the whole way, also when it is sent to the next leader: should the call be repeated, it is done once. */
  if (caller->request_id == NULL || *caller->request_id == '\0') {
    SwarmId fresh = swarm_random_id (self->random);
    swarm_invocation_set_request_id (invocation, swarm_id_string (&fresh).str);
  }
  g_variant_dict_insert (&context, "request_id", "s", caller->request_id);
  return g_variant_dict_end (&context);
}

static void
relay_send (Relay *relay, const SwarmId *leader)
{
  SwarmAgent *self = relay->agent;
  SwarmInvocation *invocation = relay->invocation;
  relay->leader = *leader;
  if (self->relays == NULL)
    self->relays = g_ptr_array_new ();
  g_ptr_array_add (self->relays, relay);
  swarm_peers_call (self->peers, leader, swarm_api_relay_interface.name, "Call",
                    g_variant_new ("(sssv@a{sv})", swarm_invocation_path (invocation), swarm_invocation_interface (invocation),
                                   swarm_invocation_method (invocation)->name, pack_tuple (swarm_invocation_args (invocation)),
                                   relay_context (self, invocation)),
                    RELAY_TIMEOUT_US, relay_reply, relay);
}

void
swarm_agent_relay (SwarmAgent *self, const SwarmId *leader, SwarmInvocation *invocation)
{
  Relay *relay = g_new0 (Relay, 1);
  relay->agent = self;
  relay->invocation = invocation;
  if (!swarm_id_is_nil (leader)) {
    relay_send (relay, leader);
  } else if (!relay_hold (relay)) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    relay_free (relay);
  }
}

/* What waits for a leader goes to the new one, which may be this manager. */
static void
release_held (SwarmAgent *self, const SwarmId *leader)
{
  gboolean own = self->membership != NULL && swarm_id_equal (leader, &self->membership->node);
  if (self->held == NULL || swarm_id_is_nil (leader) || (own && !swarm_consensus_is_leader (swarm_stack_consensus (self->stack))))
    return;
  g_autoptr (GPtrArray) released = g_steal_pointer (&self->held);
  swarm_clock_clear_timer (self->clock, &self->held_timer);
  for (guint i = 0; i < released->len; i++) {
    Relay *relay = released->pdata[i];
    if (!own) {
      relay_send (relay, leader);
      continue;
    }
    swarm_invocation_run (relay->invocation, FALSE);
    relay_free (relay);
  }
}

/* Whom they were sent to leads no more, and its host may be silent for long: writes end as unknown, reads are asked anew. */
static gboolean
follow_lead (gpointer data)
{
  SwarmAgent *self = data;
  self->relay_source = 0;
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  g_autoptr (GPtrArray) gone = g_ptr_array_new ();
  for (guint i = self->relays != NULL ? self->relays->len : 0; i-- > 0;)
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
  release_held (self, &leader);
  return G_SOURCE_REMOVE;
}

void
swarm_agent_relays_follow_lead (SwarmAgent *self)
{
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  gboolean waiting = (self->relays != NULL && self->relays->len > 0) || (self->held != NULL && self->held->len > 0);
  if (!swarm_id_is_nil (&leader))
    self->no_leader_since = 0;
  else if (self->no_leader_since == 0)
    self->no_leader_since = swarm_clock_boottime (self->clock);
  /* From idle: the log calls this, and handlers may look at it. */
  if (waiting && self->relay_source == 0)
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
  swarm_bus_relay_call (swarm_api_bus_kinds (), self->api, path, iface, member, args, &caller, NULL, swarm_agent_audit, relayed,
                        call);
}
