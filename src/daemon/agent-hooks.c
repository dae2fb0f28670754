// SPDX-License-Identifier: LGPL-2.1-or-later
/* What api/ asks of the daemon, and who answers a call: this manager or the leader. */
#include "api/private.h"
#include "base/error.h"
#include "base/log.h"
#include "bus/wire.h"
#include <config.h>
#include "daemon/agent-private.h"
#include "daemon/decisions.h"
#include "model/image.h"
#include <string.h>

#define FORWARD_TIMEOUT_US (20 * G_USEC_PER_SEC)
#define FORWARD_CATCH_UP_US (5 * G_USEC_PER_SEC)
#define RESOLVE_TIMEOUT_US (10 * G_USEC_PER_SEC)
/* Who was given an old answer asks how old it is; a leader may have been found meanwhile. */
#define OLD_ANSWER_US (G_USEC_PER_SEC / 2)
#define ADD_RETRY_US (250 * 1000)
#define ADD_TRIES 32

/* ---- who answers ---- */

/* Calls of nodes (join, become a manager, give that up) are passed on with the node's name. */
typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation;
  SwarmId leader;
  GVariant *reply;
} Forward;

static void
forward_caught_up (guint64 index, const GError *error, gpointer data)
{
  g_autofree Forward *forward = data; /* it is done in any case; being late here is no error */
  swarm_invocation_return (forward->invocation, forward->reply);
  g_clear_pointer (&forward->reply, g_variant_unref);
}

/* Whoever was given a certificate comes back with it at once, and often to this manager: it answers when it knows that node, too. */
static void
forwarded (GVariant *reply, const GError *error, gpointer data)
{
  Forward *forward = data;
  SwarmAgent *self = forward->agent;
  if (error != NULL) {
    swarm_invocation_fail (forward->invocation, error);
    g_free (forward);
    return;
  }
  forward->reply = g_variant_ref (reply);
  if (self->stack == NULL)
    forward_caught_up (0, NULL, forward);
  else
    swarm_consensus_wait (swarm_stack_consensus (self->stack), swarm_peers_index (self->peers, &forward->leader), FORWARD_CATCH_UP_US,
                          forward_caught_up, forward);
}

static void
forward_to (SwarmAgent *self, const SwarmId *leader, SwarmInvocation *invocation)
{
  const SwarmPeer *peer = &swarm_invocation_caller (invocation)->peer;
  const char *member = swarm_invocation_method (invocation)->name;
  g_autoptr (GVariant) args = g_variant_ref (swarm_invocation_args (invocation));
  if (strcmp (member, "Join") == 0 || strcmp (member, "Withdraw") == 0 || strcmp (member, "Moved") == 0) {
    GVariant *node = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, peer->node.bytes, sizeof peer->node.bytes, 1);
    GVariant *changed;
    if (strcmp (member, "Join") == 0) {
      g_autoptr (GVariant) addr = g_variant_get_child_value (args, 0), level = g_variant_get_child_value (args, 2);
      changed = g_variant_new ("(@s@ay@u)", addr, node, level);
    } else if (strcmp (member, "Moved") == 0) {
      g_autoptr (GVariant) addr = g_variant_get_child_value (args, 0);
      changed = g_variant_new ("(@s@ay)", addr, node);
    } else
      changed = g_variant_new ("(@ay)", node);
    g_variant_unref (args);
    args = g_variant_ref_sink (changed);
  } else if (strcmp (member, "Issue") != 0) {
    g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "this manager does not lead; ask another one");
    swarm_invocation_fail (invocation, error);
    return;
  }
  Forward *forward = g_new0 (Forward, 1);
  forward->agent = self;
  forward->invocation = invocation;
  forward->leader = *leader;
  swarm_peers_call (self->peers, leader, swarm_invocation_interface (invocation), member, args, FORWARD_TIMEOUT_US, forwarded, forward);
}

gboolean
swarm_agent_filter (SwarmInvocation *invocation, gpointer data)
{
  SwarmApi *api = data;
  SwarmAgent *self = api->agent;
  const SwarmBusMethod *method = swarm_invocation_method (invocation);
  gboolean write = (method->flags & SWARM_METHOD_WRITE) != 0;
  if (self->stack == NULL || (method->flags & SWARM_METHOD_LOCAL) != 0 || (method->action == SWARM_ACTION_WIRE_ONLY && !write))
    return FALSE;
  SwarmConsensus *consensus = swarm_stack_consensus (self->stack);
  gboolean relayed = swarm_invocation_is_relayed (invocation);
  if (swarm_consensus_is_leader (consensus)) {
    if (!write)
      return swarm_agent_confirm_read (self, invocation);
    if (relayed || method->action == SWARM_ACTION_WIRE_ONLY)
      return FALSE;
    swarm_agent_relay (self, &self->membership->node, invocation); /* to itself: should it lose the lead meanwhile, the next one is asked */
    return TRUE;
  }
  if (relayed) { /* it led when the call came; whoever relayed it knows better now */
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    return TRUE;
  }
  SwarmId leader = swarm_consensus_leader (consensus);
  if (swarm_id_is_nil (&leader) || swarm_id_equal (&leader, &self->membership->node)) {
    leader = SWARM_ID_NIL;
    if (method->action == SWARM_ACTION_WIRE_ONLY) {
      swarm_invocation_fail_literal (invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
      return TRUE;
    }
  }
  if (method->action == SWARM_ACTION_WIRE_ONLY)
    forward_to (self, &leader, invocation);
  else
    swarm_agent_relay (self, &leader, invocation);
  return TRUE;
}

void
swarm_agent_wire_call (SwarmLink *link, SwarmCall *call, gpointer agent)
{
  SwarmAgent *self = agent;
  if (link->peer.expired && !(g_str_equal (call->iface, "org.swarmagent1.Consensus") && g_str_equal (call->member, "Message"))) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED,
                                            "the certificate of node %s has expired: until it is renewed the node only takes part in the consensus",
                                            swarm_id_string (&link->peer.node).str);
    swarm_call_fail (call, error);
    return;
  }
  /* A demoted node holds a manager's certificate until it has renewed it; it counts as a worker all the same. Only the consensus
   * knows better who its members are, and tells one that was removed when it speaks up. */
  if (self->stack != NULL && link->peer.role == SWARM_PEER_MANAGER && !g_str_equal (call->iface, "org.swarmagent1.Consensus")
      && swarm_ca_effective_role (swarm_stack_store (self->stack), &link->peer) == SWARM_PEER_WORKER)
    link->peer.role = SWARM_PEER_WORKER;
  swarm_bus_wire_call (swarm_api_wire_kinds (), self->api, NULL, call, swarm_agent_filter, swarm_agent_audit);
}

/* ---- consensus ---- */

static void
hook_consensus_message (gpointer agent, const SwarmPeer *peer, GVariant *args)
{
  SwarmAgent *self = agent;
  if (self->stack == NULL)
    return;
  g_autoptr (GVariant) child = g_variant_get_child_value (args, 0);
  g_autoptr (GBytes) message = g_variant_get_data_as_bytes (child);
  swarm_consensus_receive (swarm_stack_consensus (self->stack), &peer->node, message);
}

typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation;
  SwarmId node;
  char *addr;
  guint tries;
  gboolean dropped; /* its former membership */
} MemberJoin;

static void
member_join_free (MemberJoin *join)
{
  g_free (join->addr);
  g_free (join);
}

static GVariant *
members_variant (SwarmAgent *self)
{
  GVariantBuilder builder;
  g_autoptr (GArray) members = swarm_consensus_members (swarm_stack_consensus (self->stack));
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(ays)"));
  for (guint i = 0; i < members->len; i++) {
    const SwarmConsensusMember *member = &g_array_index (members, SwarmConsensusMember, i);
    g_variant_builder_add (&builder, "(@ays)", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, member->node.bytes, 16, 1), member->address);
  }
  return g_variant_builder_end (&builder);
}

static void member_add (gpointer data);

/* Managers change one at a time: those who come together take turns. */
static gboolean
member_retry (MemberJoin *join, const GError *error)
{
  if (!g_error_matches (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION) || ++join->tries >= ADD_TRIES)
    return FALSE;
  swarm_clock_timer (join->agent->clock, ADD_RETRY_US, SWARM_PRIORITY_NORMAL, member_add, join);
  return TRUE;
}

static void
member_dropped (guint64 index, const GError *error, gpointer data)
{
  MemberJoin *join = data;
  join->dropped = error == NULL;
  if (error == NULL) {
    member_add (join);
    return;
  }
  if (member_retry (join, error))
    return;
  swarm_invocation_fail (join->invocation, error);
  member_join_free (join);
}

static void
member_added (guint64 raft_id, const GError *error, gpointer data)
{
  MemberJoin *join = data;
  if (join->agent->stack == NULL) {
    member_add (join); /* says so */
    return;
  }
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS) && !join->dropped) {
    /* It comes without its log: its former membership must not vote again. */
    swarm_consensus_remove (swarm_stack_consensus (join->agent->stack), &join->node, member_dropped, join);
    return;
  }
  if (error != NULL) {
    if (member_retry (join, error))
      return;
    swarm_invocation_fail (join->invocation, error);
    member_join_free (join);
    return;
  }
  swarm_invocation_return (join->invocation, g_variant_new ("(t@a(ays))", raft_id, members_variant (join->agent)));
  member_join_free (join); /* the leader's role changes make it a voter when it has caught up */
}

static void
member_add (gpointer data)
{
  MemberJoin *join = data;
  if (join->agent->stack == NULL) {
    swarm_invocation_fail_literal (join->invocation, SWARM_ERROR_NO_QUORUM, SWARM_NO_LEADER_TEXT);
    member_join_free (join);
    return;
  }
  swarm_consensus_add (swarm_stack_consensus (join->agent->stack), &join->node, join->addr, member_added, join);
}

static void
hook_consensus_join (gpointer agent, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  MemberJoin *join = g_new0 (MemberJoin, 1);
  g_autoptr (GVariant) node = NULL;
  guint32 level, used = swarm_store_level_used (swarm_stack_store (self->stack));
  g_variant_get (swarm_invocation_args (invocation), "(s@ayu)", &join->addr, &node, &level);
  join->agent = self;
  join->invocation = invocation;
  const SwarmPeer *peer = &swarm_invocation_caller (invocation)->peer;
  join->node = peer->node;
  if (g_variant_n_children (node) == sizeof join->node.bytes)
    memcpy (join->node.bytes, g_variant_get_data (node), sizeof join->node.bytes);
  const SwarmNode *object = swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_NODE, &join->node);
  SwarmPeerRole role = swarm_ca_effective_role (swarm_stack_store (self->stack), peer);
  if (object == NULL || object->spec->role != SWARM_ROLE_MANAGER || !swarm_may_speak_for (role, &peer->node, &join->node)) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_ACCESS_DENIED, "this node is not to be a manager");
    member_join_free (join);
    return;
  }
  if (level < used) { /* it would stop at the first entry that it does not know */
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED,
                                            "the cluster's log needs feature level %u, and the swarm-agent of this node knows %u: upgrade it "
                                            "before it can be a manager", used, level);
    swarm_invocation_fail (invocation, error);
    member_join_free (join);
    return;
  }
  member_add (join);
}

/* ---- info, images, tasks ---- */

static void
hook_info (gpointer agent, GVariantDict *info)
{
  SwarmAgent *self = agent;
  SwarmWorkerStatus status = { 0 };
  GVariantBuilder managers;
  const char *warnings[] = { self->plugin_error, NULL };
  g_variant_dict_insert (info, "Name", "s", self->hostname);
  g_variant_dict_insert (info, "ServerVersion", "s", SWARM_VERSION);
  g_variant_dict_insert (info, "UnitEnabled", "b",
                         g_file_test ("/etc/systemd/system/multi-user.target.wants/swarm-agent.service", G_FILE_TEST_IS_SYMLINK));
  g_variant_builder_init (&managers, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; self->membership != NULL && i < self->membership->managers->len; i++) {
    GVariantDict manager;
    g_variant_dict_init (&manager, NULL);
    g_variant_dict_insert (&manager, "Addr", "s", (char *) self->membership->managers->pdata[i]);
    g_variant_builder_add_value (&managers, g_variant_dict_end (&manager));
  }
  g_variant_dict_insert_value (info, "RemoteManagers", g_variant_builder_end (&managers));
  if (self->worker != NULL)
    swarm_worker_get_status (self->worker, &status);
  g_variant_dict_insert (info, "LocalTasks", "u", status.tasks);
  g_variant_dict_insert (info, "Warnings", "^as", warnings);
}

gint64
swarm_agent_known_at (SwarmAgent *self)
{
  gint64 current_at = swarm_consensus_current_at (swarm_stack_consensus (self->stack));
  gint64 age = swarm_clock_boottime (self->clock) - current_at;
  if (current_at == 0) /* not heard of anybody since the start: as old as its log */
    return MAX (swarm_store_newest_stamp (swarm_stack_store (self->stack)), 1);
  return MAX (swarm_clock_now (self->clock) - age, 1);
}

static gint64
hook_stale_since (gpointer agent)
{
  SwarmAgent *self = agent;
  gboolean told = self->old_answer_at != 0 && swarm_clock_boottime (self->clock) - self->old_answer_at < OLD_ANSWER_US;
  return self->stack == NULL || (self->no_leader_since == 0 && !told) ? 0 : swarm_agent_known_at (self);
}

typedef struct {
  char *image;
  SwarmApiImageFunc func;
  gpointer data;
} Resolve;

static void
resolved (const SwarmRuntimeResult *result, const GError *error, gpointer data)
{
  Resolve *resolve = data;
  if (result != NULL && result->image != NULL) {
    resolve->func (result->image, NULL, resolve->data);
  } else {
    g_autofree char *familiar = swarm_image_familiar (resolve->image, FALSE);
    g_autofree char *warning
        = g_strdup_printf ("image %s could not be accessed on a registry to record its digest. Each node will access %s independently, "
                           "possibly leading to different nodes running different versions of the image.",
                           familiar, familiar);
    swarm_notice ("Digest of image %s not found: %s", resolve->image, error != NULL ? error->message : "no answer");
    resolve->func (resolve->image, warning, resolve->data);
  }
  g_free (resolve->image);
  g_free (resolve);
}

static gboolean
unresolved (gpointer data)
{
  resolved (NULL, NULL, data);
  return G_SOURCE_REMOVE;
}

static void
hook_resolve_image (gpointer agent, const char *image, const char *auth, SwarmApiImageFunc func, gpointer data)
{
  SwarmAgent *self = agent;
  Resolve *resolve = g_new (Resolve, 1);
  *resolve = (Resolve){ g_strdup (image), func, data };
  if (self->runtime == NULL)
    g_idle_add (unresolved, resolve);
  else
    swarm_runtime_host_resolve_image (self->runtime, image, auth, RESOLVE_TIMEOUT_US, resolved, resolve);
}

static GPtrArray *
hook_local_tasks (gpointer agent)
{
  SwarmAgent *self = agent;
  return self->worker != NULL ? swarm_worker_list_tasks (self->worker) : g_ptr_array_new ();
}

static const SwarmTask *
hook_local_task (gpointer agent, const SwarmId *id)
{
  SwarmAgent *self = agent;
  return self->worker != NULL ? swarm_worker_find_task (self->worker, id) : NULL;
}

/* ---- containers that are no tasks ---- */

static void
attached (const SwarmTask *task, const GError *error, gpointer data)
{
  g_autoptr (GVariantBuilder) addresses = g_variant_builder_new (G_VARIANT_TYPE ("as"));
  if (error != NULL) {
    swarm_invocation_fail (data, error);
    return;
  }
  const SwarmNetworkAttachment *attachment = task->networks != NULL && task->networks->len > 0 ? task->networks->pdata[0] : NULL;
  for (guint i = 0; attachment != NULL && attachment->addresses != NULL && i < attachment->addresses->len; i++)
    g_variant_builder_add (addresses, "s", attachment->addresses->pdata[i]);
  swarm_invocation_return (data, g_variant_new ("(sas)", swarm_id_string (&task->object.id).str, addresses));
}

static void
detached (const SwarmTask *task, const GError *error, gpointer data)
{
  if (error != NULL)
    swarm_invocation_fail (data, error);
  else
    swarm_invocation_return (data, NULL);
}

static void
hook_attach_network (gpointer agent, const char *container, const char *network, gboolean out, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  if (self->membership == NULL)
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NOT_MANAGER, "This node is not part of a swarm");
  else if (self->worker == NULL)
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_UNAVAILABLE,
                                   self->plugin_error != NULL ? self->plugin_error : "this node's tasks are not looked after now");
  else if (out)
    swarm_worker_detach (self->worker, container, network, detached, invocation);
  else
    swarm_worker_attach (self->worker, container, network, attached, invocation);
}

const SwarmApiHooks *
swarm_agent_hooks (void)
{
  static const SwarmApiHooks hooks = {
    .init = swarm_agent_init,
    .join = swarm_agent_join,
    .leave = swarm_agent_leave,
    .unlock = swarm_agent_unlock,
    .backup = swarm_agent_backup,
    .restore = swarm_agent_restore,
    .info = hook_info,
    .resolve_image = hook_resolve_image,
    .open_logs = swarm_agent_open_logs,
    .read_logs = swarm_agent_read_logs,
    .local_tasks = hook_local_tasks,
    .local_task = hook_local_task,
    .consensus_message = hook_consensus_message,
    .consensus_join = hook_consensus_join,
    .manager_moved = swarm_agent_manager_moved,
    .relay = swarm_agent_relay_hook,
    .stale_since = hook_stale_since,
    .stream_logs = swarm_agent_stream_logs,
    .attach_network = hook_attach_network,
  };
  return &hooks;
}
