// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that the leader answers, for a follower or for itself: both sides. While a leader is being elected they wait for it. A read that then still gets
 * no answer is answered here, and marked as old. A write keeps its request id on the whole way, also when the leader is lost: whoever leads next is
 * asked with the same id, and it is done once (store/requests.h). */
#include "api/private.h"
#include "base/error.h"
#include "bus/wire.h"
#include "daemon/agent-private.h"
#include "daemon/decisions.h"

#define RELAY_TIMEOUT_US (20 * G_USEC_PER_SEC)
#define OWN_WRITE_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define ASK_AGAIN_US (250 * G_TIME_SPAN_MILLISECOND)

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

/* ---- where the call came in ---- */

typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation; /* NULL: answered, or gone on in another relay; what the leader says is dropped */
  SwarmId leader; /* who was asked, maybe this manager; nil: nobody yet */
  GVariant *reply;
  guint tries;
  gboolean unsure;   /* a leader was asked and did not answer: it may have been done */
  gint64 held_until; /* boottime */
  gint64 ask_again;  /* boottime: whoever leads then, if it is the same */
} Relay;

static Relay *
relay_new (SwarmAgent *self, SwarmInvocation *invocation)
{
  Relay *relay = g_new0 (Relay, 1);
  relay->agent = self;
  relay->invocation = invocation;
  return relay;
}

static void
relay_free (Relay *relay)
{
  g_clear_pointer (&relay->reply, g_variant_unref);
  g_free (relay);
}

static gboolean
is_write (SwarmInvocation *invocation)
{
  return (swarm_invocation_method (invocation)->flags & SWARM_METHOD_WRITE) != 0;
}

static gboolean
is_own (SwarmAgent *self, const SwarmId *node)
{
  return self->membership != NULL && swarm_id_equal (node, &self->membership->node);
}

/* The manager here has stopped, or was told that it is none any more and is about to. */
static gboolean
is_over (SwarmAgent *self)
{
  return self->stack == NULL || swarm_consensus_is_removed (swarm_stack_consensus (self->stack));
}

/* Nobody was found who answers for the cluster, or this node is no manager any more. */
static void
relay_give_up (Relay *relay)
{
  SwarmAgent *self = relay->agent;
  g_autoptr (GError) demoted = is_over (self) ? swarm_api_not_manager_error (self->api) : NULL;
  if (!is_write (relay->invocation) && self->stack != NULL) {
    self->old_answer_at = swarm_clock_boottime (self->clock);
    swarm_invocation_run (relay->invocation, TRUE); /* better an old answer than none */
  } else if (relay->unsure)
    swarm_invocation_fail_literal (relay->invocation, SWARM_ERROR_UNKNOWN,
                                   "The leader was lost before its answer came: the change may have been made or not.");
  else if (demoted != NULL)
    swarm_invocation_fail (relay->invocation, demoted);
  else
    swarm_invocation_fail_literal (relay->invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
  relay_free (relay);
}

/* ---- waiting for a leader ---- */

/* Since when there has been none goes by what callers met, too: the consensus does not tell of a moment between two messages. */
static void
note_leader (SwarmAgent *self, gboolean there_is_one)
{
  if (there_is_one == (self->no_leader_since == 0))
    return;
  self->no_leader_since = there_is_one ? 0 : swarm_clock_boottime (self->clock);
  swarm_api_stale_changed (self->api);
}

static void held_due (gpointer data);

static void
arm_held (SwarmAgent *self)
{
  if (self->held != NULL && self->held->len > 0 && self->held_timer == NULL)
    self->held_timer = swarm_clock_timer (self->clock, ASK_AGAIN_US, SWARM_PRIORITY_NORMAL, held_due, self);
}

/* It waits for the next leader. A write that has been sent has its request id: whoever leads next knows whether it was done, and does it
 * only if not. FALSE: there is no point in it. */
static gboolean
relay_hold (Relay *relay)
{
  SwarmAgent *self = relay->agent;
  gboolean write = is_write (relay->invocation);
  gint64 now = swarm_clock_boottime (self->clock);
  if (self->stack == NULL || !swarm_may_hold (write, ++relay->tries, now, self->no_leader_since, self->held != NULL ? self->held->len : 0))
    return FALSE;
  if (!write && relay->held_until != 0 && relay->held_until <= now)
    return FALSE;
  if (swarm_id_is_nil (&relay->leader))
    note_leader (self, FALSE);
  if (self->held == NULL)
    self->held = g_ptr_array_new ();
  if (write)
    relay->held_until = now + SWARM_HOLD_US;
  else if (relay->held_until == 0)
    relay->held_until = now + SWARM_READ_HOLD_US; /* in all */
  relay->ask_again = now + ASK_AGAIN_US;
  g_ptr_array_add (self->held, relay);
  arm_held (self);
  return TRUE;
}

void
swarm_agent_relays_end (SwarmAgent *self)
{
  g_autoptr (GPtrArray) held = g_steal_pointer (&self->held);
  swarm_clock_clear_timer (self->clock, &self->held_timer);
  self->no_leader_since = self->old_answer_at = 0;
  for (guint i = 0; held != NULL && i < held->len; i++)
    relay_give_up (held->pdata[i]);
}

/* ---- asking the leader ---- */

static void
relay_caught_up (guint64 index, const GError *error, gpointer data)
{
  Relay *relay = data; /* the write is done in any case; being late here is no error */
  swarm_invocation_return (relay->invocation, relay->reply);
  relay_free (relay);
}

/* What the leader says when it does not know, or can know no more, whether the change was made: that it lost its lead, or stops; or that this manager
 * was demoted, and the connection is cut. (That the user may do it was judged here.) */
static gboolean
is_lost (const GError *error)
{
  static const int codes[] = { SWARM_ERROR_TIMED_OUT, SWARM_ERROR_UNAVAILABLE, SWARM_ERROR_UNKNOWN, SWARM_ERROR_CANCELLED,
                               SWARM_ERROR_ACCESS_DENIED };
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    if (g_error_matches (error, SWARM_ERROR, codes[i]))
      return TRUE;
  return FALSE;
}

/* The leader gave no answer, or not the one that was asked for. Takes @relay. */
static void
relay_failed (Relay *relay, const GError *error)
{
  gboolean lost = is_lost (error), away = lost || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  gboolean write = is_write (relay->invocation);
  gboolean patient = !g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT); /* a leader that is silent for so long, but leads */
  relay->unsure |= write && lost;
  if (away) {
    if (!patient || !relay_hold (relay))
      relay_give_up (relay);
    return;
  }
  swarm_invocation_fail (relay->invocation, error);
  relay_free (relay);
}

/* FALSE: nobody waits for the answer any more, @relay is gone. */
static gboolean
relay_take_back (Relay *relay)
{
  if (relay->invocation == NULL) {
    relay_free (relay);
    return FALSE;
  }
  g_ptr_array_remove_fast (relay->agent->relays, relay);
  return TRUE;
}

static void
relay_reply (GVariant *reply, const GError *error, gpointer data)
{
  Relay *relay = data;
  guint64 index;
  g_autoptr (GError) local = NULL;
  if (!relay_take_back (relay))
    return;
  if (error == NULL && !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(vt)")))
    error = local = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_FAILED, "the leader's answer is not one to a relayed call");
  if (error != NULL) {
    relay_failed (relay, error);
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

static void
own_reply (GVariant *reply, const GError *error, gpointer data)
{
  Relay *relay = data;
  if (!relay_take_back (relay))
    return;
  if (error != NULL) {
    relay_failed (relay, error);
    return;
  }
  swarm_invocation_return (relay->invocation, reply);
  relay_free (relay);
}

/* One id over the whole way, also when it is sent to the next leader: should the call be repeated, it is done once. */
static void
ensure_request_id (SwarmAgent *self, SwarmInvocation *invocation)
{
  const SwarmCaller *caller = swarm_invocation_caller (invocation);
  if (caller->request_id != NULL && *caller->request_id != '\0')
    return;
  SwarmId fresh = swarm_random_id (self->random);
  swarm_invocation_set_request_id (invocation, swarm_id_string (&fresh).str);
}

static GVariant *
relay_context (SwarmInvocation *invocation)
{
  const SwarmCaller *caller = swarm_invocation_caller (invocation);
  GVariantDict context;
  g_variant_dict_init (&context, NULL);
  g_variant_dict_insert (&context, "uid", "u", caller->uid);
  g_variant_dict_insert (&context, "action", "u", (guint32) caller->action);
  g_variant_dict_insert (&context, "request_id", "s", caller->request_id);
  return g_variant_dict_end (&context);
}

/* What was done before need not find its object any more (it may have removed it). Methods that tell something tell what is kept. */
static gboolean
was_done (SwarmAgent *self, const SwarmBusMethod *method, const char *request_id)
{
  return method != NULL && (method->flags & SWARM_METHOD_WRITE) != 0 && method->out == NULL
         && swarm_store_has_request (swarm_stack_store (self->stack), request_id);
}

static void
ask_own (Relay *relay)
{
  SwarmInvocation *invocation = relay->invocation;
  const SwarmCaller *caller = swarm_invocation_caller (invocation);
  if (was_done (relay->agent, swarm_invocation_method (invocation), caller->request_id))
    own_reply (NULL, NULL, relay);
  else
    swarm_bus_relay_call (swarm_api_bus_kinds (), relay->agent->api, swarm_invocation_path (invocation), swarm_invocation_interface (invocation),
                          swarm_invocation_method (invocation)->name, swarm_invocation_args (invocation), caller, NULL, NULL, own_reply, relay);
}

static void
relay_send (Relay *relay, const SwarmId *leader)
{
  SwarmAgent *self = relay->agent;
  SwarmInvocation *invocation = relay->invocation;
  if (is_own (self, leader) && !is_write (invocation)) {
    relay_free (relay);
    swarm_invocation_run (invocation, FALSE); /* when it has made sure that it leads */
    return;
  }
  relay->leader = *leader;
  if (self->relays == NULL)
    self->relays = g_ptr_array_new ();
  g_ptr_array_add (self->relays, relay);
  ensure_request_id (self, invocation);
  if (is_own (self, leader))
    ask_own (relay);
  else
    swarm_peers_call (self->peers, leader, swarm_api_relay_interface.name, "Call",
                      g_variant_new ("(sssv@a{sv})", swarm_invocation_path (invocation), swarm_invocation_interface (invocation),
                                     swarm_invocation_method (invocation)->name, pack_tuple (swarm_invocation_args (invocation)),
                                     relay_context (invocation)),
                      RELAY_TIMEOUT_US, relay_reply, relay);
}

void
swarm_agent_relay (SwarmAgent *self, const SwarmId *leader, SwarmInvocation *invocation)
{
  Relay *relay = relay_new (self, invocation);
  if (!swarm_id_is_nil (leader))
    relay_send (relay, leader);
  else if (!relay_hold (relay))
    relay_give_up (relay);
}

/* ---- another leader, or none ---- */

/* Who can be asked now; nil: nobody. This manager itself only when it has taken over. */
static SwarmId
present_leader (SwarmAgent *self)
{
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  if (is_own (self, &leader) && !swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return SWARM_ID_NIL;
  return leader;
}

/* In order. The same leader is asked again after a while only: it may be that just the connection broke. */
static void
release_held (SwarmAgent *self)
{
  SwarmId leader = present_leader (self);
  gint64 now = swarm_clock_boottime (self->clock);
  g_autoptr (GPtrArray) held = g_steal_pointer (&self->held);
  self->held = g_ptr_array_new ();
  if (!swarm_id_is_nil (&leader))
    note_leader (self, TRUE);
  for (guint i = 0; i < held->len; i++) {
    Relay *relay = held->pdata[i];
    gboolean may_ask = !swarm_id_is_nil (&leader) && (!swarm_id_equal (&leader, &relay->leader) || relay->ask_again <= now);
    if (may_ask)
      relay_send (relay, &leader);
    else if (relay->held_until <= now)
      relay_give_up (relay);
    else
      g_ptr_array_add (self->held, relay);
  }
  arm_held (self);
}

static void
held_due (gpointer data)
{
  SwarmAgent *self = data;
  self->held_timer = NULL;
  release_held (self);
}

/* Goes on without what @relay is still to hear. */
static void
relay_abandon (Relay *relay)
{
  SwarmAgent *self = relay->agent;
  SwarmInvocation *invocation = g_steal_pointer (&relay->invocation);
  Relay *next = relay_new (self, invocation);
  next->leader = relay->leader;
  next->tries = relay->tries;
  next->held_until = relay->held_until;
  next->unsure = is_write (invocation);
  if (!relay_hold (next))
    relay_give_up (next);
}

/* Whom they were sent to leads no more, and its host may be silent for long: all are asked anew. */
static gboolean
follow_lead (gpointer data)
{
  SwarmAgent *self = data;
  self->relay_source = 0;
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  g_autoptr (GPtrArray) gone = g_ptr_array_new ();
  for (guint i = 0; self->relays != NULL && i < self->relays->len;)
    if (!swarm_id_equal (&((Relay *) self->relays->pdata[i])->leader, &leader))
      g_ptr_array_add (gone, g_ptr_array_steal_index (self->relays, i));
    else
      i++;
  for (guint i = 0; i < gone->len; i++)
    relay_abandon (gone->pdata[i]);
  if (self->held != NULL && self->held->len > 0)
    release_held (self);
  return G_SOURCE_REMOVE;
}

void
swarm_agent_relays_follow_lead (SwarmAgent *self)
{
  SwarmId leader = self->stack != NULL ? swarm_consensus_leader (swarm_stack_consensus (self->stack)) : SWARM_ID_NIL;
  gboolean waiting = (self->relays != NULL && self->relays->len > 0) || (self->held != NULL && self->held->len > 0);
  note_leader (self, !swarm_id_is_nil (&leader));
  /* From idle: the log calls this, and handlers may look at it. */
  if (waiting && self->relay_source == 0)
    self->relay_source = g_idle_add (follow_lead, self);
}

/* ---- reads at the leader ---- */

typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation;
} Read;

/* Another leader is asked by the filter, or waited for. */
static void
read_confirmed (guint64 index, const GError *error, gpointer data)
{
  g_autofree Read *read = data;
  SwarmAgent *self = read->agent;
  gboolean leads = self->stack != NULL && swarm_consensus_is_leader (swarm_stack_consensus (self->stack));
  swarm_invocation_run (read->invocation, error == NULL || leads);
}

gboolean
swarm_agent_confirm_read (SwarmAgent *self, SwarmInvocation *invocation)
{
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  if (swarm_consensus_has_lease (consensus))
    return FALSE;
  Read *read = g_new (Read, 1);
  *read = (Read){ self, invocation };
  swarm_consensus_barrier (consensus, read_confirmed, read);
  return TRUE;
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
  if (index > 0) /* it waits for that index before it answers */
    swarm_consensus_hurry (swarm_stack_consensus (call->agent->stack), &swarm_invocation_caller (call->invocation)->peer.node);
  swarm_invocation_return (call->invocation, g_variant_new ("(vt)", pack_tuple (reply), index));
}

/* NULL: there is no such method. */
static const SwarmBusMethod *
find_row (const char *iface, const char *member)
{
  const SwarmBusKind *const *kinds = swarm_api_bus_kinds ();
  const SwarmBusMethod *method = NULL;
  for (guint i = 0; kinds[i] != NULL && method == NULL; i++)
    method = swarm_bus_find_method (kinds[i], iface, member);
  return method;
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
  if (was_done (self, find_row (iface, member), request_id))
    relayed (NULL, NULL, call);
  else
    swarm_bus_relay_call (swarm_api_bus_kinds (), self->api, path, iface, member, args, &caller, swarm_agent_filter, swarm_agent_audit, relayed,
                          call);
}
